"""Sync modes: what another one would change, all numbers before and after, before it is saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from occ_app.catalog.models import Item, Mapping
from occ_app.errors import RuleError
from occ_app.extensions import db
from occ_app.shops import settings
from occ_app.shops.models import Shop
from occ_app.stock import ledger
from occ_app.stock.rules import (
    COMPLETED,
    IN_REVIEW,
    PACKAGED,
    PUSHED_BY_ITSELF,
    Term,
    sellable,
    target,
)
from occ_app.sync import readings, targets
from occ_app.sync.models import LINKED, SyncState
from occ_app.sync.rules import Guard, Write

BEFORE_RELEASE = (COMPLETED, PACKAGED, IN_REVIEW)


@dataclass(frozen=True)
class Change:
    """What one mapping's number would become. `now` is what Shopify stands at, or is on its way to, without another word of a person; `then`
    the number that would be calculated; both in variant units, never below zero. `because`: terms that differ, in units of the item."""

    mapping: Mapping
    now: int
    then: int
    because: tuple[Term, ...]
    is_guarded: bool

    @property
    def by(self) -> int:
        """Variant units more (or fewer)."""
        return self.then - self.now

    @property
    def worth(self) -> Decimal | None:
        """What the difference sells for; None where Shopify names no price."""
        return None if self.mapping.variant.price is None else self.by * self.mapping.variant.price


@dataclass(frozen=True)
class Preview:
    """All that another mode would change, biggest change first; of `looked_at` mappings."""

    mode: str
    changes: Sequence[Change]
    looked_at: int

    @property
    def rise(self) -> int:
        """Variant units that would come on sale."""
        return sum(change.by for change in self.changes if change.by > 0)

    @property
    def fall(self) -> int:
        """Variant units that would leave the sale."""
        return -sum(change.by for change in self.changes if change.by < 0)

    @property
    def guarded(self) -> int:
        """How many steps are over the shop's guard, so that each would wait for approval."""
        return sum(change.is_guarded for change in self.changes) if self.mode in PUSHED_BY_ITSELF else 0

    @property
    def unreviewed(self) -> int:
        """Units that would be for sale though nobody has released them."""
        stocks = {(one.mapping.item_id, one.mapping.location_id): one.because for one in self.changes}
        return max(0, sum(term.quantity for terms in stocks.values() for term in terms if term.name in BEFORE_RELEASE))


def what_would_change(mode: str | None, item_id: int | None = None) -> Preview:
    """What saving the mode would change: for all items without a mode of their own, or for one item (there None means: as the shop)."""
    of = targets.shop()
    then_mode = mode or settings.get(of, "sync_mode")
    states = [state for state in readings.living_states() if _is_meant(state.mapping.item, item_id)]
    held = ledger.holdings({state.mapping.item_id for state in states})
    elsewhere = targets.beside(state.mapping.item for state in states)
    guard = Guard(settings.get(of, "guard_percent"), settings.get(of, "guard_units"))
    found = []
    for state in states:
        key = (state.mapping.item_id, state.mapping.location_id)
        equations = [
            targets.equation(state.mapping.item, held.get(key, []), of, which, beside=elsewhere.get(key, []))
            for which in (targets.mode_of(state.mapping.item, of), then_mode)
        ]
        change = _change(state, equations[0], equations[1], targets.mode_of(state.mapping.item, of), guard)
        if change.by:
            found.append(change)
    return Preview(then_mode, sorted(found, key=lambda change: (-abs(change.by), change.mapping.id)), len(states))


def _change(state: SyncState, before: Sequence[Term], after: Sequence[Term], mode_now: str, guard: Guard) -> Change:
    mapping = state.mapping
    then = max(0, target([(sellable(after), mapping.units_per_variant)]))
    is_on_its_way = (state.state == LINKED and mode_now in PUSHED_BY_ITSELF) or state.expected is None
    now = max(0, state.target if is_on_its_way else state.expected or 0)
    return Change(mapping, now, then, _difference(before, after), guard.stops(Write(now, then)))


def _difference(before: Sequence[Term], after: Sequence[Term]) -> tuple[Term, ...]:
    sums = {term.name: term.quantity for term in after}
    for term in before:
        sums[term.name] = sums.get(term.name, 0) - term.quantity
    return tuple(Term(name, units) for name, units in sums.items() if units)


def _is_meant(item: Item, item_id: int | None) -> bool:
    return item.id == item_id if item_id is not None else item.sync_mode is None


def apply_setting(shop: Shop, name: str, text: str) -> None:
    """The setting has a new value, and all that follows from it is due."""
    settings.put(shop, name, text)
    if name == "default_location":
        _check_location(settings.get(shop, name))
    db.session.flush()
    if name in ("sync_mode", "time_zone"):
        targets.refresh_all("Mode changed" if name == "sync_mode" else "Time zone changed")
    if name in ("guard_percent", "guard_units"):
        targets.judge_anew()


def _check_location(gid: str) -> None:
    from occ_app.catalog.pull import find_location

    place = find_location(gid)
    if not gid:
        raise RuleError("A location is needed: new lots and mappings are kept there.", field="default_location")
    if place is None:
        raise RuleError(f"There is no location {gid} in this shop.", field="default_location")
    if not place.is_active:
        words = f"{place.name} is switched off in Shopify. Activate it there, or choose another location."
        raise RuleError(words, field="default_location")


def set_mode_of_item(item: Item, mode: str | None) -> None:
    """The item has a mode of its own, or (None) the shop's again. One that is split from now on remembers the mode that it had."""
    if mode is not None and mode not in settings.MODES:
        raise RuleError(f"Give one of: {', '.join(settings.MODES)}.", field="sync_mode")
    if mode != "allocation":
        item.mode_before_split = None
    elif item.sync_mode != mode:
        item.mode_before_split = item.sync_mode
    item.sync_mode = mode
    db.session.flush()
    targets.refresh([item.id], "Mode changed")


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
