"""Workers: tasks merge, share the work, and are taken over when one dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from flask import Flask
from sqlalchemy import URL
from structlog.testing import capture_logs

from occ_app import clock, database
from occ_app.config import ROOT
from occ_app.extensions import db
from occ_app.work import tasks, ticks
from occ_app.work.tasks import turn
from tests.support.bench import Bench
from tests.support.settings import SECRET, drop_database, make_database


def waiting() -> int:
    """Jobs that wait."""
    return int(
        db.session.execute(db.text("SELECT count(*) FROM procrastinate_jobs WHERE status = 'todo'")).scalar_one()
    )


def test_a_task_asked_for_many_times_waits_once(app: Flask) -> None:
    for _ in range(3):
        tasks.ask("push", 1)
        db.session.commit()

    assert waiting() == 1


def test_without_a_commit_nothing_is_asked_for(app: Flask) -> None:
    tasks.ask("push", 1)
    db.session.rollback()

    assert waiting() == 0


def test_a_job_that_is_joined_does_not_start_before_the_commit(app: Flask) -> None:
    tasks.ask("push", 1)
    db.session.commit()
    tasks.ask("push", 1)
    fetch = "SELECT id FROM procrastinate_jobs WHERE status = 'todo' FOR UPDATE SKIP LOCKED"
    with db.engine.connect() as other:
        assert other.exec_driver_sql(fetch).all() == []
        other.rollback()
        db.session.commit()

        assert len(other.exec_driver_sql(fetch).all()) == 1


def test_only_one_has_the_turn(app: Flask) -> None:
    with turn(db.engine, "sync", 1) as first, turn(db.engine, "sync", 1) as second, turn(db.engine, "sync", 2) as other:
        assert (first, second, other) == (True, False, True)
    with turn(db.engine, "sync", 1) as again:
        assert again


@pytest.fixture
def own_database(server_url: URL, template: str) -> Iterator[URL]:
    """A database for workers of this test."""
    name = f"occ_work_{uuid.uuid4().hex[:10]}"
    make_database(server_url, name, template)
    yield server_url.set(database=name)
    drop_database(server_url, name)


def start_worker(url: URL, instance: Path) -> subprocess.Popen[bytes]:
    """A worker process on that database."""
    environment = {
        **os.environ,
        "OCC_ENV": "test",
        "OCC_INSTANCE": str(instance),
        "DATABASE_URL": url.set(drivername="postgresql").render_as_string(hide_password=False),
        "SHOPIFY_API_KEY": "test-client-id",
        "SHOPIFY_API_SECRET": SECRET,
    }
    return subprocess.Popen([sys.executable, "-m", "occ_app.cli", "worker"], cwd=ROOT, env=environment)


def until(connection: psycopg.Connection, query: str, value: object, seconds: float = 60) -> None:
    """The query gives the value."""
    end = time.monotonic() + seconds
    while (found := connection.execute(query).fetchone()) != (value,):  # type: ignore[call-overload]
        assert time.monotonic() < end, f"{query} gives {found}"
        time.sleep(0.1)


def test_the_work_of_a_killed_worker_is_taken_over_within_a_minute(own_database: URL, tmp_path: Path) -> None:
    first = start_worker(own_database, tmp_path)
    second = None
    try:
        with psycopg.connect(database.conninfo(own_database), autocommit=True) as connection:
            connection.execute(
                "INSERT INTO shop (domain, name, status, currency, settings, installed_at) VALUES"
                " ('a.myshopify.com', '', 'active', 'USD', '{}', now())"
            )
            until(connection, "SELECT count(*) > 0 FROM procrastinate_workers", True)
            with connection.transaction():
                # The job's work waits for this lock, so that it is surely under way when its worker dies.
                connection.execute("INSERT INTO turn (shop_id, kind) VALUES (1, 'inbox')")
                connection.execute(
                    "INSERT INTO procrastinate_jobs (queue_name, task_name, lock, queueing_lock, args, status, worker_id)"
                    " SELECT 'default', 'run', 'inbox:1', 'inbox:1', '{\"name\": \"inbox\", \"shop_id\": 1}', 'doing', max(id)"
                    " FROM procrastinate_workers"
                )
            first.send_signal(signal.SIGKILL)
            first.wait()
            second = start_worker(own_database, tmp_path)

            until(
                connection, "SELECT bool_and(status = 'succeeded') FROM procrastinate_jobs WHERE lock = 'inbox:1'", True
            )
    finally:
        for process in filter(None, (first, second)):
            process.terminate()
            process.wait(20)


INSERT_JOB = (
    "INSERT INTO procrastinate_jobs (queue_name, task_name, lock, queueing_lock, args, status, worker_id) VALUES ('default', 'run',"
    ' :name, :name, \'{"name": "inbox", "shop_id": 1}\', cast(:status AS procrastinate_job_status), :worker) RETURNING id'
)
INSERT_WORKER = (
    "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - make_interval(secs => :age)) RETURNING id"
)


def doing(name: str, age: int, *, is_followed: bool = False) -> int:
    """A job in the hands of a worker whose last heartbeat is so many seconds old; its successor waits already if it is followed."""
    worker = db.session.scalar(db.text(INSERT_WORKER), {"age": age})
    if is_followed:
        db.session.execute(db.text(INSERT_JOB), {"name": name, "status": "todo", "worker": None})
    found = db.session.scalar(db.text(INSERT_JOB), {"name": name, "status": "doing", "worker": worker})
    db.session.commit()
    return int(found or 0)


def states_after_healing(app: Flask, ids: list[int]) -> list[str]:
    """How the jobs stand after one look for dead workers."""
    ticks._heal(app)
    query = db.text("SELECT status::text FROM procrastinate_jobs WHERE id = ANY(:ids) ORDER BY id")
    return list(db.session.scalars(query, {"ids": ids}))


def test_a_worker_whose_heartbeat_is_late_by_twenty_seconds_keeps_its_work(app: Flask) -> None:
    ids = [doing("alive", 20), doing("dead", 31), doing("followed", 31, is_followed=True)]

    assert states_after_healing(app, ids) == ["doing", "todo", "failed"]


def test_a_successor_asked_for_while_healing_makes_no_noise(app: Flask) -> None:
    dead = doing("dead", 31)
    waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    with db.engine.connect() as other, db.engine.connect() as watch, capture_logs() as lines:
        other.execute(
            db.text(INSERT_JOB), {"name": "dead", "status": "todo", "worker": None}
        )  # the healing meets it at the unique index
        healing = threading.Thread(target=ticks._heal, args=[app])
        healing.start()
        while watch.exec_driver_sql(waits).scalar() == 0 and healing.is_alive():
            watch.rollback()  # what it saw is not kept
        other.commit()
        healing.join(30)

    assert lines == []
    assert states_after_healing(app, [dead]) == ["failed"]


def test_two_workers_share_the_work(own_database: URL, tmp_path: Path) -> None:
    workers = [start_worker(own_database, tmp_path) for _ in range(2)]
    try:
        with psycopg.connect(database.conninfo(own_database), autocommit=True) as connection:
            until(connection, "SELECT count(*) = 2 FROM procrastinate_workers", True)
            connection.execute(
                "INSERT INTO procrastinate_jobs (queue_name, task_name, args) SELECT 'default', 'run',"
                " jsonb_build_object('name', 'inbox', 'shop_id', n) FROM generate_series(1000, 1199) n"
            )
            connection.execute("SELECT pg_notify('procrastinate_any_queue_v1', '{\"type\": \"job_inserted\"}')")
            until(
                connection,
                "SELECT count(*) FROM procrastinate_jobs WHERE status <> 'succeeded' AND args->>'name' = 'inbox'",
                0,
            )
            used = connection.execute(
                "SELECT count(DISTINCT worker_id) FROM procrastinate_jobs WHERE (args->>'shop_id')::int >= 1000"
            ).fetchone()
    finally:
        for process in workers:
            process.terminate()
            process.wait(20)

    assert used == (2,)


def test_a_worker_that_starts_asks_for_what_was_missed_once(bench: Bench) -> None:
    bench.install()
    for tick in ticks._ticks:  # another worker has had this slot and the next ones
        slot = {"name": tick.name, "slot": 10**9}
        db.session.execute(db.text("INSERT INTO tick_slot (name, slot) VALUES (:name, :slot)"), slot)
    db.session.commit()
    asked = "SELECT args->>'name' FROM procrastinate_jobs WHERE status = 'todo'"
    schedulers = [ticks.start(bench.app) for _ in range(2)]
    try:
        end = time.monotonic() + 90
        while not db.session.scalars(db.text(asked)).all():
            assert time.monotonic() < end
            db.session.commit()
    finally:
        for scheduler in schedulers:
            scheduler.shutdown()  # waits until all that was started has ended
    db.session.commit()

    assert db.session.scalars(db.text(asked)).all() == ["hourly"]


def test_ticks_come_at_the_start_of_their_slots(app: Flask) -> None:
    scheduler = ticks.start(app)
    triggers = {job.name: job.trigger for job in scheduler.get_jobs()}
    scheduler.shutdown()
    for tick in ticks._ticks:
        due = triggers[tick.name].get_next_fire_time(None, datetime(2026, 11, 21, 10, 3, 7, tzinfo=UTC))

        assert due.timestamp() % tick.seconds == 0.5


def test_the_clock_moves_with_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = clock.now()
    path = tmp_path / "clock"
    path.write_text("604800")
    monkeypatch.setenv("OCC_CLOCK_FILE", str(path))

    assert (clock.now() - before).days == 7
