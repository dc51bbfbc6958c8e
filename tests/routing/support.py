"""A merchant, roasters that supply it, a clock that can be moved, and the moves that tests of partner orders make."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from devshop import drafts
from devshop.world import Order, Store
from occ_app import clock
from occ_app.extensions import across_shops, db
from occ_app.partners import settings
from occ_app.partners.models import Partner, PartnerVariant
from occ_app.routing.models import PartnerBatch, PartnerLine, PartnerOrder
from occ_app.shops import settings as shop_settings
from occ_app.shops.models import Shop
from occ_app.stock import ledger
from occ_app.sync.models import SyncException
from occ_app.wiring import send_now
from tests.partners.support import ROASTER, coffee, connect, take_in
from tests.support.bench import Bench

ADDRESS = {"address1": "Unit 4, Feeder Road", "city": "Bristol", "zip": "BS2 0TX", "countryCode": "GB"}
MONDAY = datetime(2026, 11, 16, 9, 0, tzinfo=UTC)


class Trade:
    """The bench with roasters, on a clock of its own: Monday, 16 November 2026, 09:00 in London."""

    def __init__(self, bench: Bench, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bench = bench
        self._file = folder / "clock"
        self._file.write_text("0")
        monkeypatch.setenv("OCC_CLOCK_FILE", str(self._file))
        self.to(MONDAY)
        self.stores: dict[str, Store] = {}
        bench.place.address.update(ADDRESS)

    @property
    def now(self) -> datetime:
        """The moment here."""
        return clock.now()

    def to(self, moment: datetime) -> None:
        """It is that moment, for the app and for Shopify."""
        seconds = (moment - datetime.now(UTC)).total_seconds()
        self._file.write_text(str(seconds))
        self.bench.world.clock.advance((moment - self.bench.world.clock.now()).total_seconds())

    def later(self, **time: float) -> None:
        """So much time passes."""
        self.to(self.now + timedelta(**time))

    def roaster(self, domain: str = ROASTER, name: str = "Northlight Coffee", goods: int = 3, number: int = 1) -> Store:
        """A connected roaster with goods that the merchant sells: C-1, C-2 ..., 50 of each, 10.00, 11.00 ... there."""
        store = self.bench.world.add_store(domain, name, plan="plus", time_zone="Europe/London", currency="GBP")
        store.add_location("Roastery")
        connect(self.bench, store, name)
        for n in range(number, number + goods):
            coffee(store, n, available=50, price=f"{9 + n}.00")
            self.bench.product(f"C-{n}")
        self.bench.settle()
        with self.bench.scope():
            partner = self.partner(domain)
            partner.read_at = clock.now()
            for n in range(number, number + goods):
                self._import(partner, f"C-{n}")
            settings.put(partner, "hold_minutes", "0")
            settings.put(partner, "time_zone", "Europe/London")
            db.session.commit()
        self.bench.settle()
        self.stores[domain] = store
        return store

    def _import(self, partner: Partner, sku: str) -> None:
        """What an import leaves behind: the partner's variant of that SKU sells as ours of the same."""
        query = db.select(PartnerVariant).where(PartnerVariant.partner_id == partner.id, PartnerVariant.sku == sku)
        take_in(self.bench, partner, db.session.scalars(query).one(), sku, f"Coffee {sku}")

    def partner(self, domain: str = ROASTER) -> Partner:
        """The partner's row. In the bench's scope."""
        return db.session.scalars(db.select(Partner).where(Partner.domain == domain)).one()

    def put(self, name: str, value: str, domain: str = ROASTER) -> None:
        """A setting of the partner."""
        with self.bench.scope():
            settings.put(self.partner(domain), name, value)
            db.session.commit()

    def put_shop(self, name: str, value: str) -> None:
        """A setting of the merchant."""
        with across_shops():
            shop = db.session.scalars(db.select(Shop).where(Shop.domain == self.bench.store.domain)).one()
            shop_settings.put(shop, name, value)
            db.session.commit()

    def buy(self, sku: str, quantity: int = 1, **more: Any) -> Order:
        """A customer buys, and it is booked."""
        made = self.bench.sell_in(sku, quantity, **more)
        self.bench.settle()
        return made

    def send(self, kind: str = "now", domain: str = ROASTER) -> list[dict[str, Any]]:
        """A batch for that partner, at once."""
        with self.bench.scope():
            shop_id, partner_id = self.partner(domain).shop_id, self.partner(domain).id
            db.session.commit()
        made = send_now(shop_id, [partner_id], kind)
        db.session.remove()
        return made

    def look(self) -> None:
        """An hour later everything has been looked at and settled."""
        self.later(hours=1, minutes=1)
        self.bench.settle()

    def to_cutoff(self) -> None:
        """Thursday has come, 18:00, and a minute more; what is due is done."""
        self.to(self.now.replace(hour=18, minute=1) + timedelta(days=(3 - self.now.weekday()) % 7))
        self.bench.settle()

    def drafts(self, store: Store | None = None) -> list[drafts.Draft]:
        """The drafts in the roaster's store, oldest first."""
        return list((store or self.stores[ROASTER]).drafts.values())

    def theirs(self, store: Store | None = None) -> list[Order]:
        """The orders in the roaster's store, oldest first."""
        return list((store or self.stores[ROASTER]).orders.values())

    def held(self, thing: drafts.Draft | Order) -> dict[str, int]:
        """SKU -> units on a draft or an order."""
        found: dict[str, int] = {}
        for line in thing.lines:
            found[line.variant.sku] = found.get(line.variant.sku, 0) + line.quantity
        return found

    def orders(self) -> list[PartnerOrder]:
        """Our partner orders, oldest first."""
        db.session.remove()
        with self.bench.scope():
            return list(db.session.scalars(db.select(PartnerOrder).order_by(PartnerOrder.id)))

    def lines(self) -> list[PartnerLine]:
        """Our captured lines, oldest first."""
        db.session.remove()
        with self.bench.scope():
            return list(db.session.scalars(db.select(PartnerLine).order_by(PartnerLine.id)))

    def batches(self) -> list[PartnerBatch]:
        """The log."""
        db.session.remove()
        with self.bench.scope():
            return list(db.session.scalars(db.select(PartnerBatch).order_by(PartnerBatch.id)))

    def exceptions(self) -> dict[str, dict[str, Any]]:
        """Kind -> facts of the open exceptions about partner orders."""
        db.session.remove()
        with self.bench.scope():
            query = db.select(SyncException).where(SyncException.settled_at.is_(None))
            return {one.kind: one.facts for one in db.session.scalars(query)}

    def check_books(self) -> None:
        """The ledger adds up."""
        db.session.rollback()
        with across_shops():
            assert ledger.audit() == []
