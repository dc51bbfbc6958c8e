"""Draft orders, the orders that come of them, and parcels with tracking."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from devshop import products
from tests.devshop.stand import Stand

FIELDS = """ fragment Draft on DraftOrder { id name status tags note2 totalPriceSet { shopMoney { amount } }
  order { id name displayFinancialStatus tags note poNumber sourceName customAttributes { key value }
    shippingAddress { city countryCodeV2 }
    lineItems(first: 9) { nodes { quantity sku discountedUnitPriceSet { shopMoney { amount } } } } }
  lineItems(first: 9) { nodes { quantity sku originalUnitPriceSet { shopMoney { amount } } } } }"""
CREATE = "mutation c($i: DraftOrderInput!) { draftOrderCreate(input: $i) { draftOrder { ...Draft } userErrors { field message } } }"
UPDATE = "mutation u($id: ID!, $i: DraftOrderInput!) { draftOrderUpdate(id: $id, input: $i) { draftOrder { id } userErrors { message } } }"
COMPLETE = """mutation c($id: ID!) { draftOrderComplete(id: $id, paymentPending: true) { draftOrder { ...Draft }
  userErrors { field message } } }"""
CREATE, COMPLETE = CREATE + FIELDS, COMPLETE + FIELDS
DELETE = "mutation d($i: DraftOrderDeleteInput!) { draftOrderDelete(input: $i) { deletedId userErrors { message } } }"


@pytest.fixture
def stand() -> Stand:
    """The store."""
    return Stand()


def line(stand: Stand, sku: str, quantity: int, **more: Any) -> dict[str, Any]:
    """A line at 5.20 a unit."""
    price = {"amount": "5.20", "currencyCode": "GBP"}
    return {"variantId": stand.store.variant(sku).gid, "quantity": quantity, "priceOverride": price, **more}


def weekly(stand: Stand, *lines: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A partner order's draft."""
    until = (stand.world.clock.now() + timedelta(days=3)).isoformat()
    address = {
        "company": "Fulfilment centre",
        "address1": "1 Dock Road",
        "city": "Bristol",
        "zip": "BS1 1AA",
        "countryCode": "GB",
    }
    own = {"tags": ["occ-week-7"], "note": "Our reference 7", "poNumber": "PO-7", "shippingAddress": address}
    attributes = [{"key": "occ", "value": "7"}]
    return {**own, "customAttributes": attributes, "reserveInventoryUntil": until, "lineItems": list(lines), **more}


def test_a_draft_reserves_what_it_holds_and_grows(stand: Stand) -> None:
    made = stand.data(CREATE, i=weekly(stand, line(stand, "A", 3)))["draftOrder"]
    first = stand.stock("A")
    stand.data(UPDATE, id=made["id"], i={"lineItems": [line(stand, "A", 5), line(stand, "B", 1)]})

    assert (made["name"], made["status"], made["totalPriceSet"]["shopMoney"]["amount"]) == ("#D1", "OPEN", "15.60")
    assert first == (7, 3, 0)
    assert (stand.stock("A"), stand.stock("B")) == ((5, 5, 0), (9, 1, 0))
    assert stand.told("draft_orders/update")[-1]["line_items"][0]["price"] == "5.20"
    assert stand.told("inventory_levels/update")[-1]["available"] == 9


def test_a_completed_draft_is_an_order_and_its_reservation_is_committed(stand: Stand) -> None:
    made = stand.data(CREATE, i=weekly(stand, line(stand, "A", 3)))["draftOrder"]
    done = stand.data(COMPLETE, id=made["id"])["draftOrder"]
    order = done["order"]

    assert (done["status"], order["displayFinancialStatus"], order["sourceName"]) == (
        "COMPLETED",
        "PENDING",
        "shopify_draft_order",
    )
    assert (order["tags"], order["note"], order["poNumber"]) == (["occ-week-7"], "Our reference 7", "PO-7")
    assert order["customAttributes"] == [{"key": "occ", "value": "7"}]
    assert order["shippingAddress"] == {"city": "Bristol", "countryCodeV2": "GB"}
    assert order["lineItems"]["nodes"] == [
        {"quantity": 3, "sku": "A", "discountedUnitPriceSet": {"shopMoney": {"amount": "5.20"}}}
    ]
    assert stand.stock("A") == (7, 0, 3)
    told = stand.told("orders/create")[-1]
    assert (told["source_name"], told["total_price"], told["shipping_address"]["city"]) == (
        "shopify_draft_order",
        "15.60",
        "Bristol",
    )


@pytest.mark.parametrize("how", ["twice", "update", "delete"])
def test_a_completed_draft_stays_as_it_is(stand: Stand, how: str) -> None:
    made = stand.data(CREATE, i=weekly(stand, line(stand, "A", 1)))["draftOrder"]
    stand.data(COMPLETE, id=made["id"])
    calls: dict[str, Any] = {
        "twice": lambda: stand.data(COMPLETE, id=made["id"]),
        "update": lambda: stand.data(UPDATE, id=made["id"], i={"note": "late"}),
        "delete": lambda: stand.data(DELETE, i={"id": made["id"]}),
    }

    assert calls[how]()["userErrors"][0]["message"] == "This order has already been completed"
    assert len(stand.store.orders) == 1


def test_a_reservation_ends_with_its_time_and_with_its_draft(stand: Stand) -> None:
    first = stand.data(CREATE, i=weekly(stand, line(stand, "A", 3)))["draftOrder"]
    stand.data(CREATE, i=weekly(stand, line(stand, "B", 2)))
    stand.data(DELETE, i={"id": first["id"]})
    before = stand.stock("B")
    stand.world.clock.advance(3 * 86400 + 1)
    stand.ask("{ shop { name } }")

    assert stand.stock("A") == (10, 0, 0)
    assert (before, stand.stock("B")) == ((8, 2, 0), (10, 0, 0))
    assert stand.told("draft_orders/delete") == [{"id": int(first["id"].rsplit("/", 1)[1])}]


def test_what_may_not_be_oversold_is_not_completed_when_short(stand: Stand) -> None:
    made = stand.data(CREATE, i=weekly(stand, line(stand, "A", 11), reserveInventoryUntil=None))["draftOrder"]
    refused = stand.data(COMPLETE, id=made["id"])
    stand.store.variant("A").inventory_policy = "CONTINUE"
    done = stand.data(COMPLETE, id=made["id"])

    assert refused["userErrors"] == [{"field": None, "message": "A is out of stock: 10 of 11 available"}]
    assert done["draftOrder"]["status"] == "COMPLETED"
    assert stand.stock("A") == (-1, 0, 11)


def test_units_that_a_draft_holds_itself_count_as_there(stand: Stand) -> None:
    made = stand.data(CREATE, i=weekly(stand, line(stand, "A", 10)))["draftOrder"]

    assert stand.stock("A") == (0, 10, 0)
    assert stand.data(COMPLETE, id=made["id"])["userErrors"] == []


def test_a_draft_whose_variant_is_gone_is_not_completed(stand: Stand) -> None:
    made = stand.data(CREATE, i=weekly(stand, line(stand, "A", 1)))["draftOrder"]
    products.delete_variant(stand.store, stand.store.variant("A"))

    assert stand.data(COMPLETE, id=made["id"])["userErrors"][0]["message"] == "A is no longer available"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"lineItems": []}, ["lineItems"]),
        (
            {"lineItems": [{"variantId": "gid://shopify/ProductVariant/1", "quantity": 1}]},
            ["lineItems", "0", "variantId"],
        ),
        ({"lineItems": [{"title": "Case", "quantity": 0}]}, ["lineItems", "0", "quantity"]),
        (
            {"lineItems": [{"title": "Case", "quantity": 1, "priceOverride": {"amount": "1", "currencyCode": "EUR"}}]},
            ["lineItems", "0", "priceOverride", "currencyCode"],
        ),
        ({"appliedDiscount": {"value": 101, "valueType": "PERCENTAGE"}}, ["appliedDiscount", "value"]),
    ],
)
def test_a_wrong_draft_is_refused_with_its_field(stand: Stand, change: dict[str, Any], field: list[str]) -> None:
    answer = stand.data(CREATE, i=weekly(stand, line(stand, "A", 1)) | change)

    assert answer["userErrors"][0]["field"] == field
    assert (answer["draftOrder"], len(stand.store.drafts)) == (None, 0)


def test_a_draft_has_499_lines_at_most(stand: Stand) -> None:
    rows = [line(stand, "A", 1)] * 500
    error = stand.ask(CREATE, i=weekly(stand, *rows))["errors"][0]

    assert error["extensions"]["code"] == "MAX_INPUT_SIZE_EXCEEDED"
    assert "499" in error["message"]
    assert stand.data(CREATE, i=weekly(stand, *rows[1:], reserveInventoryUntil=None))["userErrors"] == []


def test_discounts_of_lines_and_of_the_whole_lower_the_total(stand: Stand) -> None:
    off = {"value": 25, "valueType": "PERCENTAGE", "title": "Wholesale"}
    row = {"variantId": stand.store.variant("A").gid, "quantity": 2, "appliedDiscount": off}
    made = stand.data(CREATE, i=weekly(stand, row, appliedDiscount={"value": 2, "valueType": "FIXED_AMOUNT"}))[
        "draftOrder"
    ]
    order = stand.data(COMPLETE, id=made["id"])["draftOrder"]["order"]

    assert made["totalPriceSet"]["shopMoney"]["amount"] == "10.00"  # 2 x 8.00 less a quarter, less 2.00
    assert order["lineItems"]["nodes"][0]["discountedUnitPriceSet"]["shopMoney"]["amount"] == "6.00"
    assert stand.told("orders/create")[-1]["total_discounts"] == "6.00"


def test_drafts_are_found_by_tag_and_status(stand: Stand) -> None:
    made = [
        stand.data(CREATE, i=weekly(stand, line(stand, "A", 1), tags=[tag]))["draftOrder"]
        for tag in ("week-7", "week-8")
    ]
    stand.data(COMPLETE, id=made[1]["id"])
    ask = "query q($q: String!) { draftOrders(first: 9, query: $q) { nodes { tags } } }"
    wanted = ["tag:week-7", "status:open", "-tag:'week-8'"]

    assert [stand.data(ask, q=query)["nodes"] for query in wanted] == [[{"tags": ["week-7"]}]] * 3
    assert "source_identifier" in stand.ask(ask, q="source_identifier:7")["errors"][0]["message"]


def test_drafts_need_their_scope(stand: Stand) -> None:
    stand.store.granted = ("write_orders",)

    assert stand.ask("{ draftOrders(first: 1) { nodes { id } } }")["errors"][0]["extensions"]["code"] == "ACCESS_DENIED"


def test_a_merchant_edits_completes_and_deletes_drafts_by_hand(stand: Stand) -> None:
    first, second = (stand.data(CREATE, i=weekly(stand, line(stand, "A", 2)))["draftOrder"] for _ in range(2))
    edited = stand.control(
        "drafts/D1/edit", {"set": [{"sku": "A", "quantity": 1}], "add": [{"sku": "B", "quantity": 4}]}
    )
    done = stand.control("drafts/D1/complete", {"payment_pending": True})
    stand.control("drafts/D2/delete")

    assert [(row["sku"], row["quantity"], row["unit_price"]) for row in edited["lines"]] == [
        ("A", 1, "5.20"),
        ("B", 4, "8.00"),
    ]
    assert (done["gid"], done["status"], done["order"]) == (first["id"], "COMPLETED", "#1001")
    assert (stand.stock("A"), stand.stock("B")) == ((9, 0, 1), (6, 0, 4))
    assert second["id"] not in {draft.gid for draft in stand.store.drafts.values()}


def test_the_admin_shows_a_draft_and_does_what_a_merchant_does(stand: Stand) -> None:
    made = stand.data(CREATE, i=weekly(stand, line(stand, "A", 2)))["draftOrder"]
    draft = stand.store.draft(made["id"])
    base = f"/store/roast/drafts/{draft.id}"
    page = stand.web.get(base).get_data(as_text=True)
    stand.web.post(f"{base}/edit", data={"line": draft.lines[0].id, "quantity": "4"})
    stand.web.post(f"{base}/complete")

    assert "#D1" in page
    assert "occ-week-7" in page
    assert "#D1" in stand.web.get("/store/roast/drafts").get_data(as_text=True)
    assert (draft.status, stand.stock("A")) == ("COMPLETED", (6, 0, 4))
    order = next(iter(stand.store.orders.values()))
    stand.web.post(f"/store/roast/orders/{order.id}/fulfil", data={"tracking_number": "JD01", "company": "DHL Express"})
    assert stand.told("fulfillments/create")[-1]["tracking_company"] == "DHL Express"


# Orders and parcels ---------------------------------------------------------------------------------------------------------------

SHIP = """mutation f($f: FulfillmentInput!) { fulfillmentCreate(fulfillment: $f) { fulfillment { id name status totalQuantity
  trackingInfo { number company url } fulfillmentLineItems(first: 9) { nodes { quantity lineItem { sku } } } } userErrors { message } } }"""
TO_SEND = """query o($id: ID!) { order(id: $id) { displayFulfillmentStatus fulfillmentOrders(first: 9) { nodes { id status
  lineItems(first: 9) { nodes { id remainingQuantity } } } } } }"""


def test_a_part_is_fulfilled_with_tracking_and_the_app_is_told(stand: Stand) -> None:
    order = stand.control("orders", {"lines": [{"sku": "A", "quantity": 3}]})
    (to_send,) = stand.data(TO_SEND, id=order["gid"])["fulfillmentOrders"]["nodes"]
    part = {"id": to_send["lineItems"]["nodes"][0]["id"], "quantity": 2}
    group = {"fulfillmentOrderId": to_send["id"], "fulfillmentOrderLineItems": [part]}
    tracking = {"company": "Royal Mail", "number": "RM1", "url": "https://track.example/RM1"}
    made = stand.data(SHIP, f={"lineItemsByFulfillmentOrder": [group], "trackingInfo": tracking})["fulfillment"]
    too_many = stand.data(SHIP, f={"lineItemsByFulfillmentOrder": [group]})
    move = """mutation t($id: ID!, $t: FulfillmentTrackingInput!) { fulfillmentTrackingInfoUpdate(fulfillmentId: $id, trackingInfoInput: $t) {
      fulfillment { trackingInfo { number } } userErrors { message } } }"""
    moved = stand.data(move, id=made["id"], t={"numbers": ["RM2", "RM3"]})

    assert made["trackingInfo"] == [{"number": "RM1", "company": "Royal Mail", "url": "https://track.example/RM1"}]
    assert made["fulfillmentLineItems"]["nodes"] == [{"quantity": 2, "lineItem": {"sku": "A"}}]
    assert too_many["userErrors"][0]["message"] == "Invalid fulfillment order line item quantity requested."
    assert moved["fulfillment"]["trackingInfo"] == [{"number": "RM2"}, {"number": "RM3"}]
    assert stand.told("fulfillments/create")[-1]["tracking_number"] == "RM1"
    assert stand.told("fulfillments/update")[-1]["tracking_numbers"] == ["RM2", "RM3"]
    assert stand.data(TO_SEND, id=order["gid"])["displayFulfillmentStatus"] == "PARTIALLY_FULFILLED"


def test_an_order_on_hold_is_not_fulfilled(stand: Stand) -> None:
    order = stand.control("orders", {"lines": [{"sku": "A", "quantity": 1}], "risk": "cancel"})
    stand.control(f"orders/{order['id']}/hold")
    held = stand.data(TO_SEND, id=order["gid"])
    gid = held["fulfillmentOrders"]["nodes"][0]["id"]
    refused = stand.data(SHIP, f={"lineItemsByFulfillmentOrder": [{"fulfillmentOrderId": gid}]})
    stand.control(f"orders/{order['id']}/release")

    assert (held["displayFulfillmentStatus"], held["fulfillmentOrders"]["nodes"][0]["status"]) == ("ON_HOLD", "ON_HOLD")
    assert "unfulfillable status= on_hold" in refused["userErrors"][0]["message"]
    assert stand.data("query o($id: ID!) { order(id: $id) { risk { recommendation } } }", id=order["gid"]) == {
        "risk": {"recommendation": "CANCEL"}
    }
    assert stand.data(SHIP, f={"lineItemsByFulfillmentOrder": [{"fulfillmentOrderId": gid}]})["userErrors"] == []


def test_a_cancelled_order_that_was_not_paid_is_voided_and_put_back(stand: Stand) -> None:
    made = stand.data(CREATE, i=weekly(stand, line(stand, "A", 3)))["draftOrder"]
    order = stand.data(COMPLETE, id=made["id"])["draftOrder"]["order"]
    cancel = """mutation c($id: ID!) { orderCancel(orderId: $id, reason: OTHER, restock: true) { job { done }
      jobResult { ... on OrderCancelJobResult { status order { displayFinancialStatus cancelledAt } } } orderCancelUserErrors { code } } }"""
    first, second = (stand.data(cancel, id=order["id"]) for _ in range(2))

    assert first["jobResult"]["status"] == "SUCCEEDED"
    assert first["jobResult"]["order"]["displayFinancialStatus"] == "VOIDED"
    assert second["orderCancelUserErrors"] == [{"code": "INVALID"}]
    assert stand.stock("A") == (10, 0, 0)


def test_an_order_takes_a_note_and_tags(stand: Stand) -> None:
    order = stand.control("orders", {"lines": [{"sku": "A", "quantity": 1}]})
    update = "mutation u($i: OrderInput!) { orderUpdate(input: $i) { order { note tags } userErrors { message } } }"
    add = 'mutation t($id: ID!) { tagsAdd(id: $id, tags: ["sent"]) { node { id } userErrors { message } } }'

    assert stand.data(update, i={"id": order["gid"], "note": "n", "tags": ["b", "a"]})["order"] == {
        "note": "n",
        "tags": ["a", "b"],
    }
    assert stand.data(add, id=order["gid"]) == {"node": {"id": order["gid"]}, "userErrors": []}
    assert stand.told("orders/updated")[-1]["tags"] == "a, b, sent"


def test_a_topic_needs_its_scope_and_must_be_one_that_devshop_sends(stand: Stand) -> None:
    subscribe = """mutation s($t: WebhookSubscriptionTopic!) { webhookSubscriptionCreate(topic: $t,
      webhookSubscription: {uri: "https://app.example"}) { webhookSubscription { topic } userErrors { message } } }"""

    assert stand.data(subscribe, t="DRAFT_ORDERS_DELETE")["webhookSubscription"] == {"topic": "DRAFT_ORDERS_DELETE"}
    refused = stand.data(subscribe, t="FULFILLMENTS_CREATE")["userErrors"][0]["message"]
    assert refused.endswith("requires one of the following scopes: read_fulfillments, read_marketplace_orders.")
    assert "THEMES_CREATE" in stand.ask(subscribe, t="THEMES_CREATE")["errors"][0]["message"]


# History --------------------------------------------------------------------------------------------------------------------------


def test_orders_older_than_60_days_need_their_own_scope(stand: Stand) -> None:
    stand.control("orders/history", {"days": 90, "per_day": 2})
    query = "{ orders { edges { node { id createdAt lineItems { edges { node { sku quantity } } } } } } }"
    recent = stand.bulk(query)
    stand.store.granted = (*stand.store.granted, "read_all_orders")
    every = stand.bulk(query)
    oldest = next(row for row in every if "createdAt" in row)

    assert (len(recent), len(every)) == (2 * 2 * 60, 2 * 2 * 90)
    stand.store.granted = stand.store.granted[:-1]
    assert stand.data("query o($id: ID!) { order(id: $id) { id } }", id=oldest["id"]) is None
    assert stand.data("{ ordersCount { count } }") == {"count": 120}
    assert stand.stock("A") == (10, 0, 0)
