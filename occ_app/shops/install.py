"""A shop comes, goes and comes back. Each is true after any number of repetitions."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from occ_app.extensions import db
from occ_app.shopify.tokens import Tokens
from occ_app.shops.connection import Connections
from occ_app.shops.models import ACTIVE, PAUSED, UNINSTALLED, Shop, ShopToken


def find(domain: str) -> Shop | None:
    """The shop with that domain, whatever its state."""
    return db.session.scalar(select(Shop).where(Shop.domain == domain))


def has_token(shop: Shop) -> bool:
    """Whether the shop gave us access that has not been taken back."""
    return shop.status == ACTIVE and db.session.get(ShopToken, shop.id) is not None


def installed(connections: Connections, domain: str, tokens: Tokens, at: datetime) -> Shop:
    """The shop is there and active, with these tokens; one that was away is back with all that it had.

    `installed_at` is the moment of this, so that news of an uninstall before it is old; orders are read from the first one on.
    """
    row = {"domain": domain, "name": domain, "status": ACTIVE, "currency": "USD", "settings": {}, "installed_at": at}
    db.session.execute(insert(Shop).values(row).on_conflict_do_nothing(index_elements=["domain"]))
    shop = db.session.scalars(select(Shop).where(Shop.domain == domain).with_for_update()).one()
    shop.orders_seen_until = shop.orders_seen_until or shop.installed_at
    shop.installed_at = at
    if shop.status != PAUSED:
        shop.status, shop.status_reason = ACTIVE, None
    shop.uninstalled_at = None
    connections.store(db.session(), shop.id, tokens, at)
    return shop


def uninstalled(shop: Shop, at: datetime) -> None:
    """All work of the shop rests, and its tokens (dead by now) are gone. Its rows stay until Shopify asks to erase them."""
    shop.status, shop.status_reason = UNINSTALLED, "The app was uninstalled in the Shopify admin."
    shop.uninstalled_at = shop.uninstalled_at or at
    db.session.execute(delete(ShopToken).where(ShopToken.shop_id == shop.id))
