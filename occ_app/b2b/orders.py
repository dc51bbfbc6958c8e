"""Wholesale orders: drafted, confirmed, shipped, cancelled. Each operation raises before it changes anything.

Units are taken when an order is confirmed: wholesale's own first, first expiry first, then (an item in the pool, or by rule) the webshop's.
What an order waits for is not in the ledger: it is taken when it comes, oldest order first, and never from what Shopify was given, unless
the rule says so.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, inspect, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import joinedload, selectinload

from occ_app import clock
from occ_app.b2b import levels
from occ_app.b2b.models import CANCELLED, CONFIRMED, DRAFT, SHIPPED, Customer, WholesaleLine, WholesaleOrder
from occ_app.catalog.models import PRODUCT, Item
from occ_app.errors import NotFoundError, RuleError
from occ_app.extensions import current_shop_id, db
from occ_app.searching import contains
from occ_app.shops import settings
from occ_app.stock import ledger, lots
from occ_app.stock.ledger import Move
from occ_app.stock.models import Lot, StockMove
from occ_app.stock.rules import COMMITTED, RELEASED, Holding, take
from occ_app.stock.rules import SHIPPED as SHIPPED_PLACE
from occ_app.sync import desk, targets

ACTOR = "wholesale"
MOST_LINES, MOST_UNITS = 500, 1_000_000
LONGEST, LONGEST_NOTE = 120, 1000
NOTHING_YET: dict[str, Any] = {"taken": 0, "waits": False, "bookings": 0}
REFUSE, POOL, BACKORDER = "refuse", "pool", "backorder"  # what happens when wholesale has too little
_listeners: list[Callable[[WholesaleOrder], None]] = []


@dataclass(frozen=True)
class Shortage:
    """So many units of an item were wanted, and so many are there."""

    sku: str
    wanted: int
    available: int


def names_of_lines(line_ids: Collection[int]) -> dict[int, tuple[str, int | None]]:
    """Line id -> what its order is called where a push tells why it was made. It sold through no mapping."""
    query = select(WholesaleLine.id, WholesaleOrder.number).join(
        WholesaleOrder, WholesaleOrder.id == WholesaleLine.order_id
    )
    rows = db.session.execute(query.where(WholesaleLine.id.in_(list(line_ids))))
    return {line_id: (f"Wholesale order {number}", None) for line_id, number in rows}


class ShortError(RuleError):
    """There are not enough units; `shortages` names each item."""

    def __init__(self, shortages: Sequence[Shortage]) -> None:
        words = "; ".join(f"{s.sku}: {s.wanted:,} wanted, {s.available:,} available" for s in shortages)
        super().__init__(f"Not enough for wholesale. {words}. Order fewer, or move the border.")
        self.shortages = shortages


class UnknownItemsError(RuleError):
    """There are no items with these SKUs."""

    def __init__(self, skus: Sequence[str]) -> None:
        super().__init__(f"There is no item {', '.join(skus)}. Nothing was ordered.", field="lines")
        self.skus = skus


class StateError(RuleError):
    """The order is past that step."""


def after_backorder(listener: Callable[[WholesaleOrder], None]) -> None:
    """`listener` is called with an order that was confirmed and waits for units, within the transaction."""
    if listener not in _listeners:
        _listeners.append(listener)


def create(
    lines: Sequence[tuple[str, int]],
    *,
    customer: str,
    customer_reference: str = "",
    reference: str = "",
    note: str = "",
    confirmed: bool = True,
    actor: str,
    at: datetime,
) -> WholesaleOrder:
    """There is an order of these (SKU, units), confirmed or a draft. Raises RuleError; then nothing was ordered."""
    items = _items(lines)
    _check_texts(customer=customer, customer_reference=customer_reference, reference=reference, note=note)
    place = levels.location()
    customer_row = _customer(customer, customer_reference, at)
    # Before the lines are there: a line's foreign key holds its item lightly, and two such holders could not lock it.
    ledger.lock(item.id for item in items.values())
    number = db.session.scalar(select(func.nextval("b2b_order_id_seq")))
    order = WholesaleOrder(
        id=number,
        number=f"W-{number:05}",
        customer=customer_row,
        location_id=place.id,
        reference=reference.strip(),
        note=note.strip(),
        state=DRAFT,
        created_by=actor,
        created_at=at,
    )
    order.lines = [
        WholesaleLine(item_id=items[sku].id, item=items[sku], quantity=units, **NOTHING_YET) for sku, units in lines
    ]
    if confirmed:
        confirm(order, actor=actor, at=at)
    db.session.add(order)
    db.session.flush()
    return order


def _items(lines: Sequence[tuple[str, int]]) -> dict[str, Item]:
    if not 1 <= len(lines) <= MOST_LINES:
        raise RuleError(f"Give 1 to {MOST_LINES} lines.", field="lines")
    for sku, units in lines:
        if not 1 <= units <= MOST_UNITS:
            raise RuleError(f"{sku}: give a quantity from 1 to {MOST_UNITS:,}.", field="quantity")
    skus = [sku for sku, _ in lines]
    double = sorted({sku for sku in skus if skus.count(sku) > 1}) if len(set(skus)) < len(skus) else []
    if double:
        raise RuleError(f"{', '.join(double)} stands twice. Give each SKU once, with all of its units.", field="lines")
    query = select(Item).where(Item.sku.in_(skus), Item.kind == PRODUCT, Item.archived_at.is_(None))
    items = {item.sku: item for item in db.session.scalars(query)}
    unknown = [sku for sku in skus if sku not in items]
    if unknown:
        raise UnknownItemsError(unknown)
    return items


def _check_texts(**texts: str) -> None:
    if not texts["customer"].strip():
        raise RuleError("Give the customer's name.", field="customer")
    for name, text in texts.items():
        longest = LONGEST_NOTE if name == "note" else LONGEST
        if len(text) > longest or "\x00" in text:
            raise RuleError(f"Give {longest} characters or fewer.", field=name)


def _customer(name: str, reference: str, at: datetime) -> Customer:
    """The customer with that reference (its name, where none is given), with that name from now on."""
    name = name.strip()
    key = reference.strip() or name
    row = {"shop_id": current_shop_id(), "reference": key, "name": name, "created_at": at}
    known = select(Customer).where(Customer.reference == key)
    customer = db.session.scalar(known)
    if customer is None:
        db.session.execute(insert(Customer).values(row).on_conflict_do_nothing(index_elements=["shop_id", "reference"]))
        customer = db.session.scalars(known).one()
    if customer.name != name:
        customer.name = name
    return customer


def get(order_id: int, *, locked: bool = False) -> WholesaleOrder:
    """The order with customer, lines and items. Raises NotFoundError."""
    query = select(WholesaleOrder).where(WholesaleOrder.id == order_id)
    query = query.options(*_LOADED)
    if locked:
        query = query.with_for_update(of=WholesaleOrder).execution_options(populate_existing=True)
    order = db.session.scalar(query)
    if order is None:
        raise NotFoundError(f"There is no wholesale order {order_id} here.")
    return order


_LOADED = (joinedload(WholesaleOrder.customer), selectinload(WholesaleOrder.lines).joinedload(WholesaleLine.item))


def find(
    *, state: str = "", text: str = "", before: int | None = None, limit: int = 50, offset: int = 0
) -> Sequence[WholesaleOrder]:
    """Orders, newest first; `before`: only those with a lower id; `text`: in number, reference or customer."""
    query = select(WholesaleOrder).options(*_LOADED).order_by(WholesaleOrder.id.desc())
    if state:
        query = query.where(WholesaleOrder.state == state)
    if before is not None:
        query = query.where(WholesaleOrder.id < before)
    if text:
        query = query.where(matches(text))
    return db.session.scalars(query.limit(limit).offset(offset)).all()


def matches(text: str) -> ColumnElement[bool]:
    """The condition that an order's number, reference or customer contains the text."""
    customers = select(Customer.id).where(contains(text, Customer.name, Customer.reference))
    mine = contains(text, WholesaleOrder.number, WholesaleOrder.reference)
    return mine | WholesaleOrder.customer_id.in_(customers)


# Steps ----------------------------------------------------------------------------------------------------------------------------


def confirm(order: WholesaleOrder, *, actor: str, at: datetime) -> WholesaleOrder:
    """The order's units are taken; by the shop's rule some may wait. Raises ShortError where the rule refuses. A second time: nothing."""
    if order.state == CONFIRMED:
        return order
    if order.state != DRAFT:
        raise StateError(f"Order {order.number} is {order.state}. Only a draft can be confirmed.")
    rule = settings.get(targets.shop(), "b2b_when_short")
    _lock_lines(order)
    held = ledger.holdings(line.item_id for line in order.lines)
    parts = {line.item_id: _parts(line, held.get((line.item_id, order.location_id), []), rule) for line in order.lines}
    short = [_shortage(line, held, order) for line in order.lines if _sum(parts[line.item_id]) < line.quantity]
    if short and rule != BACKORDER:
        raise ShortError(short)
    order.state, order.confirmed_at = CONFIRMED, at
    _book_takes(order, parts, actor, at)
    if short:
        _tell_waiting(order)
        for listener in _listeners:
            listener(order)
    return order


def _lock_lines(order: WholesaleOrder) -> None:
    """The items of the order are locked, and its lines are as they stand now: whoever had the items may just have filled it.

    The order itself was locked by whoever fetched it; one that is being made has no rows yet.
    """
    ledger.lock(line.item_id for line in order.lines)
    if order in db.session and inspect(order).persistent:
        query = select(WholesaleLine).where(WholesaleLine.order_id == order.id)
        query = query.options(joinedload(WholesaleLine.item))
        db.session.scalars(query.execution_options(populate_existing=True)).all()


def _tell_waiting(order: WholesaleOrder) -> None:
    """The desk says what the order waits for, as long as it waits."""
    waiting = [f"{line.quantity - line.taken:,} {line.item.sku}" for line in order.lines if line.waits]
    subject = f"b2b_order:{order.id}"
    if waiting and order.state == CONFIRMED:
        shown = ", ".join(waiting[:3]) + (" and more" if len(waiting) > 3 else "")
        facts = {"number": order.number, "customer": order.customer.name, "waiting": shown, "order_id": order.id}
        desk.raise_(desk.WHOLESALE, subject, facts, clock.now())
    else:
        desk.withdraw(desk.WHOLESALE, subject, clock.now())


def _shortage(
    line: WholesaleLine, held: Mapping[tuple[int, int], Sequence[Holding]], order: WholesaleOrder
) -> Shortage:
    stock = levels.stock_of(line.item, held.get((line.item_id, order.location_id), []))
    rule = settings.get(targets.shop(), "b2b_when_short")
    return Shortage(line.item.sku, line.quantity, stock.b2b + (stock.b2c if rule == POOL and stock.is_split else 0))


def _sum(parts: Iterable[tuple[Holding, int]]) -> int:
    return sum(units for _, units in parts)


def _parts(line: WholesaleLine, held: Sequence[Holding], rule: str) -> list[tuple[Holding, int]]:
    """Which units the line's missing ones can be: wholesale's own, then the pool's where it may have those."""
    day = targets.today(targets.shop())
    stock = levels.stock_of(line.item, held)
    own, missing = take([h for h in held if h.place == levels.WHOLESALE], line.quantity - line.taken, day)
    if not missing or (stock.is_split and rule != POOL):
        return own
    places = levels.pool_places(line.item)
    if stock.is_split:
        places = (RELEASED, *places)
    pool, _ = take([h for h in held if h.place in places], min(missing, stock.b2c), day)
    return [*own, *pool]


def _book_takes(
    order: WholesaleOrder, parts: Mapping[int, Sequence[tuple[Holding, int]]], actor: str, at: datetime
) -> None:
    """The lines have these parts (item id -> holdings and units), and so do the books. The order may be a new one."""
    for line in order.lines:
        mine = parts.get(line.item_id, ())
        if mine:
            line.bookings += 1
            line.taken += _sum(mine)
        line.waits = line.taken < line.quantity
    db.session.add(order)
    db.session.flush()
    moves = [
        _taking(line, order, "take", n, part)
        for line in order.lines
        for n, part in enumerate(parts.get(line.item_id, ()))
    ]
    ledger.book(moves, actor=actor, at=at)


def _taking(line: WholesaleLine, order: WholesaleOrder, step: str, n: int, part: tuple[Holding, int]) -> Move:
    holding, units = part
    source = f"b2b_line:{line.id}:{step}:{line.bookings}:{n}"
    places = holding.place, COMMITTED
    return Move(line.item_id, holding.lot_id, order.location_id, *places, units, "order_take", source)


def fill(item_ids: Iterable[int]) -> None:
    """Units that came go to the orders that wait for them, oldest first."""
    query = (
        select(WholesaleLine)
        .join(WholesaleOrder, WholesaleOrder.id == WholesaleLine.order_id)
        .where(WholesaleLine.item_id.in_(sorted(set(item_ids))), WholesaleLine.waits)
        .options(joinedload(WholesaleLine.item))
        .order_by(WholesaleLine.id)
        .execution_options(populate_existing=True)
    )
    rule = settings.get(targets.shop(), "b2b_when_short")
    for line in db.session.scalars(query).all():
        order = get(line.order_id)
        held = ledger.holdings([line.item_id]).get((line.item_id, order.location_id), [])
        parts = _parts(line, held, rule)
        if parts and order.state == CONFIRMED:
            line.bookings += 1
            line.taken += _sum(parts)
            line.waits = line.taken < line.quantity
            db.session.flush()
            moves = [_taking(line, order, "fill", n, part) for n, part in enumerate(parts)]
            ledger.book(moves, actor=ACTOR, at=clock.now())
            _tell_waiting(order)


def ship(order: WholesaleOrder, *, actor: str, at: datetime) -> WholesaleOrder:
    """The order's units have left, and its moves say of which lots. A second time: nothing. Raises RuleError while some are missing."""
    if order.state == SHIPPED:
        return order
    if order.state != CONFIRMED:
        raise StateError(f"Order {order.number} is {order.state}. Only a confirmed order can be shipped.")
    _lock_lines(order)
    waiting = [f"{line.quantity - line.taken:,} of {line.item.sku}" for line in order.lines if line.waits]
    if waiting:
        raise StateError(f"Order {order.number} still waits for {', '.join(waiting)}.")
    taken = taken_of(order.lines)
    _refuse_recalled(taken)
    moves = [
        Move(
            m.item_id,
            m.lot_id,
            m.location_id,
            COMMITTED,
            SHIPPED_PLACE,
            m.quantity,
            "order_ship",
            _next(m.source, "ship"),
        )
        for m in taken
    ]
    order.state, order.shipped_at = SHIPPED, at
    db.session.flush()
    ledger.book(moves, actor=actor, at=at)
    return order


def _next(source: str, step: str) -> str:
    """The source of the move that follows a take: `b2b_line:7:take:1:0` -> `b2b_line:7:ship:take-1-0`."""
    kind, line, *rest = source.split(":")
    return f"{kind}:{line}:{step}:{'-'.join(rest)}"


def taken_of(lines: Iterable[WholesaleLine]) -> Sequence[StockMove]:
    """The moves by which the lines' units were taken, with lot and where they came from."""
    prefixes = [f"b2b_line:{line.id}:" for line in lines if line.bookings]
    found: list[StockMove] = []
    for start in range(0, len(prefixes), MOST_LINES):
        some = prefixes[start : start + MOST_LINES]
        named = or_(*(StockMove.source.startswith(prefix, autoescape=True) for prefix in some))
        found += db.session.scalars(select(StockMove).where(named, StockMove.reason == "order_take"))
    return sorted(found, key=lambda move: move.id)


def _refuse_recalled(taken: Iterable[StockMove]) -> None:
    ids = {move.lot_id for move in taken if move.lot_id}
    query = select(Lot.lot_number).where(Lot.id.in_(ids), Lot.recalled_at.is_not(None)).order_by(Lot.id)
    number = db.session.scalar(query.limit(1))
    if number is not None:
        raise StateError(
            f"Lot {number} is recalled, and units of this order are of it. Cancel the order and make it anew."
        )


def cancel(order: WholesaleOrder, *, actor: str, at: datetime) -> WholesaleOrder:
    """The order's units are back where they came from. A second time: nothing. Raises RuleError where they have left the house."""
    if order.state == CANCELLED:
        return order
    if order.state == SHIPPED:
        raise StateError(f"Order {order.number} is shipped. What has left cannot be cancelled.")
    _lock_lines(order)
    moves = []
    for taken in taken_of(order.lines) if order.state == CONFIRMED else ():
        item = db.session.get_one(Item, taken.item_id)
        is_split = targets.mode_of(item, targets.shop()) == "allocation"
        home = taken.from_place if is_split or not taken.from_place.startswith("allocated:") else RELEASED
        places = COMMITTED, lots.place_back(taken, home)
        source = _next(taken.source, "back")
        moves.append(Move(item.id, taken.lot_id, taken.location_id, *places, taken.quantity, "order_restock", source))
    order.state, order.cancelled_at = CANCELLED, at
    waited = any(line.waits for line in order.lines)
    for line in order.lines:
        line.taken, line.waits = 0, False
    db.session.flush()
    if waited:
        _tell_waiting(order)
    ledger.book(moves, actor=actor, at=at)
    return order


def lots_of(order: WholesaleOrder) -> dict[int, list[tuple[Lot | None, int]]]:
    """Line id -> (lot, units) that the line has, by its moves."""
    return lots_of_all([order])


def lots_of_all(orders: Sequence[WholesaleOrder]) -> dict[int, list[tuple[Lot | None, int]]]:
    """The same of many orders; two statements, however many."""
    taken = taken_of(line for order in orders if order.state in (CONFIRMED, SHIPPED) for line in order.lines)
    ids = {move.lot_id for move in taken if move.lot_id}
    known = {lot.id: lot for lot in db.session.scalars(select(Lot).where(Lot.id.in_(ids)))} if ids else {}
    found: dict[int, list[tuple[Lot | None, int]]] = {}
    for move in taken:
        found.setdefault(int(move.source.split(":")[1]), []).append((known.get(move.lot_id or 0), move.quantity))
    return found
