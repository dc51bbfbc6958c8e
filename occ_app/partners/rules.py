"""Partner goods in plain values: how many of theirs may be sold here, what they are called, and when the next cutoff is."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from occ_app.stock.rules import Term

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@dataclass(frozen=True)
class Ageing:
    """What the age of a reading does. `stale_after`: until then nothing; then `units` an hour more are held back, begun hours counting;
    from `give_up_after` on nothing is sold."""

    stale_after: timedelta
    units: int
    give_up_after: timedelta

    def widening(self, age: timedelta) -> int:
        """Units held back because the reading is so old."""
        late = age - self.stale_after
        return self.units * -(-late // timedelta(hours=1)) if late > timedelta(0) else 0

    def is_too_old(self, age: timedelta | None) -> bool:
        """Whether nothing may be sold on such a reading; None: there was none yet."""
        return age is None or age >= self.give_up_after


def terms(available: int, *, safety_stock: int, widening: int, unreflected: int, is_withheld: bool) -> list[Term]:
    """The equation of a partner's goods; its terms sum to the units that may be sold. May sum to less than zero.

    `unreflected`: units that our orders took and `available` does not show yet; below zero where the partner gave more than was sold.
    What is withheld is withheld whole: the sum is 0 then, or less where more was sold than the partner has.
    """
    found = [Term("partner_available", available)]
    found += [Term("safety_stock", -safety_stock)] if safety_stock else []
    found += [Term("old_reading", -widening)] if widening else []
    found += [Term("unreflected", -unreflected)] if unreflected else []
    left = sum(term.quantity for term in found)
    return [*found, Term("withheld", -left)] if is_withheld and left > 0 else found


def missing(available: int, unreflected: int) -> int:
    """Units sold to customers that the partner no longer has."""
    return max(0, unreflected - max(0, available))


def next_cutoff(now: datetime, *, cadence: str, weekday: str, at: time, time_zone: str) -> datetime:
    """The first cutoff after `now`, in UTC: each day, or each week on `weekday`, at that time of the partner's clock.

    Of an hour that a clock change doubles the first counts; a time that it skips becomes the moment of the change and what was left of it.
    """
    zone = ZoneInfo(time_zone)
    day = now.astimezone(zone).date()
    for ahead in range(9):
        candidate = day + timedelta(days=ahead)
        if cadence == "weekly" and WEEKDAYS[candidate.weekday()] != weekday:
            continue
        moment = datetime.combine(candidate, at, zone).astimezone(ZoneInfo("UTC"))
        if moment > now:
            return moment
    raise ValueError(f"{weekday} is no day of the week")


@dataclass(frozen=True)
class Plan:
    """When a partner's orders close: each day or each week on `weekday`, at `at` of the clock of `time_zone`, but not on `skipped` days."""

    cadence: str
    weekday: str
    at: time
    time_zone: str
    skipped: Collection[date] = ()

    def key(self) -> list[str]:
        """What it was, to see that it has changed."""
        return [self.cadence, self.weekday, self.at.isoformat(), self.time_zone, *sorted(map(str, self.skipped))]

    def next_cutoff(self, after: datetime) -> datetime:
        """The first cutoff after that moment, in UTC. One that falls on a skipped day is left out: the order grows until the next."""
        moment = after
        for _ in range(400):
            moment = next_cutoff(
                moment, cadence=self.cadence, weekday=self.weekday, at=self.at, time_zone=self.time_zone
            )
            if moment.astimezone(ZoneInfo(self.time_zone)).date() not in self.skipped:
                break
        return moment

    def cutoff_beyond(self, left_out: datetime) -> datetime:
        """The first cutoff after one that an order was held beyond. One less than half a turn later is that same one, moved."""
        return self.next_cutoff(left_out + timedelta(hours=12 if self.cadence == "daily" else 84))


# What imported products are called ------------------------------------------------------------------------------------------------

LONGEST_SKU = 100
LONGEST_HANDLE = 120


def sku_for(domain: str, sku: str, number: str, taken: Collection[str]) -> str:
    """The SKU here of a partner's variant: `PARTNER-{shop}-{sku}` of letters, digits, dots, lines and dashes only, and nobody else's.

    `number`: the variant's own, which stands in where it has no SKU, or another one has it (compared without regard to case).
    """
    shop = domain.removesuffix(".myshopify.com")
    safe = re.sub(r"[^A-Za-z0-9._]+", "-", sku).strip("-._")
    begin = f"PARTNER-{shop}-"
    wish = f"{begin}{safe or number}"
    if len(wish) <= LONGEST_SKU and wish.lower() not in taken:
        return wish
    numbered = f"-{number}"
    return f"{begin}{safe}"[: LONGEST_SKU - len(numbered)] + numbered


def handle_for(title: str, domain: str, number: str) -> str:
    """The address of our copy of a partner's product: readable, and with the product's number, so that no other product has it."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    end = f"{domain.removesuffix('.myshopify.com')}-{number}"
    return f"{words[: LONGEST_HANDLE - len(end) - 1].strip('-')}-{end}".strip("-")


def number_of(gid: str) -> str:
    """The number at the end of a Shopify id."""
    return gid.rsplit("/", 1)[-1]
