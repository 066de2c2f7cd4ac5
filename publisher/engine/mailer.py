"""Brings a newsletter to the office's own subscribers, under the claim of its delivery, and goes on after a crash.

Whoever takes a mailing over reads the journal of the worker that was lost: what was not begun is sent, what was begun
and has no answer is in doubt.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

from publisher import clock
from publisher.audience import Audience
from publisher.channel import DeliveryError, Doubt, MailingAdapter, Payload, Unavailable
from publisher.delivery import Delivery, Move, Patience, Standing, State, after_error, standing
from publisher.engine import journal
from publisher.engine.journal import Journal
from publisher.engine.letters import Means, Office, Run
from publisher.engine.writer import Writer
from publisher.mailing import MOST_IN_DOUBT, LetterState, Settled, after_run, goes_on
from publisher.store import Store, Transaction

Patiently = Callable[[Callable[[], Awaitable[Any]], list[str]], Awaitable[Any]]
"""Does some work as soon as the store can be used."""


class Mailer:
    """Runs mailings over one store; each by itself, several at a time."""

    def __init__(
        self,
        store: Store,
        writer: Writer,
        office: Office,
        patiently: Patiently,
        *,
        lease: timedelta,
        now: clock.Clock = clock.now,
        patience: Patience | None = None,
    ) -> None:
        self._store, self._patiently = store, patiently
        self._means = Means(writer, Audience(store, now), office, now, lease, patience or Patience())
        self._running: set[Run] = set()
        self._ending = False

    def end(self) -> None:
        """The worker is to end: what is under way is finished, nothing more is begun."""
        self._ending = True
        for run in self._running:
            run.stop()

    async def run(
        self, delivery: Delivery, adapter: MailingAdapter[Any, Any], payload: Payload
    ) -> tuple[Move, Standing | None]:
        """Sends to all who have not had it, as far as it gets; what follows for the delivery and for the channel."""
        if self._ending:
            return goes_on("the worker is ending", self._means.now()), None
        if (busy := await self._fold(delivery)) is not None:
            return busy, None
        try:
            written = Journal(journal.path_of(self._means.office.folder, delivery.id, delivery.fence))
        except OSError as error:
            refusal = Unavailable(
                f"The journal cannot be written ({error}); check the disk and PUBLISHER_HOME."
            )
            return self._after(refusal, delivery), None
        run = Run(self._means, delivery, adapter, written)
        self._running.add(run)
        try:
            broken = await run.through(payload)
        finally:
            self._running.discard(run)
        move = await self._judged(delivery, adapter, run, broken)
        written.close()
        return move, standing(broken)

    async def recover(self, delivery: Delivery) -> Move:
        """After a worker was lost: reads its journal, and lets the mailing go on with those who have not had it."""
        if (busy := await self._fold(delivery)) is not None:
            return busy
        return goes_on("the worker stopped while sending", self._means.now())

    # --- what follows -----------------------------------------------------------------------------------------

    def _after(self, error: BaseException, delivery: Delivery) -> Move:
        named = (
            error if isinstance(error, DeliveryError) else Unavailable(f"unexpected {type(error).__name__}")
        )
        return after_error(
            named,
            delivery,
            self._means.now(),
            can_find=False,
            patience=self._means.patience,
            rng=self._means.rng,
        )

    async def _judged(
        self,
        delivery: Delivery,
        adapter: MailingAdapter[Any, Any],
        run: Run,
        error: BaseException | None,
    ) -> Move:
        resend = adapter.settings.when_in_doubt is Doubt.RESEND

        def close(tx: Transaction) -> None:
            now = self._means.now()
            tx.mailings.settle(run.leftover(), delivery.fence, now)
            if run.skips:
                tx.mailings.skip(delivery.id, run.skips, now)
            if resend:
                tx.mailings.list_again(delivery.id, now, most=MOST_IN_DOUBT)

        def look() -> Move:
            with self._store.read() as tx:
                counts, due = tx.mailings.counts(delivery.id), tx.mailings.next_due(delivery.id)
            return after_run(delivery, counts, due, self._means.now())

        await self._patiently(lambda: self._means.writer.write(close), [delivery.key])
        move: Move = await self._patiently(lambda: self._means.writer.call(look), [delivery.key])
        if error is not None and move.to is State.WAITING:
            return self._after(error, delivery)
        if move.to is State.WAITING and not run.settled and not run.is_stopped and run.tried:
            # Every letter of this run came back unsent: the server is there, and does not work.
            return self._after(Unavailable(run.last_answer or "the server took no message"), delivery)
        return move

    async def _fold(self, delivery: Delivery) -> Move | None:
        """Writes what the journals of lost workers say into the ledger; a move where one of them is not lost."""
        hands = await self._patiently(
            lambda: self._means.writer.call(lambda: self._in_hand(delivery)), [delivery.key]
        )
        for fence, numbers in hands.items():
            path = journal.path_of(self._means.office.folder, delivery.id, fence)
            try:
                found = journal.read(path)
            except journal.InUseError:
                due = self._means.now() + self._means.lease
                return Move(State.UNCERTAIN, "delivery.uncertain", "another worker is still sending it", due)
            lines = [self._folded(delivery, number, found) for number in numbers]
            await self._patiently(
                lambda fence=fence, lines=lines: self._means.writer.write(  # type: ignore[misc]
                    lambda tx: tx.mailings.settle(lines, fence, self._means.now())
                ),
                [delivery.key],
            )
            journal.remove(path)
        return None

    def _in_hand(self, delivery: Delivery) -> Mapping[int, list[int]]:
        with self._store.read() as tx:
            return tx.mailings.in_hand(delivery.id)

    def _folded(self, delivery: Delivery, number: int, found: journal.Found) -> Settled:
        if number in found.ended:
            fate, answer = found.ended[number]
            return self._means.settled(delivery, number, fate, answer, 1)
        if number in found.begun:
            return Settled(number, LetterState.UNKNOWN, "the worker stopped while it was being sent")
        if found.whole:
            return Settled(number, LetterState.LISTED)
        return Settled(number, LetterState.UNKNOWN, "the machine stopped while it may have been under way")
