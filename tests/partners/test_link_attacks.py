"""Ways to make somebody a partner who did not agree to it, beyond those of `test_joining`."""

from __future__ import annotations

from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import pytest
from flask import Flask

from devshop.world import Store, World
from occ_app.extensions import across_shops, db
from occ_app.partners.models import JoinAttempt
from tests.partners.support import ROASTER
from tests.partners.test_joining import Browser, invite, partners, resigned
from tests.support.bench import Bench


@pytest.fixture
def roaster(bench: Bench) -> Store:
    """A store that has the app already, so that Shopify asks its owner nothing; and the attacker, a merchant that has it too."""
    store = bench.add_store(ROASTER)
    store.add_location("Roastery")
    bench.install()
    bench.install(store)
    return store


@pytest.fixture
def victim(app: Flask, world_app: tuple[World, Flask]) -> Browser:
    """The browser of the store's owner, signed in at Shopify."""
    return Browser(app, world_app[1])


def attempts() -> int:
    """How often somebody was sent to Shopify."""
    db.session.remove()
    with across_shops():
        return db.session.scalar(db.select(db.func.count(JoinAttempt.id))) or 0


def test_a_form_on_another_page_sends_nobody_to_shopify(bench: Bench, roaster: Store, victim: Browser) -> None:
    link = invite(bench)
    forged = {"method": "POST", "data": {"shop": ROASTER}}

    answer = victim.open(link + "/start", **forged)

    assert (answer.status_code, "Location" in answer.headers) == (422, False)
    assert "would like to sell your products" in answer.text
    assert "This is who asks" in answer.text
    assert attempts() == 0
    assert "SameSite=Strict" in answer.headers["Set-Cookie"]  # so the browser keeps it back from other people's forms
    assert victim.open(link + "/start", **forged).status_code == 303  # now from our page


def test_having_seen_one_link_is_no_yes_to_another(bench: Bench, roaster: Store, victim: Browser) -> None:
    victim.open(invite(bench, name="Somebody good"))

    assert victim.open(invite(bench) + "/start", method="POST", data={"shop": ROASTER}).status_code == 422
    assert attempts() == 0


def test_text_moved_between_signed_fields_is_refused(bench: Bench, roaster: Store, victim: Browser) -> None:
    link = invite(bench)

    def signed() -> dict[str, str]:
        return dict(parse_qsl(urlsplit(victim.grant(victim.start(link).headers["Location"])).query))

    def moved(into: str, what: str) -> str:
        fields = signed()
        text = f"{fields[into]}&{what}={fields.pop(what)}"
        return f"/auth/callback?{urlencode({**fields, into: text})}"

    as_list = {key: value for key, value in signed().items() if key != "shop"} | {"shop[]": ROASTER}
    tricks = [
        moved("state", "timestamp"),
        moved("shop", "state"),
        moved("code", "shop"),
        f"/auth/callback?{urlencode(as_list)}",
        f"/auth/callback?{urlencode({**signed(), 'shop': ROASTER.upper()})}",
        f"/auth/callback?{urlencode({**signed(), 'shop': ROASTER + '/'})}",
        f"/auth/callback?{urlencode(signed())}%00",
        f"/auth/callback?{urlencode({**signed(), 'code': 'é'})}",
    ]

    assert [victim.open(trick).status_code for trick in tricks] == [400] * len(tricks)
    assert partners() == []


@pytest.mark.parametrize("shop", [ROASTER.upper(), ROASTER + ".", f"{ROASTER}\n", f" {ROASTER}", f"{ROASTER}%00"])
def test_a_signed_callback_for_an_odd_spelling_of_the_store_connects_nobody(
    bench: Bench, roaster: Store, victim: Browser, shop: str
) -> None:
    back = victim.grant(victim.start(invite(bench)).headers["Location"])

    assert victim.open(resigned(bench, back, shop=shop)).status_code == 400
    assert partners() == []


def test_the_answer_to_one_link_is_none_to_another(bench: Bench, roaster: Store, victim: Browser) -> None:
    first, second = invite(bench, name="First"), invite(bench, name="Second")
    back = victim.grant(victim.start(first).headers["Location"])
    victim.start(second)  # in another tab: the browser is bound to this one now

    assert victim.open(back).status_code == 400
    assert partners() == []


def test_the_callback_answers_nothing_but_get(bench: Bench, roaster: Store, victim: Browser) -> None:
    back = victim.grant(victim.start(invite(bench)).headers["Location"])

    assert victim.open(back, method="POST").status_code == 405
    assert partners() == []


def test_a_link_in_the_place_of_a_path_gets_nowhere(bench: Bench, roaster: Store, victim: Browser) -> None:
    token = invite(bench).rsplit("/", 1)[1]
    odd = (f"{token}/../x", quote("https://evil.com/", safe=""), f"{token}%00", f"{token}.x", "x" * 5000)
    answers = [victim.open(f"/partners/join/{one}") for one in odd]

    assert {answer.status_code for answer in answers} <= {404, 410}
    assert not any("Location" in answer.headers for answer in answers)
