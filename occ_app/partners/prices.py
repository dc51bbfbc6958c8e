"""Prices of a partner's goods in plain values: what one costs us, what we ask for it, and what that leaves. Decimals throughout.

*Cost*: the partner's shop price less its discount for us, in our currency. *Margin*: price less cost; in per cent of the price.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, ROUND_UP, Decimal, InvalidOperation

from occ_app.errors import RuleError

# What a rule adds: per cent of the cost, an amount in our currency, or so much that the margin is that share of the price.
MARKUP, MARGIN, MARGIN_PERCENT = "markup", "margin", "margin_percent"
KINDS = (MARKUP, MARGIN, MARGIN_PERCENT)
MOST = {MARKUP: Decimal(10_000), MARGIN: Decimal(1_000_000), MARGIN_PERCENT: Decimal("99.99")}
ENDINGS = {"99": Decimal("0.99"), "95": Decimal("0.95")}
MOST_PRICE = Decimal("99999999.99")
HUNDRED, ONE, CENT = Decimal(100), Decimal(1), Decimal("0.01")
# ISO 4217: currencies without a smaller unit.
WHOLE_CURRENCIES = frozenset(
    "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split()  # noqa: SIM905 - reads as the list it is
)


def unit_of(currency: str) -> Decimal:
    """The smallest amount of the currency."""
    return ONE if currency in WHOLE_CURRENCIES else CENT


@dataclass(frozen=True)
class Rule:
    """How a price is made from a cost. `value` is never below zero."""

    kind: str
    value: Decimal


@dataclass(frozen=True)
class Pricing:
    """All that makes our price out of theirs. `rate`: what one unit of their currency is in ours; None: the merchant has not said."""

    rule: Rule
    rounding: str = "none"
    minimum_margin_percent: Decimal = Decimal(0)
    discount_percent: Decimal = Decimal(0)
    rate: Decimal | None = ONE
    their_currency: str = ""
    our_currency: str = ""
    has_compare_at: bool = True

    @property
    def unit(self) -> Decimal:
        """The smallest amount of our currency."""
        return unit_of(self.our_currency)


@dataclass(frozen=True)
class Offer:
    """What a good costs us and sells for here. `exact`: before rounding. With a `problem`, in words, it must not be sold so."""

    cost: Decimal | None = None
    exact: Decimal | None = None
    price: Decimal | None = None
    compare_at: Decimal | None = None
    problem: str | None = None

    @property
    def kept_compare_at(self) -> Decimal:
        """The compare-at price as it is kept: 0 for none."""
        return self.compare_at or Decimal(0)

    @property
    def margin(self) -> Decimal | None:
        """Price less cost."""
        return self.price - self.cost if self.price is not None and self.cost is not None else None

    @property
    def margin_percent(self) -> Decimal | None:
        """The margin's share of the price, one decimal."""
        return margin_percent(self.price, self.cost) if self.price is not None and self.cost is not None else None


def with_point(text: str, field: str | None = None) -> str:
    """A number that a person gave, with a point where it has a comma. Raises RuleError for 1,250: 1250 to some and 1.25 to others."""
    text = text.strip()
    pointed = text.replace(",", ".")
    if re.fullmatch(r"[1-9]\d{0,2},\d{3}", text):
        raise RuleError(f"Write {text.replace(',', '')} or {pointed}.", field=field)
    return pointed


def rule_of(kind: str, text: str, field: str = "value") -> Rule:
    """The rule that a person gave. Raises RuleError with a sentence that says what to enter."""
    if kind not in KINDS:
        raise RuleError(f"Choose one of: {', '.join(KINDS)}.", field="kind")
    try:
        value = Decimal(with_point(text, field))
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or not 0 <= value <= MOST[kind] or value != value.quantize(CENT):
        raise RuleError(f"Give a number from 0 to {MOST[kind]:,}, such as 40, with two decimals at most.", field=field)
    return Rule(kind, value)


def cost_of(their_price: Decimal, pricing: Pricing) -> Decimal | None:
    """What one costs us, in our currency; None without a rate."""
    if pricing.rate is None:
        return None
    return discounted(their_price, pricing.discount_percent, pricing.rate).quantize(pricing.unit, ROUND_HALF_UP)


def discounted(their_price: Decimal, discount_percent: Decimal, rate: Decimal = ONE) -> Decimal:
    """Their price less their discount for us, before any rounding."""
    return their_price * (HUNDRED - discount_percent) / HUNDRED * rate


def exact_price(cost: Decimal, rule: Rule) -> Decimal:
    """The price that the rule asks for, before any rounding."""
    if rule.kind == MARKUP:
        return cost * (HUNDRED + rule.value) / HUNDRED
    if rule.kind == MARGIN:
        return cost + rule.value
    return cost * HUNDRED / (HUNDRED - rule.value)


def rounded_up(amount: Decimal, rounding: str, unit: Decimal = CENT) -> Decimal:
    """The smallest price not below `amount` that ends as wished; without a wish the nearest one that can be paid."""
    if rounding == "none":
        return amount.quantize(unit, ROUND_HALF_UP)
    if rounding == "whole" or unit == ONE:
        return amount.quantize(ONE, ROUND_UP).quantize(unit)
    ending = ENDINGS[rounding]
    whole = (amount.quantize(CENT, ROUND_UP) - ending).quantize(ONE, ROUND_UP) if amount > ending else Decimal(0)
    return whole + ending


def margin_percent(price: Decimal, cost: Decimal) -> Decimal:
    """The share of the price that is left, in per cent with one decimal; 0 for what is given away."""
    if price == 0:
        return Decimal("0.0")
    return ((price - cost) / price * HUNDRED).quantize(Decimal("0.1"), ROUND_HALF_UP)


@dataclass(frozen=True)
class Shown:
    """What Shopify shows customers. `compare_at`: 0 for none, None where it was not read yet. `is_by_hand`: it is not what we set last, so
    somebody changed it in Shopify."""

    price: Decimal | None
    compare_at: Decimal | None
    is_by_hand: bool = False


def shown(
    set_price: Decimal | None, set_compare_at: Decimal | None, price: Decimal | None, compare_at: Decimal | None
) -> Shown:
    """What customers see, from what we set last and what Shopify said last. What Shopify did not say yet is as we set it."""
    if price is None:
        return Shown(set_price, set_compare_at)
    is_other = set_price is not None and price != set_price
    if compare_at is None:
        return Shown(price, set_compare_at, is_other)
    return Shown(price, compare_at, is_other or (set_compare_at is not None and compare_at != set_compare_at))


def offer(their_price: Decimal | None, their_compare_at: Decimal | None, pricing: Pricing) -> Offer:
    """Cost, price and compare-at price of one good, or with them why it must not be sold so."""
    if their_price is None:
        return Offer(problem="They give no price for it.")
    cost = cost_of(their_price, pricing)
    if cost is None:
        words = f"Say what 1 {pricing.their_currency} is in {pricing.our_currency}: there is no exchange rate yet."
        return Offer(problem=words)
    exact = exact_price(cost, pricing.rule)
    if exact > MOST_PRICE:
        return Offer(cost, exact, problem="The price would be more than Shopify can keep.")
    price = rounded_up(exact, pricing.rounding, pricing.unit)
    compare_at = None
    if pricing.has_compare_at and their_compare_at is not None and their_compare_at > their_price:
        before = exact_price(cost_of(their_compare_at, pricing) or cost, pricing.rule)
        compare_at = rounded_up(min(before, MOST_PRICE - 1), pricing.rounding, pricing.unit)
    left = margin_percent(price, cost)
    problem = None
    # Compared unrounded: 34.96 % is less than 35 %, though it is shown as 35.0 %.
    if (price - cost) * HUNDRED < pricing.minimum_margin_percent * price or (
        price == 0 < pricing.minimum_margin_percent
    ):
        problem = f"Its margin would be {left} %, under your least of {pricing.minimum_margin_percent.normalize():f} %."
    return Offer(cost, exact, price, compare_at if compare_at and compare_at > price else None, problem)
