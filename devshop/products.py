"""Products of a store: what changes them, told by one webhook per change."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from devshop import inventory, pictures
from devshop.shelf import Collection, Media, Option
from devshop.world import DevshopError, Product, Store, Variant

PRODUCT_FIELDS = {
    "title",
    "handle",
    "status",
    "vendor",
    "product_type",
    "tags",
    "image_url",
    "images",
    "description_html",
    "options",
    "collections",
    "bundle",
    "variants",
}
VARIANT_FIELDS = {
    "sku",
    "barcode",
    "title",
    "options",
    "price",
    "compare_at_price",
    "tracked",
    "inventory_policy",
    "available",
    "cost",
}
DEFAULT_TITLE = "Default Title"
MOST_OPTIONS, MOST_VARIANTS = 3, 2048


def create(store: Store, data: dict[str, Any]) -> Product:
    """A new product with its variants and their stock, as a merchant makes it: published to every sales channel when active.

    `options`: names; each variant then has `options`, its values. Without them a variant has a `title`. `images`: addresses.
    """
    _known(data, PRODUCT_FIELDS)
    rows = data.get("variants") or [{}]
    if len(rows) > MOST_VARIANTS or len(data.get("options", ())) > MOST_OPTIONS:
        raise DevshopError(f"a product has at most {MOST_OPTIONS} options and {MOST_VARIANTS} variants")
    product = new(store, data.get("title") or "Untitled", data.get("handle"))
    product.status = data.get("status", "ACTIVE")
    product.vendor, product.product_type = data.get("vendor", ""), data.get("product_type", "")
    product.tags, product.description_html = list(data.get("tags", [])), data.get("description_html", "")
    for url in [data["image_url"]] if data.get("image_url") else data.get("images", []):
        product.media.append(Media(store.world.new_id(), url, url, product.title, product.created_at))
    for name in data.get("options") or ["Title"]:
        product.options.append(Option(store.world.new_id(), name))
    for row in rows:
        add_variant(store, product, row, is_bundle=bool(data.get("bundle")))
    for title in data.get("collections", ()):
        collection(store, title).product_ids.append(product.id)
    if product.status == "ACTIVE":
        product.published = dict.fromkeys(store.publications, product.created_at)
    store.emit("products/create", product)
    return product


def new(store: Store, title: str, handle: str | None = None) -> Product:
    """A product without variants, in the store, nobody told of it."""
    now = store.now()
    product = Product(
        id=store.world.new_id(),
        title=title,
        handle=free_handle(store, handle or title),
        status="ACTIVE",
        vendor="",
        product_type="",
        tags=[],
        created_at=now,
        updated_at=now,
    )
    store.products[product.id] = product
    store.handles[product.handle] = product.id
    return product


def free_handle(store: Store, wish: str) -> str:
    """The handle made of `wish`, numbered where it is taken, as Shopify does."""
    plain = re.sub(r"[^a-z0-9]+", "-", wish.lower()).strip("-") or "product"
    handle, number = plain, 0
    while handle in store.handles:
        number += 1
        handle = f"{plain}-{number}"
    return handle


def add_variant(store: Store, product: Product, data: dict[str, Any], *, is_bundle: bool = False) -> Variant:
    """A new variant of the product, stocked at the named locations, or at the first."""
    _known(data, VARIANT_FIELDS)
    variant = new_variant(store, product, data.get("options") or [data.get("title", DEFAULT_TITLE)])
    variant.sku, variant.barcode = data.get("sku", ""), data.get("barcode", "")
    variant.price = Decimal(str(data.get("price", "10.00")))
    variant.tracked, variant.is_bundle = bool(data.get("tracked", True)), is_bundle
    variant.inventory_policy = data.get("inventory_policy", "DENY")
    for name in ("cost", "compare_at_price"):
        if data.get(name) is not None:
            setattr(variant, name, Decimal(str(data[name])))
    available = data.get("available", 0)
    for place, quantity in (available if isinstance(available, dict) else {None: available}).items():
        found = inventory.level(store, variant, store.location(place))
        inventory.set_available(store, found, int(quantity), who="admin", why="initial stock")
    return variant


def new_variant(store: Store, product: Product, values: list[str]) -> Variant:
    """A variant with these option values, without a level."""
    if len(values) != len(product.options):
        raise DevshopError(f"{product.title} has {len(product.options)} options, not {len(values)}")
    variant = Variant(
        id=store.world.new_id(),
        item_id=store.world.new_id(),
        product_id=product.id,
        values=list(values),
        sku="",
        barcode="",
        price=Decimal("0.00"),
        position=len(product.variants) + 1,
        tracked=True,
        inventory_policy="DENY",
        created_at=store.now(),
        updated_at=store.now(),
    )
    product.variants.append(variant)
    store.variants[variant.id] = variant
    store.items[variant.item_id] = variant
    name_values(store, product, [variant])
    return variant


def name_values(store: Store, product: Product, variants: Iterable[Variant]) -> None:
    """Every value of these variants is one of the product's options."""
    for variant in variants:
        for option, value in zip(product.options, variant.values, strict=True):
            if value not in option.values:
                option.values[value] = store.world.new_id()


def new_media(store: Store, source: str, alt: str) -> Media:
    """A picture taken over from `source`: ready at once, or failed where the store's faults say so. Raises DevshopError.

    Shopify fetches it later (UPLOADED, PROCESSING); devshop does not model the wait.
    """
    url = pictures.taken_over(store.world.url, source)
    if url is None:
        raise DevshopError("Image URL is invalid")
    status = "FAILED" if store.faults.fails_pictures else "READY"
    return Media(store.world.new_id(), url, source, alt, store.now(), status)


def collection(store: Store, title: str, *, is_smart: bool = False) -> Collection:
    """The collection of that title, made if there is none."""
    for found in store.collections.values():
        if found.title == title:
            return found
    handle = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    made = Collection(store.world.new_id(), title, handle, store.now(), is_smart=is_smart)
    store.collections[made.id] = made
    return made


def generate(store: Store, count: int, available: int) -> None:
    """`count` products of one variant each, SKU `GEN-00001` and so on, without webhooks."""
    with store.world.silence():
        for number in range(1, count + 1):
            row = {"sku": f"GEN-{number:05}", "price": f"{5 + number % 20}.00", "available": available}
            create(store, {"title": f"Generated product {number:05}", "variants": [row]})


def update(store: Store, product: Product, variant: Variant | None, fields: dict[str, Any]) -> None:
    """Fields of the product, or of the variant when one is given, have new values."""
    subject: Any = variant or product
    allowed = (
        {"sku", "barcode", "title", "price", "compare_at_price", "tracked", "cost", "inventory_policy"}
        if variant
        else {"title", "status", "vendor", "product_type", "tags", "image_url", "description_html"}
    )
    _known(fields, allowed)
    for name, value in fields.items():
        if name == "image_url":
            product.media = [Media(store.world.new_id(), value, value, product.title, store.now())] if value else []
        else:
            is_money = name in ("price", "compare_at_price", "cost") and value is not None
            setattr(subject, name, Decimal(str(value)) if is_money else value)
    if variant:
        name_values(store, product, [variant])
        drop_unused_values(product)
    told(store, product, variant)


def drop_unused_values(product: Product) -> None:
    """Values that no variant has any more are gone from the options."""
    for number, option in enumerate(product.options):
        used = {variant.values[number] for variant in product.variants}
        option.values = {value: key for value, key in option.values.items() if value in used}


def told(store: Store, product: Product, *variants: Variant | None) -> None:
    """The product has changed, and so have these variants of it."""
    product.updated_at = store.now()
    for variant in variants:
        if variant:
            variant.updated_at = product.updated_at
    store.emit("products/update", product)


def remove_variant(store: Store, product: Product, variant: Variant) -> None:
    """The variant, its inventory item and its levels are gone; nobody is told."""
    product.variants.remove(variant)
    del store.variants[variant.id], store.items[variant.item_id]
    for place in store.locations:
        store.levels.pop((variant.item_id, place), None)


def delete_variant(store: Store, variant: Variant) -> None:
    """The variant is gone; with the last variant the product goes too."""
    product = store.products[variant.product_id]
    remove_variant(store, product, variant)
    if not product.variants:
        delete(store, product)
        return
    drop_unused_values(product)
    told(store, product)


def delete(store: Store, product: Product) -> None:
    """The product and all of its variants are gone."""
    for variant in list(product.variants):
        remove_variant(store, product, variant)
    for found in store.collections.values():
        if product.id in found.product_ids:
            found.product_ids.remove(product.id)
    del store.products[product.id], store.handles[product.handle]
    store.emit("products/delete", product)


def _known(data: dict[str, Any], names: set[str]) -> None:
    unknown = set(data) - names
    if unknown:
        raise DevshopError(f"unknown fields: {', '.join(sorted(unknown))}; known are {', '.join(sorted(names))}")
