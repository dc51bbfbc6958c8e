"""The sync state of each mapping, the runs, their lines, and the exceptions that people decide."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, LargeBinary, Text, false, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from occ_app.catalog.models import Mapping
from occ_app.extensions import ShopScoped, db

AWAITING_LINK, LINKED, AWAITING_APPROVAL, PARKED, OFF = "awaiting_link", "linked", "awaiting_approval", "parked", "off"
PUSH, RECONCILE, UNDO = "push", "reconcile", "undo"  # kinds of runs; the last is one of approvals too
FIRST_LINK = "First link"  # why a mapping's first number is pushed
MANUAL = "manual"  # an approval that the sync mode asks for; the others are the guard's, and what a person took back
# What became of an approval: `superseded` by another number, or `gone` when it was no longer needed.
ASKED, APPROVED, REJECTED, SUPERSEDED, GONE = "asked", "approved", "rejected", "superseded", "gone"
# What became of one line of a push.
WAITING, APPLIED, STALE, REFUSED, AMBIGUOUS = "waiting", "applied", "stale", "refused", "ambiguous"


class SyncState(ShopScoped, db.Model):
    """Where one living mapping stands. All quantities are variant units; `sellable` is units of the item.

    `target` is recomputed in the transaction of whatever changed it. `expected` and `baseline_at` are null until the first link
    is settled. Pushing is due when state is `linked` and target <> expected. `booked_committed` is what `committed` must be by our books.
    The `read_` columns are the last reading. `link_choice` is a remedy chosen for the first link that waits for the books to agree.
    """

    __tablename__ = "sync_state"
    __table_args__ = (
        CheckConstraint(
            "state IN ('awaiting_link', 'linked', 'awaiting_approval', 'parked', 'off')", name="state_known"
        ),
        CheckConstraint("(expected IS NULL) = (baseline_at IS NULL)", name="expected_has_baseline"),
        Index(
            "ix_sync_state_due",
            "shop_id",
            postgresql_where=text("state = 'linked' AND is_pushed AND target <> expected"),
        ),
        Index("ix_sync_state_status", "shop_id", "state"),
    )

    mapping_id: Mapped[int] = mapped_column(ForeignKey("mapping.id"), primary_key=True)
    state: Mapped[str] = mapped_column(Text, default=AWAITING_LINK)
    cause: Mapped[str | None] = mapped_column(Text)  # why it is parked, in plain words
    sellable: Mapped[int] = mapped_column(BigInteger, default=0)
    target: Mapped[int] = mapped_column(BigInteger, default=0)
    expected: Mapped[int | None] = mapped_column(BigInteger)
    baseline_at: Mapped[datetime | None]
    booked_committed: Mapped[int] = mapped_column(default=0)
    link_choice: Mapped[str | None] = mapped_column(Text)  # hub | shopify
    read_at: Mapped[datetime | None]  # Shopify's clock
    read_available: Mapped[int | None]
    read_committed: Mapped[int | None]
    read_reserved: Mapped[int | None]
    read_damaged: Mapped[int | None]
    read_quality_control: Mapped[int | None]
    read_safety_stock: Mapped[int | None]
    read_on_hand: Mapped[int | None]
    # read_available - expected at the last reading, 0 while unlinked
    drift: Mapped[int] = mapped_column(BigInteger, default=0)
    drift_since: Mapped[datetime | None]
    drift_looks: Mapped[int] = mapped_column(default=0)  # readings in a row that showed it
    look_at: Mapped[datetime | None]  # to be read again then, sooner than the next reconciliation; null: no need
    drift_why: Mapped[str | None] = mapped_column(
        Text
    )  # what the other states said when it was first seen, in plain words
    is_pushed: Mapped[bool] = mapped_column(default=True)  # whether the item's sync mode sends anything at all
    tries: Mapped[int] = mapped_column(default=0)  # failed pushes in a row
    next_try_at: Mapped[datetime | None]  # not before; null: at once
    # A person approved pushing up to this target (guard, manual approval).
    approved_target: Mapped[int | None] = mapped_column(BigInteger)
    synced_at: Mapped[datetime | None]  # last moment at which Shopify was seen to agree
    # A person took the last push back: until one approves, or the target falls to what Shopify has, nothing raises its number.
    is_held: Mapped[bool] = mapped_column(default=False, server_default=false())
    # What changed the target since the last push, where no stock move tells: a mode, a setting. In plain words.
    why: Mapped[str | None] = mapped_column(Text)

    mapping: Mapped[Mapping] = relationship(lazy="raise_on_sql")


class Approval(ShopScoped, db.Model):
    """A calculated number that waited for a person. At most one of a mapping is `asked`; another number supersedes it.

    `quantity` is the target that was asked about, `expected` Shopify's number by our books then: a sale moves both alike and asks nothing
    anew. `since`: the two have differed from then on, so what happened since is why.
    """

    __tablename__ = "approval"
    __table_args__ = (
        Index("uq_approval_asked", "mapping_id", unique=True, postgresql_where=text("state = 'asked'")),
        Index("ix_approval_recent", "shop_id", "id"),
        Index("ix_approval_mapping", "mapping_id", "id"),
        CheckConstraint("kind IN ('manual', 'guard', 'undo')", name="kind_known"),
        CheckConstraint("state IN ('asked', 'approved', 'rejected', 'superseded', 'gone')", name="state_known"),
        CheckConstraint("(state = 'asked') = (settled_at IS NULL)", name="settled_has_moment"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    mapping_id: Mapped[int] = mapped_column(ForeignKey("mapping.id"))
    kind: Mapped[str] = mapped_column(Text)
    quantity: Mapped[int] = mapped_column(BigInteger)  # variant units
    expected: Mapped[int] = mapped_column(BigInteger)  # variant units
    since: Mapped[datetime]
    asked_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(Text, default=ASKED)
    settled_at: Mapped[datetime | None]
    settled_by: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text, default="")

    mapping: Mapped[Mapping] = relationship(lazy="raise_on_sql")


class SyncRun(ShopScoped, db.Model):
    """One push or reconciliation, with what it cost. `points`: Shopify's actual query cost."""

    __tablename__ = "sync_run"
    __table_args__ = (
        Index("ix_sync_run_recent", "shop_id", "id"),
        Index("ix_sync_run_started", "shop_id", "started_at", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    looked_at: Mapped[int] = mapped_column(default=0)  # mappings
    changed: Mapped[int] = mapped_column(default=0)  # mappings
    reads: Mapped[int] = mapped_column(default=0)  # API calls
    writes: Mapped[int] = mapped_column(default=0)  # API calls
    points: Mapped[int] = mapped_column(default=0)
    cause: Mapped[str | None] = mapped_column(Text)  # why it ended early, in plain words


class PushLine(ShopScoped, db.Model):
    """What one call meant to write for one mapping: from `change_from` to `quantity`, carrying `change` = target - expected then.

    `why`: what had changed the number since the mapping's line before, in plain words. `until_move_id`: the newest stock move that it knew of.
    `undoes_id`: the line whose change it took back.
    """

    __tablename__ = "push_line"
    __table_args__ = (
        Index("ix_push_line_mapping", "mapping_id", "id"),
        Index("ix_push_line_sent", "shop_id", text("coalesce(settled_at, created_at)"), "id"),
        Index("ix_push_line_open", "shop_id", postgresql_where=text("state IN ('waiting', 'ambiguous')")),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("sync_run.id"))
    mutation_id: Mapped[int] = mapped_column(ForeignKey("mutation.id"))
    mapping_id: Mapped[int] = mapped_column(ForeignKey("mapping.id"))
    position: Mapped[int]  # index in the call's quantities
    change_from: Mapped[int] = mapped_column(BigInteger)
    quantity: Mapped[int] = mapped_column(BigInteger)
    target: Mapped[int] = mapped_column(BigInteger)
    expected: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(Text, default=WAITING)
    cause: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]
    why: Mapped[str | None] = mapped_column(Text)
    until_move_id: Mapped[int | None] = mapped_column(BigInteger)
    undoes_id: Mapped[int | None] = mapped_column(ForeignKey("push_line.id"))

    @property
    def change(self) -> int:
        """By how much it moves Shopify's number."""
        return self.quantity - self.change_from


class PushUndo(ShopScoped, db.Model):
    """A person wants the change of a push line taken back; one of each line. `left_because`: why it was not done, in plain words."""

    __tablename__ = "push_undo"
    __table_args__ = (Index("ix_push_undo_open", "shop_id", postgresql_where=text("settled_at IS NULL")),)

    line_id: Mapped[int] = mapped_column(ForeignKey("push_line.id"), primary_key=True)
    asked_at: Mapped[datetime]
    asked_by: Mapped[str] = mapped_column(Text)
    settled_at: Mapped[datetime | None]
    left_because: Mapped[str | None] = mapped_column(Text)


class SyncException(ShopScoped, db.Model):
    """Something that a person must decide (or decided). At most one open per kind and subject.

    `kind`: drift, guard, unseen, parked, backorder, missing, link, ambiguous, audit; `subject` names what it is about (`mapping:12`);
    `facts` carries the numbers its sentence is built from; `remedy` is the one that settled it (`settle.REMEDIES` names them all).
    """

    __tablename__ = "sync_exception"
    __table_args__ = (
        Index(
            "uq_sync_exception_open",
            "shop_id",
            "kind",
            "subject",
            unique=True,
            postgresql_where=text("settled_at IS NULL"),
        ),
        Index("ix_sync_exception_recent", "shop_id", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text)
    mapping_id: Mapped[int | None] = mapped_column(ForeignKey("mapping.id"))
    facts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    raised_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]
    settled_by: Mapped[str | None] = mapped_column(Text)
    remedy: Mapped[str | None] = mapped_column(Text)


class Upload(ShopScoped, db.Model):
    """A file that waits for a person to look at what it would change. Gone once it is taken in, or after a day."""

    __tablename__ = "upload"
    __table_args__ = (Index("ix_upload_uploaded_at", "shop_id", "uploaded_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    data: Mapped[bytes] = mapped_column(LargeBinary)
    uploaded_at: Mapped[datetime]
    uploaded_by: Mapped[str] = mapped_column(Text)
