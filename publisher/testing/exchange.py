"""What passes over a loopback connection: a request, a response, and every way it can go wrong, as values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True, slots=True)
class Request:
    """What came in; ``headers`` have lower-case names."""

    method: str
    target: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def path(self) -> str:
        """The target without its query."""
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        """The last value of each parameter."""
        return {name: values[-1] for name, values in parse_qs(urlsplit(self.target).query).items()}

    def json(self) -> Any:
        """The body read as JSON. Raises ``ValueError``."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Response:
    """What goes out. ``Content-Length`` is added."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, data: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
        """``data`` as JSON."""
        body = json.dumps(data, ensure_ascii=False).encode()
        return cls(status, body, {"Content-Type": "application/json", **(headers or {})})

    @classmethod
    def html(cls, page: str, status: int = 200) -> Response:
        """A web page."""
        return cls(status, page.encode(), {"Content-Type": "text/html; charset=utf-8"})


class At(Enum):
    """When a connection fails: before the request is read, once it is read, or once the handler has acted."""

    CONNECTED = "connected"
    READ = "read"
    ACTED = "acted"


class Where(Enum):
    """Places in an answer, for those who do not know its length; any other one is a number of bytes."""

    NOWHERE = "before its first byte"
    FIRST = "after its first byte"
    STATUS = "in the status line"
    HEADERS = "in the headers"
    BODY = "before the body"
    MIDDLE = "in the body"
    LAST = "before its last byte"

    def offset(self, head: bytes, body: bytes) -> int:
        """How many bytes of ``head`` and ``body`` come before this place."""
        line = head.find(b"\r\n") + 2
        places = {
            Where.NOWHERE: 0,
            Where.FIRST: 1,
            Where.STATUS: line // 2,
            Where.HEADERS: (line + len(head)) // 2,
            Where.BODY: len(head),
            Where.MIDDLE: len(head) + len(body) // 2,
            Where.LAST: len(head) + len(body) - 1,
        }
        return places[self]


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection breaks.

    Where the handler has acted, ``after`` so many bytes of its answer, or at that place in it. ``reset`` breaks it off
    with an error instead of an end.
    """

    at: At
    after: int | Where = Where.NOWHERE
    reset: bool = False


@dataclass(frozen=True, slots=True)
class Stall:
    """Nothing more is heard until the client leaves or the server stops; ``after`` as for :class:`Cut`."""

    at: At
    after: int | Where = Where.NOWHERE


@dataclass(frozen=True, slots=True)
class Late:
    """The handler acts only once the client has given up and ``others`` more requests have been answered."""

    others: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """This answer instead of the handler's, which does not act; or does, where it says so by ``acted``."""

    response: Response
    acted: bool = False


@dataclass(frozen=True, slots=True)
class Truncated:
    """The handler acts; the whole body is promised, ``keep`` bytes of it are sent."""

    keep: int


@dataclass(frozen=True, slots=True)
class Trickle:
    """The handler acts; its answer comes a byte every ``pace`` seconds, from ``after`` so many bytes on."""

    pace: float
    after: int | Where = Where.BODY


@dataclass(frozen=True, slots=True)
class Endless:
    """The handler acts; its body is followed by more, for ever."""

    filler: bytes = field(default=b"x" * 4096, repr=False)


@dataclass(frozen=True, slots=True)
class Raw:
    """These bytes are sent as they are, and then ``more`` of them for ever; the handler does not act."""

    data: bytes
    more: bytes = b""


@dataclass(frozen=True, slots=True)
class Echo:
    """The handler acts; its answer is right, and repeats ``text`` in a header and, in a JSON object, in a field."""

    text: str = field(repr=False)


Fault = Cut | Stall | Late | Answer | Truncated | Trickle | Endless | Raw | Echo
"""The ways an exchange can go wrong."""
