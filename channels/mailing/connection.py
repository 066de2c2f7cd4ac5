"""One connection that is signed in: letters go over it one after the other, and each reply finds its letter.

With pipelining (RFC 2920) one write carries a message and the envelope of the next, and one read its answer and theirs.
Without, every command waits for its reply. At any moment one message at most is under way: its first byte has left, and
the server has not said what it did with it. Sources: RFC 5321, 3.3, 4.2 and 4.5.3.2; RFC 2920, 3.1; RFC 3461 (DSN).
"""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from channels.smtp.conversation import SIGN_IN_FIRST, asks_to_wait
from channels.smtp.wire import Reply
from publisher.channel import Fate

_LONGEST_REPLY = 64 * 1024
_LINE = re.compile(rb"([2-5][0-9]{2})(?:([ -])([^\r\n]*))?\r?")
_CHUNK = 1 << 16


class Lost(ConnectionError):
    """The connection is of no use any more."""


class _Step(Enum):
    SENDER = auto()
    RECIPIENT = auto()
    DATA = auto()
    MESSAGE = auto()
    EMPTY = auto()
    """A lone dot: the server wanted a message that has no recipient."""
    RESET = auto()
    QUIT = auto()


@dataclass(frozen=True, slots=True)
class Ready:
    """A letter that is composed: its envelope, and the message without the final dot."""

    number: int
    sender: str
    recipient: str
    message: bytes
    utf8: bool = False
    envelope_id: str = ""


class Connection:
    """Sends :class:`Ready` letters. Not blocking: its owner waits until the socket can be read or written.

    ``begin`` is asked before the first byte of a message leaves, ``end`` is told what became of a letter.
    """

    def __init__(
        self,
        opened: socket.socket,
        extensions: Mapping[str, str],
        begin: Callable[[int], bool],
        end: Callable[[int, Fate, str], None],
        *,
        timeout: float,
        answer_timeout: float,
    ) -> None:
        self.socket = opened
        opened.setblocking(False)
        if opened.family in (socket.AF_INET, socket.AF_INET6):
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._begin, self._end = begin, end
        self._timeout, self._answer_timeout = timeout, answer_timeout
        self._pipelines = "PIPELINING" in extensions
        self._utf8, self._dsn = "SMTPUTF8" in extensions, "DSN" in extensions
        self._sized = "SIZE" in extensions
        self._limit = int(limit) if (limit := extensions.get("SIZE", "")).isdigit() else 0
        self._expected: deque[_Step] = deque()
        self._commands: deque[tuple[_Step, bytes]] = deque()
        self._out = bytearray()
        self._in = b""
        self._lines: list[str] = []
        self._coming: Ready | None = None
        """The letter whose envelope is being settled."""
        self._flying: Ready | None = None
        """The letter whose message is under way."""
        self._refusal: Reply | None = None
        self._resets = False
        """Whether the server still holds an envelope that it refused."""
        self.deadline = time.monotonic() + timeout
        self.messages = 0
        """How many were begun on it."""
        self.refused_office: Reply | None = None
        """A refusal that is not of a reader but of us: of our sender, or of us as long as we are not signed in."""

    # --- what its owner asks ------------------------------------------------------------------------------------

    @property
    def has_room(self) -> bool:
        """Whether the next letter may be given to it: its envelope then goes with the message under way."""
        return self._coming is None and not self._commands and (self._pipelines or self._flying is None)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way, and no reply is owed."""
        return not (self._coming or self._flying or self._expected or self._commands or self._out)

    @property
    def wants_to_write(self) -> bool:
        """Whether bytes are waiting for the socket."""
        return bool(self._out)

    @property
    def fileno(self) -> int:
        """The socket's number."""
        return self.socket.fileno()

    def give(self, ready: Ready) -> None:
        """The next letter. What the server can certainly not take is refused without asking it."""
        if ready.utf8 and not self._utf8:
            self._end(
                ready.number, Fate.REFUSED, "the server takes no address with letters beyond ASCII (SMTPUTF8)"
            )
            return
        if self._limit and len(ready.message) > self._limit:
            self._end(ready.number, Fate.REFUSED, f"the server takes at most {self._limit} octets")
            return
        self._coming, self._refusal = ready, None
        sender = f"MAIL FROM:<{ready.sender}>"
        if self._sized:
            sender += f" SIZE={len(ready.message)}"
        if ready.utf8:
            sender += " SMTPUTF8"
        recipient = f"RCPT TO:<{ready.recipient}>"
        if self._dsn:
            sender += f" RET=HDRS ENVID={ready.envelope_id}" if ready.envelope_id else " RET=HDRS"
            recipient += " NOTIFY=FAILURE,DELAY"
        if self._resets:
            self._commands.append((_Step.RESET, b"RSET\r\n"))
            self._resets = False
        self._commands += [
            (_Step.SENDER, f"{sender}\r\n".encode()),
            (_Step.RECIPIENT, f"{recipient}\r\n".encode()),
            (_Step.DATA, b"DATA\r\n"),
        ]
        self._push()

    def quit(self) -> None:
        """Takes leave; the answer changes nothing."""
        self._commands.append((_Step.QUIT, b"QUIT\r\n"))
        self._push()

    def write(self) -> None:
        """Sends what is waiting, as far as the socket takes it. Raises :class:`Lost`."""
        try:
            while self._out:
                sent = self.socket.send(self._out)
                del self._out[:sent]
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return
        except OSError as error:
            raise Lost(error.strerror or str(error)) from error

    def read(self) -> None:
        """Reads what has come, and acts on it. Raises :class:`Lost`, also where the server makes no sense."""
        while True:
            try:
                data = self.socket.recv(_CHUNK)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            except OSError as error:
                raise Lost(error.strerror or str(error)) from error
            if not data:
                raise Lost("the server closed the connection")
            self._take(data)
            # TLS may hold more than the socket shows.
            if not (isinstance(self.socket, ssl.SSLSocket) and self.socket.pending()):
                return

    def abandon(self, why: str) -> None:
        """The connection is lost: what was under way is in doubt, what was only announced has not been sent."""
        if self._flying:
            self._end(self._flying.number, Fate.UNKNOWN, f"no answer after the message was sent: {why}")
        if self._coming:
            self._end(self._coming.number, Fate.UNSENT, why)
        self._flying = self._coming = None
        self.socket.close()

    # --- replies ------------------------------------------------------------------------------------------------

    def _take(self, data: bytes) -> None:
        data = self._in + data
        at = 0
        while (end := data.find(b"\n", at)) >= 0:
            match = _LINE.fullmatch(data, at, end)
            if not match:
                raise Lost("the server's answer is no SMTP reply")
            self._lines.append((match[3] or b"").decode("utf-8", "replace"))
            at = end + 1
            if match[2] != b"-":
                reply, self._lines = Reply(int(match[1]), tuple(self._lines)), []
                self._answered(reply)
        self._in = data[at:]
        if len(self._in) > _LONGEST_REPLY or len(self._lines) > 1000:
            raise Lost("the server's answer does not end")

    def _answered(self, reply: Reply) -> None:
        if not self._expected:
            raise Lost(f"the server spoke out of turn ({reply})")
        step = self._expected.popleft()
        match step:
            case _Step.MESSAGE:
                self._settle(reply)
            case _Step.SENDER | _Step.RECIPIENT:
                self._judge(step, reply)
            case _Step.DATA:
                self._data(reply)
            case _Step.EMPTY | _Step.RESET | _Step.QUIT:
                pass
        self._push()
        self._await()

    def _judge(self, step: _Step, reply: Reply) -> None:
        if reply.code not in (250, 251, 252) and self._refusal is None:
            self._refusal = reply
            if (step is _Step.SENDER and reply.is_permanent) or reply.code in SIGN_IN_FIRST:
                self.refused_office = reply
            if not self._pipelines:  # nothing else of it has left
                self._commands.clear()
                self._refuse(reply)

    def _data(self, reply: Reply) -> None:
        ready = self._coming
        assert ready is not None, "DATA is asked for a letter"
        if self._refusal is None and reply.code == 354:
            self._fly(ready)
            return
        if reply.code == 354:  # it wants a message for nobody: there is no other way out (RFC 2920, 3.1)
            self._queue(_Step.EMPTY, b".\r\n")
        self._refuse(self._refusal or reply)

    def _fly(self, ready: Ready) -> None:
        if not self._begin(ready.number):
            raise Lost("it was stopped before the message")
        self._coming, self._flying = None, ready
        self.messages += 1
        self._queue(_Step.MESSAGE, ready.message + b".\r\n")

    def _refuse(self, reply: Reply) -> None:
        ready, self._coming = self._coming, None
        assert ready is not None, "somebody was refused"
        fate = Fate.UNSENT if self.refused_office else _fate(reply)
        self._end(ready.number, fate, str(reply))
        if reply.code == 421:
            raise Lost(str(reply))
        self._resets = True

    def _settle(self, reply: Reply) -> None:
        ready, self._flying = self._flying, None
        assert ready is not None, "a message was under way"
        if reply.code == 250:
            self._end(ready.number, Fate.SENT, str(reply))
        elif reply.is_temporary or reply.is_permanent:
            self._end(ready.number, _fate(reply), str(reply))
        else:
            self._end(ready.number, Fate.UNKNOWN, f"an answer that means nothing ({reply})")
            raise Lost("the server's answer means nothing")

    # --- commands -----------------------------------------------------------------------------------------------

    def _push(self) -> None:
        """Sends the next commands: all there are where the server takes them together, else one at a time."""
        while self._commands and (self._pipelines or not self._expected):
            step, command = self._commands.popleft()
            self._queue(step, command)

    def _queue(self, step: _Step, data: bytes) -> None:
        self._expected.append(step)
        self._out += data
        if len(self._expected) == 1:
            self._await()

    def _await(self) -> None:
        """Counts the time anew: every reply has its own."""
        patient = self._expected and self._expected[0] in (_Step.MESSAGE, _Step.EMPTY)
        self.deadline = time.monotonic() + (self._answer_timeout if patient else self._timeout)


def _fate(reply: Reply) -> Fate:
    """Deferred where the same may succeed later, also where a permanent code only asks for a slower pace."""
    if reply.is_temporary or asks_to_wait(reply):
        return Fate.DEFERRED
    return Fate.REFUSED
