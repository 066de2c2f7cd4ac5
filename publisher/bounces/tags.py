"""Our own marks in what came back: tokens in addresses and links, and Message-IDs. Whether they are ours is unproved.

A letter's return path is ``bounces+b-TOKEN@…``, mail that ends a subscription goes to ``bounces+u-TOKEN@…``, and the
link that does has the same token at its end.
"""

from __future__ import annotations

import re
from email.message import Message

from publisher.bounces import parts

ENVELOPE = (
    "Delivered-To",
    "X-Original-To",
    "X-Envelope-To",
    "Envelope-To",
    "X-Delivered-To",
    "X-Forwarded-To",
    "To",
    "Cc",
    "Return-Path",
    "Received",
)
"""The headers that may say whom a message in the mailbox was addressed to."""
_TOKEN = r"[0-9a-f]{16}-[0-9a-f]{1,8}-[0-9a-f]{20}"  # noqa: S105 - the form of one
# Before the tag there may stand what forwarding servers have made of the plus sign.
_BOUNCE = re.compile(rf"(?:[+=]|\+2B|%2B|\b[\w.]{{1,64}}-)b-({_TOKEN})(?![0-9a-f])", re.IGNORECASE)
_UNSUBSCRIBE = re.compile(rf"(?:[+=]|\+2B|%2B|\b[\w.]{{1,64}}-)u-({_TOKEN})(?![0-9a-f])", re.IGNORECASE)
_LINK = re.compile(rf"https?://\S{{1,200}}?/({_TOKEN})(?![0-9a-f-])", re.IGNORECASE)
_MESSAGE_ID = re.compile(r"^(?:X-)?(?:Original-)?Message-ID:\s*(<[^<>\s]+>)", re.IGNORECASE | re.MULTILINE)
_LIST_UNSUBSCRIBE = re.compile(r"^List-Unsubscribe:(.*(?:\n[ \t].*)*)", re.IGNORECASE | re.MULTILINE)


def addressed(message: Message) -> str:
    """All that says whom a message was addressed to."""
    return "\n".join(parts.headers(message, *ENVELOPE))


def bounce(text: str) -> str | None:
    """The first token of a return path in ``text``, in small letters."""
    found = _BOUNCE.search(text)
    return found[1].lower() if found else None


def unsubscribe(text: str) -> str | None:
    """The first token of an address for unsubscribing in ``text``, in small letters."""
    found = _UNSUBSCRIBE.search(text)
    return found[1].lower() if found else None


def unsubscribe_link(text: str) -> str | None:
    """The token in the List-Unsubscribe header among the headers in ``text``, in small letters."""
    field = _LIST_UNSUBSCRIBE.search(text)
    if not field:
        return None
    joined = re.sub(r"\s+", "", field[1])
    found = _UNSUBSCRIBE.search(joined) or _LINK.search(joined)
    return found[1].lower() if found else None


def message_id(text: str) -> str | None:
    """The first Message-ID among the headers in ``text``."""
    found = _MESSAGE_ID.search(text)
    return found[1] if found else None
