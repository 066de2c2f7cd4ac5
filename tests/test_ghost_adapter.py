"""Ghost, stage by stage: what each failure leaves, and that nothing is there twice."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from channels.doubles.ghost import GhostDouble
from channels.ghost import GhostAdapter, GhostSettings
from publisher.channel import (
    AlreadyThere,
    DeliveryError,
    Outcome,
    OutcomeUnknown,
    Rejected,
    SignInFailed,
    Unavailable,
)
from publisher.testing.exchange import Answer, At, Cut, Fault, Response, Truncated
from tests.ghost_lecture import KEY, payload_of

API = "/ghost/api/admin/"
POSTS = f"{API}posts/"
IMAGES, FILES = f"{API}images/upload/", f"{API}files/upload/"


@pytest.fixture
def double(tmp_path: Path) -> Iterator[GhostDouble]:
    double = GhostDouble(str(tmp_path))
    double.start()
    yield double
    double.stop()


def connected(double: GhostDouble, **values: Any) -> GhostAdapter:
    """A new adapter, which remembers nothing."""
    settings = GhostSettings(url=double.server.url, admin_key=double.admin_key, timeout=10, **values)  # type: ignore[arg-type]
    return GhostAdapter("ghost", settings)


@pytest.fixture
async def adapter(double: GhostDouble) -> AsyncIterator[GhostAdapter]:
    adapter = connected(double)
    yield adapter
    await adapter.close()


def states(double: GhostDouble) -> list[tuple[str, str]]:
    """Address and state of every post."""
    return [(post["slug"], post["status"]) for post in double.posts()]


def asked(double: GhostDouble, method: str, path: str = "") -> int:
    """How often."""
    return sum(one.method == method and one.path.startswith(path) for one in double.server.requests)


PUBLISHED = [("2026-0042", "published")]


async def test_receipt__says_where_the_pictures_are(double: GhostDouble, adapter: GhostAdapter) -> None:
    """In the order of the document, from the answer itself, also to one who only looks; none of a post without."""
    payload = payload_of(adapter, 1, ("red", "blue"))
    made = await adapter.publish(payload, KEY)
    assert made.links
    names = [address.rpartition("/")[2] for address in made.links.pictures]
    assert names == [upload.name for upload in payload.pictures]
    looking = connected(double)
    found = await looking.find(KEY, payload)
    await looking.close()
    assert found and found.links == made.links
    changed = await adapter.update(made, payload_of(adapter, 2, ("blue",)))
    assert changed.links and changed.links.pictures == made.links.pictures[1:]
    bare = await adapter.update(made, payload_of(adapter, 3))
    assert bare.links and bare.links.pictures == ()


LOST = (Cut(At.READ), Cut(At.ACTED), Truncated(9), Answer(Response(502)), Answer(Response.html("<h1>x</h1>")))
BEFORE = [("GET", POSTS), ("POST", IMAGES), ("POST", FILES), ("POST", POSTS)]
"""All that is asked before the request that publishes."""


@pytest.mark.parametrize("fault", LOST, ids=lambda fault: repr(fault)[:30])
@pytest.mark.parametrize(("method", "path"), BEFORE)
async def test_publish__trouble_before(double: GhostDouble, method: str, path: str, fault: Fault) -> None:
    """Whatever fails before the publishing request has published nothing, and is tried again without a trace."""
    adapter = connected(double)
    payload = payload_of(adapter, 1, ("red",))
    double.server.inject(fault, method=method, path=path)
    with pytest.raises(Unavailable):
        await adapter.publish(payload, KEY)
    assert double.received() == []
    made = await adapter.publish(payload, KEY)
    assert states(double) == PUBLISHED
    assert (made.outcome, asked(double, "PUT")) == (Outcome.CONFIRMED, 1)
    await adapter.close()


@pytest.mark.parametrize(("method", "path"), BEFORE[1:])
@pytest.mark.parametrize(
    ("status", "error"), [(413, Rejected), (422, Rejected), (401, SignInFailed), (403, SignInFailed)]
)
async def test_publish__refused_before(
    double: GhostDouble,
    adapter: GhostAdapter,
    method: str,
    path: str,
    status: int,
    error: type[DeliveryError],
) -> None:
    """A refusal of a file or a draft is named for whose it is, and not tried for ever."""
    double.server.inject(Answer(Response.json({"message": "Not this"}, status)), method=method, path=path)
    with pytest.raises(error, match=str(status)):
        await adapter.publish(payload_of(adapter, 1, ("red",)), KEY)
    assert asked(double, "PUT") == 0


@pytest.mark.parametrize("fault", LOST, ids=lambda fault: repr(fault)[:30])
async def test_publish__trouble_while_publishing(double: GhostDouble, fault: Fault) -> None:
    """After a publishing request without an answer the site is asked, and there is one post in the end."""
    adapter, fresh = connected(double), connected(double)
    payload = payload_of(adapter, 1, ("red",))
    double.server.inject(fault, method="PUT")
    with pytest.raises(OutcomeUnknown):
        await adapter.publish(payload, KEY)
    found = await fresh.find(KEY, payload)
    assert (found is not None) is bool(double.received())
    if found is None:
        await fresh.publish(payload, KEY)
    assert states(double) == PUBLISHED
    assert len(double.files()) == 2  # the picture and the calendar file, once each
    await adapter.close()
    await fresh.close()


async def test_publish__a_draft_made_late(double: GhostDouble, adapter: GhostAdapter) -> None:
    """A draft that appears behind our back is gone on with; ours, which got another address, is not kept."""
    payload = payload_of(adapter)
    double.server.inject(Cut(At.ACTED), method="POST", path=POSTS)
    with pytest.raises(Unavailable):
        await adapter.publish(payload, KEY)
    double.server.inject(Answer(Response.json({"posts": []})), method="GET", path=POSTS)
    await adapter.publish(payload, KEY)
    assert states(double) == PUBLISHED


async def test_publish__published_behind_our_back(double: GhostDouble, adapter: GhostAdapter) -> None:
    """Where the first look missed a post that is public, it is found by the address we did not get."""
    payload = payload_of(adapter)
    made = await adapter.publish(payload, KEY)
    double.server.inject(Answer(Response.json({"posts": []})), method="GET", path=POSTS)
    with pytest.raises(AlreadyThere) as known:
        await adapter.publish(payload, KEY)
    assert known.value.receipt.id == made.id
    assert states(double) == PUBLISHED


async def test_publish__another_post_at_the_address(double: GhostDouble, adapter: GhostAdapter) -> None:
    """A post without our mark is not ours: nothing is published over it, and a person is told."""
    payload = payload_of(adapter)
    made = await adapter.publish(payload, KEY)
    double.change(made.id, tags=[])
    assert await adapter.find(KEY, payload) is None
    with pytest.raises(Rejected, match="give it the tag if it is this announcement"):
        await adapter.publish(payload, KEY)
    assert states(double) == PUBLISHED


async def test_publish__draft_changed_meanwhile(double: GhostDouble, adapter: GhostAdapter) -> None:
    """A person who saves or deletes the draft at the same moment costs a try, and nothing else."""
    payload = payload_of(adapter)
    collision = {
        "errors": [{"type": "UpdateCollisionError", "code": "UPDATE_COLLISION", "message": "Saving failed!"}]
    }
    double.server.inject(Answer(Response.json(collision, 409)), method="PUT")
    with pytest.raises(Unavailable, match="tried again"):
        await adapter.publish(payload, KEY)
    gone = {"errors": [{"type": "NotFoundError", "message": "Resource not found error, cannot edit post."}]}
    double.server.inject(Answer(Response.json(gone, 404)), method="PUT")
    with pytest.raises(Unavailable, match="deleted meanwhile"):
        await adapter.publish(payload, KEY)
    await adapter.publish(payload, KEY)
    assert states(double) == PUBLISHED


async def test_newsletter__off_unless_asked(double: GhostDouble, adapter: GhostAdapter) -> None:
    """No request names a newsletter, and nothing is mailed."""
    made = await adapter.publish(payload_of(adapter), KEY)
    await adapter.update(made, payload_of(adapter, 2))
    await adapter.retract(made)
    assert not any("newsletter" in one.query for one in double.server.requests)
    assert double.mailed == [] and made.code == "200"


async def test_newsletter__once(double: GhostDouble) -> None:
    """Only the request that publishes names the newsletter; a correction and a second publication mail nobody."""
    adapter = connected(double, newsletter="default-newsletter")
    made = await adapter.publish(payload_of(adapter), KEY)
    assert (made.code, double.mailed) == ("200, e-mail submitted", ["2026-0042"])
    await adapter.update(made, payload_of(adapter, 2))
    named = [one for one in double.server.requests if "newsletter" in one.query]
    assert [(one.method, one.query["newsletter"]) for one in named] == [("PUT", "default-newsletter")]
    await adapter.retract(made)
    await adapter.publish(payload_of(adapter, 3), KEY)
    assert double.mailed == ["2026-0042"]
    await adapter.close()


async def test_newsletter__public_and_not_mailed(double: GhostDouble) -> None:
    """A post that is public and was not mailed is found, and the receipt and the log say so."""
    adapter = connected(double, newsletter="default-newsletter")
    double.mails = False
    payload = payload_of(adapter)
    double.server.inject(Cut(At.ACTED), method="PUT")
    with pytest.raises(OutcomeUnknown):
        await adapter.publish(payload, KEY)
    with capture_logs() as lines:
        found = await adapter.find(KEY, payload)
    assert found and found.code == "200, e-mail not sent"
    assert [line["event_name"] for line in lines] == ["ghost.not_mailed"]
    await adapter.close()


async def test_newsletter__unknown(double: GhostDouble) -> None:
    """A newsletter that is not there pauses the channel before anything is public."""
    adapter = connected(double, newsletter="other")
    with pytest.raises(SignInFailed, match="GHOST_NEWSLETTER"):
        await adapter.publish(payload_of(adapter), KEY)
    assert double.received() == []
    with pytest.raises(SignInFailed, match="no active newsletter called other"):
        await adapter.check()
    await adapter.close()


async def test_update__only_new_files(double: GhostDouble) -> None:
    """A correction uploads what the post does not have yet; address and hour of publication stay."""
    first, other = connected(double), connected(double)
    made = await first.publish(payload_of(first, 1, ("red",)), KEY)
    double.change(made.id, slug="moved")
    before = len(double.files())
    changed = await other.update(made, payload_of(other, 2, ("red", "green")))
    assert len(double.files()) - before == 2  # the second picture, the calendar file with its new number
    (post,) = double.posts()
    assert (post["slug"], post["title"]) == ("moved", payload_of(other, 2).title)
    assert (changed.id, changed.at) == (made.id, made.at)
    await first.close()
    await other.close()


async def test_update__somebody_saved_in_between(double: GhostDouble, adapter: GhostAdapter) -> None:
    """What an editor saved between our question and our change is not overwritten by that try."""
    made = await adapter.publish(payload_of(adapter), KEY)
    (before,) = double.posts()
    double.change(made.id, title="Edited")
    double.server.inject(Answer(Response.json({"posts": [before]})), method="GET", path=POSTS)
    with pytest.raises(Unavailable, match="same moment"):
        await adapter.update(made, payload_of(adapter, 2))
    assert double.posts()[0]["title"] == "Edited"
    await adapter.update(made, payload_of(adapter, 2))
    assert double.posts()[0]["title"] == payload_of(adapter, 2).title


@pytest.mark.parametrize(("how", "said"), [("delete", "was deleted"), ("draft", "is a draft again")])
async def test_update__no_longer_public(
    double: GhostDouble, adapter: GhostAdapter, how: str, said: str
) -> None:
    """A post that a person took away is not brought back by correcting it."""
    made = await adapter.publish(payload_of(adapter), KEY)
    if how == "delete":
        double.delete(made.id)
    else:
        double.change(made.id, status="draft")
    with pytest.raises(Rejected, match=said):
        await adapter.update(made, payload_of(adapter, 2))
    assert double.received() == []


@pytest.mark.parametrize("retract", ["draft", "delete"])
async def test_retract__twice(double: GhostDouble, retract: str) -> None:
    """What is taken back stays so, and is a draft or gone."""
    adapter = connected(double, retract=retract)
    made = await adapter.publish(payload_of(adapter), KEY)
    for _ in range(2):
        gone = await adapter.retract(made)
        assert (gone.id, gone.links, gone.outcome) == (made.id, None, Outcome.CONFIRMED)
    assert states(double) == ([("2026-0042", "draft")] if retract == "draft" else [])
    await adapter.close()


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Cut(At.READ), OutcomeUnknown),
        (Cut(At.ACTED), OutcomeUnknown),
        (Answer(Response.html("<h1>x</h1>")), OutcomeUnknown),
        (Answer(Response.html("<h1>404</h1>", 404)), Rejected),
        (Answer(Response(500)), OutcomeUnknown),
        (Answer(Response(403)), SignInFailed),
    ],
)  # fmt: skip
async def test_retract__deleting_in_trouble(
    double: GhostDouble, fault: Fault, error: type[DeliveryError]
) -> None:
    """Only Ghost's own word counts for a deletion; a repetition completes it."""
    adapter = connected(double, retract="delete")
    made = await adapter.publish(payload_of(adapter), KEY)
    double.server.inject(fault, method="DELETE")
    with pytest.raises(error):
        await adapter.retract(made)
    await adapter.retract(made)
    assert double.posts() == []
    await adapter.close()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"secret": "0" * 64}, "second half of GHOST_ADMIN_KEY"),
        ({"number": "0" * 24}, "does not know this key"),
    ],
)
async def test_check__wrong_key(
    double: GhostDouble, adapter: GhostAdapter, change: dict[str, str], said: str
) -> None:
    """Either half of a wrong key is told apart."""
    for name, value in change.items():
        setattr(double, name, value)
    with pytest.raises(SignInFailed, match=said):
        await adapter.check()


async def test_check__says_what_it_found(double: GhostDouble, adapter: GhostAdapter) -> None:
    """One sentence: the site, its version, and whom it mails."""
    assert await adapter.check() == "Signed in to Office (Ghost 5.130); posts are mailed to nobody."
    expired = {"errors": [{"message": "Invalid token: jwt expired", "code": "INVALID_JWT"}]}
    double.server.inject(Answer(Response.json(expired, 401)))
    with pytest.raises(SignInFailed, match="clock of this machine"):
        await adapter.check()
    double.server.inject(Answer(Response.html("<h1>404</h1>", 404)))
    with pytest.raises(SignInFailed, match="correct GHOST_URL"):
        await adapter.check()
