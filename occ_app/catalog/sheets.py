"""CSV files in and out: one reader and one writer for all kinds. All or nothing; every bad line is named with its number and reason.

Source: RFC 4180.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from occ_app.catalog.rules import plain_cell, safe_cell
from occ_app.errors import BadFileError, BadLine, RuleError

MOST_BYTES = 20 * 1024 * 1024
MOST_LINES = 200_000
LONGEST_CELL = 500


@dataclass(frozen=True)
class Line:
    """One record of a file: the number of the line on which it begins (the header is 1) and its cells by column, stripped.

    `flaw`: why it is no record of this file, and its cells are empty then; `take_all` names it among the others that are bad.
    """

    number: int
    cells: dict[str, str]
    flaw: str = ""


def read(data: bytes, columns: Sequence[str], required: Sequence[str]) -> list[Line]:
    """The lines of a CSV file, at least one. Raises BadFileError where it is no UTF-8 CSV, or has unknown, double or missing columns."""
    if len(data) > MOST_BYTES:
        raise BadFileError([BadLine(1, f"The file is larger than {MOST_BYTES // 1024 // 1024} MB. Split it.")])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadFileError([BadLine(1, "The file is not UTF-8. Save it as 'CSV UTF-8'.")]) from error
    _check_separator(text)
    rows = _records(text)
    if not rows:
        raise BadFileError([BadLine(1, f"The file is empty. Its first line names the columns: {', '.join(columns)}.")])
    header = [cell.strip() for cell in rows[0][1]]
    _check_header(header, columns, required)
    if len(rows) > MOST_LINES:
        raise BadFileError([BadLine(rows[MOST_LINES][0], f"The file has more than {MOST_LINES:,} lines. Split it.")])
    lines = _lines(header, rows[1:])
    if not lines:
        raise BadFileError([BadLine(1, "The file has no lines below its header.")])
    return lines


def _check_separator(text: str) -> None:
    """Spreadsheets of many countries write semicolons and still call it CSV."""
    first = text.lstrip("\r\n").split("\n", 1)[0]
    for sign, name in ((";", "semicolons"), ("\t", "tabs")):
        if sign in first and "," not in first:
            words = f"The file is separated by {name}. Save it with commas between the cells, then choose it again."
            raise BadFileError([BadLine(1, words)])


def _records(text: str) -> list[tuple[int, list[str]]]:
    """The records with the number of the line on which each begins: a cell in quotes may go over several."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    found, first = [], 1
    try:
        for record in reader:
            found.append((first, record))
            first = reader.line_num + 1
    except csv.Error as error:
        raise BadFileError([BadLine(first, f"The line is not CSV: {error}.")]) from error
    return found


def _check_header(header: Sequence[str], columns: Sequence[str], required: Sequence[str]) -> None:
    reasons = []
    unknown = [name for name in header if name not in columns]
    if unknown:
        reasons.append(f"Unknown columns: {', '.join(unknown)}. The columns are: {', '.join(columns)}.")
    double = sorted({name for name in header if header.count(name) > 1})
    if double:
        reasons.append(f"Columns that stand twice: {', '.join(double)}.")
    missing = [name for name in required if name not in header]
    if missing:
        reasons.append(f"Missing columns: {', '.join(missing)}.")
    if reasons:
        raise BadFileError([BadLine(1, " ".join(reasons))])


def _lines(header: Sequence[str], rows: Iterable[tuple[int, list[str]]]) -> list[Line]:
    empty = dict.fromkeys(header, "")
    lines = []
    for number, row in rows:
        if not any(cell.strip() for cell in row):
            continue
        flaw = _flaw(header, row)
        cells = {name: plain_cell(cell.strip()) for name, cell in zip(header, row, strict=True)} if not flaw else empty
        lines.append(Line(number, cells, flaw))
    return lines


def _flaw(header: Sequence[str], row: Sequence[str]) -> str:
    if len(row) != len(header):
        return f"It has {len(row)} cells, the header has {len(header)}."
    if any(len(cell) > LONGEST_CELL for cell in row):
        return f"A cell is longer than {LONGEST_CELL} characters."
    return "A cell holds a zero byte." if any("\x00" in cell for cell in row) else ""


def take_all(lines: Sequence[Line], take: Callable[[Line], None]) -> None:
    """`take` has been called for every line that is a record. Raises BadFileError naming every other line, and every one that `take` refused
    with a RuleError."""
    bad = []
    for line in lines:
        try:
            if line.flaw:
                raise RuleError(line.flaw)
            take(line)
        except RuleError as error:
            bad.append(BadLine(line.number, str(error)))
    if bad:
        raise BadFileError(bad)


def whole(
    line: Line, column: str, *, least: int = 0, most: int = 100_000_000, default: int | None = None
) -> int | None:
    """The whole number in a cell, or `default` where it is empty. Raises RuleError for fractions, other text and what is out of bounds."""
    text = line.cells.get(column, "")
    if not text:
        return default
    digits = text[1:] if text.startswith("-") else text
    value = int(text) if digits.isascii() and digits.isdigit() and len(digits) <= 12 else None
    if value is None or not least <= value <= most:
        raise RuleError(f"{column} is {text!r}. Give a whole number from {least} to {most:,}.")
    return value


def day(line: Line, column: str) -> date | None:
    """The date in a cell (2026-11-21); None where it is empty."""
    text = line.cells.get(column, "")
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise RuleError(f"{column} is {text!r}. Give a date such as 2026-11-21.") from error


def write(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A CSV file of these rows. Texts that a spreadsheet would run are made harmless."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(columns)
    for row in rows:
        writer.writerow(["" if cell is None else safe_cell(cell) if isinstance(cell, str) else cell for cell in row])
    return out.getvalue()
