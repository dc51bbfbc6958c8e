"""How planning says things. Sentences only; pages and mails dress them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from babel.numbers import format_currency

from occ_app.planning import forecasting
from occ_app.planning.models import OPEN, ItemPlan, Suggestion
from occ_app.planning.reorder import FOREVER
from occ_app.planning.supply import Supply

METHOD_WORDS = {name: said for name, (said, _) in forecasting.METHODS.items()}
TRIED = len(forecasting.METHODS) - len(forecasting.BENCHMARKS)
METHOD_WORDS |= {
    forecasting.BY_HAND: "a number that you gave",
    forecasting.SIMILAR: "as a similar item sells",
    forecasting.SHORT: "the average of the few days there are",
}


def local(moment: datetime, time_zone: str) -> datetime:
    """The moment in that time zone."""
    return moment.astimezone(ZoneInfo(time_zone))


def number(value: float) -> str:
    """Units as people read them: 1,240 above ten; 9.2; 0.04 for what sells seldom."""
    shown = (
        f"{value:,.0f}" if abs(value) >= 20 else f"{value:.1f}" if abs(value) >= 0.95 or not value else f"{value:.2f}"
    )
    return (shown.removesuffix(".0") if shown.endswith(".0") else shown).replace("-", "\N{MINUS SIGN}")


def days(count: int | None) -> str:
    """A number of days."""
    if count is None or count >= FOREVER:
        return "a long time"
    if count == 0:
        return "less than a day"
    return "1 day" if count == 1 else f"{count} days"


def weekday(on: date, today: date) -> str:
    """A day as people say it: today, tomorrow, Friday, Fri 13 Nov."""
    away = (on - today).days
    if away in (0, 1):
        return ("today", "tomorrow")[away]
    return f"{on:%A}" if 1 < away < 7 else f"{on:%a} {on.day} {on:%b}"


def why(row: Suggestion, today: date) -> list[str]:
    """Why it is suggested: what there is and how long it lasts, what sells, the lead time, what is on its way, what the quantity is."""
    known: dict[str, Any] = row.facts
    said = [_stock(known, row.trigger), _demand(known)]
    said.append(f"It takes {days(known['lead_days'])}." if known["lead_days"] else "It can be here today.")
    if known["point"] is not None:
        source = "set by hand" if known["by_hand"] else "reckoned from demand, lead time and service level"
        said.append(f"The reorder point is {known['point']:,}, {source}.")
    if known["coming"] and row.state == OPEN:
        named = ", ".join(f"{units:,} of run {name}" for name, units, _ in known["runs"])
        said.append(f"{known['coming']:,} are on their way{f' ({named})' if named else ''}, which is not enough.")
    said.append(_quantity(row.quantity, known))
    if known.get("theirs") is not None:
        said.append(_theirs(known["theirs"], row.quantity))
    return [each for each in said if each]


def _stock(known: dict[str, Any], trigger: str) -> str:
    stock = known["stock"]
    shown = f"{max(0, stock):,} sellable"
    if trigger == "shopify":
        shown = f"Shopify shows {max(0, stock):,}, we count {known['sellable']:,}"
    owed = f", {-stock:,} owed" if stock < 0 else ""
    lasts = f", {days(known['cover'])} of cover" if stock > 0 and known["cover"] is not None else ""
    return f"{shown}{owed}{lasts}."


def _demand(known: dict[str, Any]) -> str:
    if not known["daily"]:
        return "No sales to reckon with yet."
    is_much = known["b2b_daily"] >= known["daily"] / 20
    b2b = f", {number(known['b2b_daily'])} of them to businesses" if is_much else ""
    lifts = "".join(f" {name} (× {factor:g}) is counted in." for name, factor, _ in known.get("events", ()))
    return f"{number(known['daily'])} expected a day{b2b}.{lifts}"


def _quantity(quantity: int, known: dict[str, Any]) -> str:
    lasts = f" and last {days(known['lasts'])}" if known["lasts"] else ""
    if known["makings"]:
        times = "1 making" if known["makings"] == 1 else f"{known['makings']:,} makings"
        return f"{quantity:,} are {times} of {known['yield']:,}{lasts}."
    return f"{quantity:,}{lasts.replace(' and', '')}." if lasts else ""


def _theirs(there: int, quantity: int) -> str:
    """What an order from the partner is made of: its own stock is no stock of ours, and the order takes it first."""
    if there <= 0:
        return "They have none left: the order asks them for more."
    if there >= quantity:
        return f"They have {there:,}."
    return f"They have {there:,}, which the order takes, and it asks for {quantity - there:,} more."


def urgency(row: Suggestion, today: date) -> tuple[str, str]:
    """A word on how soon it is gone, and its tone."""
    if row.facts["stock"] <= 0:
        return "Sold out", "critical"
    if row.gone_on is None:
        return "Low", "info"
    away = (row.gone_on - today).days
    said = f"Gone {'' if away < 2 else 'on '}{weekday(row.gone_on, today)}"
    return said, "critical" if away < 2 else "warning" if away < 7 else "info"


def act(row: Suggestion, today: date, *, is_partners: bool = False) -> str:
    """By when to act."""
    verb = "Order" if is_partners else "Start"
    return f"{verb} today" if row.act_by <= today else f"{verb} by {weekday(row.act_by, today)}"


def loss(row: Suggestion, today: date) -> str:
    """From when the money is lost."""
    if row.gone_on is None or row.gone_on <= today:
        return "lost a day"
    return f"lost a day from {weekday(row.gone_on, today)}"


def line(row: Suggestion, currency: str, today: date) -> str:
    """A suggestion in one line, for a mail."""
    money = f" {format_currency(row.loss, currency, locale='en_GB')} {loss(row, today)}." if row.loss else ""
    return f"{row.item.name}: {urgency(row, today)[0].lower()}. {act(row, today)}: {row.quantity:,}.{money}"


def arrivals(of: Supply, today: date) -> Sequence[str]:
    """What is on its way, a sentence each."""
    said = [
        f"Run {run.number} brings {run.planned_quantity:,}{f' {weekday(run.planned_on, today)}' if run.planned_on else ''}."
        for run in of.runs
    ]
    said += [f"{units:,} ordered, due {weekday(row.due_on, today)}." for row, units in of.purchases]
    return [*said, *([f"{of.on_the_way:,} are on their way to release."] if of.on_the_way else [])]


def quality(plan: ItemPlan) -> str:
    """How the forecast was made and how good it is, against the naive forecast."""
    if plan.method is None:
        return "No sales yet. Give a number a day, or an item that sells alike."
    said = f"Forecast by {METHOD_WORDS.get(plan.method, plan.method)}, from {days(plan.days_known)} with stock."
    if plan.method == forecasting.BY_HAND:
        return f"Forecast by {METHOD_WORDS[plan.method]}."
    if plan.error is None or not plan.naive_error:
        return f"{said} Too few to try which method is best."
    better = 1 - plan.error / plan.naive_error
    compared = f"{abs(better):.0%} {'better' if better >= 0 else 'worse'}"
    return (
        f"{said} It was the closest of {TRIED} methods over the last weeks: off by {number(float(plan.error))}"
        f" a day, where repeating the day before is off by {number(float(plan.naive_error))} ({compared})."
    )


def price(amount: Decimal | None, currency: str) -> str:
    """An amount of money."""
    return "" if amount is None else format_currency(amount, currency, locale="en_GB")
