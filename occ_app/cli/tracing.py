"""Trace and recall."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from occ_app import clock
from occ_app.cli.shared import ACTOR, occ, of_shop, says_why, with_shop
from occ_app.desk import trace, trace_words
from occ_app.desk.trace import Sale, Trace
from occ_app.errors import NotFoundError
from occ_app.extensions import db
from occ_app.production import recall as recalls
from occ_app.production.models import BACK, SCRAPPED, Recall, RecallLot
from occ_app.production.trace import made_from
from occ_app.stock import lots
from occ_app.stock.models import Lot


@occ.command("trace")
@click.argument("name")
@with_shop
@click.option("--json", "as_json", is_flag=True)
@says_why
def follow(name: str, domain: str, as_json: bool) -> None:
    """Follow a lot to its ingredients and orders, or an order back to its ingredients."""
    with of_shop(domain):
        found, sales = _traced(name)
        shown = trace_words.as_json(found, sales) if as_json else None
        lines = list(trace_words.lines(found, sales))
    if as_json:
        click.echo(json.dumps(shown, indent=2))
        return
    for line in lines:
        state = f", {line.state}" if line.to_kind in trace.NAMED.values() or line.state == "reserved" else ""
        click.echo(f"{line.from_kind} {line.from_name} -> {line.to_kind} {line.to_name}: {line.amount}{state}")
    if not lines:
        click.echo(f"{name} went nowhere yet, and was made by no run.")


def _traced(name: str) -> tuple[Trace, list[Sale]]:
    lot = lots.find(name)
    if lot is not None:
        found = trace.of_lots([lot.id])
        return found, trace.sales(found.later)
    wholesale = trace.find_wholesale(name)
    if wholesale is not None:
        return trace.of_wholesale(wholesale)
    orders = trace.find_orders(name)
    if not orders:
        raise NotFoundError(f"There is no lot and no order {name}.")
    return trace.of_order(orders[0])


@occ.group()
def recall() -> None:
    """Recalls: freeze lots in every store, list who has units, end it."""


@recall.command("open")
@click.argument("lot_numbers", nargs=-1, required=True)
@with_shop
@click.option("--reason", default="", help="Kept in the decision log.")
@click.option("--drill", is_flag=True, help="List everything, freeze nothing.")
@click.option("--downstream", is_flag=True, help="Also every lot that was made from these.")
@says_why
def open_(lot_numbers: Sequence[str], domain: str, reason: str, drill: bool, downstream: bool) -> None:
    """Freeze lots in every store at once."""
    with of_shop(domain):
        chosen = {lot.id for lot in _lots(lot_numbers)}
        further = _free(made_from(chosen))
        ids = chosen | further if downstream else chosen
        opened = recalls.open_(ids, chosen=chosen, reason=reason, is_drill=drill, actor=ACTOR, at=clock.now())
        reach, name = trace.reach(ids), opened.name
    frozen = "Nothing is frozen: a drill." if drill else f"Froze {len(ids):,} lot{'s' if len(ids) != 1 else ''}."
    click.echo(f"{name} opened. {frozen} {_reached(reach)}")
    if left := len(further - ids):
        click.echo(f"{left:,} lots were made from these. Give --downstream to recall them too.")


@recall.command("end")
@click.argument("lot_numbers", nargs=-1, required=True)
@with_shop
@click.option("--scrap", is_flag=True, help="Scrap what is here, instead of putting it back on sale.")
@click.option("--reason", default="", help="Kept in the decision log.")
@says_why
def end(lot_numbers: Sequence[str], domain: str, scrap: bool, reason: str) -> None:
    """End the recall of these lots (or of all lots of RC-3): back on sale, or scrapped."""
    outcome, ended = SCRAPPED if scrap else BACK, 0
    with of_shop(domain):
        for of, ids in _open_ones(lot_numbers).values():
            ended += recalls.end(of, outcome, ids, reason=reason, actor=ACTOR, at=clock.now())
    click.echo(f"Ended for {ended:,} lot{'s' if ended != 1 else ''}: {'scrapped' if scrap else 'back on sale'}.")


@recall.command("show")
@click.argument("lot_numbers", nargs=-1)
@with_shop
@click.option("--json", "as_json", is_flag=True)
@says_why
def show(lot_numbers: Sequence[str], domain: str, as_json: bool) -> None:
    """Recalls that hold these lots (or RC-3); without any, all that are open."""
    with of_shop(domain):
        shown = [_as_json(of) for of in _named(lot_numbers)]
    if as_json:
        click.echo(json.dumps(shown, indent=2))
        return
    for one in shown:
        state = "drill" if one["is_drill"] else "ended" if one["ended_at"] else "open"
        click.echo(f"{one['name']} ({state}): {one['reason'] or 'no reason given'}")
        for lot in one["lots"]:
            click.echo(f"  {lot['lot_number']}: {lot['state']}, {lot['here']} here")
        others = f" and {one['others']:,} market days or gifts" if one["others"] else ""
        click.echo(
            f"  {one['orders']:,} orders{others}: {one['not_shipped']:,} units not shipped, {one['shipped']:,} shipped"
        )
    if not shown:
        click.echo("Nothing is recalled.")


def _lots(numbers: Sequence[str]) -> Sequence[Lot]:
    found = db.session.scalars(select(Lot).where(Lot.lot_number.in_(numbers)).order_by(Lot.id)).all()
    missing = [number for number in numbers if number not in {lot.lot_number for lot in found}]
    if missing:
        raise NotFoundError(f"There is no lot {', '.join(missing)}.")
    return found


def _free(lot_ids: Sequence[int]) -> set[int]:
    """Those of the lots that are in no recall."""
    query = select(Lot.id).where(Lot.id.in_(lot_ids), Lot.recalled_at.is_(None))
    return set(db.session.scalars(query))


def _open_ones(names: Sequence[str]) -> dict[int, tuple[Recall, set[int] | None]]:
    """Recall id -> the recall and its lots that were named; None: all of them. A recall before a drill, where both hold a lot."""
    wanted: dict[int, tuple[Recall, set[int] | None]] = {}
    numbers = []
    for name in names:
        of = recalls.find(name) if name.upper().startswith("RC-") and lots.find(name) is None else None
        if of is not None:
            wanted[of.id] = (of, None)
        else:
            numbers.append(name)
    held = recalls.of_lots(lot.id for lot in _lots(numbers)) if numbers else []
    found: dict[int, Recall] = {}
    for of, row in sorted(held, key=lambda pair: pair[0].is_drill):
        if row.ended_at is None and row.lot_id not in found:
            found[row.lot_id] = of
    for lot_id, of in found.items():
        ids = wanted.setdefault(of.id, (of, set()))[1]
        if ids is not None:
            ids.add(lot_id)
    if not wanted:
        raise NotFoundError("None of these lots is in an open recall.")
    return wanted


def _named(names: Sequence[str]) -> Sequence[Recall]:
    if not names:
        query = select(Recall).where(Recall.ended_at.is_(None)).order_by(Recall.id.desc())
        return db.session.scalars(query).all()
    found = {of.id: of for name in names if (of := recalls.find(name)) is not None and name.upper().startswith("RC-")}
    numbers = [name for name in names if not name.upper().startswith("RC-") or recalls.find(name) is None]
    if numbers:
        found |= {of.id: of for of, _ in recalls.of_lots(lot.id for lot in _lots(numbers))}
    return list(found.values())


def _as_json(of: Recall) -> dict[str, Any]:
    query = (
        select(RecallLot).where(RecallLot.recall_id == of.id).options(joinedload(RecallLot.lot).joinedload(Lot.item))
    )
    rows = db.session.scalars(query.order_by(RecallLot.id)).all()
    ids = [row.lot_id for row in rows]
    reach, here = trace.reach(ids), recalls.units_here(ids)
    return {
        "name": of.name,
        "is_drill": of.is_drill,
        "reason": of.reason,
        "opened_at": of.opened_at.isoformat(),
        "opened_by": of.opened_by,
        "ended_at": of.ended_at.isoformat() if of.ended_at else None,
        "lots": [
            {
                "lot_number": row.lot.lot_number,
                "item_sku": row.lot.item.sku,
                "state": row.outcome or ("drill" if of.is_drill else "frozen"),
                "here": trace_words.amount(here.get(row.lot_id, 0), row.lot.item),
            }
            for row in rows
        ],
        "orders": reach.orders,
        "others": reach.others,
        "not_shipped": reach.committed,
        "shipped": reach.shipped,
        "log": [
            {"at": entry.written_at.isoformat(), "who": entry.actor, "what": entry.words}
            for entry in reversed(recalls.entries_of(of))
        ],
    }


def _reached(reach: trace.Reach) -> str:
    others = f" and {reach.others:,} market days or gifts" if reach.others else ""
    return f"{reach.orders:,} orders{others} have units of them: {reach.committed:,} not shipped, {reach.shipped:,} shipped."
