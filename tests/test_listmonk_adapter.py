"""listmonk, where it is unlike other services: its templates, its unique address, its statuses and its rights."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from channels.doubles import listmonk as service
from channels.doubles.listmonk import ListmonkDouble
from channels.listmonk import ListmonkAdapter, ListmonkSettings
from channels.listmonk.template import SYNTAX
from publisher.channel import (
    AlreadyThere,
    DeliveryError,
    OutcomeUnknown,
    Rejected,
    SignInFailed,
    Unavailable,
    Unsupported,
)
from publisher.testing.exchange import Answer, At, Cut, Response
from tests.newsletter_places import KEY, as_read, changed, open_variant

CAMPAIGNS = "/api/campaigns"
EMPTY = Answer(Response.json({"data": {"results": []}}))


@pytest.fixture
def double(tmp_path: Path) -> Iterator[ListmonkDouble]:
    double = ListmonkDouble(str(tmp_path))
    double.start()
    yield double
    double.stop()


def connected(double: ListmonkDouble, **values: Any) -> ListmonkAdapter:
    """A new adapter, which remembers nothing."""
    known = {
        "url": double.server.url, "username": double.username, "token": double.token, "lists": "3", "template": 2,
    }  # fmt: skip
    return ListmonkAdapter("news", ListmonkSettings.model_validate({**known, **values}))


@pytest.fixture
async def adapter(double: ListmonkDouble) -> AsyncIterator[ListmonkAdapter]:
    adapter = connected(double)
    yield adapter
    await adapter.close()


def statuses(double: ListmonkDouble) -> list[str]:
    """Of every campaign."""
    return [one["status"] for one in double.campaigns()]


NASTY = (
    " {{ .Subscriber.Email }}", " {{{ }}", " a } }} b", " {", ' {{ "{{" }}', " https://x.example/@TrackLink",
    " {@TrackLink", " &lt;script&gt; {&lt;", " {{/* gone */}}", " {{ end",
)  # fmt: skip


@pytest.mark.parametrize("nasty", NASTY)
async def test_text__comes_out_as_it_went_in(
    double: ListmonkDouble, adapter: ListmonkAdapter, nasty: str
) -> None:
    """What people wrote reaches readers letter by letter, though it looks like a template; only the places are filled."""
    variant = open_variant(adapter, subject=nasty, html=nasty, text=unescape(nasty))
    await adapter.publish(adapter.prepare(variant), KEY)
    (campaign,) = double.campaigns()
    assert [mail.address for mail in double.mails()] == double.readers[3]
    for mail in double.mails():
        leave = service.unsubscribe(campaign["uuid"], mail.address)
        assert mail.subject == variant.text("subject").strip()
        assert mail.text == as_read(variant.text("text"), mail.address, leave)
        assert unescape(mail.html) == unescape(as_read(variant.text("html"), mail.address, leave))


@pytest.mark.parametrize(
    "text",
    [
        "a<!--[if mso]><table><tr><td><![endif]-->b",
        'a<!-- "quoted" \\ {{ x }} @TrackLink 中文\n -->{',
        "{<!-- x -->{<!--y-->",
        "<a href='https://link.publisher.invalid/unsubscribe'>{</a>{https://link.publisher.invalid/unsubscribe",
        "<!-- https://link.publisher.invalid/unsubscribe and { -->reader@link.publisher.invalid",
        "",
    ],
)
def test_html__comments_and_places(text: str) -> None:
    """Comments, which Go would drop, are kept, with what is in them."""
    places = {".Subscriber.Email": "a@example.org", "UnsubscribeURL": "https://lists.example.org/x"}
    written = "".join(service._written(SYNTAX.html(text), places, in_html=True))
    assert unescape(written) == as_read(text, "a@example.org", "https://lists.example.org/x")


def test_prepare__no_way_to_unsubscribe(double: ListmonkDouble) -> None:
    """A template of the office's own that forgets the link is refused before approval."""
    adapter = connected(double)
    variant = open_variant(adapter)
    without = re.sub(r"https://link\.publisher\.invalid/unsubscribe", "#", variant.text("html"))
    with pytest.raises(Unsupported, match=r"newsletter/message\.html has no link to unsubscribe"):
        adapter.prepare(changed(variant, "html", without))
    with pytest.raises(Unsupported, match="takes 500"):
        adapter.prepare(changed(variant, "subject", "很" * 501))


async def test_draft__says_all(double: ListmonkDouble, adapter: ListmonkAdapter) -> None:
    """The campaign has the key three times over, both languages, and no archive page."""
    await adapter.publish(adapter.prepare(open_variant(adapter)), KEY)
    (campaign,) = double.campaigns()
    assert (campaign["name"], campaign["archive_slug"], campaign["tags"]) == (KEY, KEY, [KEY])
    assert campaign["headers"] == [{"Content-Language": "zh-Hans, en"}]
    assert (campaign["archive"], campaign["content_type"], campaign["from_email"]) == (False, "html", "")


# --- Once ----------------------------------------------------------------------------------------------------


async def test_publish__made_behind_our_back(double: ListmonkDouble, adapter: ListmonkAdapter) -> None:
    """Where the first look missed a draft, the database refuses its twin, and the draft is gone on with."""
    payload = adapter.prepare(open_variant(adapter))
    double.server.inject(Cut(At.ACTED), method="POST", path=CAMPAIGNS)
    with pytest.raises(Unavailable):
        await adapter.publish(payload, KEY)
    double.server.inject(EMPTY, method="GET", path=CAMPAIGNS)
    await adapter.publish(payload, KEY)
    assert statuses(double) == ["finished"]
    assert len(double.mails()) == len(double.readers[3])


async def test_publish__sent_behind_our_back(double: ListmonkDouble, adapter: ListmonkAdapter) -> None:
    """Where the first look missed a campaign that was sent, nothing is sent again, and the next try finds it."""
    payload = adapter.prepare(open_variant(adapter))
    made = await adapter.publish(payload, KEY)
    double.server.inject(EMPTY, method="GET", path=CAMPAIGNS)
    with pytest.raises(Unavailable, match="appeared meanwhile"):
        await adapter.publish(payload, KEY)
    with pytest.raises(AlreadyThere) as known:
        await adapter.publish(payload, KEY)
    assert known.value.receipt.id == made.id
    assert len(double.mails()) == len(double.readers[3])


async def test_publish__taken_by_one_that_cannot_be_seen(
    double: ListmonkDouble, adapter: ListmonkAdapter
) -> None:
    """A key that is taken where this user cannot look is a person's matter, since it may have been sent."""
    payload = adapter.prepare(open_variant(adapter))
    await adapter.publish(payload, KEY)
    double.server.inject(EMPTY, method="GET", path=CAMPAIGNS, times=2)
    with pytest.raises(Rejected, match="it may have been sent"):
        await adapter.publish(payload, KEY)


async def test_find__other_keys(double: ListmonkDouble, adapter: ListmonkAdapter) -> None:
    """The search finds what has the key somewhere; only what has it as a whole is ours."""
    payload = adapter.prepare(open_variant(adapter))
    await adapter.publish(payload, f"{KEY}-2")
    assert await adapter.find(KEY, payload) is None
    made = await adapter.publish(payload, KEY)
    double.change(made.id, archive_slug="moved")
    assert (await adapter.find(KEY, payload)).id == made.id  # type: ignore[union-attr]


async def test_send__an_hour_was_set(double: ListmonkDouble, adapter: ListmonkAdapter) -> None:
    """Where a person has set an hour meanwhile, the answer says *running* and the receipt the truth."""
    payload = adapter.prepare(open_variant(adapter))
    number = await adapter.service.draft(payload, KEY)
    double.change(number, send_at="2026-10-01T09:00:00+08:00")
    receipt = await adapter._sent(number)
    assert (receipt.outcome, receipt.code) == ("accepted", "scheduled, 0 of 0 sent")
    assert double.mails() == []
    assert await adapter.find(KEY, payload) is not None


async def test_publish__whatever_a_person_changed_in_the_draft(
    double: ListmonkDouble, adapter: ListmonkAdapter
) -> None:
    """A draft that an earlier try left is written anew before it is sent: text, readers, and no hour."""
    payload = adapter.prepare(open_variant(adapter))
    number = await adapter.service.draft(payload, KEY)
    double.change(number, body="Edited", send_at="2026-10-01T09:00:00+08:00", lists=[{"id": 4, "name": "x"}])
    await adapter.publish(payload, KEY)
    assert statuses(double) == ["finished"]
    assert [mail.address for mail in double.mails()] == double.readers[3]
    assert "Edited" not in double.mails()[0].html


async def test_draft__lists_left_out(double: ListmonkDouble) -> None:
    """Lists that listmonk leaves out without a word stop the sending; once they may be seen, the draft goes on."""
    adapter = connected(double, lists="3,5")
    double.hidden = {5}
    payload = adapter.prepare(open_variant(adapter))
    for _ in range(2):
        with pytest.raises(SignInFailed, match=r"leaves out list 5.*NEWS_LISTS"):
            await adapter.publish(payload, KEY)
    assert statuses(double) == ["draft"]
    double.hidden = set()
    await adapter.publish(payload, KEY)
    addresses = [mail.address for mail in double.mails()]
    assert sorted(addresses) == ["jane+news@example.org", "lin@example.org", "tom@example.org"]
    await adapter.close()


async def test_separate__a_campaign_a_language(double: ListmonkDouble) -> None:
    """In the layout separate each language goes to the lists that read it."""
    adapter = connected(double, layout="separate", lists="", lists_zh="4", lists_en="5")
    for index, code in enumerate(("zh", "en")):
        await adapter.publish(adapter.prepare(open_variant(adapter, index=index)), f"{KEY}-{code}")
    got = {(mail.address, re.search(r'<html lang="([\w-]+)"', mail.html)[1]) for mail in double.mails()}  # type: ignore[index]
    assert got == {
        ("lin@example.org", "zh-Hans"), ("wu@example.org", "zh-Hans"), ("jane+news@example.org", "en"),
        ("tom@example.org", "en"),
    }  # fmt: skip
    await adapter.close()


# --- What its answers mean -----------------------------------------------------------------------------------


def said(message: str, status: int) -> Answer:
    """An error of listmonk's."""
    return Answer(Response.json({"message": message}, status))


@pytest.mark.parametrize(
    ("method", "answer", "error", "words"),
    [
        ("GET", said("invalid API credentials", 403), SignInFailed, "correct NEWS_USERNAME and NEWS_TOKEN"),
        ("POST", said("permission denied: campaigns:manage", 403), SignInFailed, "denied: campaigns:manage"),
        ("PUT", said("permission denied: campaigns:send", 403), SignInFailed, "denied: campaigns:send"),
        ("PUT", said("permission denied", 403), SignInFailed, "does not permit this to publisher"),
        ("POST", said("Invalid length for name", 400), Rejected, "Invalid length"),
        ("POST", said("Error creating campaign: pq: connection refused", 500), Unavailable, "500"),
        ("POST", Answer(Response.html("<h1>nginx</h1>", 404)), Unavailable, "404"),
        ("POST", Answer(Response.html("<h1>nginx</h1>", 413)), Rejected, "413"),
        ("POST", Answer(Response.json({"data": True})), Unavailable, "the draft it made"),
        ("PUT", said("Only paused campaigns and drafts can be started.", 400), Rejected, "Only paused"),
        ("PUT", said("Error updating campaign", 500), OutcomeUnknown, "500"),
        ("PUT", Answer(Response.json({"data": {"id": 99, "status": "running"}})), OutcomeUnknown, "not that it sends"),
        ("GET", Answer(Response.json({"data": {"results": [{"id": 1}]}})), Unavailable, "a list of campaigns"),
    ],
)  # fmt: skip
async def test_publish__errors(
    double: ListmonkDouble,
    adapter: ListmonkAdapter,
    method: str,
    answer: Answer,
    error: type[DeliveryError],
    words: str,
) -> None:
    """Each answer ends in the error that says what is next, and nothing is sent."""
    double.server.inject(answer, method=method, path=CAMPAIGNS)
    with pytest.raises(error, match=words):
        await adapter.publish(adapter.prepare(open_variant(adapter)), KEY)
    assert double.mails() == []


async def test_requests__nothing_is_deleted(double: ListmonkDouble, adapter: ListmonkAdapter) -> None:
    """Of all that was sent nothing deletes: the delete of many takes a search, and matches more than one means."""
    payload = adapter.prepare(open_variant(adapter))
    made = await adapter.publish(payload, KEY)
    await adapter.confirm(made, payload)
    await adapter.check()
    assert {one.method for one in double.server.requests} == {"GET", "POST", "PUT"}
    assert not adapter.can_retract
    assert not adapter.can_update


# --- Check and settings --------------------------------------------------------------------------------------


async def test_check__says_what_it_found(double: ListmonkDouble) -> None:
    """One sentence: who, to whom, from whom."""
    adapter = connected(double, lists="3, 5", sender="News <news@example.org>")
    assert await adapter.check() == (
        f"Signed in to listmonk at {adapter.service.host} as publisher; it mails News (2 subscribers), News in English "
        "(2 subscribers) from News <news@example.org>."
    )
    await adapter.close()


@pytest.mark.parametrize(
    ("values", "change", "words"),
    [
        ({"token": "another-token"}, {}, "correct NEWS_USERNAME and NEWS_TOKEN"),
        ({"lists": "9"}, {}, "has no list 9; correct NEWS_LISTS"),
        ({"template": 9}, {}, "has no template 9; correct NEWS_TEMPLATE"),
        ({"template": 1}, {}, "Template 1 on .* has more in it"),
        ({}, {"rights": {"campaigns:get_all", "campaigns:manage", "templates:get"}}, "lacks campaigns:send"),
        ({}, {"rights": {"campaigns:send", "templates:get"}}, "lacks campaigns:get, campaigns:manage"),
        ({}, {"rights": set(service.RIGHTS) - {"templates:get"}}, "denied: templates:get"),
        ({}, {"hidden": {3}}, "does not permit this"),
    ],
)  # fmt: skip
async def test_check__what_is_missing(
    double: ListmonkDouble, values: dict[str, Any], change: dict[str, Any], words: str
) -> None:
    """Whatever would stop a newsletter in the night is said by day, with the setting or the right."""
    for name, value in change.items():
        setattr(double, name, value)
    adapter = connected(double, **values)
    with pytest.raises(SignInFailed, match=words):
        await adapter.check()
    await adapter.close()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"lists": ""}, "Set LISTS"),
        ({"lists": "x"}, "lists"),
        ({"lists": "0"}, "lists"),
        ({"lists_zh": "4"}, "for the layout separate"),
        ({"layout": "separate"}, "set LISTS_ZH and LISTS_EN"),
        ({"layout": "separate", "lists": "", "lists_zh": "4"}, "set LISTS_ZH and LISTS_EN"),
        ({"layout": "separate", "lists": "", "lists_zh": "4", "lists_en": "5,4"}, "twice"),
        ({"url": "http://lists.example.org"}, "https"),
        ({"username": "a:b"}, "username"),
        ({"token": ""}, "token"),
        ({"sender": "nobody"}, "not a mail address"),
        ({"template": 0}, "template"),
    ],
)
def test_settings__refused(values: dict[str, Any], words: str) -> None:
    """A setting that cannot work is named before anything starts."""
    known = {
        "url": "https://l.example.org",
        "username": "a",
        "token": "0123456789",
        "lists": "3",
        "template": 1,
    }
    with pytest.raises(ValidationError, match=words):
        ListmonkSettings.model_validate({**known, **values})


def test_settings__as_people_write_them() -> None:
    """The address of the admin pages will do, and one language in the layout separate is as any other."""
    known = {"username": "a", "token": "0123456789", "template": "1", "layout": "separate", "languages": "en"}
    settings = ListmonkSettings.model_validate(
        {**known, "url": "https://l.example.org/admin/campaigns?page=1", "lists": "3, 4"}
    )
    assert (settings.url, settings.lists) == ("https://l.example.org", (3, 4))
