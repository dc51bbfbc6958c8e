"""An item's plan: history, forecast, projected stock, its rules with their consequences before they are saved; the list of all items."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote_plus

from flask import Blueprint, Response, request
from sqlalchemy import func, select
from sqlalchemy.orm import joinedload
from werkzeug.datastructures import MultiDict

from occ_app import clock
from occ_app.catalog.models import INGREDIENT, Item
from occ_app.errors import RuleError
from occ_app.extensions import db
from occ_app.planning import item_rules, overview, replan, words
from occ_app.planning.models import ItemPlan
from occ_app.planning.setting_views import event_from_form
from occ_app.production import forms
from occ_app.production.views import asked, pages_of
from occ_app.searching import contains
from occ_app.web import page, see_other

blueprint = Blueprint("item_plan", __name__)
PER_PAGE = 50


@blueprint.get("/planning/items")
def index() -> Response:
    """All planned items, the shortest cover first."""
    q, number = asked()
    query = (
        select(ItemPlan)
        .join(Item, Item.id == ItemPlan.item_id)
        .where(Item.archived_at.is_(None), Item.kind != INGREDIENT)
        .options(joinedload(ItemPlan.item))
    )
    if q:
        query = query.where(contains(q, Item.name, Item.sku))
    total = db.session.scalar(select(func.count()).select_from(query.subquery())) or 0
    rows = db.session.scalars(
        query.order_by(ItemPlan.cover.asc().nulls_last(), Item.name, Item.id)
        .limit(PER_PAGE)
        .offset((number - 1) * PER_PAGE)
    )
    facts = {"rows": rows.all(), "q": q, "pages": pages_of(total, number, f"/planning/items?q={quote_plus(q)}&")}
    return page("planning/items.html", "planning/_items.html", **facts, methods=words.METHOD_WORDS, daily=_daily)


def _daily(plan: ItemPlan) -> float:
    return sum(plan.week) / len(plan.week) if plan.week else 0.0


@blueprint.get("/planning/items/<int:item_id>")
def one(item_id: int) -> Response:
    """One item's plan."""
    plan = item_rules.get(item_id)
    if plan.replanned_at is None:
        replan.items([item_id], clock.now())
    answer = _shown(item_rules.get(item_id))
    db.session.commit()
    return answer


def _values(plan: ItemPlan) -> dict[str, str]:
    found = {name: _text(getattr(plan, name, None)) for name in (*item_rules.WHOLE, *item_rules.DECIMAL)}
    found |= {name: _text(getattr(plan.item, name)) for name in ("reorder_point", "target_stock", "lead_time_days")}
    liked = db.session.get(Item, plan.like_item_id) if plan.like_item_id else None
    return found | {"like": liked.sku if liked else "", "is_planned": "yes" if plan.is_planned else "no"}


def _text(value: Any) -> str:
    return "" if value is None else f"{value.normalize():f}" if hasattr(value, "normalize") else str(value)


def _shown(
    plan: ItemPlan,
    *,
    values: dict[str, str] | None = None,
    errors: dict[str | None, str] | None = None,
    status: int = 200,
) -> Response:
    run = request.args.get("run", 0, int)
    view = overview.one(plan, with_run=run if 0 < run < 10**8 else 0)
    facts = {"view": view, "values": values or _values(plan), "errors": errors or {}, "run": run}
    facts |= {"event": {n: request.form.get(n, "")[:200] for n in ("name", "since", "until", "factor")}}
    return page("planning/item.html", status=status, **facts, **_about(view))


def _about(view: overview.ItemView) -> dict[str, Any]:
    on = overview.today()
    row = view.suggestion
    return {
        "today": on,
        "quality": words.quality(view.plan),
        "coming": words.arrivals(view.of, on),
        "why": words.why(row, on) if row else [],
        "act": words.act(row, on) if row else "",
        "span": view.rules.lead_days + view.rules.review_days,
    }


@blueprint.get("/planning/items/<int:item_id>/what-if")
def what_if(item_id: int) -> Response:
    """What would follow from the typed rules. Nothing is saved."""
    before = _told(overview.one(item_rules.get(item_id)))
    said, after = "", before
    try:
        plan = item_rules.get(item_id)
        item_rules.apply(plan, _given(request.args))
        replan.items([item_id], clock.now())
        after = _told(overview.one(item_rules.get(item_id)))
    except RuleError as error:
        said = str(error)
    db.session.rollback()
    return page("planning/_what_if.html", before=before, after=after, said=said, today=overview.today())


def _told(view: overview.ItemView) -> dict[str, Any]:
    """The consequences of a plan as plain values, which outlive the rollback."""
    row, plan = view.suggestion, view.plan
    is_asked = row is not None and row.ended_at is None and row.state == "open"
    return {
        "daily": view.seen.daily,
        "point": plan.point,
        "up_to": view.seen.up_to,
        "cover": plan.cover,
        "gone_on": plan.gone_on,
        "quantity": row.quantity if row is not None and is_asked else None,
        "act_by": row.act_by if row is not None and is_asked else None,
    }


def _given(form: MultiDict[str, str]) -> dict[str, str]:
    """What was typed. Of a name that comes twice the last one counts: an unticked box sends only the hidden `no` before it."""
    return {name: form.getlist(name)[-1].strip()[:60] for name in (*item_rules.NAMES, "is_planned") if name in form}


@blueprint.post("/planning/items/<int:item_id>")
def save(item_id: int) -> Response:
    """The item is planned by these rules from now on."""
    given = _given(request.form)
    try:
        item_rules.apply(item_rules.get(item_id), given)
        replan.items([item_id], clock.now())
    except RuleError as error:
        db.session.rollback()
        plan = item_rules.get(item_id)
        return _shown(plan, values=_values(plan) | given, errors={error.field: str(error)}, status=422)
    db.session.commit()
    return see_other(f"/planning/items/{item_id}")


@blueprint.post("/planning/items/<int:item_id>/events")
def add_event(item_id: int) -> Response:
    """An event that multiplies the item's demand."""
    try:
        event_from_form(item_rules.get(item_id).item)
        replan.items([item_id], clock.now())
    except RuleError as error:
        db.session.rollback()
        return _shown(item_rules.get(item_id), errors={f"event_{error.field}": str(error)}, status=422)
    db.session.commit()
    return see_other(f"/planning/items/{item_id}")


@blueprint.post("/planning/items/<int:item_id>/no-stock")
def mark_out(item_id: int) -> Response:
    """Past days on which there was nothing to sell."""
    values = forms.values_of(request.form, "since", "until")
    try:
        since, until = forms.day(values, "since"), forms.day(values, "until")
        item_rules.mark_out(item_rules.get(item_id), since, until, overview.today())
        replan.items([item_id], clock.now())
    except RuleError as error:
        db.session.rollback()
        return _shown(item_rules.get(item_id), errors={f"out_{error.field}": str(error)}, status=422)
    db.session.commit()
    return see_other(f"/planning/items/{item_id}")


@blueprint.post("/planning/items/<int:item_id>/no-stock/<int:row_id>/remove")
def unmark_out(item_id: int, row_id: int) -> Response:
    """Those days count again."""
    item_rules.unmark_out(item_rules.get(item_id), row_id)
    replan.items([item_id], clock.now())
    db.session.commit()
    return see_other(f"/planning/items/{item_id}")
