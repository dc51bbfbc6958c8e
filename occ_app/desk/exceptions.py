"""Exceptions: what only a person can decide, and what was decided."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from flask import Blueprint, Response, g, request
from sqlalchemy import ColumnElement, func, select
from sqlalchemy import case as sql_case
from sqlalchemy.orm import joinedload

from occ_app import clock
from occ_app.catalog.models import Item, Mapping, Variant
from occ_app.errors import RuleError
from occ_app.extensions import db
from occ_app.sync import desk, past, settle
from occ_app.sync.models import SyncException, SyncState
from occ_app.sync.paging import PER_PAGE, page_number, pages_of
from occ_app.sync.past import Past
from occ_app.sync.words import Case, case, name_of
from occ_app.web import is_fragment, page, see_other

blueprint = Blueprint("exceptions", __name__)


@dataclass(frozen=True)
class Shown:
    """An exception, its words, and for an open one the money that is at risk and of what kind; how a settled one ended, and by whom."""

    exception: SyncException
    case: Case
    money: Decimal | None
    risk: str
    past: Past | None = None


@blueprint.get("/exceptions")
def index() -> Response:
    """Open exceptions, most money first, or past ones, newest first, with who settled them."""
    view, number = "past" if request.args.get("view") == "past" else "open", page_number()
    is_open = SyncException.settled_at.is_(None) if view == "open" else SyncException.settled_at.is_not(None)
    total = db.session.scalar(select(func.count()).select_from(SyncException).where(is_open)) or 0
    number = min(number, max(1, -(-total // PER_PAGE)))  # those after it were settled meanwhile
    offset = (number - 1) * PER_PAGE
    return page(
        "desk/exceptions.html",
        "desk/_desk.html",
        shown=open_cases(PER_PAGE, offset) if view == "open" else _past(PER_PAGE, offset),
        view=view,
        number=count_open() if view == "past" else total,
        page=number,
        pages=pages_of(total, number, "/exceptions", {"view": view if view == "past" else ""}),
    )


def count_open() -> int:
    """How many exceptions are open."""
    is_open = select(func.count()).select_from(SyncException).where(SyncException.settled_at.is_(None))
    return db.session.scalar(is_open) or 0


@blueprint.post("/exceptions/<int:exception_id>/<remedy>")
def settle_one(exception_id: int, remedy: str) -> Response:
    """The exception is settled by that remedy; a second press is told that it was."""
    try:
        outcome = settle.settle(exception_id, remedy, actor=g.user, at=clock.now())
    except RuleError as error:
        db.session.rollback()
        if not is_fragment():
            raise
        return page("_error.html", "_error.html", status=422, message=str(error))
    db.session.commit()
    if is_fragment():
        return page(
            "desk/_settled.html",
            "desk/_settled.html",
            toast=outcome.sentence,
            sentence=outcome.sentence,
            exception_id=exception_id,
        )
    return see_other("/exceptions")


def open_cases(limit: int, offset: int = 0) -> list[Shown]:
    """Open exceptions in words, most money first, then the oldest."""
    money = _money()
    query = (
        select(SyncException, money)
        .outerjoin(Mapping, Mapping.id == SyncException.mapping_id)
        .outerjoin(Variant, Variant.id == Mapping.variant_id)
        .where(SyncException.settled_at.is_(None))
        .order_by(func.coalesce(money, 0).desc(), SyncException.raised_at, SyncException.id)
    )
    rows = db.session.execute(query.limit(limit).offset(offset)).all()
    names = _names([row[0] for row in rows])
    return [Shown(one, case(one, names[one.id]), amount, _risk(one)) for one, amount in rows]


def _past(limit: int, offset: int) -> list[Shown]:
    query = select(SyncException).where(SyncException.settled_at.is_not(None))
    newest = query.order_by(SyncException.settled_at.desc(), SyncException.id.desc())
    found = list(db.session.scalars(newest.limit(limit).offset(offset)))
    names = _names(found)
    told = [(one, past.told(one, names[one.id])) for one in found]
    return [Shown(one, how.case, None, "", how) for one, how in told]


def _money() -> ColumnElement[Decimal | None]:
    """What the units apart sell for, where the kind has any and Shopify names a price."""

    def fact(name: str) -> Any:
        return SyncException.facts[name].as_integer()

    apart = sql_case(
        (SyncException.kind == desk.DRIFT, fact("available") - fact("expected")),
        (SyncException.kind == desk.GUARD, fact("to") - fact("from")),
        (SyncException.kind == desk.LINK, fact("available") - func.greatest(0, fact("target"))),
    )
    return func.abs(apart) * Variant.price


def _risk(exception: SyncException) -> str:
    facts = exception.facts
    if exception.kind == desk.DRIFT:
        return "could oversell" if facts["available"] > facts["expected"] else "not for sale"
    return {desk.GUARD: "waits", desk.LINK: "apart"}.get(exception.kind, "")


def _names(found: list[SyncException]) -> dict[int, str]:
    """What each of these exceptions is about, by its id."""
    states = _states({e.mapping_id for e in found if e.mapping_id})
    items = _items({int(e.facts["item_id"]) for e in found if "item_id" in e.facts})
    names = {}
    for one in found:
        state, item = states.get(one.mapping_id or 0), items.get(int(one.facts.get("item_id", 0)))
        names[one.id] = name_of(state) if state else item.name if item else one.subject
    return names


def _states(ids: set[int]) -> dict[int, SyncState]:
    query = select(SyncState).where(SyncState.mapping_id.in_(ids))
    loaded = query.options(
        joinedload(SyncState.mapping).options(
            joinedload(Mapping.item), joinedload(Mapping.variant), joinedload(Mapping.location)
        )
    )
    return {state.mapping_id: state for state in db.session.scalars(loaded)}


def _items(ids: set[int]) -> dict[int, Item]:
    return {item.id: item for item in db.session.scalars(select(Item).where(Item.id.in_(ids)))}
