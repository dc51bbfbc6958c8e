"""Taking a push back: the opposite change, under the same rule as every write.

It is no old number brought back. Shopify's number of now falls by what the push had raised it, compared and swapped, and not below 0: what was
sold meanwhile stays sold. From then on our number is held: nothing raises it until a person approves, or it falls by itself. What lowered a
number is not taken back here, as those units are sold, expired or held: that would put them on sale.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from occ_app import clock
from occ_app.catalog.models import Mapping
from occ_app.errors import NotFoundError, RuleError
from occ_app.extensions import db
from occ_app.shopify.client import Client
from occ_app.shopify.errors import ShopifyUnavailableError
from occ_app.stock import ledger
from occ_app.sync import models as m
from occ_app.sync import readings
from occ_app.sync.answers import PullOrders
from occ_app.sync.models import PushLine, PushUndo, SyncRun, SyncState
from occ_app.sync.reasons import Why
from occ_app.sync.rules import Reading, chunks, write_for
from occ_app.sync.targets import lock_states
from occ_app.sync.writing import Planned, write
from occ_app.work import tasks

ROUNDS = 3  # how often it reads and writes again where somebody was quicker
MOST_AT_ONCE = 20_000
FELL = "it lowered the number. Those units are sold, expired or held; release or count units to raise it"
LATER = "a later number was sent since, and only the last one can be taken back"
RESTS = "nothing is sent for it at the moment"
NONE_LEFT = "Shopify has none left of it"


@dataclass(frozen=True)
class Outcome:
    """How many changes are taken back, and in words which were left out and why."""

    done: int
    left_out: tuple[str, ...]


def lines_of(run_id: int) -> list[int]:
    """The ids of the run's lines. Raises NotFoundError."""
    ids = list(db.session.scalars(select(PushLine.id).where(PushLine.run_id == run_id).limit(MOST_AT_ONCE)))
    if not ids:
        raise NotFoundError(f"There is no push run {run_id} here.")
    return ids


def ask(line_ids: Iterable[int], *, actor: str, at: datetime) -> Outcome:
    """The changes of these push lines are to be taken back; the next run does it. Raises RuleError where none can be."""
    wanted = sorted(set(line_ids))[:MOST_AT_ONCE]
    lines = db.session.scalars(select(PushLine).where(PushLine.id.in_(wanted)).order_by(PushLine.id)).all()
    if not lines:
        raise NotFoundError("There is no such push here.")
    item_ids = set(db.session.scalars(select(Mapping.item_id).where(Mapping.id.in_({x.mapping_id for x in lines}))))
    ledger.lock(item_ids)
    lock_states(item_ids)
    states = {state.mapping_id: state for state in readings.living_states({line.mapping_id for line in lines})}
    newest = _newest([line.mapping_id for line in lines])
    asked = {row.line_id: row for row in db.session.scalars(select(PushUndo).where(PushUndo.line_id.in_(wanted)))}
    left_out = []
    done = 0
    for line in lines:
        why_not = _asked_already(asked.get(line.id)) or _why_not(line, states.get(line.mapping_id), newest)
        if why_not:
            left_out.append(why_not)
            continue
        db.session.add(PushUndo(line_id=line.id, asked_at=at, asked_by=actor))
        done += 1
    if not done:
        reasons = dict.fromkeys(left_out)
        raise RuleError(f"This cannot be taken back: {'; '.join(list(reasons)[:3])}.")
    db.session.flush()
    tasks.ask("push", lines[0].shop_id)
    return Outcome(done, tuple(left_out))


def can(line: PushLine, asked: PushUndo | None, newest: dict[int, int]) -> bool:
    """Whether a page may offer to take the line back."""
    return asked is None and line.state == m.APPLIED and line.change > 0 and newest.get(line.mapping_id) == line.id


def facts_of(lines: Sequence[PushLine]) -> tuple[dict[int, PushUndo], dict[int, int]]:
    """What was asked about these lines, and the newest applied line of each of their mappings. Two statements."""
    ids = [line.id for line in lines]
    asked = db.session.scalars(select(PushUndo).where(PushUndo.line_id.in_(ids))) if ids else ()
    return {row.line_id: row for row in asked}, _newest([line.mapping_id for line in lines])


def _newest(mapping_ids: Sequence[int]) -> dict[int, int]:
    """Mapping id -> its newest line that was applied or whose fate is open."""
    query = select(PushLine.mapping_id, func.max(PushLine.id)).where(
        PushLine.mapping_id.in_(mapping_ids), PushLine.state.in_((m.APPLIED, m.WAITING, m.AMBIGUOUS))
    )
    return dict(map(tuple, db.session.execute(query.group_by(PushLine.mapping_id))))


def _asked_already(asked: PushUndo | None) -> str | None:
    if asked is None:
        return None
    return f"{asked.asked_by} took it back already" if asked.left_because is None else asked.left_because


def _why_not(line: PushLine, state: SyncState | None, newest: dict[int, int]) -> str | None:
    """Why the line's change cannot be taken back now, in words; None where it can."""
    if line.state != m.APPLIED:
        return "it was not sent"
    if line.change <= 0:
        return FELL
    if newest.get(line.mapping_id) != line.id:
        return LATER
    if (
        state is None
        or state.expected is None
        or not state.is_pushed
        or state.state not in (m.LINKED, m.AWAITING_APPROVAL)
    ):
        return RESTS
    return None


def carry_out(client: Client, pull_orders: PullOrders) -> None:
    """What was to be taken back has been, or waits for an answer; what cannot be any more is settled with why."""
    if not _open():
        return
    run = SyncRun(kind=m.UNDO, started_at=clock.now())
    db.session.add(run)
    db.session.commit()
    before = (client.calls, client.points)
    try:
        for _ in range(ROUNDS):
            if not _round(client, pull_orders, run):
                break
    except ShopifyUnavailableError as error:
        db.session.rollback()
        run.cause = str(error)
    run.reads = client.calls - before[0] - run.writes
    run.points = client.points - before[1]
    run.finished_at = clock.now()
    db.session.commit()


def _open() -> list[tuple[PushUndo, PushLine]]:
    """What is to be taken back and of which no write is on its way, and may be tried now."""
    on_its_way = select(PushLine.mapping_id).where(PushLine.state.in_((m.WAITING, m.AMBIGUOUS)))
    query = (
        select(PushUndo, PushLine)
        .join(PushLine, PushLine.id == PushUndo.line_id)
        .outerjoin(SyncState, SyncState.mapping_id == PushLine.mapping_id)
        .where(PushUndo.settled_at.is_(None), PushLine.mapping_id.not_in(on_its_way))
        .where((SyncState.next_try_at.is_(None)) | (SyncState.next_try_at <= clock.now()) | (SyncState.tries == 0))
        .order_by(PushUndo.line_id)
    )
    return [(row[0], row[1]) for row in db.session.execute(query)]


def _round(client: Client, pull_orders: PullOrders, run: SyncRun) -> bool:
    """One reading and one write of all that is to be taken back. Whether another round may help."""
    found = readings.fetch(client, readings.living_states([line.mapping_id for _, line in _open()]))
    # Loaded again: what was booked while Shopify answered is known to the plan.
    pending = _open()
    states = {state.mapping_id: state for state in readings.living_states([line.mapping_id for _, line in pending])}
    newest = _newest([line.mapping_id for _, line in pending])
    plans, why, at = [], {}, clock.now()
    for asked, line in pending:
        plan = _plan(asked, line, states.get(line.mapping_id), found.get(line.mapping_id), newest, at)
        if plan:
            plans.append(plan)
            why[line.mapping_id] = Why(f"Taken back by {asked.asked_by}", line.until_move_id)
    run.looked_at = max(run.looked_at, len(pending))
    db.session.commit()
    for part in chunks(plans, readings.PER_CALL):
        write(client, pull_orders, run, part, why)
    return bool(plans)


def _plan(
    asked: PushUndo,
    line: PushLine,
    state: SyncState | None,
    reading: Reading | str | None,
    newest: dict[int, int],
    at: datetime,
) -> Planned | None:
    """The opposite change on top of what Shopify has; None where nothing is to be written, with why, or where it was not read."""
    why_not = _why_not(line, state, newest)
    if why_not is None and reading is None:
        return None  # it was asked for while Shopify answered: the next round reads it
    if why_not is None and isinstance(reading, str):
        why_not = reading
    if why_not is not None or state is None or not isinstance(reading, Reading):
        asked.settled_at, asked.left_because = at, why_not
        return None
    readings.keep(state, reading)
    change = write_for(-line.change, 0, reading.available, may_raise=False)
    if change is None or not change.change:
        asked.settled_at, asked.left_because = at, NONE_LEFT
        return None
    mapping = state.mapping
    gids = (mapping.variant.inventory_item_gid, mapping.location.location_gid)
    return Planned(state.mapping_id, change, state.target, state.expected or 0, *gids, undoes_id=line.id)
