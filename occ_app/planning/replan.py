"""Replanning: forecasts, reorder points and the suggestions that follow; of single items when they change, of all nightly."""

from __future__ import annotations

import math
from collections.abc import Collection
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import joinedload

from occ_app import clock
from occ_app.catalog.models import INGREDIENT, Item, Mapping
from occ_app.extensions import current_shop_id, db
from occ_app.logs import tell
from occ_app.planning import demand, forecasting, mails, preparing, proposing, reorder, supply
from occ_app.planning.demand import Days, Sold
from occ_app.planning.forecasting import WEEK, Forecast
from occ_app.planning.models import (
    ItemPlan,
    PlanEvent,
    PlanState,
    StockOut,
    Suggestion,
)
from occ_app.planning.outlooks import Outlook, outlook_of
from occ_app.planning.supply import Supply
from occ_app.production.models import ProductionRun
from occ_app.shops import settings
from occ_app.shops.models import Shop
from occ_app.stock import ledger
from occ_app.sync import targets
from occ_app.sync.models import SyncState
from occ_app.work import tasks

PER_BATCH = 100  # bookings of these items wait meanwhile: a second or so


# When -----------------------------------------------------------------------------------------------------------------------------


def note(item_ids: Collection[int], at: datetime) -> None:
    """These items changed: they are replanned soon. Ingredients are not planned by demand. Harmless however often."""
    planned = select(Item.shop_id, Item.id).where(Item.id.in_(sorted(item_ids)), Item.kind != INGREDIENT)
    rows = [{**_new_row(shop_id, item_id), "due_at": at} for shop_id, item_id in db.session.execute(planned)]
    if rows:
        statement = insert(ItemPlan).values(rows)
        again = {"due_at": statement.excluded.due_at}
        db.session.execute(statement.on_conflict_do_update(index_elements=["item_id"], set_=again))
        tasks.ask("replan", current_shop_id())


def _new_row(shop_id: int, item_id: int) -> dict[str, Any]:
    empty = {
        "is_planned": True,
        "replans": 0,
        "week": [],
        "days_known": 0,
        "unusual": [],
        "stock": 0,
        "coming": 0,
        "run_units": 0,
    }
    return {"shop_id": shop_id, "item_id": item_id, **empty}


def state() -> PlanState:
    """What planning did last for the shop."""
    row = insert(PlanState).values(shop_id=current_shop_id())
    db.session.execute(row.on_conflict_do_nothing(index_elements=["shop_id"]))
    return db.session.scalars(select(PlanState)).one()


def replan_due(at: datetime) -> int:
    """Every item that changed has been replanned; on a new day of the shop's, all items. Returns how many. Commits batch by batch."""
    shop = targets.shop()
    today = _local(shop, at)
    if state().replanned_on != today:
        return replan_all(at)
    ids = list(
        db.session.scalars(select(ItemPlan.item_id).where(ItemPlan.due_at.is_not(None)).order_by(ItemPlan.item_id))
    )
    return _in_batches(ids, at)


def replan_all(at: datetime) -> int:
    """All items have been replanned. Returns how many. Commits batch by batch."""
    ids = list(db.session.scalars(select(Item.id).where(Item.kind != INGREDIENT).order_by(Item.id)))
    done = _in_batches(ids, at)
    row = state()
    row.replanned_on, row.replanned_at = _local(targets.shop(), at), at
    db.session.commit()
    return done


def _in_batches(ids: list[int], at: datetime) -> int:
    for start in range(0, len(ids), PER_BATCH):
        _all_that_can(ids[start : start + PER_BATCH], at)
        state().replanned_at = at
        db.session.commit()
    return len(ids)


def _all_that_can(ids: list[int], at: datetime) -> None:
    """These items have been replanned, all at once. Where one cannot be, each has been by itself, and that one rests until it changes."""
    try:
        with db.session.begin_nested():
            items(ids, at)
    except OperationalError:
        raise  # the database is busy or away: that is no fault of an item
    except Exception as error:
        if len(ids) == 1:
            tell("item not planned", error, item=ids[0])
            db.session.execute(update(ItemPlan).where(ItemPlan.item_id == ids[0]).values(due_at=None))
            return
        for item_id in ids:
            _all_that_can([item_id], at)


def _local(shop: Shop, at: datetime) -> date:
    return clock.local_date(at, settings.get(shop, "time_zone"))


def catch_up(at: datetime) -> int:
    """Items whose runs were drafted, changed or cancelled, and those that Shopify shows as low while we do not, are replanned. Returns how many.

    No unit moved, so nobody told us.
    """
    open_runs = select(func.coalesce(func.sum(ProductionRun.planned_quantity), 0)).where(
        ProductionRun.item_id == ItemPlan.item_id, ProductionRun.state.in_(supply.OPEN_RUNS)
    )
    shown = SyncState.sellable + func.least(0, SyncState.drift) * Mapping.units_per_variant
    is_low = (
        select(SyncState.mapping_id)
        .join(Mapping, Mapping.id == SyncState.mapping_id)
        .where(Mapping.item_id == ItemPlan.item_id, Mapping.ended_at.is_(None))
        .where(shown <= ItemPlan.point)
    )
    stale = or_(open_runs.scalar_subquery() != ItemPlan.run_units, (ItemPlan.stock > ItemPlan.point) & is_low.exists())
    ids = list(
        db.session.scalars(select(ItemPlan.item_id).where(stale | ItemPlan.due_at.is_not(None)).limit(PER_BATCH))
    )
    if ids:
        _all_that_can(sorted(ids), at)
    return len(ids)


# What ------------------------------------------------------------------------------------------------------------------------------


def items(item_ids: Collection[int], at: datetime) -> None:
    """These items are planned anew: forecast, reorder point, stock to come, suggestion. The statements do not grow with their number."""
    shop, shop_id = targets.shop(), current_shop_id()
    today, zone = _local(shop, at), settings.get(shop, "time_zone")
    ledger.lock(item_ids)  # first, as bookings do: they lock the item and then mark its plan as due
    plans = plans_of(item_ids, shop_id)
    found = [plan.item for plan in plans]
    ids = [plan.item_id for plan in plans]
    supplies = supply.of(found, today)
    like = {plan.like_item_id for plan in plans if plan.like_item_id}
    sold = demand.sold([*ids, *like], zone, today)
    outs, events = demand.outs_of([*ids, *like]), demand.events_of([*ids, *like])
    current = _current(ids)
    for plan in plans:
        own = [*events[None], *events[plan.item_id]]
        _forecast(plan, sold, outs, events, today)
        seen = _plan(plan, supplies[plan.item_id], own, shop, today)
        _mark_stock_out(plan, supplies[plan.item_id], outs[plan.item_id], shop, today, at)
        proposing.suggest(plan, supplies[plan.item_id], seen, own, current.get(plan.item_id), shop, today, at)
        plan.due_at, plan.replanned_at, plan.replans = None, at, plan.replans + 1
    db.session.flush()


def plans_of(item_ids: Collection[int], shop_id: int) -> list[ItemPlan]:
    """The plans of these items, with the items; made where there is none yet."""
    rows = [_new_row(shop_id, item_id) for item_id in sorted(item_ids)]
    if rows:
        db.session.execute(insert(ItemPlan).values(rows).on_conflict_do_nothing(index_elements=["item_id"]))
    query = select(ItemPlan).where(ItemPlan.item_id.in_(item_ids)).options(joinedload(ItemPlan.item))
    fresh = {"populate_existing": True}
    return list(db.session.scalars(query.order_by(ItemPlan.item_id).execution_options(**fresh)))


def _current(ids: Collection[int]) -> dict[int, Suggestion]:
    query = select(Suggestion).where(Suggestion.item_id.in_(ids), Suggestion.ended_at.is_(None))
    rows = db.session.scalars(query.with_for_update().execution_options(populate_existing=True))
    return {row.item_id: row for row in rows}


def _forecast(
    plan: ItemPlan,
    sold: dict[int, Sold],
    outs: dict[int, list[StockOut]],
    events: dict[int | None, list[PlanEvent]],
    today: date,
) -> None:
    """The plan's forecast: by hand, as another item, or by the method that did best."""
    plan.method, plan.week, plan.spread, plan.b2b_daily = None, [], None, None
    plan.error = plan.naive_error = plan.mase = None
    plan.unusual, plan.days_known, plan.forecast_from = [], 0, today
    share, source = (plan.like_percent or 100) / 100, plan.like_item_id or plan.item_id
    days = demand.days_of(sold.get(source, Sold()), today, outs[source], [*events[None], *events[source]])
    found = from_days(days) if days else None
    if plan.daily_by_hand is not None:
        daily = float(plan.daily_by_hand)
        _keep(plan, Forecast(forecasting.BY_HAND, (daily,) * WEEK, math.sqrt(daily), 0), 0.0)
        return
    if found is None or days is None:
        return
    forecast, b2b, unusual = found
    if plan.like_item_id:
        week = tuple(units * share for units in forecast.week)
        forecast = Forecast(forecasting.SIMILAR, week, forecast.spread * share, forecast.days)
    _keep(plan, forecast, b2b * share)
    plan.unusual = [[str(days.day(number)), before, after] for number, before, after in unusual]


def _keep(plan: ItemPlan, found: Forecast, b2b: float) -> None:
    plan.method, plan.week = found.method, [round(units, 4) for units in found.week]
    plan.spread, plan.b2b_daily, plan.days_known = _money(found.spread), _money(b2b), found.days
    plan.error, plan.naive_error, plan.mase = _money(found.error), _money(found.naive_error), _money(found.mase)


def _money(number: float | None) -> Decimal | None:
    return None if number is None or not math.isfinite(number) else Decimal(f"{min(number, 10**9):.4f}")


def from_days(days: Days) -> tuple[Forecast, float, list[tuple[int, float, float]]] | None:
    """The forecast of both kinds of buyers together, what businesses take of it a day, and the unusual days.

    Businesses buy seldom and much, so they are forecast apart and added: neither hides the other's rhythm.
    """
    people = preparing.prepare(days.people, days.is_out, days.uplift)
    found = forecasting.forecast(people.values)
    if found is None:
        return None
    if not any(days.businesses):
        return found, 0.0, people.unusual
    apart = preparing.prepare(days.businesses, days.is_out, [1.0] * len(days.businesses))
    theirs = forecasting.forecast(apart.values, ["average_91", "sba", "tsb"])
    if theirs is None:
        return found, 0.0, people.unusual
    week = tuple(one + other for one, other in zip(found.week, theirs.week, strict=True))
    both = Forecast(
        found.method,
        week,
        math.hypot(found.spread, theirs.spread),
        found.days,
        found.mase,
        found.error,
        found.naive_error,
    )
    return both, theirs.daily, people.unusual


def _plan(plan: ItemPlan, of: Supply, events: list[PlanEvent], shop: Shop, today: date) -> Outlook:
    """The plan's reorder point, cover, and the day on which it runs out if nothing is done. Returns the outlook with what is on its way."""
    seen = nothing_done = outlook_of(plan, of, events, shop, today)
    if of.coming:
        nothing_done = outlook_of(plan, Supply(of.item, of.sellable, of.shopify, of.lots), events, shop, today)
    plan.point, plan.coming, plan.price = seen.point, of.coming, of.price
    plan.run_units = sum(run.planned_quantity for run in of.runs)
    plan.gone_on = reorder.runs_out(nothing_done.points) if any(seen.days) or of.stock <= 0 else None
    plan.cover = reorder.cover(max(0, of.stock), seen.days) if any(seen.days) else None
    return seen


def _mark_stock_out(plan: ItemPlan, of: Supply, outs: list[StockOut], shop: Shop, today: date, at: datetime) -> None:
    """Days without stock are marked, so that they do not read as no demand. Whoever wants to know is told when it begins."""
    open_ = next((row for row in outs if row.until is None), None)
    was, plan.stock = plan.stock, of.stock
    if of.stock <= 0 and open_ is None and supply.is_planned(plan.item):
        db.session.add(StockOut(item_id=plan.item_id, since=today))
        if was > 0 and plan.is_planned:
            mails.tell_sold_out(plan, of, shop, at)
    elif of.stock > 0 and open_ is not None:
        open_.until = max(open_.since, today)
