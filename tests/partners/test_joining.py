"""A business joins by a link: what it sees, what it grants, and everything that must not get anybody in."""

from __future__ import annotations

import contextvars
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import jwt
import pytest
from flask import Flask

from devshop import oauth
from devshop.world import Store, World
from occ_app import clock, wiring
from occ_app.catalog.models import Item
from occ_app.extensions import across_shops, db
from occ_app.partners import invitations, joining
from occ_app.partners.models import Invitation, JoinAttempt, Partner
from occ_app.shops import install
from occ_app.shops.models import Shop, ShopToken
from tests.partners.support import ROASTER
from tests.support.bench import DOMAIN, Bench


class Browser:
    """Somebody's browser: its cookies, on our pages and on Shopify's."""

    def __init__(self, app: Flask, devshop: Flask) -> None:
        self.client, self.shopify = app.test_client(), devshop.test_client()

    def open(self, url: str, **options: Any) -> Any:
        """A page of ours."""
        parts = urlsplit(url)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        return contextvars.Context().run(lambda: self.client.open(path, **options))

    def start(self, link: str, shop: str = ROASTER) -> Any:
        """The page of the invitation is opened, and its form is sent."""
        self.open(link)
        return self.open(link + "/start", method="POST", data={"shop": shop})

    def grant(self, url: str) -> str:
        """The owner says yes on Shopify's page. Returns where Shopify sends the browser."""
        parts = urlsplit(url)
        answer = self.shopify.post(f"{parts.path}?{parts.query}", data={"decision": "accept"})
        assert answer.status_code == 303, answer.text
        return str(answer.headers["Location"])

    def join(self, link: str, shop: str = ROASTER) -> Any:
        """All of it."""
        return self.open(self.grant(self.start(link, shop).headers["Location"]))


@pytest.fixture
def roaster(bench: Bench) -> Store:
    """A store that could supply, and a merchant that has the app."""
    store = bench.add_store(ROASTER)
    store.add_location("Roastery")
    bench.install()
    return store


@pytest.fixture
def browser(app: Flask, world_app: tuple[World, Flask]) -> Browser:
    """The partner's browser."""
    return Browser(app, world_app[1])


@pytest.fixture
def link(bench: Bench, roaster: Store) -> str:
    """An invitation's link, for whoever has it."""
    return invite(bench)


def invite(bench: Bench, domain: str = "", name: str = "Northlight Coffee") -> str:
    """Another link."""
    with bench.scope():
        shop = db.session.scalars(db.select(Shop).where(Shop.domain == DOMAIN)).one()
        made = invitations.make(shop, name, domain, actor="test", at=clock.now())
        db.session.commit()
        return urlsplit(invitations.link(bench.app.extensions["occ_config"], made)).path


def partners() -> list[tuple[str, str]]:
    """Domain and state of all partners, of all shops."""
    db.session.remove()
    with across_shops():
        return [(one.domain, one.state) for one in db.session.scalars(db.select(Partner).order_by(Partner.id))]


def knows(domain: str) -> bool:
    """Whether we keep anything of that store."""
    db.session.remove()
    return db.session.scalar(db.select(Shop.id).where(Shop.domain == domain)) is not None


def resigned(bench: Bench, url: str, **changes: Any) -> str:
    """A callback address with other fields, signed as Shopify would."""
    parts = urlsplit(url)
    fields = {key: value for key, value in (dict(parse_qsl(parts.query)) | changes).items() if key != "hmac"}
    return f"{parts.path}?{urlencode({**fields, 'hmac': oauth.sign_query(bench.world, fields)})}"


def test_the_page_says_who_asks_for_what_and_where_it_leads(browser: Browser, link: str) -> None:
    answer = browser.open(link)

    assert answer.status_code == 200
    for words in ("would like to sell your products", DOMAIN, "See how many you have", "Your customers", "works once"):
        assert words in answer.text
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


def test_a_business_joins_in_three_steps(bench: Bench, browser: Browser, link: str) -> None:
    started = browser.start(link, "Northlight-Coffee")
    assert dict(parse_qsl(urlsplit(started.headers["Location"]).query))["scope"].startswith("read_products,")
    cookie = started.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie

    joined = browser.open(browser.grant(started.headers["Location"]))

    assert joined.status_code == 200
    assert "You supply" in joined.text
    assert partners() == [(ROASTER, "connected")]
    with across_shops():
        shop = db.session.scalars(db.select(Shop).where(Shop.domain == ROASTER)).one()
        token = db.session.get_one(ShopToken, shop.id)
        assert token.refresh_expires_at is not None  # it expires and is renewed like every token
        assert ROASTER.encode() not in token.access_token
    assert bench.settle() == []


def test_a_link_works_once(browser: Browser, link: str) -> None:
    browser.join(link)

    assert browser.open(link).status_code == 410
    assert "used already" in browser.start(link, "another-store").text


def test_two_callbacks_of_one_invitation_make_one_partner(bench: Bench, browser: Browser, link: str) -> None:
    other = bench.add_store("second-roaster.myshopify.com")
    first = browser.grant(browser.start(link).headers["Location"])
    assert browser.open(first).status_code == 200

    second = Browser(bench.app, bench.app)
    second.client, second.shopify = bench.app.test_client(), browser.shopify
    assert second.start(link, other.domain).status_code == 410
    assert browser.open(first).status_code == 400  # replayed
    assert partners() == [(ROASTER, "connected")]


def test_a_link_that_has_ended_says_so(bench: Bench, browser: Browser, link: str) -> None:
    with bench.scope():
        expired, revoked, orphaned = invite(bench), invite(bench), link
        rows = db.session.scalars(db.select(Invitation).order_by(Invitation.id)).all()
        rows[1].expires_at = clock.now() - timedelta(seconds=1)
        invitations.revoke(rows[2], clock.now())
        db.session.commit()
        ends = {one: browser.open(one) for one in (expired, revoked)}
        db.session.get_one(Shop, rows[0].shop_id).status = "uninstalled"
        db.session.commit()
    ends[orphaned] = browser.open(orphaned)

    assert [answer.status_code for answer in ends.values()] == [410, 410, 410]
    assert [browser.start(one).status_code for one in ends] == [410, 410, 410]


def test_a_link_that_ends_while_the_owner_is_at_shopify_connects_nobody(
    bench: Bench, browser: Browser, link: str
) -> None:
    back = browser.grant(browser.start(link).headers["Location"])
    with bench.scope():
        invitations.revoke(db.session.scalars(db.select(Invitation)).one(), clock.now())
        db.session.commit()

    assert browser.open(back).status_code == 400
    assert not knows(ROASTER)


def test_a_made_up_link_is_refused(browser: Browser, link: str) -> None:
    claims = {"sub": "1", "shop": 1, "aud": "partner-invitation", "jti": "x", "exp": 9999999999}
    made_up = ("nonsense", "eyJhbGciOiJub25lIn0.e30.", jwt.encode(claims, "k" * 32))

    assert [browser.open(f"/partners/join/{token}").status_code for token in made_up] == [410, 410, 410]


def test_a_tampered_link_is_refused(browser: Browser, link: str) -> None:
    head, body, signature = link.split(".")

    assert browser.open(f"{head}.{body[:-2]}AA.{signature}").status_code == 410


def test_a_domain_in_disguise_gets_nobody_to_shopify(browser: Browser, link: str) -> None:
    disguised = (
        "",
        "evil.com",
        "northlight-coffee.myshopify.com.evil.com",
        "evil.com#.myshopify.com",
        "evil.com/.myshopify.com",
        "northlight-coffee@evil.com",
        "https://evil.com/northlight-coffee.myshopify.com",
        "https://northlight-coffee.myshopify.com@evil.com/",
        "https://northlight-coffee.myshopify.com:8443/",
        "nοrthlight-coffee",  # a Greek letter
        "-coffee",
        "northlight coffee",
        "x" * 500,
        "127.0.0.1:9290/",
    )
    answers = [browser.start(link, shop) for shop in disguised]

    assert {answer.status_code for answer in answers} == {422}
    assert all('aria-invalid="true"' in answer.text for answer in answers)


def test_the_merchant_cannot_be_its_own_partner(browser: Browser, link: str) -> None:
    assert "Give your own" in browser.start(link, DOMAIN).text


def test_a_bound_link_leads_to_its_store_whatever_the_form_says(bench: Bench, browser: Browser, roaster: Store) -> None:
    bound = invite(bench, ROASTER)

    location = browser.start(bound, "another-store").headers["Location"]

    assert dict(parse_qsl(urlsplit(location).query))["shop"] == ROASTER


def test_another_store_cannot_come_back_on_a_bound_link(bench: Bench, browser: Browser, roaster: Store) -> None:
    other = bench.add_store("second-roaster.myshopify.com")
    location = browser.start(invite(bench, ROASTER)).headers["Location"]

    back = browser.grant(location.replace(ROASTER, other.domain))

    assert browser.open(back).status_code == 400
    assert partners() == []
    assert not knows(other.domain)


def test_the_code_of_one_store_with_the_callback_of_another_connects_nobody(
    bench: Bench, browser: Browser, link: str
) -> None:
    other = bench.add_store("second-roaster.myshopify.com")
    back = browser.grant(browser.start(link).headers["Location"])

    assert browser.open(resigned(bench, back, shop=other.domain)).status_code == 400
    assert partners() == []


def test_a_code_that_shopify_does_not_know_connects_nobody(bench: Bench, browser: Browser, link: str) -> None:
    back = browser.grant(browser.start(link).headers["Location"])

    assert browser.open(resigned(bench, back, code="stolen")).status_code == 502
    assert partners() == []
    assert not knows(ROASTER)


def test_a_tampered_callback_connects_nobody(browser: Browser, link: str) -> None:
    spoilt: dict[str, Any] = {
        "hmac": lambda url: url.replace("hmac=", "hmac=0"),
        "state": lambda url: url.replace("state=", "state=x"),
        "unsigned": lambda url: url.split("&hmac=")[0],
        "domain": lambda url: url.replace(ROASTER, "northlight-coffee.myshopify.com.evil.com"),
        "two shops": lambda url: url + "&shop=second-roaster.myshopify.com",
        "two states": lambda url: url + "&state=again",
        "extra": lambda url: url + "&extra=1",
        "bare": lambda url: url.split("?")[0],
        "time": lambda url: url.replace("timestamp=", "timestamp=-"),
    }
    came_in = [
        name
        for name, spoil in spoilt.items()
        if browser.open(spoil(browser.grant(browser.start(link).headers["Location"]))).status_code != 400
    ]

    assert came_in == []
    assert partners() == []


@pytest.mark.parametrize("changes", [{"state": "of-nobody"}, {"timestamp": str(int(time.time()) - 700)}])
def test_a_signed_callback_that_nobody_asked_for_connects_nobody(
    bench: Bench, browser: Browser, link: str, changes: dict[str, str]
) -> None:
    back = browser.grant(browser.start(link).headers["Location"])

    assert browser.open(resigned(bench, back, **changes)).status_code == 400
    assert partners() == []


def test_the_state_of_another_browser_is_refused_and_spent(
    bench: Bench, browser: Browser, link: str, world_app: tuple[World, Flask]
) -> None:
    attacker = Browser(bench.app, world_app[1])
    lure = attacker.start(link).headers["Location"]

    back = browser.grant(lure)  # the victim says yes on a page that the attacker opened

    assert browser.open(back).status_code == 400
    assert attacker.open(back).status_code == 400
    assert partners() == []


def test_a_join_that_takes_too_long_connects_nobody(
    bench: Bench, browser: Browser, link: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    back = browser.grant(browser.start(link).headers["Location"])
    (tmp_path / "clock").write_text("601")
    monkeypatch.setenv("OCC_CLOCK_FILE", str(tmp_path / "clock"))

    assert browser.open(back).status_code == 400
    assert partners() == []


def test_too_few_scopes_say_what_is_missing_and_keep_nothing(bench: Bench, browser: Browser, link: str) -> None:
    assert bench.world.config is not None
    bench.world.config = replace(bench.world.config, scopes=("read_products",))

    answer = browser.join(link)

    assert answer.status_code == 403
    assert "See how many you have" in answer.text
    assert partners() == []
    assert not knows(ROASTER)
    bench.world.config = replace(
        bench.world.config,
        scopes=("read_products", "write_inventory", "read_locations", "read_orders", "write_draft_orders"),
    )
    assert browser.join(link).status_code == 200  # the link is still good


def test_fewer_scopes_asked_for_on_the_way_connect_nobody(bench: Bench, browser: Browser, link: str) -> None:
    assert bench.world.config is not None
    bench.world.config = replace(bench.world.config, asks_by_address=True)
    location = browser.start(link).headers["Location"]
    parts = urlsplit(location)
    fewer = urlencode({**dict(parse_qsl(parts.query)), "scope": "read_products"})

    answer = browser.open(browser.grant(f"{parts.path}?{fewer}"))

    assert (answer.status_code, "See how many you have" in answer.text) == (403, True)
    assert partners() == []
    assert not knows(ROASTER)


def test_fewer_scopes_of_a_store_that_has_us_already_are_kept_and_connect_nobody(
    bench: Bench, browser: Browser, link: str, roaster: Store
) -> None:
    bench.install(roaster)
    assert bench.world.config is not None
    bench.world.config = replace(bench.world.config, asks_by_address=True)
    parts = urlsplit(browser.start(link).headers["Location"])
    fewer = urlencode({**dict(parse_qsl(parts.query)), "scope": "read_products"})
    oauth.grant_scopes(roaster, ())  # its owner is asked anew

    assert browser.open(browser.grant(f"{parts.path}?{fewer}")).status_code == 403

    assert partners() == []
    with across_shops():  # the old refresh token died with the new grant
        kept = db.session.scalars(db.select(ShopToken.scopes).join(Shop).where(Shop.domain == ROASTER)).one()
    assert kept == "read_products"


def test_of_two_stores_on_their_way_with_one_link_the_first_connects(
    bench: Bench, browser: Browser, link: str, world_app: tuple[World, Flask]
) -> None:
    other, late = bench.add_store("second-roaster.myshopify.com"), Browser(bench.app, world_app[1])
    second = late.grant(late.start(link, other.domain).headers["Location"])
    assert browser.join(link).status_code == 200

    answer = late.open(second)

    assert (answer.status_code, "used already" in answer.text) == (400, True)
    assert partners() == [(ROASTER, "connected")]
    assert not knows(other.domain)


def test_the_host_of_a_callback_leads_nowhere(bench: Bench, browser: Browser, link: str) -> None:
    back = browser.grant(browser.start(link).headers["Location"])

    answer = browser.open(resigned(bench, back, host="ZXZpbC5leGFtcGxlLmNvbQ"))

    assert answer.status_code == 200
    assert "evil" not in answer.text
    assert "Location" not in answer.headers


def test_a_store_is_merchant_and_partner_at_once(bench: Bench, browser: Browser, link: str, roaster: Store) -> None:
    bench.install(roaster)
    with across_shops():
        before = db.session.scalars(db.select(ShopToken.scopes).join(Shop).where(Shop.domain == ROASTER)).one()

    started = browser.start(link)
    asked = dict(parse_qsl(urlsplit(started.headers["Location"]).query))["scope"]
    browser.open(browser.grant(started.headers["Location"]))

    assert set(before.split(",")) <= set(asked.split(","))  # a new grant takes nothing from what the store itself uses
    assert partners() == [(ROASTER, "connected")]
    assert bench.open("/products", roaster).status_code == 200
    assert bench.open("/partners", roaster).status_code == 200


def test_who_comes_back_is_the_same_partner(bench: Bench, browser: Browser, link: str) -> None:
    browser.join(link)
    with bench.scope():
        partner = db.session.scalars(db.select(Partner)).one()
        partner.state, partner.state_by = "left", "merchant"
        db.session.commit()

    assert browser.join(invite(bench, ROASTER)).status_code == 200
    assert partners() == [(ROASTER, "connected")]


@pytest.fixture
def managed(app: Flask) -> Iterator[None]:
    """The app is distributed by Shopify: partners install it there."""
    config = app.extensions["occ_config"]
    app.extensions["occ_config"] = replace(config, partner_link="install")
    yield
    app.extensions["occ_config"] = config


@pytest.mark.usefixtures("managed")
def test_by_managed_install_the_bound_invitation_waits_in_the_admin(
    bench: Bench, browser: Browser, roaster: Store
) -> None:
    bound = invite(bench, ROASTER)
    assert browser.start(bound).headers["Location"].startswith("http://127.0.0.1:9290/admin/oauth/install?")
    oauth.install(roaster)
    assert bench.open("/", roaster).headers["Location"] == "/supplies"
    assert "would like to sell your products" in bench.open("/supplies", roaster).text

    with bench.scope():
        number = db.session.scalars(db.select(Invitation.id)).one()
    bench.open("/supplies/accept", roaster, method="POST", data={"invitation": number})

    assert partners() == [(ROASTER, "connected")]


@pytest.mark.usefixtures("managed")
def test_by_managed_install_an_unbound_link_is_pasted_in_the_admin(bench: Bench, link: str, roaster: Store) -> None:
    bench.install(roaster)
    other = bench.add_store("second-roaster.myshopify.com")
    bench.install(other)
    token = link.rsplit("/", 1)[1]

    looked = bench.open("/supplies/read", roaster, method="POST", data={"link": f"http://127.0.0.1:8000{link}"})
    assert "You allow them to" in looked.text
    assert partners() == []
    assert bench.open("/supplies/read", method="POST", data={"link": link}).status_code == 422  # the merchant's own
    bench.open("/supplies/accept", roaster, method="POST", data={"token": token})
    assert bench.open("/supplies/accept", other, method="POST", data={"token": token}).status_code == 422

    assert partners() == [(ROASTER, "connected")]


@pytest.mark.usefixtures("managed")
@pytest.mark.parametrize("is_bound", [True, False])
def test_by_managed_install_the_first_load_shows_the_invitation(
    bench: Bench, browser: Browser, roaster: Store, is_bound: bool
) -> None:
    path = invite(bench, ROASTER if is_bound else "")
    assert "There this invitation waits for your yes" in browser.open(path).text
    browser.start(path)
    oauth.install(roaster)
    assert bench.open("/", roaster).headers["Location"].startswith("/supplies")
    assert "Ten minutes" in bench.open("/?own=1", roaster).text
    shown = bench.open("/supplies", roaster).text
    ((number),) = re.findall(r'name="invitation" value="(\d+)"', shown)
    bench.open("/supplies/accept", roaster, method="POST", data={"invitation": number})

    assert partners() == [(ROASTER, "connected")]


def test_home_of_a_store_with_items_of_its_own_tells_of_an_invitation(bench: Bench, roaster: Store) -> None:
    bench.install(roaster)
    theirs = install.find(ROASTER)
    with bench.scope(theirs):
        db.session.add(Item(sku="OWN", name="Own", created_at=clock.now()))
        db.session.commit()
    assert "would like to sell" not in bench.open("/", roaster).text
    invite(bench, ROASTER)

    assert "would like to sell your products" in bench.open("/", roaster).text


@pytest.mark.usefixtures("managed")
def test_an_invitation_by_link_waits_in_the_store_that_came_by_it_alone_and_for_an_hour(
    bench: Bench, browser: Browser, roaster: Store
) -> None:
    browser.start(invite(bench))
    bench.install(other := bench.add_store("second-roaster.myshopify.com"))
    oauth.install(roaster)
    assert "would like to sell" not in bench.open("/supplies", other).text
    assert "would like to sell" in bench.open("/supplies", roaster).text

    with across_shops():
        db.session.execute(db.update(JoinAttempt).values(expires_at=clock.now()))
        db.session.commit()

    assert "would like to sell" not in bench.open("/supplies", roaster).text


@pytest.mark.usefixtures("managed")
@pytest.mark.parametrize("is_bound", [True, False])
def test_a_yes_without_the_access_names_what_is_missing_and_makes_nothing(
    bench: Bench, roaster: Store, is_bound: bool
) -> None:
    theirs = bench.install(roaster).id
    with across_shops():
        token = db.session.get_one(ShopToken, theirs)
        everything, token.scopes = token.scopes, "read_products,read_locations,write_inventory"
        db.session.commit()
    path = invite(bench, ROASTER if is_bound else "")
    with bench.scope():
        number = db.session.scalars(db.select(Invitation.id)).one()
    form: dict[str, Any] = {"invitation": number} if is_bound else {"token": path.rsplit("/", 1)[1]}

    refused = bench.open("/supplies/accept", roaster, method="POST", data=form)

    assert refused.status_code == 422
    assert "nothing was connected" in refused.text
    for words, is_missing in (("See whether that order was sent", True), ("draft orders", True), ("names of", False)):
        assert bool(re.search(rf"{words}[^<]*<strong>\(missing\)", refused.text)) is is_missing
    assert "/oauth/install?" in refused.text
    assert partners() == []
    with across_shops():
        db.session.get_one(ShopToken, theirs).scopes = everything
        db.session.commit()
    assert bench.open("/supplies/accept", roaster, method="POST", data=form).status_code == 303  # still good
    assert partners() == [(ROASTER, "connected")]


def test_a_link_is_tried_so_often_a_minute_and_no_more(
    bench: Bench, browser: Browser, link: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    tried = [browser.start(link).status_code for _ in range(joining.MOST_STARTS + 1)]
    assert tried == [303] * joining.MOST_STARTS + [422]
    assert browser.start(invite(bench)).status_code == 303  # another link is another matter
    (tmp_path / "clock").write_text("61")
    monkeypatch.setenv("OCC_CLOCK_FILE", str(tmp_path / "clock"))

    assert browser.start(link).status_code == 303


def test_old_attempts_are_forgotten_and_living_ones_are_not(bench: Bench, browser: Browser, link: str) -> None:
    for age in (joining.KEPT - timedelta(minutes=1), joining.KEPT + timedelta(minutes=1)):
        browser.start(link)
        with bench.scope():
            newest = db.session.scalars(db.select(JoinAttempt).order_by(JoinAttempt.id.desc()).limit(1)).one()
            newest.expires_at = clock.now() - age
            db.session.commit()
    living = browser.grant(browser.start(link).headers["Location"])

    with across_shops():
        wiring._tidy()  # each night
        db.session.commit()

    with bench.scope():
        assert db.session.scalar(db.select(db.func.count(JoinAttempt.id))) == 2
    assert browser.open(living).status_code == 200


def test_an_invitation_bound_to_another_store_cannot_be_accepted(bench: Bench, roaster: Store) -> None:
    bound = invite(bench, "second-roaster.myshopify.com")
    bench.install(roaster)

    answer = bench.open("/supplies/accept", roaster, method="POST", data={"token": bound.rsplit("/", 1)[1]})

    assert answer.status_code == 422
    assert partners() == []
