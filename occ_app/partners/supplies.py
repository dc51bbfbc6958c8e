"""The partner's own side: whom its store supplies, what each of them sees, and the way out.

The one place where a request reads rows of other shops: partner rows that name the asking store as their `partner_shop_id`, no others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from occ_app.catalog.models import Item, Location
from occ_app.errors import NotFoundError, RuleError
from occ_app.extensions import across_shops, db, shop_scope
from occ_app.partners import standing
from occ_app.partners.models import IN_SHOP, LEFT, PARTNER, ImportedProduct, Partner
from occ_app.shops.models import Shop


@dataclass(frozen=True)
class Supply:
    """One merchant that the store supplies. `imported`: products of the store that the merchant sells."""

    partner: Partner
    merchant: Shop
    imported: int


def all_of(partner_shop_id: int) -> Sequence[Supply]:
    """Everybody whom the store supplies, those that it left last."""
    with across_shops():
        counts = (
            select(ImportedProduct.partner_id, func.count().label("number"))
            .where(IN_SHOP)
            .group_by(ImportedProduct.partner_id)
            .subquery()
        )
        query = (
            select(Partner, Shop, func.coalesce(counts.c.number, 0))
            .join(Shop, Shop.id == Partner.shop_id)
            .outerjoin(counts, counts.c.partner_id == Partner.id)
            .where(Partner.partner_shop_id == partner_shop_id)
            .order_by(Partner.state == LEFT, Shop.name, Partner.id)
        )
        return [Supply(partner, merchant, int(number)) for partner, merchant, number in db.session.execute(query)]


def is_supplier(shop_id: int) -> bool:
    """Whether the store supplies anybody, or did."""
    with across_shops():
        return db.session.scalar(select(Partner.id).where(Partner.partner_shop_id == shop_id).limit(1)) is not None


def only_supplies(shop_id: int) -> bool:
    """Whether the store supplies somebody and keeps no stock of its own with us: then its orders are none of our business."""
    if not is_supplier(shop_id):
        return False
    with shop_scope(shop_id):
        return db.session.scalar(select(Item.id).limit(1)) is None


def pause(partner_shop_id: int, partner_id: int, at: datetime) -> Partner:
    """That merchant sells nothing of the store until it resumes. Raises NotFoundError, RuleError."""
    return _change(partner_shop_id, partner_id, lambda partner: standing.pause(partner, PARTNER, at))


def resume(partner_shop_id: int, partner_id: int, at: datetime) -> Partner:
    """That merchant sells the store's goods again. Raises NotFoundError, RuleError."""
    return _change(partner_shop_id, partner_id, lambda partner: standing.resume(partner, PARTNER, at))


def leave(partner_shop_id: int, partner_id: int, at: datetime) -> Partner:
    """That merchant sees nothing of the store any more. Raises NotFoundError."""
    return _change(partner_shop_id, partner_id, lambda partner: standing.end(partner, PARTNER, at))


def share(partner_shop_id: int, partner_id: int, location_gids: Sequence[str], at: datetime) -> Partner:
    """That merchant sees what stands at these locations of the store; all of them chosen, or none, means all.

    Raises RuleError for a location that is not the store's.
    """
    with shop_scope(partner_shop_id):
        own = set(db.session.scalars(select(Location.location_gid).where(Location.is_active)))
    chosen = sorted(set(location_gids))
    if not set(chosen) <= own:
        raise RuleError("Choose among your own locations.", field="location")
    if not chosen:
        raise RuleError("Choose one location or more. To share nothing, pause or leave.", field="location")

    def put(partner: Partner) -> None:
        partner.location_gids = [] if set(chosen) == own else chosen
        standing.tell(partner)

    return _change(partner_shop_id, partner_id, put)


def _change(partner_shop_id: int, partner_id: int, change: Callable[[Partner], None]) -> Partner:
    with across_shops():
        query = select(Partner.shop_id).where(Partner.id == partner_id, Partner.partner_shop_id == partner_shop_id)
        merchant_id = db.session.scalar(query)
    if merchant_id is None:
        raise NotFoundError("You do not supply that store.")
    with shop_scope(merchant_id):
        partner = standing.get(partner_id)
        change(partner)
        db.session.flush()
        return partner
