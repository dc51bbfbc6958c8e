"""The channels of the shop: the five that there always are, and its own."""

from __future__ import annotations

import re
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from occ_app.errors import RuleError
from occ_app.extensions import db
from occ_app.stock.channel_models import OwnChannel
from occ_app.stock.rules import CHANNELS

MOST = 20
LONGEST_NAME = 40
TAKEN = "There is a channel {} already. Give another name."


def names() -> dict[str, str]:
    """Key -> name of every channel, the five first."""
    own = db.session.scalars(select(OwnChannel).order_by(OwnChannel.id))
    return {key: key.capitalize() for key in CHANNELS} | {channel.key: channel.name for channel in own}


def check(key: str) -> str:
    """The channel's key. Raises RuleError where the shop has no such channel."""
    known = names()
    if key not in known:
        raise RuleError(f"Give one of: {', '.join(known)}.", field="channel")
    return key


def add(name: str, at: datetime) -> OwnChannel:
    """The shop has a channel of that name. Raises RuleError where the name cannot be or is taken."""
    name = " ".join(name.split())
    known = names()
    key = _key(name, known)
    if not key or len(name) > LONGEST_NAME:
        raise RuleError(f"Give a name of 1 to {LONGEST_NAME} letters or digits, such as Farm shop.", field="name")
    if name.lower() in {one.lower() for one in known.values()}:
        raise RuleError(TAKEN.format(name), field="name")
    if (db.session.scalar(select(func.count()).select_from(OwnChannel)) or 0) >= MOST:
        raise RuleError(f"A shop has at most {MOST} channels of its own.", field="name")
    channel = OwnChannel(key=key, name=name, created_at=at)
    try:
        with db.session.begin_nested():
            db.session.add(channel)
    except IntegrityError as error:  # somebody took the name a moment ago
        raise RuleError(TAKEN.format(name), field="name") from error
    return channel


def _key(name: str, known: dict[str, str]) -> str:
    """A key of the name that is free; empty where the name has neither letter nor digit. Keys of market days begin with market-."""
    key = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    key = (f"own-{key}" if key.startswith("market-") else key)[:30].strip("-")
    free = (f"{key[:27].strip('-')}-{number}" for number in range(2, 100))
    return key if key not in known else next(one for one in free if one not in known)
