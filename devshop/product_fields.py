"""Products, variants, collections and sales channels as the Admin API shows them."""

from __future__ import annotations

import hashlib
import html
import re
from typing import Any

from graphql import GraphQLError, GraphQLResolveInfo

from devshop import search
from devshop.resolvers import (
    NODES,
    Item,
    Typed,
    connection,
    iso,
    levels_of,
    listing,
    money,
    number_of,
    on,
    plain,
    store_of,
)
from devshop.shelf import Collection, Media, Metafield, Option, Publication
from devshop.world import Product, Store, Variant

on("QueryRoot", "products")(listing("Product", lambda store: store.products.values(), search.PRODUCT))
on("QueryRoot", "productVariants")(listing("ProductVariant", lambda store: store.variants.values(), search.VARIANT))
on("QueryRoot", "collections")(listing("Collection", lambda store: store.collections.values(), search.COLLECTION))


@on("QueryRoot", "product")
def _product(_: Any, info: GraphQLResolveInfo, id: str) -> Product | None:
    return store_of(info).products.get(number_of(id, "Product"))


@on("QueryRoot", "productVariant")
def _variant(_: Any, info: GraphQLResolveInfo, id: str) -> Variant | None:
    return store_of(info).variants.get(number_of(id, "ProductVariant"))


@on("QueryRoot", "productByIdentifier")
def _by_identifier(_: Any, info: GraphQLResolveInfo, identifier: dict[str, Any]) -> Product | None:
    return identified(store_of(info), identifier)


def identified(store: Store, identifier: dict[str, Any]) -> Product | None:
    """The product of an id, a handle or a unique metafield. Raises GraphQLError where that metafield is not defined as unique."""
    if identifier.get("id"):
        return store.products.get(number_of(identifier["id"], "Product"))
    if identifier.get("handle"):
        return store.products.get(store.handles.get(identifier["handle"], -1))
    key = metafield_key(store, identifier["customId"])
    if key not in store.unique_metafields:
        raise GraphQLError(
            f"Metafield definition of type 'id' is required for {key[0]}.{key[1]}", extensions={"code": "BAD_REQUEST"}
        )
    wanted = identifier["customId"]["value"]
    return next((p for p in store.products.values() if key in p.metafields and p.metafields[key].value == wanted), None)


def metafield_key(store: Store, given: dict[str, Any]) -> tuple[str, str]:
    """Namespace and key; without a namespace, or with `$app`, it is the app's own."""
    namespace = given.get("namespace") or "$app"
    own = f"app--{int(hashlib.sha256(store.world.client_id.encode()).hexdigest()[:8], 16)}"
    return namespace.replace("$app", own, 1), given["key"]


on("QueryRoot", "productVariantsCount")(
    lambda _, info, query=None, **__: _count(
        search.find(list(store_of(info).variants.values()), search.VARIANT, query, None)
    )
)
on("QueryRoot", "productsCount")(
    lambda _, info, query=None, **__: _count(
        search.find(list(store_of(info).products.values()), search.PRODUCT, query, None)
    )
)


def _count(rows: Any) -> Typed:
    return Typed("Count", {"count": len(rows), "precision": "EXACT"})


# Products -------------------------------------------------------------------------------------------------------------------------

plain(
    "Product",
    id="gid",
    legacyResourceId=lambda product: str(product.id),
    title="title",
    handle="handle",
    status="status",
    vendor="vendor",
    productType="product_type",
    tags="tags",
    descriptionHtml="description_html",
    createdAt=lambda product: iso(product.created_at),
    updatedAt=lambda product: iso(product.updated_at),
    hasOnlyDefaultVariant="has_only_default_variant",
    hasVariantsThatRequiresComponents=lambda product: any(variant.is_bundle for variant in product.variants),
    isGiftCard=lambda product: False,
    variantsCount=lambda product: _count(product.variants),
    mediaCount=lambda product: _count(product.media),
    tracksInventory=lambda product: any(variant.tracked for variant in product.variants),
)
on("Product", "description")(lambda product, info, truncateAt=None: _plain_text(product.description_html)[:truncateAt])
on("Product", "variants")(
    lambda product, info, sortKey=None, **arguments: connection(product.variants, arguments, "ProductVariant")
)
on("Product", "options")(
    lambda product, info, first=None: [_option(product, n, option) for n, option in enumerate(product.options)][:first]
)
on("Product", "totalInventory")(lambda product, info: sum(_available(store_of(info), v) for v in product.variants))
on("Product", "hasOutOfStockVariants")(
    lambda product, info: any(v.tracked and _available(store_of(info), v) < 1 for v in product.variants)
)
on("Product", "inCollection")(
    lambda product, info, id: (
        product.id in getattr(store_of(info).collections.get(number_of(id, "Collection")), "product_ids", ())
    )
)


def _plain_text(text: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", " ", text)).strip()


def _option(product: Product, place: int, option: Option) -> Typed:
    used = {variant.values[place] for variant in product.variants}
    values = [
        Typed(
            "ProductOptionValue",
            {"id": f"gid://shopify/ProductOptionValue/{key}", "name": name, "hasVariants": name in used},
        )
        for name, key in option.values.items()
    ]
    fields = {"id": option.gid, "name": option.name, "position": place + 1, "optionValues": values}
    return Typed("ProductOption", {**fields, "values": [name for name in option.values if name in used]})


@on("Product", "priceRangeV2")
def _price_range(product: Product, info: GraphQLResolveInfo) -> Typed:
    prices = [variant.price for variant in product.variants]
    return Typed(
        "ProductPriceRangeV2",
        {"minVariantPrice": money(min(prices), info), "maxVariantPrice": money(max(prices), info)},
    )


@on("Product", "collections")
def _collections(product: Product, info: GraphQLResolveInfo, **arguments: Any) -> Typed:
    rows = [found for found in store_of(info).collections.values() if product.id in found.product_ids]
    return connection(rows, {**arguments, "query": None, "sortKey": None}, "Collection")


@on("Product", "featuredMedia")
def _featured(product: Product, info: GraphQLResolveInfo) -> Typed | None:
    return media_image(product.media[0]) if product.media else None


@on("Product", "media")
def _media(
    product: Product, info: GraphQLResolveInfo, query: str | None = None, sortKey: str | None = None, **arguments: Any
) -> Typed:
    if query:
        raise GraphQLError("devshop does not model Product.media(query:)")
    return connection([media_image(media) for media in product.media], arguments, "Media")


def media_image(media: Media) -> Typed:
    """A picture as MediaImage; until it is READY it has no image."""
    is_ready = media.status == "READY"
    image = Typed(
        "Image",
        {
            "id": f"gid://shopify/ImageSource/{media.id}",
            "url": lambda info, **_: media.url,
            "altText": media.alt,
            "width": 240,
            "height": 240,
        },
    )
    error = Typed(
        "MediaError",
        {"code": "IMAGE_DOWNLOAD_FAILURE", "message": "Image could not be downloaded", "details": media.source},
    )
    return Typed(
        "MediaImage",
        {
            "id": media.gid,
            "alt": media.alt,
            "status": media.status,
            "fileStatus": media.status,
            "mediaContentType": "IMAGE",
            "mimeType": "image/png",
            "createdAt": iso(media.created_at),
            "updatedAt": iso(media.created_at),
            "image": image if is_ready else None,
            "preview": Typed("MediaPreviewImage", {"image": image if is_ready else None, "status": media.status}),
            "mediaErrors": [] if is_ready else [error],
            "mediaWarnings": [],
        },
    )


# Sales channels -------------------------------------------------------------------------------------------------------------------

plain(
    "Publication",
    id="gid",
    name="name",
    autoPublish=lambda publication: False,
    supportsFuturePublishing=lambda p: p.name == "Online Store",
)


@on("QueryRoot", "publications")
def _publications(_: Any, info: GraphQLResolveInfo, catalogType: str | None = None, **arguments: Any) -> Typed:
    """Without `catalogType` the channels' publications, as in Shopify; markets and companies are not modelled."""
    rows = list(store_of(info).publications.values()) if catalogType in (None, "APP") else []
    return connection(rows, arguments, "Publication")


@on("QueryRoot", "publication")
def _publication(_: Any, info: GraphQLResolveInfo, id: str) -> Publication | None:
    return store_of(info).publications.get(number_of(id, "Publication"))


on("Product", "publishedAt")(lambda product, info: iso(published_at(store_of(info), product)))
on("Product", "onlineStoreUrl")(
    lambda product, info: (
        f"https://{store_of(info).domain}/products/{product.handle}"
        if published_at(store_of(info), product) and product.status == "ACTIVE"
        else None
    )
)
on("Product", "publishedOnPublication")(
    lambda product, info, publicationId: number_of(publicationId, "Publication") in product.published
)
on("Product", "resourcePublicationsCount")(lambda product, info, onlyPublished=True: _count(product.published))
on("Product", "availablePublicationsCount")(lambda product, info: _count(product.published))


def published_at(store: Store, product: Product) -> Any:
    """Since when the product is in the online store, or None."""
    online = next(iter(store.publications), None)
    return product.published.get(online) if online else None


@on("Product", "resourcePublicationsV2", "resourcePublications")
def _resource_publications(
    product: Product,
    info: GraphQLResolveInfo,
    onlyPublished: bool = True,
    catalogType: str | None = None,
    **arguments: Any,
) -> Typed:
    kind = info.return_type.of_type.name.removesuffix("Connection")
    store = store_of(info)
    rows = [
        Typed(
            kind,
            {
                "publication": store.publications[key],
                "publishDate": iso(at),
                "isPublished": at <= store.now(),
                "publishable": product,
            },
        )
        for key, at in product.published.items()
        if not onlyPublished or at <= store.now()
    ]
    return connection(rows, arguments, kind)


# Variants -------------------------------------------------------------------------------------------------------------------------

plain(
    "ProductVariant",
    id="gid",
    legacyResourceId=lambda variant: str(variant.id),
    sku=lambda variant: variant.sku or None,
    barcode=lambda variant: variant.barcode or None,
    title="title",
    position="position",
    price=lambda variant: f"{variant.price:.2f}",
    compareAtPrice=lambda variant: f"{variant.compare_at_price:.2f}" if variant.compare_at_price is not None else None,
    taxable="taxable",
    createdAt=lambda variant: iso(variant.created_at),
    updatedAt=lambda variant: iso(variant.updated_at),
    requiresComponents="is_bundle",
    inventoryPolicy="inventory_policy",
    inventoryItem=Item,
)
on("ProductVariant", "product")(lambda variant, info: store_of(info).products[variant.product_id])
on("ProductVariant", "inventoryQuantity", "sellableOnlineQuantity")(
    lambda variant, info: _available(store_of(info), variant)
)
on("ProductVariant", "availableForSale")(
    lambda variant, info: (
        not variant.tracked or variant.inventory_policy == "CONTINUE" or _available(store_of(info), variant) > 0
    )
)


def _available(store: Store, variant: Variant) -> int:
    return sum(level.quantities["available"] for level in levels_of(store, variant))


@on("ProductVariant", "displayName")
def _display_name(variant: Variant, info: GraphQLResolveInfo) -> str:
    return f"{store_of(info).products[variant.product_id].title} - {variant.title}"


@on("ProductVariant", "selectedOptions")
def _selected(variant: Variant, info: GraphQLResolveInfo) -> list[Typed]:
    options = store_of(info).products[variant.product_id].options
    return [
        Typed(
            "SelectedOption",
            {
                "name": option.name,
                "value": value,
                "optionValue": Typed(
                    "ProductOptionValue",
                    {
                        "id": f"gid://shopify/ProductOptionValue/{option.values[value]}",
                        "name": value,
                        "hasVariants": True,
                    },
                ),
            },
        )
        for option, value in zip(options, variant.values, strict=True)
    ]


@on("ProductVariant", "media")
def _variant_media(variant: Variant, info: GraphQLResolveInfo, **arguments: Any) -> Typed:
    product = store_of(info).products[variant.product_id]
    return connection(
        [media_image(media) for media in product.media if media.id == variant.media_id], arguments, "Media"
    )


# Collections ----------------------------------------------------------------------------------------------------------------------

plain(
    "Collection",
    id="gid",
    legacyResourceId=lambda c: str(c.id),
    title="title",
    handle="handle",
    updatedAt=lambda c: iso(c.updated_at),
)
on("Collection", "productsCount")(lambda found, info: _count(found.product_ids))
on("Collection", "hasProduct")(lambda found, info, id: number_of(id, "Product") in found.product_ids)
on("Collection", "ruleSet")(
    lambda found, info: Typed("CollectionRuleSet", {"appliedDisjunctively": False}) if found.is_smart else None
)


@on("QueryRoot", "collection")
def _collection(_: Any, info: GraphQLResolveInfo, id: str) -> Collection | None:
    return store_of(info).collections.get(number_of(id, "Collection"))


@on("Collection", "products")
def _collection_products(
    found: Collection, info: GraphQLResolveInfo, sortKey: str | None = None, **arguments: Any
) -> Typed:
    return connection([store_of(info).products[number] for number in found.product_ids], arguments, "Product")


# Metafields -----------------------------------------------------------------------------------------------------------------------

plain(
    "Metafield",
    id="gid",
    legacyResourceId=lambda found: str(found.id),
    namespace="namespace",
    key="key",
    type="type",
    value="value",
    owner="owner",
    compareDigest=lambda found: hashlib.sha256(found.value.encode()).hexdigest(),
    createdAt=lambda found: iso(found.created_at),
    updatedAt=lambda found: iso(found.updated_at),
)


@on("Product", "metafield")
@on("ProductVariant", "metafield")
def _metafield(owner: Any, info: GraphQLResolveInfo, key: str, namespace: str | None = None) -> Metafield | None:
    return owner.metafields.get(metafield_key(store_of(info), {"namespace": namespace, "key": key}))


@on("Product", "metafields")
@on("ProductVariant", "metafields")
def _metafields(
    owner: Any, info: GraphQLResolveInfo, keys: list[str] | None = None, namespace: str | None = None, **arguments: Any
) -> Typed:
    if keys:
        raise GraphQLError("devshop does not model metafields(keys:)")
    wanted = metafield_key(store_of(info), {"namespace": namespace, "key": ""})[0] if namespace else None
    rows = [found for found in owner.metafields.values() if wanted in (None, found.namespace)]
    return connection(rows, arguments, "Metafield")


NODES["Collection"] = lambda store, number: store.collections.get(number)
NODES["Publication"] = lambda store, number: store.publications.get(number)
NODES["MediaImage"] = lambda store, number: next(
    (media_image(media) for product in store.products.values() for media in product.media if media.id == number), None
)
