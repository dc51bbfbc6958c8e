"""A partner's settings: a closed list of names, each with its form, its default and what it means. Kept as text-safe JSON on the partner."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, time
from decimal import Decimal, InvalidOperation
from typing import Any

from occ_app.errors import RuleError
from occ_app.extensions import db
from occ_app.partners.models import Partner
from occ_app.partners.rules import WEEKDAYS
from occ_app.shops.settings import Setting, _location, _one_of, _time_zone, _whole

FOLLOW = {"follow": "Follow theirs", "ask": "Ask me", "keep": "Keep mine"}


def decimal(least: str, most: str, places: int = 2) -> Callable[[str], str]:
    """A number with so many decimals at most, kept as text so that JSON does not bend it."""

    def parse(text: str) -> str:
        try:
            value = Decimal(text)
        except InvalidOperation:
            value = Decimal("NaN")
        if not value.is_finite() or not Decimal(least) <= value <= Decimal(most) or -value.as_tuple().exponent > places:  # type: ignore[operator]
            raise RuleError(f"Give a number from {least} to {most}, with {places} decimals at most.")
        return format(value, "f")

    return parse


def _clock(text: str) -> str:
    try:
        return time.fromisoformat(text).strftime("%H:%M")
    except ValueError:
        raise RuleError("Give a time such as 18:00.") from None


def _words(text: str) -> str:
    if len(text) > 255:
        raise RuleError("Give at most 255 characters.")
    return text


def _dates(text: str) -> str:
    try:
        days = sorted({date.fromisoformat(part.strip()) for part in text.split(",") if part.strip()})
    except ValueError:
        raise RuleError("Give days such as 2026-12-24, with commas between.") from None
    if len(days) > 100:
        raise RuleError("Give at most 100 days.")
    return ", ".join(map(str, days))


def _rate(text: str) -> str:
    return decimal("0.000001", "1000000", 6)(text) if text else ""


# The settings that are one of a few, with what each choice means to people.
CHOICES: dict[str, dict[str, str]] = {
    "price_rule": {"markup": "Markup in per cent", "margin": "Fixed margin", "margin_percent": "Margin in per cent"},
    "compare_at": {"follow": "By the same rule", "none": "None"},
    "rounding": {"none": "As computed", "99": "End in .99", "95": "End in .95", "whole": "Whole"},
    "import_status": {"draft": "Draft", "active": "Active"},
    "when_gone": {"zero": "Set their products to 0", "draft": "Make their products drafts"},
    "cadence": {"weekly": "One growing order a week", "daily": "One order a day"},
    "below_minimum": {"hold": "Hold it to the next cutoff", "send": "Send it all the same"},
    "cutoff_weekday": {day: day.capitalize() for day in WEEKDAYS},
    **{f"follow_{field}": FOLLOW for field in ("price", "title", "images", "status", "new_variants", "deletions")},
}


def _choice(name: str) -> Callable[[str], str]:
    return _one_of(*CHOICES[name])


SETTINGS: dict[str, Setting] = {
    "price_rule": Setting(_choice("price_rule"), "markup", "Prices are made by a markup, or by a fixed margin"),
    "markup_percent": Setting(decimal("0", "10000"), "40", "Markup on their price to you, in per cent"),
    "margin_percent": Setting(decimal("0", "99.99"), "40", "Margin as a share of your price, in per cent"),
    "margin_amount": Setting(decimal("0", "1000000"), "0", "Fixed margin per unit, in your currency"),
    "discount_percent": Setting(decimal("0", "99.99"), "0", "What they take off their shop price for you, in per cent"),
    "rounding": Setting(_choice("rounding"), "none", "Prices end in .99, in .95, are whole, or stay as computed"),
    "minimum_margin_percent": Setting(decimal("0", "99.99"), "0", "A price with a smaller margin is not set"),
    "exchange_rate": Setting(_rate, "", "What one unit of their currency is in yours"),
    "compare_at": Setting(_choice("compare_at"), "follow", "Their compare-at price by the same rule, or none"),
    "vendor": Setting(_words, "", "The vendor of imported products: empty: theirs"),
    "tags": Setting(_words, "", "Tags that imported products get beside theirs, with commas between"),
    "import_status": Setting(_choice("import_status"), "draft", "What imported products begin as"),
    "location": Setting(_location, "", "Where their goods are counted in your shop"),
    **{
        f"follow_{field}": Setting(_choice(f"follow_{field}"), default, f"When {words}: follow, ask you, or keep yours")
        for field, default, words in (
            ("price", "ask", "their price changes"),
            ("title", "keep", "their title or description changes"),
            ("images", "keep", "their pictures change"),
            ("status", "follow", "they stop or resume selling it"),
            ("new_variants", "ask", "they add a variant"),
            ("deletions", "follow", "they delete a product or variant"),
        )
    },
    "safety_stock": Setting(_whole(0, 1_000_000), 0, "Units of each product held back; a product's own goes before"),
    "untracked_units": Setting(_whole(0, 1_000_000), 0, "What counts as available of goods that they do not count"),
    "stale_after_minutes": Setting(_whole(5, 10_080), 120, "A reading older than this holds back more"),
    "widen_units": Setting(_whole(0, 100_000), 1, "... so many units more for each hour"),
    "give_up_hours": Setting(_whole(1, 720), 6, "With a reading older than this nothing of theirs is sold"),
    "when_gone": Setting(_choice("when_gone"), "zero", "When they leave, or are not read for so long: 0, or draft"),
    "cadence": Setting(_choice("cadence"), "weekly", "One growing order a week, or one a day"),
    "cutoff_weekday": Setting(_choice("cutoff_weekday"), "thursday", "The day on which the week's order closes"),
    "cutoff_time": Setting(_clock, "18:00", "The time at which it closes, by their clock"),
    "time_zone": Setting(_time_zone, "UTC", "Their clock"),
    "skip_dates": Setting(
        _dates, "", "Days on which no order closes, such as holidays; it grows until the next cutoff"
    ),
    "minimum_units": Setting(_whole(0, 1_000_000), 0, "The least units of an order"),
    "minimum_value": Setting(decimal("0", "1000000"), "0", "The least cost of an order, in their currency"),
    "below_minimum": Setting(_choice("below_minimum"), "hold", "An order that is smaller at its cutoff"),
    "hold_minutes": Setting(_whole(0, 10_080), 60, "How long a customer's order waits before it goes to them"),
}


RATE_OF = "rate_of"  # which currencies the rate is of, beside the settings that people make: "EUR>GBP"
# What makes a price out of theirs.
OF_PRICES = (
    "price_rule",
    "markup_percent",
    "margin_percent",
    "margin_amount",
    "discount_percent",
    "rounding",
    "minimum_margin_percent",
    "compare_at",
    "exchange_rate",
)


def get(partner: Partner, name: str) -> Any:
    """The value of a setting of the partner, or its default."""
    return partner.settings.get(name, SETTINGS[name].default)


def number(partner: Partner, name: str) -> Decimal:
    """The value of a setting that is a number with decimals."""
    return Decimal(get(partner, name))


def rate(partner: Partner, theirs: str, ours: str) -> Decimal | None:
    """What one unit of their currency is in ours, as it was given for these two; None where it was not."""
    given = get(partner, "exchange_rate")
    return Decimal(given) if given and partner.settings.get(RATE_OF) in (None, f"{theirs}>{ours}") else None


def put(partner: Partner, name: str, text: str) -> None:
    """The setting has the value that `text` says. Raises RuleError for an unknown name or a value that cannot be."""
    setting = SETTINGS.get(name)
    if setting is None:
        raise RuleError(f"There is no setting {name!r}. The settings are: {', '.join(SETTINGS)}.", field=name)
    try:
        value = setting.parse(text.strip())
    except RuleError as error:
        raise RuleError(f"{name}: {error}", field=name) from error
    keep(partner, name, value)


def keep(partner: Partner, name: str, value: Any) -> None:
    """The setting has the value; what others set a moment ago stays. The partner's row is locked until that is committed."""
    db.session.flush()  # what this transaction has set stays too
    db.session.refresh(partner, ["settings"], with_for_update={"key_share": True})
    partner.settings = {**partner.settings, name: value}


def everything(partner: Partner) -> dict[str, Any]:
    """All settings of the partner by name."""
    return {name: get(partner, name) for name in SETTINGS}
