"""The website's templates: valid, in both languages, and harmless whatever an author writes."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path
from xml.etree import ElementTree

import html5lib
import pytest

from channels.static_site import StaticSiteAdapter, StaticSiteSettings
from publisher.announcement import Bilingual, Event, Language, Revision
from publisher.channel import Layout, Variant
from publisher.render import links
from publisher.render.variant import Edition, render_all

ZH, EN = Language.ZH, Language.EN
LAYOUTS = list(product(Layout, [(ZH, EN), (EN, ZH), (ZH,), (EN,)]))
HOSTILE = "</title></script><script>alert(1)</script><!-- \"'><img src=x onerror=y> & \u2028\u2029 {{ 7*7 }} ]]> <!--<script x"


@cache
def parse(text: str) -> ElementTree.Element:
    """The page's tree; raises for anything the HTML standard calls a parse error."""
    return html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(text)


def adapter(layout: Layout = Layout.PAIRED, languages: tuple[Language, ...] = (ZH, EN)) -> StaticSiteAdapter:
    """A site that is only rendered."""
    settings = StaticSiteSettings(
        folder=Path("unused"), url="https://www.example.org/news", layout=layout, languages=languages
    )
    return StaticSiteAdapter("website", settings)


def variants(site: StaticSiteAdapter, revision: Revision, edition: Edition) -> list[Variant]:
    """What the site gets, with its own links filled in."""
    return [links.fill(v, site.links(v.key)) for v in render_all(revision, edition, site)]


def pages(site: StaticSiteAdapter, revision: Revision, edition: Edition) -> dict[str, str]:
    """Every page by its address."""
    files = [site.prepare(v).files for v in variants(site, revision, edition)]
    found = {path: data.decode() for part in files for path, data in part.items() if path.endswith(".html")}
    return {site.settings.url + path.removesuffix("index.html"): text for path, text in found.items()}


@pytest.mark.parametrize(("layout", "languages"), LAYOUTS)
def test_page__is_valid_html(layout, languages, lecture, visit, edition):
    """Every page of every layout and choice of languages parses without one error."""
    for revision in (lecture, visit):
        for text in pages(adapter(layout, languages), revision, edition).values():
            tree = parse(text)
            assert len(tree.findall(".//h1")) == 1
            assert tree.find(".//main") is not None
            assert "link.publisher.invalid" not in text


@pytest.mark.parametrize(("layout", "languages"), LAYOUTS)
def test_post__stands_alone(layout, languages, lecture, edition):
    """The fragment for other systems is valid by itself and needs no file beside it."""
    for variant in variants(adapter(layout, languages), lecture, edition):
        body = variant.text("body")
        parse(f"<!doctype html><html><head><title>x</title></head><body>{body}</body></html>")
        assert "event.ics" not in body
        assert "<script" not in body
        assert "<style" not in body


@pytest.mark.parametrize(("layout", "languages"), LAYOUTS)
def test_page__names_the_language_of_every_text(layout, languages, lecture, edition):
    """Every run of text stands under a lang of its own language."""
    for text in pages(adapter(layout, languages), lecture, edition).values():
        tree = parse(text)
        for tag, run in runs(tree.find("body"), tree.get("lang")):
            if re.search(r"[\u4e00-\u9fff]", run):
                assert tag == "zh-Hans", run
            elif re.search(r"[A-Za-z]{4,}", run) and run.strip() not in ("Atom", "JSON"):
                assert tag == "en", run


def runs(element: ElementTree.Element, tag: str) -> list[tuple[str, str]]:
    """Each text below ``element`` with the language it is in."""
    tag = element.get("lang", tag)
    found = [(tag, element.text or "")]
    for child in element:
        found += runs(child, tag)
        found.append((tag, child.tail or ""))
    return found


@pytest.mark.parametrize(("layout", "languages"), LAYOUTS)
def test_hreflang__is_reciprocal_and_never_dead(layout, languages, lecture, edition):
    """Alternates name pages that are made, each names itself, and all pages name the same ones."""
    made = pages(adapter(layout, languages), lecture, edition)
    sets = set()
    for address, text in made.items():
        head = parse(text).find("head")
        assert [e.get("href") for e in head.findall("link[@rel='canonical']")] == [address]
        found = [e for e in head.findall("link[@rel='alternate']") if e.get("hreflang") and not e.get("type")]
        named = {e.get("hreflang"): e.get("href") for e in found}
        assert set(named.values()) <= set(made)
        sets.add(tuple(sorted(named.items())))
        if len(languages) > 1:
            assert set(named) == {"zh-Hans", "en", "x-default"}
            assert address in named.values()
    assert len(sets) == 1


@pytest.mark.parametrize(("layout", "languages"), LAYOUTS)
def test_page__leads_to_pages_that_exist(layout, languages, lecture, edition):
    """Every way inside the site ends at a file the site writes."""
    site = adapter(layout, languages)
    files = {p for v in variants(site, lecture, edition) for p in site.prepare(v).files}
    files |= {
        "index.html",
        "site.css",
        "calendar.ics",
        *(f"{c}/{n}" for c in languages for n in ("index.html", "feed.xml", "feed.json", "calendar.ics")),
    }
    for path in (path for path in list(files) if path.endswith(f"{edition.key}/index.html")):
        text = next(
            t
            for a, t in pages(site, lecture, edition).items()
            if a.endswith(f"/{path.removesuffix('index.html')}")
        )
        for element in parse(text).iter():
            target = element.get("href", "")
            if target and not target.startswith(("http", "mailto:", "#")):
                there = (Path("/") / Path(path).parent / target).resolve().relative_to("/")
                assert str(there) in files, (path, target)


@pytest.mark.parametrize(("layout", "languages"), LAYOUTS)
def test_page__hostile_text_stays_text(layout, languages, lecture, edition):
    """Markup in titles, places and summaries is shown, never obeyed, in JSON-LD as well."""
    both = Bilingual(f"中文{HOSTILE}", f"English{HOSTILE}")
    event = replace(lecture.event, place=both, link="javascript:alert(1)")
    hostile = replace(lecture, title=both, summary=both, event=event)
    for text in pages(adapter(layout, languages), hostile, edition).values():
        tree = parse(text)
        scripts = tree.findall(".//script")
        assert [s.get("type") for s in scripts] == ["application/ld+json"]
        data = json.loads(scripts[0].text)
        assert data["@graph"][0]["headline"] == both[languages[0]] or data["@graph"][0]["headline"] in (
            both.zh,
            both.en,
        )
        assert not tree.findall(".//img")
        assert "javascript:" not in {(e.get("href") or "")[:11] for e in tree.iter()}
        assert "{{ 7*7 }}" in "".join(tree.find(".//h1").itertext())


def test_paired__keeps_each_pair_together(lecture, edition):
    """In layout paired every passage stands beside its translation, the leading language first."""
    text = pages(adapter(), lecture, edition)["https://www.example.org/news/2026-0042/"]
    pairs = parse(text).findall(".//div[@class='ann-pairs']/div")
    assert len(pairs) == len(lecture.passages)
    assert all([side.get("lang") for side in pair] == ["zh-Hans", "en"] for pair in pairs)
    assert "讲座内容" in "".join(pairs[1][0].itertext())
    assert "What you will hear" in "".join(pairs[1][1].itertext())


def test_stacked__is_whole_in_each_language(lecture, edition):
    """In layout stacked each language has title, event and text of its own, and the switch leads there."""
    text = pages(adapter(Layout.STACKED), lecture, edition)["https://www.example.org/news/2026-0042/"]
    tree = parse(text)
    halves = tree.findall(".//article")
    assert [half.get("lang") for half in halves] == ["zh-Hans", "en"]
    assert all(half.find("aside") is not None for half in halves)
    targets = {e.get("href") for e in tree.findall(".//nav//a")}
    assert {f"#{half.get('id')}" for half in halves} <= targets


def test_separate__pages_name_each_other(visit, edition):
    """In layout separate each page carries the other's title as a link to it."""
    made = pages(adapter(Layout.SEPARATE), visit, edition)
    assert set(made) == {f"https://www.example.org/news/{c}/2026-0042/" for c in ("zh", "en")}
    assert visit.title.en in made["https://www.example.org/news/zh/2026-0042/"]
    assert visit.title.zh in made["https://www.example.org/news/en/2026-0042/"]
    zh, en = variants(adapter(Layout.SEPARATE), visit, edition)
    assert 'href="https://www.example.org/news/en/2026-0042/" hreflang="en"' in zh.text("body")
    assert 'href="https://www.example.org/news/zh/2026-0042/" hreflang="zh-Hans"' in en.text("body")


def test_one_language__mentions_no_other(lecture, edition):
    """A channel in English alone offers no Chinese page, not even to machines."""
    (text,) = pages(adapter(languages=(EN,)), lecture, edition).values()
    assert "/zh/" not in text
    assert "workTranslation" not in text
    assert not parse(text).findall(".//nav")


def test_title__joins_both_languages(visit, edition):
    """A title in two languages is joined in the channel's order; one language stands alone."""
    (both,) = variants(adapter(languages=(EN, ZH)), visit, edition)
    assert both.text("title") == f"{visit.title.en} | {visit.title.zh}"
    (zh,) = variants(adapter(languages=(ZH,)), visit, edition)
    assert zh.text("title") == visit.title.zh


def test_event_box__shows_both_zones_and_places(lecture, edition):
    """The box has the day, the weekday, the hours of both zones and the place in both languages."""
    text = pages(adapter(), lecture, edition)["https://www.example.org/news/2026-0042/"]
    said = "".join(parse(text).find(".//aside").itertext())
    for word in (
        "12",
        "星期一",
        "Monday",
        "15:00—17:00 北京时间",
        "08:00–10:00 London time",
        "报告厅",
        "Library",
    ):
        assert word in said


@pytest.mark.parametrize(("end", "day"), [("2026-10-14T17:00", "12–14"), ("2026-11-02T17:00", "12")])
def test_event_box__several_days(end, day, lecture, edition):
    """Days of one month are shown as a range; across months the large figure is the first day."""
    event = Event(start="2026-10-12T09:00", end=end, timezone="Asia/Shanghai")
    text = pages(adapter(), replace(lecture, event=event), edition)["https://www.example.org/news/2026-0042/"]
    assert parse(text).find(".//p[@class='ann-day']").text == day
