"""Items put away and fetched back."""

from __future__ import annotations

from flask import Blueprint, Response

from occ_app import clock
from occ_app.catalog import archiving
from occ_app.extensions import db
from occ_app.sync.views import product_item
from occ_app.web import see_other

blueprint = Blueprint("archive", __name__)


@blueprint.post("/products/<int:item_id>/archive")
def archive(item_id: int) -> Response:
    """The item is archived."""
    archiving.archive(product_item(item_id), clock.now())
    db.session.commit()
    return see_other(f"/products/{item_id}")


@blueprint.post("/products/<int:item_id>/restore")
def restore(item_id: int) -> Response:
    """The item is in the lists again."""
    archiving.restore(product_item(item_id))
    db.session.commit()
    return see_other(f"/products/{item_id}")
