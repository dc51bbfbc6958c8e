"""Suggestions follow stock and demand: one at a time, with its reason, withdrawn when it is no longer true."""

from __future__ import annotations

from tests.planning.workshop import Workshop


def test_a_sale_that_lowers_the_stock_to_its_point_makes_one_suggestion(bars: Workshop) -> None:
    before = bars.suggestions()
    bars.bench.sell_in("BAR", 25)
    bars.bench.settle()
    made = bars.suggestions()

    assert before == []
    assert [(row.state, row.facts["stock"], row.trigger) for row in made] == [("open", 15, "ours")]
    assert float(bars.plan("BAR").week[0]) == 5
