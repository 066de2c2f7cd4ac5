"""Letters of a newsletter beside ``email.message`` building the same, and signatures beside OpenSSL alone.

Times are of the processor, one thread: how long the machine was busy with other things does not count.
"""

from __future__ import annotations

import email.policy
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from functools import partial
from hashlib import sha256
from html import escape
from statistics import median

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from channels.mailing import keys
from channels.mailing.dkim import OVERSIGNED, Signatures, Signer
from channels.mailing.keys import Algorithm
from channels.mailing.letterhead import Letterhead
from channels.mailing.payload import MailingPayload, build
from channels.smtp.address import mailbox
from publisher.announcement import Language
from publisher.channel import Kind, Letter, MediaType, Part, Variant
from publisher.render.links import READER, UNSUBSCRIBE

_ROUNDS = 15
_MOMENT = datetime(2026, 9, 20, 1, 0, tzinfo=UTC)
_PAIR = (
    "本会将于10月12日举办公开讲座，主讲人谈河流与城市，座位有限。",
    "The Association holds a public lecture.",
)
_SUBJECT = "公开讲座：城市与河流 | Public Lecture: Cities and Rivers"
_TEXT = "\n".join(_PAIR * 24) + f"\n退订 / Unsubscribe\n{UNSUBSCRIBE}\n{READER}\n"
_HTML = (
    "".join(f'<p lang="zh-Hans">{_PAIR[0]}</p>\n<p lang="en">{_PAIR[1]}</p>\n' for _ in range(36))
    + f'<p><a href="{UNSUBSCRIBE}">退订</a> <a href="{UNSUBSCRIBE}">Unsubscribe</a></p>\n<p>{READER}</p>\n'
)


def variant() -> Variant:
    """A newsletter in both languages whose letters have about 15 kB."""
    facts = b'{"language_tags": {"zh": "zh-Hans", "en": "en"}}'
    parts = (
        Part("subject", MediaType.TEXT, _SUBJECT.encode()),
        Part("text", MediaType.TEXT, _TEXT.encode()),
        Part("html", MediaType.HTML, _HTML.encode()),
        Part("facts", MediaType.JSON, facts),
    )
    return Variant(
        "newsletter", Kind.NEWSLETTER, "2026-0042", 1, tuple(Language), {part.name: part for part in parts}
    )


def letter(number: int) -> Letter:
    """The letter to subscriber ``number``, with tokens as long as true ones."""
    ref = f"{number:016x}"
    token = f"{ref}-1f-0123456789abcdef0123"
    link = f"https://news.example.org/u/{token}"
    return Letter(number, f"reader.{number}@example.com", "周以宁", "both", ref, link, token, token)


def letterhead(*signers: Signer) -> Letterhead:
    """An office whose letters have every header field."""
    return Letterhead(
        mailbox("示例协会 <news@example.org>"),
        "office@example.org",
        "bounces@news.example.org",
        "announce.example.org",
        "示例协会 | Example Association",
        signers=signers,
    )


def plain(letter: Letter) -> bytes:
    """The same letter, unsigned, as the standard library builds it from the same texts."""
    link, message = letter.unsubscribe, EmailMessage(email.policy.SMTP)
    message["From"] = Address("示例协会", addr_spec="news@example.org")
    message["Reply-To"] = "office@example.org"
    message["To"] = Address(letter.name, addr_spec=letter.address)
    message["Date"] = format_datetime(_MOMENT)
    message["Subject"] = _SUBJECT
    message["Message-ID"] = f"<2026-0042.r1.newsletter.{letter.ref}@example.org>"
    message["List-Id"] = "示例协会 | Example Association <announce.example.org>"
    message["List-Unsubscribe"] = f"<{link}>, <mailto:bounces+u-{letter.token}@news.example.org>"
    message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message["List-Post"] = "NO"
    message["Content-Language"] = "zh-Hans, en"
    message["Auto-Submitted"] = "auto-generated"
    message["X-Announcement-Key"] = "2026-0042/r1"
    text, page = (
        body.replace(UNSUBSCRIBE, put(link)).replace(READER, put(letter.address))
        for body, put in ((_TEXT, str), (_HTML, escape))
    )
    message.set_content(text, cte="base64")
    message.add_alternative(page, subtype="html", cte="base64")
    return message.as_bytes()


def _seconds(work: Callable[[], object], times: int) -> float:
    begun = time.thread_time()
    for _ in range(times):
        work()
    return (time.thread_time() - begun) / times


def _beside(
    ours: Callable[[], object], times: int, reference: Callable[[], object], its_times: int
) -> tuple[float, float, float]:
    """Seconds of both, in turn so that a busy moment hits both, and how many of ours go into one of the reference."""
    pairs = [(_seconds(ours, times), _seconds(reference, its_times)) for _ in range(_ROUNDS)]
    one, other = (median(column) for column in zip(*pairs, strict=True))
    return one, other, median(pair[1] / pair[0] for pair in pairs)


def _openssl(signer: Signer) -> Callable[[], object]:
    """The bare signature that a letter needs, over as many octets."""
    data = bytes(1300)
    if isinstance(signer.key, RSAPrivateKey):
        return partial(signer.key.sign, data, PKCS1v15(), SHA256())
    assert isinstance(signer.key, Ed25519PrivateKey)
    return partial(signer.key.sign, sha256(data).digest())


def measure() -> Iterator[tuple[str, str, str, float]]:
    """Letters a second, unsigned against ``email.message`` and signed against OpenSSL."""
    one, body = letter(7), variant()
    compose = build(body, letterhead()).composer.compose
    size = len(compose(one, _MOMENT)) / 1000
    found = _beside(lambda: compose(one, _MOMENT), 1000, lambda: plain(one), 10)
    yield f"letters of {size:.0f} kB, unsigned, against email.message", *_told(found)
    for algorithm, times in ((Algorithm.RSA, 60), (Algorithm.ED25519, 1000)):
        pem, _ = keys.generate(algorithm)
        signer = Signer("example.org", "news", keys.load(pem.encode(), "key"))
        yield from _signed(algorithm, build(body, letterhead(signer)), signer, one, times)


def _signed(
    algorithm: Algorithm, payload: MailingPayload, signer: Signer, one: Letter, times: int
) -> Iterator[tuple[str, str, str, float]]:
    """The signatures alone, with the hashes of all that is signed, and whole letters."""
    sign, bare, sheet = Signatures([signer], OVERSIGNED), _openssl(signer), payload.sheets["both"]
    places = (one.unsubscribe.encode(), one.address.encode())
    fields, begun, rest = "x" * 1000, sha256(sheet.opening), sheet.rest(places, places)
    found = _beside(lambda: sign.over(fields, begun, rest, 1789862400), times, bare, times)
    yield f"DKIM by {algorithm}, body and headers hashed, against OpenSSL alone", *_told(found)
    found = _beside(lambda: payload.composer.compose(one, _MOMENT), times, bare, times)
    yield f"letters composed and signed by {algorithm}, against OpenSSL alone", *_told(found)


def _told(found: tuple[float, float, float]) -> tuple[str, str, float]:
    ours, other, ratio = found
    return f"{1 / ours:,.0f}/s", f"{1 / other:,.0f}/s", ratio
