"""Products with their stock, and orders: what a merchant does in the admin."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from devshop import drafts, inventory, orders
from devshop.admin.frame import blueprint, done, in_store, page
from devshop.world import DevshopError, Level, Order, Store, Variant

ROWS = 50


@blueprint.get("/store/<name>")
@blueprint.get("/store/<name>/products")
@in_store
def products(store: Store) -> str:
    """Variants with their stock by location."""
    number, text = max(1, request.args.get("page", 1, int)), request.args.get("q", "").strip()
    found = [variant for variant in store.variants.values() if _is_about(store, variant, text.lower())]
    rows = [(variant, store.products[variant.product_id], _levels(store, variant)) for variant in _cut(found, number)]
    return page("products.html", store, rows=rows, total=len(found), number=number, q=text, most=ROWS)


def _is_about(store: Store, variant: Variant, text: str) -> bool:
    return text in variant.sku.lower() or text in store.products[variant.product_id].title.lower()


def _cut(found: list[Any], number: int) -> list[Any]:
    return found[(number - 1) * ROWS : number * ROWS]


def _levels(store: Store, variant: Variant) -> list[Level]:
    return [level for level in (store.levels.get((variant.item_id, place)) for place in store.locations) if level]


@blueprint.get("/store/<name>/products/<int:number>")
@in_store
def product(store: Store, number: int) -> str:
    """A product: its stock in every state, and who changed it."""
    found = store.products.get(number)
    if found is None:
        raise DevshopError(f"{store.name} has no product {number}; it may have been deleted.")
    levels = [(variant, _levels(store, variant)) for variant in found.variants]
    changes = [(variant, level, change) for variant, own in levels for level in own for change in level.history]
    changes.sort(key=lambda row: row[2]["at"], reverse=True)
    return page("product.html", store, product=found, levels=levels, changes=changes[:ROWS])


@blueprint.post("/store/<name>/stock")
@in_store
def set_stock(store: Store) -> Response:
    """`available` typed by hand, or units moved to damaged."""
    form = request.form
    variant = store.variant(form["sku"])
    level = inventory.level(store, variant, store.location(form.get("location") or None))
    if form.get("damaged"):
        inventory.move(store, level, "available", "damaged", int(form["damaged"]), who="admin")
    else:
        inventory.set_available(store, level, int(form["available"]), who="admin", why="edited by hand")
    return done(store)


@blueprint.get("/store/<name>/orders")
@in_store
def order_list(store: Store) -> str:
    """Orders, newest first."""
    number, newest = max(1, request.args.get("page", 1, int)), list(reversed(store.orders.values()))
    return page(
        "orders.html",
        store,
        orders=_cut(newest, number),
        total=len(newest),
        number=number,
        most=ROWS,
        goods=goods(store),
    )


def goods(store: Store) -> list[tuple[str, str]]:
    """What can be sold, for a select: id and words. The first 200."""
    return [(v.gid, f"{store.products[v.product_id].title} · {v.sku}") for v in list(store.variants.values())[:200]]


@blueprint.post("/store/<name>/orders")
@in_store
def sell(store: Store) -> Response:
    """Somebody buys."""
    orders.create(store, {"lines": [{"variant_gid": request.form["sku"], "quantity": int(request.form["quantity"])}]})
    return done(store)


@blueprint.get("/store/<name>/orders/<int:number>")
@in_store
def one_order(store: Store, number: int) -> str:
    """An order, with everything that can happen to it."""
    return page("order.html", store, order=store.order(number), goods=goods(store))


@blueprint.post(
    "/store/<name>/orders/<int:number>/<any(fulfil, unship, cancel, restock, refund, edit, add, pay, hold, release, track):verb>"
)
@in_store
def change_order(store: Store, number: int, verb: str) -> Response:
    """The order is fulfilled, a parcel called back or tracked, cancelled (`restock`: and put back), refunded, edited, gets another line, is
    paid, held or released."""
    _CHANGES[verb](store, store.order(number), request.form)
    return done(store)


def _fulfil(store: Store, order: Order, form: Any) -> None:
    parts = [{"line_item_id": form["line"], "quantity": int(form["quantity"])}] if form.get("line") else None
    orders.fulfil(
        store, order, parts, form.get("tracking_number", "").strip(), {"company": form.get("company", "").strip()}
    )


def _refund(store: Store, order: Order, form: Any) -> None:
    part = {
        "line_item_id": form["line"],
        "quantity": int(form.get("quantity", 1)),
        "restock_type": form["restock_type"],
    }
    orders.refund(store, order, [part])


def _edit(store: Store, order: Order, form: Any) -> None:
    orders.edit(store, order, [{"line_item_id": form["line"], "quantity": int(form["quantity"])}], [])


def _add(store: Store, order: Order, form: Any) -> None:
    orders.edit(store, order, [], [{"variant_gid": form["sku"], "quantity": int(form["quantity"])}])


def _track(store: Store, order: Order, form: Any) -> None:
    parcel = next((parcel for parcel in order.fulfillments if str(parcel.id) == form["parcel"]), None)
    if parcel is None or not form["tracking_number"].strip():
        raise DevshopError("Give a tracking number for a parcel of this order.")
    tracking = {"numbers": [form["tracking_number"].strip()], "company": form.get("company", "").strip()}
    orders.track(store, order, parcel, tracking)


_CHANGES = {
    "pay": lambda store, order, form: orders.pay(store, order),
    "hold": lambda store, order, form: orders.hold(store, order, is_on_hold=True),
    "release": lambda store, order, form: orders.hold(store, order, is_on_hold=False),
    "track": _track,
    "fulfil": _fulfil,
    "unship": lambda store, order, form: orders.cancel_fulfillment(store, order, int(form["parcel"])),
    "cancel": lambda store, order, form: orders.cancel(store, order, restock=False),
    "restock": lambda store, order, form: orders.cancel(store, order, restock=True),
    "refund": _refund,
    "edit": _edit,
    "add": _add,
}


@blueprint.get("/store/<name>/drafts")
@in_store
def draft_list(store: Store) -> str:
    """Draft orders, newest first."""
    number, newest = max(1, request.args.get("page", 1, int)), list(reversed(store.drafts.values()))
    return page("drafts.html", store, rows=_cut(newest, number), total=len(newest), number=number, most=ROWS)


@blueprint.get("/store/<name>/drafts/<int:number>")
@in_store
def one_draft(store: Store, number: int) -> str:
    """A draft order."""
    draft = store.draft(number)
    return page("draft.html", store, draft=draft, order=store.orders.get(draft.order_id or -1), goods=goods(store))


@blueprint.post("/store/<name>/drafts/<int:number>/<any(edit, add, complete, pay, delete):verb>")
@in_store
def change_draft(store: Store, number: int, verb: str) -> Response:
    """The draft's lines change, it becomes an order (`pay`: a paid one), or it is deleted."""
    draft, form = store.draft(number), request.form
    if verb == "delete":
        drafts.delete(store, draft)
    elif verb in ("complete", "pay"):
        drafts.complete(store, draft, is_pending=verb == "complete")
    elif verb == "add":
        drafts.edit(store, draft, {"add": [{"sku": form["sku"], "quantity": int(form["quantity"])}]})
    else:
        drafts.edit(store, draft, {"set": [{"line_id": form["line"], "quantity": int(form["quantity"])}]})
    return done(store)
