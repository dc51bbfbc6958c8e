"""What is typed into a search box is looked for as it stands, signs that mean something to a database too."""

from __future__ import annotations

import re
from urllib.parse import urlencode

import pytest

from tests.support.bench import Bench

LISTS = (
    "/products?",
    "/mapping?view=mapped&",
    "/lots?view=all&",
    "/activity?view=push&",
    "/channels?view=all&",
    "/planning/items?",
)
NAMES = {"CHOC_70_X": "100% pure_bar", "CHOC-70-X": "Another", "S\\1": "A third"}


@pytest.fixture
def shop(bench: Bench) -> Bench:
    """Three items on sale with odd signs in their names."""
    for sku in NAMES:
        bench.product(sku, 0)
    bench.install()
    for sku, name in NAMES.items():
        bench.item(sku, name=name)
        bench.lot(sku, 7)
        bench.map(sku, "hub")
    bench.settle()
    return bench


def found(bench: Bench, path: str, q: str) -> list[str]:
    """The names of the items that the list shows."""
    answer = bench.open(f"{path}{urlencode({'q': q})}")
    assert answer.status_code == 200
    rows = answer.text.split("<tbody")[1].split("</tbody>")[0] if "<tbody" in answer.text else ""
    return [name for name in NAMES.values() if re.search(rf"\b{re.escape(name)}", rows)]


@pytest.mark.parametrize(
    ("q", "wanted"),
    [
        ("choc_70_x", ["100% pure_bar"]),
        ("100% pure_bar", ["100% pure_bar"]),
        ("%", ["100% pure_bar"]),
        ("_", ["100% pure_bar"]),
        ("\\", ["A third"]),
        ("OC-7", ["Another"]),
        ("choc", ["100% pure_bar", "Another"]),
    ],
)
def test_a_search_takes_every_sign_as_it_stands(shop: Bench, q: str, wanted: list[str]) -> None:
    assert {path: found(shop, path, q) for path in LISTS} == dict.fromkeys(LISTS, wanted)


def test_variants_lots_and_the_log_of_channels_are_searched_so_too(shop: Bench) -> None:
    variants = shop.open("/mapping/variants?q=choc_70_x").text
    lots = shop.open("/trace?q=c_70_").text
    log = shop.open("/channels/log?q=100%25+PURE_bar").text

    assert "Product CHOC_70_X" in variants
    assert "Product CHOC-70-X" not in variants
    assert "100% pure_bar" in lots
    assert "Another" not in lots
    assert "There is no product" not in log
