"""The sync mode of the shop and of an item, with what another one would change; amounts given to channels."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, g, request
from sqlalchemy import func, select

from occ_app import clock
from occ_app.catalog import pull
from occ_app.catalog.models import INGREDIENT, Item, Location
from occ_app.errors import NotFoundError, RuleError
from occ_app.extensions import db
from occ_app.shops import settings
from occ_app.stock import allocations, channels
from occ_app.sync import modes, targets
from occ_app.sync.paging import PER_PAGE, page_number, pages_of
from occ_app.web import page, row_id, see_other

blueprint = Blueprint("modes", __name__)
AS_SHOP = ""


@blueprint.get("/settings/sync-mode")
def sync_mode() -> Response:
    """The six modes in plain words, and all numbers before and after."""
    current = settings.get(g.shop, "sync_mode")
    mode = request.args.get("mode") if request.args.get("mode") in settings.MODES else current
    facts = _preview(mode, None, "/settings/sync-mode") | {"counts": _counts()}
    return page("sync/sync_mode.html", "sync/_preview.html", current=current, mode=mode, item=None, **facts)


def _preview(mode: str | None, item_id: int | None, path: str) -> dict[str, Any]:
    preview, number = modes.what_would_change(mode or None, item_id), page_number()
    shown = preview.changes[(number - 1) * PER_PAGE : number * PER_PAGE]
    pages = pages_of(len(preview.changes), number, path, {"mode": mode})
    return {"preview": preview, "shown": shown, "pages": pages}


def _counts() -> dict[str, int]:
    """How many items are made here, and how many of them have a mode of their own."""
    query = select(func.count(), func.count(Item.sync_mode)).where(Item.archived_at.is_(None), Item.kind != INGREDIENT)
    total, own = db.session.execute(query).one()
    return {"total": total, "own": own}


@blueprint.post("/settings/sync-mode")
def save_sync_mode() -> Response:
    """The shop counts by this mode from now on."""
    modes.apply_setting(g.shop, "sync_mode", request.form.get("mode", ""))
    db.session.commit()
    return see_other("/settings/sync-mode")


def _item(item_id: int) -> Item:
    item = db.session.scalar(select(Item).where(Item.id == item_id))
    if item is None:
        raise NotFoundError("There is no such product here.")
    return item


@blueprint.get("/products/<int:item_id>/mode")
def item_mode(item_id: int) -> Response:
    """The item's own mode or the shop's, all its numbers before and after, and what each channel has."""
    return _item_page(_item(item_id), {})


def _item_page(item: Item, errors: dict[str | None, str], status: int = 200, toast: str | None = None) -> Response:
    current = item.sync_mode or AS_SHOP
    mode = request.args.get("mode", current)
    mode = mode if mode in (*settings.MODES, AS_SHOP) else current
    facts = _preview(mode, item.id, f"/products/{item.id}/mode")
    place = _place(request.values.get("location", ""))
    given, free = allocations.amounts(item.id, place.id) if place else ({}, 0)
    values = {channel: request.form.get(channel, str(units)) for channel, units in given.items()}
    facts |= {"place": place, "locations": pull.locations(), "given": given, "free": free, "values": values}
    facts |= {"item": item, "current": current, "mode": mode, "shops": settings.get(g.shop, "sync_mode")}
    return page("sync/item_mode.html", "sync/_preview.html", status=status, toast=toast, errors=errors, **facts)


def _place(text: str) -> Location | None:
    chosen = next((place for place in pull.locations() if place.id == row_id(text)), None)
    return chosen or pull.default_location()


@blueprint.post("/products/<int:item_id>/mode")
def save_item_mode(item_id: int) -> Response:
    """The item has a mode of its own, or the shop's again."""
    modes.set_mode_of_item(_item(item_id), request.form.get("mode") or None)
    db.session.commit()
    return see_other(f"/products/{item_id}/mode")


@blueprint.post("/products/<int:item_id>/allocations")
def save_allocations(item_id: int) -> Response:
    """Each channel has the amount that was given, or nothing has changed."""
    item, place = _item(item_id), _place(request.form.get("location", ""))
    try:
        if place is None:
            raise RuleError(
                "No location is set yet. It comes with the first pull of your store; try again in a minute."
            )
        wanted = {channel: _units(channel) for channel in channels.names() if channel in request.form}
        today = targets.today(g.shop)
        allocations.set_amounts(item, place.id, wanted, today=today, actor=g.user, at=clock.now())
    except RuleError as error:
        db.session.rollback()
        return _item_page(_item(item_id), {error.field: str(error)}, 422)
    db.session.commit()
    return see_other(f"/products/{item_id}/mode?{urlencode({'location': place.id})}")


def _units(channel: str) -> int:
    text = request.form[channel].strip() or "0"
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise RuleError("Give a whole number, 0 or more.", field=channel)
    return int(text)
