"""Orders are booked as states: the difference between what a line shows and what was booked of it, with sources that name it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import selectinload

from occ_app import clock
from occ_app.catalog.models import Location, Mapping, Variant
from occ_app.extensions import current_shop_id, db
from occ_app.orders.models import Order, OrderLine
from occ_app.orders.moving import moves_of
from occ_app.orders.rules import (
    EFFECTS,
    FLOWS,
    RESTOCKED,
    TAKEN,
    Booked,
    LineSnapshot,
    Step,
    steps,
    wanted,
)
from occ_app.stock import ledger
from occ_app.sync.targets import book_effect, lock_states

ACTOR = "orders"
_partner_lines: list[Callable[[OrderLine, Mapping], None]] = []
LATE_READ = timedelta(seconds=5)  # Shopify showed an older state than its own news: it is read again after that
NEWS_PATIENCE = timedelta(
    minutes=2
)  # a reading taken so long after the news came is believed, whatever time they named


@dataclass(frozen=True)
class LineState:
    """A line of an order as just read. `variant_gid` None: there is no product behind it."""

    line_gid: str
    variant_gid: str | None
    location_gid: str | None
    sku: str
    title: str
    unit_price: Decimal | None
    snapshot: LineSnapshot


@dataclass(frozen=True)
class OrderState:
    """An order as just read."""

    order_gid: str
    name: str
    placed_at: datetime
    changed_at: datetime
    cancelled_at: datetime | None
    financial_status: str
    fulfillment_status: str
    currency: str
    is_test: bool
    lines: Sequence[LineState]
    is_b2b: bool = False
    is_on_hold: bool = False
    risk: str = ""


def after_partner_line(listener: Callable[[OrderLine, Mapping], None]) -> None:
    """`listener` is called with each line of a partner's goods of which something was booked, within the transaction."""
    if listener not in _partner_lines:
        _partner_lines.append(listener)


def note(order_gid: str, at: datetime, news_of: datetime | None = None) -> None:
    """News of the order came: it is to be read and booked. Harmless however often.

    `news_of`: the state that the news tells of was Shopify's at that moment; a reading that shows an older one is not the last.
    """
    row = {
        "shop_id": current_shop_id(),
        "order_gid": order_gid,
        "due_at": at,
        "name": "",
        "tries": 0,
        "news_of": news_of,
    }
    row |= {"financial_status": "", "fulfillment_status": "", "currency": "", "is_test": False}
    statement = insert(Order).values(row)
    newest = func.greatest(Order.news_of, statement.excluded.news_of)  # of two, null is the lesser
    again = {"due_at": statement.excluded.due_at, "next_try_at": None, "news_of": newest}
    db.session.execute(statement.on_conflict_do_update(index_elements=["shop_id", "order_gid"], set_=again))


def book(state: OrderState, *, noted_until: datetime) -> bool:
    """The order is booked as this state. False where the state is older than what was booked before.

    `noted_until`: news that came before then is covered by this reading; later news keeps the order due.
    """
    note_if_new(state.order_gid, noted_until)
    order = db.session.scalars(
        select(Order)
        .where(Order.order_gid == state.order_gid)
        .options(selectinload(Order.lines))
        .with_for_update(key_share=True)  # whoever fills its lines only needs it to stay
        .execution_options(populate_existing=True)
    ).one()
    is_late = order.news_of is not None and state.changed_at < order.news_of and _is_fresh(order.due_at)
    if order.due_at is not None and order.due_at <= noted_until and not is_late:
        order.due_at = None
    order.next_try_at = clock.now() + LATE_READ if is_late else None
    if order.changed_at is not None and state.changed_at < order.changed_at:
        return False
    is_new = order.placed_at is None
    order.name, order.placed_at, order.changed_at = state.name, state.placed_at, state.changed_at
    order.cancelled_at, order.currency, order.is_test = state.cancelled_at, state.currency, state.is_test
    order.financial_status, order.fulfillment_status = state.financial_status, state.fulfillment_status
    order.is_b2b = state.is_b2b
    order.is_on_hold, order.risk = state.is_on_hold, state.risk
    order.tries, order.cause, order.booked_at = 0, None, clock.now()
    _lock_stock({each.variant_gid for each in (*order.lines, *state.lines)} - {None})
    lines = _lines_of(order)
    for line_state in state.lines:
        line = lines.get(line_state.line_gid)
        is_first = line is None
        line = line or _new_line(order, line_state)
        line.quantity = line_state.snapshot.quantity
        _book_line(line, line_state, state, is_first=is_first and is_new)
    db.session.flush()
    return True


def _lines_of(order: Order) -> dict[str, OrderLine]:
    """The order's lines by their gid, as they are now that their stock is locked: goods that came in may just have filled one."""
    query = select(OrderLine).where(OrderLine.order_id == order.id).execution_options(populate_existing=True)
    return {line.line_gid: line for line in db.session.scalars(query)}


def _is_fresh(news_came_at: datetime | None) -> bool:
    return news_came_at is not None and clock.now() - news_came_at < NEWS_PATIENCE


def _lock_stock(variant_gids: Iterable[str | None]) -> None:
    """The items that these variants sell and their sync states are locked, all at once: two orders that share some wait for each other
    rather than lock each other out."""
    selling = select(Mapping.item_id).join(Variant, Variant.id == Mapping.variant_id).distinct()
    item_ids = list(db.session.scalars(selling.where(Variant.variant_gid.in_(list(variant_gids)))))
    if item_ids:
        ledger.lock(item_ids)
        lock_states(item_ids)


def note_if_new(order_gid: str, at: datetime) -> None:
    """There is a row for the order, whose lock keeps two bookings of it apart."""
    row = {"shop_id": current_shop_id(), "order_gid": order_gid, "due_at": at, "name": "", "tries": 0}
    row |= {"financial_status": "", "fulfillment_status": "", "currency": "", "is_test": False}
    db.session.execute(insert(Order).values(row).on_conflict_do_nothing(index_elements=["shop_id", "order_gid"]))


def _new_line(order: Order, state: LineState) -> OrderLine:
    line = OrderLine(
        order_id=order.id,
        line_gid=state.line_gid,
        line_number=int(state.line_gid.rsplit("/", 1)[1]),
        variant_gid=state.variant_gid,
        location_gid=state.location_gid,
        sku=state.sku,
        title=state.title,
        unit_price=state.unit_price,
        quantity=state.snapshot.quantity,
        **dict.fromkeys((*FLOWS, "short", "from_partner", "bookings"), 0),
        units_per_variant=1,
        waits_for_mapping=False,
    )
    db.session.add(line)
    db.session.flush()
    return line


def _book_line(line: OrderLine, state: LineState, order: OrderState, *, is_first: bool) -> None:
    if state.variant_gid is None and line.variant_gid is None:
        return
    if line.mapping_id is None and state.location_gid:
        line.location_gid = state.location_gid
    mapping = _mapping_of(line)
    if mapping is None:
        _wait_for_mapping(line)
        return
    booked = Booked(**{flow: getattr(line, flow) for flow in FLOWS})
    found = steps(booked, state.snapshot, placed_at=order.placed_at, changed_at=order.changed_at, is_first=is_first)
    if not found:
        return
    if line.bookings == 0 and order.placed_at < mapping.created_at.replace(microsecond=0):
        found = _only_what_is_open(line, found, booked)
    still_open, took_before = wanted(state.snapshot, booked).committed, line.from_partner
    for step in found:
        line.bookings += 1
        moves = moves_of(line, mapping, step, line.bookings)
        setattr(line, step.flow, getattr(line, step.flow) + step.change)
        available, committed = EFFECTS[step.flow]
        shown_by = _shown_by(mapping)
        if shown_by is not None:
            in_committed = _shows_in_committed(step, booked, still_open)
            effect = (available * step.change, committed * step.change)
            book_effect(shown_by, *effect, step.at, in_committed=in_committed)
        ledger.book(moves, actor=ACTOR, at=step.at)
    db.session.flush()
    if line.from_partner or took_before:
        for listener in _partner_lines:
            listener(line, mapping)


def _shows_in_committed(step: Step, booked: Booked, still_open: int) -> bool:
    """Whether the step, and what comes with it, moves Shopify's `committed`: a reading whose `committed` agreed with our books before the
    step did not hold it."""
    if booked.taken == 0 and still_open > 0:
        return True
    if step.flow == TAKEN:
        return 0 < step.change <= still_open
    return step.flow == RESTOCKED and 0 < step.change <= booked.committed


def _shown_by(mapping: Mapping) -> int | None:
    """The mapping whose numbers in Shopify an effect shows in: the line's own, or the one that has followed it."""
    if mapping.ended_at is None:
        return mapping.id
    query = select(Mapping.id).where(
        Mapping.variant_id == mapping.variant_id,
        Mapping.location_id == mapping.location_id,
        Mapping.ended_at.is_(None),
    )
    return db.session.scalars(query).one_or_none()


def booked_committed(of: Iterable[Mapping]) -> dict[tuple[int, int], int]:
    """(variant id, location id) -> variant units booked as sold and not yet shipped, through any mapping of the variant there."""
    open_units = OrderLine.taken - OrderLine.restocked - OrderLine.lost - OrderLine.shipped
    query = (
        select(Mapping.variant_id, Mapping.location_id, func.sum(open_units))
        .join(OrderLine, OrderLine.mapping_id == Mapping.id)
        .where(Mapping.variant_id.in_([mapping.variant_id for mapping in of]))
    )
    rows = db.session.execute(query.group_by(Mapping.variant_id, Mapping.location_id))
    return {(variant_id, location_id): int(units) for variant_id, location_id, units in rows}


def _only_what_is_open(line: OrderLine, found: list[Step], booked: Booked) -> list[Step]:
    """Of an order older than its mapping only what is still to ship is taken; what left earlier left before anybody counted."""
    total = replace(booked, **{step.flow: getattr(booked, step.flow) + step.change for step in found})
    line.shipped, line.lost, line.restocked, line.returned = total.shipped, total.lost, total.restocked, total.returned
    line.taken = total.taken - total.committed
    return [Step(TAKEN, total.committed, found[0].at)] if total.committed else []


def _mapping_of(line: OrderLine) -> Mapping | None:
    """The mapping the line was booked through; else the living one of its variant at its location, from now on for good."""
    if line.mapping_id is not None:
        return db.session.get(Mapping, line.mapping_id)
    query = (
        select(Mapping)
        .join(Variant, Variant.id == Mapping.variant_id)
        .join(Location, Location.id == Mapping.location_id)
        .where(Variant.variant_gid == line.variant_gid, Mapping.ended_at.is_(None))
        .where(Location.location_gid == line.location_gid if line.location_gid else Location.id.is_not(None))
        .order_by(Mapping.id)
    )
    mapping = db.session.scalars(query.limit(1)).first()
    if mapping is not None:
        line.mapping_id, line.units_per_variant, line.waits_for_mapping = mapping.id, mapping.units_per_variant, False
    return mapping


def _wait_for_mapping(line: OrderLine) -> None:
    line.waits_for_mapping = True
    line.taken = line.restocked = line.lost = line.shipped = line.returned = 0


def book_waiting(variant_gids: Sequence[str], at: datetime) -> list[str]:
    """Orders whose lines waited for these variants' mapping are due again. Returns their gids."""
    query = (
        select(Order.order_gid)
        .join(OrderLine, OrderLine.order_id == Order.id)
        .where(OrderLine.waits_for_mapping, OrderLine.variant_gid.in_(list(variant_gids)))
        .distinct()
    )
    gids = list(db.session.scalars(query))
    for gid in gids:
        note(gid, at)
    return gids
