"""Prices of goods that were imported already: compared with the rules, and set by them."""

from __future__ import annotations

import json

import click

from occ_app import clock
from occ_app.cli.partner_goods import one_partner, with_partner, work_now
from occ_app.cli.partners import partner
from occ_app.cli.shared import ACTOR, find_shop, of_shop, says_why, with_shop
from occ_app.errors import RuleError
from occ_app.partners import repricing
from occ_app.partners.models import Partner


@partner.command("prices")
@with_shop
@with_partner
@click.option("--json", "as_json", is_flag=True)
@says_why
def prices(domain: str, theirs: str | None, as_json: bool) -> None:
    """List imported goods whose price is other than the rules say."""
    with of_shop(domain):
        found = repricing.preview(one_partner(theirs))
    if as_json:
        click.echo(json.dumps([_as_json(row) for row in found.rows], indent=2))
        return
    for row in found.rows:
        beside = (
            f", compare at {row.compare_at_now or None} -> {row.new.compare_at}" if row.has_other_compare_at else ""
        )
        click.echo(
            f"{row.variant_gid} {row.title}: {row.now} -> {row.new.problem or row.new.price}{beside}{', set by hand' if row.is_by_hand else ''}"
        )
    click.echo(f"{len(found.rows)} of {found.compared} differ.", err=True)


def _as_json(row: repricing.Repriced) -> dict[str, str | bool | None]:
    money = {"price": row.now, "cost": row.cost_now, "price_by_rule": row.new.price, "cost_by_rule": row.new.cost}
    money |= {"compare_at": row.compare_at_now or None, "compare_at_by_rule": row.new.compare_at}
    texts = {name: None if value is None else format(value, "f") for name, value in money.items()}
    return {
        "our_variant_gid": row.variant_gid,
        "title": row.title,
        **texts,
        "set_by_hand": row.is_by_hand,
        "problem": row.new.problem,
    }


@partner.command("reprice")
@with_shop
@with_partner
@click.argument("variants", nargs=-1, metavar="[VARIANT_GID...]")
@click.option("--all", "is_all", is_flag=True, help="All that differ and can be set, but those set by hand.")
@says_why
def reprice(domain: str, theirs: str | None, variants: tuple[str, ...], is_all: bool) -> None:
    """Give imported goods (ids of your own variants) the price that the rules say, and wait until Shopify has it."""
    if is_all == bool(variants):
        raise RuleError("Give the ids of your variants, or --all.")
    shop_id = find_shop(domain).id
    with of_shop(domain):
        chosen = one_partner(theirs)
        ids = None if is_all else _ids(chosen, variants)
        number = repricing.choose(chosen, ids, actor=ACTOR, at=clock.now())
    work_now(shop_id, "partner_changes", lambda: repricing.waiting(one_partner(theirs)))
    with of_shop(domain):
        left = repricing.waiting(one_partner(theirs))
    click.echo(f"Set {number - left} of {number}.{' The rest goes on by itself.' if left else ''}")


def _ids(chosen: Partner, variants: tuple[str, ...]) -> list[int]:
    by_gid = {row.variant_gid: row.id for row in repricing.preview(chosen).rows}
    unknown = [gid for gid in variants if gid not in by_gid]
    if unknown:
        raise RuleError(f"{', '.join(unknown[:5])} is priced as the rules say already, or is not {chosen.name}'s.")
    return [by_gid[gid] for gid in variants]
