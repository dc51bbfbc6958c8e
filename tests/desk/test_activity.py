"""Activity: all that happened in one list, why each push was made, searched, paged, as a file."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta

import pytest

from occ_app import clock
from occ_app.catalog.models import Mapping
from occ_app.extensions import db
from occ_app.inbox.models import Delivery
from occ_app.orders.models import Order
from occ_app.shops.models import Shop
from occ_app.stock import lots
from occ_app.sync import modes
from occ_app.sync.models import PushLine, SyncRun
from tests.support.bench import DOMAIN, Bench, Statements


@pytest.fixture
def shop(bench: Bench) -> Bench:
    """10 of A on sale, by the piece and in boxes of 2; a lot of 6 waits in review."""
    bench.product("A", 0)
    bench.product("A-2", 0)
    bench.install()
    bench.item("A", name="Sea salt bar")
    bench.lot("A", 10)
    bench.map("A", "hub")
    bench.map("A", "hub", variant_sku="A-2", units=2)
    bench.settle()
    bench.lot("A", 6, "in_review", number="CB-7")
    bench.settle()
    return bench


def reasons(bench: Bench) -> list[str]:
    """Why the pushes of the single bar were made, newest first."""
    db.session.remove()
    with bench.scope():
        single = db.select(Mapping.id).where(Mapping.units_per_variant == 1)
        lines = db.select(PushLine).where(PushLine.mapping_id.in_(single), PushLine.state == "applied")
        return [line.why or "" for line in db.session.scalars(lines.order_by(PushLine.id.desc()))]


def test_each_push_says_why_it_was_made(shop: Bench) -> None:
    with shop.scope():
        lot = lots.find("CB-7")
        assert lot is not None
        lots.move(lot, "released", actor="test", at=clock.now())
        db.session.commit()
    shop.settle()
    order = shop.sell_in("A-2", 1)
    shop.settle()
    shop.lot("A", 3, "in_review", number="CB-8")
    with shop.scope():
        modes.apply_setting(db.session.scalars(db.select(Shop)).one(), "sync_mode", "completed")
        db.session.commit()
    shop.settle()

    assert reasons(shop) == ["Mode changed, Lot CB-8 made", f"Order {order.name}", "Lot CB-7 released", "First link"]
    text = shop.open("/activity").get_data(as_text=True)
    assert "Lot CB-7 released" in text
    assert "Lot CB-7 released" in shop.open("/products/1").get_data(as_text=True)


def test_all_holds_every_kind_and_a_search_finds_what_it_names(shop: Bench) -> None:
    order = shop.sell_in("A", 1)
    shop.settle()
    text = shop.open("/activity").get_data(as_text=True)
    found = shop.open(f"/activity?q={order.name.replace('#', '%23')}").get_data(as_text=True)

    for words in ("Sea salt bar", f"Order {order.name}", "Compared", "orders/create"):
        assert words in text
    assert f"Order {order.name}" in found
    assert "orders/create" not in found


def test_pages_show_every_line_once_and_take_as_many_statements(shop: Bench) -> None:
    taken = {}
    for number in (30, 120):
        with shop.scope():
            now = clock.now()
            db.session.add_all(SyncRun(kind="reconcile", started_at=now, finished_at=now) for _ in range(number))
            db.session.add_all(Order(order_gid=f"gid://x/{number}-{n}", name=f"#{n}", booked_at=now) for n in range(9))
            db.session.commit()
        shop.open("/activity")
        with Statements() as statements:
            shop.open("/activity")
        taken[number] = len(statements.texts)
    listed = list(csv.DictReader(io.StringIO(shop.open("/activity.csv").get_data(as_text=True))))
    shown, path = 0, "/activity"
    for _ in range(20):
        text = shop.open(path).get_data(as_text=True)
        shown += text.split("<tbody>")[1].count("<tr")
        if 'aria-label="Older"' not in text or 'disabled aria-label="Older"' in text:
            break
        path = text.split('aria-label="Older"')[0].rsplit('href="', 1)[1].split('"')[0].replace("&amp;", "&")

    assert taken[120] <= taken[30] <= 14
    assert shown == len(listed) > 150


def moments(bench: Bench, view: str) -> list[str]:
    """The moments of all lines of the view, page by page, as they stand there."""
    found, path = [], f"/activity?view={view}"
    for _ in range(20):
        text = bench.open(path).get_data(as_text=True)
        found += re.findall(r'<time datetime="([^"]+)"', text.split("<tbody>")[1].split("</tbody>")[0])
        if 'disabled aria-label="Older"' in text or 'aria-label="Older"' not in text:
            break
        path = text.split('aria-label="Older"')[0].rsplit('href="', 1)[1].split('"')[0].replace("&amp;", "&")
    return found


@pytest.mark.parametrize("view", ["all", "order", "push", "run", "delivery"])
def test_every_page_is_newest_first(shop: Bench, view: str) -> None:
    now = clock.now()
    with shop.scope():
        for n in range(60):  # the older the row, the newer what happened to it; three at a time
            at = now + timedelta(minutes=n // 3 * (-1 if n % 2 else 1))
            db.session.add(Order(order_gid=f"gid://x/{n}", name=f"#{n}", placed_at=now, booked_at=at))
            db.session.add(SyncRun(kind="reconcile", started_at=at, finished_at=at))
            delivery = {"shop_id": 1, "shop_domain": DOMAIN, "topic": "x/y", "webhook_id": f"w{n}", "body": b"{}"}
            db.session.add(Delivery(state="done", received_at=at, next_try_at=at, **delivery))
        line = db.session.scalars(db.select(PushLine).order_by(PushLine.id)).first()
        assert line is not None
        line.settled_at = now + timedelta(hours=1)
        db.session.commit()
    found = moments(shop, view)

    assert len(found) >= (2 if view == "push" else 60)
    assert found == sorted(found, reverse=True)


def test_an_order_that_changes_later_says_so(shop: Bench) -> None:
    changed, shipped = shop.sell_in("A", 1), shop.sell_in("A", 2)
    shop.settle()
    before = shop.open("/activity?view=order").get_data(as_text=True)
    with shop.scope():
        for order in db.session.scalars(db.select(Order)):
            order.placed_at = clock.now() - timedelta(days=3)
            order.fulfillment_status = "FULFILLED" if order.name == shipped.name else ""
        db.session.commit()
    text = shop.open("/activity?view=order").get_data(as_text=True)
    rows = [text.split(f"Order {order.name}<")[1].split("</tr>")[0] for order in (changed, shipped)]

    assert before.count("Somebody bought") == 2
    assert "Order changed" in rows[0]
    assert "Order fulfilled" in rows[1]
    assert "Somebody bought" not in text


def test_home_counts_orders_on_the_day_they_were_placed(shop: Bench) -> None:
    shop.sell_in("A", 1)
    shop.sell_in("A", 2)
    shop.settle()
    with shop.scope():
        first = db.session.scalars(db.select(Order).order_by(Order.id)).first()
        assert first is not None
        first.placed_at = clock.now() - timedelta(days=3)  # it is booked anew today, as an edit or a fulfilment does
        db.session.commit()
    text = shop.open("/home/metrics").get_data(as_text=True)

    assert text.split("Orders placed today</span><b>")[1].startswith("1<")


def test_beyond_the_oldest_line_nothing_is_older(shop: Bench) -> None:
    text = shop.open("/activity?before=1000-run-1").get_data(as_text=True)

    assert "Nothing is older" in text
    assert "Nothing has happened" not in text


def test_a_push_is_taken_back_on_its_page(shop: Bench) -> None:
    shop.lot("A", 4, number="CB-9")
    shop.settle()
    with shop.scope():
        line = db.session.scalars(
            db.select(PushLine).join(Mapping, Mapping.id == PushLine.mapping_id).where(Mapping.units_per_variant == 1)
            .order_by(PushLine.id.desc())
        ).first()  # fmt: skip
        assert line is not None
        path, run_path = f"/activity/pushes/{line.id}/undo", f"/activity/runs/{line.run_id}/undo"
    text, run_text = (shop.open(where).get_data(as_text=True) for where in (path, run_path))
    answers = [shop.open(path, method="POST").status_code for _ in range(2)]
    shop.settle()

    assert "Take back 4 units" in text
    assert "2 numbers" in run_text
    assert answers == [303, 422]
    assert (shop.available("A"), shop.available("A-2")) == (10, 7)
    assert "Taken back" in shop.open("/activity?view=push").get_data(as_text=True)
    assert "a person took the last push back" in shop.open("/approvals").get_data(as_text=True)


def test_a_push_after_a_link_that_sent_nothing_says_what_moved(bench: Bench) -> None:
    bench.product("A", 10)
    bench.install()
    bench.item("A")
    bench.lot("A", 10)
    bench.map("A", "hub")
    bench.settle()
    bench.lot("A", 2, number="CB-9")
    bench.settle()

    (why,) = reasons(bench)
    assert why.startswith(
        "Lot CB-9 made"
    )  # a link's moment is known to the second only: what was moved within it may be told too
