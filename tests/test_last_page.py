"""Past the end of a list one lands on its last page, and is not told that the shop is empty."""

from __future__ import annotations

import pytest

from occ_app import clock
from occ_app.catalog.models import Item
from occ_app.extensions import db
from tests.support.bench import Bench

LISTS = (
    "/products",
    "/products?view=unmapped",
    "/lots?view=all",
    "/channels",
    "/channels/log",
    "/production/ingredients",
    "/products/1/history",
)
EMPTY = (
    "/mapping?view=mapped",
    "/approvals",
    "/exceptions",
    "/wholesale",
    "/settings/sync-mode?mode=completed",
    "/planning",
    "/planning/items",
    "/planning/ingredients",
    "/production/runs",
    "/production/formulas",
    "/recalls",
    "/partner-orders",
    "/partner-orders/lines",
    "/partner-orders/customers",
    "/partner-orders/log",
)


def at_page(path: str, number: int) -> str:
    """The path of a list's page."""
    return f"{path}{'&' if '?' in path else '?'}page={number}"


def test_past_the_last_page_one_lands_on_it(bench: Bench) -> None:
    bench.install()
    bench.item("A")
    with bench.scope():
        for n in range(51):
            for kind in ("product", "ingredient"):
                fields = {"unit": "piece", "safety_stock": 0, "created_at": clock.now()}
                db.session.add(Item(sku=f"{kind}-{n:02}", name=f"{kind} {n:02}", kind=kind, **fields))
        db.session.commit()
    for n in range(51):
        bench.lot("A", 1, number=f"L-{n:02}")
    answers = {path: bench.open(at_page(path, 9999), headers={"HX-Request": "true"}) for path in LISTS}
    landed = {path: bench.open(answer.headers["Location"]) for path, answer in answers.items()}

    assert {path: answer.status_code for path, answer in answers.items()} == dict.fromkeys(LISTS, 303)
    for path, answer in landed.items():
        assert answer.request.full_path == at_page(path, 2)
        assert "<tbody" in answer.text, path


def test_the_page_before_is_shown_where_all_lots_of_the_last_have_left_the_view(bench: Bench) -> None:
    bench.install()
    bench.item("A")
    lot_ids = [bench.lot("A", 1, "completed", number=f"L-{n:02}") for n in range(51)]
    form = {"lot": [lot_ids[0]], "view": "package", "page": "2"}
    text = bench.open("/lots/all/package", method="POST", data=form, headers={"HX-Request": "true"}).text

    assert "1–50 of 50" in text


def test_the_next_page_looks_for_the_same(bench: Bench) -> None:
    bench.install()
    with bench.scope():
        for n in range(51):
            fields = {"unit": "piece", "safety_stock": 0, "created_at": clock.now()}
            db.session.add(Item(sku=f"I-{n:02}", name=f"Nuts & more +{n:02}", kind="ingredient", **fields))
        db.session.add(Item(sku="NUTS", name="Nuts ", kind="ingredient", **fields))
        db.session.commit()
    text = bench.open("/production/ingredients?q=nuts+%26+more+%2B").text
    path = text.split('aria-label="Next page"')[0].rsplit('href="', 1)[1].split('"')[0].replace("&amp;", "&")

    assert "51–51 of 51" in bench.open(path).text


@pytest.mark.parametrize("path", EMPTY)
def test_an_empty_list_has_one_page(bench: Bench, path: str) -> None:
    bench.install()
    answer = bench.open(at_page(path, 9999), follow_redirects=True)

    assert answer.status_code == 200
    assert "9999" not in answer.request.full_path or path in ("/exceptions", "/partner-orders/log")


def test_what_the_admin_adds_to_an_address_is_added_once(bench: Bench) -> None:
    bench.install()
    query = "/products?embedded=1&host=h&id_token=x&hmac=y&timestamp=1&view=all&page=7"
    location = bench.open(query).headers["Location"]

    assert location == "/products?view=all&page=1"
