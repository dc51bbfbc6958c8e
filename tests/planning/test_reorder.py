"""Reorder arithmetic agrees with published worked examples, to their printed digits."""

from __future__ import annotations

from datetime import date, timedelta

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


def test_chopra_and_meindl_safety_inventory_for_a_cycle_service_level() -> None:
    """Chopra and Meindl, "Supply Chain Management", chapter on safety inventory, B&M's Legos: demand of a week 2,500, standard deviation 500,
    lead time 2 weeks, cycle service level 90 %: safety inventory 906, with the spread over the lead time 707."""
    assert round(spread_over(2, 500)) == 707
    assert round(safety_stock(90, 2, 500)) == 906
    assert round(reorder_point(90, 2500, 500, 2)) == 5906


def test_chopra_and_meindl_periodic_review() -> None:
    """The same, Walmart's Legos, reviewed every 4 weeks: spread over review and lead time 1,225, safety inventory 1,570, order-up-to 16,570."""
    assert round(spread_over(2 + 4, 500)) == 1225
    assert round(safety_stock(90, 2 + 4, 500)) == 1570
    assert round(reorder_point(90, 2500, 500, 2, review_days=4)) == 16570


def test_chopra_and_meindl_uncertain_lead_time() -> None:
    """The same, Dell's drives: daily demand 2,500, standard deviation 500, lead time 7 days varying by 7, 90 %: spread over it
    17,550, safety inventory 22,491."""
    assert round(spread_over(7, 500, 2500, 7)) == 17550
    assert round(safety_stock(90, 7, 500, 2500, 7)) == 22491


def test_snyder_and_shen_base_stock_level() -> None:
    """Snyder and Shen, "Fundamentals of Supply Chain Theory", example 4.3, as stockpyl 1.0.2 prints it (newsvendor_normal(0.18, 0.70, 50, 8)):
    56.60395592743389; with a lead time of 4 and a review every period 264.76689437415484."""
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
