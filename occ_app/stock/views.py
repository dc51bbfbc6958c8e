"""Lots as a list: what is where, what comes next, what expires soon; steps for many at once; a new lot."""

from __future__ import annotations

from datetime import date
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, g, request
from sqlalchemy import select

from occ_app import clock
from occ_app.catalog import pull
from occ_app.catalog.models import PRODUCT, Item
from occ_app.errors import NotFoundError, RuleError
from occ_app.extensions import db
from occ_app.shops import settings
from occ_app.stock import listing, lots, quality, workflow
from occ_app.stock.models import Lot
from occ_app.stock.rules import COMPLETED, IN_REVIEW, LOT_PLACES, ON_HOLD, PACKAGED, RELEASED
from occ_app.stock.workflow import Workflow
from occ_app.web import is_fragment, page, row_id, see_other, stay_within

blueprint = Blueprint("lots", __name__)
PER_PAGE = 50
MOST_AT_ONCE = 200
TABS = {
    "open": "Open",
    "package": "To package",
    "review": "To review",
    "released": "Released",
    "hold": "On hold",
    "expiring": "Expiring soon",
    "all": "All",
}
TO = {"package": PACKAGED, "review": IN_REVIEW, "release": RELEASED, "hold": ON_HOLD}
VERB_OF = {place: verb for verb, place in TO.items()}
WORDS = {"package": "Package", "review": "Send to review", "release": "Release", "hold": "Put on hold"}
SAID = {"package": "Packaged", "review": "Sent to review", "release": "Released", "hold": "Put on hold"}


def today() -> date:
    """The calendar day in the shop's time zone."""
    return clock.local_date(clock.now(), settings.get(g.shop, "time_zone"))


@blueprint.get("/lots")
def index() -> Response:
    """Lots with where their units are and the next step."""
    return _list()


def _list(status: int = 200, toast: str | None = None, left_out: tuple[str, ...] = (), error: str = "") -> Response:
    way, day, days = workflow.of(g.shop), today(), settings.get(g.shop, "expiring_days")
    view = request.values.get("view", "open") if request.values.get("view") in TABS else "open"
    sort = request.values.get("sort") if request.values.get("sort") in listing.SORTS else listing.SORTS[0]
    q = request.values.get("q", "").strip()[:100]
    number = min(100_000, max(1, request.values.get("page", 1, int)))
    places = _to_review(way)
    bounds = {"limit": PER_PAGE, "offset": (number - 1) * PER_PAGE}
    rows, total = listing.find(view, q, sort or "", review_places=places, today=day, days=days, **bounds)
    stay_within(total, number, PER_PAGE)
    if total and not rows:  # what was done to the last page's lots left none of them in the view
        number = -(-total // PER_PAGE)
        bounds["offset"] = (number - 1) * PER_PAGE
        rows, _ = listing.find(view, q, sort or "", review_places=places, today=day, days=days, **bounds)
    costs = None
    if view == "expiring":
        costs = listing.expiring_at_cost(day, days)
        rows = listing.with_costs(rows, costs[2])
    sums = listing.sums()
    expiring, expired = listing.expiring(day, days)
    facts = {
        "rows": rows,
        "view": view,
        "q": q,
        "sort": sort,
        "today": day,
        "days": days,
        "sums": sums,
        "number": number,
    }
    facts |= {
        "tabs": _tabs(way),
        "expiring": expiring,
        "expired": expired,
        "costs": costs,
        "to_review": _sum(sums, places),
        "error": error,
    }
    facts |= {"pages": _pages(total, number, {"view": view, "q": q, "sort": sort}), "left_out": left_out}
    checked = quality.items_with_required({row.item.id for row in rows})
    facts |= {"next_step": lambda row: _next(row, way, day, row.item.id in checked), "steps": way.steps}
    return page("stock/lots.html", "stock/_lots.html", status=status, toast=toast, **facts)


def _sum(sums: dict[str, listing.Sum], places: tuple[str, ...]) -> listing.Sum:
    """What waits for a decision, all places together."""
    there = [sums[place] for place in places if place in sums]
    oldest = min((one.oldest for one in there if one.oldest), default=None)
    return listing.Sum(sum(one.units for one in there), sum(one.lots for one in there), oldest)


def _to_review(way: Workflow) -> tuple[str, ...]:
    """Places whose units wait for a decision: those from which the next step is release."""
    return tuple(place for place in (COMPLETED, PACKAGED, IN_REVIEW) if way.next_step(place) == RELEASED)


def _tabs(way: Workflow) -> list[tuple[str, str, None]]:
    unused = () if way.uses(PACKAGED) else ("package",)
    return [(key, words, None) for key, words in TABS.items() if key not in unused]


def _next(row: listing.Row, way: Workflow, day: date, is_checked: bool) -> tuple[str | None, str, str] | None:
    """(verb, words, from place) of the lot's next step: the furthest units first, those on hold last. None: nothing to do.

    The verb is None where it takes a look first: at units on hold, at checks, at what is expired.
    """
    if row.lot.expires_on and row.lot.expires_on <= day:
        return (None, "Scrap\N{HORIZONTAL ELLIPSIS}", "") if row.here else None
    for place in (IN_REVIEW, PACKAGED, COMPLETED, ON_HOLD):
        step = way.next_step(place)
        if row.places.get(place) and step:
            if place == ON_HOLD:
                return None, "Review hold", place
            if step == RELEASED and is_checked:
                return None, "Review", place
            return VERB_OF[step], WORDS[VERB_OF[step]], place
    return None


def _pages(total: int, number: int, query: dict[str, Any]) -> dict[str, Any]:
    def to(other: int) -> str:
        return f"/lots?{urlencode({**{k: v for k, v in query.items() if v}, 'page': other})}"

    last = min(total, number * PER_PAGE)
    return {
        "first": (number - 1) * PER_PAGE + 1 if total else 0,
        "last": last,
        "total": total,
        "previous": to(number - 1) if number > 1 else None,
        "next": to(number + 1) if last < total else None,
    }


@blueprint.post("/lots/all/<any(package, review, release, hold):verb>")
def step_many(verb: str) -> Response:
    """The ticked lots took that step, each whole; those that could not are told with why."""
    chosen = [row_id(text) for text in request.form.getlist("lot")[:MOST_AT_ONCE]]
    found = db.session.scalars(select(Lot).where(Lot.id.in_([i for i in chosen if i])).order_by(Lot.item_id, Lot.id))
    done, left_out = 0, []
    day = today()
    for lot in found.all():
        try:
            _step(lot, verb, day)
            done += 1
        except RuleError as error:
            left_out.append(f"{lot.lot_number}: {error}")
    if not done:
        db.session.rollback()
        return _list(422, error="; ".join(left_out[:3]) or "Tick the lots first.")
    db.session.commit()
    toast = f"{SAID[verb]}: {done} of {done + len(left_out)} lots" if left_out else f"{SAID[verb]}: {done} lots"
    return _list(toast=toast, left_out=tuple(left_out)) if is_fragment() or left_out else see_other("/lots")


def _step(lot: Lot, verb: str, day: date) -> None:
    """Within a savepoint, so that a lot that cannot go leaves the others as they are."""
    if verb == "release" and lot.expires_on and lot.expires_on <= day:
        raise RuleError("it is expired.")
    with db.session.begin_nested():
        lots.move(lot, TO[verb], actor=g.user, at=clock.now())


@blueprint.get("/lots/new")
def new() -> Response:
    """The form for a new lot."""
    return _form({"item": request.args.get("item", "")}, {})


def _form(values: dict[str, str], errors: dict[str | None, str], status: int = 200) -> Response:
    wanted = select(Item).where(Item.archived_at.is_(None), Item.kind == PRODUCT).order_by(Item.name).limit(2000)
    way, places, default = workflow.of(g.shop), pull.locations(), pull.default_location()
    values.setdefault("place", way.first_place(is_checked=False))
    facts = {"items": db.session.scalars(wanted).all(), "today": today(), "locations": places}
    facts |= {"default_id": str(default.id) if default else "", "places": (*way.steps, ON_HOLD)}
    return page("stock/lot_form.html", status=status, values=values, errors=errors, **facts)


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
        quantity_of(values["quantity"]) or 0,
        location_id=place.id,
        place=values["place"] or None,
        lot_number=values["lot_number"],
        made_on=_day(values, "made_on"),
        expires_on=_day(values, "expires_on"),
        today=today(),
        actor=g.user,
        at=clock.now(),
    )


def quantity_of(text: str, field: str = "quantity") -> int | None:
    """The whole number that people typed; None for nothing. Raises RuleError."""
    text = text.strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise RuleError("Give a whole number of 1 or more.", field=field)
    return int(text)


def place_of(text: str) -> str:
    """The place of a lot that a form names. Raises NotFoundError."""
    if text not in LOT_PLACES:
        raise NotFoundError("There is no such place.")
    return text


def _day(values: dict[str, str], name: str) -> date | None:
    try:
        return date.fromisoformat(values[name]) if values[name] else None
    except ValueError as error:
        raise RuleError("Give a date such as 2026-11-21.", field=name) from error
