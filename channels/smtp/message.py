"""The newsletter as a MIME message, built by hand so that the same variant gives the same bytes.

Sources: RFC 5322 (headers), RFC 2045 and 2046 (MIME), RFC 2047 (encoded words), RFC 3282 (Content-Language),
RFC 3834 (Auto-Submitted). The standard library's serialiser draws its boundaries at random, lets encoded words
grow longer than 75 characters and loses spaces between them.
"""

from __future__ import annotations

import base64
import hashlib
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime

import regex

from channels.smtp.address import Mailbox
from publisher.channel import Payload, Unsupported, Variant

_WORD = 75
"""The longest encoded word, in characters (RFC 2047, section 2)."""
_LINE = 76
"""The longest line that holds an encoded word, and of base64 text."""
_OPEN, _CLOSE = "=?utf-8?b?", "?="
_GRAPHEME = regex.compile(r"\X")
_BREAKS = re.compile(r"[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029 ]+")


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
    # Lines of text end in CRLF in their canonical form (RFC 2046, 4.1.1), whatever carries them.
    data = re.sub(r"\r\n|\r|\n", "\r\n", body.rstrip("\r\n") + "\n").encode()
    encoded = base64.b64encode(data).decode("ascii")
    return [
        f"Content-Type: text/{subtype}; charset=utf-8",
        "Content-Transfer-Encoding: base64",
        "",
        *(encoded[at : at + _LINE] for at in range(0, len(encoded), _LINE)),
    ]


def from_header(sender: Mailbox) -> str:
    """The ``From`` header, folded."""
    if not sender.name:
        return f"From: {sender.address}"
    if sender.name.isascii() and len(sender.name) <= _WORD - 10 and "=?" not in sender.name:
        quoted = sender.name.replace("\\", "\\\\").replace('"', '\\"')
        return f'From: "{quoted}"\r\n <{sender.address}>'
    return f"From: {_folded(_words(sender.name, len('From: ')))}\r\n <{sender.address}>"


def subject_header(text: str) -> str:
    """The ``Subject`` header, folded; line breaks in ``text`` become spaces.

    Raises :class:`Unsupported` for a subject that is empty or holds another control character.
    """
    subject = _BREAKS.sub(" ", text).strip(" ")
    if not subject.strip():
        raise Unsupported("The subject is empty; give the announcement a title.")
    for character in subject:
        if unicodedata.category(character) in ("Cc", "Cs"):
            raise Unsupported(
                f"The title contains the control character U+{ord(character):04X}; remove it from the title."
            )
    name = "Subject: "
    if subject.isascii() and "=?" not in subject and len(name + subject) <= _LINE:
        return name + subject
    return name + _folded(_words(subject, len(name)))


def _folded(words: Iterator[str]) -> str:
    # White space between two encoded words belongs to neither (RFC 2047, 6.2): no letter is lost by folding.
    return "\r\n ".join(words)


def _words(text: str, used: int) -> Iterator[str]:
    """``text`` as encoded words of whole graphemes; the first shares its line with ``used`` characters."""
    room = _LINE - used
    chunk = b""
    for piece in _pieces(text):
        if chunk and _encoded_length(len(chunk) + len(piece)) > min(room, _WORD):
            yield _word(chunk)
            chunk, room = b"", _LINE - 1
        chunk += piece
    yield _word(chunk)


def _pieces(text: str) -> Iterator[bytes]:
    """Graphemes as UTF-8; one too long for an encoded word is split between characters."""
    for grapheme in _GRAPHEME.findall(text):
        encoded = grapheme.encode()
        if _encoded_length(len(encoded)) <= _WORD - 10:
            yield encoded
        else:
            yield from (character.encode() for character in grapheme)


def _encoded_length(octets: int) -> int:
    return len(_OPEN) + 4 * ((octets + 2) // 3) + len(_CLOSE)


def _word(chunk: bytes) -> str:
    return f"{_OPEN}{base64.b64encode(chunk).decode('ascii')}{_CLOSE}"


def message_id(key: str, sender: str) -> str:
    """The Message-ID of a delivery: the same for every attempt, so that a repeated message can be recognised."""
    return f"<{key}@{sender.rpartition('@')[2]}>"


def stamped(payload: MailPayload, key: str, moment: datetime) -> bytes:
    """The message as it leaves: with ``Date`` and ``Message-ID`` in front. ``moment`` is aware."""
    head = f"Date: {format_datetime(moment)}\r\nMessage-ID: {message_id(key, payload.sender)}\r\n"
    return head.encode("ascii") + payload.message
