"""Which names are shops. Source: Shopify, "Verify the callback" (shop parameter), and shopifyapp's token exchange."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_SHOP = re.compile(r"[a-z0-9][a-z0-9-]{0,62}\.myshopify\.com")


def is_shop_domain(domain: str) -> bool:
    """Whether `domain` is a plain `<name>.myshopify.com`, lower case, with no port, path, user or dot more."""
    return _SHOP.fullmatch(domain) is not None


def shop_of_url(url: str) -> str | None:
    """The shop's domain of an `https://<name>.myshopify.com...` address; None for any other address."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        plain = parts.scheme == "https" and parts.username is None and parts.port is None
    except ValueError:
        return None
    return host if plain and is_shop_domain(host) else None
