"""What a status means for what happens next, and what of a service's words is passed on."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from publisher.channel import (
    DeliveryError,
    OutcomeUnknown,
    Rejected,
    SignInFailed,
    Throttled,
    Unavailable,
)
from publisher.http import LONGEST_WAIT, HttpClient, Response, refusal

CLIENT = HttpClient("https://social.example", secrets=["tök/en+abc="])


def meaning(status: int, *, creates: bool, **headers: str) -> DeliveryError | None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return refusal(Response(status, named, b""), "social.example", "words", creates=creates)


@pytest.mark.parametrize(
    ("status", "creating", "reading"),
    [
        (200, None, None), (201, None, None), (204, None, None),
        (301, SignInFailed, SignInFailed), (302, SignInFailed, SignInFailed), (303, OutcomeUnknown, SignInFailed), (308, SignInFailed, SignInFailed),
        (400, Rejected, Unavailable), (401, SignInFailed, SignInFailed), (403, SignInFailed, SignInFailed), (404, Rejected, Unavailable),
        (407, SignInFailed, SignInFailed), (408, OutcomeUnknown, Unavailable), (409, Rejected, Unavailable), (413, Rejected, Unavailable),
        (422, Rejected, Unavailable), (425, OutcomeUnknown, Unavailable), (429, Throttled, Throttled), (500, OutcomeUnknown, Unavailable),
        (502, OutcomeUnknown, Unavailable), (503, OutcomeUnknown, Unavailable), (504, OutcomeUnknown, Unavailable), (599, OutcomeUnknown, Unavailable),
    ],
)  # fmt: skip
def test_refusal__table(
    status: int, creating: type[DeliveryError] | None, reading: type[DeliveryError] | None
) -> None:
    """Every status has one meaning for a creating and one for a reading request."""
    assert type(meaning(status, creates=True)) is (creating or type(None))
    assert type(meaning(status, creates=False)) is (reading or type(None))


def soon(seconds: int) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def test_refusal__waits_as_told() -> None:
    """Seconds, dates and reset times are read, and bounded by nothing and a day."""
    told: list[tuple[dict[str, str], float]] = [
        ({"retry_after": "120"}, 120),
        ({"retry_after": "0"}, 0),
        ({"retry_after": format_datetime(soon(120), usegmt=True)}, 120),
        ({"retry_after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        ({"retry_after": "999999999"}, LONGEST_WAIT.total_seconds()),
        ({"x_ratelimit_reset": soon(300).isoformat().replace("+00:00", "Z")}, 300),
        ({"x_ratelimit_reset": soon(3_000_000).isoformat()}, LONGEST_WAIT.total_seconds()),
        ({"x_ratelimit_reset": str(int(soon(300).timestamp()))}, 300),
        ({"x_ratelimit_reset": soon(300).isoformat(), "retry_after": "7"}, 7),
    ]
    for headers, wait in told:
        error = meaning(429, creates=True, **headers)
        assert isinstance(error, Throttled)
        assert error.retry_after is not None, headers
        assert abs(error.retry_after.total_seconds() - wait) <= 2, headers


@pytest.mark.parametrize("value", ["", "soon", "-5", "12:00", "99999999999999", "\x00"])
def test_refusal__unreadable_wait(value: str) -> None:
    """A wait that cannot be read is one the service did not name."""
    error = meaning(429, creates=True, retry_after=value)
    assert isinstance(error, Throttled)
    assert error.retry_after is None


def test_refusal__busy_with_a_time_to_wait() -> None:
    """A 503 that names a wait was turned away at the door; without one it may have been at work."""
    error = meaning(503, creates=True, retry_after="30")
    assert isinstance(error, Throttled)
    assert error.retry_after == timedelta(seconds=30)
    assert isinstance(meaning(503, creates=True, x_ratelimit_reset=soon(9).isoformat()), OutcomeUnknown)


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("https://other.example/login?token=abc", "https://other.example "),
        ("/login", "another page"),
        ("https://[", "another page"),
        ("", "another page"),
    ],
)
def test_refusal__says_where_a_redirect_leads(location: str, shown: str) -> None:
    """The administrator learns the other host, and nothing behind it."""
    error = meaning(302, creates=True, location=location)
    assert shown in str(error)
    assert "abc" not in str(error)


def said(body: bytes, kind: str = "application/json") -> str:
    with pytest.raises(Rejected) as caught:
        CLIENT.raise_for_status(Response(422, {"content-type": kind}, body), creates=True)
    return str(caught.value)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"error":"Too long"}', "422: Too long"),
        (b'{"error":"x","error_description":"Why"}', "422: Why"),
        (b'{"error":{"code":1,"message":"Deep"}}', "422: Deep"),
        (b'{"errors":[{"detail":"One"},{"detail":"Two"}]}', "422: One; Two"),
        (b"plain words\n\x1b[31mred", "422: plain words [31mred"),
        (b"<html><h1>No</h1>", "a web page instead of an answer"),
        (b"", "(422)"),
        (b"{}", "(422)"),
        (b"[" * 100_000, "422"),
        ("“引号”\u202e反".encode(), "“引号” 反"),
    ],
)
def test_message__the_services_own_words(body: bytes, words: str) -> None:
    """The usual fields of an answer, or its text, in one short line."""
    assert words in said(body)
    assert len(said(body)) < 400


@pytest.mark.parametrize(
    "form",
    [
        "tök/en+abc=",
        "TÖK/EN+ABC=",
        quote("tök/en+abc=", safe=""),
        quote("tök/en+abc=", safe="").lower(),
        quote_plus("tök/en+abc="),
        json.dumps("tök/en+abc=")[1:-1],
        base64.b64encode("tök/en+abc=".encode()).decode(),
        base64.b64encode("user:tök/en+abc=".encode()).decode(),
        base64.b64encode("me:tök/en+abc=".encode()).decode(),
        base64.urlsafe_b64encode("u:tök/en+abc=x".encode()).decode(),
    ],
)
def test_scrub__every_form_of_a_secret(form: str) -> None:
    """A secret is blotted out as it is, percent-encoded, escaped and inside base64."""
    scrubbed = CLIENT.scrub(f"before {form} after")
    assert "***" in scrubbed
    assert scrubbed.startswith("before ")
    core = form.strip("=")[4:-4]
    assert core not in scrubbed


@given(st.text(max_size=400), st.text(min_size=1, max_size=20))
def test_scrub__never_leaks(around: str, secret: str) -> None:
    """Whatever stands around it, a secret does not come through, and the line stays short."""
    client = HttpClient("https://social.example", secrets=[secret])
    scrubbed = client.scrub(around + secret + around)
    assert len(scrubbed) <= 300
    assert secret not in scrubbed or secret in "***…" or not secret.strip()
