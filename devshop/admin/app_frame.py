"""The app in its frame, and what the shim in it asks the admin for: ID tokens, live stock, a choice of products."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from flask import Response, abort, current_app, jsonify, redirect, request, send_from_directory

from devshop import oauth
from devshop.admin.frame import blueprint, in_store, page, world
from devshop.admin.goods import goods
from devshop.world import Product, Store

MOST_SHOWN = 40


@blueprint.get("/store/<name>/apps/<handle>", strict_slashes=False)
@blueprint.get("/store/<name>/apps/<handle>/<path:path>")
@in_store
def embedded(store: Store, handle: str, path: str = "") -> str:
    """The app with the store's stock beside it; before that, the question whether it may come in."""
    _check_handle(handle)
    if oauth.needs_grant(store):
        action = f"{request.path}?{request.query_string.decode()}".rstrip("?")
        return page("grant.html", store, access=oauth.asked_access(store), action=action)
    source = f"{world().app_url}/{path}?{urlencode(oauth.launch_query(store, request.args.to_dict()))}"
    config = world().config
    scopes = (config.scopes, config.optional_scopes) if config else ([], [])
    return page("embedded.html", store, source=source, app_url=world().app_url, goods=goods(store), scopes=scopes)


def _check_handle(handle: str) -> None:
    config = world().config
    if handle not in (config.handle if config else "app", world().client_id):
        abort(404, f"There is no app {handle} here.")


@blueprint.post("/store/<name>/apps/<handle>")
@blueprint.post("/store/<name>/apps/<handle>/<path:path>")
@in_store
def grant(store: Store, handle: str, path: str = "") -> Any:
    """The owner has said yes, and the app opens; or no."""
    _check_handle(handle)
    if request.form.get("decision") != "accept":
        return redirect(f"/store/{store.handle}", 303)
    config = world().config
    oauth.accept(store, tuple(config.scopes if config else ()), request.form.getlist("optional"))
    return redirect(request.full_path.rstrip("?"), 303)


@blueprint.post("/store/<name>/id-token")
@in_store
def id_token(store: Store) -> Response:
    """A fresh ID token for the frame. Only pages of this admin ask: the answer carries no CORS header."""
    if not store.is_installed:
        abort(403)
    return jsonify({"id_token": oauth.make_id_token(store)})


@blueprint.post("/store/<name>/scopes")
@in_store
def change_scopes(store: Store) -> Response:
    """What `shopify.scopes` does once the owner has said yes: optional scopes are granted, or given back."""
    data, config = request.get_json(), world().config
    known = set(config.optional_scopes if config else ())
    granted, given_back = set(data.get("grant", ())), set(data.get("revoke", ()))
    if not store.is_installed or not granted | given_back <= known:
        abort(400, "Only optional scopes of the app's configuration can be asked for or given back.")
    kept = [scope for scope in store.granted if scope not in given_back]
    oauth.grant_scopes(store, tuple(dict.fromkeys([*kept, *sorted(granted)])))
    return jsonify({"granted": store.granted})


@blueprint.get("/store/<name>/stock.json")
@in_store
def stock(store: Store) -> Response:
    """What the strip beside the app shows: the first variants with what is available and committed, over all locations."""
    rows = []
    for variant in list(store.variants.values())[:MOST_SHOWN]:
        levels = [store.levels.get((variant.item_id, place)) for place in store.locations]
        numbers = {name: sum(level.quantity(name) for level in levels if level) for name in ("available", "committed")}
        rows.append({"sku": variant.sku, "title": store.products[variant.product_id].title, **numbers})
    return jsonify(rows)


@blueprint.get("/store/<name>/picker.json")
@in_store
def picker(store: Store) -> Response:
    """Products for `shopify.resourcePicker`, by words of their title or SKU; the first 50."""
    text = request.args.get("q", "").lower()
    found = [product for product in store.products.values() if text in _words(product)]
    return jsonify([_picked(product) for product in found[:50]])


def _words(product: Product) -> str:
    return " ".join([product.title, *(variant.sku for variant in product.variants)]).lower()


def _picked(product: Product) -> dict[str, Any]:
    variants = [
        {
            "id": v.gid,
            "title": v.title,
            "displayName": f"{product.title} - {v.title}",
            "sku": v.sku,
            "price": str(v.price),
        }
        for v in product.variants
    ]
    fields = {"id": product.gid, "title": product.title, "handle": product.handle, "vendor": product.vendor}
    return {**fields, "productType": product.product_type, "status": product.status, "variants": variants}


@blueprint.get("/app-bridge.js")
def app_bridge() -> Response:
    """The shim that stands in for Shopify's App Bridge."""
    return send_from_directory(f"{current_app.root_path}/admin/static", "app-bridge.js", max_age=0)
