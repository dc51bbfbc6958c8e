"""Channels in a real browser: a split seen before it is made, the border dragged, an order by hand; and what axe says."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from occ_app.config import ROOT
from tests.browser.conftest import SHOP, Stack, eventually, keep_shot, open_app

pytestmark = pytest.mark.browser
SKU = "CB-BAR-WR-80"  # sold by no other test
AXE = (ROOT / "static/vendor/axe.min.js").read_text()


def stock(stack: Stack) -> str:
    """What the command says of the item."""
    return stack.occ("b2b", "stock", "--shop", SHOP, "--item", SKU).strip()


def test_an_item_is_split_the_border_dragged_and_an_order_placed(tab: Page, stack: Stack) -> None:
    frame = open_app(tab, stack, "/channels?view=pool&q=Raspberry")
    keep_shot(tab, "channels-pool")
    frame.get_by_role("link", name="Split White Raspberry").first.click()
    expect(frame.get_by_role("heading", name="Rules")).to_be_visible()
    frame.get_by_label("Wholesale gets").select_option("share")
    frame.get_by_label("Wholesale: how much").fill("40")
    frame.get_by_label("Shopify gets").select_option("rest")
    frame.get_by_role("button", name="What would change").click()
    expect(frame.get_by_text("Nothing has changed yet")).to_be_visible()
    keep_shot(tab, "channel-item-preview")
    frame.get_by_role("button", name="Split", exact=True).click()
    expect(frame.get_by_role("button", name="Back to the pool")).to_be_visible()
    before = stock(stack)
    border = frame.get_by_label("Between Shopify and wholesale")
    border.focus()
    tab.keyboard.press("ArrowRight")
    frame.get_by_role("button", name="Move", exact=True).click()
    eventually(lambda: stock(stack) != before)
    keep_shot(tab, "channel-item")
    frame = open_app(tab, stack, "/channels")
    keep_shot(tab, "channels")
    frame = open_app(tab, stack, "/wholesale/new")
    frame.get_by_label("Customer", exact=True).fill("Corner Deli")
    frame.get_by_label("Item 1").fill(SKU)
    frame.get_by_label("Units").first.fill("2")
    keep_shot(tab, "order-new")
    frame.get_by_role("button", name="Place order").click()
    expect(frame.get_by_role("button", name="Ship 2")).to_be_visible()
    keep_shot(tab, "order")

    assert "split" in before


def test_a_double_click_and_a_second_press_count_once(tab: Page, stack: Stack) -> None:
    for purpose in ("Double click", "Second press"):
        frame = open_app(tab, stack, "/channels/samples")
        frame.get_by_label("Item", exact=True).fill("CB-BAR-HM42-80")
        frame.get_by_label("Units", exact=True).fill("1")
        frame.get_by_label("What for").fill(purpose)
        button = frame.get_by_role("button", name="Give away")
        if purpose == "Double click":
            button.dblclick()
        else:
            button.evaluate("button => { button.click(); setTimeout(() => button.click(), 20) }")
        expect(frame.get_by_role("table")).to_contain_text(purpose)
        tab.wait_for_timeout(500)  # a second one would have come by now
    frame = open_app(tab, stack, "/channels/samples")

    assert [frame.get_by_role("cell", name=purpose).count() for purpose in ("Double click", "Second press")] == [1, 1]


PATHS = ("/channels", "/channels/items/1", "/channels/log", "/channels/markets", "/channels/samples", "/wholesale")
PATHS = (*PATHS, "/wholesale/new", "/settings/api")


@pytest.mark.parametrize("width", [1440, 390])
def test_axe_finds_nothing_and_no_page_scrolls_sideways(chromium: Browser, stack: Stack, width: int) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 900})
    tab, found = context.new_page(), {}
    for path in PATHS:
        frame = open_app(tab, stack, path)
        frame.evaluate(AXE)
        wrong = frame.evaluate("async () => (await axe.run()).violations.map((v) => v.id + ' ' + v.nodes[0].html)")
        wide = frame.evaluate("document.documentElement.scrollWidth > innerWidth")
        keep_shot(tab, f"{path.strip('/').replace('/', '-')}-{width}")
        if wrong or wide:
            found[path] = (wrong, wide)
    context.close()

    assert found == {}
