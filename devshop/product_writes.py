"""Product mutations besides `productSet`: create, update, delete, variants in bulk, collections, sales channels, metafields.

Where Shopify's documentation is silent: a product that an app makes stands in no sales channel until it is published, and its variants are
not tracked until the app says so.
"""

from __future__ import annotations

import hashlib
from typing import Any

from graphql import GraphQLError, GraphQLResolveInfo

from devshop import products
from devshop.product_fields import identified, metafield_key
from devshop.product_input import (
    ITEM_KEYS,
    PRODUCT_KEYS,
    VARIANT_KEYS,
    Problem,
    add_picture,
    amount,
    check_product,
    check_total_quantities,
    check_variant,
    choose_values,
    find_collections,
    limit,
    only_known,
    stock_variant,
    variant_of,
    write_item,
    write_metafields,
    write_product,
    write_variant,
)
from devshop.resolvers import Item, Typed, number_of, on, store_of
from devshop.shelf import Option
from devshop.world import Product, Store, Variant


def _errors(kind: str, problems: list[Problem]) -> list[Typed]:
    """User errors of this type; plain `UserError` has no code."""
    return [Typed(kind, {"field": p.field, "message": p.message, "code": p.code}) for p in problems]


# Products -------------------------------------------------------------------------------------------------------------------------


@on("Mutation", "productCreate")
def _create(
    _: Any,
    info: GraphQLResolveInfo,
    product: dict[str, Any] | None = None,
    input: dict[str, Any] | None = None,
    media: list[dict[str, Any]] | None = None,
) -> Typed:
    store = store_of(info)
    given = _the_new_argument("productCreate", product, input)
    only_known("ProductCreateInput", given, {*PRODUCT_KEYS, "productOptions", "collectionsToJoin"} - {"id"})
    problems = check_product(store, given, ["product"], None) + _check_media(media)
    collections, more = find_collections(store, given.get("collectionsToJoin") or (), ["product", "collectionsToJoin"])
    options = given.get("productOptions") or [{"name": "Title", "values": [{"name": products.DEFAULT_TITLE}]}]
    problems += more + _check_options(options)
    if problems:
        return Typed(
            "ProductCreatePayload", {"product": None, "shop": store, "userErrors": _errors("UserError", problems)}
        )
    made = products.new(store, given["title"], given.get("handle"))
    write_product(store, made, {key: value for key, value in given.items() if key != "handle"})
    for row in options:
        values = {value["name"]: store.world.new_id() for value in row.get("values") or ()}
        made.options.append(Option(store.world.new_id(), row["name"], values))
    variant = products.new_variant(store, made, [next(iter(option.values)) for option in made.options])
    variant.tracked = False
    stock_variant(store, variant, ())
    for collection in collections:
        collection.product_ids.append(made.id)
    for n, row in enumerate(media or ()):
        add_picture(store, made, row, ["media", str(n)])
    store.emit("products/create", made)
    return Typed("ProductCreatePayload", {"product": made, "shop": store, "userErrors": []})


def _the_new_argument(name: str, product: dict[str, Any] | None, old: dict[str, Any] | None) -> dict[str, Any]:
    if old is not None or product is None:
        raise GraphQLError(f"devshop does not model {name}(input:); give product:")
    return product


def _check_options(rows: list[dict[str, Any]]) -> list[Problem]:
    path = ["product", "productOptions"]
    names = [row.get("name") for row in rows]
    if len(rows) > products.MOST_OPTIONS:
        return [Problem(path, "", f"The number of options can't be more than {products.MOST_OPTIONS}")]
    if len(set(names)) < len(names) or not all(names):
        return [Problem(path, "", "Option names must be given and unique")]
    empty = next((row["name"] for row in rows if not row.get("values")), None)
    return [Problem(path, "", f"Option values are missing for '{empty}'")] if empty else []


def _check_media(media: list[dict[str, Any]] | None) -> list[Problem]:
    problems = []
    for n, row in enumerate(media or ()):
        if row["mediaContentType"] != "IMAGE":
            raise GraphQLError(f"devshop does not model media of {row['mediaContentType']}")
        if not row["originalSource"].startswith(("http://", "https://")):
            problems.append(Problem(["media", str(n), "originalSource"], "INVALID_INPUT", "Image URL is invalid"))
    return problems


@on("Mutation", "productUpdate")
def _update(
    _: Any,
    info: GraphQLResolveInfo,
    product: dict[str, Any] | None = None,
    input: dict[str, Any] | None = None,
    identifier: dict[str, Any] | None = None,
    media: list[dict[str, Any]] | None = None,
) -> Typed:
    store = store_of(info)
    given = dict(_the_new_argument("productUpdate", product, input))
    if not given.get("deleteConflictingConstrainedMetafields"):
        given.pop("deleteConflictingConstrainedMetafields", None)  # its default
    only_known("ProductUpdateInput", given, {*PRODUCT_KEYS, "collectionsToJoin", "collectionsToLeave"})
    found = identified(store, identifier or {"id": given.get("id") or "none"})
    if found is None:
        missing = Problem(["id"], "", "Product does not exist")
        return Typed("ProductUpdatePayload", {"product": None, "userErrors": _errors("UserError", [missing])})
    problems = check_product(store, given, ["product"], found) + _check_media(media)
    joined, more = find_collections(store, given.get("collectionsToJoin") or (), ["product", "collectionsToJoin"])
    left, others = find_collections(store, given.get("collectionsToLeave") or (), ["product", "collectionsToLeave"])
    problems += more + others
    if problems:
        return Typed("ProductUpdatePayload", {"product": None, "userErrors": _errors("UserError", problems)})
    write_product(store, found, given)
    for n, row in enumerate(media or ()):
        add_picture(store, found, row, ["media", str(n)])
    for collection in joined:
        if found.id not in collection.product_ids:
            collection.product_ids.append(found.id)
    for collection in left:
        if found.id in collection.product_ids:
            collection.product_ids.remove(found.id)
    products.told(store, found)
    return Typed("ProductUpdatePayload", {"product": found, "userErrors": []})


@on("Mutation", "productDelete")
def _delete(_: Any, info: GraphQLResolveInfo, input: dict[str, Any], synchronous: bool = True) -> Typed:
    if not synchronous:
        raise GraphQLError("devshop does not model productDelete(synchronous: false)")
    store = store_of(info)
    found = store.products.get(number_of(input["id"], "Product"))
    if found is None:
        error = _errors("UserError", [Problem(["id"], "", "Product does not exist")])
        return Typed("ProductDeletePayload", {"deletedProductId": None, "shop": store, "userErrors": error})
    products.delete(store, found)
    return Typed("ProductDeletePayload", {"deletedProductId": input["id"], "shop": store, "userErrors": []})


# Variants in bulk -----------------------------------------------------------------------------------------------------------------


def _bulk(name: str, product: Product | None, variants: list[Variant] | None, problems: list[Problem]) -> Typed:
    errors = _errors(f"ProductVariantsBulk{name}UserError", problems)
    shown = variants if variants or not problems else None
    return Typed(
        f"ProductVariantsBulk{name}Payload", {"product": product, "productVariants": shown, "userErrors": errors}
    )


@on("Mutation", "productVariantsBulkCreate")
def _bulk_create(
    _: Any,
    info: GraphQLResolveInfo,
    productId: str,
    variants: list[dict[str, Any]],
    media: list[dict[str, Any]] | None = None,
    strategy: str = "DEFAULT",
) -> Typed:
    store = store_of(info)
    product = store.products.get(number_of(productId, "Product"))
    limit(variants, products.MOST_VARIANTS, "variants")
    if product is None:
        return _bulk("Create", None, None, [Problem(["productId"], "PRODUCT_DOES_NOT_EXIST", "Product does not exist")])
    standalone = _to_be_removed(product, strategy)
    taken = {tuple(variant.values) for variant in product.variants if variant is not standalone}
    problems = _check_media(media) + check_total_quantities(variants, ["variants"])
    if len(variants) + len(taken) > products.MOST_VARIANTS:
        problems.append(
            Problem(["variants"], "INVALID_INPUT", f"A product has at most {products.MOST_VARIANTS} variants")
        )
    chosen = []
    for n, row in enumerate(variants):
        values, wrong = _check_new(store, product, row, ["variants", str(n)])
        if tuple(values) in taken and not wrong:
            message = f"The variant '{' / '.join(values)}' already exists."
            wrong.append(Problem(["variants", str(n)], "VARIANT_ALREADY_EXISTS", message))
        taken.add(tuple(values))
        chosen.append(values)
        problems += wrong
    if problems:
        return _bulk("Create", product, None, problems)
    return _bulk("Create", product, _make(store, product, standalone, variants, chosen, media), [])


def _to_be_removed(product: Product, strategy: str) -> Variant | None:
    """The single variant that makes way for the new ones: by default only Shopify's own placeholder."""
    if len(product.variants) != 1 or strategy == "PRESERVE_STANDALONE_VARIANT":
        return None
    return product.variants[0] if product.has_only_default_variant or strategy == "REMOVE_STANDALONE_VARIANT" else None


def _check_new(store: Store, product: Product, row: dict[str, Any], path: list[str]) -> tuple[list[str], list[Problem]]:
    only_known("ProductVariantsBulkInput", row, {*VARIANT_KEYS, "mediaSrc", "mediaId"})
    values, problems = choose_values(
        product.options, row, path, "OPTION_VALUES_FOR_NUMBER_OF_UNKNOWN_OPTIONS", "NEED_TO_ADD_OPTION_VALUES"
    )
    if row.get("id"):
        problems.append(Problem([*path, "id"], "NO_KEY_ON_CREATE", "Variant id can't be given on create"))
    return values, problems + check_variant(store, row, path, None, "GREATER_THAN_OR_EQUAL_TO")


def _make(
    store: Store,
    product: Product,
    standalone: Variant | None,
    rows: list[dict[str, Any]],
    chosen: list[list[str]],
    media: list[dict[str, Any]] | None,
) -> list[Variant]:
    for n, row in enumerate(media or ()):
        add_picture(store, product, row, ["media", str(n)])
    if standalone:
        products.remove_variant(store, product, standalone)
    made = []
    for row, values in zip(rows, chosen, strict=True):
        variant = products.new_variant(store, product, values)
        variant.tracked = False
        write_variant(store, variant, row)
        stock_variant(store, variant, row.get("inventoryQuantities") or ())
        _choose_picture(product, variant, row)
        made.append(variant)
    if standalone:
        products.drop_unused_values(product)
    for n, variant in enumerate(product.variants, 1):
        variant.position = n
    products.told(store, product)
    return made


def _choose_picture(product: Product, variant: Variant, row: dict[str, Any]) -> None:
    sources = row.get("mediaSrc") or ()
    for media in product.media:
        if media.gid == row.get("mediaId") or media.source in sources:
            variant.media_id = media.id


@on("Mutation", "productVariantsBulkUpdate")
def _bulk_update(
    _: Any,
    info: GraphQLResolveInfo,
    productId: str,
    variants: list[dict[str, Any]],
    media: list[dict[str, Any]] | None = None,
    allowPartialUpdates: bool = False,
) -> Typed:
    store = store_of(info)
    product = store.products.get(number_of(productId, "Product"))
    limit(variants, products.MOST_VARIANTS, "variants")
    if product is None:
        return _bulk("Update", None, None, [Problem(["productId"], "PRODUCT_DOES_NOT_EXIST", "Product does not exist")])
    problems, good = _check_media(media), []
    for n, row in enumerate(variants):
        variant = variant_of(product, row.get("id"))
        wrong = _check_change(store, product, row, variant, ["variants", str(n)])
        problems += wrong
        if variant and not wrong:
            good.append((variant, row))
    if problems and not allowPartialUpdates:
        return _bulk("Update", product, None, problems)
    for n, row in enumerate(media or ()):
        add_picture(store, product, row, ["media", str(n)])
    for variant, row in good:
        write_variant(store, variant, row)
        if row.get("optionValues"):
            variant.values = _changed_values(product, variant, row)
        _choose_picture(product, variant, row)
    changed = [variant for variant, _ in good]
    products.name_values(store, product, changed)
    products.drop_unused_values(product)
    products.told(store, product, *changed)
    return _bulk("Update", product, changed, problems)


def _check_change(
    store: Store, product: Product, row: dict[str, Any], variant: Variant | None, path: list[str]
) -> list[Problem]:
    only_known("ProductVariantsBulkInput", row, {*VARIANT_KEYS, "mediaSrc", "mediaId"})
    if not row.get("id"):
        return [Problem([*path, "id"], "PRODUCT_VARIANT_ID_MISSING", "Product variant is missing ID attribute")]
    if variant is None:
        return [Problem([*path, "id"], "PRODUCT_VARIANT_DOES_NOT_EXIST", "Product variant does not exist")]
    problems = check_variant(store, row, path, variant, "GREATER_THAN_OR_EQUAL_TO")
    if row.get("inventoryQuantities"):
        code = "NO_INVENTORY_QUANTITIES_ON_VARIANTS_UPDATE"
        problems.append(
            Problem([*path, "inventoryQuantities"], code, "Inventory quantities can only be provided during create")
        )
    if row.get("optionValues"):
        names = {option.name for option in product.options} | {option.gid for option in product.options}
        if any((value.get("optionName") or value.get("optionId")) not in names for value in row["optionValues"]):
            problems.append(Problem([*path, "optionValues"], "OPTION_DOES_NOT_EXIST", "Option does not exist"))
        elif any(v.values == _changed_values(product, variant, row) for v in product.variants if v is not variant):
            problems.append(Problem(path, "VARIANT_ALREADY_EXISTS", "The variant already exists."))
    return problems


def _changed_values(product: Product, variant: Variant, row: dict[str, Any]) -> list[str]:
    """The variant's values with those of the row instead; it need not name every option."""
    kept = [
        {"optionName": option.name, "name": value}
        for option, value in zip(product.options, variant.values, strict=True)
    ]
    return choose_values(product.options, {"optionValues": [*kept, *row["optionValues"]]}, [], "", "")[0]


@on("Mutation", "productVariantsBulkDelete")
def _bulk_delete(_: Any, info: GraphQLResolveInfo, productId: str, variantsIds: list[str]) -> Typed:
    store = store_of(info)
    limit(variantsIds, products.MOST_VARIANTS, "variantsIds")
    product = store.products.get(number_of(productId, "Product"))
    if product is None:
        return _bulk("Delete", None, None, [Problem(["productId"], "PRODUCT_DOES_NOT_EXIST", "Product does not exist")])
    gone = [variant_of(product, gid) for gid in variantsIds]
    if None in gone:
        code = "AT_LEAST_ONE_VARIANT_DOES_NOT_BELONG_TO_THE_PRODUCT"
        return _bulk(
            "Delete", product, None, [Problem(["variantsIds"], code, "A variant does not belong to the product")]
        )
    if len(set(variantsIds)) >= len(product.variants):
        return _bulk(
            "Delete",
            product,
            None,
            [Problem(["variantsIds"], "CANNOT_DELETE_LAST_VARIANT", "Cannot delete the last variant")],
        )
    for variant in gone:
        if variant and variant in product.variants:
            products.remove_variant(store, product, variant)
    products.drop_unused_values(product)
    products.told(store, product)
    return _bulk("Delete", product, None, [])


# Collections and sales channels -----------------------------------------------------------------------------------------------------


def _put_into(store: Store, id: str, gids: list[str]) -> list[Problem]:
    limit(gids, 250, "productIds")
    found, problems = find_collections(store, [id], [])
    if problems:
        codes = {"NOT_FOUND": "COLLECTION_DOES_NOT_EXIST", "INVALID_INPUT": "CANT_ADD_TO_SMART_COLLECTION"}
        return [Problem(["id"], codes[problems[0].code], problems[0].message)]
    numbers = [number_of(gid, "Product") for gid in gids]
    found[0].product_ids += [n for n in dict.fromkeys(numbers) if n in store.products and n not in found[0].product_ids]
    found[0].updated_at = store.now()
    return []


@on("Mutation", "collectionAddProductsV2")
def _add_products_later(_: Any, info: GraphQLResolveInfo, id: str, productIds: list[str]) -> Typed:
    problems = _put_into(store_of(info), id, productIds)
    job = None if problems else Typed("Job", {"id": f"gid://shopify/Job/{store_of(info).world.new_id()}", "done": True})
    return Typed(
        "CollectionAddProductsV2Payload",
        {"job": job, "userErrors": _errors("CollectionAddProductsV2UserError", problems)},
    )


@on("Mutation", "collectionAddProducts")
def _add_products(_: Any, info: GraphQLResolveInfo, id: str, productIds: list[str]) -> Typed:
    store = store_of(info)
    found = store.collections.get(number_of(id, "Collection"))
    problems = _put_into(store, id, productIds)
    if found and not problems and any(number_of(gid, "Product") not in store.products for gid in productIds):
        problems = [Problem(["productIds"], "", "Product does not exist")]
    return Typed("CollectionAddProductsPayload", {"collection": found, "userErrors": _errors("UserError", problems)})


@on("Mutation", "publishablePublish", "publishableUnpublish")
def _publish(_: Any, info: GraphQLResolveInfo, id: str, input: list[dict[str, Any]]) -> Typed:
    """A product stands in the named channels, or in them no more. Whether customers see it is up to its status."""
    store = store_of(info)
    kind = info.field_name[0].upper() + info.field_name[1:] + "Payload"
    if not id.startswith("gid://shopify/Product/"):
        raise GraphQLError(f"devshop does not model {info.field_name} of {id}")
    limit(input, 250, "input")
    product = store.products.get(number_of(id, "Product"))
    numbers = [number_of(row.get("publicationId") or "", "Publication") for row in input]
    wrong = [
        Problem(["input", str(n)], "", "Publication does not exist")
        for n, key in enumerate(numbers)
        if key not in store.publications
    ]
    if product is None:
        wrong = [Problem(["id"], "", "Resource does not exist")]
    if product is None or wrong:
        return Typed(kind, {"publishable": None, "shop": store, "userErrors": _errors("UserError", wrong)})
    for number, row in zip(numbers, input, strict=True):
        if info.field_name == "publishableUnpublish":
            product.published.pop(number, None)
        elif row.get("publishDate"):
            raise GraphQLError("devshop does not model PublicationInput.publishDate")
        else:
            product.published.setdefault(number, store.now())
    products.told(store, product)
    return Typed(kind, {"publishable": product, "shop": store, "userErrors": []})


# Inventory items, metafields ----------------------------------------------------------------------------------------------------------


@on("Mutation", "inventoryItemUpdate")
def _item_update(_: Any, info: GraphQLResolveInfo, id: str, input: dict[str, Any]) -> Typed:
    store = store_of(info)
    only_known("InventoryItemInput", input, ITEM_KEYS)
    variant = store.items.get(number_of(id, "InventoryItem"))
    problems = [] if variant else [Problem(["id"], "", "The product couldn't be updated because it does not exist.")]
    if input.get("cost") is not None and ((cost := amount(input["cost"])) is None or cost < 0):
        problems.append(Problem(["input", "cost"], "", "Unit cost must be greater than or equal to 0"))
    if variant is None or problems:
        return Typed(
            "InventoryItemUpdatePayload", {"inventoryItem": None, "userErrors": _errors("UserError", problems)}
        )
    write_item(variant, input)
    variant.updated_at = store.now()
    store.emit("inventory_items/update", variant)
    if "sku" in input:
        products.told(store, store.products[variant.product_id])
    return Typed("InventoryItemUpdatePayload", {"inventoryItem": Item(variant), "userErrors": []})


@on("Mutation", "metafieldsSet")
def _metafields_set(_: Any, info: GraphQLResolveInfo, metafields: list[dict[str, Any]]) -> Typed:
    store = store_of(info)
    limit(metafields, 25, "metafields")
    problems, owners = [], []
    for n, row in enumerate(metafields):
        owner, problem = _owner(store, row, ["metafields", str(n)])
        owners.append(owner)
        problems += [problem] if problem else []
    if problems:
        return Typed(
            "MetafieldsSetPayload", {"metafields": None, "userErrors": _errors("MetafieldsSetUserError", problems)}
        )
    written = [
        found for owner, row in zip(owners, metafields, strict=True) for found in write_metafields(store, owner, [row])
    ]
    return Typed("MetafieldsSetPayload", {"metafields": written, "userErrors": []})


def _owner(store: Store, row: dict[str, Any], path: list[str]) -> tuple[Any, Problem | None]:
    """Whose metafield it is, or why it can't be set. `compareDigest`: what it was, null for none."""
    gid = row["ownerId"]
    owner: Any = store.products.get(number_of(gid, "Product")) or store.variants.get(number_of(gid, "ProductVariant"))
    if owner is None and not gid.startswith(("gid://shopify/Product/", "gid://shopify/ProductVariant/")):
        raise GraphQLError(f"devshop does not model metafields of {gid}")
    if owner is None:
        return None, Problem([*path, "ownerId"], "INVALID", "Owner does not exist.")
    was = owner.metafields.get(metafield_key(store, row))
    if was is None and not row.get("type"):
        return None, Problem([*path, "type"], "BLANK", "Type can't be blank")
    digest = hashlib.sha256(was.value.encode()).hexdigest() if was else None
    if "compareDigest" in row and row["compareDigest"] != digest:
        return None, Problem([*path], "STALE_OBJECT", "The resource has been updated since it was loaded.")
    return owner, None


@on("Mutation", "metafieldDefinitionCreate")
def _define(_: Any, info: GraphQLResolveInfo, definition: dict[str, Any]) -> Typed:
    """A product metafield of type `id` is unique from now on, so that products can be found and set by it. No other is modelled."""
    store = store_of(info)
    if definition["ownerType"] != "PRODUCT" or definition["type"] != "id":
        raise GraphQLError("devshop models metafield definitions of products with the type `id` alone")
    key = metafield_key(store, definition)
    if key in store.unique_metafields:
        taken = Problem(["definition", "key"], "TAKEN", "Key is in use for Product metafields on the namespace.")
        errors = _errors("MetafieldDefinitionCreateUserError", [taken])
        return Typed("MetafieldDefinitionCreatePayload", {"createdDefinition": None, "userErrors": errors})
    store.unique_metafields.add(key)
    fields = {"id": f"gid://shopify/MetafieldDefinition/{store.world.new_id()}", "name": definition["name"]}
    made = Typed("MetafieldDefinition", {**fields, "namespace": key[0], "key": key[1], "ownerType": "PRODUCT"})
    return Typed("MetafieldDefinitionCreatePayload", {"createdDefinition": made, "userErrors": []})
