"""A maker reviews a lot and answers approvals in the browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import SHOP, Stack, eventually, keep_shot, open_app, shown

pytestmark = pytest.mark.browser


def number(stack: Stack, sku: str, name: str) -> object:
    """A number of `occ stock show`."""
    return next(row for row in shown(stack) if row["item_sku"] == sku)[name]


def make_lot(tab: Page, stack: Stack, name: str, quantity: str, lot_number: str, place: str) -> None:
    """A lot is made on its page."""
    frame = open_app(tab, stack, "/lots/new")
    option = frame.locator("#f-item option", has_text=name).first
    frame.get_by_label("Item").select_option(value=option.get_attribute("value"))
    frame.get_by_label("Quantity").fill(quantity)
    frame.get_by_label("It is").select_option(place)
    frame.get_by_label("Lot number").fill(lot_number)
    frame.get_by_role("button", name="Make the lot").click()
    expect(frame.get_by_role("heading", name=lot_number)).to_be_visible()


def test_of_120_in_review_100_pass_and_20_are_held(tab: Page, stack: Stack) -> None:
    sku = "CB-BAR-MC45-80"
    before = stack.available(sku)
    stack.occ(
        "check", "add", "--shop", SHOP, "--item", sku, "--kind", "number", "--least", "79", "--unit", "g", "Weight"
    )
    make_lot(tab, stack, "Milk Caramel", "120", "REVIEW-1", "in_review")
    frame = open_app(tab, stack, "/lots?q=REVIEW-1")
    frame.get_by_role("link", name="Review REVIEW-1").click()
    frame.get_by_role("textbox", name="Weight g").fill("80.2")
    frame.get_by_role("button", name="Save results").click()
    expect(frame.get_by_text("Passed: 80.2 g")).to_be_visible()
    card = frame.locator("#review-in_review")
    card.get_by_label("Release", exact=True).fill("100")
    card.get_by_label("Put on hold").fill("20")
    card.get_by_label("Note").fill("Bloom on the last tray")
    card.get_by_role("button", name="Save review").click()
    expect(frame.get_by_text("100 released, 20 put on hold").first).to_be_visible()

    eventually(lambda: stack.available(sku) == before + 100)
    keep_shot(tab, "lot-reviewed")
    frame.locator("#back-quantity").fill("30")
    frame.get_by_role("button", name="Un-release").click()
    expect(tab.locator("#toast")).to_contain_text("Un-released 30")
    tab.get_by_role("button", name="Undo", exact=True).click()
    expect(frame.get_by_text("Undone: 30").first).to_be_visible()

    eventually(lambda: stack.available(sku) == before + 100)


def test_a_number_is_approved_and_another_rejected_with_a_reason(tab: Page, stack: Stack) -> None:
    one, two = "CB-TIN-DC72-250", "CB-TRF-CH-12"
    there = {sku: stack.available(sku) for sku in (one, two)}
    for sku in there:
        stack.occ("mode", "set", "--shop", SHOP, "--item", sku, "manual")
    make_lot(tab, stack, "Drinking Chocolate", "12", "APPROVE-1", "released")
    make_lot(tab, stack, "Champagne truffles", "7", "APPROVE-2", "released")
    frame = open_app(tab, stack, "/approvals")
    expect(frame.get_by_text("+12 made (APPROVE-1)")).to_be_visible()
    keep_shot(tab, "approvals-waiting")
    frame.get_by_role("button", name=re.compile("Approve .* Drinking Chocolate")).click()
    expect(frame.get_by_text("+12 made (APPROVE-1)")).to_have_count(0)
    frame.get_by_role("checkbox", name=re.compile("Select Champagne")).check()
    frame.get_by_role("textbox", name="Why you reject").fill("Boxes are not here")
    frame.get_by_role("button", name="Reject selected").click()
    expect(frame.get_by_text("Nothing waits for you")).to_be_visible()

    eventually(lambda: stack.available(one) == there[one] + 12)
    assert stack.available(two) == there[two]
