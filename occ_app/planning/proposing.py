"""The item's one suggestion, as its stock wants it: made, kept, or withdrawn."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from occ_app.extensions import db
from occ_app.planning import reorder, supply
from occ_app.planning.models import DRAFTED, OPEN, ORDERED, WITHDRAWN, ItemPlan, PlanEvent, Suggestion
from occ_app.planning.outlooks import Outlook, Rules, rules_of
from occ_app.planning.supply import Supply
from occ_app.shops.models import Shop

MOST_LOSS = Decimal("999999999999.99")  # what its column takes


def suggest(
    plan: ItemPlan,
    of: Supply,
    seen: Outlook,
    events: list[PlanEvent],
    row: Suggestion | None,
    shop: Shop,
    today: date,
    at: datetime,
) -> None:
    """The item's one suggestion is there, or gone, as its stock wants it."""
    is_low = plan.is_planned and supply.is_planned(plan.item) and plan.point is not None and of.stock <= plan.point
    if not is_low:
        if row is not None:
            row.state, row.ended_at, row.changed_at = WITHDRAWN, at, at
        return
    rules = rules_of(plan.item, plan, of, shop)
    if of.position > (plan.point or 0):
        if row is not None and row.state in (OPEN, DRAFTED, ORDERED):
            _in_hand(row, of, at)
            _reckon(row, plan, of, seen, events, rules, today)
        return
    if row is None:
        row = Suggestion(item_id=plan.item_id, state=OPEN, made_at=at)
        db.session.add(row)
    elif row.state in (DRAFTED, ORDERED):
        row.state, row.run_id, row.purchase_id = OPEN, None, None
    if row.snoozed_until is not None and row.snoozed_until <= today:
        row.snoozed_until = None
    up_to = seen.up_to if seen.up_to is not None else (plan.point or 0) + 1
    wanted = max(1, up_to - (of.position - of.replaceable))
    row.quantity = reorder.run_size(wanted, rules.lots)
    row.trigger = "shopify" if of.shopify is not None and of.shopify < of.sellable else "ours"
    row.act_by = max(today, (plan.gone_on or today) - timedelta(days=rules.lead_days)) if plan.gone_on else today
    row.changed_at = at
    _reckon(row, plan, of, seen, events, rules, today)


def _reckon(
    row: Suggestion, plan: ItemPlan, of: Supply, seen: Outlook, events: list[PlanEvent], rules: Rules, today: date
) -> None:
    """The suggestion's words and money are today's."""
    daily = seen.daily
    row.loss = min(MOST_LOSS, Decimal(f"{daily:.4f}") * plan.price) if plan.price is not None and daily else None
    row.gone_on = plan.gone_on
    row.facts = facts(plan, of, seen, rules, row.quantity)
    last = today + timedelta(days=rules.lead_days + rules.review_days + rules.cover_days)
    soon = [event for event in events if event.since <= last and event.until >= today]
    row.facts["events"] = [[event.name, float(event.factor), str(event.since)] for event in soon]


def _in_hand(row: Suggestion, of: Supply, at: datetime) -> None:
    """Enough is on its way: the suggestion waits for it."""
    if row.state == OPEN:
        row.state = ORDERED if of.purchases and not of.runs else DRAFTED
        row.run_id = row.run_id or (of.runs[-1].id if of.runs else None)
        row.purchase_id = row.purchase_id or (of.purchases[-1][0].id if of.purchases else None)
        row.changed_at = at


def facts(plan: ItemPlan, of: Supply, seen: Outlook, rules: Rules, quantity: int) -> dict[str, Any]:
    """What a suggestion was reckoned from, for its words."""
    return {
        "stock": of.stock,
        "sellable": of.sellable,
        "shopify": of.shopify,
        "point": plan.point,
        "by_hand": rules.point_by_hand is not None,
        "daily": round(seen.daily, 2),
        "b2b_daily": float(plan.b2b_daily or 0),
        "cover": plan.cover,
        "lead_days": rules.lead_days,
        "makings": quantity // rules.lots.yield_quantity if of.yield_quantity else None,
        "yield": of.yield_quantity,
        "lasts": reorder.cover(quantity, seen.days) if any(seen.days) else None,
        "coming": of.coming,
        "waiting": of.on_the_way,
        "theirs": of.replaceable if supply.is_partners(of.item) else None,
        "runs": [[run.number, run.planned_quantity, str(run.planned_on or "")] for run in of.runs],
        "days": plan.days_known,
    }
