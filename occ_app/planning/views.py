"""Planning's pages: what to make next, ingredients at risk, the buy list, the calendar."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from flask import Blueprint, Response, g, request
from sqlalchemy import select

from occ_app import clock
from occ_app.catalog.models import Item
from occ_app.errors import NotFoundError, RuleError
from occ_app.extensions import db
from occ_app.planning import buying, history, overview, purchases, replan, suggestions, supply, words
from occ_app.planning.models import Suggestion
from occ_app.production import forms, units
from occ_app.production.formulas import unit_of
from occ_app.web import is_fragment, page, row_id, see_other, stay_within

blueprint = Blueprint("planning", __name__)
PER_PAGE = 50
VIEWS = {"open": "Make next", "hand": "In hand", "hidden": "Snoozed and dismissed"}
CSV_HEAD = ["supplier", "code", "name", "unit", "quantity", "short", "needed_on", "order_by", "lead_time_days", "cost"]


@blueprint.app_template_filter("weekday")
def weekday(on: date | None) -> str:
    """A day as people say it."""
    return words.weekday(on, overview.today()) if on else ""


@blueprint.app_template_filter("about")
def about(value: float) -> str:
    """A number of units that need not be whole."""
    return words.number(float(value))


@blueprint.app_template_filter("duration")
def duration(days: int | None) -> str:
    """A number of days in words."""
    return words.days(days)


# What to make next -----------------------------------------------------------------------------------------------------------------


@blueprint.get("/planning")
def index() -> Response:
    """What to make or order next, most money lost per day first."""
    replan.catch_up(clock.now())
    db.session.commit()
    return _list()


def _list(*, error: str = "", error_for: int = 0, status: int = 200, toast: str | None = None) -> Response:
    view = request.args.get("view", "open") if request.args.get("view") in VIEWS else "open"
    on = overview.today()
    found = {name: overview.current(name, on) for name in VIEWS}
    number = min(10_000, max(1, request.args.get("page", 1, int)))
    rows = found[view][(number - 1) * PER_PAGE : number * PER_PAGE]
    plan = buying.material_plan(on)
    facts: dict[str, Any] = {
        "rows": rows,
        "view": view,
        "views": [(name, said, len(found[name])) for name, said in VIEWS.items()],
        "pages": _pages(len(found[view]), number, f"/planning?view={view}&"),
        "pictures": overview.pictures([row.item_id for row in rows]),
        "said": {row.id: _said(row, on, plan) for row in rows},
        "to_draft": [row for row in found["open"] if not supply.is_partners(row.item)],
        "plan": plan,
        "pull": history.newest(),
        "replanned_at": overview.replanned_at(),
        "error": error,
        "error_for": error_for if error_for in {row.id for row in rows} else 0,
        "today": on,
    }
    return page("planning/index.html", "planning/_suggestions.html", status=status, toast=toast, **facts)


def _said(row: Suggestion, on: date, plan: buying.MaterialPlan) -> dict[str, Any]:
    is_partners = supply.is_partners(row.item)
    name = row.run.number if row.run else buying.suggested(row.item_id)
    return {
        "why": words.why(row, on),
        "urgency": words.urgency(row, on),
        "act": words.act(row, on, is_partners=is_partners),
        "loss": words.loss(row, on),
        "is_partners": is_partners,
        "short": plan.short_for.get(name, []),
        "makeable": plan.makeable.get(row.item_id),
    }


def _pages(total: int, number: int, path: str) -> dict[str, Any]:
    stay_within(total, number, PER_PAGE)
    last = min(total, number * PER_PAGE)
    return {
        "first": (number - 1) * PER_PAGE + 1 if total else 0,
        "last": last,
        "total": total,
        "previous": f"{path}page={number - 1}" if number > 1 else None,
        "next": f"{path}page={number + 1}" if last < total else None,
    }


def _settled(suggestion_id: int, settle: Callable[[Suggestion], str]) -> Response:
    """One action on a suggestion: done, replanned, and the list again; or the list with why not beside it."""
    try:
        row = suggestions.get(suggestion_id)
        said = settle(row)
        db.session.flush()
        replan.items([row.item_id], clock.now())
    except RuleError as error:
        db.session.rollback()
        return _list(error=str(error), error_for=suggestion_id, status=422)
    db.session.commit()
    return _list(toast=said) if is_fragment() else see_other("/planning")


def _quantity() -> int | None:
    text = request.form.get("quantity", "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text)):
        raise RuleError("Give a whole number of 1 or more.", field="quantity")
    return int(text)


@blueprint.post("/planning/<int:suggestion_id>/draft")
def draft(suggestion_id: int) -> Response:
    """The suggested run is drafted."""

    def settle(row: Suggestion) -> str:
        run = suggestions.draft(row, _quantity(), today=overview.today(), actor=g.user, at=clock.now())
        return f"Drafted run {run.number}: {run.planned_quantity:,}"

    return _settled(suggestion_id, settle)


@blueprint.post("/planning/<int:suggestion_id>/order")
def order(suggestion_id: int) -> Response:
    """The suggested goods are put on the partner's order."""

    def settle(row: Suggestion) -> str:
        made = suggestions.order(row, _quantity(), today=overview.today(), actor=g.user, at=clock.now())
        return f"Ordered {made.quantity:,}, due {words.weekday(made.due_on, overview.today())}"

    return _settled(suggestion_id, settle)


@blueprint.post("/planning/<int:suggestion_id>/snooze")
def snooze(suggestion_id: int) -> Response:
    """The suggestion is hidden until a day."""

    def settle(row: Suggestion) -> str:
        until = forms.day(forms.values_of(request.form, "until"), "until") or overview.today() + timedelta(days=7)
        suggestions.snooze(row, until, today=overview.today(), actor=g.user, at=clock.now())
        return f"Snoozed until {words.weekday(until, overview.today())}"

    return _settled(suggestion_id, settle)


@blueprint.post("/planning/<int:suggestion_id>/dismiss")
def dismiss(suggestion_id: int) -> Response:
    """The suggestion is dismissed with a reason."""

    def settle(row: Suggestion) -> str:
        suggestions.dismiss(row, request.form.get("reason", ""), actor=g.user, at=clock.now())
        return "Dismissed"

    return _settled(suggestion_id, settle)


@blueprint.post("/planning/<int:suggestion_id>/back")
def back(suggestion_id: int) -> Response:
    """A hidden suggestion is shown again."""

    def settle(row: Suggestion) -> str:
        suggestions.bring_back(row, actor=g.user, at=clock.now())
        return "Shown again"

    return _settled(suggestion_id, settle)


@blueprint.post("/planning/draft-all")
def draft_all() -> Response:
    """Runs for all open suggestions of things made here are drafted; one that cannot be is named, the others are."""
    on, at = overview.today(), clock.now()
    drafted, failed = [], []
    rows = [row for row in overview.current("open", on) if not supply.is_partners(row.item)]
    suggestions.lock_all(rows)
    for row in rows:
        try:
            with db.session.begin_nested():
                suggestions.draft(suggestions.get(row.id), today=on, actor=g.user, at=at)
            drafted.append(row.item_id)
        except RuleError as error:
            failed.append(str(error))
    replan.items(drafted, at)
    db.session.commit()
    if failed:
        return _list(error=f"{len(drafted)} drafted. Left out: {' '.join(failed[:5])}", status=422)
    return _list(toast=f"Drafted {len(drafted)} runs") if is_fragment() else see_other("/planning")


# Ingredients and buying ------------------------------------------------------------------------------------------------------------


@blueprint.get("/planning/ingredients")
def ingredients() -> Response:
    """Ingredients at risk: short, below their reorder point, or past their date before they are used."""
    on = overview.today()
    plan = buying.material_plan(on)
    view = request.args.get("view", "risk")
    at_risk = [need for need in plan.needs if need.line.short or need.is_low or need.line.spoils or need.is_archived]
    shown = at_risk if view != "all" else list(plan.needs)
    names = {buying.suggested(row.item_id): f"{row.item.name}, suggested" for row in overview.current("open", on)}
    items = {row.id: row for row in db.session.scalars(select(Item).where(Item.id.in_(plan.makeable)))}
    makeable = sorted(((items[i], n, plan.yields.get(i, 1)) for i, n in plan.makeable.items()), key=lambda t: t[0].name)
    number = min(10_000, max(1, request.args.get("page", 1, int)))
    return page(
        "planning/ingredients.html",
        needs=shown[(number - 1) * PER_PAGE : number * PER_PAGE],
        pages=_pages(len(shown), number, f"/planning/ingredients?view={view}&"),
        view="all" if view == "all" else "risk",
        views=[("risk", "At risk", len(at_risk)), ("all", "All", len(plan.needs))],
        called=lambda name: " and ".join(names.get(part, part) for part in name.split(", ")),
        makeable=makeable,
        today=on,
    )


@blueprint.get("/planning/buy")
def buy() -> Response:
    """What to buy of whom, and what is ordered already."""
    return _buy()


def _buy(
    *, error: str = "", error_for: int = 0, closing: int = 0, status: int = 200, toast: str | None = None
) -> Response:
    on = overview.today()
    return page(
        "planning/buy.html",
        status=status,
        toast=toast,
        suppliers=buying.material_plan(on).suppliers(),
        ordered=supply.open_purchases(),
        today=on,
        error=error,
        error_for=error_for,
        closing=closing,
    )


@blueprint.get("/planning/buy.csv")
def buy_csv() -> Response:
    """The buy list as a file."""
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\r\n")
    out.writerow(CSV_HEAD)
    for supplier, needs in buying.material_plan(overview.today()).suppliers():
        out.writerows(csv_row(supplier, need) for need in needs)
    response = Response(text.getvalue(), mimetype="text/csv")
    response.headers["Content-Disposition"] = 'attachment; filename="buy-list.csv"'
    return response


def csv_row(supplier: str, need: buying.Need) -> list[Any]:
    """One line of the buy list; a text that a spreadsheet would run stands behind an apostrophe."""
    unit = unit_of(need.item)
    texts = [f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t") else text for text in (supplier, need.item.name)]
    cost = f"{need.cost:.2f}" if need.cost is not None else ""
    amounts = [units.plain(need.buy, unit), units.plain(need.line.short, unit)]
    return [
        texts[0],
        need.item.sku,
        texts[1],
        unit,
        *amounts,
        need.line.short_on or "",
        need.order_by or "",
        "" if need.lead_days is None else need.lead_days,
        cost,
    ]


@blueprint.post("/planning/purchases")
def purchase() -> Response:
    """Something of the buy list was ordered."""
    item = db.session.scalar(select(Item).where(Item.id == row_id(request.form.get("item", ""))))
    try:
        if item is None:
            raise NotFoundError("There is no such ingredient here.")
        values = forms.values_of(request.form, "quantity", "due_on", "supplier")
        on = overview.today()
        quantity = forms.amount(values, "quantity", unit_of(item))
        due_on = forms.day(values, "due_on") or on + timedelta(days=item.lead_time_days or 0)
        purchases.add(item, quantity, values["supplier"], due_on, today=on, actor=g.user, at=clock.now())
    except RuleError as error:
        db.session.rollback()
        return _buy(error=str(error), error_for=item.id if item else 0, status=422)
    db.session.commit()
    return see_other("/planning/buy")


@blueprint.post("/planning/purchases/<int:purchase_id>/close")
def close_purchase(purchase_id: int) -> Response:
    """Nothing more is expected of a purchase."""
    try:
        row = purchases.close(purchase_id, actor=g.user, at=clock.now())
    except RuleError as error:
        db.session.rollback()
        return _buy(error=str(error), closing=purchase_id, status=422)
    replan.note([row.item_id], clock.now())
    db.session.commit()
    return see_other("/planning/buy")


# Calendar -----------------------------------------------------------------------------------------------------------


@blueprint.get("/planning/calendar")
def calendar() -> Response:
    """Runs, purchases and events by week."""
    values = forms.values_of(request.args, "since")
    try:
        since = forms.day(values, "since") or overview.today()
    except RuleError:
        since = overview.today()
    since = min(max(since, overview.today() - timedelta(days=3650)), overview.today() + timedelta(days=3650))
    return page("planning/calendar.html", weeks=overview.calendar(since, 4), since=since, today=overview.today())
