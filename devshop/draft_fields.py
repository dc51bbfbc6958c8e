"""Draft orders in the Admin API: the fields, and the four mutations."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from graphql import GraphQLError, GraphQLResolveInfo

from devshop import drafts, search
from devshop.drafts import Discount, Draft, DraftLine
from devshop.order_fields import attributes, mailing_address, read_address
from devshop.product_input import Problem, amount, limit, only_known
from devshop.resolvers import NODES, Typed, connection, iso, listing, money, money_bag, number_of, on, plain, store_of
from devshop.world import DevshopError, Store

DRAFT_KEYS = {"lineItems", "tags", "note", "email", "poNumber", "sourceName", "customAttributes", "shippingAddress"}
DRAFT_KEYS |= {"billingAddress", "appliedDiscount", "reserveInventoryUntil", "taxExempt", "useCustomerDefaultAddress"}
DRAFT_KEYS |= {
    "presentmentCurrencyCode",
    "acceptAutomaticDiscounts",
    "allowDiscountCodesInCheckout",
    "visibleToCustomer",
}
LINE_KEYS = {"variantId", "quantity", "title", "priceOverride", "originalUnitPriceWithCurrency", "appliedDiscount"}
LINE_KEYS |= {"customAttributes", "uuid", "requiresShipping", "taxable", "sku"}
DISCOUNT_KEYS = {"value", "valueType", "title", "description", "amountWithCurrency"}

on("QueryRoot", "draftOrders")(listing("DraftOrder", lambda store: store.drafts.values(), search.DRAFT))


@on("QueryRoot", "draftOrder")
def _draft(_: Any, info: GraphQLResolveInfo, id: str) -> Draft | None:
    return store_of(info).drafts.get(number_of(id, "DraftOrder"))


NODES["DraftOrder"] = lambda store, number: store.drafts.get(number)

# Fields ---------------------------------------------------------------------------------------------------------------------------

plain(
    "DraftOrder",
    id="gid",
    legacyResourceId=lambda draft: str(draft.id),
    name="name",
    status="status",
    tags="tags",
    note2="note",
    email="email",
    poNumber="po_number",
    createdAt=lambda draft: iso(draft.created_at),
    updatedAt=lambda draft: iso(draft.updated_at),
    completedAt=lambda draft: iso(draft.completed_at),
    reserveInventoryUntil=lambda draft: iso(draft.reserve_until),
    customAttributes=lambda draft: attributes(draft.attributes),
    shippingAddress=lambda draft: mailing_address(draft.shipping_address, draft.id),
    billingAddress=lambda draft: mailing_address(draft.billing_address, draft.id),
    totalQuantityOfLineItems=lambda draft: sum(line.quantity for line in draft.lines),
    ready=lambda draft: True,
    taxExempt=lambda draft: False,
    taxesIncluded=lambda draft: False,
    warnings=lambda draft: [],
)
on("DraftOrder", "currencyCode", "presentmentCurrencyCode")(lambda draft, info: store_of(info).currency)
on("DraftOrder", "order")(lambda draft, info: store_of(info).readable_order(draft.order_id or -1))
on("DraftOrder", "invoiceUrl")(lambda draft, info: f"https://{store_of(info).domain}/invoices/{draft.id}")
on("DraftOrder", "lineItems")(lambda draft, info, **arguments: connection(draft.lines, arguments, "DraftOrderLineItem"))
on("DraftOrder", "subtotalPriceSet")(lambda draft, info: money_bag(draft.total, info))
on("DraftOrder", "totalPriceSet")(lambda draft, info: money_bag(draft.total, info))
on("DraftOrder", "lineItemsSubtotalPrice")(lambda draft, info: money_bag(draft.subtotal, info))
on("DraftOrder", "totalLineItemsPriceSet")(
    lambda draft, info: money_bag(sum((line.original_price * line.quantity for line in draft.lines), Decimal()), info)
)
on("DraftOrder", "totalDiscountsSet")(
    lambda draft, info: money_bag(
        draft.order_discount + sum((n.unit_discount * n.quantity for n in draft.lines), Decimal()), info
    )
)
on("DraftOrder", "appliedDiscount")(lambda draft, info: _discount(draft.discount, draft.order_discount, info))
plain(
    "DraftOrderLineItem",
    id="gid",
    uuid="uuid",
    title="title",
    name="title",
    quantity="quantity",
    sku=lambda line: line.variant.sku or None if line.variant else None,
    custom=lambda line: line.variant is None,
    requiresShipping=lambda line: line.variant is not None,
    customAttributes=lambda line: attributes(line.attributes),
    variantTitle=lambda line: line.variant.title if line.variant and line.variant.values != ["Default Title"] else None,
)
on("DraftOrderLineItem", "variant")(
    lambda line, info: line.variant if line.variant and line.variant.id in store_of(info).variants else None
)
on("DraftOrderLineItem", "product")(
    lambda line, info: store_of(info).products.get(line.variant.product_id) if line.variant else None
)
on("DraftOrderLineItem", "priceOverride")(
    lambda line, info: money(line.override, info) if line.override is not None else None
)
on("DraftOrderLineItem", "originalUnitPriceSet")(lambda line, info: money_bag(line.original_price, info))
on("DraftOrderLineItem", "originalTotalSet")(lambda line, info: money_bag(line.original_price * line.quantity, info))
on("DraftOrderLineItem", "approximateDiscountedUnitPriceSet")(
    lambda line, info: money_bag(line.original_price - line.unit_discount, info)
)
on("DraftOrderLineItem", "discountedTotalSet")(lambda line, info: money_bag(line.total, info))
on("DraftOrderLineItem", "totalDiscountSet")(lambda line, info: money_bag(line.unit_discount * line.quantity, info))
on("DraftOrderLineItem", "appliedDiscount")(
    lambda line, info: _discount(line.discount, line.unit_discount * line.quantity, info)
)


def _discount(discount: Discount | None, off: Decimal, info: GraphQLResolveInfo) -> Typed | None:
    if discount is None:
        return None
    kind = "PERCENTAGE" if discount.is_percentage else "FIXED_AMOUNT"
    fields = {
        "title": discount.title,
        "description": discount.description,
        "value": float(discount.value),
        "valueType": kind,
    }
    return Typed("DraftOrderAppliedDiscount", {**fields, "amountSet": money_bag(off, info)})


# Input ----------------------------------------------------------------------------------------------------------------------------


def _write(store: Store, draft: Draft, given: dict[str, Any]) -> list[Problem]:
    """The draft is as given, lists replaced whole; or nothing has changed and the problems say why."""
    only_known("DraftOrderInput", given, DRAFT_KEYS)
    problems: list[Problem] = []
    lines = draft.lines
    if "lineItems" in given:
        limit(given["lineItems"] or [], drafts.MOST_LINES, "lineItems")
        lines = [_read_line(store, row, n, problems) for n, row in enumerate(given["lineItems"] or ())]
    if not lines:
        problems.append(Problem(["lineItems"], "", "Add at least 1 product"))
    discount = _read_discount(store, given.get("appliedDiscount"), ["appliedDiscount"], problems)
    until = given.get("reserveInventoryUntil")
    until_at = _moment(until, problems) if until else None
    if given.get("presentmentCurrencyCode") not in (None, store.currency):
        raise GraphQLError("devshop does not model draft orders in another currency than the shop's")
    addresses = {
        name: read_address(given[key]) if given[key] else None
        for key, name in (("shippingAddress", "shipping_address"), ("billingAddress", "billing_address"))
        if key in given
    }
    if problems:
        return problems
    draft.lines = lines
    for key, name in (("note", "note"), ("email", "email"), ("poNumber", "po_number"), ("sourceName", "source_name")):
        if key in given:
            setattr(draft, name, given[key])
    for name, address in addresses.items():
        setattr(draft, name, address)
    if "tags" in given:
        draft.tags = sorted({tag.strip() for tag in given["tags"] or () if tag.strip()}, key=str.lower)
    if "customAttributes" in given:
        draft.attributes = _pairs(given["customAttributes"])
    if "appliedDiscount" in given:
        draft.discount = discount
    if "reserveInventoryUntil" in given:
        draft.reserve_until = until_at
    return []


def _pairs(rows: list[dict[str, str]] | None) -> dict[str, str]:
    return {row["key"]: row["value"] for row in rows or ()}


def _moment(text: str, problems: list[Problem]) -> datetime | None:
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        problems.append(Problem(["reserveInventoryUntil"], "", "Reserve inventory until is invalid"))
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _read_line(store: Store, row: dict[str, Any], n: int, problems: list[Problem]) -> DraftLine:
    path = ["lineItems", str(n)]
    only_known("DraftOrderLineItemInput", row, LINE_KEYS)
    variant = store.variants.get(number_of(row["variantId"], "ProductVariant")) if row.get("variantId") else None
    if row.get("variantId") and variant is None:
        number = number_of(row["variantId"], "ProductVariant")
        problems.append(Problem([*path, "variantId"], "", f"Product with ID {number} is no longer available."))
    if not row.get("variantId") and not row.get("title"):
        problems.append(Problem([*path, "title"], "", "Title can't be blank"))
    if row["quantity"] < 1:
        problems.append(Problem([*path, "quantity"], "", "Quantity must be greater than or equal to 1"))
    override = _price(store, row.get("priceOverride"), [*path, "priceOverride"], problems)
    own = _price(store, row.get("originalUnitPriceWithCurrency"), [*path, "originalUnitPriceWithCurrency"], problems)
    title = store.products[variant.product_id].title if variant else row.get("title") or ""
    price = variant.price if variant else own or Decimal("0.00")
    line = DraftLine(
        store.world.new_id(), row.get("uuid") or str(uuid.uuid4()), title, row["quantity"], price, variant, override
    )
    line.discount = _read_discount(store, row.get("appliedDiscount"), [*path, "appliedDiscount"], problems)
    line.attributes = _pairs(row.get("customAttributes"))
    return line


def _price(store: Store, given: dict[str, Any] | None, path: list[str], problems: list[Problem]) -> Decimal | None:
    if given is None:
        return None
    found = amount(given["amount"])
    if found is None or found < 0:
        problems.append(Problem([*path, "amount"], "", "Price must be greater than or equal to 0"))
        return None
    if given["currencyCode"] != store.currency:
        problems.append(
            Problem([*path, "currencyCode"], "", "Currency must match the presentment currency of the draft order")
        )
        return None
    return found.quantize(drafts.CENT)


def _read_discount(
    store: Store, given: dict[str, Any] | None, path: list[str], problems: list[Problem]
) -> Discount | None:
    if given is None:
        return None
    only_known("DraftOrderAppliedDiscountInput", given, DISCOUNT_KEYS)
    value, is_percentage = Decimal(str(given["value"])), given["valueType"] == "PERCENTAGE"
    if value < 0 or (is_percentage and value > 100):
        problems.append(
            Problem(
                [*path, "value"],
                "",
                "Value must be between 0 and 100" if is_percentage else "Value must be greater than or equal to 0",
            )
        )
    return Discount(given.get("title") or "", given.get("description") or "", value, is_percentage)


# Mutations ------------------------------------------------------------------------------------------------------------------------


def _answer(kind: str, draft: Draft | None, problems: list[Problem]) -> Typed:
    errors = [Typed("UserError", {"field": problem.field or None, "message": problem.message}) for problem in problems]
    return Typed(f"DraftOrder{kind}Payload", {"draftOrder": draft, "userErrors": errors})


MISSING = Problem(["id"], "", "Draft order does not exist")


@on("Mutation", "draftOrderCreate")
def _create(_: Any, info: GraphQLResolveInfo, input: dict[str, Any]) -> Typed:
    store = store_of(info)
    draft = drafts.new(store)
    problems = _write(store, draft, input)
    if problems:
        return _answer("Create", None, problems)
    drafts.place(store, draft)
    return _answer("Create", draft, [])


@on("Mutation", "draftOrderUpdate")
def _update(_: Any, info: GraphQLResolveInfo, id: str, input: dict[str, Any]) -> Typed:
    store = store_of(info)
    draft = store.drafts.get(number_of(id, "DraftOrder"))
    if draft is None:
        return _answer("Update", None, [MISSING])
    if draft.status == "COMPLETED":
        return _answer("Update", None, [Problem([], "", "This order has already been completed")])
    problems = _write(store, draft, input)
    if problems:
        return _answer("Update", None, problems)
    drafts.told(store, draft)
    return _answer("Update", draft, [])


@on("Mutation", "draftOrderComplete")
def _complete(
    _: Any,
    info: GraphQLResolveInfo,
    id: str,
    paymentPending: bool = False,
    sourceName: str | None = None,
    paymentGatewayId: str | None = None,
) -> Typed:
    store = store_of(info)
    draft = store.drafts.get(number_of(id, "DraftOrder"))
    if paymentGatewayId:
        raise GraphQLError("devshop does not model draftOrderComplete(paymentGatewayId:)")
    if draft is None:
        return _answer("Complete", None, [MISSING])
    try:
        drafts.complete(store, draft, is_pending=paymentPending, source_name=sourceName)
    except DevshopError as error:
        return _answer("Complete", None, [Problem([], "", str(error))])
    return _answer("Complete", draft, [])


@on("Mutation", "draftOrderDelete")
def _delete(_: Any, info: GraphQLResolveInfo, input: dict[str, Any]) -> Typed:
    store = store_of(info)
    draft = store.drafts.get(number_of(input["id"], "DraftOrder"))
    try:
        if draft is None:
            raise DevshopError(MISSING.message)
        drafts.delete(store, draft)
    except DevshopError as error:
        problem = Typed("UserError", {"field": ["id"], "message": str(error)})
        return Typed("DraftOrderDeletePayload", {"deletedId": None, "userErrors": [problem]})
    return Typed("DraftOrderDeletePayload", {"deletedId": input["id"], "userErrors": []})
