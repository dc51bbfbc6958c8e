"""Lots: make one, move it through the places, split it, and where its units are."""

from __future__ import annotations

from datetime import date
from typing import Any

from flask import Blueprint, Response, g, request
from sqlalchemy import func, or_, select

from occ_app import clock
from occ_app.catalog import pull
from occ_app.catalog.models import INGREDIENT, PRODUCT, Item
from occ_app.errors import NotFoundError, RuleError
from occ_app.extensions import db
from occ_app.shops import settings
from occ_app.stock import lots
from occ_app.stock.models import Balance, Lot, StockMove
from occ_app.stock.rules import COMPLETED, IN_REVIEW, LOT_PLACES, ON_HOLD, PACKAGED, RELEASED, SCRAP
from occ_app.web import is_fragment, page, row_id, see_other

blueprint = Blueprint("lots", __name__)
PER_PAGE = 50
VIEWS = {
    "open": ("Open", LOT_PLACES),
    "review": ("To review", (IN_REVIEW, COMPLETED, PACKAGED)),
    "hold": ("On hold", (ON_HOLD,)),
    "released": ("Released", (RELEASED,)),
    "all": ("All", None),
}
NEXT_STEP = {
    COMPLETED: ("release", "Release"),
    PACKAGED: ("release", "Release"),
    IN_REVIEW: ("release", "Release"),
    ON_HOLD: ("release", "Release"),
}
VERBS = {
    "package": PACKAGED,
    "review": IN_REVIEW,
    "release": RELEASED,
    "hold": ON_HOLD,
    "scrap": SCRAP,
    "unrelease": IN_REVIEW,
}
SAID = {
    "package": "Packaged",
    "review": "Sent to review",
    "release": "Released",
    "hold": "Put on hold",
    "scrap": "Scrapped",
    "unrelease": "Un-released",
}


@blueprint.get("/lots")
def index() -> Response:
    """Lots with where their units are and the next step."""
    view = request.args.get("view", "open") if request.args.get("view") in VIEWS else "open"
    q = request.args.get("q", "").strip()[:100]
    number = min(100_000, max(1, request.args.get("page", 1, int)))
    rows, total = _rows(view, q, number)
    pages = _pages(total, number, view, q)
    today = clock.local_date(clock.now(), settings.get(g.shop, "time_zone"))
    facts = {
        "rows": rows,
        "pages": pages,
        "view": view,
        "q": q,
        "views": _tabs(),
        "today": today,
        "next_step": NEXT_STEP,
    }
    return page("stock/lots.html", "stock/_lots.html", **facts)


def _pages(total: int, number: int, view: str, q: str) -> dict[str, Any]:
    last = min(total, number * PER_PAGE)
    to = "/lots?view={}&q={}&page={}".format
    return {
        "first": (number - 1) * PER_PAGE + 1 if total else 0,
        "last": last,
        "total": total,
        "previous": to(view, q, number - 1) if number > 1 else None,
        "next": to(view, q, number + 1) if last < total else None,
    }


def _tabs() -> list[tuple[str, str, int | None]]:
    here = select(Balance.place, func.count(Balance.lot_id.distinct())).join(Item, Item.id == Balance.item_id)
    here = here.where(Item.kind == PRODUCT, Balance.quantity > 0, Balance.lot_id.is_not(None))
    counts = dict(db.session.execute(here.group_by(Balance.place)).all())
    shown: dict[str, int | None] = {"hold": counts.get(ON_HOLD, 0), "released": counts.get(RELEASED, 0)}
    return [(key, words, shown.get(key)) for key, (words, _) in VIEWS.items()]


def _rows(view: str, q: str, number: int) -> tuple[list[dict[str, Any]], int]:
    query = select(Lot, Item).join(Item, Item.id == Lot.item_id).where(Item.kind == PRODUCT)
    places = VIEWS[view][1]
    if places is not None:
        query = query.where(
            Lot.id.in_(
                select(Balance.lot_id).where(
                    Balance.place.in_(places), Balance.quantity > 0, Balance.lot_id.is_not(None)
                )
            )
        )
    if q:
        like = f"%{q.replace('%', '').replace('_', '')}%"
        query = query.where(or_(Lot.lot_number.ilike(like), Item.name.ilike(like), Item.sku.ilike(like)))
    total = db.session.scalar(select(func.count()).select_from(query.subquery())) or 0
    found = db.session.execute(query.order_by(Lot.id.desc()).limit(PER_PAGE).offset((number - 1) * PER_PAGE)).all()
    standing = _standing([lot.id for lot, _ in found])
    return [{"lot": lot, "item": item, "places": standing.get(lot.id, {})} for lot, item in found], total


def _standing(lot_ids: list[int]) -> dict[int, dict[str, int]]:
    query = (
        select(Balance.lot_id, Balance.place, func.sum(Balance.quantity))
        .where(Balance.lot_id.in_(lot_ids), Balance.quantity > 0)
        .group_by(Balance.lot_id, Balance.place)
    )
    found: dict[int, dict[str, int]] = {}
    for lot_id, place, units in db.session.execute(query):
        found.setdefault(lot_id, {})[place] = int(units)
    return found


@blueprint.get("/lots/new")
def new() -> Response:
    """The form for a new lot."""
    return _form({"item": request.args.get("item", ""), "place": COMPLETED}, {})


def _form(values: dict[str, str], errors: dict[str | None, str], status: int = 200) -> Response:
    items = db.session.scalars(
        select(Item).where(Item.kind == PRODUCT, Item.archived_at.is_(None)).order_by(Item.name).limit(2000)
    ).all()
    today = clock.local_date(clock.now(), settings.get(g.shop, "time_zone"))
    places = pull.locations()
    default = pull.default_location()
    facts = {"items": items, "today": today, "locations": places, "default_id": str(default.id) if default else ""}
    return page("stock/lot_form.html", status=status, values=values, errors=errors, places=LOT_PLACES, **facts)


@blueprint.post("/lots")
def make() -> Response:
    """A new lot stands where it was said."""
    names = ("item", "quantity", "place", "location", "lot_number", "made_on", "expires_on")
    values = {name: request.form.get(name, "").strip()[:200] for name in names}
    try:
        lot = _make(values)
    except RuleError as error:
        db.session.rollback()
        return _form(values, {error.field: str(error)}, 422)
    db.session.commit()
    return see_other(f"/lots/{lot.id}")


def _make(values: dict[str, str]) -> Lot:
    item = db.session.scalar(select(Item).where(Item.id == row_id(values["item"]), Item.kind == PRODUCT))
    if item is None:
        raise RuleError("Choose an item.", field="item")
    place = next((p for p in pull.locations() if str(p.id) == values["location"]), None) or pull.default_location()
    if place is None:
        raise RuleError(
            "No location is set yet. It comes with the first pull of your store; try again in a minute.",
            field="location",
        )
    return lots.make(
        item,
        _quantity(values["quantity"]) or 0,
        location_id=place.id,
        place=values["place"] or COMPLETED,
        lot_number=values["lot_number"],
        made_on=_day(values, "made_on"),
        expires_on=_day(values, "expires_on"),
        today=clock.local_date(clock.now(), settings.get(g.shop, "time_zone")),
        actor=g.user,
        at=clock.now(),
    )


def _quantity(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise RuleError("Give a whole number of 1 or more.", field="quantity")
    return int(text)


def _day(values: dict[str, str], name: str) -> date | None:
    try:
        return date.fromisoformat(values[name]) if values[name] else None
    except ValueError as error:
        raise RuleError("Give a date such as 2026-11-21.", field=name) from error


@blueprint.get("/lots/<int:lot_id>")
def one(lot_id: int) -> Response:
    """One lot: where its units are, its history. A lot of an ingredient has a page of its own."""
    lot = lots.get(lot_id)
    if db.session.get_one(Item, lot.item_id).kind == INGREDIENT:
        return see_other(f"/production/ingredients/lots/{lot.id}")
    return _shown(lot)


def _shown(lot: Lot, error: str = "", status: int = 200, toast: str | None = None) -> Response:
    item = db.session.get_one(Item, lot.item_id)
    moves = db.session.scalars(
        select(StockMove).where(StockMove.lot_id == lot.id).order_by(StockMove.id.desc()).limit(100)
    ).all()
    today = clock.local_date(clock.now(), settings.get(g.shop, "time_zone"))
    facts = {
        "lot": lot,
        "item": item,
        "moves": moves,
        "places": _standing([lot.id]).get(lot.id, {}),
        "today": today,
        "error": error,
    }
    return page("stock/lot.html", "stock/_path.html", status=status, toast=toast, verbs=VERBS, **facts)


@blueprint.post("/lots/<int:lot_id>/<any(package, review, release, hold, scrap, unrelease):verb>")
def step(lot_id: int, verb: str) -> Response:
    """Units of the lot took a step. Two people pressing the same button: the second is told that they are gone."""
    lot = lots.get(lot_id)
    try:
        quantity = _quantity(request.form.get("quantity", "").strip())
        origin = RELEASED if verb == "unrelease" else request.form.get("from_place") or None
        moved = lots.move(lot, VERBS[verb], quantity, from_place=origin, actor=g.user, at=clock.now())
    except RuleError as error:
        db.session.rollback()
        return _shown(lots.get(lot_id), str(error), 422)
    db.session.commit()
    if is_fragment():
        return _shown(lots.get(lot_id), toast=f"{SAID[verb]} {moved}")
    return see_other(request.form.get("back") if request.form.get("back") == "/lots" else f"/lots/{lot_id}")


@blueprint.post("/lots/<int:lot_id>/split")
def split(lot_id: int) -> Response:
    """The units on one place were parted: so many released, on hold, scrapped; all of it or nothing."""
    lot = lots.get(lot_id)
    try:
        _split(lot, request.form)
    except RuleError as error:
        db.session.rollback()
        return _shown(lots.get(lot_id), str(error), 422)
    db.session.commit()
    return see_other(f"/lots/{lot_id}")


def _split(lot: Lot, form: Any) -> None:
    origin = form.get("from_place", "")
    if origin not in LOT_PLACES:
        raise NotFoundError("There is no such place.")
    parts = {
        to: _quantity(form.get(name, "").strip()) or 0
        for name, to in (("release", RELEASED), ("hold", ON_HOLD), ("scrap", SCRAP))
    }
    there = lots.places_of(lot).get(origin, 0)
    asked = sum(parts.values())
    if asked == 0:
        raise RuleError("Give how many to release, hold or scrap.", field="quantity")
    if asked > there:
        words = " + ".join(str(units) for units in parts.values())
        raise RuleError(
            f"{words} are {asked}, but only {there} are there. Take {asked - there} off one of them.", field="quantity"
        )
    for to, units in parts.items():
        if units and to != origin:
            lots.move(lot, to, units, from_place=origin, actor=g.user, at=clock.now())
