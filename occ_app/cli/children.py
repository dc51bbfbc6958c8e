"""The processes of `occ serve`: the web server, and a worker beside it that is started again when it dies."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Sequence
from typing import Any

import structlog

log = structlog.get_logger()
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds before a dead worker is started again; doubled each time
STEADY_AFTER = 60.0  # seconds that a worker has lived when its death counts as the first again
LOOK_EVERY = 0.2


class Worker:
    """A worker process that is there, or will be after a pause. Its death is nobody else's."""

    def __init__(self, command: Sequence[str], cwd: str) -> None:
        self._command, self._cwd, self._pause = command, cwd, FIRST_PAUSE
        self._start()

    def look(self) -> None:
        """Started again if it died and its pause is over."""
        if self._child.poll() is None:
            return
        now = time.monotonic()
        if self._due_at is None:
            self._pause = next_pause(self._pause, now - self._started_at)
            self._due_at = now + self._pause
            log.error("worker ended, it is started again", code=self._child.returncode, in_seconds=self._pause)
        elif now >= self._due_at:
            self._start()

    def terminate(self) -> None:
        """It is told to end."""
        self._child.terminate()

    def wait(self) -> int:
        """Its exit code; 0 where it had died before and waited for its turn."""
        return self._child.wait() if self._due_at is None else 0

    def _start(self) -> None:
        self._child = subprocess.Popen(self._command, cwd=self._cwd)  # noqa: S603 - our own program
        self._started_at, self._due_at = time.monotonic(), None
        log.info("worker started", pid=self._child.pid)


def next_pause(last: float, lived: float) -> float:
    """Seconds before the next start of a worker that lived so long, after a pause of `last` seconds before this one."""
    return FIRST_PAUSE if lived >= STEADY_AFTER else min(LONGEST_PAUSE, 2 * last)


def run(server: Sequence[str], worker: Sequence[str] | None, cwd: str) -> int:
    """The server has run, with the worker beside it, until it ended or this process was told to (SIGINT, SIGTERM).

    Returns 0 where both ended by our signal or by themselves without an error, else 1.
    """
    web = subprocess.Popen(server, cwd=cwd)  # noqa: S603 - our own program
    beside = Worker(worker, cwd) if worker else None
    told: list[int] = []

    def stop(number: int, _: Any) -> None:
        told.append(number)
        web.terminate()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    while web.poll() is None and not told:
        if beside:
            beside.look()
        time.sleep(LOOK_EVERY)
    codes = [web.wait()]
    if beside:
        beside.terminate()
        codes.append(beside.wait())
    return max(0 if code in (0, -signal.SIGTERM, -signal.SIGINT) else 1 for code in codes)
