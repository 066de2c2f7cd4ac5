"""Reads what a form or a mail program has posted: never more than is asked for, never for longer than is polite."""

from __future__ import annotations

import asyncio
import re
from email.message import Message
from email.parser import BytesParser
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import Request

LARGEST = 16 * 1024
"""Octets of a body. The longest form of ours is a tenth of that."""
_PATIENCE = 10.0
"""Seconds that a body may take."""
_FIELDS = 20
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


async def posted(request: Request) -> dict[str, str]:
    """The fields of a form, urlencoded or multipart; the first of a name counts, and each is one line of text.

    What cannot be read as a form has no fields: whoever posts to end a subscription need not post it well. Raises
    :class:`HTTPException` 413 for a body that is too large, 408 for one that does not end.
    """
    body = await _body(request)
    kind = request.headers.get("content-type", "")
    pairs = _parts(kind, body) if kind.lower().startswith("multipart/") else _urlencoded(body)
    return {name: one_line(value) for name, value in reversed(pairs[:_FIELDS])}


def token_of(request: Request) -> str:
    """The token in the address, without what a mail program took for a part of it, such as the full stop behind."""
    found = re.match(r"[0-9A-Za-z-]{1,64}", str(request.path_params.get("token", "")))
    return found[0] if found else ""


def agent(request: Request) -> str:
    """What the visitor's program calls itself, in one short line."""
    return one_line(request.headers.get("user-agent", "")[:200])[:120]


def one_line(text: str) -> str:
    """``text`` with every run of control characters and line breaks made a space, none at its ends."""
    return _CONTROL.sub(" ", text).strip()


async def _body(request: Request) -> bytes:
    body = b""
    try:
        async with asyncio.timeout(_PATIENCE):
            async for chunk in request.stream():
                body += chunk
                if len(body) > LARGEST:
                    raise HTTPException(413, headers={"Connection": "close"})
    except TimeoutError:
        raise HTTPException(408, headers={"Connection": "close"}) from None
    return body


def _urlencoded(body: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, errors="replace")
    except ValueError:
        return []


def _parts(kind: str, body: bytes) -> list[tuple[str, str]]:
    """The text fields of a multipart body (RFC 7578), which is read as the MIME message that it is."""
    head = b"Content-Type: " + kind.encode("latin-1", "replace") + b"\r\n\r\n"
    message = BytesParser().parsebytes(head + body)
    parts = message.get_payload() if message.is_multipart() else []
    return [_field(part) for part in parts if isinstance(part, Message)]


def _field(part: Message) -> tuple[str, str]:
    data = part.get_payload(decode=True)
    name = part.get_param("name", "", header="content-disposition")
    return str(name), data.decode("utf-8", "replace") if isinstance(data, bytes) else ""
