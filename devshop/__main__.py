"""`python -m devshop`: a world with the stores of a seed file, served on one address."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from email.utils import format_datetime
from pathlib import Path

from werkzeug.serving import WSGIRequestHandler, make_server

from devshop import appconfig, products, roasters, schema
from devshop.app import create_app
from devshop.webhooks import Sender
from devshop.world import World


def main() -> None:
    """Serves until it is stopped."""
    options = _options()
    missing = [name for name in ("SHOPIFY_API_KEY", "SHOPIFY_API_SECRET") if not os.environ.get(name)]
    if missing:
        sys.exit(f"devshop: {', '.join(missing)} is not set. Give the app's own client id and secret.")
    world = World(os.environ["SHOPIFY_API_KEY"], os.environ["SHOPIFY_API_SECRET"], options.app_url)
    world.url = f"http://{options.host}:{options.port}"
    if options.config:
        world.config = appconfig.load(Path(options.config), options.app_url)
    if options.seed:
        seed(world, json.loads(Path(options.seed).read_text(encoding="utf-8")))
    if options.roasters:
        roasters.seed(world)
    schema.load()
    sender = Sender(world)
    app = create_app(world, sender)
    sender.start()
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = make_server(options.host, options.port, app, threaded=True, request_handler=_handler(world))
    print(f"devshop at http://{options.host}:{server.server_port}/", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.shutdown()


def seed(world: World, stores: list[dict]) -> None:
    """The stores of a seed file are there: `[{"domain", "name", …, "locations": [...], "products": [...], "generate": n}]`."""
    for row in stores:
        row = dict(row)
        places, goods = row.pop("locations", ["Main location"]), row.pop("products", [])
        count = row.pop("generate", 0)
        store = world.add_store(**row)
        for place in places:
            store.add_location(place)
        for product in goods:
            products.create(store, product)
        products.generate(store, count, 20)


def _handler(world: World) -> type[WSGIRequestHandler]:
    """A request handler whose `Date` header is the world's time, as Shopify's is its own."""

    class Handler(WSGIRequestHandler):
        def date_time_string(self, timestamp: float | None = None) -> str:
            return format_datetime(world.clock.now(), usegmt=True)

    return Handler


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m devshop", description="A Shopify for one machine.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9290)
    parser.add_argument("--config", help="the app's shopify.app.*.toml")
    parser.add_argument("--app-url", default="http://127.0.0.1:8000")
    parser.add_argument("--seed", help="a JSON file of stores")
    parser.add_argument("--roasters", action="store_true", help="three roasters' stores besides")
    return parser.parse_args()


if __name__ == "__main__":
    main()
