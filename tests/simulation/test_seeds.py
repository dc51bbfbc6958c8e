"""The fixed seeds: a shop's life under bad luck ends with every number right, or an exception that says why not."""

from __future__ import annotations

import pytest

from tests.simulation import runner
from tests.simulation.rig import Rig

SEEDS = (*range(34), 52, 140)  # the last ones notice a blind push, and a first link that asks nobody
PER_TEST = 6


@pytest.mark.parametrize("first", range(0, len(SEEDS), PER_TEST))
def test_the_sync_survives(rig: Rig, first: int, capsys: pytest.CaptureFixture[str]) -> None:
    outcomes = []
    for seed in SEEDS[first : first + PER_TEST]:
        given = runner.plan(seed)
        outcome = runner.live(rig, given)
        if outcome.wrong:
            pytest.fail(runner.tell(*runner.shrink(rig, given)), pytrace=False)
        outcomes.append(outcome)
    with capsys.disabled():
        print(f"\n  {runner.costs(outcomes)}")


def test_a_seed_is_lived_the_same_way_twice(rig: Rig) -> None:
    first, second = (runner.live(rig, runner.plan(7)) for _ in range(2))

    assert first.story == second.story
    assert (first.calls, first.points) == (second.calls, second.points)
