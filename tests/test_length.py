"""A text's length, as each platform counts it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from publisher.channel import LengthRule, Unit
from publisher.render.length import graphemes, measure

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "vectors" / "length.json").read_text(encoding="utf-8")
)
MASTODON = LengthRule(500, link=23, short_handles=True)
GLUED = {23: 24, 24: 26}
"""Vectors with a link glued to Chinese, which the house style forbids: platforms disagree on where it ends.
We count what is written there; the server ends the link elsewhere and says 25 and 24."""


def text_of(vector: dict[str, Any]) -> str:
    return vector["text"] if "text" in vector else vector["repeat"][0] * vector["repeat"][1]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: str(v["n"]))
def test_measure__vectors(vector: dict[str, Any]) -> None:
    """Code points, graphemes and Mastodon's own count agree with what the servers' code computed."""
    text = text_of(vector)
    assert measure(text, LengthRule(500, unit=Unit.CODE_POINTS)) == vector["code_points"]
    assert measure(text, LengthRule(500)) == vector["graphemes"]
    assert measure(text, MASTODON) == GLUED.get(vector["n"], vector["mastodon"])


def test_measure__glued_links_are_the_only_exceptions() -> None:
    """Once links stand between white space, the two exceptions agree with the rule as well."""
    assert len(VECTORS) == 54
    assert measure("报名 https://example.org/活动", MASTODON) == 3 + 23
    assert measure("见 https://example.org/a 。下一句", MASTODON) == 30


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("@alice@social.example", 6),
        ("@a.b@social.example", 4),
        ("@a.@social.example", 18),
        ("mail@host.example", 17),
        ("x=@alice@social.example", 23),
        ("@alice", 6),
        ("@alice@b", 8),
        ("@alice@social.example.", 7),
        ("https://localhost", 17),
        ("HTTPS://EXAMPLE.ORG", 23),
        ("\r\n", 1),
    ],
)
def test_measure__links_and_handles(text: str, length: int) -> None:
    """What is no link or handle to the server counts in full."""
    assert measure(text, MASTODON) == length


@pytest.mark.parametrize(
    "text",
    ["@a" * 500_000, "https://" * 125_000, "@" + "a" * 1_000_000, "@a@a" + "." * 1_000_000, "https://a" + "." * 1_000_000,
     "@a@" * 330_000, "https://a.b " * 83_000, "\U0001f1e8" * 1_000_000, "e" + "\u0301" * 1_000_000, "👨\u200d" * 500_000],
    ids=["handles", "schemes", "local part", "domain dots", "link dots", "ats", "links", "flags", "marks", "joiners"],
)  # fmt: skip
def test_measure__hostile_text_in_linear_time(text: str) -> None:
    """A megabyte of anything is counted in well under the seconds that a quadratic pattern would take."""
    started = time.perf_counter()
    measure(text, MASTODON)
    assert time.perf_counter() - started < 3


@given(st.text(st.sampled_from("aé中\u0301\u200d\ufe0f👨👩🏽🇨🇳🇬\r\n\u0600\u0903\u1100\u1161"), max_size=30))
def test_graphemes__as_the_standard_splits(text: str) -> None:
    """Taking flags out first changes no count."""
    assert graphemes(text) == len(regex.findall(r"\X", text))


REFERENCE_HANDLE = regex.compile(
    r"(?<![=/\w])@([A-Za-z0-9_]+(?:[A-Za-z0-9_.-]+[A-Za-z0-9_]+)?)@[\p{L}\p{N}.-]+[\p{L}\p{N}]+"
)


@given(st.text(st.sampled_from("a_.-@é=/ "), max_size=14))
def test_measure__handles_as_the_servers_pattern(text: str) -> None:
    """The linear pattern finds exactly the handles of the pattern that backtracks."""
    rule = LengthRule(500, unit=Unit.CODE_POINTS, short_handles=True)
    assert measure(text, rule) == len(REFERENCE_HANDLE.sub(r"@\1", text))
