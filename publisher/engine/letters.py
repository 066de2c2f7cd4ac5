"""One claim of a mailing: where its letters come from, and the record of what becomes of each.

The order: who gets it is fixed in the ledger; a group of letters is marked as taken, committed; each is entered in the
journal before its first byte leaves; its answer goes to the journal at once, and to the ledger in groups.
"""

from __future__ import annotations

import asyncio
import queue
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import structlog

from publisher import clock
from publisher.announcement import AnnouncementState
from publisher.audience import Audience
from publisher.bounces.meaning import Meaning, meaning
from publisher.channel import DeliveryError, Fate, Letter, MailingAdapter, Payload, Unavailable
from publisher.delivery import Delivery, Patience
from publisher.engine.journal import Journal
from publisher.engine.writer import Writer
from publisher.errors import PublisherError
from publisher.mailing import LetterState, Settled, ends, settled
from publisher.settings import Settings
from publisher.store import Transaction
from publisher.store.mailings import Taken
from publisher.tokens import Purpose, Tokens

log = structlog.get_logger("publisher.engine")

T = TypeVar("T")
_Answer = tuple[int, Fate, str]

GROUP = 500
"""So many letters are taken with one commit."""
_TICK = 0.25
"""Seconds between two looks whether the mailing is to stop, which also write what was answered meanwhile."""


@dataclass(frozen=True, slots=True)
class Office:
    """What letters need of the office: the ``folder`` of journals, the address of its pages, and what signs links."""

    folder: Path
    url: str
    tokens: Tokens

    @classmethod
    def of(cls, settings: Settings) -> Office | None:
        """As the settings say; ``None`` where they do not say all of it."""
        office = settings.office
        if not (office.url and office.secret):
            return None
        return cls(settings.home / "mailings", office.url, Tokens(office.secret))


@dataclass(frozen=True, slots=True)
class Means:
    """What every mailing works with. ``rng`` is for jitter."""

    writer: Writer
    audience: Audience
    office: Office
    now: clock.Clock
    lease: timedelta
    patience: Patience
    rng: random.Random = field(default_factory=random.Random)

    def settled(self, delivery: Delivery, number: int, fate: Fate, answer: str, attempt: int) -> Settled:
        """What follows from the fate of a letter."""
        now = self.now()
        until = ends(delivery, now, self.patience)
        return settled(number, fate, answer, attempt, now, until, self.patience, self.rng)


class Run:
    """One claim of a mailing: the source of its letters, and the record of what becomes of them."""

    def __init__(
        self, means: Means, delivery: Delivery, adapter: MailingAdapter[Any, Any], written: Journal
    ) -> None:
        self._means, self._delivery, self._adapter, self._journal = means, delivery, adapter, written
        self._held_until = 0.0
        self._hand: dict[int, Taken] = {}
        """Letters that were taken and whose fate the ledger does not know yet."""
        self._begun: set[int] = set()
        self._said: queue.SimpleQueue[_Answer] = queue.SimpleQueue()
        self._unwritten: list[_Answer] = []
        self._writing = asyncio.Lock()
        self._stopped = False
        self.skips = ""
        """Why nobody else gets it any more; empty while the others still shall."""
        self.tried = self.settled = 0
        self.last_answer = ""

    @property
    def is_stopped(self) -> bool:
        """Whether it was told to begin nothing more."""
        return self._stopped

    def stop(self) -> None:
        """Begins nothing more."""
        self._stopped = True

    async def through(self, payload: Payload) -> BaseException | None:
        """Lists who gets it, and sends; the error that ended it, if one did."""
        ticker: asyncio.Task[None] | None = None
        try:
            await self._listed()
            ticker = asyncio.create_task(self._ticks(), name=f"{self._delivery.key} ledger")
            await self._adapter.mail(payload, self._letters(), self)
        except DeliveryError as error:
            return error
        except PublisherError as error:
            return Unavailable(str(error))
        except Exception as error:  # a slip of ours or of the adapter; the journal knows what was begun
            log.exception("the mailing broke off", event_name="mailing.broken", key=self._delivery.key)
            return error
        finally:
            self.stop()
            if ticker is not None:
                ticker.cancel()
                with suppress(asyncio.CancelledError):
                    await ticker
            with suppress(PublisherError):  # what cannot be written now is among what is left over
                await self._write(lambda tx: None)
        return None

    # --- where letters come from ------------------------------------------------------------------------------

    async def _listed(self) -> None:
        delivery = self._delivery.id
        await self._write(lambda tx: tx.mailings.begin(delivery))
        if self._delivery.not_after and self._means.now() > self._delivery.not_after:
            self._stopped, self.skips = True, "its hour has passed"
        left = 1
        while left and not self._stopped:
            left = await self._write(lambda tx: tx.mailings.list_more(delivery, self._adapter.settings.lists))

    async def _letters(self) -> AsyncIterator[Sequence[Letter]]:
        while not self._stopped:
            taken = await self._write(self._take)
            if not taken:
                return
            self._hand |= {one.number: one for one in taken}
            yield [self._letter(one) for one in taken]

    def _take(self, tx: Transaction) -> list[Taken]:
        if self._stopped:
            return []
        return tx.mailings.take(self._delivery.id, self._delivery.fence, self._means.now(), GROUP)

    def _letter(self, taken: Taken) -> Letter:
        office, mailing = self._means.office, self._delivery.id
        token = office.tokens.sign(Purpose.UNSUBSCRIBE, taken.ref, mailing)
        return Letter(
            taken.number,
            taken.address,
            taken.name,
            taken.reading,
            taken.ref,
            f"{office.url}u/{token}",
            token,
            office.tokens.sign(Purpose.BOUNCE, taken.ref, mailing),
        )

    # --- the record, written by the adapter's threads -----------------------------------------------------------

    def begin(self, number: int) -> bool:
        """Whether a letter may leave: the claim is held, nothing says stop, and the journal has it."""
        if self._stopped or _uptime() > self._held_until:
            return False
        try:
            self._journal.begin(number)
        except OSError as error:
            self.last_answer = f"the journal cannot be written: {error.strerror or error}"
            return False
        self._begun.add(number)
        return True

    def end(self, number: int, fate: Fate, answer: str) -> None:
        """What became of a letter."""
        with suppress(OSError):
            self._journal.end(number, fate, answer)
        self._begun.discard(number)
        self._said.put((number, fate, answer))

    # --- the ledger ---------------------------------------------------------------------------------------------

    async def _ticks(self) -> None:
        while True:
            await asyncio.sleep(_TICK)
            try:
                await self._write(lambda tx: None)
            except (
                PublisherError
            ) as error:  # without the store the claim runs out, and no other letter begins
                log.warning("the ledger cannot be written", event_name="ledger.unwritten", reason=str(error))

    async def _write(self, work: Callable[[Transaction], T]) -> T:
        """Looks whether to go on, writes the answers that came since, and does ``work``, all with one commit."""

        def together(tx: Transaction) -> tuple[T, int]:
            self._look(tx)
            answers = self._gathered()
            tx.mailings.settle(self._settled(answers), self._delivery.fence, self._means.now())
            return work(tx), len(answers)

        async with self._writing:
            done, count = await self._means.writer.write(together)
            refused = self._written(count)
        if refused:
            await self._means.writer.call(lambda: self._bounced(refused))
        return done

    def _look(self, tx: Transaction) -> None:
        """Whether the claim is still held, and whether somebody wants the mailing to stop."""
        began, means = _uptime(), self._means
        if not tx.deliveries.keep(self._delivery, means.now(), means.lease):
            self._stopped = True
            return
        # As keep() grants it: a lease with less than half of its time left has just been renewed.
        self._held_until = began + means.lease.total_seconds() / 2
        if tx.channels.halted() is not None:
            self._stopped = True
        if tx.announcements.state(self._delivery.announcement) is AnnouncementState.CANCELLED:
            self._stopped, self.skips = True, "the announcement was cancelled"

    def _gathered(self) -> list[_Answer]:
        """The answers that are not written; they stay so until their commit."""
        with suppress(queue.Empty):
            while True:
                self._unwritten.append(self._said.get_nowait())
        return list(self._unwritten)

    def _settled(self, answers: Sequence[_Answer]) -> list[Settled]:
        decide, delivery = self._means.settled, self._delivery
        return [
            decide(delivery, number, fate, answer, self._hand[number].attempt if number in self._hand else 1)
            for number, fate, answer in answers
        ]

    def _written(self, count: int) -> list[tuple[str, str]]:
        """The ledger knows these answers; the refusals among them, each with whose it was."""
        refused = []
        for number, fate, answer in self._unwritten[:count]:
            taken = self._hand.pop(number, None)
            self.tried += 1
            self.settled += fate is not Fate.UNSENT
            if fate is not Fate.SENT:
                self.last_answer = answer
            if fate is Fate.REFUSED and taken:
                refused.append((taken.ref, answer))
        del self._unwritten[:count]
        return refused

    def _bounced(self, refused: Sequence[tuple[str, str]]) -> None:
        """Who has no mailbox any more is not written to again; a refusal that is about us says nothing of her."""
        for ref, answer in refused:
            if not answer.startswith("5"):  # we have not asked the server, or it was given up
                continue
            match meaning(answer):
                case Meaning.HARD:
                    self._means.audience.bounced_hard(ref, detail=answer)
                case Meaning.SOFT:
                    self._means.audience.bounced_soft(ref, detail=answer, mailing=self._delivery.id)

    def leftover(self) -> list[Settled]:
        """The fates that are not written yet; and what was taken and has none, begun or not."""
        answers = self._gathered()
        for _, fate, _ in answers:
            self.tried += 1
            self.settled += fate is not Fate.UNSENT
        rest = self._hand.keys() - {number for number, _, _ in answers}
        doubtful = [
            Settled(n, LetterState.UNKNOWN, "the connection was given up") for n in rest & self._begun
        ]
        unsent = [Settled(n, LetterState.LISTED) for n in rest - self._begun]
        return [*self._settled(answers), *doubtful, *unsent]


def _uptime() -> float:
    """Seconds that pass also while the machine sleeps, and that nobody sets."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
