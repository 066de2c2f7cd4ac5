"""Preflight: what is found, what is left alone, and that the mended text is right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from publisher import assets, intake, preflight
from publisher.announcement import Bilingual, Finding, Markup, Passage, Revision, Severity
from publisher.preflight.typography import narrow, widen

SAMPLE = (Path(assets.__file__).parent / "demo" / "sample.txt").read_bytes()


def findings(zh: str = "文。", en: str = "Text.", markup: Markup = Markup.TEXT) -> list[Finding]:
    """What is said about one passage below two titles."""
    return preflight.check(Revision(Bilingual("题", "Title"), (Passage(zh, en),), markup))


def test_check__sample() -> None:
    """The sample has the faults of a real office's text, and only the missing title blocks it."""
    found = preflight.check(intake.read(SAMPLE, "sample.txt").revision)
    assert [(f.code, f.passage) for f in found] == [
        ("titles.missing", None),
        *[("language.halfwidth", index) for index in range(5)],
        ("language.doubled", 3),
    ]
    assert [f.code for f in found if f.severity is Severity.ERROR] == ["titles.missing"]


def test_check__clean_documents_have_no_finding(visit: Revision, lecture: Revision) -> None:
    """Well-written announcements raise no false alarm."""
    assert preflight.check(visit) == []
    assert preflight.check(lecture) == []


def test_titles__one_error_a_language(visit: Revision) -> None:
    """Each missing title is an error that says how to supply it."""
    found = preflight.check(replace(visit, title=Bilingual(zh=" ")))
    assert [(f.code, f.severity) for f in found] == [("titles.missing", Severity.ERROR)] * 2
    assert "--title-zh" in found[0].message
    assert "--title-en" in found[1].message


@pytest.mark.parametrize(
    ("text", "mended", "count"),
    [
        ("双方会谈,并签约;下一步:落实!好?", "双方会谈，并签约；下一步：落实！好？", 5),
        ("会谈, 签约", "会谈，签约", 1),
        ("真的?!", "真的？！", 2),
        ("14:30开始,参会1,000人,比分3:2", "14:30开始，参会1,000人，比分3:2", 2),
        ("时间:14:30", "时间：14:30", 1),
        ("增长R&D投入(含研发),共5%,合计", "增长R&D投入（含研发），共5%，合计", 4),
        ("英国教育科技协会(AET)来访", "英国教育科技协会（AET）来访", 2),
        ("(一)会谈", "（一）会谈", 2),
        ("协会AET (UK, London) 来访", "协会AET (UK, London) 来访", 0),
        ("函数f(x)是", "函数f(x)是", 0),
        ("他说 “Yes, we can!” 之后", "他说 “Yes, we can!” 之后", 0),
        ("见https://example.org/a,b?c=(1):2 一文", "见https://example.org/a,b?c=(1):2 一文", 0),
        ("请[报名](https://example.org)从速,`a,中`", "请[报名](https://example.org)从速，`a,中`", 1),
        ("**公开讲座**,由", "**公开讲座**，由", 1),
        ("1) 甲\n2) 乙", "1) 甲\n2) 乙", 0),
        ("只有左括号(未闭合", "只有左括号(未闭合", 0),
        ("会谈，签约。", "会谈，签约。", 0),
        ("", "", 0),
    ],
)
def test_widen__only_marks_beside_chinese(text: str, mended: str, count: int) -> None:
    """Chinese marks become full-width; times, numbers, addresses, code and English phrases stay."""
    assert widen(text) == (mended, count)


@pytest.mark.parametrize(
    ("text", "mended", "count"),
    [
        ("The visit，on Monday，was short。", "The visit, on Monday, was short.", 3),
        ("The University（Yunling）said：“Yes！”", "The University (Yunling) said:“Yes!”", 4),
        ("at 14：30", "at 14:30", 1),
        ("the motto 和，而不同 is old", "the motto 和，而不同 is old", 0),
        ("plain, text.", "plain, text.", 0),
    ],
)
def test_narrow__only_marks_of_the_english(text: str, mended: str, count: int) -> None:
    """Full-width marks in English become half-width with their spaces; a Chinese quotation keeps its own."""
    assert narrow(text) == (mended, count)


@given(st.text(st.sampled_from("中文ab12 ,;:!?()*_`[]，（）\n")))
def test_widen__mended_text_is_clean_and_otherwise_the_same(text: str) -> None:
    """Mending changes nothing but marks and the spaces after them, and what is mended needs no mending."""
    mended, count = widen(text)
    assert (count == 0) == (mended == text)
    half = mended.translate(str.maketrans("，；：！？（）", ",;:!?()"))
    assert half.replace(" ", "") == text.translate(str.maketrans("，（）", ",()")).replace(" ", "")
    if not set("( ") & set(text):
        assert widen(mended)[1] == 0


def test_typography__one_note_a_text() -> None:
    """A note holds the passage, the text, the count and the whole text mended."""
    (note,) = findings(zh="会谈,签约;落实。")
    assert (note.code, note.severity, note.passage) == ("language.halfwidth", Severity.NOTE, 0)
    assert note.message.startswith("2 half-width marks")
    assert note.fix == "会谈，签约；落实。"
    (note,) = findings(en="Talks，signing.")
    assert (note.code, note.severity, note.fix) == ("language.fullwidth", Severity.NOTE, "Talks, signing.")
    assert note.message.startswith("1 full-width mark ")


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("of the The Association", "of the Association"),
        ("The the visit", "The visit"),
        ("They met met in in Linyu", "They met in Linyu"),
        ("the\nthe end", "the end"),
    ],
)
def test_doubled__a_slip_is_shown_with_its_cure(text: str, fix: str) -> None:
    """A word written twice is a warning, and the cure keeps the first."""
    (finding,) = findings(en=text)
    assert (finding.code, finding.severity, finding.fix) == ("language.doubled", Severity.WARNING, fix)


@pytest.mark.parametrize(
    "text",
    ["She had had doubts.", "He said that that was so.", "the pianist Lang Lang", "day-to-day day", "the, the", "then the", "10 10"],
)  # fmt: skip
def test_doubled__good_english_is_left_alone(text: str) -> None:
    """Names and doubles that are meant raise no alarm."""
    assert findings(en=text) == []
