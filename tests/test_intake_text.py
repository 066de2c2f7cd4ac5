"""Plain text: titles, paragraphs in turn, wrapped or not, and every way to lose a partner."""

from __future__ import annotations

import contextlib
import textwrap
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from publisher import assets, intake
from publisher.announcement import Bilingual, Markup, Passage, Severity
from publisher.errors import DocumentError

SAMPLE = (Path(assets.__file__).parent / "demo" / "sample.txt").read_text(encoding="utf-8")
ZH = (
    "会长林若兰女士会见了代表团,双方就联合培养与教师交流交换了意见,并商定于明年春天在云岭大学举行第二次会谈。"
)
EN = (
    "The President, Ms. Lin Ruolan, received the delegation. The two sides exchanged views on joint training and "
    "teacher exchange, and agreed to meet for a second time at Yunling University in the spring of next year."
)
TITLES = "云岭大学代表团访问本会\nYunling University Delegation Visits the Association\n"


def read(text: str, title: Bilingual = Bilingual()) -> intake.Document:  # noqa: B008  # it is frozen
    """The document in a plain text."""
    return intake.read(text.encode(), "x.txt", title=title)


def pairs(text: str) -> list[tuple[str, str]]:
    """The passages of a plain text below two titles."""
    return [(passage.zh, passage.en) for passage in read(TITLES + text).revision.passages]


def test_sample__five_pairs_with_every_character_kept() -> None:
    """The sample has five pairs, and each paragraph is exactly a line of the file."""
    lines = [line for line in SAMPLE.split("\n") if line]
    document = read(SAMPLE)
    assert [text for p in document.revision.passages for text in (p.zh, p.en)] == lines[2:]
    assert len(document.revision.passages) == 5
    assert document.revision.markup is Markup.TEXT


def test_sample__partner_name_is_no_title() -> None:
    """The partner's name in the second line is reported with its text, and no English title is invented."""
    document = read(SAMPLE)
    zh, name = SAMPLE.split("\n")[:2]
    assert document.revision.title == Bilingual(zh, "")
    (finding,) = document.findings
    assert (finding.code, finding.severity, finding.en) == ("titles.mismatch", Severity.NOTE, name)
    assert name in finding.message
    assert "Line 2" in finding.message
    assert "--title-en" in finding.fix


def test_titles__supplied_ones_win() -> None:
    """A title the officer supplies is used, and a line that gives way to it is named."""
    document = read(TITLES + ZH + "\n" + EN, Bilingual("云岭大学来访", ""))
    assert document.revision.title == Bilingual(
        "云岭大学来访", "Yunling University Delegation Visits the Association"
    )
    assert [(f.code, f.zh) for f in document.findings] == [("titles.replaced", "云岭大学代表团访问本会")]


def test_titles__supplied_name_is_taken_at_its_word() -> None:
    """An officer may insist that the line is the title; nothing is left to report."""
    name = SAMPLE.split("\n")[1]
    document = read(SAMPLE, Bilingual(en=name))
    assert document.revision.title.en == name
    assert document.findings == ()


@pytest.mark.parametrize(
    ("top", "title", "codes"),
    [
        ("云岭大学代表团访问本会\nYunling University Delegation Visits Us", ("云岭大学代表团访问本会", "Yunling University Delegation Visits Us"), []),
        ("Yunling University Delegation Visits Us\n\n云岭大学代表团访问本会", ("云岭大学代表团访问本会", "Yunling University Delegation Visits Us"), []),
        ("云岭大学代表团访问本会", ("云岭大学代表团访问本会", ""), []),
        ("Yunling University Delegation Visits Us", ("", "Yunling University Delegation Visits Us"), []),
        ("", ("", ""), []),
        ("云岭大学代表团访问本会\nThe Yunling University", ("云岭大学代表团访问本会", ""), ["titles.mismatch"]),
        ("YUNLING UNIVERSITY\n云岭大学代表团访问本会", ("云岭大学代表团访问本会", ""), ["titles.mismatch"]),
        ("云岭大学代表团访问本会并签署合作备忘录\nPress Release", ("云岭大学代表团访问本会并签署合作备忘录", ""), ["titles.mismatch"]),
        ("云岭大学\nA Delegation Comes to Visit the Association", ("", "A Delegation Comes to Visit the Association"), ["titles.mismatch"]),
        ("快讯\nA Delegation of Six Comes from Afar to Visit the Association", ("", "A Delegation of Six Comes from Afar to Visit the Association"), ["titles.mismatch"]),
    ],
    ids=["both", "english first", "only chinese", "only english", "none", "name", "letterhead", "label", "chinese name", "chinese label"],
)  # fmt: skip
def test_titles__which_lines_count(top: str, title: tuple[str, str], codes: list[str]) -> None:
    """A line is a title where it can be the translation of the other; a name or a label is not."""
    document = read(f"{top}\n\n{ZH}\n{EN}\n")
    assert document.revision.title == Bilingual(*title)
    assert [finding.code for finding in document.findings] == codes
    assert [(p.zh, p.en) for p in document.revision.passages] == [(ZH, EN)]


def test_titles__an_event_named_in_both_texts_keeps_its_name() -> None:
    """A title that is quoted in both languages of the text is a title all the same."""
    document = read(
        "城市与河流\nCities and Their Rivers\n\n本会举办“城市与河流”讲座。\nWe hold the lecture “Cities and Their Rivers”."
    )
    assert document.revision.title == Bilingual("城市与河流", "Cities and Their Rivers")
    assert not document.findings


def test_pairs__english_may_lead() -> None:
    """Either language may come first; a passage always holds both in their places."""
    assert pairs(f"{EN}\n{ZH}\n{EN}\n\n{ZH}") == [(ZH, EN), (ZH, EN)]


def test_pairs__names_do_not_decide_the_language() -> None:
    """A Chinese paragraph may quote English names and the other way round."""
    zh = "本会与 Example Association for International Exchange 签署了为期五年的合作备忘录。"
    en = "Ms. Lin Ruolan (林若兰) and Professor Chen Siyuan (陈思远) signed it."
    assert pairs(f"{zh}\n{en}") == [(zh, en)]


@pytest.mark.parametrize(
    "neutral", ["https://example.org/register", "2026-10-12 15:00", "* * *", "office@example.org"]
)
def test_pairs__a_neutral_line_serves_both(neutral: str) -> None:
    """A line of digits, marks or addresses only is a passage with the same text in both languages."""
    assert pairs(f"{ZH}\n{EN}\n{neutral}\n{ZH}\n{EN}") == [(ZH, EN), (neutral, neutral), (ZH, EN)]


def test_pairs__a_neutral_line_repeated_after_each_language() -> None:
    """A link below each of two partners follows the pair, once."""
    link = "https://example.org/register"
    assert pairs(f"{ZH}\n{link}\n{EN}\n{link}") == [(ZH, EN), (link, link)]


def wrapped(text: str) -> str:
    """``text`` wrapped by hand, as editors do: Chinese after 35 characters, English at 70 columns."""
    if " " not in text:
        return "\n".join(text[at : at + 35] for at in range(0, len(text), 35))
    return "\n".join(textwrap.wrap(text, 70))


@pytest.mark.parametrize("gap", ["\n", "\n\n"], ids=["successive", "blank lines"])
def test_pairs__wrapped_lines_are_joined(gap: str) -> None:
    """Hard-wrapped paragraphs come out whole: Chinese without a space, English with one."""
    text = gap.join([wrapped(ZH), wrapped(EN), wrapped(ZH), wrapped(EN)])
    assert pairs(text) == [(ZH, EN), (ZH, EN)]


def test_pairs__wrapped_below_a_single_title() -> None:
    """The first line below a title goes on in the next one, though digits leave it short; a title never does."""
    title, zh = "关于云岭大学代表团来访并签署合作备忘录的情况通报", f"2026年3月5日10时30分,{ZH}{ZH}"
    document = read(f"{title}\n\n{wrapped(zh)}\n{wrapped(EN)}")
    assert document.revision.title.zh == title
    assert document.revision.passages == (Passage(zh, EN),)


def test_pairs__ragged_lines_go_on_until_the_sentence_ends() -> None:
    """A line broken by hand well before the margin goes on below, because its sentence does."""
    ragged = (
        "The President received the delegation\nof the university in the new building\n"
        "and, before the talks began, showed its members round the library."
    )
    assert pairs(f"{ZH}\n\n{ragged}") == [(ZH, ragged.replace("\n", " "))]


@pytest.mark.parametrize("gap", ["\n", "\n\n"], ids=["directly", "blank line"])
def test_titles__never_run_into_a_wrapped_text(gap: str) -> None:
    """A title above wrapped paragraphs stays a title, though it has no full stop and more follows."""
    document = read(f"{TITLES.strip()}{gap}{wrapped(EN)}\n{wrapped(ZH)}")
    assert document.revision.title == Bilingual(*TITLES.split("\n")[:2])
    assert document.revision.passages == (Passage(ZH, EN),)


def test_titles__are_no_proof_of_wrapping() -> None:
    """A title above its paragraph does not make two paragraphs of equal length one."""
    title, zh = "关于云岭大学代表团来访并签署合作备忘录的情况通报", ZH[:34] + "。"
    with pytest.raises(DocumentError, match="more Chinese in line 5"):
        read(f"{title}\n{zh}\n{EN}\n{zh}\n{zh}\n{EN}")


@given(st.integers(60, 110))
def test_pairs__any_wrapping_width(width: int) -> None:
    """At whatever column an editor wraps, the English comes out as it was."""
    assert pairs(f"{ZH}\n\n{textwrap.fill(EN, width)}") == [(ZH, EN)]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (f"{TITLES}{ZH}\n{EN}\n{ZH}\n\n{ZH}\n{EN}", 5, "more Chinese in line 7; put its English in between"),
        (f"{TITLES}{ZH}\n{EN}\n{ZH}\n{ZH}\n{EN}", 5, "more Chinese in line 6"),
        (f"{TITLES}{ZH}\n{EN}\n\n{ZH}", 6, "has no English partner"),
        (f"{TITLES}{ZH}\n{EN}\n{EN}\n{ZH}", 5, "is English after English in line 4; put its Chinese before it"),
        (f"{TITLES}\n{ZH}\n{ZH}", 4, "in Chinese; add the English"),
        (f"{TITLES}\n{EN}\n\n{EN}", 4, "in English; add the Chinese"),
        (f"{TITLES}\n{ZH}", 4, "no English partner"),
        (TITLES, None, "no paragraph below the title"),
        (f"{TITLES}{ZH}\n{EN}\nПривет всем!", 5, "neither Chinese nor English"),
    ],
)  # fmt: skip
def test_pairs__a_paragraph_without_partner_is_named(text: str, line: int | None, said: str) -> None:
    """No paragraph is dropped or mispaired: the line is named, its beginning quoted, the next step told."""
    with pytest.raises(DocumentError) as caught:
        read(text)
    assert caught.value.line == line
    assert said in str(caught.value)
    if line:
        assert text.split("\n")[line - 1][:12] in str(caught.value)


@given(st.lists(st.booleans(), min_size=1, max_size=8))
def test_pairs__nothing_is_lost(is_chinese: list[bool]) -> None:
    """Whatever the order of languages, the text is refused or every paragraph is in the revision."""
    lines = [f"{number} {ZH if zh else EN}" for number, zh in enumerate(is_chinese)]
    try:
        passages = read("标题\n\n" + "\n".join(lines)).revision.passages
    except DocumentError:
        return
    assert sorted(text for p in passages for text in (p.zh, p.en)) == sorted(lines)
    assert all(zh is not en for zh, en in zip(is_chinese[::2], is_chinese[1::2], strict=True))


def test_read__indents_and_trailing_space_go() -> None:
    """The indent of a Chinese paragraph is looks, not text."""
    assert read(f"{TITLES}\n　　{ZH}  \n\t{EN}　\n").revision.passages == (Passage(ZH, EN),)


@pytest.mark.parametrize(
    "text",
    [
        "中" * 100_000,
        f"标题\n\n{ZH}\n" + "a" * 200_000,
        f"标题\n\n{ZH}\n" + "a@" * 100_000,
        f"标题\na a a a a a a b\n{ZH}\n" + "a " * 100_000,
        f"{ZH}\n{EN}\n" * 3_500,
    ],
    ids=["one line", "one word", "no address", "repeated name", "many lines"],
)
def test_read__hostile_text_ends_soon(text: str) -> None:
    """A text made to take long is read or refused within seconds."""
    started = time.monotonic()
    with contextlib.suppress(DocumentError):
        read(text)
    assert time.monotonic() - started < 10
