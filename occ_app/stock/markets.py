"""Market days and units that are given away: taken out of the channel's units first, then out of what is free."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import joinedload, selectinload

from occ_app.catalog.models import Item
from occ_app.errors import NotFoundError, RuleError
from occ_app.extensions import db
from occ_app.stock import ledger, splits
from occ_app.stock.allocations import place_of
from occ_app.stock.channel_models import Handout, MarketDay, MarketLine
from occ_app.stock.ledger import Move
from occ_app.stock.lots import MOST_UNITS
from occ_app.stock.rules import CORRECTION, RELEASED, SHIPPED, Holding, first_expiry_first, take

GIVEN_AWAY = ("samples", "internal")
LONGEST = 200
COUNT_ALL = "Give how many came back and how many were sold; 0 where none were."


def days(limit: int = 50) -> Sequence[MarketDay]:
    """Market days, open ones first, newest first, with their lines."""
    query = select(MarketDay).options(selectinload(MarketDay.lines).joinedload(MarketLine.item))
    return db.session.scalars(
        query.order_by(MarketDay.closed_at.is_not(None), MarketDay.held_on.desc(), MarketDay.id.desc()).limit(limit)
    ).all()


def get(day_id: int) -> MarketDay:
    """The market day, locked, with its lines. Raises NotFoundError."""
    query = select(MarketDay).where(MarketDay.id == day_id).with_for_update()
    day = db.session.scalar(query.options(selectinload(MarketDay.lines)).execution_options(populate_existing=True))
    if day is None:
        raise NotFoundError("There is no such market day here.")
    return day


def open_day(name: str, held_on: date, location_id: int, *, actor: str, at: datetime) -> MarketDay:
    """There is a market day that units can be taken out for."""
    name = " ".join(name.split())
    if not 0 < len(name) <= 80:
        raise RuleError("Give the market a name, such as Saturday market.", field="name")
    day = MarketDay(name=name, held_on=held_on, location_id=location_id, created_at=at, created_by=actor, lines=[])
    db.session.add(day)
    db.session.flush()
    return day


def take_out(day: MarketDay, item: Item, units: int, *, actor: str, at: datetime) -> MarketLine:
    """So many units more of the item went to the market. Raises RuleError where markets and the pool have fewer."""
    _check(units)
    _check_open(day)
    ledger.lock([item.id])
    parts = _take(item, day.location_id, "markets", units)
    line = next((line for line in day.lines if line.item_id == item.id), None)
    if line is None:
        line = MarketLine(market_day_id=day.id, item_id=item.id, taken_out=0)
        day.lines.append(line)
    line.taken_out += units
    db.session.flush()
    source = f"market:{day.id}:{item.id}:out:{line.taken_out}"
    ledger.book(_moves(item, day.location_id, parts, _away(day), "market_out", source), actor=actor, at=at)
    return line


def close(day: MarketDay, counted: Mapping[int, tuple[int, int]], *, actor: str, at: datetime) -> int:
    """The day is over. `counted`: item id -> (came back, sold); what is neither is missing and leaves the books. Returns how many are.

    What came back belongs to markets again (a split item), or to the pool. Raises RuleError where an item was not counted.
    """
    _check_open(day)
    for line in day.lines:
        if line.item_id not in counted:
            item = db.session.get_one(Item, line.item_id)
            raise RuleError(f"{item.name} is not counted. {COUNT_ALL}", field=f"back-{line.item_id}")
        back, sold = counted[line.item_id]
        if back < 0 or sold < 0 or back + sold > line.taken_out:
            raise RuleError(
                f"{back:,} back and {sold:,} sold are more than the {line.taken_out:,} that went out. Count again.",
                field=f"back-{line.item_id}",
            )
    ledger.lock(line.item_id for line in day.lines)
    missing = 0
    for line in day.lines:
        line.back, line.sold = counted[line.item_id]
        missing += line.taken_out - line.back - line.sold
        _count(day, line, actor, at)
    day.closed_at, day.closed_by = at, actor
    db.session.flush()
    return missing


def _count(day: MarketDay, line: MarketLine, actor: str, at: datetime) -> None:
    """First expiry is taken to be sold first; what came back expires last."""
    item = db.session.get_one(Item, line.item_id)
    there = ledger.holdings([item.id], [_away(day)]).get((item.id, day.location_id), [])
    left = sorted(there, key=lambda h: (h.expires_on or date.max, h.lot_id or 0))
    home = place_of("markets") if splits.is_split(item) else RELEASED
    missing = line.taken_out - (line.back or 0) - (line.sold or 0)
    moves = []
    wanted = (
        (line.sold or 0, SHIPPED, "market_sale"),
        (missing, CORRECTION, "count"),
        (line.back or 0, home, "market_back"),
    )
    for units, to_place, reason in wanted:
        parts, left = _part(left, units)
        moves += _moves(item, day.location_id, parts, to_place, reason, f"market:{day.id}:{item.id}:{to_place}")
    ledger.book(moves, actor=actor, at=at)


def _part(held: Sequence[Holding], units: int) -> tuple[list[tuple[Holding, int]], list[Holding]]:
    """So many units of these holdings in their order, and the holdings without them."""
    parts, left = [], []
    for holding in held:
        given = min(holding.quantity, units)
        units -= given
        if given:
            parts.append((holding, given))
        if holding.quantity > given:
            rest = holding.quantity - given
            left.append(Holding(holding.place, rest, holding.lot_id, holding.expires_on, holding.is_recalled))
    return parts, left


def give_away(
    item: Item, location_id: int, channel: str, units: int, purpose: str, *, actor: str, at: datetime
) -> Handout:
    """Units left as samples, or were used in the house, for that purpose."""
    if channel not in GIVEN_AWAY:
        raise RuleError(f"Give one of: {', '.join(GIVEN_AWAY)}.", field="channel")
    _check(units)
    purpose = " ".join(purpose.split())
    if not 0 < len(purpose) <= LONGEST:
        raise RuleError("Say what for, such as: tasting at Bristol Food Fair.", field="purpose")
    ledger.lock([item.id])
    parts = _take(item, location_id, channel, units)
    row = Handout(item_id=item.id, channel=channel, quantity=units, purpose=purpose, actor=actor, given_at=at)
    db.session.add(row)
    db.session.flush()
    ledger.book(_moves(item, location_id, parts, SHIPPED, "handout", f"handout:{row.id}"), actor=actor, at=at)
    return row


def handouts(limit: int = 50) -> Sequence[Handout]:
    """Units given away, newest first."""
    return db.session.scalars(
        select(Handout).options(joinedload(Handout.item)).order_by(Handout.id.desc()).limit(limit)
    ).all()


def _away(day: MarketDay) -> str:
    return place_of(f"market-{day.id}")


def _check(units: int) -> None:
    if not 1 <= units <= MOST_UNITS:
        raise RuleError(f"Give a whole number from 1 to {MOST_UNITS:,}.", field="quantity")


def _check_open(day: MarketDay) -> None:
    if day.closed_at is not None:
        raise RuleError(f"{day.name} is closed. Open another market day.")


def _take(item: Item, location_id: int, channel: str, units: int) -> list[tuple[Holding, int]]:
    """Units of the channel first, then free ones; of each the first to expire."""
    there = ledger.holdings([item.id], [place_of(channel), RELEASED]).get((item.id, location_id), [])
    own, missing = take([h for h in there if h.place != RELEASED], units, splits.today())
    free, missing = take([h for h in there if h.place == RELEASED], missing, splits.today())
    if missing:
        has = sum(h.quantity for h in first_expiry_first(there, splits.today()))
        raise RuleError(
            f"{channel.capitalize()} and the pool have {has:,} of {item.name}. Take {has:,} or fewer, or move the border first.",
            field="quantity",
        )
    return [*own, *free]


def _moves(
    item: Item, location_id: int, parts: Sequence[tuple[Holding, int]], to_place: str, reason: str, source: str
) -> list[Move]:
    return [
        Move(item.id, h.lot_id, location_id, h.place, to_place, units, reason, f"{source}:{n}")
        for n, (h, units) in enumerate(parts)
    ]
