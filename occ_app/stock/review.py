"""Deciding about units of a lot: released, held, scrapped, taken back. Who looks at what somebody else has just decided is told so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from occ_app.errors import RuleError
from occ_app.extensions import db
from occ_app.stock import ledger, lots, quality, workflow
from occ_app.stock.models import Balance, Lot, LotDecision, StockMove
from occ_app.stock.rules import LOT_PLACES, ON_HOLD, RELEASED, SCRAP

LONGEST_NOTE = 500
SHORTEST_REASON = 4
BY_PEOPLE = ("step", "release", "unrelease", "hold", "scrap")
_DID = {
    "release": "released {}",
    "hold": "put {} on hold",
    "scrap": "scrapped {}",
    "unrelease": "took {} back",
    "step": "moved {} on",
}


@dataclass(frozen=True)
class Split:
    """How the units are parted. What is left stays where it is."""

    release: int = 0
    hold: int = 0
    scrap: int = 0

    @property
    def total(self) -> int:
        """Units that are decided about."""
        return self.release + self.hold + self.scrap

    def __str__(self) -> str:
        return " + ".join(str(part) for part in (self.release, self.hold, self.scrap) if part)


def newest_step(lot: Lot) -> int:
    """Names what people have done with the lot so far: the id of the last move that one of them made; 0 for none."""
    query = select(func.max(StockMove.id)).where(StockMove.lot_id == lot.id, StockMove.reason.in_(BY_PEOPLE))
    return db.session.scalar(query) or 0


def check_seen(lot: Lot, seen: int | None) -> None:
    """Raises RuleError, telling what was done, where somebody has moved units of the lot since `seen` (a `newest_step`).

    Whoever is at it this very moment is waited for.
    """
    ledger.lock([lot.item_id])
    if seen is None:
        return
    query = select(StockMove.actor, StockMove.reason, func.sum(StockMove.quantity), func.max(StockMove.id))
    query = query.where(StockMove.lot_id == lot.id, StockMove.reason.in_(BY_PEOPLE), StockMove.id > seen)
    rows = db.session.execute(query.group_by(StockMove.actor, StockMove.reason)).all()
    if rows:
        raise RuleError(f"{_told(rows)} since you opened this page. Nothing of yours was done. Look at what is left.")


def _told(rows: Sequence[object]) -> str:
    by_actor: dict[str, list[str]] = {}
    for actor, reason, units, _ in sorted(rows, key=lambda row: row[3]):  # type: ignore[index,misc]
        by_actor.setdefault(actor, []).append(_DID[reason].format(f"{units:,}"))
    told = "; ".join(f"{actor} {' and '.join(did)}" for actor, did in by_actor.items())
    return told[:1].upper() + told[1:]


def review(
    lot: Lot,
    from_place: str,
    split: Split,
    *,
    seen: int | None = None,
    note: str = "",
    overrule: str = "",
    actor: str,
    at: datetime,
) -> LotDecision:
    """The lot's units at `from_place` are parted as `split` says, all of it or nothing.

    Raises RuleError where there are not that many, where a required check stops the release and no reason overrules it, where the lot is
    recalled, or where somebody has decided since `seen`.
    """
    note, overrule = _text(note, "note"), _text(overrule, "overrule")
    if from_place not in LOT_PLACES:
        raise RuleError(f"Units of a lot stand at: {', '.join(LOT_PLACES)}.", field="from_place")
    if (from_place == RELEASED and split.release) or (from_place == ON_HOLD and split.hold):
        raise RuleError("They are there already. Leave that field at 0.", field="release" if split.release else "hold")
    check_seen(lot, seen)
    _check_split(lot, from_place, split)
    if split.release and not overrule:
        quality.refuse_unchecked(lot)
    if overrule and len(overrule) < SHORTEST_REASON:
        raise RuleError("Say why in a few words.", field="overrule")
    decision = _decide(lot, from_place, actor, at, released=split.release, held=split.hold, scrapped=split.scrap)
    decision.note, decision.overruled = note, overrule or None if split.release else None
    db.session.add(decision)
    db.session.flush()
    for to_place, units in ((RELEASED, split.release), (ON_HOLD, split.hold), (SCRAP, split.scrap)):
        if units:
            _move(lot, decision, to_place, units)
    return decision


def _check_split(lot: Lot, from_place: str, split: Split) -> None:
    there = lots.places_of(lot).get(from_place, 0)
    if min(split.release, split.hold, split.scrap) < 0:
        raise RuleError("Give numbers of 0 or more.", field="release")
    if split.total == 0:
        raise RuleError("Give how many to release, hold or scrap.", field="release")
    if split.total > there:
        over, where = split.total - there, from_place.replace("_", " ")
        said = f"{split} are {split.total:,}" if "+" in str(split) else f"You gave {split.total:,}"
        cure = f"Take {over:,} off one of them." if "+" in str(split) else f"Give {there:,} or fewer."
        raise RuleError(f"{said}, but only {there:,} are {where}. {cure}", field="release")


def take_back(
    lot: Lot, quantity: int | None, *, seen: int | None = None, note: str = "", actor: str, at: datetime
) -> LotDecision:
    """Released units (all, or so many) stand at the step before release again, and Shopify's number falls."""
    note = _text(note, "note")
    check_seen(lot, seen)
    there = lots.places_of(lot).get(RELEASED, 0)
    wanted = there if quantity is None else quantity
    if not there:
        raise RuleError("None is released any more. Load the page again.", field="quantity")
    if not 1 <= wanted <= there:
        raise RuleError(f"{there:,} are released. Give a number from 1 to {there:,}.", field="quantity")
    decision = _decide(lot, RELEASED, actor, at, taken_back=wanted)
    decision.note = note
    db.session.add(decision)
    db.session.flush()
    _move(lot, decision, workflow.current().last_before_release, wanted)
    return decision


def last_step(lot: Lot) -> list[StockMove]:
    """The moves of the last thing that somebody did with the lot; none where it was an undoing, or a recall's end."""
    newest = db.session.get(StockMove, newest_step(lot))
    if newest is None or not newest.source.startswith(f"lot:{lot.id}:move:"):
        return []
    cause = newest.source.split(":")[3]
    query = select(StockMove).where(
        StockMove.lot_id == lot.id, StockMove.source.startswith(f"lot:{lot.id}:move:{cause}:")
    )
    return list(db.session.scalars(query.order_by(StockMove.id)))


def undo(lot: Lot, *, seen: int | None = None, actor: str, at: datetime) -> int:
    """What the last step moved stands where it stood before. Returns how many units.

    Raises RuleError where somebody did something since `seen`, where it is undone already, where units have left since, or where the lot
    is recalled or its checks stop it from being released again.
    """
    check_seen(lot, seen)
    moves = last_step(lot)
    if not moves:
        raise RuleError("There is no step to undo.")
    if lot.recalled_at:
        raise RuleError(f"Lot {lot.lot_number} is recalled. End the recall first.")
    if any(move.from_place == RELEASED for move in moves):
        quality.refuse_unchecked(lot)
    there = {(balance.location_id, balance.place): balance.quantity for balance in _balances(lot)}
    for move in moves:
        left = there.get((move.location_id, move.to_place), 0)
        there[move.location_id, move.to_place] = left - move.quantity
        if left < move.quantity:
            where = move.to_place.replace("_", " ")
            raise RuleError(
                f"Of the {move.quantity:,} that went to {where} only {max(0, left):,} are there still. Move those."
            )
    ledger.book([_back(lot, move) for move in reversed(moves)], actor=actor, at=at)
    return sum(move.quantity for move in moves)


def _balances(lot: Lot) -> Sequence[Balance]:
    query = select(Balance).where(Balance.lot_id == lot.id).execution_options(populate_existing=True)
    return db.session.scalars(query).all()


def _back(lot: Lot, move: StockMove) -> ledger.Move:
    way = (move.to_place, move.from_place)
    reason = {RELEASED: "release", ON_HOLD: "hold"}.get(move.from_place, "unrelease" if way[0] == RELEASED else "step")
    return ledger.Move(
        move.item_id, lot.id, move.location_id, *way, move.quantity, reason, f"lot:{lot.id}:undo:{move.id}"
    )


def _decide(lot: Lot, from_place: str, actor: str, at: datetime, **units: int) -> LotDecision:
    return LotDecision(lot_id=lot.id, from_place=from_place, actor=actor, decided_at=at, **units)


def _move(lot: Lot, decision: LotDecision, to_place: str, units: int) -> None:
    lots.move(
        lot,
        to_place,
        units,
        from_place=decision.from_place,
        actor=decision.actor,
        at=decision.decided_at,
        decision_id=decision.id,
    )


def _text(text: str, field: str) -> str:
    text = text.strip()
    if len(text) > LONGEST_NOTE:
        raise RuleError(f"Keep it to {LONGEST_NOTE} characters.", field=field)
    return text


def decisions_of(lot_id: int, limit: int = 100) -> list[LotDecision]:
    """What was decided about the lot, newest first."""
    query = select(LotDecision).where(LotDecision.lot_id == lot_id).order_by(LotDecision.id.desc()).limit(limit)
    return list(db.session.scalars(query))
