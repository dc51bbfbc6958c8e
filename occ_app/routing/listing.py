"""What the pages and commands show of partner orders: orders with their sums, waiting lines with their cause, statements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.orm import joinedload

from occ_app.extensions import db
from occ_app.orders.models import Order, OrderLine
from occ_app.partners import settings as partner_settings
from occ_app.partners.models import Partner, PartnerVariant
from occ_app.routing import orders, rules
from occ_app.routing.eligibility import PAID, RISKY, WAITS, waits_because
from occ_app.routing.models import (
    CANCELLED,
    CLOSING,
    CREATED,
    FAILED,
    OPEN,
    ORDERED,
    PENDING,
    RECEIVED,
    SHIPPED,
    PartnerBatch,
    PartnerLine,
    PartnerOrder,
    PartnerOrderEvent,
)
from occ_app.routing.prices import Rates
from occ_app.shops import settings as shop_settings
from occ_app.sync.targets import shop

STATES = {
    OPEN: ("Open, growing", "info"),
    CLOSING: ("Closing", "info"),
    ORDERED: ("Ordered", "info"),
    SHIPPED: ("On its way", "info"),
    RECEIVED: ("Received", "success"),
    CANCELLED: ("Cancelled", "neutral"),
}


@dataclass(frozen=True)
class Shown:
    """A partner order with its sums. `cost` in the order's currency; `sold` in ours; `margin` of what customers bought in per cent, None where
    no rate is known. `for_stock`: units that belong to no customer."""

    order: PartnerOrder
    partner: Partner
    lines: int
    units: int
    cost: Decimal
    sold: Decimal
    margin: Decimal | None
    received: int
    short: int
    damaged: int
    for_stock: int = 0

    def left(self, at: datetime) -> str:
        """What is left until its cutoff, for people."""
        return " ".join(f"{number} {unit}" for number, unit in rules.time_left(self.order.cutoff_at - at))

    @property
    def badge(self) -> tuple[str, str]:
        """Words and tone."""
        if self.order.state == RECEIVED and self.short + self.damaged:
            return f"Received, {self.short + self.damaged} short or damaged", "warning"
        if self.order.cause and self.order.state in (OPEN, CLOSING):
            return "Can't be sent", "critical"
        if self.order.theirs is not None:
            return "Changed by them", "warning"
        return STATES[self.order.state]


@dataclass(frozen=True)
class Variant:
    """One variant on an order, summed over customers."""

    name: str
    sku: str
    image_url: str | None
    units: int
    orders: int
    they_have: int | None
    unit_cost: Decimal
    asks_now: Decimal | None
    for_stock: int = 0
    is_theirs: bool = False  # the partner added it; no line of ours is for it
    is_fee: bool = False  # of these, no goods: no units, `unit_cost` is all of it

    @property
    def total(self) -> Decimal:
        """What it costs in all."""
        return self.unit_cost if self.is_fee else self.unit_cost * self.units


def sums(condition: ColumnElement[bool], limit: int = 50, offset: int = 0) -> list[Shown]:
    """The orders under that condition, newest first, with their sums. Two statements, and one for each partner's rate."""
    standing = PartnerLine.state == CREATED
    sold_to_somebody = PartnerLine.order_line_id.is_not(None)
    columns = (
        func.count(PartnerLine.id).filter(standing),
        *(
            func.coalesce(func.sum(case((standing, term), else_=0)), 0)
            for term in (
                PartnerLine.quantity,
                PartnerLine.quantity * PartnerLine.unit_cost,
                PartnerLine.quantity * func.coalesce(PartnerLine.sold_for, 0),
                case((sold_to_somebody, PartnerLine.quantity * PartnerLine.unit_cost), else_=0),
                PartnerLine.received,
                PartnerLine.short,
                PartnerLine.damaged,
                case((sold_to_somebody, 0), else_=PartnerLine.quantity),
            )
        ),
    )
    query = (
        select(PartnerOrder, Partner, *columns)
        .join(Partner, Partner.id == PartnerOrder.partner_id)
        .outerjoin(PartnerLine, PartnerLine.partner_order_id == PartnerOrder.id)
        .where(condition)
        .group_by(PartnerOrder.id, Partner.id)
        .order_by(PartnerOrder.id.desc())
    )
    rates = Rates()
    found = []
    for order, partner, lines, units, cost, sold, cost_of_sold, *counts in db.session.execute(
        query.limit(limit).offset(offset)
    ):
        more, extra, fees = _extra(order)
        ours = rates.ours(partner, Decimal(cost_of_sold), order.currency)
        margin = ((sold - ours) / sold * 100).quantize(Decimal("0.1")) if sold and ours is not None else None
        found.append(
            Shown(
                order,
                partner,
                lines,
                int(units) + more,
                Decimal(cost) + extra + fees,
                Decimal(sold),
                margin,
                *map(int, counts),
            )
        )
    return found


def _extra(order: PartnerOrder) -> tuple[int, Decimal, Decimal]:
    """Units that the partner added to the order, what they cost, and its fees; none where it came to nothing."""
    added = order.extra if order.state != CANCELLED else []
    units = rules.goods(added)
    cost, fees = (
        sum((Decimal(str(each)) * int(n) for _, each, n in lines), Decimal(0))
        for lines in (units, [line for line in added if rules.is_fee(line[0])])
    )
    return sum(int(n) for _, _, n in units), cost, fees


def one(order_id: int) -> Shown:
    """The order with its sums. Raises NotFoundError."""
    orders.get(order_id)
    return sums(PartnerOrder.id == order_id)[0]


def variants_of(order: PartnerOrder, partner: Partner) -> list[Variant]:
    """What is on the order, by name."""
    query = (
        select(
            PartnerLine.partner_variant_id,
            PartnerLine.unit_cost,
            func.sum(PartnerLine.quantity),
            func.count(func.distinct(OrderLine.order_id)),
            func.coalesce(func.sum(PartnerLine.quantity).filter(PartnerLine.order_line_id.is_(None)), 0),
        )
        .outerjoin(OrderLine, OrderLine.id == PartnerLine.order_line_id)
        .where(PartnerLine.partner_order_id == order.id, PartnerLine.state == CREATED, PartnerLine.quantity > 0)
        .group_by(PartnerLine.partner_variant_id, PartnerLine.unit_cost)
    )
    rows = db.session.execute(query).all()
    ids = [row[0] for row in rows]
    sources = select(PartnerVariant).where(PartnerVariant.id.in_(ids)).options(joinedload(PartnerVariant.product))
    by_id = {source.id: source for source in db.session.scalars(sources)}
    discount = partner_settings.number(partner, "discount_percent")
    sells_in = Rates().currency(partner)
    found = []
    for variant_id, cost, units, number, for_stock in rows:
        source = by_id[variant_id]
        name = f"{source.product.title}{', ' + source.title if source.title else ''}"
        asks = rules.cost_of(source.price, discount, sells_in) if sells_in == order.currency else None
        picture = source.image_url or next((image["url"] for image in source.product.images), None)
        unit_cost = cost or Decimal(0)
        shown = Variant(
            name, source.sku, picture, int(units), number, source.available, unit_cost, asks, int(for_stock)
        )
        found.append(shown)
    found += _added_to(order, partner) if order.state != CANCELLED else []
    return sorted(found, key=lambda each: each.name.casefold())


def _added_to(order: PartnerOrder, partner: Partner) -> list[Variant]:
    """What the partner added to the order."""
    gids = [str(gid) for gid, _, _ in order.extra]
    query = select(PartnerVariant).where(PartnerVariant.partner_id == partner.id, PartnerVariant.variant_gid.in_(gids))
    known = {source.variant_gid: source for source in db.session.scalars(query)}
    names = orders.names_of(gids, partner)
    found = []
    for gid, cost, units in order.extra:
        source = known.get(gid)
        facts = (source.sku, source.image_url) if source else ("", None)
        has = source.available if source else None
        if rules.is_fee(gid):
            amount, title = Decimal(str(cost)) * int(units), str(gid).removeprefix(rules.CUSTOM)
            found.append(Variant(title, "", None, 0, 0, None, amount, None, is_theirs=True, is_fee=True))
            continue
        name = names.get(gid, "Another product")
        found.append(Variant(name, *facts, int(units), 0, has, Decimal(str(cost)), None, is_theirs=True))
    return found


def history(order: PartnerOrder) -> Sequence[PartnerOrderEvent]:
    """What happened to it, newest first."""
    query = select(PartnerOrderEvent).where(PartnerOrderEvent.partner_order_id == order.id)
    return db.session.scalars(query.order_by(PartnerOrderEvent.id.desc()).limit(60)).all()


def waiting(partner: Partner, at: datetime) -> dict[str, tuple[int, int]]:
    """Cause -> (lines, units) of what is not on an order to the partner yet."""
    why = waits_because(at)(partner_settings.get(partner, "hold_minutes"))
    query = (
        select(why, func.count(), func.sum(PartnerLine.quantity))
        .outerjoin(OrderLine, OrderLine.id == PartnerLine.order_line_id)
        .outerjoin(Order, Order.id == OrderLine.order_id)
        .where(PartnerLine.partner_id == partner.id, PartnerLine.state == PENDING)
        .group_by(why)
    )
    found = {cause: (lines, int(units)) for cause, lines, units in db.session.execute(query)}
    return {cause: found[cause] for cause in WAITS if cause in found}


@dataclass(frozen=True)
class Waiting:
    """A line on no order yet, with whose it is (None: it is for stock) and why it waits or failed."""

    line: PartnerLine
    order: Order | None
    title: str
    cause: str

    @property
    def whose(self) -> str:
        """The customer's order, for people."""
        return self.order.name if self.order else "For your stock"


def lines_not_on_order(state: str, at: datetime, limit: int = 50, offset: int = 0) -> list[Waiting]:
    """Lines that wait (`pending`) or need a person (`failed`), oldest first."""
    query = (
        select(PartnerLine, Order, OrderLine.title)
        .outerjoin(OrderLine, OrderLine.id == PartnerLine.order_line_id)
        .outerjoin(Order, Order.id == OrderLine.order_id)
        .where(PartnerLine.state == state, PartnerLine.quantity > 0)
        .options(joinedload(PartnerLine.partner), joinedload(PartnerLine.item))
        .order_by(PartnerLine.id)
    )
    rows = db.session.execute(query.limit(limit).offset(offset)).all()
    return [
        Waiting(line, order, title or line.item.name, line.cause or _cause(line, order, at))
        for line, order, title in rows
    ]


def _cause(line: PartnerLine, order: Order | None, at: datetime) -> str:
    of = shop()
    if order is None:
        return WAITS[5]
    if shop_settings.get(of, "route_orders") == "paid" and order.financial_status not in PAID:
        return WAITS[0]
    if order.is_on_hold or order.fulfillment_status == "ON_HOLD":
        return WAITS[1]
    if order.risk in RISKY[shop_settings.get(of, "route_risk")]:
        return WAITS[2]
    minutes = partner_settings.get(line.partner, "hold_minutes")
    if order.placed_at is not None and order.placed_at > at - timedelta(minutes=minutes):
        return WAITS[3]
    return WAITS[4] if order.is_test else WAITS[5]


def count(state: str) -> int:
    """Lines in that state."""
    query = select(func.count()).select_from(PartnerLine).where(PartnerLine.state == state)
    return int(db.session.scalar(query) or 0)


def count_orders(condition: ColumnElement[bool]) -> int:
    """Orders under that condition."""
    return int(db.session.scalar(select(func.count()).select_from(PartnerOrder).where(condition)) or 0)


def batches(limit: int, offset: int = 0) -> Sequence[PartnerBatch]:
    """The log, newest first."""
    query = select(PartnerBatch).options(joinedload(PartnerBatch.partner)).order_by(PartnerBatch.id.desc())
    return db.session.scalars(query.limit(limit).offset(offset)).all()


def count_batches() -> int:
    """How long the log is."""
    return db.session.scalar(select(func.count(PartnerBatch.id))) or 0


# Where a customer's line stands, for people.
LINE_WORDS = {
    PENDING: "Waiting for partner",
    FAILED: "Needs you",
    OPEN: "On the open order",
    CLOSING: "On the open order",
    ORDERED: "Ordered",
    SHIPPED: "On its way",
    RECEIVED: "Ready",
}


def customers(condition: ColumnElement[bool], limit: int = 50, offset: int = 0) -> list[dict[str, Any]]:
    """Customers' orders with partners' goods: each with the least far of its lines. What was short or damaged waits as a line of its own."""
    still_owed = PartnerLine.quantity - PartnerLine.short - PartnerLine.damaged
    rank = case(
        (PartnerLine.state == FAILED, 0),
        (PartnerLine.state == PENDING, 1),
        (PartnerOrder.state.in_((OPEN, CLOSING)), 2),
        (PartnerLine.received >= still_owed, 6),
        (PartnerLine.received > 0, 5),
        (PartnerLine.shipped >= PartnerLine.quantity, 4),
        else_=3,
    )
    query = (
        select(Order.id, Order.name, Order.placed_at, func.min(rank), func.sum(still_owed))
        .join(OrderLine, OrderLine.order_id == Order.id)
        .join(PartnerLine, PartnerLine.order_line_id == OrderLine.id)
        .outerjoin(PartnerOrder, PartnerOrder.id == PartnerLine.partner_order_id)
        .where(PartnerLine.state != CANCELLED, still_owed > 0, condition)
        .group_by(Order.id)
        .order_by(Order.id.desc())
    )
    words = (
        "Needs you",
        "Waiting for partner",
        "On the open order",
        "Ordered",
        "On its way",
        "Partly received",
        "Ready",
    )
    return [
        {"id": number, "name": name, "placed_at": placed_at, "status": words[least], "units": int(units)}
        for number, name, placed_at, least, units in db.session.execute(query.limit(limit).offset(offset))
    ]


def count_customers() -> int:
    """How many orders of customers have partners' goods."""
    still_owed = PartnerLine.quantity - PartnerLine.short - PartnerLine.damaged
    query = select(func.count(OrderLine.order_id.distinct())).join(
        PartnerLine, PartnerLine.order_line_id == OrderLine.id
    )
    return db.session.scalar(query.where(PartnerLine.state != CANCELLED, still_owed > 0)) or 0


# Statements -------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Entry:
    """One order in a statement, amounts in the order's currency. Ordered + fees = to be paid + short + damaged + refunded. Fees have no
    units."""

    order: PartnerOrder
    units: int
    ordered: Decimal
    shipped: int
    received: int
    short: Decimal
    damaged: Decimal
    refunded: Decimal
    fees: Decimal

    @property
    def to_pay(self) -> Decimal:
        """What is left to be paid."""
        return self.ordered + self.fees - self.short - self.damaged - self.refunded


def statement(partner: Partner, since: datetime, until: datetime) -> list[Entry]:
    """The orders of that period, oldest first. `ordered` counts what was on the order when it was placed; of a cancelled one what had come
    before."""
    worth = func.coalesce(PartnerLine.unit_cost, 0)
    placed = PartnerLine.quantity + PartnerLine.refunded
    columns = [
        func.sum(placed),
        func.sum(placed * worth),
        func.sum(PartnerLine.shipped),
        func.sum(PartnerLine.received),
    ]
    columns += [func.sum(one * worth) for one in (PartnerLine.short, PartnerLine.damaged, PartnerLine.refunded)]
    query = (
        select(PartnerOrder, *columns)
        .join(PartnerLine, PartnerLine.partner_order_id == PartnerOrder.id)
        .where(PartnerOrder.partner_id == partner.id, PartnerOrder.ordered_at >= since, PartnerOrder.ordered_at < until)
        .group_by(PartnerOrder.id)
        .order_by(PartnerOrder.ordered_at, PartnerOrder.id)
    )
    found = []
    for order, units, ordered, shipped, received, *credit in db.session.execute(query):
        more, extra, fees = _extra(order)
        if order.state == CANCELLED and not int(units):
            continue
        found.append(
            Entry(
                order,
                int(units) + more,
                Decimal(ordered) + extra,
                int(shipped),
                int(received),
                *map(Decimal, credit),
                fees,
            )
        )
    return found


@dataclass(frozen=True)
class Total:
    """What the orders of a statement in one currency come to."""

    currency: str
    orders: int
    ordered: Decimal
    short: Decimal
    damaged: Decimal
    refunded: Decimal
    fees: Decimal
    to_pay: Decimal


def totals(entries: Sequence[Entry]) -> list[Total]:
    """One for each currency, in the order in which they come: amounts of different currencies are never added."""
    by_currency: dict[str, list[Entry]] = {}
    for entry in entries:
        by_currency.setdefault(entry.order.currency, []).append(entry)
    names = ("ordered", "short", "damaged", "refunded", "fees", "to_pay")
    return [
        Total(currency, len(found), *(sum((getattr(one, name) for one in found), Decimal(0)) for name in names))
        for currency, found in by_currency.items()
    ]
