"""What a person needs to answer an approval: ours, Shopify's, the difference, and why it changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import contains_eager, joinedload

from occ_app import clock
from occ_app.catalog.models import Item, Mapping, Variant
from occ_app.extensions import db
from occ_app.shops import settings
from occ_app.shops.models import Shop
from occ_app.stock import ledger
from occ_app.stock.models import Lot, StockMove
from occ_app.stock.rules import COUNTED, Holding
from occ_app.sync import targets
from occ_app.sync.models import UNDO, Approval, SyncState
from occ_app.sync.reasons import SAID

# Moves that orders made: Shopify's number follows those by itself, so they are never why the two differ.
BY_ORDERS = ("order_take", "order_restock", "order_loss", "order_ship", "order_return", "backorder_fill")
MOST_REASONS = 4


@dataclass(frozen=True)
class Row:
    """One number that waits. All quantities are variant units; `change` is what approving would send."""

    approval: Approval
    item: Item
    variant: Variant
    ours: int
    shopify: int
    expected: int
    change: int
    why: tuple[str, ...]


def rows(approvals: Sequence[Approval]) -> list[Row]:
    """The approvals with all that is to be known. A fixed number of statements, whatever their number."""
    ids = [row.mapping_id for row in approvals]
    states = {s.mapping_id: s for s in db.session.scalars(select(SyncState).where(SyncState.mapping_id.in_(ids)))}
    moved = _moved([row.id for row in approvals])
    held = ledger.holdings({row.mapping.item_id for row in approvals})
    of = targets.shop()
    return [_row(row, states[row.mapping_id], moved.get(row.id, []), held, of) for row in approvals]


def _moved(approval_ids: Sequence[int]) -> dict[int, list[Any]]:
    """Approval id -> units of its item at its location that moved since the two sides agreed, by reason and lot, newest first."""
    query = (
        select(Approval.id, StockMove.reason, StockMove.from_place, StockMove.to_place, Lot.lot_number)
        .add_columns(func.sum(StockMove.quantity).label("units"), func.max(StockMove.id).label("newest"))
        .join(Mapping, Mapping.id == Approval.mapping_id)
        .join(StockMove, (StockMove.item_id == Mapping.item_id) & (StockMove.location_id == Mapping.location_id))
        .outerjoin(Lot, Lot.id == StockMove.lot_id)
        .where(Approval.id.in_(approval_ids), StockMove.moved_at > Approval.since, StockMove.reason.not_in(BY_ORDERS))
        .group_by(Approval.id, StockMove.reason, StockMove.from_place, StockMove.to_place, Lot.lot_number)
    )
    found: dict[int, list[Any]] = defaultdict(list)
    for row in db.session.execute(query.order_by(func.max(StockMove.id).desc())):
        found[row.id].append(row)
    return found


def _row(approval: Approval, state: SyncState, moved: Sequence[Any], held: dict[Any, list[Holding]], of: Shop) -> Row:
    mapping = approval.mapping
    counted = COUNTED[targets.mode_of(mapping.item, of)]
    holdings = held.get((mapping.item_id, mapping.location_id), [])
    expected = state.expected or 0
    change = state.target - expected
    why = ["a person took the last push back"] if approval.kind == UNDO else []
    why += _why(moved, counted)
    why += _expired(approval, holdings, counted, of)
    shopify = state.read_available if state.read_available is not None else expected
    told = tuple(why) or ("your settings, or sales of other variants",)
    return Row(approval, mapping.item, mapping.variant, max(0, state.target), shopify, expected, change, told)


def _why(moved: Sequence[Any], counted: tuple[str, ...]) -> list[str]:
    """What came into the counted places or left them, in words: `+100 released (SSD-20261118-1)`."""
    parts = []
    for row in moved:
        sign = (row.to_place in counted) - (row.from_place in counted)
        if sign:
            lot = f" ({row.lot_number})" if row.lot_number else ""
            parts.append(f"{'+' if sign > 0 else chr(8722)}{int(row.units):,} {SAID.get(row.reason, row.reason)}{lot}")
    more = len(parts) - MOST_REASONS
    return parts if more <= 0 else [*parts[:MOST_REASONS], f"{more} more"]


def _expired(approval: Approval, holdings: Sequence[Holding], counted: tuple[str, ...], of: Shop) -> list[str]:
    first = clock.local_date(approval.since, settings.get(of, "time_zone"))
    today = targets.today(of)
    gone = [h for h in holdings if h.place in counted and h.expires_on and first < h.expires_on <= today]
    units = sum(holding.quantity for holding in gone)
    return [f"{chr(8722)}{units:,} expired"] if units else []


def settled(limit: int, offset: int) -> tuple[list[Approval], int]:
    """Answers and what became of the others, newest first, and how many there are."""
    query = select(Approval).where(Approval.settled_at.is_not(None))
    total = db.session.scalar(select(func.count()).select_from(query.subquery())) or 0
    loaded = query.options(joinedload(Approval.mapping).options(joinedload(Mapping.item), joinedload(Mapping.variant)))
    return list(db.session.scalars(loaded.order_by(Approval.id.desc()).limit(limit).offset(offset))), total


def by_hand(limit: int, offset: int) -> tuple[list[SyncState], int]:
    """Mappings that nothing is sent for and whose number in Shopify is not ours, biggest difference first, and how many there are."""
    ours = func.greatest(SyncState.target, 0)
    query = (
        select(SyncState)
        .join(SyncState.mapping)
        .where(~SyncState.is_pushed, Mapping.ended_at.is_(None), Mapping.sync_enabled)
        .where(SyncState.read_available.is_not(None), SyncState.read_available != ours)
    )
    total = db.session.scalar(select(func.count()).select_from(query.subquery())) or 0
    loaded = query.options(
        contains_eager(SyncState.mapping).options(
            joinedload(Mapping.item), joinedload(Mapping.variant), joinedload(Mapping.location)
        )
    )
    order = func.abs(SyncState.read_available - ours).desc()
    return list(db.session.scalars(loaded.order_by(order, SyncState.mapping_id).limit(limit).offset(offset))), total
