"""The admin: stores, products, orders, and the app embedded beside live stock. Forms post and come back; the app's frame stays."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from flask import (
    Blueprint,
    Response,
    abort,
    current_app,
    jsonify,
    redirect,
    render_template,
    request,
    send_from_directory,
)

from devshop import inventory, oauth, orders
from devshop.world import DevshopError, Store, World

blueprint = Blueprint("admin", __name__)


def world() -> World:
    """The world of this server."""
    return current_app.extensions["devshop"]


def in_store(function: Callable[..., Any]) -> Callable[..., Any]:
    """The view gets its store and runs alone. What cannot be done is told on the page it came from."""

    @wraps(function)
    def run(name: str, **kwargs: Any) -> Any:
        with world().lock:
            store = world().stores.get(f"{name}.myshopify.com")
            if store is None:
                abort(404)
            try:
                return function(store, **kwargs)
            except (DevshopError, ValueError) as error:
                return render_template("message.html", store=store, message=str(error), **_frame(store)), 400

    return run


def _frame(store: Store | None) -> dict[str, Any]:
    config = world().config
    return {
        "app_name": config.name if config else "App",
        "app_handle": config.handle if config else "app",
        "store": store,
    }


@blueprint.get("/")
def stores() -> str:
    """All stores."""
    return render_template("stores.html", stores=list(world().stores.values()), **_frame(None))


@blueprint.get("/store/<name>")
@in_store
def products(store: Store) -> str:
    """Products with their stock."""
    page = max(1, request.args.get("page", 1, int))
    text = request.args.get("q", "").lower()
    found = [
        v
        for v in store.variants.values()
        if text in v.sku.lower() or text in store.products[v.product_id].title.lower()
    ]
    rows = [_row(store, variant) for variant in found[(page - 1) * 50 : page * 50]]
    return render_template("products.html", rows=rows, total=len(found), page=page, q=text, **_frame(store))


def _row(store: Store, variant: Any) -> dict[str, Any]:
    levels = [level for level in (store.levels.get((variant.item_id, place)) for place in store.locations) if level]
    return {"variant": variant, "product": store.products[variant.product_id], "levels": levels}


@blueprint.get("/store/<name>/stock.json")
@in_store
def stock(store: Store) -> Response:
    """What the strip beside the app shows: the first variants with what is available and committed."""
    rows = []
    for variant in list(store.variants.values())[:40]:
        levels = [level for key, level in store.levels.items() if key[0] == variant.item_id]
        title = store.products[variant.product_id].title
        numbers = {name: sum(level.quantity(name) for level in levels) for name in ("available", "committed")}
        rows.append({"sku": variant.sku, "title": title, **numbers})
    return jsonify(rows)


@blueprint.post("/store/<name>/stock")
@in_store
def set_stock(store: Store) -> Response:
    """`available` typed by hand, or units moved to damaged."""
    form = request.form
    level = inventory.level(store, store.variant(form["sku"]), store.location(form.get("location") or None))
    if form.get("damaged"):
        inventory.move(store, level, "available", "damaged", int(form["damaged"]), who="admin")
    else:
        inventory.set_available(store, level, int(form["available"]), who="admin", why="edited by hand")
    return _back(store)


@blueprint.get("/store/<name>/orders")
@in_store
def order_list(store: Store) -> str:
    """Orders, newest first."""
    listed = list(reversed(store.orders.values()))[:100]
    return render_template("orders.html", orders=listed, variants=list(store.variants.values())[:200], **_frame(store))


@blueprint.post("/store/<name>/orders")
@in_store
def sell(store: Store) -> Response:
    """Somebody buys."""
    orders.create(store, {"lines": [{"sku": request.form["sku"], "quantity": int(request.form["quantity"])}]})
    return _back(store)


@blueprint.post("/store/<name>/orders/<int:number>/<any(fulfil, cancel, restock, refund, edit):verb>")
@in_store
def change_order(store: Store, number: int, verb: str) -> Response:
    """Fulfil, cancel (with or without restock), refund one unit of a line, or set a line's quantity."""
    order = store.order(number)
    line = {"line_item_id": request.form.get("line")}
    if verb == "fulfil":
        orders.fulfil(store, order)
    elif verb in ("cancel", "restock"):
        orders.cancel(store, order, restock=verb == "restock")
    elif verb == "refund":
        orders.refund(store, order, [{**line, "quantity": 1, "restock_type": request.form["restock_type"]}])
    else:
        orders.edit(store, order, [{**line, "quantity": int(request.form["quantity"])}], [])
    return _back(store)


@blueprint.get("/store/<name>/settings")
@in_store
def settings(store: Store) -> str:
    """Locations, the app's access, webhooks and calls."""
    sender = current_app.extensions["devshop_sender"]
    told = [delivery for delivery in reversed(sender.deliveries) if delivery.store is store][:50]
    return render_template(
        "settings.html", told=told, calls=list(reversed(store.calls))[:50], sender=sender, **_frame(store)
    )


@blueprint.post("/store/<name>/settings/<any(location, uninstall, install, pause):verb>")
@in_store
def change_settings(store: Store, verb: str) -> Response:
    """A location on or off, the app out or in, webhooks held back or sent."""
    if verb == "location":
        place = store.location(request.form["gid"])
        place.is_active = not place.is_active
        store.emit("locations/activate" if place.is_active else "locations/deactivate", place)
    elif verb == "pause":
        sender = current_app.extensions["devshop_sender"]
        sender.is_paused = not sender.is_paused
    elif verb == "uninstall":
        oauth.uninstall(store)
    else:
        oauth.install(store)
    return redirect(f"/store/{store.handle}/settings", 303)


@blueprint.get("/store/<name>/apps/<handle>")
@blueprint.get("/store/<name>/apps/<handle>/<path:path>")
@in_store
def embedded(store: Store, handle: str, path: str = "") -> str:
    """The app in its frame, installed on the way if it was not, with the store's stock beside it."""
    if not store.is_installed:
        oauth.install(store)
    source = f"{world().app_url}/{path}?{urlencode({**request.args, **oauth.launch_query(store)})}"
    variants = list(store.variants.values())[:200]
    return render_template("embedded.html", source=source, app_url=world().app_url, variants=variants, **_frame(store))


@blueprint.post("/store/<name>/id-token")
@in_store
def id_token(store: Store) -> Response:
    """A fresh ID token for the frame. Only pages of this admin ask: the answer carries no CORS header."""
    if not store.is_installed:
        abort(403)
    return jsonify({"id_token": oauth.make_id_token(store)})


@blueprint.get("/app-bridge.js")
def app_bridge() -> Response:
    """The shim that stands in for Shopify's App Bridge."""
    return send_from_directory(f"{current_app.root_path}/admin/static", "app-bridge.js", max_age=0)


@blueprint.get("/_devshop/static/<path:name>")
def static(name: str) -> Response:
    """The admin's own files."""
    return send_from_directory(f"{current_app.root_path}/admin/static", name, max_age=0)


def _back(store: Store) -> Any:
    if request.headers.get("Accept", "").startswith("application/json"):
        return jsonify({"ok": True})
    return redirect(request.form.get("back") or f"/store/{store.handle}", 303)
