"""From the pool to a split and back: amounts, rules and the sync mode change together, or nothing does.

What a person moves here the person has decided, so no guard asks about it again; unless a number of the item waited for somebody before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime

from occ_app.b2b import levels
from occ_app.catalog.models import Item
from occ_app.errors import RuleError
from occ_app.extensions import db
from occ_app.shops import settings
from occ_app.stock import allocations, ledger, splits
from occ_app.stock.channel_models import AllocationChange
from occ_app.stock.splits import ALLOCATION, Wanted
from occ_app.sync import modes, targets


@contextmanager
def by_a_person(item: Item) -> Iterator[None]:
    """The block is what a person decided about the item's numbers."""
    waited = targets.is_waiting(item.id)
    yield
    if not waited:
        targets.let_change(item.id)


def move_border(item: Item, wanted: Mapping[str, int], *, actor: str, at: datetime) -> AllocationChange | None:
    """Each channel named has so many units; None where it had them already. In the pool none of them may be Shopify's."""
    with by_a_person(item):
        place = levels.location()
        ledger.lock([item.id])
        splits.check_pool(item, place.id, wanted)
        return allocations.set_amounts(item, place.id, wanted, today=splits.today(), actor=actor, at=at)


def give_back(item: Item, channel: str, *, actor: str, at: datetime) -> AllocationChange | None:
    """All unsold units of the channel are Shopify's, or in the pool; None where it had none."""
    with by_a_person(item):
        return splits.give_back(item, levels.location().id, channel, actor=actor, at=at)


def undo(item: Item, change_id: int, *, actor: str, at: datetime) -> None:
    """The opposite of that change was done."""
    with by_a_person(item):
        splits.undo(change_id, item_id=item.id, actor=actor, at=at)


def split(item: Item, wanted: Sequence[Wanted], *, actor: str, at: datetime) -> None:
    """Each channel has its own units of the item, shared by these rules, and Shopify shows only its own. Raises RuleError."""
    splits.check(wanted)
    with by_a_person(item):
        place = levels.location()
        splits.save_rules(item, place.id, wanted)
        splits.share_out(item, place.id, cause="split", actor=actor, at=at)
        splits.give_elsewhere(item, place.id, actor=actor, at=at)
        if not splits.is_split(item):
            modes.set_mode_of_item(item, ALLOCATION)


def share_anew(item: Item, wanted: Sequence[Wanted], *, actor: str, at: datetime) -> None:
    """The item, which is split, has these rules, and all that is there is shared by them."""
    if not splits.is_split(item):
        raise RuleError("The item is in the pool, where nobody shares. Split it by these rules.", field="share")
    with by_a_person(item):
        place = levels.location()
        splits.save_rules(item, place.id, wanted)
        splits.share_out(item, place.id, cause="rules", actor=actor, at=at)


def pool(item: Item, *, actor: str, at: datetime) -> None:
    """All channels sell the same units again, under the mode from before the split: what each had is free, and there are no rules."""
    is_shops = settings.get(splits.shop(), "sync_mode") == ALLOCATION
    with by_a_person(item):
        modes.set_mode_of_item(item, item.mode_before_split or ("released" if is_shops else None))
        db.session.flush()
        splits.give_back_all(item, actor=actor, at=at)
