"""Captured lines, partner orders with their history and parcels, and the log of the batches."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Numeric, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from occ_app.catalog.models import Item
from occ_app.extensions import ShopScoped, db
from occ_app.orders.models import OrderLine
from occ_app.partners.models import Partner, PartnerVariant

# A partner order is a growing draft, closes (nothing is added any more), is ordered, on its way, received; or came to nothing.
OPEN, CLOSING, ORDERED, SHIPPED, RECEIVED, CANCELLED = "open", "closing", "ordered", "shipped", "received", "cancelled"
ORDER_STATES = (OPEN, CLOSING, ORDERED, SHIPPED, RECEIVED, CANCELLED)
PLACED_STATES = (ORDERED, SHIPPED, RECEIVED)  # it is an order in the partner's store
# A captured line waits, stands on a partner order, needs a person, or is not wanted any more.
PENDING, CREATED, FAILED = "pending", "created", "failed"
LINE_STATES = (PENDING, CREATED, FAILED, CANCELLED)
DAILY, CUTOFF, NOW, CLOSE = "daily", "cutoff", "now", "close"
BATCH_KINDS = (DAILY, CUTOFF, NOW, CLOSE)


class PartnerOrder(ShopScoped, db.Model):
    """One order to a partner. `tag` is nobody else's: by it the draft is found again whatever became of the answer.

    `sending` is committed before a call and says exactly what goes out; `sent` is what the draft held when we last knew. Both:
    {"lines": [[variant gid, unit cost, quantity]], "until": ..., "ship_to": {...}}; `sending` also {"rows": {line id: quantity}}, `sent` also
    {"off": [variant gid]} where lines of these are to leave the draft, because the partner deleted the variant or Shopify refuses it.
    A draft whose lines are not `sent` was changed by the partner: that is kept in `theirs` until a person, or the cutoff, decides.
    `theirs` with `overwritten` is not in the draft any more: our update came over it, and theirs is put back.
    """

    __tablename__ = "partner_order"
    __table_args__ = (
        UniqueConstraint("shop_id", "name"),
        UniqueConstraint("tag"),
        CheckConstraint(f"state IN {ORDER_STATES}", name="state_known"),
        CheckConstraint(
            "state NOT IN ('ordered', 'shipped', 'received') OR order_gid IS NOT NULL", name="placed_has_order"
        ),
        Index("ix_partner_order_partner", "partner_id", "id"),
        Index("ix_partner_order_alive", "shop_id", "cutoff_at", postgresql_where=text("state IN ('open', 'closing')")),
        Index("ix_partner_order_draft", "draft_gid"),
        Index("ix_partner_order_order", "order_gid"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    partner_id: Mapped[int] = mapped_column(ForeignKey("partner.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(Text)  # NL-2026-47; the reference on the box
    tag: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text, default=OPEN)
    cadence: Mapped[str] = mapped_column(Text)
    currency: Mapped[str] = mapped_column(Text)  # the partner's
    plan: Mapped[list[Any]] = mapped_column(default=list)  # the settings that `cutoff_at` was computed from
    opened_at: Mapped[datetime]
    cutoff_at: Mapped[datetime]
    held_after: Mapped[
        datetime | None
    ]  # the cutoff that it was held beyond: `cutoff_at` comes after it, whatever the plan
    draft_gid: Mapped[str | None] = mapped_column(Text)
    draft_name: Mapped[str | None] = mapped_column(Text)
    order_gid: Mapped[str | None] = mapped_column(Text)
    order_name: Mapped[str | None] = mapped_column(Text)
    revision: Mapped[int] = mapped_column(default=0)  # how often it was sent: numbers what becomes known to the partner
    sending: Mapped[dict[str, Any] | None]
    sent: Mapped[dict[str, Any] | None]
    theirs: Mapped[dict[str, Any] | None]
    extra: Mapped[list[Any]] = mapped_column(default=list)  # lines that the partner added and we took over
    ship_to: Mapped[dict[str, Any] | None]  # the fulfilment centre, as on the order
    create_tried_at: Mapped[datetime | None]  # when a call that makes the draft last went out
    creates: Mapped[int] = mapped_column(
        default=0, server_default="0"
    )  # calls that make the draft; of more than one, two may have come through
    complete_tried_at: Mapped[datetime | None]
    look_at: Mapped[datetime | None]  # news of it came: it is to be read from then on
    looked_at: Mapped[datetime | None]
    tries: Mapped[int] = mapped_column(default=0)
    next_try_at: Mapped[datetime | None]
    # Why it rests, in plain words; of a cancelled one, that it may exist all the same: it is looked for once the partner is back.
    cause: Mapped[str | None] = mapped_column(Text)
    ordered_at: Mapped[datetime | None]
    shipped_at: Mapped[datetime | None]
    received_at: Mapped[datetime | None]
    cancelled_at: Mapped[datetime | None]

    partner: Mapped[Partner] = relationship(lazy="raise_on_sql")


class StockRequest(ShopScoped, db.Model):
    """A merchant wants so many units of a partner's goods for its own stock, whoever will buy them. Less what was called off."""

    __tablename__ = "stock_request"
    __table_args__ = (
        CheckConstraint("quantity > 0", name="quantity_positive"),
        Index("ix_stock_request_item", "item_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    partner_id: Mapped[int] = mapped_column(ForeignKey("partner.id", ondelete="CASCADE"))
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"))
    location_id: Mapped[int] = mapped_column(ForeignKey("location.id"))
    quantity: Mapped[int]
    asked_at: Mapped[datetime]
    asked_by: Mapped[str] = mapped_column(Text)


class PartnerLine(ShopScoped, db.Model):
    """What one order line, or one request for stock, needs from its partner. All quantities are units of the partner's variant.

    One order line has several (`turn`) where a part was short, was taken off by the partner, or was added after a cutoff. `on_order`:
    units that the partner's store shows for it, as we last knew; the sync rule counts with them (`partners.readings.reflect`). One that
    waits or failed and has an order was given up with it, and that order may exist all the same: it goes on no other until that is known.
    """

    __tablename__ = "partner_line"
    __table_args__ = (
        UniqueConstraint("shop_id", "order_line_id", "turn"),
        UniqueConstraint("shop_id", "stock_request_id", "turn"),
        CheckConstraint("(order_line_id IS NULL) <> (stock_request_id IS NULL)", name="for_one"),
        CheckConstraint(f"state IN {LINE_STATES}", name="state_known"),
        CheckConstraint("quantity >= 0 AND on_order >= 0", name="quantity_not_negative"),
        CheckConstraint("received >= 0 AND short >= 0 AND damaged >= 0", name="counts_not_negative"),
        CheckConstraint("received + short + damaged <= quantity", name="counted_was_ordered"),
        CheckConstraint("state <> 'created' OR partner_order_id IS NOT NULL", name="created_has_order"),
        Index("ix_partner_line_waiting", "partner_id", "id", postgresql_where=text("state IN ('pending', 'failed')")),
        Index("ix_partner_line_order", "partner_order_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    partner_id: Mapped[int] = mapped_column(ForeignKey("partner.id", ondelete="CASCADE"))
    order_line_id: Mapped[int | None] = mapped_column(ForeignKey("order_line.id", ondelete="CASCADE"))
    stock_request_id: Mapped[int | None] = mapped_column(ForeignKey("stock_request.id", ondelete="CASCADE"))
    turn: Mapped[int] = mapped_column(default=1)
    partner_variant_id: Mapped[int] = mapped_column(ForeignKey("partner_variant.id"))
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"))
    partner_order_id: Mapped[int | None] = mapped_column(ForeignKey("partner_order.id", ondelete="CASCADE"))
    state: Mapped[str] = mapped_column(Text, default=PENDING)
    cause: Mapped[str | None] = mapped_column(Text)  # why it failed, or came back, in plain words
    quantity: Mapped[int]
    unit_cost: Mapped[Decimal | None] = mapped_column(Numeric(14, 2))  # frozen
    currency: Mapped[str] = mapped_column(
        Text, default="", server_default=""
    )  # of `unit_cost`: the partner's store's at capture; empty without a cost
    sold_for: Mapped[Decimal | None] = mapped_column(Numeric(14, 2))  # per unit, in the merchant's currency
    captured_at: Mapped[datetime]
    placed_at: Mapped[datetime | None]
    on_order: Mapped[int] = mapped_column(default=0)
    shipped: Mapped[int] = mapped_column(default=0)
    received: Mapped[int] = mapped_column(default=0)
    short: Mapped[int] = mapped_column(default=0)
    damaged: Mapped[int] = mapped_column(default=0)
    refunded: Mapped[int] = mapped_column(default=0)  # taken off by the partner after it was ordered

    order_line: Mapped[OrderLine | None] = relationship(lazy="raise_on_sql")
    stock_request: Mapped[StockRequest | None] = relationship(lazy="raise_on_sql")
    partner_variant: Mapped[PartnerVariant] = relationship(lazy="raise_on_sql")
    partner_order: Mapped[PartnerOrder | None] = relationship(lazy="raise_on_sql")
    partner: Mapped[Partner] = relationship(lazy="raise_on_sql")
    item: Mapped[Item] = relationship(lazy="raise_on_sql")


class PartnerParcel(ShopScoped, db.Model):
    """A parcel that the partner sent, as last read. `lines`: partner's variant gid -> units. A cancelled one holds none."""

    __tablename__ = "partner_parcel"
    __table_args__ = (
        UniqueConstraint("shop_id", "fulfillment_gid"),
        Index("ix_partner_parcel_order", "partner_order_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    partner_order_id: Mapped[int] = mapped_column(ForeignKey("partner_order.id", ondelete="CASCADE"))
    fulfillment_gid: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    tracking: Mapped[list[Any]] = mapped_column(default=list)  # [{"company", "number", "url"}]
    lines: Mapped[dict[str, Any]] = mapped_column(default=dict)
    sent_at: Mapped[datetime]
    changed_at: Mapped[datetime]


class PartnerOrderEvent(ShopScoped, db.Model):
    """What happened to a partner order, for people. Rows are only added."""

    __tablename__ = "partner_order_event"
    __table_args__ = (Index("ix_partner_order_event_order", "partner_order_id", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    partner_order_id: Mapped[int] = mapped_column(ForeignKey("partner_order.id", ondelete="CASCADE"))
    at: Mapped[datetime]
    words: Mapped[str] = mapped_column(Text)
    detail: Mapped[str] = mapped_column(Text, default="")


class PartnerBatch(ShopScoped, db.Model):
    """One batch for one partner. `for_on`: the shop's day that a daily one was for; there is one a day. Without end: the process died."""

    __tablename__ = "partner_batch"
    __table_args__ = (
        CheckConstraint(f"kind IN {BATCH_KINDS}", name="kind_known"),
        Index("ix_partner_batch_recent", "shop_id", "id"),
        Index("ix_partner_batch_daily", "partner_id", "for_on", postgresql_where=text("kind = 'daily'")),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    partner_id: Mapped[int] = mapped_column(ForeignKey("partner.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(Text)
    for_on: Mapped[date]
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    milliseconds: Mapped[int | None]
    placed: Mapped[int] = mapped_column(default=0)  # lines that went on an order
    taken_off: Mapped[int] = mapped_column(default=0)  # lines that left one
    failed: Mapped[int] = mapped_column(default=0)  # lines
    orders: Mapped[int] = mapped_column(default=0)  # partner orders that were completed
    calls: Mapped[int] = mapped_column(default=0)  # of the partner's API
    cause: Mapped[str | None] = mapped_column(Text)  # why it ended early, in plain words

    partner: Mapped[Partner] = relationship(lazy="raise_on_sql")
