"""Signatures: verified by code that is not ours, and broken by every change that matters."""

from __future__ import annotations

import importlib.util
import random
import re
from dataclasses import replace
from typing import Any

import dkim
import pytest

from channels.mailing import keys
from channels.mailing.dkim import OVERSIGNED, Signer
from channels.mailing.keys import Algorithm
from publisher.channel import Letter
from tests.mailing_letters import CALENDAR, composed, letter, letterhead, variant, words

_ED25519 = pytest.mark.skipif(
    importlib.util.find_spec("nacl") is None, reason="dkimpy verifies Ed25519 by PyNaCl: dkimpy[ed25519]"
)
_COMBINATIONS = [
    pytest.param((Algorithm.RSA,), id="rsa"),
    pytest.param((Algorithm.ED25519,), id="ed25519", marks=_ED25519),
    pytest.param((Algorithm.RSA, Algorithm.ED25519), id="both", marks=_ED25519),
]
_KEYS = {algorithm: keys.generate(algorithm) for algorithm in Algorithm}
_RECORDS = {
    f"{algorithm}._domainkey.example.org.".encode(): _KEYS[algorithm][1].encode() for algorithm in Algorithm
}


def signers(algorithms: tuple[Algorithm, ...]) -> tuple[Signer, ...]:
    return tuple(
        Signer("example.org", str(algorithm), keys.load(_KEYS[algorithm][0].encode(), "key"))
        for algorithm in algorithms
    )


def verified(message: bytes) -> list[bool]:
    """Whether each signature of ``message`` is good, the topmost first."""

    def ask(name: bytes, timeout: int = 5) -> bytes:
        return _RECORDS[name]

    def judge(at: int) -> bool:
        try:
            return bool(dkim.DKIM(message).verify(idx=at, dnsfunc=ask))
        except dkim.DKIMException:
            return False

    return [judge(at) for at in range(len(re.findall(rb"(?m)^DKIM-Signature:", message)))]


def signed(
    algorithms: tuple[Algorithm, ...] = (Algorithm.RSA,), one: Letter | None = None, **parts: str
) -> bytes:
    return composed(one, variant(**parts), letterhead(signers=signers(algorithms)))


_CASES: list[tuple[str, dict[str, Any], dict[str, str]]] = [
    ("usual", {}, {}),
    ("calendar", {}, {"calendar": CALENDAR}),
    ("one language", {"scope": "zh"}, {"subject_zh": "讲座", "html_zh": "<p>讲座", "text_zh": "讲座"}),
    ("no places", {}, {"html": "<p>x</p>", "text": "x"}),
    ("nothing in it", {"name": ""}, {"html": "", "text": ""}),
    ("address not ASCII", {"address": "周以宁@example.cn"}, {}),
    ("long name", {"name": "周以宁 " * 60}, {"subject": "讲座 Lecture " * 40}),
    ("quoted name", {"name": 'The "Office", \\ Ltd.'}, {"subject": "Visit =?utf-8?q?x?="}),
]


@pytest.mark.parametrize("algorithms", _COMBINATIONS)
@pytest.mark.parametrize(("values", "parts"), [case[1:] for case in _CASES], ids=[case[0] for case in _CASES])
def test_dkim__verified(
    algorithms: tuple[Algorithm, ...], values: dict[str, Any], parts: dict[str, str]
) -> None:
    """dkimpy finds every signature good, whatever the letter."""
    assert verified(signed(algorithms, letter(**values), **parts)) == [True] * len(algorithms)


@pytest.mark.parametrize("algorithms", _COMBINATIONS)
def test_dkim__many_letters(algorithms: tuple[Algorithm, ...]) -> None:
    """The letters of one mailing all verify."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    source = random.Random(seed)
    head = letterhead(signers=signers(algorithms))
    for number in range(25):
        one = letter(
            number, name=words(source), unsubscribe="https://news.example.org/" + "u" * source.randrange(200)
        )
        message = composed(
            one, variant(text=words(source, 60), html=words(source, 60), subject=f"x{words(source)}"), head
        )
        assert verified(message) == [True] * len(algorithms)


_CHANGES: list[tuple[str, bytes, bytes]] = [
    ("a letter of the text", b"\r\n\r\n5pys", b"\r\n\r\n5pyt"),
    ("a letter of the HTML", b"PHAgbGFuZz", b"PHAgbGFuZy"),
    ("the sender", b"<news@example.org>", b"<next@example.org>"),
    ("the reader", b"<reader.7@", b"<reader.8@"),
    ("the subject", b"Subject: =?utf-8?b?5", b"Subject: =?utf-8?b?6"),
    ("the date", b" 01:00:00 ", b" 01:00:01 "),
    ("where to unsubscribe", b"<https://news.example.org/u/", b"<https://evil.example.org/u/"),
    ("that a click is enough", b"=One-Click", b"=Two-Click"),
    ("the list", b"<announce.example.org>", b"<announce.example.com>"),
    ("the id", b"Message-ID: <2026", b"Message-ID: <2027"),
    ("the boundary", b"=_", b"=-"),
    ("something added", b"--\r\n", b"--\r\n\r\nmore\r\n"),
    ("a header removed", b"Reply-To: office@example.org\r\n", b""),
]


@pytest.mark.parametrize(
    ("old", "new"), [change[1:] for change in _CHANGES], ids=[change[0] for change in _CHANGES]
)
@pytest.mark.parametrize("algorithms", _COMBINATIONS)
def test_dkim__broken_by_a_change(algorithms: tuple[Algorithm, ...], old: bytes, new: bytes) -> None:
    """One changed letter, anywhere that matters, breaks every signature."""
    message = signed(algorithms)
    assert old in message
    assert not any(verified(message.replace(old, new)))


@pytest.mark.parametrize("name", OVERSIGNED)
@pytest.mark.parametrize("place", ["above", "below"])
def test_dkim__broken_by_a_second_header(name: str, place: str) -> None:
    """A field that is added beside ours, above or below, or where we have none, breaks the signature."""
    message = signed()
    more = f"{name.title()}: <x@evil.example>\r\n".encode()
    head, _, rest = message.partition(b"\r\n\r\n")
    added = more + message if place == "above" else head + b"\r\n" + more + b"\r\n" + rest
    assert verified(message) == [True]
    assert verified(added) == [False]


def test_dkim__survives_the_way() -> None:
    """What servers may do on the way breaks nothing: trace fields above, and headers folded in another way."""
    message = signed()
    travelled = b"Received: from a by b; Sun, 20 Sep 2026\r\nX-Spam: no\r\n" + message
    assert verified(travelled) == [True]
    assert verified(message.replace(b"\r\n <", b" \t <").replace(b"Reply-To: ", b"reply-to:\r\n  ")) == [True]


def test_dkim__what_it_says() -> None:
    """The signature covers both list headers (RFC 8058), the whole body, and names its time; lines are short."""
    head = signed().partition(b"\r\nFrom:")[0].decode()
    tags = dict(
        tag.strip().split("=", 1) for tag in re.sub(r"\r\n\s+", "", head.partition(":")[2]).split(";")
    )
    assert {name: tags[name] for name in ("v", "a", "c", "d", "s", "t")} == {
        "v": "1",
        "a": "rsa-sha256",
        "c": "relaxed/relaxed",
        "d": "example.org",
        "s": "rsa",
        "t": "1789866000",
    }
    assert set(tags) == {"v", "a", "c", "d", "s", "t", "bh", "h", "b"}
    names = tags["h"].split(":")
    assert all(names.count(name) == 2 - (name == "cc") for name in OVERSIGNED)
    assert max(map(len, head.split("\r\n"))) <= 78


@pytest.mark.parametrize(
    "values",
    [
        {"domain": "Example.org"},
        {"domain": "x;y.org"},
        {"selector": ""},
        {"selector": "a\r\nb"},
        {"domain": "例子.cn"},
    ],
    ids=ascii,
)
def test_signer__refuses_names(values: dict[str, str]) -> None:
    """A domain or a selector that could end a tag is none."""
    (one,) = signers((Algorithm.RSA,))
    with pytest.raises(ValueError, match="DKIM"):
        replace(one, **values)


def test_signer__says_no_secret() -> None:
    """What a signer prints is where its public half is."""
    (one,) = signers((Algorithm.ED25519,))
    assert repr(one) == "Signer(domain='example.org', selector='ed25519')"
    assert one.record_name == "ed25519._domainkey.example.org"
