"""The merchant's papers of partner orders: what a partner is to be paid, and the log of the batches."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, g, request

from occ_app import clock
from occ_app.errors import RuleError
from occ_app.partners import standing
from occ_app.routing import listing
from occ_app.routing.context import today
from occ_app.shops import settings
from occ_app.sync.paging import PER_PAGE, page_number, pages_of
from occ_app.web import page

blueprint = Blueprint("partner_statements", __name__, url_prefix="/partner-orders")


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
        return csv_of(*statement_rows(entries), f"statement-{partner.id}-{since}-{until}.csv")
    return page(
        "routing/statement.html",
        status=422 if error else 200,
        partners=partners,
        partner=partner,
        entries=entries,
        since=since,
        until=until,
        error=error,
        totals=listing.totals(entries),
    )


def statement_rows(entries: list[listing.Entry]) -> tuple[list[str], list[list[Any]]]:
    """Head and rows of a statement as CSV, each row in the currency of its order."""
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
            one.fees,
            one.to_pay,
            one.order.currency,
        ]
        for one in entries
    ]
    return [*head, "refunded", "fees", "to_pay", "currency"], rows


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
    now = today(clock.now())
    return now.replace(day=1), now


def _begin(day: date) -> datetime:
    return datetime.combine(day, time(0), ZoneInfo(settings.get(g.shop, "time_zone"))).astimezone(UTC)


@blueprint.get("/log")
def log() -> Response:
    """Each batch with what it did, how long it took and why it failed."""
    total = listing.count_batches()
    number = min(page_number(), max(1, -(-total // PER_PAGE)))
    pages = pages_of(total, number, "/partner-orders/log", {})
    return page("routing/log.html", rows=listing.batches(PER_PAGE, (number - 1) * PER_PAGE), pages=pages)


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
