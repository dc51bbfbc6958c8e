"""Which rule makes the price of a partner's good: its own, else its product type's, else the partner's. As kept, and as changed."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from occ_app.errors import RuleError
from occ_app.extensions import current_shop_id, db
from occ_app.partners import settings
from occ_app.partners.models import ImportedProduct, Partner, PriceRule
from occ_app.partners.prices import MARGIN, MARKUP, Pricing, Rule
from occ_app.shops.models import Shop


class Prices:
    """Everything that makes a partner's prices, loaded once: three statements, whatever the number of goods.

    `rounding` and `minimum_margin_percent` may be set to try others out.
    """

    def __init__(self, partner: Partner) -> None:
        self.partner = partner
        self.ours = db.session.get_one(Shop, current_shop_id()).currency
        theirs = db.session.get(Shop, partner.partner_shop_id) if partner.partner_shop_id else None
        self.theirs = theirs.currency if theirs else self.ours
        self.by_type = types(partner)
        self.of_partner = partner_rule(partner)
        self.rounding: str = settings.get(partner, "rounding")
        self.minimum_margin_percent = settings.number(partner, "minimum_margin_percent")

    @property
    def rate(self) -> Decimal | None:
        """What one unit of their currency is in ours; None where it is another one and the merchant has not said."""
        if self.theirs == self.ours:
            return Decimal(1)
        return settings.rate(self.partner, self.theirs, self.ours)

    def rule(self, product_type: str, copy: ImportedProduct | None = None) -> Rule:
        """The rule that holds for a product of that type, or for this copy."""
        if copy is not None and copy.price_kind and copy.price_value is not None:
            return Rule(copy.price_kind, copy.price_value)
        return self.by_type.get(product_type, self.of_partner)

    def pricing(self, product_type: str, copy: ImportedProduct | None = None, rule: Rule | None = None) -> Pricing:
        """All that makes the price; with `rule` in place of the kept one."""
        return Pricing(
            rule or self.rule(product_type, copy),
            rounding=self.rounding,
            minimum_margin_percent=self.minimum_margin_percent,
            discount_percent=settings.number(self.partner, "discount_percent"),
            rate=self.rate,
            their_currency=self.theirs,
            our_currency=self.ours,
            has_compare_at=settings.get(self.partner, "compare_at") == "follow",
        )


def types(partner: Partner) -> Mapping[str, Rule]:
    """The rules of single product types."""
    query = select(PriceRule).where(PriceRule.partner_id == partner.id).order_by(PriceRule.product_type)
    return {row.product_type: Rule(row.kind, row.value) for row in db.session.scalars(query)}


def partner_rule(partner: Partner) -> Rule:
    """The partner's rule."""
    kind = settings.get(partner, "price_rule")
    name = {MARKUP: "markup_percent", MARGIN: "margin_amount"}.get(kind, "margin_percent")
    return Rule(kind, settings.number(partner, name))


def set_partner_rule(partner: Partner, rule: Rule) -> None:
    """The partner's goods are priced so, but for types and products with rules of their own."""
    name = {MARKUP: "markup_percent", MARGIN: "margin_amount"}.get(rule.kind, "margin_percent")
    settings.put(partner, "price_rule", rule.kind)
    settings.put(partner, name, format(rule.value, "f"))


def set_type_rule(partner: Partner, product_type: str, rule: Rule | None) -> None:
    """Products of that type are priced so; None: like all others of the partner."""
    product_type = product_type.strip()
    if not product_type or len(product_type) > 255:
        raise RuleError("Choose a product type.", field="product_type")
    if rule is None:
        found = db.session.scalar(
            select(PriceRule).where(PriceRule.partner_id == partner.id, PriceRule.product_type == product_type)
        )
        if found is not None:
            db.session.delete(found)
        return
    row = {
        "shop_id": partner.shop_id,
        "partner_id": partner.id,
        "product_type": product_type,
        "kind": rule.kind,
        "value": rule.value,
    }
    statement = insert(PriceRule).values(row)
    again = {"kind": rule.kind, "value": rule.value}
    db.session.execute(statement.on_conflict_do_update(index_elements=["partner_id", "product_type"], set_=again))
