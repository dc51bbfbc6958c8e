"""What there is of items and what comes: sellable units, Shopify's number, lots with their dates, open runs, purchases, prices."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal

from sqlalchemy import func, select
from sqlalchemy.orm import joinedload

from occ_app.catalog.models import INGREDIENT, PARTNER, Item, Mapping, Variant
from occ_app.extensions import db
from occ_app.planning.models import Purchase
from occ_app.production.models import DRAFT, IN_PROGRESS, PLANNED, Formula, ProductionRun
from occ_app.routing import stocking
from occ_app.stock import ledger
from occ_app.stock.models import StockMove
from occ_app.stock.rules import BACKORDER, COMPLETED, COUNTED, IN_REVIEW, PACKAGED, SUPPLIER, Holding, sellable
from occ_app.sync import targets
from occ_app.sync.models import SyncState

OPEN_RUNS = (DRAFT, PLANNED, IN_PROGRESS)


@dataclass
class Supply:
    """One item's supply, units. `shopify`: what Shopify will show when our pushes are there; None where some
    location of it is not linked. `lots`: (units, first day on
    which they may not be sold). `on_the_way`: units that still take steps to release. `theirs`: what a partner has for us of `sellable`, below
    zero where it owes. `price`: of one unit. `yield_quantity`: None without a formula."""

    item: Item
    sellable: int = 0
    shopify: int | None = None
    lots: list[tuple[int, date | None]] = field(default_factory=list)
    on_the_way: int = 0
    runs: list[ProductionRun] = field(default_factory=list)
    purchases: list[tuple[Purchase, int]] = field(default_factory=list)
    theirs: int = 0
    price: Decimal | None = None
    yield_quantity: int | None = None

    @property
    def stock(self) -> int:
        """What counts: our number, or Shopify's where that is less."""
        return self.sellable if self.shopify is None else min(self.sellable, self.shopify)

    def arrivals(self, today: date, lead_days: int) -> dict[date, int]:
        """Units that come, by day. Lots on their way to release are here tomorrow; a run without a day after its lead time."""
        found: dict[date, int] = defaultdict(int)
        if self.on_the_way:
            found[today + timedelta(days=1)] += self.on_the_way
        for run in self.runs:
            found[max(today, run.planned_on or today + timedelta(days=lead_days))] += run.planned_quantity
        for purchase, units in self.purchases:
            found[max(today, purchase.due_on)] += units
        return dict(found)

    @property
    def coming(self) -> int:
        """All units that come."""
        return self.on_the_way + sum(r.planned_quantity for r in self.runs) + sum(units for _, units in self.purchases)

    @property
    def ordered_beyond(self) -> int:
        """Units that we ordered for our stock and the partner did not have: our order took what it had off `theirs`, and below zero."""
        asked = sum(units for row, units in self.purchases if row.stock_request_id is not None)
        return max(0, asked - max(0, self.theirs + asked))

    @property
    def position(self) -> int:
        """All units that there are and that come, each once."""
        return self.stock + self.coming + self.ordered_beyond

    @property
    def replaceable(self) -> int:
        """Of the position what an order would take itself: the partner's own stock comes to us by being ordered, so it covers no part of it."""
        return max(0, self.theirs)


def of(items: Sequence[Item], today: date) -> dict[int, Supply]:
    """The supply of these items. Eight statements at most, whatever their number."""
    found = {item.id: Supply(item) for item in items}
    ids = list(found)
    _add_stock(found, today)
    _add_shopify(found, ids)
    runs = select(ProductionRun).where(ProductionRun.item_id.in_(ids), ProductionRun.state.in_(OPEN_RUNS))
    for run in db.session.scalars(runs.order_by(ProductionRun.planned_on.nulls_last(), ProductionRun.id)):
        found[run.item_id].runs.append(run)
    for purchase, units in open_purchases(ids):
        found[purchase.item_id].purchases.append((purchase, units))
    yields = select(Formula.item_id, Formula.yield_quantity).where(Formula.item_id.in_(ids), Formula.is_current)
    for item_id, quantity in db.session.execute(yields):
        found[item_id].yield_quantity = quantity
    return found


def _add_stock(found: dict[int, Supply], today: date) -> None:
    shop = targets.shop()
    held = ledger.holdings(found)
    elsewhere = targets.beside(supply.item for supply in found.values())
    for item_id, location_id in {*held, *elsewhere}:
        item, there = found[item_id].item, held.get((item_id, location_id), [])
        mode = targets.mode_of(item, shop)
        counted = [h for h in there if h.place in (*COUNTED[mode], BACKORDER, COMPLETED, PACKAGED, IN_REVIEW)]
        beside = elsewhere.get((item_id, location_id), [])
        if not counted and not beside:
            continue
        supply = found[item_id]
        supply.theirs += sellable(beside)
        units = sellable(targets.equation(item, there, shop, beside=beside))
        supply.sellable += units
        supply.lots += _lots(there, COUNTED[mode], units, today)
        steps = [p for p in (COMPLETED, PACKAGED, IN_REVIEW) if p not in COUNTED[mode]]
        supply.on_the_way += sum(
            h.quantity for h in there if h.place in steps and not h.is_recalled and not h.is_expired(today)
        )


def _lots(there: Iterable[Holding], counted: Collection[str], units: int, today: date) -> list[tuple[int, date | None]]:
    """The lots behind so many sellable units; what the equation takes off (or adds) beside them stands as units without a date."""
    lots = [
        (h.quantity, h.expires_on)
        for h in there
        if h.place in counted and not h.is_recalled and not h.is_expired(today)
    ]
    rest = units - sum(quantity for quantity, _ in lots)
    return [*lots, (rest, None)] if rest else lots


def _add_shopify(found: dict[int, Supply], ids: Sequence[int]) -> None:
    """Shopify's number, once our pushes have arrived, differs from ours by the drift; with the price of one unit it is taken from the item's
    smallest pack at each location."""
    query = (
        select(Mapping.item_id, Mapping.location_id, Mapping.units_per_variant)
        .add_columns(Variant.price, SyncState.expected, SyncState.drift)
        .join(Variant, Variant.id == Mapping.variant_id)
        .outerjoin(SyncState, SyncState.mapping_id == Mapping.id)
        .where(Mapping.item_id.in_(ids), Mapping.ended_at.is_(None), Variant.deleted_at.is_(None))
        .order_by(Mapping.units_per_variant.desc(), Mapping.id)
    )
    shown: dict[int, dict[int, int | None]] = defaultdict(dict)
    for item_id, location_id, per_variant, price, expected, drift in db.session.execute(query):
        shown[item_id][location_id] = None if expected is None else drift * per_variant
        if price is not None:
            found[item_id].price = price / per_variant
    for item_id, places in shown.items():
        if all(units is not None for units in places.values()):
            found[item_id].shopify = found[item_id].sellable + sum(units or 0 for units in places.values())


def open_purchases(item_ids: Collection[int] | None = None) -> list[tuple[Purchase, int]]:
    """Purchases that something is still expected of, with how much: what their partner order says, else what was not received yet. The
    first due first."""
    beside = select(Purchase.item_id).where(Purchase.closed_at.is_(None), Purchase.stock_request_id.is_(None))
    is_beside = Purchase.stock_request_id.is_(None) & Purchase.item_id.in_(beside)
    query = select(Purchase).where(Purchase.closed_at.is_(None) | is_beside).options(joinedload(Purchase.item))
    if item_ids is not None:
        query = query.where(Purchase.item_id.in_(item_ids))
    by_item: dict[int, list[Purchase]] = defaultdict(list)
    on_orders: dict[int, Purchase] = {}
    for row in db.session.scalars(query.order_by(Purchase.ordered_at, Purchase.id)):
        if row.stock_request_id is None:
            by_item[row.item_id].append(row)
        else:
            on_orders[row.stock_request_id] = row
    found = [(on_orders[each], units) for each, units in _still_on_orders(on_orders).items() if units]
    found += _not_received(by_item)
    return sorted(found, key=lambda pair: (pair[0].due_on, pair[0].id))


def _still_on_orders(on_orders: Collection[int]) -> dict[int, int]:
    return stocking.still_to_come(on_orders) if on_orders else {}


def _not_received(by_item: dict[int, list[Purchase]]) -> list[tuple[Purchase, int]]:
    """Item -> its purchases, closed ones too, oldest first: those that more is expected of. What customers waited for is no purchase of
    ours."""
    if not by_item:
        return []
    oldest = min(rows[0].ordered_at for rows in by_item.values())
    came = select(StockMove.item_id, StockMove.moved_at, func.sum(StockMove.quantity)).where(
        StockMove.item_id.in_(by_item),
        StockMove.reason == "receive",
        StockMove.from_place == SUPPLIER,
        StockMove.moved_at >= oldest,
    )
    by_moment = came.group_by(StockMove.item_id, StockMove.moved_at).order_by(StockMove.moved_at)
    receipts: dict[int, list[tuple[datetime, int]]] = defaultdict(list)
    for item_id, at, units in db.session.execute(by_moment):
        receipts[item_id].append((at, int(units)))
    found = []
    for item_id, rows in by_item.items():
        left = _left(rows, receipts[item_id])
        found += [(row, left[row.id]) for row in rows if row.closed_at is None and left[row.id]]
    return found


def _left(rows: Sequence[Purchase], receipts: Iterable[tuple[datetime, int]]) -> dict[int, int]:
    """What has not come of each purchase. A receipt counts for the oldest that is not full, was ordered before it and not closed by then;
    what nobody ordered counts for none."""
    left = {row.id: row.quantity for row in rows}
    for at, units in receipts:
        for row in rows:
            if row.ordered_at <= at and (row.closed_at is None or at <= row.closed_at):
                taken = min(units, left[row.id])
                left[row.id] -= taken
                units -= taken
    return left


def is_planned(item: Item) -> bool:
    """Whether demand is planned for it: sold goods that are not archived."""
    return item.kind != INGREDIENT and item.archived_at is None


def is_partners(item: Item) -> bool:
    """Whether it comes from a partner."""
    return item.kind == PARTNER
