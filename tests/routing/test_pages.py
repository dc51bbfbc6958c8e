"""Every page of partner orders, as merchant and partner see it; each operation as a command too."""

from __future__ import annotations

import re

import pytest

from occ_app import clock, wiring
from occ_app.extensions import across_shops, current_shop_id, db
from occ_app.partners import standing
from occ_app.partners.models import Partner
from occ_app.routing.models import PartnerBatch
from occ_app.work import tasks
from tests.partners.support import ROASTER
from tests.routing.support import Trade
from tests.support.bench import DOMAIN


@pytest.fixture
def trade_of_two(trade: Trade) -> Trade:
    """Two customers' lines on the week's order to one roaster."""
    trade.roaster()
    trade.buy("C-1", 2)
    trade.buy("C-2", 1, financial_status="pending")
    trade.send()
    return trade


def text(trade: Trade, path: str, status: int = 200, **options: object) -> str:
    """A page of the merchant."""
    answer = trade.bench.open(path, **options)
    assert answer.status_code == status, answer.get_data(as_text=True)[:600]
    return str(answer.get_data(as_text=True))


def run(trade: Trade, *words: str) -> str:
    """An `occ partner orders` command."""
    result = trade.bench.app.test_cli_runner().invoke(
        trade.bench.app.cli.commands["partner"], ["orders", words[0], "--shop", DOMAIN, *words[1:]]
    )
    assert result.exit_code == 0, result.output + str(result.stderr)
    return str(result.output)


def test_a_press_while_a_batch_is_under_way_leaves_everybody_where_they_are(
    trade_of_two: Trade, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wiring, "PATIENCE", 0.3)
    with trade_of_two.bench.scope():
        shop_id = current_shop_id()
    number = trade_of_two.orders()[0].id
    with tasks.turn(db.engine, "partner_orders", shop_id):
        pages = [
            text(trade_of_two, path, 422, method="POST")
            for path in ("/partner-orders/send", f"/partner-orders/{number}/close")
        ]

    assert all("A batch is under way" in page and "NC-2026-47" in page for page in pages)
    assert "Nothing new to send" in text(trade_of_two, "/partner-orders/send", method="POST")


def test_an_order_is_held_once_and_stays_held_when_the_cutoffs_change(trade_of_two: Trade) -> None:
    trade = trade_of_two
    order = trade.orders()[0]
    path, seen = f"/partner-orders/{order.id}/hold", {"cutoff": order.cutoff_at.isoformat()}
    assert seen["cutoff"] in text(trade, f"/partner-orders/{order.id}").replace("&#43;", "+")
    text(trade, path, method="POST", data=seen)
    assert "is another by now" in text(trade, path, 422, method="POST", data=seen)
    assert f"{trade.orders()[0].cutoff_at:%d %b}" == "26 Nov"

    trade.put("skip_dates", "2026-12-24")
    trade.send()

    assert f"{trade.orders()[0].cutoff_at:%d %b}" == "26 Nov"


def test_an_order_to_a_partner_that_left_is_cancelled_and_its_lines_need_somebody(trade_of_two: Trade) -> None:
    trade = trade_of_two
    number, batches = trade.orders()[0].id, len(trade.batches())
    trade.buy("C-3", 1, financial_status="pending")
    with trade.bench.scope():
        standing.end(trade.partner(), "partner", trade.now)
        db.session.commit()
    trade.bench.settle()
    trade.to_cutoff()

    assert trade.orders()[0].state == "cancelled"
    assert len(trade.batches()) == batches
    left = [(line.state, line.quantity) for line in trade.lines() if line.quantity]
    assert sorted(left) == [("failed", 1), ("failed", 1), ("failed", 2)]
    assert "has left: nothing can be ordered" in text(trade, "/partner-orders/lines?view=failed")
    assert "has left" in text(trade, f"/partner-orders/{number}")


def test_a_partner_that_the_merchant_paused_is_named_as_such(trade_of_two: Trade) -> None:
    with trade_of_two.bench.scope():
        standing.pause(trade_of_two.partner(), "merchant", trade_of_two.now)
        db.session.commit()

    assert (
        trade_of_two.send()[0]["cause"]
        == "You paused Northlight Coffee. Resume it under Partners to order there again."
    )


def test_the_pages_lead_from_the_growing_order_to_the_received_one(trade_of_two: Trade) -> None:
    trade = trade_of_two
    number = trade.orders()[0].id
    assert "NC-2026-47" in text(trade, "/partner-orders")
    page = text(trade, f"/partner-orders/{number}")
    assert "Open, growing" in page
    assert "Not paid yet" in page
    assert "£20.00" in page
    assert "Not paid yet" in text(trade, "/partner-orders/lines")
    assert "Held to the next cutoff" in text(trade, f"/partner-orders/{number}/hold", method="POST")
    text(trade, f"/partner-orders/{number}/close", method="POST")
    assert "has been ordered already" in text(trade, f"/partner-orders/{number}/close", 422, method="POST")
    with trade.bench.scope():
        variant = trade.lines()[0].partner_variant_id
    path = f"/partner-orders/{number}/receive"
    wrong = text(trade, path, 422, method="POST", data={f"received-{variant}": "7"})
    assert "only 2 are open" in wrong
    assert "Nothing on NC-2026-47 carries X" in text(
        trade, f"/partner-orders/{number}/scan", 422, method="POST", data={"code": "X"}
    )
    text(trade, f"/partner-orders/{number}/scan", method="POST", data={"code": "C-1"})
    text(trade, path, method="POST", data={"all": "1"})
    assert "Received" in text(trade, f"/partner-orders/{number}")
    assert "Ready" in text(trade, "/partner-orders/customers")
    assert "£20.00" in text(trade, "/partner-orders/statement")
    assert "NC-2026-47,#1001" in text(trade, "/partner-orders/statement?as=csv")
    assert "Closed by hand" in text(trade, "/partner-orders/log")
    text(trade, "/partner-orders/statement?since=2026-12-01&until=2026-01-01", 422)
    text(trade, "/partner-orders/delivery", 422, method="POST", data={"batch_hour": "25"})
    text(trade, "/partner-orders/999999", 404)


def test_the_log_of_batches_goes_back_page_by_page(trade_of_two: Trade) -> None:
    with trade_of_two.bench.scope():
        partner = db.session.scalars(db.select(Partner)).one()
        at, written = clock.now(), len(trade_of_two.batches())
        for number in range(written, 60):
            fields = {"kind": "now", "for_on": at.date(), "started_at": at, "placed": number}
            db.session.add(PartnerBatch(partner_id=partner.id, **fields))
        db.session.commit()
    first = text(trade_of_two, "/partner-orders/log")
    second = text(trade_of_two, "/partner-orders/log?page=2")

    assert (first.count("<tr>"), second.count("<tr>")) == (51, 11)  # with the heads
    assert "1–50 of 60" in first
    assert 'href="/partner-orders/log?page=2"' in first
    assert "51–60 of 60" in second
    assert "51–60 of 60" in text(trade_of_two, "/partner-orders/log?page=9")


def test_enter_in_a_count_books_what_was_counted_and_not_all_of_it(trade_of_two: Trade) -> None:
    number = trade_of_two.orders()[0].id
    trade_of_two.send("close")
    page = text(trade_of_two, f"/partner-orders/{number}/receive")
    (counting,) = [form for form in re.findall(r"<form.*?</form>", page, re.S) if 'name="received-' in form]

    assert re.findall(r"<button[^>]*>([^<]*)<", counting) == ["Book what I counted"]
    assert 'name="all"' not in counting
    assert "All 2 came well" in page


def test_a_count_that_is_sent_twice_is_booked_once(trade_of_two: Trade) -> None:
    number = trade_of_two.orders()[0].id
    trade_of_two.send("close")
    path = f"/partner-orders/{number}/receive"
    ((name, units),) = re.findall(r'name="(open-\d+)" value="(\d+)"', text(trade_of_two, path))
    form = {name: units, name.replace("open", "received"): "1"}
    text(trade_of_two, path, method="POST", data=form)
    again = text(trade_of_two, path, 422, method="POST", data=form)

    assert "1 unit open by now, 2 when this page was loaded" in again
    assert f'name="{name}" value="1"' in again
    assert [line.received for line in trade_of_two.lines() if line.partner_order_id] == [1]


def test_all_came_well_and_a_scan_book_nothing_when_somebody_else_has_counted_meanwhile(trade_of_two: Trade) -> None:
    trade = trade_of_two
    number = trade.orders()[0].id
    trade.send("close")
    path = f"/partner-orders/{number}/receive"
    page = text(trade, path)
    forms = re.findall(r"<form.*?</form>", page, re.S)
    whole, scan, _ = [dict(re.findall(r'name="([^"]+)" value="([^"]*)"', form)) for form in forms]
    scan["code"] = "C-1"
    text(trade, f"/partner-orders/{number}/scan", method="POST", data=scan)
    again = text(trade, f"/partner-orders/{number}/scan", 422, method="POST", data=scan)
    late = text(trade, path, 422, method="POST", data=whole)

    assert all("1 unit open by now, 2 when this page was loaded" in said for said in (again, late))
    assert [line.received for line in trade.lines() if line.partner_order_id] == [1]


def test_all_came_well_is_not_taken_for_what_was_counted_to_its_end_meanwhile(trade_of_two: Trade) -> None:
    trade = trade_of_two
    trade.buy("C-2", 1)
    trade.send("close")
    path = f"/partner-orders/{trade.orders()[0].id}/receive"
    page = text(trade, path)
    name, units = re.findall(r'name="(open-\d+)" value="(\d+)"', page)[0]
    whole = dict(re.findall(r'name="([^"]+)" value="([^"]*)"', page.partition("</form>")[0]))
    text(trade, path, method="POST", data={name: units, name.replace("open", "received"): units})
    late = text(trade, path, 422, method="POST", data=whole)

    assert "0 units open by now" in late
    assert sorted(line.received for line in trade.lines() if line.partner_order_id) == [0, int(units)]


def test_the_partner_sees_this_weeks_order_so_far_and_nobody_elses(trade_of_two: Trade) -> None:
    trade = trade_of_two
    with across_shops():
        partner_id = db.session.scalars(db.select(Partner.id)).one()
    theirs = trade.bench.open(f"/supplies/{partner_id}/order", trade.stores[ROASTER]).get_data(as_text=True)
    stranger = trade.bench.add_store("stranger.myshopify.com")
    stranger.add_location("Here")
    trade.bench.install(stranger)

    assert "2 units for £20.00" in theirs
    assert "6.50" not in theirs
    assert trade.bench.open(f"/supplies/{partner_id}/order", stranger).status_code == 404


def test_each_operation_is_a_command_too(trade_of_two: Trade) -> None:
    trade = trade_of_two
    assert "NC-2026-47" in run(trade, "list", "--json")
    assert '"sku": "C-1"' in run(trade, "show", "NC-2026-47")
    assert "Not paid yet" in run(trade, "lines")
    run(trade, "hold", "NC-2026-47")
    run(trade, "send", "--partner", ROASTER, "--now")
    run(trade, "close", "NC-2026-47")
    assert "2 units received" in run(trade, "receive", "NC-2026-47")
    found = run(trade, "statement", "--partner", ROASTER, "--since", "2026-11-01", "--until", "2026-11-30")
    assert found.splitlines()[1].startswith("NC-2026-47,#1001,2026-11-16,2,20.00")
    assert "close" in run(trade, "log")
