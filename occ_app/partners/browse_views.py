"""A partner's products: browsed, priced as one types, picked across pages, imported with progress; their stock pulled, and its log."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from flask import Blueprint, Response, current_app, g, request
from sqlalchemy import func, select

from occ_app import clock
from occ_app.errors import NotFoundError, OutsideError, RuleError
from occ_app.extensions import db
from occ_app.partners import (
    browsing,
    catalogue,
    following,
    health,
    imports,
    making,
    price_rules,
    settings,
    standing,
    stock,
)
from occ_app.partners.browsing import Filter
from occ_app.partners.models import CONNECTED, IN_SHOP, ImportedProduct, Partner, PartnerProduct
from occ_app.partners.price_rules import Prices
from occ_app.partners.prices import KINDS, Rule, offer, rule_of, with_point
from occ_app.sync.paging import PER_PAGE, page_number, pages_of
from occ_app.web import is_fragment, page, row_id, see_other
from occ_app.work import tasks

blueprint = Blueprint("partner_goods", __name__, url_prefix="/partners/<int:partner_id>")
MOST_TEXT = 100
FOLLOWED = ("follow_title", "follow_images", "follow_price")  # ticks of the import form
SYMBOLS = {"GBP": "£", "EUR": "€", "USD": "$", "JPY": "¥"}
KIND_WORDS = {"margin_percent": "Margin, % of price", "markup": "Markup, % on cost", "margin": "Fixed margin"}


@blueprint.app_template_filter("in_currency")
def in_currency(amount: Decimal | None, currency: str) -> str:
    """An amount with its currency, as people write it."""
    if amount is None:
        return "–"
    sign = SYMBOLS.get(currency)
    return f"{sign}{amount:,}" if sign else f"{amount:,} {currency}"


@dataclass
class Asked:
    """What the browsing form says: the filter, the picks of all pages, the prices that are tried out, and what is wrong with them."""

    filter: Filter
    number: int
    picked: set[int]
    is_all: bool
    prices: Prices
    rule: Rule | None
    texts: dict[str, str]
    errors: dict[str, str]


@blueprint.route("/products", methods=["GET", "POST"])
def products(partner_id: int) -> Response:
    """What the partner sells, with cost, price and margin under the rule in the form."""
    return _browse(standing.get(partner_id))


@blueprint.post("/rate")
def save_rate(partner_id: int) -> Response:
    """What one unit of their currency is in the shop's."""
    partner, given = standing.get(partner_id), request.form.get("rate", "")
    try:
        if not given.strip():
            raise RuleError("Give a number, such as 0.86.")
        standing.say_rate(partner, with_point(given))
    except RuleError as error:
        db.session.rollback()
        words = str(error).removeprefix("exchange_rate: ")
        return _browse(standing.get(partner_id), 422, rate_given=given[:14], rate_error=words)
    db.session.commit()
    return see_other(f"/partners/{partner.id}/products")


def _browse(
    partner: Partner, status: int = 200, refusal: str = "", rate_given: str = "", rate_error: str = ""
) -> Response:
    asked = _asked(partner)
    total = browsing.count(partner, asked.filter)
    asked.number = min(asked.number, max(1, -(-total // browsing.PER_PAGE)))
    rows = browsing.rows(partner, asked.filter, asked.number, rule=asked.rule, prices=asked.prices)
    types, vendors = browsing.choices(partner)
    shown = {row.product.id for row in rows}
    facts = {
        "partner": partner,
        "asked": asked,
        "rows": rows,
        "total": total,
        "per_page": browsing.PER_PAGE,
        "elsewhere": sorted(asked.picked - shown),
        "example": _example(rows, asked),
        "kinds": KIND_WORDS,
        "refusal": refusal,
        "is_waiting": False,
        "rate_given": rate_given,
        "rate_error": rate_error,
        "is_part": is_fragment(),
        "ours": asked.prices.ours,
        "theirs": asked.prices.theirs,
    }
    more = {
        "light": health.light_of(partner, 0.0, clock.now()),
        "types": types,
        "vendors": vendors,
        "pull": catalogue.newest(partner),
        "run": imports.newest(partner),
        "pending": following.pending_count(partner),
        "roundings": settings.CHOICES["rounding"],
        "imported": _imported(partner),
        "held": browsing.held_back(partner),
    }
    return page("partners/products.html", "partners/_products.html", status=status, **facts, **more)


def _asked(partner: Partner) -> Asked:
    given = request.values
    texts = {name: given.get(name, "").strip()[:MOST_TEXT] for name in ("q", "type", "vendor", "least", "most")}
    errors: dict[str, str] = {}
    chosen = Filter(
        q=texts["q"],
        product_type=given.get("type", "")[:255],
        vendor=given.get("vendor", "")[:255],
        stock=_one(given.get("stock"), browsing.STOCKS),
        shown=_one(given.get("view"), browsing.SHOWN),
        least=_amount(texts, "least", errors),
        most=_amount(texts, "most", errors),
        sort=_one(given.get("sort"), browsing.SORTS),
    )
    prices = Prices(partner)
    rule = _rule(prices, texts, errors)
    texts_of_ids = [*given.getlist("p"), *given.getlist("keep")][: 2 * imports.MOST_PRODUCTS]
    ids = {number for number in map(row_id, texts_of_ids) if number is not None}
    number = min(100_000, max(1, request.args.get("page", 1, int)))
    return Asked(chosen, number, ids, bool(given.get("all")), prices, rule, texts, errors)


def _one(text: str | None, known: tuple[str, ...]) -> str:
    return text if text in known else known[0]


def _amount(texts: dict[str, str], name: str, errors: dict[str, str]) -> Decimal | None:
    if not texts[name]:
        return None
    try:
        value = Decimal(with_point(texts[name]))
    except RuleError as error:
        errors[name] = str(error)
        return None
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or not 0 <= value < 10**12:
        errors[name] = "Give an amount, such as 12.50."
        return None
    return value


def _rule(prices: Prices, texts: dict[str, str], errors: dict[str, str]) -> Rule | None:
    """The rule that is tried out, None where it is the kept one. Rounding and least margin go to `prices`."""
    kept, given = prices.of_partner, request.values
    kind = _one(given.get("kind"), (kept.kind, *KINDS))
    texts["value"] = given.get("value", f"{kept.value.normalize():f}").strip()[:20]
    texts["kind"] = kind
    texts["minimum"] = given.get("minimum", f"{prices.minimum_margin_percent.normalize():f}").strip()[:20]
    prices.rounding = _one(given.get("rounding"), (prices.rounding, *settings.CHOICES["rounding"]))
    try:
        parsed = settings.SETTINGS["minimum_margin_percent"].parse(with_point(texts["minimum"]))
        prices.minimum_margin_percent = Decimal(parsed)
    except RuleError as error:
        errors["minimum"] = str(error)
    try:
        rule = rule_of(kind, texts["value"])
    except RuleError as error:
        errors["value"] = str(error)
        return None
    return None if rule == kept else rule


def _example(rows: list[browsing.Row], asked: Asked) -> dict[str, Any] | None:
    """The equation of one price: of the first picked product on the page, else of the first that is not imported yet."""
    free = [row for row in rows if row.copy is None and row.least.price is not None]
    row = next((row for row in free if row.product.id in asked.picked), free[0] if free else None)
    if row is None:
        return None
    pricing = asked.prices.pricing(row.product.product_type, None, asked.rule)
    return {"row": row, "offer": offer(row.product.least_price, None, pricing), "rule": pricing.rule}


def _imported(partner: Partner) -> int:
    query = select(func.count(ImportedProduct.id)).where(ImportedProduct.partner_id == partner.id, IN_SHOP)
    return db.session.scalar(query) or 0


@blueprint.get("/reading")
def reading(partner_id: int) -> Response:
    """How far the reading of the catalogue is. After the first one the page itself; later ones leave what is picked there alone."""
    partner, is_first = standing.get(partner_id), "first" in request.args
    pull = catalogue.newest(partner)
    response = page("partners/_reading.html", partner=partner, pull=pull, is_waiting=is_first)
    if is_first and (pull is None or pull.finished_at is not None):
        response.headers["HX-Location"] = f"/partners/{partner_id}/products"
    return response


@blueprint.get("/places")
def places(partner_id: int) -> Response:
    """The merchant's sales channels and collections, to choose from."""
    standing.get(partner_id)
    client = current_app.extensions["occ_connections"].client(g.shop)
    try:
        channels, collections = making.sales_places(client)
    except OutsideError as error:
        return page("partners/_places.html", channels=[], collections=[], error=str(error))
    return page("partners/_places.html", channels=channels, collections=collections, error="")


@blueprint.get("/products/<int:product_id>")
def product(partner_id: int, product_id: int) -> Response:
    """One product of the partner with its variants, each with cost, price, compare-at price and margin."""
    partner = standing.get(partner_id)
    found = _product(partner, product_id)
    copy = db.session.scalar(select(ImportedProduct).where(ImportedProduct.partner_product_id == found.id))
    prices = Prices(partner)
    rows = browsing.variants(found, prices, copy)
    rule = prices.rule(found.product_type, copy)
    return page("partners/product.html", partner=partner, product=found, copy=copy, rows=rows, prices=prices, rule=rule)


def _product(partner: Partner, product_id: int) -> PartnerProduct:
    query = select(PartnerProduct).where(PartnerProduct.id == product_id, PartnerProduct.partner_id == partner.id)
    found = db.session.scalar(query)
    if found is None:
        raise NotFoundError("There is no such product of this partner.")
    return found


# Importing ------------------------------------------------------------------------------------------------------------------------


@blueprint.post("/imports")
def begin(partner_id: int) -> Response:
    """The picked products are being imported; the page of the run shows how far it is."""
    partner = standing.get(partner_id)
    try:
        run = _begin(partner)
    except RuleError as error:
        db.session.rollback()
        return _browse(standing.get(partner_id), 422, str(error))
    db.session.commit()
    return see_other(f"/partners/{partner_id}/imports/{run.id}")


def _begin(partner: Partner) -> imports.ImportRun:
    asked = _asked(partner)
    if asked.errors:
        raise RuleError("Set right what is marked first.")
    ids = browsing.ids(partner, asked.filter, imports.MOST_PRODUCTS + 1) if asked.is_all else sorted(asked.picked)
    if not ids:
        raise RuleError("Pick at least one product: tick the boxes in front of them.")
    standing.set_up(
        partner,
        {"rounding": asked.prices.rounding, "minimum_margin_percent": f"{asked.prices.minimum_margin_percent:f}"},
    )
    rule = asked.rule
    if rule is not None and request.form.get("keep_rule"):
        price_rules.set_partner_rule(partner, rule)
        following.notice(partner, clock.now())
        rule = None
    tags = tuple(tag.strip()[:255] for tag in request.form.get("tags", "")[:1000].split(",") if tag.strip())
    standing.set_up(partner, {name: _followed(partner, name) for name in FOLLOWED})
    chosen = imports.Choices(
        status=_one(request.form.get("as"), imports.STATUSES),
        channels=_gids("channel", "Publication") if request.form.get("choose_channels") else None,
        collections=_gids("collection", "Collection"),
        tags=tags,
        rule=rule,
    )
    return imports.start(partner, dict.fromkeys(ids), chosen, actor=g.user, at=clock.now())


def _followed(partner: Partner, name: str) -> str:
    """What the tick says: follow, or else no longer follow; "ask me" and "keep mine" stay as they are."""
    if request.form.get(name):
        return "follow"
    kept = str(settings.get(partner, name))
    return str(settings.SETTINGS[name].default) if kept == "follow" else kept


def _gids(name: str, kind: str) -> tuple[str, ...]:
    """The ids of that kind that the form gives."""
    begin = f"gid://shopify/{kind}/"
    found = (
        text
        for text in request.form.getlist(name)[:50]
        if text.isascii() and text.startswith(begin) and text[len(begin) :].isdigit()
    )
    return tuple(dict.fromkeys(found))


@blueprint.get("/imports/<int:run_id>")
def run(partner_id: int, run_id: int) -> Response:
    """How far an import is, what was left out, what failed."""
    partner = standing.get(partner_id)
    found = imports.get_run(partner, run_id)
    facts = {"partner": partner, "run": found, "progress": imports.progress(found), "failed": imports.failed_of(found)}
    return page("partners/import.html", "partners/_import.html", **facts)


@blueprint.post("/imports/<int:run_id>/again")
def again(partner_id: int, run_id: int) -> Response:
    """What failed is tried again, in a run of its own."""
    partner = standing.get(partner_id)
    found = imports.again(partner, imports.get_run(partner, run_id), actor=g.user, at=clock.now())
    db.session.commit()
    return see_other(f"/partners/{partner_id}/imports/{found.id}")


# Stock ----------------------------------------------------------------------------------------------------------------------------


@blueprint.post("/sync")
def sync(partner_id: int) -> Response:
    """All that was imported from the partner is being read."""
    partner = _connected(partner_id)
    stock.want(partner, clock.now())
    tasks.ask("partner_stock", g.shop_id)
    db.session.commit()
    return see_other(f"/partners/{partner_id}/pulls")


@blueprint.post("/products/<int:product_id>/sync")
def sync_product(partner_id: int, product_id: int) -> Response:
    """The stock of one product is being read."""
    partner = _connected(partner_id)
    stock.nudge_products(partner, [_product(partner, product_id).id], clock.now())
    tasks.ask("partner_stock", g.shop_id)
    db.session.commit()
    return see_other(f"/partners/{partner_id}/products/{product_id}")


@blueprint.post("/catalogue")
def refresh(partner_id: int) -> Response:
    """The whole catalogue is being read anew."""
    partner = _connected(partner_id)
    catalogue.want(partner, clock.now())
    tasks.ask("partner_catalogue", g.shop_id)
    db.session.commit()
    return see_other(f"/partners/{partner_id}/products")


def _connected(partner_id: int) -> Partner:
    partner = standing.get(partner_id)
    if partner.state != CONNECTED:
        raise RuleError(f"{partner.name} is not connected at the moment, so nothing can be read from them.")
    return partner


@blueprint.get("/pulls")
def pulls(partner_id: int) -> Response:
    """Every reading of the partner: when, of how much, what changed, what it cost, how it ended."""
    partner = standing.get(partner_id)
    total = stock.count_runs(partner)
    number = min(page_number(), max(1, -(-total // PER_PAGE)))
    runs = stock.runs(partner, PER_PAGE, (number - 1) * PER_PAGE)
    facts = {
        "partner": partner,
        "runs": runs,
        "is_at_work": any(run.finished_at is None for run in runs),
        "number": number,
        "pages": pages_of(total, number, f"/partners/{partner.id}/pulls", {}),
    }
    return page("partners/pulls.html", "partners/_pulls.html", **facts)
