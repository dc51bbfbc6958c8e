"""Items, lots, mappings, ingredients and formulas as CSV, in and out. `KINDS` names them; all or nothing, within the caller's transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import joinedload

from occ_app.catalog import items as new_items
from occ_app.catalog import mapping as mappings
from occ_app.catalog import pull
from occ_app.catalog.models import (
    INGREDIENT,
    LONGEST_SHELF_LIFE,
    PARTNER,
    PRODUCT,
    SYNC_MODES,
    Item,
    Location,
    Mapping,
    Variant,
)
from occ_app.catalog.sheets import Line, day, read, take_all, whole, write
from occ_app.errors import RuleError
from occ_app.extensions import db
from occ_app.production import sheets as production
from occ_app.stock import allocations, channels, lots
from occ_app.stock.models import Balance, Lot
from occ_app.stock.rules import LOT_PLACES, OPENING, RELEASED
from occ_app.sync import link, targets
from occ_app.sync.models import SyncState

ITEMS = (
    "sku",
    "name",
    "unit",
    "shelf_life_days",
    "sync_mode",
    "safety_stock",
    "reorder_point",
    "target_stock",
    "lead_time_days",
)
LOTS = ("lot_number", "item_sku", "quantity", "place", "location_gid", "made_on", "expires_on")
ALLOCATIONS = ("item_sku", "channel", "quantity")
MAPPINGS = ("item_sku", "variant_gid", "variant_sku", "location_gid", "units_per_variant", "sync_enabled", "first_link")


@dataclass(frozen=True)
class Kind:
    """One kind of file: how it is taken in (returns how many lines) and put out."""

    take: Callable[[bytes, str, datetime], int]
    give: Callable[[], str]


def _take_items(data: bytes, actor: str, at: datetime) -> int:
    lines = read(data, ITEMS, ("sku", "name"))
    known = {item.sku: item for item in db.session.scalars(select(Item))}
    seen: set[str] = set()
    changed: list[Item] = []

    def take(line: Line) -> None:
        sku = _text(line, "sku", needed=True)
        if sku in seen:
            raise RuleError(f"The SKU {sku} stands twice in the file.")
        seen.add(sku)
        if sku in known:
            new_items.refuse_archived(known[sku])
        if sku in known and known[sku].kind == PARTNER:
            raise RuleError(
                f"{sku} are goods of a partner. Change them with the partner's goods; leave the line out here."
            )
        if sku in known and known[sku].kind != PRODUCT:
            raise RuleError(f"{sku} is an ingredient. Give the product another SKU, or import it with the ingredients.")
        values = _item_values(line)
        item = known.get(sku) or Item(sku=sku, created_at=at)
        for name, value in values.items():
            setattr(item, name, value)
        changed.append(item)

    with db.session.no_autoflush:
        take_all(lines, take)
    new_items.add_all(changed)
    targets.refresh([item.id for item in changed], "Items imported from a file")
    return len(lines)


def _item_values(line: Line) -> dict[str, object]:
    """Values of the columns that the file has; columns that it lacks stay as they are."""
    mode = line.cells.get("sync_mode", "")
    if mode and mode not in SYNC_MODES:
        raise RuleError(f"sync_mode is {mode!r}. Give one of {', '.join(SYNC_MODES)}, or nothing for the shop's.")
    values: dict[str, object] = {
        "name": _text(line, "name", needed=True),
        "unit": _text(line, "unit") or "piece",
        "shelf_life_days": whole(line, "shelf_life_days", least=1, most=LONGEST_SHELF_LIFE),
        "sync_mode": mode or None,
        "safety_stock": whole(line, "safety_stock", default=0),
        "reorder_point": whole(line, "reorder_point"),
        "target_stock": whole(line, "target_stock"),
        "lead_time_days": whole(line, "lead_time_days", most=3650),
    }
    return {name: value for name, value in values.items() if name in line.cells}


def _give_items() -> str:
    items = db.session.scalars(select(Item).where(Item.kind == PRODUCT, Item.archived_at.is_(None)).order_by(Item.sku))
    return write(ITEMS, ([getattr(item, name) for name in ITEMS] for item in items))


def _product(items: dict[str, Item], sku: str) -> Item:
    """The product of that SKU. Raises RuleError, also where the SKU is an ingredient's or that of a partner's goods."""
    item = items.get(sku)
    if item is None:
        raise RuleError(f"There is no item {sku!r}. Import items first.")
    if item.kind == PARTNER:
        raise RuleError(f"{sku} are goods of a partner: the partner keeps their stock. Leave the line out.")
    if item.kind == INGREDIENT:
        raise RuleError(f"There is no item {sku!r} among the products, it is an ingredient. Leave the line out.")
    new_items.refuse_archived(item)
    return item


def _take_lots(data: bytes, actor: str, at: datetime) -> int:
    lines = read(data, LOTS, ("lot_number", "item_sku", "quantity"))
    items = {item.sku: item for item in db.session.scalars(select(Item))}
    places = {place.location_gid: place for place in db.session.scalars(select(Location))}
    default = pull.default_location()
    today = targets.today(targets.shop())
    taken = lots.taken_numbers(line.cells["lot_number"] for line in lines)
    new: list[lots.NewLot] = []
    parts: dict[str, list[lots.NewLot]] = {}  # a lot may stand at several places: a line for each

    def take(line: Line) -> None:
        item = _product(items, line.cells["item_sku"])
        number = _text(line, "lot_number", needed=True)
        part = lots.check(
            item,
            whole(line, "quantity", least=1) or 0,
            location_id=_location(line, places, default).id,
            place=_place(line),
            lot_number=number,
            made_on=day(line, "made_on"),
            expires_on=day(line, "expires_on"),
            from_place=OPENING,
            today=today,
            at=at,
        )
        if number in taken:
            raise RuleError(lots.TAKEN.format(number))
        same = parts.setdefault(number, [])
        new.append(_part_of(same[0], same, part) if same else part)
        same.append(new[-1])

    take_all(lines, take)
    lots.make_all(new, actor=actor, at=at)
    return len(lines)


def _part_of(first: lots.NewLot, same: Sequence[lots.NewLot], part: lots.NewLot) -> lots.NewLot:
    """More units of the lot `first`, whose parts so far are `same`. Raises RuleError where they cannot be of that lot."""
    number = part.lot.lot_number
    if part.lot.item_id != first.lot.item_id:
        raise RuleError(f"{number} is another item's lot above. Give another number.")
    if (part.lot.made_on, part.lot.expires_on) != (first.lot.made_on, first.lot.expires_on):
        raise RuleError(f"{number} has other days above. One lot is made on one day and expires on one.")
    if any((other.location_id, other.place) == (part.location_id, part.place) for other in same):
        raise RuleError(f"{number} stands twice in the file at the same place. Add the units up in one line.")
    return replace(part, lot=first.lot)


def _place(line: Line) -> str:
    place = line.cells.get("place", "") or "released"
    if place not in LOT_PLACES:
        raise RuleError(f"place is {place!r}. Give one of {', '.join(LOT_PLACES)}.")
    return place


def _location(line: Line, places: dict[str, Location], default: Location | None) -> Location:
    gid = line.cells.get("location_gid", "")
    found = places.get(gid) if gid else default
    if found is None:
        raise RuleError(f"There is no location {gid!r}." if gid else "No default location is set. Give location_gid.")
    if not found.is_active:
        raise RuleError(f"The location {found.name} is switched off in Shopify.")
    return found


def _give_lots() -> str:
    query = (
        select(
            Lot.lot_number,
            Item.sku,
            Balance.quantity,
            Balance.place,
            Location.location_gid,
            Lot.made_on,
            Lot.expires_on,
        )
        .join(Balance, Balance.lot_id == Lot.id)
        .join(Item, Item.id == Lot.item_id)
        .join(Location, Location.id == Balance.location_id)
        .where(Item.kind == PRODUCT, Balance.place.in_(LOT_PLACES), Balance.quantity > 0)
        .order_by(Lot.lot_number, Balance.place)
    )
    return write(LOTS, db.session.execute(query))


def _take_mappings(data: bytes, actor: str, at: datetime) -> int:
    lines = read(data, MAPPINGS, ("item_sku",))
    items = {item.sku: item for item in db.session.scalars(select(Item))}
    places = {place.location_gid: place for place in db.session.scalars(select(Location))}
    default = pull.default_location()
    variants = _variants(lines)
    living = mappings.living_of({variant.id for named in variants.values() for variant in named})
    seen: set[tuple[int, int]] = set()
    found: dict[int, Mapping] = {}  # by line number
    new: list[Mapping] = []

    def take(line: Line) -> None:
        item = items.get(line.cells["item_sku"])
        if item is None or item.kind != PARTNER:
            item = _product(items, line.cells["item_sku"])
        variant, location = _variant(line, variants), _location(line, places, default)
        if (variant.id, location.id) in seen:
            raise RuleError(
                f"The variant {variant.sku or variant.variant_gid} stands twice in the file at {location.name}."
            )
        seen.add((variant.id, location.id))
        existing = living.get((variant.id, location.id))
        units = _units(line, existing)
        if existing is not None and existing.item_id == item.id and existing.units_per_variant != units:
            raise RuleError(
                f"{variant.full_title} sells {existing.units_per_variant} units of {item.sku} at {location.name}, not {units}. "
                "Unmap it first, then map it anew."
            )
        if existing is None or existing.item_id != item.id:
            if item.kind == PARTNER:
                raise RuleError(
                    f"{item.sku} are goods of a partner: they are mapped when they are imported. Leave the line out."
                )
            existing = mappings.check(item, variant, location, existing, units_per_variant=units, at=at)
            new.append(existing)
        _choice(line), _yes(line, "sync_enabled")
        found[line.number] = existing

    take_all(lines, take)
    mappings.make_all(new)
    states = {state.mapping_id: state for state in db.session.scalars(_states(found.values()))}
    take_all(lines, lambda line: _apply(line, states[found[line.number].id], at))
    return len(lines)


def _states(of: Iterable[Mapping]) -> Select[tuple[SyncState]]:
    wanted = SyncState.mapping_id.in_([mapping.id for mapping in of])
    return select(SyncState).where(wanted).options(joinedload(SyncState.mapping))


def _units(line: Line, existing: Mapping | None) -> int:
    """Units per variant as the line says; a file without that column changes none, and a new mapping has 1."""
    if "units_per_variant" not in line.cells and existing is not None:
        return existing.units_per_variant
    return whole(line, "units_per_variant", least=1, most=mappings.MOST_UNITS_PER_VARIANT, default=1) or 1


def _apply(line: Line, state: SyncState, at: datetime) -> None:
    """The mapping is switched as its line says (without that column, or with an empty cell, it is not), and its first link ends as it says."""
    if line.cells.get("sync_enabled"):
        link.switch(state.mapping, _yes(line, "sync_enabled"), at)
    choice = _choice(line)
    if choice and state.expected is None:
        link.choose(state, choice, at)


def _choice(line: Line) -> str:
    choice = line.cells.get("first_link", "")
    if choice and choice not in link.CHOICES:
        raise RuleError(f"first_link is {choice!r}. Give hub, shopify, or nothing.")
    return choice


def _variants(lines: Sequence[Line]) -> dict[str, list[Variant]]:
    """Living variants by gid and by SKU, those that the lines name."""
    gids = {line.cells.get("variant_gid", "") for line in lines}
    skus = {line.cells.get("variant_sku", "") for line in lines}
    query = select(Variant).where(
        Variant.deleted_at.is_(None), Variant.variant_gid.in_(gids) | Variant.sku.in_(skus - {""})
    )
    found: dict[str, list[Variant]] = {}
    for variant in db.session.scalars(query):
        found.setdefault(variant.variant_gid, []).append(variant)
        found.setdefault(f"sku:{variant.sku}", []).append(variant)
    return found


def _variant(line: Line, variants: dict[str, list[Variant]]) -> Variant:
    gid, sku = line.cells.get("variant_gid", ""), line.cells.get("variant_sku", "")
    if not gid and not sku:
        raise RuleError("Give variant_gid or variant_sku.")
    found = variants.get(gid) if gid else variants.get(f"sku:{sku}")
    if not found:
        raise RuleError(f"Shopify has no variant {gid or sku!r}, or it has not been pulled yet.")
    if len(found) > 1:
        raise RuleError(f"{len(found)} variants have the SKU {sku!r}. Give variant_gid.")
    if gid and sku and found[0].sku != sku:
        raise RuleError(f"{gid} has the SKU {found[0].sku!r}, not {sku!r}.")
    return found[0]


def _give_mappings() -> str:
    query = select(Mapping).where(Mapping.ended_at.is_(None)).order_by(Mapping.id)
    query = query.options(joinedload(Mapping.item), joinedload(Mapping.variant), joinedload(Mapping.location))
    rows = (
        (
            m.item.sku,
            m.variant.variant_gid,
            m.variant.sku,
            m.location.location_gid,
            m.units_per_variant,
            _no_or_yes(m.sync_enabled),
            "",
        )
        for m in db.session.scalars(query)
    )
    return write(MAPPINGS, rows)


def _no_or_yes(value: bool) -> str:
    return "true" if value else "false"


def _yes(line: Line, column: str) -> bool:
    text = line.cells.get(column, "").lower()
    if text not in ("", "true", "false", "yes", "no", "1", "0"):
        raise RuleError(f"{column} is {text!r}. Give true or false.")
    return text in ("", "true", "yes", "1")


def _text(line: Line, column: str, *, needed: bool = False) -> str:
    text = line.cells.get(column, "")
    if needed and not text:
        raise RuleError(f"{column} is empty.")
    return text


def _take_allocations(data: bytes, actor: str, at: datetime) -> int:
    """Each named channel has so many units of the item, at the default location; channels that are not named keep theirs."""
    lines = read(data, ALLOCATIONS, ALLOCATIONS)
    named = {line.cells["item_sku"] for line in lines}
    query = select(Item).where(Item.sku.in_(named))
    items = {item.sku: item for item in db.session.scalars(query)}
    known, place = channels.names(), pull.default_location()
    if place is None:
        raise RuleError("No location is set yet. It comes with the first pull of your store; try again in a minute.")
    wanted: dict[str, dict[str, int]] = {}
    first: dict[str, Line] = {}

    def look(line: Line) -> None:
        sku, channel = line.cells["item_sku"], line.cells["channel"]
        _product(items, sku)
        if channel not in known:
            raise RuleError(f"channel is {channel!r}. Give one of {', '.join(known)}.")
        mine = wanted.setdefault(sku, {})
        if channel in mine:
            raise RuleError(f"{sku} has {channel} twice in the file.")
        units = whole(line, "quantity", most=lots.MOST_UNITS)
        if units is None:
            raise RuleError("quantity is empty.")
        mine[channel] = units
        first.setdefault(sku, line)

    take_all(lines, look)
    today = targets.today(targets.shop())
    facts = {"today": today, "actor": actor, "at": at, "cause": "csv"}
    take_all(
        [first[sku] for sku in wanted],
        lambda line: _set_amounts(items[line.cells["item_sku"]], place.id, wanted[line.cells["item_sku"]], facts),
    )
    return len(lines)


def _set_amounts(item: Item, location_id: int, wanted: dict[str, int], facts: dict[str, Any]) -> None:
    allocations.set_amounts(item, location_id, wanted, **facts)


def _give_allocations() -> str:
    place = pull.default_location()
    items = {
        item.id: item.sku for item in db.session.scalars(select(Item).where(Item.kind == PRODUCT).order_by(Item.sku))
    }
    given = allocations.amounts_of(list(items), place.id) if place else {}
    rows = (
        (sku, channel, units)
        for item_id, sku in items.items()
        for channel, units in given.get(item_id, {}).items()
        if units and channel != RELEASED
    )
    return write(ALLOCATIONS, rows)


KINDS = {
    "items": Kind(_take_items, _give_items),
    "ingredients": Kind(production.take_ingredients, production.give_ingredients),
    "formulas": Kind(production.take_formulas, production.give_formulas),
    "lots": Kind(_take_lots, _give_lots),
    "mappings": Kind(_take_mappings, _give_mappings),
    "allocations": Kind(_take_allocations, _give_allocations),
}
