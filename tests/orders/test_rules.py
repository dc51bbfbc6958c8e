"""An order line as a state."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import pytest

from occ_app.orders.rules import Booked, LineSnapshot, Removal, steps, wanted

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)


def removal(quantity: int, kind: str) -> Removal:
    """A removal of that kind."""
    return Removal(quantity, kind, AT)


@pytest.mark.parametrize(
    ("line", "goal"),
    [
        (LineSnapshot(3, 3, False), Booked(taken=3)),
        (LineSnapshot(3, 1, False), Booked(taken=3, shipped=2)),
        (LineSnapshot(3, 0, False), Booked(taken=3, shipped=3)),
        (LineSnapshot(3, 2, False, (removal(1, "CANCEL"),)), Booked(taken=3, restocked=1)),
        (LineSnapshot(3, 2, False, (removal(1, "NO_RESTOCK"),)), Booked(taken=3, lost=1)),
        (LineSnapshot(3, 0, False, (removal(1, "RETURN"),)), Booked(taken=3, shipped=3, returned=1)),
        (LineSnapshot(3, 0, True, (removal(3, "CANCEL"),)), Booked(taken=3, restocked=3)),
        (LineSnapshot(3, 3, True), Booked(taken=3, lost=3)),
    ],
)
def test_what_a_state_means(line: LineSnapshot, goal: Booked) -> None:
    assert wanted(line, Booked()) == goal


def test_what_was_shipped_stays_shipped_when_refunded_without_restock() -> None:
    line = LineSnapshot(3, 0, False, (removal(1, "NO_RESTOCK"),))

    assert wanted(line, Booked(taken=3, shipped=3)) == Booked(taken=3, shipped=3)


def test_a_cancelled_fulfilment_commits_the_units_again() -> None:
    found = steps(Booked(taken=3, shipped=3), LineSnapshot(3, 3, False), placed_at=AT, changed_at=AT, is_first=False)

    assert [(step.flow, step.change) for step in found] == [("shipped", -3)]


def test_each_restock_has_the_time_of_its_own_refund() -> None:
    later = AT.replace(hour=15)
    line = LineSnapshot(5, 2, False, (Removal(1, "CANCEL", AT), Removal(2, "CANCEL", later)))
    found = steps(Booked(taken=5, restocked=1), line, placed_at=AT, changed_at=later, is_first=False)

    assert [(step.flow, step.change, step.at) for step in found] == [("restocked", 2, later)]


SNAPSHOTS = [
    LineSnapshot(3, 3, False),
    LineSnapshot(4, 4, False),
    LineSnapshot(4, 3, False, (removal(1, "CANCEL"),)),
    LineSnapshot(4, 1, False, (removal(1, "CANCEL"),)),
    LineSnapshot(4, 1, False, (removal(1, "CANCEL"), removal(1, "RETURN"))),
]


def test_whatever_was_seen_on_the_way_the_last_state_is_booked() -> None:
    for size in range(len(SNAPSHOTS)):
        for seen in itertools.permutations(SNAPSHOTS[:-1], size):
            booked = Booked()
            for snapshot in (*seen, SNAPSHOTS[-1]):
                booked = wanted(snapshot, booked)

            assert booked == Booked(taken=4, restocked=1, shipped=2, returned=1)
