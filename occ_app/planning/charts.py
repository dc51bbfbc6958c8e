"""Charts as numbers: places in per cent and pixels that the templates put into SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from occ_app.planning.reorder import Point

LEFT, TOP = 6.0, 14.0  # per cent that the scale takes, pixels above
WIDE = 100.0 - LEFT
NEAR, LINE = 25.0, 13.0  # per cent and pixels within which words would lie on each other


@dataclass(frozen=True)
class Scale:
    """Round numbers for at most four grid lines. `top`: the highest of them."""

    step: float
    top: float
    height: float

    def y(self, value: float) -> float:
        """How far below the top of the drawing a value stands, pixels."""
        return round(TOP + self.height * (1 - min(value, self.top) / self.top), 2)

    @property
    def lines(self) -> list[tuple[float, str]]:
        """(pixels, number) of each grid line but that of 0."""
        count = round(self.top / self.step)
        return [(self.y(self.step * n), f"{self.step * n:,.0f}") for n in range(1, count + 1)]


def scale(most: float, height: float) -> Scale:
    """A scale from 0 to a round number above `most`."""
    least = max(most, 4) / 4
    power = 10 ** math.floor(math.log10(least))
    step = next(power * n for n in (1, 2, 2.5, 5, 10) if power * n >= least - 1e-9)
    step = max(1, step)
    return Scale(step, step * max(1, math.ceil(most / step - 1e-9)), height)


@dataclass(frozen=True)
class Bar:
    """A week: `kind` is sold, out (no stock on every day) or open (expected)."""

    x: float
    width: float
    y: float
    height: float
    kind: str


@dataclass(frozen=True)
class WeekRow:
    """One week in the table under the bars. `out`: days without stock."""

    since: date
    sold: float | None
    expected: float | None
    low: float | None
    high: float | None
    by_events: float
    out: int


@dataclass(frozen=True)
class Bars:
    """Weeks sold and expected. `band`: points of the range of the expected ones. `days`: (per cent, day, anchor) named below."""

    height: float
    scale: Scale
    bars: list[Bar]
    band: str
    base: float
    days: list[tuple[float, date, str]]


def weeks(rows: Sequence[WeekRow], height: float = 118.0) -> Bars:
    """The weeks as bars."""
    most = max([row.high or row.expected or row.sold or 0 for row in rows], default=0)
    drawn = scale(most, height - TOP)
    slot = WIDE / max(1, len(rows))
    bars, upper, lower = [], [], []
    for number, row in enumerate(rows):
        is_out = row.sold is not None and row.out >= 7 and not row.sold
        value = drawn.top if is_out else row.sold if row.sold is not None else row.expected or 0
        kind = "out" if is_out else "sold" if row.sold is not None else "open"
        x, y = LEFT + slot * (number + 0.14), drawn.y(value)
        bars.append(Bar(round(x, 2), round(slot * 0.72, 2), y, round(drawn.y(0) - y, 2), kind))
        if row.high is not None:
            middle = round((slot * (number + 0.5)) / WIDE * 100, 2)
            upper.append(f"{middle},{drawn.y(row.high) - TOP:.1f}")
            lower.append(f"{middle},{drawn.y(row.low or 0) - TOP:.1f}")
    named = [(LEFT, rows[0].since, "start"), (100.0, rows[-1].since, "end")] if rows else []
    if len(rows) > 8:
        half = len(rows) // 2
        named.insert(1, (round(LEFT + slot * (half + 0.5), 2), rows[half].since, "middle"))
    return Bars(height, drawn, bars, " ".join([*upper, *lower[::-1]]), drawn.y(0), named)


@dataclass(frozen=True)
class StockChart:
    """Projected stock. `inner`: pixels of the drawing below its top. `marks`: (x per cent, y pixels, words, anchor, y of the
    words)."""

    height: float
    inner: float
    scale: Scale
    line: str
    band: str
    limit: float | None
    marks: list[tuple[float, float, str, str, float]]
    days: list[tuple[float, date, str]]


def stock(points: Sequence[Point], point: int | None, names: dict[date, str], inner: float = 194.0) -> StockChart:
    """The coming days as a line with its band, the reorder point, and what arrives."""
    most = max([each.high for each in points] + [point or 0], default=0)
    drawn = scale(most, inner)
    last = max(1, len(points) - 1)
    at = [round(number / last * 100, 2) for number in range(len(points))]
    line = " ".join(f"{x},{drawn.y(each.stock) - TOP:.1f}" for x, each in zip(at, points, strict=True))
    upper = [f"{x},{drawn.y(each.high) - TOP:.1f}" for x, each in zip(at, points, strict=True)]
    lower = [f"{x},{drawn.y(each.low) - TOP:.1f}" for x, each in zip(at, points, strict=True)]
    marks = _marks([(at[n], drawn.y(each.stock), names[each.on]) for n, each in enumerate(points) if each.on in names])
    quarter = max(1, last // 3)
    days = [
        (round(LEFT + at[n] * WIDE / 100, 2), points[n].on, "start" if n == 0 else "end" if n == last else "middle")
        for n in dict.fromkeys([0, quarter, 2 * quarter, last])
        if n < len(points)
    ]
    limit = drawn.y(point) - TOP if point is not None else None
    return StockChart(inner + TOP + 22, inner, drawn, line, " ".join([*upper, *lower[::-1]]), limit, marks, days)


def _marks(given: Sequence[tuple[float, float, str]]) -> list[tuple[float, float, str, str, float]]:
    """Each with its words above it, and above those of a neighbour that they would cover."""
    found: list[tuple[float, float, str, str, float]] = []
    for x, y, said in given:
        label = max(10.0, y - 9)
        if found and x - (found[-1][0] - LEFT) < NEAR and abs(label - found[-1][4]) < LINE:
            label = found[-1][4] - LINE if found[-1][4] > 2 * LINE else found[-1][4] + LINE
        found.append((round(LEFT + x * WIDE / 100, 2), y, said, "start" if x < 40 else "end", round(label, 2)))
    return found
