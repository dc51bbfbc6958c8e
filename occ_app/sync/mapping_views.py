"""Mapping: what is suggested, what is mapped, an item mapped by hand to any variant at any location, the pull of variants."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from flask import Blueprint, Response, g, request
from sqlalchemy import Select, String, cast, func, select
from sqlalchemy.orm import joinedload

from occ_app import clock
from occ_app.catalog import mapping as mappings
from occ_app.catalog import pull
from occ_app.catalog.models import PRODUCT, Item, Location, Mapping, Variant
from occ_app.errors import RuleError
from occ_app.extensions import db
from occ_app.searching import contains
from occ_app.sync import link
from occ_app.sync.models import SyncState
from occ_app.sync.paging import PER_PAGE, page_number, pages_of, search_text
from occ_app.sync.views import product_item
from occ_app.web import page, row_id, see_other
from occ_app.work import tasks

blueprint = Blueprint("mapping", __name__)
DRIFT_RULES = dict(zip(mappings.DRIFT_RULES, ("Ask me", "Set Shopify back", "Book it here"), strict=True))
MOST_FOUND = 20  # what a search offers to choose from


@blueprint.get("/mapping")
def mapping() -> Response:
    """Suggestions, what is mapped, and the pull of variants."""
    view = request.args.get("view", "suggested") if request.args.get("view") in ("suggested", "mapped") else "suggested"
    q, number = search_text(), page_number()
    shown, total = _mapped_rows(q, number) if view == "mapped" else ([], 0)
    chosen = _chosen_item() if view == "suggested" else None
    is_asked = view == "suggested" and chosen is None  # which mappings we would make
    return page(
        "sync/mapping.html",
        view=view,
        q=q,
        suggestions=mappings.suggestions() if is_asked else [],
        mapped=shown,
        pages=pages_of(total, number, "/mapping", {"view": view, "q": q}),
        counts=_mapping_counts(),
        pull=pull.newest(),
        place=pull.default_location(),
        places=pull.locations() if view == "suggested" else [],
        location=request.args.get("location", ""),
        unmapped=_unmapped_items() if is_asked else [],
        chosen=chosen,
        sold_as=_sold_as(chosen) if chosen else [],
        drift_rules=DRIFT_RULES,
    )


def _chosen_item() -> Item | None:
    """The product that the address names, to be mapped by hand."""
    item_id = row_id(request.args.get("item", ""))
    return db.session.scalar(_products().where(Item.id == item_id)) if item_id else None


def _products() -> Select[tuple[Item]]:
    return select(Item).where(Item.kind == PRODUCT, Item.archived_at.is_(None))


def _sold_as(item: Item) -> Sequence[Variant]:
    """Variants that sell the item at some location: the likeliest ones to sell it at another."""
    mapped = select(Mapping.variant_id).where(Mapping.item_id == item.id, Mapping.ended_at.is_(None))
    query = select(Variant).where(Variant.id.in_(mapped), Variant.deleted_at.is_(None))
    return db.session.scalars(query.order_by(Variant.product_title, Variant.id).limit(MOST_FOUND)).all()


def _mapped_rows(q: str, number: int) -> tuple[list[SyncState], int]:
    query = (
        select(SyncState)
        .join(Mapping, Mapping.id == SyncState.mapping_id)
        .join(Item, Item.id == Mapping.item_id)
        .join(Variant, Variant.id == Mapping.variant_id)
        .where(Mapping.ended_at.is_(None))
    )
    if q:
        query = query.where(contains(q, Item.name, Item.sku, Variant.sku, Variant.product_title))
    total = db.session.scalar(select(func.count()).select_from(query.subquery())) or 0
    loaded = query.options(
        joinedload(SyncState.mapping).options(
            joinedload(Mapping.item), joinedload(Mapping.variant), joinedload(Mapping.location)
        )
    )
    rows = db.session.scalars(
        loaded.order_by(Item.name, SyncState.mapping_id).limit(PER_PAGE).offset((number - 1) * PER_PAGE)
    )
    return list(rows), total


def _mapping_counts() -> dict[str, int]:
    living = select(func.count()).select_from(Mapping).where(Mapping.ended_at.is_(None))
    variants = select(func.count()).select_from(Variant).where(Variant.deleted_at.is_(None))
    return {"mapped": db.session.scalar(living) or 0, "variants": db.session.scalar(variants) or 0}


def _unmapped_items() -> list[Item]:
    mapped = select(Mapping.item_id).where(Mapping.ended_at.is_(None))
    query = _products().where(Item.id.not_in(mapped)).order_by(Item.name).limit(PER_PAGE)
    return list(db.session.scalars(query))


@blueprint.get("/mapping/pull")
def pull_progress() -> Response:
    """How far the pull of variants is; asks again until it is done."""
    newest = pull.newest()
    response = page("sync/_pull.html", pull=newest)
    if newest and newest.finished_at:
        response.headers["HX-Refresh"] = "true"  # the suggestions can be made now
    return response


@blueprint.post("/mapping/pull")
def pull_again() -> Response:
    """All variants are pulled anew."""
    pull.start(clock.now())
    tasks.ask("variants", g.shop_id)
    db.session.commit()
    return see_other("/mapping")


@blueprint.get("/mapping/variants")
def find_variants() -> Response:
    """Variants that a search finds, to choose from."""
    q = search_text()
    query = select(Variant).where(
        Variant.deleted_at.is_(None),
        contains(q, Variant.product_title, Variant.sku, Variant.barcode, cast(Variant.title, String)),
    )
    found = db.session.scalars(query.order_by(Variant.product_title, Variant.id).limit(MOST_FOUND)).all() if q else []
    return page("sync/_variants.html", variants=found, q=q)


@blueprint.get("/mapping/items")
def find_items() -> Response:
    """Products that a search finds, mapped or not, to choose from."""
    q = request.args.get("sku", "").strip()[:100]
    query = _products().where(contains(q, Item.name, Item.sku))
    return page(
        "sync/_items.html", items=db.session.scalars(query.order_by(Item.name, Item.id).limit(MOST_FOUND)).all()
    )


@blueprint.post("/mapping")
def make_mappings() -> Response:
    """The chosen pairs are mapped at the chosen location; each asks which side is right, unless that was chosen too."""
    pairs = [pair.partition(":")[::2] for pair in request.form.getlist("pair")[:500]]
    by_hand = _named_item() if "sku" in request.form else None
    if by_hand:
        if not request.form.get("variant"):
            raise RuleError("Find a variant first, then press it.", field="variant")
        pairs.append((str(by_hand.id), request.form.get("variant", "")))
    elif request.form.get("item") and request.form.get("variant"):
        pairs.append((request.form["item"], request.form["variant"]))
    place, choice = _place(), request.form.get("first_link", "")
    ids = [(row_id(item), row_id(variant)) for item, variant in pairs]
    if not ids or any(None in pair for pair in ids):
        raise RuleError("Tick the mappings to make.")
    if place is None:
        raise RuleError("No location is set yet. It comes with the first pull of your store; try again in a minute.")
    for item_id, variant_id in ids:
        item, variant = product_item(item_id), db.session.scalar(select(Variant).where(Variant.id == variant_id))
        if variant is None:
            raise RuleError("Shopify no longer has one of these variants. Load the page again.")
        text = request.form.get(f"units-{item_id}-{variant_id}") or request.form.get("units") or "1"
        units = int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0
        made = mappings.make(item, variant, place, units_per_variant=units, at=clock.now())
        if choice in link.CHOICES:
            state = db.session.get_one(SyncState, made.id)
            state.mapping = made
            link.choose(state, choice, clock.now())
    db.session.commit()
    return see_other(f"/mapping?{urlencode({'view': 'mapped', **({'q': by_hand.sku[:100]} if by_hand else {})})}")


def _named_item() -> Item:
    """The product whose SKU was typed, or chosen from the list. Raises RuleError."""
    sku = request.form.get("sku", "").strip()
    if not sku:
        raise RuleError("Give the item's SKU, or choose it from the list.", field="sku")
    item = db.session.scalar(_products().where(Item.sku == sku))
    if item is None:
        raise RuleError(f"There is no item with the SKU {sku[:100]}. Choose it from the list.", field="sku")
    return item


def _place() -> Location | None:
    """The location that was chosen, which is switched on; none was: the default one. Raises RuleError."""
    text = request.form.get("location", "")
    if not text:
        return pull.default_location()
    place = next((place for place in pull.locations() if str(place.id) == text), None)
    if place is None:
        raise RuleError("That location is switched off in Shopify, or gone. Load the page again.", field="location")
    return place


@blueprint.post("/mapping/<int:mapping_id>/end")
def unmap(mapping_id: int) -> Response:
    """The variant no longer sells the item; Shopify's number stays."""
    mappings.end(mappings.get(mapping_id), clock.now())
    db.session.commit()
    return see_other("/mapping?view=mapped")


@blueprint.post("/mapping/<int:mapping_id>/switch")
def switch(mapping_id: int) -> Response:
    """Sync of the mapping is on or off."""
    link.switch(mappings.get(mapping_id), request.form.get("on") == "yes", clock.now())
    db.session.commit()
    return see_other("/mapping?view=mapped")


@blueprint.post("/mapping/drift-rule")
def set_drift_rule() -> Response:
    """The chosen mappings have a drift rule of their own, or the shop's again."""
    rule = request.form.get("rule", "")
    if rule and rule not in DRIFT_RULES:
        raise RuleError(f"Choose one of: {', '.join(DRIFT_RULES)}, or nothing.", field="rule")
    numbers = request.form.getlist("mapping")[:500]
    ids = [found for number in numbers if (found := row_id(number)) is not None]
    if not ids or len(ids) < len(numbers):
        raise RuleError("Select at least one mapping first.", field="mapping")
    mappings.set_drift_rule(ids, rule or None)
    db.session.commit()
    return see_other("/mapping?view=mapped")
