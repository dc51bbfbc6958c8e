"""A partner's numbers as read: kept if newer, and with them what of our orders they show; targets follow in the same transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, select
from sqlalchemy.dialects.postgresql import insert

from occ_app.extensions import current_shop_id, db
from occ_app.orders.models import OrderLine
from occ_app.partners import goods
from occ_app.partners.models import BY_SHIPPING, ImportedVariant, Partner, PartnerVariant, Reflection
from occ_app.sync import targets


def keep(partner: Partner, found: Mapping[int, int | None], read_at: datetime) -> int:
    """These numbers, partner variant id -> available (None: not counted), are known as of `read_at`, Shopify's clock. Returns how many
    are other than before.

    An older reading never replaces a newer one. The caller commits, and calls `keep_whole` once all that was imported has been read.
    """
    if partner.read_at is not None and partner.read_at > read_at:
        return 0
    query = select(PartnerVariant).where(PartnerVariant.id.in_(list(found)), PartnerVariant.partner_id == partner.id)
    rows = db.session.scalars(query.order_by(PartnerVariant.id).with_for_update()).all()
    changed = []
    for row in rows:
        if row.read_at is not None and row.read_at > read_at:
            continue
        if row.available != found[row.id]:
            row.available, row.read_at = found[row.id], read_at
            changed.append(row.id)
    db.session.flush()
    imported = _imported(ImportedVariant.partner_variant_id.in_(changed))
    _follow(imported, {one.item_id: read_at for one in imported}, read_at)
    return len(changed)


def keep_one(partner: Partner, variant: PartnerVariant, available: int | None, read_at: datetime) -> bool:
    """One variant's number, read by itself. Returns whether it is other than before; false too where a newer one is known."""
    newest = goods.read_at(partner, variant)
    if newest is not None and newest > read_at:
        return False
    is_new = variant.available != available
    variant.available, variant.read_at = available, read_at
    db.session.flush()
    imported = _imported(ImportedVariant.partner_variant_id == variant.id)
    _follow(imported, {one.item_id: read_at for one in imported}, read_at)
    return is_new


def keep_whole(partner: Partner, read_at: datetime) -> None:
    """All that was imported from the partner has been read, no part of it before `read_at`."""
    if partner.read_at is not None and partner.read_at >= read_at:
        return
    partner.read_at, partner.tries, partner.cause, partner.next_try_at = read_at, 0, None, None
    db.session.flush()
    imported = _imported(ImportedVariant.partner_id == partner.id)
    _follow(imported, {one.item_id: read_at for one in imported}, read_at)


def refresh_goods(condition: ColumnElement[bool]) -> None:
    """Something other than a number changed of these partner variants (they were deleted, their product is no longer sold): targets follow."""
    query = select(ImportedVariant.item_id).join(ImportedVariant.partner_variant).where(condition)
    targets.refresh(db.session.scalars(query), let=targets.ALL_FALL)


def _imported(condition: ColumnElement[bool]) -> list[ImportedVariant]:
    query = select(ImportedVariant).where(condition).order_by(ImportedVariant.item_id).with_for_update()
    return list(db.session.scalars(query.execution_options(populate_existing=True)))


def _follow(imported: Collection[ImportedVariant], shown_until: Mapping[int, datetime], at: datetime) -> None:
    """What a reading shows of our orders counts as shown, and the targets are right."""
    if not imported:
        return
    by_item = {one.item_id: one for one in imported}
    query = select(Reflection).where(Reflection.item_id.in_(list(shown_until)), Reflection.shown_at.is_(None))
    for reflection in db.session.scalars(query).all():
        if reflection.at < shown_until[reflection.item_id]:
            by_item[reflection.item_id].reflected += reflection.quantity
            reflection.shown_at = shown_until[reflection.item_id]
    db.session.flush()
    targets.refresh(by_item, let=targets.ALL_FALL)
    goods.tell_missing(by_item, at)


def reflect(line: OrderLine, item_id: int, quantity: int, *, reason: str, source: str, at: datetime) -> None:
    """From `at` on the partner's number shows so many units of the line more (or, below zero, fewer). Takes effect with the first
    reading after it. Harmless when repeated with the same source."""
    exists = select(Reflection.id).where(Reflection.source == source)
    if quantity and db.session.scalar(exists) is None:
        row = Reflection(item_id=item_id, order_line_id=line.id, quantity=quantity, reason=reason, source=source, at=at)
        row.shop_id = current_shop_id()
        db.session.add(row)
        db.session.flush()


def reflect_many(rows: Sequence[tuple[int | None, str, int, int]], *, reason: str, source: str, at: datetime) -> None:
    """As `reflect`, for many: (order line id or None, what names it, item id, units) each; their sources begin with `source`. One statement."""
    shop_id = current_shop_id()
    given = [
        {
            "shop_id": shop_id,
            "item_id": item_id,
            "order_line_id": line_id,
            "quantity": units,
            "reason": reason,
            "source": f"{source}:{name}:{n}",
            "at": at,
        }
        for n, (line_id, name, item_id, units) in enumerate(rows)
        if units
    ]
    if given:
        db.session.execute(insert(Reflection).on_conflict_do_nothing(index_elements=["shop_id", "source"]), given)


def reflect_what_left(line: OrderLine, item_id: int, at: datetime) -> None:
    """What of the line has gone to its customer, or was given up, is not expected from the partner any more: its number shows it by then.

    Units that a partner order shows already are not shown twice.
    """
    query = select(Reflection).where(Reflection.order_line_id == line.id)
    rows = db.session.scalars(query).all()
    by_order = sum(row.quantity for row in rows if row.reason != BY_SHIPPING)
    by_shipping = sum(row.quantity for row in rows if row.reason == BY_SHIPPING)
    still_open = (line.taken - line.restocked - line.lost - line.shipped) * line.units_per_variant
    gone = line.from_partner - min(line.from_partner, still_open)
    wanted = max(0, gone - by_order)
    source = f"order_line:{line.line_number}:left:{line.bookings}"
    reflect(line, item_id, wanted - by_shipping, reason=BY_SHIPPING, source=source, at=at)
