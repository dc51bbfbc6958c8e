"""Invitations, partners, the mirror of their catalogue, what was imported of it, and the log of the pulls."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Numeric, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from occ_app.catalog.models import Item, Location, Variant
from occ_app.extensions import ShopScoped, db

CONNECTED, PAUSED, NEEDS_RECONNECTING, LEFT = "connected", "paused", "needs_reconnecting", "left"
PARTNER_STATES = (CONNECTED, PAUSED, NEEDS_RECONNECTING, LEFT)
MERCHANT, PARTNER, SHOPIFY = "merchant", "partner", "shopify"
# What became of one imported product.
WANTED, CREATING, IMPORTED, FAILED, GONE = "wanted", "creating", "imported", "failed", "gone"
IMPORT_STATES = (WANTED, CREATING, IMPORTED, FAILED, GONE)
CATALOGUE, STOCK, NUDGE = "catalogue", "stock", "nudge"
PULL_KINDS = (CATALOGUE, STOCK, NUDGE)
# Why units count as known to the partner.
BY_SHIPPING, BY_PARTNER_ORDER = "shipping", "partner_order"


class Partner(ShopScoped, db.Model):
    """A business that supplies the merchant (`shop_id`). Its tokens are those of its own shop row, `partner_shop_id`.

    One row per merchant and store, for good: who comes back has the same row, and so the same imported goods. `location_gids` are the
    partner's locations that it shares, empty: all of them. `read_at` is Shopify's clock at the last whole reading of its imported stock.
    """

    __tablename__ = "partner"
    __table_args__ = (
        UniqueConstraint("shop_id", "domain"),
        CheckConstraint(f"state IN {PARTNER_STATES}", name="state_known"),
        CheckConstraint("(state IN ('paused', 'left')) = (state_by IS NOT NULL)", name="state_by_somebody"),
        CheckConstraint("state_by IN ('merchant', 'partner', 'shopify')", name="state_by_known"),
        Index("ix_partner_partner_shop", "partner_shop_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    # Null once the partner's shop was erased.
    partner_shop_id: Mapped[int | None] = mapped_column(ForeignKey("shop.id", ondelete="SET NULL"))
    domain: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text, default=CONNECTED)
    state_reason: Mapped[str | None] = mapped_column(Text)  # a sentence for people
    state_by: Mapped[str | None] = mapped_column(Text)  # who paused or ended it: merchant | partner | shopify
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict)  # set by name through partners.settings only
    location_gids: Mapped[list[Any]] = mapped_column(default=list)
    connected_at: Mapped[datetime]
    left_at: Mapped[datetime | None]
    catalogue_read_at: Mapped[datetime | None]
    read_at: Mapped[datetime | None]
    tries: Mapped[int] = mapped_column(default=0)  # failed pulls in a row
    next_try_at: Mapped[datetime | None]
    cause: Mapped[str | None] = mapped_column(Text)  # why the last pull failed, in plain words


class Invitation(ShopScoped, db.Model):
    """A link for one business. Open until it is used, revoked or past `expires_at`; its secret is not kept."""

    __tablename__ = "invitation"
    __table_args__ = (
        CheckConstraint("NOT (used_at IS NOT NULL AND revoked_at IS NOT NULL)", name="one_end"),
        CheckConstraint(
            "bound_domain IS NULL OR (bound_domain = lower(bound_domain) AND bound_domain LIKE '%.myshopify.com')",
            name="bound_domain_form",
        ),
        Index("ix_invitation_bound", "bound_domain"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    nonce: Mapped[str] = mapped_column(Text, unique=True)  # the link's secret is an HMAC of it with the app's key
    name: Mapped[str] = mapped_column(Text)  # whom it is for, as the merchant calls them
    bound_domain: Mapped[str | None] = mapped_column(Text)  # only that store may use it
    created_by: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    partner_id: Mapped[int | None] = mapped_column(ForeignKey("partner.id"))  # whom it made or brought back


class JoinAttempt(ShopScoped, db.Model):
    """Somebody followed an invitation and was sent to Shopify. Bound to that browser and that store; ends by its first callback.
    Of Shopify's install page, from which nobody is sent back, it is bound to the store alone."""

    __tablename__ = "join_attempt"

    id: Mapped[int] = mapped_column(primary_key=True)
    state_hash: Mapped[str] = mapped_column(Text, unique=True)  # SHA-256 of the `state` parameter, hex
    browser_hash: Mapped[str] = mapped_column(Text)  # SHA-256 of the browser's cookie, hex
    invitation_id: Mapped[int] = mapped_column(ForeignKey("invitation.id"))
    domain: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class PartnerProduct(ShopScoped, db.Model):
    """A product of a partner as last read. `deleted_at`: the partner no longer has it, or no longer shares it."""

    __tablename__ = "partner_product"
    __table_args__ = (
        UniqueConstraint("partner_id", "product_gid"),
        Index("ix_partner_product_title", "partner_id", "title", "id"),
        Index("ix_partner_product_type", "partner_id", "product_type"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    partner_id: Mapped[int] = mapped_column(ForeignKey("partner.id", ondelete="CASCADE"))
    product_gid: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    description_html: Mapped[str] = mapped_column(Text, default="")
    vendor: Mapped[str] = mapped_column(Text, default="")
    product_type: Mapped[str] = mapped_column(Text, default="")
    tags: Mapped[list[Any]] = mapped_column(default=list)
    options: Mapped[list[Any]] = mapped_column(default=list)  # [{"name": ..., "values": [...]}], in their order
    images: Mapped[list[Any]] = mapped_column(default=list)  # [{"url": ..., "alt": ...}], the main one first
    status: Mapped[str] = mapped_column(Text, default="ACTIVE")  # Shopify's: ACTIVE, DRAFT, ARCHIVED, UNLISTED
    is_bundle: Mapped[bool] = mapped_column(default=False)
    # For the list: of its living variants.
    variants: Mapped[int] = mapped_column(default=0)
    least_price: Mapped[Decimal | None] = mapped_column(Numeric(14, 2))  # in the partner's currency
    most_price: Mapped[Decimal | None] = mapped_column(Numeric(14, 2))
    available: Mapped[int] = mapped_column(BigInteger, default=0)
    changed_at: Mapped[datetime]  # Shopify's updatedAt
    read_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]


class PartnerVariant(ShopScoped, db.Model):
    """A variant of a partner as last read. `available`: units at the shared locations; null where the partner does not count it.

    `read_at`: Shopify's clock when this one's stock was last read by itself; a whole reading (`Partner.read_at`) may be newer.
    """

    __tablename__ = "partner_variant"
    __table_args__ = (
        UniqueConstraint("partner_id", "variant_gid"),
        Index("ix_partner_variant_product", "partner_product_id", "position"),
        Index("ix_partner_variant_inventory_item", "shop_id", "inventory_item_gid"),
        Index("ix_partner_variant_sku", "partner_id", "sku"),
        Index("ix_partner_variant_look", "partner_id", postgresql_where=text("look_at IS NOT NULL")),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    partner_id: Mapped[int] = mapped_column(ForeignKey("partner.id", ondelete="CASCADE"))
    partner_product_id: Mapped[int] = mapped_column(ForeignKey("partner_product.id", ondelete="CASCADE"))
    variant_gid: Mapped[str] = mapped_column(Text)
    inventory_item_gid: Mapped[str] = mapped_column(Text)
    position: Mapped[int] = mapped_column(default=1)
    title: Mapped[str] = mapped_column(Text, default="")  # empty where the product has a single default variant
    sku: Mapped[str] = mapped_column(Text, default="")
    barcode: Mapped[str] = mapped_column(Text, default="")
    options: Mapped[list[Any]] = mapped_column(default=list)  # [{"name": ..., "value": ...}]
    price: Mapped[Decimal | None] = mapped_column(Numeric(14, 2))  # the partner's own, in the partner's currency
    compare_at_price: Mapped[Decimal | None] = mapped_column(Numeric(14, 2))
    image_url: Mapped[str | None] = mapped_column(Text)
    weight_g: Mapped[Decimal | None] = mapped_column(Numeric(12, 3))
    requires_shipping: Mapped[bool] = mapped_column(default=True)
    available: Mapped[int | None] = mapped_column(BigInteger)
    changed_at: Mapped[datetime]  # Shopify's updatedAt
    read_at: Mapped[datetime | None]
    look_at: Mapped[datetime | None]  # its stock is to be read by itself, from then on; null: no need
    deleted_at: Mapped[datetime | None]

    product: Mapped[PartnerProduct] = relationship(lazy="raise_on_sql")
    partner: Mapped[Partner] = relationship(lazy="raise_on_sql")


class PriceRule(ShopScoped, db.Model):
    """How prices of one product type of a partner are made, instead of the partner's own rule (its settings)."""

    __tablename__ = "price_rule"
    __table_args__ = (
        UniqueConstraint("partner_id", "product_type"),
        CheckConstraint("kind IN ('markup', 'margin', 'margin_percent')", name="kind_known"),
        CheckConstraint("value >= 0", name="value_not_negative"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    partner_id: Mapped[int] = mapped_column(ForeignKey("partner.id", ondelete="CASCADE"))
    product_type: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)  # one of prices.KINDS
    value: Mapped[Decimal] = mapped_column(Numeric(14, 2))


class ImportRun(ShopScoped, db.Model):
    """One import: the products that were picked, and how they are to be made. Progress is counted over its products."""

    __tablename__ = "import_run"
    __table_args__ = (
        Index("ix_import_run_unfinished", "shop_id", postgresql_where=text("finished_at IS NULL")),
        Index("ix_import_run_recent", "partner_id", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    partner_id: Mapped[int] = mapped_column(ForeignKey("partner.id", ondelete="CASCADE"))
    choices: Mapped[dict[str, Any]] = mapped_column(default=dict)  # status, channels, collections, tags, vendor ...
    total: Mapped[int]
    calls: Mapped[int] = mapped_column(default=0)
    points: Mapped[int] = mapped_column(default=0)
    started_by: Mapped[str] = mapped_column(Text)
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    next_try_at: Mapped[datetime | None]
    cause: Mapped[str | None] = mapped_column(Text)  # why it rests or ended early, in plain words


class ImportedProduct(ShopScoped, db.Model):
    """The merchant's copy of a partner product; at most one for good. What makes a repeated import find it: this row is committed before
    Shopify is asked, `handle` (unique, made from it) goes out with the product, and `product_gid` is stored from the answer.

    `wanted`: [partner variant id, SKU here] of each variant to be made, their SKUs kept free for them. `seen`: what of the partner's product
    this copy was made from, or what of it was declined; a change is seen by comparing the mirror with it.
    `status_before`: it was set to draft because the partner was lost, or sells it no more, and had this status.
    """

    __tablename__ = "imported_product"
    __table_args__ = (
        UniqueConstraint("partner_product_id"),
        UniqueConstraint("shop_id", "handle"),
        CheckConstraint(f"state IN {IMPORT_STATES}", name="state_known"),
        CheckConstraint("price_kind IN ('markup', 'margin', 'margin_percent')", name="price_kind_known"),
        CheckConstraint("(price_kind IS NULL) = (price_value IS NULL)", name="price_rule_whole"),
        Index("ix_imported_product_due", "shop_id", postgresql_where=text("state IN ('wanted', 'creating')")),
        Index("ix_imported_product_partner", "partner_id", "state"),
        Index("ix_imported_product_gid", "shop_id", "product_gid"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    partner_id: Mapped[int] = mapped_column(ForeignKey("partner.id", ondelete="CASCADE"))
    partner_product_id: Mapped[int] = mapped_column(ForeignKey("partner_product.id"))
    import_run_id: Mapped[int | None] = mapped_column(ForeignKey("import_run.id"))  # the one that wants it now
    state: Mapped[str] = mapped_column(Text, default=WANTED)
    handle: Mapped[str] = mapped_column(Text)
    product_gid: Mapped[str | None] = mapped_column(Text)  # ours
    price_kind: Mapped[str | None] = mapped_column(Text)  # this product's own rule; null: its type's or the partner's
    price_value: Mapped[Decimal | None] = mapped_column(Numeric(14, 2))
    follow: Mapped[dict[str, Any]] = mapped_column(default=dict)  # this product's own: field -> follow | ask | keep
    wanted: Mapped[list[Any]] = mapped_column(default=list)
    seen: Mapped[dict[str, Any]] = mapped_column(default=dict)
    operation_gid: Mapped[str | None] = mapped_column(Text)  # Shopify makes it in the background, under this id
    status_before: Mapped[str | None] = mapped_column(Text)
    tries: Mapped[int] = mapped_column(default=0)
    cause: Mapped[str | None] = mapped_column(Text)  # why it failed, in plain words
    created_at: Mapped[datetime]
    imported_at: Mapped[datetime | None]

    source: Mapped[PartnerProduct] = relationship(lazy="raise_on_sql")
    partner: Mapped[Partner] = relationship(lazy="raise_on_sql")


# The copy is in the merchant's shop, whatever became of the last import of it.
IN_SHOP = (ImportedProduct.state == IMPORTED) | ImportedProduct.product_gid.is_not(None)


class ImportedVariant(ShopScoped, db.Model):
    """A partner variant sells as this item of ours, at this location of ours. The variant's id is the link; the SKU is for people.

    `reflected`: units of our orders that the partner's number, as last read, shows already. Orders took -(balance at `partner`) in all;
    the difference is what the partner's number must still be lowered by.
    """

    __tablename__ = "imported_variant"
    __table_args__ = (
        UniqueConstraint("partner_variant_id"),
        UniqueConstraint("item_id"),
        Index("ix_imported_variant_product", "imported_product_id"),
        Index("ix_imported_variant_variant", "variant_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    partner_id: Mapped[int] = mapped_column(ForeignKey("partner.id", ondelete="CASCADE"))
    imported_product_id: Mapped[int] = mapped_column(ForeignKey("imported_product.id", ondelete="CASCADE"))
    partner_variant_id: Mapped[int] = mapped_column(ForeignKey("partner_variant.id"))
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"))
    location_id: Mapped[int] = mapped_column(ForeignKey("location.id"))
    variant_gid: Mapped[str | None] = mapped_column(Text)  # ours, from Shopify's answer
    variant_id: Mapped[int | None] = mapped_column(ForeignKey("variant.id"))
    price: Mapped[Decimal | None] = mapped_column(Numeric(14, 2))  # as we set it last, in the merchant's currency
    compare_at: Mapped[Decimal | None] = mapped_column(Numeric(14, 2))  # 0: none; null: set before this was kept
    cost: Mapped[Decimal | None] = mapped_column(Numeric(14, 2))
    # What they were made from: a change is seen by comparing with the mirror.
    seen_price: Mapped[Decimal | None] = mapped_column(Numeric(14, 2))
    seen_compare_at: Mapped[Decimal | None] = mapped_column(Numeric(14, 2))  # 0 and null as above
    reflected: Mapped[int] = mapped_column(BigInteger, default=0)
    created_at: Mapped[datetime]

    imported_product: Mapped[ImportedProduct] = relationship(lazy="raise_on_sql")
    partner_variant: Mapped[PartnerVariant] = relationship(lazy="raise_on_sql")
    partner: Mapped[Partner] = relationship(lazy="raise_on_sql")
    item: Mapped[Item] = relationship(lazy="raise_on_sql")
    variant: Mapped[Variant | None] = relationship(lazy="raise_on_sql")
    location: Mapped[Location] = relationship(lazy="raise_on_sql")


# What `prices.shown` is made from, in its order. A query that has these joins Variant.
OF_SHOWN = (ImportedVariant.price, ImportedVariant.compare_at, Variant.price, Variant.compare_at_price)


class Reflection(ShopScoped, db.Model):
    """From `at` on the partner's number shows `quantity` units of an order line (fewer than none: shows them no longer).

    Pending (`shown_at` null) until a reading newer than `at` was kept; then it stands in `ImportedVariant.reflected`.
    """

    __tablename__ = "reflection"
    __table_args__ = (
        UniqueConstraint("shop_id", "source"),
        CheckConstraint("quantity <> 0", name="quantity_not_zero"),
        CheckConstraint(f"reason IN {(BY_SHIPPING, BY_PARTNER_ORDER)}", name="reason_known"),
        Index("ix_reflection_pending", "item_id", postgresql_where=text("shown_at IS NULL")),
        Index("ix_reflection_line", "order_line_id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"))
    order_line_id: Mapped[int | None] = mapped_column(ForeignKey("order_line.id"))
    quantity: Mapped[int] = mapped_column(BigInteger)  # units of the item
    reason: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime]
    shown_at: Mapped[datetime | None]  # the reading that first showed it


class PartnerChange(ShopScoped, db.Model):
    """Something changed at the partner that the merchant's rule says to ask about. At most one open per product (or variant) and field."""

    __tablename__ = "partner_change"
    __table_args__ = (
        Index(
            "uq_partner_change_open",
            "imported_product_id",
            "imported_variant_id",
            "field",
            unique=True,
            postgresql_where=text("settled_at IS NULL"),
            postgresql_nulls_not_distinct=True,
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    partner_id: Mapped[int] = mapped_column(ForeignKey("partner.id", ondelete="CASCADE"))
    imported_product_id: Mapped[int] = mapped_column(ForeignKey("imported_product.id", ondelete="CASCADE"))
    imported_variant_id: Mapped[int | None] = mapped_column(ForeignKey("imported_variant.id", ondelete="CASCADE"))
    field: Mapped[str] = mapped_column(Text)  # price, title, images, status, new_variant, deletion
    facts: Mapped[dict[str, Any]] = mapped_column(default=dict)  # before, after, and what it would do here
    noticed_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]
    settled_by: Mapped[str | None] = mapped_column(Text)
    is_accepted: Mapped[bool | None]


class PartnerPull(ShopScoped, db.Model):
    """One reading of a partner's catalogue or stock, with what it cost. `points`: Shopify's actual query cost.

    A bulk reading of the catalogue that is under way has no `finished_at`; at most one per partner.
    """

    __tablename__ = "partner_pull"
    __table_args__ = (
        CheckConstraint(f"kind IN {PULL_KINDS}", name="kind_known"),
        Index("ix_partner_pull_recent", "partner_id", "id"),
        Index(
            "uq_partner_pull_catalogue_unfinished",
            "partner_id",
            unique=True,
            postgresql_where=text("finished_at IS NULL AND kind = 'catalogue'"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    partner_id: Mapped[int] = mapped_column(ForeignKey("partner.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(Text)
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    bulk_operation_gid: Mapped[str | None] = mapped_column(Text)
    next_look_at: Mapped[datetime | None]
    looked_at: Mapped[int] = mapped_column(default=0)  # variants
    changed: Mapped[int] = mapped_column(default=0)  # variants
    total: Mapped[int | None]  # what a bulk reading expects to find
    reads: Mapped[int] = mapped_column(default=0)  # API calls
    points: Mapped[int] = mapped_column(default=0)
    cause: Mapped[str | None] = mapped_column(Text)  # why it failed, in plain words
