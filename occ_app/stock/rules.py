"""Stock in plain values: places, reasons, which lots are sold first, and how many units may be sold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

COMPLETED, PACKAGED, IN_REVIEW, RELEASED, ON_HOLD, COMMITTED, RESERVED = (
    "completed",
    "packaged",
    "in_review",
    "released",
    "on_hold",
    "committed",
    "reserved",  # for a production run
)
PRODUCTION, SUPPLIER, SHIPPED, SCRAP, CORRECTION, OPENING, BACKORDER, PARTNER = (
    "production",
    "supplier",
    "shipped",
    "scrap",
    "correction",
    "opening",
    "backorder",
    "partner",  # the stock of a partner: what our orders took of it, so below zero
)
CHANNELS = ("shopify", "wholesale", "markets", "samples", "internal")
ALLOCATED_TO_SHOPIFY = "allocated:shopify"
LOT_PLACES = (COMPLETED, PACKAGED, IN_REVIEW, RELEASED, ON_HOLD)
VIRTUAL_PLACES = (PRODUCTION, SUPPLIER, SHIPPED, SCRAP, CORRECTION, OPENING, BACKORDER, PARTNER)
# Why units moved: the closed list.
REASONS = (
    "opening",
    "production",
    "step",  # completed -> packaged -> in review
    "release",
    "unrelease",
    "hold",
    "scrap",
    "allocate",
    "order_take",
    "order_restock",
    "order_loss",
    "order_ship",
    "order_return",
    "backorder_fill",
    "correction",
    "receive",
    "count",
    "waste",
    "reserve",
    "unreserve",
    "consume",
    "market_out",
    "market_back",
    "market_sale",
    "handout",
    "order_for_stock",
)
COUNTED = {
    "released": (RELEASED,),
    "completed": (COMPLETED, PACKAGED, IN_REVIEW, RELEASED),
    "packaged": (PACKAGED, IN_REVIEW, RELEASED),
    "manual": (RELEASED,),
    "allocation": (ALLOCATED_TO_SHOPIFY,),
    "none": (RELEASED,),
}
PUSHED_BY_ITSELF = ("released", "completed", "packaged", "allocation")


@dataclass(frozen=True)
class Holding:
    """Units of one lot (or of none) at one place. `expires_on`: the first day on which they may not be sold."""

    place: str
    quantity: int
    lot_id: int | None = None
    expires_on: date | None = None
    is_recalled: bool = False

    def is_expired(self, today: date) -> bool:
        """Whether the lot may no longer be sold on `today`."""
        return self.expires_on is not None and self.expires_on <= today


@dataclass(frozen=True)
class Term:
    """One summand of the equation behind a sellable quantity: its name and its signed number of units."""

    name: str
    quantity: int


def is_physical(place: str) -> bool:
    """Whether units at `place` exist and can be counted by hand."""
    return place in (*LOT_PLACES, COMMITTED, RESERVED) or is_allocation(place)


def is_allocation(place: str) -> bool:
    """Whether `place` holds units promised to a channel (`allocated:<channel>`)."""
    return place.startswith("allocated:") and len(place) > len("allocated:")


def is_away(place: str) -> bool:
    """Whether units at `place` are ours but out of the house: at a market day (`allocated:market-<its id>`)."""
    return place.startswith("allocated:market-")


def is_here(place: str) -> bool:
    """Whether units at `place` are in the house and not sold."""
    return place in (*LOT_PLACES, RESERVED) or (is_allocation(place) and not is_away(place))


def is_place(place: str) -> bool:
    """Whether `place` is one of the places, physical or virtual."""
    return is_physical(place) or place in VIRTUAL_PLACES


def terms(mode: str, holdings: Iterable[Holding], safety_stock: int, today: date) -> list[Term]:
    """The equation of one item at one location: terms that sum to the sellable units. May sum to less than zero.

    Each counted place is a term with all of its units; `expired` and `recalled` take off again what may not be sold (a lot that is both
    counts as recalled); `backorder` takes off what was sold without having been there; `safety_stock` what is held back.
    """
    counted = COUNTED[mode]
    held = [holding for holding in holdings if holding.quantity]
    by_place = [Term(place, sum(h.quantity for h in held if h.place == place)) for place in counted]
    in_sum = [h for h in held if h.place in counted]
    recalled = sum(h.quantity for h in in_sum if h.is_recalled)
    expired = sum(h.quantity for h in in_sum if h.is_expired(today) and not h.is_recalled)
    short = sum(h.quantity for h in held if h.place == BACKORDER)
    taken_off = [Term("expired", -expired), Term("recalled", -recalled), Term("backorder", short)]
    return [
        *(term for term in by_place if term.quantity or len(counted) == 1),
        *(term for term in taken_off if term.quantity),
        *([Term("safety_stock", -safety_stock)] if safety_stock else []),
    ]


def sellable(equation: Iterable[Term]) -> int:
    """Units that may be sold: the sum of the terms. Below zero when more was sold than there was."""
    return sum(term.quantity for term in equation)


def target(components: Sequence[tuple[int, int]]) -> int:
    """Variants that may be sold, from (sellable units, units per variant) of each component: the scarcest decides.

    Rounded towards less, below zero too: 13 units are 2 boxes of 6, and -1 unit is -1 box.
    """
    return min(units // per_variant for units, per_variant in components)


def first_expiry_first(holdings: Iterable[Holding], today: date) -> list[Holding]:
    """Holdings that may be sold, in the order in which they are sold: first expiry, then no expiry, then oldest lot."""
    may_be_sold = [h for h in holdings if h.quantity > 0 and not h.is_expired(today) and not h.is_recalled]
    return sorted(may_be_sold, key=lambda h: (h.expires_on is None, h.expires_on or date.max, h.lot_id or 0))


def take(holdings: Iterable[Holding], quantity: int, today: date) -> tuple[list[tuple[Holding, int]], int]:
    """Which holdings give how many units towards `quantity`, first expiry first; and how many units are missing."""
    parts: list[tuple[Holding, int]] = []
    for holding in first_expiry_first(holdings, today):
        if quantity == 0:
            break
        given = min(holding.quantity, quantity)
        parts.append((holding, given))
        quantity -= given
    return parts, quantity


def numbers_around(pattern: str, sku: str, made_on: date) -> tuple[str, str]:
    """What stands before and after the count in lot numbers of that item and day: `{item}-{yyyymmdd}-{n}`.

    The pattern's parts are {item}, {yyyymmdd}, {yymmdd}, {yyyy}, {mm}, {dd}, and {n} once.
    """
    known = {"yyyymmdd": f"{made_on:%Y%m%d}", "yymmdd": f"{made_on:%y%m%d}"}
    known |= {"yyyy": f"{made_on:%Y}", "mm": f"{made_on:%m}", "dd": f"{made_on:%d}", "item": sku}
    before, _, after = pattern.partition("{n}")
    for name, value in known.items():
        before, after = before.replace(f"{{{name}}}", value), after.replace(f"{{{name}}}", value)
    return before, after
