"""How the desk tells a settled exception: what was so, how it ended, and by whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from occ_app.sync import desk
from occ_app.sync.models import SyncException
from occ_app.sync.words import Case, case, signed, units

BY = {
    "by itself": "by itself",
    "command line": "on the command line",
    "the drift rule": "by your drift rule",
    "first link": "with the first link",
    "unmapping": "as it was unmapped",
    "switching sync on or off": "as its sync was switched",
}
ENDED = {"no longer true": "It was no longer so", "another number came": "Another number came"}
_SAID = {
    (desk.DRIFT, "hub"): "Shopify was set to our number",
    (desk.GUARD, "reject"): "Rejected: Shopify keeps its number",
    (desk.PARKED, "retry"): "Tried again",
    (desk.PARKED, "stop"): "Its sync was switched off",
    (desk.LINK, "hub"): "Shopify was set to our number",
    (desk.LINK, "shopify"): "Shopify's number was taken",
    (desk.UNSEEN, "accept"): "Went on without the order",
    (desk.PARTNER_ORDER, "theirs"): "Taken as they changed it",
    (desk.PARTNER_ORDER, "ours"): "Ours was put back",
    (desk.PARTNER_ORDER, "seen"): "Seen",
    (desk.PARTNER_LINES, "retry"): "All of them were ordered again",
    (desk.LATE_CHANGE, "told"): "The partner was told",
    (desk.SHORT, "told"): "The partner was told",
}


@dataclass(frozen=True)
class Past:
    """A settled exception: `case` says what was so, `sentence` how it ended, `who` ended it."""

    case: Case
    sentence: str
    who: str


def told(exception: SyncException, name: str) -> Past:
    """The settled exception in words, without what was only true, or to be done, while it was open."""
    open_case = case(exception, name)
    title = _title(exception.kind, name, exception.facts) or open_case.title
    was = Case(title, _cause(exception.facts), open_case.badge, "neutral", ())
    return Past(was, sentence_of(exception.kind, exception.remedy or "", exception.facts), who_of(exception.settled_by))


def sentence_of(kind: str, remedy: str, facts: dict[str, Any]) -> str:
    """What was done, or what happened."""
    if kind == desk.DRIFT and remedy == "shopify":
        return f"Booked {signed(facts['available'] - facts['expected'])} here"
    if kind == desk.GUARD and remedy == "approve":
        return f"Approved {units(facts['to'])}"
    if remedy == "retry":
        return _SAID.get((kind, remedy), "Tried again")
    return _SAID.get((kind, remedy)) or ENDED.get(remedy) or "Settled"


def who_of(settled_by: str | None) -> str:
    """Who settled it, as one says it: Shopify names people by their number alone."""
    if settled_by and settled_by.startswith("user "):
        return f"by {settled_by} of your store"
    return BY.get(settled_by or "by itself", f"by {settled_by}")


def _title(kind: str, name: str, facts: dict[str, Any]) -> str:
    if kind == desk.DRIFT:
        return f"{name}: Shopify had {units(facts['available'])}, we expected {units(facts['expected'])}"
    if kind == desk.LINK:
        return f"{name}: we had {units(max(0, facts['target']))}, Shopify had {units(facts['available'])}"
    if kind == desk.UNSEEN:
        return f"{name}: Shopify had {units(facts['committed'])} committed, we had booked {units(facts['booked'])}"
    if kind == desk.GUARD:
        return f"{name}: {units(facts['from'])} to {units(facts['to'])} was a big step"
    return f"{name} was parked" if kind == desk.PARKED else ""


def _cause(facts: dict[str, Any]) -> str:
    """Why it was raised, where that is known; nothing of what was to be done then."""
    return str(facts.get("why") or facts.get("cause") or facts.get("difference") or "")
