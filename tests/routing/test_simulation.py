"""Eight weeks of a merchant with two roasters under bad luck: processes die, answers are lost, news do not come, roasters interfere.

In the end every paid unit is on exactly one partner order or in a named exception, and both sides' sums agree.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from random import Random

import pytest

from devshop import drafts, orders
from devshop.errors import DevshopError
from devshop.faults import CallFault
from devshop.world import Order, Store
from occ_app.errors import RuleError
from occ_app.extensions import db
from occ_app.orders.models import OrderLine
from occ_app.routing import orders as partner_orders
from occ_app.routing import receiving
from occ_app.routing.models import CREATED, FAILED, PENDING, PLACED_STATES, PartnerLine, PartnerOrder
from occ_app.routing.receiving import Count
from occ_app.stock import ledger
from occ_app.sync import settle
from occ_app.sync.models import SyncException
from tests.routing.support import ADDRESS, Trade
from tests.simulation.rig import Rig

ROASTERS = ("northlight-coffee.myshopify.com", "kiln-roasters.myshopify.com")
WEEKS = 8
STEP = 2  # days between two moments at which work is done
FAULTS = ("lost_before", "lost_after", "500", "internal_after", "429", "internal_before")


class Life(Trade):
    """A merchant's weeks, drawn from a seed, on the rig's clock."""

    def __init__(self, rig: Rig, seed: int, start: datetime) -> None:
        self.rig, self.bench, self.stores = rig, rig.bench, {}
        self.random = Random(seed)
        self.mine: list[Order] = []
        self.bench.place.address.update(ADDRESS)
        self.bench.install()
        self.roaster(ROASTERS[0], "Northlight Coffee", 2, 1)
        self.roaster(ROASTERS[1], "Kiln Roasters", 2, 3)
        self.put("cutoff_weekday", "sunday", ROASTERS[0])  # 01:30 on the day that changes clocks
        self.put("cutoff_time", "01:30", ROASTERS[0])
        self.put("cadence", "daily", ROASTERS[1])

    def to(self, moment: datetime) -> None:
        """Time passes until then."""
        self.rig.pass_time(max(0.0, (moment - self.rig.time.now()).total_seconds()))

    def live(self) -> None:
        """Eight weeks; then bad luck ends, and a week more."""
        for _ in range(WEEKS * 7 // STEP):
            self._something()
            self._something()
            self._something()
            self.later(days=STEP)
            if self.random.random() < 0.3:
                self.rig.kill_in = self.random.randrange(1, 60)
            self.rig.survive(self._work)
            self.rig.kill_in = None
        for store in self.stores.values():
            store.faults.upcoming.clear()
        for _ in range(6):
            self.later(days=2)
            self._work()

    def _work(self) -> None:
        self.rig.deliver()
        self.rig.work()

    def _something(self) -> None:
        """What happens within a day or two, on either side."""
        if self.random.random() < 0.6:
            self._buy()
        act = self.random.choice(
            [self._cancel, self._edit, self._pay, self._fault, self._meddle, self._ship, self._receive]
        )
        with contextlib.suppress(DevshopError, RuleError):
            act()

    def _buy(self) -> None:
        skus = self.random.sample(["C-1", "C-2", "C-3", "C-4"], self.random.choice((1, 1, 2)))
        lines = [{"sku": sku, "quantity": self.random.randrange(1, 4)} for sku in skus]
        status = "pending" if self.random.random() < 0.2 else "paid"
        self.mine.append(orders.create(self.bench.store, {"lines": lines, "financial_status": status}))

    def _cancel(self) -> None:
        if self.mine:
            orders.cancel(self.bench.store, self.random.choice(self.mine[-8:]), restock=True)

    def _edit(self) -> None:
        if self.mine:
            order = self.random.choice(self.mine[-8:])
            row = {"line_item_id": order.lines[0].id, "quantity": self.random.randrange(1, 5)}
            orders.edit(self.bench.store, order, [row], [])

    def _pay(self) -> None:
        for order in self.mine:
            if order.financial_status == "PENDING" and not order.cancelled_at and self.random.random() < 0.5:
                orders.pay(self.bench.store, order)

    def _fault(self) -> None:
        store = self.random.choice(list(self.stores.values()))
        store.faults.upcoming.append(CallFault(self.random.choice(FAULTS), self.random.choice(("mutation", "any"))))

    def _meddle(self) -> None:
        """A roaster does something with our draft or order."""
        store = self.random.choice(list(self.stores.values()))
        growing = [draft for draft in store.drafts.values() if draft.status == "OPEN"]
        kind = self.random.randrange(4)
        if kind == 0 and growing:
            line = self.random.choice(growing[-1].lines)
            drafts.edit(store, growing[-1], {"set": [{"line_id": line.id, "quantity": self.random.randrange(1, 4)}]})
        if kind == 1 and growing:
            drafts.delete(store, growing[-1])
        if kind == 2 and growing:
            drafts.complete(store, growing[-1], is_pending=True)
        if kind == 3 and store.orders and self.random.random() < 0.4:
            orders.cancel(store, list(store.orders.values())[-1], restock=True)

    def _ship(self) -> None:
        for store in self.stores.values():
            for order in list(store.orders.values())[-3:]:
                if order.fulfillment_status != "FULFILLED" and not order.cancelled_at:
                    orders.fulfil(store, order, tracking={"company": "DPD", "numbers": [str(order.id)]})

    def _receive(self) -> None:
        with self.bench.scope():
            query = db.select(PartnerOrder.id).where(PartnerOrder.state == "shipped").order_by(PartnerOrder.id)
            order_id = db.session.scalars(query).first()
            if order_id is None:
                return
            order = partner_orders.get(order_id)
            counts = {}
            for one in receiving.expected(order):
                bad = min(one.open, self.random.choice((0, 0, 0, 1)))
                counts[one.variant.id] = Count(one.open - bad, bad if self.random.random() < 0.5 else 0)
            receiving.receive(order, counts, actor="test", today=self.rig.time.now().date(), at=self.rig.time.now())
            db.session.commit()

    def answer_the_desk(self) -> None:
        """Somebody goes through what is open, and what follows is done."""
        with self.bench.scope():
            kinds = {"partner_order": ("theirs", "seen"), "partner_lines": ("retry",)}
            found = db.session.scalars(db.select(SyncException.id).where(SyncException.settled_at.is_(None))).all()
            for number in found:
                kind = db.session.get_one(SyncException, number).kind
                for remedy in kinds.get(kind, ()):
                    with contextlib.suppress(RuleError):
                        settle.settle(number, remedy, actor="test", at=self.rig.time.now())
                        break
            db.session.commit()
        for _ in range(6):
            self.later(days=2)
            self._work()


def check(life: Life) -> list[str]:
    """What is wrong; empty when all is right."""
    db.session.remove()
    wrong: list[str] = []
    with life.bench.scope():
        wrong += _lines(life)
        for store in life.stores.values():
            wrong += _both_sides(store)
        wrong += [f"the ledger: {difference}" for difference in ledger.audit()]
    return wrong


def _lines(life: Life) -> list[str]:
    """Every unit that a customer paid for is on one order, or waits with a cause, or is in an exception; none twice."""
    rows = db.session.scalars(db.select(PartnerLine)).all()
    states = {order.id: order.state for order in db.session.scalars(db.select(PartnerOrder))}
    lines = {line.line_gid: line for line in db.session.scalars(db.select(OrderLine))}
    kinds = {
        (one.kind, one.subject)
        for one in db.session.scalars(db.select(SyncException).where(SyncException.settled_at.is_(None)))
    }
    wrong = []
    for order in life.mine:
        for theirs in order.lines:
            line = lines.get(theirs.gid)
            if line is None:
                wrong.append(f"{order.name}: {theirs.title} was never booked")
                continue
            mine = [row for row in rows if row.order_line_id == line.id]
            needed = 0 if order.cancelled_at else theirs.current_quantity
            on_order = sum(row.quantity - row.short - row.damaged for row in mine if row.state == CREATED)
            waits = sum(row.quantity for row in mine if row.state in (PENDING, FAILED))
            from_shelf = needed - min(needed, line.from_partner)  # units that had come too many before
            surplus = on_order + waits - (needed - from_shelf)
            here = sum(row.received for row in mine)
            is_told = ("late_change", f"order_line:{line.id}") in kinds
            if surplus > 0 and not is_told and here < surplus:
                wrong.append(f"{order.name} {theirs.variant.sku}: {surplus} too many and nobody told")
            if surplus < 0:
                wrong.append(f"{order.name} {theirs.variant.sku}: {-surplus} of {needed} on no order")
            if (
                any(row.state == FAILED for row in mine)
                and ("partner_lines", f"partner:{mine[0].partner_id}") not in kinds
            ):
                wrong.append(f"{order.name}: failed and nobody told")
            is_paid = order.financial_status in ("PAID", "PARTIALLY_REFUNDED") and not order.cancelled_at
            if is_paid and any(row.state == PENDING for row in mine):
                wrong.append(f"{order.name}: paid, and still waits")
            off = [row for row in mine if row.state == CREATED and states[row.partner_order_id or 0] == "cancelled"]
            if any(row.quantity > row.received + row.short + row.damaged for row in off):
                wrong.append(f"{order.name}: stands on a cancelled order")
    return wrong


def _both_sides(store: Store) -> list[str]:
    """The roaster's orders are ours, one for one, with the same units and the same sum."""
    wrong = []
    gids = Counter(db.session.scalars(db.select(PartnerOrder.order_gid).where(PartnerOrder.order_gid.is_not(None))))
    for order in store.orders.values():
        if gids[order.gid] != 1:
            wrong.append(f"{store.name} {order.name} is known {gids[order.gid]} times")
            continue
        query = db.select(PartnerOrder).where(PartnerOrder.order_gid == order.gid)
        ours = db.session.scalars(query).one()
        if order.cancelled_at or ours.state not in PLACED_STATES:
            continue
        rows = db.session.scalars(
            db.select(PartnerLine).where(PartnerLine.partner_order_id == ours.id, PartnerLine.state == CREATED)
        ).all()
        extra = sum(int(units) for _, _, units in ours.extra)
        there = sum(line.current_quantity for line in order.lines)
        if sum(row.quantity for row in rows) + extra != there:
            wrong.append(f"{ours.name}: {sum(row.quantity for row in rows)} here, {there} there")
        cost = sum((row.quantity * (row.unit_cost or 0) for row in rows), Decimal(0))
        cost += sum(Decimal(str(price)) * int(units) for _, price, units in ours.extra)
        if cost != order.total:
            wrong.append(f"{ours.name}: {cost} here, {order.total} there")
    alive = [draft for draft in store.drafts.values() if draft.status == "OPEN"]
    known = set(
        db.session.scalars(db.select(PartnerOrder.draft_gid).where(PartnerOrder.state.in_(("open", "closing"))))
    )
    wrong += [f"{store.name}: {draft.name} is nobody's" for draft in alive if draft.gid not in known]
    return wrong


@pytest.mark.long
@pytest.mark.parametrize(("seed", "start"), [(1, datetime(2026, 2, 16, 9, tzinfo=UTC))])
def test_every_paid_line_is_on_one_order_or_in_a_named_exception(rig: Rig, seed: int, start: datetime) -> None:
    with rig.begin(start, "Europe/London"):
        life = Life(rig, seed, start)
        life.live()

        assert check(life) == []
        life.answer_the_desk()
        assert check(life) == []
        assert rig.kills > 2
        assert sum(len(store.orders) for store in life.stores.values()) > 8
