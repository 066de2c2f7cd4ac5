"""What gives cause for an alert, read from the store."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from publisher import clock
from publisher.delivery import Delivery, State
from publisher.store import Transaction
from publisher.store.channels import Health
from publisher.store.workers import SILENT_AFTER
from publisher.words import ToDo, needs


class Kind(StrEnum):
    """The kinds of causes, in the order they are told."""

    UNCERTAIN = "delivery.uncertain"
    FAILED = "delivery.failed"
    PARKED = "delivery.parked"
    MISSED = "delivery.missed"
    UNSEEN = "delivery.unseen"
    OVERDUE = "delivery.overdue"
    PAUSED = "channel.paused"
    SILENT = "worker.silent"


UNSEEN_AFTER = timedelta(minutes=30)
"""A post that its service has had for longer, and does not show, is told."""
LATE = SILENT_AFTER
"""A delivery later than this is overdue; a worker not seen for longer than this is silent."""
TOLD_FOR = timedelta(days=7)
"""What failed or was missed, and is left as it is, is told for so long after it happened, and no longer."""
_WINDOW = timedelta(minutes=2)
"""A channel that sent its fill so recently is working off its queue at the pace it was set to."""
_LONGEST_REASON = 300


@dataclass(frozen=True, slots=True)
class Cause:
    """One thing that is wrong: ``what`` happened, what is ``to_do``, and ``since`` when it is so."""

    kind: Kind
    subject: str
    what: str
    to_do: ToDo
    since: datetime

    @property
    def id(self) -> str:
        """Stable for as long as it lasts, such as ``channel.paused:mastodon``."""
        return f"{self.kind}:{self.subject}"


def current(
    tx: Transaction, pace: Mapping[str, int], zone: str, now: datetime, open_: list[str]
) -> list[Cause]:
    """All causes there are now; what failed or was missed long ago only where its id is among ``open_``.

    ``pace`` is how many deliveries a minute each configured channel may start; ``zone`` is of the times people read.
    """
    standing = {name: health for name, health in tx.channels.all().items() if name in pace}
    paused = [health for health in standing.values() if health.paused_at is not None]
    return [
        *_stuck(tx, zone, now, open_),
        *_unseen(tx, zone, now),
        *_overdue(tx, standing, pace, zone, now),
        *(_paused(health, zone) for health in paused),
        *_silent(tx, zone, now),
    ]


def _stuck(tx: Transaction, zone: str, now: datetime, open_: list[str]) -> list[Cause]:
    known = [cause.partition(":")[2] for cause in open_ if cause.startswith("delivery.")]
    found = tx.alerts.stuck(now - TOLD_FOR, known)
    return [
        Cause(Kind(f"delivery.{d.state}"), d.key, _what(d, d.reason, since, zone), todo, since)
        for d, since in found
        if (todo := needs(d)) is not None
    ]


def _unseen(tx: Transaction, zone: str, now: datetime) -> list[Cause]:
    return [
        Cause(
            Kind.UNSEEN,
            d.key,
            _what(d, d.reason, since, zone),
            ToDo(
                f"Look at {d.channel}, and at what builds its pages; the program goes on looking by itself."
            ),
            since,
        )
        for d, since in tx.alerts.unseen(now - UNSEEN_AFTER)
    ]


def _overdue(
    tx: Transaction, standing: Mapping[str, Health], pace: Mapping[str, int], zone: str, now: datetime
) -> list[Cause]:
    if tx.channels.halted() is not None:
        return []
    resting = [name for name, health in standing.items() if _rests(health, pace[name], now)]
    found = tx.alerts.overdue(now - LATE, resting)
    if not found:
        return []
    by_hand = ("To send by hand what is due", "publisher worker --once")
    if tx.workers.is_any_at_work(now):
        to_do = ToDo("Look at what the worker's log says.", (by_hand,))
    else:
        to_do = ToDo("No worker is running; start one.", (("To start one", "publisher worker"), by_hand))
    return [Cause(Kind.OVERDUE, d.key, _what(d, _late(d), since, zone), to_do, since) for d, since in found]


def _late(delivery: Delivery) -> str:
    """What was to be done with it; where that is to send it, why it was not done before, if it was tried."""
    match delivery.state:
        case State.UNCERTAIN:
            return "it is not known whether it is out, and its channel was to be asked"
        case State.SENDING:
            return "the worker that was sending it is gone, so it is not known whether it is out"
        case State.ACCEPTED:
            return "it was sent, and was to be looked for"
        case _:
            return delivery.reason


def _rests(health: Health, pace: int, now: datetime) -> bool:
    """Paused, or sending as many a minute as it may."""
    full = health.window_start is not None and now - health.window_start < _WINDOW
    return health.paused_at is not None or (full and health.window_count >= pace)


def _paused(health: Health, zone: str) -> Cause:
    assert health.paused_at is not None
    what = f"{health.name}, since {clock.show(health.paused_at, zone)}{_because(health.reason)}"
    command = f"publisher channels resume {health.name}"
    to_do = ToDo("Have the cause mended.", (("To let it go on at once", command),))
    return Cause(Kind.PAUSED, health.name, what, to_do, health.paused_at)


def _silent(tx: Transaction, zone: str, now: datetime) -> list[Cause]:
    to_do = ToDo("Look at its machine and its log.", (("If no other worker runs", "publisher worker"),))
    return [
        Cause(
            Kind.SILENT,
            owner,
            f"{owner}, last seen {clock.show(seen_at, zone)}",
            to_do,
            seen_at,
        )
        for owner, seen_at in tx.workers.all().items()
        if now - seen_at > LATE
    ]


def _what(delivery: Delivery, reason: str, since: datetime, zone: str) -> str:
    scope = "" if delivery.scope == "both" else f" ({delivery.scope})"
    where = f"{delivery.announcement} on {delivery.channel}{scope}"
    return f"{where}, since {clock.show(since, zone)}{_because(reason)}"


def _because(reason: str) -> str:
    return f": {textwrap.shorten(reason, _LONGEST_REASON, placeholder=' …')}" if reason else ""
