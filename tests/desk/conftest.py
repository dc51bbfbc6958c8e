"""A maker whose truffles and bars come from the same cocoa."""

from __future__ import annotations

import pytest

from tests.support.bench import Bench
from tests.support.making import truffles


@pytest.fixture
def maker(bench: Bench) -> Bench:
    """Truffles (50 of T-1) and bars (100 of B-1, 100 of B-2) on sale."""
    for sku in ("TRUFFLE", "BAR"):
        bench.product(sku, 0)
    bench.install()
    truffles(bench)
    for sku in ("TRUFFLE", "BAR"):
        bench.map(sku, "hub")
    bench.settle()
    return bench


@pytest.fixture
def sold(maker: Bench) -> Bench:
    """Two orders of truffles, and one that takes a whole lot of bars and a part of the next."""
    for sku, quantity in (("TRUFFLE", 3), ("TRUFFLE", 2), ("BAR", 120)):
        maker.sell_in(sku, quantity)
    maker.settle()
    return maker
