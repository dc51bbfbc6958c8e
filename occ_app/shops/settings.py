"""A shop's settings: a closed list of names, each with its form, its default and what it means. Kept as text-safe JSON on the shop."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from zoneinfo import available_timezones

from occ_app.errors import RuleError
from occ_app.extensions import db
from occ_app.shops.models import Shop

MODES = ("released", "completed", "packaged", "manual", "allocation", "none")
DRIFT_RULES = ("ask", "hub", "shopify")
MAIL = re.compile(r"[A-Za-z0-9._%+'-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
MOST_MAILS = 10
ROUTED = ("paid", "any")
RISKS = ("high", "medium", "none")
STEPS = ("completed", "packaged", "in_review", "released")  # of a lot, in their order; the last one is always used
LABEL_SIZES = ("62x29", "57x32", "100x50", "a4-24", "a4-65")  # millimetres of a roll's label; labels of an A4 sheet


@dataclass(frozen=True)
class Setting:
    """One setting: how its text becomes a value, what it is when unset, and a sentence for people."""

    parse: Callable[[str], Any]
    default: Any
    meaning: str


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise RuleError(f"Give one of: {', '.join(choices)}.")
        return text

    return parse


def _whole(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if not least <= value <= most:
            raise RuleError(f"Give a whole number from {least} to {most:,}.")
        return value

    return parse


def _time_zone(text: str) -> str:
    if text not in available_timezones():
        raise RuleError("Give a time zone such as Europe/London.")
    return text


def _location(text: str) -> str:
    if text and not text.startswith("gid://shopify/Location/"):
        raise RuleError("Give a location as gid://shopify/Location/123.")
    return text


def _mails(text: str) -> str:
    given = [mail.strip() for mail in text.split(",") if mail.strip()]
    if len(given) > MOST_MAILS or not all(MAIL.fullmatch(mail) and len(mail) <= 254 for mail in given):
        raise RuleError(f"Give up to {MOST_MAILS} addresses such as mara@example.com, with commas between them.")
    return ",".join(dict.fromkeys(given))


def _lot_numbers(text: str) -> str:
    rest = text
    for name in ("item", "yyyymmdd", "yymmdd", "yyyy", "mm", "dd"):
        rest = rest.replace(f"{{{name}}}", "")
    if rest.count("{n}") != 1 or set("{}") & set(rest.replace("{n}", "")) or len(text) > 60 or not text.isprintable():
        raise RuleError("Give a pattern such as {item}-{yyyymmdd}-{n}, with {n} once, of 60 characters or fewer.")
    return text


def _steps(text: str) -> str:
    given = {step.strip() for step in text.split(",")} - {""}
    if given - set(STEPS):
        raise RuleError(f"Give some of: {', '.join(STEPS)}, with commas between them.")
    return ",".join(step for step in STEPS if step in given | {STEPS[-1]})


SETTINGS: dict[str, Setting] = {
    "sync_mode": Setting(_one_of(*MODES), "released", "Which lots count as sellable"),
    "workflow_steps": Setting(_steps, ",".join(STEPS), "The steps that a lot takes; it passes by all others"),
    "enters_stock_at": Setting(_one_of(*STEPS), "completed", "Where the lot of a finished run first stands"),
    "expiring_days": Setting(_whole(1, 730), 30, "A lot that expires within so many days is shown as expiring soon"),
    "label_size": Setting(_one_of(*LABEL_SIZES), LABEL_SIZES[0], "The size of a lot's label"),
    "default_location": Setting(_location, "", "Where lots and mappings are kept when nothing else is said"),
    "drift_rule": Setting(_one_of(*DRIFT_RULES), "ask", "Who is right when Shopify's number changed by itself"),
    "drift_grace_seconds": Setting(_whole(0, 86_400), 30, "How long a drift may last before it counts as one"),
    "guard_percent": Setting(_whole(1, 100), 50, "A step beyond this share of Shopify's number ..."),
    "guard_units": Setting(_whole(1, 1_000_000), 20, "... and beyond this many units waits for approval"),
    "time_zone": Setting(_time_zone, "UTC", "When a day begins and a lot expires"),
    "lot_number_pattern": Setting(_lot_numbers, "{item}-{yyyymmdd}-{n}", "How lots are numbered"),
    "batch_hour": Setting(_whole(0, 23), 6, "The hour of the daily batch, in the shop's time zone"),
    "plan_service_level": Setting(_whole(50, 99), 95, "In so many of 100 lead times the stock should last"),
    "plan_lead_days": Setting(_whole(0, 365), 3, "Days from deciding to having it, where an item says nothing else"),
    "plan_review_days": Setting(_whole(0, 365), 1, "Days between two looks at what to make"),
    "plan_cover_days": Setting(_whole(1, 730), 14, "A run should last for so many days"),
    "digest_to": Setting(_mails, "", "Who gets the planning digest by mail, with commas between them"),
    "digest_hour": Setting(_whole(0, 23), 7, "The hour of the digest, in the shop's time zone"),
    "sold_out_mail": Setting(_one_of("yes", "no"), "yes", "Whether a mail goes out at once when something sells out"),
    "b2b_when_short": Setting(
        _one_of("refuse", "pool", "backorder"),
        "refuse",
        "What happens to a wholesale order that wholesale has too little for",
    ),
    "api_requests_per_minute": Setting(
        _whole(1, 1_000_000), 600, "How many requests an API token may make in a minute"
    ),
    "route_orders": Setting(_one_of(*ROUTED), "paid", "Which orders go to partners: the paid ones, or any"),
    "route_risk": Setting(_one_of(*RISKS), "high", "Orders of which risk wait: high, medium too, or none"),
    "fulfilment_centre": Setting(_location, "", "Where partners ship to"),
}


def get(shop: Shop, name: str) -> Any:
    """The value of a setting of the shop, or its default."""
    return shop.settings.get(name, SETTINGS[name].default)


def put(shop: Shop, name: str, text: str) -> None:
    """The setting has the value that `text` says. Raises RuleError for an unknown name or a value that cannot be."""
    setting = SETTINGS.get(name)
    if setting is None:
        raise RuleError(f"There is no setting {name!r}. The settings are: {', '.join(SETTINGS)}.", field=name)
    try:
        value = setting.parse(text.strip())
    except RuleError as error:
        raise RuleError(f"{name}: {error}", field=name) from error
    keep(shop, name, value)


def keep(shop: Shop, name: str, value: Any) -> None:
    """The setting has the value; what others set a moment ago stays. The shop's row is locked until that is committed."""
    db.session.flush()  # what this transaction has set stays too
    db.session.refresh(shop, ["settings"], with_for_update={"key_share": True})
    shop.settings = {**shop.settings, name: value}


def everything(shop: Shop) -> dict[str, Any]:
    """All settings of the shop by name."""
    return {name: get(shop, name) for name in SETTINGS}
