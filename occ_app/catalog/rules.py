"""Catalog rules in plain values."""

from __future__ import annotations

import re
from difflib import SequenceMatcher


def likeness(one: str, other: str) -> float:
    """How much two titles are alike, 0 to 1: their words in common, and their letters in order."""
    first, second = _words(one), _words(other)
    if not first or not second:
        return 0.0
    shared = len(set(first) & set(second)) / len(set(first) | set(second))
    letters = SequenceMatcher(None, " ".join(first), " ".join(second)).ratio()
    return (shared + letters) / 2


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())


def safe_cell(text: str) -> str:
    """A text that a spreadsheet shows and does not run: a leading `= + - @`, tab or return gets an apostrophe in front.

    Source: OWASP, "CSV Injection".
    """
    return f"'{text}" if text and text[0] in "=+-@\t\r" else text


def plain_cell(text: str) -> str:
    """What `safe_cell` was made from, so that what was exported can be imported."""
    return text[1:] if len(text) > 1 and text[0] == "'" and text[1] in "=+-@\t\r" else text
