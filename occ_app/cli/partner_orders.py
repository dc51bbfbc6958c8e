"""Partner orders: send, list, show, close, hold, receive, lines that need somebody, statements, the log."""

from __future__ import annotations

import csv
import json
import sys
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import click

from occ_app import clock, wiring
from occ_app.cli.partners import partner
from occ_app.cli.shared import ACTOR, find_shop, of_shop, says_why, with_shop
from occ_app.errors import OutsideError, RuleError
from occ_app.extensions import db, shop_scope
from occ_app.partners import standing
from occ_app.partners.models import LEFT
from occ_app.routing import batch, deciding, listing, receiving, rules
from occ_app.routing import orders as partner_orders
from occ_app.routing.context import today
from occ_app.routing.models import CLOSE, DAILY, FAILED, NOW, PENDING, PartnerOrder
from occ_app.routing.receiving import Count
from occ_app.routing.statement_views import statement_rows
from occ_app.shops import settings
from occ_app.work import tasks

with_one = click.option("--partner", "partner_domain", default="", help="This partner alone.")


@partner.group("orders")
def orders() -> None:
    """Orders to partners."""


@orders.command("send")
@with_shop
@with_one
@click.option("--now", "is_now", is_flag=True, help="At once, whatever the hour.")
@says_why
def send(domain: str, partner_domain: str, is_now: bool) -> None:
    """The daily batch for these partners, now. With --now also daily orders and what waits after a failure go at once."""
    shop = find_shop(domain)
    with shop_scope(shop.id):
        chosen = [standing.find(partner_domain)] if partner_domain else standing.everybody()
        ids = [one.id for one in chosen if one.state != LEFT]
        db.session.commit()
    _tell(wiring.send_now(shop.id, ids, NOW if is_now else DAILY))


def _tell(made: list[dict[str, Any]]) -> None:
    for row in made:
        orders_made = f"{row['orders']} {'order' if row['orders'] == 1 else 'orders'} made"
        click.echo(f"partner {row['partner']}: {rules.lines(row['placed'], 'placed', 'placed')}, {orders_made}")
    causes = [row["cause"] for row in made if row["cause"]]
    if causes:
        raise OutsideError("\n".join(causes))


@orders.command("list")
@with_shop
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@says_why
def list_orders(domain: str, as_json: bool) -> None:
    """All partner orders, newest first."""
    with of_shop(domain):
        rows = [_row(one) for one in listing.sums(PartnerOrder.id.is_not(None), 500)]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    for row in rows if not as_json else ():
        click.echo(
            f"{row['name']:20} {row['state']:10} {row['units']:6} units {row['cost']:>10} {row['currency']}  {row['partner']}"
        )


def _row(one: listing.Shown) -> dict[str, Any]:
    order = one.order
    return {
        "name": order.name,
        "partner": one.partner.domain,
        "state": order.state,
        "lines": one.lines,
        "units": one.units,
        "cost": str(one.cost),
        "currency": order.currency,
        "cutoff_at": order.cutoff_at.isoformat(),
        "draft_gid": order.draft_gid,
        "order_gid": order.order_gid,
        "order_name": order.order_name,
        "received": one.received,
        "short": one.short,
        "damaged": one.damaged,
        "cause": order.cause,
    }


@orders.command("show")
@with_shop
@click.argument("name")
@says_why
def show(domain: str, name: str) -> None:
    """One partner order with its lines, as JSON."""
    with of_shop(domain):
        one = listing.one(partner_orders.find(name).id)
        lines = [
            {"sku": each.sku, "name": each.name, "units": each.units, "unit_cost": str(each.unit_cost)}
            for each in listing.variants_of(one.order, one.partner)
        ]
        told = [f"{event.at.isoformat()} {event.words} {event.detail}".strip() for event in listing.history(one.order)]
        click.echo(json.dumps({**_row(one), "variants": lines, "history": told}, indent=2))


@orders.command("close")
@with_shop
@click.argument("name")
@says_why
def close(domain: str, name: str) -> None:
    """Send the order now, ahead of its cutoff."""
    shop = find_shop(domain)
    with shop_scope(shop.id):
        partner_id = partner_orders.find(name).partner_id
        db.session.commit()
    _tell(wiring.send_now(shop.id, [partner_id], CLOSE))


@orders.command("hold")
@with_shop
@click.argument("name")
@says_why
def hold(domain: str, name: str) -> None:
    """Let the order grow for one cutoff more."""
    with of_shop(domain) as shop:
        order = partner_orders.find(name)
        batch.hold(order, order.partner, clock.now(), f"by {ACTOR}")
        tasks.ask("partner_orders", shop.id)


@orders.command("receive")
@with_shop
@click.argument("name")
@click.option("--sku", default="", help="One product: its SKU or barcode. Without it all that is open came well.")
@click.option("--received", default=0, type=click.IntRange(0, 999_999))
@click.option("--short", default=0, type=click.IntRange(0, 999_999))
@click.option("--damaged", default=0, type=click.IntRange(0, 999_999))
@says_why
def receive(domain: str, name: str, sku: str, received: int, short: int, damaged: int) -> None:
    """Book what came of the order."""
    with of_shop(domain):
        order, at = partner_orders.find(name), clock.now()
        if sku:
            counts = {receiving.find_variant(order, sku).id: Count(received, short, damaged)}
        elif received or short or damaged:
            raise RuleError("Give --sku with the counts.")
        else:
            counts = {one.variant.id: Count(one.open) for one in receiving.expected(order)}
        number = receiving.receive(order, counts, actor=ACTOR, today=today(at), at=at)
        click.echo(f"{rules.units(number)} received")


@orders.command("lines")
@with_shop
@click.option("--failed", is_flag=True, help="Those that need somebody.")
@says_why
def lines(domain: str, failed: bool) -> None:
    """Lines on no order yet, with their cause."""
    with of_shop(domain):
        for one in listing.lines_not_on_order(FAILED if failed else PENDING, clock.now(), 10_000):
            click.echo(f"{one.line.id:8} {one.whose:14} {one.line.quantity:5} {one.line.item.sku:30} {one.cause}")


@orders.command("retry")
@with_shop
@click.argument("line_id", type=click.IntRange(1, 2**31 - 1))
@says_why
def retry(domain: str, line_id: int) -> None:
    """Let a line that needs somebody go with the next batch again."""
    with of_shop(domain):
        deciding.retry_one(line_id, clock.now())


@orders.command("statement")
@with_shop
@click.option("--partner", "partner_domain", required=True, help="The partner's *.myshopify.com name.")
@click.option("--since", required=True, help="The first day, such as 2026-11-01.")
@click.option("--until", required=True, help="The last day.")
@says_why
def statement(domain: str, partner_domain: str, since: str, until: str) -> None:
    """What the partner is to be paid for a period, as CSV."""
    with of_shop(domain) as shop:
        found, zone = standing.find(partner_domain), ZoneInfo(settings.get(shop, "time_zone"))
        try:
            first, last = date.fromisoformat(since), date.fromisoformat(until)
        except ValueError:
            raise RuleError("Give days such as 2026-11-01.") from None
        begin, end = (datetime.combine(day, time(0), zone).astimezone(UTC) for day in (first, last + timedelta(days=1)))
        head, rows = statement_rows(listing.statement(found, begin, end))
        writer = csv.writer(sys.stdout)
        writer.writerows([head, *rows])


@orders.command("log")
@with_shop
@says_why
def log(domain: str) -> None:
    """The batches, newest first, with counts, durations and failures."""
    with of_shop(domain):
        for one in listing.batches(200):
            words = f"placed {one.placed}, off {one.taken_off}, failed {one.failed}, ordered {one.orders}"
            click.echo(
                f"{one.started_at.isoformat()} {one.kind:6} {one.partner.name}: {words},"
                f" {one.calls} calls, {one.milliseconds or 0} ms {one.cause or ''}"
            )
