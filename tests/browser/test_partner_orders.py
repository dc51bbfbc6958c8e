"""A week's order to a roaster in a real browser: it grows, is closed, comes, is counted and stands on the statement."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import DOMAIN, ROASTER, SHOP, Stack, eventually, open_app, products
from tests.browser.test_partners import finds_nothing

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]


def imported(stack: Stack) -> list[str]:
    """Our SKUs of two products of the roaster that it has plenty of, on sale in the shop."""
    plenty = [row for row in products(stack) if int(str(row.get("available") or 0)) >= 12 and not row["imported"]][:2]
    stack.occ(
        "partner", "import", "--shop", SHOP, "--partner", DOMAIN, "--markup", "40", "--active",
        *(str(row["variant_gid"]) for row in plenty),
    )  # fmt: skip
    return [f"PARTNER-{ROASTER}-{row['sku']}" for row in plenty]


def captured(stack: Stack) -> int:
    """How many units of customers wait for the partner or stand on its orders: a batch may come at any moment."""
    waiting = [row.split() for row in stack.occ("partner", "orders", "lines", "--shop", SHOP).splitlines()]
    ordered = json.loads(stack.occ("partner", "orders", "list", "--shop", SHOP, "--json"))
    return sum(int(row[2]) for row in waiting) + sum(row["units"] for row in ordered)


def test_a_weeks_order_grows_is_closed_received_and_stated(chromium: Browser, stack: Stack, partner: str) -> None:
    skus = imported(stack)
    stack.occ("partner", "set", "--shop", SHOP, "--partner", DOMAIN, "hold_minutes", "0")
    before = captured(stack)
    for quantity, paid in ((2, "paid"), (3, "paid"), (1, "pending")):
        lines = [{"sku": sku, "quantity": quantity} for sku in skus]
        stack.post("orders", {"lines": lines, "financial_status": paid})
    eventually(lambda: captured(stack) == before + 12)

    context = chromium.new_context(viewport={"width": 1440, "height": 1000}, bypass_csp=True)
    tab = context.new_page()
    app = open_app(tab, stack, "/partner-orders")
    app.get_by_role("button", name="Send now").click()
    expect(app.locator("#orders")).to_contain_text("Open, growing")
    finds_nothing(tab, app, "orders")
    (order,) = json.loads(stack.occ("partner", "orders", "list", "--shop", SHOP, "--json"))
    path = app.get_by_role("link", name=order["name"]).get_attribute("href") or ""

    app = open_app(tab, stack, "/partner-orders/lines")
    expect(app.get_by_role("table")).to_contain_text("Not paid yet")
    finds_nothing(tab, app, "orders-pending")
    app = open_app(tab, stack, path)
    expect(app.locator("#countdown")).to_contain_text("Closes")
    finds_nothing(tab, app, "order")
    tab.set_viewport_size({"width": 1440, "height": 1000})
    app.get_by_role("button", name="Close now").click()
    app.get_by_role("button", name="Send 10 units").click()
    expect(app.locator("main")).to_contain_text("Ordered from Harbour Roasters")

    app = open_app(tab, stack, f"{path}/receive")
    finds_nothing(tab, app, "order-receive")
    tab.set_viewport_size({"width": 1440, "height": 1000})
    app.get_by_label("Barcode or SKU").fill(skus[0])
    app.get_by_role("button", name="Receive one").click()
    expect(app.locator("main")).to_contain_text("9 units are still to be counted")
    app.get_by_label("Missing").first.fill("1")
    app.get_by_role("button", name="Book what I counted").click()
    expect(app.locator("main")).to_contain_text("8 units are still to be counted")
    app = open_app(tab, stack, "/partner-orders/statement")
    app.get_by_label("Partner", exact=True).select_option(label="Harbour Roasters")
    app.get_by_role("button", name="Show").click()
    expect(app.get_by_role("table")).to_contain_text(order["name"])
    finds_nothing(tab, app, "order-statement")
    context.close()
