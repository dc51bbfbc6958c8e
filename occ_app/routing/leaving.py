"""What becomes of the orders to a partner that has left: nothing of them can be sent any more, so somebody decides about their lines.

One that was just being ordered may exist in the partner's store: that is said, and it is looked for when the partner comes back.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, select

from occ_app import clock
from occ_app.extensions import db
from occ_app.partners.models import CONNECTED, LEFT, SHOPIFY, Partner
from occ_app.routing import capture, drafts, orders, rules, settling
from occ_app.routing.context import Context
from occ_app.routing.drafts import Draft
from occ_app.routing.models import CANCELLED, CLOSING, CREATED, FAILED, OPEN, PENDING, PartnerLine, PartnerOrder
from occ_app.sync import desk

LOOK_EVERY = timedelta(hours=1)
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
    query = select(PartnerOrder.id).where(
        PartnerOrder.partner_id == partner.id, PartnerOrder.state.in_((OPEN, CLOSING))
    )
    found = [orders.get(order_id) for order_id in db.session.scalars(query.order_by(PartnerOrder.id)).all()]
    for order in found:
        may_exist = _may_exist(order)
        rows = orders.rows_of(order)
        orders.know(order, rows, {}, at)
        for row in rows:
            if row.state == CREATED and row.quantity:
                failed = orders.fail(row, _cause(partner, order if may_exist else None))
                failed.partner_order_id = order.id if may_exist else None
        orders.cancel(order, at, f"{partner.name} has left. Its lines need somebody")
        order.next_try_at, order.looked_at = None, None
        order.cause = _cause(partner, order) if may_exist else None
        desk.withdraw(desk.PARTNER_ORDER, f"partner_order:{order.id}", at)
    waiting = select(PartnerLine).where(PartnerLine.partner_id == partner.id, PartnerLine.state == PENDING)
    for line in db.session.scalars(waiting.order_by(PartnerLine.id).with_for_update()):
        of = db.session.get(PartnerOrder, line.partner_order_id) if line.partner_order_id else None
        orders.fail(line, _cause(partner, of))
    db.session.flush()
    capture.tell_failed(partner, at)
    return len(found)


def _may_exist(order: PartnerOrder) -> bool:
    """Whether its draft may have become an order: nobody knows what the last call came to."""
    tried, looked = order.complete_tried_at, order.looked_at
    return order.draft_gid is not None and tried is not None and not (looked is not None and looked > tried)


def _cause(partner: Partner, order: PartnerOrder | None) -> str:
    """`order`: the one that may exist all the same."""
    if order is None:
        return f"{partner.name} has left: nothing can be ordered there any more"
    draft = f", made of draft {order.draft_name}" if order.draft_name else ""
    return (
        f"{partner.name} left while {order.name} was being ordered, and it may be an order in their store{draft}. Ask them before you buy"
        " it elsewhere. Once they are back, we look."
    )


# When it comes back -----------------------------------------------------------------------------------------------------------------


def may_exist(at: datetime) -> ColumnElement[bool]:
    """Orders that may exist all the same, of partners that are back; each is looked for, again after an hour where there was no answer."""
    is_back = PartnerOrder.partner_id.in_(select(Partner.id).where(Partner.state == CONNECTED))
    is_due = PartnerOrder.looked_at.is_(None) | ~PartnerOrder.looked_at.between(at - LOOK_EVERY, at)
    was_tried = PartnerOrder.draft_gid.is_not(None) & PartnerOrder.complete_tried_at.is_not(None)
    in_doubt = was_tried & PartnerOrder.order_gid.is_(None) & PartnerOrder.cause.is_not(None)
    return (PartnerOrder.state == CANCELLED) & in_doubt & is_back & is_due


def look_for(of: Context, order: PartnerOrder) -> None:
    """An order that was given up is adopted, with those of its lines that nobody has decided about, or it was never ordered."""
    draft = drafts.find(of.client, order.draft_gid or "")
    at = clock.now()
    query = select(PartnerLine).where(PartnerLine.partner_order_id == order.id)
    lines = db.session.scalars(query.where(PartnerLine.state.in_((PENDING, FAILED))).with_for_update()).all()
    order.looked_at, order.cause = at, None
    if draft is not None and draft.status == drafts.COMPLETED:
        _adopt(of, order, draft, lines)
    else:
        if draft is not None:  # nothing more is to come of it: its lines may go on another order
            drafts.delete(of.client, draft.gid)
        orders.tell(order, at, f"{of.partner.name} is back: no order had come of it", "its lines can be ordered again")
        for line in lines:
            line.partner_order_id = None
            line.cause = f"{of.partner.name} left before {order.name} was ordered" if line.state == FAILED else None
    capture.tell_failed(of.partner, at)


def _adopt(of: Context, order: PartnerOrder, draft: Draft, lines: Sequence[PartnerLine]) -> None:
    at = clock.now()
    for line in lines:
        line.state, line.cause, line.placed_at = CREATED, None, at
    order.state, order.cancelled_at = CLOSING, None
    db.session.flush()
    rows = orders.rows_of(order)
    orders.know(order, rows, orders.wanted_by(rows), draft.at)
    settling.ordered(of, order, draft, f"found when {of.partner.name} came back")
    facts = {"partner": of.partner.name, "name": order.name, "what": "found", "their_order": order.order_name or ""}
    facts["extra"] = sum(int(units) for _, _, units in rules.goods(order.extra))
    desk.raise_(desk.PARTNER_ORDER, f"partner_order:{order.id}", facts, at)
