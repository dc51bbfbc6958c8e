"""Recalls: lots are frozen in every store at once, decisions are written down, and in the end their units come back or are scrapped.

Who must know that what may be sold has fallen hears it from the ledger, within the same transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import joinedload

from occ_app.errors import NotFoundError, RuleError
from occ_app.extensions import current_shop_id, db
from occ_app.production.models import (
    BACK,
    OUTCOMES,
    SCRAPPED,
    ProductionRun,
    Recall,
    RecallEntry,
    RecallLot,
    RunReservation,
)
from occ_app.production.trace import among
from occ_app.shops.models import Shop
from occ_app.stock import ledger
from occ_app.stock.models import Balance, Lot
from occ_app.stock.rules import SCRAP, is_here

MOST_LOTS = 10_000
LONGEST_WORDS = 1000
_NAMES = 5  # lot numbers that a sentence names


def open_(
    lot_ids: Iterable[int],
    *,
    chosen: Iterable[int] | None = None,
    reason: str = "",
    is_drill: bool = False,
    actor: str,
    at: datetime,
) -> Recall:
    """A recall holds these lots, and none of their units may be sold or used any more. A drill holds them and changes nothing else.

    `chosen`: those that a person named; the others were made from them. Raises RuleError where a lot is recalled already.
    """
    words = _checked_words(reason, "reason")
    lots = _lots_to_freeze(lot_ids, is_drill)
    recall = Recall(number=_next_number(), reason=words, is_drill=is_drill, opened_at=at, opened_by=actor)
    db.session.add(recall)
    db.session.flush()
    _add(recall, lots, set(chosen) if chosen is not None else {lot.id for lot in lots}, at)
    verb = "Drill opened; nothing is frozen" if is_drill else "Recall opened"
    _write(recall, f"{verb}. {_names(lots)}.{' Reason: ' + words if words else ''}", actor, at)
    return recall


def widen(recall: Recall, lot_ids: Iterable[int], *, actor: str, at: datetime) -> Sequence[Lot]:
    """The recall holds these lots as well. Raises RuleError where it has ended, or where one is recalled already."""
    recall = _locked(recall)
    here = set(db.session.scalars(select(RecallLot.lot_id).where(RecallLot.recall_id == recall.id)))
    wanted = set(lot_ids) - here
    if not wanted:
        raise RuleError("It is in this recall already.", field="number")
    lots = _lots_to_freeze(wanted, recall.is_drill)
    _add(recall, lots, {lot.id for lot in lots}, at)
    _write(recall, f"Added {_names(lots)}.", actor, at)
    return lots


def note(recall: Recall, words: str, *, actor: str, at: datetime) -> None:
    """The decision log has one line more. Raises RuleError for an empty or too long one."""
    words = _checked_words(words, "words")
    if not words:
        raise RuleError("Write what was decided or done.", field="words")
    _write(recall, words, actor, at)


def end(
    recall: Recall, outcome: str, lot_ids: Iterable[int] | None = None, *, reason: str = "", actor: str, at: datetime
) -> int:
    """These lots of the recall (or all that are open) are frozen no more: their units may be sold again, or are scrapped.

    What was scrapped stays recalled: units that customers send back of it are not sold again. Returns how many lots.
    Raises RuleError where nothing is open any more.
    """
    if outcome not in OUTCOMES:
        raise RuleError(f"Give one of: {', '.join(OUTCOMES)}.", field="outcome")
    words = _checked_words(reason, "words")
    recall = _locked(recall)
    query = select(RecallLot).where(RecallLot.recall_id == recall.id, RecallLot.ended_at.is_(None))
    if lot_ids is not None:
        query = query.where(among(RecallLot.lot_id, lot_ids))
    rows = db.session.scalars(query.options(joinedload(RecallLot.lot)).order_by(RecallLot.id)).all()
    if not rows:
        raise RuleError("Tick the lots that the recall is to end for." if recall.ended_at is None else _over(recall))
    items = {row.lot.item_id for row in rows}
    ledger.lock(items)
    for row in rows:
        row.ended_at, row.outcome = at, outcome
    db.session.flush()
    if not recall.is_drill:
        _thaw(recall, rows, outcome, actor, at)
        ledger.changed(items)
    _write(recall, _ended_words(recall, rows, outcome, words), actor, at)
    _close(recall, actor, at)
    return len(rows)


def get(recall_id: int) -> Recall:
    """The shop's recall with that id. Raises NotFoundError."""
    recall = db.session.scalar(select(Recall).where(Recall.id == recall_id))
    if recall is None:
        raise NotFoundError("There is no such recall here.")
    return recall


def find(name: str) -> Recall | None:
    """The shop's recall of that name (`RC-3`), if there is one."""
    digits = name.strip().upper().removeprefix("RC-")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 10):
        return None
    return db.session.scalar(select(Recall).where(Recall.number == int(digits)))


def of_lots(lot_ids: Iterable[int]) -> Sequence[tuple[Recall, RecallLot]]:
    """Recalls and drills that hold or held these lots, newest first."""
    query = select(Recall, RecallLot).join(RecallLot, RecallLot.recall_id == Recall.id)
    found = db.session.execute(query.where(among(RecallLot.lot_id, lot_ids)).order_by(Recall.id.desc()))
    return [(recall, row) for recall, row in found]


def lots_of(recall: Recall) -> Sequence[RecallLot]:
    """The recall's lots with lot and item, named ones first."""
    query = select(RecallLot).where(RecallLot.recall_id == recall.id)
    loaded = joinedload(RecallLot.lot).joinedload(Lot.item)
    return db.session.scalars(query.options(loaded).order_by(RecallLot.is_chosen.desc(), RecallLot.id)).all()


def entries_of(recall: Recall) -> Sequence[RecallEntry]:
    """The decision log, newest first."""
    query = select(RecallEntry).where(RecallEntry.recall_id == recall.id)
    return db.session.scalars(query.order_by(RecallEntry.id.desc())).all()


def units_here(lot_ids: Iterable[int]) -> dict[int, int]:
    """Lot id -> units of it that are in the house and not sold: what a recall of it freezes."""
    query = select(Balance.lot_id, Balance.place, Balance.quantity).where(
        among(Balance.lot_id, lot_ids), Balance.quantity > 0
    )
    here: dict[int, int] = {}
    for lot_id, place, quantity in db.session.execute(query):
        if is_here(place):
            here[lot_id] = here.get(lot_id, 0) + int(quantity)
    return here


# Freezing and thawing -----------------------------------------------------------------------------------------------------------------


def _lots_to_freeze(lot_ids: Iterable[int], is_drill: bool) -> Sequence[Lot]:
    """These lots, their items locked, so that no order and no run takes of them between the look and the freeze."""
    ids = set(lot_ids)
    if not ids:
        raise RuleError("Choose at least one lot.", field="lots")
    if len(ids) > MOST_LOTS:
        raise RuleError(f"A recall holds at most {MOST_LOTS:,} lots. Open several.", field="lots")
    query = select(Lot).where(among(Lot.id, ids)).order_by(Lot.id)
    if not is_drill:
        ledger.lock(db.session.scalars(select(Lot.item_id).where(among(Lot.id, ids)).distinct()))
        query = query.execution_options(populate_existing=True)
    lots = db.session.scalars(query).all()
    if len(lots) < len(ids):
        raise NotFoundError("One of these lots is not here.")
    taken = [lot for lot in lots if lot.recalled_at]
    if taken and not is_drill:
        raise RuleError(f"Recalled already: {_names(taken)}. Leave it out.", field="lots")
    return lots


def _add(recall: Recall, lots: Sequence[Lot], chosen: set[int], at: datetime) -> None:
    here = units_here(lot.id for lot in lots)
    db.session.add_all(
        RecallLot(
            recall_id=recall.id,
            lot_id=lot.id,
            is_chosen=lot.id in chosen,
            is_drill=recall.is_drill,
            quantity=here.get(lot.id, 0),
            added_at=at,
        )
        for lot in lots
    )
    db.session.flush()
    if recall.is_drill:
        return
    for lot in lots:
        lot.recalled_at = at
    db.session.flush()
    ledger.changed({lot.item_id for lot in lots})


def _thaw(recall: Recall, rows: Sequence[RecallLot], outcome: str, actor: str, at: datetime) -> None:
    """The lots may be sold again, or what was here of them is scrapped."""
    if outcome == BACK:
        for row in rows:
            row.lot.recalled_at = None
        db.session.flush()
        return
    lot_ids = [row.lot_id for row in rows]
    _give_up_reservations(lot_ids)
    query = select(Balance).where(among(Balance.lot_id, lot_ids), Balance.quantity > 0).order_by(Balance.id)
    moves = [
        ledger.Move(
            balance.item_id,
            balance.lot_id,
            balance.location_id,
            balance.place,
            SCRAP,
            balance.quantity,
            "scrap",
            f"recall:{recall.id}:scrap:{balance.id}",
        )
        for balance in db.session.scalars(query.execution_options(populate_existing=True))
        if is_here(balance.place)
    ]
    ledger.book(moves, actor=actor, at=at)


def _give_up_reservations(lot_ids: Sequence[int]) -> None:
    """No run holds any of these lots: their units are about to be scrapped, and the runs show what they lack."""
    held = select(RunReservation.run_id).where(among(RunReservation.lot_id, lot_ids))
    run_ids = set(db.session.scalars(held))
    if run_ids:
        statement = update(ProductionRun).where(among(ProductionRun.id, run_ids))
        db.session.execute(statement.values(revision=ProductionRun.revision + 1))
        db.session.execute(delete(RunReservation).where(among(RunReservation.lot_id, lot_ids)))


def _close(recall: Recall, actor: str, at: datetime) -> None:
    """Of a recall whose lots have all ended the end is written down."""
    still = select(func.count()).where(RecallLot.recall_id == recall.id, RecallLot.ended_at.is_(None))
    if not db.session.scalar(still):
        recall.ended_at = at
        _write(recall, "The drill has ended." if recall.is_drill else "The recall has ended.", actor, at)


# Words --------------------------------------------------------------------------------------------------------------------------------


def _write(recall: Recall, words: str, actor: str, at: datetime) -> None:
    db.session.add(RecallEntry(recall_id=recall.id, written_at=at, actor=actor, words=words))
    db.session.flush()


def _names(lots: Sequence[Lot]) -> str:
    shown = ", ".join(lot.lot_number for lot in lots[:_NAMES])
    more = len(lots) - _NAMES
    counted = "1 lot" if len(lots) == 1 else f"{len(lots):,} lots"
    return f"{counted}: {shown}{f' and {more:,} more' if more > 0 else ''}"


def _ended_words(recall: Recall, rows: Sequence[RecallLot], outcome: str, words: str) -> str:
    names = _names([row.lot for row in rows])
    if recall.is_drill:
        said = f"Checked {names}."
    elif outcome == SCRAPPED:
        said = f"Scrapped what was here of {names}. They stay recalled."
    else:
        said = f"Back on sale, {names}."
    return f"{said} {words}".strip()


def _over(recall: Recall) -> str:
    return f"{recall.name} has ended already. Nothing was changed."


def _checked_words(words: str, field: str) -> str:
    words = words.strip()
    if len(words) > LONGEST_WORDS:
        raise RuleError(f"Give {LONGEST_WORDS:,} characters or fewer.", field=field)
    return words


def _locked(recall: Recall) -> Recall:
    """The recall alone for this transaction. Raises RuleError where it has ended."""
    query = select(Recall).where(Recall.id == recall.id).with_for_update().execution_options(populate_existing=True)
    locked = db.session.scalars(query).one()
    if locked.ended_at is not None:
        raise RuleError(_over(locked))
    return locked


def _next_number() -> int:
    """The next number of the shop. Two recalls at once wait for each other."""
    db.session.execute(select(Shop.id).where(Shop.id == current_shop_id()).with_for_update(key_share=True))
    return (db.session.scalar(select(func.max(Recall.number))) or 0) + 1
