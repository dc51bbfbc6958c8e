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

    def ours(self, partner: Partner, amount: Decimal, currency: str) -> Decimal | None:
        """The amount, which is in that currency, in ours; None where no rate is known. The one that is given is of what the partner sells in
        now."""
        if currency == shop().currency:
            return amount
        if currency != self.currency(partner):
            return None
        rate = settings.rate(partner, currency, shop().currency)
        return amount * rate if rate is not None else None
