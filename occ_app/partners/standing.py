"""How a partner stands with the merchant, and what follows for its goods. A partner's state follows that of its own shop.

Whoever must know of a change registers with `after_change` (through `wiring`); it is called in the merchant's scope, within the transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import select

from occ_app import clock
from occ_app.catalog.pull import find_location
from occ_app.errors import NotFoundError, RuleError
from occ_app.extensions import across_shops, db, shop_scope
from occ_app.partners import following, goods, settings
from occ_app.partners.models import CONNECTED, LEFT, NEEDS_RECONNECTING, PAUSED, SHOPIFY, Partner
from occ_app.shops import models as shops
from occ_app.shops.models import Shop
from occ_app.sync import targets
from occ_app.work import tasks

LONGEST_NAME = 120
# Settings that decide whether products are drafts, and those by which a change at the partner is priced, followed or asked about.
OF_DRAFTS = frozenset(("when_gone", "give_up_hours"))
OF_CHANGES = frozenset(name for name in settings.SETTINGS if name.startswith("follow_") or name in settings.OF_PRICES)
_listeners: list[Callable[[Partner], None]] = []
UNINSTALLED = "They took the app out of their store."
REFUSED = "Their store refuses our access. Send them a reconnect link, or ask them to open the app in their admin once."


def after_change(listener: Callable[[Partner], None]) -> None:
    """`listener` is called with each partner whose state, or whose shared locations, have changed."""
    if listener not in _listeners:
        _listeners.append(listener)


def get(partner_id: int) -> Partner:
    """The shop's partner with that id, locked. Raises NotFoundError."""
    found = db.session.scalar(select(Partner).where(Partner.id == partner_id).with_for_update())
    if found is None:
        raise NotFoundError(f"There is no partner {partner_id} here.")
    return found


def find(text: str) -> Partner:
    """The shop's partner with that domain. Raises NotFoundError."""
    domain = text.strip().lower()
    found = db.session.scalar(select(Partner).where(Partner.domain == domain).with_for_update())
    if found is None:
        raise NotFoundError(f"There is no partner {text}. `occ partner list` shows them.")
    return found


def put(partner: Partner, state: str, by: str | None, reason: str | None, at: datetime) -> None:
    """The partner stands so, and its goods with it. In the merchant's scope."""
    before = partner.state
    partner.state, partner.state_by, partner.state_reason = state, by, reason
    partner.left_at = at if state == LEFT else None
    if state == CONNECTED:
        partner.next_try_at, partner.cause, partner.tries = None, None, 0
    db.session.flush()
    if before != state:
        targets.refresh(goods.item_ids_of(partner), let=targets.ALL_FALL)
    tell(partner)


def tell(partner: Partner) -> None:
    """Whoever must know that the partner's state, or what it shares, has changed, is told. In the merchant's scope."""
    for listener in _listeners:
        listener(partner)


def pause(partner: Partner, by: str, at: datetime) -> None:
    """Nothing of the partner is sold until it is resumed. Raises RuleError where it has left."""
    if partner.state == LEFT:
        raise RuleError(f"{partner.name} has left. There is nothing to pause.")
    if partner.state != PAUSED:
        who = "You paused it." if by != "partner" else f"{partner.name} paused it in their own admin."
        put(partner, PAUSED, by, who, at)


def resume(partner: Partner, by: str, at: datetime) -> None:
    """The partner's goods are sold again. Who paused it resumes it. Raises RuleError for anybody else."""
    if partner.state == LEFT:
        raise RuleError(f"{partner.name} has left. Send a new invitation.")
    if partner.state == PAUSED and partner.state_by != by:
        raise RuleError(f"{partner.state_reason} Only they can resume it.")
    if partner.state == PAUSED:
        put(partner, CONNECTED, None, None, at)
        follow(partner, at)


def end(partner: Partner, by: str, at: datetime) -> None:
    """The partnership is over; a new invitation begins it again, with all that was imported."""
    if partner.state != LEFT or partner.state_by == SHOPIFY:
        words = f"{partner.name} ended it in their own admin." if by == "partner" else "You removed it."
        put(partner, LEFT, by, words, at)


def rename(partner: Partner, name: str) -> None:
    """The merchant calls the partner so. Raises RuleError."""
    name = " ".join(name.split())
    if not 1 <= len(name) <= LONGEST_NAME:
        raise RuleError(f"Give a name of 1 to {LONGEST_NAME} characters.", field="name")
    partner.name = name


def set_up(partner: Partner, values: Mapping[str, str]) -> None:
    """The partner's settings have these values, all of them or none, and what was imported stands by them. Raises RuleError.

    The mirror that is kept says all that a setting needs, so the partner's store is not asked.
    """
    before = settings.everything(partner)
    for name, text in values.items():
        settings.put(partner, name, text)
    place = settings.get(partner, "location")
    if place and "location" in values and find_location(place) is None:
        raise RuleError(f"There is no location {place} in your store.", field="location")
    changed = {name for name, value in settings.everything(partner).items() if value != before[name]}
    db.session.flush()
    if "exchange_rate" in changed:
        _note_currencies(partner)
    if changed:
        targets.refresh(goods.item_ids_of(partner))
    if changed & OF_DRAFTS:
        tasks.ask("partner_goods", partner.shop_id)
    if changed & OF_CHANGES:
        following.notice(partner, clock.now())


def say_rate(partner: Partner, text: str) -> None:
    """What one unit of their currency is in ours is that, of the currencies that both sell in now. Raises RuleError."""
    set_up(partner, {"exchange_rate": text})
    _note_currencies(partner)


def _note_currencies(partner: Partner) -> None:
    theirs = db.session.get(Shop, partner.partner_shop_id) if partner.partner_shop_id else None
    ours = db.session.get_one(Shop, partner.shop_id)
    settings.keep(partner, settings.RATE_OF, f"{theirs.currency}>{ours.currency}" if theirs else None)


def follow(partner: Partner, at: datetime) -> None:
    """The partner stands as its own shop allows: without access it needs reconnecting, without the app it has left, and it is back as soon
    as the shop is. In the merchant's scope."""
    shop = db.session.get(Shop, partner.partner_shop_id) if partner.partner_shop_id else None
    status = shop.status if shop else shops.UNINSTALLED
    if status == shops.UNINSTALLED:
        if partner.state != LEFT:
            put(partner, LEFT, SHOPIFY, UNINSTALLED, at)
    elif status in (shops.NEEDS_RECONNECTING, shops.PAUSED):
        if partner.state == CONNECTED:
            put(partner, NEEDS_RECONNECTING, None, REFUSED, at)
    elif partner.state == NEEDS_RECONNECTING or (partner.state == LEFT and partner.state_by == SHOPIFY):
        put(partner, CONNECTED, None, None, at)


def follow_all(at: datetime) -> None:
    """Every partner stands as its own shop allows. One statement where nothing has changed."""
    active, gone = Shop.status == shops.ACTIVE, Shop.status == shops.UNINSTALLED
    with across_shops():
        query = (
            select(Partner.id, Partner.shop_id)
            .outerjoin(Shop, Shop.id == Partner.partner_shop_id)
            .where(
                ((Partner.state == CONNECTED) & (Shop.id.is_(None) | ~active))
                | ((Partner.state == NEEDS_RECONNECTING) & (Shop.id.is_(None) | active | gone))
                | ((Partner.state == PAUSED) & (Shop.id.is_(None) | gone))
                | ((Partner.state == LEFT) & (Partner.state_by == SHOPIFY) & active)
            )
        )
        found = db.session.execute(query.order_by(Partner.id)).all()
    for partner_id, shop_id in found:
        with shop_scope(shop_id):
            follow(get(partner_id), at)


def everybody() -> Sequence[Partner]:
    """The shop's partners: those that supply first, then by name."""
    found = db.session.scalars(select(Partner)).all()
    return sorted(found, key=lambda one: (one.state == LEFT, one.name.casefold(), one.id))
