"""Shops, their tokens and the requests of privacy law."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from occ_app.extensions import db

ACTIVE, PAUSED, NEEDS_RECONNECTING, UNINSTALLED = "active", "paused", "needs_reconnecting", "uninstalled"


class Shop(db.Model):
    """A store that installed us. `domain` is its `*.myshopify.com` name, lower case, and never changes.

    `installed_at`: when Shopify last gave us access; what was triggered before belongs to an earlier installation.
    `orders_seen_until`: every order updated up to then has been read and booked (the cursor of the order pull); begins at the first
    installation.
    """

    __tablename__ = "shop"
    __table_args__ = (
        CheckConstraint("status IN ('active', 'paused', 'needs_reconnecting', 'uninstalled')", name="status_known"),
        CheckConstraint("domain = lower(domain) AND domain LIKE '%.myshopify.com'", name="domain_form"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    domain: Mapped[str] = mapped_column(Text, unique=True)
    name: Mapped[str] = mapped_column(Text, default="")
    status: Mapped[str] = mapped_column(Text, default=ACTIVE)
    status_reason: Mapped[str | None] = mapped_column(Text)
    shopify_gid: Mapped[str | None] = mapped_column(Text)
    currency: Mapped[str] = mapped_column(Text, default="USD")
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict)  # set by name through shops.settings only
    installed_at: Mapped[datetime]
    uninstalled_at: Mapped[datetime | None]
    orders_seen_until: Mapped[datetime | None]
    variants_pulled_at: Mapped[datetime | None]
    reconciled_at: Mapped[datetime | None]


class ShopToken(db.Model):
    """The offline access token of a shop and the refresh token that renews it, encrypted, bound to this row.

    Reading or writing them goes through `shops.connection`. The row is locked while it is being refreshed.
    """

    __tablename__ = "shop_token"

    shop_id: Mapped[int] = mapped_column(ForeignKey("shop.id", ondelete="CASCADE"), primary_key=True)
    access_token: Mapped[bytes] = mapped_column(LargeBinary)  # AES-256-GCM, key id first
    refresh_token: Mapped[bytes | None] = mapped_column(LargeBinary)
    scopes: Mapped[str] = mapped_column(Text)  # comma-separated, as Shopify granted them
    access_expires_at: Mapped[datetime | None]
    refresh_expires_at: Mapped[datetime | None]
    refreshed_at: Mapped[datetime]


class PrivacyRequest(db.Model):
    """One compliance delivery and what was done about it. Kept when the shop's rows are erased; holds no customer data."""

    __tablename__ = "privacy_request"

    id: Mapped[int] = mapped_column(primary_key=True)
    shop_domain: Mapped[str] = mapped_column(Text)
    topic: Mapped[str] = mapped_column(Text)
    webhook_id: Mapped[str] = mapped_column(Text, unique=True)
    request_gid: Mapped[int | None] = mapped_column(BigInteger)  # data_request.id, where the topic has one
    received_at: Mapped[datetime]
    done_at: Mapped[datetime]
    outcome: Mapped[str] = mapped_column(Text)  # a sentence for the record
