"""Channels and their rules, market days, wholesale orders, API tokens and answers, levels, notices.

The old code serves on: it reads none of these tables.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0010"
down_revision = "0009"
TABLES = (
    "api_answer",
    "api_token",
    "b2b_customer",
    "notice_endpoint",
    "own_channel",
    "allocation_change",
    "allocation_rule",
    "api_usage",
    "asked_sync",
    "b2b_level",
    "b2b_order",
    "handout",
    "market_day",
    "notice",
    "b2b_order_line",
    "market_line",
)


def upgrade() -> None:
    """The tables are there."""
    op.execute("CREATE SEQUENCE b2b_level_version")
    op.create_table(
        "api_answer",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("headers", JSONB(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("shop_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("shop_id", "key"),
    )
    op.create_index("ix_api_answer_created_at", "api_answer", ["created_at"], unique=False)
    op.create_index("ix_api_answer_shop_id", "api_answer", ["shop_id"], unique=False)
    op.create_table(
        "api_token",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("hint", sa.Text(), nullable=False),
        sa.Column("scopes", JSONB(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("shop_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("token_hash"),
    )
    op.create_index("ix_api_token_shop_id", "api_token", ["shop_id"], unique=False)
    op.create_table(
        "b2b_customer",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("shop_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("shop_id", "reference"),
    )
    op.create_index("ix_b2b_customer_shop_id", "b2b_customer", ["shop_id"], unique=False)
    op.create_table(
        "notice_endpoint",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("kinds", JSONB(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_why", sa.Text(), nullable=True),
        sa.Column("shop_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_notice_endpoint_shop_id", "notice_endpoint", ["shop_id"], unique=False)
    op.create_table(
        "own_channel",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("shop_id", sa.Integer(), nullable=False),
        sa.CheckConstraint("key ~ '^[a-z0-9][a-z0-9-]{0,29}$'", name=op.f("ck_own_channel_key_form")),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("shop_id", "key"),
    )
    op.create_index("ix_own_channel_shop_id", "own_channel", ["shop_id"], unique=False)
    op.create_table(
        "allocation_change",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("location_id", sa.Integer(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("before", JSONB(), nullable=False),
        sa.Column("after", JSONB(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("undoes_id", sa.Integer(), nullable=True),
        sa.Column("shop_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"]),
        sa.ForeignKeyConstraint(["location_id"], ["location.id"]),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["undoes_id"], ["allocation_change.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("undoes_id"),
    )
    op.create_index("ix_allocation_change_item", "allocation_change", ["item_id", "id"], unique=False)
    op.create_index("ix_allocation_change_shop_id", "allocation_change", ["shop_id"], unique=False)
    op.create_table(
        "allocation_rule",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("location_id", sa.Integer(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("fixed", sa.BigInteger(), nullable=True),
        sa.Column("share_percent", sa.Integer(), nullable=True),
        sa.Column("takes_rest", sa.Boolean(), nullable=False),
        sa.Column("floor", sa.BigInteger(), nullable=False),
        sa.Column("ceiling", sa.BigInteger(), nullable=True),
        sa.Column("give_back_on", sa.Date(), nullable=True),
        sa.Column("shop_id", sa.Integer(), nullable=False),
        sa.CheckConstraint("fixed >= 0", name=op.f("ck_allocation_rule_fixed_not_negative")),
        sa.CheckConstraint(
            "floor >= 0 AND (ceiling IS NULL OR ceiling >= floor)", name=op.f("ck_allocation_rule_floor_below_ceiling")
        ),
        sa.CheckConstraint(
            "num_nonnulls(fixed, share_percent) + takes_rest::int = 1", name=op.f("ck_allocation_rule_one_claim")
        ),
        sa.CheckConstraint("share_percent BETWEEN 0 AND 100", name=op.f("ck_allocation_rule_share_is_percent")),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"]),
        sa.ForeignKeyConstraint(["location_id"], ["location.id"]),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("item_id", "location_id", "channel"),
    )
    op.create_index("ix_allocation_rule_give_back", "allocation_rule", ["shop_id", "give_back_on"], unique=False)
    op.create_index("ix_allocation_rule_shop_id", "allocation_rule", ["shop_id"], unique=False)
    op.create_table(
        "api_usage",
        sa.Column("token_id", sa.Integer(), nullable=False),
        sa.Column("minute", sa.Integer(), nullable=False),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.Column("shop_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["token_id"], ["api_token.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("token_id"),
        prefixes=["UNLOGGED"],
    )
    op.create_index("ix_api_usage_shop_id", "api_usage", ["shop_id"], unique=False)
    op.create_table(
        "asked_sync",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("looked_at", sa.Integer(), nullable=False),
        sa.Column("changed", sa.Integer(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.Column("shop_id", sa.Integer(), nullable=False),
        sa.CheckConstraint("state IN ('waiting', 'running', 'done', 'failed')", name=op.f("ck_asked_sync_state_known")),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"]),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "ix_asked_sync_open", "asked_sync", ["shop_id"], unique=False, postgresql_where=sa.text("finished_at IS NULL")
    )
    op.create_index("ix_asked_sync_recent", "asked_sync", ["shop_id", "id"], unique=False)
    op.create_index("ix_asked_sync_shop_id", "asked_sync", ["shop_id"], unique=False)
    op.create_table(
        "b2b_level",
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("b2b_stock", sa.BigInteger(), nullable=False),
        sa.Column("b2c_stock", sa.BigInteger(), nullable=False),
        sa.Column("is_split", sa.Boolean(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("shop_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"]),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("item_id"),
    )
    op.create_index("ix_b2b_level_shop_id", "b2b_level", ["shop_id"], unique=False)
    op.create_index("ix_b2b_level_version", "b2b_level", ["shop_id", "version"], unique=False)
    op.create_table(
        "b2b_order",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Integer(), nullable=False),
        sa.Column("location_id", sa.Integer(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("shipped_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("shop_id", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "state IN ('draft', 'confirmed', 'shipped', 'cancelled')", name=op.f("ck_b2b_order_state_known")
        ),
        sa.ForeignKeyConstraint(["customer_id"], ["b2b_customer.id"]),
        sa.ForeignKeyConstraint(["location_id"], ["location.id"]),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("shop_id", "number"),
    )
    op.create_index("ix_b2b_order_recent", "b2b_order", ["shop_id", "id"], unique=False)
    op.create_index("ix_b2b_order_shop_id", "b2b_order", ["shop_id"], unique=False)
    op.create_index("ix_b2b_order_state", "b2b_order", ["shop_id", "state", "id"], unique=False)
    op.create_table(
        "handout",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("given_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("shop_id", sa.Integer(), nullable=False),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_handout_quantity_positive")),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"]),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_handout_recent", "handout", ["shop_id", "id"], unique=False)
    op.create_index("ix_handout_shop_id", "handout", ["shop_id"], unique=False)
    op.create_table(
        "market_day",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("held_on", sa.Date(), nullable=False),
        sa.Column("location_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_by", sa.Text(), nullable=True),
        sa.Column("shop_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["location_id"], ["location.id"]),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_market_day_recent", "market_day", ["shop_id", "held_on"], unique=False)
    op.create_index("ix_market_day_shop_id", "market_day", ["shop_id"], unique=False)
    op.create_table(
        "notice",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("endpoint_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("payload", JSONB(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_try_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.Column("shop_id", sa.Integer(), nullable=False),
        sa.CheckConstraint("state IN ('waiting', 'sent', 'parked')", name=op.f("ck_notice_state_known")),
        sa.ForeignKeyConstraint(["endpoint_id"], ["notice_endpoint.id"]),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "ix_notice_due",
        "notice",
        ["shop_id", "next_try_at"],
        unique=False,
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index("ix_notice_recent", "notice", ["shop_id", "id"], unique=False)
    op.create_index("ix_notice_shop_id", "notice", ["shop_id"], unique=False)
    op.create_index(
        "uq_notice_news",
        "notice",
        ["endpoint_id", "kind", "subject"],
        unique=True,
        postgresql_where=sa.text("state = 'waiting' AND tries = 0"),
    )
    op.create_table(
        "b2b_order_line",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("order_id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("taken", sa.BigInteger(), nullable=False),
        sa.Column("waits", sa.Boolean(), nullable=False),
        sa.Column("bookings", sa.Integer(), nullable=False),
        sa.Column("shop_id", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "quantity > 0 AND taken >= 0 AND taken <= quantity", name=op.f("ck_b2b_order_line_taken_within_quantity")
        ),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"]),
        sa.ForeignKeyConstraint(["order_id"], ["b2b_order.id"]),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("order_id", "item_id"),
    )
    op.create_index("ix_b2b_order_line_shop_id", "b2b_order_line", ["shop_id"], unique=False)
    op.create_index(
        "ix_b2b_order_line_waits", "b2b_order_line", ["item_id", "id"], unique=False, postgresql_where=sa.text("waits")
    )
    op.create_table(
        "market_line",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("market_day_id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("taken_out", sa.BigInteger(), nullable=False),
        sa.Column("back", sa.BigInteger(), nullable=True),
        sa.Column("sold", sa.BigInteger(), nullable=True),
        sa.Column("shop_id", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "back >= 0 AND sold >= 0 AND back + sold <= taken_out", name=op.f("ck_market_line_counted_adds_up")
        ),
        sa.CheckConstraint("taken_out > 0", name=op.f("ck_market_line_taken_positive")),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"]),
        sa.ForeignKeyConstraint(["market_day_id"], ["market_day.id"]),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("market_day_id", "item_id"),
    )
    op.create_index("ix_market_line_shop_id", "market_line", ["shop_id"], unique=False)


def downgrade() -> None:
    """The tables are gone."""
    for table in reversed(TABLES):
        op.drop_table(table)
    op.execute("DROP SEQUENCE b2b_level_version")
