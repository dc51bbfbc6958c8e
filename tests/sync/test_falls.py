"""What is gone, or must not be sold, is not for sale while somebody is asked; a lower number waits only where it was typed or made by a rule."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
import time_machine

from devshop import orders
from occ_app.catalog.models import Item
from occ_app.extensions import db
from occ_app.shops import settings
from occ_app.stock.ledger import holdings
from occ_app.stock.models import Lot
from occ_app.sync import modes, reconcile, targets
from tests.support.bench import Bench


@pytest.fixture
def shop(bench: Bench) -> Bench:
    """122 bars, alone and in boxes of six, with the guard that every shop begins with: 50 % and 20 units."""
    bench.product("BAR", 122)
    bench.product("BOX", 20)
    bench.install()
    bench.item("BAR")
    bench.lot("BAR", 122, number="B-1")
    bench.map("BAR", "hub")
    bench.map("BAR", "hub", "BOX", 6)
    bench.settle()
    assert (bench.available("BAR"), bench.available("BOX")) == (122, 20)
    return bench


def put(bench: Bench, name: str, value: str) -> None:
    """A setting of the shop."""
    with bench.scope():
        modes.apply_setting(targets.shop(), name, value)
        db.session.commit()
    bench.settle()


def change(bench: Bench, **values: Any) -> None:
    """The item's own values."""
    with bench.scope():
        item = db.session.scalars(db.select(Item)).one()
        for name, value in values.items():
            setattr(item, name, value)
        db.session.flush()
        targets.refresh([item.id], "Item changed")
        db.session.commit()
    bench.settle()


def places(bench: Bench) -> dict[str, int]:
    """Where the units of all lots are, but for what has left."""
    with bench.scope():
        (found,) = holdings(db.session.scalars(db.select(Item.id)).all()).values()
        sums: dict[str, int] = {}
        for held in found:
            sums[held.place] = sums.get(held.place, 0) + held.quantity
        return {place: units for place, units in sums.items() if place not in ("opening", "scrap", "production")}


def test_what_sells_in_boxes_is_not_for_sale_alone(shop: Bench) -> None:
    shop.sell_in("BOX", 15)
    shop.settle()

    assert (shop.available("BAR"), shop.available("BOX")) == (32, 5)
    assert shop.exceptions() == []


@pytest.mark.parametrize("mode", ["released", "manual"])
def test_what_is_held_is_not_for_sale(shop: Bench, mode: str) -> None:
    put(shop, "sync_mode", mode)
    shop.move(1, "on_hold")
    shop.settle()

    assert (shop.available("BAR"), shop.available("BOX")) == (0, 0)
    assert shop.exceptions() == []


def test_what_a_lot_loses_at_midnight_is_not_for_sale(shop: Bench) -> None:
    with shop.scope():
        db.session.get_one(Lot, 1).expires_on = date(2099, 1, 2)
        db.session.commit()
    with time_machine.travel(datetime(2099, 1, 2, 0, 1, tzinfo=UTC), tick=True), shop.scope():
        targets.refresh_all(let=targets.NEW_ONES_FALL)
        db.session.commit()
        states = db.session.scalars(db.select(targets.SyncState)).all()
        lets = {(state.target, state.approved_target) for state in states}

    assert lets == {(0, 0)}


def test_time_that_passes_lets_no_planned_fall_go(shop: Bench) -> None:
    change(shop, safety_stock=100)
    shop.drain()
    with shop.scope():
        reconcile.refresh_all(let=targets.NEW_ONES_FALL)
        db.session.commit()
    shop.settle()

    assert shop.exceptions() == ["guard"]
    assert shop.available("BAR") == 122


def test_a_fall_by_a_rule_waits_until_units_move(shop: Bench) -> None:
    change(shop, safety_stock=100)
    assert (shop.available("BAR"), shop.exceptions()) == (122, ["guard"])
    shop.sell_in("BAR", 2)
    shop.settle()

    assert shop.available("BAR") == 20
    assert shop.exceptions() == []


def test_a_new_guard_judges_what_waits(shop: Bench) -> None:
    shop.lot("BAR", 300)
    shop.settle()
    assert shop.exceptions() == ["guard", "guard"]
    put(shop, "guard_units", "500")

    assert (shop.available("BAR"), shop.available("BOX")) == (422, 70)
    assert shop.exceptions() == []


@pytest.mark.parametrize("way", ["on_hold", "scrap"])
def test_units_of_a_lot_that_may_not_be_sold_come_back_on_hold(shop: Bench, way: str) -> None:
    order = shop.sell_in("BAR", 3)
    shop.settle()
    shop.move(1, way)
    shop.settle()
    orders.cancel(shop.store, order, restock=True)
    shop.settle()

    assert places(shop) == {"on_hold": 122 if way == "on_hold" else 3}
    assert (shop.available("BAR"), shop.available("BOX")) == (0, 0)
    assert shop.exceptions() == []


def test_units_of_a_lot_whose_broken_ones_went_before_come_back_for_sale(shop: Bench) -> None:
    shop.move(1, "scrap", 120)
    shop.settle()
    order = shop.sell_in("BAR", 2)
    shop.settle()
    orders.cancel(shop.store, order, restock=True)
    shop.settle()

    assert places(shop) == {"released": 2}
    assert shop.available("BAR") == 2


def test_units_that_nobody_has_reviewed_come_back_before_review(shop: Bench) -> None:
    put(shop, "sync_mode", "completed")
    with shop.scope():
        settings.put(targets.shop(), "guard_units", "1000")
        db.session.commit()
    shop.move(1, "on_hold")
    shop.lot("BAR", 10, place="completed")
    shop.settle()
    assert shop.available("BAR") == 10
    order = shop.sell_in("BAR", 4)
    shop.settle()
    orders.cancel(shop.store, order, restock=True)
    shop.settle()

    assert places(shop) == {"on_hold": 122, "completed": 10}
    assert shop.available("BAR") == 10
