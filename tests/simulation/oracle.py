"""What must be true, computed from devshop's orders and levels, our moves and the hand edits that happened.

What the sync says of itself (linked, waiting, parked, expected) is never taken for a number that is right: it is only held against these.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from devshop.world import Level, Line, Store
from occ_app import clock
from occ_app.extensions import across_shops
from occ_app.stock import ledger
from occ_app.stock.rules import Holding, sellable, terms
from tests.simulation.steps import Life

# After these a lower number may be one that somebody has planned or typed, which the guard asks about.
PLANS = {"mode", "safety", "mapped_anew", "decided", "answered", "edited_by_hand", "damaged"}
SETTLED_KINDS = ("link", "guard", "ambiguous", "drift")


@dataclass(frozen=True)
class Mapped:
    """A living mapping and where its sync stands, read past the session."""

    id: int
    item_id: int
    location_id: int
    sku: str
    variant_gid: str
    item_gid: str
    units: int
    mode: str
    safety_stock: int
    state: str
    expected: int | None
    target: int
    baseline_at: datetime | None
    is_pushed: bool
    created_at: datetime
    location_gid: str
    place: int  # the location's number in Shopify
    link_choice: str | None
    cause: str | None

    @property
    def sells(self) -> tuple[str, int]:
        """Variant and location, as an order line names them."""
        return self.variant_gid, self.place


MAPPED = """
SELECT m.id, m.item_id, m.location_id, v.sku, v.variant_gid, v.inventory_item_gid, m.units_per_variant,
       coalesce(i.sync_mode, s.settings->>'sync_mode', 'released'), i.safety_stock,
       t.state, t.expected, t.target, t.baseline_at, t.is_pushed, m.created_at, p.location_gid,
       split_part(p.location_gid, '/', 5)::bigint, t.link_choice, t.cause
FROM mapping m JOIN variant v ON v.id = m.variant_id JOIN item i ON i.id = m.item_id JOIN location p ON p.id = m.location_id
JOIN sync_state t ON t.mapping_id = m.id JOIN shop s ON s.id = m.shop_id
WHERE m.ended_at IS NULL ORDER BY m.id
"""
HELD = """
SELECT b.place, b.quantity, b.lot_id, l.expires_on, l.recalled_at IS NOT NULL
FROM balance b LEFT JOIN lot l ON l.id = b.lot_id WHERE b.item_id = :item AND b.location_id = :location AND b.quantity <> 0
"""
BOOKED = """
SELECT l.line_number, l.variant_gid, l.taken, l.restocked, l.lost, l.shipped, l.returned, l.units_per_variant, l.mapping_id,
       m.created_at AS mapped_at
FROM order_line l LEFT JOIN mapping m ON m.id = l.mapping_id
"""


def living(session: Session) -> list[Mapped]:
    """All living mappings."""
    return [Mapped(*row) for row in session.execute(text(MAPPED))]


def books(session: Session, life: Life, mapped: Mapped) -> int:
    """Units of the item that may be sold by our moves, on this very day of the shop."""
    rows = session.execute(text(HELD), {"item": mapped.item_id, "location": mapped.location_id})
    day = clock.local_date(life.rig.time.now(), life.shape.time_zone)
    return sellable(terms(mapped.mode, [Holding(*row) for row in rows], mapped.safety_stock, day))


def gone(line: Line, store: Store) -> int:
    """Variant units that this line took from Shopify's available and has not given back."""
    back = sum(
        part.quantity
        for order in store.orders.values()
        for refund in order.refunds
        for part in refund.lines
        if part.line is line and part.restock_type in ("CANCEL", "RETURN")
    )
    return line.quantity - back


def lines_of(store: Store) -> list[tuple[Any, Line]]:
    """Every line with a product, with its order. Where Shopify has deleted the variant, the line no longer says what was sold."""
    return [
        (order, line)
        for order in store.orders.values()
        for line in order.lines
        if line.variant is not None and line.variant.id in store.variants
    ]


def unseen(session: Session, life: Life, of: Mapped, all_mapped: list[Mapped], until: datetime | None = None) -> int:
    """Units of the item sold in Shopify at that location that our books do not know of (less than zero: given back, and not known).

    With `until`, only what was ordered before then counts.
    """
    booked = {row[0]: row for row in session.execute(text(BOOKED))}
    by_variant = {each.sells: each for each in all_mapped}
    found = 0
    for order, line in lines_of(life.store):
        mapped = by_variant.get((line.variant.gid, line.location_id))
        if mapped is None or (mapped.item_id, mapped.place) != (of.item_id, of.place):
            continue
        if until is not None and order.created_at >= until.replace(microsecond=0):
            continue
        row = booked.get(line.id)
        if row is not None and row.mapping_id is not None:
            found += (gone(line, life.store) - (row.taken - row.restocked - row.returned)) * row.units_per_variant
        elif order.created_at < mapped.created_at.replace(microsecond=0):
            found += (0 if order.cancelled_at else line.unfulfilled) * mapped.units
        else:
            found += gone(line, life.store) * mapped.units
    return found


def watch(life: Life) -> None:
    """Every write of ours that raises a number is compared with what may truly be sold at that moment (a)."""

    def listen(store: Store, topic: str, subject: Any) -> None:
        if topic != "inventory_levels/update" or not isinstance(subject, Level) or not subject.history:
            return
        last = subject.history[-1]
        if last["who"] == "app" and last["changes"].get("available", 0) > 0:
            _judge(life, subject)

    life.rig.world.listeners.insert(0, listen)


def _judge(life: Life, level: Level) -> None:
    variant = life.store.items[level.item_id]
    with Session(life.rig.engine) as session:
        all_mapped = living(session)
        mapped = next((m for m in all_mapped if (m.item_gid, m.place) == (variant.item_gid, level.location_id)), None)
        if mapped is None:
            return
        here = books(session, life, mapped)
        # Another variant of the item may have sold after our reading; only this variant's own number is guarded by the comparison.
        seen = life.rig.pulled_at and life.rig.pulled_at - timedelta(seconds=life.store.faults.stale_seconds)
        siblings = [each for each in all_mapped if (each.item_id, each.place) == (mapped.item_id, mapped.place)]
        until = seen if len(siblings) > 1 else None
        most = max(0, (here - unseen(session, life, mapped, all_mapped, until)) // mapped.units)
    raised = sum(change for _, change in life.hands.get((variant.sku, mapped.place), []) if change > 0)
    written = level.quantities["available"]
    if written > most + raised:
        words = f"(a) our write raised {variant.sku} to {written}, but only {most} (and {raised} raised by hand) may be sold"
        life.violations.append(words)
        life.tell(f"!!! {words}")


def check(life: Life, *, strict: bool) -> list[str]:
    """What is wrong after healing; with `strict` people have decided about everything, so nothing may be open that they could end."""
    found = list(life.violations)
    with across_shops(), Session(life.rig.engine) as session:
        found += [f"(c) the audit finds {difference}" for difference in ledger.audit()]
        all_mapped = living(session)
        open_ = defaultdict(set)
        for mapping_id, kind in session.execute(
            text("SELECT mapping_id, kind FROM sync_exception WHERE settled_at IS NULL AND mapping_id IS NOT NULL")
        ):
            open_[mapping_id].add(kind)
        ever = {row[0] for row in session.execute(text("SELECT mapping_id FROM sync_exception WHERE kind = 'drift'"))}
        found += _orders(session, life, all_mapped)
        for mapped in all_mapped:
            found += _number(session, life, mapped, open_[mapped.id], strict)
            found += _named(session, life, mapped, mapped.id in ever)
            found += _waits(session, mapped, open_[mapped.id], strict)
            found += _corrected(session, life, mapped)
        found += _parked(session, strict)
        waiting = text("SELECT mapping_id FROM push_line WHERE state IN ('waiting', 'ambiguous')")
        unreadable = {mapped.id for mapped in all_mapped if not _level(life, mapped)}
        for row in session.execute(waiting):
            if row.mapping_id not in unreadable:
                found.append(f"(b) a write of mapping {row.mapping_id} is of unknown outcome, and Shopify would tell")
        failures = session.execute(text("SELECT task, tries, cause FROM task_failure")).all()
        found += [f"task {row.task} failed {row.tries} times: {row.cause}" for row in failures]
    return found


def _number(session: Session, life: Life, mapped: Mapped, kinds: set[str], strict: bool) -> list[str]:
    level = _level(life, mapped)
    right = books(session, life, mapped) // mapped.units
    found = []
    if mapped.target != right:
        found.append(f"(b) {mapped.sku}: target {mapped.target}, but the lots and the day give {right}")
    if level is None:
        if mapped.state != "parked" or "parked" not in kinds:
            found.append(f"(b) {mapped.sku} is not in Shopify, and yet {mapped.state} with {sorted(kinds)}")
        return found
    if "parked" in kinds or mapped.state == "parked":
        found.append(f"(b) {mapped.sku} is parked without a reason that still holds")
    if kinds - {"drift", "link", "guard", "parked"} or (strict and kinds):
        found.append(f"(b) {mapped.sku} has open {sorted(kinds)}")
    shown = level.quantities["available"]
    if "drift" in kinds and shown == mapped.expected:
        found.append(f"(b) {mapped.sku} has an open drift, and there is none")
    if "drift" in kinds and not life.hands.get((mapped.sku, mapped.place)):
        found.append(f"(b) {mapped.sku} has an open drift, and nobody has touched it in Shopify")
    if "guard" in kinds and "drift" not in kinds and shown > max(0, right) and not life.done & PLANS:
        found.append(f"(b) {mapped.sku} sells {shown} of {right} while somebody is asked, and units moved, no rule")
    if mapped.state == "linked" and mapped.is_pushed and not kinds and max(0, shown) != max(0, right):
        found.append(f"(b) {mapped.sku} shows {shown}, right is {right}, and nothing says so")
    return found


def _level(life: Life, mapped: Mapped) -> Any:
    """devshop's level of a mapping, if Shopify would show it."""
    variant = variant_of(life, mapped)
    level = life.store.levels.get((life.store.items[variant.item_id].item_id, mapped.place)) if variant else None
    return level if level is not None and level.is_active and life.store.locations[mapped.place].is_active else None


def variant_of(life: Life, mapped: Mapped) -> Any:
    """devshop's variant of a mapping, if it is still there."""
    return next((each for each in life.store.variants.values() if each.gid == mapped.variant_gid), None)


def _named(session: Session, life: Life, mapped: Mapped, was_named: bool) -> list[str]:
    """(e) What was changed by hand has, or had, an entry. Only a change that is to the unit what a write of ours without an answer was to
    do cannot be told from that write; the number is right then."""
    since = mapped.baseline_at
    net = sum(
        change
        for at, change in life.hands.get((mapped.sku, mapped.place), [])
        if since is not None and at >= since + timedelta(seconds=1)  # the baseline is a whole second
    )
    if not net or was_named or mapped.expected is None or mapped.state not in ("linked", "awaiting_approval"):
        return []
    unanswered = text(
        "SELECT 1 FROM push_line l JOIN mutation m ON m.id = l.mutation_id WHERE l.mapping_id = :mapping AND l.state = 'applied'"
        " AND (m.answer IS NOT NULL OR m.answered_at IS NULL) AND l.quantity - l.change_from = :net"
    )
    if session.execute(unanswered, {"mapping": mapped.id, "net": net}).first():
        return []
    return [f"(e) {mapped.sku} was changed by hand by {net:+d}, and no entry says so"]


def _waits(session: Session, mapped: Mapped, kinds: set[str], strict: bool) -> list[str]:
    """(b) Whatever waits for a person says so to one: a first link by an exception, a number by an approval that is asked or was rejected."""
    found = []
    if mapped.state == "awaiting_link" and "link" not in kinds:
        found.append(f"(b) {mapped.sku} waits for its first link ({mapped.link_choice}), and nobody is asked")
    last = session.execute(text(APPROVAL), {"mapping": mapped.id}).scalar()
    if mapped.state == "awaiting_approval" and last not in ("asked", "rejected"):
        found.append(f"(b) {mapped.sku} waits for approval, and none is asked for ({last})")
    if mapped.state == "awaiting_approval" and mapped.target == mapped.expected:
        found.append(f"(b) {mapped.sku} waits for approval of the number that Shopify has")
    if last == "asked" and (
        mapped.state not in ("awaiting_approval", "parked") or (strict and mapped.state != "parked")
    ):
        found.append(f"(b) {mapped.sku} is {mapped.state}, and approval is asked for")
    return found


def _corrected(session: Session, life: Life, mapped: Mapped) -> list[str]:
    """(e) What was booked to follow Shopify is what hands changed there, or a part of it; but for a write whose fate no number tells."""
    booked = int(session.execute(text(CORRECTED), {"prefix": f"drift:{mapped.id}:%"}).scalar() or 0)
    hands = [change for _, change in life.hands.get((mapped.sku, mapped.place), [])]
    untold = session.execute(text(UNTOLD), {"mapping": mapped.id}).scalars().all()
    low, high = (sum(sign * c for c in [*hands, *untold, *(-c for c in untold)] if sign * c > 0) for sign in (-1, 1))
    if -low * mapped.units <= booked <= high * mapped.units:
        return []
    return [f"(e) {mapped.sku}: {booked:+d} units were booked to follow Shopify, where hands changed {hands}"]


def _parked(session: Session, strict: bool) -> list[str]:
    """Whatever has stopped is on the Exceptions page, and what is there has stopped. With `strict` somebody has said "try again" to all."""
    stopped = {row.subject: row.kind for row in session.execute(text(STOPPED))}
    rows = session.execute(
        text("SELECT kind, subject FROM sync_exception WHERE settled_at IS NULL AND mapping_id IS NULL")
    )
    told = {row.subject: row.kind for row in rows}
    found = [
        f"(b) {kind} {subject} has stopped, and nothing says so" for subject, kind in (stopped.items() - told.items())
    ]
    found += [
        f"(b) {kind} {subject} is told, and there is no reason" for subject, kind in (told.items() - stopped.items())
    ]
    if strict:
        found += [f"(b) {kind} {subject} is still stopped" for subject, kind in stopped.items() if kind != "backorder"]
    waiting = session.execute(text("SELECT count(*) FROM delivery WHERE state = 'waiting'")).scalar()
    return [*found, *([f"{waiting} deliveries were never worked on"] if waiting else [])]


def _orders(session: Session, life: Life, all_mapped: list[Mapped]) -> list[str]:
    """(d) Each line's units are taken exactly once: the counters say what Shopify says, and the moves what the counters say."""
    found = []
    rows = {row.line_number: row for row in session.execute(text(BOOKED))}
    by_variant = {each.sells: each for each in all_mapped}
    for order, line in lines_of(life.store):
        row = rows.get(line.id)
        mapped = by_variant.get((line.variant.gid, line.location_id))
        is_due = mapped is not None and mapped.baseline_at is not None
        if row is None or row.mapping_id is None:
            if is_due and order.created_at > mapped.created_at:
                found.append(f"(d) {order.name}: {line.title} was never booked")
            continue
        net = row.taken - row.restocked - row.returned
        open_ = row.taken - row.restocked - row.lost - row.shipped
        still = 0 if order.cancelled_at else line.unfulfilled
        if net != gone(line, life.store) or open_ != still:
            words = f"booked {net} gone and {open_} open, Shopify has {gone(line, life.store)} and {still}"
            found.append(f"(d) {order.name}: {line.title}: {words}")
        moved = session.execute(text(MOVED), {"prefix": f"order_line:{line.id}:%"}).scalar() or 0
        if moved != open_ * row.units_per_variant:
            found.append(f"(d) {order.name}: {line.title}: moves leave {moved} committed, counters say {open_}")
        left = session.execute(text(LEFT), {"prefix": f"order_line:{line.id}:%"}).scalar() or 0
        is_counted_whole = order.created_at >= row.mapped_at.replace(
            microsecond=0
        )  # of an older one only what was open
        if is_counted_whole and left != net * row.units_per_variant:
            found.append(f"(d) {order.name}: {line.title}: moves took {left} out of stock, counters say {net}")
    return found


APPROVAL = "SELECT state FROM approval WHERE mapping_id = :mapping ORDER BY id DESC LIMIT 1"
CORRECTED = """
SELECT sum(CASE WHEN to_place = 'correction' THEN -quantity ELSE quantity END) FROM stock_move WHERE source LIKE :prefix
"""
UNTOLD = """
SELECT l.quantity - l.change_from FROM push_line l JOIN mutation m ON m.id = l.mutation_id
WHERE l.mapping_id = :mapping AND (m.answer IS NOT NULL OR m.answered_at IS NULL)
"""
STOPPED = """
SELECT 'delivery' AS kind, 'delivery:' || id AS subject FROM delivery WHERE state = 'parked' AND shop_id IS NOT NULL
UNION ALL SELECT 'order', 'order:' || order_gid FROM customer_order WHERE due_at IS NOT NULL AND tries >= 8
UNION ALL SELECT 'task', 'task:' || task FROM task_failure WHERE tries >= 5
UNION ALL SELECT 'backorder', 'item:' || item_id FROM balance WHERE place = 'backorder' GROUP BY item_id HAVING sum(quantity) < 0
"""

MOVED = """
SELECT coalesce(sum(CASE WHEN to_place = 'committed' THEN quantity ELSE 0 END)
              - sum(CASE WHEN from_place = 'committed' THEN quantity ELSE 0 END), 0)
FROM stock_move WHERE source LIKE :prefix
"""

# What left the stock by a line for good or is about to: whatever came back for sale taken off.
LEFT = """
SELECT coalesce(sum(CASE WHEN to_place IN ('committed', 'shipped', 'correction') THEN quantity ELSE 0 END)
              - sum(CASE WHEN from_place IN ('committed', 'shipped', 'correction') THEN quantity ELSE 0 END), 0)
FROM stock_move WHERE source LIKE :prefix
"""
