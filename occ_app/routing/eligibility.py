"""Which captured lines may go to their partner."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Select, and_, select
from sqlalchemy.orm import contains_eager

from occ_app.orders.models import Order, OrderLine
from occ_app.partners import settings as partner_settings
from occ_app.partners.models import Partner
from occ_app.routing.models import PENDING, PartnerLine
from occ_app.shops import settings as shop_settings
from occ_app.shops.models import Shop

PAID = ("PAID", "PARTIALLY_REFUNDED")
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
            PartnerLine.stock_request_id.is_not(None) | and_(*may_go(partner, of, at)),
        )
        .options(contains_eager(PartnerLine.partner_variant))
        .order_by(PartnerLine.id)
        .with_for_update(of=PartnerLine)
        .execution_options(populate_existing=True)
    )
