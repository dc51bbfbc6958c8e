"""A run is completed: what went in and what came out is booked together, or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import joinedload

from occ_app.catalog.models import INGREDIENT, Item
from occ_app.errors import DoubtError, RuleError
from occ_app.extensions import db
from occ_app.production import needs, runs, units
from occ_app.production.formulas import unit_of
from occ_app.production.models import (
    CANCELLED,
    COMPLETED,
    DRAFT,
    ProductionRun,
    RunConsumption,
    RunOutput,
    RunReservation,
)
from occ_app.production.needs import Need
from occ_app.production.rules import is_plausible, is_plausible_use
from occ_app.stock import ledger, lots
from occ_app.stock.models import Lot
from occ_app.stock.rules import PRODUCTION, RELEASED, RESERVED, SCRAP

LONGEST_REASON = 300
MOST_LOTS = 20
MOST_OTHERS = 20  # lots of a component that are neither held nor used, in the form
OLDEST = timedelta(days=366)


@dataclass(frozen=True)
class Used:
    """What went in of a lot, `waste` of it lost on the way."""

    quantity: int
    waste: int = 0


@dataclass(frozen=True)
class Output:
    """A lot that came out. No number: by the shop's pattern."""

    quantity: int
    lot_number: str = ""


@dataclass(frozen=True)
class Source:
    """A lot that a run may use: what the run holds of it, and what is free besides."""

    lot: Lot
    held: int
    free: int

    @property
    def there(self) -> int:
        """All that the run may use of it."""
        return self.held + self.free


def complete(
    run: ProductionRun,
    outputs: Sequence[Output],
    *,
    waste: int = 0,
    used: Mapping[int, Used] | None = None,
    made_on: date | None = None,
    is_confirmed: bool = False,
    expired_reason: str = "",
    revision: int | None = None,
    today: date,
    actor: str,
    at: datetime,
) -> list[Lot]:
    """The run's lots are there, and what it used is gone from its lots. Returns the lots, in the order of `outputs`.

    `used`: lot id -> what went in; without it the formula for the planned quantity, from the lots that the run holds, then first expiry
    first. `waste`: units that came out bad. Raises RuleError where somebody completed it already, where what it used is not there, is
    recalled, or is past its date and no reason is given; DoubtError where the output is implausible and not confirmed.
    """
    run = runs.locked(run.id, revision)
    _check_state(run)
    made_on = made_on or today
    total = _check_output(run, outputs, waste, made_on, today, is_confirmed)
    ledger.lock({run.item_id, *needs.held_by(run), *_component_ids(run)})
    found = runs.of_run(run, today, on=made_on)
    sources = _sources(run, found)
    taken = _checked(run, sources, used) if used is not None else _by_formula(found, sources)
    if not is_confirmed:
        _doubt_use(found, sources, taken)
    reason = _check_lots(sources, taken, made_on, expired_reason)
    run.revision += 1
    _consume(run, sources, taken, actor, at)
    made = _make_lots(run, outputs, made_on, today, actor, at)
    run.state, run.completed_at, run.completed_by = COMPLETED, at, actor
    run.output_quantity, run.waste_quantity, run.expired_reason = total, waste, reason
    db.session.flush()
    return made


def default_use(run: ProductionRun, today: date) -> list[tuple[Need, list[tuple[Source, int]]]]:
    """Each need of the run with the lots that it may use, first expiry first, and what would be used of each; for the form."""
    found = runs.of_run(run, today, on=today)
    sources = _sources(run, found)
    shown = []
    for need in found:
        use = _use_of(need, sources)
        own = [source for source in sources.values() if source.lot.item_id == need.component.id]
        own.sort(key=lambda s: (not s.held, s.lot.expires_on is None, s.lot.expires_on or date.max, s.lot.id))
        rows = [(source, use.get(source.lot.id, 0)) for source in own]
        others = [row for row in rows if not row[0].held and not row[1]][:MOST_OTHERS]
        shown.append((need, [row for row in rows if row[0].held or row[1] or row in others]))
    return shown


def _check_state(run: ProductionRun) -> None:
    if run.state == COMPLETED:
        by = "you or somebody else" if run.completed_by is None else run.completed_by
        raise RuleError(f"Run {run.number} was completed already, by {by}. Nothing was booked twice.")
    if run.state == CANCELLED:
        raise RuleError(f"Run {run.number} is cancelled. Plan a new one.")
    if run.state == DRAFT:
        raise RuleError(f"Run {run.number} is a draft. Plan it first.")


def _check_output(
    run: ProductionRun, outputs: Sequence[Output], waste: int, made_on: date, today: date, is_confirmed: bool
) -> int:
    """The units that came out good. Raises RuleError or DoubtError."""
    most, unit = (units.MOST if run.item.kind == INGREDIENT else lots.MOST_UNITS), unit_of(run.item)
    if len(outputs) > MOST_LOTS:
        raise RuleError(f"A run gives at most {MOST_LOTS} lots.", field="output")
    total = sum(output.quantity for output in outputs)
    if any(output.quantity < 0 for output in outputs) or waste < 0:
        raise RuleError("Give 0 or more.", field="output" if waste >= 0 else "waste")
    if total > most or waste > most:
        raise RuleError(f"Give {units.say(most, unit)} or less.", field="output")
    if made_on > today:
        raise RuleError("It cannot have been made after today.", field="made_on")
    if today - made_on > OLDEST:
        raise RuleError("It was made more than a year ago. Give a later day.", field="made_on")
    if not is_confirmed and not is_plausible(total + waste, run.planned_quantity):
        planned = units.say(run.planned_quantity, unit)
        words = f"{units.say(total + waste, unit)} came out where {planned} were planned. Is that right?"
        raise DoubtError(words if total + waste else "Nothing came out at all. Is that right?", field="output")
    return total


def _component_ids(run: ProductionRun) -> list[int]:
    formula = runs.formula_of(run)
    return [line.component_id for line in formula.lines] if formula else []


def _sources(run: ProductionRun, found: Sequence[Need]) -> dict[int, Source]:
    """Every lot of the run's components that has something to use, by id; also those past their date."""
    held = {lot: (item, quantity) for item, by_lot in needs.held_by(run).items() for lot, quantity in by_lot.items()}
    there = ledger.holdings([need.component.id for need in found], (RELEASED,)) if found else {}
    free = {
        holding.lot_id: holding.quantity
        for (_, location), holdings in there.items()
        for holding in holdings
        if location == run.location_id and needs.is_free(holding)
    }
    ids = {*held, *free}
    rows = db.session.scalars(select(Lot).where(Lot.id.in_(ids)).options(joinedload(Lot.item))) if ids else []
    return {lot.id: Source(lot, held.get(lot.id, (0, 0))[1], free.get(lot.id, 0)) for lot in rows}


def _use_of(need: Need, sources: Mapping[int, Source]) -> dict[int, int]:
    """What is used of each lot by the formula: what is held (also what has spoiled, so that it is asked about), then what could be taken."""
    left, use = need.quantity, {}
    for lot_id, quantity in [*need.held.items(), *need.spoiled.items()]:
        use[lot_id] = min(quantity, left)
        left -= use[lot_id]
    for holding, _ in [(h, q) for h, q in need.picks if left]:
        lot_id = holding.lot_id or 0
        more = min(sources[lot_id].free if lot_id in sources else 0, left)
        use[lot_id] = use.get(lot_id, 0) + more
        left -= more
    return {lot: quantity for lot, quantity in use.items() if quantity}


def _by_formula(found: Sequence[Need], sources: Mapping[int, Source]) -> dict[int, Used]:
    taken: dict[int, Used] = {}
    for need in found:
        use = _use_of(need, sources)
        missing = need.quantity - sum(use.values())
        if missing:
            said = units.say(missing, unit_of(need.component))
            raise RuleError(
                f"{said} of {need.component.name} are missing. Receive or count it, or say what was really used.",
                field="used",
            )
        taken |= {lot: Used(quantity) for lot, quantity in use.items()}
    return taken


def _checked(run: ProductionRun, sources: Mapping[int, Source], used: Mapping[int, Used]) -> dict[int, Used]:
    """What people say was used, if it can be."""
    for lot_id, use in used.items():
        source = sources.get(lot_id)
        if use.quantity < 0 or use.waste < 0:
            raise RuleError("What was used is 0 or more.", field="used")
        if use.waste > use.quantity:
            raise RuleError("Of a lot no more can be wasted than was used.", field="used")
        most = source.there if source else 0
        if use.quantity > most:
            name = source.lot.lot_number if source else "one of the lots"
            unit = unit_of(source.lot.item) if source else "piece"
            raise RuleError(
                f"Only {units.say(most, unit)} of {name} are there. Count it first, or give less.", field="used"
            )
    return {lot_id: use for lot_id, use in used.items() if use.quantity}


def _doubt_use(found: Sequence[Need], sources: Mapping[int, Source], taken: Mapping[int, Used]) -> None:
    """Raises DoubtError where of a component far less or far more was used than the formula says."""
    for need in found:
        used = sum(use.quantity for lot, use in taken.items() if sources[lot].lot.item_id == need.component.id)
        if not is_plausible_use(used, need.quantity):
            unit = unit_of(need.component)
            said = f"{units.say(used, unit)} of {need.component.name} went in where the formula says {units.say(need.quantity, unit)}."
            raise DoubtError(f"{said} Is that right?", field="used")


def _check_lots(sources: Mapping[int, Source], taken: Mapping[int, Used], on: date, reason: str) -> str | None:
    """The reason for using what is past its date, if any is. Raises RuleError where there is none, or where a lot is recalled."""
    used = [sources[lot_id].lot for lot_id in taken]
    recalled = [lot.lot_number for lot in used if lot.recalled_at]
    if recalled:
        raise RuleError(f"Lot {recalled[0]} is recalled. Use another one.", field="used")
    late = [lot for lot in used if lot.expires_on and lot.expires_on <= on]
    reason = reason.strip()
    if late and not reason:
        names = ", ".join(f"{lot.lot_number} ({lot.item.name}, {lot.expires_on})" for lot in late[:5])
        raise RuleError(
            f"Past its date: {names}. Use another lot, or say why it may be used all the same.", field="expired_reason"
        )
    if len(reason) > LONGEST_REASON:
        raise RuleError(f"Give a reason of {LONGEST_REASON} characters or fewer.", field="expired_reason")
    return reason if late else None


def _consume(
    run: ProductionRun, sources: Mapping[int, Source], taken: Mapping[int, Used], actor: str, at: datetime
) -> None:
    """What was used is gone, what was held and not used is free again, and nothing is held any more."""
    moves = []
    for source in sorted(sources.values(), key=lambda found: found.lot.id):
        use = taken.get(source.lot.id, Used(0))
        moves += list(_moves(run, source, use))
        if use.quantity:
            facts = {"item_id": source.lot.item_id, "lot_id": source.lot.id}
            db.session.add(RunConsumption(run_id=run.id, quantity=use.quantity, waste=use.waste, **facts))
    db.session.execute(delete(RunReservation).where(RunReservation.run_id == run.id))
    db.session.flush()
    ledger.book(moves, actor=actor, at=at)


def _moves(run: ProductionRun, source: Source, use: Used):  # type: ignore[no-untyped-def]
    """First what is held, then what is free; what was wasted goes to scrap, and is taken off what was used last."""
    left = {RESERVED: source.held, RELEASED: source.free}
    for target, quantity, reason in ((PRODUCTION, use.quantity - use.waste, "consume"), (SCRAP, use.waste, "waste")):
        for place in left:
            part = min(left[place], quantity)
            if part:
                left[place] -= part
                quantity -= part
                yield _move(run, source.lot, place, target, part, reason)
    if left[RESERVED]:
        yield _move(run, source.lot, RESERVED, RELEASED, left[RESERVED], "unreserve")


def _move(run: ProductionRun, lot: Lot, place: str, target: str, quantity: int, reason: str) -> ledger.Move:
    source = f"run:{run.id}:{run.revision}:{reason}:{lot.id}:{place}"
    return ledger.Move(lot.item_id, lot.id, run.location_id, place, target, quantity, reason, source)


def _make_lots(
    run: ProductionRun, outputs: Sequence[Output], made_on: date, today: date, actor: str, at: datetime
) -> list[Lot]:
    made = []
    for output in outputs:
        if output.quantity:
            lot = lots.make(
                run.item,
                output.quantity,
                location_id=run.location_id,
                place=place_of(run.item),
                lot_number=output.lot_number,
                made_on=made_on,
                today=today,
                actor=actor,
                at=at,
            )
            db.session.add(RunOutput(run_id=run.id, lot_id=lot.id, quantity=output.quantity))
            made.append(lot)
    db.session.flush()
    return made


def place_of(item: Item) -> str | None:
    """Where what a run made stands first; None: where the shop's workflow says. What goes into something else is ready for it at once."""
    return RELEASED if item.kind == INGREDIENT else None
