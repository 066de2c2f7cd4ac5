"""Punctuation of the right width: full in Chinese (GB/T 15834), half in English."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence

from publisher.announcement import Finding, Language, Revision, Severity
from publisher.preflight.prose import stretches, texts

_FULL = dict(zip(",;:!?()", "，；：！？（）", strict=True))
_HALF = {chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)} | {"、": ",", "。": "."}
_POINTS = frozenset(",;:!?")
_CLOSING = "，。；：！？、）"
_HAN = re.compile(r"[\u3005\u3007\u3400-\u9fff\uf900-\ufaff\U00020000-\U000323af]")
_CHINESE = re.compile(rf"{_HAN.pattern}|[\u3001-\u301f，；：！？（）]")
_EMPHASIS = "*_"


def check(revision: Revision) -> Iterator[Finding]:
    """``language.halfwidth`` and ``language.fullwidth``: notes, at most one of each a text, ``fix`` the text mended."""
    for index, text in texts(revision, Language.ZH):
        mended, count = widen(text)
        if count:
            message = f"{count} half-width {_marks(count)} in the Chinese should be full-width."
            yield Finding("language.halfwidth", Severity.NOTE, message, passage=index, zh=text, fix=mended)
    for index, text in texts(revision, Language.EN):
        mended, count = narrow(text)
        if count:
            message = f"{count} full-width {_marks(count)} in the English should be half-width."
            yield Finding("language.fullwidth", Severity.NOTE, message, passage=index, en=text, fix=mended)


def widen(text: str) -> tuple[str, int]:
    """Chinese ``text`` with full-width marks beside its Chinese characters, and how many were changed.

    Times, numbers, addresses and English phrases keep theirs. A space after a changed mark goes.
    """
    marks = _positions(text, _FULL.__contains__)
    chars = list(text)
    changed = {place for pair in _pairs(text, marks) if _is_chinese_pair(text, *pair) for place in pair}
    for place in changed:
        chars[place] = _FULL[chars[place]]
    # Both ways, so that in a row such as "?!" each mark follows its neighbour.
    for place in (*marks, *reversed(marks)):
        if chars[place] in _POINTS and any(map(_CHINESE.match, _neighbours(chars, place))):
            chars[place] = _FULL[chars[place]]
            changed.add(place)
    return _closed_up(chars, changed), len(changed)


def narrow(text: str) -> tuple[str, int]:
    """English ``text`` with half-width marks, letters and digits, and how many were changed.

    What stands between two Chinese characters, as in a quoted name, stays.
    """
    changed = [
        place
        for place in _positions(text, _HALF.__contains__)
        if not all(map(_HAN.match, _neighbours(text, place)))
    ]
    chars = list(text)
    for place in changed:
        chars[place] = _spaced(text, place)
    return "".join(chars), len(changed)


def _positions(text: str, is_wanted: Callable[[str], bool]) -> list[int]:
    return [place for start, end in stretches(text) for place in range(start, end) if is_wanted(text[place])]


def _neighbours(text: Sequence[str], place: int) -> tuple[str, str]:
    """The characters before and after, past any emphasis; empty at the ends."""
    before, after = place - 1, place + 1
    while before >= 0 and text[before] in _EMPHASIS:
        before -= 1
    while after < len(text) and text[after] in _EMPHASIS:
        after += 1
    return text[before] if before >= 0 else "", text[after] if after < len(text) else ""


def _pairs(text: str, marks: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The parentheses that belong together; one without its partner is left alone."""
    opened: list[int] = []
    for place in marks:
        if text[place] == "(":
            opened.append(place)
        elif text[place] == ")" and opened:
            yield opened.pop(), place


def _is_chinese_pair(text: str, start: int, end: int) -> bool:
    (before, first), (last, after) = _neighbours(text, start), _neighbours(text, end)
    if any(map(_HAN.match, (before, first, last))):
        return True
    # "UK (AET)是": the parentheses belong to the English name before them.
    return not before.strip() and bool(_HAN.match(after))


def _closed_up(chars: Sequence[str], changed: Collection[int]) -> str:
    kept: list[str] = []
    after_mark = False
    for place, char in enumerate(chars):
        after_mark = place in changed or (after_mark and char == " ")
        if char != " " or not after_mark:
            kept.append(char)
    return "".join(kept)


def _spaced(text: str, place: int) -> str:
    half, (before, after) = _HALF[text[place]], _neighbours(text, place)
    if before.isdigit() and after.isdigit():
        return half
    if text[place] in _CLOSING and after.isalnum():
        return f"{half} "
    return f" {half}" if text[place] == "（" and before.isalnum() else half


def _marks(count: int) -> str:
    return "mark" if count == 1 else "marks"
