"""Importing a partner's products: priced, made once whatever happens, linked, and told when it cannot be."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from devshop import products
from devshop.faults import CallFault
from devshop.world import Product, Store
from occ_app import clock
from occ_app.extensions import db
from occ_app.partners import imports
from occ_app.partners.imports import Choices
from occ_app.partners.models import ImportedProduct, ImportedVariant, ImportRun, PartnerProduct
from occ_app.partners.prices import MARKUP, Rule
from occ_app.shopify.client import Client
from occ_app.shops.models import Shop
from tests.partners.support import coffee, join, the_partner
from tests.support.bench import Bench

FORTY = Choices(rule=Rule(MARKUP, Decimal(40)))


@pytest.fixture
def roaster(bench: Bench) -> Iterator[Store]:
    """A partner's store with two coffees, mirrored."""
    bench.install()
    store = join(bench)
    coffee(store, 1, 20, image_url=f"{store.world.url}/_devshop/pictures/kenya.png", tags=["filter"])
    coffee(store, 2, 5, price="12.50")
    bench.settle()
    yield store


def start(bench: Bench, *titles: str, choices: Choices = FORTY) -> int:
    """The import of these products, or of all, is wanted. Returns the run's id."""
    with bench.scope():
        query = db.select(PartnerProduct.id).where(PartnerProduct.title.in_(titles) if titles else True)
        picked = dict.fromkeys(db.session.scalars(query))
        run = imports.start(the_partner(), picked, choices, actor="test", at=clock.now())
        db.session.commit()
        return run.id


def imported(bench: Bench) -> dict[str, Product]:
    """Title -> product, of the merchant's store."""
    return {product.title: product for product in bench.store.products.values()}


def states(bench: Bench) -> list[tuple[str, str | None]]:
    """State and cause of each imported product."""
    db.session.remove()
    with bench.scope():
        query = db.select(ImportedProduct.state, ImportedProduct.cause).order_by(ImportedProduct.id)
        return [tuple(row) for row in db.session.execute(query)]  # type: ignore[misc]


def test_an_imported_product_has_their_goods_at_our_price(bench: Bench, roaster: Store) -> None:
    start(bench, "Coffee 1", choices=Choices(tags=("guest roaster",), rule=FORTY.rule))
    bench.settle()
    made = imported(bench)["Coffee 1"]
    (variant,) = made.variants

    assert (made.status, made.vendor, made.product_type) == ("DRAFT", "Northlight", "Single origin")
    assert made.tags == ["filter", "guest roaster"]
    assert [media.url.rsplit("/", 1)[-1] for media in made.media] == ["kenya.png"]
    assert (variant.sku, variant.price, variant.cost) == (
        "PARTNER-northlight-coffee-C-1",
        Decimal("14.00"),
        Decimal("10.00"),
    )
    assert (variant.tracked, variant.inventory_policy) == (True, "DENY")
    assert [bench.store.publications[key].name for key in made.published] == ["Online Store"]


def test_its_stock_is_the_partners_a_moment_later_and_a_sale_needs_no_push(bench: Bench, roaster: Store) -> None:
    start(bench, choices=Choices(status="active"))
    bench.settle()
    assert bench.available("PARTNER-northlight-coffee-C-1") == 20
    assert bench.available("PARTNER-northlight-coffee-C-2") == 5
    bench.sell_in("PARTNER-northlight-coffee-C-2", 2)
    bench.settle()

    assert bench.available("PARTNER-northlight-coffee-C-2") == 3
    assert bench.exceptions() == []


def test_importing_again_doubles_nothing_and_leaves_what_the_merchant_changed(bench: Bench, roaster: Store) -> None:
    start(bench)
    bench.settle()
    made = imported(bench)["Coffee 1"]
    products.update(bench.store, made, None, {"title": "House filter"})
    start(bench)
    bench.settle()

    assert sorted(imported(bench)) == ["Coffee 2", "House filter"]
    with bench.scope():
        assert db.session.scalar(db.select(db.func.count(ImportedVariant.id))) == 2


@pytest.mark.parametrize("call", ["product_set", "publish"])
@pytest.mark.parametrize("is_before", [True, False])
def test_a_run_that_is_killed_at_a_call_doubles_nothing(
    bench: Bench, roaster: Store, monkeypatch: pytest.MonkeyPatch, call: str, is_before: bool
) -> None:
    class KilledError(BaseException):
        """As SIGKILL: nothing handles it."""

    mutate, calls = Client.mutate, []

    def killing(client: Client, name: str, variables: dict[str, Any]) -> Any:
        if name != call or calls:
            return mutate(client, name, variables)
        calls.append(name)
        if not is_before:
            mutate(client, name, variables)
        raise KilledError

    monkeypatch.setattr(Client, "mutate", killing)
    run_id = start(bench)
    with bench.scope():
        run = db.session.get_one(ImportRun, run_id)
        client = bench.app.extensions["occ_connections"].client(db.session.get_one(Shop, run.shop_id))
        with pytest.raises(KilledError):
            imports.advance(client, run)
        db.session.rollback()
    bench.settle()

    assert sorted(product.title for product in bench.store.products.values()) == ["Coffee 1", "Coffee 2"]
    assert states(bench) == [("imported", None)] * 2
    assert bench.available("PARTNER-northlight-coffee-C-1") == 20


def test_an_answer_that_is_lost_is_found_again(bench: Bench, roaster: Store) -> None:
    bench.store.faults.upcoming.append(CallFault("lost_after", "mutation"))
    start(bench)
    bench.settle()
    with bench.scope():
        for run in db.session.scalars(db.select(ImportRun)):
            run.next_try_at = None
        db.session.commit()
    bench.settle()

    assert len(bench.store.products) == 2
    assert states(bench) == [("imported", None)] * 2


def test_skus_that_change_places_change_nothing_here(bench: Bench, roaster: Store) -> None:
    start(bench, choices=Choices(status="active"))
    bench.settle()
    first, second = roaster.variant("C-1"), roaster.variant("C-2")
    for variant, sku in ((first, "C-2"), (second, "C-1")):
        product = next(one for one in roaster.products.values() if variant in one.variants)
        products.update(roaster, product, variant, {"sku": sku})
    bench.settle()
    start(bench)
    bench.settle()

    assert [bench.available(f"PARTNER-northlight-coffee-C-{number}") for number in (1, 2)] == [20, 5]
    assert len(bench.store.products) == 2


def test_a_product_that_the_merchant_deleted_can_be_imported_anew(bench: Bench, roaster: Store) -> None:
    start(bench, "Coffee 1")
    bench.settle()
    products.delete(bench.store, imported(bench)["Coffee 1"])
    bench.settle()
    assert states(bench) == [("gone", None)]
    start(bench, "Coffee 1")
    bench.settle()

    assert states(bench) == [("imported", None)]
    assert bench.available("PARTNER-northlight-coffee-C-1") == 20
    assert bench.exceptions() == []
