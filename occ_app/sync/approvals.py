"""Numbers that wait for a person: by the sync mode (manual approval), because the step is bigger than the shop's limit (guard), or
because a person took the last push back (undo).

The queue follows the sync states: whoever changes those calls `follow`. What is asked about is the change (target less expected), so a sale,
which moves both alike, neither asks anew nor undoes an answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import contains_eager, joinedload

from occ_app.catalog.models import Mapping
from occ_app.errors import NotFoundError, RuleError
from occ_app.extensions import db
from occ_app.stock import ledger
from occ_app.sync import desk
from occ_app.sync import models as m
from occ_app.sync.models import Approval, SyncState
from occ_app.work import tasks

TOO_BIG = "The step is bigger than your limit."
LONGEST_REASON = 300
MOST_AT_ONCE = 20_000


@dataclass(frozen=True)
class Outcome:
    """How many numbers were answered, and in words which were left out and why."""

    done: int
    left_out: tuple[str, ...]


def follow(states: Sequence[SyncState], at: datetime) -> None:
    """Of these mappings, each that waits for a person is asked about once, with its number of now; of the others none is.

    Three statements at most, whatever their number.
    """
    if not states:
        return
    newest = _newest([state.mapping_id for state in states])
    new = []
    for state in states:
        last = newest.get(state.mapping_id)
        if state.state != m.AWAITING_APPROVAL or state.expected is None:
            _no_longer(state, last, at)
        elif last is not None and last.state == m.ASKED and _is_same(last, state):
            last.quantity, last.expected = state.target, state.expected
        elif last is None or not _is_still_rejected(last, state):
            new.append(_asked_anew(state, last, at))
    db.session.flush()
    if new:
        db.session.execute(insert(Approval), new)


def _newest(mapping_ids: Sequence[int]) -> dict[int, Approval]:
    newest = select(func.max(Approval.id)).where(Approval.mapping_id.in_(mapping_ids)).group_by(Approval.mapping_id)
    found = db.session.scalars(
        select(Approval).where(Approval.id.in_(newest)).execution_options(populate_existing=True)
    )
    return {row.mapping_id: row for row in found}


def _is_same(row: Approval, state: SyncState) -> bool:
    return state.expected is not None and row.quantity - row.expected == state.target - state.expected


def _is_still_rejected(last: Approval, state: SyncState) -> bool:
    """Whether this very change was rejected, and the two sides have not agreed since."""
    if last.state != m.REJECTED or last.settled_at is None or not _is_same(last, state):
        return False
    is_unanswered = state.cause == TOO_BIG and (state.synced_at is None or state.synced_at <= last.settled_at)
    return is_unanswered or state.cause == _said(last)


def _no_longer(state: SyncState, last: Approval | None, at: datetime) -> None:
    if last is None or last.state != m.ASKED:
        return
    is_replaced = state.state == m.LINKED and state.target != state.expected
    _settle(last, m.SUPERSEDED if is_replaced else m.GONE, "", at)
    if last.kind == desk.GUARD:
        desk.withdraw(desk.GUARD, desk.subject_of(state.mapping_id), at)


def _asked_anew(state: SyncState, last: Approval | None, at: datetime) -> dict[str, object]:
    since = _since(state, last, at)
    if last is not None and last.state == m.ASKED:
        _settle(last, m.SUPERSEDED, "", at)
    kind = m.UNDO if state.is_held else desk.GUARD if state.cause == TOO_BIG else m.MANUAL
    if last is not None and last.kind == desk.GUARD != kind:
        desk.withdraw(desk.GUARD, desk.subject_of(state.mapping_id), at)
    state.cause = TOO_BIG if kind == desk.GUARD else None
    row = {"shop_id": state.shop_id, "mapping_id": state.mapping_id, "kind": kind, "quantity": state.target}
    return row | {"expected": state.expected, "since": since, "asked_at": at, "state": m.ASKED, "reason": ""}


def _since(state: SyncState, last: Approval | None, at: datetime) -> datetime:
    """From when on the two sides have differed."""
    agreed = state.synced_at or state.baseline_at or at
    if last is None:
        return agreed
    settled = last.settled_at or last.asked_at
    if last.state == m.GONE:
        return max(agreed, settled)
    return agreed if agreed > settled else last.since


def _settle(row: Approval, outcome: str, by: str, at: datetime, reason: str = "") -> None:
    row.state, row.settled_at, row.settled_by, row.reason = outcome, at, by or None, reason


def ask_guard(state: SyncState, facts: dict[str, int], at: datetime) -> None:
    """The mapping's step waits for a person: it is in the queue and on the desk, unless this very change was rejected."""
    state.state, state.cause = m.AWAITING_APPROVAL, TOO_BIG
    follow([state], at)
    last = _newest([state.mapping_id]).get(state.mapping_id)
    if last is not None and last.state == m.REJECTED:
        state.cause = _said(last)
        return
    desk.raise_(desk.GUARD, desk.subject_of(state.mapping_id), facts, at, state.mapping_id)


def _said(row: Approval) -> str:
    return f"{row.settled_by} rejected {max(0, row.quantity):,}: {row.reason or 'no reason given'}. It is asked again when ours changes."


def waiting() -> list[Approval]:
    """All that waits for a person, oldest first, each with its mapping, item and variant."""
    return list(db.session.scalars(_waiting().order_by(Approval.id)))


def count_waiting() -> int:
    """How many numbers wait for a person."""
    return db.session.scalar(select(func.count()).select_from(_waiting().subquery())) or 0


def _waiting():  # type: ignore[no-untyped-def]
    return (
        select(Approval)
        .join(Approval.mapping)
        .join(SyncState, SyncState.mapping_id == Approval.mapping_id)
        .where(Approval.state == m.ASKED, SyncState.state == m.AWAITING_APPROVAL, Mapping.ended_at.is_(None))
        .options(
            contains_eager(Approval.mapping).options(
                joinedload(Mapping.item), joinedload(Mapping.variant), joinedload(Mapping.location)
            )
        )
    )


def approve(ids: Iterable[int], *, actor: str, at: datetime) -> Outcome:
    """The calculated numbers of these approvals are pushed; a later one needs an approval of its own.

    One that another number has superseded is left out, and told. Raises RuleError where none is left to approve.
    """
    rows, left_out = _open(ids)
    states = _states(rows)
    for row in rows:
        state = states[row.mapping_id]
        state.approved_target, state.state, state.cause = state.target, m.LINKED, None
        state.is_held = False
        state.next_try_at = None if not state.tries else state.next_try_at
        _settle(row, m.APPROVED, actor, at)
    _end(rows, actor, "approve", at)
    if rows:
        tasks.ask("push", rows[0].shop_id)
    return _outcome(rows, left_out)


def reject(ids: Iterable[int], *, reason: str, actor: str, at: datetime) -> Outcome:
    """Shopify keeps its numbers; ours are asked about again when they change. Raises RuleError without a reason, or where none is left."""
    reason = reason.strip()
    if not reason:
        raise RuleError("Say why you reject it, so that the next person knows.", field="reason")
    if len(reason) > LONGEST_REASON:
        raise RuleError(f"Keep the reason to {LONGEST_REASON} characters.", field="reason")
    rows, left_out = _open(ids)
    states = _states(rows)
    for row in rows:
        _settle(row, m.REJECTED, actor, at, reason)
        states[row.mapping_id].cause = _said(row)
    _end(rows, actor, "reject", at)
    return _outcome(rows, left_out)


def _open(ids: Iterable[int]) -> tuple[list[Approval], list[str]]:
    """Those of these approvals that can be answered, locked with their items and states, as every booking locks; and why not the others."""
    wanted = sorted(set(ids))[:MOST_AT_ONCE]
    if not wanted:
        raise RuleError("Tick the numbers first.")
    query = select(Approval).where(Approval.id.in_(wanted)).order_by(Approval.id)
    loaded = query.options(joinedload(Approval.mapping).joinedload(Mapping.item))
    rows = list(db.session.scalars(loaded))
    if not rows:
        raise NotFoundError("There is no such approval here.")
    ledger.lock(row.mapping.item_id for row in rows)
    states = _states(rows)
    again = loaded.execution_options(populate_existing=True)
    rows = list(db.session.scalars(again))
    open_ones = [row for row in rows if row.state == m.ASKED and states[row.mapping_id].state == m.AWAITING_APPROVAL]
    left_out = [_why_not(row, states[row.mapping_id]) for row in rows if row not in open_ones]
    return open_ones, left_out


def _states(rows: Sequence[Approval]) -> dict[int, SyncState]:
    ids = sorted(row.mapping_id for row in rows)
    query = select(SyncState).where(SyncState.mapping_id.in_(ids)).order_by(SyncState.mapping_id).with_for_update()
    return {state.mapping_id: state for state in db.session.scalars(query.execution_options(populate_existing=True))}


def _why_not(row: Approval, state: SyncState) -> str:
    name, number = row.mapping.item.name, f"{max(0, row.quantity):,}"
    if row.state in (m.APPROVED, m.REJECTED):
        return f"{name}: {number} was {row.state} already, by {row.settled_by}"
    if state.state == m.AWAITING_APPROVAL:
        return f"{name}: it is {max(0, state.target):,} now, no longer {number}. Look again"
    return f"{name}: {number} waits no longer"


def _end(rows: Sequence[Approval], actor: str, remedy: str, at: datetime) -> None:
    guarded = [row.mapping_id for row in rows if row.kind == desk.GUARD]
    if guarded:
        desk.withdraw_many(desk.GUARD, guarded, at, by=actor, remedy=remedy)
    db.session.flush()


def _outcome(rows: Sequence[Approval], left_out: Sequence[str]) -> Outcome:
    if not rows:
        raise RuleError(f"{'; '.join(left_out[:5])}.")
    return Outcome(len(rows), tuple(left_out))


def find_asked(mapping_id: int) -> Approval | None:
    """What is asked about a mapping, if anything."""
    query = select(Approval).where(Approval.mapping_id == mapping_id, Approval.state == m.ASKED)
    return db.session.scalars(query).one_or_none()


def forget(mapping_ids: Iterable[int], at: datetime) -> None:
    """Nothing is asked about these mappings any more: they are unmapped or switched off."""
    asked = update(Approval).where(Approval.mapping_id.in_(list(mapping_ids)), Approval.state == m.ASKED)
    db.session.execute(asked.values(state=m.GONE, settled_at=at))
