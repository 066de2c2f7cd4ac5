"""The front matter of a Markdown document: what it says about the announcement, checked field by field."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import PurePosixPath
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from publisher import clock
from publisher.announcement import Bilingual, Event, Image, Language, Tags
from publisher.errors import DocumentError, UsageError
from publisher.intake.nodes import Value, parse

_FENCE = "---"
_LARGEST = 50_000
_KEYS = ("title", "summary", "event", "organisations", "tags", "images", "publish_at", "channels")
_LOCAL_TIME = re.compile(r"(\d{4}-\d{2}-\d{2})[T ]+(\d{2}:\d{2})(?::00)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class FrontMatter:
    """What the front matter says; empty where it is silent. ``publish_at`` is as typed."""

    title: Bilingual = field(default_factory=Bilingual)
    summary: Bilingual = field(default_factory=Bilingual)
    event: Event | None = None
    organisations: tuple[Bilingual, ...] = ()
    tags: Tags = field(default_factory=Tags)
    images: tuple[Image, ...] = ()
    publish_at: str = ""
    channels: tuple[str, ...] = ()


def split(text: str, source: str) -> tuple[FrontMatter, str, int]:
    """The front matter, the Markdown below it, and the line the latter begins in, from 1.

    Raises :class:`DocumentError` with the line of the first field that is wrong.
    """
    lines = text.split("\n")
    if lines[0].rstrip() != _FENCE:
        return FrontMatter(), text, 1
    close = next((n for n, line in enumerate(lines[1:], 1) if line.rstrip() == _FENCE), None)
    if close is None:
        raise DocumentError(
            f'The front matter that begins here does not end; close it with a line "{_FENCE}".',
            source=source,
            line=1,
        )
    head = "\n".join(lines[1:close])
    if len(head) > _LARGEST:
        raise DocumentError(
            f"The front matter has more than {_LARGEST:,} characters; move the text below it.",
            source=source,
            line=1,
        )
    root = parse(head, source, 2)
    return _front(root) if root else FrontMatter(), "\n".join(lines[close + 1 :]), close + 2


def _front(root: Value) -> FrontMatter:
    given = root.fields(_KEYS)
    return FrontMatter(
        title=given["title"].bilingual(complete=False) if "title" in given else Bilingual(),
        summary=given["summary"].bilingual(complete=False) if "summary" in given else Bilingual(),
        event=_event(given["event"]) if "event" in given else None,
        organisations=tuple(o.bilingual() for o in given["organisations"].items())
        if "organisations" in given
        else (),
        tags=_tags(given["tags"]) if "tags" in given else Tags(),
        images=tuple(map(_image, given["images"].items())) if "images" in given else (),
        publish_at=_publish_at(given["publish_at"]) if "publish_at" in given else "",
        channels=_names(given["channels"]) if "channels" in given else (),
    )


def _event(value: Value) -> Event:
    given = value.fields(("start", "end", "timezone", "place", "link"))
    for needed, example in (("start", "2026-10-12T15:00"), ("timezone", "Asia/Shanghai")):
        if needed not in given:
            raise value.error(f"has no {needed}; add it, such as {needed}: {example}.")
    zone = _zone(given["timezone"])
    start, begins = _moment(given["start"], zone)
    end, ends = _moment(given["end"], zone) if "end" in given else ("", None)
    if ends and ends <= begins:
        raise given["end"].error(f"is {end}, which is not after the start, {start}; correct one of them.")
    return Event(
        start=start,
        end=end,
        timezone=zone.key,
        place=given["place"].bilingual() if "place" in given else Bilingual(),
        link=_link(given["link"]) if "link" in given else "",
    )


def _zone(value: Value) -> ZoneInfo:
    name = value.line_of_text()
    try:
        zone = clock.zone(name)
    except UsageError:
        zone = None
    if not isinstance(zone, ZoneInfo):
        raise value.error(f'is "{name}", which is no time zone; use an IANA name such as Asia/Shanghai.')
    return zone


def _moment(value: Value, zone: ZoneInfo) -> tuple[str, datetime]:
    """The local time as the product writes it, and the instant it means."""
    typed = value.line_of_text()
    match = _LOCAL_TIME.fullmatch(typed)
    try:
        local = datetime.fromisoformat(f"{match[1]}T{match[2]}" if match else "")
    except ValueError:
        raise value.error(
            f'is "{typed}", which is no date and time; write it like 2026-10-12T15:00.'
        ) from None
    if not clock.FIRST_YEAR <= local.year <= clock.LAST_YEAR:
        raise value.error(f'is "{typed}", a year no calendar of ours reaches; correct it.')
    written = f"{local:%Y-%m-%dT%H:%M}"
    try:
        return written, clock.WallTime(local, zone.key).instant()
    except UsageError:
        there = local.replace(tzinfo=zone).astimezone(UTC).astimezone(zone).replace(tzinfo=None)
        fate = "exists twice" if there == local else "does not exist"
    raise value.error(
        f"is {written}, an hour that {fate} in {zone.key} because the clocks change; give another hour."
    )


def _link(value: Value) -> str:
    typed = value.line_of_text()
    try:
        split_url = urlsplit(typed)
        sound = (
            split_url.scheme in ("http", "https") and bool(split_url.hostname) and not re.search(r"\s", typed)
        )
    except ValueError:
        sound = False
    if not sound:
        raise value.error(f'is "{typed}", which is no web address; begin it with https:// or remove it.')
    return typed


def _tags(value: Value) -> Tags:
    given = value.fields(tuple(Language))
    return Tags(**{code: tuple(dict.fromkeys(map(_tag, tags.items()))) for code, tags in given.items()})


def _tag(value: Value) -> str:
    if not (tag := value.line_of_text().lstrip("#＃").strip()):
        raise value.error("is empty; fill it in or remove it.")
    return tag


def _image(value: Value) -> Image:
    given = value.fields(("file", "alt"))
    for needed in ("file", "alt"):
        if needed not in given:
            what = (
                "the name of the picture" if needed == "file" else "what the picture shows, as {zh: …, en: …}"
            )
            raise value.error(f"has no {needed}; add {what}.")
    return Image(_file(given["file"]), given["alt"].bilingual())


def _file(value: Value) -> str:
    typed = value.line_of_text()
    path = PurePosixPath(typed)
    if path.is_absolute() or ".." in path.parts or re.search(r"[\\:]", typed) or not path.name:
        raise value.error(f'is "{typed}"; name a file in the folder of the document, such as photo.jpg.')
    return str(path)


def _publish_at(value: Value) -> str:
    typed = value.line_of_text()
    if typed != "now":
        try:
            # The zone of the office is not known here; where none is typed, only the calendar is checked.
            clock.parse_when(typed, "UTC")
        except UsageError as error:
            raise value.error(f"cannot be used: {error}") from None
    return typed


def _names(value: Value) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.line_of_text() for name in value.items()))
