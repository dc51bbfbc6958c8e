"""What a merchant wants of a partner's goods for its own stock: lines on partner orders that belong to no customer.

The old code serves on: it writes no such line, and every line there is belongs to an order line.
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0013"

ONE = "(order_line_id IS NULL) <> (stock_request_id IS NULL)"


def upgrade() -> None:
    """A line belongs to an order line or to a stock request; a purchase may be one."""
    op.create_table(
        "stock_request",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("partner_id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("location_id", sa.Integer(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("shop_id", sa.Integer(), nullable=False),
        sa.CheckConstraint("quantity > 0", name="ck_stock_request_quantity_positive"),
        sa.ForeignKeyConstraint(["partner_id"], ["partner.id"], name="fk_stock_request_partner_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name="fk_stock_request_item_id"),
        sa.ForeignKeyConstraint(["location_id"], ["location.id"], name="fk_stock_request_location_id"),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name="fk_stock_request_shop_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_stock_request"),
    )
    op.create_index("ix_stock_request_shop_id", "stock_request", ["shop_id"], unique=False)
    op.create_index("ix_stock_request_item", "stock_request", ["item_id"], unique=False)
    op.alter_column("partner_line", "order_line_id", nullable=True)
    op.add_column("partner_line", sa.Column("stock_request_id", sa.Integer(), nullable=True))
    op.create_foreign_key(
        "fk_partner_line_stock_request_id",
        "partner_line",
        "stock_request",
        ["stock_request_id"],
        ["id"],
        ondelete="CASCADE",
    )
    op.create_unique_constraint(
        "uq_partner_line_shop_id_stock_request_id_turn", "partner_line", ["shop_id", "stock_request_id", "turn"]
    )
    op.create_check_constraint("ck_partner_line_for_one", "partner_line", ONE)
    op.add_column("purchase", sa.Column("stock_request_id", sa.Integer(), nullable=True))
    op.create_foreign_key(
        "fk_purchase_stock_request_id", "purchase", "stock_request", ["stock_request_id"], ["id"], ondelete="SET NULL"
    )


def downgrade() -> None:
    """Lines for stock are gone."""
    op.drop_constraint("fk_purchase_stock_request_id", "purchase", type_="foreignkey")
    op.drop_column("purchase", "stock_request_id")
    op.drop_constraint("ck_partner_line_for_one", "partner_line", type_="check")
    op.drop_constraint("uq_partner_line_shop_id_stock_request_id_turn", "partner_line", type_="unique")
    op.execute("DELETE FROM partner_line WHERE order_line_id IS NULL")
    op.drop_constraint("fk_partner_line_stock_request_id", "partner_line", type_="foreignkey")
    op.drop_column("partner_line", "stock_request_id")
    op.alter_column("partner_line", "order_line_id", nullable=False)
    op.drop_table("stock_request")
