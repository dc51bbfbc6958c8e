"""A maker's day in few words: ingredients with lots, runs that use lots and put out others."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count

from occ_app import clock
from occ_app.catalog.models import Item, Location
from occ_app.extensions import db
from occ_app.production.models import COMPLETED, ProductionRun, RunConsumption, RunOutput
from occ_app.stock import ledger, lots
from occ_app.stock.models import Lot
from occ_app.stock.rules import PRODUCTION, RELEASED
from tests.support.bench import Bench

_numbers = count(1)


def item(sku: str, kind: str = "product", unit: str = "piece") -> Item:
    """The item of that SKU, made where there is none."""
    found = db.session.scalar(db.select(Item).where(Item.sku == sku))
    if found is None:
        found = Item(sku=sku, kind=kind, name=f"Item {sku}", unit=unit, safety_stock=0, created_at=clock.now())
        db.session.add(found)
        db.session.flush()
    return found


def received(sku: str, number: str, quantity: int) -> Lot:
    """A lot of an ingredient that came from a supplier."""
    return lots.make(
        item(sku, "ingredient"),
        quantity,
        location_id=_place(),
        place=RELEASED,
        lot_number=number,
        from_place="supplier",
        today=clock.now().date(),
        actor="test",
        at=clock.now(),
    )


def made(sku: str, number: str, quantity: int, of: Mapping[Lot, int], place: str = RELEASED) -> Lot:
    """A run used so much of these lots and put out this one."""
    thing, at = item(sku), clock.now()
    run = ProductionRun(
        number=f"T-{next(_numbers):04}",
        item_id=thing.id,
        location_id=_place(),
        state=COMPLETED,
        planned_quantity=quantity,
        output_quantity=quantity,
        created_at=at,
        created_by="test",
        completed_at=at,
        completed_by="test",
    )
    db.session.add(run)
    db.session.flush()
    moves = []
    for lot, used in of.items():
        db.session.add(RunConsumption(run_id=run.id, item_id=lot.item_id, lot_id=lot.id, quantity=used))
        ids = (lot.item_id, lot.id, _place())
        moves.append(ledger.Move(*ids, RELEASED, PRODUCTION, used, "consume", f"run:{run.id}:consume:{lot.id}"))
    ledger.book(moves, actor="test", at=at)
    lot = lots.make(
        thing, quantity, location_id=_place(), place=place, lot_number=number, today=at.date(), actor="test", at=at
    )
    db.session.add(RunOutput(run_id=run.id, lot_id=lot.id, quantity=quantity))
    db.session.flush()
    return lot


def _place() -> int:
    return db.session.scalars(db.select(Location.id).order_by(Location.id)).first() or 0


def truffles(bench: Bench) -> None:
    """Cocoa CM-1 in the ganache G-1 and in the bars B-1 and B-2; the ganache in the truffles T-1; cream CR-1 only in the ganache."""
    with bench.scope():
        cocoa, cream = received("COCOA", "CM-1", 10_000), received("CREAM", "CR-1", 5_000)
        ganache = made("GANACHE", "G-1", 2_000, {cocoa: 1_000, cream: 1_000})
        made("TRUFFLE", "T-1", 50, {ganache: 1_500})
        made("BAR", "B-1", 100, {cocoa: 3_000})
        made("BAR", "B-2", 100, {cocoa: 3_000})
        db.session.commit()
