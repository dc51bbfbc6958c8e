"""What a review of the simulation found, each told in one virtual day."""

from __future__ import annotations

import contextvars
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from devshop import inventory, orders, products
from devshop.faults import CallFault
from occ_app import clock
from occ_app.catalog import mapping as mappings
from occ_app.catalog.models import Mapping
from occ_app.errors import RuleError
from occ_app.extensions import db
from occ_app.orders import booking
from occ_app.orders import pull as orders_pull
from occ_app.orders.models import OrderLine
from occ_app.orders.rules import RETURNED, Step
from occ_app.shops import settings
from occ_app.shops.models import Shop
from occ_app.stock.ledger import Move
from occ_app.sync import answers, push, readings, reconcile, settle, targets
from occ_app.sync.models import PushLine, SyncException, SyncRun
from occ_app.wiring import connections
from tests.simulation import oracle, runner, steps
from tests.simulation.rig import Killed, Rig
from tests.simulation.steps import Life, Shape


@pytest.fixture
def life(rig: Rig) -> Iterator[Life]:
    """A shop whose rule for drift is to follow Shopify; 10 tins are on sale."""
    shape = Shape(datetime(2026, 6, 15, 9, 0, tzinfo=UTC), "UTC", "shopify", (10, 10), False, "hub")
    with rig.begin(shape.start, "UTC"):
        life = Life(rig, shape)
        runner._open_shop(life)
        life.store.calls.clear()
        yield life


def goes_on(life: Life, seconds: float, times: int) -> Counter[str]:
    """Time passes so often, and a worker works. Returns what it asked Shopify."""
    for _ in range(times):
        life.rig.deliver()
        life.rig.pass_time(seconds)
        life.rig.work()
    return Counter(call["operation"] for call in life.store.calls)


def sells_what_nobody_can_read(life: Life) -> None:
    """An order takes a tin that we may not read: older than 60 days, say."""
    level = life.bench.level("TIN")
    inventory.change(life.store, level, {"available": -1, "committed": 1}, who="order", why="not readable")


@pytest.mark.parametrize("calls", range(1, 9))
@pytest.mark.parametrize(("seconds", "before"), [(0, False), (0, True), (1, False)])
def test_a_sale_at_the_till_while_a_first_link_reads_is_not_put_back_on_sale(
    life: Life, calls: int, seconds: int, before: bool
) -> None:
    oracle.watch(life)
    life.rig.time.advance(seconds)
    sale = steps.Step("sold_at_till", (2, 2))
    steps.do(life, steps.Step("meanwhile", (calls, before, sale)))
    steps.do(life, steps.Step("mapped_anew", (2, 6)))
    goes_on(life, 61, 3)

    assert life.bench.available("TIN") == 8


def test_a_sale_in_the_very_second_of_a_first_link_is_no_old_reading(rig: Rig) -> None:
    shape = Shape(datetime(2026, 6, 15, 9, 0, tzinfo=UTC), "UTC", "ask", (3, 2), False, "hub")
    given = (
        steps.Step("sold", (1, 2, 4)),
        steps.Step("goes_on", (1, True)),
        steps.Step("damaged", (8,)),
        steps.Step("meanwhile", (7, True, steps.Step("sold_at_till", (8, 1)))),
        steps.Step("mapped_anew", (2, 6)),
        steps.Step("goes_on", (61, True)),
    )

    assert runner.live(rig, runner.Plan(0, shape, given)).wrong == []


def test_a_rise_without_an_answer_whose_units_were_sold_since_is_not_written_again(life: Life) -> None:
    oracle.watch(life)
    steps.do(life, steps.Step("release_fails", (1, 2, "lost_after", 2)))
    steps.do(life, steps.Step("sold_at_till", (2, 2)))
    runner._heal(life)

    assert oracle.check(life, strict=True) == []
    assert (life.bench.available("TIN"), life.bench.show("TIN")["target"]) == (10, 10)


def test_nothing_is_written_on_a_reading_that_is_older_than_our_last_write(life: Life) -> None:
    life.rig.time.advance(21)
    life.bench.lot("TIN", 2)
    life.rig.work()
    life.store.faults.stale_seconds = 20
    life.bench.lot("TIN", 2)
    life.rig.work()
    lagging = [call["kind"] for call in life.store.calls]
    goes_on(life, 61, 2)

    assert lagging.count("mutation") == 1
    assert lagging[-1] == "query"
    assert life.bench.available("TIN") == 14
    assert oracle.check(life, strict=False) == []


@pytest.mark.parametrize("forgets_keys", [False, True])
def test_a_write_without_an_answer_is_not_taken_for_a_hand_edit(life: Life, forgets_keys: bool) -> None:
    life.store.faults.forgets_keys = forgets_keys
    life.store.faults.upcoming.extend([CallFault("lost_after", "mutation")] * 8)
    life.bench.lot("TIN", 5)
    goes_on(life, 61, 6)
    runner._heal(life)
    shown = life.bench.show("TIN")

    assert (life.bench.available("TIN"), shown["target"], shown["sellable"]) == (15, 15, 15)


def test_news_that_name_a_later_time_than_the_order_ever_shows_are_not_read_for_ever(life: Life) -> None:
    order = life.bench.sell_in("TIN", 1)
    goes_on(life, 5, 1)
    life.store.calls.clear()
    with life.bench.scope():
        booking.note(order.gid, clock.now(), clock.now() + timedelta(seconds=30))
        db.session.commit()

    assert goes_on(life, 61, 20)["ordersById"] <= 3


def test_a_drift_whose_order_never_comes_is_named_and_looked_at_ever_less(life: Life) -> None:
    sells_what_nobody_can_read(life)
    goes_on(life, 61, 70)
    with life.bench.scope():
        query = db.select(SyncException).where(SyncException.settled_at.is_(None)).order_by(SyncException.kind)
        told = [(each.kind, each.facts.get("why")) for each in db.session.scalars(query)]
    words = "Shopify has 1 committed and we have booked 0: an order has not reached us yet."
    life.store.calls.clear()

    assert told == [("drift", words), ("unseen", None)]
    assert goes_on(life, 15, 80)["inventoryReadings"] <= 20
    assert life.bench.show("TIN")["drift"] == -1


def decide(life: Life, kind: str, remedy: str) -> None:
    """Somebody settles the open exception of that kind."""
    with life.bench.scope():
        query = db.select(SyncException.id).where(SyncException.settled_at.is_(None), SyncException.kind == kind)
        settle.settle(db.session.scalars(query).one(), remedy, actor="somebody", at=clock.now())
        db.session.commit()


def test_what_an_unreadable_order_took_can_be_decided_by_going_on_without_it(life: Life) -> None:
    sells_what_nobody_can_read(life)
    goes_on(life, 61, 70)
    with pytest.raises(RuleError, match="go on without it"):
        decide(life, "drift", "shopify")
    db.session.rollback()
    decide(life, "unseen", "accept")
    goes_on(life, 61, 2)
    shown = life.bench.show("TIN")

    assert (life.bench.available("TIN"), shown["target"], shown["drift"]) == (9, 9, 0)
    assert life.bench.exceptions() == []


def test_units_that_nobody_explains_block_a_rise_only_until_somebody_goes_on_without_their_order(life: Life) -> None:
    inventory.change(life.store, life.bench.level("TIN"), {"committed": 1}, who="order", why="not readable")
    life.bench.lot("TIN", 5)
    goes_on(life, 61, 4)
    blocked = (life.bench.available("TIN"), life.bench.exceptions())
    decide(life, "unseen", "accept")
    goes_on(life, 5, 3)

    assert blocked == (10, ["unseen"])
    assert (life.bench.available("TIN"), life.bench.exceptions()) == (15, [])


def test_a_first_link_whose_order_cannot_be_read_ends_when_somebody_goes_on_without_it(life: Life) -> None:
    life.bench.item("JAR")
    life.bench.product("JAR", available=3)
    life.bench.settle()
    level = life.bench.level("JAR")
    inventory.change(life.store, level, {"available": -1, "committed": 1}, who="order", why="not readable")
    life.bench.map("JAR", "hub")
    goes_on(life, 61, 62)
    decide(life, "unseen", "accept")
    goes_on(life, 61, 2)

    assert (life.bench.show("JAR")["state"], life.bench.exceptions()) == ("linked", [])


def test_a_first_link_whose_order_never_comes_does_not_ask_all_the_time(life: Life) -> None:
    life.bench.item("JAR")
    life.bench.product("JAR", available=3)
    life.bench.settle()
    inventory.change(
        life.store, life.bench.level("JAR"), {"available": -1, "committed": 1}, who="order", why="not readable"
    )
    life.bench.map("JAR", "hub")
    goes_on(life, 5, 1)
    life.store.calls.clear()

    assert goes_on(life, 5, 24)["ordersChanged"] <= 6


def test_a_link_whose_first_reading_was_old_sets_shopify_to_our_number_and_not_on_top_of_it(life: Life) -> None:
    life.bench.item("JAR")
    life.bench.product("JAR", available=30)
    life.bench.settle()
    life.store.faults.stale_seconds = 20
    life.bench.lot("JAR", 30)
    life.bench.map("JAR", "hub")
    goes_on(life, 1, 2)
    life.bench.lot("JAR", 6)
    goes_on(life, 5, 10)
    level, most, shown = life.bench.level("JAR"), 0, 0
    for change in level.history:
        shown += change["changes"].get("available", 0)
        most = max(most, shown)

    assert (level.quantities["available"], most) == (36, 36)


def test_a_refused_write_whose_process_dies_before_its_rows_are_told_is_settled_later(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object) -> None:
        monkeypatch.undo()
        raise Killed

    monkeypatch.setattr(answers, "settle_by_reading", dies)
    life.store.faults.stale_seconds = 20
    goes_on(life, 30, 1)
    life.bench.edit_by_hand("TIN", 12)
    life.bench.lot("TIN", 5)
    life.rig.work()
    runner._heal(life)

    assert (life.bench.available("TIN"), life.bench.show("TIN")["target"]) == (17, 17)


def test_a_step_that_waited_leaves_the_desk_when_the_rule_for_drift_has_decided(life: Life) -> None:
    with life.bench.scope():
        shop = db.session.get_one(Shop, targets.shop().id)
        settings.put(shop, "drift_rule", "hub")
        settings.put(shop, "guard_units", "4")
        db.session.commit()
    goes_on(life, 301, 1)
    life.bench.lot("TIN", 10)
    goes_on(life, 5, 1)
    asked = life.bench.exceptions()
    life.bench.edit_by_hand("TIN", 12)
    goes_on(life, 20, 5)

    assert asked == ["guard"]
    assert (life.bench.available("TIN"), life.bench.exceptions()) == (20, [])


def test_a_write_without_an_answer_is_not_repeated_on_a_number_that_sales_have_brought_back(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object) -> None:
        monkeypatch.undo()
        raise Killed

    monkeypatch.setattr(answers, "_applied", dies)
    life.store.faults.forgets_keys = True
    life.store.faults.webhooks = "lost"
    life.bench.lot("TIN", 6)
    life.rig.work()
    life.bench.sell_in("TIN", 6)
    goes_on(life, 30, 8)
    ours = [change["changes"].get("available") for change in life.bench.level("TIN").history if change["who"] == "app"]

    assert (life.bench.available("TIN"), ours) == (10, [6])


def test_a_line_of_a_push_keeps_the_numbers_that_it_was_planned_with(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = push.write

    def sells_meanwhile(*given: Any) -> Any:
        monkeypatch.undo()
        life.bench.sell_in("TIN", 2)
        contextvars.Context().run(life.rig._elsewhere, lambda: goes_on(life, 0, 1))
        return write(*given)

    monkeypatch.setattr(push, "write", sells_meanwhile)
    life.bench.lot("TIN", 6)
    life.rig.work()
    with life.bench.scope():
        line = db.session.scalars(db.select(PushLine).where(PushLine.target == 16).order_by(PushLine.id)).first()
        planned = line and (line.change_from, line.expected)

    assert planned == (10, 10)


def test_a_decision_and_a_refresh_of_all_targets_do_not_lock_each_other_out(life: Life) -> None:
    def refreshes() -> None:
        with life.rig.app.app_context(), life.bench.scope():
            targets.refresh_all()
            db.session.commit()
            db.session.remove()

    with life.bench.scope():
        box = next(state for state in readings.living_states() if state.mapping.variant.sku == "BOX")
        db.session.rollback()
        settle._state(SyncException(mapping_id=box.mapping_id))
        other = threading.Thread(target=contextvars.Context().run, args=(refreshes,))
        other.start()
        with life.rig.engine.connect() as connection:
            waits = (
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            while other.is_alive() and not connection.scalar(db.text(waits)):
                connection.rollback()
        targets.refresh([box.mapping.item_id])
        db.session.commit()
        other.join(10)

    assert not other.is_alive()


def test_an_order_that_is_booked_as_it_is_is_not_read_again(life: Life) -> None:
    order = life.bench.sell_in("TIN", 1)
    goes_on(life, 61, 1)
    life.store.calls.clear()
    with life.bench.scope():
        client = connections().client(targets.shop())
        orders_pull.pull_changed(client)
        quiet = [call["operation"] for call in life.store.calls]
        orders.fulfil(life.store, order)
        orders_pull.pull_changed(client)
    asked = [call["operation"] for call in life.store.calls]

    assert (quiet, asked) == (["ordersChanged"], ["ordersChanged", "ordersChanged", "ordersById"])


@pytest.mark.parametrize("end", ["deleted", "unmapped", "not linked"])
def test_a_number_that_nobody_can_compare_is_not_looked_at_all_the_time(life: Life, end: str) -> None:
    if end == "not linked":
        life.bench.item("JAR")
        life.bench.product("JAR", available=3)
        life.bench.settle()
        life.bench.map("JAR", None)
    if end == "deleted":
        products.delete_variant(life.store, life.store.variant("TIN"))
    with life.bench.scope():
        states = {state.mapping.variant.sku: state for state in readings.living_states()}
        reconcile.nudge([states["JAR" if end == "not linked" else "TIN"].mapping_id], clock.now())
        db.session.commit()
        if end == "unmapped":
            mappings.end(states["TIN"].mapping, clock.now())
            db.session.commit()
    goes_on(life, 5, 2)
    with life.bench.scope():
        before = db.session.scalar(db.select(db.func.count(SyncRun.id)))
    goes_on(life, 5, 12)
    with life.bench.scope():
        after = db.session.scalar(db.select(db.func.count(SyncRun.id)))

    assert after - before <= 2


def test_the_pause_between_looks_grows_to_five_minutes() -> None:
    assert [reconcile._pause(looks).total_seconds() for looks in (2, 4, 6, 12, 40)] == [10, 20, 40, 300, 300]


def test_the_oracle_sees_a_return_that_is_booked_twice(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    moves_of = booking.moves_of

    def twice(line: OrderLine, mapping: Mapping, step: Step, booked: int) -> list[Move]:
        moves = moves_of(line, mapping, step, booked)
        again = [replace(move, source=f"{move.source}:again", lot_id=None) for move in moves]
        return moves + again if step.flow == RETURNED else moves

    monkeypatch.setattr(booking, "moves_of", twice)
    order = life.bench.sell_in("TIN", 3)
    orders.fulfil(life.store, order)
    goes_on(life, 5, 1)
    orders.refund(life.store, order, [{"line_item_id": order.lines[0].id, "quantity": 2, "restock_type": "return"}])
    goes_on(life, 5, 1)

    assert any("moves took -1" in words for words in oracle.check(life, strict=False))
