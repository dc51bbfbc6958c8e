"""Items, variants, locations, mappings."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Numeric, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from occ_app.extensions import ShopScoped, db

PRODUCT, INGREDIENT, PARTNER = "product", "ingredient", "partner"
SYNC_MODES = ("released", "completed", "packaged", "manual", "allocation", "none")
LONGEST_SHELF_LIFE = 36_500  # days: a hundred years


class Item(ShopScoped, db.Model):
    """A thing the shop keeps stock of, counted in whole units: a product, an ingredient (counted in the smallest amount of its
    unit: milligrams, microlitres, pieces), or goods that a partner keeps for us. `sync_mode` null: the shop's; while the item is split
    `mode_before_split` is the one that it had."""

    __tablename__ = "item"
    __table_args__ = (
        UniqueConstraint("shop_id", "sku"),
        CheckConstraint("safety_stock >= 0", name="safety_stock_not_negative"),
        CheckConstraint("shelf_life_days IS NULL OR shelf_life_days > 0", name="shelf_life_positive"),
        CheckConstraint(f"sync_mode IN {SYNC_MODES}", name="sync_mode_known"),
        CheckConstraint(f"kind IN {(PRODUCT, INGREDIENT, PARTNER)}", name="kind_known"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    sku: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text, default=PRODUCT, server_default=PRODUCT)
    name: Mapped[str] = mapped_column(Text)
    unit: Mapped[str] = mapped_column(Text, default="piece")
    shelf_life_days: Mapped[int | None]
    sync_mode: Mapped[str | None] = mapped_column(Text)
    mode_before_split: Mapped[str | None] = mapped_column(Text)
    safety_stock: Mapped[int] = mapped_column(default=0)  # units held back from sale, per location
    reorder_point: Mapped[int | None] = mapped_column(BigInteger)  # units
    target_stock: Mapped[int | None] = mapped_column(BigInteger)  # units
    lead_time_days: Mapped[int | None]
    created_at: Mapped[datetime]
    archived_at: Mapped[datetime | None]


class Location(ShopScoped, db.Model):
    """A place of Shopify's where stock is kept."""

    __tablename__ = "location"
    __table_args__ = (UniqueConstraint("shop_id", "location_gid"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    location_gid: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    is_active: Mapped[bool] = mapped_column(default=True)
    pulled_at: Mapped[datetime]


class Variant(ShopScoped, db.Model):
    """A variant of Shopify's as last pulled. `deleted_at` is set when Shopify no longer has it; the row stays for history."""

    __tablename__ = "variant"
    __table_args__ = (
        UniqueConstraint("shop_id", "variant_gid"),
        Index("ix_variant_inventory_item", "shop_id", "inventory_item_gid"),
        Index("ix_variant_product", "shop_id", "product_gid"),
        Index("ix_variant_sku", "shop_id", "sku"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    variant_gid: Mapped[str] = mapped_column(Text)
    product_gid: Mapped[str] = mapped_column(Text)
    inventory_item_gid: Mapped[str] = mapped_column(Text)
    sku: Mapped[str] = mapped_column(Text, default="")
    barcode: Mapped[str] = mapped_column(Text, default="")
    product_title: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text, default="")  # empty where the product has a single default variant
    price: Mapped[Decimal | None] = mapped_column(Numeric(14, 2))  # in the shop's currency
    compare_at_price: Mapped[Decimal | None] = mapped_column(Numeric(14, 2))  # 0: it has none; null: not read yet
    image_url: Mapped[str | None] = mapped_column(Text)
    product_status: Mapped[str] = mapped_column(Text, default="ACTIVE")
    is_tracked: Mapped[bool] = mapped_column(default=True)
    is_bundle: Mapped[bool] = mapped_column(default=False)  # requiresComponents: its stock cannot be written
    changed_at: Mapped[datetime]  # Shopify's updatedAt
    pulled_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]

    @property
    def full_title(self) -> str:
        """What people call it: the product's title, and the variant's where it has one."""
        return f"{self.product_title}, {self.title}" if self.title else self.product_title


class Mapping(ShopScoped, db.Model):
    """A variant at a location sells an item. At most one living mapping per variant and location; ended ones stay for history."""

    __tablename__ = "mapping"
    __table_args__ = (
        CheckConstraint("units_per_variant > 0", name="units_positive"),
        CheckConstraint("drift_rule IN ('ask', 'hub', 'shopify')", name="drift_rule_known"),
        Index("uq_mapping_living", "variant_id", "location_id", unique=True, postgresql_where=text("ended_at IS NULL")),
        Index("ix_mapping_item_living", "item_id", postgresql_where=text("ended_at IS NULL")),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"))
    variant_id: Mapped[int] = mapped_column(ForeignKey("variant.id"))
    location_id: Mapped[int] = mapped_column(ForeignKey("location.id"))
    units_per_variant: Mapped[int] = mapped_column(default=1)
    drift_rule: Mapped[str | None] = mapped_column(Text)  # ask | hub | shopify; null: the shop's
    sync_enabled: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    item: Mapped[Item] = relationship(lazy="raise_on_sql")
    variant: Mapped[Variant] = relationship(lazy="raise_on_sql")
    location: Mapped[Location] = relationship(lazy="raise_on_sql")


class ProductNews(ShopScoped, db.Model):
    """A product that Shopify says has changed and that is still to be read; one row however often it was said."""

    __tablename__ = "product_news"
    __table_args__ = (
        UniqueConstraint("shop_id", "product_gid"),
        Index("ix_product_news_next_try_at", "next_try_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    product_gid: Mapped[str] = mapped_column(Text)
    told_at: Mapped[datetime | None]  # Shopify's updatedAt of the newest news; null where one did not say it
    noted_at: Mapped[datetime]
    tries: Mapped[int] = mapped_column(default=0)
    next_try_at: Mapped[datetime]


class VariantPull(ShopScoped, db.Model):
    """One pull of all variants by a bulk operation of Shopify's. At most one unfinished per shop."""

    __tablename__ = "variant_pull"
    __table_args__ = (
        Index("uq_variant_pull_unfinished", "shop_id", unique=True, postgresql_where=text("finished_at IS NULL")),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    bulk_operation_gid: Mapped[str | None] = mapped_column(Text)
    started_at: Mapped[datetime]
    next_look_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    objects_found: Mapped[int] = mapped_column(default=0)  # as Shopify counts while it works
    variants_taken: Mapped[int] = mapped_column(default=0)
    expected: Mapped[int | None]  # productVariantsCount at the start
    cause: Mapped[str | None] = mapped_column(Text)  # why it failed, in plain words
