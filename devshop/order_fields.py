"""Orders, their fulfillment orders, parcels and refunds as the Admin API shows them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from graphql import GraphQLError, GraphQLResolveInfo

from devshop import search
from devshop.resolvers import NODES, Typed, connection, iso, listing, money_bag, number_of, on, plain, store_of
from devshop.world import Address, Fulfillment, Line, Location, Order, Product, RefundLine, Store

ADDRESS_KEYS = (
    "company",
    "firstName",
    "lastName",
    "address1",
    "address2",
    "zip",
    "city",
    "provinceCode",
    "countryCode",
    "phone",
)

on("QueryRoot", "orders")(listing("Order", lambda store: store.readable_orders().values(), search.ORDER))


@on("QueryRoot", "order")
def _order(_: Any, info: GraphQLResolveInfo, id: str) -> Order | None:
    return store_of(info).readable_order(number_of(id, "Order"))


@on("QueryRoot", "ordersCount")
def _count(_: Any, info: GraphQLResolveInfo, query: str | None = None, limit: int | None = 10_000, **__: Any) -> Typed:
    found = len(search.find(list(store_of(info).readable_orders().values()), search.ORDER, query, None))
    return Typed(
        "Count",
        {"count": min(found, limit or found), "precision": "EXACT" if not limit or found <= limit else "AT_LEAST"},
    )


plain(
    "Order",
    id="gid",
    legacyResourceId=lambda order: str(order.id),
    name="name",
    createdAt=lambda order: iso(order.created_at),
    processedAt=lambda order: iso(order.created_at),
    updatedAt=lambda order: iso(order.updated_at),
    cancelledAt=lambda order: iso(order.cancelled_at),
    cancelReason=lambda order: order.cancel_reason.upper() if order.cancel_reason else None,
    displayFinancialStatus="financial_status",
    displayFulfillmentStatus="fulfillment_status",
    fullyPaid=lambda order: order.financial_status in ("PAID", "PARTIALLY_REFUNDED", "REFUNDED"),
    unpaid=lambda order: order.financial_status == "PENDING",
    test="test",
    tags="tags",
    note="note",
    email="email",
    poNumber="po_number",
    sourceName="source_name",
    sourceIdentifier="source_identifier",
)
on("Order", "refunds")(lambda order, info, first=None, **_: order.refunds[:first])
on("Order", "customAttributes")(lambda order, info: attributes(order.attributes))
on("Order", "shippingAddress")(lambda order, info: mailing_address(order.shipping_address, order.id))
on("Order", "risk")(lambda order, info: Typed("OrderRiskSummary", {"recommendation": order.risk, "assessments": []}))
on("Order", "totalPriceSet")(lambda order, info: money_bag(order.total, info))
on("Order", "currentTotalPriceSet")(lambda order, info: money_bag(order.current_total, info))
on("Order", "subtotalPriceSet")(lambda order, info: money_bag(order.total, info))
on("Order", "totalDiscountsSet")(
    lambda order, info: money_bag(
        order.discount + sum((n.unit_discount * n.quantity for n in order.lines), Decimal()), info
    )
)
on("Order", "currencyCode", "presentmentCurrencyCode")(lambda order, info: store_of(info).currency)
on("Order", "lineItems")(lambda order, info, **arguments: connection(order.lines, arguments, "LineItem"))


def attributes(given: dict[str, str]) -> list[Typed]:
    """Custom attributes."""
    return [Typed("Attribute", {"key": key, "value": value}) for key, value in given.items()]


def mailing_address(given: Address | None, owner: int) -> Typed | None:
    """An address as MailingAddress."""
    if given is None:
        return None
    name = " ".join(part for part in (given.get("firstName"), given.get("lastName")) if part)
    code = given.get("countryCode")
    fields = {key: given.get(key) for key in ADDRESS_KEYS} | {
        "countryCodeV2": code,
        "country": code,
        "name": name or None,
    }
    return Typed(
        "MailingAddress",
        {**fields, "id": f"gid://shopify/MailingAddress/{owner}", "province": given.get("provinceCode")},
    )


def read_address(given: dict[str, Any]) -> Address:
    """An address as an input names it. Raises GraphQLError for a key that is not modelled."""
    unknown = sorted(set(given) - set(ADDRESS_KEYS))
    if unknown:
        raise GraphQLError(f"devshop does not model MailingAddressInput.{unknown[0]}")
    return {key: given.get(key) for key in ADDRESS_KEYS}


# Lines ----------------------------------------------------------------------------------------------------------------------------

plain(
    "LineItem",
    id="gid",
    title="title",
    quantity="quantity",
    currentQuantity="current_quantity",
    unfulfilledQuantity="unfulfilled",
    refundableQuantity="current_quantity",
    requiresShipping=lambda line: line.variant is not None,
    isGiftCard=lambda line: False,
    sku=lambda line: line.variant.sku or None if line.variant else None,
    variantTitle=lambda line: line.variant.title if line.variant and line.variant.values != ["Default Title"] else None,
)
on("LineItem", "name")(lambda line, info: line.title)
on("LineItem", "customAttributes")(lambda line, info: attributes(line.attributes))
on("LineItem", "vendor")(lambda line, info: getattr(_product_of(line, info), "vendor", None))
on("LineItem", "product")(lambda line, info: _product_of(line, info))
on("LineItem", "variant")(
    lambda line, info: line.variant if line.variant and line.variant.id in store_of(info).variants else None
)
on("LineItem", "originalUnitPriceSet")(lambda line, info: money_bag(line.price, info))
on("LineItem", "discountedUnitPriceSet")(lambda line, info: money_bag(line.unit_price, info))
on("LineItem", "discountedUnitPriceAfterAllDiscountsSet")(
    lambda line, info: money_bag(line.unit_price - line.unit_share, info)
)
on("LineItem", "originalTotalSet")(lambda line, info: money_bag(line.price * line.quantity, info))
on("LineItem", "totalDiscountSet")(lambda line, info: money_bag(line.unit_discount * line.quantity, info))
on("LineItem", "discountedTotalSet")(
    lambda line, info, withCodeDiscounts=False: money_bag(line.unit_price * line.quantity, info)
)


def _product_of(line: Line, info: GraphQLResolveInfo) -> Product | None:
    return store_of(info).products.get(line.variant.product_id) if line.variant else None


# Fulfillment orders ---------------------------------------------------------------------------------------------------------------


@on("Order", "fulfillmentOrders")
def _fulfillment_orders(
    order: Order, info: GraphQLResolveInfo, displayable: bool = False, query: str | None = None, **arguments: Any
) -> Typed:
    """One per location. Closed ones stay listed, as in Shopify, unless `status:` asks for others."""
    rows = fulfillment_orders(order, store_of(info))
    if query:
        rows = search.find(rows, {"id": lambda row: row.id, "status": lambda row: row.fields["status"]}, query, None)
    return connection(rows, arguments, "FulfillmentOrder")


class FulfillmentOrder(Typed):
    """The part of an order that one location sends."""

    def __init__(self, store: Store, order: Order, place: Location, lines: list[Line]) -> None:
        super().__init__("FulfillmentOrder", {})
        self.id = order.id * 1000 + list(store.locations).index(place.id) + 1
        self.order, self.place, self.lines = order, place, lines
        open_ = sum(line.unfulfilled for line in lines) and not order.cancelled_at
        status = (
            "CANCELLED" if order.cancelled_at else "CLOSED" if not open_ else "ON_HOLD" if order.is_on_hold else "OPEN"
        )
        rows = [_line_to_send(store, line) for line in lines]
        hold = Typed(
            "FulfillmentHold",
            {"id": f"gid://shopify/FulfillmentHold/{self.id}", "reason": "OTHER", "reasonNotes": None},
        )
        self.fields = {
            "id": self.gid,
            "status": status,
            "requestStatus": "UNSUBMITTED",
            "createdAt": iso(order.created_at),
            "updatedAt": iso(order.updated_at),
            "order": order,
            "orderId": order.gid,
            "orderName": order.name,
            "fulfillmentHolds": [hold] if status == "ON_HOLD" else [],
            "assignedLocation": Typed("FulfillmentOrderAssignedLocation", {"location": place, "name": place.name}),
            "lineItems": lambda info, **arguments: connection(rows, arguments, "FulfillmentOrderLineItem"),
        }

    @property
    def gid(self) -> str:
        return f"gid://shopify/FulfillmentOrder/{self.id}"


def _line_to_send(store: Store, line: Line) -> Typed:
    return Typed(
        "FulfillmentOrderLineItem",
        {
            "id": f"gid://shopify/FulfillmentOrderLineItem/{line.id}",
            "lineItem": line,
            "totalQuantity": line.quantity - line.removed_unfulfilled,
            "remainingQuantity": line.unfulfilled,
            "inventoryItemId": line.variant.item_gid if line.variant else None,
            "productTitle": line.title,
            "sku": line.variant.sku if line.variant else None,
            "variant": line.variant if line.variant and line.variant.id in store.variants else None,
        },
    )


def fulfillment_orders(order: Order, store: Store) -> list[FulfillmentOrder]:
    """One fulfillment order per location that lines are sent from."""
    by_place: dict[int, list[Line]] = {}
    for line in order.lines:
        if line.location_id:
            by_place.setdefault(line.location_id, []).append(line)
    return [FulfillmentOrder(store, order, store.locations[place], lines) for place, lines in by_place.items()]


def find_fulfillment_order(store: Store, number: int) -> FulfillmentOrder | None:
    """The fulfillment order of that number."""
    order = store.readable_order(number // 1000)
    return next((row for row in fulfillment_orders(order, store) if row.id == number), None) if order else None


@on("QueryRoot", "fulfillmentOrder")
def _fulfillment_order(_: Any, info: GraphQLResolveInfo, id: str) -> FulfillmentOrder | None:
    return find_fulfillment_order(store_of(info), number_of(id, "FulfillmentOrder"))


# Parcels --------------------------------------------------------------------------------------------------------------------------

on("Order", "fulfillments")(
    lambda order, info, first=None, query=None: [
        fulfillment(store_of(info), order, parcel) for parcel in order.fulfillments[:first]
    ]
)


def fulfillment(store: Store, order: Order, parcel: Fulfillment) -> Typed:
    """A parcel as Fulfillment."""
    urls = [*parcel.tracking_urls, *[None] * len(parcel.tracking_numbers)]
    tracking = [
        Typed("FulfillmentTrackingInfo", {"number": number, "company": parcel.tracking_company or None, "url": url})
        for number, url in zip(parcel.tracking_numbers, urls, strict=False)
    ]
    rows = [
        Typed(
            "FulfillmentLineItem",
            {"id": f"gid://shopify/FulfillmentLineItem/{parcel.id}{n:03}", "lineItem": line, "quantity": units},
        )
        for n, (line, units) in enumerate(parcel.lines)
    ]
    place = next((line.location_id for line, _ in parcel.lines if line.location_id), None)
    return Typed(
        "Fulfillment",
        {
            "id": parcel.gid,
            "legacyResourceId": str(parcel.id),
            "name": f"{order.name}-F{order.fulfillments.index(parcel) + 1}",
            "status": parcel.status,
            "displayStatus": "CANCELED" if parcel.status == "CANCELLED" else "FULFILLED",
            "createdAt": iso(parcel.created_at),
            "updatedAt": iso(parcel.updated_at),
            "order": order,
            "location": store.locations.get(place or -1),
            "totalQuantity": sum(units for _, units in parcel.lines),
            "requiresShipping": True,
            "trackingInfo": lambda info, first=None: tracking[:first],
            "fulfillmentLineItems": lambda info, **arguments: connection(rows, arguments, "FulfillmentLineItem"),
        },
    )


def find_fulfillment(store: Store, number: int) -> Typed | None:
    """The parcel of that number."""
    found = parcel_of(store, number)
    return fulfillment(store, *found) if found else None


def parcel_of(store: Store, number: int) -> tuple[Order, Fulfillment] | None:
    """The parcel of that number with its order."""
    orders = store.readable_orders().values()
    return next(((order, each) for order in orders for each in order.fulfillments if each.id == number), None)


@on("QueryRoot", "fulfillment")
def _one_fulfillment(_: Any, info: GraphQLResolveInfo, id: str) -> Typed | None:
    return find_fulfillment(store_of(info), number_of(id, "Fulfillment"))


# Refunds --------------------------------------------------------------------------------------------------------------------------

plain("Refund", id=lambda refund: f"gid://shopify/Refund/{refund.id}", legacyResourceId=lambda refund: str(refund.id))
plain("Refund", createdAt=lambda refund: iso(refund.created_at), updatedAt=lambda refund: iso(refund.created_at))
on("Refund", "refundLineItems")(lambda refund, info, **arguments: connection(refund.lines, arguments, "RefundLineItem"))
plain(
    "RefundLineItem",
    quantity="quantity",
    restockType="restock_type",
    lineItem="line",
    restocked=lambda part: part.restock_type in ("CANCEL", "RETURN"),
)
on("RefundLineItem", "subtotalSet")(lambda part, info: money_bag(part.line.unit_price * part.quantity, info))


@on("RefundLineItem", "location")
def _refund_location(part: RefundLine, info: GraphQLResolveInfo) -> Location | None:
    return store_of(info).locations.get(part.location_id or -1)


NODES["FulfillmentOrder"] = find_fulfillment_order
NODES["Fulfillment"] = find_fulfillment
