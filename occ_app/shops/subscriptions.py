"""Which news Shopify shall send us, whether it comes, and what can be mended where it does not.

The *wanted* topics stand in `shopify.app.toml`. Shopify delivers those by the app's configuration, to every store, and its API shows none of
them: it lists only subscriptions that were *made* through it for one store. So no list can prove that a topic works. What proves it
is news that came; what disproves it are changes that were found by comparing and that no news ever told of. Such a topic gets a
subscription made for that store; where both then tell of the same thing, ours is taken away again.
Source: Shopify, "Manage webhook subscriptions", `webhookSubscriptions` ("not including app-scoped subscriptions configured via TOML"),
"Verify deliveries" (two subscriptions of one topic: one event id, two webhook ids; 8 retries in 4 hours; a made one is removed after them).
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import func, select

from occ_app.config import ROOT
from occ_app.extensions import db
from occ_app.inbox.models import Delivery
from occ_app.shopify.client import Client
from occ_app.shopify.errors import ShopifyRefusedError

NAME = "occ-hub"  # of the subscriptions that we made ourselves; the only ones that we take away for coming twice
WINDOW = timedelta(days=7)  # how far back one looks
GRACE = timedelta(hours=6)  # news may be late: Shopify tries for 4 hours
LEAST = 3  # changes without news before a topic counts as missing; single deliveries do get lost
COMES, QUIET, MISSING, DEAF = "comes", "quiet", "missing", "deaf"


@dataclass(frozen=True)
class Wanted:
    """A topic that the configuration names, with what its payload shall hold. `can_be_made`: by the API; topics of privacy law cannot."""

    topic: str
    include_fields: tuple[str, ...]
    filter: str | None
    can_be_made: bool


@dataclass(frozen=True)
class Made:
    """A subscription that was made through the API for this store."""

    gid: str
    topic: str
    uri: str
    filter: str | None
    name: str | None
    created_at: datetime


@dataclass(frozen=True)
class Verdict:
    """How a topic does. `state`: comes, quiet (nothing came, and there was nothing to tell), missing, or deaf (missing although it was
    made through the API). `untold`: changes that were found and not told of. `last_at`: when news of it last came.
    """

    topic: str
    state: str
    untold: int
    last_at: datetime | None


@dataclass(frozen=True)
class Plan:
    """What mends the subscriptions: topics to subscribe to, subscriptions that are one too many."""

    create: tuple[str, ...]
    delete: tuple[Made, ...]


@cache
def wanted() -> dict[str, Wanted]:
    """What `shopify.app.toml` asks for, by topic."""
    rows = tomllib.loads((ROOT / "shopify.app.toml").read_text(encoding="utf-8"))["webhooks"]["subscriptions"]
    found = {}
    for row in rows:
        for kind in ("topics", "compliance_topics"):
            for topic in row.get(kind, []):
                fields = tuple(row.get("include_fields", ()))
                found[topic] = Wanted(topic, fields, row.get("filter"), kind == "topics")
    return found


def made(nodes: Iterable[dict[str, Any]]) -> list[Made]:
    """The subscriptions of an answer to `connection_facts`, oldest first."""
    names = {_enum(topic): topic for topic in wanted()}
    found = [
        Made(
            node["id"],
            names.get(node["topic"], node["topic"]),
            node["uri"],
            node["filter"] or None,
            node["name"],
            datetime.fromisoformat(node["createdAt"].replace("Z", "+00:00")),
        )
        for node in nodes
    ]
    return sorted(found, key=lambda one: (one.created_at, one.gid))


def heard(shop_id: int, since: datetime) -> dict[str, datetime]:
    """When news of each topic last came, of those that came since then."""
    query = select(Delivery.topic, func.max(Delivery.received_at)).where(
        Delivery.shop_id == shop_id, Delivery.received_at >= since
    )
    return dict(db.session.execute(query.group_by(Delivery.topic)).all())


def told_twice(shop_id: int, topics: Iterable[str], since: datetime) -> set[str]:
    """Topics of which one event came by two subscriptions since then: the same event and subject under two webhook ids."""
    query = select(Delivery.topic, Delivery.event_id, Delivery.webhook_id, Delivery.body).where(
        Delivery.shop_id == shop_id,
        Delivery.topic.in_(list(topics)),
        Delivery.event_id.is_not(None),
        Delivery.received_at >= since,
    )
    seen: dict[tuple[Any, ...], str] = {}
    found = set()
    for topic, event_id, webhook_id, body in db.session.execute(query.order_by(Delivery.id.desc()).limit(500)):
        if seen.setdefault((topic, event_id, *_subject(body)), webhook_id) != webhook_id:
            found.add(topic)
    return found


def since_when(topic: str, subscriptions: Sequence[Made], installed_at: datetime, at: datetime) -> datetime:
    """From when on the topic's changes ought to have been told: within the window, since the app was installed and subscribed."""
    latest = [one.created_at for one in subscriptions if one.topic == topic]
    return max([at - WINDOW, installed_at, *latest]).replace(microsecond=0)  # Shopify tells whole seconds


def judge(topic: str, last_at: datetime | None, untold: int, is_made: bool) -> Verdict:
    """How the topic does, from when its news last came and how many changes were found since then without any."""
    if untold >= LEAST:
        return Verdict(topic, DEAF if is_made else MISSING, untold, last_at)
    return Verdict(topic, COMES if last_at else QUIET, untold, last_at)


def plan(verdicts: Iterable[Verdict], own: Sequence[Made], doubled: Iterable[str]) -> Plan:
    """What is to be done. `own`: made subscriptions that lead to us, oldest first; `doubled`: topics that come twice.

    Of two made ones with the same filter the older stays. One that stands alone goes if we made it and the configuration's delivers too.
    """
    create = tuple(v.topic for v in verdicts if v.state == MISSING and wanted()[v.topic].can_be_made)
    first: dict[tuple[str, str | None], Made] = {}
    extra = [one for one in own if first.setdefault((one.topic, one.filter), one) is not one]
    alone = {one.topic for one in own} - {one.topic for one in extra}
    extra += [one for one in own if one.topic in alone & set(doubled) and one.name == NAME]
    return Plan(create, tuple(extra))


def mend(client: Client, todo: Plan, address: str) -> list[str]:
    """The plan is carried out as far as Shopify lets it. Returns a sentence for each step, refusals among them."""
    said = []
    for topic in todo.create:
        values = {"topic": _enum(topic), "input": _input(wanted()[topic], address)}
        refusal = _refusal(client, "subscription_create", values, "webhookSubscriptionCreate")
        said.append(f"{topic}: {refusal}" if refusal else f"{topic} is subscribed for this store.")
    for one in todo.delete:
        refusal = _refusal(client, "subscription_delete", {"id": one.gid}, "webhookSubscriptionDelete")
        said.append(
            f"{one.topic}: {refusal}" if refusal else f"{one.topic} came twice; the second subscription is gone."
        )
    return said


def _refusal(client: Client, name: str, values: Mapping[str, Any], field: str) -> str | None:
    """Why Shopify did not do it; None where it did."""
    try:
        errors = client.mutate(name, dict(values)).data[field]["userErrors"]
    except ShopifyRefusedError as error:
        return str(error)
    return "Shopify refused: " + "; ".join(error["message"] for error in errors) if errors else None


def _input(one: Wanted, address: str) -> dict[str, Any]:
    given: dict[str, Any] = {"uri": address, "name": NAME}
    if one.include_fields:
        given["includeFields"] = list(one.include_fields)
    if one.filter:
        given["filter"] = one.filter
    return given


def _enum(topic: str) -> str:
    return topic.upper().replace("/", "_")


def _subject(body: bytes) -> tuple[Any, ...]:
    """What a payload is about, and of which state it tells: enough to know the same news again, however reduced."""
    try:
        payload = json.loads(body)
        edit = payload.get("order_edit") or {}
    except (ValueError, AttributeError):
        return ()
    names = ("id", "order_id", "inventory_item_id", "location_id", "updated_at")
    return (*(payload.get(name) for name in names), edit.get("id"))
