"""What the app was told (webhooks) and what it asked (API calls), the faults one can switch on, and the store's settings."""

from __future__ import annotations

import json
from typing import Any

from flask import Response, request

from devshop import oauth
from devshop.admin.frame import blueprint, done, find_store, in_store, page, sender, world
from devshop.webhooks import HABITS
from devshop.world import DevshopError, Store

ROWS = 60
API_FAULTS = (500, 503)


@blueprint.get("/store/<name>/webhooks")
@in_store
def webhooks(store: Store) -> str:
    """Deliveries, newest first, each with its payload."""
    own = [delivery for delivery in reversed(sender().deliveries) if delivery.store is store][:ROWS]
    told = [(delivery, json.dumps(json.loads(delivery.body), indent=2)) for delivery in own]
    return page("webhooks.html", store, told=told, sender=sender(), habits=HABITS)


@blueprint.post("/store/<name>/webhooks/<any(pause, habit):verb>")
@in_store
def change_webhooks(store: Store, verb: str) -> Response:
    """Webhooks are held back or sent again; the network behaves or does not."""
    if verb == "pause":
        sender().is_paused = not sender().is_paused
    elif request.form["habit"] in HABITS:
        sender().habit = request.form["habit"]
    return done(store)


@blueprint.post("/store/<name>/webhooks/send")
def send_now(name: str) -> Response:
    """All that waits is sent now. Without the lock: the app may call the API before it answers."""
    sender().deliver_due(everything=True)
    return done(find_store(name))


@blueprint.get("/store/<name>/calls")
@in_store
def calls(store: Store) -> str:
    """API calls of the app, newest first, and its points."""
    store.bucket.fill(world().clock.now())
    newest = list(reversed(store.calls))[:ROWS]
    return page("calls.html", store, calls=newest, faults=API_FAULTS, api_status=world().api_status)


@blueprint.post("/store/<name>/calls/<any(drain, status, forget):verb>")
@in_store
def change_calls(store: Store, verb: str) -> Response:
    """The points are gone, the API fails or works again, or the list is emptied."""
    if verb == "drain":
        store.bucket.fill(world().clock.now())
        store.bucket.available = 0
    elif verb == "forget":
        store.calls.clear()
    else:
        status = int(request.form["status"] or 0)
        world().api_status = status if status in API_FAULTS else None
    return done(store)


@blueprint.get("/store/<name>/settings")
@in_store
def settings(store: Store) -> str:
    """Locations, the app's access, and the clock."""
    return page("settings.html", store, config=world().config)


@blueprint.post("/store/<name>/settings/<any(location, uninstall, install, revoke, clock, speed):verb>")
@in_store
def change_settings(store: Store, verb: str) -> Response:
    """A location on or off, the app out or in, its tokens dead, time ahead or faster."""
    _CHANGES[verb](store)
    return done(store)


def _switch_location(store: Store) -> None:
    place = store.location(request.form["gid"])
    place.is_active = not place.is_active
    store.emit("locations/activate" if place.is_active else "locations/deactivate", place)


def _advance(store: Store) -> None:
    seconds = float(request.form["seconds"])
    if seconds <= 0:
        raise DevshopError("Time goes forward only: give more than 0 seconds.")
    world().clock.advance(seconds)


_CHANGES: dict[str, Any] = {
    "location": _switch_location,
    "uninstall": oauth.uninstall,
    "install": oauth.install,
    "revoke": lambda store: store.tokens.clear(),
    "clock": _advance,
    "speed": lambda store: world().clock.set_speed(float(request.form["speed"])),
}
