"""Partner orders in plain values: how many units are to be ordered, what goes on the order, who gets what came, and when it closes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from occ_app.partners import prices

MOST_LINES = 499  # of a draft order. Source: Shopify, DraftOrderInput
CENT = Decimal("0.01")
CUSTOM = "custom:"  # begins what stands in for the variant gid of a line that the partner made up, such as a fee; its title follows
Group = tuple[str, str, int]  # partner's variant gid, cost per unit as text, units
Line = TypeVar("Line", bound=Sequence[Any])  # a group, or one that was read from JSON


def to_order(needed: int, still_open: int, covered: int) -> int:
    """Units of an order line that are still to be put on an order.

    `needed`: taken from the partner's stock and not given back; `still_open`: of the line, not yet gone to its customer; `covered`: ordered
    by closed orders, less what was short or damaged.
    """
    return max(0, min(needed - covered, still_open))


def too_many(needed: int, covered: int, not_yet_here: int) -> int:
    """Units on closed orders that nobody wants any more and that have not come yet."""
    return max(0, min(covered - needed, not_yet_here))


def cost_of(their_price: Decimal | None, discount_percent: Decimal, currency: str = "") -> Decimal | None:
    """What one costs us, in the partner's currency: its price less its discount for us, half up. None where it gives no price."""
    if their_price is None:
        return None
    return prices.discounted(their_price, discount_percent).quantize(prices.unit_of(currency), ROUND_HALF_UP)


@dataclass(frozen=True)
class Row:
    """A captured line as it goes on an order."""

    id: int
    variant_gid: str
    unit_cost: Decimal
    quantity: int


def grouped(rows: Iterable[Row], extra: Iterable[Sequence[object]] = ()) -> list[Group]:
    """The lines of the draft: quantities summed per variant and cost, in a lasting order. `extra`: lines that the partner added."""
    sums: dict[tuple[str, str], int] = {}
    for row in rows:
        key = (row.variant_gid, str(row.unit_cost.quantize(CENT)))
        sums[key] = sums.get(key, 0) + row.quantity
    for variant_gid, cost, quantity in extra:
        key = (str(variant_gid), str(cost))
        sums[key] = sums.get(key, 0) + int(str(quantity))
    return [(gid, cost, units) for (gid, cost), units in sorted(sums.items()) if units > 0]


def same(one: Iterable[Sequence[object]], other: Iterable[Sequence[object]]) -> bool:
    """Whether both lists of lines say the same, whatever their order."""
    return _summed(one) == _summed(other)


def _summed(lines: Iterable[Sequence[object]]) -> dict[tuple[str, Decimal], int]:
    found: dict[tuple[str, Decimal], int] = {}
    for gid, cost, quantity in lines:
        key = (str(gid), Decimal(str(cost)))
        found[key] = found.get(key, 0) + int(str(quantity))
    return {key: units for key, units in found.items() if units}


def is_fee(gid: object) -> bool:
    """Whether that stands for a line of no variant: it costs something, but is no goods."""
    return str(gid).startswith(CUSTOM)


def goods(lines: Iterable[Line]) -> list[Line]:
    """The lines without fees."""
    return [line for line in lines if not is_fee(line[0])]


def without(lines: Iterable[Line], gids: Collection[object]) -> list[Line]:
    """The lines of other variants than these."""
    return [line for line in lines if line[0] not in gids]


def by_variant(lines: Iterable[Sequence[object]]) -> dict[str, int]:
    """Variant gid -> units, whatever they cost."""
    found: dict[str, int] = {}
    for gid, _, quantity in lines:
        found[str(gid)] = found.get(str(gid), 0) + int(str(quantity))
    return found


def priced(
    rows: Sequence[Row], lines: Iterable[Sequence[object]]
) -> tuple[dict[int, list[tuple[Decimal, int]]], list[Group]]:
    """The partner's lines over ours: row id -> (cost, units), what stands at the row's own cost first; and what none of our rows is for."""
    pool = _summed(lines)
    found: dict[int, list[tuple[Decimal, int]]] = {row.id: [] for row in rows}
    left = {row.id: row.quantity for row in rows}
    for is_own_cost in (True, False):
        for row in rows:
            for gid, cost in sorted(pool):
                units = min(pool[gid, cost], left[row.id])
                if gid == row.variant_gid and units and (cost == row.unit_cost or not is_own_cost):
                    found[row.id].append((cost, units))
                    pool[gid, cost] -= units
                    left[row.id] -= units
    return found, [(gid, str(cost), units) for (gid, cost), units in sorted(pool.items()) if units]


def still_added(extra: Iterable[Sequence[Any]], beyond: Mapping[str, int]) -> list[list[Any]]:
    """What is left of the lines that the partner added, where so many units of each stand there beyond ours. Of what is not named, all is."""
    left, found = dict(beyond), []
    for gid, cost, units in extra:
        kept = min(units, left.get(gid, units))
        left |= {gid: left[gid] - kept} if gid in left else {}
        found += [[gid, cost, kept]] if kept else []
    return found


def shared_out(wanted: Sequence[tuple[int, int]], there: int) -> dict[int, int]:
    """(id, units) in their turn -> id -> units that it gets of what is there: the first are served first."""
    found = {}
    for number, units in wanted:
        found[number] = min(units, max(0, there))
        there -= found[number]
    return found


def can_give(quantity: int, available: int, held: int, *, is_tracked: bool, may_oversell: bool) -> int:
    """Units of a line that the partner can give at completion. `held`: of them, what the draft reserved (`available` is without those)."""
    if not is_tracked or may_oversell:
        return quantity
    return max(0, min(quantity, available + held))


def is_batch_due(
    now: datetime, *, hour: int, time_zone: str, last_for: date | None, waits_since: datetime | None = None
) -> date | None:
    """The day for which the daily batch is due; None where it is too early, or was made. A clock that jumped back makes none again.

    `waits_since` is when the oldest line came, where only what waited at the hour makes a batch due. Of an hour that a clock change
    skips the batch comes right after it; of a doubled one it comes in the first.
    """
    here = now.astimezone(ZoneInfo(time_zone))
    begins = datetime.combine(here.date(), time(hour), ZoneInfo(time_zone)).astimezone(ZoneInfo("UTC"))
    if now < begins or (last_for is not None and last_for >= here.date()):
        return None
    return here.date() if waits_since is None or waits_since <= begins else None


def misses(units: int, value: Decimal, *, least_units: int, least_value: Decimal) -> str | None:
    """Why an order is too small to be sent, in words; None where it is not."""
    if units < least_units:
        return f"{units} of at least {least_units} units"
    if value < least_value:
        return f"{value} of at least {least_value}"
    return None


def units(number: int) -> str:
    """1 unit, 2 units."""
    return f"{number} {'unit' if number == 1 else 'units'}"


def lines(number: int, one: str, many: str) -> str:
    """1 line waits, 2 lines wait."""
    return f"{number} line {one}" if number == 1 else f"{number} lines {many}"


def when_they_go(ready: int, unpaid: int, held: int) -> str:
    """When lines go, to be put behind "go": " once paid", or ": 2 with the next batch, 1 once paid"."""
    parts = [
        (ready, "with the next batch"),
        (unpaid, "once paid"),
        (held, f"once nothing holds {'it' if held == 1 else 'them'} back"),
    ]
    parts = [(number, words) for number, words in parts if number]
    if len(parts) < 2:
        return f" {parts[0][1]}" if parts else " with the next batch"
    return ": " + ", ".join(f"{number} {words}" for number, words in parts)


def changed_by(changes: Iterable[int]) -> str:
    """What an update did, in words: the units that came and those that went, also where the sum stays."""
    rows = list(changes)
    added, off = sum(n for n in rows if n > 0), -sum(n for n in rows if n < 0)
    parts = [f"{units(n)} {words}" for n, words in ((added, "added"), (off, "taken off")) if n]
    return ", ".join(parts)


def time_left(left: timedelta) -> list[tuple[int, str]]:
    """What is left in its two largest units, such as 2 d 1 h; 0 h 0 min where it is over."""
    left = max(timedelta(0), left)
    hours = left.seconds // 3600
    return [(left.days, "d"), (hours, "h")] if left.days else [(hours, "h"), (left.seconds % 3600 // 60, "min")]


def code_of(name: str) -> str:
    """Two letters that stand for a partner: Northlight Coffee becomes NC, Kiln becomes KI."""
    words = ["".join(letter for letter in word if letter.isalnum()) for word in name.upper().split()]
    words = [word for word in words if word and word.isascii()]
    if not words:
        return "PO"
    return words[0][0] + words[1][0] if len(words) > 1 else words[0][:2]


def name_of(code: str, cadence: str, closes_on: date, taken: Collection[str]) -> str:
    """What the order is called: partner, year and week (or day), and a count where that name is taken."""
    year, week, _ = closes_on.isocalendar()
    begin = f"{code}-{year}-{week:02}" if cadence == "weekly" else f"{code}-{closes_on.isoformat()}"
    for number in range(1, 10_000):
        name = begin if number == 1 else f"{begin}-{number}"
        if name not in taken:
            return name
    raise ValueError(f"{begin} has been used ten thousand times")
