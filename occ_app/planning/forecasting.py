"""Forecasts in plain values: simple methods for short and lumpy series, and which of them was right most often.

A series is a list of days, oldest first: units, or None where there was nothing to sell (unknown, not zero). Every method runs over the series
once and says at each of the `stops` (so many days seen) what it would have forecast there: a *week*, seven daily numbers from the day after.
So a backtest costs no more than a forecast.

Sources: moving averages and exponential smoothing, Hyndman and Athanasopoulos, "Forecasting: Principles and Practice" (3rd ed., 5 and 8);
Croston (1972), Operational Research Quarterly 23; SBA, Syntetos and Boylan (2005), International Journal of Forecasting 21; TSB, Teunter,
Syntetos and Babai (2011), European Journal of Operational Research 214; MASE, Hyndman and Koehler (2006), International Journal of
Forecasting 22.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise

Day = float | None
Week = tuple[float, ...]  # seven days, from the day after the stop
Run = Callable[[Sequence[Day], Sequence[int]], list[Week]]

WEEK = 7
MOST_DAYS = 730
FEWEST_DAYS = 14  # below that many days with stock there is no choice to make: their average, over 14 days at least
FIRST_STOP = 28  # days seen before a method is first asked
STOPS = 26  # at most so many weeks are forecast again
FEWEST_STOPS = 4
PROFILE = 364  # days that say how a week is shared out
FEWEST_WEEKDAYS = 4  # of each


# Methods --------------------------------------------------------------------------------------------------------------------------


def naive(values: Sequence[Day], stops: Sequence[int]) -> list[Week]:
    """Tomorrow is as the last known day."""
    found, last, at = [], 0.0, 0
    for stop in stops:
        for value in values[at:stop]:
            last = last if value is None else value
        at = stop
        found.append((last,) * WEEK)
    return found


def moving_average(window: int) -> Run:
    """The mean of the last `window` days, as far as they are known."""

    def run(values: Sequence[Day], stops: Sequence[int]) -> list[Week]:
        sums, known = _sums_of(tuple(values))
        return [(_mean(sums, known, max(0, stop - window), stop),) * WEEK for stop in stops]

    return run


def _mean(sums: Sequence[float], known: Sequence[int], start: int, stop: int) -> float:
    days = known[stop] - known[start]
    if days:
        return (sums[stop] - sums[start]) / days
    return sums[stop] / known[stop] if known[stop] else 0.0


def smoothing(alpha: float) -> Run:
    """Simple exponential smoothing, begun at the first known day."""

    def run(values: Sequence[Day], stops: Sequence[int]) -> list[Week]:
        found: list[Week] = []
        level: float | None = None
        at = 0
        for stop in stops:
            for value in values[at:stop]:
                if value is not None:
                    level = value if level is None else level + alpha * (value - level)
            at = stop
            found.append((level or 0.0,) * WEEK)
        return found

    return run


def croston(factor: float = 1.0, alpha: float = 0.1) -> Run:
    """Croston: size and distance of the demands are smoothed apart. `factor` 0.95 takes off its bias (SBA, alpha 0.1)."""

    def run(values: Sequence[Day], stops: Sequence[int]) -> list[Week]:
        found: list[Week] = []
        size = gap = 0.0
        since, at = 0, 0
        for stop in stops:
            for value in values[at:stop]:
                if value is None:
                    continue
                since += 1
                if value > 0:
                    size, gap = (
                        (size + alpha * (value - size), gap + alpha * (since - gap)) if gap else (value, float(since))
                    )
                    since = 0
            at = stop
            found.append((factor * size / gap if gap else 0.0,) * WEEK)
        return found

    return run


def tsb(alpha_size: float = 0.2, alpha_chance: float = 0.1) -> Run:
    """Teunter, Syntetos, Babai: the chance of a demand is smoothed on each day, so what has stopped selling falls."""

    def run(values: Sequence[Day], stops: Sequence[int]) -> list[Week]:
        found: list[Week] = []
        size = chance = None
        at = 0
        for stop in stops:
            for value in values[at:stop]:
                if value is None:
                    continue
                seen = 1.0 if value > 0 else 0.0
                chance = seen if chance is None else chance + alpha_chance * (seen - chance)
                if value > 0:
                    size = value if size is None else size + alpha_size * (value - size)
            at = stop
            found.append(((chance or 0.0) * (size or 0.0),) * WEEK)
        return found

    return run


def weekday_average(weeks: int) -> Run:
    """Each weekday is as its last `weeks` were on average."""

    def run(values: Sequence[Day], stops: Sequence[int]) -> list[Week]:
        by_day = [_sums_of(tuple(values), place) for place in range(WEEK)]
        found = []
        for stop in stops:
            places = [(stop + ahead) % WEEK for ahead in range(WEEK)]
            counts = [_weeks(place, stop) for place in places]
            means = [_mean(*by_day[p], max(0, count - weeks), count) for p, count in zip(places, counts, strict=True)]
            found.append(tuple(means))
        return found

    return run


def weekday_smoothing(alpha: float) -> Run:
    """Exponential smoothing of each weekday by itself."""

    def run(values: Sequence[Day], stops: Sequence[int]) -> list[Week]:
        found: list[Week] = []
        levels: list[float | None] = [None] * WEEK
        at = 0
        for stop in stops:
            for number in range(at, stop):
                value, place = values[number], number % WEEK
                if value is not None:
                    level = levels[place]
                    levels[place] = value if level is None else level + alpha * (value - level)
            at = stop
            found.append(tuple(levels[(stop + ahead) % WEEK] or 0.0 for ahead in range(WEEK)))
        return found

    return run


def shared_by_weekday(level: Run, profile: int = 182) -> Run:
    """The level of another method, shared out as the weekdays of the last `profile` days were."""

    def run(values: Sequence[Day], stops: Sequence[int]) -> list[Week]:
        by_day = [_sums_of(tuple(values), place) for place in range(WEEK)]
        found = []
        for stop, week in zip(stops, level(values, stops), strict=True):
            start = max(0, stop - profile)
            means = []
            for ahead in range(WEEK):
                place = (stop + ahead) % WEEK
                means.append(_mean(*by_day[place], _weeks(place, start), _weeks(place, stop)))
            total = sum(means)
            found.append(tuple(sum(week) * each / total for each in means) if total else week)
        return found

    return run


@lru_cache(maxsize=2 * (WEEK + 1))
def _sums_of(values: tuple[Day, ...], place: int | None = None) -> tuple[list[float], list[int]]:
    """Running sums and known days, of all days or of one weekday (by its count: `_weeks`). Kept while the methods run over one series."""
    mine = values if place is None else values[place::WEEK]
    return [0.0, *accumulate([v or 0.0 for v in mine])], [0, *accumulate([v is not None for v in mine])]


def _weeks(place: int, stop: int) -> int:
    """How many of the first `stop` days are that weekday."""
    return (stop - place + WEEK - 1) // WEEK


def mixed(values: Sequence[Day], stops: Sequence[int]) -> list[Week]:
    """The mean of four methods, shared out by weekday as far as weekdays differ by more than chance: seldom the best, and never far off.

    Source: Bates and Granger (1969), "The combination of forecasts", Operational Research Quarterly 20.
    """
    return _by_weekday(values, stops, _mix([METHODS[name][1](values, stops) for name in FOUR]))


def _by_weekday(values: Sequence[Day], stops: Sequence[int], weeks: Sequence[Week]) -> list[Week]:
    values = tuple(values)
    sums = [_sums_of(values, place) for place in range(WEEK)]
    squares = [[0.0, *accumulate([v * v if v else 0.0 for v in values[place::WEEK]])] for place in range(WEEK)]
    found = []
    for stop, week in zip(stops, weeks, strict=True):
        shape = _shape(sums, squares, max(0, stop - PROFILE), stop)
        found.append(tuple(units * shape[(stop + ahead) % WEEK] for ahead, units in enumerate(week)))
    return found


def _shape(
    sums: Sequence[tuple[list[float], list[int]]], squares: Sequence[Sequence[float]], start: int, stop: int
) -> list[float]:
    """What each weekday sells of a mean day, drawn towards 1 by the share of the difference that is chance (one-way analysis of variance).

    Source: Efron and Morris (1975), "Data analysis using Stein's estimator", Journal of the American Statistical Association 70.
    """
    first, last = ([_weeks(place, day) for place in range(WEEK)] for day in (start, stop))
    each = range(WEEK)
    days = [sums[n][1][last[n]] - sums[n][1][first[n]] for n in each]
    means = [(sums[n][0][last[n]] - sums[n][0][first[n]]) / days[n] if days[n] else 0.0 for n in each]
    level = sum(means) / WEEK
    between = sum((mean - level) ** 2 for mean in means) / (WEEK - 1)
    if min(days) < FEWEST_WEEKDAYS or not level or not between:
        return [1.0] * WEEK
    within = sum(max(0.0, squares[n][last[n]] - squares[n][first[n]] - days[n] * means[n] ** 2) for n in each)
    chance = within / (sum(days) - WEEK) / (sum(days) / WEEK) / between
    return [1 + max(0.0, 1 - chance) * (mean / level - 1) for mean in means]


def _mix(each: Sequence[Sequence[Week]]) -> list[Week]:
    return [tuple(sum(days) / len(days) for days in zip(*weeks, strict=True)) for weeks in zip(*each, strict=True)]


NAIVE, THIRTY_DAYS, MIXED = "naive", "average_30", "mean_of_four"
MARGIN = 0.08  # so much better than the mean of four another method has to be: less is luck
METHODS: dict[str, tuple[str, Run]] = {
    NAIVE: ("the last day again", naive),
    "average_7": ("average of the last 7 days", moving_average(7)),
    "average_28": ("average of the last 4 weeks", moving_average(28)),
    THIRTY_DAYS: ("average of the last 30 days", moving_average(30)),
    "average_91": ("average of the last 13 weeks", moving_average(91)),
    "smoothing_05": ("slow exponential smoothing", smoothing(0.05)),
    "smoothing_10": ("exponential smoothing", smoothing(0.1)),
    "smoothing_30": ("quick exponential smoothing", smoothing(0.3)),
    "croston": ("Croston, for now-and-then sales", croston()),
    "sba": ("Croston without its bias (SBA), for now-and-then sales", croston(0.95)),
    "tsb": ("TSB, for now-and-then sales that may stop", tsb()),
    "weekday_4": ("each weekday's average of 4 weeks", weekday_average(4)),
    "weekday_8": ("each weekday's average of 8 weeks", weekday_average(8)),
    "weekday_smoothing": ("exponential smoothing of each weekday", weekday_smoothing(0.2)),
    "week_28": ("average of 4 weeks, shared out by weekday", shared_by_weekday(moving_average(28))),
    MIXED: (
        "the mean of four methods (4 weeks, 13 weeks, slow smoothing, SBA), shared out by weekday",
        mixed,
    ),
    "week_smoothing": ("slow exponential smoothing, shared out by weekday", shared_by_weekday(smoothing(0.05))),
    "week_91": ("average of 13 weeks, shared out by weekday", shared_by_weekday(moving_average(91))),
}
FOUR = ("average_28", "average_91", "smoothing_05", "sba")
BENCHMARKS = (NAIVE, THIRTY_DAYS)  # measured for comparison, never chosen
BY_HAND, SIMILAR, SHORT = "by_hand", "similar", "short"


# Which one ------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Score:
    """How a method did: its error of single days and of whole weeks, each as a share of the naive forecast's in the series (MASE), and the
    root mean square of what it was off by over a week."""

    day: float
    week: float
    off_by_week: float
    off_by_day: float

    @property
    def both(self) -> float:
        """What decides: single days alone would reward forecasting nothing for what sells now and then, weeks alone cannot see a weekday."""
        return (self.day + self.week) / 2


@dataclass(frozen=True)
class Forecast:
    """`week`: expected units on the seven days from the day after the series. `spread`: standard deviation of a day's error, from whole weeks.

    `error` and `naive_error`: mean absolute error of a day in the backtest, units; None where there was none. `days`: days with stock.
    """

    method: str
    week: Week
    spread: float
    days: int
    mase: float | None = None
    error: float | None = None
    naive_error: float | None = None

    @property
    def daily(self) -> float:
        """Expected units a day, the mean of the week."""
        return sum(self.week) / WEEK


def forecast(values: Sequence[Day], candidates: Sequence[str] | None = None) -> Forecast | None:
    """The forecast by the method that was closest in the backtest; None where no day is known."""
    values = [None if value is None else max(0.0, value) for value in values[-MOST_DAYS:]]
    known = [value for value in values if value is not None]
    if not known:
        return None
    if len(known) < FEWEST_DAYS or len(values) < FIRST_STOP + WEEK * FEWEST_STOPS or not any(known):
        mean = sum(known) / max(FEWEST_DAYS, len(known))
        return Forecast(SHORT, (mean,) * WEEK, _spread_of(known, mean), len(known))
    scores = backtest(values)
    chosen = choose(scores, candidates or [name for name in METHODS if name not in BENCHMARKS])
    week = METHODS[chosen][1](values, [len(values)])[0]
    best = scores[chosen]
    spread = max(best.off_by_week / math.sqrt(WEEK), 0.5 * math.sqrt(sum(week) / WEEK))
    return Forecast(
        chosen,
        week,
        spread,
        len(known),
        mase=best.day,
        error=best.off_by_day,
        naive_error=scores[NAIVE].off_by_day,
    )


def choose(scores: Mapping[str, Score], candidates: Sequence[str]) -> str:
    """The candidate that was closest; the mean of four, where it is one of them and none is clearly better."""
    best = min(candidates, key=lambda name: scores[name].both)
    is_clear = MIXED not in candidates or scores[best].both < scores[MIXED].both * (1 - MARGIN)
    return best if is_clear else MIXED


def backtest(values: Sequence[Day], most: int = STOPS) -> dict[str, Score]:
    """Each method's score over the last weeks of the series, each forecast from what was known before it."""
    last = len(values) - WEEK
    stops = list(range(last, FIRST_STOP - 1, -WEEK))[:most][::-1]
    scale_day, scale_week = _naive_scale(values)
    actual = [values[stop : stop + WEEK] for stop in stops]
    values = tuple(values)
    weeks = {name: run(values, stops) for name, (_, run) in METHODS.items() if name != MIXED}
    weeks[MIXED] = _by_weekday(values, stops, _mix([weeks[name] for name in FOUR]))
    return {name: _score(weeks[name], actual, scale_day, scale_week) for name in METHODS}


def _naive_scale(values: Sequence[Day]) -> tuple[float, float]:
    """The naive forecast's mean absolute error within the series: of a day by the day before, of a week by the week before."""
    known = [value for value in values if value is not None]
    weeks = [sum(known[start : start + WEEK]) for start in range(0, len(known) - WEEK + 1, WEEK)]
    return _step(known), _step(weeks)


def _step(values: Sequence[float]) -> float:
    steps = [abs(after - before) for before, after in pairwise(values)]
    return (sum(steps) / len(steps) if steps else 0.0) or 1.0


def _score(weeks: Sequence[Week], actual: Sequence[Sequence[Day]], scale_day: float, scale_week: float) -> Score:
    off_day = off_week = squares = 0.0
    days = counted = 0
    for week, seen in zip(weeks, actual, strict=True):
        off = [guess - value for guess, value in zip(week, seen, strict=True) if value is not None]
        if not off:
            continue
        off_day += sum(map(abs, off))
        days += len(off)
        total = sum(off) * WEEK / len(off)
        off_week += abs(total)
        squares += total * total
        counted += 1
    if not counted:
        return Score(math.inf, math.inf, 0.0, 0.0)
    return Score(
        off_day / days / scale_day, off_week / counted / scale_week, math.sqrt(squares / counted), off_day / days
    )


def _spread_of(known: Sequence[float], mean: float) -> float:
    """Of too few days to try anything: their own spread, at least that of chance arrivals (Poisson)."""
    around = sum((value - mean) ** 2 for value in known) / len(known)
    return max(math.sqrt(around), math.sqrt(mean))


def ahead(week: Week, uplift: Sequence[float], skip: int = 0) -> list[float]:
    """Expected units on each of the coming days, `week` repeated and multiplied by that day's uplift. `skip`: days since the forecast."""
    return [week[(number + skip) % WEEK] * factor for number, factor in enumerate(uplift)]
