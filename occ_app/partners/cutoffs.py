"""When orders to a partner close, as its settings and the shop's say."""

from __future__ import annotations

from datetime import date, time

from occ_app.partners import settings
from occ_app.partners.models import Partner
from occ_app.partners.rules import Plan
from occ_app.shops import settings as shop_settings
from occ_app.shops.models import Shop
from occ_app.sync.targets import shop


def plan_of(partner: Partner, of: Shop | None = None) -> Plan:
    """When orders to the partner close. Daily ones go with the shop's daily batch."""
    cadence = settings.get(partner, "cadence")
    if cadence == "daily":
        of = of or shop()
        hour, zone = shop_settings.get(of, "batch_hour"), shop_settings.get(of, "time_zone")
        return Plan("daily", "monday", time(hour), zone, _skipped(partner))
    return Plan(
        cadence,
        settings.get(partner, "cutoff_weekday"),
        time.fromisoformat(settings.get(partner, "cutoff_time")),
        settings.get(partner, "time_zone"),
        _skipped(partner),
    )


def _skipped(partner: Partner) -> frozenset[date]:
    given = settings.get(partner, "skip_dates")
    return frozenset(date.fromisoformat(part.strip()) for part in given.split(",") if part.strip())
