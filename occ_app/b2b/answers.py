"""A request with an idempotency key is done once: the same request again gets the same answer.

The key is a row of the transaction that does the work, so both are there or neither is, whenever a process dies.
Source: IETF draft-ietf-httpapi-idempotency-key-header-07 (a key with another request: 422; while the first is under way: 409).
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from sqlalchemy import delete, select, text, update

from occ_app.b2b.models import ApiAnswer
from occ_app.extensions import current_shop_id, db

KEPT = timedelta(days=7)


class InFlightError(Exception):
    """The same key is being worked on at this moment."""


class MismatchError(Exception):
    """The key was used for another request."""


def fingerprint(method: str, path: str, body: bytes) -> str:
    """What tells one request from another."""
    return hashlib.sha256(b"\n".join((method.encode(), path.encode(), body))).hexdigest()


def begin(key: str, of: str, at: datetime) -> ApiAnswer | None:
    """The key is ours until the transaction ends (None), or what was answered before. Raises InFlightError, MismatchError.

    The lock is tried, never waited for: a second request with the key is told at once to come back.
    """
    row = {"shop_id": current_shop_id(), "key": key, "fingerprint": of, "at": at, "lock": f"{current_shop_id()}:{key}"}
    is_ours, is_new = db.session.execute(_BEGIN, row).one()
    if not is_ours:
        raise InFlightError
    if is_new:
        return None
    known = db.session.scalars(select(ApiAnswer).where(ApiAnswer.key == key)).one()
    if known.fingerprint != of:
        raise MismatchError
    return known


_BEGIN = text(
    "WITH turn AS MATERIALIZED (SELECT pg_try_advisory_xact_lock(hashtextextended(:lock, 0)) AS is_ours), fresh AS ("
    "INSERT INTO api_answer (shop_id, key, fingerprint, status, headers, body, created_at)"
    " SELECT :shop_id, :key, :fingerprint, 0, '{}', '', :at FROM turn WHERE is_ours"
    " ON CONFLICT (shop_id, key) DO NOTHING RETURNING id) "
    "SELECT is_ours, EXISTS (SELECT FROM fresh) FROM turn"
)


def keep(key: str, status: int, headers: dict[str, str], body: str) -> None:
    """This is what the key's request is answered with, from now on."""
    row = update(ApiAnswer).where(ApiAnswer.key == key).values(status=status, headers=headers, body=body)
    db.session.execute(row.execution_options(synchronize_session=False))


def forget_old(at: datetime) -> None:
    """Answers older than a week are gone."""
    db.session.execute(delete(ApiAnswer).where(ApiAnswer.created_at < at - KEPT))
