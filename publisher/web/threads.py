"""Where the store is called from: a few threads, so that the event loop never waits for a disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

_THREADS = 4
"""Fewer than the store has connections, so that the worker beside always finds one."""


class Threads:
    """Runs work that waits."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="web")

    async def call(self, work: Callable[[], T]) -> T:
        """The result of ``work``, which runs on one of the threads."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def close(self) -> None:
        """Waits for what is under way."""
        self._pool.shutdown()
