"""Variants: all of them in one go, single ones as they change, and what they suggest."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask

from devshop import products
from devshop.faults import CallFault
from devshop.world import World
from occ_app import clock
from occ_app.catalog import mapping, news
from occ_app.catalog.models import Location, ProductNews, Variant
from occ_app.catalog.pull import find_location, keep_locations, newest
from occ_app.catalog.rules import likeness, plain_cell, safe_cell
from occ_app.errors import RuleError
from occ_app.extensions import db
from occ_app.inbox import working
from occ_app.orders.models import Order
from occ_app.wiring import TOPICS
from tests.support.bench import DOMAIN, Bench, Statements


def skus(bench: Bench) -> dict[str, bool]:
    """SKU -> whether Shopify still has it."""
    db.session.remove()
    with bench.scope():
        return {v.sku: v.deleted_at is None for v in db.session.scalars(db.select(Variant))}


def test_ten_thousand_variants_come_in_one_bulk_operation(bench: Bench) -> None:
    products.generate(bench.store, 10_000, 1)
    bench.install()

    assert len(skus(bench)) == 10_000
    assert (
        sum(call["operation"] == "variantsBulk" for call in bench.store.calls) == 2
    )  # the other: orders before the install
    assert len(bench.store.calls) < 15
    with bench.scope():
        pull = newest()
        assert pull is not None
        assert (pull.expected, pull.variants_taken) == (10_000, 10_000)


def test_a_changed_product_is_read_again(bench: Bench) -> None:
    bench.product("A", 1)
    bench.install()
    product = next(iter(bench.store.products.values()))
    products.update(bench.store, product, product.variants[0], {"sku": "B"})
    bench.settle()

    assert skus(bench) == {"B": True}


def test_a_deleted_product_stays_for_history_and_is_marked(bench: Bench) -> None:
    bench.product("A", 1)
    bench.product("B", 1)
    bench.install()
    products.delete(bench.store, next(iter(bench.store.products.values())))
    bench.settle()

    assert skus(bench) == {"A": False, "B": True}


def test_webhooks_never_make_items(bench: Bench) -> None:
    bench.install()
    bench.product("NEW", 1)
    bench.settle()
    with bench.scope():
        assert mapping.suggestions() == []


def test_suggestions_go_by_sku_then_barcode_then_title(bench: Bench) -> None:
    bench.product("S1", 0)
    bench.product("other", 0, barcode="S2")
    products.create(bench.store, {"title": "Ecuador 85 % bar", "variants": [{"sku": "zzz"}]})
    bench.product("TWICE", 0)
    bench.product("TWICE", 0)
    bench.install()
    for sku in ("S1", "S2", "TWICE"):
        bench.item(sku)
    bench.item("S3", name="Ecuador 85 % Bar")
    with bench.scope():
        found = {s.item.sku: s.by for s in mapping.suggestions()}

    assert found == {"S1": "sku", "S2": "barcode", "S3": "title"}


def test_a_bundle_cannot_be_mapped(bench: Bench) -> None:
    products.create(bench.store, {"title": "Box", "bundle": True, "variants": [{"sku": "BUN"}]})
    bench.install()
    bench.item("BUN")
    with pytest.raises(Exception, match="is a bundle"):
        bench.map("BUN")
    db.session.rollback()


def test_a_variant_that_shopify_does_not_count_cannot_be_mapped(bench: Bench) -> None:
    bench.product("FREE", 0, tracked=False)
    bench.install()
    bench.item("FREE")
    with bench.scope():
        assert mapping.suggestions() == []
    with pytest.raises(RuleError, match="Turn on 'Track quantity'"):
        bench.map("FREE")
    db.session.rollback()


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "plain", "", "'quoted"])
def test_cells_are_made_harmless_and_come_back(text: str) -> None:
    assert not safe_cell(text).startswith(("=", "+", "-", "@", "\t"))
    assert plain_cell(safe_cell(text)) == text


def test_titles_much_alike_are_told_from_others() -> None:
    assert likeness("Ecuador 85 % bar", "Ecuador 85% Bar") > 0.75
    assert likeness("Ecuador 85 % bar", "Peru 75 % bar") < 0.75


def test_many_products_changed_at_once_are_read_in_a_few_calls(bench: Bench) -> None:
    for number in range(30):
        bench.product(f"S{number}")
    bench.install()
    for product in bench.store.products.values():
        for _ in range(2):
            products.update(bench.store, product, product.variants[0], {"sku": product.variants[0].sku + "a"})
    bench.sender.deliver_due()
    bench.store.calls.clear()
    bench.drain()

    assert [call["operation"] for call in bench.store.calls] == ["productsById"] * 2
    assert skus(bench) == {f"S{number}aa": True for number in range(30)}


def test_news_of_products_costs_the_inbox_no_call(bench: Bench) -> None:
    for number in range(5):
        bench.product(f"S{number}")
    shop = bench.install()
    for product in bench.store.products.values():
        products.update(bench.store, product, product.variants[0], {"sku": product.variants[0].sku + "a"})
    bench.sell_in("S0a", 1)
    bench.sender.deliver_due()
    bench.store.calls.clear()
    with bench.scope():
        working.work_off(shop.id, TOPICS)

        assert bench.store.calls == []
        assert db.session.scalar(db.select(db.func.count()).select_from(Order)) == 1
        assert db.session.scalar(db.select(db.func.count()).select_from(ProductNews)) == 5


def test_of_a_changed_product_every_variant_is_known_however_many(bench: Bench) -> None:
    rows = [{"sku": f"V{number}", "price": "1", "options": [str(number)]} for number in range(12)]
    many = products.create(bench.store, {"title": "Many", "options": ["Size"], "variants": rows})
    bench.product("GONE")
    bench.product("FEW")
    bench.install()
    gone, few = list(bench.store.products.values())[1:]
    products.delete_variant(bench.store, many.variants[0])
    products.delete(bench.store, gone)
    products.update(bench.store, few, few.variants[0], {"sku": "NEW"})
    bench.settle()

    assert skus(bench) == {f"V{number}": number > 0 for number in range(12)} | {"GONE": False, "NEW": True}


def test_news_that_comes_while_its_product_is_read_is_read_too(bench: Bench) -> None:
    bench.install()
    with bench.scope():
        first, second = clock.now() - timedelta(seconds=2), clock.now() - timedelta(seconds=1)
        news.note("gid://shopify/Product/1", first, first)
        news.note("gid://shopify/Product/1", second, second)
        news.settle("gid://shopify/Product/1", first)

        assert [row.told_at for row in news.due(clock.now())] == [second]


def test_news_of_a_product_rests_while_shopify_does_not_answer(bench: Bench) -> None:
    bench.product("S")
    bench.install()
    product = next(iter(bench.store.products.values()))
    products.update(bench.store, product, product.variants[0], {"sku": "T"})
    bench.sender.deliver_due()
    bench.store.faults.upcoming.extend([CallFault("lost_before", "query")] * 20)
    bench.drain()
    with bench.scope():
        row = db.session.scalars(db.select(ProductNews)).one()
        assert row.tries == 1
        row.next_try_at = clock.now()
        db.session.commit()
    bench.store.faults.upcoming.clear()
    bench.settle()

    assert skus(bench) == {"T": True}
    with bench.scope():
        assert db.session.scalars(db.select(ProductNews)).all() == []


def test_a_shop_of_130_locations_has_all_of_them(bench: Bench) -> None:
    for n in range(129):
        bench.store.add_location(f"Shelf {n:03}")
    bench.install()

    with bench.scope():
        known = db.session.scalars(db.select(Location)).all()
    assert len(known) == 130
    assert all(place.is_active for place in known)


def test_the_130_locations_are_kept_in_two_statements(bench: Bench) -> None:
    bench.install()
    nodes = [{"id": f"gid://shopify/Location/{n}", "name": f"Shelf {n}", "isActive": True} for n in range(1, 131)]
    with bench.scope(), Statements() as statements:
        keep_locations(nodes, clock.now())

    assert len(statements.texts) == 2


def test_a_location_that_is_made_renamed_or_deleted_in_shopify_is_known_by_its_news(
    bench: Bench, world_app: tuple[World, Flask]
) -> None:
    bench.install()
    bench.world.clock.advance(5)
    seen = []
    told = world_app[1].test_client()
    path = f"/_devshop/shops/{DOMAIN}/locations"
    gid = told.post(path, json={"name": "Till"}).get_json()["gid"]
    seen.append(location(bench, gid))
    told.post(f"{path}/name", json={"location_gid": gid, "name": "Till one"})
    seen.append(location(bench, gid))
    told.post(f"{path}/delete", json={"location_gid": gid})
    seen.append(location(bench, gid))

    assert seen == [("Till", True), ("Till one", True), ("Till one", False)]


def location(bench: Bench, gid: str) -> tuple[str, bool] | None:
    """Name of a location and whether it is active, as we know it when all is settled."""
    bench.settle()
    with bench.scope():
        found = find_location(gid)
        return (found.name, found.is_active) if found else None
