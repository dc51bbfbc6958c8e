"""The merchant's pages of partner orders: what closes next, one order, lines on no order, receiving, statements, the log."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, current_app, g, request
from sqlalchemy import ColumnElement

from occ_app import clock
from occ_app.errors import RuleError
from occ_app.extensions import db
from occ_app.partners import cutoffs, standing
from occ_app.partners.models import LEFT
from occ_app.routing import batch, deciding, eligibility, listing, orders, receiving, rules, stocking, tracking
from occ_app.routing.context import today
from occ_app.routing.models import (
    CLOSE,
    CLOSING,
    FAILED,
    NOW,
    OPEN,
    ORDERED,
    PENDING,
    PLACED_STATES,
    SHIPPED,
    PartnerLine,
    PartnerOrder,
)
from occ_app.routing.receiving import Count
from occ_app.routing.statement_views import csv_of
from occ_app.sync.paging import PER_PAGE, page_number, pages_of
from occ_app.web import page
from occ_app.work import tasks

blueprint = Blueprint("partner_orders", __name__, url_prefix="/partner-orders")
VIEWS = {
    "open": PartnerOrder.state.in_((OPEN, CLOSING)),
    "way": PartnerOrder.state.in_((ORDERED, SHIPPED)),
    "past": PartnerOrder.state.in_(("received", "cancelled")),
}


@blueprint.get("")
def index() -> Response:
    """What grows and closes next; what is on its way; what is past."""
    return _index()


def _index(status: int = 200, toast: str | None = None, error: str = "") -> Response:
    view = request.args.get("view", "open") if request.args.get("view") in VIEWS else "open"
    number, total = page_number(), listing.count_orders(VIEWS[view])
    rows = listing.sums(VIEWS[view], PER_PAGE, (number - 1) * PER_PAGE)
    rows = sorted(rows, key=lambda one: one.order.cutoff_at) if view == "open" else rows
    return page(
        "routing/index.html",
        "routing/_orders.html",
        status=status,
        toast=toast,
        error=error,
        view=view,
        rows=rows,
        counts={name: listing.count_orders(condition) for name, condition in VIEWS.items()},
        pages=pages_of(total, number, "/partner-orders", {"view": view}),
        pending=listing.count(PENDING),
        when=eligibility.when(PartnerLine.state == PENDING, clock.now()),
        failed=listing.count(FAILED),
        partners=[partner for partner in standing.everybody() if partner.state != LEFT],
        now=clock.now(),
    )


@blueprint.post("/send")
def send() -> Response:
    """What may go to the partners goes now, ahead of the day's batch."""
    chosen = request.form.get("partner", "")
    ids = [one.id for one in standing.everybody() if one.state != LEFT and chosen in ("", str(one.id))]
    try:
        made = _send_now(ids, NOW)
    except RuleError as error:
        return _index(422, error=str(error))
    causes = [one["cause"] for one in made if one["cause"]]
    if causes:
        return _index(422, error=causes[0])
    placed = sum(one["placed"] for one in made)
    return _index(toast=f"{placed} {'line' if placed == 1 else 'lines'} sent" if placed else "Nothing new to send")


def _send_now(partner_ids: list[int], kind: str) -> list[dict[str, Any]]:
    send_now: Callable[..., list[dict[str, Any]]] = current_app.extensions["occ_send_now"]
    db.session.commit()
    return send_now(g.shop_id, partner_ids, kind)


@blueprint.get("/<int:order_id>")
def show(order_id: int) -> Response:
    """One partner order."""
    return _show(order_id)


def _show(order_id: int, status: int = 200, toast: str | None = None, error: str = "") -> Response:
    shown = listing.one(order_id)
    order, partner = shown.order, shown.partner
    earlier = (PartnerOrder.partner_id == partner.id) & PartnerOrder.state.in_((*PLACED_STATES,))
    return page(
        "routing/order.html",
        status=status,
        toast=toast,
        error=error,
        shown=shown,
        order=order,
        partner=partner,
        currency=order.currency,
        variants=listing.variants_of(order, partner),
        waiting=listing.waiting(partner, clock.now()),
        parcels=tracking.parcels_of(order),
        history=listing.history(order),
        others=[one for one in listing.sums(earlier, 4) if one.order.id != order.id][:3],
        customers=listing.customers(_on(order_id)),
        cutoff=_cutoff(order, partner),
        now=clock.now(),
    )


def _on(order_id: int) -> ColumnElement[bool]:
    return PartnerLine.partner_order_id == order_id


def _cutoff(order: PartnerOrder, partner: Any) -> dict[str, Any]:
    """The cutoff by the partner's clock, and what is left until then."""
    zone = cutoffs.plan_of(partner, g.shop).time_zone
    return {
        "there": order.cutoff_at.astimezone(ZoneInfo(zone)),
        "zone": zone.split("/")[-1].replace("_", " "),
        "parts": rules.time_left(order.cutoff_at - clock.now()),
    }


@blueprint.get("/<int:order_id>/countdown")
def countdown(order_id: int) -> Response:
    """What is left until the cutoff."""
    order = orders.get(order_id)
    facts = {"order": order, "cutoff": _cutoff(order, order.partner)}
    return page("routing/_countdown.html", "routing/_countdown.html", **facts)


@blueprint.post("/<int:order_id>/close")
def close(order_id: int) -> Response:
    """The order is sent as it is, ahead of its cutoff."""
    order = orders.get(order_id)
    if order.state not in (OPEN, CLOSING):
        raise RuleError(f"{order.name} has been ordered already.")
    try:
        (made,) = _send_now([order.partner_id], CLOSE)
    except RuleError as error:
        return _show(order_id, 422, error=str(error))
    if made["cause"]:
        return _show(order_id, 422, error=made["cause"])
    return _show(order_id, toast="Sent")


@blueprint.post("/<int:order_id>/hold")
def hold(order_id: int) -> Response:
    """The order grows for one cutoff more."""
    order = orders.get(order_id)
    try:
        batch.hold(order, order.partner, clock.now(), f"by {g.user}", seen=_moment(request.form.get("cutoff", "")))
    except RuleError as error:
        db.session.rollback()
        return _show(order_id, 422, error=str(error))
    tasks.ask("partner_orders", g.shop_id)
    db.session.commit()
    return _show(order_id, toast="Held to the next cutoff")


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else None


@blueprint.get("/<int:order_id>.csv")
def as_csv(order_id: int) -> Response:
    """The order's lines as a file."""
    shown = listing.one(order_id)
    head = ["partner_order", "variant", "sku", "units", "orders", "unit_cost", "sum", "currency"]
    rows = [
        [shown.order.name, one.name, one.sku, one.units, one.orders, one.unit_cost, one.total, shown.order.currency]
        for one in listing.variants_of(shown.order, shown.partner)
    ]
    return csv_of(head, rows, f"{shown.order.name}.csv")


# Lines on no order ------------------------------------------------------------------------------------------------------------------


@blueprint.get("/lines")
def lines() -> Response:
    """Lines that wait, and lines that need somebody."""
    view = FAILED if request.args.get("view") == FAILED else PENDING
    return _lines(view)


def _lines(view: str, toast: str | None = None) -> Response:
    number = page_number()
    counts = {PENDING: listing.count(PENDING), FAILED: listing.count(FAILED)}
    return page(
        "routing/lines.html",
        toast=toast,
        view=view,
        rows=listing.lines_not_on_order(view, clock.now(), PER_PAGE, (number - 1) * PER_PAGE),
        counts=counts,
        pages=pages_of(counts[view], number, "/partner-orders/lines", {"view": view}),
    )


@blueprint.post("/lines/<int:line_id>/retry")
def retry(line_id: int) -> Response:
    """The line may go with a batch again."""
    line, at = deciding.retry_one(line_id, clock.now()), clock.now()
    toast = f"Goes{eligibility.when(PartnerLine.id == line.id, at)}"
    db.session.commit()
    return _lines(FAILED, toast=toast)


@blueprint.post("/stock/<int:request_id>/off")
def call_off(request_id: int) -> Response:
    """Units for our stock are not wanted any more, as far as no closed order holds them."""
    units = stocking.call_off(request_id, actor=g.user, at=clock.now())
    db.session.commit()
    return _lines(FAILED, toast=f"{units:,} called off")


@blueprint.get("/customers")
def customers() -> Response:
    """Customers' orders and how far each is."""
    number = page_number()
    rows = listing.customers(
        PartnerOrder.id.is_not(None) | PartnerOrder.id.is_(None), PER_PAGE, (number - 1) * PER_PAGE
    )
    pages = pages_of(listing.count_customers(), number, "/partner-orders/customers", {})
    return page("routing/customers.html", rows=rows, pages=pages)


# Receiving --------------------------------------------------------------------------------------------------------------------------


@blueprint.get("/<int:order_id>/receive")
def receive_form(order_id: int) -> Response:
    """What is at the door, to be ticked, typed or scanned."""
    return _receive(order_id)


def _receive(
    order_id: int, status: int = 200, toast: str | None = None, error: RuleError | None = None, given: Any = None
) -> Response:
    order = orders.get(order_id)
    facts = {"order": order, "partner": order.partner, "rows": receiving.expected(order), "given": given or {}}
    return page("routing/receive.html", status=status, toast=toast, error=error, **facts)


@blueprint.post("/<int:order_id>/receive")
def receive(order_id: int) -> Response:
    """What was counted is booked; all of it or nothing."""
    order, at = orders.get(order_id), clock.now()
    expected = receiving.expected(order)
    try:
        seen = _seen(expected)
        if request.form.get("all"):
            counts = {
                one.variant.id: Count(received=seen.get(one.variant.id, 0 if seen else one.open)) for one in expected
            }
        else:
            counts = {one.variant.id: _count(one) for one in expected}
        number = receiving.receive(order, counts, actor=g.user, today=today(at), at=at, seen=seen)
    except RuleError as error:
        db.session.rollback()
        return _receive(order_id, 422, error=error, given=None if error.field == "open" else request.form)
    db.session.commit()
    return _receive(order_id, toast=f"{rules.units(number)} received")


def _count(one: receiving.Expected) -> Count:
    names = ("received", "short", "damaged")
    return Count(*(_units(request.form.get(f"{name}-{one.variant.id}", ""), one.item.name) for name in names))


def _seen(expected: list[receiving.Expected]) -> dict[int, int]:
    """Partner variant id -> the units that the page showed as open: a form that is sent twice, or late, is known by them."""
    all_of_them = dict(part.partition(":")[::2] for part in request.form.get("seen", "").split())
    found = {}
    for one in expected:
        text = request.form.get(f"open-{one.variant.id}", "") or all_of_them.get(str(one.variant.id), "")
        if text:
            found[one.variant.id] = _units(text, one.item.name)
    return found


def _units(text: str, name: str) -> int:
    text = text.strip()
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= 6):
        raise RuleError(f"{name}: give a whole number from 0 to 999,999.")
    return int(text)


@blueprint.post("/<int:order_id>/scan")
def scan(order_id: int) -> Response:
    """One unit of what was scanned is received."""
    order, at = orders.get(order_id), clock.now()
    try:
        found = receiving.find_variant(order, request.form.get("code", "")[:200])
        seen = _seen(receiving.expected(order))
        receiving.receive(order, {found.id: Count(received=1)}, actor=g.user, today=today(at), at=at, seen=seen)
    except RuleError as error:
        db.session.rollback()
        return _receive(order_id, 422, error=RuleError(str(error), field="code"))
    db.session.commit()
    return _receive(order_id, toast=f"1 × {found.sku or 'unit'} received")
