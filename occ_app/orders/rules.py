"""An order line as a state: what should be booked of it, and the steps from what is booked to that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

TAKEN, RESTOCKED, LOST, SHIPPED, RETURNED = "taken", "restocked", "lost", "shipped", "returned"
FLOWS = (TAKEN, RESTOCKED, LOST, SHIPPED, RETURNED)
B2B_TAGS = ("b2b", "wholesale")  # tags of an order that a business placed
# What one unit of each flow does to Shopify's (available, committed).
EFFECTS = {TAKEN: (-1, 1), RESTOCKED: (1, -1), LOST: (0, -1), SHIPPED: (0, -1), RETURNED: (1, 0)}


@dataclass(frozen=True)
class Removal:
    """Part of a refund, a cancellation or an edit: so many units of the line, put back for sale or not."""

    quantity: int
    restock_type: str  # CANCEL, RETURN, NO_RESTOCK, LEGACY_RESTOCK
    at: datetime


@dataclass(frozen=True)
class LineSnapshot:
    """A line as Shopify shows it. `unfulfilled`: units neither shipped nor removed."""

    quantity: int
    unfulfilled: int
    is_cancelled: bool
    removals: Sequence[Removal] = ()


@dataclass(frozen=True)
class Booked:
    """Cumulative variant units over the line's life. taken = restocked + lost + shipped + still committed."""

    taken: int = 0
    restocked: int = 0
    lost: int = 0
    shipped: int = 0
    returned: int = 0

    @property
    def committed(self) -> int:
        """Sold and not yet out of the house."""
        return self.taken - self.restocked - self.lost - self.shipped


@dataclass(frozen=True)
class Step:
    """`change` units (of either sign) of one flow to be booked, as of `at`."""

    flow: str
    change: int
    at: datetime


def is_b2b(tags: Sequence[str]) -> bool:
    """Whether a business placed the order, as its tags say."""
    return any(tag.strip().lower() in B2B_TAGS for tag in tags)


def wanted(line: LineSnapshot, booked: Booked) -> Booked:
    """What should be booked of a line in this state.

    What left without coming back for sale is shipped, except where it was removed without restock before it could ship: that is lost.
    Both leave Shopify's numbers alike, so what was booked as shipped stays shipped.
    """
    restocked = sum(r.quantity for r in line.removals if r.restock_type in ("CANCEL", "LEGACY_RESTOCK"))
    returned = sum(r.quantity for r in line.removals if r.restock_type == "RETURN")
    unrestocked = sum(r.quantity for r in line.removals if r.restock_type == "NO_RESTOCK")
    committed = 0 if line.is_cancelled else line.unfulfilled
    gone = max(0, line.quantity - committed - restocked)
    never_shipped = gone if line.is_cancelled else min(unrestocked, gone)
    lost = max(0, min(never_shipped, gone - max(booked.shipped, returned)))
    taken = committed + restocked + gone
    return Booked(taken, restocked, lost, gone - lost, min(returned, gone - lost))


def steps(
    booked: Booked, line: LineSnapshot, *, placed_at: datetime, changed_at: datetime, is_first: bool
) -> list[Step]:
    """What to book now, in an order in which no intermediate state is impossible: takes, un-shipping, the rest, returns.

    A take of a new line happened when the order was placed, a later one when the order was changed; a restock when its refund was made.
    """
    goal = wanted(line, booked)
    found: list[Step] = []
    for flow in FLOWS:
        change = getattr(goal, flow) - getattr(booked, flow)
        if change == 0:
            continue
        kinds = {RESTOCKED: ("CANCEL", "LEGACY_RESTOCK"), RETURNED: ("RETURN",)}.get(flow)
        if kinds and change > 0:
            found += _dated(flow, [r for r in line.removals if r.restock_type in kinds], getattr(booked, flow), change)
        else:
            found.append(Step(flow, change, placed_at if flow == TAKEN and is_first else changed_at))
    return sorted(found, key=lambda step: _turn(step))


def _turn(step: Step) -> int:
    if step.flow == TAKEN:
        return 0 if step.change > 0 else 5
    if step.change < 0:
        return 1 if step.flow == RETURNED else 2
    return 4 if step.flow == RETURNED else 3


def _dated(flow: str, removals: Sequence[Removal], already: int, change: int) -> list[Step]:
    """`change` units of a flow, each with the time of the removal it came by; the first `already` units are booked."""
    found = []
    for removal in sorted(removals, key=lambda r: r.at):
        skipped = min(already, removal.quantity)
        already -= skipped
        units = min(change, removal.quantity - skipped)
        change -= units
        if units:
            found.append(Step(flow, units, removal.at))
    return found
