"""schema.org data held to schema.org's own vocabulary, and to what a search engine asks of an event."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import html5lib
import pytest

from channels.static_site import StaticSiteAdapter, StaticSiteSettings
from publisher.announcement import Bilingual, Event, Language, Revision
from publisher.channel import Layout
from publisher.render import house, jsonld, links
from publisher.render.variant import Edition, render_all

VOCABULARY = json.loads((Path(__file__).parent / "vectors" / "schemaorg.json").read_text())
BASE = "https://www.example.org/news/"
KEY = "2026-0042"
ZH, EN = Language.ZH, Language.EN
SCHEMA = "https://schema.org/"


def check(thing: dict[str, Any], known: dict[str, str]) -> None:
    """Fails for a property its type does not have, and for a value of a type the property does not take."""
    kinds = {thing["@type"], *VOCABULARY["supertypes"][thing["@type"]]}
    for name, value in thing.items():
        if name in ("@type", "@id"):
            continue
        facts = VOCABULARY["properties"][name]
        assert kinds & set(facts["domains"]), (thing["@type"], name)
        values = value if isinstance(value, list) else [value]
        assert values and len({json.dumps(each) for each in values}) == len(values), name
        for each in values:
            assert types(each, known) & set(facts["ranges"]), (name, each)
            if isinstance(each, dict) and "@type" in each:
                check(each, known)


def types(value: Any, known: dict[str, str]) -> set[str]:
    """Every type that a value is of."""
    if isinstance(value, dict):
        kind = value.get("@type") or known[value["@id"]]
        return {kind, *VOCABULARY["supertypes"][kind]}
    assert isinstance(value, str) and value, value
    if value.startswith(SCHEMA):
        return {VOCABULARY["members"][value.removeprefix(SCHEMA)]}
    found = {"Text"}
    if re.fullmatch(r"https?://[!-~]+", value):
        found.add("URL")
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", value) and date.fromisoformat(value):
        found.add("Date")
    if "T" in value and re.fullmatch(r"[-+:\dTZ]+", value) and datetime.fromisoformat(value).tzinfo:
        found.add("DateTime")
    return found


def site(layout: Layout = Layout.PAIRED, languages: tuple[Language, ...] = (ZH, EN), folder: str = "unused"):
    """A site that is only rendered."""
    settings = StaticSiteSettings(folder=Path(folder), url=BASE, layout=layout, languages=languages)
    return StaticSiteAdapter("website", settings)


def data(html: bytes) -> dict[str, Any]:
    """The block of a page."""
    tree = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(html)
    (script,) = tree.findall(".//script[@type='application/ld+json']")
    found: dict[str, Any] = json.loads(script.text)
    assert found["@context"] == "https://schema.org"
    return found


def graphs(here: StaticSiteAdapter, revision: Revision, edition: Edition) -> dict[str, list[dict[str, Any]]]:
    """The things each page speaks of, by its address."""
    made = [here.prepare(links.fill(v, here.links(edition.key))) for v in render_all(revision, edition, here)]
    files = {path: page for each in made for path, page in each.files.items() if path.endswith(".html")}
    return {BASE + path.removesuffix("index.html"): data(page)["@graph"] for path, page in files.items()}


def known(pages: dict[str, list[dict[str, Any]]]) -> dict[str, str]:
    """The type of everything that has a name, over all pages."""
    return {thing["@id"]: thing["@type"] for things in pages.values() for thing in things}


EVENT = Event("2026-10-12T15:00", "Asia/Shanghai", "2026-10-12T17:00", Bilingual("馆", "Library"))
REVISIONS = {
    "no event": {"event": None},
    "event": {},
    "no end": {"event": replace(EVENT, end="")},
    "online": {"event": replace(EVENT, place=Bilingual(), link="https://meet.example.org/会")},
    "nowhere": {"event": replace(EVENT, place=Bilingual())},
    "script": {"event": replace(EVENT, place=Bilingual(), link="javascript:alert(1)")},
    "place in one": {"event": replace(EVENT, place=Bilingual("馆", ""))},
    "many": {"organisations": (Bilingual("甲", "A"), Bilingual("乙", "B"), Bilingual("丙", ""))},
    "title in one": {"title": Bilingual("只有中文", "")},
    "hostile": {"title": Bilingual("</script>" * 9, "<!--<script>\u2028 \\ \" '")},
}  # fmt: skip


@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("languages", [(ZH, EN), (EN, ZH), (ZH,), (EN,)], ids=lambda v: "-".join(v))
@pytest.mark.parametrize("name", REVISIONS)
def test_graph__is_of_the_vocabulary(name, languages, layout, lecture):
    """Every property belongs to its type, every value is of a type it takes, every reference leads somewhere."""
    edition = Edition(KEY, 2, date(2026, 9, 20), datetime(2026, 9, 22, 8, tzinfo=UTC))
    pages = graphs(site(layout, languages), replace(lecture, **REVISIONS[name]), edition)
    for things in pages.values():
        for thing in things:
            check(thing, known(pages))


def test_check__finds_what_is_wrong():
    """The judge itself: a property of another type, a value of another type, an empty one, an unknown member."""
    good = {"@type": "Event", "name": "x", "startDate": "2026-10-12T15:00:00+08:00"}
    check(good, {})
    for bad in (
        {"headline": "x"},
        {"startDate": "tomorrow"},
        {"startDate": "2026-10-12T15:00:00"},
        {"name": ""},
        {"location": {"@type": "Organization", "name": "x"}},
        {"eventStatus": f"{SCHEMA}EventPlanned"},
        {"url": "javascript:alert(1)"},
    ):
        with pytest.raises((AssertionError, KeyError, ValueError)):
            check({**good, **bad}, {})


@pytest.mark.parametrize("layout", Layout)
def test_event__has_what_a_search_engine_needs(layout, lecture, edition):
    """Name, start with its offset, place, status; one and the same event on all pages."""
    pages = graphs(site(layout), lecture, edition)
    found = [thing for things in pages.values() for thing in things if thing["@type"] == "Event"]
    assert len(found) == len(pages)
    assert {event["@id"] for event in found} == {f"{site(layout).links(KEY).both}#event"}
    for event in found:
        assert event["startDate"] == "2026-10-12T15:00:00+08:00" and event["endDate"].endswith(
            "17:00:00+08:00"
        )
        assert event["location"]["@type"] == "Place" and event["location"]["address"]
        assert event["eventAttendanceMode"] == f"{SCHEMA}OfflineEventAttendanceMode"
        assert event["eventStatus"] == f"{SCHEMA}EventScheduled"
        assert event["description"] and len(event["organizer"]) == 2
        assert event["mainEntityOfPage"] in pages


@pytest.mark.parametrize(
    ("name", "kind"), [("online", "VirtualLocation"), ("nowhere", None), ("script", None)]
)
def test_event__without_a_place(name, kind, lecture, edition):
    """With a link it is online, at that link; with neither nothing is invented."""
    things = graphs(site(), replace(lecture, **REVISIONS[name]), edition)[f"{BASE}en/{KEY}/"]
    event = things[1]
    assert event.get("location", {}).get("@type") == kind
    mode = event.get("eventAttendanceMode")
    assert mode == (f"{SCHEMA}OnlineEventAttendanceMode" if kind else None)


def test_translation__is_reciprocal(lecture, edition):
    """Each page's article names the other's, and the page of both names none."""
    pages = graphs(site(), lecture, edition)
    zh, en, both = (pages[f"{BASE}{place}{KEY}/"][0] for place in ("zh/", "en/", ""))
    assert zh["workTranslation"]["@id"] == en["@id"] and en["workTranslation"]["@id"] == zh["@id"]
    assert "workTranslation" not in both and both["inLanguage"] == ["zh-Hans", "en"]


@pytest.mark.parametrize(
    ("number", "day", "expected"),
    [(1, 22, None), (2, 22, "2026-09-22T08:00:00+00:00"), (2, 20, None), (2, 19, None)],
)
def test_article__says_when_it_was_corrected(number, day, expected, lecture):
    """Only a revision made after the day of publication is a correction that readers can have missed."""
    edition = Edition(KEY, number, date(2026, 9, 20), datetime(2026, 9, day, 8, tzinfo=UTC))
    article = graphs(site(), lecture, edition)[f"{BASE}en/{KEY}/"][0]
    assert article["datePublished"] == "2026-09-20"
    assert article.get("dateModified") == expected


def test_image__has_a_place(lecture):
    """The pictures' addresses are named by the article and by the event."""
    found = jsonld.graph(lecture, (EN,), house.load(), "2026-09-20", ("2026-10-12T15:00:00+08:00", ""),
                         images=("https://www.example.org/a.jpg",))["@graph"]  # fmt: skip
    for thing in found:
        assert thing["image"] == ["https://www.example.org/a.jpg"]


def test_organizer__names_the_office_once(lecture):
    """An office that names itself among the organisations organises once."""
    office = house.load()
    named = replace(lecture, organisations=(office.name, Bilingual("乙", "B")))
    event = jsonld.graph(named, (EN,), office, "2026-09-20", ("2026-10-12T15:00:00+08:00", ""))["@graph"][1]
    assert [each["name"] for each in event["organizer"]] == [office.name.en, "B"]


@pytest.mark.parametrize("layout", [Layout.PAIRED, Layout.SEPARATE])
async def test_withdrawn__calls_the_event_off(tmp_path, layout, lecture, edition):
    """The notice names the same event, with its old hours, as cancelled; without an event it says nothing."""
    here = site(layout, folder=str(tmp_path))
    before = graphs(here, lecture, edition)
    for variant in render_all(lecture, edition, here):
        receipt = await here.publish(here.prepare(links.fill(variant, here.links(KEY))), "k")
        await here.retract(receipt)
    for address, things in before.items():
        (event,) = data((tmp_path / address.removeprefix(BASE) / "index.html").read_bytes())["@graph"]
        check(event, {})
        for name in ("@id", "name", "startDate", "endDate", "location"):
            assert event[name] == things[1][name]
        assert event["eventStatus"] == f"{SCHEMA}EventCancelled"
        assert event["url"] == address and "description" not in event


async def test_withdrawn__without_an_event(tmp_path, visit, edition):
    """The notice of plain news has no data at all."""
    here = site(folder=str(tmp_path))
    (variant,) = render_all(visit, edition, here)
    await here.retract(await here.publish(here.prepare(links.fill(variant, here.links(KEY))), "k"))
    assert b"ld+json" not in (tmp_path / "en" / KEY / "index.html").read_bytes()
