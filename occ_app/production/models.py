"""Ingredients, formulas, runs, and what each run took and made. Quantities of components are in the smallest amount of their unit."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import ARRAY, BigInteger, CheckConstraint, ForeignKey, Index, Numeric, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from occ_app.catalog.models import Item, Location
from occ_app.extensions import ShopScoped, db
from occ_app.stock.models import Lot

DRAFT, PLANNED, IN_PROGRESS, COMPLETED, CANCELLED = "draft", "planned", "in_progress", "completed", "cancelled"
RUN_STATES = (DRAFT, PLANNED, IN_PROGRESS, COMPLETED, CANCELLED)


class Ingredient(ShopScoped, db.Model):
    """What an item of kind `ingredient` has beyond an item. Reorder point and lead time stand on the item."""

    __tablename__ = "ingredient"
    __table_args__ = (CheckConstraint("unit_cost >= 0", name="unit_cost_not_negative"),)

    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"), primary_key=True)
    supplier: Mapped[str] = mapped_column(Text, default="")
    unit_cost: Mapped[Decimal] = mapped_column(Numeric(14, 4), default=Decimal(0))  # of one item.unit, shop's currency
    allergens: Mapped[list[str]] = mapped_column(ARRAY(Text), default=list)

    item: Mapped[Item] = relationship(lazy="raise_on_sql")


class Receipt(ShopScoped, db.Model):
    """What came from a supplier as one lot."""

    __tablename__ = "receipt"
    __table_args__ = (CheckConstraint("unit_cost >= 0", name="unit_cost_not_negative"),)

    lot_id: Mapped[int] = mapped_column(ForeignKey("lot.id"), primary_key=True)
    supplier: Mapped[str] = mapped_column(Text, default="")
    supplier_lot_number: Mapped[str] = mapped_column(Text, default="")
    received_on: Mapped[date]
    unit_cost: Mapped[Decimal] = mapped_column(Numeric(14, 4), default=Decimal(0))  # of one item.unit, shop's currency

    lot: Mapped[Lot] = relationship(lazy="raise_on_sql")


class Formula(ShopScoped, db.Model):
    """One version of what an item is made from. A version is never changed; a later one takes its place. At most one is current."""

    __tablename__ = "formula"
    __table_args__ = (
        UniqueConstraint("item_id", "version"),
        Index("uq_formula_current", "item_id", unique=True, postgresql_where=text("is_current")),
        CheckConstraint("yield_quantity > 0", name="yield_positive"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"))
    version: Mapped[int]
    yield_quantity: Mapped[int] = mapped_column(BigInteger)  # units of the item that one making gives
    note: Mapped[str] = mapped_column(Text, default="")
    is_current: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(Text)

    item: Mapped[Item] = relationship(lazy="raise_on_sql")
    lines: Mapped[list[FormulaLine]] = relationship(lazy="raise_on_sql", order_by="FormulaLine.position")


class FormulaLine(ShopScoped, db.Model):
    """One component of a formula, for one making. `unit` is the one it was written in."""

    __tablename__ = "formula_line"
    __table_args__ = (
        UniqueConstraint("formula_id", "component_id"),
        Index("ix_formula_line_component", "component_id"),
        CheckConstraint("quantity > 0", name="quantity_positive"),
        CheckConstraint("scrap_percent >= 0 AND scrap_percent < 100", name="scrap_percent_possible"),
        CheckConstraint("setup_loss >= 0", name="setup_loss_not_negative"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    formula_id: Mapped[int] = mapped_column(ForeignKey("formula.id", ondelete="CASCADE"))
    position: Mapped[int]
    component_id: Mapped[int] = mapped_column(ForeignKey("item.id"))
    quantity: Mapped[int] = mapped_column(BigInteger)
    unit: Mapped[str] = mapped_column(Text)
    scrap_percent: Mapped[Decimal] = mapped_column(
        Numeric(5, 2), default=Decimal(0)
    )  # of what goes in, lost on the way
    setup_loss: Mapped[int] = mapped_column(BigInteger, default=0)  # lost once a run, whatever its size

    component: Mapped[Item] = relationship(lazy="raise_on_sql")


class ProductionRun(ShopScoped, db.Model):
    """One making of an item. `revision` rises with every change, so that two people cannot both complete what they saw."""

    __tablename__ = "production_run"
    __table_args__ = (
        UniqueConstraint("shop_id", "number"),
        Index("ix_production_run_item", "item_id", "id"),
        Index("ix_production_run_state", "shop_id", "state", "planned_on"),
        CheckConstraint(f"state IN {RUN_STATES}", name="state_known"),
        CheckConstraint("planned_quantity > 0", name="planned_positive"),
        CheckConstraint("output_quantity >= 0", name="output_not_negative"),
        CheckConstraint("(state = 'completed') = (completed_at IS NOT NULL)", name="completed_has_moment"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(Text)
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"))
    formula_id: Mapped[int | None] = mapped_column(ForeignKey("formula.id"))  # null: made without a formula
    location_id: Mapped[int] = mapped_column(ForeignKey("location.id"))
    state: Mapped[str] = mapped_column(Text, default=DRAFT)
    planned_quantity: Mapped[int] = mapped_column(BigInteger)  # units of the item
    planned_on: Mapped[date | None]
    note: Mapped[str] = mapped_column(Text, default="")
    output_quantity: Mapped[int | None] = mapped_column(BigInteger)  # units that came out good
    waste_quantity: Mapped[int | None] = mapped_column(BigInteger)  # units that came out bad
    revision: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(Text)
    started_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    completed_by: Mapped[str | None] = mapped_column(Text)
    expired_reason: Mapped[str | None] = mapped_column(Text)  # why a lot past its date was used all the same
    cancelled_at: Mapped[datetime | None]

    item: Mapped[Item] = relationship(lazy="raise_on_sql")
    formula: Mapped[Formula | None] = relationship(lazy="raise_on_sql")
    location: Mapped[Location] = relationship(lazy="raise_on_sql")


class RunReservation(ShopScoped, db.Model):
    """What a run holds of a lot: these units stand at the place `reserved`. Gone when the run is completed or cancelled."""

    __tablename__ = "run_reservation"
    __table_args__ = (
        UniqueConstraint("run_id", "lot_id"),
        Index("ix_run_reservation_lot", "lot_id"),
        CheckConstraint("quantity > 0", name="quantity_positive"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("production_run.id"))
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"))
    lot_id: Mapped[int] = mapped_column(ForeignKey("lot.id"))
    quantity: Mapped[int] = mapped_column(BigInteger)

    lot: Mapped[Lot] = relationship(lazy="raise_on_sql")


class RunConsumption(ShopScoped, db.Model):
    """What a completed run took of a lot, `waste` of it lost on the way. The way back from what was made to what went in."""

    __tablename__ = "run_consumption"
    __table_args__ = (
        UniqueConstraint("run_id", "lot_id"),
        Index("ix_run_consumption_lot", "lot_id"),
        CheckConstraint("quantity > 0 AND waste >= 0 AND waste <= quantity", name="quantity_possible"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("production_run.id"))
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"))
    lot_id: Mapped[int] = mapped_column(ForeignKey("lot.id"))
    quantity: Mapped[int] = mapped_column(BigInteger)  # waste included
    waste: Mapped[int] = mapped_column(BigInteger, default=0)

    lot: Mapped[Lot] = relationship(lazy="raise_on_sql")


class RunOutput(ShopScoped, db.Model):
    """A lot that a run made, with as many units as came out good."""

    __tablename__ = "run_output"
    __table_args__ = (UniqueConstraint("lot_id"), Index("ix_run_output_run", "run_id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("production_run.id"))
    lot_id: Mapped[int] = mapped_column(ForeignKey("lot.id"))
    quantity: Mapped[int] = mapped_column(BigInteger)

    lot: Mapped[Lot] = relationship(lazy="raise_on_sql")


BACK, SCRAPPED = "back", "scrapped"
OUTCOMES = (BACK, SCRAPPED)


class Recall(ShopScoped, db.Model):
    """Lots that must not be sold or used. A drill freezes nothing. Ended when each of its lots is."""

    __tablename__ = "recall"
    __table_args__ = (UniqueConstraint("shop_id", "number"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int]  # 1, 2, 3 ... within the shop
    reason: Mapped[str] = mapped_column(Text, default="")
    is_drill: Mapped[bool] = mapped_column(default=False)
    opened_at: Mapped[datetime]
    opened_by: Mapped[str] = mapped_column(Text)
    ended_at: Mapped[datetime | None]

    @property
    def name(self) -> str:
        """What people call it: RC-3."""
        return f"RC-{self.number}"


class RecallLot(ShopScoped, db.Model):
    """A lot of a recall. While it is open and no drill, the lot has its `recalled_at`; at most one such recall holds a lot.

    A lot whose units came `back` is as any other again; one that was `scrapped` stays recalled, so that returned units of it are never sold.
    """

    __tablename__ = "recall_lot"
    __table_args__ = (
        UniqueConstraint("recall_id", "lot_id"),
        Index("ix_recall_lot_lot", "lot_id"),
        Index(
            "uq_recall_lot_frozen", "lot_id", unique=True, postgresql_where=text("ended_at IS NULL AND NOT is_drill")
        ),
        CheckConstraint(f"outcome IN {OUTCOMES}", name="outcome_known"),
        CheckConstraint("(outcome IS NULL) = (ended_at IS NULL)", name="ended_has_outcome"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    recall_id: Mapped[int] = mapped_column(ForeignKey("recall.id"))
    lot_id: Mapped[int] = mapped_column(ForeignKey("lot.id"))
    is_chosen: Mapped[bool] = mapped_column(default=True)  # named by a person; else made from one that was
    is_drill: Mapped[bool] = mapped_column(default=False)  # of the recall
    quantity: Mapped[int] = mapped_column(BigInteger, default=0)  # units here when it was frozen
    added_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    outcome: Mapped[str | None] = mapped_column(Text)  # back | scrapped

    lot: Mapped[Lot] = relationship(lazy="raise_on_sql")


class RecallEntry(ShopScoped, db.Model):
    """One line of a recall's decision log: who, when, what. Only ever added (a trigger refuses change and removal)."""

    __tablename__ = "recall_entry"
    __table_args__ = (Index("ix_recall_entry_recall", "recall_id", "id"),)

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    recall_id: Mapped[int] = mapped_column(ForeignKey("recall.id"))
    written_at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(Text)
    words: Mapped[str] = mapped_column(Text)
