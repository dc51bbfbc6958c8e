"""How many released units are promised to which channel. Rules that split by themselves build on `set_amounts`."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime

from occ_app.catalog.models import Item
from occ_app.errors import RuleError
from occ_app.stock import ledger
from occ_app.stock.ledger import Move
from occ_app.stock.lots import MOST_UNITS
from occ_app.stock.rules import CHANNELS, RELEASED, Holding, first_expiry_first, take


def amounts(item_id: int, location_id: int) -> tuple[dict[str, int], int]:
    """Channel -> units of the item promised to it at the location, every channel named; and released units that are still free."""
    held = ledger.holdings([item_id]).get((item_id, location_id), [])
    given = {channel: _sum(held, _place(channel)) for channel in CHANNELS}
    return given, _sum(held, RELEASED)


def set_amounts(
    item: Item, location_id: int, wanted: Mapping[str, int], *, today: date, actor: str, at: datetime
) -> None:
    """Each channel named in `wanted` has so many units, all of it or nothing; the others keep theirs.

    Given first expiry first out of what is released; taken back last expiry first. Raises RuleError where there is not enough.
    """
    for channel, units in wanted.items():
        if channel not in CHANNELS:
            raise RuleError(f"Give one of: {', '.join(CHANNELS)}.", field="channel")
        if not 0 <= units <= MOST_UNITS:
            raise RuleError(f"Give a whole number from 0 to {MOST_UNITS:,}.", field=channel)
    ledger.lock([item.id])
    held = ledger.holdings([item.id]).get((item.id, location_id), [])
    cause, moves = uuid.uuid4().hex[:12], list[Move]()
    free = [holding for holding in held if holding.place == RELEASED]
    for channel, units in sorted(wanted.items(), key=lambda pair: pair[1] - _sum(held, _place(pair[0]))):
        place = _place(channel)
        change = units - _sum(held, place)
        if change < 0:
            back = _last_expiry_first([h for h in held if h.place == place], -change)
            moves += _moves(item, location_id, back, place, RELEASED, f"{cause}:{channel}")
            free += [Holding(RELEASED, n, h.lot_id, h.expires_on, h.is_recalled) for h, n in back]
        elif change > 0:
            parts, missing = take(_merged(free), change, today)
            if missing:
                there = sum(holding.quantity for holding in first_expiry_first(free, today))
                raise RuleError(
                    f"{change:,} more for {channel}, but only {there:,} released units are free. Give {missing:,} fewer.",
                    field=channel,
                )
            moves += _moves(item, location_id, parts, RELEASED, place, f"{cause}:{channel}")
            free = _less(_merged(free), parts)
    ledger.book(moves, actor=actor, at=at)


def _place(channel: str) -> str:
    return f"allocated:{channel}"


def _sum(held: Iterable[Holding], place: str) -> int:
    return sum(holding.quantity for holding in held if holding.place == place)


def _last_expiry_first(held: Sequence[Holding], units: int) -> list[tuple[Holding, int]]:
    parts = []
    for holding in sorted(held, key=lambda h: (h.expires_on or date.max, h.lot_id or 0), reverse=True):
        given = min(holding.quantity, units)
        if given:
            parts.append((holding, given))
            units -= given
    return parts


def _merged(free: Iterable[Holding]) -> list[Holding]:
    """One holding a lot, so that what came back and what was there are taken together."""
    found: dict[int | None, Holding] = {}
    for h in free:
        before = found[h.lot_id].quantity if h.lot_id in found else 0
        found[h.lot_id] = Holding(RELEASED, h.quantity + before, h.lot_id, h.expires_on, h.is_recalled)
    return list(found.values())


def _less(free: Iterable[Holding], parts: Iterable[tuple[Holding, int]]) -> list[Holding]:
    gone = {holding.lot_id: units for holding, units in parts}
    return [Holding(RELEASED, h.quantity - gone.get(h.lot_id, 0), h.lot_id, h.expires_on, h.is_recalled) for h in free]


def _moves(
    item: Item, location_id: int, parts: Iterable[tuple[Holding, int]], from_place: str, to_place: str, cause: str
) -> list[Move]:
    return [
        Move(item.id, h.lot_id, location_id, from_place, to_place, units, "allocate", f"allocate:{item.id}:{cause}:{n}")
        for n, (h, units) in enumerate(parts)
    ]
