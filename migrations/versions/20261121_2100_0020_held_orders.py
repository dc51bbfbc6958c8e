"""A partner order remembers the cutoff beyond which it is held.

The old code serves on: it never writes the column, which may be empty.
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """The column is there. Whether an order that is open now was held is not known."""
    op.add_column("partner_order", sa.Column("held_after", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    """It is gone."""
    op.drop_column("partner_order", "held_after")
