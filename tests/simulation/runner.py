"""Seeds: drawn, lived, healed, checked; a failing one is shrunk to the shortest plan that still fails, and told."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import structlog

from devshop import inventory
from devshop.faults import Faults
from occ_app import clock
from occ_app.errors import RuleError
from occ_app.extensions import db
from occ_app.orders.models import Order
from occ_app.shops import settings
from occ_app.shops.models import Shop
from occ_app.sync import approvals, settle, targets
from occ_app.sync.models import PushLine, SyncException, SyncState
from tests.simulation import oracle
from tests.simulation.rig import Rig
from tests.simulation.steps import POPUP, SKUS, Life, Shape, Step, do, draw
from tests.support.settings import find_server, make_config

STARTS = (
    (datetime(2026, 3, 28, 20, 0, tzinfo=UTC), "Europe/London"),  # the clocks go forward in the night
    (datetime(2026, 10, 24, 20, 0, tzinfo=UTC), "Europe/London"),  # and back
    (datetime(2026, 3, 7, 22, 0, tzinfo=UTC), "America/New_York"),
    (datetime(2026, 10, 31, 22, 0, tzinfo=UTC), "America/New_York"),
    (datetime(2026, 6, 15, 13, 0, tzinfo=UTC), "Pacific/Auckland"),
    (datetime(2026, 6, 15, 9, 0, tzinfo=UTC), "UTC"),
)
LENGTH = 16
MOST_EXTRA = 4
MOST_SHRUNK = 2
SOON = timedelta(minutes=20)  # what is tried later than this is not waited for


@dataclass(frozen=True)
class Plan:
    """A seed's shop and its steps."""

    seed: int
    shape: Shape
    steps: tuple[Step, ...]


@dataclass
class Outcome:
    """How a plan ended: what is wrong (nothing, if all is well), the story, and what it cost."""

    wrong: list[str]
    story: list[str]
    calls: int = 0
    points: int = 0
    runs: int = field(default=0)


def plan(seed: int) -> Plan:
    """The plan of a seed."""
    rng = Random(seed)
    start, zone = rng.choice(STARTS)
    rule = rng.choice(("ask", "ask", "hub", "shopify"))
    stocks = (rng.choice((3, 8, 20, 60)), rng.choice((2, 10, 30)))
    fails_alone, link, guard = rng.random() < 0.5, rng.choice(("hub", "shopify")), rng.choice((1_000_000, 4, 4))
    shape = Shape(start, zone, rule, stocks, fails_alone, link, guard, rng.random() < 0.3)
    return Plan(seed, shape, tuple(draw(rng) for _ in range(LENGTH)))


def live(rig: Rig, given: Plan) -> Outcome:
    """The plan is lived through, healed and checked, twice: before and after people have decided what only they can."""
    with rig.begin(given.shape.start, given.shape.time_zone) as bench:
        life = Life(rig, given.shape)
        _open_shop(life)
        oracle.watch(life)
        bench.store.calls.clear()
        for step in given.steps:
            do(life, step)
        life.tell("--- healing ---")
        _heal(life)
        wrong = oracle.check(life, strict=False)
        if not wrong:
            life.tell("--- people decide ---")
            for _ in range(3):
                if not _decide(life):
                    break
                _heal(life, (61,))
            wrong = oracle.check(life, strict=True)
        calls = bench.store.calls
        return Outcome(wrong, life.story, len(calls), sum(call["actual_cost"] for call in calls), 1)


def _open_shop(life: Life) -> None:
    bench = life.bench
    bench.store.add_location(POPUP)
    bench.product("BAR", available=life.shape.stocks[0])
    bench.product("BOX", available=life.shape.stocks[0] // 6)
    bench.product("TIN", available=life.shape.stocks[1])
    bench.install()
    with bench.scope():
        shop = db.session.get_one(Shop, targets.shop().id)
        for name, value in (
            ("drift_rule", life.shape.drift_rule),
            ("guard_units", str(life.shape.guard_units)),
            ("drift_grace_seconds", "30"),
        ):
            settings.put(shop, name, value)
        db.session.commit()
    for sku, stock in zip(("BAR", "TIN"), life.shape.stocks, strict=True):
        bench.item(sku)
        bench.lot(sku, stock)
    for sku, (item, units) in SKUS.items():
        bench.map(item, life.shape.first_link if sku == "TIN" else "hub", sku, units)
    if life.shape.has_popup:
        inventory.set_available(life.store, bench.level("TIN", life.popup), 4, who="admin", why="stocked")
        bench.lot("TIN", 6, where=life.popup)
        bench.map("TIN", life.shape.first_link, where=life.popup)
    bench.settle()
    life.store.faults = Faults(fails_alone=life.shape.fails_alone)
    life.tell(f"a shop opens with {life.shape}")


def _heal(life: Life, seconds: Sequence[int] = (61, 3601)) -> None:
    """Faults end, what waits is delivered, time passes, everything is looked at again."""
    rig = life.rig
    rig.kill_in, rig.meanwhiles = None, []
    life.store.faults = Faults(fails_alone=life.shape.fails_alone)
    if not life.store.is_installed:
        do(life, Step("uninstalled", (0,)))
    for passed in [*seconds, *[301] * MOST_EXTRA]:
        if passed == 301 and _is_quiet(life):
            break
        if _is_away(life):
            life.tell(f"the app is opened again ({life.bench.open('/').status_code})")
        rig.deliver()
        rig.pass_time(passed)
        rig.work()


def _is_quiet(life: Life) -> bool:
    """Whether nothing waits for time any more."""
    with life.bench.scope():
        if db.session.get_one(Shop, targets.shop().id).status != "active":
            return False
        soon = life.rig.time.now() + SOON
        for_people = db.select(SyncException.mapping_id).where(
            SyncException.settled_at.is_(None), SyncException.kind.in_(("drift", "link"))
        )
        waits = db.select(SyncState.mapping_id).where(
            SyncState.look_at.is_not(None) & SyncState.state.in_(("linked", "awaiting_link", "awaiting_approval"))
            | SyncState.state.in_(("linked", "awaiting_link"))
            & (SyncState.next_try_at < soon)
            & SyncState.target.is_distinct_from(SyncState.expected),
            SyncState.mapping_id.not_in(for_people.where(SyncException.mapping_id.is_not(None))),
        )
        lines = db.select(PushLine.id).where(PushLine.state.in_(("waiting", "ambiguous")))
        orders = db.select(Order.id).where(Order.due_at.is_not(None))
        return not any(db.session.scalars(query.limit(1)).first() for query in (waits, lines, orders))


def _is_away(life: Life) -> bool:
    with life.bench.scope():
        return db.session.get_one(Shop, targets.shop().id).status != "active"


def _decide(life: Life) -> bool:
    """A person goes through the desk; the location is switched on again. Returns whether there was anything to do."""
    done = not life.bench.place.is_active
    if not life.bench.place.is_active:
        do(life, Step("location_switched"))
    with life.bench.scope():
        asked = [row.id for row in approvals.waiting()]
        if asked:
            approvals.approve(asked, actor="somebody", at=clock.now())
            db.session.commit()
            done = True
            life.tell(f"somebody approves {len(asked)} numbers")
        query = db.select(SyncException).where(SyncException.settled_at.is_(None)).order_by(SyncException.id)
        for found in list(db.session.scalars(query)):
            remedies = [name for name in settle.REMEDIES.get(found.kind, ()) if name not in ("stop", "reject")]
            if not remedies:
                continue
            remedy = remedies[found.id % len(remedies)]
            try:
                settle.settle(found.id, remedy, actor="somebody", at=clock.now())
                db.session.commit()
                done = True
                life.tell(f"somebody decides about {found.kind} of {found.subject}: {remedy}")
            except RuleError as error:
                db.session.rollback()
                done = True
                life.tell(f"{found.kind} of {found.subject}: {error}")
    return done


def shrink(rig: Rig, given: Plan, most: int = 120) -> tuple[Plan, Outcome]:
    """The shortest plan found that still goes wrong, by leaving out ever smaller parts (Zeller's ddmin). At most `most` lives."""
    best, outcome, tries, size = given, live(rig, given), 0, max(1, len(given.steps) // 2)
    while tries < most:
        start, is_shorter = 0, False
        while start < len(best.steps) and tries < most:
            shorter = Plan(best.seed, best.shape, best.steps[:start] + best.steps[start + size :])
            tries += 1
            found = live(rig, shorter)
            if found.wrong:
                best, outcome, is_shorter = shorter, found, True
            else:
                start += size
        if size == 1 and not is_shorter:
            break
        size = max(1, size // 2)
    outcome.runs = tries
    return best, outcome


def tell(given: Plan, outcome: Outcome) -> str:
    """The story of a plan that went wrong."""
    head = f"Seed {given.seed}, {len(given.steps)} steps, {outcome.runs} lives to shrink it:"
    return "\n".join([head, *(f"  {line}" for line in outcome.story), *(f"  WRONG {line}" for line in outcome.wrong)])


def costs(outcomes: list[Any]) -> str:
    """What the seeds cost at Shopify (f)."""
    calls, points = sum(o.calls for o in outcomes), sum(o.points for o in outcomes)
    number = max(1, len(outcomes))
    return f"{number} seeds: {calls} API calls, {points} points; {calls / number:.0f} calls and {points / number:.0f} points a seed"


def run(seeds: Sequence[int], shrinks: bool = True) -> list[tuple[Outcome, str]]:
    """Each seed's outcome, and its story if it went wrong. The first stories are shrunk."""
    logging.disable(logging.CRITICAL)
    told: list[tuple[Outcome, str]] = []
    with Rig.open(make_config(), find_server()) as rig:
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        for seed in seeds:
            given = plan(seed)
            outcome, story = live(rig, given), ""
            if outcome.wrong:
                is_early = sum(bool(each) for _, each in told) < MOST_SHRUNK
                story = tell(*(shrink(rig, given) if shrinks and is_early else (given, outcome)))
            told.append((outcome, story))
    return told
