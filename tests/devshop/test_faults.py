"""The switches: each makes devshop fail in its way, once or always, and nothing is half done that should be whole."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from devshop import inventory, oauth, orders, products
from devshop.app import create_app
from devshop.faults import CALLS, Faults
from devshop.webhooks import Sender
from devshop.world import Store, World
from occ_app.config import ROOT
from tests.support.settings import SECRET

DOMAIN = "cocoa.myshopify.com"
SET = """# as an app sends it, its source above
mutation set($input: InventorySetQuantitiesInput!, $key: String!) {
  inventorySetQuantities(input: $input) @idempotent(key: $key) { userErrors { code field } } }"""
READ = """query read($id: ID!, $place: ID!) { inventoryItem(id: $id) { inventoryLevel(locationId: $place) {
  quantities(names: ["available", "on_hand"]) { name quantity } } } }"""


@pytest.fixture
def world() -> World:
    """One store with one product, ten available."""
    world = World("client-id", SECRET)
    store = world.add_store(DOMAIN, "Cocoa")
    store.add_location("Here")
    products.create(store, {"title": "Bar", "variants": [{"sku": "BAR", "price": "1", "available": 10}]})
    oauth.install(store, ("read_inventory", "write_inventory", "read_products", "read_locations", "read_orders"))
    return world


@pytest.fixture
def store(world: World) -> Store:
    """The store."""
    return world.stores[DOMAIN]


@pytest.fixture
def web(world: World) -> FlaskClient:
    """devshop over HTTP."""
    return create_app(world).test_client()


def ask(web: FlaskClient, store: Store, query: str, variables: dict[str, Any]) -> Any:
    """The Admin API's answer."""
    token = oauth.issue(store, expiring=True).value
    headers = {"Host": DOMAIN, "X-Shopify-Access-Token": token}
    return web.post("/admin/api/2026-10/graphql.json", json={"query": query, "variables": variables}, headers=headers)


def write(web: FlaskClient, store: Store, quantity: int, key: str = "k", change_from: int = 10) -> Any:
    """`available` of the bar is set."""
    row = {"inventoryItemId": store.variant("BAR").item_gid, "locationId": store.location(None).gid}
    row |= {"quantity": quantity, "changeFromQuantity": change_from}  # type: ignore[dict-item]
    return ask(
        web, store, SET, {"input": {"name": "available", "reason": "correction", "quantities": [row]}, "key": key}
    )


def available(store: Store) -> int:
    """What is true."""
    return inventory.level(store, store.variant("BAR"), store.location(None)).quantities["available"]


def switch(web: FlaskClient, **data: Any) -> Any:
    """The control API."""
    return web.post(f"/_devshop/shops/{DOMAIN}/faults", json=data)


@pytest.mark.parametrize("name", [name for name in CALLS if not name.startswith("lost")])
def test_a_fault_hits_the_next_call_and_no_other(web: FlaskClient, store: Store, name: str) -> None:
    switch(web, upcoming=[{"name": name, "kind": "mutation"}])
    read = ask(web, store, READ, {"id": store.variant("BAR").item_gid, "place": store.location(None).gid})
    first = write(web, store, 7)

    assert "errors" not in read.get_json()
    assert first.status_code != 200 or not first.is_json or "errors" in first.get_json()
    assert available(store) == (7 if name.endswith("_after") else 10)
    assert store.faults == Faults()


@pytest.mark.parametrize(("name", "left"), [("lost_before", 10), ("lost_after", 7)])
def test_a_lost_answer_ends_the_connection(web: FlaskClient, store: Store, name: str, left: int) -> None:
    switch(web, upcoming=[name])
    with pytest.raises(ConnectionResetError):
        write(web, store, 7)

    assert available(store) == left
    assert write(web, store, 7).get_json()["data"]["inventorySetQuantities"]["userErrors"] == []
    assert available(store) == 7


def test_a_forgotten_key_makes_the_same_call_a_new_one(web: FlaskClient, store: Store) -> None:
    write(web, store, 7)
    switch(web, forgets_keys=True)
    again = write(web, store, 7).get_json()["data"]["inventorySetQuantities"]["userErrors"]

    assert [error["code"] for error in again] == ["CHANGE_FROM_QUANTITY_STALE"]


def test_stale_reads_show_the_past_and_writes_compare_with_the_present(
    web: FlaskClient, store: Store, world: World
) -> None:
    world.clock.advance(600)
    order = orders.create(store, {"lines": [{"sku": "BAR", "quantity": 3}]})
    world.clock.advance(2)
    orders.fulfil(store, order)
    switch(web, stale_seconds=60)
    place = {"id": store.variant("BAR").item_gid, "place": store.location(None).gid}
    query = "{ orders(first: 5) { nodes { id displayFulfillmentStatus } } }"

    def read() -> tuple[int, list[str]]:
        rows = ask(web, store, READ, place).get_json()["data"]["inventoryItem"]["inventoryLevel"]["quantities"]
        found = ask(web, store, query, {}).get_json()["data"]["orders"]["nodes"]
        return rows[0]["quantity"], [node["displayFulfillmentStatus"] for node in found]

    assert read() == (10, [])
    assert write(web, store, 12).get_json()["data"]["inventorySetQuantities"]["userErrors"] != []
    world.clock.advance(59)
    assert read() == (7, ["UNFULFILLED"])
    world.clock.advance(60)
    assert read() == (7, ["FULFILLED"])


def test_an_unknown_switch_sets_nothing(web: FlaskClient, store: Store) -> None:
    answer = switch(web, latency_ms=5, weather="bad")

    assert answer.status_code == 400
    assert "weather" in answer.get_json()["error"]
    assert switch(web, webhooks="sometimes").status_code == 400
    assert switch(web, upcoming=["rain"]).status_code == 400
    assert store.faults == Faults()


def test_the_panel_switches_on_and_off(web: FlaskClient, store: Store) -> None:
    form = {"call": "503", "kind": "query", "times": "2", "webhooks": "twice", "late_seconds": "30", "merges": "on"}
    web.post("/store/cocoa/faults", data=form)
    shown = web.get(f"/_devshop/shops/{DOMAIN}/faults").get_json()

    assert shown["upcoming"] == [{"name": "503", "kind": "query"}] * 2
    assert (shown["webhooks"], shown["late_seconds"], shown["merges"], shown["fails_alone"]) == (
        "twice",
        30,
        True,
        False,
    )
    assert "2 more calls meet" in web.get("/store/cocoa/faults").get_data(as_text=True)
    web.post("/store/cocoa/faults", data={"off": "1"})
    assert store.faults == Faults()


@pytest.mark.parametrize(("habit", "times"), [("normal", 1), ("twice", 2), ("at_once", 2), ("lost", 0)])
def test_webhooks_come_as_often_as_the_switch_says(world: World, store: Store, habit: str, times: int) -> None:
    got, sender = listen(world)
    store.faults.change({"webhooks": habit, "late_seconds": 30})
    inventory.set_available(store, store.levels[next(iter(store.levels))], 4, who="test", why="test")
    sender.deliver_due()
    assert got == []
    world.clock.advance(31)
    sender.deliver_due()
    sender.deliver_due()

    assert got == [4] * times


def test_merged_payloads_tell_the_last_value_twice(world: World, store: Store) -> None:
    got, sender = listen(world)
    store.faults.change({"merges": True})
    level = store.levels[next(iter(store.levels))]
    for number in (4, 3):
        inventory.set_available(store, level, number, who="test", why="test")
    sender.deliver_due()

    assert got == [3, 3]


def listen(world: World) -> tuple[list[int], Sender]:
    """What an app hears of stock."""
    import json

    import httpx2

    from devshop import appconfig

    got: list[int] = []

    def hear(request: httpx2.Request) -> httpx2.Response:
        got.append(json.loads(request.content)["available"])
        return httpx2.Response(200)

    world.config = appconfig.load(ROOT / "shopify.app.dev.toml", "http://127.0.0.1:9")
    return got, Sender(world, httpx2.MockTransport(hear))


VERSIONS = "{ publicApiVersions { handle supported } }"
SUBSCRIBE = """mutation s { webhookSubscriptionCreate(topic: ORDERS_CREATE, webhookSubscription: {uri: "https://a.example/w", name: "a"}) {
  webhookSubscription { name createdAt } userErrors { message } } }"""


def test_the_answer_names_the_version_and_another_one_when_it_falls_forward(web: FlaskClient, store: Store) -> None:
    first = ask(web, store, VERSIONS, {})
    switch(web, falls_forward="2027-01")
    then = ask(web, store, VERSIONS, {})

    assert first.headers["X-Shopify-API-Version"] == "2026-10"
    assert {"handle": "2026-10", "supported": True} in first.get_json()["data"]["publicApiVersions"]
    assert then.headers["X-Shopify-API-Version"] == "2027-01"
    assert {"handle": "2026-10", "supported": False} in then.get_json()["data"]["publicApiVersions"]


def test_a_retired_version_is_not_found_but_the_token_endpoint_is(web: FlaskClient, store: Store) -> None:
    switch(web, always="version")
    there = web.post("/admin/oauth/access_token", json={}, headers={"Host": DOMAIN})
    elsewhere = web.post("/admin/oauth/access_token", json={}, headers={"Host": "none.myshopify.com"})

    assert ask(web, store, VERSIONS, {}).status_code == 404
    assert (there.status_code, elsewhere.status_code) == (400, 404)


def test_a_subscription_is_refused_twice_and_without_access_to_customers_data(web: FlaskClient, store: Store) -> None:
    switch(web, refuses_topics=True)
    refused = ask(web, store, SUBSCRIBE, {}).get_json()["data"]["webhookSubscriptionCreate"]
    switch(web, refuses_topics=False)
    made = ask(web, store, SUBSCRIBE, {}).get_json()["data"]["webhookSubscriptionCreate"]
    again = ask(web, store, SUBSCRIBE, {}).get_json()["data"]["webhookSubscriptionCreate"]

    assert "not approved" in refused["userErrors"][0]["message"]
    assert made["webhookSubscription"]["name"] == "a"
    assert "already been taken" in again["userErrors"][0]["message"]
    assert len(store.subscriptions) == 1
