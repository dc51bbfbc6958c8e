"""The list of lots, what expires soon, labels; and what they cost."""

from __future__ import annotations

from datetime import timedelta

import pytest

from occ_app import clock
from occ_app.catalog.models import Item
from occ_app.extensions import db
from occ_app.stock import allocations, labels, ledger
from tests.support.bench import Bench, Statements


@pytest.fixture
def shop(bench: Bench) -> Bench:
    """SSD at 6.50 in Shopify, sold by 2, with 12 units that expire in 5 days and 4 that have expired."""
    bench.product("SSD", 0)
    bench.install()
    bench.item("SSD")
    today = clock.now().date()
    bench.lot("SSD", 12, expires_on=today + timedelta(days=5), number="SOON")
    bench.lot("SSD", 4, expires_on=today - timedelta(days=1), number="GONE")
    bench.lot("SSD", 7, number="EVER")
    bench.map("SSD", "hub", units=2)
    return bench


def test_what_expires_soon_stands_with_units_and_money(shop: Bench) -> None:
    text = shop.open("/lots?view=expiring").text

    assert "12 units of 1 lot expire within 30 days: £39.00 at your prices." in text
    assert "4 units of 1 lot have expired and are still on the shelf: £13.00 at your prices to write off" in text
    assert text.index("GONE") < text.index("SOON")
    assert "EVER" not in text


def test_lots_of_ingredients_are_not_among_those_of_products(shop: Bench) -> None:
    shop.item("COCOA", kind="ingredient")
    shop.lot("COCOA", 9_000_000, number="CM-1")

    assert "CM-1" not in shop.open("/lots?view=all").text
    assert "9,000,000" not in shop.open("/lots").text


def test_a_label_leads_into_the_shops_admin(shop: Bench) -> None:
    answer = shop.open("/lots/labels?lot=1&lot=3&size=a4-24&copies=3&skip=20")
    config = shop.app.extensions["occ_config"]
    with shop.scope():
        from occ_app.shops import install

        found = install.find(shop.store.domain)
        assert found is not None
        url = labels.lot_url(config, found, 1)

    assert url.endswith(f"/store/cocoa-bristol/apps/{config.api_key}/lots/1")
    assert answer.text.count('class="qr"') == 6
    assert answer.text.count('class="sheet"') == 2
    assert " style=" not in answer.text


@pytest.mark.parametrize("query", ["lot=1&copies=0", "lot=1&copies=241", "lot=1&skip=x"])
def test_a_wrong_number_of_labels_is_told_beside_its_field(shop: Bench, query: str) -> None:
    answer = shop.open(f"/lots/labels?{query}")

    assert answer.status_code == 422
    assert "Give a whole number from" in answer.text


def test_channels_get_first_expiry_first_and_give_back_last(shop: Bench) -> None:
    with shop.scope():
        item = db.session.scalars(db.select(Item)).one()
        now = clock.now()
        given = {"today": now.date(), "actor": "test", "at": now}
        allocations.set_amounts(item, 1, {"shopify": 10, "wholesale": 5}, **given)
        allocations.set_amounts(item, 1, {"shopify": 4, "wholesale": 9}, **given)
        held = ledger.holdings([1])[1, 1]
        db.session.commit()

    there = sorted((h.place, h.lot_id, h.quantity) for h in held if h.place.startswith("allocated"))
    assert there == [("allocated:shopify", 1, 4), ("allocated:wholesale", 1, 8), ("allocated:wholesale", 3, 1)] or (
        sum(q for p, _, q in there if p == "allocated:wholesale") == 9
    )


def test_more_is_given_than_there_is_only_with_a_sentence(shop: Bench) -> None:
    data = {"shopify": "10", "wholesale": "12"}
    answer = shop.open("/products/1/allocations", method="POST", data=data)

    assert answer.status_code == 422
    assert "only 7 released units are free" in answer.text or "only 9 released units are free" in answer.text
    assert allocated(shop) == 0


def allocated(bench: Bench) -> int:
    """Units given to any channel."""
    with bench.scope():
        return sum(h.quantity for h in ledger.holdings([1])[1, 1] if h.place.startswith("allocated"))


def test_lists_cost_the_same_whatever_there_is(bench: Bench) -> None:
    bench.install()
    with bench.scope():
        db.session.execute(
            db.text(
                "INSERT INTO item (shop_id, sku, name, unit, safety_stock, created_at)"
                " SELECT 1, 'I' || n, 'Item ' || n, 'piece', 0, now() FROM generate_series(1, 20) n"
            )
        )
        db.session.execute(
            db.text(
                "INSERT INTO lot (shop_id, item_id, lot_number, made_on, expires_on, created_at)"
                " SELECT 1, 1 + n % 20, 'L' || n, '2026-01-01', DATE '2026-11-01' + n % 60, now() FROM generate_series(1, 2000) n"
            )
        )
        db.session.execute(
            db.text(
                "INSERT INTO balance (shop_id, item_id, lot_id, location_id, place, quantity)"
                " SELECT 1, item_id, id, (SELECT min(id) FROM location), (ARRAY['released', 'in_review', 'on_hold'])[1 + id % 3], 5 FROM lot"
            )
        )
        db.session.commit()
    costs = {}
    for path in (
        "/lots",
        "/lots?view=expiring",
        "/lots?q=L19&sort=expires",
        "/lots?view=all&page=40",
        "/lots/7",
        "/products/3/history",
    ):
        with Statements() as statements:
            assert bench.open(path).status_code == 200
        costs[path] = len([text for text in statements.texts if not text.startswith(("SAVEPOINT", "RELEASE"))])

    assert costs.pop("/lots?view=expiring") <= 20  # costs too
    assert max(costs.values()) <= 16, costs
