"""Who is asking: ID tokens of the embedded app, checked by Shopify's own package and then strictly by ours.

Source: Shopify, "ID tokens"; `shopifyapp` compares no `iss` with `dest` and requires no claim, so PyJWT does that here.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

import jwt
from shopify_app import ShopifyApp
from shopify_app.types import RequestInput, Res

from occ_app.config import Config
from occ_app.shopify.domains import shop_of_url

PATCH_PATH = "/auth/patch-id-token"
RETRY_HEADERS = {"X-Shopify-Retry-Invalid-Session-Request": "1"}
_CLAIMS = ["exp", "nbf", "iss", "dest", "aud", "sub", "jti"]


@dataclass(frozen=True)
class Visitor:
    """A checked ID token: whose shop, which user (Shopify's id), the token itself for the exchange, and when it ends."""

    domain: str
    user_id: str
    id_token: str


@dataclass(frozen=True)
class Refusal:
    """What to answer instead of the page."""

    status: int
    body: str
    headers: dict[str, str]


def check(config: Config, *, method: str, url: str, headers: dict[str, str]) -> Visitor | Refusal:
    """Who is asking, or what to answer: a bounce for documents, a 401 that makes App Bridge retry for fetches."""
    result = _app(config).verify_app_home_req(
        RequestInput(method=method, headers=headers, url=url, body=""), PATCH_PATH
    )
    if not result.ok or result.id_token is None:
        return _refusal(result.response)
    domain = _strict_shop(config, result.id_token.token)
    if domain is None:
        return Refusal(401, "Unauthorized", RETRY_HEADERS)
    return Visitor(domain, str(result.id_token.claims["sub"]), result.id_token.token)


def patch_page(config: Config, *, url: str) -> Refusal:
    """The bounce page: it loads App Bridge, which fetches a token and comes back to `shopify-reload`."""
    result = _app(config).app_home_patch_id_token(RequestInput(method="GET", headers={}, url=url, body=""))
    return _refusal(result.response)


def _strict_shop(config: Config, token: str) -> str | None:
    """The shop of `dest`, if every claim is there and `iss` speaks for the same shop."""
    for secret in config.api_secrets:
        try:
            claims = jwt.decode(
                token,
                secret,
                algorithms=["HS256"],
                audience=config.api_key,
                leeway=10,
                options={"require": _CLAIMS, "strict_aud": True, "verify_iat": False},
            )
        except jwt.InvalidTokenError:
            continue
        domain = shop_of_url(str(claims["dest"]))
        return domain if domain and urlsplit(str(claims["iss"])).hostname == domain else None
    return None


def _app(config: Config) -> ShopifyApp:
    return ShopifyApp(config.api_key, config.api_secret, config.api_secret_old)


def _refusal(response: Res) -> Refusal:
    return Refusal(response.status, response.body, dict(response.headers))
