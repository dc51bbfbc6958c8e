"""Files that a person looks at before they are taken in: what each would change, and then all of it or nothing."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select

from occ_app.errors import NotFoundError, RuleError
from occ_app.extensions import db
from occ_app.sync.files import KINDS
from occ_app.sync.models import Upload

KEPT = timedelta(days=1)
LONGEST_NAME = 200
MOST_SHOWN = 100
# The columns by which a line of a file is known again.
KEYS = {
    "items": ("sku",),
    "ingredients": ("code",),
    "formulas": ("item_sku", "ingredient_code"),
    "lots": ("lot_number", "place", "location_gid"),
    "mappings": ("variant_gid", "location_gid"),
    "allocations": ("item_sku", "channel"),
    "b2b-orders": ("order_reference", "item_sku"),
}


@dataclass(frozen=True)
class Change:
    """What a file does to one line of what we have: before and after by column, None where it is not there."""

    key: str
    before: dict[str, str] | None
    after: dict[str, str] | None

    @property
    def cells(self) -> list[tuple[str, str, str]]:
        """(column, before, after) of what differs."""
        one, other = self.before or {}, self.after or {}
        return [
            (name, one.get(name, ""), other.get(name, ""))
            for name in one | other
            if one.get(name, "") != other.get(name, "")
        ]


@dataclass(frozen=True)
class Preview:
    """What a file would do: its lines, and how many of ours would be new, changed or gone; the first of them in full."""

    lines: int
    added: int
    changed: int
    gone: int
    shown: list[Change]

    @property
    def total(self) -> int:
        """How many lines of ours would be other ones."""
        return self.added + self.changed + self.gone


def preview(kind: str, data: bytes, actor: str, at: datetime) -> Preview:
    """What the file would change. Nothing stays changed: the transaction is rolled back. Raises BadFileError naming every bad line."""
    try:
        before = _rows(kind)
        lines = KINDS[kind].take(data, actor, at)
        db.session.flush()
        after = _rows(kind)
    finally:
        db.session.rollback()
    both = [(key, before.get(key), after.get(key)) for key in sorted(before.keys() | after.keys())]
    found = [Change(" · ".join(filter(None, key)), one, other) for key, one, other in both if one != other]
    added, gone = sum(change.before is None for change in found), sum(change.after is None for change in found)
    return Preview(lines, added, len(found) - added - gone, gone, found[:MOST_SHOWN])


def _rows(kind: str) -> dict[tuple[str, ...], dict[str, str]]:
    rows = csv.DictReader(io.StringIO(KINDS[kind].give(), newline=""))
    return {tuple(row[name] for name in KEYS[kind]): row for row in rows}


def keep(kind: str, name: str, data: bytes, *, actor: str, at: datetime) -> Upload:
    """The file waits until it is taken in; those that waited for more than a day are gone."""
    db.session.execute(delete(Upload).where(Upload.uploaded_at < at - KEPT))
    upload = Upload(kind=kind, name=name[:LONGEST_NAME], data=data, uploaded_at=at, uploaded_by=actor)
    db.session.add(upload)
    db.session.flush()
    return upload


def take(upload_id: int, *, actor: str, at: datetime) -> tuple[str, int]:
    """The file is taken in whole, once. Returns its kind and how many lines it had. Raises NotFoundError where it does not wait any more."""
    upload = db.session.scalar(select(Upload).where(Upload.id == upload_id).with_for_update())
    if upload is None or upload.uploaded_at < at - KEPT:
        raise NotFoundError("This file was taken in already, or it waited for more than a day. Choose it again.")
    lines = KINDS[upload.kind].take(upload.data, actor, at)
    db.session.delete(upload)
    db.session.flush()
    return upload.kind, lines


def check_kind(kind: str) -> str:
    """The kind. Raises RuleError for one that we do not know."""
    if kind not in KINDS:
        raise RuleError(f"Choose what the file holds: {', '.join(KINDS)}.", field="kind")
    return kind
