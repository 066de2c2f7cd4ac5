"""Plain text laid out by hand: lines broken as a typesetter of each language would.

Columns are counted as a terminal counts them: a Chinese character is two wide (Unicode UAX 11). A line may end at
a single space, or between two Chinese characters; never inside a Latin word, a number, an address or a grapheme,
and never so that a closing mark starts a line or an opening one ends it (GB/T 15834, section 5; JIS X 4051).
Joining the lines again, without a space where both sides are Chinese and with one elsewhere, gives back the text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

import regex

from publisher.announcement import Language

_COLUMNS = {Language.ZH: 76, Language.EN: 72}
"""Columns of a line: 38 full-width characters, or 72 Latin ones."""

_GRAPHEME = regex.compile(r"[A-Za-z]+|\X")
"""A run of Latin letters, which never breaks and is as wide as it is long, or one grapheme."""
_ADDRESS = re.compile(r"(?:https?://|mailto:)[^\s，。；：！？、）》」』”’]+")
_IN_BRACKETS = re.compile(r" ?[（(](https?://[^\s()（）]+)[）)]")
_MARKER = re.compile(r"\s*(?:[-*•·]|\d{1,3}[.)])\s+")

_FULL_WIDTH_MARKS = "“”‘’…—·"
"""Marks that both scripts use: as wide as a Chinese character when they stand in Chinese text."""
_NEVER_FIRST = frozenset("，。；：！？、）》」』】〕〉｝］”’…·％‰℃々ー～,.;:!?)]}%")
_NEVER_LAST = frozenset("（《「『【〔〈｛［“‘￥＄£([{$")
_MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
_AFTER_NUMBER = re.compile(
    rf"(?:{_MONTHS}|a\.?m|p\.?m|per ?cent|thousand|million|billion|trillion|yuan|RMB|CNY|USD|GBP|EUR|pounds?|"
    r"dollars?|euros?|mm|cm|m|km|ha|g|kg|t|ml|l|[kMGT]B|[kMG]Wh?|[kMG]?Hz|hours?|minutes?|seconds?|days?|years?)"
    r"(?![A-Za-z])|°C|°F|%"
)
"""What stays on the line of the number before it: its unit, its month."""
_STAYS = re.compile(
    rf"(?<![A-Za-z])(?:(?P<name>Mr|Mrs|Ms|Dr|Prof|St)\.?|(?:{_MONTHS}|Nos?\.|pp?\.|Vol\.|RMB|CNY|USD|GBP|EUR))$"
)
"""What stays on the line of the name, or of the number, after it."""


def addresses_below(text: str) -> str:
    """``text`` with each web address that stands in brackets on a line of its own, below the line that had it.

    So mail programs make a link of it and of nothing else, and it can be copied whole. An item of a list has it
    beside its text. An address that is named twice in a line is shown once.
    """
    return "\n".join(part for line in text.split("\n") for part in _address_below(line))


def _address_below(line: str) -> Iterator[str]:
    marker = _MARKER.match(line)
    indent = " " * width(marker[0]) if marker else ""
    yield _IN_BRACKETS.sub("", line)
    yield from (indent + address for address in dict.fromkeys(_IN_BRACKETS.findall(line)))


@lru_cache(maxsize=2048)
def wrapped(text: str, language: Language | str, indent: str = "") -> str:
    """``text`` in lines of the measure of ``language``; the filter that templates use. See :func:`wrap`.

    Cached, as the other conversions of passages are: a text is rendered when it is checked, seen and sealed.
    """
    return wrap(text, _COLUMNS[Language(language)], indent)


def wrap(text: str, columns: int, indent: str = "") -> str:
    """``text`` in lines of at most ``columns`` columns, each beginning with ``indent``.

    Line breaks of ``text`` are kept, and an item of a list hangs from its marker. A run that may not be broken
    and is longer than a line stands on a line of its own.
    """
    lines = (line for source in text.split("\n") for line in _lines(source, columns - width(indent)))
    return "\n".join(indent + line if line else "" for line in lines)


def width(text: str) -> int:
    """How many columns ``text`` takes; marks of both scripts are wide beside Chinese characters."""
    wide_marks = any(unicodedata.east_asian_width(character) in "WF" for character in text)
    return sum(_grapheme_width(grapheme, wide_marks) for grapheme in _GRAPHEME.findall(text))


@lru_cache(maxsize=1 << 14)
def _grapheme_width(grapheme: str, wide_marks: bool) -> int:
    # A grapheme is as wide as its base: marks, joiners and variation selectors add nothing.
    base = grapheme[0]
    if base.isascii() and base.isalpha() and grapheme.isascii():
        return len(grapheme)
    if unicodedata.east_asian_width(base) in "WF" or (wide_marks and base in _FULL_WIDTH_MARKS):
        return 2
    return 0 if unicodedata.category(base) in ("Mn", "Me", "Cf", "Cc") else 1


def _lines(source: str, columns: int) -> Iterator[str]:
    """One paragraph in lines: pieces are put on a line while there is room."""
    marker = _MARKER.match(source)
    hang = " " * width(marker[0]) if marker else ""
    line, used = "", 0
    for piece, size, space in _pieces(source, marker.end() if marker else 0):
        if line and used + space + size > columns:
            yield line
            line, used = hang + piece, len(hang) + size
        else:
            line, used = line + " " * space + piece, used + space + size
    yield line


def _pieces(source: str, first: int) -> Iterator[tuple[str, int, int]]:
    """The unbreakable pieces of a paragraph: each with its columns, and 1 where a space stands before it.

    No piece ends before the character at ``first``, where the text of a list item begins.
    """
    wide_marks = any(unicodedata.east_asian_width(character) in "WF" for character in source)
    addresses = _inside_addresses(source)
    start, at, size, space = 0, 0, 0, 0
    graphemes = _GRAPHEME.findall(source)
    for index, grapheme in enumerate(graphemes):
        after = graphemes[index + 1] if index + 1 < len(graphemes) else ""
        here, at = at, at + len(grapheme)
        if here >= first and grapheme == " " and after and _breaks_at_space(source, here):
            yield source[start:here], size, space
            start, size, space = at, 0, 1
            continue
        size += _grapheme_width(grapheme, wide_marks)
        if at >= first and after and at not in addresses and _breaks_between(grapheme[-1], after[0]):
            yield source[start:at], size, space
            start, size, space = at, 0, 0
    yield source[start:], size, space


def _inside_addresses(source: str) -> set[int]:
    return {at for match in _ADDRESS.finditer(source) for at in range(match.start() + 1, match.end())}


@lru_cache(maxsize=1 << 14)
def is_wide(character: str) -> bool:
    """Whether no space is written between ``character`` and a Chinese one when two lines are joined."""
    return unicodedata.east_asian_width(character) in "WF" or character in _FULL_WIDTH_MARKS


def _breaks_at_space(source: str, at: int) -> bool:
    """Whether the space at ``at`` may become a line break, and come back as a space."""
    before, after = source[at - 1 : at], source[at + 1 : at + 2]
    if not before or before.isspace() or after.isspace() or (is_wide(before) and is_wide(after)):
        return False
    if after in _NEVER_FIRST or before in _NEVER_LAST:
        return False
    if before.isdigit() and (is_wide(after) or _AFTER_NUMBER.match(source, at + 1)):
        return False
    stays = _STAYS.search(source[max(0, at - 12) : at])
    if stays and (stays["name"] or after.isdigit()):
        return False
    return not (after.isdigit() and is_wide(before))


@lru_cache(maxsize=1 << 14)
def _breaks_between(before: str, after: str) -> bool:
    """Whether a line may end between two characters that stand together. Cached: scripts repeat their pairs."""
    if not (is_wide(before) and is_wide(after)) or before.isspace() or after.isspace():
        return False
    if after in _NEVER_FIRST or before in _NEVER_LAST:
        return False
    # A dash or an ellipsis of two characters is one mark; full-width letters and digits are words too.
    return not (before == after == "—") and not (_is_word(before) and _is_word(after))


def _is_word(character: str) -> bool:
    return unicodedata.east_asian_width(character) == "F" and character.isalnum()
