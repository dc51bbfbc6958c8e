"""What cannot be imported is told; what an import and an hour of 30 partners cost is counted."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import pytest

from devshop import inventory, oauth, products
from devshop.faults import CallFault
from devshop.world import Store
from occ_app import clock
from occ_app.catalog import mapping as mappings
from occ_app.catalog import pull
from occ_app.catalog.models import PARTNER, Item, Variant
from occ_app.errors import RuleError
from occ_app.extensions import db
from occ_app.partners import imports, settings, stock
from occ_app.partners.imports import Choices
from occ_app.partners.models import (
    FAILED,
    ImportedProduct,
    ImportedVariant,
    ImportRun,
    Partner,
    PartnerProduct,
    PartnerVariant,
)
from occ_app.shopify.tokens import Tokens
from occ_app.shops.models import UNINSTALLED, Shop
from occ_app.sync.models import SyncState
from tests.partners.support import add_partner, coffee, join, the_partner
from tests.partners.test_imports import imported, start, states
from tests.support.bench import Bench


@pytest.fixture
def roaster(bench: Bench) -> Store:
    """A partner's store, empty."""
    bench.install()
    return join(bench)


def variants_of(bench: Bench, title: str) -> list[str]:
    """SKUs of a product of the merchant's."""
    return [variant.sku for variant in imported(bench)[title].variants]


def test_missing_and_doubled_skus_and_missing_pictures_are_no_hindrance(bench: Bench, roaster: Store) -> None:
    coffee(roaster, 1, variant={"sku": ""})
    coffee(roaster, 2, variant={"sku": "SAME / 250 g"})
    coffee(roaster, 3, variant={"sku": "SAME / 250 g"})
    bench.settle()
    start(bench)
    bench.settle()
    number = [product.variants[0].id for product in roaster.products.values()]

    assert variants_of(bench, "Coffee 1") == [f"PARTNER-northlight-coffee-{number[0]}"]
    assert variants_of(bench, "Coffee 2") == ["PARTNER-northlight-coffee-SAME-250-g"]
    assert variants_of(bench, "Coffee 3") == [f"PARTNER-northlight-coffee-SAME-250-g-{number[2]}"]


def test_a_bundle_and_a_product_without_variants_are_left_out_with_the_reason(bench: Bench, roaster: Store) -> None:
    coffee(roaster, 1)
    coffee(roaster, 2, bundle=True)
    bare = coffee(roaster, 3)
    bare.variants.clear()
    bench.settle()
    run_id = start(bench)
    bench.settle()

    assert list(imported(bench)) == ["Coffee 1"]
    with bench.scope():
        left_out = dict(db.session.get_one(ImportRun, run_id).choices["left_out"])
    assert left_out["Coffee 2"].startswith("It is a bundle")
    assert left_out["Coffee 3"] == "It has no variants to import."


@pytest.mark.timeout(400)
@pytest.mark.long
def test_a_product_of_2048_variants_is_made_whole(bench: Bench, roaster: Store) -> None:
    rows = [
        {"sku": f"V{n}", "price": "5.00", "available": 3, "options": [f"Size {n % 64}", f"Roast {n // 64}"]}
        for n in range(2048)
    ]
    bench.store.bucket.maximum = bench.store.bucket.available = 100_000
    with bench.world.silence():
        products.create(roaster, {"title": "Everything", "options": ["Size", "Roast"], "variants": rows})
        bench.settle()
        start(bench)
        bench.settle()
    made = imported(bench)["Everything"]

    assert states(bench) == [("imported", None)]
    assert [len(option.values) for option in made.options] == [64, 32]
    assert len({variant.sku for variant in made.variants}) == 2048
    assert {
        inventory.level(bench.store, variant, bench.place).quantities["available"] for variant in made.variants
    } == {3}


def test_a_currency_without_a_rate_is_refused_before_anything(bench: Bench) -> None:
    bench.install()
    store = join(bench, "harbour-beans.myshopify.com", "Harbour Beans", currency="EUR")
    coffee(store, 1)
    bench.settle()
    with pytest.raises(RuleError, match="Say what 1 EUR is in GBP first"):
        start(bench)
    with bench.scope():
        db.session.rollback()
        settings.put(the_partner(), "exchange_rate", "0.85")
        db.session.commit()
    start(bench)
    bench.settle()
    (variant,) = imported(bench)["Coffee 1"].variants

    assert (variant.cost, variant.price) == (Decimal("8.50"), Decimal("11.90"))


def test_a_margin_under_the_least_keeps_a_product_out(bench: Bench, roaster: Store) -> None:
    coffee(roaster, 1)
    bench.settle()
    with bench.scope():
        settings.put(the_partner(), "minimum_margin_percent", "35")
        db.session.commit()

    with pytest.raises(RuleError, match=r"28\.6 %, under your least of 35 %"):
        start(bench)


def test_a_partner_that_uninstalls_in_the_middle_ends_the_run_and_its_goods_show_0(
    bench: Bench, roaster: Store
) -> None:
    for number in (1, 2):
        coffee(roaster, number)
    bench.settle()
    start(bench, "Coffee 1", choices=Choices(status="active"))
    bench.settle()
    run_id = start(bench, "Coffee 2")
    with bench.scope():
        theirs = db.session.get_one(Shop, the_partner().partner_shop_id)
        theirs.status, theirs.uninstalled_at = UNINSTALLED, clock.now()
        db.session.commit()
    bench.settle()

    assert bench.available("PARTNER-northlight-coffee-C-1") == 0
    assert states(bench)[1][0] == FAILED
    with bench.scope():
        assert "has left" in (db.session.get_one(ImportRun, run_id).cause or "")


def test_a_product_that_they_delete_and_a_location_that_is_closed_in_the_middle_fail_with_words(
    bench: Bench, roaster: Store
) -> None:
    for number in (1, 2):
        coffee(roaster, number)
    bench.settle()
    run_id = start(bench)
    with bench.scope():
        first = db.session.scalars(db.select(PartnerProduct).order_by(PartnerProduct.title)).first()
        place = pull.default_location()
        assert first is not None
        assert place is not None
        first.deleted_at, place.is_active = clock.now(), False
        db.session.commit()

    assert bench.drain() == []
    assert [(state, (cause or "")[:24]) for state, cause in states(bench)] == [
        (FAILED, "They deleted it meanwhil"),
        (FAILED, "The location of their go"),
    ]
    shown = bench.open(f"/partners/1/imports/{run_id}").text
    assert "Imported, but not all" in shown
    assert "Choose another one" in shown
    assert "Try what failed again" in shown


def test_what_failed_is_tried_again_with_the_variants_that_were_picked(bench: Bench, roaster: Store) -> None:
    rows = [{"sku": f"K-{size}", "price": "10.00", "available": 4, "options": [size]} for size in ("250 g", "1 kg")]
    products.create(roaster, {"title": "Kenya", "options": ["Size"], "variants": rows})
    bench.settle()
    with bench.scope():
        source = db.session.scalars(db.select(PartnerVariant).order_by(PartnerVariant.position)).first()
        assert source is not None
        picked = {source.partner_product_id: {source.id}}
        imports.start(the_partner(), picked, Choices(), actor="test", at=clock.now())
        copy = db.session.scalars(db.select(ImportedProduct)).one()
        copy.state, copy.cause = FAILED, "Shopify did not make it."
        db.session.commit()
    bench.settle()

    bench.open("/partners/1/imports/1/again", method="POST")
    bench.settle()

    assert [variant.values for variant in imported(bench)["Kenya"].variants] == [["250 g"]]


def test_minutes_of_throttling_only_put_the_run_off(
    bench: Bench, roaster: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("occ_app.shopify.client.LONGEST_WAIT", 0.0)
    for number in (1, 2):
        coffee(roaster, number)
    bench.settle()
    run_id = start(bench)
    bench.store.faults.always = CallFault("throttled", "mutation")
    for _ in range(imports.MOST_TRIES + 1):
        with bench.scope():
            db.session.get_one(ImportRun, run_id).next_try_at = None
            db.session.commit()
        bench.drain()
        with bench.scope():
            run = db.session.get_one(ImportRun, run_id)
            copies = [(c.state, c.tries, c.cause) for c in db.session.scalars(db.select(ImportedProduct))]
            assert "points are used up" in (run.cause or ""), (run.finished_at, copies)
            assert min(tries for _, tries, _ in copies) == 0
    bench.store.faults.always = None
    with bench.scope():
        db.session.get_one(ImportRun, run_id).next_try_at = None
        db.session.commit()
    bench.settle()

    assert states(bench) == [("imported", None)] * 2
    assert len(bench.store.products) == 2


def test_an_import_of_50_products_takes_two_calls_each_and_a_handful_more(bench: Bench, roaster: Store) -> None:
    with bench.world.silence():
        for number in range(50):
            coffee(roaster, number)
    bench.settle()
    bench.store.calls.clear()
    roaster.calls.clear()
    start(bench)
    bench.settle()
    made = [call["operation"] for call in bench.store.calls]

    assert states(bench) == [("imported", None)] * 50
    assert (made.count("productSet"), made.count("publish")) == (50, 50)
    assert [call["operation"] for call in roaster.calls] == ["partnerQuantities"]
    assert len(made) <= 110, {name: made.count(name) for name in made}


@pytest.mark.long
def test_an_hour_of_30_partners_with_50_products_each_costs_a_read_each_and_writes_for_what_changed(
    bench: Bench,
) -> None:
    stores = thirty_partners(bench)
    with bench.world.silence():
        for store in stores[:3]:
            level = inventory.level(store, store.variant("GEN-00001"), next(iter(store.locations.values())))
            inventory.set_available(store, level, 7, who="admin", why="test")
    for store in (bench.store, *stores):
        store.calls.clear()
    with bench.scope():
        db.session.execute(db.update(Partner).values(read_at=clock.now() - stock.EVERY))
        db.session.commit()
    bench.drain()

    assert {tuple(call["operation"] for call in store.calls) for store in stores} == {("partnerQuantities",)}
    assert [call["operation"] for call in bench.store.calls] == ["inventoryReadings", "inventorySet"]
    assert [bench.available(f"GEN-{number:05}") for number in (1, 51, 101, 151)] == [7, 7, 7, 20]


def thirty_partners(bench: Bench) -> list[Store]:
    """30 partners' stores; the merchant sells 50 products of each, with 20 units, all linked."""
    bench.store.bucket.maximum = bench.store.bucket.available = 100_000
    products.generate(bench.store, 1500, 20)
    stores = [bench.add_store(f"roaster-{number}.myshopify.com") for number in range(30)]
    bench.install()
    with bench.scope():
        ours = db.session.scalars(db.select(Variant).order_by(Variant.sku)).all()
        for number, store in enumerate(stores):
            store.add_location("Roastery")
            products.generate(store, 50, 20)
            theirs = shop_of(bench, store)
            partner = add_partner(store.domain, store.domain, partner_shop_id=theirs, catalogue_read_at=clock.now())
            goods_of(bench, partner, store, ours[50 * number : 50 * number + 50])
        db.session.commit()
    bench.drain()
    with bench.scope():
        assert db.session.scalar(db.select(db.func.count()).where(SyncState.state == "linked")) == 1500
    return stores


def shop_of(bench: Bench, store: Store) -> int:
    """The id of that store's shop, which has given us access; without the first day's work of an installation."""
    oauth.install(store)
    shop = Shop(domain=store.domain, installed_at=clock.now())
    db.session.add(shop)
    db.session.flush()
    tokens = Tokens(oauth.issue(store, expiring=False).value, None, "write_products", None, None)
    bench.app.extensions["occ_connections"].store(db.session, shop.id, tokens, clock.now())
    return shop.id


def goods_of(bench: Bench, partner: Partner, store: Store, ours: Sequence[Variant]) -> None:
    """The partner's products are mirrored and sell as these variants."""
    place, now = pull.default_location(), clock.now()
    assert place is not None
    rows = []
    for source, variant in zip(store.variants.values(), ours, strict=True):
        product = PartnerProduct(
            partner_id=partner.id, product_gid=f"gid://shopify/Product/{source.product_id}", title=source.sku
        )
        product.changed_at = product.read_at = now
        item = Item(sku=f"P{partner.id}-{source.sku}", name=source.sku, kind=PARTNER, created_at=now)
        rows.append((source, variant, product, item))
    db.session.add_all([row for _, _, product, item in rows for row in (product, item)])
    db.session.flush()
    made = []
    for source, variant, product, item in rows:
        theirs = PartnerVariant(partner_id=partner.id, partner_product_id=product.id, available=20, changed_at=now)
        theirs.variant_gid, theirs.inventory_item_gid = source.gid, source.item_gid
        copy = ImportedProduct(partner_id=partner.id, partner_product_id=product.id, state="imported", created_at=now)
        copy.handle = f"{partner.id}-{product.id}"
        made.append((theirs, copy, item, variant))
    db.session.add_all([row for theirs, copy, _, _ in made for row in (theirs, copy)])
    db.session.flush()
    for theirs, copy, item, variant in made:
        ids = {
            "imported_product_id": copy.id,
            "partner_variant_id": theirs.id,
            "item_id": item.id,
            "variant_id": variant.id,
        }
        db.session.add(ImportedVariant(partner_id=partner.id, location_id=place.id, created_at=now, **ids))
    db.session.flush()
    mappings.make_all(
        [mappings.check(item, variant, place, None, units_per_variant=1, at=now) for _, _, item, variant in made]
    )
    db.session.execute(db.update(SyncState).values(link_choice="hub"))
