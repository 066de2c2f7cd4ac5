"""The records of a CSV file, each with the number of its first line; one open quotation mark spoils one line only."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TextIO

_LONGEST_LINE = 20_000
"""Characters; a file without line ends must not fill the memory."""
_MOST_LINES = 100
"""So many lines one record may have, such as a consent of several paragraphs between quotation marks."""
SEPARATORS = ",;\t"


@dataclass(frozen=True, slots=True)
class Record:
    """The ``cells`` of a record that begins at line ``number``; ``fault`` says why it has none, ``text`` is then it."""

    number: int
    cells: tuple[str, ...] = ()
    text: str = ""
    fault: str = ""


class Lines:
    """The lines of a file, which can be put back."""

    def __init__(self, text: TextIO) -> None:
        self._text, self._back, self._number = text, deque[tuple[int, str]](), 0

    def next(self) -> tuple[int, str] | None:
        """The next line and its number, from 1; ``None`` at the end."""
        if self._back:
            return self._back.popleft()
        line = self._text.readline(_LONGEST_LINE)
        self._number += 1
        return (self._number, line) if line else None

    def back(self, lines: list[tuple[int, str]]) -> None:
        """Puts lines back, to be read again in their order."""
        self._back.extendleft(reversed(lines))


def separator(lines: Lines) -> tuple[str, bool]:
    """What stands between the cells, and whether there is any line; lines before the first with text are passed over.

    Excel says it in a first line of its own, ``sep=;``.
    """
    said = ""
    while found := lines.next():
        text = found[1].strip()
        if text.strip('"').lower().startswith("sep=") and not said:
            said = found[1].rstrip("\r\n").strip('"')[4:5] or ","
        elif text:
            lines.back([found])
            return (said if said in SEPARATORS else "") or max(SEPARATORS, key=found[1].count), True
    return ",", False


def records(lines: Lines, delimiter: str) -> Iterator[Record]:
    """All records that are not empty."""
    while first := lines.next():
        held = [first]
        cells = _single(first[1], delimiter)
        while cells is None and len(held) < _MOST_LINES and (more := lines.next()):
            held.append(more)
            try:
                cells = _joined(held, delimiter)
            except csv.Error:
                break
        if cells is None:
            lines.back(held[1:])
            yield Record(first[0], text=first[1].strip(), fault="has a quotation mark that is never closed")
        elif any(cell.strip() for cell in cells):
            yield Record(first[0], cells)


def _single(line: str, delimiter: str) -> tuple[str, ...] | None:
    """The cells of one line, ``None`` where a quotation mark is open at its end; a stray one is part of its cell."""
    try:
        return _joined([(0, line)], delimiter)
    except csv.Error:
        return tuple(next(csv.reader([line.rstrip("\r\n")], delimiter=delimiter), ()))


def _joined(held: list[tuple[int, str]], delimiter: str) -> tuple[str, ...] | None:
    """The cells of a record of several lines, ``None`` while a quotation mark is open.

    Raises ``csv.Error`` where a closing one has text after it: it was meant to open another cell, further down.
    """
    try:
        return tuple(next(csv.reader((line for _, line in held), delimiter=delimiter, strict=True), ()))
    except csv.Error as error:
        if "unexpected end" in str(error):
            return None
        raise
