"""The batch history of an item: all of its runs and lots, with what each gave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, request
from sqlalchemy import func, select

from occ_app.catalog.models import Item
from occ_app.errors import NotFoundError
from occ_app.extensions import db
from occ_app.production.models import COMPLETED, ProductionRun, RunOutput
from occ_app.stock import listing
from occ_app.stock.models import Balance, CheckResult, Lot, LotDecision
from occ_app.stock.rules import ON_HOLD, SCRAP
from occ_app.web import page, stay_within

blueprint = Blueprint("history", __name__)
PER_PAGE = 50


@dataclass(frozen=True)
class Made:
    """A lot, the run that made it if one did, and what became of its units."""

    row: listing.Row
    run: ProductionRun | None
    scrapped: int
    failed_checks: int
    released: int

    @property
    def run_yield(self) -> Decimal | None:
        """Per cent of the planned quantity that came out good; None where no run made the lot."""
        if self.run is None or self.run.output_quantity is None:
            return None
        return percent(self.run.output_quantity, self.run.planned_quantity)

    @property
    def good(self) -> Decimal | None:
        """Per cent of the units made that are neither scrapped nor on hold."""
        lost = self.scrapped + self.row.places.get(ON_HOLD, 0)
        return percent(self.row.made - lost, self.row.made) if self.row.made else None


@dataclass(frozen=True)
class Totals:
    """The item's whole history in numbers: lots, units made and scrapped; completed runs, units planned and come out."""

    lots: int
    made: int
    scrapped: int
    runs: int
    planned: int
    output: int

    @property
    def run_yield(self) -> Decimal | None:
        """Per cent of what was planned that came out good, over all completed runs."""
        return percent(self.output, self.planned) if self.planned else None


def percent(part: int, whole: int) -> Decimal:
    """`part` of `whole` in per cent, to one decimal."""
    return (Decimal(100 * part) / whole).quantize(Decimal("0.1"))


def of_item(item_id: int, *, limit: int, offset: int) -> list[Made]:
    """The item's lots with their runs, newest first. Seven statements, whatever their number."""
    ids = list(
        db.session.scalars(
            select(Lot.id)
            .where(Lot.item_id == item_id)
            .order_by(Lot.made_on.desc().nulls_last(), Lot.id.desc())
            .limit(limit)
            .offset(offset)
        )
    )
    rows, runs, released = listing.of_ids(ids), _runs(ids), _released(ids)
    failed = _failed(ids)
    return [
        Made(
            row,
            runs.get(row.lot.id),
            row.places.get(SCRAP, 0),
            failed.get(row.lot.id, 0),
            released.get(row.lot.id, 0),
        )
        for row in rows
    ]


def _runs(lot_ids: Sequence[int]) -> dict[int, ProductionRun]:
    query = select(RunOutput.lot_id, ProductionRun).join(ProductionRun, ProductionRun.id == RunOutput.run_id)
    return {row[0]: row[1] for row in db.session.execute(query.where(RunOutput.lot_id.in_(lot_ids)))}


def _released(lot_ids: Sequence[int]) -> dict[int, int]:
    query = select(LotDecision.lot_id, func.sum(LotDecision.released)).where(LotDecision.lot_id.in_(lot_ids))
    return {row[0]: int(row[1]) for row in db.session.execute(query.group_by(LotDecision.lot_id))}


def _failed(lot_ids: Sequence[int]) -> dict[int, int]:
    query = select(CheckResult.lot_id, func.count()).where(CheckResult.lot_id.in_(lot_ids), ~CheckResult.is_passed)
    return {row[0]: row[1] for row in db.session.execute(query.group_by(CheckResult.lot_id))}


def totals(item_id: int) -> Totals:
    """The item's whole history in numbers. Three statements."""
    lots = db.session.scalar(select(func.count()).select_from(Lot).where(Lot.item_id == item_id)) or 0
    # All units of a lot stand somewhere, and the virtual place that they came from holds as many below zero.
    units = select(
        func.coalesce(func.sum(-Balance.quantity).filter(Balance.quantity < 0), 0),
        func.coalesce(func.sum(Balance.quantity).filter(Balance.place == SCRAP), 0),
    ).where(Balance.item_id == item_id, Balance.lot_id.is_not(None))
    made, scrapped = db.session.execute(units).one()
    done = select(
        func.count(),
        func.coalesce(func.sum(ProductionRun.planned_quantity), 0),
        func.coalesce(func.sum(ProductionRun.output_quantity), 0),
    ).where(ProductionRun.item_id == item_id, ProductionRun.state == COMPLETED)
    runs, planned, output = db.session.execute(done).one()
    return Totals(lots, int(made), int(scrapped), runs, int(planned), int(output))


def runs_without_lot(item_id: int) -> Sequence[ProductionRun]:
    """Completed runs of the item of which nothing came out good, so that no lot names them; newest first."""
    made = select(RunOutput.id).where(RunOutput.run_id == ProductionRun.id).exists()
    query = select(ProductionRun).where(ProductionRun.item_id == item_id, ProductionRun.state == COMPLETED, ~made)
    return db.session.scalars(query.order_by(ProductionRun.id.desc()).limit(PER_PAGE)).all()


@blueprint.get("/products/<int:item_id>/history")
def history(item_id: int) -> Response:
    """All lots and runs of an item, newest first."""
    item = db.session.scalar(select(Item).where(Item.id == item_id))
    if item is None:
        raise NotFoundError("There is no such product here.")
    number = min(100_000, max(1, request.args.get("page", 1, int)))
    offset = (number - 1) * PER_PAGE
    sums = totals(item.id)
    made = of_item(item.id, limit=PER_PAGE, offset=offset)
    facts: dict[str, Any] = {"item": item, "made": made, "totals": sums, "pages": _pages(item_id, sums.lots, number)}
    facts["fruitless"] = runs_without_lot(item.id) if sums.runs and number == 1 else []
    return page("production/history.html", **facts)


def _pages(item_id: int, total: int, number: int) -> dict[str, Any]:
    def to(other: int) -> str:
        return f"/products/{item_id}/history?{urlencode({'page': other})}"

    stay_within(total, number, PER_PAGE)
    first, last = (number - 1) * PER_PAGE + 1 if total else 0, min(total, number * PER_PAGE)
    previous, following = to(number - 1) if number > 1 else None, to(number + 1) if last < total else None
    return {"first": first, "last": last, "total": total, "previous": previous, "next": following}
