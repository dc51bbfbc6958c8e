"""The weekly partner order: captured, growing as a draft, ordered at the cutoff, sent, received."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import true

from devshop import drafts, inventory, orders, products
from devshop.faults import CallFault
from occ_app.extensions import db
from occ_app.partners.models import ImportedVariant, Reflection
from occ_app.routing import listing, receiving
from occ_app.routing import orders as partner_orders
from occ_app.routing.models import PartnerParcel
from occ_app.routing.receiving import Count
from occ_app.stock.models import Balance
from occ_app.sync import settle
from occ_app.sync.models import SyncException
from tests.partners.support import ROASTER
from tests.routing.support import ADDRESS, Trade


@pytest.fixture
def weekly(trade: Trade) -> Trade:
    """One roaster, whose orders close on Thursdays at 18:00, London time."""
    trade.roaster()
    return trade


def receive(trade: Trade, sku: str, *counts: int, number: int = 0) -> None:
    """So many units of the SKU were counted on that order: received, short, damaged."""
    name = trade.orders()[number].name
    with trade.bench.scope():
        order = partner_orders.find(name)
        found = receiving.find_variant(order, sku)
        receiving.receive(order, {found.id: Count(*counts)}, actor="test", today=trade.now.date(), at=trade.now)
        db.session.commit()


def units(trade: Trade, place: str) -> int:
    """Units of all items at a place."""
    db.session.remove()
    with trade.bench.scope():
        return sum(db.session.scalars(db.select(Balance.quantity).where(Balance.place == place)))


def decide(trade: Trade, kind: str, remedy: str) -> None:
    """Somebody settles the open exception of that kind."""
    with trade.bench.scope():
        found = next(one for one in _open() if one.kind == kind)
        settle.settle(found.id, remedy, actor="test", at=trade.now)
        db.session.commit()
    trade.bench.settle()


def _open():  # type: ignore[no-untyped-def]
    return db.session.scalars(db.select(SyncException).where(SyncException.settled_at.is_(None))).all()


def test_customers_orders_grow_one_draft_until_the_cutoff_makes_it_an_order(weekly: Trade) -> None:
    weekly.buy("C-1", 2)
    weekly.send()
    weekly.later(days=1)
    weekly.buy("C-1", 1)
    weekly.buy("C-2", 4)
    weekly.send()

    (draft,) = weekly.drafts()
    assert weekly.held(draft) == {"C-1": 3, "C-2": 4}
    assert draft.po_number == "NC-2026-47"
    assert draft.shipping_address["address1"] == ADDRESS["address1"]
    assert str(draft.total) == "74.00"
    assert weekly.theirs() == []

    weekly.to_cutoff()
    (order,) = weekly.theirs()
    assert weekly.held(order) == {"C-1": 3, "C-2": 4}
    assert order.financial_status == "PENDING"
    (ours,) = weekly.orders()
    assert (ours.state, ours.order_gid) == ("ordered", order.gid)
    assert weekly.exceptions() == {}


def test_the_daily_batch_comes_by_itself_at_the_shops_hour(weekly: Trade) -> None:
    weekly.buy("C-1")
    weekly.bench.settle()
    weekly.to(weekly.now.replace(hour=5) + timedelta(days=1))
    weekly.bench.settle()
    assert [batch.kind for batch in weekly.batches()] == ["daily"]  # of Monday, whose hour had come before the order
    (draft,) = weekly.drafts()
    weekly.buy("C-2")
    assert weekly.held(draft) == {"C-1": 1}

    weekly.later(hours=1)
    weekly.bench.settle()
    weekly.bench.settle()

    assert weekly.held(weekly.drafts()[0]) == {"C-1": 1, "C-2": 1}
    assert [batch.kind for batch in weekly.batches()] == ["daily", "daily"]


def test_units_on_the_draft_are_taken_off_the_partners_number_once(weekly: Trade) -> None:
    weekly.buy("C-1", 3)
    weekly.send()
    weekly.look()

    assert (
        inventory.level(weekly.stores[ROASTER], weekly.stores[ROASTER].variant("C-1"), _place(weekly)).quantities[
            "available"
        ]
        == 47
    )
    assert weekly.bench.available("C-1") == 47
    with weekly.bench.scope():
        assert db.session.scalar(db.select(db.func.sum(Reflection.quantity))) == 3
        assert sum(db.session.scalars(db.select(ImportedVariant.reflected))) == 3


def _place(trade: Trade):  # type: ignore[no-untyped-def]
    return trade.stores[ROASTER].location(None)


@pytest.mark.parametrize("fault", ["lost_after", "lost_before", "internal_after", "500"])
def test_a_lost_answer_never_makes_a_second_draft_or_order(weekly: Trade, fault: str) -> None:
    weekly.buy("C-1", 2)
    store = weekly.stores[ROASTER]
    store.faults.upcoming.append(CallFault(fault, "mutation"))
    weekly.send()
    weekly.send()  # at once: nobody knows yet whether the first one was made
    weekly.later(minutes=5)
    weekly.send()
    assert len(weekly.drafts()) == 1
    weekly.buy("C-2", 1)
    store.faults.upcoming.append(CallFault(fault, "mutation"))
    weekly.send()
    weekly.later(minutes=5)
    weekly.send()
    assert weekly.held(weekly.drafts()[0]) == {"C-1": 2, "C-2": 1}

    store.faults.upcoming.append(CallFault(fault, "mutation"))
    weekly.to_cutoff()
    weekly.later(minutes=10)
    weekly.bench.settle()

    assert [weekly.held(order) for order in weekly.theirs()] == [{"C-1": 2, "C-2": 1}]
    assert [order.state for order in weekly.orders()] == ["ordered"]


def test_a_cancellation_before_the_cutoff_takes_the_line_off(weekly: Trade) -> None:
    mine = weekly.buy("C-1", 2)
    weekly.buy("C-2", 1)
    weekly.send()
    orders.cancel(weekly.bench.store, mine, restock=True)
    weekly.bench.settle()

    weekly.to_cutoff()

    assert [weekly.held(order) for order in weekly.theirs()] == [{"C-2": 1}]
    assert weekly.exceptions() == {}


def test_a_draft_that_lost_all_its_lines_is_deleted_and_nothing_is_ordered(weekly: Trade) -> None:
    mine = weekly.buy("C-1", 2)
    weekly.send()
    orders.cancel(weekly.bench.store, mine, restock=True)
    weekly.bench.settle()
    weekly.to_cutoff()

    assert (weekly.drafts(), weekly.theirs()) == ([], [])
    assert [order.state for order in weekly.orders()] == ["cancelled"]
    weekly.look()
    assert weekly.bench.available("C-1") == 50


def test_a_cancellation_after_the_cutoff_is_told_with_a_message_to_the_partner(weekly: Trade) -> None:
    mine = weekly.buy("C-1", 2)
    weekly.send()
    weekly.to_cutoff()
    orders.cancel(weekly.bench.store, mine, restock=True)
    weekly.bench.settle()

    assert weekly.exceptions()["late_change"]["units"] == 2
    page = weekly.bench.open("/exceptions").get_data(as_text=True)
    assert "would you take 2 × Coffee 1 (C-1) off our order NC-2026-47" in page


@pytest.mark.parametrize(
    "more",
    [{"financial_status": "pending"}, {"is_on_hold": True}, {"risk": "cancel"}],
    ids=lambda more: next(iter(more)),
)
def test_what_is_not_paid_or_held_or_risky_does_not_go(weekly: Trade, more: dict[str, object]) -> None:
    waits = weekly.buy("C-1", 2, **more)
    weekly.buy("C-2", 1)
    weekly.send()
    assert weekly.held(weekly.drafts()[0]) == {"C-2": 1}
    if waits.financial_status == "PENDING":
        orders.pay(weekly.bench.store, waits)
    waits.risk = "ACCEPT"
    orders.hold(weekly.bench.store, waits, is_on_hold=False)
    weekly.bench.settle()

    weekly.send()

    assert weekly.held(weekly.drafts()[0]) == {"C-1": 2, "C-2": 1}


def test_the_hold_window_keeps_a_new_order_back(weekly: Trade) -> None:
    weekly.put("hold_minutes", "30")
    weekly.buy("C-1")
    weekly.send()
    assert weekly.drafts() == []
    weekly.later(minutes=31)

    weekly.send()

    assert weekly.held(weekly.drafts()[0]) == {"C-1": 1}


def test_without_an_address_nothing_is_sent_and_it_is_said_where_to_set_it(weekly: Trade) -> None:
    weekly.bench.place.address.clear()
    weekly.buy("C-1")
    (made,) = weekly.send()

    assert "has no complete address" in made["cause"]
    assert "Settings, Locations" in weekly.exceptions()["setup"]["cause"]
    assert weekly.drafts() == []
    weekly.bench.place.address.update(ADDRESS)
    weekly.send()
    assert weekly.held(weekly.drafts()[0]) == {"C-1": 1}
    assert weekly.exceptions() == {}


def test_the_cost_is_the_one_of_the_day_it_was_sold(weekly: Trade) -> None:
    weekly.buy("C-1", 2)
    store = weekly.stores[ROASTER]
    variant = store.variant("C-1")
    products.update(store, store.products[variant.product_id], variant, {"price": "12.00"})
    weekly.bench.settle()
    weekly.send()

    assert str(weekly.drafts()[0].total) == "20.00"


def test_a_partners_edit_is_asked_about_and_at_the_cutoff_theirs_counts(weekly: Trade) -> None:
    weekly.buy("C-1", 3)
    weekly.buy("C-2", 1)
    weekly.send()
    store = weekly.stores[ROASTER]
    drafts.edit(store, weekly.drafts()[0], {"set": [{"sku": "C-1", "quantity": 1}]})
    weekly.bench.settle()
    assert weekly.exceptions()["partner_order"]["difference"] == "Coffee 1: 3 to 1"

    weekly.to_cutoff()

    assert [weekly.held(order) for order in weekly.theirs()] == [{"C-1": 1, "C-2": 1}]
    assert weekly.exceptions()["partner_lines"]["units"] == 2
    decide(weekly, "partner_lines", "retry")
    weekly.send()
    assert weekly.held(weekly.drafts()[-1]) == {"C-1": 2}


def test_an_edit_of_a_variant_at_two_costs_that_is_taken_costs_what_it_costs_in_their_store(weekly: Trade) -> None:
    weekly.buy("C-1", 2)
    store = weekly.stores[ROASTER]
    variant = store.variant("C-1")
    products.update(store, store.products[variant.product_id], variant, {"price": "12.00"})
    weekly.bench.settle()
    weekly.buy("C-1", 3)
    weekly.send()
    (draft,) = weekly.drafts()
    first = next(line for line in draft.lines if line.quantity == 2)
    edit = {"set": [{"line_id": first.id, "quantity": 4}], "add": [{"sku": "C-2", "quantity": 1}]}
    edit["set"] += [{"line_id": line.id, "quantity": 2} for line in draft.lines if line.quantity == 3]
    drafts.edit(store, draft, edit)
    weekly.bench.settle()
    decide(weekly, "partner_order", "theirs")
    with weekly.bench.scope():
        cost = listing.one(weekly.orders()[0].id).cost

    assert cost == weekly.drafts()[0].total


def test_what_the_partner_added_is_on_our_order_as_theirs_and_billed_until_it_is_cancelled(weekly: Trade) -> None:
    weekly.buy("C-1", 1)
    weekly.send()
    drafts.edit(weekly.stores[ROASTER], weekly.drafts()[0], {"add": [{"sku": "C-2", "quantity": 2}]})
    weekly.bench.settle()
    decide(weekly, "partner_order", "theirs")
    number = weekly.orders()[0].id
    page = weekly.bench.open(f"/partner-orders/{number}").get_data(as_text=True)
    assert page.count("Added by them") == 1
    assert "1 line, summed by variant" in page
    weekly.to_cutoff()
    since, until = weekly.now - timedelta(days=9), weekly.now + timedelta(days=9)
    with weekly.bench.scope():
        shown = listing.one(number)
        assert shown.units == sum(one.units for one in listing.variants_of(shown.order, shown.partner)) == 3
        (entry,) = listing.statement(shown.partner, since, until)
        assert (entry.units, entry.to_pay) == (3, shown.cost)
    orders.cancel(weekly.stores[ROASTER], weekly.theirs()[0], restock=True)
    weekly.bench.settle()

    with weekly.bench.scope():
        assert listing.statement(weekly.partner(), since, until) == []
        assert listing.one(number).cost == 0


def test_what_the_partner_added_and_refunds_is_no_longer_on_our_order(weekly: Trade) -> None:
    weekly.buy("C-1", 2)
    weekly.send()
    store, (draft,) = weekly.stores[ROASTER], weekly.drafts()
    added = [{"sku": "C-2", "quantity": 3}, {"title": "Packing", "price": "4.50"}]
    drafts.edit(store, draft, {"set": [{"sku": "C-1", "quantity": 4}], "add": added})
    weekly.bench.settle()
    decide(weekly, "partner_order", "theirs")
    weekly.to_cutoff()
    (theirs,) = weekly.theirs()
    for title, quantity in (("Coffee 1", 1), ("Coffee 2", 2), ("Packing", 1)):
        line = next(one for one in theirs.lines if one.title == title)
        orders.refund(store, theirs, [{"line_item_id": line.id, "quantity": quantity}])
        weekly.look()
    with weekly.bench.scope():
        shown = listing.one(weekly.orders()[0].id)

    assert sorted(shown.order.extra) == sorted(
        [[store.variant(sku).gid, cost, 1] for sku, cost in (("C-1", "10.00"), ("C-2", "11.00"))]
    )
    assert (shown.units, str(shown.cost)) == (4, "41.00")
    assert "partner_lines" not in weekly.exceptions()
    page = weekly.bench.open(f"/partner-orders/{shown.order.id}").get_data(as_text=True)
    assert all(f"took {what} off that they had added" in page for what in ("1 unit", "2 units", "a fee"))


def test_put_ours_back_undoes_the_partners_edit(weekly: Trade) -> None:
    weekly.buy("C-1", 3)
    weekly.send()
    store = weekly.stores[ROASTER]
    drafts.edit(store, weekly.drafts()[0], {"set": [{"sku": "C-1", "quantity": 1}], "add": [{"sku": "C-3"}]})
    weekly.bench.settle()
    decide(weekly, "partner_order", "ours")
    weekly.send()

    assert weekly.held(weekly.drafts()[0]) == {"C-1": 3}
    assert weekly.exceptions() == {}


def test_what_is_sold_while_an_edit_is_open_goes_on_another_order(weekly: Trade) -> None:
    weekly.buy("C-1", 3)
    weekly.send()
    drafts.edit(weekly.stores[ROASTER], weekly.drafts()[0], {"set": [{"sku": "C-1", "quantity": 1}]})
    weekly.bench.settle()
    weekly.buy("C-2", 1)
    weekly.send()

    assert [weekly.held(draft) for draft in weekly.drafts()] == [{"C-1": 1}, {"C-2": 1}]


def test_a_draft_that_the_partner_deleted_is_opened_anew(weekly: Trade) -> None:
    weekly.buy("C-1", 3)
    weekly.send()
    drafts.delete(weekly.stores[ROASTER], weekly.drafts()[0])
    weekly.bench.settle()
    assert weekly.exceptions()["partner_order"]["what"] == "deleted"

    weekly.to_cutoff()
    weekly.send("close")

    assert [weekly.held(order) for order in weekly.theirs()] == [{"C-1": 3}]
    assert [order.state for order in weekly.orders()] == ["cancelled", "ordered"]


def test_the_desk_says_one_line_where_it_is_one(weekly: Trade) -> None:
    weekly.buy("C-1", 1)
    weekly.send()
    drafts.delete(weekly.stores[ROASTER], weekly.drafts()[0])
    weekly.bench.settle()
    page = weekly.bench.open("/exceptions").get_data(as_text=True)
    assert "1 line waits again and goes on a new order with the next batch" in page
    weekly.send("close")
    orders.cancel(weekly.stores[ROASTER], weekly.theirs()[0], restock=True)
    weekly.bench.settle()
    page = weekly.bench.open("/exceptions").get_data(as_text=True)

    assert "1 line that had not come needs you" in page
    assert "1 unit sold is on no order" in page


def test_lines_that_come_back_are_told_to_go_once_they_may(weekly: Trade) -> None:
    mine = weekly.buy("C-1", 1)
    weekly.send()
    mine.financial_status = "PENDING"
    orders.touched(weekly.bench.store, mine)
    weekly.bench.settle()
    drafts.delete(weekly.stores[ROASTER], weekly.drafts()[0])
    weekly.bench.settle()
    page = weekly.bench.open(f"/partner-orders/{weekly.orders()[0].id}").get_data(as_text=True)
    assert "deleted the draft: 1 line goes on a new one once paid" in page
    page = weekly.bench.open("/exceptions").get_data(as_text=True)
    assert "1 line waits again and goes on a new order once paid." in page
    weekly.buy("C-2", 1)

    page = weekly.bench.open("/partner-orders").get_data(as_text=True)
    assert "lines go: 1 with the next batch, 1 once paid" in page


def test_a_draft_that_was_deleted_once_nobody_wanted_it_promises_no_lines(weekly: Trade) -> None:
    mine = weekly.buy("C-1", 1)
    weekly.send()
    weekly.bench.settle()  # the batch of the day, too
    orders.cancel(weekly.bench.store, mine, restock=True)
    weekly.bench.settle()
    drafts.delete(weekly.stores[ROASTER], weekly.drafts()[0])
    weekly.bench.settle()

    page = weekly.bench.open("/exceptions").get_data(as_text=True)
    assert "No customer waits for anything of it." in page


def test_a_failed_line_that_is_not_paid_goes_again_once_it_is(weekly: Trade) -> None:
    mine = weekly.buy("C-1", 1)
    weekly.buy("C-2", 2)
    weekly.send("close")
    orders.cancel(weekly.stores[ROASTER], weekly.theirs()[0], restock=True)
    mine.financial_status = "PENDING"
    orders.touched(weekly.bench.store, mine)
    weekly.bench.settle()
    lines = [line.id for line in weekly.lines() if line.state == "failed"]
    page = weekly.bench.open(f"/partner-orders/lines/{lines[0]}/retry", method="POST").get_data(as_text=True)
    assert "Goes once paid" in page
    with weekly.bench.scope():
        found = next(one for one in _open() if one.kind == "partner_lines")
        said = settle.settle(found.id, "retry", actor="test", at=weekly.now)

    assert said.sentence == "1 line goes with the next batch"


def test_a_late_cancellation_names_only_what_the_order_is_called_already(weekly: Trade) -> None:
    mine = weekly.buy("C-1", 2)
    weekly.send()
    weekly.stores[ROASTER].faults.upcoming.append(CallFault("lost_before", "mutation"))
    weekly.to_cutoff()
    assert weekly.orders()[0].state == "closing"
    orders.cancel(weekly.bench.store, mine, restock=True)
    weekly.bench.settle()
    page = weekly.bench.open("/exceptions").get_data(as_text=True)

    assert "off our order NC-2026-47? Our customer cancelled it." in page


def test_an_order_that_the_partner_made_early_is_adopted_and_a_new_one_opened(weekly: Trade) -> None:
    weekly.buy("C-1", 3)
    weekly.send()
    drafts.complete(weekly.stores[ROASTER], weekly.drafts()[0], is_pending=True)
    weekly.bench.settle()
    weekly.buy("C-2", 2)
    weekly.send()

    assert [order.state for order in weekly.orders()] == ["ordered", "open"]
    assert weekly.held(weekly.drafts()[1]) == {"C-2": 2}


def test_an_order_that_the_partner_cancelled_leaves_its_lines_to_a_person(weekly: Trade) -> None:
    weekly.buy("C-1", 3)
    weekly.send()
    weekly.to_cutoff()
    orders.cancel(weekly.stores[ROASTER], weekly.theirs()[0], restock=True)
    weekly.bench.settle()

    assert weekly.exceptions()["partner_lines"]["units"] == 3
    assert [order.state for order in weekly.orders()] == ["cancelled"]


def test_what_is_out_of_stock_at_the_cutoff_is_left_out_and_told(weekly: Trade) -> None:
    weekly.buy("C-1", 3)
    weekly.buy("C-2", 2)
    weekly.send()
    store = weekly.stores[ROASTER]
    inventory.set_available(
        store, inventory.level(store, store.variant("C-1"), _place(weekly)), -2, who="admin", why="broken bags"
    )

    weekly.to_cutoff()

    assert [weekly.held(order) for order in weekly.theirs()] == [{"C-1": 1, "C-2": 2}]
    assert "did not have enough" in weekly.exceptions()["partner_lines"]["causes"][0]


@pytest.mark.parametrize("remedy", ["theirs", "ours"])
def test_a_fee_that_the_partner_added_is_asked_about_and_no_line_is_lost(weekly: Trade, remedy: str) -> None:
    weekly.buy("C-1", 2)
    weekly.send()
    drafts.edit(weekly.stores[ROASTER], weekly.drafts()[0], {"add": [{"title": "Packing", "price": "4.50"}]})
    weekly.look()
    assert weekly.exceptions()["partner_order"]["difference"] == "Packing: 0 to 1"

    decide(weekly, "partner_order", remedy)
    weekly.buy("C-2", 1)
    weekly.send()
    weekly.to_cutoff()

    titles = [(line.title, line.variant is None) for line in weekly.theirs()[0].lines]
    assert (("Packing", True) in titles) is (remedy == "theirs")
    assert sum(line.quantity for line in weekly.theirs()[0].lines if line.variant) == 3
    assert "partner_lines" not in weekly.exceptions()


def test_a_fee_is_paid_and_shown_as_such_and_counts_as_no_unit(weekly: Trade) -> None:
    weekly.buy("C-1", 2)
    weekly.send()
    drafts.edit(weekly.stores[ROASTER], weekly.drafts()[0], {"add": [{"title": "Packing", "price": "4.50"}]})
    weekly.bench.settle()
    decide(weekly, "partner_order", "theirs")
    number = weekly.orders()[0].id
    page = weekly.bench.open(f"/partner-orders/{number}").get_data(as_text=True)
    theirs = weekly.bench.open(f"/supplies/{weekly.orders()[0].partner_id}/order", weekly.stores[ROASTER]).get_data(
        as_text=True
    )
    assert "Added by them" not in page
    assert ("Fee" in page, "1 variant" in page, "£24.50" in page) == (True, True, True)
    assert "2 units for £24.50" in theirs
    weekly.to_cutoff()
    fee = next(line for line in weekly.theirs()[0].lines if line.variant is None)
    row = {"line_item_id": fee.id, "quantity": 1}
    orders.fulfil(weekly.stores[ROASTER], weekly.theirs()[0], [row])
    weekly.look()

    assert weekly.orders()[0].state == "ordered"  # none of the goods has left
    assert "0 units sent" in weekly.bench.open(f"/partner-orders/{number}").get_data(as_text=True)
    file = weekly.bench.open("/partner-orders/statement?as=csv").get_data(as_text=True).splitlines()
    row = dict(zip(file[0].split(","), file[1].split(","), strict=True))
    assert [row[name] for name in ("units", "ordered", "fees", "to_pay")] == ["2", "20.00", "4.50", "24.50"]
    page = weekly.bench.open("/partner-orders/statement").get_data(as_text=True)
    assert page.count('data-label="Fees">£4.50<') == 2


def test_a_fee_does_not_make_an_order_as_large_as_it_must_be(weekly: Trade) -> None:
    weekly.put("minimum_units", "3")
    weekly.buy("C-1", 2)
    weekly.send()
    drafts.edit(weekly.stores[ROASTER], weekly.drafts()[0], {"add": [{"title": "Packing", "price": "4.50"}]})
    weekly.bench.settle()
    decide(weekly, "partner_order", "theirs")
    weekly.to_cutoff()

    assert weekly.theirs() == []


@pytest.mark.parametrize("is_heard", [True, False])
def test_a_fee_that_came_as_a_variant_was_deleted_is_kept(weekly: Trade, is_heard: bool) -> None:
    weekly.buy("C-1", 3)
    weekly.buy("C-2", 2)
    weekly.send()
    weekly.bench.settle()
    store = weekly.stores[ROASTER]
    with weekly.bench.world.silence():
        drafts.edit(store, weekly.drafts()[0], {"add": [{"title": "Packing", "price": "4.50"}]})
        products.delete_variant(store, store.variant("C-1"))
    if is_heard:
        weekly.look()
        assert weekly.exceptions()["partner_order"]["difference"] == "Packing: 0 to 1"
    weekly.to_cutoff()

    assert sorted((line.title, line.quantity) for line in weekly.theirs()[0].lines) == [("Coffee 2", 2), ("Packing", 1)]
    assert weekly.orders()[0].extra == [["custom:Packing", "4.50", 1]]
    assert weekly.exceptions()["partner_lines"]["causes"] == ["Northlight Coffee no longer has it"]


def test_a_variant_that_the_partner_added_and_then_deleted_stops_nothing(weekly: Trade) -> None:
    weekly.buy("C-1", 2)
    weekly.send()
    store = weekly.stores[ROASTER]
    drafts.edit(store, weekly.drafts()[0], {"add": [{"sku": "C-3", "quantity": 4}]})
    weekly.bench.settle()
    decide(weekly, "partner_order", "theirs")
    with weekly.bench.world.silence():
        products.delete_variant(store, store.variant("C-3"))
    weekly.buy("C-2", 1)
    weekly.send()
    weekly.to_cutoff()

    assert [weekly.held(order) for order in weekly.theirs()] == [{"C-1": 2, "C-2": 1}]
    assert weekly.orders()[0].extra == []
    assert "partner_lines" not in weekly.exceptions()


def test_a_deleted_variant_stops_only_its_own_lines(weekly: Trade) -> None:
    weekly.buy("C-1", 3)
    weekly.buy("C-2", 2)
    weekly.send()
    store = weekly.stores[ROASTER]
    products.delete_variant(store, store.variant("C-1"))
    weekly.bench.settle()

    weekly.to_cutoff()

    assert [weekly.held(order) for order in weekly.theirs()] == [{"C-2": 2}]
    assert weekly.exceptions()["partner_lines"]["causes"] == ["Northlight Coffee no longer has it"]


def test_parcels_come_back_and_receiving_gives_every_order_its_lot(weekly: Trade) -> None:
    weekly.buy("C-1", 2)
    weekly.buy("C-1", 1)
    weekly.send()
    weekly.to_cutoff()
    orders.fulfil(weekly.stores[ROASTER], weekly.theirs()[0], tracking={"company": "DPD", "numbers": ["15501"]})
    weekly.bench.settle()
    assert weekly.orders()[0].state == "shipped"
    with weekly.bench.scope():
        (parcel,) = db.session.scalars(db.select(PartnerParcel)).all()
        assert parcel.tracking[0]["number"] == "15501"

    receive(weekly, "C-1", 3)

    assert weekly.orders()[0].state == "received"
    assert (units(weekly, "committed"), units(weekly, "partner")) == (3, -3)
    with weekly.bench.scope():
        lots = db.session.scalars(db.select(Balance.lot_id).where(Balance.place == "committed", Balance.quantity > 0))
        assert None not in lots.all()


def test_what_is_short_is_ordered_again_and_what_nobody_wants_any_more_is_stock(weekly: Trade) -> None:
    mine = weekly.buy("C-1", 2)
    weekly.buy("C-1", 2)
    weekly.send()
    weekly.to_cutoff()
    orders.cancel(weekly.bench.store, mine, restock=True)
    weekly.bench.settle()

    receive(weekly, "C-1", 3, 0, 1)

    assert units(weekly, "released") == 2
    assert weekly.exceptions()["short"]["units"] == 1
    weekly.send()
    assert weekly.held(weekly.drafts()[-1]) == {"C-1": 1}


def take_off(trade: Trade, units: int, kind: str = "cancel") -> None:
    """The roaster refunds units of the first line of our first order in its store, as we asked for."""
    order = trade.theirs()[0]
    row = {"line_item_id": order.lines[0].id, "quantity": units, "restock_type": kind}
    orders.refund(trade.stores[ROASTER], order, [row])
    trade.bench.settle()


def test_what_a_customer_cancelled_late_and_the_partner_takes_off_is_wanted_by_nobody(weekly: Trade) -> None:
    mine = weekly.buy("C-1", 2)
    weekly.buy("C-1", 3)
    weekly.send()
    weekly.to_cutoff()
    orders.cancel(weekly.bench.store, mine, restock=True)
    weekly.bench.settle()
    assert list(weekly.exceptions()) == ["late_change"]
    take_off(weekly, 2)
    weekly.look()

    assert weekly.exceptions() == {}
    assert [(line.state, line.quantity) for line in weekly.lines()] == [
        ("cancelled", 0),
        ("created", 3),
        ("cancelled", 0),
    ]
    take_off(weekly, 1)
    weekly.look()
    assert weekly.exceptions()["partner_lines"]["units"] == 1


def test_of_an_order_that_the_partner_cancelled_nobody_is_asked_about_what_customers_cancelled_too(
    weekly: Trade,
) -> None:
    mine = weekly.buy("C-1", 2)
    weekly.buy("C-2", 1)
    weekly.send()
    weekly.to_cutoff()
    orders.cancel(weekly.bench.store, mine, restock=True)
    weekly.bench.settle()
    orders.cancel(weekly.stores[ROASTER], weekly.theirs()[0], restock=True)
    weekly.bench.settle()

    assert weekly.exceptions()["partner_lines"]["units"] == 1
    assert weekly.exceptions()["partner_order"]["lines"] == 1
    assert "late_change" not in weekly.exceptions()


def test_a_refunded_customers_line_leaves_the_desk_by_itself(weekly: Trade) -> None:
    mine = weekly.buy("C-1", 3)
    weekly.send()
    weekly.to_cutoff()
    orders.cancel(weekly.stores[ROASTER], weekly.theirs()[0], restock=True)
    weekly.bench.settle()
    assert weekly.exceptions()["partner_lines"]["units"] == 3
    orders.cancel(weekly.bench.store, mine, restock=True)
    weekly.bench.settle()

    assert "partner_lines" not in weekly.exceptions()


def test_what_the_partner_credits_of_short_and_damaged_units_is_settled_and_makes_no_lines(weekly: Trade) -> None:
    weekly.buy("C-1", 6)
    weekly.send()
    weekly.to_cutoff()
    orders.fulfil(weekly.stores[ROASTER], weekly.theirs()[0])
    weekly.bench.settle()
    receive(weekly, "C-1", 4, 1, 1)
    weekly.send()
    take_off(weekly, 2, "no_restock")
    weekly.look()
    weekly.look()

    assert [(line.state, line.quantity, line.refunded) for line in weekly.lines()] == [
        ("created", 6, 0),
        ("created", 2, 0),
    ]
    assert "partner_lines" not in weekly.exceptions()


def test_a_customers_order_is_ready_once_what_was_short_has_come_too(weekly: Trade) -> None:
    weekly.buy("C-1", 6)
    weekly.send()
    weekly.to_cutoff()
    receive(weekly, "C-1", 5, 1)
    weekly.send("close")
    receive(weekly, "C-1", 1, number=1)
    with weekly.bench.scope():
        (shown,) = listing.customers(true())

    assert (shown["status"], shown["units"]) == ("Ready", 6)


def test_too_many_counted_is_refused_and_nothing_booked(weekly: Trade) -> None:
    weekly.buy("C-1", 2)
    weekly.send()
    weekly.to_cutoff()

    with pytest.raises(Exception, match="only 2 are open"):
        receive(weekly, "C-1", 3)
    assert units(weekly, "partner") == -2


def test_more_than_a_draft_can_hold_goes_on_a_second_one(weekly: Trade, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("occ_app.routing.rules.MOST_LINES", 2)
    for n in (1, 2, 3):
        weekly.buy(f"C-{n}")
    weekly.send()

    assert [weekly.held(draft) for draft in weekly.drafts()] == [{"C-1": 1, "C-2": 1}, {"C-3": 1}]


def test_an_order_below_the_minimum_is_held_to_the_next_week(weekly: Trade) -> None:
    weekly.put("minimum_value", "50")
    weekly.buy("C-1", 2)
    weekly.send()
    weekly.to_cutoff()
    assert weekly.theirs() == []
    weekly.buy("C-1", 3)
    weekly.later(days=7)
    weekly.bench.settle()

    assert [weekly.held(order) for order in weekly.theirs()] == [{"C-1": 5}]


def test_an_order_a_day_waits_for_the_hour_and_takes_all_of_the_day(weekly: Trade) -> None:
    weekly.put("cadence", "daily")
    weekly.buy("C-1", 2)  # nine o'clock; the hour is six, and no batch was made this morning
    weekly.later(minutes=10)
    weekly.buy("C-2", 1)
    assert weekly.orders() == []

    weekly.to(datetime(2026, 11, 17, 6, 1, tzinfo=UTC))
    weekly.bench.settle()
    weekly.bench.settle()

    assert [weekly.held(order) for order in weekly.theirs()] == [{"C-1": 2, "C-2": 1}]


def test_a_daily_order_is_complete_a_turn_after_its_draft_was_made(weekly: Trade) -> None:
    weekly.put("cadence", "daily")
    weekly.buy("C-1", 2)
    weekly.send("daily")
    assert [order.state for order in weekly.orders()] == ["closing"]

    weekly.bench.settle()

    assert [weekly.held(order) for order in weekly.theirs()] == [{"C-1": 2}]
    assert weekly.orders()[0].name.startswith("NC-2026-11-")
