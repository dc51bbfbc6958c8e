"""What can happen to a shop: a plan is a list of steps, each with all that it needs, so that any of them can be left out.

A step names its subjects by number; one that finds nothing to act on does nothing. `do` returns what happened, in words, or None.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from devshop import inventory, oauth, orders, products
from devshop.faults import CallFault, Faults
from devshop.world import DevshopError, Location, Order, Variant
from occ_app import clock
from occ_app.catalog import mapping as mappings
from occ_app.catalog.models import Item, Mapping
from occ_app.catalog.models import Location as Place
from occ_app.catalog.models import Variant as KnownVariant
from occ_app.errors import RuleError
from occ_app.extensions import db
from occ_app.shops import settings
from occ_app.shops.models import Shop
from occ_app.stock import allocations
from occ_app.stock.models import Balance
from occ_app.stock.rules import LOT_PLACES
from occ_app.sync import approvals, settle, targets
from occ_app.sync.models import SyncException
from tests.simulation.rig import Meanwhile, Rig

ITEMS = ("BAR", "TIN")
SKUS = {"BAR": ("BAR", 1), "BOX": ("BAR", 6), "TIN": ("TIN", 1)}
PLACES = ("released", "released", "released", "in_review", "completed", "on_hold")
MODES = ("released", "released", "completed", "packaged", "manual", "manual", "allocation", "none")
POPUP = "Pop-up stand"


@dataclass(frozen=True)
class Shape:
    """How a seed's shop begins."""

    start: Any
    time_zone: str
    drift_rule: str
    stocks: tuple[int, int]
    fails_alone: bool
    first_link: str
    guard_units: int = 1_000_000
    has_popup: bool = False  # tins are sold at a second location too


@dataclass(frozen=True)
class Step:
    """One thing that happens, with its numbers."""

    kind: str
    args: tuple[Any, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind}{self.args}"


@dataclass
class Life:
    """A shop's life while it is simulated: the rig, and what the story has told so far."""

    rig: Rig
    shape: Shape
    story: list[str] = field(default_factory=list)
    # (SKU, location's number) -> (when, change made in Shopify by hand)
    hands: dict[tuple[str, int], list[tuple[datetime, int]]] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    done: set[str] = field(default_factory=set)  # kinds of steps that came

    @property
    def bench(self) -> Any:
        return self.rig.bench

    @property
    def store(self) -> Any:
        return self.rig.bench.store

    @property
    def popup(self) -> Location:
        """The second location."""
        return next(place for place in self.store.locations.values() if place.name == POPUP)

    def place_of(self, sku: str, number: int) -> Location:
        """A location at which the SKU is mapped."""
        return self.popup if self.shape.has_popup and sku == "TIN" and number % 2 else self.bench.place

    def variant(self, number: int) -> Variant | None:
        """A variant that Shopify still has."""
        found = [v for v in self.store.variants.values() if v.sku in SKUS]
        return found[number % len(found)] if found else None

    def order(self, number: int) -> Order | None:
        """One of the last orders that is not cancelled."""
        found = [order for order in self.store.orders.values() if not order.cancelled_at][-6:]
        return found[number % len(found)] if found else None

    def tell(self, words: str) -> None:
        """The story goes on."""
        self.story.append(f"{self.rig.time.now():%a %d %b %H:%M:%S}  {words}")


Do = Callable[..., str | None]
STEPS: dict[str, tuple[int, Callable[[Random], tuple[Any, ...]], Do]] = {}


def step(weight: int, make: Callable[[Random], tuple[Any, ...]]) -> Callable[[Do], Do]:
    """Registers what a kind of step does, how often it comes, and how its numbers are drawn."""

    def register(function: Do) -> Do:
        STEPS[function.__name__] = (weight, make, function)
        return function

    return register


def draw(rng: Random) -> Step:
    """A step by chance."""
    kinds = list(STEPS)
    kind = rng.choices(kinds, [STEPS[name][0] for name in kinds])[0]
    return Step(kind, STEPS[kind][1](rng))


def do(life: Life, taken: Step) -> None:
    """The step happens. What the app or Shopify refuses, they refuse; what kills the process, kills it."""
    function = STEPS[taken.kind][2]
    life.done.add(taken.kind)

    def act() -> str | None:
        try:
            return function(life, *taken.args)
        except (RuleError, DevshopError) as error:
            db.session.rollback()
            return f"{taken}: refused, {error}"

    died = life.rig.kills
    words = life.rig.survive(act)
    if life.rig.kills > died:
        words = f"{taken}: the process dies in it"
    if words:
        life.tell(words)


# Stock ------------------------------------------------------------------------------------------------------------------------------


@step(8, lambda r: (r.randrange(2), r.choice(PLACES), r.choice((1, 2, 5, 6, 12, 30)), r.choice((None, None, 1, 1, 3))))
def lot_made(life: Life, item: int, place: str, quantity: int, expires_in: int | None) -> str:
    with life.bench.scope():
        shop = db.session.get_one(Shop, targets.shop().id)
        today = targets.today(shop)
    expires_on = today + timedelta(days=expires_in) if expires_in else None
    life.bench.lot(ITEMS[item], quantity, place, expires_on, where=life.place_of(ITEMS[item], quantity))
    return f"a lot of {quantity} {ITEMS[item]} stands at {place}" + (f", good until {expires_on}" if expires_on else "")


@step(
    12,
    lambda r: (
        r.randrange(99),
        r.choice(("released", "released", "on_hold", "on_hold", "in_review", "packaged", "scrap")),
        r.random(),
    ),
)
def lot_moved(life: Life, number: int, place: str, share: float) -> str | None:
    with life.bench.scope():
        movable = select(Balance.lot_id).where(
            Balance.lot_id.is_not(None), Balance.place.in_(LOT_PLACES), Balance.place != place, Balance.quantity > 0
        )
        lots = list(db.session.scalars(movable.distinct().order_by(Balance.lot_id.desc()).limit(5)))
    if not lots:
        return None
    quantity = None if share > 0.5 else 1 + int(share * 10)
    life.bench.move(lots[number % len(lots)], place, quantity)
    return f"{quantity or 'all'} of lot {lots[number % len(lots)]} go to {place}"


@step(3, lambda r: (r.choice(MODES), r.choice((None, 0, 1))))
def mode(life: Life, name: str, item: int | None) -> str:
    with life.bench.scope():
        if item is None:
            shop = db.session.get_one(Shop, targets.shop().id)
            settings.put(shop, "sync_mode", name)
            targets.refresh_all()
        else:
            found = db.session.scalars(select(Item).where(Item.sku == ITEMS[item])).one()
            found.sync_mode = name
            targets.refresh([found.id])
        db.session.commit()
    return f"sync mode {name} for {'the shop' if item is None else ITEMS[item]}"


@step(4, lambda r: (r.randrange(2), r.choice((0, 2, 5, 12))))
def allocated(life: Life, item: int, units: int) -> str:
    """Units are promised to Shopify; they count under the mode `allocation`, and no longer under the others."""
    with life.bench.scope():
        found = db.session.scalars(select(Item).where(Item.sku == ITEMS[item])).one()
        where = db.session.scalars(select(Place).where(Place.location_gid == life.bench.place.gid)).one()
        day, at = targets.today(db.session.get_one(Shop, targets.shop().id)), clock.now()
        allocations.set_amounts(found, where.id, {"shopify": units}, today=day, actor="somebody", at=at)
        db.session.commit()
    return f"{units} {ITEMS[item]} are allocated to Shopify"


@step(5, lambda r: (r.random() < 0.8,))
def answered(life: Life, yes: bool) -> str | None:
    """A person goes through the numbers that wait for approval."""
    with life.bench.scope():
        ids = [row.id for row in approvals.waiting()]
        if not ids:
            return None
        if yes:
            approvals.approve(ids, actor="somebody", at=clock.now())
        else:
            approvals.reject(ids, reason="not now", actor="somebody", at=clock.now())
        db.session.commit()
    return f"somebody {'approves' if yes else 'rejects'} what waits"


@step(2, lambda r: (r.randrange(2), r.choice((0, 1, 3))))
def safety(life: Life, item: int, units: int) -> str:
    with life.bench.scope():
        found = db.session.scalars(select(Item).where(Item.sku == ITEMS[item])).one()
        found.safety_stock = units
        targets.refresh([found.id])
        db.session.commit()
    return f"{units} {ITEMS[item]} are held back"


@step(6, lambda r: (r.randrange(3), r.choice((1, 6, 6))))
def mapped_anew(life: Life, number: int, wait: int) -> str | None:
    """The mapping ends and a new one begins, while goods sell."""
    sku = sorted(SKUS)[number]
    variant = next((v for v in life.store.variants.values() if v.sku == sku), None)
    if variant is None:
        return None
    item_sku, units = SKUS[sku]
    with life.bench.scope():
        query = select(Mapping).join(KnownVariant, KnownVariant.id == Mapping.variant_id).order_by(Mapping.id)
        query = query.options(joinedload(Mapping.location))
        living = db.session.scalars(query.where(Mapping.ended_at.is_(None), KnownVariant.sku == sku)).first()
        here = living is None or living.location.location_gid == life.bench.place.gid
        if living is not None:
            mappings.end(living, clock.now())
            db.session.commit()
    where = life.bench.place if here else life.popup
    life.hands.pop((sku, where.id), None)
    if wait == 1 and living is not None:
        return f"{sku} at {where.name} is unmapped"
    choice = life.shape.first_link if sku == "TIN" else "hub"
    life.bench.map(item_sku, choice, sku, units, where=where)
    return f"{sku} is mapped anew at {where.name}, {choice}"


# Orders -----------------------------------------------------------------------------------------------------------------------------


def _order(life: Life, lines: list[dict[str, Any]]) -> str:
    for row in lines:
        if life.shape.has_popup and row.get("sku") == "TIN" and row["quantity"] % 2:
            row["location_gid"] = life.popup.gid
    order = orders.create(life.store, {"lines": lines})
    words = ", ".join(f"{row['quantity']} {row.get('sku', 'without a product')}" for row in lines)
    return f"{order.name} is placed: {words}"


@step(22, lambda r: (r.randrange(9), r.choice((1, 1, 2, 3)), r.randrange(6)))
def sold(life: Life, number: int, quantity: int, form: int) -> str | None:
    variant = life.variant(number)
    if variant is None:
        return None
    lines: list[dict[str, Any]] = [{"sku": variant.sku, "quantity": quantity}]
    if form == 0:
        lines = [lines[0], {"sku": variant.sku, "quantity": 1}]
    if form == 1 and {"BAR", "BOX"} <= {v.sku for v in life.store.variants.values()}:
        lines = [{"sku": "BOX", "quantity": 1}, {"sku": "BAR", "quantity": quantity}]
    if form == 2:
        lines.append({"title": "Tip", "quantity": 1})
    return _order(life, lines)


@step(5, lambda r: (r.randrange(9), r.choice((1, 2))))
def sold_at_till(life: Life, number: int, quantity: int) -> str | None:
    """Sold and taken along: `committed` never shows it."""
    variant = life.variant(number)
    if variant is None:
        return None
    order = orders.create(life.store, {"lines": [{"sku": variant.sku, "quantity": quantity}]})
    orders.fulfil(life.store, order)
    return f"{order.name} is sold at the till: {quantity} {variant.sku}"


@step(5, lambda r: (r.randrange(9), r.choice((2, 3))))
def rush(life: Life, number: int, times: int) -> str | None:
    """Several people buy the last units at once."""
    variant = life.variant(number)
    if variant is None:
        return None
    left = max(1, life.bench.available(variant.sku))
    told = [_order(life, [{"sku": variant.sku, "quantity": left if n == 0 and left < 40 else 1}]) for n in range(times)]
    return "; ".join(told)


@step(6, lambda r: (r.randrange(9), r.randrange(9), r.choice((0, 1, 2, 4)), r.random() < 0.7))
def edited(life: Life, number: int, line: int, quantity: int, restock: bool) -> str | None:
    order = life.order(number)
    lines = [each for each in order.lines if each.variant and each.current_quantity > each.fulfilled] if order else []
    if order is None or not lines:
        return None
    row = lines[line % len(lines)]
    quantity = max(quantity, row.current_quantity - row.unfulfilled)
    orders.edit(life.store, order, [{"line_item_id": row.id, "quantity": quantity, "restock": restock}], [])
    return f"{order.name} is edited: {row.title} is now {quantity}{'' if restock else ', what left is not restocked'}"


@step(3, lambda r: (r.randrange(9), r.randrange(9)))
def line_added(life: Life, number: int, variant: int) -> str | None:
    order, found = life.order(number), life.variant(variant)
    if order is None or found is None:
        return None
    orders.edit(life.store, order, [], [{"sku": found.sku, "quantity": 1}])
    return f"1 {found.sku} is added to {order.name}"


@step(5, lambda r: (r.randrange(9), r.random() < 0.6))
def cancelled(life: Life, number: int, restock: bool) -> str | None:
    order = life.order(number)
    if order is None:
        return None
    orders.cancel(life.store, order, restock=restock)
    return f"{order.name} is cancelled{' and restocked' if restock else ''}"


@step(7, lambda r: (r.randrange(9), r.randrange(9), r.choice(("cancel", "return", "no_restock"))))
def refunded(life: Life, number: int, line: int, kind: str) -> str | None:
    order = life.order(number)
    lines = [each for each in order.lines if each.current_quantity] if order else []
    if order is None or not lines:
        return None
    row = lines[line % len(lines)]
    orders.refund(life.store, order, [{"line_item_id": row.id, "quantity": 1, "restock_type": kind}])
    return f"1 {row.title} of {order.name} is refunded, {kind}"


@step(9, lambda r: (r.randrange(9), r.random() < 0.5))
def shipped(life: Life, number: int, part: bool) -> str | None:
    order = life.order(number)
    open_lines = [each for each in order.lines if each.unfulfilled] if order else []
    if order is None or not open_lines:
        return None
    orders.fulfil(life.store, order, [{"line_item_id": open_lines[0].id, "quantity": 1}] if part else None)
    return f"{'1 unit' if part else 'all'} of {order.name} is shipped"


@step(1, lambda r: (r.randrange(9),))
def unshipped(life: Life, number: int) -> str | None:
    order = life.order(number)
    parcels = [each for each in order.fulfillments if each.status == "SUCCESS"] if order else []
    if order is None or not parcels or order.refunds:
        return None
    orders.cancel_fulfillment(life.store, order, parcels[-1].id)
    return f"a parcel of {order.name} did not leave after all"


# Shopify ----------------------------------------------------------------------------------------------------------------------------


def _by_hand(life: Life, sku: str, where: Location, change: int) -> None:
    life.hands.setdefault((sku, where.id), []).append((life.rig.time.now(), change))


@step(4, lambda r: (r.randrange(9), r.choice((-3, -1, 1, 2, 5))))
def edited_by_hand(life: Life, number: int, change: int) -> str | None:
    variant = life.variant(number)
    if variant is None:
        return None
    where = life.place_of(variant.sku, number)
    level = life.bench.level(variant.sku, where)
    _by_hand(life, variant.sku, where, change)
    inventory.set_available(life.store, level, level.quantities["available"] + change, who="admin", why="edit")
    return f"somebody types {level.quantities['available']} for {variant.sku} at {where.name} in Shopify ({change:+d})"


@step(2, lambda r: (r.randrange(9),))
def damaged(life: Life, number: int) -> str | None:
    variant = life.variant(number)
    if variant is None:
        return None
    _by_hand(life, variant.sku, life.bench.place, -1)
    inventory.move(life.store, life.bench.level(variant.sku), "available", "damaged", 1, who="admin")
    return f"somebody moves 1 {variant.sku} to damaged in Shopify"


@step(2, lambda r: ())
def location_switched(life: Life) -> str:
    place = life.bench.place
    place.is_active = not place.is_active
    life.store.emit("locations/activate" if place.is_active else "locations/deactivate", place)
    return f"{place.name} is switched {'on' if place.is_active else 'off'}"


@step(1, lambda r: (r.randrange(9),))
def variant_deleted(life: Life, number: int) -> str | None:
    variant = life.variant(number)
    if variant is None or len(life.store.variants) < 3:
        return None
    products.delete_variant(life.store, variant)
    return f"{variant.sku} is deleted in Shopify"


@step(2, lambda r: (r.randrange(4),))
def uninstalled(life: Life, wait: int) -> str:
    if life.store.is_installed:
        oauth.uninstall(life.store)
        if wait:
            return "the app is uninstalled"
    return _back(life)


def _back(life: Life) -> str:
    oauth.install(life.store)
    answer = life.bench.open("/")
    return f"the app is installed again and opened ({answer.status_code})"


@step(2, lambda r: (r.random() < 0.5,))
def revoked(life: Life, expired: bool) -> str:
    if expired:
        life.rig.pass_time(7200)
        return "two hours pass, and access runs out"
    life.store.tokens.clear()
    answer = life.bench.open("/") if life.store.is_installed else None
    return f"all access is taken back; the app is opened again ({answer.status_code if answer else 'not installed'})"


@step(2, lambda r: (r.randrange(99), r.randrange(9)))
def decided(life: Life, number: int, remedy: int) -> str | None:
    """A person decides about an exception."""
    with life.bench.scope():
        found = list(
            db.session.scalars(
                select(SyncException).where(SyncException.settled_at.is_(None)).order_by(SyncException.id)
            )
        )
        found = [each for each in found if settle.REMEDIES.get(each.kind) and each.kind not in ("parked", "unseen")]
        if not found:
            return None
        chosen = found[number % len(found)]
        name = settle.REMEDIES[chosen.kind][remedy % len(settle.REMEDIES[chosen.kind])]
        settle.settle(chosen.id, name, actor="somebody", at=clock.now())
        db.session.commit()
        return f"somebody decides about {chosen.kind} of {chosen.subject}: {name}"


# Bad luck ---------------------------------------------------------------------------------------------------------------------------

SWITCHES: tuple[dict[str, Any], ...] = (
    {"webhooks": "twice"},
    {"webhooks": "at_once"},
    {"webhooks": "reversed"},
    {"webhooks": "lost"},
    {"late_seconds": 90},
    {"late_seconds": 900},
    {"merges": True},
    {"forgets_keys": True},
    {"stale_seconds": 3},
    {"stale_seconds": 20},
    {"refuses_renewal": True},
    {"latency_ms": 4000},
    {"falls_forward": "2027-01"},
    {"refuses_topics": True},
)
CALL_FAULTS = (
    "lost_before",
    "lost_after",
    "429",
    "500",
    "503",
    "internal_before",
    "internal_after",
    "throttled",
    "garbage",
    "version",
    "unauthorized",
)


@step(8, lambda r: (r.randrange(len(SWITCHES)),))
def switched(life: Life, number: int) -> str:
    life.store.faults.change(SWITCHES[number])
    return f"from now on: {SWITCHES[number]}"


@step(6, lambda r: ())
def calm(life: Life) -> str | None:
    if life.store.faults.is_quiet:
        return None
    life.store.faults = Faults(fails_alone=life.shape.fails_alone)
    return "Shopify behaves again"


@step(10, lambda r: (r.choice(CALL_FAULTS), r.choice(("any", "query", "mutation", "mutation")), r.choice((1, 1, 2, 8))))
def call_fails(life: Life, name: str, kind: str, times: int) -> str:
    life.store.faults.upcoming.extend([CallFault(name, kind)] * times)
    return f"the next {times} ({kind}) meet: {name}"


@step(8, lambda r: (r.randrange(1, 40),))
def killed(life: Life, touches: int) -> str:
    life.rig.kill_in = touches
    return f"the process will die at its {touches}th touch of the outside"


@step(10, lambda r: (r.randrange(2), r.choice((2, 6, 12)), r.choice(CALL_FAULTS), r.choice((1, 1, 2, 8))))
def release_fails(life: Life, item: int, quantity: int, name: str, times: int) -> str:
    """The very write that carries new stock meets a fault."""
    life.bench.lot(ITEMS[item], quantity, where=life.place_of(ITEMS[item], times))
    life.store.faults.upcoming.extend([CallFault(name, "mutation")] * times)
    life.rig.work()
    return f"{quantity} {ITEMS[item]} are released, and the next {times} writes meet: {name}"


@step(8, lambda r: (r.randrange(2), r.choice((2, 6, 12)), r.randrange(1, 30)))
def release_dies(life: Life, item: int, quantity: int, touches: int) -> str:
    """The worker that carries new stock dies somewhere on its way."""
    life.bench.lot(ITEMS[item], quantity)
    life.tell(f"{quantity} {ITEMS[item]} are released; the worker dies at its {touches}th touch of the outside")
    life.rig.kill_in = touches
    life.rig.work()
    life.rig.kill_in = None
    return "it did not get so far"


@step(14, lambda r: (r.randrange(1, 8), r.random() < 0.5, draw_inner(r)))
def meanwhile(life: Life, calls: int, before: bool, inner: Step) -> str:
    life.rig.meanwhiles.append(Meanwhile(calls, before, lambda: do(life, inner)))
    return f"while call {calls} from now is on its way {'there' if before else 'back'}: {inner}"


INNER = (
    "sold",
    "sold_at_till",
    "rush",
    "edited",
    "cancelled",
    "refunded",
    "shipped",
    "edited_by_hand",
    "lot_moved",
    "lot_made",
    "delivered",
    "another_worker",
)


def draw_inner(rng: Random) -> Step:
    """Something that can happen while a call is under way."""
    kind = rng.choice(INNER)
    return Step(kind, STEPS[kind][1](rng))


# Time and work ----------------------------------------------------------------------------------------------------------------------


@step(10, lambda r: ())
def delivered(life: Life) -> None:
    life.rig.deliver()


@step(4, lambda r: ())
def another_worker(life: Life) -> str:
    life.rig.work()
    return "a worker works"


@step(60, lambda r: (r.choice((1, 5, 20, 61)), r.random() < 0.8))
def goes_on(life: Life, seconds: int, delivers: bool) -> None:
    """Time passes, news come, a worker works."""
    if delivers:
        life.rig.deliver()
    life.rig.pass_time(seconds)
    life.rig.work()


@step(4, lambda r: (r.choice((301, 3601)),))
def waits(life: Life, seconds: int) -> None:
    life.rig.deliver()
    life.rig.pass_time(seconds)
    life.rig.deliver()
    life.rig.work()


@step(2, lambda r: ())
def midnight(life: Life) -> str:
    zone = ZoneInfo(life.shape.time_zone)
    local = life.rig.time.now().astimezone(zone)
    next_day = (local + timedelta(days=1)).replace(hour=0, minute=0, second=1, microsecond=0)
    life.rig.pass_time((next_day.astimezone(ZoneInfo("UTC")) - life.rig.time.now()).total_seconds())
    life.rig.work()
    return f"midnight has passed in {life.shape.time_zone}"
