"""Stock of a store: what changes it, and what each change is called in the level's history."""

from __future__ import annotations

from devshop.world import DevshopError, Level, Location, Store, Variant


def level(store: Store, variant: Variant, location: Location, *, create: bool = True) -> Level:
    """The level of a variant at a location; stocked there from now on if it was not."""
    key = (variant.item_id, location.id)
    if key not in store.levels:
        if not create:
            raise DevshopError(f"{variant.sku} is not stocked at {location.name}")
        store.levels[key] = Level(variant.item_id, location.id, updated_at=store.now())
    return store.levels[key]


def change(store: Store, found: Level, changes: dict[str, int], *, who: str, why: str) -> None:
    """Each named state has moved by its number; one line of history; a webhook when `available` moved."""
    for state, delta in changes.items():
        found.quantities[state] += delta
    found.updated_at = store.now()
    found.history.append(
        {
            "at": found.updated_at.isoformat(),
            "moment": store.world.clock.now(),
            "who": who,
            "why": why,
            "changes": changes,
        }
    )
    if changes.get("available"):
        store.emit("inventory_levels/update", found)


def set_available(store: Store, found: Level, available: int, *, who: str, why: str) -> None:
    """`available` is that number. Nothing is told when it was so already."""
    delta = available - found.quantities["available"]
    if delta:
        change(store, found, {"available": delta}, who=who, why=why)


def move(store: Store, found: Level, origin: str, to: str, quantity: int, *, who: str) -> None:
    """Units went from one state to another at the same location."""
    if quantity < 1 or origin == to or origin not in found.quantities or to not in found.quantities:
        raise DevshopError("give two different states and a quantity of 1 or more")
    change(store, found, {origin: -quantity, to: quantity}, who=who, why=f"{origin} to {to}")


def where_sold(store: Store, variant: Variant, quantity: int) -> Location:
    """The location that an order line takes from: the first active one that has enough, else that has any, else the first."""
    active = [location for location in store.locations.values() if location.is_active]
    if not active:
        raise DevshopError(f"{store.domain} has no active location")
    for least in (quantity, 1):
        for location in active:
            found = store.levels.get((variant.item_id, location.id))
            if found and found.quantities["available"] >= least:
                return location
    stocked = [location for location in active if (variant.item_id, location.id) in store.levels]
    return (stocked or active)[0]
