"""New rules and goods that are in the shop already: shown before and after, set where the merchant chooses, followed by the new rule later."""

from __future__ import annotations

import json
import re
from decimal import Decimal

import pytest

from devshop import products
from devshop.world import Store
from occ_app.extensions import db
from occ_app.partners import settings
from tests.partners.support import coffee, join, the_partner
from tests.partners.test_following import pending, rule
from tests.partners.test_imports import start
from tests.support.bench import DOMAIN, Bench, Statements
from tests.test_cli import occ


@pytest.fixture
def roaster(bench: Bench) -> Store:
    """A partner's store with three coffees at 10, 20 and 30 pounds, imported with 40 % on top."""
    bench.install()
    store = join(bench)
    for number in (1, 2, 3):
        coffee(store, number, 20, f"{number}0.00", product_type="Blend" if number == 3 else "Single origin")
    bench.settle()
    start(bench, "Coffee 1", "Coffee 2", "Coffee 3")
    bench.settle()
    return store


def save(bench: Bench, **values: str) -> str:
    """The partner's settings are saved; where the browser is led."""
    answer = bench.open("/partners/1/settings", method="POST", data=values)
    return str(answer.headers.get("Location", ""))


def shop_prices(bench: Bench) -> list[str]:
    """What customers pay, by title."""
    return [str(one.variants[0].price) for one in sorted(bench.store.products.values(), key=lambda one: one.title)]


def ids(bench: Bench) -> dict[str, str]:
    """Title -> the id that its box on the page has."""
    shown = bench.open("/partners/1/prices").text
    return {title: number for number, title in re.findall(r'name="v" value="(\d+)" aria-label="Select ([^"]+)"', shown)}


def test_a_new_rule_changes_nothing_and_shows_every_price_before_and_after(bench: Bench, roaster: Store) -> None:
    where = save(bench, markup_percent="50", rounding="95")
    bench.settle()
    shown = bench.open(where).text

    assert where == "/partners/1/prices?saved=1"
    assert shop_prices(bench) == ["14.00", "28.00", "42.00"]
    for words in ("3 of 3 differ", "3 would rise", "£14.00", "£15.95", "£28.00", "£30.95", "28.6 %", "37.3 %"):
        assert words in shown


def test_the_merchant_sets_some_prices_and_later_all(bench: Bench, roaster: Store) -> None:
    save(bench, markup_percent="50")
    bench.open("/partners/1/prices", method="POST", data={"v": [ids(bench)["Coffee 2"]]})
    bench.settle()
    assert shop_prices(bench) == ["14.00", "30.00", "42.00"]
    assert sorted(ids(bench)) == ["Coffee 1", "Coffee 3"]

    bench.open("/partners/1/prices", method="POST", data={"all": "1"})
    assert "2 prices are being set" in bench.open("/partners/1/prices").text
    bench.settle()

    assert shop_prices(bench) == ["15.00", "30.00", "45.00"]
    assert "All prices are as your rules say" in bench.open("/partners/1/prices").text
    assert bench.open("/partners/1/prices/waiting").headers["HX-Location"] == "/partners/1/prices"


def test_cost_and_compare_at_price_go_along(bench: Bench, roaster: Store) -> None:
    first = next(one for one in roaster.products.values() if one.title == "Coffee 1")
    products.update(roaster, first, first.variants[0], {"compare_at_price": "12.00"})
    bench.settle()
    save(bench, discount_percent="10", markup_percent="60")
    bench.open("/partners/1/prices", method="POST", data={"all": "1"})
    bench.settle()
    made = next(one for one in bench.store.products.values() if one.title == "Coffee 1").variants[0]

    assert (made.price, made.cost, made.compare_at_price) == (Decimal("14.40"), Decimal("9.00"), Decimal("17.28"))


def test_a_rule_of_a_type_touches_that_type_alone(bench: Bench, roaster: Store) -> None:
    form = {"product_type": "Blend", "kind": "margin", "value": "5"}
    answer = bench.open("/partners/1/types", method="POST", data=form)

    assert answer.headers["Location"] == "/partners/1/prices?saved=1"
    assert list(ids(bench)) == ["Coffee 3"]


def test_a_price_that_must_not_be_is_shown_with_the_reason_and_left_out(bench: Bench, roaster: Store) -> None:
    save(bench, price_rule="margin", margin_amount="8", minimum_margin_percent="25")
    shown = bench.open("/partners/1/prices").text
    assert "Its margin would be 21.1 %, under your least of 25 %" in shown
    assert "1 cannot be set" in shown

    bench.open("/partners/1/prices", method="POST", data={"all": "1"})
    bench.settle()

    assert shop_prices(bench) == ["18.00", "28.00", "42.00"]  # that of Coffee 2 is what it was


def test_nothing_picked_and_what_differs_no_more_are_told(bench: Bench, roaster: Store) -> None:
    save(bench, markup_percent="50")
    picked = ids(bench)["Coffee 1"]
    nothing = bench.open("/partners/1/prices", method="POST", data={})
    assert (nothing.status_code, "Pick at least one price" in nothing.text) == (422, True)

    save(bench, markup_percent="40")

    assert bench.open("/partners/1/prices", method="POST", data={"v": [picked]}).status_code == 422
    assert bench.settle() == []
    assert shop_prices(bench) == ["14.00", "28.00", "42.00"]


def test_a_second_click_and_news_of_the_partner_set_a_price_once(bench: Bench, roaster: Store) -> None:
    save(bench, markup_percent="50")
    bench.open("/partners/1/prices", method="POST", data={"all": "1"})
    assert bench.open("/partners/1/prices", method="POST", data={"all": "1"}).status_code == 422
    save(
        bench, follow_title="follow"
    )  # all that differs at the partner is looked at anew before Shopify has the prices
    bench.store.calls.clear()
    bench.settle()

    assert shop_prices(bench) == ["15.00", "30.00", "45.00"]
    assert [call["operation"] for call in bench.store.calls].count("variantsUpdate") == 3


@pytest.mark.parametrize(("how", "at_once", "in_the_end"), [("follow", "18.00", "18.00"), ("ask", "14.00", "18.00")])
def test_their_next_price_is_followed_or_asked_about_by_the_new_rule(
    bench: Bench, roaster: Store, how: str, at_once: str, in_the_end: str
) -> None:
    rule(bench, "price", how)
    save(bench, markup_percent="50")
    first = next(one for one in roaster.products.values() if one.title == "Coffee 1")
    products.update(roaster, first, first.variants[0], {"price": "12.00"})
    bench.settle()
    assert shop_prices(bench) == [at_once, "28.00", "42.00"]
    if how == "ask":
        assert [row.facts["our_after"] for row in pending(bench)] == ["18.00"]
        bench.open("/partners/1/prices", method="POST", data={"v": [ids(bench)["Coffee 1"]]})
        bench.settle()

    assert shop_prices(bench) == [in_the_end, "28.00", "42.00"]
    assert pending(bench) == []


def test_comparing_takes_the_same_statements_for_any_number_of_goods(bench: Bench, roaster: Store) -> None:
    counts = []
    for value in ("50", "40"):  # three that differ, none
        with bench.scope():
            settings.put(the_partner(), "markup_percent", value)
            db.session.commit()
        with Statements() as statements:
            bench.open("/partners/1/prices")
        counts.append(len(statements.texts))

    assert counts[0] == counts[1]


def test_the_commands_compare_and_set(bench: Bench, roaster: Store) -> None:
    save(bench, markup_percent="50")
    rows = json.loads(occ(bench, "partner", "prices", "--shop", DOMAIN, "--json").stdout)
    assert [rows[0][name] for name in ("title", "price", "price_by_rule")] == ["Coffee 1", "14.00", "15.00"]
    neither = occ(bench, "partner", "reprice", "--shop", DOMAIN)
    assert (neither.exit_code, "or --all" in neither.stderr) == (1, True)
    one = occ(bench, "partner", "reprice", "--shop", DOMAIN, rows[0]["our_variant_gid"])
    assert (one.exit_code, one.stdout) == (0, "Set 1 of 1.\n")

    rest = occ(bench, "partner", "reprice", "--shop", DOMAIN, "--all")

    assert (rest.stdout, shop_prices(bench)) == ("Set 2 of 2.\n", ["15.00", "30.00", "45.00"])


def test_the_page_of_another_shops_partner_is_not_found(bench: Bench, roaster: Store) -> None:
    other = bench.add_store("nosy.myshopify.com")
    other.add_location("Anywhere")
    bench.install(other)

    for path in ("prices", "prices/note", "prices/waiting"):
        assert bench.open(f"/partners/1/{path}", other).status_code == 404
    assert bench.open("/partners/1/prices", other, method="POST", data={"all": "1"}).status_code == 404
