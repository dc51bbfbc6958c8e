"""Lots, moves, balances."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from occ_app.catalog.models import Item
from occ_app.extensions import ShopScoped, db

IS_PHYSICAL = "place IN ('completed', 'packaged', 'in_review', 'released', 'on_hold', 'committed', 'reserved') OR place LIKE 'allocated:%'"
IS_VIRTUAL = "place IN ('production', 'supplier', 'shipped', 'scrap', 'correction', 'opening', 'backorder', 'partner')"


class Lot(ShopScoped, db.Model):
    """Units of one item finished together. Its status is where its units are (see Balance); `expires_on` is the first day it may
    no longer be sold, in the shop's time zone."""

    __tablename__ = "lot"
    __table_args__ = (
        UniqueConstraint("shop_id", "lot_number"),
        Index("ix_lot_item_expiry", "item_id", "expires_on"),
        CheckConstraint("expires_on IS NULL OR made_on IS NULL OR expires_on > made_on", name="expires_after_made"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"))
    lot_number: Mapped[str] = mapped_column(Text)
    made_on: Mapped[date | None]
    expires_on: Mapped[date | None]
    recalled_at: Mapped[datetime | None]
    created_at: Mapped[datetime]

    item: Mapped[Item] = relationship(lazy="raise_on_sql")


class StockMove(ShopScoped, db.Model):
    """`quantity` units went from one place to another. Rows are only ever added (a trigger refuses change and removal,
    but for the erasure of a whole shop). `source` names the cause, once per shop."""

    __tablename__ = "stock_move"
    __table_args__ = (
        UniqueConstraint("shop_id", "source"),
        CheckConstraint("quantity > 0", name="quantity_positive"),
        CheckConstraint("from_place <> to_place", name="places_differ"),
        Index("ix_stock_move_item", "item_id", "id"),
        Index("ix_stock_move_lot", "lot_id", "id"),
        Index("ix_stock_move_source_prefix", "shop_id", "source", postgresql_ops={"source": "text_pattern_ops"}),
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"))
    lot_id: Mapped[int | None] = mapped_column(ForeignKey("lot.id"))
    location_id: Mapped[int] = mapped_column(ForeignKey("location.id"))
    from_place: Mapped[str] = mapped_column(Text)
    to_place: Mapped[str] = mapped_column(Text)
    quantity: Mapped[int] = mapped_column(BigInteger)  # units of the item
    reason: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(Text)  # a person's id or name, or the part of the app that did it
    moved_at: Mapped[datetime]


class Balance(ShopScoped, db.Model):
    """How many units of an item (of a lot, or of none) are at a place of a location: the sum of the moves, kept in their transaction.

    Physical places never go below zero; the database refuses it.
    """

    __tablename__ = "balance"
    __table_args__ = (
        UniqueConstraint("item_id", "location_id", "place", "lot_id", postgresql_nulls_not_distinct=True),
        CheckConstraint(f"({IS_VIRTUAL}) OR ({IS_PHYSICAL})", name="place_known"),
        CheckConstraint(f"NOT ({IS_PHYSICAL}) OR quantity >= 0", name="physical_not_negative"),
        Index("ix_balance_lot", "lot_id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"))
    lot_id: Mapped[int | None] = mapped_column(ForeignKey("lot.id"))
    location_id: Mapped[int] = mapped_column(ForeignKey("location.id"))
    place: Mapped[str] = mapped_column(Text)
    quantity: Mapped[int] = mapped_column(BigInteger)  # units of the item
