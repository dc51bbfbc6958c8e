"""What the pages of planning show: the list of what to make next, one item's plan, the calendar."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from occ_app import clock
from occ_app.catalog.models import Item, Mapping, Variant
from occ_app.extensions import db
from occ_app.planning import charts, demand, outlooks, reorder, replan, supply, words
from occ_app.planning.charts import WeekRow
from occ_app.planning.forecasting import WEEK
from occ_app.planning.models import DISMISSED, DRAFTED, OPEN, ORDERED, ItemPlan, PlanEvent, StockOut, Suggestion
from occ_app.planning.outlooks import Outlook, Rules
from occ_app.planning.supply import Supply
from occ_app.production.models import ProductionRun
from occ_app.shops import settings
from occ_app.sync import targets

PAST_WEEKS, NEXT_WEEKS = 26, 6


def today() -> date:
    """The shop's day."""
    return clock.local_date(clock.now(), settings.get(targets.shop(), "time_zone"))


def current(state: str, on: date) -> list[Suggestion]:
    """Suggestions that have not ended: those that ask now (`open`), wait for what was drafted or ordered (`hand`), or are `hidden`."""
    is_snoozed = Suggestion.snoozed_until > on
    kinds = {
        "open": (Suggestion.state == OPEN) & (Suggestion.snoozed_until.is_(None) | ~is_snoozed),
        "hand": Suggestion.state.in_((DRAFTED, ORDERED)),
        "hidden": (Suggestion.state == DISMISSED) | ((Suggestion.state == OPEN) & is_snoozed),
    }
    query = select(Suggestion).where(Suggestion.ended_at.is_(None), kinds[state])
    loaded = joinedload(Suggestion.item), joinedload(Suggestion.run), joinedload(Suggestion.purchase)
    order = (Suggestion.loss.desc().nulls_last(), Suggestion.act_by, Suggestion.id)
    return list(db.session.scalars(query.options(*loaded).order_by(*order)))


def pictures(item_ids: Sequence[int]) -> dict[int, str]:
    """The picture of each item that has one."""
    query = select(Mapping.item_id, Variant.image_url).join(Variant, Variant.id == Mapping.variant_id)
    query = query.where(Mapping.item_id.in_(item_ids), Mapping.ended_at.is_(None), Variant.image_url.is_not(None))
    return dict(db.session.execute(query).all()) if item_ids else {}  # type: ignore[arg-type]


@dataclass(frozen=True)
class ItemView:
    """One item's plan, whole."""

    plan: ItemPlan
    of: Supply
    rules: Rules
    seen: Outlook
    alone: Outlook  # nothing done: without what is on its way
    rows: list[WeekRow]
    bars: charts.Bars
    stock: charts.StockChart
    points: list[reorder.Point]
    suggestion: Suggestion | None
    events: Sequence[PlanEvent]
    outs: Sequence[StockOut]
    like: Item | None

    @property
    def item(self) -> Item:
        """The item."""
        return self.plan.item


def one(plan: ItemPlan, *, with_run: int = 0) -> ItemView:
    """The item's plan as it stands. `with_run`: as if so many units more came after the lead time."""
    shop, on = targets.shop(), today()
    of = supply.of([plan.item], on)[plan.item_id]
    rules = outlooks.rules_of(plan.item, plan, of, shop)
    events = demand.events_of([plan.item_id])
    own = [*events[None], *events[plan.item_id]]
    outs = demand.outs_of([plan.item_id])[plan.item_id]
    seen = outlooks.outlook_of(plan, of, own, shop, on, rules)
    alone = outlooks.outlook_of(plan, Supply(of.item, of.sellable, of.shopify, of.lots), own, shop, on, rules)
    length = min(len(seen.points), max(21, 2 * (rules.lead_days + rules.review_days) + rules.cover_days))
    arrivals = of.arrivals(on, rules.lead_days)
    if with_run:
        ready = on + timedelta(days=rules.lead_days)
        arrivals[ready] = arrivals.get(ready, 0) + with_run
    lots = of.lots if of.stock == of.sellable else [*of.lots, (of.stock - of.sellable, None)]
    points = reorder.projected(on, lots, arrivals, seen.days[:length], seen.spread, rules.shelf_life)
    names = {day: f"{units:,} come" for day, units in arrivals.items()}
    gone = reorder.runs_out(points)
    if gone is not None and gone not in names:
        names[gone] = f"Out {words.weekday(gone, on)}" if gone != on else "Out today"
    rows = _weeks(plan, own, outs, seen, settings.get(shop, "time_zone"), on)
    query = select(Suggestion).where(Suggestion.item_id == plan.item_id, Suggestion.ended_at.is_(None))
    suggestion = db.session.scalar(query.options(joinedload(Suggestion.item), joinedload(Suggestion.run)))
    return ItemView(
        plan,
        of,
        rules,
        seen,
        alone,
        rows,
        charts.weeks(rows),
        charts.stock(points, plan.point, names),
        points,
        suggestion,
        own,
        outs,
        db.session.get(Item, plan.like_item_id) if plan.like_item_id else None,
    )


def _weeks(
    plan: ItemPlan, events: list[PlanEvent], outs: list[StockOut], seen: Outlook, time_zone: str, on: date
) -> list[WeekRow]:
    """Weeks that ended yesterday or earlier, from the first with a sale, and those to come."""
    sold = demand.sold([plan.item_id], time_zone, on).get(plan.item_id, demand.Sold())
    days = demand.days_of(sold, on, outs, events)
    rows = []
    for number in range(PAST_WEEKS, 0, -1):
        start = on - timedelta(days=WEEK * number)
        if days is None or start < days.first:
            continue
        span = [start + timedelta(days=n) for n in range(WEEK)]
        units = sum(sold.people.get(day, 0) + sold.businesses.get(day, 0) for day in span)
        inside = [(day - days.first).days for day in span if 0 <= (day - days.first).days < len(days.is_out)]
        out = sum(days.is_out[n] for n in inside)
        usual = sum(
            (days.people[n] - days.people[n] / days.uplift[n]) for n in inside if days.uplift[n] not in (0.0, 1.0)
        )
        rows.append(WeekRow(start, units, None, None, None, usual, out))
    if any(seen.days):
        uplift = demand.uplift([on + timedelta(days=n) for n in range(WEEK * NEXT_WEEKS)], events)
        for number in range(NEXT_WEEKS):
            span_ = range(number * WEEK, (number + 1) * WEEK)
            plain = [seen.days[n] for n in span_]
            expected, base = sum(plain), sum(seen.days[n] / uplift[n] for n in span_)
            band = reorder.FOUR_OF_FIVE * reorder.spread_over(WEEK, seen.spread)
            start = on + timedelta(days=number * WEEK)
            rows.append(WeekRow(start, None, expected, max(0.0, expected - band), expected + band, expected - base, 0))
    return rows


@dataclass(frozen=True)
class CalendarDay:
    """A day of the calendar with what is planned on it."""

    on: date
    runs: Sequence[ProductionRun]
    events: Sequence[PlanEvent]
    purchases: Sequence[tuple[Any, int]]


def calendar(since: date, weeks: int) -> list[list[CalendarDay]]:
    """Weeks from Monday on, with runs, what was ordered, and events. Three statements."""
    start = since - timedelta(days=since.weekday())
    until = start + timedelta(days=WEEK * weeks)
    query = select(ProductionRun).where(ProductionRun.planned_on >= start, ProductionRun.planned_on < until)
    query = query.where(ProductionRun.state != "cancelled").options(joinedload(ProductionRun.item))
    by_day: dict[date, list[ProductionRun]] = defaultdict(list)
    for run in db.session.scalars(query.order_by(ProductionRun.planned_on, ProductionRun.id).limit(2000)):
        by_day[run.planned_on or start].append(run)
    due: dict[date, list[tuple[Any, int]]] = defaultdict(list)
    for row, units in supply.open_purchases():
        due[row.due_on].append((row, units))
    meant = select(PlanEvent).where(PlanEvent.until >= start, PlanEvent.since < until).order_by(PlanEvent.since)
    events = db.session.scalars(meant).all()
    days = [start + timedelta(days=n) for n in range(WEEK * weeks)]
    found = [CalendarDay(day, by_day[day], [e for e in events if e.since <= day <= e.until], due[day]) for day in days]
    return [found[n : n + WEEK] for n in range(0, len(found), WEEK)]


def replanned_at() -> datetime | None:
    """When planning last looked."""
    return replan.state().replanned_at
