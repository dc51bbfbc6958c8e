"""The channels of the shop: the five that there always are, and its own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError

from occ_app.errors import RuleError
from occ_app.extensions import db
from occ_app.stock.channel_models import AllocationRule, OwnChannel
from occ_app.stock.models import Balance
from occ_app.stock.rules import CHANNELS

MOST = 20
LONGEST_NAME = 40
TAKEN = "There is a channel {} already. Give another name."


def names() -> dict[str, str]:
    """Key -> name of every channel, the five first."""
    return {key: key.capitalize() for key in CHANNELS} | {channel.key: channel.name for channel in own()}


def own() -> Sequence[OwnChannel]:
    """The shop's own channels, oldest first."""
    return db.session.scalars(select(OwnChannel).order_by(OwnChannel.id)).all()


def check(key: str) -> str:
    """The channel's key. Raises RuleError where the shop has no such channel."""
    known = names()
    if key not in known:
        raise RuleError(f"Give one of: {', '.join(known)}.", field="channel")
    return key


def add(name: str, at: datetime) -> OwnChannel:
    """The shop has a channel of that name. Raises RuleError where the name cannot be or is taken."""
    known = names()
    name = _name(name, known.values())
    key = _key(name, known)
    if (db.session.scalar(select(func.count()).select_from(OwnChannel)) or 0) >= MOST:
        raise RuleError(f"A shop has at most {MOST} channels of its own.", field="name")
    channel = OwnChannel(key=key, name=name, created_at=at)
    try:
        with db.session.begin_nested():
            db.session.add(channel)
    except IntegrityError as error:  # somebody took the name a moment ago
        raise RuleError(TAKEN.format(name), field="name") from error
    return channel


def find(key: str) -> OwnChannel:
    """The shop's own channel of that key. Raises RuleError."""
    found = db.session.scalar(select(OwnChannel).where(OwnChannel.key == key))
    if found is None:
        words = f"{key} is one that every shop has: it stays." if key in CHANNELS else f"There is no channel {key}."
        raise RuleError(words, field="channel")
    return found


def rename(channel: OwnChannel, name: str) -> None:
    """The channel has that name; its key stays. Raises RuleError where the name cannot be or is taken."""
    channel.name = _name(name, [taken for key, taken in names().items() if key != channel.key])


def remove(channel: OwnChannel) -> int:
    """The channel is gone, and so are the rules for it; what was moved stays in the log. Returns how many rules went.

    Raises RuleError where it holds units.
    """
    held = select(func.sum(Balance.quantity)).where(Balance.place == f"allocated:{channel.key}")
    units = db.session.scalar(held) or 0
    if units:
        words = (
            f"{channel.name} holds {units:,} {'unit' if units == 1 else 'units'}. Give them back first, item by item."
        )
        raise RuleError(words, field="channel")
    rules = delete(AllocationRule).where(AllocationRule.channel == channel.key).returning(AllocationRule.id)
    gone = len(db.session.scalars(rules).all())
    db.session.delete(channel)
    return gone


def _name(name: str, taken: Iterable[str]) -> str:
    """The name as it is kept. Raises RuleError where it cannot be or is taken."""
    name = " ".join(name.split())
    if not re.search(r"[a-z0-9]", name.lower()) or len(name) > LONGEST_NAME:
        raise RuleError(f"Give a name of 1 to {LONGEST_NAME} letters or digits, such as Farm shop.", field="name")
    if name.lower() in {one.lower() for one in taken}:
        raise RuleError(TAKEN.format(name), field="name")
    return name


def _key(name: str, known: dict[str, str]) -> str:
    """A key of the name that is free. Keys of market days begin with market-."""
    key = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    key = (f"own-{key}" if key.startswith("market-") else key)[:30].strip("-")
    free = (f"{key[:27].strip('-')}-{number}" for number in range(2, 100))
    return key if key not in known else next(one for one in free if one not in known)
