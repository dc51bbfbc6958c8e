"""One batch for one partner: its open orders are looked at, lines that may go are placed and sent, and what is due to close is ordered.

Every call that changes the partner's store is a committed row before it is made (`PartnerOrder.sending`, `create_tried_at`,
`complete_tried_at`), so a batch that dies, or gets no answer, is taken up by the next: a draft that may have been made is looked for by its
tag and adopted; one that may have been completed is looked at. What was never sent, and what our row is sure of, is sent without looking.
"""

from __future__ import annotations

import time as machine_time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import select

from occ_app import clock
from occ_app.errors import RuleError
from occ_app.extensions import db
from occ_app.partners import cutoffs
from occ_app.partners import settings as partner_settings
from occ_app.partners.models import Partner
from occ_app.routing import capture, drafts, orders, rules, sending, settling, theirs
from occ_app.routing.context import Context, ShipTo, today
from occ_app.routing.eligibility import ready
from occ_app.routing.models import (
    CLOSE,
    CLOSING,
    CREATED,
    CUTOFF,
    DAILY,
    NOW,
    OPEN,
    PENDING,
    PartnerBatch,
    PartnerLine,
    PartnerOrder,
)
from occ_app.routing.prices import Rates
from occ_app.shopify.client import Client
from occ_app.shopify.errors import NoAnswerError, ShopifyError, ShopifyRefusedError, ShopifyUnavailableError
from occ_app.sync.rules import retry_after
from occ_app.sync.targets import shop
from occ_app.work import tasks

RESTS_FOR = timedelta(minutes=15)


class Batch:
    """The batch of one partner. `client` is the partner's; `ship_to` gives the fulfilment centre, and is asked once at most."""

    def __init__(self, partner: Partner, client: Client, ship_to: ShipTo, kind: str) -> None:
        self.partner, self.client, self.kind = partner, client, kind
        self.context = Context(partner, client, ship_to, kind)
        self._currency = Rates().currency(partner)

    def run(self) -> PartnerBatch:
        """The batch is made and logged; what it could not do says why. Commits step by step."""
        began, calls = machine_time.monotonic(), self.client.calls
        at = clock.now()
        row = self.context.row = PartnerBatch(
            partner_id=self.partner.id, kind=self.kind, for_on=today(at), started_at=at, placed=0, taken_off=0
        )
        row.failed = row.orders = row.calls = 0
        db.session.add(row)
        db.session.commit()
        row_id, cause = row.id, None
        try:
            self._steps()
        except (ShopifyError, RuleError) as error:
            db.session.rollback()
            cause = str(error)
        row = db.session.get_one(PartnerBatch, row_id)
        row.finished_at, row.cause = clock.now(), cause
        row.calls, row.milliseconds = self.client.calls - calls, int((machine_time.monotonic() - began) * 1000)
        if cause is not None:
            rest_all(self.partner, cause, clock.now())
        capture.tell_failed(self.partner, clock.now())
        db.session.commit()
        return row

    def _steps(self) -> None:
        alive = self._alive()
        if alive or self._ready():
            self.context.ship_to()
        for order_id in alive:
            self._guard(order_id, self._settle)
        for _ in range(2):  # a second time where lines came back from an order that was closed or deleted unheard
            self.context.again = False
            self._place()
            for order_id in self._alive():
                self._guard(order_id, self._send_and_close)
            if not self.context.again:
                break

    def _settle(self, order: PartnerOrder) -> None:
        settling.settle(self.context, order, is_due=order.currency != self._currency)
        self._check_currency(orders.get(order.id))

    def _check_currency(self, order: PartnerOrder) -> None:
        """Raises ShopifyRefusedError, before anything is changed there, where the order is in another currency than the store sells in."""
        if order.currency != self._currency and order.state in (OPEN, CLOSING):
            db.session.commit()  # what was seen there stays known
            raise ShopifyRefusedError(
                f"{order.name} is in {order.currency}, but {self.partner.name} sells in {self._currency} now. Nothing was"
                f" sent. When {self.partner.name} has deleted the draft, its lines can be ordered again at today's cost."
            )

    def _alive(self) -> list[int]:
        query = select(PartnerOrder.id).where(
            PartnerOrder.partner_id == self.partner.id, PartnerOrder.state.in_((OPEN, CLOSING))
        )
        return list(db.session.scalars(query.order_by(PartnerOrder.id)))

    def _guard(self, order_id: int, step: Callable[[PartnerOrder], None]) -> None:
        """One order that fails stops no other; it rests with its cause."""
        try:
            order = orders.get(order_id)
            if self.kind not in (NOW, CLOSE) and orders.is_resting(order, clock.now()):
                return
            step(order)
            order = orders.get(order_id)
            if order.next_try_at is not None and not orders.is_resting(order, clock.now()):
                order.next_try_at, order.cause = None, None
                if order.theirs is None and order.state in (OPEN, CLOSING):
                    settling.well(order)
            db.session.commit()
        except ShopifyError as error:
            db.session.rollback()
            self._rest(order_id, error)
            if not isinstance(error, (ShopifyUnavailableError, ShopifyRefusedError)):
                raise

    def _rest(self, order_id: int, error: ShopifyError) -> None:
        order = orders.get(order_id)
        order.tries += 1
        order.cause = str(error)[:500]
        pause = settling.UNSEEN_FOR if isinstance(error, NoAnswerError) else retry_after(order.tries)
        order.next_try_at = clock.now() + max(pause, retry_after(order.tries))
        if order.tries >= 3:
            theirs.tell_stuck(order, self.partner, clock.now())
        db.session.commit()

    # What goes on it -----------------------------------------------------------------------------------------------------------------

    def _place(self) -> None:
        """Every line that may go stands on an order that grows. One that the partner has changed takes no more: another is opened."""
        at = clock.now()
        waiting = self._in_their_currency(self._ready())
        growing = [one for one in orders.open_of(self.partner) if one.theirs is None and one.currency == self._currency]
        if self.kind == DAILY:
            growing = [order for order in growing if order.cutoff_at > at]
        held = {order.id: self._groups_of(order) for order in growing} if waiting else {}
        for line in waiting:
            key = (line.partner_variant.variant_gid, str(line.unit_cost))
            order = next((o for o in growing if key in held[o.id]), None)
            order = order or next((o for o in growing if len(held[o.id]) < rules.MOST_LINES), None)
            if order is None:
                order = orders.new(self.partner, self._currency, at)
                growing.append(order)
                held[order.id] = set()
            held[order.id].add(key)
            line.partner_order_id, line.state, line.cause, line.placed_at = order.id, CREATED, None, at
        self.context.count("placed", len(waiting))
        db.session.commit()

    def _in_their_currency(self, lines: Sequence[PartnerLine]) -> list[PartnerLine]:
        """Lines priced in what the partner sells in now. The others are kept and need a person."""
        wrong = [line for line in lines if line.currency and line.currency != self._currency]
        for line in wrong:
            orders.fail(
                line,
                f"Priced in {line.currency}, but {self.partner.name} sells in {self._currency} now. Order it again to take"
                " today's cost.",
            )
        self.context.count("failed", len(wrong))
        return [line for line in lines if line.state == PENDING]

    def _groups_of(self, order: PartnerOrder) -> set[tuple[str, str]]:
        return {(gid, cost) for gid, cost, _ in orders.content_of(order, orders.rows_of(order))["lines"]}

    def _ready(self) -> Sequence[PartnerLine]:
        """Lines that may go; at a cutoff those that might go then, however late the batch is."""
        at = clock.now()
        if self.kind == CUTOFF:
            at = min((order.cutoff_at for order in orders.open_of(self.partner)), default=at)
        return db.session.scalars(ready(self.partner, shop(), min(at, clock.now()))).all()

    # What goes out -------------------------------------------------------------------------------------------------------------------

    def _send_and_close(self, order: PartnerOrder) -> None:
        self._check_currency(order)
        if self._closes(order):
            order.state = CLOSING
            orders.tell(order, clock.now(), "Closed", "nothing more is added")
            db.session.commit()
            order = orders.get(order.id)
        if order.state == CLOSING and order.theirs is not None:
            theirs.take(order, self.partner, clock.now())
            db.session.commit()
        sending.put_theirs_back(self.context, order)
        is_sent = order.theirs is None and sending.send(self.context, order)
        order = orders.get(order.id)
        if order.state != CLOSING or order.draft_gid is None or order.sending is not None:
            return
        if is_sent and self.kind == DAILY:  # Shopify works out a new draft for a moment: the next turn completes it
            tasks.ask("partner_orders", order.shop_id)
            return
        sending.complete(self.context, order)

    def _closes(self, order: PartnerOrder) -> bool:
        """Whether the order closes now. A small one is held to the next cutoff, where the partner's settings say so."""
        at = clock.now()
        if order.state != OPEN:
            return False
        is_daily = order.cadence == "daily" and self.kind in (DAILY, NOW)
        if is_daily and self.kind == DAILY and today(at) in cutoffs.plan_of(self.partner).skipped:
            return False
        if self.kind == CLOSE or is_daily:
            pass
        elif order.cutoff_at > at:
            return False
        small = self._too_small(order) if self.kind != CLOSE else None
        if small and partner_settings.get(self.partner, "below_minimum") == "hold":
            hold(order, self.partner, at, f"It has {small}")
            return False
        return True

    def _too_small(self, order: PartnerOrder) -> str | None:
        lines = rules.goods(orders.content_of(order, orders.rows_of(order))["lines"])
        return rules.misses(
            sum(units for _, _, units in lines),
            drafts.total(lines),
            least_units=partner_settings.get(self.partner, "minimum_units"),
            least_value=partner_settings.number(self.partner, "minimum_value"),
        )


def hold(order: PartnerOrder, partner: Partner, at: datetime, why: str, *, seen: datetime | None = None) -> None:
    """The order grows until the cutoff after its present one. `seen`: the cutoff that the person saw who holds it.

    Raises RuleError where the order is closed, or its cutoff is another by now.
    """
    if order.state != OPEN:
        raise RuleError(f"{order.name} does not grow any more.")
    if seen is not None and seen != order.cutoff_at:
        raise RuleError(
            f"The cutoff of {order.name} is another by now. Look when it closes, and hold it again if you still want to."
        )
    order.held_after = order.cutoff_at
    order.cutoff_at = cutoffs.plan_of(partner).next_cutoff(max(order.cutoff_at, at))
    orders.tell(order, at, "Held to the next cutoff", why)


def rest_all(partner: Partner, cause: str, at: datetime) -> None:
    """The partner's orders that are not placed yet rest for a while: nothing can be done about any of them."""
    query = select(PartnerOrder).where(PartnerOrder.partner_id == partner.id, PartnerOrder.state.in_((OPEN, CLOSING)))
    for order in db.session.scalars(query.with_for_update()):
        if order.next_try_at is None or order.next_try_at <= at:
            order.next_try_at, order.cause = at + RESTS_FOR, cause[:500]
        if order.cutoff_at <= at:
            theirs.tell_stuck(order, partner, at)
