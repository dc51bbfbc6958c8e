"""A chocolate maker who has sold bars for half a year."""

from __future__ import annotations

import pytest

from tests.planning.workshop import Workshop, weekly
from tests.support.bench import Bench


@pytest.fixture
def workshop(bench: Bench) -> Workshop:
    """The bench; the app is not installed yet."""
    return Workshop(bench)


@pytest.fixture
def bars(workshop: Workshop) -> Workshop:
    """A bar at 6.50 that sells 5 a day; 24 take 1 kg of cocoa and 0.5 kg of sugar; 3 days to make. 1 kg of cocoa and 5 kg of sugar are here,
    and 40 bars."""
    bench = workshop.bench
    bench.product("BAR", 0)
    workshop.sold("BAR", *weekly(8, 5, 5, 5, 5, 5, 5, 5))
    kitchen = workshop.open()
    kitchen.ingredient("COCOA", supplier="Finca", lead_time_days=5)
    kitchen.ingredient("SUGAR", supplier="Mills")
    bench.item("BAR", lead_time_days=3)
    kitchen.formula("BAR", "24", COCOA="1 kg", SUGAR="500 g")
    kitchen.receive("COCOA", "1", "C-1", cost="8")
    kitchen.receive("SUGAR", "5", "S-1", cost="1")
    bench.lot("BAR", 40, number="B-1")
    bench.map("BAR", "hub")
    bench.settle()
    return workshop
