"""Shopify's search syntax, the part that apps use: `field:value`, comparisons, AND by blanks, OR, `-` for not, quotes.

Source: Shopify, "API search syntax". A term or field that is not known is told by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from graphql import GraphQLError

Subject = dict[str, Callable[[Any], Any]]
PRODUCT: Subject = {
    "id": lambda p: p.id,
    "title": lambda p: p.title,
    "status": lambda p: p.status,
    "vendor": lambda p: p.vendor,
    "product_type": lambda p: p.product_type,
    "tag": lambda p: p.tags,
    "updated_at": lambda p: p.updated_at,
    "created_at": lambda p: p.created_at,
    "sku": lambda p: [v.sku for v in p.variants],
    "barcode": lambda p: [v.barcode for v in p.variants],
    "handle": lambda p: p.handle,
    "published_status": lambda p: ["published", "online_store:visible"] if p.published else ["unpublished"],
}
VARIANT: Subject = {
    "id": lambda v: v.id,
    "sku": lambda v: v.sku,
    "barcode": lambda v: v.barcode,
    "title": lambda v: v.title,
    "product_id": lambda v: v.product_id,
    "updated_at": lambda v: v.updated_at,
}
COLLECTION: Subject = {
    "id": lambda c: c.id,
    "title": lambda c: c.title,
    "handle": lambda c: c.handle,
    "updated_at": lambda c: c.updated_at,
    "collection_type": lambda c: "smart" if c.is_smart else "custom",
}
DRAFT: Subject = {
    "id": lambda d: d.id,
    "tag": lambda d: d.tags,
    "status": lambda d: d.status,
    "source": lambda d: d.source_name or "",
    "created_at": lambda d: d.created_at,
    "updated_at": lambda d: d.updated_at,
}
ORDER: Subject = {
    "id": lambda o: o.id,
    "name": lambda o: o.name,
    "updated_at": lambda o: o.updated_at,
    "created_at": lambda o: o.created_at,
    "tag": lambda o: o.tags,
    "source_identifier": lambda o: o.source_identifier or "",
    "source_name": lambda o: o.source_name,
    "po_number": lambda o: o.po_number or "",
    "processed_at": lambda o: o.created_at,
    "test": lambda o: str(o.test),
    "sku": lambda o: [line.variant.sku for line in o.lines if line.variant],
    "financial_status": lambda o: o.financial_status,
    "fulfillment_status": lambda o: {
        "UNFULFILLED": ["unfulfilled", "unshipped"],
        "PARTIALLY_FULFILLED": ["partial", "unfulfilled"],
    }.get(o.fulfillment_status, ["fulfilled", "shipped"]),
    "status": lambda o: "cancelled" if o.cancelled_at else "open" if o.fulfillment_status != "FULFILLED" else "closed",
}
_TERM = re.compile(r"(-)?(\w+):(<=|>=|<|>)?(?:'([^']*)'|\"([^\"]*)\"|(\S+))")
SORT = {
    "ID": "id",
    "UPDATED_AT": "updated_at",
    "CREATED_AT": "created_at",
    "TITLE": "title",
    "SKU": "sku",
    "VENDOR": "vendor",
    "PRODUCT_TYPE": "product_type",
    "STATUS": "status",
    "NUMBER": "id",
    "POSITION": "id",
    "ORDER_NUMBER": "id",
    "PROCESSED_AT": "created_at",
    "FULL_TITLE": "title",
}


def find(rows: list[Any], subject: Subject, query: str | None, sort_key: str | None) -> list[Any]:
    """Rows that the query names, in the order of `sort_key` (id where none is given)."""
    field = SORT.get(sort_key or "ID")
    if field is None or field not in subject:
        raise GraphQLError(f"devshop does not model sortKey {sort_key}")
    tests = (
        [_alternatives(part, subject) for part in re.split(r"\s+OR\s+", (query or "").strip("() "))] if query else []
    )
    kept = [row for row in rows if not tests or any(all(test(row) for test in group) for group in tests)]
    return sorted(kept, key=lambda row: (subject[field](row), row.id))


def _alternatives(text: str, subject: Subject) -> Sequence[Callable[[Any], bool]]:
    rest = _TERM.sub("", text).replace("AND", "").strip("() ")
    if rest:
        raise GraphQLError(f"devshop does not model the search term {rest!r}")
    return [_test(match, subject) for match in _TERM.finditer(text)]


def _test(match: re.Match[str], subject: Subject) -> Callable[[Any], bool]:
    minus, field, operator, *values = match.groups()
    if field not in subject:
        raise GraphQLError(f"devshop does not model searching by {field}")
    value = next(v for v in values if v is not None)
    compare = _comparison(operator, value.strip("()"))

    def test(row: Any) -> bool:
        found = subject[field](row)
        hit = any(compare(one) for one in found) if isinstance(found, list) else compare(found)
        return hit != bool(minus)

    return test


def _comparison(operator: str | None, value: str) -> Callable[[Any], bool]:
    def compare(found: Any) -> bool:
        if isinstance(found, datetime):
            wanted: Any = datetime.fromisoformat(value.replace("Z", "+00:00"))
            wanted = wanted if wanted.tzinfo else wanted.replace(tzinfo=UTC)
        elif isinstance(found, int):
            wanted = int(value)
        else:
            found, wanted = str(found).lower(), value.lower()
            if wanted.endswith("*") and not operator:
                return found.startswith(wanted[:-1])
        return {
            None: found == wanted,
            "<": found < wanted,
            ">": found > wanted,
            "<=": found <= wanted,
            ">=": found >= wanted,
        }[operator]

    return compare
