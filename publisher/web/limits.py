"""How often something may happen: counted in memory, for this process, and never kept for longer than an hour."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict, deque
from collections.abc import Callable

_HOUR = 3600.0
_KEYS = 20_000
"""Names that are remembered at once, so that a flood costs no memory; the one that was quiet longest is forgotten."""
_INSIDE = [
    ipaddress.ip_network(one)
    for one in (
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "::1/128",
        "fc00::/7",
        "fe80::/10",
    )
]


class Limit:
    """At most ``most`` times an hour for each name."""

    def __init__(self, most: int, *, now: Callable[[], float] = time.monotonic) -> None:
        self._most, self._now = most, now
        self._seen: OrderedDict[str, deque[float]] = OrderedDict()

    def allows(self, name: str) -> bool:
        """Whether it may happen once more for ``name``, which is then counted."""
        now = self._now()
        seen = self._seen.setdefault(name, deque())
        self._seen.move_to_end(name)
        while seen and seen[0] <= now - _HOUR:
            seen.popleft()
        if len(self._seen) > _KEYS:
            self._seen.popitem(last=False)
        if len(seen) >= self._most:
            return False
        seen.append(now)
        return True


def client_of(host: str | None) -> str:
    """Who is counted as one client: an IPv4 address, or the network of 64 bits that one household has in IPv6.

    Empty for the office's own machines and for what is no address: a proxy that is not trusted hides its clients, and
    none of them may be shut out for what the others do.
    """
    try:
        address = ipaddress.ip_address((host or "").partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if any(address in network for network in _INSIDE):
        return ""
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
