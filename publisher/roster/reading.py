"""A file of subscribers, line by line: what each says, or one sentence why it cannot be taken."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import BinaryIO

from publisher import addresses, clock
from publisher.errors import DocumentError, UsageError
from publisher.roster.columns import column, reading
from publisher.roster.encoding import opened
from publisher.roster.records import Lines, Record, records, separator
from publisher.subscriber import Consent, Reading, Subscriber

_LIST = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_SHOWN = 120
_ACTIVE = ("active", "subscribed", "enabled", "confirmed", "有效", "已订阅")
_GUARD = re.compile(r"'(?='*[=+\-@＝＋－＠\t\r])")
"""What an export puts before a cell that a spreadsheet would run."""
_FORMULA = re.compile(r'="([^"]*)"')
"""How some programs keep Excel from reading a text as a number."""
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
_DAY = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?")
_HOUR = re.compile(r"(?<=[ T])(\d):")


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds for a line that does not say it itself."""

    reading: Reading = Reading.BOTH
    lists: tuple[str, ...] = ()
    consent: Consent = field(default_factory=Consent)
    source: str = ""
    zone: str = "UTC"
    """Of times that are written without one."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line: its ``number`` in the file and its ``text``; a subscriber, or ``refusal`` says why there is none."""

    number: int
    text: str
    subscriber: Subscriber | None = None
    refusal: str = ""


def read(file: BinaryIO, name: str, defaults: Defaults) -> Iterator[Row]:
    """The records of a CSV file: UTF-8, UTF-16 with its mark, or GB 18030; commas, semicolons or tabs between cells.

    Without titles at the top, the first column that holds addresses is taken. Raises
    :class:`~publisher.errors.DocumentError` for a file that is no text, or has no addresses, and
    :class:`~publisher.errors.UsageError` where neither it nor ``defaults`` says how people have agreed.
    """
    lines = Lines(opened(file, name))
    delimiter, found = separator(lines)
    if not found:
        raise DocumentError("The file is empty; write a line for each subscriber into it.", source=name)
    rows = records(lines, delimiter)
    first = next(rows, Record(1))
    titles = [column(cell.strip("\ufeff ")) for cell in first.cells]
    has_titles = "email" in titles
    if not has_titles:
        titles = _untitled(first.cells, name)
    if "consent_how" not in titles and not defaults.consent.how:
        raise UsageError(
            f"{name} does not say how these people agreed to get the newsletter; say it with --consent-how, "
            'or in a column "consent how" (同意方式).'
        )
    if not has_titles:
        yield _row(first, titles, defaults, delimiter)
    for record in rows:
        yield _row(record, titles, defaults, delimiter)


def _untitled(cells: Sequence[str], name: str) -> list[str | None]:
    """What the columns hold, by a first line that is a subscriber already."""
    at = next((i for i, cell in enumerate(cells) if "@" in cell or "＠" in cell), None)
    if at is None:
        raise DocumentError(
            'No column is called "email" (or 邮箱); write that over the column with the addresses.',
            source=name,
        )
    titles: list[str | None] = [None] * len(cells)
    titles[at] = "email"
    for i, cell in enumerate(cells[at + 1 : at + 3], at + 1):
        title = "language" if reading(cell) else "name"
        titles[i] = title if title not in titles else None
    return titles


def _row(record: Record, titles: Sequence[str | None], defaults: Defaults, delimiter: str) -> Row:
    shown = _shown(record.text or delimiter.join(record.cells))
    if record.fault:
        return Row(record.number, shown, refusal=record.fault)
    values: dict[str, str] = {}
    for title, cell in zip(titles, record.cells, strict=False):
        if title and cell and title not in values and (value := _plain(cell)):
            values[title] = value
    try:
        return Row(record.number, shown, _subscriber(values, defaults))
    except ValueError as error:
        return Row(record.number, shown, refusal=str(error))


def _shown(text: str) -> str:
    """The line as a terminal may show it."""
    text = text[: _SHOWN + 1]
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _plain(cell: str) -> str:
    """A cell as it was meant: without what keeps a spreadsheet from running it, and without control characters."""
    cell = cell.strip()
    if cell.startswith('="') and (match := _FORMULA.fullmatch(cell)):
        cell = match[1].strip()
    cell = _GUARD.sub("", cell, count=1) if cell.startswith("'") else cell
    if cell.isprintable():
        return cell
    return _CONTROL.sub(" ", cell.replace("\r\n", "\n")).strip()


def _subscriber(values: dict[str, str], defaults: Defaults) -> Subscriber:
    if "email" not in values:
        raise ValueError("has no address")
    if "\ufffd" in "".join(values.values()):
        raise ValueError("has a character that cannot be read; save the file as CSV UTF-8")
    if values.get("state", "active").lower() not in _ACTIVE:
        raise ValueError(f"is not active there ({values['state']})")
    address = addresses.read(values["email"])
    joined = " ".join(filter(None, (values.get("first"), values.get("last"))))
    name = addresses.cleaned_name(values.get("name") or joined) or address.name
    return Subscriber(
        address=address.sent,
        normal=address.normal,
        name=name,
        reading=_reading(values.get("language", ""), defaults.reading),
        lists=_lists(values.get("lists", ""), defaults.lists),
        consent=_consent(values, defaults),
        source=values.get("source") or defaults.source,
    )


def _reading(text: str, default: Reading) -> Reading:
    if not text:
        return default
    found = reading(text)
    if found is None:
        raise ValueError(f'has the language "{text}"; write zh, en or both')
    return found


def _lists(text: str, default: tuple[str, ...]) -> tuple[str, ...]:
    names = [name.lower() for name in re.split(r"[,;，；、|\s]+", text) if name]
    for name in names:
        if not _LIST.fullmatch(name):
            raise ValueError(f'has the list "{name}"; use small letters, digits, - and _')
    return tuple(dict.fromkeys((*default, *names)))


def _consent(values: dict[str, str], defaults: Defaults) -> Consent:
    given = defaults.consent
    at = _moment(values["consent_at"], defaults.zone) if "consent_at" in values else given.at
    consent = Consent(at, values.get("consent_how") or given.how, values.get("consent_text") or given.text)
    if not consent.how:
        raise ValueError("does not say how she agreed to get the newsletter; fill that in")
    return consent


def _moment(text: str, zone: str) -> datetime:
    """An instant or a day, as tables write them; in ``zone`` where it names no offset."""
    try:
        found = datetime.fromisoformat(_HOUR.sub(r"0\1:", _DAY.sub(_iso, text, count=1)))
    except ValueError:
        found = None
    if found is None or not clock.FIRST_YEAR <= found.year <= clock.LAST_YEAR:
        raise ValueError(f'has the date "{_shown(text)}"; write it like 2026-10-12 or 2026-10-12 09:00')
    return (found if found.tzinfo else found.replace(tzinfo=clock.zone(zone))).astimezone(UTC)


def _iso(match: re.Match[str]) -> str:
    return f"{match[1]}-{int(match[2]):02}-{int(match[3]):02}"
