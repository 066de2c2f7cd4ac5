"""Every page and e-mail of ours through the Nu checker and axe: valid, no serious barrier, both languages marked."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from tests.real.browser import Browser, Violation
from tests.real.office import ROOT, Office, settled

Nu = Callable[[Sequence[str]], list[list[str]]]

SAMPLES = ROOT / "publisher" / "demo"
TITLE_EN = "Hailan Arts Education Delegation Visits Linyu Youth Aesthetic Education Center"
SERIOUS = ("serious", "critical")
WIDE, NARROW = 1280, 390
LAYOUTS = ["paired", *(pytest.param(name, marks=pytest.mark.slow) for name in ("stacked", "separate"))]


def barriers(found: Sequence[Violation]) -> list[Violation]:
    """What keeps people out."""
    return [one for one in found if one.impact in SERIOUS]


def _site(folder: Path, layout: str) -> Mapping[str, str]:
    return {
        "adapter": "static_site",
        "folder": str(folder / "site"),
        "url": "https://news.example.org/",
        "layout": layout,
    }


def _mail(layout: str) -> Mapping[str, str]:
    return {
        "adapter": "smtp", "host": "127.0.0.1", "port": "9", "security": "none", "sender": "news@example.org",
        "to": "list@example.org", "layout": layout,
    }  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_static_site__valid_and_open_to_all(layout: str, tmp_path: Path, browser: Browser, nu: Nu) -> None:
    """Every page of the site, the notice of a retracted announcement and the index included."""
    office = Office(tmp_path, {"website": _site(tmp_path, layout)})
    visit = office.published(SAMPLES / "sample.txt", "--title-en", TITLE_EN)
    lecture = office.published(SAMPLES / "sample-event.md")
    office.run("worker", "--once", who="")
    _look(tmp_path / "site", browser, nu)
    office.run("retract", visit, "--yes")
    office.run("retract", lecture, "--yes")
    office.run("worker", "--once", who="")
    _look(tmp_path / "site", browser, nu)


def _for_mail(line: str) -> bool:
    """What the checker says of a page and is meant in an e-mail: the tables that Outlook lays out by."""
    meant = (
        "obsolete",
        "xmlns:o",
        "xmlns:v",
        "“vertical-align” not allowed",
        "mso-",
        "allowed on the “a” element",
        "“a” is missing required attribute",
    )  # old programs jump to names
    return any(one in line for one in meant)


def _look(site: Path, browser: Browser, nu: Nu) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) >= 7
    said = nu([page.read_text(encoding="utf-8") for page in pages])
    assert {str(page): lines for page, lines in zip(pages, said, strict=True) if lines} == {}
    # Pages of the same template differ in text only: one announcement, and the index, stand for all.
    for page in [*[one for one in pages if "0002" in str(one)][-2:], site / "index.html"]:
        for width, dark in ((WIDE, False), (NARROW, True)):
            found = barriers(browser.axe(page.as_uri(), width, dark=dark))
            assert not found, (page, width, dark, found)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("sample", ["sample.txt", "sample-event.md"])
def test_newsletter__valid_and_open_to_all(
    layout: str, sample: str, tmp_path: Path, browser: Browser, nu: Nu
) -> None:
    """The message as HTML, before the link is filled in, light and dark."""
    channels = {"website": _site(tmp_path, "paired"), "newsletter": _mail(layout)}
    office = Office(tmp_path, channels)
    title = ("--title-en", TITLE_EN) if sample == "sample.txt" else ()
    key = office.run("add", str(SAMPLES / sample), *title).strip()
    shown = json.loads(office.run("preview", key, "--channel", "newsletter", "--json", who=""))
    messages = [one["parts"]["html"] for one in shown]
    said = [line for lines in nu(messages) for line in lines if not _for_mail(line)]
    assert messages and said == []
    for message in messages:
        for width, dark in ((WIDE, False), (NARROW, True)):
            found = barriers(browser.axe(message, width, dark=dark))
            assert not found, (width, dark, found)


def test_static_site__by_an_unattended_worker(tmp_path: Path, browser: Browser) -> None:
    """A worker that nobody watches publishes at the hour; pictures are seen, and each language is marked as such."""
    office = Office(tmp_path, {"website": _site(tmp_path, "paired")})
    with office.worker():
        key = office.published(SAMPLES / "sample-event.md")
        office.wait(settled(key, "confirmed"))
    page = (tmp_path / "site" / key / "index.html").as_uri()
    for width in (WIDE, NARROW):
        seen = browser.look(
            page,
            lambda opened: (
                opened.evaluate("Array.from(document.images, i => i.loading = 'eager') && 1"),
                opened.wait_for_function("Array.from(document.images).every(i => i.complete)"),
                opened.evaluate("Array.from(document.images, i => i.naturalWidth > 0 && i.alt.length > 10)"),
                opened.evaluate("Array.from(document.querySelectorAll('.ann-side'), e => e.lang)"),
                opened.evaluate("document.documentElement.scrollWidth <= innerWidth"),
            ),
            width,
        )
        assert seen[2] == [True, True]
        assert set(seen[3]) == {"zh-Hans", "en"}
        assert seen[4]
