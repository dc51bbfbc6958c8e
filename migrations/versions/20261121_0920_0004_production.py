"""Ingredients, formulas, production runs; the place `reserved`.

The old code serves on: it neither reads the new tables nor meets the new place.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
PLACES = "'completed', 'packaged', 'in_review', 'released', 'on_hold', 'committed'"
VIRTUAL = "place IN ('production', 'supplier', 'shipped', 'scrap', 'correction', 'opening', 'backorder')"
BIG = ("reorder_point", "target_stock")


def _shop() -> sa.Column:
    return sa.Column("shop_id", sa.Integer(), sa.ForeignKey("shop.id", ondelete="CASCADE"), nullable=False, index=True)


def _id() -> sa.Column:
    return sa.Column("id", sa.Integer(), primary_key=True)


def _to(column: str, table: str, *, nullable: bool = False, ondelete: str | None = None, **more: bool) -> sa.Column:
    return sa.Column(column, sa.Integer(), sa.ForeignKey(f"{table}.id", ondelete=ondelete), nullable=nullable, **more)


def _text(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _big(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.BigInteger(), nullable=nullable)


def _moment(name: str, *, nullable: bool = True) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _cost() -> sa.Column:
    return sa.Column("unit_cost", sa.Numeric(14, 4), nullable=False)


def _check(rule: str, name: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(rule, name=name)


def upgrade() -> None:
    """The tables are there."""
    op.add_column("item", sa.Column("kind", sa.Text(), nullable=False, server_default="product"))
    op.create_check_constraint(op.f("ck_item_kind_known"), "item", "kind IN ('product', 'ingredient')")
    for column in BIG:
        op.alter_column("item", column, type_=sa.BigInteger())
    _places(PLACES + ", 'reserved'")
    op.create_table(
        "ingredient",
        _to("item_id", "item", primary_key=True),
        _text("supplier"),
        _cost(),
        sa.Column("allergens", sa.ARRAY(sa.Text()), nullable=False),
        _shop(),
        _check("unit_cost >= 0", "unit_cost_not_negative"),
    )
    op.create_table(
        "receipt",
        _to("lot_id", "lot", primary_key=True),
        _text("supplier"),
        _text("supplier_lot_number"),
        sa.Column("received_on", sa.Date(), nullable=False),
        _cost(),
        _shop(),
        _check("unit_cost >= 0", "unit_cost_not_negative"),
    )
    op.create_table(
        "formula",
        _id(),
        _to("item_id", "item"),
        sa.Column("version", sa.Integer(), nullable=False),
        _big("yield_quantity"),
        _text("note"),
        sa.Column("is_current", sa.Boolean(), nullable=False),
        _moment("created_at", nullable=False),
        _text("created_by"),
        _shop(),
        sa.UniqueConstraint("item_id", "version"),
        _check("yield_quantity > 0", "yield_positive"),
    )
    op.create_index("uq_formula_current", "formula", ["item_id"], unique=True, postgresql_where=sa.text("is_current"))
    op.create_table(
        "formula_line",
        _id(),
        _to("formula_id", "formula", ondelete="CASCADE"),
        sa.Column("position", sa.Integer(), nullable=False),
        _to("component_id", "item"),
        _big("quantity"),
        _text("unit"),
        sa.Column("scrap_percent", sa.Numeric(5, 2), nullable=False),
        _big("setup_loss"),
        _shop(),
        sa.UniqueConstraint("formula_id", "component_id"),
        _check("quantity > 0", "quantity_positive"),
        _check("scrap_percent >= 0 AND scrap_percent < 100", "scrap_percent_possible"),
        _check("setup_loss >= 0", "setup_loss_not_negative"),
    )
    op.create_index("ix_formula_line_component", "formula_line", ["component_id"])
    _create_runs()


def _create_runs() -> None:
    op.create_table(
        "production_run",
        _id(),
        _text("number"),
        _to("item_id", "item"),
        _to("formula_id", "formula", nullable=True),
        _to("location_id", "location"),
        _text("state"),
        _big("planned_quantity"),
        sa.Column("planned_on", sa.Date(), nullable=True),
        _text("note"),
        _big("output_quantity", nullable=True),
        _big("waste_quantity", nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        _moment("created_at", nullable=False),
        _text("created_by"),
        _moment("started_at"),
        _moment("completed_at"),
        _text("completed_by", nullable=True),
        _text("expired_reason", nullable=True),
        _moment("cancelled_at"),
        _shop(),
        sa.UniqueConstraint("shop_id", "number"),
        _check("state IN ('draft', 'planned', 'in_progress', 'completed', 'cancelled')", "state_known"),
        _check("planned_quantity > 0", "planned_positive"),
        _check("output_quantity >= 0", "output_not_negative"),
        _check("(state = 'completed') = (completed_at IS NOT NULL)", "completed_has_moment"),
    )
    op.create_index("ix_production_run_item", "production_run", ["item_id", "id"])
    op.create_index("ix_production_run_state", "production_run", ["shop_id", "state", "planned_on"])
    for table, *more in (
        ("run_reservation", _check("quantity > 0", "quantity_positive")),
        (
            "run_consumption",
            _big("waste"),
            _check("quantity > 0 AND waste >= 0 AND waste <= quantity", "quantity_possible"),
        ),
    ):
        op.create_table(
            table,
            _id(),
            _to("run_id", "production_run"),
            _to("item_id", "item"),
            _to("lot_id", "lot"),
            _big("quantity"),
            _shop(),
            sa.UniqueConstraint("run_id", "lot_id"),
            *more,
        )
        op.create_index(f"ix_{table}_lot", table, ["lot_id"])
    op.create_table(
        "run_output",
        _id(),
        _to("run_id", "production_run"),
        _to("lot_id", "lot"),
        _big("quantity"),
        _shop(),
        sa.UniqueConstraint("lot_id"),
    )
    op.create_index("ix_run_output_run", "run_output", ["run_id"])


def _places(places: str) -> None:
    """These physical places, and those of the channels, may hold units, and never fewer than none."""
    physical = f"place IN ({places}) OR place LIKE 'allocated:%'"
    for name, rule in (
        ("place_known", f"({VIRTUAL}) OR ({physical})"),
        ("physical_not_negative", f"NOT ({physical}) OR quantity >= 0"),
    ):
        op.drop_constraint(op.f(f"ck_balance_{name}"), "balance", type_="check")
        op.create_check_constraint(op.f(f"ck_balance_{name}"), "balance", rule)


def downgrade() -> None:
    """They are gone. Refused while units are reserved for a run."""
    for table in (
        "run_output",
        "run_consumption",
        "run_reservation",
        "production_run",
        "formula_line",
        "formula",
        "receipt",
        "ingredient",
    ):
        op.drop_table(table)
    _places(PLACES)
    for column in BIG:
        op.alter_column("item", column, type_=sa.Integer())
    op.drop_constraint(op.f("ck_item_kind_known"), "item", type_="check")
    op.drop_column("item", "kind")
