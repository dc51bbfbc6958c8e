"""Trace and recall in a real browser: they fit, they are accessible, and the graph is walked by keyboard."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from occ_app import clock, create_app
from occ_app.extensions import across_shops, db, shop_scope
from occ_app.production import recall
from occ_app.shops.models import Shop
from occ_app.stock.models import Lot
from tests.browser.conftest import SHOP, Stack, eventually, keep_shot, open_app
from tests.browser.test_pages import AXE, RULES
from tests.support.making import made, received
from tests.support.settings import make_config

pytestmark = pytest.mark.browser
SKU = "CB-BAR-SS70-80"


def traced(stack: Stack) -> dict[str, Any]:
    """`occ trace` of the cocoa."""
    return json.loads(stack.occ("trace", "--shop", SHOP, "CM-8841", "--json"))


@pytest.fixture(scope="module")
def pages(stack: Stack) -> dict[str, str]:
    """A day's work and a sale stand behind the pages; name -> path of each."""
    app = create_app(
        make_config(), database_url=stack.environment["DATABASE_URL"].replace("postgresql:", "postgresql+psycopg:")
    )
    with app.app_context():
        with across_shops():
            shop_id = db.session.scalars(db.select(Shop.id).where(Shop.domain == SHOP)).one()
        with shop_scope(shop_id):
            cocoa, butter = received("COCOA-MASS", "CM-8841", 40_000), received("COCOA-BUTTER", "CB-5519", 9_000)
            sugar, salt = received("CANE-SUGAR", "SG-2207", 60_000), received("SEA-SALT", "SS-0912", 2_000)
            dough = made("PASTE", "PASTE-20261110-1", 20_000, {cocoa: 12_000, sugar: 6_000, butter: 2_000})
            bars = [made(SKU, f"SSD-2026111{n}-1", 40 + n, {dough: 3_000, salt: 100}) for n in range(3)]
            for bar in bars:
                bar.expires_on = clock.now().date() + timedelta(days=3)  # first to be sold
            db.session.commit()
            ids = cocoa.id, bars[0].id, dough.id
    for quantity in (12, 30, 3):
        stack.post("orders", {"lines": [{"sku": SKU, "quantity": quantity}]})
    eventually(lambda: sum(lot["places"].get("committed", 0) for lot in traced(stack)["lots"]) == 45)
    with app.app_context(), shop_scope(shop_id):
        lot_ids = [ids[1], *db.session.scalars(db.select(Lot.id).where(Lot.lot_number == "PASTE-20261110-1"))]
        opened = recall.open_(lot_ids, reason="Metal in the paste", actor="Inés Duarte", at=clock.now(), is_drill=True)
        path = f"/recalls/{opened.id}"
        db.session.commit()
        db.engine.dispose()
    return {
        "trace-search": "/trace?q=SSD",
        "trace-ingredient": f"/trace/lots/{ids[0]}",
        "trace-lot": f"/trace/lots/{ids[1]}",
        "trace-order": "/trace/orders/1",
        "recalls": "/recalls?view=all",
        "recall-new": f"/recalls/new?lot={ids[2]}",
        "recall": path,
    }


@pytest.mark.parametrize("width", [1440, 390])
def test_pages_are_accessible_and_fit(chromium: Browser, stack: Stack, pages: dict[str, str], width: int) -> None:
    found = {}
    for name, path in pages.items():
        context = chromium.new_context(viewport={"width": width, "height": 900}, bypass_csp=True)
        tab = context.new_page()
        frame = open_app(tab, stack, path)
        frame.evaluate(AXE)
        broken = frame.evaluate(f"axe.run(document, {RULES})")["violations"]
        sideways = frame.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        keep_shot(tab, f"{name}-{width}")
        context.close()
        found[name] = ([(v["id"], v["nodes"][0]["html"][:200]) for v in broken], max(0, sideways))

    assert found == dict.fromkeys(pages, ([], 0))


def test_the_graph_is_walked_by_keyboard(tab: Page, stack: Stack, pages: dict[str, str]) -> None:
    frame = open_app(tab, stack, pages["trace-lot"])
    frame.locator(".graph a:visible", has_text="CM-8841").focus()
    tab.keyboard.press("Enter")
    frame.locator("h1", has_text="Trace of CM-8841").wait_for()

    assert frame.locator(".graph a[aria-current]:visible").count() == 1


def test_an_address_that_leads_on_opens_inside_the_admin(tab: Page, stack: Stack, pages: dict[str, str]) -> None:
    frame = open_app(tab, stack, "/trace?q=CM-8841")

    expect(frame.get_by_role("heading", name="Trace of CM-8841")).to_be_visible()
