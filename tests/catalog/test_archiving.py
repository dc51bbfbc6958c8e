"""An item that was mistyped, or is not made any more, is put away, and fetched back."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from occ_app.catalog.models import Item
from occ_app.errors import BadFileError
from occ_app.extensions import db
from tests.catalog.test_files import take
from tests.support.bench import DOMAIN, Bench
from tests.test_cli import occ

AT = ("--shop", DOMAIN)


@pytest.fixture
def shop(bench: Bench) -> Bench:
    """A shop with the items OLD and NEW, and a variant OLD."""
    bench.product("OLD", 0)
    bench.install()
    bench.item("OLD")
    bench.item("NEW")
    return bench


def old_id(bench: Bench) -> int:
    """The id of the item OLD."""
    with bench.scope():
        return db.session.scalars(db.select(Item.id).where(Item.sku == "OLD")).one()


def archive(bench: Bench) -> tuple[int, str]:
    """The button was pressed: status, and what was said."""
    answer = bench.open(f"/products/{old_id(bench)}/archive", method="POST")
    return answer.status_code, re.sub("<[^>]+>", " ", answer.text)


def test_an_archived_item_stands_in_no_list_until_it_is_restored(shop: Bench) -> None:
    path = f"/products/{old_id(shop)}"
    offered = "Archive Item OLD" in shop.open(path).text
    done = archive(shop)[0]
    page = shop.open(path).text
    lists = [shop.open(each).text for each in ("/products", "/mapping", "/lots/new", "/export/items.csv")]
    archived = shop.open("/products?view=archived").text
    assert shop.open(f"{path}/restore", method="POST").status_code == 303

    assert (offered, done) == (True, 303)
    assert "It stands in no list" in page
    assert all("Item NEW" in text and "Item OLD" not in text for text in lists)
    assert ("Item OLD" in archived, "Item NEW" in archived) == (True, False)
    assert "Item OLD" in shop.open("/products").text


def test_commands_archive_and_restore(shop: Bench) -> None:
    done = occ(shop, "item", "archive", *AT, "--item", "OLD")
    left = shop.open("/products").text
    back = occ(shop, "item", "restore", *AT, "--item", "OLD")

    assert (done.output, back.output) == ("Archived OLD\n", "Restored OLD\n")
    assert "Item OLD" not in left
    assert "Item OLD" in shop.open("/products").text
    assert occ(shop, "item", "archive", *AT, "--item", "NOPE").output == "There is no item NOPE.\n"


def run(shop: Bench) -> None:
    """OLD is to be made from NEW."""
    take(shop, "formulas", "item_sku,yield_quantity,ingredient_code,quantity\nOLD,1,NEW,2\n")
    assert occ(shop, "run", "plan", *AT, "--item", "OLD", "--yields", 1).exit_code == 0


def order(shop: Bench) -> None:
    """A shop around the corner wrote OLD down on an order that is not confirmed yet."""
    assert occ(shop, "b2b", "order", "create", *AT, "--customer", "Deli", "--draft", "--line", "OLD=2").exit_code == 0


NEEDS: list[tuple[Callable[[Bench], object], str]] = [
    (lambda shop: shop.map("OLD", None), "Item OLD sells as 1 of your variants. Unmap it first."),
    (lambda shop: shop.lot("OLD", 5, "on_hold"), "There are units of Item OLD: 5 on hold. Sell or scrap them first."),
    (
        lambda shop: take(shop, "formulas", "item_sku,yield_quantity,ingredient_code,quantity\nNEW,1,OLD,2\n"),
        "Item OLD goes into NEW. Take it out of that formula first.",
    ),
    (run, "makes Item OLD. Complete or cancel it first."),
    (order, "Wholesale order W-00001 asks for Item OLD. Ship or cancel it first."),
]


@pytest.mark.parametrize(("need", "words"), NEEDS)
def test_an_item_that_is_needed_is_not_archived(shop: Bench, need: Callable[[Bench], object], words: str) -> None:
    need(shop)
    status, said = archive(shop)
    command = occ(shop, "item", "archive", *AT, "--item", "OLD")

    assert (status, words in said) == (422, True)
    assert (command.exit_code, words in command.output) == (1, True)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("items", "sku,name\nOLD,Again\n"),
        ("lots", "lot_number,item_sku,quantity\nL1,OLD,2\n"),
        ("mappings", "item_sku,variant_sku\nOLD,OLD\n"),
        ("allocations", "item_sku,channel,quantity\nOLD,markets,1\n"),
    ],
)
def test_files_do_nothing_with_an_archived_item(shop: Bench, kind: str, text: str) -> None:
    archive(shop)
    with pytest.raises(BadFileError, match=r"OLD is archived\. Restore it first"):
        take(shop, kind, text)


def test_no_lot_and_no_mapping_is_made_of_an_archived_item(shop: Bench) -> None:
    archive(shop)
    form = {"item": str(old_id(shop)), "quantity": "2"}
    lot = shop.open("/lots", method="POST", data=form)
    mapped = shop.open("/mapping", method="POST", data={"item": form["item"], "variant": "1"})

    assert (lot.status_code, "OLD is archived. Restore it first" in lot.text) == (422, True)
    assert (mapped.status_code, "OLD is archived. Restore it first" in mapped.text) == (422, True)
