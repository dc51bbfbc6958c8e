"""Goods that a merchant wants of a partner for its own stock: a line on the partner's order that belongs to no customer.

What is asked for is no longer the partner's to sell through us, so it leaves the place `partner` at once and stands at `supplier` until it
comes: our number falls by it now, and the partner's own number shows it once its draft reserves it. What comes goes to `released`. Customers'
lines are served first wherever there is too little.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import contains_eager, joinedload

from occ_app.errors import NotFoundError, RuleError
from occ_app.extensions import db
from occ_app.partners import cutoffs
from occ_app.partners.models import CONNECTED, ImportedVariant, Partner
from occ_app.routing import capture
from occ_app.routing.models import CANCELLED, CREATED, OPEN, PENDING, PartnerLine, StockRequest
from occ_app.routing.prices import Rates
from occ_app.stock import ledger
from occ_app.stock.ledger import Move
from occ_app.stock.rules import PARTNER, SUPPLIER
from occ_app.work import tasks

MOST = 100_000  # units of one request
REASON = "order_for_stock"


def ask(item_id: int, quantity: int, *, actor: str, at: datetime) -> StockRequest:
    """So many units of the item wait for the next batch of its partner, for our stock. Raises RuleError; then nothing has changed."""
    if not 1 <= quantity <= MOST:
        raise RuleError(f"Give a whole number from 1 to {MOST:,}.", field="quantity")
    ledger.lock([item_id])
    good = _good_of(item_id)
    if good is None:
        raise RuleError("This item is not imported from a partner any more, so it cannot be ordered here.")
    if good.partner.state != CONNECTED:
        raise RuleError(f"{good.partner.name} is not connected at the moment. Connect it again under Partners first.")
    cost = capture.cost_of(good.partner, good.partner_variant)
    if cost is None:
        raise RuleError(f"{good.partner.name} gives no price for it, so it cannot be ordered here.")
    request = StockRequest(partner_id=good.partner_id, item_id=item_id, location_id=good.location_id)
    request.quantity, request.asked_at, request.asked_by = quantity, at, actor
    db.session.add(request)
    db.session.flush()
    line = PartnerLine(
        partner_id=good.partner_id,
        stock_request_id=request.id,
        turn=1,
        partner_variant_id=good.partner_variant_id,
        item_id=item_id,
        state=PENDING,
        quantity=quantity,
        unit_cost=cost,
        currency=Rates().currency(good.partner),
        captured_at=at,
    )
    db.session.add(line)
    db.session.flush()
    source = f"stock_request:{request.id}:ask"
    move = Move(item_id, None, good.location_id, PARTNER, SUPPLIER, quantity, REASON, source)
    ledger.book([move], actor=actor, at=at)
    tasks.ask("partner_orders", request.shop_id)
    return request


def _good_of(item_id: int) -> ImportedVariant | None:
    query = (
        select(ImportedVariant)
        .join(ImportedVariant.partner)
        .join(ImportedVariant.partner_variant)
        .where(ImportedVariant.item_id == item_id)
        .options(contains_eager(ImportedVariant.partner), contains_eager(ImportedVariant.partner_variant))
    )
    return db.session.scalars(query).one_or_none()


def call_off(request_id: int, *, actor: str, at: datetime) -> int:
    """What of the request is on no closed order is not wanted any more. Returns how many units. Raises RuleError where all of the rest is
    ordered already, NotFoundError."""
    request = db.session.scalar(select(StockRequest).where(StockRequest.id == request_id))
    if request is None:
        raise NotFoundError("There is no such order for stock here.")
    ledger.lock([request.item_id])
    rows = _rows_of(request_id)
    off = 0
    for row in rows:
        if row.state != CREATED or (row.partner_order is not None and row.partner_order.state == OPEN):
            off += row.quantity
            row.quantity, row.state = 0, CANCELLED
    names = {row.partner_order.name for row in rows if row.state == CREATED and row.partner_order and _left(row)}
    if not off and names:
        raise RuleError(
            f"It is ordered already, on {', '.join(sorted(names))}. If it does not come, count it as missing when you receive that."
        )
    db.session.flush()
    if off:
        last = max(row.turn for row in rows)
        source = f"stock_request:{request.id}:off:{last}:{request.quantity}"
        request.quantity = max(1, request.quantity - off)
        move = Move(request.item_id, None, request.location_id, SUPPLIER, PARTNER, off, REASON, source)
        ledger.book([move], actor=actor, at=at)
        capture.tell_failed(rows[0].partner, at)
        tasks.ask("partner_orders", request.shop_id)
    return off


def _rows_of(request_id: int) -> list[PartnerLine]:
    query = select(PartnerLine).where(PartnerLine.stock_request_id == request_id).order_by(PartnerLine.turn)
    loaded = query.options(joinedload(PartnerLine.partner_order), joinedload(PartnerLine.partner))
    locked = loaded.with_for_update(of=PartnerLine).execution_options(populate_existing=True)
    return list(db.session.scalars(locked))


def _left(row: PartnerLine) -> int:
    return row.quantity - row.received - row.short - row.damaged


def still_to_come(request_ids: Collection[int]) -> dict[int, int]:
    """Request -> units of it that wait for a batch or stand on an order and have not come. One statement."""
    left = PartnerLine.quantity - PartnerLine.received - PartnerLine.short - PartnerLine.damaged
    query = (
        select(PartnerLine.stock_request_id, func.sum(left))
        .where(PartnerLine.stock_request_id.in_(request_ids), PartnerLine.state.in_((PENDING, CREATED)))
        .group_by(PartnerLine.stock_request_id)
    )
    return {request_id: int(units) for request_id, units in db.session.execute(query)}


def closes_at(request: StockRequest, at: datetime) -> datetime:
    """When the partner order that it will stand on closes."""
    return cutoffs.plan_of(db.session.get_one(Partner, request.partner_id)).next_cutoff(at)
