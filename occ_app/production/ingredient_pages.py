"""Ingredients: the list, one ingredient, receiving, counting, a lot of it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from urllib.parse import quote_plus

from flask import Blueprint, Response, g, request
from sqlalchemy import func, select
from sqlalchemy.orm import joinedload

from occ_app import clock
from occ_app.catalog import pull
from occ_app.catalog.models import INGREDIENT, Item, Location
from occ_app.errors import NotFoundError, RuleError
from occ_app.extensions import db
from occ_app.production import costs, forms, formulas, ingredients, rules, units
from occ_app.production.models import (
    Formula,
    FormulaLine,
    Ingredient,
    ProductionRun,
    Receipt,
    RunConsumption,
    RunOutput,
    RunReservation,
)
from occ_app.production.views import asked, pages_of
from occ_app.searching import contains
from occ_app.stock import lots
from occ_app.stock.models import Balance, Lot, StockMove
from occ_app.stock.rules import LOT_PLACES, ON_HOLD, RELEASED, RESERVED
from occ_app.web import page, row_id, see_other

blueprint = Blueprint("ingredients", __name__)
PER_PAGE = 50
MOST_LOTS = 200  # on one page
SOON = timedelta(days=30)
VIEWS = {"all": "All", "low": "To reorder", "expiring": "Expiring"}
FIELDS = ("code", "name", "unit", "reorder_point", "lead_time_days", "shelf_life_days", "unit_cost", "supplier")
PAPERS = (
    "quantity",
    "unit",
    "supplier",
    "supplier_lot_number",
    "lot_number",
    "unit_cost",
    "received_on",
    "expires_on",
    "place",
    "location",
)


# The list -----------------------------------------------------------------------------------------------------------------------------


@blueprint.get("/production/ingredients")
def index() -> Response:
    """Ingredients with what is on hand, reserved and available."""
    view = request.args.get("view", "all") if request.args.get("view") in VIEWS else "all"
    q, number = asked()
    today = forms.today()
    query = select(Item).where(Item.kind == INGREDIENT, Item.archived_at.is_(None))
    if q:
        query = query.where(contains(q, Item.name, Item.sku))
    if view == "low":
        query = query.where(Item.reorder_point.is_not(None), _available(today) <= Item.reorder_point)
    if view == "expiring":
        query = query.where(Item.id.in_(_expiring(today)))
    total = db.session.scalar(select(func.count()).select_from(query.subquery())) or 0
    shown = query.order_by(Item.name, Item.id).limit(PER_PAGE).offset((number - 1) * PER_PAGE)
    found = db.session.scalars(shown).all()
    facts = {"rows": _rows(found, today), "view": view, "q": q, "any": total or _any()}
    facts["pages"] = pages_of(total, number, f"/production/ingredients?view={view}&q={quote_plus(q)}&")
    return page("production/ingredients.html", "production/_ingredients.html", **facts, views=_tabs(today))


def _any() -> bool:
    return db.session.scalar(select(Item.id).where(Item.kind == INGREDIENT).limit(1)) is not None


def _tabs(today: date) -> list[tuple[str, str, int | None]]:
    living = select(func.count()).select_from(Item).where(Item.kind == INGREDIENT, Item.archived_at.is_(None))
    low = living.where(Item.reorder_point.is_not(None), _available(today) <= Item.reorder_point)
    counts = {
        "all": db.session.scalar(living) or 0,
        "low": db.session.scalar(low) or 0,
        "expiring": db.session.scalar(living.where(Item.id.in_(_expiring(today)))) or 0,
    }
    return [(key, words, counts[key]) for key, words in VIEWS.items()]


def _good(today: date):  # type: ignore[no-untyped-def]
    return Lot.recalled_at.is_(None) & (Lot.expires_on.is_(None) | (Lot.expires_on > today))


def _available(today: date):  # type: ignore[no-untyped-def]
    """What runs may take of an item, as a column."""
    total = select(func.coalesce(func.sum(Balance.quantity), 0)).join(Lot, Lot.id == Balance.lot_id)
    return (
        total.where(Balance.item_id == Item.id, Balance.place == RELEASED, _good(today))
        .correlate(Item)
        .scalar_subquery()
    )


def _expiring(today: date):  # type: ignore[no-untyped-def]
    """Ids of items of which something will be past its date soon, or is."""
    return (
        select(Balance.item_id)
        .join(Lot, Lot.id == Balance.lot_id)
        .where(Balance.quantity > 0, Balance.place.in_((*LOT_PLACES, RESERVED)), Lot.expires_on <= today + SOON)
    )


def _rows(items: Any, today: date) -> list[dict[str, Any]]:
    there = ingredients.standing([item.id for item in items])
    lot_ids = [lot for of_item in there.values() for lot in of_item]
    known = {lot.id: lot for lot in db.session.scalars(select(Lot).where(Lot.id.in_(lot_ids)))}
    own = {
        row.item_id: row
        for row in db.session.scalars(select(Ingredient).where(Ingredient.item_id.in_([item.id for item in items])))
    }
    return [{"item": item, "own": own.get(item.id), **_sums(there.get(item.id, {}), known, today)} for item in items]


def _sums(places_of: dict[int, dict[str, int]], known: dict[int, Lot], today: date) -> dict[str, Any]:
    """On hand, reserved, on hold, past its date, available; and the first day on which a lot will be past its date."""
    on_hand = sum(sum(places.values()) for places in places_of.values())
    held = sum(places.get(RESERVED, 0) for places in places_of.values())
    bad = [lot for lot in places_of if known[lot].recalled_at or _is_past(known[lot], today)]
    free = sum(places.get(RELEASED, 0) for lot, places in places_of.items() if lot not in bad)
    days = [expires for lot in places_of if (expires := known[lot].expires_on)]
    return {
        "on_hand": on_hand,
        "reserved": held,
        "on_hold": sum(places.get(ON_HOLD, 0) for places in places_of.values()),
        "past": sum(sum(places_of[lot].values()) for lot in bad),
        "available": free,
        "first_day": min(days, default=None),
        "is_soon": bool(days) and min(days) <= today + SOON,
    }


def _is_past(lot: Lot, today: date) -> bool:
    return lot.expires_on is not None and lot.expires_on <= today


# One ingredient -----------------------------------------------------------------------------------------------------------------------


@blueprint.get("/production/ingredients/new")
def new() -> Response:
    """The form for a new ingredient."""
    return _form(None, dict.fromkeys(FIELDS, "") | {"unit": "kg"}, [], {})


def _form(
    row: Ingredient | None, values: forms.Values, chosen: list[str], errors: dict[str | None, str], status: int = 200
) -> Response:
    facts = {"units": units.UNITS, "allergens": rules.ALLERGENS, "chosen": chosen, "errors": errors}
    return page("production/ingredient_form.html", status=status, row=row, values=values, **facts)


@blueprint.post("/production/ingredients")
def add() -> Response:
    """A new ingredient is there."""
    values, chosen = forms.values_of(request.form, *FIELDS), request.form.getlist("allergens")[:20]
    try:
        made = ingredients.add(forms.ingredient(values, chosen), at=clock.now())
    except RuleError as error:
        db.session.rollback()
        return _form(None, values, chosen, {error.field: str(error)}, 422)
    db.session.commit()
    return see_other(f"/production/ingredients/{made.item_id}")


@blueprint.get("/production/ingredients/<int:item_id>/change")
def change_form(item_id: int) -> Response:
    """The form that changes an ingredient."""
    row = ingredients.get(item_id)
    item = row.item
    values = {"code": item.sku, "name": item.name, "unit": item.unit, "supplier": row.supplier}
    values["unit_cost"] = f"{row.unit_cost.normalize():f}" if row.unit_cost else ""
    values["reorder_point"] = units.plain(item.reorder_point, item.unit) if item.reorder_point is not None else ""
    for name in ("lead_time_days", "shelf_life_days"):
        values[name] = "" if getattr(item, name) is None else str(getattr(item, name))
    return _form(row, values, list(row.allergens), {})


@blueprint.post("/production/ingredients/<int:item_id>/change")
def change(item_id: int) -> Response:
    """The ingredient is as the form says."""
    row = ingredients.get(item_id)
    values, chosen = forms.values_of(request.form, *FIELDS), request.form.getlist("allergens")[:20]
    values["code"] = row.item.sku
    try:
        ingredients.change(row, forms.ingredient(values, chosen))
    except RuleError as error:
        db.session.rollback()
        return _form(ingredients.get(item_id), values, chosen, {error.field: str(error)}, 422)
    db.session.commit()
    return see_other(f"/production/ingredients/{item_id}")


@blueprint.get("/production/ingredients/<int:item_id>")
def one(item_id: int) -> Response:
    """One ingredient: its lots, what it goes into, what moved."""
    row, today = ingredients.get(item_id), forms.today()
    there = ingredients.standing([item_id]).get(item_id, {})
    known = _lots_of(item_id, list(there))
    item, paper = row.item, _papers([lot.id for lot in known])
    total = _sums(there, {lot.id: lot for lot in known}, today)
    made = costs.composition([item_id])
    cost = made.cost(item_id)
    facts = {
        "row": row,
        "item": item,
        "lots": known[:MOST_LOTS],
        "there": there,
        "papers": paper,
        "sums": total,
        "cost": cost,
        "value": cost * total["on_hand"] if cost is not None else None,
        "carried": made.allergens_of(item_id),
        "formula": formulas.current_of(item_id),
        "used_in": _used_in(item_id),
        "planned": _reserving(item_id),
        "moves": _moves(StockMove.item_id == item_id),
    }
    return page("production/ingredient.html", **facts, today=today, words=rules.ALLERGENS, soon=today + SOON)


def _lots_of(item_id: int, lot_ids: list[int]) -> list[Lot]:
    query = select(Lot).where(Lot.item_id == item_id, Lot.id.in_(lot_ids))
    return list(db.session.scalars(query.order_by(Lot.expires_on.nulls_last(), Lot.id)))


def _papers(lot_ids: list[int]) -> dict[int, Receipt]:
    query = select(Receipt).where(Receipt.lot_id.in_(lot_ids))
    return {paper.lot_id: paper for paper in db.session.scalars(query)}


def _used_in(item_id: int) -> list[Any]:
    query = (
        select(Item, FormulaLine, Formula.yield_quantity)
        .select_from(FormulaLine)
        .join(Formula, Formula.id == FormulaLine.formula_id)
        .join(Item, Item.id == Formula.item_id)
        .where(FormulaLine.component_id == item_id, Formula.is_current)
        .order_by(Item.name)
        .limit(100)
    )
    return list(db.session.execute(query))


def _reserving(item_id: int) -> list[Any]:
    held = select(RunReservation.run_id, func.sum(RunReservation.quantity).label("held"))
    held = held.where(RunReservation.item_id == item_id).group_by(RunReservation.run_id).subquery()
    query = select(ProductionRun, held.c.held).join(held, held.c.run_id == ProductionRun.id)
    query = query.options(joinedload(ProductionRun.item)).order_by(ProductionRun.planned_on, ProductionRun.id)
    return [(run, int(quantity)) for run, quantity in db.session.execute(query.limit(50))]


def _moves(condition: Any) -> list[StockMove]:
    return list(db.session.scalars(select(StockMove).where(condition).order_by(StockMove.id.desc()).limit(15)))


# Receiving and counting ---------------------------------------------------------------------------------------------------------------


@blueprint.get("/production/ingredients/<int:item_id>/receive")
def receive_form(item_id: int) -> Response:
    """The form for a lot that came."""
    row = ingredients.get(item_id)
    values = dict.fromkeys(PAPERS, "") | {"unit": row.item.unit, "supplier": row.supplier, "place": RELEASED}
    values["received_on"] = forms.today().isoformat()
    values["unit_cost"] = f"{row.unit_cost.normalize():f}" if row.unit_cost else ""
    return _receive_form(row, values, {})


def _receive_form(row: Ingredient, values: forms.Values, errors: dict[str | None, str], status: int = 200) -> Response:
    fitting = [unit for unit in units.UNITS if units.are_compatible(unit, row.item.unit)]
    default = pull.default_location()
    facts = {"units": fitting, "locations": pull.locations(), "default_id": str(default.id) if default else ""}
    facts |= {"values": values, "errors": errors, "row": row, "item": row.item, "today": forms.today()}
    return page("production/receive_form.html", status=status, **facts)


@blueprint.post("/production/ingredients/<int:item_id>/receive")
def receive(item_id: int) -> Response:
    """A lot of the ingredient is there."""
    row = ingredients.get(item_id)
    values = forms.values_of(request.form, *PAPERS)
    try:
        _receive(row, values)
    except RuleError as error:
        db.session.rollback()
        return _receive_form(ingredients.get(item_id), values, {error.field: str(error)}, 422)
    db.session.commit()
    return see_other(f"/production/ingredients/{item_id}")


def _receive(row: Ingredient, values: forms.Values) -> Lot:
    item, place = row.item, _place(values["location"])
    unit = units.check_unit(values["unit"] or item.unit)
    units.check_compatible(unit, item.unit, item.name)
    return ingredients.receive(
        item,
        forms.amount(values, "quantity", unit),
        location_id=place.id,
        supplier=values["supplier"],
        supplier_lot_number=values["supplier_lot_number"],
        lot_number=values["lot_number"],
        unit_cost=forms.money(values, "unit_cost"),
        received_on=forms.day(values, "received_on"),
        expires_on=forms.day(values, "expires_on"),
        place=ON_HOLD if values["place"] == ON_HOLD else RELEASED,
        today=forms.today(),
        actor=g.user,
        at=clock.now(),
    )


def _place(text: str) -> Location:
    place = next((p for p in pull.locations() if str(p.id) == text), None) or pull.default_location()
    if place is None:
        raise RuleError(
            "No location is set yet. It comes with the first pull of your store; try again in a minute.",
            field="quantity",
        )
    return place


@blueprint.get("/production/ingredients/<int:item_id>/count")
def count_form(item_id: int) -> Response:
    """The form that takes what was counted, lot by lot."""
    return _count_form(ingredients.get(item_id), {})


def _count_form(row: Ingredient, errors: dict[str | None, str], status: int = 200) -> Response:
    place = _place(request.values.get("location", ""))
    there = ingredients.standing([row.item_id], place.id).get(row.item_id, {})
    facts = {"row": row, "item": row.item, "there": there, "lots": _lots_of(row.item_id, list(there))[:MOST_LOTS]}
    facts |= {"errors": errors, "typed": request.form, "place": place, "locations": pull.locations()}
    return page("production/count_form.html", status=status, **facts)


@blueprint.post("/production/ingredients/<int:item_id>/count")
def count(item_id: int) -> Response:
    """The books say what was counted."""
    row = ingredients.get(item_id)
    place = _place(request.form.get("location", ""))
    there = ingredients.standing([item_id], place.id).get(item_id, {})
    seen_ids = {found for key in list(request.form)[:1000] if key.startswith("counted-") and (found := row_id(key[8:]))}
    unit_of_lot = dict.fromkeys(seen_ids | set(there), row.item.unit)
    try:
        typed = {lot: text for lot in unit_of_lot if (text := request.form.get(f"counted-{lot}", "").strip())}
        counted = forms.by_lot(request.form, "counted", dict.fromkeys(typed, row.item.unit))
        seen = forms.by_lot(request.form, "seen", dict.fromkeys(typed, row.item.unit))
        ingredients.count(row.item, place.id, counted, seen, actor=g.user, at=clock.now())
    except RuleError as error:
        db.session.rollback()
        return _count_form(ingredients.get(item_id), {error.field: str(error)}, 422)
    db.session.commit()
    return see_other(f"/production/ingredients/{item_id}")


# A lot --------------------------------------------------------------------------------------------------------------------------------


@blueprint.get("/production/ingredients/lots/<int:lot_id>")
def lot(lot_id: int) -> Response:
    """One lot of an ingredient: where it is, what it went into, its papers."""
    return _lot_page(_lot(lot_id))


def _lot(lot_id: int) -> Lot:
    query = select(Lot).join(Item, Item.id == Lot.item_id).where(Lot.id == lot_id, Item.kind == INGREDIENT)
    found = db.session.scalar(query.options(joinedload(Lot.item)))
    if found is None:
        raise NotFoundError("There is no such lot of an ingredient here.")
    return found


def _lot_page(found: Lot, error: str = "", status: int = 200, errors: dict[str | None, str] | None = None) -> Response:
    places = ingredients.standing([found.item_id]).get(found.item_id, {}).get(found.id, {})
    used = (
        select(RunConsumption, ProductionRun)
        .join(ProductionRun, ProductionRun.id == RunConsumption.run_id)
        .where(RunConsumption.lot_id == found.id)
        .options(joinedload(ProductionRun.item))
        .order_by(ProductionRun.id.desc())
        .limit(100)
    )
    made_by = db.session.scalar(
        select(ProductionRun).join(RunOutput, RunOutput.run_id == ProductionRun.id).where(RunOutput.lot_id == found.id)
    )
    moves = _moves(StockMove.lot_id == found.id)
    facts = {
        "lot": found,
        "item": found.item,
        "places": places,
        "paper": _papers([found.id]).get(found.id),
        "used": list(db.session.execute(used)),
        "made_by": made_by,
        "cost": costs.of_lot(found.id),
        "moves": moves,
        "notes": ingredients.notes_of(moves),
        "today": forms.today(),
        "error": error,
        "errors": errors or {},
        "typed": request.form,
    }
    return page("production/ingredient_lot.html", status=status, **facts)


@blueprint.post("/production/ingredients/lots/<int:lot_id>/<any(hold, release):verb>")
def step(lot_id: int, verb: str) -> Response:
    """All of the lot that is not reserved is on hold, or free for runs again."""
    found = _lot(lot_id)
    try:
        lots.move(found, ON_HOLD if verb == "hold" else RELEASED, actor=g.user, at=clock.now())
    except RuleError as error:
        db.session.rollback()
        return _lot_page(_lot(lot_id), str(error), 422)
    db.session.commit()
    return see_other(f"/production/ingredients/lots/{lot_id}")


@blueprint.post("/production/ingredients/lots/<int:lot_id>/waste")
def waste(lot_id: int) -> Response:
    """So much of the lot was thrown away."""
    found = _lot(lot_id)
    values = forms.values_of(request.form, "quantity", "note")
    try:
        quantity = forms.amount(values, "quantity", found.item.unit)
        ingredients.waste(found, found.item, quantity, note=values["note"], actor=g.user, at=clock.now())
    except RuleError as error:
        db.session.rollback()
        return _lot_page(_lot(lot_id), "", 422, {error.field: str(error)})
    db.session.commit()
    return see_other(f"/production/ingredients/lots/{lot_id}")
