"""What Ghost is given, before anything is sent."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from channels.ghost import GhostAdapter, GhostSettings
from channels.ghost.payload import _excerpt
from publisher.announcement import Bilingual, Language, Tags
from publisher.channel import Links, Unsupported
from publisher.errors import SettingsError
from publisher.render import links
from publisher.settings import _validated
from tests.ghost_lecture import payload_of, variant_of

KEY = "ab" * 12 + ":" + "cd" * 32


def adapter(**values: object) -> GhostAdapter:
    """An adapter that is connected to nothing."""
    settings = {"url": "https://news.example.org", "admin_key": KEY, **values}
    return GhostAdapter("ghost", GhostSettings(**settings))  # type: ignore[arg-type]


def test_payload__whole() -> None:
    """One card with the approved body, the key as address, tags by language and the marks nobody sees."""
    payload = payload_of(adapter(), 1, ("red", "blue"))
    addresses = {one.name: f"https://news.example.org/content/{one.name}" for one in payload.uploads}
    fields = payload.fields(addresses)
    card = re.fullmatch(
        r"<!--kg-card-begin: html-->\n(.*)\n<!--kg-card-end: html-->", fields["html"], re.DOTALL
    )
    assert card and not links.mentions_token(card[1])
    assert card[1].count("<img ") == 1  # the first picture leads, outside the text
    assert f'href="{addresses[payload.uploads[-1].name]}" type="text/calendar"' in card[1]
    assert payload.slug == "2026-0042"
    assert fields["tags"] == [{"name": name} for name in ("讲座", "Lecture", "#2026-0042", "#zh", "#en")]
    assert fields["feature_image"] == addresses[payload.pictures[0].name]
    assert (fields["feature_image_alt"], fields["canonical_url"]) == ("河流 / A river", None)
    assert payload.calendar and b"URL:" not in payload.calendar.data


def test_payload__one_language() -> None:
    """A site in one language has its own addresses, tags and words."""
    payload = payload_of(adapter(languages="en", layout="separate"), 1, ("red",))
    assert (payload.slug, payload.mark, payload.alt) == ("2026-0042-en", "#2026-0042-en", "A river")
    assert payload.tags == ("Lecture", "#2026-0042-en", "#en")
    assert "讲座" not in payload.title + payload.body.text + payload.excerpt


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (None, ""),
        ("https://news.example.org/2026-0042/", ""),
        ("https://example.org/announcements/2026-0042/", "https://example.org/announcements/2026-0042/"),
    ],
)
def test_payload__canonical(where: str | None, expected: str) -> None:
    """The canonical page is named where it is another one, and left to Ghost where it is the post itself."""
    payload = payload_of(adapter(), where=Links(where) if where else None)
    assert payload.canonical == expected


def test_payload__retraction_knows_no_address() -> None:
    """A request without a known canonical page can still be made, since a retraction needs none."""
    variant = variant_of(adapter())
    unknown = replace(variant.parts["canonical"], data=links.TOKENS["both"].encode())
    assert adapter().prepare(replace(variant, parts={**variant.parts, "canonical": unknown})).canonical == ""


@pytest.mark.parametrize(("longest", "fits"), [(120, True), (121, False)])
def test_title__limit(longest: int, fits: bool) -> None:
    """A title of 255 characters goes; one more is refused before approval, and not cut."""
    title = Bilingual("讲" * longest, "🎉" * 132)
    if fits:
        assert len(payload_of(adapter(), title=title).title) == 255
        return
    with pytest.raises(Unsupported, match="256 characters"):
        payload_of(adapter(), title=title)


SHORT_ZH, SHORT_EN = "本会举办讲座。", "A lecture is held."
LONG_ZH = "本会将于下月举办公开讲座，欢迎各界朋友前来参加，座位有限请提前入场。" * 9
LONG_EN = "The Association holds a lecture in the library, and everybody is welcome to come to it. " * 8


@pytest.mark.parametrize(
    ("zh", "en", "expected"),
    [
        (SHORT_ZH, SHORT_EN, f"{SHORT_ZH} | {SHORT_EN}"),
        (LONG_ZH, SHORT_EN, f"{LONG_ZH[:34]} | {SHORT_EN}"),
        (SHORT_ZH, LONG_EN, f"{SHORT_ZH} | {LONG_EN.partition('. ')[0]}."),
        (SHORT_ZH, "w" * 301, SHORT_ZH),
        ("字" * 301, "w" * 301, ""),
        ("", SHORT_EN, SHORT_EN),
    ],
)
def test_excerpt__fits_by_sentences(zh: str, en: str, expected: str) -> None:
    """At most 300 characters, of whole sentences, of the leading language alone where both have no room."""
    found = _excerpt({"zh": zh, "en": en}, (Language.ZH, Language.EN))
    assert found == expected and len(found) <= 300


@pytest.mark.parametrize("character", ["\x00", "\x0b", "\x9f", "\ufdd0", "\uffff"])
def test_text__what_no_page_can_carry(character: str) -> None:
    """A character that no page may have is named before approval, and not left to Ghost."""
    variant = variant_of(adapter())
    body = variant.parts["body"]
    spoiled = replace(
        variant, parts={**variant.parts, "body": replace(body, data=body.data + character.encode())}
    )
    with pytest.raises(Unsupported, match=f"U\\+{ord(character):04X}"):
        adapter().prepare(spoiled)


def test_tags__are_no_internal_ones() -> None:
    """A hash or a comma in front is taken away, equal tags count once, and too long a one is refused."""
    payload = payload_of(adapter(), tags=Tags(zh=("#讲座", ",讲座"), en=("Lecture", "lecture")))
    assert payload.tags == ("讲座", "Lecture", "#2026-0042", "#zh", "#en")
    with pytest.raises(Unsupported, match="191"):
        payload_of(adapter(), tags=Tags(zh=("字" * 192,)))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"admin_key": "22444f78447824223cefc48062"}, "GHOST_ADMIN_KEY: This is not an Admin API key"),
        ({"admin_key": KEY.upper()}, "GHOST_ADMIN_KEY"),
        ({"url": "http://news.example.org"}, "GHOST_URL: news.example.org must be reached by https"),
        ({"newsletter": "My News"}, "GHOST_NEWSLETTER"),
        ({"retract": "trash"}, "GHOST_RETRACT"),
        ({"layout": "separate"}, "two channels, each with one"),
    ],
)
def test_settings__wrong_ones_are_named(values: dict[str, str], said: str) -> None:
    """Each wrong setting is a sentence that names it, and never repeats the key."""
    with pytest.raises(SettingsError, match=re.escape(said)) as refused:
        _validated(GhostSettings, {"url": "https://news.example.org", "admin_key": KEY, **values}, "GHOST_")
    assert KEY.lower() not in str(refused.value).lower()


@pytest.mark.parametrize(
    "url", ["https://x.example", "https://x.example/", "https://x.example/ghost/", "https://x.example/ghost/#/settings"]
)  # fmt: skip
def test_settings__address_of_the_admin_pages(url: str) -> None:
    """The address may be copied from the browser."""
    assert adapter(url=url).settings.url == "https://x.example"


def test_settings__mail_nobody_unless_asked() -> None:
    """By default Ghost mails nobody, and a retracted post becomes a draft."""
    settings = adapter().settings
    assert (settings.newsletter, settings.retract) == ("", "draft")
