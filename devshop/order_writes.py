"""Order mutations: cancel, update, tag, mark as paid; and parcels."""

from __future__ import annotations

from typing import Any

from graphql import GraphQLResolveInfo

from devshop import orders, products
from devshop.order_fields import find_fulfillment_order, fulfillment, parcel_of, read_address
from devshop.product_input import limit, only_known
from devshop.resolvers import Typed, number_of, on, store_of
from devshop.world import DevshopError, Order, Store

TRACKING_KEYS = {"company", "number", "numbers", "url", "urls"}


def _errors(*messages: str, field: list[str]) -> list[Typed]:
    return [Typed("UserError", {"field": field, "message": message}) for message in messages]


def _order_of(store: Store, gid: str) -> Order | None:
    return store.orders.get(number_of(gid, "Order"))


@on("Mutation", "orderCancel")
def _cancel(_: Any, info: GraphQLResolveInfo, orderId: str, restock: bool, reason: str, **__: Any) -> Typed:
    """Shopify cancels in a job; here it is done when the answer comes, and the job says so. Money is not modelled: `refundMethod`,
    `refund`, `staffNote` and `notifyCustomer` change nothing."""
    store = store_of(info)
    order = _order_of(store, orderId)
    try:
        if order is None:
            raise DevshopError("Order does not exist")
        orders.cancel(store, order, restock=restock, reason=reason.lower())
    except DevshopError as error:
        code = "NOT_FOUND" if order is None else "INVALID"
        problem = Typed("OrderCancelUserError", {"field": ["orderId"], "code": code, "message": str(error)})
        fields = {"job": None, "jobResult": None, "orderCancelUserErrors": [problem]}
        return Typed("OrderCancelPayload", {**fields, "userErrors": _errors(str(error), field=["orderId"])})
    number = store.world.new_id()
    result = {
        "id": f"gid://shopify/OrderCancelJobResult/{number}",
        "done": True,
        "status": "SUCCEEDED",
        "errors": [],
        "order": order,
    }
    job = Typed("Job", {"id": f"gid://shopify/Job/{number}", "done": True})
    fields = {"job": job, "jobResult": Typed("OrderCancelJobResult", result)}
    return Typed("OrderCancelPayload", {**fields, "orderCancelUserErrors": [], "userErrors": []})


@on("Mutation", "orderUpdate")
def _update(_: Any, info: GraphQLResolveInfo, input: dict[str, Any]) -> Typed:
    store = store_of(info)
    only_known("OrderInput", input, {"id", "note", "tags", "customAttributes", "poNumber", "email", "shippingAddress"})
    order = _order_of(store, input["id"])
    if order is None:
        return Typed("OrderUpdatePayload", {"order": None, "userErrors": _errors("Order does not exist", field=["id"])})
    for key, name in (("note", "note"), ("poNumber", "po_number"), ("email", "email")):
        if key in input:
            setattr(order, name, input[key])
    if "tags" in input:
        order.tags = _sorted_tags(input["tags"] or ())
    if "customAttributes" in input:
        order.attributes = {row["key"]: row["value"] for row in input["customAttributes"] or ()}
    if input.get("shippingAddress"):
        order.shipping_address = read_address(input["shippingAddress"])
    orders.touched(store, order)
    return Typed("OrderUpdatePayload", {"order": order, "userErrors": []})


def _sorted_tags(tags: Any) -> list[str]:
    return sorted({tag.strip() for tag in tags if tag.strip()}, key=str.lower)


@on("Mutation", "tagsAdd", "tagsRemove")
def _tags(_: Any, info: GraphQLResolveInfo, id: str, tags: list[str]) -> Typed:
    store = store_of(info)
    kind = "TagsAddPayload" if info.field_name == "tagsAdd" else "TagsRemovePayload"
    kinds: dict[str, Any] = {"Order": store.orders, "DraftOrder": store.drafts, "Product": store.products}
    found = next((table[n] for name, table in kinds.items() if (n := number_of(id, name)) in table), None)
    if found is None:
        return Typed(kind, {"node": None, "userErrors": _errors("Resource does not exist", field=["id"])})
    changed = {*found.tags, *tags} if info.field_name == "tagsAdd" else {*found.tags} - {*tags}
    found.tags, found.updated_at = _sorted_tags(changed), store.now()
    if isinstance(found, Order):
        orders.touched(store, found)
    elif found.id in store.products:
        products.told(store, found)
    else:
        store.emit("draft_orders/update", found)
    return Typed(kind, {"node": found, "userErrors": []})


@on("Mutation", "orderMarkAsPaid")
def _pay(_: Any, info: GraphQLResolveInfo, input: dict[str, Any]) -> Typed:
    store = store_of(info)
    order = _order_of(store, input["id"])
    try:
        if order is None:
            raise DevshopError("Order does not exist")
        orders.pay(store, order)
    except DevshopError as error:
        return Typed("OrderMarkAsPaidPayload", {"order": None, "userErrors": _errors(str(error), field=["id"])})
    return Typed("OrderMarkAsPaidPayload", {"order": order, "userErrors": []})


# Parcels --------------------------------------------------------------------------------------------------------------------------


def _parcel(kind: str, found: Typed | None, *messages: str, field: list[str] | None = None) -> Typed:
    errors = _errors(*messages, field=field or ["fulfillment"])
    return Typed(f"Fulfillment{kind}Payload", {"fulfillment": found, "userErrors": errors})


@on("Mutation", "fulfillmentCreate")
def _ship(_: Any, info: GraphQLResolveInfo, fulfillment: dict[str, Any], message: str | None = None) -> Typed:
    store = store_of(info)
    only_known("FulfillmentInput", fulfillment, {"lineItemsByFulfillmentOrder", "trackingInfo", "notifyCustomer"})
    groups = fulfillment["lineItemsByFulfillmentOrder"]
    limit(groups, 250, "lineItemsByFulfillmentOrder")
    limit(
        [row for group in groups for row in group.get("fulfillmentOrderLineItems") or ()],
        512,
        "fulfillmentOrderLineItems",
    )
    found = [
        find_fulfillment_order(store, number_of(group["fulfillmentOrderId"], "FulfillmentOrder")) for group in groups
    ]
    if not found or None in found:
        return _parcel("Create", None, "Fulfillment order does not exist.")
    if len({row.order.id for row in found if row}) > 1 or len({row.place.id for row in found if row}) > 1:
        return _parcel("Create", None, "All fulfillment orders must belong to the same order and location.")
    parts: list[dict[str, Any]] = []
    for row, group in zip(found, groups, strict=True):
        if row is None or row.fields["status"] != "OPEN":
            status = row.fields["status"].lower() if row else ""
            return _parcel(
                "Create", None, f"Fulfillment order {row.id if row else ''} has an unfulfillable status= {status}."
            )
        asked = {
            number_of(part["id"], "FulfillmentOrderLineItem"): part["quantity"]
            for part in group.get("fulfillmentOrderLineItems") or ()
        }
        asked = asked or {line.id: line.unfulfilled for line in row.lines if line.unfulfilled}
        left = {line.id: line.unfulfilled for line in row.lines}
        if any(not 1 <= units <= left.get(key, 0) for key, units in asked.items()):
            return _parcel("Create", None, "Invalid fulfillment order line item quantity requested.")
        parts += [{"line_item_id": key, "quantity": units} for key, units in asked.items()]
    order = store.orders[found[0].order.id]  # type: ignore[union-attr]
    made = orders.fulfil(store, order, parts, tracking=_tracking(fulfillment.get("trackingInfo")))
    return _parcel("Create", _shown(store, order, made))


def _tracking(given: dict[str, Any] | None) -> dict[str, Any]:
    given = given or {}
    only_known("FulfillmentTrackingInput", given, TRACKING_KEYS)
    numbers = given.get("numbers") or ([given["number"]] if given.get("number") else [])
    urls = given.get("urls") or ([given["url"]] if given.get("url") else [])
    return {"company": given.get("company"), "numbers": numbers, "urls": urls}


def _shown(store: Store, order: Order, parcel: Any) -> Typed:
    return fulfillment(store, order, parcel)


@on("Mutation", "fulfillmentTrackingInfoUpdate")
def _track(_: Any, info: GraphQLResolveInfo, fulfillmentId: str, trackingInfoInput: dict[str, Any], **__: Any) -> Typed:
    store = store_of(info)
    found = parcel_of(store, number_of(fulfillmentId, "Fulfillment"))
    if found is None or found[1].status != "SUCCESS":
        return _parcel("TrackingInfoUpdate", None, "Fulfillment does not exist.", field=["fulfillmentId"])
    orders.track(store, *found, _tracking(trackingInfoInput))
    return _parcel("TrackingInfoUpdate", fulfillment(store, *found))


@on("Mutation", "fulfillmentCancel")
def _unship(_: Any, info: GraphQLResolveInfo, id: str) -> Typed:
    store = store_of(info)
    found = parcel_of(store, number_of(id, "Fulfillment"))
    if found is None or found[1].status != "SUCCESS":
        return _parcel("Cancel", None, "Fulfillment does not exist.", field=["id"])
    orders.cancel_fulfillment(store, found[0], found[1].id)
    return _parcel("Cancel", fulfillment(store, *found))
