"""Why a number is pushed: what has moved since the mapping's push before, in words for the history."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import case, func, select

from occ_app import clock
from occ_app.catalog.models import Mapping
from occ_app.extensions import db
from occ_app.shops import settings
from occ_app.stock import ledger
from occ_app.stock.models import Lot, StockMove
from occ_app.stock.rules import COUNTED, Holding
from occ_app.sync import models as m
from occ_app.sync.answers import last_applied
from occ_app.sync.models import FIRST_LINK, Approval, PushLine, SyncState
from occ_app.sync.targets import is_mirrored, mode_of, shop, today

# Sources by their first word -> (ids: names and the mapping that sold, whose own number needs no push for that).
Namer = Callable[[Collection[int]], dict[int, tuple[str, int | None]]]
_namers: dict[str, Namer] = {}
MOST_REASONS = 2
MOST_MOVES = 50  # looked at, of one number
SAID = {
    "opening": "opening stock",
    "production": "made",
    "step": "moved on",
    "release": "released",
    "unrelease": "taken back",
    "hold": "put on hold",
    "scrap": "scrapped",
    "allocate": "allocated",
    "correction": "corrected",
    "receive": "received",
    "order_for_stock": "ordered from the partner for stock",
    "count": "counted",
    "waste": "wasted",
    "reserve": "reserved for a run",
    "unreserve": "no longer reserved",
    "consume": "used in a run",
    "market_out": "taken to a market",
    "market_back": "back from a market",
    "handout": "given away",
}


@dataclass(frozen=True)
class Why:
    """What changed a number, in words, and the newest stock move that was looked at."""

    words: str | None
    until_move_id: int | None


def named_by(first_word: str, namer: Namer) -> None:
    """Moves whose source begins with `first_word:<id>` are called what `namer` calls those ids; its package stands above this one."""
    _namers[first_word] = namer


def of(states: Sequence[SyncState]) -> dict[int, Why]:
    """Why the numbers of these mappings are to change. A fixed number of statements, whatever their number."""
    if not states:
        return {}
    ids = [state.mapping_id for state in states]
    last, moved, approved = last_applied(ids), _moved(ids), _approved(ids)
    names = _names([row for rows in moved.values() for row in rows])
    expired = _expired(states, last)
    newest = db.session.scalar(select(func.max(StockMove.id)))
    found = {}
    for state in states:
        line = last.get(state.mapping_id)
        said = [state.why] if state.why else []
        if line or state.why != FIRST_LINK:  # a link's push is about the whole number, whatever moved just before
            said += _told(moved.get(state.mapping_id, []), state, names)
            said += expired[state.mapping_id]
        answer = approved.get(state.mapping_id)
        by = f"approved by {answer.settled_by}" if answer and _is_after(answer, line) else ""
        found[state.mapping_id] = Why(_sentence(said, state, by), newest)
    return found


def _moved(ids: Sequence[int]) -> dict[int, list[Any]]:
    """Mapping id -> what moved of its item at its location since its last push, by cause, newest first, MOST_MOVES at most."""
    until = func.max(PushLine.until_move_id).label("until")
    last = select(PushLine.mapping_id, until).where(PushLine.mapping_id.in_(ids), PushLine.state == m.APPLIED)
    last_of = last.group_by(PushLine.mapping_id).subquery()
    word = func.split_part(StockMove.source, ":", 1)
    named = case((word.in_(list(_namers)), func.split_part(StockMove.source, ":", 2)), else_="")
    columns = (SyncState.mapping_id, word, named, StockMove.reason, StockMove.from_place, StockMove.to_place)
    rank = func.row_number().over(partition_by=SyncState.mapping_id, order_by=func.max(StockMove.id).desc())
    is_later = case(
        (last_of.c.until.is_not(None), StockMove.id > last_of.c.until),
        else_=StockMove.moved_at >= SyncState.baseline_at,
    )
    query = (
        select(*columns[:1], word.label("word"), named.label("named"), *columns[3:], Lot.lot_number)
        .add_columns(rank.label("rank"))
        .join(Mapping, Mapping.id == SyncState.mapping_id)
        .outerjoin(last_of, last_of.c.mapping_id == SyncState.mapping_id)
        .join(StockMove, (StockMove.item_id == Mapping.item_id) & (StockMove.location_id == Mapping.location_id))
        .outerjoin(Lot, Lot.id == StockMove.lot_id)
        .where(SyncState.mapping_id.in_(ids), is_later)
        .group_by(*columns, Lot.lot_number)
        .subquery()
    )
    found: dict[int, list[Any]] = defaultdict(list)
    for row in db.session.execute(select(query).where(query.c.rank <= MOST_MOVES).order_by(query.c.rank)):
        found[row.mapping_id].append(row)
    return found


def _names(rows: Sequence[Any]) -> dict[tuple[str, str], tuple[str, int | None]]:
    """(first word, id) of a source -> what it is called, and the mapping through which it sold."""
    wanted: dict[str, set[int]] = defaultdict(set)
    for row in rows:
        if row.named.isascii() and row.named.isdigit():
            wanted[row.word].add(int(row.named))
    return {(word, str(key)): said for word, ids in wanted.items() for key, said in _namers[word](ids).items()}


def _told(rows: Sequence[Any], state: SyncState, names: dict[tuple[str, str], tuple[str, int | None]]) -> list[str]:
    """What came into the counted places or left them. A sale through the mapping itself is none: Shopify took those units off."""
    counted = COUNTED[mode_of(state.mapping.item, shop())]
    said = []
    for row in rows:
        name, seller = names.get((row.word, row.named), ("", None))
        if (row.to_place in counted) == (row.from_place in counted) or seller == state.mapping_id:
            continue
        what = SAID.get(row.reason, row.reason.replace("_", " "))
        said.append(name or (f"Lot {row.lot_number} {what}" if row.lot_number else what.capitalize()))
    return said


def _expired(states: Sequence[SyncState], last: dict[int, PushLine]) -> dict[int, list[str]]:
    """Mapping id -> its counted lots that expired since its last push, as the history calls them."""
    of_shop = shop()
    zone, now = settings.get(of_shop, "time_zone"), today(of_shop)
    held = ledger.holdings({state.mapping.item_id for state in states})
    gone: dict[int, list[int]] = {}
    for state in states:
        since = last[state.mapping_id].created_at if state.mapping_id in last else state.baseline_at
        first = clock.local_date(since, zone) if since else now
        counted = COUNTED[mode_of(state.mapping.item, of_shop)]
        there = held.get((state.mapping.item_id, state.mapping.location_id), [])
        gone[state.mapping_id] = [h.lot_id for h in there if h.lot_id and h.place in counted and _ended(h, first, now)]
    ids = {lot_id for lots in gone.values() for lot_id in lots}
    numbers = {lot.id: lot.lot_number for lot in db.session.scalars(select(Lot).where(Lot.id.in_(ids)))} if ids else {}
    return {mapping_id: [f"Lot {numbers[lot]} expired" for lot in sorted(lots)] for mapping_id, lots in gone.items()}


def _ended(holding: Holding, first: date, now: date) -> bool:
    return holding.expires_on is not None and first < holding.expires_on <= now


def _approved(ids: Sequence[int]) -> dict[int, Approval]:
    newest = select(func.max(Approval.id)).where(Approval.mapping_id.in_(ids), Approval.state == m.APPROVED)
    rows = db.session.scalars(select(Approval).where(Approval.id.in_(newest.group_by(Approval.mapping_id))))
    return {row.mapping_id: row for row in rows}


def _is_after(answer: Approval, line: PushLine | None) -> bool:
    return line is None or (answer.settled_at is not None and answer.settled_at >= line.created_at)


def _sentence(said: Sequence[str], state: SyncState, approved: str) -> str:
    once = list(dict.fromkeys(said)) or ["Partner's stock changed" if is_mirrored(state.mapping.item) else "Recounted"]
    more = len(once) - MOST_REASONS
    parts = [*once[:MOST_REASONS], *([f"{more} more"] if more > 0 else []), *([approved] if approved else [])]
    return ", ".join(parts)
