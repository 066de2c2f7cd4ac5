"""The running texts of a revision that the language checks read, and what in them is no prose."""

from __future__ import annotations

import re
from collections.abc import Iterator

from publisher.announcement import Language, Revision

_NOT_PROSE = re.compile(
    r"https?://[^\s\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]+"
    r"|`[^`\n]*`"  # Markdown code
    r"|(?<=\])\([^()\s]*\)"  # the address of a Markdown link
    r"|!(?=\[)|^[ >]*\d{1,9}[.)](?= )",  # the signs of Markdown pictures and numbered lists
    re.MULTILINE,
)


def texts(revision: Revision, language: Language) -> Iterator[tuple[int | None, str]]:
    """Title, summary and passages in one language, each with the index of its passage, where it has one."""
    for text in (revision.title[language], revision.summary[language]):
        if text:
            yield None, text
    for index, passage in enumerate(revision.passages):
        yield index, passage[language]


def stretches(text: str) -> Iterator[tuple[int, int]]:
    """Where the prose of ``text`` begins and ends, between its addresses and code."""
    start = 0
    for match in _NOT_PROSE.finditer(text):
        yield start, match.start()
        start = match.end()
    yield start, len(text)
