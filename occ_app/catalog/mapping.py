"""Mappings: made, ended, suggested. Whoever must know registers with `after_mapping` (sync and orders, through `wiring`)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import joinedload

from occ_app.catalog import items
from occ_app.catalog.models import PRODUCT, Item, Location, Mapping, Variant
from occ_app.catalog.rules import Titles
from occ_app.errors import NotFoundError, RuleError
from occ_app.extensions import db

_made: list[Callable[[Sequence[Mapping]], None]] = []
_ended: list[Callable[[Mapping], None]] = []
MOST_UNITS_PER_VARIANT = 100_000
DRIFT_RULES = ("ask", "hub", "shopify")


@dataclass(frozen=True)
class Suggestion:
    """A variant that looks like an item, and by what: sku, barcode or title."""

    item: Item
    variant: Variant
    by: str


def after_mapping(made: Callable[[Sequence[Mapping]], None], ended: Callable[[Mapping], None]) -> None:
    """`made` is called with all mappings that are made together, `ended` with the one that ends, within the transaction."""
    if made not in _made:
        _made.append(made)
        _ended.append(ended)


def make(item: Item, variant: Variant, location: Location, *, units_per_variant: int = 1, at: datetime) -> Mapping:
    """The variant sells the item at the location. Raises RuleError where it cannot, or sells another item there already."""
    taken = living(variant.id, location.id)
    mapping = check(item, variant, location, taken, units_per_variant=units_per_variant, at=at)
    make_all([mapping])
    return mapping


def check(
    item: Item, variant: Variant, location: Location, taken: Mapping | None, *, units_per_variant: int, at: datetime
) -> Mapping:
    """The mapping as it would be made; nothing is changed. `taken`: the living one of the variant there. Raises RuleError."""
    items.refuse_archived(item, field="item")
    if not 1 <= units_per_variant <= MOST_UNITS_PER_VARIANT:
        raise RuleError("Give units per variant of 1 or more.", field="units_per_variant")
    if variant.deleted_at:
        raise RuleError(f"Shopify no longer has the variant {variant.sku or variant.variant_gid}.", field="variant")
    if variant.is_bundle:
        raise RuleError(
            f"{variant.full_title} is a bundle: Shopify computes its stock itself. Map its parts.", field="variant"
        )
    if not variant.is_tracked:
        raise RuleError(
            f"Shopify does not count {variant.full_title}. Turn on 'Track quantity' for it in Shopify, then map it.",
            field="variant",
        )
    if taken:
        raise _taken(variant, taken.item.sku, location)
    ids = {"item_id": item.id, "variant_id": variant.id, "location_id": location.id}
    mapping = Mapping(**ids, units_per_variant=units_per_variant, sync_enabled=True, created_at=at)
    mapping.item, mapping.variant, mapping.location = item, variant, location
    return mapping


def make_all(made: Sequence[Mapping]) -> None:
    """These mappings, all of them checked, are there. Raises RuleError where somebody mapped one of the variants a moment ago."""
    try:
        with db.session.begin_nested():
            db.session.add_all(made)
    except IntegrityError as error:
        if "uq_mapping_living" not in str(error.orig):
            raise
        raise _taken_meanwhile(made) from error
    for listener in _made if made else ():
        listener(made)


def _taken(variant: Variant, sku: str, location: Location) -> RuleError:
    return RuleError(f"{variant.full_title} already sells {sku} at {location.name}. Unmap it first.", field="variant")


def _taken_meanwhile(made: Sequence[Mapping]) -> RuleError:
    taken = living_of([mapping.variant_id for mapping in made])
    for mapping in made:
        there = taken.get((mapping.variant_id, mapping.location_id))
        if there is not None:
            return _taken(mapping.variant, there.item.sku, mapping.location)
    return RuleError("Somebody changed these mappings a moment ago. Load the page again.", field="variant")


def end(mapping: Mapping, at: datetime) -> None:
    """The variant no longer sells the item. Shopify's number stays as it is; what was booked stays booked."""
    if mapping.ended_at is None:
        mapping.ended_at = at
        db.session.flush()
        for listener in _ended:
            listener(mapping)


def set_drift_rule(mapping_ids: Collection[int], rule: str | None) -> None:
    """These living mappings have a drift rule of their own; None: the shop's again."""
    chosen = update(Mapping).where(Mapping.id.in_(list(mapping_ids)), Mapping.ended_at.is_(None))
    db.session.execute(chosen.values(drift_rule=rule))


def living(variant_id: int, location_id: int) -> Mapping | None:
    """The living mapping of a variant at a location."""
    query = select(Mapping).where(
        Mapping.variant_id == variant_id, Mapping.location_id == location_id, Mapping.ended_at.is_(None)
    )
    return db.session.scalar(query.options(joinedload(Mapping.item)))


def living_of(variant_ids: Collection[int]) -> dict[tuple[int, int], Mapping]:
    """The living mappings of these variants by (variant id, location id), with their items."""
    query = select(Mapping).where(Mapping.variant_id.in_(list(variant_ids)), Mapping.ended_at.is_(None))
    found = db.session.scalars(query.options(joinedload(Mapping.item)))
    return {(mapping.variant_id, mapping.location_id): mapping for mapping in found}


def get(mapping_id: int) -> Mapping:
    """The shop's living mapping with that id, with item, variant and location. Raises NotFoundError."""
    query = select(Mapping).where(Mapping.id == mapping_id, Mapping.ended_at.is_(None))
    found = db.session.scalar(
        query.options(joinedload(Mapping.item), joinedload(Mapping.variant), joinedload(Mapping.location))
    )
    if found is None:
        raise NotFoundError(f"There is no mapping {mapping_id} here.")
    return found


def suggestions(limit: int = 200) -> Sequence[Suggestion]:
    """For unmapped items the one unmapped variant that looks like each: same SKU, else same barcode, else a title much alike."""
    mapped = select(Mapping.variant_id).where(Mapping.ended_at.is_(None))
    unmapped = db.session.scalars(_unmapped_items().order_by(Item.name).limit(limit)).all()
    free = select(Variant.id, Variant.sku, Variant.barcode, Variant.product_title, Variant.title).where(
        Variant.deleted_at.is_(None), Variant.id.not_in(mapped), ~Variant.is_bundle, Variant.is_tracked
    )
    variants = db.session.execute(free).all() if unmapped else []
    found = _by_code(unmapped, variants)
    found |= _by_title(
        [item for item in unmapped if item.id not in found], variants, {number for number, _ in found.values()}
    )
    wanted = select(Variant).where(Variant.id.in_([number for number, _ in found.values()]))
    rows = {variant.id: variant for variant in db.session.scalars(wanted)}
    return [Suggestion(item, rows[found[item.id][0]], found[item.id][1]) for item in unmapped if item.id in found]


def _unmapped_items():  # type: ignore[no-untyped-def]
    mapped = select(Mapping.item_id).where(Mapping.ended_at.is_(None))
    return select(Item).where(Item.kind == PRODUCT, Item.archived_at.is_(None), Item.id.not_in(mapped))


def _by_code(items: Sequence[Item], variants: Sequence[Any]) -> dict[int, tuple[int, str]]:
    """Item id -> (variant id, by what)."""
    with_sku: dict[str, list[int]] = defaultdict(list)
    with_barcode: dict[str, list[int]] = defaultdict(list)
    for variant in variants:
        with_sku[variant.sku.lower()].append(variant.id)
        with_barcode[variant.barcode.lower()].append(variant.id)
    found = {}
    for item in items:
        same_sku, same_barcode = with_sku.get(item.sku.lower(), []), with_barcode.get(item.sku.lower(), [])
        if len(same_sku) == 1:  # a SKU that stands twice says nothing
            found[item.id] = (same_sku[0], "sku")
        elif not same_sku and len(same_barcode) == 1:
            found[item.id] = (same_barcode[0], "barcode")
    return found


def _by_title(items: Sequence[Item], variants: Sequence[Any], taken: set[int]) -> dict[int, tuple[int, str]]:
    if not items:
        return {}
    titles = Titles((v.id, f"{v.product_title}, {v.title}" if v.title else v.product_title) for v in variants)
    alike = {item.id: titles.alike(item.name, taken) for item in items}
    return {item_id: (number, "title") for item_id, number in alike.items() if number is not None}
