"""A B2B platform in thirty lines: place an order, wait until Shopify is in step, print what the webshop may still sell.

Usage: OCC_URL=https://hub.example.com OCC_TOKEN=occ_... python b2b_client.py CB-BAR-EC85-80 5 PO-1001
"""

import json
import os
import sys
import time
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen


def ask(path, body=None, method="GET", **headers):
    headers |= {"Authorization": f"Bearer {os.environ['OCC_TOKEN']}", "Content-Type": "application/json"}
    data = json.dumps(body).encode() if body is not None else None
    try:
        with urlopen(Request(os.environ["OCC_URL"] + path, data, headers, method=method), timeout=30) as answer:
            return json.load(answer)
    except HTTPError as error:
        sys.exit(f"{error.code}: {json.load(error)['detail']}")


sku, units, number = sys.argv[1], int(sys.argv[2]), sys.argv[3]
# The order's own number is its key: sent twice, it is placed once.
order = {"customer": {"name": "Corner Deli"}, "reference": number, "lines": [{"sku": sku, "quantity": units}]}
placed = ask("/api/v1/orders", order, "POST", **{"Idempotency-Key": number})
run = ask(f"/sync/{quote(sku, safe='')}", method="POST")
while run["state"] in ("waiting", "running"):
    time.sleep(0.2)
    run = ask(f"/api/v1/sync-runs/{run['id']}")
stock = ask(f"/api/v1/stock/{quote(sku, safe='')}")
print(
    f"{placed['number']} {placed['state']}: wholesale has {stock['b2b_stock']} left, Shopify shows {stock['b2c_stock']}"
)
