"""`POST /webhooks`: verify the raw body, one INSERT, 200. Nothing else happens before the answer."""

from __future__ import annotations

import json

import structlog
from flask import Blueprint, Response, current_app, request
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from occ_app import clock
from occ_app.extensions import db
from occ_app.shopify.domains import is_shop_domain
from occ_app.shopify.webhooks import is_signed_by_shopify

log = structlog.get_logger()
blueprint = Blueprint("inbox", __name__)
MOST_BYTES = 2 * 1024 * 1024
LONGEST_NAME = 200

# The trigger on `delivery` asks for the task that works it off, in the same statement.
_INSERT = text(
    "INSERT INTO delivery (shop_id, shop_domain, topic, webhook_id, event_id, api_version, triggered_at, received_at, body, state, tries,"
    " next_try_at) VALUES ((SELECT id FROM shop WHERE domain = :domain), :domain, :topic, :webhook_id, :event_id, :api_version,"
    " :triggered_at, :at, :body, 'waiting', 0, :at) ON CONFLICT (topic, webhook_id) DO NOTHING"
)


@blueprint.post("/webhooks")
@blueprint.post("/webhooks/inventory-update")
@blueprint.post("/webhooks/orders-create")
def receive() -> Response:
    """A delivery is on disk and answered 200; or 401, 400, 413, 503, and Shopify sends it again."""
    if request.content_length is not None and request.content_length > MOST_BYTES:
        return _answer(413, "The body is larger than a webhook's.")
    body = request.stream.read(MOST_BYTES + 1)
    if len(body) > MOST_BYTES:
        return _answer(413, "The body is larger than a webhook's.")
    if not is_signed_by_shopify(
        current_app.extensions["occ_config"], body, request.headers.get("X-Shopify-Hmac-SHA256", "")
    ):
        return _answer(401, "The signature is wrong.")
    if not _is_object(body):
        return _answer(400, "The body is not a JSON object in UTF-8.")
    row = _row(body)
    if row is None:
        return _answer(400, "This is not a Shopify delivery.")
    try:
        with db.engine.begin() as connection:
            connection.execute(_INSERT, row)
    except SQLAlchemyError:
        log.exception("delivery not stored", topic=row["topic"], shop=row["domain"])
        return _answer(503, "It could not be stored. Send it again.")
    return _answer(200, "")


def _row(body: bytes) -> dict[str, object] | None:
    """The row of a delivery; None where a header is missing or is not what Shopify sends."""
    headers = request.headers
    domain = headers.get("X-Shopify-Shop-Domain", "").lower()
    topic, webhook_id = headers.get("X-Shopify-Topic", ""), headers.get("X-Shopify-Webhook-Id", "")
    if not is_shop_domain(domain) or not 0 < len(topic) <= LONGEST_NAME or not 0 < len(webhook_id) <= LONGEST_NAME:
        return None
    return {
        "domain": domain,
        "topic": topic.lower(),
        "webhook_id": webhook_id,
        "event_id": headers.get("X-Shopify-Event-Id", "")[:LONGEST_NAME] or None,
        "api_version": headers.get("X-Shopify-API-Version", "")[:LONGEST_NAME] or None,
        "triggered_at": clock.told(headers.get("X-Shopify-Triggered-At")),
        "at": clock.now(),
        "body": body,
    }


def _is_object(body: bytes) -> bool:
    try:
        return isinstance(json.loads(body), dict)
    except (ValueError, RecursionError):  # not JSON, not UTF-8; or nested deeper than it can be read
        return False


def _answer(status: int, words: str) -> Response:
    return Response(words, status, mimetype="text/plain")
