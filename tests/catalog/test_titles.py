"""Titles that are alike are found among many by comparing few."""

from __future__ import annotations

import pytest

from occ_app.catalog import rules
from occ_app.catalog.rules import MOST_COMPARED, Titles

FLAVOURS = ("Ecuador", "Peru", "Ghana", "Sea Salt", "Almond", "Orange", "Mint", "Ginger", "Milk", "Dark")


def title(number: int) -> str:
    """One of 10,000 titles, all with words in common."""
    return f"{FLAVOURS[number % 10]} chocolate bar {number // 10} g"


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names that were compared with a title, letter by letter, one for each comparison."""
    made: list[str] = []
    likeness = rules.likeness

    def counted(one: str, other: str) -> float:
        made.append(one)
        return likeness(one, other)

    monkeypatch.setattr(rules, "likeness", counted)
    return made


def test_200_names_among_10_000_titles_are_compared_with_few_each_and_found(compared: list[str]) -> None:
    titles = Titles((number, title(number)) for number in range(10_000))
    found = [titles.alike(title(number).upper()) for number in range(9_800, 10_000)]

    assert found == list(range(9_800, 10_000))
    assert max(compared.count(name) for name in compared) <= MOST_COMPARED


def test_of_two_titles_as_like_none_is_found() -> None:
    assert Titles([(1, "Peru bar 80 g"), (2, "Peru bar 80 g")]).alike("Peru bar 80 g") is None


def test_a_title_that_is_taken_or_has_other_words_is_not_found() -> None:
    titles = Titles([(1, "Peru bar 80 g"), (2, "Ecuador 85 % bar"), (3, "")])

    assert titles.alike("Peru bar 80 g", taken={1}) is None
    assert titles.alike("Ghana 100 % drops") is None
    assert titles.alike("") is None
