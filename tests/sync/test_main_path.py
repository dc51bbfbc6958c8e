"""The main job, over HTTP against devshop: a released lot makes Shopify's number right, and a sale comes back."""

from __future__ import annotations

import pytest

from devshop import orders
from tests.support.bench import Bench


@pytest.fixture
def linked(bench: Bench) -> Bench:
    """An item with 10 released units, mapped, linked with our number."""
    bench.product("SSD", 0)
    bench.install()
    bench.item("SSD")
    bench.lot("SSD", 10)
    bench.map("SSD", "hub")
    bench.settle()
    return bench


def test_first_link_with_hub_sets_shopify_to_our_number(linked: Bench) -> None:
    assert linked.available("SSD") == 10
    assert linked.show("SSD")["state"] == "linked"


def test_a_released_lot_raises_shopifys_number(linked: Bench) -> None:
    lot = linked.lot("SSD", 15, "in_review")
    linked.settle()
    assert linked.available("SSD") == 10

    linked.move(lot, "released")
    linked.settle()

    assert linked.available("SSD") == 25


def test_a_sale_is_booked_and_needs_no_push(linked: Bench) -> None:
    linked.store.calls.clear()
    linked.sell_in("SSD", 3)
    linked.settle()

    shown = linked.show("SSD")
    assert (shown["sellable"], shown["target"], shown["expected"], linked.available("SSD")) == (7, 7, 7, 7)
    assert not [call for call in linked.store.calls if call["kind"] == "mutation"]


def test_a_hand_edit_is_shown_and_not_overwritten(linked: Bench) -> None:
    linked.edit_by_hand("SSD", 14)
    linked.settle()
    linked.app.extensions["occ_clock_passes"](120) if "occ_clock_passes" in linked.app.extensions else None

    assert linked.available("SSD") == 14


def test_a_cancelled_order_puts_the_units_back(linked: Bench) -> None:
    order = linked.sell_in("SSD", 3)
    linked.settle()
    orders.cancel(linked.store, order, restock=True)
    linked.settle()

    shown = linked.show("SSD")
    assert (shown["sellable"], shown["expected"], linked.available("SSD")) == (10, 10, 10)
