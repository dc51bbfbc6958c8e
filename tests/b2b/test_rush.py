"""A hundred orders at once for the last ten units, and a server that is killed in the middle of it: the whole product as processes."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import URL

from tests.support.product import DOMAIN, Product, eventually

ORDERS, UNITS = 100, 10


class Rush:
    """The running product, and a system that orders."""

    def __init__(self, product: Product) -> None:
        self.product = product
        self.token = product.occ("api-token", "create", "--shop", DOMAIN, "--name", "rush").strip()

    def order(self, key: str) -> tuple[int, dict[str, Any]]:
        """(status, answer) of an order of one unit; status 0 where no answer came."""
        headers = {"Authorization": f"Bearer {self.token}", "Idempotency-Key": key}
        body = {"customer": {"name": "Corner Deli"}, "reference": key, "lines": [{"sku": "BAR", "quantity": 1}]}
        with suppress(httpx2.HTTPError, ValueError), httpx2.Client(timeout=60, trust_env=False) as http:
            answer = http.post(f"{self.product.app}/api/v1/orders", json=body, headers=headers)
            return answer.status_code, answer.json()
        return 0, {}

    def all_at_once(self) -> dict[str, tuple[int, dict[str, Any]]]:
        """Key -> answer of a hundred orders that come together."""
        keys = [f"order-{n}" for n in range(ORDERS)]
        with ThreadPoolExecutor(ORDERS) as pool:
            return dict(zip(keys, pool.map(self.order, keys), strict=True))

    def sold(self) -> tuple[int, int]:
        """(orders in the books, units that they have taken)."""
        with self.product.connect() as connection:
            row = connection.execute(
                "SELECT count(DISTINCT o.id), coalesce(sum(l.taken), 0) FROM b2b_order o JOIN b2b_order_line l ON l.order_id = o.id"
            ).fetchone()
        assert row is not None
        return int(row[0]), int(row[1])


@pytest.fixture
def rush(server_url: URL, template: str, tmp_path: Path) -> Iterator[Rush]:
    """A shop with the last ten bars."""
    with Product(server_url, template, tmp_path) as product:
        product.start("web")
        product.open_store(products=[{"title": "Bar", "variants": [{"sku": "BAR", "price": "6.50", "available": 0}]}])
        product.occ("work", "drain")
        product.occ("import", "items", "-", "--shop", DOMAIN, given="sku,name\nBAR,Bar\n")
        product.occ("import", "lots", "-", "--shop", DOMAIN, given=f"lot_number,item_sku,quantity\nL-1,BAR,{UNITS}\n")
        yield Rush(product)


def test_of_a_hundred_orders_for_ten_units_ten_succeed_and_the_others_are_told_why(rush: Rush) -> None:
    answers = rush.all_at_once()
    statuses = [status for status, _ in answers.values()]
    told = {body["errors"][0]["detail"] for status, body in answers.values() if status == 409}

    assert (statuses.count(201), statuses.count(409)) == (UNITS, ORDERS - UNITS)
    assert told == {"BAR: 1 wanted, 0 available"}
    assert rush.sold() == (UNITS, UNITS)
    rush.product.occ("stock", "audit", "--shop", DOMAIN)


def test_a_kill_in_the_middle_sells_nothing_twice_and_loses_nothing(rush: Rush) -> None:
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(rush.all_at_once)
        eventually(lambda: rush.sold()[0] >= 3, every=0.005)
        rush.product.kill("web")
        before = running.result()
    rush.product.start("web")
    left = rush.sold()
    after = rush.all_at_once()
    statuses = [status for status, _ in after.values()]
    answered = {key: answer for key, answer in before.items() if answer[0] == 201}

    assert any(status == 0 for status, _ in before.values())  # it was in the middle
    assert 0 < len(answered) <= left[0] <= UNITS
    assert (statuses.count(201), statuses.count(409)) == (UNITS, ORDERS - UNITS)
    assert {key: after[key] for key in answered} == answered
    assert rush.sold() == (UNITS, UNITS)
    rush.product.occ("stock", "audit", "--shop", DOMAIN)
