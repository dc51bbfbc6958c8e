"""What changes at a partner after an import: followed, asked about or left, as the rules say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

import pytest

from devshop import products
from devshop.world import Product, Store
from occ_app import clock
from occ_app.extensions import db
from occ_app.partners import following, settings
from occ_app.partners.models import ImportedProduct, PartnerChange
from occ_app.work import tasks
from tests.partners.support import coffee, join, the_partner
from tests.partners.test_imports import start
from tests.support.bench import Bench


@pytest.fixture
def roaster(bench: Bench) -> Iterator[Store]:
    """A partner's store with one coffee, imported as active with 40 % on top."""
    bench.install()
    store = join(bench)
    coffee(store, 1, 20)
    bench.settle()
    start(bench)
    bench.settle()
    yield store


def theirs(store: Store) -> Product:
    """Their product."""
    return next(iter(store.products.values()))


def ours(bench: Bench) -> Product:
    """Our copy."""
    return next(iter(bench.store.products.values()))


def rule(bench: Bench, field: str, value: str) -> None:
    """The merchant's rule."""
    with bench.scope():
        settings.put(the_partner(), f"follow_{field}", value)
        db.session.commit()


def pending(bench: Bench) -> list[PartnerChange]:
    """What the merchant is asked about."""
    db.session.remove()
    with bench.scope():
        return list(following.pending(the_partner()))


def decide(bench: Bench, *, is_accepted: bool) -> None:
    """The merchant decides on all that is open."""
    ids = [row.id for row in pending(bench)]
    with bench.scope():
        following.settle(the_partner(), ids, is_accepted=is_accepted, actor="test", at=clock.now())
        tasks.ask("partner_changes", the_partner().shop_id)
        db.session.commit()
    bench.settle()


def test_a_price_change_is_asked_about_and_taken_over_with_the_margin_kept(bench: Bench, roaster: Store) -> None:
    products.update(roaster, theirs(roaster), theirs(roaster).variants[0], {"price": "12.00"})
    bench.settle()
    (change,) = pending(bench)
    assert (change.facts["our_before"], change.facts["our_after"]) == ("14.00", "16.80")
    assert ours(bench).variants[0].price == Decimal("14.00")

    decide(bench, is_accepted=True)

    assert (ours(bench).variants[0].price, ours(bench).variants[0].cost) == (Decimal("16.80"), Decimal("12.00"))
    assert pending(bench) == []


@pytest.mark.parametrize("page", ["changes?c=", "prices?page=1&v="])
def test_enter_in_a_box_decides_nothing_and_leaves_it_ticked(bench: Bench, roaster: Store, page: str) -> None:
    products.update(roaster, theirs(roaster), theirs(roaster).variants[0], {"price": "12.00"})
    bench.settle()
    path = page.split("?")[0]
    shown = bench.open(f"/partners/1/{path}").text
    (form,) = re.findall(r'<form class="index" method="post".*?</form>', shown, re.S)
    first = re.findall(r"<button[^>]*>", form)[0]
    ((name, number),) = re.findall(r'name="([cv])" value="(\d+)" aria', form)
    again = bench.open(f"/partners/1/{page}{number}").text

    assert 'formmethod="get"' in first
    assert f'name="{name}" value="{number}" checked' in again
    assert (len(pending(bench)), ours(bench).variants[0].price) == (1, Decimal("14.00"))


def test_a_refusal_leaves_what_is_ticked(bench: Bench, roaster: Store) -> None:
    with bench.scope():
        settings.put(the_partner(), "minimum_margin_percent", "50")
        db.session.commit()
    products.update(roaster, theirs(roaster), theirs(roaster).variants[0], {"price": "12.00"})
    bench.settle()
    (change,) = pending(bench)
    form = {"c": [change.id], "verb": "accept"}
    refused = bench.open("/partners/1/changes", method="POST", data=form)

    assert (refused.status_code, f'value="{change.id}" checked' in refused.text) == (422, True)


def test_a_declined_change_is_not_asked_about_again(bench: Bench, roaster: Store) -> None:
    products.update(roaster, theirs(roaster), theirs(roaster).variants[0], {"price": "12.00"})
    bench.settle()
    decide(bench, is_accepted=False)
    products.update(roaster, theirs(roaster), None, {"vendor": "Else"})
    bench.settle()

    assert pending(bench) == []
    assert ours(bench).variants[0].price == Decimal("14.00")


def test_a_change_that_is_taken_back_there_is_no_question_any_more(bench: Bench, roaster: Store) -> None:
    for price in ("12.00", "10.00"):
        products.update(roaster, theirs(roaster), theirs(roaster).variants[0], {"price": price})
        bench.settle()

    assert pending(bench) == []


def test_what_is_to_be_followed_follows_by_itself(bench: Bench, roaster: Store) -> None:
    for field in ("price", "title", "images"):
        rule(bench, field, "follow")
    picture = f"{roaster.world.url}/_devshop/pictures/sumatra.png"
    own = {
        "title": "Coffee one",
        "description_html": "<p onclick='x()'>Sweet</p><script>bad()</script>",
        "image_url": picture,
    }
    products.update(roaster, theirs(roaster), None, own)
    products.update(
        roaster, theirs(roaster), theirs(roaster).variants[0], {"price": "12.00", "compare_at_price": "15.00"}
    )
    bench.settle()
    made = ours(bench)

    assert (made.title, made.description_html) == ("Coffee one", "<p>Sweet</p>")
    assert (made.variants[0].price, made.variants[0].compare_at_price) == (Decimal("16.80"), Decimal("21.00"))
    assert [media.url.rsplit("/", 1)[-1] for media in made.media] == ["sumatra.png"]
    assert pending(bench) == []


def test_changes_that_wait_are_counted_on_the_list_of_partners(bench: Bench, roaster: Store) -> None:
    assert "to look at" not in bench.open("/partners").text
    products.update(roaster, theirs(roaster), theirs(roaster).variants[0], {"price": "12.00"})
    bench.settle()
    shown = bench.open("/partners").text

    assert re.search(r'href="(/partners/\d+/changes)"[^>]*>1 change to look at<', shown)


def test_a_change_of_what_the_merchant_deleted_waits_for_nobody(bench: Bench, roaster: Store) -> None:
    products.update(roaster, theirs(roaster), theirs(roaster).variants[0], {"price": "12.00"})
    bench.settle()
    assert len(pending(bench)) == 1
    products.delete(bench.store, ours(bench))

    assert bench.settle() == []
    assert pending(bench) == []


def test_a_change_that_shopify_refuses_is_asked_about_and_stops_no_other(bench: Bench, roaster: Store) -> None:
    coffee(roaster, 2)
    bench.settle()
    start(bench, "Coffee 2")
    bench.settle()
    rule(bench, "price", "follow")
    with bench.scope():
        first = db.session.scalars(db.select(ImportedProduct).order_by(ImportedProduct.id)).first()
        assert first is not None
        first.product_gid = "gid://shopify/Product/999"  # nobody told us that it is gone
        db.session.commit()
    for product in list(roaster.products.values()):
        products.update(roaster, product, product.variants[0], {"price": "12.00"})

    assert bench.settle() == []
    assert [row.facts["title"] for row in pending(bench)] == ["Coffee 1"]
    assert "Shopify" in pending(bench)[0].facts["problem"]
    assert sorted(str(one.variants[0].price) for one in bench.store.products.values()) == ["14.00", "16.80"]


def test_a_product_whose_later_import_failed_is_still_followed(bench: Bench, roaster: Store) -> None:
    with bench.scope():
        db.session.scalars(db.select(ImportedProduct)).one().state = "failed"
        db.session.commit()
    rule(bench, "price", "follow")
    products.update(roaster, theirs(roaster), theirs(roaster).variants[0], {"price": "12.00"})
    bench.settle()

    assert ours(bench).variants[0].price == Decimal("16.80")
    assert "1 imported" in bench.open("/partners/1/products").text


def test_a_rule_that_becomes_follow_takes_over_what_waits_and_a_new_markup_is_shown(
    bench: Bench, roaster: Store
) -> None:
    products.update(roaster, theirs(roaster), theirs(roaster).variants[0], {"price": "12.00"})
    bench.settle()
    roaster.calls.clear()
    with bench.scope():
        number = the_partner().id
    bench.open(f"/partners/{number}/settings", method="POST", data={"discount_percent": "50"})
    assert [row.facts["our_after"] for row in pending(bench)] == ["8.40"]

    bench.open(f"/partners/{number}/settings", method="POST", data={"follow_price": "follow"})
    bench.settle()

    assert pending(bench) == []
    assert ours(bench).variants[0].price == Decimal("8.40")
    assert roaster.calls == []


def test_a_followed_price_under_the_least_margin_is_asked_about(bench: Bench, roaster: Store) -> None:
    rule(bench, "price", "follow")
    with bench.scope():
        settings.put(the_partner(), "minimum_margin_percent", "30")
        db.session.commit()
    products.update(roaster, theirs(roaster), theirs(roaster).variants[0], {"price": "12.00"})
    bench.settle()

    assert "under your least of 30 %" in pending(bench)[0].facts["problem"]
    assert ours(bench).variants[0].price == Decimal("14.00")


def test_what_they_stop_selling_becomes_a_draft_of_none_and_comes_back(bench: Bench, roaster: Store) -> None:
    products.update(bench.store, ours(bench), None, {"status": "ACTIVE"})
    products.update(roaster, theirs(roaster), None, {"status": "ARCHIVED"})
    bench.settle()
    assert (ours(bench).status, bench.available("PARTNER-northlight-coffee-C-1")) == ("DRAFT", 0)

    products.update(roaster, theirs(roaster), None, {"status": "ACTIVE"})
    bench.settle()

    assert (ours(bench).status, bench.available("PARTNER-northlight-coffee-C-1")) == ("ACTIVE", 20)


def test_a_deleted_product_is_a_draft_of_none(bench: Bench, roaster: Store) -> None:
    products.update(bench.store, ours(bench), None, {"status": "ACTIVE"})
    products.delete(roaster, theirs(roaster))
    bench.settle()

    assert (ours(bench).status, bench.available("PARTNER-northlight-coffee-C-1")) == ("DRAFT", 0)


def test_a_new_variant_is_added_when_the_merchant_says_so(bench: Bench) -> None:
    bench.install()
    store = join(bench)
    rows = [{"sku": "K-250", "price": "10.00", "available": 4, "options": ["250 g"]}]
    made = products.create(store, {"title": "Kenya", "options": ["Size"], "variants": rows})
    bench.settle()
    start(bench)
    bench.settle()
    products.add_variant(store, made, {"sku": "K-1000", "price": "30.00", "available": 3, "options": ["1 kg"]})
    products.told(store, made)
    bench.settle()
    assert [row.facts["after"] for row in pending(bench)] == ["1 kg"]

    decide(bench, is_accepted=True)
    bench.settle()

    assert [(v.sku, v.values, v.price) for v in ours(bench).variants] == [
        ("PARTNER-northlight-coffee-K-250", ["250 g"], Decimal("14.00")),
        ("PARTNER-northlight-coffee-K-1000", ["1 kg"], Decimal("42.00")),
    ]
    assert bench.available("PARTNER-northlight-coffee-K-1000") == 3
