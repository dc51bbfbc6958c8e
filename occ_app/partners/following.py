"""What changed at a partner after an import: followed, asked about, or left, field by field as the merchant's rules say.

A change is seen by comparing the mirror with what our copy was made from. It is a row of `partner_change` while it is open: `is_accepted`
null, the merchant is asked; true, it is to be carried to Shopify, by a rule or by the merchant. Carrying can be repeated without harm.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import contains_eager

from occ_app import clock
from occ_app.catalog.models import Variant
from occ_app.errors import RuleError
from occ_app.extensions import current_shop_id, db
from occ_app.logs import tell
from occ_app.partners import making, markup, settings
from occ_app.partners import models as m
from occ_app.partners.inputs import seen_of, words
from occ_app.partners.making import Maker
from occ_app.partners.models import (
    ImportedProduct,
    ImportedVariant,
    Partner,
    PartnerChange,
    PartnerProduct,
    PartnerVariant,
)
from occ_app.partners.price_rules import Prices
from occ_app.partners.prices import Shown, offer, shown
from occ_app.partners.rules import number_of, sku_for
from occ_app.shopify.client import Client
from occ_app.shopify.errors import ShopifyError, ShopifyRefusedError
from occ_app.work import tasks

PRICE, TITLE, IMAGES, STATUS, NEW_VARIANTS, DELETIONS = (
    "price",
    "title",
    "images",
    "status",
    "new_variants",
    "deletions",
)
FOLLOW, ASK, KEEP = "follow", "ask", "keep"
BY_RULE, BY_ITSELF = "rule", "by itself"
OF_RULES = (
    "of_rules"  # in the facts of a price that differs because the merchant's rules changed, not the partner's price
)
Key = tuple[int, int | None, str]


@dataclass(frozen=True)
class Difference:
    """One thing that is other at the partner than what our copy was made from. `facts`: for people, and what it would do here."""

    key: Key
    facts: dict[str, Any]
    rule: str


def notice(partner: Partner, at: datetime, product_ids: Collection[int] | None = None) -> int:
    """Every difference of the partner's imported products (or of these) is open as the rules say, and what is no longer one is closed.
    Returns how many are to be carried to Shopify. The same number of statements for any number of products."""
    copies = _copies(partner, product_ids)
    if not copies:
        return 0
    found = {one.key: one for one in _differences(partner, copies) if one.rule != KEEP}
    query = select(PartnerChange).where(
        PartnerChange.partner_id == partner.id,
        PartnerChange.settled_at.is_(None),
        PartnerChange.imported_product_id.in_(list(copies)),
    )
    for row in db.session.scalars(query):
        difference = found.pop((row.imported_product_id, row.imported_variant_id, row.field), None)
        if difference is None and row.is_accepted and row.facts.get(OF_RULES):
            continue  # it began with the merchant's rules, so nothing at the partner speaks for or against it
        if difference is None:
            row.settled_at, row.settled_by, row.is_accepted = at, BY_ITSELF, False
        elif _asked(difference.facts) != _asked(row.facts) or (difference.rule == FOLLOW and row.is_accepted is None):
            row.facts, row.noticed_at, row.settled_by = difference.facts, at, None
            row.is_accepted = True if difference.rule == FOLLOW else None
    for key, difference in found.items():
        row = PartnerChange(partner_id=partner.id, imported_product_id=key[0], imported_variant_id=key[1], field=key[2])
        row.facts, row.noticed_at, row.is_accepted = difference.facts, at, True if difference.rule == FOLLOW else None
        db.session.add(row)
    db.session.flush()
    due = db.session.scalar(select(func.count()).select_from(_due(partner).subquery())) or 0
    if due:
        tasks.ask("partner_changes", current_shop_id())
    return due


def _asked(facts: dict[str, Any]) -> dict[str, Any]:
    """What the question is about: all but what our own price is, which may change without the partner."""
    return {name: value for name, value in facts.items() if name != "our_before"}


def _copies(partner: Partner, product_ids: Collection[int] | None) -> dict[int, ImportedProduct]:
    query = select(ImportedProduct).join(ImportedProduct.source).options(contains_eager(ImportedProduct.source))
    query = query.where(ImportedProduct.partner_id == partner.id, ImportedProduct.product_gid.is_not(None))
    if product_ids is not None:
        query = query.where(ImportedProduct.partner_product_id.in_(list(product_ids)))
    return {copy.id: copy for copy in db.session.scalars(query.execution_options(populate_existing=True))}


def _differences(partner: Partner, copies: dict[int, ImportedProduct]) -> list[Difference]:
    return [*_of_products(partner, copies), *_new_variants(partner, copies), *_of_prices(partner, copies)]


def rule_of(partner: Partner, copy: ImportedProduct, field: str) -> str:
    """What is done when that changes: the product's own rule, else the partner's."""
    return str(copy.follow.get(field) or settings.get(partner, f"follow_{field}"))


def _of_products(partner: Partner, copies: dict[int, ImportedProduct]) -> list[Difference]:
    found = []
    for copy in copies.values():
        now, seen = seen_of(copy.source), copy.seen
        for field, name in ((TITLE, "title"), (IMAGES, "images"), (STATUS, "status"), (DELETIONS, "is_deleted")):
            if now[name] != seen.get(name, now[name]):
                facts = {"title": copy.source.title, **_told(field, seen.get(name), now[name])}
                found.append(Difference((copy.id, None, field), facts, rule_of(partner, copy, field)))
    return found


def _told(field: str, before: Any, after: Any) -> dict[str, Any]:
    """Before and after in words."""
    if field == TITLE:
        return {"before": before[0], "after": after[0], "text": before[1] != after[1]}
    if field == IMAGES:
        return {"before": f"{len(before)} pictures", "after": f"{len(after)} pictures", "digest": number_of_text(after)}
    if field == DELETIONS:
        return {"before": "sold", "after": "deleted"} if after else {"before": "deleted", "after": "sold"}
    return {"before": str(before).lower(), "after": str(after).lower()}


def number_of_text(value: Any) -> str:
    """Short text that is another one for another value."""
    return hashlib.sha256(repr(value).encode()).hexdigest()[:12]


def _new_variants(partner: Partner, copies: dict[int, ImportedProduct]) -> list[Difference]:
    by_source = {copy.partner_product_id: copy for copy in copies.values()}
    imported = select(ImportedVariant.partner_variant_id).where(ImportedVariant.partner_id == partner.id)
    query = select(PartnerVariant.id, PartnerVariant.partner_product_id, PartnerVariant.title).where(
        PartnerVariant.partner_product_id.in_(list(by_source)),
        PartnerVariant.deleted_at.is_(None),
        PartnerVariant.id.not_in(imported),
    )
    new: dict[int, list[tuple[int, str]]] = defaultdict(list)
    for number, product_id, title in db.session.execute(query.order_by(PartnerVariant.position, PartnerVariant.id)):
        copy = by_source[product_id]
        if number not in copy.seen.get("variants", []):
            new[copy.id].append((number, title))
    return [
        Difference(
            (copy_id, None, NEW_VARIANTS),
            {
                "title": copies[copy_id].source.title,
                "before": "",
                "after": ", ".join(title for _, title in rows)[:200],
                "variants": [number for number, _ in rows],
            },
            rule_of(partner, copies[copy_id], NEW_VARIANTS),
        )
        for copy_id, rows in new.items()
    ]


def _of_prices(partner: Partner, copies: dict[int, ImportedProduct]) -> list[Difference]:
    query = select(ImportedVariant, PartnerVariant, *m.OF_SHOWN).join(ImportedVariant.partner_variant)
    query = query.outerjoin(Variant, Variant.id == ImportedVariant.variant_id).where(
        ImportedVariant.imported_product_id.in_(list(copies)),
        PartnerVariant.deleted_at.is_(None),
        PartnerVariant.price.is_distinct_from(ImportedVariant.seen_price)
        | (func.coalesce(PartnerVariant.compare_at_price, 0) != ImportedVariant.seen_compare_at),
    )
    prices, found = Prices(partner), []
    for row, variant, *seen in db.session.execute(query):
        now = shown(*seen)
        copy = copies[row.imported_product_id]
        pricing = prices.pricing(copy.source.product_type, copy)
        new = offer(variant.price, variant.compare_at_price, pricing)
        changes_here = pricing.has_compare_at and now.compare_at != new.kept_compare_at
        if variant.price == row.seen_price and not changes_here:
            continue  # their compare-at price alone is another one, and that is nothing to us
        title = f"{copy.source.title}, {variant.title}" if variant.title else copy.source.title
        facts = {"title": title, "before": _text(row.seen_price), "after": _text(variant.price)}
        facts |= {"our_before": _text(now.price), "our_after": _text(new.price), "problem": new.problem}
        if (variant.compare_at_price or 0) != (row.seen_compare_at or 0) or now.compare_at != new.kept_compare_at:
            there = {"before": _text(row.seen_compare_at or None), "after": _text(variant.compare_at_price)}
            facts["compare_at"] = there | {"our_after": _text(new.compare_at)}
        rule = rule_of(partner, copy, PRICE)
        found.append(
            Difference(
                (copy.id, row.id, PRICE), facts, ASK if rule == FOLLOW and (new.problem or now.is_by_hand) else rule
            )
        )
    return found


def _text(value: Decimal | None) -> str:
    return "" if value is None else format(value, "f")


# Deciding -------------------------------------------------------------------------------------------------------------------------


def pending(partner: Partner) -> Sequence[PartnerChange]:
    """What the merchant is asked about, newest first; at most 500."""
    query = select(PartnerChange).where(
        PartnerChange.partner_id == partner.id, PartnerChange.settled_at.is_(None), PartnerChange.is_accepted.is_(None)
    )
    return db.session.scalars(query.order_by(PartnerChange.id.desc()).limit(500)).all()


def shown_now(rows: Sequence[PartnerChange]) -> dict[int, Shown]:
    """Imported variant id -> what customers see now, of the changed prices among these. One statement."""
    ids = [row.imported_variant_id for row in rows if row.field == PRICE]
    query = select(ImportedVariant.id, *m.OF_SHOWN).where(ImportedVariant.id.in_(ids))
    query = query.outerjoin(Variant, Variant.id == ImportedVariant.variant_id)
    return {number: shown(*seen) for number, *seen in db.session.execute(query)}


def pending_count(partner: Partner) -> int:
    """How many changes the merchant is asked about."""
    query = select(func.count(PartnerChange.id)).where(
        PartnerChange.partner_id == partner.id, PartnerChange.settled_at.is_(None), PartnerChange.is_accepted.is_(None)
    )
    return db.session.scalar(query) or 0


def pending_counts() -> dict[int, int]:
    """Partner id -> how many changes the merchant is asked about, of all partners that have any. One statement."""
    query = select(PartnerChange.partner_id, func.count()).where(
        PartnerChange.settled_at.is_(None), PartnerChange.is_accepted.is_(None)
    )
    return {
        partner_id: int(number) for partner_id, number in db.session.execute(query.group_by(PartnerChange.partner_id))
    }


def settle(partner: Partner, ids: Collection[int], *, is_accepted: bool, actor: str, at: datetime) -> int:
    """These changes are taken over (as soon as Shopify has them) or declined for good. Returns how many. Raises RuleError where none is open."""
    query = select(PartnerChange).where(
        PartnerChange.partner_id == partner.id,
        PartnerChange.id.in_(list(ids)),
        PartnerChange.settled_at.is_(None),
        PartnerChange.is_accepted.is_(None),
    )
    rows = db.session.scalars(query.with_for_update()).all()
    if not rows:
        raise RuleError("Pick at least one change that is still open.")
    for row in rows:
        if is_accepted and row.field == PRICE and row.facts.get("problem"):
            raise RuleError(f"{row.facts['title']}: {row.facts['problem']} Change the rule first.")
        row.settled_by = actor
        if is_accepted:
            row.is_accepted = True
        else:
            _note(row)
            row.is_accepted, row.settled_at = False, at
    db.session.flush()
    return len(rows)


def _note(row: PartnerChange) -> None:
    """What the change was about counts as seen, so that it is not told again."""
    copy = db.session.get_one(ImportedProduct, row.imported_product_id)
    source = db.session.get_one(PartnerProduct, copy.partner_product_id)
    if row.field == PRICE:
        ours = db.session.get_one(ImportedVariant, row.imported_variant_id)
        making.note_seen(ours, db.session.get_one(PartnerVariant, ours.partner_variant_id))
    elif row.field == NEW_VARIANTS:
        copy.seen = {**copy.seen, "variants": sorted({*copy.seen.get("variants", []), *row.facts["variants"]})}
    else:
        name = "is_deleted" if row.field == DELETIONS else row.field
        copy.seen = {**copy.seen, name: seen_of(source)[name]}


# Carrying -------------------------------------------------------------------------------------------------------------------------


def _due(partner: Partner) -> Select[PartnerChange]:
    return select(PartnerChange).where(
        PartnerChange.partner_id == partner.id, PartnerChange.settled_at.is_(None), PartnerChange.is_accepted
    )


def carry(client: Client, partner: Partner) -> int:
    """What is to be followed has been carried to the merchant's Shopify; what it refuses is asked about. Commits product by product."""
    rows = db.session.scalars(_due(partner).order_by(PartnerChange.imported_product_id, PartnerChange.id)).all()
    by_product: dict[int, list[PartnerChange]] = defaultdict(list)
    for row in rows:
        by_product[row.imported_product_id].append(row)
    if not by_product:
        return 0
    maker = Maker(client, partner, None)
    for copy_id, found in by_product.items():
        changes = _left_alone(found)
        ids = [change.id for change in changes]
        try:
            _carry_product(maker, copy_id, changes)
            for change in changes:
                _note(change)
                change.settled_at, change.settled_by = clock.now(), change.settled_by or BY_RULE
        except (RuleError, ShopifyRefusedError) as error:
            _ask_again(ids, str(error))
        except ShopifyError:  # Shopify, or our access to it, is away: all of it waits
            raise
        except Exception as error:  # a bug, but one product's alone
            _ask_again(ids, tell("change not carried", error, imported_product=copy_id))
        db.session.commit()
    return len(rows)


def _left_alone(changes: Sequence[PartnerChange]) -> list[PartnerChange]:
    """These without the prices that were changed by hand since a rule said to follow: the merchant is asked about those."""
    by_rule = [change for change in changes if change.field == PRICE and change.settled_by is None]
    now = shown_now(by_rule)
    for change in by_rule:
        if change.imported_variant_id in now and now[change.imported_variant_id].is_by_hand:
            change.is_accepted = None
    return [change for change in changes if change.is_accepted]


def _ask_again(ids: Collection[int], problem: str) -> None:
    db.session.rollback()
    for change in db.session.scalars(select(PartnerChange).where(PartnerChange.id.in_(ids))):
        change.is_accepted, change.facts = None, {**change.facts, "problem": problem}


def _carry_product(maker: Maker, copy_id: int, changes: Sequence[PartnerChange]) -> None:
    copy = db.session.get_one(ImportedProduct, copy_id)
    source = db.session.get_one(PartnerProduct, copy.partner_product_id)
    if copy.product_gid is None:
        raise RuleError(making.DELETED)
    by_field: dict[str, list[PartnerChange]] = defaultdict(list)
    for change in changes:
        by_field[change.field].append(change)
    given = _product_input(maker, copy, source, by_field)
    if given:
        variables = {"input": given, "identifier": {"id": copy.product_gid}, "synchronous": True}
        answer = maker.client.mutate("product_set", variables).data["productSet"]
        if answer["userErrors"]:
            raise RuleError(words(answer["userErrors"]))
    if PRICE in by_field:
        maker.set_prices(copy, source, [change.imported_variant_id for change in by_field[PRICE]])
    for change in by_field.get(NEW_VARIANTS, []):
        _carry_variants(maker, copy, source, change.facts["variants"])


def _product_input(
    maker: Maker, copy: ImportedProduct, source: PartnerProduct, by_field: dict[str, Any]
) -> dict[str, Any]:
    given: dict[str, Any] = {}
    if TITLE in by_field:
        given |= {"title": source.title[:255], "descriptionHtml": markup.shown(source.description_html)}
    if IMAGES in by_field:
        given["files"] = [
            {"originalSource": one["url"], "alt": one["alt"][:512], "contentType": "IMAGE"} for one in source.images
        ]
    if STATUS in by_field or DELETIONS in by_field:
        is_sold = source.status == "ACTIVE" and source.deleted_at is None
        if not is_sold and copy.status_before is None:
            copy.status_before = maker.status_of(copy)
            given["status"] = "DRAFT"
        elif is_sold and copy.status_before is not None:
            given["status"], copy.status_before = copy.status_before, None
    return given


def _carry_variants(maker: Maker, copy: ImportedProduct, source: PartnerProduct, ids: Collection[int]) -> None:
    query = select(PartnerVariant).where(PartnerVariant.id.in_(list(ids)), PartnerVariant.deleted_at.is_(None))
    variants = db.session.scalars(query.order_by(PartnerVariant.position, PartnerVariant.id)).all()
    taken = {sku.lower() for sku in db.session.scalars(select(m.Item.sku).where(m.Item.sku.ilike("PARTNER-%")))}
    wanted = []
    for variant in variants:
        sku = sku_for(maker.partner.domain, variant.sku, number_of(variant.variant_gid), taken)
        taken.add(sku.lower())
        wanted.append((variant, sku))
    if wanted:
        maker.add_variants(copy, source, wanted)
