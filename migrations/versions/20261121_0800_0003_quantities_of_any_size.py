"""Sums of units do not end at 2,147,483,647.

Widening rewrites the tables, so bookings wait while it runs; the old code serves on with either width.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
COLUMNS = {
    "balance": ("quantity",),
    "stock_move": ("quantity",),
    "order_line": ("short",),
    "sync_state": ("sellable", "target", "expected", "drift", "approved_target"),
    "push_line": ("change_from", "quantity", "target", "expected"),
}


def upgrade() -> None:
    """Sums of units are 64 bits wide."""
    _alter("BIGINT")


def downgrade() -> None:
    """They are 32 bits wide again. Fails where a number does not fit, and then changes nothing."""
    _alter("INTEGER")


def _alter(width: str) -> None:
    """One statement a table, so that each is rewritten once."""
    for table, columns in COLUMNS.items():
        op.execute(f"ALTER TABLE {table} " + ", ".join(f"ALTER COLUMN {name} TYPE {width}" for name in columns))
