"""Markdown that is written: what a processor shows of it is what the officer saw."""

from __future__ import annotations

import html
import os
import random
import re

import pytest
from markdown_it import MarkdownIt

from publisher.announcement import Language, Markup, Passage, PassageKind
from publisher.render.html import to_html
from publisher.render.markdown import address, escape, in_alt, in_line, is_sound, to_markdown

SEED = int(os.environ.get("MARKDOWN_SEED", "0")) or random.SystemRandom().randrange(10**9)
"""Printed by a failing test; set MARKDOWN_SEED to see it again."""
PIECES = (
    *"\\`*_{}[]()<>#+-.!|~^=$\"'&:;,/@%",
    *("{{<", ">}}", "{{%", "%}}", "---", "+++", "...", "--", "```", "~~~", "==", "$$", "\\(", "\\)", "<b>", "</b>", "<!-- x -->"),
    *("1.", "2)", "- ", "+ ", "* ", "> ", "# ", "## ", ": ", "| a | b |", "[ ] ", "[^1]", "[a](b)", "![a](b)", "&amp;", "&#35;"),
    *(":smile:", "www.a_b.org", "https://e.org/a_b?c=1&d=*2*", "http://", "a@b.org", "{#id .c}", "\\n", "    ", "\t", " ", " "),
    *("公告", "“引”", "，", "。", "《书》", "（一）", "\u3000", "é", "R&D", "it's", "a", "b", "1", "word", "😀", "\n", "\n"),
)  # fmt: skip


def source(rng: random.Random, most: int = 14) -> str:
    """Text made of what Markdown, Hugo and people write."""
    return "".join(rng.choice(PIECES) for _ in range(rng.randint(1, most)))


def shown(markup: str) -> str:
    """What a reader sees of HTML: its text, spaces and line breaks as one space."""
    text = re.sub(r"<br ?/?>|</?(?:p|li|ul|ol|blockquote|h\d)\b[^>]*>", "\n", markup)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", "", text)).split())


def texts(count: int) -> list[str]:
    """``count`` texts that have something to show."""
    rng = random.Random(SEED)
    return [text for text in (source(rng) for _ in range(count)) if text.strip()]


def passages(count: int) -> list[tuple[Passage, Markup]]:
    """Passages of every kind in both markups."""
    rng = random.Random(SEED)
    found = []
    for _ in range(count):
        kind = rng.choice(tuple(PassageKind))
        text = source(rng).strip()
        if kind is PassageKind.LIST:
            text = "\n".join(f"- {source(rng, 5)}" for _ in range(3)).replace("- \n", "- x\n")
        elif kind is PassageKind.QUOTE:
            text = "> " + text.replace("\n", "\n> ")
        # Pictures in the text are refused when a document is read, and a link that leads nowhere is dropped. Emphasis
        # beside an emoji is another matter before CommonMark 0.31, and so in Hugo 0.111.
        text = text.replace("![", "[").replace("](b)", "](https://e.org/b)").replace("😀", "é")
        found.append(
            (Passage(text, text, kind, 2 if kind is PassageKind.HEADING else 0), rng.choice(tuple(Markup)))
        )
    return found


@pytest.mark.parametrize("flavour", ["commonmark", "js-default"])
def test_escape__is_shown_as_typed(flavour: str) -> None:
    """Any text, written as Markdown, is shown letter by letter, with the marks of GFM on as well."""
    parser = MarkdownIt(flavour, {"html": False})
    for text in texts(3000):
        written = escape(text)
        assert shown(parser.render(written)) == " ".join(text.split()), (SEED, text, written)


def test_in_line__is_shown_as_typed() -> None:
    """The same behind other words of a line."""
    parser = MarkdownIt("commonmark", {"html": False})
    for text in texts(3000):
        assert shown(parser.render(f"**x** {in_line(text)}")) == " ".join(f"x {text}".split()), (SEED, text)


def test_to_markdown__is_shown_as_the_page() -> None:
    """A passage of either markup is shown as in HTML, its emphasis and links where they were."""
    parser = MarkdownIt("commonmark", {"html": False})
    for passage, markup in passages(4000):
        page = to_html(passage, Language.ZH, markup)
        written = to_markdown(passage, Language.ZH, markup)
        assert shown(parser.render(written)) == shown(page), (SEED, passage, markup, written)


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("plain text, with a comma.", "plain text, with a comma."),
        ("2026年3月5日（周四）上午10:30", "2026年3月5日（周四）上午10:30"),
        ("1. not a list", "1\\. not a list"),
        ("- not a list", "\\- not a list"),
        ("# not a heading", "\\# not a heading"),
        ("---", "\\-\\-\\-"),
        ("+++", "\\+++"),
        ("well-known", "well-known"),
        ("{{< youtube x >}}", "\\{\\{\\< youtube x \\>\\}\\}"),
        ("two\nlines", "two\\\nlines"),
        ("see https://example.org/a_b.", "see <https://example.org/a_b>."),
        ("详见https://example.org/a，谢谢", "详见<https://example.org/a>，谢谢"),
    ],
)
def test_escape__touches_what_it_must(given: str, written: str) -> None:
    """Marks are escaped where they would act; prose stays prose."""
    assert escape(given) == written


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ('the "riverside" at [dusk]', "the “riverside” at (dusk)"),
        ("it's R&D &amp; *more* -- 2 < 3...", "it’s R&D ＆amp; more – 2  3…"),
        ("傍晚的江岸，二〇二六", "傍晚的江岸，二〇二六"),
    ],
)
def test_in_alt__needs_no_escapes(given: str, written: str) -> None:
    """What a picture shows has no mark left that would act or stay visible as an escape."""
    assert in_alt(given) == written


@pytest.mark.parametrize(
    "text",
    [
        "On 12 October a **public lecture**; please [register](https://example.org/a?b=1&c=2) *early*.",
        "本会将举办**公开讲座**，由*周以宁*主讲。",
        "code `a*b` and ``a`b``",
        "<https://example.org/x_y>",
        "Come\\![here](https://example.org/) and *now\\![there](https://example.org/)*!",
        "one\\\ntwo",
        "[with [brackets]](https://example.org/a(b)) and [**bold**](mailto:a@example.org)",
    ],
)
def test_to_markdown__keeps_what_was_meant(text: str) -> None:
    """Written Markdown makes the same HTML as its source."""
    written = to_markdown(Passage("", text), Language.EN, Markup.MARKDOWN)
    again = to_html(Passage("", written), Language.EN, Markup.MARKDOWN)
    assert again == to_html(Passage("", text), Language.EN, Markup.MARKDOWN)


@pytest.mark.parametrize(
    "text",
    [
        "- a\n- b\n  - c\n  - d\n- e",
        "3. a\n4. b",
        "- a\n\n- b",
        "> a\n>\n> b\n> - c",
        "1. a\n   > b\n2. c",
        "- a\n  1. b\n     - c",
    ],
)
def test_to_markdown__lists_and_quotes(text: str) -> None:
    """Lists and quotes are nested and numbered as they were."""
    for kind in (PassageKind.LIST, PassageKind.QUOTE):
        written = to_markdown(Passage("", text, kind), Language.EN, Markup.MARKDOWN)
        assert MarkdownIt("commonmark").render(written) == MarkdownIt("commonmark").render(text), written


@pytest.mark.parametrize(
    ("url", "sound"),
    [
        ("https://example.org", True), ("https://例子.example:8443/a%zz?b#c", True), ("mailto:a@example.org", True),
        ("https://example.org:port/", False), ("https://exa mple.org/", False), ("https://[x/", False),
        ("https://%zz/", False), ("javascript:alert(1)", False), ("/relative", False), ("https:///", False),
    ],
)  # fmt: skip
def test_is_sound__what_hugo_can_parse(url: str, sound: bool) -> None:
    """An address that Hugo cannot parse would stop the build of the whole site; it is never written as a link."""
    assert is_sound(url) is sound
    written = to_markdown(Passage("", f"[x](<{url}>)"), Language.EN, Markup.MARKDOWN)
    assert ("](" in written) is sound


def test_address__cannot_leave_its_brackets() -> None:
    """No address ends the link, runs a shortcode or reads as an entity."""
    assert address("https://e.org/a?b=1&copy;=<x>{{<y>}}") == (
        "<https://e.org/a?b=1&copy%3B=%3Cx%3E%7B%7B%3Cy%3E%7D%7D>"
    )
