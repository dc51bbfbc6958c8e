"""`productSet`: a product is as the input says, in one call. What a list leaves out is gone.

Where Shopify's documentation is silent: a variant that is given without an id is the one that has its option values; pictures of a new list
are made anew; a new variant is tracked only where the input says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from graphql import GraphQLError, GraphQLResolveInfo

from devshop import products
from devshop.product_fields import identified
from devshop.product_input import (
    PRODUCT_KEYS,
    VARIANT_KEYS,
    Problem,
    check_product,
    check_total_quantities,
    check_variant,
    choose_values,
    find_collections,
    only_known,
    stock_variant,
    write_product,
    write_variant,
)
from devshop.resolvers import NODES, Typed, number_of, on, store_of
from devshop.shelf import Collection, Media, Option
from devshop.world import DevshopError, Product, Store, Variant

DEFAULT_OPTIONS = [{"name": "Title", "values": [{"name": products.DEFAULT_TITLE}]}]
DEFAULT_VARIANTS = [{"optionValues": [{"optionName": "Title", "name": products.DEFAULT_TITLE}]}]


@dataclass
class Plan:
    """What the input comes to, nothing of it done. A list that is None stays as it is."""

    product: Product | None
    given: dict[str, Any]
    problems: list[Problem] = field(default_factory=list)
    options: list[Option] | None = None
    variants: list[tuple[Variant | None, list[str], dict[str, Any]]] | None = None
    media: list[Media] | None = None
    collections: list[Collection] | None = None


@on("Mutation", "productSet")
def _product_set(
    _: Any,
    info: GraphQLResolveInfo,
    input: dict[str, Any],
    identifier: dict[str, Any] | None = None,
    synchronous: bool = True,
) -> Typed:
    store = store_of(info)
    product, problems = set_product(store, input, identifier)
    errors = [_error(problem) for problem in problems]
    if synchronous:
        return Typed("ProductSetPayload", {"product": product, "productSetOperation": None, "userErrors": errors})
    number = store.world.new_id()
    store.operations[number] = {"id": number, "looks": 0, "product": product, "errors": errors}
    return Typed(
        "ProductSetPayload", {"product": None, "productSetOperation": _operation(store, number), "userErrors": []}
    )


@on("QueryRoot", "productOperation")
def _product_operation(_: Any, info: GraphQLResolveInfo, id: str) -> Typed | None:
    return _operation(store_of(info), number_of(id, "ProductSetOperation"))


def _operation(store: Store, number: int) -> Typed | None:
    """The operation: CREATED, at the next look ACTIVE, then COMPLETE. Its work was done when it was taken on."""
    row = store.operations.get(number)
    if row is None:
        return None
    row["looks"] += 1
    is_done = row["looks"] > 2
    return Typed(
        "ProductSetOperation",
        {
            "id": f"gid://shopify/ProductSetOperation/{number}",
            "status": "COMPLETE" if is_done else "ACTIVE" if row["looks"] > 1 else "CREATED",
            "product": row["product"] if is_done else None,
            "userErrors": row["errors"] if is_done else [],
        },
    )


NODES["ProductSetOperation"] = _operation


def _error(problem: Problem) -> Typed:
    return Typed("ProductSetUserError", {"field": problem.field, "code": problem.code, "message": problem.message})


def set_product(
    store: Store, given: dict[str, Any], identifier: dict[str, Any] | None = None
) -> tuple[Product | None, list[Problem]]:
    """The product is as given, or nothing has changed and the problems say why."""
    only_known("ProductSetInput", given, {*PRODUCT_KEYS, "productOptions", "variants", "files", "collections"})
    wanted = identifier or ({"id": given["id"]} if given.get("id") else None)
    product = identified(store, wanted) if wanted else None
    if wanted and product is None:
        if "id" in wanted:
            where = ["identifier", "id"] if identifier else ["input", "id"]
            return None, [Problem(where, "PRODUCT_DOES_NOT_EXIST", "Product does not exist")]
        given = _with_identifier(wanted, given)
    plan = _plan(store, product, given)
    return (None, plan.problems) if plan.problems else (_carry_out(store, plan), [])


def _with_identifier(wanted: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """The input for a new product that has to be found by `wanted` the next time."""
    if "handle" in wanted:
        return {**given, "handle": wanted["handle"]}
    rows = given.get("metafields") or []
    return {**given, "metafields": [*rows, {**wanted["customId"], "type": "id"}]}


def _plan(store: Store, product: Product | None, given: dict[str, Any]) -> Plan:
    plan = Plan(product, given, check_product(store, given, ["input"], product))
    options, variants = given.get("productOptions"), given.get("variants")
    if product is None and options is None and variants is None:
        options, variants = DEFAULT_OPTIONS, DEFAULT_VARIANTS
    if options is not None and variants is None:
        plan.problems.append(
            Problem(
                ["input", "variants"],
                "VARIANTS_INPUT_MISSING",
                "Variants input is required when updating product options",
            )
        )
    elif variants is not None and options is None:
        message = "Product options input is required when updating variants"
        plan.problems.append(Problem(["input", "productOptions"], "PRODUCT_OPTIONS_INPUT_MISSING", message))
    elif options is not None and variants is not None:
        _plan_options(store, plan, options)
        if not plan.problems:
            _plan_variants(store, plan, variants)
    _plan_media(store, plan)
    if given.get("collections") is not None:
        plan.collections, problems = find_collections(store, given["collections"], ["input", "collections"])
        plan.problems += problems
    return plan


def _plan_options(store: Store, plan: Plan, rows: list[dict[str, Any]]) -> None:
    path = ["input", "productOptions"]
    old = plan.product.options if plan.product else []
    plan.options = []
    for row in rows:
        only_known("OptionSetInput", row, {"id", "name", "position", "values"})
        was = next((o for o in old if o.gid == row.get("id") or o.name == row.get("name")), None)
        option = Option(was.id if was else store.world.new_id(), row.get("name") or (was.name if was else ""))
        known = (
            {f"gid://shopify/ProductOptionValue/{key}": (name, key) for name, key in was.values.items()} if was else {}
        )
        for value in row.get("values") or ():
            name, key = known.get(value.get("id") or "", (value.get("name"), None))
            name = value.get("name") or name or ""
            key = key or (was.values.get(name) if was else None) or store.world.new_id()
            if name in option.values:
                plan.problems.append(Problem(path, "DUPLICATED_OPTION_VALUE", f"Option value '{name}' is there twice"))
            option.values[name] = key
        if not option.values:
            plan.problems.append(
                Problem(path, "OPTION_VALUES_MISSING", f"Option values are missing for '{option.name}'")
            )
        plan.options.append(option)
    names = [option.name for option in plan.options]
    if len(names) > products.MOST_OPTIONS:
        plan.problems.append(
            Problem(path, "OPTIONS_OVER_LIMIT", f"The number of options can't be more than {products.MOST_OPTIONS}")
        )
    if len(set(names)) < len(names):
        plan.problems.append(Problem(path, "DUPLICATED_OPTION_NAME", "Option names must be unique"))


def _plan_variants(store: Store, plan: Plan, rows: list[dict[str, Any]]) -> None:
    path, product = ["input", "variants"], plan.product
    if len(rows) > products.MOST_VARIANTS or not rows:
        code = "VARIANTS_OVER_LIMIT" if rows else "VARIANTS_INPUT_MISSING"
        plan.problems.append(Problem(path, code, f"A product has 1 to {products.MOST_VARIANTS} variants"))
        return
    plan.problems += check_total_quantities(rows, path)
    by_gid = {variant.gid: variant for variant in product.variants} if product else {}
    by_values = {tuple(variant.values): variant for variant in product.variants} if product else {}
    plan.variants, seen = [], set[tuple[str, ...]]()
    for n, row in enumerate(rows):
        here = [*path, str(n)]
        only_known("ProductVariantSetInput", row, {*VARIANT_KEYS, "sku", "position", "file"})
        values, problems = choose_values(plan.options or [], row, here, "OPTION_DOES_NOT_EXIST", "INVALID_VARIANT")
        for option, value in zip(plan.options or [], values, strict=True):
            if value and value not in option.values:
                message = f"Option value '{value}' does not exist for '{option.name}'"
                problems.append(Problem(here, "OPTION_VALUE_DOES_NOT_EXIST", message))
        if tuple(values) in seen:
            problems.append(Problem(here, "INVALID_VARIANT", f"The variant '{' / '.join(values)}' already exists."))
        seen.add(tuple(values))
        variant = by_gid.get(row["id"]) if row.get("id") else by_values.get(tuple(values))
        if row.get("id") and variant is None:
            problems.append(Problem([*here, "id"], "PRODUCT_VARIANT_DOES_NOT_EXIST", "Product variant does not exist"))
        plan.problems += problems + check_variant(store, row, here, variant, "INVALID_VARIANT")
        plan.variants.append((variant, values, row))


def _plan_media(store: Store, plan: Plan) -> None:
    files = plan.given.get("files")
    if files is not None:
        plan.media = []
        known = {media.gid: media for media in plan.product.media} if plan.product else {}
        for n, row in enumerate(files):
            media, problem = _file(store, row, known, ["input", "files", str(n)])
            if media:
                plan.media.append(media)
            if problem:
                plan.problems.append(problem)
    there = plan.media if plan.media is not None else plan.product.media if plan.product else []
    for n, (_, _, row) in enumerate(plan.variants or ()):
        if row.get("file") and _media_of(row["file"], there) is None:
            message = "The file must be one of the product's files"
            plan.problems.append(Problem(["input", "variants", str(n), "file"], "INVALID_INPUT", message))


def _file(
    store: Store, row: dict[str, Any], known: dict[str, Media], path: list[str]
) -> tuple[Media | None, Problem | None]:
    if row.get("contentType") not in (None, "IMAGE"):
        raise GraphQLError(f"devshop does not model files of {row['contentType']}")
    if row.get("id"):
        return known.get(row["id"]), None if row["id"] in known else Problem(
            [*path, "id"], "NOT_FOUND", "File does not exist"
        )
    try:
        return products.new_media(store, row.get("originalSource") or "", row.get("alt") or ""), None
    except DevshopError as error:
        return None, Problem([*path, "originalSource"], "INVALID_INPUT", str(error))


def _media_of(row: dict[str, Any], there: list[Media]) -> Media | None:
    wanted = (row.get("id"), row.get("originalSource"))
    return next((media for media in there if media.gid == wanted[0] or media.source == wanted[1]), None)


def _carry_out(store: Store, plan: Plan) -> Product:
    given, is_new = plan.given, plan.product is None
    product = plan.product or products.new(store, given["title"], given.get("handle"))
    if "metafields" in given:
        product.metafields.clear()
    write_product(store, product, given)
    product.media = plan.media if plan.media is not None else product.media
    if plan.options is not None and plan.variants is not None:
        _write_variants(store, product, plan)
    if plan.collections is not None:
        for collection in store.collections.values():
            if product.id in collection.product_ids and not collection.is_smart:
                collection.product_ids.remove(product.id)
        for collection in plan.collections:
            collection.product_ids.append(product.id)
    if is_new:
        store.emit("products/create", product)
    else:
        products.told(store, product)
    return product


def _write_variants(store: Store, product: Product, plan: Plan) -> None:
    assert plan.options is not None
    assert plan.variants is not None
    kept = {variant.id for variant, _, _ in plan.variants if variant}
    for variant in [variant for variant in product.variants if variant.id not in kept]:
        products.remove_variant(store, product, variant)
    product.options = plan.options
    written = []
    for old, values, row in plan.variants:
        variant = old or products.new_variant(store, product, values)
        if old is None:
            variant.tracked = False
        variant.values, variant.updated_at = values, store.now()
        if "metafields" in row:
            variant.metafields.clear()
        write_variant(store, variant, row)
        if old is None or row.get("inventoryQuantities"):
            stock_variant(store, variant, row.get("inventoryQuantities") or ())
        if row.get("file"):
            media = _media_of(row["file"], product.media)
            variant.media_id = media.id if media else None
        written.append(variant)
    product.variants = written
    for n, variant in enumerate(written, 1):
        variant.position = n
