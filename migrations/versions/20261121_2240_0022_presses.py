"""Forms that were acted on are remembered, so that none is done twice.

The old code serves on: it does not know the table.
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """The table is there."""
    op.create_table(
        "press",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("pressed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("shop_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name=op.f("fk_press_shop_id_shop"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_press")),
        sa.UniqueConstraint("shop_id", "digest", name=op.f("uq_press_shop_id_digest")),
    )
    op.create_index(op.f("ix_press_shop_id"), "press", ["shop_id"])


def downgrade() -> None:
    """It is gone."""
    op.drop_table("press")
