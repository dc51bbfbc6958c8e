"""A partner's products: listed, imported, their stock pulled now."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable
from datetime import timedelta

import click
from sqlalchemy import select

from occ_app import clock
from occ_app.cli.partners import partner
from occ_app.cli.shared import ACTOR, find_shop, of_shop, says_why, with_shop
from occ_app.errors import NotFoundError, RuleError
from occ_app.extensions import db, shop_scope
from occ_app.partners import browsing, catalogue, imports, stock
from occ_app.partners.models import CONNECTED, LEFT, ImportRun, Partner
from occ_app.partners.prices import MARKUP, rule_of

LONGEST = 600.0  # seconds that a command waits for a worker
with_partner = click.option(
    "--partner", "theirs", help="The partner's *.myshopify.com name; needed where there are several."
)


@partner.command("products")
@with_shop
@with_partner
@click.option("--json", "as_json", is_flag=True)
@says_why
def products(domain: str, theirs: str | None, as_json: bool) -> None:
    """What partners sell, with cost, price and margin, per variant."""
    shop_id = find_shop(domain).id
    with of_shop(domain):
        chosen = _partners(theirs)
        unread = [each for each in chosen if each.catalogue_read_at is None and each.state == CONNECTED]
        for each in unread:
            catalogue.want(each, clock.now())
    if unread:
        work_now(shop_id, "partner_catalogue", lambda: catalogue.unfinished(clock.now() + timedelta(minutes=1)))
    with of_shop(domain):
        rows = [row for each in _partners(theirs) for row in browsing.listing(each)]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        title = f"{row['title']}, {row['variant_title']}" if row["variant_title"] else row["title"]
        priced = row["problem"] or f"{row['our_price']} {row['our_currency']}, margin {row['margin_percent']} %"
        theirs_at = f"{row['available']} at {row['price']} {row['currency']}"
        click.echo(f"{row['variant_gid']} {title}: {theirs_at} -> {priced}{' imported' if row['imported'] else ''}")


@partner.command("import")
@with_shop
@with_partner
@click.argument("variants", nargs=-1, required=True, metavar="VARIANT_GID...")
@click.option("--markup", help="Per cent on their price to you; without it the kept rules hold.")
@click.option("--active", is_flag=True, help="On sale at once; without it as draft.")
@says_why
def import_(domain: str, theirs: str | None, variants: tuple[str, ...], markup: str | None, active: bool) -> None:
    """Import these variants of a partner's products, and wait until it is done."""
    shop_id = find_shop(domain).id
    rule = rule_of(MARKUP, markup, "markup") if markup is not None else None
    with of_shop(domain):
        chosen = one_partner(theirs)
        picked = imports.pick_variants(chosen, variants)
        wish = imports.Choices(status="active" if active else "draft", rule=rule)
        run_id = imports.start(chosen, picked, wish, actor=ACTOR, at=clock.now()).id
    work_now(shop_id, "partner_import", lambda: imports.unfinished(clock.now()))
    with of_shop(domain):
        run = db.session.get_one(ImportRun, run_id)
        seen, left_out = imports.progress(run), run.choices["left_out"]
        problems = [*left_out, *imports.failed_of(run)]
        if run.finished_at is None:
            click.echo(f"Imported {seen.imported} of {run.total}. {run.cause or ''} It goes on by itself.")
        else:
            click.echo(f"Imported {seen.imported} of {run.total + len(left_out)}.")
    for title, why in problems:
        click.echo(f"{title}: {why}", err=True)
    if problems:
        sys.exit(1)


@partner.command("sync")
@with_shop
@with_partner
@says_why
def sync(domain: str, theirs: str | None) -> None:
    """Pull the stock of all that was imported, of one partner or of all, and push what it changes."""
    from occ_app.wiring import push_now

    shop_id = find_shop(domain).id
    with of_shop(domain):
        chosen = [each for each in _partners(theirs) if each.state == CONNECTED]
        if not chosen:
            raise RuleError("No partner is connected.")
        since = clock.now()
        ids = [each.id for each in chosen]
        for each in chosen:
            stock.want(each, since)
    work_now(shop_id, "partner_stock", stock.unfinished)
    failed = False
    with shop_scope(shop_id):
        for each in db.session.scalars(select(Partner).where(Partner.id.in_(ids)).order_by(Partner.id)):
            run = next((run for run in stock.runs(each) if run.kind == "stock"), None)
            if run is None:
                click.echo(f"{each.name}: nothing is imported yet")
            elif run.cause:
                failed = True
                click.echo(f"{each.name}: {run.cause}", err=True)
            else:
                click.echo(f"{each.name}: {run.looked_at} read, {run.changed} changed")
    push_now(shop_id)
    if failed:
        sys.exit(1)


def work_now(shop_id: int, kind: str, under_way: Callable[[], object]) -> None:
    """The work is done, here or by the worker that is at it already. Raises RuleError where that takes too long."""
    from occ_app.wiring import partner_work_now

    end = time.monotonic() + LONGEST
    while not partner_work_now(shop_id, kind):
        time.sleep(0.5)
        db.session.rollback()
        with shop_scope(shop_id):
            if not under_way():
                return
        if time.monotonic() > end:
            raise RuleError("It takes long, and goes on in the background. Look again in some minutes.")


def _partners(theirs: str | None) -> Iterable[Partner]:
    query = select(Partner).order_by(Partner.name, Partner.id)
    if theirs:
        return [_find(theirs)]
    found = db.session.scalars(query.where(Partner.state != LEFT)).all()
    if not found:
        raise NotFoundError("There is no partner yet. Invite one with: occ partner invite")
    return found


def one_partner(theirs: str | None) -> Partner:
    found = list(_partners(theirs))
    if len(found) > 1:
        raise RuleError(f"Say which partner, with --partner: {', '.join(each.domain for each in found)}.")
    return found[0]


def _find(theirs: str) -> Partner:
    found = db.session.scalar(select(Partner).where(Partner.domain == theirs.strip().lower()))
    if found is None:
        raise NotFoundError(f"{theirs} is no partner of this shop.")
    return found
