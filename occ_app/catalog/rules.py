"""Catalog rules in plain values."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Iterable
from difflib import SequenceMatcher
from heapq import nlargest

ALIKE = 0.75  # from this likeness on two titles are taken for the same
MOST_COMPARED = 20  # titles that are compared letter by letter with a name


class Titles:
    """Many titles by their words, so that a name is compared with the few that could be alike and not with all of them."""

    def __init__(self, titles: Iterable[tuple[int, str]]) -> None:
        self.texts = dict(titles)
        self.sizes: dict[int, int] = {}  # different words of each
        self.with_word: dict[str, list[int]] = {}
        for number, text in self.texts.items():
            words = set(_words(text))
            self.sizes[number] = len(words)
            for word in words:
                self.with_word.setdefault(word, []).append(number)

    def alike(self, name: str, taken: Container[int] = ()) -> int | None:
        """The number of the one title that is most like the name, but for those taken; None where none is, or two are as like."""
        scored = sorted(((likeness(name, self.texts[n]), -n) for n in self._near(name) if n not in taken), reverse=True)
        if not scored or scored[0][0] < ALIKE or (len(scored) > 1 and scored[1][0] == scored[0][0]):
            return None
        return -scored[0][1]

    def _near(self, name: str) -> list[int]:
        """The few titles that share most words with the name. Who shares less than half of both is not alike, whatever the letters."""
        words = set(_words(name))
        shared: Counter[int] = Counter()
        for word in words:
            shared.update(self.with_word.get(word, ()))
        of_both, sizes = len(words), self.sizes
        half = [(n / (of_both + sizes[i] - n), -i) for i, n in shared.items() if 3 * n >= of_both + sizes[i]]
        return [-number for _, number in nlargest(MOST_COMPARED, half)]


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
