"""Whether a delivery is Shopify's, by Shopify's own package. Source: Shopify, "Verify deliveries" (HMAC-SHA256 of the raw body)."""

from __future__ import annotations

from shopify_app import ShopifyApp
from shopify_app.types import RequestInput

from occ_app.config import Config


def is_signed_by_shopify(config: Config, body: bytes, signature: str) -> bool:
    """Whether `signature` (base64) is the HMAC of the raw body with the present API secret, or the old one during a rotation.

    A body that is not UTF-8 or nested too deep to be read, or a signature that is not ASCII, was never made by Shopify.
    """
    try:
        text = body.decode("utf-8")
        signature.encode("ascii")
    except UnicodeError:
        return False
    app = ShopifyApp(config.api_key, config.api_secret, config.api_secret_old)
    headers = {"X-Shopify-Hmac-SHA256": signature}
    try:
        return bool(app.verify_webhook_req(RequestInput(method="POST", headers=headers, url="", body=text)).ok)
    except RecursionError:  # the package reads the body too
        return False
