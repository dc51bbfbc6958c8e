"""Draft orders of a store: what they hold, reserve, cost, and the order that comes of one.

Source: Shopify, "Draft orders", DraftOrderInput, draftOrderComplete; REST DraftOrder (what a discount comes to). Where the documentation is
silent: an update's list of lines replaces the one before; a reservation takes units from where an order would, also those that are not
there; a draft whose variant is gone, or may not be oversold and is short, is not completed (the fault `completes_short` lets it be); a
completed draft is neither changed nor deleted; its order has the source name `shopify_draft_order` unless another is given, and no source
identifier.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from devshop import inventory, orders
from devshop.world import Address, DevshopError, Line, Order, Store, Variant

MOST_LINES = 499
SOURCE = "shopify_draft_order"
CENT = Decimal("0.01")


@dataclass
class Discount:
    """A discount of a line (`fixed` is then per unit) or of the whole draft."""

    title: str
    description: str
    value: Decimal
    is_percentage: bool

    def of_unit(self, price: Decimal) -> Decimal:
        """What it takes off a unit of that price, never more than the price."""
        off = price * self.value / 100 if self.is_percentage else self.value
        return min(off.quantize(CENT), price)


@dataclass
class DraftLine:
    """A line of a draft. `price`: the variant's when it was put in, or a custom item's own; `override` stands instead of it."""

    id: int
    uuid: str
    title: str
    quantity: int
    price: Decimal
    variant: Variant | None = None
    override: Decimal | None = None
    discount: Discount | None = None
    attributes: dict[str, str] = field(default_factory=dict)

    @property
    def gid(self) -> str:
        return f"gid://shopify/DraftOrderLineItem/{self.id}"

    @property
    def original_price(self) -> Decimal:
        return self.price if self.override is None else self.override

    @property
    def unit_discount(self) -> Decimal:
        return self.discount.of_unit(self.original_price) if self.discount else Decimal()

    @property
    def total(self) -> Decimal:
        return (self.original_price - self.unit_discount) * self.quantity


@dataclass
class Draft:
    """A draft order. `reserved`: units held until `reserve_until`, as (inventory item, location, units)."""

    id: int
    number: int
    created_at: datetime
    updated_at: datetime
    lines: list[DraftLine] = field(default_factory=list)
    status: str = "OPEN"
    tags: list[str] = field(default_factory=list)
    note: str | None = None
    email: str | None = None
    po_number: str | None = None
    source_name: str | None = None
    attributes: dict[str, str] = field(default_factory=dict)
    shipping_address: Address | None = None
    billing_address: Address | None = None
    discount: Discount | None = None
    reserve_until: datetime | None = None
    reserved: list[tuple[int, int, int]] = field(default_factory=list)
    completed_at: datetime | None = None
    order_id: int | None = None

    @property
    def gid(self) -> str:
        return f"gid://shopify/DraftOrder/{self.id}"

    @property
    def name(self) -> str:
        return f"#D{self.number}"

    @property
    def subtotal(self) -> Decimal:
        """The lines after their own discounts."""
        return sum((line.total for line in self.lines), Decimal())

    @property
    def order_discount(self) -> Decimal:
        return self.discount.of_unit(self.subtotal) if self.discount else Decimal()

    @property
    def total(self) -> Decimal:
        return self.subtotal - self.order_discount


def new(store: Store) -> Draft:
    """A draft that nobody knows of yet."""
    return Draft(store.world.new_id(), store.next_draft_number, store.now(), store.now())


def place(store: Store, draft: Draft) -> None:
    """The draft is in the store with what it reserves, and the app is told."""
    store.next_draft_number += 1
    store.drafts[draft.id] = draft
    _reserve(store, draft)
    store.emit("draft_orders/create", draft)


def told(store: Store, draft: Draft) -> None:
    """The draft has changed: it reserves what it now holds."""
    _open(draft)
    _release(store, draft)
    _reserve(store, draft)
    draft.updated_at = store.now()
    store.emit("draft_orders/update", draft)


def edit(store: Store, draft: Draft, data: dict[str, Any]) -> None:
    """What a merchant does by hand: `set` [{line_id or sku, quantity}] (0 takes the line out), `add` [{sku, quantity}], or
    [{title, price, quantity}] for a line of no product; `note`, `tags`."""
    _open(draft)
    kept = list(draft.lines)
    for row in data.get("set", ()):
        line = next((line for line in kept if _is_meant(line, row)), None)
        if line is None or int(row["quantity"]) < 0:
            raise DevshopError(f"{draft.name} has no such line, or the quantity is below 0")
        if int(row["quantity"]) == 0:
            kept.remove(line)
    added = [_added(store, row) for row in data.get("add", ())]
    if not 1 <= len(kept) + len(added) <= MOST_LINES:
        raise DevshopError(f"a draft order has 1 to {MOST_LINES} lines")
    for row in data.get("set", ()):
        for line in kept:
            if _is_meant(line, row):
                line.quantity = int(row["quantity"])
    draft.lines = kept + added
    draft.note, draft.tags = data.get("note", draft.note), list(data.get("tags", draft.tags))
    told(store, draft)


def _is_meant(line: DraftLine, row: dict[str, Any]) -> bool:
    if "line_id" in row:
        return str(row["line_id"]) == str(line.id)
    return line.variant is not None and row.get("sku") in (line.variant.sku, line.variant.gid)


def _added(store: Store, row: dict[str, Any]) -> DraftLine:
    if "title" not in row:
        return _line(store, store.variant(row["sku"]), int(row.get("quantity", 1)))
    number, quantity = store.world.new_id(), int(row.get("quantity", 1))
    if quantity < 1:
        raise DevshopError("a line needs a quantity of 1 or more")
    return DraftLine(number, f"line-{number}", str(row["title"]), quantity, Decimal(str(row["price"])))


def _line(store: Store, variant: Variant, quantity: int) -> DraftLine:
    if quantity < 1:
        raise DevshopError("a line needs a quantity of 1 or more")
    number = store.world.new_id()
    return DraftLine(
        number, f"line-{number}", store.products[variant.product_id].title, quantity, variant.price, variant
    )


def delete(store: Store, draft: Draft) -> None:
    """The draft is gone and holds nothing any more."""
    _open(draft)
    _release(store, draft)
    del store.drafts[draft.id]
    store.emit("draft_orders/delete", draft)


def complete(store: Store, draft: Draft, *, is_pending: bool, source_name: str | None = None) -> Order:
    """An order has come of the draft; what was reserved is committed. Raises DevshopError where it can't; then nothing has changed."""
    _open(draft)
    _check_lines(store, draft)
    lines = [_order_line(store, line) for line in draft.lines]
    order = orders.new(store, lines, "PENDING" if is_pending else "PAID")
    order.tags, order.note, order.po_number = list(draft.tags), draft.note, draft.po_number
    order.attributes, order.email = dict(draft.attributes), draft.email
    order.shipping_address, order.discount = draft.shipping_address, draft.order_discount
    order.source_name = source_name or draft.source_name or SOURCE
    for line in lines:
        state = "reserved" if _take_held(draft, line) else "available"
        orders.take_stock(store, order, line, {state: -line.quantity, "committed": line.quantity}, "order")
    _release(store, draft)
    draft.status, draft.completed_at, draft.order_id = "COMPLETED", store.now(), order.id
    draft.updated_at, draft.reserve_until = store.now(), None
    orders.place(store, order)
    store.emit("draft_orders/update", draft)
    return order


def _check_lines(store: Store, draft: Draft) -> None:
    gone = [line.title for line in draft.lines if line.variant and line.variant.id not in store.variants]
    if gone:
        raise DevshopError(f"{gone[0]} is no longer available")
    if not draft.lines:
        raise DevshopError("Add at least 1 product")
    if store.faults.completes_short:
        return
    wanted = Counter[int]()
    for line in draft.lines:
        if line.variant and line.variant.tracked and line.variant.inventory_policy == "DENY":
            wanted[line.variant.item_id] += line.quantity
    for item, units in wanted.items():
        own = sum(held for held_item, _, held in draft.reserved if held_item == item)
        there = own + sum(
            store.levels[item, where].quantities["available"]
            for where, location in store.locations.items()
            if location.is_active and (item, where) in store.levels
        )
        if there < units:
            title = store.products[store.items[item].product_id].title
            raise DevshopError(f"{title} is out of stock: {max(0, there)} of {units} available")


def _order_line(store: Store, line: DraftLine) -> Line:
    made = Line(store.world.new_id(), line.title, line.quantity, line.original_price, line.variant)
    made.unit_discount, made.attributes = line.unit_discount, dict(line.attributes)
    if line.variant:
        made.location_id = inventory.where_sold(store, line.variant, line.quantity).id
    return made


def _take_held(draft: Draft, line: Line) -> bool:
    """Whether the line's units were held for it; they are the line's now, at the location where they were held."""
    for row in draft.reserved:
        item, where, units = row
        if line.variant and item == line.variant.item_id and units == line.quantity:
            line.location_id = where
            draft.reserved.remove(row)
            return True
    return False


def release_expired(store: Store) -> None:
    """Reservations whose time is over are given back. Called before anybody looks."""
    now = store.world.clock.now()
    for draft in store.drafts.values():
        if draft.reserved and draft.reserve_until and draft.reserve_until <= now:
            _release(store, draft)


def _reserve(store: Store, draft: Draft) -> None:
    if draft.reserve_until is None or draft.reserve_until <= store.world.clock.now():
        return
    for line in draft.lines:
        variant = line.variant
        if variant and variant.tracked and variant.id in store.variants:
            where = inventory.where_sold(store, variant, line.quantity)
            level = inventory.level(store, variant, where)
            changes = {"available": -line.quantity, "reserved": line.quantity}
            inventory.change(store, level, changes, who=draft.name, why="reserved")
            draft.reserved.append((variant.item_id, where.id, line.quantity))


def _release(store: Store, draft: Draft) -> None:
    for item, where, units in draft.reserved:
        level = store.levels.get((item, where))
        if level:
            inventory.change(
                store, level, {"available": units, "reserved": -units}, who=draft.name, why="reservation ended"
            )
    draft.reserved.clear()


def _open(draft: Draft) -> None:
    if draft.status == "COMPLETED":
        raise DevshopError("This order has already been completed")
