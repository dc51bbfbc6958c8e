"""Running the app: schema, server, worker, what is due, checks."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click
from flask import current_app
from flask_migrate import upgrade

from occ_app import clock
from occ_app.cli import children
from occ_app.cli.shared import find_shop, occ, of_shop, says_why, with_shop
from occ_app.desk import doctor
from occ_app.desk.parked import parked
from occ_app.extensions import across_shops, db
from occ_app.shops.models import Shop
from occ_app.work import runner


@occ.command()
def migrate() -> None:
    """Bring the database to the newest schema."""
    upgrade()


@occ.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65_535))
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1, 256))
@click.option("--no-worker", is_flag=True, help="Without the worker process beside it.")
def serve(host: str, port: int, workers: int, no_worker: bool) -> None:
    """Serve the app in production, with one worker beside it, which is started again if it dies."""
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
    here = str(Path(__file__).resolve().parent.parent.parent)
    sys.exit(children.run(server, None if no_worker else [sys.executable, "-m", "occ_app.cli", "worker"], here))


@occ.command()
def worker() -> None:
    """Do background work, beside any number of others."""
    runner.work(current_app._get_current_object())  # type: ignore[attr-defined]


@occ.group()
def work() -> None:
    """What is due."""


@work.command()
@click.option("--seconds", default=60.0, show_default=True, type=click.FloatRange(0, 86_400))
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
    lines = []
    with across_shops():
        domains = {shop.id: shop.domain for shop in db.session.scalars(db.select(Shop))}
        for row in runner.waiting():
            state = {"todo": "due", "doing": "running"}[row.state]
            lines.append(f"{state:8} {row.task:12} {domains.get(row.shop_id, row.shop_id)} {row.number}")
        for failure in runner.failures():
            kind = "parked" if failure.tries >= runner.PARKED_FROM else "failed"
            domain = domains.get(failure.shop_id, failure.shop_id)
            lines.append(f"{kind:8} {failure.task:12} {domain} {failure.tries} tries: {failure.cause}")
        lines += [f"parked   {one.kind:12} {one.domain} {one.name}: {one.cause}" for one in parked()]
    for line in lines:
        click.echo(line)
    if not lines:
        click.echo("Nothing is due, running or parked.", err=True)


@occ.command()
@with_shop
@says_why
def reconcile(domain: str) -> None:
    """One full reconciliation now. Exit 1 with the cause where it could not be done."""
    from occ_app.wiring import reconcile_now

    reconcile_now(find_shop(domain).id)
    click.echo("Compared with Shopify, and sent what was due.")


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
