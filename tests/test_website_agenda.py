"""The calendars to subscribe to, and the calendar files of single events, through all that happens to an event."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from channels.static_site import StaticSiteAdapter, StaticSiteSettings
from publisher import clock
from publisher.announcement import Bilingual, Event, Revision, Tags
from publisher.channel import Layout, Receipt
from publisher.render import links
from publisher.render.variant import Edition, render_all
from tests import ical

BASE = "https://www.example.org/news/"
KEY = "2026-0042"
FILES = ("calendar.ics", "zh/calendar.ics", "en/calendar.ics")
DAYS = [datetime(2026, 9, day, 1, 2, 3, tzinfo=UTC) for day in range(20, 30)]
HOSTILE = "a,b;c\\d\r\nATTACH:x\rEND:VEVENT\n\u2028\x85\t\x00🌉👩‍👩‍👧 \\n" + "很长的标题" * 30


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Sets the clock, and switches the syncing of the disk off."""
    monkeypatch.setattr("os.fsync", lambda handle: None)
    return lambda moment: monkeypatch.setattr(clock, "now", lambda: moment)


def site(folder: Path, base: str = BASE, **settings: object) -> StaticSiteAdapter:
    """A site in ``folder``."""
    return StaticSiteAdapter("website", StaticSiteSettings(folder=folder, url=base, **settings))


def payloads(here: StaticSiteAdapter, revision: Revision, number: int = 1, key: str = KEY) -> list:
    """What the site would publish of ``revision``."""
    edition = Edition(key, number, date(2026, 9, 20), DAYS[number - 1])
    return [here.prepare(links.fill(v, here.links(key))) for v in render_all(revision, edition, here)]


async def publish(
    here: StaticSiteAdapter, revision: Revision, number: int = 1, key: str = KEY
) -> list[Receipt]:
    """Publishes all variants."""
    return [await here.publish(each, "k") for each in payloads(here, revision, number, key)]


async def correct(here: StaticSiteAdapter, receipts: list[Receipt], revision: Revision, number: int) -> None:
    """Brings a newer revision out."""
    for receipt, each in zip(receipts, payloads(here, revision, number), strict=True):
        await here.update(receipt, each)


def agenda(folder: Path, file: str = "en/calendar.ics") -> list[ical.Component]:
    """The events of a calendar of the site."""
    return ical.events((folder / file).read_bytes())


def single(folder: Path, place: str = "en/") -> ical.Component:
    """The event of the file beside a page."""
    (event,) = ical.events((folder / f"{place}{KEY}/event.ics").read_bytes())
    return event


@pytest.mark.parametrize("layout", Layout)
async def test_agenda__has_every_event_in_its_language(tmp_path, at, lecture, visit, layout):
    """One calendar a language and one of both, each with what a calendar must and may say, and no plain news."""
    at(DAYS[0])
    here = site(tmp_path, layout=layout)
    await publish(here, lecture)
    await publish(here, visit, key="2026-0043")
    titles = (f"{lecture.title.zh} / {lecture.title.en}", lecture.title.zh, lecture.title.en)
    for file, title in zip(FILES, titles, strict=True):
        whole = ical.read((tmp_path / file).read_bytes())
        assert whole.text("SOURCE") == BASE + file
        assert whole.text("URL") == BASE + file.removesuffix("calendar.ics")
        names = {each.params["LANGUAGE"] for each in whole.all("NAME")}
        assert names == {"zh": {"zh-Hans"}, "en": {"en"}}.get(file[:2], {"zh-Hans", "en"})
        (event,) = agenda(tmp_path, file)
        assert event.text("SUMMARY") == title
        assert event.text("STATUS") == "CONFIRMED"
        assert (event.text("DTSTART"), event.text("DTEND")) == ("20261012T070000Z", "20261012T090000Z")
        assert event.text("CREATED") == event.text("LAST-MODIFIED") == "20260920T010203Z"
        assert event.text("URL") in event.text("DESCRIPTION")
        assert (tmp_path / event.text("URL").removeprefix(BASE) / "index.html").is_file()
    assert agenda(tmp_path)[0].all("CATEGORIES")[0].value == "PublicLecture,Cities"


async def test_uid__is_one_everywhere(tmp_path, at, lecture):
    """All calendars and all single files speak of one event, and none of its files can be mistaken for another's."""
    at(DAYS[0])
    here = site(tmp_path)
    await publish(here, lecture)
    await publish(here, lecture, key="2026-0043")
    mine = {single(tmp_path, place).text("UID") for place in ("", "zh/", "en/")}
    assert len(mine) == 1
    for file in FILES:
        uids = [event.text("UID") for event in agenda(tmp_path, file)]
        assert len(set(uids)) == 2 and mine < set(uids)


async def test_agenda__without_events_is_valid(tmp_path, at, visit):
    """A calendar without an event is one still, so that it can be subscribed to before the first."""
    at(DAYS[0])
    await publish(site(tmp_path), visit)
    for file in FILES:
        assert agenda(tmp_path, file) == []


@pytest.mark.parametrize("languages", ["zh", "en"])
async def test_agenda__of_one_language(tmp_path, at, lecture, languages):
    """A site in one language has one calendar, and nothing of the other."""
    at(DAYS[0])
    await publish(site(tmp_path, languages=languages), lecture)
    assert [str(p.relative_to(tmp_path)) for p in tmp_path.rglob("calendar.ics")] == [
        f"{languages}/calendar.ics"
    ]
    (event,) = agenda(tmp_path, f"{languages}/calendar.ics")
    assert event.text("SUMMARY") == lecture.title[languages]


@pytest.mark.parametrize("layout", [Layout.PAIRED, Layout.SEPARATE])
async def test_life__every_step_outranks_the_one_before(tmp_path, at, lecture, layout):
    """Published, moved, withdrawn, published anew, event taken away, event again: SEQUENCE and DTSTAMP only rise."""
    here = site(tmp_path, layout=layout)
    moved = replace(lecture, event=replace(lecture.event, start="2026-10-13T15:00", end="2026-10-13T17:00"))
    seen = []

    def look(status: str, start: str) -> None:
        for event in (*(agenda(tmp_path, file)[0] for file in FILES), single(tmp_path, "zh/")):
            assert (event.text("STATUS"), event.text("DTSTART")[:8]) == (status, start)
        feed, file = agenda(tmp_path)[0], single(tmp_path)
        seen.append(tuple((int(e.text("SEQUENCE")), e.text("DTSTAMP")) for e in (feed, file)))

    at(DAYS[0])
    receipts = await publish(here, lecture)
    look("CONFIRMED", "20261012")
    at(DAYS[1])
    await correct(here, receipts, moved, 2)
    look("CONFIRMED", "20261013")
    at(DAYS[1].replace(hour=5))
    for receipt in receipts:
        await here.retract(receipt)
    look("CANCELLED", "20261013")
    at(DAYS[2])
    receipts = await publish(here, lecture, 3)
    look("CONFIRMED", "20261012")
    at(DAYS[3])
    await correct(here, receipts, replace(lecture, event=None), 4)
    look("CANCELLED", "20261012")
    at(DAYS[4])
    await correct(here, receipts, moved, 5)
    look("CONFIRMED", "20261013")
    for kind in (0, 1):
        steps = [each[kind] for each in seen]
        assert all(a[0] < b[0] and a[1] < b[1] for a, b in itertools.pairwise(steps)), steps


async def test_life__the_same_revision_published_anew(tmp_path, at, lecture):
    """Even the very revision that was withdrawn outranks its withdrawal in the calendars."""
    here = site(tmp_path)
    at(DAYS[0])
    (receipt,) = await publish(here, lecture)
    at(DAYS[1])
    await here.retract(receipt)
    (gone,) = agenda(tmp_path)
    at(DAYS[2])
    await publish(here, lecture)
    (back,) = agenda(tmp_path)
    assert back.text("STATUS") == "CONFIRMED"
    assert int(back.text("SEQUENCE")) > int(gone.text("SEQUENCE"))
    assert back.text("DTSTAMP") > gone.text("DTSTAMP")


async def test_retracted__says_no_more_than_it_must(tmp_path, at, lecture):
    """What is struck out keeps its name and hours; what was said about it is gone, and repeating changes nothing."""
    here = site(tmp_path)
    at(DAYS[0])
    (receipt,) = await publish(here, lecture)
    at(DAYS[1])
    await here.retract(receipt)
    before = {file: (tmp_path / file).read_bytes() for file in (*FILES, f"en/{KEY}/event.ics")}
    at(DAYS[2])
    await here.retract(receipt)
    assert {file: (tmp_path / file).read_bytes() for file in before} == before
    for data in before.values():
        (event,) = ical.events(data)
        assert event.text("LAST-MODIFIED") == "20260921T010203Z"
        assert not event.all("DESCRIPTION") and not event.all("CATEGORIES")


async def test_separate__one_language_withdrawn(tmp_path, at, lecture):
    """Where only one language's post was withdrawn, its own calendar alone calls the event off."""
    here = site(tmp_path, layout="separate")
    at(DAYS[0])
    zh, _ = await publish(here, lecture)
    at(DAYS[1])
    await here.retract(zh)
    found = {file: agenda(tmp_path, file)[0] for file in FILES}
    assert [found[file].text("STATUS") for file in FILES] == ["CONFIRMED", "CANCELLED", "CONFIRMED"]
    assert found["calendar.ics"].text("URL") == f"{BASE}en/{KEY}/"


@pytest.mark.parametrize(
    ("year", "kept"), [("2027", True), ("2028", True), ("2029", False)], ids=["next", "second", "third"]
)
async def test_agenda__forgets_after_two_years(tmp_path, at, lecture, visit, year, kept):
    """An event leaves the calendar two years after its end, with the first publication from then on."""
    here = site(tmp_path)
    at(DAYS[0])
    await publish(here, lecture)
    at(datetime(int(year), 10, 1, tzinfo=UTC))
    await publish(here, visit, key=f"{year}-0001")
    assert bool(agenda(tmp_path)) is kept


EVENTS = {
    "days": (
        Event("2026-10-12T09:00", "Asia/Shanghai", "2026-10-14T17:00"),
        "20261012T010000Z",
        "20261014T090000Z",
    ),
    "no end": (Event("2026-10-12T09:00", "Asia/Shanghai"), "20261012T010000Z", ""),
    "no length": (Event("2026-10-12T09:00", "Asia/Shanghai", "2026-10-12T09:00"), "20261012T010000Z", ""),
    "west": (
        Event("2026-12-31T20:00", "America/New_York", "2027-01-01T01:00"),
        "20270101T010000Z",
        "20270101T060000Z",
    ),
    "summer": (
        Event("2026-07-01T10:00", "Europe/London", "2026-07-01T11:00"),
        "20260701T090000Z",
        "20260701T100000Z",
    ),
    "winter": (
        Event("2026-12-01T10:00", "Europe/London", "2026-12-01T11:00"),
        "20261201T100000Z",
        "20261201T110000Z",
    ),
    "change": (
        Event("2026-10-24T22:00", "Europe/London", "2026-10-25T04:00"),
        "20261024T210000Z",
        "20261025T040000Z",
    ),
    "half": (
        Event("2026-10-12T09:00", "Asia/Kolkata", "2026-10-12T10:00"),
        "20261012T033000Z",
        "20261012T043000Z",
    ),
}


@pytest.mark.parametrize("name", EVENTS)
async def test_times__are_the_right_instants(tmp_path, at, lecture, name):
    """Across days, zones and changes of the clock, the hours are the same moments everywhere."""
    event, start, end = EVENTS[name]
    at(DAYS[0])
    await publish(site(tmp_path), replace(lecture, event=event))
    for found in (agenda(tmp_path)[0], single(tmp_path)):
        assert (found.text("DTSTART"), found.text("DTEND")) == (start, end)


async def test_online__is_said_where_there_is_no_place(tmp_path, at, lecture):
    """An event with a link and no place is a conference there; a link that is no web address is left out."""
    at(DAYS[0])
    here = site(tmp_path)
    online = Event("2026-10-12T09:00", "Asia/Shanghai", link="https://meet.example.org/会议")
    await publish(here, replace(lecture, event=online))
    assert agenda(tmp_path)[0].text("CONFERENCE") == "https://meet.example.org/%E4%BC%9A%E8%AE%AE"
    await publish(here, replace(lecture, event=replace(online, link="javascript:alert(1)")), 2)
    assert not agenda(tmp_path)[0].all("CONFERENCE")


@pytest.mark.parametrize("name", ["title", "place", "summary", "tags"])
async def test_text__cannot_leave_its_line(tmp_path, at, lecture, name):
    """Commas, semicolons, backslashes, line breaks, emoji and long Chinese stay one value of one property."""
    at(DAYS[0])
    text = HOSTILE.replace("\x85", "").replace(
        "\x00", ""
    )  # which no page carries, so nothing with them goes out
    both = Bilingual(f"中{text}", f"E{text}")
    changed = {
        "title": {"title": both},
        "summary": {"summary": both},
        "place": {"event": replace(lecture.event, place=both)},
        "tags": {"tags": Tags((both.zh,), (both.en,))},
    }[name]
    await publish(site(tmp_path), replace(lecture, **changed))
    meant = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n").replace("\t", "")
    where = {"title": "SUMMARY", "place": "LOCATION", "summary": "DESCRIPTION", "tags": "CATEGORIES"}[name]
    for event in (agenda(tmp_path)[0], single(tmp_path)):
        assert event.all(where)[0].text.startswith(f"E{meant}")
        assert not event.all("ATTACH")


async def test_address__that_is_long_is_folded(tmp_path, at, lecture):
    """A link that is filled in after the sealing is folded as any line is."""
    at(DAYS[0])
    base = f"https://www.example.org/{'long-' * 40}/"
    await publish(site(tmp_path, base), lecture)
    assert single(tmp_path).text("URL") == f"{base}en/{KEY}/"
    assert agenda(tmp_path)[0].text("URL") == f"{base}en/{KEY}/"


async def test_stamp__is_the_moment_of_sealing(tmp_path, at, lecture):
    """DTSTAMP of a single file is the moment it was made, in UTC, and not the day printed on it."""
    at(DAYS[5])
    await publish(site(tmp_path), lecture, 2)
    assert single(tmp_path).text("DTSTAMP") == single(tmp_path).text("LAST-MODIFIED") == "20260921T010203Z"


async def test_record__of_an_earlier_version_is_read(tmp_path, at, lecture):
    """A record without what was added later counts from its revision."""
    here = site(tmp_path)
    at(DAYS[0])
    (receipt,) = await publish(here, lecture, 3)
    path = tmp_path / "_data" / f"{KEY}.json"
    record = json.loads(path.read_bytes())
    for name in ("sequence", "former_event", "image"):
        del record[name]
    path.write_text(json.dumps(record))
    at(DAYS[1])
    await here.retract(receipt)
    assert agenda(tmp_path)[0].text("SEQUENCE") == "5"


@pytest.mark.parametrize("layout", Layout)
def test_second_reader__understands_the_same(tmp_path, at, lecture, layout):
    """A library that others read calendars with finds the same events, without one error."""
    import icalendar

    at(DAYS[0])
    here = site(tmp_path, layout=layout)
    title = Bilingual("讲座，第1讲；🌉" * 9, "Lecture, one; two \\ three")
    receipts = asyncio.run(publish(here, replace(lecture, title=title)))
    for receipt in receipts[:1]:
        asyncio.run(here.retract(receipt))
    for path in tmp_path.rglob("*.ics"):
        data = path.read_bytes()
        read = icalendar.Calendar.from_ical(data)
        (theirs,), (ours,) = read.walk("VEVENT"), ical.events(data)
        assert not theirs.errors and not read.errors
        assert str(theirs["SUMMARY"]) == ours.text("SUMMARY")
        assert theirs["DTSTART"].dt == datetime(2026, 10, 12, 7, tzinfo=UTC)
        assert theirs["DTSTAMP"].dt.tzinfo is not None
        assert str(theirs["UID"]) == ours.text("UID")
        assert str(theirs["STATUS"]) == ours.text("STATUS")
        assert str(theirs.get("DESCRIPTION", "")) == ours.text("DESCRIPTION")
