"""A file of subscribers, line by line: what each says, or one sentence why it cannot be taken."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import BinaryIO, TextIO

from publisher import addresses, clock
from publisher.errors import DocumentError
from publisher.roster.columns import column, reading
from publisher.subscriber import Consent, Reading, Subscriber

_LIST = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAMPLE = 64 * 1024
_LONGEST_LINE = 20_000
_SHOWN = 120
_ACTIVE = ("active", "subscribed", "enabled", "confirmed", "有效", "已订阅")
_GUARD = re.compile(r"^'(?=[=+\-@])")
"""What an export puts before a cell that Excel would run."""


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds for a line that does not say it itself."""

    reading: Reading = Reading.BOTH
    lists: tuple[str, ...] = ()
    consent: Consent = field(default_factory=Consent)
    source: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One line: its ``number`` in the file and its ``text``; a subscriber, or ``refusal`` says why there is none."""

    number: int
    text: str
    subscriber: Subscriber | None = None
    refusal: str = ""


def read(file: BinaryIO, name: str, defaults: Defaults) -> Iterator[Row]:
    """The lines of a CSV file: UTF-8, UTF-16 with its mark, or GB 18030; commas, semicolons or tabs between cells.

    Without titles at the top, the first column that holds addresses is taken. Raises
    :class:`~publisher.errors.DocumentError` for a file that is no text, or has no addresses.
    """
    text = _opened(file, name)
    first = text.readline(_LONGEST_LINE)
    if not first.strip():
        raise DocumentError("The file is empty; write a line for each subscriber into it.", source=name)
    separator = max(",;\t", key=first.count)
    cells = next(csv.reader([first], delimiter=separator))
    titles = [column(cell.strip("\ufeff ")) for cell in cells]
    if "email" not in titles:
        if not any("@" in cell or "＠" in cell for cell in cells):
            raise DocumentError(
                'No column is called "email" (or 邮箱); write that over the column with the addresses.',
                source=name,
            )
        titles = _untitled(cells)
        yield _row(1, cells, titles, defaults, separator)
    rows = csv.reader(_lines(text), delimiter=separator)
    while True:
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield Row(rows.line_num + 1, "", refusal=f"cannot be read ({error}); check its quotes")
            continue
        if any(cell.strip() for cell in cells):
            yield _row(rows.line_num + 1, cells, titles, defaults, separator)


def _opened(file: BinaryIO, name: str) -> TextIO:
    """The file as text: its encoding is told by its mark, or by whether its beginning is UTF-8."""
    sample = file.read(_SAMPLE)
    file.seek(0)
    for mark, encoding in _MARKS:
        if sample.startswith(mark):
            return io.TextIOWrapper(file, encoding, errors="replace", newline="")
    if b"\0" in sample:
        raise DocumentError("This is no CSV file; in Excel, save it as CSV UTF-8.", source=name)
    encoding = "utf-8" if _is_utf8(file) else "gb18030"
    return io.TextIOWrapper(file, encoding, errors="replace", newline="")


def _is_utf8(file: BinaryIO) -> bool:
    """Whether the whole file is UTF-8: the first Chinese name may be far down."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while chunk := file.read(_SAMPLE):
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    finally:
        file.seek(0)
    return True


def _lines(text: TextIO) -> Iterator[str]:
    """Lines of a bounded length, so that a file without line ends does not fill the memory."""
    while line := text.readline(_LONGEST_LINE):
        yield line


def _untitled(cells: Sequence[str]) -> list[str | None]:
    titles: list[str | None] = [None] * len(cells)
    at = next(i for i, cell in enumerate(cells) if "@" in cell or "＠" in cell)
    titles[at] = "email"
    if at + 1 < len(cells):
        titles[at + 1] = "language" if reading(cells[at + 1]) else "name"
    return titles


def _row(
    number: int, cells: Sequence[str], titles: Sequence[str | None], defaults: Defaults, separator: str
) -> Row:
    text = separator.join(cells)
    shown = text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
    values: dict[str, str] = {}
    for title, cell in zip(titles, cells, strict=False):
        if title and cell.strip() and title not in values:
            values[title] = _GUARD.sub("", cell.strip())
    try:
        return Row(number, shown, _subscriber(values, defaults))
    except ValueError as error:
        return Row(number, shown, refusal=str(error))


def _subscriber(values: dict[str, str], defaults: Defaults) -> Subscriber:
    if "email" not in values:
        raise ValueError("has no address")
    if "\ufffd" in "".join(values.values()):
        raise ValueError("has a character that cannot be read; save the file as CSV UTF-8")
    if values.get("state", "active").lower() not in (
        "active",
        "subscribed",
        "enabled",
        "confirmed",
        "有效",
        "已订阅",
    ):
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
        consent=_consent(values, defaults.consent),
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


def _consent(values: dict[str, str], default: Consent) -> Consent:
    at = default.at
    if text := values.get("consent_at"):
        at = _moment(text)
    consent = Consent(
        at, values.get("consent_how") or default.how, values.get("consent_text") or default.text
    )
    if not consent.how:
        raise ValueError("does not say how she agreed to get the newsletter; add --consent-how, or a column")
    return consent


def _moment(text: str) -> datetime:
    """An instant or a day, as tables write them."""
    found = clock.instant(re.sub(r"^(\d{4})[/.年](\d{1,2})[/.月](\d{1,2})日?", _iso, text.strip()))
    if found is None or not clock.FIRST_YEAR <= found.year <= clock.LAST_YEAR:
        raise ValueError(f'has the date "{text}"; write it like 2026-10-12 or 2026-10-12 09:00')
    return found.astimezone(UTC)


def _iso(match: re.Match[str]) -> str:
    return f"{match[1]}-{int(match[2]):02}-{int(match[3]):02}"
