"""What every command needs: the group, the shop, and how a refusal is told."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import click
from flask.cli import AppGroup

from occ_app.errors import BadFileError, NotFoundError, OccError, RuleError
from occ_app.extensions import db, shop_scope
from occ_app.shops import install
from occ_app.shops.models import Shop

ACTOR = "command line"
occ = AppGroup("occ", help="The OCC Inventory Hub.")
with_shop = click.option("--shop", "domain", required=True, help="The shop's *.myshopify.com name.")
with_item = click.option("--item", "sku", required=True, help="Its SKU.")


def says_why(function: Callable[..., Any]) -> Callable[..., Any]:
    """What a rule or the data refuses goes to stderr, with exit 1, and nothing is half done."""

    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            _check_text(kwargs)
            return function(*args, **kwargs)
        except BadFileError as error:
            db.session.rollback()
            for line in error.lines:
                click.echo(f"line {line.number}: {line.reason}", err=True)
        except OccError as error:
            db.session.rollback()
            click.echo(str(error), err=True)
        sys.exit(1)

    return run


def _check_text(given: dict[str, Any]) -> None:
    pairs = [(name, one) for name, value in given.items() for one in (value if isinstance(value, tuple) else (value,))]
    for name, value in pairs:
        if isinstance(value, str) and ("\x00" in value or not _is_text(value)):
            raise RuleError(f"{name} holds a zero byte, or bytes that are not UTF-8. Type it anew.")


def _is_text(value: str) -> bool:
    """Bytes of a command line that are no text come as lone surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in value)


@contextmanager
def of_shop(domain: str) -> Iterator[Shop]:
    """The block works for that shop; what it did is committed at its end. Raises NotFoundError."""
    shop = find_shop(domain)
    with shop_scope(shop.id):
        yield shop
        db.session.commit()


def find_shop(domain: str) -> Shop:
    shop = install.find(domain.strip().lower())
    if shop is None:
        raise NotFoundError(f"There is no shop {domain}. It is here once somebody opened the app in its admin.")
    return shop
