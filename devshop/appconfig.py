"""The app's own configuration file, `shopify.app*.toml`: scopes, redirect addresses, webhook subscriptions."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from devshop import filters
from devshop.world import DevshopError


@dataclass
class Subscription:
    """One topic that the app wants, for every store that installs it. `name` goes out as `X-Shopify-Name`."""

    topic: str
    uri: str
    include_fields: list[str] | None = None
    filter: str | None = None
    name: str | None = None


@dataclass
class AppConfig:
    """What the file says."""

    name: str = "app"
    handle: str = "app"
    scopes: list[str] = field(default_factory=list)
    optional_scopes: list[str] = field(default_factory=list)
    asks_by_address: bool = False  # use_legacy_install_flow: the authorize address says which scopes are asked for
    redirect_urls: list[str] = field(default_factory=list)
    api_version: str = "2026-10"
    subscriptions: list[Subscription] = field(default_factory=list)


def load(path: Path, app_url: str) -> AppConfig:
    """The configuration in `path`, with the app at `app_url` instead of its `application_url`. Raises DevshopError where Shopify's
    command line would refuse it.

    Source: Shopify, "App configuration" (`automatically_update_urls_on_dev`; relative addresses; no webhooks with the legacy install
    flow; no subscription twice).
    """
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    webhooks, access = data.get("webhooks", {}), data.get("access_scopes", {})
    if access.get("use_legacy_install_flow") and webhooks.get("subscriptions"):
        raise DevshopError(f"{path.name}: webhook subscriptions are refused with use_legacy_install_flow = true")

    def absolute(uri: str) -> str:
        own = data.get("application_url", "").rstrip("/")
        relative = uri.removeprefix(own) if own and uri.startswith(f"{own}/") else uri
        return app_url.rstrip("/") + relative if relative.startswith("/") else uri

    subscriptions = [
        made for row in webhooks.get("subscriptions", []) for made in _subscriptions(row, absolute(row["uri"]))
    ]
    _check_twice(path, subscriptions)
    return AppConfig(
        name=data.get("name", "app"),
        handle=data.get("handle", data.get("name", "app").lower().replace(" ", "-")),
        scopes=[scope.strip() for scope in access.get("scopes", "").split(",") if scope.strip()],
        optional_scopes=list(access.get("optional_scopes", [])),
        asks_by_address=bool(access.get("use_legacy_install_flow")),
        redirect_urls=[absolute(url) for url in data.get("auth", {}).get("redirect_urls", [])],
        api_version=webhooks.get("api_version", "2026-10"),
        subscriptions=subscriptions,
    )


def _subscriptions(row: dict[str, Any], uri: str) -> list[Subscription]:
    topics = [*row.get("topics", []), *row.get("compliance_topics", [])]
    if not topics:
        raise DevshopError(f"the subscription for {uri} names neither topics nor compliance_topics")
    filters.check(row.get("filter"))
    options = (row.get("include_fields"), row.get("filter"), row.get("name"))
    return [Subscription(topic, uri.rstrip("/"), *options) for topic in topics]


def _check_twice(path: Path, subscriptions: list[Subscription]) -> None:
    seen: set[tuple[str, str, str | None]] = set()
    for found in subscriptions:
        key = (found.topic, found.uri, found.filter)
        if key in seen:
            raise DevshopError(f"{path.name}: {found.topic} to {found.uri} is there twice with the same filter")
        seen.add(key)
