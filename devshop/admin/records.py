"""What the app was told (webhooks) and what it asked (API calls), the faults one can switch on, and the store's settings."""

from __future__ import annotations

import json
from typing import Any

from flask import Response, request

from devshop import faults, oauth
from devshop.admin.frame import blueprint, done, find_store, in_store, page, sender, world
from devshop.world import DevshopError, Store

ROWS = 60
_CHECKS = (
    "forgets_keys",
    "fails_alone",
    "refuses_renewal",
    "refuses_topics",
    "merges",
    "fails_pictures",
    "completes_short",
)


@blueprint.get("/store/<name>/webhooks")
@in_store
def webhooks(store: Store) -> str:
    """Deliveries, newest first, each with its payload."""
    own = [delivery for delivery in reversed(sender().deliveries) if delivery.store is store][:ROWS]
    told = [(delivery, json.dumps(json.loads(delivery.body), indent=2)) for delivery in own]
    return page("webhooks.html", store, told=told, sender=sender())


@blueprint.post("/store/<name>/webhooks/pause")
@in_store
def pause_webhooks(store: Store) -> Response:
    """Webhooks are held back, or go out again."""
    sender().is_paused = not sender().is_paused
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
    return page("calls.html", store, calls=newest)


@blueprint.post("/store/<name>/calls/<any(drain, forget):verb>")
@in_store
def change_calls(store: Store, verb: str) -> Response:
    """The points are gone, or the list is emptied."""
    if verb == "drain":
        store.bucket.fill(world().clock.now())
        store.bucket.available = 0
    else:
        store.calls.clear()
    return done(store)


@blueprint.get("/store/<name>/faults")
@in_store
def show_faults(store: Store) -> str:
    """The switches."""
    return page("faults.html", store, calls=faults.CALLS, kinds=faults.KINDS, habits=faults.WEBHOOKS)


@blueprint.post("/store/<name>/faults")
@in_store
def switch_faults(store: Store) -> Response:
    """The switches stand as the form says; `off` puts all of them back."""
    form = request.form
    if form.get("off"):
        store.faults = faults.Faults()
        return done(store)
    fault = faults.CallFault(form["call"], form["kind"]) if form["call"] else None
    times = int(form.get("times") or 0)
    store.faults.change(
        {
            "always": fault and not times and {"name": fault.name, "kind": fault.kind},
            "upcoming": [{"name": fault.name, "kind": fault.kind}] * times if fault else [],
            **{name: form.get(name) or 0 for name in ("latency_ms", "stale_seconds", "late_seconds")},
            **{name: name in form for name in _CHECKS},
            "falls_forward": form.get("falls_forward", ""),
            "webhooks": form["webhooks"],
        }
    )
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
