"""The partner's own pages inside its admin: whom it supplies, what each of them sees, and invitations that wait for its yes."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, g, request

from occ_app import clock
from occ_app.catalog import pull
from occ_app.config import Config
from occ_app.errors import RuleError
from occ_app.extensions import db
from occ_app.partners import invitations, joining, supplies
from occ_app.partners.invitations import Invited
from occ_app.partners.join_views import RIGHTS
from occ_app.shopify import grant
from occ_app.shops.models import Shop
from occ_app.web import page, see_other

blueprint = Blueprint("supplies", __name__, url_prefix="/supplies")
_VERBS = {"pause": supplies.pause, "resume": supplies.resume, "leave": supplies.leave}


@blueprint.get("")
def index() -> Response:
    """Whom the store supplies, and who asks to be supplied."""
    return _index()


def _index(status: int = 200, error: RuleError | None = None, given: str = "", toast: str | None = None) -> Response:
    return page(
        "partners/supplies.html",
        status=status,
        toast=toast,
        supplies=supplies.all_of(g.shop_id),
        waiting=joining.waiting_for(g.shop_domain, clock.now()),
        locations=[place for place in pull.locations() if place.is_active],
        error=error,
        given=given,
    )


@blueprint.post("/<int:partner_id>/<any(pause, resume, leave):verb>")
def change(partner_id: int, verb: str) -> Response:
    """The store pauses, resumes or ends supplying that merchant."""
    _VERBS[verb](g.shop_id, partner_id, clock.now())
    db.session.commit()
    return see_other("/supplies")


@blueprint.post("/<int:partner_id>/locations")
def share(partner_id: int) -> Response:
    """That merchant sees the stock of the chosen locations."""
    try:
        supplies.share(g.shop_id, partner_id, request.form.getlist("location"), clock.now())
    except RuleError as error:
        db.session.rollback()
        return _index(422, error=error)
    db.session.commit()
    return _index(toast="Saved")


@blueprint.post("/read")
def read_link() -> Response:
    """The link of an invitation was pasted: it is shown, to say yes or no to."""
    given = request.form.get("link", "").strip()[:2000]
    try:
        token = given.rstrip("/").rsplit("/", 1)[-1]
        invited = invitations.read(_config(), token, clock.now())
        joining.check_store(invited, g.shop_domain)
    except RuleError as error:
        db.session.rollback()
        return _index(422, error=RuleError(str(error), field="link"), given=given)
    return _accept(invited, token)


def _accept(invited: Invited, token: str, status: int = 200) -> Response:
    """The invitation with what it asks for, and what of that the store has not given."""
    missing = joining.missing_of(db.session.get_one(Shop, g.shop_id))
    return page(
        "partners/accept.html",
        status=status,
        token=token,
        invited=invited,
        rights=RIGHTS,
        missing=[RIGHTS[scope] for scope in missing],
        allow=grant.install_url(_config(), g.shop_domain),
    )


@blueprint.post("/accept")
def accept() -> Response:
    """The store supplies whoever invited it."""
    at = clock.now()
    invited = _invited(request.form.get("token", ""), request.form.get("invitation", ""))
    try:
        joining.accept(invited, db.session.get_one(Shop, g.shop_id), at)
    except joining.MissingScopesError:
        db.session.rollback()
        invited = _invited(request.form.get("token", ""), request.form.get("invitation", ""))
        return _accept(invited, request.form.get("token", ""), 422)
    db.session.commit()
    return see_other("/supplies")


def _invited(token: str, number: str) -> Invited:
    """By the link's token; or, of those that are bound to this store, by its number."""
    if token:
        return invitations.read(_config(), token, clock.now())
    for invited in joining.waiting_for(g.shop_domain, clock.now()):
        if str(invited.invitation.id) == number:
            return invited
    raise RuleError("This invitation cannot be used any more. Load the page again.")


def _config() -> Config:
    return current_app.extensions["occ_config"]  # type: ignore[no-any-return]
