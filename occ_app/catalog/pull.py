"""Variants and locations as Shopify has them: all of them by one bulk operation, single products as they change."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import case, select, update
from sqlalchemy.dialects.postgresql import insert

from occ_app import clock
from occ_app.catalog.models import Location, Variant, VariantPull
from occ_app.extensions import current_shop_id, db
from occ_app.shopify.client import Client, operation_text
from occ_app.shopify.errors import ShopifyRefusedError
from occ_app.shops import settings
from occ_app.shops.models import Shop

PER_INSERT = 1000
PER_READ = 25  # products in one call, with 10 variants each: Shopify allows a call 1,000 points
LOOK_EVERY = timedelta(seconds=1)
WORKING = ("CREATED", "RUNNING", "CANCELING")


def pull_facts(client: Client) -> int:
    """Name, currency, time zone and locations of the shop are Shopify's. Returns the number of its variants."""
    answer = client.query("shop_facts", {})
    shop = db.session.get_one(Shop, current_shop_id())
    facts = answer.data["shop"]
    shop.shopify_gid, shop.name, shop.currency = facts["id"], facts["name"], facts["currencyCode"]
    if "time_zone" not in shop.settings:
        settings.keep(shop, "time_zone", facts["ianaTimezone"])
    nodes = all_locations(client, answer.data["locations"])
    keep_locations(nodes, answer.at)
    if not settings.get(shop, "default_location"):
        active = [node["id"] for node in nodes if node["isActive"]]
        settings.keep(shop, "default_location", (active or [""])[0])
    return int((answer.data["productVariantsCount"] or {}).get("count") or 0)


def all_locations(client: Client, first: dict[str, Any]) -> list[dict[str, Any]]:
    """All locations of the shop, of which `first` is the page that `shop_facts` gave."""
    nodes, page = list(first["nodes"]), first["pageInfo"]
    while page["hasNextPage"]:
        found = client.query("locations_page", {"after": page["endCursor"]}).data["locations"]
        nodes, page = nodes + found["nodes"], found["pageInfo"]
    return nodes


def keep_locations(nodes: Sequence[dict[str, Any]], at: datetime) -> None:
    """The shop's locations are these; one that Shopify no longer lists is off. Two statements, whatever their number."""
    gids = [node["id"] for node in nodes]
    rows = [
        {"location_gid": node["id"], "name": node["name"], "is_active": node["isActive"], "pulled_at": at}
        for node in nodes
    ]
    if rows:
        statement = insert(Location).values([{"shop_id": current_shop_id(), **row} for row in rows])
        again = {name: statement.excluded[name] for name in ("name", "is_active", "pulled_at")}
        db.session.execute(statement.on_conflict_do_update(index_elements=["shop_id", "location_gid"], set_=again))
    db.session.execute(update(Location).where(Location.location_gid.not_in(gids)).values(is_active=False))


def start(at: datetime) -> VariantPull:
    """A pull of all variants is under way: the one that is unfinished, else a new one."""
    row = {"shop_id": current_shop_id(), "started_at": at, "next_look_at": at, "objects_found": 0, "variants_taken": 0}
    statement = insert(VariantPull).values(row)
    db.session.execute(
        statement.on_conflict_do_nothing(index_elements=["shop_id"], index_where=VariantPull.finished_at.is_(None))
    )
    return unfinished()  # type: ignore[return-value]


def unfinished() -> VariantPull | None:
    """The shop's pull that is under way."""
    return db.session.scalar(select(VariantPull).where(VariantPull.finished_at.is_(None)))


def newest() -> VariantPull | None:
    """The shop's newest pull, finished or not."""
    return db.session.scalar(select(VariantPull).order_by(VariantPull.id.desc()).limit(1))


def advance(client: Client) -> bool:
    """The pull under way is a step further. True while there is more to do. Commits each step."""
    pull = unfinished()
    if pull is None:
        return False
    at = clock.now()
    if pull.bulk_operation_gid is None:
        pull.expected = pull_facts(client)
        pull.bulk_operation_gid = _run(client)
        db.session.commit()
        return True
    operation = client.query("bulk_operation", {"id": pull.bulk_operation_gid}).data["bulkOperation"]
    if operation and operation["status"] in WORKING:
        pull.objects_found, pull.next_look_at = int(operation["objectCount"]), at + LOOK_EVERY
        db.session.commit()
        return True
    if operation is None or operation["status"] != "COMPLETED":
        pull.finished_at, pull.cause = (
            at,
            f"Shopify ended the bulk operation: {(operation or {}).get('errorCode') or 'unknown'}.",
        )
        db.session.commit()
        return False
    _take(client, pull, operation["url"])
    return False


def _run(client: Client) -> str:
    answer = client.mutate("variants_bulk", {"query": operation_text("all_variants")}).data["bulkOperationRunQuery"]
    if answer["userErrors"]:
        words = "; ".join(error["message"] for error in answer["userErrors"])
        raise ShopifyRefusedError(f"Shopify did not start the bulk operation: {words}")
    return str(answer["bulkOperation"]["id"])


def _take(client: Client, pull: VariantPull, url: str | None) -> None:
    """The file's variants are ours; those that it does not hold and that were pulled before it began are gone from Shopify."""
    at = clock.now()
    rows: list[dict[str, Any]] = []
    for line in client.download_lines(url).iter_lines() if url else ():
        rows.append(_row(json.loads(line), at))
        if len(rows) == PER_INSERT:
            pull.variants_taken += keep(rows)
            rows = []
    pull.variants_taken += keep(rows)
    gone = update(Variant).where(Variant.pulled_at < pull.started_at, Variant.deleted_at.is_(None))
    db.session.execute(gone.values(deleted_at=at))
    db.session.get_one(Shop, current_shop_id()).variants_pulled_at = at
    pull.finished_at = at
    db.session.commit()


def pull_product(client: Client, product_gid: str) -> int:
    """The product's variants are as Shopify has them now, those it lost are marked so. Returns how many there are."""
    rows: list[dict[str, Any]] = []
    after = None
    at = clock.now()
    while True:
        product = client.query("product_variants", {"id": product_gid, "after": after}).data["product"]
        if product is None:
            break
        rows += [_row({**node, "product": product}, at) for node in product["variants"]["nodes"]]
        if not product["variants"]["pageInfo"]["hasNextPage"]:
            break
        after = product["variants"]["pageInfo"]["endCursor"]
    _keep_whole([product_gid], rows, at)
    return len(rows)


def pull_products(client: Client, product_gids: Sequence[str]) -> None:
    """The variants of all these products are as Shopify has them now. A call for many; one more for each that has many variants."""
    for start in range(0, len(product_gids), PER_READ):
        gids = product_gids[start : start + PER_READ]
        at = clock.now()
        found = dict(zip(gids, client.query("products_by_id", {"ids": list(gids)}).data["nodes"], strict=True))
        large = [gid for gid, node in found.items() if node and node["variants"]["pageInfo"]["hasNextPage"]]
        small = [gid for gid in gids if gid not in large]
        nodes = [(found[gid], variant) for gid in small if found[gid] for variant in found[gid]["variants"]["nodes"]]
        _keep_whole(small, [_row({**variant, "product": product}, at) for product, variant in nodes], at)
        for gid in large:
            pull_product(client, gid)


def _keep_whole(product_gids: Sequence[str], rows: Sequence[dict[str, Any]], at: datetime) -> None:
    """These are all variants that the products have; others of theirs are gone from Shopify."""
    for start in range(0, len(rows), PER_INSERT):
        keep(rows[start : start + PER_INSERT])
    kept = [row["variant_gid"] for row in rows]
    lost = update(Variant).where(
        Variant.product_gid.in_(product_gids), Variant.variant_gid.not_in(kept), Variant.deleted_at.is_(None)
    )
    db.session.execute(lost.values(deleted_at=at))


def keep(rows: Sequence[dict[str, Any]]) -> int:
    """These variants are ours as given, their prices where Shopify has them from no earlier than ours. One statement."""
    if not rows:
        return 0
    statement = insert(Variant).values([{"shop_id": current_shop_id(), **row} for row in rows])
    names = [name for name in rows[0] if name != "variant_gid"]
    again = {name: statement.excluded[name] for name in names}
    is_old = statement.excluded.changed_at < Variant.changed_at  # read before we set a price, and kept after
    for name in ("price", "compare_at_price", "changed_at"):
        again[name] = case((is_old, getattr(Variant, name)), else_=statement.excluded[name])
    db.session.execute(statement.on_conflict_do_update(index_elements=["shop_id", "variant_gid"], set_=again))
    return len(rows)


def _row(node: dict[str, Any], at: datetime) -> dict[str, Any]:
    product = node["product"]
    media = (product.get("featuredMedia") or {}).get("preview") or {}
    return {
        "variant_gid": node["id"],
        "product_gid": product["id"],
        "inventory_item_gid": node["inventoryItem"]["id"],
        "sku": node["sku"] or "",
        "barcode": node["barcode"] or "",
        "product_title": product["title"],
        "title": "" if node["title"] == "Default Title" else node["title"],
        **_prices(node),
        "image_url": (media.get("image") or {}).get("url"),
        "product_status": product["status"],
        "is_tracked": node["inventoryItem"]["tracked"],
        "is_bundle": node["requiresComponents"],
        "pulled_at": at,
        "deleted_at": None,
    }


def _prices(node: dict[str, Any]) -> dict[str, Any]:
    return {
        "price": Decimal(node["price"]) if node["price"] is not None else None,
        "compare_at_price": Decimal(node["compareAtPrice"] or 0),
        "changed_at": datetime.fromisoformat(node["updatedAt"].replace("Z", "+00:00")),
    }


def keep_prices(nodes: Sequence[dict[str, Any]]) -> None:
    """These variants have the prices that an answer of Shopify's shows."""
    for node in nodes:
        db.session.execute(update(Variant).where(Variant.variant_gid == node["id"]).values(**_prices(node)))


def keep_product(product: dict[str, Any], nodes: Sequence[dict[str, Any]], at: datetime) -> None:
    """These variants of a product are ours as an answer of Shopify's shows them."""
    for start in range(0, len(nodes), PER_INSERT):
        keep([_row({**node, "product": product}, at) for node in nodes[start : start + PER_INSERT]])


def find_location(gid: str) -> Location | None:
    """The shop's location with that gid."""
    return db.session.scalar(select(Location).where(Location.location_gid == gid))


def default_location() -> Location | None:
    """Where lots and mappings are kept when nothing else is said."""
    shop = db.session.get_one(Shop, current_shop_id())
    return find_location(settings.get(shop, "default_location"))


def locations() -> Iterable[Location]:
    """The shop's active locations, by name."""
    return db.session.scalars(select(Location).where(Location.is_active).order_by(Location.name)).all()
