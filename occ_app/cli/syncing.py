"""First links, approvals, exceptions."""

from __future__ import annotations

import json

import click

from occ_app import clock
from occ_app.catalog.models import Item
from occ_app.cli.shared import ACTOR, occ, of_shop, says_why, with_item, with_shop
from occ_app.errors import NotFoundError, RuleError
from occ_app.extensions import db
from occ_app.shops import settings
from occ_app.sync import approvals as queue_of
from occ_app.sync import link, modes, queue, settle, undo
from occ_app.sync.models import MANUAL, UNDO, SyncException
from occ_app.web import MOST_ID


@occ.command("link")
@with_shop
@with_item
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
        names = sorted({state.mapping.location.name for state in chosen})
    right = "Our number" if choice == "hub" else "Shopify's number"
    click.echo(f"{right} will hold for {sku} at {', '.join(names)}.")
    click.echo(
        "The link has not ended yet: the worker ends it, within seconds; `occ work drain` does so now.", err=True
    )


@occ.group()
def approvals() -> None:
    """Numbers that wait for a person."""


@approvals.command("list")
@with_shop
@click.option("--json", "as_json", is_flag=True)
@says_why
def approvals_list(domain: str, as_json: bool) -> None:
    """Numbers that wait, by the id to approve or reject them by, with why they changed."""
    with of_shop(domain):
        rows = queue.rows(queue_of.waiting())
    if as_json:
        facts = [
            {
                "id": row.approval.id,
                "item_sku": row.item.sku,
                "kind": row.approval.kind,
                "calculated": row.ours,
                "shopify": row.shopify,
                "change": row.change,
                "why": list(row.why),
                "asked_at": row.approval.asked_at.isoformat(),
            }
            for row in rows
        ]
        click.echo(json.dumps(facts, indent=2))
        return
    if not rows:
        click.echo("Nothing waits for approval.", err=True)
    for row in rows:
        kind = {MANUAL: "manual approval", UNDO: "taken back"}.get(row.approval.kind, queue_of.TOO_BIG)
        click.echo(
            f"{row.approval.id} {row.item.sku}: {row.shopify} -> {row.ours} ({row.change:+d})  {kind}  {'; '.join(row.why)}"
        )


@approvals.command("approve")
@with_shop
@click.argument("ids", type=int, nargs=-1)
@click.option("--all", "everything", is_flag=True)
@says_why
def approvals_approve(domain: str, ids: tuple[int, ...], everything: bool) -> None:
    """Push these calculated numbers."""
    with of_shop(domain):
        outcome = queue_of.approve(_chosen(ids, everything), actor=ACTOR, at=clock.now())
    _tell("Approved", outcome)


@approvals.command("reject")
@with_shop
@click.argument("ids", type=int, nargs=-1)
@click.option("--all", "everything", is_flag=True)
@click.option("--reason", default="rejected on the command line", show_default=True)
@says_why
def approvals_reject(domain: str, ids: tuple[int, ...], everything: bool, reason: str) -> None:
    """Leave Shopify's numbers as they are, until ours change again."""
    with of_shop(domain):
        outcome = queue_of.reject(_chosen(ids, everything), reason=reason, actor=ACTOR, at=clock.now())
    _tell("Rejected", outcome)


def _chosen(ids: tuple[int, ...], everything: bool) -> list[int]:
    waiting = [row.id for row in queue_of.waiting()]
    if (everything and not waiting) or (not everything and (not ids or not any(given in waiting for given in ids))):
        raise RuleError(f"Give ids of numbers that wait for approval: {', '.join(map(str, waiting)) or 'none waits'}.")
    return waiting if everything else [given for given in ids if given <= MOST_ID]


def _tell(done: str, outcome: queue_of.Outcome | undo.Outcome) -> None:
    click.echo(f"{done} {outcome.done}")
    for words in outcome.left_out:
        click.echo(f"Left out: {words}", err=True)


@occ.group("push")
def pushes() -> None:
    """What was sent to Shopify."""


@pushes.command("undo")
@with_shop
@click.argument("run", type=click.IntRange(1, MOST_ID))
@says_why
def push_undo(domain: str, run: int) -> None:
    """Take a push run back: what it raised falls by as much, and is held until you approve it."""
    with of_shop(domain):
        outcome = undo.ask(undo.lines_of(run), actor=ACTOR, at=clock.now())
    _tell("Taking back", outcome)


@occ.group()
def mode() -> None:
    """Sync modes of the shop and of items."""


@mode.command("preview")
@with_shop
@click.argument("name", type=click.Choice([*settings.MODES, "shop"]))
@click.option("--item", "sku", help="Only this item; `shop` asks what following the shop's mode would change.")
@says_why
def mode_preview(domain: str, name: str, sku: str | None) -> None:
    """All numbers before and after, biggest change first. Nothing is saved."""
    with of_shop(domain):
        preview = modes.what_would_change(_mode(name, sku), _item(sku).id if sku else None)
        for change in preview.changes:
            because = ", ".join(f"{term.quantity:+d} {term.name}" for term in change.because)
            click.echo(f"{change.mapping.item.sku}: {change.now} -> {change.then} ({change.by:+d})  {because}")
    guarded = f", {preview.guarded} over the guard" if preview.guarded else ""
    click.echo(
        f"{len(preview.changes)} of {preview.looked_at} numbers: {preview.rise} units more, {preview.fall} fewer{guarded}"
    )


@mode.command("set")
@with_shop
@click.argument("name", type=click.Choice([*settings.MODES, "shop"]))
@click.option("--item", "sku", help="Only this item; `shop` takes its own mode away.")
@says_why
def mode_set(domain: str, name: str, sku: str | None) -> None:
    """The shop, or one item, counts by this mode from now on."""
    with of_shop(domain) as shop:
        if sku:
            modes.set_mode_of_item(_item(sku), _mode(name, sku))
        else:
            modes.apply_setting(shop, "sync_mode", _mode(name, sku) or "")


def _mode(name: str, sku: str | None) -> str | None:
    if name == "shop" and not sku:
        raise RuleError("Give --item: only an item can follow the shop.")
    return None if name == "shop" else name


def _item(sku: str) -> Item:
    item = db.session.scalar(db.select(Item).where(Item.sku == sku))
    if item is None:
        raise NotFoundError(f"There is no item {sku}.")
    return item


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
    if not rows:
        click.echo("Nothing has to be decided.", err=True)
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
