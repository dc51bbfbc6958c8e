"""Booking: moves are added and balances changed in one transaction; nothing else writes either table.

Whoever must know that an item's stock changed registers with `after_booking` (the sync package, through `wiring`), and is called within
the same transaction.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Integer, any_, bindparam, func, insert, select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import InstrumentedAttribute

from occ_app.catalog.models import Item
from occ_app.errors import RuleError
from occ_app.extensions import current_shop_id, db
from occ_app.stock.models import Balance, Lot, StockMove
from occ_app.stock.rules import REASONS, RELEASED, VIRTUAL_PLACES, Holding, is_place

_listeners: list[Callable[[set[int], bool], None]] = []
_release_listeners: list[Callable[[set[tuple[int, int]]], None]] = []
TYPED = ("correction", "count")  # what somebody says is there, not what somebody did with units
USES = ("reserve", "consume", "release")  # what nobody may do with units of a recalled lot


@dataclass(frozen=True)
class Move:
    """One stock move to book. `quantity` in units of the item, above zero; `source` is unique per shop and names the cause."""

    item_id: int
    lot_id: int | None
    location_id: int
    from_place: str
    to_place: str
    quantity: int
    reason: str
    source: str


@dataclass(frozen=True)
class Difference:
    """A balance that is not the sum of its moves."""

    shop_id: int
    item_id: int
    lot_id: int | None
    location_id: int
    place: str
    balance: int
    moves: int


def after_booking(listener: Callable[[set[int], bool], None]) -> None:
    """`listener` is called with the ids of the items whose stock changed, and whether a number was only typed; within the transaction that
    changed it."""
    if listener not in _listeners:
        _listeners.append(listener)


def after_release(listener: Callable[[set[tuple[int, int]]], None]) -> None:
    """`listener` is called with (item id, location id) of units that became free for sale, within the transaction; before all others.

    Units that a channel gave back are not among them.
    """
    if listener not in _release_listeners:
        _release_listeners.append(listener)


def book(moves: Sequence[Move], *, actor: str, at: datetime) -> None:
    """All moves are booked, or none. Raises RuleError where a physical place would go below zero, or a recalled lot would be used.

    The items are locked first, in one order for everybody, so that two bookings wait for each other rather than lock each other out.
    """
    if not moves:
        return
    _check(moves)
    lock(move.item_id for move in moves)
    _refuse_recalled(moves)
    shop_id = current_shop_id()
    changes: dict[tuple[int, int, str, int | None], int] = defaultdict(int)
    for move in moves:
        changes[move.item_id, move.location_id, move.from_place, move.lot_id] -= move.quantity
        changes[move.item_id, move.location_id, move.to_place, move.lot_id] += move.quantity
    rows = [{**vars(move), "shop_id": shop_id, "actor": actor, "moved_at": at} for move in moves]
    try:
        with db.session.begin_nested():
            db.session.execute(insert(StockMove), rows)
            _change_balances(shop_id, changes)
    except IntegrityError as error:
        if "physical_not_negative" in str(error.orig):
            raise RuleError("There are not that many units at that place any more. Load the page again.") from error
        raise
    released = {(m.item_id, m.location_id) for m in moves if m.to_place == RELEASED and m.reason != "allocate"}
    for listener in _release_listeners if released else ():
        listener(released)
    changed({move.item_id for move in moves}, is_typed=all(move.reason in TYPED for move in moves))


def changed(item_ids: set[int], *, is_typed: bool = False) -> None:
    """Whoever must know has been told that what may be sold of these items is another number: units moved, or a lot was frozen."""
    for listener in _listeners:
        listener(item_ids, is_typed)


def _refuse_recalled(moves: Sequence[Move]) -> None:
    """Asked when the items are locked: a recall that was a moment quicker is seen."""
    used = {move.lot_id for move in moves if move.reason in USES}
    if not used:
        return
    recalled = select(Lot.lot_number).where(Lot.id.in_(used), Lot.recalled_at.is_not(None)).order_by(Lot.id)
    number = db.session.scalar(recalled.limit(1))
    if number is not None:
        raise RuleError(f"Lot {number} is recalled. Its units cannot be released or used. Choose another lot.")


def _check(moves: Sequence[Move]) -> None:
    for move in moves:
        if move.quantity <= 0:
            raise RuleError("Give a quantity of 1 or more.", field="quantity")
        if move.reason not in REASONS or not is_place(move.from_place) or not is_place(move.to_place):
            raise ValueError(f"{move} names a reason or a place that does not exist")


def _change_balances(shop_id: int, changes: dict[tuple[int, int, str, int | None], int]) -> None:
    """The balances have changed by these numbers. A few statements, however many they are."""
    rows = [
        {
            "shop_id": shop_id,
            "item_id": item,
            "location_id": location,
            "place": place,
            "lot_id": lot,
            "quantity": change,
        }
        for (item, location, place, lot), change in sorted(changes.items(), key=lambda pair: str(pair[0]))
        if change
    ]
    falling = [row for row in rows if row["quantity"] < 0 and row["place"] not in VIRTUAL_PLACES]
    _lower(falling)
    others = [row for row in rows if row not in falling] if falling else rows
    if others:
        statement = upsert(Balance)
        db.session.execute(
            statement.on_conflict_do_update(
                index_elements=["item_id", "location_id", "place", "lot_id"],
                set_={"quantity": Balance.quantity + statement.excluded.quantity},
            ),
            others,
        )


def _lower(falling: Sequence[dict[str, Any]]) -> None:
    """Physical balances have fallen. A CHECK looks at a row as proposed, so one that exists is lowered before one is inserted.

    With a lot and without in two statements: only so an index finds each row.
    """
    left = dict(enumerate(falling))
    for condition, has_lot in (("b.lot_id = v.lot_id", True), ("b.lot_id IS NULL", False)):
        rows = {n: row for n, row in left.items() if (row["lot_id"] is not None) == has_lot}
        if rows:
            facts = {name: [row[name] for row in rows.values()] for name in _KEY} | {"n": list(rows)}
            for n in list(db.session.execute(text(_LOWER.format(condition)), facts).scalars()):
                del left[n]
    if left:
        db.session.execute(insert(Balance), list(left.values()))


_KEY = ("item_id", "location_id", "place", "lot_id", "quantity")
_LOWER = (
    "UPDATE balance b SET quantity = b.quantity + v.quantity"
    " FROM unnest(CAST(:n AS integer[]), CAST(:item_id AS integer[]), CAST(:location_id AS integer[]), CAST(:place AS text[]),"
    " CAST(:lot_id AS integer[]), CAST(:quantity AS bigint[])) AS v (n, item_id, location_id, place, lot_id, quantity)"
    " WHERE b.item_id = v.item_id AND b.location_id = v.location_id AND b.place = v.place AND {} RETURNING v.n"
)


def lock(item_ids: Iterable[int]) -> None:
    """Bookings of these items wait until this transaction ends. Taken before a decision that depends on their balances.

    What the transaction has locked already is not asked for again; a savepoint that is rolled back gives its locks up (see `forget_locks`).
    """
    held: set[int] = db.session.info.setdefault("locked_items", set())
    wanted = sorted(set(item_ids) - held)
    if wanted:
        rows = select(Item.id).where(one_of(Item.id, wanted)).order_by(Item.id)
        db.session.execute(rows.with_for_update(key_share=True))
        held.update(wanted)


def forget_locks(session: object, *_: object) -> None:
    """A transaction ended, or a part of it was rolled back: what was locked is not held any more."""
    getattr(session, "info", {}).pop("locked_items", None)


def one_of(column: InstrumentedAttribute[int], ids: Iterable[int]) -> ColumnElement[bool]:
    """The column is one of these ids: one parameter, so that there may be 100,000 of them."""
    return column == any_(bindparam(None, sorted(set(ids)), type_=ARRAY(Integer)))


def holdings(item_ids: Iterable[int], places: Collection[str] | None = None) -> dict[tuple[int, int], list[Holding]]:
    """What there is of each item and location, as (item id, location id) -> holdings; one statement, balances only.

    With `places` only what stands there: where each old lot came from and went to is a balance too.
    """
    found: dict[tuple[int, int], list[Holding]] = defaultdict(list)
    query = (
        select(
            Balance.item_id,
            Balance.location_id,
            Balance.place,
            Balance.quantity,
            Balance.lot_id,
            Lot.expires_on,
            Lot.recalled_at,
        )
        .outerjoin(Lot, Lot.id == Balance.lot_id)
        .where(one_of(Balance.item_id, item_ids), Balance.quantity != 0)
    )
    if places is not None:
        query = query.where(Balance.place.in_(places))
    for row in db.session.execute(query):
        holding = Holding(row.place, row.quantity, row.lot_id, row.expires_on, row.recalled_at is not None)
        found[row.item_id, row.location_id].append(holding)
    return found


def audit(shop_id: int | None = None) -> list[Difference]:
    """Every balance that differs from the sum of its moves; empty when the books are right."""
    moved = (
        select(StockMove.shop_id, StockMove.item_id, StockMove.lot_id, StockMove.location_id)
        .add_columns(StockMove.to_place.label("place"), StockMove.quantity.label("quantity"))
        .union_all(
            select(
                StockMove.shop_id,
                StockMove.item_id,
                StockMove.lot_id,
                StockMove.location_id,
                StockMove.from_place,
                -StockMove.quantity,
            )
        )
        .subquery()
    )
    key = (moved.c.shop_id, moved.c.item_id, moved.c.lot_id, moved.c.location_id, moved.c.place)
    sums = select(*key, func.sum(moved.c.quantity).label("quantity")).group_by(*key).subquery()
    matches = (
        (Balance.item_id == sums.c.item_id)
        & (Balance.location_id == sums.c.location_id)
        & (Balance.place == sums.c.place)
        & (func.coalesce(Balance.lot_id, 0) == func.coalesce(sums.c.lot_id, 0))
    )
    query = (
        select(
            func.coalesce(Balance.shop_id, sums.c.shop_id),
            func.coalesce(Balance.item_id, sums.c.item_id),
            func.coalesce(Balance.lot_id, sums.c.lot_id),
            func.coalesce(Balance.location_id, sums.c.location_id),
            func.coalesce(Balance.place, sums.c.place),
            func.coalesce(Balance.quantity, 0),
            func.coalesce(sums.c.quantity, 0),
        )
        .select_from(Balance)
        .join(sums, matches, full=True)
        .where(func.coalesce(Balance.quantity, 0) != func.coalesce(sums.c.quantity, 0))
    )
    if shop_id is not None:
        query = query.where(func.coalesce(Balance.shop_id, sums.c.shop_id) == shop_id)
    return [Difference(*row[:5], int(row[5]), int(row[6])) for row in db.session.execute(query)]
