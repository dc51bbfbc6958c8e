"""Which wholesale orders still need an item."""

from __future__ import annotations

from sqlalchemy import select

from occ_app.b2b.models import CONFIRMED, DRAFT, WholesaleLine, WholesaleOrder
from occ_app.catalog.models import Item
from occ_app.extensions import db


def why_needed(item: Item) -> str | None:
    """Why the item cannot be archived: a wholesale order that has not left asks for it."""
    query = (
        select(WholesaleOrder.number)
        .join(WholesaleLine, WholesaleLine.order_id == WholesaleOrder.id)
        .where(WholesaleLine.item_id == item.id, WholesaleOrder.state.in_((DRAFT, CONFIRMED)))
    )
    number = db.session.scalar(query.order_by(WholesaleOrder.id).limit(1))
    return f"Wholesale order {number} asks for {item.name}. Ship or cancel it first." if number else None
