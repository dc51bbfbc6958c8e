"""What a person decides about partner orders on the desk."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Select, select
from sqlalchemy.orm import joinedload

from occ_app.errors import RuleError
from occ_app.extensions import current_shop_id, db
from occ_app.routing import capture, eligibility, orders, rules, theirs
from occ_app.routing.models import CLOSING, FAILED, OPEN, PENDING, PartnerLine, PartnerOrder
from occ_app.routing.prices import Rates
from occ_app.sync import desk
from occ_app.sync.models import SyncException
from occ_app.work import tasks

KINDS = (desk.LATE_CHANGE, desk.SHORT, desk.PARTNER_ORDER, desk.PARTNER_LINES, desk.SETUP)


def lock(found: SyncException) -> None:
    """The orders or lines that the exception is about are locked, as everybody does who withdraws it."""
    number = found.subject.partition(":")[2]
    if found.kind == desk.PARTNER_ORDER:
        orders.get(int(number))
    elif found.kind == desk.PARTNER_LINES:
        db.session.execute(_failed(int(number)).with_for_update(of=PartnerLine))
    elif found.kind == desk.SETUP:
        db.session.execute(_resting().with_for_update(of=PartnerOrder))


def settle(found: SyncException, remedy: str, at: datetime) -> str:
    """The exception is decided so; returns what follows, in words. Raises RuleError where it does not go (any more)."""
    number = found.subject.partition(":")[2]
    if found.kind == desk.PARTNER_ORDER:
        return _order(int(number), str(found.facts["what"]), remedy, at)
    if found.kind == desk.PARTNER_LINES:
        lines = retry_all(int(number))
        tasks.ask("partner_orders", current_shop_id())
        return rules.lines(len(lines), "goes", "go") + eligibility.when(PartnerLine.id.in_(lines), at)
    if found.kind == desk.SETUP:
        for order in db.session.scalars(_resting()):
            order.next_try_at = at
        tasks.ask("partner_orders", current_shop_id())
        return "Trying again"
    return "Noted"


def _order(order_id: int, what: str, remedy: str, at: datetime) -> str:
    order = orders.get(order_id)
    wanted = {"changed": ("theirs", "ours"), "stuck": ("retry",)}.get(what, ("seen",))
    if remedy not in wanted:
        raise RuleError(f"Choose one of: {', '.join(wanted)}.")
    if remedy == "seen":
        return "Noted"
    order.next_try_at, order.tries = at, 0
    tasks.ask("partner_orders", order.shop_id)
    if remedy == "retry":
        return "Trying again"
    if order.theirs is None:
        raise RuleError("It is not changed any more. Load the page again.")
    if remedy == "theirs":
        theirs.take(order, order.partner, at)
        return f"{order.name} is as they changed it"
    theirs.put_back_ours(order, at)
    return "Ours is put back with the next batch"


def retry_all(partner_id: int) -> list[int]:
    """Every line of the partner that needs a person waits for the next batch again. Returns their ids."""
    loaded = _failed(partner_id).options(joinedload(PartnerLine.partner), joinedload(PartnerLine.partner_variant))
    found = []
    for line in db.session.scalars(loaded.with_for_update(of=PartnerLine)).all():
        if line.unit_cost is not None or capture.cost_of(line.partner, line.partner_variant) is not None:
            _retry(line)
            found.append(line.id)
    db.session.flush()
    return found


def _failed(partner_id: int) -> Select[PartnerLine]:
    failed = select(PartnerLine).where(PartnerLine.partner_id == partner_id, PartnerLine.state == FAILED)
    return failed.order_by(PartnerLine.id)


def _resting() -> Select[PartnerOrder]:
    is_resting = PartnerOrder.next_try_at.is_not(None) & PartnerOrder.state.in_((OPEN, CLOSING))
    return select(PartnerOrder).where(is_resting).order_by(PartnerOrder.id)


def retry_one(line_id: int, at: datetime) -> PartnerLine:
    """The line waits for the next batch again. Raises RuleError."""
    query = select(PartnerLine).where(PartnerLine.id == line_id)
    loaded = query.options(joinedload(PartnerLine.partner), joinedload(PartnerLine.partner_variant))
    line = db.session.scalars(loaded.with_for_update(of=PartnerLine)).one_or_none()
    if line is None:
        raise RuleError("There is no such line here.")
    _retry(line)
    capture.tell_failed(line.partner, at)
    return line


def _retry(line: PartnerLine) -> None:
    """The line waits again, at its own cost; at today's where it has none, or one in a currency that the partner has left."""
    if line.state != FAILED:
        raise RuleError("This line does not need another try.")
    currency = Rates().currency(line.partner)
    if line.unit_cost is None or line.currency not in ("", currency):
        line.unit_cost = capture.cost_of(line.partner, line.partner_variant)
        line.currency = currency
    if line.unit_cost is None:
        raise RuleError("They still give no price for it.")
    line.state, line.cause = PENDING, None
