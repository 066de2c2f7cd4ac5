"""What a subscriber gets: from the announcement, by way of templates and MIME, to the letter in her language."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path

import pytest

from channels.mailing.adapter import SubscribersAdapter
from channels.mailing.settings import SubscribersSettings
from channels.static_site import StaticSiteAdapter, StaticSiteSettings
from publisher import demo, intake
from publisher.announcement import Bilingual, Language, Markup, Passage, Revision
from publisher.channel import Capabilities, Links, Outcome, Receipt, Variant
from publisher.delivery import Action, Delivery, State
from publisher.engine.deliverer import canonical_links
from publisher.errors import TemplateError
from publisher.proof import Proofs
from publisher.render import house, links
from publisher.render.confirmation import confirmation
from publisher.render.mjml import to_html
from publisher.render.plaintext import addresses_below, width
from publisher.render.variant import Edition, render_all
from publisher.settings import load
from publisher.store import receipts
from publisher.subscriber import Reading
from tests.mailing_letters import MOMENT, content, letter, parsed
from tests.test_newsletter_templates import body_of, runs

SAMPLES = Path(demo.__file__).parent
WHERE = Links(
    "https://www.example.org/a/",
    "https://www.example.org/zh/a/",
    "https://www.example.org/en/a/",
    ("https://www.example.org/pictures/1.jpg?a=1&b=2", "https://www.example.org/pictures/2.jpg"),
)
"""A canonical page with the pictures of the sample."""
RULE = StaticSiteAdapter("website", StaticSiteSettings(folder=Path(), url="https://www.example.org/"))
SCOPES = ("zh", "en", "both")


def adapter(**values: object) -> SubscribersAdapter:
    known = {"host": "127.0.0.1", "security": "none", "sender": "示例协会 <news@example.org>"}
    return SubscribersAdapter("letters", SubscribersSettings.model_validate({**known, **values}))


@pytest.fixture(scope="module")
def bridge() -> tuple[Revision, Mapping[str, bytes]]:
    """A lecture with two pictures, and the pictures."""
    path = SAMPLES / "sample-event.md"
    document = intake.read(path.read_bytes(), path.name, beside=lambda name: (SAMPLES / name).read_bytes())
    return document.revision, {one.sha256: one.data for one in document.pictures}


def variant(bridge: tuple[Revision, Mapping[str, bytes]], edition: Edition, **values: object) -> Variant:
    revision, originals = bridge
    rule = RULE.capabilities.pictures
    (found,) = render_all(revision, edition, adapter(**values), None, originals, rule)
    return found


def composed(what: Variant, scope: str) -> EmailMessage:
    payload = adapter().prepare(what)
    return parsed(payload.composer.compose(letter(scope=scope), MOMENT))


def texts(message: EmailMessage) -> tuple[str, str, str]:
    """Plain text, HTML and calendar of a message."""
    found = {
        part.get_content_type(): content(part).decode() for part in message.walk() if not part.is_multipart()
    }
    return found["text/plain"], found["text/html"], found.get("text/calendar", "")


@pytest.mark.parametrize("layout", ["paired", "stacked"])
@pytest.mark.parametrize("scope", SCOPES)
def test_letter__in_the_readers_language(bridge, edition: Edition, layout: str, scope: str) -> None:  # type: ignore[no-untyped-def]
    """Every scope has its subject, its text, its HTML and its calendar file, and nothing of the other language."""
    title = bridge[0].title
    message = composed(links.fill(variant(bridge, edition, layout=layout), WHERE), scope)
    text, page, calendar = texts(message)
    both = f"{title.zh} | {title.en}"
    assert message["Subject"] == {"zh": title.zh, "en": title.en, "both": both}[scope]
    assert message["Content-Language"] == {"zh": "zh-Hans", "en": "en", "both": "zh-Hans, en"}[scope]
    assert WHERE[scope] in page and WHERE[scope] in text and WHERE[scope] in calendar.replace("\r\n ", "")
    assert "link.publisher.invalid" not in text + page + calendar
    shown = "".join(run for run, _, _ in runs(body_of(page)))
    for code, own in (("zh", "[一-鿿]"), ("en", "[a-z]{3} [a-z]{3}")):
        for said in (text, shown, calendar):
            assert bool(re.search(own, said)) == (scope in (code, "both")), code
    for run, lang, _ in runs(body_of(page)):
        if re.search(r"[一-鿿]", run):
            assert lang == "zh-Hans", run


@pytest.mark.parametrize("scope", SCOPES)
def test_letter__the_way_out(bridge, edition: Edition, scope: str) -> None:  # type: ignore[no-untyped-def]
    """The foot names the reader and ends the subscription, in her language; in the text the link stands alone."""
    one = letter(scope=scope)
    text, page, _ = texts(composed(links.fill(variant(bridge, edition), WHERE), scope))
    words = {"zh": ["退订"], "en": ["Unsubscribe"], "both": ["退订", "Unsubscribe"]}[scope]
    found = ["".join(a.itertext()) for a in body_of(page).iter("a") if a.get("href") == one.unsubscribe]
    assert found == words
    assert text.splitlines()[-1] == one.unsubscribe
    assert text.count(one.address) == page.count(one.address) == len(words)
    assert house.load().address.en in text or scope == "zh"


def test_letter__event_only_where_there_is_one(bridge, edition: Edition) -> None:  # type: ignore[no-untyped-def]
    """Without an event nothing is attached."""
    plain = replace(bridge[0], event=None), bridge[1]
    message = composed(links.fill(variant(plain, edition), WHERE), "both")
    assert texts(message)[2] == ""
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]


def test_letter__to_a_list_has_no_way_out(bridge, edition: Edition) -> None:  # type: ignore[no-untyped-def]
    """A message that is the same for all cannot end the subscription of one."""

    class Plain(SubscribersAdapter):
        @property
        def capabilities(self) -> Capabilities:
            return Capabilities(personal=False)

    (made,) = render_all(bridge[0], edition, Plain("letters", adapter().settings))
    for part in made.parts.values():
        assert links.UNSUBSCRIBE not in part.text and links.READER not in part.text
        assert "退订" not in part.text


def test_letter__of_a_channel_in_one_language(bridge, edition: Edition) -> None:  # type: ignore[no-untyped-def]
    """Where a channel has one language, there is one set of parts, and all get it."""
    made = variant(bridge, edition, languages="en")
    assert set(made.parts) == {"subject", "html", "text", "calendar", "facts"}


# --- pictures ----------------------------------------------------------------------------------------


def pictures_of(page: str) -> list[tuple[dict[str, str], str]]:
    """Every picture's attributes, and where it leads."""
    body = body_of(page)
    return [(dict(img.attrib), a.get("href", "")) for a in body.iter("a") for img in a.iter("img")]


def test_pictures__from_the_published_page(bridge, edition: Edition) -> None:  # type: ignore[no-untyped-def]
    """They are shown from where the page has them, in size, in words and as a link to the page."""
    made = links.fill(variant(bridge, edition), WHERE)
    for scope, part in (("both", "html"), ("zh", "html_zh"), ("en", "html_en")):
        found = pictures_of(made.text(part))
        assert [one["src"] for one, _ in found] == list(WHERE.pictures)
        assert {leads for _, leads in found} == {WHERE[scope]}
        for (one, _), image in zip(found, bridge[0].images, strict=True):
            languages = tuple(Language) if scope == "both" else (Language(scope),)
            assert one["alt"] == image.alt.joined(languages)
            assert int(one["width"]) <= 536 and int(one["height"]) <= 560
            assert "max-width" in one["style"] and "height: auto" in one["style"]
    assert made.pictures == () and made.facts["pictures"] == []


@pytest.mark.parametrize("known", [(), WHERE.pictures[:1], ("ftp://x/1.jpg", "")])
def test_pictures__where_the_address_is_not_known(bridge, edition: Edition, known: tuple[str, ...]) -> None:  # type: ignore[no-untyped-def]
    """The page's own address stands where a picture's is not known, and no place is left open."""
    made = links.fill(variant(bridge, edition), replace(WHERE, pictures=known))
    assert pictures_of(made.text("html"))[-1][0]["src"] == WHERE.both
    assert "link.publisher.invalid/published" not in "".join(part.text for part in made.parts.values())


def test_pictures__the_same_one_twice(bridge, edition: Edition) -> None:  # type: ignore[no-untyped-def]
    """A picture that stands in the text twice has one address."""
    revision, originals = bridge
    first, second = revision.images
    again = replace(revision, images=(first, replace(first, after=1), second))
    made = links.fill(variant((again, originals), edition), WHERE)
    one, two = WHERE.pictures
    assert [found["src"] for found, _ in pictures_of(made.text("html"))] == [one, one, two]


def test_pictures__none_where_none_are_published(bridge, edition: Edition) -> None:  # type: ignore[no-untyped-def]
    """Where the canonical channel takes no pictures, the message has none."""
    (made,) = render_all(bridge[0], edition, adapter(), None, bridge[1])
    assert "<img" not in made.text("html")


async def test_pictures__as_the_site_says(bridge, edition: Edition, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """What the receipt of the page says is what the message shows: files that are there."""
    revision, originals = bridge
    site = StaticSiteAdapter("website", StaticSiteSettings(folder=tmp_path, url="https://www.example.org/"))
    (page,) = render_all(revision, edition, site, None, originals)
    receipt = await site.publish(site.prepare(links.fill(page, site.links(edition.key))), "key")
    assert receipt.links
    shown = pictures_of(links.fill(variant(bridge, edition), receipt.links).text("html"))
    for one, _ in shown:
        assert (tmp_path / one["src"].removeprefix("https://www.example.org/")).is_file()
    assert len({one["src"] for one, _ in shown}) == 2


def test_receipt__keeps_where_pictures_are() -> None:
    """What a channel said of its pictures is stored with its receipt; receipts of before are still read."""
    receipt = Receipt(Outcome.CONFIRMED, "1", WHERE)
    written = receipts.to_json(receipt)
    assert receipts.from_json(written) == receipt
    old = json.loads(written)
    del old["links"]["pictures"]
    read = receipts.from_json(json.dumps(old))
    assert read and read.links == replace(WHERE, pictures=())


@pytest.mark.parametrize("scopes", [("both",), ("zh", "en")])
def test_canonical__pictures_reach_what_links_to_it(scopes: tuple[str, ...]) -> None:
    """Of a page in both languages, and of a page a language, the pictures are those of the first that has them."""
    known = [Links(f"https://x.org/{scope}/", pictures=WHERE.pictures) for scope in scopes]
    found = canonical_links([delivery(scope, one) for scope, one in zip(scopes, known, strict=True)])
    assert found and found.pictures == WHERE.pictures


def delivery(scope: str, where: Links) -> Delivery:
    """A page that is out."""
    receipt = Receipt(Outcome.CONFIRMED, scope, where)
    return Delivery(
        1, f"a-{scope}", "2026-0042", 1, "website", scope, True, Action.PUBLISH, State.CONFIRMED, None, None, 1, 0, 1,
        None, receipt, "",
    )  # fmt: skip


# --- what the officer is told ------------------------------------------------------------------------


def proofs(tmp_path: Path, *, site: bool = True) -> Proofs:
    settings = load(None, {"PUBLISHER_HOME": str(tmp_path)})
    pages = {
        "website": StaticSiteAdapter("website", StaticSiteSettings(folder=tmp_path, url="https://x.org/"))
    }
    return Proofs(settings, {**(pages if site else {}), "letters": adapter()}, lambda: MOMENT)


def test_check__pictures_that_are_shown(bridge, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """That a newsletter shows no pictures is said only where it shows none."""
    for site, said in ((True, []), (False, ["images.unpublished"])):
        found = proofs(tmp_path, site=site).findings_unfiled(bridge[0], ["letters"], bridge[1])
        assert [one.code for one in found if one.code.startswith("images.unpublished")] == said


@pytest.mark.parametrize(("times", "said"), [(20, []), (150, ["fit.clipped"])])
def test_check__a_message_that_gmail_would_clip(
    visit: Revision, tmp_path: Path, times: int, said: list[str]
) -> None:
    """A newsletter of over 100 kB is a warning before approval; a usual one is none."""
    long = replace(visit, passages=visit.passages * times)
    found = proofs(tmp_path).findings_unfiled(long, ["letters"], {})
    assert [one.code for one in found if one.code == "fit.clipped"] == said


def test_letter__small(bridge, edition: Edition) -> None:  # type: ignore[no-untyped-def]
    """The sample with its pictures is far from what Gmail clips, in every layout."""
    for layout in ("paired", "stacked"):
        assert len(variant(bridge, edition, layout=layout).parts["html"].data) < 40_000


# --- the message that asks to confirm ----------------------------------------------------------------

CONFIRM = "https://news.example.org/c/0123456789abcdef-1f-0123456789abcdef0123?a=1&b=2"


@pytest.mark.parametrize("reading", Reading)
def test_confirmation__in_the_readers_language(reading: Reading) -> None:
    """The adapter takes it; it has one button, the address in full, and no second way to press."""
    made = confirmation(reading, house.load(), CONFIRM, "letters")
    assert not [part for part in made.parts.values() if links.mentions_token(part.text)]
    message = composed(made, str(reading))
    text, page, calendar = texts(message)
    assert calendar == ""
    body = body_of(page)
    assert {a.get("href") for a in body.iter("a")} == {CONFIRM}
    assert CONFIRM in text.splitlines()
    assert all(width(line) <= 76 for line in text.splitlines() if line != CONFIRM)
    said = f"{message['Subject']} {''.join(run for run, _, _ in runs(body))}"
    assert "请确认订阅" in said or reading is Reading.EN
    assert "Please confirm" in said or reading is Reading.ZH
    assert bool(re.search("[一-鿿]", said)) == (reading is not Reading.EN)
    assert "<built-in" not in page
    for run, lang, _ in runs(body):
        assert lang == ("zh-Hans" if re.search("[一-鿿]", run) else "en") or not re.search(
            "[A-Za-z]{2}", run
        ), run


def test_confirmation__each_is_another_message() -> None:
    """Asking twice gives two messages, asking with the same address the same one again."""
    keys = [
        confirmation(Reading.BOTH, house.load(), address, "letters").key
        for address in (CONFIRM, CONFIRM, f"{CONFIRM}0")
    ]
    assert len(set(keys)) == 2 and all(re.fullmatch("[a-z0-9-]+", key) for key in keys)


def test_confirmation__an_address_that_is_none() -> None:
    """Nothing but a web address becomes a button."""
    with pytest.raises(ValueError, match="not a web address"):
        confirmation(Reading.ZH, house.load(), "javascript:alert(1)", "letters")


# --- MJML --------------------------------------------------------------------------------------------

_BODY = "<mjml><mj-body><mj-section><mj-column>{}</mj-column></mj-section></mj-body></mjml>"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nothing",
        "<mjml><mj-body>",
        _BODY.format("<mj-text>x"),
        _BODY.format("<mj-nothing>x</mj-nothing>"),
        "<mjml><mj-body><mj-include path='file:///etc/passwd' /></mj-body></mjml>",
    ],
)
def test_mjml__what_cannot_be_read(text: str) -> None:
    """The template is named, and nothing is included from anywhere."""
    with pytest.raises(TemplateError, match=r"newsletter/message\.mjml"):
        to_html(text, "newsletter/message.mjml")


def test_mjml__of_an_office(visit: Revision, edition: Edition, tmp_path: Path) -> None:
    """An office's own template is used, its text escaped; one that is broken is named."""
    own = tmp_path / "templates" / "newsletter" / "message.mjml"
    own.parent.mkdir(parents=True)
    own.write_text(_BODY.format("<mj-text>{{ title.en }}</mj-text>"))
    nasty = replace(visit, title=Bilingual("一", "<mj-raw>&amp; </mj-text>"))
    (made,) = render_all(nasty, edition, adapter(), tmp_path)
    assert "&lt;mj-raw&gt;&amp;amp; &lt;/mj-text&gt;" in made.text("html")
    own.write_text("<mjml>")
    with pytest.raises(TemplateError, match=r"newsletter/message\.mjml"):
        render_all(visit, edition, adapter(), tmp_path)


@pytest.mark.parametrize(
    "nasty",
    [
        "\x0b",
        "\x00",
        "\ufffe",
        "]]>",
        "<![CDATA[",
        "<!--",
        "-->",
        "</mj-text>",
        "<br>",
        "&#11;",
        "&nbsp;",
        "<?x",
        "%>",
    ],
)
def test_mjml__what_an_author_may_write(visit: Revision, edition: Edition, nasty: str) -> None:
    """Nothing in a text is taken for MJML, and no character in it makes the message unreadable."""
    last = Passage("终结句", "The last sentence")
    texts = (Passage(f"甲{nasty}乙", f"A{nasty}B"), last)
    for markup in Markup:
        changed = replace(visit, title=Bilingual(f"题{nasty}", f"T{nasty}"), passages=texts, markup=markup)
        (made,) = render_all(changed, edition, adapter())
        for part in ("html", "html_zh", "html_en"):
            said = [run for run, _, _ in runs(body_of(made.text(part)))]
            assert last.zh in said or last.en in said


# --- links in plain text -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("请报名 (https://x.org/a)。", "请报名。\nhttps://x.org/a"),
        ("See (https://x.org) and again (https://x.org), now.", "See and again, now.\nhttps://x.org"),
        ("- one (https://x.org/1)\n- two", "- one\n  https://x.org/1\n- two"),
        ("1. one (https://x.org/1)", "1. one\n   https://x.org/1"),
        ("https://x.org/a_(b) (see there)", "https://x.org/a_(b) (see there)"),
        ("nothing", "nothing"),
        ("", ""),
    ],
)
def test_addresses_below(text: str, expected: str) -> None:
    """An address in brackets stands below its line; any other text stays."""
    assert addresses_below(text) == expected
