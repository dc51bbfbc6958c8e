"""What is parked: mappings, deliveries and orders whose work stopped until a person looks, of all shops."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import select

from occ_app.catalog.models import Item, Mapping
from occ_app.extensions import db
from occ_app.inbox.models import PARKED as DELIVERY_PARKED
from occ_app.inbox.models import Delivery
from occ_app.orders.models import Order
from occ_app.orders.pull import MOST_TRIES
from occ_app.shops.models import UNINSTALLED, Shop
from occ_app.sync.models import PARKED, SyncState


@dataclass(frozen=True)
class Parked:
    """One thing that is parked: `kind` is mapping, delivery or order; `cause` in plain words."""

    kind: str
    domain: str
    name: str
    cause: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name} of {self.domain} is parked: {self.cause}"


def parked() -> list[Parked]:
    """All that is parked, but for shops that left. Deliveries of shops that we do not know are named too."""
    return [*_mappings(), *_deliveries(), *_orders()]


def _mappings() -> Iterator[Parked]:
    query = (
        select(Shop.domain, Item.sku, SyncState.cause)
        .join(Mapping, Mapping.id == SyncState.mapping_id)
        .join(Item, Item.id == Mapping.item_id)
        .join(Shop, Shop.id == SyncState.shop_id)
        .where(SyncState.state == PARKED, Mapping.ended_at.is_(None), Mapping.sync_enabled, Shop.status != UNINSTALLED)
    )
    for domain, sku, cause in db.session.execute(query.order_by(SyncState.mapping_id)):
        yield Parked("mapping", domain, sku, cause or "")


def _deliveries() -> Iterator[Parked]:
    query = select(Delivery.shop_domain, Delivery.topic, Delivery.id, Delivery.cause)
    for domain, topic, number, cause in db.session.execute(
        query.where(Delivery.state == DELIVERY_PARKED).order_by(Delivery.id)
    ):
        yield Parked("delivery", domain, f"{number} ({topic})", cause or "")


def _orders() -> Iterator[Parked]:
    query = select(Shop.domain, Order.name, Order.order_gid, Order.cause).join(Shop, Shop.id == Order.shop_id)
    stopped = (Order.due_at.is_not(None), Order.tries >= MOST_TRIES, Shop.status != UNINSTALLED)
    for domain, name, gid, cause in db.session.execute(query.where(*stopped).order_by(Order.id)):
        yield Parked("order", domain, name or gid, cause or "")
