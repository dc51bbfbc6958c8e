"""A request with an idempotency key is done once: the same request again gets the same answer.

The key is a row of the transaction that does the work, so both are there or neither is, whenever a process dies.
Source: IETF draft-ietf-httpapi-idempotency-key-header-07 (a key with another request: 422; while the first is under way: 409).
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from sqlalchemy import delete, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import OperationalError

from occ_app.b2b.models import ApiAnswer
from occ_app.extensions import current_shop_id, db

LOCK_NOT_AVAILABLE = "55P03"
KEPT = timedelta(days=7)
PATIENCE_MS = 30  # how long a second request with the key waits for the first before it is told to come back


class InFlightError(Exception):
    """The same key is being worked on at this moment."""


class MismatchError(Exception):
    """The key was used for another request."""


def fingerprint(method: str, path: str, body: bytes) -> str:
    """What tells one request from another."""
    return hashlib.sha256(b"\n".join((method.encode(), path.encode(), body))).hexdigest()


def begin(key: str, of: str, at: datetime) -> ApiAnswer | None:
    """The key is ours until the transaction ends (None), or what was answered before. Raises InFlightError, MismatchError."""
    row = {"shop_id": current_shop_id(), "key": key, "fingerprint": of, "status": 0, "body": "", "created_at": at}
    statement = insert(ApiAnswer).values(headers={}, **row)
    try:
        with db.session.begin_nested():
            db.session.execute(text(f"SET LOCAL lock_timeout = {PATIENCE_MS}"))
            query = statement.on_conflict_do_nothing(index_elements=["shop_id", "key"]).returning(ApiAnswer.id)
            is_new = db.session.execute(query).first() is not None
            db.session.execute(text("SET LOCAL lock_timeout = 0"))
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", "") == LOCK_NOT_AVAILABLE:
            raise InFlightError from error
        raise
    if is_new:
        return None
    known = db.session.scalars(select(ApiAnswer).where(ApiAnswer.key == key)).one()
    if known.fingerprint != of:
        raise MismatchError
    return known


def keep(key: str, status: int, headers: dict[str, str], body: str) -> None:
    """This is what the key's request is answered with, from now on."""
    row = update(ApiAnswer).where(ApiAnswer.key == key).values(status=status, headers=headers, body=body)
    db.session.execute(row.execution_options(synchronize_session=False))


def forget_old(at: datetime) -> None:
    """Answers older than a week are gone."""
    db.session.execute(delete(ApiAnswer).where(ApiAnswer.created_at < at - KEPT))
