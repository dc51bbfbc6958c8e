"""Deliveries are worked off from the table, oldest first. One that fails waits and is tried again, then parked; it never stops the others."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.exc import DataError

from occ_app import clock
from occ_app.errors import OccError
from occ_app.extensions import db
from occ_app.inbox.models import DONE, IGNORED, PARKED, WAITING, Delivery
from occ_app.logs import tell
from occ_app.shopify.errors import ShopifyUnavailableError

MOST_TRIES = 8
TRIES_LEFT = 3  # an outage, however long, leaves so many for errors of its own
KEPT = timedelta(days=30)
PER_DELETE = 5000
PERSONAL = "customers/"  # topics whose payload names a customer: it is gone as soon as nothing more is done with it
Handler = Callable[[Delivery, dict[str, Any]], None]


def work_off(shop_id: int, handlers: dict[str, Handler]) -> int:
    """Every delivery of the shop that is due has been worked on. Commits one by one. Returns how many were done."""
    done = 0
    while True:
        query = select(Delivery.id).where(
            Delivery.shop_id == shop_id, Delivery.state == WAITING, Delivery.next_try_at <= clock.now()
        )
        ids = list(db.session.scalars(query.order_by(Delivery.id).limit(200)))
        db.session.commit()
        if not ids:
            return done
        for delivery_id in ids:
            done += work_on(delivery_id, handlers)


def settle_unknown(handlers: dict[str, Handler]) -> None:
    """Every due delivery of a shop that was not ours when it came is ignored; topics in `handlers` are worked on. Commits one by one."""
    unknown = (Delivery.shop_id.is_(None), Delivery.state == WAITING, Delivery.next_try_at <= clock.now())
    ignored = update(Delivery).where(*unknown, Delivery.topic.not_in(list(handlers)))
    db.session.execute(ignored.values(state=IGNORED, done_at=clock.now()))
    ids = list(db.session.scalars(select(Delivery.id).where(*unknown).order_by(Delivery.id).limit(200)))
    db.session.commit()
    for delivery_id in ids:
        work_on(delivery_id, handlers)


def work_on(delivery_id: int, handlers: dict[str, Handler]) -> bool:
    """The delivery is done, ignored, waiting for another try, or parked. Its effects and its state are one transaction."""
    try:
        delivery = _take(delivery_id)
        if delivery is None:
            db.session.rollback()
            return False
        handler = handlers.get(delivery.topic)
        if handler is not None:
            handler(delivery, _payload(delivery.body))
        done = {"state": DONE if handler else IGNORED, "cause": None, "done_at": clock.now()}
        if delivery.topic.startswith(PERSONAL):
            done["body"] = b""
        db.session.execute(
            update(Delivery).where(Delivery.id == delivery_id).values(done)
        )  # gone, if it erased its shop
        db.session.commit()
    except UnreadableError as error:
        db.session.rollback()
        _park_unreadable(delivery_id, tell("delivery cannot be read", error, delivery=delivery_id))
        return False
    except Exception as error:
        db.session.rollback()
        is_for_now = isinstance(error, ShopifyUnavailableError)
        _failed(delivery_id, tell("delivery failed", error, delivery=delivery_id), is_for_now)
        return False
    return True


class UnreadableError(OccError):
    """The row of a delivery cannot be read from the table."""


def _take(delivery_id: int) -> Delivery | None:
    """The delivery, ours for this transaction; None where it is another's or done with. Raises UnreadableError."""
    query = select(Delivery).where(Delivery.id == delivery_id, Delivery.state == WAITING)
    try:
        return db.session.scalars(query.with_for_update(skip_locked=True)).one_or_none()
    except (DataError, ValueError, OverflowError) as error:
        raise UnreadableError("This message from Shopify is kept, and cannot be read.") from error


def try_again(shop_id: int, delivery_id: int, at: datetime) -> bool:
    """A parked delivery of the shop waits again. False where it is not parked (any more), or its payload is gone."""
    statement = update(Delivery).where(
        Delivery.id == delivery_id, Delivery.shop_id == shop_id, Delivery.state == PARKED, Delivery.body != b""
    )
    return bool(db.session.execute(statement.values(state=WAITING, tries=0, next_try_at=at)).rowcount)


def forget_old(at: datetime) -> None:
    """Deliveries that were worked off or ignored are gone after the keeping time. Commits batch by batch.

    Shopify repeats one for two days at most, so none of them is taken for new. What privacy law asked stands in a record of its own.
    """
    old = select(Delivery.id).where(Delivery.received_at < at - KEPT, Delivery.state.in_((DONE, IGNORED)))
    batch = old.order_by(Delivery.id).limit(PER_DELETE).with_for_update(skip_locked=True)
    while db.session.execute(delete(Delivery).where(Delivery.id.in_(batch.scalar_subquery()))).rowcount:  # type: ignore[attr-defined]
        db.session.commit()


def _payload(body: bytes) -> dict[str, Any]:
    payload = json.loads(body)
    if not isinstance(payload, dict):
        raise ValueError("the payload is not an object")
    return payload


def _failed(delivery_id: int, cause: str, is_for_now: bool) -> None:
    """Tried again later, ever more seldom; parked after the last try, unless it is only that Shopify does not answer for now."""
    query = select(Delivery.tries, Delivery.topic).where(Delivery.id == delivery_id).with_for_update()
    tries, topic = db.session.execute(query).one()
    tries = min(tries + 1, MOST_TRIES - TRIES_LEFT if is_for_now else MOST_TRIES)
    values: dict[str, Any] = {"tries": tries, "cause": cause}
    values["next_try_at"] = clock.now() + timedelta(seconds=min(3600, 10 * 3 ** (tries - 1)))
    if tries >= MOST_TRIES:
        values["state"] = PARKED
        if topic.startswith(PERSONAL):
            values["body"] = b""
    db.session.execute(update(Delivery).where(Delivery.id == delivery_id).values(values))
    db.session.commit()


def _park_unreadable(delivery_id: int, cause: str) -> None:
    """It is parked by its id alone. Only `triggered_at` comes from outside as a moment; without it the row can be read, and tried again."""
    statement = update(Delivery).where(Delivery.id == delivery_id, Delivery.state == WAITING)
    db.session.execute(statement.values(state=PARKED, triggered_at=None, tries=MOST_TRIES, cause=cause))
    db.session.commit()
