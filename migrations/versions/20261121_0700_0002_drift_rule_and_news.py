"""A mapping may have a drift rule of its own; an order knows what state its news told of."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """The two columns are there."""
    op.add_column("mapping", sa.Column("drift_rule", sa.Text(), nullable=True))
    op.create_check_constraint(
        op.f("ck_mapping_drift_rule_known"), "mapping", "drift_rule IN ('ask', 'hub', 'shopify')"
    )
    op.add_column("customer_order", sa.Column("news_of", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    """They are gone."""
    op.drop_column("customer_order", "news_of")
    op.drop_constraint(op.f("ck_mapping_drift_rule_known"), "mapping", type_="check")
    op.drop_column("mapping", "drift_rule")
