"""Sync modes and approvals: what a change would do before it is saved, and numbers that a person lets through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from occ_app.catalog.models import Item, Mapping
from occ_app.errors import RuleError
from occ_app.extensions import db
from occ_app.shops import settings
from occ_app.shops.models import Shop
from occ_app.stock import ledger
from occ_app.stock.rules import sellable, target
from occ_app.sync import desk, readings, targets
from occ_app.sync.models import AWAITING_APPROVAL, LINKED, SyncState
from occ_app.work import tasks


@dataclass(frozen=True)
class Change:
    """What one mapping's target would become. Variant units."""

    mapping: Mapping
    now: int
    then: int


def what_would_change(mode: str, item_id: int | None = None) -> Sequence[Change]:
    """The mappings whose target another mode would move, biggest change first; of the shop's items without a mode of their own,
    or of one item."""
    states = [state for state in readings.living_states() if _is_meant(state.mapping.item, item_id)]
    held = ledger.holdings({state.mapping.item_id for state in states})
    elsewhere = targets.beside(state.mapping.item for state in states)
    of = targets.shop()
    found = []
    for state in states:
        mapping = state.mapping
        key = (mapping.item_id, mapping.location_id)
        equation = targets.equation(mapping.item, held.get(key, []), of, mode, beside=elsewhere.get(key, []))
        then = target([(sellable(equation), mapping.units_per_variant)])
        if then != state.target:
            found.append(Change(mapping, state.target, then))
    return sorted(found, key=lambda change: -abs(change.then - change.now))


def _is_meant(item: Item, item_id: int | None) -> bool:
    return item.id == item_id if item_id is not None else item.sync_mode is None


def apply_setting(shop: Shop, name: str, text: str) -> None:
    """The setting has a new value, and all that follows from it is due."""
    settings.put(shop, name, text)
    if name == "default_location" and text:
        from occ_app.catalog.pull import find_location

        if find_location(text) is None:
            raise RuleError(f"There is no location {text} in this shop.", field=name)
    db.session.flush()
    if name in ("sync_mode", "time_zone"):
        targets.refresh_all()


def set_mode_of_item(item: Item, mode: str | None) -> None:
    """The item has a mode of its own, or (None) the shop's again."""
    if mode is not None and mode not in settings.MODES:
        raise RuleError(f"Give one of: {', '.join(settings.MODES)}.", field="sync_mode")
    item.sync_mode = mode
    db.session.flush()
    targets.refresh([item.id])


def approve(state: SyncState, *, actor: str, at: datetime) -> None:
    """The mapping's calculated number is pushed; a later one needs approval of its own."""
    if state.state != AWAITING_APPROVAL:
        raise RuleError("This number does not wait for approval any more.")
    state.approved_target = state.target
    state.state, state.cause = LINKED, None
    desk.withdraw(desk.GUARD, desk.subject_of(state.mapping_id), at, by=actor, remedy="approve")
    tasks.ask("push", state.shop_id)


def reject(state: SyncState, *, actor: str, at: datetime) -> None:
    """Shopify's number stays; ours is asked about again when it changes."""
    if state.state != AWAITING_APPROVAL:
        raise RuleError("This number does not wait for approval any more.")
    state.cause = f"{actor} rejected {max(0, state.target)}. It is asked again when it changes."
    desk.withdraw(desk.GUARD, desk.subject_of(state.mapping_id), at, by=actor, remedy="reject")


def states_of_item(item_id: int) -> Sequence[SyncState]:
    """Sync states of the item's living mappings, with variant and location."""
    query = (
        select(SyncState)
        .join(Mapping, Mapping.id == SyncState.mapping_id)
        .where(Mapping.item_id == item_id, Mapping.ended_at.is_(None))
        .options(
            joinedload(SyncState.mapping).options(
                joinedload(Mapping.item), joinedload(Mapping.variant), joinedload(Mapping.location)
            )
        )
    )
    return db.session.scalars(query.order_by(SyncState.mapping_id)).all()
