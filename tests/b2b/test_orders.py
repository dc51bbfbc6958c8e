"""Wholesale orders against one stock: what they take, what Shopify shows, how they end."""

from __future__ import annotations

from tests.b2b.conftest import HALF, SKU, System, split


def test_in_the_pool_an_order_lowers_shopify(system: System) -> None:
    answer = system.order(5)
    system.bench.settle()

    assert answer.status_code == 201
    assert system.bench.available(SKU) == 95
    assert system.stock() == (95, 95)


def test_of_a_split_item_an_order_leaves_shopify_alone(system: System) -> None:
    split(system.bench, SKU, HALF)
    system.bench.settle()
    before = system.bench.available(SKU)
    system.order(5)
    system.bench.settle()

    assert (before, system.bench.available(SKU)) == (60, 60)
    assert system.stock() == (35, 60)
