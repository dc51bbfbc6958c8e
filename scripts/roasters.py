"""The demo's partners: two roasters that supply the shop, with a few of their coffees on sale in it. Needs the roasters' stores in devshop."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from urllib.request import Request, urlopen

from occ_app import clock, create_app, wiring
from occ_app.extensions import db, shop_scope
from occ_app.partners import imports, invitations, joining, standing
from occ_app.partners.models import ImportedVariant, Partner, PartnerProduct, PartnerVariant
from occ_app.shops import install

ROASTERS = (("harbour-roasters", "Harbour Roasters", "1"), ("mill-lane-roastery", "Mill Lane Roastery", "0.78"))
GOODS = 5


def main(domain: str, devshop: str, hub: str) -> None:
    """Both roasters have the app, supply the shop, and five products of each are on sale there."""
    app = create_app()
    for name, _, _ in ROASTERS:
        open_app(devshop, hub, f"{name}.myshopify.com")
    with app.app_context():
        merchant = install.find(domain)
        assert merchant is not None
        for name, title, rate in ROASTERS:
            join(merchant.id, f"{name}.myshopify.com", title, rate)
        for name, _, _ in ROASTERS:
            sell(merchant.id, f"{name}.myshopify.com")


def open_app(devshop: str, hub: str, domain: str) -> None:
    """Somebody installs the app in that store and opens it."""
    for path in ("install", "id-token"):
        request = Request(f"{devshop}/_devshop/shops/{domain}/{path}", b"{}", {"Content-Type": "application/json"})
        answer = json.loads(urlopen(request, timeout=20).read())
    urlopen(Request(f"{hub}/", headers={"Authorization": f"Bearer {answer['id_token']}"}), timeout=20).read()


def join(merchant_id: int, domain: str, title: str, rate: str) -> None:
    """The roaster said yes to an invitation."""
    theirs = install.find(domain)
    with shop_scope(merchant_id):
        merchant = db.session.get_one(type(theirs), merchant_id)
        made = invitations.make(merchant, title, domain, actor="demo", at=clock.now())
        partner = joining.accept(invitations.Invited(made, merchant), theirs, clock.now())
        standing.set_up(partner, {"exchange_rate": rate if rate != "1" else "", "hold_minutes": "5"})
        db.session.commit()


def sell(merchant_id: int, domain: str) -> None:
    """Five of the roaster's coffees are on sale."""
    with shop_scope(merchant_id):
        wait(
            lambda: db.session.scalars(
                db.select(PartnerVariant.id).join(Partner).where(Partner.domain == domain)
            ).first()
        )
        partner = db.session.scalars(db.select(Partner).where(Partner.domain == domain)).one()
        wait(lambda: db.session.get(Partner, partner.id, populate_existing=True).catalogue_read_at)
        query = (
            db.select(PartnerVariant.variant_gid)
            .join(PartnerVariant.product)
            .where(PartnerVariant.partner_id == partner.id, PartnerVariant.available > 9, PartnerVariant.position == 1)
            .where(PartnerProduct.status == "ACTIVE", PartnerVariant.sku != "")
        )
        gids = list(db.session.scalars(query.order_by(PartnerVariant.id).limit(GOODS)))
        picked = imports.pick_variants(partner, gids)
        imports.start(partner, picked, imports.Choices(status="active"), actor="demo", at=clock.now())
        db.session.commit()
        wiring.partner_work_now(merchant_id, "partner_import")
        imported = db.select(ImportedVariant.variant_id).where(ImportedVariant.partner_id == partner.id)
        wait(lambda: all(db.session.scalars(imported)))


def wait(condition: Callable[[], object]) -> None:
    """It is so, or a minute has passed."""
    for _ in range(120):
        db.session.rollback()
        if condition():
            return
        time.sleep(0.5)
    sys.exit("The roasters' goods could not be read.")


if __name__ == "__main__":
    main(*sys.argv[1:4])
