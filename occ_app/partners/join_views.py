"""Pages outside of the admin: the invitation that a business opens, and the way back from Shopify."""

from __future__ import annotations

import hashlib
import hmac

import structlog
from flask import Blueprint, Response, current_app, g, render_template, request

from occ_app import clock
from occ_app.config import Config
from occ_app.errors import OutsideError, RuleError
from occ_app.extensions import db
from occ_app.partners import invitations, joining
from occ_app.partners.invitations import EndedInvitationError, Invited
from occ_app.shopify import grant

log = structlog.get_logger()
blueprint = Blueprint("join", __name__)
COOKIE, SEEN = "occ_join", "occ_seen"  # who went to Shopify; that the page of this link was seen in this browser
LOOK_FIRST = "This is who asks, and for what. If you agree, go on."
RIGHTS = {
    "read_products": "See your products, pictures and prices",
    "read_inventory": "See how many you have of each",
    "read_locations": "See the names of your locations",
    "write_draft_orders": "Put their order to you among your draft orders, and make it an order at the cutoff",
    "read_orders": "See whether that order was sent; no other order is read",
}


@blueprint.before_request
def prepare() -> None:
    """Forms of these pages lead to Shopify; what they hold is nobody else's."""
    config = _config()
    g.form_targets = f" https://*.myshopify.com https://admin.shopify.com {config.standin_url or ''}".rstrip()


@blueprint.after_request
def keep_private(response: Response) -> Response:
    """The address holds the secret: it is neither stored nor told to anybody."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _config() -> Config:
    return current_app.extensions["occ_config"]  # type: ignore[no-any-return]


@blueprint.get("/partners/join/<token>")
def join(token: str) -> Response:
    """Who asks, for which rights, and what happens."""
    try:
        return _seen(token, _ask(token, invitations.read(_config(), token, clock.now())))
    except EndedInvitationError as error:
        return _message(410, "This invitation cannot be used", str(error))


def _seen(token: str, response: Response) -> Response:
    """The browser can show that it saw the page of this link. It does so in requests from our own pages alone: `Strict`."""
    secure = _config().app_url.startswith("https://")
    response.set_cookie(SEEN, _mark(token), path="/partners/join", httponly=True, secure=secure, samesite="Strict")
    return response


def _mark(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()[:32]


def _ask(token: str, invited: Invited, error: RuleError | None = None, given: str = "") -> Response:
    facts = {"token": token, "invitation": invited.invitation, "merchant": invited.merchant, "rights": RIGHTS}
    body = render_template(
        "partners/join.html",
        way=_config().partner_link,
        error=error,
        given=given,
        initials=initials(invited.merchant.name or invited.merchant.domain),
        **facts,
    )
    return Response(body, 422 if error else 200)


def initials(name: str) -> str:
    """Two letters that stand for a business."""
    words = [word for word in name.replace("&", " ").replace("-", " ").split() if word[0].isalnum()]
    return "".join(word[0] for word in words[:2]).upper() or "?"


@blueprint.post("/partners/join/<token>/start")
def start(token: str) -> Response:
    """The browser goes to Shopify, which asks its owner.

    Of a store that has us already Shopify may ask nothing, so a form on somebody else's page must not get here: the owner sees ours first.
    """
    config, at, given = _config(), clock.now(), request.form.get("shop", "")[:300].replace("\x00", "")
    try:
        invited = invitations.read(config, token, at)
        if not hmac.compare_digest(request.cookies.get(SEEN, "").encode(), _mark(token).encode()):
            return _seen(token, _ask(token, invited, RuleError(LOOK_FIRST), given))
        if config.partner_link == "install":
            url = joining.begin_install(config, invited, given, at)
            db.session.commit()
            return Response("", 303, {"Location": url})
        way = joining.begin(config, invited, given, at)
    except EndedInvitationError as error:
        return _message(410, "This invitation cannot be used", str(error))
    except RuleError as error:
        db.session.rollback()
        return _ask(token, invited, error, given)
    db.session.commit()
    response = Response("", 303, {"Location": way.url})
    response.set_cookie(
        COOKIE,
        way.browser,
        max_age=int(grant.LONGEST.total_seconds()),
        path="/auth",
        httponly=True,
        secure=config.app_url.startswith("https://"),
        samesite="Lax",
    )
    return response


@blueprint.get(grant.CALLBACK_PATH)
def callback() -> Response:
    """The browser comes back from Shopify: the business is a partner, or is told why not."""
    config, at = _config(), clock.now()
    pairs = list(request.args.items(multi=True))
    found = grant.check(config, pairs)
    try:
        partner, merchant = joining.finish(
            current_app.extensions["occ_connections"],
            found,
            request.cookies.get(COOKIE, ""),
            current_app.extensions["occ_after_install"],
            at,
        )
    except joining.MissingScopesError as error:
        db.session.rollback()
        rights = [RIGHTS[scope] for scope in error.missing]
        return _done(_message(403, "Some access was not given", str(error), rights))
    except RuleError as error:
        db.session.rollback()
        return _done(_message(400, "Nothing was connected", str(error)))
    except OutsideError as error:
        db.session.rollback()
        log.warning("join failed", cause=str(error))
        words = "Shopify did not give us the access that you allowed. Open the link from your message once more."
        return _done(_message(502, "Nothing was connected", words))
    db.session.commit()
    there = grant.admin_url(config, partner.domain, "/supplies")
    body = render_template("partners/joined.html", merchant=merchant, partner=partner, there=there)
    return _done(Response(body))


def _done(response: Response) -> Response:
    response.delete_cookie(COOKIE, path="/auth")
    return response


def _message(status: int, title: str, message: str, points: list[str] | None = None) -> Response:
    return Response(
        render_template("partners/join_message.html", title=title, message=message, points=points or []), status
    )
