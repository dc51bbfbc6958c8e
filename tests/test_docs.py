"""The documentation names tests and files that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from occ_app.config import ROOT

RELIABILITY = (ROOT / "docs/reliability.md").read_text(encoding="utf-8")
# Cases of stock, webhooks, orders, batches, partners, jobs, tokens and time.
CASES = "1 2 3 4 5 6 7 8 10 11 13 14 15 16 17 18 20 21 23 25 27 28 29 31 32 33 34 36 37 38 39 40 43 44 46 47 49 50 51"


@pytest.mark.parametrize("named", sorted(set(re.findall(r"`(tests/[\w/.]+)::(\w+)`", RELIABILITY))), ids="::".join)
def test_a_test_that_the_docs_name_exists(named: tuple[str, str]) -> None:
    path, function = named
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))

    assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("case", CASES.split())
def test_a_known_failure_has_its_test(case: str) -> None:
    row = re.search(rf"^\| F{case} .*$", RELIABILITY, re.MULTILINE)

    assert row is not None
    assert "::test_" in row.group()


@pytest.mark.parametrize("page", [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"], ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [to for to in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in to]

    assert [to for to in links if not (page.parent / to).exists()] == []
