"""Two people, or a person and a booking, at the same exception: they wait for each other and never lock each other out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from occ_app.extensions import db
from occ_app.stock.models import Lot
from occ_app.sync.approvals import waiting
from occ_app.sync.models import SyncException
from tests.support.bench import Bench
from tests.support.meeting import Meeting


@pytest.fixture
def guarded(bench: Bench) -> Bench:
    """10 units of SSD on sale, and 100 more of lot BIG that wait for a person."""
    bench.product("SSD", 0)
    bench.install()
    bench.item("SSD")
    bench.lot("SSD", 10)
    bench.map("SSD", "hub")
    bench.settle()
    bench.lot("SSD", 100, number="BIG")
    bench.settle()
    assert bench.exceptions() == ["guard"]
    return bench


def approve(bench: Bench) -> Any:
    """The approvals page."""
    with bench.scope():
        number = waiting()[0].id
    return bench.open("/approvals/approve", method="POST", data={"id": number}).status_code


def scrap(bench: Bench) -> Any:
    """A booking that makes the guard's number another."""
    with bench.scope():
        number = db.session.scalars(db.select(Lot.id).where(Lot.lot_number == "BIG")).one()
    bench.move(number, "scrap")
    return 303


@pytest.mark.parametrize("other", [approve, scrap])
def test_the_desk_waits_for_whoever_is_at_the_same_item(guarded: Bench, other: Callable[[Bench], Any]) -> None:
    with guarded.scope():
        number = db.session.scalars(db.select(SyncException.id)).one()
    path = f"/exceptions/{number}/approve"

    met = Meeting(guarded).of(
        lambda: guarded.open(path, method="POST").status_code,
        lambda: other(guarded),
    )

    assert set(met.values()) <= {303, 422}
    assert 303 in met.values()
    assert guarded.settle() == []
    assert guarded.exceptions() == []
