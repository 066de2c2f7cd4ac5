"""Counting per hour: by name, bounded in time and memory; who counts as one client."""

from __future__ import annotations

import pytest

from publisher.web import limits
from publisher.web.limits import Limit, client_of


def test_limit__by_the_hour() -> None:
    """So many an hour for each name; what was refused does not count, and an hour later there is room again."""
    time = [0.0]
    limit = Limit(2, now=lambda: time[0])
    assert [limit.allows("a") for _ in range(4)] == [True, True, False, False]
    assert limit.allows("b")
    time[0] = 3599.0
    assert not limit.allows("a")
    time[0] = 3600.0
    assert limit.allows("a")


def test_limit__a_flood_costs_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more names than are remembered, those that were quiet longest are forgotten."""
    monkeypatch.setattr(limits, "_KEYS", 10)
    limit = Limit(1)
    assert all(limit.allows(str(number)) for number in range(50))
    assert len(limit._seen) == 10
    assert not limit.allows("49")


@pytest.mark.parametrize(
    ("host", "client"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("127.0.0.1", ""),
        ("::1", ""),
        ("::ffff:10.1.2.3", ""),
        ("172.17.0.1", ""),
        ("fe80::1%eth0", ""),
        ("unix:", ""),
        ("", ""),
        (None, ""),
        ("203.0.113.9\x00", ""),
    ],
)
def test_client_of(host: str | None, client: str) -> None:
    """A household is one client; our own machines are none."""
    assert client_of(host) == client
