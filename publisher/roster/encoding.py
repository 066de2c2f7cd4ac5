"""How the bytes of a file of subscribers are written, told from the whole file without holding it.

UTF-8 with or without its mark, UTF-16 with its mark, GB 18030. Anything else is refused: nearly any bytes can be
read as GB 18030, and names would come out as nonsense that nobody looks at among ten thousand.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import BinaryIO, TextIO

import regex

from publisher.errors import DocumentError

_BLOCK = 64 * 1024
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_HIGH = re.compile(rb"[\x80-\xff]+")
_MULTIBYTE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_HAN = regex.compile(r"\p{Han}+")
_SAVE = "in Excel, save it as CSV UTF-8"


def opened(file: BinaryIO, name: str) -> TextIO:
    """The file as text, from its beginning. A byte that cannot be read becomes U+FFFD, for its line to be refused.

    Raises :class:`~publisher.errors.DocumentError` for what is no text, or in an encoding that cannot be told.
    """
    start = file.read(4)
    file.seek(0)
    for mark, encoding in _MARKS:
        if start.startswith(mark):
            return io.TextIOWrapper(file, encoding, errors="replace", newline="")
    encoding = _told(file, name)
    file.seek(0)
    return io.TextIOWrapper(file, encoding, errors="replace", newline="")


def _told(file: BinaryIO, name: str) -> str:
    strict = codecs.getincrementaldecoder("utf-8")()
    chinese = codecs.getincrementaldecoder("gb18030")("replace")
    is_utf8, high, multibyte, han, usual = True, 0, 0, 0, 0
    for block in _blocks(file):
        if b"\0" in block:
            raise DocumentError(f"This is no CSV file; {_SAVE}.", source=name)
        is_utf8 = is_utf8 and _takes(strict, block)
        high += sum(map(len, _HIGH.findall(block)))
        multibyte += sum(map(len, _MULTIBYTE.findall(block)))
        found = "".join(_HAN.findall(chinese.decode(block)))
        han += len(found)
        usual += sum(character in _usual_han() for character in found)
    if is_utf8 and _takes(strict, b"", final=True):
        return "utf-8"
    if 2 * multibyte > high:
        return "utf-8"  # with a broken byte or two
    if 2 * usual <= han or not han:
        raise DocumentError(f"The encoding of this file cannot be told; {_SAVE}.", source=name)
    return "gb18030"


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    """The bytes in large pieces, each ending with a line, so that no character is cut in two."""
    while block := file.read(_BLOCK):
        yield block + file.readline(_BLOCK)


def _takes(decoder: codecs.IncrementalDecoder, block: bytes, *, final: bool = False) -> bool:
    try:
        decoder.decode(block, final)
    except UnicodeDecodeError:
        return False
    return True


@lru_cache(maxsize=1)
def _usual_han() -> frozenset[str]:
    """The characters of GB 2312 and of Big5's first level: usual in simplified and in traditional Chinese."""
    simplified = (bytes((lead, trail)) for lead in range(0xB0, 0xF8) for trail in range(0xA1, 0xFF))
    traditional = (bytes((lead, trail)) for lead in range(0xA4, 0xC7) for trail in range(0x40, 0xFF))
    pairs = [(pair, "gb2312") for pair in simplified] + [(pair, "big5") for pair in traditional]
    return frozenset("".join(pair.decode(codec, "ignore") for pair, codec in pairs))
