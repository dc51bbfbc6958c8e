"""A past to sell from: two years of a chocolate maker, always the same ones. Weekends are busy, December doubles, summer is slow, Easter
lifts what is given away; some goods sell every day, some now and then, one was new last autumn and one was sold out for a while."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

DAYS = 730
SEED = 2026
WEEK = (0.8, 0.75, 0.85, 0.95, 1.25, 1.45, 0.95)  # Monday to Sunday
YEAR = (0.75, 1.15, 1.0, 1.05, 0.9, 0.75, 0.65, 0.7, 0.85, 0.95, 1.15, 1.9)  # January to December
EASTER = {2024: date(2024, 3, 31), 2025: date(2025, 4, 20), 2026: date(2026, 4, 5), 2027: date(2027, 3, 28)}


@dataclass(frozen=True)
class Seller:
    """How an item sells: units on a mean day, growth a year, how much of the year's shape it has, the share of days on which anybody asks,
    and, counted in days before today, when it was new and when it was sold out."""

    daily: float
    growth: float = 0.0
    season: float = 1.0
    share: float = 1.0
    new: int = DAYS
    out: tuple[int, int] | None = None


SELLERS = {
    "CB-BAR-SS70-80": Seller(9.5, 0.10, 0.6),
    "CB-BAR-MC45-80": Seller(6.5, 0.0, 0.6),
    "CB-BAR-EC85-80": Seller(3.2, 0.05, 0.4),
    "CB-BAR-OP65-80": Seller(2.6, 0.0, 0.8),
    "CB-BAR-HM42-80": Seller(3.5, 0.15, 0.6),
    "CB-BAR-WR-80": Seller(1.6, -0.2, 0.3),
    "CB-TRF-HP-12": Seller(7.5, 0.2, 1.0, out=(96, 84)),
    "CB-TRF-SC-12": Seller(5.0, 0.1, 1.0),
    "CB-TRF-CH-12": Seller(4.0, 0.0, 1.2, share=0.25),
    "CB-TIN-DC72-250": Seller(3.4, 0.0, 1.3),
    "CB-TIN-CP-200": Seller(2.4, 0.0, 0.3, share=0.3),
    "CB-BOX-HS-16": Seller(6.0, 0.0, 1.5, share=0.3, new=400),
}
BOX = {"CB-BAR-SS70-80": ("CB-BAR-SS70-80-6", 6)}  # some of it is sold by the box


def mean(seller: Seller, on: date, today: date) -> float:
    """Units expected of an item on a day."""
    age = (today - on).days
    if age > seller.new or (seller.out and seller.out[1] <= age <= seller.out[0]):
        return 0.0
    year = 1 + (YEAR[on.month - 1] - 1) * seller.season
    easter = EASTER.get(on.year)
    lift = 1 + seller.season if easter and 0 <= (easter - on).days <= 9 else 1.0
    return seller.daily * WEEK[on.weekday()] * year * lift * (1 + seller.growth) ** (-age / 365)


def series(sku: str, today: date, days: int = DAYS) -> list[int]:
    """Units sold of an item on each day up to yesterday."""
    random, seller = Random(f"{SEED}{sku}"), SELLERS[sku]
    found = []
    for age in range(days, 0, -1):
        units = mean(seller, today - timedelta(days=age), today)
        units *= random.gammavariate(6, 1 / 6)  # some days are luckier than others
        asked = random.random() < seller.share
        found.append(_poisson(random, units) if asked else 0)
    return found


def _poisson(random: Random, expected: float) -> int:
    """Source: Knuth, "The Art of Computer Programming", volume 2, 3.4.1."""
    limit, product, count = math.exp(-expected), random.random(), 0
    while product > limit:
        product *= random.random()
        count += 1
    return count


def orders(today: date, time_zone: str = "Europe/London", days: int = DAYS) -> Iterator[dict[str, Any]]:
    """Past orders as devshop takes them, oldest first: some a day, with what was sold that day shared out among them."""
    random, here = Random(SEED), ZoneInfo(time_zone)
    sold = {sku: series(sku, today, days) for sku in SELLERS}
    for number in range(days):
        on = today - timedelta(days=days - number)
        baskets: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for sku, units in sold.items():
            left, (box, size) = units[number], BOX.get(sku, ("", 0))
            while left:
                if size and left >= size and random.random() < 0.15:
                    baskets[random.randrange(8)][box] += 1
                    left -= size
                    continue
                taken = min(left, random.choice((1, 1, 1, 2, 2, 3)))
                baskets[random.randrange(8)][sku] += taken
                left -= taken
        for place in sorted(baskets):
            at = datetime.combine(on, time(8 + place + random.randrange(3), random.randrange(60)), here)
            lines = [{"sku": sku, "quantity": units} for sku, units in baskets[place].items()]
            is_trade = random.random() < 0.01
            yield {"at": at.isoformat(), "lines": lines, "tags": ["Wholesale"] if is_trade else []}
