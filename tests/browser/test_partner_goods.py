"""A merchant browses a partner's products, imports 25 with 40 % margin, and never sells what the partner no longer has."""

from __future__ import annotations

import json
import re
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import DOMAIN, SHOP, Stack, eventually, open_app, products
from tests.browser.test_partners import finds_nothing

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]


def edit(stack: Stack, sku: str, available: int) -> None:
    """The partner types a number in its own admin, at one of its locations; the others have none."""
    rows = json.loads(urlopen(f"{stack.devshop}/_devshop/shops/{DOMAIN}/inventory", timeout=20).read())
    for number, row in enumerate(row for row in rows if row["sku"] == sku):
        body = {"sku": sku, "location_gid": row["location_gid"], "available": 0 if number else available}
        stack.post(f"/_devshop/shops/{DOMAIN}/inventory/set", body)


def test_25_products_are_picked_priced_and_imported(chromium: Browser, stack: Stack, partner: str) -> None:
    before = {row["product_gid"] for row in products(stack) if row["imported"]}
    context = chromium.new_context(viewport={"width": 1440, "height": 1000}, bypass_csp=True)
    tab = context.new_page()
    app = open_app(tab, stack, f"{partner}/products")
    expect(app.get_by_role("table")).to_be_visible()
    app.get_by_label("Rule", exact=True).select_option("margin_percent")
    app.get_by_label("Value", exact=True).fill("40")
    app.get_by_label("Round up to").select_option("95")
    expect(app.locator("#example")).to_contain_text("at 40 % margin")
    app.get_by_label("Stock", exact=True).select_option("some")
    expect(app.locator("#found")).not_to_contain_text("None")
    boxes = app.locator("tbody input[name=p]")
    for number in range(24):
        boxes.nth(number).check()
    app.get_by_role("button", name="Next page").click()
    expect(app.locator("#found")).to_contain_text("51–")
    boxes.first.check()
    expect(app.locator(".bulk")).to_contain_text("24 on other pages")
    app.get_by_label("Search", exact=True).press("Enter")
    expect(app.locator(".bulk")).to_contain_text("1 on other pages")
    expect(app.get_by_role("heading", name="Import from Harbour Roasters")).not_to_be_visible()
    app.get_by_role("button", name="Next page").click()
    expect(app.locator("#found")).to_contain_text("51–")
    finds_nothing(tab, app, "products")
    app.get_by_label("Active, on sale at once").check()
    tab.set_viewport_size({"width": 1440, "height": 1000})
    app.get_by_role("button", name="Import selected").click()
    expect(app.get_by_role("heading", name="Import from Harbour Roasters")).to_be_visible()
    expect(app.locator("#run [role=status]")).to_have_text("25 of 25 products", timeout=60_000)
    expect(app.get_by_role("heading", name="Imported", exact=True)).to_be_visible()
    finds_nothing(tab, app, "import")
    context.close()

    rows = [row for row in products(stack) if row["imported"] and row["product_gid"] not in before]
    assert len({row["product_gid"] for row in rows}) == 25
    assert all(str(row["our_price"]).endswith(".95") and float(str(row["margin_percent"])) >= 40 for row in rows)


def test_the_number_follows_and_the_last_one_sold_twice_is_told(stack: Stack, partner: str) -> None:
    rows = products(stack)
    skus = [row["sku"] for row in rows]
    row = next(row for row in rows if row["imported"] and row["available"] and skus.count(row["sku"]) == 1)
    theirs, ours = str(row["sku"]), str(row["our_sku"])
    edit(stack, theirs, 9)
    eventually(lambda: stack.available(ours) == 9)
    edit(stack, theirs, 1)
    eventually(lambda: stack.available(ours) == 1)

    made = [
        stack.post(f"/_devshop/shops/{domain}/orders", {"lines": [{"sku": sku, "quantity": 1}]})["id"]
        for domain, sku in ((SHOP, ours), (DOMAIN, theirs))
    ]

    eventually(lambda: "missing" in stack.occ("exceptions", "list", "--shop", SHOP))
    left = stack.available(ours)
    stack.post(f"orders/{made[0]}/cancel", {})  # else it would stand on the partner's next order

    assert left == 0


def test_prices_by_a_new_rule_are_seen_before_they_are_set(chromium: Browser, stack: Stack, partner: str) -> None:
    ours = {str(row["our_sku"]) for row in products(stack) if row["imported"]}
    before = prices(stack, ours)
    stack.occ("partner", "set", "--shop", SHOP, "--partner", DOMAIN, "rounding", "whole")
    context = chromium.new_context(viewport={"width": 1440, "height": 1000}, bypass_csp=True)
    tab = context.new_page()
    app = open_app(tab, stack, f"{partner}/prices")
    expect(app.get_by_role("heading", name=f"{len(ours)} of {len(ours)} differ")).to_be_visible()
    finds_nothing(tab, app, "prices")
    untouched = prices(stack, ours)
    tab.set_viewport_size({"width": 1440, "height": 1000})
    app.get_by_role("button", name=f"Set all {len(ours)}").click()
    expect(app.get_by_text(re.compile("All prices are (set|as your rules say)")).first).to_be_visible(timeout=60_000)
    finds_nothing(tab, open_app(tab, stack, f"{partner}/prices"), "prices-set")
    context.close()

    assert untouched == before
    assert all(price.endswith(".95") for price in before.values())
    assert all(price.endswith(".00") for price in prices(stack, ours).values())


def prices(stack: Stack, skus: set[str]) -> dict[str, str]:
    """What customers pay for these in the shop."""
    rows = json.loads(urlopen(f"{stack.devshop}/_devshop/shops/{SHOP}/products", timeout=20).read())
    return {v["sku"]: v["price"] for row in rows for v in row["variants"] if v["sku"] in skus}


@pytest.mark.parametrize("page", ["products/1", "pulls", "changes", "types"])
def test_pages_are_accessible_and_fit(chromium: Browser, stack: Stack, partner: str, page: str) -> None:
    context = chromium.new_context(bypass_csp=True)
    tab = context.new_page()
    first = open_app(tab, stack, f"{partner}/products").locator("tbody td.main a").first.get_attribute("href") or ""
    path = first if page == "products/1" else f"{partner}/{page}"
    finds_nothing(tab, open_app(tab, stack, path), f"goods-{page.split('/')[0]}-one")
    context.close()
