"""The example in the documentation does what it says, against the running product."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL

from occ_app.config import ROOT
from tests.support.product import DOMAIN, Product, eventually

SKU = "BAR"


@pytest.fixture
def product(server_url: URL, template: str, tmp_path: Path) -> Iterator[Product]:
    """100 bars, linked to Shopify, with a worker."""
    with Product(server_url, template, tmp_path) as product:
        product.start("web")
        product.open_store(products=[{"title": "Bar", "variants": [{"sku": SKU, "price": "6.50", "available": 100}]}])
        product.occ("work", "drain")
        for kind, lines in (
            ("items", f"sku,name\n{SKU},Bar\n"),
            ("lots", f"lot_number,item_sku,quantity\nL-1,{SKU},100\n"),
            ("mappings", f"item_sku,variant_sku,first_link\n{SKU},{SKU},hub\n"),
        ):
            product.occ("import", kind, "-", "--shop", DOMAIN, given=lines)
        product.occ("work", "drain")
        product.start("worker")
        yield product


def available(product: Product) -> int:
    """What Shopify shows."""
    return int(next(row["available"] for row in product.control("inventory", method="GET") if row["sku"] == SKU))


def test_an_order_by_the_example_lowers_shopify_in_the_pool_and_not_when_split(product: Product) -> None:
    token = product.occ("api-token", "create", "--shop", DOMAIN, "--name", "docs").strip()
    environment = {**os.environ, "OCC_URL": product.app, "OCC_TOKEN": token, "SKU": SKU, "NUMBER": "PO-1"}
    said = run([sys.executable, "docs/examples/b2b_client.py", SKU, "5", "PO-0"], environment)
    eventually(lambda: available(product) == 95, 10)
    product.occ("allocation", "split", "--shop", DOMAIN, "--item", SKU, "wholesale=40", "shopify=rest")
    eventually(lambda: available(product) == 55, 10)
    text = (ROOT / "docs/api.md").read_text()
    commands = re.search(r"## With curl\n\n```sh\n(.*?)```", text, re.DOTALL)
    assert commands is not None
    answers = run(["bash", "-ec", commands.group(1).replace('"\n', '"; echo\n')], environment).splitlines()
    last = json.loads(answers[-1])
    product.occ("allocation", "back", "--shop", DOMAIN, "--item", SKU, "wholesale")
    eventually(lambda: available(product) == 90, 10)

    assert said == "W-00001 confirmed: wholesale has 95 left, Shopify shows 95\n"
    assert (last["b2b_stock"], last["b2c_stock"], last["mode"]) == (35, 55, "split")
    product.occ("stock", "audit", "--shop", DOMAIN)


def run(command: list[str], environment: dict[str, str]) -> str:
    """What it prints. It ends as it should."""
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout
