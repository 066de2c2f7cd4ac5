"""The newsletter as a MIME message, built by hand so that the same variant gives the same bytes.

Sources: RFC 5322 (headers), RFC 2045 and 2046 (MIME), RFC 3282 (Content-Language), RFC 3834 (Auto-Submitted). The
standard library's serialiser draws its boundaries at random.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime

from channels.smtp.address import Mailbox
from channels.smtp.headers import from_header, subject_header
from publisher.channel import Payload, Variant

_LINE = 76
"""The longest line of base64 text (RFC 2045, 6.8)."""


@dataclass(frozen=True)
class MailPayload(Payload):
    """One message and its envelope.

    ``message`` is complete but for ``Date`` and ``Message-ID``, which depend on the moment and on the delivery;
    :func:`stamped` adds them.
    """

    sender: str
    recipients: tuple[str, ...]
    message: bytes = field(repr=False)


def build(variant: Variant, sender: Mailbox, recipients: tuple[str, ...], reply_to: str) -> MailPayload:
    """The message for a newsletter variant. Raises :class:`Unsupported` for a subject no header can hold."""
    tags = variant.facts["language_tags"]
    text, html = variant.text("text"), variant.text("html")
    boundary = "=_" + hashlib.sha256(f"{text}\0{html}".encode()).hexdigest()[:40]
    headers = [
        from_header(sender),
        f"Reply-To: {reply_to}" if reply_to else "",
        # Nobody's address is shown to the others.
        f"To: {recipients[0] if len(recipients) == 1 else 'undisclosed-recipients:;'}",
        subject_header(variant.text("subject")),
        "MIME-Version: 1.0",
        f"Content-Language: {', '.join(tags[code] for code in variant.languages)}",
        "Auto-Submitted: auto-generated",
        f"X-Announcement-Key: {variant.key}/r{variant.revision}",
        f'Content-Type: multipart/alternative;\r\n boundary="{boundary}"',
    ]
    lines = [header for header in headers if header]
    for subtype, body in (("plain", text), ("html", html)):
        lines += ["", f"--{boundary}", *_part(subtype, body)]
    lines += ["", f"--{boundary}--", ""]
    return MailPayload(sender.address, recipients, "\r\n".join(lines).encode("ascii"))


def _part(subtype: str, body: str) -> list[str]:
    data = canonical(body.rstrip("\r\n"))
    encoded = base64.b64encode(data).decode("ascii")
    return [
        f"Content-Type: text/{subtype}; charset=utf-8",
        "Content-Transfer-Encoding: base64",
        "",
        *(encoded[at : at + _LINE] for at in range(0, len(encoded), _LINE)),
    ]


def canonical(text: str) -> bytes:
    """``text`` in UTF-8, its lines ended by CRLF, the last one too (RFC 2046, 4.1.1), whatever will carry them."""
    ended = text if text.endswith(("\r", "\n")) else text + "\n"
    return re.sub(r"\r\n|\r|\n", "\r\n", ended).encode()


def message_id(key: str, sender: str) -> str:
    """The Message-ID of a delivery: the same for every attempt, so that a repeated message can be recognised."""
    return f"<{key}@{sender.rpartition('@')[2]}>"


def stamped(payload: MailPayload, key: str, moment: datetime) -> bytes:
    """The message as it leaves: with ``Date`` and ``Message-ID`` in front. ``moment`` is aware."""
    head = f"Date: {format_datetime(moment)}\r\nMessage-ID: {message_id(key, payload.sender)}\r\n"
    return head.encode("ascii") + payload.message
