"""From the document to the page and back, by an unattended worker and with a connection that breaks.

The announcements are the samples that ship; PUBLISHER_REAL_DOCUMENT names another visit to publish instead, and
PUBLISHER_REAL_PICTURES a folder that gets a picture of every page, wide and narrow.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from publisher.testing.exchange import At, Cut
from tests.real.browser import Browser
from tests.real.office import Office, settled
from tests.real.relay import Relay
from tests.real.servers.ghost import Ghost
from tests.real.servers.wordpress import WordPress
from tests.real.test_pages import NARROW, SAMPLES, TITLE_EN, WIDE, Nu, barriers

VISIT = Path(os.environ.get("PUBLISHER_REAL_DOCUMENT", SAMPLES / "sample.txt"))
PICTURES = os.environ.get("PUBLISHER_REAL_PICTURES", "")
CORRECTED = "The hall opens at 2 p.m."


@contextmanager
def _through(url: str) -> Iterator[Relay]:
    relay = Relay(url, own_links=True)
    relay.start()
    try:
        yield relay
    finally:
        relay.stop()


def _life(
    office: Office,
    relay: Relay,
    cut: tuple[str, str],
    public: Callable[[], Sequence[str]],
    look: Callable[[str, str], None],
) -> None:
    """Two announcements: published over a connection that is cut after the server has acted, corrected, taken back.

    ``public`` gives the titles of what visitors can read now; ``look`` opens an address, and names its picture.
    """
    method, path = cut
    with office.worker():
        relay.server.inject(Cut(At.ACTED), method=method, path=path)
        visit = office.published(VISIT, "--title-en", TITLE_EN)
        told = office.wait(settled(visit, "confirmed"))
        assert any(line.get("state") == "uncertain" for line in told), "The cut met nothing."
        assert len(public()) == 1
        look(_where(office, visit), "visit")

        lecture = office.published(SAMPLES / "sample-event.md")
        office.wait(settled(lecture, "confirmed"))
        assert len(public()) == 2
        look(_where(office, lecture), "lecture")

        text = (SAMPLES / "sample-event.md").read_text(encoding="utf-8")
        for picture in SAMPLES.glob("*.jpg"):
            shutil.copy(picture, office.folder)
        corrected = office.folder / "corrected.md"
        corrected.write_text(text.replace("Doors open at 2:30 p.m.", CORRECTED), encoding="utf-8")
        office.run("revise", lecture, str(corrected))
        office.sign(lecture)
        relay.server.inject(Cut(At.ACTED), method=method, path=path)
        office.run("correct", lecture, "--yes")
        office.wait(settled(f"{lecture}-r2", "confirmed"))
        assert len(public()) == 2
        look(_where(office, lecture), "corrected")

        for key in (lecture, visit):
            office.run("retract", key, "--yes")
            office.wait(settled(key, "confirmed"))
        assert public() == []


def _where(office: Office, key: str) -> str:
    address: str = office.deliveries(key)[-1]["where"]
    assert address.startswith("http://127.0.0.1")
    return address


_SHOWN = """article => {
    for (const image of document.images) image.loading = 'eager';
    const text = document.querySelector('.ann');
    return {
        text: text.innerText,
        languages: [...new Set([...text.querySelectorAll('[lang]'), text].map(one => one.lang).filter(Boolean))],
        wide: document.documentElement.scrollWidth > innerWidth + 1,
        calendar: [...text.querySelectorAll('a[href*=".ics"]')].map(one => one.href),
    };
}"""
_LOADED = "Array.from(document.images).every(one => one.complete)"
_IMAGES = "Array.from(document.images, one => [one.naturalWidth, one.alt])"


def _look(browser: Browser, nu: Nu, office: Office, server: str) -> Callable[[str, str], None]:
    """Opens a page as its readers do, wide and narrow: the text is there in both languages, pictures are seen."""

    def look(address: str, name: str) -> None:
        for width in (WIDE, NARROW):
            picture = Path(PICTURES) / f"{server}-{name}-{width}.png" if PICTURES else None
            shown, images, _ = browser.look(
                address,
                lambda page, path=picture: (
                    page.evaluate(_SHOWN),
                    page.wait_for_function(_LOADED) and page.evaluate(_IMAGES),
                    path and page.screenshot(path=path, full_page=True),
                ),
                width,
            )
            assert set(shown["languages"]) == {"zh-Hans", "en"} and not shown["wide"], (name, width, shown)
            if name == "visit":
                continue
            assert ("Doors open at 2:30" in shown["text"]) is (name == "lecture")
            assert (CORRECTED in shown["text"]) is (name == "corrected")
            drawn = [alt for size, alt in images if size and ("石拱桥" in alt or "报告厅" in alt)]
            assert len(drawn) == 2, (name, images)
            assert shown["calendar"], "No calendar file can be had."
        _content_is_right(browser, nu, address)

    return look


def _content_is_right(browser: Browser, nu: Nu, address: str) -> None:
    """What we wrote on the page is valid HTML and keeps nobody out; the rest of the page is the theme's."""
    content: str = browser.look(
        address, lambda page: page.evaluate("document.querySelector('.ann').outerHTML")
    )
    page = f'<!doctype html><html lang="zh-Hans"><head><title>x</title></head><body><main><h1>x</h1>{content}</main></body></html>'
    assert nu([page]) == [[]]
    assert barriers(browser.axe(page)) == []


def _wordpress(server: WordPress, url: str) -> Mapping[str, Any]:
    login, password = server.users["author"]
    return {"adapter": "wordpress", "url": url, "username": login, "application_password": password}


def _wordpress_life(server: WordPress, browser: Browser, nu: Nu, folder: Path, **more: str) -> None:
    with _through(server.url) as relay:
        office = Office(folder, {"website": {**_wordpress(server, relay.server.url), **more}})
        _life(
            office,
            relay,
            ("POST", "/wp-json/wp/v2/posts/"),
            lambda: [post.title for post in server.posts() if post.status == "publish" and post.id > 1],
            _look(browser, nu, office, f"wordpress-{server.version}"),
        )


@pytest.mark.parametrize("layout", ["paired", pytest.param("stacked", marks=pytest.mark.slow)])
def test_wordpress__published_corrected_and_taken_back(
    layout: str, wordpress: WordPress, browser: Browser, nu: Nu, tmp_path: Path
) -> None:
    """On WordPress, by a user who may no more than an author."""
    _wordpress_life(wordpress, browser, nu, tmp_path, layout=layout)


def test_wordpress_debian__published_corrected_and_taken_back(
    wordpress_debian: WordPress, browser: Browser, nu: Nu, tmp_path: Path
) -> None:
    """On Debian's WordPress and MariaDB."""
    _wordpress_life(wordpress_debian, browser, nu, tmp_path)


def test_ghost__published_corrected_and_taken_back(
    ghost: Ghost, browser: Browser, nu: Nu, tmp_path: Path
) -> None:
    """On Ghost."""
    with _through(ghost.url) as relay:
        settings = {"adapter": "ghost", "url": relay.server.url, "admin_key": ghost.admin_key}
        office = Office(tmp_path, {"website": settings})
        _life(
            office,
            relay,
            ("PUT", "/ghost/api/admin/posts/"),
            lambda: [post.title for post in ghost.posts() if post.status == "published"],
            _look(browser, nu, office, "ghost"),
        )
