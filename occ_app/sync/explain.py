"""Every number explains itself: the equation of each mapping, as pages and `occ stock show --json` give it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from occ_app.catalog import pull
from occ_app.catalog.models import INGREDIENT, Item, Mapping
from occ_app.extensions import db
from occ_app.stock import ledger
from occ_app.stock.rules import sellable, target
from occ_app.sync import readings, targets
from occ_app.sync.models import SyncException, SyncState
from occ_app.sync.rules import STATES

ClaimsSource = Callable[[Sequence[Item]], dict[tuple[int, int], "Claims"]]
_sources: list[ClaimsSource] = []


@dataclass(frozen=True)
class Claims:
    """What wholesale and the webshop may each sell of an item at a location, in its units; the same units unless `is_split`."""

    b2b: int
    b2c: int
    is_split: bool


def claims_come_from(source: ClaimsSource) -> None:
    """`source` knows the claims of items: (item id, location id) -> claims, for each location where wholesale or stock is."""
    _sources[:] = [source]


def claims_of(items: Sequence[Item]) -> dict[tuple[int, int], Claims]:
    """(item id, location id) -> who may sell how much there; a fixed number of statements."""
    return _sources[0](items) if _sources else {}


def show(sku: str | None = None) -> list[dict[str, Any]]:
    """One object per living mapping; an item without one has one with null variant and location.

    The keys are a promise to other programs: new ones come at the end.
    """
    query = select(Item).where(Item.kind != INGREDIENT, Item.archived_at.is_(None)).order_by(Item.sku)
    items = db.session.scalars(query.where(Item.sku == sku) if sku else query).all()
    states = _states([item.id for item in items])
    held = ledger.holdings(item.id for item in items)
    elsewhere = targets.beside(items)
    kinds = _open_kinds()
    default = pull.default_location()
    claims = claims_of(items)
    by_item: dict[int, list[SyncState]] = {}
    for state in states:
        by_item.setdefault(state.mapping.item_id, []).append(state)
    shown = []
    for item in items:
        for state in by_item.get(item.id, ()):
            row = _mapped(state, held, elsewhere, kinds)
            shown.append(row | _claimed(claims, item, state.mapping.location_id, row["sellable"]))
        if item.id not in by_item:
            place_id = default.id if default else 0
            row = _unmapped(item, held, elsewhere, place_id)
            shown.append(row | _claimed(claims, item, place_id, row["sellable"]))
    return shown


def _claimed(claims: dict[tuple[int, int], Claims], item: Item, location_id: int, units: int) -> dict[str, int]:
    """Where wholesale takes nothing, the webshop has all."""
    of = claims.get((item.id, location_id), Claims(0, max(0, units), False))
    return {"b2b_stock": of.b2b, "b2c_stock": of.b2c}


def _mapped(
    state: SyncState,
    held: dict[tuple[int, int], Any],
    elsewhere: dict[tuple[int, int], Any],
    kinds: dict[int, list[str]],
) -> dict[str, Any]:
    mapping, of = state.mapping, targets.shop()
    key = (mapping.item_id, mapping.location_id)
    equation = targets.equation(mapping.item, held.get(key, []), of, beside=elsewhere.get(key, []))
    units = sellable(equation)
    reading = readings.last_of(state)
    return {
        "item_sku": mapping.item.sku,
        "variant_gid": mapping.variant.variant_gid,
        "location_gid": mapping.location.location_gid,
        "units_per_variant": mapping.units_per_variant,
        "mode": targets.mode_of(mapping.item, of),
        "state": state.state if mapping.sync_enabled else "off",
        "cause": state.cause,
        "sellable": units,
        "target": target([(units, mapping.units_per_variant)]),
        "expected": state.expected,
        "drift": state.drift if state.expected is not None else None,
        "reading": {name: getattr(reading, name) for name in STATES} | {"read_at": reading.read_at.isoformat()}
        if reading
        else None,
        "terms": [{"name": term.name, "quantity": term.quantity} for term in equation],
        "open_exceptions": kinds.get(mapping.id, []),
    }


def _unmapped(
    item: Item, held: dict[tuple[int, int], Any], elsewhere: dict[tuple[int, int], Any], location_id: int
) -> dict[str, Any]:
    of = targets.shop()
    key = (item.id, location_id)
    equation = targets.equation(item, held.get(key, []), of, beside=elsewhere.get(key, []))
    units = sellable(equation)
    nothing = dict.fromkeys(
        ("variant_gid", "location_gid", "units_per_variant", "cause", "expected", "drift", "reading")
    )
    return {
        "item_sku": item.sku,
        **nothing,
        "mode": targets.mode_of(item, of),
        "state": "off",
        "sellable": units,
        "target": units,
        "terms": [{"name": term.name, "quantity": term.quantity} for term in equation],
        "open_exceptions": [],
    }


def _states(item_ids: list[int]) -> list[SyncState]:
    query = (
        select(SyncState)
        .join(Mapping, Mapping.id == SyncState.mapping_id)
        .where(Mapping.ended_at.is_(None), Mapping.item_id.in_(item_ids))
        .options(
            joinedload(SyncState.mapping).options(
                joinedload(Mapping.item), joinedload(Mapping.variant), joinedload(Mapping.location)
            )
        )
        .order_by(SyncState.mapping_id)
    )
    return list(db.session.scalars(query))


def _open_kinds() -> dict[int, list[str]]:
    query = select(SyncException.mapping_id, SyncException.kind).where(
        SyncException.settled_at.is_(None), SyncException.mapping_id.is_not(None)
    )
    found: dict[int, list[str]] = {}
    for mapping_id, kind in db.session.execute(query):
        found.setdefault(mapping_id, []).append(kind)
    return found
