"""Whether Shopify tells us what it should: news that came beside changes that were found by comparing, and the mending of what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from flask import current_app
from sqlalchemy import ColumnElement, Interval, and_, func, literal, select

from occ_app.catalog.models import VariantPull
from occ_app.config import Config
from occ_app.extensions import db
from occ_app.orders.models import Order
from occ_app.shopify.client import Client
from occ_app.shops import subscriptions
from occ_app.shops.models import Shop
from occ_app.shops.subscriptions import Made, Verdict
from occ_app.sync.models import APPLIED, PushLine

# Changes that we know of without any news, by the topic that ought to have told of them: the rows, when each happened, and which count.
# Each moment lies before the news can be here, so that news never seems older than what it tells. Of topics that are not
# named here nothing can be found by comparing: they come in, or were quiet.
FOUND: dict[str, tuple[type[Any], Any, ColumnElement[bool]]] = {
    "orders/create": (Order, Order.placed_at, Order.placed_at.is_not(None)),
    "orders/updated": (
        Order,
        Order.changed_at,
        Order.changed_at > Order.placed_at + literal(timedelta(minutes=1), Interval),
    ),
    "orders/cancelled": (Order, Order.cancelled_at, Order.cancelled_at.is_not(None)),
    "inventory_levels/update": (
        PushLine,
        PushLine.created_at,
        and_(PushLine.state == APPLIED, PushLine.quantity != PushLine.change_from),
    ),
    "bulk_operations/finish": (VariantPull, VariantPull.started_at, VariantPull.variants_taken > 0),
}


def verdicts(shop: Shop, made: Sequence[Made], at: datetime) -> list[Verdict]:
    """How each wanted topic does. `made`: the store's own subscriptions, as far as they are known."""
    last = subscriptions.heard(shop.id, at - subscriptions.WINDOW)
    own = leading_here(made)
    return [
        subscriptions.judge(
            topic,
            last.get(topic),
            _untold(topic, last.get(topic), subscriptions.since_when(topic, own, shop.installed_at, at), at),
            topic in {one.topic for one in own},
        )
        for topic in subscriptions.wanted()
    ]


def _untold(topic: str, last_at: datetime | None, since: datetime, at: datetime) -> int:
    """Changes of the topic that happened after its last news and long enough ago."""
    if topic not in FOUND:
        return 0
    rows, moment, counts = FOUND[topic]
    query = select(func.count()).select_from(rows).where(counts, moment >= since, moment < at - subscriptions.GRACE)
    return db.session.scalar(query.where(moment > last_at) if last_at else query) or 0


def leading_here(made: Sequence[Made]) -> list[Made]:
    """Those of the store's subscriptions that lead to this app."""
    address = f"{_app_url()}/webhooks"
    return [one for one in made if one.uri == address or one.uri.startswith(f"{address}/")]


def to_do(shop: Shop, made: Sequence[Made], found: Sequence[Verdict], at: datetime) -> subscriptions.Plan:
    """What would mend the subscriptions."""
    own = leading_here(made)
    doubled = {
        topic
        for topic in {one.topic for one in own}
        if subscriptions.told_twice(shop.id, [topic], subscriptions.since_when(topic, own, at - timedelta(days=1), at))
    }
    return subscriptions.plan(found, own, doubled)


def mend(client: Client, shop: Shop, at: datetime) -> list[str]:
    """The store's subscriptions are as they should be, as far as the API can make them so. Returns a sentence for each step."""
    nodes = client.query("connection_facts", {}).data["webhookSubscriptions"]["nodes"]
    made = subscriptions.made(nodes)
    todo = to_do(shop, made, verdicts(shop, made, at), at)
    return subscriptions.mend(client, todo, f"{_app_url()}/webhooks")


def _app_url() -> str:
    config: Config = current_app.extensions["occ_config"]
    return config.app_url
