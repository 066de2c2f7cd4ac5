"""The site in a folder passes the conformance kit; its troubles are those of a disk."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import html5lib
import pytest

from channels.static_site import StaticSiteAdapter, StaticSiteSettings
from channels.static_site import folder as disk
from publisher import clock
from publisher.announcement import Bilingual, Language
from publisher.channel import Outcome, OutcomeUnknown, Rejected, Unavailable
from publisher.render import calendar, house, links
from publisher.render.variant import Edition, render_all
from publisher.testing import sample
from publisher.testing.conformance import AdapterConformance, Step, Trouble

BASE = "https://www.example.org/news/"
HOMES = 3


class TestStaticSite(AdapterConformance):
    """The suite, over a real folder."""

    keyed = True
    troubles = frozenset(
        {Trouble.UNAVAILABLE, Trouble.SIGN_IN_REFUSED, Trouble.LOST_BEFORE, Trouble.LOST_AFTER}
    )

    def start(self, folder: Path) -> None:
        self.folder = folder
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(os, "fsync", lambda handle: None)  # what is proved here needs no power cut

    def stop(self) -> None:
        self.patch.undo()

    def adapter(self, patience: float) -> StaticSiteAdapter:
        return StaticSiteAdapter("website", StaticSiteSettings(folder=self.folder, url=BASE))

    def count(self) -> int:
        """Announcements that the sitemap lists, each with a page of both languages and one in each."""
        path = self.folder / "sitemap.xml"
        return (len(ElementTree.parse(path).getroot()) - HOMES) // 3 if path.exists() else 0

    def inject(self, trouble: Trouble, step: Step) -> None:
        code = errno.EROFS if trouble is Trouble.SIGN_IN_REFUSED else errno.EIO
        if step is Step.FIND:
            self._fail(Path, "read_bytes", code, lambda *_: True)
        elif trouble is Trouble.LOST_BEFORE:
            self._fail(
                Path, "replace", code, lambda _, target: target.name == "site.css" or "zh" in target.parts
            )
        elif trouble is Trouble.LOST_AFTER:
            self._fail(disk, "show", code, lambda *_: True, act=True)
        else:
            self._fail(os, "fsync", code, lambda *_: True)

    def _fail(self, owner: Any, name: str, code: int, when: Callable[..., bool], act: bool = False) -> None:
        """The next call of ``owner.name`` for which ``when`` holds fails, where ``act`` only once it is done."""
        real = getattr(owner, name)

        def failing(*args: Any) -> Any:
            if not when(*args):
                return real(*args)
            self.patch.setattr(owner, name, real)
            if act:
                real(*args)
            raise OSError(code, os.strerror(code))

        self.patch.setattr(owner, name, failing)


# --- What an update and a retraction leave on the disk ------------------------------------------------

ATOM = "{http://www.w3.org/2005/Atom}"
FIRST, SECOND, THIRD = (datetime(2026, 9, day, 1, tzinfo=UTC) for day in (20, 21, 22))


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Sets the clock."""
    return lambda moment: monkeypatch.setattr(clock, "now", lambda: moment)


def site(folder: Path, **settings: Any) -> StaticSiteAdapter:
    return StaticSiteAdapter("website", StaticSiteSettings(folder=folder, url=BASE, **settings))


def payload(adapter: StaticSiteAdapter, number: int = 1, key: str = sample.KEY) -> Any:
    return adapter.prepare(sample.variants(adapter, number, key)[0])


def visible(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def entries(folder: Path, code: str = "en") -> list[ElementTree.Element]:
    return ElementTree.parse(folder / code / "feed.xml").findall(f"{ATOM}entry")


async def test_update__keeps_the_first_day(tmp_path: Path, at: Callable[[datetime], None]) -> None:
    """An update replaces pages and lists; id and first day stay, "updated" moves, also in the sitemap."""
    adapter = site(tmp_path)
    at(FIRST)
    made = await adapter.publish(payload(adapter), "k")
    (before,) = entries(tmp_path)
    at(SECOND)
    changed = await adapter.update(made, payload(adapter, 2))
    (after,) = entries(tmp_path)
    assert (changed.outcome, changed.id, changed.links, changed.at) == (
        made.outcome,
        made.id,
        made.links,
        SECOND,
    )
    assert [after.findtext(ATOM + name) for name in ("id", "published", "updated")] == [
        before.findtext(f"{ATOM}id"), "2026-09-20T01:00:00Z", "2026-09-21T01:00:00Z",
    ]  # fmt: skip
    assert after.findtext(f"{ATOM}title") == "Public Lecture: Cities & Rivers, no. 2"
    assert "<lastmod>2026-09-21T01:00:00Z" in (tmp_path / "sitemap.xml").read_text()
    assert b"SEQUENCE:2" in (tmp_path / "2026-0042" / "event.ics").read_bytes()


async def test_update__without_the_event_calls_it_off(tmp_path: Path) -> None:
    """A correction that has no event any more leaves no calendar file that still invites."""
    adapter = site(tmp_path)
    made = await adapter.publish(payload(adapter), "k")
    plain = render_all(replace(sample.revision(2), event=None), Edition(sample.KEY, 2, FIRST.date()), adapter)
    await adapter.update(made, adapter.prepare(links.fill(plain[0], adapter.links(sample.KEY))))
    for place in ("", "zh/", "en/"):
        assert b"STATUS:CANCELLED" in (tmp_path / f"{place}2026-0042/event.ics").read_bytes()
        assert b"event.ics" not in (tmp_path / f"{place}2026-0042/index.html").read_bytes()


async def test_update__cut_off_anywhere(
    tmp_path: Path, at: Callable[[datetime], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An update cut off at any file is unknown; "found" is said only of the whole, and repeating completes it."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    for number in range(100):
        adapter = site(tmp_path / str(number))
        at(FIRST)
        made = await adapter.publish(payload(adapter), "k")
        at(SECOND)
        calls, real = iter(range(100)), Path.replace

        def failing(self: Path, target: Path) -> Path:
            if next(calls) == number:  # noqa: B023
                raise OSError(errno.EIO, "broken")
            return real(self, target)  # noqa: B023

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Path, "replace", failing)
            try:
                await adapter.update(made, payload(adapter, 2))
            except OutcomeUnknown:
                assert await adapter.find("k", payload(adapter, 2)) is None
            else:
                break
        await adapter.update(made, payload(adapter, 2))
        assert await adapter.find("k", payload(adapter, 2)) is not None
    whole = visible(tmp_path / str(number))
    assert number > 12
    assert all(visible(tmp_path / str(n)) == whole for n in range(number))


@pytest.mark.parametrize("layout", ["paired", "separate"])
async def test_retract__leaves_a_notice(tmp_path: Path, at: Callable[[datetime], None], layout: str) -> None:
    """The address says in both languages that the announcement is withdrawn; no list and no feed names it."""
    adapter = site(tmp_path, layout=layout)
    at(FIRST)
    made = await adapter.publish(payload(adapter), "k")
    kept = await adapter.publish(payload(adapter, key="2026-0043"), "k2")
    at(SECOND)
    gone = await adapter.retract(made)
    assert (gone.outcome, gone.id, gone.links, gone.at) == (made.outcome, made.id, made.links, SECOND)
    for place in {"paired": ["", "zh/", "en/"], "separate": ["zh/"]}[layout]:
        page = (tmp_path / f"{place}2026-0042/index.html").read_text()
        html5lib.HTMLParser(strict=True).parse(page)
        assert "本公告已撤回。" in page and "This announcement has been withdrawn." in page
        assert '<meta name="robots" content="noindex">' in page
        said, data = page.split('<script type="application/ld+json">')
        assert not any(word in said for word in ("周以宁", "Rivers", "canonical"))
        assert "EventCancelled" in data and not any(
            word in data for word in ("周以宁", "Zhou Yining", "canonical")
        )
        event = (tmp_path / f"{place}2026-0042/event.ics").read_bytes()
        assert b"STATUS:CANCELLED\r\n" in event and b"SEQUENCE:1\r\n" in event
        assert b"DTSTAMP:20260921T010000Z\r\n" in event
    for name, data in visible(tmp_path).items():
        if not name.startswith(("_data/2026-0042", "2026-0042", "zh/2026-0042", "en/2026-0042")) and (
            not name.endswith("calendar.ics")  # where it stands as called off
        ):
            assert b"2026-0042" not in data, name
    assert await adapter.find("k2", payload(adapter, key="2026-0043")) == kept


async def test_retract__again_changes_nothing(tmp_path: Path, at: Callable[[datetime], None]) -> None:
    """To retract again a day later leaves every byte; another publication brings no trace of it back."""
    adapter = site(tmp_path)
    at(FIRST)
    made = await adapter.publish(payload(adapter), "k")
    at(SECOND)
    first = await adapter.retract(made)
    before = visible(tmp_path)
    at(THIRD)
    assert await adapter.retract(made) == first
    assert visible(tmp_path) == before
    await adapter.publish(payload(adapter, key="2026-0043"), "k2")
    assert b"2026-0042" not in (tmp_path / "index.html").read_bytes()


async def test_retract__cut_off_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A retraction that breaks off at any file is unknown, and repeating completes it."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    adapter = site(tmp_path)
    made = await adapter.publish(payload(adapter), "k")
    unknown = 0
    for _ in range(100):
        real = Path.replace
        calls = iter(range(100))

        def failing(self: Path, target: Path) -> Path:
            if next(calls) == 1:  # noqa: B023
                raise OSError(errno.EIO, "broken")
            return real(self, target)  # noqa: B023

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Path, "replace", failing)
            try:
                await adapter.retract(made)
                break
            except OutcomeUnknown:
                unknown += 1
    assert unknown > 5
    assert entries(tmp_path) == []
    assert b"withdrawn" in (tmp_path / "en/2026-0042/index.html").read_bytes()


async def test_publish__after_a_retraction(tmp_path: Path, at: Callable[[datetime], None]) -> None:
    """What was withdrawn cannot be corrected, but published anew; then it is listed with its first day again."""
    adapter = site(tmp_path)
    at(FIRST)
    made = await adapter.publish(payload(adapter), "k")
    await adapter.retract(made)
    with pytest.raises(Rejected, match="publish it anew"):
        await adapter.update(made, payload(adapter, 2))
    at(SECOND)
    assert (await adapter.publish(payload(adapter), "k")).outcome is Outcome.CONFIRMED
    (entry,) = entries(tmp_path)
    assert entry.findtext(f"{ATOM}published") == "2026-09-20T01:00:00Z"
    assert entry.findtext(f"{ATOM}updated") == "2026-09-21T01:00:00Z"


async def test_find__each_language_in_a_post_of_its_own(
    tmp_path: Path, at: Callable[[datetime], None]
) -> None:
    """In the layout separate, correcting one language leaves the other one found."""
    adapter = site(tmp_path, layout="separate")
    chinese, english = (adapter.prepare(v) for v in sample.variants(adapter))
    at(FIRST)
    await adapter.publish(chinese, "zh")
    made = await adapter.publish(english, "en")
    at(SECOND)
    newer = adapter.prepare(sample.variants(adapter, 2)[1])
    await adapter.update(made, newer)
    assert await adapter.find("zh", chinese) is not None
    assert await adapter.find("en", newer) is not None
    assert await adapter.find("en", english) is None
    with pytest.raises(Rejected):
        await adapter.update(made, chinese)


async def test_retract__a_record_of_the_version_before(tmp_path: Path) -> None:
    """A site that was published before there were retractions is read as it is."""
    adapter = site(tmp_path)
    made = await adapter.publish(payload(adapter), "k")
    path = tmp_path / "_data" / "2026-0042.json"
    record = json.loads(path.read_bytes())
    del record["withdrawn"]
    path.write_text(json.dumps(record))
    await adapter.retract(made)
    assert entries(tmp_path) == []


async def test_retract__a_damaged_calendar_is_named(tmp_path: Path) -> None:
    """A calendar file that is none stops the retraction before anything is seen."""
    adapter = site(tmp_path)
    made = await adapter.publish(payload(adapter), "k")
    (tmp_path / "en/2026-0042/event.ics").write_bytes(b"\xff\xfe")
    before = visible(tmp_path)
    with pytest.raises(Unavailable, match="damaged"):
        await adapter.retract(made)
    assert visible(tmp_path) == before


def test_cancelled__keeps_all_but_what_says_so() -> None:
    """What was said goes, moment, SEQUENCE and STATUS change, lines stay folded, and a second time nothing does."""
    text = calendar.write(
        replace(sample.revision(), title=Bilingual("长" * 60, "Long, " * 30)), "2026-0042", 3, FIRST.date(),
        tuple(Language), house.load(),
    )  # fmt: skip
    found = calendar.cancelled(text, SECOND)
    assert set(found.split("\r\n")) ^ set(text.split("\r\n")) == {
        "DTSTAMP:20260920T000000Z", "DTSTAMP:20260921T010000Z", "SEQUENCE:4", "SEQUENCE:5", "STATUS:CANCELLED",
        "LAST-MODIFIED:20260920T000000Z", "LAST-MODIFIED:20260921T010000Z", "STATUS:CONFIRMED",
        "CATEGORIES;LANGUAGE=zh-Hans:讲座", "CATEGORIES;LANGUAGE=en:Lecture",
    }  # fmt: skip
    assert calendar.cancelled(found, THIRD) == found
