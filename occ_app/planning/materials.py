"""The material plan: what drafts, runs and suggestions need of every component, dated, against lots, their expiry, and what is ordered.

Gross needs become net, level by level from what is sold down to what is bought: each need takes the lots that are still good on its day, first
expiry first, then what arrives by then. What is left is a shortage; where the component is made here, its own formula is exploded for it.
Source: material requirements planning as in Orlicky, "Material Requirements Planning" (1975), lot-for-lot in whole makings.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from occ_app.production.rules import Graph, Making, Part, makers_first, needed


@dataclass(frozen=True)
class Plan:
    """Something to be made: `quantity` of an item, ready `on` a day. `held`: component -> what it has reserved already.

    `name`: what people call it: a run's number, or that it is suggested.
    """

    item: int
    quantity: int
    on: date
    name: str
    held: Mapping[int, int] = field(default_factory=dict)
    is_suggested: bool = False
    making: Making | None = None  # the version of the formula that a run is bound to; None: the current one


@dataclass
class Stock:
    """Units of one component that are free: a lot with the first day on which it may not be used, or what arrives on `since`."""

    quantity: int
    expires_on: date | None = None
    since: date | None = None


@dataclass(frozen=True)
class Wanted:
    """So much of a component is needed on a day, for something; `short` of it is missing."""

    quantity: int
    on: date
    name: str
    short: int


@dataclass
class Line:
    """One component over all plans: what it is wanted for, and what stays unused. `makings`: of it that have to be made first."""

    component: int
    wanted: list[Wanted] = field(default_factory=list)
    here: int = 0
    coming: int = 0
    spoils: int = 0  # of what is here: will be past its date before it is needed
    late: int = 0  # of what is short: comes after the day on which it is needed
    makings: int = 0

    @property
    def needed(self) -> int:
        """All that is needed of it."""
        return sum(each.quantity for each in self.wanted)

    @property
    def short(self) -> int:
        """All that is missing."""
        return sum(each.short for each in self.wanted)

    @property
    def short_on(self) -> date | None:
        """The day on which the first of it is missing."""
        return min((each.on for each in self.wanted if each.short), default=None)


def plan(
    plans: Sequence[Plan],
    formulas: Graph,
    stock: Mapping[int, Sequence[Stock]],
    lead_days: Mapping[int, int],
    today: date,
) -> dict[int, Line]:
    """Every component that the plans need, those made here before what goes into them."""
    wants: dict[int, list[tuple[date, int, str]]] = defaultdict(list)
    for each in sorted(plans, key=lambda one: (one.is_suggested, one.on)):
        making = each.making or formulas.get(each.item)
        _explode(making, each.quantity, each.on, each.name, wants, each.held)
    lines: dict[int, Line] = {}
    for component in _order({*wants, *(each.item for each in plans)}, formulas):
        if not wants[component]:
            continue
        line = _net(component, wants[component], [Stock(**vars(one)) for one in stock.get(component, ())], today)
        lines[component] = line
        if line.short > line.late and component in formulas:
            _make_first(line, formulas, wants, lead_days.get(component, 0), today)
    return lines


def _explode(
    making: Making | None,
    quantity: int,
    on: date,
    name: str,
    wants: dict[int, list[tuple[date, int, str]]],
    held: Mapping[int, int] | None = None,
) -> None:
    if making is None:
        return
    for part in making.parts:
        amount = needed(part, making.yield_quantity, quantity) - (held or {}).get(part.component, 0)
        if amount > 0:
            wants[part.component].append((on, amount, name))


def _order(items: Collection[int], formulas: Graph) -> list[int]:
    """All components, each after everything that it goes into."""
    top = {
        **formulas,
        0: Making(1, [Part(item, 1) for item in sorted(items)]),
    }  # made of all of them; no item has the id 0
    return [one for one in makers_first(0, top) if one]


def _net(component: int, wants: Sequence[tuple[date, int, str]], stock: list[Stock], today: date) -> Line:
    """What the wants leave short, the earliest served first; runs before suggestions of the same day."""
    line = Line(component)
    line.here = sum(one.quantity for one in stock if one.since is None)
    line.coming = sum(one.quantity for one in stock if one.since is not None)
    stock.sort(key=lambda one: (one.since or date.min, one.expires_on or date.max))
    for on, amount, name in sorted(wants, key=lambda want: want[0]):
        left = amount
        for one in stock:
            if (one.since or today) <= on and (one.expires_on is None or one.expires_on > on):
                given = min(left, one.quantity)
                one.quantity -= given
                left -= given
        line.wanted.append(Wanted(amount, on, name, left))
    line.late = min(line.short, sum(one.quantity for one in stock if one.since is not None))
    last = max(on for on, _, _ in wants)
    line.spoils = sum(one.quantity for one in stock if one.since is None and one.expires_on and one.expires_on <= last)
    return line


def _make_first(
    line: Line, formulas: Graph, wants: dict[int, list[tuple[date, int, str]]], lead_days: int, today: date
) -> None:
    """What is short of a component made here has to be made in whole makings, before the first of it is needed."""
    size = formulas[line.component].yield_quantity
    line.makings = math.ceil((line.short - line.late) / size)
    on = max(today, (line.short_on or today) - timedelta(days=lead_days))
    for_what = ", ".join(dict.fromkeys(each.name for each in line.wanted if each.short))
    _explode(formulas[line.component], line.makings * size, on, for_what, wants)


def most_today(
    item: int, formulas: Graph, stock: Mapping[int, Sequence[Stock]], today: date, limit: int = 10_000
) -> int:
    """How many whole makings of an item today's stock suffices for, parts made here included; 0 without a formula."""
    making = formulas.get(item)
    if making is None or not making.parts:
        return 0
    here = {component: [one for one in there if one.since is None] for component, there in stock.items()}

    def is_enough(times: int) -> bool:
        lines = plan([Plan(item, times * making.yield_quantity, today, "")], formulas, here, {}, today)
        return not any(line.short for line in lines.values() if line.component not in formulas)

    low, high = 0, 1
    while high <= limit and is_enough(high):
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if is_enough(middle) else (low, middle)
    return min(low, limit)
