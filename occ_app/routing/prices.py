"""A partner's money and ours."""

from __future__ import annotations

from decimal import Decimal

from occ_app.extensions import db
from occ_app.partners import settings
from occ_app.partners.models import Partner
from occ_app.shops.models import Shop
from occ_app.sync.targets import shop


class Rates:
    """What a partner's amounts are in ours; each partner's currency is looked up once."""

    def __init__(self) -> None:
        self._currencies: dict[int, str] = {}

    def currency(self, partner: Partner) -> str:
        """The partner's currency; ours where its shop is gone."""
        if partner.id not in self._currencies:
            theirs = db.session.get(Shop, partner.partner_shop_id) if partner.partner_shop_id else None
            self._currencies[partner.id] = theirs.currency if theirs else shop().currency
        return self._currencies[partner.id]

    def ours(self, partner: Partner, amount: Decimal) -> Decimal | None:
        """The amount in our currency; None where no rate is known."""
        if self.currency(partner) == shop().currency:
            return amount
        given = settings.get(partner, "exchange_rate")
        return amount * Decimal(given) if given else None
