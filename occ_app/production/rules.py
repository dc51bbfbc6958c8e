"""Production in plain values: how much goes in, what a thing is made of all the way down, what it costs, what it carries."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from occ_app.errors import RuleError

MOST_SMALLEST = 9 * 10**15  # of one thing in one run; beyond it somebody slipped by some zeros
PLAUSIBLE_SHARE = Fraction(5, 4)  # more output than 125 % of the plan is asked about
ALLERGENS = {
    "gluten": "Gluten",
    "crustaceans": "Crustaceans",
    "eggs": "Eggs",
    "fish": "Fish",
    "peanuts": "Peanuts",
    "soya": "Soya",
    "milk": "Milk",
    "nuts": "Nuts",
    "celery": "Celery",
    "mustard": "Mustard",
    "sesame": "Sesame",
    "sulphites": "Sulphites",
    "lupin": "Lupin",
    "molluscs": "Molluscs",
}  # Source: Regulation (EU) No 1169/2011, Annex II


@dataclass(frozen=True)
class Part:
    """A line of a formula: of `component`, `quantity` goes into one making, `scrap_percent` of what is put in is lost on the way,
    and `setup_loss` is lost once a run."""

    component: int
    quantity: int
    scrap_percent: Decimal = Decimal(0)
    setup_loss: int = 0


@dataclass(frozen=True)
class Making:
    """A formula: one making gives `yield_quantity` of the item."""

    yield_quantity: int
    parts: Sequence[Part]


Graph = Mapping[int, Making]  # item id -> its formula, for items that have one


def needed(part: Part, yield_quantity: int, quantity: int) -> int:
    """How much of the component must be put in for `quantity` of the item, rounded up to a whole smallest amount.

    100 g with 20 % scrap are 125 g: the scrap is a share of what goes in. Raises RuleError beyond what can be counted.
    """
    good = Fraction(part.quantity) * quantity / yield_quantity
    total = math.ceil(good / (1 - Fraction(part.scrap_percent) / 100)) + part.setup_loss
    if total > MOST_SMALLEST:
        raise RuleError("That is more than can be counted. Give a smaller quantity.", field="quantity")
    return total


def find_cycle(item: int, components: Collection[int], made_of: Callable[[int], Collection[int]]) -> list[int] | None:
    """The way from `item` over its components back to itself, both ends included; None where there is none."""
    stack = [[item, component] for component in components]
    seen: set[int] = set()
    while stack:
        path = stack.pop()
        last = path[-1]
        if last == item:
            return path
        if last not in seen:
            seen.add(last)
            stack += [[*path, further] for further in made_of(last)]
    return None


def explode(item: int, quantity: int, formulas: Graph) -> dict[int, int]:
    """What `quantity` of an item needs of everything that is not made here, all the way down.

    Each level is rounded up; what two branches need is added before its own formula is applied, so a thing that is used twice is made once.
    """
    raw: dict[int, int] = {}
    for component, amount in every_level(item, quantity, formulas).items():
        if component not in formulas:
            raw[component] = amount
    return raw


def every_level(item: int, quantity: int, formulas: Graph) -> dict[int, int]:
    """What `quantity` of an item needs of each component at any level, sub-assemblies included; the item itself is left out."""
    wanted: dict[int, int] = {item: quantity}
    for made in makers_first(item, formulas):
        if made in formulas and wanted.get(made):
            for part in formulas[made].parts:
                need = needed(part, formulas[made].yield_quantity, wanted[made])
                wanted[part.component] = wanted.get(part.component, 0) + need
    return {component: amount for component, amount in wanted.items() if component != item}


def makers_first(item: int, formulas: Graph) -> list[int]:
    """The item and all that is in it, each after everything that it goes into."""
    order: list[int] = []
    done: set[int] = set()
    stack: list[tuple[int, bool]] = [(item, False)]
    while stack:
        at, is_left = stack.pop()
        if is_left:
            order.append(at)
        elif at not in done:
            done.add(at)
            stack.append((at, True))
            parts = formulas[at].parts if at in formulas else ()
            stack += [(part.component, False) for part in parts]
    return order[::-1]


def unit_cost(item: int, formulas: Graph, prices: Mapping[int, Decimal | None]) -> Decimal | None:
    """What one smallest amount of an item costs: its price, else its parts by its formula; None where one of them has no price.

    Set-up loss is left out: its share depends on the size of a run.
    """
    costs: dict[int, Decimal | None] = {}
    for made in reversed(makers_first(item, formulas)):
        costs[made] = _cost_of_parts(formulas[made], costs) if made in formulas else prices.get(made)
    return costs[item]


def _cost_of_parts(making: Making, costs: Mapping[int, Decimal | None]) -> Decimal | None:
    total = Decimal(0)
    for part in making.parts:
        cost = costs.get(part.component)
        if cost is None:
            return None
        total += cost * part.quantity / (1 - part.scrap_percent / 100)
    return total / making.yield_quantity


def allergens(item: int, formulas: Graph, own: Mapping[int, Collection[str]]) -> list[str]:
    """The allergens of an item: its own and those of everything in it, in the order of the law."""
    found = {name for part in makers_first(item, formulas) for name in own.get(part, ())}
    return [name for name in ALLERGENS if name in found]


def is_plausible(output: int, planned: int) -> bool:
    """Whether a run that was planned for so many may have given so many."""
    return 0 < output <= planned * PLAUSIBLE_SHARE


def is_plausible_use(used: int, needed_: int) -> bool:
    """Whether a run that needed so much of a component by its formula may have used so much: from half of it to double."""
    return needed_ <= 2 * used and used <= 2 * needed_


def average_cost(lots: Iterable[tuple[int, Decimal]]) -> Decimal | None:
    """The cost of one, from (quantity, unit cost) of the lots that are there, weighted by quantity; None where there is nothing."""
    held = [(quantity, cost) for quantity, cost in lots if quantity > 0]
    total = sum(quantity for quantity, _ in held)
    return sum((quantity * cost for quantity, cost in held), Decimal(0)) / total if total else None


def give_back(held: Sequence[tuple[int, int]], surplus: int) -> dict[int, int]:
    """Which reservations give `surplus` back: (lot id, units) in the order in which they were to be used, the last gives first."""
    given: dict[int, int] = {}
    for lot, quantity in reversed(held):
        back = min(quantity, surplus)
        if back:
            given[lot] = back
            surplus -= back
    return given
