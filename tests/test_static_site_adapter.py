"""The site in a folder: what is written, what is listed, and what is refused."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime
from importlib.metadata import entry_points
from pathlib import Path
from xml.etree import ElementTree

import html5lib
import pytest
from pydantic import ValidationError

from channels.static_site import SitePayload, StaticSiteAdapter, StaticSiteSettings
from channels.static_site.folder import Folder
from publisher import clock
from publisher.announcement import Bilingual, Language, Revision
from publisher.channel import (
    Layout,
    Links,
    Outcome,
    OutcomeUnknown,
    Picture,
    PictureFormat,
    SignInFailed,
    Unavailable,
    Unsupported,
)
from publisher.render import links
from publisher.render.variant import Edition, render_all

ATOM = "{http://www.w3.org/2005/Atom}"
MAP = "{http://www.sitemaps.org/schemas/sitemap/0.9}"
XHTML = "{http://www.w3.org/1999/xhtml}"
BASE = "https://www.example.org/news/"


def adapter(folder: Path, **settings) -> StaticSiteAdapter:
    """A site in ``folder``."""
    return StaticSiteAdapter("website", StaticSiteSettings(folder=folder, url=BASE, **settings))


def payloads(site, revision, key="2026-0042", dated=date(2026, 9, 20), number=1):
    """What the site would publish of ``revision``."""
    found = render_all(revision, Edition(key, number, dated), site)
    return [site.prepare(links.fill(variant, site.links(key))) for variant in found]


async def publish(site, revision, key="2026-0042", **edition):
    """The receipts of a publication."""
    return [await site.publish(payload, key) for payload in payloads(site, revision, key, **edition)]


def tree(path: Path) -> ElementTree.Element:
    """An HTML file, parsed strictly."""
    return html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(path.read_bytes())


def visible(folder: Path) -> dict[str, bytes]:
    """Every file a web server would show, by relative path."""
    files = [p for p in folder.rglob("*") if p.is_file() and not p.name.startswith(".")]
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


def test_adapter__is_found_by_its_entry_point():
    """The registry finds the adapter where it has always been."""
    (entry,) = entry_points(group="publisher.adapters", name="static_site")
    assert entry.load() is StaticSiteAdapter


async def test_publish__writes_the_whole_site(tmp_path, lecture):
    """A publication writes the pages, the record, the index pages, feeds, sitemap and style sheet."""
    site = adapter(tmp_path)
    (receipt,) = await publish(site, lecture)
    assert receipt.outcome is Outcome.CONFIRMED
    assert receipt.links == Links(f"{BASE}2026-0042/", f"{BASE}zh/2026-0042/", f"{BASE}en/2026-0042/")
    assert set(visible(tmp_path)) == {
        *(f"{scope}2026-0042/{name}" for scope in ("", "zh/", "en/") for name in ("index.html", "event.ics")),
        *("index.html", "zh/index.html", "en/index.html", "site.css", "sitemap.xml"),
        *(f"{code}/feed.{kind}" for code in ("zh", "en") for kind in ("xml", "json")),
        *("calendar.ics", "zh/calendar.ics", "en/calendar.ics"),
        "_data/2026-0042.json",
    }
    assert not [path for path, data in visible(tmp_path).items() if b"link.publisher.invalid" in data]


async def test_publish__can_be_read_by_the_web_server(tmp_path, visit):
    """Files are 0644 and folders 0755, whatever the umask of the worker."""
    before = os.umask(0o077)
    try:
        await publish(adapter(tmp_path / "site"), visit)
    finally:
        os.umask(before)
    found = [tmp_path / "site", *(tmp_path / "site").rglob("*")]
    assert {p.stat().st_mode & 0o777 for p in found if p.is_dir()} == {0o755}
    assert {p.stat().st_mode & 0o777 for p in found if p.is_file() and p.name != ".lock"} == {0o644}


async def test_publish__twice_changes_nothing(tmp_path, lecture, monkeypatch):
    """A repeated attempt leaves every byte as it is, also a day later."""
    site = adapter(tmp_path)
    await publish(site, lecture)
    before = visible(tmp_path)
    monkeypatch.setattr(clock, "now", lambda: datetime(2099, 1, 1, tzinfo=UTC))
    (receipt,) = await publish(site, lecture)
    assert visible(tmp_path) == before
    assert receipt.at.year < 2099


async def test_publish__a_new_revision_keeps_id_and_first_day(tmp_path, visit, monkeypatch):
    """A corrected text keeps its Atom id and its first moment; only "updated" moves."""
    site = adapter(tmp_path)
    monkeypatch.setattr(clock, "now", lambda: datetime(2026, 9, 20, tzinfo=UTC))
    await publish(site, visit)
    monkeypatch.setattr(clock, "now", lambda: datetime(2026, 9, 21, tzinfo=UTC))
    first = ElementTree.fromstring(visible(tmp_path)["en/feed.xml"]).find(f"{ATOM}entry")
    await publish(site, replace(visit, title=Bilingual("更正", "Correction")), number=2)
    second = ElementTree.fromstring(visible(tmp_path)["en/feed.xml"]).find(f"{ATOM}entry")
    for name in ("id", "published"):
        assert first.findtext(ATOM + name) == second.findtext(ATOM + name)
    assert second.findtext(f"{ATOM}updated") == "2026-09-21T00:00:00Z"
    assert second.findtext(f"{ATOM}title") == "Correction"


async def test_index__lists_newest_first(tmp_path, visit, lecture):
    """The index names every announcement, the newest first, in each of its pages."""
    site = adapter(tmp_path)
    await publish(site, visit, "2026-0041", dated=date(2025, 12, 30))
    await publish(site, lecture, "2026-0042")
    for path, count in (("index.html", 4), ("zh/index.html", 2), ("en/index.html", 2)):
        page = tree(tmp_path / path)
        found = [e.get("href") for e in page.findall(".//p[@class='list-name']/a")]
        assert len(found) == count
        assert "2026-0042" in found[0] and "2026-0041" in found[-1]
        assert all((tmp_path / path).parent.joinpath(href).resolve().is_file() for href in found)
        assert [e.text for e in page.findall(".//h2")] == ["2026", "2025"]


@pytest.mark.parametrize("layout", Layout)
async def test_feeds__are_complete(tmp_path, lecture, layout):
    """Atom and JSON Feed have every element they must have, one language each."""
    site = adapter(tmp_path, layout=layout)
    await publish(site, lecture)
    for code, tag in (("zh", "zh-Hans"), ("en", "en")):
        atom = ElementTree.parse(tmp_path / code / "feed.xml").getroot()
        assert atom.get("{http://www.w3.org/XML/1998/namespace}lang") == tag
        (entry,) = atom.findall(f"{ATOM}entry")
        for element in (atom, entry):
            assert element.findtext(f"{ATOM}id").startswith("urn:uuid:")
            assert element.findtext(f"{ATOM}title")
            assert datetime.fromisoformat(element.findtext(f"{ATOM}updated")).tzinfo
        assert atom.find(f"{ATOM}author/{ATOM}name").text
        assert atom.find(f"{ATOM}link[@rel='self']").get("href") == f"{BASE}{code}/feed.xml"
        assert entry.find(f"{ATOM}link[@rel='alternate']").get("href") == f"{BASE}{code}/2026-0042/"
        assert "<li>" in entry.findtext(f"{ATOM}content")
        feed = json.loads((tmp_path / code / "feed.json").read_bytes())
        assert feed["version"] == "https://jsonfeed.org/version/1.1"
        (item,) = feed["items"]
        assert item["id"] == entry.findtext(f"{ATOM}id")
        assert item["title"] == lecture.title[code] == entry.findtext(f"{ATOM}title")
        assert item["content_html"].strip() == entry.findtext(f"{ATOM}content").strip()


@pytest.mark.parametrize("layout", Layout)
async def test_sitemap__is_reciprocal(tmp_path, visit, layout):
    """Every address of the sitemap is a page that exists, and its translations name it in return."""
    await publish(adapter(tmp_path, layout=layout), visit)
    named = {}
    for url in ElementTree.parse(tmp_path / "sitemap.xml").getroot():
        address = url.findtext(f"{MAP}loc")
        named[address] = {e.get("href") for e in url.findall(f"{XHTML}link")}
        assert (tmp_path / address.removeprefix(BASE) / "index.html").is_file()
    assert len(named) == (5 if layout is Layout.SEPARATE else 6)
    assert all(address in others and others <= set(named) for address, others in named.items())


@pytest.mark.parametrize(
    ("languages", "layout", "expected"),
    [
        ("zh,en", "paired", Links(f"{BASE}2026-0042/", f"{BASE}zh/2026-0042/", f"{BASE}en/2026-0042/")),
        ("en,zh", "separate", Links(f"{BASE}en/2026-0042/", f"{BASE}zh/2026-0042/", f"{BASE}en/2026-0042/")),
        ("en", "stacked", Links(f"{BASE}en/2026-0042/", "", f"{BASE}en/2026-0042/")),
    ],
)
async def test_links__are_where_the_pages_are(tmp_path, visit, languages, layout, expected):
    """What links() promises beforehand is written afterwards."""
    site = adapter(tmp_path, languages=languages, layout=layout)
    assert site.links("2026-0042") == expected
    await publish(site, visit)
    for address in {expected.both, expected.zh, expected.en} - {""}:
        assert (tmp_path / address.removeprefix(BASE) / "index.html").is_file()


async def test_site__in_one_language_is_whole(tmp_path, lecture):
    """A site in English alone has an index at its root, and nothing of Chinese."""
    await publish(adapter(tmp_path, languages="en"), lecture)
    assert not (tmp_path / "zh").exists()
    for path in ("index.html", "en/index.html"):
        (name,) = tree(tmp_path / path).findall(".//p[@class='list-name']/a")
        assert (tmp_path / path).parent.joinpath(name.get("href")).resolve().is_file()


async def test_site__hostile_titles_break_nothing(tmp_path, visit):
    """Index, feeds and sitemap stay well-formed whatever a title says."""
    text = "</title><script>alert(1)</script> ]]> & \"'\u2028{{ 7*7 }}"
    await publish(adapter(tmp_path), replace(visit, title=Bilingual(f"中{text}", f"E{text}")))
    for path in ("index.html", "zh/index.html", "en/index.html"):
        assert not tree(tmp_path / path).findall(".//script")
    entry = ElementTree.parse(tmp_path / "en" / "feed.xml").find(f"{ATOM}entry")
    assert entry.findtext(f"{ATOM}title") == f"E{text}"
    ElementTree.parse(tmp_path / "sitemap.xml")


@pytest.mark.parametrize("character", ["\x00", "\x0b", "\x1b", "\x85", "\ufdd0", "\uffff", "\U0001ffff"])
def test_prepare__refuses_what_no_page_can_carry(tmp_path, visit, character):
    """Control characters are found before approval, with their name."""
    broken = replace(visit, title=Bilingual("标题", f"Title{character}"))
    with pytest.raises(Unsupported, match=f"U\\+{ord(character):04X}"):
        payloads(adapter(tmp_path), broken)


def test_prepare__refuses_a_page_without_address(tmp_path, visit, edition):
    """A page whose own address is not filled in never gets out."""
    site = adapter(tmp_path)
    (variant,) = render_all(visit, edition, site)
    with pytest.raises(Unsupported, match="address"):
        site.prepare(variant)


@pytest.mark.parametrize("key", ["../../etc", "2026-42", "2026-0042/..", "2026-0042\n", ""])
def test_prepare__builds_no_path_from_a_wrong_key(tmp_path, visit, edition, key):
    """Only an announcement's key becomes a path."""
    site = adapter(tmp_path)
    (variant,) = render_all(visit, edition, site)
    filled = links.fill(variant, site.links("2026-0042"))
    with pytest.raises(Unsupported, match="key"):
        site.prepare(replace(filled, key=key))


def test_prepare__touches_nothing(tmp_path, visit):
    """Preparing is pure: no folder appears."""
    payloads(adapter(tmp_path / "site"), visit)
    assert not (tmp_path / "site").exists()


@pytest.mark.parametrize(
    "url",
    ["file:///srv", "ftp://example.org/", "example.org", "https://a.example/?x=1", "https://u:p@a.example/"],
)
def test_settings__refuse_what_is_no_web_address(tmp_path, url):
    """Only a plain http(s) address is taken, and the refusal does not repeat it."""
    with pytest.raises(ValidationError) as refusal:
        StaticSiteSettings(folder=tmp_path, url=url)
    assert refusal.value.error_count() == 1


def test_settings__describe_themselves():
    """Every setting has a description for the wizard and the reference page."""
    assert all(field.description for field in StaticSiteSettings.model_fields.values())


async def test_find__knows_what_is_published(tmp_path, visit):
    """Nothing is found before, the same receipt after, and nothing again once a page differs."""
    site = adapter(tmp_path)
    (payload,) = payloads(site, visit)
    assert await site.find("k", payload) is None
    receipt = await site.publish(payload, "k")
    assert await site.find("k", payload) == receipt
    (tmp_path / "en" / "2026-0042" / "index.html").write_text("changed")
    assert await site.find("k", payload) is None


async def test_find__half_a_publication_is_none(tmp_path, visit):
    """A page that no list names is not published yet; publishing again completes it."""
    site = adapter(tmp_path)
    (payload,) = payloads(site, visit)
    await site.publish(payload, "k")
    (tmp_path / "sitemap.xml").unlink()
    assert await site.find("k", payload) is None
    assert await site.publish(payload, "k") == await site.find("k", payload)


async def test_check__writes_and_leaves_nothing(tmp_path):
    """The check makes the folder, says where the site is, and publishes nothing."""
    folder = tmp_path / "a" / "site"
    said = await adapter(folder).check()
    assert str(folder) in said and BASE in said
    assert visible(folder) == {}


async def test_check__a_folder_that_cannot_be(tmp_path):
    """A file where the folder should be is named, with the system's reason."""
    (tmp_path / "site").write_text("")
    with pytest.raises(Unavailable, match="site"):
        await adapter(tmp_path / "site" / "below").check()


@pytest.mark.parametrize(("code", "raised"), [(errno.ENOSPC, Unavailable), (errno.EROFS, SignInFailed)])
async def test_publish__a_disk_that_fails_shows_nothing(tmp_path, visit, lecture, monkeypatch, code, raised):
    """Where the disk fails while files are staged, the site stays as it was, without leftovers."""
    site = adapter(tmp_path)
    await publish(site, visit, "2026-0041")
    before = visible(tmp_path)
    calls = iter(range(1000))
    real = os.fsync

    def failing(handle):
        if next(calls) >= 7:
            raise OSError(code, os.strerror(code))
        real(handle)

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(raised, match=os.strerror(code).lower()):
        await publish(site, lecture)
    assert visible(tmp_path) == before
    assert not list(tmp_path.rglob("*.part"))


async def test_publish__failing_half_way_is_unknown(tmp_path, visit, monkeypatch):
    """Once something may be seen, the outcome is unknown, and reconciling says "not there"."""
    site = adapter(tmp_path)
    (payload,) = payloads(site, visit)
    real, calls = Path.replace, iter(range(1000))

    def failing(self, target):
        if next(calls) == 4:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(self, target)

    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(OutcomeUnknown):
        await site.publish(payload, "k")
    assert await site.find("k", payload) is None


async def test_publish__a_damaged_record_is_named(tmp_path, visit, lecture):
    """A record that cannot be read stops the publication before anything is seen."""
    site = adapter(tmp_path)
    await publish(site, visit, "2026-0041")
    (tmp_path / "_data" / "2026-0041.json").write_text("{")
    with pytest.raises(Unavailable, match=r"2026-0041\.json"):
        await publish(site, lecture)
    assert not (tmp_path / "2026-0042").exists()


async def test_publish__an_offices_broken_template_shows_nothing(tmp_path, visit):
    """A template that fails stops the publication before anything is seen."""
    office = tmp_path / "office"
    (office / "templates" / "website").mkdir(parents=True)
    (office / "templates" / "website" / "index.html").write_text("{{ nothing }}")
    settings = StaticSiteSettings(folder=tmp_path / "site", url=BASE)
    site = StaticSiteAdapter("website", settings, office)
    with pytest.raises(Unavailable, match=r"index\.html"):
        await publish(site, visit)
    assert visible(tmp_path / "site") == {}


async def test_publish__other_tasks_at_once_lose_nothing(tmp_path, visit):
    """Many publications in one process end with all of them listed."""
    keys = [f"2026-{number:04}" for number in range(10)]
    await asyncio.gather(*(publish(adapter(tmp_path), visit, key) for key in keys))
    assert len(tree(tmp_path / "zh" / "index.html").findall(".//p[@class='list-name']")) == 10


PREPARE = """
import asyncio, os, shutil, signal, sys
from datetime import date
from pathlib import Path
from channels.static_site import SitePayload, StaticSiteAdapter, StaticSiteSettings
from publisher.announcement import Bilingual, Passage, Revision
from publisher.render import links
from publisher.render.variant import Edition, render_all

def payload(site, key):
    revision = Revision(Bilingual("公告", "Notice"), (Passage("正文。" * 50, "Text. " * 50),))
    (variant,) = render_all(revision, Edition(key, 1, date(2026, 9, 20)), site)
    return site.prepare(links.fill(variant, site.links(key)))

def site(folder):
    return StaticSiteAdapter("website", StaticSiteSettings(folder=folder, url="https://www.example.org/news/"))
"""

PUBLISH_TEN = """
here = site(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for number in range(10):
    asyncio.run(here.publish(payload(here, f"{sys.argv[2]}-{number:04}"), "k"))
"""


def test_publish__two_processes_lose_nothing(tmp_path):
    """Two processes that publish ten announcements each leave an index, feeds and a sitemap of twenty."""
    command = [sys.executable, "-c", PREPARE + PUBLISH_TEN, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    both = [subprocess.Popen([*command, year], **pipes) for year in ("2025", "2026")]
    for process in both:
        assert process.stdout.readline() == b"ready\n"
    for process in both:
        process.stdin.write(b"go\n")
        process.stdin.flush()
    for process in both:
        process.communicate()
        assert process.returncode == 0
    assert len(tree(tmp_path / "index.html").findall(".//p[@class='list-name']")) == 40
    assert len(ElementTree.parse(tmp_path / "en" / "feed.xml").findall(f"{ATOM}entry")) == 20
    assert len(ElementTree.parse(tmp_path / "sitemap.xml").getroot()) == 3 + 3 * 20
    assert len(Folder(tmp_path).records()) == 20


DIE = """
# One child for each sync of the disk and each change of a name, killed there; their number is the answer.
number, base = 0, Path(sys.argv[1])
asyncio.run(site(base / "base").publish(payload(site(base), "2026-0001"), "k"))
while True:
    number += 1
    child = os.fork()
    if child:
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
            break
        continue
    shutil.copytree(base / "base", base / str(number))
    here, count = site(base / str(number)), 0
    def deadly(real):
        def call(*args):
            global count
            count += 1
            if count == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args)
        return call
    os.fsync, Path.replace = deadly(os.fsync), deadly(Path.replace)
    asyncio.run(here.publish(payload(here, "2026-0002"), "k"))
    os._exit(0)
print(number)
"""


async def test_publish__killed_anywhere_shows_no_half_file(tmp_path):
    """Killed at any step of the disk, every file seen is whole, and publishing again completes the site."""
    ended = subprocess.run(
        [sys.executable, "-c", PREPARE + DIE, str(tmp_path)], capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    number = int(ended.stdout)
    assert number > 20
    namespace: dict = {}
    exec(PREPARE, namespace)
    for folder in (tmp_path / str(n) for n in range(1, number)):
        site = namespace["site"](folder)
        payload = namespace["payload"](site, "2026-0002")
        for path, data in visible(folder).items():
            whole(path, data)
            assert payload.files.get(path, data) == data
        if await site.find("k", payload) is None:
            await site.publish(payload, "k")
        assert (folder / "en" / "index.html").read_text().count('class="list-name"') == 2


def whole(path: str, data: bytes) -> None:
    """Asserts that a file is complete."""
    if path.endswith(".json"):
        json.loads(data)
    elif path.endswith(".xml"):
        ElementTree.fromstring(data)
    elif path.endswith(".html"):
        assert data.rstrip().endswith(b"</html>")
    elif path.endswith(".ics"):
        assert data.endswith(b"END:VCALENDAR\r\n")
    else:
        assert path == "site.css" and data.rstrip().endswith(b"}")


def test_languages__are_in_the_order_of_the_channel(tmp_path):
    """The leading language decides what "both" means where no page has both."""
    site = adapter(tmp_path, languages="en,zh", layout="separate")
    assert site.settings.languages == (Language.EN, Language.ZH)
    assert site.links("2026-0042").both == site.links("2026-0042").en


# --- pictures -----------------------------------------------------------------------------------------


def _picture(seed: int) -> Picture:
    data = b"picture %d" % seed
    digest = hashlib.sha256(data).hexdigest()
    return Picture(digest, PictureFormat.JPEG, 640, 480, Bilingual("图", "A picture"), data)


async def test_pictures__shown_once_and_gone_with_their_last_page(tmp_path: Path, visit: Revision) -> None:
    """A picture of two announcements is one file; it stays while one of them is out, and a stranger's file always."""
    site = StaticSiteAdapter(
        "site", StaticSiteSettings(folder=tmp_path / "site", url="https://www.example.org/news/")
    )
    shared, own = _picture(1), _picture(2)
    folder = tmp_path / "site" / "pictures"

    def payload(key: str, *pictures: Picture) -> SitePayload:
        (variant,) = render_all(visit, Edition(key, 1, date(2026, 9, 20)), site)
        shown = "".join(f'<img src="{links.picture(p.name)}">' for p in pictures).encode()
        body = replace(variant.parts["body_zh"], data=shown)
        sealed = replace(variant, parts={**variant.parts, "body_zh": body}, pictures=pictures)
        return site.prepare(links.fill(sealed, site.links(key)))

    one, two = payload("2026-0001", shared, own), payload("2026-0002", shared)
    first, second = await site.publish(one, "a"), await site.publish(two, "b")
    assert {p.name for p in folder.iterdir()} == {shared.name, own.name}
    assert f"https://www.example.org/news/pictures/{own.name}" in one.record.content["zh"]
    (folder / "stranger.jpg").write_bytes(b"not ours")
    await site.retract(first)
    assert {p.name for p in folder.iterdir()} == {shared.name, "stranger.jpg"}
    assert await site.find("b", two)
    await site.update(second, payload("2026-0002", own))
    assert {p.name for p in folder.iterdir()} == {own.name, "stranger.jpg"}
    await site.retract(second)
    assert {p.name for p in folder.iterdir()} == {"stranger.jpg"}
