"""Targets and expectations, kept in the transaction of whatever changes them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import date, datetime

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import joinedload

from occ_app import clock
from occ_app.catalog.models import Item, Mapping
from occ_app.extensions import current_shop_id, db
from occ_app.shops import settings
from occ_app.shops.models import Shop
from occ_app.stock import ledger
from occ_app.stock.rules import PUSHED_BY_ITSELF, Holding, Term, sellable, target, terms
from occ_app.sync import approvals, desk
from occ_app.sync.models import AWAITING_APPROVAL, LINKED, SyncState
from occ_app.sync.rules import counts_for_expected
from occ_app.work import tasks

TermsSource = Callable[[Collection[int]], dict[tuple[int, int], list[Term]]]
_sources: dict[str, TermsSource] = {}
Held = dict[tuple[int, int], list[Holding]]
_listeners: list[Callable[[Collection[int] | None, Held | None], None]] = []

# Which lower numbers go out by themselves, whatever the guard or manual approval would ask: what is gone, or must not be sold, is not for
# sale while somebody thinks about it. A number that falls by a rule or by typing only is a plan, and may wait.
NONE_FALL, NEW_ONES_FALL, ALL_FALL = "none", "new", "all"


def shop() -> Shop:
    """The shop in scope."""
    return db.session.get_one(Shop, current_shop_id())


def today(of: Shop) -> date:
    """The calendar day in the shop's time zone."""
    return clock.local_date(clock.now(), settings.get(of, "time_zone"))


def mode_of(item: Item, of: Shop) -> str:
    """The sync mode that holds for the item: its own, else the shop's."""
    return item.sync_mode or settings.get(of, "sync_mode")


def terms_come_from(kind: str, source: TermsSource) -> None:
    """Of items of that kind `source` knows terms beside what they hold here: (item id, location id) -> terms, safety stock among them."""
    _sources[kind] = source


def is_mirrored(item: Item) -> bool:
    """Whether its numbers are somebody else's: they are carried on as they are, and Shopify's are never taken for right."""
    return item.kind in _sources


def beside(items: Iterable[Item]) -> dict[tuple[int, int], list[Term]]:
    """The terms of these items that come from elsewhere; one call for each kind that has any."""
    by_kind: dict[str, set[int]] = {}
    for item in items:
        if item.kind in _sources:
            by_kind.setdefault(item.kind, set()).add(item.id)
    found: dict[tuple[int, int], list[Term]] = {}
    for kind, ids in by_kind.items():
        found |= _sources[kind](ids)
    return found


def equation(
    item: Item,
    holdings: Sequence[Holding],
    of: Shop,
    mode: str | None = None,
    *,
    beside: Sequence[Term] | None = None,
) -> list[Term]:
    """The terms of the item's sellable units at one location, under its mode (or under `mode`).

    `beside`: its terms there that come from elsewhere, where the caller has fetched them for many items at once.
    """
    mode = mode or mode_of(item, of)
    if item.kind not in _sources:
        return terms(mode, holdings, item.safety_stock, today(of))
    if beside is None:
        beside = [term for there in _sources[item.kind]([item.id]).values() for term in there]
    held = [term for term in terms(mode, holdings, 0, today(of)) if term.quantity]
    return [*beside, *held] or [Term("partner_available", 0)]


def after_refresh(listener: Callable[[Collection[int] | None, Held | None], None]) -> None:
    """`listener` is called with the ids of items whose targets were computed anew (None: of all) and what is held of them, if it was
    read; within the transaction."""
    if listener not in _listeners:
        _listeners.append(listener)


def refresh(item_ids: Iterable[int], why: str | None = None, *, let: str = NONE_FALL) -> None:
    """The targets of these items' mappings are right, and a push is asked for where one is due. Two statements, whatever their number.

    `why`: what changed them, in plain words, where no stock move tells. `let`: ALL_FALL where units moved.
    """
    ids = sorted(set(item_ids))
    if ids:
        living = select(Mapping.id).where(Mapping.item_id.in_(ids), Mapping.ended_at.is_(None))
        held = _recompute(SyncState.mapping_id.in_(living), why, let, ids)
        for listener in _listeners:
            listener(ids, held)


def is_waiting(item_id: int) -> bool:
    """Whether a number of the item waits for a person."""
    mapped = select(Mapping.id).where(Mapping.item_id == item_id, Mapping.ended_at.is_(None))
    waiting = select(SyncState.mapping_id).where(SyncState.mapping_id.in_(mapped), SyncState.state == AWAITING_APPROVAL)
    return db.session.scalar(waiting.limit(1)) is not None


def let_change(item_id: int) -> None:
    """A person has decided on the item's present numbers, just now or by a rule: the guard does not ask again."""
    mapped = select(Mapping.id).where(Mapping.item_id == item_id, Mapping.ended_at.is_(None))
    query = select(SyncState).where(SyncState.mapping_id.in_(mapped), SyncState.target != SyncState.expected)
    for state in db.session.scalars(query.with_for_update()):
        state.approved_target = state.target
    db.session.flush()


def lock_states(item_ids: Iterable[int]) -> None:
    """The sync states of these items' mappings are locked, in one order for everybody. Their items are locked first (`ledger.lock`).

    All of them, also where only one is to change: what is booked refreshes the others.
    """
    mappings = select(Mapping.id).where(Mapping.item_id.in_(list(item_ids)))
    query = select(SyncState.mapping_id).where(SyncState.mapping_id.in_(mappings)).order_by(SyncState.mapping_id)
    db.session.execute(query.with_for_update())


def refresh_all(why: str | None = None, *, let: str = NONE_FALL) -> None:
    """All targets of the shop are right: lots expire, and days begin, with no other event. `why`: as for `refresh`; `let`: NEW_ONES_FALL where
    only time has passed."""
    _recompute(SyncState.mapping_id.in_(select(Mapping.id).where(Mapping.ended_at.is_(None))), why, let)
    for listener in _listeners:
        listener(None, None)


def _recompute(
    condition: ColumnElement[bool], why: str | None, let: str, item_ids: Collection[int] | None = None
) -> Held:
    """Returns what is held of these items, or of those with states: read when the states are locked, as whoever had them may just have sold."""
    db.session.flush()
    of = shop()
    query = select(SyncState).where(condition).options(joinedload(SyncState.mapping).joinedload(Mapping.item))
    states = list(db.session.scalars(query.order_by(SyncState.mapping_id).with_for_update(of=SyncState)))
    held = ledger.holdings({state.mapping.item_id for state in states} if item_ids is None else item_ids)
    elsewhere = beside(state.mapping.item for state in states)
    is_due, asked = False, []
    for state in states:
        was_asked = state.state == AWAITING_APPROVAL
        mapping = state.mapping
        key = (mapping.item_id, mapping.location_id)
        summands = equation(mapping.item, held.get(key, []), of, beside=elsewhere.get(key, []))
        units = sellable(summands)
        before = state.target
        state.sellable, state.target = units, target([(units, mapping.units_per_variant)])
        is_let = let == ALL_FALL or (let == NEW_ONES_FALL and state.target < before)
        is_let = is_let or any(term.name == "recalled" for term in summands)
        falls_freely = is_let and state.expected is not None and state.target < state.expected
        if falls_freely:
            state.approved_target = state.target
        elif state.approved_target != state.target:
            state.approved_target = (
                None  # the answer was about another number; should that one come back, it is asked about anew
            )
        mode = mode_of(mapping.item, of)
        state.is_pushed = mode != "none"
        is_news = state.target != before
        if is_news:
            state.why = why or state.why
        is_asked_anew = (is_news and mode in PUSHED_BY_ITSELF) or falls_freely
        if is_asked_anew and state.state == AWAITING_APPROVAL and not state.is_held:
            _ask_anew(state)
        choose_state(state, mode)
        if is_news and not state.tries:
            state.next_try_at = None  # whatever it waited for, this is news
        if was_asked or state.state == AWAITING_APPROVAL:
            asked.append(state)
        is_due = is_due or (state.state == LINKED and state.is_pushed and state.target != state.expected)
    db.session.flush()
    approvals.follow(asked, clock.now())
    if is_due:
        tasks.ask("push", of.id)
    return held


def _ask_anew(state: SyncState) -> None:
    """A number that waited because its step was too big is another one now: the next push decides whether it waits again.

    A fall must not wait for the approval of a rise.
    """
    state.state, state.cause, state.is_held = LINKED, None, False
    desk.withdraw(desk.GUARD, desk.subject_of(state.mapping_id), clock.now(), remedy="another number came")


def judge_anew() -> None:
    """The limit is another one: what waits because its step was too big is judged by the new one, with the next push."""
    query = select(SyncState).where(SyncState.state == AWAITING_APPROVAL, SyncState.cause == approvals.TOO_BIG)
    waiting = list(db.session.scalars(query.order_by(SyncState.mapping_id).with_for_update()))
    for state in waiting:
        _ask_anew(state)
    if waiting:
        db.session.flush()
        approvals.follow(waiting, clock.now())
        tasks.ask("push", shop().id)


def choose_state(state: SyncState, mode: str) -> None:
    """A mapping under manual approval waits for a person while its target differs; one that is pushed by itself waits for nobody, unless
    a person took its last rise back."""
    if state.state not in (LINKED, AWAITING_APPROVAL):
        return
    differs = state.target != state.expected
    is_approved = state.approved_target is not None and state.approved_target == state.target
    if is_approved or state.target <= (state.expected or 0):
        let_go(state)
    if (mode == "manual" or state.is_held) and differs and not is_approved:
        state.state = AWAITING_APPROVAL
    elif state.state == AWAITING_APPROVAL and (
        not differs or is_approved or (mode in PUSHED_BY_ITSELF and state.cause is None)
    ):
        state.state, state.cause = LINKED, None


def let_go(state: SyncState) -> None:
    """What was taken back may rise again: a person said so, or there is nothing left to raise."""
    if state.is_held:
        state.is_held = False
        if state.state == AWAITING_APPROVAL:
            state.cause = None


def book_effect(
    mapping_id: int, available: int, committed: int, happened_at: datetime, *, in_committed: bool = False
) -> None:
    """An order's effect on Shopify's numbers is in our books: E follows if it happened after the baseline, `booked_committed` always.

    `in_committed`: it shows in Shopify's `committed` too, which agreed with our books at the baseline; so the baseline did not hold it.
    """
    state = db.session.scalars(
        select(SyncState)
        .where(SyncState.mapping_id == mapping_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one_or_none()
    if state is None:
        return
    state.booked_committed += committed
    if state.expected is not None and counts_for_expected(happened_at, state.baseline_at, in_committed=in_committed):
        state.expected += available
        if state.approved_target is not None:
            state.approved_target += available  # the change was approved, and it is the same after a sale
    if not state.tries:
        state.next_try_at = None
    db.session.flush()


def new_state(mapping: Mapping) -> SyncState:
    """The mapping has a sync state: it waits for its first link."""
    return new_states([mapping])[0]


def new_states(of: Sequence[Mapping]) -> list[SyncState]:
    """Each of these mappings has a sync state, in their order."""
    states = [SyncState(mapping_id=mapping.id, mapping=mapping, shop_id=mapping.shop_id) for mapping in of]
    db.session.add_all(states)
    db.session.flush()
    return states
