"""Fits a summary to a platform's length: whole sentences, then whole clauses, never inside a word.

What goes first, when room is short: the tags, then an author's own summary for title and lead sentence, then
clauses of the lead sentences in both languages alike, then the leads, then the second language.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import regex

from publisher.announcement import Language, PassageKind, Revision
from publisher.channel import LengthRule
from publisher.render import html, sentence
from publisher.render.length import measure
from publisher.render.tags import hashtags

_BEFORE_LINK = regex.compile(r"(?<=[^\x00-\x7f])(?=https?://)")
_AFTER_LINK = regex.compile(r"(https?://[!-~]+)(?=[^\x00-\x7f\s])")


class Blocks(dict[Language, str]):
    """The text of each language that is shown, in reading order; ``tagged`` says whether tags follow."""

    def __init__(self, texts: Mapping[Language, str], *, tagged: bool = False) -> None:
        super().__init__({code: text for code, text in texts.items() if text})
        self.tagged = tagged


def lead_sentence(text: str, language: Language) -> str:
    """The first whole sentence of ``text``, in one line."""
    return sentence.first(sentence.one_line(text), language)


def candidates(revision: Revision, languages: tuple[Language, ...]) -> Iterator[dict[Language, str]]:
    """Texts by language, from richest to leanest; each is a :class:`Blocks`."""
    spans = [languages, languages[:1]] if len(languages) > 1 else [languages]
    for span in spans:
        tagged = bool(hashtags(revision.tags, span))
        for texts, whole in _texts(revision, span):
            if tagged and whole:
                yield Blocks(texts, tagged=True)
            yield Blocks(texts)


def fit(
    blocks: Iterator[dict[Language, str]],
    render: Callable[[dict[Language, str]], str],
    rule: LengthRule | None,
) -> str | None:
    """The first candidate that fits once rendered, link and tags included.

    ``rule`` is ``None`` where nothing limits the length; ``None`` comes back where even the leanest is too long.
    """
    rendered = (render(block).strip() for block in blocks if block)
    return next((text for text in rendered if rule is None or measure(text, rule) <= rule.maximum), None)


def shows(text: str, revision: Revision, language: Language) -> bool:
    """Whether the rendered ``text`` speaks ``language``: it begins a block with the author's summary or the title."""
    bare = "".join(text.split())
    begins = (
        "".join(source.split())[:12] for source in (revision.summary[language], revision.title[language])
    )
    return any(start and start in bare for start in begins)


def uses_author_summary(text: str, revision: Revision, languages: tuple[Language, ...]) -> bool:
    """Whether the rendered ``text`` has the author's own summary in every language it was written in."""
    written = [revision.summary[code] for code in languages if revision.summary[code]]
    return bool(written) and all(_apart(summary) in text for summary in written)


def _texts(revision: Revision, languages: tuple[Language, ...]) -> Iterator[tuple[dict[Language, str], bool]]:
    """Texts, and whether they are whole: an author's summary, or titles with or without their lead."""
    leads = {code: _lead(revision, code) for code in languages}
    full = {code: _block(revision, code, leads[code]) for code in languages}
    if any(revision.summary[code] for code in languages):
        yield {code: _apart(revision.summary[code]) or full[code] for code in languages}, True
    yield full, True
    for cut in _cuts(revision, leads):
        yield {code: _block(revision, code, cut[code]) for code in languages}, False
    yield {code: _block(revision, code, "") for code in languages}, True


def _lead(revision: Revision, language: Language) -> str:
    """The first sentence of the first paragraph; addresses behind links are left to the page."""
    first = next(
        (p for p in revision.passages if p.kind is PassageKind.PARAGRAPH and p[language].strip()), None
    )
    if first is None:
        return ""
    return lead_sentence(html.to_text(first, language, revision.markup, addresses=False), language)


def _block(revision: Revision, language: Language, lead: str) -> str:
    title = sentence.one_line(revision.title[language])
    return _apart("\n".join(filter(None, (title, lead))))


def _cuts(revision: Revision, leads: dict[Language, str]) -> Iterator[dict[Language, str]]:
    """The leads a clause shorter at a time, always of the language that has kept more of its own."""
    forms = {
        code: [lead, *sentence.shorter(lead, code, _names(revision, code))] for code, lead in leads.items()
    }
    at = dict.fromkeys(leads, 0)
    while longer := [code for code in leads if at[code] + 1 < len(forms[code])]:
        # Of equals the last one gives way: the first language leads.
        most = max(reversed(longer), key=lambda code: len(forms[code][at[code]]) / len(forms[code][0]))
        at[most] += 1
        yield {code: forms[code][at[code]] for code in leads}


def _names(revision: Revision, language: Language) -> tuple[str, ...]:
    """Names that no cut may fall into."""
    place = (revision.event.place[language],) if revision.event else ()
    return (*(organisation[language] for organisation in revision.organisations), *place)


def _apart(text: str) -> str:
    """``text`` with a space between a link and Chinese, or platforms would take the Chinese for its end."""
    return _AFTER_LINK.sub(r"\1 ", _BEFORE_LINK.sub(" ", text.strip()))
