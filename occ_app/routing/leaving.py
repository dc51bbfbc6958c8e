"""What becomes of the orders to a partner that has left: nothing of them can be sent any more, so somebody decides about their lines."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select

from occ_app.extensions import db
from occ_app.partners.models import LEFT, SHOPIFY, Partner
from occ_app.routing import capture, orders
from occ_app.routing.models import CLOSING, CREATED, OPEN, PENDING, PartnerLine, PartnerOrder
from occ_app.sync import desk

COMES_BACK_WITHIN = timedelta(hours=48)  # who took the app out may put it in again; then Shopify has the store erased


def give_up(at: datetime) -> int:
    """No order to a partner that has left is open, and no line waits for one: each needs a person. Returns how many orders.

    Whoever ended it has left at once; who took the app out of its store only when it does not come back.
    """
    is_over = Partner.state_by.is_distinct_from(SHOPIFY) | (Partner.left_at <= at - COMES_BACK_WITHIN)
    alive = select(PartnerOrder.partner_id).where(PartnerOrder.state.in_((OPEN, CLOSING)))
    waiting = select(PartnerLine.partner_id).where(PartnerLine.state == PENDING)
    query = select(Partner).where(Partner.state == LEFT, is_over, Partner.id.in_(alive) | Partner.id.in_(waiting))
    return sum(_give_up(partner, at) for partner in db.session.scalars(query.order_by(Partner.id)).all())


def _give_up(partner: Partner, at: datetime) -> int:
    cause = f"{partner.name} has left: nothing can be ordered there any more"
    query = select(PartnerOrder.id).where(
        PartnerOrder.partner_id == partner.id, PartnerOrder.state.in_((OPEN, CLOSING))
    )
    found = [orders.get(order_id) for order_id in db.session.scalars(query.order_by(PartnerOrder.id)).all()]
    for order in found:
        rows = orders.rows_of(order)
        orders.know(order, rows, {}, at)
        for row in rows:
            if row.state == CREATED and row.quantity:
                orders.fail(row, cause)
        orders.cancel(order, at, f"{partner.name} has left. Its lines need somebody")
        order.next_try_at = None
        desk.withdraw(desk.PARTNER_ORDER, f"partner_order:{order.id}", at)
    waiting = select(PartnerLine).where(PartnerLine.partner_id == partner.id, PartnerLine.state == PENDING)
    for line in db.session.scalars(waiting.order_by(PartnerLine.id).with_for_update()):
        orders.fail(line, cause)
    db.session.flush()
    capture.tell_failed(partner, at)
    return len(found)
