"""Which language a line is in, how wide it is, and how wrapped lines are put together again."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import regex

from publisher.announcement import Language

_HAN = regex.compile(r"\p{Han}")
_WORD = regex.compile(r"[\p{Latin}\p{M}]+(?:['’\-][\p{Latin}\p{M}]+)*")
_LETTER = regex.compile(r"\p{L}")
# A link or mail address belongs to no language. The lookbehind keeps long runs without @ linear.
_ADDRESS = regex.compile(
    r"https?://[^\s\p{Han}，。；、（）“”《》]+"
    r"|(?<![A-Za-z0-9._+\-])[A-Za-z0-9._+\-]++@[A-Za-z0-9\-]++(?:\.[A-Za-z0-9\-]++)+"
)
_WIDE = regex.compile(r"[\p{Han}\u3000-\u303F\uFF00-\uFF60]")
_SENTENCE_END = regex.compile(r"[。！？；：….!?;:][”’\"'）)》」』\]*_]*$")
_CHINESE_EDGE = regex.compile(r"[\p{Han}\u3000-\u303F\uFF00-\uFF60“”‘’—…,;:!?()]")
_HYPHENED = regex.compile(r"\p{L}-$")


def language_of(text: str) -> Language | None:
    """The language most of ``text`` is in, a Chinese character counting like an English word.

    ``None`` for a text that says the same in both: only digits, punctuation and addresses.
    """
    bare = without_addresses(text)
    han, words = count_han(bare), len(_WORD.findall(bare))
    if not han and not words:
        return None
    return Language.ZH if han >= words else Language.EN


def is_foreign(text: str) -> bool:
    """Whether ``text`` has letters, but none of Chinese or English."""
    return language_of(text) is None and bool(_LETTER.search(without_addresses(text)))


def without_addresses(text: str) -> str:
    """``text`` with a space in place of every web and mail address."""
    bare: str = _ADDRESS.sub(" ", text)
    return bare


def count_han(text: str) -> int:
    """How many Chinese characters ``text`` has."""
    return len(_HAN.findall(text))


def words(text: str) -> list[str]:
    """The words of ``text`` in Latin letters."""
    found: list[str] = _WORD.findall(text)
    return found


def columns(text: str) -> int:
    """The width of ``text`` in a fixed-width editor, where a Chinese character takes two columns."""
    return len(text) + len(_WIDE.findall(text))


def ends_sentence(text: str) -> bool:
    """Whether ``text`` stops at the end of a sentence or clause, whatever quotes or brackets close after it."""
    return bool(_SENTENCE_END.search(text[-12:]))


def join(lines: Sequence[str]) -> str:
    """Wrapped lines as one: Chinese meets Chinese without a space, everything else with one.

    A compound that was broken at its hyphen closes again.
    """
    joined = [lines[0]] if lines else []
    for before, after in pairwise(lines):
        tight = _meet_tightly(before, after) or (_HYPHENED.search(before[-2:]) and _LETTER.match(after))
        joined += ["" if tight else " ", after]
    return "".join(joined)


def _meet_tightly(before: str, after: str) -> bool:
    # Markdown's emphasis is no character of the text.
    left, right = before.rstrip("*_`")[-1:], after.lstrip("*_`[")[:1]
    both_edges = _CHINESE_EDGE.match(left) and _CHINESE_EDGE.match(right)
    return bool(both_edges and (_WIDE.match(left) or _WIDE.match(right)))


def opening(text: str) -> str:
    """The beginning of ``text`` for an error message, in quotation marks."""
    limit = 20 if language_of(text[:200]) is Language.ZH else 45
    flat = " ".join(text[: 4 * limit].split())
    if len(flat) <= limit:
        return f'"{flat}"'
    cut = flat[:limit]
    head = cut.rsplit(" ", 1)[0] if language_of(cut) is Language.EN and " " in cut else cut
    return f'"{head}…"'


def called(language: Language) -> str:
    """The name of a language for a message."""
    return "Chinese" if language is Language.ZH else "English"
