"""What is in the partner's store: what earlier calls, or the partner, made of an order is known here."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from occ_app import clock
from occ_app.extensions import db
from occ_app.routing import drafts, eligibility, orders, rules, theirs
from occ_app.routing.context import Context
from occ_app.routing.drafts import Draft, Line
from occ_app.routing.models import CREATED, ORDERED, PartnerLine, PartnerOrder
from occ_app.sync import desk

UNSEEN_FOR = timedelta(minutes=2)  # a draft that was made a moment ago is not found by its tag at once


def settle(of: Context, order: PartnerOrder, *, is_due: bool = False) -> None:
    """What earlier calls, or the partner, made of the order is known here. `is_due`: it is looked at in any case."""
    orders.follow_plan(order, of.partner, clock.now())
    if order.draft_gid is None and order.create_tried_at is not None:
        _adopt(of, order)
    elif order.draft_gid is not None and (is_due or _is_in_doubt(order)):
        look(of, order)


def _is_in_doubt(order: PartnerOrder) -> bool:
    """Whether the draft may be other than our row says. Where the last call was answered and no news came since, it is not looked at:
    the next call's answer shows what it held, and whoever changed it unheard is found by that (`sending`)."""
    if order.sent is None or len(order.sent["lines"]) > drafts.MOST_SHOWN:
        return True
    unanswered = order.sending is not None or order.complete_tried_at is not None or order.tries > 0
    return unanswered or order.theirs is not None or order.look_at is not None


def _adopt(of: Context, order: PartnerOrder) -> None:
    """The draft that a lost call may have made is ours, or there is none."""
    at = clock.now()
    if order.create_tried_at is not None and order.create_tried_at > at:
        order.create_tried_at = (
            at  # the clock went back: the wait begins anew, or it would last as long as the clock is behind
        )
    found = drafts.find_by_tag(of.client, order.tag)
    if found:
        order.draft_gid = found[0]
        orders.tell(order, clock.now(), "Found the draft in their store", "its making had got no answer")
        db.session.commit()
        for other in found[1:]:
            drafts.delete(of.client, other)
        look(of, order)
    elif order.create_tried_at is not None and clock.now() - order.create_tried_at < UNSEEN_FOR:
        order.next_try_at = clock.now() + UNSEEN_FOR
    else:
        order.create_tried_at, order.sending = None, None


def look(of: Context, order: PartnerOrder) -> None:
    """The order as it is in the partner's store: adopted if it was completed, given up if it is gone, compared if it is open."""
    draft = drafts.find(of.client, order.draft_gid or "")
    order.looked_at, order.look_at = clock.now(), None
    if draft is None:
        is_gone(of, order)
        return
    order.draft_name = draft.name
    if draft.status == drafts.COMPLETED:
        by = "" if order.complete_tried_at else f"{of.partner.name} made it an order before its cutoff"
        ordered(of, order, draft, by)
        return
    compare(of, order, draft)


def is_gone(of: Context, order: PartnerOrder) -> None:
    """The draft is not there any more: the order came to nothing, and its lines wait for another."""
    at = clock.now()
    rows = orders.rows_of(order)
    orders.know(order, rows, {}, at)
    cause = f"{of.partner.name} deleted the draft of {order.name}"
    number = orders.back(rows, cause)
    when = eligibility.when((PartnerLine.partner_id == of.partner.id) & (PartnerLine.cause == cause), at)
    then = f"{rules.lines(number, 'goes', 'go')} on a new one{when}" if number else "no customer waits for any of it"
    orders.cancel(order, at, f"{of.partner.name} deleted the draft: {then}")
    facts = {"partner": of.partner.name, "name": order.name, "what": "deleted", "lines": number, "when": when}
    desk.raise_(desk.PARTNER_ORDER, f"partner_order:{order.id}", facts, at)
    of.count("taken_off", number)
    of.again = True


def compare(of: Context, order: PartnerOrder, draft: Draft) -> None:
    """What the open draft holds is what we know of it; where it is not what we sent, somebody is asked."""
    rows = orders.rows_of(order)
    sending, sent = order.sending, order.sent
    if sending is not None and rules.same(draft.lines, sending["lines"]) and not draft.gone:
        confirmed(of, order, rows, draft.at)
        return
    order.sending = None
    if draft.gone:
        _drop_gone(of, order, rows, draft)
        return
    if sent is None or rules.same(rules.without(draft.lines, sent.get("off", ())), lines_of(sent)):
        if order.theirs is not None and not order.theirs.get("overwritten"):
            order.theirs = None
            well(order)
        return
    if order.theirs is None or not rules.same(order.theirs["lines"], draft.lines) or order.theirs.get("overwritten"):
        changed(of, order, draft.lines, draft.at)


def changed(
    of: Context, order: PartnerOrder, lines: Sequence[Line], at: datetime, *, is_overwritten: bool = False
) -> None:
    """The partner changed the draft: somebody is asked. `is_overwritten`: our update came over it before we knew."""
    order.theirs = {"lines": [list(line) for line in lines], "at": at.isoformat()}
    if is_overwritten:
        order.theirs = {**order.theirs, "overwritten": True}
    what = _difference(of, order)
    orders.tell(order, clock.now(), f"{of.partner.name} changed the draft", what)
    theirs.tell_changed(order, of.partner, what, clock.now())


def _difference(of: Context, order: PartnerOrder) -> str:
    ours = rules.by_variant(lines_of(order.sent))
    now = rules.by_variant((order.theirs or {"lines": []})["lines"])
    gids = [gid for gid in {**ours, **now} if ours.get(gid, 0) != now.get(gid, 0)]
    names = orders.names_of(gids, of.partner)
    names |= {gid: gid.removeprefix(rules.CUSTOM) for gid in gids if rules.is_fee(gid)}
    parts = [f"{names.get(gid, 'Another product')}: {ours.get(gid, 0)} to {now.get(gid, 0)}" for gid in gids]
    return ", ".join(parts[:6]) + (f" and {len(parts) - 6} more" if len(parts) > 6 else "") or "other prices"


def _drop_gone(of: Context, order: PartnerOrder, rows: Sequence[PartnerLine], draft: Draft) -> None:
    """Lines whose variant the partner deleted need a person; the draft is sent anew without them. What else the partner made of it is asked
    about: the draft is then to hold that."""
    there = {gid for gid, _, _ in draft.lines}
    missing = orders.variant_gids([row for row in rows if row.on_order]) - there
    cause = f"{of.partner.name} no longer has it"
    gone = [row for row in rows if row.state == CREATED and row.quantity and row.partner_variant.variant_gid in missing]
    for row in gone:
        orders.fail(row, cause)
        of.count("failed", 1)
    if gone:
        orders.tell(order, clock.now(), "Lines taken off", cause)
    order.sent = taken_off(order.sent, missing)
    kept = rules.without(draft.lines, (order.sent or {}).get("off", ()))
    if order.sent is None or rules.same(kept, lines_of(order.sent)):
        return
    if order.theirs is None or not rules.same(order.theirs["lines"], kept):
        changed(of, order, kept, draft.at, is_overwritten=True)


def taken_off(sent: dict[str, Any] | None, gids: Collection[str]) -> dict[str, Any] | None:
    """What the draft holds as far as it stays: lines of these variants are to leave it, so it is sent anew."""
    return {**sent, "off": sorted({*sent.get("off", ()), *gids})} if sent is not None else None


def lines_of(sent: dict[str, Any] | None) -> list[Sequence[Any]]:
    """The lines that the draft holds and that are to stay."""
    return rules.without(sent["lines"], sent.get("off", ())) if sent is not None else []


def ordered(of: Context, order: PartnerOrder, draft: Draft, detail: str) -> None:
    """An order has come of the draft. What it does not hold of our lines needs a person; what was never sent goes on another order."""
    at = clock.now()
    rows = orders.rows_of(order)
    if order.sending is not None and rules.same(draft.lines, order.sending["lines"]):
        confirmed(of, order, rows, draft.at)
        rows = orders.rows_of(order)
    if orders.back(_never_sent(order, rows), f"{order.name} was closed before it"):
        of.again = True
        rows = orders.rows_of(order)
    if rules.same(draft.lines, orders.content_of(order, rows)["lines"]):
        orders.know(order, rows, orders.wanted_by(rows), draft.at)
    else:
        order.theirs = {"lines": [list(line) for line in draft.lines], "at": draft.at.isoformat()}
        cause = f"It was not on {order.name} when {of.partner.name} made it an order"
        of.count("failed", theirs.take(order, of.partner, at, cause))
        rows = orders.rows_of(order)
    order.order_gid, order.order_name = draft.order_gid, draft.order_name
    order.state, order.ordered_at, order.sending, order.theirs = ORDERED, at, None, None
    order.draft_name, order.tries, order.next_try_at, order.cause = draft.name or order.draft_name, 0, None, None
    units = sum(orders.wanted_by(rows).values())
    orders.tell(order, at, f"Ordered: {rules.units(units)}, {draft.order_name or ''} in their store", detail)
    well(order)
    of.count("orders", 1)
    db.session.commit()


def _never_sent(order: PartnerOrder, rows: Sequence[PartnerLine]) -> list[PartnerLine]:
    """Lines that the draft cannot hold: they stand on the order, but no call has named them yet."""
    named = (order.sending or {"rows": {}})["rows"]
    return [row for row in rows if row.state == CREATED and not row.on_order and str(row.id) not in named]


def confirmed(of: Context, order: PartnerOrder, rows: Sequence[PartnerLine], at: datetime) -> None:
    """The draft holds what was sent."""
    sending = order.sending or {}
    units = {int(key): n for key, n in sending["rows"].items()}
    changes = [units.get(row.id, 0) - row.on_order for row in rows]
    of.count("taken_off", orders.know(order, rows, units, at))
    words = rules.changed_by(changes)
    if words:
        orders.tell(order, clock.now(), words)
    order.sent = {key: value for key, value in sending.items() if key != "rows"}
    order.sending, order.tries, order.next_try_at, order.cause = None, 0, None, None
    well(order)


def well(order: PartnerOrder) -> None:
    """Nobody needs to do anything about the order any more."""
    desk.withdraw(desk.PARTNER_ORDER, f"partner_order:{order.id}", clock.now())
