"""Wholesale orders, API tokens, notices."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click

from occ_app import clock
from occ_app.b2b import levels, notices, orders, tokens
from occ_app.b2b.models import STATES, WholesaleOrder
from occ_app.catalog.models import PRODUCT, Item
from occ_app.cli.shared import ACTOR, occ, of_shop, says_why, with_shop
from occ_app.errors import NotFoundError, RuleError
from occ_app.extensions import db
from occ_app.web import MOST_ID

ID = click.IntRange(1, MOST_ID)


@occ.group("b2b")
def b2b() -> None:
    """The wholesale side."""


@b2b.command("stock")
@with_shop
@click.option("--item", "sku")
@click.option("--json", "as_json", is_flag=True)
@says_why
def b2b_stock(domain: str, sku: str | None, as_json: bool) -> None:
    """What wholesale and the webshop may each sell."""
    with of_shop(domain):
        query = db.select(Item).where(Item.kind == PRODUCT, Item.archived_at.is_(None)).order_by(Item.sku)
        items = db.session.scalars(query.where(Item.sku == sku) if sku else query).all()
        if sku and not items:
            raise NotFoundError(f"There is no item {sku}.")
        stock, given = levels.of_items(items), levels.channels_of(items)
        rows = [
            {
                "item_sku": item.sku,
                "mode": "split" if stock[item.id].is_split else "pool",
                "b2b_stock": stock[item.id].b2b,
                "b2c_stock": stock[item.id].b2c,
                "channels": {
                    name: units for name, units in given.get(item.id, {}).items() if units and name != "released"
                },
            }
            for item in items
        ]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        click.echo(f"{row['item_sku']} {row['mode']}: b2b {row['b2b_stock']}, b2c {row['b2c_stock']}")


@b2b.group("order")
def order() -> None:
    """Wholesale orders."""


@order.command("create")
@with_shop
@click.option("--customer", required=True)
@click.option("--customer-reference", default="")
@click.option("--reference", default="")
@click.option("--note", default="")
@click.option("--line", "lines", multiple=True, required=True, metavar="SKU=UNITS")
@click.option("--draft", is_flag=True, help="No units are taken yet.")
@says_why
def order_create(domain: str, lines: tuple[str, ...], draft: bool, **words: str) -> None:
    """Place an order; prints its id and number."""
    with of_shop(domain):
        made = orders.create([_line(text) for text in lines], **words, confirmed=not draft, actor=ACTOR, at=clock.now())
        said = f"{made.id} {made.number} {made.state}"
    click.echo(said)


def _line(text: str) -> tuple[str, int]:
    sku, _, units = text.rpartition("=")
    if not sku or not (units.isascii() and units.isdigit() and len(units) < 13):
        raise RuleError(f"{text!r} is no line. Give SKU=UNITS, such as CB-BAR=24.")
    return sku, int(units)


def _step(name: str, step: Callable[..., WholesaleOrder], words: str) -> None:
    @order.command(name, help=words)
    @with_shop
    @click.argument("order_id", type=ID)
    @says_why
    def run(domain: str, order_id: int) -> None:
        with of_shop(domain):
            done = step(orders.get(order_id, locked=True), actor=ACTOR, at=clock.now())
            said = f"{done.id} {done.number} {done.state}"
        click.echo(said)


_step("confirm", orders.confirm, "Take the units of a draft.")
_step("ship", orders.ship, "The units have left; prints nothing more than its state.")
_step("cancel", orders.cancel, "Give the units back where they came from.")


@order.command("list")
@with_shop
@click.option("--state", type=click.Choice(STATES))
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@says_why
def order_list(domain: str, state: str | None, limit: int) -> None:
    """Orders, newest first."""
    with of_shop(domain):
        for one in orders.find(state=state or "", limit=limit):
            lines = ", ".join(f"{line.quantity} {line.item.sku}" for line in one.lines)
            click.echo(f"{one.id} {one.number} {one.state} {one.customer.name}: {lines}")


# Tokens ---------------------------------------------------------------------------------------------------------------------------


@occ.group("api-token")
def api_token() -> None:
    """Tokens of the API."""


@api_token.command("create")
@with_shop
@click.option("--name", required=True)
@click.option("--scope", "scopes", multiple=True, help=f"One of: {', '.join(tokens.SCOPES)}. None: all.")
@click.option("--days", type=int, help="How long it is good. None: for ever.")
@click.argument("more", nargs=-1)
@says_why
def token_create(domain: str, name: str, scopes: tuple[str, ...], days: int | None, more: tuple[str, ...]) -> None:
    """Print a token once."""
    wanted = [part for scope in (*scopes, *more) for part in scope.split(",")]
    if not all(wanted):  # an empty variable of a shell, say; it must not open everything
        raise RuleError(f"A scope is empty. Give one or more of: {', '.join(tokens.SCOPES)}; leave it out for all.")
    with of_shop(domain):
        _, plain = tokens.make(name, wanted or list(tokens.SCOPES), days=days, actor=ACTOR, at=clock.now())
    click.echo(plain)


@api_token.command("list")
@with_shop
@says_why
def token_list(domain: str) -> None:
    """Tokens by id, with the last four letters of each."""
    with of_shop(domain):
        for token in tokens.everyone():
            state = (
                "revoked" if token.revoked_at else f"until {token.expires_at:%Y-%m-%d}" if token.expires_at else "good"
            )
            used = f"{token.last_used_at:%Y-%m-%d %H:%M}" if token.last_used_at else "never"
            click.echo(f"{token.id} {token.name} ...{token.hint} {','.join(token.scopes)} {state}, last used {used}")


@api_token.command("revoke")
@with_shop
@click.argument("token_id", type=ID)
@says_why
def token_revoke(domain: str, token_id: int) -> None:
    """The token opens nothing any more."""
    with of_shop(domain):
        tokens.revoke(token_id, clock.now())


# Notices --------------------------------------------------------------------------------------------------------------------------


@occ.group("notice")
def notice() -> None:
    """Notices to other systems."""


@notice.command("add")
@with_shop
@click.argument("url")
@click.option("--kind", "kinds", multiple=True, type=click.Choice(list(notices.KINDS)), help="None: all.")
@says_why
def notice_add(domain: str, url: str, kinds: tuple[str, ...]) -> None:
    """Notices go to that address from now on; prints the secret that signs them."""
    with of_shop(domain):
        _, secret = notices.add_endpoint(url, kinds or list(notices.KINDS), at=clock.now())
    click.echo(secret)


@notice.command("list")
@with_shop
@click.option("--json", "as_json", is_flag=True)
@says_why
def notice_list(domain: str, as_json: bool) -> None:
    """Addresses and the newest notices."""
    with of_shop(domain):
        places: list[dict[str, Any]] = [{"id": e.id, "url": e.url, "kinds": e.kinds} for e in notices.endpoints()]
        told: list[dict[str, Any]] = [
            {"id": n.id, "kind": n.kind, "state": n.state, "tries": n.tries, "status": n.status, "cause": n.cause}
            for n in notices.newest()
        ]
    if as_json:
        click.echo(json.dumps({"endpoints": places, "notices": told}, indent=2))
        return
    for row in places:
        click.echo(f"address {row['id']} {row['url']} {', '.join(row['kinds'])}")
    for row in told:
        click.echo(
            f"notice {row['id']} {row['kind']} {row['state']} after {row['tries']} tries {row['cause'] or ''}".rstrip()
        )


@notice.command("end")
@with_shop
@click.argument("endpoint_id", type=ID)
@says_why
def notice_end(domain: str, endpoint_id: int) -> None:
    """Nothing is sent there any more."""
    with of_shop(domain):
        notices.end(endpoint_id, clock.now())


@notice.command("replay")
@with_shop
@click.argument("notice_id", type=click.IntRange(1, 2**62))
@says_why
def notice_replay(domain: str, notice_id: int) -> None:
    """Send it again."""
    with of_shop(domain):
        notices.replay(notice_id, clock.now())
