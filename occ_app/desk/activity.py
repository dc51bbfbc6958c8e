"""Activity: every push, delivery and order, and what came of it; what is parked, with its cause and another try."""

from __future__ import annotations

from flask import Blueprint, Response, g, request
from sqlalchemy import select, update
from sqlalchemy.orm import joinedload, selectinload

from occ_app import clock
from occ_app.catalog.models import Mapping
from occ_app.errors import RuleError
from occ_app.extensions import db
from occ_app.inbox import working
from occ_app.inbox.models import PARKED, Delivery
from occ_app.orders.models import Order
from occ_app.sync.models import PushLine, SyncRun
from occ_app.web import page, see_other
from occ_app.work import tasks
from occ_app.work.models import TaskFailure

blueprint = Blueprint("activity", __name__)
VIEWS = ("run", "push", "order", "delivery", "parked")
PER_PAGE = 50


@blueprint.get("/activity")
def index() -> Response:
    """What happened, newest first, by kind."""
    view = request.args.get("view", "run") if request.args.get("view") in VIEWS else "run"
    rows = {"run": _runs, "push": _pushes, "order": _orders, "delivery": _deliveries, "parked": list}[view]()
    parked = {"deliveries": _deliveries(PARKED), "orders": _parked_orders(), "tasks": _failures()}
    return page(
        "desk/activity.html",
        "desk/_activity.html",
        view=view,
        rows=rows,
        parked=parked,
        count=sum(map(len, parked.values())),
        names=_names(rows),
    )


def _runs() -> list[SyncRun]:
    return list(db.session.scalars(select(SyncRun).order_by(SyncRun.id.desc()).limit(PER_PAGE)))


def _pushes() -> list[PushLine]:
    return list(db.session.scalars(select(PushLine).order_by(PushLine.id.desc()).limit(PER_PAGE)))


def _names(rows: list[object]) -> dict[int, Mapping]:
    ids = {row.mapping_id for row in rows if isinstance(row, PushLine)}
    query = select(Mapping).where(Mapping.id.in_(ids)).options(joinedload(Mapping.item), joinedload(Mapping.variant))
    return {mapping.id: mapping for mapping in db.session.scalars(query)} if ids else {}


def _orders() -> list[Order]:
    query = select(Order).options(selectinload(Order.lines)).order_by(Order.id.desc()).limit(PER_PAGE)
    return list(db.session.scalars(query))


def _parked_orders() -> list[Order]:
    return list(
        db.session.scalars(
            select(Order).where(Order.due_at.is_not(None), Order.tries > 0).order_by(Order.id.desc()).limit(PER_PAGE)
        )
    )


def _deliveries(state: str | None = None) -> list[Delivery]:
    query = select(Delivery).where(Delivery.shop_id == g.shop_id).order_by(Delivery.id.desc()).limit(PER_PAGE)
    return list(db.session.scalars(query.where(Delivery.state == state) if state else query))


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
