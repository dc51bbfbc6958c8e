"""What people do with formulas: write a version, look one up, compare two. A version is never changed; a new one takes its place."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import func, select, text
from sqlalchemy.orm import selectinload

from occ_app.catalog.models import INGREDIENT, Item
from occ_app.errors import NotFoundError, RuleError
from occ_app.extensions import current_shop_id, db
from occ_app.production import units
from occ_app.production.models import Formula, FormulaLine
from occ_app.production.rules import Making, Part, find_cycle
from occ_app.stock import ledger

MOST_LINES = 100
LONGEST_NOTE = 1000


@dataclass(frozen=True)
class NewLine:
    """A line as it is to be written: amounts in smallest amounts of the component's unit, `unit` the one it was written in."""

    component: Item
    quantity: int
    unit: str
    scrap_percent: Decimal = Decimal(0)
    setup_loss: int = 0


@dataclass(frozen=True)
class Change:
    """How one component stands in two versions; None where it is not in one of them."""

    component: Item
    before: FormulaLine | None
    after: FormulaLine | None

    @property
    def is_same(self) -> bool:
        """Whether nothing about it changed."""
        one, other = self.before, self.after
        return bool(one and other) and _facts(one) == _facts(other)  # type: ignore[arg-type]


def unit_of(item: Item) -> str:
    """The unit that amounts of the item are given in: an ingredient's own; products are counted in pieces."""
    return item.unit if item.kind == INGREDIENT else "piece"


def write(
    item: Item, yield_quantity: int, lines: Sequence[NewLine], *, note: str = "", actor: str, at: datetime
) -> Formula:
    """The item has a new version of its formula, and it is the current one. Raises RuleError where it cannot be made so."""
    check(item, yield_quantity, lines, note)
    _alone()
    ledger.lock([item.id, *(line.component.id for line in lines)])  # before a row points at any
    return _write(item, yield_quantity, lines, note, actor, at, made_of=components_of)


def check(item: Item, yield_quantity: int, lines: Sequence[NewLine], note: str = "") -> None:
    """Raises RuleError where the formula cannot be, whatever other formulas say."""
    if yield_quantity < 1:
        raise RuleError("One making gives more than 0. Give the yield.", field="yield_quantity")
    if yield_quantity > units.MOST:
        raise RuleError(f"Give {units.say(units.MOST, unit_of(item))} or less.", field="yield_quantity")
    if not lines:
        raise RuleError("A formula has at least one line. Add what goes in.", field="lines")
    if len(lines) > MOST_LINES:
        raise RuleError(
            f"A formula has at most {MOST_LINES} lines. Make a part of it a formula of its own.", field="lines"
        )
    if len(note) > LONGEST_NOTE:
        raise RuleError(f"Give a note of {LONGEST_NOTE} characters or fewer.", field="note")
    seen: set[int] = set()
    for line in lines:
        if line.component.id in seen:
            raise RuleError(f"{line.component.name} stands twice. Add the amounts up in one line.", field="lines")
        seen.add(line.component.id)
        check_line(line)


def check_line(line: NewLine) -> None:
    """Raises RuleError where the line cannot be."""
    units.check_compatible(line.unit, unit_of(line.component), line.component.name, field="lines")
    if not 1 <= line.quantity <= units.MOST or not 0 <= line.setup_loss <= units.MOST:
        raise RuleError(f"{line.component.name}: give a quantity of more than 0.", field="lines")
    if not 0 <= line.scrap_percent < 100:
        raise RuleError(f"{line.component.name}: give scrap of 0 % or more and less than 100 %.", field="lines")


def check_cycle(item: Item, components: Collection[int], made_of) -> None:  # type: ignore[no-untyped-def]
    """Raises RuleError, naming the way, where the item would be made from itself."""
    way = find_cycle(item.id, components, made_of)
    if way:
        names = {row.id: row.name for row in db.session.scalars(select(Item).where(Item.id.in_(way)))}
        said = " → ".join(names[step] for step in way)
        raise RuleError(f"It would be made from itself: {said}. Take one of these out.", field="lines")


def write_all(
    new: Sequence[tuple[Item, int, Sequence[NewLine]]], *, actor: str, at: datetime
) -> list[tuple[Item, RuleError]]:
    """Each of these items has a new version. Returns those that would be made from themselves, and writes nothing then."""
    _alone()
    own = {item.id: [line.component.id for line in lines] for item, _, lines in new}
    current = graph([item.id for item, _, _ in new] + [c for parts in own.values() for c in parts])

    def made_of(component: int) -> Collection[int]:
        if component in own:
            return own[component]
        return [part.component for part in current[component].parts] if component in current else []

    refused = []
    for item, _, _ in new:
        try:
            check_cycle(item, own[item.id], made_of)
        except RuleError as error:
            refused.append((item, error))
    if not refused:
        ledger.lock({*own, *(component for parts in own.values() for component in parts)})
        for item, yield_quantity, lines in new:
            _write(item, yield_quantity, lines, "", actor, at, made_of=None)
    return refused


def _alone() -> None:
    """Formulas of the shop are written one after the other: two that are fine alone may be a cycle together."""
    db.session.execute(text("SELECT pg_advisory_xact_lock(hashtext('formulas'), :shop)"), {"shop": current_shop_id()})


def _write(item: Item, yield_quantity: int, lines: Sequence[NewLine], note: str, actor: str, at: datetime, *, made_of):  # type: ignore[no-untyped-def]
    if made_of is not None:
        check_cycle(item, [line.component.id for line in lines], made_of)
    version = (db.session.scalar(select(func.max(Formula.version)).where(Formula.item_id == item.id)) or 0) + 1
    for older in db.session.scalars(select(Formula).where(Formula.item_id == item.id, Formula.is_current)):
        older.is_current = False
    db.session.flush()
    formula = Formula(
        item_id=item.id,
        version=version,
        yield_quantity=yield_quantity,
        note=note,
        is_current=True,
        created_at=at,
        created_by=actor,
    )
    db.session.add(formula)
    db.session.flush()
    db.session.add_all(
        FormulaLine(
            formula_id=formula.id,
            position=position,
            component_id=line.component.id,
            quantity=line.quantity,
            unit=line.unit,
            scrap_percent=line.scrap_percent,
            setup_loss=line.setup_loss,
        )
        for position, line in enumerate(lines, 1)
    )
    db.session.flush()
    return formula


def current_of(item_id: int) -> Formula | None:
    """The item's current formula with lines and components, if it has one."""
    return db.session.scalar(loaded().where(Formula.item_id == item_id, Formula.is_current))


def get(formula_id: int | None) -> Formula:
    """The shop's formula with that id, with lines and components. Raises NotFoundError."""
    found = db.session.scalar(loaded().where(Formula.id == formula_id))
    if found is None:
        raise NotFoundError("There is no such formula here.")
    return found


def version_of(item_id: int, version: int) -> Formula:
    """That version of the item's formula, with lines and components. Raises NotFoundError."""
    found = db.session.scalar(loaded().where(Formula.item_id == item_id, Formula.version == version))
    if found is None:
        raise NotFoundError(f"There is no version {version} of this formula.")
    return found


def versions(item_id: int) -> Sequence[Formula]:
    """The item's versions, newest first, without their lines."""
    return db.session.scalars(
        select(Formula).where(Formula.item_id == item_id).order_by(Formula.version.desc()).limit(200)
    ).all()


def loaded():  # type: ignore[no-untyped-def]
    """Formulas of the shop with item, lines and components."""
    lines = selectinload(Formula.lines).joinedload(FormulaLine.component)
    return select(Formula).options(lines, selectinload(Formula.item))


def components_of(item_id: int) -> list[int]:
    """What goes into the item directly, by its current formula."""
    query = select(FormulaLine.component_id).join(Formula, Formula.id == FormulaLine.formula_id)
    return list(db.session.scalars(query.where(Formula.item_id == item_id, Formula.is_current)))


def graph(item_ids: Iterable[int]) -> dict[int, Making]:
    """The current formulas of these items and of all that is in them, level by level: one statement each."""
    found: dict[int, Making] = {}
    asked: set[int] = set()
    level = set(item_ids)
    while level:
        asked |= level
        rows = _rows(level)
        found |= rows
        level = {part.component for making in rows.values() for part in making.parts} - asked
    return found


def _rows(item_ids: Collection[int]) -> dict[int, Making]:
    query = (
        select(Formula.item_id, Formula.yield_quantity, FormulaLine)
        .join(FormulaLine, FormulaLine.formula_id == Formula.id)
        .where(Formula.item_id.in_(item_ids), Formula.is_current)
        .order_by(FormulaLine.position)
    )
    parts: dict[int, tuple[int, list[Part]]] = {}
    for item_id, yield_quantity, line in db.session.execute(query):
        parts.setdefault(item_id, (yield_quantity, []))[1].append(part_of(line))
    return {item_id: Making(yield_quantity, found) for item_id, (yield_quantity, found) in parts.items()}


def part_of(line: FormulaLine) -> Part:
    """The line in plain values."""
    return Part(line.component_id, line.quantity, line.scrap_percent, line.setup_loss)


def compare(one: Formula, other: Formula) -> list[Change]:
    """What differs between two versions, component by component: those of the later one first, then what was taken out."""
    before = {line.component_id: line for line in one.lines}
    after = {line.component_id: line for line in other.lines}
    kept = [Change(line.component, before.get(line.component_id), line) for line in other.lines]
    return kept + [Change(line.component, line, None) for line in one.lines if line.component_id not in after]


def _facts(line: FormulaLine) -> tuple[int, Decimal, int]:
    return line.quantity, line.scrap_percent, line.setup_loss
