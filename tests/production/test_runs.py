"""Runs: what planning reserves, what completing books, and what is refused."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from occ_app import clock
from occ_app.errors import DoubtError, RuleError
from occ_app.extensions import db, shop_scope
from occ_app.production import completing, runs
from occ_app.production.completing import Used
from occ_app.production.models import ProductionRun, RunConsumption, RunOutput
from occ_app.stock.models import Lot
from tests.production.kitchen import Kitchen

KG = 1_000_000


def rows(kitchen: Kitchen, model: type, *columns: str) -> list[tuple[object, ...]]:
    """(lot number, the columns) of each row."""
    with kitchen.bench.scope():
        query = db.select(Lot.lot_number, *(getattr(model, name) for name in columns)).join(Lot, Lot.id == model.lot_id)  # type: ignore[attr-defined]
        return [tuple(row) for row in db.session.execute(query.order_by(Lot.lot_number))]


def test_planning_reserves_what_the_formula_needs_first_expiry_first(bars: Kitchen) -> None:
    bars.plan("BAR", "120")

    assert bars.stock("COCOA") == {"released": 5 * KG, "reserved": 5 * KG, "supplier": -10 * KG}
    assert bars.stock("SUGAR")["reserved"] == int(2.5 * KG)


def test_completing_makes_the_lot_and_takes_what_was_reserved(bars: Kitchen) -> None:
    run = bars.plan("BAR", "120")
    made = bars.complete(run, 118, waste=2)

    assert made == [f"BAR-{bars.today:%Y%m%d}-1"]
    assert bars.stock("BAR") == {"completed": 118, "production": -118}
    assert bars.stock("COCOA") == {"released": 5 * KG, "production": 5 * KG, "supplier": -10 * KG}
    assert rows(bars, RunConsumption, "quantity", "waste") == [
        ("C-LATE", KG, 0),
        ("C-SOON", 4 * KG, 0),
        ("S-1", int(2.5 * KG), 0),
    ]
    assert rows(bars, RunOutput, "quantity") == [(made[0], 118)]
    assert (bars.run(run).output_quantity, bars.run(run).waste_quantity, bars.run(run).state) == (118, 2, "completed")
    assert bars.audit() == []


def test_the_lot_has_its_days(bars: Kitchen) -> None:
    bars.complete(bars.plan("BAR", "24"), 24, made_on=bars.today - timedelta(days=1))
    with bars.bench.scope():
        lot = db.session.scalars(db.select(Lot).where(Lot.lot_number.startswith("BAR-"))).one()

        assert (lot.made_on, lot.expires_on) == (
            bars.today - timedelta(days=1),
            bars.today + timedelta(days=179),
        )


def test_numbers_of_another_shape_are_passed_over(bars: Kitchen) -> None:
    first = bars.plan("BAR", "24")
    with bars.bench.scope():
        db.session.execute(db.update(ProductionRun).values(number="OLD/7"))
        db.session.commit()

    assert (first, bars.plan("BAR", "24"), bars.plan("BAR", "24")) == ("R-0001", "R-0001", "R-0002")


def test_a_run_gives_several_lots_and_a_second_one_the_next_number(bars: Kitchen) -> None:
    first = bars.complete(bars.plan("BAR", "48"), 40, 8)
    second = bars.complete(bars.plan("BAR", "24"), 24)

    assert [number[-2:] for number in first + second] == ["-1", "-2", "-3"]


@pytest.mark.parametrize(("quantity", "cocoa"), [("72", 3 * KG), ("168", 7 * KG), ("121", 5_041_667)])
def test_a_changed_quantity_moves_exactly_the_difference(bars: Kitchen, quantity: str, cocoa: int) -> None:
    run = bars.plan("BAR", "120")
    bars.change(run, quantity)

    assert bars.stock("COCOA")["reserved"] == cocoa
    assert bars.audit() == []


def test_a_smaller_quantity_gives_the_lot_back_that_lasts_longest(bars: Kitchen) -> None:
    run = bars.plan("BAR", "120")
    bars.change(run, "96")
    with bars.bench.scope():
        need = runs.of_run(runs.find(run), bars.today)[0]

        assert [db.session.get_one(Lot, lot).lot_number for lot in need.held] == ["C-SOON"]


def test_cancelling_frees_all_that_was_held(bars: Kitchen) -> None:
    run = bars.plan("BAR", "120")
    bars.cancel(run)

    assert bars.stock("COCOA") == {"released": 10 * KG, "supplier": -10 * KG}
    with pytest.raises(RuleError, match="cancelled already"):
        bars.cancel(run)
    with pytest.raises(RuleError, match="Plan a new one"):
        bars.complete(run, 120)


def test_what_is_short_is_told_with_its_earliest_day(bars: Kitchen) -> None:
    run = bars.plan("BAR", "288")
    with bars.bench.scope():
        cocoa, sugar = runs.of_run(runs.find(run), bars.today)

        assert (cocoa.short, cocoa.earliest) == (2 * KG, bars.today + timedelta(days=5))
        assert (sugar.short, sugar.earliest) == (KG, None)


def test_a_short_run_is_refused_until_the_rest_has_come(bars: Kitchen) -> None:
    run = bars.plan("BAR", "288")
    with pytest.raises(RuleError, match="2 kg of Cocoa are missing"):
        bars.complete(run, 288)
    bars.receive("COCOA", "2")
    bars.receive("SUGAR", "1")

    assert bars.complete(run, 288)
    assert bars.stock("COCOA") == {"production": 12 * KG, "supplier": -12 * KG}


def test_a_lot_that_another_run_holds_is_not_free(bars: Kitchen) -> None:
    bars.plan("BAR", "168")
    second = bars.plan("BAR", "120")
    with bars.bench.scope():
        assert runs.of_run(runs.find(second), bars.today)[0].short == 2 * KG


def test_what_was_really_used_is_booked_and_the_rest_is_free_again(bars: Kitchen) -> None:
    run = bars.plan("BAR", "48")
    soon = lot_id(bars, "C-SOON")
    sugar = lot_id(bars, "S-1")
    bars.complete(run, 48, used={soon: Used(1_900_000, 100_000), sugar: Used(KG)})

    assert bars.stock("COCOA") == {
        "released": 8_100_000,
        "production": 1_800_000,
        "scrap": 100_000,
        "supplier": -10 * KG,
    }
    assert rows(bars, RunConsumption, "quantity", "waste")[0] == ("C-SOON", 1_900_000, 100_000)


def lot_id(kitchen: Kitchen, number: str) -> int:
    """The id of a lot."""
    with kitchen.bench.scope():
        return db.session.scalars(db.select(Lot.id).where(Lot.lot_number == number)).one()


def test_more_than_there_is_cannot_have_been_used(bars: Kitchen) -> None:
    run = bars.plan("BAR", "48")
    with pytest.raises(RuleError, match="Only 4 kg of C-SOON are there"):
        bars.complete(run, 48, used={lot_id(bars, "C-SOON"): Used(5 * KG)})


def test_lots_can_be_chosen_by_hand(bars: Kitchen) -> None:
    late = lot_id(bars, "C-LATE")
    run = bars.plan("BAR", "48", by_hand={late: 2 * KG})
    bars.complete(run, 48)

    assert rows(bars, RunConsumption, "quantity")[0] == ("C-LATE", 2 * KG)


def test_a_lot_past_its_date_is_used_only_with_a_reason(bars: Kitchen) -> None:
    run = bars.plan("BAR", "48")
    bars.expire("C-SOON")
    with pytest.raises(RuleError, match="Past its date: C-SOON"):
        bars.complete(run, 48)
    bars.complete(run, 48, expired_reason="Tasted and tested by QA")

    assert bars.run(run).expired_reason == "Tasted and tested by QA"


def test_a_lot_past_its_date_is_not_reserved(bars: Kitchen) -> None:
    bars.expire("C-SOON")
    run = bars.plan("BAR", "48")
    bars.complete(run, 48)

    assert rows(bars, RunConsumption, "quantity")[0] == ("C-LATE", 2 * KG)


def test_planning_anew_replaces_what_spoiled_meanwhile(bars: Kitchen) -> None:
    run = bars.plan("BAR", "48")
    bars.expire("C-SOON")
    bars.change(run, "48")
    bars.complete(run, 48)

    assert rows(bars, RunConsumption, "quantity")[0] == ("C-LATE", 2 * KG)


@pytest.mark.parametrize("output", [151, 1200, 0])
def test_an_implausible_output_is_asked_about(bars: Kitchen, output: int) -> None:
    run = bars.plan("BAR", "120")
    with pytest.raises(DoubtError, match="Is that right"):
        bars.complete(run, output)

    bars.complete(run, output, is_confirmed=True)
    assert bars.stock("BAR").get("completed", 0) == output


def test_of_two_people_who_complete_at_once_the_second_is_told(bars: Kitchen) -> None:
    number = bars.plan("BAR", "120")
    with bars.bench.scope():
        shop_id, run_id, revision = runs.find(number).shop_id, runs.find(number).id, runs.find(number).revision
    barrier, said = threading.Barrier(2), []

    def person(name: str) -> None:
        with bars.bench.app.app_context(), shop_scope(shop_id):
            run = runs.get(run_id)
            barrier.wait()
            try:
                when = {"today": bars.today, "actor": name, "at": clock.now()}
                completing.complete(run, [completing.Output(120)], revision=revision, **when)
                db.session.commit()
                said.append("done")
            except RuleError as error:
                db.session.rollback()
                said.append(str(error))

    people = [threading.Thread(target=person, args=(name,)) for name in ("Ann", "Bob")]
    for one in people:
        one.start()
    for one in people:
        one.join()

    assert sorted(text[:4] for text in said) == ["Run ", "done"]
    assert any("was completed already" in text and "Nothing was booked twice" in text for text in said)
    assert bars.stock("BAR") == {"completed": 120, "production": -120}


def test_who_saw_an_older_state_is_told(bars: Kitchen) -> None:
    run = bars.plan("BAR", "120")
    seen = bars.run(run).revision
    bars.change(run, "48")
    with pytest.raises(RuleError, match="Somebody changed run"):
        bars.complete(run, 120, revision=seen)


def test_a_sub_assembly_is_made_first_and_then_used(kitchen: Kitchen) -> None:
    for code in ("CREAM", "GANACHE"):
        kitchen.ingredient(code)
    kitchen.bench.item("TRUFFLE")
    kitchen.formula("GANACHE", "2", CREAM="1.5 kg")
    kitchen.formula("TRUFFLE", "100", GANACHE="1 kg")
    kitchen.receive("CREAM", "3")
    kitchen.complete(kitchen.plan("GANACHE", "2"), 2 * KG)
    kitchen.complete(kitchen.plan("TRUFFLE", "100"), 100)

    assert kitchen.stock("CREAM") == {"released": int(1.5 * KG), "production": int(1.5 * KG), "supplier": -3 * KG}
    assert kitchen.stock("GANACHE") == {"released": KG, "production": -KG}
    assert kitchen.stock("TRUFFLE") == {"completed": 100, "production": -100}
    assert kitchen.audit() == []


def test_a_sub_assembly_that_is_planned_dates_the_shortage(kitchen: Kitchen) -> None:
    kitchen.ingredient("CREAM")
    kitchen.ingredient("GANACHE")
    kitchen.bench.item("TRUFFLE")
    kitchen.formula("GANACHE", "2", CREAM="1 kg")
    kitchen.formula("TRUFFLE", "100", GANACHE="1 kg")
    kitchen.plan("GANACHE", "2", on=kitchen.today + timedelta(days=3))
    run = kitchen.plan("TRUFFLE", "100")
    with kitchen.bench.scope():
        assert runs.of_run(runs.find(run), kitchen.today)[0].earliest == kitchen.today + timedelta(days=3)


def test_far_less_than_the_formula_says_is_asked_about(bars: Kitchen) -> None:
    run = bars.plan("BAR", "48")
    used = {lot_id(bars, "C-SOON"): Used(2 * KG)}
    with pytest.raises(DoubtError, match="0 kg of Sugar went in where the formula says 1 kg"):
        bars.complete(run, 48, used=used)
    bars.complete(run, 48, used=used, is_confirmed=True)

    assert bars.stock("SUGAR") == {"released": 5 * KG, "supplier": -5 * KG}


def test_planning_and_completing_at_once_do_not_lock_each_other_out(bars: Kitchen) -> None:
    bars.receive("COCOA", "100")
    bars.receive("SUGAR", "100")
    numbers = [bars.plan("BAR", "24") for _ in range(4)]
    with bars.bench.scope():
        shop_id = runs.find(numbers[0]).shop_id
    said: list[str] = []

    def work(number: str) -> None:
        with bars.bench.app.app_context(), shop_scope(shop_id):
            when = {"today": bars.today, "actor": number, "at": clock.now()}
            try:
                completing.complete(runs.find(number), [completing.Output(24)], **when)
                db.session.commit()
                fresh = runs.draft(bars.item("BAR"), 24, location=bars.place(), **when)
                runs.plan(fresh, **when)
                db.session.commit()
            except Exception as error:
                said.append(repr(error))

    people = [threading.Thread(target=work, args=(number,)) for number in numbers]
    for one in people:
        one.start()
    for one in people:
        one.join()

    assert said == []
    assert (bars.stock("BAR")["completed"], bars.stock("COCOA")["reserved"]) == (96, 4 * KG)
    assert bars.audit() == []
