"""Cases in which the right number is hard to see: sales at the till, late news, changed minds, and mappings that follow each other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from devshop import orders
from devshop.faults import CallFault
from devshop.world import Order
from occ_app import clock
from occ_app.catalog import mapping as mappings
from occ_app.catalog.models import Mapping
from occ_app.errors import RuleError
from occ_app.extensions import db
from occ_app.orders import booking
from occ_app.sync import link, modes, settle
from occ_app.sync.models import SyncException, SyncState
from occ_app.work import tasks
from tests.support.bench import Bench
from tests.sync.test_drift import rule
from tests.sync.test_push import LostAnswer

Forward = Callable[[float], None]


@pytest.fixture
def linked(bench: Bench) -> Bench:
    """10 released units of SSD on sale."""
    bench.product("SSD", 0)
    bench.install()
    bench.item("SSD")
    bench.lot("SSD", 10)
    bench.map("SSD", "hub")
    bench.settle()
    assert bench.available("SSD") == 10
    return bench


@pytest.fixture
def forward(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, linked: Bench) -> Forward:
    """The app's clock, moved ahead."""
    path, passed = tmp_path / "clock", 0.0
    monkeypatch.setenv("OCC_CLOCK_FILE", str(path))

    def move(seconds: float) -> None:
        nonlocal passed
        passed += seconds
        path.write_text(str(passed))

    return move


def lose_news(bench: Bench) -> None:
    """What Shopify has told so far never arrives."""
    bench.sender.deliveries.clear()


def sold_at_till(bench: Bench, quantity: int, sku: str = "SSD") -> Order:
    """Sold and taken along: `committed` never shows it; the news are late."""
    order = bench.sell_in(sku, quantity)
    orders.fulfil(bench.store, order)
    lose_news(bench)
    return order


def news_come(bench: Bench, order: Order) -> None:
    """The order's news are here now."""
    with bench.scope():
        booking.note(order.gid, clock.now())
        tasks.ask("orders", db.session.scalars(db.select(SyncState.shop_id)).first() or 0)
        db.session.commit()
    bench.drain()


def compare(bench: Bench) -> None:
    """Somebody presses "Sync now"."""
    bench.open("/home/sync", method="POST")
    bench.drain()


def answer(bench: Bench, remedy: str) -> None:
    """Somebody settles the one open exception."""
    with bench.scope():
        found = db.session.scalars(db.select(SyncException).where(SyncException.settled_at.is_(None))).one()
        settle.settle(found.id, remedy, actor="test", at=clock.now())
        db.session.commit()
    bench.drain()


def map_anew(bench: Bench) -> None:
    """The mapping ends, and another takes its place."""
    with bench.scope():
        mappings.end(db.session.scalars(db.select(Mapping).where(Mapping.ended_at.is_(None))).one(), clock.now())
        db.session.commit()
    bench.map("SSD", "hub")
    bench.settle()


@pytest.mark.parametrize(("given", "target"), [("hub", 7), ("shopify", 9)])
def test_a_drift_that_changes_begins_anew_and_waits_for_orders(
    linked: Bench, forward: Forward, given: str, target: int
) -> None:
    rule(linked, drift_rule=given)
    linked.edit_by_hand("SSD", 12)
    linked.settle()
    forward(31)
    order = sold_at_till(linked, 3)
    linked.drain()
    assert linked.available("SSD") <= 9
    news_come(linked, order)
    for _ in range(2):
        forward(40)
        compare(linked)

    assert linked.show("SSD")["target"] == linked.available("SSD") == target


@pytest.mark.parametrize(("remedy", "right"), [("hub", 9), ("shopify", 7)])
def test_a_drift_is_settled_by_what_shopify_has_now(linked: Bench, forward: Forward, remedy: str, right: int) -> None:
    order = linked.sell_in("SSD", 3)
    orders.fulfil(linked.store, order)
    linked.settle()
    linked.edit_by_hand("SSD", 5)
    linked.settle()
    forward(31)
    compare(linked)
    row = {"line_item_id": order.lines[0].id, "quantity": 2, "restock_type": "return"}
    orders.refund(linked.store, order, [row])
    lose_news(linked)
    news_come(linked, order)
    answer(linked, remedy)

    assert linked.show("SSD")["target"] == linked.available("SSD") == right


def test_a_drift_that_is_another_by_now_is_not_settled(linked: Bench, forward: Forward) -> None:
    linked.edit_by_hand("SSD", 12)
    linked.settle()
    forward(31)
    compare(linked)
    order = sold_at_till(linked, 3)
    linked.lot("SSD", 1)
    linked.drain()
    with pytest.raises(RuleError, match="changed since"):
        answer(linked, "shopify")
    db.session.rollback()
    news_come(linked, order)
    forward(60)
    compare(linked)
    answer(linked, "shopify")

    assert linked.show("SSD")["target"] == linked.available("SSD") == 10


def test_a_return_of_an_order_from_before_the_mapping_shows_once(linked: Bench) -> None:
    order = linked.sell_in("SSD", 3)
    orders.fulfil(linked.store, order)
    linked.settle()
    map_anew(linked)
    row = {"line_item_id": order.lines[0].id, "quantity": 2, "restock_type": "return"}
    orders.refund(linked.store, order, [row])
    linked.settle()

    assert linked.show("SSD")["target"] == linked.available("SSD") == 9


def test_a_mapping_made_anew_links_while_orders_are_open(linked: Bench) -> None:
    linked.sell_in("SSD", 3)
    linked.settle()
    map_anew(linked)

    assert linked.show("SSD")["state"] == "linked"


def test_taking_shopifys_number_works_more_than_once(linked: Bench) -> None:
    for number in (12, 15):
        with linked.scope():
            mapping = db.session.scalars(db.select(Mapping)).one()
            for enabled in (False, True):
                link.switch(mapping, enabled, clock.now())
            state = db.session.get_one(SyncState, mapping.id, populate_existing=True)
            state.mapping = mapping
            link.choose(state, "shopify", clock.now())
            db.session.commit()
        linked.edit_by_hand("SSD", number)
        assert linked.settle() == []
        assert linked.show("SSD")["target"] == number


def test_switching_sync_off_ends_what_was_open(linked: Bench, forward: Forward) -> None:
    linked.edit_by_hand("SSD", 12)
    linked.settle()
    forward(31)
    compare(linked)
    assert linked.exceptions() == ["drift"]
    linked.open("/mapping/1/switch", method="POST", data={"on": "no"})

    assert linked.exceptions() == []


def test_a_number_that_waits_for_approval_waits_through_a_closed_location(linked: Bench) -> None:
    with linked.scope():
        modes.set_mode_of_item(modes.states_of_item(1)[0].mapping.item, "manual")
        db.session.commit()
    linked.lot("SSD", 5)
    linked.settle()
    for is_active in (False, True, True):
        linked.place.is_active = is_active
        compare(linked)

    assert linked.show("SSD")["state"] == "awaiting_approval"
    assert linked.available("SSD") == 10


def test_a_first_link_approves_its_number(bench: Bench) -> None:
    bench.product("SSD", 0)
    bench.install()
    bench.item("SSD", sync_mode="manual")
    bench.lot("SSD", 10)
    bench.map("SSD", "hub")
    bench.settle()

    assert bench.available("SSD") == 10


def test_a_retry_that_cannot_be_read_stays_open(
    linked: Bench, forward: Forward, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections = linked.app.extensions["occ_connections"]
    http = httpx2.Client(transport=LostAnswer(connections.transport, 1, applied=True))
    lossy = type(connections)(connections.config, connections.transport, http)
    monkeypatch.setitem(linked.app.extensions, "occ_connections", lossy)
    linked.lot("SSD", 5)
    linked.drain()
    linked.store.idempotent.clear()
    linked.place.is_active = False
    linked.drain()
    forward(20)
    linked.drain()
    linked.place.is_active = True
    compare(linked)
    compare(linked)

    assert linked.available("SSD") == 15


def test_a_call_is_not_sent_again_for_what_is_no_longer_wanted(linked: Bench, forward: Forward) -> None:
    linked.store.faults.upcoming.extend([CallFault("lost_before", "mutation")] * 2)
    lot = linked.lot("SSD", 5)
    linked.drain()
    linked.move(lot, "on_hold")
    forward(20)
    linked.drain()

    assert linked.available("SSD") == 10


def test_a_sale_at_the_till_just_before_the_first_link_stays_sold(bench: Bench) -> None:
    bench.product("SSD", 10)
    bench.install()
    bench.item("SSD")
    bench.lot("SSD", 10)
    bench.map("SSD", None)
    bench.settle()
    order = sold_at_till(bench, 3)
    with bench.scope():
        link.choose(modes.states_of_item(1)[0], "hub", clock.now())
        db.session.commit()
    bench.drain()
    assert bench.available("SSD") == 7
    news_come(bench, order)

    assert bench.show("SSD")["target"] == bench.available("SSD") == 7


def test_a_box_sold_at_the_till_before_its_link_lowers_the_bars(linked: Bench) -> None:
    linked.product("BOX", 1)
    linked.open("/mapping/pull", method="POST")
    linked.settle()
    linked.map("SSD", None, variant_sku="BOX", units=6)
    linked.settle()
    order = linked.sell_in("BOX", 1)
    orders.fulfil(linked.store, order)
    linked.settle()

    assert linked.available("SSD") == 4


def test_units_that_a_correction_found_missing_are_taken_from_the_next_lot(linked: Bench, forward: Forward) -> None:
    rule(linked, drift_rule="shopify", guard_units="1000")
    lot = linked.lot("SSD", 10)
    linked.settle()
    linked.edit_by_hand("SSD", 2)
    linked.move(lot, "on_hold")
    linked.settle()
    for _ in range(2):
        forward(40)
        compare(linked)
    linked.lot("SSD", 30)
    linked.settle()

    assert linked.exceptions() == []
    assert linked.show("SSD")["target"] == linked.available("SSD")


def test_one_order_that_cannot_be_booked_stops_no_other(linked: Bench) -> None:
    linked.product("BIG", 0)
    linked.open("/mapping/pull", method="POST")
    linked.settle()
    linked.map("SSD", "hub", variant_sku="BIG", units=100_000)
    linked.settle()
    linked.sell_in("BIG", 30_000)
    linked.sell_in("SSD", 1)
    linked.settle()
    with linked.scope():
        booked = dict(db.session.execute(db.select(booking.Order.name, booking.Order.booked_at)).all())

    assert booked["#1002"] is not None


def test_a_mapping_may_have_a_drift_rule_of_its_own(linked: Bench, forward: Forward) -> None:
    linked.open("/mapping/drift-rule", method="POST", data={"mapping": "1", "rule": "hub"})
    linked.edit_by_hand("SSD", 14)
    linked.settle()
    forward(31)
    compare(linked)
    compare(linked)

    assert linked.available("SSD") == 10
    assert linked.exceptions() == []
    past = linked.open("/exceptions?view=past").get_data(as_text=True)
    assert "by your drift rule" in past


@pytest.mark.parametrize("data", [{"mapping": "1", "rule": "nobody"}, {"rule": "hub"}])
def test_a_drift_rule_that_cannot_be_is_refused(linked: Bench, data: dict[str, str]) -> None:
    assert linked.open("/mapping/drift-rule", method="POST", data=data).status_code == 422
