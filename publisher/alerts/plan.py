"""Who is told what now: a pure function of the causes there are, the alerts that are open, and the time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from publisher.alerts.cause import TOLD_FOR, Cause, Kind
from publisher.store.alerts import Alert

_WAITS = (timedelta(hours=1), timedelta(hours=6), timedelta(hours=6), timedelta(hours=6))
"""The wait after an alert was told once, twice, and so on; after these, a day."""
_DAY = timedelta(days=1)
_MOST = 10
"""So many things are named in one message; the others are counted."""


class Phase(StrEnum):
    """Why something is told."""

    OPENED = "opened"
    AGAIN = "again"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Notice:
    """One message, about all ``causes`` (their ids) of a kind that are to be told alike."""

    kind: Kind
    phase: Phase
    causes: tuple[str, ...]
    title: str
    body: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Alerts to open, alerts to close without a word, and what to tell."""

    opened: tuple[Cause, ...]
    dropped: tuple[str, ...]
    notices: tuple[Notice, ...]


def decide(causes: Sequence[Cause], open_: Sequence[Alert], now: datetime) -> Plan:
    """What follows. An alert nobody was told of yet is told until somebody was, and forgotten once it is over."""
    present = {cause.id: cause for cause in causes}
    known = {alert.cause: alert for alert in open_}
    stale = {cause.id for cause in causes if _is_stale(cause, known.get(cause.id), now)}
    telling = [cause for cause in causes if cause.id not in stale]
    gone = [alert for alert in open_ if alert.cause not in present]
    dropped = [alert.cause for alert in gone if not alert.told]
    dropped += [cause.id for cause in causes if cause.id in known and cause.id in stale]
    notices = [*_told(telling, known, now), *_over([alert for alert in gone if alert.told])]
    opened = tuple(cause for cause in telling if cause.id not in known)
    return Plan(opened, tuple(dropped), tuple(notices))


def _is_stale(cause: Cause, alert: Alert | None, now: datetime) -> bool:
    """Whether it has been told for long enough, though it is not over."""
    if cause.kind is Kind.SILENT:  # it may have died long before the next worker began and could tell
        return alert is not None and alert.told > 0 and now - alert.opened_at > _DAY
    return cause.kind in (Kind.FAILED, Kind.MISSED) and now - cause.since > TOLD_FOR


def _told(causes: Sequence[Cause], known: dict[str, Alert], now: datetime) -> list[Notice]:
    phases = {cause.id: _phase(cause, known.get(cause.id), now) for cause in causes}
    notices = []
    for kind in Kind:
        for phase in (Phase.OPENED, Phase.AGAIN):
            mine = [cause for cause in causes if cause.kind is kind and phases[cause.id] is phase]
            lines = [
                "\n    ".join([f"{c.what}\n  To do: {c.to_do.what}", *c.to_do.lines()[1:]]) for c in mine
            ]
            if mine:
                notices.append(_notice(kind, phase, [cause.id for cause in mine], lines))
    return notices


def _over(alerts: Sequence[Alert]) -> list[Notice]:
    notices = []
    for kind in Kind:
        mine = [alert for alert in alerts if alert.cause.partition(":")[0] == kind]
        if mine:
            causes, lines = [alert.cause for alert in mine], [f"It was: {alert.message}" for alert in mine]
            notices.append(_notice(kind, Phase.OVER, causes, lines))
    return notices


def _phase(cause: Cause, alert: Alert | None, now: datetime) -> Phase | None:
    """Why ``cause`` is to be told now, or ``None``. What happened anew since it was last told is told at once."""
    if alert is None or alert.told_at is None or cause.since > alert.told_at:
        return Phase.OPENED
    wait = _WAITS[alert.told - 1] if alert.told <= len(_WAITS) else _DAY
    return Phase.AGAIN if now >= alert.told_at + wait else None


@dataclass(frozen=True, slots=True)
class _Words:
    """What is said of one thing, of several, what it means, and of one and several when it is over."""

    one: str
    several: str
    meaning: str
    one_over: str
    several_over: str


_SAID = {
    Kind.UNCERTAIN: _Words(
        "It is not known whether a post is out",
        "It is not known whether {} posts are out",
        "The channel gave no clear answer and cannot be asked. Nothing is sent again before a person has looked.",
        "An uncertain post is settled",
        "{} uncertain posts are settled",
    ),
    Kind.FAILED: _Words(
        "A post was not published",
        "{} posts were not published",
        "The channel refused it, or every attempt failed. It is not tried again by itself.",
        "A failed post is settled",
        "{} failed posts are settled",
    ),
    Kind.PARKED: _Words(
        "A post needs a person",
        "{} posts need a person",
        "The worker cannot go on with it and leaves it as it is.",
        "A post that needed a person is settled",
        "{} posts that needed a person are settled",
    ),
    Kind.MISSED: _Words(
        "A post missed its hour",
        "{} posts missed their hour",
        "It could not be sent in time and was held back, since it may be too late for its readers.",
        "A missed post is settled",
        "{} missed posts are settled",
    ),
    Kind.UNSEEN: _Words(
        "A post was sent and cannot be seen",
        "{} posts were sent and cannot be seen",
        "The channel took it more than half an hour ago and does not show it. What links to it waits.",
        "A post that could not be seen is there, or has been replaced",
        "{} posts that could not be seen are there, or have been replaced",
    ),
    Kind.OVERDUE: _Words(
        "A post is overdue",
        "{} posts are overdue",
        "Its time came more than five minutes ago, and it has not been taken up.",
        "A post is no longer overdue",
        "{} posts are no longer overdue",
    ),
    Kind.PAUSED: _Words(
        "A channel is paused",
        "{} channels are paused",
        "Its posts wait. It is tried every ten minutes and goes on by itself once it works again.",
        "A paused channel goes on",
        "{} paused channels go on",
    ),
    Kind.SILENT: _Words(
        "A worker has fallen silent",
        "{} workers have fallen silent",
        "It did not end cleanly. The next worker looks into what it was sending.",
        "A silent worker is heard again, or has ended cleanly",
        "{} silent workers are heard again, or have ended cleanly",
    ),
}


def headline(cause: Cause) -> str:
    """What is said of one cause by itself."""
    return _SAID[cause.kind].one


def _notice(kind: Kind, phase: Phase, causes: list[str], lines: list[str]) -> Notice:
    words, count = _SAID[kind], len(causes)
    if phase is Phase.OVER:
        title = words.one_over if count == 1 else words.several_over.format(count)
        meaning = "Nothing more needs to be done about this."
    else:
        title = words.one if count == 1 else words.several.format(count)
        title = f"Still: {title[0].lower()}{title[1:]}" if phase is Phase.AGAIN else title
        meaning = words.meaning
    more = [f'And {count - _MOST} more; "publisher list" shows where each stands.'] if count > _MOST else []
    return Notice(kind, phase, tuple(causes), title, "\n\n".join([meaning, *lines[:_MOST], *more]))
