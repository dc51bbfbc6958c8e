"""The WSGI application: API, OAuth, control and admin on one address, stores told apart by `Host`."""

from __future__ import annotations

import logging

from flask import Flask

from devshop import admin, control, faults, graphql_api, oauth, pictures
from devshop.webhooks import Sender
from devshop.world import World


def create_app(world: World, sender: Sender | None = None) -> Flask:
    """devshop for this world. Nothing runs in the background until `sender.start()`."""
    app = Flask("devshop", static_folder=None, template_folder="admin/templates")
    app.jinja_options = {"trim_blocks": True, "lstrip_blocks": True}
    app.extensions["devshop"] = world
    app.extensions["devshop_sender"] = sender or Sender(world)
    for module in (graphql_api, oauth, control, admin, pictures):
        app.register_blueprint(module.blueprint)
    app.wsgi_app = faults.BrokenConnections(app.wsgi_app)  # type: ignore[method-assign]
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    return app
