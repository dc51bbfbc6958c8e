"""What the plans lack: the material plan from the books, what can be made today, and what to buy of whom by when."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from sqlalchemy import func, select
from sqlalchemy.orm import joinedload

from occ_app.catalog.models import INGREDIENT, Item
from occ_app.extensions import db
from occ_app.planning import mails, materials, supply
from occ_app.planning.materials import Line, Plan, Stock
from occ_app.planning.models import ItemPlan
from occ_app.production import costs, formulas
from occ_app.production.formulas import part_of
from occ_app.production.models import Formula, FormulaLine, Ingredient, ProductionRun, RunReservation
from occ_app.production.rules import Graph, Making
from occ_app.stock import ledger
from occ_app.stock.rules import RELEASED

MOST_PLANS = 2000


@dataclass(frozen=True)
class Need:
    """A component over all plans, and what to do about it.

    `buy`: to be bought (or made, where `is_made_here`), smallest amounts; what is ordered already and comes too late is not bought again.
    `order_by`: the last day to order what is short; in the past where it is too late for some of it.
    """

    item: Item
    line: Line
    supplier: str
    lead_days: int | None
    buy: int
    order_by: date | None
    cost: Decimal | None
    is_made_here: bool
    is_low: bool  # below its reorder point once the plans are made

    @property
    def is_archived(self) -> bool:
        """Whether it should not be used any more, though a formula names it."""
        return self.item.archived_at is not None


@dataclass(frozen=True)
class MaterialPlan:
    """All needs, the most pressing first; `makeable`: item id -> whole makings that today's stock suffices for."""

    needs: Sequence[Need]
    makeable: dict[int, int]
    yields: dict[int, int]
    short_for: dict[str, list[Need]]  # name of a plan -> what it lacks

    @property
    def short(self) -> list[Need]:
        """What is missing."""
        return [need for need in self.needs if need.line.short]

    def suppliers(self) -> list[tuple[str, list[Need]]]:
        """What to buy, by supplier; those without one last."""
        found: dict[str, list[Need]] = defaultdict(list)
        for need in self.needs:
            if need.buy and not need.is_made_here and not need.is_archived:
                found[need.supplier].append(need)
        return sorted(found.items(), key=lambda pair: (not pair[0], pair[0].lower()))


def suggested(item_id: int) -> str:
    """The name under which a suggestion stands in the plan."""
    return f"suggestion:{item_id}"


def material_plan(today: date, *, with_suggestions: bool = True) -> MaterialPlan:
    """What drafts, runs and suggestions need. The statements do not grow with their number but for the levels of formulas."""
    plans = _runs(today) + (_suggestions(today) if with_suggestions else [])
    bought = select(Item).where(Item.kind == INGREDIENT, Item.archived_at.is_(None), Item.reorder_point.is_not(None))
    watched = {item.id: item for item in db.session.scalars(bought)}
    made = set(db.session.scalars(select(Formula.item_id).where(Formula.is_current)))
    graph = formulas.graph({*made, *(each.item for each in plans)})
    own = {part.component for each in plans if each.making for part in each.making.parts}
    graph |= formulas.graph(own - graph.keys())
    ids = {*watched, *own, *graph, *(part.component for making in graph.values() for part in making.parts)}
    items = {item.id: item for item in db.session.scalars(select(Item).where(Item.id.in_(ids)))}
    stock = _stock(ids, today)
    lead_days = {item.id: item.lead_time_days or 0 for item in items.values()}
    lines = materials.plan(plans, graph, stock, lead_days, today)
    for item_id in watched.keys() - lines.keys():
        lines[item_id] = _unused(item_id, stock.get(item_id, []))
    needs = _needs(lines, items, graph, today)
    listed = [item_id for item_id in made if item_id in items or item_id in {each.item for each in plans}]
    makeable = {item_id: materials.most_today(item_id, graph, stock, today) for item_id in listed}
    short_for: dict[str, list[Need]] = defaultdict(list)
    for need in needs:
        for name in dict.fromkeys(part for each in need.line.wanted if each.short for part in each.name.split(", ")):
            short_for[name].append(need)
    return MaterialPlan(needs, makeable, {i: graph[i].yield_quantity for i in made if i in graph}, dict(short_for))


def _runs(today: date) -> list[Plan]:
    query = select(ProductionRun).where(ProductionRun.state.in_(supply.OPEN_RUNS)).limit(MOST_PLANS)
    rows = db.session.scalars(query.order_by(ProductionRun.planned_on.nulls_last(), ProductionRun.id)).all()
    held: dict[int, dict[int, int]] = defaultdict(dict)
    total = func.sum(RunReservation.quantity)
    sums = select(RunReservation.run_id, RunReservation.item_id, total).where(
        RunReservation.run_id.in_([row.id for row in rows])
    )
    for run_id, item_id, units in db.session.execute(sums.group_by(RunReservation.run_id, RunReservation.item_id)):
        held[run_id][item_id] = int(units)
    makings = _makings({row.formula_id for row in rows if row.formula_id})
    return [
        Plan(
            row.item_id,
            row.planned_quantity,
            max(today, row.planned_on or today),
            row.number,
            held.get(row.id, {}),
            making=makings.get(row.formula_id or 0),
        )
        for row in rows
    ]


def _makings(formula_ids: Collection[int]) -> dict[int, Making]:
    query = select(FormulaLine, Formula.yield_quantity).join(Formula, Formula.id == FormulaLine.formula_id)
    lines: dict[int, tuple[int, list[FormulaLine]]] = {}
    for line, made in db.session.execute(query.where(FormulaLine.formula_id.in_(formula_ids))):
        lines.setdefault(line.formula_id, (made, []))[1].append(line)
    return {key: Making(made, [part_of(line) for line in found]) for key, (made, found) in lines.items()}


def _suggestions(today: date) -> list[Plan]:
    return [
        Plan(
            row.item_id,
            row.quantity,
            max(today, row.act_by) + timedelta(days=row.facts.get("lead_days") or 0),
            suggested(row.item_id),
            is_suggested=True,
        )
        for row in mails.open_suggestions(today)
        if not supply.is_partners(row.item)
    ]


def _stock(ids: Collection[int], today: date) -> dict[int, list[Stock]]:
    """What is free of each component: released lots that are good today, what is ordered, and what open runs make of it."""
    found: dict[int, list[Stock]] = defaultdict(list)
    for (item_id, _), holdings in ledger.holdings(ids, (RELEASED,)).items():
        for h in holdings:
            if h.lot_id is not None and h.quantity > 0 and not h.is_recalled and not h.is_expired(today):
                found[item_id].append(Stock(h.quantity, h.expires_on))
    for purchase, units in supply.open_purchases(ids):
        found[purchase.item_id].append(Stock(units, since=max(today, purchase.due_on)))
    made = select(ProductionRun.item_id, ProductionRun.planned_on, ProductionRun.planned_quantity).where(
        ProductionRun.item_id.in_(ids), ProductionRun.state.in_(supply.OPEN_RUNS)
    )
    for item_id, on, units in db.session.execute(made):
        found[item_id].append(Stock(units, since=max(today, on or today)))
    return found


def _unused(item_id: int, stock: Sequence[Stock]) -> Line:
    here = sum(one.quantity for one in stock if one.since is None)
    return Line(item_id, here=here, coming=sum(one.quantity for one in stock if one.since is not None))


def _needs(lines: dict[int, Line], items: dict[int, Item], graph: Graph, today: date) -> list[Need]:
    suppliers = {
        row.item_id: row.supplier for row in db.session.scalars(select(Ingredient).where(Ingredient.item_id.in_(lines)))
    }
    prices = costs.prices(lines)
    found = []
    for item_id, line in lines.items():
        item = items[item_id]
        left = line.here + line.coming - line.spoils - line.needed
        is_low = item.reorder_point is not None and left <= item.reorder_point
        fill = max(0, (item.target_stock or item.reorder_point or 0) - left) if is_low else 0
        buy = max(line.short - line.late, fill)
        lead = timedelta(days=item.lead_time_days or 0)
        order_by = None if not buy else line.short_on - lead if line.short_on else today
        price = prices.get(item_id)
        cost = price * buy if price is not None and buy else None
        found.append(
            Need(
                item,
                line,
                suppliers.get(item_id, ""),
                item.lead_time_days,
                buy,
                order_by,
                cost,
                item_id in graph,
                is_low,
            )
        )
    far = date.max
    return sorted(found, key=lambda need: (not need.line.short, not need.buy, need.order_by or far, need.item.name))


def plans_with_item(item_ids: Collection[int]) -> dict[int, ItemPlan]:
    """The plans of these items."""
    query = select(ItemPlan).where(ItemPlan.item_id.in_(item_ids)).options(joinedload(ItemPlan.item))
    return {row.item_id: row for row in db.session.scalars(query)}
