"""Compare-at prices are kept: as Shopify has them, as we set them, and as the partner had them then.

The old code serves on: it never writes the columns, and empty means not known. Shopify's own are read with the next news of each
product; copies of partners' products are read by themselves, ten minutes from now, when the new code is there.
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"

MONEY = sa.Numeric(14, 2)


def upgrade() -> None:
    """The columns are there, and the copies are to be read. What the partner has now counts as what our price was made from."""
    op.add_column("variant", sa.Column("compare_at_price", MONEY, nullable=True))
    op.add_column("imported_variant", sa.Column("compare_at", MONEY, nullable=True))
    op.add_column("imported_variant", sa.Column("seen_compare_at", MONEY, nullable=True))
    op.execute(
        "UPDATE imported_variant SET seen_compare_at = coalesce(partner_variant.compare_at_price, 0)"
        " FROM partner_variant WHERE partner_variant.id = imported_variant.partner_variant_id"
    )
    op.execute(
        "INSERT INTO product_news (shop_id, product_gid, noted_at, tries, next_try_at)"
        " SELECT shop_id, product_gid, now(), 0, now() + interval '10 minutes' FROM imported_product"
        " WHERE product_gid IS NOT NULL ON CONFLICT (shop_id, product_gid) DO NOTHING"
    )


def downgrade() -> None:
    """They are gone."""
    op.drop_column("imported_variant", "seen_compare_at")
    op.drop_column("imported_variant", "compare_at")
    op.drop_column("variant", "compare_at_price")
