"""The API does what its own description says, whatever is sent to it."""

from __future__ import annotations

import contextvars
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis.stateful import run_state_machine_as_test
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig

from occ_app import clock
from occ_app.b2b import tokens
from occ_app.catalog.models import Item, Location
from occ_app.extensions import db, shop_scope
from occ_app.shops import settings as shop_settings
from occ_app.shops.models import Shop
from occ_app.stock import lots

# The description says what may be sent, not what is in the shop's books. So a request that fits it may still be refused: 404 and 409 for
# what is not there or goes no further, and for an order 422: it names SKUs that are unknown or stand twice, or a key that was used for
# another request, none of which a schema can say. Nothing else is let through.
FITTING = ["2xx", 401, 403, 404, 409, "5xx"]
CHECKED: dict[str, Any] = {
    "checks": {"positive_data_acceptance": {"expected-statuses": FITTING}},
    "operations": [
        {
            "include-operation-id": "place_order",
            "checks": {"positive_data_acceptance": {"expected-statuses": [*FITTING, 422]}},
        }
    ],
}
ROUNDS = 15
PHASES = (Phase.explicit, Phase.generate)
ALL = list(HealthCheck)
BOUNDS = settings(
    max_examples=ROUNDS, deadline=None, derandomize=True, database=None, phases=PHASES, suppress_health_check=ALL
)


@pytest.fixture
def token(app: Flask) -> str:
    """A store of 300 bars, and a token that may do everything as often as it likes."""
    shop = Shop(domain="api.myshopify.com", installed_at=clock.now(), settings={})
    db.session.add(shop)
    db.session.flush()
    with shop_scope(shop.id):
        shop_settings.put(shop, "api_requests_per_minute", "1000000")
        where = Location(location_gid="gid://shopify/Location/1", name="Here", pulled_at=clock.now())
        db.session.add(where)
        db.session.flush()
        shop_settings.put(shop, "default_location", where.location_gid)
        item = Item(sku="BAR", name="Bar", safety_stock=0, unit="piece", created_at=clock.now())
        db.session.add(item)
        db.session.flush()
        day = clock.now().date()
        facts = {"today": day, "actor": "test", "at": clock.now()}
        lots.make(item, 300, location_id=where.id, place="released", **facts)
        _, plain = tokens.make("tests", list(tokens.SCOPES), actor="test", at=clock.now())
        db.session.commit()
    return plain


@pytest.fixture
def api_schema(app: Flask, token: str) -> Any:
    """The description as it is served."""
    config = SchemathesisConfig.from_dict({**CHECKED, "auth": {"openapi": {"token": {"bearer": token}}}})
    inside = contextvars.Context().run
    return inside(lambda: schemathesis.openapi.from_wsgi("/api/v1/openapi.json", app, config=config))


OPERATIONS = (
    "GET /api/v1/stock",
    "GET /api/v1/stock/{sku}",
    "GET /api/v1/stock-changes",
    "GET /api/v1/orders",
    "POST /api/v1/orders",
    "GET /api/v1/orders/{order_id}",
    "POST /api/v1/orders/{order_id}/confirm",
    "POST /api/v1/orders/{order_id}/ship",
    "POST /api/v1/orders/{order_id}/cancel",
    "POST /sync/all",
    "POST /sync/{product_id}",
    "GET /api/v1/sync-runs",
    "GET /api/v1/sync-runs/{run_id}",
)


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("name", OPERATIONS)
def test_every_answer_is_as_described(api_schema: Any, name: str, mode: GenerationMode) -> None:
    """All checks of Schemathesis, with requests that fit the description and with such as do not."""
    method, path = name.split()
    tried = api_schema[path][method]
    if mode is GenerationMode.NEGATIVE and name == "POST /sync/all":
        return  # it takes nothing that could be wrong

    @BOUNDS
    @given(case=tried.as_strategy(generation_mode=mode))
    def try_out(case: Any) -> None:
        # A wrong value that is right once it is sent: one text is a list of one.
        assume(mode is GenerationMode.POSITIVE or isinstance((case.query or {}).get("sku", []), list))
        contextvars.Context().run(case.call_and_validate)

    try_out()


def test_what_follows_by_links_is_as_described(api_schema: Any) -> None:
    """Orders are placed, read, confirmed, shipped, cancelled; syncs asked for and followed: each with what the answer before it gave."""
    taken: list[str] = []

    class Following(api_schema.as_state_machine()):  # type: ignore[misc]
        """A caller who follows links."""

        def before_call(self, case: Any) -> None:
            """An order that fits the description is one of bars: a SKU that is guessed is unknown."""
            is_order = case.operation.label == "POST /api/v1/orders" and case.meta.generation.mode.is_positive
            if is_order:
                case.body["lines"] = [{"sku": "BAR", "quantity": 1}]

        def after_call(self, response: Any, case: Any) -> None:
            """What was done is noted."""
            super().after_call(response, case)
            taken.append(f"{case.operation.label} {response.status_code}")

    contextvars.Context().run(
        lambda: run_state_machine_as_test(Following, settings=settings(BOUNDS, stateful_step_count=6))
    )

    assert {
        "POST /api/v1/orders 201",
        "GET /api/v1/orders/{order_id} 200",
        "GET /api/v1/sync-runs/{run_id} 200",
    } <= set(taken)


def test_the_description_is_of_every_operation(api_schema: Any) -> None:
    found = [operation.ok().label for operation in api_schema.get_all_operations()]

    assert sorted(found) == sorted(OPERATIONS)
