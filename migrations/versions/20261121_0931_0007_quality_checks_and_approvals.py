"""Quality checks, their results and photos; what was decided about a lot; approvals.

The old code serves on: it reads none of these tables. Mappings that wait for approval are asked about at the next recount.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def _shop() -> sa.Column:
    return sa.Column("shop_id", sa.Integer(), sa.ForeignKey("shop.id", ondelete="CASCADE"), nullable=False, index=True)


def _id() -> sa.Column:
    return sa.Column("id", sa.Integer(), primary_key=True)


def _to(column: str, table: str, *, primary_key: bool = False) -> sa.Column:
    return sa.Column(column, sa.Integer(), sa.ForeignKey(f"{table}.id"), nullable=False, primary_key=primary_key)


def _text(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _big(name: str) -> sa.Column:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def _moment(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _decimal(name: str) -> sa.Column:
    return sa.Column(name, sa.Numeric(16, 4), nullable=True)


def _yes(name: str) -> sa.Column:
    return sa.Column(name, sa.Boolean(), nullable=False)


def _check(rule: str, name: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(rule, name=name)


def upgrade() -> None:
    """The tables are there."""
    op.create_table(
        "quality_check",
        _id(),
        _to("item_id", "item"),
        sa.Column("position", sa.Integer(), nullable=False),
        _text("name"),
        _text("kind"),
        _text("unit"),
        _decimal("least"),
        _decimal("most"),
        _yes("is_required"),
        _moment("created_at"),
        _moment("ended_at", nullable=True),
        _shop(),
        _check("kind IN ('pass_fail', 'number')", "kind_known"),
        _check("least <= most", "limits_in_order"),
        _check("kind = 'number' OR (least IS NULL AND most IS NULL)", "only_numbers_have_limits"),
    )
    op.create_index("ix_quality_check_item", "quality_check", ["item_id", "position"])
    living = sa.text("ended_at IS NULL")
    op.create_index(
        "uq_quality_check_name",
        "quality_check",
        ["item_id", sa.text("lower(name)")],
        unique=True,
        postgresql_where=living,
    )
    op.create_table(
        "check_result",
        _id(),
        _to("lot_id", "lot"),
        _to("check_id", "quality_check"),
        _yes("is_passed"),
        _decimal("number"),
        _text("note"),
        _text("photo_type", nullable=True),
        _text("actor"),
        _moment("checked_at"),
        _shop(),
    )
    op.create_index("ix_check_result_lot", "check_result", ["lot_id", "check_id", "id"])
    photo = sa.Column("content", sa.LargeBinary(), nullable=False)
    op.create_table("check_photo", _to("result_id", "check_result", primary_key=True), photo, _shop())
    op.create_table(
        "lot_decision",
        _id(),
        _to("lot_id", "lot"),
        _text("from_place"),
        *(_big(name) for name in ("released", "held", "scrapped", "taken_back")),
        _text("note"),
        _text("overruled", nullable=True),
        _text("actor"),
        _moment("decided_at"),
        _shop(),
        _check(
            "released >= 0 AND held >= 0 AND scrapped >= 0 AND taken_back >= 0"
            " AND released + held + scrapped + taken_back > 0",
            "units_decided",
        ),
    )
    op.create_index("ix_lot_decision_lot", "lot_decision", ["lot_id", "id"])
    _create_approvals()


def _create_approvals() -> None:
    op.create_table(
        "approval",
        _id(),
        _to("mapping_id", "mapping"),
        _text("kind"),
        _big("quantity"),
        _big("expected"),
        _moment("since"),
        _moment("asked_at"),
        _text("state"),
        _moment("settled_at", nullable=True),
        _text("settled_by", nullable=True),
        _text("reason"),
        _shop(),
        _check("kind IN ('manual', 'guard')", "kind_known"),
        _check("state IN ('asked', 'approved', 'rejected', 'superseded', 'gone')", "state_known"),
        _check("(state = 'asked') = (settled_at IS NULL)", "settled_has_moment"),
    )
    asked = sa.text("state = 'asked'")
    op.create_index("uq_approval_asked", "approval", ["mapping_id"], unique=True, postgresql_where=asked)
    op.create_index("ix_approval_recent", "approval", ["shop_id", "id"])
    op.create_index("ix_approval_mapping", "approval", ["mapping_id", "id"])


def downgrade() -> None:
    """They are gone, and what they held with them."""
    for table in ("approval", "lot_decision", "check_photo", "check_result", "quality_check"):
        op.drop_table(table)
