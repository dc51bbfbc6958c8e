"""A partner's catalogue as the merchant browses it: searched, filtered, paged, priced by a rule that may be a try-out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, or_, select

from occ_app.catalog.models import Variant
from occ_app.extensions import db
from occ_app.partners import models as m
from occ_app.partners.models import ImportedProduct, ImportedVariant, Partner, PartnerProduct, PartnerVariant
from occ_app.partners.price_rules import Prices
from occ_app.partners.prices import Offer, Rule, Shown, margin_percent, offer, shown
from occ_app.searching import contains

PER_PAGE = 50
STOCKS = ("any", "some", "none", "uncounted")
SHOWN = ("all", "new", "imported")
SORTS = ("title", "price", "stock")


@dataclass(frozen=True)
class Filter:
    """What of the catalogue is looked at. Empty: all of it."""

    q: str = ""
    product_type: str = ""
    vendor: str = ""
    stock: str = "any"
    shown: str = "all"
    least: Decimal | None = None  # their price
    most: Decimal | None = None
    sort: str = "title"


@dataclass(frozen=True)
class Row:
    """One product with our copy, if there is one, and the offer of its cheapest and its dearest variant. `is_uncounted`: the partner
    does not count some of it."""

    product: PartnerProduct
    copy: ImportedProduct | None
    least: Offer
    most: Offer
    is_uncounted: bool = False

    @property
    def problem(self) -> str | None:
        """Why it cannot be imported so."""
        return self.least.problem or self.most.problem

    @property
    def margin_percent(self) -> Decimal | None:
        """The smaller of the two margins; a fixed amount leaves less of a dear one, rounding more of a cheap one."""
        found = [one.margin_percent for one in (self.least, self.most) if one.margin_percent is not None]
        return min(found, default=None)

    @property
    def is_imported(self) -> bool:
        """Whether it sells here."""
        return self.copy is not None and (self.copy.state == m.IMPORTED or self.copy.product_gid is not None)

    @property
    def can_be_picked(self) -> bool:
        """Whether it can be imported at all, its price apart."""
        return not self.product.is_bundle and self.product.variants > 0


def _of(partner: Partner, chosen: Filter) -> Select[PartnerProduct, ImportedProduct]:
    """The living products of the partner that it sells, or that are imported, as far as they are looked for."""
    copy = and_(
        ImportedProduct.partner_product_id == PartnerProduct.id,
        ImportedProduct.partner_id == partner.id,  # follows from the line above; said so that its index serves
        m.IN_SHOP | ImportedProduct.state.in_((m.WANTED, m.CREATING)),
    )
    query = select(PartnerProduct, ImportedProduct).outerjoin(ImportedProduct, copy)
    query = query.where(PartnerProduct.partner_id == partner.id, PartnerProduct.deleted_at.is_(None))
    query = query.where((PartnerProduct.status == "ACTIVE") | ImportedProduct.id.is_not(None))
    if chosen.q:
        by_sku = select(PartnerVariant.partner_product_id).where(
            PartnerVariant.partner_id == partner.id,
            contains(chosen.q, PartnerVariant.sku, PartnerVariant.barcode),
        )
        query = query.where(or_(contains(chosen.q, PartnerProduct.title), PartnerProduct.id.in_(by_sku)))
    if chosen.product_type:
        query = query.where(PartnerProduct.product_type == chosen.product_type)
    if chosen.vendor:
        query = query.where(PartnerProduct.vendor == chosen.vendor)
    if chosen.stock == "some":
        query = query.where(PartnerProduct.available > 0)
    elif chosen.stock != "any":
        query = query.where(
            PartnerProduct.available <= 0, _has_uncounted() if chosen.stock == "uncounted" else ~_has_uncounted()
        )
    if chosen.shown != "all":
        query = query.where(ImportedProduct.id.is_(None) if chosen.shown == "new" else ImportedProduct.id.is_not(None))
    if chosen.least is not None:
        query = query.where(PartnerProduct.most_price >= chosen.least)
    if chosen.most is not None:
        query = query.where(PartnerProduct.least_price <= chosen.most)
    return query


def _has_uncounted() -> ColumnElement[bool]:
    """Whether the partner does not count some of the product."""
    query = select(PartnerVariant.id).where(
        PartnerVariant.partner_product_id == PartnerProduct.id,
        PartnerVariant.available.is_(None),
        PartnerVariant.deleted_at.is_(None),
    )
    return query.correlate(PartnerProduct).exists()


def count(partner: Partner, chosen: Filter) -> int:
    """How many products are found."""
    return db.session.scalar(select(func.count()).select_from(_of(partner, chosen).subquery())) or 0


@dataclass(frozen=True)
class HeldBack:
    """Living products of a partner that it does not sell in its own store, so that they are neither shown nor imported."""

    drafts: int
    archived: int
    unlisted: int
    sold: int  # the others

    @property
    def total(self) -> int:
        """All that are held back."""
        return self.drafts + self.archived + self.unlisted

    @property
    def words(self) -> str:
        """How many are what."""
        parts = ((self.drafts, "draft", "drafts"), (self.archived, "archived", "archived"))
        named = [f"{number:,} {one if number == 1 else many}" for number, one, many in parts if number]
        named += [f"{self.unlisted:,} unlisted"] if self.unlisted else []
        return " and ".join([", ".join(named[:-1]), named[-1]] if len(named) > 1 else named)


def held_back(partner: Partner) -> HeldBack:
    """What of the partner's products it does not sell. One statement."""
    query = select(PartnerProduct.status, func.count()).where(
        PartnerProduct.partner_id == partner.id, PartnerProduct.deleted_at.is_(None)
    )
    found = {status: int(number) for status, number in db.session.execute(query.group_by(PartnerProduct.status))}
    held = {status: found.get(status, 0) for status in ("DRAFT", "ARCHIVED", "UNLISTED")}
    return HeldBack(held["DRAFT"], held["ARCHIVED"], held["UNLISTED"], sum(found.values()) - sum(held.values()))


def rows(
    partner: Partner, chosen: Filter, page: int, *, rule: Rule | None = None, prices: Prices | None = None
) -> list[Row]:
    """The products of one page, priced: by `rule` where one is tried out, else as kept. One statement."""
    order = {
        "price": (PartnerProduct.least_price.asc().nulls_last(), PartnerProduct.title),
        "stock": (PartnerProduct.available.desc(), PartnerProduct.title),
    }.get(chosen.sort, (PartnerProduct.title,))
    query = _of(partner, chosen).order_by(*order, PartnerProduct.id).limit(PER_PAGE).offset((page - 1) * PER_PAGE)
    prices = prices or Prices(partner)
    found = db.session.execute(query.add_columns(_has_uncounted()))
    return [priced(product, copy, prices, rule, is_uncounted=bool(flag)) for product, copy, flag in found]


def priced(
    product: PartnerProduct,
    copy: ImportedProduct | None,
    prices: Prices,
    rule: Rule | None = None,
    *,
    is_uncounted: bool = False,
) -> Row:
    """The product with what it would cost and sell for."""
    pricing = prices.pricing(product.product_type, copy, rule if copy is None else None)
    least, most = (offer(price, None, pricing) for price in (product.least_price, product.most_price))
    return Row(product, copy, least, most, is_uncounted)


def ids(partner: Partner, chosen: Filter, limit: int) -> list[int]:
    """All products that are found, for "all of them"; bundles and what has no variants left out."""
    query = _of(partner, chosen).where(~PartnerProduct.is_bundle, PartnerProduct.variants > 0)
    found = query.with_only_columns(PartnerProduct.id).order_by(PartnerProduct.title, PartnerProduct.id)
    return list(db.session.scalars(found.limit(limit)))


def choices(partner: Partner) -> tuple[Sequence[str], Sequence[str]]:
    """The product types and the vendors that the partner has, for the filters. Two statements."""
    found = []
    for column in (PartnerProduct.product_type, PartnerProduct.vendor):
        query = select(column).where(
            PartnerProduct.partner_id == partner.id, PartnerProduct.deleted_at.is_(None), column != ""
        )
        found.append(db.session.scalars(query.distinct().order_by(column).limit(200)).all())
    return found[0], found[1]


@dataclass(frozen=True)
class VariantRow:
    """One variant of theirs with what the rules make of it, and what customers see where it sells here."""

    variant: PartnerVariant
    offer: Offer
    shown: Shown | None

    @property
    def price(self) -> Decimal | None:
        """What customers pay, or would."""
        return self.shown.price if self.shown and self.shown.price is not None else self.offer.price

    @property
    def compare_at(self) -> Decimal | None:
        """What stands crossed out beside it, or would."""
        return self.shown.compare_at or None if self.shown else self.offer.compare_at

    @property
    def margin_percent(self) -> Decimal | None:
        """What that leaves, in per cent."""
        return None if self.price is None or self.offer.cost is None else margin_percent(self.price, self.offer.cost)


def variants(product: PartnerProduct, prices: Prices, copy: ImportedProduct | None) -> list[VariantRow]:
    """The product's living variants, in their order."""
    query = select(PartnerVariant, ImportedVariant.id, *m.OF_SHOWN).outerjoin(
        ImportedVariant, ImportedVariant.partner_variant_id == PartnerVariant.id
    )
    query = query.outerjoin(Variant, Variant.id == ImportedVariant.variant_id)
    query = query.where(PartnerVariant.partner_product_id == product.id, PartnerVariant.deleted_at.is_(None))
    pricing = prices.pricing(product.product_type, copy)
    found = db.session.execute(query.order_by(PartnerVariant.position, PartnerVariant.id))
    sells = copy is not None and copy.product_gid is not None
    return [
        VariantRow(one, offer(one.price, one.compare_at_price, pricing), shown(*seen) if number and sells else None)
        for one, number, *seen in found
    ]


def listing(partner: Partner) -> list[dict[str, Any]]:
    """Every living variant with its product, its offer and what became of it, for commands. Money as text."""
    prices = Prices(partner)
    query = (
        select(PartnerProduct, PartnerVariant, ImportedProduct, ImportedVariant.variant_gid, m.Item.sku)
        .join(PartnerVariant, PartnerVariant.partner_product_id == PartnerProduct.id)
        .outerjoin(ImportedProduct, ImportedProduct.partner_product_id == PartnerProduct.id)
        .outerjoin(ImportedVariant, ImportedVariant.partner_variant_id == PartnerVariant.id)
        .outerjoin(m.Item, m.Item.id == ImportedVariant.item_id)
        .where(
            PartnerProduct.partner_id == partner.id,
            PartnerProduct.deleted_at.is_(None),
            PartnerVariant.deleted_at.is_(None),
        )
        .order_by(PartnerProduct.title, PartnerProduct.id, PartnerVariant.position, PartnerVariant.id)
    )
    return [_listed(partner, prices, *row) for row in db.session.execute(query)]


def _listed(
    partner: Partner,
    prices: Prices,
    product: PartnerProduct,
    variant: PartnerVariant,
    copy: ImportedProduct | None,
    own_gid: str | None,
    item_sku: str | None,
) -> dict[str, Any]:
    found = offer(variant.price, variant.compare_at_price, prices.pricing(product.product_type, copy))
    money = {
        "cost": found.cost,
        "our_price": found.price,
        "our_compare_at_price": found.compare_at,
        "margin_percent": found.margin_percent,
    }
    return {
        "partner": partner.domain,
        "product_gid": product.product_gid,
        "variant_gid": variant.variant_gid,
        "title": product.title,
        "variant_title": variant.title,
        "sku": variant.sku,
        "vendor": product.vendor,
        "product_type": product.product_type,
        "status": product.status.lower(),
        "is_bundle": product.is_bundle,
        "available": variant.available,
        "price": _text(variant.price),
        "compare_at_price": _text(variant.compare_at_price),
        "currency": prices.theirs,
        "our_currency": prices.ours,
        **{name: _text(value) for name, value in money.items()},
        "problem": found.problem,
        "imported": own_gid is not None,
        "import_state": copy.state if copy else None,
        "import_cause": copy.cause if copy else None,
        "our_variant_gid": own_gid,
        "our_sku": item_sku,
    }


def _text(value: Decimal | None) -> str | None:
    return None if value is None else format(value, "f")
