"""The only "what time is it", and how people write a time.

Everything inside the product is an aware UTC :class:`~datetime.datetime`; a wall time keeps its IANA zone
beside it, because the rules of a zone may change between signing and sending.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from publisher.errors import UsageError

Clock = Callable[[], datetime]
"""Returns the present as an aware UTC datetime. Tests pass one of their own."""

_WHEN = re.compile(
    r"(?P<date>\d{4}-\d{2}-\d{2})[T ]+(?P<time>\d{2}:\d{2}(?::\d{2})?)\s*"
    r"(?P<zone>Z|[+-]\d{2}:?\d{2}|[A-Za-z][A-Za-z0-9_+\-]*(?:/[A-Za-z0-9_+\-]+)*)?",
    re.ASCII,
)
FIRST_YEAR, LAST_YEAR = 1970, 2999
"""The years that can be planned for; every zone's arithmetic stays within the calendar there."""
_EXAMPLE = 'write it like "2026-10-12 09:00 Asia/Shanghai", or "now"'


def now() -> datetime:
    """The present, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class WallTime:
    """A local time as a person wrote it: ``local`` is naive on purpose, ``zone`` is IANA or an offset."""

    local: datetime
    zone: str

    def instant(self) -> datetime:
        """The moment meant, in UTC, by the rules of the zone as known today.

        Raises :class:`UsageError` for a time that does not exist or exists twice.
        """
        return _instant(self.local, self.zone)

    def __str__(self) -> str:
        return f"{self.local:%Y-%m-%d %H:%M}{f':{self.local:%S}' if self.local.second else ''} {self.zone}"


def instant(text: str) -> datetime | None:
    """The instant that ``text`` says in ISO 8601, in UTC where it names no offset; ``None`` where it says none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def zone(name: str) -> tzinfo:
    """The time zone called ``name``: an IANA name, ``Z`` or an offset such as ``+08:00``."""
    if name == "Z":
        return UTC
    if match := re.fullmatch(r"([+-])(\d{2}):?(\d{2})", name, re.ASCII):
        hours, minutes = int(match[2]), int(match[3])
        if hours > 14 or minutes > 59:
            raise UsageError(f'"{name}" is not an offset from UTC; they run from -12:00 to +14:00.')
        return timezone((1 if match[1] == "+" else -1) * timedelta(hours=hours, minutes=minutes))
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(
            f'"{name}" is not a time zone; use an IANA name such as Asia/Shanghai or Europe/London.'
        ) from None


def forget_zones() -> None:
    """Reads the rules of every zone anew when they are next needed: they change while a worker runs for years."""
    ZoneInfo.clear_cache()


def parse_when(text: str, default_zone: str) -> WallTime:
    """What a person typed as WHEN, apart from ``now``.

    Raises :class:`UsageError`, with both readings for an hour that the clocks skip or repeat.
    """
    match = _WHEN.fullmatch(text.strip())
    if not match:
        raise UsageError(f'"{text}" is not a time; {_EXAMPLE}.')
    try:
        local = datetime.fromisoformat(f"{match['date']} {match['time']}")
    except ValueError:
        raise UsageError(f'"{text}" is not a time that exists in the calendar; {_EXAMPLE}.') from None
    wall = WallTime(local, match["zone"] or default_zone)
    wall.instant()
    return wall


def _instant(local: datetime, zone_name: str) -> datetime:
    place = zone(zone_name)
    if not FIRST_YEAR <= local.year <= LAST_YEAR:
        raise UsageError(f"{local:%Y-%m-%d %H:%M} is in no year that can be planned for; check the year.")
    early, late = local.replace(tzinfo=place, fold=0), local.replace(tzinfo=place, fold=1)
    first, second = early.astimezone(UTC), late.astimezone(UTC)
    if first == second:
        return first
    readings = f"{_reading(min(first, second), place)} or {_reading(max(first, second), place)}"
    if early.utcoffset() > late.utcoffset():  # type: ignore[operator]  # both have an offset
        why = "exists twice, because the clocks go back"
    else:
        why = "does not exist, because the clocks go forward"
    raise UsageError(f"{local:%Y-%m-%d %H:%M} in {zone_name} {why}; write {readings} instead.")


def _reading(instant: datetime, place: tzinfo) -> str:
    local = instant.astimezone(place)
    offset = f"{local:%z}"
    return f'"{local:%Y-%m-%d %H:%M} {offset[:3]}:{offset[3:]}"'


def show(instant: datetime, zone_name: str) -> str:
    """An instant as a person reads it: local time, to the second where it is not a whole minute, and zone."""
    local = instant.astimezone(zone(zone_name)).replace(microsecond=0, tzinfo=None)
    return str(WallTime(local, zone_name))
