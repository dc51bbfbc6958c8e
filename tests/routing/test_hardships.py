"""Partner orders while clocks jump, settings move, partners act unheard, stores change their currency."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from devshop import drafts, oauth, orders
from devshop.faults import CallFault
from occ_app.extensions import across_shops, db
from occ_app.partners import standing
from occ_app.partners.models import CONNECTED
from occ_app.routing import capture, deciding, listing
from occ_app.routing import drafts as calls
from occ_app.routing.models import PartnerLine
from occ_app.shops.models import Shop
from tests.partners.support import ROASTER
from tests.routing.support import Trade


@pytest.fixture
def weekly(trade: Trade) -> Trade:
    """One roaster, whose orders close on Thursdays at 18:00, London time; one customer has bought."""
    trade.roaster()
    trade.buy("C-1", 2)
    return trade


def meanwhile(monkeypatch: pytest.MonkeyPatch, call: str, happens: Callable[[], None]) -> None:
    """The first time that a batch makes this call, something happens before its answer is there."""
    own = getattr(calls, call)

    def made(*given: Any) -> Any:
        monkeypatch.setattr(calls, call, own)
        answer = own(*given)
        happens()
        return answer

    monkeypatch.setattr(calls, call, made)


def on_orders(trade: Trade) -> list[dict[str, int]]:
    """What the roaster's orders hold."""
    return [trade.held(order) for order in trade.theirs()]


# Time -------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("call", "weekday"), [("create", "friday"), ("complete", "sunday"), ("complete", "wednesday")])
def test_a_cutoff_that_is_moved_while_a_batch_runs_orders_once(
    weekly: Trade, monkeypatch: pytest.MonkeyPatch, call: str, weekday: str
) -> None:
    meanwhile(monkeypatch, call, lambda: weekly.put("cutoff_weekday", weekday))
    weekly.send()
    weekly.to_cutoff()
    weekly.later(days=8)
    weekly.bench.settle()

    assert on_orders(weekly) == [{"C-1": 2}]
    assert [order.state for order in weekly.orders()] == ["ordered"]


@pytest.mark.parametrize("call", ["create", "complete"])
@pytest.mark.parametrize("days", [5, -5], ids=["forward", "back"])
def test_a_clock_that_jumps_while_a_batch_runs_orders_once(
    weekly: Trade, monkeypatch: pytest.MonkeyPatch, call: str, days: int
) -> None:
    meanwhile(monkeypatch, call, lambda: weekly.later(days=days))
    weekly.send()
    weekly.to_cutoff()
    weekly.later(days=8)
    weekly.bench.settle()

    assert on_orders(weekly) == [{"C-1": 2}]
    assert [order.state for order in weekly.orders()] == ["ordered"]
    assert len(weekly.drafts()) == 1


def test_a_clock_that_went_back_after_a_lost_answer_does_not_stop_the_order(weekly: Trade) -> None:
    weekly.stores[ROASTER].faults.upcoming.append(CallFault("lost_before", "mutation"))
    weekly.send()
    weekly.later(days=-30)
    weekly.bench.settle()
    weekly.later(minutes=3)
    weekly.bench.settle()
    weekly.later(minutes=3)
    weekly.send()

    assert [weekly.held(draft) for draft in weekly.drafts()] == [{"C-1": 2}]


def test_a_partner_that_is_disconnected_at_the_cutoff_gets_the_order_once_it_is_back(weekly: Trade) -> None:
    weekly.send()
    weekly.later(days=3)
    oauth.uninstall(weekly.stores[ROASTER])
    weekly.bench.settle()
    weekly.to_cutoff()
    assert on_orders(weekly) == []
    assert weekly.exceptions()["partner_order"]["what"] == "stuck"

    oauth.install(weekly.stores[ROASTER])
    assert weekly.bench.open("/supplies", weekly.stores[ROASTER]).status_code == 200
    weekly.later(hours=1)
    weekly.bench.settle()

    assert on_orders(weekly) == [{"C-1": 2}]
    assert "partner_order" not in weekly.exceptions()


def left_while_ordering(trade: Trade, fault: str) -> None:
    """The order is completed at the cutoff, its answer is lost, and the roaster ends it."""
    trade.send()
    trade.stores[ROASTER].faults.upcoming.append(CallFault(fault, "mutation"))
    trade.to_cutoff()
    with trade.bench.scope():
        standing.end(trade.partner(), "partner", trade.now)
        db.session.commit()
    trade.bench.settle()


def come_back(trade: Trade) -> None:
    """A new invitation begins it again."""
    trade.later(days=1)
    with trade.bench.scope():
        standing.put(trade.partner(), CONNECTED, None, None, trade.now)
        db.session.commit()
    trade.bench.settle()


def test_an_order_that_a_partner_may_have_got_as_it_left_is_named_and_adopted_when_it_is_back(weekly: Trade) -> None:
    left_while_ordering(weekly, "lost_after")
    (order,) = weekly.orders()
    page = weekly.bench.open(f"/partner-orders/{order.id}").get_data(as_text=True)
    lines = weekly.bench.open("/partner-orders/lines?view=failed").get_data(as_text=True)
    assert order.state == "cancelled"
    assert all("it may be an order in their store, made of draft #D1. Ask them" in said for said in (page, lines))

    come_back(weekly)

    assert on_orders(weekly) == [{"C-1": 2}]
    assert [(order.state, order.order_gid) for order in weekly.orders()] == [("ordered", weekly.theirs()[0].gid)]
    assert [(line.state, line.quantity) for line in weekly.lines() if line.quantity] == [("created", 2)]
    assert weekly.exceptions()["partner_order"] == {
        "partner": "Northlight Coffee",
        "name": "NC-2026-47",
        "what": "found",
        "their_order": "#1001",
        "extra": 0,
    }
    assert "was ordered after all" in weekly.bench.open("/exceptions").get_data(as_text=True)
    assert "partner_lines" not in weekly.exceptions()


def test_lines_that_wait_again_are_not_ordered_twice_from_a_partner_that_may_have_them(weekly: Trade) -> None:
    left_while_ordering(weekly, "lost_after")
    mine = next(iter(weekly.bench.store.orders.values()))
    orders.edit(weekly.bench.store, mine, [{"line_item_id": mine.lines[0].id, "quantity": 1}], [])
    weekly.bench.settle()
    with weekly.bench.scope():
        deciding.retry_all(weekly.partner().id)
        db.session.commit()
    come_back(weekly)
    weekly.send("close")

    assert on_orders(weekly) == [{"C-1": 2}]
    assert weekly.exceptions()["partner_order"]["extra"] == 1
    page = weekly.bench.open("/exceptions").get_data(as_text=True)
    assert "Ask Northlight Coffee to take off what nobody waits for any more: 1 unit." in page


def test_an_order_that_a_partner_never_got_as_it_left_can_be_ordered_again_when_it_is_back(weekly: Trade) -> None:
    left_while_ordering(weekly, "lost_before")
    come_back(weekly)
    assert (weekly.drafts(), on_orders(weekly)) == ([], [])
    assert weekly.exceptions()["partner_lines"]["causes"] == ["Northlight Coffee left before NC-2026-47 was ordered"]
    with weekly.bench.scope():
        deciding.retry_all(weekly.partner().id)
        db.session.commit()
    weekly.send("close")

    assert on_orders(weekly) == [{"C-1": 2}]


# What the partner does unheard --------------------------------------------------------------------------------------------------------


def test_an_edit_of_which_no_news_came_is_put_back_and_asked_about(weekly: Trade) -> None:
    weekly.send()
    weekly.bench.settle()
    with weekly.bench.world.silence():
        drafts.edit(weekly.stores[ROASTER], weekly.drafts()[0], {"set": [{"sku": "C-1", "quantity": 1}]})
    weekly.buy("C-2", 3)
    weekly.send()

    assert weekly.exceptions()["partner_order"]["what"] == "changed"
    assert weekly.held(weekly.drafts()[0]) == {"C-1": 1}
    weekly.send()
    weekly.to_cutoff()
    assert [order for order in on_orders(weekly) if "C-1" in order] == [{"C-1": 1}]
    assert weekly.exceptions()["partner_lines"]["units"] == 1 + 3


@pytest.mark.parametrize("deed", ["complete", "delete"])
def test_a_draft_that_was_closed_or_deleted_unheard_gets_no_more_lines_and_another_does_at_once(
    weekly: Trade, deed: str
) -> None:
    weekly.send()
    weekly.bench.settle()
    with weekly.bench.world.silence():
        more = {"is_pending": True} if deed == "complete" else {}
        getattr(drafts, deed)(weekly.stores[ROASTER], weekly.drafts()[0], **more)
    weekly.buy("C-2", 3)
    weekly.send()

    kept = {} if deed == "complete" else {"C-1": 2}
    assert weekly.held(weekly.drafts()[-1]) == {**kept, "C-2": 3}
    assert [order.state for order in weekly.orders()] == ["ordered" if deed == "complete" else "cancelled", "open"]
    assert "partner_lines" not in weekly.exceptions()


def test_a_draft_that_was_made_an_order_unheard_is_not_cancelled_when_its_lines_are(weekly: Trade) -> None:
    weekly.send()
    weekly.bench.settle()
    with weekly.bench.world.silence():
        drafts.complete(weekly.stores[ROASTER], weekly.drafts()[0], is_pending=True)
    orders.cancel(weekly.bench.store, next(iter(weekly.bench.store.orders.values())), restock=True)
    weekly.bench.settle()
    weekly.send()

    assert [order.state for order in weekly.orders()] == ["ordered"]


# Lines ------------------------------------------------------------------------------------------------------------------------------


def test_a_line_edited_down_to_nothing_is_never_sent(weekly: Trade) -> None:
    weekly.buy("C-2", 1)
    mine = next(iter(weekly.bench.store.orders.values()))
    orders.edit(weekly.bench.store, mine, [{"line_item_id": mine.lines[0].id, "quantity": 0}], [])
    weekly.bench.settle()
    weekly.send()

    assert weekly.held(weekly.drafts()[0]) == {"C-2": 1}


def test_an_order_booked_before_anybody_captured_is_captured_once(weekly: Trade) -> None:
    with weekly.bench.scope():
        db.session.execute(db.delete(PartnerLine))
        db.session.commit()
        assert [capture.catch_up(weekly.now), capture.catch_up(weekly.now)] == [1, 0]
        db.session.rollback()
    weekly.send()
    weekly.send()

    assert weekly.held(weekly.drafts()[0]) == {"C-1": 2}
    assert len(weekly.lines()) == 1


# Money ------------------------------------------------------------------------------------------------------------------------------


def test_what_customers_bought_counts_at_what_they_paid_after_all_discounts(weekly: Trade) -> None:
    line = {"sku": "C-2", "quantity": 2, "discount": "1.50"}
    orders.create(weekly.bench.store, {"lines": [line], "discount": "4.00"})
    weekly.bench.settle()
    weekly.send()
    with weekly.bench.scope():
        shown = listing.one(weekly.orders()[0].id)

    assert [str(one.sold_for) for one in weekly.lines()] == ["6.50", "3.00"]
    assert (str(shown.sold), str(shown.margin)) == ("19.00", "-121.1")  # 2 x 6.50 + 2 x 3.00, for 2 x 10 + 2 x 11


def sell_in(trade: Trade, currency: str) -> None:
    """The roaster's store has another currency from now on."""
    trade.stores[ROASTER].currency = currency
    with across_shops():
        db.session.scalars(db.select(Shop).where(Shop.domain == ROASTER)).one().currency = currency
        db.session.commit()


def test_lines_priced_in_another_currency_are_kept_and_named_and_go_at_todays_cost(weekly: Trade) -> None:
    sell_in(weekly, "EUR")
    before = len(weekly.stores[ROASTER].calls)
    weekly.send()

    (line,) = weekly.lines()
    assert (line.state, line.quantity, str(line.unit_cost)) == ("failed", 2, "10.00")
    assert len(weekly.stores[ROASTER].calls) == before
    page = weekly.bench.open("/partner-orders/lines?view=failed").get_data(as_text=True)
    assert "Priced in GBP, but Northlight Coffee sells in EUR now" in page
    with weekly.bench.scope():
        deciding.retry_one(line.id, weekly.now)
        db.session.commit()
    weekly.send()
    assert weekly.held(weekly.drafts()[0]) == {"C-1": 2}
    assert weekly.orders()[0].currency == "EUR"


def test_an_order_in_a_currency_that_the_store_has_left_is_refused_and_nothing_changed_there(weekly: Trade) -> None:
    weekly.send()
    weekly.bench.settle()
    sell_in(weekly, "EUR")
    weekly.send("close")

    (order,) = weekly.orders()
    assert [draft.status for draft in weekly.drafts()] == ["OPEN"]
    assert "is in GBP, but Northlight Coffee sells in EUR now" in (order.cause or "")
    page = weekly.bench.open(f"/partner-orders/{order.id}").get_data(as_text=True)
    assert "is in GBP, but Northlight Coffee sells in EUR now" in page
    drafts.delete(weekly.stores[ROASTER], weekly.drafts()[0])
    weekly.look()
    weekly.send()
    assert "Priced in GBP" in weekly.exceptions()["partner_lines"]["causes"][0]


def test_amounts_stay_in_the_currency_of_their_order_when_the_partner_sells_in_another(weekly: Trade) -> None:
    weekly.send("close")
    sell_in(weekly, "EUR")
    weekly.put("exchange_rate", "0.5")
    weekly.buy("C-2", 1)
    weekly.send("close")
    sell_in(weekly, "USD")
    weekly.look()
    page = weekly.bench.open("/partner-orders/statement").get_data(as_text=True)
    file = weekly.bench.open("/partner-orders/statement?as=csv").get_data(as_text=True)
    first, second = weekly.orders()
    with weekly.bench.scope():
        margins = [listing.one(order.id).margin for order in (first, second)]
        asked = [one.asks_now for one in listing.variants_of(first, weekly.partner())]

    assert re.findall(r'scope="row">([^<]*)<', page) == ["1 order in GBP", "1 order in EUR"]
    assert re.findall(r"<strong>([^<]*\d)</strong>", page) == ["£20.00", "€11.00", "£20.00", "€11.00"]
    assert [row.split(",")[-2:] for row in file.splitlines()[1:]] == [["20.00", "GBP"], ["11.00", "EUR"]]
    assert [str(margin) for margin in margins] == [
        "-53.8",
        "None",
    ]  # two at 6.50 for 10.00 each; no rate of EUR is known
    assert asked == [None]
