"""What is said on one connection: bytes in, bytes out, no socket.

Where the server takes commands in groups (RFC 2920), a message, its final dot and the envelope of the next letter leave
together, and at most one message is without an answer. Elsewhere each command waits for the answer to the one before.
Sources: RFC 5321, 3.3, 4.1.4 and 4.2.5; RFC 2920, 3.1 (groups, a lone dot where nobody was accepted).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from channels.mailing.task import Offers, Step, Task, mail_from, rcpt_to
from channels.smtp.reply import BrokenReply, Replies, Reply
from publisher.channel import Fate

_ACCEPTED = (250, 251, 252)
_CLOSING = 421
_WITHDRAWN = "withdrawn before it was sent"


class Office(Protocol):
    """Whom a dialogue asks what to do, and tells what came of it."""

    def next(self, offers: Offers) -> Task | None:
        """The next letter to go out at once, if there is one."""

    def begin(self, task: Task) -> bool:
        """Whether the message of ``task`` may leave now."""

    def settle(self, task: Task, came: Fate, answer: str) -> None:
        """What became of ``task``, for certain or never to be known."""

    def refused(self, task: Task, step: Step, reply: Reply) -> None:
        """The server refused ``task`` at ``step``, before any of its message had left or after all of it had."""


class Dialogue:
    """One connection that can take mail. ``out`` is what is to be written next, and is emptied by whoever does.

    ``expects`` counts the answers that are due; a deadline belongs to the first of them.
    """

    def __init__(self, office: Office, offers: Offers, most: int) -> None:
        """``most`` is after how many messages it ends."""
        self._office, self._offers, self._left = office, offers, most
        self._replies = Replies()
        self.out: list[bytes] = []
        self._said = 0
        self._due: deque[tuple[Step, int]] = deque()
        self._script: deque[tuple[Step, bytes]] = deque()
        self._envelope: Task | None = None
        self._trouble: tuple[Step, Reply] | None = None
        self._flying: Task | None = None
        self._reset = False
        self.over = False
        """Whether QUIT has been said, or nothing more can be."""
        self._answered: dict[Step, Callable[[Reply], None]] = {
            Step.MAIL: self._mailed,
            Step.RCPT: self._addressed,
            Step.DATA: self._invited,
            Step.BODY: self._delivered,
            Step.LONE_DOT: self._dropped,
            Step.RESET: self._cleared,
            Step.QUIT: self._parted,
        }

    @property
    def step(self) -> Step | None:
        """What the server has to answer next."""
        return self._due[0][0] if self._due else None

    @property
    def idle(self) -> bool:
        """Whether a letter could begin now."""
        return not (self._due or self.over)

    @property
    def offers(self) -> Offers:
        """What the server can do."""
        return self._offers

    # --- what comes from outside ---------------------------------------------------------------------

    def send(self, task: Task) -> None:
        """Begins the envelope of ``task``."""
        self._envelope, self._trouble = task, None
        if self._reset:
            self._say(Step.RESET, b"RSET\r\n")
        self._say(Step.MAIL, mail_from(task, self._offers))
        self._say(Step.RCPT, rcpt_to(task, self._offers))
        self._say(Step.DATA, b"DATA\r\n")

    def quit(self) -> None:
        """Says goodbye; only when idle."""
        self.over = True
        self._say(Step.QUIT, b"QUIT\r\n")

    def received(self, data: bytes, written: int) -> bool:
        """Reads what the server said, when ``written`` octets of all that was to be written had left.

        Whether there was a whole answer in it. Raises :class:`OSError` where the connection is of no more use;
        :meth:`lost` must follow.
        """
        replies, heard = self._replies, False
        replies.feed(data)
        while (reply := replies.take()) is not None:
            heard = True
            self._hear(reply, written)
        return heard

    def lost(self, why: str) -> int:
        """The connection is gone: what was begun may have arrived, what was not has not. How many letters it cost."""
        self.over = True
        flying, envelope = self._flying, self._envelope
        self._flying = self._envelope = None
        if flying:
            self._office.settle(flying, Fate.UNKNOWN, why)
        if envelope and self._trouble:
            self._office.refused(envelope, *self._trouble)
        elif envelope:
            self._office.settle(envelope, Fate.UNSENT, why)
        return bool(flying) + bool(envelope)

    # --- what is said ----------------------------------------------------------------------------------

    def _say(self, step: Step, data: bytes) -> None:
        if self._due and not self._offers.pipelining:
            self._script.append((step, data))
        else:
            self._write(data)
            self._due.append((step, self._said))

    def _write(self, data: bytes) -> None:
        self.out.append(data)
        self._said += len(data)

    def _hear(self, reply: Reply, written: int) -> None:
        if not self._due:
            raise _closed(reply) if reply.code == _CLOSING else BrokenReply("the server spoke out of turn")
        step, end = self._due[0]
        if written < end:
            self._interrupted(step, reply)
        self._due.popleft()
        self._answered[step](reply)
        if self._script and not self._due:
            self._say(*self._script.popleft())

    def _interrupted(self, step: Step, reply: Reply) -> None:
        """An answer before the end of what it answers. Without its final dot no server may keep a message."""
        if step is Step.BODY and self._flying and (reply.is_temporary or reply.is_permanent):
            task, self._flying = self._flying, None
            self._office.refused(task, Step.BODY, reply)
        raise BrokenReply("the server spoke out of turn")

    # --- what is answered --------------------------------------------------------------------------------

    def _mailed(self, reply: Reply) -> None:
        if reply.code == _CLOSING:
            raise _closed(reply)
        if reply.code == 250:
            self._reset = True
        else:
            self._object(Step.MAIL, reply)

    def _addressed(self, reply: Reply) -> None:
        if reply.code not in _ACCEPTED:
            self._object(Step.RCPT, reply)
        elif self._trouble:
            raise BrokenReply("the server took a recipient without a sender")

    def _invited(self, reply: Reply) -> None:
        if reply.code != 354:
            self._object(Step.DATA, reply)
            self._give_up()
        elif self._trouble:
            self._give_up()
            self._say(Step.LONE_DOT, b".\r\n")
        else:
            self._deliver()

    def _object(self, step: Step, reply: Reply) -> None:
        """Keeps the first refusal of an envelope; those after it only follow from it."""
        if not (reply.is_temporary or reply.is_permanent):
            raise BrokenReply(f"an answer to {step.value} that means nothing ({reply})")
        self._trouble = self._trouble or (step, reply)
        if reply.code == _CLOSING:
            raise _closed(reply)
        if not self._offers.pipelining and step is not Step.DATA:
            self._script.clear()
            self._give_up()

    def _give_up(self) -> None:
        task, trouble = self._envelope, self._trouble
        assert task and trouble
        self._envelope = self._trouble = None
        self._office.refused(task, *trouble)

    def _deliver(self) -> None:
        """The message, and behind it the next envelope where the server takes groups."""
        task = self._envelope
        assert task
        if self._replies.rest:
            raise BrokenReply("the server spoke out of turn")
        self._envelope = None
        if not self._office.begin(task):
            self._office.settle(task, Fate.UNSENT, _WITHDRAWN)
            # Only a closed connection keeps the server, which waits for a message, from taking an empty one.
            raise ConnectionAbortedError(_WITHDRAWN)
        self._flying = task
        self._reset = False
        self._left -= 1
        self._write(task.message)
        self._say(Step.BODY, b".\r\n")
        if self._offers.pipelining and self._left > 0 and (following := self._office.next(self._offers)):
            self.send(following)

    def _delivered(self, reply: Reply) -> None:
        task = self._flying
        assert task
        if reply.code == 250:
            self._flying = None
            self._office.settle(task, Fate.SENT, str(reply))
        elif reply.is_temporary or reply.is_permanent:
            self._flying = None
            self._office.refused(task, Step.BODY, reply)
            if reply.code == _CLOSING:
                raise _closed(reply)
        else:
            raise BrokenReply(f"an answer to the message that means nothing ({reply})")

    def _dropped(self, reply: Reply) -> None:
        """Whatever was said to a message without recipients, there is nobody it could go to."""
        if reply.code == _CLOSING:
            raise _closed(reply)

    def _cleared(self, reply: Reply) -> None:
        if reply.code != 250:
            raise BrokenReply(f"an answer to RSET that means nothing ({reply})")
        self._reset = False

    def _parted(self, reply: Reply) -> None:
        raise ConnectionResetError(f"the server said goodbye ({reply})")

    @property
    def spent(self) -> bool:
        """Whether it has carried as many messages as it may."""
        return self._left <= 0


def _closed(reply: Reply) -> ConnectionResetError:
    return ConnectionResetError(f"the server closed the connection ({reply})")
