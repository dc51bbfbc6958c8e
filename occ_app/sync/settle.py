"""What a person decides about an exception. Each kind names its remedies; a second press of the same button finds it settled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from occ_app.catalog.models import Mapping
from occ_app.errors import NotFoundError, RuleError
from occ_app.extensions import db
from occ_app.stock import ledger
from occ_app.sync import answers, approvals, desk, link, readings, reconcile
from occ_app.sync import models as m
from occ_app.sync.models import SyncException, SyncState
from occ_app.sync.past import who_of
from occ_app.sync.targets import is_mirrored, lock_states, refresh
from occ_app.work import tasks

REMEDIES = {
    desk.DRIFT: ("hub", "shopify"),
    desk.GUARD: ("approve", "reject"),
    desk.PARKED: ("retry", "stop"),
    desk.LINK: ("hub", "shopify"),
    desk.AMBIGUOUS: ("look",),
    desk.UNSEEN: ("accept",),
    desk.LATE_CHANGE: ("told",),
    desk.SHORT: ("told",),
    desk.PARTNER_ORDER: ("ours", "theirs", "retry", "seen"),
    desk.PARTNER_LINES: ("retry",),
    desk.SETUP: ("retry",),
    **dict.fromkeys((desk.DELIVERY, desk.ORDER, desk.TASK, desk.AUDIT), ("retry",)),
}
Decide = Callable[[SyncException, str, datetime], str]
_deciders: dict[str, Decide] = {}
_locks: dict[str, Callable[[SyncException], None]] = {}
TryAgain = Callable[[str, datetime], None]
_again: dict[str, TryAgain] = {}


def tries_again(kind: str, function: TryAgain) -> None:
    """What has stopped, an exception of `kind`, flows again by `function(what, at)`; its packages stand above this one."""
    _again[kind] = function


def decides(kind: str, function: Decide, lock: Callable[[SyncException], None]) -> None:
    """An exception of `kind` is settled by `function(exception, remedy, at)`, which returns the outcome in words; its packages stand above.

    `lock(exception)` is called before: it locks the rows that those packages lock before they withdraw an exception of that kind.
    """
    _deciders[kind], _locks[kind] = function, lock


@dataclass(frozen=True)
class Settled:
    """The outcome in one sentence, for the toast and the history."""

    sentence: str


def settle(exception_id: int, remedy: str, *, actor: str, at: datetime) -> Settled:
    """The exception is settled by `remedy`. Raises RuleError where it is settled already or the remedy is not one of its.

    An exception is always the last that is locked: whoever books, or looks, holds what it is about when they withdraw it.
    """
    found = _open(exception_id, remedy)
    _locks.get(found.kind, _lock_mapping)(found)
    found = _open(exception_id, remedy, is_locked=True)
    if found.kind in _again:
        _again[found.kind](found.subject.partition(":")[2], at)
        sentence = "Trying again"
    elif found.kind in _deciders:
        sentence = _deciders[found.kind](found, remedy, at)
    else:
        sentence = _OF_MAPPINGS[found.kind](found, _state(found), remedy, actor, at)
    if found.kind not in (desk.LINK, desk.AMBIGUOUS):
        found.settled_at, found.settled_by, found.remedy = at, actor, remedy
    db.session.flush()
    return Settled(sentence)


def _open(exception_id: int, remedy: str, *, is_locked: bool = False) -> SyncException:
    """The shop's open exception with that id, which has that remedy. Raises NotFoundError, RuleError."""
    query = select(SyncException).where(SyncException.id == exception_id)
    if is_locked:
        query = query.with_for_update().execution_options(populate_existing=True)
    found = db.session.scalars(query).one_or_none()
    if found is None:
        raise NotFoundError(f"There is no exception {exception_id} here.")
    if found.settled_at is not None:
        raise RuleError(f"This was settled already, {who_of(found.settled_by)}.")
    if remedy not in REMEDIES.get(found.kind, ()):
        raise RuleError(f"Choose one of: {', '.join(REMEDIES.get(found.kind, ())) or 'nothing, it ends by itself'}.")
    return found


def _lock_mapping(exception: SyncException) -> None:
    """What the exception is about is locked until the decision is committed: the item, then the sync states, as every booking does."""
    if exception.mapping_id is None:
        return
    item_ids = db.session.scalars(select(Mapping.item_id).where(Mapping.id == exception.mapping_id)).all()
    ledger.lock(item_ids)
    lock_states(item_ids)


def _state(exception: SyncException) -> SyncState:
    """The mapping's sync state as it is now that it is locked."""
    states = readings.living_states([exception.mapping_id or 0])
    if not states:
        raise RuleError("The mapping that this was about has ended.")
    return states[0]


def _settle_drift(found: SyncException, state: SyncState, remedy: str, actor: str, at: datetime) -> str:
    reading, facts = readings.last_of(state), found.facts
    if reading is None or state.expected is None:
        raise RuleError("Shopify has not been read yet. Try again in a minute.")
    if reading.committed != state.booked_committed:
        raise RuleError(
            "An order is still on its way to us, so this cannot be decided yet. Try again in a minute, or say first that we go on without it."
        )
    if answers.unsettled_mappings([state.mapping_id]):
        raise RuleError("A write of ours has no answer yet, and may be what changed it. Try again in a minute.")
    drift = state.drift
    if drift != facts["available"] - facts["expected"]:
        raise RuleError(
            "Shopify's number has changed since this was found. It is looked at again now: try once more in a minute."
        )
    if remedy == "shopify" and is_mirrored(state.mapping.item):
        raise RuleError("A partner's stock says how many there are. Set Shopify to our number instead.")
    if remedy == "hub":
        reconcile.set_shopify_right(state)
        return f"Shopify will be set to {max(0, state.target)}"
    reconcile.take_shopifys(state, actor=actor, at=at)
    return f"Booked {drift:+d} here".replace("-", "\N{MINUS SIGN}")


def _settle_guard(found: SyncException, state: SyncState, remedy: str, actor: str, at: datetime) -> str:
    asked = approvals.find_asked(state.mapping_id)
    if asked is None:
        approvals.follow([state], at)
        asked = approvals.find_asked(state.mapping_id)
    if asked is None:
        raise RuleError("This number does not wait for approval any more.")
    if remedy == "approve":
        approvals.approve([asked.id], actor=actor, at=at)
        return f"Approved {max(0, state.target)}"
    approvals.reject([asked.id], reason="rejected on the desk", actor=actor, at=at)
    return "Rejected"


def _settle_parked(found: SyncException, state: SyncState, remedy: str, actor: str, at: datetime) -> str:
    if remedy == "stop":
        link.switch(state.mapping, False, at)
        return "Sync is off for this mapping"
    state.state = m.LINKED if state.expected is not None else m.AWAITING_LINK
    desk.withdraw(desk.PARKED, desk.subject_of(state.mapping_id), at, by=actor, remedy=remedy)
    state.cause, state.tries, state.next_try_at = None, 0, None
    refresh([state.mapping.item_id])
    tasks.ask("reconcile", state.shop_id)
    return "Trying again"


def _settle_link(found: SyncException, state: SyncState, remedy: str, actor: str, at: datetime) -> str:
    link.choose(state, remedy, at)
    return "Linking"


def _accept_unseen(found: SyncException, state: SyncState, remedy: str, actor: str, at: datetime) -> str:
    """What Shopify has committed counts as booked: an order that can never be read blocks nothing any more."""
    if state.read_committed is None:
        raise RuleError("Shopify has not been read yet. Try again in a minute.")
    state.booked_committed, state.next_try_at = state.read_committed, None
    reconcile.nudge([state.mapping_id], at)
    refresh([state.mapping.item_id])
    return f"Going on with {state.read_committed} committed"


def _look_again(found: SyncException, state: SyncState, remedy: str, actor: str, at: datetime) -> str:
    tasks.ask("reconcile", state.shop_id)
    return "Looking again"


_OF_MAPPINGS = {
    desk.DRIFT: _settle_drift,
    desk.GUARD: _settle_guard,
    desk.PARKED: _settle_parked,
    desk.LINK: _settle_link,
    desk.AMBIGUOUS: _look_again,
    desk.UNSEEN: _accept_unseen,
}
