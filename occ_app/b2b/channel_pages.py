"""Channels as pages: who holds what, moving the border, rules and what they would do, history with undo, the log."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

from flask import Blueprint, Response, g, request
from sqlalchemy import func, or_, select

from occ_app import clock
from occ_app.b2b import channel_lists as lists
from occ_app.b2b import levels, splitting
from occ_app.catalog import pull
from occ_app.catalog.models import PRODUCT, Item, Location
from occ_app.catalog.sheets import write
from occ_app.errors import NotFoundError, RuleError
from occ_app.extensions import db
from occ_app.stock import allocations, channels, splits
from occ_app.stock.channel_models import AllocationRule
from occ_app.stock.rules import RELEASED
from occ_app.stock.sharing import Claim
from occ_app.stock.splits import Wanted
from occ_app.sync import link
from occ_app.sync.modes import states_of_item
from occ_app.sync.paging import PER_PAGE, page_number, pages_of, search_text
from occ_app.web import page, row_id, see_other, stay_within

blueprint = Blueprint("channels", __name__)
KINDS = {"none": "Nothing", "fixed": "Units", "share": "Percent", "rest": "The rest"}
THOUSANDS = re.compile(r"[0-9]{1,3}(,[0-9]{3})+")
COLOURS = ("c1", "c2", "c3", "c4", "c5")


def whole(text: str, field: str, *, least: int = 0) -> int:
    """The whole number in a field. Raises RuleError."""
    text = text.strip()
    if "," in text and not THOUSANDS.fullmatch(text):
        raise RuleError("Give a whole number. A comma only parts thousands, as in 1,250.", field=field)
    text = text.replace(",", "")
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text) >= least):
        raise RuleError(f"Give a whole number, {least} or more.", field=field)
    return int(text)


def item_of(item_id: int) -> Item:
    """The product. Raises NotFoundError."""
    item = db.session.scalar(select(Item).where(Item.id == item_id, Item.kind == PRODUCT))
    if item is None:
        raise NotFoundError("There is no such product here.")
    return item


def colours() -> dict[str, str]:
    """Channel -> the class of its colour; own channels share the last."""
    return {key: COLOURS[min(n, len(COLOURS) - 1)] for n, key in enumerate(channels.names())}


@blueprint.get("/channels")
def index() -> Response:
    """Who holds what of each item."""
    return _index()


def _index(status: int = 200, error: RuleError | None = None, about: str = "") -> Response:
    place, q, number = pull.default_location(), search_text(), page_number()
    counts = lists.counts(place.id) if place else dict.fromkeys(lists.VIEWS, 0)
    view = request.args.get("view", "")
    view = view if view in lists.VIEWS else "split" if counts["split"] else "pool"
    found: list[lists.Row] = []
    total = 0
    if place:
        found, total = lists.items(view, q, place.id, limit=PER_PAGE, offset=(number - 1) * PER_PAGE)
    facts = {"rows": found, "view": view, "q": q, "names": channels.names(), "colours": colours(), "place": place}
    facts |= {"stock": levels.of_items([row.item for row in found]), "sums": lists.sums(), "error": error}
    facts |= {"tabs": [(key, words, counts[key]) for key, words in lists.VIEWS.items()]}
    facts |= {"pages": pages_of(total, number, "/channels", {"view": view, "q": q}), "coming": _coming()}
    facts |= {"own": channels.own(), "about": about}
    return page("b2b/channels.html", "b2b/_allocations.html", status=status, claim_words=claim_words, **facts)


def _coming() -> list[AllocationRule]:
    """The next units that are given back."""
    from sqlalchemy.orm import joinedload

    query = select(AllocationRule).where(AllocationRule.give_back_on.is_not(None), AllocationRule.channel != "shopify")
    query = query.options(joinedload(AllocationRule.item)).order_by(AllocationRule.give_back_on, AllocationRule.id)
    return list(db.session.scalars(query.limit(8)))


def claim_words(rule: AllocationRule) -> str:
    """What a rule claims: "Wholesale 30 %, at least 60"."""
    name = channels.names().get(rule.channel, rule.channel)
    what = (
        "the rest"
        if rule.takes_rest
        else f"{rule.fixed:,} fixed"
        if rule.fixed is not None
        else f"{rule.share_percent} %"
    )
    least = f", at least {rule.floor:,}" if rule.floor else ""
    most = f", at most {rule.ceiling:,}" if rule.ceiling is not None else ""
    return f"{name} {what}{least}{most}"


@blueprint.post("/channels")
def add_channel() -> Response:
    """The shop has one channel more."""
    try:
        channels.add(request.form.get("name", "")[:100], clock.now())
    except RuleError as error:
        db.session.rollback()
        return _index(422, error)
    db.session.commit()
    return see_other("/channels")


@blueprint.post("/channels/own/<key>/<any(rename, remove):verb>")
def change_channel(key: str, verb: str) -> Response:
    """An own channel has another name, or is gone."""
    try:
        channel = channels.find(key)
        if verb == "rename":
            channels.rename(channel, request.form.get("name", "")[:100])
        else:
            channels.remove(channel)
    except RuleError as error:
        db.session.rollback()
        return _index(422, error, key)
    db.session.commit()
    return see_other("/channels")


# One item -------------------------------------------------------------------------------------------------------------------------


@blueprint.get("/channels/items/<int:item_id>")
def one(item_id: int) -> Response:
    """One item: the border, its rules, what was moved."""
    return _one(item_of(item_id))


def _one(item: Item, status: int = 200, toast: str | None = None, **given: Any) -> Response:
    place = levels.location()
    amounts, free = allocations.amounts(item.id, place.id)
    rules = splits.rules_of(item.id, place.id)
    history = splits.history(item.id, 30)
    facts: dict[str, Any] = {"item": item, "place": place, "amounts": amounts, "free": free, "names": channels.names()}
    facts |= {"rules": rules, "history": history, "undone": splits.undone(history), "errors": {}, "values": None}
    facts |= {"not_undone": {"undo", *splits.NOT_UNDONE}}
    facts |= {"preview": None, "stock": levels.of_items([item])[item.id], "colours": colours(), "kinds": KINDS}
    facts |= {"rows": _rule_rows(rules), "is_split": splits.is_split(item), "states": states_of_item(item.id)}
    facts |= _elsewhere(item, place)
    facts |= {"standing": levels.standing_of([item.id]).get(item.id), "claim_words": claim_words}
    return page("b2b/channel_item.html", status=status, toast=toast, **(facts | given))


def _elsewhere(item: Item, place: Location) -> dict[str, Any]:
    """What the webshop may sell at other locations, as (name, units), and the names of all that there are."""
    names = {row.id: row.name for row in db.session.scalars(select(Location).order_by(Location.name))}
    claims = levels.claims_of([item])
    others = [(names[at], of.b2c) for (_, at), of in claims.items() if at != place.id and of.b2c]
    return {"elsewhere": sorted(others), "places": names}


def _rule_rows(rules: Any) -> list[dict[str, str]]:
    """The form's rows: rules in their order, then channels without one."""
    found = []
    for rule in rules:
        kind = "rest" if rule.takes_rest else "fixed" if rule.fixed is not None else "share"
        claims = rule.fixed if rule.fixed is not None else rule.share_percent
        found.append(
            {
                "channel": rule.channel,
                "kind": kind,
                "units": "" if claims is None else str(claims),
                "floor": str(rule.floor or ""),
                "ceiling": "" if rule.ceiling is None else str(rule.ceiling),
                "back": rule.give_back_on.isoformat() if rule.give_back_on else "",
            }
        )
    named = {row["channel"] for row in found}
    empty = {"kind": "none", "units": "", "floor": "", "ceiling": "", "back": ""}
    return found + [{"channel": key, **empty} for key in channels.names() if key not in named]


@blueprint.post("/channels/items/<int:item_id>/amounts")
def move_border(item_id: int) -> Response:
    """Each channel has what was typed, or nothing has changed."""
    item = item_of(item_id)
    try:
        wanted = {key: whole(request.form[key], key) for key in channels.names() if key in request.form}
        done = splitting.move_border(item, wanted, actor=g.user, at=clock.now())
    except RuleError as error:
        db.session.rollback()
        values = {key: request.form.get(key, "")[:20] for key in channels.names()}
        return _one(item_of(item_id), 422, errors={error.field: str(error)}, values=values)
    db.session.commit()
    return _one(item, toast="Moved" if done else "Nothing to move")


@blueprint.post("/channels/items/<int:item_id>/rules/<any(preview, save, share, split):verb>")
def save_rules(item_id: int, verb: str) -> Response:
    """The rules were looked at (nothing changed), saved for new lots, or saved and all that is there was shared by them."""
    item, rows = item_of(item_id), _given_rows()
    at = clock.now()
    try:
        wanted = [_wanted(row) for row in rows if row["kind"] != "none"]
        splits.check(wanted)
        place = levels.location()
        if verb == "preview":
            shifts = splits.what_would_move(item, place.id, [each.claim for each in wanted])
            return _one(item, preview=shifts, rows=rows)
        if verb == "save":
            splits.save_rules(item, place.id, wanted)
        elif verb == "split":
            splitting.split(item, wanted, actor=g.user, at=at)
        else:
            splitting.share_anew(item, wanted, actor=g.user, at=at)
    except RuleError as error:
        db.session.rollback()
        return _one(item_of(item_id), 422, errors={f"rule-{error.field}": str(error)}, rows=rows)
    db.session.commit()
    said = {"save": "Saved. New lots are shared by these rules", "share": "Shared by these rules", "split": "Split"}
    return _one(item, toast=said[verb])


def _given_rows() -> list[dict[str, str]]:
    """The form's rows in the order that was chosen."""
    form, rows = request.form, []
    for key in channels.names():
        row = {
            name: form.get(f"{name}-{key}", "").strip()[:20] for name in ("kind", "units", "floor", "ceiling", "back")
        }
        row["kind"] = row["kind"] if row["kind"] in KINDS else "none"
        rows.append({"channel": key, "order": form.get(f"order-{key}", "")[:3], **row})
    return sorted(rows, key=lambda row: (row["kind"] == "rest", _turn(row["order"])))


def _turn(text: str) -> int:
    """Which turn a rule has; the last for what is no number."""
    return int(text) if text.isascii() and text.isdigit() else 99


def _wanted(row: dict[str, str]) -> Wanted:
    key = row["channel"]
    units = whole(row["units"], key) if row["kind"] in ("fixed", "share") else None
    claim = Claim(
        key,
        fixed=units if row["kind"] == "fixed" else None,
        share_percent=units if row["kind"] == "share" else None,
        floor=whole(row["floor"], key) if row["floor"] else 0,
        ceiling=whole(row["ceiling"], key) if row["ceiling"] else None,
    )
    try:
        back = date.fromisoformat(row["back"]) if row["back"] else None
    except ValueError as error:
        raise RuleError("Give a day such as 2026-12-01.", field=key) from error
    return Wanted(claim, back)


@blueprint.post("/channels/items/<int:item_id>/pool")
def to_pool(item_id: int) -> Response:
    """All channels sell the same units again."""
    item = item_of(item_id)
    splitting.pool(item, actor=g.user, at=clock.now())
    db.session.commit()
    return _one(item, toast="In the pool")


@blueprint.post("/channels/items/<int:item_id>/back")
def give_back(item_id: int) -> Response:
    """All unsold units of a channel were given back."""
    item = item_of(item_id)
    try:
        done = splitting.give_back(item, request.form.get("channel", ""), actor=g.user, at=clock.now())
    except RuleError as error:
        db.session.rollback()
        return _one(item_of(item_id), 422, errors={error.field: str(error)})
    db.session.commit()
    return _one(item, toast="Given back" if done else "Nothing to give back")


@blueprint.post("/channels/changes/<int:change_id>/undo")
def undo(change_id: int) -> Response:
    """What was moved is back, or it is told why not."""
    item_id = row_id(request.form.get("item", "")) or 0
    try:
        splitting.undo(item_of(item_id), change_id, actor=g.user, at=clock.now())
    except RuleError as error:
        db.session.rollback()
        return _one(item_of(item_id), 422, errors={None: str(error)})
    db.session.commit()
    return _one(item_of(item_id), toast="Undone")


@blueprint.post("/channels/items/<int:item_id>/sync/<any(on, off):way>")
def switch_sync(item_id: int, way: str) -> Response:
    """The item is synced with Shopify, or rests."""
    for state in states_of_item(item_of(item_id).id):
        link.switch(state.mapping, way == "on", clock.now())
    db.session.commit()
    return see_other(f"/channels/items/{item_id}")


# The log --------------------------------------------------------------------------------------------------------------------------


@blueprint.get("/channels/log")
def log() -> Response:
    """Every change, by product, channel and cause."""
    item, channel, cause = _filters()
    number = page_number()
    found = lists.log(item.id if item else None, channel, cause, limit=PER_PAGE + 1, offset=(number - 1) * PER_PAGE)
    if not found and number > 1:
        stay_within(lists.count_log(item.id if item else None, channel, cause), number, PER_PAGE)
    q = search_text()
    facts = {
        "rows": found[:PER_PAGE],
        "items": lists.items_of(found),
        "names": channels.names(),
        "causes": lists.CAUSES,
    }
    facts |= {"channel": channel, "cause": cause, "q": q, "number": number, "has_more": len(found) > PER_PAGE}
    facts |= {"unknown": bool(q) and item is None, "free": RELEASED}
    return page("b2b/log.html", **facts)


@blueprint.get("/channels/log.csv")
def log_file() -> Response:
    """The same as a file."""
    item, channel, cause = _filters()
    body = write(lists.LOG_COLUMNS, lists.log_rows(item.id if item else None, channel, cause))
    headers = {"Content-Disposition": "attachment; filename=channel-log.csv"}
    return Response(body, headers=headers, content_type="text/csv; charset=utf-8")


def _filters() -> tuple[Item | None, str, str]:
    channel, cause, q = (request.args.get(name, "").strip()[:100] for name in ("channel", "cause", "q"))
    known = {*channels.names(), RELEASED}
    query = select(Item).where(Item.kind == PRODUCT, or_(Item.sku == q, func.lower(Item.name) == func.lower(q)))
    item = db.session.scalar(query.order_by(Item.id).limit(1)) if q else None
    if q and item is None:
        return Item(id=-1), channel if channel in known else "", cause if cause in lists.CAUSES else ""
    return item, channel if channel in known else "", cause if cause in lists.CAUSES else ""
