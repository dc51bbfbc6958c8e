"""The pages of a partner's products: found, priced, picked across pages, imported; and the command line, which does the same."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from devshop import products
from devshop.world import Store
from occ_app import clock
from occ_app.extensions import db
from occ_app.partners import catalogue, settings, stock
from occ_app.partners.models import ImportedProduct, PartnerProduct, PartnerPull, PartnerVariant
from tests.partners.support import coffee, join, the_partner
from tests.support.bench import DOMAIN, Bench, Statements
from tests.test_cli import occ

PART = {"HX-Request": "true"}


@pytest.fixture
def roaster(bench: Bench) -> Store:
    """A partner's store with 60 coffees, one of them without stock, and a bundle, mirrored."""
    bench.install()
    store = join(bench)
    with bench.world.silence():
        for number in range(1, 61):
            coffee(store, number, 0 if number == 7 else 20, product_type="Blend" if number == 8 else "Single origin")
        coffee(store, 61, bundle=True, title="Taster set")
    bench.settle()
    return store


def ids(bench: Bench, *titles: str) -> list[int]:
    """Ids of the mirror's products."""
    with bench.scope():
        found = {p.title: p.id for p in db.session.scalars(db.select(PartnerProduct))}
        return [found[title] for title in titles]


def text(answer: Any) -> str:
    """What the page says."""
    return answer.get_data(as_text=True)


@pytest.mark.parametrize(
    ("query", "found"),
    [("", 61), ("q=c-8", 1), ("q=Coffee%205", 11), ("type=Blend", 1), ("stock=none", 1), ("view=imported", 0)],
)
def test_products_are_found_by_what_one_looks_for(bench: Bench, roaster: Store, query: str, found: int) -> None:
    shown = text(bench.open(f"/partners/1/products?{query}"))

    assert f" of {found}<" in shown or (found == 0 and "Nothing found" in shown)


def test_the_price_follows_what_one_types_and_says_what_is_left(bench: Bench, roaster: Store) -> None:
    form = {"kind": "margin_percent", "value": "40", "rounding": "95", "minimum": "45"}
    shown = text(bench.open("/partners/1/products", method="POST", data=form, headers=PART))

    assert "£16.95" in shown  # 10.00 / 0.6 = 16.67
    assert "£6.95, 41.0 %" in shown
    assert "Under 45 %" in shown
    assert "<html" not in shown


def test_a_wrong_value_is_told_and_prices_stay(bench: Bench, roaster: Store) -> None:
    shown = text(bench.open("/partners/1/products", method="POST", data={"value": "forty"}, headers=PART))

    assert "Value: Give a number from 0 to 10,000, such as 40" in shown
    assert "£14.00" in shown


def test_a_price_that_may_be_two_is_told_and_nothing_is_left_out(bench: Bench, roaster: Store) -> None:
    shown = text(bench.open("/partners/1/products", method="POST", data={"least": "1,250"}, headers=PART))

    assert "Price from: Write 1250 or 1.250." in shown
    assert " of 61<" in shown


def test_what_is_not_counted_and_what_has_no_price_is_called_so(bench: Bench, roaster: Store) -> None:
    uncounted, unpriced = ids(bench, "Coffee 7", "Coffee 8")
    with bench.scope():
        db.session.execute(
            db.update(PartnerVariant).where(PartnerVariant.partner_product_id == uncounted).values(available=None)
        )
        db.session.get_one(PartnerProduct, unpriced).least_price = None
        db.session.commit()

    assert "not counted" in text(bench.open("/partners/1/products?q=Coffee+7"))
    assert "No price" in text(bench.open("/partners/1/products?q=Coffee+8"))


@pytest.mark.parametrize(("stock_of", "found"), [("none", ["Coffee 7"]), ("uncounted", ["Coffee 8"])])
def test_none_in_stock_and_not_counted_are_looked_for_apart(
    bench: Bench, roaster: Store, stock_of: str, found: list[str]
) -> None:
    theirs = next(one for one in roaster.products.values() if one.title == "Coffee 8")
    products.update(roaster, theirs, theirs.variants[0], {"tracked": False})
    bench.settle()
    path = "/partners/1/products"
    shown = text(bench.open(f"{path}?stock={stock_of}"))

    assert re.findall(r'aria-label="Select (Coffee \d+)"', shown) == found
    assert ("not counted" in shown) == (stock_of == "uncounted")
    assert " of 59<" in text(bench.open(f"{path}?stock=some"))  # of 61 with the bundle


def test_picks_of_other_pages_stay_and_all_of_them_are_imported(bench: Bench, roaster: Store) -> None:
    first, last = ids(bench, "Coffee 1", "Coffee 9")
    shown = text(bench.open("/partners/1/products?page=2", method="POST", data={"p": [first]}, headers=PART))
    assert f'name="keep" value="{first}"' in shown

    done = bench.open("/partners/1/imports", method="POST", data={"keep": [first], "p": [last], "as": "active"})
    bench.settle()

    assert done.status_code == 303
    assert sorted(product.title for product in bench.store.products.values()) == ["Coffee 1", "Coffee 9"]
    assert "2 imported as active" in text(bench.open(done.location))


def test_importing_without_a_pick_says_what_to_do(bench: Bench, roaster: Store) -> None:
    answer = bench.open("/partners/1/imports", method="POST", data={})

    assert answer.status_code == 422
    assert "Pick at least one product" in text(answer)


def test_all_found_are_imported_but_for_what_cannot_be(bench: Bench, roaster: Store) -> None:
    done = bench.open("/partners/1/imports", method="POST", data={"all": "1", "q": "Coffee 5"})
    bench.settle()

    assert len(bench.store.products) == 11
    assert "11 of 11 products" in text(bench.open(done.location))
    with bench.scope():
        assert set(db.session.scalars(db.select(ImportedProduct.state))) == {"imported"}


def test_the_rule_of_an_import_can_be_kept_for_all(bench: Bench, roaster: Store) -> None:
    (first,) = ids(bench, "Coffee 1")
    form = {"p": [first], "kind": "margin_percent", "value": "30", "keep_rule": "1", "rounding": "99"}
    bench.open("/partners/1/imports", method="POST", data=form)

    with bench.scope():
        kept = settings.everything(the_partner())
        assert (kept["price_rule"], kept["margin_percent"], kept["rounding"]) == ("margin_percent", "30", "99")
        assert db.session.scalars(db.select(ImportedProduct.price_kind)).one() is None


def test_a_tick_that_is_taken_off_is_no_longer_followed(bench: Bench, roaster: Store) -> None:
    first, second = ids(bench, "Coffee 1", "Coffee 2")
    bench.open("/partners/1/imports", method="POST", data={"p": [first], "follow_price": "1", "follow_title": "1"})
    bench.open("/partners/1/imports", method="POST", data={"p": [second], "follow_title": "1"})

    with bench.scope():
        kept = settings.everything(the_partner())
        assert (kept["follow_price"], kept["follow_title"], kept["follow_images"]) == ("ask", "follow", "keep")


def test_the_rate_is_asked_for_once_and_makes_prices(bench: Bench) -> None:
    bench.install()
    store = join(bench, currency="EUR")
    coffee(store, 1)
    bench.settle()
    assert "sells in EUR, you in GBP" in text(bench.open("/partners/1/products"))
    wrong = {
        "": "Give a number",
        "much": "Give a number",
        "0": "Give a number",
        "-1": "Give a number",
        "1,250": "1250 or 1.250",
    }
    for given, said in wrong.items():
        refused = bench.open("/partners/1/rate", method="POST", data={"rate": given})
        assert (refused.status_code, said in text(refused), 'aria-invalid="true"' in text(refused)) == (422, True, True)

    assert bench.open("/partners/1/rate", method="POST", data={"rate": " 0,86 "}).location == "/partners/1/products"

    shown = text(bench.open("/partners/1/products"))
    assert "1 EUR counts as 0.86 GBP" in shown
    assert "£12.04" in shown  # 10.00 x 0.86 x 1.4
    assert "sells in EUR" not in shown


def test_a_rate_is_of_the_currencies_that_it_was_given_for(bench: Bench) -> None:
    bench.install()
    store = join(bench, currency="EUR")
    coffee(store, 1)
    bench.settle()
    bench.open("/partners/1/rate", method="POST", data={"rate": "0.86"})
    store.currency = "JPY"
    with bench.scope():
        catalogue.want(the_partner(), clock.now())
        db.session.commit()
    bench.settle()
    asked = text(bench.open("/partners/1/products"))

    bench.open("/partners/1/rate", method="POST", data={"rate": "0.86"})

    assert ("sells in JPY, you in GBP" in asked, "counts as 0.86" in asked) == (True, False)
    assert "1 JPY counts as 0.86 GBP" in text(bench.open("/partners/1/products"))


def test_a_wrong_rule_of_a_type_and_no_change_picked_are_told_on_their_pages(bench: Bench, roaster: Store) -> None:
    wrong = {"product_type": "Blend", "kind": "markup", "value": "much"}
    refused = bench.open("/partners/1/types", method="POST", data=wrong)
    assert (refused.status_code, 'aria-invalid="true"' in text(refused), 'value="much"' in text(refused)) == (
        422,
        True,
        True,
    )
    assert "<option selected>Blend" in text(refused)
    nothing = bench.open("/partners/1/changes", method="POST", data={"verb": "accept"})
    assert (nothing.status_code, "Pick at least one change" in text(nothing)) == (422, True)

    assert bench.open("/partners/1/types", method="POST", data={**wrong, "value": "55"}).status_code == 303

    assert "£15.50" in text(bench.open("/partners/1/products?type=Blend"))


def test_the_page_takes_the_same_statements_for_any_number_of_products(bench: Bench, roaster: Store) -> None:
    counts = {}
    for query in ("q=Coffee%208", "", "page=2", "type=Blend&stock=some&sort=price", "view=new", "q=C-5"):
        with Statements() as statements:
            bench.open(f"/partners/1/products?{query}")
        counts[query] = len(statements.texts)

    assert len(set(counts.values())) == 1, counts


@pytest.mark.parametrize("path", ["products/1", "pulls", "changes", "types", "reading"])
def test_every_page_of_a_partner_opens(bench: Bench, roaster: Store, path: str) -> None:
    assert bench.open(f"/partners/1/{path}").status_code == 200


def test_the_readings_go_back_page_by_page(bench: Bench, roaster: Store) -> None:
    with bench.scope():
        begun = len(stock.runs(the_partner()))
        for number in range(begun, 60):
            fields = {
                "kind": "nudge",
                "started_at": clock.now(),
                "finished_at": clock.now(),
                "looked_at": 1000 + number,
            }
            db.session.add(PartnerPull(partner_id=the_partner().id, **fields))
        db.session.commit()
    first, second = (text(bench.open(f"/partners/1/pulls{query}")) for query in ("", "?page=2"))

    assert "1–50 of 60" in first
    assert 'href="/partners/1/pulls?page=2"' in first
    assert ("1,059" in first, "1,001" in first) == (True, False)
    assert "51–60 of 60" in second
    assert second.count("All products") == 1
    assert "<html" not in text(bench.open("/partners/1/pulls?page=2", headers=PART))


def test_nobody_sees_the_partner_of_another_shop(bench: Bench, roaster: Store) -> None:
    other = bench.add_store("nosy.myshopify.com")
    other.add_location("Anywhere")
    bench.install(other)

    for path in ("products", "products/1", "pulls", "changes", "types", "imports/1"):
        assert bench.open(f"/partners/1/{path}", other).status_code == 404


def test_the_commands_list_import_and_pull(bench: Bench, roaster: Store) -> None:
    rows = json.loads(occ(bench, "partner", "products", "--shop", DOMAIN, "--json").stdout)
    wanted = next(row for row in rows if row["sku"] == "C-3")
    assert (wanted["price"], wanted["available"], wanted["imported"]) == ("10.00", 20, False)

    done = occ(bench, "partner", "import", "--shop", DOMAIN, wanted["variant_gid"], "--markup", "50", "--active")
    assert (done.exit_code, done.stdout) == (0, "Imported 1 of 1.\n")
    pulled = occ(bench, "partner", "sync", "--shop", DOMAIN)

    assert re.search(r"Northlight Coffee: 1 read, \d changed", pulled.stdout)
    (made,) = bench.store.products.values()
    assert (made.status, str(made.variants[0].price)) == ("ACTIVE", "15.00")
    assert bench.available("PARTNER-northlight-coffee-C-3") == 20


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["gid://shopify/ProductVariant/1"], "has no variant gid://shopify/ProductVariant/1"),
        (["x", "--markup", "many"], "such as 40"),
        (["x", "--partner", "else.myshopify.com"], "is no partner of this shop"),
    ],
)
def test_a_command_that_cannot_be_says_why_and_does_nothing(
    bench: Bench, roaster: Store, words: list[str], said: str
) -> None:
    done = occ(bench, "partner", "import", "--shop", DOMAIN, *words)

    assert done.exit_code == 1
    assert said in done.stderr
    assert bench.store.products == {}


def test_a_partner_without_any_sales_channel_is_browsed_and_imported_like_any_other(
    bench: Bench, roaster: Store
) -> None:
    with bench.world.silence():
        roaster.publications.clear()
        for product in roaster.products.values():
            product.published = {}
    bench.open("/partners/1/catalogue", method="POST")
    bench.settle()
    assert " of 61<" in text(bench.open("/partners/1/products"))

    done = bench.open("/partners/1/imports", method="POST", data={"p": ids(bench, "Coffee 1")})
    bench.settle()

    assert "1 of 1 products" in text(bench.open(done.location))
    assert bench.available("PARTNER-northlight-coffee-C-1") == 20


def test_a_partner_that_sells_nothing_says_what_it_has_instead(bench: Bench) -> None:
    bench.install()
    store = join(bench)
    bench.settle()
    assert "Northlight Coffee has no products in their store yet" in text(bench.open("/partners/1/products"))
    coffee(store, 1, status="DRAFT")
    coffee(store, 2, status="DRAFT")
    coffee(store, 3, status="ARCHIVED")
    bench.settle()
    shown = text(bench.open("/partners/1/products"))
    assert "Northlight Coffee sells none of their products at the moment: 2 drafts and 1 archived." in shown
    assert "Import selected" not in shown

    coffee(store, 4)
    bench.settle()
    shown = text(bench.open("/partners/1/products"))

    assert " of 1<" in shown
    assert "Not shown: 2 drafts and 1 archived in their store." in shown


def test_a_merchant_without_an_online_store_is_told_that_nobody_sees_the_goods(bench: Bench, roaster: Store) -> None:
    bench.store.publications.clear()
    done = bench.open("/partners/1/imports", method="POST", data={"p": ids(bench, "Coffee 1"), "as": "active"})
    bench.settle()

    assert "They stand in no sales channel, so no customer sees them yet: your store has no Online Store" in text(
        bench.open(done.location)
    )
    assert len(bench.store.products) == 1
