"""Reconciliation: all mappings are read, each drift is explained by orders not seen yet, or named and put before somebody.

`pull_orders` (from the orders package, through `wiring`) books the orders updated since the shop's cursor.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select, update

from occ_app import clock
from occ_app.extensions import db
from occ_app.shopify.client import Client
from occ_app.shopify.errors import ShopifyUnavailableError
from occ_app.shops import settings
from occ_app.stock import ledger
from occ_app.sync import answers, approvals, desk, push, readings
from occ_app.sync import models as m
from occ_app.sync.answers import PullOrders
from occ_app.sync.corrections import correction_moves
from occ_app.sync.models import SyncRun, SyncState
from occ_app.sync.rules import Reading, explanation, first_write, is_foreign, next_try
from occ_app.sync.targets import NEW_ONES_FALL, choose_state, is_mirrored, lock_states, mode_of, refresh_all, shop
from occ_app.work import tasks

LOOK_AGAIN = timedelta(seconds=5)
LONGEST_LOOK = timedelta(minutes=5)
UNTOLD = timedelta(
    hours=1
)  # a drift for which no order came in that time is named, though `committed` still speaks of one


def reconcile(client: Client, pull_orders: PullOrders, mapping_ids: Sequence[int] | None = None) -> SyncRun:
    """All mappings (or these) have a fresh reading, and each drift is gone, waits out its grace, or is an exception.

    Quiet: one call per 250 items, nothing else.
    """
    answers.settle_open(client, pull_orders)
    if mapping_ids is None:
        refresh_all(let=NEW_ONES_FALL)
    run = SyncRun(kind=m.RECONCILE, started_at=clock.now())
    db.session.add(run)
    db.session.commit()
    before = (client.calls, client.points)
    try:
        unclear = look(client, run, mapping_ids)
        if unclear:
            pull_orders(client)
            look(client, run, unclear, may_decide=True)
    except ShopifyUnavailableError as error:
        db.session.rollback()
        run.cause = str(error)
    run.reads, run.points = client.calls - before[0], client.points - before[1]
    run.finished_at = clock.now()
    if mapping_ids is None:
        shop().reconciled_at = run.finished_at
    if push.due_states():
        tasks.ask("push", shop().id)
    db.session.commit()
    return run


def look_due(client: Client, pull_orders: PullOrders) -> SyncRun | None:
    """Mappings that were nudged, or whose drift has outlasted its grace, have been read again. None where there was none."""
    due = select(SyncState.mapping_id).where(SyncState.look_at <= clock.now(), SyncState.state != m.OFF)
    ids = list(db.session.scalars(due))
    return reconcile(client, pull_orders, ids) if ids else None


def nudge(mapping_ids: Sequence[int], at: datetime) -> None:
    """These mappings are read again at once. Locked in the order of everybody."""
    in_order = select(SyncState.mapping_id).where(SyncState.mapping_id.in_(mapping_ids)).order_by(SyncState.mapping_id)
    db.session.execute(in_order.with_for_update())
    db.session.execute(update(SyncState).where(SyncState.mapping_id.in_(mapping_ids)).values(look_at=at))
    tasks.ask("look", shop().id)


def look(client: Client, run: SyncRun, mapping_ids: Sequence[int] | None, *, may_decide: bool = False) -> list[int]:
    """Readings are kept and drifts counted; with `may_decide`, after orders were pulled, those that last are decided.

    Returns the mappings whose numbers orders may explain.
    """
    found = readings.fetch(client, readings.living_states(mapping_ids))
    if may_decide:  # a decision may book: the item first, then its sync state, as every booking does
        item_ids = {state.mapping.item_id for state in readings.living_states(found)}
        ledger.lock(item_ids)
        lock_states(item_ids)
    locked = {state.mapping_id: state for state in _locked(found)}
    unsettled = answers.unsettled_mappings(locked)
    told, told_unseen = desk.open_mappings(desk.DRIFT), desk.open_mappings(desk.UNSEEN)
    at = clock.now()
    unclear = []
    for state in readings.living_states(found):
        reading = found[state.mapping_id]
        if state.mapping_id not in locked:
            continue
        state.look_at = None
        if isinstance(reading, str):
            if state.state in (m.LINKED, m.AWAITING_APPROVAL):
                answers.park(state, reading, at)
            continue
        _revive(state, at)
        if state.expected is None:
            readings.keep(state, reading)
        elif not _agrees(state, reading, at, may_decide, is_unsettled=state.mapping_id in unsettled):
            unclear.append(state.mapping_id)
        if state.mapping_id in unsettled:
            soon = answers.next_look(unsettled[state.mapping_id], at)
            state.look_at = min(state.look_at or soon, soon)
        if state.drift == 0 and state.mapping_id in told:
            desk.withdraw(desk.DRIFT, desk.subject_of(state.mapping_id), at)
        if reading.committed == state.booked_committed and state.mapping_id in told_unseen:
            desk.withdraw(desk.UNSEEN, desk.subject_of(state.mapping_id), at)
    run.looked_at = max(run.looked_at, len(found))
    db.session.commit()
    return unclear


def _locked(found: dict[int, Reading | str]) -> Sequence[SyncState]:
    query = select(SyncState).where(SyncState.mapping_id.in_(sorted(found))).order_by(SyncState.mapping_id)
    return db.session.scalars(query.with_for_update().execution_options(populate_existing=True)).all()


def _revive(state: SyncState, at: datetime) -> None:
    """A parked mapping that can be read again is tried again, unless it is parked for what no reading can mend."""
    is_mended = state.cause not in answers.NOT_BY_ITSELF and state.tries < answers.MOST_TRIES
    if state.state == m.PARKED and is_mended:
        state.state, state.cause, state.tries, state.next_try_at = (
            m.LINKED if state.expected is not None else m.AWAITING_LINK,
            None,
            0,
            None,
        )
        choose_state(state, mode_of(state.mapping.item, shop()))
        desk.withdraw(desk.PARKED, desk.subject_of(state.mapping_id), at)


def _agrees(state: SyncState, reading: Reading, at: datetime, may_decide: bool, *, is_unsettled: bool = False) -> bool:
    """Whether Shopify has what we expect. If not: the drift is counted, and decided once it has lasted."""
    before, drift_before = readings.last_of(state), state.drift
    readings.keep(state, reading)
    if not is_unsettled and readings.is_of_link(state, reading):
        readings.accept_drift(state)
    if state.drift != drift_before:
        state.drift_why = explanation(before, reading, state.drift, state.booked_committed) if state.drift else None
        state.drift_since, state.drift_looks = None, 0  # another drift: its time begins anew
    if state.drift and not state.is_pushed and _is_typed_in(state, reading):
        readings.accept_drift(state)
    if state.tries == 0:
        state.next_try_at = next_try(state.target, state.expected or 0, reading.available, at)
    is_agreed = reading.committed == state.booked_committed
    if state.drift == 0 and is_agreed:
        return True
    state.drift_since = state.drift_since or at
    state.drift_looks += 1
    grace = timedelta(seconds=settings.get(shop(), "drift_grace_seconds"))
    may_decide = may_decide and not is_unsettled and is_foreign(state.drift_looks, state.drift_since, at, grace)
    if may_decide and is_agreed:
        _decide(state, reading, at)
        return state.drift == 0
    state.look_at = max(at + _pause(state.drift_looks), state.drift_since + grace)
    if may_decide:
        desk.tell_unseen(state.mapping_id, reading.committed, state.booked_committed, at)
        if state.drift and at - state.drift_since >= UNTOLD:
            _name(state, reading, at)
    return False


def _is_typed_in(state: SyncState, reading: Reading) -> bool:
    """Whether somebody has typed our number into Shopify, as the mode without pushes asks."""
    return reading.available == max(0, state.target) and reading.committed == state.booked_committed


def _pause(looks: int) -> timedelta:
    """How long until a drift is looked at again: 10 s, doubled with every two looks, five minutes at most."""
    return min(LONGEST_LOOK, LOOK_AGAIN * 2 ** min(looks // 2, 10))


def _name(state: SyncState, reading: Reading, at: datetime) -> None:
    facts = {
        "available": reading.available,
        "expected": state.expected,
        "target": state.target,
        "why": state.drift_why or "Somebody changed it in Shopify, or another app did.",
    }
    desk.raise_(desk.DRIFT, desk.subject_of(state.mapping_id), facts, at, state.mapping_id)


def _decide(state: SyncState, reading: Reading, at: datetime) -> None:
    rule = state.mapping.drift_rule or settings.get(shop(), "drift_rule")
    if rule == "shopify" and is_mirrored(state.mapping.item):
        rule = "ask"  # what a partner has is not for our Shopify to say
    if rule == "hub" and state.is_held:
        rule = "ask"  # a person took our number back: no rule brings it again
    subject = desk.subject_of(state.mapping_id)
    _name(state, reading, at)
    if rule == "hub":
        set_shopify_right(state)
    elif rule == "shopify":
        take_shopifys(state, actor="drift rule", at=at)
    if rule != "ask":
        desk.withdraw(desk.DRIFT, subject, at, by="the drift rule", remedy=rule)


def set_shopify_right(state: SyncState) -> None:
    """Shopify is to get our number: E is set anew to what Shopify has now, so that the next push carries all of T - A."""
    readings.accept_drift(state)
    state.approved_target, state.is_held = state.target, False
    if state.state == m.AWAITING_APPROVAL:
        state.state, state.cause = m.LINKED, None
        db.session.flush()
        approvals.follow([state], state.read_at or clock.now())
    if first_write(state.target, state.expected or 0):
        tasks.ask("push", state.shop_id)


def take_shopifys(state: SyncState, *, actor: str, at: datetime) -> None:
    """Our books follow Shopify: a correction of the drift is booked, and E is set anew."""
    drift = readings.accept_drift(state)
    state.synced_at = state.read_at
    db.session.flush()
    source = f"drift:{state.mapping_id}:{at.isoformat()}"
    correct(state, drift * state.mapping.units_per_variant, source=source, actor=actor, at=at)


def correct(state: SyncState, units: int, *, source: str, actor: str, at: datetime) -> None:
    """The item's counted stock at the mapping's location rises or falls by `units`, from or to `correction`, first expiry first to go."""
    ledger.lock([state.mapping.item_id])
    moves = correction_moves(state.mapping, units, source=source, reason="correction")
    ledger.book(moves, actor=actor, at=at)
