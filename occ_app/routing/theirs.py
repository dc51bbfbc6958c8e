"""What the partner made of a draft by hand: taken as it is, or ours put back; and what the desk is told of an order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from occ_app.partners.models import Partner
from occ_app.routing import capture, orders, rules
from occ_app.routing.models import CREATED, PENDING, PartnerLine, PartnerOrder
from occ_app.routing.rules import Row
from occ_app.sync import desk


def take(order: PartnerOrder, partner: Partner, at: datetime, cause: str | None = None) -> int:
    """The order is as the partner changed it: their quantities and prices; what they took off needs a person. Returns how many lines do."""
    theirs = order.theirs or {"lines": [], "at": at.isoformat()}
    rows = orders.rows_of(order)
    cause = cause or f"{partner.name} took it off {order.name}"
    lost = orders.cover(order, rows, rules.by_variant(theirs["lines"]), cause)
    rows = orders.rows_of(order)
    order.extra, order.theirs = _price(rows, theirs["lines"]), None
    rows = orders.rows_of(order)
    is_there = not theirs.get("overwritten")
    orders.know(order, rows, orders.wanted_by(rows), datetime.fromisoformat(theirs["at"]))
    order.sent = orders.content_of(order, rows) if is_there else None
    orders.tell(order, at, "Taken as they changed it")
    desk.withdraw(desk.PARTNER_ORDER, f"partner_order:{order.id}", at)
    capture.tell_failed(partner, at)
    return lost


def _price(rows: Sequence[PartnerLine], lines: Sequence[Sequence[object]]) -> list[list[object]]:
    """Our lines cost what they cost on the partner's, split where that is two prices. Returns the lines that only the partner put there."""
    ours = {row.id: row for row in rows if row.state == CREATED and row.quantity}
    known = [
        Row(row.id, row.partner_variant.variant_gid, row.unit_cost or Decimal(0), row.quantity) for row in ours.values()
    ]
    found, extra = rules.priced(known, lines)
    for line_id, parts in found.items():
        row = ours[line_id]
        for cost, units in parts[1:]:
            part = capture.split(row, row.quantity - units, state=PENDING, cause="")
            part.partner_order_id, part.placed_at = row.partner_order_id, row.placed_at
            part.state, part.cause, part.unit_cost = CREATED, None, cost
        if parts:
            row.unit_cost = parts[0][0]
    return [list(group) for group in extra]


def put_back_ours(order: PartnerOrder, at: datetime) -> None:
    """The next batch, which is asked for by the caller, sends our lines again."""
    order.theirs, order.sent = None, None
    orders.tell(order, at, "Ours is put back")
    desk.withdraw(desk.PARTNER_ORDER, f"partner_order:{order.id}", at)


def tell_changed(order: PartnerOrder, partner: Partner, difference: str, at: datetime) -> None:
    """That the partner changed the draft is on the desk."""
    facts = {"partner": partner.name, "name": order.name, "what": "changed", "difference": difference}
    desk.raise_(desk.PARTNER_ORDER, f"partner_order:{order.id}", facts, at)


def tell_stuck(order: PartnerOrder, partner: Partner, at: datetime) -> None:
    """That the order can't be sent is on the desk."""
    facts = {"partner": partner.name, "name": order.name, "what": "stuck", "cause": order.cause or ""}
    desk.raise_(desk.PARTNER_ORDER, f"partner_order:{order.id}", facts, at)
