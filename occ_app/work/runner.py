"""Runs tasks: in workers of any number, or here and now until nothing is due (`drain`).

A failing task is counted and told; it is tried again by its next trigger, at the latest by the sweep. It never stops the others.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import procrastinate
from flask import Flask
from sqlalchemy import delete, text
from sqlalchemy.dialects.postgresql import insert

from occ_app import clock
from occ_app.database import behind_pooler, conninfo
from occ_app.extensions import across_shops, db
from occ_app.logs import tell
from occ_app.work import ticks
from occ_app.work.models import TaskFailure
from occ_app.work.queue import HEARTBEAT_SECONDS, PRUNED_SECONDS, queue
from occ_app.work.tasks import function_of

PARKED_FROM = 5
KEPT_JOBS = (
    "DELETE FROM procrastinate_jobs WHERE status IN ('succeeded', 'failed', 'cancelled', 'aborted') AND id < :below"
)
_app: Flask | None = None


@dataclass(frozen=True)
class Waiting:
    """Jobs of one task and shop: `state` is todo or doing."""

    task: str
    shop_id: int
    state: str
    number: int


def bind(app: Flask) -> None:
    """Tasks of this process run in `app`'s context."""
    global _app
    _app = app


def run_task(name: str, shop_id: int) -> None:
    """Task `name` has looked at the shop, or its failure is told. The failure does not leave this function."""
    assert _app is not None, "bind() comes first"
    with _app.app_context():
        try:
            function_of(name)(shop_id)
            forget_failure(name, shop_id)
            db.session.commit()
        except Exception as error:
            db.session.rollback()
            _count_failure(name, shop_id, tell("task failed", error, task=name, shop=shop_id))


def work(app: Flask, *, stop_when_idle: bool = False) -> None:
    """This process works until it is told to stop (SIGINT, SIGTERM); the clock ticks beside it."""
    bind(app)
    with app.app_context():
        url = db.engine.url
    pooled = behind_pooler(url)
    extra = {"kwargs": {"prepare_threshold": None}} if pooled else {}
    connector = procrastinate.PsycopgConnector(conninfo=conninfo(url), **extra)
    with queue.replace_connector(connector), _ticking(app, stop_when_idle):
        asyncio.run(_worker(pooled, stop_when_idle))


async def _worker(pooled: bool, stop_when_idle: bool) -> None:
    async with queue.open_async():
        await queue.run_worker_async(
            concurrency=4,
            wait=not stop_when_idle,
            listen_notify=not pooled and not stop_when_idle,
            fetch_job_polling_interval=1.0,
            update_heartbeat_interval=HEARTBEAT_SECONDS,
            stalled_worker_timeout=PRUNED_SECONDS,
            install_signal_handlers=not stop_when_idle,
        )


def drain(app: Flask, seconds: float) -> list[str]:
    """All that is due is done, follow-ups included. Returns a line for whatever is parked or was not finished in time."""
    end = time.monotonic() + seconds
    bind(app)
    with app.app_context():
        while time.monotonic() < end:
            if not _take_one():
                return _parked()
    return [*_parked(), f"Time ran out after {seconds:g} s with work still due."]


def waiting() -> list[Waiting]:
    """What waits or runs, per task and shop."""
    rows = db.session.execute(
        text(
            "SELECT args->>'name', (args->>'shop_id')::int, status, count(*) FROM procrastinate_jobs"
            " WHERE status IN ('todo', 'doing') AND task_name = 'run' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
        )
    )
    return [Waiting(*row) for row in rows]


def failures() -> list[TaskFailure]:
    """Tasks whose last run failed."""
    with across_shops():
        return list(db.session.scalars(db.select(TaskFailure).order_by(TaskFailure.failed_at)))


def forget_old_jobs(keep: int = 10_000) -> None:
    """Finished jobs beyond the newest `keep` are gone."""
    newest = db.session.scalar(text("SELECT coalesce(max(id), 0) FROM procrastinate_jobs"))
    db.session.execute(text(KEPT_JOBS), {"below": newest - keep})


def _take_one() -> bool:
    """One waiting job is done here; False where none may start. The job is gone before it runs: what is due stands in the tables."""
    taken = db.session.execute(
        text(
            "DELETE FROM procrastinate_jobs WHERE id = (SELECT id FROM procrastinate_jobs job WHERE status = 'todo'"
            " AND task_name = 'run' AND NOT EXISTS (SELECT 1 FROM procrastinate_jobs other WHERE other.lock = job.lock"
            " AND other.status = 'doing') ORDER BY priority DESC, id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING args"
        )
    ).first()
    db.session.commit()
    if taken is None:
        return False
    run_task(taken.args["name"], int(taken.args["shop_id"]))
    return True


def _parked() -> list[str]:
    return [f"{f.task} of shop {f.shop_id} failed {f.tries} times: {f.cause}" for f in failures()]


@contextmanager
def _ticking(app: Flask, stop_when_idle: bool) -> Iterator[None]:
    if stop_when_idle:
        yield
        return
    scheduler = ticks.start(app)
    try:
        yield
    finally:
        scheduler.shutdown(wait=False)


def _count_failure(name: str, shop_id: int, cause: str) -> None:
    if not shop_id:
        return
    values: dict[str, Any] = {"shop_id": shop_id, "task": name, "tries": 1, "failed_at": clock.now(), "cause": cause}
    statement = insert(TaskFailure).values(values)
    again = {
        "tries": TaskFailure.tries + 1,
        "failed_at": statement.excluded.failed_at,
        "cause": statement.excluded.cause,
    }
    db.session.execute(statement.on_conflict_do_update(index_elements=["shop_id", "task"], set_=again))
    db.session.commit()


def forget_failure(name: str, shop_id: int) -> None:
    """The task's failures are no longer counted."""
    db.session.execute(delete(TaskFailure).where(TaskFailure.shop_id == shop_id, TaskFailure.task == name))
