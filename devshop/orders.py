"""Orders of a store: selling, fulfilling, refunding, cancelling, editing, and what each does to stock.

Source: Shopify, "Inventory states" (committed), RefundLineItemRestockType, orderEditSetQuantity.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from devshop import inventory
from devshop.world import DevshopError, Fulfillment, Line, Order, Refund, RefundLine, Store

RISKS = ("ACCEPT", "INVESTIGATE", "CANCEL", "NONE")
RESTOCK_TYPES = ("cancel", "return", "no_restock")


def create(store: Store, data: dict[str, Any]) -> Order:
    """A new order; its tracked lines moved units from available to committed. `days_ago` puts it into the past.

    `discount` of a line is off each of its units, that of the order (such as a code) off all of it.
    """
    lines = [_line(store, row, data.get("location_gid")) for row in data.get("lines", [])]
    if not lines:
        raise DevshopError("an order needs lines")
    order = new(store, lines, str(data.get("financial_status", "paid")).upper(), float(data.get("days_ago", 0)))
    order.tags, order.source_identifier = list(data.get("tags", [])), data.get("source_identifier")
    order.test, order.note = bool(data.get("test", False)), data.get("note")
    order.is_on_hold, order.risk = bool(data.get("is_on_hold", False)), str(data.get("risk", "none")).upper()
    if order.risk not in RISKS:
        raise DevshopError(f"risk is one of {', '.join(RISKS)}")
    order.discount = _discount(data, order.total)
    for line in lines:
        take_stock(store, order, line, {"available": -line.quantity, "committed": line.quantity}, "order")
    place(store, order)
    return order


def _discount(data: dict[str, Any], most: Decimal) -> Decimal:
    off = Decimal(str(data.get("discount", 0)))
    if not 0 <= off <= most:
        raise DevshopError(f"a discount is from 0 to {most}")
    return off


def new(store: Store, lines: list[Line], financial_status: str, days_ago: float = 0) -> Order:
    """An order that nobody knows of yet."""
    then = store.now() - timedelta(days=days_ago)
    return Order(store.world.new_id(), store.next_order_number, then, then, financial_status, lines)


def place(store: Store, order: Order) -> None:
    """The order is in the store, what is off all of it spread over its lines by their price, and the app is told."""
    lines_total = order.total + order.discount
    for line in order.lines:
        share = order.discount * line.unit_price / lines_total if lines_total else Decimal()
        line.unit_share = share.quantize(Decimal("0.01"))
    store.next_order_number += 1
    store.orders[order.id] = order
    store.remember(order)
    store.emit("orders/create", order)
    if order.financial_status == "PAID":
        store.emit("orders/paid", order)


def history(store: Store, days: int, per_day: int) -> int:
    """Orders of the past, `per_day` on each of the last `days`, sold from the store's variants in turn, all shipped; nobody is told and no
    stock moved. Returns how many."""
    variants = [variant for variant in store.variants.values() if not variant.is_bundle]
    if not variants:
        raise DevshopError(f"{store.domain} has nothing to sell")
    if not (1 <= days <= 3650 and 1 <= per_day <= 1000):
        raise DevshopError("give 1 to 3650 days and 1 to 1000 orders a day")
    place_id = store.location(None).id
    for number in range(days * per_day):
        variant, units = variants[number * 7 % len(variants)], 1 + number * 5 % 4
        title = store.products[variant.product_id].title
        line = Line(store.world.new_id(), title, units, variant.price, variant, place_id, fulfilled=units)
        order = new(store, [line], "PAID", days - (number + 0.5) / per_day)
        at = order.created_at
        order.fulfillments.append(Fulfillment(store.world.new_id(), at, at, "SUCCESS", [(line, units)]))
        store.next_order_number += 1
        store.orders[order.id] = order
        store.remember(order, as_it_is=True)
    return days * per_day


def past(store: Store, rows: list[dict[str, Any]]) -> int:
    """Orders of the past, one for each row: `at` (ISO 8601), `lines` (sku, quantity, removed), `tags`, `cancelled`; all shipped unless
    cancelled. Nobody is told and no stock moved. Returns how many."""
    place_id = store.location(None).id
    for row in rows:
        lines = []
        for part in row["lines"]:
            variant, units, removed = store.variant(part["sku"]), int(part["quantity"]), int(part.get("removed", 0))
            title = store.products[variant.product_id].title
            line = Line(store.world.new_id(), title, units, variant.price, variant, place_id, removed=removed)
            line.fulfilled = 0 if row.get("cancelled") else units - removed
            line.removed_unfulfilled = removed
            lines.append(line)
        order = new(store, lines, "PAID")
        order.created_at = order.updated_at = datetime.fromisoformat(row["at"])
        order.tags = list(row.get("tags", []))
        order.cancelled_at = order.created_at if row.get("cancelled") else None
        at = order.created_at
        shipped = [(line, line.fulfilled) for line in lines if line.fulfilled]
        if shipped:
            order.fulfillments.append(Fulfillment(store.world.new_id(), at, at, "SUCCESS", shipped))
        store.next_order_number += 1
        store.orders[order.id] = order
        store.remember(order, as_it_is=True)
    return len(rows)


def _line(store: Store, row: dict[str, Any], location: str | None) -> Line:
    quantity = int(row.get("quantity", 1))
    if quantity < 1:
        raise DevshopError("a line needs a quantity of 1 or more")
    key = row.get("variant_gid") or row.get("sku")
    if key is None:
        price = Decimal(str(row.get("price", "1.00")))
        off = _discount(row, price)
        return Line(store.world.new_id(), row.get("title", "Tip"), quantity, price, unit_discount=off)
    variant = store.variant(key)
    where = row.get("location_gid") or location
    found = store.location(where) if where else inventory.where_sold(store, variant, quantity)
    title, off = store.products[variant.product_id].title, _discount(row, variant.price)
    return Line(store.world.new_id(), title, quantity, variant.price, variant, found.id, unit_discount=off)


def take_stock(
    store: Store, order: Order, line: Line, changes: dict[str, int], why: str, location_id: int | None = None
) -> None:
    """The line's units moved between states at its location, if its variant is tracked and still there."""
    if line.variant is None or not line.variant.tracked or line.variant.item_id not in store.items:
        return
    where = store.locations[location_id or line.location_id or next(iter(store.locations))]
    found = inventory.level(store, line.variant, where)
    inventory.change(store, found, changes, who=order.name, why=why)


def fulfil(
    store: Store,
    order: Order,
    rows: list[dict[str, Any]] | None = None,
    tracking_number: str = "",
    tracking: dict[str, Any] | None = None,
) -> Fulfillment:
    """A parcel has left with the named quantities, or with all that is open. `tracking`: company, numbers, urls."""
    _alive(order)
    if order.is_on_hold:
        raise DevshopError(f"{order.name} is on hold")
    parts = [(line, int(quantity)) for line, quantity in _parts(order, rows, "unfulfilled")]
    if not parts:
        raise DevshopError(f"{order.name} has nothing to fulfil")
    now = store.now()
    made = Fulfillment(store.world.new_id(), now, now, "SUCCESS", parts, [tracking_number] if tracking_number else [])
    _write_tracking(made, tracking or {})
    for line, quantity in parts:
        line.fulfilled += quantity
        take_stock(store, order, line, {"committed": -quantity}, "fulfilled")
    order.fulfillments.append(made)
    _touched(store, order, "fulfillments/create", made)
    if order.fulfillment_status == "FULFILLED":
        store.emit("orders/fulfilled", order)
    return made


def _write_tracking(parcel: Fulfillment, tracking: dict[str, Any]) -> None:
    parcel.tracking_company = tracking.get("company") or parcel.tracking_company
    parcel.tracking_numbers = list(tracking.get("numbers") or parcel.tracking_numbers)
    parcel.tracking_urls = list(tracking.get("urls") or parcel.tracking_urls)


def track(store: Store, order: Order, parcel: Fulfillment, tracking: dict[str, Any]) -> None:
    """The parcel's tracking is another now."""
    _write_tracking(parcel, tracking)
    parcel.updated_at = store.now()
    _touched(store, order, "fulfillments/update", parcel)


def hold(store: Store, order: Order, *, is_on_hold: bool) -> None:
    """What is open of the order may not be fulfilled, or may be again."""
    _alive(order)
    order.is_on_hold = is_on_hold
    store.emit("fulfillment_orders/placed_on_hold" if is_on_hold else "fulfillment_orders/hold_released", order)
    _touched(store, order, "orders/updated", order)


def pay(store: Store, order: Order) -> None:
    """The order is paid."""
    _alive(order)
    if order.financial_status != "PENDING":
        raise DevshopError(f"{order.name} is not waiting for payment")
    order.financial_status = "PAID"
    _touched(store, order, "orders/paid", order)


def touched(store: Store, order: Order) -> None:
    """The order has changed otherwise."""
    _touched(store, order, "orders/updated", order)


def cancel_fulfillment(store: Store, order: Order, fulfillment_id: int) -> None:
    """A parcel did not leave after all: its units are committed again."""
    fulfillment = next((f for f in order.fulfillments if f.id == fulfillment_id and f.status == "SUCCESS"), None)
    if fulfillment is None:
        raise DevshopError(f"{order.name} has no such fulfilment")
    fulfillment.status, fulfillment.updated_at = "CANCELLED", store.now()
    for line, quantity in fulfillment.lines:
        line.fulfilled -= quantity
        take_stock(store, order, line, {"committed": quantity}, "fulfilment cancelled")
    _touched(store, order, "fulfillments/update", fulfillment)


def refund(store: Store, order: Order, rows: list[dict[str, Any]], *, topic: str = "refunds/create") -> Refund:
    """Units of lines were refunded, each put back for sale or not, as `restock_type` says."""
    made = Refund(store.world.new_id(), store.now(), [])
    for row in rows:
        line, quantity, kind = (
            _line_of(order, row),
            int(row["quantity"]),
            str(row.get("restock_type", "no_restock")).lower(),
        )
        _check_refund(line, quantity, kind)
        location = store.location(row["location_gid"]).id if row.get("location_gid") else line.location_id
        made.lines.append(RefundLine(line, quantity, kind.upper(), location))
    for part in made.lines:
        _remove(store, order, part)
    order.refunds.append(made)
    remaining = sum(line.current_quantity for line in order.lines)
    if topic == "refunds/create" and order.financial_status != "PENDING":
        order.financial_status = "PARTIALLY_REFUNDED" if remaining else "REFUNDED"
    _touched(store, order, topic, made)
    return made


def _check_refund(line: Line, quantity: int, kind: str) -> None:
    if kind not in RESTOCK_TYPES:
        raise DevshopError(f"restock_type is one of {', '.join(RESTOCK_TYPES)}")
    most = {"cancel": line.unfulfilled, "return": line.current_quantity - line.unfulfilled}.get(
        kind, line.current_quantity
    )
    if not 1 <= quantity <= most:
        raise DevshopError(f"of {line.title} {most} can be refunded as {kind}")


def _remove(store: Store, order: Order, part: RefundLine) -> None:
    line, quantity = part.line, part.quantity
    from_open = quantity if part.restock_type == "CANCEL" else 0
    if part.restock_type == "NO_RESTOCK":
        from_open = min(quantity, line.unfulfilled)
    line.removed += quantity
    line.removed_unfulfilled += from_open
    if from_open and not order.cancelled_at:
        take_stock(store, order, line, {"committed": -from_open}, "removed")
    if part.restock_type in ("CANCEL", "RETURN"):
        take_stock(store, order, line, {"available": quantity}, "restocked", part.location_id)


def cancel(store: Store, order: Order, *, restock: bool, reason: str = "customer") -> None:
    """The order is cancelled: what is open leaves `committed`, and with `restock` is for sale again (a refund says so)."""
    _alive(order)
    open_lines = [(line, line.unfulfilled) for line in order.lines if line.unfulfilled]
    if restock and open_lines:
        rows = [{"line_item_id": line.id, "quantity": units, "restock_type": "cancel"} for line, units in open_lines]
        refund(store, order, rows, topic="refunds/create")
    else:
        for line, units in open_lines:
            take_stock(store, order, line, {"committed": -units}, "cancelled, not restocked")
    order.cancelled_at, order.cancel_reason = store.now(), reason
    if order.financial_status == "PENDING":
        order.financial_status = "VOIDED"
    _touched(store, order, "orders/cancelled", order)


def edit(store: Store, order: Order, sets: list[dict[str, Any]], adds: list[dict[str, Any]]) -> None:
    """Quantities were changed and lines added. Less is a removal (with or without restock), more raises the line's `quantity`."""
    _alive(order)
    removals = []
    for row in sets:
        line, wanted = _line_of(order, row), int(row["quantity"])
        difference = wanted - line.current_quantity
        if difference > 0:
            line.quantity += difference
            take_stock(store, order, line, {"available": -difference, "committed": difference}, "edited")
        elif difference < 0:
            kind = "cancel" if row.get("restock", True) else "no_restock"
            removals.append({"line_item_id": line.id, "quantity": -difference, "restock_type": kind})
    for row in adds:
        line = _line(store, row, None)
        order.lines.append(line)
        take_stock(store, order, line, {"available": -line.quantity, "committed": line.quantity}, "edited")
    if removals:
        refund(store, order, removals, topic="edit")
    _touched(store, order, "orders/edited", order)


def _touched(store: Store, order: Order, topic: str, subject: Any) -> None:
    order.updated_at = store.now()
    store.remember(order)
    if topic not in ("edit", "orders/updated"):
        store.emit(topic, (order, subject) if subject is not order else order)
    store.emit("orders/updated", order)


def _alive(order: Order) -> None:
    if order.cancelled_at:
        raise DevshopError(f"{order.name} is cancelled")


def _line_of(order: Order, row: dict[str, Any]) -> Line:
    key = row.get("line_item_id")
    for line in order.lines:
        if key in (line.id, str(line.id), line.gid):
            return line
    raise DevshopError(f"{order.name} has no line {key!r}")


def _parts(order: Order, rows: list[dict[str, Any]] | None, what: str) -> list[tuple[Line, int]]:
    if rows is None:
        return [(line, getattr(line, what)) for line in order.lines if getattr(line, what) > 0]
    parts = [(_line_of(order, row), int(row["quantity"])) for row in rows]
    for line, quantity in parts:
        if not 1 <= quantity <= line.unfulfilled:
            raise DevshopError(f"of {line.title} {line.unfulfilled} can be fulfilled")
    return parts
