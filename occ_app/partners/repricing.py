"""Imported goods whose price is other than the rules say now: shown before and after, and set where the merchant chooses so.

A rule that changes touches nothing in the merchant's shop by itself. What is chosen becomes an accepted change of price, which
`following` carries to Shopify like one that began at the partner.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import select

from occ_app.catalog.models import Variant
from occ_app.errors import RuleError
from occ_app.extensions import current_shop_id, db
from occ_app.partners import following
from occ_app.partners.models import (
    ImportedProduct,
    ImportedVariant,
    Partner,
    PartnerChange,
    PartnerProduct,
    PartnerVariant,
)
from occ_app.partners.price_rules import Prices
from occ_app.partners.prices import Offer, Rule, margin_percent, offer, shown
from occ_app.work import tasks

PER_PAGE = 50


@dataclass(frozen=True)
class Repriced:
    """One imported variant whose price, compare-at price or cost the rules make otherwise. `now`: what customers pay, as last seen in
    Shopify; `compare_at_now`: what stands crossed out beside it, 0 for nothing, None where that was not read yet; `is_by_hand`: somebody
    changed that in Shopify, and so it stays until the merchant picks it."""

    id: int
    copy_id: int
    variant_gid: str
    title: str
    now: Decimal | None
    compare_at_now: Decimal | None
    cost_now: Decimal | None
    their_price: Decimal | None
    rule: Rule
    new: Offer
    is_by_hand: bool

    @property
    def is_up(self) -> bool:
        """Whether customers would pay more."""
        return self.new.price is not None and self.now is not None and self.new.price > self.now

    @property
    def is_down(self) -> bool:
        """Whether customers would pay less."""
        return self.new.price is not None and self.now is not None and self.new.price < self.now

    @property
    def has_other_compare_at(self) -> bool:
        """Whether something else would stand crossed out beside the price."""
        return self.compare_at_now not in (None, self.new.kept_compare_at)

    @property
    def margin_now(self) -> Decimal | None:
        """What is left of the present price, in per cent, at what it costs by the rules now."""
        if self.now is None or self.new.cost is None:
            return None
        return margin_percent(self.now, self.new.cost)


@dataclass(frozen=True)
class Preview:
    """All imported goods of a partner against the rules. `waiting`: prices that are chosen already and on their way to Shopify."""

    rows: Sequence[Repriced]
    compared: int
    waiting: int

    @property
    def possible(self) -> Sequence[Repriced]:
        """Those that can be set."""
        return [row for row in self.rows if row.new.problem is None]

    @property
    def at_once(self) -> Sequence[Repriced]:
        """Those that are set when all are: not what was changed by hand, which has to be picked."""
        return [row for row in self.possible if not row.is_by_hand]

    @property
    def by_hand(self) -> int:
        """How many were changed by hand."""
        return sum(row.is_by_hand for row in self.rows)

    @property
    def up(self) -> int:
        """How many would rise."""
        return sum(row.is_up for row in self.possible)

    @property
    def down(self) -> int:
        """How many would fall."""
        return sum(row.is_down for row in self.possible)

    @property
    def beside(self) -> int:
        """How many would keep their price and get another compare-at price."""
        return sum(row.has_other_compare_at and row.new.price == row.now for row in self.possible)


def preview(partner: Partner) -> Preview:
    """What setting all prices by the rules would change. The same number of statements for any number of goods."""
    prices, rows, compared = Prices(partner), [], 0
    on_the_way = _on_the_way(partner)
    for found in db.session.execute(_goods(partner)):
        compared += 1
        if found.id in on_the_way:
            continue
        own = Rule(found.price_kind, found.price_value) if found.price_kind else None
        rule = own or prices.rule(found.product_type)
        new = offer(found.their_price, found.their_compare_at, prices.pricing(found.product_type, rule=rule))
        title = f"{found.title}, {found.variant_title}" if found.variant_title else found.title
        now = shown(found.price, found.compare_at, found.shown_price, found.shown_compare_at)
        mine = (found.id, found.copy_id, found.variant_gid, title, now.price, now.compare_at, found.cost)
        row = Repriced(*mine, found.their_price, rule, new, now.is_by_hand)
        if (new.price, new.cost) != (row.now, row.cost_now) or row.has_other_compare_at:
            rows.append(row)
    return Preview(rows, compared, len(on_the_way))


def _goods(partner: Partner) -> Any:
    """The living imported variants of the partner, with all that their prices are made from."""
    query = (
        select(
            ImportedVariant.id,
            ImportedVariant.variant_gid,
            ImportedVariant.price,
            ImportedVariant.compare_at,
            ImportedVariant.cost,
            ImportedProduct.id.label("copy_id"),
            ImportedProduct.price_kind,
            ImportedProduct.price_value,
            PartnerProduct.title,
            PartnerProduct.product_type,
            PartnerVariant.title.label("variant_title"),
            PartnerVariant.price.label("their_price"),
            PartnerVariant.compare_at_price.label("their_compare_at"),
            Variant.price.label("shown_price"),
            Variant.compare_at_price.label("shown_compare_at"),
        )
        .join(ImportedVariant.imported_product)
        .join(ImportedVariant.partner_variant)
        .join(PartnerVariant.product)
        .outerjoin(Variant, Variant.id == ImportedVariant.variant_id)
    )
    return query.where(
        ImportedVariant.partner_id == partner.id,
        ImportedVariant.variant_gid.is_not(None),
        ImportedProduct.product_gid.is_not(None),
        PartnerVariant.deleted_at.is_(None),
    ).order_by(PartnerProduct.title, PartnerProduct.id, PartnerVariant.position, PartnerVariant.id)


def _on_the_way(partner: Partner) -> set[int]:
    """Imported variants whose new price is chosen and not in Shopify yet."""
    query = select(PartnerChange.imported_variant_id).where(
        PartnerChange.partner_id == partner.id,
        PartnerChange.field == following.PRICE,
        PartnerChange.settled_at.is_(None),
        PartnerChange.is_accepted,
    )
    return {number for number in db.session.scalars(query) if number is not None}


def waiting(partner: Partner) -> int:
    """How many prices are on their way to Shopify."""
    return len(_on_the_way(partner))


def choose(partner: Partner, ids: Collection[int] | None, *, actor: str, at: datetime) -> int:
    """These imported variants (None: all that can be, and were not changed by hand) are to have the price that the rules say now. Returns
    how many.

    Raises RuleError where there is none, or one must not be sold so; then none is set.
    """
    db.session.scalars(select(Partner.id).where(Partner.id == partner.id).with_for_update()).one()
    found = preview(partner)
    picked = found.at_once if ids is None else [row for row in found.rows if row.id in set(ids)]
    if not picked:
        raise RuleError("Pick at least one price that is other than your rules say.")
    for row in picked:
        if row.new.problem:
            raise RuleError(f"{row.title}: {row.new.problem} Change the rule first, or leave it out.")
    open_rows = _questions(partner, [row.id for row in picked])
    for row in picked:
        change = open_rows.get(row.id)
        if change is None:
            change = PartnerChange(
                partner_id=partner.id,
                imported_product_id=row.copy_id,
                imported_variant_id=row.id,
                field=following.PRICE,
                noticed_at=at,
                facts=_facts(row) | {following.OF_RULES: True},
            )
            db.session.add(change)
        else:  # a question about the partner's own change is answered by this choice
            change.facts = change.facts | {"our_after": _text(row.new.price)}
        change.is_accepted, change.settled_by = True, actor
    db.session.flush()
    tasks.ask("partner_changes", current_shop_id())
    return len(picked)


def _questions(partner: Partner, ids: Collection[int]) -> dict[int | None, PartnerChange]:
    query = select(PartnerChange).where(
        PartnerChange.partner_id == partner.id,
        PartnerChange.field == following.PRICE,
        PartnerChange.settled_at.is_(None),
        PartnerChange.imported_variant_id.in_(list(ids)),
    )
    return {row.imported_variant_id: row for row in db.session.scalars(query.with_for_update())}


def _facts(row: Repriced) -> dict[str, Any]:
    theirs, now = _text(row.their_price), _text(row.now)
    return {"title": row.title, "before": theirs, "after": theirs, "our_before": now, "our_after": _text(row.new.price)}


def _text(value: Decimal | None) -> str:
    return "" if value is None else format(value, "f")
