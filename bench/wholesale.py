"""How many wholesale orders the API takes in a second, durably, and how long the slowest hundredth waits, at 1,000 and at 100,000 items.

Every item is mapped and linked, so that each order also books a new target and asks for a push; no worker runs. The web server has two
processes; callers keep so many requests under way all the time. Each order is one line of one unit of a random item.
"""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor

import httpx2

from occ_app import clock
from tests.support.product import DOMAIN, Product

SECONDS, CALLERS, UNITS = 15.0, 16, 1_000
FILL = """
INSERT INTO item (shop_id, sku, kind, name, unit, safety_stock, created_at)
  SELECT :shop, 'W-' || n, 'product', 'Item ' || n, 'piece', 0, :at FROM generate_series(1, :items) n;
INSERT INTO lot (shop_id, item_id, lot_number, created_at)
  SELECT :shop, id, 'L-' || sku, :at FROM item WHERE sku LIKE 'W-%';
INSERT INTO stock_move (shop_id, item_id, lot_id, location_id, from_place, to_place, quantity, reason, source, actor, moved_at)
  SELECT :shop, item_id, id, :location, 'opening', 'released', :units, 'opening', 'lot:' || id || ':made', 'bench', :at FROM lot;
INSERT INTO balance (shop_id, item_id, lot_id, location_id, place, quantity)
  SELECT :shop, item_id, id, :location, place, quantity FROM lot, (VALUES ('opening', -:units), ('released', :units)) v (place, quantity);
INSERT INTO variant (shop_id, variant_gid, product_gid, inventory_item_gid, sku, barcode, product_title, title, product_status,
    is_tracked, is_bundle, changed_at, pulled_at)
  SELECT :shop, 'gid://shopify/ProductVariant/9' || id, 'gid://shopify/Product/9' || id, 'gid://shopify/InventoryItem/9' || id, sku, '',
    name, '', 'ACTIVE', true, false, :at, :at FROM item WHERE sku LIKE 'W-%';
INSERT INTO mapping (shop_id, item_id, variant_id, location_id, units_per_variant, sync_enabled, created_at)
  SELECT :shop, item.id, variant.id, :location, 1, true, :at FROM item JOIN variant ON variant.sku = item.sku AND item.sku LIKE 'W-%';
INSERT INTO sync_state (shop_id, mapping_id, state, sellable, target, expected, baseline_at, booked_committed, drift, drift_looks,
    is_pushed, tries)
  SELECT :shop, id, 'linked', :units, :units, :units, :at, 0, 0, 0, true, 0 FROM mapping;
"""


def measure(product: Product, items: int) -> tuple[float, float, float]:
    """(orders a second, median milliseconds, p99 milliseconds) with so many items."""
    _fill(product, items)
    token = product.occ("api-token", "create", "--shop", DOMAIN, "--name", "bench").strip()
    end = time.monotonic() + SECONDS
    with ThreadPoolExecutor(CALLERS) as pool:
        taken = sorted(
            t for part in pool.map(lambda n: _orders(product, token, items, n, end), range(CALLERS)) for t in part
        )
    return len(taken) / SECONDS, taken[len(taken) // 2] * 1000, taken[int(len(taken) * 0.99)] * 1000


def _orders(product: Product, token: str, items: int, caller: int, end: float) -> list[float]:
    """Seconds that each order of one caller took, until the time is up."""
    chosen, taken = random.Random(caller), []
    headers = {"Authorization": f"Bearer {token}"}
    with httpx2.Client(timeout=60, trust_env=False, headers=headers) as http:
        while time.monotonic() < end:
            body = {
                "customer": {"name": f"Shop {caller}"},
                "lines": [{"sku": f"W-{chosen.randint(1, items)}", "quantity": 1}],
            }
            started = time.monotonic()
            key = {"Idempotency-Key": f"{caller}-{len(taken)}"}
            answer = http.post(f"{product.app}/api/v1/orders", json=body, headers=key)
            if answer.status_code != 201:
                raise RuntimeError(f"an order is answered {answer.status_code}: {answer.text}")
            taken.append(time.monotonic() - started)
    return taken


def _fill(product: Product, items: int) -> None:
    """The items are there; commits wait for the disk, as in production."""
    with product.connect() as connection:
        connection.execute(f'ALTER DATABASE "{product.name}" SET synchronous_commit = on')
        shop, location = connection.execute("SELECT min(s.id), min(l.id) FROM shop s, location l").fetchone() or (0, 0)
        facts = {
            "shop": shop,
            "location": location,
            "items": items,
            "units": UNITS,
            "at": f"'{clock.now().isoformat()}'",
        }
        for statement in FILL.strip().split(";\n"):
            text = statement.rstrip(";")
            for name in sorted(facts, key=len, reverse=True):
                text = text.replace(f":{name}", str(facts[name]))
            connection.execute(text)
        connection.execute("ANALYZE")
    product.occ("settings", "set", "--shop", DOMAIN, "api_requests_per_minute", "1000000")
    product.stop("web")  # its connections are of before
    product.start("web")
