"""The Hugo channel against the real program: what was approved is what the built site shows, where it was promised."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import html5lib
import pytest
from PIL import Image as Canvas

from channels.hugo import HugoAdapter, HugoSettings
from publisher.announcement import Bilingual, Image, Language, Markup, Passage, PassageKind, Revision
from publisher.channel import Outcome
from publisher.pictures import keep
from publisher.render import links
from publisher.render.html import to_html
from publisher.render.markdown import escape, to_markdown
from publisher.render.variant import Edition, render_all
from tests.real.servers.hugo import Hugo
from tests.test_markdown_written import SEED, passages, shown, texts

KEY = "2026-0042"
ODD = (
    '{{< youtube x >}} {{% note %}} {{/* x */}} <b>HTML</b> <!--more--> --- "quoted" it\'s 1...2 :smile: $$x$$ [a](b) **c** '
    "www.a_b.org https://example.org/a_b?c=1&copy=2 ~~d~~ | e | {.f}"
)


def by_folder(site: Path) -> HugoAdapter:
    """The channel of a site that has a content folder a language."""
    settings = {"content_zh": "content/zh", "content_en": "content/en"}
    return HugoAdapter("website", HugoSettings(folder=site, url="https://www.example.org/", **settings))


def picture() -> bytes:
    """A photograph's bytes."""
    data = io.BytesIO()
    Canvas.new("RGB", (400, 300), "#336699").save(data, "JPEG")
    return data.getvalue()


async def publish(adapter: HugoAdapter, revision: Revision, originals: dict[str, bytes] | None = None) -> Any:
    """The receipts of a publication, after the check an administrator would make."""
    assert await adapter.check()
    found = render_all(revision, Edition(KEY, 1, date(2026, 9, 20)), adapter, None, originals or {})
    return [
        await adapter.publish(adapter.prepare(links.fill(v, adapter.links(KEY))), f"k-{v.scope}")
        for v in found
    ]


def parsed(path: Path) -> Any:
    """A built page."""
    return html5lib.parse(path.read_bytes(), namespaceHTMLElements=False)


def built(public: Path, address: str) -> Path:
    """The built file of an address."""
    return public / urlsplit(address).path.strip("/") / "index.html"


def text(element: Any) -> str:
    """What a reader sees of it."""
    return " ".join("".join(element.itertext()).split())


def odd(revision: Revision) -> Revision:
    """The lecture with what is no Markdown in it, and pictures."""
    return replace(
        revision,
        markup=Markup.TEXT,
        title=Bilingual("标题：“{{< x >}}” & <b>", 'Title: "{{< x >}}" & <b>'),
        passages=(
            Passage(ODD, ODD),
            Passage("---\n+++\n# 一", "---\n+++\n# one"),
            Passage("二", "two", PassageKind.HEADING, 2),
        ),
    )


@pytest.mark.parametrize("layout", ["paired", "separate"])
async def test_build__pages_are_where_links_say(hugo: Hugo, lecture: Revision, layout: str) -> None:
    """Each language has its page at its address, in its language, naming the other one; files stand beside it."""
    kept = keep(picture(), "river.jpg", "lecture.md")
    image = Image("river.jpg", Bilingual("傍晚的[江岸]", 'The "riverside" at [dusk], R&D'), kept.sha256)
    revision = replace(odd(lecture), images=(image,))
    site = by_folder(hugo.site)
    site = HugoAdapter("website", site.settings.model_copy(update={"layout": layout}))
    await publish(site, revision, {kept.sha256: kept.data})
    public = hugo.build()
    where = site.links(KEY)
    for code, tag in ((Language.ZH, "zh-CN"), (Language.EN, "en")):
        path = built(public, where[code])
        page = parsed(path)
        assert page.get("lang") == tag
        found = {link.get("hreflang"): link.get("href") for link in page.iterfind(".//link[@hreflang]")}
        assert found == {"zh-CN": where.zh, "en": where.en}
        assert page.find(".//link[@rel='canonical']").get("href") == where[code]
        article = page.find(".//article")
        assert text(article.find("h1")) == revision.title[code]
        assert article.find(".//time").get("datetime") == "2026-09-20T00:00:00+08:00"
        said = [" ".join(ODD.split()), f"--- +++ # {'一' if code == 'zh' else 'one'}"]
        assert [text(p) for p in article.iterfind("p")][-2:] == said
        assert text(article.find("h2")) == ("二" if code == "zh" else "two")
        (shot,) = article.iterfind(".//img")
        assert shot.get("alt") == ("傍晚的(江岸)" if code == "zh" else "The “riverside” at (dusk), R&D")
        assert (path.parent / Path(shot.get("src")).name).read_bytes().startswith((b"\xff\xd8", b"\x89PNG"))
        (calendar,) = [a.get("href") for a in article.iterfind(".//a") if a.get("href").endswith(".ics")]
        assert (path.parent / Path(calendar).name).read_bytes().startswith(b"BEGIN:VCALENDAR\r\n")
        mark = json.loads((path.parent / f"announcement.{code}.json").read_bytes())
        assert mark == {"key": KEY, "language": str(code), "revision": 1}


async def test_confirm__seen_once_it_is_built(hugo: Hugo, lecture: Revision) -> None:
    """A page that is written is only accepted; once Hugo has built the site and it is served, it is confirmed."""
    address = f"{hugo.serve()}/"
    hugo.build(base_url=address)
    site = by_folder(hugo.site)
    site = HugoAdapter("website", HugoSettings(**{**site.settings.model_dump(), "url": address}))
    (variant,) = render_all(lecture, Edition(KEY, 1, date(2026, 9, 20)), site)
    payload = site.prepare(links.fill(variant, site.links(KEY)))
    receipt = await site.publish(payload, "k")
    assert (await site.confirm(receipt, payload)).outcome is Outcome.ACCEPTED
    hugo.build(base_url=address)
    assert (await site.confirm(receipt, payload)).outcome is Outcome.CONFIRMED


async def test_build__a_retracted_page_is_gone(hugo: Hugo, lecture: Revision) -> None:
    """Deleted or a draft: the page is not built, nor what stood beside it."""
    for retraction in ("delete", "draft"):
        hugo.reset()
        site = by_folder(hugo.site)
        site = HugoAdapter("website", site.settings.model_copy(update={"retraction": retraction}))
        (receipt,) = await publish(site, lecture)
        assert built(hugo.build(), receipt.links.zh).exists()
        await site.retract(receipt)
        public = hugo.build()
        assert not [p for p in public.rglob("*") if KEY in str(p)], retraction


async def test_build__a_site_below_an_address_and_with_its_own_permalinks(
    hugo: Hugo, lecture: Revision
) -> None:
    """The promised address holds below another one, by file names, and whatever permalinks the site has."""
    config = (
        (hugo.site / "config.toml")
        .read_text()
        .replace('contentDir = "content/zh"\n', "")
        .replace('contentDir = "content/en"\n', "")
    )
    config = config.replace("[languages.zh]\n", '[permalinks]\nnews = "/:year/:title/"\n[languages.zh]\n', 1)
    (hugo.site / "config.toml").write_text(config)
    base = "https://www.example.org/office/"
    settings = HugoSettings(folder=hugo.site, url=base, url_zh=base + "news/{key}/")
    (receipt,) = await publish(HugoAdapter("website", settings), lecture)
    public = hugo.build(base_url=base)
    for code, path in ((Language.ZH, f"news/{KEY}"), (Language.EN, f"en/news/{KEY}")):
        page = parsed(public / path / "index.html")
        assert page.find(".//link[@rel='canonical']").get("href") == receipt.links[code]
        assert receipt.links[code] == f"{base}{path}/"


@pytest.mark.parametrize("marks", ["", "more"])
def test_build__any_text_is_shown_as_typed(hugo: Hugo, marks: str) -> None:
    """Goldmark, with Hugo's own extensions and with more of them on, shows hundreds of odd texts as approved."""
    if marks:
        config = hugo.site / "config.toml"
        config.write_text("enableEmoji = true\n" + config.read_text())
        with (hugo.site / "config.toml").open("a") as file:
            file.write(
                "[markup.goldmark.parser.attribute]\nblock = true\ntitle = true\n"
                + "[markup.goldmark.extensions.passthrough]\nenable = true\n[markup.goldmark.extensions.passthrough.delimiters]\n"
                + "block = [['\\[', '\\]'], ['$$', '$$']]\ninline = [['\\(', '\\)']]\n"
                + "[markup.goldmark.extensions.extras.subscript]\nenable = true\n"
                + "[markup.goldmark.extensions.extras.superscript]\nenable = true\n"
                + "[markup.goldmark.extensions.extras.mark]\nenable = true\n"
            )
    wanted: dict[str, tuple[str, str]] = {}
    for number, typed in enumerate(texts(300)):
        wanted[f"t{number}"] = (escape(typed), " ".join(typed.split()))
    for number, (passage, markup) in enumerate(passages(500)):
        wanted[f"p{number}"] = (
            to_markdown(passage, Language.ZH, markup),
            shown(to_html(passage, Language.ZH, markup)),
        )
    for name, (written, _) in wanted.items():
        (hugo.site / "content" / "en" / f"{name}.md").write_text(f"---\ntitle: x\n---\n\n{written}\n")
    public = hugo.build()
    wrong = []
    for name, (_, typed) in wanted.items():
        article = re.search(
            r"</h1>(.*)</article>", (public / "en" / name / "index.html").read_text(), re.DOTALL
        )
        assert article
        if shown(article[1]) != typed:
            wrong.append((wanted[name][0], typed, shown(article[1])))
    assert not wrong, (SEED, len(wrong), wrong[:3])


ADDRESSES = (
    "https://例子.example:8443/a%zz?b=%&c#%d", "https://example.org:port/", "https://exa mple.org/", "https://[x/", "https://%zz/",
    "mailto:%zz", "tel:+86 10", "https://example.org/?q={{%x%}}", "https://example.org/:smile:", "https://[::1]/x", "https://a@b/",
)  # fmt: skip


def test_build__no_address_stops_it(hugo: Hugo) -> None:
    """An address that Hugo cannot parse is shown as text; as a link it would stop the build of the whole site."""
    written = [to_markdown(Passage("", f"[x](<{url}>)"), Language.EN, Markup.MARKDOWN) for url in ADDRESSES]
    written += [escape(url) for url in ADDRESSES]
    page = "\n\n".join(written)
    (hugo.site / "content" / "en" / "links.md").write_text(f"---\ntitle: x\n---\n\n{page}\n")
    found = [text(p) for p in parsed(hugo.build() / "en" / "links" / "index.html").iterfind(".//article/p")]
    assert found == ["x"] * len(ADDRESSES) + list(ADDRESSES)
