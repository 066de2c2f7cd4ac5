"""Letters that are signed are composed ahead, in threads: RSA is computed without the interpreter's lock."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from channels.mailing.task import Task
from publisher.channel import Letter

Compose = Callable[[Letter], Task | Exception]
_BATCH = 4
"""Letters composed in one go: waking a thread costs more than composing one."""


class Workshop:
    """Composes letters beside the loop. ``ready`` fills up in no particular order."""

    def __init__(self, compose: Compose, wake: Callable[[], None]) -> None:
        self._compose, self._wake = compose, wake
        self._threads = ThreadPoolExecutor(min(4, os.cpu_count() or 1), thread_name_prefix="mailing signing")
        self.ready: deque[tuple[Letter, Task | Exception]] = deque()
        self.busy = 0
        """Letters that were handed in and not taken out yet."""

    def submit(self, letters: Sequence[Letter]) -> None:
        """Has ``letters`` composed."""
        self.busy += len(letters)
        for at in range(0, len(letters), _BATCH):
            self._threads.submit(self._work, letters[at : at + _BATCH])

    def take(self) -> tuple[Letter, Task | Exception] | None:
        """One that is done, if there is one."""
        if not self.ready:
            return None
        self.busy -= 1
        return self.ready.popleft()

    def close(self) -> None:
        """Waits for what is being composed, and ends the threads."""
        self._threads.shutdown()

    def _work(self, letters: Sequence[Letter]) -> None:
        self.ready.extend([(letter, self._compose(letter)) for letter in letters])
        self._wake()
