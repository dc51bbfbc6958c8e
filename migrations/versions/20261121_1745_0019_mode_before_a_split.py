"""An item that is split remembers which sync mode it had, for when it comes back into the pool.

The old code serves on: it neither reads nor writes it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """The column is there; items that are split already remember none."""
    op.add_column("item", sa.Column("mode_before_split", sa.Text(), nullable=True))


def downgrade() -> None:
    """It is gone."""
    op.drop_column("item", "mode_before_split")
