"""What is chosen per item is better than the naive forecast, and than a plain average of 30 days, on weeks that it has not seen."""

from __future__ import annotations

from statistics import median

from bench import planning
from occ_app.planning.forecasting import NAIVE, THIRTY_DAYS


def test_the_chosen_method_beats_naive_and_30_days_in_the_median() -> None:
    told = [planning.errors(days) for days in planning.demo()]
    of = {name: median(each[name][0] for each in told) for name in ("chosen per item", NAIVE, THIRTY_DAYS)}

    assert of["chosen per item"] < 0.75 * of[NAIVE]
    assert of["chosen per item"] < of[THIRTY_DAYS]
