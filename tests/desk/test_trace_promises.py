"""Any sequence of receipts, runs, splits, holds, sales, shipments, returns and recalls keeps the books true and the trace complete."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from occ_app.catalog import pull
from occ_app.catalog.models import INGREDIENT, Item, Location, Variant
from occ_app.desk import trace
from occ_app.errors import RuleError
from occ_app.extensions import current_shop_id, db
from occ_app.orders import booking
from occ_app.orders.booking import LineState, OrderState
from occ_app.orders.models import Order, OrderLine
from occ_app.orders.rules import LineSnapshot, Removal
from occ_app.production import completing, ingredients, recall, runs
from occ_app.production import trace as made
from occ_app.production.models import PLANNED, ProductionRun, Recall
from occ_app.stock import ledger, lots
from occ_app.stock.models import Balance, Lot
from occ_app.stock.rules import BACKORDER, COMMITTED, CORRECTION, IN_REVIEW, ON_HOLD, RELEASED, SCRAP, SHIPPED
from occ_app.sync.models import SyncState
from tests.production.kitchen import Kitchen
from tests.support.bench import Bench

INGREDIENTS, ITEMS, SOLD = ("COCOA", "SUGAR"), ("PASTE", "BAR", "BOX"), ("BAR", "BOX")
PLACES = (RELEASED, RELEASED, ON_HOLD, IN_REVIEW, SCRAP)
START = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def factory(bench: Bench) -> tuple[Bench, Day]:
    """Boxes of bars and paste, bars of paste and sugar, paste of cocoa and sugar; bars and boxes sell, and the first were made and sold."""
    for sku in SOLD:
        bench.product(sku, 0)
    kitchen = Kitchen(bench)
    for code in INGREDIENTS:
        kitchen.ingredient(code, "piece")
    for sku in ITEMS:
        bench.item(sku)
    kitchen.formula("PASTE", "10", COCOA="10 piece", SUGAR="5 piece")
    kitchen.formula("BAR", "10", PASTE="10 piece", SUGAR="1 piece")
    kitchen.formula("BOX", "10", BAR="10 piece", PASTE="5 piece")
    for sku in SOLD:
        bench.map(sku, "hub")
    bench.settle()
    with bench.scope():
        place = pull.default_location()
        assert place is not None
        day = Day(place.id, place.location_gid)
        for step in MORNING:
            day.go(*step)
        db.session.commit()
    return bench, day


@dataclass
class Sold:
    """An order with one line, as Shopify would show it."""

    number: int
    variant_gid: str
    quantity: int
    open: int
    removals: list[Removal] = field(default_factory=list)
    changes: int = 0


@dataclass
class Day:
    """What happens in a factory, step by step. Numbers choose among what there is; what a rule refuses changes nothing."""

    place_id: int
    place_gid: str
    orders: list[Sold] = field(default_factory=list)
    frozen: dict[int, int] = field(default_factory=dict)  # lot id -> units sold of it when it was frozen
    at: datetime = START

    @property
    def when(self) -> dict[str, Any]:
        return {"today": self.at.date(), "actor": "test", "at": self.at}

    def go(self, step: int, which: int, many: int) -> None:
        """One step is done whole, or refused by a rule and not done at all."""
        self.at += timedelta(minutes=1)
        try:
            with db.session.begin_nested():
                STEPS[step](self, which, many)
                db.session.flush()
        except RuleError:
            db.session.expire_all()

    def receive(self, which: int, many: int) -> None:
        item = item_of(INGREDIENTS[which % 2])
        facts = {"location_id": self.place_id, "unit_cost": Decimal(0), "expires_on": None, "lot_number": ""}
        ingredients.receive(item, 10 * many, **facts, **self.when)

    def plan(self, which: int, many: int) -> None:
        run = runs.draft(
            item_of(ITEMS[which % 3]), many, location=db.session.get_one(Location, self.place_id), **self.when
        )
        runs.plan(run, **self.when)

    def complete(self, which: int, many: int) -> None:
        """Two lots where there is enough for two, all released but what is held back."""
        run = chosen(ProductionRun, which, ProductionRun.state == PLANNED)
        if run is not None:
            parts = [run.planned_quantity // 2, run.planned_quantity - run.planned_quantity // 2]
            done = completing.complete(run, [completing.Output(units) for units in parts if units], **self.when)
            for lot in done:
                lots.move(lot, RELEASED, actor="test", at=self.at)

    def cancel_run(self, which: int, many: int) -> None:
        run = chosen(ProductionRun, which, ProductionRun.state == PLANNED)
        if run is not None:
            runs.cancel(run, actor="test", at=self.at)

    def move(self, which: int, many: int) -> None:
        lot = chosen(Lot, which)
        if lot is not None:
            lots.move(lot, PLACES[many % 5], many, actor="test", at=self.at)

    def sell(self, which: int, many: int) -> None:
        variant = db.session.scalars(db.select(Variant).where(Variant.sku == SOLD[which % 2])).one()
        order = Sold(len(self.orders) + 1, variant.variant_gid, many, many)
        self.book(order)
        self.orders.append(order)

    def ship(self, which: int, many: int) -> None:
        order = self.some(which)
        if order is not None:
            order.open = 0
            self.book(order)

    def remove(self, which: int, many: int) -> None:
        """Units of an order come off it: cancelled if it has not left, else sent back, or just refunded."""
        order = self.some(which)
        if order is not None:
            left = order.quantity - sum(removal.quantity for removal in order.removals)
            units = min(left, many)
            if units:
                kind = "NO_RESTOCK" if many % 3 == 0 else "CANCEL" if order.open else "RETURN"
                order.removals.append(Removal(units, kind, self.at))
                order.open = max(0, order.open - units)
                self.book(order)

    def freeze(self, which: int, many: int) -> None:
        lot = chosen(Lot, which)
        if lot is not None:
            ids = {lot.id, *made.made_from([lot.id])} if many % 2 else {lot.id}
            recall.open_(ids, is_drill=many % 7 == 0, actor="test", at=self.at)
            if many % 7:
                self.frozen |= {id: sum(sold_of(id)) for id in ids}

    def thaw(self, which: int, many: int) -> None:
        of = chosen(Recall, which, Recall.ended_at.is_(None))
        if of is not None:
            recall.end(of, "back" if many % 2 else "scrapped", actor="test", at=self.at)
            if many % 2 and not of.is_drill:
                for row in recall.lots_of(of):
                    self.frozen.pop(row.lot_id, None)

    def some(self, which: int) -> Sold | None:
        return self.orders[which % len(self.orders)] if self.orders else None

    def book(self, order: Sold) -> None:
        """The order is read and booked as it stands now."""
        gid = f"gid://shopify/Order/{order.number}"
        snapshot = LineSnapshot(order.quantity, order.open, False, tuple(order.removals))
        facts = (order.variant_gid, self.place_gid, "", "", None, snapshot)
        line = LineState(f"gid://shopify/LineItem/{order.number}", *facts)
        state = OrderState(gid, f"#{order.number}", START, self.at, None, "", "", "GBP", False, [line])
        booking.book(state, noted_until=self.at)


STEPS: tuple[Callable[[Day, int, int], None], ...] = (
    Day.receive,
    Day.plan,
    Day.complete,
    Day.cancel_run,
    Day.move,
    Day.sell,
    Day.ship,
    Day.remove,
    Day.freeze,
    Day.thaw,
)
MORNING = ((0, 0, 30), (0, 1, 30), (1, 0, 30), (2, 0, 1), (1, 1, 20), (2, 0, 1), (1, 2, 8), (2, 0, 1), (5, 1, 5))


def item_of(sku: str) -> Item:
    """The item of that SKU."""
    return db.session.scalars(db.select(Item).where(Item.sku == sku)).one()


def chosen(model: Any, which: int, *conditions: Any) -> Any:
    """One of the rows, if there is any."""
    found = db.session.scalars(db.select(model).where(*conditions).order_by(model.id)).all()
    return found[which % len(found)] if found else None


def sold_of(lot_id: int) -> tuple[int, int]:
    """(committed, shipped) units of the lot by its balances."""
    query = db.select(Balance.place, db.func.sum(Balance.quantity)).where(Balance.lot_id == lot_id)
    rows = dict(db.session.execute(query.group_by(Balance.place)).all())
    return int(rows.get(COMMITTED, 0)), int(rows.get(SHIPPED, 0))


def check_every_unit_leads_back_to_what_went_in() -> None:
    """What an order has of each lot is what the balances say, and every lot leads back to received ingredients, which lead on to it."""
    all_lots = {lot.id: lot for lot in db.session.scalars(db.select(Lot))}
    sums = dict.fromkeys(all_lots, (0, 0))
    for order in db.session.scalars(db.select(Order).options(db.selectinload(Order.lines))):
        found, sales = trace.of_order(order)
        for sale in sales:
            committed, shipped = sums[sale.lot_id]
            sums[sale.lot_id] = committed + sale.committed, shipped + sale.shipped
        ends = found.links.lot_ids - {each.lot_id for each in found.links.made}
        for lot_id in {sale.lot_id for sale in sales}:
            fed = made.back([lot_id])
            assert {all_lots[id].item.kind for id in fed.lot_ids - {e.lot_id for e in fed.made}} == {INGREDIENT}
            for end in ends & fed.lot_ids:
                assert lot_id in made.forward([end]).lot_ids
                assert order.id in {sale.order_id for sale in trace.sales(made.forward([end]).lot_ids)}
    assert sums == {lot_id: sold_of(lot_id) for lot_id in all_lots}


def check_what_has_no_lot_is_told_as_short() -> None:
    """Units without a lot that were sold, or lost on the way, are exactly those that lines are still owed."""
    without = db.select(db.func.coalesce(db.func.sum(Balance.quantity), 0)).where(
        Balance.lot_id.is_(None), Balance.place.in_((COMMITTED, SHIPPED, CORRECTION))
    )
    owed = db.session.scalar(db.select(db.func.coalesce(db.func.sum(OrderLine.short), 0)))
    assert db.session.scalar(without) == owed


def check_numbers_are_what_their_lots_say(day: Day) -> None:
    """A target is the released units of lots that are not recalled, less what is owed; of frozen lots nothing more was sold."""
    for state in db.session.scalars(db.select(SyncState).options(db.joinedload(SyncState.mapping))):
        held = db.select(Balance.place, Balance.quantity, Lot.recalled_at).outerjoin(Lot, Lot.id == Balance.lot_id)
        rows = db.session.execute(held.where(Balance.item_id == state.mapping.item_id)).all()
        free = sum(quantity for place, quantity, at in rows if place == RELEASED and at is None)
        assert state.target == free + sum(quantity for place, quantity, _ in rows if place == BACKORDER)
    for lot_id, before in day.frozen.items():
        assert sum(sold_of(lot_id)) <= before


@given(steps=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 20), st.integers(1, 25)), min_size=5, max_size=25))
@settings(
    max_examples=15,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_day_keeps_the_books_true_and_the_trace_complete(
    factory: tuple[Bench, Day], steps: list[tuple[int, int, int]]
) -> None:
    bench, day = factory[0], deepcopy(factory[1])
    with bench.scope():
        try:
            for step in steps:
                day.go(*step)
            db.session.expire_all()

            assert ledger.audit(current_shop_id()) == []
            check_every_unit_leads_back_to_what_went_in()
            check_what_has_no_lot_is_told_as_short()
            check_numbers_are_what_their_lots_say(day)
        finally:
            db.session.rollback()
