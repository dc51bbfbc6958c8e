"""Where the units of lots went and what they were made from: lots, runs and order lines in one picture.

`production.trace` knows lots and runs; here the order lines come in, by the moves that name them. A fixed number of statements, however
many lots, runs and orders there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Select, and_, case, cast, func, or_, select, true, union_all
from sqlalchemy.orm import joinedload

from occ_app.b2b.models import WholesaleLine, WholesaleOrder
from occ_app.catalog.models import Item
from occ_app.extensions import db
from occ_app.orders.models import Order, OrderLine
from occ_app.production import trace
from occ_app.production.models import ProductionRun, Receipt, RunReservation
from occ_app.production.trace import Links, among
from occ_app.stock.models import Balance, Lot, StockMove
from occ_app.stock.rules import COMMITTED, SHIPPED

PREFIX, WHOLESALE_PREFIX = "order_line:", "b2b_line:"


@dataclass(frozen=True)
class Sale:
    """What an order line has of a lot, in units of the item. `returned` ones came back and are not counted as shipped.

    `order_id`: of a wholesale order less than zero, so that no two orders share a number.
    """

    order_id: int
    order: str
    placed_at: datetime | None
    is_cancelled: bool
    line_id: int
    sku: str
    title: str
    lot_id: int
    committed: int
    shipped: int
    returned: int

    @property
    def path(self) -> str:
        """Where the order is: its trace, or the wholesale order."""
        return f"/trace/orders/{self.order_id}" if self.order_id > 0 else f"/wholesale/{-self.order_id}"


@dataclass(frozen=True)
class Reach:
    """How far lots went: orders that hold or held units of them, and units. `by_lot`: lot id -> (orders, units)."""

    orders: int = 0
    committed: int = 0
    shipped: int = 0
    by_lot: dict[int, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Trace:
    """All that hangs together with the `chosen` lots: what went in, what came out, and where each lot stands now."""

    chosen: frozenset[int]
    links: Links
    later: frozenset[int]  # the chosen lots and all made from them: those that orders are sought for
    lots: dict[int, Lot]
    runs: dict[int, ProductionRun]
    receipts: dict[int, Receipt]
    standing: dict[int, dict[str, int]]
    reserved: Sequence[RunReservation]
    reach: Reach


def of_lots(lot_ids: Iterable[int]) -> Trace:
    """The trace of these lots both ways: back to the first ingredient, on to the last order."""
    chosen = frozenset(lot_ids)
    onward, origin = trace.forward(chosen), trace.back(chosen)
    return _trace(chosen, onward | origin, onward.lot_ids)


def of_order(order: Order) -> tuple[Trace, list[Sale]]:
    """The trace of the lots that the order's lines have or had, back to the first ingredient; and what it has of each."""
    sales = [Sale(*row) for row in db.session.execute(_of_lines([line.line_number for line in order.lines]))]
    chosen = frozenset(sale.lot_id for sale in sales)
    return _trace(chosen, trace.back(chosen), frozenset()), sales


def sales(lot_ids: Iterable[int], *, only: str = "", limit: int | None = None) -> list[Sale]:
    """Order lines that have units of these lots, newest order first. `only`: `open` (not shipped yet) or `shipped`."""
    query = _in_order(_narrow(_lines_of(lot_ids), only)).limit(limit)
    return [Sale(*row) for row in db.session.execute(query)]


def page_of_sales(lot_ids: Iterable[int], *, only: str, limit: int, offset: int) -> tuple[list[Sale], int]:
    """One page of them, and how many there are in all; one statement unless the page is past the end."""
    query = _in_order(_narrow(_lines_of(lot_ids), only)).add_columns(func.count().over().label("in_all"))
    rows = db.session.execute(query.limit(limit).offset(offset)).all()
    if not rows and offset:
        return [], len(sales(lot_ids, only=only))
    return [Sale(*row[:-1]) for row in rows], rows[0].in_all if rows else 0


def reach(lot_ids: Iterable[int]) -> Reach:
    """How many orders have units of these lots, and how many units; also lot by lot."""
    lines = _lines_of(lot_ids).subquery()
    units = func.sum(lines.c.committed), func.sum(lines.c.shipped)
    of = select(lines.c.lot_id, func.count(lines.c.order_id.distinct()), *units)
    rows = db.session.execute(of.group_by(func.rollup(lines.c.lot_id))).all()
    by_lot = {lot_id: (orders, int(committed + shipped)) for lot_id, orders, committed, shipped in rows if lot_id}
    total = next((row for row in rows if row[0] is None), (None, 0, 0, 0))
    return Reach(total[1] or 0, int(total[2] or 0), int(total[3] or 0), by_lot)


def _trace(chosen: frozenset[int], links: Links, later: frozenset[int]) -> Trace:
    ids = links.lot_ids | chosen
    query = select(RunReservation).where(among(RunReservation.lot_id, later or chosen)).order_by(RunReservation.run_id)
    reserved = db.session.scalars(query).all()
    run_ids = links.run_ids | {row.run_id for row in reserved}
    lots = db.session.scalars(select(Lot).where(among(Lot.id, ids)).options(joinedload(Lot.item)))
    runs = select(ProductionRun).where(among(ProductionRun.id, run_ids)).options(joinedload(ProductionRun.item))
    receipts = db.session.scalars(select(Receipt).where(among(Receipt.lot_id, ids)))
    return Trace(
        chosen=chosen,
        links=links,
        later=later,
        lots={lot.id: lot for lot in lots},
        runs={run.id: run for run in db.session.scalars(runs)},
        receipts={receipt.lot_id: receipt for receipt in receipts},
        standing=_standing(ids),
        reserved=reserved,
        reach=reach(later) if later else Reach(),
    )


def _standing(lot_ids: Iterable[int]) -> dict[int, dict[str, int]]:
    """Lot id -> place -> units, over all locations; where units came from is left out."""
    query = select(Balance.lot_id, Balance.place, func.sum(Balance.quantity)).where(among(Balance.lot_id, lot_ids))
    found: dict[int, dict[str, int]] = {}
    for lot_id, place, units in db.session.execute(
        query.where(Balance.quantity > 0).group_by(Balance.lot_id, Balance.place).order_by(Balance.place)
    ):
        found.setdefault(lot_id, {})[place] = int(units)
    return found


# Order lines by the moves that name them ----------------------------------------------------------------------------------------------


def _line_number(prefix: str) -> Any:
    """The number of the order line that a move's source names (`order_line:981:take:2:0`), else null."""
    number = cast(func.split_part(StockMove.source, ":", 2), BigInteger)
    return case((StockMove.source.startswith(prefix, autoescape=True), number))


def _net(place: str) -> Any:
    """Units that the moves have put to the place and left there."""
    change = case(
        (StockMove.to_place == place, StockMove.quantity), (StockMove.from_place == place, -StockMove.quantity)
    )
    return func.coalesce(func.sum(change), 0)


def _moves(condition: Any, prefix: str = PREFIX) -> Select[Any]:
    """Of each order line and lot: what is committed, shipped, returned. Only lines that have or had units of the lot."""
    returned = func.coalesce(func.sum(case((StockMove.reason == "order_return", StockMove.quantity))), 0)
    grouped = (
        select(
            _line_number(prefix).label("line_number"),
            StockMove.lot_id.label("lot_id"),
            _net(COMMITTED).label("committed"),
            _net(SHIPPED).label("shipped"),
            returned.label("returned"),
        )
        .where(condition, StockMove.lot_id.is_not(None), StockMove.source.startswith(prefix, autoescape=True))
        .group_by("line_number", StockMove.lot_id)
        .subquery("booked")
    )
    line = (_line_of if prefix == PREFIX else _wholesale_line_of)(grouped.c.line_number)
    return (
        select(
            *line.c,
            grouped.c.lot_id,
            cast(grouped.c.committed, BigInteger).label("committed"),
            cast(grouped.c.shipped, BigInteger).label("shipped"),
            cast(grouped.c.returned, BigInteger).label("returned"),
        )
        .select_from(grouped)
        .join(line, true())
        .where(or_(grouped.c.committed > 0, grouped.c.shipped > 0, grouped.c.returned > 0))
    )


def _line_of(number: Any) -> Any:
    """The order line of that number with its order. Its limit keeps the planner at one look into an index per line: joined freely it
    would rather read all lines that the shop ever sold."""
    return (
        select(
            Order.id.label("order_id"),
            Order.name.label("order_name"),
            Order.placed_at.label("placed_at"),
            Order.cancelled_at.is_not(None).label("is_cancelled"),
            OrderLine.id.label("line_id"),
            OrderLine.sku.label("sku"),
            OrderLine.title.label("title"),
        )
        .join(Order, Order.id == OrderLine.order_id)
        .where(OrderLine.line_number == number)
        .limit(1)
        .lateral("line")
    )


def _wholesale_line_of(number: Any) -> Any:
    """The same of a wholesale order."""
    return (
        select(
            (-WholesaleOrder.id).label("order_id"),
            WholesaleOrder.number.label("order_name"),
            WholesaleOrder.created_at.label("placed_at"),
            WholesaleOrder.cancelled_at.is_not(None).label("is_cancelled"),
            WholesaleLine.id.label("line_id"),
            Item.sku.label("sku"),
            Item.name.label("title"),
        )
        .join(WholesaleOrder, WholesaleOrder.id == WholesaleLine.order_id)
        .join(Item, Item.id == WholesaleLine.item_id)
        .where(WholesaleLine.id == number)
        .limit(1)
        .lateral("line")
    )


def _lines_of(lot_ids: Iterable[int]) -> Select[Any]:
    of = among(StockMove.lot_id, lot_ids)
    return select(union_all(_moves(of), _moves(of, WHOLESALE_PREFIX)).subquery("sold"))


def _of_lines(numbers: Sequence[int]) -> Select[Any]:
    named = [StockMove.source.startswith(f"{PREFIX}{number}:", autoescape=True) for number in numbers]
    return _moves(or_(*named) if named else StockMove.id.is_(None))


def _narrow(query: Select[Any], only: str) -> Select[Any]:
    columns = query.selected_columns
    if only == "open":
        return query.where(columns.committed > 0)
    return query.where(columns.shipped > 0) if only == "shipped" else query


def _in_order(query: Select[Any]) -> Select[Any]:
    columns = query.selected_columns
    return query.order_by(columns.placed_at.desc().nulls_last(), columns.line_id.desc(), columns.lot_id)


def find_orders(name: str) -> Sequence[Order]:
    """Orders of that name, with or without its sign; newest first."""
    given = name.strip().removeprefix("#")
    query = select(Order).where(or_(Order.name == name.strip(), and_(Order.name == f"#{given}", given != "")))
    return db.session.scalars(query.options(joinedload(Order.lines)).order_by(Order.id.desc()).limit(5)).unique().all()
