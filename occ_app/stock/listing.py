"""Lots as lists: what is where, what comes next, what expires soon and what it sells for. Each in a fixed number of statements."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Select, func, or_, select

from occ_app.catalog.models import PRODUCT, Item, Mapping, Variant
from occ_app.extensions import db
from occ_app.searching import contains
from occ_app.stock.models import Balance, Lot, StockMove
from occ_app.stock.rules import COMPLETED, IN_REVIEW, LOT_PLACES, ON_HOLD, PACKAGED, RELEASED

VIEWS = ("open", "package", "review", "released", "hold", "expiring", "all")
SORTS = ("newest", "expires")
CostSource = Callable[[Collection[int]], dict[int, Decimal]]
_costs: list[CostSource] = []


def cost_comes_from(source: CostSource) -> None:
    """`source` knows what one unit of a lot cost to make: lot ids -> those that have a known cost."""
    _costs[:] = [source]


@dataclass(frozen=True)
class Row:
    """A lot with its item, where its units are (place -> units), how many were made, and what one sells for and cost, where that is known."""

    lot: Lot
    item: Item
    places: dict[str, int]
    made: int
    price: Decimal | None
    cost: Decimal | None = None

    @property
    def here(self) -> int:
        """Units that are still on the shelf."""
        return sum(units for place, units in self.places.items() if is_here(place))

    @property
    def worth(self) -> Decimal | None:
        """What the units on the shelf sell for; None where the item is mapped to no variant with a price."""
        return None if self.price is None else (self.price * self.here).quantize(Decimal("0.01"))

    @property
    def at_cost(self) -> Decimal | None:
        """What the units on the shelf cost to make; None where that is not known."""
        return None if self.cost is None else (self.cost * self.here).quantize(Decimal("0.01"))


@dataclass(frozen=True)
class Expiring:
    """Units on the shelf that expire soon (or have), of how many lots, and what those with a price sell for."""

    units: int
    lots: int
    worth: Decimal | None


@dataclass(frozen=True)
class Cost:
    """What units cost to make, and how many there are besides whose cost is not known."""

    amount: Decimal
    unknown: int


def is_here(place: str) -> bool:
    """Whether units at `place` are on the shelf: neither sold nor gone."""
    return place in LOT_PLACES or place.startswith("allocated:")


def _on_shelf() -> ColumnElement[bool]:
    return (Balance.quantity > 0) & or_(Balance.place.in_(LOT_PLACES), Balance.place.startswith("allocated:"))


def _of_view(view: str, today: date, days: int) -> ColumnElement[bool] | None:
    """Which lots the view shows; None: all."""
    if view == "all":
        return None
    places = {
        "package": (COMPLETED,),
        "review": (COMPLETED, PACKAGED, IN_REVIEW),
        "released": (RELEASED,),
        "hold": (ON_HOLD,),
    }
    where = Balance.place.in_(places[view]) & (Balance.quantity > 0) if view in places else _on_shelf()
    standing = Lot.id.in_(select(Balance.lot_id).where(where, Balance.lot_id.is_not(None)))
    return standing & (Lot.expires_on <= today + timedelta(days=days)) if view == "expiring" else standing


def find(
    view: str, q: str, sort: str, *, review_places: Sequence[str], today: date, days: int, limit: int, offset: int
) -> tuple[list[Row], int]:
    """The lots of products that the view shows, and how many there are in all. `review_places`: where units wait for a decision."""
    query = select(Lot, Item).join(Item, Item.id == Lot.item_id).where(Item.kind == PRODUCT)
    condition = _of_view(view, today, days)
    if view == "review":
        here = Balance.place.in_(review_places) & (Balance.quantity > 0)
        condition = Lot.id.in_(select(Balance.lot_id).where(here, Balance.lot_id.is_not(None)))
    if condition is not None:
        query = query.where(condition)
    if q:
        query = query.where(contains(q, Lot.lot_number, Item.name, Item.sku))
    total = db.session.scalar(select(func.count()).select_from(query.subquery())) or 0
    by_expiry = sort == "expires" or view == "expiring"
    order = (Lot.expires_on.asc().nulls_last(), Lot.id) if by_expiry else (Lot.id.desc(),)
    found = db.session.execute(query.order_by(*order).limit(limit).offset(offset)).all()
    return _rows([(row[0], row[1]) for row in found]), total


def costs_of(lot_ids: Collection[int]) -> dict[int, Decimal]:
    """What one unit of each of these lots cost to make; those not known are left out."""
    return _costs[0](lot_ids) if _costs and lot_ids else {}


def with_costs(rows: Sequence[Row], known: dict[int, Decimal] | None = None) -> list[Row]:
    """The rows with what a unit of each lot cost to make."""
    costs = costs_of([row.lot.id for row in rows]) if known is None else known
    return [replace(row, cost=costs.get(row.lot.id)) for row in rows]


def of_ids(lot_ids: Iterable[int]) -> list[Row]:
    """These lots of the shop, in their order."""
    wanted = list(dict.fromkeys(lot_ids))
    query = select(Lot, Item).join(Item, Item.id == Lot.item_id).where(Lot.id.in_(wanted))
    rows = {row.lot.id: row for row in _rows([(found[0], found[1]) for found in db.session.execute(query)])}
    return [rows[lot_id] for lot_id in wanted if lot_id in rows]


def _rows(found: Sequence[tuple[Lot, Item]]) -> list[Row]:
    ids = [lot.id for lot, _ in found]
    places, made = standing(ids), made_of(ids)
    prices = prices_of({item.id for _, item in found})
    return [Row(lot, item, places.get(lot.id, {}), made.get(lot.id, 0), prices.get(item.id)) for lot, item in found]


def standing(lot_ids: Sequence[int]) -> dict[int, dict[str, int]]:
    """Lot id -> place -> units, all locations together, in the order of a lot's life."""
    query = (
        select(Balance.lot_id, Balance.place, func.sum(Balance.quantity))
        .where(Balance.lot_id.in_(lot_ids), Balance.quantity > 0)
        .group_by(Balance.lot_id, Balance.place)
    )
    found: dict[int, dict[str, int]] = {}
    for lot_id, place, units in sorted(db.session.execute(query), key=lambda row: _rank(row[1])):
        found.setdefault(lot_id, {})[place] = int(units)
    return found


def _rank(place: str) -> tuple[int, str]:
    order = (RELEASED, IN_REVIEW, PACKAGED, COMPLETED, ON_HOLD)
    return (order.index(place) if place in order else len(order) + (not is_here(place)), place)


def made_of(lot_ids: Sequence[int]) -> dict[int, int]:
    """Lot id -> units that it was made with: the moves that its making names, one for each place where it began."""
    made = StockMove.lot_id.in_(list(lot_ids)) & StockMove.source.like("lot:%:made%")
    query = select(StockMove.lot_id, func.sum(StockMove.quantity)).where(made).group_by(StockMove.lot_id)
    return {lot_id: int(units) for lot_id, units in db.session.execute(query) if lot_id is not None}


def prices_of(item_ids: Iterable[int]) -> dict[int, Decimal]:
    """Item id -> what one unit sells for: the least that any of its variants asks for one."""
    query = _prices().where(Mapping.item_id.in_(list(item_ids)))
    return {row[0]: row[1] for row in db.session.execute(query)}


def _prices() -> Select[Any]:
    return (
        select(Mapping.item_id, func.min(Variant.price / Mapping.units_per_variant).label("price"))
        .join(Variant, Variant.id == Mapping.variant_id)
        .where(Mapping.ended_at.is_(None), Variant.price.is_not(None))
        .group_by(Mapping.item_id)
    )


@dataclass(frozen=True)
class Sum:
    """Units at a place, of how many lots, the oldest made on that day."""

    units: int
    lots: int
    oldest: date | None


def sums() -> dict[str, Sum]:
    """Place -> what lots of products have there. One statement."""
    query = (
        select(Balance.place, func.sum(Balance.quantity), func.count(Balance.lot_id.distinct()), func.min(Lot.made_on))
        .join(Lot, Lot.id == Balance.lot_id)
        .join(Item, Item.id == Lot.item_id)
        .where(Item.kind == PRODUCT, _on_shelf())
        .group_by(Balance.place)
    )
    return {place: Sum(int(units), count, oldest) for place, units, count, oldest in db.session.execute(query)}


def expiring(today: date, days: int) -> tuple[Expiring, Expiring]:
    """What expires within `days`, and what has expired and is still on the shelf. One statement."""
    price = _prices().subquery()
    is_gone = Lot.expires_on <= today
    query = (
        select(
            is_gone,
            func.sum(Balance.quantity),
            func.count(Lot.id.distinct()),
            func.sum(Balance.quantity * price.c.price),
        )
        .select_from(Balance)
        .join(Lot, Lot.id == Balance.lot_id)
        .join(Item, Item.id == Lot.item_id)
        .outerjoin(price, price.c.item_id == Item.id)
        .where(Item.kind == PRODUCT, _on_shelf(), Lot.expires_on <= today + timedelta(days=days))
        .group_by(is_gone)
    )
    found = {bool(row[0]): Expiring(int(row[1]), row[2], _money(row[3])) for row in db.session.execute(query)}
    nothing = Expiring(0, 0, None)
    return found.get(False, nothing), found.get(True, nothing)


def expiring_at_cost(today: date, days: int) -> tuple[Cost, Cost, dict[int, Decimal]]:
    """What it cost to make what expires within `days`, and what has expired and is still on the shelf; and a unit of each of these lots."""
    query = (
        select(Lot.id, Lot.expires_on <= today, func.sum(Balance.quantity))
        .join(Balance, Balance.lot_id == Lot.id)
        .join(Item, Item.id == Lot.item_id)
        .where(Item.kind == PRODUCT, _on_shelf(), Lot.expires_on <= today + timedelta(days=days))
        .group_by(Lot.id)
    )
    found = [(lot_id, bool(is_gone), int(units)) for lot_id, is_gone, units in db.session.execute(query)]
    known = costs_of([lot_id for lot_id, _, _ in found])

    def total(gone: bool) -> Cost:
        mine = [(known.get(lot_id), units) for lot_id, is_gone, units in found if is_gone == gone]
        amount = sum((cost * units for cost, units in mine if cost is not None), Decimal(0))
        return Cost(amount.quantize(Decimal("0.01")), sum(units for cost, units in mine if cost is None))

    return total(False), total(True), known


def _money(amount: Decimal | None) -> Decimal | None:
    return None if amount is None else Decimal(amount).quantize(Decimal("0.01"))
