"""A partner's goods in the bench's store, made by hand: what an import leaves behind."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from devshop import products
from devshop.world import Product, Store
from occ_app import clock
from occ_app.catalog import mapping as mappings
from occ_app.catalog import pull
from occ_app.catalog.models import PARTNER, Item, Variant
from occ_app.extensions import db
from occ_app.partners import readings
from occ_app.partners.models import IMPORTED, ImportedProduct, ImportedVariant, Partner, PartnerProduct, PartnerVariant
from occ_app.shops import install
from occ_app.shops.models import Shop
from occ_app.sync import link
from occ_app.sync.models import SyncState
from tests.support.bench import Bench

ROASTER = "northlight-coffee.myshopify.com"


def add_partner(domain: str = ROASTER, name: str = "Northlight Coffee", **fields: Any) -> Partner:
    """A connected partner of the shop in scope, read just now."""
    now = clock.now()
    if "partner_shop_id" not in fields:
        shop = install.find(domain) or Shop(domain=domain, name=name, installed_at=now)
        db.session.add(shop)
        db.session.flush()
        fields["partner_shop_id"] = shop.id
    partner = Partner(domain=domain, name=name, connected_at=now, read_at=now, **fields)
    db.session.add(partner)
    db.session.flush()
    return partner


def add_good(
    bench: Bench, partner: Partner, sku: str, available: int | None, number: int = 1, source_of: Store | None = None
) -> ImportedVariant:
    """A product of the partner, imported as `sku`; the store has a product of that SKU. Linked with our number.

    `source_of`: the partner's store, which has the product too; without one its ids are made up.
    """
    now = clock.now()
    theirs = source_of.variant(sku) if source_of else None
    product_gid = f"gid://shopify/Product/{theirs.product_id if theirs else number}"
    product = PartnerProduct(partner_id=partner.id, product_gid=product_gid, title=sku, changed_at=now, read_at=now)
    db.session.add(product)
    db.session.flush()
    source = PartnerVariant(
        partner_id=partner.id,
        partner_product_id=product.id,
        variant_gid=theirs.gid if theirs else f"gid://shopify/ProductVariant/{number}",
        inventory_item_gid=theirs.item_gid if theirs else f"gid://shopify/InventoryItem/{number}",
        available=available,
        changed_at=now,
    )
    db.session.add(source)
    db.session.flush()
    return take_in(bench, partner, source, sku, f"Beans {sku}")


def take_in(bench: Bench, partner: Partner, source: PartnerVariant, sku: str, name: str) -> ImportedVariant:
    """The partner's variant is imported as our product of that SKU, linked with our number. The shop in scope is the bench's."""
    now = clock.now()
    copy = ImportedProduct(
        partner_id=partner.id,
        partner_product_id=source.partner_product_id,
        state=IMPORTED,
        handle=f"h-{partner.id}-{sku}",
        created_at=now,
    )
    item = Item(sku=sku, name=name, kind=PARTNER, created_at=now)
    db.session.add_all([copy, item])
    db.session.flush()
    place = pull.find_location(bench.place.gid)
    variant = db.session.scalars(db.select(Variant).where(Variant.sku == sku)).one()
    assert place is not None
    imported = ImportedVariant(
        partner_id=partner.id,
        imported_product_id=copy.id,
        partner_variant_id=source.id,
        item_id=item.id,
        location_id=place.id,
        variant_id=variant.id,
        variant_gid=variant.variant_gid,
        created_at=now,
    )
    db.session.add(imported)
    db.session.flush()
    mapping = mappings.make(item, variant, place, at=now)
    state = db.session.get_one(SyncState, mapping.id)
    state.mapping = mapping
    link.choose(state, "hub", now)
    return imported


def read(partner_variant_id: int, available: int | None, at: datetime | None = None) -> None:
    """The partner's whole stock was read a moment later: this one has so many."""
    variant = db.session.get_one(PartnerVariant, partner_variant_id)
    partner = db.session.get_one(Partner, variant.partner_id)
    at = at or clock.now() + timedelta(seconds=1)
    readings.keep(partner, {variant.id: available}, at)
    readings.keep_whole(partner, at)
    db.session.commit()


# Real stores of partners ----------------------------------------------------------------------------------------------------------


def join(bench: Bench, domain: str = ROASTER, name: str = "Northlight Coffee", currency: str = "GBP") -> Store:
    """A partner's store in Shopify, connected: what an invitation leaves behind. Its products come with the next `settle`."""
    store = bench.world.add_store(domain, name, plan="plus", time_zone="Europe/London", currency=currency)
    store.add_location("Roastery")
    connect(bench, store, name)
    return store


def connect(bench: Bench, store: Store, name: str) -> None:
    """The merchant has that store as its partner."""
    theirs = bench.install(store)
    with bench.scope():
        partner = Partner(domain=store.domain, name=name, connected_at=clock.now(), partner_shop_id=theirs.id)
        db.session.add(partner)
        db.session.commit()


def coffee(store: Store, number: int, available: int = 20, price: str = "10.00", **more: Any) -> Product:
    """A product of one variant in the store: SKU `C-1` and so on."""
    row = {"sku": f"C-{number}", "price": price, "available": available, **more.pop("variant", {})}
    own = {"title": f"Coffee {number}", "vendor": "Northlight", "product_type": "Single origin", **more}
    return products.create(store, {**own, "variants": [row]})


def the_partner() -> Partner:
    """The one partner of the shop in scope."""
    return db.session.scalars(db.select(Partner)).one()
