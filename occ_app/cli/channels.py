"""Channels: own ones, splits and their rules, market days, samples."""

from __future__ import annotations

from datetime import date, datetime

import click

from occ_app import clock
from occ_app.b2b import levels, splitting
from occ_app.catalog.models import PRODUCT, Item
from occ_app.cli.lots import allocation
from occ_app.cli.shared import ACTOR, occ, of_shop, says_why, with_item, with_shop
from occ_app.errors import NotFoundError, RuleError
from occ_app.extensions import db
from occ_app.stock import channels, markets, splits
from occ_app.stock.sharing import Claim
from occ_app.stock.splits import Wanted
from occ_app.web import MOST_ID

ID = click.IntRange(1, MOST_ID)
RULE = "CHANNEL=UNITS, CHANNEL=PERCENT% or CHANNEL=rest; then :least, :least:most, :least:most:DAY (unsold units back then)"


@occ.group()
def channel() -> None:
    """Channels."""


@channel.command("list")
@with_shop
@says_why
def channel_list(domain: str) -> None:
    """All channels, by the key that other commands take."""
    with of_shop(domain):
        for key, name in channels.names().items():
            click.echo(f"{key} {name}")


@channel.command("add")
@with_shop
@click.argument("name")
@says_why
def channel_add(domain: str, name: str) -> None:
    """A channel of the shop's own; prints its key."""
    with of_shop(domain):
        key = channels.add(name, clock.now()).key
    click.echo(key)


@channel.command("rename")
@with_shop
@click.argument("key")
@click.argument("name")
@says_why
def channel_rename(domain: str, key: str, name: str) -> None:
    """An own channel has another name; its key stays."""
    with of_shop(domain):
        channels.rename(channels.find(key), name)


@channel.command("remove")
@with_shop
@click.argument("key")
@says_why
def channel_remove(domain: str, key: str) -> None:
    """An own channel that holds nothing is gone, with its rules."""
    with of_shop(domain):
        gone = channels.remove(channels.find(key))
    click.echo(f"Removed, with {gone} rules")


def _item(sku: str) -> Item:
    item = db.session.scalar(db.select(Item).where(Item.sku == sku, Item.kind == PRODUCT))
    if item is None:
        raise NotFoundError(f"There is no item {sku}.")
    return item


def _wanted(text: str) -> Wanted:
    """`wholesale=40%:10:60:2026-12-01` as a rule."""
    key, _, said = text.partition("=")
    claim, *bounds = said.split(":")
    least, most, day = [*bounds, "", "", ""][:3]
    try:
        percent = int(claim[:-1]) if claim.endswith("%") else None
        fixed = int(claim) if percent is None and claim != "rest" else None
        floor, ceiling = int(least or 0), int(most) if most else None
        return Wanted(Claim(key, fixed, percent, floor, ceiling), date.fromisoformat(day) if day else None)
    except ValueError as error:
        raise RuleError(f"{text!r} is no rule. Give {RULE}.") from error


def _tell(item: Item) -> None:
    stock = levels.of_items([item])[item.id]
    click.echo(f"{item.sku} {'split' if stock.is_split else 'pool'}: b2b {stock.b2b}, b2c {stock.b2c}")


@allocation.command("split")
@with_shop
@with_item
@click.option("--dry-run", is_flag=True, help="Only print what would move.")
@click.argument("rules", nargs=-1, required=True, metavar=RULE)
@says_why
def allocation_split(domain: str, sku: str, dry_run: bool, rules: tuple[str, ...]) -> None:
    """Each channel has its own units, shared by these rules, filled in this order."""
    with of_shop(domain):
        item, wanted = _item(sku), [_wanted(text) for text in rules]
        if dry_run:
            splits.check(wanted)
            for shift in splits.what_would_move(item, levels.location().id, [each.claim for each in wanted]):
                click.echo(f"{shift.channel}: {shift.before} -> {shift.after}")
            return
        splitting.split(item, wanted, actor=ACTOR, at=clock.now())
        _tell(item)


@allocation.command("pool")
@with_shop
@with_item
@says_why
def allocation_pool(domain: str, sku: str) -> None:
    """All channels sell the same units again."""
    with of_shop(domain):
        item = _item(sku)
        splitting.pool(item, actor=ACTOR, at=clock.now())
        _tell(item)


@allocation.command("back")
@with_shop
@with_item
@click.argument("name")
@says_why
def allocation_back(domain: str, sku: str, name: str) -> None:
    """All unsold units of a channel go to Shopify, or into the pool."""
    with of_shop(domain):
        item = _item(sku)
        splitting.give_back(item, name, actor=ACTOR, at=clock.now())
        _tell(item)


@allocation.command("history")
@with_shop
@with_item
@says_why
def allocation_history(domain: str, sku: str) -> None:
    """What was moved between channels, newest first, by the id to undo it by."""
    with of_shop(domain):
        for change in splits.history(_item(sku).id):
            moved = ", ".join(f"{key} {change.before[key]} -> {change.after[key]}" for key in change.after)
            click.echo(f"{change.id} {change.changed_at:%Y-%m-%d %H:%M} {change.cause} {moved} by {change.actor}")


@allocation.command("undo")
@with_shop
@with_item
@click.argument("change_id", type=ID)
@says_why
def allocation_undo(domain: str, sku: str, change_id: int) -> None:
    """Do the opposite."""
    with of_shop(domain):
        splitting.undo(_item(sku), change_id, actor=ACTOR, at=clock.now())


@occ.group()
def market() -> None:
    """Market days."""


@market.command("open")
@with_shop
@click.argument("name")
@click.option("--on", "day", type=click.DateTime(["%Y-%m-%d"]))
@says_why
def market_open(domain: str, name: str, day: datetime | None) -> None:
    """A day to take units out for; prints its id."""
    with of_shop(domain):
        held_on = day.date() if day else splits.today()
        made = markets.open_day(name, held_on, levels.location().id, actor=ACTOR, at=clock.now()).id
    click.echo(made)


@market.command("out")
@with_shop
@click.argument("day_id", type=ID)
@with_item
@click.argument("units", type=int)
@says_why
def market_out(domain: str, day_id: int, sku: str, units: int) -> None:
    """Units go out to the market."""
    with of_shop(domain):
        markets.take_out(markets.get(day_id), _item(sku), units, actor=ACTOR, at=clock.now())


@market.command("close")
@with_shop
@click.argument("day_id", type=ID)
@click.option("--count", "counts", multiple=True, metavar="SKU=BACK,SOLD")
@says_why
def market_close(domain: str, day_id: int, counts: tuple[str, ...]) -> None:
    """What came back and what was sold of each item that is out; prints how many are missing."""
    with of_shop(domain):
        counted = {}
        for text in counts:
            sku, _, said = text.rpartition("=")
            back, _, sold = said.partition(",")
            if not (said.isascii() and back.isdigit() and sold.isdigit() and len(said) < 20):
                raise RuleError(f"{text!r} is no count. Give SKU=BACK,SOLD, such as CB-BAR=7,12.")
            counted[_item(sku).id] = (int(back), int(sold))
        missing = markets.close(markets.get(day_id), counted, actor=ACTOR, at=clock.now())
    click.echo(f"{missing} missing")


@occ.command("give")
@with_shop
@with_item
@click.option("--from", "channel", type=click.Choice(markets.GIVEN_AWAY), default="samples", show_default=True)
@click.option("--purpose", required=True)
@click.argument("units", type=int)
@says_why
def give(domain: str, sku: str, channel: str, purpose: str, units: int) -> None:
    """Units leave as samples, or are used in the house."""
    with of_shop(domain):
        markets.give_away(_item(sku), levels.location().id, channel, units, purpose, actor=ACTOR, at=clock.now())
