"""The message: headers that every server takes, nothing injected, the same bytes every time."""

from __future__ import annotations

import email
import email.policy
import re
from dataclasses import replace
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import parseaddr

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from channels.smtp import SmtpAdapter, SmtpSettings
from channels.smtp.address import mailbox
from channels.smtp.headers import from_header, subject_header
from channels.smtp.message import stamped
from publisher.announcement import Bilingual, Revision
from publisher.channel import Part, Unsupported, Variant
from publisher.render.variant import Edition, prove, render_all


def adapter(**values: object) -> SmtpAdapter:
    known = {
        "host": "127.0.0.1",
        "security": "none",
        "sender": "示例协会 <news@example.org>",
        "to": "list@example.org",
    }
    return SmtpAdapter("newsletter", SmtpSettings.model_validate({**known, **values}))


def parsed(message: bytes) -> EmailMessage:
    found = email.message_from_bytes(message, policy=email.policy.default)
    assert isinstance(found, EmailMessage)
    return found


@pytest.fixture
def variant(visit: Revision, edition: Edition) -> Variant:
    """The visit as a newsletter in both languages."""
    return render_all(visit, edition, adapter())[0]


def with_subject(variant: Variant, subject: str) -> Variant:
    part = replace(variant.parts["subject"], data=subject.encode())
    return replace(variant, parts={**variant.parts, "subject": part})


def test_message__headers(variant: Variant) -> None:
    """The headers say who, to whom, what and in which languages, and that a program sent it."""
    one = adapter(reply_to="office@example.org")
    message = parsed(
        stamped(one.prepare(variant), "2026-0042-newsletter", datetime(2026, 9, 20, 1, 0, tzinfo=UTC))
    )
    assert {name: str(value) for name, value in message.items() if name != "Content-Type"} == {
        "Date": "Sun, 20 Sep 2026 01:00:00 +0000",
        "Message-ID": "<2026-0042-newsletter@example.org>",
        "From": "示例协会 <news@example.org>",
        "Reply-To": "office@example.org",
        "To": "list@example.org",
        "Subject": "云岭大学代表团访问本会 | Yunling University Delegation Visits the Association",
        "MIME-Version": "1.0",
        "Content-Language": "zh-Hans, en",
        "Auto-Submitted": "auto-generated",
        "X-Announcement-Key": "2026-0042/r1",
    }


def test_message__parts(variant: Variant) -> None:
    """Plain text comes before HTML, both are UTF-8 in base64, and both arrive as they were rendered."""
    message = parsed(adapter().prepare(variant).message)
    assert message.get_content_type() == "multipart/alternative"
    text, html = message.iter_parts()
    assert [part.get_content_type() for part in (text, html)] == ["text/plain", "text/html"]
    assert {part["Content-Transfer-Encoding"] for part in (text, html)} == {"base64"}
    assert {part.get_content_charset() for part in (text, html)} == {"utf-8"}
    for part, name in ((text, "text"), (html, "html")):
        assert part.get_content() == variant.text(name).rstrip("\n").replace("\n", "\r\n") + "\r\n"


def test_message__is_clean(variant: Variant) -> None:
    """Every byte is ASCII, every line ends in CRLF and none is longer than 78 characters."""
    message = adapter().prepare(variant).message
    assert message.isascii()
    assert b"\n" not in message.replace(b"\r\n", b"") and b"\r" not in message.replace(b"\r\n", b"")
    assert max(len(line) for line in message.split(b"\r\n")) <= 78
    assert not parsed(message).defects


def test_message__same_variant_same_bytes(variant: Variant) -> None:
    """The same variant gives the same bytes, another text another boundary."""
    assert adapter().prepare(variant) == adapter().prepare(replace(variant))
    other = replace(variant, parts={**variant.parts, "text": replace(variant.parts["text"], data=b"other\n")})
    boundaries = {parsed(adapter().prepare(v).message).get_boundary() for v in (variant, other)}
    assert len(boundaries) == 2


def test_message__several_recipients_do_not_see_one_another(variant: Variant) -> None:
    """With more than one recipient no address but the sender's is in the message."""
    payload = adapter(to="a@example.org b@example.org").prepare(variant)
    assert payload.recipients == ("a@example.org", "b@example.org")
    assert b"To: undisclosed-recipients:;\r\n" in payload.message
    assert b"a@example.org" not in payload.message


def test_message__dry_run_before_approval(variant: Variant) -> None:
    """The core can ask before approval, with a link of its own."""
    prove(variant, adapter())


# --- the subject -----------------------------------------------------------------------------------

_TURNS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_LETTERS = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp"), exclude_characters=_TURNS), max_size=12
)
_WORDS = st.sampled_from(
    [
        "云岭大学代表团",
        "访问本会",
        "签署合作备忘录。",
        "（2026年）",
        "“双院制”",
        "Yunling",
        "University",
        "R&D",
        "=?utf-8?q?x?=",
        "a" * 90,
        "👩‍👩‍👧‍👦",
        "é",
        " ",
        "  ",
    ]
)
SUBJECTS = st.lists(_WORDS | _LETTERS, min_size=1, max_size=30).map(" ".join)


@given(SUBJECTS)
@example("=?utf-8?b?eA==?=")
@example("e" + "\u0301" * 200)
@example("Plain and short")
@example("会" * 300)
def test_subject__round_trip(subject: str) -> None:
    """Any title comes back letter by letter; lines hold 76 characters, encoded words 75 (RFC 2047, section 2)."""
    expected = re.sub(r" +", " ", subject).strip(" ")
    if not expected:
        return
    header = subject_header(subject)
    assert header.isascii()
    assert all(len(line) <= 76 for line in header.split("\r\n"))
    assert all(line.startswith(" ") for line in header.split("\r\n")[1:])
    assert all(len(word) <= 75 for word in re.findall(r"=\?utf-8\?b\?[^?]*\?=", header))
    value = header.removeprefix("Subject: ")
    # Two readers: the old one, and the one that follows RFC 2047 closely.
    assert str(make_header(decode_header(value))) == expected
    for word in re.findall(r"=\?utf-8\?b\?[^?]*\?=", value):
        assert str(make_header(decode_header(word))).encode()  # no word ends inside a character


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r", "\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1e"])
def test_subject__no_injection(variant: Variant, end: str) -> None:
    """A line break in a title becomes a space; it never starts a header or a body."""
    payload = adapter().prepare(with_subject(variant, f"Visit{end}Bcc: all@example.org{end}{end}Hello"))
    message = parsed(payload.message)
    assert message["Subject"] == "Visit Bcc: all@example.org Hello"
    assert "Bcc" not in message
    assert message.get_content_type() == "multipart/alternative"


@pytest.mark.parametrize(
    "subject", ["", " \n ", "Visit\0", "Vis\x07it", "\x1b[31mVisit", "Visit\x7f", "\u202eVisit"]
)
def test_subject__refused_before_approval(variant: Variant, subject: str) -> None:
    """No title, or one with a control character, goes back to the officer."""
    with pytest.raises(Unsupported, match="title"):
        adapter().prepare(with_subject(variant, subject))


@pytest.mark.parametrize(
    "sender",
    [
        "news@example.org",
        "Office <news@example.org>",
        'The "Office", Ltd. <news@example.org>',
        "示例国际交流协会" * 8 + " <news@example.org>",
        "A\\B <news@example.org>",
        "=?utf-8?q?x?= <news@example.org>",
    ],
)
def test_from__round_trip(sender: str) -> None:
    """The sender's name is read as it was set, whatever is in it."""
    header = from_header(mailbox(sender))
    assert all(len(line) <= 76 for line in header.split("\r\n"))
    # The reader of email.policy.default puts a space between two encoded words of a name; RFC 2047 does not.
    name, address = parseaddr(header.removeprefix("From: ").replace("\r\n", ""))
    assert (str(make_header(decode_header(name))), address) == (mailbox(sender).name, "news@example.org")


def test_message__title_in_one_language_only(visit: Revision, edition: Edition) -> None:
    """A title that one language lacks leaves no separator behind."""
    one = render_all(replace(visit, title=Bilingual(zh="访问")), edition, adapter())[0]
    assert parsed(adapter().prepare(one).message)["Subject"] == "访问"


def test_message__separate_languages(visit: Revision, edition: Edition) -> None:
    """In the layout separate each language is a message of its own, and says which."""
    one = adapter(layout="separate")
    found = [parsed(one.prepare(variant).message) for variant in render_all(visit, edition, one)]
    assert [m["Content-Language"] for m in found] == ["zh-Hans", "en"]
    assert [m["Subject"] for m in found] == [visit.title.zh, visit.title.en]


def test_payload__repr_is_short(variant: Variant) -> None:
    """A payload in a log is its envelope, not the whole message."""
    assert len(repr(adapter().prepare(variant))) < 200
    assert isinstance(variant.parts["html"], Part)
