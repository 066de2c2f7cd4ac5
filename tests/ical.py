"""A reader of iCalendar that forgives nothing: RFC 5545 and RFC 7986 for what this product writes."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NAME = re.compile(r"([A-Z-]+)((?:;[A-Z-]+=[^;:,\"\x00-\x1f]+)*):(.*)", re.DOTALL)
_UTC = re.compile(r"\d{8}T\d{6}Z")
_TEXT = re.compile(r"(?:[^\\;,\x00-\x1f\x7f]|\\[\\;,n])*")
_TEXTS = re.compile(r"(?:[^\\;\x00-\x1f\x7f]|\\[\\;,n])+")
_URI = re.compile(r"https?://[!-~]+")
_VALUES = {
    **dict.fromkeys(["DTSTAMP", "CREATED", "LAST-MODIFIED", "DTSTART", "DTEND"], _UTC),
    **dict.fromkeys(["SUMMARY", "LOCATION", "DESCRIPTION", "CONTACT", "NAME", "X-WR-CALNAME", "UID"], _TEXT),
    **dict.fromkeys(["URL", "SOURCE", "CONFERENCE"], _URI),
    **dict.fromkeys(["REFRESH-INTERVAL", "X-PUBLISHED-TTL"], re.compile(r"PT\d+H")),
    "CATEGORIES": _TEXTS,
    "SEQUENCE": re.compile(r"\d+"),
    "STATUS": re.compile("CONFIRMED|CANCELLED"),
    "TRANSP": re.compile("TRANSPARENT"),
    "VERSION": re.compile(r"2\.0"),
    "PRODID": _TEXT,
}
# RFC 5545, 3.6.1, and RFC 7986, 5: what may be there more than once.
_MANY = {"VEVENT": {"CATEGORIES", "CONTACT", "CONFERENCE"}, "VCALENDAR": {"NAME"}}
_REQUIRED = {"VEVENT": {"UID", "DTSTAMP", "DTSTART"}, "VCALENDAR": {"PRODID", "VERSION"}}
# RFC 5545, 3.6.1 and RFC 7986, 4: what may be there at all.
_ALLOWED = {
    "VEVENT": {
        *_REQUIRED["VEVENT"], "CREATED", "LAST-MODIFIED", "SEQUENCE", "STATUS", "DTEND", "SUMMARY", "LOCATION",
        "DESCRIPTION", "CATEGORIES", "CONTACT", "CONFERENCE", "URL", "TRANSP",
    },
    "VCALENDAR": {
        *_REQUIRED["VCALENDAR"], "UID", "NAME", "X-WR-CALNAME", "LAST-MODIFIED", "URL", "SOURCE",
        "REFRESH-INTERVAL", "X-PUBLISHED-TTL",
    },
}  # fmt: skip


@dataclass(frozen=True)
class Property:
    """One content line, its value as written and, for TEXT, as meant."""

    name: str
    params: dict[str, str]
    value: str

    @property
    def text(self) -> str:
        """A TEXT value as meant."""
        return re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], self.value)


@dataclass(frozen=True)
class Component:
    """A component with its properties and those inside it."""

    name: str
    properties: list[Property]
    inner: list[Component]

    def all(self, name: str) -> list[Property]:
        """Every property of that name."""
        return [each for each in self.properties if each.name == name]

    def text(self, name: str) -> str:
        """The one property of that name as meant; empty where there is none."""
        found = self.all(name)
        assert len(found) < 2, name
        return found[0].text if found else ""


def read(data: bytes) -> Component:
    """The calendar. Fails an assertion for every line and every component that the standards do not allow."""
    assert data.endswith(b"\r\n") and b"\r\n\r\n" not in data
    assert b"\n" not in data.replace(b"\r\n", b"") and b"\r" not in data.replace(b"\r\n", b"")
    for line in data.split(b"\r\n"):
        assert len(line) <= 75, line
        line.decode()  # no character is cut
    lines = data.decode().replace("\r\n ", "").removesuffix("\r\n").split("\r\n")
    found, rest = _component(lines)
    assert not rest and found.name == "VCALENDAR"
    assert found.inner, "a calendar needs a component"
    return found


def events(data: bytes) -> list[Component]:
    """The events of a calendar that :func:`read` takes; their UIDs differ."""
    found = [each for each in read(data).inner if each.name == "VEVENT"]
    assert len({each.text("UID") for each in found}) == len(found)
    return found


def _component(lines: list[str]) -> tuple[Component, list[str]]:
    assert lines[0].startswith("BEGIN:"), lines[0]
    made = Component(lines[0].removeprefix("BEGIN:"), [], [])
    lines = lines[1:]
    while lines[0] != f"END:{made.name}":
        if lines[0].startswith("BEGIN:"):
            inner, lines = _component(lines)
            made.inner.append(inner)
            continue
        made.properties.append(_property(lines[0], made.name))
        lines = lines[1:]
    if made.name in _ALLOWED:
        _obeys(made)
    return made, lines[1:]


def _property(line: str, inside: str) -> Property:
    match = _NAME.fullmatch(line)
    assert match, line
    params = dict(part.split("=", 1) for part in match[2].split(";") if part)
    if inside in _ALLOWED:
        assert _VALUES[match[1]].fullmatch(match[3]), line
        assert match[1] not in ("SOURCE", "CONFERENCE") or params["VALUE"] == "URI"
        assert match[1] != "REFRESH-INTERVAL" or params["VALUE"] == "DURATION"
        assert params.get("LANGUAGE", "en") in ("zh-Hans", "en")
    return Property(match[1], params, match[3])


def _obeys(made: Component) -> None:
    names = [each.name for each in made.properties]
    assert _REQUIRED[made.name] <= set(names) <= _ALLOWED[made.name]
    for name in set(names) - _MANY[made.name]:
        assert names.count(name) == 1, name
    if made.name == "VEVENT" and made.text("DTEND"):
        assert made.text("DTEND") > made.text("DTSTART")
    if made.text("CREATED"):
        assert made.text("CREATED") <= made.text("LAST-MODIFIED")
