"""Recalls: what would fall, open one (or a drill), who has units, what was decided, and the end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from flask import Blueprint, Response, g, request
from sqlalchemy import func, select
from sqlalchemy.orm import joinedload

from occ_app import clock
from occ_app.desk import recall as effects
from occ_app.desk import trace
from occ_app.desk.trace_pages import as_csv, sales_shown
from occ_app.errors import NotFoundError, RuleError
from occ_app.extensions import db
from occ_app.production import recall
from occ_app.production.models import OUTCOMES, Recall, RecallLot
from occ_app.production.trace import among, made_from
from occ_app.stock.models import Lot
from occ_app.web import page, row_id, see_other, stay_within

blueprint = Blueprint("recalls", __name__)
PER_PAGE = 50
MOST_SHOWN = 500  # lots with a tick of their own
MOST_TYPED = 20_000  # characters of lot numbers
VIEWS = {"open": "Open", "ended": "Ended", "drills": "Drills", "all": "All"}


@blueprint.get("/recalls")
def index() -> Response:
    """All recalls and drills, newest first."""
    view = request.args.get("view", "open") if request.args.get("view") in VIEWS else "open"
    number = min(100_000, max(1, request.args.get("page", 1, int)))
    query = _of_view(view)
    total = db.session.scalar(select(func.count()).select_from(query.subquery())) or 0
    stay_within(total, number, PER_PAGE)
    found = db.session.scalars(query.order_by(Recall.id.desc()).limit(PER_PAGE).offset((number - 1) * PER_PAGE)).all()
    last = min(total, number * PER_PAGE)
    pages = {
        "first": (number - 1) * PER_PAGE + 1 if total else 0,
        "last": last,
        "total": total,
        "previous": f"/recalls?view={view}&page={number - 1}" if number > 1 else None,
        "next": f"/recalls?view={view}&page={number + 1}" if last < total else None,
    }
    tabs = [(key, words, None) for key, words in VIEWS.items()]
    facts = {"rows": found, "counts": _counts(found), "pages": pages, "view": view, "tabs": tabs}
    return page("desk/recalls.html", "desk/_recalls.html", **facts)


def _of_view(view: str):  # type: ignore[no-untyped-def]
    query = select(Recall)
    if view == "drills":
        return query.where(Recall.is_drill)
    if view == "all":
        return query
    ended = Recall.ended_at.is_(None) if view == "open" else Recall.ended_at.is_not(None)
    return query.where(ended, ~Recall.is_drill)


def _counts(found: Sequence[Recall]) -> dict[int, tuple[int, int]]:
    """Recall id -> (lots, lots still open)."""
    query = select(RecallLot.recall_id, func.count(), func.count().filter(RecallLot.ended_at.is_(None)))
    rows = db.session.execute(
        query.where(among(RecallLot.recall_id, [r.id for r in found])).group_by(RecallLot.recall_id)
    )
    return {recall_id: (lots, still) for recall_id, lots, still in rows}


# A new one ----------------------------------------------------------------------------------------------------------------------------


@blueprint.get("/recalls/new")
def new() -> Response:
    """The form: which lots; with lots given, what would follow."""
    ids = [found for text in request.args.getlist("lot")[:MOST_SHOWN] if (found := row_id(text)) is not None]
    lots = db.session.scalars(select(Lot).where(among(Lot.id, ids)).order_by(Lot.id)).all() if ids else []
    return _form([lot.lot_number for lot in lots], lots)


@blueprint.post("/recalls/new")
def look() -> Response:
    """What a recall of the lots typed would do."""
    typed = request.form.get("numbers", "")
    numbers = list(dict.fromkeys(filter(None, (line.strip() for line in typed[:MOST_TYPED].splitlines()))))
    if len(typed) > MOST_TYPED or not numbers:
        words = f"Give at most {MOST_TYPED:,} characters." if numbers else "Type one lot number a line."
        return _form(numbers, [], {"numbers": words}, 422)
    lots = db.session.scalars(select(Lot).where(Lot.lot_number.in_(numbers)).order_by(Lot.id)).all()
    missing = [number for number in numbers if number not in {lot.lot_number for lot in lots}]
    if missing:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        words = f"There is no lot {', '.join(missing[:5])}{more}. Correct the number or take it out."
        return _form(numbers, [], {"numbers": words}, 422)
    return _form(numbers, lots)


def _form(
    numbers: Sequence[str],
    chosen: Sequence[Lot],
    errors: dict[str | None, str] | None = None,
    status: int = 200,
    values: dict[str, Any] | None = None,
) -> Response:
    facts: dict[str, Any] = {"preview": None}
    if chosen:
        facts["preview"] = _preview([lot.id for lot in chosen])
    values = values or {"reason": "", "is_drill": False}
    return page(
        "desk/recall_new.html",
        status=status,
        numbers=numbers,
        errors=errors or {},
        values=values,
        most=MOST_SHOWN,
        **facts,
    )


def _preview(chosen: Sequence[int]) -> dict[str, Any]:
    """The lots, those made from them, and what would follow if all of them were recalled."""
    further = made_from(chosen)
    ids = [*chosen, *further]
    query = select(Lot).where(among(Lot.id, ids[:MOST_SHOWN])).options(joinedload(Lot.item)).order_by(Lot.id)
    lots = sorted(db.session.scalars(query), key=lambda lot: (lot.id not in chosen, lot.id))
    reach = trace.reach(ids)
    facts = {"here": recall.units_here(ids), "reach": reach, "falls": effects.falls(ids)}
    frozen = set(db.session.scalars(select(Lot.id).where(among(Lot.id, ids), Lot.recalled_at.is_not(None))))
    return {"lots": lots, "chosen": set(chosen), "further": further, "count": len(ids), "frozen": frozen, **facts}


@blueprint.post("/recalls")
def make() -> Response:
    """The recall is open: its lots are frozen in every store. A second click finds them recalled already."""
    ids = {found for text in request.form.getlist("lot") if (found := row_id(text)) is not None}
    chosen = {found for text in request.form.getlist("chosen") if (found := row_id(text)) is not None}
    is_drill = request.form.get("is_drill") == "on"
    if request.form.get("all") == "on":
        ids |= set(made_from(chosen)) - set(_recalled(made_from(chosen)))
    reason = request.form.get("reason", "")
    try:
        if not reason.strip():
            raise RuleError("Write why; it is kept in the decision log.", field="reason")
        opened = recall.open_(ids, chosen=chosen & ids, reason=reason, is_drill=is_drill, actor=g.user, at=clock.now())
    except (RuleError, NotFoundError) as error:
        db.session.rollback()
        lots = db.session.scalars(select(Lot).where(among(Lot.id, chosen or ids)).order_by(Lot.id)).all()
        field = getattr(error, "field", None) or "lots"
        field = field if lots else "numbers"
        values = {"reason": reason[: recall.LONGEST_WORDS], "is_drill": is_drill}
        return _form([lot.lot_number for lot in lots], lots, {field: str(error)}, 422, values)
    db.session.commit()
    return see_other(f"/recalls/{opened.id}")


def _recalled(lot_ids: Iterable[int]) -> Sequence[int]:
    return db.session.scalars(select(Lot.id).where(among(Lot.id, lot_ids), Lot.recalled_at.is_not(None))).all()


# One ----------------------------------------------------------------------------------------------------------------------------------


@blueprint.get("/recalls/<int:recall_id>")
def one(recall_id: int) -> Response:
    """One recall: who has units of its lots, what stands where, what was decided."""
    return _shown(recall.get(recall_id))


def _shown(of: Recall, errors: dict[str | None, str] | None = None, status: int = 200) -> Response:
    rows = recall.lots_of(of)
    ids = [row.lot_id for row in rows]
    reach = trace.reach(ids)
    facts = {
        "recall": of,
        "rows": rows,
        "reach": reach,
        "here": recall.units_here(ids),
        "entries": recall.entries_of(of),
        "numbers": effects.numbers_of(ids),
        "errors": errors or {},
        "most": MOST_SHOWN,
    }
    return page("desk/recall.html", "desk/_sales.html", status=status, **facts, **sales_shown(ids, f"/recalls/{of.id}"))


@blueprint.post("/recalls/<int:recall_id>/end")
def end(recall_id: int) -> Response:
    """The ticked lots are back on sale, or what was here of them is scrapped."""
    of = recall.get(recall_id)
    ids = {found for text in request.form.getlist("lot") if (found := row_id(text)) is not None}
    outcome = request.form.get("outcome", "")
    try:
        if outcome not in OUTCOMES:
            raise RuleError("Choose whether the units come back or are scrapped.", field="outcome")
        recall.end(of, outcome, ids, reason=request.form.get("words", ""), actor=g.user, at=clock.now())
    except RuleError as error:
        db.session.rollback()
        return _shown(recall.get(recall_id), {"end": str(error)}, 422)
    db.session.commit()
    return see_other(f"/recalls/{recall_id}")


@blueprint.post("/recalls/<int:recall_id>/lots")
def widen(recall_id: int) -> Response:
    """The recall holds one lot more."""
    of = recall.get(recall_id)
    number = request.form.get("number", "").strip()[:200]
    try:
        lot = db.session.scalar(select(Lot).where(Lot.lot_number == number))
        if lot is None:
            raise RuleError(f"There is no lot {number}." if number else "Type a lot number.", field="number")
        recall.widen(of, [lot.id], actor=g.user, at=clock.now())
    except RuleError as error:
        db.session.rollback()
        return _shown(recall.get(recall_id), {"number": str(error)}, 422)
    db.session.commit()
    return see_other(f"/recalls/{recall_id}")


@blueprint.post("/recalls/<int:recall_id>/notes")
def note(recall_id: int) -> Response:
    """The decision log has one line more."""
    of = recall.get(recall_id)
    try:
        recall.note(of, request.form.get("words", ""), actor=g.user, at=clock.now())
    except RuleError as error:
        db.session.rollback()
        return _shown(recall.get(recall_id), {"words": str(error)}, 422)
    db.session.commit()
    return see_other(f"/recalls/{recall_id}")


@blueprint.get("/recalls/<int:recall_id>/orders.csv")
def orders_file(recall_id: int) -> Response:
    """The affected order lines as a file."""
    of = recall.get(recall_id)
    return as_csv(f"{of.name}-orders", effects.ORDER_COLUMNS, effects.order_rows(recall.lots_of(of)))


@blueprint.get("/recalls/<int:recall_id>/log.csv")
def log_file(recall_id: int) -> Response:
    """The decision log as a file, oldest line first."""
    of = recall.get(recall_id)
    rows = [[entry.written_at.isoformat(), entry.actor, entry.words] for entry in reversed(recall.entries_of(of))]
    return as_csv(f"{of.name}-log", ("at", "who", "what"), rows)
