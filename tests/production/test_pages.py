"""The pages of production, over HTTP: the whole way, and what is said where something cannot be."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from occ_app.extensions import db
from occ_app.production.models import ProductionRun
from occ_app.stock.models import Lot
from tests.production.kitchen import Kitchen
from tests.support.bench import Statements

KG = 1_000_000


def post(kitchen: Kitchen, path: str, **form: Any) -> Any:
    """A form was sent."""
    return kitchen.bench.open(path, method="POST", data=form)


def see(kitchen: Kitchen, path: str) -> str:
    """The words of a page, without its markup."""
    answer = kitchen.bench.open(path)
    assert answer.status_code == 200, (path, answer.status_code)
    return words(answer)


def words(answer: Any) -> str:
    """The words of an answer."""
    return " ".join(re.sub(r"<[^>]+>", " ", answer.get_data(as_text=True)).split())


def item_id(kitchen: Kitchen, sku: str) -> int:
    """The id of an item."""
    with kitchen.bench.scope():
        return kitchen.item(sku).id


def lot_id(kitchen: Kitchen, number: str) -> int:
    """The id of a lot."""
    with kitchen.bench.scope():
        return db.session.scalars(db.select(Lot.id).where(Lot.lot_number == number)).one()


def run_id(kitchen: Kitchen) -> int:
    """The id of the newest run."""
    with kitchen.bench.scope():
        return db.session.scalars(db.select(db.func.max(ProductionRun.id))).one()


def test_from_an_ingredient_to_a_finished_lot(kitchen: Kitchen) -> None:
    kitchen.bench.item("BAR", shelf_life_days=180)
    facts = {"code": "COCOA", "name": "Cocoa beans", "unit": "kg", "unit_cost": "8.40", "reorder_point": "5"}
    made = post(kitchen, "/production/ingredients", **facts, allergens="milk", supplier="Finca", lead_time_days="14")
    cocoa, bar = item_id(kitchen, "COCOA"), item_id(kitchen, "BAR")
    assert made.headers["Location"] == f"/production/ingredients/{cocoa}"
    papers = {
        "quantity": "10000",
        "unit": "g",
        "supplier_lot_number": "F-881",
        "lot_number": "SACK-1",
        "unit_cost": "8.40",
    }
    post(
        kitchen,
        f"/production/ingredients/{cocoa}/receive",
        **papers,
        expires_on=str(kitchen.today + timedelta(days=90)),
    )
    post(
        kitchen,
        f"/production/formulas/{bar}",
        yield_quantity="24",
        component="COCOA",
        quantity="900",
        unit="g",
        scrap="10",
        loss="",
    )
    assert "£0.35 " in see(kitchen, f"/production/formulas/{bar}")
    assert "Milk" in see(kitchen, "/production/formulas")
    post(kitchen, "/production/runs", item=bar, quantity="120", planned_on=str(kitchen.today))
    run = run_id(kitchen)
    assert "5 kg of SACK-1" in see(kitchen, f"/production/runs/{run}")
    assert "5 kg" in see(kitchen, f"/production/runs/{run}/sheet")
    assert "On hand 10 kg 1 lot Reserved 5 kg for 1 run Available 5 kg reorder at 5 kg" in see(
        kitchen, f"/production/ingredients/{cocoa}"
    )
    form = see(kitchen, f"/production/runs/{run}/complete")
    assert "Complete R-0001" in form
    sack = lot_id(kitchen, "SACK-1")
    done = {"output-1": "118", "waste": "2", f"used-{sack}": "5.1", f"wasted-{sack}": "0.1", "revision": "2"}
    assert post(kitchen, f"/production/runs/{run}/complete", **done).status_code == 303

    assert kitchen.stock("COCOA") == {
        "released": 4_900_000,
        "production": 5 * KG,
        "scrap": 100_000,
        "supplier": -10 * KG,
    }
    page = see(kitchen, f"/production/runs/{run}")
    assert "118 good, 2 bad, 120 planned" in page
    assert "5.1 kg 0.1 kg" in page
    assert "£42.84" in page
    assert "Completed" in see(kitchen, "/production/runs?view=completed")
    assert "5.1 kg" in see(kitchen, f"/production/ingredients/lots/{sack}")
    assert kitchen.audit() == []


def test_shortages_are_told_while_one_types(bars: Kitchen) -> None:
    bar = item_id(bars, "BAR")
    said = see(bars, f"/production/runs/needs?item={bar}&quantity=288&planned_on={bars.today}")

    assert "288 pieces are 12 × the formula of 24" in said
    assert "Short of 2" in said
    assert "12 kg 10 kg 2 kg" in said
    assert "no lead time known" in said
    assert "is no number" in see(bars, f"/production/runs/needs?item={bar}&quantity=many&planned_on=")
    assert "Choose what to make" in see(bars, "/production/runs/needs?item=&quantity=")


def test_what_cannot_be_is_told_beside_the_form_and_nothing_is_done(bars: Kitchen) -> None:
    bar, cocoa, sack = item_id(bars, "BAR"), item_id(bars, "COCOA"), lot_id(bars, "C-SOON")
    bars.plan("BAR", "120")
    run, before = run_id(bars), bars.stock("COCOA")
    line = {"component": "COCOA", "quantity": "1", "unit": "", "scrap": "", "loss": ""}
    cases = [
        ("/production/ingredients", {"code": "X", "name": "X", "unit": "stone"}, "is no unit here"),
        ("/production/ingredients", {"code": "COCOA", "name": "X", "unit": "kg"}, "COCOA already"),
        (
            f"/production/ingredients/{cocoa}/change",
            {"name": "Cocoa", "unit": "l"},
            "Cocoa is counted in kg already",
        ),
        (f"/production/ingredients/{cocoa}/receive", {"quantity": "-1", "unit": "kg"}, "Give more than 0"),
        (
            f"/production/ingredients/{cocoa}/receive",
            {"quantity": "1", "unit": "ml"},
            "ml cannot be converted. Give g, kg",
        ),
        (
            f"/production/ingredients/{cocoa}/receive",
            {"quantity": "1", "expires_on": "2020-01-01"},
            "past its date on the day it came",
        ),
        (
            f"/production/ingredients/{cocoa}/receive",
            {"quantity": "1", "lot_number": "C-SOON"},
            "There is a lot C-SOON already",
        ),
        (f"/production/ingredients/{cocoa}/receive", {"quantity": "9" * 30}, "is no number"),
        (f"/production/ingredients/{cocoa}/count", {f"counted-{sack}": "-1", f"seen-{sack}": "4"}, "Give 0 or more"),
        (
            f"/production/ingredients/{cocoa}/count",
            {f"counted-{sack}": "3", f"seen-{sack}": "4"},
            "4 kg of lot C-SOON are reserved",
        ),
        (
            f"/production/ingredients/{cocoa}/count",
            {f"counted-{sack}": "5", f"seen-{sack}": "9"},
            "changed while you counted",
        ),
        (f"/production/ingredients/lots/{sack}/waste", {"quantity": "1"}, "can be thrown away; 4 kg are reserved"),
        (f"/production/formulas/{bar}", {"yield_quantity": "0", **line}, "Give more than 0"),
        (
            f"/production/formulas/{bar}",
            {"yield_quantity": "24", **line, "unit": "ml"},
            "Line 1: Cocoa is counted in kg, so ml",
        ),
        (
            f"/production/formulas/{bar}",
            {"yield_quantity": "24", **line, "component": "BAR"},
            "made from itself: Item BAR → Item BAR",
        ),
        (f"/production/formulas/{bar}", {"yield_quantity": "24"}, "at least one line"),
        ("/production/runs", {"item": bar, "quantity": "1.5"}, "1.5 is no whole number of pieces"),
        ("/production/runs", {"item": bar, "quantity": ""}, "Give a number of pieces"),
        ("/production/runs", {"item": "", "quantity": "3"}, "Choose what to make"),
        ("/production/runs", {"item": bar, "quantity": "3", "planned_on": "soon"}, "Give a date such as"),
        (f"/production/runs/{run}/change", {"quantity": "0"}, "Give more than 0"),
        (f"/production/runs/{run}/change", {"quantity": "99", "revision": "1"}, "Somebody changed run"),
        (f"/production/runs/{run}/complete", {"output-1": "-5"}, "Give 0 or more"),
        (f"/production/runs/{run}/complete", {"output-1": "1200"}, "Is that right?"),
        (
            f"/production/runs/{run}/complete",
            {"output-1": "120", f"used-{sack}": "99"},
            "Only 4 kg of C-SOON are there",
        ),
        (f"/production/runs/{run}/complete", {"output-1": "120", "lot_number-1": "S-1"}, "There is a lot S-1 already"),
        (f"/production/runs/{run}/complete", {"output-1": "120", "made_on": "2999-01-01"}, "made after today"),
    ]
    for path, form, said in cases:
        answer = post(bars, path, **form)

        assert (answer.status_code, said in words(answer)) == (422, True), (path, form, words(answer))
    assert bars.stock("COCOA") == before
    assert bars.run("R-0001").state == "planned"


def test_an_implausible_output_is_done_when_confirmed(bars: Kitchen) -> None:
    bars.plan("BAR", "120")
    path = f"/production/runs/{run_id(bars)}/complete"
    asked = post(bars, path, **{"output-1": "1200"}).get_data(as_text=True)
    said = re.search(r'name="confirmed" value="([^"]+)"', asked)
    assert said
    assert post(bars, path, **{"output-1": "1300", "confirmed": said[1]}).status_code == 422

    assert post(bars, path, **{"output-1": "1200", "confirmed": said[1]}).status_code == 303
    assert bars.stock("BAR")["completed"] == 1200


def test_a_second_click_is_told_what_happened(bars: Kitchen) -> None:
    bars.plan("BAR", "120")
    run = run_id(bars)
    assert post(bars, f"/production/runs/{run}/complete", **{"output-1": "120", "revision": "2"}).status_code == 303
    for verb, form in (
        ("complete", {"output-1": "120", "revision": "2"}),
        ("cancel", {"revision": "2"}),
        ("start", {}),
    ):
        answer = post(bars, f"/production/runs/{run}/{verb}", **form)

        assert (answer.status_code, "completed" in words(answer)) == (422, True)
    assert bars.stock("BAR") == {"completed": 120, "production": -120}


def test_a_run_is_drafted_planned_started_changed_by_hand_and_cancelled(bars: Kitchen) -> None:
    post(bars, "/production/runs", **{"item": item_id(bars, "BAR"), "quantity": "48", "as": "draft"})
    run, late, soon = run_id(bars), lot_id(bars, "C-LATE"), lot_id(bars, "C-SOON")
    assert "reserved" not in bars.stock("COCOA")
    assert post(bars, f"/production/runs/{run}/plan", revision="1").status_code == 303
    assert post(bars, f"/production/runs/{run}/start", revision="2").status_code == 303
    by_hand = {"quantity": "48", "by_hand": "yes", f"lot-{late}": "1.5", f"lot-{soon}": "0.5", "revision": "3"}
    assert post(bars, f"/production/runs/{run}/change", **by_hand).status_code == 303
    assert "0.5 kg of C-SOON" in see(bars, f"/production/runs/{run}")
    assert "1.5 kg of C-LATE" in see(bars, f"/production/runs/{run}")

    assert post(bars, f"/production/runs/{run}/cancel", revision="4").status_code == 303
    assert bars.stock("COCOA") == {"released": 10 * KG, "supplier": -10 * KG}
    assert "What it held is free again" in see(bars, f"/production/runs/{run}")


def test_a_count_and_waste_are_booked(bars: Kitchen) -> None:
    cocoa, sack = item_id(bars, "COCOA"), lot_id(bars, "C-SOON")
    assert (
        post(
            bars, f"/production/ingredients/{cocoa}/count", **{f"counted-{sack}": "3.7", f"seen-{sack}": "4"}
        ).status_code
        == 303
    )
    assert (
        post(bars, f"/production/ingredients/lots/{sack}/waste", quantity="0.2", note="A wet sack").status_code == 303
    )
    assert post(bars, f"/production/ingredients/lots/{sack}/hold").status_code == 303

    assert bars.stock("COCOA") == {
        "released": 6 * KG,
        "on_hold": 3_500_000,
        "scrap": 200_000,
        "correction": 300_000,
        "supplier": -10 * KG,
    }
    assert "On hold" in see(bars, f"/production/ingredients/lots/{sack}")
    assert "“A wet sack”" in see(bars, f"/production/ingredients/lots/{sack}")
    assert post(bars, f"/production/ingredients/lots/{sack}/waste", quantity="0.1", note="x" * 501).status_code == 422
    assert post(bars, f"/production/ingredients/lots/{sack}/release").status_code == 303
    assert bars.audit() == []


def test_what_expires_soon_stands_with_what_it_cost_too(bars: Kitchen) -> None:
    """A run's lot by what went in (1 kg at 10 and half at 1, for 21 bars), one made by hand by the formula and today's average."""
    soon = bars.today + timedelta(days=5)
    bars.complete(bars.plan("BAR", "24"), 21, is_confirmed=True)
    bars.bench.lot("BAR", 24, expires_on=soon, number="BY-HAND")
    bars.bench.item("SOAP")
    bars.bench.lot("SOAP", 3, expires_on=soon)
    with bars.bench.scope():
        made = db.session.scalars(db.select(Lot).where(Lot.item_id == bars.item("BAR").id).order_by(Lot.id)).first()
        assert made is not None
        made.expires_on = soon
        db.session.commit()
    text = re.sub(r"\s+", " ", bars.bench.open("/lots?view=expiring").text)

    assert "48 units of 3 lots expire within 30 days: £19.67 at cost (without 3 units whose cost is not known)." in text
    assert [text.count(said) for said in ("£10.50", "£9.17", "not known</td>")] == [1, 1, 1]


def test_the_history_of_an_item_holds_every_run_and_lot(bars: Kitchen) -> None:
    bars.complete(bars.plan("BAR", "24"), 21, is_confirmed=True)
    bars.complete(bars.plan("BAR", "24"), 0, waste=24, is_confirmed=True)
    bars.bench.lot("BAR", 5, number="BY-HAND")
    page = words(bars.bench.open(f"/products/{item_id(bars, 'BAR')}/history"))

    assert "BY-HAND" in page
    assert "By hand" in page
    assert "87.5 %" in page
    assert "43.8 %" in page  # 21 of 48 planned
    assert "Runs without a lot" in page
    assert "R-0002" in page
    assert "24 bad" in page
    assert "C-SOON" in words(bars.bench.open(f"/products/{item_id(bars, 'COCOA')}/history"))


def test_two_versions_are_compared(bars: Kitchen) -> None:
    bars.ingredient("MILK", "l")
    bars.formula("BAR", "24", COCOA="1.2 kg", MILK="100 ml")
    said = see(bars, f"/production/formulas/{item_id(bars, 'BAR')}/compare?one=1&other=2")

    assert "Cocoa COCOA Changed 1 kg 1.2 kg" in said
    assert "Milk MILK Added not in it 100 ml" in said
    assert "Sugar SUGAR Taken out 500 g not in it" in said


def test_a_part_made_here_is_shown_all_the_way_down(kitchen: Kitchen) -> None:
    kitchen.ingredient("CREAM", "l", allergens=["milk"])
    kitchen.ingredient("GANACHE")
    kitchen.bench.item("TRUFFLE")
    kitchen.formula("GANACHE", "2", CREAM="1 l")
    kitchen.formula("TRUFFLE", "100", GANACHE="1 kg")
    kitchen.receive("CREAM", "4", cost="6")
    said = see(kitchen, f"/production/formulas/{item_id(kitchen, 'TRUFFLE')}")

    assert "All the way down" in said
    assert "Cream 0.5 l" in said
    assert "£0.03 Allergens Milk" in said


def test_what_another_shop_has_is_not_found(bars: Kitchen) -> None:
    bars.plan("BAR", "24")
    other = bars.bench.add_store("tea-leeds.myshopify.com")
    bars.bench.install(other)
    run, cocoa, sack = run_id(bars), item_id(bars, "COCOA"), lot_id(bars, "C-SOON")
    for path in (
        f"runs/{run}",
        f"runs/{run}/complete",
        f"ingredients/{cocoa}",
        f"ingredients/lots/{sack}",
        f"formulas/{cocoa}/edit",
    ):
        assert bars.bench.open(f"/production/{path}", other).status_code == 404


@pytest.mark.parametrize(
    "path", ["/production/runs", "/production/ingredients", "/production/formulas", "/production/runs/new"]
)
def test_an_empty_page_says_what_to_do_first(kitchen: Kitchen, path: str) -> None:
    assert re.search(r"No (runs|ingredients|formulas) yet|Nothing to make yet", see(kitchen, path))


def test_lists_take_as_many_statements_for_many_rows_as_for_few(bars: Kitchen) -> None:
    paths = ("/production/runs", "/production/ingredients", "/production/formulas")
    few = {path: cost(bars, path) for path in paths}
    for n in range(12):
        bars.ingredient(f"I-{n}")
        bars.receive(f"I-{n}", "1")
        bars.receive(f"I-{n}", "2")
        bars.bench.item(f"P-{n}")
        bars.formula(f"P-{n}", "10", **{f"I_{n}": "1 kg", "COCOA": "1 kg"})
        bars.plan(f"P-{n}", "1")

    assert {path: cost(bars, path) <= few[path] + 1 for path in paths} == dict.fromkeys(paths, True)


def cost(kitchen: Kitchen, path: str) -> int:
    """How many statements a page takes."""
    with Statements() as statements:
        kitchen.bench.open(path)
    return len(statements.texts)
