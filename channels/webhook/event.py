"""From a sealed variant, or a receipt, to the events that are sent: what they are called and their bytes. Pure.

An event's id is what a receiver de-duplicates by. It is made of what the event is about, so that every attempt at
one delivery has the same, and no other event has it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from publisher.channel import Payload, Receipt, Unsupported, Variant
from publisher.render.links import mentions_token

PUBLISHED, UPDATED = "announcement.published", "announcement.updated"
WITHDRAWN, PING = "announcement.withdrawn", "announcement.ping"

_EVENT_ID = re.compile(
    r"(?P<key>[0-9]{4}-[0-9]{4,})-r(?P<revision>[0-9]{1,9})-[a-z0-9-]{1,100}-(?P<scope>zh|en|both)(-updated)?"
)
"""A delivery's key, as publications have it for their id, and what an update makes of it."""


@dataclass(frozen=True, slots=True)
class EventPayload(Payload):
    """The bytes of one variant's event, as its publication and as an update of what went out before.

    ``post`` is the receipt's id, ``update_id`` the id of the event *updated*; that of *published* is the delivery's
    key.
    """

    post: str
    update_id: str
    published: bytes = field(repr=False)
    updated: bytes = field(repr=False)


def build(variant: Variant) -> EventPayload:
    """The events of ``variant``. Raises :class:`Unsupported` where a text has an address that is not filled in."""
    data = _data(variant)
    # The day and not the moment: prepare() is pure, and what was prepared is what is sent at every attempt.
    moment = f"{variant.facts['date']}T00:00:00Z"
    return EventPayload(
        post=f"{variant.key}-{variant.scope}",
        update_id=_hyphened(f"{variant.key}-r{variant.revision}-{variant.channel}-{variant.scope}-updated"),
        published=_written(PUBLISHED, moment, data),
        updated=_written(UPDATED, moment, data),
    )


def _data(variant: Variant) -> dict[str, Any]:
    facts, languages = variant.facts, [str(code) for code in variant.languages]

    def spoken(texts: Mapping[str, Any]) -> dict[str, Any]:
        return {code: texts[code] for code in languages}

    return {
        "key": variant.key,
        "revision": variant.revision,
        "channel": variant.channel,
        "scope": variant.scope,
        "layout": facts["layout"],
        "languages": languages,
        "language_tags": spoken(facts["language_tags"]),
        "date": facts["date"],
        "url": _url(variant.text("link").strip()),
        "title": spoken(facts["title"]),
        "summary": spoken(facts["excerpt"]),
        "tags": spoken(facts["tags"]),
        "event": _event(facts["event"], languages),
        "html": _html(variant),
    }


def _url(address: str) -> str | None:
    """The page's address; ``None`` where no page of it is known."""
    return None if not address or mentions_token(address) else address


def _event(event: Mapping[str, Any] | None, languages: list[str]) -> dict[str, Any] | None:
    if event is None:
        return None
    return {
        "start": event["start_iso"],
        "end": event["end_iso"] or None,
        "when": {code: event["line"][code] for code in languages},
        "place": {code: event["place"][code] for code in languages},
        "link": event["link"] or None,
    }


def _html(variant: Variant) -> dict[str, str]:
    """The text by language, and under ``both`` as the channel's layout puts the two together."""
    parts = {variant.scope: "body"}
    if len(variant.languages) > 1:
        parts |= {str(code): f"body_{code}" for code in variant.languages}
    found = {scope: variant.text(part) for scope, part in parts.items()}
    if any(map(mentions_token, found.values())):
        raise Unsupported("The text links to a page whose address is not known; set PUBLISHER_CANONICAL.")
    return found


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """The event that takes a post back."""

    event_id: str
    body: bytes = field(repr=False)


def withdrawal(receipt: Receipt, channel: str, moment: datetime) -> Withdrawal | None:
    """The event that takes back what ``receipt`` is about, at ``moment`` in UTC; ``None`` where it names no event.

    Its id continues that of the event which came last, so that what is published again can be withdrawn again.
    A receipt settled by hand has the delivery's key for its id.
    """
    last = _EVENT_ID.fullmatch(receipt.code) or _EVENT_ID.fullmatch(receipt.id)
    if last is None or receipt.id not in (last[0], f"{last['key']}-{last['scope']}"):
        return None
    data = {
        "key": last["key"],
        "revision": int(last["revision"]),
        "channel": channel,
        "scope": last["scope"],
    }
    return Withdrawal(f"{last[0]}-withdrawn", _written(WITHDRAWN, f"{moment:%Y-%m-%dT%H:%M:%SZ}", data))


def belongs(receipt: Receipt, payload: EventPayload) -> bool:
    """Whether ``receipt`` is of the post that ``payload`` is a revision of."""
    settled = _EVENT_ID.fullmatch(receipt.id)
    name = f"{settled['key']}-{settled['scope']}" if settled else receipt.id
    return name == payload.post


def ping(channel: str, moment: datetime) -> bytes:
    """The body of an event about nothing, sent at ``moment`` in UTC."""
    return _written(PING, f"{moment:%Y-%m-%dT%H:%M:%SZ}", {"channel": channel})


def _written(kind: str, moment: str, data: Mapping[str, Any]) -> bytes:
    event = {"type": kind, "timestamp": moment, "data": data}
    return json.dumps(event, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def _hyphened(text: str) -> str:
    return re.sub(r"[^a-z0-9-]", "-", text.lower())
