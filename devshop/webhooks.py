"""Webhooks: what is to be told to whom, signed, sent, tried again on devshop's clock.

Source: Shopify, "Verify deliveries", "About webhooks": 1 s to connect, 5 s in all, 8 retries over 4 hours, 2xx is success; subscriptions made
by the API are removed after 8 failures in a row. "Delivery structure": a payload that was reduced by `include_fields` to what was sent
a moment before is not sent again.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import threading
import time
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx2

from devshop import filters, payloads
from devshop.appconfig import Subscription
from devshop.world import Store, World

log = logging.getLogger("devshop.webhooks")
TIMEOUT = httpx2.Timeout(5.0, connect=1.0)
RETRIES = (60, 180, 420, 900, 1800, 2700, 3600, 4740)  # seconds after the one before: 8 in 4 hours
DEBOUNCE = timedelta(seconds=1)
REDACT_AFTER = timedelta(hours=48)


@dataclass
class Delivery:
    """One delivery to one subscription.

    `state`: waiting (also between two tries), delivered, given_up, or suppressed, and then `last_status` says why: filter, debounce
    or lost.
    """

    store: Store
    subscription: Subscription
    api_subscription: int | None
    topic: str
    webhook_id: str
    event_id: str
    triggered_at: datetime
    body: bytes
    due_at: datetime
    subject: Any = None
    state: str = "waiting"
    attempts: int = 0
    last_status: int | str | None = None

    def shown(self) -> dict[str, Any]:
        """For the control API and the admin. What waits for another try is shown as failed."""
        fields = ("topic", "webhook_id", "event_id", "attempts", "last_status")
        shown = {name: getattr(self, name) for name in fields}
        state = "failed" if self.state == "waiting" and self.attempts else self.state
        return {
            **shown,
            "state": state,
            "payload": json.loads(self.body),
            "triggered_at": self.triggered_at.isoformat(),
        }


class Sender:
    """Keeps and sends deliveries. `start()` sends in the background; `deliver_due()` sends here and now.

    How the way to the app behaves is each store's `faults`.
    """

    def __init__(self, world: World, transport: httpx2.BaseTransport | None = None) -> None:
        self._world = world
        self._http = httpx2.Client(timeout=TIMEOUT, follow_redirects=False, transport=transport)
        self._wake = threading.Event()
        self._turn = threading.RLock()  # one sends at a time: nothing goes out twice by accident
        self.deliveries: list[Delivery] = []
        self.is_paused = False
        self.debounces = False
        world.listeners.append(self.tell)

    def tell(self, store: Store, topic: str, subject: Any) -> None:
        """Every subscription to the topic has a delivery waiting."""
        if not store.is_installed:
            return
        event_id, now = str(uuid.uuid4()), self._world.clock.now()
        full: dict[str, Any] | None = None
        for subscription, number in self._subscriptions(store, topic):
            full = full or payloads.build(store, topic, subject)
            reduced = payloads.reduce_to(full, subscription.include_fields)
            due = now + timedelta(seconds=store.faults.late_seconds)
            ids = (str(uuid.uuid4()), event_id)
            delivery = Delivery(
                store, subscription, number, topic, *ids, now, json.dumps(reduced).encode(), due, subject
            )
            reason = self._suppressed(delivery, reduced)
            if reason:
                delivery.state, delivery.last_status = "suppressed", reason
            self.deliveries.append(delivery)
        if topic == "app/uninstalled":
            self._redact_later(store, now)
        self._wake.set()

    def _suppressed(self, delivery: Delivery, payload: dict[str, Any]) -> str | None:
        if not filters.matches(delivery.subscription.filter, payload):
            return "filter"
        return "debounce" if self.debounces and self._is_repeated(delivery) else None

    def _subscriptions(self, store: Store, topic: str) -> list[tuple[Subscription, int | None]]:
        config = self._world.config
        own = [(s, None) for s in (config.subscriptions if config else []) if s.topic == topic]
        made = [
            (Subscription(topic, row["uri"], row["include_fields"], row["filter"], row.get("name")), number)
            for number, row in store.subscriptions.items()
            if row["topic"] == topic
        ]
        return [*own, *made]

    def _redact_later(self, store: Store, now: datetime) -> None:
        for subscription, _ in self._subscriptions(store, "shop/redact"):
            body = json.dumps(payloads.build(store, "shop/redact", None)).encode()
            ids = (str(uuid.uuid4()), str(uuid.uuid4()))
            due = now + REDACT_AFTER
            self.deliveries.append(Delivery(store, subscription, None, "shop/redact", *ids, due, body, due))

    def _is_repeated(self, new: Delivery) -> bool:
        if not new.subscription.include_fields:
            return False
        recent = [
            d
            for d in self.deliveries[-50:]
            if d.store is new.store and d.topic == new.topic and d.subscription == new.subscription
        ]
        return any(d.body == new.body and new.triggered_at - d.triggered_at < DEBOUNCE for d in recent)

    def start(self) -> None:
        """Deliveries go out as they fall due, from a thread of their own."""
        threading.Thread(target=self._loop, name="webhooks", daemon=True).start()

    def _loop(self) -> None:
        while True:
            self._wake.wait(0.2)
            self._wake.clear()
            try:
                if not self.is_paused:
                    self.deliver_due()
            except Exception:
                log.exception("deliveries stopped short; the loop goes on")

    def deliver_due(self, *, everything: bool = False) -> dict[str, int]:
        """All that is due (with `everything`: all that waits) has been tried once. Returns the counts by outcome.

        Never call it while holding the world's lock: the app may call the API before it answers.
        """
        counts = {"delivered": 0, "failed": 0}
        with self._turn:
            for delivery in self._due(everything):
                habit = delivery.store.faults.webhooks
                if habit == "lost":
                    delivery.state, delivery.last_status = "suppressed", "lost"
                    continue
                if delivery.store.faults.merges:
                    self._renew(delivery)
                twin = threading.Thread(target=self._post, args=[delivery]) if habit == "at_once" else None
                if twin:
                    twin.start()
                counts["delivered" if self.send(delivery) else "failed"] += 1
                if twin:
                    twin.join()
                if habit == "twice" and delivery.state == "delivered":
                    self.send(delivery)
        return counts

    def _renew(self, delivery: Delivery) -> None:
        """The payload tells what is true now, not what was when it happened."""
        if delivery.subject is not None:
            with self._world.lock:
                full = payloads.build(delivery.store, delivery.topic, delivery.subject)
            delivery.body = json.dumps(payloads.reduce_to(full, delivery.subscription.include_fields)).encode()

    def _due(self, everything: bool) -> list[Delivery]:
        with self._world.lock:
            now = self._world.clock.now()
            due = [d for d in self.deliveries if d.state == "waiting" and (everything or d.due_at <= now)]
        backwards = [d for d in reversed(due) if d.store.faults.webhooks == "reversed"]
        return [*backwards, *(d for d in due if d.store.faults.webhooks != "reversed")]

    def send(self, delivery: Delivery) -> bool:
        """One try. A failure is due again later, or given up after the last."""
        delivery.attempts += 1
        delivery.last_status, is_good = self._post(delivery)
        with self._world.lock:
            if is_good:
                delivery.state = "delivered"
            elif delivery.attempts > len(RETRIES):
                delivery.state = "given_up"
            else:
                delivery.due_at = self._world.clock.now() + timedelta(seconds=RETRIES[delivery.attempts - 1])
            self._count(delivery, is_good)
        return is_good

    def _post(self, delivery: Delivery) -> tuple[int | str, bool]:
        """The app's answer, or the name of what went wrong; and whether it is a good one in time."""
        started = time.monotonic()
        try:
            answer = self._http.post(delivery.subscription.uri, content=delivery.body, headers=self._headers(delivery))
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            return type(error).__name__, False
        is_good = 200 <= answer.status_code < 300 and time.monotonic() - started < TIMEOUT.read
        return answer.status_code, is_good

    def _count(self, delivery: Delivery, is_good: bool) -> None:
        row = delivery.store.subscriptions.get(delivery.api_subscription or -1)
        if row is not None:
            row["failures"] = 0 if is_good else row["failures"] + 1
            if row["failures"] >= len(RETRIES):
                del delivery.store.subscriptions[row["id"]]

    def _headers(self, delivery: Delivery) -> dict[str, str]:
        secret = self._world.old_client_secret or self._world.client_secret  # the oldest unrevoked secret signs
        signature = base64.b64encode(hmac.digest(secret.encode(), delivery.body, hashlib.sha256)).decode()
        name = {"X-Shopify-Name": delivery.subscription.name} if delivery.subscription.name else {}
        return {
            **name,
            "Content-Type": "application/json",
            "User-Agent": "Shopify-Captain-Hook (devshop)",
            "X-Shopify-Topic": delivery.topic,
            "X-Shopify-Shop-Domain": delivery.store.domain,
            "X-Shopify-API-Version": self._world.config.api_version if self._world.config else "2026-10",
            "X-Shopify-Webhook-Id": delivery.webhook_id,
            "X-Shopify-Event-Id": delivery.event_id,
            "X-Shopify-Triggered-At": delivery.triggered_at.isoformat().replace("+00:00", "Z"),
            "X-Shopify-Hmac-SHA256": signature,
        }
