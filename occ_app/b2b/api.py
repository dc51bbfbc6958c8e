"""The API under /api/v1, and /sync: stock, syncs, its own description. Each view says its contract beside it."""

from __future__ import annotations

import hashlib
import time
from typing import Any, cast

from flask import Response, current_app, g, render_template, request
from sqlalchemy import Select, select

from occ_app import clock
from occ_app.b2b import asked, levels, operations, tokens
from occ_app.b2b import contract as c
from occ_app.b2b.gate import (
    CONTROL,
    MOST_VERSION,
    as_cursor,
    as_json,
    blueprint,
    cursor_of,
    query_of,
)
from occ_app.b2b.models import AskedSync, Level
from occ_app.b2b.operations import operation
from occ_app.catalog.models import PRODUCT, Item
from occ_app.errors import NotFoundError
from occ_app.extensions import db
from occ_app.stock.rules import RELEASED
from occ_app.web import MOST_ID

ID = {"type": "integer", "minimum": 1, "maximum": MOST_ID}
SKU = {"type": "string", "minLength": 1, "maxLength": 200}
FOLLOW_SYNC = {"sync_run": {"operationId": "sync_run", "parameters": {"run_id": "$response.body#/id"}}}
FIRST_SKU = {
    name: {"operationId": name, "parameters": {parameter: "$response.body#/items/0/sku"}}
    for name, parameter in (("stock_of", "sku"), ("sync_one", "product_id"))
}


# Stock ----------------------------------------------------------------------------------------------------------------------------


def _stock(items: list[Item]) -> list[c.StockItem]:
    ids = [item.id for item in items]
    stock, given, standing = levels.of_items(items), levels.channels_of(items), levels.standing_of(ids)
    found = []
    for item in items:
        now, stands = stock[item.id], standing.get(item.id, levels.Standing(False, None, None))
        channels = {name: units for name, units in given.get(item.id, {}).items() if units and name != RELEASED}
        about = (stands.is_enabled, stands.synced_at, stands.error)
        found.append(
            c.StockItem(item.sku, item.name, item.unit, _mode(now.is_split), now.b2b, now.b2c, channels, *about)
        )
    return found


def _products() -> Select[Item]:
    return select(Item).where(Item.kind == PRODUCT, Item.archived_at.is_(None))


@blueprint.get("/api/v1/stock")
@operation(
    summary="Stock of many items", gives=c.StockPage, scope=tokens.STOCK_READ, query=c.StockQuery, links=FIRST_SKU
)
def stock() -> Response:
    """Items page by page, or those with the SKUs that are named."""
    asked_for = query_of(c.StockQuery)
    after = cursor_of(asked_for.cursor)
    query = _products().order_by(Item.id).limit(asked_for.limit + 1)
    if asked_for.sku:
        query = query.where(Item.sku.in_(asked_for.sku))
    if after is not None:
        query = query.where(Item.id > after)
    items = list(db.session.scalars(query))
    shown = items[: asked_for.limit]
    following = as_cursor(shown[-1].id) if len(items) > len(shown) else None
    return as_json(c.StockPage(_stock(shown), following))


@blueprint.get("/api/v1/stock/<path:sku>")
@operation(
    summary="Stock of one item",
    gives=c.StockItem,
    scope=tokens.STOCK_READ,
    refusals=(404,),
    tagged=True,
    paths={"sku": SKU},
)
def stock_of(sku: str) -> Response:
    """One item, with an `ETag` that changes with its numbers."""
    item = None if CONTROL.search(sku) else db.session.scalar(_products().where(Item.sku == sku))
    if item is None:
        raise NotFoundError(f"There is no item {sku[:200]!r} here.")
    response = as_json(_stock([item])[0])
    response.set_etag(hashlib.sha256(response.get_data()).hexdigest()[:32])
    return response.make_conditional(request)


@blueprint.get("/api/v1/stock-changes")
@operation(summary="What changed since", gives=c.StockChanges, scope=tokens.STOCK_READ, query=c.ChangesQuery)
def stock_changes() -> Response:
    """Numbers that changed after a cursor, in the order of the changes. Ask again with `next_cursor` as often as you like; none is missed."""
    asked_for = query_of(c.ChangesQuery)
    since = cursor_of(asked_for.cursor, MOST_VERSION) or 0
    newest = levels.number_changes()
    since = since if since <= newest else 0  # given before the books were restored from a copy: all is told again
    found = levels.changes(since, asked_for.limit + 1)
    shown = found[: asked_for.limit]
    items = {
        item.id: item for item in db.session.scalars(select(Item).where(Item.id.in_([row.item_id for row in shown])))
    }
    following = as_cursor(shown[-1].version or 0) if shown else as_cursor(since)
    rows = [_change(row, items[row.item_id].sku) for row in shown]
    return as_json(c.StockChanges(rows, following, len(found) > len(shown)))


def _change(level: Level, sku: str) -> c.StockChange:
    return c.StockChange(sku, _mode(level.is_split), level.b2b_stock, level.b2c_stock, level.changed_at)


def _mode(is_split: bool) -> c.Mode:
    return "split" if is_split else "pool"


# Syncs ----------------------------------------------------------------------------------------------------------------------------


def _run(run: AskedSync) -> c.SyncRun:
    times = (run.asked_at, run.started_at, run.finished_at)
    state = cast("c.SyncState", run.state)
    return c.SyncRun(run.id, run.item_id, state, *times, run.looked_at, run.changed, run.cause)


def _accepted(item: Item | None) -> Response:
    run = asked.ask(item, actor=g.caller.actor, at=clock.now())
    response = as_json(_run(run), 202, Location=f"/api/v1/sync-runs/{run.id}")
    db.session.commit()
    return response


@blueprint.post("/sync/all")
@operation(summary="Sync all items", gives=c.SyncRun, scope=tokens.SYNC, status=202, links=FOLLOW_SYNC)
def sync_all() -> Response:
    """All items are compared with Shopify, and what differs is sent. Follow it at `Location`."""
    return _accepted(None)


@blueprint.post("/sync/<path:product_id>")
@operation(
    summary="Sync one item",
    gives=c.SyncRun,
    scope=tokens.SYNC,
    status=202,
    refusals=(404,),
    paths={"product_id": SKU},
    links=FOLLOW_SYNC,
)
def sync_one(product_id: str) -> Response:
    """The item with that id or SKU is compared with Shopify, and what differs is sent. Follow it at `Location`."""
    item = None
    if not CONTROL.search(product_id):
        by_sku = db.session.scalar(_products().where(Item.sku == product_id))
        is_id = product_id.isascii() and product_id.isdigit() and len(product_id) < 11 and int(product_id) <= MOST_ID
        item = by_sku or (db.session.scalar(_products().where(Item.id == int(product_id))) if is_id else None)
    if item is None:
        raise NotFoundError(f"There is no item {product_id[:200]!r} here.")
    return _accepted(item)


@blueprint.get("/api/v1/sync-runs")
@operation(summary="Syncs, newest first", gives=c.SyncPage, scope=tokens.SYNC, query=c.PageQuery)
def sync_runs() -> Response:
    """Syncs that were asked for, page by page."""
    asked_for = query_of(c.PageQuery)
    before = cursor_of(asked_for.cursor)
    found = asked.find(before, asked_for.limit + 1)
    shown = found[: asked_for.limit]
    following = as_cursor(shown[-1].id) if len(found) > len(shown) else None
    return as_json(c.SyncPage([_run(run) for run in shown], following))


@blueprint.get("/api/v1/sync-runs/<int:run_id>")
@operation(summary="One sync", gives=c.SyncRun, scope=tokens.SYNC, refusals=(404,), paths={"run_id": ID})
def sync_run(run_id: int) -> Response:
    """How a sync stands."""
    return as_json(_run(asked.get(run_id)))


# The description --------------------------------------------------------------------------------------------------------------------


def described() -> dict[str, Any]:
    """The description of the API, made from its views once per process."""
    kept: dict[str, Any] | None = current_app.extensions.get("occ_api_description")
    if kept is None:
        kept = operations.description(current_app.url_map, current_app.view_functions, "OCC Inventory Hub", "1.0")
        kept["servers"] = [{"url": current_app.extensions["occ_config"].app_url}]
        current_app.extensions["occ_api_description"] = kept
    return kept


@blueprint.get("/api/v1/openapi.json")
def openapi() -> Response:
    """The description as OpenAPI 3.1."""
    return as_json(described(), **{"Access-Control-Allow-Origin": "*"})


@blueprint.get("/api/v1/docs")
def docs() -> Response:
    """The description as a page to read."""
    return Response(render_template("b2b/docs.html", api=described(), year=time.gmtime().tm_year))
