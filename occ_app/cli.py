"""The commands of `occ`, as contract.md gives them. Each calls the same function as the page does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import wraps
from pathlib import Path
from typing import Any

import click
from flask import current_app
from flask.cli import AppGroup, FlaskGroup
from flask_migrate import upgrade

from occ_app import clock
from occ_app.desk import doctor
from occ_app.desk.parked import parked
from occ_app.errors import BadFileError, NotFoundError, OccError, RuleError
from occ_app.extensions import across_shops, db, shop_scope
from occ_app.shops import install
from occ_app.shops import settings as shop_settings
from occ_app.shops.models import Shop
from occ_app.stock import ledger, lots
from occ_app.sync import explain, files, link, settle
from occ_app.sync.models import SyncException, SyncState
from occ_app.web import MOST_ID
from occ_app.work import runner

ACTOR = "command line"
occ = AppGroup("occ", help="The OCC Inventory Hub.")
with_shop = click.option("--shop", "domain", required=True, help="The shop's *.myshopify.com name.")


def main() -> None:
    """The console script `occ`: the group's commands, without `flask` in front. Exit 0 done, 1 no, 2 wrong usage."""
    from occ_app import create_app

    group = FlaskGroup(add_default_commands=False, create_app=create_app, name="occ", help=occ.help)
    try:
        group.main(prog_name="occ")
    except OccError as error:
        click.echo(f"occ: {error}", err=True)
        sys.exit(1)


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
    for name, value in given.items():
        if isinstance(value, str) and ("\x00" in value or not _is_text(value)):
            raise RuleError(f"{name} holds a zero byte, or bytes that are not UTF-8. Type it anew.")


def _is_text(value: str) -> bool:
    """Bytes of a command line that are no text come as lone surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in value)


@contextmanager
def of_shop(domain: str) -> Iterator[Shop]:
    """The block works for that shop; what it did is committed at its end. Raises NotFoundError."""
    shop = _find_shop(domain)
    with shop_scope(shop.id):
        yield shop
        db.session.commit()


def _find_shop(domain: str) -> Shop:
    shop = install.find(domain.strip().lower())
    if shop is None:
        raise NotFoundError(f"There is no shop {domain}. It is here once somebody opened the app in its admin.")
    return shop


@occ.command()
def migrate() -> None:
    """Bring the database to the newest schema."""
    upgrade()


@occ.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True)
@click.option("--workers", default=2, show_default=True)
@click.option("--no-worker", is_flag=True, help="Without the worker process beside it.")
def serve(host: str, port: int, workers: int, no_worker: bool) -> None:
    """Serve the app in production, with one worker beside it."""
    server = [sys.executable, "-m", "granian", "--interface", "wsgi", "--host", host, "--port", str(port)]
    server += [
        "--workers",
        str(workers),
        "--blocking-threads",
        "16",
        "--backpressure",
        "64",
        "--no-ws",
        "--log-level",
        "warning",
        "wsgi:app",
    ]
    here = str(Path(__file__).resolve().parent.parent)
    commands = [server] if no_worker else [server, [sys.executable, "-m", "occ_app.cli", "worker"]]
    children = [subprocess.Popen(command, cwd=here) for command in commands]  # noqa: S603 - our own programs

    def stop(*_: Any) -> None:
        for child in children:
            child.terminate()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    sys.exit(max(_wait(children, stop)))


def _wait(children: list[subprocess.Popen[bytes]], stop: Callable[..., None]) -> list[int]:
    """When one of them ends, the others are told to; their exit codes (0 for an end by our signal)."""
    import time

    while all(child.poll() is None for child in children):
        time.sleep(0.2)
    stop()
    return [0 if code in (0, -signal.SIGTERM, -signal.SIGINT) else 1 for code in (child.wait() for child in children)]


@occ.command()
def worker() -> None:
    """Do background work, beside any number of others."""
    runner.work(current_app._get_current_object())  # type: ignore[attr-defined]


@occ.group()
def work() -> None:
    """What is due."""


@work.command()
@click.option("--seconds", default=60.0, show_default=True)
def drain(seconds: float) -> None:
    """Do all that is due now, follow-ups included. Exit 1 when something is parked or time runs out."""
    from occ_app.wiring import sweep

    with across_shops():
        sweep()
        db.session.commit()
    left = runner.drain(current_app._get_current_object(), seconds)  # type: ignore[attr-defined]
    with across_shops():
        left += [str(one) for one in parked()]
    for line in left:
        click.echo(line)
    sys.exit(1 if left else 0)


@work.command()
def status() -> None:
    """What waits, runs and is parked, per task and shop."""
    with across_shops():
        domains = {shop.id: shop.domain for shop in db.session.scalars(db.select(Shop))}
        for row in runner.waiting():
            state = {"todo": "due", "doing": "running"}[row.state]
            click.echo(f"{state:8} {row.task:12} {domains.get(row.shop_id, row.shop_id)} {row.number}")
        for failure in runner.failures():
            kind = "parked" if failure.tries >= runner.PARKED_FROM else "failed"
            click.echo(
                f"{kind:8} {failure.task:12} {domains.get(failure.shop_id, failure.shop_id)} {failure.tries} tries: {failure.cause}"
            )
        for one in parked():
            click.echo(f"parked   {one.kind:12} {one.domain} {one.name}: {one.cause}")


@occ.command()
@with_shop
@says_why
def reconcile(domain: str) -> None:
    """One full reconciliation now. Exit 1 with the cause where it could not be done."""
    from occ_app.wiring import reconcile_now

    reconcile_now(_find_shop(domain).id)


@occ.command("doctor")
@with_shop
@click.option("--json", "as_json", is_flag=True)
@says_why
def examine(domain: str, as_json: bool) -> None:
    """Check the shop's connection, change nothing. Exit 1 when anything is bad."""
    with of_shop(domain) as shop:
        checks = doctor.examine(current_app.extensions["occ_connections"], shop, clock.now())
    if as_json:
        click.echo(json.dumps([asdict(check) for check in checks], indent=2))
    else:
        for check in checks:
            click.echo(f"{check.state:4}  {check.name:11}  {check.says}  {check.remedy}".rstrip())
    sys.exit(1 if doctor.is_bad(checks) else 0)


@occ.group()
def stock() -> None:
    """The books."""


@stock.command()
@click.option("--shop", "domain")
@says_why
def audit(domain: str | None) -> None:
    """Recompute all balances from the moves. Exit 1 on any difference."""
    with across_shops():
        found = ledger.audit(_find_shop(domain).id if domain else None)
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
            f"{row['item_sku']}: sellable {row['sellable']} ({terms}), target {row['target']}, expected {row['expected']}, {row['state']}"
        )


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


@occ.group()
def lot() -> None:
    """Lots."""


@lot.command("move")
@with_shop
@click.argument("lot_number")
@click.option("--to", "place", required=True)
@click.option("--quantity", type=int)
@says_why
def lot_move(domain: str, lot_number: str, place: str, quantity: int | None) -> None:
    """Release, hold, review, package or scrap a lot, or a part of it."""
    with of_shop(domain):
        found = lots.find(lot_number)
        if found is None:
            raise NotFoundError(f"There is no lot {lot_number}.")
        moved = lots.move(found, place, quantity, actor=ACTOR, at=clock.now())
    click.echo(f"Moved {moved} to {place}")


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


@occ.command("import")
@click.argument("kind", type=click.Choice(list(files.KINDS)))
@click.argument("file", type=click.File("rb"))
@with_shop
@click.option("--dry-run", is_flag=True)
@says_why
def take_in(kind: str, file: Any, domain: str, dry_run: bool) -> None:
    """Take a CSV file in: all of it or nothing."""
    with of_shop(domain):
        taken = files.KINDS[kind].take(file.read(), ACTOR, clock.now())
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


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    main()
