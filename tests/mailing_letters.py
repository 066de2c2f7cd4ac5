"""Newsletters, subscribers and an office for the tests of composing: small, and with something of everything."""

from __future__ import annotations

import email
import email.policy
import random
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

from channels.mailing.letterhead import Letterhead
from channels.mailing.payload import build
from channels.smtp.address import mailbox
from publisher.announcement import Language
from publisher.channel import Kind, Letter, MediaType, Part, Variant
from publisher.render.links import READER, UNSUBSCRIBE

MOMENT = datetime(2026, 9, 20, 1, 0, tzinfo=UTC)
SUBJECT = "公开讲座：城市与河流 | Public Lecture: Cities & Rivers"
TEXT = f"本会将举办公开讲座。\nSeats are few.\n\n退订 / Unsubscribe:\n{UNSUBSCRIBE}\nSent to {READER}\n"
HTML = f'<p lang="zh-Hans">公开讲座</p><a href="{UNSUBSCRIBE}">退订</a> <a href="{UNSUBSCRIBE}">end</a> {READER}\n'
CALENDAR = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nSUMMARY:讲座\r\nEND:VCALENDAR\r\n"


def variant(**parts: str) -> Variant:
    """A newsletter of the usual parts, and of those given."""
    texts = {"subject": SUBJECT, "text": TEXT, "html": HTML, **parts}
    texts["facts"] = '{"language_tags": {"zh": "zh-Hans", "en": "en"}}'
    made = {
        name: Part(name, MediaType.HTML if "html" in name else MediaType.TEXT, text.encode())
        for name, text in texts.items()
    }
    return Variant("newsletter", Kind.NEWSLETTER, "2026-0042", 1, tuple(Language), made)


def letter(number: int = 7, **values: Any) -> Letter:
    """The letter to a subscriber, but for ``values``."""
    ref = f"{number:016x}"
    token = f"{ref}-1f-0123456789abcdef0123"
    known = {
        "address": f"reader.{number}@example.com",
        "name": "周以宁",
        "scope": "both",
        "ref": ref,
        "unsubscribe": f"https://news.example.org/u/{token}",
        "token": token,
        "bounce": f"{ref}-1f-ffff456789abcdef0123",
    }
    return Letter(number, **{**known, **values})


def letterhead(**values: Any) -> Letterhead:
    """An office with everything on its letters, but for ``values``."""
    known = {
        "sender": mailbox("示例协会 <news@example.org>"),
        "reply_to": "office@example.org",
        "bounces": "bounces@news.example.org",
        "list_id": "announce.example.org",
        "list_name": "示例协会 | Example Association",
        "help": "https://example.org/help",
        "archive": "https://example.org/news/",
    }
    return Letterhead(**{**known, **values})


def composed(one: Letter | None = None, what: Variant | None = None, head: Letterhead | None = None) -> bytes:
    """The message of a letter."""
    return build(what or variant(), head or letterhead()).composer.compose(one or letter(), MOMENT)


def parsed(message: bytes) -> EmailMessage:
    """``message`` as the standard library reads it, without a defect."""
    found = email.message_from_bytes(message, policy=email.policy.default)
    assert isinstance(found, EmailMessage)
    assert [part.defects for part in found.walk() if part.defects] == []
    return found


def content(part: Any) -> bytes:
    """The decoded bytes of a part."""
    data = part.get_payload(decode=True)
    assert isinstance(data, bytes)
    return data


_SCRAPS = (
    "云岭大学代表团", "访问本会", "签署合作备忘录。", "（2026年）", "“双院制”", "Yunling", "University", "R&D", "<b>", "'",
    '"', "=?utf-8?q?x?=", "a" * 90, "👩‍👩‍👧‍👦", "é", " ", "  ", ".", "-- ", "=", "会" * 40, "€", ",", ";", "\\", "@",
)  # fmt: skip


def words(source: random.Random, most: int = 12) -> str:
    """A line of bilingual text with something in it that is hard to encode."""
    return "".join(source.choice(_SCRAPS) for _ in range(source.randint(1, most)))


def body(source: random.Random) -> str:
    """Lines of text with places anywhere, perhaps none: at the start, at the end, one behind the other."""
    endings = ("\n", "\n", "\r\n", "\r", "", "", "\n\n", "\n.\n")
    pieces = [
        source.choice((UNSUBSCRIBE, READER)) if source.random() < 0.3 else words(source, 20)
        for _ in range(source.randint(1, 8))
    ]
    return "".join(piece + source.choice(endings) for piece in pieces)
