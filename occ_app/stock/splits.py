"""Splitting an item between channels: its rules, what they would do, what they did, and taking it back.

An item is *split* when only what Shopify was given is on sale there (sync mode `allocation`); otherwise it is in the *pool*, and every
channel sells from the same units. Rules hold for one location.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import structlog
from sqlalchemy import delete, select
from sqlalchemy.orm import joinedload

from occ_app import clock
from occ_app.catalog.models import Item
from occ_app.errors import NotFoundError, RuleError
from occ_app.extensions import current_shop_id, db
from occ_app.shops import settings
from occ_app.shops.models import Shop
from occ_app.stock import allocations, channels, ledger
from occ_app.stock.allocations import place_of
from occ_app.stock.channel_models import AllocationChange, AllocationRule
from occ_app.stock.lots import MOST_UNITS
from occ_app.stock.rules import RELEASED, Holding
from occ_app.stock.sharing import Claim, shares, spread

log = structlog.get_logger()
ACTOR = "allocation rules"
SHOPIFY, ALLOCATION = "shopify", "allocation"
# Causes that changed the sync mode too, which amounts alone do not give back; and what to do instead.
NOT_UNDONE = {
    "split": "Units went there when the item was split. Put the item back into the pool instead.",
    "pool": "Units went there when the item came back into the pool. Split it by rules again instead.",
}


@dataclass(frozen=True)
class Wanted:
    """A rule as somebody wants it, and the day on which it ends."""

    claim: Claim
    give_back_on: date | None = None


@dataclass(frozen=True)
class Shift:
    """What one channel would have more or less."""

    channel: str
    before: int
    after: int


def shop() -> Shop:
    """The shop in scope."""
    return db.session.get_one(Shop, current_shop_id())


def today() -> date:
    """The calendar day in the shop's time zone."""
    return clock.local_date(clock.now(), settings.get(shop(), "time_zone"))


def is_split(item: Item) -> bool:
    """Whether Shopify sells only what it was given of the item."""
    return (item.sync_mode or settings.get(shop(), "sync_mode")) == ALLOCATION


def rules_of(item_id: int, location_id: int) -> Sequence[AllocationRule]:
    """The item's rules there, in the order in which they are filled."""
    query = select(AllocationRule).where(AllocationRule.item_id == item_id, AllocationRule.location_id == location_id)
    return db.session.scalars(query.order_by(AllocationRule.position, AllocationRule.id)).all()


def claim_of(rule: AllocationRule) -> Claim:
    """The rule in plain values."""
    return Claim(rule.channel, rule.fixed, rule.share_percent, rule.floor, rule.ceiling)


def check(wanted: Sequence[Wanted]) -> None:
    """Raises RuleError where these rules cannot hold together."""
    seen: set[str] = set()
    for each in wanted:
        claim = each.claim
        channels.check(claim.channel)
        numbers = (claim.fixed, claim.floor, claim.ceiling)
        if claim.channel in seen:
            raise RuleError(f"{claim.channel} has two rules. Give one.", field=claim.channel)
        if any(number is not None and not 0 <= number <= MOST_UNITS for number in numbers):
            raise RuleError(f"Give whole numbers from 0 to {MOST_UNITS:,}.", field=claim.channel)
        if claim.share_percent is not None and not 0 <= claim.share_percent <= 100:
            raise RuleError("Give a share from 0 to 100 percent.", field=claim.channel)
        if claim.fixed is not None and claim.share_percent is not None:
            raise RuleError("Give a number of units or a share, not both.", field=claim.channel)
        if claim.ceiling is not None and claim.ceiling < claim.floor:
            raise RuleError("The most is less than the least. Give a bigger one.", field=claim.channel)
        if each.give_back_on and claim.channel == SHOPIFY:
            raise RuleError("Unsold units go back to Shopify, so its own rule has no such day.", field=SHOPIFY)
        if each.give_back_on and claim.takes_rest:
            raise RuleError("Who takes the rest gives nothing back.", field=claim.channel)
        seen.add(claim.channel)
    if sum(each.claim.share_percent or 0 for each in wanted) > 100:
        raise RuleError("The shares are more than 100 percent together. Lower one of them.", field="share")
    if sum(each.claim.takes_rest for each in wanted) > 1:
        raise RuleError("Only one channel can take the rest.", field="rest")


def save_rules(item: Item, location_id: int, wanted: Sequence[Wanted]) -> None:
    """The item has exactly these rules there, filled in this order; who has none named takes nothing new. Nothing is moved by it."""
    check(wanted)
    ledger.lock([item.id])
    db.session.execute(
        delete(AllocationRule).where(AllocationRule.item_id == item.id, AllocationRule.location_id == location_id)
    )
    for position, each in enumerate(wanted):
        claim = each.claim
        rule = AllocationRule(item_id=item.id, location_id=location_id, channel=claim.channel, position=position)
        rule.fixed, rule.share_percent, rule.takes_rest = claim.fixed, claim.share_percent, claim.takes_rest
        rule.floor, rule.ceiling, rule.give_back_on = claim.floor, claim.ceiling, each.give_back_on
        db.session.add(rule)
    db.session.flush()


def what_would_move(item: Item, location_id: int, claims: Sequence[Claim]) -> list[Shift]:
    """What each channel would have if all that is there were shared by these claims now; `released`: what nobody takes."""
    has, total = _sellable(item, location_id)
    goal = shares(claims, total)
    goal = {channel: goal.get(channel, 0) for channel in channels.names()}
    found = [Shift(channel, has.get(channel, 0), units) for channel, units in goal.items()]
    return [*found, Shift(RELEASED, has.get(RELEASED, 0), total - sum(goal.values()))]


def share_out(item: Item, location_id: int, *, cause: str, actor: str, at: datetime) -> AllocationChange | None:
    """All that is there is shared by the item's rules. None where nothing moved."""
    ledger.lock([item.id])
    claims = [claim_of(rule) for rule in rules_of(item.id, location_id)]
    shifts = what_would_move(item, location_id, claims)
    given, _ = allocations.amounts(item.id, location_id)
    # What may not be sold any more stays where it is.
    wanted = {s.channel: given[s.channel] - s.before + s.after for s in shifts if s.channel != RELEASED}
    return allocations.set_amounts(item, location_id, wanted, today=today(), actor=actor, at=at, cause=cause)


def _sellable(item: Item, location_id: int) -> tuple[dict[str, int], int]:
    """Channel (or `released`) -> units that may be sold, and all of them together."""
    held = ledger.holdings([item.id]).get((item.id, location_id), [])
    places = {place_of(channel): channel for channel in channels.names()} | {RELEASED: RELEASED}
    has: dict[str, int] = {}
    for holding in held:
        if holding.place in places and _may_be_sold(holding):
            has[places[holding.place]] = has.get(places[holding.place], 0) + holding.quantity
    return has, sum(has.values())


def _may_be_sold(holding: Holding) -> bool:
    return not holding.is_recalled and not holding.is_expired(today())


def distribute(released: Iterable[tuple[int, int]]) -> None:
    """Units that became free are given to channels by the rules of their item; without rules, or in the pool, they stay free.

    At a location for which the item's rules say nothing they are Shopify's: nobody else takes units there.
    """
    stocks = set(released)
    query = select(AllocationRule.item_id).where(AllocationRule.item_id.in_({item_id for item_id, _ in stocks}))
    ruled = set(db.session.scalars(query.distinct()))
    for item_id, location_id in sorted(stock for stock in stocks if stock[0] in ruled):
        item = db.session.get_one(Item, item_id)
        if is_split(item):
            _give_free(item, location_id)


def give_elsewhere(item: Item, location_id: int, *, actor: str, at: datetime) -> None:
    """What is free of the item at all other locations is Shopify's, which sells there alone."""
    for _, other in sorted(ledger.holdings([item.id])):
        has, _ = _sellable(item, other)
        if other != location_id and has.get(RELEASED):
            wanted = {SHOPIFY: allocations.amounts(item.id, other)[0][SHOPIFY] + has[RELEASED]}
            allocations.set_amounts(item, other, wanted, today=today(), actor=actor, at=at, cause="split")


def _give_free(item: Item, location_id: int) -> None:
    has, _ = _sellable(item, location_id)
    claims = [claim_of(rule) for rule in rules_of(item.id, location_id)] or [Claim(SHOPIFY)]
    more = spread(claims, has, has.get(RELEASED, 0))
    given, _ = allocations.amounts(item.id, location_id)
    wanted = {channel: given[channel] + units for channel, units in more.items()}
    facts = {"today": today(), "actor": ACTOR, "at": clock.now(), "cause": "released"}
    allocations.set_amounts(item, location_id, wanted, **facts)


def give_back(
    item: Item, location_id: int, channel: str, *, actor: str, at: datetime, cause: str = "give_back"
) -> AllocationChange | None:
    """All unsold units of the channel go to Shopify (a split item), or into the pool. None where it had none."""
    channels.check(channel)
    if channel == SHOPIFY and is_split(item):
        raise RuleError("Units are given back to Shopify. Choose another channel.", field="channel")
    ledger.lock([item.id])
    given, _ = allocations.amounts(item.id, location_id)
    has, _ = _sellable(item, location_id)
    wanted = {channel: 0}
    if is_split(item):
        wanted[SHOPIFY] = given[SHOPIFY] + has.get(channel, 0)
    return allocations.set_amounts(item, location_id, wanted, today=today(), actor=actor, at=at, cause=cause)


def give_back_all(item: Item, *, actor: str, at: datetime) -> None:
    """No channel has units of the item of its own any more, and it has no rules: all of it is free, at every location."""
    ledger.lock([item.id])
    db.session.execute(delete(AllocationRule).where(AllocationRule.item_id == item.id))
    known = channels.names()
    for _, location_id in list(ledger.holdings([item.id])):
        wanted = dict.fromkeys(known, 0)
        allocations.set_amounts(item, location_id, wanted, today=today(), actor=actor, at=at, cause="pool")


def give_back_due(at: datetime) -> set[int]:
    """Rules whose day has come have given back what is unsold, and have ended. Returns the items of these.

    Shopify's own gives nothing back. One that cannot is left for the next time, and the others go on.
    """
    query = select(AllocationRule).where(AllocationRule.give_back_on <= today(), AllocationRule.channel != SHOPIFY)
    query = query.options(joinedload(AllocationRule.item))
    done = set()
    for rule in db.session.scalars(query.order_by(AllocationRule.item_id, AllocationRule.id)).all():
        item_id, channel = rule.item_id, rule.channel
        try:
            with db.session.begin_nested():
                give_back(rule.item, rule.location_id, channel, actor=ACTOR, at=at)
                db.session.delete(rule)
        except RuleError as error:
            log.warning("give_back_refused", item=item_id, channel=channel, cause=str(error))
        else:
            done.add(item_id)
    return done


def history(item_id: int | None = None, limit: int = 50) -> Sequence[AllocationChange]:
    """What went between channels, newest first."""
    query = select(AllocationChange).order_by(AllocationChange.id.desc()).limit(limit)
    if item_id is not None:
        query = query.where(AllocationChange.item_id == item_id)
    return db.session.scalars(query).all()


def undone(changes: Iterable[AllocationChange]) -> set[int]:
    """Ids of those that were undone."""
    query = select(AllocationChange.undoes_id).where(AllocationChange.undoes_id.in_([change.id for change in changes]))
    return {found for found in db.session.scalars(query) if found is not None}


def check_pool(item: Item, location_id: int, wanted: Mapping[str, int]) -> None:
    """Raises RuleError where Shopify would have more units of its own of an item in the pool: it sells what is free, and these are not."""
    given, _ = allocations.amounts(item.id, location_id)
    if not is_split(item) and wanted.get(SHOPIFY, 0) > given[SHOPIFY]:
        raise RuleError("In the pool Shopify sells what is free, and has no units of its own. Split the item by rules.")


def undo(change_id: int, *, item_id: int, actor: str, at: datetime) -> AllocationChange | None:
    """The opposite was done, whatever has happened since.

    Raises RuleError where units that it needs are gone, it was undone, or it was a split or the way back.
    """
    query = select(AllocationChange).where(AllocationChange.id == change_id, AllocationChange.item_id == item_id)
    change = db.session.scalar(query.with_for_update())
    if change is None:
        raise NotFoundError("There is no such change here.")
    if change.cause in NOT_UNDONE:
        raise RuleError(NOT_UNDONE[change.cause])
    if undone([change]):
        raise RuleError("This change was undone already.")
    item = db.session.get_one(Item, change.item_id)
    ledger.lock([item.id])
    given, _ = allocations.amounts(item.id, change.location_id)
    wanted = _without(change.before, change.after, given)
    check_pool(item, change.location_id, wanted)
    facts = {"today": today(), "actor": actor, "at": at, "cause": "undo", "undoes": change}
    return allocations.set_amounts(item, change.location_id, wanted, **facts)


def _without(before: Mapping[str, int], after: Mapping[str, int], given: Mapping[str, int]) -> dict[str, int]:
    wanted = {channel: given.get(channel, 0) + before[channel] - after[channel] for channel in after}
    gone = [channel for channel, units in wanted.items() if units < 0]
    if gone:
        raise RuleError(f"{gone[0].capitalize()} has sold some of those units. Move what is left by hand.")
    return wanted
