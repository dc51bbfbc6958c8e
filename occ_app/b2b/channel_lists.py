"""Who holds what, as lists: split items, items in the pool, those that are short; and every change of stock as a log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, String, Subquery, and_, cast, exists, func, literal, or_, select, union_all
from sqlalchemy.orm import InstrumentedAttribute

from occ_app.catalog.models import PRODUCT, Item, Mapping
from occ_app.extensions import db
from occ_app.searching import contains
from occ_app.shops import settings
from occ_app.stock import allocations
from occ_app.stock.channel_models import AllocationRule
from occ_app.stock.models import Balance, StockMove
from occ_app.stock.rules import RELEASED
from occ_app.stock.splits import ALLOCATION, shop
from occ_app.sync.models import APPLIED, PushLine

VIEWS = {"split": "Split", "pool": "Pool", "short": "Short"}
LOG_COLUMNS = ("at", "sku", "item", "channel", "cause", "change", "from", "to", "actor", "source")
MOST_LINES_OF_A_FILE = 100_000
CAUSES = {
    "allocate": "Moved between channels",
    "order_take": "Ordered",
    "order_restock": "Given back by an order",
    "order_ship": "Shipped",
    "release": "Released",
    "market_out": "Taken to a market",
    "market_back": "Back from a market",
    "market_sale": "Sold at a market",
    "handout": "Given away",
    "correction": "Correction",
    "count": "Counted",
    "push": "Sent to Shopify",
}


@dataclass(frozen=True)
class Row:
    """One item and what each channel holds of it."""

    item: Item
    amounts: dict[str, int]
    rules: Sequence[AllocationRule]

    @property
    def total(self) -> int:
        """All of it that channels hold."""
        return sum(units for name, units in self.amounts.items() if name != RELEASED)

    @property
    def short(self) -> dict[str, int]:
        """Channel -> units that it has fewer than its rule says."""
        missing = {rule.channel: _wanted(rule) - self.amounts.get(rule.channel, 0) for rule in self.rules}
        return {channel: units for channel, units in missing.items() if units > 0}


def _wanted(rule: AllocationRule) -> int:
    fixed = rule.fixed or 0
    return max(rule.floor, fixed if rule.ceiling is None else min(fixed, rule.ceiling))


def _is_split() -> ColumnElement[bool]:
    everybody = settings.get(shop(), "sync_mode") == ALLOCATION
    return or_(Item.sync_mode == ALLOCATION, Item.sync_mode.is_(None)) if everybody else Item.sync_mode == ALLOCATION


def _is_short(location_id: int) -> ColumnElement[bool]:
    held = (
        select(func.coalesce(func.sum(Balance.quantity), 0))
        .where(
            Balance.item_id == AllocationRule.item_id,
            Balance.location_id == AllocationRule.location_id,
            Balance.place == func.concat("allocated:", AllocationRule.channel),
        )
        .correlate(AllocationRule)
        .scalar_subquery()
    )
    fixed = func.least(func.coalesce(AllocationRule.fixed, 0), AllocationRule.ceiling)
    return exists().where(
        AllocationRule.item_id == Item.id,
        AllocationRule.location_id == location_id,
        func.greatest(AllocationRule.floor, fixed) > held,
    )


def _conditions(view: str, location_id: int) -> tuple[ColumnElement[bool], ...]:
    is_split = func.coalesce(_is_split(), False)
    of_view = {"split": is_split, "pool": ~is_split, "short": and_(is_split, _is_short(location_id))}
    return (Item.kind == PRODUCT, Item.archived_at.is_(None), of_view[view])


def counts(location_id: int) -> dict[str, int]:
    """View -> number of items."""
    count = select(func.count()).select_from(Item)
    return {view: db.session.scalar(count.where(*_conditions(view, location_id))) or 0 for view in VIEWS}


def items(view: str, q: str, location_id: int, *, limit: int, offset: int) -> tuple[list[Row], int]:
    """One page of items, and how many there are in all."""
    where = [*_conditions(view, location_id)]
    if q:
        where.append(contains(q, Item.name, Item.sku))
    total = db.session.scalar(select(func.count()).select_from(Item).where(*where)) or 0
    query = select(Item).where(*where).order_by(Item.name, Item.id).limit(limit).offset(offset)
    return rows(db.session.scalars(query).all(), location_id), total


def rows(found: Sequence[Item], location_id: int) -> list[Row]:
    """These items with what each channel holds; a fixed number of statements."""
    ids = [item.id for item in found]
    amounts = allocations.amounts_of(ids, location_id)
    rules: dict[int, list[AllocationRule]] = {}
    query = select(AllocationRule).where(AllocationRule.item_id.in_(ids), AllocationRule.location_id == location_id)
    for rule in db.session.scalars(query.order_by(AllocationRule.position, AllocationRule.id)):
        rules.setdefault(rule.item_id, []).append(rule)
    return [Row(item, amounts.get(item.id, {}), rules.get(item.id, ())) for item in found]


def sums() -> dict[str, int]:
    """Channel -> units that it holds of all products, at all locations; `released`: what is free for everybody."""
    query = (
        select(Balance.place, func.sum(Balance.quantity))
        .join(Item, Item.id == Balance.item_id)
        .where(Item.kind == PRODUCT, Balance.place.startswith("allocated:") | (Balance.place == RELEASED))
        .group_by(Balance.place)
    )
    return {place.removeprefix("allocated:"): int(units) for place, units in db.session.execute(query)}


# The log --------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Change:
    """One line of the log. `change`: signed units of the channel; of a push, variant units of Shopify's number."""

    at: datetime
    item_id: int
    channel: str
    cause: str
    change: int
    from_: str
    to: str
    actor: str
    source: str


def _log(item_id: int | None, channel: str, cause: str) -> Subquery:
    """Moves into and out of channels and the pool, and what was sent to Shopify, as one list."""
    sides = []
    for place, sign in ((StockMove.to_place, 1), (StockMove.from_place, -1)):
        side = select(
            StockMove.moved_at.label("at"),
            StockMove.item_id.label("item_id"),
            func.replace(place, "allocated:", "").label("channel"),
            StockMove.reason.label("cause"),
            (sign * StockMove.quantity).label("change"),
            StockMove.from_place.label("from_"),
            StockMove.to_place.label("to"),
            StockMove.actor.label("actor"),
            StockMove.source.label("source"),
            StockMove.id.label("number"),
        ).where(
            place == channel
            if channel == RELEASED
            else place == f"allocated:{channel}"
            if channel
            else _of_channels(place)
        )
        side = side.where(StockMove.item_id == item_id) if item_id is not None else side
        sides.append(side.where(StockMove.reason == cause) if cause else side)
    pushed = (
        select(
            func.coalesce(PushLine.settled_at, PushLine.created_at),
            Mapping.item_id,
            literal("shopify"),
            literal("push"),
            PushLine.quantity - PushLine.change_from,
            cast(PushLine.change_from, String),
            cast(PushLine.quantity, String),
            literal("sync"),
            func.concat("push_line:", PushLine.id),
            PushLine.id,
        )
        .join(Mapping, Mapping.id == PushLine.mapping_id)
        .where(PushLine.state == APPLIED)
    )
    if item_id is not None:
        pushed = pushed.where(Mapping.item_id == item_id)
    parts = sides if cause not in ("", "push") or channel not in ("", "shopify") else [*sides, pushed]
    return union_all(*parts).subquery("log")


def _of_channels(place: InstrumentedAttribute[str]) -> ColumnElement[bool]:
    return or_(place.startswith("allocated:"), place == RELEASED)


def log(item_id: int | None, channel: str, cause: str, *, limit: int, offset: int = 0) -> list[Change]:
    """Changes of what channels hold, and what was sent to Shopify, newest first."""
    lines = _log(item_id, channel, cause)
    query = select(lines).order_by(lines.c.at.desc(), lines.c.number.desc(), lines.c.change).limit(limit).offset(offset)
    return [Change(*row[:-1]) for row in db.session.execute(query)]


def count_log(item_id: int | None, channel: str, cause: str) -> int:
    """How many changes that is."""
    return db.session.scalar(select(func.count()).select_from(_log(item_id, channel, cause))) or 0


def log_rows(item_id: int | None, channel: str, cause: str) -> Iterator[list[Any]]:
    """The log as lines of a file; see LOG_COLUMNS."""
    found = log(item_id, channel, cause, limit=MOST_LINES_OF_A_FILE)
    known = items_of(found)
    for one in found:
        item = known[one.item_id]
        facts = (one.channel, one.cause, one.change, one.from_, one.to, one.actor, one.source)
        yield [one.at.isoformat(), item.sku, item.name, *facts]


def items_of(found: Sequence[Change]) -> dict[int, Item]:
    """The items that these changes are about."""
    ids = {one.item_id for one in found}
    return {item.id: item for item in db.session.scalars(select(Item).where(Item.id.in_(ids)))}
