"""Which rounds are run: every point once, and random ones among them, all from one seed."""

from __future__ import annotations

import random
from collections.abc import Iterator

from tests.chaos.databases import POSTGRESQL, SQLITE
from tests.chaos.points import COMMITTING, KILL, PAUSE, SEVER, Strike
from tests.chaos.power import TEARS
from tests.chaos.relay import MAIL_FAULTS
from tests.chaos.rounds import PAST_KEYS, PAST_LEASE, Plan
from tests.chaos.services import HTTP_FAULTS

_LIFETIME = 0.9
"""Seconds in which a worker has done all there is to do here, and idles."""


def plans(points: list[str], seed: int, rounds: int, database: str = SQLITE) -> Iterator[Plan]:
    """``rounds`` plans, of which number ``n`` is always the same for a seed.

    Two of three strike one of the recorded ``points``, in an order drawn from ``seed``, until each had its turn; all
    others are drawn altogether.
    """
    left = random.Random(seed).sample(points, len(points))
    for number in range(rounds):
        if number % 3 < 2 and left:
            yield Plan(strike_at(left.pop()))
        else:
            yield drawn(points, random.Random(f"{seed} {number}"), database)


def distinct(points: list[str]) -> list[str]:
    """The first occurrence of every name, without the syncing of files, which changes nothing that can be seen."""
    return [point for point in points if point.endswith("#1") and "sync." not in point]


def telling(points: list[str]) -> list[str]:
    """The few that tell most about a database: where an intention or a result is written, and where answers are."""
    names = ("smtp message reply.", "http POST receive_response_headers.complete", "statement INSERT events")
    written = ("attempt.started", "delivery.accepted", "delivery.confirmed")
    return [
        point
        for point in distinct(points)
        if point.startswith(names) or (point.startswith("commit.") and any(name in point for name in written))
    ]


def drawn(points: list[str], chance: random.Random, database: str = SQLITE) -> Plan:
    """A random round: where or when, how often, under which faults of the services, how long until the next worker."""
    timed = chance.random() < 0.25
    strike = Strike() if timed else strike_at(chance.choice(points))
    if not timed and chance.random() < 0.15:
        strike = Strike(chance.choice([point for point in points if _may_pause(point)]), PAUSE)
    elif database == POSTGRESQL and strike.action == COMMITTING and chance.random() < 0.3:
        strike = Strike(strike.point, SEVER)
    return Plan(
        strike=strike,
        after=chance.uniform(0.01, _LIFETIME) if timed else 0.0,
        unattended=chance.random() < 0.3,
        later=tuple(strike_at(chance.choice(points)) for _ in range(chance.choice((0, 0, 0, 1, 1, 2)))),
        mail=chance.choice(MAIL_FAULTS) if chance.random() < 0.15 else "",
        web=(chance.choice(list(HTTP_FAULTS)), chance.choice(("POST", "GET")))
        if chance.random() < 0.3
        else ("", ""),
        # A worker that is only stopped goes on within the hour: later than that, no service knows its key any more.
        ahead=PAST_KEYS if chance.random() < 0.3 and strike.action in (KILL, COMMITTING) else PAST_LEASE,
        torn=chance.choice(TEARS)
        if database == SQLITE and _may_tear(strike) and chance.random() < 0.5
        else "",
    )


def strike_at(point: str) -> Strike:
    """A kill at ``point``; inside a commit it comes from outside, since the process itself is busy there."""
    return Strike(point, COMMITTING if point.startswith("commit.inside") else KILL)


def _may_pause(point: str) -> bool:
    """Only where it holds no lock, neither the database's nor the website's: those who follow would rightly wait."""
    return point.startswith(("http ", "smtp "))


def _may_tear(strike: Strike) -> bool:
    """Only right after a commit. What a disk has said to be safe is safe; what came after it may be missing."""
    return strike.action == KILL and strike.point.startswith("commit.after")
