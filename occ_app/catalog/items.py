"""New items. A SKU names one thing of the shop, be it a product, an ingredient or a partner's goods."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from occ_app.catalog.models import Item
from occ_app.errors import RuleError
from occ_app.extensions import db

TAKEN = "There is an item {} already."
ARCHIVED = "{} is archived. Restore it first: Products, Archived."


def refuse_archived(item: Item, *, field: str | None = None) -> None:
    """Raises RuleError where the item is archived: nothing new is done with it."""
    if item.archived_at is not None:
        raise RuleError(ARCHIVED.format(item.sku), field=field)


def refuse_taken(sku: str, *, said: str = TAKEN, field: str = "sku") -> None:
    """Raises RuleError where the shop has an item of that SKU."""
    if db.session.scalar(select(Item.id).where(Item.sku == sku)):
        raise RuleError(said.format(sku), field=field)


def add(item: Item, *, said: str = TAKEN, field: str = "sku") -> None:
    """The item is there. Raises RuleError where somebody took its SKU, also a moment ago."""
    refuse_taken(item.sku, said=said, field=field)
    try:
        with db.session.begin_nested():
            db.session.add(item)
    except IntegrityError as error:
        if "uq_item_" not in str(error.orig):
            raise
        raise RuleError(said.format(item.sku), field=field) from error


def add_all(items: Iterable[Item]) -> None:
    """These items, whose SKUs were free, are there. Raises RuleError where somebody took one a moment ago."""
    try:
        with db.session.begin_nested():
            db.session.add_all(items)
    except IntegrityError as error:
        if "uq_item_" not in str(error.orig):
            raise
        raise RuleError("Somebody added one of these a moment ago. Import the file again.") from error
