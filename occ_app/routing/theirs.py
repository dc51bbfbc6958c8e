"""What the partner made of a draft by hand: taken as it is, or ours put back; and what the desk is told of an order."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from occ_app.partners.models import Partner
from occ_app.routing import orders, rules
from occ_app.routing.models import CREATED, PartnerOrder
from occ_app.sync import desk


def take(order: PartnerOrder, partner: Partner, at: datetime, cause: str | None = None) -> int:
    """The order is as the partner changed it: their quantities and prices; what they took off needs a person. Returns how many lines do."""
    theirs = order.theirs or {"lines": [], "at": at.isoformat()}
    rows = orders.rows_of(order)
    cause = cause or f"{partner.name} took it off {order.name}"
    lost = orders.cover(order, rows, rules.by_variant(theirs["lines"]), cause)
    rows = orders.rows_of(order)
    prices = {gid: Decimal(cost) for gid, cost, _ in theirs["lines"]}
    for row in rows:
        if row.state == CREATED and row.quantity:
            row.unit_cost = prices.get(row.partner_variant.variant_gid, row.unit_cost)
    ours = rules.by_variant(orders.content_of(order, rows)["lines"])
    extra = []
    for gid, units in rules.by_variant(theirs["lines"]).items():
        added = units - (ours.get(gid, 0) - rules.by_variant(order.extra).get(gid, 0))
        if added > 0:
            extra.append([gid, str(prices[gid]), added])
    order.extra, order.theirs = extra, None
    is_there = not theirs.get("overwritten")
    orders.know(order, rows, orders.wanted_by(rows), datetime.fromisoformat(theirs["at"]))
    order.sent = orders.content_of(order, rows) if is_there else None
    orders.tell(order, at, "Taken as they changed it")
    desk.withdraw(desk.PARTNER_ORDER, f"partner_order:{order.id}", at)
    orders.tell_failed(partner, at)
    return lost


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
