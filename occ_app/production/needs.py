"""What making so many of an item needs, what there is of it, and when the rest could be here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from sqlalchemy import select

from occ_app.catalog.models import Item
from occ_app.extensions import db
from occ_app.production.formulas import part_of
from occ_app.production.models import IN_PROGRESS, PLANNED, Formula, ProductionRun, RunReservation
from occ_app.production.rules import needed
from occ_app.stock import ledger
from occ_app.stock.models import Lot
from occ_app.stock.rules import RELEASED, RESERVED, Holding, take


@dataclass
class Need:
    """A component of a run: how much it needs, what it holds already by lot, what it could take now (first expiry first), what is short.

    `spoiled`: what it holds of lots that are recalled, or past their date on the day; it does not count. `usable`: what is free for runs
    at the location and good on the day. `earliest`: when the short rest could be here; None where nobody knows.
    """

    component: Item
    quantity: int
    held: dict[int, int] = field(default_factory=dict)
    spoiled: dict[int, int] = field(default_factory=dict)
    usable: int = 0
    picks: list[tuple[Holding, int]] = field(default_factory=list)
    earliest: date | None = None
    is_made_here: bool = False  # known of what is short only

    @property
    def reserved(self) -> int:
        """What the run holds and can use."""
        return sum(self.held.values())

    @property
    def open(self) -> int:
        """What is not reserved yet."""
        return max(0, self.quantity - self.reserved)

    @property
    def short(self) -> int:
        """What is missing beyond what the run holds and could take."""
        return max(0, self.quantity - self.reserved - self.usable)


def of(
    formula: Formula | None,
    quantity: int,
    *,
    location_id: int,
    on: date,
    today: date,
    run: ProductionRun | None = None,
    is_locked: bool = False,
) -> list[Need]:
    """The needs of making `quantity`, line by line. Five statements at most, whatever the number of lines or lots.

    `on`: the day of making; a lot that is past its date by then does not count. With `is_locked` the components' items are locked first.
    """
    lines = formula.lines if formula else []
    ids = [line.component_id for line in lines]
    if is_locked:
        ledger.lock(ids)
    holdings = ledger.holdings(ids, (RELEASED, RESERVED)) if ids else {}
    held = held_by(run)
    found = []
    for line in lines:
        amount = needed(part_of(line), formula.yield_quantity, quantity)  # type: ignore[union-attr]
        there = holdings.get((line.component_id, location_id), [])
        bad = {h.lot_id for h in there if h.place == RESERVED and (h.is_recalled or h.is_expired(on))}
        own = held.get(line.component_id, {})
        need = Need(line.component, amount, {lot: units for lot, units in own.items() if lot not in bad})
        need.spoiled = {lot: units for lot, units in own.items() if lot in bad}
        free = [h for h in there if is_free(h)]
        need.usable = sum(units for _, units in take(free, 10**18, on)[0])
        need.picks, _ = take(free, max(0, amount - need.reserved), on)
        found.append(need)
    _date_shortages(found, today)
    return found


def is_free(holding: Holding) -> bool:
    """Whether a run may take it: a lot's units, released, reserved by nobody."""
    return holding.place == RELEASED and holding.lot_id is not None and holding.quantity > 0


def held_by(run: ProductionRun | None) -> dict[int, dict[int, int]]:
    """What the run holds: item id -> lot id -> units, first expiry first."""
    found: dict[int, dict[int, int]] = {}
    if run is not None and run.id is not None:
        query = select(RunReservation.item_id, RunReservation.lot_id, RunReservation.quantity)
        query = query.join(Lot, Lot.id == RunReservation.lot_id).where(RunReservation.run_id == run.id)
        for item_id, lot_id, quantity in db.session.execute(query.order_by(Lot.expires_on.nulls_last(), Lot.id)):
            found.setdefault(item_id, {})[lot_id] = quantity
    return found


def _date_shortages(found: Sequence[Need], today: date) -> None:
    """Each short need knows its earliest date: the first runs that make enough of it, else today and its lead time."""
    short = [need for need in found if need.short]
    ids = [need.component.id for need in short]
    planned = _planned_output(ids) if short else {}
    made = select(Formula.item_id).where(Formula.item_id.in_(ids), Formula.is_current)
    made_here = set(db.session.scalars(made)) if short else set()
    for need in short:
        need.is_made_here = need.component.id in made_here
        output, need.earliest = 0, None
        for on, quantity in planned.get(need.component.id, ()):
            output += quantity
            if output >= need.short:
                need.earliest = max(on, today)
                break
        if need.earliest is None and need.component.lead_time_days is not None:
            need.earliest = today + timedelta(days=need.component.lead_time_days)


def _planned_output(item_ids: Sequence[int]) -> Mapping[int, list[tuple[date, int]]]:
    query = (
        select(ProductionRun.item_id, ProductionRun.planned_on, ProductionRun.planned_quantity)
        .where(ProductionRun.item_id.in_(item_ids), ProductionRun.state.in_((PLANNED, IN_PROGRESS)))
        .where(ProductionRun.planned_on.is_not(None))
        .order_by(ProductionRun.planned_on, ProductionRun.id)
    )
    found: dict[int, list[tuple[date, int]]] = {}
    for item_id, on, quantity in db.session.execute(query):
        found.setdefault(item_id, []).append((on, quantity))
    return found
