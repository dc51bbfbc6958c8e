"""How all items are planned unless they say otherwise: settings, mails, events; and the reading of past orders."""

from __future__ import annotations

from flask import Blueprint, Response, g, request
from sqlalchemy import select

from occ_app import clock
from occ_app.catalog.models import Item
from occ_app.errors import RuleError
from occ_app.extensions import db
from occ_app.planning import history, item_rules, mail, mails, overview, replan
from occ_app.planning.models import PlanEvent, PlanMail
from occ_app.production import forms
from occ_app.shops import settings
from occ_app.web import page, see_other
from occ_app.work import tasks

blueprint = Blueprint("planning_settings", __name__)
SETTINGS = (
    "plan_service_level",
    "plan_lead_days",
    "plan_review_days",
    "plan_cover_days",
    "digest_to",
    "digest_hour",
    "sold_out_mail",
)


@blueprint.get("/planning/settings")
def plan_settings() -> Response:
    """How all items are planned unless they say otherwise, events, and who gets mail."""
    return _settings()


def _settings(
    errors: dict[str | None, str] | None = None, status: int = 200, toast: str | None = None, **typed: str
) -> Response:
    newest = select(PlanMail).order_by(PlanMail.id.desc()).limit(5)
    events = select(PlanEvent).where(PlanEvent.item_id.is_(None)).order_by(PlanEvent.since.desc()).limit(50)
    return page(
        "planning/settings.html",
        status=status,
        toast=toast,
        values={name: settings.get(g.shop, name) for name in SETTINGS} | typed,
        event={name: request.form.get(name, "")[:200] for name in ("name", "since", "until", "factor")},
        errors=errors or {},
        events=db.session.scalars(events).all(),
        mails=db.session.scalars(newest).all(),
        mail_is_on=mail.is_on(),
        today=overview.today(),
        pull=history.newest(),
    )


@blueprint.post("/planning/settings")
def save_settings() -> Response:
    """The settings have these values, and all items are replanned by them."""
    given = {name: request.form[name][:2600] for name in SETTINGS if name in request.form}
    try:
        for name, text in given.items():
            settings.put(g.shop, name, text)
    except RuleError as error:
        db.session.rollback()
        return _settings({error.field: str(error).split(": ", 1)[-1]}, 422, **given)
    row = replan.state()
    row.replanned_on = None
    tasks.ask("replan", g.shop_id)
    db.session.commit()
    return see_other("/planning/settings")


@blueprint.post("/planning/settings/test-mail")
def test_mail() -> Response:
    """A test mail goes to everybody who gets the digest."""
    try:
        row = mails.write_test(g.shop, clock.now())
        db.session.commit()
        mails.send_now(row, clock.now())
        db.session.commit()
    except RuleError as error:
        db.session.commit()
        return _settings({error.field or "test_mail": str(error)}, 422)
    return _settings(toast=f"Sent to {', '.join(row.recipients)}")


@blueprint.post("/planning/events")
def add_event() -> Response:
    """An event that multiplies the demand of all items."""
    try:
        event_from_form(None)
    except RuleError as error:
        db.session.rollback()
        return _settings({error.field: str(error)}, 422)
    _replan_all()
    return see_other("/planning/settings")


def event_from_form(item: Item | None) -> PlanEvent:
    """The event that the form names."""
    values = forms.values_of(request.form, "name", "since", "until", "factor")
    since, until = forms.day(values, "since"), forms.day(values, "until")
    return item_rules.add_event(item, values["name"], since, until, values["factor"], at=clock.now())


@blueprint.post("/planning/events/<int:event_id>/remove")
def remove_event(event_id: int) -> Response:
    """An event is not reckoned with any more."""
    row = item_rules.remove_event(event_id)
    if row.item_id is None:
        _replan_all()
        return see_other("/planning/settings")
    replan.items([row.item_id], clock.now())
    db.session.commit()
    return see_other(f"/planning/items/{row.item_id}")


def _replan_all() -> None:
    replan.state().replanned_on = None
    tasks.ask("replan", g.shop_id)
    db.session.commit()


# Past orders -----------------------------------------------------------------------------------------------------------------------


@blueprint.get("/planning/history")
def read_history() -> Response:
    """How far the reading of past orders is."""
    return page("planning/_history.html", pull=history.newest())


@blueprint.post("/planning/history")
def start_history() -> Response:
    """Past orders are read again."""
    history.start(clock.now())
    tasks.ask("past_sales", g.shop_id)
    db.session.commit()
    return see_other("/planning")
