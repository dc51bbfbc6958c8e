"""Labels of lots to print, each with a QR code that opens the lot in the app."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import segno
from flask import Blueprint, Response, current_app, g, request

from occ_app.config import Config
from occ_app.errors import NotFoundError, RuleError
from occ_app.shops import settings
from occ_app.shops.models import Shop
from occ_app.stock import listing
from occ_app.web import page, row_id

blueprint = Blueprint("labels", __name__)
MOST_LOTS, MOST_COPIES = 50, 240


@dataclass(frozen=True)
class Size:
    """A kind of label. `per_sheet` None: a roll, one label a page."""

    words: str
    per_sheet: int | None = None


# Named after their millimetres; static/labels.css draws each.
SIZES = {
    "62x29": Size("Roll 62 × 29 mm"),
    "57x32": Size("Roll 57 × 32 mm"),
    "100x50": Size("Roll 100 × 50 mm"),
    "a4-24": Size("A4 sheet, 24 labels of 70 × 37 mm", 24),
    "a4-65": Size("A4 sheet, 65 labels of 38.1 × 21.2 mm", 65),
}


def lot_url(config: Config, shop: Shop, lot_id: int) -> str:
    """Where the lot's page is inside the shop's admin; a phone that is signed in there opens it."""
    admin = config.standin_url or "https://admin.shopify.com"
    return f"{admin}/store/{shop.domain.removesuffix('.myshopify.com')}/apps/{config.api_key}/lots/{lot_id}"


def qr(url: str) -> str:
    """The QR code as inline SVG without a size of its own, with the quiet zone that readers need. Source: ISO/IEC 18004."""
    return segno.make(url, error="m", micro=False).svg_inline(omitsize=True, border=4, svgclass="qr", lineclass=None)


@blueprint.get("/lots/labels")
def labels() -> Response:
    """The labels as they will be printed, and how many of which size."""
    given = ",".join(request.args.getlist("lot")).split(
        ","
    )  # ticked one by one, or in one word where a link names them
    chosen = [row_id(text) for text in given[:MOST_LOTS]]
    rows = listing.of_ids(one for one in chosen if one is not None)
    if not rows:
        raise NotFoundError("Choose lots first: tick them in the list of lots, then press Labels.")
    errors: dict[str | None, str] = {}
    values = {name: request.args.get(name, default)[:10] for name, default in (("copies", "1"), ("skip", "0"))}
    try:
        copies = _whole(values["copies"], "copies", 1, MOST_COPIES)
        skip = _whole(values["skip"], "skip", 0, 64)
    except RuleError as error:
        errors[error.field], copies, skip = str(error), 1, 0
    size = request.args.get("size") if request.args.get("size") in SIZES else _usual_size()
    config: Config = current_app.extensions["occ_config"]
    made: list[dict[str, Any]] = [{"row": row, "qr": qr(lot_url(config, g.shop, row.lot.id))} for row in rows]
    all_labels = [one for one in made for _ in range(copies)]
    per_sheet = SIZES[size].per_sheet
    cells: list[dict[str, Any] | None] = [*([None] * (skip if per_sheet else 0)), *all_labels]
    sheets = [cells[n : n + (per_sheet or 1)] for n in range(0, len(cells), per_sheet or 1)]
    facts = {"rows": rows, "sheets": sheets, "size": size, "sizes": SIZES, "values": values, "errors": errors}
    return page("stock/labels.html", status=422 if errors else 200, number=len(all_labels), **facts)


def _usual_size() -> str:
    """The size that was chosen in the settings."""
    return str(settings.get(g.shop, "label_size"))


def _whole(text: str, name: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most):
        raise RuleError(f"Give a whole number from {least} to {most}.", field=name)
    return int(text)
