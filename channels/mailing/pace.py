"""Letters that wait, and when each may go: so many a second to the server, fewer to mailboxes of providers that ask so.

QQ and NetEase refuse a sender who is too fast for a while, and count by the provider, not by the domain.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping

from publisher.channel import Letter

_FAMILIES = {
    "foxmail.com": "qq.com",
    "vip.qq.com": "qq.com",
    "126.com": "163.com",
    "yeah.net": "163.com",
    "vip.163.com": "163.com",
    "hotmail.com": "outlook.com",
    "live.com": "outlook.com",
    "msn.com": "outlook.com",
    "googlemail.com": "gmail.com",
}
"""Domains of one provider, by the one that stands for it."""


def provider(domain: str) -> str:
    """The domain that stands for the provider of ``domain``."""
    domain = domain.lower()
    return _FAMILIES.get(domain, domain)


class _Lane:
    """Letters that share a pace; ``interval`` in seconds, 0 for none."""

    def __init__(self, interval: float) -> None:
        self.interval, self.at = interval, 0.0
        self.letters: deque[Letter] = deque()

    def took(self, now: float) -> None:
        """One has gone; the next may go an interval later. A lane that stood still does not catch up in a burst."""
        self.at = max(self.at, now) + self.interval


class Waiting:
    """The letters of a mailing that are not given to a connection yet. Times are seconds of any steady clock."""

    def __init__(self, per_second: float, domains: Mapping[str, float]) -> None:
        """``per_second`` letters in all, 0 for no limit; ``domains`` gives providers a pace of their own."""
        self._all = _Lane(1 / per_second if per_second else 0.0)
        self._free = _Lane(0.0)
        self._lanes = {provider(domain): _Lane(1 / pace) for domain, pace in domains.items()}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, letters: Iterable[Letter]) -> None:
        """Letters to go."""
        if not self._lanes:
            before = len(self._free.letters)
            self._free.letters.extend(letters)
            self._count += len(self._free.letters) - before
            return
        for letter in letters:
            lane = self._lanes.get(provider(letter.address.rpartition("@")[2]), self._free)
            lane.letters.append(letter)
            self._count += 1

    def next(self, now: float) -> Letter | None:
        """A letter that may go now."""
        if now < self._all.at:
            return None
        for lane in (*self._lanes.values(), self._free):
            if lane.letters and lane.at <= now:
                lane.took(now)
                self._all.took(now)
                self._count -= 1
                return lane.letters.popleft()
        return None

    def until(self, now: float) -> float | None:
        """Seconds until the next one may go; ``None`` where none waits."""
        moments = [lane.at for lane in (*self._lanes.values(), self._free) if lane.letters]
        return max(0.0, max(min(moments), self._all.at) - now) if moments else None
