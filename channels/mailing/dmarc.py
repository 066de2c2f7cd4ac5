"""DMARC: whether From is of the domain that SPF or DKIM vouch for (RFC 7489).

Which domains belong to one organisation is not looked up in the public suffix list, but found as newer receivers find
it: by looking for a DMARC record upwards in the DNS (the "tree walk" of RFC 7489's successor).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from channels.mailing.lookup import Lookup
from channels.mailing.verdict import Record, State, Verdict, problem, tags

_LEAST = "v=DMARC1; p=none"
_WALK = 8
"""Labels of the longest name the walk for a record goes to, beside the domain itself."""


async def look(sender: str, bounces: str, signers: Sequence[str], lookup: Lookup) -> list[Verdict]:
    """What DMARC says of mail From ``sender`` with that return path, signed by the domains ``signers``."""
    found = await _policy(sender, lookup)
    if found is None:
        record = Record(f"_dmarc.{sender}", "TXT", _LEAST)
        sentence = f"{sender} has no DMARC record, and Gmail and Yahoo want one of newsletters; publish one."
        return [problem("DMARC", sentence, record)]
    where, texts = found
    if len(texts) > 1:
        return [problem("DMARC", f"_dmarc.{where} has {len(texts)} DMARC records; leave one of them.")]
    said = tags(texts[0])
    wish = (said.get("sp") if where != sender else None) or said.get("p", "")
    if wish.lower() not in ("none", "quarantine", "reject"):
        sentence = f"The DMARC record at _dmarc.{where} has no p= that receivers know; mend it."
        return [problem("DMARC", sentence, Record(f"_dmarc.{where}", "TXT", _LEAST))]
    return [
        Verdict("DMARC", State.OK, f"_dmarc.{where} asks for p={wish.lower()}."),
        _vouched(sender, [
            _Way("the return path", bounces, _same(sender, bounces, where, said.get("aspf") == "s")),
            *(_Way("the DKIM key", by, _same(sender, by, where, said.get("adkim") == "s")) for by in signers),
        ]),
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Way:
    """What may vouch for From: ``same`` says whether its domain is aligned, ``None`` where that is open."""

    what: str
    domain: str
    same: bool | None

    def __str__(self) -> str:
        return f"{self.what} ({self.domain})"


def _vouched(sender: str, ways: Sequence[_Way]) -> Verdict:
    """Whether the return path or a key is of From's domain: one of them is enough (RFC 7489, 3.1)."""
    believed = " and ".join(str(way) for way in ways if way.same)
    if believed:
        return Verdict("DMARC", State.OK, f"{sender} in From is vouched for by {believed}.")
    doubted = " or ".join(str(way) for way in ways if way.same is None)
    if doubted:
        sentence = (
            f"Whether {sender} in From belongs to the same organisation as {doubted} could not be found out."
        )
        return Verdict("DMARC", State.UNKNOWN, sentence)
    sentence = (
        f"Nothing vouches for {sender} in From: use the same domain for it and for {ways[0]}, or sign for it."
    )
    return problem("DMARC", sentence)


def _same(sender: str, other: str, where: str, strict: bool) -> bool | None:
    """Whether two domains are aligned; ``None`` where only the public suffix list could tell."""
    if strict or sender == other:
        return sender == other
    if _within(sender, other) or _within(other, sender) or _within(other, where):
        return True
    shared = sender.split(".")[-2:] == other.split(".")[-2:]
    return None if shared else False


def _within(domain: str, above: str) -> bool:
    return domain == above or domain.endswith(f".{above}")


async def _policy(domain: str, lookup: Lookup) -> tuple[str, list[str]] | None:
    """The domain whose DMARC record holds for ``domain``, which is itself or above it, and its records."""
    labels = domain.split(".")
    shorter = range(max(1, len(labels) - _WALK), len(labels) - 1)
    for name in (domain, *(".".join(labels[cut:]) for cut in shorter)):
        found = [
            text for text in await lookup.texts(f"_dmarc.{name}") if re.match(r"v\s*=\s*DMARC1\s*(;|$)", text)
        ]
        if found:
            return name, found
    return None
