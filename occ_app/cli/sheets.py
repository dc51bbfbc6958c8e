"""CSV files in and out."""

from __future__ import annotations

from typing import Any

import click

from occ_app import clock
from occ_app.b2b import sheets as _wholesale  # noqa: F401 - its kind of file is among the others from here on
from occ_app.catalog.sheets import MOST_BYTES
from occ_app.cli.shared import ACTOR, occ, of_shop, says_why, with_shop
from occ_app.extensions import db
from occ_app.sync import files


@occ.command("import")
@click.argument("kind", type=click.Choice(list(files.KINDS)))
@click.argument("file", type=click.File("rb"))
@with_shop
@click.option("--dry-run", is_flag=True)
@says_why
def take_in(kind: str, file: Any, domain: str, dry_run: bool) -> None:
    """Take a CSV file in: all of it or nothing."""
    with of_shop(domain):
        taken = files.KINDS[kind].take(file.read(MOST_BYTES + 1), ACTOR, clock.now())
        if dry_run:
            db.session.rollback()
    click.echo(f"{'Would take' if dry_run else 'Took'} {taken} {kind}")


@occ.command("export")
@click.argument("kind", type=click.Choice(list(files.KINDS)))
@with_shop
@says_why
def put_out(kind: str, domain: str) -> None:
    """Print a CSV file."""
    with of_shop(domain):
        click.echo(files.KINDS[kind].give(), nl=False)
