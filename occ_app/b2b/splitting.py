"""From the pool to a split and back: amounts, rules and the sync mode change together, or nothing does."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from occ_app.b2b import levels
from occ_app.catalog.models import Item
from occ_app.extensions import db
from occ_app.shops import settings
from occ_app.stock import splits
from occ_app.stock.sharing import Claim
from occ_app.stock.splits import ALLOCATION, SHOPIFY, Wanted
from occ_app.sync import modes

FIRST_RULES = (Wanted(Claim("wholesale", share_percent=40)), Wanted(Claim(SHOPIFY)))


def split(item: Item, wanted: Sequence[Wanted], *, actor: str, at: datetime) -> None:
    """Each channel has its own units of the item, shared by these rules, and Shopify shows only its own. Raises RuleError."""
    splits.check(wanted)
    place = levels.location()
    splits.save_rules(item, place.id, wanted)
    splits.share_out(item, place.id, cause="split", actor=actor, at=at)
    if not splits.is_split(item):
        modes.set_mode_of_item(item, ALLOCATION)


def share_anew(item: Item, wanted: Sequence[Wanted], *, actor: str, at: datetime) -> None:
    """The item has these rules, and all that is there is shared by them."""
    place = levels.location()
    splits.save_rules(item, place.id, wanted)
    splits.share_out(item, place.id, cause="rules", actor=actor, at=at)


def pool(item: Item, *, actor: str, at: datetime) -> None:
    """All channels sell the same units again: what each had is free, and there are no rules."""
    is_shops = settings.get(splits.shop(), "sync_mode") == ALLOCATION
    modes.set_mode_of_item(item, "released" if is_shops else None)
    db.session.flush()
    splits.give_back_all(item, actor=actor, at=at)
