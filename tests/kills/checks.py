"""What must be true when the day is over and everything has settled. Each check returns what is wrong, in words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import psycopg

from tests.kills.day import ITEM_OF, SKUS, UNITS_OF, Day
from tests.support.product import DOMAIN, Product

STILL_DUE = {
    "deliveries": "SELECT count(*) FROM delivery WHERE state NOT IN ('done', 'ignored')",
    "orders": "SELECT count(*) FROM customer_order WHERE due_at IS NOT NULL",
    "calls": "SELECT count(*) FROM mutation WHERE state NOT IN ('applied', 'refused')",
    "lines": "SELECT count(*) FROM push_line WHERE state IN ('waiting', 'ambiguous')",
    "mappings": "SELECT count(*) FROM sync_state WHERE state <> 'linked' OR target <> expected OR drift <> 0"
    " OR look_at IS NOT NULL OR next_try_at IS NOT NULL",
    "jobs": "SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')",
    "failures": "SELECT count(*) FROM task_failure",
    "exceptions": "SELECT count(*) FROM sync_exception WHERE settled_at IS NULL",
}
BOOKED = "SELECT line_gid, quantity, taken, restocked, lost + shipped, returned, short FROM order_line"
# Units that the moves of each line brought into and out of `committed`: the ledger's own word, beside the line's counters.
MOVED = (
    "SELECT split_part(source, ':', 2)::bigint, coalesce(sum(quantity) FILTER (WHERE to_place = 'committed'), 0),"
    " coalesce(sum(quantity) FILTER (WHERE from_place = 'committed'), 0),"
    " coalesce(sum(quantity) FILTER (WHERE reason = 'order_return'), 0)"
    " FROM stock_move WHERE source LIKE 'order_line:%' GROUP BY 1"
)


def still_due(connection: psycopg.Connection[Any], product: Product) -> dict[str, int]:
    """What is not settled yet, by kind; empty when all is."""
    waiting = sum(d["state"] in ("waiting", "failed") for d in product.control("deliveries", method="GET"))
    counts = {name: connection.execute(query).fetchone()[0] for name, query in STILL_DUE.items()}  # type: ignore[index]
    return {name: count for name, count in {"webhooks": waiting, **counts}.items() if count}


def all_that_is_wrong(day: Day, product: Product, connection: psycopg.Connection[Any]) -> list[str]:
    """Every broken promise, in words."""
    return [
        *books_of_lines(day, connection),
        *deliveries_lost(product, connection),
        *numbers_in_shopify(day, product),
        *commands_that_complain(product),
    ]


def books_of_lines(day: Day, connection: psycopg.Connection[Any]) -> Iterator[str]:
    """Each line of each order is booked exactly once: by its counters, and by the moves in the ledger."""
    rows = connection.execute(BOOKED).fetchall()
    booked = {row[0]: row for row in rows}
    moved = {row[0]: row[1:] for row in connection.execute(MOVED).fetchall()}
    if len(booked) != len(rows):
        yield "a line stands twice in our books"
    for order in day.orders:
        for line in order.lines:
            row = booked.pop(line.gid, None)
            # Shipped, or removed unshipped: of a line that saw both an order read late does not tell which. Neither is there any more.
            wanted = (line.quantity, line.quantity, line.restocked, line.lost + line.shipped, line.returned, 0)
            if row is None or row[1:] != wanted:
                yield f"order {order.key} line {line.gid}: booked {row and row[1:]}, sold {wanted}"
                continue
            units = UNITS_OF.get(line.sku, 1)
            ledger = (line.quantity * units, (line.quantity - line.open) * units, line.returned * units)
            if moved.get(line.id) != ledger:
                yield f"order {order.key} line {line.gid}: moved {moved.get(line.id)}, should have {ledger}"
    yield from (f"line {gid} is booked, and nobody sold it" for gid in booked)


def deliveries_lost(product: Product, connection: psycopg.Connection[Any]) -> Iterator[str]:
    """Every delivery that was answered 200 is stored, once, and done."""
    stored = {row[0] for row in connection.execute("SELECT webhook_id FROM delivery").fetchall()}
    for delivery in product.control("deliveries", method="GET"):
        if delivery["state"] == "delivered" and delivery["webhook_id"] not in stored:
            yield f"{delivery['topic']} {delivery['webhook_id']} was answered 200 and is not stored"
        if delivery["state"] == "given_up":
            yield f"{delivery['topic']} {delivery['webhook_id']} was given up after {delivery['attempts']} tries"


def numbers_in_shopify(day: Day, product: Product) -> Iterator[str]:
    """Shopify's available is our target, its committed what is open, and the targets are what our lots hold."""
    levels = {level["variant_gid"]: level for level in product.control("inventory", method="GET")}
    shown = {row["variant_gid"]: row for row in json.loads(product.occ("stock", "show", "--shop", DOMAIN, "--json"))}
    if {levels[gid]["sku"] for gid in shown} != set(SKUS):
        yield f"mappings are shown for {sorted(levels[gid]['sku'] for gid in shown)}"
    for gid, row in shown.items():
        level = levels[gid]
        numbers = (level["available"], row["expected"], row["target"], row["sellable"] // row["units_per_variant"])
        if len(set(numbers)) != 1 or row["item_sku"] != ITEM_OF.get(level["sku"], level["sku"]):
            yield f"{level['sku']}: available, expected, target, sellable are {numbers}"
        if row["open_exceptions"] or row["state"] != "linked" or row["drift"]:
            yield f"{level['sku']}: {row['state']} {row['cause']} {row['open_exceptions']} drift {row['drift']}"
        open_ = sum(line.open for order in day.orders for line in order.lines if line.sku == level["sku"])
        if level["committed"] != open_:
            yield f"{level['sku']}: Shopify has {level['committed']} committed, {open_} are open"


def commands_that_complain(product: Product) -> Iterator[str]:
    """The operator's own commands find nothing."""
    try:
        product.occ("stock", "audit", "--shop", DOMAIN)
    except RuntimeError as error:
        yield str(error)
    for words in (("work", "status"), ("exceptions", "list", "--shop", DOMAIN)):
        said = product.occ(*words)
        if said:
            yield f"occ {' '.join(words)}: {said}"
