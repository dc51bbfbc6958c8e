"""What became of an order that the partner has: its parcels with their tracking, what was taken off it, whether it was cancelled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select

from occ_app import clock
from occ_app.extensions import db
from occ_app.partners.models import Partner
from occ_app.routing import capture, drafts, orders, rules
from occ_app.routing.drafts import Placed
from occ_app.routing.models import (
    CREATED,
    FAILED,
    ORDERED,
    SHIPPED,
    PartnerLine,
    PartnerOrder,
    PartnerParcel,
)
from occ_app.shopify.client import Client
from occ_app.sync import desk

GOOD = "SUCCESS"


def look(client: Client, order: PartnerOrder, partner: Partner) -> None:
    """The order's row, parcels and lines say what the partner's store shows. The caller commits."""
    placed = drafts.find_placed(client, order.order_gid or "")
    at = clock.now()
    order.looked_at, order.look_at = at, None
    rows = orders.rows_of(order)
    if placed is None or placed.is_cancelled:
        _is_cancelled(order, partner, rows, placed.at if placed else at, "deleted" if placed is None else "cancelled")
        return
    _taken_off(order, partner, rows, placed)
    _parcels(client, order, placed)
    _shipped(order, orders.rows_of(order), at)
    db.session.flush()


def _is_cancelled(
    order: PartnerOrder, partner: Partner, rows: Sequence[PartnerLine], told_at: datetime, what: str
) -> None:
    """What has not come of it needs a person."""
    at = clock.now()
    number = orders.back(rows, f"{partner.name} {what} {order.name}", state=FAILED)
    rows = orders.rows_of(order)
    orders.know(order, rows, {row.id: row.received + row.short + row.damaged for row in rows}, told_at)
    orders.cancel(order, at, f"{partner.name} {what} the order")
    facts = {"partner": partner.name, "name": order.name, "what": "cancelled", "lines": number}
    desk.raise_(desk.PARTNER_ORDER, f"partner_order:{order.id}", facts, at)
    capture.tell_failed(partner, at)


def _taken_off(order: PartnerOrder, partner: Partner, rows: Sequence[PartnerLine], placed: Placed) -> None:
    """Units that the partner refunded or edited away need a person, but for those that are short or damaged: they are credited so. Lines of
    a deleted variant are told by no variant: left as they are."""
    wanted: dict[str, int] = {}
    credited: dict[str, int] = {}
    left: dict[str, int] = {}
    for row in rows:
        if row.state == CREATED:
            gid = row.partner_variant.variant_gid
            wanted[gid] = wanted.get(gid, 0) + row.quantity
            credited[gid] = credited.get(gid, 0) + row.short + row.damaged
            left[gid] = left.get(gid, 0) + row.quantity - row.received - row.short - row.damaged
    has_deleted = any(rules.is_fee(gid) and gid not in _fees(order) for gid in placed.ordered)
    there = {gid: placed.current.get(gid, units if has_deleted else 0) + credited[gid] for gid, units in wanted.items()}
    _less_added(order, partner, {**placed.current, **{gid: there[gid] - n for gid, n in wanted.items()}})
    off = {gid: min(units - there[gid], left[gid]) for gid, units in wanted.items()}
    less = {gid: units for gid, units in off.items() if units > 0}
    if not less:
        return
    made = []
    for row, units in _given_up(rows, less):
        row.refunded += units
        cause = f"{partner.name} took it off {order.name} after it was ordered"
        made.append(capture.split(row, row.quantity - units, state=FAILED, cause=cause))
    number = orders.still_wanted(made)
    rows = orders.rows_of(order)
    orders.know(order, rows, orders.wanted_by(rows), placed.at)
    taken = rules.units(sum(less.values()))
    orders.tell(
        order, clock.now(), f"{partner.name} took {taken} off", "" if number else "no customer wants them any more"
    )
    capture.tell_failed(partner, clock.now())


def _less_added(order: PartnerOrder, partner: Partner, beyond: Mapping[str, int]) -> None:
    """Of what the partner added, no more is on the order than stands there beyond our lines."""
    kept = rules.still_added(order.extra, {gid: max(0, units) for gid, units in beyond.items()})
    if kept == order.extra:
        return
    off = sum(n for _, _, n in rules.goods(order.extra)) - sum(n for _, _, n in rules.goods(kept))
    order.extra = kept
    orders.tell(
        order, clock.now(), f"{partner.name} took {rules.units(off) if off else 'a fee'} off that they had added"
    )


def _given_up(rows: Sequence[PartnerLine], less: Mapping[str, int]) -> list[tuple[PartnerLine, int]]:
    """Who gives up how much where so many units fewer come of each variant: what its customer does not want any more, then the newest."""
    gids = {row.id: row.partner_variant.variant_gid for row in rows}
    left = {row.id: row.quantity - row.received - row.short - row.damaged for row in rows if row.state == CREATED}
    lines = {row.order_line_id: row.order_line for row in rows if row.order_line is not None}
    spare = {line_id: capture.not_wanted(line) for line_id, line in lines.items()}
    missing, found = dict(less), dict.fromkeys(left, 0)
    for is_first in (True, False):
        for row in reversed([row for row in rows if row.id in left]):
            gid, line_id = gids[row.id], row.order_line_id
            most = spare.get(line_id, 0) if is_first else left[row.id]
            units = min(missing.get(gid, 0), left[row.id], most)
            found[row.id] += units
            left[row.id] -= units
            missing[gid] = missing.get(gid, 0) - units
            if is_first and line_id is not None:
                spare[line_id] -= units
    return [(row, found[row.id]) for row in rows if found.get(row.id)]


def _parcels(client: Client, order: PartnerOrder, placed: Placed) -> None:
    """Each parcel is a row; what is in it is read when it is new or has changed."""
    query = select(PartnerParcel).where(PartnerParcel.partner_order_id == order.id)
    known = {parcel.fulfillment_gid: parcel for parcel in db.session.scalars(query)}
    for parcel in placed.parcels:
        row = known.get(parcel.gid)
        if row is not None and row.changed_at == parcel.changed_at and row.status == parcel.status:
            continue
        lines = drafts.lines_of_parcel(client, parcel.gid) if parcel.status == GOOD else {}
        if row is None:
            row = PartnerParcel(partner_order_id=order.id, fulfillment_gid=parcel.gid, sent_at=parcel.sent_at)
            row.shop_id = order.shop_id
            db.session.add(row)
            words = f"{rules.units(sum(n for gid, n in lines.items() if gid not in _fees(order)))} sent"
        else:
            words = "Parcel cancelled" if parcel.status != GOOD else "Tracking changed"
        row.status, row.tracking, row.lines, row.changed_at = parcel.status, parcel.tracking, lines, parcel.changed_at
        orders.tell(order, clock.now(), words, ", ".join(numbers_of(parcel.tracking)))
    db.session.flush()


def _fees(order: PartnerOrder) -> set[str]:
    """What stands for the fees that the partner put on the order, also for those that it has taken off since."""
    lines = [*order.extra, *(order.sent or {"lines": []})["lines"]]
    return {str(gid) for gid, _, _ in lines if rules.is_fee(gid)}


def numbers_of(tracking: Sequence[dict[str, Any]]) -> list[str]:
    """Carrier and number of each, for people."""
    return [" ".join(part for part in (one.get("company"), one.get("number")) if part) for one in tracking]


def parcels_of(order: PartnerOrder) -> Sequence[PartnerParcel]:
    """The order's parcels, oldest first."""
    query = select(PartnerParcel).where(PartnerParcel.partner_order_id == order.id)
    return db.session.scalars(query.order_by(PartnerParcel.sent_at, PartnerParcel.id)).all()


def _shipped(order: PartnerOrder, rows: Sequence[PartnerLine], at: datetime) -> None:
    """The lines know what was sent of them, the oldest first."""
    sent: dict[str, int] = {}
    for parcel in parcels_of(order):
        for gid, units in parcel.lines.items():
            sent[gid] = sent.get(gid, 0) + (int(units) if gid not in _fees(order) else 0)
    standing = [row for row in rows if row.state == CREATED]
    for gid in {row.partner_variant.variant_gid for row in standing}:
        of_variant = [row for row in standing if row.partner_variant.variant_gid == gid]
        given = rules.shared_out([(row.id, row.quantity) for row in of_variant], sent.get(gid, 0))
        for row in of_variant:
            row.shipped = given[row.id]
    if order.state == ORDERED and any(sent.values()):
        order.state, order.shipped_at = SHIPPED, at
    elif order.state == SHIPPED and not any(sent.values()):
        order.state, order.shipped_at = ORDERED, None
