"""Market days (take out, bring back, count), and units given away with what for."""

from __future__ import annotations

from datetime import date
from typing import Any

from flask import Blueprint, Response, g, request
from sqlalchemy import select

from occ_app import clock
from occ_app.b2b import levels
from occ_app.b2b.channel_pages import whole
from occ_app.catalog.models import PRODUCT, Item
from occ_app.errors import RuleError
from occ_app.extensions import db
from occ_app.stock import markets, splits
from occ_app.stock.channel_models import MarketDay
from occ_app.web import page, see_other

blueprint = Blueprint("markets", __name__)


def named_item(text: str, field: str = "item") -> Item:
    """The product of that SKU, or of that name. Raises RuleError."""
    text = text.strip()[:200]
    query = select(Item).where(Item.kind == PRODUCT, Item.archived_at.is_(None))
    sku = text.rsplit("(", 1)[-1].rstrip(")").strip() if "(" in text else text
    item = db.session.scalar(query.where(Item.sku.in_({text, sku})).order_by(Item.id).limit(1))
    item = item or db.session.scalar(query.where(Item.name == text).order_by(Item.id).limit(1))
    if item is None:
        raise RuleError("There is no product of that SKU. Choose one from the list.", field=field)
    return item


def products() -> list[Item]:
    """Products to choose from."""
    query = select(Item).where(Item.kind == PRODUCT, Item.archived_at.is_(None)).order_by(Item.name).limit(1000)
    return list(db.session.scalars(query))


@blueprint.get("/channels/markets")
def index() -> Response:
    """Market days, open ones first."""
    return _index()


def _index(status: int = 200, **given: Any) -> Response:
    facts = {"days": markets.days(), "errors": {}, "values": {"name": "", "held_on": splits.today().isoformat()}}
    return page("b2b/markets.html", status=status, **(facts | given))


@blueprint.post("/channels/markets")
def open_day() -> Response:
    """There is a market day to take units out for."""
    values = {name: request.form.get(name, "").strip()[:100] for name in ("name", "held_on")}
    try:
        try:
            held_on = date.fromisoformat(values["held_on"])
        except ValueError as error:
            raise RuleError("Give a day such as 2026-11-21.", field="held_on") from error
        place = levels.location()
        day = markets.open_day(values["name"], held_on, place.id, actor=g.user, at=clock.now())
    except RuleError as error:
        db.session.rollback()
        return _index(422, errors={error.field: str(error)}, values=values)
    db.session.commit()
    return see_other(f"/channels/markets/{day.id}")


@blueprint.get("/channels/markets/<int:day_id>")
def one(day_id: int) -> Response:
    """One market day."""
    return _one(markets.get(day_id))


def _one(day: MarketDay, status: int = 200, toast: str | None = None, **given: Any) -> Response:
    items = {
        item.id: item for item in db.session.scalars(select(Item).where(Item.id.in_([x.item_id for x in day.lines])))
    }
    facts = {"day": day, "items": items, "products": products(), "errors": {}, "values": {}}
    return page("b2b/market.html", status=status, toast=toast, **(facts | given))


@blueprint.post("/channels/markets/<int:day_id>/out")
def take_out(day_id: int) -> Response:
    """Units went out to the market."""
    values = {name: request.form.get(name, "")[:200] for name in ("item", "quantity")}
    try:
        item = named_item(values["item"])
        units = whole(values["quantity"], "quantity", least=1)
        markets.take_out(markets.get(day_id), item, units, actor=g.user, at=clock.now())
    except RuleError as error:
        db.session.rollback()
        return _one(markets.get(day_id), 422, errors={error.field: str(error)}, values=values)
    db.session.commit()
    return _one(markets.get(day_id), toast=f"Took out {units:,} of {item.name}")


@blueprint.post("/channels/markets/<int:day_id>/close")
def close(day_id: int) -> Response:
    """The day is counted: what came back, what was sold, what is missing."""
    day = markets.get(day_id)
    values = {key: value[:20] for key, value in request.form.items()}
    try:
        counted = {
            line.item_id: (_counted(values, f"back-{line.item_id}"), _counted(values, f"sold-{line.item_id}"))
            for line in day.lines
        }
        missing = markets.close(day, counted, actor=g.user, at=clock.now())
    except RuleError as error:
        db.session.rollback()
        return _one(markets.get(day_id), 422, errors={error.field: str(error)}, values=values)
    db.session.commit()
    return _one(
        markets.get(day_id), toast=f"Counted. {missing:,} missing" if missing else "Counted. Nothing is missing"
    )


def _counted(values: dict[str, str], field: str) -> int:
    text = values.get(field, "").strip()
    if not text:
        raise RuleError(markets.COUNT_ALL, field=field)
    return whole(text, field)


@blueprint.get("/channels/samples")
def samples() -> Response:
    """What was given away, and what for."""
    return _samples()


def _samples(status: int = 200, toast: str | None = None, **given: Any) -> Response:
    empty = {"item": "", "quantity": "", "purpose": "", "channel": "samples"}
    facts = {"rows": markets.handouts(), "products": products(), "errors": {}, "values": empty}
    return page("b2b/samples.html", status=status, toast=toast, **(facts | given))


@blueprint.post("/channels/samples")
def give_away() -> Response:
    """Units were given away, or used in the house."""
    values = {name: request.form.get(name, "")[:300] for name in ("item", "quantity", "purpose", "channel")}
    try:
        item = named_item(values["item"])
        units = whole(values["quantity"], "quantity", least=1)
        facts = {"actor": g.user, "at": clock.now()}
        markets.give_away(item, levels.location().id, values["channel"], units, values["purpose"], **facts)
    except RuleError as error:
        db.session.rollback()
        return _samples(422, errors={error.field: str(error)}, values=values)
    db.session.commit()
    return _samples(toast=f"Gave away {units:,} of {item.name}")
