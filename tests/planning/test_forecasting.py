"""The methods agree with published forecasting libraries, and the choice among them is the one that was right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

import pytest

from occ_app.planning import forecasting
from occ_app.planning.forecasting import (
    Run,
    backtest,
    croston,
    forecast,
    moving_average,
    naive,
    smoothing,
    tsb,
    weekday_average,
    weekday_smoothing,
)
from occ_app.planning.preparing import prepare

LUMPY = [0, 0, 3, 0, 1, 0, 0, 4, 2, 0, 0, 0, 5, 0, 2, 0, 1, 0, 0, 3, 0, 0, 6, 1, 0, 2, 0, 0]
WEEKLY = [12, 8, 7, 9, 11, 20, 24, 10, 9, 8, 8, 13, 22, 27, 11, 7, 9, 10, 12, 19, 25, 13, 9, 6, 11, 14, 23, 30]


# Digits of statsforecast 2.1.1: CrostonClassic, CrostonSBA, TSB(alpha_d=0.2, alpha_p=0.1), WindowAverage, Naive, SeasonalNaive(7),
# SeasonalWindowAverage(7, 2), SeasonalExponentialSmoothing(7, 0.2), SimpleExponentialSmoothing; the latter also of statsmodels 0.15.0
# (SimpleExpSmoothing with the first value as its initial level: 19.77867141).
@pytest.mark.parametrize(
    ("run", "series", "published"),
    [
        (croston(), LUMPY, [1.112434]),
        (croston(0.95), LUMPY, [1.056812]),
        (tsb(0.2, 0.1), LUMPY, [0.984757]),
        (smoothing(0.3), WEEKLY, [19.778671]),
        (smoothing(0.1), LUMPY, [1.002256]),
        (moving_average(7), WEEKLY, [15.142857]),
        (moving_average(28), LUMPY, [1.071429]),
        (naive, WEEKLY, [30.0]),
        (weekday_average(1), WEEKLY, [13.0, 9.0, 6.0, 11.0, 14.0, 23.0, 30.0]),
        (weekday_average(2), WEEKLY, [12.0, 8.0, 7.5, 10.5, 13.0, 21.0, 27.5]),
        (weekday_smoothing(0.2), WEEKLY, [11.784, 8.168, 7.248, 9.432, 12.016, 20.696, 25.744]),
    ],
)
def test_a_method_agrees_with_a_published_library(run: Run, series: list[float], published: Sequence[float]) -> None:
    week = run(series, [len(series)])[0]

    assert [round(units, 6) for units in week[: len(published)]] == list(published)


def test_an_earlier_stop_sees_nothing_of_what_came_later() -> None:
    for name, (_, run) in forecasting.METHODS.items():
        assert run(WEEKLY, [14, 28])[0] == run(WEEKLY[:14], [14])[0], name


def test_unknown_days_do_not_read_as_no_demand() -> None:
    series: list[float | None] = [5.0] * 60
    for day in range(40, 55):
        series[day] = None
    found = forecast(series)

    assert found is not None
    assert [round(units, 9) for units in found.week] == [5.0] * 7


def test_a_weekly_shape_is_found_and_beats_the_day_before() -> None:
    found = forecast([4, 4, 4, 4, 12, 18, 2] * 20)

    assert found is not None
    assert found.method.startswith("week")
    assert [round(units) for units in found.week] == [4, 4, 4, 4, 12, 18, 2]
    assert found.error == pytest.approx(0)
    assert found.naive_error > 4


def test_the_choice_beats_naive_on_noise() -> None:
    random = Random(8)
    series = [float(sum(random.random() < 0.3 for _ in range(20))) for _ in range(300)]
    found = forecast(series)

    assert found.error < 0.85 * found.naive_error
    assert found.daily == pytest.approx(6, rel=0.15)


@pytest.mark.parametrize(
    ("series", "daily"), [([], None), ([None, None], None), ([0.0], 0.0), ([14.0], 1.0), ([7.0] * 7, 3.5)]
)
def test_few_days_are_an_average_over_two_weeks_at_least(series: list[float | None], daily: float | None) -> None:
    found = forecast(series)

    assert (found.daily if found else None) == (pytest.approx(daily) if daily is not None else None)


def test_one_sale_long_ago_is_next_to_nothing() -> None:
    found = forecast([1.0] + [0.0] * 400)

    assert found.daily < 0.01


def test_days_below_zero_count_as_zero() -> None:
    assert forecast([-5.0] * 60).daily == 0


def test_a_burst_that_nothing_comes_near_is_cut_down_and_told() -> None:
    sold = [5.0, 7.0] * 50
    sold[30] = 5000.0
    prepared = prepare(sold, [False] * 100, [1.0] * 100)

    assert prepared.unusual == [(30, 5000.0, 21.0)]
    assert forecast(prepared.values).daily == pytest.approx(6, rel=0.1)


def test_a_day_that_ran_out_counts_only_where_it_sold_as_much_as_usual() -> None:
    prepared = prepare([6, 6, 2, 9], [False, False, True, True], [1] * 4)

    assert prepared.values == [6, 6, None, 9]


def test_an_event_of_the_past_is_taken_out() -> None:
    assert prepare([6, 18], [False, False], [1, 3]).values == [6, 6]


def test_the_error_is_that_of_hyndman_and_koehler() -> None:
    """MASE: a forecast's mean absolute error by that of the naive one within the series."""
    series = [float(n % 2) for n in range(70)]
    scores = backtest(series)

    assert scores["naive"].day == pytest.approx(4 / 7, abs=0.08)  # of a week it is off on every other day
    assert scores["average_28"].day == pytest.approx(0.5)


def test_no_method_answers_with_less_than_nothing_or_no_number() -> None:
    random = Random(3)
    for _ in range(60):
        length = random.randrange(1, 200)
        series = [random.choice([None, 0.0, 0.0, 1.0, 5000.0, -3.0]) for _ in range(length)]
        found = forecast(series)
        if found is not None:
            assert all(math.isfinite(units) and units >= 0 for units in (*found.week, found.spread)), series
