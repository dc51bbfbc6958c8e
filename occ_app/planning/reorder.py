"""When to make or order more, and how much, in plain values.

Sources: Chopra and Meindl, "Supply Chain Management" (chapter 12, safety inventory); Snyder and Shen, "Fundamentals of Supply Chain Theory"
(2nd ed., section 4.3). Tests hold printed
examples of both, with where they were found.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import NormalDist

from occ_app.errors import RuleError

LEAST_SERVICE, MOST_SERVICE = 50.0, 99.99  # per cent
MOST_DAYS = 730
FOREVER = 3650  # days of cover beyond which nobody looks


def factor(service_level: float) -> float:
    """How many standard deviations cover a share of `service_level` per cent of all cases (z). Raises RuleError."""
    if not LEAST_SERVICE <= service_level <= MOST_SERVICE:
        raise RuleError(
            f"Give a service level from {LEAST_SERVICE:g} to {MOST_SERVICE:g} per cent.", field="service_level"
        )
    return NormalDist().inv_cdf(service_level / 100)


def spread_over(days: float, spread: float, daily: float = 0.0, days_spread: float = 0.0) -> float:
    """The standard deviation of demand over `days`, which themselves vary by `days_spread`: sqrt(L s² + D² sL²)."""
    return math.sqrt(days * spread**2 + daily**2 * days_spread**2)


def safety_stock(
    service_level: float, days: float, spread: float, daily: float = 0.0, days_spread: float = 0.0
) -> float:
    """The cushion so that `service_level` per cent of periods of `days` end without a stock-out: z times the spread over them."""
    return factor(service_level) * spread_over(days, spread, daily, days_spread)


def reorder_point(
    service_level: float,
    daily: float,
    spread: float,
    lead_days: float,
    review_days: float = 0.0,
    days_spread: float = 0.0,
) -> float:
    """The stock at which to act: demand over lead time and review period, and the safety stock for that time.

    Without a review period it is that of a stock watched all the time; with one, the level to order up to at each review.
    """
    days = lead_days + review_days
    return daily * days + safety_stock(service_level, days, spread, daily, days_spread)


@dataclass(frozen=True)
class Lots:
    """How runs come: in whole makings of `yield_quantity` units, at least `least` and at most `most` units (None: no limit)."""

    yield_quantity: int = 1
    least: int | None = None
    most: int | None = None


def run_size(wanted: float, lots: Lots) -> int:
    """So many units in whole makings: rounded up, within the limits; at least one making, even where `most` is less than that."""
    makings = math.ceil(max(wanted, lots.least or 0) / lots.yield_quantity - 1e-9)
    if lots.most is not None:
        makings = min(makings, lots.most // lots.yield_quantity)
    return max(1, makings) * lots.yield_quantity


def cover(stock: float, days: Sequence[float]) -> int:
    """How many whole days `stock` lasts at the expected demand per day; FOREVER where it outlasts the days given."""
    for number, units in enumerate(days):
        stock -= units
        if stock < 0:
            return number
    return FOREVER


@dataclass(frozen=True)
class Point:
    """One day's end: stock as most likely, and between low and high in four of five cases; what comes in that day; what expires."""

    on: date
    stock: float
    low: float
    high: float
    arrives: int = 0
    expires: float = 0.0


FOUR_OF_FIVE = NormalDist().inv_cdf(0.9)


@dataclass
class _Lot:
    units: float
    expires_on: date | None


def projected(
    today: date,
    lots: Sequence[tuple[int, date | None]],
    arrivals: Mapping[date, int],
    demand: Sequence[float],
    spread: float,
    shelf_life: int | None = None,
) -> list[Point]:
    """The stock at the end of each of the coming days, from today: first expiry is sold first, what expires is gone.

    `lots`: units and the first day on which they may not be sold; units below zero are owed and filled first. `arrivals`: units that come
    on a day, good for `shelf_life` days. What nobody could buy is lost, not waited for.
    """
    here = [_Lot(float(units), expires) for units, expires in lots if units > 0]
    owed, missing = float(-sum(min(0, units) for units, _ in lots)), 0.0
    points = []
    for number, units in enumerate(demand):
        on = today + timedelta(days=number)
        expired = sum(lot.units for lot in here if lot.expires_on and lot.expires_on <= on)
        here = [lot for lot in here if not lot.expires_on or lot.expires_on > on]
        came = arrivals.get(on, 0)
        if came:
            here.append(_Lot(float(came), on + timedelta(days=shelf_life) if shelf_life else None))
            missing = 0.0
        owed = _sell(here, owed)
        missing += _sell(here, units)
        stock = sum(lot.units for lot in here)
        band = FOUR_OF_FIVE * spread * math.sqrt(number + 1)
        points.append(Point(on, stock, max(0.0, stock - band), max(0.0, stock - missing + band), came, expired))
    return points


def _sell(here: list[_Lot], units: float) -> float:
    """Units left the lots, first expiry first. Returns what was missing."""
    here.sort(key=lambda lot: lot.expires_on or date.max)
    while units > 0 and here:
        given = min(units, here[0].units)
        here[0].units -= given
        units -= given
        if not here[0].units:
            here.pop(0)
    return units


def runs_out(points: Sequence[Point]) -> date | None:
    """The first day that most likely ends with nothing left."""
    return next((point.on for point in points if point.stock < 0.5), None)
