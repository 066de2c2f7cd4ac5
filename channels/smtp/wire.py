"""Commands out, replies in: SMTP lines over a socket, each wait with a deadline of its own.

The standard library's client is not used, because its time limit starts anew with every byte, a reply may be of
any length, and one exception stands for a connection lost before and after the message was sent.
Source: RFC 5321, 4.5.2 (transparency).
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import time

from channels.smtp.reply import BrokenReply, Replies, Reply

_OCTETS = 4096


class Wire:
    """One connection. Every method raises :class:`OSError` when it is lost, late or not understood."""

    def __init__(self, host: str, port: int, timeout: float) -> None:
        self._host, self._timeout = host, timeout
        self._socket = socket.create_connection((host, port), timeout)
        self._replies = Replies()
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
        if self._replies.rest:
            self.usable = False
            raise BrokenReply("the server spoke out of turn")

    def _reply(self, deadline: float) -> Reply:
        while (reply := self._replies.take()) is None:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError("timed out")
            self._socket.settimeout(remaining)
            received = self._socket.recv(_OCTETS)
            if not received:
                raise ConnectionResetError("the server closed the connection")
            self._replies.feed(received)
        return reply

    def detach(self) -> socket.socket:
        """The socket, non-blocking, for whoever goes on with the session; this wire is used up.

        Raises :class:`OSError` where the server has said more than it was asked.
        """
        self.expect_silence()
        self.usable = False
        self._socket.setblocking(False)
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
