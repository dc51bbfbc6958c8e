"""What the sources of orders' moves are called, for those who tell why a number changed."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select

from occ_app.extensions import db
from occ_app.orders.models import Order, OrderLine


def of_lines(line_numbers: Collection[int]) -> dict[int, tuple[str, int | None]]:
    """Line number -> its order's name, and the mapping that it was booked through."""
    query = select(OrderLine.line_number, Order.name, OrderLine.mapping_id).join(Order, Order.id == OrderLine.order_id)
    rows = db.session.execute(query.where(OrderLine.line_number.in_(list(line_numbers))))
    return {number: (f"Order {name}", mapping_id) for number, name, mapping_id in rows}
