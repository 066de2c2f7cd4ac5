"""Dates and hours as readers of each language write them (GB/T 15835 and common English usage)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from publisher import clock
from publisher.announcement import Bilingual, Event
from publisher.render.house import House

_WEEKDAYS = (
    ("星期一", "Monday"),
    ("星期二", "Tuesday"),
    ("星期三", "Wednesday"),
    ("星期四", "Thursday"),
    ("星期五", "Friday"),
    ("星期六", "Saturday"),
    ("星期日", "Sunday"),
)
# Not strftime, which speaks the machine's locale.
_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


@dataclass(frozen=True, slots=True)
class Day:
    """One calendar day, in pieces for an event box and whole for a line of text."""

    iso: str
    day: int
    month: Bilingual
    weekday: Bilingual
    text: Bilingual

    @classmethod
    def of(cls, day: date) -> Day:
        """The day ``day``."""
        zh, en = _WEEKDAYS[day.weekday()]
        month = _MONTHS[day.month - 1]
        return cls(
            iso=day.isoformat(),
            day=day.day,
            month=Bilingual(f"{day.year}年{day.month}月", f"{month} {day.year}"),
            weekday=Bilingual(zh, en),
            text=Bilingual(f"{day.year}年{day.month}月{day.day}日", f"{day.day} {month} {day.year}"),
        )


@dataclass(frozen=True, slots=True)
class Hours:
    """The hours of an event in one zone; ``name`` is what readers call its time."""

    name: Bilingual
    text: Bilingual
    home: bool


@dataclass(frozen=True, slots=True)
class EventView:
    """An event, ready for print. ``hours`` starts with the event's own zone; ``last`` is set for several days."""

    first: Day
    last: Day | None
    hours: tuple[Hours, ...]
    line: Bilingual
    place: Bilingual
    link: str
    start_iso: str
    end_iso: str


def view(event: Event, house: House) -> EventView:
    """``event`` as readers see it. Raises :class:`~publisher.errors.UsageError` for a time that does not exist."""
    start = _local(event.start, event.timezone)
    end = _local(event.end, event.timezone) if event.end else None
    first = Day.of(start.date())
    last = Day.of(end.date()) if end and end.date() != start.date() else None
    hours = _all_hours(start, end, event.timezone, house)
    return EventView(
        first=first,
        last=last,
        hours=hours,
        line=Bilingual(_line_zh(first, last, start, end), _line_en(first, last, start, end)),
        place=event.place,
        link=event.link,
        start_iso=start.isoformat(),
        end_iso=end.isoformat() if end else "",
    )


def _local(text: str, zone: str) -> datetime:
    wall = clock.WallTime(datetime.fromisoformat(text), zone)
    return wall.instant().astimezone(clock.zone(zone))


def _span(start: datetime, end: datetime | None, dash: str) -> str:
    return f"{start:%H:%M}{dash}{end:%H:%M}" if end else f"{start:%H:%M}"


def _line_zh(first: Day, last: Day | None, start: datetime, end: datetime | None) -> str:
    head = f"{first.text.zh}（{first.weekday.zh}）"
    if last and end:
        return f"{head}{start:%H:%M}—{last.text.zh}（{last.weekday.zh}）{end:%H:%M}"
    return head + _span(start, end, "—")


def _line_en(first: Day, last: Day | None, start: datetime, end: datetime | None) -> str:
    head = f"{first.weekday.en}, {first.text.en}"
    if last and end:
        return f"{head}, {start:%H:%M} – {last.weekday.en}, {last.text.en}, {end:%H:%M}"
    return f"{head}, {_span(start, end, '–')}"


def _all_hours(start: datetime, end: datetime | None, zone: str, house: House) -> tuple[Hours, ...]:
    names = {reader.zone: reader.name for reader in house.zones}
    zones = [zone, *(reader.zone for reader in house.zones if reader.zone != zone)]
    found: list[Hours] = []
    for index, name in enumerate(zones):
        there = clock.zone(name)
        begins, ends = start.astimezone(there), end.astimezone(there) if end else None
        if index and (begins.utcoffset() == start.utcoffset() or (end and end.date() != start.date())):
            continue  # the same hours; or hours of several days, which another zone may move to other days
        text = Bilingual(_span(begins, ends, "—"), _span(begins, ends, "–"))
        if begins.date() != start.date():
            day = Day.of(begins.date())
            text = Bilingual(
                f"{begins.month}月{begins.day}日 {text.zh}", f"{day.text.en.rsplit(' ', 1)[0]}, {text.en}"
            )
        found.append(Hours(names.get(name) or _plain_name(begins, name), text, home=index == 0))
    return tuple(found)


def _plain_name(moment: datetime, zone: str) -> Bilingual:
    offset = f"{moment:%z}"
    label = f"UTC{offset[:3]}:{offset[3:]}"
    city = zone.rsplit("/", 1)[-1].replace("_", " ") if "/" in zone else zone
    return Bilingual(label, f"{city} time, {label}")
