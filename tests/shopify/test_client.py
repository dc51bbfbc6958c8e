"""The client of one shop: paces itself, retries what may be retried, and never shows a token."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import httpx2
import pytest

from occ_app.shopify import client as module
from occ_app.shopify.client import TRIES, Client
from occ_app.shopify.domains import is_shop_domain, shop_of_url
from occ_app.shopify.errors import (
    NoAnswerError,
    RetiredVersionError,
    ShopifyAccessError,
    ShopifyRefusedError,
    ShopifyUnavailableError,
)
from occ_app.shopify.versions import days_left

DOMAIN = "pace.myshopify.com"
COST = {"requestedQueryCost": 500, "actualQueryCost": 400}
STATUS = {"maximumAvailable": 1000, "currentlyAvailable": 100, "restoreRate": 50}


def good(**extra: Any) -> dict[str, Any]:
    """A good answer."""
    return {"data": {"ok": True}, "extensions": {"cost": {**COST, "throttleStatus": STATUS}}, **extra}


def make(answer: Callable[[int], Any]) -> tuple[Client, list[float], list[httpx2.Request]]:
    """A client whose n-th call is answered by `answer(n)`; its waits; its requests."""
    module._buckets.clear()
    waits: list[float] = []
    requests: list[httpx2.Request] = []

    def send(request: httpx2.Request) -> httpx2.Response:
        requests.append(request)
        found = answer(len(requests))
        if isinstance(found, Exception):
            raise found
        status, body = found if isinstance(found, tuple) else (200, found)
        return httpx2.Response(status, json=body, headers={"Date": "Sat, 21 Nov 2026 12:00:00 GMT"})

    http = httpx2.Client(transport=httpx2.MockTransport(send))
    return Client(DOMAIN, lambda force: "renewed" if force else "token", http, waits.append), waits, requests


def test_it_waits_until_the_bucket_holds_what_the_last_call_asked_for() -> None:
    client, waits, _ = make(lambda n: good())
    client.query("shop_facts", {})
    client.query("shop_facts", {})

    assert waits[0] == 0
    assert waits[1] == pytest.approx(8, abs=0.2)  # 500 asked, 100 there, 50 a second


def test_a_throttled_call_is_tried_again() -> None:
    throttled = {
        "errors": [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}],
        "extensions": good()["extensions"],
    }
    client, _, requests = make(lambda n: throttled if n < 3 else good())

    assert client.query("shop_facts", {}).data == {"ok": True}
    assert len(requests) == 3


@pytest.mark.parametrize("trouble", [(429, {}), (502, {}), httpx2.ConnectError("no"), httpx2.ReadTimeout("slow")])
def test_a_query_in_trouble_is_tried_a_bounded_number_of_times(trouble: Any) -> None:
    client, _, requests = make(lambda n: trouble)
    with pytest.raises(ShopifyUnavailableError):
        client.query("shop_facts", {})

    assert len(requests) == TRIES


@pytest.mark.parametrize(
    "trouble",
    [
        (502, {}),
        httpx2.ReadTimeout("slow"),
        {"errors": [{"message": "x", "extensions": {"code": "INTERNAL_SERVER_ERROR"}}]},
    ],
)
def test_a_mutation_without_an_answer_is_not_repeated_here(trouble: Any) -> None:
    client, _, requests = make(lambda n: trouble)
    with pytest.raises(NoAnswerError):
        client.mutate("inventory_set", {})

    assert len(requests) == 1


def test_a_refused_token_is_renewed_once() -> None:
    client, _, requests = make(lambda n: (401, {}) if n == 1 else good())
    client.query("shop_facts", {})

    assert [request.headers["X-Shopify-Access-Token"] for request in requests] == ["token", "renewed"]


def test_a_token_that_stays_refused_is_an_access_error() -> None:
    client, _, requests = make(lambda n: (401, {}))
    with pytest.raises(ShopifyAccessError):
        client.query("shop_facts", {})

    assert len(requests) == 2


def test_a_wrong_request_is_not_repeated() -> None:
    client, _, requests = make(lambda n: {"errors": [{"message": "Field 'x' doesn't exist"}]})
    with pytest.raises(ShopifyRefusedError, match="doesn't exist"):
        client.query("shop_facts", {})

    assert len(requests) == 1


def test_the_answer_carries_shopifys_clock() -> None:
    client, _, _ = make(lambda n: good())

    assert client.query("shop_facts", {}).at.isoformat() == "2026-11-21T12:00:00+00:00"


@pytest.mark.parametrize("domain", ["cocoa.myshopify.com", "a-1.myshopify.com"])
def test_plain_shop_domains_are_taken(domain: str) -> None:
    assert is_shop_domain(domain)


@pytest.mark.parametrize(
    "domain",
    [
        "",
        "myshopify.com",
        ".myshopify.com",
        "-a.myshopify.com",
        "a.myshopify.com.evil.com",
        "evil.com/a.myshopify.com",
        "a.myshopify.com:443",
        "user@a.myshopify.com",
        "a.b.myshopify.com",
        "A.myshopify.com",
        "a_b.myshopify.com",
        "a.myshopify.com\n",
        "\u0430.myshopify.com",
        "a.myshopify.com#",
        "a" * 80 + ".myshopify.com",
    ],
)
def test_domains_with_tricks_are_refused(domain: str) -> None:
    assert not is_shop_domain(domain)
    assert shop_of_url(f"https://{domain}") in (None, "a.myshopify.com")


def with_version(api: tuple[int, Any], oauth: int) -> tuple[Client, list[httpx2.Request]]:
    """A client whose API calls are answered by `api` and whose token endpoint by the status `oauth`; its requests."""
    module._buckets.clear()
    requests: list[httpx2.Request] = []

    def send(request: httpx2.Request) -> httpx2.Response:
        requests.append(request)
        if request.url.path == "/admin/oauth/access_token":
            return httpx2.Response(oauth, json={})
        return httpx2.Response(api[0], json=api[1], headers={"X-Shopify-API-Version": "2027-01"})

    http = httpx2.Client(transport=httpx2.MockTransport(send))
    return Client(DOMAIN, lambda force: "token", http, lambda _: None), requests


@pytest.mark.parametrize("name", ["query", "mutate"])
def test_a_retired_version_is_no_lost_store_and_is_not_tried_again_at_once(name: str) -> None:
    client, requests = with_version((404, {"errors": "Not Found"}), 400)
    with pytest.raises(RetiredVersionError, match="no longer serves API version 2026-10"):
        getattr(client, name)("shop_facts", {})

    assert [request.url.path for request in requests][1:] == ["/admin/oauth/access_token"]
    assert "X-Shopify-Access-Token" not in requests[1].headers
    assert requests[1].content == b"{}"


def test_a_store_that_is_gone_is_an_access_error() -> None:
    client, _ = with_version((404, {"errors": "Not Found"}), 404)
    with pytest.raises(ShopifyAccessError, match="no longer knows this store"):
        client.query("shop_facts", {})


def test_the_answer_names_the_version_that_gave_it() -> None:
    client, _ = with_version((200, good()), 400)

    assert client.query("shop_facts", {}).version == "2027-01"


@pytest.mark.parametrize(("on", "left"), [(date(2026, 11, 21), 314), (date(2027, 9, 30), 1), (date(2027, 10, 2), -1)])
def test_a_version_is_served_for_twelve_months(on: date, left: int) -> None:
    assert days_left("2026-10", on) == left
