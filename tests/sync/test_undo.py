"""A push that is taken back: the opposite change, never an old number, and nothing rises again by itself."""

from __future__ import annotations

import pytest

from devshop.faults import CallFault
from occ_app import clock
from occ_app.errors import RuleError
from occ_app.extensions import db
from occ_app.stock import lots
from occ_app.sync import approvals, undo
from occ_app.sync.models import PushLine, PushUndo, SyncRun
from tests.support.bench import DOMAIN, Bench
from tests.sync.test_push import before_each_write


@pytest.fixture
def pushed(bench: Bench) -> Bench:
    """A had 10 on sale, and a lot of 5 more was pushed."""
    bench.product("A", 0)
    bench.install()
    bench.item("A")
    bench.lot("A", 10)
    bench.map("A", "hub")
    bench.settle()
    bench.lot("A", 5, number="MISTAKE")
    bench.settle()
    assert bench.available("A") == 15
    return bench


def last_line(bench: Bench) -> int:
    """The id of the newest push line."""
    with bench.scope():
        return db.session.scalars(db.select(db.func.max(PushLine.id))).one()


def take_back(bench: Bench, line_id: int | None = None) -> None:
    """A person takes the last push back."""
    line_id = line_id or last_line(bench)
    with bench.scope():
        undo.ask([line_id], actor="maya", at=clock.now())
        db.session.commit()


def test_a_push_that_is_taken_back_falls_and_stays_down(pushed: Bench) -> None:
    take_back(pushed)
    pushed.settle()
    pushed.open("/home/sync", method="POST")
    pushed.settle()

    assert pushed.available("A") == 10
    assert (pushed.show("A")["target"], pushed.show("A")["expected"]) == (15, 10)
    assert pushed.show("A")["state"] == "awaiting_approval"


def test_what_was_sold_since_stays_sold(pushed: Bench) -> None:
    pushed.sell_in("A", 12)
    take_back(pushed)
    pushed.settle()

    assert pushed.available("A") == 0
    assert (pushed.show("A")["target"], pushed.show("A")["expected"]) == (3, 0)


def test_sales_between_reading_and_writing_stay_sold(pushed: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    take_back(pushed)
    before_each_write(monkeypatch, lambda: pushed.sell_in("A", 4))
    pushed.settle()

    assert pushed.available("A") == 6
    assert pushed.show("A")["drift"] == 0


def test_what_a_hand_edit_added_stays_as_it_is(pushed: Bench) -> None:
    pushed.edit_by_hand("A", 18)
    take_back(pushed)
    pushed.drain()

    assert pushed.available("A") == 13
    assert pushed.show("A")["drift"] == 3


def test_more_units_do_not_bring_it_back_and_an_approval_does(pushed: Bench) -> None:
    take_back(pushed)
    pushed.settle()
    pushed.lot("A", 1)
    pushed.settle()
    assert pushed.available("A") == 10

    with pushed.scope():
        (asked,) = approvals.waiting()
        kind = asked.kind
        approvals.approve([asked.id], actor="maya", at=clock.now())
        db.session.commit()
    pushed.settle()

    assert (kind, pushed.available("A")) == ("undo", 16)
    assert pushed.show("A")["state"] == "linked"


def test_a_fall_goes_out_while_a_rise_is_held(pushed: Bench) -> None:
    take_back(pushed)
    pushed.settle()
    with pushed.scope():
        lot = lots.find("MISTAKE")
        assert lot is not None
        lots.move(lot, "on_hold", 5, actor="test", at=clock.now())
        db.session.commit()
    pushed.settle()
    assert (pushed.available("A"), pushed.show("A")["state"]) == (10, "linked")

    pushed.lot("A", 2)
    pushed.settle()

    assert pushed.available("A") == 12


def test_a_lost_answer_takes_nothing_back_twice(pushed: Bench) -> None:
    take_back(pushed)
    pushed.store.faults.upcoming.append(CallFault("lost_after", "mutation"))
    pushed.settle()
    for _ in range(2):
        pushed.open("/home/sync", method="POST")
        pushed.settle()

    assert pushed.available("A") == 10
    assert pushed.show("A")["expected"] == 10


def test_a_second_press_finds_it_taken_back(pushed: Bench) -> None:
    line_id = last_line(pushed)
    take_back(pushed)
    with pytest.raises(RuleError, match="maya took it back already"):
        take_back(pushed, line_id)

    pushed.settle()
    with pytest.raises(RuleError, match="maya took it back already"):
        take_back(pushed, line_id)


def test_what_lowered_a_number_is_not_taken_back(pushed: Bench) -> None:
    with pushed.scope():
        lot = lots.find("MISTAKE")
        assert lot is not None
        lots.move(lot, "scrap", actor="test", at=clock.now())
        db.session.commit()
    pushed.settle()
    assert pushed.available("A") == 10

    with pytest.raises(RuleError, match="it lowered the number"):
        take_back(pushed)


def test_only_the_last_push_of_a_number_is_taken_back(pushed: Bench) -> None:
    line_id = last_line(pushed)
    pushed.lot("A", 1)
    pushed.settle()

    with pytest.raises(RuleError, match="a later number was sent since"):
        take_back(pushed, line_id)


def test_the_command_takes_a_whole_run_back(pushed: Bench) -> None:
    with pushed.scope():
        run = db.session.scalars(db.select(db.func.max(SyncRun.id)).where(SyncRun.kind == "push")).one()
    done = pushed.app.test_cli_runner().invoke(args=["push", "undo", "--shop", DOMAIN, str(run)])
    pushed.settle()

    assert (done.exit_code, done.output) == (0, "Taking back 1\n")
    assert pushed.available("A") == 10
    with pushed.scope():
        assert db.session.scalars(db.select(PushUndo)).one().settled_at is not None
