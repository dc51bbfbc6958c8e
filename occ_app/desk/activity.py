"""Activity: every push, delivery and order, why it was and what came of it; taking a push back; what is parked, and another try."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from flask import Blueprint, Response, g, request
from sqlalchemy import func, select, update

from occ_app import clock
from occ_app.catalog.models import Item, Mapping
from occ_app.catalog.sheets import write
from occ_app.desk import happened
from occ_app.errors import NotFoundError, RuleError
from occ_app.extensions import db
from occ_app.inbox import working
from occ_app.inbox.models import PARKED, Delivery
from occ_app.orders.models import Order
from occ_app.sync import undo
from occ_app.sync.models import PushLine
from occ_app.sync.paging import search_text
from occ_app.web import page, row_id, see_other
from occ_app.work import tasks
from occ_app.work.models import TaskFailure

blueprint = Blueprint("activity", __name__)
VIEWS = {"all": happened.KINDS, **{kind: (kind,) for kind in happened.KINDS}, "parked": ()}
PER_PAGE = 50
MOST_LINES = 5000  # of a file
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
COLUMNS = ("at", "kind", "what", "state", "cause", "details", "change", "shopify_before", "shopify_after")


@blueprint.get("/activity")
def index() -> Response:
    """What happened, newest first, all of it or by kind."""
    view, q = _view(), search_text()
    found = happened.page(VIEWS[view], q, _before(), PER_PAGE)
    is_parked = view == "parked"
    parked = {"deliveries": _parked_deliveries(), "orders": _parked_orders(), "tasks": _failures()} if is_parked else {}
    older = f"/activity?{urlencode({'view': view, 'q': q, 'before': _written(found.older)})}" if found.older else None
    facts = {"view": view, "q": q, "rows": found.entries, "older": older, "is_first": "before" not in request.args}
    return page("desk/activity.html", "desk/_activity.html", parked=parked, count=_count_parked(), **facts)


@blueprint.get("/activity.csv")
def export() -> Response:
    """The same as a file, the newest lines at most."""
    found = happened.page(VIEWS[_view()], search_text(), None, MOST_LINES)
    rows = [
        (e.at.isoformat(), e.kind, e.what, e.state[0], e.cause, e.more, e.change, *(e.shopify or (None, None)))
        for e in found.entries
    ]
    headers = {"Content-Disposition": "attachment; filename=activity.csv"}
    return Response(write(COLUMNS, rows), mimetype="text/csv", headers=headers)


def _view() -> str:
    return request.args.get("view", "all") if request.args.get("view") in VIEWS else "all"


def _before() -> happened.Mark | None:
    """The line after which the page begins, as `1763740800000000-push-345`; None where that makes no sense."""
    since, _, rest = request.args.get("before", "")[:100].partition("-")
    kind, _, number = rest.partition("-")
    known = row_id(number)
    if known is None or kind not in happened.KINDS or not (since.isascii() and since.isdigit() and len(since) <= 17):
        return None
    return happened.Mark(EPOCH + timedelta(microseconds=int(since)), kind, known)


def _written(mark: happened.Mark) -> str:
    return f"{(mark.at - EPOCH) // timedelta(microseconds=1)}-{mark.kind}-{mark.id}"


@blueprint.get("/activity/pushes/<int:line_id>/undo")
def ask_about_push(line_id: int) -> Response:
    """What taking the push back does, before it is done."""
    return _ask_about([line_id], f"/activity/pushes/{line_id}/undo")


@blueprint.get("/activity/runs/<int:run_id>/undo")
def ask_about_run(run_id: int) -> Response:
    """What taking the run back does, before it is done."""
    return _ask_about(undo.lines_of(run_id), f"/activity/runs/{run_id}/undo")


def _ask_about(line_ids: list[int], path: str) -> Response:
    query = (
        select(PushLine, Item).join(Mapping, Mapping.id == PushLine.mapping_id).join(Item, Item.id == Mapping.item_id)
    )
    query = query.where(PushLine.id.in_(line_ids)).order_by(Item.name)
    entries = happened.pushes([(row[0], row[1]) for row in db.session.execute(query)])
    if not entries:
        raise NotFoundError("There is no such push here.")
    undoable = [entry for entry in entries if entry.undo]
    facts = {"shown": undoable[:PER_PAGE], "number": len(undoable), "left": len(entries) - len(undoable)}
    return page("desk/undo.html", path=path, units=sum(entry.change or 0 for entry in undoable), **facts)


@blueprint.post("/activity/pushes/<int:line_id>/undo")
def undo_push(line_id: int) -> Response:
    """The push is taken back within seconds."""
    return _take_back([line_id])


@blueprint.post("/activity/runs/<int:run_id>/undo")
def undo_run(run_id: int) -> Response:
    """What the run raised is taken back within seconds."""
    return _take_back(undo.lines_of(run_id))


def _take_back(line_ids: list[int]) -> Response:
    undo.ask(line_ids, actor=g.user, at=clock.now())
    db.session.commit()
    return see_other("/activity?view=push")


def _count_parked() -> int:
    counts = (
        select(func.count()).select_from(Delivery).where(Delivery.shop_id == g.shop_id, Delivery.state == PARKED),
        select(func.count()).select_from(Order).where(Order.due_at.is_not(None), Order.tries > 0),
        select(func.count()).select_from(TaskFailure).where(TaskFailure.shop_id == g.shop_id),
    )
    return sum(db.session.scalar(query) or 0 for query in counts)


def _parked_deliveries() -> list[Delivery]:
    query = select(Delivery).where(Delivery.shop_id == g.shop_id, Delivery.state == PARKED)
    return list(db.session.scalars(query.order_by(Delivery.id.desc()).limit(PER_PAGE)))


def _parked_orders() -> list[Order]:
    return list(
        db.session.scalars(
            select(Order).where(Order.due_at.is_not(None), Order.tries > 0).order_by(Order.id.desc()).limit(PER_PAGE)
        )
    )


def _failures() -> list[TaskFailure]:
    return list(db.session.scalars(select(TaskFailure).where(TaskFailure.shop_id == g.shop_id)))


@blueprint.post("/activity/deliveries/<int:delivery_id>/again")
def try_delivery(delivery_id: int) -> Response:
    """The parked delivery is worked on again."""
    if not working.try_again(g.shop_id, delivery_id, clock.now()):
        raise RuleError("This delivery is not parked any more, or what it said was erased.")
    tasks.ask("inbox", g.shop_id)
    db.session.commit()
    return see_other("/activity?view=parked")


@blueprint.post("/activity/orders/<int:order_id>/again")
def try_order(order_id: int) -> Response:
    """The order is read and booked again."""
    statement = (
        update(Order).where(Order.id == order_id, Order.tries > 0).values(tries=0, next_try_at=None, due_at=clock.now())
    )
    if not db.session.execute(statement).rowcount:  # type: ignore[attr-defined]
        raise RuleError("This order does not wait any more.")
    tasks.ask("orders", g.shop_id)
    db.session.commit()
    return see_other("/activity?view=parked")


@blueprint.post("/activity/tasks/<name>/again")
def try_task(name: str) -> Response:
    """The task that failed runs again."""
    if name not in tasks.names():
        raise RuleError("There is no such task.")
    tasks.ask(name, g.shop_id)
    db.session.commit()
    return see_other("/activity?view=parked")
