"""Channels, the rules by which stock is split between them, and what was moved between them; market days; units given away."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from occ_app.catalog.models import Item
from occ_app.extensions import ShopScoped, db


class OwnChannel(ShopScoped, db.Model):
    """A channel that the shop made beside the five that there always are. Its key is part of a place's name and never changes."""

    __tablename__ = "own_channel"
    __table_args__ = (
        UniqueConstraint("shop_id", "key"),
        CheckConstraint("key ~ '^[a-z0-9][a-z0-9-]{0,29}$'", name="key_form"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]


class AllocationRule(ShopScoped, db.Model):
    """What a channel claims of an item at a location. One of: so many units (`fixed`), a share of all that is there, or the rest.

    When stock is short, rules are filled by `position`: every floor first, then every claim; the rest takes what is left.
    """

    __tablename__ = "allocation_rule"
    __table_args__ = (
        UniqueConstraint("item_id", "location_id", "channel"),
        CheckConstraint("num_nonnulls(fixed, share_percent) + takes_rest::int = 1", name="one_claim"),
        CheckConstraint("fixed >= 0", name="fixed_not_negative"),
        CheckConstraint("share_percent BETWEEN 0 AND 100", name="share_is_percent"),
        CheckConstraint("floor >= 0 AND (ceiling IS NULL OR ceiling >= floor)", name="floor_below_ceiling"),
        Index("ix_allocation_rule_give_back", "shop_id", "give_back_on"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"))
    location_id: Mapped[int] = mapped_column(ForeignKey("location.id"))
    channel: Mapped[str] = mapped_column(Text)
    position: Mapped[int] = mapped_column(default=0)
    fixed: Mapped[int | None] = mapped_column(BigInteger)  # units of the item
    share_percent: Mapped[int | None]
    takes_rest: Mapped[bool] = mapped_column(default=False)
    floor: Mapped[int] = mapped_column(BigInteger, default=0)  # units
    ceiling: Mapped[int | None] = mapped_column(BigInteger)  # units
    give_back_on: Mapped[date | None]  # in the shop's time zone: then what is unsold goes back and the rule ends

    item: Mapped[Item] = relationship(lazy="raise_on_sql")


class AllocationChange(ShopScoped, db.Model):
    """Units went from channel to channel. Its moves name it in their source (`allocate:<item>:<id>:...`).

    `before` and `after`: channel -> units, those that changed only.
    """

    __tablename__ = "allocation_change"
    __table_args__ = (
        Index("ix_allocation_change_item", "item_id", "id"),
        UniqueConstraint("undoes_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"))
    location_id: Mapped[int] = mapped_column(ForeignKey("location.id"))
    cause: Mapped[str] = mapped_column(Text)  # moved, released, rules, give_back, split, pool, market, undo
    before: Mapped[dict[str, Any]] = mapped_column(default=dict)
    after: Mapped[dict[str, Any]] = mapped_column(default=dict)
    note: Mapped[str] = mapped_column(Text, default="")
    actor: Mapped[str] = mapped_column(Text)
    changed_at: Mapped[datetime]
    undoes_id: Mapped[int | None] = mapped_column(ForeignKey("allocation_change.id"))


class MarketDay(ShopScoped, db.Model):
    """A day at a market: units go out, some are sold there, the others come back and are counted."""

    __tablename__ = "market_day"
    __table_args__ = (Index("ix_market_day_recent", "shop_id", "held_on"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    held_on: Mapped[date]
    location_id: Mapped[int] = mapped_column(ForeignKey("location.id"))
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(Text)
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[str | None] = mapped_column(Text)

    lines: Mapped[list[MarketLine]] = relationship(order_by="MarketLine.id", lazy="raise_on_sql")


class MarketLine(ShopScoped, db.Model):
    """Of one item: so many units went out; when the day is closed, so many came back, so many were sold, the others are missing."""

    __tablename__ = "market_line"
    __table_args__ = (
        UniqueConstraint("market_day_id", "item_id"),
        CheckConstraint("taken_out > 0", name="taken_positive"),
        CheckConstraint("back >= 0 AND sold >= 0 AND back + sold <= taken_out", name="counted_adds_up"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    market_day_id: Mapped[int] = mapped_column(ForeignKey("market_day.id"))
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"))
    taken_out: Mapped[int] = mapped_column(BigInteger)  # units, all three
    back: Mapped[int | None] = mapped_column(BigInteger)
    sold: Mapped[int | None] = mapped_column(BigInteger)

    item: Mapped[Item] = relationship(lazy="raise_on_sql")


class Handout(ShopScoped, db.Model):
    """Units that left without being sold: samples, or used in the house, and what for. Its moves name it (`handout:<id>:...`)."""

    __tablename__ = "handout"
    __table_args__ = (
        CheckConstraint("quantity > 0", name="quantity_positive"),
        Index("ix_handout_recent", "shop_id", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"))
    channel: Mapped[str] = mapped_column(Text)
    quantity: Mapped[int] = mapped_column(BigInteger)  # units
    purpose: Mapped[str] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(Text)
    given_at: Mapped[datetime]

    item: Mapped[Item] = relationship(lazy="raise_on_sql")
