"""What goes out: the draft holds what the order is to hold, and at the cutoff an order comes of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from occ_app import clock
from occ_app.extensions import db
from occ_app.routing import drafts, orders, rules, settling, theirs
from occ_app.routing.context import Context
from occ_app.routing.drafts import Draft, Outcome, Problem
from occ_app.routing.models import CLOSING, CREATED, OPEN, PartnerLine, PartnerOrder
from occ_app.shopify.errors import ShopifyRefusedError, ShopifyUnavailableError

MOST_MENDS = 4  # times that a draft is lowered to what the partner has, before a person is asked


def send(of: Context, order: PartnerOrder) -> bool:
    """The draft holds what the order is to hold. The call is a committed row before it is made. Returns whether there was one."""
    if order.draft_gid is None and order.create_tried_at is not None:
        raise ShopifyUnavailableError("We look whether the last call made the draft before another is made.")
    for _ in range(MOST_MENDS):
        order.ship_to = of.ship_to()
        rows = orders.rows_of(order)
        content = orders.content_of(order, rows)
        if not content["lines"]:
            _empty(of, order, rows)
            return False
        if order.sent == content:
            return False
        order.sending = {**content, "rows": {str(key): units for key, units in orders.wanted_by(rows).items()}}
        if order.draft_gid is None:
            order.create_tried_at, order.creates = clock.now(), order.creates + 1
        db.session.commit()
        call = drafts.update if order.draft_gid else drafts.create
        outcome = call(of.client, order, content)
        order = orders.get(order.id)
        if not outcome.problems:
            _done(of, order, outcome)
            return True
        if _refused(of, order, content, outcome):
            return False
    raise ShopifyRefusedError("They have less and less of it. Try again.")


def _done(of: Context, order: PartnerOrder, outcome: Outcome) -> None:
    """The draft holds what was sent. What the partner had made of it unheard is put back, and somebody is asked."""
    was = order.sent
    if order.draft_gid is None:
        orders.tell(order, clock.now(), f"Draft {outcome.name} opened there")
    order.draft_gid, order.draft_name = outcome.gid or order.draft_gid, outcome.name
    settling.confirmed(of, order, orders.rows_of(order), outcome.at)
    held = rules.without(outcome.held, was.get("off", ())) if was is not None and outcome.held is not None else None
    if held is not None and not rules.same(held, settling.lines_of(was)):
        settling.changed(of, order, held, outcome.at, is_overwritten=True)
    db.session.commit()
    if order.theirs is not None:
        put_theirs_back(of, order)


def put_theirs_back(of: Context, order: PartnerOrder) -> None:
    """The draft is as the partner had made it before our update came over it."""
    if order.theirs is None or not order.theirs.get("overwritten") or not order.theirs["lines"]:
        return
    content = {**(order.sent or orders.content_of(order, orders.rows_of(order))), "lines": order.theirs["lines"]}
    outcome = drafts.update(of.client, order, content)
    if outcome.problems:
        raise ShopifyRefusedError(outcome.words)
    order = orders.get(order.id)
    if order.theirs is not None:
        order.theirs = {key: value for key, value in order.theirs.items() if key != "overwritten"}
    db.session.commit()


def _refused(of: Context, order: PartnerOrder, content: dict[str, Any], outcome: Outcome) -> bool:
    """Nothing was made of it. Returns whether that is the end of it, as the draft is none any more; else it is mended to be sent again.

    Raises ShopifyRefusedError where neither helps.
    """
    order.sending = None
    if order.draft_gid is None:
        order.create_tried_at = None
    refused = _mend(of, order, content, outcome.problems)
    if refused:
        order.sent = settling.taken_off(order.sent, refused)
    elif order.draft_gid is None:
        raise ShopifyRefusedError(outcome.words)
    else:
        settling.look(of, order)
        is_known = order.sent is not None and not order.sent.get("off")
        if order.state in (OPEN, CLOSING) and order.theirs is None and is_known:
            raise ShopifyRefusedError(outcome.words)
    db.session.commit()
    return order.state not in (OPEN, CLOSING) or order.theirs is not None


def _mend(of: Context, order: PartnerOrder, content: dict[str, Any], problems: Sequence[Problem]) -> Collection[str]:
    """Lines that Shopify refused need a person; what the partner had added itself is left out. Returns of which variants they are: without
    them the rest can go.
    """
    refused: dict[str, str] = {}
    for path, message in problems:
        numbers = [int(part) for part in path if part.isdigit()]
        if "lineItems" in path and numbers and numbers[0] < len(content["lines"]):
            refused[content["lines"][numbers[0]][0]] = message
    for row in orders.rows_of(order):
        if row.state == CREATED and row.quantity and row.partner_variant.variant_gid in refused:
            orders.fail(row, f"{of.partner.name}: {refused[row.partner_variant.variant_gid]}")
            of.count("failed", 1)
    added = [row for row in order.extra if row[0] in refused]
    if added:
        order.extra = [row for row in order.extra if row[0] not in refused]
        units = rules.units(sum(int(row[2]) for row in added))
        orders.tell(
            order, clock.now(), f"Left out {units} that {of.partner.name} had added: Shopify refuses them there"
        )
    return refused.keys()


def _empty(of: Context, order: PartnerOrder, rows: Sequence[PartnerLine]) -> None:
    """Nothing is left on the order: its draft goes."""
    at = clock.now()
    if order.draft_gid is not None:
        outcome = drafts.delete(of.client, order.draft_gid)
        if outcome.problems:  # it was made an order, or is gone
            settling.look(of, order)
            return
        at = outcome.at
    of.count("taken_off", orders.know(order, rows, {}, at))
    orders.cancel(order, clock.now(), "All of its lines were taken off, so nothing was ordered")
    settling.well(order)


def complete(of: Context, order: PartnerOrder) -> None:
    """An order has come of the draft, or the order says why not."""
    if order.creates > 1:  # a call of long ago may have come through at last: one draft is enough
        for other in drafts.find_by_tag(of.client, order.tag):
            if other != order.draft_gid:
                drafts.delete(of.client, other)
    for _ in range(MOST_MENDS):
        order.complete_tried_at = clock.now()
        db.session.commit()
        outcome = drafts.complete(of.client, order.draft_gid or "")
        order = orders.get(order.id)
        draft = drafts.made(outcome) or drafts.find(of.client, order.draft_gid or "")
        if draft is None:
            settling.is_gone(of, order)
            return
        if draft.status == drafts.COMPLETED:
            settling.ordered(of, order, draft, "")
            return
        order.looked_at = clock.now()
        settling.compare(of, order, draft)
        is_other = draft.gone > 0 or order.theirs is not None
        if order.theirs is not None:  # at the cutoff theirs counts
            theirs.take(order, of.partner, clock.now())
        if not _lower(of, order, draft) and not is_other:
            raise ShopifyRefusedError(outcome.words)
        order.sent = None
        db.session.commit()
        send(of, order)
        order = orders.get(order.id)
        if order.state != CLOSING:
            return
    raise ShopifyRefusedError("They have less and less of it. Try again.")


def _lower(of: Context, order: PartnerOrder, draft: Draft) -> bool:
    """Lines hold no more than the partner can give; the rest needs a person. Returns whether anything changed."""
    wanted = rules.by_variant(draft.lines)
    reserves = order.sent is not None and clock.now() < order.cutoff_at + orders.RESERVED_BEYOND
    there = {}
    for gid, stock in draft.stock.items():
        units = wanted[gid]
        held = units if reserves else 0
        there[gid] = rules.can_give(
            units, stock.available, held, is_tracked=stock.is_tracked, may_oversell=stock.may_oversell
        )
    cause = f"{of.partner.name} did not have enough of it at the cutoff"
    number = orders.cover(order, orders.rows_of(order), there, cause)
    of.count("failed", number)
    if number:
        orders.tell(order, clock.now(), f"{number} {'line' if number == 1 else 'lines'} taken off or lowered", cause)
    return number > 0
