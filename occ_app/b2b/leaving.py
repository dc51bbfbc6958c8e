"""Units that people carry out of the house: to a market and back, and as gifts.

They are gone whatever anybody says, so Shopify's number falls with them and waits for nobody, as it does when an order takes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from occ_app.b2b import levels
from occ_app.catalog.models import Item
from occ_app.stock import markets
from occ_app.stock.channel_models import Handout, MarketDay, MarketLine
from occ_app.sync import targets


def take_out(day: MarketDay, item: Item, units: int, *, actor: str, at: datetime) -> MarketLine:
    """So many units more of the item went to the market, and are not on sale any more."""
    with targets.free_to_fall():
        return markets.take_out(day, item, units, actor=actor, at=at)


def close(day: MarketDay, counted: Mapping[int, tuple[int, int]], *, actor: str, at: datetime) -> int:
    """The day is counted. Returns how many units are missing. A number that has not fallen yet falls by fewer, and asks nobody either."""
    with targets.free_to_fall():
        return markets.close(day, counted, actor=actor, at=at)


def give_away(item: Item, channel: str, units: int, purpose: str, *, actor: str, at: datetime) -> Handout:
    """Units left as samples, or were used in the house, and are not on sale any more."""
    place = levels.location()
    with targets.free_to_fall():
        return markets.give_away(item, place.id, channel, units, purpose, actor=actor, at=at)
