"""One batch for one partner: its open orders are looked at, lines that may go are placed and sent, and what is due to close is ordered.

Every call that changes the partner's store is a committed row before it is made (`PartnerOrder.sending`, `create_tried_at`,
`complete_tried_at`), so a batch that dies, or gets no answer, is taken up by the next: a draft that may have been made is looked for by its
tag and adopted; one that may have been completed is looked at. Only what was never sent is sent without looking.
"""

from __future__ import annotations

import time as machine_time
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

import structlog
from sqlalchemy import and_, select

from occ_app import clock
from occ_app.errors import RuleError
from occ_app.extensions import db
from occ_app.orders.models import Order, OrderLine
from occ_app.partners import settings as partner_settings
from occ_app.partners.models import Partner
from occ_app.routing import drafts, orders, rules
from occ_app.routing.drafts import Draft
from occ_app.routing.models import (
    CLOSE,
    CLOSING,
    CREATED,
    CUTOFF,
    DAILY,
    FAILED,
    NOW,
    OPEN,
    ORDERED,
    PENDING,
    PartnerBatch,
    PartnerLine,
    PartnerOrder,
)
from occ_app.shopify.client import Client
from occ_app.shopify.errors import NoAnswerError, ShopifyError, ShopifyRefusedError, ShopifyUnavailableError
from occ_app.shops import settings as shop_settings
from occ_app.shops.models import Shop
from occ_app.sync import desk
from occ_app.sync.rules import retry_after
from occ_app.sync.targets import shop

log = structlog.get_logger()
PAID = ("PAID", "PARTIALLY_REFUNDED")
RISKY = {"high": ("CANCEL",), "medium": ("CANCEL", "INVESTIGATE"), "none": ()}
UNSEEN_FOR = timedelta(minutes=2)  # a draft that was made a moment ago is not found by its tag at once
RESTS_FOR = timedelta(minutes=15)
MOST_MENDS = 4  # times that a draft is lowered to what the partner has, before a person is asked
ShipTo = Callable[[], dict[str, str]]


class Batch:
    """The batch of one partner. `client` is the partner's; `ship_to` gives the fulfilment centre, and is asked once at most."""

    def __init__(self, partner: Partner, client: Client, ship_to: ShipTo, kind: str) -> None:
        self.partner, self.client, self.kind = partner, client, kind
        self._ship_to = ship_to
        self.row: PartnerBatch | None = None

    def run(self) -> PartnerBatch:
        """The batch is made and logged; what it could not do says why. Commits step by step."""
        began, calls = machine_time.monotonic(), self.client.calls
        at = clock.now()
        self.row = PartnerBatch(
            partner_id=self.partner.id, kind=self.kind, for_on=today(at), started_at=at, placed=0, taken_off=0
        )
        self.row.failed = self.row.orders = self.row.calls = 0
        db.session.add(self.row)
        db.session.commit()
        row_id, cause = self.row.id, None
        try:
            self._steps()
        except (ShopifyError, RuleError) as error:
            db.session.rollback()
            cause = str(error)
        row = self.row = db.session.get_one(PartnerBatch, row_id)
        row.finished_at, row.cause = clock.now(), cause
        row.calls, row.milliseconds = self.client.calls - calls, int((machine_time.monotonic() - began) * 1000)
        if cause is not None:
            rest_all(self.partner, cause, clock.now())
        orders.tell_failed(self.partner, clock.now())
        db.session.commit()
        return row

    def _steps(self) -> None:
        alive = self._alive()
        if alive or self._ready():
            self._ship_to()
        for order_id in alive:
            self._guard(order_id, self._settle)
        self._place()
        for order_id in self._alive():
            self._guard(order_id, self._send_and_close)

    def _alive(self) -> list[int]:
        query = select(PartnerOrder.id).where(
            PartnerOrder.partner_id == self.partner.id, PartnerOrder.state.in_((OPEN, CLOSING))
        )
        return list(db.session.scalars(query.order_by(PartnerOrder.id)))

    def _guard(self, order_id: int, step: Callable[[PartnerOrder], None]) -> None:
        """One order that fails stops no other; it rests with its cause."""
        try:
            order = orders.get(order_id)
            if self.kind not in (NOW, CLOSE) and order.next_try_at is not None and order.next_try_at > clock.now():
                return
            step(order)
            order = orders.get(order_id)
            if order.next_try_at is not None and order.next_try_at <= clock.now():
                order.next_try_at, order.cause = None, None
                if order.theirs is None and order.state in (OPEN, CLOSING):
                    self._well(order)
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
        pause = UNSEEN_FOR if isinstance(error, NoAnswerError) else retry_after(order.tries)
        order.next_try_at = clock.now() + max(pause, retry_after(order.tries))
        if order.tries >= 3:
            tell_stuck(order, self.partner, clock.now())
        db.session.commit()

    # What is there -----------------------------------------------------------------------------------------------------------------

    def _settle(self, order: PartnerOrder) -> None:
        """What earlier calls, or the partner, made of the order is known here. An order never sent, and only that, needs no look."""
        orders.follow_plan(order, self.partner, clock.now())
        if order.draft_gid is None and order.create_tried_at is not None:
            self._adopt(order)
        elif order.draft_gid is not None:
            self._look(order)

    def _adopt(self, order: PartnerOrder) -> None:
        """The draft that a lost call may have made is ours, or there is none."""
        found = drafts.find_by_tag(self.client, order.tag)
        if found:
            order.draft_gid = found[0]
            orders.tell(order, clock.now(), "Found the draft in their store", "its making had got no answer")
            db.session.commit()
            for other in found[1:]:
                drafts.delete(self.client, other)
            self._look(order)
        elif order.create_tried_at is not None and clock.now() - order.create_tried_at < UNSEEN_FOR:
            order.next_try_at = clock.now() + UNSEEN_FOR
        else:
            order.create_tried_at, order.sending = None, None

    def _look(self, order: PartnerOrder) -> None:
        """The order as it is in the partner's store: adopted if it was completed, given up if it is gone, compared if it is open."""
        draft = drafts.find(self.client, order.draft_gid or "")
        order.looked_at, order.look_at = clock.now(), None
        if draft is None:
            self._is_gone(order)
            return
        order.draft_name = draft.name
        if draft.status == drafts.COMPLETED:
            by = "" if order.complete_tried_at else f"{self.partner.name} made it an order before its cutoff"
            self._ordered(order, draft, by)
            return
        self._compare(order, draft)

    def _is_gone(self, order: PartnerOrder) -> None:
        at = clock.now()
        rows = orders.rows_of(order)
        orders.know(order, rows, {}, at)
        number = orders.back(rows, f"{self.partner.name} deleted the draft of {order.name}")
        orders.cancel(order, at, f"{self.partner.name} deleted the draft. Its {number} lines go on a new one")
        facts = {"partner": self.partner.name, "name": order.name, "what": "deleted", "lines": number}
        desk.raise_(desk.PARTNER_ORDER, f"partner_order:{order.id}", facts, at)
        self._count("taken_off", number)

    def _compare(self, order: PartnerOrder, draft: Draft) -> None:
        rows = orders.rows_of(order)
        sending, sent = order.sending, order.sent
        if sending is not None and rules.same(draft.lines, sending["lines"]) and not draft.gone:
            self._confirmed(order, rows, draft.at)
            return
        order.sending = None
        if draft.gone:
            self._drop_gone(order, rows, draft)
            return
        if sent is None or rules.same(draft.lines, sent["lines"]):
            if order.theirs is not None:
                self._undone(order)
            return
        if order.theirs is None or not rules.same(order.theirs["lines"], draft.lines):
            order.theirs = {"lines": [list(line) for line in draft.lines], "at": draft.at.isoformat()}
            orders.tell(order, clock.now(), f"{self.partner.name} changed the draft", self._difference(order))
            tell_changed(order, self.partner, self._difference(order), clock.now())

    def _undone(self, order: PartnerOrder) -> None:
        order.theirs = None
        desk.withdraw(desk.PARTNER_ORDER, f"partner_order:{order.id}", clock.now())

    def _difference(self, order: PartnerOrder) -> str:
        ours = rules.by_variant((order.sent or {"lines": []})["lines"])
        theirs = rules.by_variant((order.theirs or {"lines": []})["lines"])
        gids = [gid for gid in {**ours, **theirs} if ours.get(gid, 0) != theirs.get(gid, 0)]
        names = orders.names_of(gids, self.partner)
        parts = [f"{names.get(gid, 'Another product')}: {ours.get(gid, 0)} to {theirs.get(gid, 0)}" for gid in gids]
        return ", ".join(parts[:6]) + (f" and {len(parts) - 6} more" if len(parts) > 6 else "") or "other prices"

    def _drop_gone(self, order: PartnerOrder, rows: Sequence[PartnerLine], draft: Draft) -> None:
        """Lines whose variant the partner deleted need a person; the draft is sent anew without them."""
        there = {gid for gid, _, _ in draft.lines}
        missing = orders.variant_gids([row for row in rows if row.on_order]) - there
        cause = f"{self.partner.name} no longer has it"
        for row in rows:
            if row.state == CREATED and row.quantity and row.partner_variant.variant_gid in missing:
                orders.fail(row, cause)
                self._count("failed", 1)
        order.sent = None  # whatever the draft holds, it is to hold our lines alone
        orders.tell(order, clock.now(), "Lines taken off", cause)

    # What goes on it -----------------------------------------------------------------------------------------------------------------

    def _place(self) -> None:
        """Every line that may go stands on an order that grows. One that the partner has changed takes no more: another is opened."""
        waiting = self._ready()
        if not waiting:
            return
        at, currency = clock.now(), self._currency()
        growing = [order for order in orders.open_of(self.partner) if order.theirs is None and order.cutoff_at > at]
        if self.kind in (NOW, CLOSE, CUTOFF):
            growing = [order for order in orders.open_of(self.partner) if order.theirs is None]
        held = {order.id: self._groups_of(order) for order in growing}
        for line in waiting:
            key = (line.partner_variant.variant_gid, str(line.unit_cost))
            order = next((o for o in growing if key in held[o.id]), None)
            order = order or next((o for o in growing if len(held[o.id]) < rules.MOST_LINES), None)
            if order is None:
                order = orders.new(self.partner, currency, at)
                growing.append(order)
                held[order.id] = set()
            held[order.id].add(key)
            line.partner_order_id, line.state, line.cause, line.placed_at = order.id, CREATED, None, at
        self._count("placed", len(waiting))
        db.session.commit()

    def _groups_of(self, order: PartnerOrder) -> set[tuple[str, str]]:
        return {(gid, cost) for gid, cost, _ in orders.content_of(order, orders.rows_of(order))["lines"]}

    def _currency(self) -> str:
        theirs = db.session.get(Shop, self.partner.partner_shop_id) if self.partner.partner_shop_id else None
        return theirs.currency if theirs else shop().currency

    def _ready(self) -> Sequence[PartnerLine]:
        """Lines that may go; at a cutoff those that might go then, however late the batch is."""
        at = clock.now()
        if self.kind == CUTOFF:
            at = min((order.cutoff_at for order in orders.open_of(self.partner)), default=at)
        return db.session.scalars(ready(self.partner, shop(), min(at, clock.now()))).all()

    # What goes out -------------------------------------------------------------------------------------------------------------------

    def _send_and_close(self, order: PartnerOrder) -> None:
        if self._closes(order):
            order.state = CLOSING
            orders.tell(order, clock.now(), "Closed", "nothing more is added")
            db.session.commit()
            order = orders.get(order.id)
        if order.state == CLOSING and order.theirs is not None:
            self._take_theirs(order)
        if order.theirs is None:
            self._send(order)
        if order.state == CLOSING and order.draft_gid is not None and order.sending is None:
            self._complete(order)

    def _closes(self, order: PartnerOrder) -> bool:
        """Whether the order closes now. A small one is held to the next cutoff, where the partner's settings say so."""
        at = clock.now()
        if order.state != OPEN:
            return False
        is_daily = order.cadence == "daily" and self.kind in (DAILY, NOW)
        if is_daily and self.kind == DAILY and today(at) in orders.plan_of(self.partner).skipped:
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
        lines = orders.content_of(order, orders.rows_of(order))["lines"]
        return rules.misses(
            sum(units for _, _, units in lines),
            drafts.total(lines),
            least_units=partner_settings.get(self.partner, "minimum_units"),
            least_value=partner_settings.number(self.partner, "minimum_value"),
        )

    def _send(self, order: PartnerOrder) -> None:
        """The draft holds what the order is to hold. The call is a committed row before it is made."""
        if order.draft_gid is None and order.create_tried_at is not None:
            raise ShopifyUnavailableError("We look whether the last call made the draft before another is made.")
        for _ in range(MOST_MENDS):
            order.ship_to = self._ship_to()
            rows = orders.rows_of(order)
            content = orders.content_of(order, rows)
            if not content["lines"]:
                self._empty(order, rows)
                return
            if order.sent == content:
                return
            order.sending = {**content, "rows": {str(key): units for key, units in orders.wanted_by(rows).items()}}
            if order.draft_gid is None:
                order.create_tried_at = clock.now()
            db.session.commit()
            call = drafts.update if order.draft_gid else drafts.create
            outcome = call(self.client, order, content)
            if not outcome.problems:
                is_new = order.draft_gid is None
                order = orders.get(order.id)
                order.draft_gid, order.draft_name = outcome.gid or order.draft_gid, outcome.name
                if is_new:
                    orders.tell(order, clock.now(), f"Draft {outcome.name} opened there")
                self._confirmed(order, orders.rows_of(order), outcome.at)
                db.session.commit()
                return
            order = orders.get(order.id)
            order.sending = None
            if order.draft_gid is None:
                order.create_tried_at = None  # it was refused: nothing was made
            if not self._mend(order, content, outcome.problems):
                raise ShopifyRefusedError(outcome.words)
            db.session.commit()
        raise ShopifyRefusedError("They have less and less of it. Try again.")

    def _mend(self, order: PartnerOrder, content: dict, problems) -> bool:  # type: ignore[no-untyped-def, type-arg]
        """Lines that Shopify refused need a person. Returns whether any was found, so that the rest can go."""
        refused: dict[str, str] = {}
        for path, message in problems:
            numbers = [int(part) for part in path if part.isdigit()]
            if "lineItems" in path and numbers and numbers[0] < len(content["lines"]):
                refused[content["lines"][numbers[0]][0]] = message
        for row in orders.rows_of(order):
            if row.state == CREATED and row.quantity and row.partner_variant.variant_gid in refused:
                orders.fail(row, f"{self.partner.name}: {refused[row.partner_variant.variant_gid]}")
                self._count("failed", 1)
        return bool(refused)

    def _confirmed(self, order: PartnerOrder, rows: Sequence[PartnerLine], at: datetime) -> None:
        """The draft holds what was sent."""
        sending = order.sending or {}
        before, units = sum(row.on_order for row in rows), {int(key): n for key, n in sending["rows"].items()}
        self._count("taken_off", orders.know(order, rows, units, at))
        change = sum(units.values()) - before
        if change:
            orders.tell(order, clock.now(), f"{abs(change)} units {'added' if change > 0 else 'taken off'}")
        order.sent = {key: value for key, value in sending.items() if key != "rows"}
        order.sending, order.tries, order.next_try_at, order.cause = None, 0, None, None
        self._well(order)

    def _well(self, order: PartnerOrder) -> None:
        desk.withdraw(desk.PARTNER_ORDER, f"partner_order:{order.id}", clock.now())

    def _empty(self, order: PartnerOrder, rows: Sequence[PartnerLine]) -> None:
        """Nothing is left on the order: its draft goes."""
        at = clock.now()
        if order.draft_gid is not None:
            outcome = drafts.delete(self.client, order.draft_gid)
            at = outcome.at
        self._count("taken_off", orders.know(order, rows, {}, at))
        orders.cancel(order, clock.now(), "All of its lines were taken off, so nothing was ordered")
        self._well(order)

    # The cutoff ----------------------------------------------------------------------------------------------------------------------

    def _take_theirs(self, order: PartnerOrder) -> None:
        """The order is as the partner changed it; what it took off needs a person."""
        take_theirs(order, self.partner, clock.now())
        db.session.commit()

    def _complete(self, order: PartnerOrder) -> None:
        if order.cadence == "weekly":  # a call of long ago may have come through at last: one draft is enough
            for other in drafts.find_by_tag(self.client, order.tag):
                if other != order.draft_gid:
                    drafts.delete(self.client, other)
        for _ in range(MOST_MENDS):
            order.complete_tried_at = clock.now()
            db.session.commit()
            outcome = drafts.complete(self.client, order.draft_gid or "")
            order = orders.get(order.id)
            draft = drafts.find(self.client, order.draft_gid or "") if outcome.problems else None
            if not outcome.problems:
                lines = [tuple(line) for line in (order.sent or {"lines": []})["lines"]]
                done = Draft(
                    outcome.gid or "",
                    outcome.name or "",
                    drafts.COMPLETED,
                    outcome.at,
                    lines,  # type: ignore[arg-type]
                    order_gid=outcome.order_gid,
                    order_name=outcome.order_name,
                )
                self._ordered(order, done, "")
                return
            if draft is None:
                self._is_gone(order)
                return
            if draft.status == drafts.COMPLETED:
                self._ordered(order, draft, "")
                return
            if not self._lower(order, draft):
                raise ShopifyRefusedError(outcome.words)
            order.sent = None
            db.session.commit()
            self._send(order)
            order = orders.get(order.id)
            if order.state != CLOSING:
                return
        raise ShopifyRefusedError("They have less and less of it. Try again.")

    def _lower(self, order: PartnerOrder, draft: Draft) -> bool:
        """Lines hold no more than the partner can give; the rest needs a person. Returns whether anything changed."""
        wanted = rules.by_variant(draft.lines)
        reserves = order.sent is not None and clock.now() < order.cutoff_at + orders.RESERVED_BEYOND
        there = {}
        for gid, units in wanted.items():
            stock = draft.stock[gid]
            held = units if reserves else 0
            there[gid] = rules.can_give(
                units, stock.available, held, is_tracked=stock.is_tracked, may_oversell=stock.may_oversell
            )
        cause = f"{self.partner.name} did not have enough of it at the cutoff"
        number = orders.cover(order, orders.rows_of(order), there, cause)
        self._count("failed", number)
        if number:
            orders.tell(order, clock.now(), f"{number} lines taken off or lowered", cause)
        return number > 0

    def _ordered(self, order: PartnerOrder, draft: Draft, detail: str) -> None:
        """An order has come of the draft. What it does not hold of our lines needs a person."""
        at = clock.now()
        rows = orders.rows_of(order)
        if order.sending is not None and rules.same(draft.lines, order.sending["lines"]):
            self._confirmed(order, rows, draft.at)
            rows = orders.rows_of(order)
        cause = f"It was not on {order.name} when {self.partner.name} made it an order"
        self._count("failed", orders.cover(order, rows, rules.by_variant(draft.lines), cause))
        rows = orders.rows_of(order)
        orders.know(order, rows, orders.wanted_by(rows), draft.at)
        order.order_gid, order.order_name = draft.order_gid, draft.order_name
        order.state, order.ordered_at, order.sending, order.theirs = ORDERED, at, None, None
        order.draft_name, order.tries, order.next_try_at, order.cause = draft.name or order.draft_name, 0, None, None
        units = sum(orders.wanted_by(rows).values())
        orders.tell(order, at, f"Ordered: {units} units, {draft.order_name or ''} in their store", detail)
        self._well(order)
        self._count("orders", 1)
        db.session.commit()

    def _count(self, name: str, number: int) -> None:
        if self.row is not None:
            setattr(self.row, name, getattr(self.row, name) + number)


def today(at: datetime) -> date:
    """The shop's day."""
    return clock.local_date(at, shop_settings.get(shop(), "time_zone"))


def may_go(partner: Partner, of: Shop, at: datetime):  # type: ignore[no-untyped-def]
    """The condition under which a waiting line may go: paid, not held, not risky, and its hold window is over."""
    held_until = at - timedelta(minutes=partner_settings.get(partner, "hold_minutes"))
    conditions = [
        Order.cancelled_at.is_(None),
        Order.placed_at <= held_until,
        ~Order.is_on_hold,
        Order.fulfillment_status != "ON_HOLD",
        Order.risk.not_in(RISKY[shop_settings.get(of, "route_risk")]),
        PartnerLine.quantity > 0,
        ~Order.is_test,
    ]
    if shop_settings.get(of, "route_orders") == "paid":
        conditions.append(Order.financial_status.in_(PAID))
    return conditions


def ready(partner: Partner, of: Shop, at: datetime):  # type: ignore[no-untyped-def]
    """The partner's lines that may go now, oldest first, locked, with variant. Those for stock may go at once."""
    from sqlalchemy.orm import contains_eager

    return (
        select(PartnerLine)
        .join(PartnerLine.partner_variant)
        .outerjoin(OrderLine, OrderLine.id == PartnerLine.order_line_id)
        .outerjoin(Order, Order.id == OrderLine.order_id)
        .where(
            PartnerLine.partner_id == partner.id,
            PartnerLine.state == PENDING,
            PartnerLine.quantity > 0,
            PartnerLine.stock_request_id.is_not(None) | and_(*may_go(partner, of, at)),
        )
        .options(contains_eager(PartnerLine.partner_variant))
        .order_by(PartnerLine.id)
        .with_for_update(of=PartnerLine)
        .execution_options(populate_existing=True)
    )


def hold(order: PartnerOrder, partner: Partner, at: datetime, why: str) -> None:
    """The order grows until the cutoff after its present one. Raises RuleError where it is closed."""
    if order.state != OPEN:
        raise RuleError(f"{order.name} does not grow any more.")
    order.cutoff_at = orders.plan_of(partner).next_cutoff(max(order.cutoff_at, at))
    orders.tell(order, at, "Held to the next cutoff", why)


def take_theirs(order: PartnerOrder, partner: Partner, at: datetime) -> None:
    """The order is as the partner changed it: their quantities and prices; what they took off needs a person."""
    theirs = order.theirs or {"lines": [], "at": at.isoformat()}
    rows = orders.rows_of(order)
    orders.cover(order, rows, rules.by_variant(theirs["lines"]), f"{partner.name} took it off {order.name}")
    rows = orders.rows_of(order)
    prices = {gid: Decimal(cost) for gid, cost, _ in theirs["lines"]}
    for row in rows:
        if row.state == CREATED and row.quantity:
            row.unit_cost = prices.get(row.partner_variant.variant_gid, row.unit_cost)
    ours = rules.by_variant(orders.content_of(order, rows)["lines"])
    extra = []
    for gid, units in rules.by_variant(theirs["lines"]).items():
        added = units - (ours.get(gid, 0) - rules.by_variant(order.extra).get(gid, 0))
        if added > 0:
            extra.append([gid, str(prices[gid]), added])
    order.extra, order.theirs = extra, None
    orders.know(order, rows, orders.wanted_by(rows), datetime.fromisoformat(theirs["at"]))
    order.sent = orders.content_of(order, rows)
    orders.tell(order, at, "Taken as they changed it")
    desk.withdraw(desk.PARTNER_ORDER, f"partner_order:{order.id}", at)
    orders.tell_failed(partner, at)


def put_back_ours(order: PartnerOrder, at: datetime) -> None:
    """The next batch, which is asked for by the caller, sends our lines again."""
    order.theirs, order.sent = None, None
    orders.tell(order, at, "Ours is put back")
    desk.withdraw(desk.PARTNER_ORDER, f"partner_order:{order.id}", at)


def rest_all(partner: Partner, cause: str, at: datetime) -> None:
    """The partner's orders that are not placed yet rest for a while: nothing can be done about any of them."""
    query = select(PartnerOrder).where(PartnerOrder.partner_id == partner.id, PartnerOrder.state.in_((OPEN, CLOSING)))
    for order in db.session.scalars(query.with_for_update()):
        if order.next_try_at is None or order.next_try_at <= at:
            order.next_try_at, order.cause = at + RESTS_FOR, cause[:500]
        if order.cutoff_at <= at:
            tell_stuck(order, partner, at)


def tell_changed(order: PartnerOrder, partner: Partner, difference: str, at: datetime) -> None:
    """That the partner changed the draft is on the desk."""
    facts = {"partner": partner.name, "name": order.name, "what": "changed", "difference": difference}
    desk.raise_(desk.PARTNER_ORDER, f"partner_order:{order.id}", facts, at)


def tell_stuck(order: PartnerOrder, partner: Partner, at: datetime) -> None:
    """That the order can't be sent is on the desk."""
    facts = {"partner": partner.name, "name": order.name, "what": "stuck", "cause": order.cause or ""}
    desk.raise_(desk.PARTNER_ORDER, f"partner_order:{order.id}", facts, at)


def retry(line: PartnerLine, cost: Decimal | None) -> None:
    """The line waits again. Raises RuleError where it does not need a person, or still has no price."""
    if line.state != FAILED:
        raise RuleError("This line does not need another try.")
    line.unit_cost = line.unit_cost if line.unit_cost is not None else cost
    if line.unit_cost is None:
        raise RuleError("They still give no price for it.")
    line.state, line.cause = PENDING, None
