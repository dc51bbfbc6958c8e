"""The JSON control API under `/_devshop/`: everything that can be done in the admin, for tests and benchmarks."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Blueprint, Response, current_app, jsonify, request

from devshop import bulk, drafts, inventory, oauth, orders, products, roasters
from devshop.faults import Faults
from devshop.shelf import Publication
from devshop.world import DevshopError, Level, Order, Product, Store, World

blueprint = Blueprint("control", __name__, url_prefix="/_devshop")


def world() -> World:
    """The world of this server."""
    return current_app.extensions["devshop"]


def locked(function: Callable[..., Any]) -> Callable[..., Any]:
    """The view runs alone; what cannot be done is answered 400 with a sentence."""

    @wraps(function)
    def run(*args: Any, domain: str | None = None, **kwargs: Any) -> Any:
        with world().lock:
            try:
                if domain is None:
                    return function(*args, **kwargs)
                store = world().store(domain)
                drafts.release_expired(store)
                return function(store, *args, **kwargs)
            except (DevshopError, KeyError, TypeError, ValueError) as error:
                words = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
                return jsonify({"error": words}), 400

    return run


def body() -> Any:
    """The request's JSON, or nothing."""
    return request.get_json(silent=True) or {}


@blueprint.get("/health")
def health() -> Response:
    """Alive."""
    return jsonify({"ok": True, "stores": len(world().stores)})


@blueprint.post("/reset")
@locked
def reset() -> Response:
    """No store is left, and time is the machine's again."""
    world().reset()
    current_app.extensions["devshop_sender"].deliveries.clear()
    return jsonify({"ok": True})


@blueprint.get("/shops")
@locked
def shops() -> Response:
    """All stores."""
    return jsonify([_store(store) for store in world().stores.values()])


@blueprint.post("/shops")
@locked
def add_shop() -> Response:
    """A new store."""
    data = body()
    names = data.pop("locations", None) or ["Main location"]
    store = world().add_store(**data)
    for place in names:
        store.add_location(**(place if isinstance(place, dict) else {"name": place}))
    return jsonify(_store(store))


@blueprint.post("/roasters")
@locked
def add_roasters() -> Response:
    """Three roasters' stores, ready to become partners (`devshop.roasters`)."""
    return jsonify([_store(store) for store in roasters.seed(world())])


def _store(store: Store) -> dict[str, Any]:
    places = [
        {"gid": place.gid, "name": place.name, "is_active": place.is_active} for place in store.locations.values()
    ]
    return {
        "domain": store.domain,
        "shop_gid": store.gid,
        "name": store.name,
        "is_installed": store.is_installed,
        "locations": places,
    }


@blueprint.get("/shops/<domain>/products")
@locked
def list_products(store: Store) -> Response:
    """All products."""
    return jsonify([_product(product) for product in store.products.values()])


@blueprint.post("/shops/<domain>/products")
@locked
def add_products(store: Store) -> Response:
    """New products."""
    return jsonify([_product(products.create(store, row)) for row in body()])


@blueprint.post("/shops/<domain>/products/generate")
@locked
def generate(store: Store) -> Response:
    """Many products at once."""
    data = body()
    products.generate(store, int(data["count"]), int(data.get("available", 20)))
    return jsonify({"ok": True})


def _product(product: Product) -> dict[str, Any]:
    rows = [
        {"variant_gid": v.gid, "inventory_item_gid": v.item_gid, "sku": v.sku, "price": str(v.price)}
        for v in product.variants
    ]
    return {"product_gid": product.gid, "title": product.title, "variants": rows}


@blueprint.post("/shops/<domain>/products/update")
@locked
def update_product(store: Store) -> Response:
    """Fields of a product or of a variant."""
    data = body()
    key = data.pop("variant_gid", None) or data.pop("sku", None)
    variant = store.variant(key) if key else None
    gid = data.pop("product_gid", None)
    product = (
        store.products[variant.product_id] if variant else next(p for p in store.products.values() if p.gid == gid)
    )
    if "new_sku" in data:
        data["sku"] = data.pop("new_sku")
    products.update(store, product, variant, data)
    return jsonify(_product(product))


@blueprint.post("/shops/<domain>/variants/delete")
@locked
def delete_variant(store: Store) -> Response:
    """A variant is gone."""
    products.delete_variant(store, store.variant(_key()))
    return jsonify({"ok": True})


def _key() -> str:
    data = body()
    return data.get("variant_gid") or data["sku"]


@blueprint.get("/shops/<domain>/inventory")
@locked
def list_inventory(store: Store) -> Response:
    """All levels."""
    return jsonify([_level(store, level) for level in store.levels.values()])


def _level(store: Store, level: Level) -> dict[str, Any]:
    variant, place = store.items[level.item_id], store.locations[level.location_id]
    shown = {
        "variant_gid": variant.gid,
        "inventory_item_gid": variant.item_gid,
        "sku": variant.sku,
        "location_gid": place.gid,
    }
    return {**shown, "is_active": level.is_active and place.is_active, **level.quantities, "on_hand": level.on_hand}


@blueprint.post("/shops/<domain>/inventory/set")
@locked
def set_inventory(store: Store) -> Response:
    """A hand edit of `available`."""
    data = body()
    level = inventory.level(store, store.variant(_key()), store.location(data.get("location_gid")))
    inventory.set_available(store, level, int(data["available"]), who="admin", why="edited by hand")
    return jsonify(_level(store, level))


@blueprint.post("/shops/<domain>/inventory/move")
@locked
def move_inventory(store: Store) -> Response:
    """Units go from one state to another."""
    data = body()
    level = inventory.level(store, store.variant(_key()), store.location(data.get("location_gid")))
    inventory.move(store, level, data["from"], data["to"], int(data["quantity"]), who="admin")
    return jsonify(_level(store, level))


@blueprint.post("/shops/<domain>/locations")
@locked
def add_location(store: Store) -> Response:
    """A new location: `name`, `address` (keys of Shopify's MailingAddressInput)."""
    place = store.add_location(body()["name"], body().get("address"))
    store.emit("locations/create", place)
    return jsonify({"gid": place.gid, "name": place.name})


@blueprint.post("/shops/<domain>/locations/name")
@locked
def rename_location(store: Store) -> Response:
    """A location has another name."""
    place = store.location(body()["location_gid"])
    place.name = str(body()["name"])
    store.emit("locations/update", place)
    return jsonify({"gid": place.gid, "name": place.name})


@blueprint.post("/shops/<domain>/locations/delete")
@locked
def delete_location(store: Store) -> Response:
    """A location is gone, with what was stocked there."""
    place = store.location(body()["location_gid"])
    del store.locations[place.id]
    store.levels = {key: level for key, level in store.levels.items() if level.location_id != place.id}
    store.emit("locations/delete", place)
    return jsonify({"gid": place.gid})


@blueprint.post("/shops/<domain>/locations/address")
@locked
def change_address(store: Store) -> Response:
    """A location has another address, or none."""
    place = store.location(body()["location_gid"])
    place.address = dict(body().get("address") or {})
    store.emit("locations/update", place)
    return jsonify({"gid": place.gid, "address": place.address})


@blueprint.post("/shops/<domain>/collections")
@locked
def add_collection(store: Store) -> Response:
    """A collection: `title`, `smart`."""
    made = products.collection(store, body()["title"], is_smart=bool(body().get("smart")))
    return jsonify({"gid": made.gid, "title": made.title})


@blueprint.post("/shops/<domain>/publications")
@locked
def set_publications(store: Store) -> Response:
    """The store has these sales channels alone: `names`; the first is its online store."""
    kept = {found.name: found for found in store.publications.values()}
    rows = [kept.get(name) or Publication(store.world.new_id(), name) for name in body()["names"]]
    store.publications = {row.id: row for row in rows}
    for product in store.products.values():
        product.published = {key: at for key, at in product.published.items() if key in store.publications}
    return jsonify([{"gid": row.gid, "name": row.name} for row in rows])


@blueprint.post("/shops/<domain>/locations/<any(activate, deactivate):verb>")
@locked
def switch_location(store: Store, verb: str) -> Response:
    """A location is on or off."""
    place = store.location(body()["location_gid"])
    place.is_active = verb == "activate"
    store.emit(f"locations/{verb}", place)
    return jsonify({"gid": place.gid, "is_active": place.is_active})


@blueprint.get("/shops/<domain>/orders")
@locked
def list_orders(store: Store) -> Response:
    """All orders."""
    return jsonify([_order(order) for order in store.orders.values()])


@blueprint.post("/shops/<domain>/orders")
@locked
def add_order(store: Store) -> Response:
    """Somebody buys."""
    return jsonify(_order(orders.create(store, body())))


@blueprint.get("/shops/<domain>/orders/<key>")
@locked
def one_order(store: Store, key: str) -> Response:
    """One order."""
    return jsonify(_order(store.order(key)))


@blueprint.post("/shops/<domain>/orders/past")
@locked
def add_past(store: Store) -> Response:
    """Orders of the past, as given."""
    return jsonify({"orders": orders.past(store, body()["orders"])})


@blueprint.post("/shops/<domain>/orders/history")
@locked
def add_history(store: Store) -> Response:
    """Orders of the past, shipped long since: `days`, `per_day`."""
    data = body()
    return jsonify({"orders": orders.history(store, int(data["days"]), int(data.get("per_day", 1)))})


@blueprint.post("/shops/<domain>/orders/<key>/<any(cancel, fulfil, refund, edit, pay, hold, release, track):verb>")
@locked
def change_order(store: Store, key: str, verb: str) -> Response:
    """An order is cancelled, fulfilled (`lines`, `tracking`), refunded, edited, paid, held or released; its last parcel's tracking
    changes."""
    order, data = store.order(key), body()
    if verb == "cancel":
        orders.cancel(store, order, restock=bool(data.get("restock", True)))
    elif verb == "fulfil":
        orders.fulfil(store, order, data.get("lines"), data.get("tracking_number", ""), data.get("tracking"))
    elif verb == "pay":
        orders.pay(store, order)
    elif verb in ("hold", "release"):
        orders.hold(store, order, is_on_hold=verb == "hold")
    elif verb == "track":
        if not order.fulfillments:
            raise DevshopError(f"{order.name} has no parcel")
        orders.track(store, order, order.fulfillments[-1], data)
    elif verb == "refund":
        orders.refund(store, order, data["lines"])
    else:
        orders.edit(store, order, data.get("set", []), data.get("add", []))
    return jsonify(_order(order))


@blueprint.post("/shops/<domain>/orders/<key>/fulfilments/<int:number>/cancel")
@locked
def cancel_fulfilment(store: Store, key: str, number: int) -> Response:
    """A parcel did not leave."""
    order = store.order(key)
    orders.cancel_fulfillment(store, order, number)
    return jsonify(_order(order))


def _order(order: Order) -> dict[str, Any]:
    return {
        "id": order.id,
        "gid": order.gid,
        "name": order.name,
        "created_at": order.created_at.isoformat(),
        "updated_at": order.updated_at.isoformat(),
        "cancelled_at": order.cancelled_at.isoformat() if order.cancelled_at else None,
        "financial_status": order.financial_status,
        "fulfillment_status": order.fulfillment_status,
        "fulfilments": [
            {"id": f.id, "status": f.status, "tracking_numbers": f.tracking_numbers} for f in order.fulfillments
        ],
        "tags": order.tags,
        "note": order.note,
        "total": str(order.total),
        "line_items": [
            {
                "id": line.id,
                "gid": line.gid,
                "title": line.title,
                "sku": line.variant.sku if line.variant else None,
                "variant_gid": line.variant.gid if line.variant else None,
                "quantity": line.quantity,
                "current_quantity": line.current_quantity,
                "unfulfilled_quantity": line.unfulfilled,
                "unit_price": str(line.unit_price),
            }
            for line in order.lines
        ],
    }


@blueprint.get("/shops/<domain>/drafts")
@locked
def list_drafts(store: Store) -> Response:
    """All draft orders."""
    return jsonify([_draft(store, draft) for draft in store.drafts.values()])


@blueprint.get("/shops/<domain>/drafts/<key>")
@locked
def one_draft(store: Store, key: str) -> Response:
    """One draft order, by id, gid or name without its #."""
    return jsonify(_draft(store, store.draft(key if key.isdecimal() else f"#{key}")))


@blueprint.post("/shops/<domain>/drafts/<key>/<any(edit, complete, delete):verb>")
@locked
def change_draft(store: Store, key: str, verb: str) -> Response:
    """The merchant edits a draft order (`devshop.drafts.edit`), completes it (`payment_pending`), or deletes it."""
    draft, data = store.draft(key if key.isdecimal() else f"#{key}"), body()
    if verb == "edit":
        drafts.edit(store, draft, data)
    elif verb == "delete":
        drafts.delete(store, draft)
    else:
        drafts.complete(store, draft, is_pending=bool(data.get("payment_pending", True)))
    return jsonify(_draft(store, draft))


def _draft(store: Store, draft: drafts.Draft) -> dict[str, Any]:
    order = store.orders.get(draft.order_id or -1)
    shown = {"id": draft.id, "gid": draft.gid, "name": draft.name, "status": draft.status, "tags": draft.tags}
    shown |= {"note": draft.note, "total": str(draft.total), "order": order.name if order else None}
    shown |= {
        "order_id": draft.order_id,
        "reserve_until": draft.reserve_until.isoformat() if draft.reserve_until else None,
    }
    rows = [
        {
            "id": line.id,
            "title": line.title,
            "sku": line.variant.sku if line.variant else None,
            "variant_gid": line.variant.gid if line.variant else None,
            "quantity": line.quantity,
            "unit_price": str(line.original_price - line.unit_discount),
        }
        for line in draft.lines
    ]
    return {**shown, "lines": rows}


@blueprint.get("/shops/<domain>/calls")
@locked
def calls(store: Store) -> Response:
    """API calls of the app."""
    return jsonify(store.calls)


@blueprint.delete("/shops/<domain>/calls")
@locked
def forget_calls(store: Store) -> Response:
    """The record of calls is empty."""
    store.calls.clear()
    return jsonify({"ok": True})


@blueprint.get("/bulk/<int:number>.jsonl")
@locked
def bulk_result(number: int) -> Response | tuple[Response, int]:
    """The result file of a bulk operation."""
    lines = bulk.result(world().store(request.host.split(":")[0]), number)
    return (
        Response(lines, mimetype="application/jsonl")
        if lines is not None
        else (jsonify({"error": "no such result"}), 404)
    )


# The app and its access ----------------------------------------------------------------------------------------------------------


@blueprint.post("/shops/<domain>/install")
@locked
def install(store: Store) -> Response:
    """The store has the app."""
    oauth.install(store, tuple(body().get("scopes") or ()) or None)
    return jsonify({"granted": store.granted})


@blueprint.post("/shops/<domain>/uninstall")
@locked
def uninstall(store: Store) -> Response:
    """The app is gone from the store."""
    oauth.uninstall(store)
    return jsonify({"ok": True})


@blueprint.post("/shops/<domain>/scopes")
@locked
def scopes(store: Store) -> Response:
    """The store grants other scopes."""
    oauth.grant_scopes(store, tuple(body()["granted"]))
    return jsonify({"granted": store.granted})


@blueprint.post("/shops/<domain>/id-token")
@locked
def id_token(store: Store) -> Response:
    """An ID token as App Bridge would give it."""
    data = body()
    return jsonify({"id_token": oauth.make_id_token(store, int(data.get("expires_in", 60)), data.get("claims"))})


@blueprint.post("/shops/<domain>/access-token")
@locked
def access_token(store: Store) -> Response:
    """A token of the app, without the dance."""
    oauth.install(store, tuple(body().get("scopes") or ()) or store.granted or None)
    token = oauth.issue(store, expiring=True)
    return jsonify({"access_token": token.value, "refresh_token": token.refresh_token, "scope": ",".join(token.scopes)})


@blueprint.post("/shops/<domain>/tokens/revoke")
@locked
def revoke(store: Store) -> Response:
    """No token of the store works any more."""
    store.tokens.clear()
    return jsonify({"ok": True})


@blueprint.post("/shops/<domain>/compliance")
@locked
def compliance(store: Store) -> Response:
    """A request of privacy law."""
    data = body()
    topic = data.pop("topic")
    was, store.is_installed = store.is_installed, True
    store.emit(topic, data)
    store.is_installed = was
    return jsonify({"ok": True})


@blueprint.post("/secret")
@locked
def rotate_secret() -> Response:
    """The app has a new secret; the old one is good until it is revoked (`{"revoke_old": true}`)."""
    data = body()
    if data.get("revoke_old"):
        world().old_client_secret = None
    if data.get("client_secret"):
        world().old_client_secret, world().client_secret = world().client_secret, data["client_secret"]
    return jsonify({"ok": True})


# Webhooks and time -----------------------------------------------------------------------------------------------------------------


@blueprint.get("/shops/<domain>/deliveries")
@locked
def deliveries(store: Store) -> Response:
    """All webhooks of the store, sent or not."""
    sender = current_app.extensions["devshop_sender"]
    return jsonify([delivery.shown() for delivery in sender.deliveries if delivery.store is store])


@blueprint.post("/webhooks/deliver")
def deliver() -> Response:
    """All that is due now goes out; all that waits with `{"now": true}`."""
    return jsonify(current_app.extensions["devshop_sender"].deliver_due(everything=bool(body().get("now"))))


@blueprint.post("/webhooks/<any(pause, resume):verb>")
def pause(verb: str) -> Response:
    """Nothing goes out by itself, or everything does again."""
    current_app.extensions["devshop_sender"].is_paused = verb == "pause"
    return jsonify({"ok": True})


@blueprint.post("/switches")
@locked
def switches() -> Response:
    """`debounce`: equal reduced payloads within a second are told once, in all stores."""
    current_app.extensions["devshop_sender"].debounces = bool(body()["debounce"])
    return jsonify({"ok": True})


@blueprint.route("/shops/<domain>/faults", methods=["GET", "POST", "DELETE"])
@locked
def change_faults(store: Store) -> Response:
    """The store's faults (`devshop.faults.Faults`); POST sets those that it names, DELETE switches all off."""
    if request.method == "DELETE":
        store.faults = Faults()
    elif request.method == "POST":
        store.faults.change(body())
    return jsonify(store.faults.shown())


@blueprint.post("/clock")
@locked
def clock() -> Response:
    """Time jumps (`advance`, seconds) or runs faster (`speed`)."""
    data = body()
    if "speed" in data:
        world().clock.set_speed(float(data["speed"]))
    if "advance" in data:
        world().clock.advance(float(data["advance"]))
    return jsonify({"now": world().clock.now().isoformat()})
