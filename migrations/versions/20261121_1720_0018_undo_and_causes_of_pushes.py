"""Pushes say why they were made and can be taken back.

The old code serves on: what is new may be empty, and it writes neither of the new kinds.
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0016"


def upgrade() -> None:
    """The columns and the table are there."""
    op.add_column("sync_state", sa.Column("is_held", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("sync_state", sa.Column("why", sa.Text(), nullable=True))
    op.add_column("push_line", sa.Column("why", sa.Text(), nullable=True))
    op.add_column("push_line", sa.Column("until_move_id", sa.BigInteger(), nullable=True))
    op.add_column("push_line", sa.Column("undoes_id", sa.Integer(), sa.ForeignKey("push_line.id"), nullable=True))
    op.create_table(
        "push_undo",
        sa.Column("line_id", sa.Integer(), sa.ForeignKey("push_line.id"), primary_key=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("left_because", sa.Text(), nullable=True),
        sa.Column("shop_id", sa.Integer(), sa.ForeignKey("shop.id", ondelete="CASCADE"), nullable=False, index=True),
    )
    is_open = sa.text("settled_at IS NULL")
    op.create_index("ix_push_undo_open", "push_undo", ["shop_id"], postgresql_where=is_open)
    _allow_kinds("'manual', 'guard', 'undo'")


def _allow_kinds(kinds: str) -> None:
    op.drop_constraint(op.f("ck_approval_kind_known"), "approval", type_="check")
    op.create_check_constraint("kind_known", "approval", f"kind IN ({kinds})")


def downgrade() -> None:
    """They are gone. What waits because it was taken back waits as a step that is too big does."""
    op.execute("UPDATE approval SET kind = 'guard' WHERE kind = 'undo'")
    _allow_kinds("'manual', 'guard'")
    op.drop_table("push_undo")
    for column in ("undoes_id", "until_move_id", "why"):
        op.drop_column("push_line", column)
    for column in ("why", "is_held"):
        op.drop_column("sync_state", column)
