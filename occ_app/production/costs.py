"""What things cost: an item by its formula and the lots that are there, and a run by the lots that it really used."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from sqlalchemy import select

from occ_app.catalog.models import Item
from occ_app.extensions import db
from occ_app.production import formulas, ingredients, rules
from occ_app.production.models import Formula, Ingredient, Receipt, RunConsumption, RunOutput
from occ_app.production.rules import Making
from occ_app.production.trace import among
from occ_app.production.units import SMALLEST
from occ_app.stock.models import Lot


@dataclass(frozen=True)
class Composition:
    """What some items are made of, all the way down, with prices (of one smallest amount) and allergens of what is not made here."""

    formulas: dict[int, Making]
    prices: dict[int, Decimal | None] = field(default_factory=dict)
    allergens: dict[int, list[str]] = field(default_factory=dict)

    def cost(self, item_id: int) -> Decimal | None:
        """What one smallest amount of the item costs; None where a part has no price."""
        return rules.unit_cost(item_id, self.formulas, self.prices)

    def allergens_of(self, item_id: int) -> list[str]:
        """The item's allergens, by those of its parts."""
        return rules.allergens(item_id, self.formulas, self.allergens)


def composition(item_ids: Iterable[int], *, instead: Formula | None = None) -> Composition:
    """What these items are made of by their current formulas; `instead`: a version to be looked at in place of its item's current one."""
    ids = list(item_ids)
    parts = [line.component_id for line in instead.lines] if instead else []
    graph = formulas.graph([*ids, *parts])
    if instead:
        graph[instead.item_id] = Making(instead.yield_quantity, [formulas.part_of(line) for line in instead.lines])
    everything = {*ids, *graph, *(part.component for making in graph.values() for part in making.parts)}
    rows = db.session.execute(
        select(Ingredient.item_id, Ingredient.allergens).where(Ingredient.item_id.in_(everything))
    )
    carried = {item_id: list(found) for item_id, found in rows}
    return Composition(graph, prices(everything), carried)


def prices(item_ids: Collection[int]) -> dict[int, Decimal | None]:
    """The price of one smallest amount of each ingredient: the average of the lots that are there, else what it usually costs."""
    query = select(Ingredient.item_id, Ingredient.unit_cost, Item.unit).join(Item, Item.id == Ingredient.item_id)
    rows = db.session.execute(query.where(Ingredient.item_id.in_(list(item_ids)))).all()
    ids = [item_id for item_id, _, _ in rows]
    there = ingredients.standing(ids) if ids else {}
    lot_ids = [lot for lots in there.values() for lot in lots]
    costs = dict(db.session.execute(select(Receipt.lot_id, Receipt.unit_cost).where(Receipt.lot_id.in_(lot_ids))).all())
    found: dict[int, Decimal | None] = {}
    for item_id, usual, unit in rows:
        held = ((sum(places.values()), costs.get(lot) or Decimal(0)) for lot, places in there.get(item_id, {}).items())
        average = rules.average_cost((quantity, cost) for quantity, cost in held if cost)
        cost = average or usual
        found[item_id] = cost / SMALLEST[unit] if cost else None
    return found


def of_run(run_id: int) -> Decimal | None:
    """What went into a completed run, waste included, at the cost of the very lots; None where one of them has no cost."""
    return _Books([run_id]).cost_of_run(run_id)


def of_lot(lot_id: int) -> Decimal | None:
    """What one smallest amount of the lot cost: what was paid, or what went into the run that made it."""
    run_id = db.session.scalar(select(RunOutput.run_id).where(RunOutput.lot_id == lot_id))
    books = _Books([run_id] if run_id else [], [lot_id])
    return books.cost_of_lot(lot_id)


def of_lots(lot_ids: Collection[int]) -> dict[int, Decimal]:
    """What one smallest amount of each lot cost, as `of_lot`; else what its item costs by its formula today. Those not known are left out."""
    books = _Books([], lot_ids)
    known = {lot_id: cost for lot_id in lot_ids if (cost := books.cost_of_lot(lot_id)) is not None}
    if len(known) == len(set(lot_ids)):
        return known
    others = select(Lot.id, Lot.item_id).where(among(Lot.id, set(lot_ids) - set(known)))
    item_of = dict(db.session.execute(others).all())
    made = composition(set(item_of.values()))
    by_formula = {item_id: cost for item_id in set(item_of.values()) if (cost := made.cost(item_id)) is not None}
    return known | {lot: by_formula[item_id] for lot, item_id in item_of.items() if item_id in by_formula}


class _Books:
    """What runs used, and what their lots cost, read level by level downwards: three statements each."""

    def __init__(self, run_ids: Iterable[int], lot_ids: Iterable[int] = ()) -> None:
        self.used: dict[int, list[tuple[int, int]]] = {}  # run -> (lot, quantity)
        self.paid: dict[int, Decimal] = {}  # lot -> cost of one smallest amount
        self.made: dict[int, int] = {}  # lot -> the run that made it
        self.output: dict[int, int] = {}  # run -> what came out
        self._known: dict[int, Decimal | None] = {}
        level, bought = set(run_ids), set(lot_ids)
        while level or bought:
            fresh = (self._read_runs(level) if level else set()) | bought
            level, bought = self._read_lots(fresh) - set(self.used), set()

    def _read_runs(self, run_ids: Collection[int]) -> set[int]:
        self.used |= {run_id: [] for run_id in run_ids}
        query = select(RunConsumption.run_id, RunConsumption.lot_id, RunConsumption.quantity)
        for run_id, lot_id, quantity in db.session.execute(query.where(among(RunConsumption.run_id, run_ids))):
            self.used[run_id].append((lot_id, quantity))
        out = select(RunOutput.run_id, RunOutput.quantity).where(among(RunOutput.run_id, run_ids))
        for run_id, quantity in db.session.execute(out):
            self.output[run_id] = self.output.get(run_id, 0) + quantity
        return {lot for run_id in run_ids for lot, _ in self.used[run_id]}

    def _read_lots(self, lot_ids: Collection[int]) -> set[int]:
        query = (
            select(Lot.id, Item.unit, Receipt.unit_cost, Ingredient.unit_cost, RunOutput.run_id)
            .join(Item, Item.id == Lot.item_id)
            .outerjoin(Receipt, Receipt.lot_id == Lot.id)
            .outerjoin(Ingredient, Ingredient.item_id == Lot.item_id)
            .outerjoin(RunOutput, RunOutput.lot_id == Lot.id)
            .where(among(Lot.id, lot_ids))
        )
        found = set()
        for lot_id, unit, paid, usual, run_id in db.session.execute(query):
            if run_id is not None:
                self.made[lot_id] = run_id
                found.add(run_id)
            elif paid or usual:
                self.paid[lot_id] = (paid or usual) / SMALLEST.get(unit, 1)
        return found

    def cost_of_lot(self, lot_id: int) -> Decimal | None:
        if lot_id not in self._known:
            run_id = self.made.get(lot_id)
            whole = self.cost_of_run(run_id) if run_id else None
            output = self.output.get(run_id or 0, 0)
            self._known[lot_id] = whole / output if whole is not None and output else self.paid.get(lot_id)
        return self._known[lot_id]

    def cost_of_run(self, run_id: int) -> Decimal | None:
        total = Decimal(0)
        for lot_id, quantity in self.used[run_id]:
            cost = self.cost_of_lot(lot_id)
            if cost is None:
                return None
            total += cost * quantity
        return total
