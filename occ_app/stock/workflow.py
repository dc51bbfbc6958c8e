"""The way of a lot through the steps that a shop uses: completed, packaged, in review, released.

Two settings make it. `workflow_steps` names the steps in use; a lot passes by all others, and nothing is moved to them. `released` is
always used: it is where units may be sold. `enters_stock_at` says after which step finished goods enter stock: what comes before it happens
within the production run, so the lot of a finished run first stands at that step (or, where it is not used, at the next one that is).
Which of these places count as sellable is the sync mode's to say, not the workflow's.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import exists, select

from occ_app.catalog.models import Item
from occ_app.extensions import current_shop_id, db
from occ_app.shops import settings
from occ_app.shops.models import Shop
from occ_app.stock.models import QualityCheck
from occ_app.stock.rules import COMPLETED, IN_REVIEW, ON_HOLD, PACKAGED, RELEASED

STEPS = (COMPLETED, PACKAGED, IN_REVIEW, RELEASED)


@dataclass(frozen=True)
class Workflow:
    """The steps in use, in their order, `released` last; and the one after which finished goods enter stock."""

    steps: tuple[str, ...] = STEPS
    entry: str = COMPLETED

    def first_place(self, *, is_checked: bool) -> str:
        """Where a finished run's lot first stands. One whose checks are still to come is never released unseen."""
        first = next(step for step in self.steps if STEPS.index(step) >= STEPS.index(self.entry))
        return self.last_before_release if is_checked and first == RELEASED else first

    def next_step(self, place: str) -> str | None:
        """The step in use that follows for units at `place`. None: there is none. Units on hold are decided, so: released."""
        if place == ON_HOLD:
            return RELEASED
        if place not in STEPS or place == RELEASED:
            return None
        return next(step for step in self.steps if STEPS.index(step) > STEPS.index(place))

    @property
    def last_before_release(self) -> str:
        """Where units stand that are to be looked at: un-released ones too. Review where it is used, else the step before release."""
        return self.steps[-2] if len(self.steps) > 1 else IN_REVIEW

    def uses(self, place: str) -> bool:
        """Whether units are moved to `place`; hold, scrap and what is no step are always open."""
        return place not in STEPS or place in self.steps


def of(shop: Shop) -> Workflow:
    """The shop's workflow."""
    return Workflow(tuple(settings.get(shop, "workflow_steps").split(",")), settings.get(shop, "enters_stock_at"))


def current() -> Workflow:
    """The workflow of the shop in scope."""
    return of(db.session.get_one(Shop, current_shop_id()))


def first_place(item: Item) -> str:
    """Where a new lot of the item first stands when its run is finished."""
    return current().first_place(is_checked=has_required_checks(item.id))


def has_required_checks(item_id: int) -> bool:
    """Whether a lot of the item must pass a check before it may be released."""
    wanted = exists().where(QualityCheck.item_id == item_id, QualityCheck.is_required, QualityCheck.ended_at.is_(None))
    return bool(db.session.scalar(select(wanted)))
