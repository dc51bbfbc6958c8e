"""Planning: what to make next, its actions, item rules, events, the buy list."""

from __future__ import annotations

import csv
import json
import sys
from datetime import date, datetime, timedelta
from typing import Any

import click
from sqlalchemy import select

from occ_app import clock
from occ_app.catalog.models import Item
from occ_app.cli.shared import ACTOR, occ, of_shop, says_why, with_item, with_shop
from occ_app.errors import NotFoundError, RuleError
from occ_app.extensions import db
from occ_app.planning import buying, history, item_rules, mails, overview, purchases, replan, suggestions, views, words
from occ_app.production import units
from occ_app.production.formulas import unit_of
from occ_app.work import tasks

DAY = click.DateTime(["%Y-%m-%d"])


@occ.group()
def plan() -> None:
    """What to make, buy or order next, and why."""


@plan.command("show")
@with_shop
@click.option("--item", "sku", help="One item's plan.")
@click.option("--json", "as_json", is_flag=True)
@says_why
def show(domain: str, sku: str | None, as_json: bool) -> None:
    """Suggestions, most money lost per day first; or one item's plan."""
    with of_shop(domain):
        replan.catch_up(clock.now())
        found: Any = _item(sku) if sku else [_suggestion(row) for row in overview.current("open", overview.today())]
    if as_json:
        click.echo(json.dumps(found, indent=2, default=str))
        return
    for row in [found] if sku else found:
        click.echo("  ".join(f"{name}: {value}" for name, value in row.items() if value not in (None, "", [])))
    if not found:
        click.echo("Nothing to make next.")


def _suggestion(row: Any) -> dict[str, Any]:
    on = overview.today()
    return {
        "item_sku": row.item.sku,
        "quantity": row.quantity,
        "act_by": row.act_by,
        "gone_on": row.gone_on,
        "loss_per_day": row.loss,
        "trigger": row.trigger,
        "why": " ".join(words.why(row, on)),
    }


def _item(sku: str) -> dict[str, Any]:
    view = overview.one(item_rules.find(sku))
    row = view.plan
    names = ("method", "mase", "error", "naive_error", "days_known", "point", "stock", "coming", "cover", "gone_on")
    return {"item_sku": view.item.sku, "daily": round(view.seen.daily, 3)} | {n: getattr(row, n) for n in names}


@plan.command("replan")
@with_shop
@says_why
def replan_now(domain: str) -> None:
    """Replan all items now."""
    with of_shop(domain):
        done = replan.replan_all(clock.now())
    click.echo(f"Replanned {done} items")


@plan.command("read-history")
@with_shop
@says_why
def read_history(domain: str) -> None:
    """Read past orders from Shopify again, in the background."""
    with of_shop(domain) as shop:
        history.start(clock.now())
        tasks.ask("past_sales", shop.id)
    click.echo("Past orders are being read")


@plan.command("test-mail")
@with_shop
@says_why
def test_mail(domain: str) -> None:
    """Send a test mail to everybody who gets the digest."""
    with of_shop(domain) as shop:
        row = mails.write_test(shop, clock.now())
        db.session.commit()
        mails.send_now(row, clock.now())
        said = f"Sent to {', '.join(row.recipients)}"
    click.echo(said)


@plan.command("draft")
@with_shop
@with_item
@click.option("--quantity", type=int, help="In whole makings; as suggested if not given.")
@says_why
def draft(domain: str, sku: str, quantity: int | None) -> None:
    """Draft the suggested run."""
    with of_shop(domain):
        row = suggestions.find(sku)
        run = suggestions.draft(row, quantity, today=overview.today(), actor=ACTOR, at=clock.now())
        replan.items([row.item_id], clock.now())
        said = f"Drafted run {run.number}: {run.planned_quantity} of {sku} on {run.planned_on}"
    click.echo(said)


@plan.command("order")
@with_shop
@with_item
@click.option("--quantity", type=int, help="As suggested if not given.")
@says_why
def order(domain: str, sku: str, quantity: int | None) -> None:
    """Put the suggested goods on their partner's order."""
    with of_shop(domain):
        row = suggestions.find(sku)
        made = suggestions.order(row, quantity, today=overview.today(), actor=ACTOR, at=clock.now())
        replan.items([row.item_id], clock.now())
        said = f"Ordered {made.quantity} of {sku}, due {made.due_on}"
    click.echo(said)


@plan.command("snooze")
@with_shop
@with_item
@click.option("--until", "until", type=DAY, required=True)
@says_why
def snooze(domain: str, sku: str, until: datetime) -> None:
    """Hide a suggestion until a day."""
    with of_shop(domain):
        row = suggestions.find(sku)
        suggestions.snooze(row, until.date(), today=overview.today(), actor=ACTOR, at=clock.now())
    click.echo(f"Snoozed {sku} until {until.date()}")


@plan.command("dismiss")
@with_shop
@with_item
@click.option("--reason", required=True)
@says_why
def dismiss(domain: str, sku: str, reason: str) -> None:
    """Hide a suggestion until it was untrue once."""
    with of_shop(domain):
        suggestions.dismiss(suggestions.find(sku), reason, actor=ACTOR, at=clock.now())
    click.echo(f"Dismissed {sku}")


@plan.command("back")
@with_shop
@with_item
@says_why
def back(domain: str, sku: str) -> None:
    """Show a snoozed or dismissed suggestion again."""
    with of_shop(domain):
        suggestions.bring_back(suggestions.find(sku), actor=ACTOR, at=clock.now())
    click.echo(f"{sku} is shown again")


@plan.command("set")
@with_shop
@with_item
@click.argument("name", type=click.Choice([*item_rules.NAMES, "is_planned"]))
@click.argument("value")
@says_why
def set_(domain: str, sku: str, name: str, value: str) -> None:
    """Set how an item is planned; an empty VALUE means the shop's rule, or none."""
    with of_shop(domain):
        row = item_rules.find(sku)
        item_rules.apply(row, {name: value})
        replan.items([row.item_id], clock.now())
    click.echo(f"{sku}: {name} = {value or 'none'}")


@plan.command("event")
@with_shop
@click.option("--item", "sku", help="All items if not given.")
@click.option("--name", "name", required=True)
@click.option("--since", type=DAY, required=True)
@click.option("--until", type=DAY)
@click.option("--factor", required=True, help="How many times the usual.")
@says_why
def event(domain: str, sku: str | None, name: str, since: datetime, until: datetime | None, factor: str) -> None:
    """Demand is so many times the usual on some days."""
    with of_shop(domain):
        item = item_rules.find(sku).item if sku else None
        last = until.date() if until else None
        item_rules.add_event(item, name, since.date(), last, factor, at=clock.now())
        replan.replan_all(clock.now())
    click.echo(f"{name} x {factor} from {since.date()}")


@plan.command("no-stock")
@with_shop
@with_item
@click.option("--since", type=DAY, required=True)
@click.option("--until", type=DAY)
@says_why
def no_stock(domain: str, sku: str, since: datetime, until: datetime | None) -> None:
    """On past days there was nothing to sell; they do not count as no demand."""
    with of_shop(domain):
        row = item_rules.find(sku)
        item_rules.mark_out(row, since.date(), until.date() if until else None, overview.today())
        replan.items([row.item_id], clock.now())
    click.echo(f"{sku}: no stock from {since.date()}")


@plan.command("buy-list")
@with_shop
@says_why
def buy_list(domain: str) -> None:
    """Print the buy list as CSV."""
    out = csv.writer(sys.stdout, lineterminator="\r\n")
    with of_shop(domain):
        out.writerow(views.CSV_HEAD)
        for supplier, needs in buying.material_plan(overview.today()).suppliers():
            out.writerows(views.csv_row(supplier, need) for need in needs)


@plan.command("bought")
@with_shop
@click.argument("code")
@click.argument("quantity")
@click.option("--due", type=DAY, help="After its lead time if not given.")
@click.option("--supplier", default="")
@says_why
def bought(domain: str, code: str, quantity: str, due: datetime | None, supplier: str) -> None:
    """Note that an ingredient, or a partner's goods, were ordered."""
    with of_shop(domain):
        item = db.session.scalar(select(Item).where(Item.sku == code))
        if item is None:
            raise NotFoundError(f"There is no item {code}.")
        on = overview.today()
        due_on: date = due.date() if due else on + timedelta(days=item.lead_time_days or 0)
        amount = units.parse(quantity, unit_of(item), least=1)
        made = purchases.add(item, amount, supplier, due_on, today=on, actor=ACTOR, at=clock.now())
        replan.note([item.id], clock.now())
        number = made.id
    click.echo(f"Purchase {number}: {quantity} of {code}, due {due_on}")


@plan.command("arrived")
@with_shop
@click.argument("purchase_id", type=int)
@says_why
def arrived(domain: str, purchase_id: int) -> None:
    """Expect no more of a purchase."""
    with of_shop(domain):
        if not 0 < purchase_id < 2**31:
            raise RuleError("There is no such purchase here.")
        row = purchases.close(purchase_id, actor=ACTOR, at=clock.now())
        replan.note([row.item_id], clock.now())
    click.echo(f"Closed purchase {purchase_id}")
