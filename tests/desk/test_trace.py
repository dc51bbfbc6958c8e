"""The trace: from an ingredient on to every order, from an order back to every ingredient, at a cost that does not grow."""

from __future__ import annotations

from occ_app.desk import trace
from occ_app.extensions import db
from occ_app.stock.models import Lot
from tests.support.bench import Bench, Statements


def id_of(number: str) -> int:
    """The id of a lot."""
    return db.session.scalars(db.select(Lot.id).where(Lot.lot_number == number)).one()


def numbers(found: trace.Trace) -> set[str]:
    """Lot numbers of a trace."""
    return {lot.lot_number for lot in found.lots.values()}


def test_an_ingredient_leads_through_sub_assemblies_to_every_order(sold: Bench) -> None:
    with sold.scope():
        found = trace.of_lots([id_of("CM-1")])
        sold = trace.sales(found.later)

    assert numbers(found) == {"CM-1", "G-1", "T-1", "B-1", "B-2"}
    assert (found.reach.orders, found.reach.committed) == (3, 125)
    assert {(sale.order, sale.committed) for sale in sold} == {
        ("#1001", 3),
        ("#1002", 2),
        ("#1003", 100),
        ("#1003", 20),
    }


def test_an_order_leads_back_to_every_ingredient(sold: Bench) -> None:
    with sold.scope():
        found, sold = trace.of_order(trace.find_orders("1001")[0])

    assert numbers(found) == {"T-1", "G-1", "CM-1", "CR-1"}
    assert [(sale.sku, sale.committed) for sale in sold] == [("TRUFFLE", 3)]


def test_a_trace_takes_as_many_statements_for_one_lot_as_for_all(sold: Bench) -> None:
    taken = []
    for given in (["T-1"], ["CM-1", "CR-1", "G-1", "T-1", "B-1", "B-2"]):
        with sold.scope():
            ids = [id_of(number) for number in given]
            with Statements() as statements:
                trace.sales(trace.of_lots(ids).later, limit=50)
        taken.append(len(statements.texts))

    assert taken[0] == taken[1] <= 9
