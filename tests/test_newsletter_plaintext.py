"""Lines of plain text: nothing lost, nothing split that belongs together, marks where a typesetter puts them."""

from __future__ import annotations

import time
import unicodedata

import pytest
import regex
from hypothesis import example, given
from hypothesis import strategies as st

from publisher.render.plaintext import is_wide, width, wrap, wrapped

_PIECES = st.sampled_from(
    ["云岭大学", "访问", "，", "。", "“双院制”", "（2026年）", "——", "……", "《城市》", "5", "km", "RMB", "a.m.", " ", "  ", "Professor",
     "Ms.", "Lin", "R&D", "https://example.org/a?b=c&d=e", "（https://example.org/报名）", "👩‍👩‍👧‍👦", "é", "e\u0301", "か\u3099", "\u3000",
     "１２３", "ＡＢＣ", "10", "March", ",", ".", "-", "'", "’", "”", "“", "—", "1. ", "- ", "\u00a0", "漢\U000e0100", "가", "🇨🇳", "：", "、"]
)  # fmt: skip
_ANY = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), max_size=6)
PARAGRAPHS = st.lists(_PIECES | _ANY, max_size=60).map("".join)


def joined(lines: list[str], hang: str = "") -> str:
    """The paragraph that ``lines`` were: Chinese to Chinese without a space, everything else with one."""
    text = lines[0]
    for line in (line.removeprefix(hang) for line in lines[1:]):
        text += line if is_wide(text[-1]) and is_wide(line[0]) else f" {line}"
    return text


def hang_of(paragraph: str) -> str:
    marker = regex.match(r"\s*(?:[-*•·]|\d{1,3}[.)])\s+", paragraph)
    return " " * width(marker[0]) if marker else ""


@given(PARAGRAPHS, st.integers(10, 80))
@example("“一” “二”", 10)
@example("- 河流如何塑造城市，河流如何塑造城市", 10)
def test_wrap__nothing_is_lost(paragraph: str, columns: int) -> None:
    """Joining the lines again gives back every paragraph exactly."""
    lines = wrap(paragraph, columns).split("\n")
    assert joined(lines, hang_of(paragraph)) == paragraph


@given(PARAGRAPHS, st.integers(10, 80))
def test_wrap__marks(paragraph: str, columns: int) -> None:
    """No line starts with a closing mark or ends with an opening one, and a dash or ellipsis stays whole."""
    hang = hang_of(paragraph)
    lines = wrap(paragraph, columns).split("\n")
    for before, after in zip(lines, (line.removeprefix(hang) for line in lines[1:]), strict=False):
        assert after[0] not in "，。；：！？、）》」』】”’…·,.;:!?)"
        assert before[-1] not in "（《「『【“‘("
        assert not (before[-1] == "—" and after[0] == "—")


@given(PARAGRAPHS, st.integers(10, 80))
@example("か\u3099" * 20 + "👍🏽" * 20, 10)
def test_wrap__graphemes_and_addresses(paragraph: str, columns: int) -> None:
    """No grapheme and no web address is ever divided between two lines."""
    lines = wrap(paragraph, columns).split("\n")
    assert [g for line in lines for g in regex.findall(r"\X", line) if not g.isspace()] == [
        g for g in regex.findall(r"\X", paragraph) if not g.isspace()
    ]
    for address in regex.findall(r"https://example\.org/[a-z?=&报名]+", paragraph):
        assert any(address in line for line in lines)


@given(
    st.lists(st.sampled_from(["云岭", "大学", "，", "of", "the", " ", "University", "。"]), max_size=80).map(
        "".join
    )
)
def test_wrap__fits(paragraph: str) -> None:
    """A line is longer than its measure only where nothing in it may be broken."""
    for line in wrap(paragraph, 40).split("\n"):
        assert width(line) <= 40 or len(wrap(line, 1).split("\n")) == 1


def test_wrap__as_long_as_possible() -> None:
    """A Chinese line holds 38 characters, an English one 72 columns."""
    assert [len(line) for line in wrapped("云" * 100, "zh").split("\n")] == [38, 38, 24]
    assert [len(line) for line in wrapped("seven x " * 20, "en").split("\n")][:2] == [71, 71]
    assert wrapped("云" * 37 + "（岭）", "zh").split("\n")[0] == "云" * 37
    assert wrapped("云" * 38 + "，岭", "zh").split("\n")[0] == "云" * 37


TOGETHER = [
    "It begins at 10 a.m. today", "on 5 March 2026", "on March 5 2026", "RMB 5 million", "12 km away", "with Ms. Lin Ruolan",
    "by Dr Zhou Yining", "第 5 届大会", "No. 7 Peace Road",
]  # fmt: skip
KEPT = ["10 a.m.", "5 March", "March 5", "5 million", "12 km", "Ms. Lin", "Dr Zhou", "第 5 届", "No. 7"]


@pytest.mark.parametrize(("text", "kept"), list(zip(TOGETHER, KEPT, strict=True)))
def test_wrap__numbers_and_names_stay_whole(text: str, kept: str) -> None:
    """A number keeps its unit or month, and a name its Ms. or Dr, at every width."""
    for columns in range(3, 30):
        assert any(kept in line for line in wrap(text, columns).split("\n"))


def test_wrap__layout() -> None:
    """Line breaks stay, an item hangs from its marker, an indent stands before every line but an empty one."""
    assert wrap("one two\n\nthree", 4, "> ") == "> one\n> two\n\n> three"
    assert wrap("- one two three\n10. four five six", 9) == "- one two\n  three\n10. four\n    five\n    six"


@pytest.mark.parametrize("mark", ["“", "”", "…", "—"])
def test_width__marks_follow_their_text(mark: str) -> None:
    """A mark of both scripts is wide in Chinese text and narrow in English."""
    assert width(f"云{mark}") == 4
    assert width(f"a{mark}") == 2


@given(_ANY)
def test_width__of_a_grapheme(text: str) -> None:
    """Marks and joiners add nothing to the width of their base."""
    assert width(unicodedata.normalize("NFC", "é") + text) == width("e\u0301" + text)


def test_wrap__linear() -> None:
    """Ten times the text takes about ten times as long, also without a place to break."""

    def seconds(text: str) -> float:
        began = time.perf_counter()
        wrap(text, 76)
        return time.perf_counter() - began

    for unit in ("云岭大学，", "word ", "x", "https://example.org/", "5 "):
        small = min(seconds(unit * 500) for _ in range(3))
        assert seconds(unit * 5_000) < 40 * small + 0.05
