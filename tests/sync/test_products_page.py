"""The Products page: one unit in a row, and what is true of a partner's goods."""

from __future__ import annotations

import re

from occ_app.catalog.models import PARTNER, Item, Variant
from occ_app.sync.words import own_title
from tests.support.bench import Bench


def row(bench: Bench, sku: str) -> str:
    """The words of a SKU's row."""
    text = bench.open(f"/products?q={sku}").text
    return " ".join(re.sub(r"<[^>]+>", " ", text.split("<tbody>")[1].split("</tbody>")[0]).split())


def test_a_box_is_counted_in_boxes_in_every_column_with_its_pieces_beside(bench: Bench) -> None:
    bench.product("BOX", 0)
    bench.install()
    bench.item("BAR")
    bench.lot("BAR", 122)
    bench.map("BAR", "hub", "BOX", units=6)
    for _ in range(2):
        bench.settle()
        bench.open("/home/sync", method="POST")
    bench.settle()

    assert row(bench, "BAR").endswith("Released only 20 122 pieces 20 0")


def test_a_number_is_explained_by_the_moves_of_its_own_location(bench: Bench) -> None:
    shop_floor = bench.store.add_location("Market Street")
    bench.product("A", 0)
    bench.install()
    item_id = bench.item("A")
    bench.lot("A", 7)
    bench.lot("A", 55, where=shop_floor)
    here, there = bench.map("A", "hub"), bench.map("A", "hub", where=shop_floor)
    pages = [bench.open(f"/products/{item_id}?mapping={mapping_id}").text for mapping_id in (here, there)]
    moves = [text.split('<ol class="timeline">')[1].split("</ol>")[0] for text in pages]

    assert ["55 " in text for text in moves] == [False, True]
    assert ["7 " in text for text in moves] == [True, False]


def test_a_partners_goods_are_what_the_partner_has(bench: Bench) -> None:
    bench.install()
    bench.item("SOAP", kind=PARTNER)
    bench.item("BAR")

    assert "The partner's stock" in row(bench, "SOAP").replace("&#39;", "'")
    assert "Released only" in row(bench, "BAR")


def test_a_name_that_says_the_variants_title_is_not_followed_by_it() -> None:
    assert own_title(Item(name="Soap, Lavender"), Variant(title="Lavender")) == ""
    assert own_title(Item(name="Soap"), Variant(title="Lavender")) == "Lavender"
    assert own_title(Item(name="Soap"), None) == ""
