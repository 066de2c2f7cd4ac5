"""What concerns the office as a whole: a halt, a paused channel, no worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from publisher import clock
from publisher.channel import Kind
from publisher.store.channels import Halt, Health
from publisher.words.todo import ToDo


@dataclass(frozen=True, slots=True)
class Outlook:
    """What decides at ``now``, beside a delivery itself, whether it goes out. People read times in ``zone``.

    ``pace`` is how many posts a minute each configured channel may start and ``kinds`` what it takes. ``seen_at`` is
    the newest sign of life of any worker, and ``stranded`` is whether something is due while none is at work.
    """

    now: datetime
    zone: str
    halt: Halt | None = None
    health: Mapping[str, Health] = field(default_factory=dict)
    pace: Mapping[str, int] = field(default_factory=dict)
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    seen_at: datetime | None = None
    stranded: bool = False

    def time(self, instant: datetime) -> str:
        """A time as a person reads it, with its zone."""
        return clock.show(instant, self.zone)

    def pause(self, channel: str) -> Health | None:
        """The standing of a channel that is paused, or ``None`` where it works."""
        health = self.health.get(channel)
        return health if health is not None and health.paused_at is not None else None

    def is_full(self, channel: str) -> bool:
        """Whether a channel has sent as many posts this minute as it may."""
        health, pace = self.health.get(channel), self.pace.get(channel)
        return health is not None and pace is not None and not health.allowance(pace, self.now)


def because(reason: str, label: str = "The reason given") -> str:
    """The reason as a sentence of its own, after a plain one; empty for none."""
    if not reason:
        return ""
    end = "" if reason.endswith((".", "?", "!", "。", "…")) else "."
    return f"{label}: {reason}{end}"


def halted(outlook: Outlook) -> ToDo | None:
    """What is said while everything is halted."""
    halt = outlook.halt
    if halt is None:
        return None
    who = halt.actor if halt.account in ("", halt.actor) else f"{halt.actor} ({halt.account})"
    what = f"Everything was halted at {outlook.time(halt.since)} by {who}; nothing goes out until that is lifted."
    return ToDo(what, (("To let everything go on", "publisher unhalt"),))


def unmanned(outlook: Outlook) -> ToDo | None:
    """What is said while something is due and no worker is there to send it."""
    if not outlook.stranded:
        return None
    if outlook.seen_at is None:
        what = "No worker is running; nothing goes out until one is started."
    else:
        seen = outlook.time(outlook.seen_at)
        what = f"No worker has given a sign of life since {seen}; nothing goes out until one is started."
    commands = (
        ("To start one", "publisher worker"),
        ("To send only what is due now", "publisher worker --once"),
    )
    return ToDo(what, commands)


def paused(outlook: Outlook, channel: str) -> ToDo | None:
    """What is said while a channel is paused."""
    if outlook.pause(channel) is None:
        return None
    what = f"{channel} is paused. Have the cause mended; after that it goes on by itself within ten minutes."
    return ToDo(what, (("To let it go on at once", f"publisher channels resume {channel}"),))


def pause(outlook: Outlook, channel: str) -> list[str]:
    """Since when a channel is paused, why, and what comes of it by itself; empty for one that works."""
    health = outlook.pause(channel)
    if health is None or health.paused_at is None:
        return []
    told = [f"{channel} has been paused since {outlook.time(health.paused_at)}, and its posts wait."]
    if health.reason:
        told.append(because(health.reason, "Why it is paused"))
    if outlook.halt is None and not outlook.stranded:
        ahead = health.retry_at is not None and health.retry_at > outlook.now
        then = f", next at {outlook.time(health.retry_at)}" if health.retry_at and ahead else ""
        told.append(
            f"It is tried by itself every ten minutes{then}, and goes on by itself as soon as it works."
        )
    return told
