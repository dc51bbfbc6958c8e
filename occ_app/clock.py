"""The time as the app sees it: the machine's clock, plus an offset that tests and rehearsals set from outside.

`OCC_CLOCK_FILE` names a file that holds a number of seconds; it is read at each call, so that every process moves together.
All business times come from here as parameters; the database's own `now()` is used for none of them.
"""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo


def now() -> datetime:
    """The present moment, aware, in UTC, moved by the number of seconds in `OCC_CLOCK_FILE` if that is set."""
    return datetime.now(UTC) + timedelta(seconds=_offset_seconds())


def told(words: str | None) -> datetime | None:
    """The moment (ISO 8601) that somebody outside names; None where it is none, has no time zone, or lies outside of 2000 to 2099.

    PostgreSQL keeps moments that Python cannot read back, so what lies far out must never get there.
    """
    try:
        moment = datetime.fromisoformat(words or "")
    except ValueError:
        return None
    return moment if moment.tzinfo and 2000 <= moment.year < 2100 else None


def local_date(moment: datetime, time_zone: str) -> date:
    """The calendar day that people in `time_zone` (IANA name) write at `moment`."""
    return moment.astimezone(ZoneInfo(time_zone)).date()


def _offset_seconds() -> float:
    path = os.environ.get("OCC_CLOCK_FILE")
    if not path:
        return 0.0
    try:
        with open(path, encoding="ascii") as file:
            return float(file.read().strip() or 0)
    except FileNotFoundError:
        return 0.0
