"""What production's forms say, as values. Every field is bounded; what cannot be is refused with the field's name."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal

from flask import g

from occ_app import clock
from occ_app.errors import RuleError
from occ_app.production import units
from occ_app.production.ingredients import Facts
from occ_app.shops import settings
from occ_app.web import row_id

Values = dict[str, str]
LONGEST = 1200  # characters of any field; operations say what they allow of it


def values_of(form: Mapping[str, str], *names: str) -> Values:
    """The fields as typed, stripped and bounded."""
    return {name: form.get(name, "").strip()[:LONGEST] for name in names}


def today() -> date:
    """The shop's day."""
    return clock.local_date(clock.now(), settings.get(g.shop, "time_zone"))


def day(values: Values, name: str) -> date | None:
    """The date of a field; None where it is empty."""
    try:
        return date.fromisoformat(values[name]) if values[name] else None
    except ValueError as error:
        raise RuleError("Give a date such as 2026-11-21.", field=name) from error


def amount(values: Values, name: str, unit: str, *, least: int = 1) -> int:
    """The amount of a field in smallest amounts. Raises RuleError where it is empty."""
    if not values[name]:
        raise RuleError(f"Give a number of {'pieces' if unit == 'piece' else unit}, such as 2.", field=name)
    return units.parse(values[name], unit, field=name, least=least)


def money(values: Values, name: str) -> Decimal:
    """The cost in a field; 0 where it is empty."""
    return units.number(values[name], field=name) if values[name] else Decimal(0)


def whole(values: Values, name: str, least: int, most: int) -> int | None:
    """The whole number in a field; None where it is empty."""
    text = values[name]
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most):
        raise RuleError(f"Give a whole number from {least} to {most:,}, or nothing.", field=name)
    return int(text)


def revision(form: Mapping[str, str]) -> int | None:
    """The revision of a run that the person saw; None where the form does not say."""
    return row_id(form.get("revision", ""))


def ingredient(values: Values, allergens: list[str]) -> Facts:
    """An ingredient as a form says it."""
    unit = units.check_unit(values["unit"])
    point = values["reorder_point"]
    return Facts(
        code=values["code"],
        name=values["name"],
        unit=unit,
        reorder_point=units.parse(point, unit, field="reorder_point") if point else None,
        lead_time_days=whole(values, "lead_time_days", 0, 3650),
        shelf_life_days=whole(values, "shelf_life_days", 1, 36_500),
        unit_cost=money(values, "unit_cost"),
        supplier=values["supplier"],
        allergens=allergens,
    )


def by_lot(form: Mapping[str, str], prefix: str, unit_of_lot: Mapping[int, str]) -> dict[int, int]:
    """Amounts of fields such as `used-17`, by lot id. Fields of lots that are not among `unit_of_lot` are left out; an empty one is 0."""
    found = {}
    for lot_id, unit in unit_of_lot.items():
        text = form.get(f"{prefix}-{lot_id}")
        if text is not None:
            found[lot_id] = units.parse(text[:40], unit, field=f"{prefix}-{lot_id}") if text.strip() else 0
    return found
