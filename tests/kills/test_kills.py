"""Whatever is killed, whenever: no delivery is lost, nothing is booked twice, and the numbers come right by themselves.

`KILLS` says how many; `make kills` takes 100.
"""

from __future__ import annotations

import os
import random
import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import URL

from tests.kills import checks
from tests.kills.day import ITEM_OF, ITEMS, RELEASED, SKUS, UNITS_OF, WAITING, Day
from tests.support.product import DOMAIN, Product, eventually

KILLS = int(os.environ.get("KILLS", "4"))
SEED = int(os.environ.get("SEED", "27"))
WORKERS = ("worker-1", "worker-2")
# Who dies together, and how often. What lives on may not depend on what died.
VICTIMS = {("web",): 40, ("worker-1",): 15, ("worker-2",): 15, WORKERS: 25, ("web", *WORKERS): 5}
# Moments that are worth dying in. None: any.
MOMENTS = {
    "any": None,
    "task": "SELECT 1 FROM procrastinate_jobs WHERE status = 'doing' AND args->>'name' IN ('orders', 'inbox', 'look')",
    "call": "SELECT 1 FROM mutation WHERE state = 'sent' AND answered_at IS NULL",
}
UNDER_WAY = {
    "job": "SELECT id, attempts, 'task ' || (args->>'name') FROM procrastinate_jobs WHERE status = 'doing'",
    "call": "SELECT id, tries, 'call without answer' FROM mutation WHERE state IN ('ready', 'sent')",
}
LEFT = (
    "SELECT mapping_id, state, target, expected, drift, look_at::text, next_try_at::text, tries FROM sync_state"
    " WHERE state <> 'linked' OR target <> expected OR drift <> 0 OR look_at IS NOT NULL OR next_try_at IS NOT NULL"
)
LONGEST_AIM = 15.0
LATENCY_MS = 60


@pytest.fixture
def product(server_url: URL, template: str, tmp_path: Path) -> Iterator[Product]:
    """The product, its store's goods mapped and linked."""
    with Product(server_url, template, tmp_path) as product:
        for name in ("web", *WORKERS):
            product.start(name)
        variants = [{"sku": sku, "price": "6.50", "available": 0} for sku in SKUS]
        product.open_store(products=[{"title": row["sku"], "variants": [row]} for row in variants])
        with product.connect() as connection:
            eventually(lambda: _one(connection, "SELECT count(variants_pulled_at) FROM shop"))
        for name, value in (("guard_percent", "100"), ("guard_units", "1000000"), ("drift_grace_seconds", "2")):
            product.occ("settings", "set", "--shop", DOMAIN, name, value)
        for kind, lines in _files().items():
            product.occ("import", kind, "-", "--shop", DOMAIN, given=lines)
        with product.connect() as connection:
            linked = "SELECT count(*) FROM sync_state WHERE state = 'linked' AND target = expected"
            eventually(lambda: _one(connection, linked) == len(SKUS))
        yield product


def _files() -> dict[str, str]:
    lots = [
        f"{sku}-{n},{sku},{units},{place}"
        for sku in ITEMS
        for n, units, place in ((1, RELEASED, "released"), (2, WAITING, "in_review"))
    ]
    mappings = [f"{ITEM_OF.get(sku, sku)},{sku},{UNITS_OF.get(sku, 1)},hub" for sku in SKUS]
    return {
        "items": "\n".join(["sku,name", *(f"{sku},{sku}" for sku in ITEMS)]),
        "lots": "\n".join(["lot_number,item_sku,quantity,place", *lots]),
        "mappings": "\n".join(["item_sku,variant_sku,units_per_variant,first_link", *mappings]),
    }


def _one(connection: psycopg.Connection[Any], query: str) -> Any:
    row = connection.execute(query).fetchone()
    return row[0] if row else None


@dataclass
class Killer:
    """Kills and starts again, at moments that the seed and the work under way decide."""

    product: Product
    connection: psycopg.Connection[Any]
    random: random.Random
    kills: int = 0
    victims: Counter[str] = field(default_factory=Counter)
    moments: Counter[str] = field(default_factory=Counter)
    interrupted: dict[tuple[str, int, int], str] = field(default_factory=dict)

    def strike(self) -> None:
        """Some processes were killed in the midst of whatever they did, and are there again."""
        victims = self.random.choices(list(VICTIMS), list(VICTIMS.values()))[0]
        moment = self.random.choice(["any", "task", "call"]) if set(WORKERS) & set(victims) else "any"
        self._wait_for(moment)
        self.moments[moment] += 1
        for name in victims:
            self.product.kill(name)
            self.kills += 1
            self.victims[name] += 1
        self._note()
        for name in self.random.sample(victims, len(victims)):
            self.product.start(name)

    def _wait_for(self, moment: str) -> None:
        time.sleep(self.random.uniform(0, 3))
        query = MOMENTS[moment]
        end = time.monotonic() + LONGEST_AIM
        while query and time.monotonic() < end and not self.connection.execute(query).fetchone():
            time.sleep(0.002)
        time.sleep(self.random.uniform(0, 2 * LATENCY_MS / 1000))

    def _note(self) -> None:
        """What was under way when they died."""
        for what, query in UNDER_WAY.items():
            for number, tries, name in self.connection.execute(query).fetchall():
                self.interrupted[what, number, tries] = name


@pytest.mark.kills
@pytest.mark.long
@pytest.mark.timeout(180 + 30 * KILLS)
def test_nothing_is_lost_or_booked_twice_whatever_is_killed(
    product: Product, capsys: pytest.CaptureFixture[str]
) -> None:
    with product.connect() as connection:
        lots = dict(connection.execute("SELECT lot_number, id FROM lot").fetchall())
        product.control("faults", {"latency_ms": LATENCY_MS})
        day = Day(product, lots, SEED)
        killer = Killer(product, connection, random.Random(SEED))
        started = time.monotonic()
        day.start()
        while killer.kills < KILLS and day.failure is None:
            killer.strike()
        day.end()
        lasted, settled = time.monotonic() - started, time.monotonic()
        with suppress(TimeoutError):  # the checks below say what is left
            eventually(lambda: _settled(product, connection), 180, every=1)
        with capsys.disabled():
            print(_figures(product, connection, day, killer, lasted, time.monotonic() - settled))

        assert checks.still_due(connection, product) == {}
        assert checks.all_that_is_wrong(day, product, connection) == []


def _settled(product: Product, connection: psycopg.Connection[Any]) -> bool:
    """Whatever Shopify has still to tell is told now rather than in an hour; then nothing is due."""
    product.control("/webhooks/deliver", {"now": True})
    return not checks.still_due(connection, product)


def _logs(product: Product) -> str:
    return "".join(product.log(name) for name in ("web", *WORKERS))


def _figures(
    product: Product, connection: psycopg.Connection[Any], day: Day, killer: Killer, lasted: float, settling: float
) -> str:
    calls = product.control("calls", method="GET")
    kinds = Counter(call["operation"] for call in calls)
    runs = dict(connection.execute("SELECT kind, count(*) FROM sync_run GROUP BY 1").fetchall())
    raised = dict(connection.execute("SELECT kind, count(*) FROM sync_exception GROUP BY 1").fetchall())
    failed = Counter(re.findall(r"^([\w.]+Error|psycopg\.errors\.\w+|[\w.]+Exception):?", _logs(product), re.MULTILINE))
    rows = {
        "kills": f"{killer.kills} {dict(killer.victims)} at {dict(killer.moments)}",
        "died during": dict(Counter(killer.interrupted.values())),
        "done": f"{len(day.orders)} orders {dict(day.done)}",
        "calls": f"{len(calls)} {dict(kinds)}",
        "points": sum(call["actual_cost"] for call in calls),
        "runs": f"{runs}, exceptions raised and withdrawn {raised}",
        "errors": f"{_logs(product).count('task failed')} tasks failed and went on, in the logs {dict(failed)}",
        "left": connection.execute(LEFT).fetchall(),
        "seconds": f"{lasted:.0f} of killing, {settling:.0f} until all was settled (seed {SEED})",
    }
    return "\n" + "\n".join(f"  {name:12} {value}" for name, value in rows.items())
