"""From a sealed variant to what is sent to WordPress. Pure."""

from __future__ import annotations

import hashlib
import html
from collections.abc import Mapping
from dataclasses import dataclass

from channels.wordpress.settings import PostType, WordPressSettings
from publisher.announcement import KEY, Language
from publisher.channel import Layout, MediaType, Part, Payload, Picture, Unsupported, Variant
from publisher.render import links
from publisher.render.html import refuse_unprintable

_LONGEST_TERM = 200
"""Characters of a category's or a tag's name (``wp_terms.name``)."""
_OURS = (links.CALENDAR, links.SIBLING)


@dataclass(frozen=True)
class Upload:
    """A file for the media library; ``stem`` is its name without the ending, and its slug there."""

    stem: str
    ending: str
    media_type: str
    data: bytes
    title: str
    alt: str = ""


@dataclass(frozen=True)
class WordPressPayload(Payload):
    """A post as it will be, but for what only the site can tell: numbers of terms, addresses of files and posts.

    ``body`` still has the tokens of pictures and calendar; ``pictures`` are the uploads by the picture's name, the
    first one leads. ``other`` is the paragraph that names the other language's post, ``other_back`` the one for that
    post; both empty where there is none.
    """

    slug: str
    languages: tuple[Language, ...]
    type: PostType
    title: str
    excerpt: str
    body: Part
    pictures: Mapping[str, Upload]
    calendar: Upload | None
    categories: tuple[str, ...]
    tags: tuple[str, ...]
    other: str = ""
    other_back: str = ""

    @property
    def sibling(self) -> str:
        """The slug of the other language's post; empty where there is none."""
        return sibling_of(self.slug) if self.other else ""

    @property
    def language(self) -> Language | None:
        """The language of a post in one language."""
        return self.languages[0] if len(self.languages) == 1 else None


def sibling_of(slug: str) -> str:
    """The slug of the same announcement in the other language; empty for a post in both."""
    stem, _, code = slug.rpartition("-")
    return {"zh": f"{stem}-en", "en": f"{stem}-zh"}.get(code, "")


def build(variant: Variant, settings: WordPressSettings) -> WordPressPayload:
    """The post. Raises :class:`Unsupported` for what WordPress would not show as it was approved."""
    _refuse(variant)
    facts = variant.facts
    separate = facts["layout"] == Layout.SEPARATE and "other" in variant.parts
    tags = tuple(dict.fromkeys(name for code in variant.languages for name in facts["tags"][code]))
    is_post = settings.type is PostType.POST
    return WordPressPayload(
        slug=variant.key if variant.scope == "both" else f"{variant.key}-{variant.scope}",
        languages=variant.languages,
        type=settings.type,
        # A title is HTML to WordPress. A tag in it is no tag of ours.
        title=html.escape(variant.text("title").strip(), quote=False),
        excerpt=html.escape(_joined(facts["excerpt"], variant.languages), quote=False),
        body=variant.parts["body"],
        pictures={one.name: _picture(one, variant) for one in variant.pictures},
        calendar=_calendar(variant),
        categories=_terms(settings.categories_for(variant.languages)) if is_post else (),
        tags=_terms(tags) if is_post else (),
        other=variant.text("other").strip() if separate else "",
        other_back=variant.text("other_back").strip() if separate else "",
    )


def _refuse(variant: Variant) -> None:
    if not KEY.fullmatch(variant.key):
        raise Unsupported(f"{variant.key!r} is not the key of an announcement, so it can be no address.")
    if not variant.text("title").strip() or not variant.text("body").strip():
        raise Unsupported("A post needs a title and a text.")
    known = {links.picture(one.name) for one in variant.pictures} | set(_OURS)
    for part in variant.parts.values():
        rest = part.text
        for token in sorted(known, key=len, reverse=True):
            rest = rest.replace(token, "")
        if links.mentions_token(rest):
            raise Unsupported(
                f"The template of the {part.name} names the published page, whose address is known only once it is "
                "out; take the link out of the template."
            )
        refuse_unprintable(rest)


def _terms(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if len(name) > _LONGEST_TERM:
            raise Unsupported(f"A category or tag may have {_LONGEST_TERM} characters; shorten {name[:20]}….")
    return names


def _joined(texts: Mapping[str, str], languages: tuple[Language, ...]) -> str:
    return "\n\n".join(filter(None, (texts[code].strip() for code in languages)))


def _picture(picture: Picture, variant: Variant) -> Upload:
    """Its slug says what it shows, too: a picture with other words is another file, so that no older post changes."""
    stem, alt = picture.name.rpartition(".")[0], picture.alt.joined(variant.languages)
    words = hashlib.sha256(alt.encode()).hexdigest()[:8]
    ending = picture.format.ending
    return Upload(
        f"{stem}-{words}", ending, str(picture.format), picture.data, title=alt[:120] or stem, alt=alt
    )


def _calendar(variant: Variant) -> Upload | None:
    data = variant.parts["calendar"].data if "calendar" in variant.parts else b""
    return calendar_file(data, variant.text("title").strip()) if data.strip() else None


def calendar_file(data: bytes, title: str) -> Upload:
    """A calendar file whose name is made of its content."""
    return Upload(f"event-{hashlib.sha256(data).hexdigest()[:20]}", ".ics", "text/calendar", data, title)


def body_with(payload: WordPressPayload, pictures: Mapping[str, str], calendar: str) -> str:
    """The body with the addresses of its pictures, by name, and of its calendar file."""
    text = links.place(payload.body, pictures).text.strip()
    assert payload.body.media_type is MediaType.HTML
    text = text.replace(links.CALENDAR, html.escape(calendar))
    # A word in square brackets may be a shortcode of some plug-in, which would put something else in its place.
    return text.replace("[", "&#91;")
