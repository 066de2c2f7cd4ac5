"""The one writer: what is to be written at the same moment is committed together.

A commit waits for the disk. While one is under way, the results of other deliveries gather, and the next commit
takes all of them. Each is still applied under its own condition; if one of them cannot be written, they are written
one by one, so that none endangers another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from publisher import clock
from publisher.delivery import Delivery, Move
from publisher.store import Store, Transaction

T = TypeVar("T")
Work = Callable[[Transaction], Any]


@dataclass(frozen=True, slots=True, eq=False)
class _Item:
    """Something to be written: a decided move, or any other work."""

    what: tuple[Delivery, Move] | Work
    future: asyncio.Future[Any] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Writer:
    """Runs work on the store's thread, so that the event loop never waits for a disk."""

    def __init__(self, store: Store, now: clock.Clock = clock.now) -> None:
        self._store, self._now = store, now
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._gathered: list[_Item] = []
        self._flushing: asyncio.Task[None] | None = None

    async def call(self, work: Callable[[], T]) -> T:
        """Runs ``work`` on the thread by itself."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def write(self, work: Callable[[Transaction], T]) -> T:
        """Runs ``work`` in a transaction, together with what else is waiting; returns once it is committed."""
        written: T = await self._add(_Item(work))
        return written

    async def apply(self, delivery: Delivery, move: Move) -> bool:
        """Applies ``move``, together with what else is waiting; whether ``delivery`` was still under its claim."""
        return bool(await self._add(_Item((delivery, move))))

    def close(self) -> None:
        """Releases the thread; nothing may be under way."""
        self._thread.shutdown()

    async def _add(self, item: _Item) -> Any:
        self._gathered.append(item)
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush(), name="writer")
        return await item.future

    async def _flush(self) -> None:
        while self._gathered:
            batch, self._gathered = self._gathered, []
            for outcome, item in zip(await self._committed(batch), batch, strict=True):
                if item.future.cancelled():
                    continue
                if isinstance(outcome, Exception):
                    item.future.set_exception(outcome)
                else:
                    item.future.set_result(outcome)

    async def _committed(self, batch: Sequence[_Item]) -> list[Any]:
        try:
            return await self.call(lambda: self._together(batch))
        except Exception as error:  # whichever of them it was, each is told for itself
            if len(batch) == 1:
                return [error]
            return [await self._alone(item) for item in batch]

    async def _alone(self, item: _Item) -> Any:
        try:
            return (await self.call(lambda: self._together([item])))[0]
        except Exception as error:
            return error

    def _together(self, batch: Sequence[_Item]) -> list[Any]:
        """All of ``batch`` in one transaction; the moves first, so that a claim among it sees what they free."""
        moves = [item.what for item in batch if not callable(item.what)]
        with self._store.write() as tx:
            if len(moves) > 1:
                tx.deliveries.apply_together(moves, self._now())
                applied = [True] * len(moves)
            else:
                applied = [tx.deliveries.apply(*move, self._now()) for move in moves]
            done = iter(applied)
            return [item.what(tx) if callable(item.what) else next(done) for item in batch]
