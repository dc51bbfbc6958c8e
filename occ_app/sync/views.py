"""Products, and a product with why its number is what it is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, g, request
from sqlalchemy import case, exists, func, or_, select

from occ_app import clock
from occ_app.catalog import items as new_items
from occ_app.catalog import pull
from occ_app.catalog.models import INGREDIENT, LONGEST_SHELF_LIFE, Item, Location, Mapping, Variant
from occ_app.errors import NotFoundError, RuleError
from occ_app.extensions import db
from occ_app.searching import contains
from occ_app.shops import settings
from occ_app.stock import ledger
from occ_app.stock.lots import MOST_UNITS
from occ_app.stock.models import Balance, Lot, StockMove
from occ_app.stock.rules import BACKORDER, COUNTED, sellable
from occ_app.sync import desk, explain, files, modes, targets, undo
from occ_app.sync.models import PushLine, SyncException, SyncState
from occ_app.sync.paging import PER_PAGE, page_number, pages_of, search_text
from occ_app.sync.words import status_of
from occ_app.web import page, see_other
from occ_app.work import tasks

blueprint = Blueprint("products", __name__)
VIEWS = ("all", "attention", "unmapped")  # with their counts
ARCHIVED = "archived"


@blueprint.get("/products")
def products() -> Response:
    """Items with sellable, Shopify's number and whether the two agree."""
    view = request.args.get("view", "all") if request.args.get("view") in (*VIEWS, ARCHIVED) else "all"
    q, sort, number = search_text(), request.args.get("sort", "status"), page_number()
    rows, total = _product_rows(view, q, sort, number)
    query = {"view": view, "q": q, "sort": sort}
    return page(
        "sync/products.html",
        "sync/_products.html",
        rows=rows,
        pages=pages_of(total, number, "/products", query),
        view=view,
        q=q,
        sort=sort,
        counts=_product_counts(),
        modes=settings.get(g.shop, "sync_mode"),
    )


def _product_query(*, archived: bool = False):  # type: ignore[no-untyped-def]
    drifting = exists().where(
        SyncException.mapping_id == SyncState.mapping_id,
        SyncException.kind == desk.DRIFT,
        SyncException.settled_at.is_(None),
    )
    short = (
        select(func.sum(Balance.quantity))
        .where(Balance.item_id == Item.id, Balance.place == BACKORDER)
        .correlate(Item)
        .scalar_subquery()
    )
    rank = case(
        (short < 0, 0),
        (drifting, 1),
        (SyncState.state.in_(("parked", "awaiting_approval", "awaiting_link")), 2),
        (SyncState.mapping_id.is_(None), 3),
        else_=4,
    )
    query = (
        select(
            Item,
            SyncState,
            Variant,
            Mapping.units_per_variant,
            drifting.label("drifting"),
            func.coalesce(short, 0).label("short"),
        )
        .select_from(Item)
        .outerjoin(Mapping, (Mapping.item_id == Item.id) & Mapping.ended_at.is_(None))
        .outerjoin(SyncState, SyncState.mapping_id == Mapping.id)
        .outerjoin(Variant, Variant.id == Mapping.variant_id)
        .where(Item.kind != INGREDIENT, Item.archived_at.is_not(None) if archived else Item.archived_at.is_(None))
    )
    return query, rank


def _product_rows(view: str, q: str, sort: str, number: int) -> tuple[list[dict[str, Any]], int]:
    query, rank = _product_query(archived=view == ARCHIVED)
    if q:
        query = query.where(contains(q, Item.name, Item.sku, Variant.barcode, Variant.sku))
    if view == "attention":
        query = query.where(rank < 3)
    if view == "unmapped":
        query = query.where(SyncState.mapping_id.is_(None))
    total = db.session.scalar(select(func.count()).select_from(query.subquery())) or 0
    order = {
        "name": (Item.name,),
        "sellable": ((SyncState.sellable / Mapping.units_per_variant).desc().nulls_last(), Item.name),
        "shopify": (SyncState.read_available.desc().nulls_last(), Item.name),
    }.get(sort, (rank, Item.name))
    found = db.session.execute(query.order_by(*order, Item.id).limit(PER_PAGE).offset((number - 1) * PER_PAGE)).all()
    held = ledger.holdings(item.id for item, state, *_ in found if state is None)
    elsewhere = targets.beside(item for item, state, *_ in found if state is None)
    default = pull.default_location()
    return [_product_row(*row, held, elsewhere, default.id if default else 0) for row in found], total


def _product_row(
    item: Item,
    state: SyncState | None,
    variant: Variant | None,
    per_variant: int | None,
    drifting: bool,
    short: int,
    held: Any,
    elsewhere: Any,
    place: int,
) -> dict[str, Any]:
    key = (item.id, place)
    equation = [] if state else targets.equation(item, held.get(key, []), g.shop, beside=elsewhere.get(key, []))
    units = state.sellable if state else sellable(equation)
    differs = state is not None and state.target != state.expected
    return {
        "item": item,
        "variant": variant,
        "mode": targets.mode_of(item, g.shop),
        "sellable": max(0, units) // (per_variant or 1),  # in units of the variant, as Shopify counts
        "pieces": max(0, units) if (per_variant or 1) > 1 else None,
        "shopify": state.read_available if state else None,
        "target": max(0, state.target) if state else None,
        "status": status_of(state.state if state else None, state.drift if state else 0, drifting, differs, int(short)),
    }


def _product_counts() -> dict[str, int]:
    query, rank = _product_query()
    inner = query.add_columns(rank.label("rank")).subquery()
    row = db.session.execute(
        select(
            func.count(),
            func.count().filter(inner.c.rank < 3),
            func.count().filter(inner.c.rank == 3),
        ).select_from(inner)
    ).one()
    return dict(zip(VIEWS, row, strict=True))


@blueprint.get("/products/new")
def new_item() -> Response:
    """The form for a new item."""
    return page("sync/item_form.html", errors={}, values={})


@blueprint.post("/products")
def create_item() -> Response:
    """A new item is there, and its page is shown."""
    values = {
        name: request.form.get(name, "").strip()[:200] for name in ("sku", "name", "safety_stock", "shelf_life_days")
    }
    try:
        item = _new_item(values)
    except RuleError as error:
        db.session.rollback()
        return page("sync/item_form.html", status=422, errors={error.field: str(error)}, values=values)
    db.session.commit()
    return see_other(f"/products/{item.id}")


def _new_item(values: dict[str, str]) -> Item:
    for name, words in (
        ("sku", "Give a SKU, such as CB-BAR-SS70-80."),
        ("name", "Give a name, such as Sea Salt Dark 70 % bar, 80 g."),
    ):
        if not values[name]:
            raise RuleError(words, field=name)
    new_items.refuse_taken(values["sku"])
    item = Item(sku=values["sku"], name=values["name"], unit="piece", created_at=clock.now())
    item.safety_stock = _whole(values, "safety_stock", 0, MOST_UNITS) or 0
    item.shelf_life_days = _whole(values, "shelf_life_days", 1, LONGEST_SHELF_LIFE)
    new_items.add(item)
    return item


def _whole(values: dict[str, str], name: str, least: int, most: int) -> int | None:
    text = values.get(name, "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most):
        raise RuleError(f"Give a whole number from {least} to {most:,}, or nothing.", field=name)
    return int(text)


def product_item(item_id: int | None) -> Item:
    """The shop's product, or a partner's goods, with that id. Raises NotFoundError."""
    item = db.session.scalar(select(Item).where(Item.id == item_id, Item.kind != INGREDIENT))
    if item is None:
        raise NotFoundError("There is no such product here.")
    return item


@blueprint.get("/products/<int:item_id>")
def product(item_id: int) -> Response:
    """Why the number is what it is, the last pushes, where it sells."""
    item = product_item(item_id)
    states = modes.states_of_item(item.id)
    chosen = next(
        (s for s in states if str(s.mapping_id) == request.args.get("mapping")), states[0] if states else None
    )
    facts = _why(item, chosen)
    if request.headers.get("HX-Target", "").endswith("why"):
        return page("sync/product.html", "sync/_why.html", item=item, state=chosen, **facts)
    pushes = _pushes([state.mapping_id for state in states])
    undos, newest = undo.facts_of(pushes)
    facts |= {"undos": undos, "can_undo": lambda line: undo.can(line, undos.get(line.id), newest)}
    facts |= {"pushes": pushes, "sold": _sold(item.id), "unsold": _unsold(item, states), "claims": _claims(item)}
    return page("sync/product.html", item=item, state=chosen, states=states, **facts)


def _unsold(item: Item, states: Sequence[SyncState]) -> list[tuple[Location, int]]:
    """Locations where units could be sold but no variant is mapped, with the units: they are on sale nowhere."""
    selling = {state.mapping.location_id for state in states}
    left = {at: held for (_, at), held in ledger.holdings([item.id]).items() if at not in selling}
    units = {at: sellable(targets.equation(item, held, g.shop)) for at, held in left.items()}
    places = db.session.scalars(select(Location).where(Location.id.in_(units)).order_by(Location.name))
    return [(place, units[place.id]) for place in places if units[place.id] > 0]


def _claims(item: Item) -> list[tuple[Location, explain.Claims]]:
    """Who may sell how much at which location, the default location first."""
    found = {at: claims for (_, at), claims in explain.claims_of([item]).items()}
    default = pull.default_location()
    places = db.session.scalars(select(Location).where(Location.id.in_(found)).order_by(Location.name)).all()
    first = default.id if default else 0
    shown = [(place, found[place.id]) for place in sorted(places, key=lambda place: place.id != first)]
    return [(place, claims) for place, claims in shown if place.id == first or claims.b2c]


def _why(item: Item, state: SyncState | None) -> dict[str, Any]:
    default = pull.default_location()
    place = state.mapping.location if state else default
    holdings = ledger.holdings([item.id]).get((item.id, place.id if place else 0), [])
    beside = targets.beside([item]).get((item.id, place.id if place else 0), [])
    equation = targets.equation(item, holdings, g.shop, beside=beside)
    names = [term.name for term in equation]
    term = request.args.get("term") if request.args.get("term") in names else names[0]
    today = targets.today(g.shop)
    lots = {
        lot.id: lot
        for lot in db.session.scalars(
            select(Lot).where(Lot.item_id == item.id, Lot.id.in_([h.lot_id for h in holdings]))
        )
    }
    in_term = [h for h in holdings if _belongs(h, term or "", COUNTED[targets.mode_of(item, g.shop)], today)]
    elsewhere: dict[str, int] = {}
    for holding in holdings:
        if (
            holding.place not in names
            and holding.quantity > 0
            and holding.place not in COUNTED[targets.mode_of(item, g.shop)]
        ):
            elsewhere[holding.place] = elsewhere.get(holding.place, 0) + holding.quantity
    physical = {
        k: v
        for k, v in elsewhere.items()
        if k in ("completed", "packaged", "in_review", "on_hold", "committed", "reserved") or ":" in k
    }
    return {
        "equation": equation,
        "total": sellable(equation),
        "term": term,
        "in_term": sorted(in_term, key=lambda h: (h.expires_on is None, str(h.expires_on), h.lot_id or 0)),
        "lots": lots,
        "today": today,
        "elsewhere": physical,
        "place": place,
        "mode": targets.mode_of(item, g.shop),
        "moves": _moves(item.id, place.id if place else 0, term or ""),
    }


def _belongs(holding: Any, term: str, counted: tuple[str, ...], today: Any) -> bool:
    if term == "expired":
        return holding.place in counted and holding.is_expired(today) and not holding.is_recalled
    if term == "recalled":
        return holding.place in counted and holding.is_recalled
    return holding.place == term


def _moves(item_id: int, location_id: int, term: str) -> list[StockMove]:
    query = select(StockMove).where(StockMove.item_id == item_id, StockMove.location_id == location_id)
    if term not in ("expired", "recalled", "safety_stock"):
        query = query.where(or_(StockMove.from_place == term, StockMove.to_place == term))
    return list(db.session.scalars(query.order_by(StockMove.id.desc()).limit(15)))


def _pushes(mapping_ids: list[int]) -> list[PushLine]:
    query = select(PushLine).where(PushLine.mapping_id.in_(mapping_ids)).order_by(PushLine.id.desc()).limit(8)
    return list(db.session.scalars(query))


def _sold(item_id: int) -> list[tuple[Any, int]]:
    """(day, units) of the last 30 days in the shop's time zone, days without a sale too."""
    zone, today = settings.get(g.shop, "time_zone"), targets.today(g.shop)
    day = func.date(func.timezone(zone, StockMove.moved_at))
    query = (
        select(day, func.sum(StockMove.quantity))
        .where(StockMove.item_id == item_id, StockMove.reason == "order_take", StockMove.to_place == "committed")
        .where(StockMove.moved_at > clock.now() - timedelta(days=32))
        .group_by(day)
    )
    sums = {found: int(units) for found, units in db.session.execute(query)}
    return [(when, sums.get(when, 0)) for when in (today - timedelta(days=n) for n in range(29, -1, -1))]


@blueprint.post("/products/<int:item_id>/sync")
def sync_now(item_id: int) -> Response:
    """The product's numbers are compared with Shopify's now."""
    tasks.ask("reconcile", g.shop_id)
    db.session.commit()
    return see_other(f"/products/{item_id}")


@blueprint.get("/export/<kind>.csv")
def export(kind: str) -> Response:
    """A CSV file."""
    if kind not in files.KINDS:
        raise NotFoundError(f"There is no such file. There are: {', '.join(files.KINDS)}.")
    headers = {"Content-Disposition": f"attachment; filename={kind}.csv"}
    return Response(files.KINDS[kind].give(), mimetype="text/csv", headers=headers)
