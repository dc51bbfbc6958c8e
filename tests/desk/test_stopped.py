"""Work that has stopped is on the Exceptions page with its cause, and flows again when somebody says so, or by itself."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from devshop import inventory
from occ_app import clock
from occ_app.extensions import across_shops, current_shop_id, db
from occ_app.inbox.models import PARKED, Delivery
from occ_app.orders import pull as orders_pull
from occ_app.orders.models import Order
from occ_app.shopify.errors import ShopifyUnavailableError
from occ_app.stock import ledger
from occ_app.stock.models import Balance
from occ_app.sync import settle
from occ_app.sync.models import SyncException
from occ_app.wiring import TOPICS, sweep
from occ_app.work import tasks
from occ_app.work.models import TaskFailure
from tests.support.bench import Bench


@pytest.fixture
def linked(bench: Bench) -> Bench:
    """10 released units of SSD on sale."""
    bench.product("SSD", 0)
    bench.install()
    bench.item("SSD")
    bench.lot("SSD", 10)
    bench.map("SSD", "hub")
    bench.settle()
    return bench


def try_again(bench: Bench) -> None:
    """Somebody presses "Try again" on the one exception."""
    with bench.scope():
        found = db.session.scalars(db.select(SyncException).where(SyncException.settled_at.is_(None))).one()
        assert settle.settle(found.id, "retry", actor="test", at=clock.now()).sentence == "Trying again"
        db.session.commit()
    bench.settle()


def test_a_poison_delivery_is_parked_shown_and_flows_again(linked: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ValueError("this cannot be read")

    good = TOPICS["inventory_levels/update"]
    monkeypatch.setitem(TOPICS, "inventory_levels/update", fail)
    level = linked.level("SSD")
    inventory.set_available(linked.store, level, 9, who="admin", why="test")
    linked.sender.deliver_due()
    for _ in range(9):
        linked.drain()
        with across_shops():
            db.session.execute(db.update(Delivery).where(Delivery.state == "waiting").values(next_try_at=clock.now()))
            db.session.commit()
    linked.drain()
    assert linked.exceptions() == ["delivery"]
    said = linked.open("/exceptions").get_data(as_text=True)
    assert "An error on our side." in said
    assert "this cannot be read" not in said
    monkeypatch.setitem(TOPICS, "inventory_levels/update", good)
    try_again(linked)

    with across_shops():
        assert db.session.scalars(db.select(Delivery).where(Delivery.state == PARKED)).first() is None
    assert "delivery" not in linked.exceptions()


def test_an_order_that_cannot_be_booked_is_shown_and_flows_again(
    linked: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ValueError("this order is odd")

    with monkeypatch.context() as patch:
        patch.setattr(orders_pull.booking, "book", fail)
        linked.sell_in("SSD", 2)
        linked.settle()
        with across_shops():
            db.session.execute(db.update(Order).values(tries=orders_pull.MOST_TRIES))
            sweep()
            db.session.commit()
        assert linked.exceptions() == ["order"]
        assert "An error on our side." in linked.open("/exceptions").get_data(as_text=True)
    try_again(linked)

    assert linked.exceptions() == []
    assert linked.show("SSD")["target"] == linked.available("SSD") == 8


def test_a_task_that_keeps_failing_is_shown_until_it_works(linked: Bench) -> None:
    with linked.scope():
        shop_id = db.session.scalars(db.select(SyncException.shop_id)).first() or 1
    with across_shops():
        row = {"shop_id": shop_id, "task": "audit", "tries": 5, "failed_at": clock.now(), "cause": "no reason given"}
        db.session.execute(db.insert(TaskFailure), [row])
        sweep()
        db.session.commit()
    assert linked.exceptions() == ["task"]
    assert "no reason given" in linked.open("/exceptions").get_data(as_text=True)
    try_again(linked)

    assert linked.exceptions() == []


def test_a_bug_is_told_by_a_number_that_stands_in_the_log(linked: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        db.session.execute(db.text("SELECT 1 / 0"))

    monkeypatch.setattr(ledger, "audit", fail)
    with linked.scope():
        tasks.ask("audit", current_shop_id())
        db.session.commit()
    with capture_logs() as lines:
        linked.drain()
    with across_shops():
        cause = db.session.scalars(db.select(TaskFailure.cause)).one()

    assert cause == f"An error on our side. It is tried again; its number for support is {lines[-1]['number']}."
    assert lines[-1]["exc_info"]


def test_our_own_errors_are_told_as_they_are(linked: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ShopifyUnavailableError("Shopify does not answer.")

    monkeypatch.setattr(ledger, "audit", fail)
    with linked.scope():
        tasks.ask("audit", current_shop_id())
        db.session.commit()
    linked.drain()

    with across_shops():
        assert db.session.scalars(db.select(TaskFailure.cause)).one() == "Shopify does not answer."


def test_books_that_do_not_add_up_are_on_the_desk_until_they_do(linked: Bench) -> None:
    with linked.scope():
        shop_id = current_shop_id()
        db.session.execute(db.update(Balance).where(Balance.place == "released").values(quantity=11))
        tasks.ask("audit", shop_id)
        db.session.commit()
    linked.drain()
    assert linked.exceptions() == ["audit"]
    said = linked.open("/exceptions").get_data(as_text=True)
    assert "1 stock balance does not match the moves behind it" in said
    assert "Count again" in said
    with linked.scope():
        db.session.execute(db.update(Balance).where(Balance.place == "released").values(quantity=10))
        db.session.commit()
    try_again(linked)

    assert linked.exceptions() == []


def test_the_recount_finds_an_order_whose_news_never_came(linked: Bench) -> None:
    linked.sell_in("SSD", 2)
    linked.sender.deliveries.clear()
    with across_shops():
        tasks.ask("recount", db.session.scalars(db.select(Order.shop_id)).first() or 1)
        db.session.commit()
    linked.drain()

    assert linked.show("SSD")["target"] == linked.available("SSD") == 8
