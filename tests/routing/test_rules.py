"""Partner orders in plain values: cutoffs on days that change clocks, quantities, names."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pytest

from occ_app.partners.rules import Plan
from occ_app.routing import rules
from occ_app.routing.rules import Row


def plan(zone: str, weekday: str, at: str, *skipped: str) -> Plan:
    """A weekly plan."""
    return Plan("weekly", weekday, time.fromisoformat(at), zone, frozenset(date.fromisoformat(day) for day in skipped))


@pytest.mark.parametrize(
    ("zone", "at", "now", "cutoff"),
    [
        # London, 29 March 2026: 01:00 to 02:00 is skipped. The cutoff comes right after the change, once.
        ("Europe/London", "01:30", "2026-03-28T12:00", "2026-03-29T01:30"),
        ("Europe/London", "01:30", "2026-03-29T01:31", "2026-04-05T00:30"),
        # London, 25 October 2026: 01:00 to 02:00 comes twice. The first counts, and only it.
        ("Europe/London", "01:30", "2026-10-24T12:00", "2026-10-25T00:30"),
        ("Europe/London", "01:30", "2026-10-25T00:31", "2026-11-01T01:30"),
        # New York, 8 March and 1 November 2026.
        ("America/New_York", "02:30", "2026-03-07T12:00", "2026-03-08T07:30"),
        ("America/New_York", "01:30", "2026-10-31T12:00", "2026-11-01T05:30"),
        ("America/New_York", "01:30", "2026-11-01T05:31", "2026-11-08T06:30"),
    ],
)
def test_a_cutoff_in_a_skipped_or_doubled_hour_comes_once(zone: str, at: str, now: str, cutoff: str) -> None:
    found = plan(zone, "sunday", at).next_cutoff(datetime.fromisoformat(now).replace(tzinfo=UTC))

    assert found == datetime.fromisoformat(cutoff).replace(tzinfo=UTC)


def test_a_cutoff_on_a_skipped_day_is_left_out() -> None:
    found = plan("Europe/London", "thursday", "18:00", "2026-12-24", "2026-12-31")

    assert found.next_cutoff(datetime(2026, 12, 22, tzinfo=UTC)) == datetime(2027, 1, 7, 18, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "zone", "last", "due"),
    [
        ("2026-11-16T05:59", "Europe/London", None, None),
        ("2026-11-16T06:00", "Europe/London", None, date(2026, 11, 16)),
        ("2026-11-16T23:59", "Europe/London", date(2026, 11, 16), None),
        ("2026-11-15T12:00", "Europe/London", date(2026, 11, 16), None),  # the clock jumped back
        ("2026-11-15T20:00", "Asia/Tokyo", None, None),  # 05:00 of the 16th there
        ("2026-11-15T21:00", "Asia/Tokyo", date(2026, 11, 15), date(2026, 11, 16)),
    ],
)
def test_the_daily_batch_is_due_once_a_day_of_the_shop(
    now: str, zone: str, last: date | None, due: date | None
) -> None:
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC)

    assert rules.is_batch_due(moment, hour=6, time_zone=zone, last_for=last) == due


@pytest.mark.parametrize(("since", "due"), [("06:00", date(2026, 11, 16)), ("06:01", None)])
def test_only_what_waited_at_the_hour_makes_a_batch_due_where_that_counts(since: str, due: date | None) -> None:
    waits_since = datetime.fromisoformat(f"2026-11-16T{since}").replace(tzinfo=UTC)
    moment = datetime(2026, 11, 16, 9, tzinfo=UTC)

    assert rules.is_batch_due(moment, hour=6, time_zone="Europe/London", last_for=None, waits_since=waits_since) == due


@pytest.mark.parametrize(
    ("weekday", "at", "closes"),
    [
        ("thursday", "20:00", "2026-12-03 20:00"),
        ("friday", "18:00", "2026-12-04 18:00"),
        ("tuesday", "18:00", "2026-12-01 18:00"),
    ],
)
def test_an_order_held_beyond_a_cutoff_is_not_closed_by_that_one_moved(weekday: str, at: str, closes: str) -> None:
    held_beyond = datetime(2026, 11, 26, 18, 0, tzinfo=UTC)  # a Thursday

    assert f"{plan('UTC', weekday, at).cutoff_beyond(held_beyond):%Y-%m-%d %H:%M}" == closes


def test_a_batch_hour_that_a_clock_change_skips_comes_right_after_it() -> None:
    before, after = datetime(2026, 3, 29, 0, 59, tzinfo=UTC), datetime(2026, 3, 29, 1, 30, tzinfo=UTC)

    assert rules.is_batch_due(before, hour=1, time_zone="Europe/London", last_for=None) is None
    assert rules.is_batch_due(after, hour=1, time_zone="Europe/London", last_for=None) == date(2026, 3, 29)


def test_units_still_to_order_and_units_too_many() -> None:
    assert rules.to_order(needed=3, still_open=3, covered=1) == 2
    assert rules.to_order(needed=3, still_open=1, covered=0) == 1  # two were sent from the shelf
    assert rules.too_many(needed=1, covered=3, not_yet_here=3) == 2
    assert rules.too_many(needed=1, covered=3, not_yet_here=0) == 0  # they are here: stock


@pytest.mark.parametrize(
    ("price", "currency", "cost"), [("12.50", "GBP", "11.88"), ("12.30", "GBP", "11.69"), ("333", "JPY", "316")]
)
def test_a_cost_is_rounded_half_up_to_what_its_currency_has(price: str, currency: str, cost: str) -> None:
    found = rules.cost_of(Decimal(price), Decimal(5), currency)

    assert str(found) == cost  # 11.875, 11.685, 316.35


def test_lines_are_summed_per_variant_and_cost_and_empty_ones_left_out() -> None:
    rows = [Row(1, "b", Decimal("2"), 1), Row(2, "a", Decimal("1.5"), 2), Row(3, "a", Decimal("1.50"), 3)]
    rows += [Row(4, "a", Decimal("1.75"), 1), Row(5, "c", Decimal("1"), 0)]

    assert rules.grouped(rows) == [("a", "1.50", 5), ("a", "1.75", 1), ("b", "2.00", 1)]


def test_units_cost_what_they_cost_on_the_partners_lines_their_own_cost_first() -> None:
    rows = [Row(1, "a", Decimal("10.00"), 3), Row(2, "a", Decimal("12.00"), 4), Row(3, "b", Decimal("5.00"), 1)]
    theirs = [("a", "12.00", 3), ("a", "10.00", 5), ("b", "4.00", 1), ("c", "1.00", 2)]
    found, extra = rules.priced(rows, theirs)

    assert found[1] == [(Decimal("10.00"), 3)]
    assert found[2] == [(Decimal("12.00"), 3), (Decimal("10.00"), 1)]
    assert found[3] == [(Decimal("4.00"), 1)]
    assert extra == [("a", "10.00", 1), ("c", "1.00", 2)]


def test_names_tell_partner_and_week_and_are_never_used_twice() -> None:
    code = rules.code_of("Northlight Coffee")

    assert rules.name_of(code, "weekly", date(2026, 11, 19), {"NC-2026-47"}) == "NC-2026-47-2"
    assert rules.name_of(code, "weekly", date(2027, 1, 1), ()) == "NC-2026-53"  # the ISO year of that week
    assert rules.code_of("Kiln") == "KI"
    assert rules.code_of("咖啡") == "PO"


def test_an_update_is_told_by_what_came_and_what_went_and_time_by_its_two_largest_units() -> None:
    assert rules.changed_by([4, -2, -1, 0]) == "4 units added, 3 units taken off"
    assert rules.changed_by([1]) == "1 unit added"
    assert rules.changed_by([0]) == ""
    assert rules.time_left(timedelta(days=2, hours=1, minutes=9)) == [(2, "d"), (1, "h")]
    assert rules.time_left(timedelta(seconds=-5)) == [(0, "h"), (0, "min")]


def test_what_the_partner_added_is_no_more_than_stands_there_beyond_ours() -> None:
    added = [["a", "1.00", 2], ["a", "2.00", 2], ["b", "1.00", 3], ["c", "1.00", 1]]

    assert rules.still_added(added, {"a": 3, "b": 0}) == [["a", "1.00", 2], ["a", "2.00", 1], ["c", "1.00", 1]]


def test_lines_say_when_they_go_each_kind_with_its_number() -> None:
    assert rules.when_they_go(3, 0, 0) == " with the next batch"
    assert rules.when_they_go(0, 1, 0) == " once paid"
    assert rules.when_they_go(2, 1, 1) == ": 2 with the next batch, 1 once paid, 1 once nothing holds it back"
