"""What the API refuses, and how; who may ask; what is answered twice."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from occ_app import clock
from occ_app.b2b import levels, tokens
from occ_app.b2b.models import ApiToken, WholesaleOrder
from occ_app.extensions import across_shops, db
from tests.b2b.conftest import SKU, System
from tests.support.bench import DOMAIN, Bench


def orders_there_are() -> int:
    """How many orders are in the books."""
    db.session.remove()
    with across_shops():
        return db.session.scalar(db.select(db.func.count()).select_from(WholesaleOrder)) or 0


def test_the_same_request_again_gets_the_same_answer_and_one_order(system: System) -> None:
    first, second = system.order(5, key="PO-1"), system.order(5, key="PO-1")

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.get_json() == second.get_json()
    assert second.headers["Idempotency-Replayed"] == "true"
    assert first.headers["Location"] == second.headers["Location"]
    assert orders_there_are() == 1


def test_a_refusal_is_answered_again_too(system: System) -> None:
    first = system.order(500, key="PO-1")
    again = system.order(500, key="PO-1")

    assert (first.status_code, again.status_code) == (409, 409)
    assert first.get_data() == again.get_data()


def test_a_refusal_that_passes_by_itself_is_not_kept(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as early:
        early.setattr(levels.pull, "default_location", lambda: None)
        first = system.order(5, key="PO-1")
    again = system.order(5, key="PO-1")

    assert (first.status_code, first.headers["Retry-After"], again.status_code) == (503, "60", 201)
    assert orders_there_are() == 1


def test_a_key_is_not_taken_for_another_request(system: System) -> None:
    system.order(5, key="PO-1")
    answer = system.order(6, key="PO-1")

    assert answer.status_code == 422
    assert "another request" in answer.get_json()["detail"]
    assert orders_there_are() == 1


def test_an_order_without_a_key_is_refused(system: System) -> None:
    body = {"customer": {"name": "Corner Deli"}, "lines": [{"sku": SKU, "quantity": 1}]}

    assert system.post("/api/v1/orders", json=body).status_code == 400


@pytest.mark.parametrize("quantity", [0, -1, 10**12, 1.5, "5", None, True])
def test_a_quantity_that_cannot_be_is_refused_by_name(system: System, quantity: Any) -> None:
    answer = system.order(quantity)

    assert answer.status_code == 400
    assert answer.get_json()["errors"][0]["pointer"] == "/lines/0/quantity"
    assert answer.content_type == "application/problem+json"


def test_unknown_skus_among_known_ones_are_all_named(system: System) -> None:
    for number in range(200):
        system.bench.item(f"K{number}")
    skus = [f"K{number}" for number in range(200)]
    lines = [{"sku": sku, "quantity": 1} for sku in [*skus[:100], "NO-1", *skus[100:], "NO-2"]]
    answer = system.order(1, lines=lines)

    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.get_json()["errors"]] == ["/lines/100", "/lines/201"]
    assert answer.get_json()["errors"][0]["detail"] == "There is no item NO-1"
    assert orders_there_are() == 0


def test_too_few_units_are_told_with_the_numbers(system: System) -> None:
    system.bench.item("OTHER")
    system.bench.lot("OTHER", 5, number="O-1")
    lines = [{"sku": "OTHER", "quantity": 1}, {"sku": SKU, "quantity": 101}]
    placed = system.order(1, lines=lines)
    draft = system.order(1, lines=lines, confirm=False).get_json()["id"]
    confirmed = system.post(f"/api/v1/orders/{draft}/confirm")
    said = [{"pointer": "/lines/1", "detail": f"{SKU}: 101 wanted, 100 available"}]

    assert (placed.status_code, confirmed.status_code) == (409, 409)
    assert placed.get_json()["errors"] == confirmed.get_json()["errors"] == said


def test_a_body_of_50_megabytes_is_not_read(system: System) -> None:
    headers = {"Idempotency-Key": "big"}
    answer = system.post(
        "/api/v1/orders", data=b"[" * (50 * 1024 * 1024), content_type="application/json", headers=headers
    )

    assert answer.status_code == 413
    assert "larger than 1,048,576 bytes" in answer.get_json()["detail"]
    assert answer.content_type == "application/problem+json"


@pytest.mark.parametrize("depth", [900, 1500])
def test_a_body_that_is_nested_without_end_is_refused(system: System, depth: int) -> None:
    data = b'{"lines": ' + b"[" * depth + b"]" * depth + b"}"
    headers = {"Idempotency-Key": "deep"}
    answer = system.post("/api/v1/orders", data=data, content_type="application/json", headers=headers)

    assert answer.status_code == 400
    assert answer.content_type == "application/problem+json"


@pytest.mark.parametrize("words", [["--scope", ""], ["--scope", "stock:read", "--scope", ""], ["--scope", ","], [""]])
def test_an_empty_scope_on_the_command_line_is_refused(shop: Bench, words: list[str]) -> None:
    run = shop.app.test_cli_runner().invoke(args=["api-token", "create", "--shop", DOMAIN, "--name", "x", *words])

    assert run.exit_code == 1
    assert "A scope is empty" in run.stderr


@pytest.mark.parametrize("token", ["", "occ_", "occ_" + "a" * 43, "Basic x", "occ_\u00e9"])
def test_a_token_that_is_none_opens_nothing(system: System, token: str) -> None:
    answer = system.bench.visit(
        "/api/v1/stock", headers={"Authorization": f"Bearer {token}".encode("latin-1").decode("latin-1")}
    )

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_revoked_token_opens_nothing(system: System, shop: Bench) -> None:
    with shop.scope():
        for row in db.session.scalars(db.select(ApiToken)):
            tokens.revoke(row.id, clock.now())
        db.session.commit()

    assert system.ask("/api/v1/stock").status_code == 401


def test_an_expired_token_opens_nothing_however_wrong_the_callers_clock_is(
    shop: Bench, token_of: Callable[..., str], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = System(shop, token_of("stock:read", days=1), itertools.count(1))
    long_ago = {"Date": "Thu, 01 Jan 1970 00:00:00 GMT"}
    now = system.ask("/api/v1/stock", headers=long_ago).status_code
    (tmp_path / "clock").write_text(str(timedelta(days=1, seconds=1).total_seconds()))
    monkeypatch.setenv("OCC_CLOCK_FILE", str(tmp_path / "clock"))

    assert (now, system.ask("/api/v1/stock", headers=long_ago).status_code) == (200, 401)


def test_a_token_without_the_scope_is_told_which(shop: Bench, token_of: Callable[..., str]) -> None:
    answer = System(shop, token_of("stock:read"), itertools.count(1)).order(1)

    assert answer.status_code == 403
    assert "orders:write" in answer.get_json()["detail"]


def test_a_token_sees_its_own_shop_only(system: System) -> None:
    ours = system.order(5).get_json()["id"]
    other = system.bench.add_store("other.myshopify.com")
    shop = system.bench.install(other)
    with system.bench.scope(shop):
        _, plain = tokens.make("other", list(tokens.SCOPES), actor="test", at=clock.now())
        db.session.commit()
    theirs = System(system.bench, plain, itertools.count(1))

    assert theirs.ask(f"/api/v1/orders/{ours}").status_code == 404
    assert theirs.ask(f"/api/v1/stock/{SKU}").status_code == 404
    assert theirs.post(f"/api/v1/orders/{ours}/cancel").status_code == 404
    assert theirs.post(f"/sync/{SKU}").status_code == 404


def test_the_limit_is_told_with_each_answer_and_holds(system: System, shop: Bench) -> None:
    with shop.scope():
        from occ_app.shops import settings
        from occ_app.sync.targets import shop as of

        settings.put(of(), "api_requests_per_minute", "2")
        db.session.commit()
    answers = [system.ask("/api/v1/stock") for _ in range(4)]
    last = answers[-1]

    assert last.status_code == 429
    assert int(last.headers["Retry-After"]) <= 60
    assert last.headers["RateLimit-Policy"] == '"minute";q=2;w=60'
    assert last.headers["RateLimit"].startswith('"minute";r=0;t=')


def test_stock_is_not_sent_again_while_it_is_the_same(system: System) -> None:
    tag = system.ask(f"/api/v1/stock/{SKU}").headers["ETag"]
    same = system.ask(f"/api/v1/stock/{SKU}", headers={"If-None-Match": tag})
    system.order(1)
    other = system.ask(f"/api/v1/stock/{SKU}", headers={"If-None-Match": tag})

    assert (same.status_code, same.get_data(), other.status_code) == (304, b"", 200)


def test_changes_are_told_from_where_one_was(system: System) -> None:
    first = system.ask("/api/v1/stock-changes").get_json()
    nothing = system.ask(f"/api/v1/stock-changes?cursor={first['next_cursor']}").get_json()
    system.order(5)
    then = system.ask(f"/api/v1/stock-changes?cursor={first['next_cursor']}").get_json()

    assert [(row["sku"], row["b2b_stock"]) for row in first["changes"]] == [(SKU, 100)]
    assert nothing["changes"] == []
    assert [(row["sku"], row["b2b_stock"]) for row in then["changes"]] == [(SKU, 95)]


def test_a_sync_is_asked_for_and_followed(system: System) -> None:
    system.bench.edit_by_hand(SKU, 98)
    asked = system.post(f"/sync/{SKU}")
    before = system.ask(asked.headers["Location"]).get_json()
    system.bench.drain()
    after = system.ask(asked.headers["Location"]).get_json()

    assert (asked.status_code, before["state"], after["state"], after["looked_at"]) == (202, "waiting", "done", 1)


def test_health_is_open_and_bare(system: System) -> None:
    answer = system.bench.visit("/health")

    assert (answer.status_code, answer.get_json()) == (200, {"status": "ok"})


@pytest.mark.parametrize("path", ["/api/v1/nothing", "/api/v2", "/sync/"])
def test_what_is_not_there_is_told_as_a_problem(system: System, path: str) -> None:
    answer = system.ask(path)

    assert answer.status_code in (404, 405)
    assert answer.content_type == "application/problem+json"
