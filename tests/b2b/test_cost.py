"""What an order costs does not grow with its lines, nor what a list of orders costs with its orders."""

from __future__ import annotations

from tests.b2b.conftest import System
from tests.support.bench import Bench, Statements

LINES = 12


def test_an_order_of_many_lines_and_a_list_of_many_orders_take_no_more_statements(system: System, shop: Bench) -> None:
    for n in range(LINES):
        shop.item(f"K{n}")
        shop.lot(f"K{n}", 50)
    many = [{"sku": f"K{n}", "quantity": 1} for n in range(LINES)]
    system.order(1)
    taken = []
    for lines in (many[:1], many):
        with Statements() as statements:
            assert system.order(1, lines=lines).status_code == 201
        taken.append(len(statements.texts))
        with Statements() as statements:
            assert system.ask("/api/v1/orders").status_code == 200
        taken.append(len(statements.texts))

    assert (taken[2] - taken[0], taken[3] - taken[1]) == (0, 0)
    assert taken[0] <= 40
