"""What one batch works with: whose orders, through which client, and how it is counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

from occ_app import clock
from occ_app.partners.models import Partner
from occ_app.routing.models import PartnerBatch
from occ_app.shopify.client import Client
from occ_app.shops import settings as shop_settings
from occ_app.sync.targets import shop

ShipTo = Callable[[], dict[str, str]]


@dataclass
class Context:
    """`client` is the partner's; `ship_to` gives the fulfilment centre, asked once at most; `row`: the batch in the log, if it is one."""

    partner: Partner
    client: Client
    ship_to: ShipTo
    kind: str
    row: PartnerBatch | None = None
    again: bool = False  # lines came back while it sent, and may go on another order at once

    def count(self, name: str, number: int) -> None:
        """So much more of it in the log."""
        if self.row is not None:
            setattr(self.row, name, getattr(self.row, name) + number)


def today(at: datetime) -> date:
    """The shop's day."""
    return clock.local_date(at, shop_settings.get(shop(), "time_zone"))
