"""What people set for an item's planning: threshold, target, lead time, service level, sizes, a number by hand, a similar item; events and
days without stock."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal

from sqlalchemy import select

from occ_app import clock
from occ_app.catalog.models import INGREDIENT, Item
from occ_app.errors import NotFoundError, RuleError
from occ_app.extensions import current_shop_id, db
from occ_app.planning import replan
from occ_app.planning.models import ItemPlan, PlanEvent, StockOut
from occ_app.production import units
from occ_app.stock.lots import MOST_UNITS

LONGEST_NAME = 80
LONGEST_EVENT = 366  # days
# Whole numbers: name -> where it stands (on the item or its plan), least, most.
WHOLE = {
    "reorder_point": ("item", 0, MOST_UNITS),
    "target_stock": ("item", 1, MOST_UNITS),
    "lead_time_days": ("item", 0, 365),
    "review_days": ("plan", 0, 365),
    "cover_days": ("plan", 1, 730),
    "least": ("plan", 1, MOST_UNITS),
    "most": ("plan", 1, MOST_UNITS),
    "like_percent": ("plan", 1, 1000),
}
# Decimal numbers: name -> least, most, places after the point.
DECIMAL = {
    "service_level": (Decimal(50), Decimal("99.99"), 2),
    "daily_by_hand": (Decimal(0), Decimal(1_000_000), 3),
    "lead_spread_days": (Decimal(0), Decimal(365), 2),
}
NAMES = (*WHOLE, *DECIMAL, "like")


def get(item_id: int) -> ItemPlan:
    """The plan of one of the shop's goods, with its item. Raises NotFoundError."""
    item = db.session.scalar(select(Item).where(Item.id == item_id))
    if item is None or item.kind == INGREDIENT:
        raise NotFoundError("There is no such item here. Ingredients follow from what is made of them.")
    return replan.plans_of([item.id], current_shop_id())[0]


def find(sku: str) -> ItemPlan:
    """The plan of the item with that SKU. Raises NotFoundError."""
    item_id = db.session.scalar(select(Item.id).where(Item.sku == sku.strip()))
    if item_id is None:
        raise NotFoundError(f"There is no item {sku}.")
    return get(item_id)


def apply(plan: ItemPlan, given: Mapping[str, str]) -> None:
    """The item is planned by these values; an empty text means the shop's rule, or none. Names that are not given stay. Raises RuleError."""
    for name, (where, least, most) in WHOLE.items():
        if name in given:
            setattr(plan.item if where == "item" else plan, name, _whole(given[name], name, least, most))
    for name, (lowest, highest, places) in DECIMAL.items():
        if name in given:
            setattr(plan, name, _decimal(given[name], name, lowest, highest, places))
    if "like" in given:
        plan.like_item_id = _like(plan, given["like"].strip())
    if "is_planned" in given:
        plan.is_planned = given["is_planned"] == "yes"
    if plan.least is not None and plan.most is not None and plan.least > plan.most:
        raise RuleError("The most of a run is less than its least. Give a larger number, or nothing.", field="most")
    point, target = plan.item.reorder_point, plan.item.target_stock
    if point is not None and target is not None and target <= point:
        raise RuleError("Fill up to more than the reorder point, or leave it empty.", field="target_stock")
    db.session.flush()
    if point is None and target is not None and plan.is_planned:
        _refuse_below_computed(plan, target)


def _refuse_below_computed(plan: ItemPlan, target: int) -> None:
    """Raises RuleError where stock filled up to the target would be low still, by the reorder point that these values give."""
    replan.items([plan.item_id], clock.now())
    if plan.point is not None and target <= plan.point:
        said = f"Fill up to more than the reorder point, which is computed as {plan.point:,}, or leave it empty."
        raise RuleError(said, field="target_stock")


def _whole(text: str, name: str, least: int, most: int) -> int | None:
    text = text.strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 12 and least <= int(text) <= most):
        raise RuleError(f"Give a whole number from {least} to {most:,}, or nothing.", field=name)
    return int(text)


def _decimal(text: str, name: str, least: Decimal, most: Decimal, places: int) -> Decimal | None:
    if not text.strip():
        return None
    value = units.number(text, field=name)
    if not least <= value <= most:
        raise RuleError(f"Give a number from {least} to {most:,}, or nothing.", field=name)
    return round(value, places)


def _like(plan: ItemPlan, sku: str) -> int | None:
    if not sku:
        return None
    item = db.session.scalar(select(Item).where(Item.sku == sku))
    if item is None or item.kind == INGREDIENT:
        raise RuleError(f"There is no item {sku[:60]}. Give the SKU of one that sells alike.", field="like")
    if item.id == plan.item_id:
        raise RuleError("That is the item itself. Give the SKU of another one.", field="like")
    return item.id


def add_event(
    item: Item | None, name: str, since: date | None, until: date | None, factor: str, *, at: datetime
) -> PlanEvent:
    """Demand of the item (None: of all) is so many times the usual on those days. Raises RuleError."""
    name = name.strip()
    if not name or len(name) > LONGEST_NAME:
        raise RuleError(f"Give it a name of {LONGEST_NAME} characters or fewer, such as Easter.", field="name")
    since, until = _span(since, until)
    value = units.number(factor or "", field="factor") if factor else Decimal(0)
    if not Decimal("0.01") <= value <= 100:
        raise RuleError("Give how many times the usual, from 0.01 to 100, such as 3.", field="factor")
    row = PlanEvent(item_id=item.id if item else None, name=name, since=since, until=until)
    row.factor, row.created_at = round(value, 3), at
    db.session.add(row)
    db.session.flush()
    return row


def remove_event(event_id: int) -> PlanEvent:
    """The event is not reckoned with any more. Raises NotFoundError."""
    row = db.session.scalar(select(PlanEvent).where(PlanEvent.id == event_id))
    if row is None:
        raise NotFoundError("There is no such event here.")
    db.session.delete(row)
    db.session.flush()
    return row


def mark_out(plan: ItemPlan, since: date | None, until: date | None, today: date) -> StockOut:
    """On those past days there was nothing to sell; they do not count as no demand. Raises RuleError."""
    since, until = _span(since, until)
    if until >= today:
        raise RuleError("Give days that are over: today's stock we see ourselves.", field="until")
    row = StockOut(item_id=plan.item_id, since=since, until=until, is_by_hand=True)
    db.session.add(row)
    db.session.flush()
    return row


def unmark_out(plan: ItemPlan, row_id: int) -> None:
    """Those days count again. Raises NotFoundError, and RuleError for the span that is still open."""
    row = db.session.scalar(select(StockOut).where(StockOut.id == row_id, StockOut.item_id == plan.item_id))
    if row is None:
        raise NotFoundError("There are no such days here.")
    if row.until is None:
        raise RuleError("There is nothing to sell at the moment. It ends by itself when there is.")
    db.session.delete(row)
    db.session.flush()


def _span(since: date | None, until: date | None) -> tuple[date, date]:
    if since is None:
        raise RuleError("Give the first day, such as 2026-11-21.", field="since")
    until = until or since
    if until < since:
        raise RuleError("The last day is before the first. Give a later one.", field="until")
    if until - since > timedelta(days=LONGEST_EVENT):
        raise RuleError(f"Give at most {LONGEST_EVENT} days.", field="until")
    return since, until
