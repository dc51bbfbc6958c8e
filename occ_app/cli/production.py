"""Production runs, and lots of ingredients."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import click
from sqlalchemy import select

from occ_app import clock
from occ_app.catalog import pull
from occ_app.catalog.models import Item, Location
from occ_app.cli.shared import ACTOR, occ, of_shop, says_why, with_item, with_shop
from occ_app.errors import DoubtError, NotFoundError, RuleError
from occ_app.extensions import db
from occ_app.production import completing, formulas, ingredients, runs, units
from occ_app.production.needs import Need
from occ_app.shops import settings
from occ_app.shops.models import Shop
from occ_app.stock import lots
from occ_app.stock.models import Lot

DAY = click.DateTime(["%Y-%m-%d"])
MOST_YIELDS = 1_000_000


@occ.group()
def run() -> None:
    """Production runs."""


@run.command("plan")
@with_shop
@with_item
@click.option("--yields", "yields", type=int, required=True, help="How often the formula is made.")
@click.option("--on", "day", type=DAY, help="The day of making; today if not given.")
@says_why
def plan(domain: str, sku: str, yields: int, day: datetime | None) -> None:
    """Plan a run and reserve what it needs, first expiry first. What is short is named."""
    with of_shop(domain) as shop:
        item, today, at = _item(sku), _today(shop), clock.now()
        formula = formulas.current_of(item.id)
        if formula is None:
            raise RuleError(f"{item.sku} has no formula. Write one first: occ import formulas FILE.")
        if not 1 <= yields <= MOST_YIELDS:
            raise RuleError(f"--yields is {yields}. Give a whole number from 1 to {MOST_YIELDS:,}.")
        place = _default_place()
        on = day.date() if day else today
        quantity = yields * formula.yield_quantity
        made = runs.draft(item, quantity, location=place, planned_on=on, today=today, actor=ACTOR, at=at)
        short = runs.plan(made, today=today, actor=ACTOR, at=at)
        said = units.say(quantity, formulas.unit_of(item))
    click.echo(f"Planned run {made.number}: {said} of {item.sku} on {on}")
    _tell_short(short)


@run.command("start")
@with_shop
@click.argument("number")
@says_why
def start(domain: str, number: str) -> None:
    """The run is in progress."""
    with of_shop(domain):
        runs.start(runs.find(number), at=clock.now())
    click.echo(f"Started run {number}")


@run.command("change")
@with_shop
@click.argument("number")
@click.option("--quantity", help="What it makes, in the item's unit.")
@click.option("--on", "day", type=DAY)
@says_why
def change(domain: str, number: str, quantity: str | None, day: datetime | None) -> None:
    """Change quantity or day of a run; exactly the difference is released, or reserved as well."""
    with of_shop(domain) as shop:
        found = runs.find(number)
        unit = formulas.unit_of(found.item)
        amount = units.parse(quantity, unit) if quantity else found.planned_quantity
        on = day.date() if day else found.planned_on
        facts = {"quantity": amount, "planned_on": on, "note": found.note}
        short = runs.change(found, **facts, today=_today(shop), actor=ACTOR, at=clock.now())
    click.echo(f"Changed run {number}: {units.say(amount, unit)} on {on}")
    _tell_short(short)


@run.command("complete")
@with_shop
@click.argument("number")
@click.option("--output", "output", required=True, help="What came out good, in the item's unit.")
@click.option("--lot", "lot_number", default="", help="The lot's number; by the shop's pattern if not given.")
@click.option("--waste", default="0", help="What came out bad.")
@click.option("--expired-reason", default="", help="Why a lot past its date was used all the same.")
@click.option("--confirm", "is_confirmed", is_flag=True, help="Yes, that much came out.")
@says_why
def complete(
    domain: str, number: str, output: str, lot_number: str, waste: str, expired_reason: str, is_confirmed: bool
) -> None:
    """Complete a run: its lot is there, and what it used by its formula is gone."""
    with of_shop(domain) as shop:
        found = runs.find(number)
        unit = formulas.unit_of(found.item)
        outputs = [completing.Output(units.parse(output, unit, field="output"), lot_number)]
        facts = {"waste": units.parse(waste, unit, field="waste"), "expired_reason": expired_reason}
        try:
            made = completing.complete(
                found, outputs, **facts, is_confirmed=is_confirmed, today=_today(shop), actor=ACTOR, at=clock.now()
            )
        except DoubtError as error:
            raise DoubtError(f"{error} Confirm with --confirm.") from error
        numbers = ", ".join(lot.lot_number for lot in made)
    click.echo(
        f"Completed run {number}: {output} in lot {numbers}" if numbers else f"Completed run {number}: nothing came out"
    )


@run.command("cancel")
@with_shop
@click.argument("number")
@says_why
def cancel(domain: str, number: str) -> None:
    """Cancel a run; all that it held is free again."""
    with of_shop(domain):
        runs.cancel(runs.find(number), actor=ACTOR, at=clock.now())
    click.echo(f"Cancelled run {number}")


@occ.group()
def ingredient() -> None:
    """Lots of ingredients. The ingredients themselves come by: occ import ingredients FILE."""


@ingredient.command("receive")
@with_shop
@click.argument("code")
@click.argument("quantity")
@click.option("--unit", help="The ingredient's own if not given.")
@click.option("--lot", "lot_number", default="", help="Our number; by the shop's pattern if not given.")
@click.option("--supplier-lot", default="")
@click.option("--supplier", default="")
@click.option("--cost", default="0", help="Of one of the ingredient's units.")
@click.option("--on", "day", type=DAY, help="The day it came; today if not given.")
@click.option("--expires-on", "expires", type=DAY)
@says_why
def receive(domain: str, code: str, quantity: str, unit: str | None, lot_number: str, **papers: Any) -> None:
    """A lot of an ingredient came."""
    with of_shop(domain) as shop:
        item, place = ingredients.get(_item(code).id).item, _default_place()
        given = units.check_unit(unit or item.unit)
        units.check_compatible(given, item.unit, item.name)
        lot = ingredients.receive(
            item,
            units.parse(quantity, given, least=1),
            location_id=place.id,
            supplier=papers["supplier"],
            supplier_lot_number=papers["supplier_lot"],
            lot_number=lot_number,
            unit_cost=units.number(papers["cost"]),
            received_on=papers["day"].date() if papers["day"] else None,
            expires_on=papers["expires"].date() if papers["expires"] else None,
            today=_today(shop),
            actor=ACTOR,
            at=clock.now(),
        )
        number = lot.lot_number
    click.echo(f"Received lot {number}")


@ingredient.command("count")
@with_shop
@click.argument("lot_number")
@click.argument("quantity")
@says_why
def count(domain: str, lot_number: str, quantity: str) -> None:
    """The lot has what was counted of it at the default location, reserved units included."""
    with of_shop(domain):
        lot, item = _lot_of_ingredient(lot_number)
        counted = {lot.id: units.parse(quantity, item.unit)}
        ingredients.count(item, _default_place().id, counted, {}, actor=ACTOR, at=clock.now())
    click.echo(f"Counted {quantity} of lot {lot_number}")


@ingredient.command("waste")
@with_shop
@click.argument("lot_number")
@click.argument("quantity")
@click.option("--note", default="", help="Why.")
@says_why
def waste(domain: str, lot_number: str, quantity: str, note: str) -> None:
    """So much of the lot was thrown away."""
    with of_shop(domain):
        lot, item = _lot_of_ingredient(lot_number)
        ingredients.waste(lot, item, units.parse(quantity, item.unit, least=1), note=note, actor=ACTOR, at=clock.now())
    click.echo(f"Wasted {quantity} of lot {lot_number}")


def _lot_of_ingredient(lot_number: str) -> tuple[Lot, Item]:
    lot = lots.find(lot_number)
    if lot is None:
        raise NotFoundError(f"There is no lot {lot_number}.")
    return lot, ingredients.get(lot.item_id).item


def _default_place() -> Location:
    place = pull.default_location()
    if place is None:
        raise RuleError("No default location is set. Set it with: occ settings set default_location")
    return place


def _tell_short(found: Sequence[Need]) -> None:
    for need in found:
        if need.open:
            said = units.say(need.open, formulas.unit_of(need.component))
            when = f"earliest {need.earliest}" if need.earliest else "no lead time is known"
            click.echo(f"Short: {said} of {need.component.sku} ({when})")


def _item(sku: str) -> Item:
    item = db.session.scalar(select(Item).where(Item.sku == sku))
    if item is None:
        raise NotFoundError(f"There is no item {sku}.")
    return item


def _today(shop: Shop) -> date:
    return clock.local_date(clock.now(), settings.get(shop, "time_zone"))
