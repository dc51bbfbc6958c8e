"""API versions by their names: when each came out and until when it is served.

Source: Shopify, "About Shopify API versioning": a version comes out on the first day of a quarter, is named by year and month and served for at
least 12 months. After that Shopify answers with the oldest version that is still served and names it in `X-Shopify-API-Version`; in the
field a retired version was also answered 404.
"""

from __future__ import annotations

from datetime import date


def end_of_support(version: str) -> date:
    """The first day on which Shopify need not serve the version (`2026-10`) any more."""
    year, month = (int(part) for part in version.split("-"))
    return date(year + 1, month, 1)


def days_left(version: str, on: date) -> int:
    """Days of support that are left; negative when it has ended."""
    return (end_of_support(version) - on).days
