"""What comes back, read: one message of every kind and of every server we know, each in its own way of putting it."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from publisher.bounces import Kind, read

VECTORS = Path(__file__).parent / "vectors" / "bounces"
BOUNCE = "00112233445566aa-2a-b0b0b0b0b0b0b0b0b0b0"
UNSUBSCRIBE = "00112233445566aa-2a-c1c1c1c1c1c1c1c1c1c1"
MESSAGE_ID = "<2026-0042.r1.news.00112233445566aa@news.example.org>"

# name, kind, status, what of ours was found (b: bounce token, u: unsubscribe token, m: Message-ID), whom it is about
TABLE = [
    ("broken-status", Kind.HARD, "5.1.1", "b", "li@odd.example"),
    ("challenge", Kind.UNKNOWN, "", "b", "guard@gate.example"),
    ("complaint-arf", Kind.COMPLAINT, "", "bum", "li@readers.example"),
    ("complaint-microsoft", Kind.COMPLAINT, "", "bum", None),
    ("complaint-not-spam", Kind.AUTOMATIC, "", "bum", None),
    ("complaint-redacted", Kind.COMPLAINT, "", "um", None),
    ("coremail-words", Kind.SOFT, "", "b", None),
    ("delivered", Kind.DELIVERED, "2.0.0", "b", "li@readers.example"),
    ("empty", Kind.UNKNOWN, "", "", None),
    ("exchange-blocked-edge", Kind.HARD, "5.4.1", "b", "li@readers.example"),
    ("exchange-chinese-words", Kind.HARD, "5.1.1", "b", "li@corp.example"),
    ("exchange-online", Kind.HARD, "5.1.10", "bum", "li@readers.example"),
    ("exim-warning", Kind.DELAYED, "451", "b", "li@city.example"),
    ("exim", Kind.HARD, "550", "bum", "li@city.example"),
    ("forwarded-srs", Kind.HARD, "5.1.1", "b", "li@home.example"),
    ("gmail-hard", Kind.HARD, "5.1.1", "bum", "li@gmail.com"),
    ("gmail-old", Kind.HARD, "5.1.1", "bum", "li@school.example"),
    ("gmail-policy", Kind.POLICY, "5.7.26", "b", "li@gmail.com"),
    ("international-escaped", Kind.HARD, "5.1.1", "b", "李@readers.example"),
    ("international", Kind.HARD, "5.1.1", "bm", "李@读者.example"),
    ("netease-report", Kind.SOFT, "5.0.0", "bum", "li@126.com"),
    ("netease-spam", Kind.POLICY, "554", "b", None),
    ("netease-words", Kind.HARD, "550", "b", "li@163.com"),
    ("no-action", Kind.SOFT, "5.2.2", "b", "li@odd.example"),
    ("no-token", Kind.HARD, "5.1.1", "", "li@home.example"),
    ("not-a-message", Kind.UNKNOWN, "", "", None),
    ("outlook-full", Kind.SOFT, "5.2.2", "b", "li@outlook.com"),
    ("own-newsletter", Kind.OWN, "", "b", None),
    ("person", Kind.UNKNOWN, "", "bm", "li@readers.example"),
    ("postfix-delayed", Kind.DELAYED, "4.4.1", "b", "li@readers.example"),
    ("postfix-expired", Kind.SOFT, "4.2.2", "b", "li@readers.example"),
    ("postfix-hard", Kind.HARD, "5.1.1", "bum", "Li@readers.example"),
    ("postfix-qq-frequency", Kind.POLICY, "5.0.0", "b", "12345@qq.com"),
    ("postfix-qq-nobody", Kind.HARD, "5.0.0", "b", "12345@qq.com"),
    ("qmail-remote", Kind.SOFT, "5.2.2", "bum", "li@dept.example"),
    ("qmail", Kind.HARD, "5.1.1", "bum", "li@school.example"),
    ("qq-frequency-words", Kind.POLICY, "", "b", None),
    ("qq-full-delayed", Kind.DELAYED, "", "b", None),
    ("qq-nobody", Kind.HARD, "", "bum", "12345@qq.com"),
    ("read-receipt", Kind.AUTOMATIC, "", "b", None),
    ("report-auth-failure", Kind.UNKNOWN, "", "", None),
    ("several-failed", Kind.SOFT, "5.2.2", "b", "li@home.example"),
    ("several-one-delivered", Kind.DELIVERED, "2.0.0", "b", "li@forward.example"),
    ("sina", Kind.HARD, "", "bum", "li@sina.com"),
    ("unsubscribe-any-words", Kind.UNSUBSCRIBE, "", "u", None),
    ("unsubscribe-mailto", Kind.UNSUBSCRIBE, "", "u", None),
    ("unsubscribe-no-token", Kind.UNSUBSCRIBE, "", "", "li@readers.example"),
    ("unsubscribe-subject", Kind.UNSUBSCRIBE, "", "b", "li@readers.example"),
    ("vacation-chinese", Kind.AUTOMATIC, "", "b", None),
    ("vacation", Kind.AUTOMATIC, "", "bm", None),
    ("words-nobody-understands", Kind.UNKNOWN, "", "b", "MAILER-DAEMON@quaint.example"),
    ("yahoo", Kind.HARD, "5.0.0", "bum", "li@yahoo.com"),
]


def test_vectors__all_are_in_the_table() -> None:
    """No sample lies there unread."""
    assert {path.stem for path in VECTORS.glob("*.eml")} == {row[0] for row in TABLE}


@pytest.mark.parametrize(("name", "kind", "status", "ours", "address"), TABLE, ids=[row[0] for row in TABLE])
def test_read__vectors(name: str, kind: Kind, status: str, ours: str, address: str | None) -> None:
    """Each is what it is, with the code, our marks and the address that are in it."""
    report = read((VECTORS / f"{name}.eml").read_bytes())
    assert (report.kind, report.status, report.address) == (kind, status, address)
    assert report.token == (BOUNCE if "b" in ours else None)
    assert report.unsubscribe == (UNSUBSCRIBE if "u" in ours else None)
    assert report.message_id == (MESSAGE_ID if "m" in ours else None)


@pytest.mark.parametrize("path", sorted(VECTORS.glob("*.eml")), ids=lambda path: path.stem)
def test_read__line_ends_are_no_matter(path: Path) -> None:
    """With the line ends of the wire it says the same as with those of a file."""
    raw = path.read_bytes()
    assert read(raw.replace(b"\n", b"\r\n")) == read(raw)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("postfix-hard", "550 5.1.1 <…@readers.example>: Recipient address rejected: User unknown in virtual mailbox table"),
        ("qmail", "<…@school.example>: Sorry, no mailbox here by that name. (#5.1.1)"),
        ("exim", "550 No such user here"),
        ("qq-nobody", "退信原因： 该用户不存在"),
        ("person", "Re: Public lecture"),
        ("challenge", "Its server asks that the sender be confirmed: Please confirm your message to …@gate.example"),
        ("complaint-arf", "abuse (ExampleFBL/1.0)"),
        ("empty", ""),
    ],
)  # fmt: skip
def test_read__words(name: str, says: str) -> None:
    """What is kept is one line of the server's own words, without anybody's address."""
    assert read((VECTORS / f"{name}.eml").read_bytes()).said == says


@pytest.mark.parametrize(
    "to",
    [
        f"bounces+b-{BOUNCE}@news.example.org",
        f"Office <BOUNCES+B-{BOUNCE.upper()}@NEWS.EXAMPLE.ORG>",
        f"bounces-b-{BOUNCE}@news.example.org",
        f"bounces=2Bb@x, <prvs=1234abcd=bounces+b-{BOUNCE}@news.example.org>",
        f"SRS1=ab=first.example==cd=ef=news.example.org=bounces+b-{BOUNCE}@second.example",
    ],
)
@pytest.mark.parametrize("header", ["To", "Delivered-To", "X-Original-To", "X-Envelope-To", "Return-Path"])
def test_read__token_in_addresses(header: str, to: str) -> None:
    """The token is found wherever servers say whom a report was for, and as they rewrite addresses."""
    assert read(f"{header}: {to}\nSubject: x\n\n".encode()).token == BOUNCE


@pytest.mark.parametrize(
    "field",
    [
        "bounces+b-00112233445566aa-2a-b0b0@news.example.org",
        "bounces+b-00112233445566aa-2a-b0b0b0b0b0b0b0b0b0b0ff@news.example.org",
        "bounces+c-00112233445566aa-2a-b0b0b0b0b0b0b0b0b0b0@news.example.org",
    ],
)
def test_read__no_token(field: str) -> None:
    """What only resembles a token is none."""
    assert read(f"To: {field}\nSubject: x\n\n".encode()).token is None


@pytest.mark.parametrize(
    "raw",
    [
        b"From: mailer-daemon@x.example\nSubject: Undelivered\n\n" + b"a" * 400_000,
        b"Subject: undelivered\nContent-Type: text/html\n\n" + b"<style><p <!--" * 30_000,
        b"Subject: undelivered\nContent-Transfer-Encoding: base64\n\n" + base64.encodebytes(b"a.@-" * 90_000),
        b"To: " + b"=?utf-8?q?a?= " * 30_000 + b"\nFrom: mailer-daemon@x.example\n\n",
        b"Content-Type: multipart/mixed; boundary=a\n\n"
        + b"--a\nContent-Type: multipart/mixed; boundary=a\n\n" * 9_000,
        b"Subject: undelivered\nContent-Type: text/plain; charset=no-such-set\n\n\xff\xfe" + bytes(range(256)),
        b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\n"
        b"Content-Type: message/delivery-status\nContent-Transfer-Encoding: base64\n\n!!!\n--b--\n",
    ],
    ids=["one long line", "open tags", "no word", "encoded words", "deep", "no charset", "no base64"],
)  # fmt: skip
def test_read__hostile(raw: bytes) -> None:
    """Whatever a stranger sends is read within a moment, and suppresses nobody."""
    assert read(raw).kind is Kind.UNKNOWN
