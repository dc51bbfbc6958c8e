"""First links, approvals, exceptions."""

from __future__ import annotations

import json

import click

from occ_app import clock
from occ_app.cli.shared import ACTOR, occ, of_shop, says_why, with_shop
from occ_app.errors import NotFoundError, RuleError
from occ_app.extensions import db
from occ_app.sync import link, settle
from occ_app.sync.models import SyncException, SyncState
from occ_app.web import MOST_ID


@occ.command("link")
@with_shop
@click.option("--item", "sku", required=True)
@click.option("--variant", "gid")
@click.argument("choice", type=click.Choice(link.CHOICES))
@says_why
def end_link(domain: str, sku: str, gid: str | None, choice: str) -> None:
    """End a first link: hub sets Shopify to our number, shopify takes theirs."""
    from occ_app.sync.readings import living_states

    with of_shop(domain):
        waiting = [s for s in living_states() if s.mapping.item.sku == sku and s.expected is None]
        chosen = [s for s in waiting if gid in (None, s.mapping.variant.variant_gid)]
        if not chosen:
            raise RuleError(f"No mapping of {sku} waits for its first link.")
        for state in chosen:
            link.choose(state, choice, clock.now())


@occ.group()
def approvals() -> None:
    """Numbers that wait for a person."""


@approvals.command("list")
@with_shop
@says_why
def approvals_list(domain: str) -> None:
    """Mappings that wait for approval, by id."""
    with of_shop(domain):
        for state in _waiting_for_approval():
            click.echo(
                f"{state.mapping_id} {state.mapping.item.sku}: {state.expected} -> {max(0, state.target)}  {state.cause or 'manual approval'}"
            )


@approvals.command("approve")
@with_shop
@click.argument("ids", type=int, nargs=-1)
@click.option("--all", "everything", is_flag=True)
@says_why
def approvals_approve(domain: str, ids: tuple[int, ...], everything: bool) -> None:
    """Push the calculated numbers of these mappings."""
    from occ_app.sync.modes import approve

    with of_shop(domain):
        for state in _chosen(ids, everything):
            approve(state, actor=ACTOR, at=clock.now())


@approvals.command("reject")
@with_shop
@click.argument("ids", type=int, nargs=-1)
@click.option("--all", "everything", is_flag=True)
@says_why
def approvals_reject(domain: str, ids: tuple[int, ...], everything: bool) -> None:
    """Leave Shopify's numbers of these mappings as they are, until ours change again."""
    from occ_app.sync.modes import reject

    with of_shop(domain):
        for state in _chosen(ids, everything):
            reject(state, actor=ACTOR, at=clock.now())


def _waiting_for_approval() -> list[SyncState]:
    from occ_app.sync.models import AWAITING_APPROVAL
    from occ_app.sync.readings import living_states

    return [state for state in living_states() if state.state == AWAITING_APPROVAL]


def _chosen(ids: tuple[int, ...], everything: bool) -> list[SyncState]:
    waiting = _waiting_for_approval()
    if everything:
        return waiting
    missing = set(ids) - {state.mapping_id for state in waiting}
    if missing or not ids:
        raise RuleError(
            f"Give ids of mappings that wait for approval: {', '.join(str(s.mapping_id) for s in waiting) or 'none waits'}."
        )
    return [state for state in waiting if state.mapping_id in ids]


@occ.group()
def exceptions() -> None:
    """What a person must decide."""


@exceptions.command("list")
@with_shop
@click.option("--json", "as_json", is_flag=True)
@says_why
def exceptions_list(domain: str, as_json: bool) -> None:
    """Open exceptions with their remedies."""
    with of_shop(domain):
        query = db.select(SyncException).where(SyncException.settled_at.is_(None)).order_by(SyncException.id)
        rows = [
            {
                "id": e.id,
                "kind": e.kind,
                "subject": e.subject,
                "facts": e.facts,
                "since": e.raised_at.isoformat(),
                "remedies": list(settle.REMEDIES.get(e.kind, ())),
            }
            for e in db.session.scalars(query)
        ]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        click.echo(
            f"{row['id']} {row['kind']} {row['subject']} {json.dumps(row['facts'])} remedies: {', '.join(row['remedies']) or 'none'}"
        )


@exceptions.command("settle")
@with_shop
@click.argument("exception_id", type=int)
@click.argument("remedy")
@says_why
def exceptions_settle(domain: str, exception_id: int, remedy: str) -> None:
    """Settle an exception by one of its remedies."""
    if exception_id > MOST_ID:
        raise NotFoundError(f"There is no exception {exception_id} here.")
    with of_shop(domain):
        outcome = settle.settle(exception_id, remedy, actor=ACTOR, at=clock.now())
    click.echo(outcome.sentence)
