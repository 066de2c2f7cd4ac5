"""A text with places to fill in, as base64 of which only the places are encoded for each letter.

Base64 turns three octets into four letters, so that what follows a place is encoded in one of three ways, according to
the length of what was filled in. All three are kept; around a place up to two octets of its neighbours are encoded
anew with it. Nothing is added: what is decoded is the text. A line of base64 may be short (RFC 2045, 6.8).
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass

from channels.smtp.message import canonical
from publisher.channel import Unsupported
from publisher.render.links import READER, UNSUBSCRIBE, mentions_token

PLACES = (UNSUBSCRIBE, READER)
"""What is filled in, in the order in which :meth:`Segments.filled` takes it."""
_PLACE = re.compile("|".join(re.escape(place) for place in PLACES))
_LINE = 57
"""Octets in a line of 76 letters, the longest there may be."""


@dataclass(frozen=True, slots=True)
class _Run:
    """Text between two places, cut for one length of what stands before it.

    ``head`` is encoded with what comes before, ``tail`` with what comes after; ``lines`` is all between, encoded.
    """

    head: bytes
    lines: bytes
    tail: bytes


@dataclass(frozen=True, slots=True)
class _Gap:
    """Places, by their number, with so little text between them that it is encoded with them; then a run of text.

    ``runs`` has the run once for each number of octets, 0 to 2, that the gap takes from it.
    """

    pieces: tuple[int | bytes, ...]
    runs: tuple[_Run, _Run, _Run]


@dataclass(frozen=True)
class Segments:
    """A text in base64 lines, each ended by CRLF. ``opening`` is what comes before the first place, encoded."""

    opening: bytes
    carried: bytes
    gaps: tuple[_Gap, ...]

    def filled(self, values: Sequence[bytes]) -> list[bytes]:
        """All after the opening, in pieces, with ``values`` in the places, in the order of :data:`PLACES`."""
        found, tail = [], self.carried
        for gap in self.gaps:
            data = tail + b"".join([values[p] if isinstance(p, int) else p for p in gap.pieces])
            run = gap.runs[-len(data) % 3]
            found.append(lines(data + run.head))
            found.append(run.lines)
            tail = run.tail
        return found


def lines(data: bytes) -> bytes:
    """``data`` as lines of base64, each ended by CRLF; nothing for nothing."""
    encode = binascii.b2a_base64
    if len(data) <= _LINE:
        return encode(data, newline=False) + b"\r\n" if data else b""
    return b"".join(
        [encode(data[at : at + _LINE], newline=False) + b"\r\n" for at in range(0, len(data), _LINE)]
    )


def cut(text: str) -> Segments:
    """``text`` cut at its places. Raises :class:`Unsupported` where a link of another kind is still open in it."""
    texts, places = _split(text)
    opening = _run(texts[0], 0, not places)
    gaps, at = [], 0
    while at < len(places):
        pieces: list[int | bytes] = [places[at]]
        at += 1
        while at < len(places) and len(texts[at]) < _LINE:
            pieces += [texts[at], places[at]]
            at += 1
        last = at == len(places)
        first, second, third = (_run(texts[at], taken, last) for taken in range(3))
        gaps.append(_Gap(tuple(pieces), (first, second, third)))
    return Segments(opening.lines, opening.tail, tuple(gaps))


def refuse_open(text: str) -> None:
    """Raises :class:`Unsupported` for a text in which a link is still open."""
    if mentions_token(text):
        raise Unsupported("A link of the newsletter is not filled in; set PUBLISHER_CANONICAL.")


def _split(text: str) -> tuple[list[bytes], list[int]]:
    """The texts before, between and after the places, as they are sent, and the places' numbers."""
    data = canonical(text).decode()
    texts = _PLACE.split(data)
    for piece in texts:
        refuse_open(piece)
    return [piece.encode() for piece in texts], [PLACES.index(place) for place in _PLACE.findall(data)]


def _run(data: bytes, taken: int, last: bool) -> _Run:
    rest = data[taken:]
    end = len(rest) if last else len(rest) // 3 * 3
    return _Run(data[:taken], lines(rest[:end]), rest[end:])
