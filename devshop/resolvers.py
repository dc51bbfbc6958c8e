"""What the Admin API answers, field by field. A field that stands nowhere here is not modelled, and its query is told so by name."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from graphql import GraphQLError, GraphQLResolveInfo

from devshop import schema, search
from devshop.drafts import Draft, DraftLine
from devshop.shelf import Collection, Media, Metafield, Publication
from devshop.world import AccessToken, Level, Line, Location, Order, Product, Refund, Store, Variant

Resolver = Callable[..., Any]
RESOLVERS: dict[tuple[str, str], Resolver] = {}
MOST_PER_PAGE = 250


@dataclass
class Context:
    """Who asks: a store's app with a token."""

    store: Store
    token: AccessToken
    base_url: str


@dataclass
class Typed:
    """A value that is no class of the world's, with the name of its GraphQL type and its fields."""

    typename: str
    fields: dict[str, Any]


def on(typename: str, *names: str) -> Callable[[Resolver], Resolver]:
    """The function resolves these fields of the type: `function(object, info, **arguments)`."""

    def register(function: Resolver) -> Resolver:
        for name in names:
            RESOLVERS[typename, name] = function
        return function

    return register


def plain(typename: str, **attributes: str | Callable[[Any], Any]) -> None:
    """Fields that are an attribute of the object, or a function of it."""
    for name, attribute in attributes.items():
        getter = attribute if callable(attribute) else (lambda a: lambda subject: getattr(subject, a))(attribute)
        RESOLVERS[typename, name] = (lambda g: lambda subject, info: g(subject))(getter)


def resolve(subject: Any, info: GraphQLResolveInfo, **arguments: Any) -> Any:
    """The field's value by its resolver. Raises GraphQLError, naming the field, where there is none."""
    if isinstance(subject, Typed) and info.field_name in subject.fields:
        value = subject.fields[info.field_name]
        return value(info, **arguments) if callable(value) else value
    resolver = RESOLVERS.get((info.parent_type.name, info.field_name))
    if resolver is None:
        raise GraphQLError(f"devshop does not model {info.parent_type.name}.{info.field_name}")
    return resolver(subject, info, **arguments)


def typename(value: Any, *_: Any) -> str:
    """The GraphQL type of a value, for `node` and unions."""
    if isinstance(value, Typed):
        return value.typename
    names = {
        Product: "Product",
        Variant: "ProductVariant",
        Location: "Location",
        Level: "InventoryLevel",
        Order: "Order",
    }
    names |= {Line: "LineItem", Refund: "Refund", Item: "InventoryItem", Store: "Shop"}
    names |= {Collection: "Collection", Publication: "Publication", Metafield: "Metafield", Media: "MediaImage"}
    names |= {Draft: "DraftOrder", DraftLine: "DraftOrderLineItem"}
    return names[type(value)]


@dataclass
class Item:
    """A variant seen as its inventory item."""

    variant: Variant


def levels_of(store: Store, variant: Variant) -> list[Level]:
    """The variant's levels, one per location where it is stocked."""
    found = (store.levels.get((variant.item_id, place)) for place in store.locations)
    return [level for level in found if level]


def store_of(info: GraphQLResolveInfo) -> Store:
    """The store that is asked."""
    return info.context.store


def iso(moment: datetime | None) -> str | None:
    """Shopify's form of a moment: whole seconds, Z."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None


def number_of(gid: str, kind: str) -> int:
    """The number in a gid of that kind; -1 where it is none."""
    prefix = f"gid://shopify/{kind}/"
    tail = gid.removeprefix(prefix).split("?")[0]
    return int(tail) if gid.startswith(prefix) and tail.isdecimal() else -1


def connection(rows: Sequence[Any], arguments: dict[str, Any], kind: str) -> Typed:
    """A page of `rows` as `<kind>Connection`, with opaque cursors. Raises GraphQLError beyond 250 a page."""
    size = arguments.get("first") or arguments.get("last")
    if size is None:
        raise GraphQLError("you must provide one of first or last")
    if size > MOST_PER_PAGE and not (kind == "ProductVariant" and size <= 2000):
        raise GraphQLError(f"first or last is {size}; the most is {MOST_PER_PAGE}")
    listed = list(reversed(rows)) if arguments.get("reverse") else list(rows)
    keyed = [(str(n), row) for n, row in enumerate(listed)]
    start = _position(arguments.get("after")) + 1 if arguments.get("after") else 0
    end = _position(arguments["before"]) if arguments.get("before") else len(keyed)
    window = keyed[start:end]
    page = window[:size] if arguments.get("first") else window[-size:]
    first = int(page[0][0]) if page else start
    last = int(page[-1][0]) if page else start - 1
    info = Typed(
        "PageInfo",
        {
            "hasNextPage": last + 1 < len(keyed),
            "hasPreviousPage": first > 0,
            "startCursor": _cursor(first) if page else None,
            "endCursor": _cursor(last) if page else None,
        },
    )
    edges = [Typed(f"{kind}Edge", {"node": row, "cursor": _cursor(int(key))}) for key, row in page]
    return Typed(f"{kind}Connection", {"nodes": [row for _, row in page], "edges": edges, "pageInfo": info})


def _cursor(position: int) -> str:
    return base64.urlsafe_b64encode(f"at:{position}".encode()).decode()


def _position(cursor: str) -> int:
    try:
        return int(base64.urlsafe_b64decode(cursor).decode().removeprefix("at:"))
    except ValueError as error:
        raise GraphQLError("the cursor is not one of ours") from error


def listing(kind: str, rows: Callable[[Store], Iterable[Any]], subject: search.Subject) -> Resolver:
    """A root connection: searched by `query`, ordered by `sortKey`, paged."""

    def resolver(_: Any, info: GraphQLResolveInfo, **arguments: Any) -> Typed:
        found = search.find(list(rows(store_of(info))), subject, arguments.get("query"), arguments.get("sortKey"))
        return connection(found, arguments, kind)

    return resolver


def money(amount: Any, info: GraphQLResolveInfo) -> Typed:
    """An amount in the shop's currency."""
    return Typed("MoneyV2", {"amount": str(amount), "currencyCode": store_of(info).currency})


def money_bag(amount: Any, info: GraphQLResolveInfo) -> Typed:
    """An amount in the shop's and the customer's currency, which are the same here."""
    return Typed("MoneyBag", {"shopMoney": money(amount, info), "presentmentMoney": money(amount, info)})


# Shop, app ------------------------------------------------------------------------------------------------------------------------

on("QueryRoot", "shop")(lambda _, info: store_of(info))
plain(
    "Shop",
    id="gid",
    name="name",
    myshopifyDomain="domain",
    ianaTimezone="time_zone",
    currencyCode="currency",
    url=lambda store: f"https://{store.domain}",
)
plain("Shop", email=lambda store: f"owner@{store.domain}", contactEmail=lambda store: f"owner@{store.domain}")
on("QueryRoot", "currentAppInstallation")(lambda _, info: Typed("AppInstallation", {}))
on("AppInstallation", "accessScopes")(
    lambda _, info: [Typed("AccessScope", {"handle": scope, "description": scope}) for scope in store_of(info).granted]
)
on("AppInstallation", "id")(lambda _, info: f"gid://shopify/AppInstallation/{store_of(info).id}")


def _app(info: GraphQLResolveInfo) -> Typed:
    config = store_of(info).world.config
    asked = {
        "requestedAccessScopes": config.scopes if config else [],
        "optionalAccessScopes": config.optional_scopes if config else [],
    }
    lists = {
        name: [Typed("AccessScope", {"handle": s, "description": s}) for s in scopes] for name, scopes in asked.items()
    }
    return Typed(
        "App",
        {
            "id": "gid://shopify/App/1",
            "title": config.name if config else "app",
            "handle": config.handle if config else "app",
            **lists,
        },
    )


on("AppInstallation", "app")(lambda _, info: _app(info))


@on("QueryRoot", "publicApiVersions")
def _versions(_: Any, info: GraphQLResolveInfo) -> list[Typed]:
    """The version that devshop speaks and the one to come; where it falls forward, that one alone is supported."""
    ahead = store_of(info).faults.falls_forward
    known = {schema.VERSION: not ahead, **({ahead: True} if ahead else {}), "unstable": False}
    return [
        Typed("ApiVersion", {"handle": handle, "displayName": handle, "supported": is_supported})
        for handle, is_supported in known.items()
    ]


# Locations, inventory -------------------------------------------------------------------------------------------------------------


@on("QueryRoot", "locations")
def _locations(_: Any, info: GraphQLResolveInfo, includeInactive: bool = False, **arguments: Any) -> Typed:
    rows = [place for place in store_of(info).locations.values() if place.is_active or includeInactive]
    return connection(rows, {**arguments, "query": None}, "Location")


@on("QueryRoot", "location")
def _location(_: Any, info: GraphQLResolveInfo, id: str | None = None, **__: Any) -> Location | None:
    places = store_of(info).locations
    return places.get(number_of(id, "Location")) if id else next((p for p in places.values() if p.is_active), None)


plain("Location", id="gid", name="name", isActive="is_active", fulfillsOnlineOrders="is_active")


@on("Location", "address")
def _location_address(place: Location, info: GraphQLResolveInfo) -> Typed:
    """The address; every part of it may be missing."""
    keys = ("address1", "address2", "city", "phone", "provinceCode", "zip", "countryCode")
    fields = {key: place.address.get(key) for key in keys}
    names = {"country": fields["countryCode"], "province": fields["provinceCode"]}
    written = [value for key in ("address1", "address2", "zip", "city", "countryCode") if (value := fields[key])]
    return Typed("LocationAddress", {**fields, **names, "formatted": written})


@on("QueryRoot", "inventoryItem")
def _inventory_item(_: Any, info: GraphQLResolveInfo, id: str) -> Item | None:
    variant = store_of(info).items.get(number_of(id, "InventoryItem"))
    return Item(variant) if variant else None


plain(
    "InventoryItem",
    id=lambda item: item.variant.item_gid,
    sku=lambda item: item.variant.sku,
    tracked=lambda item: item.variant.tracked,
    legacyResourceId=lambda item: str(item.variant.item_id),
    requiresShipping=lambda item: item.variant.requires_shipping,
    createdAt=lambda item: iso(item.variant.created_at),
    updatedAt=lambda item: iso(item.variant.updated_at),
)
on("InventoryItem", "variant")(lambda item, info: item.variant)
on("InventoryItem", "variants")(lambda item, info, **arguments: connection([item.variant], arguments, "ProductVariant"))
on("InventoryItem", "unitCost")(
    lambda item, info: money(item.variant.cost, info) if item.variant.cost is not None else None
)


@on("InventoryItem", "measurement")
def _measurement(item: Item, info: GraphQLResolveInfo) -> Typed:
    value, unit = item.variant.weight
    weight = Typed("Weight", {"value": value, "unit": unit})
    gid = f"gid://shopify/InventoryItemMeasurement/{item.variant.item_id}"
    return Typed("InventoryItemMeasurement", {"id": gid, "weight": weight})


@on("InventoryItem", "inventoryLevel")
def _level_of_item(
    item: Item, info: GraphQLResolveInfo, locationId: str, includeInactive: bool = False
) -> Level | None:
    return store_of(info).levels.get((item.variant.item_id, number_of(locationId, "Location")))


@on("InventoryItem", "inventoryLevels")
def _levels_of_item(item: Item, info: GraphQLResolveInfo, includeInactive: bool = False, **arguments: Any) -> Typed:
    rows = levels_of(store_of(info), item.variant)
    if not includeInactive:
        rows = [level for level in rows if level.is_active and store_of(info).locations[level.location_id].is_active]
    return connection(rows, {**arguments, "query": None}, "InventoryLevel")


plain("InventoryLevel", updatedAt=lambda level: iso(level.updated_at))
on("InventoryLevel", "id")(
    lambda level, info: f"gid://shopify/InventoryLevel/{level.location_id}?inventory_item_id={level.item_id}"
)
on("InventoryLevel", "isActive")(
    lambda level, info: level.is_active and store_of(info).locations[level.location_id].is_active
)
on("InventoryLevel", "item")(lambda level, info: Item(store_of(info).items[level.item_id]))
on("InventoryLevel", "location")(lambda level, info: store_of(info).locations[level.location_id])


@on("InventoryLevel", "quantities")
def _quantities(level: Level, info: GraphQLResolveInfo, names: list[str]) -> list[Typed]:
    unknown = [name for name in names if name != "on_hand" and name not in level.quantities]
    if unknown:
        raise GraphQLError(f"the quantity name {unknown[0]} is not valid")
    if store_of(info).faults.stale_seconds and level.history:
        level = level.seen(store_of(info).horizon())
    return [
        Typed("InventoryQuantity", {"name": n, "quantity": level.quantity(n), "updatedAt": iso(level.changed_at(n))})
        for n in names
    ]


NODES: dict[str, Callable[[Store, int], Any]] = {
    "Product": lambda store, number: store.products.get(number),
    "ProductVariant": lambda store, number: store.variants.get(number),
    "Location": lambda store, number: store.locations.get(number),
    "Order": lambda store, number: store.readable_order(number),
}

# Nodes ----------------------------------------------------------------------------------------------------------------------------


@on("QueryRoot", "nodes")
def _nodes(_: Any, info: GraphQLResolveInfo, ids: list[str]) -> list[Any]:
    if len(ids) > MOST_PER_PAGE:
        raise GraphQLError(
            f"The input array size of {len(ids)} is greater than the maximum allowed of {MOST_PER_PAGE}."
        )
    return [_node(None, info, gid) for gid in ids]


@on("QueryRoot", "node")
def _node(_: Any, info: GraphQLResolveInfo, id: str) -> Any:
    store, kind = store_of(info), id.removeprefix("gid://shopify/").split("/")[0]
    number = number_of(id, kind)
    if kind == "InventoryItem":
        return _inventory_item(None, info, id)
    if kind == "BulkOperation":
        return RESOLVERS["QueryRoot", "bulkOperation"](None, info, id=id)
    finder = NODES.get(kind)
    if finder is None:
        raise GraphQLError(f"devshop does not model node of {kind}")
    return finder(store, number)
