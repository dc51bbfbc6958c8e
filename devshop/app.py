"""The WSGI application: API, OAuth, control and admin on one address, stores told apart by `Host`."""

from __future__ import annotations

import logging

from flask import Flask, Response, jsonify, request

from devshop import admin, control, graphql_api, oauth
from devshop.webhooks import Sender
from devshop.world import World


def create_app(world: World, sender: Sender | None = None) -> Flask:
    """devshop for this world. Nothing runs in the background until `sender.start()`."""
    app = Flask("devshop", static_folder=None, template_folder="admin/templates")
    app.jinja_options = {"trim_blocks": True, "lstrip_blocks": True}
    app.extensions["devshop"] = world
    app.extensions["devshop_sender"] = sender or Sender(world)
    for module in (graphql_api, oauth, control, admin):
        app.register_blueprint(module.blueprint)
    app.before_request(lambda: _outage(world))
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    return app


def _outage(world: World) -> tuple[Response, int] | None:
    """The Admin API's answer while it is switched off (`World.api_status`)."""
    if world.api_status is None or not request.path.startswith("/admin/api/"):
        return None
    return jsonify(
        {"errors": "Internal Server Error" if world.api_status == 500 else "Service Unavailable"}
    ), world.api_status
