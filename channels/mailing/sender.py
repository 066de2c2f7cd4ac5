"""Sends the letters of one mailing: one thread, one selector, a few connections.

Whatever happens, each letter that came in gets exactly one fate, and the message of none leaves twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import selectors
import threading
from collections.abc import AsyncIterator, Sequence

from channels.mailing.feed import Bell, Feed
from channels.mailing.outbox import Outbox
from channels.mailing.payload import MailingPayload
from channels.mailing.pool import Pool
from channels.mailing.settings import SubscribersSettings
from publisher.channel import Letter, Record

_CALLED_OFF = "the mailing was called off"
_SHORTEST = 0.002
"""Seconds between two looks whether a letter may go."""


class Sender:
    """One mailing under way; used once."""

    def __init__(
        self, channel: str, settings: SubscribersSettings, payload: MailingPayload, record: Record
    ) -> None:
        self._name = f"mailing {channel}"
        self._bell = Bell()
        self._feed = Feed(self._bell)
        self._selector = selectors.DefaultSelector()
        self._outbox = Outbox(channel, settings, payload, record, self._bell.ring)
        self._pool = Pool(channel, settings, self._outbox, self._selector, self._bell.ring)
        self._cut = False

    async def run(self, letters: AsyncIterator[Sequence[Letter]]) -> None:
        """Returns when all letters have their fates. Raises what ended the mailing early, or what ``letters`` raises.

        Cancelled, it begins nothing more and ends when what is under way is finished; cancelled again, at once.
        """
        done = self._started()
        feeding = asyncio.ensure_future(self._feed.run(letters))
        try:
            await asyncio.shield(done)
        except asyncio.CancelledError:
            await self._called_off(feeding, done)
            raise
        finally:
            feeding.cancel()
            await asyncio.wait((feeding,))
            self._bell.close()
        if not feeding.cancelled():
            feeding.result()
        if self._outbox.error:
            raise self._outbox.error

    async def _called_off(self, feeding: asyncio.Future[None], done: asyncio.Future[None]) -> None:
        feeding.cancel()
        self._outbox.stopped = True
        self._bell.ring()
        try:
            await asyncio.shield(done)
        except asyncio.CancelledError:
            self._cut = True
            self._bell.ring()
            await asyncio.wait((done,))

    def _started(self) -> asyncio.Future[None]:
        """Starts the thread; done when it has ended."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def work() -> None:
            try:
                self._work()
            finally:
                with contextlib.suppress(RuntimeError):  # the loop was closed without waiting for us
                    loop.call_soon_threadsafe(done.set_result, None)

        threading.Thread(target=work, name=self._name, daemon=True).start()
        return done

    # --- in the thread that sends --------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            self._bell.register(self._selector)
            while self._goes_on():
                self._turn()
        except BaseException as error:  # a mistake of ours: what was begun must still be written down
            self._outbox.fail(error)
        finally:
            self._pool.dismiss()
            self._pool.cut(_CALLED_OFF)
            self._outbox.abandon()
            self._selector.close()

    def _goes_on(self) -> bool:
        ended, groups = self._feed.ended, self._feed.groups
        while groups:
            self._outbox.add(groups.popleft())
        if self._feed.failed:
            self._outbox.stopped = True
        elif self._outbox.is_low:
            self._feed.want()
        if self._outbox.stopped or (ended and self._outbox.is_empty and not self._pool.busy):
            self._pool.dismiss()
            return len(self._pool) > 0 and not self._cut
        return True

    def _turn(self) -> None:
        pool, outbox = self._pool, self._outbox
        if not outbox.stopped:
            pool.supply()
        patience = min(pool.tick, max(_SHORTEST, outbox.wait())) if pool.wants_letters else pool.tick
        for key, _ in self._selector.select(patience):
            if key.data is None:
                self._bell.heard()
                pool.welcome()
            else:
                pool.serve(key.data)
        pool.look()
