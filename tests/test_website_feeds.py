"""Atom, JSON Feed and translations of a whole site, each held to the rules of its standard."""

from __future__ import annotations

import asyncio
import html
import io
import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import html5lib
import pytest
from PIL import Image

from channels.static_site import StaticSiteAdapter, StaticSiteSettings
from channels.static_site.pages import Site
from publisher import clock
from publisher.announcement import Bilingual, Language, Tags
from publisher.channel import Layout
from publisher.pictures import take
from publisher.render import links
from publisher.render.variant import Edition, render_all

ATOM = "{http://www.w3.org/2005/Atom}"
MAP = "{http://www.sitemaps.org/schemas/sitemap/0.9}"
XHTML = "{http://www.w3.org/1999/xhtml}"
LANG = "{http://www.w3.org/XML/1998/namespace}lang"
BASE = "https://www.example.org/news/"
TITLE = "公告、“引号”；\\ &amp; <b>粗</b> 🌉 ]]>" * 8
TAGS = {"zh": "zh-Hans", "en": "en"}
# RFC 3339 with a capital T and Z (RFC 4287, 3.3).
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
# RFC 4287, 4.1.1 and 4.1.2: how often an element may be there.
FEED = {"id": (1, 1), "title": (1, 1), "updated": (1, 1), "author": (1, 9), "link": (1, 9), "entry": (0, 999)}
ENTRY = {"id": (1, 1), "title": (1, 1), "updated": (1, 1), "published": (0, 1), "link": (1, 9), "summary": (0, 1),
         "content": (0, 1), "category": (0, 99)}  # fmt: skip


def read_atom(data: bytes) -> ElementTree.Element:
    """The feed. Fails an assertion for everything RFC 4287 does not allow."""
    feed = ElementTree.fromstring(data)
    assert feed.tag == f"{ATOM}feed" and feed.get(LANG) in TAGS.values()
    selves = [link for link in feed.findall(f"{ATOM}link") if link.get("rel") == "self"]
    assert len(selves) == 1
    for element, rules in [(feed, FEED), *((entry, ENTRY) for entry in feed.findall(f"{ATOM}entry"))]:
        names = [child.tag.removeprefix(ATOM) for child in element]
        assert set(names) <= set(rules)
        for name, (least, most) in rules.items():
            assert least <= names.count(name) <= most, name
        assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", element.findtext(f"{ATOM}id"))
        for name in ("updated", "published"):
            if (moment := element.findtext(ATOM + name)) is not None:
                assert MOMENT.fullmatch(moment) and datetime.fromisoformat(moment)
        assert element.findtext(f"{ATOM}title").strip()
        alternates = [link for link in element.findall(f"{ATOM}link") if link.get("rel") == "alternate"]
        kinds = [(link.get("type"), link.get("hreflang")) for link in alternates]
        assert kinds and len(set(kinds)) == len(kinds)
        assert all(
            re.fullmatch(r"https://[!-~]+", link.get("href")) for link in element.findall(f"{ATOM}link")
        )
        assert all(category.get("term") for category in element.findall(f"{ATOM}category"))
        for content in element.findall(f"{ATOM}content"):
            assert content.get("type") == "html" and len(content) == 0 and content.get("src") is None
    for author in feed.findall(f"{ATOM}author"):
        assert author.findtext(f"{ATOM}name").strip()
        assert re.fullmatch(r".+@.+", author.findtext(f"{ATOM}email", "a@b"))
    ids = [element.text for element in feed.iter(f"{ATOM}id")]
    assert len(set(ids)) == len(ids)
    entries = [entry.findtext(f"{ATOM}updated") for entry in feed.findall(f"{ATOM}entry")]
    assert max(entries, default="") <= feed.findtext(f"{ATOM}updated")
    return feed


# jsonfeed.org, version 1.1: the fields we know, their types, and whether they must be there.
STRING, STRINGS = (str,), "strings"
JSON_FEED = {"version": True, "title": True, "home_page_url": False, "feed_url": False, "language": False,
             "authors": False, "items": True}  # fmt: skip
ITEM = {"id": True, "url": False, "title": False, "content_html": False, "summary": False, "image": False,
        "date_published": False, "date_modified": False, "tags": False, "language": False,
        "_announcement": False}  # fmt: skip


def read_json(data: bytes) -> dict[str, Any]:
    """The feed. Fails an assertion for everything jsonfeed.org does not allow."""
    feed: dict[str, Any] = json.loads(data)
    _fields(feed, JSON_FEED)
    assert feed["version"] == "https://jsonfeed.org/version/1.1"
    assert all(author and set(author) <= {"name", "url", "avatar"} for author in feed["authors"])
    for item in feed["items"]:
        _fields(item, ITEM)
        assert "content_html" in item or "content_text" in item
        assert all(MOMENT.fullmatch(item[name]) for name in ("date_published", "date_modified"))
        assert all(isinstance(tag, str) and tag for tag in item.get("tags", []))
        assert {name: type(value) for name, value in item["_announcement"].items()} == {
            "key": str,
            "revision": int,
        }
    ids = [item["id"] for item in feed["items"]]
    assert len(set(ids)) == len(ids)
    return feed


def _fields(found: dict[str, Any], rules: dict[str, bool]) -> None:
    assert {name for name, needed in rules.items() if needed} <= set(found) <= set(rules)
    lists, objects = {"authors", "items", "tags"}, {"_announcement"}
    for name, value in found.items():
        assert isinstance(value, list if name in lists else dict if name in objects else str), name
        assert value or name in ("items", "content_html"), name
        if name.endswith("url") or name == "image":
            assert re.fullmatch(r"https://[!-~]+", value)


@pytest.fixture
def at(monkeypatch):
    """Sets the clock, and switches the syncing of the disk off."""
    monkeypatch.setattr("os.fsync", lambda handle: None)
    return lambda day: monkeypatch.setattr(clock, "now", lambda: datetime(2026, 9, day, 1, tzinfo=UTC))


def site(folder: Path, **settings: object) -> StaticSiteAdapter:
    """A site in ``folder``."""
    return StaticSiteAdapter("website", StaticSiteSettings(folder=folder, url=BASE, **settings))


async def publish(here, revision, key="2026-0042", number=1, only=slice(None)):
    """Publishes the variants; the receipts."""
    made = render_all(revision, Edition(key, number, date(2026, 9, 20)), here)[only]
    return [await here.publish(here.prepare(links.fill(v, here.links(key))), "k") for v in made]


def feeds(folder: Path) -> dict[str, tuple[ElementTree.Element, dict[str, Any]]]:
    """Both feeds of every language, both valid."""
    return {
        path.name: (read_atom((path / "feed.xml").read_bytes()), read_json((path / "feed.json").read_bytes()))
        for path in sorted(folder.iterdir())
        if path.name in TAGS
    }


@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("languages", ["zh,en", "en,zh", "zh", "en"])
async def test_feeds__obey_their_standards(tmp_path, at, lecture, visit, layout, languages):
    """With hostile titles, without tags, with tags twice: both feeds say the same and break no rule."""
    here = site(tmp_path, layout=layout, languages=languages)
    at(20)
    await publish(here, replace(visit, title=Bilingual(TITLE, f"E{TITLE}")))
    at(21)
    await publish(here, replace(lecture, tags=Tags(("一", "一", '"'), ("a", "a", "<"))), "2026-0043")
    found = feeds(tmp_path)
    assert set(found) == set(languages.split(","))
    for code, (atom, feed) in found.items():
        assert feed["language"] == atom.get(LANG) == TAGS[code]
        entries = atom.findall(f"{ATOM}entry")
        assert [e.findtext(f"{ATOM}id") for e in entries] == [item["id"] for item in feed["items"]]
        assert [e.findtext(f"{ATOM}title") for e in entries] == [item["title"] for item in feed["items"]]
        assert feed["items"][1]["title"] == (TITLE if code == "zh" else f"E{TITLE}")
        assert len(entries[0].findall(f"{ATOM}category")) == 2
        assert len(feed["items"][0]["tags"]) == 2 and "tags" not in feed["items"][1]
        named = [(link.get("rel"), link.get("hreflang")) for link in entries[0].findall(f"{ATOM}link")]
        others = [TAGS[other] for other in languages.split(",") if other != code]
        assert named == [("alternate", TAGS[code]), *(("related", tag) for tag in others)]


async def test_feeds__without_entries_are_valid(tmp_path, at, visit):
    """Once all is withdrawn the feeds are empty, valid, and as new as the withdrawal."""
    here = site(tmp_path)
    at(20)
    receipts = await publish(here, visit)
    at(22)
    await here.retract(receipts[0])
    for atom, feed in feeds(tmp_path).values():
        assert not atom.findall(f"{ATOM}entry") and feed["items"] == []
        assert atom.findtext(f"{ATOM}updated") == "2026-09-22T01:00:00Z"
    for path, data in Site(BASE, tuple(Language)).files([]).items():
        if path.endswith("feed.xml"):
            read_atom(data)
        elif path.endswith("feed.json"):
            read_json(data)


async def test_ids__stay_through_everything(tmp_path, at, lecture):
    """Corrected, withdrawn and published anew, an entry keeps its id, and its first day."""
    here = site(tmp_path)
    seen = set()
    for day, number in ((20, 1), (21, 2), (23, 3)):
        at(day)
        receipts = await publish(
            here, replace(lecture, title=Bilingual("题", f"no. {number}")), number=number
        )
        entry = feeds(tmp_path)["en"][0].find(f"{ATOM}entry")
        seen.add((entry.findtext(f"{ATOM}id"), entry.findtext(f"{ATOM}published")))
        assert entry.findtext(f"{ATOM}updated") == f"2026-09-{day}T01:00:00Z"
        if number == 2:
            at(22)
            await here.retract(receipts[0])
    assert len(seen) == 1


async def test_image__is_the_leading_picture(tmp_path, at, lecture):
    """The leading picture is the item's, and that of article and event, by one full address that exists."""
    at(20)
    here, out = site(tmp_path), io.BytesIO()
    Image.new("RGB", (640, 480), (155, 28, 46)).save(out, "PNG")
    taken, kept = take(lecture, lambda name: out.getvalue(), "a.md")
    originals = {one.sha256: one.data for one in kept}
    edition = Edition("2026-0042", 1, date(2026, 9, 20))
    (variant,) = render_all(taken, edition, here, originals=originals)
    await here.publish(here.prepare(links.fill(variant, here.links("2026-0042"))), "k")
    for code, (_, feed) in feeds(tmp_path).items():
        address = feed["items"][0]["image"]
        assert (tmp_path / address.removeprefix(BASE)).is_file()
        page = (tmp_path / code / "2026-0042" / "index.html").read_text()
        graph = json.loads(page.split('<script type="application/ld+json">')[1].split("</script>")[0])[
            "@graph"
        ]
        assert [thing["image"] for thing in graph] == [[address], [address]]


@pytest.mark.parametrize("layout", Layout)
def test_second_reader__understands_the_feed(tmp_path, at, lecture, layout):
    """A library that others read feeds with finds no fault and the same entry."""
    import feedparser

    at(20)
    title = "Bridges & <rivers>"
    asyncio.run(publish(site(tmp_path, layout=layout), replace(lecture, title=Bilingual("桥", title))))
    read = feedparser.parse((tmp_path / "en" / "feed.xml").read_bytes())
    assert not read.bozo and read.version == "atom10"
    (entry,) = read.entries
    assert html.unescape(entry.title) == title
    assert entry.link == f"{BASE}en/2026-0042/"
    assert entry.content[0].type == "text/html" and entry.content[0].language == "en"


def alternates(page: bytes) -> dict[str, str]:
    """A page's translations by language tag."""
    tree = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(page)
    found = tree.findall("head/link[@rel='alternate']")
    return {e.get("hreflang"): e.get("href") for e in found if e.get("hreflang") and not e.get("type")}


@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("languages", ["zh,en", "en,zh", "zh", "en"])
async def test_translations__of_a_whole_site(tmp_path, at, lecture, visit, layout, languages):
    """Every page's translations exist, name themselves and each other, and are those of the sitemap."""
    here = site(tmp_path, layout=layout, languages=languages)
    at(20)
    await publish(here, visit)
    await publish(here, lecture, "2026-0043")
    for receipt in await publish(here, lecture, "2026-0044"):
        await here.retract(receipt)
    pages = {BASE + str(p.relative_to(tmp_path)).removesuffix("index.html"): alternates(p.read_bytes())
             for p in tmp_path.rglob("index.html")}  # fmt: skip
    listed = {}
    for url in ElementTree.parse(tmp_path / "sitemap.xml").getroot():
        named = {e.get("hreflang"): e.get("href") for e in url.findall(f"{XHTML}link")}
        listed[url.findtext(f"{MAP}loc")] = named
    many = "," in languages
    gone = {address for address in pages if "2026-0044" in address}
    # A site in one language has its index at two addresses, and names the one of the language.
    assert set(listed) == set(pages) - gone - (set() if many else {BASE})
    for address, named in pages.items():
        if address in gone or not many:
            assert named == {}
            continue
        assert named == listed[address]
        assert set(named) == {"zh-Hans", "en", "x-default"} and address in named.values()
        assert all(pages[other] == named for other in named.values())


async def test_translations__only_of_what_is_out(tmp_path, at, visit):
    """Where one language's post is out alone, neither sitemap nor feed names the other's."""
    at(20)
    await publish(site(tmp_path, layout="separate"), visit, only=slice(1))
    assert b"en/2026-0042" not in (tmp_path / "sitemap.xml").read_bytes()
    links_of = [link.get("href") for link in feeds(tmp_path)["zh"][0].iter(f"{ATOM}link")]
    assert not [address for address in links_of if "en/2026-0042" in address]
    assert feeds(tmp_path)["en"][1]["items"] == []


def test_frame__offers_every_way_to_subscribe(tmp_path, at, lecture):
    """Each page names feeds and calendar of its languages, to machines and to people."""
    at(20)
    asyncio.run(publish(site(tmp_path), lecture))
    for path in tmp_path.rglob("index.html"):
        tree = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(path.read_bytes())
        named = {
            e.get("type"): e.get("href") for e in tree.findall("head/link[@hreflang='en']") if e.get("type")
        }
        assert set(named) == {"application/atom+xml", "application/feed+json", "text/calendar"}
        shown = [
            e.get("href") for e in tree.findall(".//footer//a") if not e.get("href").startswith("mailto:")
        ]
        for target in (*named.values(), *shown):
            assert (path.parent / target).resolve().is_file(), target
        both = path.relative_to(tmp_path).parts[0] not in TAGS
        assert sum(target.endswith("calendar.ics") for target in shown) == (4 if both else 1)
