"""What happened is found by its moment, newest first.

The old code serves on: it does not know the indexes.
"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
INDEXES = (
    ("ix_customer_order_booked", "customer_order", "coalesce(booked_at, due_at, placed_at, news_of)"),
    ("ix_push_line_sent", "push_line", "coalesce(settled_at, created_at)"),
    ("ix_sync_run_started", "sync_run", "started_at"),
    ("ix_delivery_received", "delivery", "received_at"),
)


def upgrade() -> None:
    """The indexes are there."""
    for name, table, moment in INDEXES:
        op.create_index(name, table, ["shop_id", sa.text(moment), "id"])


def downgrade() -> None:
    """They are gone."""
    for name, table, _ in INDEXES:
        op.drop_index(name, table)
