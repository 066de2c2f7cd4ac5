"""Brevo, where it is unlike other services: no search, errors with a code, credits, and a wait of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from channels.brevo import BrevoAdapter, BrevoSettings
from channels.doubles.brevo import BrevoDouble
from publisher import clock
from publisher.channel import (
    AlreadyThere,
    DeliveryError,
    OutcomeUnknown,
    Rejected,
    SignInFailed,
    Throttled,
    Unavailable,
)
from publisher.testing.exchange import Answer, Response
from tests.newsletter_places import KEY, open_variant

CAMPAIGNS = "/v3/emailCampaigns"
SEND = f"{CAMPAIGNS}/1/sendNow"


@pytest.fixture
def double(tmp_path: Path) -> Iterator[BrevoDouble]:
    double = BrevoDouble(str(tmp_path))
    double.start()
    yield double
    double.stop()


def connected(double: BrevoDouble, **values: Any) -> BrevoAdapter:
    """A new adapter, which remembers nothing."""
    known = {
        "url": f"{double.server.url}/v3", "api_key": double.key, "lists": "7", "sender": "News <news@example.org>",
    }  # fmt: skip
    return BrevoAdapter("news", BrevoSettings.model_validate({**known, **values}))


@pytest.fixture
async def adapter(double: BrevoDouble) -> AsyncIterator[BrevoAdapter]:
    adapter = connected(double)
    yield adapter
    await adapter.close()


async def test_draft__says_all(double: BrevoDouble) -> None:
    """The campaign has the key as its name and tag, the preview of both languages, and one source of content."""
    adapter = connected(double, reply_to="office@example.org")
    await adapter.publish(adapter.prepare(open_variant(adapter)), KEY)
    (campaign,) = double.campaigns()
    assert (campaign["name"], campaign["tag"]) == (KEY, KEY)
    assert campaign["sender"] == {"name": "News", "email": "news@example.org"}
    assert (campaign["replyTo"], campaign["recipients"]) == ("office@example.org", {"listIds": [7]})
    assert " | " in campaign["previewText"] and len(campaign["previewText"]) <= 200
    assert "{{ unsubscribe }}" in campaign["htmlContent"]
    await adapter.close()


async def test_separate__a_campaign_a_language(double: BrevoDouble) -> None:
    """In the layout separate each language goes to the lists that read it."""
    adapter = connected(double, layout="separate", lists="", lists_zh="8", lists_en="9")
    for index, code in enumerate(("zh", "en")):
        await adapter.publish(adapter.prepare(open_variant(adapter, index=index)), f"{KEY}-{code}")
    assert [mail.address for mail in double.mails()] == [*double.readers[8], *double.readers[9]]
    await adapter.close()


@pytest.mark.parametrize("spelt", ["in_process", "inProcess", "in_review", "inReview", "queued"])
async def test_confirm__either_spelling(double: BrevoDouble, adapter: BrevoAdapter, spelt: str) -> None:
    """A list and a single campaign spell the same state differently."""
    payload = adapter.prepare(open_variant(adapter))
    double.pace = "slow"
    made = await adapter.publish(payload, KEY)
    double.change(made.id, status=spelt)
    assert await adapter.confirm(made, payload) is made
    assert await adapter.find(KEY, payload) is not None


# --- Looking for it without a search -------------------------------------------------------------------------


def fill(double: BrevoDouble, count: int, **fields: Any) -> None:
    """Makes ``count`` newer campaigns of other people's."""
    like = double.campaigns()[0]
    begin = max(one["id"] for one in double.campaigns())
    for number in range(begin + 1, begin + count + 1):
        double._keep(like | {"id": number, "name": f"other {number}", "tag": ""} | fields)


def pages(double: BrevoDouble) -> list[str]:
    """The offsets of all lists that were asked for since the last call."""
    asked = [
        one.query["offset"] for one in double.server.requests if one.method == "GET" and one.path == CAMPAIGNS
    ]
    double.server.requests.clear()
    return asked


async def test_find__on_a_later_page(double: BrevoDouble, adapter: BrevoAdapter) -> None:
    """A campaign is found behind those that came after it; by its tag where its name was changed."""
    payload = adapter.prepare(open_variant(adapter))
    made = await adapter.publish(payload, KEY)
    fill(double, 60)
    double.change(made.id, name="Renamed")
    pages(double)
    found = await adapter.find(KEY, payload)
    assert found is not None and found.id == made.id
    assert pages(double) == ["0", "50"]
    assert await adapter.find("another-key", payload) is None


async def test_find__not_further_back_than_it_can_be(double: BrevoDouble, adapter: BrevoAdapter) -> None:
    """Requests are few, so what is older than any delivery is not read."""
    payload = adapter.prepare(open_variant(adapter))
    await adapter.publish(payload, KEY)
    fill(double, 160, createdAt=(clock.now() - timedelta(days=100)).isoformat())
    pages(double)
    assert await adapter.find(KEY, payload) is None
    assert pages(double) == ["0"]


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"campaigns": []},
        {"count": 3},
        {"count": 1, "campaigns": [{"id": 1}]},
        {"count": 1, "campaigns": {"id": 1}},
    ],
    ids=str,
)
async def test_find__no_list(double: BrevoDouble, adapter: BrevoAdapter, answer: object) -> None:
    """An answer without a list, unless it says that there are none, does not mean that ours is not there."""
    double.server.inject(Answer(Response.json(answer)), method="GET", path=CAMPAIGNS)
    with pytest.raises(Unavailable, match="a list of campaigns"):
        await adapter.find(KEY, adapter.prepare(open_variant(adapter)))


# --- What its answers mean -----------------------------------------------------------------------------------


def said(status: int, code: str, message: str = "Because", **headers: str) -> Answer:
    """An error of Brevo's."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(Response.json({"code": code, "message": message}, status, named))


@pytest.mark.parametrize(
    ("method", "path", "answer", "error", "words"),
    [
        ("GET", CAMPAIGNS, said(401, "unauthorized"), SignInFailed, "correct NEWS_API_KEY, or add the address"),
        ("POST", CAMPAIGNS, said(403, "permission_denied"), SignInFailed, "does not permit this"),
        ("POST", CAMPAIGNS, said(400, "account_under_validation"), SignInFailed, "has not approved the account"),
        ("POST", CAMPAIGNS, said(400, "invalid_parameter", "Sender is invalid"), Rejected, "Sender is invalid"),
        ("POST", CAMPAIGNS, said(400, "duplicate_parameter"), Unavailable, "looked for again"),
        ("POST", CAMPAIGNS, Answer(Response.json({"id": "x"}, 201)), Unavailable, "the number of the draft"),
        ("POST", SEND, said(402, "not_enough_credits"), SignInFailed, "not enough credits"),
        ("POST", SEND, said(400, "not_enough_credits"), SignInFailed, "not enough credits"),
        ("POST", SEND, said(400, "campaign_sent"), OutcomeUnknown, "says that it was sent before"),
        ("POST", SEND, said(400, "campaign_processing"), OutcomeUnknown, "says that it was sent before"),
        ("POST", SEND, said(400, "duplicate_request"), OutcomeUnknown, "says that it was sent before"),
        ("POST", SEND, said(400, "invalid_parameter", "Not ready"), Rejected, "Not ready"),
        ("POST", SEND, Answer(Response.json({}, 200)), OutcomeUnknown, "not that it sends"),
    ],
)  # fmt: skip
async def test_publish__errors(
    double: BrevoDouble,
    adapter: BrevoAdapter,
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


@pytest.mark.parametrize("code", ["campaign_sent", "campaign_processing"])
async def test_send__sent_before(double: BrevoDouble, adapter: BrevoAdapter, code: str) -> None:
    """Where the status agrees with "sent before", it is a success; it is never sent a second time."""
    answer = said(400, code)
    double.server.inject(Answer(answer.response, acted=True), method="POST", path=SEND)
    with pytest.raises(AlreadyThere):
        await adapter.publish(adapter.prepare(open_variant(adapter)), KEY)
    assert len(double.mails()) == len(double.readers[7])


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x_sib_ratelimit_reset": "1800"}, 1800),
        ({"x_sib_ratelimit_reset": "1800", "Retry_After": "7"}, 7),
        ({"x_sib_ratelimit_reset": "9" * 9}, 24 * 3600),
        ({"x_sib_ratelimit_reset": "soon"}, None),
        ({}, None),
    ],
)
async def test_publish__asked_to_wait(
    double: BrevoDouble, adapter: BrevoAdapter, headers: dict[str, str], seconds: int | None
) -> None:
    """The wait stands in a header of Brevo's own; it is bounded."""
    double.server.inject(said(429, "too_many_requests", **headers), method="POST", path=CAMPAIGNS)
    with pytest.raises(Throttled) as met:
        await adapter.publish(adapter.prepare(open_variant(adapter)), KEY)
    assert met.value.retry_after == (None if seconds is None else timedelta(seconds=seconds))


async def test_requests__are_few(double: BrevoDouble, adapter: BrevoAdapter) -> None:
    """Brevo grants a hundred requests an hour: a newsletter takes three."""
    await adapter.publish(adapter.prepare(open_variant(adapter)), KEY)
    assert [one.method for one in double.server.requests] == ["GET", "POST", "POST"]


# --- Check and settings --------------------------------------------------------------------------------------


async def test_check__says_what_it_found(double: BrevoDouble, adapter: BrevoAdapter) -> None:
    """One sentence: whose account, its credits, to whom, from whom."""
    assert await adapter.check() == (
        "Signed in to Brevo as Office (300 credits left); it mails List 7 (2 contacts) from News <news@example.org>."
    )


@pytest.mark.parametrize(
    ("values", "senders", "words"),
    [
        ({"api_key": "xkeysib-another"}, None, "correct NEWS_API_KEY"),
        ({"lists": "99"}, None, "has no list 99; correct NEWS_LISTS"),
        ({"sender": "other@example.org"}, None, "does not know the sender other@example.org"),
        ({}, {"news@example.org": False}, "has not verified the sender"),
    ],
)
async def test_check__what_is_missing(
    double: BrevoDouble, values: dict[str, Any], senders: dict[str, bool] | None, words: str
) -> None:
    """Whatever would stop a newsletter in the night is said by day, with the setting."""
    double.senders = senders or double.senders
    adapter = connected(double, **values)
    with pytest.raises(SignInFailed, match=words):
        await adapter.check()
    await adapter.close()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"lists": ""}, "Set LISTS"),
        ({"layout": "separate"}, "set LISTS_ZH and LISTS_EN"),
        ({"sender": "nobody"}, "not a mail address"),
        ({"reply_to": "nobody"}, "not a mail address"),
        ({"api_key": ""}, "api_key"),
        ({"url": "http://api.brevo.com/v3"}, "https"),
    ],
)
def test_settings__refused(values: dict[str, Any], words: str) -> None:
    """A setting that cannot work is named before anything starts."""
    known = {"api_key": "xkeysib-0123", "lists": "7", "sender": "News <news@example.org>"}
    with pytest.raises(ValidationError, match=words):
        BrevoSettings.model_validate({**known, **values})
    assert BrevoSettings.model_validate(known).url == "https://api.brevo.com/v3"
