"""Lots: steps, reviews, checks, what expires, amounts given to channels."""

from __future__ import annotations

from datetime import datetime

import click
from flask import current_app

from occ_app import clock
from occ_app.catalog import pull
from occ_app.catalog.models import PRODUCT, Item, Location
from occ_app.cli.shared import ACTOR, occ, of_shop, says_why, with_item, with_shop
from occ_app.errors import NotFoundError, RuleError
from occ_app.extensions import db
from occ_app.shops import settings
from occ_app.shops.models import Shop
from occ_app.stock import allocations, labels, listing, lots, quality, review
from occ_app.stock.models import NUMBER, Lot, QualityCheck
from occ_app.stock.review import Split
from occ_app.stock.rules import LOT_PLACES
from occ_app.web import MOST_ID

DAY = click.DateTime(["%Y-%m-%d"])
MOST_NUMBER = 200  # characters of a lot number, as on the page


@occ.group()
def lot() -> None:
    """Lots."""


def _lot(number: str) -> Lot:
    found = lots.find(number)
    if found is None:
        raise NotFoundError(f"There is no lot {number}.")
    return found


def _item(sku: str) -> Item:
    item = db.session.scalar(db.select(Item).where(Item.sku == sku))
    if item is None:
        raise NotFoundError(f"There is no item {sku}.")
    return item


@lot.command("make")
@with_shop
@with_item
@click.option("--quantity", type=click.IntRange(1, lots.MOST_UNITS), required=True, help="Units that were finished.")
@click.option("--place", type=click.Choice(LOT_PLACES), help="The first of the shop's workflow if not given.")
@click.option("--location", "where", help="Name or id; the default one if not given.")
@click.option("--number", default="", help="We number it if not given.")
@click.option("--made-on", type=DAY, help="Today if not given.")
@click.option("--expires-on", type=DAY, help="By the item's shelf life if not given.")
@says_why
def lot_make(
    domain: str,
    sku: str,
    quantity: int,
    place: str | None,
    where: str | None,
    number: str,
    made_on: datetime | None,
    expires_on: datetime | None,
) -> None:
    """Units of an item were finished together: they come from production."""
    with of_shop(domain) as shop:
        item, at = _item(sku), clock.now()
        if item.kind != PRODUCT:
            raise RuleError(f"{sku} is no product that is made here. Ingredients are received: occ ingredient receive.")
        made = lots.make(
            item,
            quantity,
            location_id=_location(where).id,
            place=place,
            lot_number=_short(number),
            made_on=made_on.date() if made_on else None,
            expires_on=expires_on.date() if expires_on else None,
            today=clock.local_date(at, settings.get(shop, "time_zone")),
            actor=ACTOR,
            at=at,
        )
        said = made.lot_number
    click.echo(f"Made lot {said}: {quantity} of {sku}")


def _short(number: str) -> str:
    if len(number) > MOST_NUMBER:
        raise RuleError(f"A lot number has {MOST_NUMBER} characters at most.")
    return number


def _location(where: str | None) -> Location:
    """The active location of that name or id, the default one for none. Raises NotFoundError, RuleError."""
    if where is None:
        place = pull.default_location()
        if place is None:
            raise RuleError("No location is set yet. It comes with the first pull of the store.")
        return place
    found = [place for place in pull.locations() if where in (place.location_gid, place.name)]
    if len(found) != 1:
        names = ", ".join(place.name for place in pull.locations())
        raise NotFoundError(f"{len(found) or 'No'} active locations are called {where}. They are: {names or 'none'}.")
    return found[0]


@lot.command("move")
@with_shop
@click.argument("lot_number")
@click.option("--to", "place", required=True)
@click.option("--quantity", type=int)
@says_why
def lot_move(domain: str, lot_number: str, place: str, quantity: int | None) -> None:
    """Release, hold, review, package or scrap a lot, or a part of it."""
    with of_shop(domain):
        moved = lots.move(_lot(lot_number), place, quantity, actor=ACTOR, at=clock.now())
    click.echo(f"Moved {moved} to {place}")


@lot.command("review")
@with_shop
@click.argument("lot_number")
@click.option("--from", "place", default="in_review", show_default=True, help="Where the units stand.")
@click.option("--release", type=int, default=0)
@click.option("--hold", type=int, default=0)
@click.option("--scrap", type=int, default=0)
@click.option("--note", default="")
@click.option("--overrule", default="", help="Why it is released against its checks.")
@says_why
def lot_review(
    domain: str, lot_number: str, place: str, release: int, hold: int, scrap: int, note: str, overrule: str
) -> None:
    """Part units of a lot: so many released, held, scrapped; all of it or nothing."""
    with of_shop(domain):
        parts = Split(release, hold, scrap)
        review.review(_lot(lot_number), place, parts, note=note, overrule=overrule, actor=ACTOR, at=clock.now())
    click.echo(f"Released {release}, held {hold}, scrapped {scrap}")


@lot.command("unrelease")
@with_shop
@click.argument("lot_number")
@click.option("--quantity", type=int)
@click.option("--note", default="")
@says_why
def lot_unrelease(domain: str, lot_number: str, quantity: int | None, note: str) -> None:
    """Take released units back to the step before release."""
    with of_shop(domain):
        done = review.take_back(_lot(lot_number), quantity, note=note, actor=ACTOR, at=clock.now()).taken_back
    click.echo(f"Un-released {done}")


@lot.command("undo")
@with_shop
@click.argument("lot_number")
@says_why
def lot_undo(domain: str, lot_number: str) -> None:
    """What the last step moved stands where it stood before."""
    with of_shop(domain):
        units = review.undo(_lot(lot_number), actor=ACTOR, at=clock.now())
    click.echo(f"Moved {units} back")


@lot.command("check")
@with_shop
@click.argument("lot_number")
@click.argument("name")
@click.argument("result")
@click.option("--note", default="")
@says_why
def lot_check(domain: str, lot_number: str, name: str, result: str, note: str) -> None:
    """Keep what was seen: RESULT is pass, fail, or a number."""
    with of_shop(domain):
        found = _lot(lot_number)
        check = _check(found.item_id, name)
        if check.kind == NUMBER:
            seen = quality.Seen(check.id, None, quality.parse_number(result, "result"), note)
        else:
            seen = quality.Seen(check.id, {"pass": True, "fail": False}.get(result), None, note)
        kept = quality.record(found, [seen], actor=ACTOR, at=clock.now())[0]
        click.echo(f"{check.name} {'passed' if kept.is_passed else 'failed'}")


def _check(item_id: int, name: str) -> QualityCheck:
    checks = quality.checks_of(item_id)
    found = next((check for check in checks if check.name.casefold() == name.casefold()), None)
    if found is None:
        raise NotFoundError(
            f"There is no check {name!r}. Its checks are: {', '.join(c.name for c in checks) or 'none'}."
        )
    return found


@lot.command("expiring")
@with_shop
@click.option("--days", type=click.IntRange(1, 730), help="Instead of the shop's own number of days.")
@says_why
def lot_expiring(domain: str, days: int | None) -> None:
    """Units on the shelf that expire soon or have, first expiry first, with what they sell for and what they cost to make."""
    with of_shop(domain) as shop:
        within = days or settings.get(shop, "expiring_days")
        today = clock.local_date(clock.now(), settings.get(shop, "time_zone"))
        bounds = {"review_places": (), "today": today, "days": within, "limit": 10_000, "offset": 0}
        for row in listing.with_costs(listing.find("expiring", "", "expires", **bounds)[0]):
            worth = f"{row.worth} {shop.currency}" if row.worth is not None else "no price"
            cost = f"{row.at_cost} {shop.currency}" if row.at_cost is not None else "not known"
            is_gone = row.lot.expires_on is not None and row.lot.expires_on <= today
            click.echo(
                f"{row.lot.expires_on} {row.lot.lot_number} {row.here} {worth}, at cost {cost}{' expired' if is_gone else ''}"
            )


@lot.command("url")
@with_shop
@click.argument("lot_number")
@says_why
def lot_url(domain: str, lot_number: str) -> None:
    """Print the address that the code on the lot's label holds."""
    with of_shop(domain) as shop:
        click.echo(labels.lot_url(current_app.extensions["occ_config"], shop, _lot(lot_number).id))


@occ.group()
def check() -> None:
    """Quality checks of items."""


@check.command("add")
@with_shop
@with_item
@click.option("--kind", type=click.Choice(quality.KINDS), default=quality.KINDS[0], show_default=True)
@click.option("--least", default="")
@click.option("--most", default="")
@click.option("--unit", default="")
@click.option("--optional", is_flag=True, help="A lot may be released without it.")
@click.argument("name")
@says_why
def check_add(domain: str, sku: str, kind: str, least: str, most: str, unit: str, optional: bool, name: str) -> None:
    """Lots of the item are to pass one check more."""
    with of_shop(domain):
        limits = {"least": quality.parse_number(least, "least"), "most": quality.parse_number(most, "most")}
        quality.add(_item(sku), name, kind, unit=unit, **limits, is_required=not optional, at=clock.now())


@check.command("change")
@with_shop
@click.argument("check_id", type=click.IntRange(1, MOST_ID))
@click.option("--name", help="As it is if not given; so are all others.")
@click.option("--kind", type=click.Choice(quality.KINDS))
@click.option("--least")
@click.option("--most")
@click.option("--unit")
@click.option("--required/--optional", "required", default=None)
@says_why
def check_change(domain: str, check_id: int, required: bool | None, **given: str | None) -> None:
    """The check is as said. With other limits, lots that are not released yet are checked again."""
    with of_shop(domain):
        one = quality.get(check_id)
        words = {
            name: getattr(one, name) if (text := given[name]) is None else text for name in ("name", "kind", "unit")
        }
        limits = {
            name: getattr(one, name) if (text := given[name]) is None else quality.parse_number(text, name)
            for name in ("least", "most")
        }
        is_required = one.is_required if required is None else required
        quality.change(one, **words, **limits, is_required=is_required, at=clock.now())


@check.command("list")
@with_shop
@with_item
@says_why
def check_list(domain: str, sku: str) -> None:
    """The item's checks, by id."""
    with of_shop(domain):
        for one in quality.checks_of(_item(sku).id):
            limits = f" from {one.least} to {one.most} {one.unit}".rstrip() if one.kind == NUMBER else ""
            click.echo(f"{one.id} {one.name}: {one.kind}{limits}{'' if one.is_required else ', optional'}")


@check.command("end")
@with_shop
@click.argument("check_id", type=click.IntRange(1, MOST_ID))
@says_why
def check_end(domain: str, check_id: int) -> None:
    """Lots need not pass the check any more."""
    with of_shop(domain):
        quality.end(quality.get(check_id), clock.now())


@occ.group()
def allocation() -> None:
    """Amounts given to channels."""


@allocation.command("set")
@with_shop
@with_item
@click.argument("channel")
@click.argument("quantity", type=int)
@says_why
def allocation_set(domain: str, sku: str, channel: str, quantity: int) -> None:
    """The channel has so many units of the item, at the default location."""
    with of_shop(domain) as shop:
        _set_amount(shop, _item(sku), _location(None).id, channel, quantity)


def _set_amount(shop: Shop, item: Item, location_id: int, channel: str, quantity: int) -> None:
    at = clock.now()
    today = clock.local_date(at, settings.get(shop, "time_zone"))
    allocations.set_amounts(item, location_id, {channel: quantity}, today=today, actor=ACTOR, at=at)
