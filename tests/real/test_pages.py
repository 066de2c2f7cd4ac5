"""Hugo, the browser and the HTML checker see what they are there to see."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import html5lib
import httpx
import pytest

from tests.real import html
from tests.real.servers.hugo import Hugo, HugoError

if TYPE_CHECKING:
    from tests.real.browser import Browser

GOOD = """<!DOCTYPE html>
<html lang="zh-CN"><head><meta charset="utf-8"><title>公告</title></head>
<body><main><h1>公告</h1><p>内容 <a href="https://www.example.org/en/" lang="en">in English</a></p></main></body></html>
"""
BAD = GOOD.replace("<p>", '<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw="><p><div></div>')
UNCLOSED = GOOD.replace("</a>", "</b>")

# --- Hugo ---------------------------------------------------------------------------------------------


def page(hugo: Hugo, language: str, title: str, *lines: str) -> None:
    """Writes a page of the two that belong together."""
    matter = "\n".join((f'title = "{title}"', 'date = "2026-09-20T10:00:00+08:00"', *lines))
    target = hugo.site / "content" / language / "a" / "2026-0042.md"
    target.parent.mkdir(exist_ok=True)
    target.write_text(f"+++\n{matter}\n+++\n\n{title} **&** <b>x</b>\n", encoding="utf-8")


def test_hugo__builds_both_languages(hugo: Hugo) -> None:
    """Each page is in its language and names both addresses; lists and feeds have it."""
    page(hugo, "zh", "公开讲座")
    page(hugo, "en", "Public Lecture")
    public = hugo.build()
    for folder, tag, title in (("zh", "zh-CN", "公开讲座"), ("en", "en", "Public Lecture")):
        text = (public / folder / "a" / "2026-0042" / "index.html").read_text(encoding="utf-8")
        tree = html5lib.parse(text, namespaceHTMLElements=False)
        links = {link.get("hreflang"): link.get("href") for link in tree.iter("link") if link.get("hreflang")}
        assert tree.get("lang") == tag
        assert [one.text for one in tree.iter("h1")] == [title]
        assert links == {
            "zh-CN": "https://www.example.org/zh/a/2026-0042/", "en": "https://www.example.org/en/a/2026-0042/",
        }  # fmt: skip
        assert title in (public / folder / "index.html").read_text(encoding="utf-8")
        assert f"<title>{title}</title>" in (public / folder / "index.xml").read_text(encoding="utf-8")


@pytest.mark.parametrize("matter", ["draft = true", 'publishDate = "2999-01-01"'])
def test_hugo__leaves_out_in_silence(hugo: Hugo, matter: str) -> None:
    """A draft, or a page of the future, is left out of a build that succeeds."""
    page(hugo, "zh", "公开讲座", matter)
    assert not (hugo.build() / "zh" / "a" / "2026-0042").exists()


def test_hugo__refuses_broken_front_matter(hugo: Hugo) -> None:
    """What Hugo cannot read fails with its own words."""
    page(hugo, "zh", "公开讲座", "= 1")
    with pytest.raises(HugoError, match=r"2026-0042\.md"):
        hugo.build()


def test_hugo__is_served(hugo: Hugo, tmp_path: Path) -> None:
    """A page is served once it is built, and gone once it is no longer; a build elsewhere changes nothing."""
    page(hugo, "en", "Public Lecture")
    hugo.build()
    address = f"{hugo.serve()}/en/a/2026-0042/"
    assert "Public Lecture" in httpx.get(address, trust_env=False).text
    (hugo.site / "content" / "en" / "a" / "2026-0042.md").unlink()
    assert not (hugo.build(tmp_path / "elsewhere") / "en" / "a").exists()
    assert httpx.get(address, trust_env=False).status_code == 200
    hugo.build()
    assert httpx.get(address, trust_env=False).status_code == 404


def test_hugo__skeleton_is_right(
    hugo: Hugo, nu: Callable[[Sequence[str]], list[list[str]]], browser: Browser
) -> None:
    """What the checkers find on a page is the page's doing, not the skeleton's."""
    page(hugo, "zh", "公开讲座")
    page(hugo, "en", "Public Lecture")
    public = hugo.build()
    files = [public / "zh" / "index.html", *public.glob("*/a/2026-0042/index.html")]
    assert nu([file.read_text(encoding="utf-8") for file in files]) == [[]] * 3
    hugo.serve()
    assert [browser.axe(f"{hugo.serve()}/{file.relative_to(public).parent}/") for file in files] == [[]] * 3


# --- The browser --------------------------------------------------------------------------------------


def test_browser__axe_finds_what_is_wrong(browser: Browser) -> None:
    """A picture without words is found with its HTML; a good page has nothing."""
    found = {violation.rule: violation for violation in browser.axe(BAD)}
    assert list(found) == ["image-alt"]
    assert "<img" in found["image-alt"].elements[0]
    assert browser.axe(GOOD) == []


def test_browser__axe_sees_dark_and_narrow(browser: Browser) -> None:
    """Colours of the dark scheme, and of narrow screens, are looked at where they are asked for."""
    pale = (
        "<style>@media (prefers-color-scheme: dark) and (max-width: 400px) {p {color: #eee}}</style></head>"
    )
    styled = GOOD.replace("</head>", pale)
    assert browser.axe(styled) == browser.axe(styled, 360) == browser.axe(styled, dark=True) == []
    assert [violation.rule for violation in browser.axe(styled, 360, dark=True)] == ["color-contrast"]


def test_browser__takes_pictures(browser: Browser, tmp_path: Path) -> None:
    """A picture is as wide as asked, as high as the page, and shows Chinese characters that differ."""
    pages = {word: tmp_path / f"{word}.html" for word in ("公告", "会议")}
    pictures = []
    for word, file in pages.items():
        file.write_text(
            GOOD.replace("公告", word).replace("<main>", '<main style="height: 2000px">'), encoding="utf-8"
        )
        shot = browser.screenshot(file.as_uri(), tmp_path / f"{word}.png", 360).read_bytes()
        assert shot[:4] == b"\x89PNG"
        pictures.append((shot, int.from_bytes(shot[16:20], "big"), int.from_bytes(shot[20:24], "big")))
    assert all(width == 360 and height > 2000 for _, width, height in pictures)
    assert pictures[0][0] != pictures[1][0]


def test_browser__reaches_nothing_outside(browser: Browser) -> None:
    """A request to another host fails at once, and the page's own script hears of it."""
    asks = "() => fetch('https://www.example.org/').then(() => 'reached', () => 'failed')"
    assert browser.look(GOOD, lambda opened: opened.evaluate(asks)) == "failed"


def test_browser__leaves_loops_alone(browser: Browser) -> None:
    """A case can run an event loop of its own while the browser is open."""

    async def looked() -> str:
        return await asyncio.to_thread(browser.look, GOOD, lambda opened: str(opened.title()))

    assert asyncio.run(looked()) == "公告"


# --- The HTML checker ---------------------------------------------------------------------------------


def test_nu__tells_pages_apart(nu: Callable[[Sequence[str]], list[list[str]]]) -> None:
    """Each page of one call gets its own findings, with their place; a good page gets none."""
    good, bad, unclosed = nu([GOOD, BAD, UNCLOSED])
    assert good == []
    assert any("alt" in finding for finding in bad)
    assert all(finding.startswith("3:") for finding in bad)
    assert any(
        "Stray end tag" in finding or "violates nesting" in finding or "End tag" in finding
        for finding in unclosed
    )


def test_nu__a_parser_where_java_is_missing() -> None:
    """Without Java syntax is still looked at."""
    good, unclosed = html.validate_all([GOOD, UNCLOSED], java=False)
    assert good == []
    assert unclosed
    assert unclosed[0].startswith("3:")
