"""What became of a call that writes: the answer booked, or told by a reading where there was none or it leaves things open."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select, update

from occ_app import clock
from occ_app.catalog.models import Mapping
from occ_app.extensions import db
from occ_app.outbox.models import AMBIGUOUS, APPLIED, READY, REFUSED, SENT, Mutation
from occ_app.shopify.client import Client
from occ_app.shopify.errors import NoAnswerError, ShopifyRefusedError, ShopifyUnavailableError
from occ_app.sync import desk, readings
from occ_app.sync import models as m
from occ_app.sync.models import PARKED, PushLine, PushUndo, SyncRun, SyncState
from occ_app.sync.rules import READ_LAG, Reading, retry_after, was_applied
from occ_app.sync.targets import refresh

MOST_TRIES = 6
UNNAMED = "REFUSED"  # our own code for an error that names no row
PATIENCE = timedelta(minutes=2)  # how long a write of unknown outcome waits for a reading that tells
RESENT_WITHIN = timedelta(seconds=10)
FINAL_CODES = {
    "NON_MUTABLE_INVENTORY_ITEM": "Shopify keeps this number itself: the variant is a bundle of others.",
    "INVALID_INVENTORY_ITEM": "Shopify no longer has this variant.",
    "INVALID_LOCATION": "The location is switched off or gone in Shopify.",
    "INVALID_QUANTITY_TOO_HIGH": "The quantity is more than Shopify can keep (1,000,000,000).",
}

PullOrders = Callable[[Client], object]  # every order that Shopify has changed so far is booked

# Causes that a good reading says nothing about: somebody must look before it is tried again.
NOT_BY_ITSELF = (FINAL_CODES["NON_MUTABLE_INVENTORY_ITEM"], FINAL_CODES["INVALID_QUANTITY_TOO_HIGH"])


def park(state: SyncState, cause: str, at: datetime) -> None:
    """Nothing more is tried for the mapping until a person or a good reading says so; the desk shows why."""
    state.state, state.cause = PARKED, cause
    desk.raise_(desk.PARKED, desk.subject_of(state.mapping_id), {"cause": cause}, at, state.mapping_id)


def unsettled_mappings(ids: Iterable[int]) -> dict[int, datetime]:
    """Those of these mappings that have a write whose fate is not known, and when it was made: what their readings show may be our doing."""
    query = select(PushLine.mapping_id, func.max(PushLine.created_at)).where(PushLine.mapping_id.in_(list(ids)))
    query = query.where(PushLine.state.in_((m.WAITING, m.AMBIGUOUS))).group_by(PushLine.mapping_id)
    return dict(map(tuple, db.session.execute(query)))


def next_look(made_at: datetime, at: datetime) -> datetime:
    """When a write of unknown outcome is looked at again: soon, until the patience with it has ended."""
    return at + retry_after(2 if at < made_at + 2 * PATIENCE else 3)


def send(client: Client, pull_orders: PullOrders, mutation_id: int, *, is_retry: bool) -> list[int]:
    """The mutation row has been sent and its answer booked. Returns the mappings that may be written anew.

    No answer: the row stays `sent`, and the same key goes out again later. A stale answer to a retry proves nothing: a reading decides.
    """
    mutation = db.session.get_one(Mutation, mutation_id)
    mutation.state, mutation.sent_at = SENT, clock.now()
    mutation.tries += 1
    db.session.commit()
    try:
        answer = client.mutate(mutation.operation, mutation.variables)
        errors = answer.data["inventorySetQuantities"]["userErrors"]
    except NoAnswerError as error:
        mutation.answer = {"transport": str(error)}
        db.session.commit()
        raise
    except ShopifyRefusedError as error:
        errors = [{"code": UNNAMED, "field": None, "message": str(error)}]
    mutation.answered_at = clock.now()
    if not errors:
        mutation.state = APPLIED
        _applied(list(open_lines(mutation.id)), mutation.answered_at)
        db.session.commit()
        return []
    mutation.answer = {"userErrors": errors}
    mutation.state = AMBIGUOUS if is_retry or not _is_settled_refusal(errors) else REFUSED
    db.session.commit()
    return settle_by_reading(client, pull_orders, mutation, errors)


def _is_settled_refusal(errors: Sequence[dict[str, Any]]) -> bool:
    """Whether these errors prove that the rows they name were not written. An error of the call itself proves nothing."""
    return not {error.get("code") for error in errors} & {UNNAMED, "IDEMPOTENCY_CONCURRENT_REQUEST"}


def open_lines(mutation_id: int) -> Sequence[PushLine]:
    """Lines of the call whose fate is not known yet."""
    query = select(PushLine).where(PushLine.mutation_id == mutation_id, PushLine.state.in_((m.WAITING, m.AMBIGUOUS)))
    return db.session.scalars(query.order_by(PushLine.position)).all()


def last_applied(ids: Iterable[int]) -> dict[int, PushLine]:
    """The newest line of each of these mappings that was applied."""
    newest = select(func.max(PushLine.id)).where(PushLine.mapping_id.in_(list(ids)), PushLine.state == m.APPLIED)
    lines = db.session.scalars(select(PushLine).where(PushLine.id.in_(newest.group_by(PushLine.mapping_id))))
    return {line.mapping_id: line for line in lines}


def is_before(last: PushLine | None, state: SyncState, reading: Reading, at: datetime) -> bool:
    """Whether a reading shows what our last write has just replaced: Shopify's readings may lag, and a write that rests on it is refused."""
    if last is None or last.settled_at is None or at >= last.settled_at + READ_LAG:
        return False
    return state.drift == -last.change and reading.available == last.change_from


def _applied(lines: Sequence[PushLine], at: datetime) -> None:
    """E has risen by what was really written; T may have moved meanwhile."""
    states = _locked_states(lines)
    for line in lines:
        line.state, line.settled_at = m.APPLIED, at
        state = states[line.mapping_id]
        if state.expected is not None:
            state.expected += line.change
        state.tries, state.next_try_at = 0, None
        state.drift_since, state.drift_looks = None, 0  # readings may lag behind our own write
        if state.read_available == line.change_from:
            state.read_available = line.quantity
            state.read_on_hand = (state.read_on_hand or 0) + line.change
        if line.undoes_id is not None:
            state.is_held, state.approved_target = True, None
        elif state.target == state.expected:
            state.synced_at, state.why = at, None
    _tell_undone(lines, at)
    run = db.session.get_one(SyncRun, lines[0].run_id) if lines else None
    if run:
        run.changed += len(lines)
    _decide_anew([state for state in states.values() if state.state == m.AWAITING_APPROVAL or state.is_held])


def _tell_undone(lines: Sequence[PushLine], at: datetime) -> None:
    """What these lines took back is taken back."""
    undone = [line.undoes_id for line in lines if line.undoes_id is not None]
    if undone:
        db.session.execute(update(PushUndo).where(PushUndo.line_id.in_(undone)).values(settled_at=at))


def _decide_anew(states: Sequence[SyncState]) -> None:
    """What began to wait while its last number was on the way is decided by what Shopify has now: then a rise, it may be a recall's fall."""
    if states:
        db.session.flush()
        ids = [state.mapping_id for state in states]
        refresh(db.session.scalars(select(Mapping.item_id).where(Mapping.id.in_(ids))).all())


def _locked_states(lines: Sequence[PushLine]) -> dict[int, SyncState]:
    ids = sorted(line.mapping_id for line in lines)
    query = select(SyncState).where(SyncState.mapping_id.in_(ids)).order_by(SyncState.mapping_id).with_for_update()
    found = db.session.scalars(query.execution_options(populate_existing=True))
    return {state.mapping_id: state for state in found}


def settle_by_reading(
    client: Client, pull_orders: PullOrders, mutation: Mutation, errors: Sequence[dict[str, Any]]
) -> list[int]:
    """Each line of a call with errors, or without an answer, is told applied, not applied or still open by what Shopify has now.

    One bad row may have failed the whole call or only itself: both answers are possible. So only a row that the first answer names is
    believed to be refused; of all others, and of all rows of a repeated call, a reading tells. As many units as a row raised may have been
    sold since, and the number looks as if nothing had been written: so orders are read after the number.
    """
    lines, was_open = list(open_lines(mutation.id)), mutation.state == AMBIGUOUS
    named = _named(errors)
    whole = next((error for error in errors if _row_of(error) is None), None)
    refused = {} if was_open else {line.id: named.get(line.position) or whole for line in lines}
    found = readings.fetch(client, readings.living_states(line.mapping_id for line in lines))
    if any(line.change > 0 and not refused.get(line.id) for line in lines):
        pull_orders(client)
        lines = list(open_lines(mutation.id))
    states = _locked_states(lines)
    at = clock.now()
    again: list[int] = []
    for line in lines:
        state, reading = states[line.mapping_id], found.get(line.mapping_id)
        error = named.get(line.position) or whole
        is_refused = refused.get(line.id) is not None
        outcome = _outcome(line, state, reading, at, is_refused=is_refused, is_ambiguous=was_open)
        if outcome == m.AMBIGUOUS:
            line.state, mutation.state = m.AMBIGUOUS, AMBIGUOUS
            state.look_at = next_look(line.created_at, at)
            _show_ambiguous(line, at)
            continue
        state.look_at = at
        if outcome == m.APPLIED:
            _applied([line], at)
        else:
            _not_applied(line, state, error, reading, at)
            if state.state == m.LINKED:
                again.append(line.mapping_id)
        desk.withdraw(desk.AMBIGUOUS, desk.subject_of(line.mapping_id), at)
    if mutation.state == AMBIGUOUS and not any(line.state == m.AMBIGUOUS for line in lines):
        mutation.state = REFUSED if all(line.state != m.APPLIED for line in lines) else APPLIED
    db.session.commit()
    return again


def _outcome(
    line: PushLine,
    state: SyncState,
    reading: Reading | str | None,
    at: datetime,
    *,
    is_refused: bool,
    is_ambiguous: bool,
) -> str:
    """What became of a line, by a reading alone. It stays open while the books and `committed` differ, or nothing fits."""
    if state.expected is None or reading is None or reading == readings.DELETED:
        return m.REFUSED
    if not isinstance(reading, Reading):
        return m.AMBIGUOUS if is_ambiguous else m.REFUSED
    if is_refused:
        return m.STALE
    if reading.committed != state.booked_committed:
        return m.AMBIGUOUS
    drift, drift_then = reading.available - state.expected, line.change_from - line.expected
    is_patient = at < line.created_at + PATIENCE
    is_unbooked = state.expected == line.expected
    is_applied = was_applied(drift, drift_then, line.change, is_patient=is_patient, is_unbooked=is_unbooked)
    if is_applied is None:
        return m.AMBIGUOUS
    return m.APPLIED if is_applied else m.STALE


def _not_applied(
    line: PushLine, state: SyncState, error: dict[str, Any] | None, reading: Reading | str | None, at: datetime
) -> None:
    code = (error or {}).get("code") or ""
    line.state = m.STALE if code in ("", "CHANGE_FROM_QUANTITY_STALE") else m.REFUSED
    line.settled_at = at
    line.cause = (error or {}).get("message") or "The call was refused because of another row."
    if isinstance(reading, Reading):
        readings.keep(state, reading)
    if isinstance(reading, str) and error:
        park(state, reading, at)
    elif code in FINAL_CODES:
        park(state, FINAL_CODES[code], at)
    elif error and code != "CHANGE_FROM_QUANTITY_STALE":
        _failed(state, line.cause, at)


def _failed(state: SyncState, cause: str, at: datetime) -> None:
    state.tries += 1
    state.next_try_at = at + retry_after(state.tries)
    if state.tries >= MOST_TRIES:
        park(state, cause, at)


def _show_ambiguous(line: PushLine, at: datetime) -> None:
    facts = {"from": line.change_from, "to": line.quantity}
    desk.raise_(desk.AMBIGUOUS, desk.subject_of(line.mapping_id), facts, at, line.mapping_id)


def _named(errors: Sequence[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """Errors by the index of the quantity that they name (`input.quantities.7...`)."""
    found: dict[int, dict[str, Any]] = defaultdict(dict)
    for error in errors:
        row = _row_of(error)
        if row is not None:
            found[row] = error
    return found


def _row_of(error: dict[str, Any]) -> int | None:
    """The index of the quantity that the error names; None where it is about the whole call. A row may be named more than once."""
    path = error.get("field") or []
    return int(path[2]) if len(path) >= 3 and path[1] == "quantities" and str(path[2]).isdecimal() else None


def settle_open(client: Client, pull_orders: PullOrders) -> None:
    """Calls whose answer never came are sent again with the same key and input within seconds; older and ambiguous ones are told by a reading.

    Later than that the number may have come back to what the call compares with, by sales, and a key may be forgotten by then.
    """
    unsettled = select(PushLine.mutation_id).where(PushLine.state.in_((m.WAITING, m.AMBIGUOUS)))
    query = select(Mutation).where(
        Mutation.operation == "inventory_set",
        Mutation.state.in_((READY, SENT, AMBIGUOUS)) | Mutation.id.in_(unsettled),
    )
    for mutation in db.session.scalars(query.order_by(Mutation.id)).all():
        try:
            _settle_one(client, pull_orders, mutation)
        except ShopifyUnavailableError:
            db.session.rollback()  # the row stays as it is and waits longer; the others go on
    db.session.commit()


def _settle_one(client: Client, pull_orders: PullOrders, mutation: Mutation) -> None:
    lines, at = open_lines(mutation.id), clock.now()
    if not lines:
        mutation.state = APPLIED if mutation.state == SENT else mutation.state
    elif mutation.state in (AMBIGUOUS, REFUSED):  # refused, and the process ended before its rows were told so
        settle_by_reading(client, pull_orders, mutation, (mutation.answer or {}).get("userErrors") or [])
    elif mutation.state == READY or mutation.sent_at is None:
        _never_sent(mutation, lines, at)
    elif mutation.tries < 2 and at < mutation.sent_at + RESENT_WITHIN and _is_still_wanted(lines):
        send(client, pull_orders, mutation.id, is_retry=True)
    elif mutation.sent_at + retry_after(1) <= at:  # by now it has arrived, or never will
        mutation.state = AMBIGUOUS
        settle_by_reading(client, pull_orders, mutation, [])


def _never_sent(mutation: Mutation, lines: Sequence[PushLine], at: datetime) -> None:
    """The process ended between the row and the call: nothing happened, and what is right by now is decided anew."""
    mutation.state = REFUSED
    for line in lines:
        line.state, line.settled_at, line.cause = m.REFUSED, at, "It was never sent."


def _is_still_wanted(lines: Sequence[PushLine]) -> bool:
    """Whether every rise of the call is still covered by its target, and every mapping of it is still synced."""
    states = {state.mapping_id: state for state in readings.living_states(line.mapping_id for line in lines)}
    for line in lines:
        state = states.get(line.mapping_id)
        if state is None or state.state != m.LINKED or state.expected is None:
            return False
        if line.change > 0 and state.target - state.expected < line.change:
            return False
    return True
