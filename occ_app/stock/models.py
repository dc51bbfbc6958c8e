"""Lots, moves, balances."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    Numeric,
    Text,
    UniqueConstraint,
    text,
)
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


PASS_FAIL, NUMBER = "pass_fail", "number"


class QualityCheck(ShopScoped, db.Model):
    """What is looked at in each lot of an item before it may be sold. What is measured is never changed: the check ends, and another
    takes its place, so that a result is always read with the limits it was measured against."""

    __tablename__ = "quality_check"
    __table_args__ = (
        Index("ix_quality_check_item", "item_id", "position"),
        Index(
            "uq_quality_check_name",
            "item_id",
            text("lower(name)"),
            unique=True,
            postgresql_where=text("ended_at IS NULL"),
        ),
        CheckConstraint(f"kind IN {(PASS_FAIL, NUMBER)}", name="kind_known"),
        CheckConstraint("least <= most", name="limits_in_order"),
        CheckConstraint("kind = 'number' OR (least IS NULL AND most IS NULL)", name="only_numbers_have_limits"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"))
    position: Mapped[int]
    name: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    unit: Mapped[str] = mapped_column(Text, default="")  # of the number, as people write it: g, pH, °C
    least: Mapped[Decimal | None] = mapped_column(Numeric(16, 4))
    most: Mapped[Decimal | None] = mapped_column(Numeric(16, 4))
    is_required: Mapped[bool] = mapped_column(default=True)  # without a passed result the lot is not released
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class CheckResult(ShopScoped, db.Model):
    """What somebody saw when checking a lot. Rows are only added: of one check the newest counts."""

    __tablename__ = "check_result"
    __table_args__ = (Index("ix_check_result_lot", "lot_id", "check_id", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    lot_id: Mapped[int] = mapped_column(ForeignKey("lot.id"))
    check_id: Mapped[int] = mapped_column(ForeignKey("quality_check.id"))
    is_passed: Mapped[bool]
    number: Mapped[Decimal | None] = mapped_column(Numeric(16, 4))
    note: Mapped[str] = mapped_column(Text, default="")
    photo_type: Mapped[str | None] = mapped_column(Text)  # image/jpeg, image/png, image/webp; null: no photo
    actor: Mapped[str] = mapped_column(Text)
    checked_at: Mapped[datetime]


class CheckPhoto(ShopScoped, db.Model):
    """The photo of a result, apart from it so that lists of results stay light."""

    __tablename__ = "check_photo"

    result_id: Mapped[int] = mapped_column(ForeignKey("check_result.id"), primary_key=True)
    content: Mapped[bytes] = mapped_column(LargeBinary)


class LotDecision(ShopScoped, db.Model):
    """What somebody decided about units of a lot that stood at `from_place`, and why: so many released, held, scrapped, or taken back
    to review. `overruled`: the reason for a release against its checks. Its moves name it in their source."""

    __tablename__ = "lot_decision"
    __table_args__ = (
        Index("ix_lot_decision_lot", "lot_id", "id"),
        CheckConstraint(
            "released >= 0 AND held >= 0 AND scrapped >= 0 AND taken_back >= 0"
            " AND released + held + scrapped + taken_back > 0",
            name="units_decided",
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    lot_id: Mapped[int] = mapped_column(ForeignKey("lot.id"))
    from_place: Mapped[str] = mapped_column(Text)
    released: Mapped[int] = mapped_column(BigInteger, default=0)  # all four: units of the item
    held: Mapped[int] = mapped_column(BigInteger, default=0)
    scrapped: Mapped[int] = mapped_column(BigInteger, default=0)
    taken_back: Mapped[int] = mapped_column(BigInteger, default=0)
    note: Mapped[str] = mapped_column(Text, default="")
    overruled: Mapped[str | None] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(Text)
    decided_at: Mapped[datetime]
