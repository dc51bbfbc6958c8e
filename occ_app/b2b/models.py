"""Wholesale customers and orders, API tokens and answers, levels, asked-for syncs, notices."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, LargeBinary, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from occ_app.catalog.models import Item
from occ_app.extensions import ShopScoped, db

DRAFT, CONFIRMED, SHIPPED, CANCELLED = "draft", "confirmed", "shipped", "cancelled"
STATES = (DRAFT, CONFIRMED, SHIPPED, CANCELLED)
WAITING, RUNNING, DONE, FAILED = "waiting", "running", "done", "failed"
SENT, PARKED = "sent", "parked"


class Customer(ShopScoped, db.Model):
    """A business that buys wholesale: its name, and the reference by which its own or the merchant's system knows it."""

    __tablename__ = "b2b_customer"
    __table_args__ = (UniqueConstraint("shop_id", "reference"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    reference: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]


class WholesaleOrder(ShopScoped, db.Model):
    """An order of a business. Its lines' units are taken when it is confirmed, leave when it ships, come back when it is cancelled."""

    __tablename__ = "b2b_order"
    __table_args__ = (
        UniqueConstraint("shop_id", "number"),
        CheckConstraint(f"state IN {STATES}", name="state_known"),
        Index("ix_b2b_order_recent", "shop_id", "id"),
        Index("ix_b2b_order_state", "shop_id", "state", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(Text)  # W-00042
    customer_id: Mapped[int] = mapped_column(ForeignKey("b2b_customer.id"))
    location_id: Mapped[int] = mapped_column(ForeignKey("location.id"))
    reference: Mapped[str] = mapped_column(Text, default="")  # the customer's own order number
    note: Mapped[str] = mapped_column(Text, default="")
    state: Mapped[str] = mapped_column(Text, default=DRAFT)
    created_by: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]
    shipped_at: Mapped[datetime | None]
    cancelled_at: Mapped[datetime | None]

    customer: Mapped[Customer] = relationship(lazy="raise_on_sql")
    lines: Mapped[list[WholesaleLine]] = relationship(order_by="WholesaleLine.id", lazy="raise_on_sql")


class WholesaleLine(ShopScoped, db.Model):
    """So many units of an item. `taken` of them are ours to ship (or were shipped); the others of a confirmed order wait for stock."""

    __tablename__ = "b2b_order_line"
    __table_args__ = (
        UniqueConstraint("order_id", "item_id"),
        CheckConstraint("quantity > 0 AND taken >= 0 AND taken <= quantity", name="taken_within_quantity"),
        Index("ix_b2b_order_line_waits", "item_id", "id", postgresql_where=text("waits")),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("b2b_order.id"))
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"))
    quantity: Mapped[int] = mapped_column(BigInteger)  # units of the item
    taken: Mapped[int] = mapped_column(BigInteger, default=0)  # units
    waits: Mapped[bool] = mapped_column(default=False)  # confirmed, and not all of it taken
    bookings: Mapped[int] = mapped_column(default=0)  # how often something was booked: numbers the sources

    item: Mapped[Item] = relationship(lazy="raise_on_sql")


class ApiToken(ShopScoped, db.Model):
    """What another system proves itself with. Only its SHA-256 is kept; the token itself is shown once."""

    __tablename__ = "api_token"
    __table_args__ = (UniqueConstraint("token_hash"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    token_hash: Mapped[str] = mapped_column(Text)
    hint: Mapped[str] = mapped_column(Text)  # its last four characters
    scopes: Mapped[list[Any]] = mapped_column(default=list)
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(Text)
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]  # to the minute
    revoked_at: Mapped[datetime | None]


class ApiUsage(ShopScoped, db.Model):
    """How many requests a token made in the present minute. Unlogged: a crash forgets it, which costs nothing."""

    __tablename__ = "api_usage"
    __table_args__ = {"prefixes": ["UNLOGGED"]}

    token_id: Mapped[int] = mapped_column(ForeignKey("api_token.id", ondelete="CASCADE"), primary_key=True)
    minute: Mapped[int]  # since 1970
    used: Mapped[int]


class ApiAnswer(ShopScoped, db.Model):
    """What was answered to a request with an idempotency key; the same request gets it again. Kept for a week."""

    __tablename__ = "api_answer"
    __table_args__ = (UniqueConstraint("shop_id", "key"), Index("ix_api_answer_created_at", "created_at"))

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    key: Mapped[str] = mapped_column(Text)
    fingerprint: Mapped[str] = mapped_column(Text)  # SHA-256 of method, path and body
    status: Mapped[int]
    headers: Mapped[dict[str, Any]] = mapped_column(default=dict)
    body: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]


class Level(ShopScoped, db.Model):
    """What wholesale and the webshop may each sell of an item, as of its last change. `version` null: nobody has asked for changes since."""

    __tablename__ = "b2b_level"
    __table_args__ = (Index("ix_b2b_level_version", "shop_id", "version"),)

    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"), primary_key=True)
    b2b_stock: Mapped[int] = mapped_column(BigInteger)  # units
    b2c_stock: Mapped[int] = mapped_column(BigInteger)  # units
    is_split: Mapped[bool]
    version: Mapped[int | None] = mapped_column(BigInteger)  # of the sequence b2b_level_version
    changed_at: Mapped[datetime]


class AskedSync(ShopScoped, db.Model):
    """A sync that somebody asked for over the API: of one item, or (null) of all."""

    __tablename__ = "asked_sync"
    __table_args__ = (
        CheckConstraint("state IN ('waiting', 'running', 'done', 'failed')", name="state_known"),
        Index("ix_asked_sync_recent", "shop_id", "id"),
        Index("ix_asked_sync_open", "shop_id", postgresql_where=text("finished_at IS NULL")),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int | None] = mapped_column(ForeignKey("item.id"))
    state: Mapped[str] = mapped_column(Text, default=WAITING)
    asked_by: Mapped[str] = mapped_column(Text)
    asked_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    looked_at: Mapped[int] = mapped_column(default=0)  # mappings
    changed: Mapped[int] = mapped_column(default=0)  # mappings
    cause: Mapped[str | None] = mapped_column(Text)  # why it failed, in plain words


class Endpoint(ShopScoped, db.Model):
    """An address that notices go to, and the secret that signs them (encrypted, bound to this row)."""

    __tablename__ = "notice_endpoint"

    id: Mapped[int] = mapped_column(primary_key=True)
    url: Mapped[str] = mapped_column(Text)
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    kinds: Mapped[list[Any]] = mapped_column(default=list)
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    ended_why: Mapped[str | None] = mapped_column(Text)


class Notice(ShopScoped, db.Model):
    """One notice to one endpoint. Newer news of the same subject overwrites one that was never tried, and parks one that waits to be again."""

    __tablename__ = "notice"
    __table_args__ = (
        CheckConstraint("state IN ('waiting', 'sent', 'parked')", name="state_known"),
        Index("ix_notice_recent", "shop_id", "id"),
        Index("ix_notice_due", "shop_id", "next_try_at", postgresql_where=text("state = 'waiting'")),
        Index(
            "uq_notice_news",
            "endpoint_id",
            "kind",
            "subject",
            unique=True,
            postgresql_where=text("state = 'waiting' AND tries = 0"),
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    endpoint_id: Mapped[int] = mapped_column(ForeignKey("notice_endpoint.id"))
    kind: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text)
    payload: Mapped[dict[str, Any]] = mapped_column(default=dict)
    state: Mapped[str] = mapped_column(Text, default=WAITING)
    tries: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    next_try_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    status: Mapped[int | None]  # of the last answer
    cause: Mapped[str | None] = mapped_column(Text)  # why the last try failed, in plain words

    endpoint: Mapped[Endpoint] = relationship(lazy="raise_on_sql")
