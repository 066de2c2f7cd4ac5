"""Plain text: titles on the first lines, then paragraphs in turn, one a line or wrapped by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from publisher.announcement import Bilingual, Language, Markup, Revision
from publisher.intake.document import Document
from publisher.intake.pairing import Block, block, pair
from publisher.intake.script import columns, ends_sentence, join, language_of, without_addresses
from publisher.intake.titles import is_headline, settle

_NARROWEST_WRAP, _WIDEST_WRAP = 56, 120
"""Columns; editors and mail programs wrap at 65 to 80."""
_SLACK = 4
"""Columns by which a wrapped Chinese line may fall short, since no line begins with a closing mark."""
_TITLE_LINES = 2


def read(text: str, source: str, title: Bilingual) -> Document:
    """A plain text. Raises :class:`~publisher.errors.DocumentError` where a paragraph has no partner."""
    blocks = [
        block(group[0].number, join([line.text for line in group]), source) for group in _paragraphs(text)
    ]
    candidates = _candidates(blocks)
    body = blocks[len(candidates) :]
    titles, findings = settle(candidates, body, title)
    return Document(Revision(titles, pair(body, source), Markup.TEXT), findings=findings)


def _candidates(blocks: Sequence[Block]) -> dict[Language, Block]:
    """The headlines at the top: one, or two in different languages."""
    found: dict[Language, Block] = {}
    for each in blocks[:_TITLE_LINES]:
        if not is_headline(each) or each.language in found:
            break
        assert each.language
        found[each.language] = each
    return found


@dataclass(frozen=True, slots=True)
class _Line:
    """A line with text; ``index`` counts lines with text from 0, ``follows`` is no empty line before it.

    ``is_top`` is a line that may be a title, which ends without a full stop but does not go on below.
    """

    number: int
    index: int
    text: str
    language: Language | None
    follows: bool
    is_top: bool

    @property
    def width(self) -> int:
        return columns(self.text)


def _paragraphs(text: str) -> list[list[_Line]]:
    lines = _lines(text)
    wraps = {language: _wrap_width(lines, language) for language in Language}
    groups: list[list[_Line]] = []
    for line in lines:
        if line.follows and _continues(groups[-1], line, wraps):
            groups[-1].append(line)
        else:
            groups.append([line])
    return groups


def _lines(text: str) -> list[_Line]:
    found: list[_Line] = []
    follows = False
    for number, raw in enumerate(text.split("\n"), 1):
        if stripped := raw.strip():
            language = language_of(stripped)
            is_second = len(found) == 1 and (follows or language is not found[0].language)
            found.append(_Line(number, len(found), stripped, language, follows, not found or is_second))
        follows = bool(stripped)
    return found


def _wrap_width(lines: Sequence[_Line], language: Language) -> int:
    """At how many columns this language was wrapped by hand; 0 where each paragraph is a line of its own.

    The proof is a line that stops in the middle of a sentence and goes on in the next.
    """
    own = [line for line in lines if line.language is language]
    width = max((columns(without_addresses(line.text)) for line in own), default=0)
    if not _NARROWEST_WRAP <= width <= _WIDEST_WRAP:
        return 0
    broken = (
        not one.is_top and two.follows and _is_broken(one, width)
        for one, two in pairwise(own)
        if two.index == one.index + 1
    )
    return width if any(broken) else 0


def _is_broken(line: _Line, width: int) -> bool:
    return not ends_sentence(line.text) and 2 * line.width >= width


def _continues(group: Sequence[_Line], line: _Line, wraps: Mapping[Language, int]) -> bool:
    before = group[-1]
    language = next((each.language for each in group if each.language), None)
    if language is None or line.language not in (language, None) or not wraps[language]:
        return False
    width = wraps[language]
    if before.width + _first_step(line.text) > width - _SLACK:
        return True
    return not before.is_top and _is_broken(before, width)


def _first_step(text: str) -> int:
    """How many columns the line before would have needed to take up the beginning of this one."""
    word = text.split(maxsplit=1)[0]
    return 2 if language_of(word) is Language.ZH else 1 + columns(word)
