"""Exceptions: raised once per kind and subject, withdrawn by themselves when no longer true, settled by people."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import literal_column, select, update
from sqlalchemy.dialects.postgresql import insert

from occ_app.extensions import current_shop_id, db
from occ_app.sync.models import SyncException

DELIVERY, ORDER, TASK = "delivery", "order", "task"  # work that has stopped until somebody says "try again"
AUDIT = "audit"  # balances that are not the sum of their moves
UNSEEN = "unseen"  # Shopify has more committed than we have booked, or less, and no order tells why
WHOLESALE = "wholesale"  # a wholesale order waits for units
LATE_CHANGE, PARTNER_LINES, PARTNER_ORDER, SHORT, SETUP = (  # partner orders
    "late_change",
    "partner_lines",
    "partner_order",
    "short",
    "setup",
)
MISSING = "missing"  # customers bought more than a partner has
DRIFT, GUARD, PARKED, BACKORDER, LINK, AMBIGUOUS = (
    "drift",
    "guard",
    "parked",
    "backorder",
    "link",
    "ambiguous",
)


_listeners: list[Callable[[str, int | None, dict[str, Any]], None]] = []


def after_raising(listener: Callable[[str, int | None, dict[str, Any]], None]) -> None:
    """`listener` is called with kind, mapping and facts of an exception that was not open before, within the transaction."""
    if listener not in _listeners:
        _listeners.append(listener)


def raise_(kind: str, subject: str, facts: dict[str, Any], at: datetime, mapping_id: int | None = None) -> None:
    """An open exception of this kind and subject exists, with these facts; `raised_at` stays that of the first."""
    row = {
        "shop_id": current_shop_id(),
        "kind": kind,
        "subject": subject,
        "facts": facts,
        "raised_at": at,
        "mapping_id": mapping_id,
    }
    statement = insert(SyncException).values(row)
    is_new = db.session.scalar(
        statement.on_conflict_do_update(
            index_elements=["shop_id", "kind", "subject"],
            index_where=SyncException.settled_at.is_(None),
            set_={"facts": statement.excluded.facts},
        ).returning(literal_column("xmax = 0"))
    )
    for listener in _listeners if is_new else ():
        listener(kind, mapping_id, facts)


def tell_unseen(mapping_id: int, committed: int, booked: int, at: datetime) -> None:
    """An open exception says that Shopify's `committed` is not what we have booked."""
    raise_(UNSEEN, subject_of(mapping_id), {"committed": committed, "booked": booked}, at, mapping_id)


def withdraw(kind: str, subject: str, at: datetime, *, by: str = "by itself", remedy: str = "no longer true") -> bool:
    """No open exception of this kind and subject is left. Returns whether there was one."""
    found = find_open(kind, subject)
    if found is None:
        return False
    found.settled_at, found.settled_by, found.remedy = at, by, remedy
    db.session.flush()
    return True


def withdraw_many(kind: str, mapping_ids: Iterable[int], at: datetime, *, by: str, remedy: str) -> None:
    """No open exception of this kind about these mappings is left. One statement."""
    found = update(SyncException).where(
        SyncException.kind == kind, SyncException.mapping_id.in_(list(mapping_ids)), SyncException.settled_at.is_(None)
    )
    db.session.execute(found.values(settled_at=at, settled_by=by, remedy=remedy))


def withdraw_all(mapping_id: int, at: datetime, *, by: str) -> None:
    """No exception of the mapping is open: what it was about has ended."""
    for kind in (DRIFT, GUARD, PARKED, LINK, AMBIGUOUS, UNSEEN):
        withdraw(kind, subject_of(mapping_id), at, by=by)


def find_open(kind: str, subject: str) -> SyncException | None:
    """The open exception of this kind and subject, locked."""
    query = select(SyncException).where(
        SyncException.kind == kind, SyncException.subject == subject, SyncException.settled_at.is_(None)
    )
    return db.session.scalars(query.with_for_update()).one_or_none()


def open_mappings(kind: str) -> set[int]:
    """Ids of the mappings that have an open exception of this kind."""
    query = select(SyncException.mapping_id).where(SyncException.kind == kind, SyncException.settled_at.is_(None))
    return {mapping_id for mapping_id in db.session.scalars(query) if mapping_id is not None}


def open_subjects(kind: str) -> set[str]:
    """What the open exceptions of this kind are about."""
    query = select(SyncException.subject).where(SyncException.kind == kind, SyncException.settled_at.is_(None))
    return set(db.session.scalars(query))


def subject_of(mapping_id: int) -> str:
    """How an exception names a mapping."""
    return f"mapping:{mapping_id}"
