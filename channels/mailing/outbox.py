"""The letters of one mailing, from the list to their fates: what is next, and what came of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from channels.mailing.payload import MailingPayload
from channels.mailing.queue import Queue
from channels.mailing.refusal import Refusals, fate
from channels.mailing.settings import SubscribersSettings
from channels.mailing.signing import Workshop
from channels.mailing.task import Offers, Step, Task
from channels.smtp.reply import Reply
from publisher import clock
from publisher.channel import Fate, Letter, Record, Rejected

_AHEAD = 16
"""Signed letters made ahead of the connections, beside two for each of these."""
_STOPPED = "the mailing was stopped"
_WITHDRAWN = 10
"""Letters in a row that may not begin any more, after which none is tried: each costs a connection."""


class Outbox:
    """Used in the thread that sends. ``error`` is why the mailing has to stop; letters end even after that.

    What the record raises is such an error too: nothing new is begun that could not be written down.
    """

    def __init__(
        self,
        channel: str,
        settings: SubscribersSettings,
        payload: MailingPayload,
        record: Record,
        wake: Callable[[], None],
    ) -> None:
        self._channel, self._server = channel, f"{settings.host}:{settings.effective_port}"
        self._composer, self._record = payload.composer, record
        self._queue = Queue(settings.per_second, settings.paces)
        self._refusals = Refusals(channel, self._server)
        slow = any(signer.algorithm == "rsa-sha256" for signer in payload.letterhead.signers)
        self._workshop = Workshop(self._composed, wake) if slow else None
        self._ahead = _AHEAD + 2 * settings.connections
        self._withdrawn = 0
        self.error: BaseException | None = None
        self.stopped = False
        """Whether nothing may begin any more."""
        self.answered = 0
        """How many letters a server has answered for."""

    # --- letters come in -----------------------------------------------------------------------------

    def add(self, letters: Sequence[Letter]) -> None:
        """Takes letters in."""
        self._queue.add(letters)

    @property
    def is_low(self) -> bool:
        """Whether more letters are wanted."""
        return self._queue.is_low

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to send."""
        return not self._queue and not (self._workshop and self._workshop.busy)

    def ready(self) -> int:
        """How many letters could go now if there was a connection for each."""
        return self._queue.ready(time.monotonic()) + (self._workshop.busy if self._workshop else 0)

    def wait(self) -> float:
        """Seconds until a letter may go that must not go yet; endless where there is none."""
        return self._queue.wait(time.monotonic())

    def prepare(self, idle: int) -> None:
        """Has letters signed ahead; those with a pace only as connections are ``idle``."""
        if not self._workshop or self.stopped:
            return
        now = time.monotonic()
        batch: list[Letter] = []
        while self._workshop.busy + len(batch) < self._ahead and (letter := self._queue.take(now, False)):
            batch.append(letter)
        while self._workshop.busy + len(batch) < idle and (letter := self._queue.take(now)):
            batch.append(letter)
        if batch:
            self._workshop.submit(batch)

    # --- letters go out --------------------------------------------------------------------------------

    def next(self, offers: Offers) -> Task | None:
        """The next letter to go out at once, composed; what cannot go has its fate."""
        while not self.stopped and (found := self._next()):
            letter, made = found
            if isinstance(made, Rejected):
                self.end(letter, Fate.REFUSED, str(made))
            elif isinstance(made, Exception):
                self.end(letter, Fate.UNSENT, _STOPPED)
                self.fail(made)
            elif self._fits(made, offers):
                return made
        return None

    def _next(self) -> tuple[Letter, Task | Exception] | None:
        if self._workshop:
            return self._workshop.take()
        letter = self._queue.take(time.monotonic())
        return (letter, self._composed(letter)) if letter else None

    def _composed(self, letter: Letter) -> Task | Exception:
        try:
            message = self._composer.compose(letter, clock.now())
            return Task(letter, self._composer.return_path(letter), message)
        except Exception as error:  # judged in the thread that sends: this may be another
            return error

    def _fits(self, task: Task, offers: Offers) -> bool:
        if not offers.smtputf8 and self._composer.needs_smtputf8(task.letter):
            why = "the mail server has no SMTPUTF8, which an address that is not ASCII before its @ needs"
            self.end(task.letter, Fate.REFUSED, why)
            return False
        if 0 < offers.size < len(task.message):
            self.end(task.letter, Fate.UNSENT, _STOPPED)
            self.fail(
                Rejected(
                    f"{self._server} takes messages of {offers.size} bytes at most, and those of {self._channel} have "
                    f"{len(task.message)}; shorten the announcement."
                )
            )
            return False
        return True

    def begin(self, task: Task) -> bool:
        """Whether the message of ``task`` may leave now."""
        if self.stopped:
            return False
        try:
            begun = self._record.begin(task.letter.number)
        except BaseException as error:  # what cannot be written down is not begun
            self.fail(error)
            return False
        self._withdrawn = 0 if begun else self._withdrawn + 1
        if self._withdrawn >= _WITHDRAWN:
            self.stopped = True
        return begun

    # --- what came of them -----------------------------------------------------------------------------

    def settle(self, task: Task, came: Fate, answer: str) -> None:
        """What became of ``task``."""
        if came is Fate.SENT:
            self.answered += 1
            self._refusals.sent()
        self.end(task.letter, came, answer)

    def refused(self, task: Task, step: Step, reply: Reply) -> None:
        """The server refused ``task`` at ``step``."""
        error = self._refusals.stop(step, reply, not task.letter.address.isascii())
        if error:
            self.end(task.letter, Fate.UNSENT, str(reply))
            self.fail(error)
            return
        self.answered += 1
        self.end(task.letter, fate(reply), str(reply))

    def end(self, letter: Letter, came: Fate, answer: str) -> None:
        """Writes the fate of ``letter`` down."""
        try:
            self._record.end(letter.number, came, answer)
        except BaseException as error:  # the other letters under way must still be written down
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """Stops the mailing; the first reason counts."""
        self.error = self.error or error
        self.stopped = True

    def abandon(self) -> None:
        """Writes down that what is left was not sent."""
        self.stopped = True
        if self._workshop:
            self._workshop.close()
            while found := self._workshop.take():
                self.end(found[0], Fate.UNSENT, _STOPPED)
        for letter in self._queue.drain():
            self.end(letter, Fate.UNSENT, _STOPPED)
