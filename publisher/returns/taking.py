"""One message that came back, acted on: the only place where a bounce ends a subscription."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from publisher import clock
from publisher.audience import Audience
from publisher.bounces import Kind, Report, read
from publisher.store import Store
from publisher.store.bounces import Bounce
from publisher.subscriber import Subscriber
from publisher.tokens import Named, Purpose, Tokens

ACTED_ON = (Kind.HARD, Kind.SOFT, Kind.COMPLAINT, Kind.UNSUBSCRIBE)
"""What changes a subscription, and so needs our signature."""
_MBOX_LINE = re.compile(rb"From [^\n]*\n")


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one message: what it is, as it was kept, and whether it was read for the first time."""

    kind: Kind
    status: str = ""
    said: str = ""
    is_new: bool = True


@dataclass(slots=True)
class Collected:
    """What was read at one go."""

    read: int = 0
    new: int = 0
    kinds: dict[Kind, int] = field(default_factory=dict)
    """Of the new ones, how many of each kind."""

    def add(self, taken: Taken) -> None:
        """Counts one more."""
        self.read += 1
        self.new += taken.is_new
        if taken.is_new:
            self.kinds[taken.kind] = self.kinds.get(taken.kind, 0) + 1


class Returns:
    """Reads messages that came back and does what follows from them, once each. Never answers any of them.

    What has no signature of ours is kept for a person, and changes nothing: anybody can write a bounce.
    """

    def __init__(
        self, store: Store, audience: Audience, tokens: Tokens, now: clock.Clock = clock.now
    ) -> None:
        self._store, self._audience, self._tokens, self._now = store, audience, tokens, now

    def take(self, raw: bytes) -> Taken:
        """One message, as it came. It is acted on before it is kept: after a crash in between it is read again.

        What is then done a second time changes nothing, but for a soft bounce, which then counts as two.
        """
        digest = digest_of(raw)
        with self._store.read() as tx:
            known = tx.bounces.has(digest)
        report = read(raw)
        named = self._named(report)
        report = report if named or report.kind not in ACTED_ON else _unsigned(report)
        taken = Taken(report.kind, report.status, report.said, not known)
        if not known:
            subscriber = self._audience.of_ref(named.ref) if named else None
            if subscriber is not None:
                self._act(report, subscriber.ref, named.mailing if named else 0)
            self._keep(digest, report, subscriber, named)
        return taken

    def take_all(self, messages: Iterable[bytes]) -> Collected:
        """All of ``messages``, one after the other."""
        collected = Collected()
        for raw in messages:
            collected.add(self.take(raw))
        return collected

    def _named(self, report: Report) -> Named | None:
        """Whose letter it is about, by a token with our signature."""
        found = ((Purpose.BOUNCE, report.token), (Purpose.UNSUBSCRIBE, report.unsubscribe))
        read_ = (self._tokens.read(purpose, token) for purpose, token in found if token)
        return next((named for named in read_ if named is not None), None)

    def _act(self, report: Report, ref: str, mailing: int) -> None:
        detail = f"{report.status} {report.said}".strip()
        match report.kind:
            case Kind.HARD:
                self._audience.bounced_hard(ref, detail=detail)
            case Kind.SOFT:
                self._audience.bounced_soft(ref, detail=detail, mailing=mailing)
            case Kind.COMPLAINT:
                self._audience.complained(ref, detail=detail)
            case Kind.UNSUBSCRIBE:
                self._audience.unsubscribe(ref, how="mailto", detail=detail)
            case _:
                pass

    def _keep(self, digest: str, report: Report, subscriber: Subscriber | None, named: Named | None) -> None:
        whose = subscriber.id if subscriber else None
        mailing = (named.mailing or None) if named else None
        kept = Bounce(digest, self._now(), report.kind, whose, mailing, report.status, report.said)
        with self._store.write() as tx:
            tx.bounces.add(kept)


def _unsigned(report: Report) -> Report:
    """The report as it is kept for a person, since nothing proves that it is about a letter of ours."""
    what = {
        Kind.COMPLAINT: "a complaint",
        Kind.UNSUBSCRIBE: f"{report.address or 'somebody'} asks to be unsubscribed",
    }.get(report.kind, f"a {report.kind} bounce")
    said = f": {report.said}" if report.said else ""
    return replace(report, kind=Kind.UNKNOWN, said=f"No signature of ours; {what}{said}")


def digest_of(raw: bytes) -> str:
    """The same for the same message, whichever line ends and mbox line it was read with; SHA-256 in hex."""
    plain = _MBOX_LINE.sub(b"", raw, count=1) if raw.startswith(b"From ") else raw
    return hashlib.sha256(plain.replace(b"\r\n", b"\n").rstrip(b"\n")).hexdigest()
