"""Turns: who may work for a shop just now."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Text
from sqlalchemy.orm import Mapped, mapped_column

from occ_app.extensions import db


class Turn(db.Model):
    """One kind of work of one shop. Whoever holds the row's lock has the turn; it is free again when its transaction ends, however.

    A row lock holds behind a transaction pooler too, where an advisory lock of the session does not. No foreign key: the erasure of a
    shop happens during a turn of that shop, and must not wait for it.
    """

    __tablename__ = "turn"

    shop_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(Text, primary_key=True)


class TaskFailure(db.Model):
    """The last failure of a task for a shop, until it succeeds again. `tries` in a row; shown as parked from the fifth on."""

    __tablename__ = "task_failure"

    shop_id: Mapped[int] = mapped_column(ForeignKey("shop.id", ondelete="CASCADE"), primary_key=True)
    task: Mapped[str] = mapped_column(Text, primary_key=True)
    tries: Mapped[int]
    failed_at: Mapped[datetime]
    cause: Mapped[str] = mapped_column(Text)


class TickSlot(db.Model):
    """The newest slot of a tick that some worker has fired."""

    __tablename__ = "tick_slot"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    slot: Mapped[int] = mapped_column(BigInteger)
