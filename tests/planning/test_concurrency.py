"""Replanning and booking at the same moment, on connections of their own: nobody waits for ever, and an item has one suggestion."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable

from occ_app import clock
from occ_app.extensions import db
from occ_app.planning import replan, suggestions
from occ_app.stock import ledger
from occ_app.stock.ledger import Move
from occ_app.sync import targets
from tests.planning.workshop import Workshop

PATIENCE = 60  # seconds; PostgreSQL ends a deadlock after one


def at_once(workshop: Workshop, *acts: Callable[[], object]) -> list[str]:
    """All of these happen at the same moment, each in a transaction of its own. Returns what went wrong."""
    gate, wrong = threading.Barrier(len(acts)), []

    def run(act: Callable[[], object]) -> None:
        try:
            with workshop.bench.app.app_context(), workshop.bench.scope():
                db.session.execute(db.text("SELECT 1"))  # the connection is open before anybody begins
                gate.wait(PATIENCE)
                act()
                db.session.commit()
        except Exception as error:
            wrong.append(repr(error))

    threads = [threading.Thread(target=contextvars.Context().run, args=(run, act), daemon=True) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    return wrong + ["still waits" for thread in threads if thread.is_alive()]


def test_replans_bookings_and_drafts_at_once_make_one_suggestion_and_no_deadlock(bars: Workshop) -> None:
    with bars.bench.scope():
        item_id, place = bars.kitchen.item("BAR").id, bars.kitchen.place().id
        [lot_id] = db.session.scalars(db.text("SELECT id FROM lot WHERE lot_number = 'B-1'"))
        others = [bars.bench.item(f"I-{number}") for number in range(5)]
    db.session.remove()

    def sell(number: int, units: int) -> None:
        move = Move(item_id, lot_id, place, "released", "shipped", units, "handout", f"at_once:{number}")
        ledger.book([move], actor="test", at=clock.now())
        targets.refresh([item_id])
        replan.note([item_id], clock.now())

    def draft() -> None:
        suggestions.draft(suggestions.find("BAR"), today=bars.today, actor="test", at=clock.now())

    wrong = at_once(
        bars,
        lambda: sell(1, 25),
        lambda: replan.items([item_id, *others], clock.now()),
        lambda: replan.items([*reversed(others), item_id], clock.now()),
        lambda: sell(2, 2),
    )
    bars.replan()
    first = [row.state for row in bars.suggestions("BAR")]
    wrong += at_once(
        bars,
        draft,
        lambda: replan.items([item_id], clock.now()),
        lambda: sell(3, 1),
        lambda: replan.items([item_id], clock.now()),
    )
    bars.replan()

    assert wrong == []
    assert first == ["open"]
    assert [row.state for row in bars.suggestions("BAR")] == ["drafted"]
    assert bars.plan("BAR").stock == 12
