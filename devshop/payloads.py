"""Webhook payloads in their true shapes: the REST resource of the topic. Source: Shopify, "Webhooks" reference (sample payloads)."""

from __future__ import annotations

from typing import Any

from devshop.world import Fulfillment, Level, Line, Order, Product, Refund, Store


def build(store: Store, topic: str, subject: Any) -> dict[str, Any]:
    """The full payload of a topic about `subject`."""
    if topic in ("orders/create", "orders/updated", "orders/paid", "orders/cancelled"):
        return order(store, subject[0] if isinstance(subject, tuple) else subject)
    if topic == "orders/edited":
        return {
            "order_edit": {"id": store.world.new_id(), "order_id": subject.id, "created_at": _at(subject.updated_at)}
        }
    if topic == "refunds/create":
        return refund(store, *subject)
    if topic in ("fulfillments/create", "fulfillments/update"):
        return fulfillment(store, *subject)
    if topic == "inventory_levels/update":
        return level(subject)
    if topic in ("products/create", "products/update"):
        return product(store, subject)
    if topic == "products/delete":
        return {"id": subject.id}
    if topic == "bulk_operations/finish":
        return bulk(subject)
    if topic in ("app/uninstalled", "shop/update"):
        return shop(store)
    if topic == "app/scopes_update":
        return {"id": store.id, "shop_id": store.gid, "updated_at": _at(store.now()), **subject}
    if topic in ("shop/redact", "customers/redact", "customers/data_request"):
        return {"shop_id": store.id, "shop_domain": store.domain, **(subject or {})}
    if topic.startswith("locations/"):
        return {
            "id": subject.id,
            "name": subject.name,
            "active": subject.is_active,
            "admin_graphql_api_id": subject.gid,
        }
    raise ValueError(f"devshop has no payload for {topic}")


def reduce_to(payload: dict[str, Any], fields: list[str] | None) -> dict[str, Any]:
    """Only the named fields; a period goes down, arrays are traversed."""
    if not fields:
        return payload
    wanted: dict[str, list[str]] = {}
    for path in fields:
        head, _, tail = path.partition(".")
        wanted.setdefault(head, []).append(tail)
    return {key: _below(payload[key], [t for t in tails if t]) for key, tails in wanted.items() if key in payload}


def _below(value: Any, fields: list[str]) -> Any:
    if isinstance(value, list):
        return [_below(one, fields) for one in value]
    return reduce_to(value, fields) if isinstance(value, dict) and fields else value


def order(store: Store, subject: Order) -> dict[str, Any]:
    """An order as the REST API shows it. The customer is made up; apps should not look."""
    total = sum(line.price * line.current_quantity for line in subject.lines)
    shipping = {None: None, "UNFULFILLED": None, "FULFILLED": "fulfilled", "PARTIALLY_FULFILLED": "partial"}
    return {
        "id": subject.id,
        "admin_graphql_api_id": subject.gid,
        "name": subject.name,
        "order_number": subject.number,
        "created_at": _at(subject.created_at),
        "processed_at": _at(subject.created_at),
        "updated_at": _at(subject.updated_at),
        "cancelled_at": _at(subject.cancelled_at),
        "cancel_reason": subject.cancel_reason,
        "financial_status": subject.financial_status.lower(),
        "fulfillment_status": shipping[subject.fulfillment_status],
        "currency": store.currency,
        "current_total_price": str(total),
        "total_price": str(total),
        "email": "customer@example.com",
        "phone": None,
        "customer": {"id": 7, "email": "customer@example.com", "first_name": "Ada", "last_name": "Example"},
        "shipping_address": {
            "name": "Ada Example",
            "address1": "1 High Street",
            "city": "Bristol",
            "country_code": "GB",
        },
        "test": subject.test,
        "tags": ", ".join(subject.tags),
        "source_identifier": subject.source_identifier,
        "source_name": "web",
        "line_items": [_line(line) for line in subject.lines],
        "refunds": [refund(store, subject, made) for made in subject.refunds],
        "fulfillments": [fulfillment(store, subject, parcel) for parcel in subject.fulfillments],
    }


def _line(line: Line) -> dict[str, Any]:
    return {
        "id": line.id,
        "admin_graphql_api_id": line.gid,
        "title": line.title,
        "name": line.title,
        "quantity": line.quantity,
        "current_quantity": line.current_quantity,
        "fulfillable_quantity": line.unfulfilled,
        "fulfillment_status": "fulfilled"
        if line.fulfilled and not line.unfulfilled
        else "partial"
        if line.fulfilled
        else None,
        "price": str(line.price),
        "sku": line.variant.sku if line.variant else "",
        "variant_id": line.variant.id if line.variant else None,
        "product_id": line.variant.product_id if line.variant else None,
        "product_exists": line.variant is not None,
        "requires_shipping": line.variant is not None,
        "gift_card": False,
    }


def refund(store: Store, subject: Order, made: Refund) -> dict[str, Any]:
    """A refund."""
    return {
        "id": made.id,
        "order_id": subject.id,
        "created_at": _at(made.created_at),
        "processed_at": _at(made.created_at),
        "admin_graphql_api_id": f"gid://shopify/Refund/{made.id}",
        "note": None,
        "restock": any(part.restock_type != "NO_RESTOCK" for part in made.lines),
        "refund_line_items": [
            {
                "id": made.id * 100 + n,
                "line_item_id": part.line.id,
                "quantity": part.quantity,
                "restock_type": part.restock_type.lower(),
                "location_id": part.location_id,
                "line_item": _line(part.line),
            }
            for n, part in enumerate(made.lines)
        ],
        "transactions": [],
    }


def fulfillment(store: Store, subject: Order, parcel: Fulfillment) -> dict[str, Any]:
    """A fulfilment."""
    return {
        "id": parcel.id,
        "order_id": subject.id,
        "status": parcel.status.lower(),
        "created_at": _at(parcel.created_at),
        "updated_at": _at(parcel.updated_at),
        "tracking_number": parcel.tracking_number or None,
        "tracking_numbers": [parcel.tracking_number] if parcel.tracking_number else [],
        "line_items": [{**_line(line), "quantity": quantity} for line, quantity in parcel.lines],
    }


def level(subject: Level) -> dict[str, Any]:
    """A level: its two ids, `available` and when. No reason, no difference."""
    gid = f"gid://shopify/InventoryLevel/{subject.location_id}?inventory_item_id={subject.item_id}"
    fields = {"inventory_item_id": subject.item_id, "location_id": subject.location_id, "admin_graphql_api_id": gid}
    return {**fields, "available": subject.quantities["available"], "updated_at": _at(subject.updated_at)}


def product(store: Store, subject: Product) -> dict[str, Any]:
    """A product with its variants."""
    return {
        "id": subject.id,
        "admin_graphql_api_id": subject.gid,
        "title": subject.title,
        "body_html": "",
        "vendor": subject.vendor,
        "product_type": subject.product_type,
        "handle": subject.handle,
        "status": subject.status.lower(),
        "tags": ", ".join(subject.tags),
        "created_at": _at(subject.created_at),
        "updated_at": _at(subject.updated_at),
        "has_variants_that_requires_components": any(v.is_bundle for v in subject.variants),
        "variant_gids": [{"admin_graphql_api_id": v.gid, "updated_at": _at(v.updated_at)} for v in subject.variants],
        "variants": [
            {
                "id": v.id,
                "admin_graphql_api_id": v.gid,
                "product_id": subject.id,
                "inventory_item_id": v.item_id,
                "sku": v.sku,
                "barcode": v.barcode,
                "title": v.title,
                "price": str(v.price),
                "position": v.position,
                "updated_at": _at(v.updated_at),
            }
            for v in subject.variants
        ],
    }


def bulk(row: dict[str, Any]) -> dict[str, Any]:
    """A finished bulk operation; its file's address must be asked for."""
    return {
        "admin_graphql_api_id": f"gid://shopify/BulkOperation/{row['id']}",
        "completed_at": _at(row["completed"]),
        "created_at": _at(row["created"]),
        "error_code": row["error"],
        "status": row["status"].lower(),
        "type": "query",
    }


def shop(store: Store) -> dict[str, Any]:
    """The shop, flat."""
    fields = {"id": store.id, "name": store.name, "domain": store.domain, "myshopify_domain": store.domain}
    return {
        **fields,
        "currency": store.currency,
        "iana_timezone": store.time_zone,
        "email": "owner@example.com",
        "plan_name": store.plan,
    }


def _at(moment: Any) -> str | None:
    return moment.isoformat() if moment else None
