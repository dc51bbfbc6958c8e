"""Webhook payloads in their true shapes: the REST resource of the topic. Source: Shopify, "Webhooks" reference (sample payloads).

The builders give times as datetimes; `build` writes them as Shopify does, in the shop's own zone. What devshop does not model (addresses,
taxes, discounts) is null or empty as in an order that has none; the customer is made up, for apps that must not keep him.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, tzinfo
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from devshop.shelf import Media, Option
from devshop.world import DevshopError, Fulfillment, Level, Line, Location, Order, Product, Refund, Store, Variant

Payload = dict[str, Any]
CUSTOMER = {"id": 7, "email": "customer@example.com", "first_name": "Ada", "last_name": "Example", "phone": None}
ADDRESS = {
    "first_name": "Ada",
    "last_name": "Example",
    "name": "Ada Example",
    "address1": "1 High Street",
    "address2": None,
    "city": "Bristol",
    "zip": "BS1 1AA",
    "country_code": "GB",
    "phone": None,
}
SHIPPING = {"UNFULFILLED": None, "FULFILLED": "fulfilled", "PARTIALLY_FULFILLED": "partial"}


def build(store: Store, topic: str, subject: Any) -> Payload:
    """The full payload of a topic about `subject`. Raises DevshopError for a topic that devshop does not send."""
    builder = BUILDERS.get(topic)
    if builder is None:
        raise DevshopError(f"devshop has no payload for {topic}")
    return _written(builder(store, subject), ZoneInfo(store.time_zone))


def _written(value: Any, zone: tzinfo) -> Any:
    if isinstance(value, dict):
        return {key: _written(one, zone) for key, one in value.items()}
    if isinstance(value, list):
        return [_written(one, zone) for one in value]
    if isinstance(value, datetime):
        return value.astimezone(zone).isoformat(timespec="seconds")
    return f"{value:.2f}" if isinstance(value, Decimal) else value


def reduce_to(payload: Payload, fields: list[str] | None) -> Payload:
    """Only the named fields; a period goes down, arrays are traversed."""
    if not fields:
        return payload
    wanted: dict[str, list[str]] = {}
    for path in fields:
        head, _, tail = path.partition(".")
        wanted.setdefault(head, []).append(tail)
    return {key: _below(payload[key], tails) for key, tails in wanted.items() if key in payload}


def _below(value: Any, tails: list[str]) -> Any:
    if "" in tails:  # the whole of it is wanted
        return value
    if isinstance(value, list):
        return [_below(one, tails) for one in value]
    return reduce_to(value, tails) if isinstance(value, dict) else value


def order(store: Store, subject: Order) -> Payload:
    """An order as the REST API shows it."""
    total = sum((line.price * line.quantity for line in subject.lines), Decimal())
    current = sum((line.price * line.current_quantity for line in subject.lines), Decimal())
    return {
        "id": subject.id,
        "admin_graphql_api_id": subject.gid,
        "app_id": None,
        "browser_ip": None,
        "cancel_reason": subject.cancel_reason,
        "cancelled_at": subject.cancelled_at,
        "closed_at": None,
        "confirmed": True,
        "contact_email": CUSTOMER["email"],
        "created_at": subject.created_at,
        "currency": store.currency,
        "current_subtotal_price": current,
        "current_total_price": current,
        "current_total_price_set": _money(store, current),
        "discount_codes": [],
        "email": CUSTOMER["email"],
        "financial_status": subject.financial_status.lower(),
        "fulfillment_status": SHIPPING[subject.fulfillment_status],
        "line_item_groups": [],
        "location_id": None,
        "name": subject.name,
        "note": None,
        "note_attributes": [],
        "number": subject.number - 1000,
        "order_number": subject.number,
        "payment_terms": None,
        "phone": None,
        "po_number": None,
        "presentment_currency": store.currency,
        "processed_at": subject.created_at,
        "source_identifier": subject.source_identifier,
        "source_name": "web",
        "subtotal_price": total,
        "tags": ", ".join(subject.tags),
        "tax_lines": [],
        "test": subject.test,
        "total_discounts": Decimal(),
        "total_price": total,
        "total_price_set": _money(store, total),
        "total_tax": Decimal(),
        "updated_at": subject.updated_at,
        "user_id": None,
        "billing_address": ADDRESS,
        "customer": CUSTOMER,
        "fulfillments": [fulfillment(store, subject, parcel) for parcel in subject.fulfillments],
        "line_items": [_line(store, line) for line in subject.lines],
        "refunds": [refund(store, subject, made) for made in subject.refunds],
        "returns": [],
        "shipping_address": ADDRESS,
        "shipping_lines": [],
    }


def _money(store: Store, amount: Decimal) -> Payload:
    money = {"amount": amount, "currency_code": store.currency}
    return {"shop_money": money, "presentment_money": money}


def _line(store: Store, line: Line) -> Payload:
    variant = line.variant
    product = store.products.get(variant.product_id) if variant else None
    title = variant.title if variant and variant.title != "Default Title" else None
    return {
        "id": line.id,
        "admin_graphql_api_id": line.gid,
        "current_quantity": line.current_quantity,
        "fulfillable_quantity": line.unfulfilled,
        "fulfillment_service": "manual",
        "fulfillment_status": _shipped(line),
        "gift_card": False,
        "grams": 0,
        "name": f"{line.title} - {title}" if title else line.title,
        "price": line.price,
        "price_set": _money(store, line.price),
        "product_exists": product is not None,
        "product_id": product.id if product else None,
        "properties": [],
        "quantity": line.quantity,
        "requires_shipping": variant is not None,
        "sku": variant.sku if variant else "",
        "taxable": True,
        "title": line.title,
        "total_discount": Decimal(),
        "variant_id": variant.id if variant and variant.id in store.variants else None,
        "variant_inventory_management": "shopify" if variant and variant.tracked else None,
        "variant_title": title,
        "vendor": product.vendor if product else None,
        "tax_lines": [],
        "duties": [],
        "discount_allocations": [],
    }


def _shipped(line: Line) -> str | None:
    if not line.fulfilled:
        return None
    return "partial" if line.unfulfilled else "fulfilled"


def edited(store: Store, subject: Order) -> Payload:
    """That an order was edited. Its id is `order_id`; what was added and removed is not modelled and left out."""
    made = {"id": store.world.new_id(), "app_id": None, "created_at": subject.updated_at, "notify_customer": False}
    return {"order_edit": {**made, "order_id": subject.id, "staff_note": "", "user_id": None}}


def refund(store: Store, subject: Order, made: Refund) -> Payload:
    """A refund, or the removal that a cancellation makes."""
    return {
        "id": made.id,
        "admin_graphql_api_id": f"gid://shopify/Refund/{made.id}",
        "order_id": subject.id,
        "created_at": made.created_at,
        "processed_at": made.created_at,
        "note": None,
        "user_id": None,
        "restock": any(part.restock_type != "NO_RESTOCK" for part in made.lines),
        "return": None,
        "duties": [],
        "order_adjustments": [],
        "refund_shipping_lines": [],
        "transactions": [],
        "refund_line_items": [
            {
                "id": made.id * 100 + number,
                "line_item_id": part.line.id,
                "location_id": part.location_id if part.restock_type != "NO_RESTOCK" else None,
                "quantity": part.quantity,
                "restock_type": part.restock_type.lower(),
                "subtotal": float(part.line.price * part.quantity),
                "subtotal_set": _money(store, part.line.price * part.quantity),
                "total_tax": 0.0,
                "line_item": _line(store, part.line),
            }
            for number, part in enumerate(made.lines)
        ],
    }


def fulfillment(store: Store, subject: Order, parcel: Fulfillment) -> Payload:
    """A fulfilment."""
    numbers = [parcel.tracking_number] if parcel.tracking_number else []
    return {
        "id": parcel.id,
        "admin_graphql_api_id": f"gid://shopify/Fulfillment/{parcel.id}",
        "order_id": subject.id,
        "name": f"{subject.name}.{subject.fulfillments.index(parcel) + 1}" if parcel in subject.fulfillments else None,
        "status": parcel.status.lower(),
        "created_at": parcel.created_at,
        "updated_at": parcel.updated_at,
        "service": "manual",
        "shipment_status": None,
        "location_id": next((line.location_id for line, _ in parcel.lines), None),
        "tracking_company": None,
        "tracking_number": parcel.tracking_number or None,
        "tracking_numbers": numbers,
        "tracking_url": None,
        "tracking_urls": [],
        "email": CUSTOMER["email"],
        "destination": ADDRESS,
        "line_items": [{**_line(store, line), "quantity": quantity} for line, quantity in parcel.lines],
    }


def level(subject: Level) -> Payload:
    """A level: its two ids, `available` and when. No reason, no difference."""
    gid = f"gid://shopify/InventoryLevel/{subject.location_id}?inventory_item_id={subject.item_id}"
    fields = {**_ids(subject), "admin_graphql_api_id": gid}
    return {**fields, "available": subject.quantities["available"], "updated_at": subject.updated_at}


def _ids(subject: Level) -> Payload:
    return {"inventory_item_id": subject.item_id, "location_id": subject.location_id}


def item(subject: Variant) -> Payload:
    """The inventory item of a variant."""
    return {
        "id": subject.item_id,
        "admin_graphql_api_id": subject.item_gid,
        "sku": subject.sku,
        "cost": subject.cost,
        "tracked": subject.tracked,
        "requires_shipping": subject.requires_shipping,
        "country_code_of_origin": None,
        "harmonized_system_code": None,
        "weight_value": subject.weight[0],
        "weight_unit": subject.weight[1].lower() if subject.weight[0] else None,
        "created_at": subject.created_at,
        "updated_at": subject.updated_at,
    }


def product(store: Store, subject: Product) -> Payload:
    """A product with its variants. No cost and no tracked flag: those are the inventory item's."""
    images = [_image(subject, media, n) for n, media in enumerate(subject.media, 1) if media.status == "READY"]
    online = next(iter(store.publications), None)
    return {
        "id": subject.id,
        "admin_graphql_api_id": subject.gid,
        "title": subject.title,
        "body_html": subject.description_html,
        "vendor": subject.vendor,
        "product_type": subject.product_type,
        "handle": subject.handle,
        "status": subject.status.lower(),
        "tags": ", ".join(subject.tags),
        "published_at": subject.published.get(online) if online else None,
        "published_scope": "global" if len(subject.published) > 1 else "web",
        "template_suffix": None,
        "created_at": subject.created_at,
        "updated_at": subject.updated_at,
        "category": None,
        "image": images[0] if images else None,
        "images": images,
        "media": [_media(media, n) for n, media in enumerate(subject.media, 1)],
        "options": [_option(subject, option, n) for n, option in enumerate(subject.options)],
        "has_variants_that_requires_components": any(variant.is_bundle for variant in subject.variants),
        "variant_gids": [{"admin_graphql_api_id": v.gid, "updated_at": v.updated_at} for v in subject.variants],
        "variants": [_variant(store, variant) for variant in subject.variants],
    }


def _image(subject: Product, media: Media, position: int) -> Payload:
    return {
        "id": media.id,
        "admin_graphql_api_id": f"gid://shopify/ProductImage/{media.id}",
        "alt": media.alt,
        "src": media.url,
        "position": position,
        "product_id": subject.id,
        "width": 240,
        "height": 240,
        "variant_ids": [variant.id for variant in subject.variants if variant.media_id == media.id],
        "created_at": media.created_at,
        "updated_at": media.created_at,
    }


def _media(media: Media, position: int) -> Payload:
    preview = {"width": 240, "height": 240, "src": media.url, "status": media.status}
    fields = {"id": media.id, "admin_graphql_api_id": media.gid, "alt": media.alt, "position": position}
    return {**fields, "media_content_type": "IMAGE", "status": media.status, "preview_image": preview}


def _option(subject: Product, option: Option, place: int) -> Payload:
    used = {variant.values[place] for variant in subject.variants}
    values = [value for value in option.values if value in used]
    return {"id": option.id, "product_id": subject.id, "name": option.name, "position": place + 1, "values": values}


def _variant(store: Store, subject: Variant) -> Payload:
    levels = [store.levels.get((subject.item_id, place)) for place in store.locations]
    stock = sum(found.quantities["available"] for found in levels if found)
    first, second, third, *_ = [*subject.values, None, None]
    return {
        "id": subject.id,
        "admin_graphql_api_id": subject.gid,
        "product_id": subject.product_id,
        "inventory_item_id": subject.item_id,
        "sku": subject.sku,
        "barcode": subject.barcode,
        "title": subject.title,
        "option1": first,
        "option2": second,
        "option3": third,
        "price": subject.price,
        "compare_at_price": subject.compare_at_price,
        "position": subject.position,
        "inventory_policy": subject.inventory_policy.lower(),
        "inventory_quantity": stock,
        "old_inventory_quantity": stock,
        "taxable": subject.taxable,
        "image_id": subject.media_id,
        "created_at": subject.created_at,
        "updated_at": subject.updated_at,
    }


def bulk(row: dict[str, Any]) -> Payload:
    """A finished bulk operation; its file's address must be asked for."""
    return {
        "admin_graphql_api_id": f"gid://shopify/BulkOperation/{row['id']}",
        "completed_at": row["completed"],
        "created_at": row["created"],
        "error_code": row["error"],
        "status": row["status"].lower(),
        "type": "query",
    }


def shop(store: Store) -> Payload:
    """The shop, flat."""
    return {
        "id": store.id,
        "name": store.name,
        "email": "owner@example.com",
        "domain": store.domain,
        "myshopify_domain": store.domain,
        "shop_owner": "Dev Shop",
        "currency": store.currency,
        "iana_timezone": store.time_zone,
        "plan_name": store.plan,
    }


def location(subject: Location) -> Payload:
    """A location."""
    return {"id": subject.id, "name": subject.name, "active": subject.is_active, "admin_graphql_api_id": subject.gid}


def scopes_update(store: Store, subject: Payload) -> Payload:
    """Which scopes the store granted before, and which now."""
    return {"id": store.id, "shop_id": store.gid, "updated_at": store.now(), **subject}


def compliance(store: Store, subject: Payload | None) -> Payload:
    """A request of privacy law; `subject` holds what the topic adds to the shop."""
    return {"shop_id": store.id, "shop_domain": store.domain, **(subject or {})}


def _of_order(builder: Callable[..., Payload]) -> Callable[[Store, tuple[Order, Any]], Payload]:
    return lambda store, subject: builder(store, *subject)


BUILDERS: dict[str, Callable[[Store, Any], Payload]] = {
    **dict.fromkeys(("orders/create", "orders/updated", "orders/paid", "orders/cancelled", "orders/fulfilled"), order),
    "orders/edited": edited,
    "refunds/create": _of_order(refund),
    **dict.fromkeys(("fulfillments/create", "fulfillments/update"), _of_order(fulfillment)),
    **dict.fromkeys(("inventory_levels/update", "inventory_levels/connect"), lambda _, subject: level(subject)),
    "inventory_levels/disconnect": lambda _, subject: _ids(subject),
    "inventory_items/update": lambda _, subject: item(subject),
    **dict.fromkeys(("products/create", "products/update"), product),
    "products/delete": lambda _, subject: {"id": subject.id},
    **dict.fromkeys(
        [f"locations/{verb}" for verb in ("create", "update", "activate", "deactivate")],
        lambda _, subject: location(subject),
    ),
    "locations/delete": lambda _, subject: {"id": subject.id},
    "bulk_operations/finish": lambda _, subject: bulk(subject),
    **dict.fromkeys(("app/uninstalled", "shop/update"), lambda store, _: shop(store)),
    "app/scopes_update": scopes_update,
    **dict.fromkeys(("shop/redact", "customers/redact", "customers/data_request"), compliance),
}
