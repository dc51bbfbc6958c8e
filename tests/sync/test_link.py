"""First links: nothing is written before somebody says which side is right, and the books agree."""

from __future__ import annotations

from datetime import timedelta

import pytest

from devshop import orders
from occ_app import clock
from occ_app.errors import RuleError
from occ_app.extensions import db
from occ_app.sync import settle
from occ_app.sync.models import SyncException
from tests.support.bench import Bench


def prepared(bench: Bench, available: int, lot: int) -> Bench:
    """A variant with `available` in Shopify, an item with `lot` units."""
    bench.product("SSD", available)
    bench.install()
    bench.item("SSD")
    if lot:
        bench.lot("SSD", lot)
    return bench


def test_without_a_choice_it_asks_and_writes_nothing(bench: Bench) -> None:
    prepared(bench, 40, 31).map("SSD", None)
    bench.settle()

    assert bench.exceptions() == ["link"]
    assert bench.available("SSD") == 40
    assert bench.show("SSD")["state"] == "awaiting_link"


def test_the_answer_on_the_desk_links_it(bench: Bench) -> None:
    prepared(bench, 40, 31).map("SSD", None)
    bench.settle()
    with bench.scope():
        settle.settle(db.session.scalars(db.select(SyncException.id)).one(), "hub", actor="test", at=clock.now())
        db.session.commit()
    bench.settle()

    assert (bench.available("SSD"), bench.show("SSD")["expected"], bench.exceptions()) == (31, 31, [])


def test_shopify_takes_their_number_with_open_orders_booked(bench: Bench) -> None:
    prepared(bench, 40, 0)
    bench.sell_in("SSD", 3)
    bench.map("SSD", "shopify")
    bench.settle()

    shown = bench.show("SSD")
    assert (shown["sellable"], shown["expected"], bench.available("SSD")) == (37, 37, 37)
    assert shown["terms"] == [{"name": "released", "quantity": 37}]


def test_hub_counts_open_orders_as_taken_from_our_lots(bench: Bench) -> None:
    prepared(bench, 40, 31)
    bench.sell_in("SSD", 3)
    bench.map("SSD", "hub")
    bench.settle()

    assert (bench.show("SSD")["sellable"], bench.available("SSD")) == (28, 28)


def test_what_was_shipped_before_the_link_is_not_taken_from_lots(bench: Bench) -> None:
    prepared(bench, 40, 31)
    order = bench.sell_in("SSD", 3)
    order.created_at -= timedelta(hours=1)
    orders.fulfil(bench.store, order)
    bench.settle()
    bench.map("SSD", "hub")
    bench.settle()

    assert (bench.show("SSD")["sellable"], bench.available("SSD")) == (31, 31)


def test_taking_shopifys_number_for_shared_stock_is_refused(bench: Bench) -> None:
    prepared(bench, 13, 13)
    bench.product("BOX", 2)
    bench.settle()
    bench.map("SSD", "hub")
    bench.settle()
    with pytest.raises(RuleError, match="sells through another variant"):
        bench.map("SSD", "shopify", variant_sku="BOX", units=6)
    db.session.rollback()
