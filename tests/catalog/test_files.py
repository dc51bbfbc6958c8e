"""CSV in and out: all or nothing, every bad line named, nothing that a spreadsheet would run."""

from __future__ import annotations

from datetime import date

import pytest

from occ_app import clock
from occ_app.catalog.models import Item, Mapping, Variant
from occ_app.errors import BadFileError
from occ_app.extensions import db
from occ_app.stock import ledger, listing, lots
from occ_app.stock.models import Lot
from occ_app.sync.files import KINDS
from tests.partners.support import add_good, add_partner
from tests.support.bench import Bench


def take(bench: Bench, kind: str, text: str) -> int:
    """The file is taken for the bench's shop."""
    with bench.scope():
        try:
            taken = KINDS[kind].take(text.encode(), "test", clock.now())
            db.session.commit()
        except BadFileError:
            db.session.rollback()
            raise
        return taken


def count(bench: Bench, model: type) -> int:
    """Rows of the bench's shop."""
    with bench.scope():
        return db.session.scalar(db.select(db.func.count()).select_from(model)) or 0


@pytest.fixture
def shop(bench: Bench) -> Bench:
    """A store with the variant A and the item A."""
    bench.product("A", 5)
    bench.product("TWICE", 1)
    bench.product("TWICE", 1)
    bench.install()
    bench.item("A")
    return bench


@pytest.mark.parametrize(
    ("kind", "text", "line", "words"),
    [
        ("items", "sku,nane\nX,Y\n", 1, "Unknown columns: nane"),
        ("items", "sku\nX\n", 1, "Missing columns: name"),
        ("items", "sku,name\nX,One\nX,Two\n", 3, "stands twice"),
        ("items", "sku,name,safety_stock\nX,Y,-1\n", 2, "whole number from 0"),
        ("items", "sku,name,safety_stock\nX,Y,1.5\n", 2, "whole number"),
        ("items", "sku,name,sync_mode\nX,Y,all\n", 2, "Give one of released"),
        ("items", "sku,name\nX\n", 2, "1 cells, the header has 2"),
        ("items", "sku,name,shelf_life_days\nX,Y,36501\n", 2, "from 1 to 36,500"),
        ("items", "sku,name\nX\0,Y\n", 2, "holds a zero byte"),
        ("items", 'sku,name,safety_stock\n"X\nX",One,1\n\nY,Two,-1\n', 5, "whole number from 0"),
        ("items", 'sku,name\n"X\nX",One\nY,"Two\n\n', 4, "not CSV"),
        ("lots", "lot_number,item_sku,quantity\nL1,A,0\n", 2, "whole number from 1"),
        ("lots", "lot_number,item_sku,quantity\nL1,A,2.9\n", 2, "whole number"),
        ("lots", "lot_number,item_sku,quantity\nL1,B,2\n", 2, "no item 'B'"),
        ("lots", "lot_number,item_sku,quantity,place\nL1,A,2,shelf\n", 2, "Give one of completed"),
        ("lots", "lot_number,item_sku,quantity,expires_on\nL1,A,2,soon\n", 2, "Give a date"),
        ("items", "sku;name\r\nX;Y\r\n", 1, "The file is separated by semicolons. Save it with commas"),
        ("items", '"sku";"name"\nX;"Y, Z"\n', 1, "The file is separated by semicolons."),
        ("items", "sku\tname\nX\tY\n", 1, "The file is separated by tabs. Save it with commas"),
        ("items", "sku,name\n\n,\n", 1, "The file has no lines below its header."),
        ("lots", "lot_number,item_sku,quantity\nL1,A,2\nL1,A,3\n", 3, "stands twice in the file at the same place"),
        (
            "lots",
            "lot_number,item_sku,quantity,place,made_on\nL,A,2,,\nL,A,3,on_hold,2020-01-01\n",
            3,
            "other days above",
        ),
        ("mappings", "item_sku,variant_sku\nA,NONE\n", 2, "no variant 'NONE'"),
        ("mappings", "item_sku,variant_sku\nA,TWICE\n", 2, "2 variants have the SKU"),
        ("mappings", "item_sku,variant_sku,first_link\nA,A,both\n", 2, "Give hub, shopify"),
    ],
)
def test_a_bad_line_is_named_and_nothing_is_taken(shop: Bench, kind: str, text: str, line: int, words: str) -> None:
    with pytest.raises(BadFileError) as error:
        take(shop, kind, text)

    assert [bad.number for bad in error.value.lines] == [line]
    assert words in error.value.lines[0].reason
    assert (count(shop, Item), count(shop, Lot), count(shop, Mapping)) == (1, 0, 0)


def test_every_bad_line_is_named(shop: Bench) -> None:
    with pytest.raises(BadFileError) as error:
        take(shop, "lots", "lot_number,item_sku,quantity\nL1,A,5\nL2,A,-1\nL3,B,5\nL1,A,5\n")

    assert [bad.number for bad in error.value.lines] == [3, 4, 5]
    assert count(shop, Lot) == 0


def test_lines_with_too_many_cells_are_named_among_those_with_bad_ones(shop: Bench) -> None:
    with pytest.raises(BadFileError) as error:
        take(shop, "items", "sku,name\nX,One\nX,Two\n,Three\nY,\nZ,Four,5\nX,Six\n")

    assert [(bad.number, bad.reason) for bad in error.value.lines] == [
        (3, "The SKU X stands twice in the file."),
        (4, "sku is empty."),
        (5, "name is empty."),
        (6, "It has 3 cells, the header has 2."),
        (7, "The SKU X stands twice in the file."),
    ]


def test_a_split_lot_goes_out_and_comes_back_in_as_one(shop: Bench) -> None:
    till = shop.store.add_location("Till")
    shop.open("/mapping/pull", method="POST")
    shop.settle()
    lot = shop.lot("A", 100, "in_review", number="SPL-1")
    shop.move(lot, "on_hold", 20)
    shop.move(lot, "released", 80)
    with shop.scope():
        out = KINDS["lots"].give().replace("SPL-1", "SPL-2")
    more = f"SPL-2,A,5,released,{till.gid},{out.split(',')[-2]},"
    take(shop, "lots", f"{out}{more}\r\n")

    assert out.count("SPL-2") == 2
    with shop.scope():
        assert out.strip() in KINDS["lots"].give().replace("SPL-1", "SPL-2")
        made = db.session.scalars(db.select(Lot).where(Lot.lot_number == "SPL-2")).one()
        assert lots.places_of(made) == {"released": 85, "on_hold": 20}
        assert listing.made_of([made.id]) == {made.id: 105}
        assert ledger.audit() == []


def test_a_number_in_a_file_is_one_items_lot(shop: Bench) -> None:
    shop.item("B")
    with pytest.raises(BadFileError, match="L1 is another item's lot above"):
        take(shop, "lots", "lot_number,item_sku,quantity,place\nL1,A,5,released\nL1,B,5,on_hold\n")

    assert count(shop, Lot) == 0


@pytest.fixture
def with_partner(shop: Bench) -> Bench:
    """A shop that sells a partner's goods as PARTNER-1, beside its own A."""
    shop.product("PARTNER-1", 0)
    shop.settle()
    with shop.scope():
        add_good(shop, add_partner(), "PARTNER-1", 4)
        db.session.commit()
    shop.settle()
    take(shop, "mappings", "item_sku,variant_sku\nA,A\n")
    return shop


def test_mappings_of_a_partners_goods_go_out_and_come_back_in(with_partner: Bench) -> None:
    with with_partner.scope():
        out = KINDS["mappings"].give()
    assert "PARTNER-1" in out
    assert take(with_partner, "mappings", out) == 2
    take(with_partner, "mappings", out.replace("true", "false"))

    assert count(with_partner, Mapping) == 2
    with with_partner.scope():
        assert KINDS["mappings"].give() == out.replace("true", "false")


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        ("items", "sku,name\nPARTNER-1,Beans\n", "PARTNER-1 are goods of a partner. Change them with"),
        ("ingredients", "code,name,unit\nPARTNER-1,Beans,kg\n", "PARTNER-1 are goods of a partner. Give"),
        (
            "lots",
            "lot_number,item_sku,quantity\nL1,PARTNER-1,2\n",
            "PARTNER-1 are goods of a partner: the partner keeps",
        ),
        ("mappings", "item_sku,variant_sku\nPARTNER-1,A\n", "they are mapped when they are imported"),
        ("allocations", "item_sku,channel,quantity\nPARTNER-1,markets,1\n", "PARTNER-1 are goods of a partner:"),
    ],
)
def test_a_partners_goods_are_called_so(with_partner: Bench, kind: str, text: str, words: str) -> None:
    with pytest.raises(BadFileError) as error:
        take(with_partner, kind, text)

    assert words in error.value.lines[0].reason


def test_what_goes_out_comes_back_in(shop: Bench) -> None:
    take(shop, "items", 'sku,name,safety_stock\nF,"=HYPERLINK(""x"")",3\n')
    with shop.scope():
        out = KINDS["items"].give()
    assert "'=HYPERLINK" in out
    take(shop, "items", out)
    with shop.scope():
        assert db.session.scalars(db.select(Item.name).where(Item.sku == "F")).one() == '=HYPERLINK("x")'


def test_a_file_maps_and_links(shop: Bench) -> None:
    take(shop, "lots", "lot_number,item_sku,quantity,place\nL1,A,7,released\n")
    take(shop, "mappings", "item_sku,variant_sku,first_link\nA,A,hub\n")
    shop.settle()

    assert shop.available("A") == 7
    with shop.scope():
        assert db.session.scalar(db.select(db.func.count()).select_from(Variant)) == 3


def only_mapping(shop: Bench) -> Mapping:
    """The one mapping there is."""
    with shop.scope():
        return db.session.scalars(db.select(Mapping)).one()


def test_a_file_without_the_switch_or_the_units_leaves_those_of_a_mapping_as_they_are(shop: Bench) -> None:
    take(shop, "mappings", "item_sku,variant_sku,units_per_variant,sync_enabled\nA,A,6,false\n")
    take(shop, "mappings", "item_sku,variant_sku\nA,A\n")

    assert (only_mapping(shop).sync_enabled, only_mapping(shop).units_per_variant) == (False, 6)


def test_a_new_mapping_of_such_a_file_is_on_and_has_one_unit(shop: Bench) -> None:
    take(shop, "mappings", "item_sku,variant_sku\nA,A\n")

    assert (only_mapping(shop).sync_enabled, only_mapping(shop).units_per_variant) == (True, 1)


def test_an_empty_switch_leaves_a_mapping_as_it_is_and_a_new_one_on(shop: Bench) -> None:
    take(shop, "mappings", "item_sku,variant_sku,sync_enabled\nA,A,\n")
    was_on = only_mapping(shop).sync_enabled
    take(shop, "mappings", "item_sku,variant_sku,sync_enabled\nA,A,false\n")
    take(shop, "mappings", "item_sku,variant_sku,sync_enabled\nA,A,\n")

    assert (was_on, only_mapping(shop).sync_enabled) == (True, False)


def test_other_units_of_a_mapping_that_there_is_are_refused_with_what_to_do(shop: Bench) -> None:
    take(shop, "mappings", "item_sku,variant_sku,units_per_variant\nA,A,6\n")
    with pytest.raises(BadFileError, match=r"sells 6 units of A at Bristol workshop, not 2\. Unmap it first"):
        take(shop, "mappings", "item_sku,variant_sku,units_per_variant\nA,A,2\n")

    assert count(shop, Mapping) == 1


@pytest.mark.parametrize("number", ["99999999999", "-1", "٣", "9" * 5000])
def test_a_mapping_that_cannot_be_is_answered_with_a_sentence(shop: Bench, number: str) -> None:
    answer = shop.open("/mapping/drift-rule", method="POST", data={"mapping": number, "rule": "hub"})

    assert answer.status_code == 422
    assert "Select at least one mapping first" in answer.text


@pytest.mark.parametrize("path", ["/production/formulas/1?version=99999999999", "/planning/items/1?run=99999999999"])
def test_a_number_that_no_row_can_have_is_no_error_of_ours(shop: Bench, path: str) -> None:
    assert shop.open(path).status_code < 500
    assert shop.open(path.replace("=", "=-")).status_code < 500


def test_a_lot_in_a_file_expires_by_its_day_or_by_its_shelf_life(shop: Bench) -> None:
    take(shop, "items", "sku,name,shelf_life_days\nA,Bar,30\n")
    lines = ["OLD,A,7,2025-01-01,", "TOLD,A,5,2025-01-01,2099-01-01", "UNKNOWN,A,3,,"]
    take(shop, "lots", "\n".join(["lot_number,item_sku,quantity,made_on,expires_on", *lines]))
    take(shop, "mappings", "item_sku,variant_sku,first_link\nA,A,hub\n")
    shop.settle()

    with shop.scope():
        days = {lot.lot_number: lot.expires_on for lot in db.session.scalars(db.select(Lot))}
    assert days == {"OLD": date(2025, 1, 31), "TOLD": date(2099, 1, 1), "UNKNOWN": None}
    assert shop.available("A") == 8


def test_a_lot_that_would_expire_in_no_year_is_named_with_its_line(shop: Bench) -> None:
    take(shop, "items", "sku,name,shelf_life_days\nA,Bar,30\n")
    with pytest.raises(BadFileError) as caught:
        take(shop, "lots", "lot_number,item_sku,quantity,made_on\nL1,A,5,9999-12-30\n")

    assert [line.number for line in caught.value.lines] == [2]
