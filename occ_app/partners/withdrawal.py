"""Products of a partner that is lost become drafts where the merchant's rule says so, and get their status back with the partner.

Their number is 0 meanwhile in any case: that is what `goods` says. Setting a status is harmless when repeated, so a kill costs a call.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import contains_eager

from occ_app.catalog.models import Variant
from occ_app.extensions import db
from occ_app.partners import goods, settings
from occ_app.partners.models import CONNECTED, NEEDS_RECONNECTING, ImportedProduct, Partner
from occ_app.shopify.client import Client
from occ_app.shopify.errors import ShopifyRefusedError

ACTIVE, DRAFT = "ACTIVE", "DRAFT"


def is_lost(partner: Partner, at: datetime) -> bool:
    """Whether nothing of the partner can be sold at the moment: it is paused, has left, or was not read for too long."""
    if partner.state not in (CONNECTED, NEEDS_RECONNECTING):
        return True
    return partner.read_at is not None and goods.ageing(partner).is_too_old(at - partner.read_at)


def settle(client: Client, at: datetime) -> int:
    """Every imported product has the status that it should have. Returns how many were changed. Commits after each."""
    changed = 0
    for product in _candidates():
        status = _wanted(product, at)
        if status is not None:
            changed += _set(client, product, status)
    return changed


def _candidates() -> Sequence[ImportedProduct]:
    """Products of partners whose rule is to make drafts, and those that are drafts by it."""
    query = (
        select(ImportedProduct)
        .join(ImportedProduct.partner)
        .where(ImportedProduct.product_gid.is_not(None))
        .where(drafts_by_rule() | ImportedProduct.status_before.is_not(None))
        .options(contains_eager(ImportedProduct.partner))
    )
    return db.session.scalars(query.order_by(ImportedProduct.id)).all()


def drafts_by_rule() -> ColumnElement[bool]:
    """The condition for partners whose products become drafts when they are lost."""
    return Partner.settings["when_gone"].astext == DRAFT.lower()


def _wanted(product: ImportedProduct, at: datetime) -> str | None:
    """The status to give it now; None where it is right, or somebody else chose it."""
    now = db.session.scalar(select(Variant.product_status).where(Variant.product_gid == product.product_gid).limit(1))
    is_drafted = is_lost(product.partner, at) and settings.get(product.partner, "when_gone") == "draft"
    if is_drafted or _is_taken_down(product):
        return DRAFT if now == ACTIVE else None
    if product.status_before is None:
        return None
    if now == DRAFT:
        return product.status_before
    product.status_before = None  # somebody gave it a status of their own meanwhile
    db.session.commit()
    return None


def _is_taken_down(product: ImportedProduct) -> bool:
    """Whether it is a draft because the partner sells it no more, and the merchant's rule follows that."""
    is_sold = product.seen.get("status", ACTIVE) == ACTIVE and not product.seen.get("is_deleted")
    return product.status_before is not None and not is_sold


def _set(client: Client, product: ImportedProduct, status: str) -> int:
    if status == DRAFT:
        product.status_before = product.status_before or ACTIVE
        db.session.commit()  # known before it happens: a kill between leaves a product that finds its way back
    given = {"product": {"id": product.product_gid, "status": status}}
    try:
        answer = client.mutate("product_status", given).data["productUpdate"]
    except ShopifyRefusedError as error:
        answer = {"userErrors": [{"message": str(error)}]}
    if answer["userErrors"]:
        product.cause = answer["userErrors"][0]["message"]
        db.session.commit()
        return 0
    product.status_before, product.cause = (None if status != DRAFT else product.status_before), None
    db.session.execute(update(Variant).where(Variant.product_gid == product.product_gid).values(product_status=status))
    db.session.commit()
    return 1
