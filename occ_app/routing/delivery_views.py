"""Where partners ship to, when the batch comes, and which orders go: the merchant's page of these settings."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, g, request

from occ_app.catalog import pull
from occ_app.errors import RuleError
from occ_app.extensions import db
from occ_app.shops import settings
from occ_app.shops.models import Shop
from occ_app.web import page
from occ_app.work import tasks

blueprint = Blueprint("partner_delivery", __name__, url_prefix="/partner-orders")


@blueprint.get("/delivery")
def delivery() -> Response:
    """Where partners ship to, when the batch comes, and which orders go."""
    return _delivery()


NAMES = ("fulfilment_centre", "batch_hour", "route_orders", "route_risk")


def _delivery(
    status: int = 200, toast: str | None = None, error: RuleError | None = None, values: Any = None
) -> Response:
    values = values or {name: settings.get(g.shop, name) for name in NAMES}
    places = [place for place in pull.locations() if place.is_active]
    zone = settings.get(g.shop, "time_zone")
    return page(
        "routing/delivery.html", status=status, toast=toast, error=error, values=values, places=places, zone=zone
    )


@blueprint.post("/delivery")
def save_delivery() -> Response:
    """The settings are as the form says; all of them or none."""
    shop = db.session.get_one(Shop, g.shop_id)
    given = {name: request.form[name] for name in NAMES if name in request.form}
    try:
        if given.get("fulfilment_centre") and pull.find_location(given["fulfilment_centre"]) is None:
            raise RuleError("Choose among your own locations.", field="fulfilment_centre")
        for name, text in given.items():
            settings.put(shop, name, text)
    except RuleError as error:
        db.session.rollback()
        return _delivery(422, error=error, values={name: given.get(name, settings.get(g.shop, name)) for name in NAMES})
    tasks.ask("partner_orders", g.shop_id)
    db.session.commit()
    return _delivery(toast="Saved")
