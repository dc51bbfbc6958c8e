"""Partner orders and their lines as rows: opened, filled, told of, closed. Knows no Shopify; the caller commits."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from occ_app import clock
from occ_app.errors import NotFoundError
from occ_app.extensions import db
from occ_app.orders.models import OrderLine
from occ_app.partners import cutoffs, readings
from occ_app.partners.models import BY_PARTNER_ORDER, Partner, PartnerVariant
from occ_app.routing import capture, rules
from occ_app.routing.models import (
    CANCELLED,
    CREATED,
    FAILED,
    OPEN,
    PENDING,
    PartnerLine,
    PartnerOrder,
    PartnerOrderEvent,
)
from occ_app.routing.rules import Row

LONGEST_REST = timedelta(hours=2)  # longer than any rest after a failure (sync.rules.retry_after)
RESERVED_BEYOND = timedelta(days=2)  # a draft holds stock a little beyond its cutoff, should that be late


def get(order_id: int) -> PartnerOrder:
    """The shop's partner order with that id, locked, its partner loaded. Raises NotFoundError."""
    query = select(PartnerOrder).where(PartnerOrder.id == order_id).options(joinedload(PartnerOrder.partner))
    locked = query.with_for_update(of=PartnerOrder).execution_options(populate_existing=True)
    found = db.session.scalars(locked).one_or_none()
    if found is None:
        raise NotFoundError(f"There is no partner order {order_id} here.")
    return found


def find(name: str) -> PartnerOrder:
    """The shop's partner order of that name, locked. Raises NotFoundError."""
    order_id = db.session.scalar(select(PartnerOrder.id).where(PartnerOrder.name == name.strip()))
    if order_id is None:
        raise NotFoundError(f"There is no partner order {name}. `occ partner orders list` shows them.")
    return get(order_id)


def tell(order: PartnerOrder, at: datetime, words: str, detail: str = "") -> None:
    """The order's history says so."""
    row = PartnerOrderEvent(partner_order_id=order.id, at=at, words=words, detail=detail[:1000])
    row.shop_id = order.shop_id
    db.session.add(row)


def is_resting(order: PartnerOrder, at: datetime) -> bool:
    """Whether the order failed a moment ago and is left alone."""
    return order.next_try_at is not None and at < order.next_try_at <= at + LONGEST_REST


def open_of(partner: Partner) -> Sequence[PartnerOrder]:
    """The partner's orders that still grow, oldest first, locked."""
    query = select(PartnerOrder).where(PartnerOrder.partner_id == partner.id, PartnerOrder.state == OPEN)
    locked = query.order_by(PartnerOrder.id).with_for_update().execution_options(populate_existing=True)
    return db.session.scalars(locked).all()


def new(partner: Partner, currency: str, at: datetime) -> PartnerOrder:
    """An empty order to the partner, which closes at the next cutoff."""
    plan = cutoffs.plan_of(partner)
    cutoff = plan.next_cutoff(at)
    code = rules.code_of(partner.name)
    closes_on = cutoff.astimezone(ZoneInfo(plan.time_zone)).date()
    taken = set(db.session.scalars(select(PartnerOrder.name).where(PartnerOrder.name.startswith(f"{code}-"))))
    order = PartnerOrder(
        partner_id=partner.id,
        name=rules.name_of(code, plan.cadence, closes_on, taken),
        tag=f"occ-{secrets.token_hex(10)}",
        state=OPEN,
        cadence=plan.cadence,
        currency=currency,
        plan=plan.key(),
        opened_at=at,
        cutoff_at=cutoff,
        revision=0,
        extra=[],
        tries=0,
    )
    db.session.add(order)
    db.session.flush()
    tell(order, at, "Opened")
    return order


def follow_plan(order: PartnerOrder, partner: Partner, at: datetime) -> None:
    """A cutoff that was moved since the order opened holds for it too, unless the old one has passed: then that one counts. An order
    that was held stays so."""
    plan = cutoffs.plan_of(partner)
    if order.state == OPEN and order.plan != plan.key() and order.cutoff_at > at:
        order.plan, order.cadence, order.cutoff_at = plan.key(), plan.cadence, plan.next_cutoff(at)
        if order.held_after is not None:
            order.cutoff_at = max(order.cutoff_at, plan.cutoff_beyond(order.held_after))
        tell(order, at, "Cutoff moved", f"to {order.cutoff_at:%Y-%m-%d %H:%M} UTC")


def rows_of(order: PartnerOrder) -> Sequence[PartnerLine]:
    """All lines that stand, or stood, on the order, locked, customers' before those for stock, oldest first; with variant and what they
    are for."""
    for_stock = PartnerLine.stock_request_id.is_not(None)
    query = select(PartnerLine).where(PartnerLine.partner_order_id == order.id).order_by(for_stock, PartnerLine.id)
    loaded = query.options(
        *(joinedload(each) for each in (PartnerLine.partner_variant, PartnerLine.order_line, PartnerLine.stock_request))
    )
    locked = loaded.with_for_update(of=PartnerLine).execution_options(populate_existing=True)
    return db.session.scalars(locked).all()


def content_of(order: PartnerOrder, rows: Sequence[PartnerLine]) -> dict[str, Any]:
    """What the draft is to hold now."""
    given = [
        Row(row.id, row.partner_variant.variant_gid, row.unit_cost or Decimal(0), row.quantity)
        for row in rows
        if row.state == CREATED and row.quantity
    ]
    until = (order.cutoff_at + RESERVED_BEYOND).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"lines": [list(g) for g in rules.grouped(given, order.extra)], "until": until, "ship_to": order.ship_to}


def wanted_by(rows: Sequence[PartnerLine]) -> dict[int, int]:
    """Line id -> units, of the lines that stand on the order."""
    return {row.id: row.quantity for row in rows if row.state == CREATED and row.quantity}


def know(order: PartnerOrder, rows: Sequence[PartnerLine], units: Mapping[int, int], at: datetime) -> int:
    """From `at` on (Shopify's clock) the partner's store shows so many units of each line: its numbers count with them. Returns how many
    lines left the order with that."""
    changed = [(row, units.get(row.id, 0) - row.on_order) for row in rows if units.get(row.id, 0) != row.on_order]
    order.revision += 1
    source = f"partner_order:{order.id}:{order.revision}"
    told = [
        (
            row.order_line_id,
            f"{row.order_line.line_number if row.order_line else f'stock:{row.id}'}",
            row.item_id,
            change,
        )
        for row, change in changed
    ]
    readings.reflect_many(told, reason=BY_PARTNER_ORDER, source=source, at=at)
    left = 0
    for row, _ in changed:
        left += row.on_order > 0 and units.get(row.id, 0) == 0
        row.on_order = units.get(row.id, 0)
    db.session.flush()
    return left


def fail(row: PartnerLine, cause: str) -> PartnerLine:
    """The line needs a person, with its cause; it stands on no order. What the partner's store shows of it is told by `know`. Returns the
    one that needs a person."""
    if row.state == CREATED:
        return capture.split(row, 0, state=FAILED, cause=cause)
    row.state, row.cause = FAILED, cause
    return row


def back(rows: Sequence[PartnerLine], cause: str, *, state: str = PENDING) -> int:
    """What is not yet here of these lines waits again, or needs a person. Returns how many lines."""
    made = []
    for row in rows:
        done = row.received + row.short + row.damaged
        if row.state == CREATED and row.quantity > done:
            made.append(capture.split(row, done, state=state, cause=cause))
    return still_wanted(made)


def still_wanted(made: Sequence[PartnerLine]) -> int:
    """What no customer wants any more of these lines, which left an order, is cancelled. Returns how many are wanted."""
    for line_id, item_id in {row.order_line_id: row.item_id for row in made}.items():
        if line_id is not None:
            capture.follow(db.session.get_one(OrderLine, line_id), item_id, clock.now())
    return sum(row.state != CANCELLED for row in made)


def cover(order: PartnerOrder, rows: Sequence[PartnerLine], there: Mapping[str, int], cause: str) -> int:
    """The lines hold no more than what is there of each variant, the oldest first, but no less than what was counted; the rest needs a
    person. Returns how many lines lost something."""
    made = []
    standing = [row for row in rows if row.state == CREATED and row.quantity]
    for gid in {row.partner_variant.variant_gid for row in standing}:
        of_variant = [row for row in standing if row.partner_variant.variant_gid == gid]
        counted = {row.id: row.received + row.short + row.damaged for row in of_variant}
        left = there.get(gid, 0) - sum(counted.values())
        given = rules.shared_out([(row.id, row.quantity - counted[row.id]) for row in of_variant], left)
        for row in of_variant:
            kept = counted[row.id] + given[row.id]
            if kept < row.quantity:
                made.append(capture.split(row, kept, state=FAILED, cause=cause))
    return still_wanted(made)


def cancel(order: PartnerOrder, at: datetime, words: str) -> None:
    """The order came to nothing."""
    order.state, order.cancelled_at, order.sending, order.theirs, order.cause = CANCELLED, at, None, None, None
    tell(order, at, words)


def variant_gids(rows: Sequence[PartnerLine]) -> set[str]:
    """Partner's variants of these lines."""
    return {row.partner_variant.variant_gid for row in rows}


def names_of(gids: Sequence[str], partner: Partner) -> dict[str, str]:
    """Partner's variant gid -> what it is called."""
    query = select(PartnerVariant).where(PartnerVariant.partner_id == partner.id, PartnerVariant.variant_gid.in_(gids))
    rows = db.session.scalars(query.options(joinedload(PartnerVariant.product)))
    return {row.variant_gid: f"{row.product.title}{', ' + row.title if row.title else ''}" for row in rows}
