"""Home: what is true, what needs you, what runs next."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, g, request
from sqlalchemy import func, select

from occ_app import clock
from occ_app.catalog import pull
from occ_app.catalog.models import PRODUCT, Item, Mapping
from occ_app.desk.exceptions import count_open, open_cases
from occ_app.extensions import db
from occ_app.orders.models import Order
from occ_app.partners import joining, supplies
from occ_app.stock.models import Lot
from occ_app.sync.models import LINKED, SyncRun, SyncState
from occ_app.sync.words import local
from occ_app.web import page, see_other
from occ_app.work import tasks

blueprint = Blueprint("home", __name__)


@blueprint.get("/")
def home() -> Response:
    """What is true, what needs you, what runs next; the steps of setting up until they are done."""
    if "own" not in request.args and supplies.only_supplies(g.shop_id):
        return see_other("/supplies")
    steps, waiting = _steps(), joining.waiting_for(g.shop_domain, clock.now())
    if waiting and "own" not in request.args and not has_items():
        return see_other("/supplies")
    if not all(step["done"] for step in steps):
        return page("desk/setup.html", "desk/_setup.html", steps=steps, pull=pull.newest(), waiting=waiting)
    facts = {
        "metrics": _metrics(),
        "number": count_open(),
        "waiting": waiting,
        "cases": open_cases(limit=3),
        "runs": _runs(),
        "now": local(clock.now()),
    }
    return page("desk/home.html", **facts)


@blueprint.get("/home/metrics")
def metrics() -> Response:
    """The numbers at the top, fresh."""
    return page("desk/_metrics.html", metrics=_metrics())


@blueprint.post("/home/sync")
def sync_all() -> Response:
    """All numbers are compared with Shopify now."""
    tasks.ask("reconcile", g.shop_id)
    db.session.commit()
    return see_other("/activity")


def has_items() -> bool:
    """Whether the shop keeps stock of anything of its own."""
    return db.session.scalar(select(Item.id).where(Item.kind == PRODUCT).limit(1)) is not None


def _steps() -> list[dict[str, Any]]:
    """What a new shop does first, in order, with what is done."""
    place = pull.default_location()
    has_lots = db.session.scalar(select(Lot.id).join(Item).where(Item.kind == PRODUCT).limit(1)) is not None
    has_mappings = db.session.scalar(select(Mapping.id).limit(1)) is not None
    is_linked = (
        db.session.scalar(select(SyncState.mapping_id).where(SyncState.expected.is_not(None)).limit(1)) is not None
    )
    return [
        {
            "title": "Your store",
            "words": place.name if place else "We are reading its locations and variants",
            "done": place is not None,
            "path": "/settings",
            "do": "Change",
        },
        {
            "title": "Your items",
            "words": "What you keep stock of, one by one or as CSV",
            "done": has_items(),
            "path": "/products/new",
            "do": "Add an item",
        },
        {
            "title": "Map your items",
            "words": "Say which variant in Shopify sells each",
            "done": has_mappings,
            "path": "/mapping",
            "do": "Map",
        },
        {
            "title": "A first lot",
            "words": "What you finished together, such as today's 120 bars",
            "done": has_lots,
            "path": "/lots/new",
            "do": "Make a lot",
        },
        {
            "title": "Compare with Shopify",
            "words": "For each number, say which side is right",
            "done": is_linked,
            "path": "/exceptions",
            "do": "Compare",
        },
    ]


def _metrics() -> dict[str, Any]:
    living = (
        select(SyncState)
        .join(Mapping, Mapping.id == SyncState.mapping_id)
        .where(Mapping.ended_at.is_(None), Mapping.sync_enabled)
    )
    inner = living.subquery()
    right = (inner.c.state == LINKED) & (inner.c.target == inner.c.expected) & (inner.c.drift == 0)
    total, agreeing, waiting = db.session.execute(
        select(
            func.count(),
            func.count().filter(right),
            func.count().filter((inner.c.state == LINKED) & (inner.c.target != inner.c.expected)),
        ).select_from(inner)
    ).one()
    midnight = local(clock.now()).replace(hour=0, minute=0, second=0, microsecond=0)
    orders = db.session.scalar(select(func.count()).select_from(Order).where(Order.placed_at >= midnight)) or 0
    return {
        "total": total,
        "right": agreeing,
        "waiting": waiting,
        "orders": orders,
        "reconciled_at": g.shop.reconciled_at,
    }


def _runs() -> dict[str, Any]:
    past = db.session.scalars(
        select(SyncRun).where(SyncRun.finished_at.is_not(None)).order_by(SyncRun.id.desc()).limit(5)
    ).all()
    last = g.shop.reconciled_at
    return {"past": past, "next_at": last + timedelta(minutes=5) if last else None}
