"""The clock: APScheduler in every worker, whose ticks ask for tasks that merge, so many clocks do no harm.

Time is cut into slots as long as the tick's interval, and `tick_slot` keeps the newest that was fired: of many clocks one gets each.
A worker that starts asks for the present slots, if nobody has, and for what may have been missed while no worker ran.
Source: APScheduler 3.11 user guide (misfire_grace_time, coalesce).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from occ_app import clock
from occ_app.extensions import across_shops, db
from occ_app.work.queue import STALLED_SECONDS

log = structlog.get_logger()


@dataclass(frozen=True)
class Tick:
    """Every `seconds`, `fire` asks for whatever tasks are due then."""

    name: str
    seconds: int
    fire: Callable[[], None]


_ticks: list[Tick] = []
_at_start: list[Tick] = []
# Slots begin at whole multiples of their length, so a tick comes early in its slot: half a second, as timers are not exact.
_SLOTS_SINCE = datetime(2020, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC)
CATCH_UP_SECONDS = 60
HEAL = 3
# A job of a dead worker waits again, unless its successor waits already: then it is done for, as two waiting jobs may not share a queueing
# lock. One statement, so that it all rests on one look; a job that another process has in hand is left to it.
_HEALED = """
WITH dead AS (
    SELECT id FROM procrastinate_jobs job WHERE status = 'doing' AND NOT EXISTS (
        SELECT 1 FROM procrastinate_workers worker
        WHERE worker.id = job.worker_id AND worker.last_heartbeat > now() - make_interval(secs => :stalled))
    FOR UPDATE SKIP LOCKED),
followed AS (
    SELECT job.id FROM procrastinate_jobs job JOIN procrastinate_jobs next ON next.queueing_lock = job.queueing_lock
    WHERE job.status = 'doing' AND next.status = 'todo')
UPDATE procrastinate_jobs job SET worker_id = NULL, attempts = job.attempts + 1,
    status = (CASE WHEN job.id IN (SELECT id FROM followed) THEN 'failed' ELSE 'todo' END)::procrastinate_job_status
FROM dead WHERE dead.id = job.id AND job.status = 'doing' RETURNING job.args->>'name' AS task, (job.args->>'shop_id')::int AS shop
"""


def every(seconds: int, name: str, fire: Callable[[], None]) -> None:
    """`fire` is called once per slot of `seconds`, by whichever worker is first."""
    _ticks[:] = [tick for tick in _ticks if tick.name != name] + [Tick(name, seconds, fire)]


def at_start(name: str, fire: Callable[[], None]) -> None:
    """`fire` is called when a worker starts: what was missed while none ran. Of many that start within a minute, by one."""
    _at_start[:] = [tick for tick in _at_start if tick.name != name] + [Tick(name, CATCH_UP_SECONDS, fire)]


def start(app: Flask) -> BackgroundScheduler:
    """The clock runs in a thread of this process."""
    scheduler = BackgroundScheduler(
        timezone="UTC", job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
    )
    for tick in _ticks:
        trigger = IntervalTrigger(seconds=tick.seconds, start_date=_SLOTS_SINCE)
        scheduler.add_job(fire, trigger, args=[app, tick], name=tick.name, next_run_time=datetime.now(UTC))
    for tick in _at_start:
        scheduler.add_job(fire, args=[app, tick], name=tick.name)
    scheduler.add_job(_heal, IntervalTrigger(seconds=HEAL), args=[app])
    scheduler.start()
    return scheduler


def fire(app: Flask, tick: Tick) -> None:
    """The tick's present slot has been fired by somebody."""
    with app.app_context(), across_shops():
        try:
            if _claim(tick.name, int(clock.now().timestamp()) // tick.seconds):
                tick.fire()
            db.session.commit()
        except Exception:
            db.session.rollback()
            log.exception("tick failed", tick=tick.name)


def _claim(name: str, slot: int) -> bool:
    statement = text(
        "INSERT INTO tick_slot (name, slot) VALUES (:name, :slot)"
        " ON CONFLICT (name) DO UPDATE SET slot = excluded.slot WHERE tick_slot.slot < excluded.slot RETURNING slot"
    )
    return db.session.execute(statement, {"name": name, "slot": slot}).first() is not None


def _heal(app: Flask) -> None:
    """Jobs of workers that died wait again. Done here rather than by a job: no job can then stand in its way."""
    with app.app_context():
        try:
            healed = db.session.execute(text(_HEALED), {"stalled": STALLED_SECONDS}).all()
            db.session.commit()
        except IntegrityError:
            db.session.rollback()  # a successor was asked for at this very moment; the next look sees it
        except Exception:
            db.session.rollback()
            log.exception("healing failed")
        else:
            for job in healed:
                log.warning("work of a dead worker taken over", task=job.task, shop=job.shop)
