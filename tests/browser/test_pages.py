"""Every page, wide and narrow: axe finds nothing, nothing scrolls sideways, and a picture is kept to be looked at."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from occ_app.config import ROOT
from tests.browser.conftest import Stack, keep_shot, open_app

pytestmark = pytest.mark.browser
PAGES = {
    "home": "",
    "products": "/products",
    "product": "/products/1",
    "lots": "/lots",
    "lot": "/lots/1",
    "lot-new": "/lots/new",
    "lots-expiring": "/lots?view=expiring",
    "labels": "/lots/labels?lot=1,2&copies=2",
    "checks": "/products/1/checks",
    "history": "/products/1/history",
    "item-mode": "/products/1/mode?mode=completed",
    "approvals": "/approvals",
    "by-hand": "/approvals?view=hand",
    "answered": "/approvals?view=past",
    "mapping": "/mapping",
    "mapped": "/mapping?view=mapped",
    "import": "/import",
    "runs": "/production/runs",
    "run-new": "/production/runs/new?quantity=480",
    "run": "/production/runs/2",
    "run-completed": "/production/runs/1",
    "run-complete": "/production/runs/2/complete",
    "run-change": "/production/runs/2/change",
    "run-sheet": "/production/runs/2/sheet",
    "ingredients": "/production/ingredients",
    "ingredient": "/production/ingredients/13",
    "ingredient-lot": "/production/ingredients/lots/16",
    "ingredient-new": "/production/ingredients/new",
    "receive": "/production/ingredients/13/receive",
    "count": "/production/ingredients/13/count",
    "formulas": "/production/formulas",
    "formula": "/production/formulas/1",
    "formula-edit": "/production/formulas/1/edit",
    "planning": "/planning",
    "plan-items": "/planning/items",
    "plan-item": "/planning/items/7",
    "plan-ingredients": "/planning/ingredients?view=all",
    "plan-buy": "/planning/buy",
    "plan-calendar": "/planning/calendar",
    "plan-settings": "/planning/settings",
    "exceptions": "/exceptions",
    "past": "/exceptions?view=past",
    "activity": "/activity",
    "orders": "/activity?view=order",
    "settings": "/settings",
    "connection": "/settings/connection",
    "sync-mode": "/settings/sync-mode?mode=completed",
}
AXE = (ROOT / "static" / "vendor" / "axe.min.js").read_text(encoding="utf-8")
RULES = "{runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa', 'best-practice']}"


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("name", list(PAGES))
def test_page_is_accessible_and_fits(chromium: Browser, stack: Stack, name: str, width: int) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 900}, bypass_csp=True)
    tab = context.new_page()
    frame = open_app(tab, stack, PAGES[name])
    frame.evaluate(AXE)
    found = frame.evaluate(f"axe.run(document, {RULES})")
    sideways = frame.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    keep_shot(tab, f"{name}-{width}")
    context.close()

    assert [(v["id"], v["nodes"][0]["html"][:200]) for v in found["violations"]] == []
    assert sideways <= 0


def test_pages_run_under_their_own_policy_without_a_complaint(chromium: Browser, stack: Stack) -> None:
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    tab = context.new_page()
    said: list[str] = []
    tab.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    tab.on("pageerror", lambda error: said.append(str(error)))
    for path in PAGES.values():
        open_app(tab, stack, path)
    context.close()

    assert [words for words in said if "favicon" not in words] == []
