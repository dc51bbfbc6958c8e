"""The partner's own side: this week's order of a merchant so far, in the partner's embedded app."""

from __future__ import annotations

from flask import Blueprint, Response, g
from sqlalchemy import select

from occ_app.errors import NotFoundError
from occ_app.extensions import across_shops, db, shop_scope
from occ_app.partners.models import Partner
from occ_app.routing import listing
from occ_app.routing.models import CLOSING, OPEN, PLACED_STATES, PartnerOrder
from occ_app.shops.models import Shop
from occ_app.web import page

blueprint = Blueprint("supplied_orders", __name__, url_prefix="/supplies")


@blueprint.get("/<int:partner_id>/order")
def show(partner_id: int) -> Response:
    """What that merchant's order to this store holds so far, when it closes, and the last orders. No price that the merchant asks, and no
    customer."""
    with across_shops():
        query = select(Partner.shop_id).where(Partner.id == partner_id, Partner.partner_shop_id == g.shop_id)
        merchant_id = db.session.scalar(query)
    if merchant_id is None:
        raise NotFoundError("You do not supply that store.")
    merchant = db.session.get_one(Shop, merchant_id)
    with shop_scope(merchant_id):
        partner = db.session.get_one(Partner, partner_id)
        of_partner = PartnerOrder.partner_id == partner_id
        growing = listing.sums(of_partner & PartnerOrder.state.in_((OPEN, CLOSING)))
        placed = listing.sums(of_partner & PartnerOrder.state.in_(PLACED_STATES), 5)
        found = [(one, listing.variants_of(one.order, partner)) for one in growing]
    return page(
        "routing/supplied.html",
        "routing/_supplied.html",
        merchant=merchant,
        partner_id=partner_id,
        growing=found,
        placed=placed,
    )
