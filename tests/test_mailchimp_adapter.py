"""Mailchimp, where it is unlike other services: content apart, a checklist, segments, and few requests at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from channels.doubles.mailchimp import MailchimpDouble
from channels.mailchimp import MailchimpAdapter, MailchimpSettings
from channels.mailchimp import service as wire
from publisher import clock
from publisher.channel import DeliveryError, OutcomeUnknown, Rejected, SignInFailed, Throttled, Unavailable
from publisher.http import HttpClient
from publisher.testing.exchange import Answer, At, Cut, Response
from tests.newsletter_places import KEY, open_variant

CAMPAIGNS = "/3.0/campaigns"
FIRST = f"{CAMPAIGNS}/0000000001"
KNOWN = {"api_key": "0123456789abcdef0123456789abcdef-us19", "sender": "News <news@example.org>"}


@pytest.fixture
def double(tmp_path: Path) -> Iterator[MailchimpDouble]:
    double = MailchimpDouble(str(tmp_path))
    double.start()
    yield double
    double.stop()


def connected(double: MailchimpDouble, **values: Any) -> MailchimpAdapter:
    """A new adapter, which remembers nothing."""
    known = KNOWN | {"url": f"{double.server.url}/3.0", "audience": "a1b2c3d4e5"}
    return MailchimpAdapter("news", MailchimpSettings.model_validate({**known, **values}))


@pytest.fixture
async def adapter(double: MailchimpDouble) -> AsyncIterator[MailchimpAdapter]:
    adapter = connected(double)
    yield adapter
    await adapter.close()


async def test_draft__says_all(double: MailchimpDouble, adapter: MailchimpAdapter) -> None:
    """The title is the key; subject, preview, sender and both texts are as approved."""
    await adapter.publish(adapter.prepare(open_variant(adapter)), KEY)
    (campaign,) = double.campaigns()
    settings = campaign["settings"]
    assert (settings["title"], settings["from_name"], settings["reply_to"]) == (
        KEY,
        "News",
        "news@example.org",
    )
    assert " | " in settings["preview_text"] and len(settings["preview_text"]) <= 150
    assert "*|UNSUB|*" in campaign["html"] and "*|EMAIL|*" in campaign["plain_text"]
    assert campaign["recipients"] == {"list_id": "a1b2c3d4e5"}


@pytest.mark.parametrize("method", ["PUT", "GET"])
async def test_publish__trouble_with_the_content(
    double: MailchimpDouble, adapter: MailchimpAdapter, method: str
) -> None:
    """A draft whose content or checklist got lost is gone on with, and sent once."""
    payload = adapter.prepare(open_variant(adapter))
    double.server.inject(Cut(At.READ), method=method, path=FIRST)
    with pytest.raises(Unavailable):
        await adapter.publish(payload, KEY)
    await adapter.publish(payload, KEY)
    assert [one["status"] for one in double.campaigns()] == ["sent"]
    assert len(double.mails()) == 2


async def test_publish__checklist(double: MailchimpDouble, adapter: MailchimpAdapter) -> None:
    """What Mailchimp itself finds missing is told in its words, before anything is sent."""
    double.wrong = [
        {"type": "success", "heading": "List", "details": "fine"},
        {"type": "error", "heading": "Sender", "details": "Verify your domain."},
    ]
    with pytest.raises(Rejected, match=r"would not send it \(Sender: Verify your domain\.\)"):
        await adapter.publish(adapter.prepare(open_variant(adapter)), KEY)
    assert double.mails() == []


async def test_separate__segments_of_one_audience(double: MailchimpDouble) -> None:
    """In the layout separate each language goes to its own segment, or its own audience."""
    values = {"audience": "", "audience_zh": "a1b2c3d4e5", "segment_zh": 11, "audience_en": "f6f7f8f9f0"}
    adapter = connected(double, layout="separate", **values)
    for index, code in enumerate(("zh", "en")):
        await adapter.publish(adapter.prepare(open_variant(adapter, index=index)), f"{KEY}-{code}")
    assert [mail.address for mail in double.mails()] == ["lin@example.org", "tom@example.org"]
    await adapter.close()


async def test_draft__segment_forgotten(double: MailchimpDouble) -> None:
    """A draft that would go to everybody instead of a segment is not sent."""
    adapter = connected(double, segment=11)
    double.forgets_segments = True
    with pytest.raises(Unavailable, match="instead of 11; nothing was sent"):
        await adapter.publish(adapter.prepare(open_variant(adapter)), KEY)
    double.forgets_segments = False
    await adapter.publish(adapter.prepare(open_variant(adapter)), KEY)
    assert [mail.address for mail in double.mails()] == ["lin@example.org"]
    await adapter.close()


async def test_find__on_a_later_page(
    double: MailchimpDouble, adapter: MailchimpAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All campaigns of three months are looked through, and none that are older."""
    monkeypatch.setattr(wire, "PAGE", 2)
    payload = adapter.prepare(open_variant(adapter))
    made = await adapter.publish(payload, KEY)
    (like,) = double.campaigns()
    for number in range(2, 6):
        double._keep(like | {"id": f"{number:010x}", "settings": {"title": f"other {number}"}})
    found = await adapter.find(KEY, payload)
    assert found is not None and found.id == made.id
    double.change(made.id, create_time=(clock.now() - timedelta(days=100)).isoformat())
    assert await adapter.find(KEY, payload) is None


async def test_request__two_at_once(
    double: MailchimpDouble, adapter: MailchimpAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much is asked at once, two requests are under way."""
    under_way, most = 0, 0
    real = HttpClient.send

    async def counted(self: HttpClient, *args: Any, **values: Any) -> Any:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        try:
            return await real(self, *args, **values)
        finally:
            under_way -= 1

    monkeypatch.setattr(HttpClient, "send", counted)
    answers = await asyncio.gather(*(adapter.service.get("/ping") for _ in range(6)))
    assert (len(answers), most) == (6, 2)


def problem(status: int, detail: str = "", **more: Any) -> Answer:
    """An error of Mailchimp's."""
    return Answer(
        Response.json({"title": detail and "Trouble", "status": status, "detail": detail, **more}, status)
    )


@pytest.mark.parametrize(
    ("method", "path", "answer", "error", "words"),
    [
        ("GET", CAMPAIGNS, problem(401, "Your API key may be invalid"), SignInFailed, "correct NEWS_API_KEY"),
        ("POST", CAMPAIGNS, problem(403, "The user may not"), SignInFailed, "The user may not"),
        ("POST", CAMPAIGNS, Answer(Response(403)), Throttled, "without a reason"),
        ("GET", CAMPAIGNS, Answer(Response.html("<h1>Forbidden</h1>", 403)), Throttled, "without a reason"),
        ("POST", CAMPAIGNS, problem(400, "See errors.", errors=[{"field": "reply_to", "message": "No"}]), Rejected,
         r"See errors\. reply_to: No"),
        ("POST", CAMPAIGNS, problem(500, "Oops"), Unavailable, "Oops"),
        ("POST", CAMPAIGNS, Answer(Response.json({"id": "0000000001"})), Unavailable, "whom it is for"),
        ("POST", CAMPAIGNS, Answer(Response.json({"id": "a/b", "recipients": {"list_id": "a1b2c3d4e5"}})), Rejected,
         "does not name a campaign"),
        ("PUT", f"{FIRST}/content", problem(413, "Too large"), Rejected, "Too large"),
        ("GET", f"{FIRST}/send-checklist", Answer(Response.json({"is_ready": "?"})), Unavailable, "can be sent"),
        ("POST", f"{FIRST}/actions", problem(400, "Already sent"), Rejected, "Already sent"),
        ("POST", f"{FIRST}/actions", problem(500, "Oops"), OutcomeUnknown, "Oops"),
        ("POST", f"{FIRST}/actions", Answer(Response.json({}, 200)), OutcomeUnknown, "not that it sends"),
    ],
)  # fmt: skip
async def test_publish__errors(
    double: MailchimpDouble,
    adapter: MailchimpAdapter,
    method: str,
    path: str,
    answer: Answer,
    error: type[DeliveryError],
    words: str,
) -> None:
    """Each answer ends in the error that says what is next, and nothing is sent."""
    double.server.inject(answer, method=method, path=path)
    with pytest.raises(error, match=words):
        await adapter.publish(adapter.prepare(open_variant(adapter)), KEY)
    assert double.mails() == []


# --- Check and settings --------------------------------------------------------------------------------------


async def test_check__says_what_it_found(double: MailchimpDouble) -> None:
    """One sentence: whose account, to whom, from whom."""
    values = {"audience": "", "audience_zh": "a1b2c3d4e5", "segment_zh": 11, "audience_en": "f6f7f8f9f0"}
    adapter = connected(double, layout="separate", **values)
    assert await adapter.check() == (
        "Signed in to Mailchimp as Office; it mails Segment 11 of Readers, Readers (1 contact) from News "
        "<news@example.org>."
    )
    await adapter.close()


@pytest.mark.parametrize(
    ("values", "change", "words"),
    [
        ({"api_key": "f" * 32 + "-us19"}, {}, "correct NEWS_API_KEY"),
        ({"audience": "x"}, {}, "has no audience x; correct NEWS_AUDIENCE"),
        ({"segment": 99}, {}, "has no segment 99 of audience a1b2c3d4e5; correct NEWS_SEGMENT"),
        ({}, {"domains": {"example.org": False}}, r"has not verified the domain example\.org"),
    ],
)
async def test_check__what_is_missing(
    double: MailchimpDouble, values: dict[str, Any], change: dict[str, Any], words: str
) -> None:
    """Whatever would stop a newsletter in the night is said by day, with the setting."""
    for name, value in change.items():
        setattr(double, name, value)
    adapter = connected(double, **values)
    with pytest.raises(SignInFailed, match=words):
        await adapter.check()
    await adapter.close()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"audience": ""}, "Set AUDIENCE"),
        ({"layout": "separate"}, "set AUDIENCE_ZH and AUDIENCE_EN"),
        ({"layout": "separate", "audience": "", "audience_zh": "a1", "audience_en": "a1"}, "twice"),
        ({"sender": "news@example.org"}, "needs a name"),
        ({"api_key": "0123456789abcdef0123456789abcdef"}, "with its end"),
        ({"audience": "a/b"}, "audience"),
        ({"url": "http://us19.api.mailchimp.com"}, "https"),
    ],
)
def test_settings__refused(values: dict[str, Any], words: str) -> None:
    """A setting that cannot work is named before anything starts."""
    with pytest.raises(ValidationError, match=words):
        MailchimpSettings.model_validate({**KNOWN, "audience": "a1b2", **values})
    settings = MailchimpSettings.model_validate({**KNOWN, "audience": "a1b2"})
    assert settings.api == "https://us19.api.mailchimp.com/3.0"
