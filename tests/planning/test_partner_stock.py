"""Ordering a partner's goods for our own stock: on the partner's order, in our number and in the plan, until they have come."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from devshop import inventory
from devshop import orders as sold_orders
from occ_app.catalog.models import Item
from occ_app.extensions import db
from occ_app.planning import replan
from occ_app.planning.models import Suggestion
from occ_app.routing import listing, receiving
from occ_app.routing import orders as partner_orders
from occ_app.routing.receiving import Count
from tests.partners.support import ROASTER
from tests.planning.workshop import words
from tests.routing.conftest import trade as trade
from tests.routing.support import Trade
from tests.simulation.conftest import rig, session_rig
from tests.support.bench import Bench

__all__ = ["rig", "session_rig", "trade"]


@pytest.fixture
def stocked(trade: Trade) -> Iterator[Trade]:
    """A roaster that has 50 of C-1 (orders close on Thursdays at 18:00), of which 40 were sold here every other day for two months."""
    days = [
        {"at": (trade.now - timedelta(days=n)).isoformat(), "lines": [{"sku": "C-1", "quantity": 40}]}
        for n in range(1, 59, 2)
    ]
    trade.roaster()
    sold_orders.past(trade.bench.store, days)
    see(trade, "/planning/history", method="POST", status=303)
    trade.bench.settle()
    with trade.bench.scope():
        item(trade).lead_time_days = 3
        replan.replan_all(trade.now)
    yield trade


def item(trade: Trade) -> Item:
    """The goods. In the bench's scope."""
    return db.session.scalars(db.select(Item).where(Item.sku == "C-1")).one()


def see(trade: Trade, path: str, status: int = 200, **options: Any) -> str:
    """The words of a page."""
    answer = trade.bench.open(path, **options)
    assert answer.status_code == status, (path, answer.status_code, words(answer)[:600])
    return words(answer)


def suggestion(trade: Trade) -> Suggestion:
    """The newest suggestion for the goods."""
    db.session.remove()
    with trade.bench.scope():
        return db.session.scalars(db.select(Suggestion).order_by(Suggestion.id.desc())).first()


def order(trade: Trade, quantity: int) -> None:
    """So many are ordered from the page."""
    see(trade, f"/planning/{suggestion(trade).id}/order", 303, method="POST", data={"quantity": str(quantity)})
    trade.bench.settle()


def sellable(trade: Trade) -> int:
    """Our number."""
    return trade.bench.show("C-1")["sellable"]


def restock(trade: Trade, more: int) -> None:
    """The roaster made so many more."""
    store = trade.stores[ROASTER]
    level = inventory.level(store, store.variant("C-1"), next(iter(store.locations.values())))
    inventory.set_available(store, level, level.quantities["available"] + more, who="admin", why="roasted")
    trade.look()


def count(trade: Trade, *counts: int) -> None:
    """So many units were counted at the door: received, short, damaged."""
    with trade.bench.scope():
        found = partner_orders.find(trade.orders()[0].name)
        variant = receiving.find_variant(found, "C-1")
        receiving.receive(found, {variant.id: Count(*counts)}, actor="test", today=trade.now.date(), at=trade.now)
        db.session.commit()
    trade.bench.settle()


def test_an_order_for_stock_grows_the_partners_draft_counts_as_coming_and_ends_the_suggestion(stocked: Trade) -> None:
    page = see(stocked, "/planning")
    wanted = suggestion(stocked).quantity
    see(stocked, f"/planning/{suggestion(stocked).id}/order", 303, method="POST")
    asked = sellable(stocked)
    stocked.bench.settle()
    again = see(stocked, f"/planning/{suggestion(stocked).id}/order", 422, method="POST")
    stocked.send()
    stocked.look()
    (draft,) = stocked.drafts()

    assert "They have 50, which the order takes" in page
    assert wanted > 50
    assert stocked.held(draft) == {"C-1": wanted}
    assert asked == sellable(stocked) == 50 - wanted  # at once, and not twice when their number shows it
    assert "is ordered already" in again
    assert suggestion(stocked).state == "ordered"
    assert f"{wanted} ordered from Northlight Coffee, due Sunday" in see(stocked, "/planning?view=hand")
    assert "for your stock" in see(stocked, f"/partner-orders/{stocked.orders()[0].id}")


def test_what_comes_is_released_and_withdraws_the_suggestion(stocked: Trade) -> None:
    stocked.buy("C-1", 2)
    wanted = suggestion(stocked).quantity
    order(stocked, wanted)
    restock(stocked, 400)
    waits = suggestion(stocked).state
    stocked.to(stocked.now.replace(hour=18, minute=1) + timedelta(days=3))
    stocked.bench.settle()
    late = see(stocked, f"/planning/purchases/{suggestion(stocked).purchase_id}/close", 422, method="POST")
    count(stocked, wanted - 3, 3, 2)
    stocked.look()
    db.session.remove()
    with stocked.bench.scope():
        [entry] = listing.statement(stocked.partner(), stocked.now - timedelta(days=30), stocked.now)
        shown = listing.one(stocked.orders()[0].id)

    assert waits == "ordered"
    assert "is ordered already" in late
    assert sellable(stocked) == 450 - 2 - wanted + (wanted - 5)  # two of what came were the customer's
    assert suggestion(stocked).state == "withdrawn"
    assert (entry.units, entry.received, entry.short, entry.damaged) == (wanted + 2, wanted - 3, 30, 20)
    assert (shown.margin is not None, shown.for_stock) == (True, wanted)
    assert "Ordered, not here yet" not in see(stocked, "/planning/buy")


def test_an_order_that_is_called_off_gives_the_units_back(stocked: Trade) -> None:
    order(stocked, 120)
    stocked.send()
    see(stocked, f"/planning/purchases/{suggestion(stocked).purchase_id}/close", 303, method="POST")
    stocked.send()
    stocked.bench.settle()
    stocked.look()

    assert sellable(stocked) == 50
    assert stocked.drafts() == []
    assert suggestion(stocked).state == "open"


def test_what_the_partner_cannot_give_at_the_cutoff_needs_a_person_and_asks_again(stocked: Trade) -> None:
    stocked.buy("C-1", 10)
    order(stocked, 120)
    stocked.to(stocked.now.replace(hour=18, minute=1) + timedelta(days=3))
    stocked.bench.settle()
    replanned(stocked)
    page = see(stocked, "/partner-orders/lines?view=failed")

    assert [stocked.held(one) for one in stocked.theirs()] == [{"C-1": 50}]  # the customer's ten first
    assert "For your stock" in page
    assert suggestion(stocked).state == "open"
    request_id = stocked.lines()[0].stock_request_id or stocked.lines()[1].stock_request_id
    called_off = see(stocked, f"/partner-orders/stock/{request_id}/off", method="POST")
    assert "No line needs you" in called_off
    assert {one.state for one in stocked.lines() if one.quantity} == {"created"}


def replanned(trade: Trade) -> datetime:
    """All items are planned anew."""
    db.session.remove()
    with trade.bench.scope():
        replan.replan_all(trade.now)
    return trade.now


@pytest.mark.parametrize(("price", "said"), [(None, "gives no price")])
def test_goods_that_cannot_be_ordered_say_why_and_nothing_changes(
    stocked: Trade, bench: Bench, price: None, said: str, tmp_path: Path
) -> None:
    with bench.scope():
        from occ_app.partners.models import PartnerVariant

        db.session.execute(db.update(PartnerVariant).values(price=price))
        db.session.commit()
    page = see(stocked, f"/planning/{suggestion(stocked).id}/order", 422, method="POST")

    assert said in page
    assert (sellable(stocked), stocked.lines()) == (50, [])
    assert suggestion(stocked).state == "open"
