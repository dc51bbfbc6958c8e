"""Long lists in pages, and what is searched for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from flask import request

from occ_app.web import stay_within

PER_PAGE = 50


@dataclass(frozen=True)
class Pages:
    """Where one is in a long list, and the paths to the pages before and after."""

    first: int
    last: int
    total: int
    previous: str | None
    next: str | None


def pages_of(total: int, number: int, path: str, query: dict[str, Any]) -> Pages:
    """The pages of a list of `total` rows, seen at page `number` (from 1). Whoever asks for one after the last lands on the last."""
    stay_within(total, number, PER_PAGE)

    def to(other: int) -> str:
        return f"{path}?{urlencode({**{k: v for k, v in query.items() if v}, 'page': other})}"

    first = (number - 1) * PER_PAGE + 1 if total else 0
    last = min(total, number * PER_PAGE)
    return Pages(first, last, total, to(number - 1) if number > 1 else None, to(number + 1) if last < total else None)


def page_number() -> int:
    """The page that is asked for, 1 where it makes no sense."""
    return min(100_000, max(1, request.args.get("page", 1, int)))


def search_text() -> str:
    """What is searched for, bounded."""
    return request.args.get("q", "").strip()[:100]
