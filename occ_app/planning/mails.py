"""Mails: a digest at the shop's hour when something changed, and word at once when something sells out. A row before a mail."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta

from flask import current_app
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from occ_app import clock
from occ_app.config import Config
from occ_app.errors import OutsideError, RuleError
from occ_app.extensions import db
from occ_app.planning import mail, words
from occ_app.planning.models import DIGEST, OPEN, SOLD_OUT, TEST, ItemPlan, PlanMail, PlanState, Suggestion
from occ_app.planning.supply import Supply
from occ_app.shops import settings
from occ_app.shops.models import Shop
from occ_app.work import tasks

MOST_TRIES = 6
MOST_LINES = 30
KEPT = timedelta(days=90)
TEST_EVERY = timedelta(minutes=1)


def recipients(shop: Shop) -> list[str]:
    """Who gets mails; nobody where there is no mail server."""
    given = settings.get(shop, "digest_to")
    return given.split(",") if given and mail.is_on() else []


def tell_sold_out(plan: ItemPlan, of: Supply, shop: Shop, at: datetime) -> None:
    """A mail that the item has just sold out is on its way, unless nobody wants it."""
    to = recipients(shop)
    if not to or settings.get(shop, "sold_out_mail") != "yes":
        return
    coming = "\n".join(words.arrivals(of, clock.local_date(at, settings.get(shop, "time_zone"))))
    body = (
        f"{plan.item.name} ({plan.item.sku}) is sold out. {coming or 'Nothing of it is on its way.'}\n\n{_link(shop)}\n"
    )
    _add(SOLD_OUT, f"Sold out: {plan.item.name}", body, to, shop, at, plan.item_id)


def _add(
    kind: str, subject: str, body: str, to: list[str], shop: Shop, at: datetime, item_id: int | None = None
) -> None:
    subject = " ".join(subject.split())[:200]
    db.session.add(
        PlanMail(kind=kind, item_id=item_id, recipients=to, subject=subject, body=body, created_at=at, next_try_at=at)
    )
    tasks.ask("digest", shop.id)


def _link(shop: Shop) -> str:
    config: Config = current_app.extensions["occ_config"]
    return f"https://{shop.domain}/admin/apps/{config.api_key}/planning"


def is_digest_due(shop: Shop, row: PlanState | None, at: datetime) -> bool:
    """Whether the shop's hour has come and the day's digest has not been looked at."""
    if not settings.get(shop, "digest_to") or not mail.is_on():
        return False
    here = words.local(at, settings.get(shop, "time_zone"))
    is_done = row is not None and row.digest_on == here.date()
    return not is_done and here.hour >= settings.get(shop, "digest_hour")


def write_digest(shop: Shop, row: PlanState, at: datetime) -> bool:
    """The day's digest is on its way. False where it would say what the last one said: then nobody is disturbed."""
    today = words.local(at, settings.get(shop, "time_zone")).date()
    row.digest_on = today
    found = open_suggestions(today)
    if not _is_news(_told(row), found):
        return False
    row.digest_said = json.dumps({str(each.item_id): _gist(each) for each in found})
    shown = [f"- {words.line(each, shop.currency, today)}" for each in found[:MOST_LINES]]
    more = [f"... and {len(found) - MOST_LINES} more."] if len(found) > MOST_LINES else []
    head = (
        f"{len(found)} to make or order next, most money lost per day first:" if found else "Nothing to make or order."
    )
    body = "\n".join([head, "", *shown, *more, "", _link(shop), ""])
    _add(DIGEST, f"{shop.name or shop.domain}: {len(found)} to make or order next", body, recipients(shop), shop, at)
    return True


def write_test(shop: Shop, at: datetime) -> PlanMail:
    """A test mail to everybody who gets mails is ready; `send_now` sends it. Raises RuleError where none can go, or one has just gone."""
    if not mail.is_on():
        raise RuleError("No mail can go out: the app has no mail server. Whoever runs it sets SMTP_URL and MAIL_FROM.")
    to = recipients(shop)
    if not to:
        raise RuleError("Nobody gets mails yet. Give an address under Who gets it, and save.", field="digest_to")
    recent = select(PlanMail.id).where(PlanMail.kind == TEST, PlanMail.created_at > at - TEST_EVERY)
    if db.session.scalar(recent.limit(1)) is not None:
        raise RuleError("A test mail went out within the last minute. Look there first, also among unwanted mail.")
    hour = settings.get(shop, "digest_hour")
    body = (
        "This is a test: mails about what to make or order next reach you.\n\n"
        f"The digest comes after {hour}:00, on days when something has changed.\n\n{_link(shop)}\n"
    )
    row = PlanMail(kind=TEST, recipients=to, subject=f"Test from {shop.name or shop.domain}", body=body, created_at=at)
    row.next_try_at = row.given_up_at = at  # nobody tries it again: whoever asked is told at once
    db.session.add(row)
    db.session.flush()
    return row


def send_now(row: PlanMail, at: datetime) -> None:
    """The mail has gone out. Raises RuleError with what the mail server said; the row keeps it. The caller has committed before, and commits."""
    try:
        mail.send(row.recipients, row.subject, row.body)
    except OutsideError as error:
        row.cause = str(error)
        raise RuleError(f"{error} Whoever runs the app checks SMTP_URL and MAIL_FROM.") from error
    row.sent_at, row.given_up_at = at, None


def _gist(row: Suggestion) -> list[int]:
    """What makes a suggestion another one, not that it is a day later: whether the item is sold out, and how many."""
    return [int(row.facts["stock"] <= 0), row.quantity]


def _told(row: PlanState) -> dict[str, list[int]]:
    """What the last digest said, by item; nothing where there was none, or one of a time when only a hash of it was kept."""
    kept = row.digest_said or ""
    return json.loads(kept) if kept.startswith("{") else {}


def _is_news(told: dict[str, list[int]], found: list[Suggestion]) -> bool:
    """Whether a suggestion is new or gone, an item is sold out or no longer, or a number is another by more than a making and a tenth."""
    if {str(row.item_id) for row in found} != set(told):
        return True
    return any(_differs(row, *told[str(row.item_id)]) for row in found)


def _differs(row: Suggestion, was_out: int, quantity: int) -> bool:
    is_out, now = _gist(row)
    return is_out != was_out or abs(now - quantity) > max(row.facts["yield"] or 1, quantity / 10)


def open_suggestions(today: date) -> list[Suggestion]:
    """Suggestions that ask for something now, most money lost per day first."""
    query = select(Suggestion).where(Suggestion.state == OPEN, Suggestion.ended_at.is_(None))
    query = query.where(Suggestion.snoozed_until.is_(None) | (Suggestion.snoozed_until <= today))
    order = (Suggestion.loss.desc().nulls_last(), Suggestion.act_by, Suggestion.id)
    return list(db.session.scalars(query.options(joinedload(Suggestion.item)).order_by(*order)))


def send_due(at: datetime) -> int:
    """Every mail that is due has been sent, or waits with its cause; after some tries it is given up. Commits one by one."""
    due = select(PlanMail.id).where(
        PlanMail.sent_at.is_(None), PlanMail.given_up_at.is_(None), PlanMail.next_try_at <= at
    )
    sent = 0
    for mail_id in list(db.session.scalars(due.order_by(PlanMail.id).limit(200))):
        row = db.session.get_one(PlanMail, mail_id)
        try:
            mail.send(row.recipients, row.subject, row.body)
        except OutsideError as error:
            row.tries, row.cause = row.tries + 1, str(error)
            row.next_try_at = at + timedelta(minutes=2**row.tries)
            row.given_up_at = at if row.tries >= MOST_TRIES else None
        else:
            row.sent_at, row.cause = at, None
            sent += 1
        db.session.commit()
    return sent
