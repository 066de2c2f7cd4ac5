"""What the newsletter looks like to a mail program: languages marked, styles inline, nothing fetched, small."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree.ElementTree import Element

import html5lib
import pytest

from channels.smtp import SmtpAdapter, SmtpSettings
from publisher.announcement import Bilingual, Language, Passage, Revision
from publisher.channel import Links, Variant
from publisher.errors import TemplateError
from publisher.render import links
from publisher.render.inline import inlined
from publisher.render.links import TOKENS
from publisher.render.plaintext import width
from publisher.render.variant import Edition, render_all


def adapter(**values: object) -> SmtpAdapter:
    known = {"host": "127.0.0.1", "security": "none", "sender": "news@example.org", "to": "list@example.org"}
    return SmtpAdapter("newsletter", SmtpSettings.model_validate({**known, **values}))


def variants(revision: Revision, edition: Edition, **values: object) -> list[Variant]:
    return render_all(revision, edition, adapter(**values))


def body_of(page: str) -> Element:
    found = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(page).find("body")
    assert found is not None
    return found


def runs(element: Element, lang: str = "") -> list[tuple[str, str, Element]]:
    """Every run of text with the nearest ``lang`` above it and the element it stands in."""
    lang = element.get("lang", lang)
    found = [(element.text or "", lang, element)]
    for child in element:
        if isinstance(child.tag, str):
            found += runs(child, lang)
        found.append((child.tail or "", lang, element))
    return [run for run in found if run[0].strip()]


LAYOUTS = [
    {"layout": "paired"},
    {"layout": "paired", "languages": "en,zh"},
    {"layout": "stacked"},
    {"layout": "stacked", "languages": "en,zh"},
    {"layout": "separate"},
    {"languages": "zh"},
    {"languages": "en"},
]


@pytest.fixture(params=LAYOUTS, ids=lambda values: "-".join(str(value) for value in values.values()))
def rendered(request: pytest.FixtureRequest, lecture: Revision, edition: Edition) -> list[Variant]:
    """The lecture in every layout a channel can have."""
    return variants(lecture, edition, **request.param)


def test_html__strictly_well_formed(rendered: list[Variant]) -> None:
    """The strictest parser has nothing to object to."""
    for variant in rendered:
        body_of(variant.text("html"))


def test_html__every_run_has_its_language(rendered: list[Variant]) -> None:
    """Chinese stands under a Chinese tag and English under an English one, to the last label."""
    for variant in rendered:
        for text, lang, _ in runs(body_of(variant.text("html"))):
            if re.search(r"[一-鿿]", text):
                assert lang == "zh-Hans", text
            elif re.search(r"[A-Za-z]{2}", text):
                assert lang == "en", text


def test_html__nothing_is_fetched(rendered: list[Variant]) -> None:
    """No picture, font, script or style sheet is loaded from anywhere; links are absolute."""
    for variant in rendered:
        page = variant.text("html")
        assert not re.search(
            r"(?i)<(?:img|link|script|iframe|object|base)\b|@import|@font-face|url\(|background=", page
        )
        for address in re.findall(r'href="([^"]*)"', page):
            assert address.startswith(("https://", "mailto:", "#")), address
        for anchor in re.findall(r'href="#([^"]*)"', page):
            assert f'id="{anchor}"' in page


def test_html__reads_without_style_sheet(rendered: list[Variant]) -> None:
    """With every <style> dropped, each run still has a face, a size and a colour from style attributes alone."""
    for variant in rendered:
        page = re.sub(r"(?s)<style.*?</style>", "", variant.text("html"))
        body = body_of(page)
        parents = {child: parent for parent in body.iter() for child in parent}
        for text, _, element in runs(body):
            styles = ""
            while element is not body:
                styles += ";" + (element.get("style") or "")
                element = parents[element]
            wanted = {"font-size:"} if "mso-hide" in styles else {"font-family:", "font-size:", "color:"}
            missing = {name for name in wanted if name not in styles.replace(" ", "")}
            assert not missing, (text, missing)


def test_html__enhancements_stay(rendered: list[Variant]) -> None:
    """Phone and dark mode stay in style sheets of their own, well under the 16 KB that Gmail takes; Outlook's too."""
    for variant in rendered:
        page = variant.text("html")
        phone, dark, outlook = re.findall(r'(?s)<style data-css-inline="keep">(.*?)</style>', page)
        assert "max-width: 480px" in phone
        assert "prefers-color-scheme: dark" in dark
        assert "[data-ogsc]" in outlook and "[data-ogsb]" in outlook
        assert len(phone + dark + outlook) < 8_000
        outside = re.sub(r"(?s)<!--\[if [^!].*?<!\[endif\]-->", "", page)
        assert outside.count("<style") == 3  # those, and Outlook's in its comments
        assert '<meta name="color-scheme" content="light dark">' in page
        assert page.count("<!--[if ") == page.count("<![endif]-->") > 3
        # Whatever has a colour in the light has one in the dark.
        for name in ("ink", "dim", "box", "button", "day", "link", "hair", "picture"):
            assert re.search(rf"\.{name}\b", dark)


def test_html__one_button(rendered: list[Variant]) -> None:
    """One button, to the page in the message's own languages."""
    for variant in rendered:
        body = body_of(variant.text("html"))
        buttons = [e for e in body.iter("td") if "button" in (e.get("class") or "").split()]
        assert [a.get("href") for button in buttons for a in button.iter("a")] == [TOKENS[variant.scope]]


def test_html__small(lecture: Revision, edition: Edition) -> None:
    """Forty pairs of long passages stay under 80 kB, where Gmail would cut at about 102."""
    passage = Passage(
        "本会将于十月举办公开讲座，由水文学者主讲。" * 5,
        "On 12 October the Association holds a public lecture. " * 5,
    )
    page = variants(replace(lecture, passages=(passage,) * 40), edition)[0].parts["html"].data
    assert len(page) < 80_000


def test_html__escapes(visit: Revision, edition: Edition) -> None:
    """What an author writes is text: no tag, no entity and no template syntax of theirs is obeyed."""
    nasty = '<script>alert(1)</script> {{ house }} & "quoted" </title><style>*{display:none}</style>'
    changed = replace(visit, title=Bilingual(nasty, nasty), passages=(Passage(nasty, nasty),))
    for layout in ("paired", "stacked"):
        variant = variants(changed, edition, layout=layout)[0]
        page = body_of(variant.text("html"))
        assert not list(page.iter("script")) and not list(page.iter("style"))
        assert "".join(page.itertext()).count(nasty) >= 4
        assert nasty in variant.text("subject")


def test_html__one_language_missing(visit: Revision, edition: Edition) -> None:
    """A passage that one language lacks leaves no empty place behind."""
    passages = (Passage("只有中文。", ""), Passage("", "Only English."))
    variant = variants(replace(visit, passages=passages), edition)[0]
    cells = [e for e in body_of(variant.text("html")).iter("td") if "text-" in (e.get("class") or "")]
    assert ["".join(cell.itertext()) for cell in cells] == ["只有中文。", "Only English."]


def test_html__event_of_several_days(lecture: Revision, edition: Edition) -> None:
    """An event of several days shows first and last day, and its zone."""
    assert lecture.event
    longer = replace(lecture, event=replace(lecture.event, end="2026-10-14T12:00"))
    variant = variants(longer, edition)[0]
    page = "".join(body_of(variant.text("html")).itertext())
    for text in (page, variant.text("text")):
        assert "2026年10月12日（星期一）15:00—2026年10月14日（星期三）12:00" in text
        assert "北京时间" in text and "Beijing time" in text
    assert "12–14" in page


def test_html__link_that_is_no_web_address(lecture: Revision, edition: Edition) -> None:
    """An event's link becomes a link only where it is a web address."""
    assert lecture.event
    strange = replace(lecture, event=replace(lecture.event, link="javascript:alert(1)"))
    assert "javascript:" not in variants(strange, edition)[0].text("html")


def test_html__languages_name_each_other(lecture: Revision, edition: Edition) -> None:
    """In the layout separate each message names the other language's page, in that language."""
    chinese, english = variants(lecture, edition, layout="separate")
    assert TOKENS["en"] in chinese.text("html") and TOKENS["en"] in chinese.text("text")
    assert TOKENS["zh"] in english.text("html") and TOKENS["zh"] in english.text("text")
    assert TOKENS["zh"] not in variants(lecture, edition, languages="en")[0].text("html")


def test_text__measure(rendered: list[Variant]) -> None:
    """No line is wider than 76 columns, and every link stands alone on its line."""
    for variant in rendered:
        filled = links.fill(variant, Links(both="https://www.example.org/announcements/2026-0042/"))
        lines = filled.text("text").splitlines()
        assert all(width(line) <= 76 for line in lines)
        assert any(line == "https://www.example.org/announcements/2026-0042/" for line in lines)
        assert not any(line.endswith(" ") for line in lines)
        assert "\n\n\n\n" not in filled.text("text")


def test_text__order(lecture: Revision, edition: Edition) -> None:
    """Masthead, title, rule, event, text, link and foot follow one another; pairs stand closer than what follows."""
    text = variants(lecture, edition)[0].text("text")
    marks = ["示例国际交流协会", "公开讲座：城市与河流\nPublic Lecture", "\n====", "时间：2026年10月12日（星期一）15:00—17:00（北京时间）",
             "      08:00—10:00（伦敦时间）", "地点：", "When: Monday", "----", "本会将于", "On 12 October", "讲座内容\nWhat you will hear\n\n- 河流",
             "    城市的记忆写在水里。\n\n    A city", "before.\n\n---", "在网站上阅读 · Read on the website:\nhttps://", "示例市和平路1号"]  # fmt: skip
    places = [text.index(mark) for mark in marks]
    assert places == sorted(places)


def test_subject__order(lecture: Revision, edition: Edition) -> None:
    """The leading language comes first in the subject; one language alone has no separator."""
    assert variants(lecture, edition)[0].text("subject") == f"{lecture.title.zh} | {lecture.title.en}"
    assert variants(lecture, edition, languages="en,zh")[0].text("subject").startswith(lecture.title.en)
    assert variants(lecture, edition, languages="en")[0].text("subject") == lecture.title.en


def test_inline__keeps_text_and_fetches_nothing() -> None:
    """Inlining leaves text, languages and addresses alone and reads no file."""
    page = (
        '<!DOCTYPE html><html lang="zh-Hans"><head><style>p { color: #1a1c20 }</style>'
        '<link rel="stylesheet" href="file:///etc/passwd"><link rel="stylesheet" href="http://127.0.0.1:9/x.css"></head>'
        f'<body><p lang="en">R&amp;D &lt;and&gt; “quotes” <a href="{TOKENS["both"]}?a=1&amp;b=2">x</a></p></body></html>'
    )
    found = inlined(page)
    assert 'lang="en" style="color: #1a1c20;"' in found
    assert "R&amp;D &lt;and&gt; “quotes”" in found
    assert f'href="{TOKENS["both"]}?a=1&amp;b=2"' in found


def test_inline__css_that_cannot_be_read() -> None:
    """Broken CSS never takes text with it: it is ignored, or named as the template's fault."""
    try:
        assert "text" in inlined(
            "<html><head><style>p { color: ; } }}} @media {</style></head><body><p>text</p>"
        )
    except TemplateError as error:
        assert "newsletter" in str(error)


def test_scopes__languages_of_parts(lecture: Revision, edition: Edition) -> None:
    """A message in one language holds nothing of the other but its name."""
    english = variants(lecture, edition, languages="en")[0]
    for part in ("text", "subject"):
        assert not re.search(r"[一-鿿]", english.text(part))
    assert english.languages == (Language.EN,)
    assert not re.search(r"[一-鿿]", "".join(body_of(english.text("html")).itertext()))
