"""Readings: all states of many levels at once, 250 items a call, kept on their mappings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from occ_app.catalog.models import Mapping
from occ_app.extensions import db
from occ_app.shopify.client import Client
from occ_app.sync.models import SyncState
from occ_app.sync.rules import READ_LAG, STATES, Reading, chunks

PER_CALL = 250
DELETED = "The variant was deleted in Shopify."


def living_states(mapping_ids: Iterable[int] | None = None) -> list[SyncState]:
    """Sync states of living, enabled mappings with all that a run needs, in one statement; of these mappings, or of all."""
    ids = None if mapping_ids is None else list(mapping_ids)
    if ids == []:
        return []
    query = (
        select(SyncState)
        .join(Mapping, Mapping.id == SyncState.mapping_id)
        .where(Mapping.ended_at.is_(None), Mapping.sync_enabled)
        .options(
            joinedload(SyncState.mapping).options(
                joinedload(Mapping.item), joinedload(Mapping.variant), joinedload(Mapping.location)
            )
        )
        .order_by(SyncState.mapping_id)
        .execution_options(populate_existing=True)
    )
    if ids is not None:
        query = query.where(SyncState.mapping_id.in_(ids))
    return list(db.session.scalars(query))


def fetch(client: Client, states: Sequence[SyncState]) -> dict[int, Reading | str]:
    """A reading per mapping, or in words why there is none. One call per 250 items of a location."""
    by_location: dict[str, list[SyncState]] = defaultdict(list)
    for state in states:
        by_location[state.mapping.location.location_gid].append(state)
    found: dict[int, Reading | str] = {}
    for location_gid, there in by_location.items():
        for part in chunks(there, PER_CALL):
            ids = [state.mapping.variant.inventory_item_gid for state in part]
            answer = client.query("inventory_readings", {"ids": ids, "location": location_gid})
            for state, node in zip(part, answer.data["nodes"], strict=True):
                found[state.mapping_id] = _reading(node, answer.at)
    return found


def keep(state: SyncState, reading: Reading) -> None:
    """The mapping's last reading is this one, and its drift follows."""
    for name in STATES:
        setattr(state, f"read_{name}", getattr(reading, name))
    state.read_at = reading.read_at
    drift = reading.available - state.expected if state.expected is not None else 0
    if drift == 0:
        if reading.committed == state.booked_committed:
            state.drift_since, state.drift_looks = None, 0
        if state.target == state.expected:
            state.synced_at = reading.read_at
    state.drift = drift


def accept_drift(state: SyncState) -> int:
    """E is what Shopify has: the drift is in it from now on. Returns the drift.

    What was booked since the last reading moved Shopify and E alike, so E + drift is Shopify's number of now, not of then.
    """
    drift = state.drift
    state.expected, state.baseline_at = (state.expected or 0) + drift, state.read_at
    state.drift, state.drift_since, state.drift_looks = 0, None, 0
    return drift


def is_of_link(state: SyncState, reading: Reading) -> bool:
    """Whether a drift only says that the first reading of a link was old: Shopify's readings may lag, and it was to get our number whatever
    it had. So the link begins with this reading, unless Shopify's number has changed or been seen to agree since, or an order is on its way."""
    return (
        state.drift != 0
        and state.link_choice == "hub"
        and state.baseline_at is not None
        and reading.read_at < state.baseline_at + READ_LAG
        and (state.synced_at is None or state.synced_at < state.baseline_at)
        and (reading.changed_at is None or reading.changed_at < state.baseline_at)
        and reading.committed == state.booked_committed
    )


def last_of(state: SyncState) -> Reading | None:
    """The reading that the mapping keeps, if there was one."""
    if state.read_at is None:
        return None
    return Reading(**{name: getattr(state, f"read_{name}") for name in STATES}, read_at=state.read_at)


def _reading(node: dict[str, Any] | None, at: datetime) -> Reading | str:
    if not node:
        return DELETED
    level = node.get("inventoryLevel")
    if level is None:
        return "The item is not stocked at this location in Shopify."
    if not level["isActive"]:
        return "The location is switched off in Shopify, or the item is no longer stocked there."
    rows = {row["name"]: row for row in level["quantities"]}
    since = rows.get("available", {}).get("updatedAt")
    quantities = {name: rows[name]["quantity"] if name in rows else 0 for name in STATES}
    return Reading(**quantities, read_at=at, changed_at=datetime.fromisoformat(since) if since else None)
