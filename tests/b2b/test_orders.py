"""Wholesale orders against one stock: what they take, what Shopify shows, how they end."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from occ_app import clock
from occ_app.b2b import orders, splitting
from occ_app.b2b.models import WholesaleOrder
from occ_app.catalog.models import Item
from occ_app.errors import BadFileError
from occ_app.extensions import across_shops, db
from occ_app.planning import demand
from occ_app.shops import settings
from occ_app.stock import channels, ledger, splits
from occ_app.stock.channel_models import AllocationRule, OwnChannel
from occ_app.stock.sharing import Claim
from occ_app.stock.splits import Wanted
from occ_app.sync import explain, targets
from occ_app.sync.files import KINDS
from occ_app.wiring import _ask_giving_back
from tests.b2b.conftest import HALF, SKU, System, split


def test_what_businesses_ordered_is_demand_of_theirs_until_it_is_cancelled(system: System) -> None:
    today = clock.now().date()
    kept, cancelled = system.order(5), system.order(3)
    system.post(f"/api/v1/orders/{cancelled.get_json()['id']}/cancel")
    with system.bench.scope():
        (of,) = demand.sold(None, "UTC", today).values()

    assert kept.status_code == 201
    assert (dict(of.businesses), dict(of.people)) == ({today: 5}, {})


def test_in_the_pool_an_order_lowers_shopify(system: System) -> None:
    answer = system.order(5)
    system.bench.settle()

    assert answer.status_code == 201
    assert system.bench.available(SKU) == 95
    assert system.stock() == (95, 95)


def test_of_a_split_item_an_order_leaves_shopify_alone(system: System) -> None:
    split(system.bench, SKU, HALF)
    system.bench.settle()
    before = system.bench.available(SKU)
    system.order(5)
    system.bench.settle()

    assert (before, system.bench.available(SKU)) == (60, 60)
    assert system.stock() == (35, 60)


def test_an_order_knows_its_lots_and_a_lots_trace_names_it(system: System) -> None:
    bench = system.bench
    order = system.order(5).get_json()
    system.post(f"/api/v1/orders/{order['id']}/ship")
    again = system.post(f"/api/v1/orders/{order['id']}/ship").get_json()
    page = bench.open("/trace/lots/1").get_data(as_text=True)
    file = bench.open("/trace/lots/1.csv").get_data(as_text=True)

    assert again["lines"][0]["lots"] == [{"lot_number": "L-1", "quantity": 5}]
    assert f'href="/wholesale/{order["id"]}"' in page
    assert order["number"] in file


def test_a_cancelled_order_gives_its_units_back_where_they_came_from(system: System) -> None:
    split(system.bench, SKU, HALF)
    order = system.order(5).get_json()["id"]
    first = system.post(f"/api/v1/orders/{order}/cancel")
    second = system.post(f"/api/v1/orders/{order}/cancel")
    shipped = system.post(f"/api/v1/orders/{order}/ship")

    assert (first.status_code, second.status_code, shipped.status_code) == (200, 200, 409)
    assert system.stock() == (40, 60)
    assert audit(system) == []


def audit(system: System) -> list[object]:
    """What the ledger's audit finds wrong."""
    with system.bench.scope():
        return list(ledger.audit())


def rule(system: System, name: str) -> None:
    """What happens when wholesale has too little."""
    with system.bench.scope():
        settings.put(targets.shop(), "b2b_when_short", name)
        db.session.commit()


def test_by_rule_the_pool_gives_what_wholesale_lacks(system: System) -> None:
    split(system.bench, SKU, HALF)
    rule(system, "pool")
    answer = system.order(50)
    system.bench.settle()

    assert answer.status_code == 201
    assert system.stock() == (0, 50)
    assert system.bench.available(SKU) == 50


def test_by_rule_an_order_waits_and_is_filled_by_the_next_lot_while_shopify_keeps_its_own(system: System) -> None:
    bench = system.bench
    split(bench, SKU, HALF)
    rule(system, "backorder")
    order = system.order(50).get_json()
    early = system.post(f"/api/v1/orders/{order['id']}/ship")
    bench.settle()
    before, told = bench.available(SKU), bench.exceptions()
    bench.lot(SKU, 30, number="L-2")
    after = system.ask(f"/api/v1/orders/{order['id']}").get_json()
    bench.settle()

    assert (order["lines"][0]["taken"], order["lines"][0]["waiting"], early.status_code) == (40, 10, 409)
    assert (before, after["lines"][0]["taken"], after["lines"][0]["waiting"]) == (60, 50, 0)
    assert [lot["lot_number"] for lot in after["lines"][0]["lots"]] == ["L-1", "L-2"]
    assert (told, bench.exceptions()) == (["wholesale"], [])
    assert audit(system) == []


@pytest.mark.parametrize(("step", "left"), [("cancel", (30, 60)), ("ship", (0, 60))])
def test_an_order_that_is_filled_at_that_moment_ends_with_all_of_its_units(
    system: System, monkeypatch: pytest.MonkeyPatch, step: str, left: tuple[int, int]
) -> None:
    bench = system.bench
    split(bench, SKU, (Claim("shopify", fixed=60), Claim("wholesale", fixed=40)))
    rule(system, "backorder")
    system.order(40)
    order = system.order(30).get_json()["id"]
    lock_lines, has_the_order, is_filled = orders._lock_lines, threading.Event(), threading.Event()

    def wait_for_the_goods(of: WholesaleOrder) -> None:
        has_the_order.set()
        assert is_filled.wait(30)
        lock_lines(of)

    monkeypatch.setattr(orders, "_lock_lines", wait_for_the_goods)
    with ThreadPoolExecutor(1) as other:
        answer = other.submit(system.post, f"/api/v1/orders/{order}/{step}")
        assert has_the_order.wait(30)
        bench.lot(SKU, 30, number="L-2")
        is_filled.set()
        assert answer.result(60).status_code == 200
    with bench.scope():
        taken = ledger.holdings([1], ["committed"])

    assert sum(h.quantity for h in taken[1, 1]) == 40
    assert system.stock() == left
    assert audit(system) == []


def test_a_new_lot_is_shared_by_the_rules_when_it_is_released(system: System) -> None:
    bench = system.bench
    split(bench, SKU, (Claim("wholesale", fixed=40), Claim("shopify")))
    system.order(15)
    lot = bench.lot(SKU, 50, place="in_review", number="L-2")
    before = system.stock()
    bench.move(lot, "released")
    bench.settle()

    assert (before, system.stock(), bench.available(SKU)) == ((25, 60), (40, 95), 95)


def test_unsold_units_go_back_to_shopify_on_the_day(
    system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = system.bench
    split(bench, SKU, HALF)
    with bench.scope():
        for each in db.session.scalars(db.select(AllocationRule).where(AllocationRule.channel == "wholesale")):
            each.give_back_on = clock.now().date() + timedelta(days=3)
        db.session.commit()
    (tmp_path / "clock").write_text(str(3 * 86_400 + 60))
    monkeypatch.setenv("OCC_CLOCK_FILE", str(tmp_path / "clock"))
    with across_shops():
        _ask_giving_back()
        db.session.commit()
    bench.settle()

    assert system.stock() == (0, 100)
    assert bench.available(SKU) == 100


def test_a_rule_that_cannot_give_back_stops_no_other(system: System) -> None:
    bench = system.bench
    with bench.scope():
        channels.add("Farm shop", clock.now())
        db.session.commit()
    split(bench, SKU, (Claim("shopify"), Claim("farm-shop", fixed=10), Claim("wholesale", fixed=40)))
    with bench.scope():
        for each in db.session.scalars(db.select(AllocationRule)):
            each.give_back_on = clock.now().date()
        db.session.delete(db.session.scalars(db.select(OwnChannel)).one())
        db.session.commit()
        gave = splits.give_back_due(clock.now())
        db.session.commit()
        left = db.session.scalars(db.select(AllocationRule.channel).order_by(AllocationRule.id)).all()

    assert (len(gave), left) == (1, ["shopify", "farm-shop"])
    assert system.stock() == (0, 90)


def test_a_big_order_waits_for_no_guard(system: System) -> None:
    system.order(90)
    system.bench.settle()

    assert system.bench.available(SKU) == 10


def test_orders_come_in_a_file_all_or_none_and_once(system: System) -> None:
    head = "order_reference,customer,item_sku,quantity\n"
    with system.bench.scope():
        taken = KINDS["b2b-orders"].take(f"{head}PO-1,Deli,{SKU},5\nPO-2,Kiosk,{SKU},6\n".encode(), "test", clock.now())
        db.session.commit()
        for bad in (f"PO-3,Deli,{SKU},5\nPO-4,Deli,NONE,1\n", f"PO-1,Deli,{SKU},5\n", f"PO-5,Deli,{SKU},0\n"):
            with pytest.raises(BadFileError):
                KINDS["b2b-orders"].take((head + bad).encode(), "test", clock.now())
            db.session.rollback()

    assert taken == 2
    assert system.stock() == (89, 89)


def test_at_other_locations_the_webshop_sells_alone_in_the_pool_and_split(system: System) -> None:
    bench = system.bench
    farm = bench.store.add_location("Farm shop")
    bench.level(SKU, farm)
    bench.open("/mapping/pull", method="POST")
    bench.settle()
    bench.lot(SKU, 20, number="L-F", where=farm)
    bench.map(SKU, where=farm)
    bench.settle()
    pooled = claims(system)
    with bench.scope():
        item = db.session.scalars(db.select(Item).where(Item.sku == SKU)).one()
        splitting.split(item, [Wanted(claim) for claim in HALF], actor="test", at=clock.now())
        db.session.commit()
    bench.lot(SKU, 5, number="L-G", where=farm)
    bench.settle()
    page = bench.open("/products/1").get_data(as_text=True)

    assert pooled == [(100, 100), (0, 20)]
    assert claims(system) == [(40, 60), (0, 25)]
    assert (bench.available(SKU), bench.level(SKU, farm).quantities["available"]) == (60, 25)
    assert "Webshop, Farm shop" in page
    assert system.stock() == (40, 60)
    assert audit(system) == []


def claims(system: System) -> list[tuple[int, int]]:
    """(b2b_stock, b2c_stock) of each mapping, as `occ stock show` prints them."""
    db.session.remove()
    with system.bench.scope():
        return [(row["b2b_stock"], row["b2c_stock"]) for row in explain.show(SKU)]
