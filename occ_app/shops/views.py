"""The bounce page, and whether the app is alive and ready."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, g, jsonify, request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from occ_app.shopify import id_tokens
from occ_app.shopify.domains import is_shop_domain

auth = Blueprint("auth", __name__)
health = Blueprint("health", __name__)


@auth.get(id_tokens.PATCH_PATH)
def patch_id_token() -> Response:
    """The bounce page: loads App Bridge, which fetches an ID token and comes back."""
    config = current_app.extensions["occ_config"]
    reload, domain = request.args.get("shopify-reload", ""), request.args.get("shop", "").lower()
    if not reload.startswith("/") or reload.startswith("//") or "\\" in reload or not is_shop_domain(domain):
        return Response("Open the app from your Shopify admin.", 400, mimetype="text/plain")
    g.shop_domain = domain
    refusal = id_tokens.patch_page(config, url=config.app_url + request.full_path)
    body = refusal.body.replace("https://cdn.shopify.com/shopifycloud/app-bridge.js", config.app_bridge_url)
    return Response(
        body, refusal.status, {k: v for k, v in refusal.headers.items() if k.lower() != "content-security-policy"}
    )


@health.get("/health")
def alive() -> Response:
    """The process answers."""
    return jsonify({"status": "ok"})


@health.get("/health/ready")
def ready() -> tuple[Response, int]:
    """Database, migrations, a worker and no work that waits too long; 503 with the reason otherwise."""
    reasons = current_app.extensions["occ_readiness"]()
    return jsonify({"status": "not ready" if reasons else "ready", "reasons": reasons}), 503 if reasons else 200


@health.get("/metrics")
def metrics() -> Response:
    """Counters for Prometheus."""
    return Response(generate_latest(), content_type=CONTENT_TYPE_LATEST)
