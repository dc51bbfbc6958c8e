"""A maker of years in one breath: 10,000 lots and 1,000,000 moves, written by SQL, as bookings would have left them.

200 lots of cocoa went into 9,800 runs (49 each), which put out as many lots of 100 bars; 294,000 order lines, four an order, took
2 bars each and shipped two thirds of them. Balances agree with the moves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

COCOA, BARS, PRODUCTS, LINES_PER_LOT, LINES_PER_ORDER = 200, 9_800, 40, 30, 4
LINES = BARS * LINES_PER_LOT
NUMBERS = {
    "cocoa": COCOA,
    "bars": BARS,
    "products": PRODUCTS,
    "lines": LINES,
    "per_order": LINES_PER_ORDER,
}
# Bar lot n is of product n % products, made by run n of cocoa n % cocoa. Order line n takes 2 of bar lot n % bars.
STATEMENTS = (
    "SET LOCAL session_replication_role = replica",  # no trigger checks a foreign key a million times
    "SET LOCAL synchronous_commit = off",
    "SET LOCAL maintenance_work_mem = '256MB'",
    "INSERT INTO item (id, shop_id, sku, kind, name, unit, safety_stock, created_at)"
    " SELECT 100000 + n, :shop, CASE n WHEN 0 THEN 'M-COCOA' ELSE 'M-BAR-' || n END,"
    " CASE n WHEN 0 THEN 'ingredient' ELSE 'product' END, 'Many ' || n, CASE n WHEN 0 THEN 'kg' ELSE 'piece' END, 0, :at"
    " FROM generate_series(0, :products) n",
    "INSERT INTO lot (id, shop_id, item_id, lot_number, made_on, created_at)"
    " SELECT 100000 + n, :shop, 100000, 'M-C-' || n, '2026-01-01', :at FROM generate_series(1, :cocoa) n",
    "INSERT INTO lot (id, shop_id, item_id, lot_number, made_on, created_at)"
    " SELECT 200000 + n, :shop, 100001 + n % :products, 'M-B-' || n, '2026-02-01', :at FROM generate_series(1, :bars) n",
    "INSERT INTO production_run (id, shop_id, number, item_id, location_id, state, planned_quantity, note, output_quantity, revision,"
    " created_at, created_by, completed_at, completed_by)"
    " SELECT 100000 + n, :shop, 'R-' || 100000 + n, 100001 + n % :products, :location, 'completed', 100, '', 100, 2, :at, 'x', :at, 'x'"
    " FROM generate_series(1, :bars) n",
    "INSERT INTO run_consumption (shop_id, run_id, item_id, lot_id, quantity, waste)"
    " SELECT :shop, 100000 + n, 100000, 100001 + n % :cocoa, 1000000, 0 FROM generate_series(1, :bars) n",
    "INSERT INTO run_output (shop_id, run_id, lot_id, quantity)"
    " SELECT :shop, 100000 + n, 200000 + n, 100 FROM generate_series(1, :bars) n",
    "INSERT INTO customer_order (id, shop_id, order_gid, name, placed_at, changed_at, financial_status, fulfillment_status, currency,"
    " is_test, tries) SELECT 100000 + n, :shop, 'gid://shopify/Order/' || 90000000 + n, '#M' || n,"
    " CAST(:at AS timestamptz) - n * interval '1 second', :at, 'PAID', 'FULFILLED', 'GBP', false, 0"
    " FROM generate_series(1, :lines / :per_order) n",
    "INSERT INTO order_line (id, shop_id, order_id, line_gid, line_number, sku, title, quantity, units_per_variant, waits_for_mapping,"
    " taken, restocked, lost, shipped, returned, short, bookings)"
    " SELECT 100000 + n, :shop, 100001 + (n - 1) / :per_order, 'gid://shopify/LineItem/' || 90000000 + n, 90000000 + n, 'M', 'Bar', 2, 1,"
    " false, 2, 0, 0, CASE WHEN n % 3 > 0 THEN 2 ELSE 0 END, 0, 0, 2 FROM generate_series(1, :lines) n",
    "INSERT INTO stock_move (shop_id, item_id, lot_id, location_id, from_place, to_place, quantity, reason, source, actor, moved_at)"
    " SELECT :shop, 100000, 100000 + n, :location, 'supplier', 'released', 49000000, 'receive', 'lot:c' || n, 'x', :at"
    " FROM generate_series(1, :cocoa) n"
    " UNION ALL SELECT :shop, 100000, 100001 + n % :cocoa, :location, 'released', 'production', 1000000, 'consume', 'run:m' || n, 'x', :at"
    " FROM generate_series(1, :bars) n"
    " UNION ALL SELECT :shop, 100001 + n % :products, 200000 + n, :location, 'production', 'released', 100, 'production', 'lot:m' || n,"
    " 'x', :at FROM generate_series(1, :bars) n"
    " UNION ALL SELECT :shop, 100001 + (1 + n % :bars) % :products, 200001 + n % :bars, :location, 'released', 'committed', 2,"
    " 'order_take', 'order_line:' || 90000000 + n || ':taken:1:0', 'orders', :at FROM generate_series(1, :lines) n"
    " UNION ALL SELECT :shop, 100001 + (1 + n % :bars) % :products, 200001 + n % :bars, :location, 'committed', 'shipped', 2,"
    " 'order_ship', 'order_line:' || 90000000 + n || ':shipped:2:0', 'orders', :at FROM generate_series(1, :lines) n WHERE n % 3 > 0",
    "INSERT INTO stock_move (shop_id, item_id, lot_id, location_id, from_place, to_place, quantity, reason, source, actor, moved_at)"
    " SELECT :shop, 100001 + n % :products, 200000 + n, :location, CASE k % 2 WHEN 0 THEN 'released' ELSE 'on_hold' END,"
    " CASE k % 2 WHEN 0 THEN 'on_hold' ELSE 'released' END, 50, 'hold', 'lot:' || n || ':move:m:' || k, 'x', :at"
    " FROM generate_series(1, :bars) n, generate_series(0, 51) k",
    "INSERT INTO balance (shop_id, item_id, lot_id, location_id, place, quantity)"
    " SELECT shop_id, item_id, lot_id, location_id, place, sum(quantity) FROM ("
    " SELECT shop_id, item_id, lot_id, location_id, to_place AS place, quantity FROM stock_move WHERE item_id >= 100000"
    " UNION ALL SELECT shop_id, item_id, lot_id, location_id, from_place, -quantity FROM stock_move WHERE item_id >= 100000) moved"
    " GROUP BY 1, 2, 3, 4, 5 HAVING sum(quantity) <> 0",
)
ANALYZE = (
    "ANALYZE item, lot, production_run, run_consumption, run_output, customer_order, order_line, stock_move, balance"
)
INDEXES = (
    "SELECT c.relname, pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
    " WHERE NOT i.indisunique AND i.indrelid IN ('stock_move'::regclass, 'order_line'::regclass)"
)


def write(execute: Callable[[str, dict[str, Any]], Any], *, shop: int, location: int, at: Any) -> None:
    """All of it is there, in the transaction that `execute` runs in."""
    given = {**NUMBERS, "shop": shop, "location": location, "at": at}
    indexes = execute(INDEXES, {}).fetchall()
    for name, _ in indexes:  # filled at once at the end, which takes a third of the time
        execute(f"DROP INDEX {name}", {})
    for statement in STATEMENTS:
        execute(statement, {name: value for name, value in given.items() if f":{name}" in statement})
    for _, definition in indexes:
        execute(definition, {})
    execute(ANALYZE, {})
