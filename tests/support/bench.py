"""A workbench: one store in devshop with the app installed, and the moves that tests make on either side."""

from __future__ import annotations

import contextvars
from datetime import date
from typing import Any

from flask import Flask
from sqlalchemy import event

from devshop import inventory, oauth, orders, products
from devshop.webhooks import Sender
from devshop.world import Level, Order, Store, World
from devshop.world import Location as Place
from occ_app import clock
from occ_app.catalog import mapping as mappings
from occ_app.catalog import pull
from occ_app.catalog.models import Item, Location, Mapping, Variant
from occ_app.extensions import across_shops, db, shop_scope
from occ_app.shops.models import Shop
from occ_app.stock import lots
from occ_app.stock.models import Lot
from occ_app.sync import explain, link
from occ_app.sync.models import SyncException, SyncState
from occ_app.wiring import sweep
from occ_app.work import runner

DOMAIN = "cocoa-bristol.myshopify.com"


class Bench:
    """The app, the world, and one store that has the app."""

    def __init__(self, app: Flask, world: World, sender: Sender) -> None:
        self.app, self.world, self.sender = app, world, sender
        self.store = self.add_store(DOMAIN)
        self.place = self.store.add_location("Bristol workshop")

    def add_store(self, domain: str, plan: str = "plus") -> Store:
        """Another store in Shopify."""
        return self.world.add_store(domain, domain.split(".")[0], plan=plan, time_zone="Europe/London", currency="GBP")

    def install(self, store: Store | None = None) -> Shop:
        """The app was opened in the store's admin, and all that follows is done."""
        store = store or self.store
        oauth.install(store)
        answer = self.open("/", store)
        assert answer.status_code == 200, answer.get_data(as_text=True)
        self.settle()
        with across_shops():
            shop = db.session.scalars(db.select(Shop).where(Shop.domain == store.domain)).one()
            db.session.refresh(shop)
            db.session.expunge(shop)
            return shop

    def open(self, path: str, store: Store | None = None, **options: Any) -> Any:
        """A page of the app, asked for with a fresh ID token of the store."""
        token = oauth.make_id_token(store or self.store)
        headers = {"Authorization": f"Bearer {token}", **options.pop("headers", {})}
        return self.visit(path, headers=headers, **options)

    def visit(self, path: str, **options: Any) -> Any:
        """A request from outside: in a context of its own, so that nothing of one request is seen by the next."""
        return contextvars.Context().run(lambda: self.app.test_client().open(path, **options))

    def settle(self) -> list[str]:
        """Webhooks are delivered and all work is done. Returns what is parked."""
        left: list[str] = []
        for _ in range(6):
            self.sender.deliver_due()
            left = self.drain()
            if not any(d.state == "waiting" and d.due_at <= self.world.clock.now() for d in self.sender.deliveries):
                break
        return left

    def drain(self) -> list[str]:
        """The app's work is done, without new webhooks."""
        db.session.remove()
        with across_shops():
            sweep()
            db.session.commit()
        left = runner.drain(self.app, 60)
        db.session.remove()
        return left

    def sell_in(self, sku: str, quantity: int, store: Store | None = None, **more: Any) -> Order:
        """Somebody buys in the store."""
        return orders.create(store or self.store, {"lines": [{"sku": sku, "quantity": quantity}], **more})

    def product(self, sku: str, available: int = 0, **more: Any) -> None:
        """A product in the store."""
        variant = {"sku": sku, "price": "6.50", "available": available, **more}
        products.create(self.store, {"title": f"Product {sku}", "variants": [variant]})

    def level(self, sku: str, where: Place | None = None) -> Level:
        """Shopify's own numbers of a SKU."""
        return inventory.level(self.store, self.store.variant(sku), where or self.place)

    def available(self, sku: str) -> int:
        """Shopify's available."""
        return self.level(sku).quantities["available"]

    def edit_by_hand(self, sku: str, available: int) -> None:
        """Somebody types a number in Shopify's admin."""
        inventory.set_available(self.store, self.level(sku), available, who="admin", why="test")

    def scope(self, shop: Shop | None = None) -> Any:
        """Work for a shop (the bench's own)."""
        if shop is not None:
            return shop_scope(shop.id)
        with across_shops():
            found = db.session.scalars(db.select(Shop.id).where(Shop.domain == self.store.domain)).one()
        return shop_scope(found)

    def item(self, sku: str, **fields: Any) -> int:
        """An item of ours; returns its id."""
        with self.scope():
            given = {"name": f"Item {sku}", "safety_stock": 0, "unit": "piece", **fields}
            item = Item(sku=sku, created_at=clock.now(), **given)
            db.session.add(item)
            db.session.commit()
            return item.id

    def lot(
        self,
        sku: str,
        quantity: int,
        place: str = "released",
        expires_on: date | None = None,
        number: str = "",
        where: Place | None = None,
    ) -> int:
        """A lot of ours; returns its id."""
        with self.scope():
            item = db.session.scalars(db.select(Item).where(Item.sku == sku)).one()
            gid = (where or self.place).gid
            at = db.session.scalars(db.select(Location).where(Location.location_gid == gid)).one()
            now = clock.now()
            lot = lots.make(
                item,
                quantity,
                location_id=at.id,
                place=place,
                lot_number=number,
                made_on=date(2020, 1, 1) if expires_on else None,
                expires_on=expires_on,
                today=now.date(),
                actor="test",
                at=now,
            )
            db.session.commit()
            return lot.id

    def map(
        self,
        sku: str,
        choice: str | None = "hub",
        variant_sku: str = "",
        units: int = 1,
        where: Place | None = None,
    ) -> int:
        """The item sells through the variant; with a choice the first link ends. Returns the mapping's id."""
        with self.scope():
            item = db.session.scalars(db.select(Item).where(Item.sku == sku)).one()
            variant = db.session.scalars(db.select(Variant).where(Variant.sku == (variant_sku or sku))).one()
            at = pull.find_location((where or self.place).gid)
            assert at is not None
            mapping = mappings.make(item, variant, at, units_per_variant=units, at=clock.now())
            if choice:
                state = db.session.get_one(SyncState, mapping.id)
                state.mapping = mapping
                link.choose(state, choice, clock.now())
            db.session.commit()
            return mapping.id

    def move(self, lot_id: int, place: str, quantity: int | None = None) -> None:
        """A lot, or a part of it, goes to another place."""
        with self.scope():
            lots.move(db.session.get_one(Lot, lot_id), place, quantity, actor="test", at=clock.now())
            db.session.commit()

    def show(self, sku: str) -> dict[str, Any]:
        """`occ stock show` of an item with one mapping."""
        db.session.remove()
        with self.scope():
            found = explain.show(sku)
        assert len(found) == 1
        return found[0]

    def exceptions(self) -> list[str]:
        """Kinds of the open exceptions."""
        db.session.remove()
        with self.scope():
            query = db.select(SyncException.kind).where(SyncException.settled_at.is_(None)).order_by(SyncException.id)
            return list(db.session.scalars(query))

    def mapping(self, mapping_id: int) -> Mapping:
        """A mapping's row."""
        return db.session.get_one(Mapping, mapping_id)


class Statements:
    """Counts the SQL statements of a block, and keeps their text."""

    def __enter__(self) -> Statements:
        self.texts: list[str] = []
        event.listen(db.engine, "before_cursor_execute", self._note)
        return self

    def __exit__(self, *_: object) -> None:
        event.remove(db.engine, "before_cursor_execute", self._note)

    def _note(self, connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        self.texts.append(statement)
