"""Two people at once: each stops after the statement that matters until the other has made it too, or waits for a lock."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from sqlalchemy import event, text

from occ_app.extensions import db
from tests.support.bench import Bench

PATIENCE_S = 10
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


class Meeting:
    """The answers of two calls that were made to meet. `after`: a part of the statement after which either waits, by default its first lock."""

    def __init__(self, bench: Bench, after: str = "FOR UPDATE") -> None:
        self.bench, self.after = bench, after
        self.is_there = {"first": threading.Event(), "second": threading.Event()}
        self.answers: dict[str, Any] = {}

    def of(self, first: Callable[[], Any], second: Callable[[], Any]) -> dict[str, Any]:
        """What either returned, or what it raised."""
        people = [
            threading.Thread(target=self._call, args=(call,), name=name)
            for name, call in (("first", first), ("second", second))
        ]
        event.listen(db.engine, "after_cursor_execute", self._pause)
        try:
            for one in people:
                one.start()
            for one in people:
                one.join()
        finally:
            event.remove(db.engine, "after_cursor_execute", self._pause)
        return self.answers

    def _call(self, call: Callable[[], Any]) -> None:
        me = threading.current_thread().name
        try:
            with self.bench.app.app_context():
                self.answers[me] = call()
        except Exception as error:
            self.answers[me] = error
        finally:
            self.is_there[me].set()

    def _pause(self, _connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        me = threading.current_thread().name
        if me not in self.is_there or self.after not in " ".join(statement.split()) or self.is_there[me].is_set():
            return
        self.is_there[me].set()
        other = self.is_there["second" if me == "first" else "first"]
        with db.engine.connect() as looking:
            for _ in range(PATIENCE_S * 100):
                if other.wait(0.01) or looking.scalar(text(WAITING)):
                    return
                looking.rollback()
