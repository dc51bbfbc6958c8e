"""devshop hands out access as Shopify does: the code grant, token exchange, refresh, and what ends them."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
import shopify
from flask.testing import FlaskClient

from devshop import appconfig, oauth
from devshop.app import create_app
from devshop.world import Store, World
from occ_app.config import ROOT

DOMAIN = "cocoa.myshopify.com"
SECRET = "a-secret-that-is-long-enough-for-hs256"
APP = "http://127.0.0.1:9"
BACK = f"{APP}/auth/callback"
HOUR, DAY = 3600, 86400


@pytest.fixture
def world() -> World:
    """A world with one store, and the app's configuration."""
    world = World("client-id", SECRET, APP)
    world.config = appconfig.load(ROOT / "shopify.app.dev.toml", APP)
    world.add_store(DOMAIN, "Cocoa").add_location("Here")
    return world


@pytest.fixture
def web(world: World) -> FlaskClient:
    """devshop over HTTP."""
    return create_app(world).test_client()


@pytest.fixture
def store(world: World) -> Store:
    """The store."""
    return world.stores[DOMAIN]


def authorize(web: FlaskClient, decision: str | None = None, **changes: str) -> Any:
    """The grant page; with a decision, what follows from it."""
    query = {"client_id": "client-id", "redirect_uri": BACK, "state": "nonce", "scope": "read_products", **changes}
    form = {"decision": decision} if decision else None
    headers = {"Host": DOMAIN}
    method = "POST" if form else "GET"
    return web.open("/admin/oauth/authorize", method=method, query_string=query, data=form, headers=headers)


def token(web: FlaskClient, host: str = DOMAIN, **body: str) -> Any:
    """The answer of the token endpoint."""
    body = {"client_id": "client-id", "client_secret": SECRET, **body}
    return web.post("/admin/oauth/access_token", json=body, headers={"Host": host}).get_json()


def refresh(web: FlaskClient, refresh_token: str) -> Any:
    """A refresh."""
    return token(web, grant_type="refresh_token", refresh_token=refresh_token)


def exchange(web: FlaskClient, store: Store, **more: str) -> Any:
    """A token exchange for an expiring offline token."""
    subject = {"subject_token": oauth.make_id_token(store), "subject_token_type": oauth.ID_TOKEN}
    return token(
        web, grant_type=oauth.EXCHANGE, requested_token_type=oauth.OFFLINE, expiring="1", **{**subject, **more}
    )


def is_good(web: FlaskClient, access_token: str) -> bool:
    """Whether the Admin API knows the token."""
    headers = {"Host": DOMAIN, "X-Shopify-Access-Token": access_token}
    return (
        web.post("/admin/api/2026-10/graphql.json", json={"query": "{ shop { id } }"}, headers=headers).status_code
        == 200
    )


def test_the_grant_page_names_the_store_and_the_access(web: FlaskClient) -> None:
    page = authorize(web).get_data(as_text=True)

    assert "Install OCC Inventory Hub (dev)" in page
    assert "View and edit inventory" in page


def test_the_way_back_is_signed_as_shopifys_own_package_checks(web: FlaskClient) -> None:
    answer = authorize(web, "accept")
    query = {name: values[0] for name, values in parse_qs(urlsplit(answer.location).query).items()}
    shopify.Session.setup(api_key="client-id", secret=SECRET)

    assert answer.location.startswith(f"{BACK}?")
    assert (query["shop"], query["state"]) == (DOMAIN, "nonce")
    assert shopify.Session.validate_params(query)


def test_a_code_is_good_once_and_only_for_its_store(web: FlaskClient, world: World) -> None:
    world.add_store("other.myshopify.com")
    code = parse_qs(urlsplit(authorize(web, "accept").location).query)["code"][0]

    assert token(web, host="other.myshopify.com", code=code)["error"] == "invalid_request"
    assert token(web, code=code, expiring="1")["refresh_token"].startswith("shprt_")
    assert token(web, code=code, expiring="1")["error"] == "invalid_request"


def test_a_code_for_a_user_gives_an_online_token(web: FlaskClient) -> None:
    code = parse_qs(urlsplit(authorize(web, "accept", **{"grant_options[]": "per-user"}).location).query)["code"][0]
    answer = token(web, code=code)

    assert answer["associated_user"]["account_owner"]
    assert "refresh_token" not in answer


@pytest.mark.parametrize(
    "change",
    [{"redirect_uri": f"{BACK}/"}, {"redirect_uri": "http://evil.example/auth/callback"}, {"client_id": "another"}],
)
def test_only_the_configured_app_and_address_are_served(web: FlaskClient, store: Store, change: dict[str, str]) -> None:
    assert authorize(web, **change).status_code == 400
    assert authorize(web, "accept", **change).status_code == 400
    assert not store.is_installed


def test_who_declines_has_not_installed(web: FlaskClient, store: Store) -> None:
    answer = authorize(web, "decline")

    assert answer.location == "/store/cocoa"
    assert not store.is_installed


def test_who_has_granted_all_of_it_is_sent_back_at_once(web: FlaskClient, store: Store) -> None:
    oauth.install(store)
    answer = authorize(web)
    code = parse_qs(urlsplit(answer.location).query)["code"][0]

    assert token(web, code=code)["scope"].split(",") == list(store.world.config.scopes)
    store.granted = store.granted[1:]
    assert authorize(web).status_code == 200


def test_with_the_old_install_flow_the_address_says_what_is_asked_for(web: FlaskClient, store: Store) -> None:
    store.world.config.asks_by_address = True
    page = authorize(web, scope="read_products,read_orders").get_data(as_text=True)
    answer = authorize(web, "accept", scope="read_products")
    code = parse_qs(urlsplit(answer.location).query)["code"][0]

    assert "View orders" in page
    assert "inventory" not in page.split("<main")[1].replace("Inventory Hub", "")
    assert token(web, code=code)["scope"] == "read_products"


def test_optional_scopes_are_asked_for_at_the_install_address_and_may_be_left_out(
    web: FlaskClient, store: Store
) -> None:
    store.world.config.optional_scopes = ["write_draft_orders", "write_files"]
    address = "/admin/oauth/install?client_id=client-id&optional_scopes=write_draft_orders,write_files,read_themes"
    page = web.get(address, headers={"Host": DOMAIN}).get_data(as_text=True)
    form = {"decision": "accept", "optional": ["write_files", "read_themes"]}
    answer = web.post(address, data=form, headers={"Host": DOMAIN})

    assert page.count('name="optional"') == 2
    assert answer.location == "/store/cocoa/apps/occ-inventory-hub-dev"
    assert store.granted == (*store.world.config.scopes, "write_files")


def test_an_optional_scope_can_be_given_back_and_a_required_one_not(web: FlaskClient, store: Store) -> None:
    store.world.config.optional_scopes = ["write_products"]
    oauth.install(store, ("read_inventory", "write_products"))
    access = oauth.issue(store, expiring=False).value

    def revoke(scope: str) -> Any:
        query = "mutation r($s: [String!]!) { appRevokeAccessScopes(scopes: $s) { revoked { handle } userErrors { code } } }"
        body = {"query": query, "variables": {"s": [scope]}}
        headers = {"Host": DOMAIN, "X-Shopify-Access-Token": access}
        answer = web.post("/admin/api/2026-10/graphql.json", json=body, headers=headers)
        return answer.get_json()["data"]["appRevokeAccessScopes"]

    assert revoke("read_inventory")["userErrors"] == [{"code": "CANNOT_REVOKE_REQUIRED_SCOPES"}]
    assert revoke("write_products") == {"revoked": [{"handle": "write_products"}], "userErrors": []}
    assert store.granted == ("read_inventory",)


def test_an_install_address_without_a_store_lets_one_choose(web: FlaskClient) -> None:
    page = web.get("/admin/oauth/install?client_id=client-id").get_data(as_text=True)

    assert f'name="shop" value="{DOMAIN}"' in page
    assert web.get("/admin/oauth/install?client_id=another").status_code == 400


def test_a_browser_that_cannot_reach_the_store_names_it(web: FlaskClient) -> None:
    query = {"client_id": "client-id", "redirect_uri": BACK, "shop": DOMAIN}

    assert web.get("/admin/oauth/authorize", query_string=query).status_code == 200
    assert web.get("/admin/oauth/authorize", query_string={**query, "shop": "none"}).status_code == 400


def test_the_install_address_leads_to_the_app_in_the_admin(web: FlaskClient) -> None:
    answer = web.get("/admin/oauth/install?client_id=client-id", headers={"Host": DOMAIN})

    assert answer.location == "/store/cocoa/apps/occ-inventory-hub-dev"


def test_an_id_token_has_shopifys_claims_and_lives_a_minute(store: Store) -> None:
    claims = jwt.decode(oauth.make_id_token(store), SECRET, algorithms=["HS256"], audience="client-id")

    assert set(claims) == {"iss", "dest", "aud", "sub", "exp", "nbf", "iat", "jti", "sid"}
    assert (claims["iss"], claims["dest"]) == (f"https://{DOMAIN}/admin", f"https://{DOMAIN}")
    assert 59 <= claims["exp"] - claims["iat"] <= 61


def test_an_exchange_needs_an_installed_app_and_this_stores_id_token(
    web: FlaskClient, world: World, store: Store
) -> None:
    other = world.add_store("other.myshopify.com")
    assert exchange(web, store)["error"] == "invalid_subject_token"
    oauth.install(store)
    assert exchange(web, store, subject_token=oauth.make_id_token(other))["error"] == "invalid_subject_token"
    assert exchange(web, store, subject_token=oauth.make_id_token(store, -60))["error"] == "invalid_subject_token"
    answer = exchange(web, store)

    assert (answer["expires_in"], answer["refresh_token_expires_in"]) == (HOUR, 90 * DAY)
    assert is_good(web, answer["access_token"])


def test_an_access_token_dies_after_an_hour(web: FlaskClient, world: World, store: Store) -> None:
    oauth.install(store)
    first = exchange(web, store)
    world.clock.advance(HOUR)

    assert not is_good(web, first["access_token"])
    assert is_good(web, refresh(web, first["refresh_token"])["access_token"])


def test_a_refresh_token_dies_after_90_days(web: FlaskClient, world: World, store: Store) -> None:
    oauth.install(store)
    first = exchange(web, store)
    world.clock.advance(90 * DAY)

    assert refresh(web, first["refresh_token"])["error"] == "invalid_grant"


def test_a_used_refresh_token_can_be_repeated_for_30_days(web: FlaskClient, world: World, store: Store) -> None:
    oauth.install(store)
    first = exchange(web, store)["refresh_token"]
    refresh(web, first)
    world.clock.advance(30 * DAY - 60)
    assert "access_token" in refresh(web, first)
    world.clock.advance(60)

    assert refresh(web, first)["error"] == "invalid_grant"


def test_a_new_exchange_retires_the_refresh_token_but_not_the_access_token(web: FlaskClient, store: Store) -> None:
    oauth.install(store)
    first = exchange(web, store)
    exchange(web, store)

    assert refresh(web, first["refresh_token"])["error"] == "invalid_grant"
    assert is_good(web, first["access_token"])


def test_uninstalling_ends_all_access(web: FlaskClient, store: Store) -> None:
    oauth.install(store)
    first = exchange(web, store)
    web.post(f"/_devshop/shops/{DOMAIN}/uninstall")

    assert not is_good(web, first["access_token"])
    assert refresh(web, first["refresh_token"])["error"] == "invalid_grant"
    assert store.granted == ()


def test_both_secrets_are_good_until_the_old_one_is_revoked(web: FlaskClient) -> None:
    new = "another-secret-that-is-long-enough-for-hs256"
    web.post("/_devshop/secret", json={"client_secret": new})
    assert token(web, client_secret=SECRET, code="x")["error"] == "invalid_request"
    assert token(web, client_secret=new, code="x")["error"] == "invalid_request"
    web.post("/_devshop/secret", json={"revoke_old": True})

    assert token(web, client_secret=SECRET, code="x")["error"] == "invalid_client"


def test_the_token_endpoint_reads_forms_too(web: FlaskClient) -> None:
    form = {"client_id": "client-id", "client_secret": SECRET, "grant_type": "refresh_token", "refresh_token": "x"}
    answer = web.post("/admin/oauth/access_token", data=form, headers={"Host": DOMAIN})

    assert (answer.status_code, answer.get_json()["error"]) == (400, "invalid_grant")


def test_opening_an_app_that_is_not_installed_asks_first(web: FlaskClient, store: Store) -> None:
    page = web.get("/store/cocoa/apps/occ-inventory-hub-dev/lots?view=review").get_data(as_text=True)
    action = re.search(r'<form method="post" action="([^"]+)" class="actions"', page)
    assert action is not None
    assert not store.is_installed
    answer = web.post(action[1].replace("&amp;", "&"), data={"decision": "accept"})

    assert answer.location.endswith("/store/cocoa/apps/occ-inventory-hub-dev/lots?view=review")
    assert store.granted == tuple(store.world.config.scopes)


def test_new_scopes_of_the_app_are_asked_for_when_it_is_opened(web: FlaskClient, store: Store) -> None:
    oauth.install(store, ("read_products",))

    assert "now asks to" in web.get("/store/cocoa/apps/occ-inventory-hub-dev").get_data(as_text=True)


def test_the_app_is_loaded_with_a_signed_address(web: FlaskClient, store: Store) -> None:
    oauth.install(store)
    page = web.get("/store/cocoa/apps/occ-inventory-hub-dev/lots?view=review").get_data(as_text=True)
    source = re.search(r'<iframe[^>]* src="([^"]+)"', page)
    assert source is not None
    address = urlsplit(source[1].replace("&amp;", "&"))
    query = {name: values[0] for name, values in parse_qs(address.query).items()}
    signature = query.pop("hmac")

    assert f"{address.scheme}://{address.netloc}{address.path}" == f"{APP}/lots"
    assert set(query) == {"view", "embedded", "host", "locale", "session", "shop", "timestamp", "id_token"}
    assert signature == oauth.sign_query(store.world, query)
