"""What happened, from wherever it is kept, as lines of one history: runs, pushes, orders, deliveries. Newest first, page by page."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from flask import g
from sqlalchemy import ColumnElement, Select, exists, func, or_, select, tuple_
from sqlalchemy.orm import aliased, selectinload

from occ_app.catalog.models import Item, Mapping
from occ_app.extensions import db
from occ_app.inbox.models import Delivery
from occ_app.orders.models import Order, OrderLine
from occ_app.searching import contains
from occ_app.sync import models as m
from occ_app.sync import undo
from occ_app.sync.models import PushLine, PushUndo, SyncRun

RUN, PUSH, ORDER, DELIVERY = "run", "push", "order", "delivery"
KINDS = (RUN, PUSH, ORDER, DELIVERY)
PUSH_STATES = {
    m.APPLIED: ("Sent", "success"),
    m.WAITING: ("On its way", "info"),
    m.STALE: ("Superseded", "neutral"),
    m.REFUSED: ("Refused", "critical"),
    m.AMBIGUOUS: ("Unclear", "warning"),
}
RUN_WORDS = {m.PUSH: "Sent", m.UNDO: "Took back", m.RECONCILE: "Compared"}
PROMPT = timedelta(minutes=5)  # an order is booked as somebody buys; much later it is booked because it was changed
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
SENT = func.coalesce(PushLine.settled_at, PushLine.created_at)
ORDERED = func.coalesce(Order.booked_at, Order.due_at, Order.placed_at, Order.news_of)
DELIVERY_TONES = {"done": "success", "waiting": "info", "parked": "critical"}


@dataclass(frozen=True)
class Entry:
    """One line of the history. `state`: words and tone. `shopify`: Shopify's number before and after. `undo`: where it can be taken back."""

    kind: str
    id: int
    at: datetime
    what: str
    state: tuple[str, str]
    more: str = ""
    path: str = ""
    cause: str = ""
    change: int | None = None
    shopify: tuple[int, int] | None = None
    undo: str = ""

    @property
    def is_quiet(self) -> bool:
        """Whether nobody needs to look at it."""
        return self.state[1] in ("success", "neutral")


@dataclass(frozen=True)
class Mark:
    """A line's place in the history: by its moment, then its kind, then its id."""

    at: datetime
    kind: str
    id: int

    @property
    def key(self) -> tuple[datetime, int, int]:
        """What is newer has the greater one."""
        return self.at, -KINDS.index(self.kind), self.id


@dataclass(frozen=True)
class Page:
    """Some lines, and the last of them, after which the next page begins; None where nothing is left."""

    entries: Sequence[Entry]
    older: Mark | None = field(default=None)


def page(kinds: Sequence[str], q: str, before: Mark | None, limit: int) -> Page:
    """`limit` lines of these kinds that hold `q`, older than `before`. A fixed number of statements, whatever their number."""
    found = [_READERS[kind](q, before, limit + 1) for kind in kinds]
    merged = list(islice(heapq.merge(*found, key=lambda entry: _mark(entry).key, reverse=True), limit + 1))
    return Page(merged[:limit], _mark(merged[limit - 1]) if len(merged) > limit else None)


def _mark(entry: Entry) -> Mark:
    return Mark(entry.at, entry.kind, entry.id)


def _older(
    query: Select[Any], kind: str, moment: ColumnElement[datetime], row_id: Any, before: Mark | None, limit: int
) -> Select[Any]:
    """The newest `limit` rows of the kind that come after `before`."""
    query = query.order_by(moment.desc(), row_id.desc()).limit(limit)
    if before is None:
        return query
    if kind == before.kind:
        return query.where(tuple_(moment, row_id) < tuple_(before.at, before.id))
    comes_later = KINDS.index(kind) > KINDS.index(before.kind)
    return query.where(moment <= before.at if comes_later else moment < before.at)


def _runs(q: str, before: Mark | None, limit: int) -> list[Entry]:
    query = select(SyncRun).where(contains(q, SyncRun.cause)) if q else select(SyncRun)
    runs = list(db.session.scalars(_older(query, RUN, SyncRun.started_at, SyncRun.id, before, limit)))
    can_undo = _undoable([run.id for run in runs if run.kind == m.PUSH])
    return [_run(run, run.id in can_undo) for run in runs]


def _run(run: SyncRun, can_undo: bool) -> Entry:
    number = run.looked_at if run.kind == m.RECONCILE else run.changed
    state = ("Cut short", "warning") if run.cause else ("Done", "success") if run.finished_at else ("At work", "info")
    return Entry(
        RUN,
        run.id,
        run.started_at,
        f"{RUN_WORDS[run.kind]} {number:,} {'number' if number == 1 else 'numbers'}",
        state,
        more=", ".join(_count(*one) for one in ((run.reads, "read"), (run.writes, "write"), (run.points, "point"))),
        cause=run.cause or "",
        undo=f"/activity/runs/{run.id}/undo" if can_undo else "",
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _undoable(run_ids: Sequence[int]) -> set[int]:
    """Runs with a line that can still be taken back: it raised a number, and none was sent after it."""
    later = aliased(PushLine)
    is_last = ~exists().where(
        later.mapping_id == PushLine.mapping_id, later.id > PushLine.id, later.state.in_((m.APPLIED, m.WAITING))
    )
    query = select(PushLine.run_id).where(
        PushLine.run_id.in_(run_ids), PushLine.state == m.APPLIED, PushLine.quantity > PushLine.change_from, is_last
    )
    query = query.where(~exists().where(PushUndo.line_id == PushLine.id)).distinct()
    return set(db.session.scalars(query)) if run_ids else set()


def _pushes(q: str, before: Mark | None, limit: int) -> list[Entry]:
    query = (
        select(PushLine, Item).join(Mapping, Mapping.id == PushLine.mapping_id).join(Item, Item.id == Mapping.item_id)
    )
    if q:
        query = query.where(contains(q, Item.name, Item.sku, PushLine.why))
    rows = [(row[0], row[1]) for row in db.session.execute(_older(query, PUSH, SENT, PushLine.id, before, limit))]
    return pushes(rows)


def pushes(rows: Sequence[tuple[PushLine, Item]]) -> list[Entry]:
    """Push lines as the history tells them. Two statements."""
    asked, newest = undo.facts_of([line for line, _ in rows])
    return [_push(line, item, asked.get(line.id), undo.can(line, asked.get(line.id), newest)) for line, item in rows]


def _push(line: PushLine, item: Item, asked: PushUndo | None, can_undo: bool) -> Entry:
    state, more = PUSH_STATES[line.state], line.cause or ""
    if asked is not None and asked.left_because is None:
        state = ("Taken back", "neutral") if asked.settled_at else ("Taking back", "info")
        more = f"by {asked.asked_by}"
    elif asked is not None:
        more = f"Not taken back: {asked.left_because}"
    return Entry(
        PUSH,
        line.id,
        line.settled_at or line.created_at,
        item.name,
        state,
        more=more,
        path=f"/products/{item.id}",
        cause=line.why or "",
        change=line.change,
        shopify=(line.change_from, line.quantity),
        undo=f"/activity/pushes/{line.id}/undo" if can_undo else "",
    )


def _orders(q: str, before: Mark | None, limit: int) -> list[Entry]:
    query = select(Order).options(selectinload(Order.lines))
    if q:
        sold = exists().where(OrderLine.order_id == Order.id, contains(q, OrderLine.title))
        query = query.where(or_(contains(q, Order.name), sold))
    return [_order(order) for order in db.session.scalars(_older(query, ORDER, ORDERED, Order.id, before, limit))]


def _order(order: Order) -> Entry:
    waits = [line.title for line in order.lines if line.waits_for_mapping]
    taken = sum(line.taken - line.restocked for line in order.lines)
    state = ("Cancelled", "neutral") if order.cancelled_at else ("Booked", "success")
    state = ("Waits for mapping", "warning") if waits else ("On its way", "info") if order.due_at else state
    lines = ", ".join(f"{line.quantity} × {line.title}" for line in order.lines[:3])
    rest = len(order.lines) - 3
    moment = order.booked_at or order.due_at or order.placed_at or order.news_of or LONG_AGO
    return Entry(
        ORDER,
        order.id,
        moment,
        f"Order {order.name}" if order.name else "An order that is not read yet",
        state,
        more=f"{', '.join(waits)}: not mapped" if waits else lines + (f" and {rest} more" if rest > 0 else ""),
        path=f"/trace/orders/{order.id}" if order.name else "",
        cause=order.cause or _came_to_pass(order),
        change=-taken,
    )


def _came_to_pass(order: Order) -> str:
    """Why the order was booked last, as far as its state tells."""
    if order.cancelled_at:
        return "Order cancelled"
    if any(line.restocked or line.lost or line.returned for line in order.lines):
        return "Order changed"
    if order.fulfillment_status == "FULFILLED":
        return "Order fulfilled"
    if order.booked_at is None or order.placed_at is None or order.booked_at - order.placed_at < PROMPT:
        return "Somebody bought"
    return "Bought earlier" if _is_as_bought(order, order.placed_at) else "Order changed"


def _is_as_bought(order: Order, placed_at: datetime) -> bool:
    return order.changed_at is not None and order.changed_at - placed_at < PROMPT


def _deliveries(q: str, before: Mark | None, limit: int) -> list[Entry]:
    query = select(Delivery).where(Delivery.shop_id == g.shop_id)
    if q:
        query = query.where(contains(q, Delivery.topic))
    return [
        _delivery(row)
        for row in db.session.scalars(_older(query, DELIVERY, Delivery.received_at, Delivery.id, before, limit))
    ]


def _delivery(row: Delivery) -> Entry:
    state = (row.state.capitalize(), DELIVERY_TONES.get(row.state, "neutral"))
    tries = f"{row.tries} tries" if row.tries > 1 else ""
    return Entry(DELIVERY, row.id, row.received_at, row.topic, state, more=tries, cause=row.cause or "Shopify told us")


_READERS = {RUN: _runs, PUSH: _pushes, ORDER: _orders, DELIVERY: _deliveries}
