"""What people do with production runs before they are completed: draft, plan (which reserves), start, change, cancel.

Every operation locks the run's row first and then the items, in one order for everybody; `revision` is what the caller saw, and another
one says that somebody was quicker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta

from sqlalchemy import select, text
from sqlalchemy.orm import joinedload

from occ_app.catalog.models import INGREDIENT, Item, Location
from occ_app.errors import NotFoundError, RuleError
from occ_app.extensions import current_shop_id, db
from occ_app.production import formulas, needs, units
from occ_app.production.models import (
    CANCELLED,
    COMPLETED,
    DRAFT,
    IN_PROGRESS,
    PLANNED,
    Formula,
    FormulaLine,
    ProductionRun,
    RunReservation,
)
from occ_app.production.needs import Need
from occ_app.production.rules import give_back
from occ_app.stock import ledger
from occ_app.stock.lots import MOST_UNITS
from occ_app.stock.models import Lot
from occ_app.stock.rules import RELEASED, RESERVED

LONGEST_NOTE = 1000
FARTHEST = timedelta(days=3650)
CHANGED = "Somebody changed run {} while you looked at it. Load the page again."


def draft(
    item: Item,
    quantity: int,
    *,
    location: Location,
    planned_on: date | None = None,
    note: str = "",
    today: date,
    actor: str,
    at: datetime,
) -> ProductionRun:
    """A run that would make `quantity` by the item's current formula is noted; nothing is reserved. Raises RuleError."""
    check(item, quantity, planned_on, note, today)
    formula = formulas.current_of(item.id)
    ledger.lock(
        [item.id, *(line.component_id for line in (formula.lines if formula else ()))]
    )  # before the row points at any
    run = ProductionRun(
        number=_next_number(),
        item_id=item.id,
        formula_id=formula.id if formula else None,
        location_id=location.id,
        state=DRAFT,
        planned_quantity=quantity,
        planned_on=planned_on,
        note=note,
        revision=1,
        created_at=at,
        created_by=actor,
    )
    db.session.add(run)
    db.session.flush()
    return run


def why_needed(item: Item) -> str | None:
    """Why the item cannot be archived: a run that is not over makes it, or it goes into something."""
    unfinished = select(ProductionRun.number).where(
        ProductionRun.item_id == item.id, ProductionRun.state.in_((DRAFT, PLANNED, IN_PROGRESS))
    )
    number = db.session.scalar(unfinished.order_by(ProductionRun.id).limit(1))
    if number:
        return f"Run {number} makes {item.name}. Complete or cancel it first."
    made = (
        select(Item.sku)
        .join(Formula, Formula.item_id == Item.id)
        .join(FormulaLine, FormulaLine.formula_id == Formula.id)
        .where(FormulaLine.component_id == item.id, Formula.is_current, Item.archived_at.is_(None))
    )
    sku = db.session.scalar(made.order_by(Item.sku).limit(1))
    return f"{item.name} goes into {sku}. Take it out of that formula first." if sku else None


def check(item: Item, quantity: int, planned_on: date | None, note: str, today: date) -> None:
    """Raises RuleError where a run cannot be for that quantity or day."""
    most = units.MOST if item.kind == INGREDIENT else MOST_UNITS
    unit = formulas.unit_of(item)
    if item.archived_at is not None:
        raise RuleError(f"{item.name} is archived.", field="item")
    if quantity < 1:
        raise RuleError("Give a quantity of more than 0.", field="quantity")
    if quantity > most:
        raise RuleError(f"Give {units.say(most, unit)} or less.", field="quantity")
    if planned_on is not None and abs(planned_on - today) > FARTHEST:
        raise RuleError("Give a day within ten years.", field="planned_on")
    if len(note) > LONGEST_NOTE:
        raise RuleError(f"Give a note of {LONGEST_NOTE} characters or fewer.", field="note")


def plan(
    run: ProductionRun,
    *,
    by_hand: Mapping[int, int] | None = None,
    revision: int | None = None,
    today: date,
    actor: str,
    at: datetime,
) -> list[Need]:
    """The run is planned and has reserved what there is, first expiry first, or the lots chosen by hand (lot id -> amount).

    On a run that is planned already it reserves anew what is missing. Returns its needs; what is not reserved is short.
    """
    run = locked(run.id, revision)
    _check_open(run)
    if run.formula_id is None:
        formula = formulas.current_of(run.item_id)  # written since
        run.formula_id = formula.id if formula else None
    run.state = PLANNED if run.state == DRAFT else run.state
    run.planned_on = run.planned_on or today
    return _reserve(run, by_hand, today, actor, at)


def start(run: ProductionRun, *, revision: int | None = None, at: datetime) -> None:
    """The run is in progress. Raises RuleError where it is not planned."""
    run = locked(run.id, revision)
    if run.state != PLANNED:
        raise RuleError(f"Run {run.number} is {words_of(run.state)}, so it cannot be started.")
    run.state, run.started_at = IN_PROGRESS, at
    run.revision += 1
    db.session.flush()


def change(
    run: ProductionRun,
    *,
    quantity: int,
    planned_on: date | None,
    note: str,
    by_hand: Mapping[int, int] | None = None,
    revision: int | None = None,
    today: date,
    actor: str,
    at: datetime,
) -> list[Need]:
    """The run makes `quantity` now, on that day. Of a planned run exactly the difference is released, or reserved as well."""
    run = locked(run.id, revision)
    _check_open(run)
    check(run.item, quantity, planned_on, note, today)
    run.planned_quantity, run.planned_on, run.note = quantity, planned_on, note
    if run.state == DRAFT:
        run.revision += 1
        db.session.flush()
        return of_run(run, today)
    run.planned_on = planned_on or today
    return _reserve(run, by_hand, today, actor, at)


def cancel(run: ProductionRun, *, revision: int | None = None, actor: str, at: datetime) -> None:
    """The run will not be made; all that it held is free again. Raises RuleError where it is completed or cancelled already."""
    run = locked(run.id, revision)
    _check_open(run)
    held = needs.held_by(run)
    ledger.lock(held)
    run.revision += 1
    _hold(run, held, {}, actor, at)
    run.state, run.cancelled_at = CANCELLED, at
    db.session.flush()


def locked(run_id: int, revision: int | None = None) -> ProductionRun:
    """The run with its item, alone for this transaction. Raises RuleError where it is not at that revision any more."""
    query = select(ProductionRun).where(ProductionRun.id == run_id).options(joinedload(ProductionRun.item))
    run = db.session.scalar(query.with_for_update(of=ProductionRun).execution_options(populate_existing=True))
    if run is None:
        raise NotFoundError("There is no such production run here.")
    if revision is not None and run.revision != revision and run.state not in (COMPLETED, CANCELLED):
        raise RuleError(CHANGED.format(run.number))
    return run


def get(run_id: int | None) -> ProductionRun:
    """The shop's run with that id, with item and location. Raises NotFoundError."""
    return _one(ProductionRun.id == run_id)


def find(number: str) -> ProductionRun:
    """The shop's run of that number. Raises NotFoundError."""
    return _one(ProductionRun.number == number.strip().upper())


def _one(condition) -> ProductionRun:  # type: ignore[no-untyped-def]
    loaded = joinedload(ProductionRun.item), joinedload(ProductionRun.location)
    run = db.session.scalar(select(ProductionRun).where(condition).options(*loaded))
    if run is None:
        raise NotFoundError("There is no such production run here.")
    return run


def of_run(run: ProductionRun, today: date, *, on: date | None = None) -> list[Need]:
    """The run's needs as they stand; `on`: the day of making, if it is not the planned one."""
    return needs.of(
        formula_of(run),
        run.planned_quantity,
        location_id=run.location_id,
        on=on or day_of(run, today),
        today=today,
        run=run,
    )


def formula_of(run: ProductionRun) -> Formula | None:
    """The version by which the run is made, with its lines."""
    return formulas.get(run.formula_id) if run.formula_id else None


def day_of(run: ProductionRun, today: date) -> date:
    """The day on which what the run uses must still be good: the planned one, or today where that has passed."""
    return max(today, run.planned_on or today)


def words_of(state: str) -> str:
    """A state as it stands in a sentence."""
    return {DRAFT: "a draft"}.get(state, state.replace("_", " "))


def _check_open(run: ProductionRun) -> None:
    if run.state in (COMPLETED, CANCELLED):
        raise RuleError(f"Run {run.number} is {words_of(run.state)} already. Nothing was changed.")


def _next_number() -> str:
    """`R-0042`. Runs of a shop are numbered one after the other; numbers of another shape are passed over."""
    db.session.execute(
        text("SELECT pg_advisory_xact_lock(hashtext('run numbers'), :shop)"), {"shop": current_shop_id()}
    )
    newest = db.session.scalar(
        select(ProductionRun.number)
        .where(ProductionRun.number.regexp_match("^R-[0-9]+$"))
        .order_by(ProductionRun.id.desc())
        .limit(1)
    )
    return f"R-{int(newest.removeprefix('R-')) + 1 if newest else 1:04}"


# Reservations -------------------------------------------------------------------------------------------------------------------------


def _reserve(
    run: ProductionRun, by_hand: Mapping[int, int] | None, today: date, actor: str, at: datetime
) -> list[Need]:
    on = day_of(run, today)
    found = needs.of(
        formula_of(run),
        run.planned_quantity,
        location_id=run.location_id,
        on=on,
        today=today,
        run=run,
        is_locked=True,
    )
    before = needs.held_by(run)
    after = {need.component.id: _wanted(need) for need in found}
    if by_hand is not None:
        after |= _chosen(run, found, by_hand, on)
    run.revision += 1
    _hold(run, before, after, actor, at)
    return of_run(run, today)


def _wanted(need: Need) -> dict[int, int]:
    """What the run should hold of the component by lot: what it holds less the surplus, or with what it could take."""
    surplus = need.reserved - need.quantity
    if surplus > 0:
        back = give_back(list(need.held.items()), surplus)
        return {lot: left for lot, units in need.held.items() if (left := units - back.get(lot, 0))}
    wanted = dict(need.held)
    for holding, taken in need.picks:
        wanted[holding.lot_id or 0] = wanted.get(holding.lot_id or 0, 0) + taken
    return wanted


def _chosen(
    run: ProductionRun, found: Sequence[Need], by_hand: Mapping[int, int], on: date
) -> dict[int, dict[int, int]]:
    """What people chose by component. Components of which no lot is named are left to first expiry first. Raises RuleError."""
    named = {lot.id: lot for lot in db.session.scalars(select(Lot).where(Lot.id.in_(list(by_hand))))}
    by_item = {need.component.id: need for need in found}
    chosen: dict[int, dict[int, int]] = {}
    for lot_id, quantity in by_hand.items():
        lot = named.get(lot_id)
        if lot is None or lot.item_id not in by_item:
            raise RuleError("One of these lots is no part of the formula. Load the page again.", field="lots")
        if quantity < 0:
            raise RuleError(f"Lot {lot.lot_number}: give 0 or more.", field="lots")
        if quantity and (lot.recalled_at or (lot.expires_on and lot.expires_on <= on)):
            why = "is recalled" if lot.recalled_at else f"is past its date on {on}"
            raise RuleError(f"Lot {lot.lot_number} {why}. Choose another one.", field="lots")
        mine = chosen.setdefault(lot.item_id, {})
        if quantity:
            mine[lot_id] = quantity
    for item_id, lots in chosen.items():
        need, unit = by_item[item_id], formulas.unit_of(by_item[item_id].component)
        if sum(lots.values()) > need.quantity:
            raise RuleError(
                f"{need.component.name}: {units.say(sum(lots.values()), unit)} are more than the"
                f" {units.say(need.quantity, unit)} that the run needs.",
                field="lots",
            )
    _check_there(run, chosen, named)
    return chosen


def _check_there(run: ProductionRun, chosen: Mapping[int, Mapping[int, int]], named: Mapping[int, Lot]) -> None:
    held = needs.held_by(run)
    there = ledger.holdings(chosen, (RELEASED,))
    for item_id, lots in chosen.items():
        free = {h.lot_id: h.quantity for h in there.get((item_id, run.location_id), []) if needs.is_free(h)}
        for lot_id, quantity in lots.items():
            most = free.get(lot_id, 0) + held.get(item_id, {}).get(lot_id, 0)
            if quantity > most:
                unit = formulas.unit_of(db.session.get_one(Item, item_id))
                said = units.say(most, unit)
                raise RuleError(f"Only {said} of lot {named[lot_id].lot_number} are free. Give less.", field="lots")


def _hold(
    run: ProductionRun,
    before: Mapping[int, Mapping[int, int]],
    after: Mapping[int, Mapping[int, int]],
    actor: str,
    at: datetime,
) -> None:
    """The run holds `after` (item -> lot -> units) where it held `before`; the differences are booked."""
    moves = []
    rows = {
        row.lot_id: row for row in db.session.scalars(select(RunReservation).where(RunReservation.run_id == run.id))
    }
    for item_id in sorted({*before, *after}):
        was, will = before.get(item_id, {}), after.get(item_id, {})
        for lot_id in sorted({*was, *will}):
            change = will.get(lot_id, 0) - was.get(lot_id, 0)
            if change:
                moves.append(_move(run, item_id, lot_id, change))
                _note(run, rows.get(lot_id), item_id, lot_id, will.get(lot_id, 0))
    db.session.flush()
    ledger.book(moves, actor=actor, at=at)


def _move(run: ProductionRun, item_id: int, lot_id: int, change: int) -> ledger.Move:
    places = (RELEASED, RESERVED) if change > 0 else (RESERVED, RELEASED)
    reason = "reserve" if change > 0 else "unreserve"
    source = f"run:{run.id}:{run.revision}:{reason}:{lot_id}"
    return ledger.Move(item_id, lot_id, run.location_id, *places, abs(change), reason, source)


def _note(run: ProductionRun, row: RunReservation | None, item_id: int, lot_id: int, quantity: int) -> None:
    if row is None:
        db.session.add(RunReservation(run_id=run.id, item_id=item_id, lot_id=lot_id, quantity=quantity))
    elif quantity:
        row.quantity = quantity
    else:
        db.session.delete(row)
