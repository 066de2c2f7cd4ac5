"""A connection: the socket under a dialogue, never waiting for it."""

from __future__ import annotations

import contextlib
import socket
import ssl
from dataclasses import dataclass

from channels.mailing.dialogue import Dialogue
from channels.mailing.task import Step, Task

_OCTETS = 65536
_WAIT = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds to wait: for an answer to a command, for the one to a message, and with nothing to do."""

    step: float
    message: float
    idle: float = 30.0
    goodbye: float = 5.0


class Line:
    """One open connection, encrypted or not. No method raises: what breaks it ends the dialogue, and is ``error``."""

    def __init__(self, connection: socket.socket, dialogue: Dialogue, patience: Patience, now: float) -> None:
        self._socket, self.dialogue, self._patience = connection, dialogue, patience
        # Else the end of each group would wait until the server has acknowledged its beginning.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._pending, self._at = b"", 0
        self._written = 0
        self.deadline = now + patience.idle
        """When it is given up, or closed where it is idle."""
        self.error: str = ""
        """Why the connection is of no more use; empty while it is."""
        self.cost = 0
        """How many letters were under way when it broke."""

    def fileno(self) -> int:
        """For a selector."""
        return self._socket.fileno()

    @property
    def blocked(self) -> bool:
        """Whether something waits to be written."""
        return bool(self._pending)

    @property
    def idle(self) -> bool:
        """Whether a letter could begin now."""
        return not self.error and self.dialogue.idle

    def send(self, task: Task, now: float) -> None:
        """Begins a letter."""
        self.dialogue.send(task)
        self._flush()
        self._wait(now)

    def quit(self, now: float) -> None:
        """Says goodbye."""
        self.dialogue.quit()
        self._flush()
        self._wait(now)

    def proceed(self, now: float) -> None:
        """Reads what there is to read, answers it, and writes what can be written."""
        self._read(now)
        if not self.error:
            self._flush()

    def late(self) -> None:
        """Ends a connection whose deadline has passed."""
        self._break("the server did not answer in time")

    def cut(self, why: str) -> None:
        """Ends the connection at once."""
        self._break(why)

    def close(self) -> None:
        """Closes the socket."""
        with contextlib.suppress(OSError):
            self._socket.close()

    def _read(self, now: float) -> None:
        """Reads once. What is left, the selector will tell: a record of TLS is smaller than what is asked for."""
        try:
            data = self._socket.recv(_OCTETS)
            if not data:
                raise ConnectionResetError("the server closed the connection")
            if self.dialogue.received(data, self._written):
                self._wait(now)
        except _WAIT:
            return
        except OSError as error:
            self._break(str(error.strerror or error))

    def _flush(self) -> None:
        if self.dialogue.out:
            self._pending = b"".join((self._pending[self._at :], *self.dialogue.out))
            self._at = 0
            self.dialogue.out.clear()
        if not self._pending:
            return
        try:
            sent = self._socket.send(memoryview(self._pending)[self._at :] if self._at else self._pending)
        except _WAIT:
            return
        except OSError as error:
            self._last_words(error)
            return
        self._written += sent
        self._at += sent
        if self._at == len(self._pending):
            self._pending, self._at = b"", 0

    def _last_words(self, error: OSError) -> None:
        """Reads what the server said before it closed the connection: it may have taken the last message."""
        with contextlib.suppress(OSError):
            while data := self._socket.recv(_OCTETS):
                self.dialogue.received(data, self._written)
        self._break(str(error.strerror or error))

    def _break(self, why: str) -> None:
        if not self.error:
            self.error = why or "the connection broke"
            self.cost = self.dialogue.lost(self.error)

    def _wait(self, now: float) -> None:
        step, patience = self.dialogue.step, self._patience
        if step is None:
            seconds = patience.idle
        elif step is Step.BODY:
            seconds = patience.message
        else:
            seconds = patience.goodbye if step is Step.QUIT else patience.step
        self.deadline = now + seconds
