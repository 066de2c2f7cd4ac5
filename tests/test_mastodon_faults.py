"""Mastodon when things go wrong: nothing is posted twice, nothing is lost, and each trouble has its name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from channels.doubles.mastodon import MastodonDouble
from channels.mastodon import MastodonAdapter, MastodonSettings, StatusPayload
from publisher.channel import (
    DeliveryError,
    Outcome,
    OutcomeUnknown,
    Rejected,
    SignInFailed,
    Throttled,
    Unavailable,
)
from publisher.testing.exchange import (
    Answer,
    At,
    Cut,
    Endless,
    Fault,
    Raw,
    Request,
    Response,
    Stall,
    Trickle,
    Truncated,
)
from publisher.testing.loopback import LoopbackServer

KEY = "2026-0042-mastodon-en"
PAYLOAD = StatusPayload("A title\n\nhttps://example.org/a", "en", "public", "https://example.org/a")


@pytest.fixture
def double(tmp_path: Path) -> Iterator[MastodonDouble]:
    double = MastodonDouble(str(tmp_path))
    yield double
    double.stop()


@pytest.fixture
async def adapter(double: MastodonDouble) -> AsyncIterator[MastodonAdapter]:
    reach = {name.lower(): value for name, value in double.start().items()}
    adapter = MastodonAdapter("mastodon", MastodonSettings(**reach, timeout=10))  # type: ignore[arg-type]
    yield adapter
    await adapter.close()


@pytest.fixture
async def hasty(adapter: MastodonAdapter) -> AsyncIterator[MastodonAdapter]:
    """The same channel with little patience, for servers that fall silent."""
    hasty = MastodonAdapter("mastodon", adapter.settings.model_copy(update={"timeout": 0.3}))
    yield hasty
    await hasty.close()


SILENT = (Stall, Trickle, Endless)


ACTED: list[Fault] = [
    Cut(At.ACTED),
    Stall(At.ACTED),
    Truncated(20),
    Truncated(0),
    Trickle(0.1),
    Endless(),
]


@pytest.mark.parametrize("fault", ACTED, ids=repr)
async def test_publish__the_server_acted(
    double: MastodonDouble, adapter: MastodonAdapter, hasty: MastodonAdapter, fault: Fault
) -> None:
    """Where the answer was lost, the post is found, and a second attempt makes no second post."""
    patient = hasty if isinstance(fault, SILENT) else adapter
    double.server.inject(fault, method="POST")
    with pytest.raises(OutcomeUnknown):
        await patient.publish(PAYLOAD, KEY)
    double.server.wait_until_acted()
    (post,) = double.posts()
    found = await adapter.find(KEY, PAYLOAD)
    assert found is not None
    assert (found.id, found.outcome) == (post["id"], Outcome.CONFIRMED)
    assert (await adapter.publish(PAYLOAD, KEY)).id == post["id"]
    assert len(double.posts()) == 1


NOT_ACTED: list[Fault] = [
    Cut(At.CONNECTED), Cut(At.READ), Stall(At.CONNECTED), Stall(At.READ), Raw(b"garbage\r\n\r\n"),
    *(Answer(Response.json({"error": "x"}, status)) for status in (408, 425, 500, 502, 503, 504)),
    Answer(Response.html("<h1>Welcome</h1>")), Answer(Response.json([])), Answer(Response.json({"id": "1"})), Answer(Response(200)),
    Answer(Response.json({"id": 1, "url": "https://x.example/1"})), Answer(Response.json({"id": "1", "url": "javascript:x"})),
    Answer(Response(204)), Answer(Response(303, headers={"Location": "/done"})),
]  # fmt: skip


@pytest.mark.parametrize("fault", NOT_ACTED, ids=lambda fault: repr(fault)[:60])
async def test_publish__nobody_knows(
    double: MastodonDouble, adapter: MastodonAdapter, hasty: MastodonAdapter, fault: Fault
) -> None:
    """What could have been published is an unknown outcome; asked, the server says that it was not."""
    patient = hasty if isinstance(fault, SILENT) else adapter
    double.server.inject(
        fault, **({} if fault in (Cut(At.CONNECTED), Stall(At.CONNECTED)) else {"method": "POST"})
    )
    with pytest.raises(OutcomeUnknown):
        await patient.publish(PAYLOAD, KEY)
    assert await adapter.find(KEY, PAYLOAD) is None
    assert (await adapter.publish(PAYLOAD, KEY)).outcome is Outcome.CONFIRMED
    assert len(double.posts()) == 1


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, Rejected), (401, SignInFailed), (403, SignInFailed), (404, Rejected), (409, Rejected), (413, Rejected), (422, Rejected),
     (429, Throttled), (301, SignInFailed), (308, SignInFailed)],
)  # fmt: skip
async def test_publish__refused(
    double: MastodonDouble, adapter: MastodonAdapter, status: int, error: type[DeliveryError]
) -> None:
    """Every refusal is named for what happens next, and nothing is posted."""
    double.server.inject(Answer(Response.json({"error": "Not today"}, status)), method="POST")
    with pytest.raises(error) as caught:
        await adapter.publish(PAYLOAD, KEY)
    assert type(caught.value) is error
    assert str(status) in str(caught.value)
    assert len(double.server.requests) == 1
    assert double.posts() == []


async def test_publish__asked_to_wait(double: MastodonDouble, adapter: MastodonAdapter) -> None:
    """The wait is read from Retry-After or from Mastodon's own header, and is unknown without either."""
    reset = (datetime.now(UTC) + timedelta(seconds=600)).isoformat().replace("+00:00", "Z")
    for headers, wait in (({"Retry-After": "60"}, 60.0), ({"X-RateLimit-Reset": reset}, 600.0), ({}, None)):
        double.server.inject(Answer(Response.json({"error": "Too many requests"}, 429, headers)))
        with pytest.raises(Throttled, match="Too many requests") as caught:
            await adapter.publish(PAYLOAD, KEY)
        told = caught.value.retry_after
        assert (told is None) is (wait is None)
        assert told is None or wait is None or abs(told.total_seconds() - wait) < 5


async def test_publish__another_request_holds_the_key(
    double: MastodonDouble, adapter: MastodonAdapter
) -> None:
    """While the server still works on the same key, its 503 is an unknown outcome."""
    double.locked.add(KEY)
    with pytest.raises(OutcomeUnknown, match="temporary problem"):
        await adapter.publish(PAYLOAD, KEY)


async def test_publish__nobody_listens(double: MastodonDouble, adapter: MastodonAdapter) -> None:
    """A server that is not there has certainly not published."""
    double.stop()
    with pytest.raises(Unavailable):
        await adapter.publish(PAYLOAD, KEY)


async def test_publish__redirect_keeps_the_token_home(
    double: MastodonDouble, adapter: MastodonAdapter
) -> None:
    """A redirect to another host is not followed, and that host hears nothing."""

    async def listen(request: Request) -> Response:
        return Response.json({"id": "1", "url": "https://evil.example/1"})

    other = LoopbackServer(listen)
    moved = Response(307, headers={"Location": f"{other.start()}/api/v1/statuses"})
    double.server.inject(Answer(moved), times=2)
    with pytest.raises(SignInFailed, match="correct the address"):
        await adapter.publish(PAYLOAD, KEY)
    with pytest.raises(SignInFailed, match="correct the address"):
        await adapter.find(KEY, PAYLOAD)
    other.stop()
    assert other.requests == []


UNREADABLE: list[Fault] = [
    Cut(At.READ), Cut(At.ACTED), Stall(At.READ), Truncated(9), Answer(Response.html("<h1>x")), Answer(Response.json({}, 500)),
    Answer(Response.json({}, 401)), Answer(Response.json({"id": "other"})), Answer(Response.json({}, 429)), Raw(b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n"),
]  # fmt: skip


@pytest.mark.parametrize("fault", UNREADABLE, ids=lambda fault: repr(fault)[:60])
async def test_publish__trouble_on_looking(
    double: MastodonDouble, adapter: MastodonAdapter, hasty: MastodonAdapter, fault: Fault
) -> None:
    """A post whose second look fails was accepted all the same."""
    patient = hasty if isinstance(fault, SILENT) else adapter
    double.server.inject(fault, method="GET")
    receipt = await patient.publish(PAYLOAD, KEY)
    assert receipt.outcome is Outcome.ACCEPTED
    assert receipt.id == double.posts()[0]["id"]


@pytest.mark.parametrize("fault", [Cut(At.CONNECTED), Stall(At.READ), Truncated(9), Endless()], ids=repr)
async def test_find__trouble(
    double: MastodonDouble, adapter: MastodonAdapter, hasty: MastodonAdapter, fault: Fault
) -> None:
    """Asking that fails is not an answer."""
    patient = hasty if isinstance(fault, SILENT) else adapter
    double.server.inject(fault)
    with pytest.raises(Unavailable):
        await patient.find(KEY, PAYLOAD)
