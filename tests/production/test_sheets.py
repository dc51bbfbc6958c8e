"""CSV of ingredients and formulas: all or nothing, every bad line named, what goes out comes back in."""

from __future__ import annotations

from datetime import timedelta

import pytest

from occ_app import clock
from occ_app.catalog.models import Item
from occ_app.errors import BadFileError
from occ_app.extensions import db
from occ_app.production import formulas
from occ_app.production.models import Formula
from occ_app.stock.models import Lot
from occ_app.sync.files import KINDS
from tests.production.kitchen import Kitchen

FORMULA_COLUMNS = "item_sku,yield_quantity,ingredient_code,quantity,scrap_percent"


def take(kitchen: Kitchen, kind: str, *lines: str) -> int:
    """The file is taken, or refused whole."""
    db.session.remove()
    with kitchen.bench.scope():
        try:
            taken = KINDS[kind].take("\n".join(lines).encode(), "test", clock.now())
            db.session.commit()
        except BadFileError:
            db.session.rollback()
            raise
        return taken


def give(kitchen: Kitchen, kind: str) -> str:
    """The file that goes out."""
    db.session.remove()
    with kitchen.bench.scope():
        return KINDS[kind].give().replace("\r\n", "\n")


@pytest.fixture
def larder(kitchen: Kitchen) -> Kitchen:
    """Cocoa and cream by a file, and two products."""
    kitchen.bench.item("BAR")
    kitchen.bench.item("BOX")
    head = "code,name,unit,on_hand,reorder_point,lead_time_days,unit_cost"
    take(
        kitchen,
        "ingredients",
        head,
        "COCOA,Cocoa,kg,12.5,5,14,8.40",
        "CREAM,Cream,l,,,2,3.2",
        "LID,Lid,piece,400,,,0.05",
    )
    return kitchen


def test_on_hand_makes_an_opening_lot_in_smallest_amounts(larder: Kitchen) -> None:
    assert larder.stock("COCOA") == {"released": 12_500_000, "opening": -12_500_000}
    assert larder.stock("LID") == {"released": 400, "opening": -400}
    assert larder.stock("CREAM") == {}


def test_ingredients_that_go_out_come_back_in_without_a_change(larder: Kitchen) -> None:
    out = give(larder, "ingredients")

    assert out.splitlines()[1:] == [
        "COCOA,Cocoa,kg,12.5,5,14,8.4",
        "CREAM,Cream,l,0,,2,3.2",
        "LID,Lid,piece,400,,,0.05",
    ]
    take(larder, "ingredients", *out.splitlines())
    assert give(larder, "ingredients") == out
    assert larder.stock("COCOA")["released"] == 12_500_000


def test_formulas_that_go_out_come_back_in_without_a_new_version(larder: Kitchen) -> None:
    head = "item_sku,yield_quantity,ingredient_code,quantity,scrap_percent"
    lines = (head, "BAR,24,COCOA,1.25,2.5", "BAR,24,LID,24,0", "BOX,1,BAR,6,0")

    assert take(larder, "formulas", *lines) == 3
    assert give(larder, "formulas").splitlines() == list(lines)
    take(larder, "formulas", *lines)
    take(larder, "formulas", head, "BAR,24,COCOA,1.3,")
    with larder.bench.scope():
        assert sorted(db.session.scalars(db.select(Formula.version))) == [1, 1, 2]
        bar = formulas.current_of(larder.item("BAR").id)
        assert [(line.component.sku, line.quantity) for line in bar.lines] == [("COCOA", 1_300_000)]


BAD = [
    ("ingredients", ("code,name,unit", "NEW,New,stone"), 2, "'stone' is no unit here. Give one of: g, kg"),
    ("ingredients", ("code,name", "NEW,New"), 2, "unit is empty"),
    ("ingredients", ("code,name,unit", "BAR,Bar,kg"), 2, "BAR is a product"),
    ("ingredients", ("code,name,unit", "NEW,New,kg", "NEW,New,kg"), 3, "stands twice"),
    ("ingredients", ("code,name,unit,on_hand", "NEW,New,kg,-1"), 2, "Give 0 or more"),
    ("ingredients", ("code,name,unit,on_hand", 'NEW,New,kg,"1,5"'), 2, "is no number"),
    ("ingredients", ("code,name,unit,on_hand", "NEW,New,g,0.0001"), 2, "The smallest amount is 1 mg"),
    ("ingredients", ("code,name,unit,on_hand", "COCOA,Cocoa,kg,99"), 2, "we have 12.5 kg. Count it"),
    ("ingredients", ("code,name,unit,unit_cost", "NEW,New,kg,-2"), 2, "Give a cost from 0"),
    ("ingredients", ("code,name,unit", "COCOA,Cocoa,l"), 2, "It is counted in kg"),
    ("ingredients", ("code,name,colour", "NEW,New,red"), 1, "Unknown columns: colour"),
    ("formulas", ("F", "NONE,1,COCOA,1"), 2, "no item 'NONE'"),
    ("formulas", ("F", "BAR,1,SALT,1"), 2, "no ingredient 'SALT'"),
    ("formulas", ("F", "BAR,0,COCOA,1"), 2, "One making gives more than 0"),
    ("formulas", ("F", "BAR,1.5,COCOA,1"), 2, "no whole number of pieces"),
    ("formulas", ("F", "BAR,1,COCOA,0"), 2, "a quantity of more than 0"),
    ("formulas", ("F", "BAR,1,COCOA,1,100"), 2, "less than 100 %"),
    ("formulas", ("F", "BAR,1,COCOA,1", "BAR,2,CREAM,1"), 3, "yield_quantity is '2', and '1' in line 2"),
    ("formulas", ("F", "BAR,1,COCOA,1", "BAR,1,COCOA,2"), 3, "stands twice"),
    ("formulas", ("F", "BAR,1,BOX,1", "BOX,1,BAR,1"), 2, "made from itself: Item BAR → Item BOX → Item BAR"),
    ("items", ("sku,name", "COCOA,Cocoa"), 2, "COCOA is an ingredient"),
    ("lots", ("lot_number,item_sku,quantity", "L,COCOA,5"), 2, "There is no item 'COCOA'"),
]


def test_every_bad_line_is_named_and_nothing_is_taken(larder: Kitchen) -> None:
    for kind, lines, number, words in BAD:
        text = [line.replace("F", FORMULA_COLUMNS) if line == "F" else line for line in lines]
        text = [f"{line}," if kind == "formulas" and line.count(",") == 3 else line for line in text]
        with pytest.raises(BadFileError) as error:
            take(larder, kind, *text)

        assert error.value.lines[0].number == number, lines
        assert words in error.value.lines[0].reason
    with larder.bench.scope():
        counts = [db.session.scalar(db.select(db.func.count()).select_from(model)) for model in (Item, Lot, Formula)]
    assert counts == [5, 2, 0]


def test_ingredients_are_no_items_to_sell(larder: Kitchen) -> None:
    assert "COCOA" not in give(larder, "items") + give(larder, "lots")
    for path in ("/products", "/mapping", "/lots", "/lots/new"):
        assert "Cocoa" not in larder.bench.open(path).get_data(as_text=True)


def test_a_lot_of_an_ingredient_has_its_own_page(larder: Kitchen) -> None:
    larder.receive("COCOA", "2", "SACK-7", days=3)
    with larder.bench.scope():
        lot = db.session.scalars(db.select(Lot).where(Lot.lot_number == "SACK-7")).one()

    assert larder.bench.open(f"/lots/{lot.id}").headers["Location"] == f"/production/ingredients/lots/{lot.id}"
    assert lot.expires_on == larder.today + timedelta(days=3)
