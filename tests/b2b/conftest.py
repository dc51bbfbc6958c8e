"""A merchant who sells the same goods on the web and to other businesses, and a system that speaks to the API."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from occ_app import clock
from occ_app.b2b import tokens
from occ_app.catalog.models import Item
from occ_app.extensions import db
from occ_app.stock import splits
from occ_app.stock.sharing import Claim
from occ_app.stock.splits import Wanted
from occ_app.sync import modes
from tests.support.bench import Bench

SKU = "BAR"


@dataclass
class System:
    """Another system with a token."""

    bench: Bench
    token: str
    keys: Any

    def ask(self, path: str, **options: Any) -> Any:
        """A request of it."""
        headers = {"Authorization": f"Bearer {self.token}", **options.pop("headers", {})}
        return self.bench.visit(path, headers=headers, **options)

    def order(self, units: int, sku: str = SKU, key: str = "", **more: Any) -> Any:
        """It orders so many units."""
        body = {"customer": {"name": "Corner Deli"}, "lines": [{"sku": sku, "quantity": units}], **more}
        headers = {"Idempotency-Key": key or f"key-{next(self.keys)}"}
        return self.ask("/api/v1/orders", method="POST", json=body, headers=headers)

    def post(self, path: str, **options: Any) -> Any:
        """Something is done."""
        return self.ask(path, method="POST", **options)

    def stock(self, sku: str = SKU) -> tuple[int, int]:
        """(b2b_stock, b2c_stock) as it reads them."""
        row = self.ask(f"/api/v1/stock/{sku}").get_json()
        return row["b2b_stock"], row["b2c_stock"]


@pytest.fixture
def shop(bench: Bench) -> Bench:
    """The bench with 100 bars, linked to Shopify."""
    bench.product(SKU, available=100)
    bench.install()
    bench.item(SKU)
    bench.lot(SKU, 100, number="L-1")
    bench.map(SKU)
    bench.settle()
    return bench


@pytest.fixture
def token_of(shop: Bench) -> Callable[..., str]:
    """Makes a token of the shop with these scopes."""

    def make(*scopes: str, **more: Any) -> str:
        with shop.scope():
            _, plain = tokens.make("test", scopes or list(tokens.SCOPES), actor="test", at=clock.now(), **more)
            db.session.commit()
            return plain

    return make


@pytest.fixture
def system(shop: Bench, token_of: Callable[..., str]) -> System:
    """A system with all scopes."""
    return System(shop, token_of(), itertools.count(1))


def split(bench: Bench, sku: str, claims: Sequence[Claim]) -> None:
    """The item is split by these claims, and all that is there is shared."""
    with bench.scope():
        item = db.session.scalars(db.select(Item).where(Item.sku == sku)).one()
        from occ_app.b2b import levels

        place = levels.location()
        splits.save_rules(item, place.id, [Wanted(claim) for claim in claims])
        modes.set_mode_of_item(item, "allocation")
        splits.share_out(item, place.id, cause="split", actor="test", at=clock.now())
        db.session.commit()


HALF = (Claim("shopify"), Claim("wholesale", share_percent=40))
