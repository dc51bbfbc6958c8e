"""Formulas: the list, one version, writing a new one, two compared."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from urllib.parse import quote_plus

from flask import Blueprint, Response, g, request
from sqlalchemy import func, select
from sqlalchemy.orm import joinedload

from occ_app import clock
from occ_app.catalog.models import Item
from occ_app.errors import NotFoundError, RuleError
from occ_app.extensions import db
from occ_app.production import costs, forms, formulas, rules, units
from occ_app.production.formulas import MOST_LINES, NewLine, unit_of
from occ_app.production.models import Formula, FormulaLine
from occ_app.production.views import asked, pages_of
from occ_app.searching import contains
from occ_app.web import MOST_ID, page, row_id, see_other

blueprint = Blueprint("formulas", __name__)
PER_PAGE = 50
EMPTY_ROWS = 4
CELLS = ("component", "quantity", "unit", "scrap", "loss")


@blueprint.get("/production/formulas")
def index() -> Response:
    """Current formulas with cost per unit and allergens."""
    q, number = asked()
    query = select(Formula).join(Item, Item.id == Formula.item_id).where(Formula.is_current, Item.archived_at.is_(None))
    if q:
        query = query.where(contains(q, Item.name, Item.sku))
    total = db.session.scalar(select(func.count()).select_from(query.subquery())) or 0
    shown = query.options(joinedload(Formula.item)).order_by(Item.name, Item.id)
    found = db.session.scalars(shown.limit(PER_PAGE).offset((number - 1) * PER_PAGE)).all()
    made = costs.composition([formula.item_id for formula in found])
    rows = [
        {"formula": f, "item": f.item, "cost": made.cost(f.item_id), "carried": made.allergens_of(f.item_id)}
        for f in found
    ]
    facts = {"rows": rows, "q": q, "pages": pages_of(total, number, f"/production/formulas?q={quote_plus(q)}&")}
    any_ = total or db.session.scalar(select(Formula.id).limit(1)) is not None
    facts |= {"words": rules.ALLERGENS, "any": any_, "without": _without()}
    return page("production/formulas.html", "production/_formulas.html", **facts)


def _without() -> list[Item]:
    """Items that have no formula yet, to choose from."""
    made = select(Formula.item_id).where(Formula.is_current)
    query = select(Item).where(Item.archived_at.is_(None), Item.id.not_in(made)).order_by(Item.kind.desc(), Item.name)
    return list(db.session.scalars(query.limit(2000)))


@blueprint.get("/production/formulas/new")
def choose() -> Response:
    """On to the form for the chosen item."""
    return see_other(f"/production/formulas/{_item(row_id(request.args.get('item', ''))).id}/edit")


def _item(item_id: int | None) -> Item:
    item = db.session.scalar(select(Item).where(Item.id == item_id))
    if item is None:
        raise NotFoundError("There is no such item here.")
    return item


@blueprint.get("/production/formulas/<int:item_id>")
def one(item_id: int) -> Response:
    """One version of a formula: what goes in, what it costs, what it carries."""
    item = _item(item_id)
    version = request.args.get("version", type=int)
    found = formulas.version_of(item_id, max(0, min(version, MOST_ID))) if version else formulas.current_of(item_id)
    if found is None:
        return page("production/formula_none.html", item=item)
    made = costs.composition([item_id], instead=found)
    facts = {
        "item": item,
        "formula": found,
        "versions": formulas.versions(item_id),
        "cost": made.cost(item_id),
        "line_costs": {line.id: _cost_of(line, made) for line in found.lines},
        "carried": made.allergens_of(item_id),
        "words": rules.ALLERGENS,
        "raw": _raw(item_id, found, made),
    }
    return page("production/formula.html", **facts)


def _cost_of(line: FormulaLine, made: costs.Composition) -> Decimal | None:
    """What the line costs for one making, scrap included."""
    cost = made.cost(line.component_id)
    return cost * line.quantity / (1 - line.scrap_percent / 100) if cost is not None else None


def _raw(item_id: int, found: Formula, made: costs.Composition) -> list[tuple[Item, int]]:
    """What one making needs of everything that is not made here, where there are sub-assemblies."""
    if not any(line.component_id in made.formulas for line in found.lines):
        return []
    needed = rules.explode(item_id, found.yield_quantity, made.formulas)
    items = db.session.scalars(select(Item).where(Item.id.in_(needed)).order_by(Item.name))
    return [(item, needed[item.id]) for item in items]


# Writing ------------------------------------------------------------------------------------------------------------------------------


@blueprint.get("/production/formulas/<int:item_id>/edit")
def edit(item_id: int) -> Response:
    """The form for a new version, filled with the current one."""
    item, current = _item(item_id), formulas.current_of(item_id)
    rows = [_row(line) for line in current.lines] if current else []
    values = {"yield_quantity": units.plain(current.yield_quantity, unit_of(item)) if current else "", "note": ""}
    return _form(item, current, values, rows, {})


def _row(line: FormulaLine) -> dict[str, str]:
    return {
        "component": line.component.sku,
        "quantity": units.plain(line.quantity, line.unit),
        "unit": line.unit,
        "scrap": f"{line.scrap_percent.normalize():f}" if line.scrap_percent else "",
        "loss": units.plain(line.setup_loss, line.unit) if line.setup_loss else "",
    }


def _form(
    item: Item,
    current: Formula | None,
    values: forms.Values,
    rows: list[dict[str, str]],
    errors: dict[str | None, str],
    status: int = 200,
) -> Response:
    query = (
        select(Item).where(Item.archived_at.is_(None), Item.id != item.id).order_by(Item.kind, Item.name).limit(2000)
    )
    shown = rows + [dict.fromkeys(CELLS, "") for _ in range(max(EMPTY_ROWS, 6 - len(rows)))]
    facts = {"components": db.session.scalars(query).all(), "rows": shown[:MOST_LINES], "units": units.UNITS}
    return page(
        "production/formula_form.html", status=status, item=item, current=current, values=values, errors=errors, **facts
    )


@blueprint.get("/production/formulas/rows")
def more_rows() -> Response:
    """More empty lines for the form."""
    first = min(MOST_LINES, max(0, request.args.get("first", 0, int)))
    rows = [dict.fromkeys(CELLS, "") for _ in range(min(EMPTY_ROWS, MOST_LINES - first))]
    return page("production/_formula_rows.html", rows=rows, first=first, units=units.UNITS, errors={})


@blueprint.post("/production/formulas/<int:item_id>")
def write(item_id: int) -> Response:
    """The item has a new version of its formula."""
    item = _item(item_id)
    values = forms.values_of(request.form, "yield_quantity", "note")
    lists = [request.form.getlist(name)[: MOST_LINES + 1] for name in CELLS]
    rows = [dict(zip(CELLS, (text.strip()[:80] for text in cells), strict=True)) for cells in zip(*lists, strict=False)]
    rows = [row for row in rows if row["component"] or row["quantity"]]
    try:
        _write(item, values, rows)
    except RuleError as error:
        db.session.rollback()
        return _form(_item(item_id), formulas.current_of(item_id), values, rows, {error.field: str(error)}, 422)
    db.session.commit()
    return see_other(f"/production/formulas/{item_id}")


def _write(item: Item, values: forms.Values, rows: list[dict[str, str]]) -> Formula:
    made = forms.amount(values, "yield_quantity", unit_of(item))
    codes = {row["component"] for row in rows}
    known = {found.sku: found for found in db.session.scalars(select(Item).where(Item.sku.in_(codes)))}
    lines = [_line(number, row, known) for number, row in enumerate(rows, 1)]
    return formulas.write(item, made, lines, note=values["note"], actor=g.user, at=clock.now())


def _line(number: int, row: dict[str, str], known: dict[str, Item]) -> NewLine:
    component = known.get(row["component"])
    try:
        if component is None:
            raise RuleError(f"There is no ingredient or product {row['component']!r}. Choose its code from the list.")
        unit = units.check_unit(row["unit"]) if row["unit"] else unit_of(component)
        units.check_compatible(unit, unit_of(component), component.name)
        percent = units.number(row["scrap"]) if row["scrap"] else Decimal(0)
        if percent != percent.quantize(Decimal("0.01")):
            raise RuleError("Give scrap with two decimals at most.")
        loss = units.parse(row["loss"], unit) if row["loss"] else 0
        return NewLine(component, units.parse(row["quantity"] or "0", unit), unit, percent, loss)
    except RuleError as error:
        raise RuleError(f"Line {number}: {error}", field="lines") from error


@blueprint.get("/production/formulas/<int:item_id>/compare")
def compare(item_id: int) -> Response:
    """Two versions beside each other."""
    item = _item(item_id)
    numbers = [max(0, min(MOST_ID, request.args.get(name, 0, int))) for name in ("one", "other")]
    one, other = (formulas.version_of(item_id, number) for number in numbers)
    found = [costs.composition([item_id], instead=version).cost(item_id) for version in (one, other)]
    facts: dict[str, Any] = {"item": item, "one": one, "other": other, "changes": formulas.compare(one, other)}
    return page("production/formula_compare.html", **facts, costs=found, versions=formulas.versions(item_id))
