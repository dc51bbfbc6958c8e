"""A chocolate maker's kitchen."""

from __future__ import annotations

import pytest

from tests.production.kitchen import Kitchen
from tests.support.bench import Bench


@pytest.fixture
def kitchen(bench: Bench) -> Kitchen:
    """The bench with the app installed."""
    return Kitchen(bench)


@pytest.fixture
def bars(kitchen: Kitchen) -> Kitchen:
    """A bar: 24 of them take 1 kg of cocoa and 0.5 kg of sugar; 10 kg of cocoa in two lots, 5 kg of sugar."""
    kitchen.ingredient("COCOA", lead_time_days=5, allergens=["soya"])
    kitchen.ingredient("SUGAR")
    kitchen.bench.item("BAR", shelf_life_days=180)
    kitchen.formula("BAR", "24", COCOA="1 kg", SUGAR="500 g")
    kitchen.receive("COCOA", "6", "C-LATE", days=90, cost="8")
    kitchen.receive("COCOA", "4", "C-SOON", days=30, cost="10")
    kitchen.receive("SUGAR", "5", "S-1", cost="1")
    return kitchen
