"""What an app may say of a product and its variants: checked before anything changes, then written. Used by every product mutation.

A key that devshop does not model is refused by name, never dropped.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from graphql import GraphQLError

from devshop import inventory, products
from devshop.product_fields import metafield_key
from devshop.resolvers import number_of
from devshop.shelf import Collection, Metafield, Option
from devshop.world import DevshopError, Product, Store, Variant

MOST_QUANTITIES = 50_000
PRODUCT_KEYS = {"id", "title", "handle", "status", "vendor", "productType", "tags", "descriptionHtml", "metafields"}
VARIANT_KEYS = {
    "id",
    "barcode",
    "compareAtPrice",
    "inventoryItem",
    "inventoryPolicy",
    "inventoryQuantities",
    "metafields",
}
VARIANT_KEYS |= {"optionValues", "price", "taxable"}
ITEM_KEYS = {"cost", "tracked", "sku", "requiresShipping", "measurement"}
PLAIN = {
    "title": "title",
    "vendor": "vendor",
    "productType": "product_type",
    "descriptionHtml": "description_html",
    "status": "status",
}


@dataclass(frozen=True)
class Problem:
    """Why an input is refused: where it stands, Shopify's code, the sentence."""

    field: list[str]
    code: str
    message: str


def only_known(kind: str, given: Iterable[str], known: set[str]) -> None:
    """Raises GraphQLError, naming the key of the input type that devshop does not model."""
    unknown = sorted(set(given) - known)
    if unknown:
        raise GraphQLError(f"devshop does not model {kind}.{unknown[0]}")


def limit(rows: list[Any], most: int, name: str) -> None:
    """Raises GraphQLError where an input array is longer than Shopify takes."""
    if len(rows) > most:
        message = f"The input array size of {len(rows)} is greater than the maximum allowed of {most}."
        raise GraphQLError(message, extensions={"code": "MAX_INPUT_SIZE_EXCEEDED", "argument": name})


def amount(value: Any) -> Decimal | None:
    """A price or a cost; None where it is none."""
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def check_product(store: Store, given: dict[str, Any], path: list[str], product: Product | None) -> list[Problem]:
    """What is wrong with the product's own fields."""
    problems = []
    if (product is None or "title" in given) and not (given.get("title") or "").strip():
        problems.append(Problem([*path, "title"], "MISSING_FIELD_REQUIRED", "Title can't be blank"))
    if len(given.get("title") or "") > 255:
        problems.append(Problem([*path, "title"], "INVALID_INPUT", "Title is too long (maximum is 255 characters)"))
    owner = store.handles.get(given.get("handle") or "")
    if owner is not None and (product is None or owner != product.id):
        problems.append(
            Problem([*path, "handle"], "HANDLE_NOT_UNIQUE", f"Handle '{given['handle']}' has already been taken")
        )
    if len(given.get("tags") or ()) > 250:
        problems.append(Problem([*path, "tags"], "INVALID_INPUT", "Product tags is too long (maximum is 250 tags)"))
    return problems + check_metafields(given.get("metafields") or (), path)


def check_metafields(rows: Iterable[dict[str, Any]], path: list[str]) -> list[Problem]:
    """What is wrong with metafields."""
    bad = (n for n, row in enumerate(rows) if not (row.get("key") and row.get("value") and row.get("type")))
    return [
        Problem([*path, "metafields", str(n)], "INVALID_METAFIELD", "Key, type and value must be given") for n in bad
    ]


def write_product(store: Store, product: Product, given: dict[str, Any]) -> None:
    """The product's own fields are as given; what is not named stays."""
    for key, name in PLAIN.items():
        if given.get(key) is not None:
            setattr(product, name, given[key])
    if given.get("tags") is not None:
        product.tags = sorted({tag.strip() for tag in given["tags"] if tag.strip()}, key=str.lower)
    if given.get("handle") and given["handle"] != product.handle:
        del store.handles[product.handle]
        product.handle = given["handle"]
        store.handles[product.handle] = product.id
    write_metafields(store, product, given.get("metafields") or ())


def write_metafields(store: Store, owner: Product | Variant, rows: Iterable[dict[str, Any]]) -> list[Metafield]:
    """These metafields of the owner have these values."""
    written = []
    for row in rows:
        key, now = metafield_key(store, row), store.now()
        found = owner.metafields.get(key)
        if found is None:
            found = Metafield(store.world.new_id(), *key, row.get("type") or "", row["value"], now, now, owner)
            owner.metafields[key] = found
        found.value, found.updated_at = row["value"], now
        written.append(found)
    return written


def find_collections(store: Store, gids: Iterable[str], path: list[str]) -> tuple[list[Collection], list[Problem]]:
    """The collections that products can be put into by hand, and what is wrong with the others."""
    found, problems = [], []
    for n, gid in enumerate(gids):
        collection = store.collections.get(number_of(gid, "Collection"))
        if collection is None:
            problems.append(Problem([*path, str(n)], "NOT_FOUND", "Collection does not exist"))
        elif collection.is_smart:
            problems.append(
                Problem([*path, str(n)], "INVALID_INPUT", "Can't manually add products to a smart collection")
            )
        else:
            found.append(collection)
    return found, problems


def check_variant(
    store: Store, given: dict[str, Any], path: list[str], variant: Variant | None, code: str
) -> list[Problem]:
    """What is wrong with a variant's fields, its option values apart. `code`: what this mutation calls a bad price."""
    problems = []
    for key in ("price", "compareAtPrice"):
        if given.get(key) is not None and ((found := amount(given[key])) is None or found < 0):
            problems.append(Problem([*path, key], code, "Price must be greater than or equal to 0"))
    item = given.get("inventoryItem") or {}
    only_known("InventoryItemInput", item, ITEM_KEYS)
    only_known("InventoryItemMeasurementInput", item.get("measurement") or {}, {"weight"})
    if item.get("cost") is not None and ((cost := amount(item["cost"])) is None or cost < 0):
        problems.append(
            Problem([*path, "inventoryItem", "cost"], "INVALID_INPUT", "Cost must be greater than or equal to 0")
        )
    for n, row in enumerate(given.get("inventoryQuantities") or ()):
        problems += _check_quantity(store, row, [*path, "inventoryQuantities", str(n)], variant)
    return problems + check_metafields(given.get("metafields") or (), path)


def _check_quantity(store: Store, row: dict[str, Any], path: list[str], variant: Variant | None) -> list[Problem]:
    place = store.locations.get(number_of(row["locationId"], "Location"))
    if place is None or not place.is_active:
        return [Problem([*path, "locationId"], "NOT_FOUND", "The specified location could not be found.")]
    if row.get("name", "available") not in ("available", "on_hand"):
        return [Problem([*path, "name"], "INVALID_INPUT", "The quantity name must be either 'available' or 'on_hand'.")]
    if variant and (variant.item_id, place.id) not in store.levels:
        return [Problem([*path, "locationId"], "INVALID_INPUT", "The variant is not stocked at the location")]
    return []


def check_total_quantities(rows: Iterable[dict[str, Any]], path: list[str]) -> list[Problem]:
    """More quantities than a call may bring."""
    total = sum(len(row.get("inventoryQuantities") or ()) for row in rows)
    if total <= MOST_QUANTITIES:
        return []
    return [
        Problem(
            path, "INVENTORY_QUANTITIES_LIMIT_EXCEEDED", f"At most {MOST_QUANTITIES} inventory quantities may be given"
        )
    ]


def write_variant(store: Store, variant: Variant, given: dict[str, Any]) -> None:
    """The variant's fields are as given; what is not named stays."""
    if given.get("price") is not None:
        variant.price = Decimal(str(given["price"])).quantize(Decimal("0.01"))
    if "compareAtPrice" in given:
        value = given["compareAtPrice"]
        variant.compare_at_price = Decimal(str(value)).quantize(Decimal("0.01")) if value is not None else None
    variant.barcode = (given["barcode"] or "") if "barcode" in given else variant.barcode
    variant.inventory_policy = given.get("inventoryPolicy") or variant.inventory_policy
    variant.taxable = variant.taxable if given.get("taxable") is None else given["taxable"]
    write_item(variant, {**({"sku": given["sku"]} if "sku" in given else {}), **(given.get("inventoryItem") or {})})
    write_metafields(store, variant, given.get("metafields") or ())


def write_item(variant: Variant, item: dict[str, Any]) -> None:
    """The fields of a variant's inventory item are as given."""
    if "sku" in item:
        variant.sku = item["sku"] or ""
    if "cost" in item:
        variant.cost = Decimal(str(item["cost"])).quantize(Decimal("0.01")) if item["cost"] is not None else None
    for key, name in (("tracked", "tracked"), ("requiresShipping", "requires_shipping")):
        if item.get(key) is not None:
            setattr(variant, name, item[key])
    weight = (item.get("measurement") or {}).get("weight")
    if weight:
        variant.weight = (weight["value"], weight["unit"])


def stock_variant(store: Store, variant: Variant, rows: Iterable[dict[str, Any]]) -> None:
    """The quantities stand at their locations. A variant of which none is named is stocked at the first location, with 0: so did the
    REST API; of GraphQL it is not documented."""
    for row in rows:
        level = inventory.level(store, variant, store.locations[number_of(row["locationId"], "Location")])
        wanted = row.get("quantity", row.get("availableQuantity"))
        delta = wanted - level.quantity(row.get("name", "available"))
        inventory.set_available(store, level, level.quantities["available"] + delta, who="app", why="product written")
    if not any((variant.item_id, place) in store.levels for place in store.locations):
        inventory.level(store, variant, store.location(None))


def choose_values(
    options: list[Option], given: dict[str, Any], path: list[str], unknown: str, missing: str
) -> tuple[list[str], list[Problem]]:
    """The variant's values in the order of the options. `unknown`, `missing`: what this mutation calls an option that the product does
    not have, and one that the variant does not name."""
    by_name = {option.name: n for n, option in enumerate(options)}
    by_gid = {option.gid: n for n, option in enumerate(options)}
    values = [""] * len(options)
    problems = []
    for n, row in enumerate(given.get("optionValues") or ()):
        only_known("VariantOptionValueInput", row, {"id", "name", "optionId", "optionName"})
        where = by_gid.get(row["optionId"]) if row.get("optionId") else by_name.get(row.get("optionName") or "")
        if where is None:
            field = [*path, "optionValues", str(n)]
            problems.append(
                Problem(field, unknown, f"Option '{row.get('optionName') or row.get('optionId')}' does not exist")
            )
            continue
        names = {f"gid://shopify/ProductOptionValue/{key}": name for name, key in options[where].values.items()}
        values[where] = (names.get(row["id"]) if row.get("id") else row.get("name")) or ""
    lacking = [option.name for option, value in zip(options, values, strict=True) if not value]
    if lacking and not problems:
        problems.append(
            Problem([*path, "optionValues"], missing, f"You need to add option values for {', '.join(lacking)}")
        )
    return values, problems


def variant_of(product: Product, gid: str | None) -> Variant | None:
    """The product's variant of that gid."""
    return next((variant for variant in product.variants if variant.gid == gid), None) if gid else None


def add_picture(store: Store, product: Product, row: dict[str, Any], path: list[str]) -> Problem | None:
    """A picture was added to the product, or why not."""
    try:
        product.media.append(products.new_media(store, row["originalSource"], row.get("alt") or ""))
    except DevshopError as error:
        return Problem(path, "INVALID_INPUT", str(error))
    return None
