"""What a Mastodon server says of a post: where it is, when it was made, and whether it is ours."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urlsplit

from publisher import clock
from publisher.channel import Links, Outcome, Payload, Receipt


@dataclass(frozen=True, slots=True)
class StatusPayload(Payload):
    """A post, as it is made and as it is changed. ``link`` is the announcement's, by which the post is found again."""

    status: str
    language: str
    visibility: str
    link: str = ""

    @property
    def body(self) -> dict[str, str]:
        """The body of ``POST /api/v1/statuses``."""
        return {"status": self.status, "language": self.language, "visibility": self.visibility}

    @property
    def edit(self) -> dict[str, Any]:
        """The body of ``PUT /api/v1/statuses/:id``, the complete desired state: what is left out may stay or go."""
        return {
            "status": self.status,
            "language": self.language,
            "spoiler_text": "",
            "sensitive": False,
            "media_ids": [],
        }


def receipt(
    status: dict[str, Any], code: int, outcome: Outcome, scrub: Callable[[str], str]
) -> Receipt | None:
    """The receipt of a post; ``None`` where ``status`` has no id and web address, so is none."""
    number, url = status.get("id"), status.get("url")
    if not isinstance(number, str) or not number or not isinstance(url, str):
        return None
    if not re.fullmatch(r"https?://[!-~]+", url):
        return None
    raw = scrub(json.dumps(status, ensure_ascii=False))
    return Receipt(
        outcome, number, Links(both=url), str(code), clock.instant(str(status.get("created_at"))), raw
    )


def older_than(link: str) -> str:
    """``max_id`` of the next page in a ``Link`` header, empty on the last page.

    Only that is taken: the address itself would decide where our token goes.
    """
    match = re.search(r'<([^<>]*)>\s*;\s*rel="?next"?', link)
    return parse_qs(urlsplit(match[1]).query).get("max_id", [""])[0] if match else ""


class _Content(HTMLParser):
    """A post's HTML: its text, and where its links lead. What is shown of a link is split into spans."""

    def __init__(self, content: str) -> None:
        super().__init__(convert_charrefs=True)
        self.targets: set[str] = set()
        self._text: list[str] = []
        self.feed(content)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keeps where a link leads, and that paragraphs and line breaks part words."""
        if tag == "a":
            self.targets.add(dict(attrs).get("href") or "")
        elif tag in ("p", "br"):
            self._text.append("\n")

    def handle_data(self, data: str) -> None:
        """Keeps the text."""
        self._text.append(data)

    @property
    def text(self) -> str:
        return _plain("".join(self._text))


def _plain(text: str) -> str:
    return " ".join(text.split())


def matches(status: dict[str, Any], payload: StatusPayload) -> bool:
    """Whether a post is this one.

    Its link alone would not do: in the layout *separate* both languages of an announcement may have the same one.
    Nor would its whole text: a person may have mended a slip in it.
    """
    content = _Content(str(status.get("content") or ""))
    if not payload.link:
        return content.text == _plain(payload.status)
    if payload.link not in content.targets:
        return False
    lines = [_plain(line) for line in payload.status.splitlines()]
    own = [line for line in lines if line and line != payload.link and not line.startswith("#")]
    return not own or any(line in content.text for line in own)
