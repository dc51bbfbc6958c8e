"""The sync rule in plain values. All quantities are variant units at one location.

T target, E expected, A available as read, D = A - E drift. A write carries our change T - E and leaves what we cannot explain as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

STATES = ("available", "committed", "reserved", "damaged", "quality_control", "safety_stock", "on_hand")
LOOKS_BEFORE_FOREIGN = 2
READ_LAG = timedelta(seconds=60)
FLOORED = timedelta(
    hours=1
)  # a number below zero that may not be written is looked at with all others; till then nothing is tried
Row = TypeVar("Row")


@dataclass(frozen=True)
class Reading:
    """All states of one level at once, and when that was. `changed_at`: when `available` became what it is, where Shopify says so."""

    available: int
    committed: int
    reserved: int
    damaged: int
    quality_control: int
    safety_stock: int
    on_hand: int
    read_at: datetime
    changed_at: datetime | None = None


@dataclass(frozen=True)
class Write:
    """What to write: compare with `change_from`, set `quantity`."""

    change_from: int
    quantity: int

    @property
    def change(self) -> int:
        """By how much it moves Shopify's number, and so E."""
        return self.quantity - self.change_from


@dataclass(frozen=True)
class Guard:
    """A step beyond both limits waits for a person: `percent` of Shopify's number and `units`."""

    percent: int
    units: int

    def stops(self, write: Write) -> bool:
        """Whether the step is implausibly big."""
        size = abs(write.change)
        return size > self.units and size * 100 > self.percent * max(0, write.change_from)


def write_for(target: int, expected: int, available: int, *, may_raise: bool) -> Write | None:
    """The write that carries target - expected on top of `available`; None where there is nothing that may be written.

    The change is taken without any floor (a floored target would put sold units back on sale); only the written value is floored at 0,
    and never above `available` because of it. With `may_raise` false a rise is left for later.
    """
    change = target - expected
    if change == 0 or (change > 0 and not may_raise):
        return None
    quantity = available + change
    if quantity < 0:
        quantity = 0
        if change > 0 or available <= 0:
            return None  # Shopify's number is below zero: the floor itself would raise it
    return Write(available, quantity)


def next_try(target: int, expected: int, available: int, at: datetime) -> datetime | None:
    """When to try again what could not be written: at once, unless the floor forbids it. Then nothing changes before a reading or a booking."""
    is_floored = target != expected and write_for(target, expected, available, may_raise=True) is None
    return at + FLOORED if is_floored else None


def first_write(target: int, available: int) -> Write | None:
    """The write that makes Shopify's number ours (first link with `hub`, drift settled by `hub`): floored at 0."""
    quantity = max(0, target)
    return Write(available, quantity) if quantity != available else None


def was_applied(
    drift: int, drift_then: int, change: int, *, is_patient: bool, is_unbooked: bool = False
) -> bool | None:
    """Whether a write of `change` of unknown outcome reached Shopify, told by the drift that a reading shows after it.

    `drift_then` is the drift that the write left alone; what we have booked since may explain it, wholly or in part. So without the write the
    drift now lies between 0 and drift_then, and with it between those plus `change`. Where both fit or neither, a sale may be on its way to us:
    None while `is_patient`. After that whatever leaves no drift at all is believed, and otherwise what cannot put sold units back on sale: a
    rise has happened, a fall has not. With `is_unbooked` nothing was booked since, so nothing of `drift_then` is explained: it is there whole.
    """
    if is_unbooked and drift in (drift_then, drift_then + change):
        return drift != drift_then
    low, high = min(0, drift_then), max(0, drift_then)
    fits_without, fits_with = low <= drift <= high, low <= drift - change <= high
    if fits_with != fits_without:
        return fits_with
    if is_patient:
        return None
    return drift == change or (drift != 0 and change > 0)


def counts_for_expected(happened_at: datetime, baseline_at: datetime | None, *, in_committed: bool = False) -> bool:
    """Whether an order's effect changes E: it does unless it happened before the baseline, where it is in E already.

    Both are whole seconds of Shopify's clock. In the very second of the baseline it counts: the baseline is only set when `committed` agreed
    with what we had booked, so an effect booked later came after it. For what moves `committed` as well (`in_committed`) that holds even where
    Shopify's clock says otherwise: what it shows may lag behind what it says the time is, by READ_LAG at most.
    """
    return baseline_at is not None and happened_at >= baseline_at - (READ_LAG if in_committed else timedelta(0))


def is_foreign(looks: int, drifting_since: datetime | None, at: datetime, grace: timedelta) -> bool:
    """Whether a drift has lasted: seen in two readings in a row, orders pulled between them, and beyond the grace time."""
    return looks >= LOOKS_BEFORE_FOREIGN and drifting_since is not None and at - drifting_since >= grace


def explanation(before: Reading | None, now: Reading, drift: int, booked_committed: int) -> str:
    """What the other states say about a drift, in words for the merchant."""
    if now.committed > booked_committed:
        return f"Shopify has {now.committed} committed and we have booked {booked_committed}: an order has not reached us yet."
    if before is None:
        return "Somebody changed it in Shopify, or another app did."
    if now.on_hand == before.on_hand and now.damaged > before.damaged:
        return f"Somebody moved {now.damaged - before.damaged} to damaged in Shopify."
    if now.on_hand == before.on_hand:
        return "Somebody moved units between available and another state in Shopify."
    return f"Somebody set it in Shopify from {now.available - drift} to {now.available}, or another app did."


def retry_after(tries: int) -> timedelta:
    """How long to wait after so many failures in a row: 15 s, doubled each time, an hour at most."""
    return timedelta(seconds=min(3600, 15 * 2 ** max(0, tries - 1)))


def chunks(rows: Iterable[Row], size: int) -> list[list[Row]]:
    """`rows` in lists of `size` at most."""
    listed = list(rows)
    return [listed[start : start + size] for start in range(0, len(listed), size)]
