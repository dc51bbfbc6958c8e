"""Settings, Connection: the doctor's checks as a block of the page, and the button that mends webhooks."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, g

from occ_app import clock
from occ_app.desk import doctor, news
from occ_app.extensions import db
from occ_app.shops.connection import Connections
from occ_app.web import page

blueprint = Blueprint("connection", __name__, url_prefix="/settings/connection")


@blueprint.get("")
def show() -> Response:
    """Every check with its light and its remedy, fresh."""
    return _page()


@blueprint.post("/webhooks")
def mend_webhooks() -> Response:
    """What is missing is subscribed, what comes twice is not any more; each step is told."""
    steps = news.mend(_connections().client(g.shop), g.shop, clock.now())
    return _page(steps or ["Nothing was to be repaired."])


def _page(steps: list[str] | None = None) -> Response:
    checks = doctor.examine(_connections(), g.shop, clock.now())
    answer = page("desk/connection.html", "desk/_connection.html", checks=checks, steps=steps or [])
    db.session.rollback()
    return answer


def _connections() -> Connections:
    return current_app.extensions["occ_connections"]  # type: ignore[no-any-return]
