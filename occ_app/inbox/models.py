"""The table of deliveries."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from occ_app.extensions import db

WAITING, DONE, IGNORED, PARKED = "waiting", "done", "ignored", "parked"


class Delivery(db.Model):
    """One webhook as it came. `shop_id` is null where the domain was not ours when it arrived; such a row is kept and
    ignored, but for the topics of privacy law.

    Only rows of state `waiting` whose `next_try_at` has come are due. `body` is the raw payload; TOML's `include_fields`
    keep customers' data out of it; that of the `customers/` topics is emptied once they are worked off or parked. Rows that
    are done or ignored are deleted after the keeping time.
    """

    __tablename__ = "delivery"
    __table_args__ = (
        UniqueConstraint("topic", "webhook_id"),
        CheckConstraint("state IN ('waiting', 'done', 'ignored', 'parked')", name="state_known"),
        Index("ix_delivery_due", "shop_id", "next_try_at", postgresql_where=text("state = 'waiting'")),
        Index("ix_delivery_recent", "shop_id", "id"),
        Index("ix_delivery_received", "shop_id", "received_at", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    shop_id: Mapped[int | None] = mapped_column(ForeignKey("shop.id", ondelete="CASCADE"))
    shop_domain: Mapped[str] = mapped_column(Text)
    topic: Mapped[str] = mapped_column(Text)
    webhook_id: Mapped[str] = mapped_column(Text)
    event_id: Mapped[str | None] = mapped_column(Text)
    api_version: Mapped[str | None] = mapped_column(Text)
    triggered_at: Mapped[datetime | None]
    received_at: Mapped[datetime]
    body: Mapped[bytes] = mapped_column(LargeBinary)
    state: Mapped[str] = mapped_column(Text, default=WAITING)
    tries: Mapped[int] = mapped_column(default=0)
    next_try_at: Mapped[datetime]
    done_at: Mapped[datetime | None]
    cause: Mapped[str | None] = mapped_column(Text)  # why the last try failed, in plain words
