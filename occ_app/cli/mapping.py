"""Items put away, mappings, and the variants of Shopify."""

from __future__ import annotations

from collections.abc import Sequence

import click
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from occ_app import clock
from occ_app.catalog import archiving, pull
from occ_app.catalog import mapping as mappings
from occ_app.catalog.models import Item, Location, Mapping, Variant
from occ_app.cli.shared import occ, of_shop, says_why, with_item, with_shop
from occ_app.errors import NotFoundError, RuleError
from occ_app.extensions import db
from occ_app.work import tasks

AS_THE_SHOP = "shop"
with_variant = click.option("--variant", "gid", help="Its id in Shopify, where the item sells as several.")
with_location = click.option("--location", "place", help="Name or id, where it sells at several.")


@occ.group()
def mapping() -> None:
    """Mappings: which variant sells which item, and where."""


@mapping.command("end")
@with_shop
@with_item
@with_variant
@with_location
@says_why
def mapping_end(domain: str, sku: str, gid: str | None, place: str | None) -> None:
    """The variant no longer sells the item. Shopify's number stays as it is."""
    with of_shop(domain):
        found = _living(sku, gid, place)
        if len(found) > 1:
            said = "; ".join(f"--variant {m.variant.variant_gid} --location '{m.location.name}'" for m in found[:20])
            raise RuleError(f"{sku} has {len(found)} mappings. Say which one: {said}.")
        title, at = found[0].variant.full_title, found[0].location.name
        mappings.end(found[0], clock.now())
    click.echo(f"{title} no longer sells {sku} at {at}")


@mapping.command("drift-rule")
@with_shop
@with_item
@with_variant
@with_location
@click.argument("rule", type=click.Choice([*mappings.DRIFT_RULES, AS_THE_SHOP]))
@says_why
def mapping_drift_rule(domain: str, sku: str, gid: str | None, place: str | None, rule: str) -> None:
    """What is done when Shopify's number changed by itself: RULE, or as the shop's setting says. For all mappings of the item that fit."""
    with of_shop(domain):
        found = [one.id for one in _living(sku, gid, place)]
        mappings.set_drift_rule(found, None if rule == AS_THE_SHOP else rule)
    click.echo(f"Set for {len(found)} {'mapping' if len(found) == 1 else 'mappings'}")


def _living(sku: str, gid: str | None, place: str | None) -> Sequence[Mapping]:
    """The item's living mappings that fit, at least one. Raises NotFoundError."""
    query = select(Mapping).join(Item, Item.id == Mapping.item_id).where(Item.sku == sku, Mapping.ended_at.is_(None))
    if gid is not None:
        query = query.join(Variant, Variant.id == Mapping.variant_id).where(Variant.variant_gid == gid)
    if place is not None:
        at = (Location.name == place) | (Location.location_gid == place)
        query = query.join(Location, Location.id == Mapping.location_id).where(at)
    loaded = (joinedload(Mapping.item), joinedload(Mapping.variant), joinedload(Mapping.location))
    found = db.session.scalars(query.options(*loaded).order_by(Mapping.id)).all()
    if not found:
        raise NotFoundError(
            f"There is no such mapping of {sku}. occ stock show --item {sku} --json lists its mappings."
        )
    return found


@occ.group()
def variants() -> None:
    """The variants of Shopify."""


@variants.command("pull")
@with_shop
@says_why
def variants_pull(domain: str) -> None:
    """All variants are pulled anew; a worker does it."""
    with of_shop(domain) as shop:
        pull.start(clock.now())
        tasks.ask("variants", shop.id)
    click.echo("All variants are pulled anew.")


@occ.group()
def item() -> None:
    """Items."""


@item.command("archive")
@with_shop
@with_item
@says_why
def item_archive(domain: str, sku: str) -> None:
    """Put an item away: it stands in no list. Refused while it is mapped or anything still needs it."""
    with of_shop(domain):
        archiving.archive(_item(sku), clock.now())
    click.echo(f"Archived {sku}")


@item.command("restore")
@with_shop
@with_item
@says_why
def item_restore(domain: str, sku: str) -> None:
    """The item stands in the lists again."""
    with of_shop(domain):
        archiving.restore(_item(sku))
    click.echo(f"Restored {sku}")


def _item(sku: str) -> Item:
    found = db.session.scalar(select(Item).where(Item.sku == sku))
    if found is None:
        raise NotFoundError(f"There is no item {sku}.")
    return found
