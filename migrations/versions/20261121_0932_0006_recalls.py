"""Recalls, their lots and their decision log; an order line is found by its number, as the sources of moves name it.

The old code serves on: it knows none of the tables, and lots had the moment of their recall before.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

# Decisions are only ever added. Erasing a whole shop, as privacy law asks, says so for its own transaction.
KEEP = """
CREATE FUNCTION recall_entries_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('occ.erasing', true) = 'yes' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'decisions of a recall are only ever added';
END $$
"""
KEEP_TRIGGER = """
CREATE TRIGGER recall_entries_stay BEFORE UPDATE OR DELETE ON recall_entry
FOR EACH ROW EXECUTE FUNCTION recall_entries_stay()
"""


def _shop() -> sa.Column:
    return sa.Column("shop_id", sa.Integer(), sa.ForeignKey("shop.id", ondelete="CASCADE"), nullable=False, index=True)


def _to(table: str) -> sa.Column:
    return sa.Column(f"{table}_id", sa.Integer(), sa.ForeignKey(f"{table}.id"), nullable=False)


def _moment(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    """The tables are there."""
    op.create_table(
        "recall",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("is_drill", sa.Boolean(), nullable=False),
        _moment("opened_at"),
        sa.Column("opened_by", sa.Text(), nullable=False),
        _moment("ended_at", nullable=True),
        _shop(),
        sa.UniqueConstraint("shop_id", "number"),
    )
    op.create_table(
        "recall_lot",
        sa.Column("id", sa.Integer(), primary_key=True),
        _to("recall"),
        _to("lot"),
        sa.Column("is_chosen", sa.Boolean(), nullable=False),
        sa.Column("is_drill", sa.Boolean(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        _moment("added_at"),
        _moment("ended_at", nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        _shop(),
        sa.UniqueConstraint("recall_id", "lot_id"),
        sa.CheckConstraint("outcome IN ('back', 'scrapped')", name="outcome_known"),
        sa.CheckConstraint("(outcome IS NULL) = (ended_at IS NULL)", name="ended_has_outcome"),
    )
    op.create_index("ix_recall_lot_lot", "recall_lot", ["lot_id"])
    is_frozen = sa.text("ended_at IS NULL AND NOT is_drill")
    op.create_index("uq_recall_lot_frozen", "recall_lot", ["lot_id"], unique=True, postgresql_where=is_frozen)
    op.create_table(
        "recall_entry",
        sa.Column("id", sa.BigInteger(), primary_key=True),
        _to("recall"),
        _moment("written_at"),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        _shop(),
    )
    op.create_index("ix_recall_entry_recall", "recall_entry", ["recall_id", "id"])
    op.execute(KEEP)
    op.execute(KEEP_TRIGGER)
    op.create_index("ix_order_line_number", "order_line", ["shop_id", "line_number"])


def downgrade() -> None:
    """They are gone. Lots keep the moment of their recall, and so stay out of the sellable number."""
    op.drop_index("ix_order_line_number", table_name="order_line")
    for table in ("recall_entry", "recall_lot", "recall"):
        op.drop_table(table)
    op.execute("DROP FUNCTION recall_entries_stay()")
