"""htmx keeps within our Content-Security-Policy: no swap writes an inline style."""

from __future__ import annotations

from urllib.parse import urlsplit

from playwright.sync_api import Browser, Route

from tests.support.bench import Bench

ORIGIN = "http://occ.test"


def test_a_field_that_somebody_made_wider_is_swapped_without_a_complaint(chromium: Browser, bench: Bench) -> None:
    bench.install()
    bench.item("SSD")

    def answer(route: Route) -> None:
        asked = urlsplit(route.request.url)
        if not route.request.url.startswith(ORIGIN):
            return route.fulfill(status=200, body="", content_type="text/javascript")
        sent = {name: text for name, text in route.request.headers.items() if name.startswith("hx-")}
        got = bench.open(f"{asked.path}?{asked.query}", headers=sent)
        body = got.data
        got.close()
        return route.fulfill(status=got.status_code, headers=dict(got.headers), body=body)

    context = chromium.new_context()
    tab, said = context.new_page(), []
    tab.route("**/*", answer)
    tab.on("console", lambda message: said.append(message.text) if "Content Security" in message.text else None)
    tab.goto(f"{ORIGIN}/products")
    tab.evaluate("document.getElementById('q-products').style.width = '300px'")
    tab.locator("#q-products").fill("zzz")
    tab.get_by_text("Nothing found").wait_for()
    context.close()

    assert said == []
