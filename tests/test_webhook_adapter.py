"""The webhook adapter: its settings, what its events say, and what the answers to them mean."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

from channels.doubles.webhook import WebhookDouble
from channels.webhook import EventPayload, WebhookAdapter, WebhookSettings, event
from publisher.announcement import Language, Revision
from publisher.channel import (
    DeliveryError,
    Layout,
    Links,
    Outcome,
    OutcomeUnknown,
    Receipt,
    Rejected,
    SignInFailed,
    Throttled,
    Unavailable,
    Unsupported,
    Variant,
)
from publisher.render import links
from publisher.render.variant import Edition, render_all
from publisher.testing.exchange import Answer, Response

PAGE = Links(
    both="https://example.org/announcements/2026-0042/?a=1&b=2", en="https://example.org/en/2026-0042/"
)
KEY = "2026-0042-r1-in-house-both"
GUIDE = Path(__file__).parent.parent / "docs" / "channels" / "webhook.md"


@pytest.fixture
def double(tmp_path: Path) -> Iterator[WebhookDouble]:
    double = WebhookDouble(str(tmp_path))
    yield double
    double.stop()


@pytest.fixture
async def adapter(double: WebhookDouble) -> AsyncIterator[WebhookAdapter]:
    adapter = WebhookAdapter("in_house", settings_for(double))
    yield adapter
    await adapter.close()


def settings_for(double: WebhookDouble, **more: Any) -> WebhookSettings:
    reach = {name.lower(): value for name, value in double.start().items()}
    return WebhookSettings(**{**reach, "timeout": 5, **more})


def offline(**more: Any) -> WebhookAdapter:
    """An adapter for what needs no network."""
    secret = "whsec_" + base64.b64encode(bytes(32)).decode()
    settings = WebhookSettings(url="https://intranet.example/in", secret=secret, **more)  # type: ignore[arg-type]
    return WebhookAdapter("in_house", settings)


def variants(revision: Revision, edition: Edition, adapter: WebhookAdapter) -> list[Variant]:
    return [links.fill(variant, PAGE) for variant in render_all(revision, edition, adapter)]


@pytest.fixture
def payload(lecture: Revision, edition: Edition, adapter: WebhookAdapter) -> EventPayload:
    return adapter.prepare(variants(lecture, edition, adapter)[0])


# --- Settings ---------------------------------------------------------------------------------------------


def whsec(size: int) -> str:
    return "whsec_" + base64.b64encode(bytes(size)).decode()


@pytest.mark.parametrize(
    "secret", [whsec(24), whsec(64), f"{whsec(32)} {whsec(25)}", f" {whsec(32)},\t{whsec(33)}, "]
)
def test_secret__taken(secret: str) -> None:
    """One secret of 24 to 64 bytes, or several."""
    WebhookSettings(url="https://a.example/", secret=secret)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("secret", "sentence"),
    [
        ("", "A secret is missing"), (" , ", "A secret is missing"), ("hunter2", "whsec_ and base64"),
        (whsec(32).removeprefix("whsec_"), "whsec_ and base64"), (whsec(23), "has 23 bytes and must have 24 to 64"),
        (whsec(65), "has 65 bytes"), (whsec(32)[:-1], "not base64"), ("whsec_中文", "not base64"),
        (f"{whsec(32)} {whsec(3)}", "has 3 bytes"), ("whsec_" + "-_" * 22, "not base64"),
    ],
)  # fmt: skip
def test_secret__refused(secret: str, sentence: str) -> None:
    """A secret that is none is refused before anything starts, in a sentence without it."""
    with pytest.raises(ValidationError) as caught:
        WebhookSettings(url="https://a.example/", secret=secret)  # type: ignore[arg-type]
    told = caught.value.errors()[0]["msg"]
    assert sentence in told
    assert not secret.strip(" ,") or secret not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["http://intranet.example/in", "https://a:b@intranet.example/", "https://x.example/?k=1", "in.example"],
)
def test_url__refused(url: str) -> None:
    """Only https elsewhere, and nothing in the address that does not belong there."""
    with pytest.raises(ValidationError):
        WebhookSettings(url=url, secret=whsec(32))  # type: ignore[arg-type]


@pytest.mark.parametrize("path", ["/hooks/announcements/", "/", "", "/a%20b/"])
async def test_url__goes_out_as_it_is(double: WebhookDouble, path: str) -> None:
    """A slash at the end is part of an endpoint; and a private address is where in-house systems live."""
    settings = settings_for(double)
    own = settings.model_copy(update={"url": double.server.url + path})
    adapter = WebhookAdapter("in_house", own)
    double.server.inject(Answer(Response(204)))
    assert (await adapter.check()).endswith("took a signed announcement.ping.")
    assert double.server.requests[0].target == (path or "/")
    assert WebhookSettings(url=f"https://10.0.0.7{path}", secret=whsec(24)).url == f"https://10.0.0.7{path}"  # type: ignore[arg-type]
    await adapter.close()


# --- What an event says -----------------------------------------------------------------------------------


def test_prepare__what_the_event_says(lecture: Revision, edition: Edition) -> None:
    """Everything a system needs to show it, by language, with its canonical link."""
    adapter = offline()
    (variant,) = variants(lecture, edition, adapter)
    made = json.loads(adapter.prepare(variant).published)
    data = made["data"]
    assert (made["type"], made["timestamp"]) == ("announcement.published", f"{data['date']}T00:00:00Z")
    assert (data["key"], data["revision"], data["channel"], data["scope"]) == (
        edition.key, edition.revision, "in_house", "both",
    )  # fmt: skip
    assert (data["languages"], data["layout"], data["url"]) == (["zh", "en"], "paired", PAGE.both)
    assert data["title"] == {"zh": lecture.title.zh, "en": lecture.title.en}
    assert data["tags"] == {"zh": list(lecture.tags.zh), "en": list(lecture.tags.en)}
    assert data["html"] == {
        "both": variant.text("body"), "zh": variant.text("body_zh"), "en": variant.text("body_en"),
    }  # fmt: skip
    assert set(data["event"]) == {"start", "end", "when", "place", "link"}
    assert data["event"]["start"].startswith("2026-10-12T15:00:00+")
    assert set(data["summary"]) == {"zh", "en"} and all(data["summary"].values())


def test_prepare__how_it_is_written(payload: EventPayload, lecture: Revision) -> None:
    """UTF-8 without escapes, names in order, no spaces; the update differs in its type and nothing else."""
    for body in (payload.published, payload.updated):
        read = json.loads(body)
        assert body == json.dumps(read, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    assert lecture.title.zh.encode() in payload.published
    assert payload.updated == payload.published.replace(
        b'"announcement.published"}', b'"announcement.updated"}'
    )
    assert repr(payload) == f"EventPayload(post={payload.post!r}, update_id={payload.update_id!r})"


def test_prepare__a_language_each(lecture: Revision, edition: Edition) -> None:
    """In the layout *separate* each event speaks one language, and links to the page in it."""
    adapter = offline(layout=Layout.SEPARATE)
    payloads = [adapter.prepare(variant) for variant in variants(lecture, edition, adapter)]
    for code, payload in zip(Language, payloads, strict=True):
        data = json.loads(payload.published)["data"]
        assert (data["scope"], data["languages"], set(data["html"]), set(data["title"])) == (
            code,
            [code],
            {code},
            {code},
        )
        assert set(data["event"]["place"]) == {code}
        assert data["url"] == PAGE[code]
    assert len({payload.update_id for payload in payloads} | {payload.post for payload in payloads}) == 4


def test_prepare__without_an_address(visit: Revision, edition: Edition) -> None:
    """Where no page is known, the event has none; but a text that links to one is not sent with a dead link."""
    adapter = offline()
    (variant,) = render_all(visit, edition, adapter)
    data = json.loads(adapter.prepare(variant).published)["data"]
    assert (data["url"], data["event"]) == (None, None)
    separate = offline(layout=Layout.SEPARATE)
    with pytest.raises(Unsupported, match="PUBLISHER_CANONICAL"):
        separate.prepare(render_all(visit, edition, separate)[0])


def test_links__a_receiver_has_no_address() -> None:
    """Where an in-house system shows an announcement is its own affair."""
    adapter = offline()
    assert adapter.links("2026-0042") is None
    assert (adapter.can_find, adapter.can_update, adapter.can_retract) == (False, True, True)


# --- Sending ----------------------------------------------------------------------------------------------


async def test_publish__signed_is_sent(
    double: WebhookDouble, adapter: WebhookAdapter, payload: EventPayload
) -> None:
    """What arrives, and what the signature is over, is byte for byte what was prepared."""
    made = await adapter.publish(payload, KEY)
    (request,) = double.server.requests
    assert request.body == payload.published == double.bodies()[KEY]
    assert (request.headers["webhook-id"], request.headers["content-type"]) == (KEY, "application/json")
    assert (made.outcome, made.id, made.links, made.code) == (Outcome.ACCEPTED, "2026-0042-both", None, KEY)
    assert made.raw.startswith("200 {")
    (line,) = double.received()
    assert "2026-0042 r" in line and "公开讲座" in line


async def test_life__ids_and_order(
    double: WebhookDouble, adapter: WebhookAdapter, payload: EventPayload, lecture: Revision, edition: Edition
) -> None:
    """Published, updated, withdrawn, published again, withdrawn again: each event is taken, and none twice."""
    second, third = (
        adapter.prepare(variants(lecture, Edition(edition.key, number, edition.dated), adapter)[0])
        for number in (2, 3)
    )
    made = await adapter.publish(payload, KEY)
    changed = await adapter.update(made, second)
    gone = await adapter.retract(changed)
    assert await adapter.retract(changed) and double.posts() == []
    again = await adapter.publish(third, "2026-0042-r3-in-house-both")
    assert [post["revision"] for post in double.posts()] == [3]
    await adapter.retract(again)
    assert double.posts() == []
    assert {made.id, changed.id, gone.id, again.id} == {"2026-0042-both"}
    assert list(double.bodies()) == [
        KEY,
        "2026-0042-r2-in-house-both-updated",
        "2026-0042-r2-in-house-both-updated-withdrawn",
        "2026-0042-r3-in-house-both",
        "2026-0042-r3-in-house-both-withdrawn",
    ]
    withdrawn = json.loads(double.bodies()[gone.code])
    assert withdrawn["data"] == {"channel": "in_house", "key": "2026-0042", "revision": 2, "scope": "both"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", withdrawn["timestamp"])


async def test_update__arriving_after_the_withdrawal(
    double: WebhookDouble, adapter: WebhookAdapter, payload: EventPayload
) -> None:
    """An event that was long on its way does not bring back what was withdrawn since."""
    made = await adapter.publish(payload, KEY)
    changed = Receipt(Outcome.ACCEPTED, made.id, code=payload.update_id)
    await adapter.retract(changed)
    await adapter.update(made, payload)
    assert double.posts() == []


async def test_retract__settled_by_hand(
    double: WebhookDouble, adapter: WebhookAdapter, payload: EventPayload
) -> None:
    """A receipt that a person wrote has the delivery's key for its id, and that is enough."""
    await adapter.publish(payload, KEY)
    by_hand = Receipt(Outcome.ACCEPTED, KEY, code="by hand")
    assert (await adapter.update(by_hand, payload)).id == KEY
    assert (await adapter.retract(by_hand)).id == KEY
    assert f"{KEY}-withdrawn" in double.bodies()


@pytest.mark.parametrize(
    ("number", "code"),
    [("2026-0042-both", ""), ("2026-0042-both", "200"), ("2026-0041-both", KEY), ("2026-0042-zh", KEY), ("https://example.org/1", "by hand")],
)  # fmt: skip
async def test_retract__a_receipt_of_no_event(
    double: WebhookDouble, adapter: WebhookAdapter, number: str, code: str
) -> None:
    """What was never sent is not withdrawn, and nothing leaves."""
    with pytest.raises(Rejected, match="names no event"):
        await adapter.retract(Receipt(Outcome.ACCEPTED, number, code=code))
    assert double.server.requests == []


async def test_check__a_ping_is_no_post(double: WebhookDouble, adapter: WebhookAdapter) -> None:
    """Two checks are two signed pings with ids of their own, and nothing is kept of them."""
    assert [await adapter.check(), await adapter.check()] == [
        f"{adapter._host} took a signed announcement.ping."
    ] * 2
    ids = [request.headers["webhook-id"] for request in double.server.requests]
    assert len(set(ids)) == 2 and all(re.fullmatch(r"ping-[0-9a-f]{32}", one) for one in ids)
    assert {request.json()["type"] for request in double.server.requests} == {event.PING}
    assert double.bodies() == {}


async def test_check__a_web_page(double: WebhookDouble, adapter: WebhookAdapter) -> None:
    """A page with status 200 is what a wrong address gives."""
    double.server.inject(Answer(Response.html("\n<!doctype html><title>Intranet</title>")))
    with pytest.raises(Unavailable, match="IN_HOUSE_URL"):
        await adapter.check()


async def test_check__another_secret(double: WebhookDouble, adapter: WebhookAdapter) -> None:
    """Where the two secrets differ, the check says what to compare."""
    double.secret = whsec(32)
    with pytest.raises(SignInFailed, match=r"401: No signature fits.*IN_HOUSE_SECRET.*clocks"):
        await adapter.check()


async def test_publish__while_the_secret_changes(
    double: WebhookDouble, adapter: WebhookAdapter, payload: EventPayload
) -> None:
    """With the new and the old secret in the setting, a receiver with either takes the event."""
    both = WebhookSettings(url=adapter.settings.url, secret=f"{whsec(32)} {double.secret}")  # type: ignore[arg-type]
    changing = WebhookAdapter("in_house", both)
    await changing.publish(payload, KEY)
    double.secret = whsec(32)
    await changing.publish(payload, "2026-0043-r1-in-house-both")
    assert len(double.server.requests[0].headers["webhook-signature"].split(" ")) == 2
    assert len(double.bodies()) == 2
    await changing.close()


WAIT = {"Retry-After": "120"}
MEANS: list[tuple[int, dict[str, str], type[DeliveryError], str]] = [
    (400, {}, Rejected, "IN_HOUSE_SECRET"), (401, {}, SignInFailed, "IN_HOUSE_SECRET"), (403, {}, SignInFailed, "IN_HOUSE_SECRET"),
    (404, {}, SignInFailed, "IN_HOUSE_URL"), (405, {}, SignInFailed, "IN_HOUSE_URL"), (410, {}, SignInFailed, "is gone"),
    (422, {}, Rejected, "422"), (302, {"Location": "https://x.example/"}, SignInFailed, "correct the address"),
    (303, {"Location": "https://x.example/"}, SignInFailed, "correct the address"),
    (429, WAIT, Throttled, "429"), (502, WAIT, Throttled, "502"), (503, WAIT, Throttled, "503"), (504, WAIT, Throttled, "504"),
    (500, WAIT, OutcomeUnknown, "500"), (502, {}, OutcomeUnknown, "502"), (504, {"Retry-After": "soon"}, OutcomeUnknown, "504"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "headers", "error", "words"), MEANS)
async def test_publish__what_an_answer_means(
    double: WebhookDouble, adapter: WebhookAdapter, payload: EventPayload,
    status: int, headers: dict[str, str], error: type[DeliveryError], words: str,
) -> None:  # fmt: skip
    """A wrong address or signature pauses the channel, a wait is obeyed, and no redirect means that it is done."""
    double.server.inject(Answer(Response(status, headers=headers)))
    with pytest.raises(error, match=words) as caught:
        await adapter.publish(payload, KEY)
    assert type(caught.value) is error
    if isinstance(caught.value, Throttled):
        assert caught.value.retry_after == timedelta(seconds=120)


# --- The guide for the receiver's side --------------------------------------------------------------------


def guided() -> SimpleNamespace:
    """The guide's example and its code: the request's head and body, the secret, and the function."""
    text = GUIDE.read_text(encoding="utf-8")
    head, body = re.findall(r"```http\n(.*?)\n\n(.*?)\n```", text, flags=re.DOTALL)[0]
    (code,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    made: dict[str, Any] = {}
    exec(code, made)
    pairs = (line.split(": ", 1) for line in head.splitlines()[1:])
    headers = {name.lower(): value for name, value in pairs}
    (secret,) = re.findall(r"`(whsec_[A-Za-z0-9+/]+=*)`", text)
    return SimpleNamespace(headers=headers, body=body.encode(), secret=secret, code=made)


def test_guide__its_code_takes_its_example() -> None:
    """What the guide prints is verified by what it prints, and by nothing that was changed on the way."""
    guide = guided()
    genuine, moment = guide.code["is_genuine"], int(guide.headers["webhook-timestamp"])
    guide.code["time"] = SimpleNamespace(time=lambda: moment + 300)
    assert genuine(guide.headers, guide.body, guide.secret)
    assert not genuine(guide.headers, guide.body + b" ", guide.secret)
    assert not genuine(guide.headers, guide.body, whsec(32))
    assert not genuine({}, guide.body, guide.secret)
    guide.code["time"] = SimpleNamespace(time=lambda: moment + 301)
    assert not genuine(guide.headers, guide.body, guide.secret)


async def test_guide__its_code_takes_what_we_send(
    double: WebhookDouble, adapter: WebhookAdapter, payload: EventPayload
) -> None:
    """An integrator who copies the guide's code can verify our events."""
    await adapter.publish(payload, KEY)
    (request,) = double.server.requests
    assert guided().code["is_genuine"](request.headers, request.body, double.secret)


def test_guide__its_example_is_one_of_ours(payload: EventPayload) -> None:
    """The example has the fields that events have, written as they are written."""
    example, real = json.loads(guided().body), json.loads(payload.published)
    assert {name: set(example[name]) if name == "data" else 0 for name in example} == {
        name: set(real[name]) if name == "data" else 0 for name in real
    }
    text = GUIDE.read_text(encoding="utf-8")
    assert all(
        f"`{name}`" in text
        for name in (*real["data"], *real["data"]["event"], event.UPDATED, event.WITHDRAWN)
    )
    assert (
        guided().body
        == json.dumps(example, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    )
