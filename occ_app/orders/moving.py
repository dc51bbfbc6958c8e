"""The moves of an order line's steps, in units of the item: each has a source that names the line, the flow and the booking."""

from __future__ import annotations

from sqlalchemy import Select, select

from occ_app.catalog.models import PARTNER as PARTNER_GOODS
from occ_app.catalog.models import Item, Mapping
from occ_app.extensions import db
from occ_app.orders.models import OrderLine
from occ_app.orders.rules import LOST, RESTOCKED, RETURNED, SHIPPED, TAKEN, Step
from occ_app.stock import ledger, lots
from occ_app.stock.ledger import Move
from occ_app.stock.models import StockMove
from occ_app.stock.rules import BACKORDER, COMMITTED, CORRECTION, COUNTED, PARTNER, RELEASED, take
from occ_app.stock.rules import SHIPPED as SHIPPED_PLACE
from occ_app.sync.targets import mode_of, shop, today


def moves_of(line: OrderLine, mapping: Mapping, step: Step, booking: int) -> list[Move]:
    """The moves of one step, in units of the item, each with a source that names line, flow and booking."""
    units = abs(step.change) * line.units_per_variant
    source = f"order_line:{line.line_number}:{step.flow}:{booking}"
    if step.flow == TAKEN and step.change > 0:
        return _take_into(line, mapping, units, COMMITTED, source)
    if step.flow in (SHIPPED, LOST) and step.change > 0:
        to = SHIPPED_PLACE if step.flow == SHIPPED else CORRECTION
        return _leave_committed(
            line, mapping, units, to, "order_ship" if step.flow == SHIPPED else "order_loss", source
        )
    if (step.flow == RESTOCKED and step.change > 0) or (step.flow == TAKEN and step.change < 0):
        return _give_back(line, mapping, units, source)
    if step.flow == RETURNED and step.change > 0:
        return _from_outside(line, mapping, units, SHIPPED_PLACE, None, "order_return", source)
    if step.flow in (SHIPPED, LOST) and step.change < 0:
        origin = SHIPPED_PLACE if step.flow == SHIPPED else CORRECTION
        return _from_outside(
            line, mapping, units, origin, COMMITTED, "order_ship" if step.flow == SHIPPED else "order_loss", source
        )
    if step.flow == RETURNED:
        return _take_into(line, mapping, units, SHIPPED_PLACE, source)
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
        is_partners = is_partners_goods(mapping)
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
    is_partners = is_partners_goods(mapping)
    here_without_lot = dict(units_of_line(line, COMMITTED)).get(None, 0)  # the others of them may have left already
    if is_partners:
        from_short = min(units, line.from_partner, here_without_lot)
        line.from_partner -= from_short
    else:
        from_short = min(units, line.short, here_without_lot)
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
    for n, (lot_id, given) in enumerate(_committed_parts(line, mapping, units - from_short, skip_short=from_short)):
        moves.append(
            Move(
                mapping.item_id,
                lot_id,
                mapping.location_id,
                COMMITTED,
                _place_back(line, mapping, lot_id),
                given,
                "order_restock",
                f"{source}:{n}",
            )
        )
    return moves


def _from_outside(
    line: OrderLine, mapping: Mapping, units: int, origin: str, place: str | None, reason: str, source: str
) -> list[Move]:
    """Units of the line come back from a virtual place, into the lots they left by, the last to leave first; with no `place` for sale, if
    their lot may be sold."""
    moves: list[Move] = []
    for n, (lot_id, there) in enumerate(units_of_line(line, origin)):
        given = min(units, there)
        if given:
            units -= given
            moves.append(
                Move(
                    mapping.item_id,
                    lot_id,
                    mapping.location_id,
                    origin,
                    place or _place_back(line, mapping, lot_id),
                    given,
                    reason,
                    f"{source}:{n}",
                )
            )
    if units:  # it left before anybody counted, so no lot is known
        to = place or _place_back(line, mapping, None)
        moves.append(Move(mapping.item_id, None, mapping.location_id, origin, to, units, reason, f"{source}:old"))
    return moves


def _place_back(line: OrderLine, mapping: Mapping, lot_id: int | None) -> str:
    """Where units of the lot that the line gives back stand."""
    counted = COUNTED[mode_of(db.session.get_one(Item, mapping.item_id), shop())]
    usual = counted[-1] if counted else RELEASED
    if lot_id is None:
        return usual
    taken = _moves_of(line).where(StockMove.lot_id == lot_id, StockMove.to_place == COMMITTED)
    last = db.session.scalars(taken.order_by(StockMove.id.desc()).limit(1)).first()
    return lots.place_back(last, usual) if last is not None else usual


def _committed_parts(
    line: OrderLine, mapping: Mapping, units: int, skip_short: int = 0
) -> list[tuple[int | None, int]]:
    """(lot, units) of what the line has committed; what was moved by hand since is taken from what is committed of the item."""
    parts: list[tuple[int | None, int]] = []
    for lot_id, there in units_of_line(line, COMMITTED):
        if lot_id is None and skip_short:
            there -= min(there, skip_short)
        given = min(units, there)
        if given:
            parts.append((lot_id, given))
            units -= given
    if units:
        raise ValueError(f"line {line.line_gid} has {units} units fewer committed than its counters say")
    return parts


def units_of_line(line: OrderLine, place: str) -> list[tuple[int | None, int]]:
    """(lot, units) that the moves of this line have put to `place` and left there, lots with numbers first."""
    there: dict[int | None, int] = {}
    for move in db.session.scalars(_moves_of(line).order_by(StockMove.id)):
        if move.to_place == place:
            there[move.lot_id] = there.get(move.lot_id, 0) + move.quantity
        if move.from_place == place:
            there[move.lot_id] = there.get(move.lot_id, 0) - move.quantity
    return sorted(
        ((lot, units) for lot, units in there.items() if units > 0), key=lambda pair: (pair[0] is None, pair[0] or 0)
    )


def _moves_of(line: OrderLine) -> Select[tuple[StockMove]]:
    prefix = f"order_line:{line.line_number}:"
    return select(StockMove).where(StockMove.source.startswith(prefix, autoescape=True))


def is_partners_goods(mapping: Mapping) -> bool:
    """Whether a partner's stock is sold through the mapping."""
    return db.session.get_one(Item, mapping.item_id).kind == PARTNER_GOODS
