"""Stock rules in plain values."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occ_app.stock.rules import Holding, Term, sellable, take, target, terms

TODAY = date(2026, 11, 21)
LOTS = [
    Holding("completed", 40, 1),
    Holding("packaged", 20, 2),
    Holding("in_review", 10, 3),
    Holding("released", 100, 4, expires_on=date(2027, 1, 1)),
    Holding("released", 12, 5, expires_on=TODAY),
    Holding("on_hold", 7, 6),
    Holding("allocated:shopify", 30, 7),
    Holding("allocated:wholesale", 50, 8),
    Holding("committed", 9, 4),
]


@pytest.mark.parametrize(
    ("mode", "units"),
    [("released", 100), ("completed", 170), ("packaged", 130), ("manual", 100), ("allocation", 30), ("none", 100)],
)
def test_each_mode_counts_its_places_without_what_is_expired(mode: str, units: int) -> None:
    assert sellable(terms(mode, LOTS, 0, TODAY)) == units


def test_the_terms_are_the_equation_that_people_see() -> None:
    equation = terms("released", LOTS, 10, TODAY)

    assert equation == [Term("released", 112), Term("expired", -12), Term("safety_stock", -10)]


def test_a_lot_is_sellable_until_the_day_before_it_expires() -> None:
    lot = Holding("released", 5, 1, expires_on=date(2026, 11, 22))

    assert sellable(terms("released", [lot], 0, date(2026, 11, 21))) == 5
    assert sellable(terms("released", [lot], 0, date(2026, 11, 22))) == 0


def test_recalled_units_are_taken_off_once_even_if_expired() -> None:
    lot = Holding("released", 5, 1, expires_on=TODAY, is_recalled=True)

    assert terms("released", [lot], 0, TODAY) == [Term("released", 5), Term("recalled", -5)]


def test_a_backorder_lowers_sellable_below_zero() -> None:
    assert sellable(terms("released", [Holding("backorder", -3)], 0, TODAY)) == -3


@pytest.mark.parametrize(
    ("units", "per_variant", "boxes"), [(13, 6, 2), (5, 6, 0), (0, 6, 0), (-1, 6, -1), (-6, 6, -1)]
)
def test_boxes_are_rounded_towards_less(units: int, per_variant: int, boxes: int) -> None:
    assert target([(units, per_variant)]) == boxes


def test_the_scarcest_component_decides_for_a_bundle() -> None:
    assert target([(100, 1), (9, 2), (30, 3)]) == 4


def test_first_expiry_is_sold_first_and_no_expiry_last() -> None:
    lots = [
        Holding("released", 5, 1),
        Holding("released", 5, 2, date(2027, 3, 1)),
        Holding("released", 5, 3, date(2027, 1, 1)),
    ]
    parts, missing = take(lots, 12, TODAY)

    assert [(holding.lot_id, units) for holding, units in parts] == [(3, 5), (2, 5), (1, 2)]
    assert missing == 0


@given(st.lists(st.integers(1, 50), max_size=8), st.integers(0, 300))
def test_a_take_gives_what_is_asked_or_says_what_is_missing(quantities: list[int], asked: int) -> None:
    parts, missing = take([Holding("released", units, n) for n, units in enumerate(quantities)], asked, TODAY)

    assert sum(units for _, units in parts) + missing == asked
    assert all(0 < units <= holding.quantity for holding, units in parts)
