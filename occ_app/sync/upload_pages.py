"""Importing a file: choose it, look at what it would change, take it in."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, g, request

from occ_app import clock
from occ_app.errors import BadFileError, BadLine, RuleError
from occ_app.extensions import db
from occ_app.sync import files, uploads
from occ_app.web import page

blueprint = Blueprint("uploads", __name__)
COLUMNS = {
    "items": files.ITEMS,
    "ingredients": files.production.INGREDIENTS,
    "formulas": files.production.FORMULAS,
    "lots": files.LOTS,
    "mappings": files.MAPPINGS,
    "allocations": files.ALLOCATIONS,
}
SEEN_AT = {
    "items": "/products",
    "ingredients": "/production/ingredients",
    "formulas": "/production/formulas",
    "lots": "/lots",
    "mappings": "/mapping?view=mapped",
    "allocations": "/channels",
}


@blueprint.get("/import")
def choose() -> Response:
    """The form for a file."""
    kind = request.args.get("kind", "")
    return _form(kind if kind in files.KINDS else "items")


def _form(kind: str, status: int = 200, **facts: Any) -> Response:
    facts = {"bad_lines": [], "error": "", "name": ""} | facts
    return page("sync/import.html", status=status, kind=kind, columns=COLUMNS, seen_at=SEEN_AT, **facts)


@blueprint.post("/import")
def look() -> Response:
    """What the file would change; it waits to be taken in. Nothing is changed yet."""
    kind, sent = request.form.get("kind", ""), request.files.get("file")
    if sent is None or not sent.filename:
        return _form(kind if kind in files.KINDS else "items", 422, error="Choose a CSV file first.")
    name, data, at = sent.filename[-200:], sent.read(), clock.now()
    try:
        found = uploads.preview(uploads.check_kind(kind), data, g.user, at)
    except BadFileError as error:
        return _form(kind, 422, bad_lines=error.lines, name=name)
    except RuleError as error:
        return _form("items", 422, error=str(error))
    upload = uploads.keep(kind, name.replace("\x00", ""), data, actor=g.user, at=at)
    db.session.commit()
    return page("sync/import_preview.html", upload=upload, preview=found, kind=kind, columns=COLUMNS[kind])


@blueprint.post("/import/<int:upload_id>/take")
def take(upload_id: int) -> Response:
    """The file was taken in whole, or every line that has become wrong meanwhile is named."""
    try:
        kind, lines = uploads.take(upload_id, actor=g.user, at=clock.now())
    except BadFileError as error:
        db.session.rollback()
        return _form("items", 422, bad_lines=error.lines)
    except RuleError as error:
        db.session.rollback()
        return _form("items", 422, bad_lines=[BadLine(1, str(error))])
    db.session.commit()
    return page("sync/import_done.html", kind=kind, lines=lines, seen_at=SEEN_AT[kind])
