"""Which captured lines may go to their partner, and why the others wait."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import Case, ColumnElement, Select, and_, case, func, select
from sqlalchemy.orm import contains_eager

from occ_app.extensions import db
from occ_app.orders.models import Order, OrderLine
from occ_app.partners import settings as partner_settings
from occ_app.partners.models import Partner
from occ_app.routing import rules
from occ_app.routing.models import PENDING, PartnerLine
from occ_app.shops import settings as shop_settings
from occ_app.shops.models import Shop
from occ_app.sync.targets import shop

PAID = ("PAID", "PARTIALLY_REFUNDED")
# Why a line waits, in the order in which people look.
WAITS = (
    "Not paid yet",
    "On hold in Shopify",
    "Risky, in Shopify's eyes",
    "In the hold window",
    "A test order",
    "Goes next",
)
RISKY = {"high": ("CANCEL",), "medium": ("CANCEL", "INVESTIGATE"), "none": ()}


def may_go(partner: Partner, of: Shop, at: datetime) -> list[ColumnElement[bool]]:
    """The condition under which a waiting line may go: paid, not held, not risky, and its hold window is over."""
    held_until = at - timedelta(minutes=partner_settings.get(partner, "hold_minutes"))
    conditions: list[ColumnElement[bool]] = [
        Order.cancelled_at.is_(None),
        Order.placed_at <= held_until,
        ~Order.is_on_hold,
        Order.fulfillment_status != "ON_HOLD",
        Order.risk.not_in(RISKY[shop_settings.get(of, "route_risk")]),
        PartnerLine.quantity > 0,
        ~Order.is_test,
    ]
    if shop_settings.get(of, "route_orders") == "paid":
        conditions.append(Order.financial_status.in_(PAID))
    return conditions


def ready(partner: Partner, of: Shop, at: datetime) -> Select[tuple[PartnerLine]]:
    """The partner's lines that may go now, oldest first, locked, with variant. Those for stock may go at once."""
    return (
        select(PartnerLine)
        .join(PartnerLine.partner_variant)
        .outerjoin(OrderLine, OrderLine.id == PartnerLine.order_line_id)
        .outerjoin(Order, Order.id == OrderLine.order_id)
        .where(
            PartnerLine.partner_id == partner.id,
            PartnerLine.state == PENDING,
            PartnerLine.quantity > 0,
            PartnerLine.partner_order_id.is_(None),
            PartnerLine.stock_request_id.is_not(None) | and_(*may_go(partner, of, at)),
        )
        .options(contains_eager(PartnerLine.partner_variant))
        .order_by(PartnerLine.id)
        .with_for_update(of=PartnerLine)
        .execution_options(populate_existing=True)
    )


def waits_because(at: datetime) -> Callable[[int], Case[str]]:
    """The cause of a waiting line as SQL; the hold window is the partner's, so one statement is made for each."""
    of = shop()
    unpaid = Order.financial_status.not_in(PAID)
    if shop_settings.get(of, "route_orders") == "any":
        unpaid = Order.id.is_(None)
    held = Order.is_on_hold | (Order.fulfillment_status == "ON_HOLD")
    risky = Order.risk.in_(RISKY[shop_settings.get(of, "route_risk")])
    return lambda minutes: case(
        (PartnerLine.stock_request_id.is_not(None), WAITS[5]),
        (unpaid, WAITS[0]),
        (held, WAITS[1]),
        (risky, WAITS[2]),
        (Order.placed_at > at - timedelta(minutes=minutes), WAITS[3]),
        (Order.is_test, WAITS[4]),
        else_=WAITS[5],
    )


def waiting(condition: ColumnElement[bool], at: datetime) -> dict[str, int]:
    """Cause -> lines under that condition that are on no order yet, whosever they are."""
    pending = (PartnerLine.state == PENDING) & (PartnerLine.quantity > 0) & condition
    partners = db.session.scalars(select(Partner).where(Partner.id.in_(select(PartnerLine.partner_id).where(pending))))
    by_minutes: dict[int, list[int]] = {}
    for partner in partners:
        by_minutes.setdefault(partner_settings.get(partner, "hold_minutes"), []).append(partner.id)
    found = dict.fromkeys(WAITS, 0)
    because = waits_because(at)
    for minutes, ids in by_minutes.items():
        why = because(minutes)
        query = (
            select(why, func.count())
            .select_from(PartnerLine)
            .outerjoin(OrderLine, OrderLine.id == PartnerLine.order_line_id)
            .outerjoin(Order, Order.id == OrderLine.order_id)
            .where(pending, PartnerLine.partner_id.in_(ids))
            .group_by(why)
        )
        for cause, lines in db.session.execute(query):
            found[cause] += lines
    return found


def when(condition: ColumnElement[bool], at: datetime) -> str:
    """When these lines go, to be put behind "goes" or "go": with the next batch, once paid, or each so many."""
    found = waiting(condition, at)
    unpaid, ready = found.pop(WAITS[0]), found.pop(WAITS[5])
    return rules.when_they_go(ready, unpaid, sum(found.values()))
