"""Who may see a page, and how a shop comes, goes and comes back."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import Any

import jwt
import pytest

from devshop import oauth
from occ_app import clock
from occ_app.errors import NotConfiguredError, RuleError
from occ_app.extensions import across_shops, db
from occ_app.shopify.errors import ShopifyAccessError
from occ_app.shops import settings
from occ_app.shops.connection import Connections
from occ_app.shops.models import PrivacyRequest, Shop, ShopToken
from occ_app.shops.secrets import seal, unseal
from occ_app.stock.models import StockMove
from tests.support.bench import DOMAIN, Bench
from tests.support.settings import SECRET


def token(**claims: Any) -> str:
    """An ID token with some claims changed or (None) left out."""
    now = int(time.time())
    body = {
        "iss": f"https://{DOMAIN}/admin",
        "dest": f"https://{DOMAIN}",
        "aud": "test-client-id",
        "sub": "42",
        "exp": now + 60,
        "nbf": now,
        "iat": now,
        "jti": "1",
        "sid": "1",
        **claims,
    }
    return jwt.encode({k: v for k, v in body.items() if v is not None}, claims.pop("key", SECRET), algorithm="HS256")


def ask(bench: Bench, value: str, path: str = "/products") -> Any:
    """A page, with that token."""
    return bench.visit(path, headers={"Authorization": f"Bearer {value}"})


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": int(time.time()) - 60},
        {"aud": "another-app"},
        {"aud": ["test-client-id", "another-app"]},
        {"exp": None},
        {"jti": None},
        {"sub": None},
        {"dest": "https://evil.example.com"},
        {"dest": f"https://{DOMAIN}.evil.com"},
        {"dest": f"https://user@{DOMAIN}"},
        {"dest": f"https://{DOMAIN}:444"},
        {"dest": f"http://{DOMAIN}"},
        {"iss": "https://other.myshopify.com/admin"},
    ],
)
def test_a_token_that_is_not_wholly_right_is_refused(bench: Bench, claims: dict[str, Any]) -> None:
    bench.install()

    assert ask(bench, token(**claims)).status_code == 401


def test_a_tampered_token_is_refused_so_that_app_bridge_asks_again(bench: Bench) -> None:
    bench.install()
    answer = ask(bench, token(key="another secret that is long enough"))

    assert answer.status_code == 401
    assert answer.headers["X-Shopify-Retry-Invalid-Session-Request"] == "1"


def test_a_document_without_a_token_goes_through_the_bounce_page(bench: Bench) -> None:
    answer = bench.visit(f"/lots?shop={DOMAIN}&host=abc")
    assert answer.status_code == 302
    location = answer.headers["Location"]
    assert "/auth/patch-id-token?" in location
    page = bench.visit(location.replace("http://127.0.0.1:8000", ""))

    assert page.status_code == 200
    assert 'src="http://127.0.0.1:9290/app-bridge.js"' in page.get_data(as_text=True)
    assert f"frame-ancestors https://{DOMAIN} https://admin.shopify.com" in page.headers["Content-Security-Policy"]


@pytest.mark.parametrize("reload", ["https://evil.example.com", "//evil.example.com", "/\\evil.example.com"])
def test_the_bounce_page_comes_back_to_us_only(bench: Bench, reload: str) -> None:
    answer = bench.visit("/auth/patch-id-token", query_string={"shop": DOMAIN, "shopify-reload": reload})

    assert answer.status_code == 400


def test_pages_may_be_framed_by_their_own_shop_only(bench: Bench) -> None:
    bench.install()
    policy = bench.open("/products").headers["Content-Security-Policy"]

    assert f"frame-ancestors https://{DOMAIN} https://admin.shopify.com http://127.0.0.1:9290;" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in bench.visit("/health").headers["Content-Security-Policy"]


def test_the_shop_is_the_tokens_whatever_the_address_says(bench: Bench) -> None:
    other = bench.add_store("other.myshopify.com")
    other.add_location("There")
    bench.install()
    bench.install(other)
    bench.item("SECRET-SKU")

    assert "SECRET-SKU" in bench.open(f"/products?shop={other.domain}").get_data(as_text=True)
    assert "SECRET-SKU" not in bench.open(f"/products?shop={DOMAIN}", other).get_data(as_text=True)
    assert bench.open("/products/1", other).status_code == 404


def test_a_page_opened_outside_of_the_admin_leads_into_it(bench: Bench) -> None:
    host = oauth.host_parameter(bench.store)
    answer = bench.visit("/lots", query_string={"shop": DOMAIN, "host": host})
    evil = bench.visit("/lots", query_string={"shop": "other.myshopify.com", "host": host})

    assert answer.headers["Location"] == "https://admin.shopify.com/store/cocoa-bristol/apps/test-client-id"
    assert "admin.shopify.com" not in evil.headers["Location"].split("?")[0]


def stored(bench: Bench) -> ShopToken:
    """The shop's token row."""
    return db.session.scalars(db.select(ShopToken).execution_options(populate_existing=True)).one()


def test_tokens_are_stored_encrypted_and_bound_to_their_row(bench: Bench) -> None:
    shop = bench.install()
    row, keys = stored(bench), bench.app.extensions["occ_config"].token_encryption_keys
    plain = unseal(keys, row.access_token, f"shop_token:{shop.id}:access_token")

    assert plain in bench.store.tokens
    assert plain.encode() not in row.access_token
    with pytest.raises(NotConfiguredError):
        unseal(keys, row.access_token, f"shop_token:{shop.id + 1}:access_token")


def test_a_new_key_encrypts_and_the_old_one_still_opens() -> None:
    old, new = b"o" * 32, b"n" * 32
    sealed = seal((old,), "secret", "here")

    assert unseal((new, old), sealed, "here") == "secret"
    with pytest.raises(NotConfiguredError):
        unseal((new,), sealed, "here")


def age(hours: float) -> None:
    """The stored access token ends so many hours earlier."""
    row = db.session.scalars(db.select(ShopToken)).one()
    assert row.access_expires_at is not None
    row.access_expires_at -= timedelta(hours=hours)
    db.session.commit()


def test_two_workers_renew_a_token_once(bench: Bench) -> None:
    shop = bench.install()
    age(2)
    connections: Connections = bench.app.extensions["occ_connections"]
    before, got = len(bench.store.tokens), []

    def renew() -> None:
        with bench.app.app_context():
            got.append(connections.access_token(shop.id, DOMAIN))

    threads = [threading.Thread(target=renew) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(got)) == 1
    assert len(bench.store.tokens) == before + 1


def test_a_revoked_token_that_cannot_be_renewed_asks_for_reconnecting(bench: Bench) -> None:
    bench.product("SSD", 5)
    bench.install()
    bench.store.tokens.clear()
    bench.sell_in("SSD", 1)
    bench.settle()
    with across_shops():
        assert db.session.scalars(db.select(Shop.status)).one() == "needs_reconnecting"
    assert bench.open("/").status_code == 200
    with across_shops():
        assert db.session.scalars(db.select(Shop.status).execution_options(populate_existing=True)).one() == "active"


def test_uninstalling_rests_everything_and_reinstalling_resumes(bench: Bench) -> None:
    bench.product("SSD", 0)
    bench.install()
    bench.item("SSD")
    bench.lot("SSD", 10)
    bench.map("SSD", "hub")
    bench.settle()
    oauth.uninstall(bench.store)
    bench.settle()
    with across_shops():
        assert db.session.scalars(db.select(Shop.status)).one() == "uninstalled"
    calls = len(bench.store.calls)
    bench.lot("SSD", 5)
    bench.drain()
    assert len(bench.store.calls) == calls
    bench.install()
    bench.settle()

    assert bench.available("SSD") == 15


def test_old_news_of_an_uninstall_does_not_close_a_shop_that_came_back(bench: Bench) -> None:
    bench.install()
    oauth.uninstall(bench.store)
    late = next(d for d in bench.sender.deliveries if d.topic == "app/uninstalled")
    bench.sender.send(late)
    bench.drain()
    bench.world.clock.advance(5)
    bench.install()
    late.webhook_id = "again"
    bench.sender.send(late)
    bench.drain()
    with across_shops():
        assert db.session.scalars(db.select(Shop.status)).one() == "active"


def test_late_news_of_an_uninstall_does_not_close_a_shop_that_reconnected(bench: Bench) -> None:
    bench.product("SSD", 5)
    bench.install()
    oauth.uninstall(bench.store)
    late = next(d for d in bench.sender.deliveries if d.topic == "app/uninstalled")
    bench.sender.deliveries.clear()
    oauth.install(bench.store)
    bench.sell_in("SSD", 1)  # our access was refused when it was read
    bench.settle()
    bench.open("/")
    bench.sender.send(late)
    bench.drain()
    with across_shops():
        assert db.session.scalars(db.select(Shop.status)).one() == "active"


def test_reconnecting_forgets_no_order_since_the_first_installation(bench: Bench) -> None:
    first = bench.install()
    with across_shops():
        shop = db.session.scalars(db.select(Shop)).one()
        shop.orders_seen_until = None
        db.session.delete(stored(bench))
        db.session.commit()
    bench.open("/")
    with across_shops():
        shop = db.session.scalars(db.select(Shop).execution_options(populate_existing=True)).one()

    assert shop.installed_at > first.installed_at == shop.orders_seen_until


def test_erasing_a_shop_leaves_no_row_of_it(bench: Bench) -> None:
    bench.product("SSD", 0)
    bench.install()
    bench.item("SSD")
    bench.lot("SSD", 10)
    bench.map("SSD", "hub")
    bench.sell_in("SSD", 2)
    bench.settle()
    oauth.uninstall(bench.store)
    bench.settle()
    bench.world.clock.advance(49 * 3600)
    bench.settle()
    with across_shops():
        assert db.session.scalar(db.select(db.func.count()).select_from(StockMove)) == 0
        assert db.session.scalar(db.select(db.func.count()).select_from(Shop)) == 0
        record = db.session.scalars(db.select(PrivacyRequest)).one()

    assert (record.topic, record.outcome) == ("shop/redact", "Every row of this store was erased.")


def redact(bench: Bench) -> str:
    """Two days later Shopify asks to erase the shop; returns what our record says."""
    bench.sender.deliveries[:] = [d for d in bench.sender.deliveries if d.topic == "shop/redact"]
    bench.world.clock.advance(49 * 3600)
    bench.settle()
    with across_shops():
        return db.session.scalars(db.select(PrivacyRequest.outcome)).one()


def test_a_shop_whose_uninstall_news_never_came_is_erased_too(bench: Bench) -> None:
    bench.install()
    oauth.uninstall(bench.store)

    assert redact(bench) == "Every row of this store was erased."
    with across_shops():
        assert db.session.scalar(db.select(db.func.count()).select_from(Shop)) == 0


def test_a_shop_that_came_back_meanwhile_is_not_erased(bench: Bench) -> None:
    bench.install()
    oauth.uninstall(bench.store)
    bench.settle()
    bench.install()

    assert redact(bench) == "The store has installed the app again since; its data was kept."
    with across_shops():
        assert db.session.scalars(db.select(Shop.status)).one() == "active"


def test_a_frozen_shop_is_not_taken_for_one_that_left(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.install()

    def frozen(*_: object) -> None:
        raise ShopifyAccessError("Shopify refused our access (402).", status=402)

    monkeypatch.setattr("occ_app.shopify.client.Client.query", frozen)
    bench.store.emit("shop/redact", {"shop_domain": DOMAIN})
    bench.settle()
    with across_shops():
        assert db.session.scalars(db.select(PrivacyRequest)).all() == []
        assert db.session.scalars(db.select(Shop.status)).one() == "active"


def test_customers_requests_are_answered_and_recorded(bench: Bench) -> None:
    bench.install()
    bench.store.emit("customers/redact", {"customer": {"id": 7}, "orders_to_redact": [1, 2]})
    bench.store.emit(
        "customers/data_request", {"customer": {"id": 7}, "orders_requested": [1], "data_request": {"id": 9}}
    )
    bench.settle()
    with across_shops():
        topics = set(db.session.scalars(db.select(PrivacyRequest.topic)))

    assert topics == {"customers/redact", "customers/data_request"}


def test_a_setting_that_does_not_exist_is_refused_with_the_list() -> None:
    shop = Shop(domain=DOMAIN, settings={}, installed_at=clock.now())

    with pytest.raises(RuleError, match=r"sync_mode, .*default_location, drift_rule"):
        settings.put(shop, "nonsense", "1")


@pytest.mark.parametrize(
    ("name", "value"),
    [("sync_mode", "all"), ("time_zone", "Mars/Base"), ("guard_percent", "200"), ("batch_hour", "1.5")],
)
def test_a_value_that_cannot_be_is_refused(name: str, value: str) -> None:
    shop = Shop(domain=DOMAIN, settings={}, installed_at=clock.now())

    with pytest.raises(RuleError, match=name):
        settings.put(shop, name, value)
