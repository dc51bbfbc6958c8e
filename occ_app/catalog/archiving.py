"""Items that are put away: they stand in no list and nothing new is done with them; what was booked stays. Whoever still needs an item
registers with `still_needed` (stock, production and wholesale, through `wiring`)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import func, select

from occ_app.catalog.models import PRODUCT, Item, Mapping
from occ_app.errors import RuleError
from occ_app.extensions import db

_needs: list[Callable[[Item], str | None]] = []


def still_needed(why: Callable[[Item], str | None]) -> None:
    """`why` says in a sentence what still needs an item, and what to do about it; None where nothing does."""
    if why not in _needs:
        _needs.append(why)


def archive(item: Item, at: datetime) -> None:
    """The item is archived. Raises RuleError while it is mapped, or anybody still needs it."""
    db.session.execute(select(Item.id).where(Item.id == item.id).with_for_update())  # bookings of it wait
    if item.archived_at is not None:
        return
    if item.kind != PRODUCT:
        raise RuleError(f"{item.sku} is no product that is made here. Only those are archived.")
    for why in (_mapped, *_needs):
        words = why(item)
        if words:
            raise RuleError(words)
    item.archived_at = at


def restore(item: Item) -> None:
    """The item stands in the lists again."""
    item.archived_at = None


def _mapped(item: Item) -> str | None:
    living = select(func.count()).select_from(Mapping).where(Mapping.item_id == item.id, Mapping.ended_at.is_(None))
    found = db.session.scalar(living)
    return f"{item.name} sells as {found} of your variants. Unmap it first." if found else None
