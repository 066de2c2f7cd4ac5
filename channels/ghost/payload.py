"""From a sealed variant to what Ghost is given. Pure.

Source of the lengths: Ghost ``core/server/data/schema/schema.js``; it counts code points, and refuses what is longer.
"""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from publisher.announcement import Language
from publisher.channel import Part, Payload, Picture, Unsupported, Variant
from publisher.render import links, sentence
from publisher.render.html import refuse_unprintable

_LONGEST_TITLE, _LONGEST_TAG, _LONGEST_ALT, _LONGEST_EXCERPT = 255, 191, 191, 300
_SLUG = re.compile(r"[a-z0-9-]{1,80}")
_CARD = "<!--kg-card-begin: html-->\n{}\n<!--kg-card-end: html-->"
"""Ghost takes HTML apart into cards; what stands in one of this kind stays as it is."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that the post needs. ``name`` is made of its content; ``token`` is what stands for its address."""

    name: str
    media_type: str
    data: bytes = field(repr=False)
    token: str = ""

    @property
    def kind(self) -> str:
        """Which of Ghost's stores takes it."""
        return "images" if self.media_type.startswith("image/") else "files"


@dataclass(frozen=True, slots=True)
class GhostPayload(Payload):
    """One post. ``body`` still has the tokens of ``pictures`` and ``calendar``.

    ``tags`` end with the internal ones, the first of which is the post's mark. ``canonical`` is empty where the post
    itself is the canonical page.
    """

    slug: str
    title: str
    body: Part
    excerpt: str
    alt: str
    tags: tuple[str, ...]
    pictures: tuple[Upload, ...]
    calendar: Upload | None
    canonical: str

    @property
    def mark(self) -> str:
        """The internal tag that tells our post, whatever its address has become."""
        return mark(self.slug)

    @property
    def uploads(self) -> tuple[Upload, ...]:
        """Every file the post needs."""
        return (*self.pictures, *((self.calendar,) if self.calendar else ()))

    def fields(self, addresses: Mapping[str, str]) -> dict[str, Any]:
        """What Ghost stores, with the uploads at ``addresses``, by their names. What is left out is emptied."""
        lead = addresses[self.pictures[0].name] if self.pictures else None
        return {
            "title": self.title,
            "html": _CARD.format(self._placed(addresses)),
            "custom_excerpt": self.excerpt or None,
            "feature_image": lead,
            "feature_image_alt": (self.alt or None) if lead else None,
            "tags": [{"name": name} for name in self.tags],
            "canonical_url": self.canonical or None,
        }

    def _placed(self, addresses: Mapping[str, str]) -> str:
        text = links.place(self.body, addresses).text.strip()
        return (
            text.replace(links.CALENDAR, html.escape(addresses[self.calendar.name]))
            if self.calendar
            else text
        )


def slug(key: str, scope: str) -> str:
    """The end of the post's address: the announcement's key, and its language where it is in one."""
    return key if scope == "both" else f"{key}-{scope}"


def mark(slug: str) -> str:
    """The internal tag of the post with that slug; readers never see a tag that begins with a hash."""
    return f"#{slug}"


def build(variant: Variant, own: str) -> GhostPayload:
    """The post; ``own`` is the address it may have itself.

    Raises :class:`Unsupported` for what Ghost would refuse or change.
    """
    title, body = variant.text("title").strip(), variant.parts["body"]
    if not title or not body.text.strip():
        raise Unsupported("A post needs a title and a text.")
    if len(title) > _LONGEST_TITLE:
        raise Unsupported(
            f"The title has {len(title)} characters, and Ghost takes {_LONGEST_TITLE}; shorten it."
        )
    for part in variant.parts.values():
        refuse_unprintable(part.text)
    where = slug(variant.key, variant.scope)
    if not _SLUG.fullmatch(where):
        raise Unsupported(f"{variant.key!r} is not the key of an announcement, so it can be no address.")
    return GhostPayload(
        slug=where,
        title=title,
        body=body,
        excerpt=_excerpt(variant.facts["excerpt"], variant.languages),
        alt=_alt(variant.pictures[0], variant.languages) if variant.pictures else "",
        tags=_tags(variant, where),
        pictures=tuple(_picture(one) for one in variant.pictures),
        calendar=_calendar(variant),
        canonical=_canonical(variant, own),
    )


def _canonical(variant: Variant, own: str) -> str:
    address = variant.text("canonical").strip()
    # A retraction knows no address, and needs none.
    return "" if address == own or links.mentions_token(address) else address


def _excerpt(texts: Mapping[str, str], languages: tuple[Language, ...]) -> str:
    """The longest excerpt that fits: of all languages, else of the leading one; empty where none does."""
    wanted = [code for code in languages if texts[code].strip()]
    for codes in (wanted, wanted[:1]):
        for parts in product(*(list(_shorter(texts[code], code)) for code in codes)):
            if codes and len(joined := " | ".join(parts)) <= _LONGEST_EXCERPT:
                return joined
    return ""


def _shorter(text: str, language: Language) -> Iterator[str]:
    """The text, its first sentence, and that without its last clauses, never cut inside a sentence's words."""
    line = sentence.one_line(text)
    first = sentence.first(line, language)
    yield from dict.fromkeys((line, first))
    if len(first) > _LONGEST_EXCERPT // 2:
        yield from sentence.shorter(first, language)


def _alt(picture: Picture, languages: tuple[Language, ...]) -> str:
    """What the leading picture shows: in all languages, else in the first one whose words fit."""
    said = (picture.alt.joined(languages), *(picture.alt[code] for code in languages))
    return next((one for one in said if one and len(one) <= _LONGEST_ALT), "")


def _tags(variant: Variant, where: str) -> tuple[str, ...]:
    """The announcement's tags, then its mark and its languages for the site's own routes and themes."""
    written = [name for code in variant.languages for name in variant.facts["tags"][code]]
    public = [_tag(name) for name in written]
    own = [mark(where), *(f"#{code}" for code in variant.languages)]
    return tuple({name.casefold(): name for name in reversed((*public, *own)) if name}.values())[::-1]


def _tag(name: str) -> str:
    # With a hash in front it would be an internal one, and a comma in front is refused.
    shown = name.strip().lstrip("#,").strip()
    if len(shown) > _LONGEST_TAG:
        raise Unsupported(f'A tag may have {_LONGEST_TAG} characters; shorten "{shown[:20]}…".')
    return shown


def _picture(picture: Picture) -> Upload:
    return Upload(picture.name, str(picture.format), picture.data, links.picture(picture.name))


def _calendar(variant: Variant) -> Upload | None:
    data = variant.parts["calendar"].data if "calendar" in variant.parts else b""
    if not data.strip() or links.CALENDAR not in variant.text("body"):
        return None
    name = f"event-{hashlib.sha256(data).hexdigest()[:20]}.ics"
    return Upload(name, "text/calendar", data, links.CALENDAR)
