"""`POST /webhooks`: verified, stored, answered, and nothing else."""

from __future__ import annotations

import base64
import hashlib
import hmac
import threading
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from occ_app import clock
from occ_app.extensions import across_shops, db
from occ_app.inbox import working
from occ_app.inbox.models import Delivery
from occ_app.shopify.errors import ShopifyUnavailableError
from occ_app.shops.models import PrivacyRequest
from occ_app.wiring import TOPICS, readiness, sweep
from tests.support.bench import DOMAIN, Bench, Statements
from tests.support.settings import SECRET

BODY = b'{"id": 1, "updated_at": "2026-11-21T12:00:00Z"}'


def sign(body: bytes, secret: str = SECRET) -> str:
    """Shopify's signature."""
    return base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256)).decode()


def post(app: Flask, body: bytes = BODY, path: str = "/webhooks", **changed: str | None) -> Any:
    """A delivery, with some headers changed or (None) left out."""
    headers = {
        "X-Shopify-Topic": "orders/create",
        "X-Shopify-Shop-Domain": DOMAIN,
        "X-Shopify-Webhook-Id": "w-1",
        "X-Shopify-Hmac-SHA256": sign(body),
        **{f"X-Shopify-{name.replace('_', '-')}": value for name, value in changed.items()},
    }
    sent = {name: value for name, value in headers.items() if value is not None}
    return app.test_client().post(path, data=body, headers=sent, content_type="application/json")


def rows() -> int:
    """How many deliveries are stored."""
    with across_shops():
        return db.session.scalar(db.select(db.func.count()).select_from(Delivery)) or 0


@pytest.mark.parametrize("path", ["/webhooks", "/webhooks/inventory-update", "/webhooks/orders-create"])
def test_a_signed_delivery_is_stored(app: Flask, path: str) -> None:
    assert post(app, path=path).status_code == 200
    assert rows() == 1


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"Hmac_SHA256": None}, 401),
        ({"Hmac_SHA256": "bm90IHRoZSBzaWduYXR1cmU="}, 401),
        ({"Hmac_SHA256": "ünïcode"}, 401),
        ({"Topic": None}, 400),
        ({"Webhook_Id": None}, 400),
        ({"Shop_Domain": "evil.example.com"}, 400),
        ({"Shop_Domain": "cocoa.myshopify.com.evil.com"}, 400),
    ],
)
def test_what_is_no_delivery_is_refused_and_not_stored(app: Flask, changed: dict[str, str | None], status: int) -> None:
    assert post(app, **changed).status_code == status
    assert rows() == 0


@pytest.mark.parametrize("body", [b"hello", b"", b"[]", b"7", b'{"id": 1'])
def test_a_body_that_is_no_json_object_is_refused(app: Flask, body: bytes) -> None:
    assert post(app, body).status_code == 400
    assert rows() == 0


@pytest.mark.parametrize("body", [b"\xff\xfe{", b"[" * 100_000, b'{"a": ' * 100_000])
def test_a_signed_body_that_cannot_be_read_is_refused_for_that(app: Flask, body: bytes) -> None:
    answer = post(app, body)

    assert (answer.status_code, answer.get_data(as_text=True)) == (400, "The body is not a JSON object in UTF-8.")
    assert post(app, body, Hmac_SHA256=sign(body, "wrong")).status_code == 401
    assert rows() == 0


def test_a_body_that_is_too_large_is_refused(app: Flask) -> None:
    assert post(app, b"{" + b" " * (2 * 1024 * 1024)).status_code == 413


def test_a_shop_that_we_do_not_know_is_stored_and_answered(app: Flask) -> None:
    assert post(app, Shop_Domain="unknown.myshopify.com").status_code == 200
    with across_shops():
        assert db.session.scalars(db.select(Delivery.shop_id)).one() is None


@pytest.mark.parametrize("topic", ["orders/create", "app/uninstalled"])
def test_news_of_a_shop_that_we_do_not_know_is_ignored(app: Flask, topic: str) -> None:
    post(app, Shop_Domain="unknown.myshopify.com", Topic=topic)
    with across_shops():
        sweep()
        assert db.session.scalars(db.select(Delivery.state)).one() == "ignored"


@pytest.mark.parametrize("topic", ["shop/redact", "customers/redact", "customers/data_request"])
def test_what_privacy_law_asks_of_an_unknown_shop_is_recorded(app: Flask, topic: str) -> None:
    body = b'{"customer": {"email": "jane@example.com"}}'
    post(app, body, Shop_Domain="unknown.myshopify.com", Topic=topic)
    with across_shops():
        sweep()
        delivery = db.session.scalars(db.select(Delivery)).one()

    assert delivery.state == "done"
    assert db.session.scalars(db.select(PrivacyRequest.topic)).one() == topic
    assert b"jane" not in delivery.body or topic == "shop/redact"


def test_readiness_counts_only_deliveries_that_are_overdue(app: Flask) -> None:
    post(app)
    late = "A delivery has been due for more than 10 minutes."
    assert late not in readiness()
    with across_shops():
        delivery = db.session.scalars(db.select(Delivery)).one()
        delivery.received_at = clock.now() - timedelta(hours=1)
        delivery.next_try_at = clock.now() - timedelta(minutes=9)
        db.session.commit()
        assert late not in readiness()
        delivery.next_try_at = clock.now() - timedelta(minutes=11)
        db.session.commit()

    assert late in readiness()


def test_the_same_delivery_many_times_at_once_is_one_row(app: Flask) -> None:
    answers: list[int] = []
    threads = [threading.Thread(target=lambda: answers.append(post(app).status_code)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert answers == [200] * 8
    assert rows() == 1


def test_a_delivery_costs_one_insert(app: Flask) -> None:
    post(app)
    with Statements() as statements:
        post(app, Webhook_Id="w-2")

    assert [text.split()[0] for text in statements.texts] == ["INSERT"]


def test_the_old_secret_is_good_during_a_rotation_and_no_other(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    config = app.extensions["occ_config"]
    monkeypatch.setitem(app.extensions, "occ_config", replace(config, api_secret="new", api_secret_old=SECRET))

    assert post(app).status_code == 200
    assert post(app, Webhook_Id="w-2", Hmac_SHA256=sign(BODY, "new")).status_code == 200
    assert post(app, Webhook_Id="w-3", Hmac_SHA256=sign(BODY, "wrong")).status_code == 401


def test_what_cannot_be_stored_is_told_so(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("occ_app.inbox.intake._INSERT", db.text("SELECT 1 FROM there_is_no_such_table"))

    assert post(app).status_code == 503


def test_a_delivery_that_fails_waits_longer_each_time_then_parks_and_stops_no_other(bench: Bench) -> None:
    shop = bench.install()
    post(bench.app, b'{"no_id": true}', Webhook_Id="bad")
    post(bench.app, Webhook_Id="good", Topic="fulfillments/create", Hmac_SHA256=sign(BODY))
    waits = []
    for _ in range(working.MOST_TRIES):
        with across_shops():
            bad = db.session.scalars(db.select(Delivery).where(Delivery.webhook_id == "bad")).one()
            bad.next_try_at = clock.now()
            db.session.commit()
        bench.drain()
        with across_shops():
            bad = db.session.scalars(db.select(Delivery).where(Delivery.webhook_id == "bad")).one()
            waits.append(round((bad.next_try_at - clock.now()).total_seconds()))
    with across_shops():
        states = dict(db.session.execute(db.select(Delivery.webhook_id, Delivery.state)).all())

    assert states["bad"] == "parked"
    assert states["good"] == "done"
    assert waits == sorted(waits)
    page = bench.open("/activity?view=parked").get_data(as_text=True)
    assert "Try again" in page
    assert shop.domain == DOMAIN


def test_an_outage_however_long_leaves_tries_for_a_failure_of_its_own(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.install()
    post(bench.app, b'{"no_id": true}', Webhook_Id="bad")

    def fails(delivery: Delivery, payload: object) -> None:
        raise ShopifyUnavailableError("Shopify does not answer.")

    def tried(times: int) -> str:
        for _ in range(times):
            with across_shops():
                bad = db.session.scalars(db.select(Delivery).where(Delivery.webhook_id == "bad")).one()
                bad.next_try_at = clock.now()
                db.session.commit()
            bench.drain()
        with across_shops():
            return db.session.scalars(db.select(Delivery.state).where(Delivery.webhook_id == "bad")).one()

    with monkeypatch.context() as outage:
        outage.setitem(TOPICS, "orders/create", fails)
        assert tried(12) == "waiting"

    assert [tried(2), tried(1)] == ["waiting", "parked"]


@pytest.mark.parametrize(
    "moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "1999-12-31T23:59:59Z", "soon", "2026-11-21"]
)
def test_an_impossible_moment_is_not_kept(app: Flask, moment: str) -> None:
    assert post(app, Triggered_At=moment).status_code == 200
    with across_shops():
        assert db.session.scalars(db.select(Delivery.triggered_at)).one() is None


def test_a_delivery_that_cannot_be_read_is_parked_and_stops_no_other(bench: Bench) -> None:
    bench.install()
    post(bench.app, Topic="themes/publish", Webhook_Id="odd")
    db.session.execute(db.text("UPDATE delivery SET triggered_at = '0001-12-31 BC' WHERE webhook_id = 'odd'"))
    db.session.commit()
    post(bench.app, Topic="themes/publish", Webhook_Id="next")
    bench.drain()
    with across_shops():
        states = dict(db.session.execute(db.select(Delivery.webhook_id, Delivery.state)).all())

    assert (states["odd"], states["next"]) == ("parked", "ignored")
    assert "cannot be read" in bench.open("/activity?view=parked").get_data(as_text=True)


def test_deliveries_are_gone_a_month_after_they_were_worked_off(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.install()
    monkeypatch.setattr(working, "PER_DELETE", 2)
    body = b'{"customer": {}, "orders_to_redact": []}'
    for number in range(5):
        post(bench.app, body, Topic="customers/redact", Webhook_Id=f"w-{number}")
    bench.drain()
    with across_shops():
        db.session.execute(db.update(Delivery).values(received_at=clock.now() - timedelta(days=31)))
        changes = {"w-3": {"received_at": clock.now() - timedelta(days=29)}, "w-4": {"state": "parked"}}
        for name, values in changes.items():
            db.session.execute(db.update(Delivery).where(Delivery.webhook_id == name).values(values))
        db.session.commit()
        working.forget_old(clock.now())

        left = db.select(Delivery.webhook_id).where(Delivery.topic == "customers/redact").order_by(Delivery.id)
        assert list(db.session.scalars(left)) == ["w-3", "w-4"]
        assert db.session.scalar(db.select(db.func.count()).select_from(PrivacyRequest)) == 5


def test_what_names_a_customer_is_gone_once_it_was_worked_on(bench: Bench) -> None:
    bench.install()
    body = b'{"customer": {"email": "jane@example.com"}, "orders_to_redact": [1]}'
    post(bench.app, body, Topic="customers/redact", Webhook_Id="done")
    post(bench.app, b'{"customer": {"email": "jane@example.com"}, "orders_to_redact": 1}', Topic="customers/redact")
    with across_shops():
        hopeless = db.session.scalars(db.select(Delivery).where(Delivery.webhook_id == "w-1")).one()
        hopeless.tries = working.MOST_TRIES - 1
        db.session.commit()
    bench.drain()
    with across_shops():
        kept = db.select(Delivery.state, Delivery.body).where(Delivery.topic == "customers/redact")
        found = {tuple(row) for row in db.session.execute(kept)}

    assert found == {("done", b""), ("parked", b"")}


def test_unknown_topics_are_kept_and_ignored(bench: Bench) -> None:
    bench.install()
    post(bench.app, Topic="themes/publish", Webhook_Id="t")
    bench.drain()
    with across_shops():
        assert db.session.scalars(db.select(Delivery.state).where(Delivery.webhook_id == "t")).one() == "ignored"
