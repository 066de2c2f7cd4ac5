"""The canonical link: unknown when an announcement is sealed, filled in when it is sent.

A template writes a token that is itself a valid address, so that it survives HTML cleaning and counts as a link.
The top-level domain ``.invalid`` can never exist (RFC 2606).
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import quote, urlsplit

from publisher.channel import Links, MediaType, Part, Variant

_HOST = "link.publisher.invalid"
_TOKEN = re.compile(rf"https:(//|\\/\\/){re.escape(_HOST)}(?:/|\\/)(both|zh|en)\b")
TOKENS: Mapping[str, str] = {scope: f"https://{_HOST}/{scope}" for scope in ("both", "zh", "en")}
"""What templates write for the link to the page in both languages, or in one."""
CALENDAR, SIBLING = f"https://{_HOST}/calendar", f"https://{_HOST}/sibling"
"""What templates write for the event's calendar file, and for the post in the other language, on a service that says
where they are only once they are there: its adapter fills them in."""
_PICTURE = re.compile(rf"https:(//|\\/\\/){re.escape(_HOST)}(?:/|\\/)picture(?:/|\\/)([0-9a-f]+\.[a-z]+)")

UNSUBSCRIBE, READER = f"https://{_HOST}/unsubscribe", f"reader@{_HOST}"
"""What the templates of a newsletter write for the address that ends the subscription, and for the reader's own
e-mail address: the places that are filled in for each subscriber, or by the service that sends the newsletter."""
_PUBLISHED = re.compile(rf"https:(//|\\/\\/){re.escape(_HOST)}(?:/|\\/)published(?:/|\\/)([0-9]+)")


def published(index: int) -> str:
    """What templates write for the address of picture number ``index``, from 0, on the canonical channel."""
    return f"https://{_HOST}/published/{index}"


def mentions_token(text: str) -> bool:
    """Whether ``text`` contains the reserved host, which no author may write."""
    return _HOST in text.lower()


def picture(name: str) -> str:
    """What templates write for the address of the picture called ``name``."""
    return f"https://{_HOST}/picture/{name}"


def place(part: Part, addresses: Mapping[str, str]) -> Part:
    """``part`` with the pictures at ``addresses``, by their names; nothing else is touched.

    An address may be relative. Raises ``KeyError`` for a picture without one.
    """

    def put(match: re.Match[str]) -> str:
        return _written(addresses[match[2]], match[1] != "//", part.media_type)

    return replace(part, data=_PICTURE.sub(put, part.text).encode())


def normalise(url: str) -> str:
    """``url`` in ASCII without a character that could leave an attribute or a header.

    Raises ``ValueError`` for what is not an absolute http(s) address.
    """
    split = urlsplit(url)
    if split.scheme not in ("http", "https") or not split.hostname:
        raise ValueError(f'"{url}" is not a web address.')
    return quote(url, safe="%/:=&?~#+!$,;@()*[]-._")


def base_address(url: str) -> str:
    """``url`` as :func:`normalise` writes it, with a slash at its end, to put paths behind; for settings models.

    Raises ``ValueError`` with a sentence for a person.
    """
    split = urlsplit(url)
    if split.query or split.fragment or split.username or split.password:
        raise ValueError("must be a plain address such as https://www.example.org/news/")
    return normalise(url).rstrip("/") + "/"


def web_address(url: str) -> str:
    """``url`` as :func:`normalise` writes it, empty where it is no web address."""
    try:
        return normalise(url)
    except ValueError:
        return ""


def needs_link(variant: Variant) -> bool:
    """Whether any part of the variant carries the canonical link, or shows a picture of the canonical page."""
    return any(_TOKEN.search(part.text) or _PUBLISHED.search(part.text) for part in variant.parts.values())


def fill(variant: Variant, links: Links) -> Variant:
    """The variant with every token replaced, escaped for where it stands; nothing else is touched.

    A picture whose address is not known gets that of the page: its words are shown, and lead there.
    """
    parts = {name: replace(part, data=_filled(part, links)) for name, part in variant.parts.items()}
    return replace(variant, parts=parts)


def _filled(part: Part, links: Links) -> bytes:
    def put(match: re.Match[str]) -> str:
        return _written(normalise(links[match[2]]), match[1] != "//", part.media_type)

    def show(match: re.Match[str]) -> str:
        index = int(match[2])
        known = web_address(links.pictures[index]) if index < len(links.pictures) else ""
        return _written(known or normalise(links.both), match[1] != "//", part.media_type)

    return _PUBLISHED.sub(show, _TOKEN.sub(put, part.text)).encode()


def _written(url: str, in_json: bool, media_type: MediaType) -> str:
    """``url`` as it is written where it stands."""
    if in_json or media_type is MediaType.JSON:
        # Inside JSON, also inside JSON-LD in a page, slashes are written \/ (see render.jsonld).
        return json.dumps(url)[1:-1].replace("/", "\\/").replace("&", "\\u0026")
    return html.escape(url) if media_type is MediaType.HTML else url
