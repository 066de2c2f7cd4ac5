"""The conformance kit itself: an adapter that is right passes, and each wrong one is caught."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit

import pytest
from pydantic import Field, SecretStr

from publisher.channel import (
    Adapter,
    ChannelSettings,
    DeliveryError,
    Kind,
    Links,
    Outcome,
    OutcomeUnknown,
    Payload,
    Receipt,
    Rejected,
    SignInFailed,
    Template,
    Unavailable,
    Variant,
)
from publisher.http import HttpClient
from publisher.testing.conformance_http import HttpConformance
from publisher.testing.exchange import At, Cut, Late, Request, Response
from publisher.testing.loopback import LoopbackServer

TOKEN = "t0ken-of-the-office"


class Service:
    """Posts by key: ``PUT /posts/KEY`` makes, ``GET`` reads, ``PATCH`` changes, ``DELETE`` takes back."""

    def __init__(self) -> None:
        self.posts: dict[str, str] = {}
        self.server = LoopbackServer(self._handle)

    async def _handle(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return Response.json({"error": "Who are you?"}, 401)
        key = request.path.removeprefix("/posts/")
        if request.path == "/me":
            return Response.json({"name": "office"})
        if request.method == "POST":
            wanted = request.json()
            key = wanted["key"]
            if self.posts.setdefault(key, wanted["text"]) != wanted["text"]:
                return Response.json({"error": "another text has this key"}, 409)
        elif key not in self.posts:
            return Response.json({"error": "no such post"}, 404)
        elif request.method == "PUT":
            self.posts[key] = request.json()["text"]
        elif request.method == "DELETE":
            return Response.json({"id": key, "text": self.posts.pop(key)})
        return Response.json({"id": key, "text": self.posts[key]})


class RightSettings(ChannelSettings):
    """Where, as whom, and for how long."""

    url: str = Field(description="address of the service")
    token: SecretStr = Field(description="its token")
    timeout: float = Field(10.0, description="longest time of a request, in seconds")


@dataclass(frozen=True)
class Note(Payload):
    """The whole text."""

    text: str


class Right(Adapter[RightSettings, Note]):
    """An adapter as it should be."""

    title = "A service of the tests"
    kind = Kind.POST
    Settings = RightSettings
    templates = (Template("text", "website/title.txt"),)

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        token = self.settings.token.get_secret_value()
        headers = {"Authorization": f"Bearer {token}"}
        self.client = HttpClient(
            self.settings.url, headers=headers, timeout=self.settings.timeout, secrets=[token]
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.channel})"

    async def check(self) -> str:
        await self.ask("GET", "/me", creates=False)
        return "Signed in."

    def prepare(self, variant: Variant) -> Note:
        return Note(variant.text("text"))

    async def publish(self, payload: Note, key: str) -> Receipt:
        return self.receipt(await self.ask("POST", "/posts", {"key": key, "text": payload.text}), key)

    async def find(self, key: str, payload: Note) -> Receipt | None:
        response = await self.client.send("GET", f"/posts/{key}", creates=False)
        if response.status == 404:
            return None
        self.client.raise_for_status(response, creates=False)
        try:
            return self.receipt(response.json(), key)
        except (ValueError, OutcomeUnknown):
            raise Unavailable("The service cannot be asked now.") from None

    async def update(self, receipt: Receipt, payload: Note) -> Receipt:
        answer = await self.ask("PUT", self.path(receipt), {"text": payload.text})
        return self.receipt(answer, receipt.id)

    async def retract(self, receipt: Receipt) -> Receipt:
        response = await self.client.send("DELETE", self.path(receipt), creates=True)
        if response.status != 404:
            self.client.raise_for_status(response, creates=True)
            self.receipt(self.read(response), receipt.id)
        return Receipt(Outcome.CONFIRMED, receipt.id)

    async def close(self) -> None:
        await self.client.close()

    def path(self, receipt: Receipt) -> str:
        return f"/posts/{quote(receipt.id[:100], safe='')}"

    async def ask(self, method: str, path: str, body: object = None, creates: bool = True) -> Any:
        response = await self.client.send(method, path, json=body, creates=creates)
        self.client.raise_for_status(response, creates=creates)
        return self.read(response)

    def read(self, response: Any) -> Any:
        try:
            return response.json()
        except ValueError:
            raise OutcomeUnknown("The service answered something that is no JSON.") from None

    def receipt(self, answer: Any, key: str) -> Receipt:
        if not isinstance(answer, dict) or answer.get("id") != key:
            raise OutcomeUnknown("The service answered, but not with the post.")
        return Receipt(Outcome.CONFIRMED, key, Links(both=f"{self.settings.url}/posts/{key}"))


class Suite(HttpConformance):
    """The kit over the service, for the adapter ``made``."""

    made: type[Right] = Right
    keyed = True
    creates = ("POST", "/posts")

    def start(self, folder: Path) -> None:
        self.service = Service()
        self.server, self.secrets = self.service.server, (TOKEN,)
        self.url = self.server.start()

    def stop(self) -> None:
        self.server.stop()

    def adapter(self, patience: float) -> Right:
        return self.made("toy", RightSettings(url=self.url, token=SecretStr(TOKEN), timeout=patience))

    def count(self) -> int:
        return len(self.service.posts)


class TestRight(Suite):
    """The right adapter passes, as a third party would run it."""


# --- Wrong ones ---------------------------------------------------------------------------------------


class Retries(Right):
    """Tries again by itself where nobody knows what happened."""

    async def publish(self, payload: Note, key: str) -> Receipt:
        try:
            return await super().publish(payload, key)
        except OutcomeUnknown:
            return await super().publish(payload, key)


class SleepsOn429(Right):
    """Waits inside, and then refuses after all."""

    async def publish(self, payload: Note, key: str) -> Receipt:
        import asyncio

        try:
            return await super().publish(payload, key)
        except DeliveryError:
            await asyncio.sleep(120)
            raise


class TakesAnyAnswer(Right):
    """Believes every 200."""

    async def publish(self, payload: Note, key: str) -> Any:
        response = await self.client.send(
            "POST", "/posts", json={"key": key, "text": payload.text}, creates=True
        )
        self.client.raise_for_status(response, creates=True)
        return Receipt(Outcome.ACCEPTED, key)


class SaysTrue(TakesAnyAnswer):
    """Answers with a boolean."""

    async def publish(self, payload: Note, key: str) -> Any:
        return bool(await super().publish(payload, key))


class Leaks(Right):
    """Tells in the error with what it signed in."""

    async def publish(self, payload: Note, key: str) -> Receipt:
        try:
            return await super().publish(payload, key)
        except SignInFailed as error:
            raise SignInFailed(f"{error} Signed in with {self.settings.token.get_secret_value()}.") from None


class LeaksInCause(Right):
    """Hides the token in the error behind the error, which a log prints."""

    async def publish(self, payload: Note, key: str) -> Receipt:
        try:
            return await super().publish(payload, key)
        except SignInFailed as error:
            hidden = ValueError(f"Authorization: {self.settings.token.get_secret_value()}")
            raise SignInFailed(str(error)) from hidden


class LeaksInLog(Right):
    """Writes the token to the log."""

    async def publish(self, payload: Note, key: str) -> Receipt:
        import logging

        logging.getLogger("toy").debug("signing in with %s", self.settings.token.get_secret_value())
        return await super().publish(payload, key)


class LeaksInRepr(Right):
    """Shows the token to whoever prints it."""

    def __repr__(self) -> str:
        return f"LeaksInRepr({self.settings.token.get_secret_value()})"


class FollowsRedirects(Right):
    """Goes where it is sent, with its token."""

    async def publish(self, payload: Note, key: str) -> Receipt:
        body = {"key": key, "text": payload.text}
        response = await self.client.send("POST", "/posts", json=body, creates=True)
        if where := response.headers.get("location") if 300 <= response.status < 400 else "":
            split = urlsplit(where)
            if split.hostname == "127.0.0.1":
                token = self.settings.token.get_secret_value()
                other = HttpClient(
                    f"http://{split.netloc}", headers={"Authorization": token}, secrets=[token]
                )
                response = await other.send("POST", split.path, json=body, creates=True)
                await other.close()
        self.client.raise_for_status(response, creates=True)
        return self.receipt(self.read(response), key)


class RaisesKeyError(Right):
    """Trusts the shape of every answer."""

    async def publish(self, payload: Note, key: str) -> Receipt:
        answer = await self.ask("POST", "/posts", {"key": key, "text": payload.text})
        return Receipt(Outcome.CONFIRMED, answer["id"])


class UnavailableAfterActing(Right):
    """Says "certainly not published" where it cannot know."""

    async def publish(self, payload: Note, key: str) -> Receipt:
        try:
            return await super().publish(payload, key)
        except OutcomeUnknown as error:
            raise Unavailable(str(error)) from None


class UnknownAlways(Right):
    """Never commits itself."""

    async def publish(self, payload: Note, key: str) -> Receipt:
        try:
            return await super().publish(payload, key)
        except DeliveryError as error:
            raise OutcomeUnknown(str(error)) from None


class FindsNothingInTrouble(Right):
    """Takes a service that cannot be asked for one that has no post."""

    async def find(self, key: str, payload: Note) -> Receipt | None:
        try:
            return await super().find(key, payload)
        except DeliveryError:
            return None


class Forgetful(Right):
    """Finds only what it has made itself since it was started."""

    async def find(self, key: str, payload: Note) -> Receipt | None:
        return await super().find(key, payload) if key in vars(self).get("known", ()) else None

    async def publish(self, payload: Note, key: str) -> Receipt:
        found = await super().publish(payload, key)
        self.known = {key}
        return found


class OwnKeys(Right):
    """Makes a new key for every attempt."""

    numbers = itertools.count()

    async def publish(self, payload: Note, key: str) -> Receipt:
        return await super().publish(payload, f"{key}-{next(self.numbers)}")


class RetractsTwiceBadly(Right):
    """A second retraction is an error."""

    async def retract(self, receipt: Receipt) -> Receipt:
        self.receipt(await self.ask("DELETE", self.path(receipt)), receipt.id)
        return receipt


class UpdatesByPublishing(Right):
    """An update is another post."""

    async def update(self, receipt: Receipt, payload: Note) -> Receipt:
        return await self.publish(payload, f"{receipt.id}-new")


class RetractsAnything(Right):
    """A receipt of nothing takes everything down."""

    async def retract(self, receipt: Receipt) -> Receipt:
        if len(receipt.id) < 3:
            for key in ("2026-0042-r1-conformance-both",):
                await self.client.send("DELETE", f"/posts/{key}", creates=True)
        return await super().retract(receipt)


class ChangesItsMind(Right):
    """Prepares another request every time."""

    numbers = itertools.count()

    def prepare(self, variant: Variant) -> Note:
        return Note(f"{variant.text('text')} {next(self.numbers)}")


class ChecksByPosting(Right):
    """Proves that it may post by posting."""

    async def check(self) -> str:
        await self.publish(Note("test"), "test")
        return "Posted."


class IgnoresRetryAfter(Right):
    """Forgets how long it was asked to wait."""

    async def publish(self, payload: Note, key: str) -> Receipt:
        from publisher.channel import Throttled

        try:
            return await super().publish(payload, key)
        except Throttled as error:
            raise Throttled(str(error)) from None


class QuietlyCannot(Right):
    """Overrides what it cannot do, and says nothing."""

    async def retract(self, receipt: Receipt) -> Receipt:
        return receipt


class RefusesAnonymously(Right):
    """Raises the base of all errors, which says nothing of what happens next."""

    async def publish(self, payload: Note, key: str) -> Receipt:
        try:
            return await super().publish(payload, key)
        except Rejected as error:
            raise DeliveryError(str(error)) from None


class BelievesTheStatus(Right):
    """Reads the first line of the answer, and takes a 200 in it for a post."""

    async def publish(self, payload: Note, key: str) -> Receipt:
        import asyncio
        import json

        body = json.dumps({"key": key, "text": payload.text}).encode()
        split = urlsplit(self.settings.url)
        head = f"POST /posts HTTP/1.1\r\nHost: {split.netloc}\r\nContent-Length: {len(body)}\r\n"
        head += f"Authorization: Bearer {self.settings.token.get_secret_value()}\r\n\r\n"
        reader, writer = await asyncio.open_connection(split.hostname, split.port)
        try:
            async with asyncio.timeout(self.settings.timeout):
                writer.write(head.encode() + body)
                line = await reader.readline()
        except OSError:
            line = b""
        finally:
            writer.transport.abort()
        if not line.startswith(b"HTTP/1.1 200") or not line.endswith(b"\n"):
            raise OutcomeUnknown("The service did not say that it has the post.")
        return Receipt(Outcome.ACCEPTED, key)


class TimeOutIsNothing(Right):
    """Takes a service that says nothing in time for one that did nothing."""

    async def publish(self, payload: Note, key: str) -> Receipt:
        try:
            return await super().publish(payload, key)
        except OutcomeUnknown as error:
            if "no whole answer within" in str(error):
                raise Unavailable(str(error)) from None
            raise


class WaitsForEveryByte(Right):
    """Has patience for each piece of an answer, and no end for the whole of it."""

    async def publish(self, payload: Note, key: str) -> Receipt:
        import httpx

        headers = {"Authorization": f"Bearer {self.settings.token.get_secret_value()}"}
        client = httpx.AsyncClient(timeout=self.settings.timeout, headers=headers, trust_env=False)
        async with client:
            try:
                body = {"key": key, "text": payload.text}
                answer = await client.post(f"{self.settings.url}/posts", json=body)
                return self.receipt(answer.json(), key)
            except (httpx.HTTPError, ValueError):
                raise OutcomeUnknown("The service did not say that it has the post.") from None


class ObeysAnyWait(Right):
    """Tells any wait as the service said it, a past or an endless one too."""

    async def publish(self, payload: Note, key: str) -> Receipt:
        from datetime import timedelta

        from publisher.channel import Throttled

        response = await self.client.send(
            "POST", "/posts", json={"key": key, "text": payload.text}, creates=True
        )
        said = response.headers.get("retry-after", "")
        if response.status == 429 and said.lstrip("-").isdigit() and len(said) < 9:
            raise Throttled("The service asks to wait.", timedelta(seconds=int(said)))
        return await super().publish(payload, key)


class ChecksByStatus(Right):
    """Takes every 200 for a welcome."""

    async def check(self) -> str:
        response = await self.client.send("GET", "/me", creates=False)
        self.client.raise_for_status(response, creates=False)
        return "Signed in."


class KeepsTheRawAnswer(Right):
    """Keeps the answer in the receipt as it came, with what the service repeats of ours."""

    async def publish(self, payload: Note, key: str) -> Receipt:
        response = await self.client.send(
            "POST", "/posts", json={"key": key, "text": payload.text}, creates=True
        )
        self.client.raise_for_status(response, creates=True)
        return replace(self.receipt(self.read(response), key), raw=response.text)


class PrintsTheToken(Right):
    """Says to whoever reads its output with what it signs in."""

    async def publish(self, payload: Note, key: str) -> Receipt:
        print("signing in with", self.settings.token.get_secret_value())
        return await super().publish(payload, key)


class ForgetsLateActs(Right):
    """Settles by itself that what was not answered was not done, and keeps to it."""

    given_up: ClassVar[set[str]] = set()

    async def publish(self, payload: Note, key: str) -> Receipt:
        try:
            return await super().publish(payload, key)
        except OutcomeUnknown:
            self.given_up.add(f"{self.settings.url}/{key}")
            raise

    async def find(self, key: str, payload: Note) -> Receipt | None:
        if f"{self.settings.url}/{key}" in self.given_up:
            return None
        return await super().find(key, payload)


WRONG: list[tuple[type[Right], str]] = [
    (Retries, "test_publish__trouble"),
    (SleepsOn429, "test_http_publish__asked_to_wait"),
    (TakesAnyAnswer, "test_http_publish__answer_says_nothing"),
    (SaysTrue, "test_publish__makes_one_post"),
    (Leaks, "test_publish__trouble"),
    (LeaksInCause, "test_publish__trouble"),
    (LeaksInLog, "test_publish__makes_one_post"),
    (LeaksInRepr, "test_prepare__is_pure"),
    (FollowsRedirects, "test_http_redirect__is_not_followed"),
    (RaisesKeyError, "test_http_publish__answer_says_nothing"),
    (UnavailableAfterActing, "test_http_publish__answer_lost"),
    (UnknownAlways, "test_http_publish__status"),
    (FindsNothingInTrouble, "test_http_find__trouble_is_no_answer"),
    (Forgetful, "test_find__there_or_not"),
    (OwnKeys, "test_publish__same_key_twice"),
    (RetractsTwiceBadly, "test_retract__takes_it_back"),
    (UpdatesByPublishing, "test_update__in_place"),
    (RetractsAnything, "test_change__foreign_receipt"),
    (ChangesItsMind, "test_prepare__is_pure"),
    (ChecksByPosting, "test_check__publishes_nothing"),
    (IgnoresRetryAfter, "test_http_publish__asked_to_wait"),
    (QuietlyCannot, "test_retract__takes_it_back"),
    (RefusesAnonymously, "test_http_publish__status"),
    (BelievesTheStatus, "test_http_publish__answer_lost"),
    (TimeOutIsNothing, "test_publish__trouble"),
    (WaitsForEveryByte, "test_http_publish__answer_lost"),
    (ObeysAnyWait, "test_http_publish__asked_to_wait"),
    (ChecksByStatus, "test_http_check__trouble_is_no_answer"),
    (KeepsTheRawAnswer, "test_http_secret__in_a_right_answer"),
    (PrintsTheToken, "test_publish__makes_one_post"),
    (ForgetsLateActs, "test_publish__trouble"),
]


def runs(method: Any) -> Iterator[dict[str, Any]]:
    """The arguments of every run of a case, as pytest would make them."""
    marks = [mark.args for mark in getattr(method, "pytestmark", []) if mark.name == "parametrize"]
    for values in itertools.product(*(list(values) for _, values in marks)):
        yield dict(zip((name for name, _ in marks), values, strict=True))


def failure(suite: type[HttpConformance], name: str, folder: Path) -> str:
    """What the first failing run of the case ``name`` says; nothing where all pass."""
    for number, values in enumerate(runs(getattr(suite, name))):
        (place := folder / str(number)).mkdir()
        try:
            getattr(suite(), name)(tmp_path=place, **values)
        except (AssertionError, DeliveryError) as failure:
            return str(failure)
    return ""


@pytest.mark.parametrize(("wrong", "name"), WRONG, ids=[wrong.__name__ for wrong, _ in WRONG])
def test_kit__catches(wrong: type[Right], name: str, tmp_path: Path) -> None:
    """The case that is there for this slip fails on it, and says in a sentence what the adapter did."""
    suite = type("Wrong", (Suite,), {"made": wrong})
    assert " " in failure(suite, name, tmp_path)


@pytest.mark.parametrize("reset", [False, True], ids=["ended", "reset"])
async def test_kit__cut_at_every_byte(tmp_path: Path, reset: bool) -> None:
    """Whichever byte of the answer is the last to come, the outcome is unknown and the post is there."""
    suite = Suite()
    suite.start(tmp_path)
    adapter = suite.adapter(10.0)
    try:
        await adapter.publish(Note("text"), "k")
        whole = suite.server.answers[-1]
        assert whole > 100
        for kept in range(whole):
            suite.server.inject(Cut(At.ACTED, kept, reset=reset), method="POST")
            with pytest.raises(OutcomeUnknown):
                await adapter.publish(Note("text"), "k")
        suite.server.inject(Cut(At.ACTED, whole), method="POST")
        assert (await adapter.publish(Note("text"), "k")).outcome is Outcome.CONFIRMED
        assert list(suite.service.posts) == ["k"]
    finally:
        await adapter.close()
        suite.stop()


async def test_loopback__acts_when_nobody_waits_any_more(tmp_path: Path) -> None:
    """A late act comes after the client has left and after as many other answers as were asked for."""
    suite = Suite()
    suite.start(tmp_path)
    hasty, patient = suite.adapter(0.2), suite.adapter(10.0)
    try:
        suite.server.inject(Late(others=2), method="POST")
        with pytest.raises(OutcomeUnknown):
            await hasty.publish(Note("text"), "k")
        for _ in range(2):
            assert await patient.find("k", Note("text")) is None
        suite.settle()
        assert await patient.find("k", Note("text")) is not None
    finally:
        await hasty.close()
        await patient.close()
        suite.stop()


def test_kit__every_case_has_its_sentence() -> None:
    """Each case says what must hold, and is a plain function that needs no plug-in."""
    cases = [value for name, value in inspect.getmembers(HttpConformance) if name.startswith("test_")]
    assert len(cases) > 20
    assert all(value.__doc__ and not inspect.iscoroutinefunction(value) for value in cases)


def test_kit__the_product_needs_no_pytest() -> None:
    """The demo's loopback servers import without pytest."""
    import subprocess
    import sys

    script = "import sys; sys.modules['pytest'] = None; import publisher.testing.loopback, channels.doubles.mastodon"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
