"""Partners as people meet them: a merchant invites, a business joins in its own browser, and both see how it stands."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Frame, Page, expect

from tests.browser.conftest import SHOP, Stack, eventually, keep_shot, open_app
from tests.browser.test_pages import AXE, RULES

pytestmark = pytest.mark.browser
ROASTER = "harbour-beans"


def finds_nothing(tab: Page, where: Page | Frame, name: str) -> None:
    """The page as it stands is accessible and fits, wide and narrow; pictures are kept."""
    for width in (1440, 390):
        tab.set_viewport_size({"width": width, "height": 1000})
        where.evaluate(AXE)
        found = where.evaluate(f"axe.run(document, {RULES})")
        keep_shot(tab, f"partners-{name}-{width}")
        assert [(v["id"], v["nodes"][0]["html"][:200]) for v in found["violations"]] == []
        assert where.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0


def in_admin(tab: Page, stack: Stack, path: str, store: str = ROASTER) -> Frame:
    """A page of ours in the roaster's admin."""
    tab.goto(f"{stack.devshop}/store/{store}/apps/occ-inventory-hub-dev{path}")
    tab.frame_locator("#app").locator("h1").first.wait_for()
    return next(frame for frame in tab.frames if frame.url.startswith(stack.app))


def test_a_business_joins_by_the_link_of_a_merchant(chromium: Browser, stack: Stack) -> None:
    stack.post("/_devshop/shops", {"domain": f"{ROASTER}.myshopify.com", "name": "Harbour Beans", "currency": "GBP"})
    merchant, partner = chromium.new_context(), chromium.new_context()
    desk, tab = merchant.new_page(), partner.new_page()
    app = open_app(desk, stack, "/partners")
    app.get_by_label("Name of the partner").fill("Harbour Beans")
    app.get_by_role("button", name="Make the link").click()
    expect(app.get_by_role("heading", name="Invitation for Harbour Beans")).to_be_visible()
    link = app.get_by_label("Give it to nobody but them").input_value()

    tab.goto(link)
    tab.get_by_label("Your store’s address").fill("harbour beans")
    tab.get_by_role("button", name="Continue to Shopify").click()
    expect(tab.locator("#shop-say")).to_be_visible()
    tab.get_by_label("Your store’s address").fill(ROASTER)
    tab.get_by_role("button", name="Continue to Shopify").click()
    tab.get_by_role("button", name="Install").click()
    expect(tab.get_by_role("heading", name=re.compile("You supply .* now"))).to_be_visible()
    tab.get_by_role("link", name="Open it in your admin").click()
    supplies = in_admin(tab, stack, "/supplies")
    expect(supplies.get_by_role("heading", name="You supply", exact=True)).to_be_visible()

    eventually(lambda: "Harbour Beans" in open_app(desk, stack, "/partners").content())
    merchant.close()
    partner.close()


def test_stopping_to_supply_is_asked_about_first(chromium: Browser, stack: Stack) -> None:
    store = "quay-leaves"
    stack.post("/_devshop/shops", {"domain": f"{store}.myshopify.com", "name": "Quay Leaves", "currency": "GBP"})
    context = chromium.new_context(viewport={"width": 1440, "height": 1000}, bypass_csp=True)
    tab = context.new_page()
    tab.goto(stack.occ("partner", "invite", "--shop", SHOP, "--name", "Quay Leaves").strip())
    tab.get_by_label("Your store’s address").fill(store)
    tab.get_by_role("button", name="Continue to Shopify").click()
    tab.get_by_role("button", name="Install").click()
    expect(tab.get_by_role("heading", name=re.compile("You supply .* now"))).to_be_visible()
    page = in_admin(tab, stack, "/supplies", store)
    dialog = page.get_by_role("dialog")
    page.get_by_role("button", name=re.compile("^Stop supplying .+")).click()
    expect(dialog.get_by_role("button", name="Keep supplying")).to_be_focused()
    finds_nothing(tab, page, "stop")
    stop, keep = (dialog.get_by_role("button", name=name, exact=True) for name in ("Stop supplying", "Keep supplying"))
    shades = [one.evaluate("one => getComputedStyle(one).backgroundColor") for one in (stop, keep)]
    tab.keyboard.press("Enter")
    expect(dialog).not_to_be_visible()
    expect(page.get_by_text("Supplying", exact=True)).to_be_visible()

    page.get_by_role("button", name=re.compile("^Stop supplying .+")).click()
    stop.click()
    expect(page.get_by_text("You ended it.")).to_be_visible()
    context.close()

    assert shades[0] == "rgb(199, 10, 36)"  # what cannot be undone looks like it
    assert shades[1] != shades[0]


@pytest.mark.parametrize("name", ["list", "settings", "invitation", "supplies", "join"])
def test_page_is_accessible_and_fits(chromium: Browser, stack: Stack, name: str) -> None:
    context = chromium.new_context(bypass_csp=True)
    tab = context.new_page()
    if name == "supplies":
        finds_nothing(tab, in_admin(tab, stack, "/supplies"), name)
    elif name in ("invitation", "join"):
        link = stack.occ("partner", "invite", "--shop", SHOP, "--name", "Severn Tea").strip()
        frame = open_app(tab, stack, "/partners")
        frame.get_by_role("link", name="Show the link for Severn Tea").first.click()
        expect(frame.get_by_role("heading", name="Invitation for Severn Tea")).to_be_visible()
        if name == "join":
            tab.goto(link)
        finds_nothing(tab, tab if name == "join" else frame, name)
    else:
        finds_nothing(tab, open_app(tab, stack, "/partners/1/settings" if name == "settings" else "/partners"), name)
    context.close()
