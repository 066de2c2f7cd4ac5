"""The bridge between the event loop, where letters come from, and the thread that sends them."""

from __future__ import annotations

import asyncio
import contextlib
import selectors
import socket
import threading
from collections import deque
from collections.abc import AsyncIterator, Sequence

from publisher.channel import Letter


class Bell:
    """Wakes a thread that waits in a selector; ringing it again before that costs next to nothing."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair()
        for end in (self._ours, self._theirs):
            end.setblocking(False)
        self._lock = threading.Lock()
        self._rung = self._closed = False

    def register(self, selector: selectors.BaseSelector) -> None:
        """Lets ``selector`` hear it, with no data."""
        selector.register(self._ours, selectors.EVENT_READ, None)

    def ring(self) -> None:
        """Wakes the thread. From any thread."""
        with self._lock:
            if not self._rung and not self._closed:
                self._rung = True
                self._theirs.send(b"!")

    def heard(self) -> None:
        """Called by the thread that woke, before it looks what there is to do."""
        with self._lock, contextlib.suppress(BlockingIOError):
            self._rung = False
            self._ours.recv(64)

    def close(self) -> None:
        """Ends it."""
        with self._lock:
            self._closed = True
            self._ours.close()
            self._theirs.close()


class Feed:
    """Takes groups from an asynchronous iterator, each only once it is wanted."""

    def __init__(self, bell: Bell) -> None:
        self._bell = bell
        self._loop = asyncio.get_running_loop()
        self._wanted = asyncio.Event()
        self._asked = False
        self.groups: deque[Sequence[Letter]] = deque()
        self.ended = False
        """Whether no more groups will come."""
        self.failed = False
        """Whether that is because they could not be had, or nobody wants them sent any more."""

    async def run(self, letters: AsyncIterator[Sequence[Letter]]) -> None:
        """Feeds until ``letters`` ends; what it raises comes out of here."""
        try:
            await self._wanted.wait()
            async for group in letters:
                self._wanted.clear()
                self.groups.append(group)
                self._asked = False
                self._bell.ring()
                await self._wanted.wait()
        except BaseException:
            self.failed = True
            raise
        finally:
            self.ended = True
            self._bell.ring()

    def want(self) -> None:
        """Asks for a group, once. From the thread that sends."""
        if not self._asked and not self.ended:
            self._asked = True
            with contextlib.suppress(RuntimeError):  # a loop that is closed has nothing to give
                self._loop.call_soon_threadsafe(self._wanted.set)
