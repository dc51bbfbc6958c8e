"""Trace: from a lot both ways, from an order back, drawn and as a table, and as a file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from flask import Blueprint, Response, request
from sqlalchemy import select
from sqlalchemy.orm import joinedload, selectinload

from occ_app.b2b import orders as wholesale
from occ_app.catalog import sheets
from occ_app.catalog.models import Item
from occ_app.desk import trace, trace_words
from occ_app.desk.trace import Sale, Trace
from occ_app.errors import NotFoundError
from occ_app.extensions import db
from occ_app.orders.models import Order
from occ_app.production import recall
from occ_app.searching import contains
from occ_app.stock import lots
from occ_app.stock.models import Lot
from occ_app.web import page, see_other, stay_within

blueprint = Blueprint("trace", __name__)
PER_PAGE = 50
MOST_LINKS = 100  # rows of the table below the drawing; the file has all
VIEWS = {"": "All", "open": "Not shipped", "shipped": "Shipped"}
blueprint.add_app_template_filter(trace_words.amount, "amount")


@blueprint.get("/trace")
def search() -> Response:
    """Where one types the number on a pack, or an order's."""
    q = request.args.get("q", "").strip()[:200]
    lot = lots.find(q) if q else None
    if lot is not None:
        return see_other(f"/trace/lots/{lot.id}")
    sold = trace.find_wholesale(q) if q else None
    if sold is not None:
        return see_other(f"/trace/wholesale/{sold.id}")
    orders = trace.find_orders(q) if q else []
    if len(orders) == 1:
        return see_other(f"/trace/orders/{orders[0].id}")
    return page("desk/trace_search.html", q=q, lots=_alike(q) if q else [], orders=orders)


def _alike(q: str) -> Sequence[Lot]:
    query = select(Lot).join(Item, Item.id == Lot.item_id).options(joinedload(Lot.item))
    found = query.where(contains(q, Lot.lot_number, Item.name, Item.sku))
    return db.session.scalars(found.order_by(Lot.id.desc()).limit(20)).all()


@blueprint.get("/trace/lots/<int:lot_id>")
def of_lot(lot_id: int) -> Response:
    """One lot: what went in, what was made of it, who has it."""
    lot = lots.get(lot_id)
    found = trace.of_lots([lot.id])
    shown = sales_shown(found.later, f"/trace/lots/{lot.id}")
    facts = {"lot": lot, "item": found.lots[lot.id].item, "recalls": recall.of_lots([lot.id])}
    facts |= {"name": lot.lot_number, "placed_at": None, "file": f"/trace/lots/{lot.id}.csv"}
    return page("desk/trace.html", "desk/_sales.html", found=found, **facts, **shown, **_drawn(found, shown))


@blueprint.get("/trace/orders/<int:order_id>")
def of_order(order_id: int) -> Response:
    """One order: the lots it has, and what they were made from."""
    order = _order(order_id)
    return _back(
        order.name, order.placed_at, f"{trace.ORDER}:{order.id}", f"/trace/orders/{order.id}.csv", trace.of_order(order)
    )


@blueprint.get("/trace/wholesale/<int:order_id>")
def of_wholesale(order_id: int) -> Response:
    """The same of a wholesale order."""
    order = wholesale.get(order_id)
    at, key = order.confirmed_at or order.created_at, f"{trace.WHOLESALE}:{order.id}"
    return _back(order.number, at, key, f"/trace/wholesale/{order.id}.csv", trace.of_wholesale(order))


def _back(name: str, at: Any, key: str, file: str, traced: tuple[Trace, list[Sale]]) -> Response:
    found, sold = traced
    shown = {"sales": sold, "lots": found.lots, "pages": None, "view": "", "tabs": [], "path": ""}
    facts = {
        "lot": None,
        "item": None,
        "recalls": recall.of_lots(found.lots),
        "name": name,
        "placed_at": at,
        "file": file,
    }
    return page("desk/trace.html", found=found, **facts, **shown, **_drawn(found, shown, key))


@blueprint.get("/trace/lots/<int:lot_id>.csv")
def lot_file(lot_id: int) -> Response:
    """The lot's whole trace as a file."""
    lot = lots.get(lot_id)
    found = trace.of_lots([lot.id])
    rows = (line.row() for line in trace_words.lines(found, trace.sales(found.later)))
    return as_csv(f"trace-{lot.lot_number}", trace_words.COLUMNS, rows)


@blueprint.get("/trace/orders/<int:order_id>.csv")
def order_file(order_id: int) -> Response:
    """The order's whole trace as a file."""
    order = _order(order_id)
    found, sold = trace.of_order(order)
    rows = (line.row() for line in trace_words.lines(found, sold))
    return as_csv(f"trace-{order.name}", trace_words.COLUMNS, rows)


@blueprint.get("/trace/wholesale/<int:order_id>.csv")
def wholesale_file(order_id: int) -> Response:
    """The same of a wholesale order."""
    order = wholesale.get(order_id)
    found, sold = trace.of_wholesale(order)
    rows = (line.row() for line in trace_words.lines(found, sold))
    return as_csv(f"trace-{order.number}", trace_words.COLUMNS, rows)


def _order(order_id: int) -> Order:
    order = db.session.scalar(select(Order).where(Order.id == order_id).options(selectinload(Order.lines)))
    if order is None:
        raise NotFoundError("There is no such order here.")
    return order


def _drawn(found: Trace, shown: dict[str, Any], order: str | None = None) -> dict[str, Any]:
    """The graph twice, and the first links of its table."""
    drawings = trace_words.drawings(found, shown["sales"], order=order)
    links = list(islice(trace_words.lines(found, []), MOST_LINKS + 1))
    return {"drawings": drawings, "links": links[:MOST_LINKS], "has_more": len(links) > MOST_LINKS}


def sales_shown(lot_ids: Iterable[int], path: str) -> dict[str, Any]:
    """One page of the order lines that have units of these lots, as the request asks for it. `path`: where the pages are."""
    view = request.args.get("view", "") if request.args.get("view") in VIEWS else ""
    number = min(100_000, max(1, request.args.get("page", 1, int)))
    sales, total = trace.page_of_sales(lot_ids, only=view, limit=PER_PAGE, offset=(number - 1) * PER_PAGE)
    stay_within(total, number, PER_PAGE)
    to = f"{path}?view={view}&page=".__add__
    last = min(total, number * PER_PAGE)
    pages = {
        "first": (number - 1) * PER_PAGE + 1 if total else 0,
        "last": last,
        "total": total,
        "previous": to(str(number - 1)) if number > 1 else None,
        "next": to(str(number + 1)) if last < total else None,
    }
    tabs = [(key, words, None) for key, words in VIEWS.items()]
    return {"sales": sales, "lots": lots_of(sales), "pages": pages, "view": view, "tabs": tabs, "path": path}


def lots_of(sales: Sequence[Sale]) -> dict[int, Lot]:
    """The lots that these order lines have, with their items."""
    query = select(Lot).where(Lot.id.in_({sale.lot_id for sale in sales})).options(joinedload(Lot.item))
    return {lot.id: lot for lot in db.session.scalars(query)} if sales else {}


def as_csv(name: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Response:
    """A file to download."""
    safe = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "-_.") else "-" for letter in name)
    headers = {"Content-Disposition": f'attachment; filename="{safe[:100]}.csv"'}
    return Response(sheets.write(columns, rows), mimetype="text/csv", headers=headers)
