"""Moves that make our books follow Shopify's number."""

from __future__ import annotations

from occ_app.catalog.models import Mapping
from occ_app.stock import ledger
from occ_app.stock.ledger import Move
from occ_app.stock.rules import BACKORDER, CORRECTION, COUNTED, take
from occ_app.sync.targets import mode_of, shop, today


def correction_moves(
    mapping: Mapping, units: int, *, source: str, reason: str, from_place: str = CORRECTION
) -> list[Move]:
    """Moves that change the units counted for the mapping's item at its location by `units`.

    A rise comes from `from_place`, without a lot; a fall is taken from lots first expiry first, and what is missing from `backorder`.
    """
    counted = COUNTED[mode_of(mapping.item, shop())]
    place = counted[-1]
    key = (mapping.item_id, mapping.location_id)
    if units > 0:
        return [Move(mapping.item_id, None, mapping.location_id, from_place, place, units, reason, f"{source}:0")]
    if units == 0:
        return []
    held = [holding for holding in ledger.holdings([mapping.item_id]).get(key, []) if holding.place in counted]
    parts, missing = take(held, -units, today(shop()))
    moves = [
        Move(
            mapping.item_id,
            holding.lot_id,
            mapping.location_id,
            holding.place,
            CORRECTION,
            given,
            reason,
            f"{source}:{n}",
        )
        for n, (holding, given) in enumerate(parts)
    ]
    if missing:
        moves.append(
            Move(
                mapping.item_id,
                None,
                mapping.location_id,
                BACKORDER,
                CORRECTION,
                missing,
                reason,
                f"{source}:{len(parts)}",
            )
        )
    return moves
