"""The letter in which a person confirms her subscription, as plain as can be."""

from __future__ import annotations

import html
import json
import secrets
from pathlib import Path
from typing import Any

from publisher.announcement import Language
from publisher.channel import Kind, MediaType, Part, Variant
from publisher.render import house as house_style
from publisher.subscriber import Reading, Subscriber
from publisher.web.outbox import Rendered

_SAY = {
    Language.ZH: (
        "请确认订阅：{0}电子通讯",
        "有人用这个邮箱订阅了{0}的电子通讯。如果是您本人，请打开下面的链接确认：",
        "如果不是您，请忽略此信，我们不会再寄。",
    ),
    Language.EN: (
        "Please confirm your subscription: {0}",
        "Somebody asked for the newsletter of {0} to be sent to this address. If it was you, please confirm by opening "
        "this link:",
        "If it was not you, ignore this letter and nothing more will be sent.",
    ),
}
_READS = {
    Reading.ZH: (Language.ZH,),
    Reading.EN: (Language.EN,),
    Reading.BOTH: (Language.ZH, Language.EN),
}


def confirmation(channel: str, office: Path | None) -> Rendered:
    """What renders the letter for ``channel``."""

    def rendered(subscriber: Subscriber, url: str) -> Variant:
        house = house_style.load(office)
        languages = _READS[subscriber.reading]
        said = {code: [sentence.format(house.name[code]) for sentence in _SAY[code]] for code in languages}
        subject = " | ".join(said[code][0] for code in languages)
        text = "\n\n".join(f"{said[code][1]}\n{url}\n{said[code][2]}" for code in languages) + "\n"
        link = html.escape(url)
        blocks = [
            f'<div lang="{house.tag(code)}"><p>{html.escape(said[code][1])}</p><p><a href="{link}">{link}</a></p>'
            f"<p>{html.escape(said[code][2])}</p></div>"
            for code in languages
        ]
        page = (
            f'<!doctype html>\n<html lang="{house.tag(languages[0])}"><head><meta charset="utf-8">'
            f"<title>{html.escape(subject)}</title></head><body>{''.join(blocks)}</body></html>\n"
        )
        facts: dict[str, Any] = {
            "title": {str(code): said[code][0] for code in languages},
            "excerpt": {str(code): "" for code in languages},
            "tags": {},
            "language_tags": {str(code): house.tag(code) for code in languages},
            "layout": "stacked",
            "date": "",
            "event": None,
            "pictures": [],
        }
        parts = {
            "subject": Part("subject", MediaType.TEXT, subject.encode()),
            "html": Part("html", MediaType.HTML, page.encode()),
            "text": Part("text", MediaType.TEXT, text.encode()),
            "facts": Part("facts", MediaType.JSON, json.dumps(facts, ensure_ascii=False).encode()),
        }
        key = f"confirm-{secrets.token_hex(4)}"  # each its own Message-ID, or the second one is not shown
        return Variant(channel, Kind.NEWSLETTER, key, 1, languages, parts)

    return rendered
