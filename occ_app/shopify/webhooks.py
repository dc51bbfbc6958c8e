"""Whether a delivery is Shopify's, by Shopify's own package. Source: Shopify, "Verify deliveries" (HMAC-SHA256 of the raw body)."""

from __future__ import annotations

import base64
import hashlib
import hmac

from shopify_app import ShopifyApp
from shopify_app.types import RequestInput

from occ_app.config import Config


def is_signed_by_shopify(config: Config, body: bytes, signature: str) -> bool:
    """Whether `signature` (base64) is the HMAC of the raw body with the present API secret, or the old one during a rotation.

    The package reads the body too, and cannot where it is not UTF-8 or nested too deep; the signature is then compared here, so that
    whoever sent it hears what is wrong with it.
    """
    if not signature.isascii():
        return False
    app = ShopifyApp(config.api_key, config.api_secret, config.api_secret_old)
    headers = {"X-Shopify-Hmac-SHA256": signature}
    try:
        text = body.decode("utf-8")
        return bool(app.verify_webhook_req(RequestInput(method="POST", headers=headers, url="", body=text)).ok)
    except (UnicodeError, RecursionError):
        return _is_hmac(config, body, signature)


def _is_hmac(config: Config, body: bytes, signature: str) -> bool:
    secrets = [secret for secret in (config.api_secret, config.api_secret_old) if secret]
    made = [base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256)).decode() for secret in secrets]
    return any(hmac.compare_digest(one, signature) for one in made)
