"""What was sold, per item and local day: booked orders, wholesale orders, and the history from before we listened. Each line counts once.

Demand is what stayed sold: taken less restocked, lost and returned, on the day on which the order was placed. So a cancellation or a refund
takes it back where it was. What left and was refunded without coming back is demand: the units are gone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Date, Select, cast, func, or_, select, true
from sqlalchemy.dialects.postgresql import distinct_on

from occ_app.b2b.models import WholesaleLine, WholesaleOrder
from occ_app.catalog.models import Mapping, Variant
from occ_app.extensions import db
from occ_app.orders.models import Order, OrderLine
from occ_app.planning.forecasting import MOST_DAYS
from occ_app.planning.models import PastSale, PlanEvent, StockOut

MOST_UPLIFT = 1000.0  # times the usual, however many events meet


@dataclass
class Sold:
    """Units of an item by day: to people, and to businesses."""

    people: dict[date, int] = field(default_factory=lambda: defaultdict(int))
    businesses: dict[date, int] = field(default_factory=lambda: defaultdict(int))

    @property
    def first(self) -> date | None:
        """The first day with a sale."""
        return min((*self.people, *self.businesses), default=None)


@dataclass(frozen=True)
class Days:
    """An item's days from `first` to the day before `until`, ready to forecast from."""

    first: date
    people: Sequence[int]
    businesses: Sequence[int]
    is_out: Sequence[bool]
    uplift: Sequence[float]

    def day(self, number: int) -> date:
        """The date of a day."""
        return self.first + timedelta(days=number)


def sold(item_ids: Collection[int] | None, time_zone: str, today: date) -> dict[int, Sold]:
    """Of these items (None: all), today included. Three statements, whatever their number."""
    since = datetime.combine(today - timedelta(days=MOST_DAYS), time(), ZoneInfo(time_zone))
    found: dict[int, Sold] = defaultdict(Sold)
    for query in (query_of(item_ids, time_zone, since) for query_of in (_booked, _wholesale, _past)):
        for item_id, on, is_b2b, units in db.session.execute(query):
            days = found[item_id].businesses if is_b2b else found[item_id].people
            days[on] += int(units)
    return found


def _booked(item_ids: Collection[int] | None, time_zone: str, since: datetime) -> Select[Any]:
    net = (OrderLine.taken - OrderLine.restocked - OrderLine.lost - OrderLine.returned) * OrderLine.units_per_variant
    on = cast(func.timezone(time_zone, Order.placed_at), Date)
    query = (
        select(Mapping.item_id, on, Order.is_b2b, func.sum(net))
        .join(OrderLine, OrderLine.mapping_id == Mapping.id)
        .join(Order, Order.id == OrderLine.order_id)
        .where(Order.placed_at >= since, Order.is_test.is_(False), net != 0)
        .group_by(Mapping.item_id, on, Order.is_b2b)
    )
    return query if item_ids is None else query.where(Mapping.item_id.in_(item_ids))


def _wholesale(item_ids: Collection[int] | None, time_zone: str, since: datetime) -> Select[Any]:
    """Orders that businesses confirmed: what they asked for, on the day of the yes, also where it still waits for stock."""
    on = cast(func.timezone(time_zone, WholesaleOrder.confirmed_at), Date)
    query = (
        select(WholesaleLine.item_id, on, true(), func.sum(WholesaleLine.quantity))
        .join(WholesaleOrder, WholesaleOrder.id == WholesaleLine.order_id)
        .where(WholesaleOrder.confirmed_at >= since, WholesaleOrder.cancelled_at.is_(None))
        .group_by(WholesaleLine.item_id, on)
    )
    return query if item_ids is None else query.where(WholesaleLine.item_id.in_(item_ids))


def _past(item_ids: Collection[int] | None, time_zone: str, since: datetime) -> Select[Any]:
    """History counts for the item that its variant sells now (or sold last), unless the line is booked."""
    sells = (
        select(Variant.variant_gid, Mapping.item_id, Mapping.units_per_variant)
        .join(Mapping, Mapping.variant_id == Variant.id)
        .ext(distinct_on(Variant.variant_gid))
        .order_by(Variant.variant_gid, Mapping.ended_at.desc().nulls_first(), Mapping.id.desc())
        .subquery()
    )
    on = cast(func.timezone(time_zone, PastSale.sold_at), Date)
    is_booked = select(OrderLine.id).where(OrderLine.line_gid == PastSale.line_gid, OrderLine.mapping_id.is_not(None))
    query = (
        select(sells.c.item_id, on, PastSale.is_b2b, func.sum(PastSale.quantity * sells.c.units_per_variant))
        .join(PastSale, PastSale.variant_gid == sells.c.variant_gid)
        .where(PastSale.sold_at >= since, PastSale.quantity > 0, ~is_booked.exists())
        .group_by(sells.c.item_id, on, PastSale.is_b2b)
    )
    return query if item_ids is None else query.where(sells.c.item_id.in_(item_ids))


def days_of(of: Sold, today: date, outs: Iterable[StockOut], events: Iterable[PlanEvent]) -> Days | None:
    """The item's days up to yesterday; with today where it was first sold today. None where it was never sold."""
    first = of.first
    if first is None:
        return None
    first = max(first, today - timedelta(days=MOST_DAYS))
    until = max(today, first + timedelta(days=1))
    span = [first + timedelta(days=number) for number in range((until - first).days)]
    out = {day for each in outs for day in _between(each.since, each.until or today, first, until)}
    return Days(
        first,
        [of.people.get(day, 0) for day in span],
        [of.businesses.get(day, 0) for day in span],
        [day in out for day in span],
        uplift(span, events),
    )


def _between(since: date, until: date, first: date, end: date) -> Iterable[date]:
    day = max(since, first)
    while day <= until and day < end:
        yield day
        day += timedelta(days=1)


def uplift(span: Sequence[date], events: Iterable[PlanEvent]) -> list[float]:
    """How many times the usual is expected on each day of an unbroken span; events that meet are multiplied, up to MOST_UPLIFT."""
    factors = [1.0] * len(span)
    for event in events:
        start = (event.since - span[0]).days if span else 0
        for number in range(max(0, start), min(len(span), start + (event.until - event.since).days + 1)):
            factors[number] *= float(event.factor)
    return [min(factor, MOST_UPLIFT) for factor in factors]


def outs_of(item_ids: Collection[int] | None) -> dict[int, list[StockOut]]:
    """Days without stock by item; one statement."""
    query = select(StockOut).order_by(StockOut.since)
    found: dict[int, list[StockOut]] = defaultdict(list)
    for row in db.session.scalars(query if item_ids is None else query.where(StockOut.item_id.in_(item_ids))):
        found[row.item_id].append(row)
    return found


def events_of(item_ids: Collection[int] | None) -> dict[int | None, list[PlanEvent]]:
    """Events by item; those of all items under None. One statement."""
    query = select(PlanEvent).order_by(PlanEvent.since, PlanEvent.id)
    if item_ids is not None:
        query = query.where(or_(PlanEvent.item_id.is_(None), PlanEvent.item_id.in_(item_ids)))
    found: dict[int | None, list[PlanEvent]] = defaultdict(list)
    for row in db.session.scalars(query):
        found[row.item_id].append(row)
    return found
