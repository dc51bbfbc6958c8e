"""What a partner sells, mirrored: all of it by one bulk operation a day, single products as they change. Never makes items by itself.

Where the partner shares only some locations, the number of units comes from readings of those (`stock`), not from here.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Integer, all_, exists, func, literal, select, update
from sqlalchemy.dialects.postgresql import ARRAY, insert

from occ_app import clock
from occ_app.extensions import current_shop_id, db
from occ_app.partners import readings, settings
from occ_app.partners.models import (
    CATALOGUE,
    CONNECTED,
    ImportedVariant,
    Partner,
    PartnerProduct,
    PartnerPull,
    PartnerVariant,
)
from occ_app.shopify.client import Client, operation_text
from occ_app.shopify.errors import ShopifyRefusedError
from occ_app.shops.models import Shop

PER_INSERT = 500
LOOK_EVERY = timedelta(seconds=1)
LOOK_LATER = timedelta(minutes=1)
MOST_PICTURES = 50
WORKING = ("CREATED", "RUNNING", "CANCELING")
BUSY = ("LIMIT_REACHED", "OPERATION_IN_PROGRESS")
AGAIN_AFTER = timedelta(days=1)
FAILED_AGAIN_AFTER = timedelta(minutes=10)
OF_STOCK = ("available", "read_at", "look_at")
GRAMS = {
    "GRAMS": Decimal(1),
    "KILOGRAMS": Decimal(1000),
    "OUNCES": Decimal("28.349523125"),
    "POUNDS": Decimal("453.59237"),
}


def want(partner: Partner, at: datetime) -> PartnerPull:
    """A pull of the partner's catalogue is under way: the one that is unfinished, else a new one."""
    row = {
        "shop_id": partner.shop_id,
        "partner_id": partner.id,
        "kind": CATALOGUE,
        "started_at": at,
        "next_look_at": at,
    }
    row |= dict.fromkeys(("looked_at", "changed", "reads", "points"), 0)
    is_open = PartnerPull.finished_at.is_(None) & (PartnerPull.kind == CATALOGUE)
    statement = insert(PartnerPull).values(row)
    db.session.execute(statement.on_conflict_do_nothing(index_elements=["partner_id"], index_where=is_open))
    query = select(PartnerPull).where(is_open, PartnerPull.partner_id == partner.id)
    return db.session.scalars(query).one()


def want_due(at: datetime) -> None:
    """A pull is under way of every connected partner whose catalogue was last read a day ago, or never. Spans shops; one statement."""
    pull = select(PartnerPull.id).where(PartnerPull.partner_id == Partner.id, PartnerPull.kind == CATALOGUE)
    recent = PartnerPull.finished_at.is_(None) | (PartnerPull.finished_at > at - FAILED_AGAIN_AFTER)
    zero = literal(0)
    rows = select(
        Partner.shop_id, Partner.id, literal(CATALOGUE), literal(at), literal(at), zero, zero, zero, zero
    ).where(
        Partner.state == CONNECTED,
        Partner.partner_shop_id.is_not(None),
        Partner.catalogue_read_at.is_(None) | (Partner.catalogue_read_at <= at - AGAIN_AFTER),
        ~exists(pull.where(recent)),
    )
    names = ("shop_id", "partner_id", "kind", "started_at", "next_look_at", "looked_at", "changed", "reads", "points")
    is_open = PartnerPull.finished_at.is_(None) & (PartnerPull.kind == CATALOGUE)
    statement = insert(PartnerPull).from_select(names, rows)
    db.session.execute(statement.on_conflict_do_nothing(index_elements=["partner_id"], index_where=is_open))


def unfinished(at: datetime) -> Sequence[PartnerPull]:
    """The shop's pulls of catalogues that are under way and due to be looked at."""
    query = select(PartnerPull).where(PartnerPull.finished_at.is_(None), PartnerPull.kind == CATALOGUE)
    return db.session.scalars(query.where(PartnerPull.next_look_at <= at).order_by(PartnerPull.id)).all()


def newest(partner: Partner) -> PartnerPull | None:
    """The newest pull of the partner's catalogue, finished or not."""
    query = select(PartnerPull).where(PartnerPull.partner_id == partner.id, PartnerPull.kind == CATALOGUE)
    return db.session.scalar(query.order_by(PartnerPull.id.desc()).limit(1))


def advance(client: Client, pull: PartnerPull) -> bool:
    """The pull is a step further; `client` is the partner's. True while there is more to do. Commits each step."""
    at = clock.now()
    partner = db.session.get_one(Partner, pull.partner_id)
    before = (client.calls, client.points)
    try:
        goes_on = _step(client, partner, pull, at)
    finally:
        pull.reads += client.calls - before[0]
        pull.points += client.points - before[1]
        db.session.commit()
    return goes_on


def _step(client: Client, partner: Partner, pull: PartnerPull, at: datetime) -> bool:
    if pull.bulk_operation_gid is None:
        pull.total = pull_facts(client, partner)
        pull.bulk_operation_gid = _run(client)
        pull.next_look_at = at + (LOOK_EVERY if pull.bulk_operation_gid else LOOK_LATER)
        return pull.bulk_operation_gid is not None
    operation = client.query("bulk_operation", {"id": pull.bulk_operation_gid}).data["bulkOperation"]
    if operation and operation["status"] in WORKING:
        pull.next_look_at = at + LOOK_EVERY
        return True
    if operation is None or operation["status"] != "COMPLETED":
        code = (operation or {}).get("errorCode") or "unknown"
        pull.finished_at, pull.cause = at, f"Shopify ended the reading of their products: {code}."
        return False
    content = client.download_lines(operation["url"]).content if operation["url"] else b""
    _take(partner, pull, content)
    return False


def pull_facts(client: Client, partner: Partner) -> int:
    """The name, currency and time zone of the partner's shop are Shopify's. Returns the number of its products."""
    facts = client.query("partner_facts", {}).data
    theirs = db.session.get(Shop, partner.partner_shop_id) if partner.partner_shop_id else None
    if theirs is not None:
        theirs.name, theirs.currency = facts["shop"]["name"], facts["shop"]["currencyCode"]
    if "time_zone" not in partner.settings:
        settings.keep(partner, "time_zone", facts["shop"]["ianaTimezone"])
    return int((facts["productsCount"] or {}).get("count") or 0)


def _run(client: Client) -> str | None:
    """The bulk operation's id; None where Shopify is at too many for us already."""
    answer = client.mutate("variants_bulk", {"query": operation_text("partner_catalogue")}).data[
        "bulkOperationRunQuery"
    ]
    if answer["userErrors"]:
        words = "; ".join(error["message"] for error in answer["userErrors"])
        if any(error.get("code") in BUSY for error in answer["userErrors"]):
            return None
        raise ShopifyRefusedError(f"Shopify did not start the bulk operation: {words}")
    return str(answer["bulkOperation"]["id"])


# Taking in ------------------------------------------------------------------------------------------------------------------------


def _take(partner: Partner, pull: PartnerPull, content: bytes) -> None:
    """The file's products are the partner's; what it does not hold is gone. Stock counts as read in the second when the pull began:
    Shopify's clock tells whole seconds, and a reading of that same second must not seem older."""
    read_at = pull.started_at.replace(microsecond=0)
    pictures, by_media, of_variant = _pictures(_lines(content))
    kept_products: dict[str, int] = {}
    kept_variants: set[int] = set()
    products: list[dict[str, Any]] = []
    variants: list[dict[str, Any]] = []
    at = clock.now()
    for line in _lines(content):
        if "__parentId" not in line:
            if not line.get("isGiftCard"):
                products.append(_product_row(line, pictures.get(line["id"], []), at))
        elif "selectedOptions" in line:
            variants.append({**line, "image": by_media.get(of_variant.get(line["id"], ""))})
        if len(products) >= PER_INSERT or len(variants) >= PER_INSERT:
            kept_products |= _keep_products(partner, products)
            kept_variants |= _keep_variants(partner, kept_products, variants, read_at)
            products, variants = [], []
    kept_products |= _keep_products(partner, products)
    kept_variants |= _keep_variants(partner, kept_products, variants, read_at)
    _forget_others(partner, kept_products.values(), kept_variants, at)
    sum_up(partner)
    partner.catalogue_read_at = pull.started_at
    pull.looked_at, pull.finished_at = len(kept_variants), clock.now()


def _lines(content: bytes) -> Iterator[dict[str, Any]]:
    """The objects of a JSONL file. Split at line feeds only: texts may hold other separators (U+2028) as they are."""
    return (json.loads(line) for line in content.split(b"\n") if line)


def _pictures(
    lines: Iterator[dict[str, Any]],
) -> tuple[dict[str, list[dict[str, str]]], dict[str, str], dict[str, str]]:
    """Product id -> its pictures, media id -> address, variant id -> the media that shows it."""
    of_product: dict[str, list[dict[str, str]]] = {}
    by_media: dict[str, str] = {}
    of_variant: dict[str, str] = {}
    for line in lines:
        parent = line.get("__parentId", "")
        if "/ProductVariant/" in parent and line.get("id"):
            of_variant[parent] = line["id"]
        elif "/Product/" in parent and (picture := _picture(line)):
            of_product.setdefault(parent, []).append(picture)
            by_media[line["id"]] = picture["url"]
    return of_product, by_media, of_variant


def _picture(media: dict[str, Any]) -> dict[str, str] | None:
    image = media.get("image") or {}
    return {"url": image["url"], "alt": image.get("altText") or ""} if image.get("url") else None


def pull_product(client: Client, product_gid: str) -> tuple[dict[str, Any] | None, datetime]:
    """A product of the shop of `client` with all of its variants, as Shopify has it now, None where it is gone; and Shopify's clock."""
    after, found, nodes = None, None, []
    while True:
        answer = client.query("partner_product", {"id": product_gid, "after": after})
        found = answer.data["product"]
        if found is None:
            return None, answer.at
        nodes += found["variants"]["nodes"]
        if not found["variants"]["pageInfo"]["hasNextPage"]:
            return {**found, "variants": nodes}, answer.at
        after = found["variants"]["pageInfo"]["endCursor"]


def keep_product(partner: Partner, product_gid: str, found: dict[str, Any] | None, read_at: datetime) -> int | None:
    """The mirror of that product is what `pull_product` found. Returns its id here; None where there is nothing to keep."""
    if found is None or found["isGiftCard"]:
        return _product_gone(partner, product_gid, clock.now())
    media = found["media"]["nodes"]
    pictures = [picture for picture in map(_picture, media) if picture]
    by_media = {node["id"]: node["image"]["url"] for node in media if _picture(node)}
    kept = _keep_products(partner, [_product_row(found, pictures, clock.now())])
    rows = []
    for node in found["variants"]:
        shown = next((one["id"] for one in node["media"]["nodes"] if one.get("id")), "")
        rows.append({**node, "__parentId": product_gid, "image": by_media.get(shown)})
    variants = _keep_variants(partner, kept, rows, read_at)
    gone = update(PartnerVariant).where(PartnerVariant.partner_product_id == kept[product_gid])
    lost = gone.where(_none_of(PartnerVariant.id, variants), PartnerVariant.deleted_at.is_(None))
    db.session.execute(lost.values(deleted_at=clock.now()))
    sum_up(partner, [kept[product_gid]])
    readings.refresh_goods(PartnerVariant.partner_product_id == kept[product_gid])
    return kept[product_gid]


def _product_gone(partner: Partner, product_gid: str, at: datetime) -> int | None:
    query = select(PartnerProduct).where(
        PartnerProduct.partner_id == partner.id, PartnerProduct.product_gid == product_gid
    )
    product = db.session.scalar(query)
    if product is None:
        return None
    product.deleted_at = product.deleted_at or at
    db.session.flush()
    readings.refresh_goods(PartnerVariant.partner_product_id == product.id)
    return product.id


def _keep_products(partner: Partner, rows: Sequence[dict[str, Any]]) -> dict[str, int]:
    """These products are the partner's, as given. Product id at Shopify -> here. One statement."""
    if not rows:
        return {}
    owner = {"shop_id": current_shop_id(), "partner_id": partner.id}
    statement = insert(PartnerProduct).values([{**owner, "variants": 0, "available": 0, **row} for row in rows])
    again = {name: statement.excluded[name] for name in rows[0] if name != "product_gid"}
    upsert = statement.on_conflict_do_update(index_elements=["partner_id", "product_gid"], set_=again)
    done = db.session.execute(upsert.returning(PartnerProduct.product_gid, PartnerProduct.id))
    return {gid: number for gid, number in done}  # noqa: C416 - a Row is not a pair


def _keep_variants(
    partner: Partner, products: Mapping[str, int], nodes: Sequence[dict[str, Any]], read_at: datetime
) -> set[int]:
    """These variants are of those products, as given; those of products that are not ours to keep are left out. Returns their ids."""
    known = [node for node in nodes if node["__parentId"] in products]
    if not known:
        return set()
    owner = {"shop_id": current_shop_id(), "partner_id": partner.id}
    rows = [{**owner, **_variant_row(node, products[node["__parentId"]])} for node in known]
    has_stock = not partner.location_gids
    for node, row in zip(known, rows, strict=True):
        row["available"] = _units(node) if has_stock else (0 if node["inventoryItem"]["tracked"] else None)
        row["read_at"] = read_at if has_stock else None
        row["look_at"] = None if has_stock else read_at
    statement = insert(PartnerVariant).values(rows)
    again = {name: statement.excluded[name] for name in rows[0] if name not in ("variant_gid", *OF_STOCK)}
    again |= {} if has_stock else {"look_at": statement.excluded.look_at}
    upsert = statement.on_conflict_do_update(index_elements=["partner_id", "variant_gid"], set_=again)
    done = db.session.execute(upsert.returning(PartnerVariant.variant_gid, PartnerVariant.id))
    ids = {gid: number for gid, number in done}  # noqa: C416 - a Row is not a pair
    if has_stock:
        keep_stock(partner, {ids[node["id"]]: _units(node) for node in known}, read_at)
    return set(ids.values())


def keep_stock(partner: Partner, found: Mapping[int, int | None], read_at: datetime) -> int:
    """Partner variant id -> units, as of `read_at`: of what is imported targets follow. Returns how many changed. Never undoes a newer one."""
    imported = select(ImportedVariant.partner_variant_id).where(ImportedVariant.partner_variant_id.in_(list(found)))
    ours = set(db.session.scalars(imported))
    query = select(PartnerVariant.id, PartnerVariant.available, PartnerVariant.read_at)
    changed = []
    for row in db.session.execute(query.where(PartnerVariant.id.in_([each for each in found if each not in ours]))):
        if row.available != found[row.id] and (row.read_at is None or row.read_at <= read_at):
            changed.append({"id": row.id, "available": found[row.id], "read_at": read_at})
    if changed:
        db.session.execute(update(PartnerVariant), changed)
    more = readings.keep(partner, {each: found[each] for each in ours}, read_at) if ours else 0
    return len(changed) + more


def _forget_others(partner: Partner, products: Collection[int], variants: Collection[int], at: datetime) -> None:
    lost = update(PartnerProduct).where(PartnerProduct.partner_id == partner.id, PartnerProduct.deleted_at.is_(None))
    db.session.execute(lost.where(_none_of(PartnerProduct.id, products)).values(deleted_at=at))
    gone = update(PartnerVariant).where(PartnerVariant.partner_id == partner.id, PartnerVariant.deleted_at.is_(None))
    db.session.execute(gone.where(_none_of(PartnerVariant.id, variants)).values(deleted_at=at))
    readings.refresh_goods(PartnerVariant.partner_id == partner.id)


def _none_of(column: Any, ids: Collection[int]) -> Any:
    """Not one of these ids: they go out as one array, for there may be more than a statement takes parameters (65,535)."""
    return column != all_(literal(list(ids), ARRAY(Integer)))


def sum_up(partner: Partner, product_ids: Collection[int] | None = None) -> None:
    """Number of variants, prices and units of these products, or of all of the partner's, are those of their living variants."""
    here = (PartnerVariant.partner_product_id == PartnerProduct.id) & PartnerVariant.deleted_at.is_(None)

    def of(what: Any) -> Any:
        return select(what).where(here).correlate(PartnerProduct).scalar_subquery()

    statement = update(PartnerProduct).where(PartnerProduct.partner_id == partner.id)
    if product_ids is not None:
        statement = statement.where(PartnerProduct.id.in_(list(product_ids)))
    values = {
        "variants": of(func.count(PartnerVariant.id)),
        "least_price": of(func.min(PartnerVariant.price)),
        "most_price": of(func.max(PartnerVariant.price)),
        "available": of(func.coalesce(func.sum(func.greatest(PartnerVariant.available, 0)), 0)),
    }
    db.session.execute(statement.values(values).execution_options(synchronize_session=False))


def _product_row(node: dict[str, Any], pictures: list[dict[str, str]], at: datetime) -> dict[str, Any]:
    return {
        "product_gid": node["id"],
        "title": node["title"],
        "description_html": node["descriptionHtml"] or "",
        "vendor": node["vendor"] or "",
        "product_type": node["productType"] or "",
        "tags": list(node["tags"]),
        "options": [{"name": option["name"], "values": list(option["values"])} for option in node["options"]],
        "images": pictures[:MOST_PICTURES],
        "status": node["status"],
        "is_bundle": node["hasVariantsThatRequiresComponents"],
        "changed_at": moment(node["updatedAt"]),
        "read_at": at,
        "deleted_at": None,
    }


def _variant_row(node: dict[str, Any], product_id: int) -> dict[str, Any]:
    item = node["inventoryItem"]
    weight = (item.get("measurement") or {}).get("weight") or {}
    grams = Decimal(str(weight["value"])) * GRAMS.get(weight["unit"], Decimal(0)) if weight.get("value") else None
    return {
        "partner_product_id": product_id,
        "variant_gid": node["id"],
        "inventory_item_gid": item["id"],
        "position": node["position"],
        "title": "" if node["title"] == "Default Title" else node["title"],
        "sku": node["sku"] or "",
        "barcode": node["barcode"] or "",
        "options": [{"name": one["name"], "value": one["value"]} for one in node["selectedOptions"]],
        "price": Decimal(node["price"]) if node["price"] is not None else None,
        "compare_at_price": Decimal(node["compareAtPrice"]) if node["compareAtPrice"] is not None else None,
        "image_url": node.get("image"),
        "weight_g": min(grams, Decimal(999_999_999)) if grams else None,
        "requires_shipping": item["requiresShipping"],
        "changed_at": moment(node["updatedAt"]),
        "deleted_at": None,
    }


def _units(node: dict[str, Any]) -> int | None:
    return int(node["inventoryQuantity"] or 0) if node["inventoryItem"]["tracked"] else None


def moment(text: str) -> datetime:
    """A moment as Shopify writes it."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
