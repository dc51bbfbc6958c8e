"""Our price from theirs, in plain values."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from occ_app.errors import RuleError
from occ_app.partners.prices import MARGIN, MARGIN_PERCENT, MARKUP, Pricing, Rule, offer, rounded_up, rule_of


def priced(their_price: str, kind: str = MARKUP, value: str = "40", their_compare_at: str = "", **more: Any) -> Any:
    """The offer of a good with that price at the partner."""
    pricing = Pricing(Rule(kind, Decimal(value)), **more)
    return offer(Decimal(their_price), Decimal(their_compare_at) if their_compare_at else None, pricing)


@pytest.mark.parametrize(
    ("kind", "value", "expected"), [(MARKUP, "40", "8.54"), (MARGIN, "4.50", "10.60"), (MARGIN_PERCENT, "40", "10.17")]
)
def test_a_rule_makes_the_price_from_the_cost(kind: str, value: str, expected: str) -> None:
    assert priced("6.10", kind, value).price == Decimal(expected)


def test_what_is_left_is_price_less_cost() -> None:
    found = priced("6.10", MARGIN_PERCENT, rounding="95")

    assert (found.price, found.margin, found.margin_percent) == (Decimal("10.95"), Decimal("4.85"), Decimal("44.3"))


@pytest.mark.parametrize(
    ("amount", "rounding", "expected"),
    [
        ("10.17", "95", "10.95"),
        ("10.95", "95", "10.95"),
        ("10.951", "95", "11.95"),
        ("10.96", "99", "10.99"),
        ("10.995", "99", "11.99"),
        ("0.20", "95", "0.95"),
        ("0", "99", "0.99"),
        ("10.01", "whole", "11.00"),
        ("11.00", "whole", "11.00"),
        ("10.175", "none", "10.18"),
    ],
)
def test_rounding_goes_up_to_the_next_such_price(amount: str, rounding: str, expected: str) -> None:
    assert rounded_up(Decimal(amount), rounding) == Decimal(expected)


def test_their_discount_and_the_rate_make_the_cost() -> None:
    assert priced("10.00", discount_percent=Decimal(25), rate=Decimal("0.85")).cost == Decimal("6.38")  # 7.50 x 0.85


def test_a_currency_without_cents_has_whole_prices() -> None:
    assert priced("6.10", rate=Decimal(190), our_currency="JPY", rounding="95").price == Decimal(1623)  # 1159 x 1.4


def test_without_a_rate_there_is_no_price() -> None:
    found = priced("10.00", rate=None, their_currency="EUR", our_currency="GBP")

    assert found.price is None
    assert found.problem == "Say what 1 EUR is in GBP: there is no exchange rate yet."


@pytest.mark.parametrize(("least", "is_good"), [("28.57", True), ("28.58", False), ("35", False), ("0", True)])
def test_a_margin_under_the_least_is_a_problem(least: str, is_good: bool) -> None:
    found = priced("10.00", minimum_margin_percent=Decimal(least))  # 14.00: 28.571 %

    assert (found.problem is None) is is_good


def test_a_compare_at_price_follows_the_same_rule() -> None:
    assert priced("10.00", their_compare_at="12.00", rounding="99").compare_at == Decimal("16.99")


@pytest.mark.parametrize("theirs", ["10.00", "9.00"])
def test_a_compare_at_price_that_is_no_higher_is_none(theirs: str) -> None:
    assert priced("10.00", their_compare_at=theirs).compare_at is None


def test_a_price_beyond_what_shopify_keeps_is_a_problem() -> None:
    assert priced("99999999.00").problem == "The price would be more than Shopify can keep."


@pytest.mark.parametrize("text", ["", "forty", "-1", "NaN", "1e9", "40.005", "Infinity"])
def test_a_rule_that_cannot_be_is_refused_with_words(text: str) -> None:
    with pytest.raises(RuleError, match="such as 40"):
        rule_of(MARKUP, text)


@pytest.mark.parametrize(("text", "words"), [("1,000", "Write 1000 or 1.000."), ("10,000", "Write 10000 or 10.000.")])
def test_a_comma_that_may_part_thousands_is_asked_about(text: str, words: str) -> None:
    with pytest.raises(RuleError, match=words):
        rule_of(MARKUP, text)


def test_a_comma_before_decimals_is_a_point() -> None:
    assert rule_of(MARKUP, "12,50").value == Decimal("12.50")


def test_a_margin_of_the_whole_price_is_refused() -> None:
    with pytest.raises(RuleError):
        rule_of(MARGIN_PERCENT, "100")
