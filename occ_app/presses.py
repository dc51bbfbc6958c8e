"""A form that makes something is done once: what is sent a second time, word for word, from the same rendering of it is not done again."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

from flask import request
from sqlalchemy import Text, UniqueConstraint, delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, mapped_column

from occ_app import clock
from occ_app.errors import RuleError
from occ_app.extensions import ShopScoped, current_shop_id, db

FIELD = "once"
KEPT = timedelta(days=2)
DONE = "This was done the first time that you sent it, and was not done again. If you mean a second one, open the form anew."


class Press(ShopScoped, db.Model):
    """A form that was sent and acted on. It is committed with what the form did, so a refused form can be sent again."""

    __tablename__ = "press"
    __table_args__ = (UniqueConstraint("shop_id", "digest"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(Text)  # SHA-256 of the path and all fields, in hex
    pressed_at: Mapped[datetime]


def fresh() -> str:
    """What tells one rendering of a form from another."""
    return secrets.token_urlsafe(12)


def check() -> None:
    """The form in this request, where it is one that counts once, was not acted on before. Raises RuleError.

    A second one that comes while the first is at work waits for its end.
    """
    if request.method != "POST" or not request.form.get(FIELD):
        return
    said = "\0".join([request.path, *sorted(f"{name}={value}" for name, value in request.form.items(multi=True))])
    row = {
        "shop_id": current_shop_id(),
        "digest": hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest(),
        "pressed_at": clock.now(),
    }
    query = insert(Press).values(row).on_conflict_do_nothing().returning(Press.id)
    if db.session.scalar(query) is None:
        raise RuleError(DONE)


def forget_old(at: datetime) -> None:
    """Forms that nobody has open any more are forgotten. Spans shops."""
    old = delete(Press).where(Press.pressed_at < at - KEPT)
    db.session.execute(old.execution_options(synchronize_session=False))
