"""The app's own configuration file, `shopify.app*.toml`: scopes, redirect addresses, webhook subscriptions."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Subscription:
    """One topic that the app wants, for every store that installs it."""

    topic: str
    uri: str
    include_fields: list[str] | None = None
    filter: str | None = None


@dataclass
class AppConfig:
    """What the file says."""

    name: str = "app"
    handle: str = "app"
    scopes: list[str] = field(default_factory=list)
    redirect_urls: list[str] = field(default_factory=list)
    api_version: str = "2026-10"
    subscriptions: list[Subscription] = field(default_factory=list)


def load(path: Path, app_url: str) -> AppConfig:
    """The configuration in `path`; relative addresses get `app_url` in front."""
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    webhooks = data.get("webhooks", {})
    return AppConfig(
        name=data.get("name", "app"),
        handle=data.get("handle", data.get("name", "app").lower().replace(" ", "-")),
        scopes=[scope.strip() for scope in data.get("access_scopes", {}).get("scopes", "").split(",") if scope.strip()],
        redirect_urls=[_absolute(url, app_url) for url in data.get("auth", {}).get("redirect_urls", [])],
        api_version=webhooks.get("api_version", "2026-10"),
        subscriptions=[s for row in webhooks.get("subscriptions", []) for s in _subscriptions(row, app_url)],
    )


def _subscriptions(row: dict[str, Any], app_url: str) -> list[Subscription]:
    uri = _absolute(row["uri"], app_url)
    topics = [*row.get("topics", []), *row.get("compliance_topics", [])]
    return [Subscription(topic, uri, row.get("include_fields"), row.get("filter")) for topic in topics]


def _absolute(uri: str, app_url: str) -> str:
    return app_url.rstrip("/") + uri if uri.startswith("/") else uri.rstrip("/")
