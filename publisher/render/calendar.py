"""An event as an iCalendar file, for "add to calendar".

Source: RFC 5545 (format, TEXT escaping, folding at 75 octets), RFC 7986 section 5.3 (a UID is best a UUID).
A VEVENT has one SUMMARY and one LOCATION, so each language gets a file of its own, and the file in both
languages joins them; the same UID in all of them lets a calendar see one event.
"""

from __future__ import annotations

import re
import uuid
from datetime import UTC, date, datetime

from publisher.announcement import Bilingual, Language, Revision
from publisher.render.dates import view
from publisher.render.house import House
from publisher.render.links import TOKENS

_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")


def write(
    revision: Revision, key: str, number: int, dated: date, languages: tuple[Language, ...], house: House
) -> str:
    """The .ics file of a revision's event, with CRLF; empty where there is no event.

    ``number`` is the revision's, from 1: it becomes SEQUENCE, so that a calendar takes the newer file.
    """
    if not revision.event:
        return ""
    event = view(revision.event, house)
    scope = str(languages[0]) if len(languages) == 1 else "both"
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//bilingual-publisher//announcement//EN",
        "BEGIN:VEVENT",
        f"UID:{uid(key, house)}",
        f"DTSTAMP:{dated:%Y%m%d}T000000Z",
        f"SEQUENCE:{number - 1}",
        f"DTSTART:{_utc(event.start_iso)}",
        f"DTEND:{_utc(event.end_iso)}" if event.end_iso else "",
        _text("SUMMARY", revision.title, languages, house),
        _text("LOCATION", event.place, languages, house),
        f"URL:{TOKENS[scope]}",
        "END:VEVENT",
        "END:VCALENDAR",
    ]
    return "".join(f"{fold(line)}\r\n" for line in lines if line)


def cancelled(text: str, moment: datetime) -> str:
    """The .ics file ``text`` with its event called off, as of ``moment``; one that is called off already stays.

    A higher SEQUENCE and STATUS:CANCELLED tell a calendar to strike the event out (RFC 5545, 3.8.1.11 and 3.8.7.4).
    """
    lines = text.replace("\r\n ", "").split("\r\n")
    if "STATUS:CANCELLED" in lines:
        return text
    stamp = f"DTSTAMP:{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    changed: list[str] = []
    for line in lines:
        name, _, value = line.partition(":")
        if name == "STATUS":
            continue
        if name == "SEQUENCE":
            line = f"SEQUENCE:{int(value) + 1}"
        changed.append(stamp if name == "DTSTAMP" else line)
        if name == "SEQUENCE":
            changed.append("STATUS:CANCELLED")
    return "\r\n".join(map(fold, changed))


def uid(key: str, house: House) -> str:
    """The event's UID: the same for every revision and language, another for another office."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{house.name.zh}/{house.name.en}/{key}"))


def escape(text: str) -> str:
    """``text`` as an iCalendar TEXT value (RFC 5545, 3.3.11); control characters are left out."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = re.sub(r"([\\;,])", r"\\\1", _CONTROL.sub("", text))
    return text.replace("\n", "\\n")


def fold(line: str) -> str:
    """``line`` in pieces of at most 75 octets, never inside a character (RFC 5545, 3.1)."""
    pieces, size = [""], 0
    for character in line:
        octets = len(character.encode())
        if size + octets > 75:
            pieces.append("")
            size = 1  # the space that opens a continuation
        pieces[-1] += character
        size += octets
    return "\r\n ".join(pieces)


def _utc(iso: str) -> str:
    return f"{datetime.fromisoformat(iso).astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _text(name: str, value: Bilingual, languages: tuple[Language, ...], house: House) -> str:
    texts = [value[code] for code in languages if value[code]]
    if not texts:
        return ""
    language = f";LANGUAGE={house.tag(languages[0])}" if len(languages) == 1 else ""
    return f"{name}{language}:{escape(' / '.join(texts))}"
