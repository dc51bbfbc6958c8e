"""What the API takes and gives, as types: they check each request, write each answer, and are the schemas of its description."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from occ_app.b2b.orders import LONGEST, LONGEST_NOTE, MOST_LINES, MOST_UNITS

# Neither control characters nor what a text ends with unseen; checked in `api`, since `$` means another thing in every engine.
PLAIN = {"pattern": "^[^\\u0000-\\u001f\\u007f]*$"}
NAMED = {"pattern": "^[^\\u0000-\\u001f\\u007f]*[!-~][^\\u0000-\\u001f\\u007f]*$"}  # a sign that one can see, somewhere
Sku = Annotated[str, Meta(min_length=1, max_length=200, description="The item's SKU", extra_json_schema=PLAIN)]
Units = Annotated[int, Meta(ge=1, le=MOST_UNITS, description="Units of the item")]
Short = Annotated[str, Meta(max_length=LONGEST, extra_json_schema=PLAIN)]
Cursor = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=19,
        description="`next_cursor` of the page before",
        extra_json_schema={"pattern": "^c[0-9]{1,18}$"},
    ),
]
WHERE = "JSON Pointer (RFC 6901) into the body that was sent; into the order as it is read, where nothing was sent"
Mode = Literal["pool", "split"]
OrderState = Literal["draft", "confirmed", "shipped", "cancelled"]
SyncState = Literal["waiting", "running", "done", "failed"]
Limit = Annotated[int, Meta(ge=1, le=250, description="Most rows of a page")]


class NewLine(Struct, forbid_unknown_fields=True):
    """So many units of an item."""

    sku: Sku
    quantity: Units


class NewCustomer(Struct, forbid_unknown_fields=True):
    """Who orders. Of two orders with the same reference the customer is the same; without one, of the same name."""

    name: Annotated[str, Meta(min_length=1, max_length=LONGEST, extra_json_schema=NAMED)]
    reference: Short = ""


class NewOrder(Struct, forbid_unknown_fields=True):
    """A wholesale order to place. With `confirm` false it stays a draft, and no units are taken."""

    customer: NewCustomer
    lines: Annotated[list[NewLine], Meta(min_length=1, max_length=MOST_LINES)]
    reference: Short = ""
    note: Annotated[str, Meta(max_length=LONGEST_NOTE, extra_json_schema=PLAIN)] = ""
    confirm: bool = True


class StockItem(Struct):
    """What may be sold of an item. `pool`: wholesale and the webshop sell the same units; `split`: each its own."""

    sku: str
    name: str
    unit: str
    mode: Mode
    b2b_stock: int
    b2c_stock: int
    channels: dict[str, int]
    sync_enabled: bool
    last_synced_at: datetime | None
    sync_error: str | None


class StockPage(Struct):
    """One page of items by SKU."""

    items: list[StockItem]
    next_cursor: str | None


class StockChange(Struct):
    """The numbers of an item as of their last change. Of several changes between two requests only the last is told."""

    sku: str
    mode: Mode
    b2b_stock: int
    b2c_stock: int
    changed_at: datetime


class StockChanges(Struct):
    """Changes in their order. `next_cursor` is good for the next request, whether or not there is more now."""

    changes: list[StockChange]
    next_cursor: str
    has_more: bool


class Customer(Struct):
    """Who ordered."""

    name: str
    reference: str


class LotUnits(Struct):
    """Units of a lot; `lot_number` null where no lot is known."""

    lot_number: str | None
    quantity: int


class Line(Struct):
    """One line. `taken`: units that are reserved (or shipped); the rest of a confirmed order waits for stock."""

    sku: str
    quantity: int
    taken: int
    waiting: int
    lots: list[LotUnits]


class Order(Struct):
    """A wholesale order."""

    id: int
    number: str
    state: OrderState
    customer: Customer
    reference: str
    note: str
    lines: list[Line]
    created_at: datetime
    confirmed_at: datetime | None
    shipped_at: datetime | None
    cancelled_at: datetime | None


class OrderPage(Struct):
    """One page of orders, newest first."""

    orders: list[Order]
    next_cursor: str | None


class SyncRun(Struct):
    """A sync that was asked for. `product_id` null: of all items."""

    id: int
    product_id: int | None
    state: SyncState
    asked_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    looked_at: int
    changed: int
    cause: str | None


class SyncPage(Struct):
    """One page of syncs, newest first."""

    runs: list[SyncRun]
    next_cursor: str | None


class Fault(Struct):
    """One thing that is wrong, and where."""

    pointer: Annotated[str, Meta(description=WHERE, examples=["/lines/0/quantity"])]
    detail: str


class Problem(Struct, omit_defaults=True):
    """What went wrong. Source: RFC 9457. `instance` names the request, for a question to support."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[Fault] | None = None


class PageQuery(Struct):
    """Where in a list, and how much of it."""

    cursor: Cursor | None = None
    limit: Limit = 50


class StockQuery(PageQuery):
    """All items, or those with these SKUs."""

    sku: Annotated[list[Sku], Meta(max_length=100, description="Only these SKUs; repeat it for several")] = []


class OrdersQuery(PageQuery):
    """All orders, or those in one state."""

    state: OrderState | None = None


class ChangesQuery(PageQuery):
    """Changes after a cursor; without one from the beginning."""
