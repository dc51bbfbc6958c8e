"""What the tasks of partners do for one merchant: each partner's part by itself, so that one that fails stops no other."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime

import structlog
from sqlalchemy import select

from occ_app import clock
from occ_app.catalog import news
from occ_app.catalog.pull import pull_products
from occ_app.extensions import across_shops, db, shop_scope
from occ_app.partners import catalogue, following, imports, stock
from occ_app.partners.models import (
    CONNECTED,
    LEFT,
    PARTNER,
    PAUSED,
    SHOPIFY,
    Partner,
    PartnerChange,
    PartnerProduct,
    PartnerPull,
)
from occ_app.shopify.client import Client
from occ_app.shopify.errors import ShopifyAccessError, ShopifyError, ShopifyRefusedError, ShopifyUnavailableError
from occ_app.shops.models import ACTIVE, Shop

log = structlog.get_logger()
Connect = Callable[[Shop], Client]
LONGEST = 240.0  # seconds that a task goes on; the sweep asks for it again
NO_ACCESS = "We have no access to their shop at the moment."
HAS_LEFT = "{} has left. Send a new invitation to order there again."
PAUSED_BY_US = "You paused {}. Resume it under Partners to order there again."


def client_of(partner: Partner, connect: Connect) -> Client:
    """The client of the partner's own shop. Raises ShopifyAccessError where it has left, or must be connected again."""
    theirs = db.session.get(Shop, partner.partner_shop_id) if partner.partner_shop_id else None
    if theirs is None or theirs.status != ACTIVE or partner.state != CONNECTED:
        raise ShopifyAccessError(_why_not(partner))
    return connect(theirs)


def _why_not(partner: Partner) -> str:
    if partner.state == LEFT and partner.state_by != SHOPIFY:
        return HAS_LEFT.format(partner.name)
    if partner.state == PAUSED and partner.state_by != PARTNER:
        return PAUSED_BY_US.format(partner.name)
    return partner.state_reason or NO_ACCESS


def pull_catalogues(connect: Connect) -> None:
    """Every pull of a catalogue that is under way is at its end. Shopify is asked every second."""
    end = time.monotonic() + LONGEST
    while pulls := _under_way():
        due = [pull for pull in pulls if pull.next_look_at is None or pull.next_look_at <= clock.now()]
        for pull in due:
            _advance(pull.id, connect)
        if time.monotonic() > end or all(_is_later(pull) for pull in _under_way()):
            return
        time.sleep(catalogue.LOOK_EVERY.total_seconds() / 2)


def _under_way() -> list[PartnerPull]:
    query = select(PartnerPull).where(PartnerPull.finished_at.is_(None), PartnerPull.kind == "catalogue")
    return list(db.session.scalars(query.order_by(PartnerPull.id).execution_options(populate_existing=True)))


def _is_later(pull: PartnerPull) -> bool:
    return pull.next_look_at is not None and pull.next_look_at > clock.now() + 2 * catalogue.LOOK_EVERY


def _advance(pull_id: int, connect: Connect) -> None:
    """The pull is a step further, or waits, or has ended with its cause."""
    pull = db.session.get_one(PartnerPull, pull_id)
    partner = db.session.get_one(Partner, pull.partner_id)
    try:
        catalogue.advance(client_of(partner, connect), pull)
        if pull.finished_at is not None and pull.cause is None:
            following.notice(partner, clock.now())
            db.session.commit()
    except ShopifyUnavailableError as error:
        _rest(pull_id, str(error), clock.now() + catalogue.LOOK_LATER)
    except ShopifyError as error:
        _rest(pull_id, str(error), None)


def _rest(pull_id: int, cause: str, until: datetime | None) -> None:
    db.session.rollback()
    pull = db.session.get_one(PartnerPull, pull_id)
    pull.cause, pull.next_look_at = cause, until
    pull.finished_at = None if until else clock.now()
    db.session.commit()


def pull_stock(connect: Connect) -> None:
    """Every pull of stock that is wanted has been made, and every variant that is due to be read by itself has been read."""
    for pull in stock.unfinished():
        partner = db.session.get_one(Partner, pull.partner_id)
        try:
            stock.pull(client_of(partner, connect), pull)
        except ShopifyAccessError as error:
            stock.give_up(pull, str(error), clock.now())
            db.session.commit()
    for partner in stock.to_be_looked_at(clock.now()):
        try:
            stock.look(client_of(partner, connect), partner)
        except ShopifyAccessError:
            db.session.rollback()  # who has no access is read as a whole when it is back


def run_imports(client: Client) -> None:
    """Every import that is under way is at its end, or rests. `client` is the merchant's."""
    for run in imports.unfinished(clock.now()):
        imports.advance(client, run)


def carry_changes(client: Client) -> None:
    """What is to be followed of the partners' changes stands in the merchant's shop. `client` is the merchant's."""
    due = select(PartnerChange.partner_id).where(PartnerChange.settled_at.is_(None), PartnerChange.is_accepted)
    for partner_id in sorted(set(db.session.scalars(due))):
        following.carry(client, db.session.get_one(Partner, partner_id))


def read_changed_products(shop: Shop, client: Client, connect: Connect) -> None:
    """Products that changed are as Shopify has them now, here and with whoever mirrors the shop. Commits as it goes.

    A product that Shopify refuses to show rests alone; where Shopify does not answer at all, everything rests, and that raises.
    """
    end = time.monotonic() + LONGEST
    while time.monotonic() < end and (rows := [(n.product_gid, n.told_at, n.noted_at) for n in news.due(clock.now())]):
        try:
            refused = _read_own(client, [gid for gid, told, _ in rows if _is_to_read(shop, gid, told)])
            for gid, told, noted_at in rows:
                if gid not in refused and _has_read_mirrored(shop, gid, told, connect):
                    news.settle(gid, noted_at)
                    db.session.commit()
                else:
                    _rest_news([gid])
        except ShopifyError:
            _rest_news([gid for gid, _, _ in rows])
            raise


def _is_to_read(shop: Shop, product_gid: str, told: datetime | None) -> bool:
    """Not before all variants are pulled, which reads it too, and not news that we made ourselves."""
    return shop.variants_pulled_at is not None and not imports.is_echo(product_gid, told)


def _read_own(client: Client, gids: Sequence[str]) -> set[str]:
    """Returns those that Shopify refused to show. Where it refuses them together they are read one by one."""
    try:
        pull_products(client, gids)
        db.session.commit()
    except ShopifyRefusedError as error:
        db.session.rollback()
        log.info("changed products not read", products=gids, cause=str(error))
        return set(gids) if len(gids) == 1 else set().union(*(_read_own(client, [gid]) for gid in gids))
    return set()


def _has_read_mirrored(shop: Shop, product_gid: str, told: datetime | None, connect: Connect) -> bool:
    try:
        product_changed(shop, product_gid, told, connect)
    except ShopifyRefusedError as error:
        log.info("changed product not read", product=product_gid, cause=str(error))
        return False
    return True


def _rest_news(gids: Sequence[str]) -> None:
    db.session.rollback()
    news.rest(gids, clock.now())
    db.session.commit()


def product_changed(theirs: Shop, product_gid: str, changed_at: datetime | None, connect: Connect) -> None:
    """A product of this shop changed: whoever mirrors the shop has it as it is now. One reading for all of them; none where nobody does,
    or where all have read it since."""
    with across_shops():
        query = select(Partner.id, Partner.shop_id, PartnerProduct.changed_at, PartnerProduct.deleted_at)
        mirrored = (PartnerProduct.partner_id == Partner.id) & (PartnerProduct.product_gid == product_gid)
        query = query.outerjoin(PartnerProduct, mirrored).where(
            Partner.partner_shop_id == theirs.id, Partner.state == CONNECTED, Partner.catalogue_read_at.is_not(None)
        )
        rows = db.session.execute(query.order_by(Partner.shop_id)).all()
    behind = [row for row in rows if _is_behind(row.changed_at, row.deleted_at, changed_at)]
    if not behind or theirs.status != ACTIVE:
        return
    found, at = catalogue.pull_product(connect(theirs), product_gid)
    for row in behind:
        with shop_scope(row.shop_id):
            partner = db.session.get_one(Partner, row.id)
            number = catalogue.keep_product(partner, product_gid, found, at)
            if number is not None:
                following.notice(partner, clock.now(), [number])
            db.session.flush()


def _is_behind(kept: datetime | None, deleted_at: datetime | None, told: datetime | None) -> bool:
    """Whether the mirror may be older than what was told. Moments have whole seconds: of two changes within one the second must be read."""
    return kept is None or told is None or kept <= told or deleted_at is not None
