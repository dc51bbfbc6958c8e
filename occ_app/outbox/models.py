"""The table of mutations."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from occ_app.extensions import ShopScoped, db

READY, SENT, APPLIED, REFUSED, AMBIGUOUS = "ready", "sent", "applied", "refused", "ambiguous"


class Mutation(ShopScoped, db.Model):
    """One call that changes Shopify. Committed before the call is made; `key` and `variables` never change after that."""

    __tablename__ = "mutation"
    __table_args__ = (
        CheckConstraint("state IN ('ready', 'sent', 'applied', 'refused', 'ambiguous')", name="state_known"),
        Index("ix_mutation_open", "shop_id", "id", postgresql_where=text("state IN ('ready', 'sent', 'ambiguous')")),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    operation: Mapped[str] = mapped_column(Text)  # name of the .graphql file
    key: Mapped[str] = mapped_column(Text, unique=True)  # idempotency key, a UUID
    variables: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(Text, default=READY)
    tries: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    answered_at: Mapped[datetime | None]
    answer: Mapped[dict[str, Any] | None]  # userErrors or transport error, for people; never a token
