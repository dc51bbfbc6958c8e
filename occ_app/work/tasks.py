"""Tasks by name: registered once, asked for in the transaction that makes them due, merged while one waits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from procrastinate import exceptions
from sqlalchemy import Engine, select, text
from sqlalchemy.dialects.postgresql import insert

from occ_app.extensions import db
from occ_app.work.models import Turn
from occ_app.work.queue import asking

TaskFunction = Callable[[int], None]
_registered: dict[str, TaskFunction] = {}
_kinds: dict[str, str] = {}
LOOK_EVERY = 0.2  # seconds


def register(name: str, function: TaskFunction, kind: str) -> None:
    """Task `name` is `function(shop_id)`. Of tasks of one kind only one runs per shop at a time; the next waits in the queue."""
    _registered[name], _kinds[name] = function, kind


def names() -> list[str]:
    """All registered tasks."""
    return list(_registered)


def function_of(name: str) -> TaskFunction:
    """What task `name` does."""
    return _registered[name]


def ask(name: str, shop_id: int) -> None:
    """Task `name` will look at the shop soon. In the session's own transaction: no commit, no task. Merged if one waits already."""
    if name not in _registered:
        raise ValueError(f"task {name!r} is not registered")
    asked: set[tuple[str, int]] = db.session.info.setdefault("asked", set())
    if (name, shop_id) in asked:
        return
    key = f"{name}:{shop_id}"
    while not _joins_waiting_job(key):
        try:
            with db.session.begin_nested():
                connection = db.session.connection().connection.dbapi_connection
                lock = f"{_kinds[name]}:{shop_id}"
                job = asking.configure_task("run", queueing_lock=key, lock=lock, connection=connection)
                job.defer(name=name, shop_id=shop_id)
            break
        except exceptions.AlreadyEnqueued:
            continue  # another transaction asked a moment ago; its job can be joined now
    asked.add((name, shop_id))


def is_at_it(name: str, shop_id: int) -> None:
    """Task `name` runs, and does whatever this transaction would ask it for: it is not asked again."""
    db.session.info.setdefault("asked", set()).add((name, shop_id))


def _joins_waiting_job(key: str) -> bool:
    """Whether a job that waits will see what this transaction does: it is held back until the transaction has ended.

    Workers skip locked rows when they fetch, so the shared lock keeps the job from starting on the state before our commit.
    """
    query = text("SELECT 1 FROM procrastinate_jobs WHERE queueing_lock = :key AND status = 'todo' FOR KEY SHARE")
    return db.session.execute(query, {"key": key}).first() is not None


def forget_asked(session: object) -> None:
    """A transaction ended: the next may ask again."""
    getattr(session, "info", {}).pop("asked", None)


@contextmanager
def turn(engine: Engine, kind: str, shop_id: int, wait: float = 0) -> Iterator[bool]:
    """Whether this is the only one doing `kind` for the shop; true for the whole block, or false if another is at it for `wait` seconds more.

    Held by a row lock in a transaction of its own, so it is free again the moment the process dies, behind a pooler too.
    """
    with engine.connect() as connection, connection.begin():
        connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        row = select(Turn.kind).where(Turn.shop_id == shop_id, Turn.kind == kind).with_for_update(skip_locked=True)
        found = connection.execute(row).first()
        if found is None:  # another has it, or nobody has had it yet
            with engine.begin() as first:
                first.execute(insert(Turn).values(shop_id=shop_id, kind=kind).on_conflict_do_nothing())
            found = connection.execute(row).first()
        end = time.monotonic() + wait
        while found is None and time.monotonic() < end:
            time.sleep(LOOK_EVERY)
            found = connection.execute(row).first()
        yield found is not None
