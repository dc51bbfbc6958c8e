"""What makes a partner's prices, and what waits for the merchant: changes there, rules of types, goods priced otherwise than the rules say."""

from __future__ import annotations

from flask import Blueprint, Response, g, request

from occ_app import clock
from occ_app.errors import RuleError
from occ_app.extensions import db
from occ_app.partners import browsing, following, price_rules, repricing, standing
from occ_app.partners.browse_views import KIND_WORDS
from occ_app.partners.models import Partner
from occ_app.partners.price_rules import Prices
from occ_app.partners.prices import rule_of
from occ_app.web import page, row_id, see_other
from occ_app.work import tasks

blueprint = Blueprint("partner_prices", __name__, url_prefix="/partners/<int:partner_id>")
MOST_PICKED = 500


@blueprint.get("/changes")
def changes(partner_id: int) -> Response:
    """What changed at the partner and waits for the merchant."""
    return _changes(standing.get(partner_id))


def _changes(partner: Partner, status: int = 200, refusal: str = "") -> Response:
    rows = following.pending(partner)
    facts = {"partner": partner, "rows": rows, "prices": Prices(partner), "refusal": refusal}
    return page("partners/changes.html", status=status, shown=following.shown_now(rows), picked=_picked("c"), **facts)


def _picked(name: str) -> list[int]:
    """The ids whose boxes are ticked."""
    return [number for number in map(row_id, request.values.getlist(name)[:MOST_PICKED]) if number]


@blueprint.post("/changes")
def settle_changes(partner_id: int) -> Response:
    """The picked changes are taken over or declined."""
    partner = standing.get(partner_id)
    is_accepted = request.form.get("verb") == "accept"
    try:
        following.settle(partner, _picked("c"), is_accepted=is_accepted, actor=g.user, at=clock.now())
    except RuleError as error:
        db.session.rollback()
        return _changes(standing.get(partner_id), 422, str(error))
    tasks.ask("partner_changes", g.shop_id)
    db.session.commit()
    return see_other(f"/partners/{partner_id}/changes")


@blueprint.post("/types")
def set_type(partner_id: int) -> Response:
    """Products of a type are priced by a rule of their own, or again like all others."""
    partner = standing.get(partner_id)
    given = {name: request.form.get(name, "").strip()[:255] for name in ("product_type", "kind", "value")}
    try:
        rule = rule_of(given["kind"], given["value"]) if given["value"] else None
        price_rules.set_type_rule(partner, given["product_type"], rule)
    except RuleError as error:
        db.session.rollback()
        return _types(standing.get(partner_id), 422, given, str(error))
    following.notice(partner, clock.now())
    db.session.commit()
    return see_other(after_rules(partner) or f"/partners/{partner_id}/types")


def after_rules(partner: Partner) -> str | None:
    """Where to look after a rule has changed, if that gives goods in the merchant's shop another price; None where nothing differs."""
    found = repricing.preview(partner)
    return f"/partners/{partner.id}/prices?saved=1" if len(found.rows) > found.by_hand else None


@blueprint.get("/types")
def types(partner_id: int) -> Response:
    """The rules of single product types."""
    return _types(standing.get(partner_id))


def _types(partner: Partner, status: int = 200, given: dict[str, str] | None = None, error: str = "") -> Response:
    known, _ = browsing.choices(partner)
    return page(
        "partners/types.html",
        status=status,
        partner=partner,
        known=known,
        rules=price_rules.types(partner),
        kinds=KIND_WORDS,
        prices=Prices(partner),
        given=given or {"product_type": "", "kind": "", "value": ""},
        error=error,
    )


# Prices of imported goods -------------------------------------------------------------------------------------------------------------


@blueprint.get("/prices")
def prices(partner_id: int) -> Response:
    """Imported goods whose price is other than the rules say, before and after."""
    return _prices(standing.get(partner_id))


def _prices(partner: Partner, status: int = 200, refusal: str = "") -> Response:
    found = repricing.preview(partner)
    last = max(1, -(-len(found.rows) // repricing.PER_PAGE))
    number = min(last, max(1, request.values.get("page", 1, int)))
    begin = (number - 1) * repricing.PER_PAGE
    here = f"/partners/{partner.id}/prices"
    facts = {
        "partner": partner,
        "found": found,
        "rows": found.rows[begin : begin + repricing.PER_PAGE],
        "pages": {
            "first": begin + 1,
            "last": min(begin + repricing.PER_PAGE, len(found.rows)),
            "total": len(found.rows),
            "previous": f"{here}?page={number - 1}" if number > 1 else None,
            "next": f"{here}?page={number + 1}" if number < last else None,
        },
        "ours": Prices(partner).ours,
        "is_saved": "saved" in request.args,
        "number": number,
        "picked": _picked("v"),
        "refusal": refusal,
    }
    return page("partners/prices.html", status=status, **facts)


@blueprint.get("/prices/waiting")
def prices_waiting(partner_id: int) -> Response:
    """How many chosen prices are on their way to Shopify; once there are none, the page itself."""
    partner = standing.get(partner_id)
    waiting = repricing.waiting(partner)
    response = page("partners/_prices_waiting.html", partner=partner, waiting=waiting)
    if not waiting:
        response.headers["HX-Location"] = f"/partners/{partner_id}/prices"
    return response


@blueprint.get("/prices/note")
def prices_note(partner_id: int) -> Response:
    """One line for other pages: how many imported goods are priced otherwise than the rules say."""
    partner = standing.get(partner_id)
    found = repricing.preview(partner)
    return page("partners/_prices_note.html", partner=partner, differing=len(found.rows), by_hand=found.by_hand)


@blueprint.post("/prices")
def set_prices(partner_id: int) -> Response:
    """The picked goods, or all, are to have the price that the rules say."""
    partner = standing.get(partner_id)
    try:
        repricing.choose(partner, None if request.form.get("all") else _picked("v"), actor=g.user, at=clock.now())
    except RuleError as error:
        db.session.rollback()
        return _prices(standing.get(partner_id), 422, str(error))
    db.session.commit()
    return see_other(f"/partners/{partner_id}/prices")
