"""What was ordered from suppliers and partners and is not here yet."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from sqlalchemy import select

from occ_app import clock
from occ_app.catalog.models import INGREDIENT, PARTNER, Item
from occ_app.errors import NotFoundError, RuleError
from occ_app.extensions import db
from occ_app.partners.models import ImportedVariant, Partner
from occ_app.planning.models import Purchase
from occ_app.production import formulas, units
from occ_app.routing import stocking
from occ_app.shops import settings
from occ_app.stock import ledger
from occ_app.stock.lots import MOST_UNITS
from occ_app.sync import targets

FARTHEST = 730  # days


def add(item: Item, quantity: int, supplier: str, due_on: date, *, today: date, actor: str, at: datetime) -> Purchase:
    """So much is ordered and expected on that day. Raises RuleError for what cannot be bought or counted."""
    most = units.MOST if item.kind == INGREDIENT else MOST_UNITS
    if item.kind not in (INGREDIENT, PARTNER):
        raise RuleError(f"{item.name} is made here. Draft a run instead.", field="item")
    if item.archived_at is not None:
        raise RuleError(f"{item.name} is archived.", field="item")
    if not 1 <= quantity <= most:
        raise RuleError(f"Give more than 0, and {units.say(most, formulas.unit_of(item))} or less.", field="quantity")
    if not today <= due_on <= today + timedelta(days=FARTHEST):
        raise RuleError("Give a day from today on and within two years.", field="due_on")
    row = Purchase(item_id=item.id, supplier=supplier[:200], quantity=quantity)
    row.ordered_at, row.ordered_by, row.due_on = at, actor, due_on
    db.session.add(row)
    db.session.flush()
    return row


def order_from_partner(item: Item, quantity: int, lead_days: int, *, today: date, actor: str, at: datetime) -> Purchase:
    """So much stands on the partner's next order, for our stock, and is expected its lead time after that closes. Raises RuleError."""
    request = stocking.ask(item.id, quantity, actor=actor, at=at)
    zone = settings.get(targets.shop(), "time_zone")
    closes_on = clock.local_date(stocking.closes_at(request, at), zone)
    due_on = min(closes_on + timedelta(days=lead_days), today + timedelta(days=FARTHEST))
    row = add(item, quantity, partner_of(item.id), due_on, today=today, actor=actor, at=at)
    row.stock_request_id = request.id
    db.session.flush()
    return row


def close(purchase_id: int, *, actor: str, at: datetime) -> Purchase:
    """Nothing more is expected of the purchase; what of it is on no closed partner order is taken off. It stays open for what is ordered
    there already. Raises NotFoundError, RuleError where it is closed, or all of the rest is ordered."""
    item_id = db.session.scalar(select(Purchase.item_id).where(Purchase.id == purchase_id))
    if item_id is not None:
        ledger.lock([item_id])
    row = db.session.scalar(select(Purchase).where(Purchase.id == purchase_id).with_for_update())
    if row is None:
        raise NotFoundError("There is no such purchase here.")
    if row.closed_at is not None:
        raise RuleError("This purchase is closed already. Nothing was changed.")
    if row.stock_request_id is not None:
        stocking.call_off(row.stock_request_id, actor=actor, at=at)
        if stocking.still_to_come([row.stock_request_id]).get(row.stock_request_id):
            return row
    row.closed_at = at
    db.session.flush()
    return row


def partner_of(item_id: int) -> str:
    """The name of the partner whose goods the item is; empty where there is none."""
    query = select(Partner.name).join(ImportedVariant, ImportedVariant.partner_id == Partner.id)
    query = query.where(ImportedVariant.item_id == item_id)
    return db.session.scalar(query.limit(1)) or ""
