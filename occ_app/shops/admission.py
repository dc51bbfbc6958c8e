"""Who may see a page: a checked ID token of a shop that gave us access; the first load of a shop exchanges it for that access."""

from __future__ import annotations

from flask import Response, current_app, g, request

from occ_app import clock
from occ_app.config import Config
from occ_app.extensions import db
from occ_app.shopify import id_tokens
from occ_app.shopify.domains import is_shop_domain
from occ_app.shopify.errors import InvalidIdTokenError
from occ_app.shops import install
from occ_app.shops.connection import Connections
from occ_app.shops.models import Shop
from occ_app.web import embedded_url, see_other


def admit(config: Config) -> Response | None:
    """None with `g.shop`, `g.shop_id`, `g.shop_domain` and `g.user` set; else what to answer.

    The shop is the one of the token's `dest`, whatever else the request says.
    """
    outside = _leads_into_admin(config)
    if outside is not None:
        return outside
    url = config.app_url + request.full_path.rstrip("?")
    visitor = id_tokens.check(config, method=request.method, url=url, headers=dict(request.headers))
    if isinstance(visitor, id_tokens.Refusal):
        return _as_response(visitor)
    g.shop_domain, g.user = visitor.domain, f"user {visitor.user_id}"
    shop = install.find(visitor.domain)
    if shop is None or not install.has_token(shop):
        try:
            shop = _exchange(visitor)
        except InvalidIdTokenError:
            return Response("Unauthorized", 401, id_tokens.RETRY_HEADERS)
    g.shop, g.shop_id = shop, shop.id
    return None


def _leads_into_admin(config: Config) -> Response | None:
    """A document that was opened outside of the admin is answered with the way into it.

    Source: Shopify's router package, "ensure app is embedded": no `embedded=1`, but a `host` that names the shop's own admin.
    """
    args = request.args
    if "Authorization" in request.headers or args.get("embedded") == "1" or "id_token" in args or "host" not in args:
        return None
    domain = args.get("shop", "").lower()
    path = embedded_url(config, args["host"], domain) if is_shop_domain(domain) else None
    return see_other(path) if path else None


def _exchange(visitor: id_tokens.Visitor) -> Shop:
    connections: Connections = current_app.extensions["occ_connections"]
    at = clock.now()
    tokens = connections.endpoint(visitor.domain).exchange(visitor.id_token, at)
    shop = install.installed(connections, visitor.domain, tokens, at)
    db.session.flush()
    for listener in current_app.extensions["occ_after_install"]:
        listener(shop)
    db.session.commit()
    return shop


def _as_response(refusal: id_tokens.Refusal) -> Response:
    return Response(refusal.body, refusal.status, refusal.headers)
