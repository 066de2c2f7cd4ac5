"""Subjects and mailboxes as header fields that every server takes and nothing can be injected through.

Sources: RFC 5322 (headers), RFC 2047 (encoded words). The standard library lets encoded words grow longer than 75
characters and loses spaces between them.
"""

from __future__ import annotations

import base64
import re
import unicodedata
from collections.abc import Iterator

import regex

from channels.smtp.address import Mailbox
from publisher.channel import Unsupported

_WORD = 75
"""The longest encoded word, in characters (RFC 2047, section 2)."""
_LINE = 76
"""The longest line that holds an encoded word."""
_OPEN, _CLOSE = "=?utf-8?b?", "?="
_GRAPHEME = regex.compile(r"\X")
_BREAKS = re.compile(r"[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029 ]+")
_TURNS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""Controls of the direction of writing, which reach beyond the words they stand in."""


def from_header(sender: Mailbox) -> str:
    """The ``From`` header, folded."""
    if not sender.name:
        return f"From: {sender.address}"
    return f"From: {phrase(sender.name, len('From: '))}\r\n <{sender.address}>"


def phrase(name: str, used: int) -> str:
    """A name as it stands before ``<…>``: quoted, or in encoded words.

    ``used`` characters come before it in its first line. ``name`` is printable (``str.isprintable``) and not empty.
    """
    if name.isascii() and len(name) <= _WORD - 10 and "=?" not in name:
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted}"'
    return _folded(_words(name, used))


def subject_header(text: str) -> str:
    """The ``Subject`` header, folded; line breaks in ``text`` become spaces.

    Raises :class:`Unsupported` for a subject that is empty, or holds another control character or one that turns
    the direction of writing.
    """
    subject = _BREAKS.sub(" ", text).strip(" ")
    if not subject.strip():
        raise Unsupported("The subject is empty; give the announcement a title.")
    for character in subject:
        if unicodedata.category(character) in ("Cc", "Cs") or character in _TURNS:
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
    whole = text.encode()
    if _encoded_length(len(whole)) <= min(room, _WORD):
        yield _word(whole)
        return
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
