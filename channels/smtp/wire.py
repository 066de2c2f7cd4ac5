"""Commands out, replies in: SMTP lines over a socket, each wait with a deadline of its own.

The standard library's client is not used, because its time limit starts anew with every byte, a reply may be of
any length, and one exception stands for a connection lost before and after the message was sent.
Source: RFC 5321, 4.2 (replies), 4.5.2 (transparency), 4.5.3.1 (lengths).
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import time
from dataclasses import dataclass

_REPLY_LINE = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?")
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
        visible = "".join(c if c.isprintable() else " " for c in " ".join(self.lines))
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


class Wire:
    """One connection. Every method raises :class:`OSError` when it is lost, late or not understood."""

    def __init__(self, host: str, port: int, timeout: float) -> None:
        self._host, self._timeout = host, timeout
        self._socket = socket.create_connection((host, port), timeout)
        self._buffer = b""
        self.usable = True
        """Whether another command makes sense."""

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Goes on encrypted, the certificate checked against the host's name."""
        self.expect_silence()  # what came before the handshake was not said by the server that it verifies
        self._socket.settimeout(self._timeout)
        try:
            encrypted = context.wrap_socket(
                self._socket, server_hostname=self._host, do_handshake_on_connect=False
            )
            self._socket = encrypted  # before the handshake, so that abort() can end it
            encrypted.do_handshake()
        except OSError:
            self.usable = False
            raise

    def command(self, line: str, timeout: float | None = None) -> Reply:
        """Sends one command and reads its reply."""
        assert "\r" not in line and "\n" not in line
        self.send(f"{line}\r\n".encode("ascii"), timeout)
        return self.reply(timeout)

    def send(self, data: bytes, timeout: float | None = None) -> None:
        """Sends ``data`` as it is."""
        self._socket.settimeout(timeout or self._timeout)
        try:
            self._socket.sendall(data)
        except OSError:
            self.usable = False
            raise

    def reply(self, timeout: float | None = None) -> Reply:
        """The next reply, read within ``timeout`` seconds in all."""
        try:
            return self._reply(time.monotonic() + (timeout or self._timeout))
        except OSError:
            self.usable = False
            raise

    def expect_silence(self) -> None:
        """Refuses to go on where the server has said more than it was asked: it would be taken for the next reply."""
        if self._buffer:
            self.usable = False
            raise BrokenReply("the server spoke out of turn")

    def _reply(self, deadline: float) -> Reply:
        texts: list[str] = []
        code = b""
        for _ in range(_LINES):
            match = _REPLY_LINE.fullmatch(self._line(deadline))
            if not match or (code and match[1] != code):
                raise BrokenReply("the answer is no SMTP reply")
            code = match[1]
            texts.append((match[3] or b"").decode("utf-8", "replace"))
            if match[2] != b"-":
                return Reply(int(code), tuple(texts))
        raise BrokenReply("the answer does not end")

    def _line(self, deadline: float) -> bytes:
        while b"\n" not in self._buffer:
            if len(self._buffer) > _OCTETS:
                raise BrokenReply("a line of the answer does not end")
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError("timed out")
            self._socket.settimeout(remaining)
            received = self._socket.recv(_OCTETS)
            if not received:
                raise ConnectionResetError("the server closed the connection")
            self._buffer += received
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.rstrip(b"\r")

    def handed_over(self) -> socket.socket:
        """The socket, for a caller that goes on with it by itself; nothing may be waiting in it."""
        self.usable = False
        return self._socket

    def abort(self) -> None:
        """Ends the connection at once; may be called while another thread waits in it, which then wakes."""
        with contextlib.suppress(OSError):
            # Not the method of an SSL socket, which would first forget its encryption.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """Closes the socket."""
        self._socket.close()


def transparent(message: bytes) -> bytes:
    """``message``, with CRLF line ends, as the data of a DATA command: dots doubled, final dot added."""
    body = re.sub(rb"(?m)^\.", b"..", message)
    return body + (b"" if body.endswith(b"\r\n") else b"\r\n") + b".\r\n"
