"""Mastodon passes the conformance kit, and what its own update and retraction add to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from channels.doubles.mastodon import MastodonDouble
from channels.mastodon import MastodonAdapter, MastodonSettings, StatusPayload
from publisher.channel import DeliveryError, Outcome, OutcomeUnknown, Receipt, Rejected
from publisher.testing.conformance_http import HttpConformance
from publisher.testing.exchange import Answer, Response


class TestMastodon(HttpConformance):
    """The suite, over the double."""

    keyed = True
    creates = ("POST", "/api/v1/statuses")

    def start(self, folder: Path) -> None:
        self.double = MastodonDouble(str(folder))
        self.reach = {name.lower(): value for name, value in self.double.start().items()}
        self.server, self.secrets = self.double.server, (self.double.token,)

    def stop(self) -> None:
        self.double.stop()

    def adapter(self, patience: float) -> MastodonAdapter:
        return MastodonAdapter("mastodon", MastodonSettings(**self.reach, timeout=patience))

    def count(self) -> int:
        return len(self.double.posts())


# --- What the kit cannot know of an update and a retraction -------------------------------------------

KEY = "2026-0042-r1-mastodon-both"
PAYLOAD = StatusPayload("一个标题\n\nhttps://example.org/a", "zh-CN", "public", "https://example.org/a")
NEWER = replace(PAYLOAD, status="A corrected title\n\nhttps://example.org/a", language="en")


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


async def test_update__sends_the_whole_post(double: MastodonDouble, adapter: MastodonAdapter) -> None:
    """One PUT says text, language, no warning and no pictures; id, address and first hour stay."""
    made = await adapter.publish(PAYLOAD, KEY)
    before = len(double.server.requests)
    changed = await adapter.update(made, NEWER)
    (request,) = double.server.requests[before:]
    assert (request.method, request.path) == ("PUT", f"/api/v1/statuses/{made.id}")
    assert request.json() == {
        "status": NEWER.status, "language": "en", "spoiler_text": "", "sensitive": False, "media_ids": [],
    }  # fmt: skip
    (post,) = double.posts()
    assert (post["text"], post["language"], post["edited_at"] >= post["created_at"]) == (
        NEWER.status,
        "en",
        True,
    )
    assert (changed.outcome, changed.id, changed.links) == (Outcome.CONFIRMED, made.id, made.links)
    assert (changed.at, changed.code) == (made.at, "200")


async def test_update__an_answer_with_the_old_text(double: MastodonDouble, adapter: MastodonAdapter) -> None:
    """A server that answers with another text has taken the edit, and has not confirmed it."""
    made = await adapter.publish(PAYLOAD, KEY)
    (post,) = double.posts()
    double.server.inject(Answer(Response.json(post)), method="PUT")
    assert (await adapter.update(made, NEWER)).outcome is Outcome.ACCEPTED


async def test_update__of_a_deleted_post(double: MastodonDouble, adapter: MastodonAdapter) -> None:
    """A post that somebody deleted is not brought back by correcting it: a person must decide."""
    made = await adapter.publish(PAYLOAD, KEY)
    double.delete(made.id)
    with pytest.raises(Rejected, match=r"no longer has the post .* \(404\)"):
        await adapter.update(made, NEWER)


async def test_update__answers_with_another_post(double: MastodonDouble, adapter: MastodonAdapter) -> None:
    """An answer about another post leaves the outcome unknown."""
    made = await adapter.publish(PAYLOAD, KEY)
    other = {"id": "7", "url": "https://social.example/@office/7", "content": "x"}
    double.server.inject(Answer(Response.json(other)), method="PUT")
    with pytest.raises(OutcomeUnknown, match="not with the changed post"):
        await adapter.update(made, NEWER)


async def test_retract__what_is_gone_is_done(double: MastodonDouble, adapter: MastodonAdapter) -> None:
    """A deleted post has no address; the server's own 404 to a second deletion says the same."""
    made = await adapter.publish(PAYLOAD, KEY)
    first, second = await adapter.retract(made), await adapter.retract(made)
    assert [(r.outcome, r.id, r.links, r.code) for r in (first, second)] == [
        (Outcome.CONFIRMED, made.id, None, "200"), (Outcome.CONFIRMED, made.id, None, "404"),
    ]  # fmt: skip
    assert double.posts() == []


@pytest.mark.parametrize(
    ("answer", "error"),
    [(Response.html("<h1>404</h1>", 404), Rejected), (Response(404), Rejected), (Response.json({"id": "7"}), OutcomeUnknown)],
)  # fmt: skip
async def test_retract__a_page_is_no_deletion(
    double: MastodonDouble, adapter: MastodonAdapter, answer: Response, error: type[DeliveryError]
) -> None:
    """A web page that nothing was found, as a wrong address gives, is not taken for a deleted post."""
    made = await adapter.publish(PAYLOAD, KEY)
    double.server.inject(Answer(answer), method="DELETE")
    with pytest.raises(error):
        await adapter.retract(made)
    assert len(double.posts()) == 1


@pytest.mark.parametrize("number", ["..", "1/../2", "1?x=y", "1%2f", "", "１", "x" * 65])
async def test_change__a_wrong_id_leaves_nothing(
    double: MastodonDouble, adapter: MastodonAdapter, number: str
) -> None:
    """An id that could lead elsewhere never becomes part of a path."""
    with pytest.raises((Rejected, ValueError)):
        await adapter.retract(Receipt(Outcome.CONFIRMED, number))
    assert double.server.requests == []
