"""Base64 with places: what is decoded is the text with the places filled in, and nothing else."""

from __future__ import annotations

import base64
import random
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from channels.mailing.segments import PLACES, cut, lines
from channels.smtp.message import canonical
from publisher.channel import Unsupported
from publisher.render.links import READER, TOKENS, UNSUBSCRIBE
from tests.mailing_letters import body

_LETTERS = st.text(st.characters(exclude_categories=("Cs",)), max_size=70)
_TEXTS = st.lists(st.sampled_from(PLACES) | _LETTERS | st.just("会" * 60), max_size=9).map("".join)
_VALUES = st.tuples(st.binary(max_size=140), st.binary(max_size=140))


def encoded(text: str, values: tuple[bytes, bytes]) -> bytes:
    segments = cut(text)
    return segments.opening + b"".join(segments.filled(values))


def expected(text: str, values: tuple[bytes, bytes]) -> bytes:
    # In one pass: a value may look like a place.
    pattern = b"|".join(re.escape(place.encode()) for place in PLACES)
    return re.sub(pattern, lambda found: values[PLACES.index(found[0].decode())], canonical(text))


def check(text: str, values: tuple[bytes, bytes]) -> None:
    found = encoded(text, values)
    assert base64.b64decode(found, validate=False) == expected(text, values)
    assert found.endswith(b"\r\n")
    *first, last = found.removesuffix(b"\r\n").split(b"\r\n")
    # Padding stands at the very end alone, or a strict reader stops there (RFC 2045, 6.8).
    assert all(re.fullmatch(rb"[A-Za-z0-9+/]{4,76}", line) and len(line) % 4 == 0 for line in first)
    assert re.fullmatch(rb"[A-Za-z0-9+/]{0,76}={0,2}", last)
    assert 0 < len(last) <= 76
    assert len(last) % 4 == 0


@given(_TEXTS, _VALUES)
@example("", (b"", b""))
@example(UNSUBSCRIBE, (b"", b""))
@example(UNSUBSCRIBE + READER + UNSUBSCRIBE, (b"x", b"yy"))
@example(f"{READER}\n", (b"", b"y"))
@example("a" * 56 + READER + "b" * 57 + UNSUBSCRIBE + "c" * 56 + READER, (b"", b"y"))
def test_segments__decode_to_the_text(text: str, values: tuple[bytes, bytes]) -> None:
    """Whatever the text, wherever its places are and however long what fills them is."""
    check(text, values)


def test_segments__every_alignment() -> None:
    """Every length of text before, between and behind two places, with every length of value, modulo three and more."""
    for before in range(4):
        for between in (*range(4), 56, 57, 58, 59, 60):
            for long in range(4):
                text = "a" * before + UNSUBSCRIBE + "b" * between + READER + "c" * before
                check(text, (b"u" * long, b"r" * (57 - long)))


def test_segments__thousands_of_newsletters() -> None:
    """Three thousand random bilingual texts with places."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    source = random.Random(seed)
    for _ in range(3000):
        check(body(source), (source.randbytes(source.randrange(180)), source.randbytes(source.randrange(60))))


def test_segments__only_the_places_are_encoded_anew() -> None:
    """Of a long text little more than the places is encoded for a letter: the rest is the same object."""
    segments = cut("会" * 4000 + UNSUBSCRIBE + "会" * 4000)
    gap, run = segments.filled((b"x" * 90, b""))
    assert len(gap) < 140
    assert run is segments.filled((b"y" * 90, b""))[1]


def test_lines__of_nothing() -> None:
    """Nothing is no line, not an empty one."""
    assert lines(b"") == b""


@pytest.mark.parametrize(
    "rest", [TOKENS["both"], "https://LINK.publisher.invalid/x", f"{READER} {TOKENS['zh']}"]
)
def test_segments__open_link_refused(rest: str) -> None:
    """A text in which another link is still open is not sent to anybody."""
    with pytest.raises(Unsupported, match="PUBLISHER_CANONICAL"):
        cut(f"Read {rest} now")
