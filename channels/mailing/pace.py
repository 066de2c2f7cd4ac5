"""How fast letters may go out: to the server as a whole, and to the providers whose recipients they are for."""

from __future__ import annotations

from collections.abc import Mapping

_GROUPS = {
    "foxmail.com": "qq.com",
    "vip.qq.com": "qq.com",
    "126.com": "163.com",
    "yeah.net": "163.com",
    "vip.163.com": "163.com",
    "vip.126.com": "163.com",
    "188.com": "163.com",
}
"""Domains whose mail one provider takes, which counts them together."""
_SLACK = 0.02
"""Seconds that a letter may be late without those after it being late too: a clock ticks no finer under load."""


class Pace:
    """At most ``rate`` letters a second, evenly; times are of a monotonic clock, in seconds."""

    def __init__(self, rate: float) -> None:
        self._gap = 1 / rate
        self.due = 0.0
        """When the next letter may go."""

    def take(self, now: float) -> None:
        """Counts a letter that goes now."""
        self.due = max(self.due, now - _SLACK) + self._gap


def provider(domain: str) -> str:
    """The domain under which a provider's recipients are counted."""
    return _GROUPS.get(domain, domain)


def by_provider(rates: Mapping[str, float]) -> dict[str, Pace]:
    """The paces that ``rates``, letters a second by domain, ask for; of two for one provider the slower one."""
    slowest: dict[str, float] = {}
    for domain, rate in rates.items():
        name = provider(domain)
        slowest[name] = min(rate, slowest.get(name, rate))
    return {name: Pace(rate) for name, rate in slowest.items()}
