"""Ghost itself: the suite of the double, over a real site, with a relay that puts every fault before it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from channels.ghost import GhostAdapter, GhostSettings
from channels.ghost.api import Api
from publisher import clock
from publisher.announcement import Bilingual, Tags
from publisher.channel import AlreadyThere, Links, Outcome, Receipt, Rejected, SignInFailed, Unavailable
from publisher.render import links
from publisher.testing import sample
from publisher.testing.bench import AnyAdapter, Step
from publisher.testing.conformance_http import HttpConformance
from publisher.testing.exchange import Answer, At, Cut, Response
from tests.ghost_lecture import KEY, payload_of
from tests.real.relay import Relay
from tests.real.servers.ghost import Ghost

POSTS = "/ghost/api/admin/posts/"
_PATIENCE = 2.0
"""Seconds in which a real Ghost answers, on a busy machine too."""


class TestReal(HttpConformance):
    """The kit over a real site."""

    keyed = True
    prepares = True
    creates = ("PUT", POSTS)
    updates = creates
    retracts = creates
    ghost: Ghost

    @pytest.fixture(autouse=True)
    def _site(self, ghost: Ghost) -> None:
        self.ghost = ghost

    def start(self, folder: Path) -> None:
        self.relay = Relay(self.ghost.url)
        self.url, self.server = self.relay.start(), self.relay.server
        self.secrets = (self.ghost.admin_key.partition(":")[2],)

    def stop(self) -> None:
        self.relay.stop()

    def adapter(self, patience: float) -> GhostAdapter:
        # Where the kit has little patience, the requests before the one in trouble must still have their answer.
        settings = GhostSettings(
            url=self.url, admin_key=self.ghost.admin_key, timeout=max(patience, _PATIENCE)
        )
        return GhostAdapter("ghost", settings)

    async def change(self, adapter: AnyAdapter, step: Step, receipt: Receipt) -> Receipt:  # type: ignore[override]
        """As the kit does it, and once more where a request of before was still being worked on."""
        try:
            return await super().change(adapter, step, receipt)
        except Unavailable as error:
            if "at the same moment" not in str(error):
                raise
            return await super().change(adapter, step, receipt)

    def count(self) -> int:
        return sum(post.status == "published" for post in self.ghost.posts())


# --- What only the real one can tell --------------------------------------------------------------------


class Site:
    """A real site behind a relay, and an adapter for it."""

    def __init__(self, ghost: Ghost, **values: Any) -> None:
        self.ghost, self.relay = ghost, Relay(ghost.url)
        settings = GhostSettings(**{"url": self.relay.start(), "admin_key": ghost.admin_key, **values})
        self.adapter = GhostAdapter("ghost", settings)
        self.api = Api("ghost", settings)

    async def post(self, receipt: Receipt) -> dict[str, Any]:
        """The post as Ghost tells of it."""
        found = await self.api.get(f"posts/{receipt.id}/", formats="html", include="tags,email,newsletter")
        post: dict[str, Any] = found["posts"][0]
        return post

    async def edit(self, receipt: Receipt, **fields: Any) -> None:
        """What a person does in the editor."""
        post = await self.post(receipt)
        body = {"posts": [{"updated_at": post["updated_at"], **fields}]}
        self.api.refuse(await self.api.act("PUT", f"posts/{receipt.id}/", body), creates=True)

    def uploads(self) -> int:
        """How many files Ghost was asked to keep."""
        return sum(request.path.endswith("/upload/") for request in self.relay.server.requests)

    async def close(self) -> None:
        """Ends relay and connections."""
        await self.adapter.close()
        await self.api.http.close()
        self.relay.stop()


@pytest.fixture
async def site(ghost: Ghost) -> AsyncIterator[Site]:
    made = Site(ghost)
    yield made
    await made.close()


def read(url: str) -> bytes:
    """What readers get."""
    with urlopen(url, timeout=30) as answer:  # a server of ours on this machine
        data: bytes = answer.read()
        return data


async def test_real__the_markup_is_kept(site: Site) -> None:
    """The body comes back as it was approved, and its pictures and calendar file can be read."""
    payload = payload_of(site.adapter, 1, ("red", "blue"))
    made = await site.adapter.publish(payload, KEY)
    post = await site.post(made)
    addresses = {one.name: "" for one in payload.uploads}
    for name in addresses:
        stem = name.rpartition(".")[0]
        text = post["html"] + (post["feature_image"] or "")
        (addresses[name],) = {
            word for word in text.replace('"', "\n").splitlines() if stem in word and word.startswith("http")
        }
        assert read(addresses[name]) == next(one.data for one in payload.uploads if one.name == name)
    assert post["html"].strip() == payload.fields(addresses)["html"]
    assert links.mentions_token(post["html"]) is False
    assert (post["title"], post["slug"], post["canonical_url"]) == (payload.title, sample.KEY, None)
    assert [tag["name"] for tag in post["tags"]] == ["讲座", "Lecture", "#2026-0042", "#zh", "#en"]
    assert (post["custom_excerpt"], post["feature_image_alt"]) == (payload.excerpt, "河流 / A river")
    assert made.links == Links(f"{site.ghost.url}/{sample.KEY}/")
    page = read(made.links.both).decode()
    assert payload.body.text.strip()[:60] in page
    assert 'href="' + addresses[payload.calendar.name] in page  # type: ignore[union-attr]  # the lecture has one


async def test_real__canonical_page_elsewhere(site: Site) -> None:
    """Where another channel is canonical, the page names its address."""
    payload = payload_of(site.adapter, where=Links("https://example.org/announcements/2026-0042/"))
    made = await site.adapter.publish(payload, KEY)
    assert made.links
    page = read(made.links.both).decode()
    assert '<link rel="canonical" href="https://example.org/announcements/2026-0042/">' in page


async def test_real__address_taken_at_the_same_moment(site: Site) -> None:
    """A draft that Ghost gave another address is deleted, and the one that was first is gone on with."""
    payload = payload_of(site.adapter)
    site.relay.server.inject(Cut(At.ACTED), method="POST", path=POSTS)
    with pytest.raises(Unavailable):
        await site.adapter.publish(payload, KEY)
    site.relay.server.inject(Answer(Response.json({"posts": []})), method="GET", path=POSTS)
    await site.adapter.publish(payload, KEY)
    assert [(post.slug, post.status) for post in site.ghost.posts()] == [(sample.KEY, "published")]


async def test_real__another_post_has_the_address(site: Site) -> None:
    """A post that is not ours is neither taken over nor doubled."""
    await site.api.prepare("POST", "posts/", {"posts": [{"title": "Other", "slug": sample.KEY}]})
    payload = payload_of(site.adapter)
    assert await site.adapter.find(KEY, payload) is None
    with pytest.raises(Rejected, match="another post"):
        await site.adapter.publish(payload, KEY)
    assert len(site.ghost.posts()) == 1


async def test_real__found_at_another_address(site: Site) -> None:
    """A post that an editor moved is found by its mark, and published once."""
    payload = payload_of(site.adapter)
    made = await site.adapter.publish(payload, KEY)
    await site.edit(made, slug="moved")
    found = await site.adapter.find(KEY, payload)
    assert found and found.id == made.id and found.links == Links(f"{site.ghost.url}/moved/")
    with pytest.raises(AlreadyThere):
        await site.adapter.publish(payload, KEY)


async def test_real__files_are_uploaded_once(site: Site) -> None:
    """A draft and a post tell where files are; a new adapter uploads only what is new."""
    payload = payload_of(site.adapter, 1, ("red",))
    site.relay.server.inject(Answer(Response(503)), method="PUT", path=POSTS)
    with pytest.raises(Exception, match="503"):
        await site.adapter.publish(payload, KEY)
    assert site.uploads() == 2
    other = GhostAdapter("ghost", site.adapter.settings)
    made = await other.publish(payload, KEY)
    await other.update(made, payload_of(other, 2, ("red", "green")))
    await other.close()
    assert site.uploads() == 4  # the second picture, and the calendar file with its new number


async def test_real__somebody_saves_in_between(site: Site) -> None:
    """An edit between our question and our change is not overwritten; the next try does it."""
    payload = payload_of(site.adapter)
    made = await site.adapter.publish(payload, KEY)
    stale = await site.api.ask(f"posts/{made.id}/", formats="html", include="tags,email,newsletter")
    await asyncio.sleep(1.1 - time.time() % 1)  # Ghost's database knows seconds only
    await site.edit(made, title="Edited")
    site.relay.server.inject(Answer(stale_answer(stale.body)), method="GET", path=POSTS)
    with pytest.raises(Unavailable, match="at the same moment"):
        await site.adapter.update(made, payload_of(site.adapter, 2))
    assert (await site.post(made))["title"] == "Edited"
    changed = await site.adapter.update(made, payload_of(site.adapter, 2))
    assert (changed.id, changed.outcome) == (made.id, Outcome.CONFIRMED)


def stale_answer(body: bytes) -> Response:
    """An answer of before, again."""
    return Response(200, body, {"Content-Type": "application/json"})


async def test_real__mails_only_when_asked(ghost: Ghost) -> None:
    """Without the setting Ghost mails nobody; with it a post is mailed once, and a correction is not."""
    quiet = Site(ghost)
    made = await quiet.adapter.publish(payload_of(quiet.adapter), KEY)
    assert (await quiet.post(made))["email"] is None
    await quiet.close()
    ghost.reset()
    mailing = Site(ghost, newsletter="default-newsletter")
    made = await mailing.adapter.publish(payload_of(mailing.adapter), KEY)
    first = (await mailing.post(made))["email"]
    assert first is not None
    assert made.code.startswith("200, e-mail ")
    await mailing.adapter.update(made, payload_of(mailing.adapter, 2))
    assert (await mailing.post(made))["email"]["id"] == first["id"]
    await mailing.adapter.retract(made)
    await mailing.adapter.publish(payload_of(mailing.adapter, 3), KEY)
    assert (await mailing.post(made))["email"]["id"] == first["id"]
    await mailing.close()


@pytest.mark.parametrize("retract", ["draft", "delete"])
async def test_real__taken_back(ghost: Ghost, retract: str) -> None:
    """A retracted post is a draft, or gone; to take it back again is done already, and to correct it is refused."""
    site = Site(ghost, retract=retract)
    payload = payload_of(site.adapter)
    made = await site.adapter.publish(payload, KEY)
    for _ in range(2):
        assert (await site.adapter.retract(made)).outcome is Outcome.CONFIRMED
    assert [post.status for post in ghost.posts()] == {"draft": ["draft"], "delete": []}[retract]
    assert await site.adapter.find(KEY, payload) is None
    with pytest.raises(Rejected):
        await site.adapter.update(made, payload)
    again = await site.adapter.publish(payload, KEY)
    assert (again.id == made.id) is (retract == "draft")
    await site.close()


async def test_real__lengths_and_letters(site: Site) -> None:
    """The longest title, emoji and Chinese tags arrive whole; the address is always the key."""
    title = Bilingual("讲" * 120, "🎉" * 132)
    tags = Tags(zh=("事实", "实时", ",逗号", "#井号"), en=("t" * 191, "A, B"))
    payload = payload_of(site.adapter, title=title, tags=tags)
    assert len(payload.title) == 255
    post = await site.post(await site.adapter.publish(payload, KEY))
    assert (post["title"], post["slug"]) == (payload.title, sample.KEY)
    assert [tag["name"] for tag in post["tags"]][:6] == ["事实", "实时", "逗号", "井号", "t" * 191, "A, B"]


async def test_real__check(ghost: Ghost, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong is named: the newsletter, either half of the key, the clock, the address."""
    site = Site(ghost, newsletter="default-newsletter")
    assert "newsletter default-newsletter" in await site.adapter.check()
    number, _, secret = ghost.admin_key.partition(":")
    wrong = [
        ({"newsletter": "none"}, "no active newsletter called none"),
        ({"admin_key": f"{'0' * 24}:{secret}"}, "does not know this key"),
        ({"admin_key": f"{number}:{'0' * 64}"}, "second half of GHOST_ADMIN_KEY"),
        ({"url": f"{site.relay.server.url}/elsewhere"}, "GHOST_URL"),
    ]
    for values, said in wrong:
        other = GhostAdapter(
            "ghost",
            GhostSettings(**{"url": site.relay.server.url, "admin_key": ghost.admin_key, **values}),
        )
        with pytest.raises((SignInFailed, Unavailable), match=said):
            await other.check()
        await other.close()
    late = GhostAdapter("ghost", site.adapter.settings)
    monkeypatch.setattr(late._api.http, "_now", lambda: clock.now().replace(year=2020))
    with pytest.raises(SignInFailed, match="clock"):
        await late.check()
    await late.close()
    await site.close()
