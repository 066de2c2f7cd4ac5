"""Renders what one channel gets: the bytes that an approver signs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from markupsafe import Markup as SafeHtml

from publisher import pictures
from publisher.announcement import Bilingual, Image, Language, Passage, PassageKind, Revision
from publisher.channel import (
    TEMPLATES,
    Adapter,
    Kind,
    Layout,
    Links,
    MediaType,
    Part,
    Picture,
    PictureRule,
    Template,
    Unsupported,
    Variant,
)
from publisher.errors import PublisherError
from publisher.render import calendar, dates, html, inline, jsonld, links, markdown, mjml, summary
from publisher.render import house as house_style
from publisher.render.environment import render
from publisher.render.house import House

_Fitted = tuple[tuple[Image, Picture], ...]
"""Pictures as a channel takes them, each with what the document says of it."""
_Shown = tuple[tuple[int, "PictureView"], ...]
"""Pictures as templates see them, each with the index of the passage it follows, or -1."""


@dataclass(frozen=True, slots=True)
class PictureView:
    """A picture as a template sees it: where it will be, its file's name, its size in pixels, what it shows."""

    address: str
    name: str
    width: int
    height: int
    alt: Bilingual


@dataclass(frozen=True, slots=True)
class PassageView:
    """A passage as a template sees it: clean HTML in ``zh``/``en``, plain text in ``text``, Markdown in ``markdown``.

    ``pictures`` are those that follow it; the leading one is nobody's.
    """

    kind: str
    level: int
    html: Mapping[Language, SafeHtml]
    text: Bilingual
    markdown: Bilingual
    pictures: tuple[PictureView, ...] = ()

    def __getitem__(self, language: Language | str) -> SafeHtml:
        return self.html[Language(language)]


@dataclass(frozen=True, slots=True)
class Edition:
    """What is rendered besides the content: the announcement's key, the revision's number and its date.

    ``dated`` is the day printed on the post: the planned day of publication, else the day of approval. ``written`` is
    the moment of the rendering, with its zone; ``None`` where that does not matter.
    """

    key: str
    revision: int
    dated: date
    written: datetime | None = None


def scopes(settings_languages: tuple[Language, ...], layout: Layout) -> tuple[tuple[Language, ...], ...]:
    """The languages of each variant of a channel: one variant, or in layout *separate* one a language."""
    if layout is Layout.SEPARATE:
        return tuple((language,) for language in settings_languages)
    return (settings_languages,)


def render_all(
    revision: Revision,
    edition: Edition,
    adapter: Adapter[Any, Any],
    office: Path | None = None,
    originals: Mapping[str, bytes] = MappingProxyType({}),
    published: PictureRule | None = None,
) -> list[Variant]:
    """Every variant ``adapter``'s channel gets of ``revision``; ``originals`` are its pictures as kept, by hash.

    ``published`` is the rule of the canonical channel, where that publishes pictures: a newsletter shows them from
    there, and brings none itself. Raises :class:`~publisher.errors.PublisherError` where a template or the content
    does not allow it.
    """
    settings = adapter.settings
    brought = pictures.fitted(revision, adapter.capabilities.pictures, originals)
    shown = _views(brought)
    if adapter.kind is Kind.NEWSLETTER and not adapter.capabilities.pictures:
        shown = _published_views(pictures.fitted(revision, published, originals))
    sent = tuple(picture for _, picture in brought)
    return [
        _variant(revision, edition, adapter, languages, office, shown, sent)
        for languages in scopes(settings.languages, settings.layout)
    ]


def _variant(
    revision: Revision,
    edition: Edition,
    adapter: Adapter[Any, Any],
    languages: tuple[Language, ...],
    office: Path | None,
    shown: _Shown,
    sent: tuple[Picture, ...],
) -> Variant:
    house = house_style.load(office)
    parts: dict[str, Part] = {}
    for template in adapter.templates or TEMPLATES[adapter.kind]:
        if template.languages and not set(template.languages) < set(languages):
            continue  # a language the channel lacks, or its only one, which the whole variant is in already
        used = template.languages or languages
        text = _rendered(template, revision, edition, adapter, used, house, office, shown)
        parts[template.part] = Part(template.part, template.media_type, text.encode())
    facts = _facts(revision, edition, adapter.settings.layout, languages, house, sent)
    parts["facts"] = Part("facts", MediaType.JSON, facts.encode())
    return Variant(adapter.channel, adapter.kind, edition.key, edition.revision, languages, parts, sent)


def _rendered(
    template: Template,
    revision: Revision,
    edition: Edition,
    adapter: Adapter[Any, Any],
    languages: tuple[Language, ...],
    house: House,
    office: Path | None,
    shown: _Shown,
) -> str:
    settings = adapter.settings
    personal = adapter.capabilities.personal
    context = context_of(
        revision, edition, settings.layout, languages, house, settings.languages, shown, personal
    )
    if adapter.kind is Kind.NEWSLETTER and template.media_type is MediaType.HTML:
        return message_html(template.file, office, context)
    if adapter.kind is not Kind.SUMMARY:
        return render(template.file, office, **context)
    fitted = summary.fit(
        summary.candidates(revision, languages),
        lambda blocks: render(template.file, office, **context, blocks=blocks),
        adapter.capabilities.length,
    )
    if fitted is None:
        raise PublisherError(
            f"Nothing of this announcement fits {adapter.channel}; write a shorter summary and add it."
        )
    return fitted


def message_html(file: str, office: Path | None, context: Mapping[str, Any]) -> str:
    """The HTML of a message from the template ``file``: Jinja2, then MJML where it is that, then styles inlined.

    Raises :class:`~publisher.errors.TemplateError`, which names the file.
    """
    text = render(file, office, **context)
    return inline.inlined(mjml.to_html(text, file) if file.endswith(mjml.ENDING) else text)


@lru_cache(maxsize=64)
def context_of(
    revision: Revision,
    edition: Edition,
    layout: Layout,
    languages: tuple[Language, ...],
    house: House,
    channel_languages: tuple[Language, ...] = (),
    shown: _Shown = (),
    personal: bool = False,
) -> dict[str, Any]:
    """What every template may use. ``docs/templates.md`` describes it for an office's own templates.

    ``languages`` are those of the part; ``channel_languages`` all of its channel, so that a page names only
    translations that are published. ``shown`` are its pictures, each with the passage it follows. ``personal`` says
    that each reader gets a message of her own, with a way out of the list.
    """
    channel_languages = channel_languages or languages
    event = dates.view(revision.event, house) if revision.event else None
    times = (event.start_iso, event.end_iso) if event else None
    return {
        "key": edition.key,
        "revision": edition.revision,
        "date": dates.Day.of(edition.dated),
        "title": revision.title,
        "passages": [
            _passage(passage, languages, revision, _following(index, revision, shown[1:]))
            for index, passage in enumerate(revision.passages)
        ],
        "excerpt": excerpt(revision),
        "event": event,
        "organisations": revision.organisations,
        "tags": revision.tags,
        "lead": shown[0][1] if shown else None,
        "pictures": tuple(view for _, view in shown),
        "languages": languages,
        "channel_languages": channel_languages,
        "scope": str(languages[0]) if len(languages) == 1 else "both",
        "layout": str(layout),
        "lang": {code: house.tag(code) for code in Language},
        "link": {**links.TOKENS, "calendar": links.CALENDAR, "sibling": links.SIBLING},
        "unsubscribe": links.UNSUBSCRIBE if personal else "",
        "reader": links.READER if personal else "",
        "house": house,
        "jsonld": jsonld.script(
            jsonld.graph(
                revision,
                languages,
                house,
                edition.dated.isoformat(),
                times,
                channel_languages,
                about=excerpt(revision),
                changed=_changed(edition),
                images=tuple(view.address for _, view in shown),
            )
        ),
        "calendar": calendar.write(
            revision,
            edition.key,
            edition.revision,
            edition.written or edition.dated,
            languages,
            house,
            excerpt(revision),
        ),
    }


def _changed(edition: Edition) -> str:
    """When a correction was made, in ISO 8601; empty for what has not been out before, as far as one can see."""
    made = edition.written
    return made.isoformat() if edition.revision > 1 and made and made.date() > edition.dated else ""


def _views(brought: _Fitted) -> _Shown:
    """Pictures that go out with the post."""
    return tuple((image.after, _view(one, links.picture(one.name))) for image, one in brought)


def _published_views(published: _Fitted) -> _Shown:
    """Pictures that are shown from where the canonical channel has them."""
    names = list(dict.fromkeys(one.name for _, one in published))
    return tuple(
        (image.after, _view(one, links.published(names.index(one.name)))) for image, one in published
    )


def _view(one: Picture, address: str) -> PictureView:
    return PictureView(address, one.name, one.width, one.height, one.alt)


def _following(index: int, revision: Revision, shown: _Shown) -> tuple[PictureView, ...]:
    """The pictures after passage ``index``; after the last one also those without a place."""
    last = index == len(revision.passages) - 1
    return tuple(view for place, view in shown if place == index or (last and not 0 <= place < index))


def _passage(
    passage: Passage,
    languages: tuple[Language, ...],
    revision: Revision,
    following: tuple[PictureView, ...],
) -> PassageView:
    return PassageView(
        kind=str(passage.kind),
        level=passage.level,
        html={code: html.to_html(passage, code, revision.markup) for code in languages},
        text=Bilingual(*(html.to_text(passage, code, revision.markup) for code in Language)),
        markdown=Bilingual(*(markdown.to_markdown(passage, code, revision.markup) for code in Language)),
        pictures=following,
    )


def excerpt(revision: Revision) -> Bilingual:
    """The author's summary, else the first sentence of the first paragraph, in each language."""
    lead = next((p for p in revision.passages if p.kind is PassageKind.PARAGRAPH), None)
    found = {
        code: revision.summary[code]
        or (
            summary.lead_sentence(html.to_text(lead, code, revision.markup, addresses=False), code)
            if lead
            else ""
        )
        for code in Language
    }
    return Bilingual(found[Language.ZH], found[Language.EN])


@lru_cache(maxsize=64)
def _facts(
    revision: Revision,
    edition: Edition,
    layout: Layout,
    languages: tuple[Language, ...],
    house: House,
    sent: tuple[Picture, ...],
) -> str:
    event = dates.view(revision.event, house) if revision.event else None
    facts = {
        "title": asdict(revision.title),
        "excerpt": asdict(excerpt(revision)),
        "tags": asdict(revision.tags),
        "language_tags": {code: house.tag(code) for code in Language},
        "layout": str(layout),
        "date": edition.dated.isoformat(),
        "event": asdict(event) if event else None,
        "pictures": [one.described for one in sent],
    }
    return json.dumps(facts, ensure_ascii=False, sort_keys=True)


def prove(variant: Variant, adapter: Adapter[Any, Any]) -> None:
    """Asks the adapter, before approval, whether its channel can express the variant.

    Raises :class:`~publisher.channel.Unsupported`.
    """
    sample = adapter.links(variant.key)
    if sample is None:
        sample = Links(both=f"https://example.org/announcements/{variant.key}/")
    try:
        adapter.prepare(links.fill(variant, sample))
    except Unsupported as refusal:
        raise Unsupported(f"{adapter.channel}: {refusal}") from None
