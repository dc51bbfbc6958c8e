"""Units sold without having been there: filled when goods come in, and told on the desk until then."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select

from occ_app import clock
from occ_app.catalog.models import Item, Mapping
from occ_app.extensions import db
from occ_app.orders.booking import ACTOR
from occ_app.orders.models import OrderLine
from occ_app.orders.moving import units_of_line
from occ_app.stock import ledger
from occ_app.stock.ledger import Move
from occ_app.stock.models import Balance
from occ_app.stock.rules import BACKORDER, COMMITTED, CORRECTION, COUNTED, Holding, take
from occ_app.stock.rules import SHIPPED as SHIPPED_PLACE
from occ_app.sync import desk
from occ_app.sync.targets import mode_of, shop, today


def fill(item_ids: set[int]) -> None:
    """Units that came in go to the lines that were sold short, oldest first, so that every order knows its lots."""
    short_items = db.session.scalars(
        select(Balance.item_id)
        .where(Balance.item_id.in_(item_ids), Balance.place == BACKORDER, Balance.quantity < 0)
        .distinct()
    )
    for item_id in list(short_items):
        _fill_item(item_id)


def _fill_item(item_id: int) -> None:
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
        moves = _fill_moves(line, mapping, parts)
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


def _fill_moves(line: OrderLine, mapping: Mapping, parts: Sequence[tuple[Holding, int]]) -> list[Move]:
    moves: list[Move] = []
    if not parts:
        return moves
    line.bookings += 1
    source = f"order_line:{line.line_number}:fill:{line.bookings}"
    open_at = {place: dict(units_of_line(line, place)).get(None, 0) for place in (COMMITTED, CORRECTION)}
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


def tell(item_ids: set[int]) -> None:
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
