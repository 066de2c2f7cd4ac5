"""Letters: what the standard library reads in them is what it would have written, and nothing can be injected."""

from __future__ import annotations

import random
import re
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.header import decode_header, make_header
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import parseaddr
from html import escape
from typing import Any

import pytest

from channels.mailing import keys
from channels.mailing.composer import Composer
from channels.mailing.dkim import Signer
from channels.mailing.payload import build
from channels.smtp.address import Mailbox, mailbox
from publisher.announcement import Language
from publisher.channel import Letter, Rejected, Unsupported, Variant
from publisher.render.links import READER, TOKENS, UNSUBSCRIBE
from tests.mailing_letters import (
    CALENDAR,
    HTML,
    MOMENT,
    SUBJECT,
    TEXT,
    body,
    composed,
    content,
    letter,
    letterhead,
    parsed,
    variant,
    words,
)


def field(message: bytes, name: str) -> str:
    """The raw value of the only header field ``name``, as it is folded."""
    head = message.partition(b"\r\n\r\n")[0].decode()
    fields = re.split(r"\r\n(?![ \t])", head)
    (value,) = (value for found, _, value in (each.partition(": ") for each in fields) if found == name)
    return value


def recipient(message: bytes) -> tuple[str, str]:
    # The reader of email.policy.default puts a space between two encoded words of a name; RFC 2047 does not.
    name, address = parseaddr(field(message, "To").replace("\r\n", ""))
    return str(make_header(decode_header(name))), address


def assert_clean(message: bytes) -> None:
    """CRLF alone ends lines, none is too long or begins with a dot, and all is ASCII."""
    assert message.isascii()
    assert message.endswith(b"\r\n")
    rows = message.removesuffix(b"\r\n").split(b"\r\n")
    assert not any(b"\r" in row or b"\n" in row or b"\0" in row for row in rows)
    assert max(map(len, rows)) <= 998
    assert not any(row.startswith(b".") for row in rows)


def by_the_library(one: Letter, subject: str, text: str, html: str, calendar: str) -> EmailMessage:
    """The same letter as the standard library builds it, not serialised: that would lose spaces in subjects."""
    message = EmailMessage()
    message["From"] = Address("示例协会", addr_spec="news@example.org")
    message["To"] = Address(one.name, addr_spec=one.address)
    message["Subject"] = subject
    link, address = one.unsubscribe, one.address
    message.set_content(
        text.replace(UNSUBSCRIBE, link).replace(READER, address).replace("\r\n", "\n").replace("\r", "\n"),
        cte="base64",
    )
    html = html.replace(UNSUBSCRIBE, escape(link)).replace(READER, escape(address))
    message.add_alternative(html.replace("\r\n", "\n").replace("\r", "\n"), subtype="html", cte="base64")
    if calendar:
        message.add_attachment(
            calendar.encode(), "text", "calendar", filename="event.ics", params={"charset": "utf-8"}
        )
    return message


def leaves(message: EmailMessage) -> list[tuple[str, str | None, bytes]]:
    """The type, file name and content of every part; ``email`` ends lines by LF as long as it has not serialised."""
    return [
        (part.get_content_type(), part.get_filename(), content(part).replace(b"\r\n", b"\n"))
        for part in message.walk()
        if not part.is_multipart()
    ]


def structure(message: EmailMessage) -> list[str]:
    return [part.get_content_type() for part in message.walk()]


def test_letter__as_the_library_would_write_it() -> None:
    """Four hundred random letters: subject, addresses, texts and attachments, each to the byte."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    source = random.Random(seed)
    for number in range(400):
        # The library decodes what looks like an encoded word even where it is set.
        subject, name = (" ".join(words(source).replace("=?", "").split()) for _ in range(2))
        text, html = body(source), body(source)
        calendar = CALENDAR if source.random() < 0.5 else ""
        local = source.choice(("reader", "o'brien", "a&b", "x.y+z"))
        one = letter(number, name=name, address=f"{local}.{number}@example.com")
        message = composed(one, variant(subject=subject or "x", text=text, html=html, calendar=calendar))
        assert_clean(message)
        found, wanted = parsed(message), by_the_library(one, subject or "x", text, html, calendar)
        assert found["Subject"] == wanted["Subject"]
        assert str(found["From"]) == str(wanted["From"])
        to = wanted["To"].addresses[0]
        assert recipient(message) == (to.display_name, to.addr_spec)
        assert structure(found) == structure(wanted)
        assert leaves(found) == leaves(wanted)


def test_letter__lines_end_as_mail_asks() -> None:
    """Whatever ended them before, lines of text and HTML end in CRLF, the last one too; nothing else is touched."""
    message = parsed(composed(what=variant(text="a\nb\rc\r\n\r\n", html="<p>\u2028x")))
    assert [content(part) for part in message.iter_parts()] == [
        b"a\r\nb\r\nc\r\n\r\n",
        "<p>\u2028x\r\n".encode(),
    ]


def test_letter__headers() -> None:
    """The headers say who, to whom, what, in which languages, from which list, and how to leave it."""
    message = parsed(composed())
    token = letter().token
    assert {name: str(value) for name, value in message.items() if name != "Content-Type"} == {
        "From": "示例协会 <news@example.org>",
        "Reply-To": "office@example.org",
        "To": "周以宁 <reader.7@example.com>",
        "Date": "Sun, 20 Sep 2026 01:00:00 +0000",
        "Subject": SUBJECT,
        "Message-ID": "<2026-0042.r1.newsletter.0000000000000007@example.org>",
        "List-Id": "示例协会 | Example Association <announce.example.org>",
        "List-Unsubscribe": f"<https://news.example.org/u/{token}>, "
        f"<mailto:bounces+u-{token}@news.example.org?subject=unsubscribe>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        "List-Post": "NO",
        "List-Help": "<https://example.org/help>",
        "List-Archive": "<https://example.org/news/>",
        "Content-Language": "zh-Hans, en",
        "Auto-Submitted": "auto-generated",
        "X-Announcement-Key": "2026-0042/r1",
        "MIME-Version": "1.0",
    }


def test_letter__from_an_office_that_has_set_little() -> None:
    """Without an address for bounces the sender gets them, and a subscription ends by web alone."""
    composer = build(variant(), letterhead(bounces="", reply_to="", list_id="", help="", archive="")).composer
    message = parsed(composer.compose(letter(), MOMENT))
    assert composer.return_path(letter()) == "news@example.org"
    assert message["List-Unsubscribe"] == f"<{letter().unsubscribe}>"
    assert not {"Reply-To", "List-Id", "List-Help", "List-Archive"} & set(message.keys())


def test_letter__return_path() -> None:
    """A report about a letter comes back to an address that names it, at most 64 characters before the @."""
    one = letter(bounce="0123456789abcdef-ffffffff-0123456789abcdef0123")
    path = build(variant(), letterhead(bounces="bounces-of-news@example.org")).composer.return_path(one)
    assert path == f"bounces-of-news+b-{one.bounce}@example.org"
    assert len(path.partition("@")[0]) == 64


def test_letter__message_id_for_ever() -> None:
    """The Message-ID is the same for one subscriber and announcement, in any language at any time, and no other's."""
    composer = build(variant(), letterhead()).composer
    later = MOMENT + timedelta(days=3)
    mine = {
        field(composer.compose(letter(name=name, scope=scope), moment), "Message-ID")
        for name, scope, moment in (("周以宁", "both", MOMENT), ("Zhou", "zh", later), ("", "en", later))
    }
    other = field(composer.compose(letter(8), MOMENT), "Message-ID")
    revised = field(composed(what=replace(variant(), revision=2)), "Message-ID")
    elsewhere = field(composed(what=replace(variant(), channel="letters_en")), "Message-ID")
    assert len(mine) == 1
    assert len(mine | {other, revised, elsewhere}) == 4


def test_letter__date_of_any_zone() -> None:
    """The date is the moment it was composed, in UTC."""
    moment = datetime.fromisoformat("2026-09-20T09:00:00.75+08:00")
    message = build(variant(), letterhead()).composer.compose(letter(), moment)
    assert field(message, "Date") == "Sun, 20 Sep 2026 01:00:00 +0000"


# --- languages ---------------------------------------------------------------------------------------

_OWN = {
    f"{part}_{code}": f"{part} in {code}\n"
    for part in ("subject", "html", "text", "calendar")
    for code in Language
}


@pytest.mark.parametrize(
    ("scope", "suffix", "tags"),
    [("zh", " in zh", "zh-Hans"), ("en", " in en", "en"), ("both", "", "zh-Hans, en")],
)
def test_letter__in_the_language_of_the_reader(scope: str, suffix: str, tags: str) -> None:
    """A letter has the parts of its reader's language, and the languages it is in on it."""
    shared = {part: f"{part}\n" for part in ("subject", "html", "text", "calendar")}
    message = parsed(composed(letter(scope=scope), variant(**shared, **_OWN)))
    assert (message["Subject"], message["Content-Language"]) == (f"subject{suffix}", tags)
    assert [data for _, _, data in leaves(message)] == [
        f"{part}{suffix}\n".encode() for part in ("text", "html", "calendar")
    ]


@pytest.mark.parametrize("scope", ["zh", "en", "both"])
def test_letter__where_all_read_the_same(scope: str) -> None:
    """Where there is one text for all, everybody gets it."""
    message = parsed(composed(letter(scope=scope)))
    assert (message["Subject"], message["Content-Language"]) == (SUBJECT, "zh-Hans, en")


@pytest.mark.parametrize(("line", "method"), [("", None), ("METHOD:PUBLISH\r\n", "PUBLISH")])
def test_letter__calendar(line: str, method: str | None) -> None:
    """The event is a file to open; its method is said where the file has one (RFC 6047, 2.4), and else not."""
    calendar = CALENDAR.replace("SUMMARY", f"{line}SUMMARY")
    (part,) = parsed(composed(what=variant(calendar=calendar))).iter_attachments()
    assert content(part) == calendar.encode()
    assert (part.get_content_type(), part.get_content_charset()) == ("text/calendar", "utf-8")
    assert (part.get_content_disposition(), part.get_filename()) == ("attachment", "event.ics")
    assert part["Content-Type"].params.get("method") == method


# --- headers no server changes -----------------------------------------------------------------------


def test_letter__long_unsubscribe_address() -> None:
    """An address of 170 characters stands in List-Unsubscribe in one piece, and is no encoded word."""
    link = "https://news.example.org/u/" + "x" * 143
    assert len(link) == 170
    message = composed(letter(unsubscribe=link))
    first, second = field(message, "List-Unsubscribe").split(",\r\n ")
    assert first == f"<{link}>"
    assert re.fullmatch(r"<mailto:bounces\+u-[a-z0-9-]+@news\.example\.org\?subject=unsubscribe>", second)


def test_letter__subjects() -> None:
    """Three thousand random bilingual subjects: no encoded word over 75 letters, no line over 76, no letter lost."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    source = random.Random(seed)
    for _ in range(3000):
        subject = re.sub(" +", " ", words(source, 25)).strip(" ") or "x"
        found = field(composed(what=variant(subject=subject, text="", html="")), "Subject")
        assert max(map(len, f"Subject: {found}".split("\r\n"))) <= 76
        assert all(len(word) <= 75 for word in found.split() if word.startswith("=?"))
        assert str(make_header(decode_header(found.replace("\r\n", "")))) == subject


_ENDS = ["\r\n", "\n", "\r", "\0", "\x0b", "\x85", "\u2028", "\u2029", "\u202e", "\u2066", "\ud800"]


@pytest.mark.parametrize("end", _ENDS, ids=ascii)
def test_letter__nothing_injected_through_a_name(end: str) -> None:
    """A name that holds a line's end, or turns the line round, is a name without it."""
    message = composed(letter(name=f"Zhou{end}Bcc: all@example.org{end}{end}<p>{end}周"))
    assert_clean(message)
    assert "Bcc" not in parsed(message)
    name, address = recipient(message)
    assert address == "reader.7@example.com"
    assert "周" in name
    assert not any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in name)
    assert not set(name) & set("\u202e\u2066")


@pytest.mark.parametrize(
    "name", ["", " ", "\r\n", "\u202e", '"; <x@evil.example>, "', "a@b.example", "周" * 200, "x" * 300]
)
def test_letter__odd_names(name: str) -> None:
    """A name of nothing is none; one that looks like an address, or is very long, is still a name."""
    message = composed(letter(name=name))
    assert_clean(message)
    expected = " ".join(name.replace("\u202e", "").split())
    assert recipient(message) == (expected, "reader.7@example.com")
    assert [str(to.addr_spec) for to in parsed(message)["To"].addresses] == ["reader.7@example.com"]


_WRONG: list[dict[str, Any]] = [
    *(
        {"address": f"reader{end}@example.com"}
        for end in (*_ENDS, " ", ",", ">", "<", '"', "(", ":", ";", "\\", "\u200b")
    ),
    *({"address": f"reader@example.com{end}Bcc:x"} for end in ("\r\n", "\n", ">", ",", " ", "\0")),
    *(
        {"address": text}
        for text in ("", "reader", "@example.com", "a@b@example.com", ".a@b.example", "a..b@c.example")
    ),
    {"address": "a" * 65 + "@example.com"},
    {"address": "reader@例子.cn"},
    *(
        {"unsubscribe": f"https://x.example/{end}"}
        for end in (*_ENDS, " ", ",", ">", "<", '"', "é", "x" * 1000)
    ),
    {"unsubscribe": ""},
    {"unsubscribe": "javascript:alert(1)"},
    *(
        {name: f"abc{end}"}
        for name in ("ref", "token", "bounce")
        for end in ("\r\n", "\n", "@", ">", " ", "A", "é")
    ),
    *({name: ""} for name in ("ref", "token", "bounce")),
    {"scope": "fr"},
]


@pytest.mark.parametrize("values", _WRONG, ids=ascii)
def test_letter__refused(values: dict[str, Any]) -> None:
    """A letter with something no header can hold is refused by itself, and what it is stays unsaid."""
    with pytest.raises(Rejected, match="Letter 7 ") as refusal:
        composed(letter(**values))
    assert not any(value in str(refusal.value) for value in values.values() if len(value) > 3)


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r", "\u2028"], ids=ascii)
def test_letter__nothing_injected_through_a_subject(end: str) -> None:
    """A line's end in a subject is a space."""
    message = parsed(composed(what=variant(subject=f"Visit{end}Bcc: all@example.org{end}{end}x")))
    assert message["Subject"] == "Visit Bcc: all@example.org x"
    assert "Bcc" not in message


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ({"subject": ""}, "title"),
        ({"subject": "Visit\0"}, "title"),
        ({"subject": "Visit \u202e"}, "title"),
        ({"subject": f"Visit {READER}"}, "PUBLISHER_CANONICAL"),
        ({"subject_zh": ""}, "title"),
        ({"text": f"Read {TOKENS['both']}"}, "PUBLISHER_CANONICAL"),
        ({"html_en": f"Read {TOKENS['en']}"}, "PUBLISHER_CANONICAL"),
        ({"calendar": f"URL:{TOKENS['both']}"}, "PUBLISHER_CANONICAL"),
    ],
    ids=ascii,
)
def test_letter__refused_before_approval(parts: dict[str, str], why: str) -> None:
    """What no letter can carry goes back to the officer."""
    with pytest.raises(Unsupported, match=why):
        build(variant(**parts), letterhead())


@pytest.mark.parametrize(
    "values",
    [
        {"sender": Mailbox("x\r\nBcc: y", "news@example.org")},
        {"sender": Mailbox("x", "news@example.org>\r\nBcc: y")},
        {"reply_to": "office@example.org\r\nBcc: y"},
        {"reply_to": "office@EXAMPLE.org"},
        {"bounces": "bounces-of-the-newsletter@example.org"},
        {"list_id": "announce"},
        {"list_id": "announce.example.org>\r\nBcc: y"},
        {"list_name": "x\r\nBcc: y"},
        {"help": "https://example.org/a,b"},
        {"archive": "https://example.org/\r\nBcc: y"},
    ],
    ids=ascii,
)
def test_letterhead__refused(values: dict[str, Any]) -> None:
    """Nothing that could end a header field is on a letterhead."""
    with pytest.raises(ValueError, match=r"\w"):
        letterhead(**values)


def test_letter__to_an_address_that_is_not_ascii() -> None:
    """Such an address is in the letter as it is (RFC 6532), and the server has to be asked for it."""
    one = letter(address="周以宁@example.cn")
    message = composed(one)
    assert Composer.needs_smtputf8(one)
    assert not Composer.needs_smtputf8(letter())
    assert field(message, "To").endswith("\r\n <周以宁@example.cn>")
    assert message.replace("周以宁@".encode(), b"").isascii()
    (text, html) = parsed(message).iter_parts()
    assert "周以宁@example.cn" in text.get_content()
    assert "周以宁@example.cn" in html.get_content()


# --- used by many ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def signers() -> tuple[Signer, ...]:
    """One of each algorithm; both give the same signature every time."""
    pems = [keys.generate(algorithm)[0] for algorithm in keys.Algorithm]
    return tuple(
        Signer("example.org", f"s{at}", keys.load(pem.encode(), "key")) for at, pem in enumerate(pems)
    )


def test_composer__from_several_threads(signers: tuple[Signer, ...]) -> None:
    """Letters composed by four threads at once are those that one composes in turn."""
    payload = build(variant(), letterhead(signers=signers))
    letters = [letter(number, scope=("zh", "en", "both")[number % 3]) for number in range(120)]
    moments = [datetime(2026, 9, 20, tzinfo=UTC) + timedelta(seconds=number % 40) for number in range(120)]
    in_turn = list(map(payload.composer.compose, letters, moments))
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(payload.composer.compose, letters, moments)) == in_turn


def test_payload__is_pure(signers: tuple[Signer, ...]) -> None:
    """The same variant gives an equal payload, another one another; no key and no text is in what it prints."""
    head = letterhead(signers=signers)
    one: Variant = variant(text=TEXT, html=HTML)
    assert build(one, head) == build(replace(one), head)
    assert build(one, head) != build(variant(text=TEXT + "."), head)
    assert "PrivateKey" not in repr(build(one, head))
    assert mailbox("示例协会 <news@example.org>").name in repr(head)
