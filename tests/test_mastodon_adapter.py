"""Mastodon, against its double over real HTTP."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from channels.doubles.mastodon import MastodonDouble
from channels.mastodon import MastodonAdapter, MastodonSettings, StatusPayload
from channels.mastodon.status import matches, older_than
from publisher.announcement import Language, Revision
from publisher.channel import (
    DeliveryError,
    Layout,
    Links,
    Outcome,
    Rejected,
    SignInFailed,
    Unavailable,
    Unsupported,
    Variant,
)
from publisher.render import links
from publisher.render.length import measure
from publisher.render.variant import Edition, prove, render_all
from publisher.testing.exchange import Answer, Response

PAGE = Links(both="https://example.org/announcements/2026-0042/", en="https://example.org/en/2026-0042/")
KEY = "2026-0042-mastodon-both"


@pytest.fixture
def double(tmp_path: Path) -> Iterator[MastodonDouble]:
    double = MastodonDouble(str(tmp_path))
    yield double
    double.stop()


@pytest.fixture
async def adapter(double: MastodonDouble) -> AsyncIterator[MastodonAdapter]:
    adapter = MastodonAdapter("mastodon", settings_for(double))
    yield adapter
    await adapter.close()


def settings_for(double: MastodonDouble, **more: Any) -> MastodonSettings:
    reach = {name.lower(): value for name, value in double.start().items()}
    return MastodonSettings(**{**reach, "timeout": 5, **more})


@pytest.fixture
def variant(lecture: Revision, edition: Edition, adapter: MastodonAdapter) -> Variant:
    (variant,) = render_all(lecture, edition, adapter)
    return variant


@pytest.fixture
def payload(variant: Variant, adapter: MastodonAdapter) -> StatusPayload:
    return adapter.prepare(links.fill(variant, PAGE))


def test_prepare__the_exact_request(payload: StatusPayload, lecture: Revision) -> None:
    """Text with the real link, the language of the first block as the server lists it, the visibility."""
    assert payload.body == {
        "status": f"{lecture.summary.zh}\n\n{lecture.summary.en}\n\n{PAGE.both}\n#公开讲座 #城市 #PublicLecture #Cities",
        "language": "zh-CN",
        "visibility": "public",
    }
    assert payload.link == PAGE.both


def test_prepare__sealed_length_is_sent_length(
    variant: Variant, payload: StatusPayload, adapter: MastodonAdapter
) -> None:
    """The token costs what any link costs, so that filling it in changes no length."""
    rule = adapter.capabilities.length
    assert rule is not None
    assert measure(variant.text("text"), rule) == measure(payload.status, rule)


def test_prepare__languages(lecture: Revision, edition: Edition, adapter: MastodonAdapter) -> None:
    """English leads an English post, traditional Chinese is named as the server names it."""
    settings = adapter.settings.model_copy(update={"layout": Layout.SEPARATE})
    chinese, english = render_all(lecture, edition, MastodonAdapter("m", settings))
    assert adapter.prepare(english).language == "en"
    data = chinese.parts["facts"].data.replace(b"zh-Hans", b"zh-Hant")
    facts = dataclasses.replace(chinese.parts["facts"], data=data)
    traditional = dataclasses.replace(chinese, parts={**chinese.parts, "facts": facts})
    assert adapter.prepare(traditional).language == "zh-TW"


def test_prepare__too_long_or_empty(
    variant: Variant, double: MastodonDouble, adapter: MastodonAdapter
) -> None:
    """What does not fit as the server counts, or says nothing, is refused before approval."""
    part = variant.parts["text"]
    for text, said in (("中" * 501, "501 characters and may have 500"), (" \n", "needs a text")):
        wrong = dataclasses.replace(
            variant, parts={**variant.parts, "text": dataclasses.replace(part, data=text.encode())}
        )
        with pytest.raises(Unsupported, match=said):
            adapter.prepare(wrong)
    prove(variant, adapter)


async def test_publish__once(
    double: MastodonDouble, adapter: MastodonAdapter, payload: StatusPayload
) -> None:
    """One POST with the key, one look whether it is there, and a receipt with its address and time."""
    receipt = await adapter.publish(payload, KEY)
    (post,) = double.posts()
    assert (post["text"], post["language"], post["visibility"]) == (payload.status, "zh-CN", "public")
    assert (receipt.outcome, receipt.id, receipt.code) == (Outcome.CONFIRMED, post["id"], "200")
    assert receipt.links == Links(both=post["url"])
    assert receipt.at is not None
    assert abs(receipt.at - datetime.now(UTC)) < timedelta(minutes=1)
    assert [(r.method, r.headers.get("idempotency-key")) for r in double.server.requests] == [
        ("POST", KEY),
        ("GET", None),
    ]
    assert double.received() == [f"{post['url']}  {payload.status.splitlines()[0]}"]


async def test_publish__again_with_the_same_key(
    double: MastodonDouble, adapter: MastodonAdapter, payload: StatusPayload
) -> None:
    """A later attempt within the hour gets the first post's receipt."""
    first = await adapter.publish(payload, KEY)
    assert await adapter.publish(payload, KEY) == first
    assert len(double.posts()) == 1


async def test_publish__the_original_was_deleted(
    double: MastodonDouble, adapter: MastodonAdapter, payload: StatusPayload
) -> None:
    """A post that a person deleted is not published again behind his back."""
    receipt = await adapter.publish(payload, KEY)
    double.delete(receipt.id)
    with pytest.raises(Rejected, match="deleted"):
        await adapter.publish(payload, KEY)
    assert double.posts() == []


async def test_publish__silently_dropped(
    double: MastodonDouble, adapter: MastodonAdapter, payload: StatusPayload
) -> None:
    """A 200 behind which nothing was stored is not a success."""
    double.drops = True
    with pytest.raises(Rejected, match="a person must look"):
        await adapter.publish(payload, KEY)


async def test_publish__too_long_for_the_server(
    double: MastodonDouble, adapter: MastodonAdapter, payload: StatusPayload
) -> None:
    """The server's own words come with its refusal."""
    double.limit = 50
    with pytest.raises(Rejected, match="character limit of 50 exceeded"):
        await adapter.publish(payload, KEY)


async def test_find__there_or_not(
    double: MastodonDouble, adapter: MastodonAdapter, payload: StatusPayload
) -> None:
    """Found by its link and text, also after a person mended a line; not there is None."""
    assert await adapter.find(KEY, payload) is None
    receipt = await adapter.publish(payload, KEY)
    assert await adapter.find(KEY, payload) == receipt
    mended = dataclasses.replace(
        payload, status=payload.status.replace("Free admission", "Admission is free")
    )
    assert await adapter.find(KEY, mended) == receipt
    elsewhere = dataclasses.replace(
        payload, link="https://example.org/other", status="x\n\nhttps://example.org/other"
    )
    assert await adapter.find(KEY, elsewhere) is None


async def test_find__the_other_language_is_another_post(
    lecture: Revision, edition: Edition, adapter: MastodonAdapter
) -> None:
    """In the layout separate both posts may carry the same link, and are told apart by their text."""
    separate = adapter.settings.model_copy(update={"layout": Layout.SEPARATE})
    variants = render_all(lecture, edition, MastodonAdapter("m", separate))
    chinese, english = (adapter.prepare(links.fill(v, Links(both=PAGE.both))) for v in variants)
    await adapter.publish(chinese, "2026-0042-zh")
    assert await adapter.find("2026-0042-en", english) is None
    receipt = await adapter.publish(english, "2026-0042-en")
    assert await adapter.find("2026-0042-en", english) == receipt


async def test_find__without_a_link(adapter: MastodonAdapter) -> None:
    """A post without a link is found by the whole of its text."""
    payload = StatusPayload("本会放假 <三天> & more\n\n#放假", "zh-CN", "public")
    assert await adapter.find(KEY, payload) is None
    receipt = await adapter.publish(payload, KEY)
    assert await adapter.find(KEY, payload) == receipt
    assert await adapter.find(KEY, dataclasses.replace(payload, status="本会放假")) is None


async def test_find__pages_back(
    double: MastodonDouble, adapter: MastodonAdapter, payload: StatusPayload
) -> None:
    """A post behind a full page of others is found, and nothing is looked for without end."""
    receipt = await adapter.publish(payload, KEY)
    add_posts(double, 45)
    before = len(double.server.requests)
    assert await adapter.find(KEY, payload) == receipt
    assert len(double.server.requests) - before == 3
    add_posts(double, 160)
    before = len(double.server.requests)
    assert await adapter.find(KEY, payload) is None
    assert len(double.server.requests) - before == 5


def add_posts(double: MastodonDouble, count: int) -> None:
    """Newer posts of the same account, about something else."""
    newest = double.posts()[0]
    for number in range(int(newest["id"]) + 1, int(newest["id"]) + 1 + count):
        post = {**newest, "id": str(number), "content": "<p>Another post</p>", "text": "Another post"}
        (Path(double.folder) / "posts" / f"{number}.json").write_text(json.dumps(post), encoding="utf-8")


def test_find__the_next_page_cannot_lead_elsewhere() -> None:
    """Of a Link header only the id is taken, so the token never follows it to another host."""
    assert (
        older_than('<https://evil.example/?max_id=7&limit=40>; rel="next", <https://x/?min_id=9>; rel="prev"')
        == "7"
    )
    assert older_than('<https://social.example/?min_id=9>; rel="prev"') == ""
    assert older_than("nonsense <") == ""


def test_matches__links_split_into_spans() -> None:
    """The href counts, not what is shown of it."""
    payload = StatusPayload(
        "标题\n\nhttps://example.org/a?b=1&c=2", "zh-CN", "public", "https://example.org/a?b=1&c=2"
    )
    shown = '<a href="https://example.org/a?b=1&amp;c=2"><span class="invisible">https://</span><span>example.org/a</span></a>'
    assert matches({"content": f"<p>标题</p><p>{shown}</p>"}, payload)
    assert not matches({"content": "<p>标题</p><p>https://example.org/a?b=1&amp;c=2</p>"}, payload)
    assert not matches({"content": f"<p>别的</p><p>{shown}</p>"}, payload)
    assert not matches({"content": None}, payload)


async def test_find__only_our_own_posts(
    double: MastodonDouble, adapter: MastodonAdapter, payload: StatusPayload
) -> None:
    """A list with somebody else's post of the same link has none of ours."""
    await adapter.publish(payload, KEY)
    (post,) = double.posts()
    post["account"] = {"id": "666"}
    await adapter.check()
    double.server.inject(Answer(Response.json([post])), method="GET")
    assert await adapter.find(KEY, payload) is None


@pytest.mark.parametrize(
    "answer",
    [Response.html("<p>Down"), Response.json({"error": "x"}), Response(200), Response.json({"e": 1}, 404)],
)
async def test_find__trouble_is_not_absence(
    double: MastodonDouble, adapter: MastodonAdapter, payload: StatusPayload, answer: Response
) -> None:
    """A list that cannot be read never means that the post is not there."""
    await adapter.check()
    double.server.inject(Answer(answer), method="GET")
    with pytest.raises(Unavailable):
        await adapter.find(KEY, payload)


async def test_check__signed_in(double: MastodonDouble, adapter: MastodonAdapter) -> None:
    """One sentence: who we are there, and how long a post may be; advice where the setting differs."""
    assert await adapter.check() == "Signed in as @office@social.example; posts may have 500 characters."
    double.limit = 1000
    assert (await adapter.check()).endswith(
        "1000 characters, and MASTODON_MAX_CHARACTERS is 500: set it to 1000."
    )
    assert {r.method for r in double.server.requests} == {"GET"}


async def test_check__wrong_token(double: MastodonDouble) -> None:
    """A wrong token is named with its setting and what to do, and is not shown."""
    adapter = MastodonAdapter("mastodon_en", settings_for(double, token="wrong-secret"))
    with pytest.raises(SignInFailed, match="put it into MASTODON_EN_TOKEN") as caught:
        await adapter.check()
    assert "The access token is invalid" in str(caught.value)
    assert "wrong-secret" not in str(caught.value)
    await adapter.close()


async def test_check__not_a_mastodon_server(double: MastodonDouble, adapter: MastodonAdapter) -> None:
    """A web page at the address points to the setting that is wrong."""
    double.server.inject(Answer(Response.html("<h1>Welcome</h1>")))
    with pytest.raises(Unavailable, match="check MASTODON_URL"):
        await adapter.check()


async def test_check__old_server(double: MastodonDouble, adapter: MastodonAdapter) -> None:
    """A server without limits to ask for can be signed in to all the same."""
    account = Response.json({"id": "1", "username": "office"})
    for answer in (account, Response.json([]), Response.json({}, 404)):
        double.server.inject(Answer(answer))
    assert (await adapter.check()).endswith("; the server does not say how long a post may be.")


@pytest.mark.parametrize("url", ["http://social.example", "social.example", "https://me:pw@social.example"])
def test_settings__address(url: str) -> None:
    """An address over which the token would travel readable is refused, without showing what was typed."""
    with pytest.raises(ValidationError) as caught:
        MastodonSettings(url=url, token="tok-en")
    assert "tok-en" not in str(caught.value)
    assert "me:pw" not in str(caught.value)


def test_settings__every_field_is_described() -> None:
    """The reference page and the wizard are made from the descriptions."""
    assert all(field.description for field in MastodonSettings.model_fields.values())


async def test_token__appears_nowhere(
    double: MastodonDouble, adapter: MastodonAdapter, payload: StatusPayload, caplog: pytest.LogCaptureFixture
) -> None:
    """Not in a repr, a receipt, a log at its most talkative, or an error in which the server echoes it."""
    caplog.set_level(logging.DEBUG)
    receipt = await adapter.publish(payload, KEY)
    seen = [
        repr(adapter),
        repr(adapter.settings),
        repr(adapter._http),
        repr(receipt),
        receipt.raw,
        str(vars(adapter)),
    ]
    for status in (401, 422, 500, 302):
        echo = Response.json(
            {"error": f"Bearer {double.token}"}, status, {"Location": f"https://{double.token}.example/"}
        )
        double.server.inject(Answer(echo))
        with pytest.raises(DeliveryError) as caught:
            await adapter.publish(payload, KEY)
        seen.append(f"{caught.value!s} {caught.value!r}")
    assert double.token not in "\n".join([*seen, caplog.text])


async def test_double__shows_each_post(
    double: MastodonDouble, adapter: MastodonAdapter, payload: StatusPayload
) -> None:
    """A post can be read as a page, without a token, at the address in its receipt."""
    receipt = await adapter.publish(payload, KEY)
    page = (await adapter._http.send("GET", f"/@office/{receipt.id}", creates=False)).text
    assert page.startswith("<!doctype html>")
    assert f'<a href="{PAGE.both}"' in page
    source = await adapter._http.send("GET", f"/api/v1/statuses/{receipt.id}/source", creates=False)
    assert source.json()["text"] == payload.status


async def test_double__keys_live_an_hour(tmp_path: Path, payload: StatusPayload) -> None:
    """After the hour a repeated key makes a second post, as on the real server: that is what find is for."""
    moment = [datetime(2026, 9, 20, tzinfo=UTC)]
    double = MastodonDouble(str(tmp_path / "other"), now=lambda: moment[0])
    adapter = MastodonAdapter("m", settings_for(double))
    await adapter.publish(payload, KEY)
    moment[0] += timedelta(seconds=3599)
    await adapter.publish(payload, KEY)
    assert len(double.posts()) == 1
    moment[0] += timedelta(seconds=1)
    await adapter.publish(payload, KEY)
    assert len(double.posts()) == 2
    await adapter.close()
    double.stop()


async def test_double__language_list(adapter: MastodonAdapter, double: MastodonDouble) -> None:
    """A tag that the server does not list loses its script, which is why we map it."""
    await adapter.publish(StatusPayload("x", "zh-Hant", "public"), "a")
    await adapter.publish(StatusPayload("y", "zh-TW", "public"), "b")
    assert [post["language"] for post in double.posts()] == ["zh-TW", "zh"]
    assert Language.ZH == "zh"
