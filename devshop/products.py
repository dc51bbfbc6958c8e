"""Products of a store."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from devshop import inventory
from devshop.world import DevshopError, Product, Store, Variant

PRODUCT_FIELDS = {"title", "status", "vendor", "product_type", "tags", "image_url", "bundle", "variants"}
VARIANT_FIELDS = {"sku", "barcode", "title", "price", "tracked", "inventory_policy", "available", "cost"}


def create(store: Store, data: dict[str, Any]) -> Product:
    """A new product with its variants and their stock."""
    _known(data, PRODUCT_FIELDS)
    now, title = store.now(), data.get("title") or "Untitled"
    product = Product(
        id=store.world.new_id(),
        title=title,
        handle=re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-"),
        status=data.get("status", "ACTIVE"),
        vendor=data.get("vendor", ""),
        product_type=data.get("product_type", ""),
        tags=list(data.get("tags", [])),
        image_url=data.get("image_url"),
        created_at=now,
        updated_at=now,
    )
    store.products[product.id] = product
    for row in data.get("variants") or [{}]:
        add_variant(store, product, row, is_bundle=bool(data.get("bundle")))
    store.emit("products/create", product)
    return product


def add_variant(store: Store, product: Product, data: dict[str, Any], *, is_bundle: bool = False) -> Variant:
    """A new variant of the product, stocked at the named locations, or at the first."""
    _known(data, VARIANT_FIELDS)
    variant = Variant(
        id=store.world.new_id(),
        item_id=store.world.new_id(),
        product_id=product.id,
        title=data.get("title", "Default Title"),
        sku=data.get("sku", ""),
        barcode=data.get("barcode", ""),
        price=Decimal(str(data.get("price", "10.00"))),
        position=len(product.variants) + 1,
        tracked=bool(data.get("tracked", True)),
        inventory_policy=data.get("inventory_policy", "DENY"),
        created_at=store.now(),
        updated_at=store.now(),
        is_bundle=is_bundle,
        cost=Decimal(str(data["cost"])) if data.get("cost") is not None else None,
    )
    product.variants.append(variant)
    store.variants[variant.id] = variant
    store.items[variant.item_id] = variant
    available = data.get("available", 0)
    for place, quantity in (available if isinstance(available, dict) else {None: available}).items():
        found = inventory.level(store, variant, store.location(place))
        inventory.set_available(store, found, int(quantity), who="admin", why="initial stock")
    return variant


def generate(store: Store, count: int, available: int) -> None:
    """`count` products of one variant each, SKU `GEN-00001` and so on, without webhooks."""
    listeners, store.world.listeners = store.world.listeners, []
    try:
        for number in range(1, count + 1):
            row = {"sku": f"GEN-{number:05}", "price": f"{5 + number % 20}.00", "available": available}
            create(store, {"title": f"Generated product {number:05}", "variants": [row]})
    finally:
        store.world.listeners = listeners


def update(store: Store, product: Product, variant: Variant | None, fields: dict[str, Any]) -> None:
    """Fields of the product, or of the variant when one is given, have new values."""
    subject: Any = variant or product
    allowed = (
        {"sku", "barcode", "title", "price", "tracked"}
        if variant
        else {"title", "status", "vendor", "product_type", "tags", "image_url"}
    )
    _known(fields, allowed)
    for name, value in fields.items():
        setattr(subject, name, Decimal(str(value)) if name == "price" else value)
    subject.updated_at = product.updated_at = store.now()
    store.emit("products/update", product)


def delete_variant(store: Store, variant: Variant) -> None:
    """The variant, its inventory item and its levels are gone; with the last variant the product goes too."""
    product = store.products[variant.product_id]
    product.variants.remove(variant)
    del store.variants[variant.id], store.items[variant.item_id]
    for key in [key for key in store.levels if key[0] == variant.item_id]:
        del store.levels[key]
    if not product.variants:
        delete(store, product)
        return
    product.updated_at = store.now()
    store.emit("products/update", product)


def delete(store: Store, product: Product) -> None:
    """The product and all of its variants are gone."""
    for variant in list(product.variants):
        product.variants.remove(variant)
        del store.variants[variant.id], store.items[variant.item_id]
        for key in [key for key in store.levels if key[0] == variant.item_id]:
            del store.levels[key]
    del store.products[product.id]
    store.emit("products/delete", product)


def _known(data: dict[str, Any], names: set[str]) -> None:
    unknown = set(data) - names
    if unknown:
        raise DevshopError(f"unknown fields: {', '.join(sorted(unknown))}; known are {', '.join(sorted(names))}")
