"""Planning: past sales, item plans, events, days without stock, suggestions, purchases, notices; which orders businesses placed.

The old code serves on: it reads none of these tables, and the new column of orders has a default.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """The tables are there."""
    op.add_column("customer_order", sa.Column("is_b2b", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.create_index("ix_order_line_mapping", "order_line", ["mapping_id"], unique=False)
    _create_past_sale()
    _create_plan_state()
    _create_sales_pull()
    _create_item_plan()
    _create_plan_mail()
    _create_plan_event()
    _create_purchase()
    _create_stock_out()
    _create_suggestion()


def _create_past_sale() -> None:
    op.create_table(
        "past_sale",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("line_gid", sa.Text(), nullable=False),
        sa.Column("variant_gid", sa.Text(), nullable=False),
        sa.Column("sold_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("is_b2b", sa.Boolean(), nullable=False),
        sa.Column("shop_id", sa.Integer(), nullable=False),
        sa.CheckConstraint("quantity >= 0", name="ck_past_sale_quantity_not_negative"),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name="fk_past_sale_shop_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_past_sale"),
        sa.UniqueConstraint("shop_id", "line_gid", name="uq_past_sale_shop_id_line_gid"),
    )
    op.create_index("ix_past_sale_shop_id", "past_sale", ["shop_id"], unique=False)
    op.create_index("ix_past_sale_variant", "past_sale", ["shop_id", "variant_gid", "sold_at"], unique=False)


def _create_plan_state() -> None:
    op.create_table(
        "plan_state",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("replanned_on", sa.Date(), nullable=True),
        sa.Column("replanned_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("digest_on", sa.Date(), nullable=True),
        sa.Column("digest_said", sa.Text(), nullable=True),
        sa.Column("shop_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name="fk_plan_state_shop_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_plan_state"),
        sa.UniqueConstraint("shop_id", name="uq_plan_state_shop_id"),
    )
    op.create_index("ix_plan_state_shop_id", "plan_state", ["shop_id"], unique=False)


def _create_sales_pull() -> None:
    op.create_table(
        "sales_pull",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("bulk_operation_gid", sa.Text(), nullable=True),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_look_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("objects_found", sa.Integer(), nullable=False),
        sa.Column("expected", sa.Integer(), nullable=True),
        sa.Column("orders", sa.Integer(), nullable=False),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.Column("shop_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name="fk_sales_pull_shop_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_sales_pull"),
    )
    op.create_index("ix_sales_pull_shop_id", "sales_pull", ["shop_id"], unique=False)
    op.create_index(
        "uq_sales_pull_unfinished",
        "sales_pull",
        ["shop_id"],
        unique=True,
        postgresql_where=sa.text("finished_at IS NULL"),
    )


def _create_item_plan() -> None:
    op.create_table(
        "item_plan",
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("is_planned", sa.Boolean(), nullable=False),
        sa.Column("service_level", sa.Numeric(precision=5, scale=2), nullable=True),
        sa.Column("review_days", sa.Integer(), nullable=True),
        sa.Column("cover_days", sa.Integer(), nullable=True),
        sa.Column("lead_spread_days", sa.Numeric(precision=6, scale=2), nullable=True),
        sa.Column("least", sa.BigInteger(), nullable=True),
        sa.Column("most", sa.BigInteger(), nullable=True),
        sa.Column("daily_by_hand", sa.Numeric(precision=12, scale=3), nullable=True),
        sa.Column("like_item_id", sa.Integer(), nullable=True),
        sa.Column("like_percent", sa.Integer(), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("replanned_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("replans", sa.Integer(), nullable=False),
        sa.Column("method", sa.Text(), nullable=True),
        sa.Column("week", JSONB(), nullable=False),
        sa.Column("forecast_from", sa.Date(), nullable=True),
        sa.Column("b2b_daily", sa.Numeric(precision=14, scale=4), nullable=True),
        sa.Column("spread", sa.Numeric(precision=14, scale=4), nullable=True),
        sa.Column("error", sa.Numeric(precision=14, scale=4), nullable=True),
        sa.Column("naive_error", sa.Numeric(precision=14, scale=4), nullable=True),
        sa.Column("mase", sa.Numeric(precision=10, scale=4), nullable=True),
        sa.Column("days_known", sa.Integer(), nullable=False),
        sa.Column("unusual", JSONB(), nullable=False),
        sa.Column("point", sa.BigInteger(), nullable=True),
        sa.Column("stock", sa.BigInteger(), nullable=False),
        sa.Column("coming", sa.BigInteger(), nullable=False),
        sa.Column("run_units", sa.BigInteger(), nullable=False),
        sa.Column("cover", sa.Integer(), nullable=True),
        sa.Column("gone_on", sa.Date(), nullable=True),
        sa.Column("price", sa.Numeric(precision=14, scale=2), nullable=True),
        sa.Column("shop_id", sa.Integer(), nullable=False),
        sa.CheckConstraint("daily_by_hand >= 0", name="ck_item_plan_daily_not_negative"),
        sa.CheckConstraint("least > 0 AND most > 0 AND least <= most", name="ck_item_plan_run_limits_in_order"),
        sa.CheckConstraint("like_item_id IS NULL OR like_item_id <> item_id", name="ck_item_plan_like_another"),
        sa.CheckConstraint("like_percent BETWEEN 1 AND 1000", name="ck_item_plan_like_percent_possible"),
        sa.CheckConstraint(
            "review_days BETWEEN 0 AND 365 AND cover_days BETWEEN 1 AND 730", name="ck_item_plan_days_possible"
        ),
        sa.CheckConstraint("service_level >= 50 AND service_level < 100", name="ck_item_plan_service_level_possible"),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name="fk_item_plan_item_id"),
        sa.ForeignKeyConstraint(["like_item_id"], ["item.id"], name="fk_item_plan_like_item_id"),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name="fk_item_plan_shop_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("item_id", name="pk_item_plan"),
    )
    op.create_index(
        "ix_item_plan_due", "item_plan", ["shop_id"], unique=False, postgresql_where=sa.text("due_at IS NOT NULL")
    )
    op.create_index("ix_item_plan_shop_id", "item_plan", ["shop_id"], unique=False)


def _create_plan_mail() -> None:
    op.create_table(
        "plan_mail",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=True),
        sa.Column("recipients", JSONB(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_try_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("given_up_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.Column("shop_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name="fk_plan_mail_item_id"),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name="fk_plan_mail_shop_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_plan_mail"),
    )
    op.create_index(
        "ix_plan_mail_due",
        "plan_mail",
        ["shop_id"],
        unique=False,
        postgresql_where=sa.text("sent_at IS NULL AND given_up_at IS NULL"),
    )
    op.create_index("ix_plan_mail_shop_id", "plan_mail", ["shop_id"], unique=False)


def _create_plan_event() -> None:
    op.create_table(
        "plan_event",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("since", sa.Date(), nullable=False),
        sa.Column("until", sa.Date(), nullable=False),
        sa.Column("factor", sa.Numeric(precision=8, scale=3), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("shop_id", sa.Integer(), nullable=False),
        sa.CheckConstraint("factor > 0 AND factor <= 100", name="ck_plan_event_factor_possible"),
        sa.CheckConstraint("until >= since", name="ck_plan_event_days_in_order"),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name="fk_plan_event_item_id"),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name="fk_plan_event_shop_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_plan_event"),
    )
    op.create_index("ix_plan_event_days", "plan_event", ["shop_id", "since"], unique=False)
    op.create_index("ix_plan_event_shop_id", "plan_event", ["shop_id"], unique=False)


def _create_purchase() -> None:
    op.create_table(
        "purchase",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("supplier", sa.Text(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("ordered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ordered_by", sa.Text(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("shop_id", sa.Integer(), nullable=False),
        sa.CheckConstraint("quantity > 0", name="ck_purchase_quantity_positive"),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name="fk_purchase_item_id"),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name="fk_purchase_shop_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_purchase"),
    )
    op.create_index(
        "ix_purchase_open",
        "purchase",
        ["shop_id", "item_id"],
        unique=False,
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.create_index("ix_purchase_shop_id", "purchase", ["shop_id"], unique=False)


def _create_stock_out() -> None:
    op.create_table(
        "stock_out",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("since", sa.Date(), nullable=False),
        sa.Column("until", sa.Date(), nullable=True),
        sa.Column("is_by_hand", sa.Boolean(), nullable=False),
        sa.Column("shop_id", sa.Integer(), nullable=False),
        sa.CheckConstraint("until >= since", name="ck_stock_out_days_in_order"),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name="fk_stock_out_item_id"),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name="fk_stock_out_shop_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_stock_out"),
    )
    op.create_index("ix_stock_out_item", "stock_out", ["item_id", "since"], unique=False)
    op.create_index("ix_stock_out_shop_id", "stock_out", ["shop_id"], unique=False)
    op.create_index(
        "uq_stock_out_open", "stock_out", ["item_id"], unique=True, postgresql_where=sa.text("until IS NULL")
    )


def _create_suggestion() -> None:
    op.create_table(
        "suggestion",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("trigger", sa.Text(), nullable=False),
        sa.Column("facts", JSONB(), nullable=False),
        sa.Column("loss", sa.Numeric(precision=14, scale=2), nullable=True),
        sa.Column("gone_on", sa.Date(), nullable=True),
        sa.Column("act_by", sa.Date(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("snoozed_until", sa.Date(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("settled_by", sa.Text(), nullable=True),
        sa.Column("run_id", sa.Integer(), nullable=True),
        sa.Column("purchase_id", sa.Integer(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("shop_id", sa.Integer(), nullable=False),
        sa.CheckConstraint("(state = 'withdrawn') = (ended_at IS NOT NULL)", name="ck_suggestion_withdrawn_has_ended"),
        sa.CheckConstraint(
            "state IN ('open', 'dismissed', 'drafted', 'ordered', 'withdrawn')", name="ck_suggestion_state_known"
        ),
        sa.CheckConstraint("quantity > 0", name="ck_suggestion_quantity_positive"),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name="fk_suggestion_item_id"),
        sa.ForeignKeyConstraint(["purchase_id"], ["purchase.id"], name="fk_suggestion_purchase_id"),
        sa.ForeignKeyConstraint(["run_id"], ["production_run.id"], name="fk_suggestion_run_id"),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name="fk_suggestion_shop_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_suggestion"),
    )
    op.create_index(
        "ix_suggestion_current",
        "suggestion",
        ["shop_id", "state"],
        unique=False,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_index("ix_suggestion_shop_id", "suggestion", ["shop_id"], unique=False)
    op.create_index(
        "uq_suggestion_current", "suggestion", ["item_id"], unique=True, postgresql_where=sa.text("ended_at IS NULL")
    )


def downgrade() -> None:
    """They are gone."""
    op.drop_index("ix_order_line_mapping", table_name="order_line")
    op.drop_column("customer_order", "is_b2b")
    op.drop_index("uq_suggestion_current", table_name="suggestion", postgresql_where=sa.text("ended_at IS NULL"))
    op.drop_index("ix_suggestion_shop_id", table_name="suggestion")
    op.drop_index("ix_suggestion_current", table_name="suggestion", postgresql_where=sa.text("ended_at IS NULL"))
    op.drop_table("suggestion")
    op.drop_index("uq_stock_out_open", table_name="stock_out", postgresql_where=sa.text("until IS NULL"))
    op.drop_index("ix_stock_out_shop_id", table_name="stock_out")
    op.drop_index("ix_stock_out_item", table_name="stock_out")
    op.drop_table("stock_out")
    op.drop_index("ix_purchase_shop_id", table_name="purchase")
    op.drop_index("ix_purchase_open", table_name="purchase", postgresql_where=sa.text("closed_at IS NULL"))
    op.drop_table("purchase")
    op.drop_index("ix_plan_event_shop_id", table_name="plan_event")
    op.drop_index("ix_plan_event_days", table_name="plan_event")
    op.drop_table("plan_event")
    op.drop_index("ix_plan_mail_shop_id", table_name="plan_mail")
    op.drop_index(
        "ix_plan_mail_due", table_name="plan_mail", postgresql_where=sa.text("sent_at IS NULL AND given_up_at IS NULL")
    )
    op.drop_table("plan_mail")
    op.drop_index("ix_item_plan_shop_id", table_name="item_plan")
    op.drop_index("ix_item_plan_due", table_name="item_plan", postgresql_where=sa.text("due_at IS NOT NULL"))
    op.drop_table("item_plan")
    op.drop_index("uq_sales_pull_unfinished", table_name="sales_pull", postgresql_where=sa.text("finished_at IS NULL"))
    op.drop_index("ix_sales_pull_shop_id", table_name="sales_pull")
    op.drop_table("sales_pull")
    op.drop_index("ix_plan_state_shop_id", table_name="plan_state")
    op.drop_table("plan_state")
    op.drop_index("ix_past_sale_variant", table_name="past_sale")
    op.drop_index("ix_past_sale_shop_id", table_name="past_sale")
    op.drop_table("past_sale")
