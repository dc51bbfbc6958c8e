"""Past sales, each item's plan, events, days without stock, suggestions, purchases, mails."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Numeric, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from occ_app.catalog.models import Item
from occ_app.extensions import ShopScoped, db
from occ_app.production.models import ProductionRun
from occ_app.routing.models import StockRequest

OPEN, DISMISSED, DRAFTED, ORDERED, WITHDRAWN = "open", "dismissed", "drafted", "ordered", "withdrawn"
STATES = (OPEN, DISMISSED, DRAFTED, ORDERED, WITHDRAWN)
BY_HAND, COMPUTED = "hand", "computed"
DIGEST, SOLD_OUT, TEST = "digest", "sold_out", "test"


class PastSale(ShopScoped, db.Model):
    """A line of an order from before we listened, as Shopify's history shows it; nothing of the customer. A line that is booked as well
    counts once: the booking."""

    __tablename__ = "past_sale"
    __table_args__ = (
        UniqueConstraint("shop_id", "line_gid"),
        Index("ix_past_sale_variant", "shop_id", "variant_gid", "sold_at"),
        CheckConstraint("quantity >= 0", name="quantity_not_negative"),
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    line_gid: Mapped[str] = mapped_column(Text)
    variant_gid: Mapped[str] = mapped_column(Text)
    sold_at: Mapped[datetime]
    quantity: Mapped[int] = mapped_column(BigInteger)  # variant units, less what was removed or refunded
    is_b2b: Mapped[bool] = mapped_column(default=False)


class SalesPull(ShopScoped, db.Model):
    """One reading of the shop's past orders by a bulk operation of Shopify's. At most one unfinished per shop."""

    __tablename__ = "sales_pull"
    __table_args__ = (
        Index("uq_sales_pull_unfinished", "shop_id", unique=True, postgresql_where=text("finished_at IS NULL")),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    bulk_operation_gid: Mapped[str | None] = mapped_column(Text)
    days: Mapped[int]  # how far back it asked for
    started_at: Mapped[datetime]
    next_look_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    objects_found: Mapped[int] = mapped_column(default=0)  # as Shopify counts while it works
    expected: Mapped[int | None]  # orders there were at the start
    orders: Mapped[int] = mapped_column(default=0)
    lines: Mapped[int] = mapped_column(default=0)
    cause: Mapped[str | None] = mapped_column(Text)  # why it failed, in plain words


class ItemPlan(ShopScoped, db.Model):
    """How an item is planned, and what the last replanning found. A threshold and a target by hand stand on the item (`reorder_point`,
    `target_stock`), as do lead time and shelf life. Null settings: the shop's.

    `due_at`: something changed, and it is to be replanned. `replans` counts.
    """

    __tablename__ = "item_plan"
    __table_args__ = (
        CheckConstraint("service_level >= 50 AND service_level < 100", name="service_level_possible"),
        CheckConstraint("review_days BETWEEN 0 AND 365 AND cover_days BETWEEN 1 AND 730", name="days_possible"),
        CheckConstraint("least > 0 AND most > 0 AND least <= most", name="run_limits_in_order"),
        CheckConstraint("daily_by_hand >= 0", name="daily_not_negative"),
        CheckConstraint("like_percent BETWEEN 1 AND 1000", name="like_percent_possible"),
        CheckConstraint("like_item_id IS NULL OR like_item_id <> item_id", name="like_another"),
        Index("ix_item_plan_due", "shop_id", postgresql_where=text("due_at IS NOT NULL")),
    )

    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"), primary_key=True)
    is_planned: Mapped[bool] = mapped_column(default=True)
    service_level: Mapped[Decimal | None] = mapped_column(Numeric(5, 2))  # per cent
    review_days: Mapped[int | None]
    cover_days: Mapped[int | None]
    lead_spread_days: Mapped[Decimal | None] = mapped_column(Numeric(6, 2))  # standard deviation of the lead time
    least: Mapped[int | None] = mapped_column(BigInteger)  # units of one run or order
    most: Mapped[int | None] = mapped_column(BigInteger)
    daily_by_hand: Mapped[Decimal | None] = mapped_column(Numeric(12, 3))  # units a day, instead of a forecast
    like_item_id: Mapped[int | None] = mapped_column(ForeignKey("item.id"))  # forecast as that item sells ...
    like_percent: Mapped[int | None]  # ... this share of it
    due_at: Mapped[datetime | None]
    # What the last replanning found.
    replanned_at: Mapped[datetime | None]
    replans: Mapped[int] = mapped_column(default=0)
    method: Mapped[str | None] = mapped_column(Text)
    week: Mapped[list[Any]] = mapped_column(default=list)  # expected units per day, from `forecast_from` on
    forecast_from: Mapped[date | None]
    b2b_daily: Mapped[Decimal | None] = mapped_column(Numeric(14, 4))  # of it to businesses, units a day
    spread: Mapped[Decimal | None] = mapped_column(Numeric(14, 4))  # standard deviation of one day, units
    error: Mapped[Decimal | None] = mapped_column(Numeric(14, 4))  # mean absolute error of a day in the backtest
    naive_error: Mapped[Decimal | None] = mapped_column(Numeric(14, 4))
    mase: Mapped[Decimal | None] = mapped_column(Numeric(10, 4))
    days_known: Mapped[int] = mapped_column(default=0)
    unusual: Mapped[list[Any]] = mapped_column(default=list)  # [day, sold, counted] of bursts
    point: Mapped[int | None] = mapped_column(BigInteger)  # the reorder point in force, units
    stock: Mapped[int] = mapped_column(BigInteger, default=0)  # sellable, all locations; or Shopify's number if less
    coming: Mapped[int] = mapped_column(BigInteger, default=0)  # runs, lots on their way to release, purchases
    run_units: Mapped[int] = mapped_column(BigInteger, default=0)  # of it from open runs
    cover: Mapped[int | None]  # days that the stock lasts
    gone_on: Mapped[date | None]  # when it most likely runs out, nothing done
    price: Mapped[Decimal | None] = mapped_column(Numeric(14, 2))  # of one unit, shop's currency

    item: Mapped[Item] = relationship(lazy="raise_on_sql", foreign_keys=[item_id])


class PlanEvent(ShopScoped, db.Model):
    """Demand of an item (null: of all items) is `factor` times the usual on these days, both included."""

    __tablename__ = "plan_event"
    __table_args__ = (
        CheckConstraint("until >= since", name="days_in_order"),
        CheckConstraint("factor > 0 AND factor <= 100", name="factor_possible"),
        Index("ix_plan_event_days", "shop_id", "since"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int | None] = mapped_column(ForeignKey("item.id"))
    name: Mapped[str] = mapped_column(Text)
    since: Mapped[date]
    until: Mapped[date]
    factor: Mapped[Decimal] = mapped_column(Numeric(8, 3))
    created_at: Mapped[datetime]


class StockOut(ShopScoped, db.Model):
    """The item had nothing to sell on these days, both included; `until` null: it still has nothing. At most one open per item."""

    __tablename__ = "stock_out"
    __table_args__ = (
        CheckConstraint("until >= since", name="days_in_order"),
        Index("uq_stock_out_open", "item_id", unique=True, postgresql_where=text("until IS NULL")),
        Index("ix_stock_out_item", "item_id", "since"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"))
    since: Mapped[date]
    until: Mapped[date | None]
    is_by_hand: Mapped[bool] = mapped_column(default=False)


class Suggestion(ShopScoped, db.Model):
    """Make or order `quantity` of the item. An item has at most one that has not ended; it ends (`withdrawn`) when it is no longer true.

    `drafted`, `ordered`: somebody acted, and it waits for what was made or ordered to arrive. `dismissed`: not shown until it was untrue once.
    """

    __tablename__ = "suggestion"
    __table_args__ = (
        Index("uq_suggestion_current", "item_id", unique=True, postgresql_where=text("ended_at IS NULL")),
        Index("ix_suggestion_current", "shop_id", "state", postgresql_where=text("ended_at IS NULL")),
        CheckConstraint(f"state IN {STATES}", name="state_known"),
        CheckConstraint("quantity > 0", name="quantity_positive"),
        CheckConstraint("(state = 'withdrawn') = (ended_at IS NOT NULL)", name="withdrawn_has_ended"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"))
    state: Mapped[str] = mapped_column(Text, default=OPEN)
    quantity: Mapped[int] = mapped_column(BigInteger)  # units
    trigger: Mapped[str] = mapped_column(Text)  # ours | shopify: whose number reached the reorder point
    facts: Mapped[dict[str, Any]] = mapped_column(default=dict)  # what it was reckoned from, for its words
    loss: Mapped[Decimal | None] = mapped_column(Numeric(14, 2))  # a day, once nothing is left; shop's currency
    gone_on: Mapped[date | None]
    act_by: Mapped[date]
    made_at: Mapped[datetime]
    changed_at: Mapped[datetime]
    snoozed_until: Mapped[date | None]
    reason: Mapped[str] = mapped_column(Text, default="")  # why it was dismissed
    settled_by: Mapped[str | None] = mapped_column(Text)
    run_id: Mapped[int | None] = mapped_column(ForeignKey("production_run.id"))
    purchase_id: Mapped[int | None] = mapped_column(ForeignKey("purchase.id"))
    ended_at: Mapped[datetime | None]

    item: Mapped[Item] = relationship(lazy="raise_on_sql")
    run: Mapped[ProductionRun | None] = relationship(lazy="raise_on_sql")
    purchase: Mapped[Purchase | None] = relationship(lazy="raise_on_sql")


class Purchase(ShopScoped, db.Model):
    """So much of an ingredient or of a partner's goods was ordered and should come on `due_on`. What was received since counts for
    the oldest one that was not full or closed by then; where it stands on a partner order (`stock_request_id`), that one says what is still
    to come. `closed_at`: nothing more is expected."""

    __tablename__ = "purchase"
    __table_args__ = (
        CheckConstraint("quantity > 0", name="quantity_positive"),
        Index("ix_purchase_open", "shop_id", "item_id", postgresql_where=text("closed_at IS NULL")),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"))
    supplier: Mapped[str] = mapped_column(Text, default="")
    quantity: Mapped[int] = mapped_column(BigInteger)  # units; of an ingredient its smallest amounts
    ordered_at: Mapped[datetime]
    ordered_by: Mapped[str] = mapped_column(Text)
    due_on: Mapped[date]
    stock_request_id: Mapped[int | None] = mapped_column(ForeignKey("stock_request.id", ondelete="SET NULL"))
    closed_at: Mapped[datetime | None]

    item: Mapped[Item] = relationship(lazy="raise_on_sql")
    stock_request: Mapped[StockRequest | None] = relationship(lazy="raise_on_sql")


class PlanState(ShopScoped, db.Model):
    """What planning did last for the shop."""

    __tablename__ = "plan_state"
    __table_args__ = (UniqueConstraint("shop_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    replanned_on: Mapped[date | None]  # all items, on this day of the shop's
    replanned_at: Mapped[datetime | None]
    digest_on: Mapped[date | None]
    digest_said: Mapped[str | None] = mapped_column(
        Text
    )  # what the last digest told: item -> [1 if sold out, quantity]


class PlanMail(ShopScoped, db.Model):
    """A mail to be sent. Gone out when `sent_at` is set; after some tries it is given up with its cause."""

    __tablename__ = "plan_mail"
    __table_args__ = (
        Index("ix_plan_mail_due", "shop_id", postgresql_where=text("sent_at IS NULL AND given_up_at IS NULL")),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(Text)  # digest | sold_out | test
    item_id: Mapped[int | None] = mapped_column(ForeignKey("item.id"))
    recipients: Mapped[list[Any]] = mapped_column(default=list)
    subject: Mapped[str] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    next_try_at: Mapped[datetime]
    tries: Mapped[int] = mapped_column(default=0)
    sent_at: Mapped[datetime | None]
    given_up_at: Mapped[datetime | None]
    cause: Mapped[str | None] = mapped_column(Text)
