"""The books and lots."""

from __future__ import annotations

import json
import sys

import click

from occ_app.cli.shared import find_shop, occ, of_shop, says_why, with_shop
from occ_app.errors import NotFoundError
from occ_app.extensions import across_shops
from occ_app.stock import ledger
from occ_app.sync import explain


@occ.group()
def stock() -> None:
    """The books."""


@stock.command()
@click.option("--shop", "domain")
@says_why
def audit(domain: str | None) -> None:
    """Recompute all balances from the moves. Exit 1 on any difference."""
    with across_shops():
        found = ledger.audit(find_shop(domain).id if domain else None)
    for row in found:
        click.echo(
            f"shop {row.shop_id} item {row.item_id} lot {row.lot_id} {row.place}: balance {row.balance}, moves {row.moves}",
            err=True,
        )
    if found:
        sys.exit(1)
    click.echo("Every balance is the sum of its moves.")


@stock.command("show")
@with_shop
@click.option("--item", "sku")
@click.option("--json", "as_json", is_flag=True)
@says_why
def stock_show(domain: str, sku: str | None, as_json: bool) -> None:
    """Sellable, target, expected, last reading, drift and the terms, per mapping."""
    with of_shop(domain):
        rows = explain.show(sku)
    if sku and not rows:
        raise NotFoundError(f"There is no item {sku}.")
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        terms = " ".join(f"{term['quantity']:+d} {term['name']}" for term in row["terms"])
        click.echo(
            f"{row['item_sku']}: sellable {row['sellable']} ({terms}), target {row['target']}, expected {row['expected']}, {row['state']},"
            f" b2b {row['b2b_stock']}, b2c {row['b2c_stock']}"
        )
