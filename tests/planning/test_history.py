"""Past orders are read at install, with progress, within what Shopify shows; and a partner's goods are ordered rather than made."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from devshop import bulk
from occ_app import clock
from occ_app.extensions import db
from occ_app.partners.models import PartnerVariant
from occ_app.planning import history
from occ_app.planning.models import PastSale, SalesPull
from tests.partners.support import add_good, add_partner
from tests.planning.workshop import Workshop


def kept() -> int:
    """How many lines of past orders we have."""
    return db.session.scalar(db.select(db.func.count()).select_from(PastSale)) or 0


@pytest.mark.parametrize(("is_granted", "lines"), [(False, 1), (True, 2)])
def test_history_reaches_as_far_as_the_store_lets_us(workshop: Workshop, is_granted: bool, lines: int) -> None:
    from devshop import oauth

    workshop.bench.product("BAR", 0)
    workshop.sold("BAR", 4, until=20)
    workshop.sold("BAR", 4, until=90)
    workshop.open()
    if is_granted:
        store = workshop.bench.store
        oauth.grant_scopes(store, (*store.granted, "read_all_orders"))
        workshop.bench.settle()
        workshop.post("/planning/history")
        workshop.bench.settle()
    with workshop.bench.scope():
        assert kept() == lines
        assert history.newest().finished_at is not None


def test_progress_is_shown_and_a_second_reading_waits(workshop: Workshop) -> None:
    workshop.open()
    with workshop.bench.scope():
        db.session.execute(
            db.update(SalesPull).values(finished_at=None, expected=400, objects_found=120, bulk_operation_gid="x")
        )
        db.session.commit()

    assert "120 of 400 orders" in workshop.see("/planning/history")
    assert "being read already" in workshop.see("/planning/history", 422, method="POST")


def test_a_reading_that_shopify_ends_says_why(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    workshop.open()

    def fail(row: dict[str, Any]) -> None:
        row["status"], row["error"], row["completed"] = "FAILED", "INTERNAL_SERVER_ERROR", clock.now()

    monkeypatch.setattr(bulk, "_run", fail)
    workshop.post("/planning/history")
    workshop.bench.settle()

    assert "INTERNAL_SERVER_ERROR" in workshop.see("/planning/history")


def test_a_partners_goods_are_ordered_and_wait_for_what_was_ordered(workshop: Workshop) -> None:
    bench = workshop.bench
    bench.product("BEANS")
    workshop.sold("BEANS", *(5,) * 58)
    workshop.open()
    with bench.scope():
        good = add_good(bench, add_partner(), "BEANS", 12)
        db.session.get_one(PartnerVariant, good.partner_variant_id).price = Decimal(4)
        db.session.commit()
    bench.settle()
    workshop.replan()
    page = workshop.see("/planning")
    [row] = workshop.suggestions("BEANS")
    refused = workshop.see(f"/planning/{row.id}/draft", 422, method="POST")
    assert workshop.post(f"/planning/{row.id}/order").status_code == 303

    assert "12 sellable" in page
    assert "Order today" in page
    assert "comes from a partner" in refused
    assert [(one.state, one.purchase_id is not None) for one in workshop.suggestions("BEANS")] == [("ordered", True)]
    assert "Northlight Coffee" in workshop.see("/planning/buy")
