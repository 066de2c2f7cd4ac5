"""What is sent to WordPress, before anything is sent; its errors in words; its content and marks."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from pydantic import ValidationError

from channels.wordpress import WordPressAdapter, WordPressSettings, content, trouble
from channels.wordpress.terms import slug_of
from publisher.announcement import Bilingual, Tags
from publisher.channel import DeliveryError, Rejected, SignInFailed, Unavailable, Unsupported
from publisher.http import Response
from publisher.render.links import needs_link
from publisher.testing import sample
from publisher.testing.exchange import Response as Answered
from tests.wordpress_cases import payloads

REACH = {"url": "https://www.example.org", "username": "office", "application_password": "abcd efgh"}
WORDS = {
    "user": "office", "username": "SITE_USERNAME", "application_password": "SITE_APPLICATION_PASSWORD",
    "url": "SITE_URL", "retract": "SITE_RETRACT", "message": "Sorry",
}  # fmt: skip


def adapter(**more: object) -> WordPressAdapter:
    return WordPressAdapter("website", WordPressSettings(**{**REACH, **more}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("more", "slugs"),
    [
        ({}, ["2026-0042"]), ({"layout": "stacked"}, ["2026-0042"]), ({"languages": "en"}, ["2026-0042-en"]),
        ({"layout": "separate"}, ["2026-0042-zh", "2026-0042-en"]),
    ],
)  # fmt: skip
def test_slug__names_the_language(more: dict[str, object], slugs: list[str]) -> None:
    """The address is the announcement's key; a post in one language says which."""
    found = payloads(adapter(**more))
    assert [one.slug for one in found] == slugs
    assert [bool(one.other) for one in found] == [len(slugs) == 2] * len(slugs)


def test_variant__knows_no_address() -> None:
    """A site that is the canonical channel must not wait for its own address, with an event neither."""
    for variant in sample.variants(adapter(layout="separate")):
        assert not needs_link(variant)
        assert b"\r\nURL:" not in variant.parts["calendar"].data
        assert b"\r\nEND:VEVENT\r\n" in variant.parts["calendar"].data


def test_categories__by_language() -> None:
    """A post in one language has the categories of every post and its own; a post in both only the former."""
    given = {"categories": "公告, News", "categories_zh": "公告，中文", "categories_en": "English"}
    zh, en = payloads(adapter(layout="separate", **given))
    assert (zh.categories, en.categories) == (("公告", "News", "中文"), ("公告", "News", "English"))
    assert payloads(adapter(**given))[0].categories == ("公告", "News")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"type": "page", "categories": "News"}, "pages have no categories"),
        ({"url": "http://www.example.org"}, "https"), ({"username": "a:b"}, "no colon"), ({"retract": "burn"}, "draft"),
    ],
)  # fmt: skip
def test_settings__refused(given: dict[str, str], said: str) -> None:
    """What cannot work is refused before anything starts."""
    with pytest.raises(ValidationError, match=said):
        adapter(**given)


def test_prepare__what_no_page_can_carry() -> None:
    """A control character, a tag that is too long and an address of ours are refused before approval."""
    site = adapter()
    (variant,) = sample.variants(site)
    title = variant.parts["title"]
    for bad in ("a\x08b", "https://link.publisher.invalid/both", " "):
        with pytest.raises(Unsupported):
            site.prepare(
                replace(variant, parts={**variant.parts, "title": replace(title, data=bad.encode())})
            )
    with pytest.raises(Unsupported, match="200 characters"):
        payloads(site, tags=Tags(zh=("长" * 201,), en=()))


def test_picture__other_words_make_another_file() -> None:
    """A picture whose description changed is another file, so that what older posts say of it stays."""
    zh, en = payloads(adapter(layout="separate"))
    stems = [[one.stem for one in payload.pictures.values()] for payload in (zh, en)]
    assert [one.split("-")[0] for one in stems[0]] == [one.split("-")[0] for one in stems[1]]
    assert set(stems[0]).isdisjoint(stems[1])
    assert all(re.fullmatch(r"[0-9a-f]{20}-[0-9a-f]{8}", stem) for stem in stems[0])


def test_title__is_no_html() -> None:
    """What looks like a tag in a title is shown, and does nothing."""
    (payload,) = payloads(adapter(), title=Bilingual("<b>甲</b>", "A & B"))
    assert payload.title == "&lt;b&gt;甲&lt;/b&gt; | A &amp; B"


def test_term__slug() -> None:
    """A Chinese name has a short slug of its own, another one for each of a site's languages."""
    assert re.fullmatch("t-[0-9a-f]{12}", slug_of("公告", {}))
    assert len({slug_of("公告", {}), slug_of("活动", {}), slug_of("公告", {"lang": "zh"})}) == 3


# --- Content ------------------------------------------------------------------------------------------


def test_content__is_known_again() -> None:
    """A post, a notice and the paragraph of the other language are told apart, whatever KSES made of quotes."""
    post = content.written("2026-0042-zh", "<p>x</p>", "<p>other</p>")
    assert content.is_ours(post, "2026-0042-zh") and not content.is_withdrawn(post)
    assert not content.is_ours(post, "2026-0042") and not content.is_ours(post, "2026-0042-en")
    notice = content.notice("2026-0042", "<p>gone</p>")
    assert content.is_ours(notice, "2026-0042") and content.is_withdrawn(notice)
    assert (content.slug_in(post), content.slug_in(notice), content.slug_in("<p>x</p>")) == (
        "2026-0042-zh",
        "2026-0042",
        "",
    )


def test_content__the_other_paragraph() -> None:
    """It is put in, replaced and taken out, and the text around it stays."""
    bare = content.written("2026-0042-zh", "<p>x</p>")
    one = content.with_other(bare, "<p>one</p>")
    assert one == content.written("2026-0042-zh", "<p>x</p>", "<p>one</p>")
    assert content.with_other(one, "<p>two</p>") == content.written("2026-0042-zh", "<p>x</p>", "<p>two</p>")
    assert content.with_other(one, "") == bare


# --- Errors -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "status", "route", "kind", "said"),
    [
        ("rest_not_logged_in", 401, "users", SignInFailed, "new application password .* SITE_APPLICATION_PASSWORD"),
        ("invalid_username", 401, "posts", SignInFailed, "does not know the user office; correct SITE_USERNAME"),
        ("application_passwords_disabled", 501, "users", SignInFailed, "switched off"),
        ("rest_cannot_create", 401, "posts", SignInFailed, "let office in"),
        ("rest_cannot_create", 403, "posts", SignInFailed, "write posts: give the user the role Author or Editor"),
        ("rest_cannot_create", 403, "pages", SignInFailed, "make pages: give the user the role Editor"),
        ("rest_cannot_create", 400, "media", SignInFailed, "upload files"),
        ("rest_cannot_create", 403, "categories", SignInFailed, "lacks a category"),
        ("rest_cannot_publish", 403, "posts", SignInFailed, "let office publish"),
        ("rest_cannot_edit", 403, "posts", SignInFailed, "change this post"),
        ("rest_no_route", 404, "posts", SignInFailed, "SITE_URL"),
        ("rest_upload_sideload_error", 500, "media", Rejected, "does not take this file: Sorry"),
        ("rest_upload_unknown_error", 500, "media", Rejected, "could not keep"),
        ("rest_upload_hash_mismatch", 412, "media", Unavailable, "damaged on the way"),
        ("rest_trash_not_supported", 501, "posts", Rejected, "set SITE_RETRACT"),
        ("empty_content", 400, "posts", Rejected, "empty post"),
    ],
)  # fmt: skip
def test_error__in_words(code: str, status: int, route: str, kind: type[DeliveryError], said: str) -> None:
    """WordPress's codes become sentences that name the setting or the role."""
    made = Answered.json({"code": code, "message": "Sorry", "data": {"status": status}}, status)
    error = trouble.named(Response(status, made.headers, made.body), "www.example.org", route, WORDS)
    assert type(error) is kind and re.search(said, str(error)), error


@pytest.mark.parametrize("code", sorted(trouble.KNOWN))
@pytest.mark.parametrize("route", ["posts", "pages", "media", "tags", "categories", "users"])
def test_error__every_code_has_a_whole_sentence(code: str, route: str) -> None:
    """No sentence has a hole, and each ends with the code, for an administrator who searches for it."""
    made = Answered.json({"code": code, "message": "Sorry"}, 403)
    said = str(trouble.named(Response(403, made.headers, made.body), "www.example.org", route, WORDS))
    assert "{" not in said and said.endswith(f"(403 {code}).")


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"<html>", b'{"code": 7}', b'{"code": "db_insert_error"}', b'{"data": 1}']
)
def test_error__unknown(body: bytes) -> None:
    """What has no meaning of its own is left to its status."""
    assert trouble.named(Response(500, {}, body), "www.example.org", "posts", WORDS) is None
