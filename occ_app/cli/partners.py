"""Partners: who they are and how they do, their settings, invitations."""

from __future__ import annotations

import json

import click
from flask import current_app

from occ_app import clock
from occ_app.cli.shared import ACTOR, occ, of_shop, says_why, with_shop
from occ_app.errors import NotFoundError
from occ_app.partners import health, invitations, settings, standing
from occ_app.partners.models import LEFT, MERCHANT

with_partner = click.option("--partner", "partner_domain", required=True, help="The partner's *.myshopify.com name.")


@occ.group()
def partner() -> None:
    """Partner stores."""


@partner.command("list")
@with_shop
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@says_why
def partner_list(domain: str, as_json: bool) -> None:
    """All partners and how they do."""
    with of_shop(domain):
        rows = [
            {
                "domain": one.partner.domain,
                "name": one.partner.name,
                "state": one.partner.state,
                "health": one.light.words,
                "why": one.light.why or None,
                "read_at": one.partner.read_at.isoformat() if one.partner.read_at else None,
                "imported": one.imported,
                "products": one.products,
                "errors": one.errors,
                "pulls": one.pulls,
                "changes_to_look_at": one.pending,
                "next_cutoff": one.next_cutoff.isoformat() if one.next_cutoff else None,
            }
            for one in health.of_all(clock.now())
        ]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    for row in rows if not as_json else ():
        click.echo(
            f"{row['domain']:40} {row['health']:20} read {row['read_at'] or 'never'}, {row['imported']} of {row['products']} imported"
        )


@partner.command("invite")
@with_shop
@click.option("--partner", "partner_domain", default="", help="Only this store may use the link.")
@click.option("--name", default="", help="Whom it is for.")
@click.option("--days", default=invitations.LIFE_DAYS, show_default=True, help="How long the link is good.")
@says_why
def partner_invite(domain: str, partner_domain: str, name: str, days: int) -> None:
    """Print a link that makes its reader a partner."""
    with of_shop(domain) as shop:
        made = invitations.make(shop, name, partner_domain, days=days, actor=ACTOR, at=clock.now())
        click.echo(invitations.link(current_app.extensions["occ_config"], made))


@partner.command("set")
@with_shop
@click.option("--partner", "partner_domain", default="", help="This partner alone; without it all of them.")
@click.argument("name")
@click.argument("value")
@says_why
def partner_set(domain: str, partner_domain: str, name: str, value: str) -> None:
    """Give a setting of the partner, or of all partners, another value: of all of them or of none."""
    with of_shop(domain):
        domains = [partner_domain] if partner_domain else [p.domain for p in standing.everybody() if p.state != LEFT]
        if not domains:
            raise NotFoundError("There is no partner yet. Invite one with: occ partner invite")
        chosen = [standing.find(each) for each in domains]
        for each in chosen:
            standing.set_up(each, {name: value})
        said = [f"{each.name}: {name} = {settings.get(each, name)}" for each in chosen]
    click.echo("\n".join(said))


@partner.command("pause")
@with_shop
@with_partner
@says_why
def partner_pause(domain: str, partner_domain: str) -> None:
    """Sell nothing of the partner until it is resumed."""
    with of_shop(domain):
        standing.pause(standing.find(partner_domain), MERCHANT, clock.now())


@partner.command("resume")
@with_shop
@with_partner
@says_why
def partner_resume(domain: str, partner_domain: str) -> None:
    """Sell the partner's goods again."""
    with of_shop(domain):
        standing.resume(standing.find(partner_domain), MERCHANT, clock.now())


@partner.command("remove")
@with_shop
@with_partner
@says_why
def partner_remove(domain: str, partner_domain: str) -> None:
    """End the partnership; its goods are no longer sold."""
    with of_shop(domain):
        standing.end(standing.find(partner_domain), MERCHANT, clock.now())
