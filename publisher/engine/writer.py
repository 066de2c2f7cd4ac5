"""The one writer: results that come in together are committed together.

A commit waits for the disk. While one is under way, the results of other deliveries gather, and the next commit
takes all of them. Each is still applied under its own condition; if one of them cannot be written, they are written
one by one, so that none endangers another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from publisher.store import Store, Transaction

T = TypeVar("T")
Work = Callable[[Transaction], Any]


class Writer:
    """Runs work on the store's thread, so that the event loop never waits for a disk."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._gathered: list[tuple[Work, asyncio.Future[Any]]] = []
        self._flushing: asyncio.Task[None] | None = None

    async def call(self, work: Callable[[], T]) -> T:
        """Runs ``work`` on the thread by itself."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def write(self, work: Callable[[Transaction], T]) -> T:
        """Runs ``work`` in a transaction, together with what else is waiting; returns once it is committed."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._gathered.append((work, future))
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush(), name="writer")
        return await future

    def close(self) -> None:
        """Releases the thread; nothing may be under way."""
        self._thread.shutdown()

    async def _flush(self) -> None:
        while self._gathered:
            batch, self._gathered = self._gathered, []
            for outcome, (_, future) in zip(await self._committed(batch), batch, strict=True):
                if future.cancelled():
                    continue
                if isinstance(outcome, Exception):
                    future.set_exception(outcome)
                else:
                    future.set_result(outcome)

    async def _committed(self, batch: list[tuple[Work, asyncio.Future[Any]]]) -> list[Any]:
        works = [work for work, _ in batch]
        try:
            return await self.call(lambda: self._together(works))
        except Exception as error:  # whichever of them it was, each is told for itself
            if len(works) == 1:
                return [error]
            return [await self._alone(work) for work in works]

    async def _alone(self, work: Work) -> Any:
        try:
            return (await self.call(lambda: self._together([work])))[0]
        except Exception as error:
            return error

    def _together(self, works: list[Work]) -> list[Any]:
        with self._store.write() as tx:
            return [work(tx) for work in works]
