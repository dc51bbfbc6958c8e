"""A maker's day in the browser: the product does its main job before a person's eyes."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Stack, eventually, keep_shot, open_app, shown

pytestmark = pytest.mark.browser


def row(stack: Stack, sku: str) -> dict[str, object]:
    """What `occ stock show` says of an item with one mapping."""
    return next(found for found in shown(stack) if found["item_sku"] == sku)


def test_a_lot_released_on_the_page_raises_shopifys_number(tab: Page, stack: Stack) -> None:
    frame = open_app(tab, stack, "/lots?q=SC-12")
    before = stack.available("CB-TRF-SC-12")
    frame.get_by_role("button", name="Send to review SC-2").click()
    frame.get_by_role("button", name="Release SC-2").click()

    eventually(lambda: stack.available("CB-TRF-SC-12") == before + 12)
    keep_shot(tab, "lots-after-release")


def test_a_sale_is_explained_by_the_equation(tab: Page, stack: Stack) -> None:
    left = stack.available("CB-TRF-CH-12") - 3
    stack.post("orders", {"lines": [{"sku": "CB-TRF-CH-12", "quantity": 3}]})
    eventually(lambda: row(stack, "CB-TRF-CH-12")["sellable"] == left)
    frame = open_app(tab, stack, "/products?q=Champagne")
    frame.get_by_role("link", name="Champagne truffles, 12").click()

    expect(frame.get_by_role("heading", name=f"Why {left}?")).to_be_visible()
    expect(frame.get_by_text("3 sold, not shipped")).to_be_visible()
    keep_shot(tab, "product-after-sale")


@pytest.mark.parametrize(
    ("sku", "more", "button", "stays"),
    [
        ("CB-BAR-EC85-80", 9, "Set Shopify to {before}", 0),
        ("CB-BAR-OP65-80", 3, "Book +3 here", 3),
    ],
)
def test_a_hand_edit_is_shown_kept_and_settled_each_way(
    tab: Page, stack: Stack, sku: str, more: int, button: str, stays: int
) -> None:
    before = stack.available(sku)
    edited, settled = before + more, before + stays
    stack.post("inventory/set", {"sku": sku, "available": edited})
    eventually(lambda: "drift" in row(stack, sku)["open_exceptions"])
    assert stack.available(sku) == edited
    frame = open_app(tab, stack, "/exceptions")
    keep_shot(tab, f"exceptions-{sku}")
    frame.get_by_role("button", name=re.compile(re.escape(button.format(before=before)))).first.click()

    eventually(lambda: (row(stack, sku)["target"], stack.available(sku)) == (settled, settled))
    eventually(lambda: row(stack, sku)["open_exceptions"] == [])


def test_what_was_sold_while_the_app_was_down_is_caught_up(tab: Page, stack: Stack) -> None:
    left = stack.available("CB-TIN-CP-200") - 4
    stack.stop_app()
    stack.post("orders", {"lines": [{"sku": "CB-TIN-CP-200", "quantity": 4}]})
    stack.start_app()

    stack.post("/_devshop/webhooks/deliver", {"now": True})
    eventually(lambda: row(stack, "CB-TIN-CP-200")["sellable"] == left)
    assert stack.available("CB-TIN-CP-200") == left


def test_a_new_item_is_made_mapped_and_counted_by_hand(tab: Page, stack: Stack) -> None:
    stack.post("products", [{"title": "Ruby bar", "variants": [{"sku": "RUBY", "price": "7.00", "available": 4}]}])
    frame = open_app(tab, stack, "/products/new")
    frame.get_by_label("Name").fill("Ruby bar, 80 g")
    frame.get_by_label("SKU").fill("RUBY")
    frame.get_by_role("button", name="Add item").click()
    expect(frame.get_by_role("heading", name="Ruby bar, 80 g")).to_be_visible()
    frame.get_by_role("link", name="Make a lot").click()
    frame.get_by_label("Quantity").fill("12")
    frame.get_by_label("It is").select_option("released")
    frame.get_by_role("button", name="Make the lot").click()
    expect(frame.get_by_role("heading", name="Where the 12 are")).to_be_visible()
    eventually(
        lambda: open_app(tab, stack, "/mapping").get_by_role("checkbox", name=re.compile("Ruby bar")).count() == 1
    )
    frame = open_app(tab, stack, "/mapping")
    frame.get_by_role("checkbox", name=re.compile("Ruby bar")).check()
    frame.get_by_label("Set Shopify to our numbers").check()
    frame.get_by_role("button", name="Map the selected").click()

    eventually(lambda: stack.available("RUBY") == 12)


def test_a_wrong_quantity_is_told_beside_its_field(tab: Page, stack: Stack) -> None:
    frame = open_app(tab, stack, "/lots/new")
    frame.get_by_label("Quantity").fill("-3")
    frame.get_by_role("button", name="Make the lot").click()

    expect(frame.get_by_text("Give a whole number of 1 or more.")).to_be_visible()
    expect(frame.get_by_label("Quantity")).to_have_attribute("aria-invalid", "true")
