"""Markdown: blocks as passages, titles from headings, and what cannot be carried to every channel."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from publisher import assets, intake, preflight
from publisher.announcement import Bilingual, Event, Markup, Passage, PassageKind, Tags
from publisher.errors import DocumentError

DEMO = Path(assets.__file__).parent / "demo"
SAMPLE = (DEMO / "sample-event.md").read_bytes()
TITLES = "# 公开讲座\n\n# Public Lecture\n\n"


def read(text: str, title: Bilingual = Bilingual()) -> intake.Document:  # noqa: B008  # it is frozen
    """The document in a Markdown text."""
    return intake.read(text.encode(), "x.md", title=title)


def passages(text: str) -> list[Passage]:
    """The passages below two titles."""
    return list(read(TITLES + text).revision.passages)


def test_sample__is_complete_and_clean() -> None:
    """The bundled event uses every part of the format and has no finding."""
    document = intake.read(SAMPLE, "sample-event.md", beside=lambda name: (DEMO / name).read_bytes())
    revision = document.revision
    assert revision.markup is Markup.MARKDOWN
    assert revision.event == Event(
        start="2027-05-20T15:00",
        end="2027-05-20T17:00",
        timezone="Asia/Shanghai",
        place=Bilingual("临屿市图书馆三层报告厅", "Lecture Hall, Third Floor, Linyu City Library"),
        link="https://example.org/lectures/bridges",
    )
    assert revision.tags == Tags(("公开讲座", "古桥保护"), ("PublicLecture", "Heritage"))
    assert {passage.kind for passage in revision.passages} == set(PassageKind)
    assert all((revision.title.zh, revision.title.en, revision.summary.zh, revision.summary.en))
    assert not document.findings
    assert not preflight.check(revision)


def test_blocks__headings_lists_and_quotes_keep_their_form() -> None:
    """Headings lose their signs and keep their level; lists and quotes keep their source."""
    assert passages(
        "### 内容\n\nProgramme\n---------\n\n".replace("Programme\n---------", "### Programme")
    ) == [Passage("内容", "Programme", PassageKind.HEADING, 3)]
    assert passages("> 引文\n> > 内层\n\n> Quote\n> > inner\n\n1. 一\n   - 甲\n\n2) First\n   - a") == [
        Passage("> 引文\n> > 内层", "> Quote\n> > inner", PassageKind.QUOTE),
        Passage("1. 一\n   - 甲", "2) First\n   - a", PassageKind.LIST),
    ]


def test_blocks__wrapped_lines_are_joined_everywhere() -> None:
    """A soft break joins as in text, in paragraphs, lists and quotes; a break that is meant stays."""
    assert passages("本会举办**公开**\n讲座，欢迎\n参加。\n\nThe public\nlecture.") == [
        Passage("本会举办**公开**讲座，欢迎参加。", "The public lecture.")
    ]
    assert passages("- 第一项\n  接着写\n- 第二项\n\n* First\n  goes on\n* Second") == [
        Passage("- 第一项接着写\n- 第二项", "* First goes on\n* Second", PassageKind.LIST)
    ]
    assert passages("> 引文\n> 接着写\n\n> Quote\ngoes on") == [
        Passage("> 引文接着写", "> Quote goes on", PassageKind.QUOTE)
    ]
    assert passages("- 地址：\\\n  和平路1号\n\n* Address:\\\n  1 Peace Road") == [
        Passage("- 地址：\\\n  和平路1号", "* Address:\\\n  1 Peace Road", PassageKind.LIST)
    ]
    assert passages("地址：  \n和平路1号\n\nAddress:\\\n1 Peace Road") == [
        Passage("地址：\\\n和平路1号", "Address:\\\n1 Peace Road")
    ]


def test_blocks__two_lists_with_the_same_sign() -> None:
    """CommonMark reads a Chinese list and the English one below it as one; they are taken apart."""
    assert passages("- 甲\n- 乙\n\n- A\n- B\n\n---\n\n再见。\n\nGoodbye.") == [
        Passage("- 甲\n- 乙", "- A\n- B", PassageKind.LIST),
        Passage("再见。", "Goodbye."),
    ]


def test_titles__headings_of_level_one() -> None:
    """Two headings of level 1 are the titles, as plain text."""
    document = read("# 公开*讲座*\n\n# Public `Lecture`\n\n欢迎。\n\nWelcome.")
    assert document.revision.title == Bilingual("公开讲座", "Public Lecture")
    assert document.revision.passages == (Passage("欢迎。", "Welcome."),)


def test_titles__officer_then_front_matter_then_heading() -> None:
    """Of three titles for one language the officer's wins, then the front matter's; the heading is reported."""
    text = "---\ntitle: {zh: 题目, en: From the Front}\n---\n# 公开讲座\n\n欢迎。\n\nWelcome."
    document = read(text, Bilingual(en="From the Officer"))
    assert document.revision.title == Bilingual("题目", "From the Officer")
    assert [(finding.code, finding.zh) for finding in document.findings] == [("titles.replaced", "公开讲座")]


@pytest.mark.parametrize(
    ("body", "line", "said"),
    [
        ("欢迎。\n\n| a | b |\n|---|---|\n| 1 | 2 |", 7, "table"),
        ("欢迎。\n\n```\ncode\n```", 7, "code"),
        ("欢迎。\n\n    code", 7, "four spaces"),
        ("欢迎。\n\n<div>\n", 7, "HTML"),
        ("欢迎<br>光临。\n\nWelcome.", 5, "HTML"),
        ("欢迎。![图](a.jpg)\n\nWelcome.", 5, "paragraph of its own"),
        ("欢迎。\n\nWelcome.\n\n![图](a.jpg)", 9, "not listed"),
        ("欢迎看[这里][1]。\n\nWelcome.\n\n[1]: https://example.org", 9, "[text](https://"),
        ("- 甲\n\n      code\n", 7, "code"),
        ("> # 标题", 5, "heading inside"),
        (">" * 20 + " 深", 5, "nested"),
        ("## 一\n\n### One", 7, "a heading of level 3, but its partner in line 5 is a heading of level 2"),
        ("- 甲\n\nOne", 7, "is a paragraph, but its partner in line 5 is a list"),
        ("欢迎各位。\nWelcome to you.", 6, "changes the language"),
        ("> 欢迎各位。\n> Welcome to you.", 6, "changes the language"),
        ("- 甲\n- A\n- 乙\n- B", 7, "item to item"),
        ("# 又一题\n\n欢迎。\n\nWelcome.", 5, "second Chinese title"),
        ("# 2026\n\n欢迎。\n\nWelcome.", 5, "neither language"),
        ("欢迎。", 5, "no English partner"),
        ("- Привет", 5, "neither Chinese nor English"),
    ],
)
def test_blocks__what_cannot_be_carried_is_named(body: str, line: int, said: str) -> None:
    """A block that some channel would lose, or that has no like partner, is refused with its line."""
    with pytest.raises(DocumentError) as caught:
        read(TITLES + body)
    assert said in str(caught.value)
    assert caught.value.line == line


@given(st.text(st.sampled_from("甲乙 aB\n#->*_`[]()!|~\\1.<&:\t")))
def test_read__any_markdown(text: str) -> None:
    """Any Markdown is read or refused; no letter of what is read gets lost."""
    try:
        revision = read(text).revision
    except DocumentError:
        return
    kept = "".join(revision.texts().values())
    assert not set("甲乙aB") & set(text) - set(kept)


@pytest.mark.parametrize(
    "body",
    [
        "中" + "[" * 20_000,
        "![a" * 7_000,
        ">" * 40_000,
        "- 甲\n" * 2_000 + "\n" + "- a\n" * 2_000,
        "**a" * 7_000,
    ],
    ids=["brackets", "pictures", "quotes", "items", "emphasis"],
)
def test_read__hostile_markdown_ends_soon(body: str) -> None:
    """Markdown made to take long is read or refused within seconds."""
    started = time.monotonic()
    with contextlib.suppress(DocumentError):
        read(TITLES + body)
    assert time.monotonic() - started < 10
