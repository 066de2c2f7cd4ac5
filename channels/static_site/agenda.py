"""The calendars to subscribe to: every event of the site, one file a language and one in both. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from channels.static_site.record import Record, joined
from publisher.announcement import Bilingual, Language, Tags
from publisher.render import calendar
from publisher.render.calendar import Appointment, Subscription
from publisher.render.house import House

AGENDA = "calendar.ics"
KEPT = timedelta(days=731)
"""How long an event stays in after its end: two years, whether it took place or was called off."""
_NEVER = "1970-01-01T00:00:00Z"


def write(
    records: Iterable[Record], languages: tuple[Language, ...], base: str, place: str, house: House
) -> str:
    """The calendar at ``base`` + ``place`` of what the site has, or had, in any of ``languages``.

    What was withdrawn, or lost its event by a correction, stays in as called off, so that subscribers strike it
    out. The present is taken from the records, so that the same records make the same file.
    """
    mine = [record for record in records if any(code in record.content for code in languages)]
    newest = datetime.fromisoformat(max((record.changed for record in mine), default=_NEVER))
    out = [record for record in mine if not record.withdrawn]
    keys = {record.key for record in out}
    gone = [record for record in mine if record.key not in keys]
    found = [_appointment(record, languages, base, house) for record in joined([*out, *gone])]
    kept = [it for it in found if it and (it.end or it.start) + KEPT >= newest]
    subscription = Subscription(f"{base}{place}{AGENDA}", f"{base}{place}", newest)
    return calendar.subscribed(
        subscription, sorted(kept, key=lambda it: (it.start, it.uid)), languages, house
    )


def happening(record: Record) -> Mapping[str, Any] | None:
    """The event of a record, be it called off."""
    return record.event or record.former_event


def _appointment(
    record: Record, languages: tuple[Language, ...], base: str, house: House
) -> Appointment | None:
    event = happening(record)
    if event is None:
        return None
    page = next(record.pages[scope] for scope in _scopes(languages) if scope in record.pages)
    return Appointment(
        uid=calendar.uid(record.key, house),
        changed=datetime.fromisoformat(record.changed),
        created=datetime.fromisoformat(record.published),
        sequence=record.sequence,
        start=datetime.fromisoformat(event["start_iso"]),
        end=datetime.fromisoformat(event["end_iso"]) if event["end_iso"] else None,
        title=Bilingual(**record.title),
        address=base + page,
        place=Bilingual(**event["place"]),
        about=Bilingual(**record.excerpt),
        tags=Tags(**{code: tuple(tags) for code, tags in record.tags.items()}),
        link=event["link"],
        cancelled=bool(record.withdrawn) or record.event is None,
    )


def _scopes(languages: tuple[Language, ...]) -> list[str]:
    return [*(["both"] if len(languages) > 1 else []), *map(str, languages)]
