"""A kitchen: the bench with ingredients, formulas and runs, and the few moves that tests of production make."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from occ_app import clock
from occ_app.catalog import pull
from occ_app.catalog.models import Item, Location
from occ_app.extensions import db
from occ_app.production import completing, formulas, ingredients, runs, units
from occ_app.production.models import ProductionRun
from occ_app.stock import ledger
from occ_app.stock.models import Balance, Lot
from tests.support.bench import Bench


class Kitchen:
    """What a maker does, in words of the trade. Amounts are texts such as `2.5` in the item's unit."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        bench.install()

    @property
    def today(self) -> date:
        return clock.local_date(clock.now(), "Europe/London")

    def place(self) -> Location:
        found = pull.default_location()
        assert found is not None
        return found

    def item(self, sku: str) -> Item:
        return db.session.scalars(db.select(Item).where(Item.sku == sku)).one()

    def ingredient(self, code: str, unit: str = "kg", **facts: Any) -> None:
        with self.bench.scope():
            ingredients.add(ingredients.Facts(code, f"{code.title()}", unit, **facts), at=clock.now())
            db.session.commit()

    def receive(self, code: str, amount: str, number: str = "", *, days: int | None = None, cost: str = "0") -> int:
        """A lot came; `days`: how long it is good. Returns its id."""
        with self.bench.scope():
            item = self.item(code)
            lot = ingredients.receive(
                item,
                units.parse(amount, item.unit),
                location_id=self.place().id,
                unit_cost=Decimal(cost),
                expires_on=self.today + timedelta(days=days) if days else None,
                lot_number=number,
                today=self.today,
                actor="test",
                at=clock.now(),
            )
            db.session.commit()
            return lot.id

    def expire(self, number: str) -> None:
        """Time passed: the lot is past its date."""
        with self.bench.scope():
            lot = db.session.scalars(db.select(Lot).where(Lot.lot_number == number)).one()
            lot.made_on, lot.expires_on = self.today - timedelta(days=9), self.today
            db.session.commit()

    def formula(self, sku: str, yields: str, **lines: str) -> None:
        """`lines`: code with _ for -, and an amount with its unit, and scrap: `100 g`, `100 g 20`."""
        with self.bench.scope():
            item, new = self.item(sku), []
            for code, said in lines.items():
                amount, unit, *scrap = said.split()
                component = self.item(code.replace("_", "-"))
                percent = Decimal(scrap[0]) if scrap else Decimal(0)
                new.append(formulas.NewLine(component, units.parse(amount, unit), unit, percent))
            made = units.parse(yields, formulas.unit_of(item))
            formulas.write(item, made, new, actor="test", at=clock.now())
            db.session.commit()

    def plan(self, sku: str, amount: str, *, on: date | None = None, by_hand: dict[int, int] | None = None) -> str:
        """A planned run; returns its number."""
        with self.bench.scope():
            item = self.item(sku)
            when = {"today": self.today, "actor": "test", "at": clock.now()}
            quantity = units.parse(amount, formulas.unit_of(item))
            run = runs.draft(item, quantity, location=self.place(), planned_on=on, **when)
            runs.plan(run, by_hand=by_hand, **when)
            db.session.commit()
            return run.number

    def change(self, number: str, amount: str) -> None:
        with self.bench.scope():
            run = runs.find(number)
            quantity = units.parse(amount, formulas.unit_of(run.item))
            facts = {"quantity": quantity, "planned_on": run.planned_on, "note": ""}
            runs.change(run, **facts, today=self.today, actor="test", at=clock.now())
            db.session.commit()

    def complete(self, number: str, *outputs: int, **more: Any) -> list[str]:
        """The run is completed, or refused whole; returns the lots' numbers."""
        with self.bench.scope():
            made = [completing.Output(quantity) for quantity in outputs]
            when = {"today": self.today, "actor": "test", "at": clock.now()}
            try:
                lots = completing.complete(runs.find(number), made, **more, **when)
            except Exception:
                db.session.rollback()
                raise
            db.session.commit()
            return [lot.lot_number for lot in lots]

    def cancel(self, number: str) -> None:
        with self.bench.scope():
            runs.cancel(runs.find(number), actor="test", at=clock.now())
            db.session.commit()

    def run(self, number: str) -> ProductionRun:
        db.session.remove()
        with self.bench.scope():
            return runs.find(number)

    def stock(self, sku: str) -> dict[str, int]:
        """Where units of the item are, in smallest amounts; virtual places too, none that hold nothing."""
        db.session.remove()
        with self.bench.scope():
            total = db.func.sum(Balance.quantity)
            query = db.select(Balance.place, total).join(Item, Item.id == Balance.item_id).where(Item.sku == sku)
            rows = db.session.execute(query.group_by(Balance.place)).all()
            return {place: int(units) for place, units in rows if units}

    def audit(self) -> list[ledger.Difference]:
        with self.bench.scope():
            return ledger.audit()
