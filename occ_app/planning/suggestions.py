"""What people do with suggestions: draft the run, order from the partner, snooze, dismiss, bring back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from occ_app.catalog import pull
from occ_app.catalog.models import Item
from occ_app.errors import NotFoundError, RuleError
from occ_app.extensions import db
from occ_app.planning import purchases, supply
from occ_app.planning.models import DISMISSED, DRAFTED, OPEN, ORDERED, Purchase, Suggestion
from occ_app.production import formulas, runs
from occ_app.production.models import ProductionRun
from occ_app.stock import ledger

LONGEST_REASON = 500
FARTHEST_SNOOZE = 365  # days


def get(suggestion_id: int) -> Suggestion:
    """The shop's suggestion, locked, after its item and what goes into it (as bookings and replanning lock). Raises NotFoundError."""
    item_id = db.session.scalar(select(Suggestion.item_id).where(Suggestion.id == suggestion_id))
    if item_id is not None:
        ledger.lock([item_id, *formulas.components_of(item_id)])
    query = select(Suggestion).where(Suggestion.id == suggestion_id).options(joinedload(Suggestion.item))
    row = db.session.scalar(query.with_for_update(of=Suggestion).execution_options(populate_existing=True))
    if row is None:
        raise NotFoundError("There is no such suggestion here.")
    return row


def lock_all(rows: Sequence[Suggestion]) -> None:
    """The items of these suggestions and what goes into them are locked, all at once and in one order for everybody."""
    ids = [row.item_id for row in rows]
    ledger.lock([*ids, *(part for item_id in ids for part in formulas.components_of(item_id))])


def find(sku: str) -> Suggestion:
    """The suggestion of the item with that SKU, locked. Raises NotFoundError."""
    query = select(Suggestion.id).join(Item, Item.id == Suggestion.item_id)
    found = db.session.scalar(query.where(Item.sku == sku.strip(), Suggestion.ended_at.is_(None)))
    if found is None:
        raise NotFoundError(f"Nothing is suggested for {sku} at the moment.")
    return get(found)


def draft(row: Suggestion, quantity: int | None = None, *, today: date, actor: str, at: datetime) -> ProductionRun:
    """A run is drafted for the suggestion, in whole makings. Raises RuleError where one cannot be, or was already."""
    _check_open(row)
    if supply.is_partners(row.item):
        raise RuleError(f"{row.item.name} comes from a partner. Order it instead.")
    units = row.quantity if quantity is None else quantity
    formula = formulas.current_of(row.item_id)
    if formula is not None and units % formula.yield_quantity:
        raise RuleError(
            f"One making gives {formula.yield_quantity:,}. Give a multiple of it, such as {row.quantity:,}.",
            field="quantity",
        )
    place = pull.default_location()
    if place is None:
        raise RuleError("No location is set yet. It comes with the first pull of your store; try again in a minute.")
    ready_on = max(today, row.act_by) + timedelta(days=row.facts.get("lead_days") or 0)
    note = "Suggested by planning."
    run = runs.draft(row.item, units, location=place, planned_on=ready_on, note=note, today=today, actor=actor, at=at)
    row.state, row.run_id, row.settled_by, row.changed_at = DRAFTED, run.id, actor, at
    db.session.flush()
    return run


def order(row: Suggestion, quantity: int | None = None, *, today: date, actor: str, at: datetime) -> Purchase:
    """It stands on the partner's next order, for our stock, and is expected after its lead time. Raises RuleError."""
    _check_open(row)
    if not supply.is_partners(row.item):
        raise RuleError(f"{row.item.name} is made here. Draft a run instead.")
    units, lead_days = row.quantity if quantity is None else quantity, row.facts.get("lead_days") or 0
    made = purchases.order_from_partner(row.item, units, lead_days, today=today, actor=actor, at=at)
    row.state, row.purchase_id, row.settled_by, row.changed_at = ORDERED, made.id, actor, at
    db.session.flush()
    return made


def snooze(row: Suggestion, until: date, *, today: date, actor: str, at: datetime) -> None:
    """The suggestion is not shown before that day. Raises RuleError."""
    _check_open(row)
    if not today < until <= today + timedelta(days=FARTHEST_SNOOZE):
        raise RuleError("Give a day after today and within a year.", field="until")
    row.snoozed_until, row.settled_by, row.changed_at = until, actor, at
    db.session.flush()


def dismiss(row: Suggestion, reason: str, *, actor: str, at: datetime) -> None:
    """The suggestion is not shown until it was untrue once. Raises RuleError."""
    _check_open(row)
    reason = reason.strip()
    if not reason or len(reason) > LONGEST_REASON:
        raise RuleError(
            f"Say why, in {LONGEST_REASON} characters or fewer, such as: sold out for the season.", field="reason"
        )
    row.state, row.reason, row.settled_by, row.changed_at = DISMISSED, reason, actor, at
    db.session.flush()


def bring_back(row: Suggestion, *, actor: str, at: datetime) -> None:
    """A snoozed or dismissed suggestion is shown again."""
    if row.ended_at is not None or (row.state != DISMISSED and row.snoozed_until is None):
        raise RuleError(f"The suggestion for {row.item.name} is shown already, or was withdrawn.")
    row.state, row.snoozed_until, row.reason, row.settled_by, row.changed_at = OPEN, None, "", actor, at
    db.session.flush()


def _check_open(row: Suggestion) -> None:
    if row.state == DRAFTED:
        raise RuleError(f"A run for {row.item.name} is drafted already.")
    if row.state == ORDERED:
        raise RuleError(f"{row.item.name} is ordered already.")
    if row.ended_at is not None:
        raise RuleError(f"The suggestion for {row.item.name} is no longer true: its stock is above its reorder point.")
    if row.state == DISMISSED:
        raise RuleError(f"Somebody dismissed the suggestion for {row.item.name}: {row.reason}")
