"""Needs of every level against lots, their dates and what comes."""

from __future__ import annotations

from datetime import date, timedelta

from occ_app.planning.materials import Plan, Stock, most_today, plan
from occ_app.production.rules import Making, Part

TODAY = date(2026, 11, 21)
BAR, GANACHE, COCOA, CREAM = 1, 2, 3, 4
FORMULAS = {
    BAR: Making(10, [Part(GANACHE, 100), Part(COCOA, 50)]),
    GANACHE: Making(200, [Part(CREAM, 80), Part(COCOA, 120)]),
}


def on(days: int) -> date:
    return TODAY + timedelta(days=days)


def test_parts_made_here_are_exploded_in_whole_makings_before_they_are_needed() -> None:
    lines = plan([Plan(BAR, 30, on(9), "R-1")], FORMULAS, {GANACHE: [Stock(50)]}, {GANACHE: 2}, TODAY)

    assert (lines[GANACHE].short, lines[GANACHE].makings) == (250, 2)
    assert [(w.quantity, w.on, w.short) for w in lines[CREAM].wanted] == [(160, on(7), 160)]
    assert lines[COCOA].needed == 3 * 50 + 2 * 120


def test_a_lot_that_expires_before_the_day_does_not_count_and_one_that_arrives_by_then_does() -> None:
    stock = {CREAM: [Stock(500, expires_on=on(3)), Stock(100, since=on(4)), Stock(900, since=on(8))]}
    lines = plan([Plan(GANACHE, 200, on(5), "R-1"), Plan(GANACHE, 200, on(2), "R-2")], FORMULAS, stock, {}, TODAY)
    line = lines[CREAM]

    assert [(want.name, want.short) for want in line.wanted] == [("R-2", 0), ("R-1", 0)]
    assert line.spoils == 420
    assert plan([Plan(GANACHE, 600, on(5), "R-1")], FORMULAS, stock, {}, TODAY)[CREAM].short == 140


def test_what_a_run_has_reserved_is_not_needed_again() -> None:
    lines = plan([Plan(GANACHE, 200, TODAY, "R-1", held={CREAM: 80, COCOA: 100})], FORMULAS, {}, {}, TODAY)

    assert CREAM not in lines
    assert lines[COCOA].short == 20


def test_runs_are_served_before_suggestions_of_the_same_day() -> None:
    stock = {CREAM: [Stock(80)], COCOA: [Stock(1000)]}
    plans = [Plan(GANACHE, 200, TODAY, "suggested", is_suggested=True), Plan(GANACHE, 200, TODAY, "R-1")]
    wanted = plan(plans, FORMULAS, stock, {}, TODAY)[CREAM].wanted

    assert {want.name: want.short for want in wanted} == {"R-1": 0, "suggested": 80}


def test_what_can_be_made_today_counts_parts_that_could_be_made_first() -> None:
    stock = {GANACHE: [Stock(100)], CREAM: [Stock(80)], COCOA: [Stock(400), Stock(10**6, since=on(2))]}

    assert most_today(BAR, FORMULAS, stock, TODAY) == 3
    assert most_today(CREAM, FORMULAS, stock, TODAY) == 0
