"""The stylesheet stays small: under its limit, and without rules for what no page has."""

from __future__ import annotations

import re

import pytest

from occ_app.config import ROOT

SHEET = re.sub(r"/\*.*?\*/", "", (ROOT / "static/app.css").read_text(encoding="utf-8"), flags=re.DOTALL)
LIMIT = 30_000  # bytes
PAGES = "\n".join(
    path.read_text(encoding="utf-8")
    for folder, kind in (("templates", "*.html"), ("occ_app", "*.py"), ("static", "*.js"))
    for path in sorted((ROOT / folder).rglob(kind))
    if "vendor" not in path.parts
)
MADE_BY_HTMX = {"htmx-request"}


def test_the_stylesheet_is_under_its_limit() -> None:
    assert (ROOT / "static/app.css").stat().st_size < LIMIT


@pytest.mark.parametrize("name", sorted(set(re.findall(r"\.([a-zA-Z][\w-]*)", SHEET)) - MADE_BY_HTMX))
def test_a_class_of_the_stylesheet_is_used(name: str) -> None:
    assert re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", PAGES)


@pytest.mark.parametrize("name", sorted(set(re.findall(r"\[(data-[\w-]+)", SHEET))))
def test_an_attribute_of_the_stylesheet_is_used(name: str) -> None:
    assert name in PAGES
