"""News of products waits in a table, so that many are read in one call.

The old code serves on: it does not know the table.
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """The table is there."""
    op.create_table(
        "product_news",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("product_gid", sa.Text(), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("noted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_try_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("shop_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("shop_id", "product_gid"),
    )
    op.create_index("ix_product_news_shop_id", "product_news", ["shop_id"], unique=False)
    op.create_index("ix_product_news_next_try_at", "product_news", ["next_try_at"], unique=False)


def downgrade() -> None:
    """As before; what waited there is read with the next pull of all variants."""
    op.drop_index("ix_product_news_next_try_at", table_name="product_news")
    op.drop_index("ix_product_news_shop_id", table_name="product_news")
    op.drop_table("product_news")
