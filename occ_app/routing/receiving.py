"""Receiving: what came of a partner order is in stock, what is short or damaged is counted, and every customer's order knows its lot.

Units that customers bought stood in `committed` without a lot, taken from the place `partner`. When they come they go back there and out
again as units of a lot; units that nobody waits for any more go to `released`. What is short or damaged is taken from `partner` too: the
partner sent it, as far as its own number goes; the customer's line then needs as many again, and `capture.follow` asks for them.
"""

from __future__ import annotations

from collections.abc import Mapping as Pairs
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from occ_app.catalog.models import Item, Mapping, Variant
from occ_app.errors import RuleError
from occ_app.extensions import db
from occ_app.orders.models import OrderLine
from occ_app.partners.models import ImportedVariant, Partner, PartnerVariant
from occ_app.routing import capture, orders, rules, tracking
from occ_app.routing.models import CREATED, PLACED_STATES, RECEIVED, PartnerLine, PartnerOrder
from occ_app.stock import ledger
from occ_app.stock.ledger import Move
from occ_app.stock.models import Lot, StockMove
from occ_app.stock.rules import COMMITTED, CORRECTION, PARTNER, RELEASED, SCRAP, SHIPPED, SUPPLIER
from occ_app.sync import desk

MOST = 1_000_000


@dataclass(frozen=True)
class Count:
    """What was counted of one variant: units that came well, that are missing, that came damaged."""

    received: int = 0
    short: int = 0
    damaged: int = 0

    @property
    def total(self) -> int:
        """All units that are settled by it."""
        return self.received + self.short + self.damaged


@dataclass(frozen=True)
class Expected:
    """One variant of an order at the door: what was ordered and sent, what has been counted, what is open."""

    variant: PartnerVariant
    item: Item
    ordered: int
    sent: int
    received: int
    short: int
    damaged: int

    @property
    def open(self) -> int:
        """Units that have not been counted yet."""
        return self.ordered - self.received - self.short - self.damaged


def expected(order: PartnerOrder) -> list[Expected]:
    """The variants of the order, by name."""
    found: dict[int, list[PartnerLine]] = {}
    query = (
        select(PartnerLine)
        .where(PartnerLine.partner_order_id == order.id, PartnerLine.state == CREATED)
        .options(
            joinedload(PartnerLine.partner_variant).joinedload(PartnerVariant.product), joinedload(PartnerLine.item)
        )
        .order_by(PartnerLine.id)
    )
    for row in db.session.scalars(query):
        found.setdefault(row.partner_variant_id, []).append(row)
    shown = [
        Expected(
            rows[0].partner_variant,
            rows[0].item,
            *(
                sum(getattr(row, name) for row in rows)
                for name in ("quantity", "shipped", "received", "short", "damaged")
            ),
        )
        for rows in found.values()
    ]
    return sorted(shown, key=lambda one: (one.item.name.casefold(), one.variant.id))


def receive(
    order: PartnerOrder,
    counts: Pairs[int, Count],
    *,
    actor: str,
    today: date,
    at: datetime,
    seen: Pairs[int, int] | None = None,
) -> int:
    """What was counted, partner variant id -> count, is booked. `seen`: the units that were open as it was counted. Returns how many units
    came well. Raises RuleError, also where other units are open by now; then nothing is booked."""
    if order.state not in PLACED_STATES:
        raise RuleError(f"{order.name} has not been ordered yet, so nothing can have come of it.")
    counts = {variant_id: count for variant_id, count in counts.items() if count.total}
    if not counts:
        raise RuleError("Nothing was counted. Give the units of at least one product.")
    items = select(PartnerLine.item_id).where(PartnerLine.partner_order_id == order.id)
    ledger.lock(
        db.session.scalars(items.where(PartnerLine.partner_variant_id.in_(list(counts))))
    )  # items first, as bookings do
    rows = [row for row in orders.rows_of(order) if row.state == CREATED]
    for variant_id, count in counts.items():
        _check([row for row in rows if row.partner_variant_id == variant_id], count, (seen or {}).get(variant_id))
    moves: list[Move] = []
    booked = [row for row in rows if row.partner_variant_id in counts]
    for variant_id, count in counts.items():
        moves += _book([row for row in rows if row.partner_variant_id == variant_id], count, order, today, at)
    ledger.book(moves, actor=actor, at=at)
    for row in booked:
        if row.order_line is not None:
            capture.follow(row.order_line, row.item_id, at)
    _told(order, counts, at)
    return sum(count.received for count in counts.values())


def _check(rows: Sequence[PartnerLine], count: Count, seen: int | None) -> None:
    if not rows:
        raise RuleError("That product is not on this order.")
    if min(count.received, count.short, count.damaged) < 0 or count.total > MOST:
        raise RuleError("Give whole numbers of 0 or more.")
    left = sum(row.quantity - row.received - row.short - row.damaged for row in rows)
    name = rows[0].order_line.title if rows[0].order_line else db.session.get_one(Item, rows[0].item_id).name
    if seen is not None and seen != left:
        raise RuleError(
            f"{name}: {rules.units(left)} open by now, {seen} when this page was loaded. Nothing was booked by this press."
            " See below what was counted meanwhile, then count what is left.",
            field="open",
        )
    if count.total > left:
        raise RuleError(
            f"{name}: {count.received} + {count.short} + {count.damaged} are {count.total}, but only {left} are open."
            " Lower one of them; what came beyond the order is booked as a lot."
        )


def _book(rows: Sequence[PartnerLine], count: Count, order: PartnerOrder, today: date, at: datetime) -> list[Move]:
    """The moves of one variant: good units to the oldest lines first, what is short or damaged to the newest."""
    good, moves = count.received, []
    lot = _lot_of(order, rows[0].item_id, today, at) if good or count.damaged else None
    for row in rows:
        units = min(good, row.quantity - row.received - row.short - row.damaged)
        if units:
            good -= units
            moves += _arrived(row, lot, units)
            row.received += units
    for kind, total in (("short", count.short), ("damaged", count.damaged)):
        for row in reversed(rows):
            units = min(total, row.quantity - row.received - row.short - row.damaged)
            if units:
                total -= units
                source = f"partner_line:{row.id}:{kind}:{getattr(row, kind)}"
                to = CORRECTION if kind == "short" else SCRAP
                of = lot.id if kind == "damaged" and lot else None
                place = _place_of(row)
                moves.append(Move(row.item_id, of, place, _origin_of(row), to, units, "receive", source))
                setattr(row, kind, getattr(row, kind) + units)
    db.session.flush()
    return moves


def _lot_of(order: PartnerOrder, item_id: int, today: date, at: datetime) -> Lot:
    """The lot of what came of this item with the order; made with the first of it."""
    number = f"{order.name}-{item_id}"
    found = db.session.scalar(select(Lot).where(Lot.lot_number == number))
    if found is None:
        found = Lot(item_id=item_id, lot_number=number, made_on=today, created_at=at)
        db.session.add(found)
        db.session.flush()
    return found


def _place_of(row: PartnerLine) -> int:
    """Where the line's units are counted."""
    if row.stock_request is not None:
        return row.stock_request.location_id
    if row.order_line is not None and row.order_line.mapping_id is not None:
        return db.session.get_one(Mapping, row.order_line.mapping_id).location_id
    query = select(ImportedVariant.location_id).where(ImportedVariant.item_id == row.item_id)
    return db.session.scalars(query).one()


def _origin_of(row: PartnerLine) -> str:
    """Where its units stand until they come: what was asked for stock left the partner's with the asking (`stocking`)."""
    return PARTNER if row.order_line is not None else SUPPLIER


def _arrived(row: PartnerLine, lot: Lot | None, units: int) -> list[Move]:
    """Units of the line become units of the lot where they stand; those that nobody waits for are released."""
    place, lot_id = _place_of(row), lot.id if lot else None
    if row.order_line is None:
        source = f"stock_request:{row.stock_request_id}:receive:{row.id}:{row.received}"
        return [Move(row.item_id, lot_id, place, SUPPLIER, RELEASED, units, "receive", source)]
    moves, source = [], f"order_line:{row.order_line.line_number}:receive:{row.id}:{row.received}"
    there = _without_lot(row.order_line)
    for where in (COMMITTED, SHIPPED):
        given = min(units, there.get(where, 0))
        if given:
            units -= given
            moves += [
                Move(row.item_id, None, place, where, PARTNER, given, "receive", f"{source}:{where}:out"),
                Move(row.item_id, lot_id, place, PARTNER, where, given, "receive", f"{source}:{where}:in"),
            ]
    if units:
        moves.append(Move(row.item_id, lot_id, place, PARTNER, RELEASED, units, "receive", f"{source}:surplus"))
    return moves


def _without_lot(line: OrderLine) -> dict[str, int]:
    """Place -> units of the line that stand there without a lot."""
    prefix = f"order_line:{line.line_number}:"
    query = select(StockMove.from_place, StockMove.to_place, StockMove.quantity).where(
        StockMove.source.startswith(prefix, autoescape=True), StockMove.lot_id.is_(None)
    )
    found: dict[str, int] = {}
    for origin, to, units in db.session.execute(query):
        found[to] = found.get(to, 0) + units
        found[origin] = found.get(origin, 0) - units
    return {place: units for place, units in found.items() if units > 0}


def _told(order: PartnerOrder, counts: Pairs[int, Count], at: datetime) -> None:
    good, short, damaged = (
        sum(getattr(count, name) for count in counts.values()) for name in ("received", "short", "damaged")
    )
    parts = [f"{units} {words}" for units, words in ((short, "short"), (damaged, "damaged")) if units]
    orders.tell(order, at, f"{rules.units(good)} received", ", ".join(parts))
    shown = expected(order)
    if not any(one.open for one in shown):
        order.state, order.received_at = RECEIVED, at
    missing = [one for one in shown if one.short or one.damaged]
    if missing:
        lines = [f"{one.item.name}: {one.short} missing, {one.damaged} damaged" for one in missing]
        facts = {
            "partner": db.session.get_one(Partner, order.partner_id).name,
            "name": order.name,
            "their_order": order.order_name or "",
            "lines": lines[:20],
            "units": sum(one.short + one.damaged for one in missing),
            "parcels": [
                number for parcel in tracking.parcels_of(order) for number in tracking.numbers_of(parcel.tracking)
            ],
        }
        desk.raise_(desk.SHORT, f"partner_order:{order.id}", facts, at)


def find_variant(order: PartnerOrder, code: str) -> PartnerVariant:
    """The variant of the order that carries this code: its barcode or SKU, theirs or ours. Raises RuleError."""
    wanted = code.strip().casefold()
    if not wanted:
        raise RuleError("Scan or type a barcode or SKU.", field="code")
    for one in expected(order):
        ours = select(Variant.barcode, Variant.sku).join(ImportedVariant, ImportedVariant.variant_id == Variant.id)
        codes = {one.variant.barcode, one.variant.sku, one.item.sku}
        for row in db.session.execute(ours.where(ImportedVariant.item_id == one.item.id)):
            codes |= {row.barcode or "", row.sku or ""}
        if wanted in {each.casefold() for each in codes if each}:
            return one.variant
    raise RuleError(f"Nothing on {order.name} carries {code.strip()[:60]}.", field="code")
