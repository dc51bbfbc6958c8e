"""Pushing: what our books changed is carried to Shopify, compared and swapped, 250 mappings a call.

Every call is a committed row first. What a call's answer leaves open is settled by a fresh reading, never by the answer.
These functions commit between their steps: a run is a series of facts, each true on its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import Select, select
from sqlalchemy.orm import aliased

from occ_app import clock
from occ_app.catalog.models import Mapping
from occ_app.extensions import current_shop_id, db
from occ_app.shopify.client import Client
from occ_app.shopify.errors import ShopifyUnavailableError
from occ_app.shops import settings
from occ_app.sync import answers, approvals, desk, readings, reasons, undo
from occ_app.sync import models as m
from occ_app.sync.answers import PullOrders
from occ_app.sync.models import PushLine, SyncRun, SyncState
from occ_app.sync.rules import Guard, Reading, Write, chunks, next_try, retry_after, write_for
from occ_app.sync.targets import is_mirrored, refresh, shop
from occ_app.sync.writing import Planned, write
from occ_app.work import tasks

MOST_IN_SHOPIFY = 1_000_000_000
ROUNDS = 3  # how often a run reads and writes again after a partial refusal


def push_due(client: Client, pull_orders: PullOrders) -> SyncRun | None:
    """Everything that is due has been pushed, or waits with its cause. Returns the run; None where nothing was due."""
    answers.settle_open(client, pull_orders)
    undo.carry_out(client, pull_orders)
    tasks.is_at_it("push", current_shop_id())  # else it would ask for itself without a pause while Shopify is away
    refresh(state.mapping.item_id for state in due_states())  # a day may have begun since, and lots with it expired
    db.session.commit()
    due = due_states()
    if not due:
        return None
    run = SyncRun(kind=m.PUSH, started_at=clock.now(), looked_at=len(due))
    db.session.add(run)
    db.session.commit()
    before = (client.calls, client.points)
    try:
        ids = [state.mapping_id for state in due]
        if _rises_with_siblings(due):
            pull_orders(client)
        for _ in range(ROUNDS):
            ids = _round(client, pull_orders, run, ids)
            if not ids:
                break
    except ShopifyUnavailableError as error:
        db.session.rollback()
        run.cause = str(error)
    run.reads = client.calls - before[0] - run.writes
    run.points = client.points - before[1]
    run.finished_at = clock.now()
    db.session.commit()
    return run


def _rises_with_siblings(due: Sequence[SyncState]) -> bool:
    """Whether a number is to rise whose stock another variant sells too: a sale of that one does not show in this one's readings."""
    rising = {state.mapping_id for state in due if state.expected is not None and state.target > state.expected}
    return bool(_siblings(rising))


def due_states() -> list[SyncState]:
    """Mappings whose target differs from what Shopify is expected to have, that wait for nobody and for no time."""
    at = clock.now()
    return [
        state for state in readings.living_states(_due_ids()) if state.next_try_at is None or state.next_try_at <= at
    ]


def _unsettled() -> Select[tuple[int]]:
    return select(PushLine.mapping_id).where(PushLine.state.in_((m.WAITING, m.AMBIGUOUS)))


def _due_ids() -> list[int]:
    query = select(SyncState.mapping_id).where(
        SyncState.state == m.LINKED,
        SyncState.is_pushed,
        SyncState.target != SyncState.expected,
        SyncState.mapping_id.not_in(_unsettled()),
    )
    return list(db.session.scalars(query))


def _round(client: Client, pull_orders: PullOrders, run: SyncRun, ids: Sequence[int]) -> list[int]:
    """One reading and one write of these mappings. Returns those that another round may help."""
    asked = {state.mapping_id for state in readings.living_states(ids) if state.state == m.LINKED}
    found = readings.fetch(client, readings.living_states(asked | _siblings(asked)))
    # Loaded again: what was held or sold while Shopify answered is known to the plan.
    states = readings.living_states(found)
    plans = _plan([s for s in states if s.mapping_id in asked and s.state == m.LINKED], found, _unseen(states, found))
    planned = {plan.mapping_id for plan in plans}
    why = reasons.of([state for state in states if state.mapping_id in planned])
    # What the plan rests on is kept as it was: after the commit a booking may change it.
    db.session.commit()
    again: list[int] = []
    for part in chunks(plans, readings.PER_CALL):
        again += write(client, pull_orders, run, part, why)
    return again


def _siblings(ids: Iterable[int]) -> set[int]:
    """The other mappings that sell the same stock: a sale of a box of six that we have not seen lowers what the single bar may show."""
    other = aliased(Mapping)
    query = (
        select(other.id)
        .join(Mapping, (Mapping.item_id == other.item_id) & (Mapping.location_id == other.location_id))
        .where(Mapping.id.in_(list(ids)), other.id != Mapping.id, other.ended_at.is_(None))
    )
    return set(db.session.scalars(query))


def _unseen(states: Sequence[SyncState], found: dict[int, Reading | str]) -> set[tuple[int, int]]:
    """Stocks, as (item id, location id), of which Shopify has more committed than we have booked: orders that we have not seen."""
    unseen = set()
    for state in states:
        reading = found[state.mapping_id]
        if isinstance(reading, Reading) and reading.committed > state.booked_committed:
            unseen.add((state.mapping.item_id, state.mapping.location_id))
    return unseen


def _plan(states: Sequence[SyncState], found: dict[int, Reading | str], unseen: set[tuple[int, int]]) -> list[Planned]:
    """What to write for each mapping; the others are parked, guarded, or left for a later look. Changes no number of Shopify's.

    A mapping of an `unseen` stock may only fall.
    """
    of, at = shop(), clock.now()
    guard = Guard(settings.get(of, "guard_percent"), settings.get(of, "guard_units"))
    drifting = desk.open_mappings(desk.DRIFT) | desk.open_mappings(desk.AMBIGUOUS)
    lines = answers.last_applied(state.mapping_id for state in states)
    plans = []
    for state in states:
        reading = found[state.mapping_id]
        if isinstance(reading, str):
            answers.park(state, reading, at)
            continue
        readings.keep(state, reading)
        if readings.is_of_link(state, reading):
            readings.accept_drift(state)
        if state.drift and answers.is_before(lines.get(state.mapping_id), state, reading, at):
            state.next_try_at = at + retry_after(1)
            continue
        if state.expected is None or state.target == state.expected:
            continue
        may_raise = (
            state.mapping_id not in drifting and (state.mapping.item_id, state.mapping.location_id) not in unseen
        )
        change = write_for(state.target, state.expected, reading.available, may_raise=may_raise)
        if reading.committed != state.booked_committed:
            state.look_at = at  # an order is on its way to us: look for it, do not wait for its news
        if change is None:
            later = next_try(state.target, state.expected, reading.available, at)
            state.next_try_at = later or at + retry_after(5)  # the next reconciliation looks again
        elif change.quantity > MOST_IN_SHOPIFY:
            answers.park(state, answers.FINAL_CODES["INVALID_QUANTITY_TOO_HIGH"], at)
        elif guard.stops(change) and state.approved_target != state.target and not is_mirrored(state.mapping.item):
            _ask_approval(state, change, at)
        elif change.change:
            mapping = state.mapping
            gids = (mapping.variant.inventory_item_gid, mapping.location.location_gid)
            plans.append(Planned(state.mapping_id, change, state.target, state.expected, *gids))
    return plans


def _ask_approval(state: SyncState, write: Write, at: datetime) -> None:
    facts = {"from": write.change_from, "to": write.quantity, "target": state.target}
    approvals.ask_guard(state, facts, at)
