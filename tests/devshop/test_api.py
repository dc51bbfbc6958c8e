"""devshop answers as Shopify does, over its HTTP interface."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from flask.testing import FlaskClient
from shopify_app import ShopifyApp
from werkzeug.serving import make_server

from devshop import appconfig, products
from devshop.app import create_app
from devshop.webhooks import RETRIES
from devshop.world import Store, World
from occ_app.config import ROOT

DOMAIN = "shop.myshopify.com"
SECRET = "a-secret-that-is-long-enough-for-hs256"
SET = """mutation set($input: InventorySetQuantitiesInput!, $key: String!) {
  inventorySetQuantities(input: $input) @idempotent(key: $key) { userErrors { code field message } } }"""


@pytest.fixture
def world() -> World:
    """A world with one store, two variants, and the app."""
    world = World("client-id", SECRET, "http://127.0.0.1:9")
    world.config = appconfig.load(ROOT / "shopify.app.dev.toml", world.app_url)
    store = world.add_store(DOMAIN, "Shop", plan="standard")
    store.add_location("Here")
    for sku in ("A", "B"):
        products.create(store, {"title": sku, "variants": [{"sku": sku, "available": 10}]})
    return world


@pytest.fixture
def web(world: World) -> FlaskClient:
    """devshop over HTTP."""
    return create_app(world).test_client()


def store_of(world: World) -> Store:
    """The store."""
    return world.stores[DOMAIN]


def control(web: FlaskClient, path: str, body: Any = None, method: str = "POST") -> Any:
    """A call of the control API."""
    return web.open(f"/_devshop/shops/{DOMAIN}/{path}", method=method, json=body).get_json()


def ask(web: FlaskClient, query: str, variables: dict[str, Any] | None = None, token: str | None = None) -> Any:
    """A call of the Admin API."""
    token = token or control(web, "access-token", {})["access_token"]
    headers = {"X-Shopify-Access-Token": token, "Host": DOMAIN}
    return web.post(
        "/admin/api/2026-10/graphql.json", json={"query": query, "variables": variables or {}}, headers=headers
    )


def row(world: World, sku: str, quantity: int, **more: Any) -> dict[str, Any]:
    """One quantity to be set."""
    store = store_of(world)
    ids = {"inventoryItemId": store.variant(sku).item_gid, "locationId": store.location(None).gid}
    return {**ids, "quantity": quantity, "changeFromQuantity": 10, **more}


def put(web: FlaskClient, *rows: dict[str, Any], key: str = "k1", reason: str = "correction") -> Any:
    """inventorySetQuantities; its body."""
    return ask(
        web, SET, {"input": {"name": "available", "reason": reason, "quantities": list(rows)}, "key": key}
    ).get_json()


def codes(body: Any) -> list[str]:
    """The codes of the user errors."""
    return [error["code"] for error in body["data"]["inventorySetQuantities"]["userErrors"]]


def test_an_unknown_token_is_401_and_an_unknown_store_404(web: FlaskClient) -> None:
    assert ask(web, "{ shop { name } }", token="nonsense").status_code == 401
    assert web.post("/admin/api/2026-10/graphql.json", headers={"Host": "none.myshopify.com"}).status_code == 404


def test_another_api_version_is_refused(web: FlaskClient) -> None:
    token = control(web, "access-token", {})["access_token"]
    answer = web.post("/admin/api/2024-01/graphql.json", headers={"Host": DOMAIN, "X-Shopify-Access-Token": token})

    assert answer.status_code == 404


def test_the_cost_is_told(web: FlaskClient) -> None:
    cost = ask(web, "{ products(first: 10) { nodes { id variants(first: 2) { nodes { id } } } } }").get_json()[
        "extensions"
    ]["cost"]

    assert cost["requestedQueryCost"] == 10 * (1 + 2 * 1)
    assert cost["actualQueryCost"] < cost["requestedQueryCost"]
    assert cost["throttleStatus"]["maximumAvailable"] == 2000


def test_an_empty_bucket_throttles_with_status_200(web: FlaskClient, world: World) -> None:
    store_of(world).bucket.available = 0
    answer = ask(web, "{ products(first: 250) { nodes { id } } }")

    assert answer.status_code == 200
    assert answer.get_json()["errors"][0]["extensions"]["code"] == "THROTTLED"


def test_a_query_beyond_1000_points_is_refused(web: FlaskClient) -> None:
    body = ask(web, "{ products(first: 250) { nodes { variants(first: 100) { nodes { id } } } } }").get_json()

    assert body["errors"][0]["extensions"]["code"] == "MAX_COST_EXCEEDED"


def test_a_missing_scope_is_named(web: FlaskClient) -> None:
    token = control(web, "access-token", {"scopes": ["read_products"]})["access_token"]
    error = ask(web, "{ orders(first: 1) { nodes { id } } }", token=token).get_json()["errors"][0]

    assert error["extensions"]["code"] == "ACCESS_DENIED"
    assert "orders" in error["message"]
    assert "read_orders" in error["message"]


def test_what_is_not_modelled_says_so_by_name(web: FlaskClient) -> None:
    body = ask(web, "{ shop { name billingAddress { city } } }").get_json()

    assert body["errors"][0]["message"] == "devshop does not model Shop.billingAddress"


def test_compare_and_swap_writes_and_refuses_what_is_stale(web: FlaskClient, world: World) -> None:
    assert codes(put(web, row(world, "A", 12))) == []
    body = put(web, row(world, "A", 15), key="k2")

    assert codes(body) == ["CHANGE_FROM_QUANTITY_STALE"]
    assert body["data"]["inventorySetQuantities"]["userErrors"][0]["field"] == [
        "input",
        "quantities",
        "0",
        "changeFromQuantity",
    ]


def test_the_idempotent_key_is_needed_and_honoured(web: FlaskClient, world: World) -> None:
    bare = SET.replace("@idempotent(key: $key)", "").replace(", $key: String!", "")
    variables = {"input": {"name": "available", "reason": "correction", "quantities": [row(world, "A", 12)]}}
    assert "@idempotent" in ask(web, bare, variables).get_json()["errors"][0]["message"]
    assert codes(put(web, row(world, "A", 12))) == []
    assert codes(put(web, row(world, "A", 12))) == []
    assert codes(put(web, row(world, "A", 13))) == ["IDEMPOTENCY_KEY_PARAMETER_MISMATCH"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"quantity": -1}, "INVALID_QUANTITY_NEGATIVE"),
        ({"quantity": 2_000_000_000}, "INVALID_QUANTITY_TOO_HIGH"),
        ({"inventoryItemId": "gid://shopify/InventoryItem/1"}, "INVALID_INVENTORY_ITEM"),
        ({"locationId": "gid://shopify/Location/1"}, "INVALID_LOCATION"),
    ],
)
def test_a_bad_row_refuses_the_whole_call(web: FlaskClient, world: World, change: dict[str, Any], code: str) -> None:
    assert codes(put(web, row(world, "A", 12), {**row(world, "B", 12), **change})) == [code]
    assert (
        store_of(world)
        .levels[store_of(world).variant("A").item_id, store_of(world).location(None).id]
        .quantities["available"]
        == 10
    )


def test_bundle_parents_and_locations_that_are_off_refuse(web: FlaskClient, world: World) -> None:
    store_of(world).variant("A").is_bundle = True
    assert codes(put(web, row(world, "A", 12))) == ["NON_MUTABLE_INVENTORY_ITEM"]
    store_of(world).location(None).is_active = False
    store_of(world).add_location("There").is_active = False
    place = next(iter(store_of(world).locations.values()))
    gid = store_of(world).variant("B").item_gid

    assert codes(
        put(web, {"inventoryItemId": gid, "locationId": place.gid, "quantity": 1, "changeFromQuantity": 10}, key="k2")
    ) == ["INVALID_LOCATION"]


def test_more_than_250_rows_and_unknown_reasons_are_refused(web: FlaskClient, world: World) -> None:
    assert "250" in put(web, *[row(world, "A", 12)] * 251)["errors"][0]["message"]
    assert codes(put(web, row(world, "A", 12), key="k2", reason="because")) == ["INVALID_REASON"]
    assert codes(put(web, row(world, "A", 12), row(world, "A", 12), key="k3")) == [
        "NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR"
    ]


def test_a_bulk_operation_gives_every_variant_as_a_line(web: FlaskClient) -> None:
    run = 'mutation { bulkOperationRunQuery(query: "{ productVariants { edges { node { id sku } } } }", groupObjects: false)'
    run += " { bulkOperation { id } userErrors { message } } }"
    gid = ask(web, run).get_json()["data"]["bulkOperationRunQuery"]["bulkOperation"]["id"]
    looking = "query q($id: ID!) { bulkOperation(id: $id) { status url objectCount } }"
    seen = [ask(web, looking, {"id": gid}).get_json()["data"]["bulkOperation"] for _ in range(3)]
    lines = web.get(seen[-1]["url"].replace(f"https://{DOMAIN}", ""), headers={"Host": DOMAIN}).get_data(as_text=True)

    assert [look["status"] for look in seen] == ["RUNNING", "COMPLETED", "COMPLETED"]
    assert len(lines.splitlines()) == 2


def test_an_order_moves_available_to_committed_and_a_fulfilment_takes_it_out(web: FlaskClient) -> None:
    order = control(web, "orders", {"lines": [{"sku": "A", "quantity": 3}]})
    first = control(web, "inventory", method="GET")[0]
    control(web, f"orders/{order['id']}/fulfil", {})
    then = control(web, "inventory", method="GET")[0]

    assert (first["available"], first["committed"], first["on_hand"]) == (7, 3, 10)
    assert (then["available"], then["committed"], then["on_hand"]) == (7, 0, 7)


def test_a_location_shows_its_address_or_that_it_has_none(web: FlaskClient, world: World) -> None:
    there = control(
        web,
        "locations",
        {"name": "There", "address": {"address1": "1 Dock Road", "city": "Bristol", "countryCode": "GB"}},
    )
    query = "{ locations(first: 9) { nodes { id address { address1 city zip countryCode formatted } } } }"
    nodes = ask(web, query).get_json()["data"]["locations"]["nodes"]
    shown = {node["id"]: node["address"] for node in nodes}

    assert shown[store_of(world).location("Here").gid] == {
        "address1": None,
        "city": None,
        "zip": None,
        "countryCode": None,
        "formatted": [],
    }
    assert shown[there["gid"]]["formatted"] == ["1 Dock Road", "Bristol", "GB"]


def test_a_store_without_an_online_store_publishes_elsewhere(web: FlaskClient) -> None:
    control(web, "publications", {"names": ["Point of Sale"]})
    nodes = ask(
        web,
        "{ publications(first: 9) { nodes { name } } }",
        token=control(web, "access-token", {"scopes": ["read_publications"]})["access_token"],
    )

    assert nodes.get_json()["data"]["publications"]["nodes"] == [{"name": "Point of Sale"}]


def test_what_cannot_be_done_is_told(web: FlaskClient) -> None:
    answer = web.post(f"/_devshop/shops/{DOMAIN}/orders", json={"lines": [{"sku": "nothing", "quantity": 1}]})

    assert answer.status_code == 400
    assert "no variant" in answer.get_json()["error"]


def test_failed_deliveries_are_tried_eight_times_more_and_given_up(world: World) -> None:
    create_app(world)
    sender_app = create_app(world)
    sender = sender_app.extensions["devshop_sender"]
    store = store_of(world)
    store.is_installed = True
    sender.deliveries.clear()
    store.emit("products/update", next(iter(store.products.values())))
    delivery = sender.deliveries[0]
    for wait in (*RETRIES, 0):
        sender.deliver_due()
        world.clock.advance(wait)

    assert (delivery.state, delivery.attempts) == ("given_up", 9)


@pytest.fixture
def served(world: World) -> Iterator[str]:
    """devshop on a port of its own."""
    server = make_server("127.0.0.1", 0, create_app(world), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


class ToDevshop(httpx.BaseTransport):
    """Sends the official package's requests to devshop, as they are."""

    def __init__(self, url: str) -> None:
        self._url, self._inner = httpx.URL(url), httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.headers["Host"] = request.url.host
        request.url = request.url.copy_with(scheme="http", host=self._url.host, port=self._url.port)
        return self._inner.handle_request(request)

    def close(self) -> None:
        self._inner.close()


def test_shopifys_own_package_exchanges_asks_and_refreshes(web: FlaskClient, served: str) -> None:
    control(web, "install", {})
    app = ShopifyApp("client-id", SECRET)
    id_token = control(web, "id-token", {})["id_token"]
    request = {
        "method": "GET",
        "url": "http://127.0.0.1/",
        "body": "",
        "headers": {"Authorization": f"Bearer {id_token}"},
    }
    verified = app.verify_app_home_req(request, "/auth/patch-id-token")
    with httpx.Client(transport=ToDevshop(served)) as http:
        first = app.exchange_using_token_exchange(
            "offline", verified.id_token, verified.invalid_token_response, http_client=http
        )
        asked = app.admin_graphql_request(
            "{ shop { name } }", "shop", first.access_token.token, "2026-10", http_client=http
        )
        old = replace(first.access_token, expires="2020-01-01T00:00:00Z")
        second = app.refresh_token_exchanged_access_token(old, http_client=http)

    assert (verified.ok, first.ok, asked.ok, second.ok) == (True, True, True, True), second.log
    assert asked.data == {"shop": {"name": "Shop"}}
    assert second.access_token.token != first.access_token.token


def test_shopifys_own_package_accepts_our_webhooks(world: World) -> None:
    sender = create_app(world).extensions["devshop_sender"]
    store = store_of(world)
    store.is_installed = True
    store.emit("products/update", next(iter(store.products.values())))
    delivery = sender.deliveries[-1]
    request = {"method": "POST", "url": "", "body": delivery.body.decode(), "headers": sender._headers(delivery)}
    result = ShopifyApp("client-id", SECRET).verify_webhook_req(request)

    assert (result.ok, result.shop) == (True, "shop")
    assert not ShopifyApp("client-id", "another").verify_webhook_req(request).ok


def test_discounts_of_a_line_and_of_the_whole_order_are_off_what_a_unit_costs(web: FlaskClient) -> None:
    mugs = {"title": "Mug", "quantity": 2, "price": "6.00", "discount": "1.00"}
    made = control(web, "orders", {"lines": [mugs, {"title": "Gift wrap", "price": "2.00"}], "discount": "6.00"})
    names = ("originalUnitPriceSet", "discountedUnitPriceSet", "discountedUnitPriceAfterAllDiscountsSet")
    asked = " ".join(f"{name} {{ shopMoney {{ amount }} }}" for name in names)
    query = f"query($id: ID!) {{ order(id: $id) {{ lineItems(first: 9) {{ nodes {{ {asked} }} }} }} }}"
    found = ask(web, query, {"id": made["gid"]}).get_json()["data"]["order"]["lineItems"]["nodes"]
    too_much = control(web, "orders", {"lines": [{**mugs, "discount": "6.01"}]})

    assert made["total"] == "6.00"
    assert [[row[name]["shopMoney"]["amount"] for name in names] for row in found] == [
        ["6.00", "5.00", "2.50"],
        ["2.00", "2.00", "1.00"],
    ]
    assert too_much == {"error": "a discount is from 0 to 6.00"}
