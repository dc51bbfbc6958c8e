"""A recall as the whole shop feels it: which numbers would fall in Shopify, and which orders have units of its lots."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from occ_app.catalog.models import Mapping
from occ_app.desk import trace
from occ_app.desk.trace import Sale
from occ_app.extensions import db
from occ_app.production.models import RecallLot
from occ_app.production.trace import among
from occ_app.stock import ledger
from occ_app.stock.models import Lot
from occ_app.stock.rules import sellable, target
from occ_app.sync import targets
from occ_app.sync.models import AWAITING_APPROVAL, LINKED, SyncState

ORDER_COLUMNS = (
    "order",
    "placed_at",
    "state",
    "sku",
    "title",
    "lot_number",
    "not_shipped",
    "shipped",
    "returned",
    "missing",
    "kind",
    "customer_or_purpose",
)


@dataclass(frozen=True)
class Fall:
    """What a recall does to one mapping's number. Variant units. `is_sent`: it reaches Shopify by itself."""

    mapping: Mapping
    now: int
    then: int
    is_sent: bool


def falls(lot_ids: Collection[int]) -> Sequence[Fall]:
    """The mappings whose number falls when these lots are frozen, biggest fall first."""
    items = select(Lot.item_id).where(among(Lot.id, lot_ids))
    states = _states(items)
    held = ledger.holdings({state.mapping.item_id for state in states})
    of, frozen, found = targets.shop(), set(lot_ids), []
    for state in states:
        mapping = state.mapping
        there = held.get((mapping.item_id, mapping.location_id), [])
        without = [replace(holding, is_recalled=True) if holding.lot_id in frozen else holding for holding in there]
        now, then = (
            target([(sellable(targets.equation(mapping.item, parts, of)), mapping.units_per_variant)])
            for parts in (there, without)
        )
        if then < now:
            found.append(Fall(mapping, now, then, _is_sent(state)))
    return sorted(found, key=lambda fall: fall.then - fall.now)


def numbers_of(lot_ids: Iterable[int]) -> Sequence[SyncState]:
    """The sync states of all that sells these lots' items, with mapping, item, variant and location."""
    return _states(select(Lot.item_id).where(among(Lot.id, lot_ids)))


def _states(item_ids) -> Sequence[SyncState]:  # type: ignore[no-untyped-def]
    loaded = joinedload(SyncState.mapping).options(
        joinedload(Mapping.item), joinedload(Mapping.variant), joinedload(Mapping.location)
    )
    query = select(SyncState).join(Mapping, Mapping.id == SyncState.mapping_id).options(loaded)
    living = query.where(Mapping.item_id.in_(item_ids), Mapping.ended_at.is_(None))
    return db.session.scalars(living.order_by(SyncState.mapping_id)).all()


def _is_sent(state: SyncState) -> bool:
    return state.is_pushed and state.mapping.sync_enabled and state.state in (LINKED, AWAITING_APPROVAL)


def order_rows(rows: Sequence[RecallLot]) -> list[list[object]]:
    """The affected order lines, market days and gifts as lines of a file; see ORDER_COLUMNS."""
    numbers = {row.lot_id: row.lot.lot_number for row in rows}
    return [_row(sale, numbers[sale.lot_id]) for sale in trace.sales(numbers)]


def _row(sale: Sale, lot_number: str) -> list[object]:
    placed = sale.placed_at.isoformat() if sale.placed_at else ""
    counts = [sale.committed, sale.shipped, sale.returned, sale.missing]
    return [sale.order, placed, sale.state, sale.sku, sale.title, lot_number, *counts, sale.named, sale.who]
