"""Wholesale orders over the API: placed once for each key, read, confirmed, shipped, cancelled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from flask import Response, g, request

from occ_app import clock
from occ_app.b2b import answers, orders, tokens
from occ_app.b2b import contract as c
from occ_app.b2b.gate import (
    LONGEST_KEY,
    RefusedError,
    as_cursor,
    as_json,
    blueprint,
    body_of,
    cursor_of,
    of_rule,
    query_of,
)
from occ_app.b2b.models import WholesaleOrder
from occ_app.b2b.operations import operation
from occ_app.errors import RuleError
from occ_app.extensions import db
from occ_app.stock.models import Lot
from occ_app.web import MOST_ID

ID = {"type": "integer", "minimum": 1, "maximum": MOST_ID}
FOLLOW_ORDER = {
    name: {"operationId": name, "parameters": {"order_id": "$response.body#/id"}}
    for name in ("order", "confirm_order", "ship_order", "cancel_order")
}


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
    state = cast("c.OrderState", order.state)
    return c.Order(order.id, order.number, state, customer, order.reference, order.note, lines, *times)


@blueprint.get("/api/v1/orders")
@operation(summary="Orders, newest first", gives=c.OrderPage, scope=tokens.ORDERS_WRITE, query=c.OrdersQuery)
def order_list() -> Response:
    """Wholesale orders page by page."""
    asked_for = query_of(c.OrdersQuery)
    before = cursor_of(asked_for.cursor)
    found = orders.find(state=asked_for.state or "", before=before, limit=asked_for.limit + 1)
    shown = found[: asked_for.limit]
    following = as_cursor(shown[-1].id) if len(found) > len(shown) else None
    lots = orders.lots_of_all(shown)
    return as_json(c.OrderPage([_order(order, lots) for order in shown], following))


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
    body, data = body_of(c.NewOrder)
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
    if response.status_code == 503:  # it will pass, and so the key stays free for the same request
        db.session.rollback()
        return response
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
            return as_json(_order(order), 201, Location=f"/api/v1/orders/{order.id}")
    except RuleError as error:
        return of_rule(error, [line.sku for line in body.lines])


def _one(order_id: int) -> WholesaleOrder:
    return orders.get(order_id, locked=request.method == "POST")


@blueprint.get("/api/v1/orders/<int:order_id>")
@operation(summary="One order", gives=c.Order, scope=tokens.ORDERS_WRITE, refusals=(404,), paths={"order_id": ID})
def order(order_id: int) -> Response:
    """The order as it stands, with the lots of its units."""
    return as_json(_order(_one(order_id)))


def _step(order_id: int, step: Any) -> Response:
    found = _one(order_id)
    skus = [line.item.sku for line in found.lines]
    try:
        response = as_json(_order(step(found, actor=g.caller.actor, at=clock.now())))
    except RuleError as error:
        db.session.rollback()
        return of_rule(error, skus)
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
