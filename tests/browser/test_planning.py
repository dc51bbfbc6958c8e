"""Planning in the browser: the first suggestion explains itself, what if answers while one types, drafting shows what is short."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Stack, eventually, keep_shot, open_app

pytestmark = pytest.mark.browser


def test_a_suggestion_is_questioned_drafted_and_found_in_hand(tab: Page, stack: Stack) -> None:
    eventually(lambda: "CB-TRF-HP-12" in stack.occ("plan", "show", "--shop", "cocoa-bristol.myshopify.com"))
    frame = open_app(tab, stack, "/planning")
    first = frame.locator("li.case").first
    expect(first.get_by_role("link", name="Hazelnut Praline truffles, 12")).to_be_visible()
    expect(first.get_by_text("expected a day")).to_be_visible()
    expect(first.get_by_text("lost a day")).to_be_visible()
    first.get_by_role("link", name="Hazelnut Praline truffles, 12").click()
    expect(frame.get_by_text("It was the closest of")).to_be_visible()
    frame.get_by_label("Lead time, days", exact=True).fill("12")
    expect(frame.locator("#what-if strong").first).to_be_visible()
    keep_shot(tab, "plan-what-if")
    frame.get_by_label("Lead time, days", exact=True).fill("9")
    expect(frame.get_by_role("row", name=re.compile("^Suggested [0-9,]+ [0-9,]+$"))).to_be_visible()
    frame.get_by_role("button", name="Save", exact=True).click()
    expect(frame.locator("#what-if")).to_contain_text("Change a number")
    expect(frame.get_by_role("button", name=re.compile("^Draft [0-9,]+$"))).to_be_visible()
    expect(frame.get_by_label("Lead time, days", exact=True)).to_have_value("9")
    expect(frame.get_by_label("Suggest when it runs low")).to_be_checked()
    frame = open_app(tab, stack, "/planning")
    first = frame.locator("li.case").first
    first.get_by_role("button", name=re.compile("Draft .* of Hazelnut Praline")).click()
    expect(frame.get_by_text(re.compile("In hand 1"))).to_be_visible()
    frame.get_by_role("link", name=re.compile("In hand")).click()
    expect(frame.get_by_role("link", name=re.compile("Open run R-"))).to_be_visible()
    frame.get_by_role("link", name=re.compile("Open run R-")).click()

    expect(frame.get_by_text(re.compile("Short of"))).to_be_visible()
