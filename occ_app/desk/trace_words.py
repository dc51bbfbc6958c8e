"""A trace in words: the boxes of its graph, the lines of its table and of its file, and its JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from occ_app.catalog.models import INGREDIENT, Item
from occ_app.desk import graph
from occ_app.desk.graph import Node
from occ_app.desk.trace import Sale, Trace
from occ_app.production import trace, units
from occ_app.production.formulas import unit_of
from occ_app.production.trace import Fed
from occ_app.stock.rules import is_here

COLUMNS = ("from_kind", "from", "to_kind", "to", "item", "quantity", "unit", "state", "at")


@dataclass(frozen=True)
class Line:
    """One link in words: what led to what, with how much of which item."""

    from_kind: str
    from_name: str
    from_href: str
    to_kind: str
    to_name: str
    to_href: str
    item: str
    quantity: int
    unit: str
    state: str = ""
    at: str = ""

    @property
    def amount(self) -> str:
        """The quantity with its unit."""
        return units.say(self.quantity, self.unit)

    def row(self) -> list[str]:
        """As a line of the file; see COLUMNS."""
        quantity = units.plain(self.quantity, self.unit)
        named = [self.from_kind, self.from_name, self.to_kind, self.to_name, self.item]
        return [*named, quantity, self.unit, self.state, self.at]


def amount(quantity: int, item: Item) -> str:
    """So much of the item, as people read it: 6.4 kg, 120."""
    return units.say(quantity, unit_of(item))


def here(found: Trace, lot_id: int) -> int:
    """Units of the lot that are in the house and not sold."""
    standing = found.standing.get(lot_id, {})
    return sum(units for place, units in standing.items() if is_here(place))


def lines(found: Trace, sales: Iterable[Sale]) -> Iterator[Line]:
    """All links, what went in before what came out; then who has reserved, then order lines."""
    for link in trace.steps_of(found.links):
        lot, run = found.lots.get(link.lot_id), found.runs.get(link.run_id)
        if lot is None or run is None:
            continue
        ends = (kind_of(lot.item), lot.lot_number, f"/lots/{lot.id}"), ("run", run.number, f"/production/runs/{run.id}")
        origin, target = ends if isinstance(link, Fed) else reversed(ends)
        at = run.completed_at.isoformat() if run.completed_at else ""
        yield Line(*origin, *target, lot.item.name, link.quantity, unit_of(lot.item), run.state, at)
    for row in found.reserved:
        lot, run = found.lots[row.lot_id], found.runs[row.run_id]
        ends = (kind_of(lot.item), lot.lot_number, f"/lots/{lot.id}"), ("run", run.number, f"/production/runs/{run.id}")
        yield Line(*ends[0], *ends[1], lot.item.name, row.quantity, unit_of(lot.item), "reserved")
    for sale in sales:
        lot = found.lots[sale.lot_id]
        at = sale.placed_at.isoformat() if sale.placed_at else ""
        ends = (kind_of(lot.item), lot.lot_number, f"/lots/{lot.id}"), (sale.named, sale.order, sale.path)
        for state, words in sale.states.items():
            if quantity := getattr(sale, state):
                yield Line(*ends[0], *ends[1], lot.item.name, quantity, unit_of(lot.item), words, at)


def kind_of(item: Item) -> str:
    """What a lot of the item is called."""
    return "ingredient lot" if item.kind == INGREDIENT else "lot"


# The graph ----------------------------------------------------------------------------------------------------------------------------


def drawings(found: Trace, sales: Sequence[Sale], *, order: str | None = None) -> tuple[graph.Drawing, graph.Drawing]:
    """The trace drawn wide and stacked. Of many orders only the first ones are drawn, and one box for all others."""
    nodes, edges = _lots_and_runs(found)
    order_nodes, order_edges = _orders(found, sales, order)
    all_edges = [*edges, *order_edges]
    columns = graph.layers([*nodes, *order_nodes], all_edges)
    shown, drawn = graph.folded(columns, all_edges)
    return graph.wide(shown, drawn), graph.stacked(shown, drawn)


def _lots_and_runs(found: Trace) -> tuple[list[Node], list[tuple[str, str]]]:
    used: dict[int, int] = {}
    made = {each.lot_id: each.quantity for each in found.links.made}
    for each in found.links.fed:
        used[each.lot_id] = used.get(each.lot_id, 0) + each.quantity
    nodes = [
        Node(
            f"lot:{lot.id}",
            lot.item.name,
            lot.lot_number,
            _of_lot(found, lot.id, made.get(lot.id), used.get(lot.id)),
            f"/trace/lots/{lot.id}",
            lot.id in found.chosen,
        )
        for lot in found.lots.values()
    ]
    nodes += [
        Node(
            f"run:{run.id}",
            f"Run, {run.item.name}",
            run.number,
            run.state.replace("_", " "),
            f"/production/runs/{run.id}",
        )
        for run in found.runs.values()
    ]
    edges = [(f"lot:{each.lot_id}", f"run:{each.run_id}") for each in found.links.fed]
    edges += [(f"run:{each.run_id}", f"lot:{each.lot_id}") for each in found.links.made]
    edges += [(f"lot:{row.lot_id}", f"run:{row.run_id}") for row in found.reserved]
    return nodes, edges


def _of_lot(found: Trace, lot_id: int, made: int | None, used: int | None) -> str:
    lot = found.lots[lot_id]
    said = ["recalled"] if lot.recalled_at else []
    said += [f"{amount(made, lot.item)} made"] if made else []
    said += [f"{amount(used, lot.item)} used"] if used else []
    return ", ".join([*said, f"{amount(here(found, lot_id), lot.item)} here"])


def _orders(found: Trace, sales: Sequence[Sale], current: str | None) -> tuple[list[Node], list[tuple[str, str]]]:
    by_order: dict[str, list[Sale]] = {}
    for sale in sales:
        by_order.setdefault(sale.key, []).append(sale)
    shown = dict(list(by_order.items())[: graph.MOST_IN_LAYER - 1])
    nodes = [
        Node(key, of[0].named.capitalize(), of[0].order, _of_order(of), of[0].path, key == current)
        for key, of in shown.items()
    ]
    edges = sorted({(f"lot:{sale.lot_id}", key) for key, of in shown.items() for sale in of})
    more = found.reach.ends - len(shown)
    if more > 0:
        nodes.append(Node("order:more", "Not drawn", f"{more:,} more", "all are in the table", "#sales"))
        drawn = [sale.lot_id for of in shown.values() for sale in of]
        edges += [
            (f"lot:{lot}", "order:more") for lot, ends in found.reach.ends_by_lot.items() if ends > drawn.count(lot)
        ]
    return nodes, edges


def _of_order(sales: Sequence[Sale]) -> str:
    sums = {words: sum(getattr(sale, name) for sale in sales) for name, words in sales[0].states.items()}
    return ", ".join(f"{units:,} {words}" for words, units in sums.items() if units)


def as_json(found: Trace, sales: Sequence[Sale]) -> dict[str, Any]:
    """The whole trace for programs: lots, links, and the order lines with their units of each lot."""
    return {
        "lots": [
            {
                "lot_number": lot.lot_number,
                "item_sku": lot.item.sku,
                "kind": lot.item.kind,
                "is_asked_for": lot.id in found.chosen,
                "recalled_at": lot.recalled_at.isoformat() if lot.recalled_at else None,
                "places": found.standing.get(lot.id, {}),
            }
            for lot in found.lots.values()
        ],
        "links": [dict(zip(COLUMNS, line.row(), strict=True)) for line in lines(found, sales)],
        "orders": sorted({sale.order for sale in sales if sale.is_order}),
        "elsewhere": sorted({sale.order for sale in sales if not sale.is_order}),
    }
