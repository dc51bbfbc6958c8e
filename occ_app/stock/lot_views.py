"""One lot: where its units are, its checks, the decisions about it, its history."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, g, request
from sqlalchemy import func, select

from occ_app import clock
from occ_app.catalog.models import INGREDIENT, Item
from occ_app.errors import RuleError
from occ_app.extensions import db
from occ_app.stock import listing, lots, quality, review, workflow
from occ_app.stock.models import NUMBER, CheckResult, Lot, LotDecision, QualityCheck, StockMove
from occ_app.stock.review import Split
from occ_app.stock.rules import COMPLETED, IN_REVIEW, ON_HOLD, PACKAGED, RELEASED
from occ_app.stock.views import SAID, TO, place_of, quantity_of, today
from occ_app.stock.workflow import STEPS, Workflow
from occ_app.web import is_fragment, page, see_other

blueprint = Blueprint("lot", __name__)
SHOWN_MOVES = 100
MOST_TEXT = 600
AFTER_STEP = {PACKAGED: "Package", IN_REVIEW: "Send to review"}


@dataclass(frozen=True)
class Happened:
    """One line of a lot's history."""

    at: datetime
    words: str
    by: str
    result_id: int | None = None  # of a result that has a photo


@blueprint.get("/lots/<int:lot_id>")
def one(lot_id: int) -> Response:
    """One lot. A lot of an ingredient has a page of its own."""
    lot = lots.get(lot_id)
    if db.session.get_one(Item, lot.item_id).kind == INGREDIENT:
        return see_other(f"/production/ingredients/lots/{lot.id}")
    return _shown(lot)


def _shown(
    lot: Lot,
    errors: dict[str | None, str] | None = None,
    status: int = 200,
    toast: str | None = None,
    about: str = "",
    undo: str = "",
) -> Response:
    """`about`: the place whose form the errors belong to. `undo`: the id of the button that takes back what the toast tells."""
    way, day = workflow.of(g.shop), today()
    item = db.session.get_one(Item, lot.item_id)
    places = listing.standing([lot.id]).get(lot.id, {})
    is_expired = lot.expires_on is not None and lot.expires_on <= day
    facts: dict[str, Any] = {"lot": lot, "item": item, "places": places, "today": day, "errors": errors or {}}
    facts |= {"steps": _steps(lot, way, places), "standing": quality.standing(lot), "is_expired": is_expired}
    facts |= {"history": _history(lot), "seen": review.newest_step(lot), "about": about, "form": request.form}
    facts["can_undo"] = not lot.recalled_at and bool(review.last_step(lot))
    facts["back_to"] = way.last_before_release
    facts |= {"made": listing.made_of([lot.id]).get(lot.id, 0), **_todo(way, places)}
    return page("stock/lot.html", "stock/_path.html", status=status, toast=toast, undo=undo, **facts)


def _todo(way: Workflow, places: dict[str, int]) -> dict[str, Any]:
    """`reviewed`: places whose units wait for a decision; `stepped`: (place, verb, words) of a step before that."""
    reviewed = [place for place in (IN_REVIEW, PACKAGED, COMPLETED, ON_HOLD) if way.next_step(place) == RELEASED]
    stepped = [
        (place, "package" if step == PACKAGED else "review", AFTER_STEP[step])
        for place in (PACKAGED, COMPLETED)
        if (step := way.next_step(place)) in AFTER_STEP and places.get(place)
    ]
    return {"reviewed": [place for place in reviewed if places.get(place)], "stepped": stepped}


def _steps(lot: Lot, way: Workflow, places: dict[str, int]) -> list[dict[str, Any]]:
    """The steps in use: how many units have come to each or beyond, and when the first of them did."""
    query = (
        select(StockMove.to_place, func.min(StockMove.moved_at), func.sum(StockMove.quantity))
        .where(StockMove.lot_id == lot.id, StockMove.to_place.in_(STEPS))
        .group_by(StockMove.to_place)
    )
    came = {place: (at, int(units)) for place, at, units in db.session.execute(query)}
    reached = [place for place in STEPS if place in came]
    furthest = STEPS.index(reached[-1]) if reached else -1
    return [
        {
            "place": place,
            "at": came[place][0] if place in came else None,
            "units": came[place][1] if place in came else None,
            "is_done": STEPS.index(place) <= furthest and not (places.get(place) and place != RELEASED),
            "is_now": bool(places.get(place)) and place != RELEASED,
        }
        for place in STEPS
        if place in way.steps or place in came
    ]


def _history(lot: Lot) -> list[Happened]:
    moves = db.session.scalars(
        select(StockMove).where(StockMove.lot_id == lot.id).order_by(StockMove.id.desc()).limit(SHOWN_MOVES)
    )
    found = [_moved(move) for move in moves if f"lot:{lot.id}:move:d" not in move.source]
    found += [_decided(decision) for decision in review.decisions_of(lot.id)]
    found += [_checked(result, check) for result, check in quality.results_of(lot.id)]
    return sorted(found, key=lambda one: one.at, reverse=True)[:SHOWN_MOVES]


def _moved(move: StockMove) -> Happened:
    from_place, to_place = (
        place.replace("_", " ").replace("allocated:", "given to ") for place in (move.from_place, move.to_place)
    )
    words = f"{move.quantity:,} {from_place} → {to_place}"
    is_undoing = f"lot:{move.lot_id}:undo:" in move.source
    return Happened(
        move.moved_at,
        f"Undone: {words}" if is_undoing else words,
        move.actor if is_undoing else f"{move.reason.replace('_', ' ')} · {move.actor}",
    )


def _decided(decision: LotDecision) -> Happened:
    counts = (decision.released, decision.held, decision.scrapped, decision.taken_back)
    words = ("released", "put on hold", "scrapped", "un-released")
    what = ", ".join(f"{units:,} {said}" for units, said in zip(counts, words, strict=True) if units)
    by = decision.actor + (f". “{decision.note}”" if decision.note else "")
    by += f". Against its checks: “{decision.overruled}”" if decision.overruled else ""
    return Happened(decision.decided_at, what, by)


def _checked(result: CheckResult, check: QualityCheck) -> Happened:
    number = f": {result.number.normalize():f} {check.unit}".rstrip() if result.number is not None else ""
    words = f"{check.name}{number} {'passed' if result.is_passed else 'failed'}"
    by = result.actor + (f". “{result.note}”" if result.note else "")
    return Happened(result.checked_at, words, by, result.id if result.photo_type else None)


def _answer(lot_id: int, toast: str, *, is_step: bool = False) -> Response:
    """`is_step`: the toast can take it back, by the button of this very step; a later step has another one."""
    db.session.commit()
    if not is_fragment():
        return see_other(f"/lots/{lot_id}")
    lot = lots.get(lot_id)
    return _shown(lot, toast=toast, undo=f"undo-{review.newest_step(lot)}" if is_step else "")


def _refused(lot_id: int, error: RuleError, about: str) -> Response:
    db.session.rollback()
    return _shown(lots.get(lot_id), {error.field: str(error)}, 422, about=about)


def _seen() -> int | None:
    text = request.form.get("seen", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


@blueprint.post("/lots/<int:lot_id>/<any(package, review, release, hold):verb>")
def step(lot_id: int, verb: str) -> Response:
    """Units of the lot took a step. Two people pressing the same button: the second is told what the first did."""
    lot = lots.get(lot_id)
    origin = request.form.get("from_place") or None
    try:
        review.check_seen(lot, _seen())
        quantity = quantity_of(request.form.get("quantity", ""))
        moved = lots.move(lot, TO[verb], quantity, from_place=origin, actor=g.user, at=clock.now())
    except RuleError as error:
        return _refused(lot_id, error, origin or "")
    if not is_fragment() and request.form.get("back") == "/lots":
        db.session.commit()
        return see_other("/lots")
    return _answer(lot_id, f"{SAID[verb]} {moved:,}", is_step=True)


@blueprint.post("/lots/<int:lot_id>/split")
def split(lot_id: int) -> Response:
    """The units on one place were parted: so many released, on hold, scrapped; all of it or nothing."""
    lot, origin = lots.get(lot_id), place_of(request.form.get("from_place", ""))
    try:
        parts = Split(*(quantity_of(request.form.get(name, ""), name) or 0 for name in ("release", "hold", "scrap")))
        words = {name: request.form.get(name, "")[:MOST_TEXT] for name in ("note", "overrule")}
        review.review(lot, origin, parts, seen=_seen(), actor=g.user, at=clock.now(), **words)
    except RuleError as error:
        return _refused(lot_id, error, origin)
    done = ((parts.release, "released"), (parts.hold, "put on hold"), (parts.scrap, "scrapped"))
    said = ", ".join(f"{units:,} {words}" for units, words in done if units)
    return _answer(lot_id, said[:1].upper() + said[1:], is_step=True)


@blueprint.post("/lots/<int:lot_id>/unrelease")
def unrelease(lot_id: int) -> Response:
    """Released units were taken back."""
    lot = lots.get(lot_id)
    try:
        quantity = quantity_of(request.form.get("quantity", ""))
        note = request.form.get("note", "")[:MOST_TEXT]
        decision = review.take_back(lot, quantity, seen=_seen(), note=note, actor=g.user, at=clock.now())
    except RuleError as error:
        return _refused(lot_id, error, RELEASED)
    return _answer(lot_id, f"Un-released {decision.taken_back:,}", is_step=True)


@blueprint.post("/lots/<int:lot_id>/undo")
def undo(lot_id: int) -> Response:
    """What the last step moved stands where it stood before. A second click finds nothing to undo."""
    lot = lots.get(lot_id)
    try:
        units = review.undo(lot, seen=_seen(), actor=g.user, at=clock.now())
    except RuleError as error:
        db.session.rollback()
        return _shown(lots.get(lot_id), {None: str(error)}, 422)
    return _answer(lot_id, f"Undone: {units:,}")


@blueprint.post("/lots/<int:lot_id>/results")
def results(lot_id: int) -> Response:
    """What was seen is kept; a wrong number is told beside its field, and nothing is kept then."""
    lot = lots.get(lot_id)
    try:
        seen = _read_results(lot)
        if not seen:
            raise RuleError("Give at least one result.", field="results")
        kept = quality.record(lot, seen, actor=g.user, at=clock.now())
    except RuleError as error:
        return _refused(lot_id, error, "results")
    return _answer(lot_id, f"Saved {len(kept)} {'result' if len(kept) == 1 else 'results'}")


def _read_results(lot: Lot) -> list[quality.Seen]:
    """The results that the form gives; a check left empty is left alone, but for a note or a photo without a result."""
    seen = []
    for check in quality.checks_of(lot.item_id):
        name = f"check-{check.id}"
        text, note = request.form.get(name, "").strip()[:60], request.form.get(f"note-{check.id}", "").strip()
        photo = _photo(f"photo-{check.id}")
        if not (text or note or photo):
            continue
        if check.kind == NUMBER:
            number = quality.parse_number(text, name)
            seen.append(quality.Seen(check.id, None, number, note[:MOST_TEXT], photo))
        else:
            is_passed = {"pass": True, "fail": False}.get(text)
            seen.append(quality.Seen(check.id, is_passed, None, note[:MOST_TEXT], photo))
    return seen


def _photo(name: str) -> bytes:
    upload = request.files.get(name)
    if upload is None:
        return b""
    with upload.stream as stream:
        return stream.read(quality.MOST_PHOTO_BYTES + 1)


@blueprint.get("/lots/<int:lot_id>/photos/<int:result_id>")
def photo(lot_id: int, result_id: int) -> Response:
    """The photo of a result, within the page: a picture's own request would carry no token of the shop."""
    kind, content = quality.photo_of(lot_id, result_id)
    source = f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
    return page("stock/_photo.html", "stock/_photo.html", source=source, result_id=result_id)
