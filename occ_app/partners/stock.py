"""How many a partner has of what we mirror: all that was imported each hour, single variants when told of a change, in batches of 250.

A pull that is wanted is a row of `partner_pull` without an end; a variant to be read by itself has `look_at`. Each run stays as its log.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, exists, func, insert, literal, null, select, update

from occ_app import clock
from occ_app.extensions import current_shop_id, db
from occ_app.partners import catalogue, readings
from occ_app.partners.models import CONNECTED, NUDGE, STOCK, ImportedVariant, Partner, PartnerPull, PartnerVariant
from occ_app.shopify.client import Client
from occ_app.shopify.errors import ShopifyError
from occ_app.sync.rules import chunks, retry_after

PER_CALL = 250
TRIES = 3  # a pull comes again soon: it does not wait for long
KEPT = timedelta(days=30)
EVERY = timedelta(hours=1)


def want_due(at: datetime) -> None:
    """A pull is wanted of every connected partner of which anything is imported and was last read an hour ago. Spans shops; one statement."""
    is_old = Partner.read_at.is_(None) | (Partner.read_at <= at - EVERY)
    may = Partner.next_try_at.is_(None) | (Partner.next_try_at <= at)
    _want(at, (Partner.state == CONNECTED) & Partner.partner_shop_id.is_not(None) & is_old & may)


def want(partner: Partner, at: datetime) -> None:
    """A pull of all that was imported from the partner is wanted; the one that is wanted already will do."""
    _want(at, Partner.id == partner.id)


def _want(at: datetime, condition: Any) -> None:
    wanted = select(PartnerPull.id).where(
        PartnerPull.partner_id == Partner.id, PartnerPull.kind == STOCK, PartnerPull.finished_at.is_(None)
    )
    imported = select(ImportedVariant.id).where(ImportedVariant.partner_id == Partner.id)
    zero = literal(0)
    rows = select(Partner.shop_id, Partner.id, literal(STOCK), literal(at), null(), zero, zero, zero, zero)
    rows = rows.where(condition, exists(imported), ~exists(wanted))
    names = ("shop_id", "partner_id", "kind", "started_at", "finished_at", "looked_at", "changed", "reads", "points")
    db.session.execute(insert(PartnerPull).from_select(names, rows.with_for_update(of=Partner)))


def unfinished() -> Sequence[PartnerPull]:
    """The shop's pulls that are wanted and have not ended."""
    query = select(PartnerPull).where(PartnerPull.kind == STOCK, PartnerPull.finished_at.is_(None))
    return db.session.scalars(query.order_by(PartnerPull.id)).all()


def pull(client: Client, wanted: PartnerPull) -> None:
    """All that was imported from the partner has been read, or the pull says why not. `client` is the partner's. Commits each part."""
    partner = db.session.get_one(Partner, wanted.partner_id)
    query = select(PartnerVariant).join(ImportedVariant, ImportedVariant.partner_variant_id == PartnerVariant.id)
    query = query.where(PartnerVariant.partner_id == partner.id, PartnerVariant.deleted_at.is_(None))
    variants = db.session.scalars(query.order_by(PartnerVariant.id)).all()
    wanted.total = len(variants)
    _run(client, partner, wanted, variants, is_whole=True)


def look(client: Client, partner: Partner) -> PartnerPull | None:
    """The partner's variants that are due to be read by themselves have been. Commits each part. None where nothing was due."""
    at = clock.now()
    due = PartnerVariant.look_at.is_not(None) & (PartnerVariant.look_at <= at)
    query = select(PartnerVariant).where(PartnerVariant.partner_id == partner.id, due)
    variants = db.session.scalars(query.order_by(PartnerVariant.look_at, PartnerVariant.id).limit(20 * PER_CALL)).all()
    if not variants:
        return None
    run = PartnerPull(partner_id=partner.id, kind=NUDGE, started_at=at, looked_at=0, changed=0, reads=0, points=0)
    run.total = len(variants)
    db.session.add(run)
    _run(client, partner, run, variants, is_whole=False)
    return run


def _run(
    client: Client, partner: Partner, run: PartnerPull, variants: Sequence[PartnerVariant], *, is_whole: bool
) -> None:
    client.tries = TRIES
    before = (client.calls, client.points)
    asked = [(variant.id, variant.look_at) for variant in variants]
    moments = []
    try:
        for part in chunks(variants, PER_CALL):
            found, at = read(client, partner, part)
            moments.append(at)
            run.changed += catalogue.keep_stock(partner, found, at)
            run.looked_at += len(part)
            catalogue.sum_up(partner, {variant.partner_product_id for variant in part})
            db.session.commit()
        if is_whole:
            readings.keep_whole(partner, min(moments, default=clock.now()))
        _looked(asked)
    except ShopifyError as error:
        db.session.rollback()
        run.cause = str(error)
        _failed(partner, str(error), clock.now())
    run.reads, run.points = client.calls - before[0], client.points - before[1]
    run.finished_at = clock.now()
    db.session.commit()


def give_up(wanted: PartnerPull, cause: str, at: datetime) -> None:
    """The pull ended before it began."""
    partner = db.session.get_one(Partner, wanted.partner_id)
    wanted.finished_at, wanted.cause = at, cause
    _failed(partner, cause, at)


def _looked(asked: Sequence[tuple[int, datetime | None]]) -> None:
    """These need no look any more, but for those that were nudged again meanwhile."""
    by_moment: dict[datetime, list[int]] = defaultdict(list)
    for number, moment in asked:
        if moment is not None:
            by_moment[moment].append(number)
    for moment, ids in by_moment.items():
        done = update(PartnerVariant).where(PartnerVariant.id.in_(ids), PartnerVariant.look_at == moment)
        db.session.execute(done.values(look_at=None).execution_options(synchronize_session=False))


def _failed(partner: Partner, cause: str, at: datetime) -> None:
    """The next try comes later and later; what is sold meanwhile shrinks with the age of the last good reading."""
    partner.tries, partner.cause = partner.tries + 1, cause
    partner.next_try_at = at + retry_after(partner.tries)
    later = update(PartnerVariant).where(PartnerVariant.partner_id == partner.id, PartnerVariant.look_at <= at)
    db.session.execute(later.values(look_at=partner.next_try_at).execution_options(synchronize_session=False))


def read(
    client: Client, partner: Partner, variants: Sequence[PartnerVariant]
) -> tuple[dict[int, int | None], datetime]:
    """Units of up to 250 variants, None where the partner does not count them, and Shopify's clock. Gone ones have none.

    One call; one per location where the partner shares only some.
    """
    if not partner.location_gids:
        answer = client.query("partner_quantities", {"ids": [variant.variant_gid for variant in variants]})
        pairs = zip(variants, answer.data["nodes"], strict=True)
        return {variant.id: _total(node) for variant, node in pairs}, answer.at
    found: dict[int, int | None] = {variant.id: 0 for variant in variants}
    moments = []
    for gid in partner.location_gids:
        ids = [variant.inventory_item_gid for variant in variants]
        answer = client.query("partner_levels", {"ids": ids, "location": gid})
        moments.append(answer.at)
        for variant, node in zip(variants, answer.data["nodes"], strict=True):
            before = found[variant.id]
            found[variant.id] = None if before is None or (node and not node["tracked"]) else before + _there(node)
    return found, min(moments)


def _total(node: dict[str, Any] | None) -> int | None:
    if not node:
        return 0
    return int(node["inventoryQuantity"] or 0) if node["inventoryItem"]["tracked"] else None


def _there(node: dict[str, Any] | None) -> int:
    level = (node or {}).get("inventoryLevel")
    if not level or not level["isActive"]:
        return 0
    return int(next((row["quantity"] for row in level["quantities"] if row["name"] == "available"), 0))


# Being told -----------------------------------------------------------------------------------------------------------------------


def nudge(partner_shop_id: int, inventory_item_gid: str, location_gid: str, at: datetime) -> set[int]:
    """Some partner's number changed in its shop: whoever mirrors it is to read it. Spans the shops of the merchants; returns them."""
    query = select(PartnerVariant.id, Partner.shop_id, Partner.location_gids).join(PartnerVariant.partner)
    query = query.where(
        Partner.partner_shop_id == partner_shop_id,
        Partner.state == CONNECTED,
        PartnerVariant.inventory_item_gid == inventory_item_gid,
        PartnerVariant.deleted_at.is_(None),
    )
    told = [row for row in db.session.execute(query) if not row.location_gids or location_gid in row.location_gids]
    if told:
        due = update(PartnerVariant).where(PartnerVariant.id.in_([row.id for row in told]))
        db.session.execute(due.values(look_at=at).execution_options(synchronize_session=False))
    return {row.shop_id for row in told}


def nudge_products(partner: Partner, product_ids: Collection[int], at: datetime) -> None:
    """The stock of these products of the partner is to be read now."""
    due = update(PartnerVariant).where(
        PartnerVariant.partner_id == partner.id,
        PartnerVariant.partner_product_id.in_(list(product_ids)),
        PartnerVariant.deleted_at.is_(None),
    )
    db.session.execute(due.values(look_at=at).execution_options(synchronize_session=False))


def to_be_looked_at(at: datetime) -> Sequence[Partner]:
    """The shop's connected partners of whom a variant is due to be read by itself."""
    due = exists().where(PartnerVariant.partner_id == Partner.id, PartnerVariant.look_at <= at)
    query = select(Partner).where(Partner.state == CONNECTED, due)
    return db.session.scalars(query.order_by(Partner.id)).all()


def runs(partner: Partner, limit: int = 50, offset: int = 0) -> Sequence[PartnerPull]:
    """The partner's last pulls, newest first."""
    query = select(PartnerPull).where(PartnerPull.partner_id == partner.id, PartnerPull.shop_id == current_shop_id())
    return db.session.scalars(query.order_by(PartnerPull.id.desc()).limit(limit).offset(offset)).all()


def count_runs(partner: Partner) -> int:
    """How many pulls of the partner are kept."""
    return db.session.scalar(select(func.count(PartnerPull.id)).where(PartnerPull.partner_id == partner.id)) or 0


def forget_old_runs(at: datetime) -> None:
    """Runs that ended long ago are gone, but for the newest of each partner and kind. Spans shops."""
    newest = select(func.max(PartnerPull.id)).group_by(PartnerPull.partner_id, PartnerPull.kind)
    old = delete(PartnerPull).where(PartnerPull.finished_at < at - KEPT, PartnerPull.id.not_in(newest))
    db.session.execute(old.execution_options(synchronize_session=False))
