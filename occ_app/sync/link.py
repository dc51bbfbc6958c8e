"""The first link of a mapping: open orders are booked, Shopify is read, and somebody says which side is right.

It ends, and anything is written, only when `committed` agrees with what we have booked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import select

from occ_app import clock
from occ_app.catalog.models import Item, Mapping
from occ_app.errors import RuleError
from occ_app.extensions import db
from occ_app.shopify.client import Client
from occ_app.stock import ledger
from occ_app.stock.rules import OPENING
from occ_app.sync import approvals, desk, readings
from occ_app.sync import models as m
from occ_app.sync.answers import PullOrders, park
from occ_app.sync.corrections import correction_moves
from occ_app.sync.models import FIRST_LINK, SyncState
from occ_app.sync.rules import Reading, retry_after
from occ_app.sync.targets import is_mirrored, lock_states, refresh
from occ_app.work import tasks

UNTOLD = timedelta(hours=1)  # no order came in that time that explains what Shopify has committed
CHOICES = ("hub", "shopify")
BookOrders = Callable[[Client, Sequence[str]], None]


def choose(state: SyncState, choice: str, at: datetime) -> None:
    """The first link of the mapping is to end this way; it is done in the background, as soon as the books agree."""
    if choice not in CHOICES:
        raise RuleError(
            "Choose hub (set Shopify to our number) or shopify (take Shopify's number).", field="first_link"
        )
    if state.expected is not None:
        raise RuleError("This mapping is linked already.")
    if choice == "shopify" and is_mirrored(db.session.get_one(Item, state.mapping.item_id)):
        raise RuleError("A partner's stock says how many there are. Set Shopify to our number instead.")
    if choice == "shopify" and _shares_stock(state.mapping):
        raise RuleError(
            "This item sells through another variant at this location too, so Shopify's number alone cannot say what there is. "
            "Set Shopify to our number instead."
        )
    state.link_choice = choice
    tasks.ask("link", state.shop_id)


def switch(mapping: Mapping, enabled: bool, at: datetime) -> None:
    """The mapping is synced, or rests. One that is switched on again waits for a new first link: nobody watched meanwhile."""
    if mapping.sync_enabled == enabled:
        return
    mapping.sync_enabled = enabled
    state = db.session.get_one(SyncState, mapping.id)
    state.expected = state.baseline_at = state.link_choice = None
    state.is_held = False
    state.drift, state.drift_since, state.drift_looks, state.look_at = 0, None, 0, None
    state.state, state.cause = (m.AWAITING_LINK, None) if enabled else (m.OFF, "Switched off.")
    desk.withdraw_all(mapping.id, at, by="switching sync on or off")
    approvals.forget([mapping.id], at)
    if enabled:
        tasks.ask("link", mapping.shop_id)
    db.session.flush()


def link_waiting(client: Client, book_orders: BookOrders, pull_orders: PullOrders) -> int:
    """Every mapping that waits for its first link has been read; those with a choice are linked where the books agree.

    Orders are read before its number and after it, as a sale at the till shows in nothing but the order: what was sold meanwhile is read anew.
    """
    waiting = [state for state in readings.living_states() if state.state == m.AWAITING_LINK]
    if not waiting:
        return 0
    ids = [state.mapping_id for state in waiting]
    news = [s.mapping.variant.variant_gid for s in waiting if s.link_choice or s.read_at is None]
    if news:
        book_orders(client, news)
    states = readings.living_states(ids)
    before = {state.mapping_id: _books(state) for state in states}
    found = readings.fetch(client, states)
    if any(state.link_choice for state in states):
        pull_orders(client)
    states = _locked(found)
    at = clock.now()
    ended = []
    for state in states:
        reading = found[state.mapping_id]
        if isinstance(reading, str):
            park(state, reading, at)
            continue
        readings.keep(state, reading)
        if state.link_choice and _books(state) != before[state.mapping_id]:
            continue  # the next sweep asks again
        if state.link_choice and reading.committed == state.booked_committed:
            _end(state, reading, at)
            ended.append(state)
        else:
            _ask(state, reading, at)
            if state.link_choice:
                state.next_try_at = at + retry_after(3)  # an order that is booked meanwhile ends the wait
                state.drift_since = state.drift_since or at
                if at - state.drift_since >= UNTOLD:
                    desk.tell_unseen(state.mapping_id, reading.committed, state.booked_committed, at)
    _settle(ended, at)
    db.session.commit()
    return len(ended)


def _books(state: SyncState) -> tuple[int, int]:
    return state.target, state.booked_committed


def _locked(found: Iterable[int]) -> list[SyncState]:
    """The states that still wait, and their items, locked in the order in which bookings lock: nothing is booked between."""
    ids = list(found)
    item_ids = {state.mapping.item_id for state in readings.living_states(ids)}
    ledger.lock(item_ids)
    lock_states(item_ids)
    return [state for state in readings.living_states(ids) if state.state == m.AWAITING_LINK]


def _ask(state: SyncState, reading: Reading, at: datetime) -> None:
    facts = {"available": reading.available, "committed": reading.committed, "target": state.target}
    facts["booked_committed"] = state.booked_committed
    desk.raise_(desk.LINK, desk.subject_of(state.mapping_id), facts, at, state.mapping_id)


def _end(state: SyncState, reading: Reading, at: datetime) -> None:
    state.expected, state.baseline_at = reading.available, reading.read_at
    state.cause = state.next_try_at = None
    if state.drift_since is not None:
        desk.withdraw(desk.UNSEEN, desk.subject_of(state.mapping_id), at)
        state.drift_since = None
    if state.link_choice == "shopify":
        _take_shopifys(state, reading, at)


def _settle(ended: Sequence[SyncState], at: datetime) -> None:
    """Targets are right, nobody is asked about these links any more, and who ended them has approved their numbers. Few statements for all."""
    told = desk.open_subjects(desk.LINK) if ended else set()
    refresh(state.mapping.item_id for state in ended)
    for state in ended:
        subject = desk.subject_of(state.mapping_id)
        if subject in told:
            desk.withdraw(desk.LINK, subject, at, by="first link", remedy=state.link_choice or "")
        state.state, state.approved_target = m.LINKED, state.target
        state.why = FIRST_LINK if state.target != state.expected else None
        if state.target != state.expected:
            tasks.ask("push", state.shop_id)


def _take_shopifys(state: SyncState, reading: Reading, at: datetime) -> None:
    """Our books hold what Shopify counts: available and committed together, as open orders are booked as takes."""
    mapping = state.mapping
    ledger.lock([mapping.item_id])
    refresh([mapping.item_id])
    there = state.sellable + mapping.item.safety_stock
    units = reading.available * mapping.units_per_variant - there
    source = f"link:{mapping.id}:{at.isoformat()}"
    moves = correction_moves(
        mapping, units, source=source, reason="opening" if units > 0 else "correction", from_place=OPENING
    )
    ledger.book(moves, actor="first link", at=at)


def _shares_stock(mapping: Mapping) -> bool:
    query = select(Mapping.id).where(
        Mapping.item_id == mapping.item_id,
        Mapping.location_id == mapping.location_id,
        Mapping.id != mapping.id,
        Mapping.ended_at.is_(None),
    )
    return db.session.scalars(query.limit(1)).first() is not None
