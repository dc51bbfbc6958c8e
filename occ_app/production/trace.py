"""From lots to the runs that used them and the lots made there, and back, through sub-assemblies of any depth.

Each way is one statement: a recursive query that visits a lot once, whatever ways lead to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ARRAY, CTE, ColumnElement, Integer, any_, bindparam, select

from occ_app.extensions import db
from occ_app.production.models import RunConsumption, RunOutput
from occ_app.stock.models import Lot


@dataclass(frozen=True)
class Fed:
    """A lot went into a run: so much of it, `waste` of that lost on the way."""

    lot_id: int
    run_id: int
    quantity: int
    waste: int


@dataclass(frozen=True)
class Made:
    """A run put out a lot of so many units."""

    run_id: int
    lot_id: int
    quantity: int


@dataclass(frozen=True)
class Links:
    """What went into what. Every pair stands once."""

    fed: tuple[Fed, ...] = ()
    made: tuple[Made, ...] = ()
    lot_ids: frozenset[int] = field(default_factory=frozenset)

    @property
    def run_ids(self) -> frozenset[int]:
        """The runs on the way."""
        return frozenset(each.run_id for each in (*self.fed, *self.made))

    def __or__(self, other: Links) -> Links:
        """Both together."""
        return Links(
            tuple(dict.fromkeys((*self.fed, *other.fed))),
            tuple(dict.fromkeys((*self.made, *other.made))),
            self.lot_ids | other.lot_ids,
        )


def forward(lot_ids: Iterable[int]) -> Links:
    """Every run that used these lots or anything made from them, and every lot that came out."""
    reached = _reached(lot_ids, RunConsumption, RunOutput)
    query = (
        select(*_FED, *_MADE)
        .select_from(reached)
        .join(RunConsumption, RunConsumption.lot_id == reached.c.lot_id)
        .outerjoin(RunOutput, RunOutput.run_id == RunConsumption.run_id)
    )
    return _links(lot_ids, query)


def back(lot_ids: Iterable[int]) -> Links:
    """Every run that made these lots or anything that went into them, and every lot that went in."""
    reached = _reached(lot_ids, RunOutput, RunConsumption)
    query = (
        select(*_FED, *_MADE)
        .select_from(reached)
        .join(RunOutput, RunOutput.lot_id == reached.c.lot_id)
        .outerjoin(RunConsumption, RunConsumption.run_id == RunOutput.run_id)
    )
    return _links(lot_ids, query)


def made_from(lot_ids: Iterable[int]) -> list[int]:
    """Ids of the lots that these went into, however far on; without themselves, oldest first."""
    given = set(lot_ids)
    reached = _reached(given, RunConsumption, RunOutput)
    return sorted(set(db.session.scalars(select(reached.c.lot_id))) - given)


_FED = (
    RunConsumption.lot_id.label("from_lot"),
    RunConsumption.run_id.label("into_run"),
    RunConsumption.quantity.label("used"),
    RunConsumption.waste,
)
_MADE = (RunOutput.run_id.label("by_run"), RunOutput.lot_id.label("out_lot"), RunOutput.quantity.label("made"))


def among(column: Any, ids: Iterable[int]) -> ColumnElement[bool]:
    """The column is one of these ids: one parameter, however many they are."""
    return column == any_(bindparam(None, sorted(set(ids)), type_=ARRAY(Integer)))  # type: ignore[no-any-return]


def _reached(lot_ids: Iterable[int], entered: Any, left: Any) -> CTE:
    """The lots, and those that are reached from them by entering a run through one table and leaving it through the other."""
    seeds = select(Lot.id.label("lot_id")).where(among(Lot.id, lot_ids))
    reached = seeds.cte("reached", recursive=True)
    step = (
        select(left.lot_id)
        .select_from(reached)
        .join(entered, entered.lot_id == reached.c.lot_id)
        .join(left, left.run_id == entered.run_id)
    )
    return reached.union(step)


def _links(lot_ids: Iterable[int], query: Any) -> Links:
    fed: dict[Fed, None] = {}
    made: dict[Made, None] = {}
    found = set(lot_ids)
    for row in db.session.execute(query):
        if row.from_lot is not None:
            fed[Fed(row.from_lot, row.into_run, int(row.used), int(row.waste))] = None
            found.add(row.from_lot)
        if row.out_lot is not None:
            made[Made(row.by_run, row.out_lot, int(row.made))] = None
            found.add(row.out_lot)
    return Links(tuple(fed), tuple(made), frozenset(found))


def steps_of(links: Links) -> Sequence[Fed | Made]:
    """All links, what went in before what came out, run by run."""
    return sorted((*links.fed, *links.made), key=lambda each: (each.run_id, isinstance(each, Made), each.lot_id))
