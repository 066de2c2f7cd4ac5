"""The letters that have come in and are not under way yet, those of slow providers apart."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping

from channels.mailing.pace import Pace, by_provider, provider
from publisher.channel import Letter

_LOW, _HIGH = 200, 2000
"""Letters: more are asked for when fewer than the one are free to go, unless more than the other are held back."""


class Queue:
    """Hands out letters in their order, but for those whose provider is slow. Used in one thread."""

    def __init__(self, per_second: float, rates: Mapping[str, float]) -> None:
        """``per_second`` letters in all, 0 for no limit; ``rates`` a second by recipient domain."""
        self._whole = Pace(per_second) if per_second else None
        self._paces = by_provider(rates)
        self._free: deque[Letter] = deque()
        self._slow: dict[str, deque[Letter]] = {name: deque() for name in self._paces}
        self._held = 0

    def __len__(self) -> int:
        return len(self._free) + self._held

    @property
    def is_low(self) -> bool:
        """Whether more letters are wanted."""
        return len(self._free) < _LOW and self._held < _HIGH

    def add(self, letters: Iterable[Letter]) -> None:
        """Takes letters in."""
        if not self._paces:
            self._free.extend(letters)
            return
        for letter in letters:
            slow = self._slow.get(provider(letter.address.rpartition("@")[2].lower()))
            if slow is None:
                self._free.append(letter)
            else:
                slow.append(letter)
                self._held += 1

    def take(self, now: float, at_once: bool = True) -> Letter | None:
        """The next letter that may go ``now``, ``None`` where none may.

        Where it does not go ``at_once``, but some moments later, only letters without a pace are handed out.
        """
        if self._whole and (now < self._whole.due or not at_once):
            return None
        letter = self._taken(now, at_once)
        if letter and self._whole:
            self._whole.take(now)
        return letter

    def _taken(self, now: float, at_once: bool) -> Letter | None:
        if self._held and at_once:
            for name, pace in self._paces.items():
                if self._slow[name] and now >= pace.due:
                    pace.take(now)
                    self._held -= 1
                    return self._slow[name].popleft()
        return self._free.popleft() if self._free else None

    def wait(self, now: float) -> float:
        """Seconds until a letter that has a pace may go; endless where there is none."""
        dues = [pace.due for name, pace in self._paces.items() if self._slow[name]] if self._held else []
        if self._whole:
            dues = [max(due, self._whole.due) for due in dues]
            if self._free:
                dues.append(self._whole.due)
        return max(0.0, min(dues) - now) if dues else math.inf

    def ready(self, now: float) -> int:
        """How many letters may go at once; those of slow providers count as one."""
        if self._whole:
            return int(self.wait(now) == 0)
        return len(self._free) + int(bool(self._held) and self.wait(now) == 0)

    def drain(self) -> Iterator[Letter]:
        """Empties the queue."""
        for letters in (self._free, *self._slow.values()):
            while letters:
                yield letters.popleft()
        self._held = 0
