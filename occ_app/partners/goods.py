"""How many of a partner's goods may be sold here: the terms of their items, from the mirror and from what our orders took.

Registered with `sync.targets.terms_come_from` (through `wiring`), so that targets, pushes and explanations work for them as for any item.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import contains_eager

from occ_app import clock
from occ_app.extensions import db
from occ_app.partners import rules, settings
from occ_app.partners.models import CONNECTED, NEEDS_RECONNECTING, ImportedVariant, Partner, PartnerVariant
from occ_app.partners.rules import Ageing
from occ_app.stock.models import Balance
from occ_app.stock.rules import PARTNER as PARTNER_PLACE
from occ_app.stock.rules import Term
from occ_app.sync import desk


@dataclass(frozen=True)
class Good:
    """One imported variant with all that its numbers come from. `taken`: units that our orders took from the partner, ever."""

    imported: ImportedVariant
    taken: int

    @property
    def partner(self) -> Partner:
        """Whose it is."""
        return self.imported.partner

    @property
    def available(self) -> int:
        """What the partner has, as last read; of goods that it does not count, what the merchant's setting says."""
        counted = self.imported.partner_variant.available
        return settings.get(self.partner, "untracked_units") if counted is None else counted

    @property
    def unreflected(self) -> int:
        """Units that our orders took and the partner's number does not show yet."""
        return self.taken - self.imported.reflected

    @property
    def read_at(self) -> datetime | None:
        """When its number was last read."""
        return read_at(self.partner, self.imported.partner_variant)

    def withheld(self, at: datetime) -> str | None:
        """Why none of it is sold, in words for the merchant; None where it is."""
        partner, source = self.partner, self.imported.partner_variant
        if partner.state not in (CONNECTED, NEEDS_RECONNECTING):
            return {"paused": f"{partner.name} is paused."}.get(partner.state, f"{partner.name} has left.")
        if source.deleted_at or source.product.deleted_at:
            return f"{partner.name} no longer has it."
        if source.product.status != "ACTIVE" and settings.get(partner, "follow_status") == "follow":
            return f"{partner.name} does not sell it at the moment."
        if ageing(partner).is_too_old(at - self.read_at if self.read_at else None):
            return f"{partner.name} has not been read for {settings.get(partner, 'give_up_hours')} hours."
        return None

    def terms(self, at: datetime) -> list[Term]:
        """The equation of its units."""
        age = at - self.read_at if self.read_at else timedelta(0)
        return rules.terms(
            self.available,
            safety_stock=self.imported.item.safety_stock or settings.get(self.partner, "safety_stock"),
            widening=ageing(self.partner).widening(age),
            unreflected=self.unreflected,
            is_withheld=self.withheld(at) is not None,
        )


def read_at(partner: Partner, variant: PartnerVariant) -> datetime | None:
    """When the variant's number was last read: by itself, or with all the partner's."""
    moments = [moment for moment in (partner.read_at, variant.read_at) if moment]
    return max(moments, default=None)


def ageing(partner: Partner) -> Ageing:
    """What the age of this partner's readings does."""
    return Ageing(
        timedelta(minutes=settings.get(partner, "stale_after_minutes")),
        settings.get(partner, "widen_units"),
        timedelta(hours=settings.get(partner, "give_up_hours")),
    )


def goods(item_ids: Collection[int]) -> Sequence[Good]:
    """The imported variants behind these items, with their sources. Two statements, whatever their number."""
    query = (
        select(ImportedVariant)
        .join(ImportedVariant.partner)
        .join(ImportedVariant.partner_variant)
        .join(PartnerVariant.product)
        .join(ImportedVariant.item)
        .where(ImportedVariant.item_id.in_(list(item_ids)))
        .options(
            contains_eager(ImportedVariant.partner),
            contains_eager(ImportedVariant.partner_variant).contains_eager(PartnerVariant.product),
            contains_eager(ImportedVariant.item),
        )
    )
    found = db.session.scalars(query.order_by(ImportedVariant.id)).all()
    taken = (
        select(Balance.item_id, func.sum(-Balance.quantity))
        .where(Balance.item_id.in_([one.item_id for one in found]), Balance.place == PARTNER_PLACE)
        .group_by(Balance.item_id)
    )
    units = {item_id: int(number) for item_id, number in db.session.execute(taken)} if found else {}
    return [Good(one, units.get(one.item_id, 0)) for one in found]


def terms_of(item_ids: Collection[int]) -> dict[tuple[int, int], list[Term]]:
    """(item id, location id) -> the terms of the partner's units there."""
    at = clock.now()
    return {(good.imported.item_id, good.imported.location_id): good.terms(at) for good in goods(item_ids)}


def item_ids_of(partner: Partner) -> list[int]:
    """The items of all that was imported from the partner."""
    return list(db.session.scalars(select(ImportedVariant.item_id).where(ImportedVariant.partner_id == partner.id)))


def tell_missing(item_ids: Collection[int], at: datetime) -> None:
    """Each item of which customers bought more than the partner still has is on the desk, and leaves it when that is no longer so."""
    told = desk.open_subjects(desk.MISSING)
    for good in goods(item_ids):
        subject = f"item:{good.imported.item_id}"
        units = rules.missing(good.available, good.unreflected)
        if units:
            facts = {"units": units, "item_id": good.imported.item_id, "partner": good.partner.name}
            facts |= {"sold": good.unreflected, "has": max(0, good.available)}
            desk.raise_(desk.MISSING, subject, facts, at)
        elif subject in told:
            desk.withdraw(desk.MISSING, subject, at)
