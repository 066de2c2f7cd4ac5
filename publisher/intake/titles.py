"""Which of the first lines are titles. A line that only looks like one is reported, never used."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import regex

from publisher.announcement import Bilingual, Finding, Language, Severity
from publisher.intake.pairing import Block
from publisher.intake.script import called, count_han, words

Candidates = Mapping[Language, Block]
"""The lines that stand where the titles are expected, by language; either may be missing."""

_LONGEST_HAN, _LONGEST_WORDS = 60, 30
_NO_HEADLINE = re.compile(r"。|[.;；:：,，、]$")
_ARTICLES = {"the", "a", "an"}
# English takes 0.5 to 0.7 words for a Chinese character; a headline may be far more terse than its partner, but not
# four times.
_MOST_HAN_PER_WORD = 4
_MOST_WORDS_PER_HAN = 1.5
_SPARE_WORDS = 3
_EXTRA_WORDS = 2


def is_headline(block: Block) -> bool:
    """Whether a line could be a title: short, in a language, and not a sentence."""
    if block.language is None or len(block.text) > 400 or _NO_HEADLINE.search(block.text):
        return False
    return count_han(block.text) <= _LONGEST_HAN and len(words(block.text)) <= _LONGEST_WORDS


def settle(
    candidates: Candidates, body: Sequence[Block], supplied: Bilingual
) -> tuple[Bilingual, tuple[Finding, ...]]:
    """The titles, and a finding for every candidate that is not used.

    ``supplied`` wins; of the candidates, one that is no translation of the other is left out, so that a title
    may be missing afterwards.
    """
    doubt = _doubt(candidates, body)
    titles: dict[str, str] = {}
    findings: list[Finding] = []
    for language in Language:
        given, line = supplied[language].strip(), candidates.get(language)
        refused = doubt is not None and doubt.language is language
        titles[language] = given or (line.text if line and not refused else "")
        if line and titles[language] != line.text:
            findings.append(_left_out(line, language, doubt.why if doubt and refused else "", given))
    return Bilingual(**titles), tuple(findings)


@dataclass(frozen=True, slots=True)
class _Doubt:
    """The candidate in ``language`` is no title, and why."""

    language: Language
    why: str


def _doubt(candidates: Candidates, body: Sequence[Block]) -> _Doubt | None:
    zh, en = candidates.get(Language.ZH), candidates.get(Language.EN)
    # A line may be quoted in the text and still be the title, of a lecture for instance: then it is so in both.
    named_zh = zh is not None and _is_quoted_zh(zh.text, body)
    named_en = en is not None and _is_quoted_en(en.text, body)
    if named_en and not named_zh:
        return _Doubt(Language.EN, "it is a name from the text")
    if zh is None or en is None:
        return None
    if named_zh and not named_en:
        return _Doubt(Language.ZH, "it is a name from the text")
    return _unequal(count_han(zh.text), len(words(en.text)))


def _unequal(han: int, english: int) -> _Doubt | None:
    if han > _MOST_HAN_PER_WORD * english:
        return _Doubt(Language.EN, "it is too short to say what the Chinese title says")
    if english > _MOST_WORDS_PER_HAN * han + _SPARE_WORDS:
        return _Doubt(Language.ZH, "it is too short to say what the English title says")
    return None


def _is_quoted_zh(title: str, body: Sequence[Block]) -> bool:
    wanted = _letters(title)
    return bool(wanted) and any(wanted in _letters(b.text) for b in body if b.language is Language.ZH)


def _letters(text: str) -> str:
    letters: str = regex.sub(r"[^\p{L}\p{N}]", "", text)
    return letters.casefold()


def _is_quoted_en(title: str, body: Sequence[Block]) -> bool:
    wanted = _plain_words(title)
    return bool(wanted) and any(
        _runs_through(wanted, _plain_words(b.text)) for b in body if b.language is Language.EN
    )


def _plain_words(text: str) -> list[str]:
    return [word for word in map(str.casefold, words(text)) if word not in _ARTICLES]


def _runs_through(wanted: Sequence[str], text: Sequence[str]) -> bool:
    """Whether all of ``wanted`` stands in ``text`` in its order, a name's added words in between allowed."""
    starts = (index for index, word in enumerate(text) if word == wanted[0])
    return any(_all_in_order(wanted, text[s : s + len(wanted) + _EXTRA_WORDS]) for s in starts)


def _all_in_order(wanted: Sequence[str], window: Sequence[str]) -> bool:
    rest = iter(window)
    return all(word in rest for word in wanted)


def _left_out(line: Block, language: Language, why: str, given: str) -> Finding:
    name, quoted = called(language), f'"{line.text}"'
    if why:
        code, fix = "titles.mismatch", ""
        message = f"Line {line.line}, {quoted}, was left out: it stands where the {name} title is expected, but {why}."
        if not given:
            fix = f"Supply the {name} title with --title-{language}; if this line is the title after all, supply it."
    else:
        code, fix = "titles.replaced", ""
        message = f"The {name} title in line {line.line}, {quoted}, gives way to the one you supplied."
    zh, en = (line.text, "") if language is Language.ZH else ("", line.text)
    return Finding(code, Severity.NOTE, message, zh=zh, en=en, fix=fix)
