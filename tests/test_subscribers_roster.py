"""Files of subscribers, as offices have them: every encoding, separator and quirk of Excel; and out and in again."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from publisher import roster
from publisher.errors import DocumentError, UsageError
from publisher.roster.reading import Row
from publisher.roster.writing import safe
from publisher.subscriber import Consent, Reading, Subscriber

AGREED = Consent(None, "form at the spring fair", "I want the newsletter.")
CHINESE = (
    "邮箱,姓名,语言,列表\r\nlin@example.org,林若兰,中文,news\r\nchen@example.org,陈思远,双语,news press\r\n"
)


def rows(data: bytes | str, **given: object) -> list[Row]:
    """What a file says, with a consent that holds for all of it."""
    data = data.encode() if isinstance(data, str) else data
    defaults = roster.Defaults(**{"consent": AGREED, **given})  # type: ignore[arg-type]
    return list(roster.read(io.BytesIO(data), "people.csv", defaults))


def people(data: bytes | str, **given: object) -> list[Subscriber]:
    """Its subscribers; none is refused."""
    found = rows(data, **given)
    assert [row.refusal for row in found if row.refusal] == []
    return [row.subscriber for row in found if row.subscriber]


def refusals(data: bytes | str, **given: object) -> list[tuple[int, str]]:
    """The refused lines."""
    return [(row.number, row.refusal) for row in rows(data, **given) if row.refusal]


# --- encodings --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_read__encodings(encoding: str, separator: str) -> None:
    """The same people, however Excel has saved them."""
    found = people(CHINESE.replace(",", separator).encode(encoding))
    assert [(one.normal, one.name, one.reading, one.lists) for one in found] == [
        ("lin@example.org", "林若兰", Reading.ZH, ("news",)),
        ("chen@example.org", "陈思远", Reading.BOTH, ("news", "press")),
    ]


def test_read__utf16_big_endian() -> None:
    """UTF-16 is told by its mark, whichever byte comes first."""
    assert people(b"\xfe\xff" + CHINESE.encode("utf-16-be"))[0].name == "林若兰"


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_read__first_chinese_far_down(encoding: str) -> None:
    """The encoding is told from the whole file: the first Chinese name may be in line 20,000."""
    lines = [
        "email,name",
        *(f"reader{n}@example.org,Reader" for n in range(20_000)),
        "lin@example.org,林若兰",
    ]
    assert people("\n".join(lines).encode(encoding))[-1].name == "林若兰"


def test_read__broken_utf8() -> None:
    """One broken byte costs its own line, and the names of all others stay what they are."""
    lines = [f"reader{n}@example.org,林若兰".encode() for n in range(50)]
    lines[20] = lines[20][:-1]
    found = rows(b"email,name\n" + b"\n".join(lines))
    assert [row.number for row in found if row.refusal] == [22]
    assert {row.subscriber.name for row in found if row.subscriber} == {"林若兰"}


@pytest.mark.parametrize(
    "data",
    [
        "email,name\nlin@example.org,Müller\nchen@example.org,Réné Göçmen\n".encode("cp1252"),
        b"PK\x03\x04\x00\x00\x00\x00email,name\n",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\x00\x00",
        CHINESE.encode("utf-16-le"),
    ],
    ids=["Western", "xlsx", "xls", "UTF-16 without its mark"],
)
def test_read__encoding_that_cannot_be_told(data: bytes) -> None:
    """A file whose names would come out as nonsense is refused as a whole, and it is said how to save it."""
    with pytest.raises(DocumentError, match="save it as CSV UTF-8"):
        rows(data)


# --- titles -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "title", ["email", "E-Mail", " EMAIL ", "Email Address", "邮箱", "电子邮件", "电子邮箱"]
)
def test_titles__of_the_address(title: str) -> None:
    """The column of addresses may be called what offices call it, and stand anywhere."""
    assert people(f"phone,{title},name\n123,lin@example.org,Lin\n")[0].normal == "lin@example.org"


@pytest.mark.parametrize(
    ("word", "reading"),
    [
        ("zh", Reading.ZH),
        ("中文", Reading.ZH),
        ("zh-CN", Reading.ZH),
        ("EN", Reading.EN),
        ("英文", Reading.EN),
        ("english", Reading.EN),
        ("both", Reading.BOTH),
        ("双语", Reading.BOTH),
        ("zh/en", Reading.BOTH),
        ("中英文", Reading.BOTH),
        ("", Reading.EN),
    ],
)
def test_language__words(word: str, reading: Reading) -> None:
    """What somebody reads, in either language; what is not said is what the command says."""
    found = people(f"email,语言\nlin@example.org,{word}\n", reading=Reading.EN)
    assert found[0].reading is reading


def test_titles__first_and_last_name() -> None:
    """Two columns of names make one."""
    assert people("email,first name,last name\nlin@example.org,Ruolan,Lin\n")[0].name == "Ruolan Lin"


@pytest.mark.parametrize(
    ("data", "name", "reading"),
    [
        ("lin@example.org\nchen@example.org\n", "", Reading.BOTH),
        ("lin@example.org,林若兰,中文\nchen@example.org,陈思远,英文\n", "林若兰", Reading.ZH),
        ("1;lin@example.org;zh\n2;chen@example.org;en\n", "", Reading.ZH),
        ("lin＠example.org\nchen@example.org", "", Reading.BOTH),
        ("林若兰 <lin@example.org>\nchen@example.org", "林若兰", Reading.BOTH),
    ],
)
def test_untitled__addresses_first(data: str, name: str, reading: Reading) -> None:
    """Without titles, the first line is a subscriber as well."""
    first, second = people(data)
    assert (first.normal, first.name, first.reading) == ("lin@example.org", name, reading)
    assert second.normal == "chen@example.org"


@pytest.mark.parametrize(
    ("data", "says"),
    [("", "is empty"), ("\r\n \r\n", "is empty"), ("name,phone\nLin,123\n", 'No column is called "email"')],
)
def test_read__no_subscribers(data: str, says: str) -> None:
    """A file without addresses is refused in a sentence that names it."""
    with pytest.raises(DocumentError, match=says) as caught:
        rows(data)
    assert "people.csv" in str(caught.value)


# --- consent ----------------------------------------------------------------------------------------------------


def test_consent__nobody_says_how() -> None:
    """A file without a word of consent brings nobody in, and it is said what to do."""
    with pytest.raises(UsageError, match="--consent-how"):
        rows("email\nlin@example.org\n", consent=Consent())


def test_consent__in_the_file() -> None:
    """The file's own word wins over the command's; a line without one is refused if the command has none either."""
    data = "email,同意时间,同意方式,consent text\nlin@example.org,2026-03-05,展会,yes\nchen@example.org,,,\n"
    first, second = people(data, zone="Asia/Shanghai")
    assert first.consent == Consent(datetime(2026, 3, 4, 16, tzinfo=UTC), "展会", "yes")
    assert second.consent == AGREED
    assert refusals(data, consent=Consent()) == [
        (3, "does not say how she agreed to get the newsletter; fill that in")
    ]


@pytest.mark.parametrize(
    ("written", "hour"),
    [
        ("2026-03-05 09:00", 1),
        ("2026/3/5 9:00", 1),
        ("2026年3月5日 9:00", 1),
        ("2026.3.5 09:00:00", 1),
        ("2026-03-05T09:00:00+01:00", 8),
        ("2026-03-05T09:00:00Z", 9),
    ],
)
def test_consent__dates(written: str, hour: int) -> None:
    """Dates as tables write them, in the office's zone where they name none."""
    found = people(f"email,consent date\nlin@example.org,{written}\n", zone="Asia/Shanghai")
    assert found[0].consent.at == datetime(2026, 3, 5, hour, tzinfo=UTC)


# --- lines that cannot be taken ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (",林若兰,zh,", "has no address"),
        ("nobody,Lin,zh,", "is not a mail address"),
        ("lin@example.org,Lin,法文,", 'has the language "法文"; write zh, en or both'),
        ("lin@example.org,Lin,zh,Über", 'has the list "über"'),
    ],
)
def test_line__refused(line: str, says: str) -> None:
    """A line that cannot be taken is refused with its number and a sentence; the others are taken."""
    found = rows(f"email,name,language,lists\n{line}\nchen@example.org,Chen,en,\n")
    assert found[0].number == 2 and says in found[0].refusal and found[0].subscriber is None
    assert found[1].subscriber is not None


@pytest.mark.parametrize("state", ["unsubscribed", "bounced", "pending", "blocklisted", "已退订"])
def test_line__not_active_elsewhere(state: str) -> None:
    """Who has left another program's list is not brought in from its export."""
    assert f"is not active there ({state})" in refusals(f"email,状态\nlin@example.org,{state}\n")[0][1]


def test_line__control_characters() -> None:
    """Nothing of a file can drive a terminal or a database that takes no NUL."""
    found = rows("\ufeffemail,name,source\nlin@example.org,L\x1b[31min,fair\x00\x07\nno\x1bbody,x,y\n")
    assert found[0].subscriber is not None
    assert (found[0].subscriber.name, found[0].subscriber.source) == ("L [31min", "fair")
    assert all((row.text + row.refusal).isprintable() for row in found)


# --- Excel ------------------------------------------------------------------------------------------------------


def test_excel__says_its_separator() -> None:
    """A first line "sep=;" is Excel's own; lines keep the numbers they have in an editor."""
    found = rows("sep=;\r\nemail;name\r\nlin@example.org;Lin, Ruolan\r\nnobody;x\r\n")
    assert found[0].subscriber is not None and found[0].subscriber.name == "Lin, Ruolan"
    assert [row.number for row in found] == [3, 4]


def test_excel__text_as_formula() -> None:
    """A cell that is kept from being a number, and empty cells and lines after the last, do no harm."""
    data = 'email,name,,\r\n="lin@example.org","Lin ""R"" Lan",,\r\n,,,\r\n\r\n'
    assert [(one.normal, one.name) for one in people(data)] == [("lin@example.org", 'Lin "R" Lan')]


def test_quotes__several_lines() -> None:
    """A text between quotation marks may have lines; the next line keeps its number."""
    found = rows('email,consent text\nlin@example.org,"I agree.\nReally."\nnobody,x\n')
    assert found[0].subscriber is not None and found[0].subscriber.consent.text == "I agree.\nReally."
    assert [row.number for row in found] == [2, 4]


@pytest.mark.parametrize("after", ["", 'wang@example.org,"Wang"\n'])
def test_quotes__never_closed(after: str) -> None:
    """An open quotation mark costs its own line, not all that follow."""
    data = f'email,name\nlin@example.org,"Lin\nchen@example.org,Chen\n{after}'
    found = rows(data)
    assert (found[0].number, found[0].refusal) == (2, "has a quotation mark that is never closed")
    assert [row.subscriber.name for row in found[1:] if row.subscriber] == ["Chen", "Wang"][: 1 + bool(after)]


def test_quotes__very_long() -> None:
    """A mark that opens a megabyte is no reason to hold it, or to stop."""
    data = 'email,name\nlin@example.org,"Lin\n' + f"{'x' * 15_000}\n" * 80 + "chen@example.org,Chen\n"
    found = rows(data)
    assert found[0].refusal and found[-1].subscriber is not None


# --- out and in again -------------------------------------------------------------------------------------------


def written(found: Sequence[Subscriber]) -> str:
    """The file of these subscribers."""
    file = io.StringIO(newline="")
    assert roster.write(found, file) == len(found)
    return file.getvalue()


_TEXT = st.text(
    st.characters(exclude_categories=("C", "Zl", "Zp")) | st.sampled_from("=+-@'\",;\t\n＝＋－＠"),
    max_size=40,
)


def _plain(text: str) -> str:
    return text.replace("\t", " ").strip()


@st.composite
def subscribers(draw: st.DrawFn) -> Subscriber:
    """A subscriber as the store holds them, with whatever stands in her texts."""
    from publisher import addresses

    local = draw(st.from_regex(r"[a-z0-9+=_'-]{1,12}", fullmatch=True) | st.sampled_from(["'=x", "+", "-林"]))
    read = addresses.read(f"{local}@example.org")
    at = draw(st.none() | st.datetimes(datetime(1970, 1, 2), datetime(2999, 1, 1), timezones=st.just(UTC)))
    how = "p" + _plain(draw(_TEXT))
    return Subscriber(
        read.sent,
        read.normal,
        addresses.cleaned_name(draw(_TEXT)),
        draw(st.sampled_from(Reading)),
        tuple(draw(st.lists(st.sampled_from(["news", "press", "a-b_1"]), unique=True))),
        consent=Consent(at, how, "\n".join(_plain(line) for line in draw(_TEXT).split("\n")).strip()),
        source=_plain(draw(_TEXT).replace("\n", " ")),
    )


@given(st.lists(subscribers(), min_size=1, max_size=4))
def test_round_trip__nothing_changes(found: list[Subscriber]) -> None:
    """What is written is read again as it was, whatever signs it begins with."""
    back = people(written(found).encode(), consent=Consent(), reading=Reading.EN)
    assert back == found


@given(st.lists(subscribers(), min_size=1, max_size=4))
def test_export__nothing_to_run(found: list[Subscriber]) -> None:
    """No cell of an export begins with a sign that makes a formula of it."""
    text = written(found)
    assert text.startswith("\ufeff")
    for record in csv.reader(io.StringIO(text[1:], newline="")):
        assert not [cell for cell in record if cell[:1] and cell[0] in "=+-@＝＋－＠\t\r"]


@pytest.mark.parametrize("cell", ["=1+1", "+86", "-1", "@SUM(A1)", "＝1", "\tx", "\rx", "'=1", "''+1"])
def test_safe__guards(cell: str) -> None:
    """An apostrophe is put before, and only before, what must have one."""
    assert safe(cell) == f"'{cell}"
    assert safe("Lin") == "Lin" and safe("'Lin") == "'Lin" and safe("") == ""
