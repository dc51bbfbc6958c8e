"""How long a mock recall over 200 lots and 5,000 orders takes in a shop of 10,000 lots and 1,000,000 moves, and the pages around it."""

from __future__ import annotations

import time

from sqlalchemy import create_engine, text

from occ_app import clock
from tests.support import many
from tests.support.product import Product

COCOA = ("100001", "100051", "100101", "100151")  # 49 lots of bars are made of each
ROUNDS = 5


def measure(product: Product) -> list[tuple[str, float]]:
    """(what, median seconds) of a drill and of each page, asked over HTTP."""
    _fill(product)
    lots = [*COCOA, *(str(200_000 + n) for n in range(1, many.BARS + 1) if str(100_001 + n % many.COCOA) in COCOA)]
    form = {"lot": lots, "chosen": list(COCOA), "reason": "Drill", "is_drill": "on"}
    found = [(f"opening a drill over {len(lots)} lots", _median(lambda: product.page("/recalls", form)))]
    paths = {
        "the drill's page: affected orders, lots, numbers": "/recalls/1",
        "its orders as a file": "/recalls/1/orders.csv",
        "what a recall of one lot of cocoa would do": "/recalls/new?lot=100001",
        "trace of that lot, drawn": "/trace/lots/100001",
        "trace of a lot of bars": "/trace/lots/200042",
        "trace of an order": "/trace/orders/100042",
        "lots": "/lots",
        "one lot": "/lots/200042",
    }
    return found + [(f"{name} (`{path}`)", _median(lambda: product.page(path))) for name, path in paths.items()]  # noqa: B023


def _fill(product: Product) -> None:
    engine = create_engine(product.server.set(database=product.name))
    with engine.begin() as connection:
        shop = connection.scalar(text("SELECT min(id) FROM shop"))
        location = connection.scalar(text("SELECT min(id) FROM location"))
        many.write(
            lambda said, given: connection.execute(text(said), given), shop=shop, location=location, at=clock.now()
        )
    engine.dispose()


def _median(ask) -> float:  # type: ignore[no-untyped-def]
    ask()  # the first one loads templates
    taken = []
    for _ in range(ROUNDS):
        started = time.monotonic()
        status = ask()
        taken.append(time.monotonic() - started)
        if status not in (200, 303):
            raise RuntimeError(f"a page answers {status}")
    return sorted(taken)[ROUNDS // 2]
