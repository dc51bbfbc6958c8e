"""One imported product at Shopify: made under its handle, or found there and adopted, or completed; then mapped, linked and published.

Each step is committed before the next, and each can be repeated. The steps and what a kill between them leaves: wanted (nothing at Shopify);
creating (perhaps made: it is looked for by its handle, which nothing else has, and adopted); creating with `product_gid` (made and taken in,
perhaps not published); imported. A new product begins with 0 units: the ordinary push sets the number, so a sale is never undone.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from typing import Any

from sqlalchemy import select

from occ_app import clock
from occ_app.catalog import mapping as mappings
from occ_app.catalog import pull as catalog_pull
from occ_app.catalog.models import PARTNER, Item, Location, Variant
from occ_app.errors import RuleError
from occ_app.extensions import current_shop_id, db
from occ_app.partners import markup, settings
from occ_app.partners import models as m
from occ_app.partners.inputs import (
    covers,
    key_of,
    options_of,
    repriced,
    seen_of,
    tags_of,
    values_of,
    variant_input,
    vendor_of,
    words,
)
from occ_app.partners.models import ImportedProduct, ImportedVariant, ImportRun, Partner, PartnerProduct, PartnerVariant
from occ_app.partners.price_rules import Prices
from occ_app.partners.prices import Offer, offer, shown
from occ_app.partners.rules import number_of
from occ_app.shopify.client import Client
from occ_app.shopify.errors import ShopifyUnavailableError
from occ_app.sync.models import SyncState
from occ_app.sync.rules import chunks
from occ_app.work import tasks

AT_ONCE = 100  # variants that are made while we wait; more are made in the background
MOST_POINTS = 900  # of a call's input; Shopify allows 1,000 in all
LOOKS = 60
LOOK_EVERY = 1.0  # seconds
PER_CALL = 250
ONLINE_STORE = "Online Store"
DELETED = "You deleted it in Shopify. Import it again to make it anew."


class Maker:
    """Makes the products of one run. Prices, place and channels are looked up once."""

    def __init__(self, client: Client, partner: Partner, run: ImportRun | None) -> None:
        self.client, self.partner, self.run = client, partner, run
        self.choices: dict[str, Any] = run.choices if run else {}
        self.prices = Prices(partner)
        self._channels: list[str] | None = None

    @cached_property
    def place(self) -> Location:
        """Where their goods are counted. Raises RuleError where that location is off or gone."""
        place = place_of(self.partner)
        if place is None:
            raise RuleError("The location of their goods is off or gone. Choose another one in the partner's settings.")
        return place

    def make(self, copy: ImportedProduct) -> None:
        """The product is in the merchant's shop with all that is wanted of it. Raises RuleError, ShopifyError."""
        source = db.session.get_one(PartnerProduct, copy.partner_product_id)
        if source.deleted_at is not None:
            raise RuleError("They deleted it meanwhile.")
        wanted = _wanted_of(copy)
        if copy.product_gid is None:
            node = self._find_or_create(copy, source, wanted)
            self._take_in(copy, source, node, wanted)
        elif copy.state == m.WANTED:
            if wanted:
                self.add_variants(copy, source, wanted)
            self.set_prices(copy, source)
        self._publish(copy)
        copy.state, copy.imported_at, copy.cause, copy.wanted = m.IMPORTED, clock.now(), None, []
        db.session.commit()

    # A product that is not there yet ----------------------------------------------------------------------------------------------

    def _find_or_create(
        self, copy: ImportedProduct, source: PartnerProduct, wanted: Sequence[tuple[PartnerVariant, str]]
    ) -> dict[str, Any]:
        if copy.state == m.CREATING:
            found = self._made_in_background(copy) if copy.operation_gid else self._own({"handle": copy.handle})
            if found is not None and covers(found, wanted):
                return found
        copy.state, copy.operation_gid = m.CREATING, None
        db.session.commit()
        if len(wanted) > AT_ONCE:
            return self._create_in_background(copy, source, wanted)
        answer = self._set(copy, source, wanted, is_waited_for=True)
        return self._whole(answer["product"])

    def _create_in_background(
        self, copy: ImportedProduct, source: PartnerProduct, wanted: Sequence[tuple[PartnerVariant, str]]
    ) -> dict[str, Any]:
        answer = self._set(copy, source, wanted, is_waited_for=False)
        copy.operation_gid = answer["productSetOperation"]["id"]
        db.session.commit()
        found = self._made_in_background(copy)
        if found is None:
            raise RuleError("Shopify did not make it.")
        return found

    def _made_in_background(self, copy: ImportedProduct) -> dict[str, Any] | None:
        """The product, once Shopify has made it. Raises ShopifyUnavailableError where that takes longer: it is asked again later."""
        for _ in range(LOOKS):
            operation = self.client.query("product_operation", {"id": copy.operation_gid}).data["productOperation"]
            if operation is None:
                return self._own({"handle": copy.handle})
            if operation["userErrors"]:
                raise RuleError(words(operation["userErrors"]))
            if operation["status"] == "COMPLETE":
                return self._own({"id": operation["product"]["id"]}) if operation["product"] else None
            time.sleep(LOOK_EVERY)
        raise ShopifyUnavailableError("Shopify is still making a product with many variants.")

    def _set(
        self,
        copy: ImportedProduct,
        source: PartnerProduct,
        wanted: Sequence[tuple[PartnerVariant, str]],
        *,
        is_waited_for: bool,
    ) -> dict[str, Any]:
        variables = {
            "input": self._input(copy, source, wanted),
            "identifier": {"handle": copy.handle},
            "synchronous": is_waited_for,
        }
        answer: dict[str, Any] = self.client.mutate("product_set", variables).data["productSet"]
        if answer["userErrors"]:
            raise RuleError(words(answer["userErrors"]))
        return answer

    def _input(
        self, copy: ImportedProduct, source: PartnerProduct, wanted: Sequence[tuple[PartnerVariant, str]]
    ) -> dict[str, Any]:
        pictures = [
            {"originalSource": one["url"], "alt": one["alt"][:512], "contentType": "IMAGE"} for one in source.images
        ]
        given = {
            "title": source.title[:255],
            "handle": copy.handle,
            "descriptionHtml": markup.shown(source.description_html),
            "vendor": vendor_of(self.partner, source),
            "productType": source.product_type[:255],
            "tags": tags_of(self.partner, source, self.choices.get("tags") or ()),
            "status": (self.choices.get("status") or "draft").upper(),
            "files": pictures,
            "productOptions": options_of(source, [variant for variant, _ in wanted]),
            "variants": [self._variant(copy, source, variant, sku) for variant, sku in wanted],
        }
        if self.choices.get("collections"):
            given["collections"] = self.choices["collections"]
        self._add_variant_pictures(given, wanted)
        return given

    def _variant(
        self, copy: ImportedProduct, source: PartnerProduct, variant: PartnerVariant, sku: str
    ) -> dict[str, Any]:
        given = variant_input(variant, sku, self.offer_of(variant, source, copy))
        given["inventoryQuantities"] = [{"locationId": self.place.location_gid, "name": "available", "quantity": 0}]
        return given

    def _add_variant_pictures(self, given: dict[str, Any], wanted: Sequence[tuple[PartnerVariant, str]]) -> None:
        """Each variant shows its picture, where there is more than one, and as long as the call stays small enough."""
        points = 1.9 * len(given["files"]) + 0.8 * len(wanted) + 320  # what the answer costs
        known = {one["originalSource"] for one in given["files"]}
        if len(wanted) < 2 or points > MOST_POINTS:
            return
        for row, (variant, _) in zip(given["variants"], wanted, strict=True):
            if variant.image_url in known:
                row["file"] = {"originalSource": variant.image_url, "contentType": "IMAGE"}

    def offer_of(self, variant: PartnerVariant, source: PartnerProduct, copy: ImportedProduct) -> Offer:
        """What it costs and sells for. Raises RuleError where it must not be sold so."""
        found = offer(variant.price, variant.compare_at_price, self.prices.pricing(source.product_type, copy))
        if found.problem:
            raise RuleError(f"{variant.title}: {found.problem}" if variant.title else found.problem)
        return found

    # A product that is there ------------------------------------------------------------------------------------------------------

    def add_variants(
        self, copy: ImportedProduct, source: PartnerProduct, wanted: Sequence[tuple[PartnerVariant, str]]
    ) -> None:
        """The product in the merchant's shop has these variants too. Those that it has already are adopted."""
        found = self._own({"id": copy.product_gid})
        if found is None:
            raise RuleError(DELETED)
        there = {values_of(node) for node in found["variants"]["nodes"]}
        missing = [(variant, sku) for variant, sku in wanted if key_of(variant) not in there]
        for part in chunks(missing, PER_CALL):
            rows = [self._addition(copy, source, variant, sku) for variant, sku in part]
            answer = self.client.mutate("variants_create", {"product": copy.product_gid, "variants": rows})
            errors = answer.data["productVariantsBulkCreate"]["userErrors"]
            if errors:
                raise RuleError(words(errors))
        if missing:
            found = self._own({"id": copy.product_gid}) or found
        self._take_in(copy, source, found, wanted)

    def _addition(
        self, copy: ImportedProduct, source: PartnerProduct, variant: PartnerVariant, sku: str
    ) -> dict[str, Any]:
        given = variant_input(variant, sku, self.offer_of(variant, source, copy))
        given["inventoryItem"] = {**given["inventoryItem"], "sku": given.pop("sku")}
        given["inventoryQuantities"] = [{"locationId": self.place.location_gid, "availableQuantity": 0}]
        return given

    def set_prices(
        self, copy: ImportedProduct, source: PartnerProduct, ids: Collection[int | None] | None = None
    ) -> None:
        """Price, compare-at price and cost of these imported variants are what the rules say; else of all of the product, but for those whose
        price was changed by hand."""
        query = select(ImportedVariant, PartnerVariant, *m.OF_SHOWN).join(ImportedVariant.partner_variant)
        query = query.outerjoin(Variant, Variant.id == ImportedVariant.variant_id)
        query = query.where(ImportedVariant.imported_product_id == copy.id, PartnerVariant.deleted_at.is_(None))
        query = query if ids is None else query.where(ImportedVariant.id.in_(list(ids)))
        changed = []
        for ours, variant, *seen in db.session.execute(query.order_by(ImportedVariant.id)).all():
            if ids is None and shown(*seen).is_by_hand:
                continue
            new = self.offer_of(variant, source, copy)
            is_new = (new.price, new.cost, new.kept_compare_at) != (ours.price, ours.cost, ours.compare_at)
            if ids is not None or is_new or variant.price != ours.seen_price:
                changed.append((ours, variant, new))
        for part in chunks(changed, PER_CALL):
            rows = [repriced(ours, new) for ours, _, new in part]
            answer = self.client.mutate("variants_update", {"product": copy.product_gid, "variants": rows})
            errors = answer.data["productVariantsBulkUpdate"]["userErrors"]
            if errors:
                raise RuleError(words(errors))
            catalog_pull.keep_prices(answer.data["productVariantsBulkUpdate"]["productVariants"] or ())
        for ours, variant, new in changed:
            note_prices(ours, variant, new)

    # What Shopify has -------------------------------------------------------------------------------------------------------------

    def _own(self, identifier: dict[str, Any]) -> dict[str, Any] | None:
        """The merchant's product with all of its variants, as Shopify has it."""
        node = self.client.query("own_product", {"identifier": identifier, "after": None}).data["productByIdentifier"]
        return self._whole(node) if node else None

    def _whole(self, node: dict[str, Any]) -> dict[str, Any]:
        """The product with the variants that did not fit into the first answer."""
        nodes, page = list(node["variants"]["nodes"]), node["variants"]["pageInfo"]
        while page["hasNextPage"]:
            asked = {"identifier": {"id": node["id"]}, "after": page["endCursor"]}
            more = self.client.query("own_product", asked).data["productByIdentifier"]["variants"]
            nodes, page = nodes + more["nodes"], more["pageInfo"]
        return {**node, "variants": {"nodes": nodes}}

    def _take_in(
        self,
        copy: ImportedProduct,
        source: PartnerProduct,
        node: dict[str, Any],
        wanted: Sequence[tuple[PartnerVariant, str]],
    ) -> None:
        """Each wanted variant is an item that sells as Shopify's variant. Commits. Raises RuleError where Shopify lacks one of them."""
        at = clock.now()
        by_values = {values_of(one): one for one in node["variants"]["nodes"]}
        if any(key_of(variant) not in by_values for variant, _ in wanted):
            raise RuleError("Shopify did not make all of its variants.")
        ours = [by_values[key_of(variant)] for variant, _ in wanted]
        catalog_pull.keep_product(node, ours, at)
        copy.product_gid, copy.operation_gid = node["id"], None
        copy.seen = copy.seen or {**seen_of(source), "variants": _living(source)}
        items = self._items(source, wanted)
        rows = self._imported(copy, wanted, ours, items)
        variants = {
            one.variant_gid: one
            for one in db.session.scalars(
                select(Variant).where(Variant.product_gid == node["id"]).execution_options(populate_existing=True)
            )
        }
        self._map(rows, items, variants)
        for (variant, _), row in zip(wanted, rows, strict=True):
            found = self.offer_of(variant, source, copy)
            note_prices(row, variant, found)
            seen = variants[row.variant_gid or ""]  # of one that was made before a kill: what it was made with then
            row.price, row.compare_at = seen.price, seen.compare_at_price
        db.session.commit()

    def _items(self, source: PartnerProduct, wanted: Sequence[tuple[PartnerVariant, str]]) -> dict[int, Item]:
        """Partner variant id -> its item: that of an earlier import, else a new one."""
        ids = [variant.id for variant, _ in wanted]
        before = select(ImportedVariant.partner_variant_id, Item).join(Item, Item.id == ImportedVariant.item_id)
        found = db.session.execute(before.where(ImportedVariant.partner_variant_id.in_(ids)))
        items = {row.partner_variant_id: row.Item for row in found}
        skus = [sku for variant, sku in wanted if variant.id not in items]
        taken = set(db.session.scalars(select(Item.sku).where(Item.sku.in_(skus))))
        for variant, sku in wanted:
            if variant.id not in items:
                name = f"{source.title}, {variant.title}" if variant.title else source.title
                own = f"{sku}-{number_of(variant.variant_gid)}" if sku in taken else sku
                items[variant.id] = Item(sku=own, name=name, kind=PARTNER, created_at=clock.now())
                db.session.add(items[variant.id])
        db.session.flush()
        return items

    def _imported(
        self,
        copy: ImportedProduct,
        wanted: Sequence[tuple[PartnerVariant, str]],
        ours: Sequence[dict[str, Any]],
        items: Mapping[int, Item],
    ) -> list[ImportedVariant]:
        ids = [variant.id for variant, _ in wanted]
        query = select(ImportedVariant).where(ImportedVariant.partner_variant_id.in_(ids))
        known = {row.partner_variant_id: row for row in db.session.scalars(query)}
        copy_id, place_id, partner_id = copy.id, self.place.id, self.partner.id
        item_ids = {number: item.id for number, item in items.items()}
        for (variant, _), node in zip(wanted, ours, strict=True):
            row = known.get(variant.id)
            if row is None:
                row = known[variant.id] = ImportedVariant(
                    partner_id=partner_id, partner_variant_id=variant.id, created_at=clock.now()
                )
                row.reflected = 0
                db.session.add(row)
            row.imported_product_id, row.item_id = copy_id, item_ids[variant.id]
            row.location_id, row.variant_gid = place_id, node["id"]
        db.session.flush()
        return [known[number] for number in ids]

    def _map(self, rows: Sequence[ImportedVariant], items: Mapping[int, Item], variants: Mapping[str, Variant]) -> None:
        """Each sells its item at the place, linked with our number; one that does so already stays as it is."""
        living = mappings.living_of([variant.id for variant in variants.values()])
        made = []
        for row in rows:
            variant = variants[row.variant_gid or ""]
            row.variant_id = variant.id
            there = living.get((variant.id, self.place.id))
            if there is None:
                item = items[row.partner_variant_id]
                made.append(mappings.check(item, variant, self.place, None, units_per_variant=1, at=clock.now()))
            elif there.item_id != row.item_id:
                raise RuleError(f"{variant.full_title} sells {there.item.sku} already. Unmap it first.")
        db.session.flush()
        mappings.make_all(made)
        for state in db.session.scalars(select(SyncState).where(SyncState.mapping_id.in_([one.id for one in made]))):
            state.link_choice = "hub"
        tasks.ask("link", current_shop_id())

    def status_of(self, copy: ImportedProduct) -> str:
        """The product's status in the merchant's shop. Raises RuleError where it is gone."""
        node = self._own({"id": copy.product_gid})
        if node is None:
            raise RuleError(DELETED)
        return str(node["status"])

    # Where it is sold -------------------------------------------------------------------------------------------------------------

    def _publish(self, copy: ImportedProduct) -> None:
        """The product stands in the chosen sales channels. Harmless when repeated."""
        if self.run is None or copy.imported_at is not None:
            return
        channels = self._chosen_channels()
        if not channels and not self.choices.get("is_nowhere"):
            self.choices = self.run.choices = {**self.choices, "is_nowhere": True}
        if channels:
            rows = [{"publicationId": gid} for gid in channels]
            answer = self.client.mutate("publish", {"id": copy.product_gid, "input": rows})
            errors = answer.data["publishablePublish"]["userErrors"]
            if errors:
                raise RuleError(f"It is in your shop, but not in its sales channels: {words(errors)}")

    def _chosen_channels(self) -> list[str]:
        if self._channels is None:
            there = sales_places(self.client)[0]
            chosen = self.choices.get("channels")
            known = {gid for gid, _ in there}
            online = [gid for gid, name in there if name == ONLINE_STORE]
            self._channels = online if chosen is None else [gid for gid in chosen if gid in known]
        return self._channels


def note_prices(ours: ImportedVariant, variant: PartnerVariant, new: Offer) -> None:
    """This is what our variant was given last, and what of theirs that was made from."""
    ours.price, ours.compare_at, ours.cost = new.price, new.kept_compare_at, new.cost
    note_seen(ours, variant)


def note_seen(ours: ImportedVariant, variant: PartnerVariant) -> None:
    """What theirs costs now is no news any more."""
    ours.seen_price, ours.seen_compare_at = variant.price, variant.compare_at_price or Decimal(0)


def place_of(partner: Partner) -> Location | None:
    """Where the partner's goods are counted in the merchant's shop."""
    gid = settings.get(partner, "location")
    place = catalog_pull.find_location(gid) if gid else catalog_pull.default_location()
    return place if place is not None and place.is_active else None


def sales_places(client: Client) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """(id, name) of the merchant's sales channels, and of the collections that products can be put into by hand."""
    data = client.query("sales_places", {}).data
    channels = [(node["id"], node["name"]) for node in data["publications"]["nodes"]]
    return channels, [(node["id"], node["title"]) for node in data["collections"]["nodes"]]


def _living(source: PartnerProduct) -> list[int]:
    query = select(PartnerVariant.id).where(
        PartnerVariant.partner_product_id == source.id, PartnerVariant.deleted_at.is_(None)
    )
    return sorted(db.session.scalars(query))


def _wanted_of(copy: ImportedProduct) -> list[tuple[PartnerVariant, str]]:
    """The variants to be made, in the partner's order, with their SKUs here. One that the partner deleted meanwhile is left out."""
    skus = dict(copy.wanted)
    query = select(PartnerVariant).where(PartnerVariant.id.in_(list(skus)), PartnerVariant.deleted_at.is_(None))
    found = db.session.scalars(query.order_by(PartnerVariant.position, PartnerVariant.id)).all()
    if skus and not found:
        raise RuleError("They deleted it meanwhile.")
    return [(variant, skus[variant.id]) for variant in found]
