"""An item's planning rules as they hold, and what is expected under them: demand, reorder point, the stock to come."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from occ_app.catalog.models import Item
from occ_app.planning import demand, forecasting, reorder
from occ_app.planning.forecasting import WEEK
from occ_app.planning.models import ItemPlan, PlanEvent
from occ_app.planning.supply import Supply
from occ_app.shops import settings
from occ_app.shops.models import Shop

LOOK_AHEAD = 180  # days


@dataclass(frozen=True)
class Rules:
    """An item's planning rules as they hold: its own, else the shop's."""

    service_level: float
    lead_days: int
    review_days: int
    cover_days: int
    lead_spread: float
    lots: reorder.Lots
    point_by_hand: int | None
    target_by_hand: int | None
    shelf_life: int | None


def rules_of(item: Item, plan: ItemPlan, of: Supply, shop: Shop) -> Rules:
    """The rules that hold for the item."""

    def chosen(value: Any, name: str) -> Any:
        return value if value is not None else settings.get(shop, name)

    return Rules(
        service_level=float(chosen(plan.service_level, "plan_service_level")),
        lead_days=int(chosen(item.lead_time_days, "plan_lead_days")),
        review_days=int(chosen(plan.review_days, "plan_review_days")),
        cover_days=int(chosen(plan.cover_days, "plan_cover_days")),
        lead_spread=float(plan.lead_spread_days or 0),
        lots=reorder.Lots(of.yield_quantity or 1, plan.least, plan.most),
        point_by_hand=item.reorder_point,
        target_by_hand=item.target_stock,
        shelf_life=item.shelf_life_days,
    )


@dataclass(frozen=True)
class Outlook:
    """What is expected of an item: `days` of demand from today, its reorder point, the level to fill up to, and the stock to come."""

    days: list[float]
    spread: float
    point: int | None
    up_to: int | None
    points: list[reorder.Point]

    @property
    def daily(self) -> float:
        """Expected units a day over the next week."""
        return sum(self.days[:WEEK]) / WEEK if self.days else 0.0


def outlook(
    rules: Rules, week: forecasting.Week, spread: float, uplift: list[float], skip: int, of: Supply, today: date
) -> Outlook:
    """What follows from a forecast. `skip`: days between the forecast's first day and today; `uplift`: of the days from today."""
    days = forecasting.ahead(week, uplift, skip) if week else [0.0] * len(uplift)
    span = rules.lead_days + rules.review_days
    expected, cushion = sum(days[:span]), 0.0
    if week and any(week):
        daily = expected / span if span else sum(week) / WEEK
        cushion = reorder.safety_stock(rules.service_level, span, spread, daily, rules.lead_spread)
    point = rules.point_by_hand
    if point is None and week and any(week):
        point = math.ceil(expected + cushion - 1e-9)
    up_to = rules.target_by_hand
    if up_to is None and week and any(week):
        up_to = math.ceil(sum(days[: span + rules.cover_days]) + cushion)
        if rules.shelf_life is not None:
            up_to = max(point or 0, min(up_to, math.ceil(sum(days[: rules.shelf_life]))))
    arrivals = of.arrivals(today, rules.lead_days)
    beside = of.stock - of.sellable + of.ordered_beyond
    lots = [*of.lots, (beside, None)] if beside else of.lots
    points = reorder.projected(today, lots, arrivals, days, spread, rules.shelf_life)
    return Outlook(days, spread, point, up_to, points)


def outlook_of(
    plan: ItemPlan, of: Supply, events: Iterable[PlanEvent], shop: Shop, today: date, rules: Rules | None = None
) -> Outlook:
    """The outlook of a plan as it stands; with `rules` under those instead."""
    span = [today + timedelta(days=number) for number in range(LOOK_AHEAD)]
    skip = (today - (plan.forecast_from or today)).days
    rules = rules or rules_of(plan.item, plan, of, shop)
    return outlook(rules, tuple(plan.week), float(plan.spread or 0), demand.uplift(span, events), skip, of, today)
