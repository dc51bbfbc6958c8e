"""Orders over HTTP: whatever happens to one in Shopify, both sides agree afterwards and each unit is accounted for."""

from __future__ import annotations

import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from devshop import orders
from occ_app.extensions import across_shops, db
from occ_app.orders import booking
from occ_app.orders.models import Order, OrderLine
from occ_app.stock import ledger
from occ_app.stock.models import Balance, StockMove
from tests.support.bench import Bench


@pytest.fixture
def selling(bench: Bench) -> Bench:
    """10 released units of SSD on sale."""
    bench.product("SSD", 0)
    bench.install()
    bench.item("SSD")
    bench.lot("SSD", 10)
    bench.map("SSD", "hub")
    bench.settle()
    return bench


def numbers(bench: Bench) -> tuple[int, int, int, int]:
    """(target, expected, Shopify's available, units that we hold as committed)."""
    shown = bench.show("SSD")
    with across_shops():
        committed = db.session.scalar(db.select(db.func.sum(Balance.quantity)).where(Balance.place == "committed")) or 0
        assert ledger.audit() == []
    return shown["target"], shown["expected"], bench.available("SSD"), int(committed)


def line_of(order: object) -> int:
    """The id of an order's only line."""
    return order.lines[0].id  # type: ignore[attr-defined]


def test_fulfilment_ships_the_units(selling: Bench) -> None:
    order = selling.sell_in("SSD", 3)
    selling.settle()
    assert numbers(selling) == (7, 7, 7, 3)
    orders.fulfil(selling.store, order)
    selling.settle()

    assert numbers(selling) == (7, 7, 7, 0)


def test_a_cancelled_fulfilment_brings_them_back_to_committed(selling: Bench) -> None:
    order = selling.sell_in("SSD", 3)
    parcel = orders.fulfil(selling.store, order)
    selling.settle()
    orders.cancel_fulfillment(selling.store, order, parcel.id)
    selling.settle()

    assert numbers(selling) == (7, 7, 7, 3)


@pytest.mark.parametrize(("restock", "expected"), [(True, (10, 10, 10, 0)), (False, (7, 7, 7, 0))])
def test_cancelling_puts_back_only_what_is_restocked(selling: Bench, restock: bool, expected: tuple[int, ...]) -> None:
    order = selling.sell_in("SSD", 3)
    selling.settle()
    orders.cancel(selling.store, order, restock=restock)
    selling.settle()

    assert numbers(selling) == expected


@pytest.mark.parametrize(
    ("kind", "ship", "expected"),
    [
        ("cancel", False, (8, 8, 8, 2)),
        ("no_restock", False, (7, 7, 7, 2)),
        ("return", True, (8, 8, 8, 0)),
        ("no_restock", True, (7, 7, 7, 0)),
    ],
)
def test_a_refund_follows_its_restock_type(selling: Bench, kind: str, ship: bool, expected: tuple[int, ...]) -> None:
    order = selling.sell_in("SSD", 3)
    if ship:
        orders.fulfil(selling.store, order)
    selling.settle()
    orders.refund(selling.store, order, [{"line_item_id": line_of(order), "quantity": 1, "restock_type": kind}])
    selling.settle()

    assert numbers(selling) == expected


@pytest.mark.parametrize(("quantity", "expected"), [(5, (5, 5, 5, 5)), (1, (9, 9, 9, 1))])
def test_an_edit_changes_the_take(selling: Bench, quantity: int, expected: tuple[int, ...]) -> None:
    order = selling.sell_in("SSD", 3)
    selling.settle()
    orders.edit(selling.store, order, [{"line_item_id": line_of(order), "quantity": quantity}], [])
    selling.settle()

    assert numbers(selling) == expected


def test_a_line_added_by_edit_is_booked(selling: Bench) -> None:
    order = selling.sell_in("SSD", 1)
    selling.settle()
    orders.edit(selling.store, order, [], [{"sku": "SSD", "quantity": 2}])
    selling.settle()

    assert numbers(selling) == (7, 7, 7, 3)


def test_deliveries_in_any_order_and_twice_leave_the_same_books(selling: Bench) -> None:
    turned = [[(first + step) % 5 for step in range(5)] for first in range(5)]
    for positions in [
        *turned,
        *(each[::-1] for each in turned),
    ]:  # each of them comes first, last, and after each other
        selling.sender.deliveries.clear()
        orders.cancel(selling.store, selling.sell_in("SSD", 2), restock=True)
        told = list(selling.sender.deliveries)
        news = [delivery for delivery in told if delivery.topic != "inventory_levels/update"]
        topics = ["orders/create", "refunds/create", "orders/updated", "orders/cancelled", "orders/updated"]
        assert [delivery.topic for delivery in news] == topics
        for delivery in [one for one in told if one not in news] + [news[position] for position in positions]:
            selling.sender.send(delivery)
            selling.sender.send(delivery)
            selling.drain()

        assert numbers(selling) == (10, 10, 10, 0)


def test_an_order_whose_webhooks_never_come_is_found_by_reconciliation(selling: Bench) -> None:
    selling.sell_in("SSD", 3)
    selling.sender.deliveries.clear()
    answer = selling.open("/home/sync", method="POST")
    assert answer.status_code == 303
    selling.drain()

    assert numbers(selling) == (7, 7, 7, 3)
    assert selling.exceptions() == []


def test_lines_without_a_product_are_kept_and_book_nothing(selling: Bench) -> None:
    orders.create(selling.store, {"lines": [{"title": "Tip", "price": "2.00"}, {"sku": "SSD", "quantity": 1}]})
    selling.settle()

    assert numbers(selling) == (9, 9, 9, 1)
    with selling.scope():
        assert db.session.scalar(db.select(db.func.count()).select_from(OrderLine)) == 2


def test_no_customer_is_kept(selling: Bench) -> None:
    selling.sell_in("SSD", 1)
    selling.settle()
    with selling.scope():
        order = db.session.scalars(db.select(Order)).one()
        kept = repr({column.name: getattr(order, column.name) for column in Order.__table__.columns})
        bodies = [bytes(row) for (row,) in db.session.execute(db.text("SELECT body FROM delivery"))]

    assert "Ada" not in kept
    assert not any(b"Ada" in body or b"@" in body for body in bodies)


def test_first_expiry_is_sold_first_and_the_order_knows_its_lots(selling: Bench) -> None:
    from datetime import date

    early = selling.lot("SSD", 2, expires_on=date(2099, 1, 1))
    selling.settle()
    selling.sell_in("SSD", 3)
    selling.settle()
    with selling.scope():
        takes = db.session.scalars(
            db.select(StockMove).where(StockMove.reason == "order_take").order_by(StockMove.id)
        ).all()

    assert [(move.lot_id == early, move.quantity) for move in takes] == [(True, 2), (False, 1)]


def test_an_unmapped_variant_waits_and_is_booked_once_mapped(selling: Bench) -> None:
    selling.product("NEW", 5)
    selling.settle()
    selling.sell_in("NEW", 2)
    selling.settle()
    selling.item("NEW")
    selling.lot("NEW", 9)
    selling.map("NEW", "hub")
    selling.settle()

    shown = selling.show("NEW")
    assert (shown["sellable"], shown["expected"], selling.available("NEW")) == (7, 7, 7)


def test_units_sold_beyond_what_there_was_are_owed_and_filled_first(selling: Bench) -> None:
    selling.sell_in("SSD", 12)
    selling.settle()
    assert selling.show("SSD")["sellable"] == -2
    assert "backorder" in selling.exceptions()
    selling.lot("SSD", 5)
    selling.settle()

    assert numbers(selling) == (3, 3, 3, 12)
    assert "backorder" not in selling.exceptions()


def test_a_box_and_a_single_share_one_stock(bench: Bench) -> None:
    bench.product("ONE", 0)
    bench.product("BOX", 0)
    bench.install()
    bench.item("ONE")
    bench.lot("ONE", 13)
    bench.map("ONE", "hub")
    bench.map("ONE", "hub", variant_sku="BOX", units=6)
    bench.settle()
    assert (bench.available("ONE"), bench.available("BOX")) == (13, 2)
    orders.create(bench.store, {"lines": [{"sku": "BOX", "quantity": 1}, {"sku": "ONE", "quantity": 2}]})
    bench.settle()

    assert (bench.available("ONE"), bench.available("BOX")) == (5, 0)


def test_demand_is_the_takes_by_local_day(selling: Bench) -> None:
    selling.sell_in("SSD", 3)
    selling.settle()

    assert "3 sold" in selling.open("/products/1").get_data(as_text=True)


def test_units_that_were_refunded_before_they_were_there_never_count_as_shipped(selling: Bench) -> None:
    order = selling.sell_in("SSD", 12)
    selling.settle()
    lines = [{"line_item_id": line_of(order), "quantity": 12, "restock_type": "no_restock"}]
    orders.refund(selling.store, order, lines)
    selling.settle()
    selling.lot("SSD", 5)
    selling.settle()
    with selling.scope():
        shipped = db.session.scalar(db.select(db.func.sum(Balance.quantity)).where(Balance.place == "shipped"))

    assert not shipped


def test_units_that_come_back_are_the_ones_that_were_there(selling: Bench) -> None:
    order = selling.sell_in("SSD", 14)
    lines = [{"line_item_id": line_of(order), "quantity": 10}]
    parcel = orders.fulfil(selling.store, order, lines)
    selling.settle()
    orders.fulfil(selling.store, order, [{"line_item_id": line_of(order), "quantity": 4}])
    selling.settle()
    orders.cancel_fulfillment(selling.store, order, parcel.id)
    selling.settle()
    back = [{"line_item_id": line_of(order), "quantity": 4, "restock_type": "cancel"}]
    orders.refund(selling.store, order, back)
    selling.settle()

    assert numbers(selling) == (0, 0, 0, 6)
    assert selling.exceptions() == []


def test_goods_that_come_in_while_a_cancellation_is_booked_lock_nobody_out(
    selling: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders_ = [selling.sell_in("SSD", quantity) for quantity in (10, 5)]
    selling.settle()
    orders.cancel(selling.store, orders_[1], restock=True)
    lock_stock, has_the_order, came_in = booking._lock_stock, threading.Event(), threading.Event()
    were_there: list[bool] = []

    def wait_for_the_goods(*given: Any) -> None:
        has_the_order.set()
        were_there.append(came_in.wait(5))
        lock_stock(*given)

    def work() -> None:
        with selling.app.app_context():
            selling.drain()

    monkeypatch.setattr(booking, "_lock_stock", wait_for_the_goods)
    selling.sender.deliver_due(everything=True)
    with ThreadPoolExecutor(1) as other:
        cancels = other.submit(contextvars.Context().run, work)
        assert has_the_order.wait(30)
        selling.lot("SSD", 10)
        came_in.set()
        cancels.result(60)
    selling.settle()

    assert (all(were_there), numbers(selling)) == (True, (10, 10, 10, 10))
