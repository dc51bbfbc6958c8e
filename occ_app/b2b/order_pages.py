"""Wholesale orders as pages: the list, one by hand, each step."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, g, request
from sqlalchemy import func, select

from occ_app import clock
from occ_app.b2b import levels, orders
from occ_app.b2b.channel_pages import whole
from occ_app.b2b.market_pages import named_item, products
from occ_app.b2b.models import STATES, Customer, WholesaleOrder
from occ_app.errors import RuleError
from occ_app.extensions import db
from occ_app.shops import settings
from occ_app.sync.paging import PER_PAGE, page_number, pages_of, search_text
from occ_app.web import page, see_other

blueprint = Blueprint("wholesale", __name__)
ROWS = 8
RULES = {
    "refuse": "Refuse the order",
    "pool": "Take the rest from what Shopify may sell",
    "backorder": "Confirm it, and let the rest wait for stock",
}
LIGHTS = {
    "draft": ("Draft", "neutral"),
    "confirmed": ("Confirmed", "info"),
    "shipped": ("Shipped", "success"),
    "cancelled": ("Cancelled", "neutral"),
}


def light(order: WholesaleOrder) -> tuple[str, str]:
    """(words, tone) of an order's state."""
    if any(line.waits for line in order.lines):
        return "Waits for stock", "warning"
    return LIGHTS[order.state]


@blueprint.get("/wholesale")
def index() -> Response:
    """Orders, newest first."""
    view, q, number = request.args.get("view", "all"), search_text(), page_number()
    view = view if view in STATES else "all"
    counted = db.session.execute(select(WholesaleOrder.state, func.count()).group_by(WholesaleOrder.state))
    counts = {row[0]: row[1] for row in counted}
    query = select(func.count()).select_from(WholesaleOrder)
    query = query.where(WholesaleOrder.state == view) if view != "all" else query
    total = db.session.scalar(query.where(orders.matches(q)) if q else query) or 0
    state = view if view != "all" else ""
    found = orders.find(state=state, text=q, limit=PER_PAGE, offset=(number - 1) * PER_PAGE)
    tabs = [("all", "All", sum(counts.values())), *((s, LIGHTS[s][0], counts.get(s, 0)) for s in STATES)]
    facts = {"rows": found, "view": view, "q": q, "tabs": tabs, "light": light}
    facts |= {"pages": pages_of(total, number, "/wholesale", {"view": view, "q": q})}
    facts |= {"rule": settings.get(g.shop, "b2b_when_short"), "rules": RULES}
    return page("b2b/orders.html", "b2b/_orders.html", **facts)


@blueprint.post("/wholesale/rule")
def save_rule() -> Response:
    """What happens when wholesale has too little is decided."""
    settings.put(g.shop, "b2b_when_short", request.form.get("rule", ""))
    db.session.commit()
    return see_other("/wholesale")


@blueprint.get("/wholesale/new")
def new() -> Response:
    """The form for an order."""
    return _form({}, {})


def _form(values: dict[str, str], errors: dict[str | None, str], status: int = 200) -> Response:
    customers = db.session.scalars(select(Customer).order_by(Customer.name).limit(500)).all()
    found = products()[:300]
    facts = {"values": values, "errors": errors, "customers": customers, "products": found, "count": ROWS}
    return page("b2b/order_form.html", status=status, stock=levels.of_items(found), **facts)


@blueprint.post("/wholesale")
def create() -> Response:
    """The order is there: confirmed, or a draft."""
    values = {key: value[:1000] for key, value in request.form.items()}
    try:
        lines = []
        for n in range(ROWS):
            if values.get(f"item-{n}", "").strip():
                item = named_item(values[f"item-{n}"], f"item-{n}")
                lines.append((item.sku, whole(values.get(f"quantity-{n}", ""), f"quantity-{n}", least=1)))
        if not lines:
            raise RuleError("Name at least one item.", field="item-0")
        words = {name: values.get(name, "") for name in ("customer", "customer_reference", "reference", "note")}
        confirmed = values.get("draft") != "yes"
        order = orders.create(lines, **words, confirmed=confirmed, actor=g.user, at=clock.now())
    except RuleError as error:
        db.session.rollback()
        return _form(values, {error.field: str(error)}, 422)
    db.session.commit()
    return see_other(f"/wholesale/{order.id}")


@blueprint.get("/wholesale/<int:order_id>")
def one(order_id: int) -> Response:
    """One order with the lots of its units."""
    return _one(orders.get(order_id))


def _one(order: WholesaleOrder, status: int = 200, toast: str | None = None, error: str = "") -> Response:
    facts: dict[str, Any] = {"order": order, "lots": orders.lots_of(order), "light": light(order), "error": error}
    return page("b2b/order.html", status=status, toast=toast, **facts)


@blueprint.post("/wholesale/<int:order_id>/<any(confirm, ship, cancel):verb>")
def step(order_id: int, verb: str) -> Response:
    """The order took a step; a second press is told how it stands."""
    steps = {"confirm": orders.confirm, "ship": orders.ship, "cancel": orders.cancel}
    try:
        steps[verb](orders.get(order_id, locked=True), actor=g.user, at=clock.now())
    except RuleError as error:
        db.session.rollback()
        return _one(orders.get(order_id), 422, error=str(error))
    db.session.commit()
    said = {"confirm": "Confirmed", "ship": "Shipped", "cancel": "Cancelled"}[verb]
    return _one(orders.get(order_id), toast=said)
