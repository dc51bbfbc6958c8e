"""What all pages of the admin have in common: the store, the lock, the frame around them, and the list of stores."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

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

from devshop import drafts
from devshop.webhooks import Sender
from devshop.world import DevshopError, Store, World

blueprint = Blueprint("admin", __name__)


def world() -> World:
    """The world of this server."""
    return current_app.extensions["devshop"]


def sender() -> Sender:
    """The webhooks of this server."""
    return current_app.extensions["devshop_sender"]


def find_store(name: str) -> Store:
    """The store of that name in the address; else 404."""
    store = world().stores.get(f"{name}.myshopify.com")
    if store is None:
        abort(404, f"There is no store {name} in this devshop.")
    return store


def in_store(function: Callable[..., Any]) -> Callable[..., Any]:
    """The view gets its store and runs alone. What cannot be done is told on a page, with the way back."""

    @wraps(function)
    def run(name: str, **kwargs: Any) -> Any:
        with world().lock:
            store = find_store(name)
            drafts.release_expired(store)
            try:
                return function(store, **kwargs)
            except (DevshopError, ValueError) as error:
                return page("message.html", store, section="", message=str(error), way_back=way_back(store)), 400

    return run


@blueprint.app_context_processor
def around() -> dict[str, Any]:
    """What the frame around every page shows."""
    config = world().config
    return {
        "stores": list(world().stores.values()),
        "app_name": config.name if config else "App",
        "app_handle": config.handle if config else "app",
        "now": world().clock.now(),
        "speed": world().clock.speed,
    }


def page(template: str, store: Store | None, **facts: Any) -> str:
    """A page in the admin's frame."""
    return render_template(template, store=store, **facts)


def way_back(store: Store) -> str:
    """The page of this store that a form came from."""
    path = request.form.get("back", "")
    return path if path.startswith(f"/store/{store.handle}") else f"/store/{store.handle}"


def done(store: Store) -> Any:
    """Back to the page the form came from; a script is told in JSON."""
    if request.headers.get("Accept", "").startswith("application/json"):
        return jsonify({"ok": True})
    return redirect(way_back(store), 303)


@blueprint.get("/")
def stores() -> str:
    """All stores."""
    with world().lock:
        return page("stores.html", None)


@blueprint.get("/_devshop/static/<path:name>")
def static(name: str) -> Response:
    """The admin's own files."""
    return send_from_directory(f"{current_app.root_path}/admin/static", name, max_age=0)
