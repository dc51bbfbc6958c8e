"""Lines of partner orders say in which currency they were priced; orders say how often their draft was to be made.

The old code serves on: both columns have a default. Lines captured before are taken to be priced in what their partner's store sells in now.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0011"

PRICED = """
UPDATE partner_line SET currency = shop.currency FROM partner JOIN shop ON shop.id = partner.partner_shop_id
WHERE partner.id = partner_line.partner_id AND partner_line.unit_cost IS NOT NULL
"""


def upgrade() -> None:
    """Both columns are there. An order of which a draft may have been made twice before counts as such."""
    op.add_column("partner_line", sa.Column("currency", sa.Text(), server_default="", nullable=False))
    op.add_column("partner_order", sa.Column("creates", sa.Integer(), server_default="0", nullable=False))
    op.execute(PRICED)
    op.execute("UPDATE partner_order SET creates = 2 WHERE state IN ('open', 'closing')")


def downgrade() -> None:
    """Neither is."""
    op.drop_column("partner_order", "creates")
    op.drop_column("partner_line", "currency")
