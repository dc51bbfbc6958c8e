"""The pages of planning, over HTTP: the whole way from a sale to a finished run, and what is said where something cannot be."""

from __future__ import annotations

import pytest

from occ_app.extensions import db
from occ_app.production.models import ProductionRun
from tests.planning.workshop import Workshop


def newest_run(workshop: Workshop) -> ProductionRun:
    db.session.remove()
    with workshop.bench.scope():
        return db.session.scalars(db.select(ProductionRun).order_by(ProductionRun.id.desc())).first()


def test_from_a_sale_to_the_run_that_withdraws_its_suggestion(bars: Workshop) -> None:
    bench = bars.bench
    bench.sell_in("BAR", 25)
    bench.settle()
    listed = bars.see("/planning")
    assert "15 sellable, 3 days of cover. 5 expected a day. It takes 3 days." in listed
    assert "£32.50 lost a day from" in listed
    assert "Cocoa short by" in listed
    [row] = bars.suggestions("BAR")
    told = bars.post(f"/planning/{row.id}/draft", **{})
    assert told.status_code == 303
    run = newest_run(bars)
    assert run.planned_quantity % 24 == 0
    assert "Nothing to make next" in bars.see("/planning")
    assert f"Run {run.number} makes" in bars.see("/planning?view=hand")
    assert "Short" in bars.see(f"/production/runs/{run.id}")
    assert "Finca" in bars.see("/planning/buy")
    bars.kitchen.receive("COCOA", "9", "C-2")
    assert "Finca" not in bars.see("/planning/buy")
    assert "No ingredient is at risk" in bars.see("/planning/ingredients")
    with bench.scope():
        from occ_app import clock
        from occ_app.production import completing, runs

        planned = runs.find(run.number)
        when = {"today": bars.today, "actor": "test", "at": clock.now()}
        runs.plan(planned, **when)
        output = run.planned_quantity
        made = completing.complete(planned, [completing.Output(output)], **when)
        lot_id = made[0].id
        db.session.commit()
    bench.settle()
    assert bars.suggestions("BAR")[0].state == "drafted"
    assert f"{newest_run(bars).number} made {output}; {output} wait for release" in bars.see("/planning?view=hand")
    bench.move(lot_id, "released")
    bench.settle()

    assert [(one.state, one.ended_at is not None) for one in bars.suggestions("BAR")] == [("withdrawn", True)]


def test_a_ticked_box_keeps_an_item_planned_and_an_unticked_one_ends_it(bars: Workshop) -> None:
    bars.bench.sell_in("BAR", 25)
    bars.bench.settle()
    path = f"/planning/items/{bars.plan('BAR').item_id}"
    what_if = bars.see(f"{path}/what-if?is_planned=no&is_planned=yes&lead_time_days=3&cover_days=30")
    bars.post(path, is_planned=["no", "yes"], lead_time_days="3")
    kept = bars.plan("BAR").is_planned, bars.suggestions()[0].state
    bars.post(path, is_planned="no", lead_time_days="3")

    assert "Suggested 96 168" in what_if
    assert kept == (True, "open")
    assert (bars.plan("BAR").is_planned, bars.suggestions()[0].state) == (False, "withdrawn")


def test_a_suggestion_in_hand_tells_of_the_stock_as_it_is(bars: Workshop) -> None:
    bars.bench.sell_in("BAR", 25)
    bars.bench.settle()
    bars.post(f"/planning/{bars.suggestions()[0].id}/draft")
    before = bars.see("/planning?view=hand")
    bars.bench.sell_in("BAR", 15)
    bars.bench.settle()
    after = bars.see("/planning?view=hand")

    assert "15 sellable, 3 days of cover" in before
    assert "0 sellable" in after
    assert "Sold out" in after


def test_what_would_follow_stands_between_the_fields_and_save(bars: Workshop) -> None:
    page = bars.bench.open(f"/planning/items/{bars.plan('BAR').item_id}").get_data(as_text=True)
    places = [page.index(part) for part in ('name="like_percent"', 'id="what-if"', ">Save</button>")]

    assert places == sorted(places)


@pytest.mark.parametrize("path", ["items", "ingredients", "buy", "calendar", "settings", "buy.csv", "history"])
def test_every_page_answers_with_and_without_data(workshop: Workshop, path: str) -> None:
    workshop.open()

    assert workshop.bench.open(f"/planning/{path}").status_code == 200
