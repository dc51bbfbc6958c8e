"""A shop's settings."""

from __future__ import annotations

import click

from occ_app.cli.shared import occ, of_shop, says_why, with_shop
from occ_app.shops import settings as shop_settings


@occ.group()
def settings() -> None:
    """A shop's settings."""


@settings.command("show")
@with_shop
@says_why
def settings_show(domain: str) -> None:
    """All settings of the shop."""
    with of_shop(domain) as shop:
        for name, value in shop_settings.everything(shop).items():
            click.echo(f"{name} = {value}    # {shop_settings.SETTINGS[name].meaning}")


@settings.command("set")
@with_shop
@click.argument("name")
@click.argument("value")
@says_why
def settings_set(domain: str, name: str, value: str) -> None:
    """Give a setting another value."""
    from occ_app.sync.modes import apply_setting

    with of_shop(domain) as shop:
        apply_setting(shop, name, value)
        said = f"{name} = {shop_settings.get(shop, name)}"
    click.echo(said)
