"""The authorization code grant by which a store gives us access outside of its admin: where its owner is sent, and what comes back.

ShopifyAPI makes the address and checks the signature; its session is never activated, and each secret has a class of its own, so nothing
is shared between threads or shops.
Source: Shopify, "Authorization code grant" (permission address, callback: hmac, state, shop, timestamp).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import shopify

from occ_app.config import API_VERSION, Config
from occ_app.shopify.domains import is_shop_domain

CALLBACK_PATH = "/auth/callback"
LONGEST = timedelta(minutes=10)  # between sending the owner away and seeing them again


@dataclass(frozen=True)
class Callback:
    """What Shopify signed: the store, the code that becomes tokens once, the state that we sent along, the admin's address."""

    domain: str
    code: str
    state: str
    host: str


def permission_url(config: Config, domain: str, scopes: Sequence[str], state: str) -> str:
    """Where the owner of `domain` says yes or no. With a stand-in set, its address, since browsers cannot reach the store's."""
    session = _signed_with(config, config.api_secret)(domain, API_VERSION)
    url = str(session.create_permission_url(list(scopes), config.app_url + CALLBACK_PATH, state))
    return in_browser(config, domain, url)


def install_url(config: Config, domain: str) -> str:
    """Shopify's own install page of that store, for an app that is distributed by Shopify.

    Source: Shopify's gem `shopify_app`, `start_install`.
    """
    name = domain.removesuffix(".myshopify.com")
    url = f"https://admin.shopify.com/store/{name}/oauth/install?client_id={config.api_key}"
    if config.standin_url:
        return f"{config.standin_url}/admin/oauth/install?client_id={config.api_key}&shop={domain}"
    return url


def admin_url(config: Config, domain: str, path: str = "") -> str:
    """Where our pages are inside the store's admin."""
    name = domain.removesuffix(".myshopify.com")
    base = config.standin_url or "https://admin.shopify.com"
    return f"{base}/store/{name}/apps/{config.api_key}{path}"


def in_browser(config: Config, domain: str, url: str) -> str:
    """The address as a browser can open it: a store's own, or the stand-in's with the store's name in the query."""
    if not config.standin_url:
        return url
    return url.replace(f"https://{domain}", config.standin_url, 1) + f"&shop={domain}"


def check(config: Config, pairs: Sequence[tuple[str, str]]) -> Callback | None:
    """What came back, if Shopify signed it within the time allowed; None for anything else.

    `pairs`: the query as it came; a name that stands twice is refused, since one reader may see the first and another the last.
    Time is the machine's, as it is Shopify's that signed.
    """
    params = dict(pairs)
    if len(params) != len(pairs) or not all(
        params.get(name) for name in ("code", "shop", "state", "hmac", "timestamp")
    ):
        return None
    if not is_shop_domain(params["shop"]) or not _is_recent(params["timestamp"]):
        return None
    try:
        is_signed = any(_signed_with(config, secret).validate_hmac(params) for secret in config.api_secrets)
    except (UnicodeError, ValueError):
        return None
    if not is_signed:
        return None
    return Callback(params["shop"], params["code"], params["state"], params.get("host", ""))


def _signed_with(config: Config, secret: str) -> type[shopify.Session]:
    return type("Signed", (shopify.Session,), {"api_key": config.api_key, "secret": secret})


def _is_recent(timestamp: str) -> bool:
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        return False
    return abs(time.time() - int(timestamp)) <= LONGEST.total_seconds()
