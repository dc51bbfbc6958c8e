"""A store in devshop, the app's access to it, and calls of its Admin API, for the tests of devshop itself."""

from __future__ import annotations

import json
from typing import Any

from flask import Flask

from devshop import oauth, products
from devshop.app import create_app
from devshop.appconfig import AppConfig, Subscription
from devshop.webhooks import Sender
from devshop.world import Level, Store, World

DOMAIN = "roast.myshopify.com"
SECRET = "a-secret-that-is-long-enough-for-hs256"
SCOPES = (
    "write_products",
    "write_inventory",
    "read_locations",
    "write_publications",
    "write_orders",
    "write_draft_orders",
    "write_merchant_managed_fulfillment_orders",
)
TOPICS = ("products/create", "products/update", "products/delete", "inventory_items/update", "inventory_levels/update")
TOPICS += ("orders/create", "orders/updated", "orders/cancelled", "orders/paid", "orders/fulfilled")
TOPICS += (
    "draft_orders/create",
    "draft_orders/update",
    "draft_orders/delete",
    "fulfillments/create",
    "fulfillments/update",
)


class Stand:
    """One store, `A` and `B` in it with ten each at `Here`."""

    def __init__(self) -> None:
        self.world = World("client-id", SECRET)
        told = [Subscription(topic, "http://127.0.0.1:9/webhooks") for topic in TOPICS]
        self.world.config = AppConfig(subscriptions=told)
        self.store: Store = self.world.add_store(DOMAIN, "Roast", time_zone="Europe/London", currency="GBP")
        self.here, self.there = self.store.add_location("Here"), self.store.add_location("There")
        for sku in ("A", "B"):
            products.create(self.store, {"title": sku, "variants": [{"sku": sku, "price": "8.00", "available": 10}]})
        oauth.install(self.store, SCOPES)
        self.app: Flask = create_app(self.world)
        self.web = self.app.test_client()
        self.token = oauth.issue(self.store, expiring=False).value

    def ask(self, query: str, **variables: Any) -> Any:
        """The whole answer of one operation."""
        headers = {"Host": DOMAIN, "X-Shopify-Access-Token": self.token}
        body = {"query": query, "variables": variables}
        return self.web.post("/admin/api/2026-10/graphql.json", json=body, headers=headers).get_json()

    def data(self, query: str, **variables: Any) -> Any:
        """The value of the operation's one field."""
        answer = self.ask(query, **variables)
        assert "errors" not in answer, answer["errors"]
        (value,) = answer["data"].values()
        return value

    def told(self, topic: str) -> list[Any]:
        """Payloads of the webhooks of that topic, oldest first."""
        sender: Sender = self.app.extensions["devshop_sender"]
        return [json.loads(delivery.body) for delivery in sender.deliveries if delivery.topic == topic]

    def level(self, sku: str) -> Level:
        """The stock of a SKU here."""
        return self.store.levels[self.store.variant(sku).item_id, self.here.id]

    def stock(self, sku: str) -> tuple[int, int, int]:
        """Available, reserved, committed of a SKU here."""
        found = self.level(sku).quantities
        return found["available"], found["reserved"], found["committed"]

    def control(self, path: str, body: Any = None, method: str = "POST") -> Any:
        """A call of the control API."""
        return self.web.open(f"/_devshop/shops/{DOMAIN}/{path}", method=method, json=body).get_json()

    def bulk(self, query: str) -> list[Any]:
        """The lines of a bulk operation."""
        run = "mutation r($q: String!) { bulkOperationRunQuery(query: $q, groupObjects: false) { bulkOperation { id } userErrors { message } } }"
        gid = self.data(run, q=query)["bulkOperation"]["id"]
        for _ in range(3):
            seen = self.data("query q($id: ID!) { bulkOperation(id: $id) { status url } }", id=gid)
        lines = self.web.get(seen["url"].removeprefix(f"https://{DOMAIN}"), headers={"Host": DOMAIN}).get_data(
            as_text=True
        )
        return [json.loads(line) for line in lines.splitlines()]
