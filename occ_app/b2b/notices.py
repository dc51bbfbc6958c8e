"""Notices to other systems: written in the transaction that they tell of, signed, sent by a worker, tried again, replayed by people.

Source: the Standard Webhooks specification (webhook-id, webhook-timestamp, webhook-signature; its advice on retries).
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from flask import current_app
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import joinedload
from standardwebhooks import Webhook

from occ_app import clock
from occ_app.b2b import levels, outside
from occ_app.b2b.models import PARKED, SENT, WAITING, Endpoint, Level, Notice, WholesaleOrder
from occ_app.catalog.models import Item
from occ_app.config import Config
from occ_app.errors import NotFoundError, RuleError
from occ_app.extensions import current_shop_id, db
from occ_app.shops.secrets import seal, unseal
from occ_app.work import tasks

log = structlog.get_logger()
STOCK_CHANGED, BACKORDERED, SYNC_FAILED = "stock.changed", "order.backordered", "sync.failed"
KINDS = {
    STOCK_CHANGED: "b2b_stock or b2c_stock of an item is another number",
    BACKORDERED: "A wholesale order was confirmed and waits for units",
    SYNC_FAILED: "An item cannot be sent to Shopify",
}
SECONDS = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)  # before the next try, after each failed one
MOST_ENDPOINTS, MOST_AT_ONCE = 10, 100
LONGEST_TURN = timedelta(seconds=60)
REST = timedelta(seconds=60)  # after a failed try, before anything else is sent to the address
KEPT = timedelta(days=30)
OVERTAKEN = "Newer news took its place."


def add_endpoint(url: str, kinds: Sequence[str], *, at: datetime) -> tuple[Endpoint, str]:
    """Notices of these kinds go to that address from now on. Returns the row and the secret that signs them."""
    if not kinds or set(kinds) - set(KINDS):
        raise RuleError(f"Choose one or more of: {', '.join(KINDS)}.", field="kinds")
    if len(endpoints()) >= MOST_ENDPOINTS:
        raise RuleError(f"There are {MOST_ENDPOINTS} addresses already. End one first.", field="url")
    outside.check(url, config().notices_to_loopback)
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    row = Endpoint(url=url, secret=b"", kinds=sorted(set(kinds)), created_at=at)
    db.session.add(row)
    db.session.flush()
    row.secret = seal(config().token_encryption_keys, secret, _place(row))
    db.session.flush()
    levels.refresh(None)
    return row, secret


def endpoints() -> Sequence[Endpoint]:
    """The shop's living endpoints."""
    return db.session.scalars(select(Endpoint).where(Endpoint.ended_at.is_(None)).order_by(Endpoint.id)).all()


def end(endpoint_id: int, at: datetime, why: str = "You ended it.") -> None:
    """Nothing is sent there any more. Raises NotFoundError."""
    row = db.session.scalar(select(Endpoint).where(Endpoint.id == endpoint_id, Endpoint.ended_at.is_(None)))
    if row is None:
        raise NotFoundError("There is no such address here.")
    row.ended_at, row.ended_why = at, why
    waiting = update(Notice).where(Notice.endpoint_id == row.id, Notice.state == WAITING)
    db.session.execute(waiting.values(state=PARKED, cause=why))


def secret_of(endpoint: Endpoint) -> str:
    """What its notices are signed with."""
    return unseal(config().token_encryption_keys, endpoint.secret, _place(endpoint))


def _place(endpoint: Endpoint) -> str:
    return f"notice_endpoint:{endpoint.id}:secret"


def config() -> Config:
    """The settings of this process."""
    found: Config = current_app.extensions["occ_config"]
    return found


# What is told -----------------------------------------------------------------------------------------------------------------------


def tell(kind: str, news: Sequence[tuple[str, dict[str, Any]]], at: datetime) -> None:
    """Every endpoint that wants this kind will hear these (subject, data). What still waits about a subject is replaced where it was never
    tried, and ends where it was: it would arrive after the newer news."""
    wanting = [endpoint for endpoint in endpoints() if kind in endpoint.kinds]
    if not wanting or not news:
        return
    _end_older(kind, [endpoint.id for endpoint in wanting], [subject for subject, _ in news])
    statement = insert(Notice)
    fresh = {name: getattr(statement.excluded, name) for name in ("payload", "created_at")}
    rows = [
        {
            "shop_id": current_shop_id(),
            "endpoint_id": endpoint.id,
            "kind": kind,
            "subject": subject,
            "payload": {"type": kind, "timestamp": at.isoformat(), "data": data},
            "created_at": at,
            "next_try_at": at,
        }
        for endpoint in wanting
        for subject, data in news
    ]
    again = statement.on_conflict_do_update(
        index_elements=["endpoint_id", "kind", "subject"],
        index_where=(Notice.state == WAITING) & (Notice.tries == 0),
        set_=fresh,
    )
    for row in rows:
        row |= {"state": WAITING, "tries": 0}
    db.session.execute(again, rows)
    tasks.ask("notices", current_shop_id())


def _end_older(kind: str, endpoint_ids: Sequence[int], subjects: Sequence[str]) -> None:
    """What was tried in vain about these subjects is not tried again."""
    older = select(Notice.id).where(Notice.endpoint_id.in_(endpoint_ids), Notice.kind == kind, Notice.state == WAITING)
    older = older.where(Notice.subject.in_(subjects), Notice.tries > 0).order_by(Notice.id).with_for_update()
    ended = update(Notice).where(Notice.id.in_(older)).values(state=PARKED, cause=OVERTAKEN)
    db.session.execute(ended.execution_options(synchronize_session=False))


def levels_changed(changed: Sequence[Level]) -> None:
    """`stock.changed` of each."""
    if not endpoints():
        return
    ids = [level.item_id for level in changed]
    rows = db.session.execute(select(Item.id, Item.sku).where(Item.id.in_(ids)))
    skus = {row.id: row.sku for row in rows}
    news = [
        (
            f"item:{level.item_id}",
            {
                "sku": skus[level.item_id],
                "mode": "split" if level.is_split else "pool",
                "b2b_stock": level.b2b_stock,
                "b2c_stock": level.b2c_stock,
            },
        )
        for level in changed
    ]
    tell(STOCK_CHANGED, news, clock.now())


def order_waits(order: WholesaleOrder) -> None:
    """`order.backordered` of the order."""
    lines = [
        {"sku": x.item.sku, "quantity": x.quantity, "waiting": x.quantity - x.taken} for x in order.lines if x.waits
    ]
    data = {"id": order.id, "number": order.number, "reference": order.reference, "lines": lines}
    tell(BACKORDERED, [(f"order:{order.id}", data)], clock.now())


def sync_failed(item: Item, cause: str) -> None:
    """`sync.failed` of the item."""
    tell(SYNC_FAILED, [(f"item:{item.id}", {"sku": item.sku, "product_id": item.id, "cause": cause})], clock.now())


# Sending ----------------------------------------------------------------------------------------------------------------------------

Send = Callable[[str, bytes, dict[str, str]], int]


def send_due(send: Send) -> int:
    """What is due was sent, or waits for its next try, or is parked after the last. Returns how many were tried. Commits after each.

    An address that failed is not tried again in this turn: one that hangs would keep the others waiting, time and again.
    """
    at, tried, is_late = clock.now(), 0, False
    due = select(Notice.id).where(Notice.state == WAITING, Notice.next_try_at <= at).order_by(Notice.id)
    for notice_id in list(db.session.scalars(due.limit(MOST_AT_ONCE))):
        query = select(Notice).where(Notice.id == notice_id).options(joinedload(Notice.endpoint))
        notice = db.session.scalars(query.with_for_update(of=Notice).execution_options(populate_existing=True)).one()
        if notice.state == WAITING and notice.next_try_at <= at:
            notice.tries += 1
            db.session.commit()  # from here on newer news of the subject is a notice of its own
            if not _send(notice, send):
                _let_rest(notice.endpoint_id)
            tried += 1
        db.session.commit()
        is_late = clock.now() - at > LONGEST_TURN
        if is_late:
            break
    if tried == MOST_AT_ONCE or is_late:
        tasks.ask("notices", current_shop_id())
        db.session.commit()
    return tried


def _let_rest(endpoint_id: int) -> None:
    """Everything else that is due at the address is due a little later; no try is counted."""
    at = clock.now()
    due = select(Notice.id).where(Notice.endpoint_id == endpoint_id, Notice.state == WAITING, Notice.next_try_at <= at)
    later = update(Notice).where(Notice.id.in_(due.with_for_update(skip_locked=True))).values(next_try_at=at + REST)
    db.session.execute(later.execution_options(synchronize_session=False))


def _send(notice: Notice, send: Send) -> bool:
    """Whether the other side has heard it."""
    at = clock.now()
    try:
        notice.status, notice.cause = _signed_and_sent(notice, send, at), None
    except outside.UnsafeError as error:
        notice.status, notice.cause = None, str(error)
    except Exception as error:  # a bug of ours with one address keeps no news from the others
        log.exception("a notice could not be sent", endpoint=notice.endpoint_id, notice=notice.id)
        notice.status, notice.cause = None, f"It could not be sent: {type(error).__name__}."
    if notice.status is not None and 200 <= notice.status < 300:
        notice.state, notice.sent_at = SENT, clock.now()
        return True
    notice.cause = notice.cause or f"The other side answered {notice.status}."
    if notice.status == 410:
        end(notice.endpoint_id, at, "The other side said that it is gone (410).")
    if notice.tries > len(SECONDS) or notice.status == 410:
        notice.state = PARKED
        return False
    wait = SECONDS[notice.tries - 1]
    notice.next_try_at = at + timedelta(seconds=wait + secrets.randbelow(max(1, wait // 10)))
    return False


def _signed_and_sent(notice: Notice, send: Send, at: datetime) -> int:
    """The status that the other side answered."""
    name, body = message_id(notice), json.dumps(notice.payload, separators=(",", ":"))
    headers = {
        "content-type": "application/json",
        "webhook-id": name,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret_of(notice.endpoint)).sign(name, at, body),
    }
    return send(notice.endpoint.url, body.encode(), headers)


def message_id(notice: Notice) -> str:
    """What a notice is known by, the same at every try."""
    return f"msg_{notice.shop_id}_{notice.id}"


def replay(notice_id: int, at: datetime) -> Notice:
    """The notice is sent again, whatever became of it. Raises NotFoundError."""
    notice = db.session.scalar(
        select(Notice).where(Notice.id == notice_id).options(joinedload(Notice.endpoint)).with_for_update(of=Notice)
    )
    if notice is None:
        raise NotFoundError("There is no such notice here.")
    if notice.endpoint.ended_at is not None:
        raise RuleError("Nothing is sent to that address any more. Add it again first.")
    notice.state, notice.tries, notice.next_try_at = WAITING, max(1, min(notice.tries, 1)), at
    tasks.ask("notices", current_shop_id())
    return notice


def newest(limit: int = 50) -> Sequence[Notice]:
    """Notices, newest first, with their endpoints."""
    query = select(Notice).options(joinedload(Notice.endpoint)).order_by(Notice.id.desc())
    return db.session.scalars(query.limit(limit)).all()
