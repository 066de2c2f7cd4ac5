"""What a server says: SMTP replies, read from bytes as they come in.

Source: RFC 5321, 4.2 (replies) and 4.5.3.1 (lengths).
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from functools import lru_cache

_LINE = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?")
_LINES = 100
_OCTETS = 4096
"""How much a reply may hold: far more than any server says, and an end to one that never stops."""


class BrokenReply(ConnectionError):
    """The server said something that is no SMTP reply."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A server's answer: its code, and its lines as they came."""

    code: int
    lines: tuple[str, ...] = ("",)

    @property
    def text(self) -> str:
        """The lines as one, printable and shortened to 200 characters."""
        visible = " ".join(self.lines)
        if not visible.isprintable():
            visible = "".join(c if c.isprintable() else " " for c in visible)
        return " ".join(visible.split())[:200]

    @property
    def is_temporary(self) -> bool:
        """A 4yz reply: the same may succeed later."""
        return 400 <= self.code < 500

    @property
    def is_permanent(self) -> bool:
        """A 5yz reply: the same will fail again."""
        return 500 <= self.code < 600

    def __str__(self) -> str:
        return f"{self.code} {self.text}".strip()


class Replies:
    """Turns the bytes of one connection into replies. Both methods raise :class:`BrokenReply`, for good."""

    def __init__(self) -> None:
        self._buffer = b""
        self._lines: deque[bytes] = deque()
        self._code = b""
        self._texts: list[str] = []

    @property
    def rest(self) -> bool:
        """Whether bytes have come that belong to no reply which was taken."""
        return bool(self._buffer or self._lines or self._texts)

    def feed(self, data: bytes) -> None:
        """Adds what has come in."""
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        self._lines.extend(lines)

    def take(self) -> Reply | None:
        """The next reply, or ``None`` where it is not complete yet."""
        while self._lines:
            line = self._lines.popleft()
            if not self._texts and (reply := _single(line)):
                return reply
            if self._ends(line.rstrip(b"\r")):
                reply = Reply(int(self._code), tuple(self._texts))
                self._code, self._texts = b"", []
                return reply
        if len(self._buffer) > _OCTETS:
            raise BrokenReply("a line of the answer does not end")
        return None

    def _ends(self, line: bytes) -> bool:
        match = _LINE.fullmatch(line)
        if not match or (self._code and match[1] != self._code):
            raise BrokenReply("the answer is no SMTP reply")
        if len(self._texts) >= _LINES:
            raise BrokenReply("the answer does not end")
        self._code = match[1]
        self._texts.append(_decoded(match))
        return match[2] != b"-"


@lru_cache(maxsize=64)
def _single(line: bytes) -> Reply | None:
    """A reply of one line; most servers say the same few all day."""
    match = _LINE.fullmatch(line.rstrip(b"\r"))
    return Reply(int(match[1]), (_decoded(match),)) if match and match[2] != b"-" else None


def _decoded(match: re.Match[bytes]) -> str:
    return (match[3] or b"").decode("utf-8", "replace")
