"""A message's headers and parts as text, whatever charset they claim and however broken they are. Never raises."""

from __future__ import annotations

import base64
import binascii
import html
import io
import quopri
import re
from collections.abc import Iterator, Sequence
from email.errors import HeaderParseError
from email.generator import BytesGenerator
from email.header import decode_header, make_header
from email.message import Message

import nh3

_CHINESE = {"gb2312", "gbk", "x-gbk", "cp936", "hz-gb-2312"}
"""What is labelled so holds characters of the larger set, GB 18030."""
_ENDS_LINE = re.compile(r"(?i)<(?:br|/p|/div|/tr|/h\d|/li|/table|/td)\b[^>]{0,200}>")
_BREAKS = re.compile(r"\r\n?|\x00")
_LONGEST = 2000
"""Characters of one header that are looked at."""
_LARGEST = 60_000
"""Characters of one part that are looked at: reports are short, and what is longer is a returned message."""


def header(message: Message, name: str) -> str:
    """One header, decoded and on one line; empty where there is none."""
    return next(iter(headers(message, name)), "")


def headers(message: Message, *names: str) -> list[str]:
    """All headers of these names, decoded, each on one line."""
    found = [str(value)[:_LONGEST] for name in names for value in message.get_all(name, [])]
    return [" ".join(_decoded_words(value).split()) for value in found]


def _decoded_words(value: str) -> str:
    try:
        return str(make_header(decode_header(value)))
    except (HeaderParseError, LookupError, UnicodeError, ValueError):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def of_type(message: Message, *types: str) -> Iterator[Message]:
    """The parts of these media types, those inside of returned messages left out."""
    if message.get_content_type() in types:
        yield message
    elif message.is_multipart() and message.get_content_maintype() == "multipart":
        for part in message.get_payload():
            if isinstance(part, Message):
                yield from of_type(part, *types)


def text(message: Message) -> str:
    """What the message says to people: its first part of plain text, or of HTML as text."""
    for kind in ("text/plain", "text/html"):
        for part in of_type(message, kind):
            said = decoded(body(part), part.get_content_charset(""))
            if said.strip():
                return _plain(said) if kind == "text/html" else said
    return ""


def body(part: Message) -> bytes:
    """The bytes of a part below its headers, its transfer encoding undone.

    The standard library parses ``message/*`` parts and undoes no encoding there, which some servers use all the same.
    """
    out = io.BytesIO()
    try:
        BytesGenerator(out, mangle_from_=False, maxheaderlen=0).flatten(part)
    except (UnicodeError, LookupError, AttributeError, TypeError, ValueError):
        return b""
    raw = re.split(rb"\r?\n\r?\n", out.getvalue(), maxsplit=1)[-1]
    encoding = str(part.get("Content-Transfer-Encoding", "")).strip().lower()
    try:
        if encoding == "base64":
            return base64.b64decode(raw)
        return quopri.decodestring(raw) if encoding == "quoted-printable" else raw
    except (binascii.Error, ValueError):
        return raw


def decoded(data: bytes, charset: str) -> str:
    """``data`` as text, by the charset it claims, else by the first of the usual ones that fits."""
    claimed = "gb18030" if charset in _CHINESE else charset
    for name in (claimed, "utf-8", "gb18030"):
        try:
            return _BREAKS.sub("\n", data.decode(name or "utf-8"))[:_LARGEST]
        except (LookupError, UnicodeError, ValueError):
            continue
    return _BREAKS.sub("\n", data.decode("latin-1"))[:_LARGEST]


def _plain(markup: str) -> str:
    return html.unescape(nh3.clean(_ENDS_LINE.sub("\n", markup), tags=set()))


def blocks(part: Message) -> list[dict[str, str]]:
    """The groups of fields of a ``message/delivery-status`` or ``feedback-report``, names in small letters."""
    written = re.split(r"\n[ \t]*\n+", decoded(body(part), "utf-8").strip("\n"))
    return [fields for group in written if (fields := _fields(group.split("\n")))]


def _fields(lines: Sequence[str]) -> dict[str, str]:
    fields: dict[str, str] = {}
    name = ""
    for line in lines:
        if line[:1] in (" ", "\t"):
            if name:
                fields[name] += " " + line.strip()
            continue
        before, colon, value = line.partition(":")
        name = before.strip().lower() if colon and " " not in before.strip() else ""
        if name in fields:
            name = ""  # the first one counts
        elif name:
            fields[name] = _decoded_words(value.strip())
    return fields


def returned(message: Message) -> str:
    """The headers of the newsletter that came back, or all that is there of it; empty where nothing is.

    ``message/rfc822`` and ``text/rfc822-headers``, and their forms in RFC 6533.
    """
    kinds = ("message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers")
    found = (decoded(body(part), "utf-8") for part in of_type(message, *kinds))
    return next((one for one in found if one.strip()), "")
