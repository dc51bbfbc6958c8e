"""What people do with ingredients: add one, receive a lot, count, waste. Each raises before it changes anything."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from occ_app.catalog import items as new_items
from occ_app.catalog.models import INGREDIENT, Item
from occ_app.errors import NotFoundError, RuleError
from occ_app.extensions import db
from occ_app.production import units
from occ_app.production.models import Formula, FormulaLine, Ingredient, Receipt
from occ_app.production.rules import ALLERGENS
from occ_app.stock import ledger, lots
from occ_app.stock.models import Lot, LotDecision, StockMove
from occ_app.stock.review import LONGEST_NOTE
from occ_app.stock.rules import CORRECTION, ON_HOLD, RELEASED, RESERVED, SCRAP, SUPPLIER

LONGEST_NAME = 200
LONGEST_CODE = 80
MOST_COST = Decimal(1_000_000)
LONGEST_LEAD = 3650  # days
OLDEST = timedelta(days=3650)
_DECIDED = re.compile(r"waste:\d+:d\d+:")


@dataclass(frozen=True)
class Facts:
    """What people say of an ingredient; `reorder_point` in smallest amounts, `unit_cost` of one `unit`."""

    code: str
    name: str
    unit: str
    reorder_point: int | None = None
    lead_time_days: int | None = None
    shelf_life_days: int | None = None
    unit_cost: Decimal = Decimal(0)
    supplier: str = ""
    allergens: Collection[str] = ()


def add(facts: Facts, *, at: datetime) -> Ingredient:
    """A new ingredient is there. Raises RuleError where it cannot be, or where its code is taken."""
    check(facts)
    return new(facts, at=at)


def new(facts: Facts, *, at: datetime) -> Ingredient:
    """A new ingredient whose facts were checked. Raises RuleError where its code is taken, also a moment ago."""
    ingredient = row_of(facts, at=at)
    new_items.add(ingredient.item, said="There is a product or ingredient {} already.", field="code")
    ingredient.item_id = ingredient.item.id
    db.session.add(ingredient)
    db.session.flush()
    return ingredient


def row_of(facts: Facts, *, at: datetime) -> Ingredient:
    """The ingredient and its item as they would be kept; nothing is added yet."""
    item = Item(sku=facts.code, kind=INGREDIENT, unit=facts.unit, safety_stock=0, created_at=at, **_of_item(facts))
    return Ingredient(item=item, **_own(facts))


def change(ingredient: Ingredient, facts: Facts) -> None:
    """The ingredient is as said. Its code stays; its unit stays too once it has lots or stands in a formula."""
    check(facts)
    item = ingredient.item
    if facts.unit != item.unit and _is_counted(item):
        raise RuleError(
            f"{item.name} is counted in {item.unit} already, in its lots or in a formula. Its unit stays.", field="unit"
        )
    item.unit = facts.unit
    for row, values in ((item, _of_item(facts)), (ingredient, _own(facts))):
        for name, value in values.items():
            setattr(row, name, value)
    db.session.flush()


def check(facts: Facts) -> None:
    """Raises RuleError where an ingredient cannot be so."""
    if not facts.code or len(facts.code) > LONGEST_CODE:
        raise RuleError(f"Give a code such as COCOA-EC, of {LONGEST_CODE} characters or fewer.", field="code")
    if not facts.name or len(facts.name) > LONGEST_NAME:
        raise RuleError("Give a name such as Cocoa beans, Ecuador.", field="name")
    units.check_unit(facts.unit)
    if len(facts.supplier) > LONGEST_NAME:
        raise RuleError(f"Give a supplier of {LONGEST_NAME} characters or fewer.", field="supplier")
    check_cost(facts.unit_cost)
    if facts.reorder_point is not None and not 0 <= facts.reorder_point <= units.MOST:
        raise RuleError("Give a reorder point of 0 or more, or nothing.", field="reorder_point")
    if facts.lead_time_days is not None and not 0 <= facts.lead_time_days <= LONGEST_LEAD:
        raise RuleError(f"Give a lead time from 0 to {LONGEST_LEAD:,} days, or nothing.", field="lead_time_days")
    unknown = [name for name in facts.allergens if name not in ALLERGENS]
    if unknown:
        raise RuleError(f"{unknown[0]!r} is no allergen here. Choose from the list.", field="allergens")


def check_cost(cost: Decimal) -> None:
    """Raises RuleError where a unit cannot cost that."""
    if not 0 <= cost <= MOST_COST:
        raise RuleError(f"Give a cost from 0 to {MOST_COST:,}.", field="unit_cost")
    if cost != cost.quantize(Decimal("0.0001")):
        raise RuleError("Give a cost with four decimals at most.", field="unit_cost")


def _of_item(facts: Facts) -> dict[str, Any]:
    names = ("name", "reorder_point", "lead_time_days", "shelf_life_days")
    return {name: getattr(facts, name) for name in names}


def _own(facts: Facts) -> dict[str, Any]:
    known = [name for name in ALLERGENS if name in facts.allergens]
    return {"supplier": facts.supplier, "unit_cost": facts.unit_cost, "allergens": known}


def _is_counted(item: Item) -> bool:
    has_lot = select(Lot.id).where(Lot.item_id == item.id).limit(1)
    has_line = select(FormulaLine.id).where(FormulaLine.component_id == item.id).limit(1)
    has_formula = select(Formula.id).where(Formula.item_id == item.id).limit(1)
    return any(db.session.scalar(query) is not None for query in (has_lot, has_line, has_formula))


def get(item_id: int | None) -> Ingredient:
    """The shop's ingredient, with its item. Raises NotFoundError."""
    found = db.session.scalar(
        select(Ingredient).where(Ingredient.item_id == item_id).options(joinedload(Ingredient.item))
    )
    if found is None:
        raise NotFoundError("There is no such ingredient here.")
    return found


# Stock ------------------------------------------------------------------------------------------------------------------------------


def receive(
    item: Item,
    quantity: int,
    *,
    location_id: int,
    supplier_lot_number: str = "",
    supplier: str = "",
    unit_cost: Decimal = Decimal(0),
    received_on: date | None = None,
    expires_on: date | None = None,
    lot_number: str = "",
    place: str = RELEASED,
    from_place: str = SUPPLIER,
    today: date,
    actor: str,
    at: datetime,
) -> Lot:
    """A lot of the ingredient stands at `place` (released; or on hold, to be checked first), with what its papers say.

    No expiry given: the ingredient's shelf life. Raises RuleError where it cannot be.
    """
    received_on = received_on or today
    check_receipt(supplier, supplier_lot_number, lot_number, unit_cost, received_on, today)
    if expires_on is None and item.shelf_life_days:
        expires_on = received_on + timedelta(days=item.shelf_life_days)
    if expires_on is not None and expires_on <= received_on:
        raise RuleError(
            "It would be past its date on the day it came. Look at the date on the sack.", field="expires_on"
        )
    lot = lots.make(
        item,
        quantity,
        location_id=location_id,
        place=place,
        lot_number=lot_number,
        made_on=received_on,
        expires_on=expires_on,
        from_place=from_place,
        today=today,
        actor=actor,
        at=at,
    )
    papers = {"supplier": supplier, "supplier_lot_number": supplier_lot_number, "unit_cost": unit_cost}
    db.session.add(Receipt(lot_id=lot.id, received_on=received_on, **papers))
    db.session.flush()
    return lot


def check_receipt(
    supplier: str, supplier_lot_number: str, lot_number: str, unit_cost: Decimal, received_on: date, today: date
) -> None:
    """Raises RuleError where a lot cannot have come so."""
    for name, text in (
        ("supplier", supplier),
        ("supplier_lot_number", supplier_lot_number),
        ("lot_number", lot_number),
    ):
        if len(text) > LONGEST_NAME:
            raise RuleError(f"Give {LONGEST_NAME} characters or fewer.", field=name)
    check_cost(unit_cost)
    if received_on > today:
        raise RuleError("It cannot have come after today.", field="received_on")
    if today - received_on > OLDEST:
        raise RuleError("Give a day within the last ten years.", field="received_on")


def count(
    item: Item, location_id: int, counted: Mapping[int, int], seen: Mapping[int, int], *, actor: str, at: datetime
) -> int:
    """Each lot (by id) has what was counted of it, reserved and held units included. Returns how many lots differed.

    `seen`: what the counting person was shown. Raises RuleError where a lot changed meanwhile, or where less was counted than is reserved.
    """
    if any(quantity < 0 for quantity in counted.values()):
        raise RuleError("A count is 0 or more.", field="counted")
    if any(quantity > lots.MOST_SMALLEST for quantity in counted.values()):
        raise RuleError(f"Give {units.say(lots.MOST_SMALLEST, item.unit)} or less.", field="counted")
    ledger.lock([item.id])
    there = standing([item.id], location_id).get(item.id, {})
    named = {
        lot.id: lot for lot in db.session.scalars(select(Lot).where(Lot.item_id == item.id, Lot.id.in_(list(counted))))
    }
    moves, mark = [], f"{at.timestamp():.6f}"
    for lot_id, quantity in sorted(counted.items()):
        if lot_id not in named:
            raise RuleError("One of these lots is not of this ingredient. Load the page again.", field="counted")
        places = there.get(lot_id, {})
        moves += _difference(item, named[lot_id], location_id, places, quantity, seen.get(lot_id), mark)
    ledger.book(moves, actor=actor, at=at)
    return len({move.lot_id for move in moves})


def _difference(
    item: Item, lot: Lot, location_id: int, places: Mapping[str, int], counted: int, seen: int | None, mark: str
) -> list[ledger.Move]:
    """The moves that make the lot what was counted: off what is free first, then off what is on hold, never off what is reserved."""
    total = sum(places.values())
    if seen is not None and seen != total:
        raise RuleError(
            f"Lot {lot.lot_number} changed while you counted: it was {units.say(seen, item.unit)}, now it is"
            f" {units.say(total, item.unit)}. Count it again.",
            field="counted",
        )
    reserved = places.get(RESERVED, 0)
    if counted < reserved:
        raise RuleError(
            f"{units.say(reserved, item.unit)} of lot {lot.lot_number} are reserved for runs. Change or cancel the run first.",
            field="counted",
        )
    ids = (item.id, lot.id, location_id)
    if counted > total:
        return [ledger.Move(*ids, CORRECTION, RELEASED, counted - total, "count", f"count:{lot.id}:{mark}:{RELEASED}")]
    moves, missing = [], total - counted
    for place in (RELEASED, ON_HOLD, *sorted(set(places) - {RELEASED, ON_HOLD, RESERVED})):
        part = min(places.get(place, 0), missing)
        if part:
            missing -= part
            moves.append(ledger.Move(*ids, place, CORRECTION, part, "count", f"count:{lot.id}:{mark}:{place}"))
    return moves


def waste(lot: Lot, item: Item, quantity: int, *, note: str = "", actor: str, at: datetime) -> None:
    """So much of the lot is gone to scrap, and why: of what is on hold first, then of what is free.

    Raises RuleError where there is not that much.
    """
    note = note.strip()
    if quantity < 1:
        raise RuleError("Give more than 0.", field="quantity")
    if len(note) > LONGEST_NOTE:
        raise RuleError(f"Keep it to {LONGEST_NOTE} characters.", field="note")
    ledger.lock([item.id])
    there = [
        (holding.place, location, holding.quantity)
        for (_, location), holdings in ledger.holdings([item.id], (ON_HOLD, RELEASED, RESERVED)).items()
        for holding in holdings
        if holding.lot_id == lot.id and holding.place in (ON_HOLD, RELEASED, RESERVED) and holding.quantity > 0
    ]
    free = sorted(row for row in there if row[0] != RESERVED)
    most, held = sum(row[2] for row in free), sum(row[2] for row in there if row[0] == RESERVED)
    if quantity > most:
        said = f"; {units.say(held, item.unit)} are reserved for runs" if held else ""
        raise RuleError(
            f"Only {units.say(most, item.unit)} of lot {lot.lot_number} can be thrown away{said}.", field="quantity"
        )
    decision = LotDecision(lot_id=lot.id, from_place=free[0][0], scrapped=quantity, note=note, actor=actor)
    decision.decided_at = at
    db.session.add(decision)
    db.session.flush()
    moves = []
    for place, location, units_there in free:
        part = min(units_there, quantity)
        if part:
            quantity -= part
            source = f"waste:{lot.id}:d{decision.id}:{place}:{location}"
            moves.append(ledger.Move(item.id, lot.id, location, place, SCRAP, part, "waste", source))
    ledger.book(moves, actor=actor, at=at)


def notes_of(moves: Sequence[StockMove]) -> dict[int, str]:
    """Move id -> why it was thrown away, for those of these moves of one lot that somebody gave a reason for. One statement at most."""
    named = {move.id: int(move.source.split(":")[2][1:]) for move in moves if _DECIDED.match(move.source)}
    if not named:
        return {}
    query = select(LotDecision.id, LotDecision.note).where(LotDecision.id.in_(set(named.values())))
    notes = {row[0]: row[1] for row in db.session.execute(query)}
    return {move: notes[decision] for move, decision in named.items() if notes.get(decision)}


def standing(item_ids: Sequence[int], location_id: int | None = None) -> dict[int, dict[int, dict[str, int]]]:
    """Where the units of these items are that exist: item -> lot -> place -> units; one statement."""
    found: dict[int, dict[int, dict[str, int]]] = {}
    for (item_id, location), holdings in ledger.holdings(item_ids, (*lots.LOT_PLACES, RESERVED)).items():
        for holding in holdings:
            if holding.lot_id and holding.quantity > 0 and location_id in (None, location):
                places = found.setdefault(item_id, {}).setdefault(holding.lot_id, {})
                places[holding.place] = places.get(holding.place, 0) + holding.quantity
    return found
