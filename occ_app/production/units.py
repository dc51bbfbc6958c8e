"""Amounts: what people write in g, kg, ml, l or pieces is kept in whole milligrams, microlitres or pieces.

Every factor is a power of ten, so conversions are exact; a library of units would add rounding, a registry and its start-up time to a
table of five lines.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from occ_app.errors import RuleError

SMALLEST = {"g": 1_000, "kg": 1_000_000, "ml": 1_000, "l": 1_000_000, "piece": 1}  # how many smallest amounts one is
MEASURE = {"g": "weight", "kg": "weight", "ml": "volume", "l": "volume", "piece": "count"}
SMALLEST_NAME = {"weight": "1 mg", "volume": "0.001 ml"}
UNITS = tuple(SMALLEST)
MOST = 10**13  # smallest amounts in one number: 10,000 tonnes
LONGEST_NUMBER = 24  # characters


def check_unit(unit: str, *, field: str = "unit") -> str:
    """The unit, spelled as ours. Raises RuleError for one that we do not know."""
    known = {"L": "l", "pieces": "piece", "pcs": "piece"}.get(unit.strip(), unit.strip().lower())
    if known not in SMALLEST:
        raise RuleError(f"{unit!r} is no unit here. Give one of: {', '.join(UNITS)}.", field=field)
    return known


def are_compatible(one: str, other: str) -> bool:
    """Whether amounts in these units can be converted into each other."""
    return MEASURE[one] == MEASURE[other]


def check_compatible(unit: str, other: str, name: str, *, field: str = "unit") -> None:
    """Raises RuleError where `name`, which is counted in `other`, cannot be given in `unit`."""
    if not are_compatible(unit, other):
        fitting = ", ".join(known for known in UNITS if are_compatible(known, other))
        raise RuleError(f"{name} is counted in {other}, so {unit} cannot be converted. Give {fitting}.", field=field)


def parse(text: str, unit: str, *, field: str = "quantity", least: int = 0, most: int = MOST) -> int:
    """The smallest amounts that a text such as `2.5` says in `unit`.

    Raises RuleError for what is no number, is out of bounds, or is finer than the smallest amount.
    """
    return to_smallest(number(text, field=field), unit, field=field, least=least, most=most)


def number(text: str, *, field: str | None = None) -> Decimal:
    """The decimal number that a text says. Raises RuleError for anything else; `1,5` might be either, so it is refused."""
    text = text.strip()
    plain = text[1:] if text[:1] in "-+" else text
    is_plain = plain.replace(".", "", 1).isascii() and plain.replace(".", "", 1).isdigit()
    if not is_plain or len(text) > LONGEST_NUMBER:
        raise RuleError(f"{text[:40]!r} is no number. Give one such as 2.5, with a point.", field=field)
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise RuleError(f"{text[:40]!r} is no number. Give one such as 2.5.", field=field) from error


def to_smallest(amount: Decimal, unit: str, *, field: str | None = "quantity", least: int = 0, most: int = MOST) -> int:
    """So many smallest amounts are `amount` in `unit`. Raises RuleError where that is no whole number, or out of bounds."""
    exact = amount * SMALLEST[unit]
    if exact != exact.to_integral_value():
        if unit == "piece":
            raise RuleError(f"{amount} is no whole number of pieces. Give one such as 24.", field=field)
        raise RuleError(
            f"{amount} {unit} is finer than we count. The smallest amount is {SMALLEST_NAME[MEASURE[unit]]}.",
            field=field,
        )
    if not least <= exact <= most:
        what = (
            "0 or more"
            if least == 0 and exact < 0
            else "more than 0"
            if exact < least
            else f"{say(most, unit)} or less"
        )
        raise RuleError(f"Give {what}.", field=field)
    return int(exact)


def from_smallest(quantity: int, unit: str) -> Decimal:
    """The amount in `unit`, without trailing zeros."""
    amount = Decimal(quantity) / SMALLEST[unit]
    return amount.quantize(Decimal(1)) if amount == amount.to_integral_value() else amount.normalize()


def plain(quantity: int, unit: str) -> str:
    """The amount as a field or a file holds it: 2.5."""
    return f"{from_smallest(quantity, unit):f}"


def say(quantity: int, unit: str) -> str:
    """The amount as people read it: 1,250 kg; pieces stand without a word; a true minus.

    To the gram or millilitre where it is given in kg or l, to the hundredth in g or ml, unless nothing would be left of it.
    """
    exact = from_smallest(quantity, unit)
    short = exact.quantize(Decimal("0.001") if unit in ("kg", "l") else Decimal("0.01"))
    shown = short.normalize() if short or not exact else exact
    said = f"{shown:,f}".replace("-", "\N{MINUS SIGN}")
    return said if unit == "piece" else f"{said} {unit}"
