"""Times as people type them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from publisher import clock
from publisher.errors import UsageError


def test_when__iana_zone() -> None:
    """A wall time with an IANA zone is the instant that zone's rules give."""
    wall = clock.parse_when("2025-09-20 09:00 Asia/Shanghai", "Europe/London")
    assert wall.instant() == datetime(2025, 9, 20, 1, 0, tzinfo=UTC)
    assert str(wall) == "2025-09-20 09:00 Asia/Shanghai"


@pytest.mark.parametrize("text", ["2025-09-20 09:00+08:00", "2025-09-20T09:00:00 +0800", "2025-09-20 01:00Z"])
def test_when__offset(text: str) -> None:
    """An offset or Z may stand for a zone."""
    assert clock.parse_when(text, "Europe/London").instant() == datetime(2025, 9, 20, 1, 0, tzinfo=UTC)


def test_when__default_zone() -> None:
    """Without a zone the office's own holds."""
    assert clock.parse_when("2025-09-20 09:00", "Asia/Shanghai").instant().hour == 1


@pytest.mark.parametrize(
    ("text", "readings"),
    [
        ("2026-03-29 01:30 Europe/London", ('"2026-03-29 00:30 +00:00"', '"2026-03-29 02:30 +01:00"')),
        ("2026-10-25 01:30 Europe/London", ('"2026-10-25 01:30 +01:00"', '"2026-10-25 01:30 +00:00"')),
    ],
)
def test_when__daylight_saving(text: str, readings: tuple[str, str]) -> None:
    """An hour the clocks skip or repeat is refused with both readings, and each reading is accepted."""
    with pytest.raises(UsageError) as refusal:
        clock.parse_when(text, "UTC")
    assert all(reading in str(refusal.value) for reading in readings)
    instants = {clock.parse_when(reading.strip('"'), "UTC").instant() for reading in readings}
    assert len(instants) == 2


@pytest.mark.parametrize(
    "text",
    ["", "tomorrow", "2026-13-01 09:00", "2026-02-30 09:00", "2026-01-01 25:00", "2026-01-01", "09:00"],
)
def test_when__not_a_time(text: str) -> None:
    """What is no time is refused in one sentence that shows how to write one."""
    with pytest.raises(UsageError, match="write it like"):
        clock.parse_when(text, "UTC")


@pytest.mark.parametrize("zone", ["Mars/Base", "../../etc/passwd", "+99:00", "Asia"])
def test_when__unknown_zone(zone: str) -> None:
    """A zone that does not exist is named."""
    with pytest.raises(UsageError):
        clock.parse_when(f"2026-01-01 09:00 {zone}", "UTC")


@given(st.text(max_size=60))
def test_when__any_text(text: str) -> None:
    """Whatever is typed, the answer is a time or one sentence."""
    try:
        clock.parse_when(text, "UTC")
    except UsageError as refusal:
        assert str(refusal).endswith(".")


@given(st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2037, 1, 1)))
def test_when__round_trip(moment: datetime) -> None:
    """What is shown in a zone is accepted again and means the same, unless that hour exists twice."""
    instant = moment.replace(tzinfo=UTC, microsecond=0)
    shown = clock.show(instant, "Europe/London")
    try:
        assert clock.parse_when(shown, "UTC").instant() == instant
    except UsageError as refusal:
        assert "exists twice" in str(refusal)
