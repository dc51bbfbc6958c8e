"""How many released units are promised to which channel. Rules that split by themselves build on `set_amounts`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime

from occ_app.catalog.models import Item
from occ_app.errors import RuleError
from occ_app.extensions import db
from occ_app.stock import channels, ledger
from occ_app.stock.channel_models import AllocationChange
from occ_app.stock.ledger import Move
from occ_app.stock.lots import MOST_UNITS
from occ_app.stock.rules import RELEASED, Holding, first_expiry_first, take


def amounts(item_id: int, location_id: int) -> tuple[dict[str, int], int]:
    """Channel -> units of the item promised to it at the location, every channel named; and released units that are still free."""
    held = ledger.holdings([item_id]).get((item_id, location_id), [])
    given = {channel: _sum(held, place_of(channel)) for channel in channels.names()}
    return given, _sum(held, RELEASED)


def amounts_of(item_ids: Iterable[int], location_id: int) -> dict[int, dict[str, int]]:
    """Item id -> channel -> units there; `released` names what is still free. Two statements, however many items."""
    held = ledger.holdings(item_ids)
    places = {RELEASED: RELEASED} | {channel: place_of(channel) for channel in channels.names()}
    return {
        item_id: {name: _sum(there, place) for name, place in places.items()}
        for (item_id, location), there in held.items()
        if location == location_id
    }


def set_amounts(
    item: Item,
    location_id: int,
    wanted: Mapping[str, int],
    *,
    today: date,
    actor: str,
    at: datetime,
    cause: str = "moved",
    note: str = "",
    undoes: AllocationChange | None = None,
) -> AllocationChange | None:
    """Each channel named in `wanted` has so many units, all of it or nothing; the others keep theirs. None: they had them already.

    Given first expiry first out of what is released; taken back last expiry first. Raises RuleError where there is not enough.
    """
    known = channels.names()
    for channel, units in wanted.items():
        if channel not in known:
            raise RuleError(f"Give one of: {', '.join(known)}.", field="channel")
        if not 0 <= units <= MOST_UNITS:
            raise RuleError(f"Give a whole number from 0 to {MOST_UNITS:,}.", field=channel)
    ledger.lock([item.id])
    held = ledger.holdings([item.id]).get((item.id, location_id), [])
    has = {channel: _sum(held, place_of(channel)) for channel in wanted}
    changes = {channel: units - has[channel] for channel, units in wanted.items() if units != has[channel]}
    if not changes:
        return None
    row = AllocationChange(item_id=item.id, location_id=location_id, cause=cause, note=note, actor=actor, changed_at=at)
    row.before, row.after = {c: has[c] for c in changes}, {c: wanted[c] for c in changes}
    row.undoes_id = undoes.id if undoes else None
    parts = _parts(held, changes, today)
    db.session.add(row)
    db.session.flush()
    ledger.book(_moves(item, location_id, parts, row.id), actor=actor, at=at)
    return row


Part = tuple[str, str, Holding, int]  # from place, to place, of which lot, units


def _parts(held: Sequence[Holding], changes: Mapping[str, int], today: date) -> list[Part]:
    """What goes where: what is taken back first, so that it can be given to others in the same breath."""
    free = [holding for holding in held if holding.place == RELEASED]
    parts: list[Part] = []
    for channel, change in sorted(changes.items(), key=lambda pair: pair[1]):
        place = place_of(channel)
        if change < 0:
            back = _last_expiry_first([h for h in held if h.place == place], -change)
            parts += [(place, RELEASED, holding, units) for holding, units in back]
            free += [Holding(RELEASED, n, h.lot_id, h.expires_on, h.is_recalled) for h, n in back]
            continue
        given, missing = take(_merged(free), change, today)
        if missing:
            there = sum(holding.quantity for holding in first_expiry_first(_merged(free), today))
            raise RuleError(
                f"{change:,} more for {channel}, but only {there:,} released units are free. Give {missing:,} fewer.",
                field=channel,
            )
        parts += [(RELEASED, place, holding, units) for holding, units in given]
        free = _less(_merged(free), given)
    return parts


def place_of(channel: str) -> str:
    """Where units promised to the channel are."""
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


def _moves(item: Item, location_id: int, parts: Iterable[Part], change_id: int) -> list[Move]:
    source = f"allocate:{item.id}:{change_id}"
    return [
        Move(item.id, h.lot_id, location_id, from_place, to_place, units, "allocate", f"{source}:{n}")
        for n, (from_place, to_place, h, units) in enumerate(parts)
    ]
