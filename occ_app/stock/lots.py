"""What people do with lots: make, move on through the places, split by moving a part, scrap. Each raises before it changes anything."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError

from occ_app.catalog import items
from occ_app.catalog.models import INGREDIENT, Item
from occ_app.errors import NotFoundError, RuleError
from occ_app.extensions import current_shop_id, db
from occ_app.shops import settings
from occ_app.shops.models import Shop
from occ_app.stock import ledger, quality, workflow
from occ_app.stock.models import Balance, Lot, StockMove
from occ_app.stock.rules import (
    BACKORDER,
    COMPLETED,
    IN_REVIEW,
    LOT_PLACES,
    ON_HOLD,
    OPENING,
    PACKAGED,
    PRODUCTION,
    RELEASED,
    SCRAP,
    SUPPLIER,
    VIRTUAL_PLACES,
    numbers_around,
)

MOST_UNITS = 100_000_000
MOST_SMALLEST = 10**13  # of an ingredient, which is counted in milligrams, microlitres or pieces
TAKEN = "There is a lot {} already. Give another number."
_REASON_OF_TARGET = {RELEASED: "release", ON_HOLD: "hold", SCRAP: "scrap"}
_STEPS = (COMPLETED, PACKAGED, IN_REVIEW)


@dataclass(frozen=True)
class NewLot:
    """A lot that may be made: its row, and how many units come from where to which place."""

    lot: Lot
    quantity: int
    location_id: int
    from_place: str
    place: str


def make(
    item: Item,
    quantity: int,
    *,
    location_id: int,
    place: str | None = None,
    lot_number: str = "",
    made_on: date | None = None,
    expires_on: date | None = None,
    from_place: str = PRODUCTION,
    today: date,
    actor: str,
    at: datetime,
) -> Lot:
    """A new lot of `quantity` units stands at `place`; no place given: at the first of the shop's workflow (`workflow.first_place`).
    No number given: item, day and the next free count.

    Raises RuleError where the quantity, the place, the dates or the number cannot be, or where the item's checks come before release.
    """
    ledger.lock([item.id])
    if place is None:
        place = workflow.first_place(item)
    elif place == RELEASED and from_place == PRODUCTION and workflow.has_required_checks(item.id):
        raise RuleError(
            f"Lots of {item.name} are checked before release. Make it in review, then review it.", field="place"
        )
    number = (lot_number or "").strip() or next_number(item, made_on or today)
    new = check(
        item,
        quantity,
        location_id=location_id,
        place=place,
        lot_number=number,
        made_on=made_on or (today if from_place == PRODUCTION else None),
        expires_on=expires_on,
        from_place=from_place,
        today=today,
        at=at,
    )
    if find(number):
        raise RuleError(TAKEN.format(number), field="lot_number")
    make_all([new], actor=actor, at=at)
    return new.lot


def check(
    item: Item,
    quantity: int,
    *,
    location_id: int,
    place: str,
    lot_number: str,
    made_on: date | None,
    expires_on: date | None,
    from_place: str,
    today: date,
    at: datetime,
) -> NewLot:
    """The lot as it would be made; nothing is changed. Whether its number is free is the caller's to know. Raises RuleError.

    With no `expires_on` it is good for the item's shelf life from `made_on`. With neither nobody knows for how long: it does not expire, and
    counts as made today.
    """
    items.refuse_archived(item, field="item")
    _check_quantity(quantity, item)
    if place not in LOT_PLACES:
        raise RuleError(f"A lot can stand at: {', '.join(LOT_PLACES)}.", field="place")
    if expires_on is None and made_on is not None and item.shelf_life_days:
        expires_on = _end_of_shelf_life(made_on, item.shelf_life_days)
    made_on = made_on or today
    if expires_on and expires_on <= made_on:
        raise RuleError("The expiry date comes after the day it was made.", field="expires_on")
    lot = Lot(item_id=item.id, lot_number=lot_number, made_on=made_on, expires_on=expires_on, created_at=at)
    return NewLot(lot, quantity, location_id, from_place, place)


def make_all(lots: Sequence[NewLot], *, actor: str, at: datetime) -> None:
    """All of these lots stand where they were said to, by one booking. Several of them may be parts of one lot: they have the same row."""
    ledger.lock(new.lot.item_id for new in lots)
    moves = []
    try:
        with db.session.begin_nested():
            db.session.add_all(new.lot for new in lots)
    except IntegrityError as error:  # somebody took the number a moment ago
        if "uq_lot_" not in str(error.orig):
            raise
        raise RuleError(TAKEN.format(lots[0].lot.lot_number), field="lot_number") from error
    parts = Counter[int]()
    for new in lots:
        moves.append(_made(new, parts[new.lot.id]))
        parts[new.lot.id] += 1
    ledger.book(moves, actor=actor, at=at)


def _made(new: NewLot, part: int) -> ledger.Move:
    """`part` counts from 0: a lot that begins at several places has a move for each."""
    lot, reason = new.lot, {OPENING: "opening", SUPPLIER: "receive"}.get(new.from_place, "production")
    source = f"lot:{lot.id}:made:{part}" if part else f"lot:{lot.id}:made"
    return ledger.Move(lot.item_id, lot.id, new.location_id, new.from_place, new.place, new.quantity, reason, source)


def move(
    lot: Lot,
    to_place: str,
    quantity: int | None = None,
    *,
    from_place: str | None = None,
    location_id: int | None = None,
    decision_id: int | None = None,
    actor: str,
    at: datetime,
) -> int:
    """Units of the lot stand at `to_place`: `quantity` of them, or all that can go there. Returns how many moved.

    With no `from_place` they are taken from the places before it (for a release from review first, then packaged, completed, on hold).
    `decision_id`: they move because of that decision, which has looked at the checks. Raises RuleError where there are not enough, where the
    lot may not go there, or where the shop's workflow passes by that step.
    """
    if to_place not in (*LOT_PLACES, SCRAP):
        raise RuleError(f"A lot can go to: {', '.join((*LOT_PLACES, SCRAP))}.", field="place")
    if from_place is not None and (from_place not in LOT_PLACES or from_place == to_place):
        others = ", ".join(place for place in LOT_PLACES if place != to_place)
        raise RuleError(f"Units of a lot can go there from: {others}.", field="from_place")
    if to_place == RELEASED and lot.recalled_at:
        raise RuleError(f"Lot {lot.lot_number} is recalled. A recalled lot cannot be released.", field="place")
    if quantity is not None:
        _check_quantity(quantity)
    if decision_id is None:
        _check_step(to_place)
    ledger.lock([lot.item_id])
    if to_place == RELEASED and decision_id is None:
        quality.refuse_unchecked(lot)
    there = _standing(lot, to_place, from_place, location_id)
    total = sum(balance.quantity for balance in there)
    wanted = total if quantity is None else quantity
    if total == 0:
        raise RuleError(_nothing_to_move(lot, to_place, from_place), field="quantity")
    if wanted > total:
        where = from_place.replace("_", " ") if from_place else "elsewhere"
        raise RuleError(
            f"Lot {lot.lot_number} has {total} units {where} to move. Give {total} or fewer.", field="quantity"
        )
    cause = f"d{decision_id}:{to_place}" if decision_id else uuid.uuid4().hex[:12]
    ledger.book(list(_parts(lot, there, to_place, wanted, cause)), actor=actor, at=at)
    return wanted


def _nothing_to_move(lot: Lot, to_place: str, from_place: str | None) -> str:
    """Why none of the lot's units can go there, by where they stand."""
    said = to_place.replace("_", " ")
    if from_place is not None:
        return f"Lot {lot.lot_number} has no units {from_place.replace('_', ' ')} to move."
    query = select(Balance.place, func.sum(Balance.quantity)).where(
        Balance.lot_id == lot.id, Balance.place.in_(LOT_PLACES), Balance.quantity > 0
    )
    standing = {place: int(units) for place, units in db.session.execute(query.group_by(Balance.place))}
    if not standing:
        return f"Nothing of lot {lot.lot_number} is left to move."
    if set(standing) == {to_place}:
        return f"All {standing[to_place]:,} units of lot {lot.lot_number} are {said} already."
    where = ", ".join(f"{units:,} {place.replace('_', ' ')}" for place, units in standing.items())
    return f"Nothing of lot {lot.lot_number} can go to {said}. It has {where}."


def _check_step(to_place: str) -> None:
    way = workflow.current()
    if not way.uses(to_place):
        used = ", ".join(step.replace("_", " ") for step in way.steps)
        raise RuleError(f"Your workflow passes by {to_place.replace('_', ' ')}. Its steps are: {used}.", field="place")


def next_number(item: Item, made_on: date) -> str:
    """The next free lot number by the shop's pattern: `CB-BAR-20261112-1`. Two at once wait for each other."""
    pattern = settings.get(db.session.get_one(Shop, current_shop_id()), "lot_number_pattern")
    before, after = numbers_around(pattern, item.sku, made_on)
    db.session.execute(
        text("SELECT pg_advisory_xact_lock(hashtext('lot numbers'), :shop)"), {"shop": current_shop_id()}
    )
    alike = Lot.lot_number.startswith(before, autoescape=True) & Lot.lot_number.endswith(after, autoescape=True)
    tails = (
        number[len(before) : len(number) - len(after)]
        for number in db.session.scalars(select(Lot.lot_number).where(alike))
    )
    counts = [int(tail) for tail in tails if tail.isascii() and tail.isdecimal()]
    return f"{before}{max(counts, default=0) + 1}{after}"


def find(lot_number: str) -> Lot | None:
    """The shop's lot of that number, if there is one."""
    return db.session.scalar(select(Lot).where(Lot.lot_number == lot_number))


def taken_numbers(numbers: Iterable[str]) -> set[str]:
    """Those of these lot numbers that a lot of the shop has."""
    return set(db.session.scalars(select(Lot.lot_number).where(Lot.lot_number.in_(list(numbers)))))


def get(lot_id: int) -> Lot:
    """The shop's lot with that id. Raises NotFoundError."""
    lot = db.session.scalar(select(Lot).where(Lot.id == lot_id))
    if lot is None:
        raise NotFoundError(f"There is no lot {lot_id} here.")
    return lot


def why_needed(item: Item) -> str | None:
    """Why the item cannot be archived: units of it are somewhere, or orders wait for some."""
    query = (
        select(Balance.place, func.sum(Balance.quantity))
        .where(
            Balance.item_id == item.id, Balance.quantity != 0, Balance.place.not_in(set(VIRTUAL_PLACES) - {BACKORDER})
        )
        .group_by(Balance.place)
        .order_by(Balance.place)
    )
    units = {place: int(number) for place, number in db.session.execute(query)}
    if units.pop(BACKORDER, 0):
        return f"Orders wait for {item.name}. Make it, or cancel them first."
    said = ", ".join(
        f"{number:,} {place.replace('_', ' ').replace('allocated:', 'given to ')}" for place, number in units.items()
    )
    return f"There are units of {item.name}: {said}. Sell or scrap them first." if units else None


def places_of(lot: Lot) -> dict[str, int]:
    """Where the lot's units are now: place -> units, physical places only, all locations together."""
    query = (
        select(Balance.place, func.sum(Balance.quantity))
        .where(Balance.lot_id == lot.id, Balance.quantity > 0)
        .group_by(Balance.place)
    )
    return {place: int(units) for place, units in db.session.execute(query) if place in LOT_PLACES or ":" in place}


def place_back(taken: StockMove, usual: str) -> str:
    """Where units that somebody took by that move stand when they come back: at `usual`, unless their lot may not be sold any more.

    On hold where the rest of the lot is, or where it was thrown away since; before review where none of it has been reviewed.
    """
    if taken.lot_id is None:
        return usual
    here = Balance.lot_id == taken.lot_id, Balance.location_id == taken.location_id, Balance.quantity > 0
    there = set(db.session.scalars(select(Balance.place).where(*here)))
    is_for_sale = any(place == RELEASED or place.startswith("allocated:") for place in there)
    if not is_for_sale and not there.intersection(_STEPS) and (ON_HOLD in there or _is_scrapped_since(taken)):
        return ON_HOLD
    if taken.from_place in _STEPS and (taken.from_place in there or not is_for_sale):
        return taken.from_place
    return usual


def _is_scrapped_since(taken: StockMove) -> bool:
    thrown = StockMove.to_place == SCRAP, StockMove.id > taken.id
    found = select(StockMove.id).where(StockMove.lot_id == taken.lot_id, *thrown).limit(1)
    return db.session.scalar(found) is not None


def _standing(lot: Lot, to_place: str, from_place: str | None, location_id: int | None) -> list[Balance]:
    """Balances that can give to `to_place`, in the order in which they give, locked by the item's lock."""
    order = [from_place] if from_place else _sources_for(to_place)
    query = select(Balance).where(Balance.lot_id == lot.id, Balance.place.in_(order), Balance.quantity > 0)
    if location_id:
        query = query.where(Balance.location_id == location_id)
    found = db.session.scalars(query.execution_options(populate_existing=True))
    return sorted(found, key=lambda balance: (order.index(balance.place), balance.id))


def _sources_for(to_place: str) -> list[str]:
    if to_place in _STEPS[1:]:
        return list(reversed(_STEPS[: _STEPS.index(to_place)]))
    if to_place == RELEASED:
        return [IN_REVIEW, PACKAGED, COMPLETED, ON_HOLD]
    if to_place == SCRAP:
        return [ON_HOLD, IN_REVIEW, PACKAGED, COMPLETED, RELEASED]
    if to_place == ON_HOLD:
        return [RELEASED, IN_REVIEW, PACKAGED, COMPLETED]
    return [place for place in LOT_PLACES if place != to_place]


def _parts(lot: Lot, there: list[Balance], to_place: str, wanted: int, cause: str):  # type: ignore[no-untyped-def]
    for position, balance in enumerate(there):
        units = min(balance.quantity, wanted)
        if not units:
            return
        wanted -= units
        reason = (
            "unrelease" if balance.place == RELEASED and to_place in _STEPS else _REASON_OF_TARGET.get(to_place, "step")
        )
        source = f"lot:{lot.id}:move:{cause}:{position}"
        yield ledger.Move(lot.item_id, lot.id, balance.location_id, balance.place, to_place, units, reason, source)


def _end_of_shelf_life(made_on: date, shelf_life_days: int) -> date:
    try:
        return made_on + timedelta(days=shelf_life_days)
    except OverflowError as error:
        raise RuleError("With its shelf life it would expire after the year 9999.", field="made_on") from error


def _check_quantity(quantity: int, item: Item | None = None) -> None:
    most = MOST_SMALLEST if item is not None and item.kind == INGREDIENT else MOST_UNITS
    if quantity < 1:
        raise RuleError("Give a quantity of 1 or more.", field="quantity")
    if quantity > most:
        raise RuleError(f"Give {most:,} or fewer.", field="quantity")
