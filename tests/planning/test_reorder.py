"""Reorder arithmetic agrees with published worked examples, to their printed digits."""

from __future__ import annotations

import math
from datetime import date, timedelta
from itertools import product

import pytest

from occ_app.errors import RuleError
from occ_app.planning import reorder
from occ_app.planning.reorder import (
    Lots,
    cover,
    projected,
    reorder_point,
    run_size,
    runs_out,
    safety_stock,
    spread_over,
)

TODAY = date(2026, 3, 28)  # the night before the clocks change


@pytest.mark.parametrize(
    ("level", "days", "review", "daily", "spread", "printed"),
    [
        (95, 2, 0, 300, 200, (282.8427, 466, 1066)),  # exercise 12-3, Best Buy, watched all the time
        (95, 2, 3, 300, 200, (447.2136, 736, 2236)),  # exercise 12-4, the same, reviewed every three weeks
        # exercise 12-6, Sam's Club, which asks for the service level of 600
        (68.1324056, 2, 0, 250, 150, (212.132, 100, 600)),
    ],
)
def test_chopra_and_meindl_exercises(
    level: float, days: float, review: float, daily: float, spread: float, printed: tuple[float, int, int]
) -> None:
    """Chopra and Meindl, "Supply Chain Management", chapter 12, as worked out in "Safety Inventory Problems" (scribd.com/document/546388431):
    the spread over lead time and review, the safety inventory, and the reorder point or order-up-to level, units rounded up."""
    places = len(str(printed[0]).partition(".")[2])

    assert round(spread_over(days + review, spread), places) == printed[0]
    assert math.ceil(safety_stock(level, days + review, spread) - 0.01) == printed[1]
    assert math.ceil(reorder_point(level, daily, spread, days, review) - 0.01) == printed[2]


@pytest.mark.parametrize(("level", "printed"), [(70, 371), (95, 1163)])
def test_chopra_and_meindl_example_of_a_desired_service_level(level: float, printed: int) -> None:
    """The same, example 12-4 (a week 2,500, standard deviation 500, lead time 2 weeks), as its spreadsheet prints it at these levels
    (essayzoo.org, "Chapter 12, Managing Uncertainty in a Supply Chain"): mean of the lead time 5,000, standard deviation 707."""
    assert round(spread_over(2, 500)) == 707
    assert round(reorder_point(level, 2500, 500, 2) - safety_stock(level, 2, 500)) == 5000
    assert round(safety_stock(level, 2, 500)) == printed


def test_a_lead_time_that_varies_adds_what_a_sum_of_so_many_days_varies_by() -> None:
    """No print was at hand that does not round z first. So every case is counted: 2 or 6 units a day, over 1 or 3 days."""
    totals = [[sum(days) for days in product((2, 6), repeat=length)] for length in (1, 3)]
    mean = sum(sum(each) / len(each) for each in totals) / 2
    spread = math.sqrt(sum(sum((units - mean) ** 2 for units in each) / len(each) for each in totals) / 2)

    assert spread_over(2, 2, 4, 1) == pytest.approx(spread)


def test_stockpyl_newsvendor() -> None:
    """The first example of stockpyl's documentation (pypi.org/project/stockpyl): newsvendor_normal(2, 18, 120, 10) is 132.815515655446."""
    assert reorder_point(100 * 18 / 20, 120, 10, 1) == pytest.approx(132.815515655446, abs=1e-9)


def test_snyder_and_shen_base_stock_level() -> None:
    """Snyder and Shen, "Fundamentals of Supply Chain Theory", examples 4.3 and 4.4, as stockpyl holds them (tests/test_newsvendor.py,
    newsvendor_normal(0.18, 0.70, 50, 8)): 56.603955927433887; with a lead time of 4 and a review every period 2.647668943741548e+02."""
    service = 100 * 0.70 / 0.88

    assert reorder_point(service, 50, 8, 1) == pytest.approx(56.60395592743389, abs=1e-9)
    assert reorder_point(service, 50, 8, 4, review_days=1) == pytest.approx(264.76689437415484, abs=1e-9)


def test_a_lead_time_of_nothing_needs_no_stock() -> None:
    assert reorder_point(95, 5, 2, 0) == 0


@pytest.mark.parametrize("level", [0, 49.9, 100, 200, -5])
def test_a_service_level_that_cannot_be_is_refused(level: float) -> None:
    with pytest.raises(RuleError, match=r"from 50 to 99\.99"):
        reorder.factor(level)


@pytest.mark.parametrize(
    ("wanted", "lots", "size"),
    [
        (100, Lots(24), 120),
        (120, Lots(24), 120),
        (1, Lots(24), 24),
        (-5, Lots(24), 24),
        (10, Lots(24, least=100), 120),
        (500, Lots(24, most=100), 96),
        (500, Lots(24, most=10), 24),
        (7.2, Lots(), 8),
    ],
)
def test_a_run_is_whole_makings_within_its_limits(wanted: float, lots: Lots, size: int) -> None:
    assert run_size(wanted, lots) == size


def test_cover_is_whole_days() -> None:
    assert [cover(10, [4, 4, 4]), cover(12, [4, 4, 4]), cover(0, [1]), cover(0, [0, 0, 1])] == [2, 3650, 0, 2]


def test_the_stock_to_come_loses_what_expires_and_gains_what_arrives() -> None:
    lots = [(10, TODAY + timedelta(days=2)), (4, None)]
    points = projected(TODAY, lots, {TODAY + timedelta(days=4): 20}, [2] * 6, 0)

    assert [point.stock for point in points] == [12, 10, 2, 0, 18, 16]
    assert [point.expires for point in points] == [0, 0, 6, 0, 0, 0]
    assert runs_out(points) == TODAY + timedelta(days=3)


def test_what_is_owed_is_filled_first_and_what_nobody_could_buy_is_lost() -> None:
    points = projected(TODAY, [(-5, None)], {TODAY + timedelta(days=2): 12}, [3] * 4, 0)

    assert [point.stock for point in points] == [0, 0, 4, 1]


def test_days_follow_each_other_where_clocks_change() -> None:
    points = projected(TODAY, [(5, None)], {}, [1] * 4, 1)

    assert [point.on.day for point in points] == [28, 29, 30, 31]
    assert points[3].low < points[3].stock < points[3].high
