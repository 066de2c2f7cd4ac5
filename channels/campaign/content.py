"""From a sealed variant to the content of a campaign. Pure.

A service fills in for each reader what the templates leave open, and reads everything else for places to fill in as
well; so what people wrote is put in the service's own way of saying "as it is".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product

from publisher.announcement import Language
from publisher.channel import Payload, Unsupported, Variant
from publisher.render import sentence
from publisher.render.html import refuse_unprintable
from publisher.render.links import READER, UNSUBSCRIBE

_OPEN = re.compile(f"({re.escape(UNSUBSCRIBE)}\\b|{re.escape(READER)}\\b)")
_BEGUN = re.compile(r"(<!--.*?-->)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Syntax:
    """How a service writes: each turns one text of ours into its own, with the places it fills in.

    ``subject`` also writes the preview. ``longest`` is the longest subject, in characters, and ``preview`` the longest
    preview; with 0 there is none.
    """

    subject: Callable[[str], str]
    html: Callable[[str], str]
    text: Callable[[str], str]
    longest: int
    preview: int = 0


@dataclass(frozen=True, slots=True)
class CampaignPayload(Payload):
    """One campaign, written as its service reads it. ``audience`` are the service's names of who gets it.

    ``tags`` are the languages (BCP 47), in reading order.
    """

    subject: str
    html: str
    text: str
    preview: str
    audience: tuple[str, ...]
    tags: tuple[str, ...]


def build(variant: Variant, syntax: Syntax, audience: tuple[str, ...]) -> CampaignPayload:
    """The campaign. Raises :class:`Unsupported` for what the service would refuse, or send without a way to end it."""
    subject = sentence.one_line(variant.text("subject"))
    html, text = variant.text("html"), variant.text("text")
    for part in (subject, html, text):
        refuse_unprintable(part)
    if not subject or not html.strip():
        raise Unsupported("A newsletter needs a subject and a text.")
    if len(subject) > syntax.longest:
        raise Unsupported(
            f"The subject has {len(subject)} characters, and the service takes {syntax.longest}; shorten the title."
        )
    if UNSUBSCRIBE not in html:
        raise Unsupported(
            "The template newsletter/message.html has no link to unsubscribe; put the one of docs/templates.md into it."
        )
    preview = previewed(variant.facts["excerpt"], variant.languages, syntax.preview)
    return CampaignPayload(
        subject=syntax.subject(subject),
        html=syntax.html(html),
        text=syntax.text(text),
        preview=syntax.subject(preview),
        audience=audience,
        tags=tuple(variant.facts["language_tags"][code] for code in variant.languages),
    )


def previewed(texts: Mapping[str, str], languages: tuple[Language, ...], longest: int) -> str:
    """The excerpt as mail programs show it behind the subject: of all languages, else of the leading one.

    Never cut inside a clause; empty where nothing fits.
    """
    wanted = [code for code in languages if texts[code].strip()]
    for codes in (wanted, wanted[:1]):
        for parts in product(*(list(_forms(texts[code], code)) for code in codes)):
            if codes and len(joined := " | ".join(parts)) <= longest:
                return joined
    return ""


def _forms(text: str, language: Language) -> Iterator[str]:
    """The text, its first sentence, and that without its last clauses."""
    line = sentence.one_line(text)
    first = sentence.first(line, language)
    yield from dict.fromkeys((line, first))
    yield from sentence.shorter(first, language)


def filled(text: str, literal: Callable[[str], str], unsubscribe: str, reader: str) -> str:
    """``text`` with the places for a reader as ``unsubscribe`` and ``reader``, and all between them as ``literal``."""
    written = {UNSUBSCRIBE: unsubscribe, READER: reader}
    return "".join(written[part] if part in written else literal(part) for part in _OPEN.split(text))


def comments(html: str) -> Iterator[tuple[bool, str]]:
    """The pieces of ``html``, in order, each with whether it is a comment; Outlook reads some of those."""
    for index, piece in enumerate(_BEGUN.split(html)):
        if piece:
            yield index % 2 == 1, piece
