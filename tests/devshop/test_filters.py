"""A subscription's filter: Shopify's search syntax on the payload."""

from __future__ import annotations

import pytest

from devshop import filters
from devshop.world import DevshopError

ORDER = {
    "id": 7,
    "name": "#1001",
    "test": False,
    "tags": "gift, two words",
    "cancel_reason": None,
    "line_items": [{"sku": "BAR", "price": "6.50", "quantity": 2}, {"sku": "TIN", "price": "9.50", "quantity": 1}],
    "refunds": [],
}


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "id:7",
        "name:#1001",
        "test:false",
        'tags:"gift, two words"',
        "line_items.sku:TIN",
        "line_items.price:>9",
        "line_items.quantity:<=1",
        "id:8 OR name:#1001",
        "id:7 AND name:#1001",
        "id:7 name:#1001",
        "-id:8",
        "NOT id:8",
        "id:7 AND (name:none OR line_items.sku:BAR)",
        "-(id:8 OR id:9)",
        "id:*",
    ],
)
def test_goes_out(text: str | None) -> None:
    assert filters.matches(text, ORDER)


@pytest.mark.parametrize(
    "text",
    [
        "id:8",
        "line_items.sku:tin",
        "line_items.sku:TI",
        "id:7 AND id:8",
        "-id:7",
        "cancel_reason:*",
        "cancel_reason:customer",
        "refunds.id:1",
        "line_items.price:>=9.51",
    ],
)
def test_is_kept_back(text: str) -> None:
    assert not filters.matches(text, ORDER)


@pytest.mark.parametrize(
    "text", ["nothing:1", "-nothing:1", "id:7 OR nothing:1", "id:seven", "test:no", "tags:>1", "id.deeper:1"]
)
def test_an_unknown_field_or_a_wrong_type_keeps_everything_back(text: str) -> None:
    filters.check(text)

    assert not filters.matches(text, ORDER)


@pytest.mark.parametrize("text", ["seven", "id:", "(id:7", "id:7)", "id:7 AND", "OR id:7", "-", "id:7 ; id:8"])
def test_bad_syntax_is_refused(text: str) -> None:
    with pytest.raises(DevshopError, match="filter"):
        filters.check(text)
