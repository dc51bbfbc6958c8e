"""A lot leaves the sellable number at midnight where the shop is, on days of 23 and 25 hours too."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
import time_machine

from occ_app import clock
from occ_app.extensions import db
from occ_app.shops.models import Shop
from occ_app.sync import targets
from occ_app.sync.models import SyncState
from tests.support.bench import Bench


@pytest.mark.parametrize(
    ("zone", "day", "utc"),
    [
        ("Europe/London", date(2027, 3, 28), datetime(2027, 3, 28, 0, 0, tzinfo=UTC)),  # 23 hours long
        ("Europe/London", date(2027, 3, 29), datetime(2027, 3, 28, 23, 0, tzinfo=UTC)),  # the day after
        ("Europe/London", date(2026, 10, 25), datetime(2026, 10, 24, 23, 0, tzinfo=UTC)),  # 25 hours long
        (
            "America/Santiago",
            date(2027, 9, 5),
            datetime(2027, 9, 5, 4, 0, tzinfo=UTC),
        ),  # begins at 01:00, midnight is left out
        ("Pacific/Auckland", date(2026, 12, 1), datetime(2026, 11, 30, 11, 0, tzinfo=UTC)),
    ],
)
def test_a_day_begins_at_midnight_of_the_shop(zone: str, day: date, utc: datetime) -> None:
    before = datetime.fromtimestamp(utc.timestamp() - 1, UTC)

    assert clock.local_date(utc, zone) == day
    assert clock.local_date(before, zone) < day
    assert utc.astimezone(ZoneInfo(zone)).date() == day


@pytest.mark.parametrize(
    ("day", "before", "after"),
    [
        (date(2027, 3, 28), "2027-03-27T23:59:59Z", "2027-03-28T00:00:00Z"),
        (date(2026, 10, 26), "2026-10-25T23:59:59Z", "2026-10-26T00:00:00Z"),
        (date(2027, 6, 1), "2027-05-31T22:59:59Z", "2027-05-31T23:00:00Z"),
    ],
)
def test_an_expired_lot_leaves_the_number_at_local_midnight(bench: Bench, day: date, before: str, after: str) -> None:
    bench.product("SSD", 0)
    bench.install()
    bench.item("SSD")
    bench.lot("SSD", 4, expires_on=day)
    bench.lot("SSD", 10)
    bench.map("SSD", "hub")
    bench.settle()
    found = []
    for moment in (before, after):
        with time_machine.travel(moment, tick=False), bench.scope():
            assert db.session.scalars(db.select(Shop)).one().settings["time_zone"] == "Europe/London"
            targets.refresh_all()
            found.append(db.session.scalars(db.select(SyncState.target)).one())
            db.session.rollback()

    assert found == [14, 10]
