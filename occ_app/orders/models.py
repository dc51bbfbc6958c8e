"""Orders and their lines, with what was booked of each."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Numeric, Text, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from occ_app.extensions import ShopScoped, db


class Order(ShopScoped, db.Model):
    """An order of the store as last read. `changed_at` is Shopify's updatedAt (whole seconds); a snapshot older than it is ignored.

    `due_at` set: news of it came, and it is to be read and booked.
    """

    __tablename__ = "customer_order"
    __table_args__ = (
        UniqueConstraint("shop_id", "order_gid"),
        Index("ix_customer_order_due", "shop_id", postgresql_where=text("due_at IS NOT NULL")),
        Index("ix_customer_order_recent", "shop_id", "placed_at"),
        Index("ix_customer_order_booked", "shop_id", text("coalesce(booked_at, due_at, placed_at, news_of)"), "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    order_gid: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text, default="")  # "#1001"
    placed_at: Mapped[datetime | None]  # null until it was first read
    changed_at: Mapped[datetime | None]
    cancelled_at: Mapped[datetime | None]
    financial_status: Mapped[str] = mapped_column(Text, default="")
    fulfillment_status: Mapped[str] = mapped_column(Text, default="")
    currency: Mapped[str] = mapped_column(Text, default="")
    is_test: Mapped[bool] = mapped_column(default=False)
    is_b2b: Mapped[bool] = mapped_column(default=False, server_default=text("false"))  # a business bought, by its tags
    is_on_hold: Mapped[bool] = mapped_column(default=False, server_default=false())  # some of it may not be fulfilled
    risk: Mapped[str] = mapped_column(
        Text, default="", server_default=""
    )  # Shopify's recommendation: ACCEPT, INVESTIGATE, CANCEL, NONE
    news_of: Mapped[datetime | None]  # the newest state (Shopify's updatedAt) that news has told of
    due_at: Mapped[datetime | None]
    tries: Mapped[int] = mapped_column(default=0)
    next_try_at: Mapped[datetime | None]
    cause: Mapped[str | None] = mapped_column(Text)  # why reading or booking failed last, in plain words
    booked_at: Mapped[datetime | None]

    lines: Mapped[list[OrderLine]] = relationship(back_populates="order", order_by="OrderLine.id", lazy="raise_on_sql")


class OrderLine(ShopScoped, db.Model):
    """A line of an order. All quantities are variant units and only ever describe the whole life of the line.

    Booked: `taken` left the sellable stock, of which `restocked` came back unshipped, `lost` left without being restocked, `shipped` went
    out, and `returned` of those came back for sale. taken = restocked + lost + shipped + still committed.
    """

    __tablename__ = "order_line"
    __table_args__ = (
        UniqueConstraint("shop_id", "line_gid"),
        CheckConstraint("taken >= restocked + lost + shipped", name="booked_adds_up"),
        CheckConstraint("returned <= shipped", name="returned_was_shipped"),
        Index("ix_order_line_order", "order_id"),
        Index("ix_order_line_mapping", "mapping_id"),
        Index("ix_order_line_number", "shop_id", "line_number"),  # how the sources of moves name a line
        Index("ix_order_line_waiting", "shop_id", "variant_gid", postgresql_where=text("waits_for_mapping")),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("customer_order.id"))
    line_gid: Mapped[str] = mapped_column(Text)
    line_number: Mapped[int] = mapped_column(BigInteger)  # numeric id, used in sources of moves
    variant_gid: Mapped[str | None] = mapped_column(Text)  # null: no product behind it (tip, gift card, custom line)
    location_gid: Mapped[str | None] = mapped_column(Text)  # where Shopify takes it from
    sku: Mapped[str] = mapped_column(Text, default="")
    title: Mapped[str] = mapped_column(Text, default="")
    quantity: Mapped[int]
    unit_price: Mapped[Decimal | None] = mapped_column(Numeric(14, 2))  # after all discounts, when it was first read
    mapping_id: Mapped[int | None] = mapped_column(ForeignKey("mapping.id"))  # the mapping it was booked through; stays
    units_per_variant: Mapped[int] = mapped_column(default=1)  # of that mapping, when it was first booked
    waits_for_mapping: Mapped[bool] = mapped_column(default=False)
    taken: Mapped[int] = mapped_column(default=0)
    restocked: Mapped[int] = mapped_column(default=0)
    lost: Mapped[int] = mapped_column(default=0)
    shipped: Mapped[int] = mapped_column(default=0)
    returned: Mapped[int] = mapped_column(default=0)
    # Units of the item sold without having been there, not yet filled.
    short: Mapped[int] = mapped_column(BigInteger, default=0)
    # Units of the item taken from a partner's stock, less what was given back to it.
    from_partner: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    bookings: Mapped[int] = mapped_column(default=0)  # how often something was booked: numbers the sources

    order: Mapped[Order] = relationship(back_populates="lines", lazy="raise_on_sql")
