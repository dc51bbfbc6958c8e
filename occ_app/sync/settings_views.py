"""The shop's settings."""

from __future__ import annotations

from flask import Blueprint, Response, g, request

from occ_app.catalog import pull
from occ_app.errors import RuleError
from occ_app.extensions import db
from occ_app.shops import settings
from occ_app.sync import modes
from occ_app.web import page, see_other

blueprint = Blueprint("settings", __name__)


@blueprint.get("/settings")
def shop_settings() -> Response:
    """The shop's settings."""
    return page("sync/settings.html", values=settings.everything(g.shop), locations=pull.locations(), errors={})


def _given(name: str) -> str:
    """What the form says of a setting; several values of one name are a list with commas."""
    return ",".join(request.form.getlist(name)[:20])[:200]


@blueprint.post("/settings")
def save_settings() -> Response:
    """The settings have these values; one that cannot be is named beside its field, and nothing is saved."""
    names = [name for name in settings.SETTINGS if name in request.form and name != "sync_mode"]
    try:
        for name in names:
            modes.apply_setting(g.shop, name, _given(name))
    except RuleError as error:
        db.session.rollback()
        values = settings.everything(g.shop) | {name: _given(name) for name in names}
        return page(
            "sync/settings.html",
            status=422,
            values=values,
            locations=pull.locations(),
            errors={error.field: str(error)},
        )
    db.session.commit()
    return see_other("/settings")
