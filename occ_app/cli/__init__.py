"""The commands of `occ`. Each calls the same function as the page does."""

from __future__ import annotations

import sys
from typing import NoReturn

import click
from flask.cli import FlaskGroup
from psycopg.errors import UndefinedColumn, UndefinedTable
from sqlalchemy.exc import OperationalError, ProgrammingError

from occ_app.cli import (
    channels,
    lots,
    mapping,
    operating,
    partner_goods,
    partner_orders,
    partner_prices,
    partners,
    planning,
    production,
    settings,
    sheets,
    stock,
    syncing,
    tracing,
    wholesale,
)
from occ_app.cli.shared import occ
from occ_app.errors import OccError

__all__ = [
    "channels",
    "lots",
    "main",
    "mapping",
    "occ",
    "operating",
    "partner_goods",
    "partner_orders",
    "partner_prices",
    "partners",
    "planning",
    "production",
    "settings",
    "sheets",
    "stock",
    "syncing",
    "tracing",
    "wholesale",
]


def main() -> None:
    """The console script `occ`: the group's commands, without `flask` in front. Exit 0 done, 1 no, 2 wrong usage."""
    from occ_app import create_app

    group = FlaskGroup(add_default_commands=False, create_app=create_app, name="occ", help=occ.help)
    try:
        group.main(prog_name="occ")
    except OccError as error:
        _end(str(error))
    except ProgrammingError as error:
        if not isinstance(error.orig, UndefinedTable | UndefinedColumn):
            raise
        _end("the database has not all tables yet. Run `occ migrate` first.")
    except OperationalError as error:
        reason = str(error.orig).strip().splitlines()[0]
        _end(f"the database does not answer ({reason}). Is it running, and is DATABASE_URL right?")


def _end(why: str) -> NoReturn:
    click.echo(f"occ: {why}", err=True)
    sys.exit(1)
