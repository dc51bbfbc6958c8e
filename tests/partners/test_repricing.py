"""New rules and goods that are in the shop already: shown before and after, set where the merchant chooses, followed by the new rule later."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from decimal import Decimal

import pytest

from devshop import products
from devshop.world import Store
from occ_app import clock
from occ_app.catalog import news, pull
from occ_app.catalog.models import Variant
from occ_app.extensions import db
from occ_app.partners import settings
from occ_app.partners.imports import Choices
from occ_app.partners.models import ImportedProduct, ImportedVariant, PartnerChange, PartnerProduct
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


def compare_ats(bench: Bench) -> list[str]:
    """What stands crossed out beside the price, by title."""
    made = sorted(bench.store.products.values(), key=lambda one: one.title)
    return [str(one.variants[0].compare_at_price) for one in made]


@pytest.fixture
def on_sale(bench: Bench, roaster: Store) -> Store:
    """Coffee 1 is on sale at the partner, 10 in place of 12 pounds, and the merchant took that over."""
    rule(bench, "price", "follow")
    first = next(one for one in roaster.products.values() if one.title == "Coffee 1")
    products.update(roaster, first, first.variants[0], {"compare_at_price": "12.00"})
    bench.settle()
    return roaster


def test_their_compare_at_price_is_followed_as_their_price_is(bench: Bench, on_sale: Store) -> None:
    assert compare_ats(bench) == ["16.80", "None", "None"]
    rule(bench, "price", "ask")
    first = next(one for one in on_sale.products.values() if one.title == "Coffee 1")
    products.update(on_sale, first, first.variants[0], {"compare_at_price": None})
    bench.settle()
    shown = " ".join(bench.open("/partners/1/changes").text.split())

    assert "Compare at 12.00 → none" in shown
    assert "Compare at 16.80 → none" in shown
    assert compare_ats(bench) == ["16.80", "None", "None"]


def test_another_compare_at_setting_is_shown_and_set_like_another_price(bench: Bench, on_sale: Store) -> None:
    where = save(bench, compare_at="none")
    shown = bench.open("/partners/1/prices").text
    assert where == "/partners/1/prices?saved=1"
    assert compare_ats(bench) == ["16.80", "None", "None"]
    for words in ("1 of 3 differ", "1 would get another compare-at price", "compare at £16.80", "compare at none"):
        assert words in shown

    bench.open("/partners/1/prices", method="POST", data={"all": "1"})
    bench.settle()
    assert (compare_ats(bench), shop_prices(bench)) == (["None"] * 3, ["14.00", "28.00", "42.00"])
    assert "All prices are as your rules say" in bench.open("/partners/1/prices").text

    save(bench, compare_at="follow")
    rows = json.loads(occ(bench, "partner", "prices", "--shop", DOMAIN, "--json").stdout)
    assert [(row["compare_at"], row["compare_at_by_rule"]) for row in rows] == [(None, "16.80")]
    occ(bench, "partner", "reprice", "--shop", DOMAIN, "--all")
    assert compare_ats(bench) == ["16.80", "None", "None"]


def test_a_question_about_a_price_tells_what_becomes_of_the_compare_at_price(bench: Bench, on_sale: Store) -> None:
    rule(bench, "price", "ask")
    save(bench, compare_at="none")
    first = next(one for one in on_sale.products.values() if one.title == "Coffee 1")
    products.update(on_sale, first, first.variants[0], {"price": "11.00"})
    bench.settle()
    shown = " ".join(bench.open("/partners/1/changes").text.split())

    assert "14.00 → <strong>15.40</strong>" in shown
    assert shown.count("Compare at") == 1  # theirs is as it was
    assert "Compare at 16.80 → none" in shown


def test_without_compare_at_prices_a_change_of_theirs_is_no_news(bench: Bench, on_sale: Store) -> None:
    save(bench, compare_at="none")
    first = next(one for one in on_sale.products.values() if one.title == "Coffee 1")
    products.update(on_sale, first, first.variants[0], {"compare_at_price": "13.00"})
    bench.settle()

    assert (pending(bench), compare_ats(bench)) == ([], ["16.80", "None", "None"])


def test_of_goods_from_before_compare_at_prices_were_kept_shopify_says_what_they_are(
    bench: Bench, on_sale: Store
) -> None:
    with bench.scope():
        db.session.execute(db.update(ImportedVariant).values(compare_at=None, seen_compare_at=None))
        db.session.execute(db.update(Variant).values(compare_at_price=None))
        db.session.commit()
    save(bench, compare_at="none")
    assert "All prices are as your rules say" in bench.open("/partners/1/prices").text  # nothing is known to differ

    with bench.scope():
        for gid in db.session.scalars(db.select(ImportedProduct.product_gid)).all():
            news.note(str(gid), None, clock.now())
        db.session.commit()
    bench.settle()

    assert list(ids(bench)) == ["Coffee 1"]


def set_by_hand(bench: Bench, title: str, **fields: str) -> None:
    """The merchant types another price in Shopify's admin, an hour after the import."""
    with bench.scope():
        db.session.execute(db.update(ImportedProduct).values(imported_at=clock.now() - timedelta(hours=1)))
        db.session.commit()
    ours = next(one for one in bench.store.products.values() if one.title == title)
    products.update(bench.store, ours, ours.variants[0], fields)
    bench.settle()


def test_a_price_set_by_hand_is_shown_as_what_it_is(bench: Bench, roaster: Store) -> None:
    set_by_hand(bench, "Coffee 2", price="25.00")
    shown = bench.open("/partners/1/prices").text

    for words in ("1 of 3 differ", "Set by hand", "£25.00", "£28.00", "1 set by hand"):
        assert words in shown
    assert "Set it" not in shown
    assert "1 of the goods that you sell has another price than your rules say, 1 set by hand." in bench.open(
        "/partners/1/prices/note"
    ).text.replace("\n", "")
    with bench.scope():
        number = db.session.scalars(db.select(PartnerProduct.id).where(PartnerProduct.title == "Coffee 2")).one()
    product = bench.open(f"/partners/1/products/{number}").text
    for words in ("Set by hand", "<strong>£25.00</strong>", "£28.00 by your rules", "20.0 %"):
        assert words in product


def test_a_price_set_by_hand_stays_until_it_is_picked(bench: Bench, roaster: Store) -> None:
    set_by_hand(bench, "Coffee 2", price="25.00")
    assert save(bench, vendor="Northlight") == ""
    assert save(bench, markup_percent="50") == "/partners/1/prices?saved=1"
    bench.open("/partners/1/prices", method="POST", data={"all": "1"})
    bench.settle()
    assert shop_prices(bench) == ["15.00", "25.00", "45.00"]
    assert occ(bench, "partner", "reprice", "--shop", DOMAIN, "--all").exit_code == 1
    rows = json.loads(occ(bench, "partner", "prices", "--shop", DOMAIN, "--json").stdout)
    assert [(row["title"], row["price"], row["set_by_hand"]) for row in rows] == [("Coffee 2", "25.00", True)]

    bench.open("/partners/1/prices", method="POST", data={"v": [ids(bench)["Coffee 2"]]})
    bench.settle()

    assert shop_prices(bench) == ["15.00", "30.00", "45.00"]
    assert "All prices are as your rules say" in bench.open("/partners/1/prices").text


@pytest.mark.parametrize("fields", [{"price": "13.00"}, {"compare_at_price": "19.00"}])
def test_a_price_set_by_hand_is_asked_about_where_others_follow(
    bench: Bench, roaster: Store, fields: dict[str, str]
) -> None:
    rule(bench, "price", "follow")
    set_by_hand(bench, "Coffee 1", **fields)
    for product in list(roaster.products.values()):
        products.update(roaster, product, product.variants[0], {"price": "20.00"})
    bench.settle()
    shown = " ".join(bench.open("/partners/1/changes").text.split())
    assert shop_prices(bench) == [fields.get("price", "14.00"), "28.00", "28.00"]
    assert f"{fields.get('price', '14.00')} → <strong>28.00</strong>" in shown
    assert "Set by hand" in shown

    bench.open("/partners/1/changes", method="POST", data={"c": [pending(bench)[0].id], "verb": "accept"})
    bench.settle()
    assert shop_prices(bench) == ["28.00"] * 3

    first = next(one for one in roaster.products.values() if one.title == "Coffee 1")
    products.update(roaster, first, first.variants[0], {"price": "30.00"})
    bench.settle()
    assert shop_prices(bench) == ["42.00", "28.00", "28.00"]  # it follows again


def test_a_price_set_by_hand_just_before_theirs_is_carried_stays(bench: Bench, roaster: Store) -> None:
    rule(bench, "price", "follow")
    first = next(one for one in roaster.products.values() if one.title == "Coffee 1")
    products.update(roaster, first, first.variants[0], {"price": "20.00"})
    bench.settle()
    set_by_hand(bench, "Coffee 1", price="21.00")
    with bench.scope():  # as if that had not been carried yet
        change = db.session.scalars(db.select(PartnerChange)).one()
        change.settled_at, change.settled_by = None, None
        db.session.commit()
    bench.settle()

    assert shop_prices(bench) == ["21.00", "28.00", "42.00"]
    assert len(pending(bench)) == 1


def test_importing_again_leaves_a_price_set_by_hand_alone(bench: Bench, roaster: Store) -> None:
    set_by_hand(bench, "Coffee 1", price="13.00")
    save(bench, markup_percent="50")
    start(bench, "Coffee 1", "Coffee 2", choices=Choices())
    bench.settle()

    assert shop_prices(bench) == ["13.00", "30.00", "42.00"]


def test_a_reading_older_than_what_we_set_does_not_bring_the_old_price_back(bench: Bench, roaster: Store) -> None:
    with bench.scope():
        before = db.session.scalars(db.select(Variant).where(Variant.product_title == "Coffee 1")).one()
        names = [column.key for column in Variant.__table__.columns if column.key not in ("id", "shop_id")]
        row = {name: getattr(before, name) for name in names} | {"changed_at": before.changed_at - timedelta(seconds=1)}
    save(bench, markup_percent="50")
    bench.open("/partners/1/prices", method="POST", data={"all": "1"})
    bench.settle()
    with bench.scope():
        pull.keep([row])
        db.session.commit()

    assert "All prices are as your rules say" in bench.open("/partners/1/prices").text


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
