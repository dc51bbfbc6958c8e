"""Production runs: the list, planning with live shortages, one run, completing it, the sheet to print."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from urllib.parse import quote_plus

from babel.numbers import format_currency
from flask import Blueprint, Response, g, request
from sqlalchemy import func, select
from sqlalchemy.orm import joinedload

from occ_app import clock
from occ_app.catalog import pull
from occ_app.catalog.models import INGREDIENT, Item, Location
from occ_app.errors import DoubtError, RuleError
from occ_app.extensions import db
from occ_app.production import completing, costs, forms, formulas, needs, rules, runs, units
from occ_app.production.formulas import part_of, unit_of
from occ_app.production.models import (
    CANCELLED,
    COMPLETED,
    DRAFT,
    IN_PROGRESS,
    PLANNED,
    RUN_STATES,
    Formula,
    FormulaLine,
    ProductionRun,
    RunConsumption,
    RunOutput,
    RunReservation,
)
from occ_app.searching import contains
from occ_app.stock.models import Lot
from occ_app.web import page, row_id, see_other, stay_within

blueprint = Blueprint("production", __name__)
PER_PAGE = 50
MOST_OUTPUTS = 4
VIEWS = {
    "open": ("Open", (DRAFT, PLANNED, IN_PROGRESS)),
    "completed": ("Completed", (COMPLETED,)),
    "cancelled": ("Cancelled", (CANCELLED,)),
    "all": ("All", RUN_STATES),
}
STATE_WORDS = {
    DRAFT: ("Draft", "neutral"),
    PLANNED: ("Planned", "info"),
    IN_PROGRESS: ("In progress", "info"),
    COMPLETED: ("Completed", "success"),
    CANCELLED: ("Cancelled", "neutral"),
}


@blueprint.app_template_filter("amount")
def amount(quantity: int, item: Item) -> str:
    """An amount of an item with its unit."""
    return units.say(quantity, unit_of(item))


@blueprint.app_template_filter("plain_amount")
def plain_amount(quantity: int, item: Item) -> str:
    """An amount of an item as a field holds it."""
    return units.plain(quantity, unit_of(item))


@blueprint.app_template_filter("line_amount")
def line_amount(line: FormulaLine) -> str:
    """What goes in by a formula's line, in the unit in which it was written."""
    return units.say(line.quantity, line.unit)


@blueprint.app_template_filter("unit_price")
def unit_price(cost: Decimal | None, unit: str) -> str:
    """What one unit costs, from the cost of its smallest amount; up to four decimals, since a bar's sugar costs less than a penny."""
    if cost is None:
        return ""
    whole = (cost * units.SMALLEST[unit]).quantize(Decimal("0.0001"))
    return format_currency(whole, g.shop.currency, format="¤#,##0.00##", locale="en_GB", currency_digits=False)


@blueprint.app_template_global("unit_of")
def unit_of_item(item: Item) -> str:
    """The unit that amounts of the item are given in."""
    return unit_of(item)


def pages_of(total: int, number: int, path: str) -> dict[str, Any]:
    """Where one is in a long list; `path` ends in `&` or `?`. Whoever asks for a page after the last lands on the last."""
    stay_within(total, number, PER_PAGE)
    last = min(total, number * PER_PAGE)
    return {
        "first": (number - 1) * PER_PAGE + 1 if total else 0,
        "last": last,
        "total": total,
        "previous": f"{path}page={number - 1}" if number > 1 else None,
        "next": f"{path}page={number + 1}" if last < total else None,
    }


def asked() -> tuple[str, int]:
    """What is searched for, and the page."""
    return request.args.get("q", "").strip()[:100], min(100_000, max(1, request.args.get("page", 1, int)))


# The list -----------------------------------------------------------------------------------------------------------------------------


@blueprint.get("/production/runs")
def index() -> Response:
    """Runs, the next first, with what is short."""
    view = request.args.get("view", "open") if request.args.get("view") in VIEWS else "open"
    q, number = asked()
    query = (
        select(ProductionRun)
        .join(Item, Item.id == ProductionRun.item_id)
        .where(ProductionRun.state.in_(VIEWS[view][1]))
        .options(joinedload(ProductionRun.item))
    )
    if q:
        query = query.where(contains(q, ProductionRun.number, Item.name, Item.sku))
    total = db.session.scalar(select(func.count()).select_from(query.subquery())) or 0
    order = (ProductionRun.planned_on.nulls_last(), ProductionRun.id) if view == "open" else (ProductionRun.id.desc(),)
    found = db.session.scalars(query.order_by(*order).limit(PER_PAGE).offset((number - 1) * PER_PAGE)).all()
    facts = {"rows": found, "short": _short(found), "view": view, "q": q, "today": forms.today(), "states": STATE_WORDS}
    facts["pages"] = pages_of(total, number, f"/production/runs?view={view}&q={quote_plus(q)}&")
    return page("production/runs.html", "production/_runs.html", **facts, views=_tabs(), any=total or _any_run())


def _any_run() -> bool:
    return db.session.scalar(select(ProductionRun.id).limit(1)) is not None


def _tabs() -> list[tuple[str, str, int | None]]:
    rows = db.session.execute(select(ProductionRun.state, func.count()).group_by(ProductionRun.state))
    counts = {state: int(number) for state, number in rows}
    first = {"open": sum(counts.get(state, 0) for state in VIEWS["open"][1])}
    return [(key, words, first.get(key)) for key, (words, _) in VIEWS.items()]


def _short(found: Any) -> dict[int, int]:
    """How many components of each planned run are not reserved whole; two statements, whatever the number of runs."""
    planned = [run for run in found if run.state in (PLANNED, IN_PROGRESS) and run.formula_id]
    ids = {run.formula_id for run in planned}
    lines: dict[int, list[FormulaLine]] = {}
    yields: dict[int, int] = {}
    query = select(FormulaLine, Formula.yield_quantity).join(Formula, Formula.id == FormulaLine.formula_id)
    for line, made in db.session.execute(query.where(FormulaLine.formula_id.in_(ids))):
        lines.setdefault(line.formula_id, []).append(line)
        yields[line.formula_id] = made
    total = func.sum(RunReservation.quantity)
    sums = select(RunReservation.run_id, RunReservation.item_id, total)
    sums = sums.where(RunReservation.run_id.in_([run.id for run in planned]))
    held = {
        (run_id, item_id): int(units_held)
        for run_id, item_id, units_held in db.session.execute(
            sums.group_by(RunReservation.run_id, RunReservation.item_id)
        )
    }
    return {
        run.id: sum(
            rules.needed(part_of(line), yields[run.formula_id], run.planned_quantity)
            > held.get((run.id, line.component_id), 0)
            for line in lines.get(run.formula_id, ())
        )
        for run in planned
    }


# Planning -----------------------------------------------------------------------------------------------------------------------------


@blueprint.get("/production/runs/new")
def new() -> Response:
    """The form for a run, with what it needs."""
    values = {"item": request.args.get("item", "")[:20], "quantity": request.args.get("quantity", "")[:24]}
    values |= {"planned_on": forms.today().isoformat(), "note": "", "location": ""}
    return _plan_form(values, {})


def _plan_form(values: forms.Values, errors: dict[str | None, str], status: int = 200) -> Response:
    made = select(Formula.item_id).where(Formula.is_current)
    query = select(Item).where(Item.archived_at.is_(None)).order_by(Item.name).limit(2000)
    with_formula = db.session.scalars(query.where(Item.id.in_(made))).all()
    without = db.session.scalars(query.where(Item.id.not_in(made), Item.kind != INGREDIENT)).all()
    if not values["item"] and (with_formula or without):
        values["item"] = str([*with_formula, *without][0].id)
    facts = {"with_formula": with_formula, "without": without, "locations": pull.locations(), "errors": errors}
    default = pull.default_location()
    facts["default_id"] = str(default.id) if default else ""
    return page("production/run_form.html", status=status, values=values, **facts, **_live(values))


@blueprint.get("/production/runs/needs")
def live_needs() -> Response:
    """What the run of the form would need; answers while one types."""
    values = forms.values_of(request.args, "item", "quantity", "planned_on", "location")
    return page("production/_needs.html", **_live(values))


def _live(values: forms.Values) -> dict[str, Any]:
    """What the typed values would need, as far as they can be read. A quantity that is not typed yet is one making."""
    item = _find_item(values["item"])
    formula = formulas.current_of(item.id) if item else None
    facts: dict[str, Any] = {
        "needs": [],
        "item": item,
        "formula": formula,
        "quantity": 0,
        "said": "",
        "run": None,
        "lots": {},
    }
    place = _place(values["location"])
    if item is None or formula is None or place is None:
        return facts
    try:
        text = values["quantity"]
        quantity = units.parse(text, unit_of(item), least=1) if text else formula.yield_quantity
        on = max(forms.today(), forms.day(values, "planned_on") or forms.today())
        runs.check(item, quantity, on, "", forms.today())
        found = needs.of(formula, quantity, location_id=place.id, on=on, today=forms.today())
    except RuleError as error:
        return facts | {"said": str(error)}
    ids = [holding.lot_id for need in found for holding, _ in need.picks]
    return facts | {"needs": found, "quantity": quantity, "lots": _lots(ids)}


def _find_item(text: str) -> Item | None:
    return db.session.scalar(select(Item).where(Item.id == row_id(text), Item.archived_at.is_(None)))


def _place(text: str) -> Location | None:
    return next((place for place in pull.locations() if str(place.id) == text), None) or pull.default_location()


def _lots(ids: Any) -> dict[int, Lot]:
    wanted = [lot_id for lot_id in ids if lot_id]
    return {lot.id: lot for lot in db.session.scalars(select(Lot).where(Lot.id.in_(wanted)))} if wanted else {}


@blueprint.post("/production/runs")
def make() -> Response:
    """A run is planned and has reserved what there is, or is kept as a draft."""
    values = forms.values_of(request.form, "item", "quantity", "planned_on", "location", "note")
    try:
        run = _make(values)
    except RuleError as error:
        db.session.rollback()
        return _plan_form(values, {error.field: str(error)}, 422)
    db.session.commit()
    return see_other(f"/production/runs/{run.id}")


def _make(values: forms.Values) -> ProductionRun:
    item, place = _find_item(values["item"]), _place(values["location"])
    if item is None:
        raise RuleError("Choose what to make.", field="item")
    if place is None:
        raise RuleError(
            "No location is set yet. It comes with the first pull of your store; try again in a minute.", field="item"
        )
    quantity = forms.amount(values, "quantity", unit_of(item))
    facts = {"planned_on": forms.day(values, "planned_on"), "note": values["note"]}
    who = {"today": forms.today(), "actor": g.user, "at": clock.now()}
    run = runs.draft(item, quantity, location=place, **facts, **who)
    if request.form.get("as") != DRAFT:
        runs.plan(run, **who)
    return run


# One run ------------------------------------------------------------------------------------------------------------------------------


@blueprint.get("/production/runs/<int:run_id>")
def one(run_id: int) -> Response:
    """One run: what it needs and holds, or what it used and made."""
    return _shown(runs.get(run_id))


def _shown(run: ProductionRun, error: str = "", status: int = 200) -> Response:
    formula = runs.formula_of(run)
    is_open = run.state in VIEWS["open"][1]
    found = runs.of_run(run, forms.today()) if is_open else []
    lot_ids = [lot for need in found for lot in (*need.held, *need.spoiled)]
    lot_ids += [holding.lot_id or 0 for need in found for holding, _ in need.picks]
    facts = {"run": run, "item": run.item, "formula": formula, "needs": found, "lots": _lots(lot_ids), "error": error}
    facts |= {"states": STATE_WORDS, "today": forms.today(), "quantity": run.planned_quantity, "said": ""}
    return page("production/run.html", status=status, **facts, **_result(run))


def _result(run: ProductionRun) -> dict[str, Any]:
    """What a completed run used, made and cost."""
    if run.state != COMPLETED:
        return {"used": [], "made": [], "cost": None}
    loaded = joinedload(RunConsumption.lot).joinedload(Lot.item)
    used = db.session.scalars(select(RunConsumption).where(RunConsumption.run_id == run.id).options(loaded)).all()
    out = select(RunOutput).where(RunOutput.run_id == run.id).options(joinedload(RunOutput.lot)).order_by(RunOutput.id)
    ordered = sorted(used, key=lambda row: (row.lot.item.name, row.lot.expires_on is None, str(row.lot.expires_on)))
    return {"used": ordered, "made": db.session.scalars(out).all(), "cost": costs.of_run(run.id)}


@blueprint.post("/production/runs/<int:run_id>/<any(plan, start, cancel):verb>")
def step(run_id: int, verb: str) -> Response:
    """The run took a step. Of two people pressing at once the second is told."""
    run = runs.get(run_id)
    seen = forms.revision(request.form)
    try:
        if verb == "plan":
            runs.plan(run, revision=seen, today=forms.today(), actor=g.user, at=clock.now())
        elif verb == "start":
            runs.start(run, revision=seen, at=clock.now())
        else:
            runs.cancel(run, revision=seen, actor=g.user, at=clock.now())
    except RuleError as error:
        db.session.rollback()
        return _shown(runs.get(run_id), str(error), 422)
    db.session.commit()
    return see_other(f"/production/runs/{run_id}")


@blueprint.get("/production/runs/<int:run_id>/sheet")
def sheet(run_id: int) -> Response:
    """The run on paper: what to weigh out of which lot, with room to write."""
    run = runs.get(run_id)
    found = runs.of_run(run, forms.today())
    lots = _lots([lot for need in found for lot in (*need.held, *need.spoiled)])
    return page("production/run_sheet.html", run=run, needs=found, lots=lots, formula=runs.formula_of(run))


# Changing -----------------------------------------------------------------------------------------------------------------------------


@blueprint.get("/production/runs/<int:run_id>/change")
def change_form(run_id: int) -> Response:
    """The form that changes quantity, day and lots."""
    run = runs.get(run_id)
    values = {"quantity": units.plain(run.planned_quantity, unit_of(run.item)), "note": run.note}
    values["planned_on"] = run.planned_on.isoformat() if run.planned_on else ""
    return _change_form(run, values, {})


def _change_form(
    run: ProductionRun, values: forms.Values, errors: dict[str | None, str], status: int = 200
) -> Response:
    shown = completing.default_use(run, forms.today())
    facts = {"run": run, "item": run.item, "values": values, "errors": errors, "shown": shown, "typed": request.form}
    return page("production/run_change.html", status=status, today=forms.today(), **facts)


@blueprint.post("/production/runs/<int:run_id>/change")
def change(run_id: int) -> Response:
    """The run makes so many now, on that day, of these lots; exactly the difference was released, or reserved as well."""
    run = runs.get(run_id)
    values = forms.values_of(request.form, "quantity", "planned_on", "note")
    try:
        runs.change(
            run,
            quantity=forms.amount(values, "quantity", unit_of(run.item)),
            planned_on=forms.day(values, "planned_on"),
            note=values["note"],
            by_hand=forms.by_lot(request.form, "lot", _units(run)) if request.form.get("by_hand") else None,
            revision=forms.revision(request.form),
            today=forms.today(),
            actor=g.user,
            at=clock.now(),
        )
    except RuleError as error:
        db.session.rollback()
        return _change_form(runs.get(run_id), values, {error.field: str(error)}, 422)
    db.session.commit()
    return see_other(f"/production/runs/{run_id}")


def _units(run: ProductionRun) -> dict[int, str]:
    """The unit of each lot that the run may use, by lot id."""
    shown = completing.default_use(run, forms.today())
    return {source.lot.id: unit_of(need.component) for need, sources in shown for source, _ in sources}


# Completing ---------------------------------------------------------------------------------------------------------------------------


@blueprint.get("/production/runs/<int:run_id>/complete")
def complete_form(run_id: int) -> Response:
    """The form that records what came out and what went in."""
    run = runs.get(run_id)
    values = {"output-1": units.plain(run.planned_quantity, unit_of(run.item)), "waste": "0"}
    return _complete_form(run, values, {})


def _complete_form(
    run: ProductionRun, values: forms.Values, errors: dict[str | None, str], status: int = 200, doubt: str = ""
) -> Response:
    shown = completing.default_use(run, forms.today())
    past = [source.lot for _, sources in shown for source, _ in sources if _is_past(source.lot)]
    facts = {"run": run, "item": run.item, "values": values, "errors": errors, "doubt": doubt, "past": past}
    facts |= {"shown": shown, "today": forms.today(), "typed": request.form, "most": MOST_OUTPUTS}
    return page("production/run_complete.html", status=status, **facts)


def _is_past(lot: Lot) -> bool:
    return lot.expires_on is not None and lot.expires_on <= forms.today()


@blueprint.post("/production/runs/<int:run_id>/complete")
def complete(run_id: int) -> Response:
    """The run is completed: its lots are there and what it used is gone, or nothing happened and the form says why."""
    run = runs.get(run_id)
    names = [f"{name}-{n}" for n in range(1, MOST_OUTPUTS + 1) for name in ("output", "lot_number")]
    values = forms.values_of(request.form, *names, "waste", "made_on", "expired_reason", "confirmed")
    try:
        _complete(run, values)
    except RuleError as error:
        db.session.rollback()
        fresh = runs.get(run_id)
        if fresh.state in (COMPLETED, CANCELLED):
            return _shown(fresh, str(error), 422)
        doubt = _total_said(values) if isinstance(error, DoubtError) else ""
        return _complete_form(fresh, values, {error.field: str(error)}, 422, doubt)
    db.session.commit()
    return see_other(f"/production/runs/{run_id}")


def _total_said(values: forms.Values) -> str:
    """What a confirmation is for: these very numbers."""
    names = [f"output-{n}" for n in range(1, MOST_OUTPUTS + 1)]
    used = sorted((key, text) for key, text in request.form.items() if key.startswith("used-"))
    return "+".join([*(values[name] or "0" for name in (*names, "waste")), *(text[:40] or "0" for _, text in used)])


def _complete(run: ProductionRun, values: forms.Values) -> None:
    unit = unit_of(run.item)
    outputs = [
        completing.Output(forms.amount(values, f"output-{n}", unit, least=0), values[f"lot_number-{n}"])
        for n in range(1, MOST_OUTPUTS + 1)
        if n == 1 or values[f"output-{n}"]
    ]
    kinds = _units(run) if run.formula_id else {}
    used = forms.by_lot(request.form, "used", kinds)
    wasted = forms.by_lot(request.form, "wasted", kinds)
    completing.complete(
        run,
        outputs,
        waste=forms.amount({"waste": values["waste"] or "0"}, "waste", unit, least=0),
        used={lot: completing.Used(quantity, wasted.get(lot, 0)) for lot, quantity in used.items()} if used else None,
        made_on=forms.day(values, "made_on"),
        is_confirmed=values["confirmed"] != "" and values["confirmed"] == _total_said(values),
        expired_reason=values["expired_reason"],
        revision=forms.revision(request.form),
        today=forms.today(),
        actor=g.user,
        at=clock.now(),
    )
