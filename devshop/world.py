"""The world: its clock, its one app, its stores and what they hold. All state is in memory; one lock guards it."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from threading import RLock
from typing import TYPE_CHECKING, Any

from devshop.errors import DevshopError
from devshop.faults import Faults, as_of, horizon
from devshop.shelf import Collection, Media, Metafield, Option, Publication

if TYPE_CHECKING:
    from devshop.drafts import Draft

__all__ = ["DevshopError"]

Address = dict[str, str | None]  # keys of Shopify's MailingAddressInput
STATES = ("available", "committed", "reserved", "damaged", "quality_control", "safety_stock", "incoming")
ORDER_WINDOW = timedelta(days=60)
CHANNELS = ("Online Store", "Point of Sale", "Shop")
PLANS = {"standard": (2000, 100), "advanced": (4000, 200), "plus": (20000, 1000), "enterprise": (40000, 2000)}


class Clock:
    """devshop's own time: the machine's, moved and sped up at will."""

    def __init__(self) -> None:
        self._base = datetime.now(UTC)
        self._started = self._base
        self.speed = 1.0

    def now(self) -> datetime:
        """The moment in this world, aware, UTC."""
        return self._base + (datetime.now(UTC) - self._started) * self.speed

    def advance(self, seconds: float) -> None:
        """Time jumps ahead by `seconds`."""
        self._base, self._started = self.now() + timedelta(seconds=seconds), datetime.now(UTC)

    def set_speed(self, speed: float) -> None:
        """From now on a second of the machine's is `speed` seconds here."""
        self._base, self._started = self.now(), datetime.now(UTC)
        self.speed = speed


@dataclass
class Location:
    """A place where a store keeps stock."""

    id: int
    name: str
    is_active: bool = True
    address: Address = field(default_factory=dict)

    @property
    def gid(self) -> str:
        return f"gid://shopify/Location/{self.id}"


@dataclass
class Level:
    """The stock of one inventory item at one location, by state, and its history, newest last."""

    item_id: int
    location_id: int
    quantities: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STATES, 0))
    is_active: bool = True
    updated_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    history: list[dict[str, Any]] = field(default_factory=list)

    @property
    def on_hand(self) -> int:
        """All states but `incoming`."""
        return sum(quantity for state, quantity in self.quantities.items() if state != "incoming")

    def quantity(self, name: str) -> int:
        """The quantity of a state, `on_hand` included."""
        return self.on_hand if name == "on_hand" else self.quantities[name]

    def changed_at(self, name: str) -> datetime:
        """When the quantity of a state became what it is."""
        for change in reversed(self.history):
            if change["changes"].get(name) or (name == "on_hand" and any(change["changes"].values())):
                return change["moment"]
        return self.history[0]["moment"] if self.history else self.updated_at

    def seen(self, moment: datetime) -> Level:
        """The level as it was at `moment`."""
        until = [change for change in self.history if change["moment"] <= moment]
        return replace(self, quantities=as_of(self.history, self.quantities, moment), history=until)


@dataclass
class Variant:
    """A variant; its inventory item has the same life and the id `item_id`."""

    id: int
    item_id: int
    product_id: int
    values: list[str]  # of the product's options, in their order
    sku: str
    barcode: str
    price: Decimal
    position: int
    tracked: bool
    inventory_policy: str
    created_at: datetime
    updated_at: datetime
    is_bundle: bool = False
    cost: Decimal | None = None
    compare_at_price: Decimal | None = None
    taxable: bool = True
    requires_shipping: bool = True
    weight: tuple[float, str] = (0.0, "KILOGRAMS")
    media_id: int | None = None
    metafields: dict[tuple[str, str], Metafield] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Shopify's name of the variant: its option values."""
        return " / ".join(self.values)

    @title.setter
    def title(self, title: str) -> None:
        self.values = [title]

    @property
    def gid(self) -> str:
        return f"gid://shopify/ProductVariant/{self.id}"

    @property
    def item_gid(self) -> str:
        return f"gid://shopify/InventoryItem/{self.item_id}"


@dataclass
class Product:
    """A product and its variants."""

    id: int
    title: str
    handle: str
    status: str
    vendor: str
    product_type: str
    tags: list[str]
    created_at: datetime
    updated_at: datetime
    variants: list[Variant] = field(default_factory=list)
    options: list[Option] = field(default_factory=list)
    media: list[Media] = field(default_factory=list)
    description_html: str = ""
    published: dict[int, datetime] = field(default_factory=dict)  # publication id -> since when
    metafields: dict[tuple[str, str], Metafield] = field(default_factory=dict)

    @property
    def gid(self) -> str:
        return f"gid://shopify/Product/{self.id}"

    @property
    def image_url(self) -> str | None:
        """The first picture that is ready."""
        return next((media.url for media in self.media if media.status == "READY"), None)

    @property
    def has_only_default_variant(self) -> bool:
        return len(self.variants) == 1 and self.variants[0].values == ["Default Title"]


@dataclass
class Line:
    """A line of an order. `quantity` as ordered (edits upward raise it); `removed` left by refund or edit; `fulfilled` shipped.

    `price` is that of a unit before `unit_discount` and `unit_share`, its part of what is off the whole order.
    """

    id: int
    title: str
    quantity: int
    price: Decimal
    variant: Variant | None = None
    location_id: int | None = None
    removed: int = 0
    removed_unfulfilled: int = 0
    fulfilled: int = 0
    unit_discount: Decimal = Decimal()
    unit_share: Decimal = Decimal()
    attributes: dict[str, str] = field(default_factory=dict)

    @property
    def gid(self) -> str:
        return f"gid://shopify/LineItem/{self.id}"

    @property
    def unit_price(self) -> Decimal:
        """What a unit costs after its discount."""
        return self.price - self.unit_discount

    @property
    def current_quantity(self) -> int:
        return self.quantity - self.removed

    @property
    def unfulfilled(self) -> int:
        return self.quantity - self.removed_unfulfilled - self.fulfilled


@dataclass
class RefundLine:
    """Units of a line that were removed, and what became of them."""

    line: Line
    quantity: int
    restock_type: str
    location_id: int | None


@dataclass
class Refund:
    """A refund, a cancellation's or an edit's removal."""

    id: int
    created_at: datetime
    lines: list[RefundLine]


@dataclass
class Fulfillment:
    """A parcel."""

    id: int
    created_at: datetime
    updated_at: datetime
    status: str
    lines: list[tuple[Line, int]]
    tracking_numbers: list[str] = field(default_factory=list)
    tracking_company: str = ""
    tracking_urls: list[str] = field(default_factory=list)

    @property
    def gid(self) -> str:
        return f"gid://shopify/Fulfillment/{self.id}"

    @property
    def tracking_number(self) -> str:
        """The first number, or nothing."""
        return self.tracking_numbers[0] if self.tracking_numbers else ""


@dataclass
class Order:
    """An order."""

    id: int
    number: int
    created_at: datetime
    updated_at: datetime
    financial_status: str
    lines: list[Line]
    refunds: list[Refund] = field(default_factory=list)
    fulfillments: list[Fulfillment] = field(default_factory=list)
    cancelled_at: datetime | None = None
    cancel_reason: str | None = None
    tags: list[str] = field(default_factory=list)
    source_identifier: str | None = None
    source_name: str = "web"
    po_number: str | None = None
    note: str | None = None
    email: str | None = None
    attributes: dict[str, str] = field(default_factory=dict)
    shipping_address: Address | None = None
    discount: Decimal = Decimal()  # of the whole order, besides those of its lines
    is_on_hold: bool = False
    risk: str = "NONE"  # ACCEPT, INVESTIGATE, CANCEL, NONE
    test: bool = False

    @property
    def gid(self) -> str:
        return f"gid://shopify/Order/{self.id}"

    @property
    def total(self) -> Decimal:
        """What the order came to when it was placed, raised by edits."""
        return sum((line.unit_price * line.quantity for line in self.lines), Decimal()) - self.discount

    @property
    def current_total(self) -> Decimal:
        """What it comes to after edits and refunds."""
        left = sum((line.unit_price * line.current_quantity for line in self.lines), Decimal())
        return max(left - self.discount, Decimal())

    @property
    def name(self) -> str:
        return f"#{self.number}"

    @property
    def fulfillment_status(self) -> str:
        """Shopify's displayFulfillmentStatus, the values that this model can reach."""
        shipped = sum(line.fulfilled for line in self.lines)
        open_ = sum(line.unfulfilled for line in self.lines) if not self.cancelled_at else 0
        if shipped and open_:
            return "PARTIALLY_FULFILLED"
        if open_ and self.is_on_hold:
            return "ON_HOLD"
        return "FULFILLED" if shipped else "UNFULFILLED"


@dataclass
class Bucket:
    """The points of one app on one store. Source: Shopify, "GraphQL Admin API rate limits" (leaky bucket)."""

    maximum: float
    restore_rate: float
    available: float
    at: datetime

    def fill(self, now: datetime) -> None:
        """Restore what time has brought."""
        passed = max(0.0, (now - self.at).total_seconds())
        self.available = min(self.maximum, self.available + passed * self.restore_rate)
        self.at = now


@dataclass
class AccessToken:
    """An access token of the app for a store."""

    value: str
    scopes: tuple[str, ...]
    expires_at: datetime | None
    refresh_token: str | None = None
    refresh_expires_at: datetime | None = None
    previous_refresh: str | None = (
        None  # usable until this pair's refresh token is first used, or until `previous_until`
    )
    previous_until: datetime | None = None
    is_online: bool = False


class Store:
    """One shop of the world."""

    def __init__(self, world: World, domain: str, name: str, plan: str, time_zone: str, currency: str) -> None:
        self.world, self.domain, self.name = world, domain, name
        self.plan, self.time_zone, self.currency = plan, time_zone, currency
        self.id = world.new_id()
        self.locations: dict[int, Location] = {}
        self.products: dict[int, Product] = {}
        self.handles: dict[str, int] = {}  # of products
        self.variants: dict[int, Variant] = {}
        self.items: dict[int, Variant] = {}
        self.levels: dict[tuple[int, int], Level] = {}
        self.collections: dict[int, Collection] = {}
        self.publications: dict[int, Publication] = {}
        for channel in CHANNELS:
            made = Publication(world.new_id(), channel)
            self.publications[made.id] = made
        self.unique_metafields: set[tuple[str, str]] = set()  # (namespace, key) of product metafields of type `id`
        self.orders: dict[int, Order] = {}
        self.drafts: dict[int, Draft] = {}
        self.operations: dict[int, dict[str, Any]] = {}  # of productSet, not waited for
        self.next_order_number, self.next_draft_number = 1001, 1
        self.is_installed = False
        self.granted: tuple[str, ...] = ()
        self.tokens: dict[str, AccessToken] = {}
        self.codes: dict[str, bool] = {}  # of the code grant, not yet used; whether an online token was asked for
        self.subscriptions: dict[int, dict[str, Any]] = {}
        self.bulk: dict[int, dict[str, Any]] = {}
        self.idempotent: dict[str, tuple[str, Any]] = {}
        self.edits: dict[int, dict[str, Any]] = {}
        self.calls: list[dict[str, Any]] = []
        self.faults = Faults()
        self._order_pasts: dict[int, list[tuple[datetime, Order]]] = {}
        maximum, rate = PLANS[plan]
        self.bucket = Bucket(maximum, rate, maximum, world.clock.now())

    @property
    def gid(self) -> str:
        return f"gid://shopify/Shop/{self.id}"

    @property
    def handle(self) -> str:
        """The name in the admin's addresses."""
        return self.domain.removesuffix(".myshopify.com")

    def now(self) -> datetime:
        """Whole seconds, as Shopify's timestamps are."""
        return self.world.clock.now().replace(microsecond=0)

    def emit(self, topic: str, subject: Any) -> None:
        """Something happened that webhooks tell of."""
        for listener in self.world.listeners:
            listener(self, topic, subject)

    def horizon(self) -> datetime:
        """The moment up to which readers of the API see."""
        return horizon(self.faults.stale_seconds, self.world.clock.now())

    def remember(self, order: Order, *, as_it_is: bool = False) -> None:
        """The order has just become what it is; for readers who see late. `as_it_is`: it has been so for long, no copy is needed."""
        if as_it_is:
            self._order_pasts[order.id] = [(order.updated_at, order)]
            return
        known = {id(line.variant): line.variant for line in order.lines if line.variant}
        self._order_pasts.setdefault(order.id, []).append((self.world.clock.now(), deepcopy(order, known)))

    def seen_orders(self) -> dict[int, Order]:
        """The orders as readers of the API see them."""
        if not self.faults.stale_seconds:
            return self.orders
        until = self.horizon()
        pasts = {number: [order for at, order in past if at <= until] for number, past in self._order_pasts.items()}
        return {number: past[-1] for number, past in pasts.items() if past}

    def readable_orders(self) -> dict[int, Order]:
        """The orders that the app may read: of the last 60 days, or all with `read_all_orders`. Source: Shopify, Order."""
        orders = self.seen_orders()
        if "read_all_orders" in self.granted:
            return orders
        since = self.world.clock.now() - ORDER_WINDOW
        return {number: order for number, order in orders.items() if order.created_at >= since}

    def readable_order(self, number: int) -> Order | None:
        """The order of that number, if the app may read it."""
        order = self.seen_orders().get(number)
        is_recent = order and order.created_at >= self.world.clock.now() - ORDER_WINDOW
        return order if is_recent or "read_all_orders" in self.granted else None

    def add_location(self, name: str, address: Address | None = None) -> Location:
        """A new, active location."""
        location = Location(self.world.new_id(), name, address=address or {})
        self.locations[location.id] = location
        return location

    def location(self, key: str | int | None) -> Location:
        """A location by gid, id or name; the first active one for None. Raises DevshopError."""
        for location in self.locations.values():
            if key is None and location.is_active:
                return location
            if key in (location.id, location.gid, location.name):
                return location
        raise DevshopError(f"{self.domain} has no location {key!r}")

    def variant(self, key: str | int) -> Variant:
        """A variant by gid, id or SKU. Raises DevshopError."""
        number = str(key).removeprefix("gid://shopify/ProductVariant/")
        if number.isdecimal() and int(number) in self.variants:
            return self.variants[int(number)]
        for variant in self.variants.values():
            if key == variant.sku:
                return variant
        raise DevshopError(f"{self.domain} has no variant {key!r}")

    def draft(self, key: str | int) -> Draft:
        """A draft order by gid, id or name. Raises DevshopError."""
        for draft in self.drafts.values():
            if key in (draft.id, str(draft.id), draft.gid, draft.name):
                return draft
        raise DevshopError(f"{self.domain} has no draft order {key!r}")

    def order(self, key: str | int) -> Order:
        """An order by gid, id or name. Raises DevshopError."""
        for order in self.orders.values():
            if key in (order.id, str(order.id), order.gid, order.name):
                return order
        raise DevshopError(f"{self.domain} has no order {key!r}")


class World:
    """Everything there is."""

    def __init__(self, client_id: str, client_secret: str, app_url: str = "http://127.0.0.1:8000") -> None:
        self.lock = RLock()
        self.clock = Clock()
        self.client_id, self.client_secret = client_id, client_secret
        self.old_client_secret: str | None = None
        self.app_url = app_url.rstrip("/")
        self.url = "http://127.0.0.1:9290"  # where a browser reaches devshop; pictures stand there
        self.stores: dict[str, Store] = {}
        self.listeners: list[Callable[[Store, str, Any], None]] = []
        self.config: Any = None
        self._ids = itertools.count(1_000_001)

    @contextmanager
    def silence(self) -> Iterator[None]:
        """What happens inside is told to nobody."""
        listeners, self.listeners = self.listeners, []
        try:
            yield
        finally:
            self.listeners = listeners

    def new_id(self) -> int:
        """A number that nothing else in this world has."""
        return next(self._ids)

    def add_store(
        self, domain: str, name: str = "", plan: str = "standard", time_zone: str = "UTC", currency: str = "USD"
    ) -> Store:
        """A new, empty store. Raises DevshopError where the domain is taken or no shop's."""
        if domain in self.stores or not domain.endswith(".myshopify.com"):
            raise DevshopError(f"{domain} is taken or is not a *.myshopify.com name")
        if plan not in PLANS:
            raise DevshopError(f"plan is one of {', '.join(PLANS)}")
        store = Store(self, domain, name or domain, plan, time_zone, currency)
        self.stores[domain] = store
        return store

    def store(self, domain: str) -> Store:
        """The store of that domain. Raises DevshopError."""
        if domain not in self.stores:
            raise DevshopError(f"there is no store {domain}")
        return self.stores[domain]

    def reset(self) -> None:
        """No store is left."""
        self.stores.clear()


def new_secret(prefix: str) -> str:
    """A token's text."""
    return prefix + secrets.token_hex(16)
