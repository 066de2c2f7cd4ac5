"""The message that asks a new subscriber to confirm, so that nobody is subscribed by somebody else."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from publisher.announcement import Language
from publisher.channel import Kind, Layout, MediaType, Part, Template, Variant
from publisher.render import links
from publisher.render.environment import render
from publisher.render.house import House
from publisher.render.variant import message_html
from publisher.subscriber import Reading

_TEMPLATES = (
    Template("subject", "newsletter/confirm_subject.txt"),
    Template("html", "newsletter/confirm.mjml"),
    Template("text", "newsletter/confirm.txt"),
)


def confirmation(
    reading: Reading, house: House, address: str, channel: str, office: Path | None = None
) -> Variant:
    """The message, in the language that the subscriber reads, for the adapter of ``channel`` to prepare.

    ``address`` is the web address of the page that confirms; it is different for each request, and so is the key of
    the variant. Raises ``ValueError`` for an address that is none, and
    :class:`~publisher.errors.TemplateError`, which names the file.
    """
    languages = tuple(Language) if reading is Reading.BOTH else (Language(reading),)
    where = links.normalise(address)
    context = {
        "languages": languages,
        "lang": {code: house.tag(code) for code in Language},
        "house": house,
        "confirm": where,
    }
    parts = [_part(template, office, context) for template in _TEMPLATES]
    facts = json.dumps(_facts(house), ensure_ascii=False, sort_keys=True).encode()
    parts.append(Part("facts", MediaType.JSON, facts))
    key = f"confirm-{hashlib.sha256(where.encode()).hexdigest()[:16]}"
    return Variant(channel, Kind.NEWSLETTER, key, 1, languages, {part.name: part for part in parts})


def _part(template: Template, office: Path | None, context: dict[str, Any]) -> Part:
    html = template.media_type is MediaType.HTML
    text = (message_html if html else _text)(template.file, office, context)
    return Part(template.part, template.media_type, text.encode())


def _text(file: str, office: Path | None, context: dict[str, Any]) -> str:
    return render(file, office, **context)


def _facts(house: House) -> dict[str, Any]:
    nothing = dict.fromkeys(Language, "")
    return {
        "title": nothing,
        "excerpt": nothing,
        "tags": {code: [] for code in Language},
        "language_tags": {code: house.tag(code) for code in Language},
        "layout": str(Layout.PAIRED),
        "date": "",
        "event": None,
        "pictures": [],
    }
