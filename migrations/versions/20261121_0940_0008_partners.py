"""Partners: invitations, their catalogue, imported goods; the place `partner`.

The old code serves on: it neither reads the new tables nor meets the new place or kind.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0008"
down_revision = "0007"
VIRTUAL = "'production', 'supplier', 'shipped', 'scrap', 'correction', 'opening', 'backorder'"
PHYSICAL = (
    "place IN ('completed', 'packaged', 'in_review', 'released', 'on_hold', 'committed', 'reserved')"
    " OR place LIKE 'allocated:%'"
)
KINDS = "'product', 'ingredient'"
RULES = "('markup', 'margin', 'margin_percent')"


def _shop() -> sa.Column:
    return sa.Column("shop_id", sa.Integer(), sa.ForeignKey("shop.id", ondelete="CASCADE"), nullable=False, index=True)


def _id(type_: type = sa.Integer) -> sa.Column:
    return sa.Column("id", type_(), primary_key=True)


def _to(column: str, table: str, *, nullable: bool = False, ondelete: str | None = None) -> sa.Column:
    return sa.Column(column, sa.Integer(), sa.ForeignKey(f"{table}.id", ondelete=ondelete), nullable=nullable)


def _of(column: str, table: str) -> sa.Column:
    return _to(column, table, ondelete="CASCADE")


def _text(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _json(name: str) -> sa.Column:
    return sa.Column(name, JSONB(), nullable=False)


def _int(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.Integer(), nullable=nullable)


def _big(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.BigInteger(), nullable=nullable)


def _bool(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.Boolean(), nullable=nullable)


def _money(name: str, *, nullable: bool = True) -> sa.Column:
    return sa.Column(name, sa.Numeric(14, 2), nullable=nullable)


def _moment(name: str, *, nullable: bool = True) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _check(rule: str, name: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(rule, name=name)


def _index(name: str, table: str, columns: list[str], *, where: str | None = None, **more: bool) -> None:
    op.create_index(name, table, columns, postgresql_where=sa.text(where) if where else None, **more)


def upgrade() -> None:
    """The tables are there."""
    _kinds(KINDS + ", 'partner'")
    _places(VIRTUAL + ", 'partner'")
    op.add_column("order_line", sa.Column("from_partner", sa.BigInteger(), nullable=False, server_default="0"))
    _create_partners()
    _create_catalogue()
    _create_imports()
    _create_pulls()


def _create_partners() -> None:
    op.create_table(
        "partner",
        _id(),
        _to("partner_shop_id", "shop", nullable=True, ondelete="SET NULL"),
        _text("domain"),
        _text("name"),
        _text("state"),
        _text("state_reason", nullable=True),
        _text("state_by", nullable=True),
        _json("settings"),
        _json("location_gids"),
        _moment("connected_at", nullable=False),
        _moment("left_at"),
        _moment("catalogue_read_at"),
        _moment("read_at"),
        _int("tries"),
        _moment("next_try_at"),
        _text("cause", nullable=True),
        _shop(),
        sa.UniqueConstraint("shop_id", "domain"),
        _check("state IN ('connected', 'paused', 'needs_reconnecting', 'left')", "state_known"),
        _check("(state IN ('paused', 'left')) = (state_by IS NOT NULL)", "state_by_somebody"),
        _check("state_by IN ('merchant', 'partner', 'shopify')", "state_by_known"),
    )
    _index("ix_partner_partner_shop", "partner", ["partner_shop_id"])
    op.create_table(
        "invitation",
        _id(),
        _text("nonce"),
        _text("name"),
        _text("bound_domain", nullable=True),
        _text("created_by"),
        _moment("created_at", nullable=False),
        _moment("expires_at", nullable=False),
        _moment("used_at"),
        _moment("revoked_at"),
        _to("partner_id", "partner", nullable=True),
        _shop(),
        sa.UniqueConstraint("nonce"),
        _check("NOT (used_at IS NOT NULL AND revoked_at IS NOT NULL)", "one_end"),
        _check(
            "bound_domain IS NULL OR (bound_domain = lower(bound_domain) AND bound_domain LIKE '%.myshopify.com')",
            "bound_domain_form",
        ),
    )
    _index("ix_invitation_bound", "invitation", ["bound_domain"])
    op.create_table(
        "join_attempt",
        _id(),
        _text("state_hash"),
        _text("browser_hash"),
        _to("invitation_id", "invitation"),
        _text("domain"),
        _moment("created_at", nullable=False),
        _moment("expires_at", nullable=False),
        _moment("ended_at"),
        _shop(),
        sa.UniqueConstraint("state_hash"),
    )
    op.create_table(
        "price_rule",
        _id(),
        _of("partner_id", "partner"),
        _text("product_type"),
        _text("kind"),
        _money("value", nullable=False),
        _shop(),
        sa.UniqueConstraint("partner_id", "product_type"),
        _check(f"kind IN {RULES}", "kind_known"),
        _check("value >= 0", "value_not_negative"),
    )


def _create_catalogue() -> None:
    op.create_table(
        "partner_product",
        _id(),
        _of("partner_id", "partner"),
        *map(_text, ("product_gid", "title", "description_html", "vendor", "product_type")),
        *map(_json, ("tags", "options", "images")),
        _text("status"),
        _bool("is_bundle"),
        _int("variants"),
        _money("least_price"),
        _money("most_price"),
        _big("available"),
        _moment("changed_at", nullable=False),
        _moment("read_at", nullable=False),
        _moment("deleted_at"),
        _shop(),
        sa.UniqueConstraint("partner_id", "product_gid"),
    )
    _index("ix_partner_product_title", "partner_product", ["partner_id", "title", "id"])
    _index("ix_partner_product_type", "partner_product", ["partner_id", "product_type"])
    op.create_table(
        "partner_variant",
        _id(),
        _of("partner_id", "partner"),
        _of("partner_product_id", "partner_product"),
        _text("variant_gid"),
        _text("inventory_item_gid"),
        _int("position"),
        *map(_text, ("title", "sku", "barcode")),
        _json("options"),
        _money("price"),
        _money("compare_at_price"),
        _text("image_url", nullable=True),
        sa.Column("weight_g", sa.Numeric(12, 3), nullable=True),
        _bool("requires_shipping"),
        _big("available", nullable=True),
        _moment("changed_at", nullable=False),
        _moment("read_at"),
        _moment("look_at"),
        _moment("deleted_at"),
        _shop(),
        sa.UniqueConstraint("partner_id", "variant_gid"),
    )
    _index("ix_partner_variant_product", "partner_variant", ["partner_product_id", "position"])
    _index("ix_partner_variant_inventory_item", "partner_variant", ["shop_id", "inventory_item_gid"])
    _index("ix_partner_variant_sku", "partner_variant", ["partner_id", "sku"])
    _index("ix_partner_variant_look", "partner_variant", ["partner_id"], where="look_at IS NOT NULL")


def _create_imports() -> None:
    op.create_table(
        "import_run",
        _id(),
        _of("partner_id", "partner"),
        _json("choices"),
        *map(_int, ("total", "calls", "points")),
        _text("started_by"),
        _moment("started_at", nullable=False),
        _moment("finished_at"),
        _moment("next_try_at"),
        _text("cause", nullable=True),
        _shop(),
    )
    _index("ix_import_run_unfinished", "import_run", ["shop_id"], where="finished_at IS NULL")
    _index("ix_import_run_recent", "import_run", ["partner_id", "id"])
    op.create_table(
        "imported_product",
        _id(),
        _of("partner_id", "partner"),
        _to("partner_product_id", "partner_product"),
        _to("import_run_id", "import_run", nullable=True),
        _text("state"),
        _text("handle"),
        _text("product_gid", nullable=True),
        _text("price_kind", nullable=True),
        _money("price_value"),
        *map(_json, ("follow", "wanted", "seen")),
        _text("operation_gid", nullable=True),
        _text("status_before", nullable=True),
        _int("tries"),
        _text("cause", nullable=True),
        _moment("created_at", nullable=False),
        _moment("imported_at"),
        _shop(),
        sa.UniqueConstraint("partner_product_id"),
        sa.UniqueConstraint("shop_id", "handle"),
        _check("state IN ('wanted', 'creating', 'imported', 'failed', 'gone')", "state_known"),
        _check(f"price_kind IN {RULES}", "price_kind_known"),
        _check("(price_kind IS NULL) = (price_value IS NULL)", "price_rule_whole"),
    )
    _index("ix_imported_product_due", "imported_product", ["shop_id"], where="state IN ('wanted', 'creating')")
    _index("ix_imported_product_partner", "imported_product", ["partner_id", "state"])
    _index("ix_imported_product_gid", "imported_product", ["shop_id", "product_gid"])
    op.create_table(
        "imported_variant",
        _id(),
        _of("partner_id", "partner"),
        _of("imported_product_id", "imported_product"),
        _to("partner_variant_id", "partner_variant"),
        _to("item_id", "item"),
        _to("location_id", "location"),
        _text("variant_gid", nullable=True),
        _to("variant_id", "variant", nullable=True),
        *map(_money, ("price", "cost", "seen_price")),
        _big("reflected"),
        _moment("created_at", nullable=False),
        _shop(),
        sa.UniqueConstraint("partner_variant_id"),
        sa.UniqueConstraint("item_id"),
    )
    _index("ix_imported_variant_product", "imported_variant", ["imported_product_id"])
    _index("ix_imported_variant_variant", "imported_variant", ["variant_id"])
    op.create_table(
        "reflection",
        _id(sa.BigInteger),
        _to("item_id", "item"),
        _to("order_line_id", "order_line", nullable=True),
        _big("quantity"),
        _text("reason"),
        _text("source"),
        _moment("at", nullable=False),
        _moment("shown_at"),
        _shop(),
        sa.UniqueConstraint("shop_id", "source"),
        _check("quantity <> 0", "quantity_not_zero"),
        _check("reason IN ('shipping', 'partner_order')", "reason_known"),
    )
    _index("ix_reflection_pending", "reflection", ["item_id"], where="shown_at IS NULL")
    _index("ix_reflection_line", "reflection", ["order_line_id"])


def _create_pulls() -> None:
    op.create_table(
        "partner_change",
        _id(),
        _of("partner_id", "partner"),
        _of("imported_product_id", "imported_product"),
        _to("imported_variant_id", "imported_variant", nullable=True, ondelete="CASCADE"),
        _text("field"),
        _json("facts"),
        _moment("noticed_at", nullable=False),
        _moment("settled_at"),
        _text("settled_by", nullable=True),
        _bool("is_accepted", nullable=True),
        _shop(),
    )
    _index(
        "uq_partner_change_open",
        "partner_change",
        ["imported_product_id", "imported_variant_id", "field"],
        where="settled_at IS NULL",
        unique=True,
        postgresql_nulls_not_distinct=True,
    )
    op.create_table(
        "partner_pull",
        _id(),
        _of("partner_id", "partner"),
        _text("kind"),
        _moment("started_at", nullable=False),
        _moment("finished_at"),
        _text("bulk_operation_gid", nullable=True),
        _moment("next_look_at"),
        *map(_int, ("looked_at", "changed")),
        _int("total", nullable=True),
        *map(_int, ("reads", "points")),
        _text("cause", nullable=True),
        _shop(),
        _check("kind IN ('catalogue', 'stock', 'nudge')", "kind_known"),
    )
    _index("ix_partner_pull_recent", "partner_pull", ["partner_id", "id"])
    _index(
        "uq_partner_pull_catalogue_unfinished",
        "partner_pull",
        ["partner_id"],
        where="finished_at IS NULL AND kind = 'catalogue'",
        unique=True,
    )


def _kinds(kinds: str) -> None:
    op.drop_constraint(op.f("ck_item_kind_known"), "item", type_="check")
    op.create_check_constraint(op.f("ck_item_kind_known"), "item", f"kind IN ({kinds})")


def _places(virtual: str) -> None:
    """These virtual places, beside the physical ones, may hold units."""
    op.drop_constraint(op.f("ck_balance_place_known"), "balance", type_="check")
    op.create_check_constraint(op.f("ck_balance_place_known"), "balance", f"(place IN ({virtual})) OR ({PHYSICAL})")


def downgrade() -> None:
    """They are gone. Refused while anything is imported from a partner."""
    for table in (
        "partner_pull",
        "partner_change",
        "reflection",
        "imported_variant",
        "imported_product",
        "import_run",
        "partner_variant",
        "partner_product",
        "price_rule",
        "join_attempt",
        "invitation",
        "partner",
    ):
        op.drop_table(table)
    op.drop_column("order_line", "from_partner")
    _places(VIRTUAL)
    _kinds(KINDS)
