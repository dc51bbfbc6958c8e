"""API tokens: made once, kept as a hash, checked with each request, revoked for good."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, text, update

from occ_app.b2b import levels
from occ_app.b2b.models import ApiToken
from occ_app.errors import NotFoundError, RuleError
from occ_app.extensions import across_shops, current_shop_id, db
from occ_app.shops.models import ACTIVE, Shop

PREFIX = "occ_"
STOCK_READ, ORDERS_WRITE, SYNC = "stock:read", "orders:write", "sync"
SCOPES = {
    STOCK_READ: "Read stock and its changes",
    ORDERS_WRITE: "Place, read, ship and cancel wholesale orders",
    SYNC: "Ask for a sync and follow it",
}
LONGEST_NAME, LONGEST_DAYS = 80, 3650
LENGTH = len(PREFIX) + 43


@dataclass(frozen=True)
class Caller:
    """Who makes a request: a token of a shop."""

    token_id: int
    shop_id: int
    name: str
    scopes: frozenset[str]

    @property
    def actor(self) -> str:
        """How the books name it."""
        return f"API: {self.name}"


def make(
    name: str, scopes: Sequence[str], *, days: int | None = None, actor: str, at: datetime
) -> tuple[ApiToken, str]:
    """There is a token of that name. Returns its row and the token, which is never seen again."""
    name = " ".join(name.split())
    if not 0 < len(name) <= LONGEST_NAME:
        raise RuleError("Give the token a name, such as the system that will use it.", field="name")
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        raise RuleError(f"Give one or more of: {', '.join(SCOPES)}.", field="scopes")
    if days is not None and not 1 <= days <= LONGEST_DAYS:
        raise RuleError(f"Give a number of days from 1 to {LONGEST_DAYS:,}, or nothing for no end.", field="days")
    plain = PREFIX + secrets.token_urlsafe(32)
    row = ApiToken(name=name, token_hash=_hash(plain), hint=plain[-4:], created_by=actor, created_at=at)
    row.scopes = sorted(set(scopes))
    row.expires_at = at + timedelta(days=days) if days else None
    db.session.add(row)
    db.session.flush()
    levels.refresh(None)
    return row, plain


def everyone() -> Sequence[ApiToken]:
    """All tokens of the shop, living ones first."""
    return db.session.scalars(select(ApiToken).order_by(ApiToken.revoked_at.is_not(None), ApiToken.id.desc())).all()


def revoke(token_id: int, at: datetime) -> ApiToken:
    """The token opens nothing any more. Raises NotFoundError."""
    row = db.session.scalar(select(ApiToken).where(ApiToken.id == token_id))
    if row is None:
        raise NotFoundError(f"There is no token {token_id} here.")
    row.revoked_at = row.revoked_at or at
    return row


def find(plain: str, at: datetime) -> Caller | None:
    """Who that token is, if it is one that is good: of an active shop, neither expired nor revoked."""
    if not plain.startswith(PREFIX) or len(plain) != LENGTH or not plain.isascii():
        return None
    query = (
        select(ApiToken.id, ApiToken.shop_id, ApiToken.name, ApiToken.scopes, ApiToken.expires_at)
        .join(Shop, Shop.id == ApiToken.shop_id)
        .where(ApiToken.token_hash == _hash(plain), ApiToken.revoked_at.is_(None), Shop.status == ACTIVE)
    )
    with across_shops():
        row = db.session.execute(query).first()
    if row is None or (row.expires_at is not None and row.expires_at <= at):
        return None
    return Caller(row.id, row.shop_id, row.name, frozenset(row.scopes))


def count(caller: Caller, at: datetime) -> int:
    """How many requests the token has made in this minute, this one among them. The first of a minute notes when it was used.

    Commits by itself, without waiting for the disk: a crash may forget it.
    """
    minute = int(at.timestamp()) // 60
    statement = text(
        "INSERT INTO api_usage AS usage (token_id, shop_id, minute, used) VALUES (:token, :shop, :minute, 1)"
        " ON CONFLICT (token_id) DO UPDATE SET minute = :minute,"
        " used = CASE WHEN usage.minute = :minute THEN usage.used + 1 ELSE 1 END"
        " RETURNING used, set_config('synchronous_commit', 'off', true)"
    )
    facts = {"token": caller.token_id, "shop": current_shop_id(), "minute": minute}
    used = int(db.session.scalar(statement, facts) or 0)
    if used == 1:
        db.session.execute(update(ApiToken).where(ApiToken.id == caller.token_id).values(last_used_at=at))
    db.session.commit()
    return used


def _hash(plain: str) -> str:
    """A token has 256 random bits, so a plain hash of it cannot be turned back by guessing."""
    return hashlib.sha256(plain.encode()).hexdigest()
