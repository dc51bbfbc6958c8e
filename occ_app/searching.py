"""What is typed into a search box, as a condition."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, or_


def contains(text: str, *columns: Any) -> ColumnElement[bool]:
    """One of the columns holds the text just as it is typed, in small or capital letters: `%`, `_` and `\\` mean themselves."""
    return or_(*(column.icontains(text, autoescape=True) for column in columns))
