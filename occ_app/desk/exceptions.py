"""Exceptions: what only a person can decide, and what was decided."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from flask import Blueprint, Response, g, request
from sqlalchemy import func, select
from sqlalchemy.orm import joinedload

from occ_app import clock
from occ_app.catalog.models import Item, Mapping
from occ_app.errors import RuleError
from occ_app.extensions import db
from occ_app.sync import settle
from occ_app.sync.models import SyncException, SyncState
from occ_app.sync.words import Case, case, name_of
from occ_app.web import is_fragment, page, see_other

blueprint = Blueprint("exceptions", __name__)
PER_PAGE = 50


@dataclass(frozen=True)
class Shown:
    """An exception, its words, the money that is at risk and of what kind."""

    exception: SyncException
    case: Case
    money: Decimal | None
    risk: str


@blueprint.get("/exceptions")
def index() -> Response:
    """Open exceptions, or past ones, with who settled them."""
    view = "past" if request.args.get("view") == "past" else "open"
    shown = open_cases() if view == "open" else _past()
    number = (
        db.session.scalar(select(func.count()).select_from(SyncException).where(SyncException.settled_at.is_(None)))
        or 0
    )
    return page("desk/exceptions.html", "desk/_desk.html", shown=shown, view=view, number=number)


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


def open_cases(limit: int = 200) -> list[Shown]:
    """Open exceptions in words, most money first."""
    query = select(SyncException).where(SyncException.settled_at.is_(None)).order_by(SyncException.raised_at)
    shown = _in_words(list(db.session.scalars(query.limit(500))))
    return sorted(shown, key=lambda one: -(one.money or Decimal(0)))[:limit]


def _past() -> list[Shown]:
    query = select(SyncException).where(SyncException.settled_at.is_not(None)).order_by(SyncException.settled_at.desc())
    return _in_words(list(db.session.scalars(query.limit(PER_PAGE))))


def _in_words(found: list[SyncException]) -> list[Shown]:
    states = _states({e.mapping_id for e in found if e.mapping_id})
    items = _items({int(e.facts["item_id"]) for e in found if "item_id" in e.facts})
    return [_one(exception, states.get(exception.mapping_id or 0), items) for exception in found]


def _one(exception: SyncException, state: SyncState | None, items: dict[int, Item]) -> Shown:
    item = items.get(int(exception.facts.get("item_id", 0)))
    name = name_of(state) if state else item.name if item else exception.subject
    price = state.mapping.variant.price if state else None
    amount, risk = _risk(exception, price)
    return Shown(exception, case(exception, name), amount, risk)


def _risk(exception: SyncException, price: Decimal | None) -> tuple[Decimal | None, str]:
    facts = exception.facts
    if price is None:
        return None, ""
    if exception.kind == "drift":
        difference = facts["available"] - facts["expected"]
        return abs(difference) * price, "could oversell" if difference > 0 else "not for sale"
    if exception.kind == "guard":
        return abs(facts["to"] - facts["from"]) * price, "waits"
    if exception.kind == "link":
        return abs(facts["available"] - max(0, facts["target"])) * price, "apart"
    return None, ""


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
