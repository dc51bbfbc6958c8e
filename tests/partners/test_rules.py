"""How many of a partner's goods may be sold, and when a partner's next cutoff is, in plain values."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest

from occ_app.partners.rules import Ageing, missing, next_cutoff, terms
from occ_app.stock.rules import sellable

AGEING = Ageing(timedelta(hours=2), 3, timedelta(hours=6))
PLAIN = {"safety_stock": 0, "widening": 0, "unreflected": 0, "is_withheld": False}


def test_the_terms_sum_to_what_may_be_sold() -> None:
    equation = terms(20, **{**PLAIN, "safety_stock": 2, "widening": 3, "unreflected": 5})

    assert [(term.name, term.quantity) for term in equation] == [
        ("partner_available", 20),
        ("safety_stock", -2),
        ("old_reading", -3),
        ("unreflected", -5),
    ]
    assert sellable(equation) == 10


def test_more_sold_than_the_partner_has_goes_below_zero() -> None:
    assert sellable(terms(1, **{**PLAIN, "unreflected": 3})) == -2


@pytest.mark.parametrize(("unreflected", "expected"), [(0, 0), (4, 0), (12, -2)])
def test_what_is_withheld_is_none_but_never_hides_what_is_missing(unreflected: int, expected: int) -> None:
    assert sellable(terms(10, **{**PLAIN, "unreflected": unreflected, "is_withheld": True})) == expected


@pytest.mark.parametrize(
    ("minutes", "units"), [(0, 0), (120, 0), (121, 3), (180, 3), (181, 6)], ids=lambda value: str(value)
)
def test_each_begun_hour_of_a_stale_reading_holds_back_more(minutes: int, units: int) -> None:
    assert AGEING.widening(timedelta(minutes=minutes)) == units


def test_an_old_reading_or_none_is_given_up() -> None:
    assert AGEING.is_too_old(timedelta(hours=6))
    assert AGEING.is_too_old(None)
    assert not AGEING.is_too_old(timedelta(hours=5, minutes=59))


@pytest.mark.parametrize(("available", "unreflected", "expected"), [(1, 2, 1), (2, 2, 0), (-3, 2, 2), (5, -1, 0)])
def test_missing_are_units_sold_that_the_partner_no_longer_has(available: int, unreflected: int, expected: int) -> None:
    assert missing(available, unreflected) == expected


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (datetime(2026, 11, 19, 17, 59, tzinfo=UTC), datetime(2026, 11, 19, 18, 0, tzinfo=UTC)),  # a Thursday
        (datetime(2026, 11, 19, 18, 0, tzinfo=UTC), datetime(2026, 11, 26, 18, 0, tzinfo=UTC)),
        (datetime(2026, 3, 27, 9, 0, tzinfo=UTC), datetime(2026, 4, 2, 17, 0, tzinfo=UTC)),  # summer time began
    ],
)
def test_the_weekly_cutoff_is_by_the_partners_clock(now: datetime, expected: datetime) -> None:
    found = next_cutoff(now, cadence="weekly", weekday="thursday", at=time(18), time_zone="Europe/London")

    assert found == expected


def test_the_daily_cutoff_is_the_next_one_in_the_partners_zone() -> None:
    now = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)  # 12:30 on the 21st in Auckland

    found = next_cutoff(now, cadence="daily", weekday="monday", at=time(17), time_zone="Pacific/Auckland")

    assert found == datetime(2026, 11, 21, 4, 0, tzinfo=UTC)
