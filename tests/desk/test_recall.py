"""A recall freezes lots in every store at once, and lets them go only when somebody says so."""

from __future__ import annotations

import pytest

from devshop import orders
from occ_app import clock
from occ_app.desk import trace
from occ_app.errors import RuleError
from occ_app.extensions import db
from occ_app.production import recall
from occ_app.production.models import Recall
from occ_app.shops import settings
from occ_app.shops.models import Shop
from occ_app.stock import ledger, lots
from occ_app.stock.models import Lot
from tests.desk.test_trace import id_of
from tests.support.bench import Bench, Statements
from tests.support.making import made


def frozen(maker: Bench, *numbers: str, **more: object) -> int:
    """A recall of these lots was opened; its id."""
    with maker.scope():
        opened = recall.open_([id_of(number) for number in numbers], actor="Inés", at=clock.now(), **more)  # type: ignore[arg-type]
        db.session.commit()
        return opened.id


def ended(maker: Bench, recall_id: int, outcome: str, *numbers: str) -> None:
    """The recall ended for these lots, or for all."""
    with maker.scope():
        ids = [id_of(number) for number in numbers] or None
        recall.end(recall.get(recall_id), outcome, ids, actor="Inés", at=clock.now())
        db.session.commit()


@pytest.mark.parametrize("mode", ["released", "manual", "completed"])
def test_numbers_fall_at_once_past_guard_and_approval(maker: Bench, mode: str) -> None:
    with maker.scope():
        db.session.execute(db.text("UPDATE item SET sync_mode = :mode"), {"mode": mode})
        db.session.commit()
    frozen(maker, "B-1")
    maker.drain()

    assert (maker.available("BAR"), maker.available("TRUFFLE")) == (100, 50)
    assert maker.exceptions() == []


def test_a_sale_after_a_recall_does_not_make_its_fall_wait(maker: Bench) -> None:
    frozen(maker, "B-1", "B-2")
    maker.sell_in("BAR", 5)
    maker.settle()

    assert maker.available("BAR") == 0


def test_the_push_is_due_in_the_same_transaction(maker: Bench) -> None:
    with maker.scope():
        recall.open_([id_of("B-1")], actor="Inés", at=clock.now())
        asked = "SELECT count(*) FROM procrastinate_jobs WHERE status = 'todo' AND queueing_lock LIKE 'push:%'"
        assert db.session.scalar(db.text(asked)) == 1
        db.session.rollback()
        assert db.session.scalar(db.text(asked)) == 0


def test_orders_take_from_other_lots(maker: Bench) -> None:
    frozen(maker, "B-1")
    maker.drain()
    maker.sell_in("BAR", 7)
    maker.settle()
    with maker.scope():
        found = trace.sales([id_of("B-1"), id_of("B-2")])

    assert [(sale.lot_id, sale.committed) for sale in found] == [(6, 7)]


def test_units_of_a_recalled_lot_are_neither_used_nor_released(maker: Bench) -> None:
    frozen(maker, "CM-1", "B-1")
    with maker.scope():
        with pytest.raises(RuleError, match="CM-1 is recalled"):
            made("BAR", "B-3", 10, {db.session.get_one(Lot, id_of("CM-1")): 100})
        db.session.rollback()
        lot = db.session.get_one(Lot, id_of("B-1"))
        lots.move(lot, "on_hold", 10, actor="test", at=clock.now())
        with pytest.raises(RuleError, match="B-1 is recalled"):
            lots.move(lot, "released", 10, actor="test", at=clock.now())


def test_a_drill_freezes_nothing(maker: Bench) -> None:
    frozen(maker, "CM-1", "B-1", is_drill=True)
    maker.drain()

    assert maker.available("BAR") == 200


def test_in_the_end_units_come_back_or_are_scrapped(maker: Bench) -> None:
    with maker.scope():
        settings.put(db.session.scalars(db.select(Shop)).one(), "guard_units", "1000")  # a rise may wait for a person
        db.session.commit()
    number = frozen(maker, "B-1", "B-2")
    maker.drain()
    ended(maker, number, "back", "B-1")
    maker.drain()
    assert maker.available("BAR") == 100
    ended(maker, number, "scrapped", "B-2")
    maker.drain()

    with maker.scope():
        assert lots.places_of(db.session.get_one(Lot, id_of("B-2"))) == {}
        assert recall.get(number).ended_at is not None
        assert ledger.audit() == []
    assert maker.available("BAR") == 100


def test_what_customers_send_back_of_a_scrapped_lot_is_not_sold_again(maker: Bench) -> None:
    order = maker.sell_in("BAR", 5)
    orders.fulfil(maker.store, order)
    maker.settle()
    ended(maker, frozen(maker, "B-1"), "scrapped")
    line = order.lines[0].id
    orders.refund(maker.store, order, [{"line_item_id": line, "quantity": 5, "restock_type": "return"}])
    maker.settle()

    assert maker.show("BAR")["target"] == 100


def test_a_lot_is_in_one_recall_at_a_time_and_ends_once(maker: Bench) -> None:
    number = frozen(maker, "B-1")
    with maker.scope():
        with pytest.raises(RuleError, match="Recalled already"):
            recall.open_([id_of("B-1"), id_of("B-2")], actor="x", at=clock.now())
        db.session.rollback()
        assert db.session.scalar(db.select(db.func.count(Recall.id))) == 1
    ended(maker, number, "back")
    with maker.scope(), pytest.raises(RuleError, match="has ended already"):
        recall.end(recall.get(number), "scrapped", actor="x", at=clock.now())


def test_the_decision_log_cannot_be_changed(maker: Bench) -> None:
    number = frozen(maker, "B-1", reason="Metal found")
    with maker.scope():
        words = [(entry.actor, entry.words) for entry in recall.entries_of(recall.get(number))]
        with pytest.raises(db.exc.DBAPIError, match="only ever added"):  # type: ignore[attr-defined]
            db.session.execute(db.text("UPDATE recall_entry SET words = ''"))
        db.session.rollback()

    assert words == [("Inés", "Recall opened. 1 lot: B-1. Reason: Metal found")]


def test_a_recall_of_many_lots_takes_as_many_statements_as_one_of_a_few(maker: Bench) -> None:
    with maker.scope():
        for n in range(30):
            made("BAR", f"X-{n}", 1, {})
        db.session.commit()
    taken = []
    for names in (["X-0"], [f"X-{n}" for n in range(1, 30)]):
        with Statements() as statements:
            frozen(maker, *names)
        taken.append(len([text for text in statements.texts if "lot_number = " not in text]))

    assert taken[1] <= taken[0]
