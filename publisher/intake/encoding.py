"""Bytes to text: UTF-8, UTF-16 with its mark, else GB 18030, and a refusal of everything else."""

from __future__ import annotations

import codecs
import re
from functools import lru_cache

import regex

from publisher.errors import DocumentError

LARGEST = 1_000_000
"""Bytes; an announcement is a few thousand, a thick book about a million."""
MOST_LINES = 20_000

_LINE_END = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_MULTIBYTE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_HAN = regex.compile(r"\p{Han}+")
_LETTER = regex.compile(r"[\p{Han}\p{Latin}]")
# Controls, private use, non-characters, the mark of a lost character, and the marks that reverse reading order
# (Unicode Standard Annex #9): none of them can be printed, and the last hides a text from its approver.
_UNPRINTABLE = regex.compile(r"[\p{Cc}\p{Co}\p{Cn}\p{Cs}\uFFFD\u202A-\u202E\u2066-\u2069--[\t\n]]", regex.V1)
_SAVE_AGAIN = "save it again as UTF-8 text"


def decode(data: bytes, name: str) -> str:
    """The text of a file, with ``\\n`` line ends and no byte order mark; nothing else is changed.

    Raises :class:`~publisher.errors.DocumentError` for what is no text, or too large to be an announcement.
    """
    if len(data) > LARGEST:
        raise DocumentError(
            f"The file has {len(data) / 1e6:.1f} MB and at most {LARGEST // 1_000_000} MB is read; "
            "keep only the announcement in it.",
            source=name,
        )
    text = _LINE_END.sub("\n", _unmarked(data, name))
    if not text.strip():
        raise DocumentError("The file is empty; write the announcement into it.", source=name)
    if text.count("\n") > MOST_LINES:
        raise DocumentError(
            f"The file has more than {MOST_LINES} lines; keep only the announcement in it.", source=name
        )
    refuse_unprintable(text, name)
    if not _LETTER.search(text):
        raise DocumentError(f"The file has no Chinese and no English text; {_SAVE_AGAIN}.", source=name)
    return text


def refuse_unprintable(text: str, name: str, first_line: int = 1) -> None:
    """Raises :class:`~publisher.errors.DocumentError` where ``text`` holds a character that cannot be printed."""
    if match := _UNPRINTABLE.search(text):
        raise DocumentError(
            f"An unreadable character (U+{ord(match[0]):04X}) stands here; remove it, or {_SAVE_AGAIN}.",
            source=name,
            line=first_line + text.count("\n", 0, match.start()),
        )


def _unmarked(data: bytes, name: str) -> str:
    for mark, codec in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):
        if data.startswith(mark):
            return _strict(data[len(mark) :], codec, name)
    if b"\0" in data:
        raise DocumentError(f"This is not a text file; {_SAVE_AGAIN}.", source=name)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        if _is_damaged_utf8(data):
            raise _undecodable(data, error, name) from None
    return _gb18030(data, name)


def _strict(data: bytes, codec: str, name: str) -> str:
    try:
        return data.decode(codec)
    except UnicodeDecodeError as error:
        raise _undecodable(data, error, name) from None


def _undecodable(data: bytes, error: UnicodeDecodeError, name: str) -> DocumentError:
    good = _LINE_END.sub("\n", data[: error.start].decode(error.encoding, "ignore"))
    return DocumentError(
        f"The text is damaged here and cannot be read as {error.encoding.upper()}; {_SAVE_AGAIN}.",
        source=name,
        line=1 + good.count("\n"),
    )


def _is_damaged_utf8(data: bytes) -> bool:
    # A cut-off UTF-8 file is nearly always "valid" GB 18030, as nonsense: look at what most of its bytes are.
    beyond_ascii = sum(len(run) for run in re.findall(rb"[\x80-\xff]+", data))
    return 2 * sum(len(found) for found in _MULTIBYTE.findall(data)) > beyond_ascii


@lru_cache(maxsize=1)
def _usual_han() -> frozenset[str]:
    """The 6,763 characters of GB 2312 and the 5,401 of Big5's first level: simplified and traditional usage."""
    simplified = (bytes((lead, trail)) for lead in range(0xB0, 0xF8) for trail in range(0xA1, 0xFF))
    traditional = (bytes((lead, trail)) for lead in range(0xA4, 0xC7) for trail in range(0x40, 0xFF))
    pairs = [(pair, "gb2312") for pair in simplified] + [(pair, "big5") for pair in traditional]
    return frozenset("".join(pair.decode(codec, "ignore") for pair, codec in pairs))


def _gb18030(data: bytes, name: str) -> str:
    text = _strict(data, "gb18030", name)
    han = "".join(_HAN.findall(text))
    # Nearly any bytes are GB 18030. In real Chinese most characters are usual ones, in misread text next to none.
    if 2 * sum(character in _usual_han() for character in han) < len(han):
        raise DocumentError(f"The encoding of this text cannot be told; {_SAVE_AGAIN}.", source=name)
    return text
