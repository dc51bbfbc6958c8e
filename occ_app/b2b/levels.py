"""What wholesale and the webshop may each sell of an item: `b2b_stock` and `b2c_stock`, now and as it changed.

Of a split item these are the allocations of wholesale and of Shopify; of one in the pool both are the pool. Both are of the location that
wholesale orders are taken from, in units of the item, never below zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import exists, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert

from occ_app import clock
from occ_app.b2b.models import ApiToken, Endpoint, Level, WholesaleOrder
from occ_app.catalog import pull
from occ_app.catalog.models import PRODUCT, Item, Location, Mapping
from occ_app.errors import RuleError
from occ_app.extensions import current_shop_id, db
from occ_app.stock import ledger
from occ_app.stock.allocations import place_of
from occ_app.stock.rules import COUNTED, Holding, sellable
from occ_app.sync import targets
from occ_app.sync.explain import Claims
from occ_app.sync.models import PARKED, SyncState
from occ_app.sync.targets import Held

WHOLESALE = place_of("wholesale")
NO_LOCATION = "No location is set yet. It comes with the first pull of your store; try again in a minute."
AT_ONCE = 2_000  # items
_listeners: list[Callable[[Sequence[Level]], None]] = []


class NoLocationError(RuleError):
    """No location is known yet. That passes by itself."""


@dataclass(frozen=True)
class Stock:
    """What may be sold of an item. `wholesale`: units of wholesale's own; `pool`: what the webshop and, unless split, wholesale share."""

    is_split: bool
    wholesale: int
    pool: int

    @property
    def b2b(self) -> int:
        """Units that wholesale may sell."""
        return self.wholesale + (0 if self.is_split else max(0, self.pool))

    @property
    def b2c(self) -> int:
        """Units that the webshop may sell."""
        return max(0, self.pool)


@dataclass(frozen=True)
class Standing:
    """How an item stands with Shopify: whether it is synced, when the two last agreed, and why not."""

    is_enabled: bool
    synced_at: datetime | None
    error: str | None


def after_change(listener: Callable[[Sequence[Level]], None]) -> None:
    """`listener` is called with levels that changed, within the transaction."""
    if listener not in _listeners:
        _listeners.append(listener)


def location() -> Location:
    """Where wholesale orders are taken from: the shop's default location. Raises NoLocationError."""
    place = pull.default_location()
    if place is None:
        raise NoLocationError(NO_LOCATION)
    return place


def stock_of(item: Item, held: Sequence[Holding]) -> Stock:
    """What may be sold of the item, from what is there."""
    of = targets.shop()
    mode = targets.mode_of(item, of)
    pool = sellable(targets.equation(item, held, of, mode))
    return Stock(mode == "allocation", _good(held, (WHOLESALE,)), pool)


def _good(held: Iterable[Holding], places: Sequence[str]) -> int:
    day = targets.today(targets.shop())
    return sum(h.quantity for h in held if h.place in places and not h.is_recalled and not h.is_expired(day))


def pool_places(item: Item) -> tuple[str, ...]:
    """The places whose units the webshop sells."""
    return COUNTED[targets.mode_of(item, targets.shop())]


def of_items(items: Iterable[Item], held: Held | None = None) -> dict[int, Stock]:
    """Item id -> what may be sold of it now. Two statements, however many items; one where the caller has read what is `held`."""
    wanted = list(items)
    place = pull.default_location()
    if held is None:
        held = ledger.holdings([item.id for item in wanted]) if place else {}
    return {item.id: stock_of(item, held.get((item.id, place.id), []) if place else []) for item in wanted}


def claims_of(items: Iterable[Item]) -> dict[tuple[int, int], Claims]:
    """(item id, location id) -> who may sell how much there. Wholesale orders are taken from the default location alone."""
    wanted = {item.id: item for item in items if item.kind == PRODUCT}
    place = pull.default_location()
    held = ledger.holdings(wanted)
    places = {*held, *((item_id, place.id) for item_id in wanted if place)}
    found = {}
    for item_id, location_id in sorted(places):
        now = stock_of(wanted[item_id], held.get((item_id, location_id), []))
        b2b = now.b2b if place and location_id == place.id else 0
        found[item_id, location_id] = Claims(b2b, now.b2c, now.is_split)
    return found


def channels_of(items: Iterable[Item]) -> dict[int, dict[str, int]]:
    """Item id -> channel -> units allocated to it."""
    from occ_app.stock import allocations

    place = pull.default_location()
    return allocations.amounts_of([item.id for item in items], place.id) if place else {}


def standing_of(item_ids: Iterable[int]) -> dict[int, Standing]:
    """Item id -> how it stands with Shopify; items without a mapping are left out."""
    query = (
        select(Mapping.item_id, Mapping.sync_enabled, SyncState.synced_at, SyncState.state, SyncState.cause)
        .join(SyncState, SyncState.mapping_id == Mapping.id)
        .where(Mapping.item_id.in_(list(item_ids)), Mapping.ended_at.is_(None))
        .order_by(Mapping.id)
    )
    found: dict[int, Standing] = {}
    for item_id, enabled, synced_at, state, cause in db.session.execute(query):
        before = found.get(item_id, Standing(False, None, None))
        latest = max(filter(None, (before.synced_at, synced_at)), default=None)
        error = before.error or (cause or "Shopify refused it." if state == PARKED else None)
        found[item_id] = Standing(before.is_enabled or enabled, latest, error)
    return found


def refresh(item_ids: Iterable[int] | None, held: Held | None = None) -> None:
    """The levels of these items (None: of all) are right; whoever listens has been told which changed. Nothing where nobody uses them."""
    if not _is_used():
        return
    query = select(Item).where(Item.kind == PRODUCT, Item.archived_at.is_(None)).order_by(Item.id)
    if item_ids is not None:
        _refresh(db.session.scalars(query.where(Item.id.in_(sorted(set(item_ids))))).all(), held)
        return
    last = 0
    while items := db.session.scalars(query.where(Item.id > last).limit(AT_ONCE)).all():
        last = items[-1].id
        _refresh(items)


def _refresh(items: Sequence[Item], held: Held | None = None) -> None:
    before = {level.item_id: level for level in _levels([item.id for item in items])}
    now = of_items(items, held)
    changed = [item for item in items if _differs(before.get(item.id), now[item.id])]
    if changed and held is None:  # nobody has locked them yet, and what is written must still be so
        ledger.lock(item.id for item in changed)
        now = of_items(changed)
    if changed:
        levels = _write({item.id: now[item.id] for item in changed})
        for listener in _listeners:
            listener(levels)


def _levels(item_ids: Sequence[int]) -> Sequence[Level]:
    query = select(Level).where(Level.item_id.in_(item_ids))
    return db.session.scalars(query.execution_options(populate_existing=True)).all()


def _differs(level: Level | None, stock: Stock) -> bool:
    return level is None or (level.b2b_stock, level.b2c_stock, level.is_split) != (stock.b2b, stock.b2c, stock.is_split)


def _write(changed: dict[int, Stock]) -> Sequence[Level]:
    """The levels are so. Returns them as they were written."""
    shop_id, at = current_shop_id(), clock.now()
    statement = insert(Level)
    numbers = ("b2b_stock", "b2c_stock", "is_split", "version", "changed_at")
    again = {name: getattr(statement.excluded, name) for name in numbers}
    rows = [
        {"shop_id": shop_id, "item_id": item_id, "b2b_stock": stock.b2b, "b2c_stock": stock.b2c}
        | {"is_split": stock.is_split, "version": None, "changed_at": at}
        for item_id, stock in sorted(changed.items())
    ]
    db.session.execute(statement.on_conflict_do_update(index_elements=["item_id"], set_=again), rows)
    return [Level(**row) for row in rows]


def _is_used() -> bool:
    """Whether anybody reads levels: there is a token, an endpoint, or a wholesale order."""
    used = (exists(select(model.id)) for model in (ApiToken, Endpoint, WholesaleOrder))
    return bool(db.session.scalar(select(or_(*used))))


def number_changes() -> int:
    """Every change that is committed has a number, in an order in which a reader who goes on from a number misses none. Commits.

    Returns the highest number that was ever given.

    Numbers are given here, one reader at a time, and not where the change is made: two changes may end in another order than they began.
    """
    shop_id = current_shop_id()
    db.session.execute(text("SELECT pg_advisory_xact_lock(hashtext('b2b levels'), :shop)"), {"shop": shop_id})
    waiting = select(Level.item_id).where(Level.version.is_(None)).order_by(Level.changed_at, Level.item_id)
    ids = db.session.scalars(waiting.with_for_update(skip_locked=True)).all()
    for item_id in ids:
        number = update(Level).where(Level.item_id == item_id).values(version=func.nextval("b2b_level_version"))
        db.session.execute(number.execution_options(synchronize_session=False))
    db.session.commit()
    return db.session.scalar(text("SELECT last_value FROM b2b_level_version")) or 0


def changes(version: int, limit: int) -> Sequence[Level]:
    """Levels whose last change has a number above `version`, in the order of the numbers."""
    query = select(Level).where(Level.version > version).order_by(Level.version)
    return db.session.scalars(query.limit(limit)).all()
