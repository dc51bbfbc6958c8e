"""Wholesale orders as a file: one line per item, lines with the same reference are one order."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import joinedload, selectinload

from occ_app.b2b import orders
from occ_app.b2b.models import WholesaleLine, WholesaleOrder
from occ_app.catalog.sheets import Line, read, take_all, whole, write
from occ_app.errors import BadFileError, BadLine, RuleError
from occ_app.extensions import db
from occ_app.sync import files, upload_pages

COLUMNS = ("order_reference", "customer", "customer_reference", "item_sku", "quantity", "note")
MOST_ORDERS = 2000


def take(data: bytes, actor: str, at: datetime) -> int:
    """The file's orders are confirmed, all of them or none. A reference that an order has already is refused: no file counts twice."""
    lines = read(data, COLUMNS, ("order_reference", "customer", "item_sku", "quantity"))
    together: dict[str, list[Line]] = {}

    def look(line: Line) -> None:
        if not line.cells["order_reference"] or not line.cells["customer"] or not line.cells["item_sku"]:
            raise RuleError("order_reference, customer and item_sku are needed in each line.")
        whole(line, "quantity", least=1, most=orders.MOST_UNITS)
        same = together.setdefault(line.cells["order_reference"], [])
        if same and same[0].cells["customer"] != line.cells["customer"]:
            raise RuleError(f"Order {line.cells['order_reference']} has another customer in line {same[0].number}.")
        same.append(line)

    take_all(lines, look)
    if len(together) > MOST_ORDERS:
        raise BadFileError([BadLine(1, f"The file has more than {MOST_ORDERS:,} orders. Split it.")])
    known = select(WholesaleOrder.reference).where(WholesaleOrder.reference.in_(list(together)))
    double = set(db.session.scalars(known))
    bad = [BadLine(together[name][0].number, f"There is an order {name} already.") for name in sorted(double)]
    for name, mine in together.items() if not bad else ():
        try:
            _place(name, mine, actor, at)
        except RuleError as error:
            bad.append(BadLine(mine[0].number, str(error)))
    if bad:
        raise BadFileError(bad)
    return len(lines)


def _place(reference: str, lines: list[Line], actor: str, at: datetime) -> None:
    first = lines[0].cells
    wanted = [(line.cells["item_sku"], whole(line, "quantity", least=1) or 0) for line in lines]
    words = {"customer": first["customer"], "customer_reference": first.get("customer_reference", "")}
    orders.create(wanted, **words, reference=reference, note=first.get("note", ""), actor=actor, at=at)


def give() -> str:
    """All orders, oldest first, in the same columns."""
    query = select(WholesaleOrder).order_by(WholesaleOrder.id)
    loaded = (joinedload(WholesaleOrder.customer), selectinload(WholesaleOrder.lines).joinedload(WholesaleLine.item))
    rows = (
        (
            order.reference or order.number,
            order.customer.name,
            order.customer.reference,
            line.item.sku,
            line.quantity,
            order.note,
        )
        for order in db.session.scalars(query.options(*loaded))
        for line in order.lines
    )
    return write(COLUMNS, rows)


files.KINDS["b2b-orders"] = files.Kind(take, give)
upload_pages.COLUMNS["b2b-orders"], upload_pages.SEEN_AT["b2b-orders"] = COLUMNS, "/wholesale"
