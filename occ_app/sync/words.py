"""How the pages say things: numbers, money, times, places, modes, and what each exception is about."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from babel.numbers import format_currency
from flask import Flask, g
from jinja2 import StrictUndefined

from occ_app import clock, presses
from occ_app.catalog.models import Item, Variant
from occ_app.shops import settings
from occ_app.sync import desk
from occ_app.sync.models import SyncException, SyncState
from occ_app.sync.targets import is_mirrored

MODES = {
    "released": ("Released only", "Lots that passed review. Shopify follows by itself."),
    "completed": ("Completed production", "Everything that was made, also what is still to be packaged or reviewed."),
    "packaged": ("Packaged only", "What is packed and labelled, also before review."),
    "manual": (
        "Manual approval",
        "As released, but each new number waits until you approve it. What is sold or held goes at once.",
    ),
    "allocation": ("Channel allocation", "Only what you gave to Shopify."),
    "none": ("No auto-sync", "We show the number. You type it into Shopify yourself."),
}
COUNTS_LOTS = ("released", "completed", "packaged")
PLACES = {
    "completed": "Completed",
    "packaged": "Packaged",
    "in_review": "In review",
    "released": "Released",
    "on_hold": "On hold",
    "committed": "Sold, not shipped",
    "reserved": "Reserved for a run",
    "shipped": "Shipped",
    "scrap": "Scrapped",
    "production": "Production",
    "opening": "Opening stock",
    "correction": "Correction",
    "supplier": "Supplier",
    "backorder": "Backorder",
    "partner": "The partner's stock",
    "partner_available": "The partner has",
    "old_reading": "Old reading",
    "unreflected": "Sold, not yet taken off theirs",
    "withheld": "Not sold at the moment",
    "safety_stock": "Safety stock",
    "expired": "Expired",
    "recalled": "Recalled",
}
TERM_NOTES = {"safety_stock": "your rule", "expired": "past their date", "backorder": "sold, not there yet"}
TERM_NOTES |= {"partner_available": "as last read", "old_reading": "held back until it is read again"}


@dataclass(frozen=True)
class Case:
    """An exception in words: title, what is so and what follows, its badge and tone, its remedies as (name, words)."""

    title: str
    words: str
    badge: str
    tone: str
    remedies: tuple[tuple[str, str], ...]
    message: str = ""  # to be copied and sent to somebody


def units(number: int | Decimal | None) -> str:
    """A number of units: 10,184; a true minus; nothing for None."""
    return "" if number is None else f"{number:,}".replace("-", "\N{MINUS SIGN}")


def signed(number: int) -> str:
    """A change: +9, −12, 0."""
    return f"{number:+,}".replace("-", "\N{MINUS SIGN}") if number else "0"


def money(amount: Decimal | None) -> str:
    """An amount in the shop's currency."""
    return "" if amount is None else format_currency(amount, g.shop.currency, locale="en_GB")


def place(name: str) -> str:
    """A place or term as people call it."""
    return (
        f"Given to {name.split(':')[1]}" if name.startswith("allocated:") else PLACES.get(name, name.replace("_", " "))
    )


def local(moment: datetime) -> datetime:
    """A moment in the shop's time zone."""
    return moment.astimezone(ZoneInfo(settings.get(g.shop, "time_zone")))


def ago(moment: datetime | None) -> str:
    """A moment as people say it: now, 4 min ago, today 18:00, Fri 13 Nov."""
    if moment is None:
        return "never"
    passed, here, today = clock.now() - moment, local(moment), local(clock.now()).date()
    if timedelta(0) <= passed < timedelta(seconds=60):
        return f"{int(passed.total_seconds())} s ago"
    if timedelta(0) <= passed < timedelta(hours=1):
        return f"{int(passed.total_seconds() // 60)} min ago"
    if here.date() == today:
        return f"today {here:%H:%M}"
    return f"{here:%a} {here.day} {here:%b}" if here.year == today.year else day(here.date())


def day(value: date | None) -> str:
    """A date: 13 Nov 2026."""
    return f"{value.day} {value:%b %Y}" if value else ""


def name_of(state: SyncState) -> str:
    """What a mapping is called: its item, and the variant's own title where it has one."""
    title = own_title(state.mapping.item, state.mapping.variant) if state.mapping.units_per_variant > 1 else ""
    return f"{state.mapping.item.name}, {title}" if title else state.mapping.item.name


def own_title(item: Item, variant: Variant | None) -> str:
    """What the variant is called beside its item's name; nothing where that says it already, as names of imported goods do."""
    title = variant.title if variant else ""
    return "" if title.casefold() in item.name.casefold() else title


def counted_as(item: Item, mode: str) -> str:
    """What counts as sellable of the item, in words; a partner's goods are what the partner has, whatever lots count here."""
    return "The partner's stock" if is_mirrored(item) and mode in COUNTS_LOTS else MODES[mode][0]


def pieces(number: int, unit: str) -> str:
    """Units of an item with what they are: 122 pieces."""
    return f"{units(number)} {'pieces' if unit == 'piece' and number != 1 else unit}"


def status_of(state: str | None, drift: int, has_drift: bool, differs: bool, backorder: int) -> tuple[str, str, bool]:
    """(words, tone, quiet) of a product's status."""
    if state is None:
        return "Not mapped", "neutral", False
    if backorder < 0:
        return f"Backorder {-backorder}", "critical", False
    if has_drift:
        return f"Drift {signed(drift)}", "warning", False
    known = {
        "awaiting_link": ("Which side is right?", "warning", False),
        "awaiting_approval": ("Waits for approval", "warning", False),
        "parked": ("Parked", "critical", False),
        "off": ("Off", "neutral", False),
    }
    if state in known:
        return known[state]
    return ("Sending", "info", False) if differs else ("In step", "success", True)


def case(exception: SyncException, name: str) -> Case:
    """The exception in words."""
    facts = exception.facts
    maker = _CASES.get(exception.kind)
    if maker is None:
        return Case(
            exception.kind.replace("_", " ").capitalize(),
            ", ".join(f"{k} {v}" for k, v in facts.items()),
            "Look",
            "warning",
            (),
        )
    return maker(name, facts)


def _drift(name: str, facts: dict[str, Any]) -> Case:
    here, expected, target = facts["available"], facts["expected"], max(0, facts["target"])
    return Case(
        f"{name}: Shopify has {units(here)}, we expect {units(expected)}",
        f"{facts['why']} Until you answer, our pushes never raise it.",
        "Drift",
        "warning",
        (("hub", f"Set Shopify to {units(target)}"), ("shopify", f"Book {signed(here - expected)} here")),
    )


def _unseen(name: str, facts: dict[str, Any]) -> Case:
    more = facts["committed"] > facts["booked"]
    words = "An order has not reached us." if more else "What was shipped or removed has not reached us."
    words += " It is looked for again and again." + (
        " Until it is here, our pushes never raise this number." if more else ""
    )
    words += " If it can no longer be read (an order of more than 60 days ago, say), go on without it."
    title = f"{name}: Shopify has {units(facts['committed'])} committed, we have booked {units(facts['booked'])}"
    return Case(title, words, "Order missing", "warning", (("accept", "Go on without it"),))


def _guard(name: str, facts: dict[str, Any]) -> Case:
    return Case(
        f"{name}: {units(facts['from'])} to {units(facts['to'])} is a big step",
        f"A step of {units(abs(facts['to'] - facts['from']))} is over your limit, so it waits.",
        "Guard",
        "warning",
        (("approve", f"Approve {units(facts['to'])}"), ("reject", "Reject")),
    )


def _parked(name: str, facts: dict[str, Any]) -> Case:
    words = f"{facts['cause']} Nothing is sent for it until this is mended; all others go on."
    return Case(f"{name} is parked", words, "Parked", "critical", (("retry", "Try again"), ("stop", "Stop syncing it")))


def _link(name: str, facts: dict[str, Any]) -> Case:
    here, target = facts["available"], max(0, facts["target"])
    waits = facts["committed"] != facts["booked_committed"]
    words = f"It is mapped for the first time. Shopify shows {units(here)} available and {units(facts['committed'])} committed."
    words += (
        " An order is still on its way to us; your answer takes effect when it is here."
        if waits
        else " Which side is right?"
    )
    return Case(
        f"{name}: we have {units(target)}, Shopify has {units(here)}",
        words,
        "First link",
        "info",
        (("hub", f"Set Shopify to {units(target)}"), ("shopify", f"Take Shopify's {units(here)}")),
    )


def _ambiguous(name: str, facts: dict[str, Any]) -> Case:
    words = f"Our change from {units(facts['from'])} to {units(facts['to'])} got no clear answer."
    words += " Nothing more is sent until orders and stock agree."
    return Case(f"{name}: did Shopify take our change?", words, "Unclear", "warning", (("look", "Look again"),))


def _backorder(name: str, facts: dict[str, Any]) -> Case:
    words = "More was sold than there was. It ends by itself when a lot is released; or refund the order in Shopify."
    return Case(f"{units(facts['units'])} of {name} sold that are not there", words, "Backorder", "critical", ())


def _missing(name: str, facts: dict[str, Any]) -> Case:
    words = f"Customers bought {units(facts['sold'])} that {facts['partner']} has still to send, and it has {units(facts['has'])} left."
    words += " Ask them for more, or refund an order in Shopify. It ends by itself when the numbers fit."
    title = f"{units(facts['units'])} of {name} sold that {facts['partner']} no longer has"
    return Case(title, words, "Oversold", "critical", ())


def _delivery(name: str, facts: dict[str, Any]) -> Case:
    words = (
        f"{facts['cause']} It is kept; stock is compared with Shopify all the same. Try again once the cause is gone."
    )
    return Case(f"A message from Shopify could not be worked on: {facts['topic']}", words, "Stopped", "critical", RETRY)


def _order(name: str, facts: dict[str, Any]) -> Case:
    words = f"{facts['cause']} Its units are not in our books, so numbers that it touches do not rise."
    return Case(f"Order {facts['name']} could not be booked", words, "Stopped", "critical", RETRY)


def _task(name: str, facts: dict[str, Any]) -> Case:
    words = f"{facts['cause']} It is tried again every hour, and at once when you say so."
    return Case(
        f"Background work keeps failing: {facts['task'].replace('_', ' ')}", words, "Stopped", "critical", RETRY
    )


def _wholesale(name: str, facts: dict[str, Any]) -> Case:
    words = f"{facts['customer']} ordered them, and wholesale has too few. They go to the order as soon as wholesale has some: release a lot,"
    words += " move the border, or cancel the order. It ends by itself."
    return Case(f"Order {facts['number']} waits for {facts['waiting']}", words, "Waits", "warning", ())


def _late_change(name: str, facts: dict[str, Any]) -> Case:
    number = units(facts["units"])
    words = f"Order {facts['order']} was cancelled or changed after {facts['partner_order']} had closed. Ask {facts['partner']} to take it off,"
    words += " or keep it: what comes too many goes into your stock."
    theirs = facts.get("their_title", facts["title"]), facts.get("their_sku", facts["sku"])
    named = f"{theirs[0]} ({theirs[1]})" if theirs[1] else theirs[0]
    message = f"Hello {facts['partner']}, would you take {number} × {named} off our order {facts['partner_order']}"
    message += f"{_in_your_shop(facts['their_order'])}? Our customer cancelled it. If it has left already, just send it. Thank you."
    title = f"{number} of {facts['title']} too many on {facts['partner_order']}"
    return Case(title, words, "After the cutoff", "warning", (("told", f"I told {facts['partner']}"),), message)


def _short(name: str, facts: dict[str, Any]) -> Case:
    words = (
        "; ".join(facts["lines"])
        + ". What is missing goes on the next order to them by itself; refund the customer in Shopify to stop that."
    )
    message = f"Hello {facts['partner']}, of our order {facts['name']}{_in_your_shop(facts['their_order'])}"
    message += " this did not come well:\n"
    message += "\n".join(facts["lines"]) + "\nWe have ordered it again. Would you credit it, please? Thank you."
    return Case(
        f"{facts['name']}: {units(facts['units'])} short or damaged",
        words,
        "Short",
        "warning",
        (("told", f"I told {facts['partner']}"),),
        message,
    )


def _partner_order(name: str, facts: dict[str, Any]) -> Case:
    who, order = facts["partner"], facts["name"]
    if facts["what"] == "changed":
        words = f"{facts['difference']}. We leave it as it is until you answer; at the cutoff theirs counts, and what they took off needs you."
        remedies = (("theirs", "Take theirs"), ("ours", "Put ours back"))
        return Case(f"{who} changed {order}", words, "Changed", "warning", remedies)
    if facts["what"] == "stuck":
        words = f"{facts['cause']} It is tried again by itself, later and later."
        return Case(f"{order} can't be sent to {who}", words, "Stopped", "critical", RETRY)
    if facts["what"] == "deleted":
        then = f"on a new order{facts.get('when', ' with the next batch')}."
        words = f"{_lines(facts['lines'], 'waits again and goes', 'wait again and go')} {then}"
        if not facts["lines"]:
            words = NOBODY_WAITS
        return Case(f"{who} deleted {order}", words, "Deleted", "warning", (("seen", "I have seen it"),))
    if facts["what"] == "found":
        return _found(who, order, facts)
    words = f"{_lines(facts['lines'], 'that had not come needs', 'that had not come need')} you, among the failed lines of {who}."
    if not facts["lines"]:
        words = NOBODY_WAITS
    return Case(f"{who} cancelled {order}", words, "Cancelled", "critical", (("seen", "I have seen it"),))


NOBODY_WAITS = "No customer waits for anything of it."


def _in_your_shop(their_order: str) -> str:
    """What the partner calls the order, behind our name of it; nothing while it has no name there yet."""
    return f" ({their_order} in your shop)" if their_order else ""


def _lines(number: int, one: str, many: str) -> str:
    return f"{units(number)} {'line ' + one if number == 1 else 'lines ' + many}"


def _found(who: str, order: str, facts: dict[str, Any]) -> Case:
    called, extra = f", {facts['their_order']}," if facts["their_order"] else "", facts["extra"]
    words = f"It had become an order{called} in their store before they left. Its lines are on it again."
    if extra:
        words += f" Ask {who} to take off what nobody waits for any more: {units(extra)} {'unit' if extra == 1 else 'units'}."
    return Case(f"{order} was ordered after all", words, "Found", "warning", (("seen", "I have seen it"),))


def _partner_lines(name: str, facts: dict[str, Any]) -> Case:
    words = f"{'. '.join(facts['causes'])}. Order them again, or refund the customers in Shopify: then they leave by themselves."
    number = facts["units"]
    title = f"{units(number)} {'unit sold is' if number == 1 else 'units sold are'} on no order to {facts['partner']}"
    return Case(title, words, "Not ordered", "critical", (("retry", "Order all of them again"),))


def _setup(name: str, facts: dict[str, Any]) -> Case:
    return Case("Orders to partners can't be sent", facts["cause"], "Set up", "critical", RETRY)


def _audit(name: str, facts: dict[str, Any]) -> Case:
    number = facts["differences"]
    words = "The nightly count of all stock moves gives other numbers than we show, which is an error on our side. Nothing was changed."
    words += " Count again; if it stays, tell support, and check what you ship by hand until they answer."
    title = f"{units(number)} stock {'balance does' if number == 1 else 'balances do'} not match the moves behind"
    return Case(f"{title} {'it' if number == 1 else 'them'}", words, "Books", "critical", (("retry", "Count again"),))


RETRY = (("retry", "Try again"),)
_CASES = {
    desk.DELIVERY: _delivery,
    desk.ORDER: _order,
    desk.TASK: _task,
    desk.AUDIT: _audit,
    desk.DRIFT: _drift,
    desk.UNSEEN: _unseen,
    desk.GUARD: _guard,
    desk.PARKED: _parked,
    desk.LINK: _link,
    desk.AMBIGUOUS: _ambiguous,
    desk.BACKORDER: _backorder,
    desk.MISSING: _missing,
    desk.WHOLESALE: _wholesale,
    desk.LATE_CHANGE: _late_change,
    desk.SHORT: _short,
    desk.PARTNER_ORDER: _partner_order,
    desk.PARTNER_LINES: _partner_lines,
    desk.SETUP: _setup,
}


def register(app: Flask) -> None:
    """The templates know these words, and refuse what is undefined."""
    from occ_app.config import ROOT

    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.filters |= {
        "units": units,
        "signed": signed,
        "money": money,
        "place": place,
        "ago": ago,
        "day": day,
        "local": local,
    }
    app.jinja_env.globals |= {"MODES": MODES, "TERM_NOTES": TERM_NOTES, "case_of": case, "name_of": name_of}
    app.jinja_env.globals |= {"fresh_press": presses.fresh}
    app.jinja_env.globals |= {"own_title": own_title, "counted_as": counted_as, "pieces": pieces}
    config = app.extensions["occ_config"]
    files = [ROOT / "static" / name for name in ("app.css", "app.js")]
    version = str(int(max(path.stat().st_mtime for path in files)))
    app.jinja_env.globals |= {
        "app_bridge_url": config.app_bridge_url,
        "api_key": config.api_key,
        "asset_version": version,
    }
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
