"""What traces, recalls and the pages of lots cost at 10,000 lots and 1,000,000 moves: counted, and read from the plans."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event

from occ_app import clock
from occ_app.catalog import pull
from occ_app.desk import trace
from occ_app.extensions import current_shop_id, db
from occ_app.stock.models import StockMove
from tests.support import many
from tests.support.bench import Bench, Statements

BIG = {"stock_move", "order_line", "customer_order"}
MADE = {
    "run_consumption",
    "run_output",
}  # 9,800 rows: small enough to be read whole, but indexes are there for when they grow
PAGES = ("/lots", "/lots?q=M-B-42", "/lots/200042", "/trace/lots/100001", "/recalls/new?lot=100001", "/recalls/1")


@pytest.fixture
def years(bench: Bench) -> Bench:
    """A shop with 10,000 lots and 1,000,000 moves."""
    bench.install()
    with bench.scope():
        place = pull.default_location()
        assert place is not None
        run = lambda statement, given: db.session.execute(db.text(statement), given)  # noqa: E731
        many.write(run, shop=current_shop_id(), location=place.id, at=clock.now())
        db.session.commit()
    return bench


class Plans:
    """The plan of each statement of a block: the tables that it reads from end to end."""

    def __enter__(self) -> Plans:
        self.ran: list[tuple[str, Any]] = []
        event.listen(db.engine, "before_cursor_execute", self._note)
        return self

    def __exit__(self, *_: object) -> None:
        event.remove(db.engine, "before_cursor_execute", self._note)

    def _note(self, connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        self.ran.append((statement, parameters))

    def scanned(self, *, can_avoid: bool = False) -> set[str]:
        """Tables that any of the statements reads whole; with `can_avoid` those that no index could spare it."""
        with db.engine.connect() as connection:
            cursor = connection.connection.cursor()
            cursor.execute(f"SET LOCAL enable_seqscan = {'off' if can_avoid else 'on'}")
            found: set[str] = set()
            for statement, parameters in self.ran:
                cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}", parameters)
                found |= set(_scans(cursor.fetchone()[0][0]["Plan"]))
            return found


def _scans(plan: dict[str, Any]) -> Iterator[str]:
    if plan["Node Type"] == "Seq Scan":
        yield plan["Relation Name"]
    for part in plan.get("Plans", ()):
        yield from _scans(part)


def test_at_a_million_moves_pages_take_as_many_statements_and_read_no_big_table_whole(years: Bench) -> None:
    with years.scope():
        total = db.session.scalar(db.select(db.func.count()).select_from(StockMove))
        cocoa = [100_001, 100_051, 100_101, 100_151]
        with Plans() as onward:
            found = trace.of_lots(cocoa)
            sold = trace.sales(found.later, limit=50)
        order = trace.find_orders(sold[0].order)[0]
        with Plans() as back:
            trace.of_order(order)
    form = {"lot": [str(id) for id in found.later], "chosen": cocoa, "reason": "Drill", "is_drill": "on"}
    with Statements() as statements:
        assert years.open("/recalls", method="POST", data=form).status_code == 303
    taken = {"trace": len(onward.ran), "back": len(back.ran), "open": len(statements.texts)}
    scanned = {"trace": onward.scanned(), "back": back.scanned()}
    for path in PAGES:
        with Plans() as plans:
            assert years.open(path).status_code == 200, path
        taken[path], scanned[path] = len(plans.ran), plans.scanned()

    assert total >= 1_000_000
    assert (len(found.later), found.reach.orders >= 5_000) == (200, True)
    assert {path: tables & BIG for path, tables in scanned.items() if tables & BIG} == {}
    assert (onward.scanned(can_avoid=True) | back.scanned(can_avoid=True)) & (BIG | MADE) == set()
    assert {path: number for path, number in taken.items() if number > 25} == {}
