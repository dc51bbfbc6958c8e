"""What a customer's order line needs from a partner is captured with its cost, and follows the order until its partner order closes.

After that a change is no longer ours to make alone: it becomes an exception with a message for the partner.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from sqlalchemy import func, select
from sqlalchemy.orm import contains_eager, joinedload

from occ_app.extensions import db
from occ_app.orders.models import Order, OrderLine
from occ_app.partners import settings
from occ_app.partners.models import ImportedVariant, Partner, PartnerProduct, PartnerVariant
from occ_app.routing import rules
from occ_app.routing.models import CANCELLED, CREATED, FAILED, OPEN, PENDING, PartnerLine
from occ_app.routing.prices import Rates
from occ_app.sync import desk

NO_PRICE = "They give no price for it."


def follow(line: OrderLine, item_id: int, at: datetime) -> None:
    """The captured lines of this order line say what it needs now. In the transaction that booked it; harmless when repeated."""
    rows = _rows_of(line)
    if not rows and not line.from_partner:
        return
    good = _good_of(item_id)
    if good is None:
        return
    closed = [row for row in rows if _is_closed(row)]
    growing = [row for row in rows if not _is_closed(row) and row.state != CANCELLED]
    still_booked = _still_booked(line)
    needed = min(line.from_partner, still_booked)
    still_open = still_booked - line.shipped * line.units_per_variant
    covered = sum(row.quantity - row.short - row.damaged for row in closed)
    change = rules.to_order(needed, still_open, covered) - sum(row.quantity for row in growing)
    have_failed = any(row.state == FAILED for row in growing)
    if change > 0:
        _more(line, good, rows, growing, change, at)
    if change < 0:
        _less(growing, -change)
    _tell_late(line, good, rows, _too_many(closed, needed), at)
    db.session.flush()
    if have_failed and change:
        tell_failed(good.partner, at)


def not_wanted(line: OrderLine) -> int:
    """Units of this order line on closed orders that its customer does not want any more and that have not come yet."""
    closed = [row for row in _rows_of(line) if _is_closed(row)]
    return _too_many(closed, min(line.from_partner, _still_booked(line)))


def _too_many(closed: Sequence[PartnerLine], needed: int) -> int:
    covered = sum(row.quantity - row.short - row.damaged for row in closed)
    return rules.too_many(needed, covered, covered - sum(row.received for row in closed))


def _still_booked(line: OrderLine) -> int:
    return (line.taken - line.restocked - line.lost) * line.units_per_variant


def tell_failed(partner: Partner, at: datetime) -> None:
    """Lines that need a person are on the desk, one exception for a partner, and leave it when none is left."""
    query = select(PartnerLine.quantity, PartnerLine.cause).where(
        PartnerLine.partner_id == partner.id, PartnerLine.state == FAILED
    )
    found = db.session.execute(query.order_by(PartnerLine.id)).all()
    subject = f"partner:{partner.id}"
    if not found:
        desk.withdraw(desk.PARTNER_LINES, subject, at)
        return
    causes = list(dict.fromkeys(cause for _, cause in found if cause))
    facts = {"lines": len(found), "units": sum(units for units, _ in found), "partner": partner.name}
    desk.raise_(desk.PARTNER_LINES, subject, {**facts, "causes": causes[:3]}, at)


def _rows_of(line: OrderLine) -> Sequence[PartnerLine]:
    query = select(PartnerLine).where(PartnerLine.order_line_id == line.id).order_by(PartnerLine.turn)
    loaded = query.options(joinedload(PartnerLine.partner_order)).with_for_update(of=PartnerLine)
    return db.session.scalars(loaded.execution_options(populate_existing=True)).all()


def _is_closed(row: PartnerLine) -> bool:
    return row.state == CREATED and row.partner_order is not None and row.partner_order.state != OPEN


def _good_of(item_id: int) -> ImportedVariant | None:
    query = (
        select(ImportedVariant)
        .join(ImportedVariant.partner)
        .join(ImportedVariant.partner_variant)
        .where(ImportedVariant.item_id == item_id)
    )
    loaded = query.options(contains_eager(ImportedVariant.partner), contains_eager(ImportedVariant.partner_variant))
    return db.session.scalars(loaded).one_or_none()


def cost_of(partner: Partner, variant: PartnerVariant) -> Decimal | None:
    """What one costs us now, in the partner's currency; None where it gives no price."""
    return rules.cost_of(variant.price, settings.number(partner, "discount_percent"), Rates().currency(partner))


def _more(
    line: OrderLine,
    good: ImportedVariant,
    rows: Sequence[PartnerLine],
    growing: Sequence[PartnerLine],
    units: int,
    at: datetime,
) -> None:
    if growing:
        growing[-1].quantity += units
        return
    cost = cost_of(good.partner, good.partner_variant)
    db.session.add(
        PartnerLine(
            partner_id=good.partner_id,
            order_line_id=line.id,
            turn=1 + max((row.turn for row in rows), default=0),
            partner_variant_id=good.partner_variant_id,
            item_id=good.item_id,
            state=PENDING if cost is not None else FAILED,
            cause=None if cost is not None else NO_PRICE,
            quantity=units,
            unit_cost=cost,
            currency=Rates().currency(good.partner) if cost is not None else "",
            sold_for=line.unit_price / line.units_per_variant if line.unit_price is not None else None,
            captured_at=at,
        )
    )


def _less(growing: Sequence[PartnerLine], units: int) -> None:
    """The newest give way first. One of which nothing is left is cancelled; its draft learns of it with the next batch."""
    for row in reversed(growing):
        given = min(units, row.quantity)
        row.quantity -= given
        units -= given
        if row.quantity == 0:
            row.state = CANCELLED


def _tell_late(line: OrderLine, good: ImportedVariant, rows: Sequence[PartnerLine], surplus: int, at: datetime) -> None:
    """Somebody cancelled after the cutoff: it is on the desk with a message for the partner, and leaves it when that is no longer so."""
    subject = f"order_line:{line.id}"
    if not surplus:
        if any(row.partner_order_id is not None for row in rows):
            desk.withdraw(desk.LATE_CHANGE, subject, at)
        return
    last = max((row for row in rows if _is_closed(row)), key=lambda row: row.id)
    order = db.session.get_one(Order, line.order_id)
    variant = good.partner_variant
    product = db.session.get_one(PartnerProduct, variant.partner_product_id)
    facts = {
        "units": surplus,
        "title": line.title,
        "sku": line.sku,
        "their_title": f"{product.title}{', ' + variant.title if variant.title else ''}",
        "their_sku": variant.sku,
        "order": order.name,
        "partner": good.partner.name,
        "partner_order": last.partner_order.name if last.partner_order else "",
        "their_order": (last.partner_order.order_name if last.partner_order else None) or "",
    }
    desk.raise_(desk.LATE_CHANGE, subject, facts, at)


def split(row: PartnerLine, kept: int, *, state: str, cause: str) -> PartnerLine:
    """`kept` units stay on the line's order; the rest is a line of its own, in that state. At least one unit goes."""
    rest = row.quantity - kept
    for_the_same = PartnerLine.order_line_id == row.order_line_id
    if row.order_line_id is None:
        for_the_same = PartnerLine.stock_request_id == row.stock_request_id
    last = db.session.scalar(select(func.max(PartnerLine.turn)).where(for_the_same))
    row.quantity = kept
    if kept == 0:
        row.state = CANCELLED
    made = PartnerLine(
        partner_id=row.partner_id,
        order_line_id=row.order_line_id,
        stock_request_id=row.stock_request_id,
        turn=(last or 0) + 1,
        partner_variant_id=row.partner_variant_id,
        item_id=row.item_id,
        state=state,
        cause=cause,
        quantity=rest,
        unit_cost=row.unit_cost,
        currency=row.currency,
        sold_for=row.sold_for,
        captured_at=row.captured_at,
    )
    db.session.add(made)
    db.session.flush()
    return made


def catch_up(at: datetime) -> int:
    """Every open order line of a partner's goods has been captured, also those that were booked before anybody captured. Returns how many."""
    captured = select(PartnerLine.id).where(PartnerLine.order_line_id == OrderLine.id).exists()
    query = select(OrderLine, ImportedVariant.item_id).join(
        ImportedVariant, ImportedVariant.variant_gid == OrderLine.variant_gid
    )
    query = query.where(OrderLine.from_partner > 0, ~captured)
    query = query.where(OrderLine.taken > OrderLine.restocked + OrderLine.lost + OrderLine.shipped)
    found = db.session.execute(query.order_by(OrderLine.id).limit(1000)).all()
    for line, item_id in found:
        follow(line, item_id, at)
    return len(found)
