"""The sync rule in plain values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occ_app.sync.rules import Guard, Write, counts_for_expected, is_foreign, retry_after, was_applied, write_for

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("target", "expected", "available", "quantity"),
    [
        (25, 10, 10, 25),  # our change on top of what is there
        (25, 10, 14, 29),  # a drift of 4 stays as it is
        (7, 10, 8, 5),
        (0, 10, 4, 0),  # never below zero
    ],
)
def test_a_write_carries_our_change(target: int, expected: int, available: int, quantity: int) -> None:
    assert write_for(target, expected, available, may_raise=True) == Write(available, quantity)


def test_after_an_oversell_the_units_owed_are_not_put_on_sale() -> None:
    # 3 owed: T -3, E 0, Shopify 0. 10 released: T 7.
    assert write_for(-3, 0, 0, may_raise=True) is None
    assert write_for(7, 0, 0, may_raise=True) == Write(0, 7)
    assert write_for(7, -3, -3, may_raise=True) == Write(-3, 7)


def test_the_floor_alone_never_raises_shopifys_number() -> None:
    assert write_for(-5, 0, -2, may_raise=True) is None


@given(st.integers(-50, 200), st.integers(-50, 200), st.integers(-50, 200), st.booleans())
def test_no_write_raises_beyond_our_change(target: int, expected: int, available: int, may_raise: bool) -> None:
    write = write_for(target, expected, available, may_raise=may_raise)

    if write is not None:
        assert write.quantity >= 0
        assert write.change <= max(0, target - expected)
        assert may_raise or write.change <= 0


@pytest.mark.parametrize(
    ("from_", "to", "stopped"),
    [(60, 460, True), (100, 150, False), (100, 151, True), (10, 30, False), (0, 21, True), (85, 0, True)],
)
def test_the_guard_stops_what_is_beyond_both_limits(from_: int, to: int, stopped: bool) -> None:
    assert Guard(50, 20).stops(Write(from_, to)) is stopped


def test_an_effect_before_the_baseline_is_in_expected_already() -> None:
    assert not counts_for_expected(NOW - timedelta(seconds=1), NOW)
    assert counts_for_expected(NOW, NOW)
    assert not counts_for_expected(NOW, None)
    assert counts_for_expected(NOW - timedelta(seconds=20), NOW, in_committed=True)
    assert not counts_for_expected(NOW - timedelta(seconds=61), NOW, in_committed=True)


def test_a_drift_is_foreign_after_two_looks_and_its_grace() -> None:
    grace = timedelta(seconds=60)

    assert not is_foreign(1, NOW - timedelta(hours=1), NOW, grace)
    assert not is_foreign(2, NOW - timedelta(seconds=59), NOW, grace)
    assert is_foreign(2, NOW - timedelta(seconds=60), NOW, grace)


def test_waits_grow_and_end_at_an_hour() -> None:
    assert [retry_after(n).total_seconds() for n in (1, 2, 3, 30)] == [15, 30, 60, 3600]


@pytest.mark.parametrize(
    ("drift", "drift_then", "change", "applied"),
    [
        (0, 0, 6, False),
        (6, 0, 6, True),
        (-2, -2, 6, False),
        (4, -2, 6, True),
        (6, -2, 6, True),  # what had drifted was a sale, booked since
        (0, -2, 6, False),
        (5, -2, 6, True),  # half of it was
        (-6, 0, -6, True),
        (0, 0, -6, False),
    ],
)
def test_a_reading_tells_whether_a_write_arrived(drift: int, drift_then: int, change: int, applied: bool) -> None:
    assert was_applied(drift, drift_then, change, is_patient=True) is applied


def test_a_drift_that_nothing_was_booked_about_is_there_whole() -> None:
    assert was_applied(1, 2, -1, is_patient=True) is None
    assert was_applied(1, 2, -1, is_patient=True, is_unbooked=True) is True
    assert was_applied(2, 2, -1, is_patient=True, is_unbooked=True) is False


@pytest.mark.parametrize(
    ("drift", "drift_then", "change", "applied"),
    [
        (1, 0, 6, True),  # applied and five sold, or one returned: a rise is taken for done
        (-1, 0, -6, False),  # and a fall for undone
        (0, -12, 6, False),  # what leaves no drift is believed
        (6, 6, 6, True),
        (-6, -6, -6, True),
    ],
)
def test_a_write_that_nothing_tells_about_waits_and_is_then_taken_for_what_sells_nothing_twice(
    drift: int, drift_then: int, change: int, applied: bool
) -> None:
    assert was_applied(drift, drift_then, change, is_patient=True) is None
    assert was_applied(drift, drift_then, change, is_patient=False) is applied
