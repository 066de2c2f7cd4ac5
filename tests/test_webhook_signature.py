"""Signatures of Standard Webhooks: ours against published vectors, and the double's own verification of them."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from channels.doubles.webhook import PATH, WebhookDouble
from channels.webhook import signature
from publisher.testing.exchange import Request, Response

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + base64.b64encode(bytes(range(64))).decode()
VECTORS = [
    (
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        '{"test": 2432232314}',
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    ),
    (
        "ann-2026-0042_r1_publish",
        1777600800,
        '{"type":"announcement.published","timestamp":"2026-05-01T02:00:00Z",'
        '"data":{"key":"ann-2026-0042","rev":1,"title":{"zh":"春季开放日","en":"Spring Open Day"}}}',
        "v1,dIdZlxnH3KHe0jWAlK0NbY8lYU1Yf3ea5GFzvDg0QJY=",
    ),
]
NOW = datetime(2026, 9, 20, 1, 0, 0, 999_000, tzinfo=UTC)
BODY = '{"data":{"channel":"c","title":{"zh":"开放日"}},"type":"announcement.ping"}'.encode()


@pytest.mark.parametrize(("event_id", "seconds", "body", "expected"), VECTORS, ids=["theirs", "ours"])
def test_headers__published_vectors(event_id: str, seconds: int, body: str, expected: str) -> None:
    """The specification's own example, and one with Chinese text, come out to the letter."""
    moment = datetime.fromtimestamp(seconds, UTC)
    made = signature.headers(signature.keys_of(SECRET), event_id, moment, body.encode())
    assert made == {
        "webhook-id": event_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": expected,
    }


def test_headers__a_moment_in_any_zone() -> None:
    """What is signed is the moment, not what the clock on a wall shows."""
    event_id, seconds, body, expected = VECTORS[0]
    shanghai = datetime.fromtimestamp(seconds, UTC).astimezone(datetime.strptime("+0800", "%z").tzinfo)
    made = signature.headers(signature.keys_of(SECRET), event_id, shanghai, body.encode())
    assert (made["webhook-timestamp"], made["webhook-signature"]) == (str(seconds), expected)


@pytest.mark.parametrize("between", [" ", ",", ", ", "\n"])
def test_headers__several_secrets(between: str) -> None:
    """While a secret is changed, there is a signature for each, the newest first, as each alone would make it."""

    def signed(setting: str) -> str:
        return signature.headers(signature.keys_of(setting), "a", NOW, BODY)["webhook-signature"]

    assert signed(f"{OTHER}{between}{SECRET}") == f"{signed(OTHER)} {signed(SECRET)}"


# --- The receiver -----------------------------------------------------------------------------------------


@pytest.fixture
def double(tmp_path: Path) -> Iterator[WebhookDouble]:
    double = WebhookDouble(str(tmp_path), now=lambda: NOW)
    double.secret = SECRET
    double.start()
    yield double
    double.stop()


def answer(double: WebhookDouble, headers: dict[str, str], body: bytes = BODY) -> Response:
    """What the receiver answers to one request."""
    return asyncio.run(double._handle(Request("POST", PATH, headers, body)))


def signed(setting: str = SECRET, event_id: str = "ping-1", moment: datetime = NOW) -> dict[str, str]:
    return signature.headers(signature.keys_of(setting), event_id, moment, BODY)


@pytest.mark.parametrize(("event_id", "seconds", "body", "expected"), VECTORS, ids=["theirs", "ours"])
def test_double__published_vectors(
    double: WebhookDouble, event_id: str, seconds: int, body: str, expected: str
) -> None:
    """The receiver's own arithmetic agrees with the vectors, at their time and only then."""
    headers = {"webhook-id": event_id, "webhook-timestamp": str(seconds), "webhook-signature": expected}
    request = Request("POST", PATH, headers, body.encode())
    assert double._refusal(event_id, request) == "The timestamp is too far from now"
    double.now = lambda: datetime.fromtimestamp(seconds, UTC)
    assert double._refusal(event_id, request) == ""


@pytest.mark.parametrize("setting", [f"{OTHER} {SECRET}", f"{SECRET} {OTHER}"])
def test_double__takes_either_secret_while_it_changes(double: WebhookDouble, setting: str) -> None:
    """A receiver that has only one of two secrets takes what is signed with both."""
    assert answer(double, signed(setting)).status == 200


@pytest.mark.parametrize(
    "minutes", [timedelta(minutes=-5), timedelta(minutes=5), timedelta(0)], ids=["old", "early", "now"]
)
def test_double__clocks_may_differ(double: WebhookDouble, minutes: timedelta) -> None:
    """Five minutes either way are within the tolerance."""
    moment = NOW.replace(microsecond=0) + minutes
    double.now = lambda: NOW.replace(microsecond=0)
    assert answer(double, signed(moment=moment)).status == 200


FORGED = {
    "another secret": (signed(OTHER), BODY),
    "another body": (signed(), BODY.replace("开".encode(), "关".encode())),
    "one space more": (signed(), BODY + b" "),
    "another id": (signed() | {"webhook-id": "ping-2"}, BODY),
    "another time": (signed() | {"webhook-timestamp": str(int(NOW.timestamp()) + 1)}, BODY),
    "stale": (signed(moment=NOW - timedelta(minutes=5, seconds=2)), BODY),
    "from the future": (signed(moment=NOW + timedelta(minutes=5, seconds=2)), BODY),
    "an id with a full stop": (signed(event_id="a.b"), BODY),
    "a time in words": (signed() | {"webhook-timestamp": "now"}, BODY),
    "a negative time": (signed() | {"webhook-timestamp": "-1"}, BODY),
    "another version": (
        signed() | {"webhook-signature": signed()["webhook-signature"].replace("v1,", "v1a,")}, BODY,
    ),
    "no version": (signed() | {"webhook-signature": signed()["webhook-signature"][3:]}, BODY),
    "no ASCII": (signed() | {"webhook-signature": "v1,\xe9"}, BODY),
    "no signature": ({k: v for k, v in signed().items() if k != "webhook-signature"}, BODY),
    "nothing": ({}, BODY),
}  # fmt: skip


@pytest.mark.parametrize("forged", FORGED)
def test_double__refuses(double: WebhookDouble, forged: str) -> None:
    """What is not signed for this moment by one who has the secret is answered 401, and leaves nothing."""
    headers, body = FORGED[forged]
    assert answer(double, headers, body).status == 401
    assert double.bodies() == {}
