"""The queue of numbers that wait for a person, what became of past ones, and numbers to type into Shopify by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, g, request

from occ_app import clock
from occ_app.errors import NotFoundError, RuleError
from occ_app.extensions import db
from occ_app.sync import approvals, queue
from occ_app.sync.approvals import Outcome
from occ_app.sync.paging import PER_PAGE, page_number, pages_of
from occ_app.web import is_fragment, page, row_id, see_other

blueprint = Blueprint("approvals", __name__)
VIEWS = ("waiting", "hand", "past")


@blueprint.get("/approvals")
def index() -> Response:
    """Numbers that wait, by hand, or past."""
    return _shown()


def _shown(error: str = "", status: int = 200, toast: str | None = None, left_out: tuple[str, ...] = ()) -> Response:
    view = request.args.get("view") if request.args.get("view") in VIEWS else "waiting"
    waiting = approvals.waiting()
    number = 1 if request.method == "POST" else page_number()
    offset = (number - 1) * PER_PAGE
    rows = queue.rows(waiting[offset : offset + PER_PAGE]) if view == "waiting" else []
    past, of_past = queue.settled(PER_PAGE, offset) if view == "past" else ([], 0)
    hand, by_hand = queue.by_hand(PER_PAGE, offset if view == "hand" else 0)
    total = {"waiting": len(waiting), "past": of_past, "hand": by_hand}[view]
    facts: dict[str, Any] = {"rows": rows, "past": past, "hand": hand, "view": view}
    facts |= {"counts": {"waiting": len(waiting), "hand": by_hand}, "newest": waiting[-1].id if waiting else 0}
    facts |= {"pages": pages_of(total, number, "/approvals", {"view": view}), "left_out": left_out, "error": error}
    facts["reason"] = request.form.get("reason", "")[: approvals.LONGEST_REASON]
    return page("sync/approvals.html", "sync/_approvals.html", status=status, toast=toast, **facts)


@blueprint.post("/approvals/approve")
def approve() -> Response:
    """The ticked numbers, or all that were seen, are pushed; those that changed meanwhile are told."""
    return _answer("Approved", lambda ids: approvals.approve(ids, actor=g.user, at=clock.now()))


@blueprint.post("/approvals/reject")
def reject() -> Response:
    """Shopify keeps its numbers."""
    reason = request.form.get("reason", "")
    return _answer("Rejected", lambda ids: approvals.reject(ids, reason=reason, actor=g.user, at=clock.now()))


def _answer(done: str, answer: Callable[[list[int]], Outcome]) -> Response:
    try:
        outcome = answer(_ids())
    except (RuleError, NotFoundError) as error:
        db.session.rollback()
        return _shown(str(error), 422)
    db.session.commit()
    if not is_fragment() and not outcome.left_out:
        return see_other("/approvals")
    return _shown(toast=f"{done} {outcome.done}", left_out=outcome.left_out)


def _ids() -> list[int]:
    """The chosen approvals. "All" means all that were there when the page was shown."""
    newest = row_id(request.form.get("all_until", ""))
    if newest is not None:
        return [row.id for row in approvals.waiting() if row.id <= newest]
    chosen = [row_id(text) for text in request.form.getlist("id")[:1000]]
    return [one for one in chosen if one is not None]
