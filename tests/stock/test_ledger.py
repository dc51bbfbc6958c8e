"""The books: every unit in one place, whatever happens at once."""

from __future__ import annotations

import contextvars
import threading

import pytest
from sqlalchemy.exc import DBAPIError

from occ_app import clock
from occ_app.errors import RuleError
from occ_app.extensions import db, shop_scope
from occ_app.stock import ledger, lots
from occ_app.stock.models import Balance, Lot, StockMove
from tests.support.bench import Bench


@pytest.fixture
def shop(bench: Bench) -> Bench:
    """An item SSD with a lot of 10 in review."""
    bench.install()
    bench.item("SSD")
    bench.lot("SSD", 10, "in_review", number="L1")
    return bench


def at_place(bench: Bench, place: str) -> int:
    """Units at a place."""
    with bench.scope():
        return int(db.session.scalar(db.select(db.func.sum(Balance.quantity)).where(Balance.place == place)) or 0)


def test_a_lot_can_be_split(shop: Bench) -> None:
    shop.move(1, "released", 8)
    shop.move(1, "on_hold", 2)

    assert (at_place(shop, "released"), at_place(shop, "on_hold"), at_place(shop, "in_review")) == (6, 2, 2)


def test_more_than_there_is_cannot_be_moved(shop: Bench) -> None:
    with shop.scope(), pytest.raises(RuleError, match="has 10 units"):
        lots.move(db.session.get_one(Lot, 1), "released", 11, actor="test", at=clock.now())


def test_two_at_once_cannot_both_take_the_last_units(shop: Bench) -> None:
    outcomes: list[str] = []

    def release() -> None:
        with shop.app.app_context(), shop_scope(1):
            try:
                lots.move(
                    db.session.get_one(Lot, 1), "released", 10, from_place="in_review", actor="test", at=clock.now()
                )
                db.session.commit()
                outcomes.append("done")
            except RuleError:
                db.session.rollback()
                outcomes.append("refused")

    threads = [threading.Thread(target=contextvars.Context().run, args=(release,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["done", "refused"]
    assert at_place(shop, "released") == 10


def test_no_sum_of_units_is_too_large(shop: Bench) -> None:
    shop.product("SSD", 0)
    shop.settle()
    shop.map("SSD", None)
    for number in range(22):
        shop.lot("SSD", lots.MOST_UNITS, number=f"BIG-{number}")
    shop.settle()

    assert shop.show("SSD")["target"] == 22 * lots.MOST_UNITS
    with shop.scope():
        assert ledger.audit() == []


def test_a_source_is_booked_once(shop: Bench) -> None:
    move = ledger.Move(1, 1, 1, "in_review", "released", 1, "release", "once")
    with shop.scope():
        ledger.book([move], actor="test", at=clock.now())
        with pytest.raises(DBAPIError):
            ledger.book([move], actor="test", at=clock.now())
        db.session.rollback()


def test_moves_are_never_changed_or_removed(shop: Bench) -> None:
    with shop.scope():
        for statement in (db.update(StockMove).values(quantity=1), db.delete(StockMove)):
            with pytest.raises(DBAPIError, match="only ever added"):
                db.session.execute(statement)
            db.session.rollback()


def test_the_audit_finds_a_balance_that_is_not_its_moves(shop: Bench) -> None:
    with shop.scope():
        assert ledger.audit() == []
        db.session.execute(db.update(Balance).where(Balance.place == "in_review").values(quantity=9))
        found = ledger.audit()
        db.session.rollback()

    assert [(row.place, row.balance, row.moves) for row in found] == [("in_review", 9, 10)]
