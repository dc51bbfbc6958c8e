"""What an app can write of products, and what it is told of them."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from devshop import products
from tests.devshop.stand import DOMAIN, Stand

SET = """mutation set($input: ProductSetInput!, $by: ProductSetIdentifiers, $now: Boolean) {
  productSet(input: $input, identifier: $by, synchronous: $now) {
    product { id title handle status vendor productType tags options { name values }
      media(first: 9) { nodes { ... on MediaImage { status image { url } } } } collections(first: 9) { nodes { title } }
      variants(first: 40) { nodes { id title sku price compareAtPrice selectedOptions { name value }
        inventoryItem { tracked unitCost { amount currencyCode } } inventoryQuantity } } }
    productSetOperation { id status }
    userErrors { code field message } } }"""


@pytest.fixture
def stand() -> Stand:
    """The store."""
    return Stand()


def coffee(stand: Stand) -> dict[str, Any]:
    """Kenya AA in two sizes, each whole or ground."""
    row = {"locationId": stand.here.gid, "name": "available", "quantity": 7}
    variants = [
        {
            "optionValues": [{"optionName": "Size", "name": size}, {"optionName": "Grind", "name": grind}],
            "sku": f"K-{size}-{grind}",
            "price": price,
            "compareAtPrice": "99.00",
            "inventoryItem": {"cost": "5.10", "tracked": True},
            "inventoryQuantities": [row],
        }
        for size, price in (("250 g", "9.5"), ("1 kg", "31"))
        for grind in ("Whole", "Ground")
    ]
    options = [
        {"name": "Size", "values": [{"name": "250 g"}, {"name": "1 kg"}]},
        {"name": "Grind", "values": [{"name": "Whole"}, {"name": "Ground"}]},
    ]
    own = {
        "title": "Kenya AA",
        "vendor": "Roast",
        "productType": "Coffee",
        "tags": ["filter", "new"],
        "status": "DRAFT",
    }
    files = [{"originalSource": "http://127.0.0.1:9290/_devshop/pictures/kenya.png", "contentType": "IMAGE"}]
    return {**own, "files": files, "productOptions": options, "variants": variants}


def test_one_call_makes_a_product_with_options_pictures_cost_and_stock(stand: Stand) -> None:
    shelf = products.collection(stand.store, "Beans")
    made = stand.data(SET, input={**coffee(stand), "collections": [shelf.gid]})["product"]
    first = made["variants"]["nodes"][0]

    assert made["options"] == [
        {"name": "Size", "values": ["250 g", "1 kg"]},
        {"name": "Grind", "values": ["Whole", "Ground"]},
    ]
    assert (first["title"], first["price"], first["sku"], first["inventoryQuantity"]) == (
        "250 g / Whole",
        "9.50",
        "K-250 g-Whole",
        7,
    )
    assert first["inventoryItem"] == {"tracked": True, "unitCost": {"amount": "5.10", "currencyCode": "GBP"}}
    assert made["media"]["nodes"] == [
        {"status": "READY", "image": {"url": "http://127.0.0.1:9290/_devshop/pictures/kenya.png"}}
    ]
    assert made["collections"]["nodes"] == [{"title": "Beans"}]


def test_a_second_set_keeps_the_variants_it_names_and_deletes_the_others(stand: Stand) -> None:
    given = coffee(stand)
    was = stand.data(SET, input=given)["product"]
    again = {
        "title": "Kenya",
        "productOptions": given["productOptions"],
        "variants": copy.deepcopy(given["variants"][:1]),
    }
    again["variants"][0] |= {"id": was["variants"]["nodes"][0]["id"], "price": "12"}
    now = stand.data(SET, input=again, by={"id": was["id"]})["product"]

    assert [(v["id"], v["price"]) for v in now["variants"]["nodes"]] == [(was["variants"]["nodes"][0]["id"], "12.00")]
    assert (now["id"], now["title"], now["vendor"]) == (was["id"], "Kenya", "Roast")
    assert len(stand.store.variants) == 3
    assert stand.told("products/update")[-1]["variants"][0]["option2"] == "Whole"


def test_a_product_of_2048_variants_is_taken_and_one_more_is_not(stand: Stand) -> None:
    names = [f"v{n}" for n in range(2049)]

    def given(count: int) -> dict[str, Any]:
        rows = [{"optionValues": [{"optionName": "No", "name": name}]} for name in names[:count]]
        values = [{"name": name} for name in names[:count]]
        return {"title": "Many", "productOptions": [{"name": "No", "values": values}], "variants": rows}

    bare = "mutation s($i: ProductSetInput!) { productSet(input: $i) { product { variantsCount { count } } userErrors { code } } }"
    taken = stand.ask(bare, i=given(2048))

    assert taken["data"]["productSet"] == {"product": {"variantsCount": {"count": 2048}}, "userErrors": []}
    assert taken["extensions"]["cost"]["requestedQueryCost"] == 10 + 1 + 2 + 1 + 410  # 0.2 a variant
    assert stand.data(bare, i=given(2049))["userErrors"] == [{"code": "VARIANTS_OVER_LIMIT"}]


def change(path: str, value: Any) -> Any:
    """An input with one place changed."""

    def apply(given: dict[str, Any]) -> None:
        *way, last = [int(part) if part.isdecimal() else part for part in path.split(".")]
        where: Any = given
        for part in way:
            where = where[part]
        where[last] = value

    return apply


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (change("title", " "), "MISSING_FIELD_REQUIRED"),
        (change("handle", "a"), "HANDLE_NOT_UNIQUE"),
        (change("variants.0.price", "-1"), "INVALID_VARIANT"),
        (change("variants.0.optionValues.0.name", "2 kg"), "OPTION_VALUE_DOES_NOT_EXIST"),
        (change("variants.0.optionValues.0.optionName", "Weight"), "OPTION_DOES_NOT_EXIST"),
        (change("variants.0.optionValues.1.name", "Ground"), "INVALID_VARIANT"),
        (change("variants.0.inventoryQuantities.0.locationId", "gid://shopify/Location/1"), "NOT_FOUND"),
        (change("variants.0.id", "gid://shopify/ProductVariant/1"), "PRODUCT_VARIANT_DOES_NOT_EXIST"),
        (change("files.0.originalSource", "file:///etc/passwd"), "INVALID_INPUT"),
        (change("collections", ["gid://shopify/Collection/1"]), "NOT_FOUND"),
        (change("productOptions.1.name", "Size"), "DUPLICATED_OPTION_NAME"),
        (change("productOptions.0.values", []), "OPTION_VALUES_MISSING"),
        (lambda given: given.pop("variants"), "VARIANTS_INPUT_MISSING"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_made(stand: Stand, spoil: Any, code: str) -> None:
    given = coffee(stand)
    spoil(given)
    answer = stand.data(SET, input=given)

    assert code in {error["code"] for error in answer["userErrors"]}
    assert answer["product"] is None
    assert len(stand.store.products) == 2


def test_a_key_that_is_not_modelled_is_told_by_name(stand: Stand) -> None:
    answer = stand.ask(SET, input={**coffee(stand), "seo": {"title": "x"}})

    assert answer["errors"][0]["message"] == "devshop does not model ProductSetInput.seo"


def test_a_set_that_is_not_waited_for_completes_when_looked_at_again(stand: Stand) -> None:
    operation = stand.data(SET, input=coffee(stand), now=False)["productSetOperation"]
    ask = "query q($id: ID!) { productOperation(id: $id) { status product { title } } }"
    seen = [stand.data(ask, id=operation["id"]) for _ in range(2)]

    assert operation["status"] == "CREATED"
    assert seen == [{"status": "ACTIVE", "product": None}, {"status": "COMPLETE", "product": {"title": "Kenya AA"}}]


def test_a_unique_metafield_finds_the_product_of_the_first_set(stand: Stand) -> None:
    define = """mutation d($d: MetafieldDefinitionInput!) { metafieldDefinitionCreate(definition: $d) { userErrors { code } } }"""
    by = {"customId": {"key": "partner_product", "value": "roast/17"}}
    assert "type 'id'" in stand.ask(SET, input=coffee(stand), by=by)["errors"][0]["message"]
    stand.data(define, d={"name": "Partner product", "key": "partner_product", "ownerType": "PRODUCT", "type": "id"})
    first, second = (stand.data(SET, input=coffee(stand), by=by)["product"] for _ in range(2))

    assert first["id"] == second["id"]
    assert [v["id"] for v in first["variants"]["nodes"]] == [v["id"] for v in second["variants"]["nodes"]]


def test_variants_made_in_bulk_replace_the_placeholder(stand: Stand) -> None:
    create = """mutation c($p: ProductCreateInput!) { productCreate(product: $p) { product { id variants(first: 9) { nodes { id title } } }
      userErrors { field message } } }"""
    more = """mutation m($id: ID!, $v: [ProductVariantsBulkInput!]!) { productVariantsBulkCreate(productId: $id, variants: $v,
      strategy: REMOVE_STANDALONE_VARIANT) { productVariants { id title sku } userErrors { code field } } }"""
    made = stand.data(create, p={"title": "Guji", "productOptions": [{"name": "Size", "values": [{"name": "250 g"}]}]})[
        "product"
    ]
    rows = [
        {"optionValues": [{"optionName": "Size", "name": size}], "price": "9", "inventoryItem": {"sku": f"G-{size}"}}
        for size in ("250 g", "500 g")
    ]
    first = stand.data(more, id=made["id"], v=rows)
    twice = stand.data(more, id=made["id"], v=rows[:1])

    assert [v["title"] for v in made["variants"]["nodes"]] == ["250 g"]
    assert [v["sku"] for v in first["productVariants"]] == ["G-250 g", "G-500 g"]
    assert twice["userErrors"] == [{"code": "VARIANT_ALREADY_EXISTS", "field": ["variants", "0"]}]


@pytest.mark.parametrize(("partial", "price"), [(False, "8.00"), (True, "11.00")])
def test_one_bad_variant_refuses_an_update_unless_parts_are_allowed(stand: Stand, partial: bool, price: str) -> None:
    update = """mutation u($id: ID!, $v: [ProductVariantsBulkInput!]!, $part: Boolean) {
      productVariantsBulkUpdate(productId: $id, variants: $v, allowPartialUpdates: $part) { userErrors { code } } }"""
    variant = stand.store.variant("A")
    rows = [{"id": variant.gid, "price": "11"}, {"id": "gid://shopify/ProductVariant/1", "price": "1"}]
    product = stand.store.products[variant.product_id]
    answer = stand.data(update, id=product.gid, v=rows, part=partial)

    assert answer["userErrors"] == [{"code": "PRODUCT_VARIANT_DOES_NOT_EXIST"}]
    assert str(variant.price) == price


def test_a_new_product_is_in_no_channel_until_it_is_published(stand: Stand) -> None:
    made = stand.data(SET, input=coffee(stand))["product"]
    channels = stand.data("{ publications(first: 9) { nodes { id name } } }")["nodes"]
    publish = """mutation p($id: ID!, $to: [PublicationInput!]!) { publishablePublish(id: $id, input: $to) {
      publishable { resourcePublicationsCount { count } } userErrors { field message } } }"""
    before = stand.told("products/create")[-1]["published_at"]
    answer = stand.data(publish, id=made["id"], to=[{"publicationId": channels[0]["id"]}])
    wrong = stand.data(publish, id=made["id"], to=[{"publicationId": "gid://shopify/Publication/1"}])

    assert [channel["name"] for channel in channels] == ["Online Store", "Point of Sale", "Shop"]
    assert answer["publishable"] == {"resourcePublicationsCount": {"count": 1}}
    assert before is None
    assert stand.told("products/update")[-1]["published_at"]
    assert wrong["userErrors"] == [{"field": ["input", "0"], "message": "Publication does not exist"}]


def test_publishing_needs_its_own_scope(stand: Stand) -> None:
    stand.store.granted = ("write_products",)
    error = stand.ask("{ publications(first: 1) { nodes { id } } }")["errors"][0]

    assert error["extensions"] == {"code": "ACCESS_DENIED", "requiredAccess": "`read_publications`"}


def test_a_smart_collection_takes_no_products_by_hand(stand: Stand) -> None:
    add = "mutation a($id: ID!, $p: [ID!]!) { collectionAddProductsV2(id: $id, productIds: $p) { job { done } userErrors { code } } }"
    product = stand.store.products[stand.store.variant("A").product_id]
    by_hand, smart = products.collection(stand.store, "Hand"), products.collection(stand.store, "Smart", is_smart=True)

    assert stand.data(add, id=by_hand.gid, p=[product.gid]) == {"job": {"done": True}, "userErrors": []}
    assert by_hand.product_ids == [product.id]
    assert stand.data(add, id=smart.gid, p=[product.gid])["userErrors"] == [{"code": "CANT_ADD_TO_SMART_COLLECTION"}]


def test_the_cost_of_an_inventory_item_is_written_and_told(stand: Stand) -> None:
    update = """mutation u($id: ID!, $i: InventoryItemInput!) { inventoryItemUpdate(id: $id, input: $i) {
      inventoryItem { unitCost { amount } } userErrors { message } } }"""
    gid = stand.store.variant("A").item_gid

    assert stand.data(update, id=gid, i={"cost": "4.2"})["inventoryItem"] == {"unitCost": {"amount": "4.20"}}
    assert stand.told("inventory_items/update")[-1]["cost"] == "4.20"
    assert stand.data(update, id=gid, i={"cost": "-1"})["userErrors"]


def test_a_product_is_deleted_with_its_levels_and_the_app_is_told(stand: Stand) -> None:
    delete = (
        "mutation d($i: ProductDeleteInput!) { productDelete(input: $i) { deletedProductId userErrors { message } } }"
    )
    product = stand.store.products[stand.store.variant("A").product_id]

    assert stand.data(delete, i={"id": product.gid})["deletedProductId"] == product.gid
    assert stand.told("products/delete") == [{"id": product.id}]
    assert len(stand.store.levels) == 1
    assert stand.data(delete, i={"id": product.gid})["userErrors"]


def test_a_failed_picture_has_no_image_and_says_why(stand: Stand) -> None:
    stand.control("faults", {"fails_pictures": True})
    media = stand.data(SET, input=coffee(stand))["product"]["media"]["nodes"]

    assert media == [{"status": "FAILED", "image": None}]


def test_pictures_are_drawn_and_served(stand: Stand) -> None:
    answer = stand.web.get("/_devshop/pictures/kenya.png")

    assert (answer.mimetype, answer.data[:8]) == ("image/png", b"\x89PNG\r\n\x1a\n")


def test_a_bulk_operation_goes_down_to_levels(stand: Stand) -> None:
    lines = stand.bulk(
        """{ products(query: "status:active") { edges { node { id variants { edges { node { id inventoryItem { id
        inventoryLevels { edges { node { location { id } quantities(names: ["available"]) { quantity } } } } } } } } } } } }"""
    )

    assert [sorted(line) for line in lines[:3]] == [
        ["id"],
        ["__parentId", "id", "inventoryItem"],
        ["__parentId", "location", "quantities"],
    ]
    assert lines[1]["__parentId"] == lines[0]["id"]
    assert lines[2]["__parentId"] == lines[1]["id"]
    assert len(lines) == 6


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("{ shop { name } }", "at least one connection"),
        ("{ nodes(ids: []) { id } products { edges { node { id } } } }", "top level `node` or `nodes`"),
        (
            """{ collections { edges { node { products { edges { node { variants { edges { node {
            media { edges { node { id } } } } } } } } } } } } }""",
            "nesting depth greater than 2",
        ),
        ("{ products { edges { node { nothing } } } }", "Cannot query field"),
    ],
)
def test_a_bulk_query_beyond_the_limits_is_refused(stand: Stand, query: str, words: str) -> None:
    run = "mutation r($q: String!) { bulkOperationRunQuery(query: $q, groupObjects: false) { userErrors { code message } } }"
    (error,) = stand.data(run, q=query)["userErrors"]

    assert error["code"] == "INVALID"
    assert words in error["message"]


def test_products_are_searched_by_what_a_mirror_needs(stand: Stand) -> None:
    product = stand.store.products[stand.store.variant("A").product_id]
    product.vendor, product.product_type, product.tags = "Nine Peaks", "Coffee", ["filter"]
    ask = "query q($q: String!) { products(first: 9, query: $q) { nodes { title } } }"
    queries = ["vendor:'Nine Peaks' AND product_type:Coffee", "tag:filter", "handle:a", "updated_at:>2000-01-01 -sku:B"]

    assert [stand.data(ask, q=query)["nodes"] for query in queries] == [[{"title": "A"}]] * 4
    assert DOMAIN in stand.world.stores
