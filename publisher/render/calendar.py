"""An event in iCalendar: the file for "add to calendar", and the calendar to subscribe to.

Sources: RFC 5545 (format, TEXT escaping, folding at 75 octets), RFC 7986 (names, address and refreshing of a
calendar; 5.3: a UID is best a UUID).

There is no METHOD: it would begin a scheduling transaction, and ask for an ORGANIZER (RFC 5545, 3.7.2; RFC 5546,
3.2.1), which makes some programs treat the reader as an invited guest. Without it the file is a snapshot, and DTSTAMP
is the moment of the event's last change (RFC 5545, 3.8.7.2). Whom to ask is in CONTACT.
A VEVENT has one SUMMARY and one LOCATION, so each language gets a file of its own, and the file in both
languages joins them; the same UID in all of them lets a calendar see one event.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time

from publisher.announcement import NO_TEXT, Bilingual, Language, Revision, Tags
from publisher.render import links
from publisher.render.dates import view
from publisher.render.house import House

_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")
_BREAK = re.compile("\r\n|[\r\x85\u2028\u2029]")
_PRODID = "PRODID:-//bilingual-publisher//announcement//EN"
# An object needs a component (RFC 5545, 3.6); where there is no event, this one changes nothing for anybody.
_NO_EVENT = [
    "BEGIN:VTIMEZONE", "TZID:UTC", "BEGIN:STANDARD", "DTSTART:19700101T000000", "TZOFFSETFROM:+0000",
    "TZOFFSETTO:+0000", "END:STANDARD", "END:VTIMEZONE",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Appointment:
    """An event as a calendar holds it. Times are aware; ``address`` is that of its page.

    ``sequence`` is higher in every newer state of it. One that is ``cancelled`` says no more than what is struck
    out. ``link`` is the event's own page; where it has no place, it takes place there.
    """

    uid: str
    changed: datetime
    sequence: int
    start: datetime
    end: datetime | None
    title: Bilingual
    address: str
    place: Bilingual = NO_TEXT
    about: Bilingual = NO_TEXT
    tags: Tags = field(default_factory=Tags)
    link: str = ""
    created: datetime | None = None
    cancelled: bool = False


@dataclass(frozen=True, slots=True)
class Subscription:
    """A calendar to subscribe to: its own ``address``, its ``home`` page, and when it was last ``changed``."""

    address: str
    home: str
    changed: datetime


def sequence(number: int) -> int:
    """SEQUENCE of revision ``number``, from 1: even, so that calling it off has a number before the next revision."""
    return 2 * (number - 1)


def write(
    revision: Revision,
    key: str,
    number: int,
    written: datetime | date,
    languages: tuple[Language, ...],
    house: House,
    about: Bilingual = NO_TEXT,
) -> str:
    """The .ics file of a revision's event, with CRLF; empty where there is no event.

    ``number`` is the revision's, from 1; ``written`` when it was made, a day counts from its midnight in UTC;
    ``about`` its excerpt.
    """
    if not revision.event:
        return ""
    event = view(revision.event, house)
    if not isinstance(written, datetime):
        written = datetime.combine(written, time(), UTC)
    appointment = Appointment(
        uid=uid(key, house),
        changed=written,
        sequence=sequence(number),
        start=datetime.fromisoformat(event.start_iso),
        end=datetime.fromisoformat(event.end_iso) if event.end_iso else None,
        title=revision.title,
        address=links.TOKENS[str(languages[0]) if len(languages) == 1 else "both"],
        place=event.place,
        about=about,
        tags=revision.tags,
        link=event.link,
    )
    return _file(_event(appointment, languages, house))


def subscribed(
    subscription: Subscription,
    appointments: Iterable[Appointment],
    languages: tuple[Language, ...],
    house: House,
) -> str:
    """The calendar of all ``appointments``, with CRLF, for programs that fetch it again and again.

    An event in it keeps nobody busy: whoever subscribes has not said yet that they will come. Each says where its
    page is in words too, since many programs show no URL.
    """
    head = [
        f"UID:{uuid.uuid5(uuid.NAMESPACE_URL, subscription.address)}",
        *(
            f"NAME{_label([code], house)}:{escape(house.name[code])}"
            for code in languages
            if house.name[code]
        ),
        f"X-WR-CALNAME:{escape(_joined(house.name, _told(house.name, languages)))}",
        f"LAST-MODIFIED:{_utc(subscription.changed)}",
        f"URL:{subscription.home}",
        f"SOURCE;VALUE=URI:{subscription.address}",
        "REFRESH-INTERVAL;VALUE=DURATION:PT6H",
        "X-PUBLISHED-TTL:PT6H",
    ]
    events = [
        line
        for appointment in appointments
        for line in _event(appointment, languages, house, "TRANSP:TRANSPARENT", said=appointment.address)
    ]
    return _file([*head, *(events or _NO_EVENT)])


def cancelled(text: str, moment: datetime) -> str:
    """The .ics file ``text`` with its event called off, as of ``moment``; one that is called off already stays.

    A higher SEQUENCE and STATUS:CANCELLED tell a calendar to strike the event out (RFC 5545, 3.8.1.11 and 3.8.7.4).
    What is said about it goes.
    """
    lines = _unfolded(text)
    if "STATUS:CANCELLED" in lines:
        return text
    changed: list[str] = []
    for line in lines:
        name, _, value = line.partition(":")
        name = name.partition(";")[0]
        if name in ("STATUS", "DESCRIPTION", "CATEGORIES", "CONFERENCE"):
            continue
        if name == "SEQUENCE":
            changed.append(f"SEQUENCE:{int(value) + 1}")
            changed.append("STATUS:CANCELLED")
        elif name in ("DTSTAMP", "LAST-MODIFIED"):
            changed.append(f"{name}:{_utc(moment)}")
        else:
            changed.append(line)
    return "\r\n".join(map(fold, changed))


def refolded(text: str) -> str:
    """``text`` folded anew, since a link that was filled in may be longer than what stood there."""
    return "\r\n".join(map(fold, _unfolded(text)))


def uid(key: str, house: House) -> str:
    """The event's UID: the same for every revision and language, another for another office."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{house.name.zh}/{house.name.en}/{key}"))


def escape(text: str) -> str:
    """``text`` as an iCalendar TEXT value (RFC 5545, 3.3.11); control characters are left out."""
    text = _BREAK.sub("\n", text)
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


def _unfolded(text: str) -> list[str]:
    return text.replace("\r\n ", "").split("\r\n")


def _file(content: list[str]) -> str:
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", _PRODID, *content, "END:VCALENDAR"]
    return "".join(f"{fold(line)}\r\n" for line in lines)


def _event(
    it: Appointment, languages: tuple[Language, ...], house: House, *more: str, said: str = ""
) -> list[str]:
    """The lines of a VEVENT, not yet folded; ``said`` is an address that ends its description."""
    lines = [
        "BEGIN:VEVENT",
        f"UID:{it.uid}",
        f"DTSTAMP:{_utc(it.changed)}",
        f"CREATED:{_utc(it.created)}" if it.created else "",
        f"LAST-MODIFIED:{_utc(it.changed)}",
        f"SEQUENCE:{it.sequence}",
        f"STATUS:{'CANCELLED' if it.cancelled else 'CONFIRMED'}",
        f"DTSTART:{_utc(it.start)}",
        f"DTEND:{_utc(it.end)}" if it.end and it.end > it.start else "",
        _text("SUMMARY", it.title, languages, house),
        _text("LOCATION", it.place, languages, house),
        *([] if it.cancelled else _described(it, languages, house, said)),
        _text("CONTACT", _contact(house), languages, house),
        f"URL:{it.address}",
        *more,
        "END:VEVENT",
    ]
    return [line for line in lines if line]


def _described(it: Appointment, languages: tuple[Language, ...], house: House, said: str) -> list[str]:
    codes = _told(it.about, languages)
    about = "\n\n".join([*(it.about[code] for code in codes), *filter(None, [said])])
    tags = {code: ",".join(map(escape, it.tags[code])) for code in languages}
    online = links.web_address(it.link) if not it.place else ""
    return [
        f"DESCRIPTION{_label(codes, house)}:{escape(about)}" if about else "",
        *(f"CATEGORIES{_label([code], house)}:{named}" for code, named in tags.items() if named),
        f"CONFERENCE;VALUE=URI:{online}" if online else "",
    ]


def _utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _told(value: Bilingual, languages: Iterable[Language]) -> list[Language]:
    """Those of ``languages`` that ``value`` is in, else the other: half a text says more than none."""
    return [code for code in languages if value[code]] or [code for code in Language if value[code]]


def _joined(value: Bilingual, codes: Iterable[Language]) -> str:
    return " / ".join(value[code] for code in codes)


def _contact(house: House) -> Bilingual:
    return Bilingual(*(", ".join(filter(None, (house.name[code], house.email))) for code in Language))


def _label(codes: list[Language], house: House) -> str:
    return f";LANGUAGE={house.tag(codes[0])}" if len(codes) == 1 else ""


def _text(name: str, value: Bilingual, languages: Iterable[Language], house: House) -> str:
    codes = _told(value, languages)
    return f"{name}{_label(codes, house)}:{escape(_joined(value, codes))}" if codes else ""
