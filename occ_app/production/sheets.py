"""Ingredients and formulas as CSV, in and out. All or nothing, within the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from occ_app import clock
from occ_app.catalog import items as new_items
from occ_app.catalog import pull
from occ_app.catalog.models import INGREDIENT, PARTNER, Item
from occ_app.catalog.sheets import Line, read, take_all, whole, write
from occ_app.errors import BadFileError, BadLine, RuleError
from occ_app.extensions import current_shop_id, db
from occ_app.production import formulas, ingredients, units
from occ_app.production.formulas import NewLine, unit_of
from occ_app.production.models import Formula, FormulaLine, Ingredient, Receipt
from occ_app.shops import settings
from occ_app.shops.models import Shop
from occ_app.stock import lots
from occ_app.stock.lots import NewLot
from occ_app.stock.rules import OPENING, RELEASED

INGREDIENTS = ("code", "name", "unit", "on_hand", "reorder_point", "lead_time_days", "unit_cost")
FORMULAS = ("item_sku", "yield_quantity", "ingredient_code", "quantity", "scrap_percent")


# Ingredients --------------------------------------------------------------------------------------------------------------------------


def take_ingredients(data: bytes, actor: str, at: datetime) -> int:
    """The ingredients are as the file says; `on_hand` of one that has nothing makes an opening lot. Returns how many lines there were."""
    lines = read(data, INGREDIENTS, ("code", "name"))
    known = {item.sku: item for item in db.session.scalars(select(Item))}
    rows = {row.item_id: row for row in db.session.scalars(select(Ingredient).options(joinedload(Ingredient.item)))}
    there = ingredients.standing(list(rows))
    seen: set[str] = set()
    found: list[tuple[Line, ingredients.Facts, Ingredient | None, int]] = []

    def take(line: Line) -> None:
        code = line.cells["code"]
        if code in seen:
            raise RuleError(f"The code {code} stands twice in the file.")
        seen.add(code)
        item = known.get(code)
        if item is not None and item.kind == PARTNER:
            raise RuleError(f"{code} are goods of a partner. Give the ingredient another code.")
        if item is not None and item.kind != INGREDIENT:
            raise RuleError(f"{code} is a product. Give the ingredient another code.")
        row = rows.get(item.id) if item else None
        facts = _facts(line, row)
        ingredients.check(facts)
        found.append((line, facts, row, _opening(line, facts.unit, row, there)))

    take_all(lines, take)
    _keep(found)
    _open_lots(found, actor, at)
    return len(lines)


def _facts(line: Line, row: Ingredient | None) -> ingredients.Facts:
    """What the line says; columns that the file lacks stay as they are."""
    unit = line.cells.get("unit", "")
    if not unit and row is None:
        raise RuleError(f"unit is empty. Give one of: {', '.join(units.UNITS)}.")
    unit = units.check_unit(unit) if unit else row.item.unit  # type: ignore[union-attr]
    if row is not None and unit != row.item.unit:
        raise RuleError(f"It is counted in {row.item.unit}, and its unit stays.")
    point = line.cells.get("reorder_point", "")
    cost = line.cells.get("unit_cost", "")
    values = {
        "reorder_point": units.parse(point, unit) if point else None,
        "lead_time_days": whole(line, "lead_time_days", most=ingredients.LONGEST_LEAD),
        "unit_cost": units.number(cost) if cost else Decimal(0),
    }
    if row is not None:
        stays = {name: getattr(row.item, name) for name in ("reorder_point", "lead_time_days")} | {
            "unit_cost": row.unit_cost
        }
        values |= {name: value for name, value in stays.items() if name not in line.cells}
    kept = (
        {"supplier": row.supplier, "allergens": row.allergens, "shelf_life_days": row.item.shelf_life_days}
        if row
        else {}
    )
    return ingredients.Facts(line.cells["code"], line.cells["name"], unit, **values, **kept)  # type: ignore[arg-type]


def _opening(line: Line, unit: str, row: Ingredient | None, there: dict[int, dict[int, dict[str, int]]]) -> int:
    """What the opening lot holds; 0 where there is none to make."""
    text = line.cells.get("on_hand", "")
    given = units.parse(text, unit) if text else None
    lots_there = there.get(row.item_id, {}) if row else {}
    have = sum(sum(places.values()) for places in lots_there.values())
    if given is None or given == have:
        return 0
    if have:
        raise RuleError(
            f"on_hand is {text}, and we have {units.say(have, unit)}. Count it on its page, or leave on_hand empty."
        )
    return given


def _keep(found: Sequence[tuple[Line, ingredients.Facts, Ingredient | None, int]]) -> None:
    at = clock.now()
    fresh = []
    for _, facts, row, _ in found:
        if row is None:
            fresh.append(ingredients.row_of(facts, at=at))
        else:
            ingredients.change(row, facts)
    new_items.add_all(row.item for row in fresh)
    for row in fresh:
        row.item_id = row.item.id
    db.session.add_all(fresh)
    db.session.flush()


def _open_lots(
    found: Sequence[tuple[Line, ingredients.Facts, Ingredient | None, int]], actor: str, at: datetime
) -> None:
    opening = {facts.code: (facts, quantity) for _, facts, _, quantity in found if quantity}
    if not opening:
        return
    place = pull.default_location()
    if place is None:
        raise BadFileError(
            [BadLine(1, "No default location is set, so on_hand cannot be kept. Leave it out, or set one.")]
        )
    today = clock.local_date(at, settings.get(db.session.get_one(Shop, current_shop_id()), "time_zone"))
    items = {item.sku: item for item in db.session.scalars(select(Item).where(Item.sku.in_(opening)))}
    numbers = _numbers(list(opening), today)
    made = []
    for code, (_, quantity) in opening.items():
        facts = {"location_id": place.id, "place": RELEASED, "from_place": OPENING, "today": today, "at": at}
        number = numbers[code]
        made.append(lots.check(items[code], quantity, lot_number=number, made_on=None, expires_on=None, **facts))
    lots.make_all(made, actor=actor, at=at)
    costs = {items[code].id: facts.unit_cost for code, (facts, _) in opening.items()}
    db.session.add_all(_receipt(new, costs[new.lot.item_id], today) for new in made)
    db.session.flush()


def _receipt(new: NewLot, cost: Decimal, today: date) -> Receipt:
    return Receipt(lot_id=new.lot.id, received_on=today, unit_cost=cost, supplier="", supplier_lot_number="")


def _numbers(codes: Sequence[str], today: date) -> dict[str, str]:
    """Free numbers for opening lots: `COCOA-OPENING`, or with the day where that is taken."""
    wanted = {code: f"{code}-OPENING" for code in codes}
    taken = lots.taken_numbers(wanted.values())
    return {code: f"{number}-{today:%Y%m%d}" if number in taken else number for code, number in wanted.items()}


def give_ingredients() -> str:
    """All ingredients as a file, with what is on hand."""
    query = (
        select(Ingredient)
        .join(Item, Item.id == Ingredient.item_id)
        .where(Item.archived_at.is_(None))
        .order_by(Item.sku)
    )
    rows = db.session.scalars(query.options(joinedload(Ingredient.item))).all()
    there = ingredients.standing([row.item_id for row in rows])
    return write(INGREDIENTS, (_ingredient_cells(row, there.get(row.item_id, {})) for row in rows))


def _ingredient_cells(row: Ingredient, lots_there: dict[int, dict[str, int]]) -> list[object]:
    item, have = row.item, sum(sum(places.values()) for places in lots_there.values())
    point = units.plain(item.reorder_point, item.unit) if item.reorder_point is not None else None
    cost = f"{row.unit_cost.normalize():f}"
    return [item.sku, item.name, item.unit, units.plain(have, item.unit), point, item.lead_time_days, cost]


# Formulas -----------------------------------------------------------------------------------------------------------------------------


@dataclass
class _Group:
    """The lines of one item: the first one's number, its yield as text, and what goes in."""

    item: Item
    number: int
    yields: str
    lines: list[NewLine] = field(default_factory=list)


def take_formulas(data: bytes, actor: str, at: datetime) -> int:
    """Each item of the file has that formula; where it differs from the current one, as a new version. Returns how many lines there were."""
    lines = read(data, FORMULAS, ("item_sku", "yield_quantity", "ingredient_code", "quantity"))
    items = {item.sku: item for item in db.session.scalars(select(Item).where(Item.archived_at.is_(None)))}
    current = {formula.item_id: formula for formula in _current()}
    groups: dict[str, _Group] = {}
    take_all(lines, lambda line: _take_line(line, items, current, groups))
    new, bad = [], []
    for group in groups.values():
        try:
            made = units.parse(group.yields, unit_of(group.item), field="yield_quantity")
            formulas.check(group.item, made, group.lines)
            if not _is_same(current.get(group.item.id), made, group.lines):
                new.append((group.item, made, group.lines))
        except RuleError as error:
            bad.append(BadLine(group.number, f"{group.item.sku}: {error}"))
    if not bad:
        refused = formulas.write_all(new, actor=actor, at=at)
        bad = [BadLine(groups[item.sku].number, f"{item.sku}: {error}") for item, error in refused]
    if bad:
        raise BadFileError(bad)
    return len(lines)


def _take_line(line: Line, items: dict[str, Item], current: dict[int, Formula], groups: dict[str, _Group]) -> None:
    sku, code = line.cells["item_sku"], line.cells["ingredient_code"]
    item, component = items.get(sku), items.get(code)
    if item is None:
        raise RuleError(f"There is no item {sku!r}. Import items first.")
    if component is None:
        raise RuleError(f"There is no ingredient {code!r}. Import ingredients first.")
    group = groups.setdefault(sku, _Group(item, line.number, line.cells["yield_quantity"]))
    if line.cells["yield_quantity"] not in ("", group.yields):
        raise RuleError(
            f"yield_quantity is {line.cells['yield_quantity']!r}, and {group.yields!r} in line {group.number}. Give it once."
        )
    if any(other.component.id == component.id for other in group.lines):
        raise RuleError(f"{code} stands twice in the formula of {sku}. Add the amounts up in one line.")
    unit = unit_of(component)
    scrap = line.cells.get("scrap_percent", "")
    percent = units.number(scrap) if scrap else Decimal(0)
    if percent != percent.quantize(Decimal("0.01")):
        raise RuleError("Give scrap_percent with two decimals at most.")
    old = current.get(item.id)
    loss = next((had.setup_loss for had in old.lines if had.component_id == component.id), 0) if old else 0
    new = NewLine(component, units.parse(line.cells["quantity"], unit), unit, percent, loss)
    formulas.check_line(new)
    group.lines.append(new)


def _current() -> Sequence[Formula]:
    return db.session.scalars(formulas.loaded().where(Formula.is_current)).all()


def _is_same(old: Formula | None, made: int, lines: Sequence[NewLine]) -> bool:
    if old is None or old.yield_quantity != made:
        return False
    before = {line.component_id: (line.quantity, line.scrap_percent) for line in old.lines}
    return before == {line.component.id: (line.quantity, line.scrap_percent) for line in lines}


def give_formulas() -> str:
    """The current formula of every item as a file, one line per component."""
    rows = [
        (formula, line) for formula in sorted(_current(), key=lambda found: found.item.sku) for line in formula.lines
    ]
    return write(FORMULAS, (_formula_cells(formula, line) for formula, line in rows))


def _formula_cells(formula: Formula, line: FormulaLine) -> list[object]:
    item, component = formula.item, line.component
    return [
        item.sku,
        units.plain(formula.yield_quantity, unit_of(item)),
        component.sku,
        units.plain(line.quantity, unit_of(component)),
        f"{line.scrap_percent.normalize():f}",
    ]
