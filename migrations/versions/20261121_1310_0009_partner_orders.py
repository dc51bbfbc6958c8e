"""Partner orders: captured lines, orders to partners, their parcels, history and batches; holds and risk of customers' orders.

The old code serves on: it does not read the new tables, and the new columns have defaults.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0009"
down_revision = "0008"


def _shop() -> sa.Column:
    return sa.Column("shop_id", sa.Integer(), sa.ForeignKey("shop.id", ondelete="CASCADE"), nullable=False, index=True)


def _to(column: str, table: str, *, nullable: bool = False, ondelete: str | None = None) -> sa.Column:
    return sa.Column(column, sa.Integer(), sa.ForeignKey(f"{table}.id", ondelete=ondelete), nullable=nullable)


def _id() -> sa.Column:
    return sa.Column("id", sa.Integer(), primary_key=True)


def _of(column: str, type_: object, *, nullable: bool = False) -> sa.Column:
    return sa.Column(column, type_, nullable=nullable)


def _moment(name: str, *, nullable: bool = True) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    """The tables are there."""
    op.add_column("customer_order", sa.Column("is_on_hold", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("customer_order", sa.Column("risk", sa.Text(), nullable=False, server_default=""))
    _create_orders()
    _create_lines()
    _create_rest()


def _create_orders() -> None:
    op.create_table(
        "partner_order",
        _id(),
        _shop(),
        _to("partner_id", "partner", ondelete="CASCADE"),
        *(_of(name, sa.Text()) for name in ("name", "tag", "state", "cadence", "currency")),
        _of("plan", JSONB()),
        _moment("opened_at", nullable=False),
        _moment("cutoff_at", nullable=False),
        *(_of(name, sa.Text(), nullable=True) for name in ("draft_gid", "draft_name", "order_gid", "order_name")),
        _of("revision", sa.Integer()),
        *(_of(name, JSONB(), nullable=True) for name in ("sending", "sent", "theirs")),
        _of("extra", JSONB()),
        _of("ship_to", JSONB(), nullable=True),
        *(_moment(name) for name in ("create_tried_at", "complete_tried_at", "look_at", "looked_at")),
        _of("tries", sa.Integer()),
        _moment("next_try_at"),
        _of("cause", sa.Text(), nullable=True),
        *(_moment(name) for name in ("ordered_at", "shipped_at", "received_at", "cancelled_at")),
        sa.UniqueConstraint("shop_id", "name"),
        sa.UniqueConstraint("tag"),
        sa.CheckConstraint(
            "state IN ('open', 'closing', 'ordered', 'shipped', 'received', 'cancelled')", name="state_known"
        ),
        sa.CheckConstraint(
            "state NOT IN ('ordered', 'shipped', 'received') OR order_gid IS NOT NULL", name="placed_has_order"
        ),
    )
    op.create_index("ix_partner_order_partner", "partner_order", ["partner_id", "id"])
    op.create_index("ix_partner_order_draft", "partner_order", ["draft_gid"])
    op.create_index("ix_partner_order_order", "partner_order", ["order_gid"])
    where = sa.text("state IN ('open', 'closing')")
    op.create_index("ix_partner_order_alive", "partner_order", ["shop_id", "cutoff_at"], postgresql_where=where)


def _create_lines() -> None:
    op.create_table(
        "partner_line",
        _id(),
        _shop(),
        _to("partner_id", "partner", ondelete="CASCADE"),
        _to("order_line_id", "order_line", ondelete="CASCADE"),
        _of("turn", sa.Integer()),
        _to("partner_variant_id", "partner_variant"),
        _to("item_id", "item"),
        _to("partner_order_id", "partner_order", nullable=True, ondelete="CASCADE"),
        _of("state", sa.Text()),
        _of("cause", sa.Text(), nullable=True),
        _of("quantity", sa.Integer()),
        _of("unit_cost", sa.Numeric(14, 2), nullable=True),
        _of("sold_for", sa.Numeric(14, 2), nullable=True),
        _moment("captured_at", nullable=False),
        _moment("placed_at"),
        *(_of(name, sa.Integer()) for name in ("on_order", "shipped", "received", "short", "damaged", "refunded")),
        sa.UniqueConstraint("shop_id", "order_line_id", "turn"),
        sa.CheckConstraint("state IN ('pending', 'created', 'failed', 'cancelled')", name="state_known"),
        sa.CheckConstraint("quantity >= 0 AND on_order >= 0", name="quantity_not_negative"),
        sa.CheckConstraint("received >= 0 AND short >= 0 AND damaged >= 0", name="counts_not_negative"),
        sa.CheckConstraint("received + short + damaged <= quantity", name="counted_was_ordered"),
        sa.CheckConstraint("state <> 'created' OR partner_order_id IS NOT NULL", name="created_has_order"),
    )
    where = sa.text("state IN ('pending', 'failed')")
    op.create_index("ix_partner_line_waiting", "partner_line", ["partner_id", "id"], postgresql_where=where)
    op.create_index("ix_partner_line_order", "partner_line", ["partner_order_id"])


def _create_rest() -> None:
    op.create_table(
        "partner_parcel",
        _id(),
        _shop(),
        _to("partner_order_id", "partner_order", ondelete="CASCADE"),
        _of("fulfillment_gid", sa.Text()),
        _of("status", sa.Text()),
        _of("tracking", JSONB()),
        _of("lines", JSONB()),
        _moment("sent_at", nullable=False),
        _moment("changed_at", nullable=False),
        sa.UniqueConstraint("shop_id", "fulfillment_gid"),
    )
    op.create_index("ix_partner_parcel_order", "partner_parcel", ["partner_order_id"])
    op.create_table(
        "partner_order_event",
        _id(),
        _shop(),
        _to("partner_order_id", "partner_order", ondelete="CASCADE"),
        _moment("at", nullable=False),
        _of("words", sa.Text()),
        _of("detail", sa.Text()),
    )
    op.create_index("ix_partner_order_event_order", "partner_order_event", ["partner_order_id", "id"])
    op.create_table(
        "partner_batch",
        _id(),
        _shop(),
        _to("partner_id", "partner", ondelete="CASCADE"),
        _of("kind", sa.Text()),
        _of("for_on", sa.Date()),
        _moment("started_at", nullable=False),
        _moment("finished_at"),
        _of("milliseconds", sa.Integer(), nullable=True),
        *(_of(name, sa.Integer()) for name in ("placed", "taken_off", "failed", "orders", "calls")),
        _of("cause", sa.Text(), nullable=True),
        sa.CheckConstraint("kind IN ('daily', 'cutoff', 'now', 'close')", name="kind_known"),
    )
    op.create_index("ix_partner_batch_recent", "partner_batch", ["shop_id", "id"])
    where = sa.text("kind = 'daily'")
    op.create_index("ix_partner_batch_daily", "partner_batch", ["partner_id", "for_on"], postgresql_where=where)


def downgrade() -> None:
    """The tables are gone."""
    for table in ("partner_batch", "partner_order_event", "partner_parcel", "partner_line", "partner_order"):
        op.drop_table(table)
    op.drop_column("customer_order", "risk")
    op.drop_column("customer_order", "is_on_hold")
