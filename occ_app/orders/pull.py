"""Orders are read from Shopify: those with news, those updated since the cursor, those still open. What is read is booked as a state."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import select

from occ_app import clock
from occ_app.extensions import db
from occ_app.logs import tell
from occ_app.orders import booking
from occ_app.orders.booking import LineState, OrderState
from occ_app.orders.models import Order
from occ_app.orders.rules import LineSnapshot, Removal, is_b2b
from occ_app.shopify.client import Client
from occ_app.shopify.errors import ShopifyAccessError, ShopifyError, ShopifyUnavailableError
from occ_app.sync.rules import chunks, retry_after
from occ_app.sync.targets import shop

OVERLAP = timedelta(minutes=10)
SETTLES = timedelta(seconds=60)  # times are whole seconds, clocks differ, and what Shopify shows may lag
PER_CALL = 3
MOST_TRIES = 8
LOOKS_FOR_MISSING = 4
RECOUNTED = timedelta(days=7)


def book_due(client: Client) -> int:
    """Every order with news has been read and booked, or waits with its cause. Commits order by order; one that fails stops no other."""
    at = clock.now()
    query = select(Order.order_gid).where(
        Order.due_at.is_not(None), (Order.next_try_at.is_(None)) | (Order.next_try_at <= at), Order.tries < MOST_TRIES
    )
    gids = list(db.session.scalars(query.order_by(Order.due_at).limit(1000)))
    db.session.commit()
    return read_and_book(client, gids)


def pull_changed(client: Client) -> int:
    """Every order updated since the shop's cursor has been read and booked. Windows overlap, so that none falls between two."""
    of = shop()
    since = (of.orders_seen_until or of.installed_at) - OVERLAP
    changed, seen_until = _changed(client, f"updated_at:>='{since:%Y-%m-%dT%H:%M:%SZ}'")
    settled = _settled(changed)
    booked = read_and_book(client, [gid for gid in changed if gid not in settled])
    shop().orders_seen_until = max(filter(None, (seen_until, of.orders_seen_until)))
    db.session.commit()
    return booked


def _settled(changed: Mapping[str, datetime | None]) -> set[str]:
    """Those of these orders that were booked as they are now, from a reading so long after the change that it missed nothing of that second."""
    query = select(Order.order_gid, Order.changed_at, Order.booked_at).where(
        Order.order_gid.in_(list(changed)), Order.due_at.is_(None), Order.booked_at.is_not(None)
    )
    rows = [row for row in db.session.execute(query) if row.changed_at == changed[row.order_gid]]
    return {row.order_gid for row in rows if row.booked_at >= row.changed_at + SETTLES}


def recount(client: Client) -> int:
    """The orders of the last days are compared with what we have of them; those that differ are read and booked. Returns how many."""
    since = clock.now() - RECOUNTED
    changed, _ = _changed(client, f"updated_at:>='{since:%Y-%m-%dT%H:%M:%SZ}'")
    query = select(Order.order_gid, Order.changed_at).where(Order.order_gid.in_(list(changed)))
    known = {row.order_gid: row.changed_at for row in db.session.execute(query)}
    db.session.commit()
    return read_and_book(client, [gid for gid, at in changed.items() if known.get(gid) != at])


def pull_for_link(client: Client, variant_gids: Sequence[str]) -> None:
    """Before a first link reads: what was sold and has left already is booked (news of it may be late), and what is still to ship."""
    pull_changed(client)
    pull_open(client, variant_gids)


def pull_open(client: Client, variant_gids: Sequence[str]) -> int:
    """Every order that still has something to ship has been read and booked, so that a first link knows what is committed.

    Asked for by what they are not: partly shipped, held, scheduled and archived ones are among them, whatever Shopify files those under.
    """
    open_, _ = _changed(client, "-status:cancelled -fulfillment_status:fulfilled -fulfillment_status:shipped")
    waiting = booking.book_waiting(variant_gids, clock.now())
    return read_and_book(client, [*dict.fromkeys([*open_, *waiting])])


def read_and_book(client: Client, gids: Sequence[str]) -> int:
    """These orders have been read and booked, three a call. Returns how many."""
    booked = 0
    for part in chunks(gids, PER_CALL):
        noted_until = clock.now()
        for gid, found in _read_each(client, [str(gid) for gid in part]):
            booked += _book_one(gid, found, noted_until)
    return booked


def _read_each(client: Client, gids: Sequence[str]) -> list[tuple[str, OrderState | None]]:
    """Each order with its state. Where Shopify refuses them together they are read one by one, and the refused one waits with its cause."""
    try:
        return list(zip(gids, read(client, gids), strict=True))
    except (ShopifyUnavailableError, ShopifyAccessError):
        raise
    except ShopifyError as error:
        if len(gids) > 1:
            return [pair for gid in gids for pair in _read_each(client, [gid])]
        db.session.rollback()
        _failed(gids[0], str(error))
        return []


def read(client: Client, gids: Sequence[str]) -> list[OrderState | None]:
    """The orders as Shopify shows them now; None for one that is gone."""
    answer = client.query("orders_by_id", {"ids": list(gids)})
    return [_state(client, node) if node else None for node in answer.data["nodes"]]


def _book_one(gid: str, found: OrderState | None, noted_until: datetime) -> int:
    try:
        if found is None:
            _not_there(gid)
        else:
            booking.book(found, noted_until=noted_until)
        db.session.commit()
    except Exception as error:  # whatever it is, it is this order's alone
        db.session.rollback()
        _failed(gid, tell("order not booked", error, order=gid))
        return 0
    return 1


def _not_there(gid: str) -> None:
    """Shopify does not show the order: deleted, or its news were quicker than its reading. A few more looks tell."""
    order = db.session.scalars(
        select(Order).where(Order.order_gid == gid).with_for_update(key_share=True)
    ).one_or_none()
    if order is not None:
        order.tries += 1
        order.next_try_at = clock.now() + retry_after(order.tries)
        if order.tries >= LOOKS_FOR_MISSING:
            order.due_at, order.tries, order.next_try_at = None, 0, None


def _failed(gid: str, cause: str) -> None:
    at = clock.now()
    booking.note_if_new(gid, at)
    order = db.session.scalars(select(Order).where(Order.order_gid == gid).with_for_update(key_share=True)).one()
    order.tries += 1
    order.due_at, order.next_try_at, order.cause = order.due_at or at, at + retry_after(order.tries), cause[:500]
    db.session.commit()


def _changed(client: Client, query: str) -> tuple[dict[str, datetime | None], datetime | None]:
    """The orders that the query names with when they changed, oldest change first, and up to when that is complete (Shopify's clock)."""
    found: dict[str, datetime | None] = {}
    after, asked_at = None, None
    while True:
        answer = client.query("orders_changed", {"query": query, "after": after})
        asked_at = asked_at or answer.at
        page = answer.data["orders"]
        found |= {node["id"]: _moment(node["updatedAt"]) for node in page["nodes"]}
        if not page["pageInfo"]["hasNextPage"]:
            return found, asked_at
        after = page["pageInfo"]["endCursor"]


def _state(client: Client, node: dict[str, Any]) -> OrderState:
    places = _places(client, node)
    is_held = any(row["status"] == "ON_HOLD" for row in node["fulfillmentOrders"]["nodes"])
    removals = _removals(client, node)
    cancelled_at = _moment(node["cancelledAt"])
    lines = [_line(row, places, removals, cancelled_at is not None) for row in _lines(client, node)]
    placed_at, changed_at = _moment(node["createdAt"]), _moment(node["updatedAt"])
    if placed_at is None or changed_at is None:
        raise ShopifyError("An order has no times.", order=node["id"])
    return OrderState(
        order_gid=node["id"],
        name=node["name"],
        placed_at=placed_at,
        changed_at=changed_at,
        cancelled_at=cancelled_at,
        financial_status=node["displayFinancialStatus"] or "",
        fulfillment_status=node["displayFulfillmentStatus"] or "",
        currency=node["currencyCode"],
        is_test=node["test"],
        is_b2b=is_b2b(node["tags"]),
        lines=lines,
        is_on_hold=is_held,
        risk=(node["risk"] or {}).get("recommendation") or "",
    )


def _line(
    row: dict[str, Any], places: dict[str, str], removals: dict[str, list[Removal]], is_cancelled: bool
) -> LineState:
    return LineState(
        line_gid=row["id"],
        variant_gid=(row["variant"] or {}).get("id"),
        location_gid=places.get(row["id"]),
        sku=row["sku"] or "",
        title=row["title"],
        unit_price=Decimal(row["discountedUnitPriceAfterAllDiscountsSet"]["shopMoney"]["amount"]),
        snapshot=LineSnapshot(
            row["quantity"], row["unfulfilledQuantity"], is_cancelled, tuple(removals.get(row["id"], ()))
        ),
    )


def _lines(client: Client, node: dict[str, Any]) -> Iterable[dict[str, Any]]:
    page = node["lineItems"]
    while True:
        yield from page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            return
        answer = client.query("order_lines_page", {"id": node["id"], "after": page["pageInfo"]["endCursor"]})
        page = answer.data["order"]["lineItems"]


def _places(client: Client, node: dict[str, Any]) -> dict[str, str]:
    """Line gid -> gid of the location that Shopify takes it from. Read at length where the first page does not hold all of it."""
    page = node["fulfillmentOrders"]
    if page["pageInfo"]["hasNextPage"] or any(row["lineItems"]["pageInfo"]["hasNextPage"] for row in page["nodes"]):
        page = client.query("order_assignments", {"id": node["id"], "after": None}).data["order"]["fulfillmentOrders"]
    found: dict[str, str] = {}
    while True:
        for row in page["nodes"]:
            place = (row["assignedLocation"]["location"] or {}).get("id")
            found |= {line["lineItem"]["id"]: place for line in row["lineItems"]["nodes"] if place}
        if not page["pageInfo"]["hasNextPage"]:
            return found
        after = page["pageInfo"]["endCursor"]
        page = client.query("order_assignments", {"id": node["id"], "after": after}).data["order"]["fulfillmentOrders"]


def _removals(client: Client, node: dict[str, Any]) -> dict[str, list[Removal]]:
    found: dict[str, list[Removal]] = defaultdict(list)
    for refund in node["refunds"]:
        at = _moment(refund["createdAt"]) or _moment(node["updatedAt"])
        for row in _refund_lines(client, refund):
            found[row["lineItem"]["id"]].append(Removal(row["quantity"], row["restockType"], at))  # type: ignore[arg-type]
    return found


def _refund_lines(client: Client, refund: dict[str, Any]) -> Iterable[dict[str, Any]]:
    page = refund["refundLineItems"]
    if page["pageInfo"]["hasNextPage"]:
        page = client.query("refund_removals", {"id": refund["id"], "after": None}).data["node"]["refundLineItems"]
    while True:
        yield from page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            return
        after = page["pageInfo"]["endCursor"]
        page = client.query("refund_removals", {"id": refund["id"], "after": after}).data["node"]["refundLineItems"]


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text.replace("Z", "+00:00")) if text else None
