"""The API under /api/v1, and /sync: who asks, how often, and what is answered. Each view says its contract beside it."""

from __future__ import annotations

import hashlib
import re
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import structlog
from flask import Blueprint, Response, current_app, g, render_template, request
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from werkzeug.exceptions import HTTPException

from occ_app import clock
from occ_app.b2b import answers, asked, levels, operations, orders, tokens
from occ_app.b2b import contract as c
from occ_app.b2b.models import AskedSync, Level, WholesaleOrder
from occ_app.b2b.operations import PROBLEM, operation
from occ_app.catalog.models import PRODUCT, Item
from occ_app.errors import NotFoundError, RuleError
from occ_app.extensions import db, shop_scope
from occ_app.shops import settings
from occ_app.shops.models import Shop
from occ_app.stock.models import Lot
from occ_app.stock.rules import RELEASED
from occ_app.web import MOST_ID

log = structlog.get_logger()
blueprint = Blueprint("api", __name__)
MOST_BYTES = 1024 * 1024
MOST_VERSION = 10**18
LONGEST_KEY = 255
CURSOR = re.compile(r"c[0-9]{1,18}")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
ID = {"type": "integer", "minimum": 1, "maximum": MOST_ID}
SKU = {"type": "string", "minLength": 1, "maxLength": 200}
FOLLOW_ORDER = {
    name: {"operationId": name, "parameters": {"order_id": "$response.body#/id"}}
    for name in ("order", "confirm_order", "ship_order", "cancel_order")
}
FOLLOW_SYNC = {"sync_run": {"operationId": "sync_run", "parameters": {"run_id": "$response.body#/id"}}}
FIRST_SKU = {
    name: {"operationId": name, "parameters": {parameter: "$response.body#/items/0/sku"}}
    for name, parameter in (("stock_of", "sku"), ("sync_one", "product_id"))
}


class RefusedError(Exception):
    """The request is answered with this problem."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        faults: list[c.Fault] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail, self.faults, self.headers = status, kind, detail, faults, headers or {}


# Who asks -------------------------------------------------------------------------------------------------------------------------


@blueprint.before_request
def _admit() -> None:
    g.request_id = uuid.uuid4().hex
    request.max_content_length = MOST_BYTES
    said = operations.of(current_app.view_functions[request.endpoint or ""])
    if said is None or said.scope is None:
        return
    at = clock.now()
    scheme, _, plain = request.headers.get("Authorization", "").partition(" ")
    caller = tokens.find(plain.strip(), at) if scheme.lower() == "bearer" else None
    if caller is None:
        challenge = {"WWW-Authenticate": 'Bearer realm="OCC Inventory Hub"'}
        raise RefusedError(
            401, "token", "Send a token that is good as `Authorization: Bearer occ_...`.", None, challenge
        )
    g.caller = caller
    g.stack.enter_context(shop_scope(caller.shop_id))
    _count(caller, said.scope)


def _count(caller: tokens.Caller, scope: str) -> None:
    at = clock.now()
    used = tokens.count(caller, at)
    g.shop = db.session.get_one(Shop, caller.shop_id)
    most, left = settings.get(g.shop, "api_requests_per_minute"), 60 - int(at.timestamp()) % 60
    g.limits = {
        "RateLimit-Policy": f'"minute";q={most};w=60',
        "RateLimit": f'"minute";r={max(0, most - used)};t={left}',
    }
    if used > most:
        words = f"This token made {most:,} requests in this minute. Come back in {left} seconds."
        raise RefusedError(429, "rate", words, None, {"Retry-After": str(left)})
    if scope not in caller.scopes:
        raise RefusedError(403, "scope", f"The token {caller.name} lacks the scope {scope}. Make one that has it.")


@blueprint.after_request
def _finish(response: Response) -> Response:
    response.headers["X-Request-Id"] = g.request_id
    for name, value in g.get("limits", {}).items():
        response.headers[name] = value
    response.headers.setdefault("Cache-Control", "no-store")
    return response


# What goes wrong ------------------------------------------------------------------------------------------------------------------


def problem(
    status: int, kind: str, detail: str, faults: list[c.Fault] | None = None, headers: dict[str, str] | None = None
) -> Response:
    """A problem in words, by RFC 9457."""
    from http import HTTPStatus

    base = current_app.extensions["occ_config"].app_url
    instance = f"urn:uuid:{uuid.UUID(g.setdefault('request_id', uuid.uuid4().hex))}"
    said = c.Problem(f"{base}/api/v1/docs#{kind}", HTTPStatus(status).phrase, status, detail, instance, faults)
    response = Response(msgspec.json.encode(said), status, content_type=PROBLEM)
    response.headers.extend(headers or {})
    return response


@blueprint.errorhandler(RefusedError)
def _refused(error: RefusedError) -> Response:
    db.session.rollback()
    return problem(error.status, error.kind, error.detail, error.faults, error.headers)


@blueprint.errorhandler(RuleError)
def _rule_said_no(error: RuleError) -> Response:
    db.session.rollback()
    return _of_rule(error)


def _of_rule(error: RuleError) -> Response:
    if isinstance(error, orders.ShortError):
        faults = [c.Fault(f"/lines/{s.sku}", f"{s.wanted} wanted, {s.available} available") for s in error.shortages]
        return problem(409, "short", str(error), faults)
    if isinstance(error, orders.UnknownItemsError):
        return problem(
            422, "unknown", str(error), [c.Fault(f"/lines/{sku}", "There is no such item") for sku in error.skus]
        )
    if isinstance(error, orders.StateError):
        return problem(409, "state", str(error))
    return problem(422, "rule", str(error), [c.Fault(f"/{error.field}", str(error))] if error.field else None)


@blueprint.errorhandler(NotFoundError)
def _not_found(error: NotFoundError) -> Response:
    db.session.rollback()
    return problem(404, "missing", str(error))


@blueprint.errorhandler(OperationalError)
@blueprint.errorhandler(PoolTimeoutError)
def _busy(error: Exception) -> Response:
    db.session.rollback()
    log.warning("api could not answer", cause=type(error).__name__)
    words = "The database is busy or away. Nothing was done. Send the same request again."
    return problem(503, "busy", words, None, {"Retry-After": "1"})


@blueprint.errorhandler(HTTPException)
def _http_error(error: HTTPException) -> Response:
    db.session.rollback()
    return http_problem(error)


def http_problem(error: HTTPException) -> Response:
    """The problem behind an HTTP error, with the headers that belong to it (such as Allow)."""
    headers = {key: value for key, value in error.get_headers() if key.lower() == "allow"}
    return problem(error.code or 500, "http", error.description or error.name, None, headers)


# What is asked and answered ---------------------------------------------------------------------------------------------------------


def _json(body: Any, status: int = 200, **headers: str) -> Response:
    response = Response(msgspec.json.encode(body), status, content_type="application/json")
    for name, value in headers.items():
        response.headers[name] = value
    return response


def _query(type_: Any) -> Any:
    """The query's parameters. Raises RefusedError, naming the one that is wrong."""
    lists = {"sku"}
    given: dict[str, Any] = {}
    for name, values in request.args.lists():
        if name not in type_.__struct_fields__:
            known = ", ".join(type_.__struct_fields__)
            raise RefusedError(400, "query", f"There is no parameter {name[:80]!r}. Give some of: {known}.")
        if name not in lists and len(values) > 1:
            raise RefusedError(400, "query", f"{name} stands {len(values)} times. Give it once.")
        given[name] = values if name in lists else values[0]
        if name not in lists and values[0].strip().lower() == "null":  # msgspec would take it for nothing
            raise RefusedError(400, "query", f"{name} is no {values[0][:80]!r}. Leave it out instead.")
        if any(CONTROL.search(value) for value in values):
            raise RefusedError(400, "query", f"{name} holds a control character.")
    try:
        return msgspec.convert(given, type_, strict=False)
    except msgspec.ValidationError as error:
        raise RefusedError(400, "query", f"{error}.") from error


def _body(type_: Any) -> tuple[Any, bytes]:
    """The body as its type, and as it came. Raises RefusedError."""
    if request.mimetype != "application/json":
        raise RefusedError(415, "json", "Send JSON, with `Content-Type: application/json`.")
    data = request.get_data(cache=False)
    try:
        body = msgspec.convert(_whole(msgspec.json.decode(data)), type_)
    except msgspec.ValidationError as error:
        words, _, path = str(error).partition(" - at `")
        raise RefusedError(400, "body", f"{error}.", [c.Fault(_pointer(path.rstrip("`")), words)]) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RefusedError(400, "json", f"The body is not JSON: {error}.") from error
    if any(CONTROL.search(text) for text in _texts(msgspec.to_builtins(body))):
        raise RefusedError(400, "body", "A text holds a control character, such as a line break. Take it out.")
    return body, data


def _whole(value: Any) -> Any:
    """The same with 5.0 as 5: in JSON Schema both are integers."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_whole(part) for part in value]
    return {name: _whole(part) for name, part in value.items()} if isinstance(value, dict) else value


def _pointer(path: str) -> str:
    """`$.lines[3].quantity` -> `/lines/3/quantity` (RFC 6901)."""
    return path.removeprefix("$").replace("[", "/").replace("]", "").replace(".", "/")


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for part in parts for text in _texts(part)]


def _cursor(text: str | None, most: int = MOST_ID) -> int | None:
    """The number in a cursor, `most` where it is bigger: every cursor is a place to go on from. Raises RefusedError for what is none."""
    if text is None:
        return None
    if not CURSOR.fullmatch(text):
        raise RefusedError(400, "query", "cursor is none of ours. Send `next_cursor` as it came, or begin without one.")
    return min(int(text[1:]), most)


def _as_cursor(number: int) -> str:
    return f"c{number}"


# Stock ----------------------------------------------------------------------------------------------------------------------------


def _stock(items: list[Item]) -> list[c.StockItem]:
    ids = [item.id for item in items]
    stock, given, standing = levels.of_items(items), levels.channels_of(items), levels.standing_of(ids)
    found = []
    for item in items:
        now, stands = stock[item.id], standing.get(item.id, levels.Standing(False, None, None))
        channels = {name: units for name, units in given.get(item.id, {}).items() if units and name != RELEASED}
        mode = "split" if now.is_split else "pool"
        about = (stands.is_enabled, stands.synced_at, stands.error)
        found.append(c.StockItem(item.sku, item.name, item.unit, mode, now.b2b, now.b2c, channels, *about))  # type: ignore[arg-type]
    return found


def _products():  # type: ignore[no-untyped-def]
    return select(Item).where(Item.kind == PRODUCT, Item.archived_at.is_(None))


@blueprint.get("/api/v1/stock")
@operation(
    summary="Stock of many items", gives=c.StockPage, scope=tokens.STOCK_READ, query=c.StockQuery, links=FIRST_SKU
)
def stock() -> Response:
    """Items page by page, or those with the SKUs that are named."""
    asked_for = _query(c.StockQuery)
    after = _cursor(asked_for.cursor)
    query = _products().order_by(Item.id).limit(asked_for.limit + 1)
    if asked_for.sku:
        query = query.where(Item.sku.in_(asked_for.sku))
    if after is not None:
        query = query.where(Item.id > after)
    items = list(db.session.scalars(query))
    shown = items[: asked_for.limit]
    following = _as_cursor(shown[-1].id) if len(items) > len(shown) else None
    return _json(c.StockPage(_stock(shown), following))


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
    response = _json(_stock([item])[0])
    response.set_etag(hashlib.sha256(response.get_data()).hexdigest()[:32])
    return response.make_conditional(request)


@blueprint.get("/api/v1/stock-changes")
@operation(summary="What changed since", gives=c.StockChanges, scope=tokens.STOCK_READ, query=c.ChangesQuery)
def stock_changes() -> Response:
    """Numbers that changed after a cursor, in the order of the changes. Ask again with `next_cursor` as often as you like; none is missed."""
    asked_for = _query(c.ChangesQuery)
    since = _cursor(asked_for.cursor, MOST_VERSION) or 0
    newest = levels.number_changes()
    since = since if since <= newest else 0  # given before the books were restored from a copy: all is told again
    found = levels.changes(since, asked_for.limit + 1)
    shown = found[: asked_for.limit]
    items = {
        item.id: item for item in db.session.scalars(select(Item).where(Item.id.in_([row.item_id for row in shown])))
    }
    following = _as_cursor(shown[-1].version or 0) if shown else _as_cursor(since)
    rows = [_change(row, items[row.item_id].sku) for row in shown]
    return _json(c.StockChanges(rows, following, len(found) > len(shown)))


def _change(level: Level, sku: str) -> c.StockChange:
    mode = "split" if level.is_split else "pool"
    return c.StockChange(sku, mode, level.b2b_stock, level.b2c_stock, level.changed_at)  # type: ignore[arg-type]


# Orders ---------------------------------------------------------------------------------------------------------------------------


Lots = Mapping[int, Sequence[tuple[Lot | None, int]]]


def _order(order: WholesaleOrder, known: Lots | None = None) -> c.Order:
    """`known`: line id -> lots, where they were fetched for many orders at once."""
    lots = orders.lots_of(order) if known is None else known
    lines = [
        c.Line(
            line.item.sku,
            line.quantity,
            line.taken,
            line.quantity - line.taken if line.waits else 0,
            [c.LotUnits(lot.lot_number if lot else None, units) for lot, units in lots.get(line.id, [])],
        )
        for line in order.lines
    ]
    customer = c.Customer(order.customer.name, order.customer.reference)
    times = (order.created_at, order.confirmed_at, order.shipped_at, order.cancelled_at)
    return c.Order(order.id, order.number, order.state, customer, order.reference, order.note, lines, *times)  # type: ignore[arg-type]


@blueprint.get("/api/v1/orders")
@operation(summary="Orders, newest first", gives=c.OrderPage, scope=tokens.ORDERS_WRITE, query=c.OrdersQuery)
def order_list() -> Response:
    """Wholesale orders page by page."""
    asked_for = _query(c.OrdersQuery)
    before = _cursor(asked_for.cursor)
    found = orders.find(state=asked_for.state or "", before=before, limit=asked_for.limit + 1)
    shown = found[: asked_for.limit]
    following = _as_cursor(shown[-1].id) if len(found) > len(shown) else None
    lots = orders.lots_of_all(shown)
    return _json(c.OrderPage([_order(order, lots) for order in shown], following))


@blueprint.post("/api/v1/orders")
@operation(
    summary="Place an order",
    gives=c.Order,
    scope=tokens.ORDERS_WRITE,
    takes=c.NewOrder,
    status=201,
    refusals=(409, 422),
    keyed=True,
    links=FOLLOW_ORDER,
)
def place_order() -> Response:
    """The order is placed and its units are taken, all of it or nothing. Where wholesale has too little the shop's rule decides: 409, or the
    pool gives, or the rest waits."""
    key = request.headers.get("Idempotency-Key", "")
    if not 1 <= len(key) <= LONGEST_KEY or not all("!" <= letter <= "~" for letter in key):
        words = f"Send an `Idempotency-Key` of 1 to {LONGEST_KEY} visible ASCII characters that is yours for this order alone."
        raise RefusedError(400, "key", words)
    body, data = _body(c.NewOrder)
    at = clock.now()
    try:
        known = answers.begin(key, answers.fingerprint("POST", request.path, data), at)
    except answers.InFlightError as error:
        raise RefusedError(
            409, "in-flight", "The request with this key is under way. Ask again in a moment."
        ) from error
    except answers.MismatchError as error:
        raise RefusedError(
            422, "key", "This key was used for another request. Give this one a key of its own."
        ) from error
    if known is not None:
        response = Response(known.body, known.status, known.headers)
        response.headers["Idempotency-Replayed"] = "true"
        return response
    response = _placed(body, at)
    kept = {"Content-Type": response.headers["Content-Type"]}
    if "Location" in response.headers:
        kept["Location"] = response.headers["Location"]
    answers.keep(key, response.status_code, kept, response.get_data(as_text=True))
    db.session.commit()
    return response


def _placed(body: c.NewOrder, at: Any) -> Response:
    """The order as an answer; where a rule says no, that, and nothing of the order is left."""
    try:
        with db.session.begin_nested():
            order = orders.create(
                [(line.sku, line.quantity) for line in body.lines],
                customer=body.customer.name,
                customer_reference=body.customer.reference,
                reference=body.reference,
                note=body.note,
                confirmed=body.confirm,
                actor=g.caller.actor,
                at=at,
            )
            return _json(_order(order), 201, Location=f"/api/v1/orders/{order.id}")
    except RuleError as error:
        return _of_rule(error)


def _one(order_id: int) -> WholesaleOrder:
    return orders.get(order_id, locked=request.method == "POST")


@blueprint.get("/api/v1/orders/<int:order_id>")
@operation(summary="One order", gives=c.Order, scope=tokens.ORDERS_WRITE, refusals=(404,), paths={"order_id": ID})
def order(order_id: int) -> Response:
    """The order as it stands, with the lots of its units."""
    return _json(_order(_one(order_id)))


def _step(order_id: int, step: Any) -> Response:
    found = step(_one(order_id), actor=g.caller.actor, at=clock.now())
    response = _json(_order(found))
    db.session.commit()
    return response


STEP = {
    "gives": c.Order,
    "scope": tokens.ORDERS_WRITE,
    "refusals": (404, 409),
    "paths": {"order_id": ID},
    "links": {"order": FOLLOW_ORDER["order"]},
}


@blueprint.post("/api/v1/orders/<int:order_id>/confirm")
@operation(summary="Confirm a draft", **STEP)
def confirm_order(order_id: int) -> Response:
    """Its units are taken. Confirming twice does nothing."""
    return _step(order_id, orders.confirm)


@blueprint.post("/api/v1/orders/<int:order_id>/ship")
@operation(summary="Ship an order", **STEP)
def ship_order(order_id: int) -> Response:
    """Its units have left, and its lots are on record. Shipping twice does nothing."""
    return _step(order_id, orders.ship)


@blueprint.post("/api/v1/orders/<int:order_id>/cancel")
@operation(summary="Cancel an order", **STEP)
def cancel_order(order_id: int) -> Response:
    """Its units are back where they came from. Cancelling twice does nothing; what is shipped cannot be cancelled."""
    return _step(order_id, orders.cancel)


# Syncs ----------------------------------------------------------------------------------------------------------------------------


def _run(run: AskedSync) -> c.SyncRun:
    times = (run.asked_at, run.started_at, run.finished_at)
    return c.SyncRun(run.id, run.item_id, run.state, *times, run.looked_at, run.changed, run.cause)  # type: ignore[arg-type]


def _accepted(item: Item | None) -> Response:
    run = asked.ask(item, actor=g.caller.actor, at=clock.now())
    response = _json(_run(run), 202, Location=f"/api/v1/sync-runs/{run.id}")
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
    asked_for = _query(c.PageQuery)
    before = _cursor(asked_for.cursor)
    found = asked.find(before, asked_for.limit + 1)
    shown = found[: asked_for.limit]
    following = _as_cursor(shown[-1].id) if len(found) > len(shown) else None
    return _json(c.SyncPage([_run(run) for run in shown], following))


@blueprint.get("/api/v1/sync-runs/<int:run_id>")
@operation(summary="One sync", gives=c.SyncRun, scope=tokens.SYNC, refusals=(404,), paths={"run_id": ID})
def sync_run(run_id: int) -> Response:
    """How a sync stands."""
    return _json(_run(asked.get(run_id)))


# The description --------------------------------------------------------------------------------------------------------------------


def described() -> dict[str, Any]:
    """The description of the API, made from its views once per process."""
    kept = current_app.extensions.get("occ_api_description")
    if kept is None:
        kept = operations.description(current_app.url_map, current_app.view_functions, "OCC Inventory Hub", "1.0")
        kept["servers"] = [{"url": current_app.extensions["occ_config"].app_url}]
        current_app.extensions["occ_api_description"] = kept
    return kept  # type: ignore[no-any-return]


@blueprint.get("/api/v1/openapi.json")
def openapi() -> Response:
    """The description as OpenAPI 3.1."""
    return _json(described(), **{"Access-Control-Allow-Origin": "*"})


@blueprint.get("/api/v1/docs")
def docs() -> Response:
    """The description as a page to read."""
    return Response(render_template("b2b/docs.html", api=described(), year=time.gmtime().tm_year))
