"""The Exceptions page: long lists in pages, and settled ones in words."""

from __future__ import annotations

from datetime import timedelta

import pytest

from occ_app import clock
from occ_app.extensions import db
from occ_app.shops import settings
from occ_app.sync import desk
from occ_app.sync.models import SyncException
from occ_app.sync.targets import shop
from tests.support.bench import Bench


@pytest.fixture
def drifted(bench: Bench) -> Bench:
    """10 units of SSD on sale, and 4 typed into Shopify by hand."""
    bench.product("SSD", 0)
    bench.install()
    bench.item("SSD")
    bench.lot("SSD", 10)
    mapping_id = bench.map("SSD", "hub")
    bench.settle()
    with bench.scope():
        settings.put(shop(), "drift_grace_seconds", "0")
        db.session.commit()
    bench.edit_by_hand("SSD", 4)
    for _ in range(3):
        bench.open("/home/sync", method="POST")
        bench.settle()
    assert bench.exceptions() == ["drift"]
    assert mapping_id
    return bench


def past(bench: Bench) -> str:
    """The Settled tab."""
    return str(bench.open("/exceptions?view=past").text)


@pytest.mark.parametrize(
    ("remedy", "sentence"),
    [("shopify", "Booked \N{MINUS SIGN}6 here"), ("hub", "Shopify was set to our number")],
)
def test_a_settled_one_says_what_was_done_and_by_whom_and_asks_for_nothing(
    drifted: Bench, remedy: str, sentence: str
) -> None:
    with drifted.scope():
        number = db.session.scalars(db.select(SyncException.id).where(SyncException.settled_at.is_(None))).one()
    assert drifted.open(f"/exceptions/{number}/{remedy}", method="POST").status_code == 303
    text = past(drifted)

    assert f"<p>{sentence} <span" in text
    assert "of your store" in text
    assert "Shopify had 4, we expected 10" in text
    assert not [word for word in ("Until you answer", "could oversell", "not for sale", f": {remedy}<") if word in text]


def test_120_open_ones_are_paged_with_all_of_them_counted(bench: Bench) -> None:
    bench.install()
    at = clock.now()
    with bench.scope():
        for n in range(120):
            facts = {"topic": f"topic-{n:03}", "cause": "It cannot be read."}
            desk.raise_(desk.DELIVERY, f"delivery:{n}", facts, at + timedelta(seconds=n))
        db.session.commit()
    first, third = bench.open("/exceptions").text, bench.open("/exceptions?page=3").text

    assert first.count('class="case"') == 50
    assert "120 open" in first
    assert "1–50 of 120" in first
    assert third.count('class="case"') == 20
    assert "topic-119" in third
    assert 'hx-get="/exceptions?page=3"' in third
    assert "101–120 of 120" in bench.open("/exceptions?page=99").text
