"""devshop's own admin, wide and narrow: axe finds nothing, nothing scrolls sideways; and what a person does in it happens."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Locator, Page

from tests.browser.conftest import Stack, eventually, keep_shot
from tests.browser.test_pages import AXE, RULES

pytestmark = pytest.mark.browser
STORE = "/store/cocoa-bristol"
PAGES = {"stores": "/", "goods": STORE, "orders": f"{STORE}/orders", "webhooks": f"{STORE}/webhooks"} | {
    "faults": f"{STORE}/faults",
    "calls": f"{STORE}/calls",
    "store-settings": f"{STORE}/settings",
}


def press(tab: Page, what: Locator) -> None:
    """It is pressed, and the page that it leads to is there."""
    with tab.expect_navigation():
        what.click()


def finds_nothing(tab: Page, name: str) -> None:
    """The page as it stands is accessible and fits; a picture is kept."""
    tab.evaluate(AXE)
    found = tab.evaluate(f"axe.run(document, {RULES})")
    keep_shot(tab, f"devshop-{name}")
    assert [(v["id"], v["nodes"][0]["html"][:200]) for v in found["violations"]] == []
    assert tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("name", ["stores", "goods", "orders", "webhooks", "calls", "faults", "store-settings"])
def test_admin_page_is_accessible_and_fits(chromium: Browser, stack: Stack, name: str, width: int) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 900})
    tab = context.new_page()
    answer = tab.goto(stack.devshop + PAGES[name])
    assert answer is not None
    assert answer.status == 200
    finds_nothing(tab, f"{name}-{width}")
    context.close()


@pytest.mark.parametrize("width", [1440, 390])
def test_a_person_sells_ships_and_takes_back(chromium: Browser, stack: Stack, width: int) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 900})
    tab = context.new_page()
    tab.goto(f"{stack.devshop}{STORE}?q=EC85")
    before = stack.available("CB-BAR-EC85-80")
    press(tab, tab.get_by_role("button", name="Sell CB-BAR-EC85-80").first)
    eventually(lambda: stack.available("CB-BAR-EC85-80") == before - 1)
    press(tab, tab.get_by_role("main").locator("a.title").first)
    finds_nothing(tab, f"good-{width}")
    tab.goto(f"{stack.devshop}{STORE}/orders")
    press(tab, tab.get_by_role("main").get_by_role("link", name="#").first)
    press(tab, tab.get_by_role("button", name="Fulfil all"))
    finds_nothing(tab, f"order-{width}")
    tab.get_by_role("combobox", name="and").select_option("return")
    tab.get_by_role("button", name="Refund").click()
    eventually(lambda: stack.available("CB-BAR-EC85-80") == before)
    context.close()
