"""What the task of partner orders does for one merchant: whose batch is due gets one, each partner by itself, so that one stops no other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta

import structlog
from sqlalchemy import ColumnElement, CompoundSelect, Select, func, select

from occ_app import clock
from occ_app.errors import RuleError
from occ_app.extensions import db
from occ_app.partners import settings
from occ_app.partners.models import CONNECTED, Partner
from occ_app.partners.turns import client_of
from occ_app.routing import capture, leaving, orders, rules, settling, tracking
from occ_app.routing.batch import Batch, rest_all
from occ_app.routing.context import Context, today
from occ_app.routing.models import (
    CLOSING,
    CUTOFF,
    DAILY,
    OPEN,
    ORDERED,
    PENDING,
    RECEIVED,
    SHIPPED,
    PartnerBatch,
    PartnerLine,
    PartnerOrder,
)
from occ_app.shopify.client import Client
from occ_app.shopify.errors import ShopifyError
from occ_app.shops import settings as shop_settings
from occ_app.shops.models import Shop
from occ_app.sync import desk
from occ_app.sync.targets import shop

log = structlog.get_logger()
Connect = Callable[[Shop], Client]
AGAIN_AFTER = timedelta(minutes=15)  # a daily batch that came to nothing is made again
LOOK_EVERY = timedelta(hours=1)
LOOK_FOR = timedelta(days=60)  # after that an order of theirs is not looked at by itself any more
NO_CENTRE = "Say where partners ship to: choose your fulfilment centre under Partners, Partner orders, Delivery."
NO_ADDRESS = (
    "{name} has no complete address. Give it street, city and country in Shopify, under Settings, Locations,"
    " or choose another fulfilment centre."
)


class FulfilmentCentre:
    """Where partners ship to, asked of the merchant's store once and only if somebody needs it."""

    def __init__(self, client: Client, of: Shop) -> None:
        self._client, self._shop = client, of
        self._found: dict[str, str] | None = None

    def __call__(self) -> dict[str, str]:
        """Its address. Raises RuleError where there is none; that is on the desk then, and leaves it when it is mended."""
        if self._found is None:
            try:
                self._found = address_of(self._client, self._shop)
            except RuleError as error:
                desk.raise_(desk.SETUP, "fulfilment_centre", {"cause": str(error)}, clock.now())
                db.session.commit()
                raise
            desk.withdraw(desk.SETUP, "fulfilment_centre", clock.now())
        return self._found


def address_of(client: Client, of: Shop) -> dict[str, str]:
    """The fulfilment centre's address, as partners get it. Raises RuleError with where to set it."""
    gid = shop_settings.get(of, "fulfilment_centre") or shop_settings.get(of, "default_location")
    if not gid:
        raise RuleError(NO_CENTRE)
    node = client.query("place_address", {"id": gid}).data["location"]
    if node is None or not node["isActive"]:
        raise RuleError(f"Your fulfilment centre is no active location any more. {NO_CENTRE}")
    address = {key: value for key, value in node["address"].items() if value}
    if not all(address.get(key) for key in ("address1", "city", "countryCode")):
        raise RuleError(NO_ADDRESS.format(name=node["name"]))
    return {**address, "company": of.name or of.domain, "name": node["name"]}


def run(client: Client, connect: Connect) -> None:
    """All that is due of partner orders is done: cutoffs, the daily batch, and looks at what partners have made of their orders.

    `client` is the merchant's.
    """
    of, at = shop(), clock.now()
    _begin(at)
    _look_for_given_up(connect)
    centre = FulfilmentCentre(client, of)
    for partner_id, kind in _due(of, at):
        _one(partner_id, kind, connect, centre)
    look_due(connect, clock.now())


def _begin(at: datetime) -> None:
    """Every line is captured, and none stands on an order to a partner that has left."""
    if capture.catch_up(at):
        db.session.commit()
    leaving.give_up(at)
    db.session.commit()


def _look_for_given_up(connect: Connect) -> None:
    """Orders that may exist though they were given up are known, before anything more goes to their partners."""
    query = select(PartnerOrder.id).where(leaving.may_exist(clock.now())).order_by(PartnerOrder.id)
    for order_id in list(db.session.scalars(query)):
        order = orders.get(order_id)
        try:
            leaving.look_for(Context(order.partner, client_of(order.partner, connect), lambda: {}, CUTOFF), order)
        except ShopifyError as error:
            db.session.rollback()
            orders.get(order_id).looked_at = clock.now()
            log.info("partner order not looked for", order=order_id, cause=str(error))
        db.session.commit()


def now(client: Client, connect: Connect, partner_ids: Iterable[int], kind: str) -> list[PartnerBatch]:
    """These partners got a batch of that kind (`now`, `close`, `daily`) at once."""
    of = shop()
    _begin(clock.now())
    _look_for_given_up(connect)
    centre = FulfilmentCentre(client, of)
    return [made for partner_id in partner_ids if (made := _one(partner_id, kind, connect, centre)) is not None]


def _one(partner_id: int, kind: str, connect: Connect, centre: FulfilmentCentre) -> PartnerBatch | None:
    partner = db.session.get_one(Partner, partner_id)
    try:
        client = client_of(partner, connect)
    except ShopifyError as error:
        at = clock.now()
        row = PartnerBatch(
            partner_id=partner_id, kind=kind, for_on=today(at), started_at=at, finished_at=at, milliseconds=0
        )
        row.placed = row.taken_off = row.failed = row.orders = row.calls = 0
        row.cause = str(error)
        db.session.add(row)
        rest_all(partner, str(error), at)
        db.session.commit()
        return row
    return Batch(
        partner, client, centre, kind
    ).run()  # the session forgets its lines: it holds what somebody holds, no more


def _due(of: Shop, at: datetime) -> list[tuple[int, str]]:
    """(partner id, kind) of the batches that are due, cutoffs first."""
    query = select(PartnerOrder.partner_id).where(_closes_by(at)).distinct()
    cutoffs = sorted(db.session.scalars(query))
    return [(partner_id, CUTOFF) for partner_id in cutoffs] + [(partner_id, DAILY) for partner_id in _daily_due(of, at)]


def _daily_due(of: Shop, at: datetime) -> list[int]:
    """Partners whose daily batch is due. A weekly order only grows, so one that got no batch at the hour gets it with the next line; an order a
    day would be spent on that line alone, so there a line waits for the hour.
    """
    hour, zone = shop_settings.get(of, "batch_hour"), shop_settings.get(of, "time_zone")
    last = _last_daily()
    return [
        partner.id
        for partner, waits_since in _with_work()
        if rules.is_batch_due(
            at,
            hour=hour,
            time_zone=zone,
            last_for=last.get(partner.id),
            waits_since=waits_since if settings.get(partner, "cadence") == "daily" else None,
        )
        is not None
    ]


def _closes_by(at: datetime) -> ColumnElement[bool]:
    due = (PartnerOrder.state == CLOSING) | ((PartnerOrder.state == OPEN) & (PartnerOrder.cutoff_at <= at))
    unsettled = (PartnerOrder.state == OPEN) & PartnerOrder.next_try_at.is_not(None)
    return (due | unsettled) & _rested_by(at)


def _rested_by(at: datetime) -> ColumnElement[bool]:
    """Which orders do not rest. A rest that seems longer than any is over: the clock went back."""
    rests_until = PartnerOrder.next_try_at
    return rests_until.is_(None) | (rests_until <= at) | (rests_until > at + orders.LONGEST_REST)


def _last_daily() -> dict[int, date]:
    query = select(PartnerBatch.partner_id, func.max(PartnerBatch.for_on)).where(
        PartnerBatch.kind == DAILY, PartnerBatch.finished_at.is_not(None), PartnerBatch.cause.is_(None)
    )
    return {row[0]: row[1] for row in db.session.execute(query.group_by(PartnerBatch.partner_id))}


def _with_work() -> list[tuple[Partner, datetime]]:
    """Connected partners with lines that wait, or with an order that grows, and since when, by id."""
    waiting = select(PartnerLine.partner_id, PartnerLine.captured_at.label("since")).where(PartnerLine.state == PENDING)
    growing = select(PartnerOrder.partner_id, PartnerOrder.opened_at).where(PartnerOrder.state.in_((OPEN, CLOSING)))
    work = waiting.union_all(growing).subquery()
    failed = select(PartnerBatch.partner_id).where(
        PartnerBatch.kind == DAILY, PartnerBatch.cause.is_not(None), PartnerBatch.started_at > clock.now() - AGAIN_AFTER
    )
    query = (
        select(Partner, func.min(work.c.since))
        .join(work, work.c.partner_id == Partner.id)
        .where(Partner.state == CONNECTED, Partner.id.not_in(failed))
        .group_by(Partner.id)
        .order_by(Partner.id)
    )
    return [(row[0], row[1]) for row in db.session.execute(query)]


def look_due(connect: Connect, at: datetime) -> int:
    """Orders of which news came, or that were not looked at for an hour, are as the partners' stores show them. Returns how many."""
    query = select(PartnerOrder.id).where(looks_by(at)).order_by(PartnerOrder.id)
    found = list(db.session.scalars(query))
    for order_id in found:
        look(order_id, connect)
    return len(found)


def looks_by(at: datetime) -> ColumnElement[bool]:
    """Which orders are to be looked at."""
    lives = PartnerOrder.state.in_((ORDERED, SHIPPED)) | (
        (PartnerOrder.state == OPEN) & PartnerOrder.draft_gid.is_not(None)
    )
    told = PartnerOrder.look_at <= at
    recent = (PartnerOrder.ordered_at.is_(None)) | (PartnerOrder.ordered_at >= at - LOOK_FOR)
    old = PartnerOrder.looked_at.is_(None) | ~PartnerOrder.looked_at.between(at - LOOK_EVERY, at)
    received = (PartnerOrder.state == RECEIVED) & (PartnerOrder.look_at <= at)
    return _rested_by(at) & ((lives & (told | (recent & old))) | received)


def look(order_id: int, connect: Connect) -> None:
    """The order's row says what the partner's store shows; where it cannot be asked, the order rests."""
    order = orders.get(order_id)
    partner = order.partner
    try:
        client = client_of(partner, connect)
        if order.state == OPEN:
            settling.settle(Context(partner, client, lambda: {}, CUTOFF), order, is_due=True)
            capture.tell_failed(partner, clock.now())
        else:
            tracking.look(client, order, partner)
        db.session.commit()
    except ShopifyError as error:
        db.session.rollback()
        order = orders.get(order_id)
        order.looked_at, order.look_at = clock.now(), None
        log.info("partner order not read", order=order.name, cause=str(error))
        db.session.commit()


def hear(partner_shop_id: int, gid: str, at: datetime, *, is_draft: bool) -> set[int]:
    """News of a draft or an order of that store: the partner order that it is, if any, is to be looked at. Across shops; returns whose."""
    column = PartnerOrder.draft_gid if is_draft else PartnerOrder.order_gid
    query = (
        select(PartnerOrder)
        .join(Partner, Partner.id == PartnerOrder.partner_id)
        .where(column == gid, Partner.partner_shop_id == partner_shop_id)
    )
    found = set()
    for order in db.session.scalars(query):
        order.look_at = at
        found.add(order.shop_id)
    return found


def shops_due(at: datetime) -> Select[tuple[int]]:
    """Statement of the merchants who have something due but the daily batch, for the sweep."""
    return select(PartnerOrder.shop_id).where(_closes_by(at) | looks_by(at) | leaving.may_exist(at)).distinct()


def shops_with_work() -> CompoundSelect[tuple[int]]:
    """Statement of the merchants who have lines that wait or orders that grow."""
    waiting = select(PartnerLine.shop_id).where(PartnerLine.state == PENDING)
    growing = select(PartnerOrder.shop_id).where(PartnerOrder.state.in_((OPEN, CLOSING)))
    return waiting.union(growing)


def is_daily_due(of: Shop, at: datetime) -> bool:
    """Whether any partner of the shop in scope is due its daily batch."""
    return bool(_daily_due(of, at))
