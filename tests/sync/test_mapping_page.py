"""The Mapping page: any item sells as any variant at any location, with its own units per variant."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest

from devshop.world import Location as Place
from occ_app.catalog import pull
from occ_app.catalog.models import Item, Location, Variant
from occ_app.extensions import db
from occ_app.sync import explain
from tests.support.bench import Bench, Statements


@pytest.fixture
def bar(bench: Bench) -> Bench:
    """The item BAR sells as the variant BAR; BOX is another variant, and the till a second location."""
    bench.product("BAR", 0)
    bench.product("BOX", 0)
    bench.store.add_location("Till")
    bench.install()
    bench.item("BAR")
    bench.lot("BAR", 20)
    bench.map("BAR", "hub")
    bench.settle()
    return bench


def till(bench: Bench) -> Place:
    """The second location in Shopify."""
    return next(place for place in bench.store.locations.values() if place.name == "Till")


def ids(bench: Bench, sku: str = "BOX") -> tuple[int, int, int]:
    """Ids of the item BAR, of a variant, and of the till."""
    db.session.remove()
    with bench.scope():
        found = pull.find_location(till(bench).gid)
        item, variant = db.select(Item.id).where(Item.sku == "BAR"), db.select(Variant.id).where(Variant.sku == sku)
        assert found is not None
        return db.session.scalars(item).one(), db.session.scalars(variant).one(), found.id


def by_hand(bench: Bench, **fields: Any) -> Any:
    """The form at the foot of the page was sent."""
    return bench.open("/mapping", method="POST", data={"sku": "BAR", "units": "1", **fields})


def shown(bench: Bench, sku: str = "BAR") -> list[tuple[str, int]]:
    """Names of the locations and units per variant of all mappings of an item, as its product page has them."""
    db.session.remove()
    with bench.scope():
        names = {place.location_gid: place.name for place in db.session.scalars(db.select(Location))}
        return sorted((names[row["location_gid"]], row["units_per_variant"]) for row in explain.show(sku))


def test_an_item_that_is_mapped_sells_as_a_second_variant_too(bar: Bench) -> None:
    item, box, _ = ids(bar)
    page = bar.open(f"/products/{item}").text
    asked = bar.open(f"/mapping?item={item}").text
    answer = by_hand(bar, variant=box, units="6", first_link="hub")
    bar.settle()

    assert f'href="/mapping?item={item}">Sell it as another variant' in page
    assert 'value="BAR"' in asked
    assert answer.status_code == 303
    assert shown(bar) == [("Bristol workshop", 1), ("Bristol workshop", 6)]
    assert (bar.available("BAR"), bar.available("BOX")) == (20, 3)


def test_units_at_a_second_location_lead_to_a_mapping_there(bar: Bench) -> None:
    item, variant, place = ids(bar, "BAR")
    bar.level("BAR", till(bar))  # Shopify stocks it there
    bar.lot("BAR", 7, where=till(bar))
    page = bar.open(f"/products/{item}").text
    link = unescape(re.findall(r'<a href="(/mapping[^"]+)">Map one there', page)[0])
    asked = bar.open(link).text
    answer = by_hand(bar, variant=variant, location=place, first_link="hub")
    bar.settle()

    assert "7 at Till are not on sale" in page
    assert "move the lot" not in page
    assert f'<option value="{place}" selected>Till' in asked
    assert f'value="{variant}" aria-label="Map to Product BAR' in asked
    assert answer.status_code == 303
    assert bar.level("BAR", till(bar)).quantities["available"] == 7
    assert "not on sale" not in bar.open(f"/products/{item}").text


def test_an_item_is_found_by_its_name_among_all(bar: Bench) -> None:
    bar.item("TRUFFLE", name="Rum truffle")
    found = bar.open("/mapping/items?sku=rum").text

    assert '<option value="TRUFFLE">Rum truffle' in found
    assert "BAR" not in found


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"sku": ""}, "Give the item&#39;s SKU"),
        ({"sku": "NONE", "variant": "1"}, "There is no item with the SKU NONE."),
        ({}, "Find a variant first"),
        ({"variant": "2", "units": "0"}, "Give units per variant of 1 or more."),
        ({"variant": "2", "location": "9" * 30}, "That location is switched off in Shopify, or gone."),
        ({"variant": "9" * 30}, "Tick the mappings to make."),
    ],
)
def test_what_cannot_be_mapped_is_answered_with_a_sentence(bar: Bench, fields: dict[str, str], words: str) -> None:
    answer = by_hand(bar, **fields)

    assert (answer.status_code, words in answer.text) == (422, True)
    assert shown(bar) == [("Bristol workshop", 1)]


def test_a_variant_that_sells_the_item_there_already_is_refused(bar: Bench) -> None:
    answer = by_hand(bar, variant=ids(bar, "BAR")[1])

    assert (answer.status_code, "already sells BAR at Bristol workshop" in answer.text) == (422, True)


def test_the_page_costs_the_same_with_many_items(bar: Bench) -> None:
    costs = []
    for more in (1, 40):
        for number in range(more):
            bar.item(f"M{more}-{number}")
        with Statements() as statements:
            bar.open("/mapping")
        costs.append(len(statements.texts))

    assert costs[0] == costs[1]
