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


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection breaks."""

    at: At


@dataclass(frozen=True, slots=True)
class Stall:
    """Nothing more is heard until the client leaves or the server stops."""

    at: At


@dataclass(frozen=True, slots=True)
class Answer:
    """This answer instead of the handler's, which does not act."""

    response: Response


@dataclass(frozen=True, slots=True)
class Truncated:
    """The handler acts; the whole body is promised, ``keep`` bytes of it are sent."""

    keep: int


@dataclass(frozen=True, slots=True)
class Trickle:
    """The handler acts; the body comes a byte every ``pace`` seconds."""

    pace: float


@dataclass(frozen=True, slots=True)
class Endless:
    """The handler acts; its body is followed by more, for ever."""

    filler: bytes = field(default=b"x" * 4096, repr=False)


@dataclass(frozen=True, slots=True)
class Raw:
    """These bytes are sent as they are; the handler does not act."""

    data: bytes


Fault = Cut | Stall | Answer | Truncated | Trickle | Endless | Raw
"""The ways an exchange can go wrong."""
