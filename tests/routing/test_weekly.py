"""The weekly partner order: captured, growing as a draft, ordered at the cutoff, sent, received."""

from __future__ import annotations

import pytest

from tests.routing.support import ADDRESS, Trade


@pytest.fixture
def weekly(trade: Trade) -> Trade:
    """One roaster, whose orders close on Thursdays at 18:00, London time."""
    trade.roaster()
    return trade


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

    weekly.later(days=3)
    weekly.bench.settle()
    (order,) = weekly.theirs()
    assert weekly.held(order) == {"C-1": 3, "C-2": 4}
    assert order.financial_status == "PENDING"
    (ours,) = weekly.orders()
    assert (ours.state, ours.order_gid) == ("ordered", order.gid)
    assert weekly.exceptions() == {}
