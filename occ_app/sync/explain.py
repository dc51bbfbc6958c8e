"""Every number explains itself: the equation of each mapping, as pages and `occ stock show --json` give it."""

from __future__ import annotations

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


def show(sku: str | None = None) -> list[dict[str, Any]]:
    """One object per living mapping (contract.md names its keys); an item without one has one with null variant and location."""
    query = select(Item).where(Item.kind != INGREDIENT, Item.archived_at.is_(None)).order_by(Item.sku)
    items = db.session.scalars(query.where(Item.sku == sku) if sku else query).all()
    states = _states([item.id for item in items])
    held = ledger.holdings(item.id for item in items)
    elsewhere = targets.beside(items)
    kinds = _open_kinds()
    default = pull.default_location()
    shown = []
    for item in items:
        own = [state for state in states if state.mapping.item_id == item.id]
        shown += [_mapped(state, held, elsewhere, kinds) for state in own]
        if not own:
            shown.append(_unmapped(item, held, elsewhere, default.id if default else 0))
    return shown


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
