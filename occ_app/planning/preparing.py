"""A series made ready to forecast from, in plain values: events taken out, days without stock unknown, bursts cut down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from occ_app.planning.forecasting import Day

UNUSUAL = 3.0  # times the next largest day


@dataclass(frozen=True)
class Prepared:
    """A series ready to forecast from, and what was changed: (day number, units sold, units counted) of unusual days."""

    values: list[Day]
    unusual: list[tuple[int, float, float]]


def prepare(sold: Sequence[float], unknown: Sequence[bool], uplift: Sequence[float]) -> Prepared:
    """The series with events taken out, unknown days marked, and a burst that nothing else comes near cut down.

    A day without stock counts only if it sold at least the mean of days with stock: then demand was at least that.
    """
    plain = [max(0.0, units) / (factor or 1.0) for units, factor in zip(sold, uplift, strict=True)]
    with_stock = [units for units, out in zip(plain, unknown, strict=True) if not out]
    usual = sum(with_stock) / len(with_stock) if with_stock else 0.0
    values: list[Day] = [
        None if out and units < max(usual, 1e-9) else units for units, out in zip(plain, unknown, strict=True)
    ]
    return _cut_bursts(values)


def _cut_bursts(values: list[Day]) -> Prepared:
    positive = sorted((value for value in values if value), reverse=True)
    most_cut = max(1, len(values) // 100)
    if len(positive) <= most_cut + 3:
        return Prepared(values, [])
    limit = UNUSUAL * positive[most_cut]
    unusual = [(number, value, limit) for number, value in enumerate(values) if value is not None and value > limit]
    return Prepared([value if value is None else min(value, limit) for value in values], unusual)
