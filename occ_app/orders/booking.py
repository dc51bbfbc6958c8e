"""Orders are booked as states: the difference between what a line shows and what was booked of it, with sources that name it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import selectinload

from occ_app import clock
from occ_app.catalog.models import PARTNER as PARTNER_GOODS
from occ_app.catalog.models import Item, Location, Mapping, Variant
from occ_app.extensions import current_shop_id, db
from occ_app.orders.models import Order, OrderLine
from occ_app.orders.rules import (
    EFFECTS,
    FLOWS,
    LOST,
    RESTOCKED,
    RETURNED,
    SHIPPED,
    TAKEN,
    Booked,
    LineSnapshot,
    Step,
    steps,
    wanted,
)
from occ_app.stock import ledger
from occ_app.stock.ledger import Move
from occ_app.stock.models import Balance, StockMove
from occ_app.stock.rules import BACKORDER, COMMITTED, CORRECTION, COUNTED, PARTNER, RELEASED, take
from occ_app.stock.rules import SHIPPED as SHIPPED_PLACE
from occ_app.sync import desk
from occ_app.sync.targets import book_effect, lock_states, mode_of, shop, today

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
        .with_for_update()
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
    lines = {line.line_gid: line for line in order.lines}
    _lock_stock({each.variant_gid for each in (*order.lines, *state.lines)} - {None})
    for line_state in state.lines:
        line = lines.get(line_state.line_gid)
        is_first = line is None
        line = line or _new_line(order, line_state)
        line.quantity = line_state.snapshot.quantity
        _book_line(line, line_state, state, is_first=is_first and is_new)
    db.session.flush()
    return True


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
        moves = _moves(line, mapping, step, line.bookings)
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


def _is_partners(mapping: Mapping) -> bool:
    return db.session.get_one(Item, mapping.item_id).kind == PARTNER_GOODS


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


def _moves(line: OrderLine, mapping: Mapping, step: Step, booking: int) -> list[Move]:
    """The moves of one step, in units of the item, each with a source that names line, flow and booking."""
    units = abs(step.change) * line.units_per_variant
    source = f"order_line:{line.line_number}:{step.flow}:{booking}"
    if step.flow == TAKEN and step.change > 0:
        return _take(line, mapping, units, source)
    if step.flow in (SHIPPED, LOST) and step.change > 0:
        to = SHIPPED_PLACE if step.flow == SHIPPED else CORRECTION
        return _leave_committed(
            line, mapping, units, to, "order_ship" if step.flow == SHIPPED else "order_loss", source
        )
    if (step.flow == RESTOCKED and step.change > 0) or (step.flow == TAKEN and step.change < 0):
        return _give_back(line, mapping, units, source)
    if step.flow == RETURNED and step.change > 0:
        return _from_shipped(line, mapping, units, _place_for_returns(mapping), "order_return", source)
    if step.flow in (SHIPPED, LOST) and step.change < 0:
        origin = SHIPPED_PLACE if step.flow == SHIPPED else CORRECTION
        return _from_outside(
            line, mapping, units, origin, COMMITTED, "order_ship" if step.flow == SHIPPED else "order_loss", source
        )
    if step.flow == RETURNED:
        return _take_into(line, mapping, units, SHIPPED_PLACE, source)
    return _take_into(line, mapping, units, COMMITTED, source)


def _take(line: OrderLine, mapping: Mapping, units: int, source: str) -> list[Move]:
    return _take_into(line, mapping, units, COMMITTED, source)


def _take_into(line: OrderLine, mapping: Mapping, units: int, to_place: str, source: str) -> list[Move]:
    """Units leave the sellable lots, first expiry first; what is missing comes from `backorder`, or from the partner whose goods they are."""
    counted = COUNTED[mode_of(db.session.get_one(Item, mapping.item_id), shop())]
    held = ledger.holdings([mapping.item_id]).get((mapping.item_id, mapping.location_id), [])
    parts, missing = take([holding for holding in held if holding.place in counted], units, today(shop()))
    moves = [
        Move(
            mapping.item_id,
            holding.lot_id,
            mapping.location_id,
            holding.place,
            to_place,
            given,
            "order_take",
            f"{source}:{n}",
        )
        for n, (holding, given) in enumerate(parts)
    ]
    if missing:
        is_partners = _is_partners(mapping)
        if is_partners:
            line.from_partner += missing
        else:
            line.short += missing
        moves.append(
            Move(
                mapping.item_id,
                None,
                mapping.location_id,
                PARTNER if is_partners else BACKORDER,
                to_place,
                missing,
                "order_take",
                f"{source}:{len(parts)}",
            )
        )
    return moves


def _leave_committed(
    line: OrderLine, mapping: Mapping, units: int, to_place: str, reason: str, source: str
) -> list[Move]:
    parts = _committed_parts(line, mapping, units)
    return [
        Move(mapping.item_id, lot_id, mapping.location_id, COMMITTED, to_place, given, reason, f"{source}:{n}")
        for n, (lot_id, given) in enumerate(parts)
    ]


def _give_back(line: OrderLine, mapping: Mapping, units: int, source: str) -> list[Move]:
    """Units of the line go back for sale; those it never really had go back to `backorder`, or to the partner, first."""
    moves: list[Move] = []
    is_partners = _is_partners(mapping)
    if is_partners:
        from_short = min(units, line.from_partner, dict(_of_line(line, COMMITTED)).get(None, 0))
        line.from_partner -= from_short
    else:
        from_short = min(units, line.short)
        line.short -= from_short
    if from_short:
        moves.append(
            Move(
                mapping.item_id,
                None,
                mapping.location_id,
                COMMITTED,
                PARTNER if is_partners else BACKORDER,
                from_short,
                "order_restock",
                f"{source}:short",
            )
        )
    place = _place_for_returns(mapping)
    for n, (lot_id, given) in enumerate(_committed_parts(line, mapping, units - from_short, skip_short=from_short)):
        moves.append(
            Move(
                mapping.item_id, lot_id, mapping.location_id, COMMITTED, place, given, "order_restock", f"{source}:{n}"
            )
        )
    return moves


def _from_shipped(line: OrderLine, mapping: Mapping, units: int, place: str, reason: str, source: str) -> list[Move]:
    return _from_outside(line, mapping, units, SHIPPED_PLACE, place, reason, source)


def _from_outside(
    line: OrderLine, mapping: Mapping, units: int, origin: str, place: str, reason: str, source: str
) -> list[Move]:
    """Units of the line come back from a virtual place, into the lots they left by, the last to leave first."""
    moves: list[Move] = []
    for n, (lot_id, there) in enumerate(_of_line(line, origin)):
        given = min(units, there)
        if given:
            units -= given
            moves.append(
                Move(mapping.item_id, lot_id, mapping.location_id, origin, place, given, reason, f"{source}:{n}")
            )
    if units:  # it left before anybody counted, so no lot is known
        moves.append(Move(mapping.item_id, None, mapping.location_id, origin, place, units, reason, f"{source}:old"))
    return moves


def _place_for_returns(mapping: Mapping) -> str:
    counted = COUNTED[mode_of(db.session.get_one(Item, mapping.item_id), shop())]
    return counted[-1] if counted else RELEASED


def _committed_parts(
    line: OrderLine, mapping: Mapping, units: int, skip_short: int = 0
) -> list[tuple[int | None, int]]:
    """(lot, units) of what the line has committed; what was moved by hand since is taken from what is committed of the item."""
    parts: list[tuple[int | None, int]] = []
    for lot_id, there in _of_line(line, COMMITTED):
        if lot_id is None and skip_short:
            there -= min(there, skip_short)
        given = min(units, there)
        if given:
            parts.append((lot_id, given))
            units -= given
    if units:
        raise ValueError(f"line {line.line_gid} has {units} units fewer committed than its counters say")
    return parts


def _of_line(line: OrderLine, place: str) -> list[tuple[int | None, int]]:
    """(lot, units) that the moves of this line have put to `place` and left there, lots with numbers first."""
    prefix = f"order_line:{line.line_number}:"
    query = select(StockMove).where(StockMove.source.startswith(prefix, autoescape=True)).order_by(StockMove.id)
    there: dict[int | None, int] = {}
    for move in db.session.scalars(query):
        if move.to_place == place:
            there[move.lot_id] = there.get(move.lot_id, 0) + move.quantity
        if move.from_place == place:
            there[move.lot_id] = there.get(move.lot_id, 0) - move.quantity
    return sorted(
        ((lot, units) for lot, units in there.items() if units > 0), key=lambda pair: (pair[0] is None, pair[0] or 0)
    )


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


def fill_backorders(item_ids: set[int]) -> None:
    """Units that came in go to the lines that were sold short, oldest first, so that every order knows its lots."""
    short_items = db.session.scalars(
        select(Balance.item_id)
        .where(Balance.item_id.in_(item_ids), Balance.place == BACKORDER, Balance.quantity < 0)
        .distinct()
    )
    for item_id in list(short_items):
        _fill(item_id)


def _fill(item_id: int) -> None:
    item = db.session.get_one(Item, item_id)
    counted = COUNTED[mode_of(item, shop())]
    day, at = today(shop()), clock.now()
    lines = db.session.scalars(
        select(OrderLine)
        .join(Mapping, Mapping.id == OrderLine.mapping_id)
        .where(Mapping.item_id == item_id, OrderLine.short > 0)
        .order_by(OrderLine.id)
    ).all()
    for line in lines:
        mapping = db.session.get_one(Mapping, line.mapping_id)
        held = ledger.holdings([item_id]).get((item_id, mapping.location_id), [])
        parts, _ = take([holding for holding in held if holding.place in counted], line.short, day)
        moves = _fill_moves(line, mapping, parts, day)
        if moves:
            ledger.book(moves, actor=ACTOR, at=at)
    for location_id, missing in _owed_to_nobody(item_id).items():
        held = ledger.holdings([item_id]).get((item_id, location_id), [])
        parts, _ = take([holding for holding in held if holding.place in counted], missing, day)
        source = f"backorder:{item_id}:{location_id}:{at.isoformat()}"
        moves = [
            Move(item_id, holding.lot_id, location_id, holding.place, BACKORDER, given, "correction", f"{source}:{n}")
            for n, (holding, given) in enumerate(parts)
        ]
        ledger.book(moves, actor=ACTOR, at=at)


def _owed_to_nobody(item_id: int) -> dict[int, int]:
    """Location id -> units in `backorder` that no order line waits for: a correction took more than there was."""
    db.session.flush()
    query = select(Balance.location_id, func.sum(-Balance.quantity)).where(
        Balance.item_id == item_id, Balance.place == BACKORDER
    )
    missing = {row[0]: int(row[1]) for row in db.session.execute(query.group_by(Balance.location_id))}
    owed = (
        select(Mapping.location_id, func.sum(OrderLine.short))
        .join(Mapping, Mapping.id == OrderLine.mapping_id)
        .where(Mapping.item_id == item_id, OrderLine.short > 0)
    )
    for location_id, units in db.session.execute(owed.group_by(Mapping.location_id)):
        missing[location_id] = missing.get(location_id, 0) - int(units)
    return {location_id: units for location_id, units in missing.items() if units > 0}


def _fill_moves(line: OrderLine, mapping: Mapping, parts: list, day: date) -> list[Move]:  # type: ignore[type-arg]
    moves: list[Move] = []
    if not parts:
        return moves
    line.bookings += 1
    source = f"order_line:{line.line_number}:fill:{line.bookings}"
    open_at = {place: dict(_of_line(line, place)).get(None, 0) for place in (COMMITTED, CORRECTION)}
    ids = (mapping.item_id, mapping.location_id)
    for n, (holding, given) in enumerate(parts):
        line.short -= given
        # What is still here comes first, then what was lost; the rest has left already, and goes out with a lot too.
        for place in (COMMITTED, CORRECTION, SHIPPED_PLACE):
            units = given if place == SHIPPED_PLACE else min(given, open_at[place])
            given -= units
            if units:
                open_at[place] = open_at.get(place, 0) - units
                steps_of = ((holding.lot_id, holding.place, place, "in"), (None, place, BACKORDER, "out"))
                moves += [
                    Move(ids[0], lot, ids[1], origin, to, units, "backorder_fill", f"{source}:{n}:{place}:{way}")
                    for lot, origin, to, way in steps_of
                ]
    return moves


def tell_backorders(item_ids: set[int]) -> None:
    """Each item that was sold beyond what there was has an open exception; it goes when the units have come."""
    query = select(Balance.item_id, Balance.quantity).where(Balance.item_id.in_(item_ids), Balance.place == BACKORDER)
    short: dict[int, int] = {}
    for item_id, quantity in db.session.execute(query):
        short[item_id] = short.get(item_id, 0) + quantity
    for item_id in item_ids & short.keys():
        subject = f"item:{item_id}"
        if short[item_id] < 0:
            desk.raise_(desk.BACKORDER, subject, {"units": -short[item_id], "item_id": item_id}, clock.now())
        else:
            desk.withdraw(desk.BACKORDER, subject, clock.now())
