"""What must hold of a WordPress channel, on the double and on a real site alike."""

from __future__ import annotations

import asyncio
import hashlib
import io
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from functools import lru_cache
from typing import Any

import pytest
from PIL import Image as Pillow

from channels.wordpress import WordPressAdapter, WordPressPayload, WordPressSettings
from channels.wordpress.site import Site
from publisher.announcement import Bilingual, Image
from publisher.channel import (
    AlreadyThere,
    DeliveryError,
    OutcomeUnknown,
    Receipt,
    Rejected,
    SignInFailed,
    Unavailable,
)
from publisher.render.variant import Edition, render_all
from publisher.testing import sample
from publisher.testing.exchange import Answer, At, Cut, Fault, Late, Response, Stall, Truncated
from publisher.testing.loopback import LoopbackServer

API = "/wp-json/wp/v2"
KEY = "2026-0042-r1-website-both"
STAGES: Mapping[str, tuple[str, str]] = {
    "lookup": ("GET", f"{API}/posts"), "term": ("POST", f"{API}/tags"), "upload": ("POST", f"{API}/media"),
    "alternative text": ("POST", f"{API}/media/"), "draft": ("POST", f"{API}/posts"),
    "publication": ("POST", f"{API}/posts/"),
}  # fmt: skip
"""The requests a publication is made of, in their order."""
FAULTS: Mapping[str, Fault] = {
    "cut before": Cut(At.READ), "cut after": Cut(At.ACTED), "silence": Stall(At.ACTED), "truncated": Truncated(1),
    "500 after": Answer(Response.html("<h1>There has been a critical error</h1>", 500), acted=True),
    "a page after": Answer(Response.html("<h1>Are you human?</h1>"), acted=True), "late": Late(),
    "502 before": Answer(Response.html("<h1>nginx</h1>", 502)),
}  # fmt: skip


def taking_back(suite: type) -> type:
    """A suite of the kit without what is the same however posts are taken back."""
    for name in dir(suite):
        if name.startswith("test_") and not {"retract", "change"} & set(re.split("_+", name)):
            setattr(suite, name, None)
    return suite


class Bed(ABC):
    """A site, as the cases see it: what it has, and a network that can fail."""

    server: LoopbackServer
    url: str
    patience = 0.3
    """Seconds after which an impatient adapter gives up."""

    @abstractmethod
    def account(self, role: str) -> tuple[str, str]:
        """The name and the application password of the user with that role."""

    @abstractmethod
    def posts(self, kind: str = "post") -> list[dict[str, Any]]:
        """``id``, ``slug``, ``status``, ``title``, ``content`` and ``excerpt`` of everything, oldest first."""

    @abstractmethod
    def files(self) -> list[dict[str, Any]]:
        """``slug`` and ``alt_text`` of the files in the media library."""

    def public(self, kind: str = "post") -> list[dict[str, Any]]:
        """Our announcements that people can read."""
        return [
            one for one in self.posts(kind)
            if one["status"] == "publish" and 'class="publisher-post ' in one["content"]
        ]  # fmt: skip

    def settings(self, role: str = "author", **more: Any) -> WordPressSettings:
        """The settings of a channel."""
        name, password = self.account(role)
        given = {"url": self.url, "username": name, "application_password": password, "timeout": 10, **more}
        return WordPressSettings(**given)

    def adapter(self, role: str = "author", *, hasty: bool = False, **more: Any) -> WordPressAdapter:
        """A new channel; an impatient one gives up soon."""
        return WordPressAdapter(
            "website", self.settings(role, **{**({"timeout": self.patience} if hasty else {}), **more})
        )

    def person(self, role: str = "author") -> Site:
        """Somebody who works on the site by hand."""
        return Site("website", self.settings(role))


@lru_cache
def picture(colour: str) -> bytes:
    """A picture of one colour."""
    kept = io.BytesIO()
    Pillow.new("RGB", (400, 300), colour).save(kept, "PNG")
    return kept.getvalue()


def payloads(adapter: WordPressAdapter, number: int = 1, **changed: Any) -> list[WordPressPayload]:
    """What the channel gets of the lecture, with a leading picture and one in the text."""
    found = {hashlib.sha256(picture(colour)).hexdigest(): picture(colour) for colour in ("red", "blue")}
    images = tuple(
        Image(f"{sha}.png", Bilingual(f"图{place}", f"Picture {place}"), sha256=sha, after=0)
        for place, sha in enumerate(found)
    )
    revision = replace(sample.revision(number), **{"images": images, **changed})
    variants = render_all(revision, Edition(sample.KEY, number, date(2026, 9, 20)), adapter, None, found)
    return [adapter.prepare(variant) for variant in variants]


async def done(call: Any) -> Receipt:
    """The receipt, also where the post was there already."""
    try:
        receipt: Receipt = await call
    except AlreadyThere as known:
        receipt = known.receipt
    return receipt


class PublishingCases:
    """How a post comes to be, whatever happens on the way."""

    @pytest.mark.parametrize("fault", FAULTS)
    @pytest.mark.parametrize("stage", STAGES)
    async def test_fault__at_every_stage(self, bed: Bed, stage: str, fault: str) -> None:
        """Whatever breaks where: at most one post is public, the error says which, and a repetition completes it."""
        hasty, patient = bed.adapter(hasty=fault in ("silence", "late")), bed.adapter()
        (payload,) = payloads(hasty)
        method, path = STAGES[stage]
        bed.server.inject(FAULTS[fault], method=method, path=path)
        with pytest.raises(OutcomeUnknown if stage == "publication" else Unavailable):
            await hasty.publish(payload, KEY)
        await hasty.close()
        if fault == "late":
            bed.server.wait_until_acted(method=method, path=path)
        assert len(bed.public()) == int(stage == "publication" and "before" not in fault)
        receipt = await done(patient.publish(payload, KEY))
        assert [str(one["id"]) for one in bed.public()] == [receipt.id]
        assert await patient.find(KEY, payload) is not None
        await patient.close()
        (post,) = bed.public()
        assert post["slug"] == sample.KEY and "link.publisher.invalid" not in post["content"]
        assert sorted(one["alt_text"] for one in bed.files() if one["slug"][0] != "e") == [
            "图0 / Picture 0",
            "图1 / Picture 1",
        ]

    async def test_receipt__says_where_the_pictures_are(self, bed: Bed) -> None:
        """In the order of the document, whether the post was just made or only found."""
        adapter = bed.adapter()
        (payload,) = payloads(adapter)
        made = await adapter.publish(payload, KEY)
        assert made.links
        for address, upload in zip(made.links.pictures, payload.pictures.values(), strict=True):
            assert address.startswith("http") and upload.stem in address
        found = await adapter.find(KEY, payload)
        assert found and found.links == made.links
        assert (await done(adapter.publish(payload, KEY))).links == made.links
        (bare,) = payloads(adapter, 2, images=())
        changed = await adapter.update(made, bare)
        assert changed.links and changed.links.pictures == ()
        await adapter.close()

    @pytest.mark.parametrize("others", [0, 2, 9])
    async def test_draft__made_late(self, bed: Bed, others: int) -> None:
        """A draft that is made after we have given up, at whatever moment of the next attempt, never becomes a second post."""
        hasty, patient = bed.adapter(hasty=True), bed.adapter()
        (payload,) = payloads(hasty)
        bed.server.inject(Late(others), method="POST", path=f"{API}/posts")
        with pytest.raises(Unavailable):
            await hasty.publish(payload, KEY)
        receipt = await done(patient.publish(payload, KEY))
        await done(patient.publish(payload, KEY))
        for _ in range(9):
            found = await patient.find(KEY, payload)
            assert found and found.id == receipt.id
        assert [str(one["id"]) for one in bed.public()] == [receipt.id]
        for adapter in (hasty, patient):
            await adapter.close()

    async def test_publish__two_at_once(self, bed: Bed) -> None:
        """Two workers at the same moment make one post."""
        workers = [bed.adapter() for _ in range(3)]
        (payload,) = payloads(workers[0])
        found = await asyncio.gather(
            *(worker.publish(payload, KEY) for worker in workers), return_exceptions=True
        )
        for answer in found:
            assert isinstance(answer, Receipt | AlreadyThere | Unavailable), answer
        receipt = await done(workers[0].publish(payload, KEY))
        assert [str(one["id"]) for one in bed.public()] == [receipt.id]
        assert [one["slug"] for one in bed.public()] == [sample.KEY]
        for worker in workers:
            await worker.close()

    async def test_publish__an_address_that_is_taken(self, bed: Bed) -> None:
        """Somebody else's post at our address is neither overwritten nor taken for ours."""
        person, adapter = bed.person(), bed.adapter()
        theirs = {"title": "Notes", "content": "<p>by hand</p>", "slug": sample.KEY, "status": "publish"}
        await person.prepare("POST", "/posts", json=theirs)
        (payload,) = payloads(adapter)
        with pytest.raises(Rejected, match="another post, not ours, at the address 2026-0042"):
            await adapter.publish(payload, KEY)
        assert await adapter.find(KEY, payload) is None
        assert [one["content"] for one in bed.posts()] == ["<p>by hand</p>"]
        for one in (person, adapter):
            await one.close()

    async def test_publish__an_address_that_a_person_changed(self, bed: Bed) -> None:
        """A post whose address was changed on the site is known by the mark in its text."""
        person, adapter = bed.person(), bed.adapter()
        (payload,) = payloads(adapter)
        made = await adapter.publish(payload, KEY)
        await person.prepare("POST", f"/posts/{made.id}", json={"slug": "city-and-rivers"})
        found = await adapter.find(KEY, payload)
        assert (
            found and found.id == made.id and found.links and found.links.both.endswith("/city-and-rivers/")
        )
        with pytest.raises(AlreadyThere):
            await adapter.publish(payload, KEY)
        changed = await adapter.update(made, payloads(adapter, 2)[0])
        assert changed.links == found.links
        for one in (person, adapter):
            await one.close()

    async def test_publish__what_stands_there(self, bed: Bed) -> None:
        """Title, text and summary are kept character by character for an editor, and the first picture leads."""
        adapter = bed.adapter("editor", categories="Uncategorized, 新闻 & “活动”", timeout=20)
        title = Bilingual(
            "“引号”《书》 \\n \\\\ 😀 & <b> " + "长" * 60, 'Say "it\'s" & <i> \\t 100% [gallery]'
        )
        (payload,) = payloads(adapter, title=title)
        await adapter.publish(payload, KEY)
        (post,) = bed.public()
        assert post["title"] == payload.title
        assert post["excerpt"] == payload.excerpt
        assert post["content"].startswith(
            '<!-- wp:html -->\n<div class="publisher-post publisher-2026-0042">\n<div class="ann'
        )
        assert post["content"].count("<img ") == 1 and "[" not in post["content"]
        assert "&lt;周以宁&gt;" in post["content"] and '.ics"' in post["content"]
        person = bed.person("editor")
        (shown,) = await person.get("/posts", slug=sample.KEY, context="edit")
        assert shown["featured_media"] and len(shown["categories"]) == 2 and len(shown["tags"]) == 2
        for one in (person, adapter):
            await one.close()

    async def test_publish__a_page(self, bed: Bed) -> None:
        """A page has no categories and tags, and is published, changed and taken back the same way."""
        adapter = bed.adapter("editor", type="page", retract="trash")
        first, second = payloads(adapter)[0], payloads(adapter, 2)[0]
        made = await adapter.publish(first, KEY)
        assert [one["slug"] for one in bed.public("page")] == [sample.KEY] and bed.public() == []
        await adapter.update(made, second)
        assert "第2版" in bed.public("page")[0]["title"]
        await adapter.retract(made)
        assert bed.public("page") == [] and await adapter.find(KEY, first) is None
        await adapter.close()

    async def test_media__is_uploaded_once(self, bed: Bed) -> None:
        """Pictures and the calendar file are there once, however often the post is written."""
        adapter = bed.adapter()
        (payload,) = payloads(adapter)
        made = await adapter.publish(payload, KEY)
        before = sorted(one["slug"] for one in bed.files())
        assert len(before) == 3
        await adapter.update(made, payload)
        await adapter.update(made, payload)
        assert sorted(one["slug"] for one in bed.files()) == before
        await adapter.close()

    @pytest.mark.parametrize("status", ["private"])
    async def test_publish__what_a_person_hid(self, bed: Bed, status: str) -> None:
        """A post that somebody has hidden is not brought back by an attempt of ours."""
        person, adapter = bed.person("editor"), bed.adapter("editor")
        (payload,) = payloads(adapter)
        made = await adapter.publish(payload, KEY)
        await person.prepare("POST", f"/posts/{made.id}", json={"status": status})
        with pytest.raises(Rejected, match=f"made our post on .* {status}"):
            await adapter.publish(payload, KEY)
        assert bed.public() == []
        for one in (person, adapter):
            await one.close()

    @pytest.mark.parametrize("role", ["contributor", "subscriber"])
    async def test_publish__a_role_that_may_not(self, bed: Bed, role: str) -> None:
        """A user who may not publish is told so, with the role that may, and nothing is public."""
        adapter = bed.adapter(role)
        (payload,) = payloads(adapter)
        with pytest.raises(SignInFailed, match=r"role (Author|below Author)"):
            await adapter.publish(payload, KEY)
        assert bed.public() == []
        await adapter.close()


class ChangingCases:
    """Correcting, and taking back."""

    @pytest.mark.parametrize("how", ["draft", "trash", "notice"])
    async def test_update__what_is_not_public(self, bed: Bed, how: str) -> None:
        """To correct is not to publish again: what was taken off the site stays off, as it was."""
        adapter = bed.adapter(retract=how)
        made = await adapter.publish(payloads(adapter)[0], KEY)
        await adapter.retract(made)
        before = bed.posts()
        with pytest.raises(Rejected, match="the post that should be changed"):
            await adapter.update(made, payloads(adapter, 2)[0])
        assert bed.posts() == before and bed.public() == []
        await adapter.close()

    @pytest.mark.parametrize("how", ["draft", "trash", "notice"])
    async def test_change__what_is_gone(self, bed: Bed, how: str) -> None:
        """A post that was deleted for good cannot be corrected, and is taken back already."""
        person, adapter = bed.person(), bed.adapter(retract=how)
        (payload,) = payloads(adapter)
        made = await adapter.publish(payload, KEY)
        await person.prepare("DELETE", f"/posts/{made.id}", query={"force": "true"})
        with pytest.raises(Rejected, match="has no longer the post"):
            await adapter.update(made, payload)
        assert (await adapter.retract(made)).links is None
        for one in (person, adapter):
            await one.close()

    @pytest.mark.parametrize("how", ["draft", "trash", "notice"])
    async def test_retract__and_publish_again(self, bed: Bed, how: str) -> None:
        """What was taken back can be published again at the same address, and is there once."""
        adapter = bed.adapter(retract=how)
        (payload,) = payloads(adapter)
        made = await adapter.publish(payload, KEY)
        await adapter.retract(made)
        assert bed.public() == []
        again = await adapter.publish(payload, KEY)
        assert again.links == made.links and [one["slug"] for one in bed.public()] == [sample.KEY]
        await adapter.close()

    async def test_retract__leaves_a_notice(self, bed: Bed) -> None:
        """A notice says in both languages that the post was withdrawn, and where the calendar file is that calls it off."""
        adapter = bed.adapter(retract="notice")
        made = await adapter.publish(payloads(adapter)[0], KEY)
        gone = await adapter.retract(made)
        (post,) = [one for one in bed.posts() if str(one["id"]) == made.id]
        assert (post["status"], post["slug"]) == ("publish", sample.KEY)
        assert gone.links and made.links and gone.links.both == made.links.both and not gone.links.pictures
        assert "本公告已撤回。" in post["content"] and "has been withdrawn" in post["content"]
        assert "-cancelled.ics" in post["content"] and "<img" not in post["content"]
        await adapter.retract(made)
        assert len([one for one in bed.files() if one["slug"].endswith("-cancelled")]) == 1
        await adapter.close()


class PairCases:
    """One post a language, each of which names the other."""

    async def test_pair__names_each_other(self, bed: Bed) -> None:
        """Once both are out, each has one paragraph with the other's address; corrected, with its new title."""
        adapter = bed.adapter(layout="separate")
        chinese, english = payloads(adapter)
        first = await adapter.publish(chinese, KEY)
        assert "publisher-other" not in bed.public()[0]["content"]
        second = await adapter.publish(english, KEY)
        assert (
            first.links
            and second.links
            and (first.links.zh, second.links.en) == (first.links.both, second.links.both)
        )
        for _ in range(2):
            zh, en = bed.public()
            assert _others(zh) == 1 and second.links.both in zh["content"] and "no. 1</a>" in zh["content"]
            assert _others(en) == 1 and first.links.both in en["content"] and "第1版" in en["content"]
            assert await adapter.find(KEY, chinese) and await adapter.find(KEY, english)
        newer = payloads(adapter, 2)
        await adapter.update(second, newer[1])
        await adapter.update(first, newer[0])
        zh, en = bed.public()
        assert _others(zh) == _others(en) == 1 and "no. 2</a>" in zh["content"] and "第2版" in en["content"]
        await adapter.close()

    @pytest.mark.parametrize("how", ["draft", "trash", "notice"])
    async def test_pair__one_is_taken_back(self, bed: Bed, how: str) -> None:
        """The post that stays no longer leads to the one that went, also where the first attempt broke off there."""
        adapter = bed.adapter(layout="separate", retract=how)
        chinese, english = payloads(adapter)
        first, second = await adapter.publish(chinese, KEY), await adapter.publish(english, KEY)
        bed.server.inject(Cut(At.READ), method="POST", path=f"{API}/posts/{second.id}")
        with pytest.raises(OutcomeUnknown):
            await adapter.retract(first)
        await adapter.retract(first)
        (left,) = bed.public()
        assert left["slug"] == f"{sample.KEY}-en" and _others(left) == 0
        await adapter.close()

    @pytest.mark.parametrize("fault", FAULTS)
    async def test_pair__breaks_off(self, bed: Bed, fault: str) -> None:
        """A failure after publishing is an unknown outcome, and asking completes the pair."""
        patient = bed.adapter(layout="separate")
        hasty = bed.adapter(layout="separate", hasty=fault in ("silence", "late"))
        chinese, english = payloads(patient)
        first = await patient.publish(chinese, KEY)
        bed.server.inject(FAULTS[fault], method="POST", path=f"{API}/posts/{first.id}")
        with pytest.raises(OutcomeUnknown):
            await hasty.publish(english, KEY)
        assert len(bed.public()) == 2
        assert await patient.find(KEY, english)
        zh, en = bed.public()
        assert _others(zh) == _others(en) == 1
        for one in (patient, hasty):
            await one.close()

    @pytest.mark.parametrize("refusal", [401, 403])
    async def test_pair__that_may_not_be_changed(self, bed: Bed, refusal: int) -> None:
        """A sibling that belongs to somebody else is left as it is, and our post is out."""
        adapter = bed.adapter(layout="separate")
        chinese, english = payloads(adapter)
        first = await adapter.publish(chinese, KEY)
        refused = {"code": "rest_cannot_edit", "message": "Sorry", "data": {"status": refusal}}
        bed.server.inject(
            Answer(Response.json(refused, refusal)), method="POST", path=f"{API}/posts/{first.id}"
        )
        assert (await adapter.publish(english, KEY)).id
        await adapter.close()


def _others(post: Mapping[str, Any]) -> int:
    return str(post["content"]).count('class="publisher-other"')


class CheckCases:
    """What a check says."""

    @pytest.mark.parametrize(
        ("role", "more", "said"),
        [
            ("author", {}, r"as \w+ \(author\); may publish posts and upload pictures\."),
            ("editor", {"type": "page", "retract": "trash"}, r"\(editor\); may publish pages"),
            ("editor", {"categories": "Uncategorized, 新闻"}, "will make the category 新闻"),
        ],
    )  # fmt: skip
    async def test_check__works(self, bed: Bed, role: str, more: dict[str, Any], said: str) -> None:
        """A user who may do all that is needed is named, with the site."""
        adapter = bed.adapter(role, **more)
        assert re.search(said, found := await adapter.check()), found
        await adapter.close()

    @pytest.mark.parametrize(
        ("role", "more", "said"),
        [
            ("contributor", {}, "may not publish, correct what is published, upload pictures .* role Author or Editor"),
            ("subscriber", {}, "may not write, publish"),
            ("author", {"type": "page"}, "may not write, publish, correct what is published on .* the role Editor"),
            ("author", {"categories": "新闻"}, "has no category 新闻, and .* may not make one"),
            ("author", {"application_password": "wrong wrong"}, "does not know .* with this password.*Authorization header"),
            ("author", {"username": "nobody"}, "does not know nobody with this password"),
        ],
    )  # fmt: skip
    async def test_check__a_user_who_may_not(
        self, bed: Bed, role: str, more: dict[str, Any], said: str
    ) -> None:
        """What the user lacks is named, with the step that mends it."""
        adapter = bed.adapter(role, **more)
        with pytest.raises(SignInFailed, match=said):
            await adapter.check()
        await adapter.close()


class AllCases(PublishingCases, ChangingCases, PairCases, CheckCases):
    """Everything."""


__all__ = ["AllCases", "Bed", "DeliveryError", "done", "payloads"]
