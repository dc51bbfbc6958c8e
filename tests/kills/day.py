"""A shop's day under a seed: orders, parcels, refunds and cancellations in Shopify, releases and holds of lots in the hub.

What Shopify was asked to do is remembered per line, so that the books can be compared with it at the end.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx2

from tests.support.product import DOMAIN, Product

SKUS = ("BAR-A", "BAR-A-6", "BAR-B", "BAR-C", "BAR-D", "BAR-E")
ITEM_OF = {"BAR-A-6": "BAR-A"}
UNITS_OF = {"BAR-A-6": 6}
ITEMS = tuple(sku for sku in SKUS if sku not in ITEM_OF)
RELEASED, WAITING = (
    50_000,
    5_000,
)  # units of an item's two lots: far more than a day sells, so that nothing is ever short


@dataclass
class SoldLine:
    """A line of an order, in variant units: as ordered, and what was done to it since."""

    id: int
    gid: str
    sku: str
    quantity: int
    shipped: int = 0
    restocked: int = 0  # put back for sale before it was shipped
    returned: int = 0  # put back for sale after it was shipped
    lost: int = 0  # taken out of the order unshipped, and not put back
    open: int = 0

    def __post_init__(self) -> None:
        self.open = self.quantity


@dataclass
class SoldOrder:
    """An order and its lines."""

    key: str
    lines: list[SoldLine]
    is_cancelled: bool = False


@dataclass
class Day(threading.Thread):
    """The script, one thing after another until it is told to end. A failure of its own ends it and is kept in `failure`."""

    product: Product
    lots: dict[str, int]  # lot number -> id
    seed: int
    pause: float = 0.25  # seconds between two things, on average
    orders: list[SoldOrder] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    failure: Exception | None = None

    def __post_init__(self) -> None:
        super().__init__(name="day", daemon=True)
        self.random = random.Random(self.seed)
        self.ending = threading.Event()

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        """Things happen until `end`."""
        try:
            while not self.ending.wait(self.random.uniform(0, 2 * self.pause)):
                self.step()
        except Exception as error:
            self.failure = error

    def end(self) -> None:
        """The last thing has happened. Raises what stopped the day before."""
        self.ending.set()
        self.join()
        if self.failure is not None:
            raise self.failure

    def step(self) -> None:
        """One thing happens, or nothing where there is nothing that it could happen to."""
        acts = (self._sell, self._ship, self._refund, self._cancel, self._move_lot, self._move_lot_by_command)
        act = self.random.choices(acts, (40, 18, 14, 6, 21, 1))[0]
        if act():
            self.done[act.__name__.strip("_")] += 1

    # In Shopify -------------------------------------------------------------------------------------------------------------------

    def _sell(self) -> bool:
        skus = self.random.sample(SKUS, self.random.choice((1, 1, 2, 3)))
        lines = [{"sku": sku, "quantity": self.random.randint(1, 4)} for sku in skus]
        made = self.product.control("orders", {"lines": lines})
        sold = [SoldLine(row["id"], row["gid"], row["sku"], row["quantity"]) for row in made["line_items"]]
        self.orders.append(SoldOrder(str(made["id"]), sold))
        return True

    def _some(self, what: str) -> tuple[SoldOrder, SoldLine, int] | None:
        """A line that has something in `what`, and how many of it."""
        found = [(o, line) for o in self.orders for line in o.lines if not o.is_cancelled and getattr(line, what) > 0]
        if not found:
            return None
        order, line = self.random.choice(found)
        return order, line, self.random.randint(1, getattr(line, what))

    def _ship(self) -> bool:
        found = self._some("open")
        if found is None:
            return False
        order, line, units = found
        self.product.control(f"orders/{order.key}/fulfil", {"lines": [{"line_item_id": line.id, "quantity": units}]})
        line.open, line.shipped = line.open - units, line.shipped + units
        return True

    def _refund(self) -> bool:
        kind = self.random.choice(("cancel", "no_restock", "return"))
        found = self._returnable() if kind == "return" else self._some("open")
        if found is None:
            return False
        order, line, units = found
        row: dict[str, Any] = {"line_item_id": line.id, "quantity": units, "restock_type": kind}
        self.product.control(f"orders/{order.key}/refund", {"lines": [row]})
        if kind == "return":
            line.returned += units
        elif kind == "cancel":
            line.open, line.restocked = line.open - units, line.restocked + units
        else:
            line.open, line.lost = line.open - units, line.lost + units
        return True

    def _returnable(self) -> tuple[SoldOrder, SoldLine, int] | None:
        found = self._some("shipped")
        if found is None or found[1].shipped == found[1].returned:
            return None
        return found[0], found[1], min(found[2], found[1].shipped - found[1].returned)

    def _cancel(self) -> bool:
        found = self._some("open")
        if found is None:
            return False
        order, restock = found[0], self.random.random() < 0.7
        self.product.control(f"orders/{order.key}/cancel", {"restock": restock})
        order.is_cancelled = True
        for line in order.lines:
            what = "restocked" if restock else "lost"
            setattr(line, what, getattr(line, what) + line.open)
            line.open = 0
        return True

    # In the hub -------------------------------------------------------------------------------------------------------------------

    def _lot_move(self) -> tuple[str, str, int]:
        verb = self.random.choice(("release", "hold"))
        lot = self.random.choice(ITEMS) + ("-2" if verb == "release" else "-1")
        return lot, verb, self.random.randint(1, 9)

    def _move_lot(self) -> bool:
        """Somebody presses a button. The answer is lost where the web is killed; the books tell whether it was done."""
        lot, verb, units = self._lot_move()
        try:
            self.product.page(f"/lots/{self.lots[lot]}/{verb}", {"quantity": str(units)})
        except httpx2.HTTPError:
            self.done["move_lot without answer"] += 1
            return False
        return True

    def _move_lot_by_command(self) -> bool:
        lot, verb, units = self._lot_move()
        to = {"release": "released", "hold": "on_hold"}[verb]
        self.product.occ("lot", "move", "--shop", DOMAIN, lot, "--to", to, "--quantity", str(units))
        return True
