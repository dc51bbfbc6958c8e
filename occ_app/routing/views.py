"""The merchant's pages of partner orders: what closes next, one order, lines on no order, receiving, statements, the log."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, current_app, g, request

from occ_app import clock
from occ_app.catalog import pull
from occ_app.errors import RuleError
from occ_app.extensions import db
from occ_app.partners import standing
from occ_app.partners.models import LEFT
from occ_app.routing import batch, deciding, listing, orders, receiving, tracking
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
    PartnerOrder,
)
from occ_app.routing.receiving import Count
from occ_app.shops import settings
from occ_app.shops.models import Shop
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
        failed=listing.count(FAILED),
        partners=[partner for partner in standing.everybody() if partner.state != LEFT],
        now=clock.now(),
    )


@blueprint.post("/send")
def send() -> Response:
    """What may go to the partners goes now, ahead of the day's batch."""
    chosen = request.form.get("partner", "")
    ids = [one.id for one in standing.everybody() if one.state != LEFT and chosen in ("", str(one.id))]
    made = _send_now(ids, NOW)
    causes = [one["cause"] for one in made if one["cause"]]
    if causes:
        return _index(422, error=causes[0])
    return _index(toast=f"{sum(one['placed'] for one in made)} lines sent")


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


def _on(order_id: int):  # type: ignore[no-untyped-def]
    from occ_app.routing.models import PartnerLine

    return PartnerLine.partner_order_id == order_id


def _cutoff(order: PartnerOrder, partner: Any) -> dict[str, Any]:
    """The cutoff by the partner's clock, and what is left until then."""
    zone = orders.plan_of(partner, g.shop).time_zone
    left = max(timedelta(0), order.cutoff_at - clock.now())
    days, rest = left.days, left.seconds
    parts = [(days, "d"), (rest // 3600, "h")] if days else [(rest // 3600, "h"), (rest % 3600 // 60, "min")]
    return {
        "there": order.cutoff_at.astimezone(ZoneInfo(zone)),
        "zone": zone.split("/")[-1].replace("_", " "),
        "parts": parts,
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
    (made,) = _send_now([order.partner_id], CLOSE)
    if made["cause"]:
        return _show(order_id, 422, error=made["cause"])
    return _show(order_id, toast="Sent")


@blueprint.post("/<int:order_id>/hold")
def hold(order_id: int) -> Response:
    """The order grows for one cutoff more."""
    order = orders.get(order_id)
    batch.hold(order, order.partner, clock.now(), f"by {g.user}")
    tasks.ask("partner_orders", g.shop_id)
    db.session.commit()
    return _show(order_id, toast="Held to the next cutoff")


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


def csv_of(head: list[str], rows: list[list[Any]], name: str) -> Response:
    """A CSV file to keep. A cell that a spreadsheet would run begins with an apostrophe."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(head)
    writer.writerows([[_safe(cell) for cell in row] for row in rows])
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(out.getvalue(), mimetype="text/csv", headers=headers)


def _safe(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell


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
    """The line goes with the next batch again."""
    deciding.retry_one(line_id, clock.now())
    db.session.commit()
    return _lines(FAILED, toast="Goes with the next batch")


@blueprint.get("/customers")
def customers() -> Response:
    """Customers' orders and how far each is."""
    number = page_number()
    rows = listing.customers(
        PartnerOrder.id.is_not(None) | PartnerOrder.id.is_(None), PER_PAGE, (number - 1) * PER_PAGE
    )
    total = (number - 1) * PER_PAGE + len(rows) + (1 if len(rows) == PER_PAGE else 0)
    pages = pages_of(total, number, "/partner-orders/customers", {})
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
    try:
        if request.form.get("all"):
            counts = {one.variant.id: Count(received=one.open) for one in receiving.expected(order)}
        else:
            counts = {one.variant.id: _count(one) for one in receiving.expected(order)}
        number = receiving.receive(order, counts, actor=g.user, today=batch.today(at), at=at)
    except RuleError as error:
        db.session.rollback()
        return _receive(order_id, 422, error=error, given=request.form)
    db.session.commit()
    return _receive(order_id, toast=f"{number} units received")


def _count(one: receiving.Expected) -> Count:
    names = ("received", "short", "damaged")
    return Count(*(_units(request.form.get(f"{name}-{one.variant.id}", ""), one.item.name) for name in names))


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
        receiving.receive(order, {found.id: Count(received=1)}, actor=g.user, today=batch.today(at), at=at)
    except RuleError as error:
        db.session.rollback()
        return _receive(order_id, 422, error=RuleError(str(error), field="code"))
    db.session.commit()
    return _receive(order_id, toast=f"1 × {found.sku or 'unit'} received")


# Statements, log, delivery ----------------------------------------------------------------------------------------------------------


@blueprint.get("/statement")
def statement() -> Response:
    """What one partner is to be paid for a period: page, print or CSV."""
    partners = standing.everybody()
    if not partners:
        return page(
            "routing/statement.html",
            partners=[],
            partner=None,
            entries=[],
            since=None,
            until=None,
            currency="",
            error="",
        )
    error = ""
    try:
        since, until = _period()
    except RuleError as wrong:
        error, (since, until) = str(wrong), _this_month()
    chosen = request.args.get("partner", "")
    partner = next((one for one in partners if str(one.id) == chosen), partners[0])
    entries = listing.statement(partner, _begin(since), _begin(until + timedelta(days=1)))
    if request.args.get("as") == "csv":
        return csv_of(
            *statement_rows(entries, listing.currency_of(partner)), f"statement-{partner.id}-{since}-{until}.csv"
        )
    return page(
        "routing/statement.html",
        status=422 if error else 200,
        partners=partners,
        partner=partner,
        entries=entries,
        since=since,
        until=until,
        currency=listing.currency_of(partner),
        error=error,
        totals={
            name: sum((getattr(one, name) for one in entries), Decimal(0))
            for name in ("ordered", "short", "damaged", "refunded", "to_pay")
        },
    )


def statement_rows(entries: list[listing.Entry], currency: str) -> tuple[list[str], list[list[Any]]]:
    """Head and rows of a statement as CSV."""
    head = ["partner_order", "their_order", "ordered_on", "units", "ordered", "shipped", "received", "short", "damaged"]
    rows = [
        [
            one.order.name,
            one.order.order_name or "",
            one.order.ordered_at.date().isoformat() if one.order.ordered_at else "",
            one.units,
            one.ordered,
            one.shipped,
            one.received,
            one.short,
            one.damaged,
            one.refunded,
            one.to_pay,
            currency,
        ]
        for one in entries
    ]
    return [*head, "refunded", "to_pay", "currency"], rows


def _period() -> tuple[date, date]:
    since, until = _this_month()
    try:
        since = date.fromisoformat(request.args["since"]) if request.args.get("since") else since
        until = date.fromisoformat(request.args["until"]) if request.args.get("until") else until
    except ValueError:
        raise RuleError("Give days such as 2026-11-01.") from None
    if not since <= until or since.year < 2000 or until.year > 2199:
        raise RuleError("The first day comes before the last one.")
    return since, until


def _this_month() -> tuple[date, date]:
    today = batch.today(clock.now())
    return today.replace(day=1), today


def _begin(day: date) -> datetime:
    return datetime.combine(day, time(0), ZoneInfo(settings.get(g.shop, "time_zone"))).astimezone(UTC)


@blueprint.get("/log")
def log() -> Response:
    """Each batch with what it did, how long it took and why it failed."""
    return page("routing/log.html", rows=listing.batches())


@blueprint.get("/delivery")
def delivery() -> Response:
    """Where partners ship to, when the batch comes, and which orders go."""
    return _delivery()


NAMES = ("fulfilment_centre", "batch_hour", "route_orders", "route_risk")


def _delivery(
    status: int = 200, toast: str | None = None, error: RuleError | None = None, values: Any = None
) -> Response:
    values = values or {name: settings.get(g.shop, name) for name in NAMES}
    places = [place for place in pull.locations() if place.is_active]
    zone = settings.get(g.shop, "time_zone")
    return page(
        "routing/delivery.html", status=status, toast=toast, error=error, values=values, places=places, zone=zone
    )


@blueprint.post("/delivery")
def save_delivery() -> Response:
    """The settings are as the form says; all of them or none."""
    shop = db.session.get_one(Shop, g.shop_id)
    given = {name: request.form[name] for name in NAMES if name in request.form}
    try:
        if given.get("fulfilment_centre") and pull.find_location(given["fulfilment_centre"]) is None:
            raise RuleError("Choose among your own locations.", field="fulfilment_centre")
        for name, text in given.items():
            settings.put(shop, name, text)
    except RuleError as error:
        db.session.rollback()
        return _delivery(422, error=error, values={name: given.get(name, settings.get(g.shop, name)) for name in NAMES})
    tasks.ask("partner_orders", g.shop_id)
    db.session.commit()
    return _delivery(toast="Saved")
