"""The embedded engine: claims from the store and delivers in this process."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import structlog

from publisher import clock
from publisher.delivery import Delivery, Patience
from publisher.engine.deliverer import SLOW, Deliverer
from publisher.engine.letters import Office
from publisher.engine.port import Health
from publisher.engine.writer import Writer
from publisher.errors import PublisherError
from publisher.registry import AnyAdapter
from publisher.store import Store, Transaction

log = structlog.get_logger("publisher.engine")


class EmbeddedEngine:
    """Runs up to ``slots`` deliveries at a time, held by leases that a heartbeat renews."""

    def __init__(
        self,
        store: Store,
        channels: Mapping[str, AnyAdapter],
        owner: str,
        *,
        now: clock.Clock = clock.now,
        lease: timedelta = timedelta(seconds=5),
        patience: Patience | None = None,
        slots: int = 32,
        writer: Writer | None = None,
        office: Office | None = None,
    ) -> None:
        """``writer`` is one that is shared with others and stays open; without, the engine has its own.

        ``office`` is what newsletters to its own subscribers need.
        """
        self._store, self._channels, self._owner, self._now = store, channels, owner, now
        self._lease, self._slots = lease, slots
        self._writer = writer or Writer(store, now)
        self._shared = writer is not None
        self._deliverer = Deliverer(
            store, self._writer, channels, lease=lease, now=now, patience=patience, office=office
        )
        self._running: dict[asyncio.Task[None], int] = {}
        self._opening: set[int] = set()
        self._beat: asyncio.Task[None] | None = None
        self._looked: datetime | None = None
        self.on_end: Callable[[], None] = lambda: None
        """Called when a delivery has ended: a slot is free, and others may have become due by it."""

    async def enqueue_due(self) -> int:
        """Claims what is due and starts it; how many deliveries were started."""
        free = self._slots - len(self._running)
        # The claim shares its commit with the results that have come in meanwhile.
        claimed = await self._writer.write(lambda tx: self._claim(tx, free)) if free > 0 else []
        if not claimed:
            return 0
        opening = {delivery.id for delivery in claimed}
        self._opening |= opening
        if self._beat is None or self._beat.done():
            self._beat = asyncio.create_task(self._heartbeat(), name="heartbeat")
        try:
            for dossier in await self._deliverer.open(claimed):
                task = asyncio.create_task(self._deliverer.deliver(dossier), name=dossier.delivery.key)
                self._running[task] = dossier.delivery.id
                task.add_done_callback(self._ended)
        finally:
            self._opening -= opening
        return len(claimed)

    async def next_due(self) -> datetime | None:
        """The next moment anything is due or a lease may run out."""

        def query() -> datetime | None:
            with self._store.read() as tx:
                return tx.deliveries.next_due()

        due = await self._writer.call(query)
        self._looked = self._now()
        return due

    async def drain(self) -> None:
        """Waits until all that was started has ended."""
        while self._running:
            await asyncio.wait(self._running)

    async def stop(self) -> None:
        """Lets what is under way end, and releases the thread. Nothing new may be started meanwhile."""
        self._deliverer.end()
        await self.drain()
        if self._beat is not None:
            self._beat.cancel()
        if not self._shared:
            self._writer.close()

    def health(self) -> Health:
        """When it last looked for what is due, and how many deliveries are under way."""
        return Health(self._looked, len(self._running) + len(self._opening))

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        if not task.cancelled() and task.exception() is not None:
            log.critical(
                "a delivery ended in an error of our own", key=task.get_name(), exc_info=task.exception()
            )
        self.on_end()

    # --- claiming ---------------------------------------------------------------------------------------------

    def _claim(self, tx: Transaction, limit: int) -> list[Delivery]:
        now = self._now()
        for lost in tx.deliveries.expire(now, running={*self._running.values(), *self._opening}):
            log.warning("a worker stopped while sending", event_name="delivery.uncertain", key=lost.key)
        standing = tx.channels.hold(self._channels)
        if tx.channels.halted() is not None:
            return []
        room = {
            name: standing[name].allowance(channel.settings.per_minute, now)
            for name, channel in self._channels.items()
        }
        claimed = tx.deliveries.claim(self._owner, now, self._lease, limit, room)
        started = Counter(delivery.channel for delivery in claimed)
        # A channel that is not configured any more has no pace; what is claimed of it is parked.
        tx.channels.count_started({n: c for n, c in started.items() if n in standing}, standing, now)
        for name in started:
            if name in standing and standing[name].paused_at is not None:
                tx.channels.pause(name, standing[name].reason, now, now + SLOW)
        return claimed

    async def _heartbeat(self) -> None:
        while self._running or self._opening:
            await asyncio.sleep(self._lease.total_seconds() / 3)
            try:
                await self._writer.write(self._extend)
            except PublisherError as error:
                log.warning(
                    "the heartbeat could not be written", event_name="lease.unwritten", reason=str(error)
                )

    def _extend(self, tx: Transaction) -> None:
        tx.deliveries.extend([*self._running.values(), *self._opening], self._owner, self._now(), self._lease)
