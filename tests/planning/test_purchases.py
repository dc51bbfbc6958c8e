"""What was received counts for what was ordered before, oldest first; the rest is still to come."""

from __future__ import annotations

from datetime import timedelta

from occ_app import clock
from occ_app.extensions import db
from occ_app.planning import purchases, supply
from tests.planning.workshop import Workshop


def order(bars: Workshop, kilos: int) -> int:
    """So much cocoa is ordered; returns the purchase's id."""
    with bars.bench.scope():
        today, when = bars.today, {"actor": "test", "at": clock.now()}
        due_on = today + timedelta(days=5)
        row = purchases.add(bars.kitchen.item("COCOA"), kilos * 10**6, "Finca", due_on, today=today, **when)
        db.session.commit()
        return row.id


def to_come(bars: Workshop) -> dict[int, float]:
    """Kilos that are still expected, by purchase."""
    db.session.remove()
    with bars.bench.scope():
        return {row.id: units / 10**6 for row, units in supply.open_purchases()}


def test_what_a_closed_purchase_got_counts_for_no_other(bars: Workshop) -> None:
    first, second = order(bars, 10), order(bars, 5)
    bars.kitchen.receive("COCOA", "6", "C-2")
    before = to_come(bars)
    bars.post(f"/planning/purchases/{first}/close")
    after = to_come(bars)
    bars.kitchen.receive("COCOA", "2", "C-3")

    assert before == {first: 4, second: 5}
    assert after == {second: 5}
    assert to_come(bars) == {second: 3}


def test_what_came_unordered_counts_for_no_later_purchase(bars: Workshop) -> None:
    order(bars, 10)
    bars.kitchen.receive("COCOA", "10", "C-2")
    bars.kitchen.receive("COCOA", "5", "C-3")
    full = to_come(bars)
    later = order(bars, 5)

    assert full == {}
    assert to_come(bars) == {later: 5}
