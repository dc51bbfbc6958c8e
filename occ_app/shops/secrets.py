"""Tokens at rest: AES-256-GCM, bound to the row and column they stand in, so that a ciphertext moved elsewhere is refused.

Form: key id (4 bytes), nonce (12), ciphertext with tag. The first key of `TOKEN_ENCRYPTION_KEYS` encrypts, any of them decrypts.
Source: NIST SP 800-38D; RFC 5116 (associated data).
"""

from __future__ import annotations

import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from occ_app.errors import NotConfiguredError


def seal(keys: tuple[bytes, ...], plain: str, place: str) -> bytes:
    """`plain` encrypted for `place` (table, row and column, such as `shop_token:7:access_token`)."""
    nonce = os.urandom(12)
    return _key_id(keys[0]) + nonce + AESGCM(keys[0]).encrypt(nonce, plain.encode(), place.encode())


def unseal(keys: tuple[bytes, ...], sealed: bytes, place: str) -> str:
    """What was sealed for `place`. Raises NotConfiguredError where no key opens it there."""
    key_id, nonce, ciphertext = sealed[:4], sealed[4:16], sealed[16:]
    for key in keys:
        if _key_id(key) != key_id:
            continue
        try:
            return AESGCM(key).decrypt(nonce, ciphertext, place.encode()).decode()
        except InvalidTag:
            break
    raise NotConfiguredError(
        "A stored token cannot be read. Put the key it was made with back into TOKEN_ENCRYPTION_KEYS."
    )


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()[:4]
