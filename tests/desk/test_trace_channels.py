"""A recall names where each unit went: webshop, wholesale, markets, samples, and what is missing."""

from __future__ import annotations

import csv
import io

from occ_app import clock
from occ_app.b2b import orders
from occ_app.catalog import pull
from occ_app.catalog.models import Item
from occ_app.desk import trace
from occ_app.extensions import db
from occ_app.production import recall
from occ_app.stock import ledger, markets
from occ_app.stock.models import Lot
from tests.support.bench import Bench


def market_and_samples(bench: Bench) -> None:
    """Of 100 bars of B-1: 3 sold in the webshop, 5 wholesale; 20 out at an open market, 10 at one that is over; 4 given away."""
    with bench.scope():
        bar = db.session.scalars(db.select(Item).where(Item.sku == "BAR")).one()
        place = pull.default_location()
        assert place is not None
        facts = {"actor": "test", "at": clock.now()}
        order = orders.create([("BAR", 5)], customer="Corner Deli", **facts)
        orders.ship(orders.get(order.id), **facts)
        past, now = (markets.open_day(name, clock.now().date(), place.id, **facts) for name in ("Harbour", "Saturday"))
        markets.take_out(past, bar, 10, **facts)
        markets.close(past, {bar.id: (3, 6)}, **facts)
        markets.take_out(now, bar, 20, **facts)
        markets.give_away(bar, place.id, "samples", 4, "tasting", **facts)
        db.session.commit()


def test_a_lot_leads_to_every_way_on_which_its_units_left(maker: Bench) -> None:
    maker.sell_in("BAR", 3)
    maker.settle()
    market_and_samples(maker)
    with maker.scope():
        lot = db.session.scalars(db.select(Lot).where(Lot.lot_number == "B-1")).one().id
        reach, here = trace.of_lots([lot]).reach, recall.units_here([lot])[lot]
        went = {
            s.order.split(",")[0]: (s.committed, s.shipped, s.returned, s.missing, s.who) for s in trace.sales([lot])
        }
        audit = ledger.audit()

    assert went == {
        "#1001": (3, 0, 0, 0, ""),
        "W-00001": (0, 5, 0, 0, "Corner Deli"),
        "Harbour": (0, 6, 3, 1, ""),
        "Saturday": (20, 0, 0, 0, ""),
        "Samples": (0, 4, 0, 0, "tasting"),
    }
    assert (reach.orders, reach.others, reach.committed, reach.shipped) == (2, 3, 23, 16)
    assert (here, audit) == (100 - 23 - 16, [])


def test_the_recalls_file_and_pages_name_them_all_and_a_wholesale_order_leads_back(maker: Bench) -> None:
    market_and_samples(maker)
    with maker.scope():
        lot = db.session.scalars(db.select(Lot).where(Lot.lot_number == "B-1")).one().id
        opened = recall.open_([lot], reason="glass", actor="test", at=clock.now())
        db.session.commit()
        number = opened.id
    body = maker.open(f"/recalls/{number}/orders.csv").get_data(as_text=True)
    rows = list(csv.DictReader(io.StringIO(body.removeprefix("\ufeff"))))
    page = maker.open(f"/recalls/{number}").get_data(as_text=True)
    back = maker.open("/trace?q=w-00001")
    order = maker.open(back.headers["Location"]).get_data(as_text=True)

    assert {(r["kind"], r["state"], r["customer_or_purpose"]) for r in rows} == {
        ("order", "shipped", "Corner Deli"),
        ("market day", "sold", ""),
        ("market day", "at the market", ""),
        ("given away", "given away", "tasting"),
    }
    assert all(words in page for words in ("At the market", "Given away", "1 missing", "/channels/markets/"))
    assert (back.status_code, "CM-1" in order) == (303, True)
