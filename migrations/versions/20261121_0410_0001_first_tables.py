"""Shops, deliveries, mutations, catalog, stock, sync, orders."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = "0000"

# A delivery asks for the task that works it off in its own INSERT. A job that waits already is joined: it may not start before this
# transaction has ended, which the shared row lock sees to (workers skip locked rows).
WAKE = """
CREATE FUNCTION delivery_asks_for_work() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE asked text := 'inbox:' || NEW.shop_id;
BEGIN
    PERFORM 1 FROM procrastinate_jobs WHERE queueing_lock = asked AND status = 'todo' FOR KEY SHARE;
    IF NOT FOUND THEN
        INSERT INTO procrastinate_jobs (queue_name, task_name, lock, queueing_lock, args)
        VALUES ('default', 'run', asked, asked, jsonb_build_object('name', 'inbox', 'shop_id', NEW.shop_id))
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END $$
"""
WAKE_TRIGGER = """
CREATE TRIGGER delivery_asks_for_work AFTER INSERT ON delivery
FOR EACH ROW WHEN (NEW.shop_id IS NOT NULL) EXECUTE FUNCTION delivery_asks_for_work()
"""

# Moves are only ever added. Erasing a whole shop, as privacy law asks, says so for its own transaction.
KEEP = """
CREATE FUNCTION stock_moves_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('occ.erasing', true) = 'yes' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'stock moves are only ever added';
END $$
"""
KEEP_TRIGGER = """
CREATE TRIGGER stock_moves_stay BEFORE UPDATE OR DELETE ON stock_move
FOR EACH ROW EXECUTE FUNCTION stock_moves_stay()
"""


def upgrade() -> None:
    """All tables of the first version are there."""
    op.create_table(
        "privacy_request",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("shop_domain", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("webhook_id", sa.Text(), nullable=False),
        sa.Column("request_gid", sa.BigInteger(), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_privacy_request")),
        sa.UniqueConstraint("webhook_id", name=op.f("uq_privacy_request_webhook_id")),
    )
    op.create_table(
        "shop",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("status_reason", sa.Text(), nullable=True),
        sa.Column("shopify_gid", sa.Text(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("settings", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("installed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("uninstalled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("orders_seen_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("variants_pulled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reconciled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "domain = lower(domain) AND domain LIKE '%.myshopify.com'", name=op.f("ck_shop_domain_form")
        ),
        sa.CheckConstraint(
            "status IN ('active', 'paused', 'needs_reconnecting', 'uninstalled')", name=op.f("ck_shop_status_known")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shop")),
        sa.UniqueConstraint("domain", name=op.f("uq_shop_domain")),
    )
    op.create_table(
        "tick_slot",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("slot", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_tick_slot")),
    )
    op.create_table(
        "customer_order",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("order_gid", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("placed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("financial_status", sa.Text(), nullable=False),
        sa.Column("fulfillment_status", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("is_test", sa.Boolean(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_try_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.Column("booked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("shop_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name=op.f("fk_customer_order_shop_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customer_order")),
        sa.UniqueConstraint("shop_id", "order_gid", name=op.f("uq_customer_order_shop_id_order_gid")),
    )
    op.create_index(
        "ix_customer_order_due",
        "customer_order",
        ["shop_id"],
        unique=False,
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_index("ix_customer_order_recent", "customer_order", ["shop_id", "placed_at"], unique=False)
    op.create_index(op.f("ix_customer_order_shop_id"), "customer_order", ["shop_id"], unique=False)
    op.create_table(
        "delivery",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("shop_id", sa.Integer(), nullable=True),
        sa.Column("shop_domain", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("webhook_id", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=True),
        sa.Column("api_version", sa.Text(), nullable=True),
        sa.Column("triggered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_try_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.CheckConstraint("state IN ('waiting', 'done', 'ignored', 'parked')", name=op.f("ck_delivery_state_known")),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name=op.f("fk_delivery_shop_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery")),
        sa.UniqueConstraint("topic", "webhook_id", name=op.f("uq_delivery_topic_webhook_id")),
    )
    op.create_index(
        "ix_delivery_due",
        "delivery",
        ["shop_id", "next_try_at"],
        unique=False,
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index("ix_delivery_recent", "delivery", ["shop_id", "id"], unique=False)
    op.create_table(
        "item",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("sku", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("shelf_life_days", sa.Integer(), nullable=True),
        sa.Column("sync_mode", sa.Text(), nullable=True),
        sa.Column("safety_stock", sa.Integer(), nullable=False),
        sa.Column("reorder_point", sa.Integer(), nullable=True),
        sa.Column("target_stock", sa.Integer(), nullable=True),
        sa.Column("lead_time_days", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("shop_id", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "sync_mode IN ('released', 'completed', 'packaged', 'manual', 'allocation', 'none')",
            name=op.f("ck_item_sync_mode_known"),
        ),
        sa.CheckConstraint("safety_stock >= 0", name=op.f("ck_item_safety_stock_not_negative")),
        sa.CheckConstraint("shelf_life_days IS NULL OR shelf_life_days > 0", name=op.f("ck_item_shelf_life_positive")),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name=op.f("fk_item_shop_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_item")),
        sa.UniqueConstraint("shop_id", "sku", name=op.f("uq_item_shop_id_sku")),
    )
    op.create_index(op.f("ix_item_shop_id"), "item", ["shop_id"], unique=False)
    op.create_table(
        "location",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("location_gid", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("pulled_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("shop_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name=op.f("fk_location_shop_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_location")),
        sa.UniqueConstraint("shop_id", "location_gid", name=op.f("uq_location_shop_id_location_gid")),
    )
    op.create_index(op.f("ix_location_shop_id"), "location", ["shop_id"], unique=False)
    op.create_table(
        "mutation",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("variables", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answer", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("shop_id", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "state IN ('ready', 'sent', 'applied', 'refused', 'ambiguous')", name=op.f("ck_mutation_state_known")
        ),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name=op.f("fk_mutation_shop_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mutation")),
        sa.UniqueConstraint("key", name=op.f("uq_mutation_key")),
    )
    op.create_index(
        "ix_mutation_open",
        "mutation",
        ["shop_id", "id"],
        unique=False,
        postgresql_where=sa.text("state IN ('ready', 'sent', 'ambiguous')"),
    )
    op.create_index(op.f("ix_mutation_shop_id"), "mutation", ["shop_id"], unique=False)
    op.create_table(
        "shop_token",
        sa.Column("shop_id", sa.Integer(), nullable=False),
        sa.Column("access_token", sa.LargeBinary(), nullable=False),
        sa.Column("refresh_token", sa.LargeBinary(), nullable=True),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("access_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refresh_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refreshed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name=op.f("fk_shop_token_shop_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("shop_id", name=op.f("pk_shop_token")),
    )
    op.create_table(
        "sync_run",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("looked_at", sa.Integer(), nullable=False),
        sa.Column("changed", sa.Integer(), nullable=False),
        sa.Column("reads", sa.Integer(), nullable=False),
        sa.Column("writes", sa.Integer(), nullable=False),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.Column("shop_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name=op.f("fk_sync_run_shop_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sync_run")),
    )
    op.create_index("ix_sync_run_recent", "sync_run", ["shop_id", "id"], unique=False)
    op.create_index(op.f("ix_sync_run_shop_id"), "sync_run", ["shop_id"], unique=False)
    op.create_table(
        "task_failure",
        sa.Column("shop_id", sa.Integer(), nullable=False),
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name=op.f("fk_task_failure_shop_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("shop_id", "task", name=op.f("pk_task_failure")),
    )
    op.create_table(
        "turn",
        sa.Column("shop_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("shop_id", "kind", name=op.f("pk_turn")),
    )
    op.create_table(
        "variant",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("variant_gid", sa.Text(), nullable=False),
        sa.Column("product_gid", sa.Text(), nullable=False),
        sa.Column("inventory_item_gid", sa.Text(), nullable=False),
        sa.Column("sku", sa.Text(), nullable=False),
        sa.Column("barcode", sa.Text(), nullable=False),
        sa.Column("product_title", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("price", sa.Numeric(precision=14, scale=2), nullable=True),
        sa.Column("image_url", sa.Text(), nullable=True),
        sa.Column("product_status", sa.Text(), nullable=False),
        sa.Column("is_tracked", sa.Boolean(), nullable=False),
        sa.Column("is_bundle", sa.Boolean(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("pulled_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("shop_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name=op.f("fk_variant_shop_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_variant")),
        sa.UniqueConstraint("shop_id", "variant_gid", name=op.f("uq_variant_shop_id_variant_gid")),
    )
    op.create_index("ix_variant_inventory_item", "variant", ["shop_id", "inventory_item_gid"], unique=False)
    op.create_index("ix_variant_product", "variant", ["shop_id", "product_gid"], unique=False)
    op.create_index(op.f("ix_variant_shop_id"), "variant", ["shop_id"], unique=False)
    op.create_index("ix_variant_sku", "variant", ["shop_id", "sku"], unique=False)
    op.create_table(
        "variant_pull",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("bulk_operation_gid", sa.Text(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_look_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("objects_found", sa.Integer(), nullable=False),
        sa.Column("variants_taken", sa.Integer(), nullable=False),
        sa.Column("expected", sa.Integer(), nullable=True),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.Column("shop_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name=op.f("fk_variant_pull_shop_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_variant_pull")),
    )
    op.create_index(op.f("ix_variant_pull_shop_id"), "variant_pull", ["shop_id"], unique=False)
    op.create_index(
        "uq_variant_pull_unfinished",
        "variant_pull",
        ["shop_id"],
        unique=True,
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    op.create_table(
        "lot",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("lot_number", sa.Text(), nullable=False),
        sa.Column("made_on", sa.Date(), nullable=True),
        sa.Column("expires_on", sa.Date(), nullable=True),
        sa.Column("recalled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("shop_id", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "expires_on IS NULL OR made_on IS NULL OR expires_on > made_on", name=op.f("ck_lot_expires_after_made")
        ),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("fk_lot_item_id")),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name=op.f("fk_lot_shop_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lot")),
        sa.UniqueConstraint("shop_id", "lot_number", name=op.f("uq_lot_shop_id_lot_number")),
    )
    op.create_index("ix_lot_item_expiry", "lot", ["item_id", "expires_on"], unique=False)
    op.create_index(op.f("ix_lot_shop_id"), "lot", ["shop_id"], unique=False)
    op.create_table(
        "mapping",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("variant_id", sa.Integer(), nullable=False),
        sa.Column("location_id", sa.Integer(), nullable=False),
        sa.Column("units_per_variant", sa.Integer(), nullable=False),
        sa.Column("sync_enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("shop_id", sa.Integer(), nullable=False),
        sa.CheckConstraint("units_per_variant > 0", name=op.f("ck_mapping_units_positive")),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("fk_mapping_item_id")),
        sa.ForeignKeyConstraint(["location_id"], ["location.id"], name=op.f("fk_mapping_location_id")),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name=op.f("fk_mapping_shop_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["variant_id"], ["variant.id"], name=op.f("fk_mapping_variant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mapping")),
    )
    op.create_index(
        "ix_mapping_item_living", "mapping", ["item_id"], unique=False, postgresql_where=sa.text("ended_at IS NULL")
    )
    op.create_index(op.f("ix_mapping_shop_id"), "mapping", ["shop_id"], unique=False)
    op.create_index(
        "uq_mapping_living",
        "mapping",
        ["variant_id", "location_id"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "balance",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("lot_id", sa.Integer(), nullable=True),
        sa.Column("location_id", sa.Integer(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("shop_id", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "(place IN ('production', 'supplier', 'shipped', 'scrap', 'correction', 'opening', 'backorder')) OR (place IN ('completed', 'packaged', 'in_review', 'released', 'on_hold', 'committed') OR place LIKE 'allocated:%')",
            name=op.f("ck_balance_place_known"),
        ),
        sa.CheckConstraint(
            "NOT (place IN ('completed', 'packaged', 'in_review', 'released', 'on_hold', 'committed') OR place LIKE 'allocated:%') OR quantity >= 0",
            name=op.f("ck_balance_physical_not_negative"),
        ),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("fk_balance_item_id")),
        sa.ForeignKeyConstraint(["location_id"], ["location.id"], name=op.f("fk_balance_location_id")),
        sa.ForeignKeyConstraint(["lot_id"], ["lot.id"], name=op.f("fk_balance_lot_id")),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name=op.f("fk_balance_shop_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_balance")),
        sa.UniqueConstraint(
            "item_id",
            "location_id",
            "place",
            "lot_id",
            name=op.f("uq_balance_item_id_location_id_place_lot_id"),
            postgresql_nulls_not_distinct=True,
        ),
    )
    op.create_index("ix_balance_lot", "balance", ["lot_id"], unique=False)
    op.create_index(op.f("ix_balance_shop_id"), "balance", ["shop_id"], unique=False)
    op.create_table(
        "order_line",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("order_id", sa.Integer(), nullable=False),
        sa.Column("line_gid", sa.Text(), nullable=False),
        sa.Column("line_number", sa.BigInteger(), nullable=False),
        sa.Column("variant_gid", sa.Text(), nullable=True),
        sa.Column("location_gid", sa.Text(), nullable=True),
        sa.Column("sku", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("unit_price", sa.Numeric(precision=14, scale=2), nullable=True),
        sa.Column("mapping_id", sa.Integer(), nullable=True),
        sa.Column("units_per_variant", sa.Integer(), nullable=False),
        sa.Column("waits_for_mapping", sa.Boolean(), nullable=False),
        sa.Column("taken", sa.Integer(), nullable=False),
        sa.Column("restocked", sa.Integer(), nullable=False),
        sa.Column("lost", sa.Integer(), nullable=False),
        sa.Column("shipped", sa.Integer(), nullable=False),
        sa.Column("returned", sa.Integer(), nullable=False),
        sa.Column("short", sa.Integer(), nullable=False),
        sa.Column("bookings", sa.Integer(), nullable=False),
        sa.Column("shop_id", sa.Integer(), nullable=False),
        sa.CheckConstraint("returned <= shipped", name=op.f("ck_order_line_returned_was_shipped")),
        sa.CheckConstraint("taken >= restocked + lost + shipped", name=op.f("ck_order_line_booked_adds_up")),
        sa.ForeignKeyConstraint(["mapping_id"], ["mapping.id"], name=op.f("fk_order_line_mapping_id")),
        sa.ForeignKeyConstraint(["order_id"], ["customer_order.id"], name=op.f("fk_order_line_order_id")),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name=op.f("fk_order_line_shop_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_line")),
        sa.UniqueConstraint("shop_id", "line_gid", name=op.f("uq_order_line_shop_id_line_gid")),
    )
    op.create_index("ix_order_line_order", "order_line", ["order_id"], unique=False)
    op.create_index(op.f("ix_order_line_shop_id"), "order_line", ["shop_id"], unique=False)
    op.create_index(
        "ix_order_line_waiting",
        "order_line",
        ["shop_id", "variant_gid"],
        unique=False,
        postgresql_where=sa.text("waits_for_mapping"),
    )
    op.create_table(
        "push_line",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("mutation_id", sa.Integer(), nullable=False),
        sa.Column("mapping_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("change_from", sa.Integer(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("target", sa.Integer(), nullable=False),
        sa.Column("expected", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("shop_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["mapping_id"], ["mapping.id"], name=op.f("fk_push_line_mapping_id")),
        sa.ForeignKeyConstraint(["mutation_id"], ["mutation.id"], name=op.f("fk_push_line_mutation_id")),
        sa.ForeignKeyConstraint(["run_id"], ["sync_run.id"], name=op.f("fk_push_line_run_id")),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name=op.f("fk_push_line_shop_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_push_line")),
    )
    op.create_index("ix_push_line_mapping", "push_line", ["mapping_id", "id"], unique=False)
    op.create_index(
        "ix_push_line_open",
        "push_line",
        ["shop_id"],
        unique=False,
        postgresql_where=sa.text("state IN ('waiting', 'ambiguous')"),
    )
    op.create_index(op.f("ix_push_line_shop_id"), "push_line", ["shop_id"], unique=False)
    op.create_table(
        "stock_move",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("item_id", sa.Integer(), nullable=False),
        sa.Column("lot_id", sa.Integer(), nullable=True),
        sa.Column("location_id", sa.Integer(), nullable=False),
        sa.Column("from_place", sa.Text(), nullable=False),
        sa.Column("to_place", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("moved_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("shop_id", sa.Integer(), nullable=False),
        sa.CheckConstraint("from_place <> to_place", name=op.f("ck_stock_move_places_differ")),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_stock_move_quantity_positive")),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("fk_stock_move_item_id")),
        sa.ForeignKeyConstraint(["location_id"], ["location.id"], name=op.f("fk_stock_move_location_id")),
        sa.ForeignKeyConstraint(["lot_id"], ["lot.id"], name=op.f("fk_stock_move_lot_id")),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name=op.f("fk_stock_move_shop_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stock_move")),
        sa.UniqueConstraint("shop_id", "source", name=op.f("uq_stock_move_shop_id_source")),
    )
    op.create_index("ix_stock_move_item", "stock_move", ["item_id", "id"], unique=False)
    op.create_index("ix_stock_move_lot", "stock_move", ["lot_id", "id"], unique=False)
    op.create_index(op.f("ix_stock_move_shop_id"), "stock_move", ["shop_id"], unique=False)
    op.create_index(
        "ix_stock_move_source_prefix",
        "stock_move",
        ["shop_id", "source"],
        unique=False,
        postgresql_ops={"source": "text_pattern_ops"},
    )
    op.create_table(
        "sync_exception",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("mapping_id", sa.Integer(), nullable=True),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled_by", sa.Text(), nullable=True),
        sa.Column("remedy", sa.Text(), nullable=True),
        sa.Column("shop_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["mapping_id"], ["mapping.id"], name=op.f("fk_sync_exception_mapping_id")),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name=op.f("fk_sync_exception_shop_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sync_exception")),
    )
    op.create_index("ix_sync_exception_recent", "sync_exception", ["shop_id", "id"], unique=False)
    op.create_index(op.f("ix_sync_exception_shop_id"), "sync_exception", ["shop_id"], unique=False)
    op.create_index(
        "uq_sync_exception_open",
        "sync_exception",
        ["shop_id", "kind", "subject"],
        unique=True,
        postgresql_where=sa.text("settled_at IS NULL"),
    )
    op.create_table(
        "sync_state",
        sa.Column("mapping_id", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.Column("sellable", sa.Integer(), nullable=False),
        sa.Column("target", sa.Integer(), nullable=False),
        sa.Column("expected", sa.Integer(), nullable=True),
        sa.Column("baseline_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("booked_committed", sa.Integer(), nullable=False),
        sa.Column("link_choice", sa.Text(), nullable=True),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("read_available", sa.Integer(), nullable=True),
        sa.Column("read_committed", sa.Integer(), nullable=True),
        sa.Column("read_reserved", sa.Integer(), nullable=True),
        sa.Column("read_damaged", sa.Integer(), nullable=True),
        sa.Column("read_quality_control", sa.Integer(), nullable=True),
        sa.Column("read_safety_stock", sa.Integer(), nullable=True),
        sa.Column("read_on_hand", sa.Integer(), nullable=True),
        sa.Column("drift", sa.Integer(), nullable=False),
        sa.Column("drift_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("drift_looks", sa.Integer(), nullable=False),
        sa.Column("look_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("drift_why", sa.Text(), nullable=True),
        sa.Column("is_pushed", sa.Boolean(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_try_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("approved_target", sa.Integer(), nullable=True),
        sa.Column("synced_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("shop_id", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "state IN ('awaiting_link', 'linked', 'awaiting_approval', 'parked', 'off')",
            name=op.f("ck_sync_state_state_known"),
        ),
        sa.CheckConstraint(
            "(expected IS NULL) = (baseline_at IS NULL)", name=op.f("ck_sync_state_expected_has_baseline")
        ),
        sa.ForeignKeyConstraint(["mapping_id"], ["mapping.id"], name=op.f("fk_sync_state_mapping_id")),
        sa.ForeignKeyConstraint(["shop_id"], ["shop.id"], name=op.f("fk_sync_state_shop_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("mapping_id", name=op.f("pk_sync_state")),
    )
    op.create_index(
        "ix_sync_state_due",
        "sync_state",
        ["shop_id"],
        unique=False,
        postgresql_where=sa.text("state = 'linked' AND is_pushed AND target <> expected"),
    )
    op.create_index(op.f("ix_sync_state_shop_id"), "sync_state", ["shop_id"], unique=False)
    op.create_index("ix_sync_state_status", "sync_state", ["shop_id", "state"], unique=False)

    op.execute(WAKE)
    op.execute(WAKE_TRIGGER)
    op.execute(KEEP)
    op.execute(KEEP_TRIGGER)


def downgrade() -> None:
    """No table of ours is left."""
    op.execute("DROP TRIGGER delivery_asks_for_work ON delivery")
    op.execute("DROP FUNCTION delivery_asks_for_work()")
    op.drop_index("ix_sync_state_status", table_name="sync_state")
    op.drop_index(op.f("ix_sync_state_shop_id"), table_name="sync_state")
    op.drop_index(
        "ix_sync_state_due",
        table_name="sync_state",
        postgresql_where=sa.text("state = 'linked' AND is_pushed AND target <> expected"),
    )
    op.drop_table("sync_state")
    op.drop_index("uq_sync_exception_open", table_name="sync_exception", postgresql_where=sa.text("settled_at IS NULL"))
    op.drop_index(op.f("ix_sync_exception_shop_id"), table_name="sync_exception")
    op.drop_index("ix_sync_exception_recent", table_name="sync_exception")
    op.drop_table("sync_exception")
    op.drop_index("ix_stock_move_source_prefix", table_name="stock_move", postgresql_ops={"source": "text_pattern_ops"})
    op.drop_index(op.f("ix_stock_move_shop_id"), table_name="stock_move")
    op.drop_index("ix_stock_move_lot", table_name="stock_move")
    op.drop_index("ix_stock_move_item", table_name="stock_move")
    op.drop_table("stock_move")
    op.drop_index(op.f("ix_push_line_shop_id"), table_name="push_line")
    op.drop_index(
        "ix_push_line_open", table_name="push_line", postgresql_where=sa.text("state IN ('waiting', 'ambiguous')")
    )
    op.drop_index("ix_push_line_mapping", table_name="push_line")
    op.drop_table("push_line")
    op.drop_index("ix_order_line_waiting", table_name="order_line", postgresql_where=sa.text("waits_for_mapping"))
    op.drop_index(op.f("ix_order_line_shop_id"), table_name="order_line")
    op.drop_index("ix_order_line_order", table_name="order_line")
    op.drop_table("order_line")
    op.drop_index(op.f("ix_balance_shop_id"), table_name="balance")
    op.drop_index("ix_balance_lot", table_name="balance")
    op.drop_table("balance")
    op.drop_index("uq_mapping_living", table_name="mapping", postgresql_where=sa.text("ended_at IS NULL"))
    op.drop_index(op.f("ix_mapping_shop_id"), table_name="mapping")
    op.drop_index("ix_mapping_item_living", table_name="mapping", postgresql_where=sa.text("ended_at IS NULL"))
    op.drop_table("mapping")
    op.drop_index(op.f("ix_lot_shop_id"), table_name="lot")
    op.drop_index("ix_lot_item_expiry", table_name="lot")
    op.drop_table("lot")
    op.drop_index(
        "uq_variant_pull_unfinished", table_name="variant_pull", postgresql_where=sa.text("finished_at IS NULL")
    )
    op.drop_index(op.f("ix_variant_pull_shop_id"), table_name="variant_pull")
    op.drop_table("variant_pull")
    op.drop_index("ix_variant_sku", table_name="variant")
    op.drop_index(op.f("ix_variant_shop_id"), table_name="variant")
    op.drop_index("ix_variant_product", table_name="variant")
    op.drop_index("ix_variant_inventory_item", table_name="variant")
    op.drop_table("variant")
    op.drop_table("turn")
    op.drop_table("task_failure")
    op.drop_index(op.f("ix_sync_run_shop_id"), table_name="sync_run")
    op.drop_index("ix_sync_run_recent", table_name="sync_run")
    op.drop_table("sync_run")
    op.drop_table("shop_token")
    op.drop_index(op.f("ix_mutation_shop_id"), table_name="mutation")
    op.drop_index(
        "ix_mutation_open", table_name="mutation", postgresql_where=sa.text("state IN ('ready', 'sent', 'ambiguous')")
    )
    op.drop_table("mutation")
    op.drop_index(op.f("ix_location_shop_id"), table_name="location")
    op.drop_table("location")
    op.drop_index(op.f("ix_item_shop_id"), table_name="item")
    op.drop_table("item")
    op.drop_index("ix_delivery_recent", table_name="delivery")
    op.drop_index("ix_delivery_due", table_name="delivery", postgresql_where=sa.text("state = 'waiting'"))
    op.drop_table("delivery")
    op.drop_index(op.f("ix_customer_order_shop_id"), table_name="customer_order")
    op.drop_index("ix_customer_order_recent", table_name="customer_order")
    op.drop_index("ix_customer_order_due", table_name="customer_order", postgresql_where=sa.text("due_at IS NOT NULL"))
    op.drop_table("customer_order")
    op.drop_table("tick_slot")
    op.drop_table("shop")
    op.drop_table("privacy_request")
    op.execute("DROP FUNCTION stock_moves_stay()")
