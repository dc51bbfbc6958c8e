"""Where the units of lots went and what they were made from: lots, runs and order lines in one picture.

`production.trace` knows lots and runs; here the order lines come in, by the moves that name them. A fixed number of statements, however
many lots, runs and orders there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Select, Text, and_, case, cast, false, func, literal, or_, select, true, union_all
from sqlalchemy.orm import joinedload, selectinload

from occ_app.b2b.models import Customer, WholesaleLine, WholesaleOrder
from occ_app.catalog.models import Item
from occ_app.extensions import db
from occ_app.orders.models import Order, OrderLine
from occ_app.production import trace
from occ_app.production.models import ProductionRun, Receipt, RunReservation
from occ_app.production.trace import Links, among
from occ_app.stock.channel_models import Handout, MarketDay
from occ_app.stock.models import Balance, Lot, StockMove
from occ_app.stock.rules import COMMITTED, SHIPPED

ORDER, WHOLESALE, MARKET, GIVEN = "order", "wholesale", "market", "given"
PREFIXES = {ORDER: "order_line:", WHOLESALE: "b2b_line:", MARKET: "market:", GIVEN: "handout:"}
NAMED = {ORDER: "order", WHOLESALE: "order", MARKET: "market day", GIVEN: "given away"}
STATES = {"committed": "not shipped", "shipped": "shipped", "returned": "returned"}
STATES_OF = {
    MARKET: {"committed": "at the market", "shipped": "sold", "returned": "brought back", "missing": "missing"},
    GIVEN: {"shipped": "given away"},
}
PATHS = {ORDER: "/trace/orders/", WHOLESALE: "/wholesale/", MARKET: "/channels/markets/"}


@dataclass(frozen=True)
class Sale:
    """What an order line has of a lot, in units of the item; or a market day, or whom units were given. One place where units went.

    `returned` ones came back and are not counted as shipped. At a market: `committed` are there still, `shipped` were sold, `missing`
    were neither sold nor brought back. `order_id` is the number of its `kind`, `order` its name; `who` the wholesale customer, or what units
    were given away for.
    """

    kind: str
    order_id: int
    order: str
    placed_at: datetime | None
    is_cancelled: bool
    line_id: int
    sku: str
    title: str
    who: str
    lot_id: int
    committed: int
    shipped: int
    returned: int
    missing: int

    @property
    def key(self) -> str:
        """What tells it from all others."""
        return f"{self.kind}:{self.order_id}"

    @property
    def is_order(self) -> bool:
        """Whether somebody ordered it, in the webshop or wholesale."""
        return self.kind in (ORDER, WHOLESALE)

    @property
    def named(self) -> str:
        """What it is, in words."""
        return NAMED[self.kind]

    @property
    def path(self) -> str:
        """Where it is shown: the order's trace, the wholesale order, the market day, the list of what was given away."""
        return f"{PATHS[self.kind]}{self.order_id}" if self.kind in PATHS else "/channels/samples"

    @property
    def state(self) -> str:
        """Where its units are: the first count that is not zero, in words."""
        return next(words for name, words in self.states.items() if getattr(self, name))

    @property
    def states(self) -> dict[str, str]:
        """What each of its counts is called."""
        return STATES_OF.get(self.kind, STATES)


@dataclass(frozen=True)
class Reach:
    """How far lots went: orders that hold or held units of them, market days and gifts beside (`others`), and units of all.

    `by_lot`: lot id -> (orders, units); `ends_by_lot`: lot id -> orders, market days and gifts.
    """

    orders: int = 0
    committed: int = 0
    shipped: int = 0
    others: int = 0
    by_lot: dict[int, tuple[int, int]] = field(default_factory=dict)
    ends_by_lot: dict[int, int] = field(default_factory=dict)

    @property
    def ends(self) -> int:
        """Orders, market days and gifts."""
        return self.orders + self.others


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
    return _back_from(_of_lines(ORDER, [line.line_number for line in order.lines]))


def of_wholesale(order: WholesaleOrder) -> tuple[Trace, list[Sale]]:
    """The same of a wholesale order."""
    return _back_from(_of_lines(WHOLESALE, [line.id for line in order.lines]))


def _back_from(query: Select[Any]) -> tuple[Trace, list[Sale]]:
    sales = [Sale(*row) for row in db.session.execute(query)]
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
    """How many orders (and market days, and gifts) have units of these lots, and how many units; also lot by lot."""
    lines = _lines_of(lot_ids).subquery()
    ends = func.count(func.concat(lines.c.kind, lines.c.order_id).distinct())
    is_order = lines.c.kind.in_((ORDER, WHOLESALE))
    gone = func.sum(lines.c.shipped + lines.c.missing)
    of = select(lines.c.lot_id, ends.filter(is_order), ends.filter(~is_order), func.sum(lines.c.committed), gone)
    rows = db.session.execute(of.group_by(func.rollup(lines.c.lot_id))).all()
    by_lot = {lot_id: (orders, int(open_ + gone)) for lot_id, orders, _, open_, gone in rows if lot_id}
    ends_by_lot = {row[0]: row[1] + row[2] for row in rows if row[0]}
    total = next((row for row in rows if row[0] is None), (None, 0, 0, 0, 0))
    return Reach(total[1] or 0, int(total[3] or 0), int(total[4] or 0), total[2] or 0, by_lot, ends_by_lot)


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


# Where units went, by the moves that name it ----------------------------------------------------------------------------------------------


def _number(prefix: str) -> Any:
    """The number that a move's source names (981 in `order_line:981:take:2:0`), else null."""
    number = cast(func.split_part(StockMove.source, ":", 2), BigInteger)
    return case((StockMove.source.startswith(prefix, autoescape=True), number))


def _net(place: Callable[[Any], Any]) -> Any:
    """Units that the moves have put to such places and left there."""
    change = case((place(StockMove.to_place), StockMove.quantity), (place(StockMove.from_place), -StockMove.quantity))
    return func.coalesce(func.sum(change), 0)


def _moved_for(reason: str) -> Any:
    return func.coalesce(func.sum(case((StockMove.reason == reason, StockMove.quantity))), 0)


def _moves(kind: str, condition: Any) -> Select[Any]:
    """Of each order line (market day, gift) and lot the counts of a Sale. Only those that have or had units of the lot."""
    prefix = PREFIXES[kind]
    held = "allocated:market-%" if kind == MARKET else COMMITTED
    grouped = (
        select(
            _number(prefix).label("number"),
            StockMove.lot_id.label("lot_id"),
            _net(lambda place: place.like(held)).label("committed"),
            _net(lambda place: place == SHIPPED).label("shipped"),
            _moved_for("market_back" if kind == MARKET else "order_return").label("returned"),
            (_moved_for("count") if kind == MARKET else literal(0)).label("missing"),
        )
        .where(condition, StockMove.lot_id.is_not(None), StockMove.source.startswith(prefix, autoescape=True))
        .group_by("number", StockMove.lot_id)
        .subquery("booked")
    )
    end = _ENDS[kind](grouped.c.number, grouped.c.lot_id)
    counts = [grouped.c[name] for name in ("committed", "shipped", "returned", "missing")]
    return (
        select(literal(kind).label("kind"), *end.c, grouped.c.lot_id)
        .add_columns(*(cast(count, BigInteger).label(count.name) for count in counts))
        .select_from(grouped)
        .join(end, true())
        .where(or_(*(count > 0 for count in counts)))
    )


def _line_of(number: Any, lot_id: Any) -> Any:
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
            literal("").label("who"),
        )
        .join(Order, Order.id == OrderLine.order_id)
        .where(OrderLine.line_number == number)
        .limit(1)
        .lateral("line")
    )


def _wholesale_line_of(number: Any, lot_id: Any) -> Any:
    """The same of a wholesale order."""
    return (
        select(
            WholesaleOrder.id.label("order_id"),
            WholesaleOrder.number.label("order_name"),
            WholesaleOrder.created_at.label("placed_at"),
            WholesaleOrder.cancelled_at.is_not(None).label("is_cancelled"),
            WholesaleLine.id.label("line_id"),
            Item.sku.label("sku"),
            Item.name.label("title"),
            Customer.name.label("who"),
        )
        .join(WholesaleOrder, WholesaleOrder.id == WholesaleLine.order_id)
        .join(Customer, Customer.id == WholesaleOrder.customer_id)
        .join(Item, Item.id == WholesaleLine.item_id)
        .where(WholesaleLine.id == number)
        .limit(1)
        .lateral("line")
    )


def _market_day_of(number: Any, lot_id: Any) -> Any:
    """The market day of that number, and the item of the lot."""
    name = MarketDay.name + ", " + cast(MarketDay.held_on, Text)
    return _other(MarketDay, name, literal(""), MarketDay.created_at, number, lot_id)


def _gift_of(number: Any, lot_id: Any) -> Any:
    """What units were given away for, and the item of the lot."""
    return _other(Handout, func.initcap(Handout.channel), Handout.purpose, Handout.given_at, number, lot_id)


def _other(model: Any, name: Any, who: Any, at: Any, number: Any, lot_id: Any) -> Any:
    return (
        select(
            model.id.label("order_id"),
            name.label("order_name"),
            at.label("placed_at"),
            false().label("is_cancelled"),
            model.id.label("line_id"),
            Item.sku.label("sku"),
            Item.name.label("title"),
            who.label("who"),
        )
        .select_from(model)
        .join(Lot, Lot.id == lot_id)
        .join(Item, Item.id == Lot.item_id)
        .where(model.id == number)
        .limit(1)
        .lateral("line")
    )


_ENDS = {ORDER: _line_of, WHOLESALE: _wholesale_line_of, MARKET: _market_day_of, GIVEN: _gift_of}


def _lines_of(lot_ids: Iterable[int]) -> Select[Any]:
    of = among(StockMove.lot_id, lot_ids)
    return select(union_all(*(_moves(kind, of) for kind in _ENDS)).subquery("sold"))


def _of_lines(kind: str, numbers: Sequence[int]) -> Select[Any]:
    named = [StockMove.source.startswith(f"{PREFIXES[kind]}{number}:", autoescape=True) for number in numbers]
    return _moves(kind, or_(*named) if named else StockMove.id.is_(None))


def _narrow(query: Select[Any], only: str) -> Select[Any]:
    columns = query.selected_columns
    if only == "open":
        return query.where(columns.committed > 0)
    return query.where(or_(columns.shipped > 0, columns.missing > 0)) if only == "shipped" else query


def _in_order(query: Select[Any]) -> Select[Any]:
    columns = query.selected_columns
    return query.order_by(columns.placed_at.desc().nulls_last(), columns.line_id.desc(), columns.lot_id)


def find_orders(name: str) -> Sequence[Order]:
    """Orders of that name, with or without its sign; newest first."""
    given = name.strip().removeprefix("#")
    query = select(Order).where(or_(Order.name == name.strip(), and_(Order.name == f"#{given}", given != "")))
    return db.session.scalars(query.options(joinedload(Order.lines)).order_by(Order.id.desc()).limit(5)).unique().all()


def find_wholesale(name: str) -> WholesaleOrder | None:
    """The wholesale order of that number, with its lines."""
    query = select(WholesaleOrder).where(WholesaleOrder.number == name.strip().upper())
    return db.session.scalar(query.options(selectinload(WholesaleOrder.lines)))
