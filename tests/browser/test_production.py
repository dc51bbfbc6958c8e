"""A production day in the browser: ingredients come, a run is planned and completed, and its lot is there."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Stack, eventually, keep_shot, open_app

pytestmark = pytest.mark.browser


def test_a_run_of_120_bars_is_planned_completed_and_a_part_released(tab: Page, stack: Stack) -> None:
    before = stack.available("CB-BAR-SS70-80")
    frame = open_app(tab, stack, "/production/runs/new")
    frame.get_by_label("What to make").select_option(label="Sea Salt Dark 70 % bar, 80 g (CB-BAR-SS70-80)")
    frame.get_by_label("Quantity").fill("4800")
    expect(frame.get_by_text("4,800 pieces are 200 × the formula of 24")).to_be_visible()
    expect(frame.get_by_text(re.compile(r"Short of \d"))).to_be_visible()
    keep_shot(tab, "run-short")
    frame.get_by_label("Quantity").fill("120")
    expect(frame.get_by_text("All of it is there.")).to_be_visible()
    frame.get_by_role("button", name="Plan and reserve").click()
    expect(frame.get_by_text("All of it is reserved.")).to_be_visible()
    frame.get_by_role("link", name="Complete", exact=True).click()
    frame.get_by_label("Good, pieces").fill("1200")
    frame.get_by_role("button", name="Complete the run").click()
    expect(frame.get_by_text("1,200 came out where 120 were planned. Is that right?")).to_be_visible()
    keep_shot(tab, "run-doubt")
    frame.get_by_label("Good, pieces").fill("120")
    frame.get_by_role("button", name="Complete the run").click()
    expect(frame.get_by_text("120 good, 120 planned")).to_be_visible()
    keep_shot(tab, "run-done")
    frame.get_by_role("link", name=re.compile(r"CB-BAR-SS70-80-\d{8}-1")).click()
    frame.locator("summary", has_text="Hold, scrap").click()
    card = frame.locator("#review-completed")
    card.get_by_label("Release", exact=True).fill("50")
    card.get_by_role("button", name="Save review").click()

    eventually(lambda: stack.available("CB-BAR-SS70-80") == before + 50)
