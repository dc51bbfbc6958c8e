"""The quality checks of an item: what is looked at in each of its lots."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request
from sqlalchemy import select

from occ_app import clock
from occ_app.catalog.models import PRODUCT, Item
from occ_app.errors import NotFoundError, RuleError
from occ_app.extensions import db
from occ_app.stock import quality
from occ_app.stock.models import NUMBER, PASS_FAIL, QualityCheck
from occ_app.web import page, see_other

blueprint = Blueprint("checks", __name__)
KIND_WORDS = {PASS_FAIL: "Passed or failed", NUMBER: "A number with limits"}
FIELDS = ("name", "kind", "unit", "least", "most")


def _item(item_id: int) -> Item:
    item = db.session.scalar(select(Item).where(Item.id == item_id, Item.kind == PRODUCT))
    if item is None:
        raise NotFoundError("There is no such product here.")
    return item


@blueprint.get("/products/<int:item_id>/checks")
def index(item_id: int) -> Response:
    """The item's checks, and the form for one more."""
    return _shown(_item(item_id), {"kind": PASS_FAIL, "is_required": "yes"}, {})


def _shown(
    item: Item,
    values: dict[str, str],
    errors: dict[str | None, str],
    status: int = 200,
    changed: QualityCheck | None = None,
) -> Response:
    """`changed`: the check that the form changes; without it the form adds one."""
    facts = {"item": item, "checks": quality.checks_of(item.id), "values": values, "errors": errors}
    return page("stock/checks.html", status=status, kinds=KIND_WORDS, changed=changed, **facts)


@blueprint.post("/products/<int:item_id>/checks")
def add(item_id: int) -> Response:
    """Lots of the item are to pass one check more."""
    item, values = _item(item_id), _values()
    try:
        quality.add(item, **_facts(values), at=clock.now())
    except RuleError as error:
        db.session.rollback()
        return _shown(_item(item_id), values, {error.field: str(error)}, 422)
    db.session.commit()
    return see_other(f"/products/{item_id}/checks")


def _values() -> dict[str, str]:
    values = {name: request.form.get(name, "").strip()[:200] for name in FIELDS}
    return values | {"is_required": "yes" if request.form.get("is_required") == "yes" else ""}


def _facts(values: dict[str, str]) -> dict[str, Any]:
    """What a check is, as the form says it. Raises RuleError."""
    limits = {name: quality.parse_number(values[name], name) for name in ("least", "most")}
    words = {name: values[name] for name in ("name", "kind", "unit")}
    return {**words, **limits, "is_required": bool(values["is_required"])}


@blueprint.get("/products/<int:item_id>/checks/<int:check_id>")
def one(item_id: int, check_id: int) -> Response:
    """The form that changes a check."""
    check = _check(item_id, check_id)
    limits = {name: getattr(check, name) for name in ("least", "most")}
    values = {name: "" if number is None else f"{number.normalize():f}" for name, number in limits.items()}
    values |= {"name": check.name, "kind": check.kind, "unit": check.unit}
    return _shown(_item(item_id), values | {"is_required": "yes" if check.is_required else ""}, {}, changed=check)


@blueprint.post("/products/<int:item_id>/checks/<int:check_id>")
def change(item_id: int, check_id: int) -> Response:
    """The check is as the form says."""
    check, values = _check(item_id, check_id), _values()
    try:
        quality.change(check, **_facts(values), at=clock.now())
    except RuleError as error:
        db.session.rollback()
        return _shown(_item(item_id), values, {error.field: str(error)}, 422, changed=_check(item_id, check_id))
    db.session.commit()
    return see_other(f"/products/{item_id}/checks")


@blueprint.post("/products/<int:item_id>/checks/<int:check_id>/end")
def end(item_id: int, check_id: int) -> Response:
    """Lots need not pass the check any more; its results stay."""
    quality.end(_check(item_id, check_id), clock.now())
    db.session.commit()
    return see_other(f"/products/{item_id}/checks")


def _check(item_id: int, check_id: int) -> QualityCheck:
    check = quality.get(check_id)
    if check.item_id != item_id:
        raise NotFoundError("There is no such check here.")
    return check
