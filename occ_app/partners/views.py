"""The merchant's pages: partners, their settings, invitations."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, current_app, g, request

from occ_app import clock
from occ_app.config import Config
from occ_app.errors import RuleError
from occ_app.extensions import db
from occ_app.partners import health, invitations, settings, standing, stock, supplies
from occ_app.partners.models import CONNECTED, MERCHANT, Partner
from occ_app.partners.price_views import after_rules
from occ_app.web import page, see_other
from occ_app.work import tasks

blueprint = Blueprint("partners", __name__, url_prefix="/partners")
GROUPS = (
    ("Prices", settings.OF_PRICES),
    ("Stock", ("safety_stock", "untracked_units", "stale_after_minutes", "widen_units", "give_up_hours", "when_gone")),
    (
        "Orders to them",
        (
            "cadence",
            "cutoff_weekday",
            "cutoff_time",
            "time_zone",
            "skip_dates",
            "minimum_units",
            "minimum_value",
            "below_minimum",
            "hold_minutes",
        ),
    ),
    (
        "Imports and later changes",
        (
            "import_status",
            "location",
            "vendor",
            "tags",
            "follow_price",
            "follow_title",
            "follow_images",
            "follow_status",
            "follow_new_variants",
            "follow_deletions",
        ),
    ),
)


def config() -> Config:
    """The app's settings."""
    return current_app.extensions["occ_config"]  # type: ignore[no-any-return]


@blueprint.get("")
def index() -> Response:
    """All partners with their lights, and the open invitations."""
    return _index()


def _index(status: int = 200, **facts: Any) -> Response:
    at = clock.now()
    found = health.of_all(at)
    given = {"error": None, "name": "", "domain": ""} | facts
    return page(
        "partners/partners.html",
        status=status,
        partners=found,
        alarms=[one for one in found if one.light.tone == "critical"],
        invitations=invitations.open_ones(at),
        supplies=supplies.is_supplier(g.shop_id),
        now=at,
        **given,
    )


@blueprint.post("/sync")
def sync_all() -> Response:
    """All that was imported is being read, of every connected partner."""
    for partner in standing.everybody():
        if partner.state == CONNECTED:
            stock.want(partner, clock.now())
    tasks.ask("partner_stock", g.shop_id)
    db.session.commit()
    return see_other("/partners")


@blueprint.post("/invitations")
def invite() -> Response:
    """A new invitation, shown with its link."""
    name, domain = request.form.get("name", ""), request.form.get("domain", "")
    try:
        made = invitations.make(g.shop, name, domain, actor=g.user, at=clock.now())
    except RuleError as error:
        db.session.rollback()
        return _index(422, error=error, name=name[:200], domain=domain[:200])
    db.session.commit()
    return see_other(f"/partners/invitations/{made.id}")


@blueprint.get("/invitations/<int:invitation_id>")
def invitation(invitation_id: int) -> Response:
    """One invitation: the link, its picture, and a message to copy."""
    found = invitations.get(invitation_id)
    url = invitations.link(config(), found)
    facts = {"url": url, "qr": invitations.qr(url), "mail": invitations.mail(g.shop, found, url)}
    return page("partners/invitation.html", invitation=found, state=state_of(found), **facts)


def state_of(found: Any) -> str:
    """open, used, revoked or ended."""
    if found.used_at is not None:
        return "used"
    if found.revoked_at is not None:
        return "revoked"
    return "open" if found.expires_at > clock.now() else "ended"


@blueprint.post("/invitations/<int:invitation_id>/revoke")
def revoke(invitation_id: int) -> Response:
    """The link is no good any more."""
    invitations.revoke(invitations.get(invitation_id), clock.now())
    db.session.commit()
    return see_other("/partners")


@blueprint.post("/<int:partner_id>/<any(pause, resume, remove):verb>")
def change(partner_id: int, verb: str) -> Response:
    """The partner is paused, resumed or removed."""
    partner, at = standing.get(partner_id), clock.now()
    {"pause": standing.pause, "resume": standing.resume, "remove": standing.end}[verb](partner, MERCHANT, at)
    db.session.commit()
    return see_other("/partners" if verb == "remove" else f"/partners/{partner_id}/settings")


@blueprint.post("/<int:partner_id>/reconnect")
def reconnect(partner_id: int) -> Response:
    """An invitation for that partner's store, shown with its link."""
    partner = standing.get(partner_id)
    made = invitations.make(g.shop, partner.name, partner.domain, partner_id=partner.id, actor=g.user, at=clock.now())
    db.session.commit()
    return see_other(f"/partners/invitations/{made.id}")


@blueprint.get("/<int:partner_id>/settings")
def show_settings(partner_id: int) -> Response:
    """One partner: how it does, and its settings."""
    return _settings(standing.get(partner_id))


def _settings(partner: Partner, status: int = 200, toast: str | None = None, **facts: Any) -> Response:
    given = {"error": None, "values": settings.everything(partner)} | facts
    one = next(one for one in health.of_all(clock.now()) if one.partner.id == partner.id)
    return page(
        "partners/settings.html",
        status=status,
        toast=toast,
        one=one,
        groups=GROUPS,
        settings=settings.SETTINGS,
        choices=settings.CHOICES,
        **given,
    )


@blueprint.post("/<int:partner_id>/settings")
def save_settings(partner_id: int) -> Response:
    """The partner's settings are as the form says; all of them or none."""
    partner = standing.get(partner_id)
    before = settings.everything(partner)
    values = before | {name: request.form[name] for name in settings.SETTINGS if name in request.form}
    try:
        standing.rename(partner, request.form.get("name", partner.name))
        standing.set_up(partner, {name: str(values[name]) for name in settings.SETTINGS if name in request.form})
    except RuleError as error:
        db.session.rollback()
        return _settings(standing.get(partner_id), 422, error=error, values=values)
    db.session.commit()
    after = settings.everything(partner)
    if any(after[name] != before[name] for name in settings.OF_PRICES) and (there := after_rules(partner)):
        return see_other(there)
    return _settings(partner, toast="Saved")
