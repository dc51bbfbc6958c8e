"""Suggestions follow stock and demand: one at a time, with its reason, withdrawn when it is no longer true."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from devshop import orders
from occ_app import clock
from occ_app.catalog.models import Variant
from occ_app.extensions import db
from occ_app.planning import demand, proposing, replan
from occ_app.planning.models import ItemPlan, PastSale, StockOut
from occ_app.production import runs
from tests.planning.workshop import HERE, Workshop
from tests.support.bench import DOMAIN, Statements
from tests.test_cli import occ


def test_ten_sales_make_one_suggestion_and_each_replans_one_item(bars: Workshop) -> None:
    bench = bars.bench
    for sku in ("OTHER", "THIRD"):
        bench.item(sku)
    bars.replan()
    before = {sku: bars.plan(sku).replans for sku in ("BAR", "OTHER", "THIRD")}
    for _ in range(10):
        bench.sell_in("BAR", 3)
        bench.settle()
    after = {sku: bars.plan(sku).replans for sku in before}

    assert [row.state for row in bars.suggestions()] == ["open"]
    assert {sku: after[sku] - before[sku] for sku in before} == {"BAR": 10, "OTHER": 0, "THIRD": 0}
    assert bars.suggestions()[0].facts["stock"] == 10


def test_the_forecast_says_how_good_it_is(bars: Workshop) -> None:
    plan = bars.plan("BAR")

    assert [float(units) for units in plan.week] == [5.0] * 7
    assert (plan.days_known, plan.error) == (56, 0)
    assert plan.cover == 8


def test_a_restock_withdraws_the_suggestion(bars: Workshop) -> None:
    bars.bench.sell_in("BAR", 25)
    bars.bench.settle()
    bars.bench.lot("BAR", 50, number="B-2")
    bars.bench.settle()

    assert [row.state for row in bars.suggestions()] == ["withdrawn"]


def test_a_cancelled_run_brings_its_suggestion_back(bars: Workshop) -> None:
    bars.bench.sell_in("BAR", 25)
    bars.bench.settle()
    assert "Drafted run R-0001" in occ(bars.bench, "plan", "draft", "--shop", DOMAIN, "--item", "BAR").output
    drafted = bars.suggestions()[0].state
    with bars.bench.scope():
        runs.cancel(runs.find("R-0001"), actor="test", at=clock.now())
        db.session.commit()
    bars.see("/planning")

    assert drafted == "drafted"
    assert [(row.state, row.run_id) for row in bars.suggestions()] == [("open", None)]


def test_a_dismissed_suggestion_stays_away_until_it_was_untrue_once(bars: Workshop) -> None:
    bench = bars.bench
    bench.sell_in("BAR", 25)
    bench.settle()
    first = bars.suggestions()[0].id
    assert "Say why" in bars.see(f"/planning/{first}/dismiss", 422, method="POST", data={"reason": " "})
    assert bars.post(f"/planning/{first}/dismiss", reason="Only in summer").status_code == 303
    bench.sell_in("BAR", 1)
    bench.settle()
    assert "Only in summer" in bars.see("/planning?view=hidden")
    assert [row.state for row in bars.suggestions()] == ["dismissed"]
    bench.lot("BAR", 60, number="B-2")
    bench.settle()
    bench.sell_in("BAR", 60)
    bench.settle()

    assert [row.state for row in bars.suggestions()] == ["withdrawn", "open"]


def test_a_snoozed_suggestion_comes_back_on_its_day(bars: Workshop) -> None:
    bars.bench.sell_in("BAR", 25)
    bars.bench.settle()
    row = bars.suggestions()[0]
    until = bars.today + timedelta(days=3)
    assert "after today" in bars.see(f"/planning/{row.id}/snooze", 422, method="POST", data={"until": str(bars.today)})
    bars.post(f"/planning/{row.id}/snooze", until=str(until))
    hidden = bars.see("/planning")
    bars.replan(clock.now() + timedelta(days=3))

    assert "Nothing to make next" in hidden
    assert bars.suggestions()[0].snoozed_until is None


def test_a_second_draft_is_refused_with_a_sentence(bars: Workshop) -> None:
    bars.bench.sell_in("BAR", 25)
    bars.bench.settle()
    row = bars.suggestions()[0]
    assert "Give a multiple of it" in bars.see(f"/planning/{row.id}/draft", 422, method="POST", data={"quantity": "25"})
    bars.post(f"/planning/{row.id}/draft")

    assert "drafted already" in bars.see(f"/planning/{row.id}/draft", 422, method="POST")


def test_a_number_that_fell_in_shopify_alone_asks_too(bars: Workshop) -> None:
    bars.bench.edit_by_hand("BAR", 12)
    with bars.bench.scope():
        from occ_app.sync.models import SyncState

        db.session.execute(db.update(SyncState).values(drift=-28))
        db.session.commit()
    told = bars.see("/planning")

    assert "Shopify shows 12, we count 40" in told
    assert bars.suggestions()[0].trigger == "shopify"


def test_cancelled_refunded_and_test_orders_are_no_demand_and_businesses_stand_apart(workshop: Workshop) -> None:
    bench = workshop.bench
    bench.product("BAR", 0)
    workshop.sold("BAR", 9, tags=["Wholesale"])
    workshop.sold("BAR", 7, cancelled=True)
    orders.past(
        bench.store,
        [{"at": (clock.now() - timedelta(days=1)).isoformat(), "lines": [{"sku": "BAR", "quantity": 5, "removed": 2}]}],
    )
    kitchen = workshop.open()
    bench.item("BAR")
    bench.lot("BAR", 40)
    bench.map("BAR", "hub")
    bench.settle()
    order = bench.sell_in("BAR", 6)
    bench.settle()
    orders.cancel(bench.store, order, restock=True)
    kept = bench.sell_in("BAR", 2)
    bench.settle()
    with bench.scope():
        found = demand.sold(None, "Europe/London", kitchen.today)[kitchen.item("BAR").id]

    assert kept.id != order.id
    assert {on: units for on, units in found.people.items() if units} == {
        kitchen.today - timedelta(days=1): 3,
        kitchen.today: 2,
    }
    assert list(found.businesses.values()) == [9]


@pytest.mark.parametrize("zone", ["Europe/London", "Pacific/Auckland", "America/Los_Angeles"])
def test_a_sale_belongs_to_the_local_day_of_its_moment_on_days_that_change_clocks(
    workshop: Workshop, zone: str
) -> None:
    here = ZoneInfo(zone)
    workshop.bench.product("BAR", 0)
    days = [datetime(2026, 3, 29), datetime(2026, 10, 25), datetime(2026, 3, 8), datetime(2026, 9, 27)]  # noqa: DTZ001
    moments = []
    for day in days:
        moments += [day.replace(hour=0, second=1, tzinfo=here), day.replace(hour=23, minute=59, second=59, tzinfo=here)]
    rows = [{"at": at.isoformat(), "lines": [{"sku": "BAR", "quantity": 1}]} for at in moments]
    workshop.bench.store.granted = (*workshop.bench.store.granted, "read_all_orders")
    orders.past(workshop.bench.store, rows)
    kitchen = workshop.open()
    workshop.bench.item("BAR")
    workshop.bench.map("BAR", "hub")
    with workshop.bench.scope():
        db.session.execute(db.insert(PastSale), _sales(rows))
        found = demand.sold(None, zone, kitchen.today)[kitchen.item("BAR").id]

    assert {on: units for on, units in found.people.items() if units} == {day.date(): 2 for day in days}


def _sales(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    from occ_app.catalog.models import Variant
    from occ_app.extensions import current_shop_id

    gid = db.session.scalars(db.select(Variant.variant_gid)).first()
    db.session.execute(db.delete(PastSale))
    return [
        {
            "shop_id": current_shop_id(),
            "line_gid": f"gid://shopify/LineItem/{n}",
            "variant_gid": gid,
            "sold_at": datetime.fromisoformat(row["at"]),
            "quantity": 1,
            "is_b2b": False,
        }
        for n, row in enumerate(rows)
    ]


def test_history_that_is_booked_as_well_counts_once(workshop: Workshop) -> None:
    bench = workshop.bench
    bench.product("BAR", 0)
    bench.sell_in("BAR", 4)
    kitchen = workshop.open()
    bench.item("BAR")
    bench.lot("BAR", 40)
    bench.map("BAR", "hub")
    bench.settle()
    with bench.scope():
        kept = db.session.scalar(db.select(db.func.count()).select_from(PastSale))
        found = demand.sold(None, "Europe/London", kitchen.today)[kitchen.item("BAR").id]

    assert kept == 1
    assert list(found.people.values()) == [4]


def test_days_without_stock_are_marked_and_end(bars: Workshop) -> None:
    bars.bench.sell_in("BAR", 40)
    bars.bench.settle()
    with bars.bench.scope():
        begun = [(row.since, row.until) for row in db.session.scalars(db.select(StockOut))]
    bars.bench.lot("BAR", 5, number="B-2")
    bars.bench.settle()
    with bars.bench.scope():
        ended = [(row.since, row.until) for row in db.session.scalars(db.select(StockOut))]

    assert begun == [(bars.today, None)]
    assert ended == [(bars.today, bars.today)]


@pytest.mark.parametrize(
    ("settings", "point"),
    [
        ({}, 24),  # 4 days of 5, and the cushion of a demand that hardly varies
        ({"lead_time_days": "0"}, 7),
        ({"reorder_point": "30"}, 30),
        ({"daily_by_hand": "10"}, None),
        ({"like": "TWIN", "like_percent": "50"}, None),
    ],
)
def test_rules_by_hand_and_computed(bars: Workshop, settings: dict[str, str], point: int | None) -> None:
    bars.bench.item("TWIN")
    answer = bars.post(f"/planning/items/{bars.plan('BAR').item_id}", **settings)
    plan = bars.plan("BAR")

    assert answer.status_code == 303
    assert plan.point == point or point is None
    if "daily_by_hand" in settings:
        assert (plan.method, plan.point > 40) == ("by_hand", True)
    if "like" in settings:
        assert (plan.method, plan.point) == (None, None)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("lead_time_days", "-1", "whole number from 0 to 365"),
        ("lead_time_days", "1.5", "whole number"),
        ("service_level", "100", "from 50 to 99.99"),
        ("service_level", "abc", "is no number"),
        ("daily_by_hand", "-4", "from 0 to 1,000,000"),
        ("most", "0", "from 1"),
        ("like", "NOBODY", "There is no item NOBODY"),
        ("like", "BAR", "is the item itself"),
        ("like", "COCOA", "There is no item COCOA"),
        ("target_stock", "99999999999999", "whole number"),
    ],
)
def test_rules_that_cannot_be_are_refused_beside_their_field(bars: Workshop, name: str, value: str, said: str) -> None:
    path = f"/planning/items/{bars.plan('BAR').item_id}"
    before = bars.plan("BAR").point
    page = bars.see(path, 422, method="POST", data={name: value})
    what_if = bars.see(f"{path}/what-if?{name}={value}")

    assert said in page
    assert said in what_if
    assert bars.plan("BAR").point == before


def test_no_item_is_filled_up_to_less_than_its_computed_reorder_point(bars: Workshop) -> None:
    path = f"/planning/items/{bars.plan('BAR').item_id}"
    page = bars.see(path, 422, method="POST", data={"target_stock": "40", "daily_by_hand": "10"})
    point = int(page.split("which is computed as ")[1].split(",")[0])
    told = bars.see(f"{path}/what-if?target_stock=40&daily_by_hand=10")

    assert point > 40
    assert f"computed as {point}, or leave it empty" in told
    assert (bars.plan("BAR").point, bars.plan("BAR").daily_by_hand) == (24, None)
    assert bars.post(path, target_stock="40").status_code == 303
    assert bars.post(path, target_stock="24", is_planned="no").status_code == 303


def test_what_if_shows_and_saves_nothing(bars: Workshop) -> None:
    path = f"/planning/items/{bars.plan('BAR').item_id}"
    told = bars.see(f"{path}/what-if?lead_time_days=20&cover_days=30")

    assert "Reorder point 24" in told
    assert "Suggested none 240" in told
    assert bars.plan("BAR").point == 24
    assert bars.suggestions() == []


def test_an_event_lifts_what_is_expected_and_stands_apart(bars: Workshop) -> None:
    plan = bars.plan("BAR")
    path = f"/planning/items/{plan.item_id}"
    days = {"since": str(bars.today), "until": str(bars.today + timedelta(days=6))}
    assert "such as 3" in bars.see(f"{path}/events", 422, method="POST", data={**days, "name": "Easter", "factor": "0"})
    bars.post(f"{path}/events", **days, name="Easter", factor="3")
    page = bars.see(path)

    assert [row.state for row in bars.suggestions()] == ["open"]
    assert bars.plan("BAR").point > 55
    assert "Easter × 3" in page
    assert "105 " in page  # a week of 15 a day ...
    assert "70" in page  # ... of which 10 by the event


def test_events_that_meet_lift_no_further_than_can_be_reckoned_with(bars: Workshop) -> None:
    bars.post(f"/planning/items/{bars.plan('BAR').item_id}", daily_by_hand="1000000")
    days = {"since": str(bars.today), "until": str(bars.today + timedelta(days=6))}
    for name in ("Easter", "Fair", "Film"):
        bars.post("/planning/events", **days, name=name, factor="100")
    with bars.bench.scope():
        db.session.execute(db.update(Variant).values(price=99_999))
        db.session.commit()
    bars.replan()

    assert bars.suggestions()[0].facts["daily"] == 10**9
    assert bars.suggestions()[0].loss == proposing.MOST_LOSS


def test_an_item_that_cannot_be_planned_stops_no_other(bars: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    other, suggest = bars.bench.item("OTHER"), proposing.suggest

    def breaks(plan: ItemPlan, *args: Any) -> None:
        if plan.item_id == other:
            plan.mase = Decimal(10**9)  # more than its column takes
        suggest(plan, *args)

    bars.replan()
    before = [bars.plan(sku).replans for sku in ("BAR", "OTHER")]
    monkeypatch.setattr(proposing, "suggest", breaks)
    bars.replan()

    assert [bars.plan(sku).replans for sku in ("BAR", "OTHER")] == [before[0] + 1, before[1]]


@pytest.mark.parametrize("kind", ["no formula", "archived ingredient", "archived item"])
def test_items_that_cannot_be_made_as_written_are_told_not_dropped(bars: Workshop, kind: str) -> None:
    bench = bars.bench
    with bench.scope():
        if kind == "archived ingredient":
            bars.kitchen.item("COCOA").archived_at = clock.now()
        if kind == "archived item":
            bars.kitchen.item("BAR").archived_at = clock.now()
        if kind == "no formula":
            from occ_app.production.models import Formula

            db.session.execute(db.update(Formula).values(is_current=False))
        db.session.commit()
    bench.sell_in("BAR", 25)
    bench.settle()
    page, drafts = bars.see("/planning"), bars.suggestions()
    if kind == "archived item":
        assert drafts == []
        return
    answer = bars.post(f"/planning/{drafts[0].id}/draft")

    assert answer.status_code == 303
    assert ("and it is archived" in page) == (kind == "archived ingredient")
    assert bars.bench.open("/planning/ingredients").status_code == 200
    assert bars.bench.open("/planning/buy").status_code == 200


def test_another_time_zone_moves_the_days(bars: Workshop) -> None:
    before = bars.plan("BAR").days_known
    bars.set("time_zone", "Pacific/Kiritimati")
    bars.replan()

    here, there = (clock.now().astimezone(zone).date() for zone in (HERE, ZoneInfo("Pacific/Kiritimati")))
    assert (
        bars.plan("BAR").days_known == before + (there - here).days - 1
    )  # what sold at noon here sold a day later there
    assert float(sum(bars.plan("BAR").week)) == pytest.approx(35, rel=0.05)


def test_the_statements_of_replanning_do_not_grow_with_the_items(bars: Workshop) -> None:
    with bars.bench.scope():
        ids = [bars.kitchen.item("BAR").id]
    few = _count(bars, ids)
    more = [bars.bench.item(f"I-{number}") for number in range(20)]
    _count(bars, more)

    assert _count(bars, [*ids, *more]) <= few + 2


def _count(bars: Workshop, ids: list[int]) -> int:
    db.session.remove()
    with bars.bench.scope(), Statements() as seen:
        replan.items(ids, clock.now())
        db.session.commit()
    return len(seen.texts)


def test_other_shops_see_nothing_of_it(bars: Workshop) -> None:
    bars.bench.sell_in("BAR", 25)
    bars.bench.settle()
    row = bars.suggestions()[0]
    other = bars.bench.add_store("other.myshopify.com")
    other.add_location("There")
    bars.bench.install(other)
    page = bars.bench.open("/planning", other).get_data(as_text=True)

    assert "Nothing to make next" in page
    assert bars.bench.open(f"/planning/{row.id}/draft", other, method="POST").status_code == 404
    assert bars.bench.open(f"/planning/items/{row.item_id}", other).status_code == 404


def test_commands_do_what_the_pages_do(bars: Workshop) -> None:
    bars.bench.sell_in("BAR", 25)
    bars.bench.settle()
    of = ("--shop", DOMAIN)
    assert '"item_sku": "BAR"' in occ(bars.bench, "plan", "show", *of, "--json").output
    assert '"method"' in occ(bars.bench, "plan", "show", *of, "--item", "BAR", "--json").output
    assert "Finca,COCOA" in occ(bars.bench, "plan", "buy-list", *of).output
    assert occ(bars.bench, "plan", "bought", *of, "COCOA", "9", "--supplier", "Finca").exit_code == 0
    assert "Finca" not in occ(bars.bench, "plan", "buy-list", *of).output
    assert "Ordered, not here yet" in bars.see("/planning/buy")
    assert occ(bars.bench, "plan", "arrived", *of, "1").exit_code == 0
    assert occ(bars.bench, "plan", "arrived", *of, "1").exit_code == 1
    assert occ(bars.bench, "plan", "dismiss", *of, "--item", "BAR", "--reason", "No").exit_code == 0
    assert occ(bars.bench, "plan", "draft", *of, "--item", "BAR").exit_code == 1
    assert occ(bars.bench, "plan", "back", *of, "--item", "BAR").exit_code == 0
    assert occ(bars.bench, "plan", "set", *of, "--item", "BAR", "cover_days", "0").exit_code == 1
    assert occ(bars.bench, "plan", "set", *of, "--item", "BAR", "cover_days", "30").exit_code == 0
    assert occ(bars.bench, "plan", "replan", *of).output == "Replanned 1 items\n"

    assert bars.suggestions()[0].quantity > 120
    with bars.bench.scope():
        assert db.session.scalar(db.select(db.func.count()).select_from(ItemPlan)) == 1
