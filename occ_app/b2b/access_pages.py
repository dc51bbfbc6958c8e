"""API access: tokens, and addresses that notices go to."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, g, request

from occ_app import clock
from occ_app.b2b import notices, tokens
from occ_app.b2b.channel_pages import whole
from occ_app.errors import RuleError
from occ_app.extensions import db
from occ_app.web import page, see_other

blueprint = Blueprint("access", __name__, url_prefix="/settings/api")


@blueprint.get("")
def index() -> Response:
    """Tokens, addresses, notices."""
    return _index()


def _index(status: int = 200, toast: str | None = None, **given: Any) -> Response:
    facts: dict[str, Any] = {
        "tokens": tokens.everyone(),
        "scopes": tokens.SCOPES,
        "kinds": notices.KINDS,
        "now": clock.now(),
    }
    facts |= {"endpoints": notices.endpoints(), "notices": notices.newest(), "message_id": notices.message_id}
    facts |= {"values": {}, "errors": {}, "made": None, "secret": None, "overtaken": notices.OVERTAKEN}
    return page("b2b/access.html", status=status, toast=toast, **(facts | given))


@blueprint.post("/tokens")
def make_token() -> Response:
    """A token, shown once."""
    form = request.form
    values = {
        "name": form.get("name", "")[:200],
        "days": form.get("days", "").strip()[:10],
        "scopes": form.getlist("scopes")[:10],
    }
    try:
        days = whole(values["days"], "days", least=1) if values["days"] else None
        _, plain = tokens.make(values["name"], values["scopes"], days=days, actor=g.user, at=clock.now())
    except RuleError as error:
        db.session.rollback()
        return _index(422, values=values, errors={f"token-{error.field}": str(error)})
    db.session.commit()
    return _index(made=plain)


@blueprint.post("/tokens/<int:token_id>/revoke")
def revoke(token_id: int) -> Response:
    """The token opens nothing any more."""
    tokens.revoke(token_id, clock.now())
    db.session.commit()
    return _index(toast="Revoked")


@blueprint.post("/endpoints")
def add_endpoint() -> Response:
    """Notices go to that address; the secret is shown."""
    values = {"url": request.form.get("url", "").strip()[:600], "kinds": request.form.getlist("kinds")[:10]}
    try:
        _, secret = notices.add_endpoint(values["url"], values["kinds"], at=clock.now())
    except RuleError as error:
        db.session.rollback()
        return _index(422, values=values, errors={f"endpoint-{error.field}": str(error)})
    db.session.commit()
    return _index(secret=secret)


@blueprint.post("/endpoints/<int:endpoint_id>/end")
def end_endpoint(endpoint_id: int) -> Response:
    """Nothing is sent there any more."""
    notices.end(endpoint_id, clock.now())
    db.session.commit()
    return _index(toast="Ended")


@blueprint.post("/notices/<int:notice_id>/replay")
def replay(notice_id: int) -> Response:
    """The notice is sent again."""
    notices.replay(notice_id, clock.now())
    db.session.commit()
    return see_other("/settings/api")
