"""A workshop: the kitchen with a store that has sold for a while, and the few moves that tests of planning make."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from devshop import orders
from occ_app import clock
from occ_app.extensions import db
from occ_app.planning import replan
from occ_app.planning.models import ItemPlan, Suggestion
from occ_app.shops import settings
from occ_app.sync import targets
from tests.production.kitchen import Kitchen
from tests.support.bench import Bench

HERE = ZoneInfo("Europe/London")


def at_noon(days_ago: int, hour: int = 12) -> str:
    """A moment of a past day of the shop's."""
    day = clock.now().astimezone(HERE).date() - timedelta(days=days_ago)
    return datetime.combine(day, time(hour), HERE).isoformat()


class Workshop:
    """What somebody does who plans. The store's products are there before the app is installed."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    def sold(self, sku: str, *per_day: int, until: int = 1, **more: Any) -> None:
        """Past orders: so many units a day, the last of them `until` days ago, one order a day."""
        rows = [
            {"at": at_noon(until + number), "lines": [{"sku": sku, "quantity": units}], **more}
            for number, units in enumerate(reversed(per_day))
            if units
        ]
        orders.past(self.bench.store, rows)

    def open(self) -> Kitchen:
        """The app is installed, and has read what was sold."""
        self.kitchen = Kitchen(self.bench)
        return self.kitchen

    @property
    def today(self) -> date:
        return self.kitchen.today

    def set(self, name: str, value: str) -> None:
        """A setting of the shop."""
        with self.bench.scope():
            settings.put(targets.shop(), name, value)
            db.session.commit()

    def replan(self, at: datetime | None = None) -> int:
        """All items are replanned."""
        db.session.remove()
        with self.bench.scope():
            return replan.replan_all(at or clock.now())

    def plan(self, sku: str) -> ItemPlan:
        """An item's plan as it stands."""
        db.session.remove()
        with self.bench.scope():
            return db.session.get_one(ItemPlan, self.kitchen.item(sku).id)

    def suggestions(self, sku: str = "") -> list[Suggestion]:
        """All suggestions, ended ones too, oldest first."""
        db.session.remove()
        with self.bench.scope():
            query = db.select(Suggestion).order_by(Suggestion.id)
            return list(
                db.session.scalars(query.where(Suggestion.item_id == self.kitchen.item(sku).id) if sku else query)
            )

    def see(self, path: str, status: int = 200, **options: Any) -> str:
        """The words of a page, without its markup."""
        answer = self.bench.open(path, **options)
        assert answer.status_code == status, (path, answer.status_code, answer.get_data(as_text=True)[:500])
        return words(answer)

    def post(self, path: str, **form: Any) -> Any:
        """A form was sent."""
        return self.bench.open(path, method="POST", data=form)


def words(answer: Any) -> str:
    """The words of an answer."""
    return " ".join(re.sub(r"<[^>]+>", " ", answer.get_data(as_text=True)).split())


def weekly(weeks: int, *week: int) -> Sequence[int]:
    """So many weeks alike."""
    return week * weeks
