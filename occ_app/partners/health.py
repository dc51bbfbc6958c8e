"""How each partner does: a light with its words, and the numbers behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, case, func, select

from occ_app.extensions import db
from occ_app.partners import cutoffs, following, goods, standing
from occ_app.partners.models import (
    IN_SHOP,
    LEFT,
    NEEDS_RECONNECTING,
    PAUSED,
    ImportedProduct,
    Partner,
    PartnerProduct,
    PartnerPull,
)
from occ_app.shops.models import ShopToken

WINDOW = timedelta(hours=24)
MANY_ERRORS = 0.2  # of the pulls within WINDOW


@dataclass(frozen=True)
class Light:
    """What is so, in a word or two, its tone, and whether it is quiet because all is well; `why` says more."""

    words: str
    tone: str
    is_quiet: bool = False
    why: str = ""


@dataclass(frozen=True)
class Health:
    """A partner with its light and numbers. `errors` of `pulls` failed within a day; `gives_up_at`: its goods go to 0 then."""

    partner: Partner
    light: Light
    products: int
    imported: int
    pulls: int
    errors: int
    token_until: datetime | None
    gives_up_at: datetime | None
    next_cutoff: datetime | None
    pending: int  # changes at the partner that wait for the merchant
    trail: tuple[int, ...]  # age of the reading in minutes, hour by hour over a day, oldest first


def of_all(at: datetime) -> Sequence[Health]:
    """All partners of the shop, those that need somebody first. The same number of statements for any number of partners."""
    partners = standing.everybody()
    products, imported = (
        _counts(PartnerProduct, PartnerProduct.deleted_at.is_(None)),
        _counts(ImportedProduct, IN_SHOP),
    )
    pulls, trails, pending = _pulls(at), _trails(partners, at), following.pending_counts()
    ids = [partner.partner_shop_id for partner in partners if partner.partner_shop_id]
    tokens = {row.shop_id: row for row in db.session.scalars(select(ShopToken).where(ShopToken.shop_id.in_(ids)))}
    found = []
    for partner in partners:
        number, errors = pulls.get(partner.id, (0, 0))
        token = tokens.get(partner.partner_shop_id or 0)
        ageing = goods.ageing(partner)
        light = light_of(partner, errors / number if number else 0.0, at)
        found.append(
            Health(
                partner,
                light,
                products.get(partner.id, 0),
                imported.get(partner.id, 0),
                number,
                errors,
                token.refresh_expires_at if token else None,
                partner.read_at + ageing.give_up_after if partner.read_at else None,
                cutoffs.plan_of(partner).next_cutoff(at) if partner.state != LEFT else None,
                pending.get(partner.id, 0),
                trails.get(partner.id, ()),
            )
        )
    rank = {"critical": 0, "warning": 1, "info": 2, "success": 3}
    return sorted(found, key=lambda one: (rank.get(one.light.tone, 4), one.partner.name.casefold()))


def light_of(partner: Partner, error_rate: float, at: datetime) -> Light:
    """The partner's light: what matters most of its state, the age of its reading, and its errors."""
    if partner.state == LEFT:
        return Light("Left", "neutral", why=partner.state_reason or "")
    if partner.state == PAUSED:
        return Light("Paused", "neutral", why=partner.state_reason or "")
    if partner.state == NEEDS_RECONNECTING:
        return Light("Needs reconnecting", "critical", why=partner.state_reason or "")
    if partner.read_at is None and partner.cause:
        return Light("Not read", "critical", why=partner.cause)
    if partner.read_at is None and partner.catalogue_read_at is not None:
        return Light(
            "Healthy", "success", is_quiet=True
        )  # nothing of theirs is sold yet, so there is no stock to be read
    if partner.read_at is None:
        return Light("First reading", "info", why="Their products are being read.")
    ageing, age = goods.ageing(partner), at - partner.read_at
    if ageing.is_too_old(age):
        return Light("Not read", "critical", why=partner.cause or "There has been no good reading for too long.")
    if age > ageing.stale_after:
        return Light("Old reading", "warning", why=partner.cause or "")
    if error_rate >= MANY_ERRORS:
        return Light("Many errors", "warning", why=partner.cause or "")
    return Light("Healthy", "success", is_quiet=True)


def _counts(model: type[PartnerProduct] | type[ImportedProduct], condition: ColumnElement[bool]) -> dict[int, int]:
    query = select(model.partner_id, func.count()).where(condition).group_by(model.partner_id)
    return {partner_id: int(number) for partner_id, number in db.session.execute(query)}


def _pulls(at: datetime) -> dict[int, tuple[int, int]]:
    """Partner id -> (pulls, failed ones) within a day."""
    failed = func.sum(case((PartnerPull.cause.is_not(None), 1), else_=0))
    query = (
        select(PartnerPull.partner_id, func.count(), failed)
        .where(PartnerPull.finished_at >= at - WINDOW)
        .group_by(PartnerPull.partner_id)
    )
    return {partner_id: (int(all_), int(bad)) for partner_id, all_, bad in db.session.execute(query)}


def _trails(partners: Sequence[Partner], at: datetime) -> dict[int, tuple[int, ...]]:
    """Partner id -> how old its reading was at each hour of the last day, in minutes; empty where it was not read before that."""
    query = select(PartnerPull.partner_id, PartnerPull.finished_at).where(
        PartnerPull.finished_at >= at - 2 * WINDOW, PartnerPull.cause.is_(None), PartnerPull.kind != "nudge"
    )
    read: dict[int, list[datetime]] = {}
    for partner_id, moment in db.session.execute(query.order_by(PartnerPull.finished_at)):
        read.setdefault(partner_id, []).append(moment)
    found = {}
    for partner in partners:
        moments = read.get(partner.id, [])
        ages = []
        for hours in range(24, -1, -1):
            then = at - timedelta(hours=hours)
            before = [moment for moment in moments if moment <= then]
            if before:
                ages.append(int((then - before[-1]).total_seconds() // 60))
        found[partner.id] = tuple(ages)
    return found
