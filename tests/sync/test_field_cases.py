"""What went wrong in other products, and does not here."""

from __future__ import annotations

from devshop import orders
from occ_app import clock
from occ_app.catalog import pull
from occ_app.catalog.models import Item
from occ_app.extensions import db
from occ_app.stock import lots
from tests.support.bench import Bench
from tests.sync.test_hard_cases import Forward, compare, forward, linked, lose_news

__all__ = ["forward", "linked"]


def test_a_push_leaves_out_what_an_unseen_order_has_taken(linked: Bench) -> None:
    linked.sell_in("SSD", 4)
    lose_news(linked)
    linked.lot("SSD", 5)
    linked.drain()
    first = linked.available("SSD")
    compare(linked)

    assert first == 6  # nothing is raised while Shopify has more committed than we have booked
    assert linked.available("SSD") == 11  # 10 - 4 sold + 5 made
    assert linked.show("SSD")["target"] == 11


def test_lines_of_one_order_share_one_stock(linked: Bench) -> None:
    linked.product("BOX", 0)
    linked.settle()
    linked.map("SSD", "hub", "BOX", units=6)
    linked.settle()
    order = {"lines": [{"sku": "SSD", "quantity": 1}, {"sku": "SSD", "quantity": 2}, {"sku": "BOX", "quantity": 1}]}
    orders.create(linked.store, order)
    linked.settle()

    assert linked.available("SSD") == 1  # 10 - 1 - 2 - 6
    assert linked.available("BOX") == 0


def test_stock_at_a_location_without_a_mapping_is_pushed_nowhere_and_said(linked: Bench) -> None:
    stall = linked.store.add_location("Market stall")
    linked.open("/mapping/pull", method="POST")
    linked.settle()
    with linked.scope():
        item = db.session.scalars(db.select(Item)).one()
        path = f"/products/{item.id}"
        where = pull.find_location(stall.gid)
        assert where is not None
        now = clock.now()
        lots.make(item, 7, location_id=where.id, place="released", today=now.date(), actor="test", at=now)
        db.session.commit()
    linked.settle()
    page = linked.open(path).get_data(as_text=True)

    assert linked.available("SSD") == 10
    assert linked.show("SSD")["sellable"] == 10
    assert "7 at Market stall are not on sale" in page


def test_two_quick_changes_told_by_merged_payloads_are_one_drift(linked: Bench, forward: Forward) -> None:
    linked.store.faults.merges = True
    linked.edit_by_hand("SSD", 9)
    linked.edit_by_hand("SSD", 6)
    linked.settle()
    forward(61)
    linked.settle()
    forward(61)
    linked.settle()

    assert linked.show("SSD")["drift"] == -4
    assert linked.exceptions() == ["drift"]
    assert linked.show("SSD")["sellable"] == 10


def test_a_burst_of_orders_is_stored_first_and_counted_once_each(linked: Bench) -> None:
    for _ in range(40):
        linked.sell_in("SSD", 1)
    linked.settle()

    assert linked.show("SSD")["target"] == -30
    assert linked.available("SSD") == -30
    assert linked.exceptions() == ["backorder"]


def test_an_oversold_number_is_shown_as_none_and_not_put_back_on_sale(linked: Bench) -> None:
    linked.sell_in("SSD", 13)
    linked.settle()
    linked.lot("SSD", 2)
    linked.settle()

    assert linked.show("SSD")["target"] == -1
    assert linked.available("SSD") == -3  # Shopify takes no number below zero, and zero would be a rise


def test_an_oversold_number_that_may_not_be_written_is_read_no_more_often_than_others(
    linked: Bench, forward: Forward
) -> None:
    linked.sell_in("SSD", 13)
    linked.settle()
    linked.lot("SSD", 2)
    linked.settle()
    compare(linked)
    linked.store.calls.clear()
    for _ in range(3):
        forward(301)
        compare(linked)
    reads = len(linked.store.calls)
    linked.lot("SSD", 9)
    linked.settle()

    assert reads == 3  # the comparisons, and no push between them
    assert linked.available("SSD") == 8  # 10 - 13 + 2 + 9
